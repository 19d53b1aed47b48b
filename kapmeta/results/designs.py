"""What analyses of designs return: one factor of a factorial trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.distributions import normal_quantile, t_two_sided
from kapmeta.measures import Measure
from kapmeta.results.effects import Effects
from kapmeta.results.views import View

__all__ = ["Factorial"]

_COMBINED = "Mantel-Haenszel"


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
class Factorial(View):
    """One factor of a factorial trial, its effect within the levels of the other; log scale for
    ratios.

    Returned by `kapmeta.effects.factorial`.

    Attributes
    ----------
    strata : Effects
        The effect within each level of the other factor; their patients are different ones.
    combined, combined_v : float
        Both levels as one, which enters a meta-analysis once: Mantel-Haenszel.
    inverse_variance, inverse_variance_v : float
        The same by inverse variance.
    margins, margins_v : float
        Collapsed over the other factor; the same question only without interaction.
    interaction, interaction_se, interaction_p : float
        Difference of the strata, its standard error and test. Its power is small: four times the
        patients are needed.
    level : float
        Confidence level, a proportion.
    """

    strata: Effects
    combined: float
    combined_v: float
    inverse_variance: float
    inverse_variance_v: float
    margins: float
    margins_v: float
    level: float

    @property
    def study(self) -> str:
        """The trial."""
        return str(self.strata.table["study"].iloc[0])

    @property
    def interaction(self) -> float:
        """The first stratum less the second; log of the ratio of their ratios."""
        return float(self.strata.y[0] - self.strata.y[1])

    @property
    def interaction_se(self) -> float:
        """Standard error of the interaction."""
        return math.sqrt(self.strata.v.sum())

    @property
    def interaction_p(self) -> float:
        """Two-sided p-value of no interaction."""
        return float(t_two_sided(self.interaction / self.interaction_se, math.inf))

    def to_frame(self) -> pd.DataFrame:
        """One row an estimate: the two strata, the three combinations, the interaction.

        `estimate` and limits are on the scale shown, `y` and `se` on the analysis scale; the
        interaction of ratios is a ratio of ratios.
        """
        strata = self.strata
        rows = [
            (f"{treatment} v {control}", float(y), math.sqrt(v))
            for treatment, control, y, v in zip(
                *(strata.table[n] for n in _ARMS), strata.y, strata.v, strict=True
            )
        ]
        rows += [
            (_COMBINED, self.combined, math.sqrt(self.combined_v)),
            ("inverse variance", self.inverse_variance, math.sqrt(self.inverse_variance_v)),
            ("margins", self.margins, math.sqrt(self.margins_v)),
            ("interaction", self.interaction, self.interaction_se),
        ]
        return pd.DataFrame(
            {
                "row": name,
                **_limits(strata.scale, y, se, self.level, difference=name == "interaction"),
            }
            for name, y, se in rows
        )

    def summary(self) -> str:
        """The two strata, the factor's effect combined over them, and the interaction, in words and numbers."""
        strata, lines = self.strata, []
        for row in self.to_frame().itertuples():
            text = wording.interval_text(row.estimate, row.low, row.high)
            contrast = f"{'ratio' if strata.scale.ratio else 'difference'} of {strata.scale.short}s"
            lines.append(
                f"{row.row}: {contrast if row.row == 'interaction' else strata.scale.short} {text}."
            )
        lines[-1] = f"{lines[-1][:-1]}, {wording.p_text(self.interaction_p)}."
        head = (
            f"{self.study}: {strata.scale.name} of {strata.event} by the levels of the other"
            " factor."
        )
        weak = (
            "Note: the test of the interaction is weak: it needs four times the patients of the"
            " effect itself."
        )
        return "\n".join([head, *lines, weak])

    def methods_text(self) -> str:
        """The sentence for a methods section."""
        scale = self.strata.scale
        return (
            f"The {scale.name} of {self.strata.event} was estimated within each level of the other"
            f" factor and combined over the two levels by {_COMBINED}, so that every patient counts"
            " once; the interaction was tested as the difference of the strata, with"
            f" {wording.percent(self.level)} intervals."
        )

    def __repr__(self) -> str:
        estimate = float(self.strata.scale.shown(self.combined))
        return (
            f"Factorial({self.study}, {self.strata.scale.short} {wording.number(estimate)}"
            " combined)"
        )


_ARMS = ("treatment", "control")
