"""Where the panel and what surrounds it stand on the page, from measured text: nothing here draws."""

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
    """The plan for a page of this width and height (nan: as it comes), with a note where points have no name."""
    plan = Plan(frame, font, boxes, wide, high)
    return Plan(_noted(frame, plan), font, boxes, wide, high) if plan.unnamed else plan


def _noted(frame: Frame, plan: Plan) -> Frame:
    """The frame with a note that some points have no name."""
    places = (
        places_on(plan.x, plan.y, frame.down, 1, 1, *frame.names[:2])
        if frame.names
        else np.empty((0, 2))
    )
    known = int(np.isfinite(places).all(axis=1).sum())
    return replace(frame, notes=(*frame.notes, *labels_note(plan.unnamed, known)))


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
        self.keys = self._keys()
        self._fit(high)

    def wrapped(self, text: str, limit: float, bold: bool = False) -> list[str]:
        return wrapped(text.translate(self.boxes), limit, self.font, bold) if text else []

    def _cut(self, text: str, limit: float, bold: bool) -> str:
        first, *rest = self.wrapped(text, limit, bold) or [""]
        while rest and first and text_width(f"{first}…", self.font, bold) > limit:
            first = first[:-1]
        return f"{first.rstrip()}…" if rest else first

    def _fit(self, high: float) -> None:
        em, frame = self.font.points, self.frame
        beside = 3.0 * em
        for _ in range(
            3
        ):  # the width of the labels of y hangs on the height, and that on the width
            self.left = MARGIN * em + beside + (TICK + PAD) * em
            self.width = self.wide - self.left - (MARGIN + max(0.8, frame.right)) * em
            if self.width < LEAST_PANEL * em:
                need = (self.left + (MARGIN + max(0.8, frame.right) + LEAST_PANEL) * em) / 72
                raise ValueError(f"it needs {need:.1f} in of width at {em:g} points")
            self.x = frame.x(self._beside)
            self._around()
            self.height = self._height(high)
            self.y = frame.y(self._above)
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

        self.labels, self.unnamed = self._names()

    def _names(self) -> tuple[list[Label], int]:
        names, frame = self.frame.names, self.frame
        if names is None:
            return [], 0
        sizes = (self.x, self.y, frame.down, self.width, self.height)
        lines = [_along(places_on(*sizes, x, y), self.font.points) for x, y in names.lines]
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
        """The height asked for, in ems, or more where labels of rows have several lines."""
        if not self.rows:
            return self.frame.height
        lines = max(len(lines) for _, lines in self.rows)
        return max(
            self.frame.height, (lines * PITCH + 0.45) * (self.frame.height / self.frame.row_height)
        )

    def _around(self) -> None:
        em, frame = self.font.points, self.frame
        self.x_label = self.wrapped(frame.x_label, min(self.width + 4 * em, 0.94 * self.line), True)
        self.top = (
            MARGIN + PITCH * (len(self.title) + len(self.y_label)) + GAP + 0.4 * bool(self.title)
        ) * em
        self.axis_end = frame.below + ((TICK + PAD + 1.0) if frame.x_axis else 0.3)
        self.sides = self._sides()
        count = max([len(lines) for lines, _, _ in self.sides], default=0)
        self.sides_at = self.axis_end + (0.3 if count else 0.0)
        self.label_at = self.sides_at + PITCH * count + (0.3 if self.x_label else 0.0)
        self.keys_at = self.label_at + PITCH * len(self.x_label) + (0.5 if self.keys else 0.0)
        self.notes_at = self.keys_at + PITCH * len(self.keys) + (0.5 if self.notes else 0.0)
        self.bottom = (self.notes_at + PITCH * len(self.notes) + MARGIN + 0.2) * em

    def _sides(self) -> list[tuple[list[str], float, str]]:
        """The two sides of the null line under the axis, each in its half."""
        if not self.frame.sides:
            return []
        half = self.width / 2 + 1.5 * self.font.points
        left, right = (
            self.wrapped(text, half - 1.5 * self.font.points)
            for text in (f"←\u00a0{self.frame.sides[0]}", f"{self.frame.sides[1]}\u00a0→")
        )
        return [
            (left, -1.5 * self.font.points, "left"),
            (right, self.width + 0.6 * self.font.points, "right"),
        ]

    def _keys(self) -> list[list[tuple[float, Key | None, str]]]:
        """The legend in lines: each entry with its place from the left; a long text goes on without a mark."""
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

    def _beside(self, places: Sequence[float], labels: Sequence[str]) -> bool:
        half = [0.5 * text_width(label, self.font) + 0.4 * self.font.points for label in labels]
        ends = [
            (self.width * place - h, self.width * place + h)
            for place, h in zip(places, half, strict=True)
        ]
        return all(after[0] >= before[1] for before, after in pairwise(ends))

    def _above(self, places: Sequence[float], labels: Sequence[str]) -> bool:
        ordered = sorted(places)
        return all((b - a) * self.height >= 1.6 * self.font.points for a, b in pairwise(ordered))


def _along(corners: FloatArray, em: float) -> FloatArray:
    """Points along a line through `corners`, less than half an em apart."""
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
    up = upwards.place(y)
    return np.stack([width * along.place(x), height * ((1 - up) if down else up)], axis=-1)
