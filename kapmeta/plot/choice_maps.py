"""Results over many choices: the specification curve and the tipping surface."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from kapmeta import wording
from kapmeta.plot.framing import Frame, Key, Panel, axis_of, fixed_axis, framed, texts_of
from kapmeta.plot.marks import columns_of, line, ten
from kapmeta.plot.style import Theme, theme_named
from kapmeta.plot.typesetting import text_width
from kapmeta.scales import MEASURES, Measure

__all__ = ["multiverse", "tipping"]

ROW, GROUP = 1.45, 0.5  # ems
NUMBERS = frozenset(
    {"estimate", "low", "high", "y", "se", "y_low", "y_high", "p_value", "tau2", "q", "k", "analysis", "status", "i2"}
)


def multiverse(
    result: Any,
    *,
    choices: Sequence[str] | None = None,
    null: float | None = None,
    log: bool | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Specification curve: the result of every defensible analysis, sorted, over the choices that made it [1]_.

    Each column is one analysis: above, its estimate and interval; below, a mark for each choice it made. Shows
    whether the finding hangs on a choice, and on which. Not a test: the analyses are of the same data.

    Parameters
    ----------
    result : DataFrame or result with to_frame()
        Columns estimate, low, high on the scale shown, and one column a choice.
    choices : sequence of str, optional
        Columns that hold choices; by default all that hold words and differ between analyses.
    null : float, optional
        Value of no effect; taken from the result's measure where it has one.
    log : bool, optional
        Whether the axis is logarithmic; taken from the result's measure where it has one.
    ax : Axes, optional
        Where to draw.
    theme : str or Theme
        A word of `kapmeta.plot.style.THEMES`.
    title : str
        Above the plot; wrapped.
    notes : iterable of str
        More lines below the plot; wrapped.
    width : float or str, optional
        Width of the figure in inches, or a word of `kapmeta.plot.style.WIDTHS`.

    Returns
    -------
    Axes
        x counts the analyses, y is the effect on the scale shown.

    Raises
    ------
    ValueError
        If a column is missing or no analysis has an estimate.

    References
    ----------
    .. [1] Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav 2020;4:1208-1214.
       https://doi.org/10.1038/s41562-020-0912-z

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.choice_maps import multiverse
    >>> frame = pd.DataFrame({"estimate": [1.9, 1.6], "low": [1.1, 0.9], "high": [3.2, 3.0],
    ...                       "model": ["common", "random"]})
    >>> ax = multiverse(frame, null=1.0, log=True)
    >>> {"common", "random"} <= {text.get_text() for text in ax.texts}
    True
    """
    look, frame = theme_named(theme), columns_of(result, ("estimate", "low", "high"), "multiverse")
    scale: Measure | None = getattr(result, "scale", None)
    null = null if null is not None or scale is None else scale.null
    log = log if log is not None else bool(scale and scale.ratio)
    frame = frame.dropna(subset=["estimate"]).sort_values("estimate", kind="stable", ignore_index=True)
    if frame.empty:
        raise ValueError("multiverse needs an analysis with an estimate; there is none")
    named = list(choices) if choices is not None else _choice_columns(frame)
    unknown = [name for name in named if name not in frame]
    if unknown:
        raise ValueError(f'choices has "{unknown[0]}"; the columns are: {", ".join(map(str, frame.columns))}')
    rows, below = _choice_rows(frame, named)
    excludes = _excludes(frame, null)
    told = (
        [] if null is None
        else [f"The interval excludes {null:g} in {int(excludes.sum())} of {len(frame)} analyses."]
    )  # fmt: skip
    panel = framed(
        Frame(
            x=fixed_axis(-0.8, len(frame) - 0.2),
            y=axis_of(frame["estimate"], low=frame["low"], high=frame["high"], log=log, null=null),
            x_label="",
            y_label=(f"{scale.name.capitalize()}" if scale else "Estimate") + (" (log\u00a0scale)" if log else ""),
            name="Specification curve",
            alt=_curve_alt(frame, named, told),
            title=title,
            notes=(*told, *texts_of(notes)),
            keys=(
                (Key("o", look.diamond, f"Interval excludes {null:g}"),
                 Key("o", look.paper, f"Interval includes {null:g}", edge=look.quiet)) if null is not None else ()
            ),
            height=16.0,
            below=below,
            below_rows=tuple((at, text, bold) for at, text, bold, _ in rows),
            x_axis=False,
        ),
        look,
        ax,
        width,
    )  # fmt: skip
    _curve(panel, frame, excludes, null)
    _choice_marks(panel, frame, rows, excludes)
    return panel.ax


