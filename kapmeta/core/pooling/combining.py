"""The inverse-variance engine: any number of meta-analyses in one call."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.tau2 import Estimator, estimator_named
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import normal_quantile, refuse_level
from kapmeta.core.numerics.status import Status
from kapmeta.core.numerics.weighting import count, mean_and_residuals, q_statistic
from kapmeta.core.pooling.intervals import INTERVALS

_BLOCK_SIZE = 1 << 17  # rows x studies: stays in cache, and one matrix product in one thread

Tau2: TypeAlias = str | Estimator | float
"""An estimator by name, the function itself, or the value of tau2."""


class Combined(NamedTuple):
    """Results of a batch of meta-analyses, each field of the leading shape (...) of the input.

    `estimate`, `se`, `low`, `high` and `df` belong to the interval asked for. `tau2` and Cochran's
    `q` are nan where fewer than two studies are present. `k` counts the studies present. `status`
    is 0 where all is well and otherwise a code of `kapmeta.core.numerics.status.Status`.
    """

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    df: FloatArray
    tau2: FloatArray
    q: FloatArray
    k: IntArray
    status: IntArray


def interval_named(ci: str) -> Callable[[FloatArray, FloatArray, FloatArray, float], NamedTuple]:
    """Look up the interval of the mean called `ci`."""
    try:
        return INTERVALS[ci]
    except KeyError:
        raise ValueError(f'unknown interval "{ci}"; use one of {", ".join(INTERVALS)}') from None


def combine(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    tau2: str | Estimator | float = "REML",
    ci: str = "wald",
    level: float = 0.95,
    mask: npt.ArrayLike | None = None,
) -> Combined:
    """Pool effects by inverse variance, along the last axis, any number of analyses at once.

    For simulation, resampling, leave-one-out and all-subsets analyses. For one analysis of one's
    own trials use `kapmeta.pool`, which checks its input, drops nothing silently and returns a
    result that describes itself.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects on the analysis scale (log for ratios) and their sampling variances. ``v = inf``
        marks an absent study: it weighs nothing and is not counted, whatever its `y`.
    tau2 : str, callable or float
        Between-study variance: a word of `kapmeta.core.heterogeneity.tau2.ESTIMATORS`, a function
        of `y` and `v`, or the value itself; ``0.0`` is the common-effect model.
    ci : str
        Interval of the mean, a word of `kapmeta.core.pooling.intervals.INTERVALS`.
    level : float
        Confidence level, a proportion.
    mask : array_like of bool, shape (..., k), optional
        Which studies take part in each analysis, for `y` and `v` of shape (k,). The same as setting
        ``v = inf``, but the variances are never held in memory all at once, and sums that are
        linear in the mask are matrix products.

    Returns
    -------
    Combined
        Arrays of the leading shape. A row that cannot be computed is nan and has a non-zero
        `status`; the others are not affected.

    Notes
    -----
    Studies are put into a fixed order before anything is summed, so the order in which they are
    given never changes the last digits. Memory stays bounded: large batches are worked through in
    blocks.

    Examples
    --------
    The three trials of ``k3``, all at once and each left out in turn:

    >>> import numpy as np
    >>> from kapmeta.core import combine
    >>> from kapmeta.core.numerics import masks
    >>> y = np.array([1.00804560, 0.81093022, 3.25396714])
    >>> v = np.array([0.03635629, 0.16809117, 2.00980296])
    >>> float(combine(y, v, tau2="DL").estimate.round(4))
    1.0259
    >>> combine(y, v, tau2="DL", mask=masks.leave_one_out(3)).estimate.round(4)
    array([1.6555, 1.6917, 0.973 ])

    SciPy's bias-corrected and accelerated bootstrap over studies hands over its samples as one
    batch. It needs more than three studies:

    >>> from scipy.stats import bootstrap
    >>> y, v = np.linspace(-0.4, 1.1, 16), np.linspace(0.05, 0.2, 16)
    >>> def pooled(y, v, axis):
    ...     return combine(y, v, tau2="DL").estimate
    >>> found = bootstrap((y, v), pooled, paired=True, vectorized=True, method="BCa",
    ...                   n_resamples=2000, random_state=np.random.default_rng(1))
    >>> np.round([found.confidence_interval.low, found.confidence_interval.high], 1)
    array([0. , 0.5])
    """
    refuse_level(level)
    interval_named(ci)
    if isinstance(tau2, str):
        estimator_named(tau2)
    y, v = np.asarray(y, dtype=np.float64), np.asarray(v, dtype=np.float64)
    if mask is not None:
        return _combine_subsets(y, v, np.asarray(mask, dtype=bool), tau2, ci, level)
    y, v = np.broadcast_arrays(y, v)
    *shape, k = v.shape
    flat = math.prod(shape), k
    y, v = (part.reshape(flat) for part in _in_fixed_order(np.where(v == np.inf, 0.0, y), v))
    return _by_blocks(tuple(shape), k, lambda rows: _combine(y[rows], v[rows], tau2, ci, level))


def _combine_subsets(
    y: FloatArray, v: FloatArray, mask: BoolArray, tau2: Tau2, ci: str, level: float
) -> Combined:
    """Pool subsets of one set of studies, given as a mask."""
    if y.ndim != 1 or v.ndim != 1 or mask.shape[-1] != y.size:
        raise ValueError(
            f"mask needs y and v of shape (k,) and a last axis of length k: got {y.shape},"
            f" {v.shape} and {mask.shape}"
        )
    shape = mask.shape[:-1]
    order = np.lexsort((v, y))
    y, v, mask = y[order], v[order], mask[..., order].reshape(-1, y.size)
    whole = bool((np.isfinite(y) & (v > 0) & (v < np.inf)).all())
    common = isinstance(tau2, float | int) and tau2 == 0
    linear = whole and ci == "wald" and (common or tau2 == "DL")
    block = _combine_linear if linear else _combine_masked
    return _by_blocks(shape, y.size, lambda rows: block(y, v, mask[rows], tau2, ci, level))


def _in_fixed_order(y: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sort the studies of each row by effect, then variance.

    NumPy orders complex numbers in just this way.
    """
    both = np.empty(v.shape, dtype=np.complex128)
    both.real, both.imag = y, v
    both.sort(axis=-1)
    return both.real.copy(), both.imag.copy()


