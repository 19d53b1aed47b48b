"""Tipping and Fragility, what would turn a conclusion, with their sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.sensitivity.fragility import Steps
from kapmeta.measures import Measure
from kapmeta.methods import CI_NAMES, method_phrase
from kapmeta.references import cited
from kapmeta.results.pooled import Pooled, estimate_text
from kapmeta.results.shared.views import View
from kapmeta.results.sweeps import analysis_phrase

__all__ = ["Fragility", "Tipping"]


@dataclass(frozen=True, eq=False, repr=False)
class Tipping(View):
    """When missing outcomes would turn a conclusion, returned by `kapmeta.tipping_point`.

    Attributes
    ----------
    kind : str
        ``"counts"``: every number of events among the missing of one trial; ``"imor"``: a surface
        of informative missingness odds ratios of the pooled result.
    surface : DataFrame
        One row per point: `events_t` and `events_c`, or `imor_t` and `imor_c`; `y`, `y_low` and
        `y_high` on the analysis scale; `verdict` is 1 or -1 where the interval lies above or below
        no effect, else 0.
    points : mapping of str to float
        ``"counts"``: the fewest `events` among the missing that turn the conclusion of "none had
        the event", and their arms; empty where it never turns. ``"imor"``: for each path the factor
        at which the result turns: 3 says that the odds of the event would have to be 3 times lower
        among the missing treated (higher among the missing controls) than among the observed; below
        1 the other way round; infinite where it never turns.
    base : Pooled
        The analysis of those observed.
    missing : pair of int
        Number missing under treatment and control.
    """

    kind: str
    surface: pd.DataFrame
    points: Mapping[str, float]
    base: Pooled
    missing: tuple[int, int]

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.base.scale

    @property
    def papers(self) -> tuple[str, ...]:
        """Key of the paper behind informative missingness odds ratios."""
        return ("imor",) if self.kind == "imor" else ()

    def to_frame(self) -> pd.DataFrame:
        """Return the surface with estimate and limits on the scale shown."""
        frame = self.surface.copy()
        for name, column in (("estimate", "y"), ("low", "y_low"), ("high", "y_high")):
            frame[name] = self.scale.shown(frame[column].to_numpy(dtype=float))
        return frame

    def summary(self) -> str:
        """Say what it would take to turn the conclusion."""
        return self._about_counts() if self.kind == "counts" else self._about_imor()

    def _about_counts(self) -> str:
        row = self.to_frame().iloc[0]
        shown = wording.interval_text(row["estimate"], row["low"], row["high"])
        verb = "excludes" if row["verdict"] else "includes"
        text = (
            f"{self.scale.short} {shown} with the missing counted as no event: the interval {verb}"
            f" {self.scale.null:g}."
        )
        whole = sum(self.missing)
        if not self.points:
            return f"{text} It does so whatever happened to the {whole} missing."
        return (
            f"{text} It turns when {self.points['events']:g} of the {whole} missing had the event"
            f" ({self.points['events_t']:g} under treatment, {self.points['events_c']:g} under"
            " control)."
        )

    def _about_imor(self) -> str:
        parts = [f"{path}: {self._turn(path, factor)}" for path, factor in self.points.items()]
        return (
            f"{estimate_text(self.base)} in those observed, {sum(self.missing)} missing. The result"
            " turns where the odds of the event among the missing, against those among the"
            f" observed, are, {'; '.join(parts)}."
        )

    def _turn(self, path: str, factor: float) -> str:
        """Say at which odds of the missing of each arm the result turns on a path."""
        if np.isinf(factor):
            return "nowhere up to a factor of 10,000"
        e, size = self.base.effects, wording.number(max(factor, 1 / factor))
        how = ("lower", "higher") if factor > 1 else ("higher", "lower")
        arms = [
            f"{size} times {word} under {arm}"
            for word, arm in zip(how, (e.treatment, e.control), strict=True)
        ]
        kept = {"treatment only": arms[:1], "control only": arms[1:]}
        return wording.joined(kept.get(path.partition(",")[0], arms))

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        e, (lost_t, lost_c) = self.base.effects, self.missing
        if self.kind == "counts":
            interval = CI_NAMES[_TRIAL_INTERVAL[e.measure]]
            return (
                f"For every number of events among the {lost_t} missing under {e.treatment} and the"
                f" {lost_c} missing under {e.control} ({len(self.surface)} tables) we computed the"
                f" {e.scale.name} of {e.event} with the {wording.percent(self.base.method.level)}"
                f" {interval}; the tipping point is the fewest events that turn the conclusion of"
                " none."
            )
        ends = [
            wording.number(x) for x in (self.surface["imor_t"].min(), self.surface["imor_t"].max())
        ]
        return cited(
            f"We repeated {analysis_phrase(self.base)} at {len(self.surface)} pairs of informative"
            " missingness odds ratios (odds of the event among the missing over the odds among"
            f" those observed; {ends[0]} to {ends[1]} in either arm; {lost_t + lost_c} outcomes"
            f" missing), and searched {wording.joined(self.points)} for the factor at which the"
            " result turns.",
            *self.papers,
        )

    def __repr__(self) -> str:
        return f"Tipping({self.kind}, {len(self.surface)} points, {self.scale.short})"

    def _shown_table(self) -> pd.DataFrame | None:
        return None  # one row per point: too long


@dataclass(frozen=True, eq=False, repr=False)
class Fragility(View):
    """How few changed outcomes would turn a conclusion, returned by `kapmeta.fragility_index`.

    Attributes
    ----------
    steps : Steps
        The changes one by one, and the p-value or limit after each.
    labels : tuple of str
        The trials.
    base : Pooled
        The result with nothing changed.
    method : str
        What decided whether the conclusion held.
    participants, missing : float
        Number of participants; number missing, nan where that is not known.
    """

    steps: Steps
    labels: tuple[str, ...]
    base: Pooled
    method: str
    participants: float
    missing: float

    @property
    def index(self) -> float:
        """Number of changed outcomes; infinite where no change turns the conclusion."""
        return float(len(self.steps.study)) if self.steps.turned else float("inf")

    @property
    def reverse(self) -> bool:
        """Whether there was no conclusion, so that the index counts the changes that make one."""
        first = self.steps.watched[0]
        if self.base.k == 1:
            return first >= 1 - self.base.method.level
        return not self.base.side

    @property
    def papers(self) -> tuple[str, ...]:
        """Key of the paper behind the index of one trial or of several."""
        return ("trial fragility" if self.base.k == 1 else "pooled fragility",)

    @property
    def beyond_missing(self) -> float:
        """The index less the number missing; 0 or less if those alone could turn the conclusion."""
        return self.index - self.missing

    def to_frame(self) -> pd.DataFrame:
        """Return one row per step, the starting point first."""
        arms = ["treatment" if treated else "control" for treated in self.steps.treated]
        return pd.DataFrame(
            {
                "step": range(len(self.steps.watched)),
                "study": ["", *(self.labels[i] for i in self.steps.study)],
                "arm": ["", *arms],
                "events": [0, *self.steps.change],
                "p_value" if self.base.k == 1 else "limit": self.steps.watched,
            }
        )

    def summary(self) -> str:
        """State the index with its method, and the numbers it is compared with."""
        kind = "Reverse fragility index" if self.reverse else "Fragility index"
        if not self.steps.turned:
            return f"{kind} by {self.method}: no change of outcomes turns the result."
        text = f"{kind} by {self.method}: {self.index:.0f} of {self.participants:.0f} participants."
        if np.isnan(self.missing):
            return f"{text} How many are missing is not known."
        return f"{text} The outcomes of {self.missing:.0f} are missing."

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        kind = "reverse fragility index" if self.reverse else "fragility index"
        if self.base.k == 1:
            return cited(
                f"The {kind} is the number of participants of one arm of one trial"
                f" ({self.participants:.0f} in all) whose outcome was changed one by one until"
                f" {self.method} changed sides at the"
                f" {wording.number(1 - self.base.method.level)} level.",
                *self.papers,
            )
        return cited(
            f"The {kind} counts changed outcomes among the {self.participants:.0f} participants of"
            f" {wording.studies(self.base.k)}. At each step the one change that brought the limit"
            f" of the {wording.percent(self.base.method.level)} interval"
            f" ({method_phrase(self.base.method)}) nearest to turning the conclusion was kept; so"
            " found, the index is an upper bound.",
            *self.papers,
        )

    def __repr__(self) -> str:
        index = f"{self.index:g} of {self.participants:g}" if self.steps.turned else "never turned"
        return f"Fragility({index}, {self.method})"


_TRIAL_INTERVAL = {"RR": "koopman", "OR": "exact", "RD": "miettinen-nurminen-rd"}
