"""A panel with two axes and all that surrounds it: labels, keys and notes set from measured text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from kapmeta.core.arrays import FloatArray
from kapmeta.plot.axis import EffectAxis, Fits, effect_axis
from kapmeta.plot.labelling import Label, Names, labelled, labels_note
from kapmeta.plot.saving import describe, root_of
from kapmeta.plot.style import LEAST_POINTS, WIDTHS, Theme
from kapmeta.plot.typesetting import Font, legible, text_width, wrapped

__all__ = ["Frame", "Key", "Panel", "axis_of", "fixed_axis", "framed", "texts_of"]

# lengths in ems of the type size
PITCH, MARGIN, GAP, TICK, PAD = 1.3, 0.55, 0.6, 0.38, 0.34
LEAST_PANEL, LABEL_PITCH = 6.0, 1.15
ROW_LABEL, LEAST_ROW_LABEL = 22.0, 8.0
WIDTH = 4.8  # inches of a figure of its own

AxisMaker = Callable[[Fits], EffectAxis]


class Key(NamedTuple):
    """One entry of the legend: a mark and what it stands for.

    `mark` is a Matplotlib marker, ``"-"`` or another line style, or ``"patch"``; `sign` is written on it.
    """

    mark: str
    colour: str
    text: str
    edge: str = ""
    sign: str = ""
    hatch: str = ""


@dataclass(frozen=True)
class Frame:
    """What surrounds a panel.

    `x` and `y` make an axis when told which labels fit. `rows` are labels left of the panel at heights of the
    y axis, in place of its ticks, `row_height` ems high each or more. The panel is `ratio` times as high as
    wide, or `height` ems high; `below` ems are kept free under it, with labels `below_rows` at ems from its lower edge.
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
    below: float = 0.0
    below_rows: tuple[tuple[float, str, bool], ...] = ()
    down: bool = False
    sides: tuple[str, ...] = ()
    right: float = 0.0
    x_axis: bool = True
    names: Names | None = None


@dataclass(frozen=True)
class Panel:
    """A panel ready to be drawn on; lengths in points of the page, `scale` times that on the figure."""

    ax: Axes
    font: Font
    scale: float
    width: float
    height: float
    x: EffectAxis
    y: EffectAxis
    down: bool
    boxes: dict[int, str]
    theme: Theme

    @property
    def em(self) -> float:
        """Type size on the figure, in points."""
        return self.font.points * self.scale

    def places(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """Points from the lower left corner of the panel, shape (points, 2)."""
        return _places(self.x, self.y, self.down, self.width, self.height, x, y)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        align: str = "left",
        *,
        bold: bool = False,
        colour: str = "",
        order: float = 6,
        backing: str = "",
    ) -> None:
        """One line of text with its baseline at points from the lower left corner; `backing` is painted behind it."""
        self.ax.text(
            _ten(x / self.width),
            _ten(y / self.height),
            text,
            transform=self.ax.transAxes,
            ha=align,
            va="baseline",
            family=list(self.font.families),
            size=self.em,
            weight="bold" if bold else "normal",
            color=colour or self.theme.text,
            parse_math=False,
            zorder=order,
            bbox={"facecolor": backing, "edgecolor": "none", "pad": 1.0 * self.scale} if backing else None,
        )


def _places(
    along: EffectAxis, upwards: EffectAxis, down: bool, width: float, height: float, x: npt.ArrayLike, y: npt.ArrayLike
) -> FloatArray:
    up = upwards.place(y)
    return np.stack([width * along.place(x), height * ((1 - up) if down else up)], axis=-1)


def axis_of(
    values: npt.ArrayLike,
    *,
    log: bool = False,
    null: float | None = None,
    low: npt.ArrayLike = (),
    high: npt.ArrayLike = (),
    ends: tuple[float, float] | None = None,
) -> AxisMaker:
    """An axis that holds these values; `low` and `high` are limits that may be cut."""
    points = np.ravel(np.asarray(values, dtype=float))
    given = [np.ravel(np.asarray(x, dtype=float)) for x in (low, high)]
    limits = [x if x.size else points for x in given]
    most = max(x.size for x in (points, *limits))
    points, *limits = (np.append(x, np.full(most - x.size, np.nan)) for x in (points, *limits))

    def make(fits: Fits) -> EffectAxis:
        return effect_axis(points, *limits, null, log=log, fits=fits, ends=ends)

    return make


