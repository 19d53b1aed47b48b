"""Where everything stands on a forest plot, in points, from measured text: nothing here draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from kapmeta.plot.forest_page.blocks import (
    COLUMN_GAP,
    PITCH,
    Block,
    Sheet,
    Text,
    is_bold,
    reach,
    side,
    spans,
    stack,
)
from kapmeta.plot.forest_page.columns import Row, is_risk, risk_judgement
from kapmeta.plot.forest_page.contents import Contents, part
from kapmeta.plot.forest_page.notes import reason
from kapmeta.plot.forest_page.surrounds import foot, head, side_width
from kapmeta.plot.panel.axis import EffectAxis, effect_axis
from kapmeta.plot.panel.typesetting import Font, legible, text_width
from kapmeta.plot.style import Theme

__all__ = ["Page", "Request", "page"]

# lengths in ems of the type size
ROW, GAP, PAD = 1.72, 0.5, 0.35
PANEL, LEAST_PANEL, WIDEST_PANEL, OVERHANG = 20.0, 7.5, 34.0, 8.0
SQUEEZES = (
    1.0,
    0.8,
    0.62,
    0.48,
    0.36,
    0.27,
)  # how far columns of text are narrowed, in turn, when the page is too small

PlacedRow = tuple[Row, float, float]


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
    """A forest plot with every position fixed; lengths in points, y downwards from the top of the
    panel.

    `rows` holds each row with its middle and height, `cells` each judgement of risk of bias with
    its place; `heaviest` is the largest weight of a study on any page.
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


def page(contents: Contents, theme: Theme, request: Request) -> Page:
    """Set `contents` on a page; raises ValueError if the width asked for is too small."""
    families, boxes = legible(_all_text(contents), theme.families)
    font = Font(families, theme.points)
    tightest = math.inf
    for squeeze in SQUEEZES:
        left = side(contents, contents.left, font, boxes, squeeze, True)
        right = side(contents, contents.right, font, boxes, squeeze, False)
        # without columns on the right the second gap is room for the last axis label, which hangs
        # over
        beside = 2 * request.margin + reach(left) + reach(right) + 2 * COLUMN_GAP * font.points
        least = beside + LEAST_PANEL * font.points
        tightest = min(tightest, least)
        if math.isnan(request.width):
            return _set(contents, font, boxes, left, right, beside, PANEL * font.points, request)
        if least <= request.width:
            panel = min(request.width - beside, WIDEST_PANEL * font.points)
            return _set(contents, font, boxes, left, right, beside, panel, request)
    raise ValueError(
        f"the columns need {tightest / 72:.1f} in at {font.points:g} points, not"
        f" {request.width / 72:.1f}; give more or leave columns out, e.g."
        f" drop={[column.name for column in contents.right[-1:]]}"
    )


def _all_text(contents: Contents) -> Iterable[str]:
    yield from (
        contents.title,
        contents.heading,
        contents.first,
        *contents.favours,
        *contents.notes,
    )
    for column in (*contents.left, *contents.right):
        yield from (column.heading, column.group, *(column.cell(row) for row in contents.rows))
    yield from (row.label for row in contents.rows)
    yield from (
        str(row.values.get("reason", "")) for row in contents.rows if row.kind == "excluded"
    )


def _set(
    contents: Contents,
    font: Font,
    boxes: dict[int, str],
    left: list[Block],
    right: list[Block],
    beside: float,
    panel: float,
    request: Request,
) -> Page:
    """The page for columns already set and a panel of this width."""
    panel_x = request.margin + reach(left) + COLUMN_GAP * font.points
    width = beside + panel if math.isnan(request.width) else request.width
    axis = _axis(contents, font, panel, request)
    heaviest = max(
        (row.number("weight_0") for row in contents.rows if row.number("weight_0") > 0),
        default=math.nan,
    )
    if request.rows is not None:
        first, last = request.rows
        left, right = (
            [b._replace(cells=b.cells[first:last]) for b in side] for side in (left, right)
        )
        contents = part(contents, first, last, last >= len(contents.rows))
    null = contents.scale.null
    null_x = panel_x + panel * (0.5 if null is None else float(np.clip(axis.place(null), 0.0, 1.0)))
    if math.isnan(request.width):
        width += _overhang(contents, font, width - request.margin - null_x)
    sheet = Sheet(font, boxes, request.margin, width - request.margin, panel_x, panel, null_x)
    right_x = panel_x + panel + COLUMN_GAP * font.points
    left = [block._replace(x=block.x + request.margin) for block in left]
    right = [block._replace(x=block.x + right_x) for block in right]
    rows, bottom = _placed_rows(contents, sheet, left, right, request.stretch)
    above, top = head(contents, [*left, *right], sheet)
    below, end = foot(contents, sheet, bottom)
    texts = [text for placed in rows for text in _row_texts(contents, placed, sheet, left, right)]
    return Page(
        width=width,
        height=2 * request.margin + top + end,
        top=top + request.margin,
        sheet=sheet,
        panel_height=bottom,
        axis=axis,
        texts=tuple(text for text in (*above, *texts, *below) if text.text),
        rows=tuple(rows),
        cells=tuple(_cells(rows, [*left, *right])),
        heaviest=heaviest,
    )


