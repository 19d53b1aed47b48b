"""What an effect means in numbers of people: risks, differences and numbers needed to treat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.checking import proportion
from kapmeta.core.certainty import absolute_risks as core_risks
from kapmeta.core.certainty.absolute_risks import ABSOLUTE, absolute_risk
from kapmeta.core.effects.single_trial import newcombe
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.references import PAPERS
from kapmeta.results.effects import direction_of
from kapmeta.results.posteriors import Result
from kapmeta.results.shared.views import View

__all__ = ["AbsoluteEffects", "Baseline", "absolute_effects", "number_needed_to_treat"]

Baseline = float | Mapping[str, float] | None
CELLS = ("events_t", "n_t", "events_c", "n_c")
NO_DIRECTION = "benefit or harm not known: give event_is_good"
"""What is shown in place of a number needed to treat while the direction is not known."""
_DIFFERENCES = ("difference", "difference_low", "difference_high")


@dataclass(frozen=True, eq=False, repr=False)
class AbsoluteEffects(View):
    """Risks, differences and numbers needed to treat that an effect means at given baseline risks.

    Attributes
    ----------
    pooled : Pooled or Posterior
        The effect.
    table : DataFrame
        One row per baseline: `baseline` (its name), `control` and `treatment` risks with `low` and
        `high`, `difference` with its limits (proportions), `capped` where a limit would leave the
        range of a risk, `nnt` in words.
    """

    pooled: Result
    table: pd.DataFrame
    papers = ("number needed",)

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of the table."""
        return self.table.copy()

    def summary(self) -> str:
        """Write one sentence per baseline risk."""
        return "\n".join(_row_sentence(row, self.pooled) for row in self.table.itertuples())

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        needed = (
            " Numbers needed to treat are given for benefit (NNTB) or harm (NNTH); where the"
            " interval of the difference holds 0 they run from one through infinity to the other"
            f" ({PAPERS['number needed']})."
        )
        return (
            f"The {self.pooled.scale.name} and its limits were applied to each baseline risk, held"
            " fixed, to give risks and differences per 1,000 (the GRADE convention); limits beyond"
            f" 1,000 were cut there and marked.{needed * self._has_numbers_needed}"
        )

    @property
    def _has_numbers_needed(self) -> bool:
        """Whether the direction of the event is known, which numbers needed to treat need."""
        return self.pooled.effects.event_is_good is not None

    def __repr__(self) -> str:
        return f"AbsoluteEffects({self.pooled.scale.short}, {len(self.table)} baseline risks)"

    def _shown_text(self) -> str:
        return ""


def _row_sentence(row: Any, pooled: Result) -> str:
    effects = pooled.effects
    text = (
        f"Of 1,000 people, {1000 * row.control:.0f} have the outcome ({effects.event}) with"
        f" {effects.control} ({row.baseline}) and {1000 * row.treatment:.0f} ({1000 * row.low:.0f}"
        f" to {1000 * row.high:.0f}) with {effects.treatment}:"
    )
    known = effects.event_is_good is not None
    cut = " A limit was cut at 1,000: the ratio does not apply to this baseline." * row.capped
    return f"{text} {row.nnt if known else _change_text(row)}.{cut}"


def _change_text(row: Any) -> str:
    """Write ``95 fewer (140 fewer to 34 fewer)``: what is so while good and bad are not known."""
    if not any(getattr(row, name) for name in _DIFFERENCES):
        return str(row.nnt)  # no difference, in the words of the table
    middle, low, high = (
        f"{abs(1000 * getattr(row, name)):.0f} {'fewer' if getattr(row, name) < 0 else 'more'}"
        for name in _DIFFERENCES
    )
    return f"{middle} ({low} to {high})"


