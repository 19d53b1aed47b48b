"""Prediction intervals for the true effect in a new setting: the table of methods.

Every method takes `y` and `v` of shape (..., k), `tau2` of shape (...), the `MeanInterval` reported
with it and a level. It returns (low, high), nan where it is undefined. With three or four studies
none of them can be trusted, and with two none exists: prefer a Bayesian predictive interval there.
Where tau2 is 0 most of them shrink to the interval of the mean, which is no evidence that settings
do not differ.

References
----------
.. [1] Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects meta-analysis.
   J R Stat Soc A 2009;172:137-159. https://doi.org/10.1111/j.1467-985X.2008.00552.x
.. [2] Partlett C, Riley RD. Random effects meta-analysis: coverage performance of 95% confidence
   and prediction intervals following REML estimation. Stat Med 2017;36:301-317.
   https://doi.org/10.1002/sim.7140
.. [3] Nagashima K, Noma H, Furukawa TA. Prediction intervals for random-effects meta-analysis: a
   confidence distribution approach. Stat Methods Med Res 2019;28:1689-1702.
   https://doi.org/10.1177/0962280218773520
.. [4] Wang CC, Lee WC. A simple method to estimate prediction intervals and predictive
   distributions: summarizing meta-analyses beyond means and confidence intervals. Res Synth Methods
   2019;10:255-266. https://doi.org/10.1002/jrsm.1345
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_cdf, normal_quantile, t_quantile
from kapmeta.core.numerics.quadratic_forms import cochran_q_slopes, quadratic_form_cdf
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, q_statistic, weights
from kapmeta.core.pooling.intervals import (
    MeanInterval,
    classic,
    degrees,
    hartung_knapp_factor,
    kenward_roger,
)

PredictionLimits: TypeAlias = tuple[FloatArray, FloatArray]
PredictionMethod: TypeAlias = Callable[
    [npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, MeanInterval, float], PredictionLimits
]

_FEWEST_FOR_ENSEMBLE = 20
# nodes of tau2 in `nnf`, and their range on the normal score of its distribution
_TAU2_NODES, _LOWEST_SCORE, _HIGHEST_SCORE = 64, -7.5, 8.5


class Given(NamedTuple):
    """Rows a method works on: effects and variances (n, k), tau2, estimate and its se, level."""

    y: FloatArray
    v: FloatArray
    tau2: FloatArray
    estimate: FloatArray
    se: FloatArray
    level: float


_PredictionKernel: TypeAlias = Callable[[Given], PredictionLimits]


def _serving_rows(fewest: int) -> Callable[[_PredictionKernel], PredictionMethod]:
    """Let a kernel for rows of `fewest` or more valid studies, (n, k), serve any shape."""

    def wrapped(kernel: _PredictionKernel) -> PredictionMethod:
        @wraps(kernel)
        def method(
            y: npt.ArrayLike,
            v: npt.ArrayLike,
            tau2: npt.ArrayLike,
            interval: MeanInterval,
            level: float = 0.95,
        ) -> PredictionLimits:
            y, v = present(y, v)
            shape, k = v.shape[:-1], v.shape[-1]
            y, v = y.reshape(math.prod(shape), k), v.reshape(math.prod(shape), k)
            between, estimate, se = (
                np.broadcast_to(np.asarray(part, dtype=np.float64), shape).reshape(-1)
                for part in (tau2, interval.estimate, interval.se)
            )
            rows = (np.isfinite(y) & (v > 0)).all(-1) & (count(v) >= fewest) & (between >= 0)
            given = Given(y, v, between, estimate, se, level)
            if rows.size and rows.all():
                low, high = kernel(given)
                return low.reshape(shape), high.reshape(shape)
            low, high = np.full((2, len(y)), np.nan)
            if rows.any():
                some: Any = (*(part[rows] for part in given[:-1]), level)
                low[rows], high[rows] = kernel(Given(*some))
            return low.reshape(shape), high.reshape(shape)

        return method

    return wrapped


def _symmetric_about(
    centre: FloatArray, se: FloatArray, df: FloatArray, given: Given
) -> PredictionLimits:
    """Return ``centre +- t sqrt(tau2 + se^2)``."""
    half = t_quantile((1 + given.level) / 2, df) * np.sqrt(given.tau2 + se * se)
    return centre - half, centre + half


@_serving_rows(2)
def t_prediction(given: Given) -> PredictionLimits:
    """Use t with k - 1 df around the estimate, with the standard error of its interval.

    The default. Interval and prediction interval then use the same numbers, and coincide where tau2
    is 0.
    """
    return _symmetric_about(given.estimate, given.se, degrees(given.v), given)


@_serving_rows(3)
def hts(given: Given) -> PredictionLimits:
    """Use t with k - 2 df and the model-based standard error [1]_.

    Higgins, Thompson and Spiegelhalter's interval.
    """
    return _symmetric_about(*classic(given.y, given.v, given.tau2), degrees(given.v) - 1, given)


@_serving_rows(2)
def hk(given: Given) -> PredictionLimits:
    """Use t with k - 1 df and the Hartung-Knapp standard error; nan where that is 0."""
    return _symmetric_about(*_hartung_knapp_mean(given), degrees(given.v), given)


@_serving_rows(3)
def hk_pr(given: Given) -> PredictionLimits:
    """Use t with k - 2 df and the Hartung-Knapp standard error [2]_.

    Partlett and Riley's interval.
    """
    return _symmetric_about(*_hartung_knapp_mean(given), degrees(given.v) - 1, given)


def _hartung_knapp_mean(given: Given) -> tuple[FloatArray, FloatArray]:
    estimate, se = classic(given.y, given.v, given.tau2)
    factor = hartung_knapp_factor(given.y, given.v, given.tau2)
    return estimate, np.where(factor > 0, np.sqrt(factor) * se, np.nan)


@_serving_rows(2)
def kr_prediction(given: Given) -> PredictionLimits:
    """Use the Kenward-Roger standard error and df [2]_; nan if tau2 is 0 or the df are below 1."""
    return _kenward_roger(given, 0.0)


@_serving_rows(2)
def kr_pr(given: Given) -> PredictionLimits:
    """Use `kr_prediction` with one degree of freedom fewer [2]_; nan if those are below 1."""
    return _kenward_roger(given, 1.0)


def _kenward_roger(given: Given, fewer: float) -> PredictionLimits:
    estimate, _ = classic(given.y, given.v, given.tau2)
    se, df = kenward_roger(given.v, given.tau2)
    df = np.where((given.tau2 > 0) & (df - fewer >= 1), df - fewer, np.nan)
    return _symmetric_about(estimate, se, df, given)


@_serving_rows(_FEWEST_FOR_ENSEMBLE)
def wang_lee(given: Given) -> PredictionLimits:
    """Take quantiles of the effects shrunk so that their variance is tau2 [4]_.

    Wang and Lee's interval, for 20 studies or more. It does not assume normal effects, and it
    ignores the uncertainty of mean and tau2.
    """
    limits = [
        ensemble_limits(y[v < np.inf], v[v < np.inf], tau2, given.level)
        for y, v, tau2 in zip(given.y, given.v, given.tau2, strict=True)
    ]
    low, high = np.transpose(limits)
    return low, high


def ensemble_limits(y: FloatArray, v: FloatArray, tau2: float, level: float) -> tuple[float, float]:
    """Take quantiles of the shrunken effects of one data set of any size.

    The i-th of k effects is the quantile at i / (k + 1). Between them the quantile is linear in the
    normal score; beyond them the deviation from the mean grows in proportion to it.
    """
    mean, residuals = mean_and_residuals(y, weights(v, tau2))
    deviations = np.sort(residuals * np.sqrt(tau2 / (tau2 + v)))  # by the root of reliability [4]
    score = normal_quantile(np.arange(1, y.size + 1) / (y.size + 1))
    wanted = normal_quantile(np.array([(1 - level) / 2, (1 + level) / 2]))
    found = np.interp(wanted, score, deviations) * np.maximum(np.abs(wanted) / score[-1], 1.0)
    return float(mean + found[0]), float(mean + found[1])


@_serving_rows(3)
def nnf(given: Given) -> PredictionLimits:
    """Invert the confidence distribution of a new effect, by quadrature [3]_.

    Nagashima, Noma and Furukawa's interval, without their bootstrap. tau2 is drawn from its
    confidence distribution ``H(tau2) = P(Q >= q | tau2)``, so that its uncertainty counts; `tau2`
    and the interval are not used. nan where all estimates are equal.
    """
    limits = [
        _confidence_limits(y[v < np.inf], v[v < np.inf], given.level)
        for y, v in zip(given.y, given.v, strict=True)
    ]
    low, high = np.transpose(limits)
    return low, high


def _confidence_limits(y: FloatArray, v: FloatArray, level: float) -> tuple[float, float]:
    """Find quantiles of ``mu(tau2) + tau Z - s(tau2) T`` over the distribution of tau2."""
    if hartung_knapp_factor(y, v, 0.0) == 0:
        return np.nan, np.nan
    tau2, weight = _confidence_distribution(y, v)
    df = y.size - 1
    w = weights(v, tau2)
    mean, residuals = mean_and_residuals(np.broadcast_to(y, w.shape), w)
    s = np.sqrt((w * residuals**2).sum(-1) / df / w.sum(-1))  # Hartung-Knapp at each tau2
    wanted = np.array([(1 - level) / 2, (1 + level) / 2])

    def excess(x: FloatArray) -> FloatArray:
        areas = _normal_minus_t(x[:, None] - mean, np.sqrt(tau2), s, df)
        return np.asarray(areas @ weight - wanted)

    margin = np.ptp(y) + np.sqrt(v.max())
    low, high = y.min() - margin, y.max() + margin
    while excess(np.array([low, low]))[0] > 0 or excess(np.array([high, high]))[1] < 0:
        low, high, margin = low - margin, high + margin, 2 * margin
    limits = bracketed_root(excess, [low, low], [high, high])
    return float(limits[0]), float(limits[1])


def _confidence_distribution(y: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute nodes and weights of the confidence distribution of tau2.

    First its atom at 0, then Gauss-Legendre nodes. The nodes lie on the normal score of H, in which
    all that is averaged is smooth at both ends.
    """
    q, df = q_statistic(y, v), y.size - 1
    slopes = cochran_q_slopes(v)

    def log_survival(tau2: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(quadratic_form_cdf(q, 1 + tau2[:, None] * slopes)))

    at_zero = log_survival(np.zeros(1))[0]  # log of the chance that tau2 is above 0
    nodes, weight = special.roots_legendre(_TAU2_NODES)
    first = max(-float(normal_quantile(np.exp(at_zero))), _LOWEST_SCORE)
    if first >= _HIGHEST_SCORE:  # estimates so alike that this chance is below every digit
        return np.zeros(1), np.ones(1)
    half = (_HIGHEST_SCORE - first) / 2
    score = first + half * (nodes + 1)
    weight = half * weight * np.exp(-score * score / 2) / np.sqrt(2 * np.pi)
    # coefficients lie between those of the smallest and largest slope; a tenth more for rounding
    tail = normal_cdf(-np.abs(score))
    above, below = special.gammainccinv(df / 2, tail), special.gammaincinv(df / 2, tail)
    quantile = 2 * np.where(score < 0, above, below)
    excess = q / quantile - 1
    low, high = np.maximum(0.9 * excess / slopes[-1], 0.0), 1.1 * excess / slopes[0]
    tau2 = bracketed_root(lambda tau2: log_survival(tau2) - special.log_ndtr(-score), low, high)
    return np.append(0.0, tau2), np.append(-np.expm1(at_zero), weight)


