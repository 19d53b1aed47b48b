"""Drawing a page that is already set: text, squares, intervals, diamonds, arrows, discs, axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.font_manager import FontProperties
from matplotlib.markers import CARETLEFT, CARETRIGHT
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.forest_page.columns import Row
from kapmeta.plot.forest_page.pages import Page
from kapmeta.plot.forest_page.placing import PlacedRow
from kapmeta.plot.forest_page.surrounds import TICK_LENGTH, TICK_PAD
from kapmeta.plot.panel.axis import rounded
from kapmeta.plot.style import RISK, Theme, light

__all__ = ["draw", "vertical_lines"]

# in ems: half the height of a diamond, thickness of a prediction interval
DIAMOND, BAR = 0.48, 0.40
# in ems: side of the largest square, of the smallest, of one without a weight
SQUARE, LEAST_SQUARE, PLAIN_SQUARE = 1.15, 0.30, 0.60
REFERENCE_DASHES = ((0, (1.5, 2)), (0, (5, 3)))


class _Canvas(NamedTuple):
    """A page, the Axes that covers its panel, and the size of the page's points in points."""

    page: Page
    ax: Axes
    theme: Theme
    scale: float

    @property
    def em(self) -> float:
        """The type size on the figure, in points."""
        return self.page.sheet.em * self.scale


class _Intervals(NamedTuple):
    """Estimates and limits along the axis (0 to 1) and the height at which each is drawn."""

    point: FloatArray
    low: FloatArray
    high: FloatArray
    middle: FloatArray


def draw(page: Page, ax: Axes, theme: Theme, scale: float = 1.0) -> None:
    """Draw `page` on `ax`, which covers the panel; `scale` is the size of its points in points."""
    canvas = _Canvas(page, ax, theme, scale)
    _draw_axis(canvas)
    _draw_background(canvas)
    _draw_texts(canvas)
    _draw_studies(canvas)
    _draw_summaries(canvas)
    _draw_discs(canvas)


def _draw_axis(canvas: _Canvas) -> None:
    page, ax, theme, scale = canvas
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
    ax.tick_params(
        axis="x",
        which="major",
        bottom=True,
        top=False,
        labelbottom=True,
        labeltop=False,
        direction="out",
        length=TICK_LENGTH * canvas.em,
        pad=TICK_PAD * canvas.em,
        width=0.8 * scale,
        labelsize=canvas.em,
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
    """Convert a place on the page, from the left, to a fraction of the panel."""
    return rounded((x - page.sheet.panel_x) / page.sheet.panel)


def _draw_background(canvas: _Canvas) -> None:
    """Draw the stripes behind every other row and the rule above the panel."""
    page, ax, theme, scale = canvas
    left, right = _fraction(page, page.sheet.left), _fraction(page, page.sheet.right)
    across: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "clip_on": False}
    if theme.stripe:
        single = [row for row in page.rows if row[0].kind in ("study", "excluded", "analysis")]
        boxes = [_box(left, right, middle, height / 2) for _, middle, height in single[::2]]
        stripes = PolyCollection(
            boxes, facecolors=theme.stripe, edgecolors="none", zorder=0.1, **across
        )
        ax.add_collection(stripes, autolim=False)
    rule = LineCollection(
        [[(left, 0.0), (right, 0.0)]], colors=theme.text, linewidths=0.8 * scale, zorder=1, **across
    )
    ax.add_collection(rule, autolim=False)


