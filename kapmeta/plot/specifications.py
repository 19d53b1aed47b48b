"""Results over many choices: the specification curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.markers import CARETDOWN, CARETUP

from kapmeta import wording
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.measures import Measure, exclusion_sentence, side_of
from kapmeta.plot.panel.frames import Frame, Key, axis_of, fixed_axis, texts_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import columns_of, line, ten
from kapmeta.plot.style import Theme, theme_named

__all__ = ["multiverse"]

ROW, GROUP = 1.45, 0.5  # ems
NUMBERS = frozenset(
    {
        "estimate",
        "low",
        "high",
        "y",
        "se",
        "y_low",
        "y_high",
        "p_value",
        "tau2",
        "q",
        "k",
        "analysis",
        "status",
        "i2",
    }
)
WORDS = {"ci": "interval", "tau2": "τ²", "zero": "zero cells"}
"""Choices of `kapmeta.multiverse` whose columns have short names."""


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
    """Specification curve: the result of every defensible analysis, sorted, over the choices that
    made it [1]_.

    Each column is one analysis: above, its estimate and interval; below, a mark for each choice it
    made. Shows whether the finding hangs on a choice, and on which. Not a test: the analyses are of
    the same data.

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
    .. [1] Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav
       2020;4:1208-1214. https://doi.org/10.1038/s41562-020-0912-z

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.specifications import multiverse
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
    whole = len(frame)
    frame = frame.dropna(subset=["estimate"]).sort_values(
        "estimate", kind="stable", ignore_index=True, key=tied_ranks
    )
    if frame.empty:
        raise ValueError("multiverse needs an analysis with an estimate; there is none")
    named = list(choices) if choices is not None else _choice_columns(frame)
    unknown = [name for name in named if name not in frame]
    if unknown:
        raise ValueError(
            f'choices has "{unknown[0]}"; the columns are: {", ".join(map(str, frame.columns))}'
        )
    rows, below = _choice_rows(frame, named)
    excludes = _excludes(frame, null)
    told = [] if null is None else [exclusion_sentence(excludes, null, " analyses")]
    if whole > len(frame):
        told.append(f"Not drawn, without an answer: {whole - len(frame)}.")
    panel = framed(
        Frame(
            x=fixed_axis(-0.8, len(frame) - 0.2),
            y=axis_of(frame["estimate"], low=frame["low"], high=frame["high"], log=log, null=null),
            x_label="",
            y_label=(f"{scale.name.capitalize()}" if scale else "Estimate")
            + (" (log\u00a0scale)" if log else ""),
            name="Specification curve",
            alt=_curve_alt(frame, named, told),
            title=title,
            notes=(*told, *texts_of(notes)),
            keys=(
                (
                    Key("o", look.diamond, f"Interval excludes {null:g}"),
                    Key("o", look.paper, f"Interval includes {null:g}", edge=look.quiet),
                )
                if null is not None
                else ()
            ),
            height=16.0,
            below=below,
            below_rows=tuple((at, text, bold) for at, text, bold, _ in rows),
            x_axis=False,
        ),
        look,
        ax,
        width,
    )
    _curve(panel, frame, excludes, null)
    _choice_marks(panel, frame, rows, excludes)
    return panel.ax


def _choice_columns(frame: pd.DataFrame) -> list[str]:
    words = [
        str(c)
        for c in frame.columns
        if c not in NUMBERS and not pd.api.types.is_float_dtype(frame[c])
    ]
    return [name for name in words if 1 < frame[name].nunique(dropna=False) <= 24]


def _choice_rows(
    frame: pd.DataFrame, named: Sequence[str]
) -> tuple[list[tuple[float, str, bool, tuple[str, object]]], float]:
    """A head for each choice and a row for each of its words, with the distance below the panel in ems."""
    rows: list[tuple[float, str, bool, tuple[str, object]]] = []
    at = 0.8
    for name in named:
        at += ROW / 2 + GROUP
        rows.append((at, _head(name), True, (name, None)))
        for value in dict.fromkeys(frame[name]):
            at += ROW
            rows.append((at, " ".join(str(value).split()), False, (name, value)))
        at += ROW / 2
    return rows, at + 0.3


