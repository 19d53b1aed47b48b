"""Effects from estimates: as a trial reported them, or as any other table gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import reported_effects
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.effects.counts import outcome_of
from kapmeta.effects.printed_precisions import refuse_disagreement
from kapmeta.measures import Measure, measure_named
from kapmeta.results.effects import Effects

__all__ = ["generic", "reported"]


@checking.checked
def reported(
    frame: pd.DataFrame,
    *,
    measure: str | None = None,
    study: str | float = "study",
    estimate: str | float = "estimate",
    low: str | float = "low",
    high: str | float = "high",
    se: str | float = "se",
    p_value: str | float = "p_value",
    level: float = 0.95,
    event: str | None = None,
    event_is_good: bool | None = None,
    treatment: str | None = None,
    control: str | None = None,
    rename: Mapping[str, str] | None = None,
    missing: str = "exclude",
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
        Columns. Estimates and limits are given as printed: ratios, not their logarithms;
        correlations, not Fisher's z; proportions, not logits. `se` is on the analysis scale (log
        for ratios, Fisher's z for ``"ZCOR"``, logit for ``"PLO"``, arcsine for ``"PAS"``).
    level : float
        Level of the printed interval.
    event, event_is_good, treatment, control, rename : optional
        As in `risk_ratio`.
    missing : {"exclude", "raise"}
        What is done about a row without an estimate or without any precision: it stays in the
        table, out of the pool, with the reason, or it is an error.

    Returns
    -------
    Effects
        Effects on the analysis scale. The column `asymmetric` of their table flags an interval that
        is not centred on its estimate within a tenth of a standard error: rounding, or a misprint.

    Raises
    ------
    ValueError
        If a column that was named is absent, a number is impossible for the measure (a ratio that
        is not positive, a proportion outside 0 to 1, a p-value that is not between 0 and 1, a
        standard error that is not positive), an estimate lies outside its own interval, or the
        interval, the standard error and the p-value of a row disagree.

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
    columns = checking.renamed({"study": study, "estimate": estimate}, rename)
    optional = {"low": low, "high": high, "se": se, "p_value": p_value}
    rows = checking.columns_of(frame, columns, "frame", optional=optional)
    labels = checking.study_labels(rows, "frame")
    scale = measure_named(_one_measure(rows, measure))
    value, given = _numbers_of(rows, labels, scale)
    gaps = _gaps(value, given, labels, missing)
    refuse_disagreement(value, given, scale, level, labels)
    best = _estimates_of(value, given, level, scale)
    _refuse_no_precision(best.absent, gaps, scale, labels)
    outcome = {
        "event": event,
        "event_is_good": event_is_good,
        "treatment": treatment,
        "control": control,
    }
    rows = _as_read(rows, value, given)
    rows = rows.assign(asymmetric=~best.consistent, printed_level=level)
    words: dict[str, Any] = {"interval": "as reported", **outcome_of(rows, outcome)}
    return Effects(best.y, best.v, labels, scale.key, rows, excluded=gaps, **words)


_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"RD": (-1.0, 1.0), "AS": (-np.pi / 2, np.pi / 2), "ZCOR": (-1.0, 1.0)}
)
"""Possible values of measures that are shown without clipping, on the scale shown."""


def _numbers_of(
    rows: pd.DataFrame, labels: tuple[str, ...], scale: Measure
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Read estimates and what gives their precision, nan where empty; refuse impossible ones."""
    value = checking.numbers(rows, "estimate", labels, missing=True)
    given = {name: _optional(rows, name, labels) for name in ("low", "high", "se", "p_value")}
    lowest, highest = (0.0, np.inf) if scale.ratio else scale.limits
    lowest, highest = _RANGES.get(scale.key, (lowest, min(highest, scale.limits[1])))
    for name, x in {"estimate": value, "low": given["low"], "high": given["high"]}.items():
        if scale.ratio and scale.compares:
            _refuse_logs(x, name, labels)
        checking.refuse_first(
            (x < lowest) | (x > highest),
            labels,
            f"{name} of a {scale.name} is out of range",
            lambda i, name=name, x=x: (  # type: ignore[misc]
                f"{name} = {x[i]:g} is not in {lowest:g} to {highest:g}; give it as printed, on the"
                " scale shown, and not in per cent"
            ),
        )
    checking.refuse_first(
        np.isinf(scale.analysed(value)),
        labels,
        f"estimate of a {scale.name} is at the end of its range",
        lambda i: f"estimate = {value[i]:g} is infinite on the analysis scale; use the counts",
    )
    _refuse_precisions(given, labels)
    _refuse_estimate_outside(value, given, labels)
    return value, given


def _as_read(
    rows: pd.DataFrame, value: FloatArray, given: Mapping[str, FloatArray]
) -> pd.DataFrame:
    """Put the numbers read in the place of the columns that are there."""
    there = {name: x for name, x in given.items() if name in rows}
    return checking.with_numbers(rows, {"estimate": value, **there})