def _normal_minus_t(x: FloatArray, tau: FloatArray, s: FloatArray, df: int) -> FloatArray:
    """Compute ``P(tau Z - s T <= x)`` by the trapezoidal rule.

    The integral is over Z or, where T is less spread, over T; `x` is (m, nodes). The rule converges
    geometrically. Its steps give 12 digits with 2 degrees of freedom, and more with more.
    """
    over_z = tau <= 2 * s
    area = np.empty(x.shape)
    z = np.arange(-86, 87) * 0.1
    density = 0.1 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    upper = (x[:, over_z, None] - tau[over_z, None] * z) / s[over_z, None]
    area[:, over_z] = special.stdtr(df, upper) @ density
    # T = sqrt(df) sinh(u) has density proportional to cosh(u)^-df in u
    u = np.linspace(-1, 1, 801) * np.arccosh(1e17 ** (1 / df))
    density = np.cosh(u) ** -df
    upper = (x[:, ~over_z, None] + s[~over_z, None] * np.sqrt(df) * np.sinh(u)) / tau[~over_z, None]
    area[:, ~over_z] = normal_cdf(upper) @ (density / density.sum())
    return area


def none(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    tau2: npt.ArrayLike,
    interval: MeanInterval,
    level: float = 0.95,
) -> PredictionLimits:
    """Return no prediction interval: nan everywhere."""
    nothing = np.full(np.shape(interval.estimate), np.nan)
    return nothing, nothing.copy()


PREDICTIONS: Mapping[str, PredictionMethod] = MappingProxyType(
    {
        "t": t_prediction,
        "hts": hts,
        "hk": hk,
        "hk-pr": hk_pr,
        "kr": kr_prediction,
        "kr-pr": kr_pr,
        "nnf": nnf,
        "wang-lee": wang_lee,
        "none": none,
    }
)
"""Prediction intervals by name. A new one is one function and one row."""
