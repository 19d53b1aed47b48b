"""Calibration, the performance of intervals in simulated trials, with its sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.measures import Measure
from kapmeta.references import cited
from kapmeta.results.shared.views import View

__all__ = ["Calibration"]


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(View):
    """How intervals perform in trials like these, returned by `kapmeta.sensitivity.calibration`.

    Attributes
    ----------
    table : DataFrame
        One row per supposition (`effect`, `tau`) and interval (`pooling`, `ci`), with the fields of
        `kapmeta.core.sensitivity.calibration.Performance`.
    scale : Measure
        The measure of the effects.
    draws : int
        Simulated meta-analyses for each supposition.
    level : float
        Confidence level, a proportion.
    control_risks : tuple of float
        What was supposed of the control arms.
    """

    table: pd.DataFrame
    scale: Measure
    draws: int
    level: float
    control_risks: tuple[float, ...]
    papers = ("simulation",)

    def to_frame(self) -> pd.DataFrame:
        """Return the table; widths are of the log effects."""
        return self.table.copy()

    def kept(self) -> list[str]:
        """List the intervals whose coverage reaches the level in every supposition.

        Two Monte-Carlo standard errors are allowed for.
        """
        enough = self.table["coverage"] >= self.level - 2 * self.table["coverage_se"].clip(
            lower=1 / self.draws
        )
        names = self.table["pooling"] + ", " + self.table["ci"]
        return [str(name) for name in dict.fromkeys(names) if enough[names == name].all()]

    def summary(self) -> str:
        """Say which intervals keep their level, and which of these is the narrowest."""
        kept = self.kept()
        opening = (
            f"Coverage in {self.draws} simulated sets of {len(self.control_risks)} trials of these"
            " sizes: "
        )
        if not kept:
            return (
                f"{opening}no interval keeps {wording.percent(self.level)} under all suppositions."
            )
        width = self.table.groupby(self.table["pooling"] + ", " + self.table["ci"])[
            "median_width"
        ].mean()
        best = kept[int(tied_ranks([width[name] for name in kept]).argmin())]
        return (
            f"{opening}{wording.joined(kept)} {'keep' if len(kept) > 1 else 'keeps'}"
            f" {wording.percent(self.level)} under all suppositions; the narrowest of them is"
            f" {best}."
        )

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        supposed = self.table[["effect", "tau"]].drop_duplicates()
        listed = {
            name: ", ".join(f"{x:g}" for x in supposed[name].unique()) for name in ("effect", "tau")
        }
        risks = ", ".join(wording.number(risk) for risk in self.control_risks)
        worst = float(np.nanmax(self.table["coverage_se"]))
        return cited(
            f"We simulated {self.draws:,} meta-analyses of {len(self.control_risks)}"
            f" trials of the sizes at hand for each combination of a mean {self.scale.name}"
            f" ({listed['effect']}) and a between-study standard deviation ({listed['tau']}, log"
            f" scale), with normal effects, binomial outcomes and control risks {risks}; all"
            f" intervals ({wording.percent(self.level)}) saw the same draws. Monte-Carlo standard"
            f" errors of coverage are at most {wording.number(worst)}.",
            *self.papers,
        )

    def __repr__(self) -> str:
        suppositions = len(self.table[["effect", "tau"]].drop_duplicates())
        return (
            f"Calibration({len(self.table) // suppositions} intervals, {suppositions} suppositions,"
            f" {self.draws} draws)"
        )
