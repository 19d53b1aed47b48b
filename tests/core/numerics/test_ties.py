"""Orders that do not depend on the last digit of a computed value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.numerics.ties import tied_ranks


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_values_equal_to_rounding_share_a_rank(unit: float) -> None:
    x = np.array([0.3, 0.1 + 0.2, 0.2, 1e-17, -1e-17, 0.0]) * unit
    assert tied_ranks(x).tolist() == [2, 2, 1, 0, 0, 0]


def test_missing_values_come_last_and_infinities_keep_their_place() -> None:
    x = [np.nan, np.inf, 1.0, -np.inf, np.inf, np.nan]
    assert tied_ranks(x).tolist() == [3, 2, 1, 0, 2, 4]
    assert tied_ranks([]).size == 0


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_noise_in_the_last_digits_changes_no_rank(whole: list[int], seed: int) -> None:
    x = np.array(whole, dtype=float)
    noise = np.random.default_rng(seed).uniform(-1, 1, x.size)
    noisy = x * (1 + 4 * np.finfo(float).eps * noise)
    expected = np.unique(x, return_inverse=True)[1]
    assert tied_ranks(noisy).tolist() == expected.tolist()
