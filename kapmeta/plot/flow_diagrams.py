"""The flow of reports through a review, as boxes with counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from kapmeta import checking
from kapmeta.plot.panel.frames import Frame, fixed_axis
from kapmeta.plot.panel.framing import WIDTH, Panel, framed
from kapmeta.plot.panel.marks import frame_of
from kapmeta.plot.panel.rooms import inches_of
from kapmeta.plot.panel.typesetting import Font, legible, wrapped
from kapmeta.plot.style import Theme, theme_named

__all__ = ["flow_diagram"]

_MAIN, _ASIDE = (0.0, 0.52), (0.6, 1.0)  # ends of the boxes, of the width
_LINE, _INSET, _GAP = 1.3, 0.6, 1.3  # ems: a line, the edge of a box, between boxes
_MARGINS = 4.0  # ems left and right of the panel of a figure of its own, at most


class _Step(NamedTuple):
    """One step: its words with the count, more words, and whether it leaves the flow."""

    text: str
    detail: str
    aside: bool


class _FlowBox(NamedTuple):
    """One box: its lines of text, whether it stands aside, and its upper and lower edge."""

    lines: tuple[str, ...]
    aside: bool
    top: float
    bottom: float


@checking.checked
def flow_diagram(
    result: pd.DataFrame,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw the flow of reports: what was found, what left at each step, and what remained [1]_.

    Parameters
    ----------
    result : DataFrame
        One row per box, from above: ``label``; ``n``, missing where it was not counted; ``aside``,
        whether it leaves the flow here; ``detail``, more words, or empty.
    ax : Axes, optional
        Where to draw.
    theme, title, notes, width
        As in `kapmeta.plot.risk_of_bias`.

    Returns
    -------
    Axes
        Boxes that remain on the left, those that leave on the right.

    Raises
    ------
    ValueError
        If a column is missing, or the first row stands aside.

    References
    ----------
    .. [1] Page MJ, McKenzie JE, Bossuyt PM, et al. The PRISMA 2020 statement: an updated guideline
       for reporting systematic reviews. BMJ 2021;372:n71. https://doi.org/10.1136/bmj.n71

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.flow_diagrams import flow_diagram
    >>> steps = pd.DataFrame({"label": ["Reports found", "Excluded", "Trials"], "n": [30, 22, 8],
    ...                       "aside": [False, True, False], "detail": ["", "no control", ""]})
    >>> [text.get_text() for text in flow_diagram(steps).texts]
    ['Reports found: 30', 'Excluded: 22', 'no control', 'Trials: 8']
    """
    look = theme_named(theme)
    steps = _flow_steps(frame_of(result, ("label", "n", "aside", "detail"), "flow_diagram"))
    if steps[0].aside:
        raise ValueError("the first row of a flow diagram cannot stand aside; begin with all found")
    alt = _flow_alt(steps)
    families, lacking = legible([text for step in steps for text in step[:2]], look.families)
    steps = [_Step(text.translate(lacking), more.translate(lacking), x) for text, more, x in steps]
    font, inches = Font(families, look.points), inches_of(width)
    room = 72 * (WIDTH if inches is None else inches) - _MARGINS * look.points
    planned = _boxes(steps, room, font)
    frame = Frame(
        x=fixed_axis(0.0, 1.0),
        y=fixed_axis(0.0, 1.0),
        x_label="",
        y_label="",
        name="Flow diagram",
        alt=alt,
        height=planned[-1].bottom,
        x_axis=False,
    )
    panel = framed(frame.with_text(title, notes), look, ax, width)
    panel = replace(panel, font=Font(families, panel.font.points))
    panel.ax.spines["left"].set_visible(False)
    boxes = _boxes(steps, panel.width, panel.font)
    _refuse_little_room(panel, boxes)
    _draw_flow_arrows(panel, boxes)
    for box in boxes:
        _draw_box(panel, box, boxes[-1].bottom)
    return panel.ax


