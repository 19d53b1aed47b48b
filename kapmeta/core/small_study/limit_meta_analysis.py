"""Limit meta-analysis: the effect in trials of infinite precision.

References
----------
.. [1] Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M. Treatment-effect estimates
   adjusted for small-study effects via a limit meta-analysis. Biostatistics 2011;12:122-142.
   https://doi.org/10.1093/biostatistics/kxq046
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.tau2 import Estimator, estimator_named
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, q_statistic, weights
from kapmeta.core.small_study.asymmetry import Points, mixed_line, weighted_line


class Limit(NamedTuple):
    """Results of limit meta-analyses, each field of the leading shape (...).

    Attributes
    ----------
    estimate, se : ndarray
        Effect in the limit of infinite precision, by the adjustment asked for.
    intercept, slope : ndarray
        Of the generalised radial regression: alpha, the publication bias, and beta.
    tau2 : ndarray
        Between-study variance.
    shrunken : ndarray, shape (..., k)
        The studies as they would be with infinite precision; 0 for absent ones.
    q, q_small, q_residual : ndarray
        Cochran's Q, the part due to small-study effects (one degree of freedom) and the rest (k -
        2).
    g2 : ndarray
        Share of the heterogeneity in the limit that small-study effects leave unexplained.
    """

    estimate: FloatArray
    se: FloatArray
    intercept: FloatArray
    slope: FloatArray
    tau2: FloatArray
    shrunken: FloatArray
    q: FloatArray
    q_small: FloatArray
    q_residual: FloatArray
    g2: FloatArray


class _Radial(NamedTuple):
    """Generalised radial plot: x = 1 / sqrt(v + tau2), its regression, the shrunken studies."""

    v: FloatArray
    tau2: FloatArray
    x: FloatArray
    intercept: FloatArray
    slope: FloatArray
    shrunken: FloatArray


def _at_limit(radial: _Radial) -> tuple[FloatArray, FloatArray]:
    """Compute beta + tau alpha, with its Wald standard error [1]_."""
    there = radial.v < np.inf
    k = there.sum(-1)
    x = np.where(there, radial.x, 0.0)
    tau = np.sqrt(radial.tau2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = x.sum(-1) / k
        slope_variance = 1 / np.where(there, (x - mean[..., None]) ** 2, 0.0).sum(-1)
        intercept_variance = (x * x).sum(-1) / k * slope_variance
        variance = slope_variance + tau**2 * intercept_variance - 2 * tau * mean * slope_variance
        return radial.slope + tau * radial.intercept, np.sqrt(variance)


def _line_through_shrunken(radial: _Radial) -> tuple[FloatArray, FloatArray]:
    """Fit the radial line of the shrunken studies, with an intercept.

    The variances are taken as known.
    """
    line = mixed_line(radial.shrunken, radial.v, np.sqrt(radial.v), tau2=0.0)
    return line.intercept, line.intercept_se


def _mean_of_shrunken(radial: _Radial) -> tuple[FloatArray, FloatArray]:
    """Compute the common-effect mean of the shrunken studies.

    The radial line through the origin.
    """
    w = weights(radial.v)
    mean, _ = mean_and_residuals(radial.shrunken, w)
    with np.errstate(divide="ignore"):
        return mean, 1 / np.sqrt(w.sum(-1))


ADJUSTMENTS: Mapping[str, Callable[[_Radial], tuple[FloatArray, FloatArray]]] = MappingProxyType(
    {
        "at-limit": _at_limit,
        "shrunken-line": _line_through_shrunken,
        "shrunken-mean": _mean_of_shrunken,
    }
)
"""Estimates in the limit: ``"at-limit"`` extrapolates, the others pool shrunken studies."""


def limit_meta_analysis(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    adjustment: str = "at-limit",
    tau2: str | Estimator | float = "REML",
) -> Limit:
    """Estimate the effect in the limit of infinite precision, along the last axis.

    Any number of data sets at once.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and sampling variances; ``v = inf`` marks an absent study.
    adjustment : str
        Word of `ADJUSTMENTS`.
    tau2 : str, callable or float
        Between-study variance.

    Returns
    -------
    Limit
        nan where fewer than three studies are present or all are equally precise.
    """
    # 1. the generalised radial regression of Rücker and colleagues, and studies shrunken to it
    # 2. the effect in the limit, by the adjustment asked for
    # 3. heterogeneity: Cochran's Q, its part due to small-study effects, and the rest
    y, v = present(y, v)  # 1
    between = tau2 if isinstance(tau2, float | int) else estimator_named(tau2)(y, v)
    between = np.broadcast_to(np.asarray(between, dtype=np.float64), v.shape[:-1])
    w = weights(v, between)
    with np.errstate(invalid="ignore"):
        # y / s on 1 / s, unweighted, is y on s with weights 1 / s^2: the roles of slope and
        # intercept change
        there, total = v < np.inf, v + between[..., None]
        line = weighted_line(Points(y, np.where(there, np.sqrt(total), 0.0), w, v))
        share = np.where(there, np.sqrt(between[..., None] / total), 0.0)
    beta = line.intercept[..., None]
    shrunken = np.where(there, beta + share * (y - beta), 0.0)
    radial = _Radial(v, between, np.sqrt(w), line.slope, line.intercept, shrunken)
    estimate, se = ADJUSTMENTS[adjustment](radial)  # 2
    egger = weighted_line(Points(y, np.sqrt(v), weights(v), v))
    q = np.where(count(v) > 2, q_statistic(y, v), np.nan)  # 3
    residual = egger.dispersion * egger.df
    estimate, se = (np.where(np.isfinite(line.slope), part, np.nan) for part in (estimate, se))
    parts = q, q - residual, residual, _g2(shrunken, v)
    return Limit(estimate, se, line.slope, line.intercept, between, shrunken, *parts)


def _g2(shrunken: FloatArray, v: FloatArray) -> FloatArray:
    """Compute one minus the squared correlation in the radial plot of the shrunken studies."""
    there = v < np.inf
    k = there.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(there, 1 / np.sqrt(v), 0.0)
        z = shrunken * x
        ex = np.where(there, x - x.sum(-1, keepdims=True) / k, 0.0)
        ez = np.where(there, z - z.sum(-1, keepdims=True) / k, 0.0)
        return np.asarray(1 - (ex * ez).sum(-1) ** 2 / ((ex * ex).sum(-1) * (ez * ez).sum(-1)))
