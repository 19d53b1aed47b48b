"""Plots of studies as points: events in two arms, influence, effects against a moderator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.plot.forest_page.notes import nonbreaking, sentences
from kapmeta.plot.panel.frames import Frame, Key, axis_of
from kapmeta.plot.panel.framing import framed
from kapmeta.plot.panel.labelling import LinePoints, PointNames
from kapmeta.plot.panel.marks import (
    DOT,
    GREYS,
    band,
    dots,
    drawable_effects,
    frame_of,
    line,
    measure_words,
)
from kapmeta.plot.style import Theme, theme_named
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, estimate_text, pooled_sentence
from kapmeta.results.regressions import MetaRegression
from kapmeta.results.shared.columns import read_column

__all__ = ["baujat", "bubble", "labbe"]

SMALLEST_DISC, LARGEST_DISC = 0.5, 2.2  # diameters in ems
LABBE_COUNTS = ("events_t", "n_t", "events_c", "n_c")


@checking.checked
def labbe(
    result: Effects | Pooled,
    *,
    ax: Axes | None = None,
    names: bool = True,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw the L'Abbé plot: each trial's risk under treatment against that under control [1]_.

    Shows at which control risks the effect was seen, which no forest plot shows. Discs have areas
    as the numbers of participants; the dashed line is the pooled effect at every control risk.
    Trials without an estimate are hollow. Not for effects that were reported without counts.

    Parameters
    ----------
    result : Effects or Pooled
        Effects computed from counts; a pooled RR, OR or RD adds its line.
    ax : Axes, optional
        Where to draw.
    names : bool
        Whether trials are named.
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
        Both axes in percent.

    Raises
    ------
    ValueError
        If no trial has counts.

    References
    ----------
    .. [1] L'Abbé KA, Detsky AS, O'Rourke K. Meta-analysis in clinical research. Ann Intern Med
       1987;107:224-233. https://doi.org/10.7326/0003-4819-107-2-224

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.plot.scatters import labbe
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [12, 9], "n_t": [40, 35],
    ...                        "events_c": [5, 6], "n_c": [41, 33]})
    >>> ax = labbe(km.risk_ratio(trials))
    >>> ax.get_xlim() == ax.get_ylim()
    True
    """
    look, effects = theme_named(theme), drawable_effects(result, "labbe")
    if not set(LABBE_COUNTS) <= set(effects.table.columns):
        raise ValueError(
            "labbe needs the counts events_t, n_t, events_c and n_c; these effects have none"
        )
    pooled = result if isinstance(result, Pooled) and result.k > 1 else None
    x, y, sizes = _labbe_risks(effects)
    top = _labbe_top(x, y)
    sides, curve = _diameters(sizes), _pooled_curve(pooled, top) if pooled else None
    frame = _labbe_frame(effects, x, y, pooled, curve is not None, look)
    if names:
        lines: list[LinePoints] = [([0, top], [0, top]), *([curve] if curve else [])]
        frame = replace(frame, names=PointNames(x, y, sides, effects.labels, lines))
    panel = framed(frame.with_text(title, notes), look, ax, width)
    line(panel, [0, top], [0, top], look.quiet, order=1)
    if curve:
        line(panel, *curve, look.diamond, (0, (4, 2.5)))
    counted = np.isfinite(sizes)
    for which, fill, edge in (
        (counted & effects.present, look.square, look.interval),
        (counted & ~effects.present, "none", look.quiet),
    ):
        dots(panel, x[which], y[which], sides[which], fill, edge)
    return panel.ax


