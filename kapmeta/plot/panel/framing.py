"""A panel with two axes and all that surrounds it: labels, keys and notes set from measured text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.panel.axis import EffectAxis
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
from kapmeta.plot.panel.typesetting import Font, legible
from kapmeta.plot.saving import describe, root_of
from kapmeta.plot.style import LEAST_POINTS, WIDTHS, Theme

__all__ = ["Panel", "framed"]

WIDTH = 4.8  # inches of a figure of its own
HALO = 0.22  # ems


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
        return places_on(self.x, self.y, self.down, self.width, self.height, x, y)

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
        halo: bool = False,
    ) -> None:
        """One line of text with its baseline at points from the lower left corner.

        `backing` is painted behind it, a `halo` around each letter where it may cross lines.
        """
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
            path_effects=(
                [withStroke(linewidth=HALO * self.em, foreground=self.theme.paper)]
                if halo
                else None
            ),
            bbox=(
                {"facecolor": backing, "edgecolor": "none", "pad": 1.0 * self.scale}
                if backing
                else None
            ),
        )


def framed(frame: Frame, theme: Theme, ax: Axes | None, width: float | str | None) -> Panel:
    """Draw `frame` in a figure of its own or in the room of `ax`; the panel is what is left for the data."""
    families, boxes = legible(_all_text(frame), theme.families)
    font = Font(families, theme.points)
    if ax is None:
        wide = 72 * _inches(width)
        plan = plan_of(frame, font, boxes, wide, math.nan)
        ax, scale = _own_axes(plan, theme), 1.0
    elif width is not None:
        raise ValueError(
            "width= is for figures that the plot makes; on a given ax the width is that of the ax"
        )
    else:
        plan, scale = _in_slot(frame, font, boxes, ax)
    panel = Panel(
        ax, font, scale, plan.width, plan.height, plan.x, plan.y, frame.down, boxes, theme
    )
    _axes(panel, frame)
    _surround(panel, plan, frame.rows_headed)
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
            raise ValueError(
                f'width = "{width}" is not known; use inches or one of: {", ".join(WIDTHS)}'
            )
        return WIDTHS[width]
    return WIDTH if width is None else float(width)


def _own_axes(plan: Plan, theme: Theme) -> Axes:
    from matplotlib import pyplot

    width, height = plan.wide, plan.top + plan.height + plan.bottom
    figure = pyplot.figure(
        figsize=(width / 72, math.ceil(height / 0.72) / 100), layout="none", facecolor=theme.paper
    )
    high = 72 * figure.get_size_inches()[1]
    return figure.add_axes(
        (
            plan.left / width,
            1 - (plan.top + plan.height) / high,
            plan.width / width,
            plan.height / high,
        )
    )


def _in_slot(frame: Frame, font: Font, boxes: dict[int, str], ax: Axes) -> tuple[Plan, float]:
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
            plan = plan_of(frame, font, boxes, width / scale, height / scale)
        except ValueError as error:
            why = str(error)
            continue
        across, up = slot.width / plan.wide, slot.height / (height / scale)
        ax.set_position(
            (
                slot.x0 + plan.left * across,
                slot.y0 + plan.bottom * up,
                plan.width * across,
                plan.height * up,
            )
        )
        return plan, float(scale)
    raise ValueError(
        f"the ax has {width / 72:.1f} x {height / 72:.1f} in, too little for this plot: {why}"
    )


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
        spine.set_visible(
            (side == "bottom" and frame.x_axis) or (side == "left" and not frame.rows)
        )
        spine.set(color=theme.text, linewidth=0.8 * panel.scale)
    ax.patch.set_visible(False)


def _surround(panel: Panel, plan: Plan, headed: bool) -> None:
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
        panel.write(
            panel.width / 2, -(plan.label_at + PITCH * (n + 0.75)) * em, line, "center", bold=True
        )
    for n, entries in enumerate(plan.keys):
        y = -(plan.keys_at + PITCH * (n + 0.75)) * em
        for x, key, text in entries:
            if key is not None:
                _swatch(panel, key, left + x, y + 0.36 * em)
            panel.write(left + x + 2 * em, y, text)
    for n, line in enumerate(plan.notes):
        panel.write(
            left, -(plan.notes_at + PITCH * (n + 0.75)) * em, line, colour=panel.theme.quiet
        )
    for label in plan.labels:
        if label.leader is not None:
            ends = np.array(label.leader) / [panel.width, panel.height]
            panel.ax.plot(
                [_ten(x) for x in ends[:, 0]],
                [_ten(y) for y in ends[:, 1]],
                transform=panel.ax.transAxes,
                color=panel.theme.quiet,
                lw=0.6 * panel.scale,
                zorder=2.5,
            )
        for n, line in enumerate(label.lines):
            panel.write(label.x, label.y - n * LABEL_PITCH * em, line, halo=True)
    end = -(TICK + PAD) * em
    for y, lines in plan.rows:
        middle = float(panel.places(panel.x.low, y)[1])
        _lines(panel, left if headed else end, middle, lines, "left" if headed else "right")
    for down, lines, bold in plan.below_rows:
        _lines(panel, end, -down * em, lines, "right", bold)


def _lines(
    panel: Panel, x: float, middle: float, lines: Sequence[str], align: str, bold: bool = False
) -> None:
    em = panel.font.points
    first = middle + (len(lines) - 1) * PITCH * em / 2 - 0.36 * em
    for n, line in enumerate(lines):
        panel.write(x, first - n * PITCH * em, line, align, bold=bold)


def _swatch(panel: Panel, key: Key, x: float, y: float) -> None:
    """The mark of a key, 1.6 em wide."""
    em = panel.font.points
    style: dict[str, Any] = {"transform": panel.ax.transAxes, "clip_on": False, "zorder": 6}
    if key.mark == "patch":
        from matplotlib.patches import Rectangle

        corner = (_ten(x / panel.width), _ten((y - 0.45 * em) / panel.height))
        wide, high = _ten(1.6 * em / panel.width), _ten(0.9 * em / panel.height)
        panel.ax.add_patch(
            Rectangle(
                corner,
                wide,
                high,
                facecolor=key.colour,
                edgecolor=key.edge or "none",
                hatch=key.hatch or None,
                linewidth=0.6 * panel.scale,
                **style,
            )
        )
    elif key.mark in ("-", "--", ":", "-."):
        ends = [_ten(x / panel.width), _ten((x + 1.6 * em) / panel.width)]
        panel.ax.plot(
            ends,
            [_ten(y / panel.height)] * 2,
            ls=key.mark,
            color=key.colour,
            lw=1.3 * panel.scale,
            **style,
        )
    else:
        panel.ax.plot(
            [_ten((x + 0.8 * em) / panel.width)],
            [_ten(y / panel.height)],
            ls="none",
            marker=key.mark,
            ms=(1.15 if key.sign else 0.75) * panel.em,
            mfc=key.colour,
            mec=key.edge or key.colour,
            mew=0.8 * panel.scale,
            **style,
        )
    if key.sign:
        dark = key.colour in DARK
        panel.write(
            x + 0.8 * em,
            y - 0.36 * em,
            key.sign,
            "center",
            colour="#ffffff" if dark else "",
            order=7,
        )


DARK = ("#8e1f3b",)
"""Colours on which signs are written in white."""


def _ten(x: float) -> float:
    return float(f"{x:.10g}")
