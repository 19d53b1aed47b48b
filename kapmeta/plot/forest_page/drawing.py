"""Drawing a page that is already set: text, squares, intervals, diamonds, arrows, cells, axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.font_manager import FontProperties
from matplotlib.markers import CARETLEFT, CARETRIGHT
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.forest_page.columns import Row
from kapmeta.plot.forest_page.pages import Page, PlacedRow
from kapmeta.plot.forest_page.surrounds import TICK_LENGTH, TICK_PAD
from kapmeta.plot.style import RISK, Theme, light

__all__ = ["draw"]

# in ems
DIAMOND, BAR = 0.48, 0.40  # half height of a diamond, thickness of a prediction interval
SQUARE, LEAST_SQUARE, PLAIN_SQUARE = (
    1.15,
    0.30,
    0.60,
)  # largest and smallest side, side without a weight
REFERENCE_DASHES = ((0, (1.5, 2)), (0, (5, 3)))


def draw(page: Page, ax: Axes, theme: Theme, scale: float = 1.0) -> None:
    """Draw `page` on `ax`, which already covers the panel; `scale` is the size of its points in points."""
    _axis(page, ax, theme, scale)
    _background(page, ax, theme, scale)
    _texts(page, ax, theme, scale)
    _studies(page, ax, theme, scale)
    _summaries(page, ax, theme, scale)
    _cells(page, ax, theme, scale)


def _axis(page: Page, ax: Axes, theme: Theme, scale: float) -> None:
    if page.axis.log:
        ax.set_xscale("log")
    ax.set_xlim(page.axis.low, page.axis.high)
    ax.set_ylim(page.panel_height, 0)
    ax.xaxis.set_major_locator(FixedLocator(list(page.axis.ticks)))
    ax.xaxis.set_major_formatter(FixedFormatter(list(page.axis.labels)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_visible(False)
    ax.grid(False)
    em = page.sheet.em * scale
    ax.tick_params(
        axis="x",
        which="major",
        bottom=True,
        top=False,
        labelbottom=True,
        labeltop=False,
        direction="out",
        length=TICK_LENGTH * em,
        pad=TICK_PAD * em,
        width=0.8 * scale,
        labelsize=em,
        labelfontfamily=list(page.sheet.font.families),
        labelcolor=theme.text,
        color=theme.text,
        rotation=0,
    )
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
    ax.spines["bottom"].set(color=theme.text, linewidth=0.8 * scale)
    ax.patch.set_visible(False)


def _fraction(page: Page, x: float) -> float:
    """A place on the page, from the left, as a fraction of the panel."""
    return _ten((x - page.sheet.panel_x) / page.sheet.panel)


def _ten(x: float) -> float:
    return float(f"{x:.10g}")


def _background(page: Page, ax: Axes, theme: Theme, scale: float) -> None:
    across = ax.get_yaxis_transform()
    ends = [_fraction(page, page.sheet.left), _fraction(page, page.sheet.right)]
    if theme.stripe:
        striped = [row for row in page.rows if row[0].kind in ("study", "excluded", "analysis")][
            ::2
        ]
        stripes = PolyCollection(
            [_box(ends, middle, height / 2) for _, middle, height in striped],
            facecolors=theme.stripe,
            edgecolors="none",
            transform=across,
            clip_on=False,
            zorder=0.1,
        )
        ax.add_collection(stripes, autolim=False)
    rules = [[(x, 0.0) for x in ends]]
    ax.add_collection(
        LineCollection(
            rules,
            colors=theme.text,
            linewidths=0.8 * scale,
            transform=across,
            clip_on=False,
            zorder=1,
        ),
        autolim=False,
    )


def _box(ends: Sequence[float], middle: float, half: float) -> list[tuple[float, float]]:
    left, right = ends
    return [
        (left, middle - half),
        (right, middle - half),
        (right, middle + half),
        (left, middle + half),
    ]


def _texts(page: Page, ax: Axes, theme: Theme, scale: float) -> None:
    across = ax.get_yaxis_transform()
    colours = {"text": theme.text, "quiet": theme.quiet, "paper": theme.paper}
    size, families = page.sheet.em * scale, list(page.sheet.font.families)
    fonts = {
        bold: FontProperties(family=families, size=size, weight="bold" if bold else "normal")
        for bold in (0, 1)
    }
    for text in page.texts:
        ax.add_artist(  # in half the time of ax.text, which sets each font anew
            Text(
                _fraction(page, text.x),
                _ten(text.y),
                text.text,
                transform=across,
                ha=text.align,
                va="baseline",
                fontproperties=fonts[text.bold],
                color=colours[text.colour],
                parse_math=False,
                clip_on=False,
                zorder=5,
            )
        )


def vertical_lines(
    page: Page, null: float | None, references: Sequence[Row], ax: Axes, theme: Theme, scale: float
) -> None:
    """The line of no effect, solid, and each pooled estimate, dotted or dashed down to its own diamond."""
    lines: list[tuple[float | None, float, str, Any]] = [(null, page.panel_height, theme.text, "-")]
    for row, dashes in zip(references, REFERENCE_DASHES, strict=False):
        end = next((middle for other, middle, _ in page.rows if other is row), page.panel_height)
        lines.append((row.number("estimate"), end, theme.quiet, dashes))
    for x, end, colour, dashes in lines:
        if x is not None and page.axis.low <= x <= page.axis.high:
            pieces = [
                [(_ten(x), max(0.0, y0)), (_ten(x), min(end, y1))]
                for y0, y1 in _free(page)
                if y0 < end
            ]
            ax.add_collection(
                LineCollection(
                    pieces, colors=colour, linewidths=0.8 * scale, linestyles=[dashes], zorder=1.5
                ),
                autolim=False,
            )


def _free(page: Page) -> list[tuple[float, float]]:
    """Stretches of the panel's height that hold no text."""
    taken = [
        (y - tall / 2, y + tall / 2)
        for row, y, tall in page.rows
        if row.kind == "excluded" and not row.shown
    ]
    starts = [0.0, *(end for _, end in taken)]
    ends = [*(start for start, _ in taken), page.panel_height]
    return [
        (start, end)
        for start, end in zip(starts, ends, strict=True)
        if end - start > page.sheet.em * 0.4
    ]