def _choice_columns(frame: pd.DataFrame) -> list[str]:
    words = [str(c) for c in frame.columns if c not in NUMBERS and not pd.api.types.is_float_dtype(frame[c])]
    return [name for name in words if 1 < frame[name].nunique(dropna=False) <= 24]


def _choice_rows(
    frame: pd.DataFrame, named: Sequence[str]
) -> tuple[list[tuple[float, str, bool, tuple[str, object]]], float]:
    """A head for each choice and a row for each of its words, with the distance below the panel in ems."""
    rows: list[tuple[float, str, bool, tuple[str, object]]] = []
    at = 0.8
    for name in named:
        at += ROW / 2 + GROUP
        rows.append((at, name.replace("_", " ").capitalize(), True, (name, None)))
        for value in dict.fromkeys(frame[name]):
            at += ROW
            rows.append((at, " ".join(str(value).split()), False, (name, value)))
        at += ROW / 2
    return rows, at + 0.3


def _excludes(frame: pd.DataFrame, null: float | None) -> Any:
    if null is None:
        return np.ones(len(frame), dtype=bool)
    return ((frame["low"] > null) | (frame["high"] < null)).to_numpy()


def _curve_alt(frame: pd.DataFrame, named: Sequence[str], told: Sequence[str]) -> str:
    span = [wording.number(x) for x in (frame["estimate"].min(), frame["estimate"].max(), frame["estimate"].median())]
    over = f" over the choices {wording.joined(name.replace('_', ' ') for name in named)}" if named else ""
    text = f"Specification curve of {len(frame)} analyses{over}: estimates {span[0]} to {span[1]}, median {span[2]}."
    return " ".join([text, *told])


def _curve(panel: Panel, frame: pd.DataFrame, excludes: Any, null: float | None) -> None:
    x = np.arange(len(frame))
    low = np.clip(frame["low"].to_numpy(dtype=float), panel.y.low, panel.y.high)
    high = np.clip(frame["high"].to_numpy(dtype=float), panel.y.low, panel.y.high)
    room = panel.width / len(frame)
    theme, known = panel.theme, np.isfinite(low + high)
    segments = [
        [(float(i), a), (float(i), b)] for i, a, b in zip(x[known], ten(low[known]), ten(high[known]), strict=True)
    ]
    colours = [theme.interval if yes else theme.quiet for yes in excludes[known]]
    widest = min(1.3, max(0.35, 0.4 * room)) * panel.scale
    panel.ax.add_collection(LineCollection(segments, colors=colours, linewidths=widest, zorder=2), False)
    side = min(0.6 * panel.font.points, max(1.6, 0.75 * room)) * panel.scale
    panel.ax.scatter(
        x, ten(frame["estimate"]), s=side**2, facecolors=[theme.diamond if y else theme.paper for y in excludes],
        edgecolors=[theme.diamond if y else theme.quiet for y in excludes], linewidths=0.7 * panel.scale, zorder=3,
    )  # fmt: skip
    if null is not None:
        line(panel, [panel.x.low, panel.x.high], [null, null], theme.text, order=1)


def _choice_marks(
    panel: Panel, frame: pd.DataFrame, rows: Sequence[tuple[float, str, bool, tuple[str, object]]], excludes: Any
) -> None:
    em, theme = panel.font.points, panel.theme
    across = panel.ax.get_xaxis_transform()
    room = panel.width / len(frame)
    wide, high = min(0.75 * room, 0.9 * em) / room / 2, 0.4 * em / panel.height
    boxes, colours = [], []
    for at, _, bold, (name, value) in rows:
        y = -at * em / panel.height
        if bold:
            continue
        same = frame[name].isna() if pd.isna(value) else frame[name] == value  # type: ignore[call-overload]
        for i in np.flatnonzero(same):
            boxes.append([(i - wide, y - high), (i + wide, y - high), (i + wide, y + high), (i - wide, y + high)])
            colours.append(theme.interval if excludes[i] else theme.quiet)
    panel.ax.add_collection(
        PolyCollection(
            [[(_round(a), _round(b)) for a, b in box] for box in boxes], facecolors=colours, edgecolors="none",
            transform=across, clip_on=False, zorder=3,
        ),
        False,
    )  # fmt: skip


