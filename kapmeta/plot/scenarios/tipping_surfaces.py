"""The tipping surface: results over two assumptions about what was not observed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.measures import MEASURES, Measure, side_of
from kapmeta.plot.panel.axis import EffectAxis, Fits, effect_axis, label_of, ten_digits
from kapmeta.plot.panel.frames import AxisMaker, Frame, Key, axis_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import frame_of
from kapmeta.plot.panel.typesetting import text_width
from kapmeta.plot.style import Theme, theme_named

__all__ = ["tipping"]

LONGEST_TICK = 5  # letters
COUNT_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # between the counts labelled


@checking.checked
def tipping(
    result: Any,
    *,
    x: str | None = None,
    y: str | None = None,
    null: float | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw a tipping surface: for which pairs of assumptions the conclusion holds.

    Each cell is one analysis. Dark cells have an interval above no effect, hatched ones an interval
    below, and white ones an interval that includes it (dotted: there is none). The estimate is
    in the cell where there is room, else lines join cells of the same estimate. Shows how far
    assumptions must go to tip the result, not how likely that is.

    Parameters
    ----------
    result : DataFrame or result with to_frame()
        What `kapmeta.tipping_point` returned, or columns estimate, low, high on the scale shown and
        the two assumptions as numbers, one row per pair. Values that grow by a constant factor get
        a logarithmic axis.
    x, y : str, optional
        The columns of the assumptions; by default the first two columns.
    null : float, optional
        Value of no effect; from the result's measure where it has one, else 1.
    ax, theme, title, notes, width
        As in `kapmeta.plot.multiverse`.

    Returns
    -------
    Axes
        Both assumptions in their own units.

    Raises
    ------
    ValueError
        If a column is missing or both assumptions have one value.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.scenarios.tipping_surfaces import tipping
    >>> frame = pd.DataFrame({"treated": [0.1, 0.1, 0.3, 0.3], "controls": [0.1, 0.3, 0.1, 0.3],
    ...                       "estimate": [1.5, 1.2, 1.9, 1.6], "low": [1.0, 0.8, 1.2, 1.05],
    ...                       "high": [2.2, 1.8, 3.0, 2.5]})
    >>> ax = tipping(frame)
    >>> [text.get_text() for text in ax.texts if text.get_text() == "1.90"]
    ['1.90']
    """
    look, frame = theme_named(theme), frame_of(result, ("estimate", "low", "high"), "tipping")
    scale: Measure = getattr(result, "scale", MEASURES["RR"])
    null = null if null is not None else (1.0 if scale.null is None else scale.null)
    names = [name if name is not None else str(frame.columns[n]) for n, name in enumerate((x, y))]
    for argument, name in zip("xy", names, strict=True):
        frame_of(frame, (name,), f"{argument} of tipping")
    across, up = (_Assumption.of(name, result, frame[name]) for name in names)
    if max(across.values.size, up.values.size) < 2:
        raise ValueError(f"tipping needs two values or more of {names[0]} or of {names[1]}")
    low, high = frame["low"].to_numpy(dtype=float), frame["high"].to_numpy(dtype=float)
    side = side_of(low, high, null)
    kinds = np.select([side > 0, side < 0, np.isnan(low + high)], [0, 1, 3], 2)
    surroundings = _surface_frame(result, look, across, up, kinds, null)
    panel = framed(surroundings.with_text(title, notes), look, ax, width)
    _draw_cells(panel, across, up, kinds)
    if _numbers_fit(panel, across, up, frame["estimate"]):
        _write_estimates(panel, across, up, frame["estimate"], kinds)
    else:
        _draw_estimate_lines(panel, across, up, frame["estimate"])
    return panel.ax


def _cell_styles(look: Theme) -> tuple[tuple[str, str], ...]:
    """List colour and hatch of an interval above, below or including the null, and of none."""
    return ((look.square, ""), (look.prediction, "///"), (look.paper, ""), (look.paper, "..."))


