"""What surrounds the panel of a forest plot: title, column heads, sides of the axis, notes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from kapmeta.plot.forest_page.blocks import COLUMN_GAP, LINE_PITCH, Block, Sheet, Text
from kapmeta.plot.forest_page.contents import ForestContents
from kapmeta.plot.panel.typesetting import Font, text_width

__all__ = ["TICK_LENGTH", "TICK_PAD", "foot", "head", "side_width"]

TICK_LENGTH, TICK_PAD, HEAD_GAP, SIDE_GAP, SIDE_SHIFT = 0.38, 0.34, 0.62, 0.7, 3.0  # ems

Words = list[tuple[list[str], float, str]]
"""Lines, their place across, and which end of a line is at that place."""


def head(
    contents: ForestContents, blocks: Sequence[Block], sheet: Sheet
) -> tuple[list[Text], float]:
    """Set title and column heads above the panel; return them and the height they take."""
    words: Words = [(block.head, block.anchor, _end_placed(block)) for block in blocks]
    groups = _group_heads(blocks, sheet)
    lines = max(len(block.head) for block in blocks)
    texts: list[Text] = []
    if contents.favours_on_top and contents.favours:
        edge = COLUMN_GAP / 2 * sheet.em
        ends = sheet.panel_x - edge, sheet.panel_x + sheet.panel + edge
        sides, count = _side_texts(contents, sheet, *ends)
        shift = ((count - 1) * LINE_PITCH + HEAD_GAP) * sheet.em
        texts += [text._replace(y=text.y - shift) for text in sides]
    else:
        heading = sheet.wrapped(contents.heading, sheet.panel + COLUMN_GAP * sheet.em, True)
        words.append((heading, sheet.panel_x + sheet.panel / 2, "center"))
        count = len(heading)
    texts += _above([*words, *groups], sheet.em)
    top = (
        HEAD_GAP + LINE_PITCH * max(lines, count, *(len(line) for line, *_ in groups), 0)
    ) * sheet.em
    title = sheet.wrapped(contents.title, sheet.line, True)
    top += 0.7 * sheet.em if title else 0.0
    for n, line in enumerate(reversed(title)):
        texts.append(Text(sheet.left, -top - n * LINE_PITCH * sheet.em, line, bold=True))
    return texts, top + len(title) * LINE_PITCH * sheet.em


def _end_placed(block: Block) -> str:
    return block.align if block.align in ("left", "right") else "center"


def _above(words: Words, em: float) -> list[Text]:
    """Set bold lines, the last just above the panel."""
    return [
        Text(x, -(HEAD_GAP + (len(lines) - 1 - n) * LINE_PITCH) * em, line, align, True)
        for lines, x, align in words
        for n, line in enumerate(lines)
    ]


def _group_heads(blocks: Sequence[Block], sheet: Sheet) -> Words:
    """Set heads over several columns, with empty lines below for the heads of those columns."""
    found: Words = []
    for name, members in groupby(blocks, key=lambda block: block.column.group):
        under = list(members)
        if name:
            first, last = under[0].x, under[-1].x + under[-1].width
            lines = sheet.wrapped(name, last - first + COLUMN_GAP * sheet.em / 2, True)
            below = max(len(block.head) for block in under)
            found.append(([*lines, *[""] * below], (first + last) / 2, "center"))
    return found


def foot(contents: ForestContents, sheet: Sheet, bottom: float) -> tuple[list[Text], float]:
    """Set sides of the axis and notes below a panel ending at `bottom`; return the page's end."""
    em = sheet.em
    y = bottom + (TICK_LENGTH + TICK_PAD + 1.25) * em
    texts: list[Text] = []
    if contents.favours and not contents.favours_on_top:
        sides, count = _side_texts(contents, sheet, sheet.left, sheet.right)
        y += LINE_PITCH * em
        texts += [text._replace(y=text.y + y) for text in sides]
        y += (count - 1) * LINE_PITCH * em
    if contents.favours_on_top:  # the sides have taken the place of the heading above
        for line in sheet.wrapped(contents.heading, sheet.panel + 2 * COLUMN_GAP * em):
            y += LINE_PITCH * em
            texts.append(Text(sheet.panel_x + sheet.panel / 2, y, line, "center"))
    y += 0.55 * em if contents.notes else 0.0
    for note in contents.notes:
        for line in sheet.wrapped(note, sheet.line):
            y += LINE_PITCH * em
            texts.append(Text(sheet.left, y, line, colour="quiet"))
    return texts, y + 0.4 * em


def _shift_of_meeting(words: Sequence[str], sheet: Sheet, left: float, right: float) -> float:
    """Find how far to move the place where the sides meet, so that each has one line.

    0 if that would be too far.
    """
    widths = [text_width(word, sheet.font) + 1e-6 for word in words]
    lacking = [widths[0] - (sheet.null_x - left), widths[1] - (right - sheet.null_x)]
    shift = max(lacking[0], 0.0) - max(lacking[1], 0.0)
    fits = min(lacking) <= 0 and sum(lacking) <= 0
    return shift if fits and abs(shift) <= SIDE_SHIFT * sheet.em else 0.0


def side_width(words: str, font: Font) -> float:
    """Measure the words of a side with their arrow, from the null line."""
    return text_width(f"{words}\u00a0→", font) + SIDE_GAP * font.points + 1e-6


def _side_texts(
    contents: ForestContents, sheet: Sheet, left: float, right: float
) -> tuple[list[Text], int]:
    """Set the sides of the null line with arrows, first baseline at 0; return the count of lines.

    Both begin at the null line, on the same line. A side with a word too long for its room takes
    the whole width on lines of its own, from the edge of the page.
    """
    gap = SIDE_GAP * sheet.em
    # 1. the place where the sides meet, and the room of each
    words = [f"←\u00a0{contents.favours[0]}", f"{contents.favours[1]}\u00a0→"]
    null_x = sheet.null_x + _shift_of_meeting(words, sheet, left + gap, right - gap)
    rooms = [null_x - gap - left, right - null_x - gap]
    longest = [max(text_width(word, sheet.font) for word in side.split(" ")) for side in words]
    cramped = [room < long for room, long in zip(rooms, longest, strict=True)]
    # 2. the lines of each side
    limits = [right - left if tight else room for tight, room in zip(cramped, rooms, strict=True)]
    lines = [sheet.wrapped(word, limit) for word, limit in zip(words, limits, strict=True)]
    places = [
        (left, "left") if cramped[0] else (null_x - gap, "right"),
        (right, "right") if cramped[1] else (null_x + gap, "left"),
    ]
    # 3. the first line of each: a cramped side goes below the other
    first = [
        len(lines[1]) if cramped[0] else 0,
        len(lines[0]) if cramped[1] and not cramped[0] else 0,
    ]
    if contents.favours_on_top and not any(cramped):  # last lines level with those of the heads
        first = [max(map(len, lines)) - len(side) for side in lines]
    texts = [
        Text(x, (first[i] + n) * LINE_PITCH * sheet.em, line, align)
        for i, (x, align) in enumerate(places)
        for n, line in enumerate(lines[i])
    ]
    return texts, max(first[i] + len(lines[i]) for i in (0, 1))
