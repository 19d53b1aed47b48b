"""What analyses return: frozen values that show, describe and tabulate themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking, sensitivity_wording, wording
from kapmeta.core.arrays import BoolArray, FloatArray
from kapmeta.core.combining import Combined
from kapmeta.core.distributions import normal_quantile
from kapmeta.core.single_trial import SINGLE_TRIAL_INTERVALS
from kapmeta.core.tau2 import quadratic_moment
from kapmeta.core.weighting import weights
from kapmeta.protocol import Method
from kapmeta.scales import Measure, measure_named

__all__ = ["Effects", "Pooled", "Sweep"]


def read_only(values: Any, dtype: type = np.float64) -> Any:
    """A copy of `values` as an array that cannot be written to."""
    array: Any = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


_LARGEST = 1e50  # of a variance and its reciprocal: sums of their cubes stay within the floating-point numbers


def _refuse_units(y: FloatArray, v: FloatArray, labels: tuple[str, ...]) -> None:
    """An error for effects in a unit so large or small that arithmetic with them overflows."""
    beyond = ((v < 1 / _LARGEST) | (v > _LARGEST) | np.isfinite(y) & (np.abs(y) > _LARGEST)) & (v > 0) & (v < np.inf)
    checking.refuse_first(
        beyond,
        labels,
        lambda i: "effect or variance is too large or too small to compute with",
        lambda i: f"effect {y[i]:g} with variance {v[i]:g}; give the effects in another unit",
    )


@dataclass(frozen=True, eq=False, repr=False)
class Effects:
    """One effect estimate a study, on the analysis scale, with all that is needed to read it.

    Returned by `risk_ratio`, `odds_ratio`, `reported` and the other effect functions; given to `pool` and
    the plots. Two `Effects` of the same measure concatenate with ``+``.

    Attributes
    ----------
    y, v : ndarray, shape (studies,)
        Estimates and their sampling variances; log scale for ratios. A study that could not be estimated has
        ``y = nan`` and ``v = inf``.
    labels : tuple of str
        Study labels, in the order given; duplicates are kept.
    measure : str
        Key in `kapmeta.scales.MEASURES`.
    table : DataFrame
        The rows the effects were computed from, one a study.
    zero : str or None
        The continuity rule that was asked for; None where the measure needs none.
    corrected : ndarray of bool, shape (studies,)
        Which studies the continuity rule changed.
    excluded : mapping of int to str
        Position of each study that takes no part, and the reason: it could not be estimated, or it was set aside.
        Such a study stays in sight and weighs nothing.
    event, treatment, control : str
        What is counted and in which arms; labels and sentences are made from these.
    event_is_good : bool
        Whether more events are better for the patient.
    interval : str
        What the rows of single trials are shown with: ``"wald"``, or a word of
        `kapmeta.core.single_trial.SINGLE_TRIAL_INTERVALS`, which needs no continuity correction, or ``"as reported"``.
        Pooling is not touched.
    """

    y: FloatArray
    v: FloatArray
    labels: tuple[str, ...]
    measure: str
    table: pd.DataFrame
    zero: str | None = None
    corrected: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    excluded: Mapping[int, str] = field(default_factory=dict)
    event: str = "event"
    event_is_good: bool = True
    treatment: str = "treatment"
    control: str = "control"
    interval: str = "wald"

    def __post_init__(self) -> None:
        measure_named(self.measure)
        object.__setattr__(self, "y", read_only(self.y))
        object.__setattr__(self, "v", read_only(self.v))
        _refuse_units(self.y, self.v, self.labels)
        corrected = self.corrected if np.size(self.corrected) else np.zeros(self.y.size)
        object.__setattr__(self, "corrected", read_only(corrected, bool))

    @property
    def present(self) -> BoolArray:
        """Which studies take part: estimated and not excluded; shape (studies,)."""
        taking_part = self.v < np.inf
        taking_part[list(self.excluded)] = False
        return taking_part

    @property
    def k(self) -> int:
        """Number of studies that take part."""
        return int(np.count_nonzero(self.present))

    @property
    def se(self) -> FloatArray:
        """Standard errors, the square roots of `v`."""
        return np.asarray(read_only(np.sqrt(self.v)))

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return measure_named(self.measure)

    @property
    def favours(self) -> tuple[str, str]:
        """The two sides of the null line, low and high: which arm each favours."""
        sides = (f"Favours {self.control}", f"Favours {self.treatment}")
        return sides if self.event_is_good else (sides[1], sides[0])

    def to_frame(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a study: counts as given, and the estimate with its interval on the scale shown."""
        frame = self.table.drop(columns="row", errors="ignore")  # ours; whatever the user's meant stays in `table`
        frame.insert(0, "row", np.where(self.present, "study", "excluded"))
        for name, value in zip(("estimate", "low", "high"), self.limits(level), strict=True):
            frame[name] = self.scale.shown(value)
        frame["y"], frame["v"] = self.y, self.v
        frame["corrected"] = self.corrected
        frame["reason"] = [self.excluded.get(i, "") for i in range(self.y.size)]
        return frame.reset_index(drop=True)

    def limits(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Estimate and limits of each row on the analysis scale; nan where there are none."""
        half = float(normal_quantile((1 + level) / 2)) * self.se
        with np.errstate(invalid="ignore"):
            wald = [np.where(self.v < np.inf, x, np.nan) for x in (self.y, self.y - half, self.y + half)]
        own = self._own_limits(level)
        known = ~np.isnan(own[1]) & ~np.isnan(own[2])
        first, second, third = (np.where(known, x, w) for x, w in zip(own, wald, strict=True))
        return first, second, third

    def _own_limits(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the rows show instead of Wald limits: score or exact limits, or limits as printed; nan where neither."""
        if self.interval in SINGLE_TRIAL_INTERVALS:
            cells = (self.table[name].to_numpy(dtype=np.float64) for name in ("events_t", "n_t", "events_c", "n_c"))
            found = SINGLE_TRIAL_INTERVALS[self.interval](*cells, level=level)
            return found.estimate, found.low, found.high
        unknown = np.full(self.y.size, np.nan)
        if self.interval != "as reported" or not {"low", "high", "printed_level"} <= set(self.table.columns):
            return unknown, unknown, unknown
        printed = [self.table[name].to_numpy(dtype=np.float64) for name in ("low", "high")]
        same = self.table["printed_level"].to_numpy(dtype=np.float64) == level
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = (np.where(same, np.log(x) if self.scale.ratio else x, np.nan) for x in printed)
        return self.y, low, high

    def select(self, keep: Any) -> Effects:
        """The studies for which `keep` (a boolean array over studies, positions or a slice) holds, in that order."""
        positions = np.arange(self.y.size)[keep if isinstance(keep, slice) else np.asarray(keep)]
        place = {int(old): new for new, old in enumerate(positions)}
        return replace(
            self,
            y=self.y[positions],
            v=self.v[positions],
            labels=tuple(self.labels[i] for i in positions),
            table=self.table.iloc[positions].reset_index(drop=True),
            corrected=self.corrected[positions],
            excluded={place[i]: why for i, why in self.excluded.items() if i in place},
        )

    def reversed(self, event: str) -> Effects:
        """The same studies told of the opposite `event`: signs change, nothing else.

        For measures that are symmetric in the event: odds ratios (also Peto's), risk differences and arcsine
        differences. A risk ratio is not the reciprocal of the risk ratio of the opposite event and is refused.
        """
        if self.measure not in ("OR", "PETO", "RD", "AS"):
            raise ValueError(
                f"a {self.scale.name} cannot be turned round without the counts; use complement(trials) and "
                "compute it again"
            )
        table = self.table.rename(columns={"low": "high", "high": "low"})
        for column in {"estimate", "low", "high"} & set(table.columns):
            table[column] = 1 / table[column] if self.scale.ratio else -table[column]
        return replace(self, y=-self.y, table=table, event=event, event_is_good=not self.event_is_good)

    def __add__(self, other: Effects) -> Effects:
        """The studies of both, in order; for counts of some trials and reported effects of others."""
        if self.measure != other.measure:
            raise ValueError(
                f"effects of different measures cannot be put together: {self.measure} and {other.measure}"
            )
        shift = len(self)
        table = pd.concat([self.table, other.table], ignore_index=True)
        return replace(
            self,
            y=np.concatenate([self.y, other.y]),
            v=np.concatenate([self.v, other.v]),
            labels=self.labels + other.labels,
            table=table,
            zero=self.zero if self.zero is not None else other.zero,
            interval=self.interval if self.interval == other.interval else "as reported",
            treatment=self.treatment if self.treatment == other.treatment else "treatment",
            control=self.control if self.control == other.control else "control",
            corrected=np.concatenate([self.corrected, other.corrected]),
            excluded={**self.excluded, **{shift + i: why for i, why in other.excluded.items()}},
        )

    def __len__(self) -> int:
        return int(self.y.size)

    def __repr__(self) -> str:
        return f"Effects({self.measure}, k={self.k}{wording.listed_excluded(self)})"

    def summary(self) -> str:
        """The effects in words: measure, number, continuity rule, and whatever was corrected or excluded."""
        return wording.effects_summary(self)

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes how these effects came to be."""
        return wording.effects_methods(self)

    def _repr_html_(self) -> str:
        return wording.effects_html(self)


@dataclass(frozen=True, eq=False, repr=False)
class Pooled:
    """A pooled effect with everything that may not be left off: k, method, heterogeneity, and what was set aside.

    Attributes
    ----------
    effects : Effects
        What was pooled, excluded studies included.
    method : Method
        Model, between-study variance estimator, interval, prediction interval, level.
    estimate, se, low, high : float
        Pooled effect, its standard error and its confidence limits on the analysis scale (log for ratios).
    statistic, p_value, df : float
        Test of no effect in the way of the interval; `df` is infinite for a normal reference.
    k : int
        Number of studies that carry an estimate.
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
        Every local maximum of the (restricted) likelihood in tau2, the global one first; empty for other estimators.
    notes : tuple of str
        What a reader must know before quoting the result.
    refit : callable or None
        The same analysis of subsets: takes masks (analyses, studies present), returns a
        `kapmeta.core.combining.Combined`. Leave-one-out, cumulative and subset analyses call it.
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

    @property
    def measure(self) -> str:
        """Key of the measure in `kapmeta.scales.MEASURES`."""
        return self.effects.measure

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.effects.scale

    @property
    def tau2_truncated(self) -> bool:
        """Whether `tau2` stands at its bound of 0: the studies differ no more than their own errors let expect."""
        return self.tau2 == 0

    @property
    def tau2_moment(self) -> float:
        """DerSimonian and Laird's estimate before it is truncated at 0, to tell how far below; nan for one study."""
        there = self.effects.present
        y, v = self.effects.y[there], self.effects.v[there]
        return float(quadratic_moment(y, v, weights(v))) if self.k > 1 else math.nan

    def to_frame(self) -> pd.DataFrame:
        """One row a study, then the pooled row and, where there is one, the prediction row.

        The column `row` says which (``study``, ``excluded``, ``pooled``, ``prediction``). `estimate`, `low` and
        `high` are on the scale shown (exponentiated for ratios), `y` and `v` on the analysis scale.
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
        shown = self.scale.shown
        names = ["k", "p_value"]
        if self.k > 1:
            names += ["df", "tau2", "tau2_low", "tau2_high", "q", "q_df", "q_p_value", "i2", "h2"]
        return {
            "row": "pooled",
            "study": wording.model_name(self.method),
            **self._totals(),
            "estimate": float(shown(self.estimate)),
            "low": float(shown(self.low)),
            "high": float(shown(self.high)),
            "y": self.estimate,
            "v": self.se**2,
            "weight": 1.0,
            **{name: getattr(self, name) for name in names},
        }

    def _totals(self) -> dict[str, Any]:
        """Events and participants of the studies pooled, where all are counted."""
        names = ("events_t", "n_t", "events_c", "n_c")
        if self.k < 2 or not set(names) <= set(self.effects.table.columns):
            return {}
        counted = self.effects.table.loc[self.effects.present, list(names)]
        return {} if counted.isna().any(axis=None) else {name: float(counted[name].sum()) for name in names}

    def _prediction_row(self) -> dict[str, Any]:
        shown = self.scale.shown
        return {
            "row": "prediction",
            "study": "Prediction interval",
            "low": float(shown(self.prediction_low)),
            "high": float(shown(self.prediction_high)),
        }

    def summary(self) -> str:
        """The result in words and numbers, with its method, its heterogeneity and its notes."""
        return wording.pooled_summary(self)

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here."""
        return wording.pooled_methods(self)

    def alt_text(self) -> str:
        """The result as a reader who cannot see the figure would want it told."""
        return wording.pooled_alt(self)

    def __repr__(self) -> str:
        return f"Pooled({wording.estimate_text(self)}, k={self.k}, {wording.model_phrase(self.method)})"

    def _repr_html_(self) -> str:
        return wording.pooled_html(self)


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The same analysis many times over, one choice changed at a time.

    Attributes
    ----------
    kind : str
        What was varied, e.g. ``"leave-one-out"``.
    table : DataFrame
        One row an analysis: `analysis` names it; `k`, `y`, `se`, `y_low`, `y_high` (analysis scale), `p_value`,
        `tau2`, `q`.
    effects : Effects
        What the analyses started from.
    base : Pooled or None
        The analysis with nothing changed.
    notes : tuple of str
        What a reader must know before quoting it.
    """

    kind: str
    table: pd.DataFrame
    effects: Effects
    base: Pooled | None = None
    notes: tuple[str, ...] = ()

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.effects.scale

    def to_frame(self) -> pd.DataFrame:
        """One row an analysis; `estimate`, `low` and `high` on the scale shown."""
        frame = self.table.copy()
        first = list(frame.columns).index("y")
        for position, (name, column) in enumerate((("estimate", "y"), ("low", "y_low"), ("high", "y_high"))):
            frame.insert(first + position, name, self.scale.shown(frame[column].to_numpy(dtype=float)))
        return frame

    def summary(self) -> str:
        """How far the estimate moves and whether the conclusion holds throughout."""
        return wording.sweep_summary(self)

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sensitivity_wording.sweep_methods(self)

    def alt_text(self) -> str:
        """The sweep as a reader who cannot see the figure would want it told."""
        return wording.sweep_summary(self)

    def __repr__(self) -> str:
        return f"Sweep({self.kind}, {wording.analyses(len(self.table))}, {self.scale.short})"

    def _repr_html_(self) -> str:
        return wording.sweep_html(self)


def effects_given(value: Any, name: str = "effects") -> Effects:
    """`value` if it is `Effects`; otherwise an error that says where they come from."""
    return checking.instance(
        value, Effects, name, "come from risk_ratio, odds_ratio, reported or another effect function"
    )


def pooled_given(value: Any, name: str = "pooled") -> Pooled:
    """`value` if it is a `Pooled`; otherwise an error that says where one comes from."""
    return checking.instance(value, Pooled, name, "be a result of pool or another pooling function")
