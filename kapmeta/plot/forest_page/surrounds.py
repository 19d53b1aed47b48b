"""What stands around the panel of a forest plot: title, column heads, the sides of the axis, notes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from kapmeta.plot.forest_page.blocks import COLUMN_GAP, PITCH, Block, Sheet, Text
from kapmeta.plot.forest_page.contents import Contents
from kapmeta.plot.panel.typesetting import Font, text_width

__all__ = ["TICK_LENGTH", "TICK_PAD", "foot", "head", "side_width"]

TICK_LENGTH, TICK_PAD, HEAD_GAP, SIDE_GAP, SIDE_SHIFT = 0.38, 0.34, 0.62, 0.7, 3.0  # ems

Words = list[
    tuple[list[str], float, str]
]  # lines, where they stand, which end of a line stands there


def head(contents: Contents, blocks: Sequence[Block], sheet: Sheet) -> tuple[list[Text], float]:
    """Title and column heads above the panel, and how high they reach."""
    words: Words = [(block.head, *_place(block)) for block in blocks]
    groups = _groups(blocks, sheet)
    lines = max(len(block.head) for block in blocks)
    texts: list[Text] = []
    if contents.favours_on_top and contents.favours:
        edge = COLUMN_GAP / 2 * sheet.em
        sides, count = _sides(
            contents, sheet, sheet.panel_x - edge, sheet.panel_x + sheet.panel + edge
        )
        shift = ((count - 1) * PITCH + HEAD_GAP) * sheet.em
        texts += [text._replace(y=text.y - shift) for text in sides]
    else:
        heading = sheet.wrapped(contents.heading, sheet.panel + COLUMN_GAP * sheet.em, True)
        words.append((heading, sheet.panel_x + sheet.panel / 2, "center"))
        count = len(heading)
    texts += _above([*words, *groups], sheet.em)
    top = (HEAD_GAP + PITCH * max(lines, count, *(len(line) for line, *_ in groups), 0)) * sheet.em
    title = sheet.wrapped(contents.title, sheet.line, True)
    top += 0.7 * sheet.em if title else 0.0
    for n, line in enumerate(reversed(title)):
        texts.append(Text(sheet.left, -top - n * PITCH * sheet.em, line, bold=True))
    return texts, top + len(title) * PITCH * sheet.em


def _place(block: Block) -> tuple[float, str]:
    return block.anchor, block.align if block.align in ("left", "right") else "center"


def _above(words: Words, em: float) -> list[Text]:
    """Bold lines whose last stands just above the panel."""
    return [
        Text(x, -(HEAD_GAP + (len(lines) - 1 - n) * PITCH) * em, line, align, True)
        for lines, x, align in words
        for n, line in enumerate(lines)
    ]


def _groups(blocks: Sequence[Block], sheet: Sheet) -> Words:
    """Heads over several columns, with empty lines where the heads of those columns stand."""
    found: Words = []
    for name, members in groupby(blocks, key=lambda block: block.column.group):
        under = list(members)
        if name:
            first, last = under[0].x, under[-1].x + under[-1].width
            lines = sheet.wrapped(name, last - first + COLUMN_GAP * sheet.em / 2, True)
            below = max(len(block.head) for block in under)
            found.append(([*lines, *[""] * below], (first + last) / 2, "center"))
    return found


def foot(contents: Contents, sheet: Sheet, bottom: float) -> tuple[list[Text], float]:
    """Sides of the axis and notes below the panel that ends at `bottom`, and where the page ends."""
    em = sheet.em
    y = bottom + (TICK_LENGTH + TICK_PAD + 1.25) * em
    texts: list[Text] = []
    if contents.favours and not contents.favours_on_top:
        sides, count = _sides(contents, sheet, sheet.left, sheet.right)
        y += PITCH * em
        texts += [text._replace(y=text.y + y) for text in sides]
        y += (count - 1) * PITCH * em
    if contents.favours_on_top:  # where others have their heading, above the plot, stand the sides
        for line in sheet.wrapped(contents.heading, sheet.panel + 2 * COLUMN_GAP * em):
            y += PITCH * em
            texts.append(Text(sheet.panel_x + sheet.panel / 2, y, line, "center"))
    y += 0.55 * em if contents.notes else 0.0
    for note in contents.notes:
        for line in sheet.wrapped(note, sheet.line):
            y += PITCH * em
            texts.append(Text(sheet.left, y, line, colour="quiet"))
    return texts, y + 0.4 * em


def _aside(words: Sequence[str], sheet: Sheet, left: float, right: float) -> float:
    """How far to move the place where the sides meet, so that each stands on one line; 0 if it would be too far."""
    widths = [text_width(word, sheet.font) + 1e-6 for word in words]
    lacking = [widths[0] - (sheet.null_x - left), widths[1] - (right - sheet.null_x)]
    shift = max(lacking[0], 0.0) - max(lacking[1], 0.0)
    fits = min(lacking) <= 0 and sum(lacking) <= 0
    return shift if fits and abs(shift) <= SIDE_SHIFT * sheet.em else 0.0


def side_width(words: str, font: Font) -> float:
    """How far the words of a side reach from the null line, with their arrow."""
    return text_width(f"{words}\u00a0→", font) + SIDE_GAP * font.points + 1e-6


def _sides(contents: Contents, sheet: Sheet, left: float, right: float) -> tuple[list[Text], int]:
    """The two sides of the null line with arrows, first baseline at 0, and the number of lines
    used.

    A side without room for its longest word stands against the edge, below the other side.
    """
    gap = SIDE_GAP * sheet.em
    words = [f"←\u00a0{contents.favours[0]}", f"{contents.favours[1]}\u00a0→"]
    null_x = sheet.null_x + _aside(words, sheet, left + gap, right - gap)
    rooms = [null_x - gap - left, right - null_x - gap]
    longest = [max(text_width(word, sheet.font) for word in side.split(" ")) for side in words]
    cramped = [room < long for room, long in zip(rooms, longest, strict=True)]
    limits = [right - left if tight else room for tight, room in zip(cramped, rooms, strict=True)]
    lines = [sheet.wrapped(word, limit) for word, limit in zip(words, limits, strict=True)]
    stands = [
        (left, "left") if cramped[0] else (null_x - gap, "right"),
        (right, "right") if cramped[1] else (null_x + gap, "left"),
    ]
    first = [
        len(lines[1]) if cramped[0] else 0,
        len(lines[0]) if cramped[1] and not cramped[0] else 0,
    ]
    if contents.favours_on_top and not any(
        cramped
    ):  # their last lines stand with those of the heads
        first = [max(map(len, lines)) - len(side) for side in lines]
    texts = [
        Text(x, (first[i] + n) * PITCH * sheet.em, line, align)
        for i, (x, align) in enumerate(stands)
        for n, line in enumerate(lines[i])
    ]
    return texts, max(first[i] + len(lines[i]) for i in (0, 1))
