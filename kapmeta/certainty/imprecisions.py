"""Imprecision: a proposed rating, and the probability of an effect that would matter.

What an effect means in people is in `kapmeta.certainty.absolute_risks`, how much information there
is in `kapmeta.certainty.information_sizes`; their names are here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kapmeta import checking, wording
from kapmeta.certainty.absolute_risks import (
    AbsoluteEffects,
    absolute_effects,
    number_needed_to_treat,
)
from kapmeta.certainty.information_sizes import InformationSize, information_size
from kapmeta.checking import chosen, proportion
from kapmeta.core.certainty.absolute_risks import ABSOLUTE, effect_of_risks
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.results.posteriors import Posterior, Result

__all__ = [
    "AbsoluteEffects",
    "Imprecision",
    "InformationSize",
    "absolute_effects",
    "imprecision",
    "information_size",
    "number_needed_to_treat",
    "probability_beyond",
]


@dataclass(frozen=True)
class Imprecision:
    """A proposed number of levels to rate down for imprecision, with the rule that gave it."""

    levels: int
    judgement: str
    reason: str
    baseline: str


IMPRECISION = ("not serious", "serious", "very serious", "extremely serious")
"""GRADE judgements by levels rated down."""
WIDEST_RATIO = {"RR": 3.0, "OR": 2.5, "PETO": 2.5}
"""Screening rule by measure: upper over lower limit at which the information size is far away."""


@checking.checked
def imprecision(
    absolute: AbsoluteEffects,
    *,
    thresholds: Iterable[float],
    information: InformationSize | None = None,
) -> tuple[Imprecision, ...]:
    """Propose a rating for imprecision, minimally contextualised [1]_; a person decides.

    Rate down one level for each threshold that the interval of the difference crosses, at most two;
    three if it crosses every one of four or more. Where none is crossed, one level if the
    information size is not reached and two if the relative interval is wide as well.

    Parameters
    ----------
    absolute : AbsoluteEffects
        From `absolute_effects`.
    thresholds : iterable of float
        Differences per 1,000 that would matter, above 0, e.g. ``[50]`` or those of small and large
        effects; each counts on both sides.
    information : InformationSize, optional
        From `information_size`; without it, only the thresholds are looked at.

    Returns
    -------
    tuple of Imprecision
        One a baseline.

    Raises
    ------
    ValueError
        If there are no thresholds or one is not above 0.

    References
    ----------
    .. [1] Zeng L, Brignardello-Petersen R, Hultcrantz M, et al. GRADE Guidance 34: update on rating
       imprecision using a minimally contextualized approach. J Clin Epidemiol 2022;150:216-224.
       https://doi.org/10.1016/j.jclinepi.2022.07.014

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty.absolute_risks import absolute_effects
    >>> from kapmeta.certainty.imprecisions import imprecision
    >>> absolute = absolute_effects(km.review.answer(km.load_evidence(), "cocaine-end-of-trial"))
    >>> imprecision(absolute, thresholds=[50])[0].reason
    'difference 135 to 566 per 1,000; no threshold is crossed'
    """
    sides = sorted({float(x) for x in thresholds})
    if not sides or sides[0] <= 0:
        raise ValueError(f"thresholds must be differences per 1,000 above 0: got {sides}")
    return tuple(
        _imprecision(row, sides, absolute, information) for row in absolute.table.itertuples()
    )


def _imprecision(
    row: Any, sides: list[float], absolute: AbsoluteEffects, information: InformationSize | None
) -> Imprecision:
    low, high = 1000 * row.difference_low, 1000 * row.difference_high
    lines = [*(-x for x in reversed(sides)), *sides]
    crossed = [line for line in lines if low < line < high]
    reason = f"difference {low:.0f} to {high:.0f} per 1,000"
    if crossed:
        levels = 3 if len(crossed) == len(lines) >= 4 else min(len(crossed), 2)
        names = wording.joined([f"{line:g}" for line in crossed])
        return _proposal(
            levels,
            f"{reason}; it crosses the threshold{'s' * (len(crossed) > 1)} {names}",
            row.baseline,
        )
    reason += "; no threshold is crossed"
    if information is None or information.fraction >= 1:
        return _proposal(0, reason, row.baseline)
    reason += f"; {100 * information.fraction:.0f} % of the information size is there"
    wide = _ratio_of_limits(absolute.pooled) > WIDEST_RATIO.get(absolute.pooled.measure, math.inf)
    return _proposal(
        2 if wide else 1, reason + "; the relative interval is wide" * wide, row.baseline
    )


def _proposal(levels: int, reason: str, baseline: str) -> Imprecision:
    return Imprecision(levels, IMPRECISION[levels], reason, baseline)


def _ratio_of_limits(pooled: Result) -> float:
    return math.exp(min(pooled.high - pooled.low, 700.0)) if pooled.scale.ratio else math.nan


class EffectDistribution(Protocol):
    """A distribution of the effect on the analysis scale.

    Such as `kapmeta.core.bayes.posterior.mean_effect` gives.
    """

    def cdf(self, x: npt.ArrayLike) -> FloatArray:
        """Return the lower-tail area at `x`."""


@checking.checked
def probability_beyond(
    posterior: Posterior | EffectDistribution,
    difference: float,
    *,
    baseline: float,
    measure: str | None = None,
) -> float:
    """Compute the probability of an absolute difference greater than one that would matter.

    Parameters
    ----------
    posterior : Posterior or distribution
        From `kapmeta.pool_bayes`, or anything with ``cdf(x)`` for the effect on the analysis scale
        (log for ratios).
    difference : float
        The difference, a proportion between -1 and 1; 0.05 is 50 more per 1,000.
    baseline : float
        Risk under control, a proportion, held fixed.
    measure : {"RR", "OR", "PETO", "HR", "RD", "AS"}, optional
        What a distribution is of. A `Posterior` has its own measure; another one is refused.

    Returns
    -------
    float
        The probability; 0 where no effect could lead that far.

    Raises
    ------
    ValueError
        If `difference` or `baseline` is out of range, or the measure is not known, contradicts
        that of the posterior, or has no absolute risk.

    Examples
    --------
    >>> from kapmeta.certainty.imprecisions import probability_beyond
    >>> from kapmeta.core.bayes.posterior import Mixture
    >>> import numpy as np
    >>> posterior = Mixture(np.array([1.0]), np.array([np.log(2)]), np.array([0.3]))
    >>> round(probability_beyond(posterior, 0.05, baseline=0.2, measure="RR"), 3)
    0.941
    """
    measure = _measure_of(posterior, measure)
    p0 = proportion(baseline, "baseline")
    if isinstance(difference, bool) or not isinstance(difference, int | float | np.number):
        raise TypeError(f"difference must be a number between -1 and 1: got {difference!r}")
    if not -1 <= difference <= 1:
        hint = "; 0.05 is 50 more per 1,000" if abs(difference) > 1 else ""
        raise ValueError(
            f"difference must lie between -1 and 1, a difference of risks: got {difference:g}{hint}"
        )
    p1 = p0 + float(difference)
    if p1 <= 0 or p1 >= 1:
        return float(p1 <= 0)
    limit = effect_of_risks(p1, p0, measure)
    distribution = posterior.mean_effect if isinstance(posterior, Posterior) else posterior
    return float(1 - distribution.cdf(limit))


def _measure_of(posterior: Posterior | EffectDistribution, measure: str | None) -> str:
    """Return the measure of the posterior's effect; refuse one that contradicts it."""
    if measure is not None:
        chosen(measure, ABSOLUTE, "measure")
    if not isinstance(posterior, Posterior):
        if not callable(getattr(posterior, "cdf", None)):
            raise TypeError(
                "posterior must come from pool_bayes, or have cdf(x): got"
                f" {type(posterior).__name__}"
            )
        if measure is None:
            raise ValueError(
                "measure is not given: a distribution does not say what it is of; give measure="
                f'"RR", say ({", ".join(ABSOLUTE)})'
            )
        return measure
    own = posterior.measure
    if measure not in (None, own):
        raise ValueError(
            f'measure="{measure}" contradicts the posterior, which is of a {posterior.scale.name}'
            f' ("{own}"); leave measure out'
        )
    if own not in ABSOLUTE:
        raise ValueError(
            f"a {posterior.scale.name} has no absolute risk; give a posterior of one of:"
            f" {', '.join(ABSOLUTE)}"
        )
    return own
