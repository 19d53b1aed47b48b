"""Names of studies, arms and levels: one name whatever its spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from kapmeta.checking.arguments import warn
from kapmeta.core.numerics.arrays import BoolArray, FloatArray

__all__ = [
    "name_of",
    "refuse_empty",
    "same_word",
    "study_labels",
    "total_rows",
    "unified",
    "warn_of_spellings",
]

_INVISIBLE = ("Cf", "Cc")  # Unicode categories of formatting and control characters
_TOTAL = re.compile(r"(grand[ -])?(sub-?)?(total|pooled|overall|summary)\b", re.IGNORECASE)
_MARK = r"[^\w\s+<>=%]"
# not within numbers and not a sign before one: "1.5" and "15", "-1" and "1" are different
_PUNCTUATION = re.compile(rf"{_MARK}(?!\d)|(?<=[^\W\d]){_MARK}(?=\d)|(?<!\w)(?![.-]){_MARK}(?=\d)")


def _visible(text: str) -> str:
    """Trim a text, collapse its blanks and remove its invisible characters."""
    kept = (
        " " if one.isspace() else one
        for one in text
        if one.isspace() or unicodedata.category(one) not in _INVISIBLE
    )
    return " ".join("".join(kept).split())


def _is_empty(value: Any) -> bool:
    return not isinstance(value, str) and bool(np.ndim(value) == 0 and pd.isna(value))


def name_of(value: Any) -> str:
    """Return the form in which names are compared; empty for an empty cell.

    Trimmed, in Unicode form NFKC, with single blanks and without invisible characters; 1, 1.0,
    "1" and "1.0" are one name.

    Examples
    --------
    >>> name_of(" Smith\\u00a0 2010\\u200b"), name_of(1.0), name_of("1")
    ('Smith 2010', '1', '1')
    """
    if _is_empty(value):
        return ""
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(value)
    text = _visible(unicodedata.normalize("NFKC", str(value)))
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)


def same_word(value: Any, words: Iterable[str]) -> str | None:
    """Return the word of `words` that `value` spells, in any case; None if there is none."""
    name = name_of(value).casefold()
    return next((word for word in words if word.casefold() == name), None)


def unified(series: pd.Series[Any]) -> pd.Series[Any]:
    """Give every spelling of a name the first one; keep the column as it is where none differ.

    Spellings differ by blanks, invisible characters or Unicode form, or as 1, 1.0 and "1". Empty
    cells and blank ones are missing. Categories keep their order.

    Examples
    --------
    >>> unified(pd.Series(["Smith 2010", "Smith  2010 ", 1, "1"], dtype=object)).tolist()
    ['Smith 2010', 'Smith 2010', 1, 1]
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _unified_categories(series)
    if pd.api.types.is_bool_dtype(series.dtype) or pd.api.types.is_numeric_dtype(series.dtype):
        return series
    first: dict[str, Any] = {}
    values = [
        first.setdefault(name_of(value), _visible(value) if isinstance(value, str) else value)
        for value in series
    ]
    values = [None if name_of(value) == "" else value for value in values]
    pairs = zip(values, series, strict=True)
    if all((new is None and _is_empty(old)) or new is old or new == old for new, old in pairs):
        return series
    return pd.Series(values, index=series.index, name=series.name)


def _unified_categories(series: pd.Series[Any]) -> pd.Series[Any]:
    old = pd.Series(list(series.cat.categories), dtype=object)
    new = unified(old)
    if new is old:
        return series
    one = dict(zip(old, new, strict=True))
    kept = [value for value in dict.fromkeys(new) if value is not None]
    values = [None if _is_empty(value) else one[value] for value in series]
    dtype = pd.CategoricalDtype(kept, ordered=bool(series.cat.ordered))
    return pd.Series(pd.Categorical(values, dtype=dtype), index=series.index, name=series.name)


def warn_of_spellings(series: pd.Series[Any], column: str) -> None:
    """Warn, by row, of names that differ by case or punctuation only; nothing is merged."""
    seen: dict[str, tuple[int, str]] = {}
    pairs = []
    for row, value in enumerate(series, start=1):
        name = name_of(value)
        key = "".join(_PUNCTUATION.sub("", name).casefold().split())
        if not key:
            continue
        earlier, spelling = seen.setdefault(key, (row, name))
        if spelling != name:
            pairs.append(f'"{spelling}" in row {earlier} and "{name}" in row {row}')
    if pairs:
        warn(
            f"{column}: {'; '.join(dict.fromkeys(pairs))} differ by case or punctuation only and"
            " are kept as different names; spell them alike if they are one"
        )


def refuse_empty(frame: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Refuse rows without a name in one of the columns."""
    for column in columns:
        empty = np.array([name_of(value) == "" for value in frame[column]], dtype=bool)
        if empty.any():
            row = int(np.flatnonzero(empty)[0]) + 1
            raise ValueError(f"{name}: {column} is empty in row {row}; every row needs a label")


def study_labels(frame: pd.DataFrame, name: str = "trials") -> tuple[str, ...]:
    """Return the label of each row, from column `label` or `study`; refuse empty and repeated ones.

    A study may have several rows only where `comparison_id` distinguishes them; the time window or
    the treatment is then added to the label. A column `label` names the studies only if no label is
    shared by two studies; otherwise it means something else. Names that differ by case or
    punctuation only, and rows that are called a total, are warned of.
    """
    refuse_empty(frame, ["study"], name)
    text = pd.Series([name_of(value) for value in frame["study"]], index=frame.index)
    labels = _labels_of(frame, text)
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
            labels = labels.where(~twice, labels + ", " + frame[column].astype(str))
            break
    warn_of_spellings(frame["study"], "study")
    _warn_of_totals(tuple(labels), name)
    return tuple(labels)


def _labels_of(frame: pd.DataFrame, text: pd.Series[str]) -> pd.Series[str]:
    """Return the column `label` if it names the studies, filled in with `study`."""
    shown = [value if isinstance(value, str) else name_of(value) for value in frame["study"]]
    study = pd.Series(shown, index=frame.index)
    if "label" not in frame:
        return study
    label = pd.Series([name_of(value) for value in frame["label"]], index=frame.index)
    named = label != ""
    shared = text[named].groupby(label[named]).nunique() > 1
    return study if shared.any() else label.where(named, study)


def _warn_of_totals(labels: tuple[str, ...], name: str) -> None:
    for row, label in enumerate(labels, start=1):
        if _TOTAL.match(label):
            warn(
                f'{name}: row {row} is called "{label}"; if it sums other rows, leave it out, since'
                " their participants would count twice"
            )


def total_rows(labels: tuple[str, ...], cells: Mapping[str, FloatArray]) -> BoolArray:
    """Mark rows that are called a total and whose cells are the sums of other rows.

    The sums are those of all rows that are not called a total, or of the rows between the last
    total and this one.

    Parameters
    ----------
    labels : tuple of str
        What the rows are called.
    cells : mapping of str to ndarray
        Columns of counts.
    """
    called = np.array([_TOTAL.match(label) is not None for label in labels], dtype=bool)
    summed = np.zeros_like(called)
    if not (len(cells) and called.any()):
        return summed
    many = np.array(list(cells.values()), dtype=np.float64)
    for i in np.flatnonzero(called):
        earlier = np.flatnonzero(called[:i])
        block = np.zeros_like(called)
        block[(earlier[-1] + 1 if earlier.size else 0) : i] = True
        for rows in (~called, block):
            if rows.sum() > 1:
                summed[i] |= bool(np.all(np.nansum(many[:, rows], axis=1) == many[:, i]))
    return summed
