"""What sensitivity analyses return besides a `Sweep`, and the table that every one of them is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.measures import Measure
from kapmeta.references import cited
from kapmeta.results.views import View

__all__ = ["Calibration", "calibration_methods"]


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(View):
    """How each interval performs in trials like these: returned by `kapmeta.sensitivity.calibration`.

    Attributes
    ----------
    table : DataFrame
        One row a supposition (`effect`, `tau`) and interval (`pooling`, `ci`), with the fields of
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
        """The table; widths are of the log effects."""
        return self.table.copy()

    def kept(self) -> list[str]:
        """Intervals whose coverage stays above the level, less two Monte-Carlo errors, in every supposition."""
        enough = self.table["coverage"] >= self.level - 2 * self.table["coverage_se"].clip(
            lower=1 / self.draws
        )
        names = self.table["pooling"] + ", " + self.table["ci"]
        return [str(name) for name in dict.fromkeys(names) if enough[names == name].all()]

    def summary(self) -> str:
        """Which intervals keep their promise, and what the narrowest of them has in power."""
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
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return calibration_methods(self)

    def __repr__(self) -> str:
        suppositions = len(self.table[["effect", "tau"]].drop_duplicates())
        return (
            f"Calibration({len(self.table) // suppositions} intervals, {suppositions} suppositions,"
            f" {self.draws} draws)"
        )


def calibration_methods(calibration: Calibration) -> str:
    """The simulation: sizes, suppositions, draws, and its error."""
    supposed = calibration.table[["effect", "tau"]].drop_duplicates()
    listed = {
        name: ", ".join(f"{x:g}" for x in supposed[name].unique()) for name in ("effect", "tau")
    }
    risks = ", ".join(wording.number(risk) for risk in calibration.control_risks)
    worst = float(np.nanmax(calibration.table["coverage_se"]))
    return cited(
        f"We simulated {calibration.draws:,} meta-analyses of {len(calibration.control_risks)}"
        f" trials of the sizes at hand for each combination of a mean {calibration.scale.name}"
        f" ({listed['effect']}) and a between-study standard deviation ({listed['tau']}, log"
        f" scale), with normal effects, binomial outcomes and control risks {risks}; all intervals"
        f" ({wording.percent(calibration.level)}) saw the same draws. Monte-Carlo standard errors"
        f" of coverage are at most {wording.number(worst)}.",
        *calibration.papers,
    )
