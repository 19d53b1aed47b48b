"""From what papers print to effects and counts, from one measure to another, and from effects to absolute
risks.

Ratios enter as printed (an odds ratio of 2.25, not its logarithm) unless a parameter is called `log_...`;
effects that leave for pooling, `y` and `v`, are on the analysis scale. A converted effect is not an observed
one: mark it, and repeat the analysis without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.counts import broadcast_floats, estimates, nonnegative
from kapmeta.core.distributions import normal_quantile, t_quantile


class Reported(NamedTuple):
    """Effects taken from a paper.

    Attributes
    ----------
    y, v : ndarray of float
        Effects on the analysis scale and their sampling variances; nan and infinite where absent.
    absent : ndarray of bool
        True where the numbers give no variance.
    discrepancy : ndarray of float
        Distance of the estimate from the middle of its interval in standard errors; nan where there is no
        such check.
    consistent : ndarray of bool
        False where `discrepancy` is 0.1 or more: coarse rounding, a misprint, or an interval of another kind.
    """

    y: FloatArray
    v: FloatArray
    absent: BoolArray
    discrepancy: FloatArray
    consistent: BoolArray


class Converted(NamedTuple):
    """Effects on another scale, `y`, and their sampling variances, `v`."""

    y: FloatArray
    v: FloatArray


class Candidates(NamedTuple):
    """Counts that a printed percentage can stand for.

    Attributes
    ----------
    counts : ndarray of int
        All of them, ascending; empty if there is none.
    consistent : bool
        False if no count rounds to the percentage as printed, so that `counts` are those one unit in the last
        place away (a percentage cut off, or rounded twice).
    """

    counts: IntArray
    consistent: bool


class RebuiltTable(NamedTuple):
    """Events of the two arms rebuilt from a statistic and the margins.

    Attributes
    ----------
    events_t, events_c : ndarray of float
        Whole numbers; nan where no table has that statistic and those margins.
    unrounded : ndarray of float
        Events under treatment before rounding: far from a whole number, the statistic or a margin is not as
        printed.
    """

    events_t: FloatArray
    events_c: FloatArray
    unrounded: FloatArray


class AbsoluteRisk(NamedTuple):
    """Risks under treatment at a baseline risk.

    Attributes
    ----------
    risk : ndarray of float
        Proportions in [0, 1].
    capped : ndarray of bool
        True where the effect leads outside [0, 1]: it cannot hold at this baseline.
    """

    risk: FloatArray
    capped: BoolArray


class NumberNeeded(NamedTuple):
    """Numbers needed to treat for one more to benefit, or to be harmed.

    Attributes
    ----------
    number : ndarray of float
        The number; infinite where there is no difference.
    benefit : ndarray of bool
        True where it is a number needed to treat for benefit, False for harm.
    benefit_low, benefit_high : ndarray of float
        The part of the interval on the side of benefit, nan if there is none.
    harm_low, harm_high : ndarray of float
        The part on the side of harm, nan if there is none. Where both parts exist they meet at infinity.
    """

    number: FloatArray
    benefit: BoolArray
    benefit_low: FloatArray
    benefit_high: FloatArray
    harm_low: FloatArray
    harm_high: FloatArray


def _proportion(value: npt.ArrayLike) -> FloatArray:
    """`value` as floats, nan outside [0, 1]."""
    value = np.asarray(value, dtype=np.float64)
    return np.where((value >= 0) & (value <= 1), value, np.nan)


def _on_analysis_scale(value: FloatArray, ratio: bool) -> FloatArray:
    """Logarithm of a ratio (nan where it is negative), anything else as it is."""
    with np.errstate(divide="ignore"):
        return np.log(nonnegative(value)) if ratio else value


def _reported(y: FloatArray, se: FloatArray, middle: FloatArray | float, absent: BoolArray) -> Reported:
    """The effects: absent where said or not finite, nan where y or se is nan for another reason."""
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
    """Effects from an estimate and its confidence interval.

    For Wald intervals, symmetric on the analysis scale. Not for profile, exact or bootstrap intervals, which
    are not; the check against the middle of the interval finds most of them.

    Parameters
    ----------
    estimate, low, high : array_like
        As printed. Where one limit is nan, or infinite on the analysis scale (a ratio printed as 0.00), the
        other one is used alone and nothing is checked.
    ratio : bool
        True for ratios (odds, risk, hazard, rate ratios), whose logarithm is analysed; False for differences.
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
    Hazard ratio of relapse in Dakwar 2019, 0.47 (0.24 to 0.92), and odds ratio of relapse in Grabski 2022,
    0.80 (0.31 to 2.10):

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