@checking.checked
def absolute_effects(pooled: Result, *, baseline: Baseline = None) -> AbsoluteEffects:
    """Express a relative effect per 1,000 people at low, median and high baseline risk.

    Not for means; they are on an absolute scale already. Of one trial with counts, the trial's own
    risks and Newcombe's interval of their difference are given, unless a baseline is named. A ratio
    that is infinite (a zero in the control group) has no absolute effect at another baseline.

    Parameters
    ----------
    pooled : Pooled or Posterior
        A risk ratio, odds ratio, hazard ratio or risk difference from `kapmeta.pool` and its like.
    baseline : float or mapping of str to float, optional
        Risk under control, a proportion, or several by name. By default the quartiles of the
        control risks of the trials pooled; with one trial, that trial's.

    Returns
    -------
    AbsoluteEffects
        One row per baseline.

    Raises
    ------
    ValueError
        If a baseline is no proportion, if the effect itself would push the risk past 1 at a
        baseline that was given (at one of the trials' own it is cut and marked), or if there are no
        counts to take a baseline from.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty.absolute_risks import absolute_effects
    >>> sessions = km.review.answer(km.load_evidence(), "opioids-sessions")
    >>> print(absolute_effects(sessions).summary())
    Of 1,000 people, 222 have the outcome (abstinence) with one session (control risk of
    Krupitsky 2007) and 500 (242 to 714) with three sessions: NNTB 3.6 (2.0 to 50.4).
    """
    if pooled.measure not in ABSOLUTE:
        raise ValueError(
            f"a {pooled.scale.name} has no absolute risk; give one of: {', '.join(ABSOLUTE)}"
        )
    if not math.isfinite(pooled.estimate) or (baseline is None and _one_counted_trial(pooled)):
        return AbsoluteEffects(pooled, _own_risks(pooled))
    given = baseline is not None
    rows = [
        _at_baseline(pooled, name, risk, given)
        for name, risk in _baselines(pooled, baseline).items()
    ]
    return AbsoluteEffects(pooled, pd.DataFrame(rows))


def baselines_given(baseline: Baseline) -> dict[str, float]:
    """Return the baseline risks that the caller named, each a proportion; none for None."""
    if baseline is None:
        return {}
    if not isinstance(baseline, Mapping):
        return {"baseline given": proportion(baseline, "baseline")}
    if not baseline:
        raise ValueError("baseline names no risk; give one or more, or leave it out")
    return {name: proportion(risk, f'baseline["{name}"]') for name, risk in baseline.items()}


def _baselines(pooled: Result, baseline: Baseline) -> dict[str, float]:
    given = baselines_given(baseline)
    if given:
        return given
    risks, labels = _control_risks(pooled)
    if risks.size == 1:
        return {f"control risk of {labels[0]}": float(risks[0])}
    names = ("low: lower quartile", "median", "high: upper quartile")
    quartiles = np.quantile(risks, (0.25, 0.5, 0.75))
    each = zip(names, quartiles.tolist(), strict=True)
    return {f"{name} of the control risks": risk for name, risk in each}


def has_control_counts(pooled: Result) -> bool:
    """Say whether any trial has control counts to take a baseline risk from."""
    table, there = pooled.effects.table, pooled.effects.present
    known = {"events_c", "n_c"} <= set(table.columns)
    return known and bool(table.loc[there, "events_c"].notna().any())


def _control_risks(pooled: Result) -> tuple[FloatArray, list[str]]:
    table, there = pooled.effects.table, pooled.effects.present
    if not has_control_counts(pooled):
        raise ValueError(
            "no trial has control counts to take a baseline risk from; give baseline=0.2, say"
        )
    known = there & table["events_c"].notna().to_numpy()
    rows = table[known]
    labels = [label for label, kept in zip(pooled.effects.labels, known, strict=True) if kept]
    return (rows["events_c"] / rows["n_c"]).to_numpy(dtype=np.float64), labels


def _at_baseline(pooled: Result, name: str, control: float, given: bool) -> dict[str, Any]:
    relative = pooled.shown_interval
    risks, capped = absolute_risk(relative, control, pooled.measure)
    if capped[0] and given:
        raise ValueError(
            f'the {pooled.scale.name} cannot hold at baseline "{name}": {control:g} x'
            f" {relative[0]:.4g} is a risk beyond 1; use an odds ratio, or a lower baseline"
        )
    low, high = sorted(float(risk) for risk in risks[1:])
    return _absolute_row(pooled, name, control, (float(risks[0]), low, high), bool(capped.any()))


