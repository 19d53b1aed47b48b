"""Effects from estimates: as a trial reported them, or as any other table gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import reported_effects
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.effects.counts import outcome_of
from kapmeta.measures import measure_named
from kapmeta.results.effects import Effects

__all__ = ["generic", "reported"]


def reported(
    frame: pd.DataFrame,
    *,
    measure: str | None = None,
    study: str = "study",
    estimate: str = "estimate",
    low: str = "low",
    high: str = "high",
    se: str = "se",
    p_value: str = "p_value",
    level: float = 0.95,
    event: str | None = None,
    event_is_good: bool | None = None,
    treatment: str | None = None,
    control: str | None = None,
) -> Effects:
    """Read effects as papers print them: with interval, standard error or p-value.

    For trials whose counts were not printed. Where counts are known use them: a reported ratio may
    be adjusted and is rounded.

    Parameters
    ----------
    frame : DataFrame
        One row per effect. Each row needs the estimate and, in this order of preference, both
        limits, a standard error, or a two-sided p-value.
    measure : str, optional
        Key of `kapmeta.measures.MEASURES`; else the column `measure`, which must be the same in all
        rows.
    study, estimate, low, high, se, p_value : str
        Columns. Ratios and their limits are given as printed, not as logarithms; `se` is on the
        analysis scale (log for ratios).
    level : float
        Level of the printed interval.
    event, event_is_good, treatment, control : optional
        As in `risk_ratio`.

    Returns
    -------
    Effects
        Effects on the analysis scale. The column `asymmetric` of their table flags an interval that
        is not centred on its estimate within a tenth of a standard error: rounding, or a misprint.

    Raises
    ------
    ValueError
        If an estimate lies outside its own interval, a ratio is not positive, or a row gives
        no precision.

    Examples
    --------
    An odds ratio of relapse, turned round to one of abstinence:

    >>> import pandas as pd
    >>> import kapmeta as km
    >>> paper = pd.DataFrame({"study": ["Grabski 2022"], "estimate": [0.80], "low": [0.31],
    ...                       "high": [2.10]})
    >>> relapse = km.reported(paper, measure="OR", event="relapse", event_is_good=False)
    >>> round(float(relapse.y[0]), 6), round(float(relapse.se[0]), 6)
    (-0.223144, 0.48805)
    >>> print(relapse.reversed("abstinence").summary())
    Odds ratio of abstinence, treatment v control: 1 study.
      Grabski 2022: OR 1.25 (0.48 to 3.23)
    """
    level = checking.proportion(level, "level")
    rows = checking.columns_of(frame, {"study": study, "estimate": estimate}, "frame")
    labels = checking.study_labels(rows, "frame")
    optional = {"low": low, "high": high, "se": se, "p_value": p_value}
    rows = rows.rename(columns={user: name for name, user in optional.items() if user in rows})
    scale = measure_named(_one_measure(rows, measure))
    best = _estimates_of(rows, labels, level, scale.ratio)
    outcome = {
        "event": event,
        "event_is_good": event_is_good,
        "treatment": treatment,
        "control": control,
    }
    rows = rows.assign(asymmetric=~best.consistent, printed_level=level)
    return Effects(
        best.y, best.v, labels, scale.key, rows, interval="as reported", **outcome_of(rows, outcome)
    )


def _estimates_of(
    rows: pd.DataFrame, labels: tuple[str, ...], level: float, ratio: bool
) -> reported_effects.Reported:
    """Read effects and variances from checked columns of default names."""
    given = {name: _optional(rows, name, labels) for name in ("low", "high", "se", "p_value")}
    value = checking.numbers(rows, "estimate", labels)
    if ratio:
        for name, x in {"estimate": value, "low": given["low"], "high": given["high"]}.items():
            _refuse_logs(x, name, labels)
    _refuse_estimate_outside(value, given, labels)
    best = _most_informative(value, given, level, ratio)
    checking.refuse_first(
        best.absent,
        labels,
        "nothing gives the precision",
        "give both limits, a positive standard error, or a p-value between 0 and 1",
    )
    return best


def _one_measure(rows: pd.DataFrame, measure: str | None) -> str:
    if measure is not None:
        return measure
    words: list[Any] = list(rows["measure"].unique()) if "measure" in rows else []
    if len(words) != 1:
        found = (
            f"the column holds {', '.join(map(str, words))}"
            if len(words)
            else "there is no such column"
        )
        raise ValueError(
            f'measure must be one word for all rows: {found}; pass measure="OR" or the like'
        )
    return str(words[0])


def _optional(rows: pd.DataFrame, name: str, labels: tuple[str, ...]) -> FloatArray:
    if name not in rows:
        return np.full(len(rows), np.nan)
    return checking.numbers(rows, name, labels, missing=True)


def _refuse_logs(x: FloatArray, name: str, labels: tuple[str, ...]) -> None:
    checking.refuse_first(
        x < 0 if name == "low" else x <= 0,
        labels,
        f"{name} of a ratio is not positive",
        lambda i: f"{name} = {x[i]:g}; give ratios as printed, not their logarithms",
    )


def _refuse_estimate_outside(
    value: FloatArray, given: Mapping[str, FloatArray], labels: tuple[str, ...]
) -> None:
    low, high = given["low"], given["high"]
    checking.refuse_first(
        (value < low) | (value > high),
        labels,
        "estimate lies outside its own interval",
        lambda i: (
            f"{value[i]:g} is not in {low[i]:g} to {high[i]:g}: one of the three is misprinted;"
            " check the source"
        ),
    )


def _most_informative(
    value: FloatArray, given: Mapping[str, FloatArray], level: float, ratio: bool
) -> reported_effects.Reported:
    """Read each row from its limits, else its standard error, else its p-value."""
    best = reported_effects.from_interval(
        value, given["low"], given["high"], ratio=ratio, level=level
    )
    for other in (
        reported_effects.from_standard_error(value, given["se"], ratio=ratio),
        reported_effects.from_p_value(value, given["p_value"], ratio=ratio),
    ):
        pairs = zip(best, other, strict=True)
        best = reported_effects.Reported(
            *(np.where(best.absent, second, first) for first, second in pairs)
        )
    return best


def generic(
    frame: pd.DataFrame,
    *,
    y: str = "y",
    v: str = "v",
    study: str = "study",
    measure: str = "GEN",
    event: str | None = None,
    event_is_good: bool | None = None,
    treatment: str | None = None,
    control: str | None = None,
) -> Effects:
    """Take effects and variances that were computed elsewhere, as they are.

    Parameters
    ----------
    frame : DataFrame
        One row per effect.
    y, v : str
        Columns of the effects on the analysis scale (log for ratios) and of their sampling
        variances.
    study : str
        Column of the labels.
    measure : str
        Key of `kapmeta.measures.MEASURES`; decides how effects are shown.
    event, event_is_good, treatment, control : optional
        As in `risk_ratio`.

    Returns
    -------
    Effects
        The effects.

    Raises
    ------
    ValueError
        If a variance is not positive and finite, or a number is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> found = pd.DataFrame({"study": ["A", "B"], "y": [0.1, 0.4], "v": [0.02, 0.05]})
    >>> km.generic(found, measure="SMD")
    Effects(SMD, k=2)
    """
    rows = checking.columns_of(frame, {"study": study, "y": y, "v": v}, "frame")
    labels = checking.study_labels(rows, "frame")
    effect, variance = (checking.numbers(rows, name, labels) for name in ("y", "v"))
    checking.refuse_first(
        variance <= 0,
        labels,
        "v is not positive",
        lambda i: f"v = {variance[i]:g}; a sampling variance is above 0",
    )
    outcome = {
        "event": event,
        "event_is_good": event_is_good,
        "treatment": treatment,
        "control": control,
    }
    return Effects(effect, variance, labels, measure, rows, **outcome_of(rows, outcome))
