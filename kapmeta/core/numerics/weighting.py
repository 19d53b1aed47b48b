"""Weighted sums over studies: the few quantities every estimator is written in.

With weights ``w = 1 / (v + tau2)`` (0 for an absent study), ``mean = sum(w y) / sum(w)`` and
residuals ``e = y - mean``, the quadratic forms of the projection ``P = W - W 1 (1'W1)^-1 1'W`` are
[1]_

- ``y'Py   = sum(w e^2)``, the generalised Cochran Q;
- ``y'PPy  = sum(w^2 e^2) = -dQ/dtau2``;
- ``tr P   = S1 - S2 / S1``.

References
----------
.. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects
   model. J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray, IntArray


def present(y: npt.ArrayLike, v: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return `y` and `v` as float arrays of one shape; `y` is 0 where `v` is infinite."""
    y, v = np.asarray(y, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if y.shape != v.shape:
        y, v = np.broadcast_arrays(y, v)
    return np.where(v == np.inf, 0.0, y), v


def count(v: FloatArray) -> IntArray:
    """Count the studies present along the last axis."""
    return np.asarray((v < np.inf).sum(-1))


def weights(v: FloatArray, tau2: npt.ArrayLike = 0.0) -> FloatArray:
    """Compute inverse-variance weights ``1 / (v + tau2)``; `tau2` has the leading shape of `v`."""
    return 1.0 / (v + np.asarray(tau2, dtype=np.float64)[..., None])


def mean_and_residuals(y: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the weighted mean (...) and the residuals (..., k); 0 for absent studies.

    In two passes: the second recovers what the first lost to a large common shift or to one
    dominating weight.
    """
    total = w.sum(-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # no study at all: nan
        mean = np.vecdot(w, y)[..., None] / total
        e = y - mean
        shift = np.vecdot(w, e)[..., None] / total
    return (mean + shift)[..., 0], np.where(w > 0, e - shift, 0.0)


def q_statistic(y: FloatArray, v: FloatArray, tau2: npt.ArrayLike = 0.0) -> FloatArray:
    """Compute the generalised Cochran Q, ``sum((y - mean)^2 / (v + tau2))``.

    Cochran's Q at ``tau2 = 0``.
    """
    w = weights(v, tau2)
    _, e = mean_and_residuals(y, w)
    return np.asarray(np.vecdot(w * e, e))


def sums_of_others(w: FloatArray) -> FloatArray:
    """Sum over the other studies, for each study.

    Without subtraction, so exact where one weight dominates.
    """
    before, after = np.zeros_like(w), np.zeros_like(w)
    np.cumsum(w[..., :-1], axis=-1, out=before[..., 1:])
    np.cumsum(w[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return before + after


def _sum_of_products(w: FloatArray) -> FloatArray:
    """Compute ``sum_(i != j) w_i w_j``: every weight times those before it, twice."""
    return np.asarray(2 * np.vecdot(w[..., 1:], np.add.accumulate(w[..., :-1], axis=-1)))


def trace_p(w: FloatArray) -> FloatArray:
    """Compute ``tr P = S1 - S2 / S1`` as ``sum_(i != j) w_i w_j / S1``.

    The second form avoids the cancellation that a dominating weight brings.
    """
    with np.errstate(invalid="ignore"):  # no study at all: nan
        return np.asarray(_sum_of_products(w) / w.sum(-1))


def trace_pp(w: FloatArray) -> FloatArray:
    """Compute ``tr PP = S2 - 2 S3 / S1 + (S2 / S1)^2`` as a sum of positive terms."""
    diagonal = w * sums_of_others(w)
    return np.asarray((np.vecdot(diagonal, diagonal) + _sum_of_products(w * w)) / w.sum(-1) ** 2)


def spread(y: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the plain mean (...) and sum of squared deviations (...) of the studies present."""
    there = v < np.inf
    k = count(v)
    with np.errstate(invalid="ignore", divide="ignore"):
        origin = np.where(there, y, 0.0).sum(-1) / k
        deviation = np.where(there, y - origin[..., None], 0.0)
        # second pass: the first mean may have lost digits to a large common shift
        shift = deviation.sum(-1) / k
        deviation = np.where(there, deviation - shift[..., None], 0.0)
    return origin + shift, np.asarray((deviation * deviation).sum(-1))
