"""Columns of numbers: what counts as a number, as a count, and as a gap."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from kapmeta.checking.arguments import chosen, refuse_first
from kapmeta.core.numerics.arrays import FloatArray

__all__ = [
    "GAP_RULES",
    "counts",
    "gaps_of",
    "numbers",
    "refuse_gaps",
    "refuse_impossible",
    "refuse_negative",
    "whole",
    "with_numbers",
]

GAP_RULES = ("exclude", "raise")
"""What is done about a row with an empty cell: set it aside with its reason, or refuse it."""

_EXACT = 2.0**53  # whole numbers from here on are not all floating-point numbers
_BREADTH = 8 * np.finfo(np.float64).eps  # rounding errors of a few products and quotients


def _number_of(value: Any) -> float | None:
    """Return a number as a float, nan for an empty cell, or None for what is not a number."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, Real | Decimal):
        return float(value)
    if value is None or value is pd.NA or (isinstance(value, str) and not value.strip()):
        return np.nan
    return None


def _kind_of(value: Any) -> str:
    """Say what a value is that is not a number, and what to do about it."""
    if isinstance(value, bool | np.bool_):
        return "it is a flag; give a number"
    if isinstance(value, str):
        return "it is text; give a number, or an empty cell where none was reported"
    if isinstance(value, datetime.date | datetime.timedelta | np.datetime64 | np.timedelta64):
        return "it is a date, perhaps made of a number by a spreadsheet; give the number"
    return "give a number"


def numbers(
    frame: pd.DataFrame, column: str, labels: tuple[str, ...], *, missing: bool = False
) -> FloatArray:
    """Read a column as float64; refuse what is not a number and, unless `missing`, gaps.

    Integers, floats, decimals and nullable or Arrow columns of them are numbers. Text, dates and
    flags are not, and neither is an infinite value. Blank text is a gap.
    """
    series = frame[column]
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iuf":
        values = series.to_numpy(dtype=np.float64)
        bad = np.isinf(values)
    else:
        read = [np.nan if value is pd.NaT else _number_of(value) for value in series]
        bad = np.array([value is None or np.isinf(value) for value in read], dtype=bool)
        values = np.array([np.nan if value is None else value for value in read], dtype=np.float64)
    refuse_first(
        bad,
        labels,
        f"{column} is not a number",
        lambda i: f"{column} = {series.tolist()[i]!r}; {_kind_of(series.iloc[i])}",
    )
    if not missing:
        refuse_gaps({column: values}, labels)
    return values


def with_numbers(frame: pd.DataFrame, cells: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Replace the columns that do not hold these numbers as integers or floats already."""
    changed = {
        name: values
        for name, values in cells.items()
        if not isinstance(frame[name].dtype, np.dtype)
        or frame[name].dtype.kind not in "iuf"
        or not np.array_equal(frame[name].to_numpy(dtype=np.float64), values, equal_nan=True)
    }
    return frame.assign(**changed)


def refuse_gaps(cells: Mapping[str, FloatArray], labels: tuple[str, ...]) -> None:
    """Refuse empty cells, naming the column, the row and the study."""
    for column, values in cells.items():
        refuse_first(
            np.isnan(values),
            labels,
            f"{column} is missing",
            f"{column} is empty; give the number, or leave the row out and say why",
        )


def gaps_of(
    cells: Mapping[str, FloatArray], labels: tuple[str, ...], missing: str = "exclude"
) -> dict[int, str]:
    """Return the position of each row with an empty cell and the reason that names the cells.

    Parameters
    ----------
    cells : mapping of str to ndarray
        Columns of numbers, nan where empty.
    labels : tuple of str
        Study labels, for errors.
    missing : {"exclude", "raise"}
        Whether such rows are listed or refused.
    """
    if chosen(missing, GAP_RULES, "rule for missing numbers") == "raise":
        refuse_gaps(cells, labels)
    empty = {name: np.isnan(values) for name, values in cells.items()}
    rows = np.flatnonzero(np.any(list(empty.values()), axis=0))
    return {int(i): _gap_reason([name for name, at in empty.items() if at[i]]) for i in rows}


def _gap_reason(columns: list[str]) -> str:
    """Write ``events_t is empty`` or ``events_t, n_t and n_c are empty``."""
    listed = " and ".join(filter(None, (", ".join(columns[:-1]), columns[-1])))
    return f"{listed} {'is' if len(columns) == 1 else 'are'} empty"


def refuse_negative(values: FloatArray, column: str, labels: tuple[str, ...]) -> None:
    """Refuse numbers below 0 where only counts or times can be."""
    refuse_first(
        values < 0,
        labels,
        f"{column} is negative",
        lambda i: f"{column} = {values[i]:g}; it starts at 0",
    )


def whole(values: FloatArray, column: str, labels: tuple[str, ...]) -> FloatArray:
    """Return counts as whole numbers; refuse fractions and numbers too large to be exact.

    A number within rounding error of a whole one, such as ``0.07 * 100``, is that number.
    """
    nearest = np.round(values)
    near = np.abs(values - nearest) <= _BREADTH * np.maximum(np.abs(nearest), 1.0)
    refuse_first(
        ~near & ~np.isnan(values),
        labels,
        f"{column} is not a whole number",
        lambda i: f"{column} = {float(values[i])!r}; give the count, not a percentage",
    )
    refuse_first(
        np.abs(values) >= _EXACT,
        labels,
        f"{column} is too large to be exact",
        lambda i: f"{column} = {values[i]:g}; counts from 2^53 on are not exact; check the number",
    )
    return np.asarray(nearest)


def counts(
    frame: pd.DataFrame,
    totals: Mapping[str, str],
    labels: tuple[str, ...],
    *,
    missing: bool = False,
) -> dict[str, FloatArray]:
    """Read columns of events, each with the column of its total, as possible counts.

    Parameters
    ----------
    frame : DataFrame
        Rows with all the columns.
    totals : mapping of str to str
        Column of events to the column of its total.
    labels : tuple of str
        Study labels, for errors.
    missing : bool
        Whether empty cells are kept, as nan, or refused.

    Returns
    -------
    dict of str to ndarray
        Events and total of each pair in turn.
    """
    columns = [name for pair in totals.items() for name in pair]
    cells = {name: numbers(frame, name, labels, missing=missing) for name in columns}
    for name, values in cells.items():
        refuse_negative(values, name, labels)
        cells[name] = whole(values, name, labels)
    for events, total in totals.items():
        refuse_impossible(cells[events], cells[total], (events, total), labels)
    return cells


def refuse_impossible(
    x: FloatArray, n: FloatArray, names: tuple[str, str], labels: tuple[str, ...]
) -> None:
    """Refuse groups of nobody and events that exceed their total."""
    events, total = names
    empty = f"a group without participants gives no information; leave the row out ({total} = 0)"
    refuse_first(n == 0, labels, f"{total} is 0", empty)
    refuse_first(
        x > n, labels, "events exceed total", lambda i: f"{events} = {x[i]:g} > {total} = {n[i]:g}"
    )
