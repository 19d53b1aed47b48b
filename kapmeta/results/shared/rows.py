"""Rows of a set of effects: selected, turned round to the opposite event, arms swapped."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd

from kapmeta.checking import name_of
from kapmeta.core.numerics.arrays import IntArray

__all__ = [
    "absence_reason",
    "has_empty_cell",
    "joined_rows",
    "people_in",
    "positions_of",
    "rest_of_percent",
    "reversed_rows",
    "same_name",
    "swapped_rows",
]

CELLS = ("events_t", "n_t", "events_c", "n_c")
"""Columns of the counts of two arms."""

PERCENTS = ("percent_t", "percent_c")
"""Columns of the percentages printed for two arms."""

_KEEP = (
    "keep names the studies to select: names as in effects.labels, one True or False per study, or"
    " positions from 0"
)


def same_name(first: object, second: object) -> bool:
    """Decide whether two names are one, by `name_of`."""
    return name_of(first) == name_of(second)


def positions_of(keep: Any, labels: Sequence[str]) -> IntArray:
    """Find the positions that `keep` selects: by names, by a mask, by positions or by a slice."""
    if isinstance(keep, slice):
        return np.arange(len(labels))[keep]
    if isinstance(keep, bool | np.bool_):
        raise TypeError(
            f"{_KEEP}; got {keep!r} alone. labels is a tuple, so compare each:"
            ' effects.select([label != "..." for label in effects.labels])'
        )
    if isinstance(keep, str | int | np.integer):
        keep = [keep]
    try:
        values = list(keep)
    except TypeError:
        raise TypeError(f"{_KEEP}; got {type(keep).__name__}") from None
    for kinds, select in _SELECTORS:
        if all(value is pd.NA or isinstance(value, kinds) for value in values):
            return select(values, labels)
    raise TypeError(f"{_KEEP}, not a mixture of them or anything else; got {values[:3]!r}")


def _by_mask(mask: list[Any], labels: Sequence[str]) -> IntArray:
    """Select where a mask is True; refuse another length and gaps."""
    if mask and len(mask) != len(labels):
        raise ValueError(
            f"keep has {len(mask)} flags for {len(labels)} studies; give one per study"
        )
    for label, value in zip(labels, mask, strict=False):
        if value is pd.NA:
            raise ValueError(f'keep is missing for the study "{label}"; give True or False')
    return np.flatnonzero(np.array(mask, dtype=bool))


def _by_name(names: list[str], labels: Sequence[str]) -> IntArray:
    """Select the studies named, in that order; a label that occurs twice is selected twice."""
    keys = [name_of(label) for label in labels]
    found: list[int] = []
    for name in names:
        here = [i for i, key in enumerate(keys) if key == name_of(name)]
        if not here:
            raise ValueError(f'keep: no study is named "{name}"; there are: {", ".join(labels)}')
        if found and here[0] in found:
            raise ValueError(f'keep names the study "{name}" twice; a trial counts once')
        found += here
    return np.array(found, dtype=np.int64)


def _by_position(positions: list[Any], labels: Sequence[str]) -> IntArray:
    """Select by positions from 0; negative ones count from the end, as in a list."""
    found = np.array(positions, dtype=np.int64)
    k = len(labels)
    for i in found[(found < -k) | (found >= k)]:
        raise ValueError(
            f"keep: there is no study at position {i}; positions run from 0 to {k - 1}"
        )
    found = found % k if k else found
    if np.unique(found).size < found.size:
        raise ValueError("keep has a position twice; a trial counts once")
    return found


_SELECTORS = (((bool, np.bool_), _by_mask), (str, _by_name), ((int, np.integer), _by_position))


def absence_reason(cells: Sequence[float], zero: str | None) -> str:
    """Say why a table of counts has no estimate, from its cells in the order of `CELLS`."""
    a, n1, c, n2 = cells
    if a == 0 and c == 0:
        return "no event in either arm"
    if a == n1 and c == n2:
        return "the event happened to everybody in both arms"
    return f'a zero cell ({a:g} of {n1:g} v {c:g} of {n2:g}) and zero-cell rule "{zero}"'


def rest_of_percent(percent: Any) -> Any:
    """Take a printed percentage from 100, with its decimals; leave alone what is no number."""
    try:
        rest = 100 - Decimal(str(percent).strip())
    except InvalidOperation:
        return percent
    return str(rest) if isinstance(percent, str) else float(rest)


def reversed_rows(
    table: pd.DataFrame, event: str, event_is_good: bool | None, *, ratio: bool
) -> pd.DataFrame:
    """Turn rows round to the opposite event: counts, printed estimates and their limits.

    Every count of events becomes ``n - events``, a printed percentage its rest to 100; a printed
    ratio becomes its reciprocal, a printed difference changes its sign.
    """
    table = _printed_turned(table, ratio=ratio)
    if set(CELLS) <= set(table.columns):
        table = table.assign(
            events_t=table["n_t"] - table["events_t"],
            events_c=table["n_c"] - table["events_c"],
            **{name: table[name].map(rest_of_percent) for name in PERCENTS if name in table},
        )
        return table.assign(event=event, event_is_good=event_is_good)
    words = {"event": event, "event_is_good": event_is_good}
    return table.assign(**{name: word for name, word in words.items() if name in table})


def swapped_rows(table: pd.DataFrame, *, ratio: bool) -> pd.DataFrame:
    """Swap the arms of rows: columns ``..._t`` with ``..._c``, printed estimates turned round."""
    names = {"treatment": "control", "control": "treatment"}
    for column in map(str, table.columns):
        twin = re.sub("_([tc])$", lambda end: "_c" if end[1] == "t" else "_t", column)
        if twin != column and twin in table:
            names[column] = twin
    columns = table.columns
    table = _printed_turned(table, ratio=ratio).rename(columns=names)
    kept = [name for name in columns if name in table]
    return table[[*kept, *(name for name in table if name not in kept)]]


def _printed_turned(table: pd.DataFrame, *, ratio: bool) -> pd.DataFrame:
    """Turn printed estimates and limits round, to the reciprocal or to the other sign.

    They are printed ones where `printed_level` says so; other columns of those names are the
    user's own.
    """
    if "printed_level" not in table:
        return table
    columns = list(table.columns)
    table = table.rename(columns={"low": "high", "high": "low"})
    for name in ("estimate", "low", "high"):
        if name in table:
            table[name] = 1 / table[name] if ratio else -table[name]
    return table[[name for name in columns if name in table]]


def joined_rows(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Join the rows of two tables; columns of printed estimates are kept where they are printed."""
    printed = ["estimate", "low", "high"]
    parts = [
        table if "printed_level" in table else table.drop(columns=printed, errors="ignore")
        for table in (first, second)
    ]
    return pd.concat(parts, ignore_index=True)


