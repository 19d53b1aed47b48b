"""What papers print, turned into effects, counts and absolute risks: worked examples and round trips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kapmeta.core import conversions as to
from kapmeta.core import counts
from kapmeta.core.distributions import chi2_upper, t_quantile, t_two_sided

ratios = st.floats(0.05, 20)
risks = st.floats(0.01, 0.99)


# Reported effects.


def test_worked_examples_of_reported_intervals() -> None:
    effect = to.from_interval([0.80, 0.47], [0.31, 0.24], [2.10, 0.92])
    np.testing.assert_allclose(effect.y, [-0.223143551314, -0.755022584278], rtol=1e-11)
    np.testing.assert_allclose(np.sqrt(effect.v), [0.48804986758, 0.342795775152], rtol=1e-11)
    assert effect.consistent.all()
    middle = np.exp(effect.y[0] + effect.discrepancy[0] * np.sqrt(effect.v[0]))
    assert middle == pytest.approx(0.8068, abs=5e-5)


def test_mean_differences_are_taken_as_they_are() -> None:
    effect = to.from_interval(10.1, 1.1, 19.0, ratio=False)
    assert (float(effect.y), float(np.sqrt(effect.v))) == pytest.approx((10.1, 4.566), abs=5e-4)
    assert effect.consistent


@given(ratios, st.floats(0.05, 2), st.sampled_from([0.9, 0.95, 0.99]), st.sampled_from([4.0, 30.0, np.inf]))
def test_reported_effects_come_back(estimate: float, se: float, level: float, df: float) -> None:
    half = t_quantile((1 + level) / 2, df) * se
    low, high = estimate * np.exp(-half), estimate * np.exp(half)
    for pair in ((low, high), (low, np.nan), (np.nan, high)):
        effect = to.from_interval(estimate, *pair, level=level, df=df)
        assert (float(effect.y), float(effect.v)) == pytest.approx((np.log(estimate), se * se), rel=1e-8)
        assert effect.consistent
        assert np.isnan(effect.discrepancy) == any(np.isnan(limit) for limit in pair)
    plain = to.from_interval(estimate, estimate - half, estimate + half, ratio=False, level=level, df=df)
    assert (float(plain.y), float(plain.v)) == pytest.approx((estimate, se * se), rel=1e-8)
    from_se = to.from_standard_error(estimate, se)
    assert (float(from_se.y), float(from_se.v)) == pytest.approx((np.log(estimate), se * se), rel=1e-12)


@given(ratios, st.floats(0.05, 2), st.sampled_from([4.0, 30.0, np.inf]))
def test_p_values_come_back(estimate: float, se: float, df: float) -> None:
    assume(abs(np.log(estimate)) > 1e-3)
    p = t_two_sided(np.log(estimate) / se, df)
    assume(p > 1e-250)
    effect = to.from_p_value(estimate, p, df=df)
    assert (float(effect.y), float(effect.v)) == pytest.approx((np.log(estimate), se * se), rel=1e-6)
    assert to.from_p_value(-3.0, 0.05, ratio=False).v == pytest.approx(
        (3 / 1.959963984540054) ** 2, rel=1e-12
    )


def test_a_smaller_p_value_bounds_the_variance_from_above() -> None:
    assert to.from_p_value(2.0, 0.001).v > to.from_p_value(2.0, 0.0001).v


def test_an_estimate_off_the_middle_of_its_interval_is_flagged() -> None:
    effect = to.from_interval([2.0, 2.0], [1.0, 1.0], [4.0, 5.0])
    assert effect.consistent.tolist() == [True, False]
    assert effect.discrepancy[1] == pytest.approx(0.2718, abs=5e-4)


def test_a_limit_printed_as_zero_or_infinity_leaves_the_other() -> None:
    effect = to.from_interval(0.03, [0.0, 0.005], [0.20, np.inf])
    expected = np.array([np.log(0.20 / 0.03), np.log(0.03 / 0.005)]) / 1.959963984540054
    np.testing.assert_allclose(np.sqrt(effect.v), expected, rtol=1e-12)
    assert np.isnan(effect.discrepancy).all()


@pytest.mark.parametrize(
    "effect",
    [
        to.from_interval([np.nan, 2.0, 0.0, 2.0], [1.0, np.nan, 0.1, 2.0], [4.0, np.nan, 4.0, 2.0]),
        to.from_p_value([np.nan, 2.0, 1.0, 2.0, 2.0], [0.1, np.nan, 0.4, 0.0, 1.0]),
        to.from_standard_error([np.nan, 2.0, 2.0, np.inf], [1.0, np.nan, 0.0, 1.0]),
    ],
)
def test_reports_that_give_no_variance_are_absent(effect: to.Reported) -> None:
    assert effect.absent.all()
    assert np.isnan(effect.y).all()
    assert (effect.v == np.inf).all()
    assert effect.consistent.all()


@pytest.mark.parametrize(
    "effect",
    [
        to.from_interval([-2.0, 2.0, 2.0], [1.0, 4.0, -1.0], [4.0, 1.0, 4.0]),
        to.from_interval(2.0, [3.0, np.nan], [np.nan, 1.0]),
        to.from_p_value([-2.0, 2.0, 2.0], [0.1, -0.1, 1.1]),
        to.from_standard_error([-2.0, 2.0], [1.0, -1.0]),
    ],
)
def test_impossible_reports_are_nan_and_not_absent(effect: to.Reported) -> None:
    assert not effect.absent.any()
    assert np.isnan(effect.y).all()
    assert np.isnan(effect.v).all()


# Between measures.


def test_worked_examples_of_conversions() -> None:
    converted = to.risk_ratio_from_odds_ratio([2.25, 1.1, 5.0], 0.22)
    np.testing.assert_allclose(converted, [1.76470588, 1.07632094, 2.65957447], rtol=1e-8)
    assert np.isnan(to.odds_ratio_from_risk_ratio(5.0, 0.22))
    effect = to.smd_from_log_odds_ratio(np.log(2.25), 0.4**2)
    assert (float(effect.y), float(np.sqrt(effect.v))) == pytest.approx(
        (0.447089260371, 0.220531558169), rel=1e-11
    )
    effect = to.smd_from_log_odds_ratio(1.65, 1.65**2, method="cox-snell")
    assert (float(effect.y), float(effect.v)) == pytest.approx((1.0, 1.0), rel=1e-14)
    assert to.abstinence_ratio_from_hazard_ratio(0.47, 0.25) == pytest.approx(0.25**0.47 / 0.25, rel=1e-14)


@given(ratios, risks)
def test_odds_and_risk_ratios_are_inverse(ratio: float, baseline: float) -> None:
    there = to.risk_ratio_from_odds_ratio(ratio, baseline)
    assert to.odds_ratio_from_risk_ratio(there, baseline) == pytest.approx(ratio, rel=1e-9)
    odds = baseline / (1 - baseline) * ratio
    assert there * baseline == pytest.approx(odds / (1 + odds), rel=1e-12)


@given(st.floats(-3, 3), st.floats(0.01, 2), st.sampled_from(sorted(to.SMD_FACTORS)))
def test_log_odds_and_standardised_differences_are_inverse(y: float, v: float, method: str) -> None:
    there = to.smd_from_log_odds_ratio(y, v, method=method)
    back = to.log_odds_ratio_from_smd(*there, method=method)
    assert (float(back.y), float(back.v)) == pytest.approx((y, v), rel=1e-13)


@given(ratios)
def test_approximate_risk_ratios_lie_between_1_and_the_ratio_and_invert(ratio: float) -> None:
    for convert in (to.risk_ratio_from_common_odds_ratio, to.risk_ratio_from_hazard_ratio):
        converted = convert(ratio)
        assert min(1, ratio) - 1e-12 <= converted <= max(1, ratio) + 1e-12
        assert convert(1 / ratio) == pytest.approx(1 / converted, rel=1e-12)
    root = np.sqrt(ratio)
    assert converted == pytest.approx((1 - 0.5**root) / (1 - 0.5 ** (1 / root)), rel=1e-12)


def test_limits_at_zero_and_infinity_convert() -> None:
    ends = [0.0, np.inf]
    np.testing.assert_array_equal(to.risk_ratio_from_odds_ratio(ends, 0.25), [0.0, 4.0])
    np.testing.assert_array_equal(
        to.odds_ratio_from_risk_ratio([0.0, 4.0, np.inf], 0.25), [0.0, np.nan, np.nan]
    )
    np.testing.assert_array_equal(to.risk_ratio_from_common_odds_ratio(ends), ends)
    np.testing.assert_array_equal(to.risk_ratio_from_hazard_ratio(ends), ends)
    np.testing.assert_array_equal(to.abstinence_ratio_from_hazard_ratio(ends, 0.25), [4.0, 0.0])


def test_impossible_ratios_and_baselines_are_nan() -> None:
    for convert in (to.risk_ratio_from_common_odds_ratio, to.risk_ratio_from_hazard_ratio):
        assert np.isnan(convert(-1.0))
    for at_baseline in (
        to.risk_ratio_from_odds_ratio,
        to.odds_ratio_from_risk_ratio,
        to.abstinence_ratio_from_hazard_ratio,
    ):
        assert np.isnan(at_baseline([-1.0, 2.0, 2.0], [0.2, -0.1, 1.1])).all()
    assert np.isnan(to.abstinence_ratio_from_hazard_ratio(0.5, 0.0))


def test_an_unknown_method_is_refused_with_the_table() -> None:
    for convert in (to.smd_from_log_odds_ratio, to.log_odds_ratio_from_smd):
        with pytest.raises(ValueError, match='unknown method "HH"; use one of: hasselblad-hedges, cox-snell'):
            convert(0.1, 0.1, method="HH")


# Counts.


@pytest.mark.parametrize(
    "percent, n, decimals, expected, consistent",
    [
        (65.8, 111, 1, [73], True),
        (44, 27, 0, [12], True),
        (10.7, 28, 1, [3], True),
        (48.2, 27, 1, [13], False),  # 13 / 27 = 48.148: rounded twice in print
        (50, 200, 0, [99, 100, 101], True),  # 49.5 and 50.5 both round to 50 by one rule or another
        (0, 28, 0, [0], True),
        (100, 28, 0, [28], True),
        (51.7, 10, 1, [], False),
    ],
)
def test_candidate_counts(percent: float, n: int, decimals: int, expected: Any, consistent: bool) -> None:
    found = to.candidate_counts(percent, n, decimals)
    assert found.counts.tolist() == expected
    assert found.consistent is consistent


@given(st.integers(1, 3000), st.data(), st.integers(0, 3))
def test_candidate_counts_contain_the_truth(n: int, data: st.DataObject, decimals: int) -> None:
    x = data.draw(st.integers(0, n))
    found = to.candidate_counts(round(100 * x / n, decimals), n, decimals)
    assert x in found.counts
    assert found.consistent
    cut_off = int(100 * x * 10**decimals // n) / 10**decimals
    assert x in to.candidate_counts(cut_off, n, decimals).counts or found.counts.size


@given(st.integers(0, 1000), st.integers(1, 300))
def test_candidate_counts_are_those_of_the_definition(units: int, n: int) -> None:
    found = to.candidate_counts(units / 10, n, 1)
    near = [x for x in range(n + 1) if 2 * abs(1000 * x - units * n) <= n]
    far = [x for x in range(n + 1) if abs(1000 * x - units * n) <= n]
    assert found.counts.tolist() == (near or far)
    assert found.consistent is bool(near)


def test_a_percentage_with_more_decimals_than_said_is_refused() -> None:
    with pytest.raises(ValueError, match=r"percent = 48\.15 has more than decimals = 1"):
        to.candidate_counts(48.15, 27, 1)


def test_worked_example_of_a_table_from_its_odds_ratio() -> None:
    table = to.table_from_odds_ratio(3.5, 26, 27, 19)
    assert (float(table.events_t), float(table.events_c)) == (13, 6)
    assert float(table.unrounded) == pytest.approx(13, abs=5e-3)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_tables_come_back_from_odds_ratio_and_chi_square(n1: int, n2: int, data: st.DataObject) -> None:
    a, c = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    b, d, m, n = n1 - a, n2 - c, a + c, n1 + n2
    if b * c > 0:
        table = to.table_from_odds_ratio(a * d / (b * c), n1, n2, m)
        assert (float(table.events_t), float(table.events_c)) == (a, c)
    if 0 < m < n:
        determinant, margins = a * d - b * c, n1 * n2 * m * (n - m)
        sign = np.sign(determinant) or 1
        table = to.table_from_chi_square(n * determinant**2 / margins, n1, n2, m, sign=sign)
        assert (float(table.events_t), float(table.events_c)) == (a, c)
        if abs(determinant) > n / 2:
            corrected = n * (abs(determinant) - n / 2) ** 2 / margins
            table = to.table_from_chi_square(corrected, n1, n2, m, sign=sign, yates=True)
            assert float(table.events_t) == a


@given(st.integers(1, 200), st.integers(1, 200), st.data(), st.floats(0.01, 100))
def test_the_rebuilt_table_has_the_odds_ratio(n1: int, n2: int, data: st.DataObject, ratio: float) -> None:
    m = data.draw(st.integers(1, n1 + n2 - 1))
    a = float(to.table_from_odds_ratio(ratio, n1, n2, m).unrounded)
    assert max(0, m - n2) - 1e-9 <= a <= min(n1, m) + 1e-9
    assert a * (n2 - m + a) == pytest.approx(ratio * (n1 - a) * (m - a), rel=1e-6, abs=1e-6 * max(1, ratio))


def test_tables_that_cannot_be() -> None:
    assert to.table_from_odds_ratio(1.0, 30, 60, 45).unrounded == pytest.approx(15, rel=1e-14)
    assert np.isnan(to.table_from_odds_ratio([-1.0, np.inf, 2.0], 10, 10, [5, 5, 30]).events_t).all()
    assert np.isnan(to.table_from_chi_square([500.0, -1.0, 3.0], 10, 10, [5, 5, 30]).events_t).all()


@given(st.floats(1e-12, 1))
def test_chi_square_from_p_value(p: float) -> None:
    assert chi2_upper(to.chi_square_from_p_value(p), 1) == pytest.approx(p, rel=1e-9)


# Absolute effects.


def test_worked_examples_of_absolute_effects() -> None:
    risk = to.absolute_risk([2.25, 1.0, 5.0], 0.22, "RR")
    assert risk.capped.tolist() == [False, False, True]
    difference = risk.risk - 0.22
    needed = to.number_needed_to_treat(0.0, difference[0], 5 * 0.22 - 0.22)
    assert float(needed.number) == pytest.approx(3.6363636, rel=1e-7)
    assert (float(needed.benefit_low), float(needed.benefit_high)) == pytest.approx(
        (1.1363636, np.inf), rel=1e-7
    )
    assert np.isnan(needed.harm_low)
    risk = to.absolute_risk([2.25, 1.1, 5.0], 0.22, "OR")
    assert risk.risk[0] == pytest.approx(0.388235294, rel=1e-9)
    middle, low, high = risk.risk - 0.22
    needed = to.number_needed_to_treat(low, middle, high)
    found = [float(x) for x in (needed.number, needed.benefit_low, needed.benefit_high)]
    assert found == pytest.approx([5.944056, 2.738928, 59.55711], rel=1e-6)


def test_worked_example_of_a_summary_of_findings_row() -> None:
    ratio = [2.74467867789, 1.99803478486, 3.77033528242]
    risk = to.absolute_risk(ratio, 0.130434783, "RR")
    assert 1000 * risk.risk == pytest.approx([358.0016, 260.6132, 491.7829], rel=1e-6)
    middle, low, high = risk.risk - 0.130434783
    assert 1000 * np.array([middle, low, high]) == pytest.approx([227.5668, 130.1785, 361.3481], rel=1e-6)
    needed = to.number_needed_to_treat(low, middle, high)
    found = [float(x) for x in (needed.number, needed.benefit_low, needed.benefit_high)]
    assert found == pytest.approx([4.394314, 2.767415, 7.681763], rel=1e-6)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_absolute_risk_gives_back_the_risk_under_treatment(n1: int, n2: int, data: st.DataObject) -> None:
    a, c = data.draw(st.integers(1, n1)), data.draw(st.integers(1, n2))
    effects = {
        "RR": np.exp(counts.risk_ratio(a, n1, c, n2, zero="none").y) if (a, c) != (n1, n2) else 1.0,
        "RD": a / n1 - c / n2,
        "AS": counts.arcsine_difference(a, n1, c, n2).y,
    }
    if a < n1 and c < n2:
        effects["OR"] = effects["PETO"] = np.exp(counts.odds_ratio(a, n1, c, n2).y)
        effects["HR"] = np.log(a / n1) / np.log(c / n2)
    for measure, effect in effects.items():
        risk = to.absolute_risk(effect, c / n2, measure).risk
        assert float(risk) == pytest.approx(a / n1, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("measure", to.ABSOLUTE)
def test_no_effect_leaves_the_baseline_and_bad_baselines_are_nan(measure: str) -> None:
    null = 0.0 if measure in ("RD", "AS") else 1.0
    risk = to.absolute_risk(null, [0.0, 0.25, 1.0, -0.1, 1.1, np.nan], measure)
    np.testing.assert_allclose(risk.risk, [0.0, 0.25, 1.0, np.nan, np.nan, np.nan], rtol=1e-14, atol=1e-16)
    assert not risk.capped.any()
    if measure not in ("RD", "AS"):
        assert np.isnan(to.absolute_risk(-1.0, 0.2, measure).risk)


def test_caps() -> None:
    for measure, effects in (("RD", [-0.3, 0.8]), ("AS", [-0.5, 1.3])):
        risk = to.absolute_risk(effects, 0.22, measure)
        assert risk.risk.tolist() == [0, 1]
        assert risk.capped.all()
    ends = to.absolute_risk([0.0, np.inf], 0.22, "OR")
    assert ends.risk.tolist() == [0, 1]
    assert not ends.capped.any()
    assert to.absolute_risk(np.inf, 0.22, "RR").capped


def test_an_unknown_measure_is_refused_with_the_table() -> None:
    with pytest.raises(
        ValueError, match='no absolute risk from measure "SMD"; use one of: RR, OR, PETO, HR, RD, AS'
    ):
        to.absolute_risk(1.0, 0.2, "SMD")


def _parts(*difference: float, **options: bool) -> tuple[float, ...]:
    needed = to.number_needed_to_treat(*difference, **options)
    return tuple(float(x) for x in needed)


def test_numbers_needed_by_the_side_of_the_interval() -> None:
    inf, nan = np.inf, np.nan
    cases = {
        (0.1, 0.2, 0.5): (5.0, 1, 2.0, 10.0, nan, nan),
        (-0.5, -0.2, -0.1): (5.0, 0, nan, nan, 2.0, 10.0),
        (-0.05, 0.1, 0.25): (10.0, 1, 4.0, inf, 20.0, inf),
        (0.0, 0.1, 0.25): (10.0, 1, 4.0, inf, nan, nan),
        (-0.25, -0.1, 0.0): (10.0, 0, nan, nan, 4.0, inf),
        (0.0, 0.0, 0.0): (inf, 0, nan, nan, nan, nan),
        (nan, nan, nan): (nan, 0, nan, nan, nan, nan),
    }
    for difference, expected in cases.items():
        np.testing.assert_allclose(_parts(*difference), expected, rtol=1e-14)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_a_bad_event_swaps_benefit_and_harm(values: Any) -> None:
    low, middle, high = sorted(values)
    number, benefit, *parts = _parts(low, middle, high)
    bad_number, bad_benefit, *bad_parts = _parts(low, middle, high, event_is_good=False)
    assert bad_number == number
    assert bad_benefit == (not benefit and middle != 0)
    np.testing.assert_array_equal(bad_parts, parts[2:] + parts[:2])
