"""The grid of mean and tau: what is read off it against the posterior and profile of each set."""

from __future__ import annotations

import numpy as np
import pytest

from kapmeta.core.bayes import binomial_posterior
from kapmeta.core.bayes.priors import half_normal
from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.exact.tabulated_curves import tabulated
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.sensitivity import likelihood_grids

# cells of two sets of three tables; the second has an empty cell and a table without a contrast
SETS = Tables(
    np.array([[13.0, 6, 12], [9, 3, 0]]),
    np.array([[13.0, 29, 15], [31, 37, 20]]),
    np.array([[6.0, 2, 4], [5, 0, 0]]),
    np.array([[21.0, 33, 24], [35, 40, 20]]),
)


def one_set(i: int) -> Tables:
    return Tables(*(cell[i] for cell in SETS))


@pytest.mark.parametrize("measure", ["RR", "OR"])
@pytest.mark.parametrize("i", [0, 1])
def test_posterior_limits_are_those_of_each_set(measure: str, i: int) -> None:
    surfaces, informative = likelihood_grids.likelihood_surfaces(SETS, measure)
    assert list(informative) == [3, 2]
    likelihoods = likelihood_grids.relative_likelihoods(surfaces)
    prior, mean_prior = half_normal(0.75), (0.0, 2.82)
    low, high = likelihood_grids.posterior_limits(likelihoods, prior, mean_prior, 0.95)
    fit = binomial_posterior.binomial_normal(tabulated(measure, one_set(i)), prior, mean_prior)
    expected = binomial_posterior.mean_effect(fit).quantile([0.025, 0.975])
    np.testing.assert_allclose((low[i], high[i]), expected, atol=1e-3)


def test_the_spline_meets_cubics_and_its_points() -> None:
    points = likelihood_grids.grid()

    def curve(x: FloatArray) -> FloatArray:
        return -0.5 * (x - 0.3) ** 2

    fine = curve(points.mean) @ points.interpolation
    inside = np.abs(points.finer) < 8
    np.testing.assert_allclose(fine[inside], curve(points.finer)[inside], atol=1e-9)


def test_a_profile_that_never_falls_has_no_limit_there() -> None:
    """With no event among the controls of any table the ratio has no upper limit."""
    cells = [np.array([x]) for x in ([5.0, 4.0], [15.0, 16.0], [0.0, 0.0], [20.0, 20.0])]
    surfaces, _ = likelihood_grids.likelihood_surfaces(Tables(*cells), "RR")
    low, high = likelihood_grids.profile_limits(surfaces, 0.95)
    assert np.isfinite(low[0])
    assert np.isposinf(high[0])
