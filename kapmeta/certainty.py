"""What an effect means in numbers of people, and how much information stands behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import wording
from kapmeta.checking import proportion
from kapmeta.core import conversions, masks
from kapmeta.core.arrays import FloatArray
from kapmeta.core.conversions import ABSOLUTE, absolute_risk
from kapmeta.core.information import diversity, obrien_fleming_boundaries, required_information_size
from kapmeta.core.single_trial import newcombe
from kapmeta.posterior_results import Posterior
from kapmeta.results import Pooled

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

Result = Pooled | Posterior
Baseline = float | Mapping[str, float] | None
_CELLS = ("events_t", "n_t", "events_c", "n_c")


@dataclass(frozen=True, eq=False, repr=False)
class AbsoluteEffects:
    """Risks, differences and numbers needed to treat that an effect means at given baseline risks.

    Attributes
    ----------
    pooled : Pooled or Posterior
        The effect.
    table : DataFrame
        One row a baseline: `baseline` (its name), `control` and `treatment` risks with `low` and `high`, `difference`
        with its limits (proportions), `capped` where a limit would leave the range of a risk, `nnt` in words.
    """

    pooled: Result
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.table.copy()

    def summary(self) -> str:
        """One sentence a baseline."""
        return "\n".join(_row_sentence(row, self.pooled) for row in self.table.itertuples())

    def methods_text(self) -> str:
        """The paragraph for a methods section."""
        return (
            f"The {self.pooled.scale.name} and its limits were applied to each baseline risk, held fixed, to give "
            "risks and differences per 1,000 (the GRADE convention); limits beyond 1,000 were cut there and marked. "
            "Numbers needed to treat are given for benefit (NNTB) or harm (NNTH); where the interval of the difference "
            "holds 0 they run from one through infinity to the other (Altman DG. BMJ 1998;317:1309-1312. "
            "https://doi.org/10.1136/bmj.317.7168.1309)."
        )

    def __repr__(self) -> str:
        return f"AbsoluteEffects({self.pooled.scale.short}, {len(self.table)} baseline risks)"

    def _repr_html_(self) -> str:
        return wording.html_table(self.table)


def _row_sentence(row: Any, pooled: Result) -> str:
    effects = pooled.effects
    text = (
        f"Of 1,000 people, {1000 * row.control:.0f} have the outcome ({effects.event}) with {effects.control} "
        f"({row.baseline}) and {1000 * row.treatment:.0f} ({1000 * row.low:.0f} to {1000 * row.high:.0f}) with "
        f"{effects.treatment}: {row.nnt}."
    )
    return text + (" A limit was cut at 1,000: the ratio does not carry over to this baseline." if row.capped else "")


def absolute_effects(pooled: Result, *, baseline: Baseline = None) -> AbsoluteEffects:
    """What a relative effect means per 1,000 people at low, median and high baseline risk.

    Not for means; they are on an absolute scale already. A ratio that is infinite (a zero in the control group) has no
    absolute effect at another baseline: the trial's own risks and Newcombe's interval of their difference are given.

    Parameters
    ----------
    pooled : Pooled or Posterior
        A risk ratio, odds ratio, hazard ratio or risk difference from `kapmeta.pool` and its like.
    baseline : float or mapping of str to float, optional
        Risk under control, a proportion, or several by name. By default the quartiles of the control risks of the
        trials pooled; with one trial, that trial's.

    Returns
    -------
    AbsoluteEffects
        One row a baseline.

    Raises
    ------
    ValueError
        If a baseline is no proportion, if the effect itself would push the risk past 1 at a baseline that was given
        (at one of the trials' own it is cut and marked), or if there are no counts to take a baseline from.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty import absolute_effects
    >>> sessions = km.registered(km.load_evidence(), "opioids-sessions")
    >>> print(absolute_effects(sessions).summary())
    Of 1,000 people, 222 have the outcome (abstinence) with one session (control risk of Krupitsky 2007) and 500 (234
    to 1000) with three sessions: NNTB 3.6 (1.3 to 81.8). A limit was cut at 1,000: the ratio does not carry over to
    this baseline.
    """
    if pooled.measure not in ABSOLUTE:
        raise ValueError(f"a {pooled.scale.name} has no absolute risk; give one of: {', '.join(ABSOLUTE)}")
    if not math.isfinite(pooled.estimate):
        return AbsoluteEffects(pooled, _own_risks(pooled))
    given = baseline is not None
    rows = [_at_baseline(pooled, name, risk, given) for name, risk in _baselines(pooled, baseline).items()]
    return AbsoluteEffects(pooled, pd.DataFrame(rows))


def _baselines(pooled: Result, baseline: Baseline) -> dict[str, float]:
    if isinstance(baseline, Mapping):
        return {name: proportion(risk, f'baseline["{name}"]') for name, risk in baseline.items()}
    if baseline is not None:
        return {"baseline given": proportion(baseline, "baseline")}
    risks, labels = _control_risks(pooled)
    if risks.size == 1:
        return {f"control risk of {labels[0]}": float(risks[0])}
    names = ("low: lower quartile", "median", "high: upper quartile")
    quartiles = np.quantile(risks, (0.25, 0.5, 0.75))
    return {f"{name} of the control risks": float(risk) for name, risk in zip(names, quartiles, strict=True)}


def _control_risks(pooled: Result) -> tuple[FloatArray, list[str]]:
    table, there = pooled.effects.table, pooled.effects.present
    if not {"events_c", "n_c"} <= set(table.columns) or table.loc[there, "events_c"].isna().all():
        raise ValueError("no trial has control counts to take a baseline risk from; give baseline=0.2, say")
    known = there & table["events_c"].notna().to_numpy()
    rows = table[known]
    labels = [label for label, kept in zip(pooled.effects.labels, known, strict=True) if kept]
    return (rows["events_c"] / rows["n_c"]).to_numpy(dtype=np.float64), labels


def _at_baseline(pooled: Result, name: str, control: float, given: bool) -> dict[str, Any]:
    relative = [float(pooled.scale.shown(x)) for x in (pooled.estimate, pooled.low, pooled.high)]
    risks, capped = absolute_risk(relative, control, pooled.measure)
    if capped[0] and given:
        raise ValueError(
            f'the {pooled.scale.name} cannot hold at baseline "{name}": {control:g} x {relative[0]:.4g} is a risk '
            "beyond 1; use an odds ratio, or a lower baseline"
        )
    low, high = sorted(float(risk) for risk in risks[1:])
    return _absolute_row(pooled, name, control, (float(risks[0]), low, high), bool(capped.any()))


def _absolute_row(
    pooled: Result, name: str, control: float, treatment: tuple[float, float, float], capped: bool
) -> dict[str, Any]:
    middle, low, high = treatment
    differences = (middle - control, low - control, high - control)
    return {
        "baseline": name,
        "control": control,
        "treatment": middle,
        "low": low,
        "high": high,
        "difference": differences[0],
        "difference_low": differences[1],
        "difference_high": differences[2],
        "nnt": _nnt_text(*differences, event_is_good=pooled.effects.event_is_good),
        "capped": capped,
    }


def _own_risks(pooled: Result) -> pd.DataFrame:
    """The one trial's own risks, for a ratio that is infinite."""
    table = pooled.effects.table[pooled.effects.present]
    if len(table) != 1 or not set(_CELLS) <= set(table.columns):
        raise ValueError("the effect is not finite, so it has no absolute effect")
    a, n1, c, n2 = (float(table[name].iloc[0]) for name in _CELLS)
    found = newcombe(a, n1, c, n2, level=pooled.method.level)
    control = c / n2
    limits = (control + float(found.low), control + float(found.high))
    name = "the trial's own risks"
    return pd.DataFrame([_absolute_row(pooled, name, control, (a / n1, *limits), False)])


def _nnt_text(difference: float, low: float, high: float, *, event_is_good: bool) -> str:
    """``NNTB 3.6 (1.3 to 609)``, or from one side through infinity to the other; never one pair across 0."""
    needed = conversions.number_needed_to_treat(low, difference, high, event_is_good=event_is_good)
    shown = {name: _needed(float(value)) for name, value in needed._asdict().items() if name != "benefit"}
    benefits, harms = not np.isnan(needed.benefit_low), not np.isnan(needed.harm_low)
    side = "NNTB" if needed.benefit else "NNTH"
    if benefits and harms:
        inside = f"NNTB {shown['benefit_low']} to ∞ to NNTH {shown['harm_low']}"
    else:
        part = "benefit" if benefits else "harm"
        inside = f"{shown[part + '_low']} to {shown[part + '_high']}"
    return f"no difference ({inside})" if difference == 0 else f"{side} {shown['number']} ({inside})"


def _needed(number: float) -> str:
    """A number of people with one decimal below 100; infinity as its sign."""
    return "∞" if math.isinf(number) else f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def number_needed_to_treat(pooled: Result, *, baseline: Baseline = None) -> pd.DataFrame:
    """Numbers needed to treat for one more to benefit or be harmed, at each baseline risk.

    They depend on the baseline and are never pooled.

    Parameters
    ----------
    pooled, baseline
        As in `absolute_effects`.

    Returns
    -------
    DataFrame
        One row a baseline: `number`, `benefit` (True for benefit, False for harm), the limits on each side, and the
        words. Where the interval of the difference holds 0, both sides have limits and they meet at infinity.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty import number_needed_to_treat
    >>> cocaine = km.registered(km.load_evidence(), "cocaine-end-of-trial")
    >>> number_needed_to_treat(cocaine)["nnt"].item()
    'NNTB 2.7 (1.1 to 15.6)'
    """
    table = absolute_effects(pooled, baseline=baseline).table
    needed = conversions.number_needed_to_treat(
        table["difference_low"],
        table["difference"],
        table["difference_high"],
        event_is_good=pooled.effects.event_is_good,
    )
    return pd.DataFrame({"baseline": table["baseline"], **needed._asdict(), "nnt": table["nnt"]})


@dataclass(frozen=True, eq=False, repr=False)
class InformationSize:
    """How much information there is, how much one trial would need, and the boundaries for looking early.

    Attributes
    ----------
    required : float
        Participants that one trial would need (the optimal information size).
    diversity : float
        D squared; nan with one study, where nothing can be said of it.
    adjusted : float
        `required` divided by ``1 - diversity``.
    participants, events, fraction : float
        What there is, and its share of `adjusted`.
    table : DataFrame
        One row a look, in the order of `year`: `study`, `participants`, `fraction`, `z`, `boundary`, `crossed`.
    question : str
        What the size is for, in words.
    """

    required: float
    diversity: float
    adjusted: float
    participants: float
    events: float
    fraction: float
    table: pd.DataFrame
    question: str

    def to_frame(self) -> pd.DataFrame:
        """One row a look."""
        return self.table.copy()

    def summary(self) -> str:
        """Size, share reached, and whether the boundary is crossed; with what sequential analysis is not."""
        last = self.table.iloc[-1]
        crossed = "is crossed" if last["crossed"] else "is not crossed"
        return (
            f"{self.question}, {math.ceil(self.adjusted):,} participants are needed; {self.participants:,.0f} are "
            f"there ({100 * self.fraction:.0f} %). z = {last['z']:.2f}; the boundary, {last['boundary']:.2f}, "
            f"{crossed}. "
            "Sequential boundaries were made for monitoring; a diversity of 0 from few trials is no evidence that they "
            "agree."
        )

    def methods_text(self) -> str:
        """The paragraph for a methods section."""
        return (
            "The required information size was computed as for one trial and divided by 1 - D² (Wetterslev et al. BMC "
            "Med Res Methodol 2009;9:86. https://doi.org/10.1186/1471-2288-9-86); two-sided boundaries spend the error "
            "by the O'Brien-Fleming-like function of Lan and DeMets (Biometrika 1983;70:659-663)."
        )

    def __repr__(self) -> str:
        return f"InformationSize({math.ceil(self.adjusted)} needed, {self.participants:.0f} there)"

    def _repr_html_(self) -> str:
        return f"<p>{self.summary()}</p>{wording.html_table(self.table)}"


def information_size(
    pooled: Pooled,
    *,
    risk_ratio: float | None = None,
    difference: float | None = None,
    baseline: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> InformationSize:
    """Participants needed to find an effect that would matter, and sequential boundaries for what there is.

    The effect must come from outside the data: a size computed for the effect found is always nearly reached.

    Parameters
    ----------
    pooled : Pooled
        A result from trials with counts.
    risk_ratio, difference : float, optional
        The effect that would matter: a ratio, or a difference in proportions. Give one of the two.
    baseline : float, optional
        Risk under control; by default the control events of all trials over their participants.
    alpha, power : float
        Two-sided level and power, proportions.

    Returns
    -------
    InformationSize
        Size, what there is, and one row a look.

    Raises
    ------
    ValueError
        If not exactly one effect is given, if the risk it leads to is no proportion, or if there are no counts.

    References
    ----------
    .. [1] Wetterslev J, Thorlund K, Brok J, Gluud C. Estimating required information size by quantifying diversity in
       random-effects model meta-analyses. BMC Med Res Methodol 2009;9:86. https://doi.org/10.1186/1471-2288-9-86

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty import information_size
    >>> information_size(km.registered(km.load_evidence(), "cocaine-end-of-trial"), risk_ratio=2)
    InformationSize(369 needed, 55 there)
    """
    if (risk_ratio is None) == (difference is None):
        raise ValueError("give the effect that would matter: either risk_ratio= or difference=")
    for name, value in (("alpha", alpha), ("power", power)):
        proportion(value, name)
    counts = _counts(pooled)
    p0 = float(counts["events_c"].sum() / counts["n_c"].sum()) if baseline is None else proportion(baseline, "baseline")
    p1 = p0 * risk_ratio if risk_ratio is not None else p0 + float(difference or 0)
    required = float(required_information_size(p0, p1, alpha=alpha, power=power))
    if not math.isfinite(required):
        raise ValueError(f"baseline = {p0:.4g} and the effect give a treated risk of {p1:.4g}: no size can be computed")
    spread = _diversity(pooled)
    adjusted = required / (1 - (0.0 if math.isnan(spread) else spread))
    looks = _looks(pooled, counts, adjusted, alpha)
    people = float(counts[["n_t", "n_c"]].sum().sum())
    question = f"To find {100 * p0:.1f} % against {100 * p1:.1f} % with {100 * power:g} % power at {100 * alpha:g} %"
    events = float(counts[["events_t", "events_c"]].sum().sum())
    return InformationSize(required, spread, adjusted, people, events, people / adjusted, looks, question)


def _counts(pooled: Pooled) -> pd.DataFrame:
    table = pooled.effects.table
    if not set(_CELLS) <= set(table.columns) or table.loc[pooled.effects.present, list(_CELLS)].isna().any(axis=None):
        raise ValueError("an information size needs the counts of every trial; one has a reported effect only")
    labels = pd.Series(list(pooled.effects.labels), index=table.index)
    return table.assign(study=labels)[pooled.effects.present]


def _diversity(pooled: Pooled) -> float:
    if pooled.k < 2 or math.isnan(pooled.tau2):
        return math.nan
    v = pooled.effects.v[pooled.effects.present]
    return float(diversity(1 / np.sum(1 / v), 1 / np.sum(1 / (v + pooled.tau2))))


def _looks(pooled: Pooled, counts: pd.DataFrame, adjusted: float, alpha: float) -> pd.DataFrame:
    """Cumulative z against the boundaries, one look a trial in the order of `year`, else as given."""
    order = np.argsort(counts["year"].to_numpy(), kind="stable") if "year" in counts else np.arange(len(counts))
    people = counts[["n_t", "n_c"]].sum(axis=1).to_numpy(dtype=np.float64)[order].cumsum()
    fractions = people / adjusted
    z = np.array([pooled.estimate / pooled.se])
    if pooled.refit is not None and len(counts) > 1:
        found = pooled.refit(masks.cumulative(order))
        z = np.asarray(found.estimate / found.se)
    boundary = obrien_fleming_boundaries(fractions, alpha=alpha)
    return pd.DataFrame(
        {
            "study": counts["study"].to_numpy()[order],
            "participants": people,
            "fraction": fractions,
            "z": z,
            "boundary": boundary,
            "crossed": np.abs(z) > boundary,
        }
    )


@dataclass(frozen=True)
class Imprecision:
    """A proposal of how many levels to rate down for imprecision, with the rule that gave it; a person decides."""

    levels: int
    judgement: str
    reason: str
    baseline: str


IMPRECISION = ("not serious", "serious", "very serious", "extremely serious")
"""GRADE judgements by levels rated down."""
WIDEST = {"RR": 3.0, "OR": 2.5, "PETO": 2.5}
"""Upper over lower limit beyond which the information size is far away, by measure (a screening rule)."""


def imprecision(
    absolute: AbsoluteEffects, *, thresholds: Iterable[float], information: InformationSize | None = None
) -> tuple[Imprecision, ...]:
    """Proposed rating for imprecision, minimally contextualised [1]_: a proposal with its numbers, never a decision.

    Rate down one level for each threshold that the interval of the difference crosses, at most two; three if it
    crosses every one of four or more. Where none is crossed, one level if the information size is not reached and two
    if the relative interval is wide as well.

    Parameters
    ----------
    absolute : AbsoluteEffects
        From `absolute_effects`.
    thresholds : iterable of float
        Differences per 1,000 that would matter, above 0, e.g. ``[50]`` or those of small and large effects; each
        counts on both sides.
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
    .. [1] Zeng L, Brignardello-Petersen R, Hultcrantz M, et al. GRADE Guidance 34: update on rating imprecision using a
       minimally contextualized approach. J Clin Epidemiol 2022;150:216-224.
       https://doi.org/10.1016/j.jclinepi.2022.07.014

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty import absolute_effects, imprecision
    >>> absolute = absolute_effects(km.registered(km.load_evidence(), "cocaine-end-of-trial"))
    >>> imprecision(absolute, thresholds=[50])[0].reason
    'difference 64 to 893 per 1,000; no threshold is crossed'
    """
    sides = sorted({float(x) for x in thresholds})
    if not sides or sides[0] <= 0:
        raise ValueError(f"thresholds must be differences per 1,000 above 0: got {sides}")
    return tuple(_imprecision(row, sides, absolute, information) for row in absolute.table.itertuples())


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
        return _proposal(levels, f"{reason}; it crosses the threshold{'s' * (len(crossed) > 1)} {names}", row.baseline)
    reason += "; no threshold is crossed"
    if information is None or information.fraction >= 1:
        return _proposal(0, reason, row.baseline)
    reason += f"; {100 * information.fraction:.0f} % of the information size is there"
    wide = _ratio_of_limits(absolute.pooled) > WIDEST.get(absolute.pooled.measure, math.inf)
    return _proposal(2 if wide else 1, reason + "; the relative interval is wide" * wide, row.baseline)


def _proposal(levels: int, reason: str, baseline: str) -> Imprecision:
    return Imprecision(levels, IMPRECISION[levels], reason, baseline)


def _ratio_of_limits(pooled: Result) -> float:
    return math.exp(min(pooled.high - pooled.low, 700.0)) if pooled.scale.ratio else math.nan


class EffectDistribution(Protocol):
    """A distribution of the effect on the analysis scale, such as `kapmeta.core.posterior.mean_effect` gives."""

    def cdf(self, x: npt.ArrayLike) -> FloatArray:
        """Lower-tail area at `x`."""


def probability_beyond(
    posterior: Posterior | EffectDistribution, difference: float, *, baseline: float, measure: str = "RR"
) -> float:
    """Probability that the absolute difference is greater than one that would matter.

    Parameters
    ----------
    posterior : Posterior or distribution
        From `kapmeta.pool_bayes`, or anything with ``cdf(x)`` for the effect on the analysis scale (log for ratios).
    difference : float
        The difference, a proportion; 0.05 is 50 per 1,000. It may be negative.
    baseline : float
        Risk under control, a proportion, held fixed.
    measure : str
        ``"RR"``, ``"OR"``, ``"PETO"`` or ``"RD"``: what the posterior is of.

    Returns
    -------
    float
        The probability; 0 where no effect could lead that far.

    Examples
    --------
    >>> from kapmeta.certainty import probability_beyond
    >>> from kapmeta.core.posterior import Mixture
    >>> import numpy as np
    >>> posterior = Mixture(np.array([1.0]), np.array([np.log(2)]), np.array([0.3]))
    >>> round(probability_beyond(posterior, 0.05, baseline=0.2), 3)
    0.941
    """
    p0, p1 = proportion(baseline, "baseline"), baseline + difference
    if measure not in ("RR", "OR", "PETO", "RD"):
        raise ValueError(f'unknown measure "{measure}"; use one of: RR, OR, PETO, RD')
    if p1 <= 0 or p1 >= 1:
        return float(p1 <= 0)
    limit = {"RR": math.log(p1 / p0), "RD": difference}.get(measure, math.log(p1 / (1 - p1) * (1 - p0) / p0))
    distribution = posterior.mean_effect if isinstance(posterior, Posterior) else posterior
    return float(1 - distribution.cdf(np.asarray(limit)))
