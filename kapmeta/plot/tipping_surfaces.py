"""The tipping surface: results over two assumptions about what was not observed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from kapmeta import wording
from kapmeta.measures import MEASURES, Measure, side_of
from kapmeta.plot.panel.axis import EffectAxis, Fits, effect_axis, label_of
from kapmeta.plot.panel.frames import AxisMaker, Frame, Key, axis_of, texts_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import columns_of, ten
from kapmeta.plot.panel.typesetting import text_width
from kapmeta.plot.style import Theme, theme_named

__all__ = ["tipping"]

LONGEST_TICK = 5  # letters
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # between the counts labelled


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
    """Tipping surface: for which pairs of assumptions the conclusion holds.

    Each cell is one analysis. Dark cells have an interval above no effect, hatched ones an interval
    below, and white ones an interval that includes it (dotted: there is none). The estimate stands
    in the cell where there is room, else lines join cells of the same estimate. Says how far
    assumptions must go to tip the result, not how likely that is.

    Parameters
    ----------
    result : DataFrame or result with to_frame()
        What `kapmeta.tipping_point` returned, or columns estimate, low, high on the scale shown and
        the two assumptions as numbers, one row a pair. Values that grow by a constant factor get a
        logarithmic axis.
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
    >>> from kapmeta.plot.tipping_surfaces import tipping
    >>> frame = pd.DataFrame({"treated": [0.1, 0.1, 0.3, 0.3], "controls": [0.1, 0.3, 0.1, 0.3],
    ...                       "estimate": [1.5, 1.2, 1.9, 1.6], "low": [1.0, 0.8, 1.2, 1.05],
    ...                       "high": [2.2, 1.8, 3.0, 2.5]})
    >>> ax = tipping(frame)
    >>> [text.get_text() for text in ax.texts if text.get_text() == "1.90"]
    ['1.90']
    """
    look, frame = theme_named(theme), columns_of(result, ("estimate", "low", "high"), "tipping")
    scale: Measure = getattr(result, "scale", MEASURES["RR"])
    null = null if null is not None else (1.0 if scale.null is None else scale.null)
    names = [name if name is not None else str(frame.columns[n]) for n, name in enumerate((x, y))]
    columns_of(frame, names, "tipping")
    levels = [np.unique(frame[name].to_numpy(dtype=float)) for name in names]
    if max(len(level) for level in levels) < 2:
        raise ValueError(f"tipping needs two values or more of {names[0]} or of {names[1]}")
    low, high = frame["low"].to_numpy(dtype=float), frame["high"].to_numpy(dtype=float)
    side = side_of(low, high, null)
    kinds = np.select([side > 0, side < 0, np.isnan(low + high)], [0, 1, 3], 2)
    words = (
        f"Interval above {null:g}",
        f"Interval below {null:g}",
        f"Interval includes {null:g}",
        "No interval",
    )
    styles = ((look.square, ""), (look.prediction, "///"), (look.paper, ""), (look.paper, "..."))
    counts = [int((kinds == n).sum()) for n in range(4)]
    logs = [_geometric(level) for level in levels]
    edges = [_edges(level, log) for level, log in zip(levels, logs, strict=True)]
    labels = [_axis_words(name, result) for name in names]
    told = " ".join(f"{word}: {count}." for word, count in zip(words, counts, strict=True) if count)
    own = result.alt_text() if hasattr(result, "alt_text") else ""
    panel = framed(
        Frame(
            x=_axis(levels[0], edges[0], logs[0]),
            y=_axis(levels[1], edges[1], logs[1]),
            x_label=labels[0],
            y_label=labels[1],
            name="Tipping surface",
            alt=(
                f"Tipping surface over {labels[0]} and {labels[1]}, {len(frame)} analyses. {told}"
                f" {own}".strip()
            ),
            title=title,
            notes=(
                f"Numbers: {scale.name if hasattr(result, 'scale') else 'estimates'}.",
                *texts_of(notes),
            ),
            keys=tuple(
                Key("patch", styles[n][0], words[n], edge=look.text, hatch=styles[n][1])
                for n in range(4)
                if counts[n]
            ),
            ratio=0.8,
        ),
        look,
        ax,
        width,
    )
    _cells(panel, frame, names, levels, edges, kinds, styles)
    return panel.ax


AXIS_WORDS = {
    "imor": "Odds of the event among the missing over those among the observed",
    "events": "Events among the missing",
}
"""What the columns of a tipping surface mean; `_t` and `_c` at their end say in which arm."""


def _axis_words(name: str, result: Any) -> str:
    stem, _, arm = name.rpartition("_")
    base = getattr(result, "base", None)
    if base is None or stem not in AXIS_WORDS or arm not in ("t", "c"):
        return _words(name)
    return f"{AXIS_WORDS[stem]}, {base.effects.treatment if arm == 't' else base.effects.control}"


def _words(name: str) -> str:
    return f"{name[:1].upper()}{name[1:]}".replace("_", " ")


def _geometric(levels: Any) -> bool:
    """Whether values grow by a constant factor."""
    if len(levels) < 3 or not levels[0] > 0:
        return False
    steps = np.diff(np.log(levels))
    return bool(np.allclose(steps, steps[0], rtol=1e-6, atol=0))


def _edges(levels: Any, log: bool) -> Any:
    """Ends of cells about their values."""
    if len(levels) == 1:
        return ten([levels[0] - 0.5, levels[0] + 0.5])
    at = np.log(levels) if log else levels
    middle = (at[1:] + at[:-1]) / 2
    ends = np.array([at[0] - (middle[0] - at[0]), *middle, at[-1] + (at[-1] - middle[-1])])
    return ten(np.exp(ends) if log else ends)


def _axis(levels: Any, edges: Any, log: bool) -> AxisMaker:
    """An axis over the cells: a tick at each value tried if they are short and have room; of counts, whole numbers."""
    ends = (float(edges[0]), float(edges[-1]))
    counts = not log and bool((levels == np.floor(levels)).all())

    def make(fits: Fits) -> EffectAxis:
        for ticks in (
            list(map(float, levels)),
            *(_every(step, levels) for step in _STEPS if counts),
        ):
            labels = list(map(label_of, ticks))
            axis = EffectAxis(*ends, tuple(ticks), tuple(labels), log)
            if max(map(len, labels)) <= LONGEST_TICK and fits(list(axis.place(ticks)), labels):
                return axis
        return axis_of(levels, log=log, ends=ends)(fits)

    return make


def _every(step: int, levels: Any) -> list[float]:
    return [float(x) for x in range(int(levels[0]), int(levels[-1]) + 1, step)]


def _cells(
    panel: Panel,
    frame: pd.DataFrame,
    names: Sequence[str],
    levels: Sequence[Any],
    edges: Sequence[Any],
    kinds: Any,
    styles: Sequence[tuple[str, str]],
) -> None:
    at = [
        np.searchsorted(level, frame[name].to_numpy(dtype=float))
        for name, level in zip(names, levels, strict=True)
    ]
    for n, (colour, hatch) in enumerate(styles):
        boxes = [
            [
                (edges[0][i], edges[1][j]),
                (edges[0][i + 1], edges[1][j]),
                (edges[0][i + 1], edges[1][j + 1]),
                (edges[0][i], edges[1][j + 1]),
            ]
            for i, j in zip(at[0][kinds == n], at[1][kinds == n], strict=True)
        ]
        if boxes:
            shapes = PolyCollection(
                boxes,
                facecolors=colour,
                edgecolors=panel.theme.text,
                hatch=hatch or None,
                linewidths=(0.3 if len(frame) <= 400 else 0.0) * panel.scale,
                zorder=1,
            )
            panel.ax.add_collection(shapes, False)
    texts = [wording.number(value) for value in frame["estimate"]]
    places = panel.places(frame[names[0]], frame[names[1]])
    least = [math.inf, math.inf]
    for axis, along, size in ((0, panel.x, panel.width), (1, panel.y, panel.height)):
        least[axis] = float(np.diff(along.place(edges[axis])).min() * size)
    widest = max(text_width(text, panel.font) for text in texts)
    if least[0] <= widest + 0.6 * panel.font.points or least[1] <= 1.4 * panel.font.points:
        _lines_of_estimates(panel, frame, names, levels)
        return
    for (a, b), text, kind in zip(places, texts, kinds, strict=True):
        colour, hatch = styles[kind]
        panel.write(
            float(a),
            float(b) - 0.36 * panel.font.points,
            text,
            "center",
            colour="#ffffff" if kind == 0 else "",
            backing=colour if hatch else "",
        )


def _lines_of_estimates(
    panel: Panel, frame: pd.DataFrame, names: Sequence[str], levels: Sequence[Any]
) -> None:
    """Lines of equal estimates with their values, where cells are too small for numbers."""
    em = panel.font.points
    grid = np.full((len(levels[1]), len(levels[0])), np.nan)
    across, up = (
        np.searchsorted(level, frame[name]) for name, level in zip(names, levels, strict=True)
    )
    grid[up, across] = frame["estimate"].to_numpy(dtype=float)
    known = grid[np.isfinite(grid)]
    if min(grid.shape) < 2 or not known.size or known.min() == known.max():
        return
    values = effect_axis(
        known, known, known, None, log=bool(known.min() > 0), fits=lambda at, _: len(at) < 8
    ).ticks
    drawn = panel.ax.contour(
        levels[0],
        levels[1],
        grid,
        levels=[v for v in values if known.min() < v < known.max()],
        colors=panel.theme.text,
        linewidths=0.8 * panel.scale,
        zorder=2,
    )
    placed: list[Any] = []
    for value, path in zip(drawn.levels, drawn.get_paths(), strict=True):
        vertices = np.asarray(path.vertices)
        corners = panel.places(vertices[:, 0], vertices[:, 1])
        text = wording.number(value)
        wide = text_width(text, panel.font)
        room = (abs(corners[:, 0] - panel.width / 2) < panel.width / 2 - wide / 2 - 0.4 * em) & (
            abs(corners[:, 1] - panel.height / 2) < panel.height / 2 - em
        )
        far = [
            c for c in corners[room] if all(np.hypot(*(c - p)) > wide + 1.5 * em for p in placed)
        ]
        if far:
            place = min(
                far, key=lambda c: float(np.hypot(c[0] - panel.width / 2, c[1] - panel.height / 2))
            )
            placed.append(place)
            panel.write(
                float(place[0]),
                float(place[1]) - 0.36 * em,
                text,
                "center",
                backing=panel.theme.paper,
            )
