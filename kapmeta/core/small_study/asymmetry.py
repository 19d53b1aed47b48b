"""Tests of funnel-plot asymmetry and their power; PET and PEESE.

Every regression test is a weighted straight line of an effect on a measure of study size; what
differs is the effect, the measure and the weights. The line's slope is tested against t with k - 2
degrees of freedom.

References
----------
.. [1] Egger M, Davey Smith G, Schneider M, Minder C. Bias in meta-analysis detected by a simple,
   graphical test. BMJ 1997;315:629-634. https://doi.org/10.1136/bmj.315.7109.629
.. [2] Thompson SG, Sharp SJ. Explaining heterogeneity in meta-analysis: a comparison of methods.
   Stat Med 1999;18:2693-2708.
.. [3] Harbord RM, Egger M, Sterne JAC. A modified test for small-study effects in meta-analyses of
   controlled trials with binary endpoints. Stat Med 2006;25:3443-3457.
   https://doi.org/10.1002/sim.2380
.. [4] Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Comparison of two methods to detect
   publication bias in meta-analysis. JAMA 2006;295:676-680. https://doi.org/10.1001/jama.295.6.676
.. [5] Macaskill P, Walter SD, Irwig L. A comparison of methods to detect publication bias in
   meta-analysis. Stat Med 2001;20:641-654. https://doi.org/10.1002/sim.698
.. [6] Pustejovsky JE, Rodgers MA. Testing for funnel plot asymmetry of standardized mean
   differences. Res Synth Methods 2019;10:57-71. https://doi.org/10.1002/jrsm.1332
.. [7] Schwarzer G, Antes G, Schumacher M. A test for publication bias in meta-analysis with sparse
   binary data. Stat Med 2007;26:721-733.
.. [8] Stanley TD, Doucouliagos H. Meta-regression approximations to reduce publication selection
   bias. Res Synth Methods 2014;5:60-78. https://doi.org/10.1002/jrsm.1095
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.moderators import regression
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_cdf, t_quantile, t_two_sided
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, weights

_LARGEST_EXACT = 200  # the exact null distribution of Kendall's score takes k^3 / 6 additions


class WeightedLine(NamedTuple):
    """A weighted straight line and the test of its slope; every field of the leading shape (...).

    `dispersion` multiplies the variances (1 where they are taken as known); `tau2` is added to them
    (0 where nothing is). Rows with fewer than three studies, or whose predictor is the same for
    all, are nan.
    """

    intercept: FloatArray
    intercept_se: FloatArray
    slope: FloatArray
    slope_se: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    df: FloatArray
    dispersion: FloatArray
    tau2: FloatArray


class Points(NamedTuple):
    """Points of a regression test: effect, predictor, weight (0 = absent), sampling variance."""

    y: FloatArray
    x: FloatArray
    w: FloatArray
    v: FloatArray


class Rank(NamedTuple):
    """Kendall's rank correlation: tau, score, its standard error, normal test and exact p.

    The exact p-value is nan where ranks are tied.
    """

    tau: FloatArray
    score: FloatArray
    se: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    exact_p_value: FloatArray


def weighted_line(points: Points) -> WeightedLine:
    """Fit a weighted least-squares line with multiplicative dispersion.

    Standard errors are those of an ordinary weighted regression.
    """
    k = np.count_nonzero(points.w > 0, axis=-1)
    df = np.where(k > 2, k - 2.0, np.nan)
    fit = _least_squares(points)
    dispersion = fit.residual / df
    return _tested(fit, df, dispersion, np.zeros_like(dispersion))


def mixed_line(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    tau2: str | float = "REML",
    reference: str = "normal",
) -> WeightedLine:
    """Fit a meta-regression on `x` with variances v + tau2 (additive heterogeneity).

    The slope is tested against the normal or t. `tau2` is a value or a word of
    `kapmeta.core.moderators.residual_variance.RESIDUAL_ESTIMATORS`; with 0 two studies are enough.
    """
    y, v = present(y, v)
    x = np.where(v < np.inf, x, 0.0)
    found: npt.ArrayLike = tau2
    if isinstance(tau2, str):
        found = regression.fit(y, v, np.stack([np.ones_like(x), x], axis=-1), tau2=tau2).tau2
    between = np.broadcast_to(np.asarray(found, dtype=np.float64), v.shape[:-1])
    fit = _least_squares(Points(y, x, weights(v, between), v))
    k = count(v)
    df = np.where(k > 2, k - 2.0, np.nan) if reference == "t" else np.where(k > 1, np.inf, np.nan)
    return _tested(fit, df, np.ones_like(between), between)


class _StraightLine(NamedTuple):
    """A weighted straight line: total weight, moments of x, coefficients, residual squares."""

    total: FloatArray
    mean_x: FloatArray
    sxx: FloatArray
    intercept: FloatArray
    slope: FloatArray
    residual: FloatArray


def _least_squares(points: Points) -> _StraightLine:
    """Fit the line; nan where the predictor does not vary beyond rounding."""
    y, x, w, _ = points
    mean_x, ex = mean_and_residuals(np.where(w > 0, x, 0.0), w)
    mean_y, ey = mean_and_residuals(np.where(w > 0, y, 0.0), w)
    total = w.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sxx = (w * ex * ex).sum(-1)
        sxx = np.where(sxx > (8 * EPSILON * mean_x) ** 2 * total, sxx, np.nan)
        slope = (w * ex * ey).sum(-1) / sxx
        e = ey - slope[..., None] * ex
    return _StraightLine(total, mean_x, sxx, mean_y - slope * mean_x, slope, (w * e * e).sum(-1))


def _tested(
    fit: _StraightLine, df: FloatArray, dispersion: FloatArray, tau2: FloatArray
) -> WeightedLine:
    """Test the slope of a fitted line."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope_se = np.sqrt(dispersion / fit.sxx)
        intercept_se = np.sqrt(dispersion * (1 / fit.total + fit.mean_x**2 / fit.sxx))
        statistic = fit.slope / slope_se
    p = t_two_sided(statistic, df)
    return WeightedLine(
        fit.intercept, intercept_se, fit.slope, slope_se, statistic, p, df, dispersion, tau2
    )


