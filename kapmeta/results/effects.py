"""What analyses return: frozen values that show, describe and tabulate themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects.single_trial import SINGLE_TRIAL_INTERVALS
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.measures import Measure, measure_named
from kapmeta.methods import CI_NAMES, ZERO_NAMES
from kapmeta.results.shared.outcomes import (
    Outcome,
    are_opposite,
    are_swapped,
    joined_outcome,
    refuse_contradiction,
)
from kapmeta.results.shared.rows import (
    CELLS,
    absence_reason,
    has_empty_cell,
    joined_rows,
    people_in,
    positions_of,
    reversed_rows,
    swapped_rows,
)
from kapmeta.results.shared.views import View
from kapmeta.wording import (
    capital,
    interval_text,
    joined,
    less_and_more,
    level_named,
    lower_and_higher,
    opposite_event,
    plural,
    studies,
)

__all__ = [
    "NOT_CONFIRMED",
    "Effects",
    "direction_of",
    "effects_table",
    "excluded_sentences",
    "listed_excluded",
    "opposite_direction",
    "outcome_text",
    "participants",
    "rules_applied",
    "unconfirmed",
    "unconfirmed_labels",
    "unconfirmed_sentences",
    "unit_of",
    "zero_sentence",
]


def read_only(values: Any, dtype: type = np.float64) -> Any:
    """Copy `values` into an array that cannot be written to."""
    array: Any = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


# of a variance and its reciprocal: sums of their cubes stay within the floating-point numbers
_LARGEST_VARIANCE = 1e50


def _refuse_units(y: FloatArray, v: FloatArray, labels: tuple[str, ...]) -> None:
    """Refuse effects in a unit so large or small that arithmetic with them overflows."""
    beyond = (
        (
            (v < 1 / _LARGEST_VARIANCE)
            | (v > _LARGEST_VARIANCE)
            | np.isfinite(y) & (np.abs(y) > _LARGEST_VARIANCE)
        )
        & (v > 0)
        & (v < np.inf)
    )
    checking.refuse_first(
        beyond,
        labels,
        lambda i: "effect or variance is too large or too small to compute with",
        lambda i: f"effect {y[i]:g} with variance {v[i]:g}; give the effects in another unit",
    )


@dataclass(frozen=True, eq=False, repr=False)
class Effects(View):
    """One effect estimate per study, on the analysis scale, with all that is needed to read it.

    Returned by `risk_ratio`, `odds_ratio`, `reported` and the other effect functions; given to
    `pool` and the plots. Two `Effects` of the same measure concatenate with ``+``.

    Attributes
    ----------
    y, v : ndarray, shape (studies,)
        Estimates and their sampling variances; log scale for ratios. A study that could not be
        estimated has ``y = nan`` and ``v = inf``.
    labels : tuple of str
        Study labels, in the order given; duplicates are kept.
    measure : str
        Key in `kapmeta.measures.MEASURES`.
    table : DataFrame
        The rows the effects were computed from, one per study.
    zero : str or None
        The continuity rule that was asked for; None where the measure needs none, and where joined
        parts differ.
    corrected : ndarray of bool, shape (studies,)
        Which studies the continuity rule changed.
    excluded : mapping of int to str
        Position of each study that takes no part, and the reason: it could not be estimated, or it
        was set aside. Such a study stays in sight and weighs nothing.
    event, treatment, control : str
        What is counted and in which arms; labels and sentences are made from these.
    event_is_good : bool or None
        Whether more of the event (or a higher mean) is better for the patient. None while it is
        not known: nothing guesses it, and sentences stay neutral.
    interval : str
        What the rows of single trials are shown with: ``"wald"``, or a word of
        `kapmeta.core.effects.single_trial.SINGLE_TRIAL_INTERVALS`, which needs no continuity
        correction, or ``"as reported"``. Pooling is not touched.
    rules : tuple of (str or None), shape (studies,)
        The continuity rule of each study.
    opposite : str or None
        The name of the opposite event, where `reversed` has declared one.
    """

    y: FloatArray
    v: FloatArray
    labels: tuple[str, ...]
    measure: str
    table: pd.DataFrame
    zero: str | None = None
    corrected: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    excluded: Mapping[int, str] = field(default_factory=dict)
    event: str = "event"
    event_is_good: bool | None = None
    treatment: str = "treatment"
    control: str = "control"
    interval: str = "wald"
    rules: tuple[str | None, ...] = ()
    opposite: str | None = None

    def __post_init__(self) -> None:
        measure_named(self.measure)
        object.__setattr__(self, "y", read_only(self.y))
        object.__setattr__(self, "v", read_only(self.v))
        _refuse_units(self.y, self.v, self.labels)
        corrected = self.corrected if np.size(self.corrected) else np.zeros(self.y.size)
        object.__setattr__(self, "corrected", read_only(corrected, bool))
        if len(self.rules) != self.y.size:
            object.__setattr__(self, "rules", (self.zero,) * self.y.size)

    @property
    def present(self) -> BoolArray:
        """Which studies take part: estimated and not excluded; shape (studies,)."""
        taking_part = self.v < np.inf
        taking_part[list(self.excluded)] = False
        return taking_part

    @property
    def k(self) -> int:
        """Number of studies that take part."""
        return int(np.count_nonzero(self.present))

    @property
    def se(self) -> FloatArray:
        """Standard errors, the square roots of `v`."""
        return np.asarray(read_only(np.sqrt(self.v)))

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return measure_named(self.measure)

    @property
    def outcome(self) -> Outcome:
        """Event, direction and arms."""
        return Outcome(self.event, self.event_is_good, self.treatment, self.control, self.opposite)

    @property
    def favours(self) -> tuple[str, str]:
        """Which arm the sides of no effect favour, below and above.

        Raises ValueError while `event_is_good` is None; `sides` is neutral then.
        """
        sides = (f"Favours {self.control}", f"Favours {self.treatment}")
        return sides if direction_of(self, "which arm a result favours") else (sides[1], sides[0])

    @property
    def sides(self) -> tuple[str, ...]:
        """What the sides of no effect mean, below and above; empty for measures of one group.

        ``("Favours placebo", "Favours drug")`` where `event_is_good` is known; until then
        ``("fewer deaths with drug", "more deaths with drug")``, and ``lower`` and ``higher`` for
        means.
        """
        if not self.scale.compares:
            return ()
        if self.event_is_good is not None:
            return self.favours
        words = less_and_more(self.event) if self.scale.counts else lower_and_higher(self.event)
        return tuple(f"{each} with {self.treatment}" for each in words)

    def to_frame(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row per study: counts as given, estimate and interval on the scale shown."""
        frame = self.table.drop(
            columns="row", errors="ignore"
        )  # ours; whatever the user's meant stays in `table`
        frame.insert(0, "row", np.where(self.present, "study", "excluded"))
        for name, value in zip(("estimate", "low", "high"), self.limits(level), strict=True):
            frame[name] = self.scale.shown(value)
        frame["y"], frame["v"] = self.y, self.v
        frame["corrected"] = self.corrected
        frame["reason"] = [self.excluded.get(i, "") for i in range(self.y.size)]
        return frame.reset_index(drop=True)

    def limits(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute estimate and limits of each row on the analysis scale; nan where none."""
        half = float(normal_quantile((1 + level) / 2)) * self.se
        with np.errstate(invalid="ignore"):
            wald = [
                np.where(self.v < np.inf, x, np.nan) for x in (self.y, self.y - half, self.y + half)
            ]
        own = self._own_limits(level)
        known = ~np.isnan(own).any(axis=0)
        first, second, third = (np.where(known, x, w) for x, w in zip(own, wald, strict=True))
        return first, second, third

    def _own_limits(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute score or exact limits, or take printed ones, to show instead of Wald limits."""
        if self.interval in SINGLE_TRIAL_INTERVALS:
            cells = (
                self.table[name].to_numpy(dtype=np.float64)
                for name in ("events_t", "n_t", "events_c", "n_c")
            )
            found = SINGLE_TRIAL_INTERVALS[self.interval](*cells, level=level)
            return found.estimate, found.low, found.high
        unknown = np.full(self.y.size, np.nan)
        if self.interval != "as reported" or not {"low", "high", "printed_level"} <= set(
            self.table.columns
        ):
            return unknown, unknown, unknown
        printed = [self.table[name].to_numpy(dtype=np.float64) for name in ("low", "high")]
        same = self.table["printed_level"].to_numpy(dtype=np.float64) == level
        low, high = (np.where(same, self.scale.analysed(x), np.nan) for x in printed)
        return self.y, low, high

    def select(self, keep: Any) -> Effects:
        """Select studies by names, by a mask, by positions or by a slice, in that order.

        Parameters
        ----------
        keep : str, int, slice or sequence
            A study's label or several; one True or False per study (bool or nullable bool); or
            positions from 0. A study that is named twice is refused: a trial counts once.

        Returns
        -------
        Effects
            The studies selected.

        Raises
        ------
        TypeError, ValueError
            If `keep` is none of these, or names a study that is not there.

        Examples
        --------
        >>> import kapmeta as km
        >>> bcg = km.risk_ratio(km.load_example("bcg"))
        >>> bcg.select([label != "Aronson 1948" for label in bcg.labels])
        Effects(RR, k=12)
        >>> bcg.select("Aronson 1948").labels
        ('Aronson 1948',)
        """
        positions = positions_of(keep, self.labels)
        place = {int(old): new for new, old in enumerate(positions)}
        return replace(
            self,
            y=self.y[positions],
            v=self.v[positions],
            labels=tuple(self.labels[i] for i in positions),
            table=self.table.iloc[positions].reset_index(drop=True),
            corrected=self.corrected[positions],
            excluded={place[i]: why for i, why in self.excluded.items() if i in place},
            rules=tuple(self.rules[i] for i in positions),
        )

    def reversed(self, event: str | None = None) -> Effects:
        """Express the same studies as the opposite event, counts included.

        Estimates change their sign and ``events`` become ``n - events``, so that rows, exact and
        score intervals, baselines and numbers needed to treat are those of the opposite event. The
        result is that of the same function on `kapmeta.effects.complement`; with
        ``zero="empirical"``, whose correction depends on the event, it keeps the correction made.

        Parameters
        ----------
        event : str, optional
            Name of the opposite event; by default the one declared, else "no" and the event.

        Returns
        -------
        Effects
            The same studies in the same order, `event_is_good` turned round if it is known.

        Raises
        ------
        ValueError
            If the measure is not symmetric in the event. Odds ratios (also Peto's), risk
            differences and arcsine differences are. A risk ratio is not the reciprocal of the risk
            ratio of the opposite event.

        Examples
        --------
        >>> import kapmeta as km
        >>> died = km.odds_ratio(km.load_example("bcg"), event="death", event_is_good=False)
        >>> survived = died.reversed("survival")
        >>> survived.event_is_good, float(survived.y[0]) == -float(died.y[0])
        (True, True)
        """
        if self.measure not in ("OR", "PETO", "RD", "AS"):
            raise ValueError(
                f"a {self.scale.name} cannot be turned round without the counts; use"
                " complement(trials) and compute it again"
            )
        event = event or self.opposite or opposite_event(self.event)
        good = opposite_direction(self.event_is_good)
        turned = replace(
            self,
            y=-self.y,
            table=reversed_rows(self.table, event, good, ratio=self.scale.ratio),
            event=event,
            event_is_good=good,
            opposite=self.event,
        )
        return replace(turned, excluded=_reasons_turned(self, turned))

    def __add__(self, other: Effects) -> Effects:
        """Join the studies of both, in order: counts of some trials, reported effects of others.

        Both must be of one measure and one event. Effects of the declared opposite event are
        turned round if the measure allows it, effects with the arms swapped are inverted. What
        cannot be made to say the same is refused.
        """
        other = self._aligned(effects_given(other, "what is added to effects"))
        shift = len(self)
        rules = self.rules + other.rules
        used = {rule for rule in rules if rule is not None}
        return replace(
            self,
            y=np.concatenate([self.y, other.y]),
            v=np.concatenate([self.v, other.v]),
            labels=self.labels + other.labels,
            table=joined_rows(self.table, other.table),
            zero=used.pop() if len(used) == 1 else None,
            rules=rules,
            interval=self.interval if self.interval == other.interval else "as reported",
            corrected=np.concatenate([self.corrected, other.corrected]),
            excluded={**self.excluded, **{shift + i: why for i, why in other.excluded.items()}},
            **joined_outcome(self.outcome, other.outcome)._asdict(),
        )

    def _aligned(self, other: Effects) -> Effects:
        """Make `other` say what these effects say, or refuse: one measure, one event, one order."""
        if self.measure != other.measure:
            raise ValueError(
                f"effects of different measures cannot be put together: {self.measure} and"
                f" {other.measure}"
            )
        if self.scale.compares and are_swapped(self.outcome, other.outcome):
            other = other._with_arms_swapped()
        if are_opposite(self.outcome, other.outcome):
            other = other.reversed(self.event)
        refuse_contradiction(self.outcome, other.outcome)
        return other

    def _with_arms_swapped(self) -> Effects:
        """Express the same studies as control against treatment."""
        if self.measure == "GEN":
            raise ValueError(
                f"the arms, {self.outcome.arms}, are swapped in one part, and how an effect of"
                " unknown scale is inverted is not known. Give both parts the same order of arms"
            )
        return replace(
            self,
            y=-self.y,
            table=swapped_rows(self.table, ratio=self.scale.ratio),
            treatment=self.control,
            control=self.treatment,
        )

    def __len__(self) -> int:
        return int(self.y.size)

    def __repr__(self) -> str:
        return f"Effects({self.measure}, k={self.k}{listed_excluded(self)})"

    def summary(self) -> str:
        """Describe the effects: measure, number, continuity rule, corrections, exclusions."""
        arms = f", {self.treatment} v {self.control}" * self.scale.compares
        head = f"{capital(self.scale.name)} of {self.event}{arms}: "
        lines = [head + f"{studies(self.k)}.", zero_sentence(self), *excluded_sentences(self)]
        frame = self.to_frame()
        for label, row in zip(self.labels, frame.itertuples(), strict=True):
            if row.row == "study":
                text = interval_text(row.estimate, row.low, row.high)
                lines.append(f"  {label}: {self.scale.short} {text}")
        return "\n".join(filter(None, lines))

    def methods_text(self) -> str:
        """Write the paragraph for a methods section on how the effects were computed."""
        shown = (
            f"One estimate from each of {studies(self.k)} is given with its"
            f" {CI_NAMES[self.interval]}."
        )
        sentences = [measure_sentence(self), shown, zero_sentence(self), *excluded_sentences(self)]
        return " ".join(filter(None, sentences))

    def _shown_text(self) -> str:
        lines = self.summary().splitlines()
        return "\n".join(line for line in lines if not line.startswith("  "))

    def _shown_table(self) -> pd.DataFrame | None:
        return effects_table(self)


def direction_of(effects: Effects, needed_for: str) -> bool:
    """Return whether the event is good; refuse where nobody has stated it.

    Parameters
    ----------
    effects : Effects
        The effects analysed.
    needed_for : str
        What needs the direction, for the error: "numbers needed to treat for benefit or harm".

    Raises
    ------
    ValueError
        If `event_is_good` is None; the error names the argument to give.
    """
    if not effects.scale.compares:
        raise ValueError(
            f"a {effects.scale.name} describes one group: there are no arms to compare, so"
            f" {needed_for} cannot be given"
        )
    if effects.event_is_good is None:
        raise ValueError(
            f'{needed_for}: it is not known whether more of "{effects.event}" is good or bad. Give'
            " event_is_good=True or event_is_good=False with the effects, e.g."
            " risk_ratio(trials, event_is_good=False), or a column event_is_good"
        )
    return effects.event_is_good


def _reasons_turned(effects: Effects, turned: Effects) -> dict[int, str]:
    """Give the reasons of tables without an estimate as they are for the opposite event."""
    reasons = dict(effects.excluded)
    if not set(CELLS) <= set(effects.table.columns):
        return reasons
    for i, why in reasons.items():
        before, after = (
            absence_reason([float(part.table[name].iloc[i]) for name in CELLS], part.rules[i])
            for part in (effects, turned)
        )
        reasons[i] = after if why == before else why
    return reasons


def opposite_direction(event_is_good: bool | None) -> bool | None:
    """Turn a direction round for the opposite event; an unknown one stays unknown."""
    return None if event_is_good is None else not event_is_good


def unit_of(effects: Effects) -> str:
    """Name the unit of differences of means, where the trials name one; else nothing."""
    if effects.measure not in ("MD", "GEN"):
        return ""
    units = effects.table[effects.present].reindex(columns=["unit"])["unit"]
    named = (" ".join(unit.split()) for unit in units if isinstance(unit, str))
    return joined(dict.fromkeys(filter(None, named)))


def participants(effects: Effects) -> float:
    """Count the people of the studies that take part, each once; nan where not known of all."""
    table = effects.table[effects.present]
    if not effects.scale.compares:
        n = pd.to_numeric(table.reindex(columns=["n"])["n"], errors="coerce")
        return float(n.sum(skipna=False))
    return people_in(table)


def effects_given(value: Any, name: str = "effects") -> Effects:
    """Return `value` if it is `Effects`; otherwise say where they come from."""
    return checking.instance(
        value,
        Effects,
        name,
        "come from risk_ratio, odds_ratio, reported or another effect function",
    )


def listed_excluded(effects: Effects) -> str:
    """Write ``, 2 excluded``, or nothing."""
    return f", {len(effects.excluded)} excluded" if effects.excluded else ""


def zero_sentence(effects: Effects, opening: str = "Before analysis") -> str:
    """Say what was added to which trials with an empty cell; empty for measures without counts."""
    rules = dict.fromkeys(rule for rule in effects.rules if rule is not None)
    return " ".join(_rule_sentence(effects, rule, opening) for rule in rules)


def _rule_sentence(effects: Effects, rule: str, opening: str) -> str:
    """Say which studies one continuity rule changed, or that none had an empty cell."""
    own = np.array([each == rule for each in effects.rules])
    touched = [effects.labels[i] for i in np.flatnonzero(own & effects.corrected)]
    named = f'zero-cell rule "{rule}"'
    if not touched:
        if has_empty_cell(effects.table[own]):
            return f"No continuity correction was made ({named})."
        return f"No trial{' under this rule' * (not own.all())} had an empty cell ({named})."
    n = len(touched)
    trials = f"the {n} trials" if n > 1 else "the one trial"
    if rule in ("half-if-any", "drop"):
        added = f"0.5 was added to all four cells of {trials} with an empty cell"
    else:
        added = f"{ZERO_NAMES[rule]}; this changed {trials}"
    return f"{opening}, {added} ({joined(touched)}; {named})."


def rules_applied(effects: Effects) -> str:
    """Name the continuity rules by which rows were changed; empty where none was."""
    each = zip(effects.rules, effects.corrected, strict=True)
    rules = dict.fromkeys(rule for rule, yes in each if yes and rule is not None)
    return joined(ZERO_NAMES[rule] for rule in rules)


def excluded_sentences(effects: Effects) -> list[str]:
    """Write one sentence for each study that takes no part."""
    sentences = []
    for i, why in sorted(effects.excluded.items()):
        verb = "is set aside" if effects.v[i] < math.inf else "gives no estimate"
        sentences.append(f"{effects.labels[i]} {verb}: {why}.")
    return sentences


def unconfirmed(level: object) -> bool:
    """Decide whether numbers of an evidence level were seen in a summary of summaries only."""
    found = level_named(level)
    return found is not None and not found.confirmed


def unconfirmed_labels(effects: Effects) -> list[str]:
    """List the studies that take part with numbers that are not confirmed."""
    levels = effects.table.get("evidence_level", [None] * len(effects.labels))
    each = zip(effects.labels, effects.present, levels, strict=True)
    return [label for label, present, level in each if present and unconfirmed(level)]


def unconfirmed_sentences(effects: Effects) -> list[str]:
    """Warn of the numbers that are not confirmed."""
    labels = unconfirmed_labels(effects)
    return [f"Not confirmed: {joined(labels)}. {NOT_CONFIRMED}."] if labels else []


NOT_CONFIRMED = "Nothing may be concluded from it until the primary report has been read"
"""What follows from counts known from a summary of summaries only."""


def measure_sentence(effects: Effects) -> str:
    """Name measure, event and any arms in the sentence that opens a methods section."""
    what = f"{plural(effects.scale.name)} of {effects.event}"
    if not effects.scale.compares:
        return f"We analysed {what}, each of one group."
    return f"We expressed effects as {what} ({effects.treatment} against {effects.control})."


def outcome_text(effects: Effects) -> str:
    """Write ``risk ratio of death, drug against placebo``; without arms for one group."""
    what = f"{effects.scale.name} of {effects.event}"
    arms = f", {effects.treatment} against {effects.control}" * effects.scale.compares
    return what + arms


def effects_table(effects: Effects) -> pd.DataFrame:
    """Select the columns of a set of effects that a reader needs, labels first."""
    frame = effects.to_frame()
    counts = [c for c in ("events_t", "n_t", "events_c", "n_c") if c in frame]
    levels = [c for c in ("evidence_level",) if c in frame]
    table = frame[[*counts, "estimate", "low", "high", *levels]].copy()
    for column in counts:
        table[column] = [
            f"{x:g}" if isinstance(x, Real) and not math.isnan(x) else "" for x in table[column]
        ]
    table.insert(0, "study", list(effects.labels))
    return table.rename(columns={"estimate": effects.scale.short})
