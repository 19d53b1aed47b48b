"""Trim and fill: the studies to be added for a symmetric funnel plot, and their influence.

An exploration, not a correction: it takes all asymmetry for missing studies, and with heterogeneity
it adds studies that never were. Not for fewer than ten trials.

References
----------
.. [1] Duval S, Tweedie R. Trim and fill: a simple funnel-plot-based method of testing and adjusting
   for publication bias in meta-analysis. Biometrics 2000;56:455-463.
   https://doi.org/10.1111/j.0006-341x.2000.00455.x
.. [2] Duval S, Tweedie R. A nonparametric "trim and fill" method of accounting for publication bias
   in meta-analysis. J Am Stat Assoc 2000;95:89-98. https://doi.org/10.1080/01621459.2000.10473905
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.tau2 import Estimator, estimator_named
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, weights
from kapmeta.core.small_study.asymmetry import mixed_line

_MOST_ROUNDS = 100


class FillStatus(IntEnum):
    """Outcome of a row: done, no asymmetric side, no estimate of k0 (Q0), or never settled."""

    OK = 0
    NO_SIDE = 1
    NO_ESTIMATE = 2
    NEVER_SETTLED = 3


class Filled(NamedTuple):
    """Result of trim and fill, each field of the leading shape (...).

    Attributes
    ----------
    k0, se_k0 : ndarray
        Studies judged missing, a whole number, and the standard error of the estimate before it was
        rounded.
    p_value : ndarray
        Test that none is missing on this side; for R0 only, nan otherwise [1]_.
    side : ndarray
        Where studies are missing: -1 left, +1 right.
    centre : ndarray
        Mean of the studies left after trimming, about which the trimmed ones are mirrored.
    y, v : ndarray, shape (..., 2 k)
        The studies as given, then the mirror image of each: present (v finite) only where it was
        added.
    estimate, se, tau2 : ndarray
        Pooled effect of all of them.
    status : ndarray of int
        `FillStatus`.
    """

    k0: FloatArray
    se_k0: FloatArray
    p_value: FloatArray
    side: FloatArray
    centre: FloatArray
    y: FloatArray
    v: FloatArray
    estimate: FloatArray
    se: FloatArray
    tau2: FloatArray
    status: IntArray


def _l0(positive: FloatArray, rightmost: FloatArray, k: FloatArray) -> FloatArray:
    """Estimate the number missing by L0, from the rank sum."""
    return (4 * positive - k * (k + 1)) / (2 * k - 1)


def _r0(positive: FloatArray, rightmost: FloatArray, k: FloatArray) -> FloatArray:
    """Estimate the number missing by R0, from the rightmost run."""
    return rightmost - 1


def _q0(positive: FloatArray, rightmost: FloatArray, k: FloatArray) -> FloatArray:
    """Estimate the number missing by Q0, from the rank sum."""
    with np.errstate(invalid="ignore"):  # not defined where the rank sum exceeds k^2 / 2 + 1/16
        return np.asarray(k - 0.5 - np.sqrt(2 * k * k - 4 * positive + 0.25))


COUNT_ESTIMATORS: Mapping[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = (
    MappingProxyType({"L0": _l0, "R0": _r0, "Q0": _q0})
)
"""Estimators of the number missing [1]_, from the Wilcoxon rank sum of the positive deviations, the
length of the rightmost run of positive ones, and k.
"""

SIDES: Mapping[str, float] = MappingProxyType({"auto": 0.0, "left": -1.0, "right": 1.0})
"""Side on which studies are taken to be missing; ``"auto"`` is opposite the funnel's slope."""


def trim_and_fill(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    count_by: str = "L0",
    side: str = "auto",
    tau2: str | Estimator | float = "REML",
    trim_tau2: str | Estimator | float | None = None,
) -> Filled:
    """Trim and fill along the last axis, any number of data sets at once.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and sampling variances; ``v = inf`` marks an absent study.
    count_by : str
        Word of `COUNT_ESTIMATORS`.
    side : str
        Word of `SIDES`. ``"auto"`` looks at the slope of a meta-regression on the standard error
        under the trimming model.
    tau2 : str, callable or float
        Between-study variance of the final pooling; 0.0 is the common-effect model.
    trim_tau2 : str, callable or float, optional
        The same for the model that finds the centre while trimming; as `tau2` if left out.

    Returns
    -------
    Filled
        Rows that cannot be computed are nan with a non-zero `status`.
    """
    # 1. the side on which studies are missing, and the effects turned so that it is the left
    # 2. the number missing and the centre, by trimming
    # 3. the mirror images of the trimmed studies, and all of them pooled
    # 4. nan where a row has no answer
    y, v = present(y, v)  # 1
    trimming = tau2 if trim_tau2 is None else trim_tau2
    missing = np.full(v.shape[:-1], SIDES[side])
    if side == "auto":
        missing = -np.sign(_slope(y, v, trimming))
    oriented = -missing[..., None] * y  # the gap is on the left now
    place = _ascending_places(oriented, v)
    estimator = COUNT_ESTIMATORS[count_by]
    k0, raw, centre, status = _trimmed(oriented, v, place, estimator, trimming)  # 2
    status = np.where((missing == 0) | np.isnan(missing), FillStatus.NO_SIDE, status)
    done, k = status == FillStatus.OK, count(v)  # 3
    added = (place >= (k - np.where(done, k0, 0))[..., None]) & (v < np.inf)
    mirrored = -missing[..., None] * (2 * centre[..., None] - oriented)
    all_y = np.concatenate([y, np.where(added, mirrored, 0.0)], axis=-1)
    all_v = np.concatenate([v, np.where(added, v, np.inf)], axis=-1)
    estimate, se, between = pooled(all_y, all_v, tau2)
    se_k0, p_value = _se_of_count(count_by, raw, k), _p_of_run(count_by, k0)  # 4
    columns = k0, se_k0, p_value, missing, -missing * centre
    shown = [np.where(done, part, np.nan) for part in (*columns, estimate, se, between)]
    k0, se_k0, p_value, missing, centre, estimate, se, between = shown
    return Filled(k0, se_k0, p_value, missing, centre, all_y, all_v, estimate, se, between, status)


