"""Design matrices of moderators, from column names, a formula, or as given; checked before any fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.results.regressions import Design

__all__ = ["check_design", "design_of"]

# share of a column left by the others, relative to its length, below which it depends on them
_DEPENDENT = 1e-10


def design_of(
    moderators: Any, table: pd.DataFrame, labels: tuple[str, ...], *, intercept: bool = True
) -> Design:
    """The moderators of the studies in `table` as a checked design matrix.

    Parameters
    ----------
    moderators : str, sequence of str, DataFrame or ndarray
        A formula (``"~ months + substance"``, needs the package formulaic), names of columns of
        `table` (numbers as they are, words as one indicator a level but the first), or the design
        matrix itself, one row a study.
    table : DataFrame
        Rows of the studies.
    labels : tuple of str
        Their labels, for errors.
    intercept : bool
        Whether a column of ones is added; in a formula write ``0 +`` instead to leave it out.
    """
    intercept = checking.flag(intercept, "intercept")
    if isinstance(moderators, str) and moderators not in table.columns:
        return _from_formula(moderators, table, labels)
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


def _known(names: Iterable[str], table: pd.DataFrame, labels: tuple[str, ...]) -> None:
    """Refuse columns that do not exist and moderator values that are missing."""
    for name in names:
        if name not in table:
            columns = ", ".join(map(str, table.columns))
            raise ValueError(
                f'no column "{name}" among the moderators of the studies; there are: {columns}'
            )
        checking.refuse_first(
            table[name].isna().to_numpy(dtype=bool),
            labels,
            lambda i, name=name: f"moderator {name} is missing",  # type: ignore[misc]
            lambda i: "give its value, or leave the study out with effects.select and say why",
        )
        checking.refuse_first(
            table[name].isin([np.inf, -np.inf]).to_numpy(dtype=bool),
            labels,
            lambda i, name=name: f"moderator {name} is infinite",  # type: ignore[misc]
            lambda i: "give its value, or leave the study out with effects.select and say why",
        )


def _levels(column: pd.Series) -> list[Any] | None:
    """Levels of a factor, in the order of its categories or else sorted; None for numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.dropna())
        return [level for level in column.cat.categories if level in present]
    if pd.api.types.is_numeric_dtype(column.infer_objects().dtype):
        return None
    return sorted(column.dropna().unique(), key=str)


def _from_columns(
    names: list[str], table: pd.DataFrame, labels: tuple[str, ...], intercept: bool
) -> Design:
    _known(names, table, labels)
    factors = {name: _levels(table[name]) for name in names}
    columns = ["intercept"] if intercept else []
    for name, levels in factors.items():
        full = not intercept and levels is not None and not any("[" in c for c in columns)
        columns += (
            [name]
            if levels is None
            else [f"{name}[{level}]" for level in (levels if full else levels[1:])]
        )

    def encode(frame: pd.DataFrame) -> FloatArray:
        _known_levels(frame, factors)
        parts = {"intercept": np.ones(len(frame))}
        for name, levels in factors.items():
            if levels is None:
                parts[name] = frame[name].to_numpy(dtype=np.float64)
            for level in levels or []:
                parts[f"{name}[{level}]"] = (frame[name] == level).to_numpy(dtype=np.float64)
        return np.column_stack([parts[column] for column in columns])

    return Design(
        encode(table),
        tuple(columns),
        0 if intercept else None,
        f"~ {'' if intercept else '0 + '}{' + '.join(names)}",
        tuple(names),
        encode,
    )


def _known_levels(frame: pd.DataFrame, factors: dict[str, list[Any] | None]) -> None:
    for name, levels in factors.items():
        new = (
            []
            if levels is None
            else [value for value in frame[name].unique() if value not in levels]
        )
        if new:
            raise ValueError(
                f'{name} has no level "{new[0]}" in the fit; it has:'
                f" {', '.join(map(str, levels or []))}"
            )


