"""Effects from a printed estimate with its interval, standard error or p-value.

Ratios enter as printed (an odds ratio of 2.25, not its logarithm); `y` and `v` are on the analysis
scale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects.counts import broadcast_floats, estimates, nonnegative
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import t_quantile


class Reported(NamedTuple):
    """Effects taken from a paper.

    Attributes
    ----------
    y, v : ndarray of float
        Effects on the analysis scale and their sampling variances; nan and infinite where absent.
    absent : ndarray of bool
        True where the numbers give no variance.
    discrepancy : ndarray of float
        Distance of the estimate from the middle of its interval in standard errors; nan where there
        is no such check.
    consistent : ndarray of bool
        False where `discrepancy` is 0.1 or more: coarse rounding, a misprint, or an interval of
        another kind.
    """

    y: FloatArray
    v: FloatArray
    absent: BoolArray
    discrepancy: FloatArray
    consistent: BoolArray


def _on_analysis_scale(value: FloatArray, ratio: bool) -> FloatArray:
    """Take the logarithm of a ratio (nan where it is negative); leave the rest as it is."""
    with np.errstate(divide="ignore"):
        return np.log(nonnegative(value)) if ratio else value


def _reported(
    y: FloatArray, se: FloatArray, middle: FloatArray | float, absent: BoolArray
) -> Reported:
    """Build the effects: absent where marked or not finite, nan where y or se is nan."""
    absent = absent | np.isinf(y)
    impossible = np.isnan(y) | np.isnan(se)
    y, se = np.where(impossible, np.nan, y), np.where(impossible, np.nan, se)
    y, v, _, absent = estimates(y, se * se, np.zeros_like(absent), absent)
    discrepancy = np.abs(y - middle) / np.where(absent, np.nan, se)
    return Reported(y, v, absent, discrepancy, ~(discrepancy >= 0.1))


def from_interval(
    estimate: npt.ArrayLike,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    *,
    ratio: bool = True,
    level: float = 0.95,
    df: npt.ArrayLike = np.inf,
) -> Reported:
    """Compute effects from an estimate and its confidence interval.

    For Wald intervals, symmetric on the analysis scale. Not for profile, exact or bootstrap
    intervals, which are not; the check against the middle of the interval finds most of them.

    Parameters
    ----------
    estimate, low, high : array_like
        As printed. Where one limit is nan, or infinite on the analysis scale (a ratio printed as
        0.00), the other one is used alone and nothing is checked.
    ratio : bool
        True for ratios (odds, risk, hazard, rate ratios), whose logarithm is analysed; False for
        differences.
    level : float
        Confidence level of the interval, a proportion.
    df : array_like
        Degrees of freedom of the t quantile that the source used; infinite for the normal.

    Returns
    -------
    Reported
        ``y, v, absent, discrepancy, consistent``.

    Examples
    --------
    Hazard ratio of relapse in Dakwar 2019, 0.47 (0.24 to 0.92), and odds ratio of relapse in
    Grabski 2022, 0.80 (0.31 to 2.10):

    >>> effect = from_interval([0.47, 0.80], [0.24, 0.31], [0.92, 2.10])
    >>> effect.y.round(3), np.sqrt(effect.v).round(3), effect.consistent
    (array([-0.755, -0.223]), array([0.343, 0.488]), array([ True,  True]))
    """
    estimate, low, high, df = broadcast_floats(estimate, low, high, df)
    y, lower, upper = (_on_analysis_scale(value, ratio) for value in (estimate, low, high))
    no_low, no_high = np.isnan(low) | np.isinf(lower), np.isnan(high) | np.isinf(upper)
    lower, upper = np.where(no_low, np.nan, lower), np.where(no_high, np.nan, upper)
    half_width = np.where(no_low, upper - y, np.where(no_high, y - lower, (upper - lower) / 2))
    se = nonnegative(half_width) / t_quantile((1 + level) / 2, df)
    return _reported(y, se, (lower + upper) / 2, np.isnan(estimate) | (no_low & no_high))


def from_standard_error(
    estimate: npt.ArrayLike, se: npt.ArrayLike, *, ratio: bool = True
) -> Reported:
    """Compute effects from an estimate and its standard error.

    Parameters
    ----------
    estimate : array_like
        As printed.
    se : array_like
        Standard error on the analysis scale: of the logarithm, for a ratio. Not the standard error
        of the ratio itself, which some programs print.
    ratio : bool
        True for ratios, whose logarithm is analysed; False for differences.

    Returns
    -------
    Reported
        ``y, v, absent, discrepancy, consistent``; there is nothing to check.

    Examples
    --------
    >>> effect = from_standard_error(2.25, 0.41)
    >>> float(effect.y.round(4)), float(effect.v.round(4))
    (0.8109, 0.1681)
    """
    estimate, se = broadcast_floats(estimate, se)
    absent = np.isnan(estimate) | np.isnan(se)
    return _reported(_on_analysis_scale(estimate, ratio), nonnegative(se), np.nan, absent)


def from_p_value(
    estimate: npt.ArrayLike, p: npt.ArrayLike, *, ratio: bool = True, df: npt.ArrayLike = np.inf
) -> Reported:
    """Compute effects from an estimate and its two-sided p-value.

    The last resort: a p-value printed to one digit leaves the variance uncertain by a large factor,
    and one printed as "p < 0.001" bounds it only (pass 0.001: the variance is then an upper bound).
    Not for p-values of exact tests.

    Parameters
    ----------
    estimate, p : array_like
        As printed.
    ratio : bool
        True for ratios, whose logarithm is analysed; False for differences.
    df : array_like
        Degrees of freedom of the t test that gave `p`; infinite for the normal.

    Returns
    -------
    Reported
        ``y, v, absent, discrepancy, consistent``; an estimate of no effect, or a p-value of 0 or 1,
        gives no variance. There is nothing to check.

    Examples
    --------
    Hazard ratio of relapse in Dakwar 2019, 0.47 with p = 0.03, against 0.343 from its interval:

    >>> float(np.sqrt(from_p_value(0.47, 0.03).v).round(3))
    0.348
    """
    estimate, p, df = broadcast_floats(estimate, p, df)
    y = _on_analysis_scale(estimate, ratio)
    absent = np.isnan(estimate) | np.isnan(p) | (y == 0) | (p == 0) | (p == 1)
    inside = np.where((p > 0) & (p < 1), p, np.nan)
    return _reported(y, np.abs(y) / -t_quantile(inside / 2, df), np.nan, absent)
