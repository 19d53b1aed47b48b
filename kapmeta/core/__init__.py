"""The arithmetic: arrays in, arrays out, the last axis holds studies, infinite variance marks an absent one.

NumPy and SciPy only. Modules and the batch engine are loaded when first used: ``km.core.combine(y, v)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.core.combining import Combined as Combined
    from kapmeta.core.combining import combine as combine

_FUNCTIONS = ("combine", "Combined")

__all__ = ["Combined", "combine"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _FUNCTIONS:
        value = getattr(import_module("kapmeta.core.combining"), name)
    else:
        try:
            value = import_module(f"kapmeta.core.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"kapmeta.core.{name}":
                raise
            raise AttributeError(f'kapmeta.core has no "{name}"') from None
    globals()[name] = value
    return value
