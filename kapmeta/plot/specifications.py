"""Results over many choices: the specification curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.markers import CARETDOWN, CARETUP

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import BoolArray
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.measures import Measure, exclusion_sentence, side_of
from kapmeta.plot.panel.axis import rounded, ten_digits
from kapmeta.plot.panel.frames import Frame, Key, axis_of, fixed_axis
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import frame_of, line
from kapmeta.plot.style import Theme, theme_named

__all__ = ["multiverse"]

CHOICE_ROW, CHOICE_GAP = 1.45, 0.5  # ems
NUMBERS = ("estimate", "low", "high", "y", "se", "y_low", "y_high", "p_value", "tau2", "q", "i2")
NOT_CHOICES = (*NUMBERS, "k", "analysis", "status")
WORDS = {"ci": "interval", "tau2": "τ²", "zero": "zero cells"}
"""Choices of `kapmeta.multiverse` whose columns have short names."""


@checking.checked
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
    """Draw a specification curve: every defensible analysis, sorted, over its choices [1]_.

    Each column is one analysis: above, its estimate and interval; below, a mark for each choice it
    made. Shows whether the finding depends on a choice, and on which. Not a test: the analyses are
    of the same data.

    Parameters
    ----------
    result : DataFrame or result with to_frame()
        Columns estimate, low, high on the scale shown, and one column per choice.
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
    look, whole = theme_named(theme), frame_of(result, ("estimate", "low", "high"), "multiverse")
    scale: Measure | None = getattr(result, "scale", None)
    null = null if null is not None or scale is None else scale.null
    log = log if log is not None else bool(scale and scale.ratio)
    frame = whole.dropna(subset=["estimate"])
    frame = frame.sort_values("estimate", kind="stable", ignore_index=True, key=tied_ranks)
    named = _choice_columns(frame, choices)
    rows, excludes = _choice_rows(frame, named), _excludes(frame, null)
    findings = (
        [] if null is None else [exclusion_sentence(excludes.astype(np.int64), null, " analyses")]
    )
    if len(whole) > len(frame):
        findings.append(f"Not drawn, without an answer: {len(whole) - len(frame)}.")
    name = scale.name.capitalize() if scale else "Estimate"
    surroundings = replace(
        _curve_frame(frame, rows, null, log, look),
        y_label=name + (" (log\u00a0scale)" if log else ""),
        alt=_curve_alt(frame, named, findings),
        notes=tuple(findings),
    )
    panel = framed(surroundings.with_text(title, notes), look, ax, width)
    _draw_intervals(panel, frame, excludes)
    _draw_estimates(panel, frame, excludes)
    if null is not None:
        line(panel, [panel.x.low, panel.x.high], [null, null], look.text, order=1)
    _draw_choices(panel, frame, rows, excludes)
    return panel.ax


class _ChoiceRow(NamedTuple):
    """A row below the curve: ems from the panel, its text, and the choice and value it marks."""

    down: float
    text: str
    heading: bool
    choice: str
    value: object = None


def _curve_frame(
    frame: pd.DataFrame, rows: Sequence[_ChoiceRow], null: float | None, log: bool, look: Theme
) -> Frame:
    low, high = frame["low"], frame["high"]
    keys: tuple[Key, ...] = ()
    if null is not None:
        keys = (
            Key("o", look.diamond, f"Interval excludes {null:g}"),
            Key("o", look.paper, f"Interval includes {null:g}", edge=look.quiet),
        )
    last = rows[-1].down + CHOICE_ROW / 2 if rows else 0.8
    return Frame(
        x=fixed_axis(-0.8, len(frame) - 0.2),
        y=axis_of(frame["estimate"], low=low, high=high, log=log, null=null),
        x_label="",
        y_label="",
        name="Specification curve",
        alt="",
        keys=keys,
        height=16.0,
        below=last + 0.3,
        below_rows=tuple((row.down, row.text, row.heading) for row in rows),
        x_axis=False,
    )


def _choice_columns(frame: pd.DataFrame, choices: Sequence[str] | None) -> list[str]:
    """Return the columns that hold choices; by default those of words that differ."""
    if frame.empty:
        raise ValueError("multiverse needs an analysis with an estimate; there is none")
    if choices is None:
        words = [
            str(c)
            for c in frame.columns
            if c not in NOT_CHOICES and not pd.api.types.is_float_dtype(frame[c])
        ]
        return [name for name in words if 1 < frame[name].nunique(dropna=False) <= 24]
    unknown = [name for name in choices if name not in frame]
    if unknown:
        raise ValueError(
            f'choices has "{unknown[0]}"; the columns are: {", ".join(map(str, frame.columns))}'
        )
    return list(choices)


