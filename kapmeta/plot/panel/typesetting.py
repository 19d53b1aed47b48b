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

__all__ = ["Font", "aligned", "legible", "longest_piece", "text_width", "wrapped"]

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

ALPHABETIC = re.compile(
    "[\u0020-\u058f\u1e00-\u1fff\u2000-\u2bff]*"
)  # Latin, Greek, Cyrillic; signs
UNIT = 6400  # steps of the grid on which a font of 100 points is set, to the type size
FIGURE_SPACE, HAIR_SPACE, MISSING = "\u2007", "\u200a", "□"


class Font(NamedTuple):
    """Families in order of preference and the type size in points."""

    families: tuple[str, ...]
    points: float


@lru_cache(maxsize=64)
def _properties(families: tuple[str, ...], bold: bool) -> FontProperties:
    return FontProperties(family=list(families), weight="bold" if bold else "normal", size=100)


@lru_cache(maxsize=64)
def _advances(families: tuple[str, ...], bold: bool) -> dict[tuple[str, str], float]:
    """How far each letter goes on before the letter that follows it, as far as it has been seen."""
    return {}


@lru_cache(maxsize=16384)
def _steps(text: str, families: tuple[str, ...], bold: bool) -> float:
    """Width in steps of `UNIT`: added up if each letter has been seen before its neighbour, or else
    measured.

    To set a text costs far more than to add up what is known. Scripts that join their letters are
    always set.
    """
    known, pairs = _advances(families, bold), [*zip(text, [*text[1:], ""], strict=True)]
    if len(text) > 1 and pairs[-1] not in known and all(pair in known for pair in pairs[:-1]):
        known[pairs[-1]] = _steps(text[-1], families, bold)
    if not all(pair in known for pair in pairs):
        places, width = _set(text, families, bold)
        if len(places) != len(text) or not ALPHABETIC.fullmatch(text):
            return width
        known.update(zip(pairs, np.diff([*places, width]).tolist(), strict=True))
    return sum(known[pair] for pair in pairs)


def _set(text: str, families: tuple[str, ...], bold: bool) -> tuple[FloatArray, float]:
    """Where each glyph of `text` stands, in steps of `UNIT`, and where the text ends."""
    font = get_font(_files(families, bold))
    font.set_size(100, 72)
    places = font.set_text(text, 0.0, flags=LoadFlags.NO_HINTING)[:, 0]
    return places, font.get_width_height()[0]


@lru_cache(maxsize=64)
def _files(families: tuple[str, ...], bold: bool) -> list[str]:
    return [fontManager.findfont(_properties((family,), bold)) for family in families]


def text_width(text: str, font: Font, bold: bool = False) -> float:
    """Width of `text` in points, 0 for an empty text."""
    return _steps(text, font.families, bold) / UNIT * font.points if text else 0.0


def wrapped(text: str, limit: float, font: Font, bold: bool = False) -> list[str]:
    """`text` in lines of at most `limit` points, broken at spaces, and within words that are too long."""
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
    """One word in pieces of at most `limit` points, broken after a stroke or a hyphen where it can be."""
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
    """Width of the longest part of `text` that is not broken unless it must be."""
    parts = [part for word in text.replace("\n", " ").split(" ") for part in _breakable(word)]
    return max((text_width(part, font, bold) for part in parts), default=0.0)


def aligned(cells: Sequence[str], bold: Sequence[bool], font: Font) -> list[str]:
    """Cells whose parts, separated by tabs, are padded with spaces so that each part ends at the
    same place.

    The cells are meant to be set flush right. Padding goes to the nearest hair space, a tenth of
    the size.
    """
    parts = [cell.split("\t") for cell in cells]
    most = max((len(part) for part in parts), default=1)
    if most == 1:
        return list(cells)
    widest = [
        max(
            (text_width(p[i], font, b) for p, b in zip(parts, bold, strict=True) if len(p) == most),
            default=0.0,
        )
        for i in range(most)
    ]
    return [
        (
            " ".join(
                _padding(widest[i] - text_width(text, font, b), font, b) + text if i else text
                for i, text in enumerate(p)
            ).lstrip(" " + FIGURE_SPACE + HAIR_SPACE)
            if len(p) == most
            else "".join(p)
        )
        for p, b in zip(parts, bold, strict=True)
    ]


def _padding(points: float, font: Font, bold: bool) -> str:
    figure, hair = _advance(FIGURE_SPACE, font, bold), _advance(HAIR_SPACE, font, bold)
    wide = max(0, int(points / figure + 1e-6))
    return FIGURE_SPACE * wide + HAIR_SPACE * max(0, round((points - wide * figure) / hair))


def _advance(space: str, font: Font, bold: bool) -> float:
    return text_width(f"|{space}|", font, bold) - text_width("||", font, bold)


def legible(
    texts: Iterable[str], families: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[int, str]]:
    """Font families that can draw all of `texts`, and a translation that turns what none can draw
    into boxes.

    Warns once, naming the characters and a font that has them, if some cannot be drawn.
    """
    letters = {letter for text in texts for letter in text if letter not in "\n\t"}
    lacking = {
        letter for letter in letters if ord(letter) > 126 and not _drawable(letter, families)
    }
    if not lacking:
        return families, {}
    installed = set(fontManager.get_font_names())
    chosen = list(families)
    for family in FALLBACKS:
        found = {
            letter for letter in lacking if family in installed and _drawable(letter, (family,))
        }
        if found:
            chosen.append(family)
            lacking -= found
    if lacking:
        shown = "".join(sorted(lacking)[:20])
        warnings.warn(
            f'no installed font has "{shown}": drawn as {MISSING}, kept in the text alternative;'
            f" install a font that has them, for Chinese, Japanese or Korean: {FALLBACKS[0]}",
            UserWarning,
            stacklevel=4,
        )
    return tuple(chosen), {ord(letter): MISSING for letter in lacking}


@lru_cache(maxsize=8192)
def _drawable(letter: str, families: tuple[str, ...]) -> bool:
    paths = (fontManager.findfont(_properties((family,), False)) for family in families)
    return any(get_font(path).get_char_index(ord(letter)) != 0 for path in paths)
