"""PointNames beside points: set where there is room, and counted where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.plot.panel.typesetting import Font, text_width, wrapped

__all__ = ["Label", "LinePoints", "PointNames", "labelled", "labels_note"]

LINE, WIDEST_NAME = 1.15, 13.0  # ems
NAME_LINES, MOST_NAMES = 2, 60  # names of more points are not tried
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
DISTANCES = (0.35, 1.3, 2.4)


LinePoints = tuple[npt.ArrayLike, npt.ArrayLike]
"""A line through points: their x and their y."""


class PointNames(NamedTuple):
    """Points to be named: places in data, widths of marks in ems, names, and lines to avoid."""

    x: FloatArray
    y: FloatArray
    sides: FloatArray
    labels: Sequence[str]
    lines: Sequence[LinePoints] = ()


class Label(NamedTuple):
    """A name in lines, the left end and baseline of its first, and ends of a line to its point."""

    lines: list[str]
    x: float
    y: float
    leader: tuple[tuple[float, float], tuple[float, float]] | None


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

    def holds(self, points: FloatArray) -> bool:
        x, y = points.T
        return bool(((x > self.left) & (x < self.right) & (y > self.bottom) & (y < self.top)).any())


def labelled(
    places: FloatArray,
    sides: FloatArray,
    labels: Sequence[str],
    font: Font,
    room: tuple[float, float],
    lines: FloatArray,
) -> tuple[list[Label], int]:
    """Set names beside points within `room` (width, height); count those without; all in points.

    A name goes to the first free place around its point, with a line to it where that is not close
    by; no two names, and no name and mark, lie on each other, and a name lies on one of `lines`
    (points along them, shape (n, 2)) only where it must. Points that are given first come first.
    """
    # Greedy: for each point in turn, 1. break its name into lines; 2. list boxes around it, nearest
    # first, that are inside the room and meet no mark and no name placed before; 3. take the first
    # that lies on no line, else the first. Points without a free box stay without a name.
    em = font.points
    marks = [
        _Box(a - s / 2, b - s / 2, a + s / 2, b + s / 2)
        for (a, b), s in zip(places, sides, strict=True)
    ]
    found: list[Label] = []
    taken: list[_Box] = []
    known: BoolArray = np.asarray(np.isfinite(places).all(axis=1))
    for i in np.flatnonzero(known)[:MOST_NAMES]:
        words = _name_lines(labels[i], font)  # 1.
        size = (max(text_width(line, font) for line in words), len(words) * LINE * em)
        others = [*taken, *(mark for j, mark in enumerate(marks) if j != i and known[j])]
        candidates = [  # 2.
            (box, far)
            for box, far in _candidates(places[i], sides[i], size, em)
            if _is_inside(box, room, em) and not any(box.meets(other) for other in others)
        ]
        if not candidates:
            continue
        # 3.
        box, far = next(((b, f) for b, f in candidates if not b.holds(lines)), candidates[0])
        taken.append(box)
        leader = _leader(places[i], box) if far else None
        found.append(Label(words, box.left, box.top - 0.88 * em, leader))
    return found, int(known.sum()) - len(found)


def labels_note(left_out: int, k: int) -> tuple[str, ...]:
    """Write a note on points without a name."""
    if not left_out:
        return ()
    named = (
        f"{k - left_out} of {k} points are named" if left_out < k else "The points are not named"
    )
    return (f"{named}: there is no room for more.",)


def _name_lines(label: str, font: Font) -> list[str]:
    lines = wrapped(" ".join(label.split()), WIDEST_NAME * font.points, font)
    if len(lines) <= NAME_LINES:
        return lines
    last = lines[NAME_LINES - 1]
    while last and text_width(f"{last}…", font) > WIDEST_NAME * font.points:
        last = last[:-1]
    return [*lines[: NAME_LINES - 1], f"{last.rstrip()}…"]


def _candidates(
    place: FloatArray, side: float, size: tuple[float, float], em: float
) -> Iterable[tuple[_Box, bool]]:
    """List boxes for a text of `size` around a point, best first, and if each needs a leader."""
    for distance in DISTANCES:
        for across, up in DIRECTIONS:
            step = side / 2 + distance * em / math.hypot(across, up)
            left = float(place[0]) + across * step - size[0] * (1 - across) / 2
            bottom = float(place[1]) + up * step - size[1] * (1 - up) / 2
            yield _Box(left, bottom, left + size[0], bottom + size[1]), distance > DISTANCES[0]


def _is_inside(box: _Box, room: tuple[float, float], em: float) -> bool:
    return (
        box.left >= 0.2 * em
        and box.right <= room[0]
        and box.bottom >= 0.3 * em
        and box.top <= room[1]
    )


def _leader(place: FloatArray, box: _Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Find the ends of the line from a point to the nearest place of a box."""
    x, y = float(place[0]), float(place[1])
    return (x, y), (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
