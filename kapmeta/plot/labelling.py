"""Names beside points: set where there is room, and counted where there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kapmeta.core.arrays import FloatArray
from kapmeta.plot.framing import Panel
from kapmeta.plot.typesetting import Font, text_width, wrapped

__all__ = ["label_points", "labels_note"]

LINE, WIDEST, MOST_LINES = 1.15, 13.0, 2  # ems
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
REACHES = (0.35, 1.3, 2.4)


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )


def label_points(panel: Panel, x: FloatArray, y: FloatArray, sides: FloatArray, labels: Sequence[str]) -> int:
    """Write `labels` beside points whose marks are `sides` points wide; returns how many found no room.

    A name goes to the first free place around its point, with a line to it where that is not close by; no two
    names, and no name and mark, lie on each other. Points come first that are given first.
    """
    places = panel.places(x, y)
    em = panel.font.points
    marks = [_Box(a - s / 2, b - s / 2, a + s / 2, b + s / 2) for (a, b), s in zip(places, sides, strict=True)]
    taken: list[_Box] = []
    left_out = 0
    for i, label in enumerate(labels):
        if not np.isfinite(places[i]).all():
            continue
        lines = _short(label.translate(panel.boxes), panel.font)
        width = max(text_width(line, panel.font) for line in lines)
        size = (width, len(lines) * LINE * em)
        found = _free(panel, places[i], sides[i], size, [*taken, *(m for j, m in enumerate(marks) if j != i)])
        if found is None:
            left_out += 1
            continue
        box, far = found
        taken.append(box)
        if far:
            _leader(panel, places[i], box)
        for n, line in enumerate(lines):
            panel.write(box.left, box.top - (0.88 + n * LINE) * em, line, colour=panel.theme.text)
    return left_out


def labels_note(left_out: int, k: int) -> tuple[str, ...]:
    """What to tell of points without a name."""
    return (f"{k - left_out} of {k} points are named; for the others there is no room.",) if left_out else ()


def _short(label: str, font: Font) -> list[str]:
    lines = wrapped(" ".join(label.split()), WIDEST * font.points, font)
    if len(lines) <= MOST_LINES:
        return lines
    last = lines[MOST_LINES - 1]
    while last and text_width(f"{last}…", font) > WIDEST * font.points:
        last = last[:-1]
    return [*lines[: MOST_LINES - 1], f"{last.rstrip()}…"]


def _free(
    panel: Panel, place: FloatArray, side: float, size: tuple[float, float], taken: Sequence[_Box]
) -> tuple[_Box, bool] | None:
    """The nearest free box for a text of `size` around a point, and whether it is too far to need no line."""
    em = panel.font.points
    for reach in REACHES:
        for across, up in DIRECTIONS:
            step = side / 2 + reach * em / math.hypot(across, up)
            left = place[0] + across * step - size[0] * (1 - across) / 2
            bottom = place[1] + up * step - size[1] * (1 - up) / 2
            box = _Box(left, bottom, left + size[0], bottom + size[1])
            inside = (
                box.left >= 0.2 * em
                and box.right <= panel.width
                and box.bottom >= 0.3 * em
                and box.top <= panel.height
            )
            if inside and not any(box.meets(other) for other in taken):
                return box, reach > REACHES[0]
    return None


def _leader(panel: Panel, place: FloatArray, box: _Box) -> None:
    """A thin line from a point to the nearest point of its label."""
    end = (float(np.clip(place[0], box.left, box.right)), float(np.clip(place[1], box.bottom, box.top)))
    panel.ax.plot(
        [float(f"{x / panel.width:.10g}") for x in (place[0], end[0])],
        [float(f"{y / panel.height:.10g}") for y in (place[1], end[1])],
        transform=panel.ax.transAxes,
        color=panel.theme.quiet,
        lw=0.6 * panel.scale,
        zorder=2.5,
    )
