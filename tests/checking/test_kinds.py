"""The kinds of arguments, read from annotations."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.checking import checked
from kapmeta.checking.kinds import kind_of
from tests.helpers.example_calls import ROOMS, calls

Share = float | Mapping[str, float] | None


class Table(dict[str, Any]):
    """A class that annotations name."""


RIGHT: dict[str, list[Any]] = {
    "bool": [True, np.bool_(False)],
    "int": [0, -3, np.int64(5)],
    "float": [0.5, 3, np.float32(0.25), np.int8(1), -1e300],
    "str": ["", "word"],
    "str | None": ["word", None],
    "Sequence[str]": [[], ["a"], ("a",), np.array(["a"]), pd.Series(["a"]), iter(["a"])],
    "Iterable[float]": [[0.5, 1], range(3), np.array([1.0])],
    "tuple[float, float]": [(0.1, 10), [1, 2]],
    "Mapping[str, float] | None": [{}, {"a": 1}, None, pd.Series({"a": 0.5})],
    "Sequence[tuple[str, str]]": [[("a", "b")]],
    "str | Path": ["x", Path("x")],
    "npt.ArrayLike": [1.0, [[1, 2], [3, 4]], np.eye(2), pd.DataFrame({"a": [1.0]})],
    "Callable[..., Any]": [len],
    "Share": [0.5, {"a": 0.5}, None],
    "Table": [Table()],
    "Any": [object(), None],
    "no_such_name": [object()],
}
WRONG: dict[str, list[Any]] = {
    "bool": [0, 1, None, "yes"],
    "int": [1.0, True, None, "1"],
    "float": [True, None, "0.5", math.nan, math.inf, [1.0]],
    "str": [None, 1, b"x", ["x"]],
    "str | None": [1, False],
    "Sequence[str]": ["a", None, {"a": 1}, [1], pd.DataFrame()],
    "Iterable[float]": ["0.5", ["0.5"], [None], [math.nan], 1.0],
    "tuple[float, float]": [(1,), (1, 2, 3), "ab", (None, 1)],
    "Mapping[str, float] | None": [[], "a", {"a": "b"}],
    "Sequence[tuple[str, str]]": [[("a",)], ["ab"], [("a", 1)]],
    "str | Path": [1, None],
    "npt.ArrayLike": ["1", None, [True], [["a"]], {"a": 1}],
    "Callable[..., Any]": ["len", None],
    "Share": ["0.5", [0.5]],
    "Table": [{}, None],
}


@pytest.mark.parametrize("annotation", RIGHT)
def test_what_an_annotation_allows_is_allowed(annotation: str) -> None:
    kind = kind_of(annotation, globals())
    for value in RIGHT[annotation]:
        assert kind is None or kind.holds(value), value


@pytest.mark.parametrize("annotation", WRONG)
def test_what_an_annotation_does_not_allow_is_refused(annotation: str) -> None:
    kind = kind_of(annotation, globals())
    assert kind is not None
    for value in WRONG[annotation]:
        assert not kind.holds(value), value


@checked
def halved(x: float, *, names: Sequence[str] = (), deep: bool = False) -> float:
    """Halve a number."""
    if x == 7:
        raise ValueError("x is 7, which is not for sale")
    return x / 2 + len(names) + deep


def test_an_argument_of_a_wrong_kind_is_named() -> None:
    assert halved(3, names=["a"]) == 2.5
    for call, message in (
        (lambda: halved("3"), r"^x must be a number: got '3'$"),
        (lambda: halved(x=[3]), r"^x must be a number: got list$"),
        (lambda: halved(3, names="ab"), r"^names must be a list of texts: got 'ab'$"),
        (lambda: halved(3, deep="no"), r"^deep must be True or False: got 'no'$"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(ValueError, match=r"^x must be a number, and finite: got nan$"):
        halved(math.nan)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ValueError, match="not for sale"):
        halved(7)
    with pytest.raises(TypeError, match="unexpected keyword"):
        halved(7, other=1)


@checked
def particular(level: float) -> float:
    """Return a level, with words of its own for what is none."""
    if not isinstance(level, float):
        raise TypeError("level must be a proportion, such as 0.95")
    return level


def test_words_of_the_function_that_name_the_argument_are_kept() -> None:
    with pytest.raises(TypeError, match=r"^level must be a proportion, such as 0\.95$"):
        particular("high")


# Made in the core, which knows no tables and checks its numbers itself.
OF_THE_CORE = [
    "half_normal",
    "half_cauchy",
    "uniform",
    "log_normal",
    "inverse_gamma",
    "turner",
    "rhodes",
]
OF_THE_CORE += ["empirical", "empirical_mean"]


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_function_checks_the_kinds_of_its_arguments(room: str) -> None:
    for name, (function, _) in calls(room).items():
        if name not in OF_THE_CORE and not isinstance(function, type):
            assert hasattr(function, "__wrapped__"), f"{room}.{name} is not @checking.checked"


def test_checked_functions_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(km.pool)) is km.pool
