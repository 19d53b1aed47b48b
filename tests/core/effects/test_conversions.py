"""From one measure to another: worked examples and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.effects import conversions as to

ratios = st.floats(0.05, 20)
risks = st.floats(0.01, 0.99)


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
    assert to.event_free_ratio_from_hazard_ratio(0.47, 0.25) == pytest.approx(
        0.25**0.47 / 0.25, rel=1e-14
    )


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
    np.testing.assert_array_equal(to.event_free_ratio_from_hazard_ratio(ends, 0.25), [4.0, 0.0])


def test_impossible_ratios_and_baselines_are_nan() -> None:
    for convert in (to.risk_ratio_from_common_odds_ratio, to.risk_ratio_from_hazard_ratio):
        assert np.isnan(convert(-1.0))
    for at_baseline in (
        to.risk_ratio_from_odds_ratio,
        to.odds_ratio_from_risk_ratio,
        to.event_free_ratio_from_hazard_ratio,
    ):
        assert np.isnan(at_baseline([-1.0, 2.0, 2.0], [0.2, -0.1, 1.1])).all()
    assert np.isnan(to.event_free_ratio_from_hazard_ratio(0.5, 0.0))


def test_an_unknown_method_is_refused_with_the_table() -> None:
    for convert in (to.smd_from_log_odds_ratio, to.log_odds_ratio_from_smd):
        with pytest.raises(
            ValueError, match='unknown method "HH"; use one of: hasselblad-hedges, cox-snell'
        ):
            convert(0.1, 0.1, method="HH")
