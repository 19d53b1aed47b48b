"""Effects from printed intervals, standard errors and p-values: worked examples and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kapmeta.core.effects import reported_effects as to
from kapmeta.core.numerics.distributions import t_quantile, t_two_sided

ratios = st.floats(0.05, 20)


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


@given(
    ratios,
    st.floats(0.05, 2),
    st.sampled_from([0.9, 0.95, 0.99]),
    st.sampled_from([4.0, 30.0, np.inf]),
)
def test_reported_effects_come_back(estimate: float, se: float, level: float, df: float) -> None:
    half = t_quantile((1 + level) / 2, df) * se
    low, high = estimate * np.exp(-half), estimate * np.exp(half)
    for pair in ((low, high), (low, np.nan), (np.nan, high)):
        effect = to.from_interval(estimate, *pair, level=level, df=df)
        assert (float(effect.y), float(effect.v)) == pytest.approx(
            (np.log(estimate), se * se), rel=1e-8
        )
        assert effect.consistent
        assert np.isnan(effect.discrepancy) == any(np.isnan(limit) for limit in pair)
    plain = to.from_interval(
        estimate, estimate - half, estimate + half, ratio=False, level=level, df=df
    )
    assert (float(plain.y), float(plain.v)) == pytest.approx((estimate, se * se), rel=1e-8)
    from_se = to.from_standard_error(estimate, se)
    assert (float(from_se.y), float(from_se.v)) == pytest.approx(
        (np.log(estimate), se * se), rel=1e-12
    )


@given(ratios, st.floats(0.05, 2), st.sampled_from([4.0, 30.0, np.inf]))
def test_p_values_come_back(estimate: float, se: float, df: float) -> None:
    assume(abs(np.log(estimate)) > 1e-3)
    p = t_two_sided(np.log(estimate) / se, df)
    assume(p > 1e-250)
    effect = to.from_p_value(estimate, p, df=df)
    assert (float(effect.y), float(effect.v)) == pytest.approx(
        (np.log(estimate), se * se), rel=1e-6
    )
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
