"""The likelihood of the between-study variance and its score, against their matrix forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kapmeta.core.heterogeneity import variance_likelihood
from kapmeta.core.heterogeneity.variance_likelihood import log_likelihood
from kapmeta.core.moderators import residual_likelihood
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.likelihood_search import Likelihood

Y = np.array([0.3, -0.4, 1.7, 0.9, 5.0])
V = np.array([0.04, 0.5, 1.2, 0.09, np.inf])  # the last study is absent
T = np.array([0.0, 0.02, 0.7, 40.0])


def parts(
    y: FloatArray, v: FloatArray, x: FloatArray, tau2: float, restricted: bool
) -> tuple[float, ...]:
    """Compute log-likelihood, ``A``, ``B`` and their slopes by matrices."""
    w = np.diag(1 / (v + tau2))
    p = w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w
    q = p if restricted else w
    loglik = -0.5 * (np.log(v + tau2).sum() + y @ p @ y)
    if restricted:
        loglik -= 0.5 * np.linalg.slogdet(x.T @ w @ x)[1]
    return loglik, y @ p @ p @ y, np.trace(q), y @ p @ p @ p @ y, np.trace(q @ q)


def likelihood(moderators: FloatArray | None, restricted: bool) -> Likelihood:
    y, v = np.where(np.isfinite(V), Y, 0.0)[None], V[None]
    if moderators is None:
        return variance_likelihood._likelihood(y, v, restricted)
    return residual_likelihood._residual_likelihoods(y, v, moderators[None], restricted)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize(
    "moderators", [None, np.column_stack([np.ones(5), [0.0, 1.0, 0.5, 2.0, 3.0]])]
)
def test_curve_and_slopes_are_those_of_the_matrices(
    moderators: FloatArray | None, restricted: bool
) -> None:
    there = np.isfinite(V)
    x = np.ones((4, 1)) if moderators is None else moderators[there]
    expected = np.transpose([parts(Y[there], V[there], x, t, restricted) for t in T])
    found = likelihood(moderators, restricted)
    curve = found.curve(np.zeros(1, dtype=int), T[None])
    assert_array_equal(curve.t, T[None])
    assert_allclose([part[0] for part in curve[1:]], expected, rtol=1e-12)
    assert_allclose(found.slopes(np.zeros(4, dtype=int), T), expected[1:], rtol=1e-12)


@pytest.mark.parametrize("restricted", [True, False])
def test_likelihoods_of_the_maxima_pass_over_an_absent_study(restricted: bool) -> None:
    y, v = np.array([0.1, -0.3, 4.2, 0.0]), np.array([0.07, 0.01, 3.27, np.inf])
    modes, loglik = variance_likelihood.local_maxima(y, v, restricted=restricted)
    alone = [parts(y[:3], v[:3], np.ones((3, 1)), t, restricted)[0] for t in modes]
    assert_allclose(loglik, alone, rtol=1e-13)
    assert_allclose(
        [log_likelihood(y, v, t, restricted=restricted) for t in modes], alone, rtol=1e-13
    )


@pytest.mark.parametrize("restricted", [True, False])
def test_beyond_the_search_limit_the_likelihood_falls(restricted: bool) -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        v, y = np.exp(rng.uniform(-5, 1.5, 4)), rng.normal(size=4) * rng.choice([0.3, 1.0, 3.0])
        limit = float(variance_likelihood.search_limit(y, v, restricted=restricted))
        for t in (limit, 1.5 * limit + 1e-9, 10 * limit + 1.0):
            _, a, b, _, _ = parts(y, v, np.ones((4, 1)), t, restricted)
            assert a <= b


@pytest.mark.parametrize("restricted", [True, False])
def test_rows_that_cannot_be_are_nan_and_spoil_no_other(restricted: bool) -> None:
    y, v = np.tile(Y[:3], (5, 1)), np.tile(V[:3], (5, 1))
    y[1, 0], y[2, 1], v[3, 2], v[4, 0] = np.nan, np.inf, 0.0, -0.1
    found = variance_likelihood.global_maximum(y, v, restricted=restricted)
    assert_array_equal(np.isnan(found), [False, True, True, True, True])
    assert_allclose(
        found[0],
        variance_likelihood.global_maximum(Y[:3], V[:3], restricted=restricted),
        rtol=1e-14,
    )
