"""The kind of every argument of a public function, checked against its annotation."""

from __future__ import annotations

import inspect
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, reduce, wraps
from numbers import Integral, Real
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

__all__ = ["checked"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Kind(NamedTuple):
    """What an argument may be: a predicate, and words for the error."""

    holds: Callable[[Any], bool]
    words: str


def checked(function: _Function) -> _Function:
    """Check the arguments of `function` against its annotations whenever it is called.

    An error of the function's own that names the argument is the better one and is kept. Any other
    error that a wrong kind of value leads to, and a result in spite of one, become an error that
    names the argument and what it must be. Values that an annotation cannot tell from right ones
    (the words of an option, the range of a number) are checked where they are used.

    Parameters
    ----------
    function : callable
        A public function, annotated.

    Returns
    -------
    callable
        The function, with its name, documentation and signature.

    Raises
    ------
    TypeError
        When the function is called, if an argument is of another kind, naming it.
    ValueError
        When the function is called, if a number is nan or infinite.

    Examples
    --------
    >>> @checked
    ... def doubled(x: float) -> float:
    ...     return 2 * x
    >>> doubled("3")
    Traceback (most recent call last):
    ...
    TypeError: x must be a number: got '3'
    """

    @wraps(function)
    def door(*args: Any, **keywords: Any) -> Any:
        try:
            result = function(*args, **keywords)
        except Exception as error:
            wrong = _wrong_kind(function, args, keywords)
            if wrong is None or _names(error, wrong[0]):
                raise
        else:
            wrong = _wrong_kind(function, args, keywords)
            if wrong is None:
                return result
        raise _refusal(*wrong)

    return door  # type: ignore[return-value]


def _wrong_kind(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[str, Kind, Any] | None:
    """Return the first argument of a wrong kind, with its kind and value."""
    kinds, positional = _kinds(function)
    for name, value in (*zip(positional, args, strict=False), *keywords.items()):
        if name in kinds and not kinds[name].holds(value):
            return name, kinds[name], value
    return None


def _names(error: Exception, argument: str) -> bool:
    """Check whether an error names an argument."""
    named = re.search(rf"(?<!\w){re.escape(argument)}(?!\w)", str(error))
    return isinstance(error, ValueError | TypeError) and named is not None


def _refusal(name: str, kind: Kind, value: Any) -> Exception:
    """Return the error for an argument of a wrong kind."""
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return ValueError(f"{name} must be {kind.words}, and finite: got {value:g}")
    return TypeError(f"{name} must be {kind.words}: got {_shown(value)}")


def _shown(value: Any) -> str:
    """Write a value that fits a line, or the class of one that may not."""
    short = value is None or isinstance(value, str | Real | np.bool_)
    return repr(value)[:80] if short else type(value).__name__


@cache
def _kinds(function: Callable[..., Any]) -> tuple[dict[str, Kind], list[str]]:
    """Return the kind of each argument that has one, and the names of the positional ones."""
    kinds: dict[str, Kind] = {}
    positional = []
    names = function.__globals__
    for parameter in inspect.signature(function).parameters.values():
        annotations = {parameter.name: str(parameter.annotation)}
        if parameter.kind is parameter.VAR_KEYWORD:
            annotations = _table_of_keywords(str(parameter.annotation), names)
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(parameter.name)
        for name, annotation in annotations.items():
            kind = kind_of(annotation, names)
            if kind is not None:
                kinds[name] = kind
    return kinds, positional


def _table_of_keywords(annotation: str, names: Mapping[str, Any]) -> dict[str, str]:
    """Return the annotations by keyword of ``**names: Unpack[Table]``."""
    base, inside = _parts(annotation)
    table = names.get(inside) if base == "Unpack" else None
    written = {} if table is None else table.__annotations__
    return {name: getattr(kind, "__forward_arg__", str(kind)) for name, kind in written.items()}


def kind_of(annotation: str, names: Mapping[str, Any]) -> Kind | None:
    """Read an annotation, with the names it uses; None where it restricts nothing checked here."""
    parts = _split(annotation, "|")
    if len(parts) == 1 and parts[0] in _EXPLAINED:
        return None
    kinds = [_kind_of_one(part, names) for part in parts]
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        return None
    *words, last = dict.fromkeys(kind.words for kind in known)
    return Kind(
        lambda value: any(kind.holds(value) for kind in known),
        f"{', '.join(words)} or {last}" if words else last,
    )


def _kind_of_one(annotation: str, names: Mapping[str, Any]) -> Kind | None:
    base, inside = _parts(annotation)
    short = base.rpartition(".")[2]
    if short == "Any":
        return None
    if short in _PLAIN:
        return _PLAIN[short]
    if short in _CONTAINERS:
        return _CONTAINERS[short](*(kind_of(part, names) for part in _split(inside, ",")))
    meant = _meant(base, names)
    if isinstance(meant, type):
        return _instance_of(meant)
    is_alias = meant is not None and not isinstance(meant, TypeVar | ModuleType)
    return kind_of(str(meant), names) if is_alias and str(meant) != annotation else None


def _meant(path: str, names: Mapping[str, Any]) -> Any:
    """Find what a dotted name stands for, among `names` or the modules loaded."""
    home, _, last = path.rpartition(".")
    if home in sys.modules:
        return getattr(sys.modules[home], last, None)
    first, *rest = path.split(".")
    return reduce(lambda found, name: getattr(found, name, None), rest, names.get(first))


def _instance_of(meant: type) -> Kind | None:
    if getattr(meant, "_is_protocol", False):
        return None
    if meant is pd.DataFrame:  # or what `checking.frame_of` makes one of
        return Kind(
            lambda value: isinstance(value, meant) or hasattr(value, "to_pandas"),
            "a pandas DataFrame",
        )
    return Kind(lambda value: isinstance(value, meant), meant.__name__)


def _parts(annotation: str) -> tuple[str, str]:
    """Split ``Sequence[str]`` into its name and what is between the brackets."""
    base, _, inside = annotation.strip().partition("[")
    return base, inside.removesuffix("]")


def _split(annotation: str, mark: str) -> list[str]:
    """Split an annotation at a mark outside brackets."""
    parts, depth = [""], 0
    for letter in annotation:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _is_number(value: Any) -> bool:
    flag = isinstance(value, bool | np.bool_)
    return isinstance(value, Real) and not flag and math.isfinite(value)


def _is_array(value: Any) -> bool:
    """Check for a number, or numbers in an array, a table or nested lists."""
    if isinstance(value, str | Mapping) or value is None:
        return False
    return all(isinstance(x, Real) and not isinstance(x, bool | np.bool_) for x in _items(value))


def _items(value: Any) -> Iterator[Any]:
    """Run through the items of nested lists or of an array."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _items(part)
    else:
        yield from np.asarray(value, dtype=object).flat


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def _each(value: Iterable[Any], kind: Kind | None) -> bool:
    """Check the items of a container that can be read twice."""
    return kind is None or isinstance(value, Iterator) or all(map(kind.holds, value))


def _plural(kind: Kind | None) -> str:
    """Name the items of a container."""
    return "values" if kind is None else _PLURALS.get(kind.words, kind.words)


def _list_of(kind: Kind | None) -> Kind:
    return Kind(
        lambda value: (
            isinstance(value, Iterable)
            and not isinstance(value, str | bytes | Mapping | pd.DataFrame)
            and _each(value, kind)
        ),
        f"a list of {_plural(kind)}",
    )


def _tuple_of(*kinds: Kind | None) -> Kind:
    return Kind(
        lambda value: (
            isinstance(value, tuple | list | np.ndarray)
            and len(value) == len(kinds)
            and all(kind is None or kind.holds(x) for x, kind in zip(value, kinds, strict=True))
        ),
        f"{len(kinds)} {_plural(kinds[0])}",
    )


def _mapping_of(_: Kind | None, kind: Kind | None) -> Kind:
    return Kind(
        lambda value: isinstance(value, Mapping | pd.Series) and _each(dict(value).values(), kind),
        f"a mapping to {_plural(kind)}",
    )


# Classes whose own error says where to get one, where nothing else is accepted.
_EXPLAINED = {"Effects", "Pooled", "Evidence", "pd.DataFrame"}

_PLAIN: Mapping[str, Kind] = MappingProxyType(
    {
        "None": Kind(lambda value: value is None, "None"),
        "bool": Kind(lambda value: isinstance(value, bool | np.bool_), "True or False"),
        "int": Kind(_is_whole, "a whole number"),
        "float": Kind(_is_number, "a number"),
        "ArrayLike": Kind(_is_array, "numbers"),
        "str": Kind(lambda value: isinstance(value, str), "text"),
        "Path": Kind(lambda value: isinstance(value, os.PathLike), "a path"),
        "PathLike": Kind(lambda value: isinstance(value, os.PathLike), "a path"),
        "Callable": Kind(callable, "a function"),
        "Generator": Kind(
            lambda value: isinstance(value, np.random.Generator), "numpy.random.default_rng(seed)"
        ),
    }
)

_PLURALS: Mapping[str, str] = MappingProxyType(
    {"text": "texts", "a number": "numbers", "a whole number": "whole numbers"}
)

_CONTAINERS: Mapping[str, Callable[..., Kind]] = MappingProxyType(
    {"Sequence": _list_of, "Iterable": _list_of, "tuple": _tuple_of, "Mapping": _mapping_of}
)