def _by_blocks(shape: tuple[int, ...], k: int, block: Callable[[slice], Combined]) -> Combined:
    """Apply `block` to slices of rows that fit in memory; join them in the leading `shape`."""
    rows = math.prod(shape)
    size = max(1, _BLOCK_SIZE // max(k, 1))
    parts = [block(slice(start, start + size)) for start in range(0, max(rows, 1), size)]
    fields: Any = (np.concatenate(field).reshape(shape) for field in zip(*parts, strict=True))
    return Combined(*fields)


def _combine(y: FloatArray, v: FloatArray, tau2: Tau2, ci: str, level: float) -> Combined:
    """Pool a plain batch: `y`, `v` of shape (rows, k)."""
    invalid = np.asarray((~(v > 0) | ~np.isfinite(y)).any(-1))
    y, v = np.where(invalid[:, None], 0.0, y), np.where(invalid[:, None], np.inf, v)
    k = count(v)
    if isinstance(tau2, float | int):
        between = np.where(k > 1, float(tau2), np.nan)
    else:
        between = np.asarray(estimator_named(tau2)(y, v), dtype=np.float64)
    found = INTERVALS[ci](y, v, between, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where(k > 1, q_statistic(y, v), np.nan)
    status = np.where(invalid, Status.INVALID_INPUT, found.status)
    return Combined(*found[:-1], between, q, k, status)


def _combine_masked(
    y: FloatArray, v: FloatArray, mask: BoolArray, tau2: Tau2, ci: str, level: float
) -> Combined:
    variances = np.where(mask, v, np.inf)
    return _combine(np.where(variances == np.inf, 0.0, y), variances, tau2, ci, level)


def _combine_linear(
    y: FloatArray, v: FloatArray, mask: BoolArray, tau2: Tau2, ci: str, level: float
) -> Combined:
    """Pool by common effect or DerSimonian-Laird with Wald limits.

    All sums are products of the mask with a few columns.
    """
    w = 1 / v
    mean, e = mean_and_residuals(y, w)  # centred, so that the products lose no digits
    c = mask.astype(np.float64)
    s1, s2, sy, syy, size = np.stack([w, w * w, w * e, w * e * e, np.ones_like(w)]) @ c.T
    k = size.astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = sy / s1
        q = np.where(k > 1, np.maximum(syy - sy * shift, 0.0), np.nan)
        if tau2 == "DL":
            between = np.maximum((q - (k - 1)) / (s1 - s2 / s1), 0.0)
            random = np.flatnonzero(between > 0)
            within = c[random] / (v + between[random, None])
            s1[random], sy[random] = np.stack([np.ones_like(e), e]) @ within.T
            shift[random] = sy[random] / s1[random]
        else:
            between = np.where(k > 1, 0.0, np.nan)
        estimate, se = mean + shift, np.where(k > 0, 1 / np.sqrt(s1), np.nan)
    half = float(normal_quantile((1 + level) / 2)) * se
    status = np.where(k > 1, Status.OK, np.where(k == 1, Status.ONE_STUDY, Status.NO_STUDIES))
    df = np.where(k > 0, np.inf, np.nan)
    return Combined(estimate, se, estimate - half, estimate + half, df, between, q, k, status)
