"""What sensitivity analyses return besides a `Sweep`, and the table that every one of them is made of."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import sensitivity_wording, wording
from kapmeta.core.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.combining import Combined
from kapmeta.core.distributions import t_two_sided
from kapmeta.core.fragility import Steps
from kapmeta.core.heterogeneity import h2_from_q, h2_from_tau2
from kapmeta.core.universes import OPPOSITE
from kapmeta.results import Effects, Pooled
from kapmeta.scales import Measure, measure_named

__all__ = ["Calibration", "Fragility", "Multiverse", "Subsets", "Tipping", "analyses_table", "one_row"]

_ROWS_AT_ONCE = 1 << 16


def one_row(found: Combined) -> Combined:
    """A single analysis as a batch of one."""
    fields: list[Any] = [np.atleast_1d(part) for part in found]
    return Combined(*fields)


def analyses_table(names: list[str], found: Combined, **columns: Any) -> pd.DataFrame:
    """One row an analysis, on the analysis scale."""
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = found.estimate / found.se
    return pd.DataFrame(
        {
            "analysis": names,
            **columns,
            "k": found.k,
            "y": found.estimate,
            "se": found.se,
            "y_low": found.low,
            "y_high": found.high,
            "p_value": t_two_sided(statistic, found.df),
            "tau2": found.tau2,
            "q": found.q,
        }
    )


@dataclass(frozen=True, eq=False, repr=False)
class Subsets:
    """The same analysis in many subsets of the studies (GOSH): returned by `kapmeta.all_subsets`.

    Attributes
    ----------
    codes : ndarray of int, shape (subsets,)
        Each subset as a number whose binary digit j says whether study j of `labels` takes part.
    found : Combined
        Estimates and limits on the analysis scale, between-study variance and Q, each of shape (subsets,).
    base : Pooled
        The analysis of all studies.
    labels : tuple of str
        The studies pooled.
    sampled : bool
        Whether the subsets are a random sample, or all there are.
    """

    codes: IntArray
    found: Combined
    base: Pooled
    labels: tuple[str, ...]
    sampled: bool = False

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.base.scale

    @property
    def masks(self) -> BoolArray:
        """Which studies take part in each subset, shape (subsets, studies)."""
        return membership(self.codes, len(self.labels))

    def i2(self) -> FloatArray:
        """I2 of each subset as a proportion: from tau2 for random effects, from Q for common-effect methods."""
        several = self.found.k > 1
        if self.base.method.model != "random":
            with np.errstate(invalid="ignore", divide="ignore"):
                h2 = np.asarray(h2_from_q(self.found.q, self.found.k - 1.0))
        else:
            v = self.base.effects.v[self.base.effects.present]
            h2 = np.concatenate([_h2(v, self.found.tau2[rows], self.codes[rows]) for rows in blocks(self.codes.size)])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(several, np.maximum(0.0, 1 - 1 / h2), 0.0)

    def to_frame(self) -> pd.DataFrame:
        """One row a subset: k, estimate and limits on the scale shown, tau2, Q, I2, and a column a study."""
        shown, found = self.scale.shown, self.found
        columns: dict[str, Any] = {
            "k": found.k,
            "estimate": shown(found.estimate),
            "low": shown(found.low),
            "high": shown(found.high),
            "y": found.estimate,
            "se": found.se,
            "tau2": found.tau2,
            "q": found.q,
            "i2": self.i2(),
        }
        members = dict(zip(self.labels, self.masks.T, strict=True))
        return pd.DataFrame({**columns, **members})

    def summary(self) -> str:
        """How far the estimate moves over the subsets, and how often the interval excludes no effect."""
        known = self.found.estimate[~np.isnan(self.found.estimate)]
        ends = known.min(), np.median(known), known.max()  # an infinite ratio has its place among them
        low, middle, high = (wording.number(float(self.scale.shown(x))) for x in ends)
        which = "a random sample of the subsets" if self.sampled else "all subsets"
        text = f"Subsets of {len(self.labels)} studies ({which}, {self.codes.size}): "
        text += f"{self.scale.short} {low} to {high}, median {middle}."
        if self.scale.null is not None:
            excludes = np.count_nonzero((self.found.low > 0) | (self.found.high < 0))
            text += f" The interval excludes {self.scale.null:g} in {excludes} of {self.codes.size}."
        return text

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sensitivity_wording.subsets_methods(self)

    def alt_text(self) -> str:
        """The subsets as a reader who cannot see the figure would want them told."""
        return self.summary()

    def __repr__(self) -> str:
        return f"Subsets({self.codes.size} of {len(self.labels)} studies, {self.scale.short})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary())}</p>"


def membership(codes: IntArray, k: int) -> BoolArray:
    """The binary digits of `codes`, lowest first; shape (codes, k)."""
    return (codes[:, None] >> np.arange(k) & 1).astype(bool)


def blocks(rows: int) -> list[slice]:
    """Slices of rows few enough to be held as masks."""
    return [slice(start, min(start + _ROWS_AT_ONCE, rows)) for start in range(0, rows, _ROWS_AT_ONCE)]


def _h2(v: FloatArray, tau2: FloatArray, codes: IntArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(h2_from_tau2(tau2, np.where(membership(codes, v.size), v, np.inf)))


@dataclass(frozen=True, eq=False, repr=False)
class Tipping:
    """When missing outcomes would turn a conclusion: returned by `kapmeta.tipping_point`.

    Attributes
    ----------
    kind : str
        ``"counts"``: every number of events among the missing of one trial; ``"imor"``: a surface of informative
        missingness odds ratios of the pooled result.
    surface : DataFrame
        One row a point: `events_t` and `events_c`, or `imor_t` and `imor_c`; `y`, `y_low`, `y_high` on the analysis
        scale; `verdict` is 1 or -1 where the interval lies above or below no effect, else 0.
    points : mapping of str to float
        ``"counts"``: the fewest `events` among the missing that turn the conclusion of "none had the event", and their
        arms; empty where it never turns. ``"imor"``: for each path the factor at which the result turns: 3 says that
        the odds of the event would have to be 3 times lower among the missing treated (higher among the missing
        controls) than among the observed; below 1 the other way round; infinite where it never turns.
    base : Pooled
        The analysis of those observed.
    missing : pair of int
        Number missing under treatment and control.
    """

    kind: str
    surface: pd.DataFrame
    points: Mapping[str, float]
    base: Pooled
    missing: tuple[int, int]

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.base.scale

    def to_frame(self) -> pd.DataFrame:
        """The surface with estimate and limits on the scale shown."""
        frame = self.surface.copy()
        for name, column in (("estimate", "y"), ("low", "y_low"), ("high", "y_high")):
            frame[name] = self.scale.shown(frame[column].to_numpy(dtype=float))
        return frame

    def summary(self) -> str:
        """What it would take, in words."""
        return self._about_counts() if self.kind == "counts" else self._about_imor()

    def _about_counts(self) -> str:
        row = self.to_frame().iloc[0]
        shown = wording.interval_text(row["estimate"], row["low"], row["high"])
        verb = "excludes" if row["verdict"] else "includes"
        text = (
            f"{self.scale.short} {shown} with the missing counted as no event: the interval {verb} {self.scale.null:g}."
        )
        whole = sum(self.missing)
        if not self.points:
            return f"{text} It does so whatever happened to the {whole} missing."
        return (
            f"{text} It turns when {self.points['events']:g} of the {whole} missing had the event "
            f"({self.points['events_t']:g} under treatment, {self.points['events_c']:g} under control)."
        )

    def _about_imor(self) -> str:
        parts = []
        for path, factor in self.points.items():
            if np.isinf(factor):
                parts.append(f"{path}: nowhere up to a factor of 10,000")
            else:
                side = "against" if factor > 1 else "for"
                parts.append(f"{path}: at a factor of {wording.number(max(factor, 1 / factor))} {side} treatment")
        return (
            f"{wording.estimate_text(self.base)} in those observed, {sum(self.missing)} missing. Odds of the event "
            f"among the missing over odds among the observed turn the result, {'; '.join(parts)}."
        )

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sensitivity_wording.tipping_methods(self)

    def alt_text(self) -> str:
        """The surface as a reader who cannot see the figure would want it told."""
        return self.summary()

    def __repr__(self) -> str:
        return f"Tipping({self.kind}, {len(self.surface)} points, {self.scale.short})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary())}</p>"


@dataclass(frozen=True, eq=False, repr=False)
class Fragility:
    """How few outcomes carry a conclusion: returned by `kapmeta.fragility_index`.

    Attributes
    ----------
    steps : Steps
        The changes one by one, and the p-value or limit after each.
    labels : tuple of str
        The trials.
    base : Pooled
        The result with nothing changed.
    method : str
        What decided whether the conclusion held.
    participants, missing : float
        Number of participants; number missing, nan where that is not known.
    """

    steps: Steps
    labels: tuple[str, ...]
    base: Pooled
    method: str
    participants: float
    missing: float

    @property
    def index(self) -> float:
        """Number of changed outcomes; infinite where no change turns the conclusion."""
        return float(len(self.steps.study)) if self.steps.turned else float("inf")

    @property
    def reverse(self) -> bool:
        """Whether there was no conclusion to begin with, so that the index counts the changes that would make one."""
        first = self.steps.watched[0]
        if self.base.k == 1:
            return first >= 1 - self.base.method.level
        return self.base.low <= 0 <= self.base.high

    @property
    def beyond_missing(self) -> float:
        """The index less the number missing: not above 0 where those missing alone could have turned the conclusion."""
        return self.index - self.missing

    def to_frame(self) -> pd.DataFrame:
        """One row a step, the starting point first."""
        arms = ["treatment" if treated else "control" for treated in self.steps.treated]
        return pd.DataFrame(
            {
                "step": range(len(self.steps.watched)),
                "study": ["", *(self.labels[i] for i in self.steps.study)],
                "arm": ["", *arms],
                "events": [0, *self.steps.change],
                "p_value" if self.base.k == 1 else "limit": self.steps.watched,
            }
        )

    def summary(self) -> str:
        """The index with its method, and what it is set against."""
        kind = "Reverse fragility index" if self.reverse else "Fragility index"
        if not self.steps.turned:
            return f"{kind} by {self.method}: no change of outcomes turns the result."
        text = f"{kind} by {self.method}: {self.index:.0f} of {self.participants:.0f} participants."
        if np.isnan(self.missing):
            return f"{text} How many are missing is not known."
        return f"{text} The outcomes of {self.missing:.0f} are missing."

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sensitivity_wording.fragility_methods(self)

    def __repr__(self) -> str:
        index = f"{self.index:g} of {self.participants:g}" if self.steps.turned else "never turned"
        return f"Fragility({index}, {self.method})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary())}</p>" + wording.html_table(self.to_frame())


@dataclass(frozen=True, eq=False, repr=False)
class Multiverse:
    """Every analysis of a set of declared choices: returned by `kapmeta.multiverse`.

    Attributes
    ----------
    table : DataFrame
        One row an analysis: its choices, its `standing` (``"defensible"``, ``"arguable"`` or ``"reference only"``),
        `k`, `y`, `se`, `y_low`, `y_high`, `statistic` (estimate over standard error; of an exact model the normal
        deviate of its p-value) and `reason`, empty where there is an answer. Everything is oriented: positive says more
        events under treatment.
    effects : Effects
        The trials, for their words.
    explained : mapping of str to float
        Share of the variance between analyses that each choice explains on its own: of the estimates where there is one
        measure, else of the statistics. Shares of dependent choices need not add up to 1.
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
        """The measure of the estimates shown, where all analyses have one and the same; else None."""
        first = str(self.table["measure"].iloc[0])
        return measure_named("RR" if first == OPPOSITE else first) if self.table["measure"].nunique() == 1 else None

    @property
    def answered(self) -> pd.DataFrame:
        """The rows with an answer."""
        return self.table[self.table["reason"] == ""]

    @property
    def median_statistic(self) -> float:
        """Median of estimate over standard error, of the analyses that the null distribution is made of."""
        shuffled = ~self.answered["pooling"].isin(self.exact)
        return float(self.answered.loc[shuffled, "statistic"].median())

    @property
    def p_value(self) -> float:
        """How often shuffled labels give a median at least as far from 0; nan without permutations."""
        if not self.null.size:
            return float("nan")
        as_far = np.count_nonzero(np.abs(self.null) >= abs(self.median_statistic) * (1 - 1e-10))
        return (1 + as_far) / (1 + self.null.size)

    def shares(self, by: str | None = None) -> pd.DataFrame:
        """Share of analyses that favour treatment, and whose interval excludes no effect; for each word of a choice.

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
                    "excludes no effect": float(((known["y_low"] > 0) | (known["y_high"] < 0)).mean()),
                }
            )
        return pd.DataFrame(found)

    def vibration(self) -> float:
        """Ratio of the 99th to the 1st percentile of the risk ratios (of the first measure where there are several)."""
        first = self.table["measure"].iloc[0]
        estimates = self.answered.loc[self.answered["measure"] == first, "y"]
        low, high = np.quantile(estimates[np.isfinite(estimates)], [0.01, 0.99])
        return float(np.exp(high - low))

    def to_frame(self) -> pd.DataFrame:
        """The specification curve: analyses by rising statistic; `estimate`, `low`, `high` each on its own scale."""
        frame = self.table.sort_values("statistic", kind="stable", ignore_index=True)
        turned = (frame["measure"] == OPPOSITE).to_numpy()
        ratio = (frame["measure"] != "RD").to_numpy()
        sign = np.where(turned, -1.0, 1.0)
        y, low, high = (frame[name].to_numpy() for name in ("y", "y_low", "y_high"))
        ends = {"estimate": y, "low": np.where(turned, high, low), "high": np.where(turned, low, high)}
        with np.errstate(over="ignore"):
            for name, values in ends.items():
                frame[name] = np.where(ratio, np.exp(sign * values), values)
        return frame

    def summary(self) -> str:
        """How many analyses, which way they point, what moves them, and how surprising the whole is."""
        share = self.shares().iloc[0]
        known = {axis: value for axis, value in self.explained.items() if value > 0}
        most = sorted(known, key=lambda axis: -known[axis])[:3]
        unanswered = f", {share['no answer']} without an answer" if share["no answer"] else ""
        parts = [
            f"{len(self.table)} analyses of {wording.studies(len(self.effects.labels))}{unanswered}: "
            f"{100 * share['more events under treatment']:.0f} % have more events ({self.effects.event}) under "
            f"{self.effects.treatment}, the interval excludes no effect in {100 * share['excludes no effect']:.0f} %."
        ]
        if most:
            told = ", ".join(f"{axis} {100 * known[axis]:.0f} %" for axis in most)
            parts.append(f"Variance between analyses explained by: {told}.")
        if self.null.size:
            parts.append(
                f"With arm labels shuffled within trials {self.null.size} times the median statistic "
                f"({wording.number(self.median_statistic)}) is reached with p = {self.p_value:.2g}."
            )
        return " ".join([*parts, *(f"Note: {note}." for note in self.notes)])

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sensitivity_wording.multiverse_methods(self)

    def alt_text(self) -> str:
        """The specification curve as a reader who cannot see the figure would want it told."""
        return self.summary()

    def __repr__(self) -> str:
        return f"Multiverse({len(self.table)} analyses of {wording.studies(len(self.effects.labels))})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary())}</p>" + wording.html_table(self.shares("standing"))


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """How each interval performs in trials like these: returned by `kapmeta.calibration`.

    Attributes
    ----------
    table : DataFrame
        One row a supposition (`effect`, `tau`) and interval (`pooling`, `ci`), with the fields of
        `kapmeta.core.calibration.Performance`.
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

    def to_frame(self) -> pd.DataFrame:
        """The table; widths are of the log effects."""
        return self.table.copy()

    def kept(self) -> list[str]:
        """Intervals whose coverage stays above the level, less two Monte-Carlo errors, in every supposition."""
        enough = self.table["coverage"] >= self.level - 2 * self.table["coverage_se"].clip(lower=1 / self.draws)
        names = self.table["pooling"] + ", " + self.table["ci"]
        return [str(name) for name in dict.fromkeys(names) if enough[names == name].all()]

    def summary(self) -> str:
        """Which intervals keep their promise, and what the narrowest of them has in power."""
        kept = self.kept()
        opening = f"Coverage in {self.draws} simulated sets of {len(self.control_risks)} trials of these sizes: "
        if not kept:
            return f"{opening}no interval keeps {wording.percent(self.level)} under all suppositions."
        width = self.table.groupby(self.table["pooling"] + ", " + self.table["ci"])["median_width"].mean()
        best = min(kept, key=lambda name: width[name])
        return (
            f"{opening}{wording.joined(kept)} {'keep' if len(kept) > 1 else 'keeps'} {wording.percent(self.level)} "
            f"under all suppositions; the narrowest of them is {best}."
        )

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sensitivity_wording.calibration_methods(self)

    def __repr__(self) -> str:
        suppositions = len(self.table[["effect", "tau"]].drop_duplicates())
        return (
            f"Calibration({len(self.table) // suppositions} intervals, {suppositions} suppositions, {self.draws} draws)"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.summary())}</p>" + wording.html_table(self.to_frame())