def _round(x: float) -> float:
    return float(f"{x:.10g}")


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

    Each cell is one analysis. Dark cells have an interval above no effect, hatched ones an interval below, and
    white ones an interval that includes it; the estimate stands in the cell where there is room. Says how far
    assumptions must go to tip the result, not how likely that is.

    Parameters
    ----------
    result : DataFrame or result with to_frame()
        Columns estimate, low, high on the scale shown, and the two assumptions as numbers, one row a pair.
    x, y : str, optional
        The columns of the assumptions; by default the first two columns.
    null : float, optional
        Value of no effect; from the result's measure where it has one, else 1.
    ax, theme, title, notes, width
        As in `multiverse`.

    Returns
    -------
    Axes
        Both assumptions in their own units.

    Raises
    ------
    ValueError
        If a column is missing or an assumption has fewer than two values.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.choice_maps import tipping
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
    if min(len(level) for level in levels) < 2:
        raise ValueError(f"tipping needs two values or more of {names[0]} and of {names[1]}")
    kinds = np.select([frame["low"] > null, frame["high"] < null], [0, 1], 2)
    words = (f"Interval above {null:g}", f"Interval below {null:g}", f"Interval includes {null:g}")
    styles = ((look.square, ""), (look.prediction, "///"), (look.paper, ""))
    counts = [int((kinds == n).sum()) for n in range(3)]
    edges = [_edges(level) for level in levels]
    panel = framed(
        Frame(
            x=axis_of(levels[0], ends=(edges[0][0], edges[0][-1])),
            y=axis_of(levels[1], ends=(edges[1][0], edges[1][-1])),
            x_label=_words(names[0]),
            y_label=_words(names[1]),
            name="Tipping surface",
            alt=f"Tipping surface over {_words(names[0])} and {_words(names[1])}, {len(frame)} analyses. "
            + " ".join(f"{word}: {count}." for word, count in zip(words, counts, strict=True)),
            title=title,
            notes=texts_of(notes),
            keys=tuple(
                Key("patch", styles[n][0], words[n], edge=look.text, hatch=styles[n][1]) for n in range(3) if counts[n]
            ),
            ratio=0.8,
        ),
        look,
        ax,
        width,
    )
    _cells(panel, frame, names, levels, edges, kinds, styles)
    return panel.ax


def _words(name: str) -> str:
    return f"{name[:1].upper()}{name[1:]}".replace("_", " ")


def _edges(levels: Any) -> Any:
    """Ends of cells about their values."""
    middle = (levels[1:] + levels[:-1]) / 2
    return ten([levels[0] - (middle[0] - levels[0]), *middle, levels[-1] + (levels[-1] - middle[-1])])


def _cells(
    panel: Panel,
    frame: pd.DataFrame,
    names: Sequence[str],
    levels: Sequence[Any],
    edges: Sequence[Any],
    kinds: Any,
    styles: Sequence[tuple[str, str]],
) -> None:
    at = [np.searchsorted(level, frame[name].to_numpy(dtype=float)) for name, level in zip(names, levels, strict=True)]
    for n, (colour, hatch) in enumerate(styles):
        boxes = [
            [(edges[0][i], edges[1][j]), (edges[0][i + 1], edges[1][j]), (edges[0][i + 1], edges[1][j + 1]),
             (edges[0][i], edges[1][j + 1])]
            for i, j in zip(at[0][kinds == n], at[1][kinds == n], strict=True)
        ]  # fmt: skip
        if boxes:
            shapes = PolyCollection(
                boxes, facecolors=colour, edgecolors=panel.theme.text, hatch=hatch or None,
                linewidths=0.3 * panel.scale, zorder=1,
            )  # fmt: skip
            shapes.set_alpha(None)
            panel.ax.add_collection(shapes, False)
    texts = [wording.number(value) for value in frame["estimate"]]
    places = panel.places(frame[names[0]], frame[names[1]])
    least = [math.inf, math.inf]
    for axis, size in ((0, panel.width), (1, panel.height)):
        span = edges[axis][-1] - edges[axis][0]
        least[axis] = float(np.diff(edges[axis]).min() / span * size)
    widest = max(text_width(text, panel.font) for text in texts)
    if least[0] > widest + 0.6 * panel.font.points and least[1] > 1.4 * panel.font.points:
        for (a, b), text, kind in zip(places, texts, kinds, strict=True):
            colour, hatch = styles[kind]
            panel.write(
                float(a), float(b) - 0.36 * panel.font.points, text, "center",
                colour="#ffffff" if kind == 0 else "", backing=colour if hatch else "",
            )  # fmt: skip
