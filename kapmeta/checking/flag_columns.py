"""Columns of flags: true, false, or not established."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kapmeta.checking.arguments import refuse_first
from kapmeta.checking.name_columns import name_of
from kapmeta.core.numerics.arrays import BoolArray

__all__ = ["established", "flags"]

_FLAGS = {
    **dict.fromkeys(("true", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "no", "n", "0"), False),
}


def flags(table: pd.DataFrame, column: str) -> pd.Series[Any]:
    """Read a column of flags as nullable booleans; keep gaps and refuse everything else.

    Flags are booleans, 0 and 1, and yes, no, true, false, y and n in any case, with blanks around.

    Parameters
    ----------
    table : DataFrame
        Rows with the column; `study`, if there, names the rows in errors.
    column : str
        The column to read.

    Returns
    -------
    Series of boolean
        In the order of the rows; `pd.NA` where the cell is empty.

    Raises
    ------
    ValueError
        If a value is not a flag, naming row, study, value and what is accepted.

    Examples
    --------
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "randomised": ["yes", " No", None]})
    >>> flags(trials, "randomised").tolist()
    [True, False, <NA>]
    """
    series = table[column]
    if series.dtype == bool:
        return series.astype("boolean")
    read = [_flag_of(value) for value in series]
    labels = table.get("study", table.index)
    refuse_first(
        np.array([value is None for value in read], dtype=bool),
        tuple(map(str, labels)),
        f"{column} is not a flag",
        lambda i: (
            f"{column} = {series.tolist()[i]!r}; give True or False, yes or no, true or false, y or"
            " n, 1 or 0, or leave the cell empty"
        ),
    )
    return pd.Series(read, index=series.index, name=column, dtype="boolean")


def _flag_of(value: Any) -> Any:
    """Return True, False, `pd.NA` for an empty cell, or None for what is not a flag."""
    if isinstance(value, str):
        word = name_of(value).casefold()
        return _FLAGS.get(word) if word else pd.NA
    if value is None or value is pd.NA or value is pd.NaT:
        return pd.NA
    if isinstance(value, float | np.floating) and np.isnan(value):
        return pd.NA
    if isinstance(value, bool | int | float | np.bool_ | np.number) and value in (0, 1):
        return bool(value)
    return None


def established(table: pd.DataFrame, column: str) -> BoolArray:
    """Mark the rows whose flag is given and true; an empty cell establishes nothing."""
    return np.asarray(flags(table, column).fillna(False).to_numpy(dtype=bool))