def egger_points(y: npt.ArrayLike, v: npt.ArrayLike) -> Points:
    """Return the points of Egger's test [1]_: effect on its standard error, weights 1/v.

    The line's intercept is PET [8]_.
    """
    y, v = present(y, v)
    return Points(y, np.sqrt(v), weights(v), v)


def peese_points(y: npt.ArrayLike, v: npt.ArrayLike) -> Points:
    """Return the points of PEESE [8]_: effect on its variance, weights 1/v.

    The intercept is the corrected effect.
    """
    y, v = present(y, v)
    return Points(y, v, weights(v), v)


def macaskill_points(
    y: npt.ArrayLike, v: npt.ArrayLike, n1: npt.ArrayLike, n2: npt.ArrayLike
) -> Points:
    """Return the points of Macaskill's test [5]_: effect on total sample size, weights 1/v."""
    y, v = present(y, v)
    return Points(y, np.add(n1, n2, dtype=np.float64), weights(v), v)


def deeks_points(
    y: npt.ArrayLike, v: npt.ArrayLike, n1: npt.ArrayLike, n2: npt.ArrayLike
) -> Points:
    """Return the points of Deeks's test: effect on 1/sqrt(ESS), weights ESS.

    The effective sample size ESS is 4 n1 n2 / (n1 + n2).
    """
    y, v = present(y, v)
    size = 4 / _inverse_sizes(n1, n2)
    return Points(y, 1 / np.sqrt(size), np.where(v < np.inf, size, 0.0), v)


def pustejovsky_points(
    y: npt.ArrayLike, v: npt.ArrayLike, n1: npt.ArrayLike, n2: npt.ArrayLike
) -> Points:
    """Return the points of Pustejovsky and Rodgers's test [6]_.

    Effect on sqrt(1/n1 + 1/n2), which is free of the effect; weights 1/v.
    """
    y, v = present(y, v)
    return Points(y, np.sqrt(_inverse_sizes(n1, n2)), weights(v), v)


def _inverse_sizes(n1: npt.ArrayLike, n2: npt.ArrayLike) -> FloatArray:
    """Compute 1/n1 + 1/n2."""
    return 1 / np.asarray(n1, dtype=np.float64) + 1 / np.asarray(n2, dtype=np.float64)


def peters_points(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    a: npt.ArrayLike,
    n1: npt.ArrayLike,
    c: npt.ArrayLike,
    n2: npt.ArrayLike,
) -> Points:
    """Return the points of Peters's test [4]_: effect on 1/N, weights m (N - m) / N.

    Tables without events or non-events have weight 0.
    """
    y, v = present(y, v)
    m, size = np.add(a, c, dtype=np.float64), np.add(n1, n2, dtype=np.float64)
    return Points(y, 1 / size, np.where(v < np.inf, m * (size - m) / size, 0.0), v)


