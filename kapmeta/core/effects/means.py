"""Effects of trials reported as means and standard deviations, or as other summaries of these."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.effects.counts import Estimates, broadcast_floats, estimates, nonnegative
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_quantile, t_quantile


class MeanAndSd(NamedTuple):
    """Mean and standard deviation guessed from quantiles, with the verdict of the skewness screen.

    Attributes
    ----------
    mean, sd : ndarray of float
        Estimates that assume normal data; nan where the quantiles are out of order.
    skewed : ndarray of bool
        True where the quantiles contradict normal data: do not use `mean` and `sd` there.
    skewness, critical : ndarray of float
        The statistic of the screen and the value from which it calls the data skewed.
    """

    mean: FloatArray
    sd: FloatArray
    skewed: BoolArray
    skewness: FloatArray
    critical: FloatArray


def _two_arms(*values: npt.ArrayLike) -> tuple[list[FloatArray], BoolArray]:
    """Return m1, s1, n1, m2, s2, n2, nan where unusable, and which rows are absent."""
    m1, s1, n1, m2, s2, n2 = broadcast_floats(*values)
    absent = np.isnan(m1 + s1 + n1 + m2 + s2 + n2) | (n1 == 0) | (n2 == 0)
    unusable = absent | (s1 < 0) | (s2 < 0) | (n1 < 0) | (n2 < 0)
    return [np.where(unusable, np.nan, value) for value in (m1, s1, n1, m2, s2, n2)], absent


def mean_difference(
    mean_t: npt.ArrayLike,
    sd_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    mean_c: npt.ArrayLike,
    sd_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
) -> Estimates:
    """Compute differences in means, in the unit of the outcome.

    The measure to use when all trials share a scale. Not when they do not.

    Parameters
    ----------
    mean_t, sd_t, n_t, mean_c, sd_c, n_c : array_like
        Means, standard deviations (not standard errors) and participants of the arms, shape (...,
        studies). A row with a nan, or with an arm of nobody, is absent.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``; the variances of the arms are not assumed equal. A row without
        any spread is absent.

    Examples
    --------
    Percentage of good days, 86.2 (SD 20.1, 24 patients) against 75.9 (24.7, 23):

    >>> effect = mean_difference(86.2, 20.1, 24, 75.9, 24.7, 23)
    >>> float(effect.y.round(1)), float(effect.v.round(3))
    (10.3, 43.359)
    """
    (m1, s1, n1, m2, s2, n2), absent = _two_arms(mean_t, sd_t, n_t, mean_c, sd_c, n_c)
    return estimates(m1 - m2, s1 * s1 / n1 + s2 * s2 / n2, np.zeros(absent.shape, bool), absent)


def small_sample_factor(df: npt.ArrayLike) -> FloatArray:
    """Compute Hedges's exact small-sample factor J of a standardised mean difference [1]_.

    Parameters
    ----------
    df : array_like
        Degrees of freedom of the standard deviation, above 1; nan elsewhere.

    Returns
    -------
    ndarray
        J, near ``1 - 3 / (4 df - 1)``.

    Notes
    -----
    A ratio of gamma functions: taken as such up to 300 degrees of freedom, by its asymptotic series
    above. The difference of their logarithms, the usual way, loses three digits, which the unbiased
    variance makes six.

    References
    ----------
    .. [1] Hedges LV. Distribution theory for Glass's estimator of effect size and related
       estimators. J Educ Stat 1981;6:107-128. https://doi.org/10.2307/1164588

    Examples
    --------
    >>> float(small_sample_factor(45).round(6))
    0.983225
    """
    m = np.asarray(df, dtype=np.float64)
    m = np.where(m > 1, m, np.nan)
    few = np.minimum(m, 300.0)
    exact = special.gamma(few / 2) / (np.sqrt(few / 2) * special.gamma((few - 1) / 2))
    x = 2 / (m - 1)
    series = 1 - x / 8 + x**2 / 128 + 5 * x**3 / 1024 - 21 * x**4 / 32768 - 399 * x**5 / 262144
    return np.asarray(np.where(m <= 300, exact, np.sqrt(1 - 1 / m) * series))


def _large_sample_variance(
    g: FloatArray, j: FloatArray, n1: FloatArray, n2: FloatArray
) -> FloatArray:
    """Compute the large-sample variance of Hedges's g."""
    return np.asarray(1 / n1 + 1 / n2 + g * g / (2 * (n1 + n2)))


