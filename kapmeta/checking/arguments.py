"""Checks of single arguments, and the error that names the first row at fault."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from kapmeta.core.numerics.arrays import BoolArray

__all__ = [
    "chosen",
    "column_keyword",
    "flag",
    "instance",
    "proportion",
    "refuse_first",
    "split_keywords",
    "warn",
]

_Kind = TypeVar("_Kind")


def chosen(word: str, table: Iterable[str], what: str, argument: str = "") -> str:
    """Return `word` if it is in `table`; otherwise raise an error that prints the table.

    `argument` names the argument where `what` does not.
    """
    words = list(table)
    if not isinstance(word, str) or word not in words:
        named = f" in {argument}" if argument else ""
        given = f'"{word}"' if isinstance(word, str) else f"of kind {type(word).__name__}"
        raise ValueError(f"unknown {what} {given}{named}; use one of: {', '.join(words)}")
    return word


def _kind(value: Any) -> str:
    """Name a value for an error: text as it is, anything else by its kind."""
    return (
        repr(value)
        if value is None or isinstance(value, str | int | float)
        else type(value).__name__
    )


def instance(value: Any, kind: type[_Kind], name: str, source: str) -> _Kind:
    """Return `value` if it is of that kind; otherwise raise an error naming its source."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must {source}: got {type(value).__name__}")
    return value


def proportion(value: float, name: str) -> float:
    """Return `value` if it lies strictly between 0 and 1."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number between 0 and 1: got {value!r}")
    if not 0 < value < 1:
        hint = f"; use {value / 100:g} for {value:g} %" if 1 < value < 100 else ""
        raise ValueError(f"{name} must lie between 0 and 1, a proportion: got {value:g}{hint}")
    return float(value)


def flag(value: Any, name: str) -> bool:
    """Return a keyword that is True or False; refuse everything else."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False: got {value!r}")
    return bool(value)


def column_keyword(value: Any, name: str) -> Hashable:
    """Return the name of a column if it can be one: text or a number."""
    named = isinstance(value, str | int | float | np.number) and not isinstance(value, bool)
    if not named or not str(value).strip() or value != value:
        raise TypeError(f"{name} must be the name of a column: got {_kind(value)}")
    column: Hashable = value
    return column


def split_keywords(
    given: Mapping[str, Any], columns: tuple[str, ...], words: tuple[str, ...]
) -> tuple[dict[str, Hashable], dict[str, Any]]:
    """Split keywords into column names, defaults filled in, and other words; refuse the unknown."""
    known = (*columns, *words)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(f'unknown keyword "{unknown[0]}"; use one of: {", ".join(known)}')
    names = {name: column_keyword(given.get(name, name), name) for name in columns}
    return names, {name: given.get(name) for name in words}


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


def warn(message: str) -> None:
    """Warn of `message` at the line that called into this package."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "kapmeta":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