def from_standard_error(estimate: npt.ArrayLike, se: npt.ArrayLike, *, ratio: bool = True) -> Reported:
    """Effects from an estimate and its standard error.

    Parameters
    ----------
    estimate : array_like
        As printed.
    se : array_like
        Standard error on the analysis scale: of the logarithm, for a ratio. Not the standard error of the
        ratio itself, which some programs print.
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
    """Effects from an estimate and its two-sided p-value.

    The last resort: a p-value printed to one digit leaves the variance uncertain by a large factor, and one
    printed as "p < 0.001" bounds it only (pass 0.001: the variance is then an upper bound). Not for p-values
    of exact tests.

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
        ``y, v, absent, discrepancy, consistent``; an estimate of no effect, or a p-value of 0 or 1, gives no
        variance. There is nothing to check.

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


def risk_ratio_from_odds_ratio(odds_ratio: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Risk ratio that an odds ratio means at a baseline risk [1]_.

    Apply it to the estimate and to the limits alike, and state the baseline. Not for adjusted odds ratios,
    for which no single baseline is right.

    Parameters
    ----------
    odds_ratio, baseline : array_like
        Odds ratio; risk under control, a proportion.

    Returns
    -------
    ndarray
        Risk ratios; nan where the baseline is not in [0, 1].

    References
    ----------
    .. [1] Zhang J, Yu KF. What's the relative risk? A method of correcting the odds ratio in cohort studies
       of common outcomes. JAMA 1998;280:1690-1691. https://doi.org/10.1001/jama.280.19.1690

    Examples
    --------
    >>> risk_ratio_from_odds_ratio([2.25, 1.1, 5.0], 0.22).round(3)
    array([1.765, 1.076, 2.66 ])
    """
    ratio, p0 = broadcast_floats(nonnegative(odds_ratio), _proportion(baseline))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 / (p0 + (1 - p0) / ratio))  # OR / (1 - p0 + p0 OR), good for infinite limits too


def odds_ratio_from_risk_ratio(risk_ratio: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Odds ratio that a risk ratio means at a baseline risk.

    Parameters
    ----------
    risk_ratio, baseline : array_like
        Risk ratio; risk under control, a proportion.

    Returns
    -------
    ndarray
        Odds ratios; nan where the risk under treatment would reach or pass 1: no odds ratio means that.

    Examples
    --------
    >>> odds_ratio_from_risk_ratio([2.25, 5.0], 0.22).round(3)
    array([3.475,   nan])
    """
    ratio, p0 = broadcast_floats(nonnegative(risk_ratio), _proportion(baseline))
    with np.errstate(invalid="ignore"):
        room = 1 - ratio * p0
        return np.asarray(ratio * (1 - p0) / np.where(room > 0, room, np.nan))


def risk_ratio_from_common_odds_ratio(odds_ratio: npt.ArrayLike) -> FloatArray:
    """Square root of an odds ratio, near the risk ratio when the event is common and its risk unknown [1]_.

    Nearest in the worst case when the risks lie between 0.2 and 0.8. Not for rare events, for which the odds
    ratio itself is near the risk ratio.

    Parameters
    ----------
    odds_ratio : array_like
        Odds ratios.

    Returns
    -------
    ndarray
        Approximate risk ratios.

    References
    ----------
    .. [1] VanderWeele TJ. Optimal approximate conversions of odds ratios and hazard ratios to risk ratios.
       Biometrics 2020;76:746-752. https://doi.org/10.1111/biom.13197

    Examples
    --------
    >>> float(risk_ratio_from_common_odds_ratio(2.25))
    1.5
    """
    return np.sqrt(nonnegative(odds_ratio))


def risk_ratio_from_hazard_ratio(hazard_ratio: npt.ArrayLike) -> FloatArray:
    """Risk ratio near a hazard ratio when the event is common and its risk is not known [1]_.

    Of the same event: a hazard ratio of relapse gives a risk ratio of relapse. Not for rare events, for which
    the hazard ratio itself is near the risk ratio.

    Parameters
    ----------
    hazard_ratio : array_like
        Hazard ratios.

    Returns
    -------
    ndarray
        Approximate risk ratios.

    References
    ----------
    .. [1] VanderWeele TJ. Optimal approximate conversions of odds ratios and hazard ratios to risk ratios.
       Biometrics 2020;76:746-752. https://doi.org/10.1111/biom.13197

    Examples
    --------
    >>> float(risk_ratio_from_hazard_ratio(0.47).round(3))
    0.595
    """
    root = np.sqrt(nonnegative(hazard_ratio))
    with np.errstate(divide="ignore"):
        return np.asarray(np.expm1(-np.log(2) * root) / np.expm1(-np.log(2) / root))


def abstinence_ratio_from_hazard_ratio(hazard_ratio: npt.ArrayLike, survival: npt.ArrayLike) -> FloatArray:
    """Risk ratio of staying free of an event, from the hazard ratio of the event.

    Proportional hazards make the proportion free of relapse under treatment ``S0 ** HR``. Not when hazards
    cross.

    Parameters
    ----------
    hazard_ratio : array_like
        Hazard ratio of the unfavourable event (relapse), treatment against control.
    survival : array_like
        Proportion free of it under control at the time in question, S0.

    Returns
    -------
    ndarray
        Risk ratios of abstinence, ``S0 ** (HR - 1)``; nan where `survival` is not in (0, 1].

    Examples
    --------
    Relapse hazard ratio of Dakwar 2019, with 3 of 28 free of relapse under control:

    >>> float(abstinence_ratio_from_hazard_ratio(0.47, 3 / 28).round(2))
    3.27
    """
    ratio, s0 = broadcast_floats(nonnegative(hazard_ratio), _proportion(survival))
    return np.asarray(np.where(s0 > 0, s0, np.nan) ** (ratio - 1))


SMD_FACTORS: dict[str, float] = {"hasselblad-hedges": np.sqrt(3) / np.pi, "cox-snell": 1 / 1.65}
"""Standardised mean difference per unit of log odds ratio, by method."""


def _smd_factor(method: str) -> float:
    if method not in SMD_FACTORS:
        raise ValueError(f'unknown method "{method}"; use one of: {", ".join(SMD_FACTORS)}')
    return SMD_FACTORS[method]


def smd_from_log_odds_ratio(
    log_odds_ratio: npt.ArrayLike, v: npt.ArrayLike, *, method: str = "hasselblad-hedges"
) -> Converted:
    """Standardised mean differences from log odds ratios, the event being a cut through a continuous outcome.

    Not for events that are no such cut.

    Parameters
    ----------
    log_odds_ratio, v : array_like
        Log odds ratios and their variances.
    method : {"hasselblad-hedges", "cox-snell"}
        Logistic [1]_ or normal outcome behind the cut.

    Returns
    -------
    Converted
        ``y, v``.

    Raises
    ------
    ValueError
        If `method` is not a key of `SMD_FACTORS`.

    References
    ----------
    .. [1] Hasselblad V, Hedges LV. Meta-analysis of screening and diagnostic tests. Psychol Bull
       1995;117:167-178. https://doi.org/10.1037/0033-2909.117.1.167

    Examples
    --------
    >>> effect = smd_from_log_odds_ratio(np.log(2.25), 0.16)
    >>> float(effect.y.round(4)), float(np.sqrt(effect.v).round(4))
    (0.4471, 0.2205)
    """
    factor = _smd_factor(method)
    y, v = broadcast_floats(log_odds_ratio, v)
    return Converted(y * factor, v * factor**2)


def log_odds_ratio_from_smd(
    smd: npt.ArrayLike, v: npt.ArrayLike, *, method: str = "hasselblad-hedges"
) -> Converted:
    """Log odds ratios from standardised mean differences, the inverse of `smd_from_log_odds_ratio`.

    Parameters
    ----------
    smd, v : array_like
        Standardised mean differences and their variances.
    method : {"hasselblad-hedges", "cox-snell"}
        Logistic [1]_ or normal outcome.

    Returns
    -------
    Converted
        ``y, v``.

    Raises
    ------
    ValueError
        If `method` is not a key of `SMD_FACTORS`.

    References
    ----------
    .. [1] Hasselblad V, Hedges LV. Meta-analysis of screening and diagnostic tests. Psychol Bull
       1995;117:167-178. https://doi.org/10.1037/0033-2909.117.1.167

    Examples
    --------
    >>> effect = log_odds_ratio_from_smd(0.45, 0.0873)
    >>> float(effect.y.round(3)), float(effect.v.round(3))
    (0.816, 0.287)
    """
    factor = _smd_factor(method)
    y, v = broadcast_floats(smd, v)
    return Converted(y / factor, v / factor**2)


def _counts_within(units: int, n: int, decimals: int, width: int) -> IntArray:
    """Counts x of n with ``|100 x / n - percent|`` at most `width` halves of the last place printed."""
    per_count = 200 * 10**decimals
    lowest = -((width * n - 2 * units * n) // per_count)
    highest = (2 * units * n + width * n) // per_count
    return np.arange(max(0, lowest), min(n, highest) + 1)


def candidate_counts(percent: float, n: int, decimals: int) -> Candidates:
    """Counts out of `n` that round to a printed percentage [1]_.

    One count: use it. Several: the percentage does not settle it; analyse the lowest and the highest. None as
    printed: the counts one unit in the last place away come back with ``consistent`` False; try the other
    denominators of the paper (completers, per protocol) too.

    Parameters
    ----------
    percent : float
        As printed, in per cent.
    n : int
        The denominator.
    decimals : int
        Decimals printed; 0 for "44%".

    Returns
    -------
    Candidates
        ``counts, consistent``. Halves may have been rounded up or down. The comparison is exact, in whole
        numbers.

    Raises
    ------
    ValueError
        If `percent` has more decimals than `decimals`.

    References
    ----------
    .. [1] Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in the
       reporting of results in psychology. Soc Psychol Personal Sci 2017;8:363-369.
       https://doi.org/10.1177/1948550616673876

    Examples
    --------
    Krupitsky 1997, 65.8% of 111; Dakwar 2019, 48.2% of 27, which no count rounds to:

    >>> candidate_counts(65.8, 111, 1)
    Candidates(counts=array([73]), consistent=True)
    >>> candidate_counts(48.2, 27, 1)
    Candidates(counts=array([13]), consistent=False)
    """
    if round(percent, decimals) != percent:
        raise ValueError(f"percent = {percent} has more than decimals = {decimals}")
    units = round(percent * 10**decimals)
    rounded = _counts_within(units, n, decimals, 1)
    if rounded.size:
        return Candidates(rounded, True)
    return Candidates(_counts_within(units, n, decimals, 2), False)


def _rebuilt(events_t: FloatArray, n_t: FloatArray, n_c: FloatArray, events: FloatArray) -> RebuiltTable:
    lowest, highest = np.maximum(0.0, events - n_c), np.minimum(n_t, events)
    rounded = np.round(events_t)
    rounded = np.where((rounded >= lowest) & (rounded <= highest), rounded, np.nan)
    return RebuiltTable(rounded, events - rounded, events_t)


def table_from_odds_ratio(
    odds_ratio: npt.ArrayLike, n_t: npt.ArrayLike, n_c: npt.ArrayLike, events: npt.ArrayLike
) -> RebuiltTable:
    """Events of the arms from an unadjusted odds ratio and the margins of the table.

    Not for adjusted odds ratios: the table they would give never existed.

    Parameters
    ----------
    odds_ratio, n_t, n_c, events : array_like
        Odds ratio as printed; participants of the arms; events in both arms together.

    Returns
    -------
    RebuiltTable
        ``events_t, events_c, unrounded``.

    Examples
    --------
    Krupitsky 2007, odds ratio 3.5 with 19 abstinent of 26 and 27:

    >>> table = table_from_odds_ratio(3.5, 26, 27, 19)
    >>> float(table.events_t), float(table.events_c)
    (13.0, 6.0)
    """
    ratio, n1, n2, m = broadcast_floats(nonnegative(odds_ratio), n_t, n_c, events)
    big = ratio * (n1 + m) + (n2 - m)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(big * big - 4 * n1 * m * ratio * (ratio - 1))
        # the root in [0, min(n1, m)], in the form without cancellation; at an odds ratio of 1 it is n1 m / N
        a = np.where(big > 0, 2 * n1 * m * ratio / (big + root), (big - root) / (2 * (ratio - 1)))
    return _rebuilt(a, n1, n2, m)


def table_from_chi_square(
    chi_square: npt.ArrayLike,
    n_t: npt.ArrayLike,
    n_c: npt.ArrayLike,
    events: npt.ArrayLike,
    *,
    sign: npt.ArrayLike = 1,
    yates: bool = False,
) -> RebuiltTable:
    """Events of the arms from the chi-squared statistic of a table and its margins.

    A two-sided p-value of that test is the same information: see `chi_square_from_p_value`. Not for
    Fisher's exact p-values.

    Parameters
    ----------
    chi_square, n_t, n_c, events : array_like
        Pearson's statistic, 1 degree of freedom; participants of the arms; events in both arms together.
    sign : array_like
        1 where treatment had the higher risk, -1 where control had.
    yates : bool
        Whether the statistic has Yates's continuity correction.

    Returns
    -------
    RebuiltTable
        ``events_t, events_c, unrounded``.

    Examples
    --------
    >>> table = table_from_chi_square(4.7, 26, 27, 19)
    >>> float(table.events_t), float(table.events_c)
    (13.0, 6.0)
    """
    chi, n1, n2, m, sign = broadcast_floats(chi_square, n_t, n_c, events, sign)
    n = n1 + n2
    gap = np.sqrt(nonnegative(chi * n1 * n2 * m * (n - m) / n)) + (n / 2 if yates else 0.0)  # |ad - bc|
    return _rebuilt((n1 * m + np.sign(sign) * gap) / n, n1, n2, m)


def chi_square_from_p_value(p: npt.ArrayLike) -> FloatArray:
    """Chi-squared statistic, 1 degree of freedom, that has the two-sided p-value `p`.

    Parameters
    ----------
    p : array_like
        P-values in (0, 1].

    Returns
    -------
    ndarray
        Statistics.

    Examples
    --------
    >>> float(chi_square_from_p_value(0.05).round(3))
    3.841
    """
    return normal_quantile(np.asarray(p, dtype=np.float64) / 2) ** 2


def _risk_at_ratio(ratio: FloatArray, p0: FloatArray) -> FloatArray:
    return np.asarray(p0 * nonnegative(ratio))


def _risk_at_odds_ratio(ratio: FloatArray, p0: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + (1 - p0) / (p0 * nonnegative(ratio))))


def _free_at_hazard_ratio(ratio: FloatArray, s0: FloatArray) -> FloatArray:
    return np.asarray(s0 ** nonnegative(ratio))


def _risk_at_difference(difference: FloatArray, p0: FloatArray) -> FloatArray:
    return np.asarray(p0 + difference)


def _risk_at_arcsine(difference: FloatArray, p0: FloatArray) -> FloatArray:
    angle = np.arcsin(np.sqrt(p0)) + difference
    beyond = np.where(angle < 0, -np.inf, np.where(angle > np.pi / 2, np.inf, 0.0))
    return np.asarray(np.sin(angle) ** 2 + beyond)


ABSOLUTE: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "RR": _risk_at_ratio,
    "OR": _risk_at_odds_ratio,
    "PETO": _risk_at_odds_ratio,
    "HR": _free_at_hazard_ratio,
    "RD": _risk_at_difference,
    "AS": _risk_at_arcsine,
}
"""Risk under treatment from an effect and a baseline, by measure."""


