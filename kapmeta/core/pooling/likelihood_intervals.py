"""Likelihood intervals of the mean: profile, Bartlett-corrected and Skovgaard's.

All three rest on maximum likelihood. The mean is fixed at each candidate value and tau2 is
maximised out, globally, since the likelihood in tau2 can have several modes. The values that the
data do not reject form the interval. None takes tau2 from outside. The functions work on rows with
at least two valid studies each, shape (n, k).

References
----------
.. [1] Hardy RJ, Thompson SG. A likelihood approach to meta-analysis with random effects. Stat Med
   1996;15:619-629. https://doi.org/10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A
.. [2] Noma H. Confidence intervals for a random-effects meta-analysis based on Bartlett-type
   corrections. Stat Med 2011;30:3304-3312. https://doi.org/10.1002/sim.4350
.. [3] Guolo A. Higher-order likelihood inference in meta-analysis and meta-regression. Stat Med
   2012;31:313-327. https://doi.org/10.1002/sim.4451
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from kapmeta.core.heterogeneity.tau2 import ml
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_upper, normal_quantile
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.numerics.weighting import mean_and_residuals, weights

_MODE_CELLS = 64  # of the search for the modes in tau2 at a fixed mean
_CANDIDATES = 24  # means tried on each side before the outermost limit is refined
_STUDIES_AT_ONCE = 1000  # rows x studies handled together: bounds the memory of the search


class LikelihoodMaximum(NamedTuple):
    """Global maximum of the likelihood: mean, tau2, and the standard error ``1 / sqrt(sum(w))``."""

    mean: FloatArray
    tau2: FloatArray
    se: FloatArray


class Limits(NamedTuple):
    """Ends of an interval; `undefined` marks rows on which the method does not exist."""

    low: FloatArray
    high: FloatArray
    undefined: BoolArray


Statistic: TypeAlias = Callable[[FloatArray, FloatArray, LikelihoodMaximum, FloatArray], FloatArray]
"""Statistic of (y, v, maximum, mean), per row, that is chi-squared with 1 df at the true mean."""


def likelihood_maximum(y: FloatArray, v: FloatArray) -> LikelihoodMaximum:
    """Find the global maximum of the likelihood in mean and tau2."""
    tau2 = ml(y, v)
    w = weights(v, tau2)
    mean, _ = mean_and_residuals(y, w)
    return LikelihoodMaximum(mean, tau2, 1 / np.sqrt(w.sum(-1)))


def tau2_at(y: FloatArray, v: FloatArray, mean: FloatArray) -> FloatArray:
    """Find the tau2 of highest likelihood when the mean is fixed, row by row.

    Every stationary point lies below ``max((y - mean)^2 - v)``. The score is evaluated at the ends
    of cells that are geometric in ``min(v) + tau2``. Each fall through 0 is refined to machine
    precision, and the best mode is kept.
    """
    e2 = _squared_deviations(y, v, mean)
    smallest = v.min(-1)
    # with equal deviations and variances the root lies on the bound itself, hence the margin
    top = np.maximum((e2 - v).max(-1), 0.0) * (1 + 1e-9) + 1e-12 * smallest
    steps = np.linspace(0.0, 1.0, _MODE_CELLS + 1)
    nodes = smallest[:, None] * np.expm1(steps * np.log1p(top / smallest)[:, None])
    nodes[:, -1] = top
    rising = _score(e2[:, None, :], v[:, None, :], nodes) > 0
    row, cell = np.nonzero(rising[:, :-1] & ~rising[:, 1:])
    ends = nodes[row, cell], nodes[row, cell + 1]
    modes = bracketed_root(lambda t: _score(e2[row], v[row], t), *ends)
    at_zero = np.flatnonzero(~rising[:, 0])
    row, modes = np.concatenate([row, at_zero]), np.concatenate([modes, np.zeros(at_zero.size)])
    order = np.argsort(-_deviance(e2[row], v[row], modes), kind="stable")
    tau2 = np.zeros(len(y))
    tau2[row[order]] = modes[order]  # the last written is the best
    return tau2


def mean_likelihood_ratio(
    y: FloatArray, v: FloatArray, best: LikelihoodMaximum, mean: FloatArray, tau2: FloatArray
) -> FloatArray:
    """Compute twice the fall of the log-likelihood from `best` to (`mean`, `tau2`).

    Not negative.
    """
    at_best = _deviance(_squared_deviations(y, v, best.mean), v, best.tau2)
    return np.maximum(_deviance(_squared_deviations(y, v, mean), v, tau2) - at_best, 0.0)


def _squared_deviations(y: FloatArray, v: FloatArray, mean: FloatArray) -> FloatArray:
    return np.where(v < np.inf, (y - mean[:, None]) ** 2, 0.0)


def _score(e2: FloatArray, v: FloatArray, tau2: FloatArray) -> FloatArray:
    """Compute twice the score in tau2 at a fixed mean, ``sum(w^2 e^2 - w)``."""
    w = weights(v, tau2)
    return np.asarray((w * (w * e2 - 1)).sum(-1))


def _deviance(e2: FloatArray, v: FloatArray, tau2: FloatArray) -> FloatArray:
    """Compute minus twice the log-likelihood.

    Variances are in units of the smallest, so that no digits depend on the unit.
    """
    there = v < np.inf
    total = np.where(there, (v + tau2[:, None]) / v.min(-1, keepdims=True), 1.0)
    return np.asarray((np.log(total) + weights(v, tau2) * e2).sum(-1))


def profile_limits(y: FloatArray, v: FloatArray, level: float) -> tuple[LikelihoodMaximum, Limits]:
    """Find the means whose likelihood ratio does not exceed the chi-squared quantile [1]_."""
    return _inverted(y, v, _profile_ratio, level)


def _profile_ratio(
    y: FloatArray, v: FloatArray, best: LikelihoodMaximum, mean: FloatArray
) -> FloatArray:
    return mean_likelihood_ratio(y, v, best, mean, tau2_at(y, v, mean))


def bartlett_limits(y: FloatArray, v: FloatArray, level: float) -> tuple[LikelihoodMaximum, Limits]:
    """Find the means whose Bartlett-corrected ratio does not exceed the quantile [2]_."""
    return _inverted(y, v, _bartlett_ratio, level)


def _bartlett_ratio(
    y: FloatArray, v: FloatArray, best: LikelihoodMaximum, mean: FloatArray
) -> FloatArray:
    tau2 = tau2_at(y, v, mean)
    w = weights(v, tau2)
    c = (w**3).sum(-1) / (w.sum(-1) * (w * w).sum(-1))
    return np.asarray(mean_likelihood_ratio(y, v, best, mean, tau2) / (1 + 2 * c))


def skovgaard_limits(
    y: FloatArray, v: FloatArray, level: float
) -> tuple[LikelihoodMaximum, Limits]:
    """Find the means whose Skovgaard statistic r* does not exceed the normal quantile [3]_.

    Undefined at tau2 = 0.
    """
    return _inverted(y, v, _squared_skovgaard, level)


def _squared_skovgaard(
    y: FloatArray, v: FloatArray, best: LikelihoodMaximum, mean: FloatArray
) -> FloatArray:
    return skovgaard_statistic(y, v, best, mean)[1] ** 2


_RATIOS = {"profile": _profile_ratio, "bartlett": _bartlett_ratio, "skovgaard": _squared_skovgaard}


def no_effect_p_value(y: FloatArray, v: FloatArray, kind: str) -> FloatArray:
    """Compute the p-value of a mean of 0 that belongs to the interval `kind`; rows (n, k).

    Every row holds at least one study. The interval excludes 0 exactly where this falls below one
    less its level. Where Skovgaard's statistic is undefined the Bartlett-corrected ratio takes its
    place, as it does in the interval.
    """
    best, none = likelihood_maximum(y, v), np.zeros(len(y))
    ratio = _RATIOS[kind](y, v, best, none)
    if kind == "skovgaard":
        ratio = np.where(np.isnan(ratio), _bartlett_ratio(y, v, best, none), ratio)
    return chi2_upper(ratio, 1)


def skovgaard_statistic(
    y: FloatArray, v: FloatArray, best: LikelihoodMaximum, mean: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the signed root r of the likelihood ratio for `mean`, and Skovgaard's r* [3]_.

    nan where tau2 is 0. With hats for the maximum and tildes for the maximum at the fixed mean,
    both informations are those of (mean, tau2) in the normal model.
    """
    tau2 = tau2_at(y, v, mean)
    d = best.mean - mean
    r = np.sign(d) * np.sqrt(mean_likelihood_ratio(y, v, best, mean, tau2))
    wh, wc = weights(v, best.tau2), weights(v, tau2)
    eh, ec = (np.where(v < np.inf, y - m[:, None], 0.0) for m in (best.mean, mean))
    # the covariance of the two scores is S = [[s11, d s12], [0, s12 / 2]],
    # that of score and likelihood ratio is q = [d s11, q2]
    s11, s12 = wc.sum(-1), (wc * wc).sum(-1)
    q2 = -0.5 * (wh - wc).sum(-1)
    first = d - d * s12 * (q2 / (s12 / 2)) / s11  # first element of S^-1 q
    observed = wh.sum(-1) * _curvature(wh, eh) - (wh * wh * eh).sum(-1) ** 2
    expected = wh.sum(-1) * (wh * wh).sum(-1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.abs(first) * np.sqrt(observed / _curvature(wc, ec)) * (s11 * s12 / 2) / expected
        adjusted = r + np.log(u / np.abs(r)) / r
    return r, np.where((best.tau2 > 0) & (tau2 > 0), adjusted, np.nan)


def _curvature(w: FloatArray, e: FloatArray) -> FloatArray:
    """Compute the observed information on tau2, ``sum(w^3 e^2) - sum(w^2) / 2``."""
    return np.asarray((w**3 * e * e).sum(-1) - (w * w).sum(-1) / 2)


def _inverted(
    y: FloatArray, v: FloatArray, statistic: Statistic, level: float
) -> tuple[LikelihoodMaximum, Limits]:
    """Find the outermost means at which `statistic` equals the quantile, in blocks of rows."""
    best = likelihood_maximum(y, v)
    limit = normal_quantile((1 + level) / 2) ** 2
    block = max(1, _STUDIES_AT_ONCE // y.shape[-1])
    low, high = np.empty(len(y)), np.empty(len(y))
    for start in range(0, len(y), block):
        rows = slice(start, start + block)
        part = LikelihoodMaximum(*(value[rows] for value in best))
        low[rows] = _outermost(y[rows], v[rows], part, statistic, limit, -1.0)
        high[rows] = _outermost(y[rows], v[rows], part, statistic, limit, 1.0)
    return best, Limits(low, high, np.isnan(low) | np.isnan(high))


def _outermost(
    y: FloatArray,
    v: FloatArray,
    best: LikelihoodMaximum,
    statistic: Statistic,
    limit: FloatArray,
    side: float,
) -> FloatArray:
    """Find the outermost crossing on one side; nan where the statistic is undefined on the way.

    Beyond all estimates every squared deviation grows, so the likelihood only falls. A rejected
    mean beyond them is outside the interval, and so is every mean farther out. Between the maximum
    and there the profile may have several modes, hence the grid of candidates.
    """

    def excess(mean: FloatArray, row: IntArray | slice = slice(None)) -> FloatArray:
        value = statistic(y[row], v[row], LikelihoodMaximum(*(part[row] for part in best)), mean)
        return np.asarray(value - limit)

    # 1. double the distance until the mean there is rejected
    distance = np.where(v < np.inf, side * (y - best.mean[:, None]), 0.0).max(-1) + best.se
    inside = excess(best.mean + side * distance) <= 0
    while inside.any():
        distance = np.where(inside, 2 * distance, distance)
        inside = inside & (excess(best.mean + side * distance) <= 0)
    # 2. find the outermost candidate inside; -1 is the maximum itself
    candidates = distance[:, None] * (np.arange(1, _CANDIDATES + 1) / _CANDIDATES)
    row = np.repeat(np.arange(len(y)), _CANDIDATES)
    found = excess(best.mean[row] + side * candidates.ravel(), row).reshape(candidates.shape)
    last = np.where(found <= 0, np.arange(_CANDIDATES), -1).max(-1)[:, None]
    # 3. solve between it and the next; at the maximum the statistic is 0, whatever the rounding
    ends = np.concatenate([np.zeros((len(y), 1)), candidates], axis=-1)
    low, high = (np.take_along_axis(ends, last + shift, axis=-1)[:, 0] for shift in (1, 2))
    root = bracketed_root(
        lambda x: np.where(x == 0, -limit, excess(best.mean + side * x)), low, high
    )
    return np.where(np.isnan(found).any(-1), np.nan, best.mean + side * root)