def harbord_points(
    a: npt.ArrayLike, n1: npt.ArrayLike, c: npt.ArrayLike, n2: npt.ArrayLike, *, measure: str = "OR"
) -> Points:
    """Return the points of Harbord's test [3]_: score Z/V on 1/sqrt(V), weights V.

    They come from the counts without any correction. `measure` is ``"OR"`` or ``"RR"``. For the
    risk ratio V is ``n1 n2 m / (N (N - m))``, whatever the arms' sizes.
    """
    a, n1, c, n2 = (np.asarray(part, dtype=np.float64) for part in (a, n1, c, n2))
    m, size = a + c, n1 + n2
    informative = (m > 0) & (m < size)
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "RR":
            z, info = (a * size - m * n1) / (size - m), n1 * n2 * m / (size * (size - m))
        else:
            z, info = a - n1 * m / size, n1 * n2 * m * (size - m) / (size * size * (size - 1))
        info = np.where(informative, info, 0.0)
        return Points(np.where(informative, z / info, 0.0), 1 / np.sqrt(info), info, 1 / info)


def begg(y: npt.ArrayLike, v: npt.ArrayLike) -> Rank:
    """Correlate standardised deviates with variances: Begg and Mazumdar's rank test.

    References
    ----------
    .. [1] Begg CB, Mazumdar M. Operating characteristics of a rank correlation test for publication
       bias. Biometrics 1994;50:1088-1101. https://doi.org/10.2307/2533446
    """
    y, v = present(y, v)
    w = weights(v)
    _, e = mean_and_residuals(y, w)
    e = np.where(np.abs(e) > 8 * EPSILON * np.abs(y).max(-1, keepdims=True), e, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviate = e / np.sqrt(v - 1 / w.sum(-1, keepdims=True))
    return kendall(np.where(v < np.inf, deviate, np.nan), v)


def schwarzer(a: npt.ArrayLike, n1: npt.ArrayLike, c: npt.ArrayLike, n2: npt.ArrayLike) -> Rank:
    """Correlate counts' deviates with their precision: Schwarzer's rank test [7]_.

    One data set; the deviates are from the hypergeometric mean at the Mantel-Haenszel odds ratio.
    The deviates ``(a - E) / sqrt(V)`` are correlated with ``1 / V``; tables without events or
    non-events are left out.
    """
    a, n1, c, n2 = (np.asarray(part, dtype=np.float64) for part in (a, n1, c, n2))
    size = n1 + n2
    informative = (a + c > 0) & (a + c < size)
    a, n1, c, n2, size = (
        a[informative],
        n1[informative],
        c[informative],
        n2[informative],
        size[informative],
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        psi = (a * (n2 - c) / size).sum() / (c * (n1 - a) / size).sum()
        mean, variance = hypergeometric_moments(n1, n2, a + c, psi)
        return kendall((a - mean) / np.sqrt(variance), 1 / variance)


def hypergeometric_moments(
    n1: FloatArray, n2: FloatArray, m: FloatArray, psi: float
) -> tuple[FloatArray, FloatArray]:
    """Compute mean and variance of the first arm's events, margins (k,) given.

    `psi` is the odds ratio.
    """
    moments = []
    for first, second, events in zip(n1, n2, m, strict=True):
        x = np.arange(max(0.0, events - second), min(first, events) + 1)
        parts = (x, first - x, events - x, second - events + x)
        log_p = x * np.log(psi) - sum(special.gammaln(part + 1) for part in parts)
        p = np.exp(log_p - log_p.max())
        mean = (p * x).sum() / p.sum()
        moments.append((mean, (p * (x - mean) ** 2).sum() / p.sum()))
    mean, variance = np.array(moments).reshape(-1, 2).T
    return mean, variance


def kendall(u: FloatArray, x: FloatArray) -> Rank:
    """Compute Kendall's rank correlation along the last axis; `u` nan marks an absent study."""
    there = np.isfinite(u)
    pair = there[..., :, None] & there[..., None, :]
    u, x = np.where(there, u, 0.0), np.where(there, x, 0.0)
    du = np.where(pair, np.sign(u[..., :, None] - u[..., None, :]), 0.0)
    dx = np.where(pair, np.sign(x[..., :, None] - x[..., None, :]), 0.0)
    score = (du * dx).sum((-2, -1)) / 2
    k = there.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = 2 * score / np.sqrt((du * du).sum((-2, -1)) * (dx * dx).sum((-2, -1)))
        se = np.sqrt(_score_variance(k, pair, du, dx))
        statistic = score / se
    no_ties = [np.count_nonzero(d, axis=(-2, -1)) == k * (k - 1) for d in (du, dx)]
    untied = no_ties[0] & no_ties[1]
    exact = [
        _exact_p(int(n), int(s)) if free and n <= _LARGEST_EXACT else np.nan
        for n, s, free in zip(k.ravel(), np.rint(score).ravel(), untied.ravel(), strict=True)
    ]
    p = 2 * normal_cdf(-np.abs(statistic))
    return Rank(tau, score, se, statistic, p, np.array(exact).reshape(k.shape))


def _score_variance(
    k: npt.NDArray[np.int_], pair: BoolArray, du: FloatArray, dx: FloatArray
) -> FloatArray:
    """Compute the variance of the score without association, allowing for ties."""
    # for each study the size of its group of ties
    ties = [np.where(pair, d == 0, False).sum(-1) for d in (du, dx)]
    # the sum over groups of f(t) is the sum over studies of f(t) / t
    both = [[np.where(t > 0, f(t), 0).sum(-1) for f in _TIE_TERMS] for t in ties]
    (u3, u2, u1), (x3, x2, x1) = both
    variance = (k * (k - 1) * (2 * k + 5) - u1 - x1) / 18
    variance = variance + u2 * x2 / (9.0 * k * (k - 1) * np.maximum(k - 2, 1))
    return np.asarray(variance + u3 * x3 / (2.0 * k * (k - 1)))


_TIE_TERMS: tuple[Callable[[npt.NDArray[np.int_]], npt.NDArray[np.int_]], ...] = (
    lambda t: t - 1,
    lambda t: (t - 1) * (t - 2),
    lambda t: (t - 1) * (2 * t + 5),
)


@lru_cache(maxsize=256)
def _score_distribution(k: int) -> FloatArray:
    """Compute the null distribution of concordant pairs, 0 to k (k - 1) / 2."""
    p = np.ones(1)
    for size in range(2, k + 1):
        p = np.convolve(p, np.full(size, 1 / size))
    return p


def _exact_p(k: int, score: int) -> float:
    """Compute the two-sided p: twice the smaller tail, at most 1."""
    if k < 2:
        return float("nan")
    p = _score_distribution(k)
    concordant = (score + k * (k - 1) // 2) // 2
    return float(min(1.0, 2 * min(p[: concordant + 1].sum(), p[concordant:].sum())))


def power(points: Points, *, bias: float = 1.0, level: float = 0.95) -> FloatArray:
    """Compute the power of the regression test against a bias of every study.

    Each study is off by `bias` of its own standard errors; the test is at ``1 - level``. For trials
    that differ in nothing but this bias: heterogeneity lowers it further. From the noncentral t
    distribution, so it is exact where the weights are 1/v and the predictor is the standard error
    (Egger).
    """
    _, x, w, v = points
    df = np.count_nonzero(w > 0, axis=-1) - 2.0
    there = w > 0
    _, ex = mean_and_residuals(np.where(there, x, 0.0), w)
    se = np.sqrt(np.where(there, v, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = bias * (w * ex * se).sum(-1) / np.sqrt((w * w * ex * ex * se * se).sum(-1))
    usable = (df > 0) & np.isfinite(shift)
    df, shift = np.where(usable, df, 1.0), np.abs(np.where(usable, shift, 0.0))
    edge = t_quantile((1 + level) / 2, df)
    found = 1 - special.nctdtr(df, shift, edge) + special.nctdtr(df, shift, -edge)
    return np.asarray(np.where(usable, found, np.nan))


def predictor_values(name: str, v: FloatArray, n: npt.ArrayLike | None) -> FloatArray:
    """Compute a predictor of `PREDICTORS` from variances `v` and total sizes `n`."""
    return np.asarray(PREDICTORS[name](v, np.asarray(np.nan if n is None else n, dtype=np.float64)))


PREDICTORS: Mapping[str, Callable[[FloatArray, FloatArray], FloatArray]] = MappingProxyType(
    {
        "se": lambda v, n: np.sqrt(v),
        "v": lambda v, n: v,
        "n": lambda v, n: n,
        "1/n": lambda v, n: 1 / n,
        "sqrt-n": lambda v, n: np.sqrt(n),
        "1/sqrt-n": lambda v, n: 1 / np.sqrt(n),
    }
)
"""What an effect can be regressed on, by name; the last four need the sample sizes."""


def predictor_points(
    y: npt.ArrayLike, v: npt.ArrayLike, *, predictor: str, n: npt.ArrayLike | None = None
) -> Points:
    """Return points of the effect on any of `PREDICTORS`, weights 1/v."""
    y, v = present(y, v)
    return Points(y, predictor_values(predictor, v, n), weights(v), v)
