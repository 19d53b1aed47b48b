"""Put the code of a mutant into a module that is already imported, for every test that holds it."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

_VALUES = (bool, int, float, tuple)


def put_in_place(module: ModuleType, source: str) -> None:
    """Give the functions, methods and plain values of `module` what `source` makes of them."""
    mutated = {"__name__": module.__name__}
    exec(compile(source, f"<mutant of {module.__name__}>", "exec"), mutated)
    for name, new in mutated.items():
        old = module.__dict__.get(name)
        if getattr(old, "__module__", None) == module.__name__:
            _replace(old, new)
        elif isinstance(old, dict) and old is not new and not name.startswith("__"):
            old.clear()
            old.update(new)
        elif isinstance(old, _VALUES):
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(name) is old:
                    setattr(other, name, new)


def _replace(old: object, new: object) -> None:
    """Give `old`, whatever refers to it, the code and defaults of `new`; methods likewise."""
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        old.__code__, old.__defaults__, old.__kwdefaults__ = (
            new.__code__,
            new.__defaults__,
            new.__kwdefaults__,
        )
    elif isinstance(old, type):
        for name, member in vars(new).items():
            _replace(vars(old).get(name), member)
    for inside in ("__wrapped__", "__func__", "fget"):
        if hasattr(old, inside):
            _replace(getattr(old, inside), getattr(new, inside))
