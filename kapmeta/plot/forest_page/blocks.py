"""Columns of text set in type: cells and heads in lines, widths from the real font."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kapmeta.plot.forest_page.columns import Column, FilledColumn
from kapmeta.plot.forest_page.contents import ForestContents
from kapmeta.plot.panel.typesetting import (
    ALIGNMENTS,
    Font,
    longest_piece,
    set_column,
    text_width,
    wrapped,
)

__all__ = [
    "BASELINE",
    "BOLD",
    "COLUMN_GAP",
    "LINE_PITCH",
    "SPANNING",
    "Block",
    "Sheet",
    "Text",
    "label_blocks",
    "right_end",
    "side_blocks",
]

# lengths in ems of the type size
LINE_PITCH, COLUMN_GAP, FIRST_COLUMN, HEAD, ACROSS = 1.28, 1.4, 24.0, 9.0, 14.0
BASELINE = 0.36  # half the height of capitals: puts their middle on the middle of the row

BOLD = ("pooled", "heading")
"""Kinds of rows set in bold type."""
SPANNING = ("heading", "remark", "pooled", "prediction")
"""Kinds of rows whose label may run across empty cells to its right."""


class Text(NamedTuple):
    """One line of text; `x` is the left, middle or right end of its baseline.

    In points: `x` from the page's left, `y` downwards from the top of the panel.
    """

    x: float
    y: float
    text: str
    align: str = "left"
    bold: bool = False
    colour: str = "text"


class Sheet(NamedTuple):
    """The paper: font, boxes for missing characters, type size, and places from the page's left."""

    font: Font
    boxes: dict[int, str]
    em: float
    width: float
    left: float
    right: float
    panel_x: float
    panel: float
    null_x: float

    @property
    def line(self) -> float:
        """The longest line across the page: on screens type is up to a twentieth wider."""
        return 0.94 * (self.right - self.left)

    def wrapped(self, text: str, limit: float, bold: bool = False) -> list[str]:
        """Break `text` into lines of at most `limit` points; no line for no text."""
        return wrapped(text.translate(self.boxes), limit, self.font, bold) if text else []


class Block(NamedTuple):
    """A column set in type: its place, its cells and its head in lines, and how they are aligned.

    `around` is the room before and after the character that is set at the same place in each row;
    `judgements` are those of risk of bias, ``""`` in other columns.
    """

    column: Column
    judgements: tuple[str, ...]
    cells: list[list[str]]
    head: list[str]
    width: float
    align: str
    around: tuple[float, float] = (0.0, 0.0)
    x: float = 0.0

    @property
    def anchor(self) -> float:
        """The place of heads and of aligned lines."""
        return self.x + self.width * {"left": 0.0, "right": 1.0}.get(self.align, 0.5)

    @property
    def mark_place(self) -> float | None:
        """The place of the character at which lines are aligned, None if lines end flush."""
        if self.align in ALIGNMENTS:
            return None
        before, after = self.around
        return self.x + (self.width - before - after) / 2 + before

    def rows(self, first: int, last: int) -> Block:
        """Return the block with the rows from `first` to the one before `last`."""
        return self._replace(cells=self.cells[first:last], judgements=self.judgements[first:last])


def side_blocks(
    contents: ForestContents,
    columns: Sequence[FilledColumn],
    font: Font,
    boxes: dict[int, str],
    squeeze: float,
) -> list[Block]:
    """Set columns side by side from 0, narrowed by `squeeze`."""
    bold = [row.kind in BOLD for row in contents.rows]
    gap = COLUMN_GAP * max(squeeze, 0.6) * font.points
    blocks: list[Block] = []
    x = 0.0
    for column, cells, judgements in columns:
        usual = column.width * font.points
        block = Block(
            column,
            judgements,
            *set_column(
                [cell.translate(boxes) for cell in cells],
                bold,
                column.heading.translate(boxes),
                font,
                (usual, squeeze * usual, HEAD * squeeze * font.points),
                column.align,
            ),
            x=x,
        )
        x += block.width + gap
        blocks.append(block)
    return blocks


def label_blocks(
    contents: ForestContents, font: Font, boxes: dict[int, str], squeeze: float
) -> list[Block]:
    """Set the labels and the columns left of the panel, with room for labels that run across."""
    rows, spans = contents.rows, [row.kind in SPANNING for row in contents.rows]
    cells = ["" if across else row.label for row, across in zip(rows, spans, strict=True)]
    labels = FilledColumn(
        Column("", contents.first, width=FIRST_COLUMN), tuple(cells), ("",) * len(rows)
    )
    blocks = side_blocks(contents, [labels, *contents.left], font, boxes, squeeze)
    across = [(i, row.label, row.kind in BOLD) for i, row in enumerate(rows) if spans[i]]
    if len(blocks) == 1:  # labels of pooled rows need room where no other column gives it
        widths = [text_width(label, font, bold) for _, label, bold in across]
        room = min(max([blocks[0].width, *widths]), FIRST_COLUMN * squeeze * font.points)
        blocks = [blocks[0]._replace(width=max(blocks[0].width, room))]
    # labels cannot run across where the row has cells beside them
    most, more = ACROSS * squeeze * font.points, 0.0
    for i, label, bold in across:
        if any(block.cells[i][0] for block in blocks[1:]):
            needed = max(min(text_width(label, font, bold), most), longest_piece(label, font, bold))
            more = max(more, needed - blocks[0].width)
    first = blocks[0]._replace(width=blocks[0].width + more)
    return [first, *(block._replace(x=block.x + more) for block in blocks[1:])]


def right_end(blocks: Sequence[Block]) -> float:
    """Return the place where the last column ends."""
    return blocks[-1].x + blocks[-1].width if blocks else 0.0
