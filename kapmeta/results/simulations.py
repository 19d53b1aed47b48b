"""Simulation, the performance of methods over scenarios, with its sentences and the rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.measures import measure_named
from kapmeta.references import cited
from kapmeta.results.views import View

__all__ = ["SCENARIO_COLUMNS", "Simulation"]

SCENARIO_COLUMNS = ("measure", "k", "arms", "control_risk", "effect", "tau")
"""What identifies a scenario in a table."""


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(View):
    """How methods perform over scenarios, returned by `kapmeta.sensitivity.simulate`.

    Attributes
    ----------
    table : DataFrame
        One row per scenario and method: the scenario, `method`, `draws`, `coverage` with its
        Monte-Carlo error `coverage_se`, `too_high` and `too_low` (intervals above and below the
        truth), `excludes` (intervals that exclude no effect), `median_width` (analysis scale),
        `refused` (sets with two informative tables or more and no interval) and `too_few` (sets
        with fewer). Coverage is among the intervals given.
    level : float
        Confidence level, a proportion.
    seed : int
        Source of chance.
    lost : tuple of str
        Scenarios that could not be finished, and why.
    """

    table: pd.DataFrame
    level: float
    seed: int
    lost: tuple[str, ...] = ()
    papers = ("simulation",)

    @property
    def methods(self) -> list[str]:
        """Names of the methods."""
        return list(dict.fromkeys(self.table["method"]))

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def worst(self) -> pd.DataFrame:
        """Return one row per measure, number of trials and method, over its scenarios.

        `coverage` is the smallest, with its Monte-Carlo error and the scenario where it occurs;
        `width` the median of the median widths; `refused` the largest share; `draws` the fewest.
        """
        keys = ["measure", "k", "method"]
        groups = self.table.groupby(keys, sort=False)
        lowest = self.table.loc[groups["coverage"].idxmin().dropna().astype(int)]
        columns = [*keys, "coverage", "coverage_se", "arms", "control_risk", "effect", "tau"]
        found = lowest[columns].set_index(keys)
        found["width"] = groups["median_width"].median()
        found["refused"] = groups["refused"].max()
        found["draws"] = groups["draws"].min()
        found["scenarios"] = groups.size()
        return found.reset_index()

    def summary(self) -> str:
        """Say which method covers best at its worst, by measure and number of trials."""
        worst = self.worst()
        lines = [f"{self._scenarios()}, {len(self.methods)} methods."]
        for (measure, k), rows in worst.groupby(["measure", "k"], sort=False):
            best = rows.loc[rows["coverage"].idxmax()]
            enough = rows[rows["coverage"] >= self.level]
            text = (
                f"{measure}, {wording.studies(int(k))}: {len(enough)} of {len(rows)} methods cover"
                f" {wording.percent(self.level)} in every scenario; the highest smallest coverage"
                f" is that of {best['method']}, {best['coverage']:.3f}"
                f" (Monte-Carlo error {best['coverage_se']:.4f})"
            )
            lines.append(f"{text}.")
        lines += [f"Lost: {reason}." for reason in self.lost]
        return "\n".join(lines)

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        table = self.table
        listed = {
            name: ", ".join(f"{x:g}" for x in np.unique(table[name]))
            for name in ("k", "control_risk")
        }
        effects = "; ".join(
            f"{measure_named(measure).name} {self._values(rows, 'effect')} with between-study"
            f" standard deviation {self._values(rows, 'tau')}"
            for measure, rows in table.groupby("measure", sort=False)
        )
        draws = wording.joined(f"{x:,}" for x in sorted(table["draws"].unique()))
        return cited(
            f"We simulated sets of {listed['k']} trials with arms {self._arms()}, control risks"
            f" {listed['control_risk']}, normal trial effects and binomial outcomes"
            f" ({effects}); {draws} sets per scenario and method, the same for all methods. We"
            f" report the coverage of {wording.percent(self.level)} intervals of the mean, their"
            " median width, the errors on either side, and refusals. Monte-Carlo standard errors"
            f" of coverage are at most {wording.number(float(table['coverage_se'].max()))}.",
            *self.papers,
        )

    def _values(self, rows: pd.DataFrame, column: str) -> str:
        return wording.joined(f"{x:g}" for x in np.unique(rows[column]))

    def _arms(self) -> str:
        return wording.joined(dict.fromkeys(self.table["arms"]))

    def _scenarios(self) -> str:
        number = len(self.table[list(SCENARIO_COLUMNS)].drop_duplicates())
        return f"{number:,} scenario{'' if number == 1 else 's'}"

    def __repr__(self) -> str:
        lost = f", {len(self.lost)} lost" if self.lost else ""
        return f"Simulation({self._scenarios()}, {len(self.methods)} methods{lost})"

    def _shown_table(self) -> pd.DataFrame | None:
        return self.worst()