def _flow_steps(frame: pd.DataFrame) -> list[_Step]:
    counts = frame["n"].astype("float64")
    texts = [
        str(label) if np.isnan(n) else f"{label}: {n:.0f}"
        for label, n in zip(frame["label"], counts, strict=True)
    ]
    rest = zip(texts, frame["detail"].astype(str), frame["aside"], strict=True)
    return [_Step(text, detail, bool(aside)) for text, detail, aside in rest]


def _boxes(steps: list[_Step], width: float, font: Font) -> list[_FlowBox]:
    """Set the text of each box in its breadth, and the boxes one under another, in ems."""
    boxes: list[_FlowBox] = []
    top = 0.0
    for step in steps:
        ends = _ASIDE if step.aside else _MAIN
        limit = (ends[1] - ends[0]) * width - 2 * _INSET * font.points
        lines = wrapped(step.text, limit, font)
        lines += wrapped(step.detail, limit, font) if step.detail else []
        bottom = top + _LINE * len(lines) + _INSET
        boxes.append(_FlowBox(tuple(lines), step.aside, top, bottom))
        top = bottom + _GAP
    return boxes


def _refuse_little_room(panel: Panel, boxes: list[_FlowBox]) -> None:
    """Refuse an ax in which the lines of the boxes would overlap."""
    needed = boxes[-1].bottom * panel.font.points
    if needed > 1.01 * panel.height:
        raise ValueError(
            f"the ax has {panel.height / 72:.2g} inches of height, too little for this plot of"
            f" {len(boxes)} boxes; give it {needed / 72:.2g} or more, or more width"
        )


def _height(panel: Panel, ems: float, whole: float) -> float:
    """Convert ems from above to points from the lower edge of the panel."""
    return panel.height * (1 - ems / whole)


def _draw_box(panel: Panel, box: _FlowBox, whole: float) -> None:
    left, right = _ASIDE if box.aside else _MAIN
    low, high = (_height(panel, ems, whole) for ems in (box.bottom, box.top))
    x, y = panel.fraction(left * panel.width, low)
    wide, tall = panel.fraction((right - left) * panel.width, high - low)
    edge = panel.theme.quiet if box.aside else panel.theme.text
    panel.ax.add_patch(
        Rectangle(
            (x, y),
            wide,
            tall,
            transform=panel.ax.transAxes,
            facecolor=panel.theme.paper,
            edgecolor=edge,
            linewidth=0.8 * panel.scale,
            zorder=3,
            clip_on=False,
        )
    )
    em = panel.font.points
    for i, line in enumerate(box.lines):
        down = box.top + _INSET / 2 + _LINE * (i + 0.75)
        panel.write(left * panel.width + _INSET * em, _height(panel, down, whole), line)


def _draw_flow_arrows(panel: Panel, boxes: list[_FlowBox]) -> None:
    """Draw an arrow from each box that remains to the next, and to each that leaves."""
    whole = boxes[-1].bottom
    kept = [box for box in boxes if not box.aside]
    middle = float(np.mean(_MAIN)) * panel.width
    ends = [((middle, one.bottom), (middle, other.top)) for one, other in pairwise(kept)]
    for box in boxes:
        if box.aside:
            across = (box.top + box.bottom) / 2
            ends.append(((middle, across), (_ASIDE[0] * panel.width, across)))
    for (x0, y0), (x1, y1) in ends:
        panel.ax.add_patch(
            FancyArrowPatch(
                panel.fraction(x0, _height(panel, y0, whole)),
                panel.fraction(x1, _height(panel, y1, whole)),
                transform=panel.ax.transAxes,
                arrowstyle="-|>",
                mutation_scale=0.9 * panel.em,
                shrinkA=0,
                shrinkB=0,
                color=panel.theme.text,
                linewidth=0.8 * panel.scale,
                zorder=2,
                clip_on=False,
            )
        )


def _flow_alt(steps: list[_Step]) -> str:
    """Say each box in a sentence, in order."""
    parts = []
    for step in steps:
        detail = f" ({step.detail})" if step.detail else ""
        parts.append(f"{'Left out here: ' * step.aside}{step.text}{detail}.")
    return "Flow diagram. " + " ".join(parts)
