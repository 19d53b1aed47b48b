"""Residual heterogeneity with moderators: projections, and the global likelihood maximum.

With weights ``w = 1/(v + tau2)``, moderators X and ``P = W - W X (X'WX)^-1 X'W``, twice the score
in tau2 is ``A - B`` with ``A = y'PPy`` and ``B = tr P`` (restricted) or ``B = sum(w)`` (full) [1]_.
Both fall as tau2 grows, with slopes ``-2 y'PPPy`` and ``-tr PP`` (``-sum(w^2)``) that shrink, as
`kapmeta.core.numerics.likelihood_search` requires of a likelihood.

Every quantity is computed from an orthonormal basis of ``sqrt(w) X``, column by column for all rows
at once, so that moderators on large or shifted scales cost no digits.

References
----------
.. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects
   model. J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
from kapmeta.core.numerics.weighting import count

_DEPENDENT_SHARE = 1e-10  # a column depends on those before it if they leave less of it than this


class Projection(NamedTuple):
    """A weighted least-squares fit in orthonormal coordinates, for weights of shape (..., k).

    Attributes
    ----------
    basis : list of ndarray, each (..., k)
        Orthonormal columns spanning ``sqrt(w) X``.
    triangle : ndarray, shape (..., p, p)
        Upper triangle R with ``sqrt(w) X = basis R``.
    coordinates : ndarray, shape (..., p)
        The estimates along the basis.
    residual : ndarray, shape (..., k)
        ``sqrt(w) (y - fitted)``.
    """

    basis: list[FloatArray]
    triangle: FloatArray
    coordinates: FloatArray
    residual: FloatArray

    @property
    def leverage(self) -> FloatArray:
        """Hat values, shape (..., k)."""
        return np.asarray(sum(b * b for b in self.basis))


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Compute the inner product over studies."""
    return np.asarray(np.einsum("...k,...k->...", a, b))


def project(y: FloatArray, w: FloatArray, x: FloatArray) -> Projection:
    """Regress `y` (..., k) on `x` (..., k, p) by weighted Gram-Schmidt; nan if columns depend."""
    root = np.sqrt(w)
    shape, p = np.broadcast_shapes(y.shape, w.shape, x.shape[:-1]), x.shape[-1]
    triangle, coordinates = np.zeros((*shape[:-1], p, p)), np.zeros((*shape[:-1], p))
    residual = np.broadcast_to(root * y, shape).copy()
    basis: list[FloatArray] = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for j in range(p):
            u = np.broadcast_to(root * x[..., j], shape).copy()
            before = dot(u, u)
            for i, b in enumerate(basis):
                triangle[..., i, j] = dot(b, u)
                u -= triangle[..., i, j, None] * b
            after = np.sqrt(dot(u, u))
            triangle[..., j, j] = after
            u /= np.where(after > _DEPENDENT_SHARE * np.sqrt(before), after, np.nan)[..., None]
            basis.append(u)
    for _ in range(2):  # the second pass removes what rounding left along the basis
        for j, b in enumerate(basis):
            along = dot(b, residual)
            coordinates[..., j] += along
            residual -= along[..., None] * b
    return Projection(basis, triangle, coordinates, residual)


def residual_q(
    y: FloatArray, v: FloatArray, x: FloatArray, tau2: npt.ArrayLike = 0.0
) -> FloatArray:
    """Compute the generalised residual Q, ``y'Py``.

    Cochran's residual heterogeneity statistic at ``tau2 = 0``.
    """
    residual = project(y, 1.0 / (v + np.asarray(tau2, dtype=np.float64)[..., None]), x).residual
    return dot(residual, residual)


