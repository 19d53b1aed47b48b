"""Pooling: effects or counts go in, one pooled result comes out.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.pooling.bayes import pool_bayes as pool_bayes
    from kapmeta.pooling.exact import pool_exact as pool_exact
    from kapmeta.pooling.headlines import headline as headline
    from kapmeta.pooling.headlines import headline_effect as headline_effect
    from kapmeta.pooling.inverse_variance import pool as pool
    from kapmeta.pooling.stratified import mantel_haenszel as mantel_haenszel
    from kapmeta.pooling.stratified import peto as peto

_HOME = {
    "headline": "headlines",
    "headline_effect": "headlines",
    "mantel_haenszel": "stratified",
    "peto": "stratified",
    "pool": "inverse_variance",
    "pool_bayes": "bayes",
    "pool_exact": "exact",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.pooling has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.pooling.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
