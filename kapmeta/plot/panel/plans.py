"""Where the panel and its surroundings are on the page, from measured text: nothing is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.panel.axis import EffectAxis
from kapmeta.plot.panel.frames import Frame, Key
from kapmeta.plot.panel.labelling import Label, labelled, labels_note
from kapmeta.plot.panel.typesetting import Font, text_width, wrapped

__all__ = ["GAP", "LABEL_PITCH", "MARGIN", "PAD", "PITCH", "TICK", "Plan", "places_on", "plan_of"]

# lengths in ems of the type size
PITCH, MARGIN, GAP, TICK, PAD = 1.3, 0.55, 0.6, 0.38, 0.34
LEAST_PANEL, LABEL_PITCH = 6.0, 1.15
ROW_LABEL, LEAST_ROW_LABEL = 22.0, 8.0


def plan_of(frame: Frame, font: Font, boxes: dict[int, str], wide: float, high: float) -> Plan:
    """Plan a page of this width and height (nan: as needed), with a note on points without name."""
    plan = Plan(frame, font, boxes, wide, high)
    if not plan.unnamed or frame.names is None:
        return plan
    places = places_on(plan.x, plan.y, frame.down, 1, 1, frame.names.x, frame.names.y)
    known = int(np.isfinite(places).all(axis=1).sum())
    noted = replace(frame, notes=(*frame.notes, *labels_note(plan.unnamed, known)))
    return Plan(noted, font, boxes, wide, high)


class Plan:
    """Measured places; raises ValueError where the panel would be too small."""

    def __init__(
        self, frame: Frame, font: Font, boxes: dict[int, str], wide: float, high: float
    ) -> None:
        self.frame, self.font, self.boxes, self.wide = frame, font, boxes, wide
        em = font.points
        self.line = wide - 2 * MARGIN * em
        self.title = self.wrapped(frame.title, 0.94 * self.line, True)
        self.y_label = self.wrapped(frame.y_label, 0.94 * self.line, True)
        self.notes = [line for note in frame.notes for line in self.wrapped(note, 0.94 * self.line)]
        room = min(ROW_LABEL * em, max(0.42 * wide, LEAST_ROW_LABEL * em))
        self.rows = [(y, self.wrapped(label, room)) for y, label in frame.rows]
        self.below_rows = [
            (y, [self._cut(label, room, bold)], bold) for y, label, bold in frame.below_rows
        ]
        self.keys = self._set_keys()
        self._fit(high)

    def wrapped(self, text: str, limit: float, bold: bool = False) -> list[str]:
        """Break `text` into lines of at most `limit` points; no line for no text."""
        return wrapped(text.translate(self.boxes), limit, self.font, bold) if text else []

    def _cut(self, text: str, limit: float, bold: bool) -> str:
        first, *rest = self.wrapped(text, limit, bold) or [""]
        while rest and first and text_width(f"{first}…", self.font, bold) > limit:
            first = first[:-1]
        return f"{first.rstrip()}…" if rest else first

    def _fit(self, high: float) -> None:
        """Find the size of the panel and both axes.

        The labels of y depend on the height, that on the width of the panel, and that on the labels
        of y: three rounds, or fewer once the labels no longer change.
        """
        em, frame = self.font.points, self.frame
        beside = 3.0 * em
        for _ in range(3):
            self.left = MARGIN * em + beside + (TICK + PAD) * em
            self.width = self.wide - self.left - (MARGIN + max(0.8, frame.right)) * em
            if self.width < LEAST_PANEL * em:
                need = (self.left + (MARGIN + max(0.8, frame.right) + LEAST_PANEL) * em) / 72
                raise ValueError(f"it needs {need:.1f} in of width at {em:g} points")
            self.x = frame.x(self._labels_apart)
            self._set_surroundings()
            self.height = self._height(high)
            self.y = frame.y(self._ticks_apart)
            words = [text_width(label, self.font) for label in self.y.labels if not frame.rows]
            words += [text_width(line, self.font) for _, lines in self.rows for line in lines]
            words += [
                text_width(line, self.font, bold)
                for _, lines, bold in self.below_rows
                for line in lines
            ]
            needed = max([*words, 0.0])
            if abs(needed - beside) < 1e-9:
                break
            beside = needed
        self.labels, self.unnamed = self._set_names()

    def _set_names(self) -> tuple[list[Label], int]:
        names, frame = self.frame.names, self.frame
        if names is None:
            return [], 0
        sizes = (self.x, self.y, frame.down, self.width, self.height)
        lines = [_dense_points(places_on(*sizes, x, y), self.font.points) for x, y in names.lines]
        return labelled(
            places_on(*sizes, names.x, names.y),
            self.font.points * np.asarray(names.sides),
            [label.translate(self.boxes) for label in names.labels],
            self.font,
            (self.width, self.height),
            np.concatenate([np.empty((0, 2)), *lines]),
        )

    def _height(self, high: float) -> float:
        em, frame = self.font.points, self.frame
        if math.isnan(high):
            return (
                frame.ratio * self.width if math.isnan(frame.height) else self._rows_height() * em
            )
        height = high - self.top - self.bottom
        least = LEAST_PANEL if math.isnan(frame.height) else self._rows_height()
        if height < least * em:
            raise ValueError(
                f"it needs {(least * em + self.top + self.bottom) / 72:.1f} in of height at {em:g}"
                " points"
            )
        return height

    def _rows_height(self) -> float:
        """Return the height asked for, in ems, or more where labels of rows have several lines."""
        if not self.rows:
            return self.frame.height
        lines = max(len(lines) for _, lines in self.rows)
        height = self.frame.height
        return max(height, (lines * PITCH + 0.45) * (height / self.frame.row_height))

    def _set_surroundings(self) -> None:
        """Set what is above and below the panel, and find how high that is."""
        em, frame = self.font.points, self.frame
        self.x_label = self.wrapped(frame.x_label, min(self.width + 4 * em, 0.94 * self.line), True)
        self.top = (
            MARGIN + PITCH * (len(self.title) + len(self.y_label)) + GAP + 0.4 * bool(self.title)
        ) * em
        self.axis_end = frame.below + ((TICK + PAD + 1.0) if frame.x_axis else 0.3)
        self.sides = self._set_sides()
        count = max([len(lines) for lines, _, _ in self.sides], default=0)
        self.sides_at = self.axis_end + (0.3 if count else 0.0)
        self.label_at = self.sides_at + PITCH * count + (0.3 if self.x_label else 0.0)
        self.keys_at = self.label_at + PITCH * len(self.x_label) + (0.5 if self.keys else 0.0)
        self.notes_at = self.keys_at + PITCH * len(self.keys) + (0.5 if self.notes else 0.0)
        self.bottom = (self.notes_at + PITCH * len(self.notes) + MARGIN + 0.2) * em

    def _set_sides(self) -> list[tuple[list[str], float, str]]:
        """Set the two sides of the null line under the axis, each in its half."""
        if not self.frame.sides:
            return []
        em, (low, high) = self.font.points, self.frame.sides
        half = self.width / 2
        return [
            (self.wrapped(f"←\u00a0{low}", half), -1.5 * em, "left"),
            (self.wrapped(f"{high}\u00a0→", half), self.width + 0.6 * em, "right"),
        ]

    def _set_keys(self) -> list[list[tuple[float, Key | None, str]]]:
        """Set the legend in lines: each entry and its place from the left.

        A long text goes on without a mark.
        """
        em = self.font.points
        lines: list[list[tuple[float, Key | None, str]]] = []
        x = math.inf
        for key in self.frame.keys:
            first, *rest = self.wrapped(key.text, 0.94 * self.line - 2 * em)
            wide = 2 * em + text_width(first, self.font)
            if x + wide > 0.96 * self.line or rest:
                lines.append([])
                x = 0.0
            lines[-1].append((x, key, first))
            lines += [[(0.0, None, text)] for text in rest]
            x = math.inf if rest else x + wide + 1.6 * em
        return lines

    def _labels_apart(self, places: Sequence[float], labels: Sequence[str]) -> bool:
        half = [0.5 * text_width(label, self.font) + 0.4 * self.font.points for label in labels]
        ends = [
            (self.width * place - h, self.width * place + h)
            for place, h in zip(places, half, strict=True)
        ]
        return all(after[0] >= before[1] for before, after in pairwise(ends))

    def _ticks_apart(self, places: Sequence[float], labels: Sequence[str]) -> bool:
        ordered = sorted(places)
        return all((b - a) * self.height >= 1.6 * self.font.points for a, b in pairwise(ordered))


def _dense_points(corners: FloatArray, em: float) -> FloatArray:
    """Find points along a line through `corners`, less than half an em apart."""
    corners = corners[np.isfinite(corners).all(axis=1)]
    pieces = [corners]
    for a, b in pairwise(corners):
        steps = min(1 + int(2 * np.hypot(*(b - a)) / em), 400)
        pieces.append(a + np.linspace(0, 1, steps + 1)[:, None] * (b - a))
    return np.concatenate(pieces)


def places_on(
    along: EffectAxis,
    upwards: EffectAxis,
    down: bool,
    width: float,
    height: float,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
) -> FloatArray:
    """Convert data to points from the lower left corner of a panel, shape (points, 2)."""
    up = upwards.place(y)
    return np.stack([width * along.place(x), height * ((1 - up) if down else up)], axis=-1)
