"""Profile limits of mean and tau: independent of the search, on the level, infinite."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from kapmeta.core.exact import likelihood_models, marginal_likelihood, mode_search, profile_limits
from kapmeta.core.exact.tabulated_curves import tabulated
from tests.helpers.sparse_data import tables, tables_of


@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize("factor", [1e-3, 0.1, 30, 1000])
def test_limits_do_not_depend_on_how_far_is_looked_at_first(random, factor):
    studies = tabulated("OR", tables("k3_S1S3S5"))
    fit = likelihood_models.maximise_likelihood(studies, random=random)
    target = fit.loglik - stats.chi2.ppf(0.95, 1) / 2
    mode = (fit.mu, fit.tau, fit.loglik)
    low, high = (
        profile_limits.mean_limit(studies, mode, fit.se * factor, target, s, random)
        for s in (-1.0, 1.0)
    )
    np.testing.assert_allclose([low, high], [fit.low, fit.high], rtol=1e-12)


@pytest.mark.parametrize("first", [0.01, 1.0, 5.0])
def test_bisection_finds_the_limits_of_newton(first):
    """Wherever the first looks are, inside the interval or far beyond."""
    studies = tabulated("OR", tables("k3_S1S3S5"))
    fit = likelihood_models.maximise_likelihood(studies, random=False)
    target = fit.loglik - stats.chi2.ppf(0.95, 1) / 2
    for side, limit in ((-1, fit.low), (1, fit.high)):
        found = profile_limits._crossing_by_bisection(
            studies, fit.mu, fit.mu + side * first, target, False
        )
        assert found == pytest.approx(limit, rel=1e-10)


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_a_limit_of_tau_far_beyond_the_first_looks_is_where_the_profile_has_fallen(level):
    """Two small trials far apart, one with a zero cell: limits at 16 and 66 times the estimate."""
    studies = tabulated("OR", tables_of([(0, 21, 19, 26), (21, 30, 19, 21)]))
    fit = likelihood_models.maximise_likelihood(studies, level=level)
    assert fit.tau_high > 10 * fit.tau

    def lack(mu):
        return -marginal_likelihood.marginal_log_likelihood(
            studies, np.array([mu]), np.array([fit.tau_high])
        )[0]

    around = fit.mu + np.array([-3, 3]) * fit.tau_high
    best = -optimize.minimize_scalar(
        lack, bounds=around, method="bounded", options={"xatol": 1e-9}
    ).fun
    assert fit.loglik - best == pytest.approx(stats.chi2.ppf(level, 1) / 2, rel=1e-7)


def test_where_the_likelihood_never_falls_there_is_no_limit():
    """One trial without events under control: to the right its curve is a plateau."""
    one = tabulated("RR", tables("cocaine1"))
    target = one[0].top - 2
    assert (
        profile_limits.mean_limit(one, (3.0, 0.0, one[0].top), 1.0, target, 1.0, False) == math.inf
    )
    assert math.isnan(profile_limits._crossing_by_bisection(one, 3.0, 5.0, target, False))
    assert (
        mode_search.best_means(one, np.zeros(1))[0] > 20
    )  # the mean of highest likelihood lies on it