def fixed_axis(low: float, high: float, ticks: Sequence[float] = (), labels: Sequence[str] = ()) -> AxisMaker:
    """A linear axis with these ends and ticks, whatever the room."""
    return lambda fits: EffectAxis(low, high, tuple(ticks), tuple(labels), False)


def texts_of(texts: Iterable[str], argument: str = "notes") -> tuple[str, ...]:
    """Texts given by the caller; one text in place of a list is refused."""
    if isinstance(texts, str):
        raise TypeError(f"{argument} is one text; give a list of texts")
    return tuple(texts)


def framed(frame: Frame, theme: Theme, ax: Axes | None, width: float | str | None) -> Panel:
    """Draw `frame` in a figure of its own or in the room of `ax`; the panel is what is left for the data."""
    families, boxes = legible(_all_text(frame), theme.families)
    font = Font(families, theme.points)
    if ax is None:
        wide = 72 * _inches(width)
        plan = _Plan(frame, font, boxes, wide, math.nan)
        if plan.unnamed:
            plan = _Plan(_noted(frame, plan), font, boxes, wide, math.nan)
        ax, scale = _own_axes(plan, theme), 1.0
    elif width is not None:
        raise ValueError("width= is for figures that the plot makes; on a given ax the width is that of the ax")
    else:
        plan, scale = _in_slot(frame, font, boxes, ax)
    panel = Panel(ax, font, scale, plan.width, plan.height, plan.x, plan.y, frame.down, boxes, theme)
    _axes(panel, frame)
    _surround(panel, plan)
    describe(ax, frame.title or frame.name, frame.alt)
    return panel


def _all_text(frame: Frame) -> Iterable[str]:
    yield from (frame.x_label, frame.y_label, frame.title, *frame.notes, *frame.sides, "…")
    yield from frame.names.labels if frame.names else ()
    yield from (key.text for key in frame.keys)
    yield from (label for _, label in frame.rows)
    yield from (label for _, label, _ in frame.below_rows)


def _inches(width: float | str | None) -> float:
    if isinstance(width, str):
        if width not in WIDTHS:
            raise ValueError(f'width = "{width}" is not known; use inches or one of: {", ".join(WIDTHS)}')
        return WIDTHS[width]
    return WIDTH if width is None else float(width)


def _noted(frame: Frame, plan: _Plan) -> Frame:
    """The frame with a note that some points have no name."""
    known = np.isfinite(_places(plan.x, plan.y, frame.down, 1, 1, *frame.names[:2])).all(axis=1) if frame.names else ()
    return replace(frame, notes=(*frame.notes, *labels_note(plan.unnamed, int(np.sum(known)))))


class _Plan:
    """Measured places; raises ValueError where the panel would be too small."""

    def __init__(self, frame: Frame, font: Font, boxes: dict[int, str], wide: float, high: float) -> None:
        self.frame, self.font, self.boxes, self.wide = frame, font, boxes, wide
        em = font.points
        self.line = wide - 2 * MARGIN * em
        self.title = self.wrapped(frame.title, 0.94 * self.line, True)
        self.y_label = self.wrapped(frame.y_label, 0.94 * self.line, True)
        self.notes = [line for note in frame.notes for line in self.wrapped(note, 0.94 * self.line)]
        room = min(ROW_LABEL * em, max(0.42 * wide, LEAST_ROW_LABEL * em))
        self.rows = [(y, self.wrapped(label, room)) for y, label in frame.rows]
        self.below_rows = [(y, [self._cut(label, room, bold)], bold) for y, label, bold in frame.below_rows]
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
        for _ in range(3):  # the width of the labels of y hangs on the height, and that on the width
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
            words += [text_width(line, self.font, bold) for _, lines, bold in self.below_rows for line in lines]
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
        lines = [_along(_places(*sizes, x, y), self.font.points) for x, y in names.lines]
        return labelled(
            _places(*sizes, names.x, names.y),
            self.font.points * np.asarray(names.sides),
            [label.translate(self.boxes) for label in names.labels],
            self.font,
            (self.width, self.height),
            np.concatenate([np.empty((0, 2)), *lines]),
        )

    def _height(self, high: float) -> float:
        em, frame = self.font.points, self.frame
        if math.isnan(high):
            return frame.ratio * self.width if math.isnan(frame.height) else self._rows_height() * em
        height = high - self.top - self.bottom
        least = LEAST_PANEL if math.isnan(frame.height) else self._rows_height()
        if height < least * em:
            raise ValueError(f"it needs {(least * em + self.top + self.bottom) / 72:.1f} in of height at {em:g} points")
        return height

    def _rows_height(self) -> float:
        """The height asked for, in ems, or more where labels of rows have several lines."""
        if not self.rows:
            return self.frame.height
        lines = max(len(lines) for _, lines in self.rows)
        return max(self.frame.height, (lines * PITCH + 0.45) * (self.frame.height / self.frame.row_height))

    def _around(self) -> None:
        em, frame = self.font.points, self.frame
        self.x_label = self.wrapped(frame.x_label, min(self.width + 4 * em, 0.94 * self.line), True)
        self.top = (MARGIN + PITCH * (len(self.title) + len(self.y_label)) + GAP + 0.4 * bool(self.title)) * em
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
        return [(left, -1.5 * self.font.points, "left"), (right, self.width + 0.6 * self.font.points, "right")]

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
        ends = [(self.width * place - h, self.width * place + h) for place, h in zip(places, half, strict=True)]
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


