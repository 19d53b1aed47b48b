"""Numbers given as arguments: one, several, whole ones, and sources of chance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypedDict, Unpack

import numpy as np

__all__ = ["Bounds", "finite_number", "finite_numbers", "generator", "whole_number"]


class Bounds(TypedDict, total=False):
    """Where a number may lie; `above` and `below` are not allowed themselves."""

    above: float
    at_least: float
    below: float
    at_most: float


def finite_number(value: Any, name: str, **bounds: Unpack[Bounds]) -> float:
    """Return `value` if it is a finite number within the bounds.

    Examples
    --------
    >>> finite_number(0.5, "rho", above=-1, below=1)
    0.5
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number{_where(bounds)}: got {value!r}")
    inside = bounds.get("above", -math.inf) < value < bounds.get("below", math.inf)
    held = bounds.get("at_least", -math.inf) <= value <= bounds.get("at_most", math.inf)
    if not (math.isfinite(value) and inside and held):
        raise ValueError(f"{name} must be a finite number{_where(bounds)}: got {value:g}")
    return float(value)


def _where(bounds: Bounds) -> str:
    """Write the bounds in words: `` above 0 and at most 1``."""
    words = [f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items()]
    return f" {' and '.join(words)}" if words else ""


def finite_numbers(values: Any, name: str, **bounds: Unpack[Bounds]) -> list[float]:
    """Return the numbers of a sequence, each of them within the bounds."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence of numbers: got {values!r}")
    found = [finite_number(value, f"each of {name}", **bounds) for value in values]
    if not found:
        raise ValueError(f"{name} is empty; give one number or more")
    return found


def whole_number(value: Any, name: str, *, at_least: int = 0) -> int:
    """Return `value` if it is a whole number of at least so much."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, at least {at_least}: got {value!r}")
    if value < at_least:
        raise ValueError(f"{name} must be at least {at_least}: got {value}")
    return int(value)


def generator(rng: Any) -> np.random.Generator:
    """Return a source of chance: that given, one with the seed given, or the fixed one for None."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng(0)
    if isinstance(rng, bool | np.bool_) or not isinstance(rng, int | np.integer) or rng < 0:
        raise TypeError(
            f"rng must be a numpy.random.Generator or a whole number, its seed: got {rng!r}"
        )
    return np.random.default_rng(int(rng))
