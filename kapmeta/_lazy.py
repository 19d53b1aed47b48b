"""Public names of a package, loaded when first used, so that its import costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

Surface = tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]


def lazy(package: str, files: Mapping[str, Sequence[str]], modules: Sequence[str] = ()) -> Surface:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` of a room.

    Parameters
    ----------
    package : str
        Name of the room, its ``__name__``.
    files : mapping of str to sequence of str
        Public names by the module that defines them: relative to the room, or a path from
        ``kapmeta``.
    modules : sequence of str
        Modules of the room that are themselves public.

    Returns
    -------
    tuple
        The three, to be bound in the room under their own names.

    Examples
    --------
    >>> public, get, names = lazy("kapmeta.effects", {"counts": ["risk_ratio"]})
    >>> public, get("risk_ratio").__module__
    (['risk_ratio'], 'kapmeta.effects.counts')
    """
    paths = {name: _path(package, file) for file, names in files.items() for name in names}
    public = [*paths, *modules]

    def get(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in paths:
            raise AttributeError(f'{package} has no "{name}"; it has: {", ".join(sorted(public))}')
        value = getattr(import_module(paths[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return public, get, lambda: sorted(public)


def _path(package: str, file: str) -> str:
    """Return the full path of a module given from its room or from ``kapmeta``."""
    return file if file.startswith("kapmeta.") else f"{package}.{file}"
