"""Text before it is drawn: its width in the real font, line breaks, and fonts for other scripts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.ft2font import LoadFlags

from kapmeta.core.numerics.arrays import FloatArray

__all__ = [
    "ALIGNMENTS",
    "Font",
    "SetColumn",
    "aligned",
    "legible",
    "longest_piece",
    "room_around",
    "set_column",
    "text_width",
    "wrapped",
]

ALIGNMENTS = ("left", "right", "center")

FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "Source Han Sans JP",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "IPAexGothic",
    "IPAGothic",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Sans Ethiopic",
    "Noto Sans",
    "Arial Unicode MS",
    "Unifont",
)
"""Families tried for characters that the first families cannot draw, where they are installed."""

# Latin, Greek, Cyrillic; signs
ALPHABETIC = re.compile("[\u0020-\u058f\u1e00-\u1fff\u2000-\u2bff]*")
UNIT = 6400  # steps of the grid on which a font of 100 points is set, to the type size
FIGURE_SPACE, HAIR_SPACE, MISSING_BOX = "\u2007", "\u200a", "□"


class Font(NamedTuple):
    """Families in order of preference and the type size in points."""

    families: tuple[str, ...]
    points: float


@lru_cache(maxsize=64)
def _properties(families: tuple[str, ...], bold: bool) -> FontProperties:
    return FontProperties(family=list(families), weight="bold" if bold else "normal", size=100)


@lru_cache(maxsize=64)
def _advances(families: tuple[str, ...], bold: bool) -> dict[tuple[str, str], float]:
    """Keep the advance of each letter before the letter that follows it; filled when first seen."""
    return {}


@lru_cache(maxsize=16384)
def _steps(text: str, families: tuple[str, ...], bold: bool) -> float:
    """Measure `text` in steps of `UNIT`, by adding up known advances where that is exact.

    Setting a text costs far more than adding up advances. Three steps: look up the advance of each
    letter before its neighbour; if any is unknown, set the text and measure it; if it has one
    glyph for each letter, keep its advances. Scripts that join their letters are always set.
    """
    # 1. the advance of each letter before its neighbour, and of the last letter at the end
    known, pairs = _advances(families, bold), [*zip(text, [*text[1:], ""], strict=True)]
    if len(text) > 1 and pairs[-1] not in known and all(pair in known for pair in pairs[:-1]):
        known[pairs[-1]] = _steps(text[-1], families, bold)
    if not all(pair in known for pair in pairs):
        # 2. unknown: set the text
        places, width = _glyph_places(text, families, bold)
        if len(places) != len(text) or not ALPHABETIC.fullmatch(text):
            return width
        # 3. one glyph for each letter: differences between places are advances
        known.update(zip(pairs, np.diff([*places, width]).tolist(), strict=True))
    return sum(known[pair] for pair in pairs)


def _glyph_places(text: str, families: tuple[str, ...], bold: bool) -> tuple[FloatArray, float]:
    """Set `text`; return the place of each glyph and the end of the text in steps of `UNIT`."""
    font = get_font(_files(families, bold))
    font.set_size(100, 72)
    places = font.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)[:, 0]
    return places, font.get_width_height()[0]


@lru_cache(maxsize=64)
def _files(families: tuple[str, ...], bold: bool) -> list[str]:
    return [fontManager.findfont(_properties((family,), bold)) for family in families]


def text_width(text: str, font: Font, bold: bool = False) -> float:
    """Measure the width of `text` in points, 0 for an empty text."""
    return _steps(text, font.families, bold) / UNIT * font.points if text else 0.0


def wrapped(text: str, limit: float, font: Font, bold: bool = False) -> list[str]:
    """Break `text` into lines of at most `limit` points, at spaces, else within words.

    Greedy: a word goes on the current line if it fits; a word wider than a whole line is broken
    after a stroke or a hyphen if possible, else between letters.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        if text_width(paragraph, font, bold) <= limit:
            lines.append(paragraph)
            continue
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if text_width(longer, font, bold) <= limit:
                line = longer
                continue
            lines += [line] if line else []
            *whole, line = _broken(word, limit, font, bold)
            lines += whole
        lines.append(line)
    return lines


def _broken(word: str, limit: float, font: Font, bold: bool) -> list[str]:
    """Break a word into pieces of at most `limit` points, after a stroke or hyphen if it can be."""
    pieces = [""]
    for part in _breakable(word):
        if text_width(pieces[-1] + part, font, bold) <= limit:
            pieces[-1] += part
            continue
        pieces += [""] if pieces[-1] else []
        for letter in part:
            if pieces[-1] and text_width(pieces[-1] + letter, font, bold) > limit:
                pieces.append("")
            pieces[-1] += letter
    return pieces


def _breakable(word: str) -> list[str]:
    return [part for part in re.split(r"(?<=[/\-–])", word) if part]


def longest_piece(text: str, font: Font, bold: bool = False) -> float:
    """Measure the longest part of `text` that is not broken unless it must be."""
    parts = [part for word in text.replace("\n", " ").split(" ") for part in _breakable(word)]
    return max((text_width(part, font, bold) for part in parts), default=0.0)