def _words(name: str) -> str:
    """A choice as a reader would call it."""
    return WORDS.get(name, name.replace("_", " "))


def _head(name: str) -> str:
    """The words of a choice as a heading; a Greek letter stays small."""
    words = _words(name)
    return words.capitalize() if words.isascii() else words


def _excludes(frame: pd.DataFrame, null: float | None) -> Any:
    if null is None:
        return np.ones(len(frame), dtype=bool)
    return side_of(frame["low"], frame["high"], null) != 0


def _curve_alt(frame: pd.DataFrame, named: Sequence[str], told: Sequence[str]) -> str:
    span = [
        wording.number(x)
        for x in (frame["estimate"].min(), frame["estimate"].max(), frame["estimate"].median())
    ]
    over = f" over the choices {wording.joined(map(_words, named))}" if named else ""
    text = (
        f"Specification curve of {len(frame)} analyses{over}: estimates {span[0]} to {span[1]},"
        f" median {span[2]}."
    )
    return " ".join([text, *told])


def _curve(panel: Panel, frame: pd.DataFrame, excludes: Any, null: float | None) -> None:
    x = np.arange(len(frame))
    low = np.clip(frame["low"].to_numpy(dtype=float), panel.y.low, panel.y.high)
    high = np.clip(frame["high"].to_numpy(dtype=float), panel.y.low, panel.y.high)
    room = panel.width / len(frame)
    theme, known = panel.theme, np.isfinite(low + high)
    segments = [
        [(float(i), a), (float(i), b)]
        for i, a, b in zip(x[known], ten(low[known]), ten(high[known]), strict=True)
    ]
    colours = [theme.interval if yes else theme.quiet for yes in excludes[known]]
    widest = min(1.3, max(0.35, 0.4 * room)) * panel.scale
    panel.ax.add_collection(
        LineCollection(segments, colors=colours, linewidths=widest, zorder=2), False
    )
    side = min(0.6 * panel.font.points, max(1.6, 0.75 * room)) * panel.scale
    panel.ax.scatter(
        x,
        ten(frame["estimate"]),
        s=side**2,
        facecolors=[theme.diamond if y else theme.paper for y in excludes],
        edgecolors=[theme.diamond if y else theme.quiet for y in excludes],
        linewidths=0.7 * panel.scale,
        zorder=3,
    )
    for end, beyond, mark in (
        (panel.y.low, (frame["low"] < panel.y.low).to_numpy(), CARETDOWN),
        (panel.y.high, (frame["high"] > panel.y.high).to_numpy(), CARETUP),
    ):
        if beyond.any():
            panel.ax.plot(
                x[beyond],
                np.full(int(beyond.sum()), end),
                ls="none",
                marker=mark,
                color=theme.interval,
                ms=max(2.0, side),
                mec="none",
                clip_on=False,
                zorder=3,
            )
    if null is not None:
        line(panel, [panel.x.low, panel.x.high], [null, null], theme.text, order=1)


def _choice_marks(
    panel: Panel,
    frame: pd.DataFrame,
    rows: Sequence[tuple[float, str, bool, tuple[str, object]]],
    excludes: Any,
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
            boxes.append(
                [
                    (i - wide, y - high),
                    (i + wide, y - high),
                    (i + wide, y + high),
                    (i - wide, y + high),
                ]
            )
            colours.append(theme.interval if excludes[i] else theme.quiet)
    panel.ax.add_collection(
        PolyCollection(
            [[(_round(a), _round(b)) for a, b in box] for box in boxes],
            facecolors=colours,
            edgecolors="none",
            transform=across,
            clip_on=False,
            zorder=3,
        ),
        False,
    )


def _round(x: float) -> float:
    return float(f"{x:.10g}")