def _unbiased_variance(g: FloatArray, j: FloatArray, n1: FloatArray, n2: FloatArray) -> FloatArray:
    """Compute the unbiased variance of Hedges's g."""
    df = n1 + n2 - 2
    return np.asarray(1 / n1 + 1 / n2 + (1 - (df - 2) / (df * j * j)) * g * g)


SMD_VARIANCES: dict[str, Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "ls": _large_sample_variance,
    "ub": _unbiased_variance,
}
"""Sampling variances of a standardised mean difference by name: large-sample, and unbiased."""


def standardized_mean_difference(
    mean_t: npt.ArrayLike,
    sd_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    mean_c: npt.ArrayLike,
    sd_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    variance: str = "ls",
) -> Estimates:
    """Compute Hedges's g, the unbiased standardised mean difference [1]_.

    For trials that measured one thing on different scales. Not for trials that share a scale, where
    it makes differences in spread look like differences in effect.

    Parameters
    ----------
    mean_t, sd_t, n_t, mean_c, sd_c, n_c : array_like
        Means, standard deviations and participants of the arms, shape (..., studies).
    variance : {"ls", "ub"}
        The large-sample variance (metafor's default) or the unbiased one (meta's since version 8).

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. A row without any spread, or with fewer than 4 participants in
        all, is absent.

    Raises
    ------
    ValueError
        If `variance` is not a key of `SMD_VARIANCES`.

    References
    ----------
    .. [1] Hedges LV. Distribution theory for Glass's estimator of effect size and related
       estimators. J Educ Stat 1981;6:107-128. https://doi.org/10.2307/1164588

    Examples
    --------
    >>> effect = standardized_mean_difference(86.2, 20.1, 24, 75.9, 24.7, 23)
    >>> float(effect.y.round(4)), float(effect.v.round(4))
    (0.4508, 0.0873)
    """
    if variance not in SMD_VARIANCES:
        raise ValueError(f'unknown variance "{variance}"; use one of: {", ".join(SMD_VARIANCES)}')
    (m1, s1, n1, m2, s2, n2), absent = _two_arms(mean_t, sd_t, n_t, mean_c, sd_c, n_c)
    df = n1 + n2 - 2
    spread = (n1 - 1) * s1 * s1 + (n2 - 1) * s2 * s2
    absent = absent | (df <= 1) | (spread == 0)
    j = small_sample_factor(df)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = j * (m1 - m2) / np.sqrt(spread / df)
        v = SMD_VARIANCES[variance](g, j, n1, n2)
    return estimates(g, v, np.zeros(absent.shape, bool), absent)


def ratio_of_means(
    mean_t: npt.ArrayLike,
    sd_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    mean_c: npt.ArrayLike,
    sd_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    bias_corrected: bool = True,
) -> Estimates:
    """Compute log ratios of means [1]_, for outcomes with a true zero, such as amounts.

    Not for scales whose zero is a convention, nor for a bounded percentage, whose ratio depends on
    which end is counted.

    Parameters
    ----------
    mean_t, sd_t, n_t, mean_c, sd_c, n_c : array_like
        Means (positive), standard deviations and participants of the arms, shape (..., studies).
    bias_corrected : bool
        Whether to add half the difference of the squared coefficients of variation, each over its
        n: the bias of the logarithm of a mean, to first order [2]_. metafor does so since version
        5.0; [1]_ and meta do not. The variance is the same.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``; nan where a mean is not positive. A row without any spread is
        absent.

    References
    ----------
    .. [1] Hedges LV, Gurevitch J, Curtis PS. The meta-analysis of response ratios in experimental
       ecology. Ecology 1999;80:1150-1156. https://doi.org/10.2307/177062
    .. [2] Lajeunesse MJ. Bias and correction for the log response ratio in ecological
       meta-analysis. Ecology 2015;96:2056-2063. https://doi.org/10.1890/14-2402.1

    Examples
    --------
    >>> effect = ratio_of_means(86.2, 20.1, 24, 75.9, 24.7, 23)
    >>> float(effect.y.round(4)), float(effect.v.round(5))
    (0.1261, 0.00687)
    """
    (m1, s1, n1, m2, s2, n2), absent = _two_arms(mean_t, sd_t, n_t, mean_c, sd_c, n_c)
    m1, m2 = np.where(m1 > 0, m1, np.nan), np.where(m2 > 0, m2, np.nan)
    v1, v2 = (s1 / m1) ** 2 / n1, (s2 / m2) ** 2 / n2
    y = np.log(m1 / m2) + (0.5 * (v1 - v2) if bias_corrected else 0.0)  # [2], to first order
    return estimates(y, v1 + v2, np.zeros(absent.shape, bool), absent)