def _overhang(contents: Contents, font: Font, room: float) -> float:
    """How far the right side of the axis goes beyond the `room` for it, as far as the page may be widened for it."""
    if not contents.favours or contents.favours_on_top:
        return 0.0
    return min(max(side_width(contents.favours[1], font) - room, 0.0), OVERHANG * font.points)


def _axis(contents: Contents, font: Font, panel: float, request: Request) -> EffectAxis:
    drawn = [row for row in contents.rows if row.shown]
    values = {
        name: np.array([row.number(name) for row in drawn]) for name in ("estimate", "low", "high")
    }

    def fits(places: Sequence[float], labels: Sequence[str]) -> bool:
        half = [0.5 * text_width(label, font) + 0.35 * font.points for label in labels]
        ends = [
            (panel * place - h, panel * place + h) for place, h in zip(places, half, strict=True)
        ]
        return all(after[0] >= before[1] for before, after in pairwise(ends))

    return effect_axis(
        values["estimate"],
        values["low"],
        values["high"],
        contents.scale.null,
        log=contents.scale.ratio,
        fits=fits,
        ends=request.ends,
        ticks=request.ticks,
    )


def _placed_rows(
    contents: Contents, sheet: Sheet, left: list[Block], right: list[Block], stretch: float
) -> tuple[list[PlacedRow], float]:
    """Each row with its middle and height, and where the last row ends."""
    rows: list[PlacedRow] = []
    y = PAD * sheet.em
    for i, row in enumerate(contents.rows):
        if row.kind == "gap":
            height = GAP * sheet.em
        else:
            cells = [len(block.cells[i]) for block in (*left, *right)]
            lines = max([len(_label(row, i, left, sheet)), len(_reason(row, sheet)), *cells])
            height = (ROW * stretch + (lines - 1) * PITCH) * sheet.em
        rows.append((row, y + height / 2, height))
        y += height
    return rows, y + PAD * sheet.em


def _row_texts(
    contents: Contents, placed: PlacedRow, sheet: Sheet, left: list[Block], right: list[Block]
) -> Iterable[Text]:
    row, middle, _ = placed
    i = next(n for n, other in enumerate(contents.rows) if other is row)
    colour = "quiet" if row.kind in ("excluded", "remark") else "text"
    bold = is_bold(row)
    yield from stack(
        [(left[0].x, line) for line in _label(row, i, left, sheet)],
        middle,
        sheet.em,
        bold=bold,
        colour=colour,
    )
    reason_x = sheet.panel_x + 0.2 * sheet.em
    yield from stack(
        [(reason_x, line) for line in _reason(row, sheet)], middle, sheet.em, colour="quiet"
    )
    for block in (*left, *right):
        lines, align = block.places(i, sheet.font)
        on_dark = (
            is_risk(block.column) and risk_judgement(row.values.get(block.column.name)) == "high"
        )
        shade = "paper" if on_dark else colour
        yield from stack(lines, middle, sheet.em, align=align, bold=bold, colour=shade)


def _label(row: Row, i: int, left: list[Block], sheet: Sheet) -> list[str]:
    """A label that runs across the empty cells to its right."""
    if not spans(row):
        return []
    filled = [block.x for block in left[1:] if block.cells[i][0]]
    end = min([*filled, sheet.panel_x]) - COLUMN_GAP * sheet.em
    return sheet.wrapped(row.label, end - left[0].x, is_bold(row))


def _reason(row: Row, sheet: Sheet) -> list[str]:
    """Why a row without an estimate has none, set in the panel."""
    if row.kind != "excluded" or row.shown:
        return []
    return sheet.wrapped(
        f"excluded: {reason(row) or 'no reason given'}", sheet.panel - 0.4 * sheet.em
    )


def _cells(rows: list[PlacedRow], blocks: list[Block]) -> Iterable[tuple[str, float, float]]:
    for row, middle, _ in rows:
        for block in blocks:
            judgement = (
                risk_judgement(row.values.get(block.column.name)) if is_risk(block.column) else ""
            )
            if judgement:
                yield judgement, block.x + block.width / 2, middle