def _box(left: float, right: float, middle: float, half: float) -> list[tuple[float, float]]:
    top, bottom = middle - half, middle + half
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _draw_texts(canvas: _Canvas) -> None:
    page, ax, theme, _ = canvas
    across = ax.get_yaxis_transform()
    colours = {"text": theme.text, "quiet": theme.quiet, "paper": theme.paper}
    families = list(page.sheet.font.families)
    fonts = {
        bold: FontProperties(family=families, size=canvas.em, weight="bold" if bold else "normal")
        for bold in (False, True)
    }
    for text in page.texts:
        ax.add_artist(  # in half the time of ax.text, which sets each font anew
            Text(
                _fraction(page, text.x),
                rounded(text.y),
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
    """Draw the line of no effect, and broken lines from pooled estimates to their diamonds."""
    lines: list[tuple[float | None, float, str, Any]] = [(null, page.panel_height, theme.text, "-")]
    for row, dashes in zip(references, REFERENCE_DASHES, strict=False):
        end = next((middle for other, middle, _ in page.rows if other is row), page.panel_height)
        lines.append((row.number("estimate"), end, theme.quiet, dashes))
    free = _free_stretches(page)
    for x, end, colour, dashes in lines:
        if x is not None and page.axis.low <= x <= page.axis.high:
            at = rounded(x)
            pieces = LineCollection(
                [[(at, max(0.0, y0)), (at, min(end, y1))] for y0, y1 in free if y0 < end],
                colors=colour,
                linewidths=0.8 * scale,
                linestyles=[dashes],
                zorder=1.5,
            )
            ax.add_collection(pieces, autolim=False)


def _free_stretches(page: Page) -> list[tuple[float, float]]:
    """Find the stretches of the panel's height that hold no text."""
    taken = [
        (y - tall / 2, y + tall / 2)
        for row, y, tall in page.rows
        if row.kind == "excluded" and not row.shown
    ]
    starts = [0.0, *(end for _, end in taken)]
    ends = [*(start for start, _ in taken), page.panel_height]
    least = page.sheet.em * 0.4
    return [(a, b) for a, b in zip(starts, ends, strict=True) if b - a > least]


def _interval_places(page: Page, rows: Sequence[PlacedRow], prefix: str = "") -> _Intervals:
    """Find the places of the estimates and limits of rows along the axis."""
    names = [prefix + name for name in ("estimate", "low", "high")]
    numbers = [[row.number(name) for row, _, _ in rows] for name in names]
    point, low, high = page.axis.place(numbers)
    return _Intervals(point, low, high, np.array([y for _, y, _ in rows]))


def _draw_studies(canvas: _Canvas) -> None:
    """Draw squares and intervals of studies, hollow and grey if they are shown but not pooled."""
    page, theme = canvas.page, canvas.theme
    studies = [row for row in page.rows if row[0].kind in ("study", "analysis")]
    if studies:
        places = _interval_places(page, studies)
        sides = page.sheet.em * _square_sides([row for row, _, _ in studies], page.heaviest)
        _draw_squares(canvas, places, sides, theme.interval, (theme.square, theme.square))
        _draw_inner_lines(canvas, places, sides)
    _draw_shrunken(
        canvas, [row for row in studies if not math.isnan(row[0].number("shrunken_estimate"))]
    )
    others = [row for row in page.rows if row[0].kind == "excluded" and row[0].shown]
    if others:
        sides = np.full(len(others), 0.55 * page.sheet.em)
        colours = (theme.paper, theme.quiet)
        _draw_squares(canvas, _interval_places(page, others), sides, theme.quiet, colours)


def _draw_shrunken(canvas: _Canvas, rows: Sequence[PlacedRow]) -> None:
    """Draw open diamonds with thin intervals below the squares."""
    if not rows:
        return
    page, ax, theme, scale = canvas
    lowered = [(row, rounded(y + 0.56 * page.sheet.em), tall) for row, y, tall in rows]
    places = _interval_places(page, lowered, "shrunken_")
    _draw_lines(canvas, places, theme.prediction, 0.9 * scale, 3.2)
    seen = (places.point >= 0) & (places.point <= 1)
    ax.plot(
        page.axis.at(places.point[seen]),
        places.middle[seen],
        ls="none",
        marker="D",
        ms=0.36 * page.sheet.em * scale,
        mfc=theme.paper,
        mec=theme.prediction,
        mew=0.9 * scale,
        zorder=4.2,
    )


def _draw_squares(
    canvas: _Canvas, places: _Intervals, sides: FloatArray, line: str, colours: tuple[str, str]
) -> None:
    """Draw squares, in colours of fill and edge, with their intervals and arrows."""
    page, ax, _, scale = canvas
    fill, edge = colours
    seen = (places.point >= 0) & (places.point <= 1)
    ax.scatter(
        page.axis.at(places.point[seen]),
        places.middle[seen],
        s=(scale * sides[seen]) ** 2,
        marker="s",
        facecolors=fill,
        edgecolors=edge,
        linewidths=0.0 if fill == edge else 0.8 * scale,
        zorder=3 if fill == edge else 4,
    )
    _draw_lines(canvas, places, line, 1.1 * scale, 3.5)
    _draw_arrows(canvas, places, line, 0.62)


def _draw_inner_lines(canvas: _Canvas, places: _Intervals, sides: FloatArray) -> None:
    """Draw intervals that lie within their squares again, in a light colour that can be seen."""
    point, low, high, middle = places
    half = sides / 2 / canvas.page.sheet.panel
    beyond = 1.5 / canvas.page.sheet.panel  # what sticks out by less is not seen
    # an estimate with an infinite limit is off the axis and has no square
    with np.errstate(invalid="ignore"):
        hidden = (point - low < half + beyond) & (high - point < half + beyond)
    low, high = np.maximum(low, point - half), np.minimum(high, point + half)
    within = _Intervals(*(x[hidden] for x in (point, low, high, middle)))
    _draw_lines(canvas, within, canvas.theme.inside, 1.1 * canvas.scale, 4.0)


def _square_sides(rows: Sequence[Row], most: float) -> FloatArray:
    """Find sides in ems with areas as the weights; a study without a weight gets `PLAIN_SQUARE`."""
    share = np.array([row.number("weight_0") for row in rows])
    with np.errstate(invalid="ignore", divide="ignore"):
        sides = np.maximum(SQUARE * np.sqrt(share / most), LEAST_SQUARE)
    return np.asarray(np.where(np.isfinite(sides), sides, PLAIN_SQUARE))


def _draw_lines(
    canvas: _Canvas, places: _Intervals, colour: str, width: float, order: float
) -> None:
    low, high = np.clip(places.low, 0, 1), np.clip(places.high, 0, 1)
    ends = canvas.page.axis.at(np.stack([low, high], axis=-1)[low < high])
    heights = places.middle[low < high]
    lines = [[(x, h) for x in pair] for pair, h in zip(ends, heights, strict=True)]
    canvas.ax.add_collection(
        LineCollection(lines, colors=colour, linewidths=width, zorder=order, capstyle="butt"),
        autolim=False,
    )


def _draw_arrows(canvas: _Canvas, places: _Intervals, colour: str, size: float) -> None:
    """Draw heads of `size` ems with their tips on the axis end beyond which an interval goes on."""
    axis = canvas.page.axis
    for off, end, marker in (
        (places.low < 0, axis.low, CARETLEFT),
        (places.high > 1, axis.high, CARETRIGHT),
    ):
        if off.any():
            canvas.ax.plot(
                np.full(off.sum(), end),
                places.middle[off],
                ls="none",
                marker=marker,
                ms=size * canvas.page.sheet.em * canvas.scale,
                mec="none",
                mfc=colour,
                clip_on=False,
                zorder=4.5,
            )


def _draw_summaries(canvas: _Canvas) -> None:
    """Draw diamonds of pooled estimates, and bars or densities of prediction."""
    page, ax, theme, scale = canvas
    pooled = [row for row in page.rows if row[0].kind == "pooled"]
    if pooled:
        shapes = [
            _diamond(page, place, DIAMOND * page.sheet.em)
            for place in zip(*_interval_places(page, pooled), strict=True)
        ]
        diamonds = PolyCollection(
            [shape for shape in shapes if shape],
            facecolors=theme.diamond,
            edgecolors="none",
            zorder=3,
        )
        ax.add_collection(diamonds, False)
    predictions = [row for row in page.rows if row[0].kind == "prediction"]
    bars = [row for row in predictions if "density" not in row[0].values]
    for row, y, tall in predictions:
        if "density" in row.values:
            _draw_density(canvas, row, y + 0.42 * tall, 0.86 * tall)
    if bars:
        places = _interval_places(page, bars)
        _draw_lines(canvas, places, theme.prediction, BAR * page.sheet.em * scale, 3.0)
        _draw_arrows(canvas, places, theme.prediction, 0.8)


def _draw_density(canvas: _Canvas, row: Row, base: float, tall: float) -> None:
    """Draw the density of the effect in a new study, darker within the prediction interval."""
    page, ax, theme, _ = canvas
    values, height = row.values["density"]
    place = page.axis.place(values)
    ends = page.axis.place([row.number("low"), row.number("high")])
    for low, high, colour in ((0.0, 1.0, light(theme.prediction)), (*ends, theme.prediction)):
        x = np.clip(np.linspace(max(low, 0.0, place[0]), min(high, 1.0, place[-1]), 121), 0, 1)
        y = base - tall * np.interp(x, place, height)
        across = page.axis.at([x[0], *x, x[-1]])
        shape = [(float(a), rounded(b)) for a, b in zip(across, [base, *y, base], strict=True)]
        ax.add_collection(
            PolyCollection([shape], facecolors=colour, edgecolors="none", zorder=2.6), False
        )


def _diamond(
    page: Page, place: tuple[float, float, float, float], half: float
) -> list[tuple[float, float]]:
    """Find the corners of a diamond, with arrows where it leaves the axis; none without limits."""
    point, low, high, y = map(float, place)
    if math.isnan(point) or math.isnan(low) or math.isnan(high):
        return []
    em = page.sheet.em / page.sheet.panel
    if 0 <= point <= 1:
        left = [(point - x, h) for x, h in _half_diamond(point, point - low, half, em)]
        right = [(point + x, h) for x, h in _half_diamond(1 - point, high - point, half, em)]
        outline = [*left[::-1], (point, half), *right]
    elif point > 1:
        outline = _diamond_beyond(point, low, half, em)
    else:
        outline = [(1 - x, h) for x, h in _diamond_beyond(1 - point, 1 - high, half, em)][::-1]
    across = [float(x) for x in page.axis.at([x for x, _ in outline])]
    upper = [(x, rounded(y - h)) for x, (_, h) in zip(across, outline, strict=True)]
    lower = [(x, rounded(y + h)) for x, (_, h) in zip(across, outline, strict=True)]
    return upper + lower[::-1]


def _diamond_beyond(point: float, low: float, half: float, em: float) -> list[tuple[float, float]]:
    """Find the corners of a diamond whose middle lies beyond the high end of the axis.

    What is on the axis is its lower side, which grows in height towards the middle, and ends in an
    arrow; one that is off the axis altogether is that arrow alone.
    """

    def height(x: float) -> float:
        rising = 1.0 if math.isinf(low) else (x - low) / (point - low)
        return half * min(max(rising, 0.0), 1.0)

    neck = max(1 - 0.7 * em, low)
    if low >= 1:  # nothing of the interval is on the axis
        return [(1 - 0.7 * em, half), (1.0, 0.0)]
    first = [(low, 0.0)]
    if low < 0:
        first = [(0.0, 0.0), (0.7 * em, 1.5 * height(0.7 * em) + 0.1 * half)]
        first.append((0.7 * em, height(0.7 * em)))
    return [*first, (neck, height(neck)), (neck, 1.5 * height(neck) + 0.1 * half), (1.0, 0.0)]


def _half_diamond(room: float, length: float, half: float, em: float) -> list[tuple[float, float]]:
    """Find the corners of one side: distance from the middle outwards, and half height at each."""
    if length <= room:
        return [(length, 0.0)]
    neck = max(room - 0.7 * em, 0.0)
    height = half * (1.0 if math.isinf(length) else 1 - neck / length)
    return [(neck, height), (neck, 1.5 * height + 0.1 * half), (room, 0.0)]


def _draw_discs(canvas: _Canvas) -> None:
    """Draw the discs behind the signs of risk of bias."""
    page, ax, theme, scale = canvas
    for judgement, (_, colour) in RISK.items():
        places = [(x, y) for word, x, y in page.cells if word == judgement]
        if places:
            ax.plot(
                [_fraction(page, x) for x, _ in places],
                [rounded(y) for _, y in places],
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