@dataclass(frozen=True)
class _Assumption:
    """One axis of the surface: its label, values, ends of cells, and each analysis's value.

    `at` counts the cell of each analysis along the axis.
    """

    label: str
    values: FloatArray
    edges: FloatArray
    log: bool
    of_analyses: FloatArray
    at: IntArray

    @classmethod
    def of(cls, name: str, result: Any, column: pd.Series[float]) -> _Assumption:
        """Read an axis from a column of the result."""
        chosen: FloatArray = np.asarray(column, dtype=np.float64)
        values: FloatArray = np.unique(chosen)
        log = _geometric(values)
        at = np.searchsorted(values, chosen)
        return cls(_axis_words(name, result), values, _edges(values, log), log, chosen, at)


def _surface_frame(
    result: Any, look: Theme, across: _Assumption, up: _Assumption, kinds: Any, null: float
) -> Frame:
    words = (
        f"Interval above {null:g}",
        f"Interval below {null:g}",
        f"Interval includes {null:g}",
        "No interval",
    )
    counts = [int((kinds == n).sum()) for n in range(4)]
    entries = zip(words, _cell_styles(look), counts, strict=True)
    keys = [
        Key("patch", colour, word, edge=look.text, hatch=hatch)
        for word, (colour, hatch), count in entries
        if count
    ]
    each = " ".join(f"{word}: {count}." for word, count in zip(words, counts, strict=True) if count)
    own = result.alt_text() if hasattr(result, "alt_text") else ""
    head = f"Tipping surface over {across.label} and {up.label}, {len(kinds)} analyses."
    numbers = result.scale.name if hasattr(result, "scale") else "estimates"
    return Frame(
        x=_axis_maker(across),
        y=_axis_maker(up),
        x_label=across.label,
        y_label=up.label,
        name="Tipping surface",
        alt=f"{head} {each} {own}".strip(),
        notes=(f"Numbers: {numbers}.",),
        keys=tuple(keys),
        ratio=0.8,
    )


AXIS_WORDS = {
    "imor": "Odds of the event among the missing over those among the observed",
    "events": "Events among the missing",
}
"""What the columns of a tipping surface mean; `_t` and `_c` at their end say in which arm."""


def _axis_words(name: str, result: Any) -> str:
    stem, _, arm = name.rpartition("_")
    base = getattr(result, "base", None)
    if base is None or stem not in AXIS_WORDS or arm not in ("t", "c"):
        return wording.capital(name).replace("_", " ")
    return f"{AXIS_WORDS[stem]}, {base.effects.treatment if arm == 't' else base.effects.control}"


def _geometric(levels: FloatArray) -> bool:
    """Check whether values grow by a constant factor."""
    if len(levels) < 3 or not levels[0] > 0:
        return False
    steps = np.diff(np.log(levels))
    return bool(np.allclose(steps, steps[0], rtol=1e-6, atol=0))


def _edges(levels: FloatArray, log: bool) -> FloatArray:
    """Find the ends of cells about their values."""
    if len(levels) == 1:
        return ten_digits([levels[0] - 0.5, levels[0] + 0.5])
    at = np.log(levels) if log else levels
    middle = (at[1:] + at[:-1]) / 2
    ends = np.array([at[0] - (middle[0] - at[0]), *middle, at[-1] + (at[-1] - middle[-1])])
    return ten_digits(np.exp(ends) if log else ends)


def _axis_maker(assumption: _Assumption) -> AxisMaker:
    """Make an axis over the cells.

    A tick at each value tried if they are short and have room; of counts, whole numbers.
    """
    values, log = assumption.values, assumption.log
    ends = (float(assumption.edges[0]), float(assumption.edges[-1]))
    series = [list(map(float, values))]
    if not log and bool((values == np.floor(values)).all()):
        whole = range(int(values[0]), int(values[-1]) + 1)
        series += [list(map(float, whole[::step])) for step in COUNT_STEPS]

    def make(fits: Fits) -> EffectAxis:
        for ticks in series:
            labels = list(map(label_of, ticks))
            axis = EffectAxis(*ends, tuple(ticks), tuple(labels), log)
            if max(map(len, labels)) <= LONGEST_TICK and fits(list(axis.place(ticks)), labels):
                return axis
        return axis_of(values, log=log, ends=ends)(fits)

    return make