def _places(page: Page, rows: Sequence[PlacedRow]) -> FloatArray:
    """Estimate, lower and upper limit of each row along the axis, shape (3, rows)."""
    return page.axis.place(
        [[row.number(name) for row, _, _ in rows] for name in ("estimate", "low", "high")]
    )


def _studies(page: Page, ax: Axes, theme: Theme, scale: float) -> None:
    """Squares and intervals of studies, hollow and grey for those that are shown but not pooled."""
    studies = [row for row in page.rows if row[0].kind in ("study", "analysis")]
    sides = page.sheet.em * _square_sides([row for row, _, _ in studies], page.heaviest)
    _squares(page, ax, studies, sides, theme.interval, theme.square, theme.square, scale)
    _light_lines(page, ax, studies, sides, theme.inside, scale)
    _shrunken(
        page,
        ax,
        [row for row in studies if not math.isnan(row[0].number("shrunken_estimate"))],
        theme,
        scale,
    )
    others = [row for row in page.rows if row[0].kind == "excluded" and row[0].shown]
    _squares(
        page,
        ax,
        others,
        np.full(len(others), 0.55 * page.sheet.em),
        theme.quiet,
        theme.paper,
        theme.quiet,
        scale,
    )


def _shrunken(page: Page, ax: Axes, rows: Sequence[PlacedRow], theme: Theme, scale: float) -> None:
    """Open diamonds with thin intervals below the squares."""
    if not rows:
        return
    names = ("shrunken_estimate", "shrunken_low", "shrunken_high")
    point, low, high = page.axis.place([[row.number(name) for row, _, _ in rows] for name in names])
    middle = np.array([_ten(y + 0.56 * page.sheet.em) for _, y, _ in rows])
    _lines(page, ax, low, high, middle, theme.prediction, 0.9 * scale, 3.2)
    seen = (point >= 0) & (point <= 1)
    ax.plot(
        page.axis.at(point[seen]),
        middle[seen],
        ls="none",
        marker="D",
        ms=0.36 * page.sheet.em * scale,
        mfc=theme.paper,
        mec=theme.prediction,
        mew=0.9 * scale,
        zorder=4.2,
    )


