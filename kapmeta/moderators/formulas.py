"""Formulas of moderators, read by the package formulaic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.moderators.moderator_columns import (
    levels_given,
    numbers_given,
    numbers_or_none,
    readings,
)
from kapmeta.results.regressions import Design
from kapmeta.results.shared.columns import ColumnReading, level_names

__all__ = ["from_formula", "read_formula"]


def from_formula(formula: str, table: pd.DataFrame, labels: tuple[str, ...]) -> Design:
    side, required, formulaic = read_formula(formula)
    read = readings(required, table, labels)
    kept = pd.DataFrame({name: _for_formula(table[name], read[name]) for name in required})
    found = formulaic.model_matrix(side, kept if required else table, output="pandas")
    spec = found.model_spec

    def encode(frame: pd.DataFrame) -> FloatArray:
        for name, known in read.items():
            if known.numbers is None:
                levels_given(frame[name], name, known.levels or ())
            else:
                _values_known(numbers_given(frame[name], name), name, known, side)
        values = {name: _for_formula(frame[name], known) for name, known in read.items()}
        return np.asarray(spec.get_model_matrix(frame.assign(**values)), dtype=np.float64)

    names = [
        "intercept" if name == "Intercept" else str(name).replace("[T.", "[")
        for name in found.columns
    ]
    place = names.index("intercept") if "intercept" in names else None
    matrix = np.asarray(found, dtype=np.float64)
    means = _mean_columns(matrix, names, place)
    return Design(matrix, tuple(names), place, f"~ {side}", tuple(required), encode, means)


def _for_formula(column: pd.Series, read: ColumnReading) -> Any:
    """Convert a column to what a formula understands: numbers, whole if all are, or levels."""
    if read.numbers is None:
        return pd.Categorical(level_names(column), categories=list(read.levels or ()))
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy()
    values = np.array([float(value) for value in column])
    whole = bool((values == np.floor(values)).all())
    return values.astype(np.int64) if whole else values


def _values_known(values: FloatArray, name: str, read: ColumnReading, side: str) -> None:
    """Refuse a number that the fit does not have, where the formula takes numbers for names."""
    if f"C({name}" not in side.replace(" ", ""):
        return
    known = np.unique(numbers_or_none(read))
    new = values[~np.isin(values, known)]
    if new.size:
        has = ", ".join(f"{value:g}" for value in known)
        raise ValueError(f'{name} has no level "{new[0]:g}" in the fit; it has: {has}')


def _mean_columns(matrix: FloatArray, names: list[str], intercept: int | None) -> tuple[int, ...]:
    """Find the coefficients that are means: the intercept, or the levels of a factor in full."""
    if intercept is not None:
        return (intercept,)
    factor = names[0].partition("[")[0] if "[" in names[0] else ""
    places = [j for j, name in enumerate(names) if factor and name.startswith(f"{factor}[")]
    full = places and (matrix[:, places].sum(axis=1) == 1).all()
    return tuple(places) if full and ":" not in "".join(names[j] for j in places) else ()


def read_formula(formula: str) -> tuple[str, list[str], Any]:
    """Read the right-hand side of a formula, the columns it needs, and import its parser."""
    try:
        import formulaic
    except ImportError:
        raise ImportError(
            "formulas need the package formulaic: pip install formulaic. Without it give the names"
            f" of columns, or a design matrix: got the formula {formula!r}"
        ) from None
    side = formula.strip().removeprefix("~").strip()
    if "~" in side:
        wanted = side.split("~")[-1].strip()
        raise ValueError(f'the effects are the left-hand side: write only moderators, "~ {wanted}"')
    try:
        return (
            side,
            sorted(str(name) for name in formulaic.Formula(side).required_variables),
            formulaic,
        )
    except Exception as error:
        raise ValueError(
            f"moderators: formula {formula!r} cannot be read: {str(error).splitlines()[0]}"
        ) from None
