"""Multiverse, every combination of the declared choices, with its sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.core.sensitivity.universes import OPPOSITE
from kapmeta.measures import Measure, measure_named, side_of
from kapmeta.references import cited
from kapmeta.results.effects import Effects
from kapmeta.results.shared.views import View

__all__ = ["Multiverse"]


@dataclass(frozen=True, eq=False, repr=False)
class Multiverse(View):
    """Every analysis of a set of declared choices, returned by `kapmeta.multiverse`.

    Attributes
    ----------
    table : DataFrame
        One row per analysis: its choices, its `standing` (``"defensible"``, ``"arguable"`` or
        ``"reference only"``), `k`, `y`, `se`, `y_low`, `y_high`, `statistic` (estimate over
        standard error; of an exact model the normal deviate of its p-value) and `reason`, empty
        where there is an answer. Everything is oriented: positive says more events under treatment.
    effects : Effects
        The trials, for their words.
    explained : mapping of str to float
        Share of the variance between analyses that each choice explains on its own: of the
        estimates where there is one measure, else of the statistics. Shares of dependent choices
        need not add up to 1.
    null : ndarray
        Median statistic of all analyses in each shuffled data set; empty where none was asked for.
    notes : tuple of str
        What a reader must know before quoting it.
    level : float
        Confidence level, a proportion.
    exact : tuple of str
        Poolings of the table that are exact models: the null distribution leaves them out.
    """

    table: pd.DataFrame
    effects: Effects
    explained: Mapping[str, float]
    null: FloatArray
    notes: tuple[str, ...] = ()
    level: float = 0.95
    exact: tuple[str, ...] = ()

    @property
    def scale(self) -> Measure | None:
        """The measure of the estimates, where all analyses share one; else None."""
        first = str(self.table["measure"].iloc[0])
        return (
            measure_named("RR" if first == OPPOSITE else first)
            if self.table["measure"].nunique() == 1
            else None
        )

    @property
    def papers(self) -> tuple[str, ...]:
        """Keys of the papers behind the curve and, where labels were shuffled, behind its test."""
        return ("multiverse", "specification curve") if self.null.size else ("multiverse",)

    @property
    def answered(self) -> pd.DataFrame:
        """The rows with an answer."""
        return self.table[self.table["reason"] == ""]

    @property
    def median_statistic(self) -> float:
        """Median of estimate over standard error, exact models left out."""
        shuffled = ~self.answered["pooling"].isin(self.exact)
        return float(self.answered.loc[shuffled, "statistic"].median())

    @property
    def p_value(self) -> float:
        """Share of shuffles with a median at least as far from 0; nan without permutations."""
        if not self.null.size:
            return float("nan")
        as_far = np.count_nonzero(np.abs(self.null) >= abs(self.median_statistic) * (1 - 1e-10))
        return (1 + as_far) / (1 + self.null.size)

    def shares(self, by: str | None = None) -> pd.DataFrame:
        """Count the analyses with more events under treatment, and those that exclude no effect.

        One row for each word of the choice `by`, or one for all.

        Shares are of those with an answer; `no answer` counts the others.
        """
        groups = self.table.groupby(by, sort=False) if by else [("all", self.table)]
        found = []
        for name, rows in groups:
            known = rows[rows["reason"] == ""]
            found.append(
                {
                    by or "analyses": name,
                    "count": len(rows),
                    "no answer": len(rows) - len(known),
                    "more events under treatment": float((known["y"] > 0).mean()),
                    "excludes no effect": float(
                        (side_of(known["y_low"], known["y_high"]) != 0).mean()
                    ),
                }
            )
        return pd.DataFrame(found)

    def vibration(self) -> float:
        """Divide the 99th by the 1st percentile of the ratios of the first measure."""
        first = self.table["measure"].iloc[0]
        estimates = self.answered.loc[self.answered["measure"] == first, "y"]
        low, high = np.quantile(estimates[np.isfinite(estimates)], [0.01, 0.99])
        return float(np.exp(high - low))

    def to_frame(self) -> pd.DataFrame:
        """Return the specification curve: analyses by rising statistic, each on its own scale."""
        frame = self.table.sort_values(
            "statistic", kind="stable", ignore_index=True, key=tied_ranks
        )
        turned = (frame["measure"] == OPPOSITE).to_numpy()
        ratio = (frame["measure"] != "RD").to_numpy()
        sign = np.where(turned, -1.0, 1.0)
        y, low, high = (frame[name].to_numpy() for name in ("y", "y_low", "y_high"))
        ends = {
            "estimate": y,
            "low": np.where(turned, high, low),
            "high": np.where(turned, low, high),
        }
        with np.errstate(over="ignore"):
            for name, values in ends.items():
                frame[name] = np.where(ratio, np.exp(sign * values), values)
        return frame

    def summary(self) -> str:
        """Say how many analyses point which way, what moves them, and how surprising that is."""
        share = self.shares().iloc[0]
        known = {axis: value for axis, value in self.explained.items() if value > 0}
        most = sorted(known, key=lambda axis: -known[axis])[:3]
        unanswered = f", {share['no answer']} without an answer" if share["no answer"] else ""
        parts = [
            f"{len(self.table)} analyses of"
            f" {wording.studies(len(self.effects.labels))}{unanswered}:"
            f" {100 * share['more events under treatment']:.0f} % have more events"
            f" ({self.effects.event}) under {self.effects.treatment}, the interval excludes no"
            f" effect in {100 * share['excludes no effect']:.0f} %."
        ]
        if most:
            shares = ", ".join(f"{axis} {100 * known[axis]:.0f} %" for axis in most)
            parts.append(f"Variance between analyses explained by: {shares}.")
        if self.null.size:
            parts.append(
                f"With arm labels shuffled within trials {self.null.size} times the median"
                f" statistic ({wording.number(self.median_statistic)}) is reached with p ="
                f" {self.p_value:.2g}."
            )
        return " ".join([*parts, *(f"Note: {note}." for note in self.notes)])

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        table = self.table
        axes = {
            axis: list(dict.fromkeys(table[axis])) for axis in self.explained if axis != "studies"
        }
        varied = "; ".join(
            f"{axis}: {', '.join(words)}" for axis, words in axes.items() if len(words) > 1
        )
        unanswered, sets = len(table) - len(self.answered), table["studies"].nunique()
        text = (
            f"All {len(table):,} combinations of the declared choices ({varied or 'one of each'};"
            f" {sets} {'set' if sets == 1 else 'sets'} of the"
            f" {wording.studies(len(self.effects.labels))}) were analysed, intervals at"
            f" {wording.percent(self.level)}."
        )
        text += f" {unanswered} have no answer and are kept with the reason." if unanswered else ""
        if not self.null.size:
            return cited(text, *self.papers)
        but = f", exact models ({', '.join(self.exact)}) apart" if self.exact else ""
        text += (
            f" For a null distribution arm labels were shuffled within trials {self.null.size:,}"
            f" times and the analyses done again{but}; the p-value is that of the median statistic."
        )
        return cited(text, *self.papers)

    def __repr__(self) -> str:
        return (
            f"Multiverse({len(self.table)} analyses of {wording.studies(len(self.effects.labels))})"
        )

    def _shown_table(self) -> pd.DataFrame | None:
        return self.shares("standing")