def _squares(
    page: Page,
    ax: Axes,
    rows: Sequence[PlacedRow],
    sides: FloatArray,
    line: str,
    fill: str,
    edge: str,
    scale: float,
) -> None:
    if not rows:
        return
    middle = np.array([y for _, y, _ in rows])
    point, low, high = _places(page, rows)
    seen = (point >= 0) & (point <= 1)
    ax.scatter(
        page.axis.at(point[seen]),
        middle[seen],
        s=(scale * sides[seen]) ** 2,
        marker="s",
        facecolors=fill,
        edgecolors=edge,
        linewidths=0.0 if fill == edge else 0.8 * scale,
        zorder=3 if fill == edge else 4,
    )
    _lines(page, ax, low, high, middle, line, 1.1 * scale, 3.5)
    _arrows(page, ax, low, high, middle, line, 0.62 * page.sheet.em * scale)


def _light_lines(
    page: Page, ax: Axes, rows: Sequence[PlacedRow], sides: FloatArray, colour: str, scale: float
) -> None:
    """Intervals that lie within their squares, drawn again in a light colour so that they are seen."""
    if rows:
        point, low, high = _places(page, rows)
        half = sides / 2 / page.sheet.panel
        beyond = 1.5 / page.sheet.panel  # what sticks out by less is not seen
        with np.errstate(
            invalid="ignore"
        ):  # an estimate without a bound is off the axis and has no square
            hidden = (point - low < half + beyond) & (high - point < half + beyond)
        low, high = np.maximum(low, point - half), np.minimum(high, point + half)
        middle = np.array([y for _, y, _ in rows])
        _lines(page, ax, low[hidden], high[hidden], middle[hidden], colour, 1.1 * scale, 4.0)


def _square_sides(rows: Sequence[Row], most: float) -> FloatArray:
    """Sides in ems with areas as the weights, the largest 1.15; a middling side for a study without a weight."""
    share = np.array([row.number("weight_0") for row in rows])
    with np.errstate(invalid="ignore", divide="ignore"):
        sides = np.maximum(SQUARE * np.sqrt(share / most), LEAST_SQUARE)
    return np.asarray(np.where(np.isfinite(sides), sides, PLAIN_SQUARE))


def _lines(
    page: Page,
    ax: Axes,
    low: FloatArray,
    high: FloatArray,
    y: FloatArray,
    colour: str,
    width: float,
    order: float,
) -> None:
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    ends = page.axis.at(np.stack([low, high], axis=-1)[low < high])
    drawn = [[(x, h) for x in pair] for pair, h in zip(ends, y[low < high], strict=True)]
    ax.add_collection(
        LineCollection(drawn, colors=colour, linewidths=width, zorder=order, capstyle="butt"),
        autolim=False,
    )


def _arrows(
    page: Page, ax: Axes, low: FloatArray, high: FloatArray, y: FloatArray, colour: str, size: float
) -> None:
    """Heads with their tips on the end of the axis, where an interval goes on beyond it."""
    for off, end, marker in (
        (low < 0, page.axis.low, CARETLEFT),
        (high > 1, page.axis.high, CARETRIGHT),
    ):
        if off.any():
            ax.plot(
                np.full(off.sum(), end),
                y[off],
                ls="none",
                marker=marker,
                ms=size,
                mec="none",
                mfc=colour,
                clip_on=False,
                zorder=4.5,
            )