def _labbe_risks(effects: Effects) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute percent with the event under control and treatment, and sizes; nan without counts."""
    counts = (effects.table[name].to_numpy(dtype=float) for name in LABBE_COUNTS)
    events_t, n_t, events_c, n_c = counts
    counted = np.isfinite(events_t + n_t + events_c + n_c)
    if not counted.any():
        raise ValueError("labbe needs trials with counts; there is none")
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100 * events_c / n_c, 100 * events_t / n_t, np.where(counted, n_t + n_c, np.nan)


def _labbe_top(x: FloatArray, y: FloatArray) -> float:
    """Find the end of both axes: the next ten percent, with room for a disc there."""
    most = 10 * np.ceil(max(np.nanmax(x), np.nanmax(y)) / 10)
    return min(100.0, float(most + (2.5 if max(x.max(), y.max()) < 97 else 0)))


def _labbe_frame(
    effects: Effects, x: FloatArray, y: FloatArray, pooled: Pooled | None, curve: bool, look: Theme
) -> Frame:
    top = _labbe_top(x, y)
    ends = (-0.03 * top, 1.03 * top)
    keys = [Key("-", look.quiet, "Equal risks")]
    if pooled and curve:
        keys.append(Key("--", look.diamond, f"Pooled {nonbreaking(estimate_text(pooled))}"))
    if (np.isfinite(x + y) & ~effects.present).any():
        keys.append(Key("o", look.paper, "Not pooled", edge=look.quiet))
    event = effects.event.capitalize()
    return Frame(
        x=axis_of([0, top], ends=ends),
        y=axis_of([0, top], ends=ends),
        x_label=f"{event} with {effects.control} (%)",
        y_label=f"{event} with {effects.treatment} (%)",
        name=f"L'Abbé plot: {effects.event}",
        alt=_labbe_alt(effects, x, y, pooled),
        keys=tuple(keys),
        ratio=1.0,
    )


def _diameters(sizes: FloatArray) -> FloatArray:
    """Find diameters in ems with areas as `sizes`."""
    with np.errstate(invalid="ignore"):
        sides = np.maximum(LARGEST_DISC * np.sqrt(sizes / np.nanmax(sizes)), SMALLEST_DISC)
    return np.nan_to_num(sides, nan=SMALLEST_DISC)


def _pooled_curve(pooled: Pooled, top: float) -> tuple[FloatArray, FloatArray] | None:
    """Compute the risk under treatment at each control risk; None where the measure gives none."""
    risk = np.linspace(0, 1, 101)
    if pooled.measure == "RR":
        treated = risk * np.exp(pooled.estimate)
    elif pooled.measure in ("OR", "PETO"):
        odds = np.exp(pooled.estimate)
        treated = odds * risk / (1 - risk + odds * risk)
    elif pooled.measure == "RD":
        treated = risk + pooled.estimate
    else:
        return None
    inside = (100 * risk <= top) & (100 * treated <= 1.0001 * top) & (treated >= 0)
    return 100 * risk[inside], 100 * treated[inside]


def _labbe_alt(effects: Effects, x: FloatArray, y: FloatArray, pooled: Pooled | None) -> str:
    each = [
        f"{label} {b:.0f} % against {a:.0f} %"
        for label, a, b in zip(effects.labels, x, y, strict=True)
        if np.isfinite(a + b)
    ]
    head = (
        f"L'Abbé plot of {effects.event}, {effects.treatment} against {effects.control}:"
        f" {'; '.join(each)}."
    )
    return f"{head} {pooled_sentence(pooled)}" if pooled else head


@checking.checked
def baujat(
    result: Any,
    *,
    ax: Axes | None = None,
    names: bool = True,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw a Baujat plot: each study's share in heterogeneity against its influence [1]_.

    Studies at the upper right make both the heterogeneity and the result. Not to decide which study
    to leave out: it shows where to look.

    Parameters
    ----------
    result : DataFrame or result with to_frame()
        What `kapmeta.baujat` returned, or columns study, contribution (to Q) and influence.
    ax, names, theme, title, notes, width
        As in `labbe`.

    Returns
    -------
    Axes
        x is the contribution, y the influence.

    Raises
    ------
    ValueError
        If a column is missing.

    References
    ----------
    .. [1] Baujat B, Mahé C, Pignon JP, Hill C. A graphical method for exploring heterogeneity in
       meta-analyses: application to a meta-analysis of 65 trials. Stat Med 2002;21:2641-2652.
       https://doi.org/10.1002/sim.1221

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.scatters import baujat
    >>> frame = pd.DataFrame({"study": ["A", "B"], "contribution": [0.65, 3.1],
    ...                       "influence": [0.003, 0.4]})
    >>> baujat(frame).get_xlabel()
    ''
    """
    look, frame = theme_named(theme), frame_of(result, ("contribution", "influence"), "baujat")
    frame = frame_of(frame.rename(columns={"left_out": "study"}), ("study",), "baujat")
    x, y = (frame[name].to_numpy(dtype=float) for name in ("contribution", "influence"))
    labels = [str(label) for label in frame["study"]]
    known = np.isfinite(x + y)
    if not known.any():
        raise ValueError("baujat needs a study with a contribution and an influence; there is none")
    away = np.where(known, x / max(np.nanmax(x), 1e-300) + y / max(np.nanmax(y), 1e-300), -1)
    first = np.argsort(tied_ranks(-away), kind="stable")
    k = int(known.sum())
    most = [labels[i] for i in first[: min(3, k)]]
    surroundings = Frame(
        x=axis_of(x[known], null=0.0),
        y=axis_of(y[known], null=0.0),
        x_label="Contribution to heterogeneity",
        y_label="Influence on the pooled estimate",
        name="Baujat plot",
        alt=(
            f"Baujat plot of {wording.studies(k)}. Most to heterogeneity and to the result:"
            f" {wording.joined(most)}."
        ),
    )
    if names:
        ordered = PointNames(x[first], y[first], np.full(x.size, DOT), [labels[i] for i in first])
        surroundings = replace(surroundings, names=ordered)
    panel = framed(surroundings.with_text(title, notes), look, ax, width)
    dots(panel, x[known], y[known], np.full(k, DOT), look.square, look.interval)
    return panel.ax