def _own_axes(plan: _Plan, theme: Theme) -> Axes:
    from matplotlib import pyplot

    width, height = plan.wide, plan.top + plan.height + plan.bottom
    figure = pyplot.figure(figsize=(width / 72, math.ceil(height / 0.72) / 100), layout="none", facecolor=theme.paper)
    high = 72 * figure.get_size_inches()[1]
    return figure.add_axes(
        (plan.left / width, 1 - (plan.top + plan.height) / high, plan.width / width, plan.height / high)
    )


def _in_slot(frame: Frame, font: Font, boxes: dict[int, str], ax: Axes) -> tuple[_Plan, float]:
    """The plan for the room of `ax` at the largest type that fits; `ax` is moved onto the panel."""
    figure = root_of(ax)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    slot = ax.get_position()
    width, height = (72 * length / figure.dpi for length in (ax.bbox.width, ax.bbox.height))
    why = ""
    for scale in np.linspace(1.0, min(1.0, LEAST_POINTS / font.points), 41):
        try:
            plan = _Plan(frame, font, boxes, width / scale, height / scale)
            if plan.unnamed:
                plan = _Plan(_noted(frame, plan), font, boxes, width / scale, height / scale)
        except ValueError as error:
            why = str(error)
            continue
        across, up = slot.width / plan.wide, slot.height / (height / scale)
        ax.set_position(
            (slot.x0 + plan.left * across, slot.y0 + plan.bottom * up, plan.width * across, plan.height * up)
        )
        return plan, float(scale)
    raise ValueError(f"the ax has {width / 72:.1f} x {height / 72:.1f} in, too little for this plot: {why}")


def _axes(panel: Panel, frame: Frame) -> None:
    """Ends, ticks and spines of the axes."""
    ax, theme, em = panel.ax, panel.theme, panel.em
    for name, axis, shown in (("x", panel.x, frame.x_axis), ("y", panel.y, not frame.rows)):
        if axis.log:
            getattr(ax, f"set_{name}scale")("log")
        ends = (axis.high, axis.low) if name == "y" and frame.down else (axis.low, axis.high)
        getattr(ax, f"set_{name}lim")(*ends)
        drawn = getattr(ax, f"{name}axis")
        drawn.set_major_locator(FixedLocator(list(axis.ticks if shown else ())))
        drawn.set_major_formatter(FixedFormatter(list(axis.labels if shown else ())))
        drawn.set_minor_locator(NullLocator())
        drawn.set_minor_formatter(NullFormatter())
    ax.grid(False)
    ax.tick_params(
        axis="both",
        which="major",
        direction="out",
        top=False,
        right=False,
        length=TICK * em,
        pad=PAD * em,
        width=0.8 * panel.scale,
        labelsize=em,
        labelfontfamily=list(panel.font.families),
        labelcolor=theme.text,
        color=theme.text,
        rotation=0,
    )
    if frame.below:
        ax.tick_params(axis="x", length=0, pad=(frame.below + TICK + PAD) * em)
    for side, spine in ax.spines.items():
        spine.set_visible((side == "bottom" and frame.x_axis) or (side == "left" and not frame.rows))
        spine.set(color=theme.text, linewidth=0.8 * panel.scale)
    ax.patch.set_visible(False)


