"""The trials a method of small-study effects takes, its minimum, and the favoured direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS, estimator_named
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.pooling.combining import combine
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.small_study.asymmetry import Points, WeightedLine
from kapmeta.effects.counts import odds_ratio
from kapmeta.methods import PRIMARY
from kapmeta.pooling.inverse_variance import one_question
from kapmeta.results.effects import Effects, direction_of, effects_given
from kapmeta.results.small_study import LEAST

AS_RISK_RATIO = ("RR", "OR", "PETO", "HR", "IRR")
"""Measures that are risk ratios, at least approximately, and so have an E-value."""

COUNT_COLUMNS = ("events_t", "n_t", "events_c", "n_c")
"""What the tests that work on counts read."""


class Trials(NamedTuple):
    """The trials that take part: effects, arrays, and counts where every trial has them."""

    effects: Effects
    y: FloatArray
    v: FloatArray
    labels: tuple[str, ...]
    counts: tuple[FloatArray, ...] | None
    uncounted: str
    notes: tuple[str, ...]

    @property
    def k(self) -> int:
        """How many take part."""
        return int(self.y.size)


def trials_of(effects: Effects | pd.DataFrame, *, mixed: bool) -> Trials:
    """Select the trials that may be analysed together; a frame of trials is read as odds ratios."""
    if isinstance(effects, pd.DataFrame):
        effects = odds_ratio(effects)
    effects, aside = one_question(effects_given(effects), mixed)
    there = effects.select(effects.present)
    if there.k == 0:
        raise ValueError("no study takes part: every one is excluded or has no estimate")
    return Trials(effects, there.y, there.v, there.labels, *_counts_of(there), aside)


def _counts_of(effects: Effects) -> tuple[tuple[FloatArray, ...] | None, str]:
    """Return the counts of both arms of every trial; None, and who lacks them, if one does."""
    if not set(COUNT_COLUMNS) <= set(effects.table.columns):
        return None, "these effects have none"
    cells = effects.table[list(COUNT_COLUMNS)].to_numpy(dtype=np.float64)
    lacking = np.flatnonzero(~np.isfinite(cells).all(axis=1))
    if lacking.size:
        return None, f'"{effects.labels[lacking[0]]}" has none'
    return tuple(cells.T), ""


def enough_trials(
    k: int, effects: Effects, what: str, force: bool, detail: str = "", least: int = LEAST
) -> tuple[str, ...]:
    """Refuse fewer than `least` trials or, if forced, return a note.

    The refusal names what can be computed of these effects instead.
    """
    force = checking.flag(force, "force")
    if k >= least:
        return ()
    reason = (
        f"{wording.studies(k)}, and fewer than {least} cannot tell bias from chance or from"
        " differences between trials"
    )
    reason += f"; {detail}" if detail else ""
    if not force:
        others = ["publication_bias_sensitivity"] if effects.scale.compares else []
        others += ["e_value"] if effects.measure in AS_RISK_RATIO else []
        others += ["fail_safe_n"] if effects.scale.compares else []
        instead = f"{wording.joined(others)} say what it would take; " if others else ""
        raise ValueError(
            f"{what} is not computed: {reason}. {instead}force=True computes it all the same"
        )
    return (f"forced: {reason}",)


def require_trials(k: int, least: int, what: str) -> None:
    """Refuse fewer trials than the formulas need, forced or not."""
    if k < least:
        raise ValueError(
            f"{what} needs at least {least} trials: {k} given; fewer leave nothing to judge it by"
        )


def refuse_exact_line(points: Points, line: WeightedLine, what: str) -> None:
    """Refuse effects that lie on a line to the last digit: no residual, so no standard error."""
    used = points.w > 0
    rounding = (16 * np.finfo(np.float64).eps * np.abs(points.y[used]).max()) ** 2 * points.w.sum()
    if line.dispersion * line.df <= rounding:
        k = np.count_nonzero(used)
        raise ValueError(
            f"{what} has no residual: the effects of all {k} trials lie on a straight line exactly"
        )


def unadjusted(data: Trials, *, tau2: Any, ci: str, level: float) -> dict[str, float]:
    """Pool without the adjustment, as fields of an `AdjustedEffect`."""
    found = combine(data.y, data.v, tau2=tau2, ci=ci, level=level)
    names = {
        "unadjusted": found.estimate,
        "unadjusted_low": found.low,
        "unadjusted_high": found.high,
    }
    return {name: float(value) for name, value in names.items()}


def wald(estimate: float, se: float, level: float) -> dict[str, float]:
    """Return an estimate with its standard error and Wald limits, as fields of a result."""
    half = float(normal_quantile((1 + level) / 2)) * se
    return {"estimate": estimate, "se": se, "low": estimate - half, "high": estimate + half}


def study_rows(data: Trials, **columns: Any) -> pd.DataFrame:
    """Return the trials as rows of an `AdjustedEffect`, with further columns."""
    return pd.DataFrame(
        {"row": "study", "study": list(data.labels), "y": data.y, "v": data.v, **columns}
    )


FAVOURED: Mapping[str, str] = MappingProxyType(
    {
        "treatment": "results that favour the treatment, by `event_is_good`",
        "positive": "results above no effect on the analysis scale",
        "negative": "results below no effect on the analysis scale",
    }
)
"""Which results are taken to be published more readily."""


def favoured_sign(effects: Effects, favoured: str) -> float:
    """Return +1 where larger effects are favoured, -1 where smaller ones are.

    Refuses "treatment" while it is not known whether the event is good.
    """
    checking.chosen(favoured, FAVOURED, "favoured direction")
    if favoured != "treatment":
        return 1.0 if favoured == "positive" else -1.0
    try:
        return 1.0 if direction_of(effects, 'favoured="treatment"') else -1.0
    except ValueError as refusal:
        raise ValueError(f'{refusal}; or give favoured="positive" or "negative"') from None


def check_variance(tau2: Any, *, number: bool = False) -> None:
    """Refuse a between-study variance that is no estimator nor, if allowed, a number."""
    if isinstance(tau2, str):
        estimator_named(tau2)
    elif number and not callable(tau2):
        checking.finite_number(tau2, "tau2", at_least=0)
    elif not callable(tau2):
        raise TypeError(f"tau2 must be a function or one of: {', '.join(ESTIMATORS)}: got {tau2!r}")


def estimator_and_interval(tau2: Any, ci: str | None) -> tuple[Any, str]:
    """Return the estimator of tau2 and the interval asked for, or those of the primary method."""
    estimator = PRIMARY.tau2 if tau2 is None else tau2
    check_variance(estimator)
    return estimator, checking.chosen(PRIMARY.ci if ci is None else ci, INTERVALS, "interval", "ci")


def refuse_one_group(effects: Effects, what: str, instead: str = "") -> None:
    """Refuse measures of one group where results are judged against no effect."""
    if not effects.scale.compares:
        raise ValueError(
            f"{what} judges results against no effect, which a {effects.scale.name} does not"
            f" have{instead and '; '}{instead}"
        )


def on_analysis_scale(effects: Effects, value: float, name: str) -> float:
    """Convert a value on the scale shown to the analysis scale."""
    scale, value = effects.scale, checking.finite_number(value, name)
    if scale.null is None:
        raise ValueError(
            f"{name} has no meaning for a {scale.name}: there is no value of no effect"
        )
    if not scale.ratio:
        return float(value)
    if not value > 0:
        raise ValueError(f"{name} must be positive for a {scale.name}: got {value:g}")
    return math.log(value)
