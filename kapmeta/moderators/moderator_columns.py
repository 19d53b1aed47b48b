"""Columns of moderators: read for a fit, and read again for predictions from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.results.shared.columns import ColumnReading, empty_cells, level_names, read_column

__all__ = [
    "levels_given",
    "matrix_columns",
    "numbers_given",
    "numbers_in",
    "numbers_or_none",
    "readings",
]


def readings(
    names: Iterable[str], table: pd.DataFrame, labels: tuple[str, ...]
) -> dict[str, ColumnReading]:
    """Read columns as numbers or levels; refuse those that do not exist or are infinite."""
    found = {}
    for name in names:
        if name not in table:
            columns = ", ".join(map(str, table.columns))
            raise ValueError(
                f'no column "{name}" among the moderators of the studies; there are: {columns}'
            )
        found[name] = read_column(table[name], name, labels)
        checking.refuse_first(
            np.isinf(numbers_or_none(found[name])),
            labels,
            f"moderator {name} is infinite",
            _NO_VALUE,
        )
    return found


def numbers_or_none(found: ColumnReading) -> FloatArray:
    """Return the numbers of a column; none of a column of levels."""
    return np.zeros(0) if found.numbers is None else found.numbers


_NO_VALUE = "give its value, or leave the cell empty: the study is then left out, by name"


def numbers_given(column: pd.Series, name: str) -> FloatArray:
    """Read the values of a moderator that is a number; refuse words and gaps."""
    rows = tuple(str(i + 1) for i in range(len(column)))
    found = read_column(column, name, rows)
    if found.numbers is None:
        word = next(each for each in found.names if each)
        raise ValueError(f'{name} is a number in the fit: got "{word}"')
    _refuse_gap(column, name)
    return found.numbers


def levels_given(column: pd.Series, name: str, levels: Iterable[str]) -> tuple[str, ...]:
    """Read the values of a moderator that is a factor; refuse gaps and levels not in the fit."""
    _refuse_gap(column, name)
    given, known = level_names(column), tuple(levels)
    new = [level for level in given if level not in known]
    if new:
        raise ValueError(f'{name} has no level "{new[0]}" in the fit; it has: {", ".join(known)}')
    return given


def _refuse_gap(column: pd.Series, name: str) -> None:
    empty = np.flatnonzero(empty_cells(column))
    if empty.size:
        raise ValueError(f"{name} is empty in row {empty[0] + 1} of data; give its value")


def matrix_columns(matrix: pd.DataFrame | npt.NDArray[Any]) -> dict[str, pd.Series]:
    """Name the columns of a design matrix: as they are, or ``x1``, ``x2`` of an array."""
    if isinstance(matrix, pd.DataFrame):
        return {str(name): matrix[name].reset_index(drop=True) for name in matrix.columns}
    if matrix.ndim not in (1, 2):
        raise ValueError(
            f"the design matrix must have one row per study and one column per moderator: got"
            f" {matrix.ndim} dimensions"
        )
    across = matrix[:, None] if matrix.ndim == 1 else matrix
    return {f"x{j + 1}": pd.Series(across[:, j]) for j in range(across.shape[1])}


def numbers_in(column: pd.Series, name: str, labels: tuple[str, ...]) -> FloatArray:
    """Read a column of a design matrix, all of it finite numbers."""
    values = numbers_or_none(read_column(column, name, labels))
    if not values.size:
        raise ValueError(
            f"column {name} of the design matrix holds words; give numbers, or the names of columns"
            " of the trials, which become indicators"
        )
    checking.refuse_first(~np.isfinite(values), labels, f"moderator {name} is infinite", _NO_VALUE)
    return values