def has_empty_cell(table: pd.DataFrame) -> bool:
    """Decide whether a table of counts has a cell of nobody, with or without the event."""
    if not set(CELLS) <= set(table.columns):
        return False
    a, n1, c, n2 = (table[name].to_numpy(dtype=np.float64) for name in CELLS)
    return bool(np.any((a == 0) | (c == 0) | (a == n1) | (c == n2)))


def people_in(table: pd.DataFrame) -> float:
    """Count the people of rows, every arm of a trial once; nan where a number is not known.

    Rows of one trial may share an arm, or be the same arms at several times: an arm is known by
    its name and counts with its largest number. Effects that combine several rows, and reported
    ones, have their number in `participants`.
    """
    studies = table["study"] if "study" in table else pd.Series(range(len(table)))
    keys = [name_of(study) for study in studies]
    return float(sum(_people_of_trial(part) for _, part in table.groupby(keys, sort=False)))


def _people_of_trial(rows: pd.DataFrame) -> float:
    """Count the people of the rows of one trial."""
    combined = "n_effects" in rows and bool((rows["n_effects"] > 1).any())
    arms: dict[str, float] = {}
    for row in [] if combined else rows.to_dict("records"):
        for side, total in (("treatment", "n_t"), ("control", "n_c")):
            name = row.get(side) if len(rows) > 1 else side
            if pd.isna(name) or pd.isna(row.get(total)):
                arms[""] = math.nan
            else:
                arms[name_of(name)] = max(arms.get(name_of(name), 0.0), float(row[total]))
    counted = math.fsum(arms.values()) if arms else math.nan
    if math.isnan(counted):
        column = rows.reindex(columns=["participants"])["participants"]
        given = pd.to_numeric(column, errors="coerce").unique()  # a user's own may hold words
        return float(given[0]) if given.size == 1 else math.nan
    return counted