def absolute_risk(relative: npt.ArrayLike, baseline: npt.ArrayLike, measure: str) -> AbsoluteRisk:
    """Risk under treatment that an effect means at a baseline risk.

    Apply it to the estimate and to the limits alike, the baseline held (the convention of GRADE), and print
    the baseline beside the result: a relative effect has no absolute one without it.

    Parameters
    ----------
    relative : array_like
        Effect on its own scale: the ratio itself for RR, OR, PETO and HR, the difference for RD and AS.
    baseline : array_like
        Risk under control, a proportion. For HR, the hazard ratio of the unfavourable event, it is the
        proportion free of that event under control, and so is the result under treatment.
    measure : {"RR", "OR", "PETO", "HR", "RD", "AS"}
        What `relative` is.

    Returns
    -------
    AbsoluteRisk
        ``risk, capped``; nan where the baseline is not in [0, 1].

    Raises
    ------
    ValueError
        If `measure` is not a key of `ABSOLUTE`.

    Examples
    --------
    A risk ratio of 2.25 (1.0 to 5.0) when 22% are abstinent under control:

    >>> absolute_risk([2.25, 1.0, 5.0], 0.22, "RR")
    AbsoluteRisk(risk=array([0.495, 0.22 , 1.   ]), capped=array([False, False,  True]))
    """
    if measure not in ABSOLUTE:
        raise ValueError(f'no absolute risk from measure "{measure}"; use one of: {", ".join(ABSOLUTE)}')
    effect, p0 = broadcast_floats(relative, _proportion(baseline))
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = ABSOLUTE[measure](effect, p0)
    return AbsoluteRisk(np.clip(risk, 0.0, 1.0), (risk < 0) | (risk > 1))


