"""UnreadTrial, what a trial not yet read would have to show, with its sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.measures import Measure
from kapmeta.results.posteriors import Posterior, Result
from kapmeta.results.shared.views import View

__all__ = ["UnreadTrial"]


@dataclass(frozen=True, eq=False, repr=False)
class UnreadTrial(View):
    """A pooled result with one more trial, over everything that trial could have found.

    Returned by `kapmeta.sensitivity.unread_trial`.

    Attributes
    ----------
    curve : DataFrame
        One row per possible finding of the unread trial, in the order of its effect: `events_t`
        and `events_c` (nan without counts), `trial_y` (its effect on the analysis scale), `y`,
        `y_low` and `y_high` (the pooled result with it), and `verdict`: 1 or -1 where the interval
        is above or below no effect, 0 where it includes it, nan where there is no interval.
    base : Pooled or Posterior
        The result without the trial.
    study : str
        What the trial is called.
    n_t, n_c : float
        Numbers in its arms; nan where only its standard error was given.
    how : str
        How the results with the trial were computed.
    """

    curve: pd.DataFrame
    base: Result
    study: str
    n_t: float
    n_c: float
    how: str

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.base.scale

    def to_frame(self) -> pd.DataFrame:
        """Return the curve with the trial's effect and the pooled result on the scale shown."""
        frame = self.curve.copy()
        columns = {"trial": "trial_y", "estimate": "y", "low": "y_low", "high": "y_high"}
        for name, column in columns.items():
            frame[name] = self.scale.shown(frame[column].to_numpy(dtype=float))
        return frame

    def ranges(self) -> pd.DataFrame:
        """Return one row per run of findings with the same verdict, in the order of the effect.

        `low` and `high` are the smallest and largest effect of the trial in the run, on the scale
        shown; `events_low` and `events_high` the events under treatment there.
        """
        frame = self.to_frame().dropna(subset=["verdict"])
        run = (frame["verdict"] != frame["verdict"].shift()).cumsum()
        groups = frame.groupby(run)
        return pd.DataFrame(
            {
                "verdict": groups["verdict"].first().astype(int),
                "low": groups["trial"].first(),
                "high": groups["trial"].last(),
                "events_low": groups["events_t"].first(),
                "events_high": groups["events_t"].last(),
            }
        ).reset_index(drop=True)

    def summary(self) -> str:
        """Say what the trial would have to show for the conclusion to change."""
        now = self.base.side or 0
        runs = self.ranges()
        text = f"Without {self.study}: {self._text()}, {_verdict(now, self._null())}."
        other = runs[runs["verdict"] != now]
        if runs.empty:
            return f"{text} With it there is no interval, whatever it found."
        if other.empty:
            return f"{text} With it{self._arms()} the interval still does, whatever it found."
        clauses = [self._clause(runs, int(i)) for i in other.index]
        return f"{text} With {self.study}{self._arms()} {wording.joined(clauses)}."

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        given = self.curve["events_c"].dropna()
        what = (
            f"every number of events among {self.n_t:g} treated, with {given.iloc[0]:g} events"
            f" among {self.n_c:g} controls"
            if len(given)
            else f"{len(self.curve)} effects"
        )
        return (
            f"To ask what {self.study}, whose result we have not read, could change, we added it to"
            f" the {self.scale.name} of {self.base.effects.event} with {what}, and pooled again"
            f" each time ({self.how}). We report the findings of the trial at which the"
            f" {wording.percent(self.base.method.level)} interval turns; how likely they are is not"
            " part of the analysis."
        )

    def _text(self) -> str:
        kind = "CrI" if isinstance(self.base, Posterior) else "CI"
        level = f"{wording.percent(self.base.method.level)} {kind}"
        return wording.estimate_with_interval(self.scale.short, *self.base.shown_interval, level)

    def _null(self) -> str:
        return f"{self.scale.null:g}"

    def _arms(self) -> str:
        if np.isnan(self.n_t):
            return ""
        events = self.curve["events_c"].iloc[0]
        other = f"; {self.how}" if self.base.k == 1 else ""
        return f" ({self.n_t:g} v {self.n_c:g} people, {events:g} events among controls{other})"

    def _clause(self, runs: pd.DataFrame, i: int) -> str:
        """Write the condition under which the interval has the verdict of a run."""
        row, short = wording.records(runs)[i], self.scale.short
        low, high = (wording.number(row[name]) for name in ("low", "high"))
        if i == 0:
            finding, events = f"{short} {high} or less", f"at most {row['events_high']:g} events"
        elif i == len(runs) - 1:
            finding, events = f"{short} {low} or more", f"at least {row['events_low']:g} events"
        else:
            finding = f"{short} {low} to {high}"
            events = f"{row['events_low']:g} to {row['events_high']:g} events"
        where = "" if np.isnan(row["events_low"]) else f" ({events} among {self.n_t:g} treated)"
        verdict = _verdict(int(row["verdict"]), self._null())
        return f"at {finding}{where} the interval {verdict}"

    def __repr__(self) -> str:
        return f"UnreadTrial({self.study}, {len(self.curve)} findings, {len(self.ranges())} ranges)"

    def _shown_table(self) -> pd.DataFrame | None:
        return self.ranges()


def _verdict(side: int, null: str) -> str:
    return {1: f"lies above {null}", 0: f"includes {null}", -1: f"lies below {null}"}[side]
