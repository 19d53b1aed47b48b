"""The room that a plot has: widths in inches, and the place of an Axes in its figure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from kapmeta import checking
from kapmeta.plot.saving import root_of
from kapmeta.plot.style import LEAST_POINTS, WIDTHS

__all__ = ["inches_of", "room_of", "type_scales"]

_WIDEST = 200.0  # inches; a poster is about 50


def inches_of(width: float | str | None) -> float | None:
    """Look up a width given in inches or as a word of `WIDTHS`; None stays None."""
    if width is None:
        return None
    if not isinstance(width, str):
        return checking.finite_number(width, "width", above=0.0, at_most=_WIDEST)
    if width not in WIDTHS:
        raise ValueError(
            f'width = "{width}" is not known; use inches or one of: {", ".join(WIDTHS)}'
        )
    return WIDTHS[width]


def room_of(ax: Axes) -> tuple[Bbox, float, float]:
    """Measure the room of `ax`: its place in the figure, and its width and height in points."""
    figure = root_of(ax)
    engine = figure.get_layout_engine()
    if engine is not None:  # the room that a layout gives is known only after it has run
        engine.execute(figure)
    width, height = (72 * length / figure.dpi for length in (ax.bbox.width, ax.bbox.height))
    return ax.get_position(), width, height


def type_scales(points: float) -> Iterator[float]:
    """List scales to try for type of this size, from 1 down to that of the smallest type."""
    yield from map(float, np.linspace(1.0, min(1.0, LEAST_POINTS / points), 41))
