"""Design matrices of moderators from column names, a formula or a matrix, checked before a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.moderators.formulas import from_formula, read_formula
from kapmeta.moderators.moderator_columns import (
    levels_given,
    matrix_columns,
    numbers_given,
    numbers_in,
    readings,
)
from kapmeta.results.regressions import Design
from kapmeta.results.shared.columns import empty_cells, read_column

__all__ = ["design_of", "from_text_notes", "gaps_in"]


def design_of(
    moderators: Any, table: pd.DataFrame, labels: tuple[str, ...], *, intercept: bool = True
) -> Design:
    """Build a checked design matrix from the moderators of the studies in `table`.

    Parameters
    ----------
    moderators : str, sequence of str, DataFrame or ndarray
        A formula (``"~ months + substance"``, needs the package formulaic), names of columns of
        `table` (numbers as they are, words as one indicator per level but the first), or the design
        matrix itself, one row per study. Cells must not be empty; see `gaps_in`.
    table : DataFrame
        Rows of the studies.
    labels : tuple of str
        Their labels, for errors.
    intercept : bool
        Whether a column of ones is added; in a formula write ``0 +`` instead to leave it out.
    """
    empty = isinstance(moderators, str | Sequence) and not len(moderators)
    if empty or (isinstance(moderators, str) and not moderators.strip()):
        raise ValueError("moderators is empty; name one column or more, or give a formula")
    if isinstance(moderators, str) and moderators not in table.columns:
        return from_formula(moderators, table, labels)
    if isinstance(moderators, str):
        moderators = [moderators]
    if isinstance(moderators, pd.DataFrame | np.ndarray):
        return _from_matrix(moderators, labels, intercept)
    if isinstance(moderators, Sequence) and all(isinstance(name, str) for name in moderators):
        return _from_columns(list(moderators), table, labels, intercept)
    raise TypeError(
        "moderators must be a formula, column names or a design matrix: got"
        f" {type(moderators).__name__}"
    )


def gaps_in(moderators: Any, table: pd.DataFrame) -> dict[int, str]:
    """Find the studies whose moderators are not all known, with the reason.

    Parameters
    ----------
    moderators : str, sequence of str, DataFrame or ndarray
        As in `design_of`; a matrix has one row per row of `table`.
    table : DataFrame
        Rows of the studies.

    Returns
    -------
    dict of int to str
        Position in `table` to the reason: ``months is empty``.
    """
    if isinstance(moderators, pd.DataFrame | np.ndarray):
        columns = matrix_columns(moderators)
    else:
        columns = {name: table[name] for name in _names_in(moderators, table) if name in table}
    found: dict[int, str] = {}
    for name, column in columns.items():
        for i in np.flatnonzero(empty_cells(column)):
            found.setdefault(int(i), f"{name} is empty")
    return found


def _names_in(moderators: Any, table: pd.DataFrame) -> list[str]:
    """List the columns that the moderators are made from."""
    if isinstance(moderators, str):
        return [moderators] if moderators in table.columns else read_formula(moderators)[1]
    listed = moderators if isinstance(moderators, Sequence) else ()
    return [name for name in listed if isinstance(name, str)]


def from_text_notes(design: Design, table: pd.DataFrame, labels: tuple[str, ...]) -> list[str]:
    """Note which moderators are numbers written as text, and how to keep them as names."""
    read = {
        name: read_column(table[name], name, labels) for name in design.variables if name in table
    }
    return [
        f"the numbers of {name} are written as text and were read as numbers; make the column a"
        " categorical if they are names"
        for name, found in read.items()
        if found.from_text
    ]


def _from_columns(
    names: list[str], table: pd.DataFrame, labels: tuple[str, ...], intercept: bool
) -> Design:
    factors = {name: found.levels for name, found in readings(names, table, labels).items()}
    columns = ["intercept"] if intercept else []
    means = [0] if intercept else []
    for name, levels in factors.items():
        full = not intercept and levels is not None and not any("[" in c for c in columns)
        first = len(columns)
        columns += (
            [name]
            if levels is None
            else [f"{name}[{level}]" for level in (levels if full else levels[1:])]
        )
        means += list(range(first, len(columns))) if full else []

    def encode(frame: pd.DataFrame) -> FloatArray:
        parts = {"intercept": np.ones(len(frame))}
        for name, levels in factors.items():
            if levels is None:
                parts[name] = numbers_given(frame[name], name)
                continue
            given = np.array(levels_given(frame[name], name, levels))
            parts |= {f"{name}[{level}]": (given == level).astype(np.float64) for level in levels}
        return np.column_stack([parts[column] for column in columns])

    return Design(
        encode(table),
        tuple(columns),
        0 if intercept else None,
        f"~ {'' if intercept else '0 + '}{' + '.join(names)}",
        tuple(names),
        encode,
        tuple(means),
    )


def _from_matrix(matrix: Any, labels: tuple[str, ...], intercept: bool) -> Design:
    named = isinstance(matrix, pd.DataFrame)
    columns = matrix_columns(matrix)
    if len(matrix) != len(labels):
        raise ValueError(
            f"moderators: the design matrix must have one row per study: got {len(matrix)} rows for"
            f" {len(labels)}"
            " studies"
        )
    names = list(columns)
    values = np.column_stack([numbers_in(columns[name], name, labels) for name in names])
    ones = np.flatnonzero((values == 1).all(axis=0))
    if not ones.size and intercept:
        values, names, ones = (
            np.column_stack([np.ones(len(values)), values]),
            ["intercept", *names],
            np.zeros(1, int),
        )
    place = int(ones[0]) if ones.size else None
    if place is not None and not named:
        names[place] = "intercept"
    others = [j for j in range(len(names)) if j != place]
    variables = tuple(names[j] for j in others)

    def encode(frame: pd.DataFrame) -> FloatArray:
        rows = np.ones((len(frame), len(names)))
        for j, name in zip(others, variables, strict=True):
            rows[:, j] = numbers_given(frame[name], name)
        return rows

    means = () if place is None else (place,)
    described = f"~ {' + '.join(variables) or '1'}"
    return Design(values, tuple(names), place, described, variables, encode, means)
