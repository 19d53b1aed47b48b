"""Results on designs with several arms: a trend with dose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.distributions import normal_quantile, t_two_sided
from kapmeta.measures import Measure
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects
from kapmeta.results.views import EffectsView

__all__ = ["DoseTrend"]


def _limits(
    scale: Measure, y: float, se: float, level: float, *, difference: bool = False
) -> dict[str, Any]:
    """An estimate with its limits on the scale shown, then on the analysis scale; a difference of
    two log ratios, or the change of one, is shown as a ratio.
    """
    half = float(normal_quantile((1 + level) / 2)) * se
    shown = (np.exp if scale.ratio else np.asarray) if difference else scale.shown
    ends = (("estimate", y), ("low", y - half), ("high", y + half))
    return {**{name: float(shown(x)) for name, x in ends}, "y": y, "se": se}


@dataclass(frozen=True, eq=False, repr=False)
class DoseTrend(EffectsView):
    """Change of the effect per unit of dose, log scale for ratios.

    Returned by `kapmeta.moderators.dose_trend`.

    Attributes
    ----------
    effects : Effects
        The contrasts of doses.
    slope, se, low, high : float
        Generalised least squares through no effect at no difference of dose, with its limits.
    p_value : float
        Two-sided p-value of no trend.
    tau2 : float
        Variance of the slope between trials; nan where one slope was assumed.
    doses, k : int
        Number of different doses, and of contrasts.
    level : float
        Confidence level, a proportion.
    """

    effects: Effects
    slope: float
    se: float
    tau2: float
    doses: int
    k: int
    level: float
    papers = ("dose trend",)

    @property
    def low(self) -> float:
        """Lower confidence limit of the slope."""
        return self.slope - self._half

    @property
    def high(self) -> float:
        """Upper confidence limit of the slope."""
        return self.slope + self._half

    @property
    def _half(self) -> float:
        return float(normal_quantile((1 + self.level) / 2)) * self.se

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no trend."""
        return float(t_two_sided(self.slope / self.se, math.inf))

    def to_frame(self) -> pd.DataFrame:
        """One row: the slope per unit of dose, on the scale shown (a factor for ratios) and on the analysis scale."""
        limits = _limits(self.effects.scale, self.slope, self.se, self.level, difference=True)
        rest = {"p_value": self.p_value, "tau2": self.tau2, "doses": self.doses, "k": self.k}
        return pd.DataFrame([{"row": "per unit of dose", **limits, **rest}])

    def summary(self) -> str:
        """The trend in words and numbers, with what it assumes."""
        row, scale = self.to_frame().iloc[0], self.effects.scale
        what = f"factor of the {scale.name}" if scale.ratio else f"change of the {scale.name}"
        text = wording.interval_text(row["estimate"], row["low"], row["high"])
        between = (
            "one slope is assumed for all trials"
            if math.isnan(self.tau2)
            else f"variance of the slope between trials {wording.number(self.tau2)}"
        )
        return (
            f"{what.capitalize()} of {self.effects.event} per unit of dose, from {self.k} contrasts"
            f" of {self.doses} doses: {text}, {wording.p_text(self.p_value)}.\nA straight line"
            f" through no effect at no difference of dose; {between}."
        )

    def methods_text(self) -> str:
        """The sentence for a methods section."""
        slopes = (
            "one slope for all trials"
            if math.isnan(self.tau2)
            else "slopes that vary between trials (restricted maximum likelihood)"
        )
        return (
            f"The trend of the {self.effects.scale.name} of {self.effects.event} with dose was"
            f" estimated in one stage by generalised least squares over {self.k} contrasts of"
            f" {self.doses} doses, with {slopes} ({PAPERS['dose trend']})."
        )

    def __repr__(self) -> str:
        return f"DoseTrend({self.effects.measure}, {self.k} contrasts, {self.doses} doses)"
