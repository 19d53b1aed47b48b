"""Every argument of every public function, replaced in turn by a wrong kind of value.

Whatever is given, a function returns a right result or raises a ValueError or TypeError that names
the argument. Nothing that NumPy, pandas or Matplotlib would say gets through to the user.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from matplotlib import pyplot

from tests.helpers.example_calls import ROOMS, Argument, arguments_of, calls, public_functions

WRONG: dict[str, Any] = {
    "None": None,
    "text": "no such word",
    "empty text": "",
    "number as text": "0.5",
    "flag": True,
    "nan": math.nan,
    "infinity": math.inf,
    "negative": -3.0,
    "huge": 1e300,
    "list": [],
    "list of objects": [object()],
    "mapping": {},
    "table": pd.DataFrame({"unknown": ["x"]}),
    "date": datetime.date(2024, 10, 12),
    "object": object(),
}
PLAIN = ("None", "text", "empty text", "number as text", "flag")
NUMBERS = ("nan", "infinity", "negative", "huge")
CONTAINERS = ("list", "list of objects", "mapping")

# Text that is shown and not looked up: any text is right.
FREE_TEXT = {
    "event",
    "treatment",
    "control",
    "opposite",
    "title",
    "alt",
    "head",
    "name",
    "group",
    "origin",
}
FREE_TEXT |= {
    "title",
    "alt",
    "head",
    "name",
    "group",
    "stem",
    "folder",
    "results",
    "unread_trial.study",
    "inverse_gamma.measure",
}
# Numbers that may lie anywhere on the line; those that may be as large as one likes.
UNBOUNDED = {"shift", "target", "mean", "null"}
LARGE = UNBOUNDED | {"tau2"}
# Kinds with a name of their own that include None, and containers.
ALIASES = ("Baseline", "Overall")
# What the libraries below would say; a user cannot act on it.
RAW = (
    "math domain",
    "float NaN",
    "object has no",
    "object is not",
    "'NoneType'",
    "unhashable",
    "could not convert",
    "cannot convert",
    "not supported between",
    "unsupported operand",
    "must be real number",
    "must be str, not",
    "truth value",
    "ufunc",
    "broadcast",
    "positional argument",
    "unexpected keyword",
    "cannot be interpreted",
)


def may_be_right(function: str, argument: Argument, kind: str) -> bool:
    """Decide whether a function may accept a kind of value for an argument."""
    written = argument.annotation
    if kind == "None":
        return "None" in written or written in ("Any", *ALIASES)
    if kind in ("text", "empty text", "number as text"):
        return bool({argument.name, f"{function}.{argument.name}"} & FREE_TEXT) and "str" in written
    if kind == "flag":
        return "bool" in written
    if kind in NUMBERS:
        numeric = "float" in written or "ArrayLike" in written
        return numeric and argument.name in {"negative": UNBOUNDED, "huge": LARGE}.get(kind, ())
    if kind in CONTAINERS:
        return any(word in written for word in ("Sequence", "Iterable", "Mapping", *ALIASES))
    return kind == "table" and function == "reserved_columns"  # of any table


def complaints(room: str, name: str) -> Iterator[str]:
    """Say what is wrong with the answers of one function to wrong arguments."""
    function, arguments = calls(room)[name]
    for argument in arguments_of(function):
        for kind, value in WRONG.items():
            if kind in PLAIN and may_be_right(name, argument, kind):
                continue  # an ordinary call, under test in its room
            given = f"{name}({argument.name}={kind})"
            complaint = _complaint(
                name, function, {**arguments, argument.name: value}, argument, kind
            )
            pyplot.close("all")
            if complaint:
                yield f"{given}: {complaint}"


def _complaint(
    name: str,
    function: Callable[..., Any],
    arguments: dict[str, Any],
    argument: Argument,
    kind: str,
) -> str:
    """Say what is wrong with the answer to one wrong argument; empty where nothing is."""
    try:
        function(**arguments)
    except (ValueError, TypeError) as error:
        message = str(error)
        if kind == "table" and re.search(r"(has no|needs the) column", message):
            return ""  # a table it is; the error names the column that it lacks
        if not re.search(rf"(?<!\w){argument.name}(?!\w)", message):
            return f"does not name the argument: {message}"
        raw = [words for words in RAW if words in message]
        return f"raw text of a library: {message}" if raw else ""
    except OSError as error:
        return "" if "str | os.PathLike" in argument.annotation else f"{error!r}"  # no such folder
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "" if may_be_right(name, argument, kind) else "accepted"


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_function_has_an_example_call(room: str) -> None:
    assert set(public_functions(room)) <= set(calls(room))


@pytest.mark.parametrize(
    "room, name", [(room, name) for room in ROOMS for name in public_functions(room)]
)
def test_a_wrong_kind_of_argument_is_refused_by_name(
    room: str, name: str, monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(complaints(room, name)) == []
