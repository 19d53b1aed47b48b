"""Results of tests, adjustments and bounds for small-study effects, with their sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kapmeta import wording
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects
from kapmeta.results.shared.views import EffectsView, IntervalView

__all__ = ["AdjustedEffect", "AsymmetryTest", "BiasSensitivity"]


LEAST = 10
"""Fewest trials for which a test or an adjustment is computed unless forced (Sterne 2011)."""


def _subject(effects: Effects, k: int) -> str:
    """Write ``the odds ratio of death (drug against placebo) in 12 studies``."""
    arms = f" ({effects.treatment} against {effects.control})" if effects.scale.compares else ""
    return f"the {effects.scale.name} of {effects.event}{arms} in {wording.studies(k)}"


def _paragraph(sentences: Iterable[str], papers: tuple[str, ...]) -> str:
    """Join sentences with capitals and full stops, then the papers."""
    text = " ".join(f"{wording.capital(each).rstrip('.')}." for each in sentences if each)
    return f"{text} References: {'; '.join(PAPERS[key] for key in papers)}." if papers else text


@dataclass(frozen=True, eq=False, repr=False)
class AsymmetryTest(EffectsView):
    """A test of funnel-plot asymmetry, with what it could have found.

    Attributes
    ----------
    name, method : str
        The test in words, and its word in `kapmeta.small_study.TESTS`.
    definition : str
        What exactly was computed, and which R packages mean the same by the name.
    statistic, df, p_value : float
        Two-sided test; `df` is infinite for a normal reference and nan for an exact test.
    slope, slope_se : float
        Slope of the regression, on the analysis scale a unit of the predictor; nan for rank tests.
    intercept, intercept_se : float
        Where the line meets infinite precision or size (except Macaskill's test); nan for rank
        tests.
    tau : float
        Kendall's rank correlation; nan for regression tests.
    tau2 : float
        Between-study variance of a mixed model; nan otherwise.
    power : float
        Chance that the test (for rank tests: Egger's) finds a bias of one standard error in every
        trial.
    k : int
        Number of trials tested.
    effects : Effects
        What was tested.
    notes, papers : tuple of str
        What a reader must know before quoting it, and the keys of its papers
        in `kapmeta.references.PAPERS`.
    """

    name: str
    method: str
    definition: str
    statistic: float
    df: float
    p_value: float
    power: float
    k: int
    effects: Effects
    slope: float = math.nan
    slope_se: float = math.nan
    intercept: float = math.nan
    intercept_se: float = math.nan
    tau: float = math.nan
    tau2: float = math.nan
    notes: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row; numbers on the analysis scale."""
        numbers = "statistic df p_value slope slope_se intercept intercept_se tau tau2 power k"
        row = {"test": self.name, **{name: getattr(self, name) for name in numbers.split()}}
        return pd.DataFrame([{**row, "definition": self.definition}])

    def _found(self) -> str:
        """Write size, statistic and p-value."""
        kind = "Kendall's tau" if math.isfinite(self.tau) else "slope"
        size = self.tau if math.isfinite(self.tau) else self.slope
        reference = f", t with {self.df:g} df" if math.isfinite(self.df) else ""
        found = (
            "" if math.isnan(self.statistic) else f", statistic {self.statistic:z.2f}{reference}"
        )
        return f"{kind} {wording.number(size)}{found}, {wording.p_text(self.p_value)}"

    def summary(self) -> str:
        """Describe the test, its power, its definition and its notes."""
        head = f"{self.name}, {wording.studies(self.k)}: {self._found()}."
        return "\n".join(
            [
                head,
                *(f"{wording.capital(note)}." for note in self.notes),
                f"Definition: {self.definition}.",
            ]
        )

    def methods_text(self) -> str:
        """Write the paragraph for a paper: test, definition, result, power and references."""
        sentences = (
            (
                f"We tested the funnel plot of {_subject(self.effects, self.k)} for asymmetry by"
                f" {self.name}"
            ),
            f"Definition followed: {self.definition}",
            f"Result: {self._found()}",
            *self.notes,
            (
                "Asymmetry may come from heterogeneity, from the conduct of small trials or from"
                " chance as well as from publication bias"
            ),
        )
        return _paragraph(sentences, self.papers)

    def __repr__(self) -> str:
        return (
            f"AsymmetryTest({self.method}, {wording.p_text(self.p_value)}, k={self.k}, power"
            f" {self.power:.0%})"
        )

    def _shown_table(self) -> pd.DataFrame | None:
        return self.to_frame().drop(columns="definition")


@dataclass(frozen=True, eq=False, repr=False)
class AdjustedEffect(IntervalView):
    """A pooled effect after an adjustment for small-study effects, beside the effect before it.

    Attributes
    ----------
    name, definition : str
        The adjustment, and what exactly was computed.
    estimate, se, low, high : float
        Adjusted effect on the analysis scale (log for ratios).
    unadjusted, unadjusted_low, unadjusted_high : float
        The same model without the adjustment.
    parameters : mapping of str to float
        What else was estimated: number of studies filled, tau2, selection weights, likelihoods ...
    studies : DataFrame
        One row per study (and one for each study that was filled in), with `y`, `v`, `row` and what
        the method made of it.
    k, level : int, float
        Number of studies observed; confidence level.
    effects : Effects
        What was adjusted.
    notes, papers : tuple of str
        What a reader must know before quoting it, and the keys of its papers
        in `kapmeta.references.PAPERS`.
    """

    name: str
    definition: str
    estimate: float
    se: float
    low: float
    high: float
    unadjusted: float
    unadjusted_low: float
    unadjusted_high: float
    k: int
    level: float
    effects: Effects
    studies: pd.DataFrame
    parameters: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return two rows, before and after, as shown; `y` and `se` on the analysis scale."""
        before = (self.unadjusted, self.unadjusted_low, self.unadjusted_high)
        after = (self.estimate, self.low, self.high)
        rows: list[tuple[Any, ...]] = [("unadjusted", before, math.nan, {})]
        rows.append((self.name, after, self.se, self.parameters))
        return pd.DataFrame(
            {
                "analysis": name,
                "k": self.k,
                **self.scale.shown_interval(*ends)._asdict(),
                "y": ends[0],
                "se": se,
                **more,
            }
            for name, ends, se, more in rows
        )

    def _found(self) -> str:
        """Write the effect after and before, with limits."""
        ends = (self.unadjusted, self.unadjusted_low, self.unadjusted_high)
        before = wording.interval_text(*self.scale.shown_interval(*ends))
        after = wording.interval_text(*self.shown_interval)
        return f"{self.scale.short} {after}, {wording.percent(self.level)} CI; unadjusted {before}"

    def summary(self) -> str:
        """Describe the effect after and before, the definition and the notes."""
        head = f"{self.name}, {wording.studies(self.k)}: {self._found()}."
        known = [(name, value) for name, value in self.parameters.items() if not math.isnan(value)]
        more = ", ".join(f"{name} {wording.number(value)}" for name, value in known)
        notes = [f"{wording.capital(note)}." for note in self.notes]
        return "\n".join(
            [head, *([f"Also: {more}."] if more else []), *notes, f"Definition: {self.definition}."]
        )

    def methods_text(self) -> str:
        """Write the paragraph for a paper: adjustment, definition, effects, caveats, references."""
        sentences = (
            f"We adjusted {_subject(self.effects, self.k)} for small-study effects by {self.name}",
            f"Definition followed: {self.definition}",
            f"Adjusted: {self._found()}",
            *self.notes,
            (
                "An adjusted effect says what the asymmetry may be worth; it is no correction of"
                " the result"
            ),
        )
        return _paragraph(sentences, self.papers)

    def __repr__(self) -> str:
        text = wording.interval_text(*self.shown_interval)
        return f"AdjustedEffect({self.name}, {self.scale.short} {text}, k={self.k})"


@dataclass(frozen=True, eq=False, repr=False)
class BiasSensitivity(EffectsView):
    """What bias it would take to change a result: a table over the unknown, and key numbers.

    Attributes
    ----------
    name, definition : str
        The analysis, and what exactly was computed.
    values : mapping of str to float
        The numbers to quote, also as ``result["name"]``.
    table : DataFrame
        One row per scenario.
    sentences, notes, papers : tuple of str
        The finding in words, what a reader must know before quoting it, and the keys of its papers
        in `kapmeta.references.PAPERS`.
    k : int
        Number of studies.
    effects : Effects
        What was analysed.
    """

    name: str
    definition: str
    values: Mapping[str, float]
    table: pd.DataFrame
    sentences: tuple[str, ...]
    k: int
    effects: Effects
    notes: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        if name not in self.values:
            raise KeyError(f'no value "{name}"; there are: {", ".join(self.values)}')
        return self.values[name]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per scenario; `estimate`, `low` and `high` are on the scale shown."""
        return self.table.copy()

    def summary(self) -> str:
        """Describe the finding, the notes and the definition."""
        notes = [f"{wording.capital(note)}." for note in self.notes]
        return "\n".join(
            [
                f"{self.name}, {wording.studies(self.k)}.",
                *self.sentences,
                *notes,
                f"Definition: {self.definition}.",
            ]
        )

    def methods_text(self) -> str:
        """Write the paragraph for a paper: analysis, definition, finding, caveats, references."""
        forced = any(note.startswith("forced") for note in self.notes)
        few = (
            f"With {wording.studies(self.k)} this says what bias it would take, not whether there"
            " is any"
        )
        sentences = (
            (
                f"We asked what bias would do to {_subject(self.effects, self.k)}. Analysis:"
                f" {self.name}"
            ),
            f"Definition followed: {self.definition}",
            *self.sentences,
            *self.notes,
            few if self.k < LEAST and not forced else "",
        )
        return _paragraph(sentences, self.papers)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.4g}" for name, value in self.values.items())
        return f"BiasSensitivity({self.name}, {values}, k={self.k})"
