"""Two-by-two tables: worked examples, zero-cell rules, and what must hold of any table.

Agreement with metafor's `escalc` on every reference record is in `test_escalc`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.effects import counts
from kapmeta.core.effects.counts import (
    TRIGGERS,
    Estimates,
    arcsine_difference,
    continuity_corrected,
    odds_ratio,
    peto_odds_ratio,
    risk_difference,
    risk_ratio,
)

# KAP5, a test set with two invented rows (S2, S4): events and totals, treatment and control.
KAP5 = ([73, 6, 13, 6, 12], [111, 17, 26, 35, 27], [24, 3, 6, 2, 0], [100, 23, 27, 35, 28])
S3 = (13, 26, 6, 27)
S5 = (12, 27, 0, 28)
OMEGA = 5.00478433815  # Mantel-Haenszel odds ratio of S1 to S4

WITH_RULE: dict[str, Callable[..., Estimates]] = {
    "RR": risk_ratio,
    "OR": odds_ratio,
    "RD": risk_difference,
}
MEASURES: dict[str, Callable[..., Estimates]] = {
    **WITH_RULE,
    "AS": arcsine_difference,
    "PETO": peto_odds_ratio,
}


@st.composite
def tables(draw: st.DrawFn, smallest: int = 1) -> tuple[int, int, int, int]:
    n_t, n_c = draw(st.integers(smallest, 400)), draw(st.integers(smallest, 400))
    return draw(st.integers(0, n_t)), n_t, draw(st.integers(0, n_c)), n_c


def _columns(rows: list[tuple[int, int, int, int]]) -> tuple[Any, ...]:
    return tuple(np.array(rows).T)


# Worked examples: values of metafor 5.1-12 and of an independent program, to 12 digits.


def test_log_risk_ratios_of_kap5() -> None:
    effect = risk_ratio(*KAP5)
    expected_y = [1.00804559548, 0.995428052433, 0.810930216216, 1.09861228867, 3.25396714468]
    expected_v = [0.0363562877946, 0.397698209719, 0.168091168091, 0.609523809524, 2.00980295567]
    np.testing.assert_allclose(effect.y, expected_y, rtol=1e-11)
    np.testing.assert_allclose(effect.v, expected_v, rtol=1e-11)
    assert effect.corrected.tolist() == [False] * 4 + [True]
    assert not effect.absent.any()


@pytest.mark.parametrize(
    "function, table, y, v",
    [
        (risk_ratio, S3, 0.810930216216, 0.168091168091),
        (odds_ratio, S3, 1.2527629685, 0.368131868132),
        (risk_difference, S3, 0.277777777778, 0.016016847807),
        (arcsine_difference, S5, 0.729727656227, 0.0181878306878),
        (odds_ratio, S5, 3.82793988822, 2.17960384833),
    ],
)
def test_worked_examples(
    function: Callable[..., Estimates], table: Any, y: float, v: float
) -> None:
    effect = function(*table)
    assert float(effect.y) == pytest.approx(y, rel=1e-11)
    assert float(effect.v) == pytest.approx(v, rel=1e-11)


def test_risk_ratio_has_the_interval_of_katz() -> None:
    effect = risk_ratio(*S3)
    half = 1.959963984540054 * np.sqrt(effect.v)
    assert np.exp([effect.y - half, effect.y + half]) == pytest.approx(
        [1.00739328926, 5.0253461622], rel=1e-11
    )


def test_treatment_arm_and_empirical_corrections_of_a_zero_cell() -> None:
    effect = odds_ratio(*([x] for x in S5), zero="treatment-arm")
    assert (effect.y[0], effect.v[0]) == pytest.approx((3.81009945613, 2.14397445967), rel=1e-11)
    effect = odds_ratio(*KAP5, zero="empirical")
    assert (effect.y[4], effect.v[4]) == pytest.approx((4.89050881447, 6.00266878495), rel=1e-11)
    corrected = continuity_corrected(*KAP5, rule="empirical")
    assert corrected.a[4] - 12 == pytest.approx(0.828356885674, rel=1e-11)
    assert corrected.c[4] == pytest.approx(0.171643114326, rel=1e-11)
    assert corrected.a[4] - 12 == pytest.approx(OMEGA / (28 / 27 + OMEGA), rel=1e-10)


def test_risk_difference_keeps_its_estimate_where_metafor_moves_it() -> None:
    effect = risk_difference(*S5)
    assert float(effect.y) == 12 / 27
    metafor = 12.5 / 28 - 0.5 / 29  # 0.4292
    assert metafor == pytest.approx(0.4292, abs=5e-5)
    assert float(effect.v) == pytest.approx(12.5 * 15.5 / 28**3 + 0.5 * 28.5 / 29**3, rel=1e-14)


def test_peto_of_kap5_pools_to_the_published_value() -> None:
    effect = peto_odds_ratio(*KAP5)
    w = 1 / effect.v
    assert (w * effect.y).sum() / w.sum() == pytest.approx(1.62112870854, rel=1e-11)
    assert 1 / np.sqrt(w.sum()) == pytest.approx(0.212398050878, rel=1e-11)
    mean = (w * effect.y).sum() / w.sum()
    assert (w * (effect.y - mean) ** 2).sum() == pytest.approx(3.4358419621278, rel=1e-11)


def test_everybody_abstinent_in_both_arms() -> None:
    everybody = ([5], [5], [5], [5])
    effect = risk_ratio(*everybody)
    assert effect.y[0] == 0
    assert effect.v[0] == pytest.approx(
        0.0303030303030, rel=1e-11
    )  # meta, sizes raised by 0.5: .036364
    assert risk_ratio(*everybody, zero="none").absent[0]
    assert not risk_ratio(*everybody, zero="drop").absent[0]
    assert odds_ratio(*everybody, zero="drop").absent[0]
    assert risk_difference(*everybody, zero="drop").absent[0]
    assert peto_odds_ratio(*everybody).absent[0]


# Zero-cell rules.

# No zero; a zero; nobody; everybody; absent.
RULED = ([3, 0, 0, 5, np.nan], [10, 10, 10, 5, 9], [2, 4, 0, 6, 1], [10, 12, 12, 6, 9])


@pytest.mark.parametrize(
    "rule, corrected, absent",
    [
        ("half-if-any", "01110", "00001"),
        ("half-if-any-study", "11110", "00001"),
        ("half-all", "11110", "00001"),
        ("treatment-arm", "01110", "00001"),
        ("empirical", "01110", "00001"),
        ("none", "00000", "00001"),
        ("drop", "01000", "00111"),
    ],
)
def test_which_tables_a_rule_corrects(rule: str, corrected: str, absent: str) -> None:
    table = continuity_corrected(*RULED, rule=rule)
    assert "".join(map(str, table.corrected.astype(int))) == corrected
    assert "".join(map(str, table.absent.astype(int))) == absent
    assert np.isnan(table.a[table.absent]).all()
    added = table.a - np.array(RULED[0])
    assert (added[table.corrected] > 0).all()
    assert (added[~table.corrected & ~table.absent] == 0).all()


def test_every_rule_has_a_row_above() -> None:
    marks = test_which_tables_a_rule_corrects.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(TRIGGERS)


@pytest.mark.parametrize("rule", [rule for rule in TRIGGERS if rule != "none"])
@pytest.mark.parametrize("value", [0.5, 0.1])
def test_the_arms_gain_twice_the_value_together(rule: str, value: float) -> None:
    table = continuity_corrected(*KAP5, rule=rule, value=value)
    gain = table.a - KAP5[0] + table.c - KAP5[2]
    np.testing.assert_allclose(gain[table.corrected], 2 * value, rtol=1e-12)
    np.testing.assert_allclose(
        table.a - KAP5[0], table.b - (np.array(KAP5[1]) - KAP5[0]), atol=1e-13
    )


def test_treatment_arm_correction_is_the_reciprocal_of_the_other_arm() -> None:
    table = continuity_corrected([0], [10], [3], [40], rule="treatment-arm")
    assert table.a[0] / (table.c[0] - 3) == pytest.approx((1 / 40) / (1 / 10), rel=1e-13)


def test_no_correction_is_reported_when_nothing_is_added() -> None:
    table = continuity_corrected(*S5, rule="half-if-any", value=0.0)
    assert not table.corrected


def test_any_study_looks_at_its_own_row_of_a_batch() -> None:
    table = continuity_corrected([[0, 3], [1, 3]], 10, 2, 10, rule="half-if-any-study")
    assert table.corrected.tolist() == [[True, True], [False, False]]


def test_an_absent_table_triggers_nothing() -> None:
    table = continuity_corrected([0, 3], [np.nan, 10], [0, 2], [0, 10], rule="half-if-any-study")
    assert table.corrected.tolist() == [False, False]


def test_empirical_correction_is_nan_without_a_table_to_learn_from() -> None:
    effect = odds_ratio([0, 0], [10, 12], [3, 4], [10, 12], zero="empirical")
    assert np.isnan(effect.y).all()
    assert np.isnan(effect.v).all()
    assert not effect.absent.any()


@pytest.mark.parametrize("function", WITH_RULE.values(), ids=WITH_RULE)
def test_an_unknown_rule_is_refused_with_the_table(function: Callable[..., Estimates]) -> None:
    with pytest.raises(
        ValueError, match='unknown zero-cell rule "half"; use one of: half-if-any, half-if-any-st'
    ):
        function(*S3, zero="half")


# Absent, inestimable and impossible rows.


@pytest.mark.parametrize("function", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize(
    "row",
    [
        (np.nan, 10, 2, 10),
        (3, np.nan, 2, 10),
        (3, 10, np.nan, 10),
        (3, 10, 2, np.nan),
        (0, 0, 2, 10),
        (3, 10, 0, 0),
    ],
)
def test_absent_rows(function: Callable[..., Estimates], row: Any) -> None:
    effect = function(*_columns([S3, row]))
    assert effect.absent.tolist() == [False, True]
    assert np.isnan(effect.y[1])
    assert effect.v[1] == np.inf
    assert not effect.corrected[1]
    assert effect.y[0] == function(*S3).y


@pytest.mark.parametrize("function", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize(
    "row", [(11, 10, 2, 10), (-1, 10, 2, 10), (3, 10, 11, 10), (3, 10, -1, 10)]
)
def test_impossible_rows_are_nan_and_not_absent(
    function: Callable[..., Estimates], row: Any
) -> None:
    effect = function(*_columns([S3, row]))
    assert effect.absent.tolist() == [False, False]
    assert np.isnan([effect.y[1], effect.v[1]]).all()
    assert not effect.corrected[1]


@pytest.mark.parametrize(
    "name, row, absent",
    [
        ("RR", (0, 10, 2, 10), True),
        ("RR", (2, 10, 0, 10), True),
        ("RR", (0, 10, 0, 10), True),
        ("RR", (10, 10, 2, 10), False),
        ("RR", (2, 10, 10, 10), False),
        ("OR", (10, 10, 2, 10), True),
        ("OR", (2, 10, 10, 10), True),
        ("OR", (0, 10, 10, 10), True),
        ("RD", (0, 10, 2, 10), False),
        ("RD", (0, 10, 0, 10), True),
        ("RD", (0, 10, 10, 10), True),
    ],
)
def test_what_is_inestimable_without_a_correction(name: str, row: Any, absent: bool) -> None:
    effect = WITH_RULE[name](*row, zero="none")
    assert bool(effect.absent) is absent
    assert np.isinf(effect.v) == absent
    assert np.isnan(effect.y) == absent


def test_what_cannot_be_negative_is_nan_where_it_is() -> None:
    np.testing.assert_array_equal(counts.nonnegative([-1, 0, 2, np.nan]), [np.nan, 0, 2, np.nan])


def test_counts_do_not_overflow() -> None:
    row = (np.int32(10**6), np.int32(2 * 10**9), np.int32(10**6), np.int32(10**9))
    effect = peto_odds_ratio(*row)
    assert float(effect.v) == pytest.approx(
        3**2 / (2 * 2e6), rel=1e-3
    )  # N^2 / (n1 n2 m), rare events


# Properties.


@given(st.lists(tables(), min_size=1, max_size=6), st.sampled_from(sorted(TRIGGERS)))
def test_swapping_arms_inverts_ratios_and_negates_differences(rows: Any, rule: str) -> None:
    a, n1, c, n2 = _columns(rows)
    for name, function in MEASURES.items():
        options = {"zero": rule} if name in WITH_RULE and rule != "empirical" else {}
        one, other = function(a, n1, c, n2, **options), function(c, n2, a, n1, **options)
        np.testing.assert_array_equal(one.absent, other.absent)
        np.testing.assert_allclose(one.y, -other.y, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(one.v, other.v, rtol=1e-10)


@given(st.lists(tables(), min_size=1, max_size=6), st.sampled_from(sorted(TRIGGERS)))
def test_counting_relapse_negates_all_but_the_risk_ratio(rows: Any, rule: str) -> None:
    a, n1, c, n2 = _columns(rows)
    for name in ("OR", "RD", "AS", "PETO"):
        options = {"zero": rule} if name in WITH_RULE and rule != "empirical" else {}
        abstinence = MEASURES[name](a, n1, c, n2, **options)
        relapse = MEASURES[name](n1 - a, n1, n2 - c, n2, **options)
        np.testing.assert_allclose(abstinence.y, -relapse.y, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(abstinence.v, relapse.v, rtol=1e-10)


def test_the_risk_ratio_tells_another_story_of_relapse() -> None:
    a, n1, c, n2 = (np.array(column) for column in KAP5)
    pooled = []
    for effect in (risk_ratio(a, n1, c, n2), risk_ratio(n1 - a, n1, n2 - c, n2)):
        w = 1 / effect.v
        mean = (w * effect.y).sum() / w.sum()
        pooled.append((np.exp(mean), (w * (effect.y - mean) ** 2).sum()))
    assert pooled[0] == pytest.approx((2.74467867789, 2.7547), rel=2e-5)
    assert pooled[1] == pytest.approx((0.70182631, 18.1142), rel=3e-6)


@given(st.lists(tables(), min_size=1, max_size=6), st.sampled_from(sorted(TRIGGERS)))
def test_variances_are_positive_and_absent_means_infinite(rows: Any, rule: str) -> None:
    for name, function in MEASURES.items():
        effect = function(*_columns(rows), **({"zero": rule} if name in WITH_RULE else {}))
        known = ~np.isnan(effect.v)
        assert known.all() or rule == "empirical"
        assert (effect.v[known] > 0).all()
        np.testing.assert_array_equal(np.isinf(effect.v), effect.absent)
        assert np.isfinite(effect.y[known & ~effect.absent]).all()


@given(st.lists(tables(), min_size=1, max_size=4), st.lists(tables(), min_size=1, max_size=4))
def test_a_batch_is_a_loop(first: Any, second: Any) -> None:
    k = min(len(first), len(second))
    batch = np.stack([_columns(first[:k]), _columns(second[:k])], axis=1)
    for name, function in MEASURES.items():
        for rule in TRIGGERS if name in WITH_RULE else [None]:
            options = {} if rule is None else {"zero": rule}
            together = function(*batch, **options)
            for i in range(2):
                alone = function(*batch[:, i], **options)
                for a, b in zip(together, alone, strict=True):
                    np.testing.assert_array_equal(a[i], b)


@given(tables(smallest=2))
def test_variance_of_the_risk_ratio_is_katz_s_without_its_cancellation(row: Any) -> None:
    a, n1, c, n2 = row
    if a == 0 or c == 0:
        return
    v = float(counts.risk_ratio(*row, zero="none").v)
    expected = (n1 - a) / (a * n1) + (n2 - c) / (c * n2)
    assert v == pytest.approx(expected or np.inf, rel=1e-14)
    assert expected == pytest.approx(1 / a - 1 / n1 + 1 / c - 1 / n2, rel=1e-9, abs=1e-14)
