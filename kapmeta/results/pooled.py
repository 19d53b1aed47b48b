"""Pooled, the result of pooling, with its sentences and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.heterogeneity.tau2 import quadratic_moment
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.weighting import weights
from kapmeta.core.pooling.combining import Combined
from kapmeta.methods import MODEL_NAMES, Method, method_text, model_name, model_phrase
from kapmeta.results.effects import (
    Effects,
    effects_table,
    excluded_sentences,
    measure_sentence,
    outcome_text,
    read_only,
    unconfirmed_sentences,
    zero_sentence,
)
from kapmeta.results.shared.pooling_methods import analysis_sentences, paragraph
from kapmeta.results.shared.views import IntervalView
from kapmeta.wording import interval_text, number, p_text, percent, studies

__all__ = [
    "Pooled",
    "estimate_text",
    "heterogeneity_text",
    "pooled_sentence",
    "prediction_text",
    "rule_sentence",
]


@dataclass(frozen=True, eq=False, repr=False)
class Pooled(IntervalView):
    """A pooled effect with k, method, heterogeneity and whatever was set aside.

    Attributes
    ----------
    effects : Effects
        What was pooled, excluded studies included.
    method : Method
        Model, between-study variance estimator, interval, prediction interval, level.
    estimate, se, low, high : float
        Pooled effect, its standard error and its confidence limits on the analysis scale (log for
        ratios).
    statistic, p_value, df : float
        Test of no effect in the way of the interval; `df` is infinite for a normal reference. A
        measure of one group has no value of no effect: statistic and p-value are nan.
    k : int
        Number of studies that take part.
    tau2, tau2_low, tau2_high : float
        Between-study variance with its Q-profile interval; nan where it does not exist.
    q, q_df, q_p_value : float
        Cochran's Q about the common-effect mean, and its test.
    i2, h2 : float
        tau2-based I2 as a proportion, and H2; nan for fewer than two studies.
    weights : ndarray, shape (studies,)
        Shares of the pooled estimate; they sum to 1, absent studies have 0.
    prediction_low, prediction_high : float
        Prediction limits on the analysis scale; nan where none is given.
    modes : tuple of float
        Every local maximum of the (restricted) likelihood in tau2, the global one first; empty for
        other estimators.
    notes : tuple of str
        What a reader must know before quoting the result.
    refit : callable or None
        The same analysis of subsets: takes masks (analyses, studies present), returns a
        `kapmeta.core.pooling.combining.Combined`. Leave-one-out, cumulative and subset analyses
        call it.
    """

    effects: Effects
    method: Method
    estimate: float
    se: float
    low: float
    high: float
    statistic: float
    p_value: float
    df: float
    k: int
    weights: FloatArray
    tau2: float = math.nan
    tau2_low: float = math.nan
    tau2_high: float = math.nan
    q: float = math.nan
    q_df: float = math.nan
    q_p_value: float = math.nan
    i2: float = math.nan
    h2: float = math.nan
    prediction_low: float = math.nan
    prediction_high: float = math.nan
    modes: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    refit: Callable[[BoolArray], Combined] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", read_only(self.weights))
        if not self.scale.compares:
            object.__setattr__(self, "statistic", math.nan)
            object.__setattr__(self, "p_value", math.nan)

    @property
    def measure(self) -> str:
        """Key of the measure in `kapmeta.measures.MEASURES`."""
        return self.effects.measure

    @property
    def tau2_truncated(self) -> bool:
        """Whether `tau2` is 0: the studies differ no more than their own errors let expect."""
        return self.tau2 == 0

    @property
    def tau2_moment(self) -> float:
        """DerSimonian and Laird's estimate before truncation at 0; nan for one study."""
        there = self.effects.present
        y, v = self.effects.y[there], self.effects.v[there]
        return float(quadratic_moment(y, v, weights(v))) if self.k > 1 else math.nan

    def to_frame(self) -> pd.DataFrame:
        """Return one row per study, then the pooled row and any prediction row.

        The column `row` says which (``study``, ``excluded``, ``pooled``, ``prediction``).
        `estimate`, `low` and `high` are on the scale shown (exponentiated for ratios), `y` and `v`
        on the analysis scale.
        """
        frame = self.effects.to_frame(level=self.method.level)
        frame["weight"] = self.weights
        rows = [self._pooled_row()]
        if math.isfinite(self.prediction_low):
            rows.append(self._prediction_row())
        summary = pd.DataFrame(rows)
        columns = [*frame.columns, *(name for name in summary.columns if name not in frame.columns)]
        stacked = {
            name: [
                *(frame[name] if name in frame else [None] * len(frame)),
                *(summary[name] if name in summary else [None] * len(summary)),
            ]
            for name in columns
        }
        return pd.DataFrame(stacked)

    def _pooled_row(self) -> dict[str, Any]:
        names = ["k", "p_value"]
        if self.k > 1:
            names += ["df", "tau2", "tau2_low", "tau2_high", "q", "q_df", "q_p_value", "i2", "h2"]
        return {
            "row": "pooled",
            "study": model_name(self.method),
            **self._totals(),
            **self.shown_interval._asdict(),
            "y": self.estimate,
            "v": self.se**2,
            "weight": 1.0,
            **{name: getattr(self, name) for name in names},
        }

    def _totals(self) -> dict[str, Any]:
        """Add up events and participants of the studies pooled, where all are counted."""
        names = ("events_t", "n_t", "events_c", "n_c")
        if self.k < 2 or not set(names) <= set(self.effects.table.columns):
            return {}
        counted = self.effects.table.loc[self.effects.present, list(names)]
        return (
            {}
            if counted.isna().any(axis=None)
            else {name: float(counted[name].sum()) for name in names}
        )

    def _prediction_row(self) -> dict[str, Any]:
        shown = self.scale.shown
        return {
            "row": "prediction",
            "study": "Prediction interval",
            "low": float(shown(self.prediction_low)),
            "high": float(shown(self.prediction_high)),
        }

    def summary(self) -> str:
        """Describe the result in words and numbers: method, heterogeneity and notes."""
        lines = [
            pooled_sentence(self),
            method_text(self.method) + ".",
            heterogeneity_text(self) + ".",
            prediction_text(self) and prediction_text(self) + ".",
            rule_sentence(self),
            *excluded_sentences(self.effects),
            *(f"Note: {note}." for note in self.notes),
        ]
        return "\n".join(filter(None, lines))

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        return paragraph(self.methods_sentences())

    def methods_sentences(self) -> list[str]:
        """List the sentences of that paragraph, without the one on the software."""
        effects = self.effects
        rest = [rule_sentence(self), *excluded_sentences(effects)]
        return [*filter(None, [measure_sentence(effects), *analysis_sentences(self), *rest])]

    def alt_text(self) -> str:
        """Describe the result to readers who cannot see the figure."""
        e = self.effects
        frame = e.to_frame(level=self.method.level)
        each = [
            f"{label} {interval_text(row.estimate, row.low, row.high)}"
            for label, row in zip(e.labels, frame.itertuples(), strict=True)
            if row.row == "study"
        ]
        opening = f"Forest plot of the {outcome_text(e)}, {studies(e.k)}: "
        finding = pooled_sentence(self) if self.k > 1 else "One study; nothing is pooled."
        rest = [heterogeneity_text(self) + "." if self.k > 1 else "", prediction_text(self)]
        rest += [*unconfirmed_sentences(e), *excluded_sentences(e)]
        return " ".join(filter(None, [opening + "; ".join(each) + ".", finding, *rest]))

    def __repr__(self) -> str:
        return f"Pooled({estimate_text(self)}, k={self.k}, {model_phrase(self.method)})"

    def _shown_table(self) -> pd.DataFrame | None:
        table = effects_table(self.effects)
        table["weight"] = [f"{100 * w:.1f} %" for w in self.weights]
        if self.k > 1:
            names = (self.scale.short, "low", "high")
            row = dict(zip(names, self.shown_interval, strict=True))
            table.loc[len(table)] = {c: row.get(c, "") for c in table.columns} | {
                "study": model_name(self.method)
            }
            for column in row:
                table[column] = [
                    x if isinstance(x, str) else number(float(x)) for x in table[column]
                ]
        return table


