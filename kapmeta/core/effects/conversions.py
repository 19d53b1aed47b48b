"""Conversions between odds, risk and hazard ratios and standardised mean differences.

Ratios enter as printed (an odds ratio of 2.25, not its logarithm) unless a parameter is called
`log_...`. A converted effect is not an observed one: mark it, and repeat the analysis without it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects.counts import as_proportion, broadcast_floats, nonnegative
from kapmeta.core.numerics.arrays import FloatArray


class Converted(NamedTuple):
    """Effects on another scale, `y`, and their sampling variances, `v`."""

    y: FloatArray
    v: FloatArray


def risk_ratio_from_odds_ratio(odds_ratio: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Convert an odds ratio to a risk ratio at a baseline risk [1]_.

    Apply it to the estimate and to the limits alike, and state the baseline. Not for adjusted odds
    ratios, for which no single baseline is right.

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
    .. [1] Zhang J, Yu KF. What's the relative risk? A method of correcting the odds ratio in cohort
       studies of common outcomes. JAMA 1998;280:1690-1691. https://doi.org/10.1001/jama.280.19.1690

    Examples
    --------
    >>> risk_ratio_from_odds_ratio([2.25, 1.1, 5.0], 0.22).round(3)
    array([1.765, 1.076, 2.66 ])
    """
    ratio, p0 = broadcast_floats(nonnegative(odds_ratio), as_proportion(baseline))
    with np.errstate(divide="ignore", invalid="ignore"):
        # OR / (1 - p0 + p0 OR), written for infinite limits too
        return np.asarray(1 / (p0 + (1 - p0) / ratio))


def odds_ratio_from_risk_ratio(risk_ratio: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Convert a risk ratio to an odds ratio at a baseline risk.

    Parameters
    ----------
    risk_ratio, baseline : array_like
        Risk ratio; risk under control, a proportion.

    Returns
    -------
    ndarray
        Odds ratios; nan where the risk under treatment would reach or pass 1: no odds ratio means
        that.

    Examples
    --------
    >>> odds_ratio_from_risk_ratio([2.25, 5.0], 0.22).round(3)
    array([3.475,   nan])
    """
    ratio, p0 = broadcast_floats(nonnegative(risk_ratio), as_proportion(baseline))
    with np.errstate(invalid="ignore"):
        room = 1 - ratio * p0
        return np.asarray(ratio * (1 - p0) / np.where(room > 0, room, np.nan))


def risk_ratio_from_common_odds_ratio(odds_ratio: npt.ArrayLike) -> FloatArray:
    """Approximate the risk ratio of a common event by the root of its odds ratio [1]_.

    Nearest in the worst case when the risks lie between 0.2 and 0.8. Not for rare events, for which
    the odds ratio itself is near the risk ratio.

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
    .. [1] VanderWeele TJ. Optimal approximate conversions of odds ratios and hazard ratios to risk
       ratios. Biometrics 2020;76:746-752. https://doi.org/10.1111/biom.13197

    Examples
    --------
    >>> float(risk_ratio_from_common_odds_ratio(2.25))
    1.5
    """
    return np.sqrt(nonnegative(odds_ratio))


def risk_ratio_from_hazard_ratio(hazard_ratio: npt.ArrayLike) -> FloatArray:
    """Approximate the risk ratio of a common event from its hazard ratio [1]_.

    For a baseline risk that is not known. Both ratios are of the same event. Not for rare events,
    for which the hazard ratio itself is near the risk ratio.

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
    .. [1] VanderWeele TJ. Optimal approximate conversions of odds ratios and hazard ratios to risk
       ratios. Biometrics 2020;76:746-752. https://doi.org/10.1111/biom.13197

    Examples
    --------
    >>> float(risk_ratio_from_hazard_ratio(0.47).round(3))
    0.595
    """
    root = np.sqrt(nonnegative(hazard_ratio))
    with np.errstate(divide="ignore"):
        return np.asarray(np.expm1(-np.log(2) * root) / np.expm1(-np.log(2) / root))


def event_free_ratio_from_hazard_ratio(
    hazard_ratio: npt.ArrayLike, survival: npt.ArrayLike
) -> FloatArray:
    """Convert a hazard ratio to the risk ratio of staying free of the event.

    Under proportional hazards the proportion free of the event under treatment is ``S0 ** HR``. Not
    when hazards cross.

    Parameters
    ----------
    hazard_ratio : array_like
        Hazard ratio of the unfavourable event, treatment against control.
    survival : array_like
        Proportion free of it under control at the time in question, S0.

    Returns
    -------
    ndarray
        Risk ratios of staying free, ``S0 ** (HR - 1)``; nan where `survival` is not in (0, 1].

    Examples
    --------
    Relapse hazard ratio of Dakwar 2019, with 3 of 28 free of relapse under control:

    >>> float(event_free_ratio_from_hazard_ratio(0.47, 3 / 28).round(2))
    3.27
    """
    ratio, s0 = broadcast_floats(nonnegative(hazard_ratio), as_proportion(survival))
    return np.asarray(np.where(s0 > 0, s0, np.nan) ** (ratio - 1))


SMD_FACTORS: dict[str, float] = {"hasselblad-hedges": np.sqrt(3) / np.pi, "cox-snell": 1 / 1.65}
"""Standardised mean difference per unit of log odds ratio, by method."""


def _smd_factor(method: str) -> float:
    """Look up the factor of a method."""
    if method not in SMD_FACTORS:
        raise ValueError(f'unknown method "{method}"; use one of: {", ".join(SMD_FACTORS)}')
    return SMD_FACTORS[method]


def smd_from_log_odds_ratio(
    log_odds_ratio: npt.ArrayLike, v: npt.ArrayLike, *, method: str = "hasselblad-hedges"
) -> Converted:
    """Convert log odds ratios to standardised mean differences.

    The event is taken as a cut through a continuous outcome. Not for events that are no such cut.

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
    """Convert standardised mean differences to log odds ratios.

    The inverse of `smd_from_log_odds_ratio`.

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
