"""Numbers of missing outcomes per arm: read, checked, and divided where the arms are unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.sensitivity.missing import Arm
from kapmeta.effects.counts import Names, counts_of, split_names
from kapmeta.results.effects import Effects, direction_of

__all__ = ["Observed", "counted_as", "number_missing", "observed", "words_in_use"]

_COUNTED: Mapping[str, tuple[bool, bool]] = {
    "no event": (False, False),
    "event": (True, True),
    "event under treatment": (True, False),
    "event under control": (False, True),
}
"""Whether the missing under treatment and under control are counted as events, by name."""

_BY_DIRECTION = ("best", "worst")


def counted_as(word: str, effects: Effects) -> tuple[bool, bool] | None:
    """Say whether the missing of each arm are counted as events; None for other assumptions.

    "best" and "worst" are so for treatment, and refused while it is not known whether the event is
    good: "event under treatment" and "event under control" are the same tables by neutral names.
    """
    if word not in _BY_DIRECTION:
        return _COUNTED.get(word)
    try:
        good = direction_of(effects, f'the missing at their "{word}"')
    except ValueError as refusal:
        raise ValueError(
            f'{refusal}; or use "event under treatment" and "event under control"'
        ) from None
    return (good, not good) if word == "best" else (not good, good)


def words_in_use(words: Iterable[str], effects: Effects) -> list[str]:
    """Leave out the pair of extremes that is not asked for: by direction, or by neutral names."""
    neutral = ("event under treatment", "event under control")
    unused = _BY_DIRECTION if effects.event_is_good is None else neutral
    return [word for word in words if word not in unused]


TOTALS = ("randomised", "observed")
"""Whether the totals count the missing participants too, or not."""


class Observed(NamedTuple):
    """Both arms of each trial with their missing outcomes, and the labels of the trials."""

    treatment: Arm
    control: Arm
    labels: tuple[str, ...]
    frame: pd.DataFrame
    splits: list[tuple[tuple[float, float], ...]]
    inside: bool  # whether the totals given count the missing too


def observed(
    trials: pd.DataFrame, totals: str, reasons: Mapping[str, Any] | None, names: Names
) -> Observed:
    """Read and check both arms of the trials, the missing apart, by reason if given."""
    checking.chosen(totals, TOTALS, "meaning of totals")
    columns, _ = split_names(names)
    frame, labels, cells = counts_of(trials, columns)
    splits: list[tuple[tuple[float, float], ...]] = [((np.nan, np.nan),)] * len(labels)
    if not reasons:
        splits = _splits(frame, labels, cells, totals)
    arms = []
    for side in ("t", "c"):
        many = (
            _by_reasons(frame, labels, side, reasons)
            if reasons
            else _missing_of_arm(frame, labels, side)[None]
        )
        some = np.where(np.isnan(many), 0.0, many)
        n, lost = cells[f"n_{side}"], some.sum(0)
        _refuse_missing(labels, cells[f"events_{side}"], n, lost, side, totals)
        arms.append(Arm(cells[f"events_{side}"], n - lost if totals == "randomised" else n, some))
    return Observed(arms[0], arms[1], labels, frame, splits, totals == "randomised")


def number_missing(trials: pd.DataFrame) -> float:
    """Count the missing of all trials, from arms or totals; nan where a trial gives neither."""
    empty = pd.Series(np.nan, index=trials.index)
    by_treatment, by_control, total = (
        pd.to_numeric(trials.get(name, empty), errors="coerce").to_numpy(
            dtype=np.float64, na_value=np.nan
        )
        for name in ("missing_t", "missing_c", "missing")
    )
    by_arm = by_treatment + by_control
    return float(np.where(np.isnan(by_arm), total, by_arm).sum())


def _missing_of_arm(frame: pd.DataFrame, labels: tuple[str, ...], side: str) -> FloatArray:
    column = f"missing_{side}"
    if column not in frame:
        if "missing" in frame:
            return np.full(len(labels), np.nan)
        raise ValueError(
            f'trials has no column "{column}"; give the number missing in each arm (missing_t,'
            " missing_c), or in each trial (missing) where the arms are not known"
        )
    values = checking.numbers(frame, column, labels, missing=True)
    _refuse_fractions(values, column, labels)
    return values


def _refuse_fractions(values: FloatArray, column: str, labels: tuple[str, ...]) -> None:
    with np.errstate(invalid="ignore"):
        bad = (values < 0) | (values != np.floor(values)) & ~np.isnan(values)
    checking.refuse_first(
        bad,
        labels,
        lambda i: f"{column} is not a count",
        lambda i: f"{column} = {values[i]:g}; give a whole number from 0",
    )


def _splits(
    frame: pd.DataFrame, labels: tuple[str, ...], cells: Mapping[str, FloatArray], totals: str
) -> list[tuple[tuple[float, float], ...]]:
    """List the possible divisions of each trial's missing between its arms; one where known."""
    arms = [_missing_of_arm(frame, labels, side) for side in ("t", "c")]
    whole = (
        checking.numbers(frame, "missing", labels, missing=True)
        if "missing" in frame
        else np.full(len(labels), np.nan)
    )
    _refuse_fractions(whole, "missing", labels)
    known = ~np.isnan(arms[0]) & ~np.isnan(arms[1])
    with np.errstate(invalid="ignore"):
        clash = known & ~np.isnan(whole) & (arms[0] + arms[1] != whole)
    checking.refuse_first(
        clash,
        labels,
        lambda i: "missing does not add up",
        lambda i: (
            f"missing_t = {arms[0][i]:g} and missing_c = {arms[1][i]:g}, but missing = {whole[i]:g}"
        ),
    )
    checking.refuse_first(
        ~known & np.isnan(whole),
        labels,
        lambda i: "the number missing is not known",
        lambda i: (
            "missing_t or missing_c is empty; give both, or their total in a column missing, or"
            " leave the trial out"
        ),
    )
    known_or_whole = np.where(known, arms[0] + arms[1], whole)
    return [
        _ways(i, labels[i], arms, float(known_or_whole[i]), cells, totals)
        for i in range(len(labels))
    ]


