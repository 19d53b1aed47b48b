"""The common effect in every subset of the studies, by sums that grow study by study.

References
----------
.. [1] Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. Res
   Synth Methods 2012;3:214-223. https://doi.org/10.1002/jrsm.1053
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.status import Status
from kapmeta.core.numerics.weighting import mean_and_residuals
from kapmeta.core.pooling.combining import Combined

Number = TypeVar("Number", np.float64, np.int64)


def subset_sums(x: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Sum `x` (k,) over each of the 2^k subsets, in binary order.

    The order is that of `kapmeta.core.numerics.masks.all_subsets`. The subsets with study j are
    those without it, each with ``x[j]`` added: one addition per subset.

    Examples
    --------
    >>> subset_sums(np.array([1.0, 10.0, 100.0]))
    array([  0.,   1.,  10.,  11., 100., 101., 110., 111.])
    """
    sums = np.zeros(2**x.size, dtype=x.dtype)
    for j, value in enumerate(x):
        np.add(sums[: 2**j], value, out=sums[2**j : 2 ** (j + 1)])
    return sums


def common_effects(y: FloatArray, v: FloatArray, *, level: float = 0.95) -> Combined:
    """Pool every subset but the empty one by common effect with Wald limits [1]_.

    The numbers are those of masks on `combine`.

    Parameters
    ----------
    y, v : ndarray, shape (k,)
        Effects and variances, none absent; at most 25 studies.
    level : float
        Confidence level, a proportion.
    """
    w = 1 / v
    mean, e = mean_and_residuals(y, w)  # centred, so that the sums lose no digits
    s1, sy, q = (subset_sums(x)[1:] for x in (w, w * e, w * e * e))
    # arrays no longer needed are overwritten: new memory takes longer than the arithmetic
    low, high = np.empty_like(s1), np.empty_like(s1)
    shift = np.divide(sy, s1, out=low)
    q -= np.multiply(sy, shift, out=high)
    np.maximum(q, 0.0, out=q)
    estimate = np.add(shift, mean, out=sy)
    se = np.divide(1.0, np.sqrt(s1, out=s1), out=s1)
    half = np.multiply(float(normal_quantile((1 + level) / 2)), se, out=low)
    np.add(estimate, half, out=high)
    np.subtract(estimate, half, out=low)
    single = 2 ** np.arange(y.size) - 1
    tau2, status = np.zeros(s1.size), np.zeros(s1.size, dtype=np.int64)  # Status.OK is 0
    q[single], tau2[single], status[single] = np.nan, np.nan, int(Status.ONE_STUDY)
    k = subset_sums(np.ones(y.size, dtype=np.int64))[1:]
    return Combined(estimate, se, low, high, np.broadcast_to(np.inf, s1.shape), tau2, q, k, status)
