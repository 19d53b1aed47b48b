"""Maxima in a box: inside it, on its bounds, and away from a saddle."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.maxima import Maximum, highest, maximise


def test_maximise_finds_maxima_inside_and_on_the_bounds() -> None:
    def bowl(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return -float(((x - 3) ** 2).sum()), -2 * (x - 3), -2 * np.eye(2)

    inside = maximise(bowl, [0.0, 0.0], [-9, -9], [9, 9])
    edge = maximise(bowl, [0.0, 0.0], [-9, -9], [9, 1])
    assert_allclose(inside.theta, [3, 3])
    assert_allclose(inside.covariance, np.eye(2) / 2)
    assert_allclose(edge.theta, [3, 1])
    assert edge.on_bound.tolist() == [False, True]
    assert np.isnan(edge.covariance[1]).all()
    assert inside.converged
    assert edge.converged


def test_maximise_climbs_out_of_a_saddle() -> None:
    """f = x^2 - x^4 - y^2 has its maxima at x = +-1/sqrt(2)."""

    def saddle(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value = x[0] ** 2 - x[0] ** 4 - x[1] ** 2
        return (
            float(value),
            np.array([2 * x[0] - 4 * x[0] ** 3, -2 * x[1]]),
            np.diag([2 - 12 * x[0] ** 2, -2.0]),
        )

    found = maximise(saddle, [0.01, 2.0], [-5, -5], [5, 5])
    assert_allclose(found.theta, [np.sqrt(0.5), 0], atol=1e-12)


def test_a_coordinate_without_effect_does_not_stop_the_search() -> None:
    """A slope of 1e-16 across [0, 100] is worth less than the rounding of the value."""

    def plain(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value = 1000 - (x[0] - 1) ** 2 - 1e-12 * (x[1] > 3)
        return float(value), np.array([-2 * (x[0] - 1), 1e-16]), np.diag([-2.0, -1e-30])

    found = maximise(plain, [1.0, 3.0], [-9, 0], [9, 100])
    assert found.converged
    assert_allclose(found.theta[0], 1)


def test_a_search_with_nothing_free_stays_and_has_no_covariance() -> None:
    fit = maximise(
        lambda x: (-float(x @ x), -2 * x, -2 * np.eye(2)), [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]
    )
    assert_allclose(fit.theta, [1.0, 2.0])
    assert np.isnan(fit.covariance).all()


def test_a_search_that_climbs_without_end_does_not_claim_to_have_settled() -> None:
    """Slope 1 and curvature 1 all the way: every step is of length 1, and the box ends far away."""
    fit = maximise(lambda x: (float(x[0]), np.ones(1), -np.eye(1)), [0.0], [-1e6], [1e6])
    assert fit.theta[0] > 10
    assert not fit.converged


def test_a_step_that_the_box_bends_down_is_not_taken() -> None:
    """The direction (2, 1) points up; cut at x = 0 it points down, along slopes of no ascent."""

    def misled(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return (
            -1e-5 * min(1.0, abs(x[1])),
            np.array([1.0, -1.0]),
            np.array([[-1.5, 2.0], [2.0, -3.0]]),
        )

    fit = maximise(misled, [-1e-4, 0.0], [-1.0, -1.0], [0.0, 1.0])
    assert fit.log_likelihood == 0
    assert fit.theta.tolist() == [-1e-4, 0.0]
    assert not fit.converged


def test_the_end_is_reached_though_the_value_no_longer_shows_it() -> None:
    """Beside a value of 1e6 a gain below 1e-10 is lost in rounding; the gradient still points."""

    def far(x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        e = x - np.array([1 / 3, 2 / 3])
        return (1e6 - float((e**2 / 2 + e**4).sum()), -(e + 4 * e**3), np.diag(-(1 + 12 * e**2)))

    found = maximise(far, [0.0, 0.0], [-np.inf, -np.inf], [np.inf, np.inf])
    assert found.converged
    assert_allclose(found.theta, [1 / 3, 2 / 3], rtol=1e-15)


def test_of_equal_maxima_the_first_is_taken() -> None:
    ends = [
        Maximum(np.array([x]), value, np.eye(1), np.array([False]), True)
        for x, value in ((0.0, -np.inf), (1.0, -3.0 - 1e-13), (2.0, -3.0), (3.0, np.nan))
    ]
    assert highest(ends).theta.tolist() == [1.0]