def _refuse_precisions(given: Mapping[str, FloatArray], labels: tuple[str, ...]) -> None:
    """Refuse standard errors that are not positive and p-values that are not between 0 and 1."""
    se, p = given["se"], given["p_value"]
    checking.refuse_first(
        se <= 0,
        labels,
        "se is not positive",
        lambda i: f"se = {se[i]:g}; a standard error is above 0",
    )
    checking.refuse_first(
        (p <= 0) | (p >= 1),
        labels,
        "p_value is not between 0 and 1",
        lambda i: f"p_value = {p[i]:g}; a p-value is a proportion, not in per cent",
    )


def _gaps(
    value: FloatArray, given: Mapping[str, FloatArray], labels: tuple[str, ...], missing: str
) -> dict[int, str]:
    """List the rows without an estimate or without any precision, with their reasons."""
    if all(np.isnan(x).all() for x in given.values()):
        raise ValueError(
            f'nothing gives the precision in row 1 ("{labels[0]}"), nor in any other: give columns'
            " of both limits (low, high), a standard error (se), or a p-value (p_value)"
        )
    gaps = checking.gaps_of({"estimate": value}, labels, missing)
    nothing = np.all([np.isnan(x) for x in given.values()], axis=0)
    if missing == "raise":
        why = "low, high, se and p_value are empty; give one, or leave the row out and say why"
        checking.refuse_first(nothing, labels, "nothing gives the precision", why)
    for i in map(int, np.flatnonzero(nothing)):
        gaps.setdefault(i, "low, high, se and p_value are empty")
    return gaps


def _refuse_no_precision(
    absent: BoolArray, gaps: Mapping[int, str], scale: Measure, labels: tuple[str, ...]
) -> None:
    """Refuse a row whose numbers give no variance though something is printed."""
    lacking = absent.copy()
    lacking[list(gaps)] = False
    why = "both limits, or a standard error"
    checking.refuse_first(
        lacking,
        labels,
        "nothing gives the precision",
        f"a p-value of no effect gives none; give {why}"
        if scale.compares
        else f"a {scale.name} has no value of no effect, so a p-value gives none; give {why}",
    )


def _estimates_of(
    value: FloatArray, given: Mapping[str, FloatArray], level: float, scale: Measure
) -> reported_effects.Reported:
    """Read each row from its limits, else its standard error, else its p-value."""
    y, low, high = (scale.analysed(x) for x in (value, given["low"], given["high"]))
    ways = [reported_effects.from_standard_error(y, given["se"], ratio=False)]
    if scale.compares:
        ways.append(reported_effects.from_p_value(y, given["p_value"], ratio=False))
    best = reported_effects.from_interval(y, low, high, ratio=False, level=level)
    for other in ways:
        pairs = zip(best, other, strict=True)
        best = reported_effects.Reported(
            *(np.where(best.absent, second, first) for first, second in pairs)
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


@checking.checked
def generic(
    frame: pd.DataFrame,
    *,
    y: str | float = "y",
    v: str | float = "v",
    study: str | float = "study",
    measure: str = "GEN",
    event: str | None = None,
    event_is_good: bool | None = None,
    treatment: str | None = None,
    control: str | None = None,
    rename: Mapping[str, str] | None = None,
    missing: str = "exclude",
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
    event, event_is_good, treatment, control, rename : optional
        As in `risk_ratio`.
    missing : {"exclude", "raise"}
        What is done about a row without an effect or a variance: it stays in the table, out of the
        pool, with the reason, or it is an error.

    Returns
    -------
    Effects
        The effects.

    Raises
    ------
    ValueError
        If a column is missing, a value is not a number, or a variance is not positive and finite.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> found = pd.DataFrame({"study": ["A", "B"], "y": [0.1, 0.4], "v": [0.02, 0.05]})
    >>> km.generic(found, measure="SMD")
    Effects(SMD, k=2)
    """
    columns = checking.renamed({"study": study, "y": y, "v": v}, rename)
    rows = checking.columns_of(frame, columns, "frame")
    labels = checking.study_labels(rows, "frame")
    cells = {name: checking.numbers(rows, name, labels, missing=True) for name in ("y", "v")}
    checking.refuse_first(
        cells["v"] <= 0,
        labels,
        "v is not positive",
        lambda i: f"v = {cells['v'][i]:g}; a sampling variance is above 0",
    )
    gaps = checking.gaps_of(cells, labels, missing)
    there = ~np.isin(np.arange(len(labels)), list(gaps))
    effect, variance = (
        np.where(there, cells[name], empty) for name, empty in (("y", np.nan), ("v", np.inf))
    )
    rows = checking.with_numbers(rows, cells)
    outcome = {
        "event": event,
        "event_is_good": event_is_good,
        "treatment": treatment,
        "control": control,
    }
    names = outcome_of(rows, outcome)
    return Effects(effect, variance, labels, measure, rows, excluded=gaps, **names)
