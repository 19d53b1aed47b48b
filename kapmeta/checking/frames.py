"""Tables of trials: found, with the named columns under their default names."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from kapmeta.checking.name_columns import name_of, unified
from kapmeta.checking.reserved import NAME_COLUMNS, RESERVED

__all__ = ["columns_of", "frame_of", "refuse_no_table"]


def frame_of(value: Any, name: str = "trials", row: str = "study") -> pd.DataFrame:
    """Return a pandas DataFrame; convert a table of another library by its own `to_pandas`."""
    if isinstance(value, pd.DataFrame):
        return value
    convert = getattr(value, "to_pandas", None)
    if callable(convert):
        try:
            converted = convert()
        except ImportError as error:
            raise TypeError(
                f"{name}.to_pandas() failed: {error}; give a pandas DataFrame"
            ) from None
        if isinstance(converted, pd.DataFrame):
            return converted
    library, kind = type(value).__module__.split(".")[0], type(value).__qualname__
    hint = "" if library == "builtins" else f" of {library}; convert it, e.g. by to_pandas()"
    raise TypeError(f"{name} must be a pandas DataFrame with one row per {row}: got {kind}{hint}")


def refuse_no_table(value: Any, name: str = "trials", row: str = "study") -> None:
    """Refuse a `value` that is no DataFrame, in an error that explains what a row is."""
    frame_of(value, name, row)


def columns_of(
    frame: Any,
    columns: Mapping[str, Hashable],
    name: str = "trials",
    *,
    optional: Mapping[str, Hashable] | None = None,
) -> pd.DataFrame:
    """Copy `frame` with the named columns under their default names and the others kept.

    Column names are compared as names of studies are: a blank at the end, a byte-order mark or
    another invisible character does not count, and 0 and "0" are one name. If every column of one
    arm is named for the other, the other paired columns and the names of the arms change places
    too.

    Parameters
    ----------
    frame : DataFrame
        The user's rows, or a table with a method `to_pandas`.
    columns : mapping
        Default name to the user's column name.
    name : str
        What the argument is called in errors.
    optional : mapping, optional
        Columns that may be absent under their default names, but not under another.

    Raises
    ------
    ValueError
        If a named column is absent, the table has no rows, or a name is used twice.
    """
    given = frame_of(frame, name)
    if given.empty:
        raise ValueError(f"{name} has no rows: there is nothing to compute")
    if given.columns.has_duplicates:
        twice = given.columns[given.columns.duplicated()][0]
        raise ValueError(f'{name} has two columns named "{twice}"; rename one')
    wanted = dict(columns)
    for default, user in (optional or {}).items():
        if user != default or _spellings(given, default):
            wanted[default] = user
    found = {default: _found(given, user, default, name) for default, user in wanted.items()}
    found |= _exchanged(given, columns, found)
    found |= {
        default: column
        for column in given.columns.difference(list(found.values()), sort=False)
        if (default := name_of(column)) in RESERVED
        and default != column
        and default not in given.columns
        and default not in found
    }
    return _arranged(given, found)


def _spellings(frame: pd.DataFrame, user: Hashable) -> list[Hashable]:
    """List the columns whose names are that of `user`, in any spelling."""
    return [column for column in frame.columns if name_of(column) == name_of(user)]


def _found(frame: pd.DataFrame, user: Hashable, default: str, name: str) -> Hashable:
    """Return the column that `user` names; refuse an absent or ambiguous one."""
    found = _spellings(frame, user)
    if len(found) == 1:
        return found[0]
    if found:
        listed = " and ".join(repr(column) for column in found)
        raise ValueError(f'{name} has two columns named "{user}", {listed}; rename one')
    alike = [
        column for column in frame.columns if name_of(column).casefold() == name_of(user).casefold()
    ]
    hint = f'Name yours with the keyword, e.g. {default}="{alike[0] if alike else "..."}"'
    if name_of(user) in (name_of(level) for level in frame.index.names if level is not None):
        hint = f"It is the index; use reset_index(), or name the column with {default}="
    raise ValueError(
        f'{name} has no column "{user}"; it has: {", ".join(map(str, frame.columns))}. {hint}'
    )


def _exchanged(
    frame: pd.DataFrame, columns: Mapping[str, Hashable], found: Mapping[str, Hashable]
) -> dict[str, Hashable]:
    """Exchange what else belongs to the arms where the keywords exchange the arms."""
    named = {default for default in columns if default[-2:] in ("_t", "_c")}
    partner = {name: f"{name[:-1]}{'c' if name[-1] == 't' else 't'}" for name in named}
    if not named or any(columns[name] != other for name, other in partner.items()):
        return {}
    others = [column for column in frame.columns if isinstance(column, str)]
    pairs = [(column, f"{column[:-1]}c") for column in others if column.endswith("_t")]
    return {
        one: other
        for pair in [*pairs, ("treatment", "control")]
        for one, other in (pair, pair[::-1])
        if set(pair) <= set(others) and one not in found
    }


def _arranged(frame: pd.DataFrame, found: Mapping[str, Hashable]) -> pd.DataFrame:
    """Rename the columns found, leave out those they replace, and unify the names they hold."""
    used = list(found.values())
    replaced = [name for name in found if name in frame.columns and name not in used]
    first: dict[Hashable, str] = {}
    for default, user in found.items():
        first.setdefault(user, default)
    table = frame.drop(columns=replaced).rename(columns=first)
    for default, user in found.items():  # one column may serve two arms
        if first[user] != default:
            table[default] = frame[user]
    for column in NAME_COLUMNS:
        if column in table:
            table[column] = unified(table[column])
    return table.reset_index(drop=True)
