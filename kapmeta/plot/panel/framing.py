"""A panel with two axes and all that surrounds it: labels, keys and notes, from measured text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.panel.arguments import axis_given
from kapmeta.plot.panel.axis import EffectAxis, rounded
from kapmeta.plot.panel.frames import Frame, Key
from kapmeta.plot.panel.plans import (
    GAP,
    LABEL_PITCH,
    MARGIN,
    PAD,
    PITCH,
    TICK,
    Plan,
    places_on,
    plan_of,
)
from kapmeta.plot.panel.rooms import inches_of, room_of, type_scales
from kapmeta.plot.panel.typesetting import Font, legible
from kapmeta.plot.saving import describe
from kapmeta.plot.style import Theme

__all__ = ["Lettering", "Panel", "framed"]

WIDTH = 4.8  # inches of a figure of its own
HALO = 0.22  # ems


class Lettering(TypedDict, total=False):
    """How a line of text is written.

    `backing` is painted behind it, a `halo` around each letter where it may cross lines; `order`
    is its place above or below other artists.
    """

    bold: bool
    colour: str
    order: float
    backing: str
    halo: bool


@dataclass(frozen=True)
class Panel:
    """A panel to draw on; lengths in points of the page, `scale` times that on the figure."""

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
        """Find points from the lower left corner of the panel, shape (points, 2)."""
        return places_on(self.x, self.y, self.down, self.width, self.height, x, y)

    def fraction(self, x: float, y: float) -> tuple[float, float]:
        """Convert points from the lower left corner to fractions of the panel."""
        return rounded(x / self.width), rounded(y / self.height)

    def write(
        self, x: float, y: float, text: str, align: str = "left", **style: Unpack[Lettering]
    ) -> None:
        """Write one line of text with its baseline at points from the lower left corner."""
        paper, backing = self.theme.paper, style.get("backing")
        halo = withStroke(linewidth=HALO * self.em, foreground=paper)
        box = {"facecolor": backing, "edgecolor": "none", "pad": 1.0 * self.scale}
        self.ax.text(
            *self.fraction(x, y),
            text,
            transform=self.ax.transAxes,
            ha=align,
            va="baseline",
            family=list(self.font.families),
            size=self.em,
            weight="bold" if style.get("bold") else "normal",
            color=style.get("colour") or self.theme.text,
            parse_math=False,
            zorder=style.get("order", 6),
            path_effects=[halo] if style.get("halo") else None,
            bbox=box if backing else None,
        )


def framed(frame: Frame, theme: Theme, ax: Axes | None, width: float | str | None) -> Panel:
    """Draw `frame` in a figure of its own or in the room of `ax`; return the panel for the data."""
    families, boxes = legible(_texts_in(frame), theme.families)
    font = Font(families, theme.points)
    scale, ax = 1.0, axis_given(ax)
    if ax is None:
        inches = inches_of(width)
        plan = plan_of(frame, font, boxes, 72 * (WIDTH if inches is None else inches), math.nan)
        ax = _axes_in_new_figure(plan, theme)
    elif width is not None:
        raise ValueError(
            "width= is for figures that the plot makes; on a given ax the width is that of the ax"
        )
    else:
        plan, scale = _plan_for_axes(frame, font, boxes, ax)
    panel = Panel(
        ax, font, scale, plan.width, plan.height, plan.x, plan.y, frame.down, boxes, theme
    )
    _draw_axes(panel, frame)
    _write_above_and_below(panel, plan)
    _write_names(panel, plan)
    _write_row_labels(panel, plan, frame.rows_headed)
    describe(ax, frame.title or frame.name, frame.alt)
    return panel


def _texts_in(frame: Frame) -> Iterable[str]:
    yield from (frame.x_label, frame.y_label, frame.title, *frame.notes, *frame.sides, "…")
    yield from frame.names.labels if frame.names else ()
    yield from (key.text for key in frame.keys)
    yield from (label for _, label in frame.rows)
    yield from (label for _, label, _ in frame.below_rows)


def _axes_in_new_figure(plan: Plan, theme: Theme) -> Axes:
    from matplotlib import pyplot

    width, height = plan.wide, plan.top + plan.height + plan.bottom
    size = width / 72, math.ceil(height / 0.72) / 100
    figure = pyplot.figure(figsize=size, layout="none", facecolor=theme.paper)
    high = 72 * figure.get_size_inches()[1]
    bottom = 1 - (plan.top + plan.height) / high
    return figure.add_axes((plan.left / width, bottom, plan.width / width, plan.height / high))


def _plan_for_axes(frame: Frame, font: Font, boxes: dict[int, str], ax: Axes) -> tuple[Plan, float]:
    """Plan the room of `ax` at the largest type that fits; move `ax` onto the panel."""
    slot, width, height = room_of(ax)
    why = ""
    for scale in type_scales(font.points):
        try:
            plan = plan_of(frame, font, boxes, width / scale, height / scale)
        except ValueError as error:
            why = str(error)
            continue
        across, up = slot.width / plan.wide, slot.height / (height / scale)
        left, bottom = slot.x0 + plan.left * across, slot.y0 + plan.bottom * up
        ax.set_position((left, bottom, plan.width * across, plan.height * up))
        return plan, scale
    raise ValueError(
        f"the ax has {width / 72:.1f} x {height / 72:.1f} in, too little for this plot: {why}"
    )


def _draw_axes(panel: Panel, frame: Frame) -> None:
    """Set the ends, ticks and spines of the axes."""
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
        spine.set_visible(
            (side == "bottom" and frame.x_axis) or (side == "left" and not frame.rows)
        )
        spine.set(color=theme.text, linewidth=0.8 * panel.scale)
    ax.patch.set_visible(False)


def _write_above_and_below(panel: Panel, plan: Plan) -> None:
    """Write the title and label above the panel; below it sides, label, legend and notes."""
    em, left = plan.font.points, MARGIN * plan.font.points - plan.left
    top = panel.height + GAP * em
    for n, line in enumerate(reversed([*plan.title, *plan.y_label])):
        lifted = 0.4 * em if n >= len(plan.y_label) and plan.y_label else 0.0
        panel.write(left, top + n * PITCH * em + lifted, line, bold=True)

    def down(at: float, n: int) -> float:
        return -(at + PITCH * (n + 0.75)) * em

    for lines, x, align in plan.sides:
        for n, line in enumerate(lines):
            panel.write(x, down(plan.sides_at, n), line, align)
    for n, line in enumerate(plan.x_label):
        panel.write(panel.width / 2, down(plan.label_at, n), line, "center", bold=True)
    for n, entries in enumerate(plan.keys):
        y = down(plan.keys_at, n)
        for x, key, text in entries:
            if key is not None:
                _draw_key(panel, key, left + x, y + 0.36 * em)
            panel.write(left + x + 2 * em, y, text)
    for n, line in enumerate(plan.notes):
        panel.write(left, down(plan.notes_at, n), line, colour=panel.theme.quiet)


def _write_names(panel: Panel, plan: Plan) -> None:
    """Write the names of points, with a line to the point where that is not close by."""
    for label in plan.labels:
        if label.leader is not None:
            ends = [panel.fraction(*end) for end in label.leader]
            panel.ax.plot(
                [x for x, _ in ends],
                [y for _, y in ends],
                transform=panel.ax.transAxes,
                color=panel.theme.quiet,
                lw=0.6 * panel.scale,
                zorder=2.5,
            )
        for n, line in enumerate(label.lines):
            panel.write(label.x, label.y - n * LABEL_PITCH * plan.font.points, line, halo=True)


def _write_row_labels(panel: Panel, plan: Plan, headed: bool) -> None:
    """Write the labels of rows, those in the panel and those below it."""
    em = plan.font.points
    left, end = MARGIN * em - plan.left, -(TICK + PAD) * em
    labels = [
        (float(panel.places(panel.x.low, y)[1]), left if headed else end, lines, False)
        for y, lines in plan.rows
    ]
    labels += [(-down * em, end, lines, bold) for down, lines, bold in plan.below_rows]
    for middle, x, lines, bold in labels:
        align = "left" if headed and x == left else "right"
        first = middle + (len(lines) - 1) * PITCH * em / 2 - 0.36 * em
        for n, line in enumerate(lines):
            panel.write(x, first - n * PITCH * em, line, align, bold=bold)


def _draw_key(panel: Panel, key: Key, x: float, y: float) -> None:
    """Draw the mark of a key, 1.6 em wide."""
    em, scale = panel.font.points, panel.scale
    style: dict[str, Any] = {"transform": panel.ax.transAxes, "clip_on": False, "zorder": 6}
    if key.mark == "patch":
        patch = Rectangle(
            panel.fraction(x, y - 0.45 * em),
            *panel.fraction(1.6 * em, 0.9 * em),
            facecolor=key.colour,
            edgecolor=key.edge or "none",
            hatch=key.hatch or None,
            linewidth=0.6 * scale,
            **style,
        )
        panel.ax.add_patch(patch)
    elif key.mark in ("-", "--", ":", "-."):
        ends = [panel.fraction(x, y), panel.fraction(x + 1.6 * em, y)]
        style |= {"ls": key.mark, "color": key.colour, "lw": 1.3 * scale}
        panel.ax.plot([x for x, _ in ends], [y for _, y in ends], **style)
    else:
        style |= {"mfc": key.colour, "mec": key.edge or key.colour, "mew": 0.8 * scale}
        size = (1.15 if key.sign else 0.75) * panel.em
        place = panel.fraction(x + 0.8 * em, y)
        panel.ax.plot([place[0]], [place[1]], ls="none", marker=key.mark, ms=size, **style)
    if key.sign:
        shade = "#ffffff" if key.colour in DARK else ""
        panel.write(x + 0.8 * em, y - 0.36 * em, key.sign, "center", colour=shade, order=7)


DARK = ("#8e1f3b",)
"""Colours on which signs are written in white."""
