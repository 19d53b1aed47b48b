"""Absolute risks and numbers needed to treat from an effect and a baseline.

Ratios enter as they are printed, not as logarithms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects.counts import as_proportion, broadcast_floats, nonnegative
from kapmeta.core.numerics.arrays import BoolArray, FloatArray


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
        The part on the side of harm, nan if there is none. Where both parts exist they meet at
        infinity.
    """

    number: FloatArray
    benefit: BoolArray
    benefit_low: FloatArray
    benefit_high: FloatArray
    harm_low: FloatArray
    harm_high: FloatArray


def _risk_at_ratio(ratio: FloatArray, p0: FloatArray) -> FloatArray:
    """Compute the risk at a risk ratio."""
    return np.asarray(p0 * nonnegative(ratio))


def _risk_at_odds_ratio(ratio: FloatArray, p0: FloatArray) -> FloatArray:
    """Compute the risk at an odds ratio."""
    return np.asarray(1 / (1 + (1 - p0) / (p0 * nonnegative(ratio))))


def _risk_at_hazard_ratio(ratio: FloatArray, p0: FloatArray) -> FloatArray:
    """Compute the risk at a hazard ratio: survival is raised to its power, not the risk."""
    return np.asarray(-np.expm1(nonnegative(ratio) * np.log1p(-p0)))


def _risk_at_difference(difference: FloatArray, p0: FloatArray) -> FloatArray:
    """Compute the risk at a risk difference."""
    return np.asarray(p0 + difference)


def _risk_at_arcsine(difference: FloatArray, p0: FloatArray) -> FloatArray:
    """Compute the risk at an arcsine difference, infinite beyond [0, 1]."""
    angle = np.arcsin(np.sqrt(p0)) + difference
    beyond = np.where(angle < 0, -np.inf, np.where(angle > np.pi / 2, np.inf, 0.0))
    return np.asarray(np.sin(angle) ** 2 + beyond)


ABSOLUTE: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "RR": _risk_at_ratio,
    "OR": _risk_at_odds_ratio,
    "PETO": _risk_at_odds_ratio,
    "HR": _risk_at_hazard_ratio,
    "RD": _risk_at_difference,
    "AS": _risk_at_arcsine,
}
"""Risk under treatment from an effect and a baseline, by measure."""


def _log_odds(p: FloatArray) -> FloatArray:
    return np.asarray(np.log(p) - np.log1p(-p))


_EFFECTS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "RR": lambda p1, p0: np.asarray(np.log(p1 / p0)),
    "OR": lambda p1, p0: np.asarray(_log_odds(p1) - _log_odds(p0)),
    "PETO": lambda p1, p0: np.asarray(_log_odds(p1) - _log_odds(p0)),
    "HR": lambda p1, p0: np.asarray(np.log(np.log1p(-p1) / np.log1p(-p0))),
    "RD": lambda p1, p0: np.asarray(p1 - p0),
    "AS": lambda p1, p0: np.asarray(np.arcsin(np.sqrt(p1)) - np.arcsin(np.sqrt(p0))),
}


def effect_of_risks(treatment: npt.ArrayLike, control: npt.ArrayLike, measure: str) -> FloatArray:
    """Compute the effect that leads from one risk to another; the inverse of `absolute_risk`.

    Parameters
    ----------
    treatment, control : array_like
        Risks, proportions.
    measure : {"RR", "OR", "PETO", "HR", "RD", "AS"}
        Measure of the effect.

    Returns
    -------
    ndarray of float
        The effect on the analysis scale: the logarithm of a ratio, or a difference.

    Examples
    --------
    >>> [round(float(effect_of_risks(0.3, 0.2, measure)), 4) for measure in ("RR", "OR", "RD")]
    [0.4055, 0.539, 0.1]
    """
    p1, p0 = broadcast_floats(as_proportion(treatment), as_proportion(control))
    with np.errstate(divide="ignore", invalid="ignore"):
        return _EFFECTS[measure](p1, p0)


def absolute_risk(relative: npt.ArrayLike, baseline: npt.ArrayLike, measure: str) -> AbsoluteRisk:
    """Compute the risk under treatment that an effect implies at a baseline risk.

    Apply it to the estimate and to the limits alike, the baseline held (the convention of GRADE),
    and print the baseline beside the result: a relative effect has no absolute one without it.

    Parameters
    ----------
    relative : array_like
        Effect on its own scale: the ratio itself for RR, OR, PETO and HR, the difference for RD and
        AS.
    baseline : array_like
        Risk under control, a proportion. For HR, the risk of the event by the time of interest; the
        hazards are taken as proportional until then: ``risk = 1 - (1 - baseline) ** HR``.
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
    A risk ratio of 2.25 (1.0 to 5.0) when 22% have the event under control:

    >>> absolute_risk([2.25, 1.0, 5.0], 0.22, "RR")
    AbsoluteRisk(risk=array([0.495, 0.22 , 1.   ]), capped=array([False, False,  True]))
    """
    if measure not in ABSOLUTE:
        raise ValueError(
            f'no absolute risk from measure "{measure}"; use one of: {", ".join(ABSOLUTE)}'
        )
    effect, p0 = broadcast_floats(relative, as_proportion(baseline))
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = ABSOLUTE[measure](effect, p0)
    return AbsoluteRisk(np.clip(risk, 0.0, 1.0), (risk < 0) | (risk > 1))


def number_needed_to_treat(
    rd_low: npt.ArrayLike, rd: npt.ArrayLike, rd_high: npt.ArrayLike, *, event_is_good: bool
) -> NumberNeeded:
    """Compute the number needed to treat for benefit or harm, with its interval [1]_.

    When the interval of the difference holds 0, that of the number runs from benefit through
    infinity to harm and comes back in two parts; never print it as one pair of numbers. Not for
    pooling: pool the relative effect.

    Parameters
    ----------
    rd_low, rd, rd_high : array_like
        Risk difference, treatment less control, with its limits.
    event_is_good : bool
        Whether the event is one that patients want.

    Returns
    -------
    NumberNeeded
        ``number, benefit, benefit_low, benefit_high, harm_low, harm_high``. A limit at 0 is
        infinity on the side of the other limit.

    References
    ----------
    .. [1] Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312.
       https://doi.org/10.1136/bmj.317.7168.1309

    Examples
    --------
    A difference of 10 percentage points, -5 to 25: NNTB 10 (NNTB 4 to infinity to NNTH 20).

    >>> needed = number_needed_to_treat(-0.05, 0.10, 0.25, event_is_good=True)
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
    benefit = (np.where(gain, x, np.nan) for x in (from_high, benefit_high))
    harm = (np.where(loss, x, np.nan) for x in (from_low, harm_high))
    return NumberNeeded(number, middle > 0, *benefit, *harm)