def traces(w: FloatArray, basis: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Compute ``tr P`` and ``tr PP``."""
    leverage = np.asarray(sum(b * b for b in basis))
    within = sum(dot(w * a, b) ** 2 for a in basis for b in basis)
    return dot(w, 1 - leverage), np.asarray(dot(w * w, 1 - 2 * leverage) + within)


def curve(y: FloatArray, v: FloatArray, x: FloatArray, t: FloatArray, restricted: bool) -> Curve:
    """Evaluate likelihood and score at `t` (...), for `y`, `v` (..., k) and `x` (..., k, p).

    The log-likelihood leaves out the constants in 2 pi and, restricted, the determinant of X'X.
    """
    w = 1.0 / (v + t[..., None])
    found = project(y, w, x)
    wr = w * found.residual
    a = dot(wr, found.residual)
    da = np.maximum(dot(wr, wr) - sum(dot(b, wr) ** 2 for b in found.basis), 0.0)
    value = np.log(np.where(w > 0, v + t[..., None], 1.0)).sum(-1)
    value = value + dot(found.residual, found.residual)
    if not restricted:
        return Curve(t, -0.5 * value, a, w.sum(-1), da, dot(w, w))
    diagonal = np.diagonal(found.triangle, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = value + 2 * np.log(diagonal).sum(-1)
    trace, square = traces(w, found.basis)
    return Curve(t, -0.5 * value, a, trace, da, square)


def _residual_likelihoods(
    y: FloatArray, v: FloatArray, x: FloatArray, restricted: bool
) -> Likelihood:
    """Prepare the likelihoods of rows of `y`, `v` (n, k) for the search.

    The moderators have shape (n, k, p) or, if shared, (1, k, p).
    """

    def grid(row: IntArray, t: FloatArray) -> Curve:
        design = x if len(x) == 1 else x[row]
        return curve(y[row][:, None], v[row][:, None], design[:, None], t, restricted)

    def slopes(row: IntArray, t: FloatArray) -> Slopes:
        return Slopes(*(part[:, 0] for part in grid(row, t[:, None])[2:]))

    there = (v < np.inf).astype(np.float64)
    residual = project(y, there, x).residual
    df = count(v) - (x.shape[-1] if restricted else 0)
    limit = likelihood_search.mode_limit(v, dot(residual, residual), df)
    return Likelihood(v, limit, grid, slopes)


def residual_global_maximum(
    y: FloatArray, v: FloatArray, x: FloatArray, *, restricted: bool
) -> FloatArray:
    """Find the tau2 at the global maximum of the (restricted) likelihood, row by row.

    Parameters
    ----------
    y, v : ndarray, shape (..., k)
        Estimates and variances; ``v = inf`` marks an absent study.
    x : ndarray, shape (..., k, p) or (k, p)
        Moderators.
    restricted : bool
        Restricted (REML) or full (ML) likelihood.

    Returns
    -------
    ndarray, shape (...)
        Not negative; nan without residual degrees of freedom or where the columns of `x` depend on
        each other.
    """
    (k, p), shape = x.shape[-2:], v.shape[:-1]
    rows = math.prod(shape)
    y, v = np.broadcast_to(y, v.shape).reshape(rows, k), v.reshape(rows, k)
    x = x[None] if x.ndim == 2 else np.broadcast_to(x, (*shape, k, p)).reshape(rows, k, p)
    tau2 = np.full(rows, np.nan)
    usable = np.flatnonzero((count(v) > p) & (v > 0).all(-1) & np.isfinite(y).all(-1))
    size = max(1, ELEMENTS_AT_ONCE // max(k * p, 1))
    for start in range(0, usable.size, size):
        part = usable[start : start + size]
        design = x if len(x) == 1 else x[part]
        tau2[part] = highest_maxima(_residual_likelihoods(y[part], v[part], design, restricted))
    return tau2.reshape(shape)


def residual_local_maxima(
    y: FloatArray, v: FloatArray, x: FloatArray, *, restricted: bool
) -> tuple[FloatArray, FloatArray]:
    """Find every local maximum of one data set: tau2 and log-likelihood, the global one first."""
    return every_maximum(_residual_likelihoods(y[None], v[None], x[None], restricted))
