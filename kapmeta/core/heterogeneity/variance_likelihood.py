"""The (restricted) likelihood in the between-study variance, and its global maximum.

With ``w = 1/(v + tau2)`` twice the score is ``A(tau2) - B(tau2)``, where [1]_

- ``A = y'PPy`` (both likelihoods), with slope ``-2 y'PPPy``,
- ``B = tr P`` (restricted), with slope ``-tr PP``, or ``B = sum(w)`` (full), with slope
  ``-sum(w^2)``.

All of these are monotone in tau2, which makes the search for the global maximum possible:
`kapmeta.core.numerics.likelihood_search`.

References
----------
.. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects
   model. J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

import math

import numpy as np

from kapmeta.core.numerics import likelihood_search
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.likelihood_search import (
    ELEMENTS_AT_ONCE,
    Curve,
    Likelihood,
    Slopes,
    every_maximum,
    highest_maxima,
)
from kapmeta.core.numerics.weighting import count, mean_and_residuals, spread, trace_p, weights


def log_likelihood(
    y: FloatArray, v: FloatArray, tau2: FloatArray, *, restricted: bool
) -> FloatArray:
    """Compute the log-likelihood of `tau2` at its best mean; shape (...).

    The constants in 2 pi and k are left out.
    """
    w = weights(v, tau2)
    _, e = mean_and_residuals(y, w)
    there = v < np.inf
    total = np.where(there, v + np.asarray(tau2)[..., None], 1.0)
    value = np.log(total).sum(-1) + np.vecdot(w * e, e)
    if restricted:
        value = value + np.log(w.sum(-1))
    return np.asarray(-0.5 * value)


def search_limit(y: FloatArray, v: FloatArray, *, restricted: bool) -> FloatArray:
    """Return a value of tau2 beyond which the likelihood only falls; 0 if it always falls."""
    return likelihood_search.mode_limit(v, spread(y, v)[1], count(v) - restricted)


def _evaluated(y: FloatArray, v: FloatArray, t: FloatArray, restricted: bool) -> Curve:
    """Evaluate likelihood and score at `t` (rows, nodes), for rows of `y`, `v` (rows, k)."""
    y, v = y[:, None, :], v[:, None, :]
    total = v + t[:, :, None]
    w = 1.0 / total
    s1 = w.sum(-1)
    mean = np.einsum("rgk,rgk->rg", w, np.broadcast_to(y, w.shape)) / s1
    e = y - mean[:, :, None]
    we = w * e
    a = np.einsum("rgk,rgk->rg", we, we)
    q = np.einsum("rgk,rgk->rg", we, e)
    w2e = np.einsum("rgk,rgk->rg", w, we)
    da = np.maximum(np.einsum("rgk,rgk,rgk->rg", w, we, we) - w2e * w2e / s1, 0.0)
    s2 = np.einsum("rgk,rgk->rg", w, w)
    total[np.broadcast_to(v == np.inf, total.shape)] = 1.0
    value = np.log(total).sum(-1) + q
    if not restricted:
        return Curve(t, -0.5 * value, a, s1, da, s2)
    s3 = np.einsum("rgk,rgk,rgk->rg", w, w, w)
    trace_pp = s2 - 2 * s3 / s1 + (s2 / s1) ** 2
    return Curve(t, -0.5 * (value + np.log(s1)), a, s1 - s2 / s1, da, trace_pp)


def _slopes(y: FloatArray, v: FloatArray, t: FloatArray, restricted: bool) -> Slopes:
    """Evaluate the parts of the score at one tau2 per row, to the last digit."""
    w = weights(v, t)
    _, e = mean_and_residuals(y, w)
    we = w * e
    s1, s2 = w.sum(-1), np.vecdot(w, w)
    a = np.vecdot(we, we)
    da = np.vecdot(w * we, we) - np.vecdot(w, we) ** 2 / s1
    if not restricted:
        return Slopes(a, s1, da, s2)
    return Slopes(a, trace_p(w), da, s2 - 2 * np.vecdot(w * w, w) / s1 + (s2 / s1) ** 2)


def _likelihood(y: FloatArray, v: FloatArray, restricted: bool) -> Likelihood:
    """Prepare the likelihoods of rows of `y`, `v` (rows, k) for the search."""

    def curve(row: IntArray, t: FloatArray) -> Curve:
        return _evaluated(y[row], v[row], t, restricted)

    def slopes(row: IntArray, t: FloatArray) -> Slopes:
        return _slopes(y[row], v[row], t, restricted)

    return Likelihood(v, search_limit(y, v, restricted=restricted), curve, slopes)


def global_maximum(y: FloatArray, v: FloatArray, *, restricted: bool) -> FloatArray:
    """Find the tau2 at the global maximum of the (restricted) likelihood, row by row.

    nan below two studies.

    Parameters
    ----------
    y, v : ndarray, shape (..., k)
        Estimates and variances; ``v = inf`` marks an absent study.
    restricted : bool
        Restricted (REML) or full (ML) likelihood.
    """
    shape, k = v.shape[:-1], v.shape[-1]
    rows = math.prod(shape)
    y, v = y.reshape(rows, k), v.reshape(rows, k)
    tau2 = np.full(rows, np.nan)
    usable = np.flatnonzero((count(v) > 1) & (v > 0).all(-1) & np.isfinite(y).all(-1))
    size = max(1, ELEMENTS_AT_ONCE // max(k, 1))
    for start in range(0, usable.size, size):
        part = usable[start : start + size]
        tau2[part] = highest_maxima(_likelihood(y[part], v[part], restricted))
    return tau2.reshape(shape)


def local_maxima(
    y: FloatArray, v: FloatArray, *, restricted: bool
) -> tuple[FloatArray, FloatArray]:
    """Find every local maximum of one data set: tau2 and log-likelihood, the global one first."""
    return every_maximum(_likelihood(y[None], v[None], restricted))
