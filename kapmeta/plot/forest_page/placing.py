"""Rows of a forest plot with their heights, and the texts in them, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kapmeta.plot.forest_page.blocks import (
    BASELINE,
    BOLD,
    COLUMN_GAP,
    LINE_PITCH,
    SPANNING,
    Block,
    Sheet,
    Text,
)
from kapmeta.plot.forest_page.columns import Row
from kapmeta.plot.forest_page.notes import reason
from kapmeta.plot.panel.typesetting import room_around

__all__ = ["PlacedRow", "SetRow", "cells_of", "placed_rows", "row_texts"]

ROW_HEIGHT, GAP_HEIGHT, ROW_PAD = 1.72, 0.5, 0.35  # ems

PlacedRow = tuple[Row, float, float]
"""A row, its middle and its height, in points downwards from the top of the panel."""


class SetRow(NamedTuple):
    """A row with its middle and height, and in lines its label, if that runs across, and reason."""

    row: Row
    middle: float
    height: float
    label: list[str]
    reason: list[str]


def placed_rows(
    rows: Sequence[Row], sheet: Sheet, left: list[Block], right: list[Block], stretch: float
) -> tuple[list[SetRow], float]:
    """Place each row below the one before; return them and where the last one ends."""
    found: list[SetRow] = []
    y = ROW_PAD * sheet.em
    for i, row in enumerate(rows):
        label, why = _label_lines(row, i, left, sheet), _reason_lines(row, sheet)
        cells = [len(block.cells[i]) for block in (*left, *right)]
        lines = max([len(label), len(why), *cells])
        ems = GAP_HEIGHT if row.kind == "gap" else ROW_HEIGHT * stretch + (lines - 1) * LINE_PITCH
        height = ems * sheet.em
        found.append(SetRow(row, y + height / 2, height, label, why))
        y += height
    return found, y + ROW_PAD * sheet.em


def row_texts(rows: Sequence[SetRow], blocks: Sequence[Block], sheet: Sheet) -> list[Text]:
    """Place the texts of every row: its label, the reason it has no estimate, and its cells."""
    columns = [_cell_places(block, sheet) for block in blocks]
    label_x, reason_x = blocks[0].x, sheet.panel_x + 0.2 * sheet.em
    texts: list[Text] = []
    for i, (row, middle, _, label, why) in enumerate(rows):
        colour = "quiet" if row.kind in ("excluded", "remark") else "text"
        plain = Text(0.0, 0.0, "", bold=row.kind in BOLD, colour=colour)
        texts += _lines_about(plain, [(label_x, line) for line in label], middle, sheet.em)
        quiet = Text(0.0, 0.0, "", colour="quiet")
        texts += _lines_about(quiet, [(reason_x, line) for line in why], middle, sheet.em)
        for block, (align, places) in zip(blocks, columns, strict=True):
            shade = "paper" if block.judgements[i] == "high" else colour
            cell = plain._replace(align=align, colour=shade)
            texts += _lines_about(cell, places[i], middle, sheet.em)
    return texts


def cells_of(rows: Sequence[SetRow], blocks: Sequence[Block]) -> Iterable[tuple[str, float, float]]:
    """Find each judgement of risk of bias with the place of its disc."""
    for i, row in enumerate(rows):
        for block in blocks:
            if block.judgements[i]:
                yield block.judgements[i], block.x + block.width / 2, row.middle


def _cell_places(block: Block, sheet: Sheet) -> tuple[str, list[list[tuple[float, str]]]]:
    """Place the lines of each cell of a column across; also say which end of a line is placed."""
    mark, anchor = block.mark_place, block.anchor
    if mark is None:
        return block.align, [[(anchor, line) for line in cell] for cell in block.cells]
    return "left", [
        [(mark - room_around(line, block.align, sheet.font)[0], line) for line in cell]
        for cell in block.cells
    ]


def _lines_about(
    model: Text, lines: Sequence[tuple[float, str]], middle: float, em: float
) -> list[Text]:
    """Set lines, styled as `model`, one above the other about the height `middle`."""
    first = middle - (len(lines) - 1) * LINE_PITCH * em / 2 + BASELINE * em
    return [
        model._replace(x=x, y=first + n * LINE_PITCH * em, text=line)
        for n, (x, line) in enumerate(lines)
        if line
    ]


def _label_lines(row: Row, i: int, left: list[Block], sheet: Sheet) -> list[str]:
    """Break a label that runs across the empty cells to its right."""
    if row.kind not in SPANNING:
        return []
    filled = [block.x for block in left[1:] if block.cells[i][0]]
    end = min([*filled, sheet.panel_x]) - COLUMN_GAP * sheet.em
    return sheet.wrapped(row.label, end - left[0].x, row.kind in BOLD)


def _reason_lines(row: Row, sheet: Sheet) -> list[str]:
    """Break the reason why a row has no estimate, to be set in the panel."""
    if row.kind != "excluded" or row.shown:
        return []
    return sheet.wrapped(
        f"excluded: {reason(row) or 'no reason given'}", sheet.panel - 0.4 * sheet.em
    )