def number_needed_to_treat(
    rd_low: npt.ArrayLike, rd: npt.ArrayLike, rd_high: npt.ArrayLike, *, event_is_good: bool = True
) -> NumberNeeded:
    """Number needed to treat for one more patient to benefit or to be harmed, with its interval [1]_.

    When the interval of the difference holds 0, that of the number runs from benefit through infinity to harm
    and comes back in two parts; never print it as one pair of numbers. Not for pooling: pool the relative
    effect.

    Parameters
    ----------
    rd_low, rd, rd_high : array_like
        Risk difference, treatment less control, with its limits.
    event_is_good : bool
        Whether the event is one that patients want.

    Returns
    -------
    NumberNeeded
        ``number, benefit, benefit_low, benefit_high, harm_low, harm_high``. A limit at 0 is infinity on the
        side of the other limit.

    References
    ----------
    .. [1] Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312.
       https://doi.org/10.1136/bmj.317.7168.1309

    Examples
    --------
    A difference of 10 percentage points, -5 to 25: NNTB 10 (NNTB 4 to infinity to NNTH 20).

    >>> needed = number_needed_to_treat(-0.05, 0.10, 0.25)
    >>> float(needed.number), float(needed.benefit_low), float(needed.benefit_high)
    (10.0, 4.0, inf)
    >>> float(needed.harm_low), float(needed.harm_high)
    (20.0, inf)
    """
    low, middle, high = broadcast_floats(rd_low, rd, rd_high)
    if not event_is_good:
        low, middle, high = -high, -middle, -low
    gain, loss = high > 0, low < 0
    with np.errstate(divide="ignore", over="ignore"):
        number, from_low, from_high = (1 / np.abs(difference) for difference in (middle, low, high))
    benefit_high = np.where(low > 0, from_low, np.inf)
    harm_high = np.where(high < 0, from_high, np.inf)
    return NumberNeeded(
        number,
        middle > 0,
        np.where(gain, from_high, np.nan),
        np.where(gain, benefit_high, np.nan),
        np.where(loss, from_low, np.nan),
        np.where(loss, harm_high, np.nan),
    )
