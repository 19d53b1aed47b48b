"""Roots are exact, whatever the unit of the abscissa."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kapmeta.core.numerics.roots import bracketed_root


@given(st.floats(-5, 5), st.sampled_from([1e-12, 1e-6, 1.0, 1e6, 1e12]))
@example(1e-8, 1e-6)  # the target is rounded by half of what the root may be off
def test_the_root_of_an_exponential_is_exact_in_every_unit(log_target: float, unit: float) -> None:
    target = np.exp(log_target)
    root = bracketed_root(lambda x: np.exp(x / unit) - target, -6 * unit, 6 * unit)
    assert_allclose(root / unit, np.log(target), rtol=1e-14, atol=2e-16)


def test_many_roots_in_one_call_equal_each_alone() -> None:
    targets = np.linspace(0.1, 50, 101)
    together = bracketed_root(lambda x: x**3 + x - targets, np.zeros(101), np.full(101, 4.0))
    alone = [float(bracketed_root(lambda x, t=t: x**3 + x - t, 0.0, 4.0)) for t in targets]  # type: ignore[misc]
    assert_array_equal(together, alone)
    assert_allclose(together**3 + together, targets, rtol=1e-14)


def test_an_end_that_is_the_root_is_returned() -> None:
    assert_array_equal(
        bracketed_root(lambda x: x - np.array([1.0, 3.0]), [1.0, 0.0], [2.0, 3.0]), [1.0, 3.0]
    )


def test_no_sign_change_is_nan_and_does_not_stop_the_others() -> None:
    assert_array_equal(
        bracketed_root(lambda x: x - np.array([9.0, 1.0]), [0.0, 0.0], [2.0, 2.0]), [np.nan, 1.0]
    )


@pytest.mark.parametrize("power", [3, 9, 15])
def test_a_flat_root_is_found_by_bisection_at_worst(power: int) -> None:
    root = bracketed_root(lambda x: (x - 0.3) ** power, -1.0, 2.0)
    assert_allclose(root, 0.3, rtol=1e-14)


def test_a_step_is_located_between_neighbouring_numbers() -> None:
    root = bracketed_root(lambda x: np.where(x < 0.7, -1.0, 1e300), 0.0, 1.0)
    assert_allclose(root, 0.7, rtol=4e-16)


def test_a_jump_at_zero_is_followed_down_to_nothing() -> None:
    """Neighbouring numbers are not reached in 200 halvings; what is left of the bracket is tiny."""
    root = bracketed_root(lambda x: np.where(x > 0, 1.0, -1.0), -1.0, 2.0)
    assert abs(root) < 1e-40
