"""The common effect in every subset of the studies, without listing the subsets: sums that grow study by study.

References
----------
.. [1] Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. Res Synth Methods
   2012;3:214-223. https://doi.org/10.1002/jrsm.1053
"""

from __future__ import annotations

import numpy as np

from kapmeta.core.arrays import FloatArray
from kapmeta.core.combining import Combined
from kapmeta.core.distributions import normal_quantile
from kapmeta.core.status import Status
from kapmeta.core.weighting import mean_and_residuals


def subset_sums(x: FloatArray) -> FloatArray:
    """Sum of `x` (k,) over each of the 2^k subsets, in the binary order of `kapmeta.core.masks.all_subsets`.

    The subsets with study j are those without it, each with ``x[j]`` added: one addition a subset.

    Examples
    --------
    >>> subset_sums(np.array([1.0, 10.0, 100.0]))
    array([  0.,   1.,  10.,  11., 100., 101., 110., 111.])
    """
    sums = np.zeros(2**x.size)
    for j, value in enumerate(x):
        np.add(sums[: 2**j], value, out=sums[2**j : 2 ** (j + 1)])
    return sums


def common_effects(y: FloatArray, v: FloatArray, *, level: float = 0.95) -> Combined:
    """Common effect with Wald limits in every subset but the empty one [1]_; the same numbers as masks on `combine`.

    Parameters
    ----------
    y, v : ndarray, shape (k,)
        Effects and variances, none absent; at most 25 studies.
    level : float
        Confidence level, a proportion.
    """
    w = 1 / v
    mean, e = mean_and_residuals(y, w)  # centred, so that the sums lose no digits
    s1, sy, syy = (subset_sums(x)[1:] for x in (w, w * e, w * e * e))
    k = subset_sums(np.ones(y.size))[1:].astype(np.int64)
    shift = sy / s1
    se = 1 / np.sqrt(s1)
    estimate = mean + shift
    half = float(normal_quantile((1 + level) / 2)) * se
    several = k > 1
    q = np.where(several, np.maximum(syy - sy * shift, 0.0), np.nan)
    status = np.where(several, int(Status.OK), int(Status.ONE_STUDY))
    tau2 = np.where(several, 0.0, np.nan)
    return Combined(estimate, se, estimate - half, estimate + half, np.full(se.shape, np.inf), tau2, q, k, status)