@checking.checked
def bubble(
    result: MetaRegression,
    *,
    moderator: str | None = None,
    at: Mapping[str, Any] | None = None,
    prediction: str = "t",
    names: bool = False,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw the bubble plot of a meta-regression: effects against a moderator, with the line.

    Discs have areas as the weights. The darker band is the confidence interval of the mean effect,
    the lighter one the prediction interval for a new study. Not for moderators that are words:
    those are subgroups.

    Parameters
    ----------
    result : MetaRegression
        What `kapmeta.meta_regression` returned.
    moderator : str, optional
        Which variable goes along the axis; may be left out if there is one.
    at : mapping, optional
        Values of the other variables, at which the line is drawn.
    prediction : str
        Prediction interval, as in `MetaRegression.predict`; ``"none"`` for no band.
    names : bool
        Whether studies are named.
    ax, theme, title, notes, width
        As in `labbe`.

    Returns
    -------
    Axes
        x is the moderator, y the effect on the scale shown.

    Raises
    ------
    ValueError
        If the moderator is not known or not a number, or a value of another one is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.plot.scatters import bubble
    >>> trials = pd.DataFrame({"study": list("ABCDE"), "months": [1, 3, 6, 12, 24],
    ...                        "events_t": [12, 9, 20, 8, 15], "n_t": [40, 35, 61, 30, 44],
    ...                        "events_c": [5, 6, 11, 7, 6], "n_c": [41, 33, 60, 31, 45]})
    >>> ax = bubble(km.meta_regression(km.risk_ratio(trials), "months"))
    >>> ax.get_yscale()
    'log'
    """
    if not isinstance(result, MetaRegression):
        raise TypeError(f"result: bubble draws a MetaRegression, got {type(result).__name__}")
    look, effects = theme_named(theme), result.effects
    name, others = _moderator(result, moderator, at or {})
    x = _numbers_along(result, name)
    shown, sides = effects.scale.shown(result.y), _diameters(1 / (result.v + result.tau2))
    fit = _fitted_line(result, name, others, x, prediction)
    frame = _bubble_frame(result, name, others, x, fit, look)
    if names:
        lines = fit.lines(effects.scale.null)
        frame = replace(frame, names=PointNames(x, shown, sides, result.labels, lines))
    panel = framed(frame.with_text(title, notes), look, ax, width)
    if fit.predicts:
        band(panel, fit.x, fit.far, fit.near, GREYS[1], 0.1)
    band(panel, fit.x, fit.low, fit.high, GREYS[3], 0.2)
    if effects.scale.null is not None:
        line(panel, fit.x[[0, -1]], [effects.scale.null] * 2, look.quiet, (0, (1.5, 2)), 1)
    line(panel, fit.x, fit.estimate, look.diamond)
    dots(panel, x, shown, sides, look.square, look.interval)
    return panel.ax


class _FittedLine(NamedTuple):
    """The fitted line over the moderator, its confidence interval and the prediction interval."""

    x: FloatArray
    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    far: FloatArray
    near: FloatArray

    @property
    def predicts(self) -> bool:
        return bool(np.isfinite(self.far).any())

    def lines(self, null: float | None) -> list[LinePoints]:
        """List the lines that names keep off."""
        no_effect: list[LinePoints] = [] if null is None else [(self.x[[0, -1]], [null, null])]
        return [(self.x, self.estimate), *no_effect]


def _fitted_line(
    result: MetaRegression, name: str, others: Mapping[str, Any], x: FloatArray, prediction: str
) -> _FittedLine:
    pad = 0.04 * (x.max() - x.min()) or 0.5
    grid = np.linspace(x.min() - pad, x.max() + pad, 81)
    settings = {name: grid, **{key: [value] * grid.size for key, value in others.items()}}
    fitted = result.predict(settings, prediction=prediction)
    columns = ("estimate", "low", "high", "prediction_low", "prediction_high")
    return _FittedLine(grid, *(fitted[column].to_numpy() for column in columns))


def _bubble_frame(
    result: MetaRegression,
    name: str,
    others: Mapping[str, Any],
    x: FloatArray,
    fit: _FittedLine,
    look: Theme,
) -> Frame:
    effects, level = result.effects, wording.percent(result.method.level)
    scale = effects.scale
    values = [*scale.shown(result.y), *fit.estimate]
    held = ", ".join(f"{key} = {value}" for key, value in others.items())
    keys = [
        Key("-", look.diamond, "Meta-regression"),
        Key("patch", GREYS[3], f"{level} CI of the mean", edge=look.quiet),
        Key("patch", GREYS[1], f"{level} prediction interval", edge=look.quiet),
    ]
    return Frame(
        x=axis_of(x, ends=(float(fit.x[0]), float(fit.x[-1]))),
        y=axis_of(values, low=fit.low, high=fit.high, log=scale.ratio, null=scale.null),
        x_label=name.replace("_", " ").capitalize(),
        y_label=measure_words(effects),
        name=f"Bubble plot: {scale.name} of {effects.event} by {name}",
        alt=f"Bubble plot. {result.alt_text()}",
        notes=(*([nonbreaking(f"Line at {held}.")] if held else []), *sentences(result.notes)),
        keys=tuple(keys if fit.predicts else keys[:2]),
    )


def _moderator(
    result: MetaRegression, name: str | None, at: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Choose the variable along the axis, and the values of the others."""
    variables = [v for v in result.design.variables if v in result.effects.table]
    if name is None:
        free = [v for v in variables if v not in at]
        if len(free) != 1:
            raise ValueError(f"moderator must be one of: {', '.join(variables)}")
        name = free[0]
    if name not in variables:
        raise ValueError(
            f'moderator = "{name}" is not in the regression; use one of: {", ".join(variables)}'
        )
    unused = [v for v in at if v == name or v not in variables]
    if unused:
        raise ValueError(
            f'at has "{unused[0]}", which is not a moderator beside {name}; it may have:'
            f" {', '.join(v for v in variables if v != name) or 'nothing'}"
        )
    others = {v: at[v] for v in variables if v != name and v in at}
    lacking = [v for v in variables if v != name and v not in at]
    if lacking:
        raise ValueError(
            f'at needs a value of "{lacking[0]}", at which the line over {name} is drawn'
        )
    return name, others


def _numbers_along(result: MetaRegression, name: str) -> FloatArray:
    """Read the values of a moderator; refuse words, which have no places along an axis."""
    column = result.effects.table[name].iloc[result.positions]
    values = read_column(column, name, result.labels).numbers
    if values is None:
        raise ValueError(
            f"moderator {name} holds words, not numbers; draw it as subgroups with forest"
        )
    return values
