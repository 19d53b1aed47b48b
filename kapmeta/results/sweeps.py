"""Sweep, an analysis repeated with something changed, with its sentences and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.distributions import t_two_sided
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling.combining import Combined
from kapmeta.measures import exclusion_sentence
from kapmeta.methods import method_phrase
from kapmeta.references import cited
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.shared.views import EffectsView
from kapmeta.wording import analyses, number

__all__ = ["Sweep", "analyses_table", "analysis_phrase", "one_row", "repeated"]


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(EffectsView):
    """The same analysis many times over, one choice changed at a time.

    Attributes
    ----------
    kind : str
        What was varied, e.g. ``"leave-one-out"``.
    table : DataFrame
        One row per analysis: `analysis` names it; `k`, `y`, `se`, `y_low`, `y_high` (analysis
        scale), `p_value`, `tau2`, `q`.
    effects : Effects
        What the analyses started from.
    base : Pooled or None
        The analysis with nothing changed.
    notes : tuple of str
        What a reader must know before quoting it.
    methods : str
        The sentences for a methods section, without references; made from `kind` where empty.
    papers : tuple of str
        Keys of `kapmeta.references.PAPERS`.
    """

    kind: str
    table: pd.DataFrame
    effects: Effects
    base: Pooled | None = None
    notes: tuple[str, ...] = ()
    methods: str = ""
    papers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.effects.scale.compares and "p_value" in self.table:
            # one group has no value of no effect to be tested against
            object.__setattr__(self, "table", self.table.assign(p_value=np.nan))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per analysis; `estimate`, `low` and `high` on the scale shown."""
        frame = self.table.copy()
        first = list(frame.columns).index("y")
        for position, (name, column) in enumerate(
            (("estimate", "y"), ("low", "y_low"), ("high", "y_high"))
        ):
            frame.insert(
                first + position, name, self.scale.shown(frame[column].to_numpy(dtype=float))
            )
        return frame

    def summary(self) -> str:
        """Say how far the estimate moves and whether the conclusion holds throughout."""
        frame = self.to_frame().dropna(subset=["estimate"])
        if frame.empty:
            return " ".join([f"{self.kind.capitalize()}: no analysis is possible.", *self.notes])
        ends = (
            f"{self.scale.short} {number(frame['estimate'].min())} to"
            f" {number(frame['estimate'].max())}"
        )
        text = f"{self.kind.capitalize()}, {analyses(len(frame))}: {ends}."
        side = self.scale.side(frame["low"], frame["high"], shown=True)
        excluded = exclusion_sentence(side, self.scale.null)
        return " ".join(filter(None, [text, excluded, *(f"Note: {note}." for note in self.notes)]))

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        other = f"under other choices: {self.kind}"
        return cited(self.methods or repeated(self.base, len(self.table), other), *self.papers)

    def __repr__(self) -> str:
        return f"Sweep({self.kind}, {analyses(len(self.table))}, {self.scale.short})"

    def _shown_table(self) -> pd.DataFrame | None:
        frame = self.to_frame().drop(columns=["y", "se", "y_low", "y_high"], errors="ignore")
        if "status" in frame and (frame["status"] == Status.OK.meaning).all():
            frame = frame.drop(columns="status")
        return frame


def one_row(found: Combined) -> Combined:
    """Turn a single analysis into a batch of one."""
    fields: list[Any] = [np.atleast_1d(part) for part in found]
    return Combined(*fields)


def analyses_table(names: list[str], found: Combined, **columns: Any) -> pd.DataFrame:
    """Tabulate analyses, one per row, on the analysis scale."""
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = found.estimate / found.se
    return pd.DataFrame(
        {
            "analysis": names,
            **columns,
            "k": found.k,
            "y": found.estimate,
            "se": found.se,
            "y_low": found.low,
            "y_high": found.high,
            "p_value": t_two_sided(statistic, found.df),
            "tau2": found.tau2,
            "q": found.q,
        }
    )


def analysis_phrase(base: Pooled) -> str:
    """Name the analysis that was repeated, for use within a sentence."""
    e = base.effects
    arms = f", {e.treatment} against {e.control}" if e.scale.compares else ""
    what = f"{e.scale.name} of {e.event}{arms}"
    return f"the analysis of the {what} ({wording.studies(base.k)}; {method_phrase(base.method)})"


def repeated(base: Pooled | None, count: int, how: str) -> str:
    """Write the sentence for an analysis done again `count` times, changed as `how` says."""
    if base is None:
        return f"We repeated the analysis {how} ({analyses(count)})."
    anew = (
        "; the between-study variance was estimated anew each time"
        if base.method.model == "random"
        else ""
    )
    return f"We repeated {analysis_phrase(base)} {how} ({analyses(count)}){anew}."