def _from_matrix(matrix: Any, labels: tuple[str, ...], intercept: bool) -> Design:
    values = np.asarray(matrix, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    named = isinstance(matrix, pd.DataFrame)
    names = (
        [str(name) for name in matrix.columns]
        if named
        else [f"x{j + 1}" for j in range(values.shape[1])]
    )
    if len(values) != len(labels):
        raise ValueError(
            f"the design matrix must have one row a study: got {len(values)} rows for {len(labels)}"
            " studies"
        )
    _refuse_gaps(values, names, labels)
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
        rows[:, others] = frame[list(variables)].to_numpy(dtype=np.float64)
        return rows

    return Design(
        values, tuple(names), place, f"~ {' + '.join(variables) or '1'}", variables, encode
    )


def _refuse_gaps(values: FloatArray, names: list[str], labels: tuple[str, ...]) -> None:
    for j, name in enumerate(names):
        checking.refuse_first(
            ~np.isfinite(values[:, j]),
            labels,
            lambda i, name=name: f"moderator {name} is missing",  # type: ignore[misc]
            lambda i: "give its value, or leave the study out with effects.select and say why",
        )


def _from_formula(formula: str, table: pd.DataFrame, labels: tuple[str, ...]) -> Design:
    side, required, formulaic = _read_formula(formula)
    _known(required, table, labels)
    found = formulaic.model_matrix(side, table[required] if required else table, output="pandas")
    spec = found.model_spec
    # a factor is written as its column or, to say that numbers are names, as C(column)
    states = {
        str(term): list(state.levels) for term, state in (spec.factor_contrasts or {}).items()
    }
    factors = {
        term.removeprefix("C(").split(",")[0].rstrip(")"): levels for term, levels in states.items()
    }

    def encode(frame: pd.DataFrame) -> FloatArray:
        _known_levels(frame, {name: levels for name, levels in factors.items() if name in frame})
        return np.asarray(spec.get_model_matrix(frame), dtype=np.float64)

    names = [
        "intercept" if name == "Intercept" else str(name).replace("[T.", "[")
        for name in found.columns
    ]
    place = names.index("intercept") if "intercept" in names else None
    matrix = np.asarray(found, dtype=np.float64)
    return Design(matrix, tuple(names), place, f"~ {side}", tuple(required), encode)


def _read_formula(formula: str) -> tuple[str, list[str], Any]:
    """Right-hand side of a formula, the columns it needs, and the package that reads it."""
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
            f"formula {formula!r} cannot be read: {str(error).splitlines()[0]}"
        ) from None


def check_design(design: Design, labels: tuple[str, ...]) -> None:
    """Refuse what cannot be fitted: constant, collinear or too many moderators, a level of one study."""
    x, names = design.matrix, design.names
    k, p = x.shape
    for j, name in enumerate(names):
        if (
            j != design.intercept
            and (x[:, j] == x[0, j]).all()
            and (design.intercept is not None or x[0, j] == 0)
        ):
            raise ValueError(
                f'moderator "{name}" is constant: it is {x[0, j]:g} in all {wording.studies(k)} and'
                " explains nothing; leave it out"
            )
    if k <= p:
        raise ValueError(
            f"too many moderators: {p} coefficients ({', '.join(names)}) from {k} studies leave no"
            f" residual degrees of freedom; {k} studies carry at most {max(k - 2, 0)} moderators,"
            " and claims need ten studies for each"
        )
    _refuse_collinear(x, names, design.intercept)
    _refuse_lone_study(x, names, labels, design.intercept)


def _centred(x: FloatArray, intercept: int | None) -> FloatArray:
    """Columns of unit length, deviations from their mean where there is an intercept."""
    moved = x.copy()
    if intercept is not None:
        others = [j for j in range(x.shape[1]) if j != intercept]
        moved[:, others] -= x[:, others].mean(axis=0)
    return np.asarray(moved / np.linalg.norm(moved, axis=0))


def _refuse_collinear(x: FloatArray, names: tuple[str, ...], intercept: int | None) -> None:
    # deviations from the mean: a shift of a moderator must not make it look dependent on the
    # intercept
    order = [j for j in range(x.shape[1]) if j != intercept]
    unit = _centred(x, intercept)[:, order]
    for place, j in enumerate(order):
        before = unit[:, :place]
        share = np.linalg.lstsq(before, unit[:, place], rcond=None)[0] if place else np.zeros(0)
        if np.linalg.norm(unit[:, place] - before @ share) <= _DEPENDENT:
            others = [f'"{names[order[i]]}"' for i in np.flatnonzero(np.abs(share) > _DEPENDENT)]
            raise ValueError(
                f'moderators are collinear: "{names[j]}" is given by {", ".join(others)} in these'
                f" {len(x)} studies; leave one of them out"
            )


def _refuse_lone_study(
    x: FloatArray, names: tuple[str, ...], labels: tuple[str, ...], intercept: int | None
) -> None:
    """Refuse a study without which a coefficient would not exist: its leverage is 1, its residual always 0."""
    basis = np.linalg.qr(_centred(x, intercept))[0]
    lone = np.flatnonzero(1 - (basis**2).sum(axis=1) <= _DEPENDENT)
    if lone.size:
        i = int(lone[0])
        rest = np.delete(x, i, axis=0)
        resting = [
            name
            for j, name in enumerate(names)
            if (rest[:, j] == rest[0, j]).all() and x[i, j] != rest[0, j]
        ]
        what = f'"{resting[0]}"' if resting else "a coefficient"
        raise ValueError(
            f'{what} rests on one study, row {i + 1} ("{labels[i]}"): nothing is left to judge it'
            " by. Merge the level with another, leave the study out, or use subgroups, which shows"
            " a single trial as what it is"
        )