def _summaries(page: Page, ax: Axes, theme: Theme, scale: float) -> None:
    """Diamonds of pooled estimates and bars of prediction intervals."""
    em = page.sheet.em
    pooled = [row for row in page.rows if row[0].kind == "pooled"]
    if pooled:
        places, middle = _places(page, pooled), np.array([y for _, y, _ in pooled])
        shapes = [
            _diamond(page, place, y, DIAMOND * em)
            for place, y in zip(places.T, middle, strict=True)
        ]
        shapes = [shape for shape in shapes if shape]
        ax.add_collection(
            PolyCollection(shapes, facecolors=theme.diamond, edgecolors="none", zorder=3), False
        )
    for row, y, tall in page.rows:
        if "density" in row.values:
            _density(page, ax, row, y + 0.42 * tall, 0.86 * tall, theme)
    bars = [
        row for row in page.rows if row[0].kind == "prediction" and "density" not in row[0].values
    ]
    if bars:
        _, low, high = _places(page, bars)
        middle = np.array([y for _, y, _ in bars])
        _lines(page, ax, low, high, middle, theme.prediction, BAR * em * scale, 3.0)
        _arrows(page, ax, low, high, middle, theme.prediction, 0.8 * em * scale)


def _density(page: Page, ax: Axes, row: Row, base: float, tall: float, theme: Theme) -> None:
    """The density of the effect in a new study, darker within the prediction interval."""
    values, height = row.values["density"]
    place = page.axis.place(values)
    ends = page.axis.place([row.number("low"), row.number("high")])
    for low, high, colour in ((0.0, 1.0, light(theme.prediction)), (*ends, theme.prediction)):
        x = np.clip(np.linspace(max(low, 0.0, place[0]), min(high, 1.0, place[-1]), 121), 0, 1)
        y = base - tall * np.interp(x, place, height)
        outline = [(x[0], base), *zip(x, y, strict=True), (x[-1], base)]
        across = page.axis.at([a for a, _ in outline])
        shape = [(float(a), _ten(b)) for a, (_, b) in zip(across, outline, strict=True)]
        ax.add_collection(
            PolyCollection([shape], facecolors=colour, edgecolors="none", zorder=2.6), False
        )


def _diamond(page: Page, place: FloatArray, y: float, half: float) -> list[tuple[float, float]]:
    """Corners of a diamond, with an arrow where it leaves the axis; none if the estimate is off the axis."""
    point, low, high = (float(x) for x in place)
    if not 0 <= point <= 1 or math.isnan(low) or math.isnan(high):
        return []
    em = page.sheet.em / page.sheet.panel
    left = [(point - x, h) for x, h in _half_diamond(point, point - low, half, em)]
    right = [(point + x, h) for x, h in _half_diamond(1 - point, high - point, half, em)]
    outline = [*left[::-1], (point, half), *right]
    across = page.axis.at([x for x, _ in outline])
    upper = [(float(x), _ten(y - h)) for x, (_, h) in zip(across, outline, strict=True)]
    lower = [(float(x), _ten(y + h)) for x, (_, h) in zip(across, outline, strict=True)]
    return upper + lower[::-1]


def _half_diamond(room: float, length: float, half: float, em: float) -> list[tuple[float, float]]:
    """One side from the middle outwards: distance from the middle and half height at each corner."""
    if length <= room:
        return [(length, 0.0)]
    neck = max(room - 0.7 * em, 0.0)
    height = half * (1.0 if math.isinf(length) else 1 - neck / length)
    return [(neck, height), (neck, 1.5 * height + 0.1 * half), (room, 0.0)]


def _cells(page: Page, ax: Axes, theme: Theme, scale: float) -> None:
    """Discs behind the signs of risk of bias."""
    for judgement, (_, colour) in RISK.items():
        places = [(x, y) for word, x, y in page.cells if word == judgement]
        if places:
            ax.plot(
                [_fraction(page, x) for x, _ in places],
                [_ten(y) for _, y in places],
                transform=ax.get_yaxis_transform(),
                ls="none",
                marker="o",
                ms=1.3 * page.sheet.em * scale,
                mfc=colour,
                mec=theme.quiet,
                mew=0.6 * scale,
                clip_on=False,
                zorder=4,
            )
