"""Subgroups, pooled results by subgroup and the tests between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile, t_two_sided
from kapmeta.methods import method_text
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, pooled_sentence
from kapmeta.results.regressions import limits_named, lock, shown_coefficients
from kapmeta.results.shared.views import EffectsView

__all__ = ["Subgroups"]


@dataclass(frozen=True, eq=False, repr=False)
class Subgroups(EffectsView):
    """Pooled results of subgroups, and the test between them.

    Returned by `kapmeta.subgroups`.

    Attributes
    ----------
    effects : Effects
        All effects, excluded ones included.
    by : str
        What the subgroups are formed by.
    groups : mapping of str to Pooled
        The result of each subgroup, in order.
    overall : Pooled
        All subgroups as one.
    common_tau2 : bool
        Whether one between-study variance was estimated for all subgroups.
    tau2 : float
        That variance; nan where each subgroup has its own.
    standard_errors : ndarray, shape (subgroups,)
        Model-based standard errors, not scaled by Hartung and Knapp: those of the Wald test and of
        `pairs`.
    q_between, df_between, p_between : float
        Wald test between subgroups: chi-squared.
    f_between, f_df, f_p_value : float
        Hartung-Knapp test between subgroups: F with `df_between` and `f_df` degrees of freedom;
        only with a common tau2.
    notes : tuple of str
        What a reader must know before quoting the tests.
    """

    effects: Effects
    by: str
    groups: Mapping[str, Pooled]
    overall: Pooled
    common_tau2: bool
    tau2: float
    standard_errors: FloatArray
    q_between: float
    df_between: float
    p_between: float
    f_between: float = math.nan
    f_df: float = math.nan
    f_p_value: float = math.nan
    notes: tuple[str, ...] = ()
    papers = ("subgroups",)

    def __post_init__(self) -> None:
        lock((self.standard_errors,))

    def __getitem__(self, name: str) -> Pooled:
        return self.groups[checking.chosen(name, self.groups, "subgroup")]

    def __len__(self) -> int:
        return len(self.groups)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per subgroup and one for all; `y` and `se` on the analysis scale."""
        rows = []
        for name, pooled in [*self.groups.items(), ("overall", self.overall)]:
            shown = pooled.shown_interval._asdict()
            numbers = {c: getattr(pooled, c) for c in ("se", "p_value", "tau2", "q", "i2")}
            rows.append({self.by: name, "k": pooled.k, **shown, "y": pooled.estimate, **numbers})
        return pd.DataFrame(rows)

    def pairs(self) -> pd.DataFrame:
        """Compare each pair of subgroups: ratio of ratios or difference, with its Wald interval."""
        names, level = list(self.groups), self.overall.method.level
        rows = []
        for i, j in combinations(range(len(names)), 2):
            y = self.groups[names[i]].estimate - self.groups[names[j]].estimate
            se = math.hypot(self.standard_errors[i], self.standard_errors[j])
            half = float(normal_quantile((1 + level) / 2)) * se
            shown = limits_named(
                *(float(shown_coefficients(self.effects.scale, x)) for x in (y, y - half, y + half))
            )
            rows.append(
                {
                    "first": names[i],
                    "second": names[j],
                    **dict(shown),
                    "y": y,
                    "se": se,
                    "p_value": float(t_two_sided(y / se, np.inf)),
                }
            )
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Describe the subgroups, the tests by name, and what they can and cannot show."""
        each = [f"{name}: {pooled_sentence(pooled)}" for name, pooled in self.groups.items()]
        variance = (
            f"One between-study variance for all subgroups, τ² = {wording.number(self.tau2)}."
            if self.common_tau2
            else "Each subgroup has its own between-study variance."
        )
        wald = (
            f"Between subgroups, Wald: Q = {wording.number(self.q_between)} on {self.df_between:g}"
            f" df, {wording.p_text(self.p_between)}."
        )
        scaled = (
            f"Between subgroups, Hartung-Knapp: F = {wording.number(self.f_between)} on"
            f" {self.df_between:g} and {self.f_df:g} df, {wording.p_text(self.f_p_value)}."
        )
        tests = [wald] if math.isnan(self.f_between) else [wald, scaled]
        return "\n".join(
            [
                f"Subgroups by {self.by}.",
                *each,
                variance,
                *tests,
                *(f"Note: {note}." for note in self.notes),
            ]
        )

    def methods_text(self) -> str:
        """Write the sentence for a methods section."""
        variance = (
            "one between-study variance common to all"
            if self.common_tau2
            else "a between-study variance of their own"
        )
        return (
            f"Subgroups by {self.by} were pooled with {variance} "
            f"({method_text(self.overall.method)}) and compared with model-based standard errors."
        )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} k={pooled.k}" for name, pooled in self.groups.items())
        return f"Subgroups({self.by}: {sizes})"
