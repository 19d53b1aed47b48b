"""Checks at the public boundary.

Every error names the argument, the rule, the first offender and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from kapmeta.core.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "chosen",
    "columns_of",
    "counts",
    "established",
    "flag",
    "flags",
    "instance",
    "numbers",
    "proportion",
    "refuse_first",
    "refuse_fractions",
    "refuse_impossible",
    "refuse_negative",
    "refuse_no_table",
    "split_keywords",
    "study_labels",
]

_Kind = TypeVar("_Kind")


def chosen(word: str, table: Iterable[str], what: str) -> str:
    """Return `word` if it is in `table`; otherwise raise an error that prints the table."""
    words = list(table)
    if word not in words:
        raise ValueError(f'unknown {what} "{word}"; use one of: {", ".join(words)}')
    return word


def instance(value: Any, kind: type[_Kind], name: str, source: str) -> _Kind:
    """Return `value` if it is of that kind; otherwise raise an error naming its source."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must {source}: got {type(value).__name__}")
    return value


def refuse_no_table(value: Any, name: str = "trials", row: str = "study") -> None:
    """Refuse a `value` that is no DataFrame, in an error that explains what a row is."""
    instance(value, pd.DataFrame, name, f"be a pandas DataFrame with one row per {row}")


def proportion(value: float, name: str) -> float:
    """Return `value` if it lies strictly between 0 and 1."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number between 0 and 1: got {value!r}")
    if not 0 < value < 1:
        hint = f"; use {value / 100:g} for {value:g} %" if 1 < value < 100 else ""
        raise ValueError(f"{name} must lie between 0 and 1, a proportion: got {value:g}{hint}")
    return float(value)


def split_keywords(
    given: Mapping[str, Any], columns: tuple[str, ...], words: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Split keywords into column names, defaults filled in, and other words; refuse the unknown."""
    known = (*columns, *words)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(f'unknown keyword "{unknown[0]}"; use one of: {", ".join(known)}')
    names = {name: str(given.get(name, name)) for name in columns}
    return names, {name: given.get(name) for name in words}


def columns_of(
    frame: pd.DataFrame, columns: Mapping[str, str], name: str = "trials"
) -> pd.DataFrame:
    """Copy `frame` with the named columns under their default names and the others kept.

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
    """Return the label of each row, from column `label` or `study`; refuse empty and repeated ones.

    A study may have several rows only where `comparison_id` distinguishes them; the time window or
    the treatment is then added to the label.
    """
    study = frame["study"]
    text = study.astype(str)
    empty = study.isna() | (text.str.strip() == "")
    if empty.any():
        row = int(np.flatnonzero(empty)[0]) + 1
        raise ValueError(f"{name}: study is empty in row {row}; every row needs a label")
    labels = frame["label"].fillna(study) if "label" in frame else study
    distinguished = "comparison_id" in frame and not frame["comparison_id"].duplicated().any()
    twice = text.duplicated(keep=False)
    if twice.any() and not distinguished:
        first = text[twice].iloc[0]
        rows = ", ".join(str(i + 1) for i in np.flatnonzero(text == first))
        raise ValueError(
            f'{name}: study "{first}" appears in rows {rows}; a trial counts once. Keep one row,'
            " or distinguish the rows in a column comparison_id"
        )
    for column in ("window", "treatment"):
        if column not in frame or not twice.any():
            continue
        if not (text + frame[column].astype(str)).duplicated().any():
            labels = labels.where(~twice, labels.astype(str) + ", " + frame[column].astype(str))
            break
    return tuple(labels.astype(str))


def numbers(
    frame: pd.DataFrame, column: str, labels: tuple[str, ...], *, missing: bool = False
) -> FloatArray:
    """Read a column as float64; refuse text and, unless `missing` is allowed, gaps."""
    series = frame[column]
    values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
    given = series.notna().to_numpy()
    is_flag = np.array([isinstance(x, bool | np.bool_) for x in series])
    refuse_first(
        (given & ~np.isfinite(values)) | is_flag,
        labels,
        f"{column} is not a number",
        lambda i: f"{column} = {series.tolist()[i]!r}; give a number",
    )
    if not missing:
        refuse_first(
            ~given,
            labels,
            f"{column} is missing",
            f"{column} is empty; give the number, or leave the row out and say why",
        )
    return values


def refuse_negative(values: FloatArray, column: str, labels: tuple[str, ...]) -> None:
    """Refuse numbers below 0 where only counts or times can be."""
    refuse_first(
        values < 0,
        labels,
        f"{column} is negative",
        lambda i: f"{column} = {values[i]:g}; it starts at 0",
    )


def refuse_fractions(values: FloatArray, column: str, labels: tuple[str, ...]) -> None:
    """Refuse numbers that are not whole where only counts can be."""
    refuse_first(
        values != np.floor(values),
        labels,
        f"{column} is not a whole number",
        lambda i: f"{column} = {values[i]:g}; give the count, not a percentage",
    )


def counts(
    frame: pd.DataFrame, totals: Mapping[str, str], labels: tuple[str, ...]
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

    Returns
    -------
    dict of str to ndarray
        Events and total of each pair in turn.
    """
    columns = [name for pair in totals.items() for name in pair]
    cells = {name: numbers(frame, name, labels) for name in columns}
    for name, values in cells.items():
        refuse_negative(values, name, labels)
        refuse_fractions(values, name, labels)
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


_FLAGS = {
    **dict.fromkeys(("true", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "no", "n", "0"), False),
}


def flag(value: Any, name: str) -> bool:
    """Return a keyword that is True or False; refuse everything else."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False: got {value!r}")
    return bool(value)


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
        word = value.strip().casefold()
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


def refuse_first(
    bad: BoolArray,
    labels: tuple[str, ...],
    rule: str | Callable[[int], str],
    detail: str | Callable[[int], str],
) -> None:
    """Raise for the first row where `bad` holds, naming rule, row, study and detail."""
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        what, why = (text if isinstance(text, str) else text(i) for text in (rule, detail))
        raise ValueError(f'{what} in row {i + 1} ("{labels[i]}"){more}: {why}')