def aligned(cells: Sequence[str], bold: Sequence[bool], font: Font) -> list[str]:
    """Pad the parts of cells, separated by tabs, so that each part ends at the same place.

    The cells are meant to be set flush right. Padding goes to the nearest hair space, a tenth of
    the size. A cell with fewer parts than the others is left as it is, without its tabs.
    """
    parts = [cell.split("\t") for cell in cells]
    most = max((len(part) for part in parts), default=1)
    if most == 1:
        return list(cells)
    # 1. the widest text of each part, over the cells that have all parts
    whole = [(p, b) for p, b in zip(parts, bold, strict=True) if len(p) == most]
    widest = [max(text_width(p[i], font, b) for p, b in whole) for i in range(most)]

    # 2. each part padded on its left to that width; the first needs none, being flush right
    def padded(part: list[str], heavy: bool) -> str:
        texts = [
            _padding(widest[i] - text_width(text, font, heavy), font, heavy) + text if i else text
            for i, text in enumerate(part)
        ]
        return " ".join(texts).lstrip(" " + FIGURE_SPACE + HAIR_SPACE)

    return [
        padded(p, b) if len(p) == most else "".join(p) for p, b in zip(parts, bold, strict=True)
    ]


def _padding(points: float, font: Font, bold: bool) -> str:
    figure, hair = _advance(FIGURE_SPACE, font, bold), _advance(HAIR_SPACE, font, bold)
    wide = max(0, int(points / figure + 1e-6))
    return FIGURE_SPACE * wide + HAIR_SPACE * max(0, round((points - wide * figure) / hair))


def _advance(space: str, font: Font, bold: bool) -> float:
    return text_width(f"|{space}|", font, bold) - text_width("||", font, bold)


class SetColumn(NamedTuple):
    """A column of text set in type.

    `cells` and `head` are in lines, `width` is that of the widest line and `align` says which end
    of a line is fixed. If `align` is a character, that is set at the same place in each line, with
    the room `around` before and after that place.
    """

    cells: list[list[str]]
    head: list[str]
    width: float
    align: str
    around: tuple[float, float]


def set_column(
    texts: Sequence[str],
    bold: Sequence[bool],
    heading: str,
    font: Font,
    limits: tuple[float, float, float],
    align: str = "",
) -> SetColumn:
    """Set the cells and the heading of a column in lines, and measure them.

    Parameters
    ----------
    texts, bold
        The cells and which of them are bold.
    heading : str
        Set bold, as wide as the cells or wider.
    limits : tuple of float
        In points: the usual widest line, the narrowed one, and the least width of the heading. A
        cell is broken at the narrowed width, or where its longest word ends.
    align : str
        A word of `ALIGNMENTS` or a character; by default numbers are set right and text left.
    """
    usual, narrow, least_head = limits
    # 1. cells: parts padded to the same width, then broken into lines
    padded = list(zip(aligned(texts, bold, font), bold, strict=True))
    longest = max((longest_piece(text, font, b) for text, b in padded), default=0.0)
    limit = min(usual, max(narrow, longest))
    cells = [wrapped(text, limit, font, b) for text, b in padded]
    lines = [(line, b) for cell, b in zip(cells, bold, strict=True) for line in cell]
    widest = max((text_width(line, font, b) for line, b in lines), default=0.0)
    # 2. the heading, in the width of the cells
    head = wrapped(heading, max(widest, least_head, longest_piece(heading, font, True)), font, True)
    width = max([widest, *(text_width(line, font, True) for line in head)])
    # 3. the fixed end, or the room on both sides of the fixed character
    align = align or _natural_alignment([line for line, _ in lines if line])
    around = (0.0, 0.0)
    if align not in ALIGNMENTS and lines:
        before, after = zip(*(room_around(line, align, font) for line, _ in lines), strict=True)
        around = (max(before), max(after))
    return SetColumn(cells, head, max(width, sum(around)), align, around)


def room_around(line: str, mark: str, font: Font) -> tuple[float, float]:
    """Measure `line` before the character `mark` and from there on."""
    before = text_width(line.partition(mark)[0], font)
    return before, text_width(line, font) - before


def _natural_alignment(lines: Sequence[str]) -> str:
    """Choose right for numbers, left for text."""
    numbers = [line.lstrip("−<+ ").replace(".", "", 1).isdigit() for line in lines]
    return "right" if numbers and all(numbers) else "left"


def legible(
    texts: Iterable[str], families: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[int, str]]:
    """Find font families that can draw `texts`, and a translation of other characters to boxes.

    Warns once, naming the characters and a font that has them, if some cannot be drawn.
    """
    letters = {letter for letter in set("".join(texts)) if ord(letter) > 126}
    lacking = {letter for letter in letters if not _drawable(letter, families)}
    if not lacking:
        return families, {}
    installed = set(fontManager.get_font_names())
    chosen = list(families)
    for family in (name for name in FALLBACKS if name in installed):
        found = {letter for letter in lacking if _drawable(letter, (family,))}
        if found:
            chosen.append(family)
            lacking -= found
    if lacking:
        shown = "".join(sorted(lacking)[:20])
        warnings.warn(
            f'no installed font has "{shown}": drawn as {MISSING_BOX}, kept in the text'
            " alternative; install a font that has them, for Chinese, Japanese or Korean:"
            f" {FALLBACKS[0]}",
            UserWarning,
            stacklevel=4,
        )
    return tuple(chosen), {ord(letter): MISSING_BOX for letter in lacking}


@lru_cache(maxsize=8192)
def _drawable(letter: str, families: tuple[str, ...]) -> bool:
    paths = (fontManager.findfont(_properties((family,), False)) for family in families)
    return any(get_font(path).get_char_index(ord(letter)) != 0 for path in paths)