def _absolute_row(
    pooled: Result, name: str, control: float, treatment: tuple[float, float, float], capped: bool
) -> dict[str, Any]:
    differences = [risk - control for risk in treatment]
    return {
        "baseline": name,
        "control": control,
        **dict(zip(("treatment", "low", "high"), treatment, strict=True)),
        **dict(zip(_DIFFERENCES, differences, strict=True)),
        "nnt": _nnt_text(*differences, event_is_good=pooled.effects.event_is_good),
        "capped": capped,
    }


def _one_counted_trial(pooled: Result) -> bool:
    """Say whether the result is that of one trial whose counts are known."""
    table = pooled.effects.table[pooled.effects.present]
    known = len(table) == 1 and set(CELLS) <= set(table.columns)
    return known and pooled.measure != "HR" and bool(table[list(CELLS)].notna().all(axis=None))


def _own_risks(pooled: Result) -> pd.DataFrame:
    """Take the risks of the one trial itself."""
    table = pooled.effects.table[pooled.effects.present]
    if not _one_counted_trial(pooled):
        raise ValueError("the effect is not finite, so it has no absolute effect")
    a, n1, c, n2 = (float(table[name].iloc[0]) for name in CELLS)
    found = newcombe(a, n1, c, n2, level=pooled.method.level)
    control = c / n2
    limits = (control + float(found.low), control + float(found.high))
    label = pooled.effects.labels[int(np.flatnonzero(pooled.effects.present)[0])]
    name = f"control risk of {label}"
    return pd.DataFrame([_absolute_row(pooled, name, control, (a / n1, *limits), False)])


def _nnt_text(difference: float, low: float, high: float, *, event_is_good: bool | None) -> str:
    """Write ``NNTB 3.6 (1.3 to 609)``; an interval across no effect goes through infinity."""
    if low == difference == high == 0:
        return "no difference"  # a ratio of a risk of 0, or an odds ratio of a risk of 1
    if event_is_good is None:
        return NO_DIRECTION
    needed = core_risks.number_needed_to_treat(low, difference, high, event_is_good=event_is_good)
    numbers = {name: value for name, value in needed._asdict().items() if name != "benefit"}
    shown = {name: _needed(float(value)) for name, value in numbers.items()}
    benefits, harms = not np.isnan(needed.benefit_low), not np.isnan(needed.harm_low)
    side = "NNTB" if needed.benefit else "NNTH"
    if benefits and harms:
        inside = f"NNTB {shown['benefit_low']} to ∞ to NNTH {shown['harm_low']}"
    else:
        part = "benefit" if benefits else "harm"
        inside = f"{shown[part + '_low']} to {shown[part + '_high']}"
    return (
        f"no difference ({inside})" if difference == 0 else f"{side} {shown['number']} ({inside})"
    )


def _needed(number: float) -> str:
    """Write a number of people with one decimal below 100; infinity as its sign."""
    return "∞" if math.isinf(number) else f"{number:.1f}" if number < 100 else f"{number:,.0f}"


@checking.checked
def number_needed_to_treat(pooled: Result, *, baseline: Baseline = None) -> pd.DataFrame:
    """Give the numbers needed to treat for benefit or harm at each baseline risk.

    They depend on the baseline and are never pooled.

    Parameters
    ----------
    pooled, baseline
        As in `absolute_effects`.

    Returns
    -------
    DataFrame
        One row per baseline: `number`, `benefit` (True for benefit, False for harm), the limits on
        each side, and the words. Where the interval of the difference holds 0, both sides have
        limits and they meet at infinity.

    Raises
    ------
    ValueError
        If the effects do not say whether the event is good, and as in `absolute_effects`.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty.absolute_risks import number_needed_to_treat
    >>> cocaine = km.review.answer(km.load_evidence(), "cocaine-end-of-trial")
    >>> number_needed_to_treat(cocaine)["nnt"].item()
    'NNTB 2.7 (1.8 to 7.4)'
    """
    event_is_good = direction_of(pooled.effects, "a number needed to treat for benefit or harm")
    table = absolute_effects(pooled, baseline=baseline).table
    middle, low, high = (table[name] for name in _DIFFERENCES)
    needed = core_risks.number_needed_to_treat(low, middle, high, event_is_good=event_is_good)
    return pd.DataFrame({"baseline": table["baseline"], **needed._asdict(), "nnt": table["nnt"]})
