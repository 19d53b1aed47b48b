"""Simulation, the performance of methods over scenarios, with its sentences and the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.measures import measure_named
from kapmeta.references import cited
from kapmeta.results.shared.views import View

__all__ = ["SCENARIO_COLUMNS", "HeadlineChoices", "Simulation"]

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
        for _, rows in worst.groupby(["measure", "k"], sort=False):
            best = wording.records(rows.nlargest(1, "coverage"))[0]
            enough = int((rows["coverage"] >= self.level).sum())
            lines.append(
                f"{best['measure']}, {wording.studies(best['k'])}: {enough} of {len(rows)} methods"
                f" cover {wording.percent(self.level)} in every scenario; the highest smallest"
                f" coverage is that of {best['method']}, {best['coverage']:.3f} (Monte-Carlo error"
                f" {best['coverage_se']:.4f})."
            )
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
            f"{measure_named(str(measure)).name} {self._values(rows, 'effect')} with between-study"
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


@dataclass(frozen=True, eq=False, repr=False)
class HeadlineChoices(View):
    """The headline method of each number of trials, from `kapmeta.sensitivity.choose_headlines`.

    Attributes
    ----------
    table : DataFrame
        One row per measure and number of trials: `measure`, `trials`, `method`, `coverage` (the
        smallest over the scenarios) with `coverage_se`, `width` (median, analysis scale), `refused`
        (largest share), `draws` (fewest), and `reached`: False where no method covers enough.
    least : float
        Smallest coverage that was asked for.
    most_refused : float
        Largest share of refusals that was allowed.
    level : float
        Level of the intervals.
    """

    table: pd.DataFrame
    least: float
    most_refused: float
    level: float
    papers = ("simulation",)

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def summary(self) -> str:
        """Name the method of each number of trials, and where none covers enough."""
        lines = []
        for measure, rows in self.table.groupby("measure", sort=False):
            name = measure_named(str(measure)).name.capitalize()
            each = "; ".join(self._clause(row) for _, row in rows.iterrows())
            lines.append(f"{name}: {each}.")
        return "\n".join(lines)

    def _clause(self, row: pd.Series[Any]) -> str:
        """Name the method of one row with its record."""
        number = row["trials"].replace("-", " to ").replace("+", " or more")
        record = (
            f"smallest coverage {row['coverage']:.3f}, Monte-Carlo error {row['coverage_se']:.4f},"
            f" {row['draws']:,} draws; median width {wording.number(row['width'])}"
        )
        if row["reached"]:
            return f"with {number} trials {row['method']} ({record})"
        return (
            f"with {number} trials no method covers {self.least:g} in every scenario, and"
            f" {row['method']} comes nearest ({record})"
        )

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        return cited(
            "As the headline of each number of trials and measure we chose the method with the"
            " narrowest intervals, by median width, among those whose"
            f" {wording.percent(self.level)} interval covered the mean in at least"
            f" {wording.percent(self.least)} of the simulated sets in every declared scenario and"
            f" that left at most {wording.percent(self.most_refused)} of the sets without an"
            " interval.",
            *self.papers,
        )

    def __repr__(self) -> str:
        return (
            f"HeadlineChoices({len(self.table)} rows, {int(self.table['reached'].sum())} reached)"
        )