def _draw_cells(panel: Panel, across: _Assumption, up: _Assumption, kinds: Any) -> None:
    """Fill each cell with the colour and hatch of its interval."""
    x, y = across.edges, up.edges
    for n, (colour, hatch) in enumerate(_cell_styles(panel.theme)):
        boxes = [
            [(x[i], y[j]), (x[i + 1], y[j]), (x[i + 1], y[j + 1]), (x[i], y[j + 1])]
            for i, j in zip(across.at[kinds == n], up.at[kinds == n], strict=True)
        ]
        if boxes:
            cells = PolyCollection(
                boxes,
                facecolors=colour,
                edgecolors=panel.theme.text,
                hatch=hatch or None,
                linewidths=(0.3 if len(kinds) <= 400 else 0.0) * panel.scale,
                zorder=1,
            )
            panel.ax.add_collection(cells, False)


def _numbers_fit(
    panel: Panel, across: _Assumption, up: _Assumption, estimates: Iterable[float]
) -> bool:
    """Check whether the widest number has room in the smallest cell."""
    em = panel.font.points
    wide = float(np.diff(panel.x.place(across.edges)).min() * panel.width)
    high = float(np.diff(panel.y.place(up.edges)).min() * panel.height)
    widest = max(text_width(wording.number(value), panel.font) for value in estimates)
    return wide > widest + 0.6 * em and high > 1.4 * em


def _write_estimates(
    panel: Panel, across: _Assumption, up: _Assumption, estimates: Iterable[float], kinds: Any
) -> None:
    """Write each estimate in its cell, on a backing where the cell is hatched."""
    places = panel.places(across.of_analyses, up.of_analyses)
    for (x, y), value, kind in zip(places, estimates, kinds, strict=True):
        colour, hatch = _cell_styles(panel.theme)[kind]
        panel.write(
            float(x),
            float(y) - 0.36 * panel.font.points,
            wording.number(value),
            "center",
            colour="#ffffff" if kind == 0 else "",
            backing=colour if hatch else "",
        )


def _draw_estimate_lines(
    panel: Panel, across: _Assumption, up: _Assumption, estimates: pd.Series[float]
) -> None:
    """Draw lines of equal estimates with their values, where cells are too small for numbers."""
    grid = np.full((len(up.values), len(across.values)), np.nan)
    grid[up.at, across.at] = estimates.to_numpy(dtype=float)
    known = grid[np.isfinite(grid)]
    if min(grid.shape) < 2 or not known.size or known.min() == known.max():
        return
    values = effect_axis(
        known, known, known, None, log=bool(known.min() > 0), fits=lambda at, _: len(at) < 8
    ).ticks
    drawn = panel.ax.contour(
        across.values,
        up.values,
        grid,
        levels=[v for v in values if known.min() < v < known.max()],
        colors=panel.theme.text,
        linewidths=0.8 * panel.scale,
        zorder=2,
    )
    taken: list[FloatArray] = []
    for value, path in zip(drawn.levels, drawn.get_paths(), strict=True):
        vertices = np.asarray(path.vertices)
        corners = panel.places(vertices[:, 0], vertices[:, 1])
        _write_on_line(panel, wording.number(value), corners, taken)


def _write_on_line(panel: Panel, text: str, corners: FloatArray, taken: list[FloatArray]) -> None:
    """Write a value on its line, near the middle of the panel; keep its place in `taken`."""
    em, wide = panel.font.points, text_width(text, panel.font)
    middle = np.array([panel.width, panel.height]) / 2
    x, y = abs(corners - middle).T
    room = (x < panel.width / 2 - wide / 2 - 0.4 * em) & (y < panel.height / 2 - em)
    free = [c for c in corners[room] if all(np.hypot(*(c - p)) > wide + 1.5 * em for p in taken)]
    if free:
        place = min(free, key=lambda c: float(np.hypot(*(c - middle))))
        taken.append(place)
        paper = panel.theme.paper
        panel.write(float(place[0]), float(place[1]) - 0.36 * em, text, "center", backing=paper)
