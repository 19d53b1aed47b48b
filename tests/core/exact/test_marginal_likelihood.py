"""The marginal likelihood on curves: brute integration, derivatives, interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from kapmeta.core.exact import marginal_likelihood
from kapmeta.core.exact.tabulated_curves import tabulated
from tests.helpers.sparse_data import brute_log_likelihood, tables


def test_interpolation_between_points():
    for measure in ("OR", "RR"):
        for study in tabulated(measure, tables("kap5")):
            theta = np.linspace(study.theta[0], study.theta[-1], 2001)
            exact = study.curve(study.table, theta[None]).loglik[0] - study.top
            near = exact > -30
            found = marginal_likelihood.between_points(study, theta).loglik
            np.testing.assert_allclose(found[near], exact[near], atol=3e-6)


@pytest.mark.parametrize("measure", ["OR", "RR"])
@pytest.mark.parametrize(
    ("mu", "tau"), [(1.0, 0.02), (0.3, 0.2), (2.0, 0.6), (5.0, 1.5), (-2.0, 4.0), (8.0, 3.0)]
)
def test_marginal_likelihood_meets_brute_integration(measure, mu, tau):
    studies = tabulated(measure, tables("kap5"))
    at = np.array([mu]), np.array([tau])
    brute = brute_log_likelihood(measure, "kap5", mu, tau)
    assert marginal_likelihood.marginal_log_likelihood(studies, *at)[0] == pytest.approx(
        brute, abs=1e-7
    )
    assert marginal_likelihood.marginal(studies, *at).value[0] == pytest.approx(brute, abs=1e-7)


@pytest.mark.parametrize("measure", ["OR", "RR"])
def test_derivatives_of_the_marginal_likelihood(measure):
    studies, h = tabulated(measure, tables("kap5")), 1e-5
    mu, tau = np.array([0.3, 1.2, 2.5]), np.array([0.15, 0.5, 2.0])
    here = marginal_likelihood.marginal(studies, mu, tau)
    for i, (dm, dt) in enumerate(((h, 0), (0, h))):
        up, down = (
            marginal_likelihood.marginal(studies, mu + s * dm, tau + s * dt) for s in (1, -1)
        )
        np.testing.assert_allclose(
            here.gradient[:, i], (up.value - down.value) / (2 * h), atol=1e-5
        )
        np.testing.assert_allclose(
            here.hessian[:, i], (up.gradient - down.gradient) / (2 * h), atol=1e-4
        )
