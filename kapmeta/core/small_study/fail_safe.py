"""Fail-safe numbers of null studies, and tests for an excess of significant results.

Fail-safe numbers have no model of what goes unpublished and are no evidence that nothing is
missing; the number of null studies *of a stated size* at least says what it would take.

References
----------
.. [1] Rosenthal R. The file drawer problem and tolerance for null results. Psychol Bull
   1979;86:638-641. https://doi.org/10.1037/0033-2909.86.3.638
.. [2] Orwin RG. A fail-safe N for effect size in meta-analysis. J Educ Stat 1983;8:157-159.
   https://doi.org/10.3102/10769986008002157
.. [3] Rosenberg MS. The file-drawer problem revisited: a general weighted method for calculating
   fail-safe numbers in meta-analysis. Evolution 2005;59:464-468.
   https://doi.org/10.1111/j.0014-3820.2005.tb01004.x
.. [4] Ioannidis JPA, Trikalinos TA. An exploratory test for an excess of significant findings. Clin
   Trials 2007;4:245-253. https://doi.org/10.1177/1740774507079441
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.tau2 import Estimator
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_quantile, normal_cdf, normal_quantile
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, weights
from kapmeta.core.pooling.combining import combine

_ALL_UP_TO = 64  # every number of null studies is tried up to here


class FailSafe(NamedTuple):
    """Number of null studies, 0 or more, and the observed p-value (nan if the method has none)."""

    n: FloatArray
    p_value: FloatArray


def _next_whole(n: FloatArray) -> FloatArray:
    """Round up to a whole number, forgiving rounding errors of the last digits."""
    return np.maximum(np.ceil(n - 1e-12 * np.abs(n)), 0.0)


def rosenthal(y: npt.ArrayLike, v: npt.ArrayLike, *, level: float = 0.95) -> FailSafe:
    """Count null studies (z = 0) until Stouffer's one-sided test is not significant [1]_.

    At the level ``1 - level``.
    """
    y, v = present(y, v)
    z = (y / np.sqrt(v)).sum(-1)
    k = count(v)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = normal_cdf(-np.abs(z) / np.sqrt(k))
    return FailSafe(_next_whole((z / normal_quantile(level)) ** 2 - k), p)


def orwin(y: npt.ArrayLike, v: npt.ArrayLike, *, target: float) -> FailSafe:
    """Count null studies until the common-effect mean is no larger than `target` in size [2]_."""
    y, v = present(y, v)
    mean, _ = mean_and_residuals(y, weights(v))
    n = count(v) * (np.abs(mean) - target) / target
    return FailSafe(_next_whole(n), np.full(mean.shape, np.nan))


def rosenberg(y: npt.ArrayLike, v: npt.ArrayLike, *, level: float = 0.95) -> FailSafe:
    """Count null studies of average weight until the common-effect z test fails [3]_.

    It fails where it is no longer significant.
    """
    y, v = present(y, v)
    w = weights(v)
    mean, _ = mean_and_residuals(y, w)
    z = mean * np.sqrt(w.sum(-1))
    n = count(v) * ((z / normal_quantile((1 + level) / 2)) ** 2 - 1)
    return FailSafe(_next_whole(n), 2 * normal_cdf(-np.abs(z)))


def null_studies(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    null_v: float,
    tau2: str | Estimator | float = "REML",
    ci: str = "hksj-hybrid",
    level: float = 0.95,
    most: int = 1000,
) -> float:
    """Count null studies of size `null_v` until the interval of one data set includes 0.

    Null studies scatter about 0 as studies do, with variance ``null_v + tau2`` at normal scores;
    put on 0 exactly they would hide the heterogeneity. Every count is refitted with the same
    method, between-study variance included. Beyond 64 the search first goes in steps of a tenth.
    ``inf`` if more than `most` would be needed.

    Parameters
    ----------
    y, v : array_like, shape (k,)
        Effects and sampling variances.
    null_v : float
        Sampling variance of each null study: its size.
    tau2, ci, level
        As in `kapmeta.core.combine`.
    most : int
        Where to stop looking.
    """
    y, v = present(y, v)
    between = np.nan_to_num(combine(y, v, tau2=tau2).tau2)
    spread = float(np.sqrt(null_v + between))

    def first_that_holds(numbers: IntArray) -> int | None:
        scores = _normal_scores(numbers) * spread
        added = np.where(np.arange(numbers[-1]) < numbers[:, None], null_v, np.inf)
        all_y = np.concatenate([np.broadcast_to(y, (numbers.size, y.size)), scores], axis=1)
        all_v = np.concatenate([np.broadcast_to(v, (numbers.size, v.size)), added], axis=1)
        found = combine(all_y, all_v, tau2=tau2, ci=ci, level=level)
        holds = np.flatnonzero((found.low <= 0) & (found.high >= 0))
        return int(holds[0]) if holds.size else None

    tried = _numbers_to_try(most)
    place = first_that_holds(tried)
    if place is None:
        return float("inf")
    step = np.arange(tried[max(place - 1, 0)], tried[place] + 1)
    return float(step[first_that_holds(step) or 0])


def _numbers_to_try(most: int) -> IntArray:
    """List every number up to 64, then steps of about a tenth, up to `most`."""
    every = np.arange(min(_ALL_UP_TO, most) + 1)
    if most <= _ALL_UP_TO:
        return every
    steps = np.geomspace(_ALL_UP_TO, most, 2 + int(np.log(most / _ALL_UP_TO) / np.log(1.1)))
    return np.unique(np.concatenate([every, np.rint(steps).astype(int)]))


def _normal_scores(numbers: IntArray) -> FloatArray:
    """Compute, row by row, that many normal scores with mean 0 and mean square 1.

    A single score is 0; zeros follow.
    """
    place = np.arange(numbers[-1])
    inside = place < numbers[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = np.where(inside, (place + 0.5) / numbers[:, None], 0.5)
        scores = np.where(inside, normal_quantile(chance), 0.0)
        scale = np.sqrt((scores * scores).sum(-1, keepdims=True) / numbers[:, None])
        return np.asarray(np.where(scale > 0, scores / scale, 0.0))


class Excess(NamedTuple):
    """Observed and expected number of significant studies, power of each, tests for an excess."""

    observed: IntArray
    expected: FloatArray
    power: FloatArray
    exact_p_value: FloatArray
    statistic: FloatArray
    p_value: FloatArray


def excess_significance(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    mean: npt.ArrayLike,
    *,
    tau2: npt.ArrayLike = 0.0,
    level: float = 0.95,
) -> Excess:
    """Test for an excess of significant studies [4]_.

    True effects are normal with this `mean` and variance `tau2`. `exact_p_value` is the upper tail
    of the sum of unequal coins, `statistic` and `p_value` the one-sided chi-squared test. Along the
    last axis; `mean` and `tau2` have the leading shape.
    """
    y, v = present(y, v)
    there = v < np.inf
    edge = np.sqrt(chi2_quantile(level, 1.0))
    with np.errstate(invalid="ignore"):
        spread = np.sqrt(v + np.asarray(tau2, dtype=np.float64)[..., None])
        shift = np.asarray(mean, dtype=np.float64)[..., None] / spread
        bar = edge * np.sqrt(v) / spread
        power = np.where(there, normal_cdf(shift - bar) + normal_cdf(-shift - bar), 0.0)
        observed = (there & (np.abs(y) / np.sqrt(v) >= edge)).sum(-1)
    expected = power.sum(-1)
    k = count(v)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = observed - expected
        statistic = excess**2 / expected + excess**2 / (k - expected)
        p = normal_cdf(-np.sign(excess) * np.sqrt(statistic))
    return Excess(observed, expected, power, _upper_tail(power, observed), statistic, p)


def _upper_tail(power: FloatArray, observed: IntArray) -> FloatArray:
    """Compute the chance of at least `observed` successes of unequal trials, by convolution."""
    k = power.shape[-1]
    distribution = np.zeros((*power.shape[:-1], k + 1))
    distribution[..., 0] = 1.0
    for i in range(k):
        p = power[..., i, None]
        distribution[..., 1:] = distribution[..., 1:] * (1 - p) + distribution[..., :-1] * p
        distribution[..., :1] *= 1 - p
    at_least = np.arange(k + 1) >= observed[..., None]
    return np.asarray(np.minimum(np.where(at_least, distribution, 0.0).sum(-1), 1.0))
