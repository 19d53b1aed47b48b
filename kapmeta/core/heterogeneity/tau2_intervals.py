"""Intervals of the between-study variance: Q-profile, generalised Q and profile likelihood.

References
----------
.. [1] Viechtbauer W. Confidence intervals for the amount of heterogeneity in meta-analysis. Stat
   Med 2007;26:37-52. https://doi.org/10.1002/sim.2514
.. [2] Jackson D. Confidence intervals for the between-study variance in random effects
   meta-analysis using generalised Cochran heterogeneity statistics. Res Synth Methods
   2013;4:220-229. https://doi.org/10.1002/jrsm.1081
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.tau2 import solve_q
from kapmeta.core.heterogeneity.variance_likelihood import (
    global_maximum,
    log_likelihood,
    search_limit,
)
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.quadratic_forms import q_eigenvalues, quadratic_form_cdf
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, q_statistic

_PROFILE_NODES = 129  # of the profile likelihood, between 0 and the search limit


class VarianceInterval(NamedTuple):
    """Limits of tau2, shape (...).

    Where `empty` holds, no value is compatible with the data and both limits are 0.
    """

    low: FloatArray
    high: FloatArray
    empty: BoolArray


def q_profile(y: npt.ArrayLike, v: npt.ArrayLike, *, level: float = 0.95) -> VarianceInterval:
    """Compute the Q-profile interval of tau2.

    It holds the values at which the generalised Q is not in a tail of its distribution. Exact under
    the normal random-effects model with known variances [1]_. With few studies it is very wide, and
    rightly so. Estimates more alike than chance allows give an empty set, which is returned as [0,
    0] and flagged.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and variances; ``v = inf`` marks an absent study.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    VarianceInterval
        Limits in the squared unit of `y`; nan below two studies.

    References
    ----------
    .. [1] Viechtbauer W. Stat Med 2007;26:37-52. https://doi.org/10.1002/sim.2514

    Examples
    --------
    >>> y = [1.0080, 0.8109, 3.2540]
    >>> v = [0.0364, 0.1681, 2.0098]
    >>> limits = q_profile(y, v)
    >>> float(limits.low), round(float(limits.high), 2)
    (0.0, 71.38)
    """
    y, v = present(y, v)
    df = np.maximum(count(v) - 1, 1)
    tail = (1 - level) / 2
    targets = chi2_quantile(np.reshape([1 - tail, tail], (2, *(1,) * df.ndim)), df)
    y2, v2 = (np.broadcast_to(x, (2, *x.shape)) for x in (y, v))
    low, high = solve_q(y2, v2, targets)
    with np.errstate(invalid="ignore"):
        empty = (count(v) > 1) & (q_statistic(y, v) < targets[1])
    return VarianceInterval(low, high, empty)


def generalised_q_interval(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    level: float = 0.95,
    weight: Callable[[FloatArray], FloatArray] | None = None,
) -> VarianceInterval:
    """Compute the interval of tau2 from a generalised Q with fixed weights [1]_.

    For one data set, by inverting the exact distribution of the statistic. The default, ``1 / v``,
    is Biggerstaff and Jackson's interval, the natural companion of DerSimonian-Laird. The weights
    ``1 / np.sqrt(v)`` are Jackson's compromise, shorter when tau2 is moderate.

    Parameters
    ----------
    y, v : array_like, shape (k,)
        Effects and variances; ``v = inf`` marks an absent study.
    level : float
        Confidence level, a proportion.
    weight : callable, optional
        Weights as a function of the variances.

    Returns
    -------
    VarianceInterval
        Limits; nan below two studies.

    References
    ----------
    .. [1] Jackson D. Res Synth Methods 2013;4:220-229. https://doi.org/10.1002/jrsm.1081

    Examples
    --------
    >>> limits = generalised_q_interval([1.0080, 0.8109, 3.2540], [0.0364, 0.1681, 2.0098])
    >>> float(limits.low), round(float(limits.high), 2)
    (0.0, 19.22)
    """
    y, v = present(y, v)
    there = v < np.inf
    y, v = y[there], v[there]
    if y.size < 2:
        return VarianceInterval(np.asarray(np.nan), np.asarray(np.nan), np.asarray(False))
    a = 1 / v if weight is None else weight(v)
    _, e = mean_and_residuals(y, a)
    observed = float((a * e * e).sum())

    def below(tau2: float) -> float:
        """Return the chance of a generalised Q no larger than observed; falls as tau2 grows."""
        return float(quadratic_form_cdf(observed, q_eigenvalues(v, tau2, a)))

    tail = (1 - level) / 2
    if below(0.0) < tail:
        return VarianceInterval(np.asarray(0.0), np.asarray(0.0), np.asarray(True))
    limits = [_variance_at(below, 1 - tail, v), _variance_at(below, tail, v)]
    return VarianceInterval(np.asarray(limits[0]), np.asarray(limits[1]), np.asarray(False))


def _variance_at(below: Callable[[float], float], target: float, v: FloatArray) -> float:
    """Find the tau2 at which the falling function `below` meets `target`; 0 if it starts lower."""
    if below(0.0) <= target:
        return 0.0
    high = float(v.min())
    while below(high) > target:
        high *= 4

    def excess(log_tau2: FloatArray) -> FloatArray:
        areas = [below(float(x)) for x in np.atleast_1d(np.exp(log_tau2))]
        return np.reshape(areas, log_tau2.shape) - target

    # on the log scale, so that the root has the same relative precision in every unit
    return float(np.exp(bracketed_root(excess, np.log(high) - 80, np.log(high))))


def profile_likelihood(
    y: npt.ArrayLike, v: npt.ArrayLike, *, level: float = 0.95, restricted: bool = True
) -> VarianceInterval:
    """Compute the profile-likelihood interval of tau2.

    It holds the values at which twice the log-likelihood is within a chi-squared quantile of its
    maximum. Where the likelihood has two modes the set can have a gap; the outermost limits are
    returned.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and variances; ``v = inf`` marks an absent study.
    level : float
        Confidence level, a proportion.
    restricted : bool
        Restricted (REML) or full (ML) likelihood.

    Returns
    -------
    VarianceInterval
        Limits; nan below two studies. Never empty.

    Examples
    --------
    >>> limits = profile_likelihood([1.0080, 0.8109, 3.2540], [0.0364, 0.1681, 2.0098])
    >>> float(limits.low), round(float(limits.high), 3)
    (0.0, 7.413)
    """
    y, v = present(y, v)
    y = np.broadcast_to(y, v.shape)
    shape, k = v.shape[:-1], v.shape[-1]
    rows = math.prod(shape)
    low, high = np.full((2, rows), np.nan)
    for i, (yi, vi) in enumerate(zip(y.reshape(rows, k), v.reshape(rows, k), strict=True)):
        if count(vi) > 1:
            low[i], high[i] = _likelihood_limits(yi, vi, level, restricted)
    return VarianceInterval(low.reshape(shape), high.reshape(shape), np.zeros(shape, dtype=bool))


def _likelihood_limits(
    y: FloatArray, v: FloatArray, level: float, restricted: bool
) -> tuple[float, float]:
    """Find the outermost values of tau2 inside the likelihood-ratio set, for one data set."""
    best = global_maximum(y, v, restricted=restricted)
    cut = log_likelihood(y, v, best, restricted=restricted) - chi2_quantile(level, 1) / 2

    def excess(tau2: FloatArray) -> FloatArray:
        effects, variances = np.broadcast_to(y, (*tau2.shape, y.size)), v + 0 * tau2[..., None]
        return log_likelihood(effects, variances, tau2, restricted=restricted) - cut

    smallest = v.min()
    end = float(search_limit(y, v, restricted=restricted)) + smallest
    while excess(np.asarray(end)) > 0:
        end *= 4
    nodes = smallest * np.expm1(np.linspace(0, np.log1p(end / smallest), _PROFILE_NODES))
    nodes = np.unique(np.append(nodes, best))

    inside = np.flatnonzero(excess(nodes) >= 0)
    first, last = inside[0], inside[-1]
    lower = 0.0 if first == 0 else float(bracketed_root(excess, nodes[first - 1], nodes[first]))
    return lower, float(bracketed_root(excess, nodes[last], nodes[last + 1]))
