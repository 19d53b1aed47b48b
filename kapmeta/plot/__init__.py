"""Figures: a result goes in, a Matplotlib Axes comes out; nothing is fitted, shown or saved by a plot.

Names are loaded when first used, so that importing this package costs nothing and imports no Matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.plot import style
    from kapmeta.plot.columns import Column
    from kapmeta.plot.forests import forest, size, sweep
    from kapmeta.plot.saving import save

__all__ = ["Column", "forest", "save", "size", "style", "sweep"]

_HOME = {"Column": "columns", "forest": "forests", "save": "saving", "size": "forests", "sweep": "forests"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'kapmeta.plot has no "{name}"; it has: {", ".join(__all__)}')
    module = importlib.import_module(f"kapmeta.plot.{_HOME.get(name, name)}")
    value = getattr(module, name) if name in _HOME else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