def pooled(
    y: FloatArray, v: FloatArray, tau2: str | Estimator | float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute mean, Wald standard error and between-study variance.

    The variance is 0 where it needs more studies.
    """
    if isinstance(tau2, float | int):
        between = np.full(v.shape[:-1], float(tau2))
    else:
        between = np.nan_to_num(np.asarray(estimator_named(tau2)(y, v), dtype=np.float64))
    w = weights(v, between)
    mean, _ = mean_and_residuals(y, w)
    with np.errstate(divide="ignore"):
        return mean, 1 / np.sqrt(w.sum(-1)), between


def _slope(y: FloatArray, v: FloatArray, tau2: str | Estimator | float) -> FloatArray:
    """Compute the slope of the effect on its standard error under the trimming model.

    REML where the model is neither a word nor a number.
    """
    model = tau2 if isinstance(tau2, str | float | int) else "REML"
    return mixed_line(y, v, np.sqrt(v), tau2=model).slope


def _ascending_places(y: FloatArray, v: FloatArray) -> IntArray:
    """Rank the studies from the smallest effect up, ties by variance, absent ones last."""
    there = v < np.inf
    order = np.lexsort((v, np.where(there, y, np.inf)), axis=-1)
    return np.argsort(order, axis=-1)


def _trimmed(
    y: FloatArray,
    v: FloatArray,
    place: IntArray,
    count_by: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    tau2: str | Estimator | float,
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Trim the largest, centre, count again, until the number stays the same [1]_."""
    k = count(v).astype(np.float64)
    k0 = np.zeros_like(k)
    settled = np.zeros(k.shape, dtype=bool)
    for _ in range(_MOST_ROUNDS):
        kept = place < (k - np.nan_to_num(k0))[..., None]
        centre, _, _ = pooled(np.where(kept, y, 0.0), np.where(kept, v, np.inf), tau2)
        positive, rightmost = _ranks(y, v, centre)
        with np.errstate(invalid="ignore"):
            raw = count_by(positive, rightmost, k)
            new = np.clip(np.round(raw), 0.0, np.maximum(k - 1, 0))
        settled |= (new == k0) | np.isnan(new)
        if settled.all():
            break
        k0 = np.where(settled, k0, new)
    status = np.where(settled, FillStatus.OK, FillStatus.NEVER_SETTLED)
    status = np.where(np.isnan(new) & settled, FillStatus.NO_ESTIMATE, status)
    return k0, raw, centre, status


def _ranks(y: FloatArray, v: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum the ranks of positive deviations, and count the positive ones beyond all others.

    Ties get average ranks.
    """
    there: BoolArray = v < np.inf
    rounding = 8 * EPSILON * np.abs(y).max(-1, keepdims=True, initial=0.0)
    c = np.where(there, y - centre[..., None], 0.0)
    c = np.where(np.abs(c) > rounding, c, 0.0)
    size = np.where(there, np.abs(c), np.inf)
    with np.errstate(invalid="ignore"):
        difference = size[..., :, None] - size[..., None, :]
        tied = np.abs(difference) <= rounding[..., None]
        below = ((difference > 0) & ~tied & there[..., None, :]).sum(-1)
    rank = below + (tied.sum(-1) + 1) / 2
    positive = np.where((c > 0) & there, rank, 0.0).sum(-1)
    largest_other = np.where((c <= 0) & there, size, -np.inf).max(-1, initial=-np.inf)
    rightmost = ((c > largest_other[..., None] + rounding) & there).sum(-1)
    return positive, rightmost.astype(np.float64)


def _se_of_count(count_by: str, k0: FloatArray, k: IntArray) -> FloatArray:
    """Compute the standard error of the number missing [2]_."""
    n = k.astype(np.float64)
    variance = (
        n * (n + 1) * (2 * n + 1)
        + 10 * k0**3
        + 27 * k0**2
        + 17 * k0
        - 18 * n * k0**2
        - 18 * n * k0
        + 6 * n**2 * k0
    ) / 24
    with np.errstate(invalid="ignore", divide="ignore"):
        if count_by == "R0":
            return np.asarray(np.sqrt(2 * np.maximum(k0, 0) + 2))
        if count_by == "L0":
            return np.asarray(4 * np.sqrt(variance) / (2 * n - 1))
        return np.asarray(2 * np.sqrt(variance) / np.sqrt((n - 0.5) ** 2 - k0 * (2 * n - k0 - 1)))


def _p_of_run(count_by: str, k0: FloatArray) -> FloatArray:
    """Compute the chance of a run at least this long when none is missing [1]_.

    Signs are then fair coins.
    """
    return np.where(count_by == "R0", 0.5 ** (k0 + 1), np.nan)