def pooled_given(value: Any, name: str = "pooled") -> Pooled:
    """Return `value` if it is a `Pooled`; otherwise say where one comes from."""
    return checking.instance(value, Pooled, name, "be a result of pool or another pooling function")


def estimate_text(pooled: Pooled) -> str:
    """Write ``RR 2.74 (95 % CI 1.89 to 3.98)``."""
    level = f"{percent(pooled.method.level)} CI"
    return wording.estimate_with_interval(pooled.scale.short, *pooled.shown_interval, level)


def heterogeneity_text(pooled: Pooled) -> str:
    """Write between-study variance, I2 and Q in one line, or that they do not exist."""
    if pooled.k < 2:
        return "Heterogeneity: one study has none to estimate"
    parts = []
    if not math.isnan(pooled.tau2):
        limits = ""
        if not math.isnan(pooled.tau2_high):
            limits = (
                f" ({percent(pooled.method.level)} CI {number(pooled.tau2_low)} to"
                f" {number(pooled.tau2_high)})"
            )
        parts.append(f"τ² = {number(pooled.tau2)}{limits}")
    if pooled.k > 2 and not math.isnan(pooled.i2):
        basis = "τ²" if pooled.method.model == "random" else "Q"
        parts.append(f"I² ({basis}-based) = {100 * pooled.i2:.0f} %")
    if not math.isnan(pooled.q):
        parts.append(f"Q = {number(pooled.q)}, df = {pooled.q_df:g}, {p_text(pooled.q_p_value)}")
    return "Heterogeneity: " + (
        "; ".join(parts) or "not estimable, too few of the studies are informative"
    )


def prediction_text(pooled: Pooled) -> str:
    """Write the prediction interval on the scale shown; empty without one."""
    if math.isnan(pooled.prediction_low):
        return ""
    low, high = (
        float(pooled.scale.shown(x)) for x in (pooled.prediction_low, pooled.prediction_high)
    )
    return f"{percent(pooled.method.level)} prediction interval {number(low)} to {number(high)}"


def rule_sentence(pooled: Pooled) -> str:
    """State the zero-cell rule, and where it concerns the single trials only."""
    effects, model = pooled.effects, pooled.method.model
    if model == "single" and pooled.method.ci != "wald":
        return ""  # the limits shown need no correction
    if model in MODEL_NAMES:
        return zero_sentence(effects)
    if effects.interval not in (None, "wald"):
        return ""  # neither the model nor the limits of the single trials
    return zero_sentence(effects, "For the single trials only")


def pooled_sentence(pooled: Pooled) -> str:
    """Write the result in one sentence."""
    e = pooled.effects
    verb = "Pooled" if pooled.k > 1 else "Not pooled:"
    what = f"{verb} {e.scale.name} of {e.event} from {studies(pooled.k)}"
    test = f", {p_text(pooled.p_value)}" if e.scale.compares else ""
    return f"{what}: {estimate_text(pooled)}{test}."