def _choice_rows(frame: pd.DataFrame, named: Sequence[str]) -> list[_ChoiceRow]:
    """List a heading for each choice and a row for each of its values."""
    rows: list[_ChoiceRow] = []
    down = 0.8
    for name in named:
        down += CHOICE_ROW / 2 + CHOICE_GAP
        rows.append(_ChoiceRow(down, _choice_heading(name), True, name))
        for value in dict.fromkeys(frame[name]):
            down += CHOICE_ROW
            rows.append(_ChoiceRow(down, " ".join(str(value).split()), False, name, value))
        down += CHOICE_ROW / 2
    return rows


def _choice_words(name: str) -> str:
    """Name a choice as a reader would."""
    return WORDS.get(name, name.replace("_", " "))


def _choice_heading(name: str) -> str:
    """Name a choice for a heading; a Greek letter stays small."""
    words = _choice_words(name)
    return words.capitalize() if words.isascii() else words


def _excludes(frame: pd.DataFrame, null: float | None) -> BoolArray:
    if null is None:
        return np.ones(len(frame), dtype=bool)
    return np.asarray(side_of(frame["low"], frame["high"], null) != 0)


def _curve_alt(frame: pd.DataFrame, named: Sequence[str], findings: Sequence[str]) -> str:
    span = [
        wording.number(x)
        for x in (frame["estimate"].min(), frame["estimate"].max(), frame["estimate"].median())
    ]
    over = f" over the choices {wording.joined(map(_choice_words, named))}" if named else ""
    text = (
        f"Specification curve of {len(frame)} analyses{over}: estimates {span[0]} to {span[1]},"
        f" median {span[2]}."
    )
    return " ".join([text, *findings])


def _draw_intervals(panel: Panel, frame: pd.DataFrame, excludes: BoolArray) -> None:
    x, ends = np.arange(len(frame)), (panel.y.low, panel.y.high)
    low, high = (np.clip(frame[name].to_numpy(dtype=float), *ends) for name in ("low", "high"))
    known, theme = np.isfinite(low + high), panel.theme
    limits = zip(x[known], ten_digits(low[known]), ten_digits(high[known]), strict=True)
    lines = LineCollection(
        [[(float(i), a), (float(i), b)] for i, a, b in limits],
        colors=[theme.interval if yes else theme.quiet for yes in excludes[known]],
        linewidths=min(1.3, max(0.35, 0.4 * panel.width / len(frame))) * panel.scale,
        zorder=2,
    )
    panel.ax.add_collection(lines, False)


def _draw_estimates(panel: Panel, frame: pd.DataFrame, excludes: BoolArray) -> None:
    """Draw discs at the estimates, and arrows where an interval goes on beyond the axis."""
    x, theme, room = np.arange(len(frame)), panel.theme, panel.width / len(frame)
    side = min(0.6 * panel.font.points, max(1.6, 0.75 * room)) * panel.scale
    panel.ax.scatter(
        x,
        ten_digits(frame["estimate"]),
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


def _draw_choices(
    panel: Panel, frame: pd.DataFrame, rows: Sequence[_ChoiceRow], excludes: BoolArray
) -> None:
    """Draw a mark below each analysis for each choice it made."""
    em, theme, room = panel.font.points, panel.theme, panel.width / len(frame)
    wide, high = min(0.75 * room, 0.9 * em) / room / 2, 0.4 * em / panel.height
    boxes, colours = [], []
    for row in rows:
        if row.heading:
            continue
        column, value = frame[row.choice], row.value
        made = column.isna() if pd.isna(value) else column == value  # type: ignore[call-overload]
        y = -row.down * em / panel.height
        bottom, top = rounded(y - high), rounded(y + high)
        for i in np.flatnonzero(made):
            left, right = rounded(i - wide), rounded(i + wide)
            boxes.append([(left, bottom), (right, bottom), (right, top), (left, top)])
            colours.append(theme.interval if excludes[i] else theme.quiet)
    marks = PolyCollection(
        boxes,
        facecolors=colours,
        edgecolors="none",
        transform=panel.ax.get_xaxis_transform(),
        clip_on=False,
        zorder=3,
    )
    panel.ax.add_collection(marks, False)
