"""Single groups, correlations and rates: zero rules, transforms and their inverses, what must hold
of any.

Agreement with metafor's `escalc` on every reference record is in `test_escalc`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.effects import counts, proportions
from kapmeta.core.effects.counts import Estimates
from kapmeta.core.effects.proportions import PROPORTION_RULES, RATE_RULES

GROUPS: dict[str, Callable[..., Estimates]] = {
    "PR": proportions.raw_proportion,
    "PLN": proportions.log_proportion,
    "PLO": proportions.logit_proportion,
    "PAS": proportions.arcsine_proportion,
    "PFT": proportions.double_arcsine_proportion,
}
RULED_GROUPS = {name: GROUPS[name] for name in ("PR", "PLN", "PLO")}
RATES: dict[str, Callable[..., Estimates]] = {
    "rate": proportions.rate,
    "log rate": proportions.log_rate,
}


@st.composite
def groups(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 500))
    return draw(st.integers(0, n)), n


# Values.


def test_the_transforms_of_one_group() -> None:
    x, n = 24.0, 100.0
    expected = {
        "PR": (0.24, 0.24 * 0.76 / 100),
        "PLN": (np.log(0.24), 1 / 24 - 1 / 100),
        "PLO": (np.log(24 / 76), 1 / 24 + 1 / 76),
        "PAS": (np.arcsin(np.sqrt(0.24)), 1 / 400),
        "PFT": ((np.arcsin(np.sqrt(24 / 101)) + np.arcsin(np.sqrt(25 / 101))) / 2, 1 / 402),
    }
    for name, function in GROUPS.items():
        effect = function(x, n)
        assert (float(effect.y), float(effect.v)) == pytest.approx(expected[name], rel=1e-13)


def test_fisher_z() -> None:
    effect = proportions.fisher_z([0.5, -0.5, 0.0], [28, 28, 4])
    np.testing.assert_allclose(effect.y, [np.arctanh(0.5), -np.arctanh(0.5), 0.0], rtol=1e-14)
    np.testing.assert_allclose(effect.v, [0.04, 0.04, 1.0])


def test_rates() -> None:
    assert proportions.rate(9, 413).y == 9 / 413
    assert float(proportions.rate(9, 413).v) == pytest.approx(9 / 413**2, rel=1e-14)
    effect = proportions.log_rate(9, 413)
    assert (float(effect.y), float(effect.v)) == pytest.approx((np.log(9 / 413), 1 / 9), rel=1e-14)


def test_rate_ratio_is_the_difference_of_log_rates() -> None:
    effect = proportions.rate_ratio([9, 3], [413, 487], [19, 13], [398, 435])
    treated, control = (
        proportions.log_rate([9, 3], [413, 487]),
        proportions.log_rate([19, 13], [398, 435]),
    )
    np.testing.assert_allclose(effect.y, treated.y - control.y, rtol=1e-13)
    np.testing.assert_allclose(effect.v, treated.v + control.v, rtol=1e-14)


# Zero rules.

# Inside, nobody, everybody, absent.
RULED = ([3, 0, 7, np.nan], [10, 10, 7, 5])


@pytest.mark.parametrize("function", RULED_GROUPS.values(), ids=RULED_GROUPS)
@pytest.mark.parametrize(
    "rule, corrected, absent",
    [
        ("half-if-any", "0110", "0001"),
        ("half-if-any-study", "1110", "0001"),
        ("half-all", "1110", "0001"),
        ("none", "0000", "0111"),
    ],
)
def test_rules_of_proportions(
    function: Callable[..., Estimates], rule: str, corrected: str, absent: str
) -> None:
    effect = function(*RULED, zero=rule)
    assert "".join(map(str, effect.corrected.astype(int))) == corrected
    assert "".join(map(str, effect.absent.astype(int))) == absent


@pytest.mark.parametrize("function", RATES.values(), ids=RATES)
def test_rules_of_rates(function: Callable[..., Estimates]) -> None:
    rows = ([3, 0, np.nan], [10.0, 10.0, 10.0])
    assert function(*rows).corrected.tolist() == [False, True, False]
    assert function(*rows, zero="half-all").corrected.tolist() == [True, True, False]
    assert function(*rows, zero="half-if-any-study").corrected.tolist() == [True, True, False]
    assert function(*rows, zero="none").absent.tolist() == [False, True, True]


def test_a_correction_never_moves_a_proportion_or_a_rate() -> None:
    for rule in ("half-if-any", "half-all"):
        np.testing.assert_array_equal(
            proportions.raw_proportion([0, 4], [10, 10], zero=rule).y, [0, 0.4]
        )
        np.testing.assert_array_equal(proportions.rate([0, 4], [10, 10], zero=rule).y, [0, 0.4])
    assert proportions.rate(0, 10).v == 0.5 / 100


def test_rules_of_rate_ratios() -> None:
    rows = ([3, 0, 0, 2], [10, 10, 10, 10], [2, 4, 0, 0], [10, 10, 10, 10])
    assert proportions.rate_ratio(*rows).corrected.tolist() == [False, True, True, True]
    dropped = proportions.rate_ratio(*rows, zero="drop")
    assert dropped.absent.tolist() == [False, False, True, False]
    assert dropped.corrected.tolist() == [False, True, False, True]
    assert proportions.rate_ratio(*rows, zero="none").absent.tolist() == [False, True, True, True]
    assert proportions.rate_ratio(*rows, zero="half-if-any-study").corrected.all()
    larger = proportions.rate_ratio(*rows, zero="half-all", value=1.0)
    np.testing.assert_allclose(larger.v, [1 / 4 + 1 / 3, 1 + 1 / 5, 2, 1 / 3 + 1], rtol=1e-14)


def test_unknown_rules_are_refused_with_the_table() -> None:
    with pytest.raises(
        ValueError, match="use one of: half-if-any, half-if-any-study, half-all, none$"
    ):
        proportions.logit_proportion(1, 2, zero="treatment-arm")
    with pytest.raises(
        ValueError, match="use one of: half-if-any, half-if-any-study, half-all, none, drop$"
    ):
        proportions.rate_ratio(1, 2, 3, 4, zero="empirical")
    assert set(PROPORTION_RULES) < set(RATE_RULES) < set(counts.TRIGGERS)


# Absent and impossible rows.


@pytest.mark.parametrize("function", GROUPS.values(), ids=GROUPS)
def test_absent_and_impossible_groups(function: Callable[..., Estimates]) -> None:
    effect = function([2, np.nan, 2, 0, 7, -1], [6, 6, np.nan, 0, 6, 6])
    assert effect.absent.tolist() == [False, True, True, True, False, False]
    assert (effect.v[1:4] == np.inf).all()
    assert np.isnan(effect.v[4:]).all()
    assert np.isnan(effect.y[1:]).all()
    assert not effect.corrected.any()


@pytest.mark.parametrize("function", RATES.values(), ids=RATES)
def test_absent_and_impossible_rates(function: Callable[..., Estimates]) -> None:
    effect = function([2, np.nan, 2, 0, 7, -1], [6, 6, np.nan, 0, -6, 6])
    assert effect.absent.tolist() == [False, True, True, True, False, False]
    assert np.isnan(effect.v[4:]).all()
    ratio = proportions.rate_ratio([2, np.nan, 2, 0, 7, -1], [6, 6, np.nan, 0, -6, 6], 3, 8)
    np.testing.assert_array_equal(ratio.absent, effect.absent)
    assert np.isnan(ratio.v[4:]).all()


def test_absent_and_impossible_correlations() -> None:
    effect = proportions.fisher_z([0.2, 1.0, -1.0, 0.2, np.nan, 1.2], [20, 20, 20, 3, 20, 20])
    assert effect.absent.tolist() == [False, True, True, True, True, False]
    assert np.isnan([effect.y[5], effect.v[5]]).all()


# Inverses.


@given(st.lists(groups(), min_size=1, max_size=5))
def test_transforms_invert(rows: Any) -> None:
    x, n = np.array(rows, dtype=float).T
    p = x / n
    np.testing.assert_allclose(np.sin(proportions.arcsine_proportion(x, n).y) ** 2, p, atol=1e-14)
    y = proportions.double_arcsine_proportion(x, n).y
    np.testing.assert_allclose(proportions.double_arcsine_inverse(y, n), p, atol=1e-9)
    inside = (x > 0) & (x < n)
    logit = proportions.logit_proportion(x, n).y[inside]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), p[inside], rtol=1e-12)
    np.testing.assert_allclose(
        np.exp(proportions.log_proportion(x, n).y[inside]), p[inside], rtol=1e-12
    )


def test_double_arcsine_inverse_beyond_its_range_is_0_or_1() -> None:
    assert proportions.double_arcsine_inverse([-0.2, 0.0, 0.1, 1.5, 2.0], 10).tolist() == [
        0,
        0,
        0,
        1,
        1,
    ]


@given(st.floats(0.0, np.pi / 2), st.floats(1, 1000))
def test_double_arcsine_inverse_is_a_proportion_and_monotone(y: float, n: float) -> None:
    low, high = proportions.double_arcsine_inverse([y, y + 1e-3], n)
    assert 0 <= low <= high + 1e-9 <= 1 + 1e-9


def test_double_arcsine_inverse_depends_on_the_size_taken() -> None:
    # Schwarzer et al. 2019: pooling groups of very different size, the harmonic mean decides the
    # answer.
    n = np.array([10.0, 20.0, 100_000.0])
    y = proportions.double_arcsine_proportion([0.0, 0.0, 1000.0], n).y
    pooled = (n * y).sum() / n.sum()
    harmonic, arithmetic = proportions.double_arcsine_inverse(
        pooled, [proportions.harmonic_mean(n), n.mean()]
    )
    assert harmonic == 0
    assert arithmetic == pytest.approx(0.01, rel=0.05)


def test_harmonic_mean_leaves_absent_groups_out() -> None:
    n = [[10.0, 40.0, np.nan], [np.nan, 0.0, np.nan]]
    np.testing.assert_array_equal(proportions.harmonic_mean(n), [16.0, np.nan])


# Properties.


@given(st.lists(groups(), min_size=2, max_size=6), st.sampled_from(PROPORTION_RULES))
def test_counting_relapse_mirrors_the_scale(rows: Any, rule: str) -> None:
    x, n = np.array(rows, dtype=float).T
    mirror = {"PR": 1.0, "PLO": 0.0, "PAS": np.pi / 2, "PFT": np.pi / 2}
    for name, total in mirror.items():
        options = {"zero": rule} if name in RULED_GROUPS else {}
        one, other = GROUPS[name](x, n, **options), GROUPS[name](n - x, n, **options)
        np.testing.assert_allclose(one.y, total - other.y, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.v, other.v, rtol=1e-12)
        assert (one.v > 0).all()


@given(st.lists(groups(), min_size=2, max_size=6), st.sampled_from(PROPORTION_RULES))
def test_two_groups_make_a_table(rows: Any, rule: str) -> None:
    (x1, n1), (x2, n2) = rows[:2]
    if 0 in (x1, x2, n1 - x1, n2 - x2) and rule != "half-all":
        return  # elsewhere a table corrects both arms and a group only itself
    for group, table in (
        ("PLN", counts.risk_ratio),
        ("PLO", counts.odds_ratio),
        ("PR", counts.risk_difference),
    ):
        effect = table(x1, n1, x2, n2, zero=rule)
        one, other = GROUPS[group](x1, n1, zero=rule), GROUPS[group](x2, n2, zero=rule)
        np.testing.assert_allclose(effect.y, one.y - other.y, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(effect.v, one.v + other.v, rtol=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(1, 1e4)), min_size=4, max_size=4),
    st.floats(1e-6, 1e6),
)
def test_units_of_time(rows: Any, c: float) -> None:
    x, t = np.array(rows).T
    one, other = proportions.rate(x, t), proportions.rate(x, t * c)
    np.testing.assert_allclose(other.y, one.y / c, rtol=1e-12)
    np.testing.assert_allclose(other.v, one.v / c**2, rtol=1e-12)
    ratio = proportions.rate_ratio(x[:2], t[:2], x[2:], t[2:])
    scaled = proportions.rate_ratio(x[:2], t[:2] * c, x[2:], t[2:] * c)
    swapped = proportions.rate_ratio(x[2:], t[2:], x[:2], t[:2])
    np.testing.assert_allclose(scaled.y, ratio.y, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(swapped.y, -ratio.y, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(scaled.v, ratio.v)


@given(st.lists(groups(), min_size=4, max_size=4))
def test_a_batch_is_a_loop(rows: Any) -> None:
    batch = np.array(rows, dtype=float).T.reshape(2, 2, 2)
    for name, function in {**GROUPS, **RATES}.items():
        for rule in ("half-if-any", "half-if-any-study") if name not in ("PAS", "PFT") else [None]:
            options = {} if rule is None else {"zero": rule}
            together = function(*batch, **options)
            for i in range(2):
                for a, b in zip(together, function(*batch[:, i], **options), strict=True):
                    np.testing.assert_array_equal(a[i], b)


def test_a_full_group_may_keep_its_estimate_on_the_log_scale() -> None:
    """R's meta 8, metaprop with sm = "PLN": TE = 0, seTE = sqrt(1 / 30 - 1 / 30.5)."""
    found = proportions.log_proportion([30, 0, 48], [30, 20, 50], keep_full=True)
    plain = proportions.log_proportion([30, 0, 48], [30, 20, 50])
    assert found.y[0] == 0
    assert found.v[0] == pytest.approx(1 / 30 - 1 / 30.5, rel=1e-12)
    assert found.corrected.tolist() == [True, True, False]
    np.testing.assert_array_equal(found.y[1:], plain.y[1:])
    np.testing.assert_array_equal(found.v[1:], plain.v[1:])
    none = proportions.log_proportion([30], [30], zero="none", keep_full=True)
    assert none.absent.all()