def _surround(panel: Panel, plan: _Plan) -> None:
    """Title, labels of axes and rows, legend and notes."""
    em, left = plan.font.points, MARGIN * plan.font.points - plan.left
    top = panel.height + GAP * em
    for n, line in enumerate(reversed([*plan.title, *plan.y_label])):
        lifted = 0.4 * em if n >= len(plan.y_label) and plan.y_label else 0.0
        panel.write(left, top + n * PITCH * em + lifted, line, bold=True)
    for lines, x, align in plan.sides:
        for n, line in enumerate(lines):
            panel.write(x, -(plan.sides_at + PITCH * (n + 0.75)) * em, line, align)
    for n, line in enumerate(plan.x_label):
        panel.write(panel.width / 2, -(plan.label_at + PITCH * (n + 0.75)) * em, line, "center", bold=True)
    for n, entries in enumerate(plan.keys):
        y = -(plan.keys_at + PITCH * (n + 0.75)) * em
        for x, key, text in entries:
            if key is not None:
                _swatch(panel, key, left + x, y + 0.36 * em)
            panel.write(left + x + 2 * em, y, text)
    for n, line in enumerate(plan.notes):
        panel.write(left, -(plan.notes_at + PITCH * (n + 0.75)) * em, line, colour=panel.theme.quiet)
    for label in plan.labels:
        if label.leader is not None:
            ends = np.array(label.leader) / [panel.width, panel.height]
            panel.ax.plot(
                [_ten(x) for x in ends[:, 0]], [_ten(y) for y in ends[:, 1]], transform=panel.ax.transAxes,
                color=panel.theme.quiet, lw=0.6 * panel.scale, zorder=2.5,
            )  # fmt: skip
        for n, line in enumerate(label.lines):
            panel.write(label.x, label.y - n * LABEL_PITCH * em, line)
    end = -(TICK + PAD) * em
    for y, lines in plan.rows:
        middle = float(panel.places(panel.x.low, y)[1])
        _lines(panel, end, middle, lines)
    for down, lines, bold in plan.below_rows:
        _lines(panel, end, -down * em, lines, bold)


def _lines(panel: Panel, x: float, middle: float, lines: Sequence[str], bold: bool = False) -> None:
    em = panel.font.points
    first = middle + (len(lines) - 1) * PITCH * em / 2 - 0.36 * em
    for n, line in enumerate(lines):
        panel.write(x, first - n * PITCH * em, line, "right", bold=bold)


def _swatch(panel: Panel, key: Key, x: float, y: float) -> None:
    """The mark of a key, 1.6 em wide."""
    em = panel.font.points
    style = {"transform": panel.ax.transAxes, "clip_on": False, "zorder": 6}
    if key.mark == "patch":
        from matplotlib.patches import Rectangle

        corner = (_ten(x / panel.width), _ten((y - 0.45 * em) / panel.height))
        wide, high = _ten(1.6 * em / panel.width), _ten(0.9 * em / panel.height)
        panel.ax.add_patch(
            Rectangle(
                corner, wide, high, facecolor=key.colour, edgecolor=key.edge or "none", hatch=key.hatch or None,
                linewidth=0.6 * panel.scale, **style,
            )
        )  # fmt: skip
    elif key.mark in ("-", "--", ":", "-."):
        ends = [_ten(x / panel.width), _ten((x + 1.6 * em) / panel.width)]
        panel.ax.plot(
            ends, [_ten(y / panel.height)] * 2, ls=key.mark, color=key.colour, lw=1.3 * panel.scale, **style
        )
    else:
        panel.ax.plot(
            [_ten((x + 0.8 * em) / panel.width)], [_ten(y / panel.height)], ls="none", marker=key.mark,
            ms=(1.15 if key.sign else 0.75) * panel.em, mfc=key.colour, mec=key.edge or key.colour,
            mew=0.8 * panel.scale, **style,
        )  # fmt: skip
    if key.sign:
        dark = key.colour in DARK
        panel.write(x + 0.8 * em, y - 0.36 * em, key.sign, "center", colour="#ffffff" if dark else "", order=7)


DARK = ("#8e1f3b",)
"""Colours on which signs are written in white."""


def _ten(x: float) -> float:
    return float(f"{x:.10g}")
