"""Checks at the public boundary: every error names the argument, the rule, the first offender and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from kapmeta.core.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "chosen",
    "columns_of",
    "instance",
    "numbers",
    "proportion",
    "refuse_first",
    "refuse_no_table",
    "split_keywords",
    "study_labels",
]

_Kind = TypeVar("_Kind")


def chosen(word: str, table: Iterable[str], what: str) -> str:
    """`word` if it is in `table`; otherwise an error that prints the table."""
    words = list(table)
    if word not in words:
        raise ValueError(f'unknown {what} "{word}"; use one of: {", ".join(words)}')
    return word


def instance(value: Any, kind: type[_Kind], name: str, source: str) -> _Kind:
    """`value` if it is of that kind; otherwise an error that says where one comes from."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must {source}: got {type(value).__name__}")
    return value


def refuse_no_table(value: Any, name: str = "trials", row: str = "study") -> None:
    """An error that says what a row of it is, if `value` is no DataFrame."""
    instance(value, pd.DataFrame, name, f"be a pandas DataFrame with one row a {row}")


def proportion(value: float, name: str) -> float:
    """`value` if it lies strictly between 0 and 1."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number between 0 and 1: got {value!r}")
    if not 0 < value < 1:
        hint = f"; use {value / 100:g} for {value:g} %" if 1 < value < 100 else ""
        raise ValueError(f"{name} must lie between 0 and 1, a proportion: got {value:g}{hint}")
    return float(value)


def split_keywords(
    given: Mapping[str, Any], columns: tuple[str, ...], words: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Column names with defaults filled in, and the other words; an unknown keyword is refused."""
    unknown = [name for name in given if name not in (*columns, *words)]
    if unknown:
        raise TypeError(
            f'unknown keyword "{unknown[0]}"; use one of: {", ".join((*columns, *words))}'
        )
    return {name: str(given.get(name, name)) for name in columns}, {
        name: given.get(name) for name in words
    }


def columns_of(
    frame: pd.DataFrame, columns: Mapping[str, str], name: str = "trials"
) -> pd.DataFrame:
    """`frame` as a new DataFrame with the named columns under their default names, other columns
    kept.

    Parameters
    ----------
    frame : DataFrame
        The user's rows.
    columns : mapping
        Default name to the user's column name.
    name : str
        What the argument is called in errors.
    """
    refuse_no_table(frame, name)
    if frame.empty:
        raise ValueError(f"{name} has no rows: there is nothing to compute")
    missing = [user for user in columns.values() if user not in frame.columns]
    if missing:
        default = next(key for key, user in columns.items() if user == missing[0])
        raise ValueError(
            f'{name} has no column "{missing[0]}"; it has: {", ".join(map(str, frame.columns))}. '
            f'Name yours with the keyword, e.g. {default}="..."'
        )
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f'{name} has two columns named "{twice}"; rename one')
    renamed = {user: default for default, user in columns.items() if user != default}
    shadowed = [default for user, default in renamed.items() if default in frame.columns]
    return frame.drop(columns=shadowed).rename(columns=renamed).reset_index(drop=True)


def study_labels(frame: pd.DataFrame, name: str = "trials") -> tuple[str, ...]:
    """Labels of the rows: column `label` if there is one, else `study`; empty or repeated studies
    are refused.

    A study may come twice only where `comparison_id` tells the rows apart; then the label says
    which is which.
    """
    study = frame["study"]
    if bool(study.isna().any()) or bool((study.astype(str).str.strip() == "").any()):
        row = int(np.flatnonzero(study.isna() | (study.astype(str).str.strip() == ""))[0]) + 1
        raise ValueError(f"{name}: study is empty in row {row}; every row needs a label")
    labels = frame["label"].fillna(study) if "label" in frame else study
    told_apart = "comparison_id" in frame and not frame["comparison_id"].duplicated().any()
    twice = study.astype(str).duplicated(keep=False)
    if twice.any() and not told_apart:
        rows = np.flatnonzero(study.astype(str) == str(study[twice].iloc[0])) + 1
        raise ValueError(
            f'{name}: study "{study[twice].iloc[0]}" appears in rows {", ".join(map(str, rows))}; a'
            " trial counts once. Keep one row, or tell the rows apart in a column comparison_id"
        )
    for column in ("window", "treatment"):  # what tells two rows of one trial apart
        if column not in frame or not twice.any():
            continue
        if not (frame["study"].astype(str) + frame[column].astype(str)).duplicated().any():
            labels = labels.where(~twice, labels.astype(str) + ", " + frame[column].astype(str))
            break
    return tuple(labels.astype(str))


def numbers(
    frame: pd.DataFrame, column: str, labels: tuple[str, ...], *, missing: bool = False
) -> FloatArray:
    """A column as float64; text and, unless `missing` is allowed, gaps are refused."""
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
    given = frame[column].notna().to_numpy()
    is_flag = np.array([isinstance(x, bool | np.bool_) for x in frame[column]])
    refuse_first(
        (given & ~np.isfinite(values)) | is_flag,
        labels,
        lambda i: f"{column} is not a number",
        lambda i: f"{column} = {frame[column].tolist()[i]!r}; give a number",
    )
    if not missing:
        refuse_first(
            ~given,
            labels,
            lambda i: f"{column} is missing",
            lambda i: f"{column} is empty; give the number, or leave the row out and say why",
        )
    return values


def refuse_first(
    bad: BoolArray,
    labels: tuple[str, ...],
    rule: Callable[[int], str],
    detail: Callable[[int], str],
) -> None:
    """Raise for the first row where `bad` holds: rule, row, study, detail."""
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        raise ValueError(f'{rule(i)} in row {i + 1} ("{labels[i]}"){more}: {detail(i)}')
