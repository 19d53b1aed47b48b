"""Where everything is placed on a forest plot, in points, from measured text: nothing is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from kapmeta.plot.forest_page.blocks import (
    COLUMN_GAP,
    Block,
    Sheet,
    Text,
    label_blocks,
    right_end,
    side_blocks,
)
from kapmeta.plot.forest_page.contents import ForestContents, part
from kapmeta.plot.forest_page.placing import PlacedRow, cells_of, placed_rows, row_texts
from kapmeta.plot.forest_page.surrounds import foot, head, side_width
from kapmeta.plot.panel.axis import EffectAxis, effect_axis
from kapmeta.plot.panel.typesetting import Font, legible, text_width
from kapmeta.plot.style import Theme

__all__ = ["Page", "Request", "fit_page"]

# lengths in ems of the type size
PANEL, LEAST_FOREST_PANEL, WIDEST_PANEL, OVERHANG = 20.0, 7.5, 34.0, 8.0
# how far columns of text are narrowed, in turn, when the page is too small
SQUEEZES = (1.0, 0.8, 0.62, 0.48, 0.36, 0.27)


class Request(NamedTuple):
    """What the caller fixed.

    Page width in points (nan: as it comes), ends and ticks of the axis, the page's margin, and how
    far apart the rows are set (1: as they come). `rows` are the first and the last row but one, if
    not all are set on this page.
    """

    width: float = math.nan
    ends: tuple[float, float] | None = None
    ticks: Sequence[float] | None = None
    margin: float = 0.0
    stretch: float = 1.0
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class Page:
    """A forest plot with every position fixed.

    Lengths are in points, y downwards from the top of the panel. `rows` holds each row with its
    middle and height, `cells` each judgement of risk of bias with its place; `heaviest` is the
    largest weight of a study on any page.
    """

    width: float
    height: float
    top: float
    sheet: Sheet
    panel_height: float
    axis: EffectAxis
    texts: tuple[Text, ...]
    rows: tuple[PlacedRow, ...]
    cells: tuple[tuple[str, float, float], ...]
    heaviest: float = math.nan


class _Sides(NamedTuple):
    """The columns of both sides, set in type, and the width of all that is beside the panel."""

    font: Font
    boxes: dict[int, str]
    left: list[Block]
    right: list[Block]
    beside: float


def fit_page(contents: ForestContents, theme: Theme, request: Request) -> Page:
    """Set `contents` on a page; raises ValueError if the width asked for is too small.

    Columns are narrowed step by step until they leave room for the panel.
    """
    families, boxes = legible(_all_text(contents), theme.families)
    font = Font(families, theme.points)
    em, tightest = font.points, math.inf
    for squeeze in SQUEEZES:
        left = label_blocks(contents, font, boxes, squeeze)
        right = side_blocks(contents, contents.right, font, boxes, squeeze)
        # without columns on the right the second gap is room for the last axis label
        ends = right_end(left) + right_end(right)
        sides = _Sides(font, boxes, left, right, 2 * request.margin + ends + 2 * COLUMN_GAP * em)
        least = sides.beside + LEAST_FOREST_PANEL * em
        tightest = min(tightest, least)
        if math.isnan(request.width):
            return _set_page(contents, sides, PANEL * em, request)
        if least <= request.width:
            panel = min(request.width - sides.beside, WIDEST_PANEL * em)
            return _set_page(contents, sides, panel, request)
    droppable = [item.column.name for item in (*contents.left, *contents.right)]
    drop = f" or leave columns out, e.g. drop={droppable[-1:]}" if droppable else ""
    raise ValueError(
        f"the columns need {tightest / 72:.1f} in at {em:g} points, not"
        f" {request.width / 72:.1f}; give more{drop}"
    )


def _all_text(contents: ForestContents) -> list[str]:
    texts = [contents.title, contents.heading, contents.first, *contents.favours, *contents.notes]
    for column, cells, _ in (*contents.left, *contents.right):
        texts += [column.heading, column.group, *cells]
    texts += [row.label for row in contents.rows]
    reasons = [row.values.get("reason", "") for row in contents.rows if row.kind == "excluded"]
    return [*texts, *map(str, reasons)]


def _set_page(contents: ForestContents, sides: _Sides, panel: float, request: Request) -> Page:
    """Set the page for columns already set and a panel of this width.

    Steps: the effect axis and the sheet; the columns moved to their places; the rows one below the
    other; then what is above and below the panel.
    """
    axis = _effect_axis(contents, sides.font, panel, request)
    weights = [row.number("weight_0") for row in contents.rows]
    heaviest = max((weight for weight in weights if weight > 0), default=math.nan)
    sheet = _sheet(contents, sides, panel, request, axis)

    right_x = sheet.panel_x + panel + COLUMN_GAP * sheet.em
    left = [block._replace(x=block.x + request.margin) for block in sides.left]
    right = [block._replace(x=block.x + right_x) for block in sides.right]
    if request.rows is not None:
        first, last = request.rows
        left, right = ([block.rows(first, last) for block in side] for side in (left, right))
        contents = part(contents, first, last, last >= len(contents.rows))

    rows, bottom = placed_rows(contents.rows, sheet, left, right, request.stretch)
    blocks = [*left, *right]
    above, top = head(contents, blocks, sheet)
    below, end = foot(contents, sheet, bottom)
    texts = [*above, *row_texts(rows, blocks, sheet), *below]
    return Page(
        width=sheet.width,
        height=2 * request.margin + top + end,
        top=top + request.margin,
        sheet=sheet,
        panel_height=bottom,
        axis=axis,
        texts=tuple(text for text in texts if text.text),
        rows=tuple((row.row, row.middle, row.height) for row in rows),
        cells=tuple(cells_of(rows, blocks)),
        heaviest=heaviest,
    )


def _sheet(
    contents: ForestContents, sides: _Sides, panel: float, request: Request, axis: EffectAxis
) -> Sheet:
    """Lay out the page from left to right; a page of no given width is as wide as it needs."""
    font, margin, null = sides.font, request.margin, contents.scale.null
    panel_x = margin + right_end(sides.left) + COLUMN_GAP * font.points
    along = 0.5 if null is None else float(np.clip(axis.place(null), 0.0, 1.0))
    null_x = panel_x + panel * along
    width = request.width
    if math.isnan(width):
        width = sides.beside + panel
        width += _overhang(contents, font, width - margin - null_x)
    return Sheet(
        font, sides.boxes, font.points, width, margin, width - margin, panel_x, panel, null_x
    )


def _overhang(contents: ForestContents, font: Font, room: float) -> float:
    """Measure how far the words right of the null go beyond their `room`, up to `OVERHANG`."""
    if not contents.favours or contents.favours_on_top:
        return 0.0
    return min(max(side_width(contents.favours[1], font) - room, 0.0), OVERHANG * font.points)


def _effect_axis(
    contents: ForestContents, font: Font, panel: float, request: Request
) -> EffectAxis:
    numbers = [[row.number(name) for name in ("estimate", "low", "high")] for row in contents.rows]
    drawn = [three for three in numbers if any(map(math.isfinite, three))]
    estimate, low, high = np.array(drawn).reshape(-1, 3).T

    def fits(places: Sequence[float], labels: Sequence[str]) -> bool:
        half = [0.5 * text_width(label, font) + 0.35 * font.points for label in labels]
        ends = [
            (panel * place - h, panel * place + h) for place, h in zip(places, half, strict=True)
        ]
        return all(after[0] >= before[1] for before, after in pairwise(ends))

    return effect_axis(
        estimate,
        low,
        high,
        contents.scale.null,
        log=contents.scale.ratio,
        fits=fits,
        ends=request.ends,
        ticks=request.ticks,
        advice="ticks= or a wider figure",
    )
