"""Checks of what callers of the plots give: axis limits, ticks, contours, texts, numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

from kapmeta import checking

__all__ = ["axis_given", "axis_limits", "axis_ticks", "contour_levels", "text_given", "texts_of"]


def axis_given(ax: Axes | None) -> Axes | None:
    """Return `ax` if it is an Axes or None."""
    return None if ax is None else checking.instance(ax, Axes, "ax", "be a Matplotlib Axes")


def text_given(value: Any, name: str) -> str:
    """Return `value` if it is one text."""
    return checking.instance(value, str, name, "be a text")


def texts_of(texts: Iterable[str], argument: str = "notes") -> tuple[str, ...]:
    """Return texts given by the caller; refuse one text in place of a list."""
    if isinstance(texts, str):
        raise TypeError(f"{argument} is one text; give a list of texts")
    if not isinstance(texts, Iterable):
        raise TypeError(f"{argument} must be a list of texts: got {type(texts).__name__}")
    return tuple(text_given(text, f"each of {argument}") for text in texts)


def axis_limits(ends: Any, *, ratio: bool, name: str = "xlim") -> tuple[float, float] | None:
    """Return the ends of an axis: two numbers, the lower first, above 0 for ratios."""
    if ends is None:
        return None
    found = checking.finite_numbers(ends, name)
    if len(found) != 2 or not found[0] < found[1]:
        raise ValueError(f"{name} must be two numbers, the lower end first: got {_listed(found)}")
    _refuse_not_ratio(found, ratio, name)
    return found[0], found[1]


def axis_ticks(
    ticks: Any, ends: tuple[float, float] | None, *, ratio: bool
) -> tuple[float, ...] | None:
    """Return the labelled values of an axis: on it, above 0 for ratios, each once."""
    if ticks is None:
        return None
    found = checking.finite_numbers(ticks, "ticks")
    if not found or len(set(found)) < len(found):
        raise ValueError(f"ticks must be one value or more, each once: got {_listed(found)}")
    _refuse_not_ratio(found, ratio, "ticks")
    beyond = [tick for tick in found if ends is not None and not ends[0] <= tick <= ends[1]]
    if beyond and ends is not None:
        raise ValueError(
            f"ticks must lie on the axis, which xlim ends at {ends[0]:g} and {ends[1]:g}: got"
            f" {beyond[0]:g}"
        )
    return tuple(found)


def _refuse_not_ratio(values: Sequence[float], ratio: bool, name: str) -> None:
    if ratio and min(values) <= 0:
        raise ValueError(
            f"{name} must lie above 0, for the axis of a ratio is logarithmic: got"
            f" {_listed(values)}"
        )


def _listed(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"


def contour_levels(contours: Any) -> tuple[float, ...]:
    """Return levels of confidence, each a proportion and given once."""
    if isinstance(contours, str) or not isinstance(contours, Iterable):
        raise TypeError(
            f"contours must be a sequence of levels, e.g. (0.9, 0.95): got {contours!r}"
        )
    levels = tuple(checking.proportion(level, "each of contours") for level in contours)
    if len(set(levels)) < len(levels):
        raise ValueError(f"contours must each be given once: got {_listed(levels)}")
    return levels