def sd_from_standard_error(se: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Compute the standard deviation of an arm from the standard error of its mean.

    Parameters
    ----------
    se, n : array_like
        Standard error of the mean, in the unit of the outcome; participants.

    Returns
    -------
    ndarray
        ``se * sqrt(n)``.

    Examples
    --------
    >>> float(sd_from_standard_error(4.1, 24).round(2))
    20.09
    """
    return nonnegative(se) * np.sqrt(nonnegative(n))


def sd_from_interval(
    low: npt.ArrayLike, high: npt.ArrayLike, n: npt.ArrayLike, *, level: float = 0.95
) -> FloatArray:
    """Compute the standard deviation of an arm from the t interval of its mean.

    Parameters
    ----------
    low, high, n : array_like
        Limits of the interval, in the unit of the outcome; participants (2 or more, nan below).
    level : float
        Confidence level of the interval, a proportion.

    Returns
    -------
    ndarray
        Standard deviations.

    Examples
    --------
    >>> float(sd_from_interval(77.71, 94.69, 24).round(1))
    20.1
    """
    low, high, n = broadcast_floats(low, high, n)
    quantile = t_quantile((1 + level) / 2, n - 1)
    return np.sqrt(nonnegative(n)) * nonnegative(high - low) / (2 * quantile)


def sd_of_change(
    sd_before: npt.ArrayLike, sd_after: npt.ArrayLike, correlation: npt.ArrayLike
) -> FloatArray:
    """Compute the standard deviation of a change from both times and their correlation.

    The correlation is seldom printed. Take it from another trial of the outcome and say so, and
    repeat the analysis with others (0.4, 0.7, 0.9).

    Parameters
    ----------
    sd_before, sd_after, correlation : array_like
        Standard deviations at the two times and the correlation of the two measurements.

    Returns
    -------
    ndarray
        Standard deviations of the change.

    Examples
    --------
    >>> sd_of_change(20.0, 25.0, [0.4, 0.7, 0.9]).round(2)
    array([25.  , 18.03, 11.18])
    """
    s0, s1, r = broadcast_floats(sd_before, sd_after, correlation)
    return np.sqrt(nonnegative(s0 * s0 + s1 * s1 - 2 * r * s0 * s1))


def pooled_sd_from_standard_error(
    se: npt.ArrayLike, n_t: npt.ArrayLike, n_c: npt.ArrayLike
) -> FloatArray:
    """Compute the pooled standard deviation from the standard error of a difference.

    Parameters
    ----------
    se, n_t, n_c : array_like
        Standard error of the difference; participants of the arms.

    Returns
    -------
    ndarray
        Standard deviations.

    Examples
    --------
    >>> float(pooled_sd_from_standard_error(6.57, 24, 23).round(2))
    22.52
    """
    n1, n2 = nonnegative(n_t), nonnegative(n_c)
    return np.asarray(nonnegative(se) * np.sqrt(n1 * n2 / (n1 + n2)))


def pooled_sd_from_interval(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    n_t: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> FloatArray:
    """Compute the pooled standard deviation from the t interval of a difference in means.

    Parameters
    ----------
    low, high, n_t, n_c : array_like
        Limits of the interval of the difference; participants of the arms.
    level : float
        Confidence level of the interval, a proportion.

    Returns
    -------
    ndarray
        Standard deviations. From an adjusted analysis this is the spread left after adjustment, too
        small for a standardised mean difference.

    Examples
    --------
    >>> float(pooled_sd_from_interval(-2.93, 23.53, 24, 23).round(1))
    22.5
    """
    low, high, n1, n2 = broadcast_floats(low, high, n_t, n_c)
    se = (high - low) / (2 * t_quantile((1 + level) / 2, n1 + n2 - 2))
    return pooled_sd_from_standard_error(se, n1, n2)


def pooled_sd_from_t(
    difference: npt.ArrayLike, t: npt.ArrayLike, n_t: npt.ArrayLike, n_c: npt.ArrayLike
) -> FloatArray:
    """Compute the pooled standard deviation from a difference in means and its t statistic.

    Parameters
    ----------
    difference, t, n_t, n_c : array_like
        Difference in means, t statistic of either sign, participants of the arms.

    Returns
    -------
    ndarray
        Standard deviations; nan where `t` is 0, which leaves the spread unknown.

    Examples
    --------
    >>> float(pooled_sd_from_t(10.3, 1.572, 24, 23).round(2))
    22.45
    """
    difference, t = broadcast_floats(difference, t)
    se = np.abs(difference) / np.where(t == 0, np.nan, np.abs(t))
    return pooled_sd_from_standard_error(se, n_t, n_c)


def pooled_sd_from_p_value(
    difference: npt.ArrayLike, p: npt.ArrayLike, n_t: npt.ArrayLike, n_c: npt.ArrayLike
) -> FloatArray:
    """Compute the pooled standard deviation from a difference in means and its p-value.

    Parameters
    ----------
    difference, p, n_t, n_c : array_like
        Difference in means, two-sided p-value of the t test, participants of the arms. "p < 0.05"
        gives no more than an upper bound: pass 0.05 and treat the result as one.

    Returns
    -------
    ndarray
        Standard deviations; nan where `p` is not inside (0, 1).

    Examples
    --------
    >>> float(pooled_sd_from_p_value(10.3, 0.123, 24, 23).round(1))
    22.5
    """
    n1, n2, p = broadcast_floats(n_t, n_c, p)
    inside = np.where((p > 0) & (p < 1), p, np.nan)
    return pooled_sd_from_t(difference, t_quantile(inside / 2, n1 + n2 - 2), n1, n2)


def _range_in_sd(n: FloatArray) -> FloatArray:
    """Compute the expected range of n normal values in standard deviations.

    [1]_ of `from_extremes`.
    """
    return np.asarray(2 * normal_quantile((n - 0.375) / (n + 0.25)))


def _quartile_range_in_sd(n: FloatArray) -> FloatArray:
    """Compute the expected interquartile range of n normal values in standard deviations.

    [1]_ of `from_quartiles`.
    """
    return np.asarray(2 * normal_quantile((0.75 * n - 0.125) / (n + 0.25)))


def _ascending(*values: npt.ArrayLike) -> tuple[FloatArray, ...]:
    """Return the quantiles and, last, n as floats, nan where they are out of order.

    Rows without a positive n are nan too.
    """
    arrays = broadcast_floats(*values)
    usable = arrays[-1] > 0
    for lower, upper in pairwise(arrays[:-1]):
        usable = usable & (lower <= upper)
    return tuple(np.where(usable, array, np.nan) for array in arrays)


def from_extremes(
    minimum: npt.ArrayLike, median: npt.ArrayLike, maximum: npt.ArrayLike, n: npt.ArrayLike
) -> MeanAndSd:
    """Estimate mean [1]_ and standard deviation [2]_ from median and range.

    The data are screened for skewness [3]_. The poorest of the three summaries: two of its numbers
    are single patients. Not for bounded, skewed outcomes.

    Parameters
    ----------
    minimum, median, maximum, n : array_like
        Quantiles in the unit of the outcome, and participants (5 or more).

    Returns
    -------
    MeanAndSd
        ``mean, sd, skewed, skewness, critical``.

    References
    ----------
    .. [1] Luo D, Wan X, Liu J, Tong T. Optimally estimating the sample mean from the sample size,
       median, mid-range, and/or mid-quartile range. Stat Methods Med Res 2018;27:1785-1805.
       https://doi.org/10.1177/0962280216669183
    .. [2] Wan X, Wang W, Liu J, Tong T. Estimating the sample mean and standard deviation from the
       sample size, median, range and/or interquartile range. BMC Med Res Methodol 2014;14:135.
       https://doi.org/10.1186/1471-2288-14-135
    .. [3] Shi J, Luo D, Wan X, Liu Y, Liu J, Bian Z, Tong T. Detecting the skewness of data from
       the five-number summary and its application in meta-analysis. Stat Methods Med Res
       2023;32:1338-1360. https://doi.org/10.1177/09622802231172043

    Examples
    --------
    Good days, in per cent, of 24 patients: median 80, range 20 to 100. The data are skewed:

    >>> summary = from_extremes(20, 80, 100, 24)
    >>> float(summary.mean.round(1)), float(summary.sd.round(1)), bool(summary.skewed)
    (74.6, 20.5, True)
    """
    a, m, b, n = _ascending(minimum, median, maximum, n)
    w = 4 / (4 + n**0.75)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.abs(a + b - 2 * m) / (b - a)
        sd = (b - a) / _range_in_sd(n)
    critical = 1 / np.log(n + 9) + 2.5 / (n + 1)
    return MeanAndSd(w * (a + b) / 2 + (1 - w) * m, sd, skewness >= critical, skewness, critical)


def from_quartiles(
    q1: npt.ArrayLike, median: npt.ArrayLike, q3: npt.ArrayLike, n: npt.ArrayLike
) -> MeanAndSd:
    """Estimate mean [1]_ and standard deviation [2]_ from median and quartiles.

    The data are screened for skewness [3]_. Not for data that it
    finds skewed.

    Parameters
    ----------
    q1, median, q3, n : array_like
        Quantiles in the unit of the outcome, and participants (5 or more).

    Returns
    -------
    MeanAndSd
        ``mean, sd, skewed, skewness, critical``.

    References
    ----------
    .. [1] Luo D, Wan X, Liu J, Tong T. Optimally estimating the sample mean from the sample size,
       median, mid-range, and/or mid-quartile range. Stat Methods Med Res 2018;27:1785-1805.
       https://doi.org/10.1177/0962280216669183
    .. [2] Wan X, Wang W, Liu J, Tong T. Estimating the sample mean and standard deviation from the
       sample size, median, range and/or interquartile range. BMC Med Res Methodol 2014;14:135.
       https://doi.org/10.1186/1471-2288-14-135
    .. [3] Shi J, Luo D, Wan X, Liu Y, Liu J, Bian Z, Tong T. Detecting the skewness of data from
       the five-number summary and its application in meta-analysis. Stat Methods Med Res
       2023;32:1338-1360. https://doi.org/10.1177/09622802231172043

    Examples
    --------
    >>> summary = from_quartiles(60, 80, 97, 24)
    >>> float(summary.mean.round(1)), float(summary.sd.round(1)), bool(summary.skewed)
    (78.9, 29.2, False)
    """
    q1, m, q3, n = _ascending(q1, median, q3, n)
    w = 0.7 + 0.39 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.abs(q1 + q3 - 2 * m) / (q3 - q1)
        sd = (q3 - q1) / _quartile_range_in_sd(n)
    critical = 2.65 / np.sqrt(n) - 6 / n**2
    return MeanAndSd(w * (q1 + q3) / 2 + (1 - w) * m, sd, skewness >= critical, skewness, critical)


def from_five_numbers(
    minimum: npt.ArrayLike,
    q1: npt.ArrayLike,
    median: npt.ArrayLike,
    q3: npt.ArrayLike,
    maximum: npt.ArrayLike,
    n: npt.ArrayLike,
) -> MeanAndSd:
    """Estimate mean [1]_ and standard deviation [2]_ from the five-number summary.

    The data are screened for skewness [3]_. Not for data that the screen calls skewed.

    Parameters
    ----------
    minimum, q1, median, q3, maximum, n : array_like
        Quantiles in the unit of the outcome, and participants (5 or more).

    Returns
    -------
    MeanAndSd
        ``mean, sd, skewed, skewness, critical``.

    References
    ----------
    .. [1] Luo D, Wan X, Liu J, Tong T. Optimally estimating the sample mean from the sample size,
       median, mid-range, and/or mid-quartile range. Stat Methods Med Res 2018;27:1785-1805.
       https://doi.org/10.1177/0962280216669183
    .. [2] Shi J, Luo D, Weng H, Zeng XT, Lin L, Chu H, Tong T. Optimally estimating the sample
       standard deviation from the five-number summary. Res Synth Methods 2020;11:641-654.
       https://doi.org/10.1002/jrsm.1429
    .. [3] Shi J, Luo D, Wan X, Liu Y, Liu J, Bian Z, Tong T. Detecting the skewness of data from
       the five-number summary and its application in meta-analysis. Stat Methods Med Res
       2023;32:1338-1360. https://doi.org/10.1177/09622802231172043

    Examples
    --------
    >>> summary = from_five_numbers(20, 60, 80, 97, 100, 24)
    >>> float(summary.mean.round(1)), float(summary.sd.round(1)), bool(summary.skewed)
    (75.8, 23.3, True)
    """
    a, q1, m, q3, b, n = _ascending(minimum, q1, median, q3, maximum, n)
    w1, w2 = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55
    mean = w1 * (a + b) / 2 + w2 * (q1 + q3) / 2 + (1 - w1 - w2) * m
    u = 1 / (1 + 0.07 * n**0.6)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = u * (b - a) / _range_in_sd(n) + (1 - u) * (q3 - q1) / _quartile_range_in_sd(n)
        outer = 2.65 * np.log(0.6 * n) / np.sqrt(n) * np.abs(a + b - 2 * m) / (b - a)
        inner = np.abs(q1 + q3 - 2 * m) / (q3 - q1)
    skewness, critical = np.fmax(outer, inner), 3 / np.sqrt(n) - 40 / n**3
    return MeanAndSd(mean, sd, skewness >= critical, skewness, critical)