def _ways(
    i: int,
    label: str,
    arms: list[FloatArray],
    whole: float,
    cells: Mapping[str, FloatArray],
    totals: str,
) -> tuple[tuple[float, float], ...]:
    """List the divisions of `whole` missing of trial i that agree with its known arms."""
    ways = [(float(x), whole - x) for x in range(int(whole) + 1)]
    for side in (0, 1):
        if not np.isnan(arms[side][i]):
            ways = [way for way in ways if way[side] == arms[side][i]]
    if totals == "randomised" and len(ways) > 1:
        room = [cells[f"n_{side}"][i] - cells[f"events_{side}"][i] for side in ("t", "c")]
        ways = [way for way in ways if way[0] <= room[0] and way[1] <= room[1]]
    if not ways:
        raise ValueError(
            f'missing does not add up in row {i + 1} ("{label}"): no division of {whole:g} fits the'
            " arms"
        )
    return tuple(ways)


def _by_reasons(
    frame: pd.DataFrame, labels: tuple[str, ...], side: str, reasons: Mapping[str, Any]
) -> FloatArray:
    """Read the missing by reason, shape (reasons, studies), and check their sum if given."""
    names = [f"missing_{side}_{reason}" for reason in reasons]
    lost = [name for name in names if name not in frame]
    if lost:
        raise ValueError(
            f'trials has no column "{lost[0]}"; reasons are read from: {", ".join(names)}'
        )
    many = np.stack([checking.numbers(frame, name, labels) for name in names])
    for name, values in zip(names, many, strict=True):
        _refuse_fractions(values, name, labels)
    if f"missing_{side}" in frame:
        total = checking.numbers(frame, f"missing_{side}", labels, missing=True)
        checking.refuse_first(
            ~np.isnan(total) & (many.sum(0) != total),
            labels,
            lambda i: "reasons do not add up",
            lambda i: (
                f"{' + '.join(names)} = {many.sum(0)[i]:g}, but missing_{side} = {total[i]:g}"
            ),
        )
    return many


def _refuse_missing(
    labels: tuple[str, ...],
    events: FloatArray,
    n: FloatArray,
    lost: FloatArray,
    side: str,
    totals: str,
) -> None:
    if totals == "observed":
        return
    checking.refuse_first(
        lost > n,
        labels,
        lambda i: "missing exceed total",
        lambda i: f"missing_{side} = {lost[i]:g} > n_{side} = {n[i]:g}",
    )
    checking.refuse_first(
        events + lost > n,
        labels,
        lambda i: "events and missing exceed total",
        lambda i: (
            f"events_{side} = {events[i]:g} and missing_{side} = {lost[i]:g} > n_{side} = {n[i]:g};"
            ' if n counts only those observed, use totals="observed"'
        ),
    )
    checking.refuse_first(
        lost == n,
        labels,
        lambda i: f"nobody was observed in arm {side}",
        lambda i: "leave the trial out",
    )
