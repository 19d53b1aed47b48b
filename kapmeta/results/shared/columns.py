"""Columns of a table of studies, read as numbers, as names of levels, or as an order.

A spreadsheet gives numbers as text, one level in two spellings, and cells that are empty. What a
column holds is decided here, once, for moderators, subgroups and orders.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray

__all__ = ["ColumnReading", "empty_cells", "level_names", "levels_of", "order_of", "read_column"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class ColumnReading(NamedTuple):
    """A column as numbers or as levels; the other of the two is None.

    `numbers` are nan and `names` are empty where the cell is empty. `from_text` says that numbers
    were written as text.
    """

    numbers: FloatArray | None
    names: tuple[str, ...]
    levels: tuple[str, ...] | None
    from_text: bool = False


def empty_cells(column: pd.Series[Any]) -> BoolArray:
    """Mark the cells that hold nothing, or nothing but blanks."""
    return np.array([name == "" for name in level_names(column)], dtype=bool)


def level_names(column: pd.Series[Any]) -> tuple[str, ...]:
    """Write the name of the level of each cell; empty where the cell is."""
    return tuple(checking.name_of(value) for value in column)


def levels_of(column: pd.Series[Any]) -> tuple[str, ...]:
    """List the levels that occur: in the order of a categorical, or else of appearance."""
    names = [name for name in level_names(column) if name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        ordered = dict.fromkeys(checking.name_of(category) for category in column.cat.categories)
        return tuple(name for name in ordered if name in set(names))
    return tuple(dict.fromkeys(names))


def read_column(column: pd.Series[Any], name: str, labels: tuple[str, ...]) -> ColumnReading:
    """Read a column as numbers, or as levels where it holds words or is a categorical.

    Numbers written as text are numbers, if all of them are.

    Parameters
    ----------
    column : Series
        One cell per study; empty ones are kept.
    name : str
        What the column is called, for errors.
    labels : tuple of str
        Labels of the studies, for errors.

    Raises
    ------
    ValueError
        If numbers and words are mixed, or the cells are dates or of another kind.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return ColumnReading(None, level_names(column), levels_of(column))
    empty = empty_cells(column)
    kinds = np.array(["" if no else _kind(x) for x, no in zip(column, empty, strict=True)])
    _refuse_kinds(column, kinds, name, labels)
    if (kinds == "word").any():
        names = level_names(column)
        return ColumnReading(None, names, tuple(sorted({each for each in names if each})))
    values = [np.nan if no else float(x) for x, no in zip(column, empty, strict=True)]
    return ColumnReading(
        np.array(values, dtype=np.float64), (), None, bool((kinds == "text").any())
    )


def order_of(column: pd.Series[Any], name: str, labels: tuple[str, ...]) -> IntArray:
    """Return the positions of the cells in order: of numbers, dates, a categorical, or words.

    Ties stay as given. Numbers written as text are in the order of numbers.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.argsort(column.cat.codes.to_numpy(), kind="stable")
    kinds = np.array([_kind(value) for value in column])
    if (kinds == "date").all():
        dates = pd.to_datetime(column, utc=True).to_numpy()
        return np.argsort(dates, kind="stable")
    found = read_column(column, name, labels)
    keys = found.numbers if found.numbers is not None else np.array(found.names)
    return np.argsort(keys, kind="stable")


def _kind(value: Any) -> str:
    """Name what one cell holds: a number, a number as text, a word, a date, or something else."""
    if isinstance(value, str):
        return "text" if _NUMBER.fullmatch(value.strip()) else "word"
    if isinstance(value, bool | int | float | Decimal | np.bool_ | np.number):
        return "number"
    if isinstance(value, datetime.date | np.datetime64 | pd.Period):
        return "date"
    return "other"


def _refuse_kinds(column: pd.Series[Any], kinds: Any, name: str, labels: tuple[str, ...]) -> None:
    """Refuse dates and other things, and numbers mixed with words."""
    values = column.tolist()
    checking.refuse_first(
        kinds == "date",
        labels,
        f"{name} is a date",
        lambda i: f"{name} = {values[i]}; give a number, e.g. the year",
    )
    checking.refuse_first(
        kinds == "other",
        labels,
        f"{name} is no number and no text",
        lambda i: f"{name} = {values[i]!r}",
    )
    if ((kinds == "number") | (kinds == "text")).any():
        checking.refuse_first(
            kinds == "word",
            labels,
            f"{name} mixes numbers and text",
            lambda i: (
                f"{name} = {values[i]!r}; give a number, or make the column a categorical if its"
                " values are names"
            ),
        )
