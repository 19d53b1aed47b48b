"""The surroundings of a panel, declared: axes, labels, keys, notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.plot.panel.arguments import text_given, texts_of
from kapmeta.plot.panel.axis import EffectAxis, Fits, effect_axis
from kapmeta.plot.panel.labelling import PointNames

__all__ = ["AxisMaker", "Frame", "Key", "axis_of", "fixed_axis"]

AxisMaker = Callable[[Fits], EffectAxis]


class Key(NamedTuple):
    """One entry of the legend: a mark and what it means.

    `mark` is a Matplotlib marker, ``"-"`` or another line style, or ``"patch"``; `sign` is written
    on it.
    """

    mark: str
    colour: str
    text: str
    edge: str = ""
    sign: str = ""
    hatch: str = ""


@dataclass(frozen=True)
class Frame:
    """The surroundings of a panel.

    `x` and `y` make an axis, given a test of which labels fit. `rows` are labels left of the panel
    at heights of the y axis, in place of its ticks, `row_height` ems high each or more, flush with
    the panel unless they are under a head (`rows_headed`). The panel is `ratio` times as high as
    wide, or `height` ems high; `below` ems are kept free under it, with labels `below_rows` at ems
    from its lower edge.
    """

    x: AxisMaker
    y: AxisMaker
    x_label: str
    y_label: str
    name: str
    alt: str
    title: str = ""
    notes: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    ratio: float = 0.75
    height: float = math.nan
    rows: tuple[tuple[float, str], ...] = ()
    row_height: float = 2.0
    rows_headed: bool = False
    below: float = 0.0
    below_rows: tuple[tuple[float, str, bool], ...] = ()
    down: bool = False
    sides: tuple[str, ...] = ()
    right: float = 0.0
    x_axis: bool = True
    names: PointNames | None = None

    def with_text(self, title: str, notes: Iterable[str]) -> Frame:
        """Add the caller's title, and the caller's notes below those of the plot."""
        text = text_given(title, "title")
        return replace(self, title=text, notes=(*self.notes, *texts_of(notes)))


def axis_of(
    values: npt.ArrayLike,
    *,
    log: bool = False,
    null: float | None = None,
    low: npt.ArrayLike = (),
    high: npt.ArrayLike = (),
    ends: tuple[float, float] | None = None,
) -> AxisMaker:
    """Make an axis that holds these values; `low` and `high` are limits that may be cut."""
    points = np.ravel(np.asarray(values, dtype=float))
    given = [np.ravel(np.asarray(x, dtype=float)) for x in (low, high)]
    most = max(points.size, *(x.size for x in given))
    padded = [
        np.append(x, np.full(most - x.size, np.nan))
        for x in (points, *(x if x.size else points for x in given))
    ]

    def make(fits: Fits) -> EffectAxis:
        return effect_axis(padded[0], padded[1], padded[2], null, log=log, fits=fits, ends=ends)

    return make


def fixed_axis(
    low: float, high: float, ticks: Sequence[float] = (), labels: Sequence[str] = ()
) -> AxisMaker:
    """Make a linear axis with these ends and ticks, whatever the room."""
    return lambda fits: EffectAxis(low, high, tuple(ticks), tuple(labels), False)
