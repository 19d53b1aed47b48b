"""The search for the global maximum: its bounds and halvings, where a plain search is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kapmeta.core.heterogeneity import variance_likelihood
from kapmeta.core.heterogeneity.variance_likelihood import (
    global_maximum,
    local_maxima,
    log_likelihood,
)
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.likelihood_search import (
    Likelihood,
    Slopes,
    every_maximum,
    highest_maxima,
)

# Two modes between neighbours of six first nodes, the score having one sign at both: found among
# some million random problems. Effects, variances, restricted.
HIDDEN = [
    ((-0.28, -0.36, 1.22, -1.68, -0.95), (0.021, 0.018, 2.283, 4.019, 0.088), True),
    ((5.5, -0.9, -0.15, 0.51), (3.963, 0.588, 0.009, 0.077), True),
    ((-2.39, 0.63, 0.06), (1.05, 0.077, 0.021), False),
    ((-0.75, 1.8, -0.55, 0.1), (0.065, 1.522, 0.022, 0.092), False),
    ((0.51, -0.07, 1.0, 1.06, -0.26), (0.271, 0.797, 0.041, 0.508, 0.352), False),
    ((0.08, 1.06, -0.51, -0.16, 0.23), (3.493, 0.378, 0.201, 0.008, 0.04), False),
    ((-0.4, -1.06, -0.3, -0.5, -0.78), (2.513, 0.391, 0.049, 3.26, 0.009), False),
]


@pytest.mark.parametrize(("y", "v", "restricted"), HIDDEN)
def test_a_mode_hidden_between_the_first_nodes_is_found(
    y: tuple[float, ...], v: tuple[float, ...], restricted: bool
) -> None:
    """In a large batch with few first nodes, no grid point is higher, and rows alone agree."""
    effects, variances = np.tile(y, (400, 1)), np.tile(v, (400, 1))
    here = global_maximum(effects, variances, restricted=restricted)
    top = log_likelihood(effects[0], variances[0], here[0], restricted=restricted)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 50, 4000)])
    rivals = log_likelihood(np.array(y), np.tile(v, (grid.size, 1)), grid, restricted=restricted)
    assert rivals.max() <= top + 1e-13
    assert_allclose(
        here, global_maximum(np.array(y), np.array(v), restricted=restricted), rtol=1e-10
    )
    small = global_maximum(1e-5 * effects, 1e-10 * variances, restricted=restricted)
    assert_allclose(1e10 * small, here, rtol=1e-10)


@pytest.mark.parametrize(("y", "v", "restricted"), HIDDEN)
def test_every_maximum_is_a_peak_of_a_fine_grid(
    y: tuple[float, ...], v: tuple[float, ...], restricted: bool
) -> None:
    modes, _ = local_maxima(np.array(y), np.array(v), restricted=restricted)
    grid = np.concatenate([[0.0], np.geomspace(1e-5, 50, 20_000)])
    height = log_likelihood(np.array(y), np.tile(v, (grid.size, 1)), grid, restricted=restricted)
    padded = np.concatenate([[-np.inf], height, [-np.inf]])
    peaks = grid[(height > padded[:-2]) & (height > padded[2:])]
    assert_allclose(np.sort(modes), peaks, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("aside", "there"), [(-1e-6, 0.09643211), (1e-6, 2.65751359)])
def test_ties_are_settled_row_by_row(aside: float, there: float) -> None:
    """A row with two modes all but equally high among rows with one."""
    two = np.array([0.1, -0.3, 4.3627393716306315 + aside]), np.array([0.07, 0.01, 3.27])
    one = np.array([0.3, -0.4, 1.7]), np.array([0.04, 0.5, 1.2])
    alone = global_maximum(*one, restricted=True)
    y, v = (np.array(part) for part in zip(one, two, one, strict=True))
    assert_allclose(global_maximum(y, v, restricted=True), [alone, there, alone], rtol=1e-5)


@pytest.mark.parametrize("factor", [np.nan, 0.0, -1.0, 0.05])
def test_brackets_close_by_bisection_where_the_slopes_mislead(factor: float) -> None:
    """Newton's steps from false slopes leave the bracket; the maximum is found all the same."""
    y, v = np.array([[0.3, -0.4, 1.7, 0.9]]), np.array([[0.04, 0.5, 1.2, 0.09]])
    honest = variance_likelihood._likelihood(y, v, True)

    def slopes(row: IntArray, t: FloatArray) -> Slopes:
        a, b, da, db = honest.slopes(row, t)
        return Slopes(a, b, factor * da, factor * db)

    lost = Likelihood(honest.variances, honest.limit, honest.curve, slopes)
    expected = global_maximum(y, v, restricted=True)
    assert expected > 0
    assert_allclose(highest_maxima(lost), expected, rtol=1e-13)
    assert_allclose(every_maximum(lost)[0], expected, rtol=1e-13)


@pytest.mark.parametrize("restricted", [True, False])
def test_maxima_have_no_unit(restricted: bool) -> None:
    """A margin for rounding that has a unit ends the search early, or late, in another one."""
    rng = np.random.default_rng(5)
    y, v = rng.standard_t(2, (1000, 5)), 10 ** rng.uniform(-2.5, 1, (1000, 5))
    here = global_maximum(y, v, restricted=restricted)
    for c in (1e-5, 1e5):
        there = global_maximum(c * y, c * c * v, restricted=restricted) / c**2
        assert_allclose(there, here, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("restricted", [True, False])
def test_zero_is_a_mode_where_the_likelihood_falls_from_it_and_nowhere_else(
    restricted: bool,
) -> None:
    rng = np.random.default_rng(2)
    seen = []
    for _ in range(150):
        y, v = rng.standard_t(2, 4), 10 ** rng.uniform(-2.5, 1, 4)
        modes, _ = local_maxima(y, v, restricted=restricted)
        steps = np.array([0.0, 1e-6 * v.min()])
        here, next_to_it = log_likelihood(y, np.tile(v, (2, 1)), steps, restricted=restricted)
        assert (0 in modes) == (next_to_it < here)
        seen.append(0 in modes)
    assert any(seen)
    assert not all(seen)
