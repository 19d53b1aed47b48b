"""Bounds on publication bias and confounding: worked values, defining equations, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kapmeta.core.small_study import bias_bounds
from tests.helpers.r_values import data_set


def test_method_specification() -> None:
    """Worked values of the method specification on KAP5."""
    y, v = data_set("kap5")
    assert bias_bounds.affirmative(y, v).tolist() == [True, False, True, False, True]
    worst = bias_bounds.worst_case(y, v)
    assert_allclose([worst.estimate, worst.se], [1.0361700, 0.4905797], rtol=1e-7)
    assert float(worst.low) == pytest.approx(0.0746, abs=1e-4)
    assert (
        float(bias_bounds.s_value(y, v)) == np.inf
    )  # no amount of such selection moves the estimate to 0
    assert bias_bounds.s_value_limit(y, v) == np.inf  # nor the limit
    five = bias_bounds.corrected(y, v, 5.0)
    assert_allclose([five.estimate, five.se], [1.01771367, 0.21451801], rtol=1e-7)


def test_e_values() -> None:
    """VanderWeele and Ding's formula; worked values to the digits of the specification's ratios."""
    assert_allclose(
        bias_bounds.e_value([2.7447, 1.998, 0.7018]), [4.93296, 3.41016, 2.2029], atol=2e-4
    )
    assert bias_bounds.e_value(1.0) == 1
    assert_allclose(bias_bounds.e_value([0.25]), bias_bounds.e_value([4.0]))


data = st.integers(2, 8).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-1, 2), min_size=k, max_size=k),
        st.lists(st.floats(0.02, 1), min_size=k, max_size=k),
    )
)


@given(data, st.floats(-0.5, 0.8))
def test_s_value_brings_the_estimate_to_the_target(
    given_: tuple[list[float], list[float]], target: float
) -> None:
    y, v = np.array(given_[0]), np.array(given_[1])
    yes = bias_bounds.affirmative(y, v)
    s = float(bias_bounds.s_value(y, v, target=target))
    if yes.all() or not yes.any():
        assert np.isnan(s)
        assert np.isnan(bias_bounds.s_value_limit(y, v, target=target))
    elif np.isinf(s):
        assert bias_bounds.worst_case(y, v).estimate >= target - 1e-9
    elif s == 1:
        assert bias_bounds.corrected(y, v, 1.0).estimate <= target + 1e-9
    elif s < 1e6:
        assert float(bias_bounds.corrected(y, v, s).estimate) == pytest.approx(target, abs=1e-8)


@given(data, st.sampled_from([None, 0.05]))
@settings(max_examples=40)
def test_s_value_of_the_limit(given_: tuple[list[float], list[float]], tau2: float | None) -> None:
    y, v = np.array(given_[0]), np.array(given_[1])
    s = bias_bounds.s_value_limit(y, v, tau2=tau2)
    between = None if tau2 is None else np.array(tau2)
    if np.isfinite(s) and s > 1:
        assert float(bias_bounds.corrected(y, v, s, tau2=between).low) == pytest.approx(0, abs=1e-8)
        assert float(bias_bounds.corrected(y, v, (1 + s) / 2, tau2=between).low) > 0 or s < 1.1
    elif s == 1:
        assert not float(bias_bounds.corrected(y, v, 1.0, tau2=between).low) > 0


@given(data)
def test_worst_case_is_the_limit_of_the_corrected_estimate(
    given_: tuple[list[float], list[float]],
) -> None:
    y, v = np.array(given_[0]), np.array(given_[1])
    if (~bias_bounds.affirmative(y, v)).any():
        for tau2 in (None, np.array(0.1)):
            far, worst = (
                bias_bounds.corrected(y, v, 1e13, tau2=tau2),
                bias_bounds.worst_case(y, v, tau2=tau2),
            )
            assert float(far.estimate) == pytest.approx(float(worst.estimate), rel=1e-6, abs=1e-9)


@given(data, st.floats(1, 50), st.floats(-6, 6))
def test_equivariance_and_batch(
    given_: tuple[list[float], list[float]], eta: float, power: float
) -> None:
    y, v = np.array(given_[0]), np.array(given_[1])
    c = 10.0**power
    one = bias_bounds.corrected(y, v, eta, tau2=0.1)
    scaled = bias_bounds.corrected(y * c, v * c * c, eta, tau2=0.1 * c * c)
    if ((y / np.sqrt(v) > 1.9599639845) == (y / np.sqrt(v) > 1.9599639846)).all():
        assert_allclose(scaled.estimate / c, one.estimate, rtol=1e-9, atol=1e-12)
        assert_allclose(scaled.se / c, one.se, rtol=1e-9, atol=1e-12)
    batch = bias_bounds.corrected(
        np.stack([np.append(y, np.nan)] * 2),
        np.stack([np.append(v, np.inf)] * 2),
        [eta, 1.0],
        tau2=[0.1, 0.1],
    )
    assert_allclose([batch.estimate[0], batch.df[0]], [one.estimate, one.df], rtol=1e-9, atol=1e-12)


def test_robust_variance_is_unbiased_under_the_working_model() -> None:
    """The defining property of CR2: E[se^2] is the variance of the estimate, here over all sign
    patterns of the errors.

    With errors +-sqrt(phi) in all 2^k combinations the second moments are those of the working
    model exactly.
    """
    k, eta, tau2 = 6, 4.0, 0.07
    v = np.array([0.03, 0.1, 0.2, 0.08, 0.4, 0.15])
    phi = v + tau2
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * k)).reshape(k, -1).T
    weights = np.where(np.arange(k) < 2, 1.0, eta) / phi  # the first two affirmative
    shares = weights / weights.sum()
    se, _ = bias_bounds._robust(
        np.broadcast_to(weights, signs.shape),
        np.broadcast_to(phi, signs.shape),
        signs * np.sqrt(phi) - (signs * np.sqrt(phi) * shares).sum(1, keepdims=True),
    )
    assert float((se**2).mean()) == pytest.approx(float((shares**2 * phi).sum()), rel=1e-12)


def test_robust_with_equal_variances_is_the_t_interval() -> None:
    y = np.array([0.1, 0.4, -0.2, 0.3, 0.05])
    found = bias_bounds.corrected(y, np.full(5, 0.2), 1.0, tau2=0.1)
    assert_allclose([found.se, found.df], [y.std(ddof=1) / np.sqrt(5), 4], rtol=1e-12)


def test_proportion_above_a_threshold() -> None:
    """1 - Phi((q + bias - mu) / sqrt(tau2 - bias variance))."""
    assert float(bias_bounds.proportion_above(0.4, 0.09, 0.1)) == pytest.approx(
        0.8413447460685429, rel=1e-12
    )
    assert float(
        bias_bounds.proportion_above(0.4, 0.25, 0.1, bias=0.3, bias_sd=0.3)
    ) == pytest.approx(0.5)
    assert np.isnan(bias_bounds.proportion_above(0.4, 0.04, 0.1, bias_sd=0.3))


@pytest.mark.parametrize("k", [2, 3])
def test_three_trials_are_enough(k: int) -> None:
    y, v = np.array([0.9, 0.3, 0.8])[:k], np.array([0.05, 0.09, 0.4])[:k]
    assert np.isfinite(bias_bounds.worst_case(y, v).estimate)
    assert bias_bounds.s_value_limit(y, v) > 1
