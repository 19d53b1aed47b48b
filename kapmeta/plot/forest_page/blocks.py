"""Columns of text set in type: cells and heads in lines, widths from the real font."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kapmeta.plot.forest_page.columns import ALIGNMENTS, Column, Row
from kapmeta.plot.forest_page.contents import Contents
from kapmeta.plot.panel.typesetting import Font, aligned, longest_piece, text_width, wrapped

__all__ = [
    "BASELINE",
    "COLUMN_GAP",
    "PITCH",
    "Block",
    "Sheet",
    "Text",
    "is_bold",
    "reach",
    "side",
    "spans",
    "stack",
]

# lengths in ems of the type size
PITCH, COLUMN_GAP, FIRST_COLUMN, HEAD, ACROSS = 1.28, 1.4, 24.0, 9.0, 14.0
BASELINE = 0.36  # half the height of capitals: puts their middle on the middle of the row


class Text(NamedTuple):
    """One line of text; `x` is the left, middle or right end of its baseline, in points from the
    page's left.

    `y` is counted in points downwards from the top of the panel.
    """

    x: float
    y: float
    text: str
    align: str = "left"
    bold: bool = False
    colour: str = "text"


class Sheet(NamedTuple):
    """What type is set on: font, boxes for missing characters, and places in points from the page's left."""

    font: Font
    boxes: dict[int, str]
    left: float
    right: float
    panel_x: float
    panel: float
    null_x: float

    @property
    def em(self) -> float:
        """The type size in points."""
        return self.font.points

    @property
    def line(self) -> float:
        """The longest line across the page: screens hint type up to a twentieth wider than it is in print."""
        return 0.94 * (self.right - self.left)

    def wrapped(self, text: str, limit: float, bold: bool = False) -> list[str]:
        """`text` in lines of at most `limit` points; no line for no text."""
        return wrapped(text.translate(self.boxes), limit, self.font, bold) if text else []


class Block(NamedTuple):
    """A column set in type: its place, its cells in lines, its head in lines, and how they are
    aligned.

    `around` is the room before and after the character that stands at the same place in each row.
    """

    column: Column
    align: str
    width: float
    cells: list[list[str]]
    head: list[str]
    around: tuple[float, float] = (0.0, 0.0)
    x: float = 0.0

    def places(self, i: int, font: Font) -> tuple[list[tuple[float, str]], str]:
        """The lines of cell `i` with their places, and which end of a line stands there."""
        lines = self.cells[i]
        if self.align in ALIGNMENTS:
            return [(self.anchor, line) for line in lines], self.align
        before, after = self.around
        mark = self.x + (self.width - before - after) / 2 + before
        return [(mark - _around(line, self.align, font)[0], line) for line in lines], "left"

    @property
    def anchor(self) -> float:
        """Where heads and aligned lines stand."""
        return self.x + self.width * {"left": 0.0, "right": 1.0}.get(self.align, 0.5)


def is_bold(row: Row) -> bool:
    """Whether the row is set in bold type."""
    return row.kind in ("pooled", "heading")


def spans(row: Row) -> bool:
    """Whether the label may run across empty cells to its right."""
    return row.kind in ("heading", "remark", "pooled", "prediction")


def side(
    contents: Contents,
    columns: Sequence[Column],
    font: Font,
    boxes: dict[int, str],
    squeeze: float,
    first: bool,
) -> list[Block]:
    """The columns of one side with places from 0; `first` puts the labels before them."""
    label = Column(
        "", contents.first, text=lambda row: "" if spans(row) else row.label, width=FIRST_COLUMN
    )
    blocks: list[Block] = []
    x = 0.0
    for column in [label, *columns] if first else columns:
        block = _block(column, contents.rows, font, boxes, squeeze)._replace(x=x)
        x += block.width + COLUMN_GAP * max(squeeze, 0.6) * font.points
        blocks.append(block)
    if first and len(blocks) == 1:  # labels of pooled rows need room where no other column gives it
        labels = [text_width(row.label, font, is_bold(row)) for row in contents.rows if spans(row)]
        room = min(max([blocks[0].width, *labels]), FIRST_COLUMN * squeeze * font.points)
        blocks = [blocks[0]._replace(width=max(blocks[0].width, room))]
    return _with_room(blocks, contents.rows, font, squeeze) if first else blocks


def _with_room(blocks: list[Block], rows: Sequence[Row], font: Font, squeeze: float) -> list[Block]:
    """Columns with the first wide enough for labels that cannot run across, as the row has cells beside them."""
    beside = [
        row
        for i, row in enumerate(rows)
        if spans(row) and any(block.cells[i][0] for block in blocks[1:])
    ]
    most = ACROSS * squeeze * font.points
    needed = [
        max(
            min(text_width(row.label, font, is_bold(row)), most),
            longest_piece(row.label, font, is_bold(row)),
        )
        for row in beside
    ]
    more = max([*needed, 0.0]) - blocks[0].width
    if more <= 0:
        return blocks
    return [
        blocks[0]._replace(width=blocks[0].width + more),
        *(b._replace(x=b.x + more) for b in blocks[1:]),
    ]


def reach(blocks: Sequence[Block]) -> float:
    """Where the last column ends."""
    return blocks[-1].x + blocks[-1].width if blocks else 0.0


def stack(
    lines: Sequence[tuple[float, str]],
    middle: float,
    em: float,
    *,
    align: str = "left",
    bold: bool = False,
    colour: str = "text",
) -> list[Text]:
    """Lines one above the other about the height `middle`."""
    first = middle - (len(lines) - 1) * PITCH * em / 2 + BASELINE * em
    return [
        Text(x, first + n * PITCH * em, line, align, bold, colour)
        for n, (x, line) in enumerate(lines)
        if line
    ]


def _block(
    column: Column, rows: Sequence[Row], font: Font, boxes: dict[int, str], squeeze: float
) -> Block:
    bold = [is_bold(row) for row in rows]
    raw = aligned([column.cell(row).translate(boxes) for row in rows], bold, font)
    natural = column.width * font.points
    longest = max(
        (longest_piece(text, font, b) for text, b in zip(raw, bold, strict=True)), default=0.0
    )
    limit = min(natural, max(squeeze * natural, longest))
    cells = [wrapped(text, limit, font, b) for text, b in zip(raw, bold, strict=True)]
    lines = [(line, b) for cell, b in zip(cells, bold, strict=True) for line in cell]
    widest = max((text_width(line, font, b) for line, b in lines), default=0.0)
    heading = column.heading.translate(boxes)
    room = max(widest, HEAD * squeeze * font.points, longest_piece(heading, font, True))
    head = wrapped(heading, room, font, True)
    width = max([widest, *(text_width(line, font, True) for line in head)])
    align = column.align or _natural_alignment([line for line, _ in lines if line])
    around = (0.0, 0.0)
    if align not in ALIGNMENTS and lines:
        before, after = zip(*(_around(line, align, font) for line, _ in lines), strict=True)
        around = (max(before), max(after))
    return Block(column, align, max(width, sum(around)), cells, head, around)


def _around(line: str, mark: str, font: Font) -> tuple[float, float]:
    before = text_width(line.partition(mark)[0], font)
    return before, text_width(line, font) - before


def _natural_alignment(lines: Sequence[str]) -> str:
    """Numbers stand right, text left."""
    numbers = [line.lstrip("−<+ ").replace(".", "", 1).isdigit() for line in lines]
    return "right" if numbers and all(numbers) else "left"
