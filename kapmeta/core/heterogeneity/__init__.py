"""Between-study variance: estimators, intervals and the measures made from it.

The names of `kapmeta.core.heterogeneity.heterogeneity` are reachable from here too.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(import_module("kapmeta.core.heterogeneity.heterogeneity"), name)
