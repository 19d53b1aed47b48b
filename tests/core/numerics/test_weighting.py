"""Weighted sums against the matrices and exact fractions they stand for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal

from kapmeta.core.numerics import weighting
from kapmeta.core.numerics.arrays import FloatArray

Y = np.array([0.3, -0.4, 1.7, 0.9])
V = np.array([0.04, 0.5, 1.2, 0.09])

weight_rows = arrays.arrays(float, st.integers(1, 7), elements=st.floats(1e-3, 1e3))


def projection(w: FloatArray) -> FloatArray:
    """``W - W 1 (1'W1)^-1 1'W``."""
    return np.asarray(np.diag(w) - np.outer(w, w) / w.sum())


def test_present_sets_the_effects_of_absent_studies_to_0_and_broadcasts() -> None:
    y, v = weighting.present([np.nan, 2.0, np.inf], [[np.inf, 0.1, np.inf], [0.2, np.inf, 0.3]])
    assert_array_equal(y, [[0, 2, 0], [np.nan, 0, np.inf]])
    assert v.shape == (2, 3)
    assert_array_equal(weighting.count(v), [1, 2])
    assert weighting.count(np.array([0.1, np.inf])).shape == ()
    y, v = weighting.present([[1.0, 2.0], [3.0, 4.0]], [0.1, np.inf])
    assert_array_equal(y, [[1, 0], [3, 0]])
    assert_array_equal(v, [[0.1, np.inf], [0.1, np.inf]])


def test_weights_take_one_tau2_a_row() -> None:
    v = np.array([[0.1, 0.4], [0.2, np.inf]])
    assert_allclose(weighting.weights(v, [0.1, 0.3]), [[5.0, 2.0], [2.0, 0.0]], rtol=1e-15)
    assert_array_equal(weighting.weights(v), [[10.0, 2.5], [5.0, 0.0]])


@given(weight_rows)
def test_traces_are_those_of_the_projection(w: FloatArray) -> None:
    p = projection(w)
    assert_allclose(weighting.trace_p(w), np.trace(p), rtol=1e-9, atol=1e-12 * w.max())
    assert_allclose(weighting.trace_pp(w), np.trace(p @ p), rtol=1e-9, atol=1e-12 * w.max() ** 2)
    assert_allclose(
        weighting.sums_of_others(w), [np.delete(w, i).sum() for i in range(w.size)], rtol=1e-14
    )


@pytest.mark.parametrize("place", range(4))
def test_traces_keep_their_digits_where_one_weight_dominates(place: int) -> None:
    w = np.array([1.0, 2.0, 3.0, 4.0])
    w[place] = 1e18  # S1 - S2 / S1 would be 0 or noise
    exact = [Fraction(x) for x in w]
    total = sum(exact)
    others = [total - x for x in exact]
    trace = sum(x * o for x, o in zip(exact, others, strict=True)) / total
    diagonal = sum((x * o) ** 2 for x, o in zip(exact, others, strict=True))
    mixed = sum(exact[i] ** 2 * exact[j] ** 2 for i in range(4) for j in range(4) if i != j)
    assert_allclose(weighting.trace_p(w), float(trace), rtol=1e-15)
    assert_allclose(weighting.trace_pp(w), float((diagonal + mixed) / total**2), rtol=1e-15)
    assert_array_equal(weighting.sums_of_others(w), [float(o) for o in others])


def test_mean_residuals_and_q() -> None:
    w = 1 / (V + 0.2)
    mean, e = weighting.mean_and_residuals(Y, w)
    assert_allclose(mean, (w * Y).sum() / w.sum(), rtol=1e-15)
    assert_allclose(e, Y - mean, rtol=1e-14)
    assert_allclose(weighting.q_statistic(Y, V, 0.2), Y @ projection(w) @ Y, rtol=1e-13)
    assert_allclose(weighting.q_statistic(Y, V), Y @ projection(1 / V) @ Y, rtol=1e-13)


def test_a_large_common_shift_costs_no_more_digits_than_it_must() -> None:
    _, near = weighting.mean_and_residuals(Y, 1 / V)
    _, far = weighting.mean_and_residuals(Y + 2.0**20, 1 / V)
    assert_allclose(far, near, rtol=0, atol=2.0**20 * np.finfo(float).eps)
    assert abs(((1 / V) * far).sum()) < 1e-14 * (1 / V).sum()


def test_the_second_pass_takes_out_what_the_first_has_lost() -> None:
    """The sum of these effects loses all the ones, so the first mean is 0.75 too small."""
    y, v = np.array([2.0**53, 1.0, 1.0, 1.0]), np.ones(4)
    exact = 2.0**51 + 0.75
    mean, e = weighting.mean_and_residuals(y, v)
    assert abs(mean - exact) <= 0.25
    assert abs(e.sum()) <= 0.5
    mean, _ = weighting.spread(y, v)
    assert abs(mean - exact) <= 0.25


def test_the_sum_of_squares_survives_a_huge_common_shift() -> None:
    """A third of ``3 2^44 + 7`` is no float64: about the rounded mean the sum would be 1e-6 off."""
    y = np.array([1.0, 2.0, 4.0]) + 2.0**44
    _, squares = weighting.spread(y, np.ones(3))
    assert_allclose(squares, 14 / 3, rtol=1e-14)
    assert_allclose(weighting.q_statistic(y, np.ones(3)), 14 / 3, rtol=1e-14)


def test_absent_studies_leave_no_residual_and_no_study_leaves_nan() -> None:
    mean, e = weighting.mean_and_residuals(
        np.array([[0.0, 3.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [0.0, 0.0]])
    )
    assert_array_equal(mean, [3.0, np.nan])
    assert_array_equal(e, np.zeros((2, 2)))
    assert np.isnan(weighting.trace_p(np.zeros(3)))


def test_spread_is_unweighted_and_of_the_studies_present() -> None:
    mean, squares = weighting.spread(np.append(Y, 0.0), np.append(V, np.inf))
    assert_allclose([mean, squares], [Y.mean(), ((Y - Y.mean()) ** 2).sum()], rtol=1e-15)
    _, shifted = weighting.spread(Y + 2.0**20, V)
    assert_allclose(shifted, squares, rtol=1e-9)
    assert np.isnan(weighting.spread(np.zeros(2), np.full(2, np.inf))[0])
