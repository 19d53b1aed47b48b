"""Plots of effects against their precision: the contour-enhanced funnel and the radial plot."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from kapmeta import wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.plot.forest_page.notes import sentences, tied
from kapmeta.plot.panel.axis import EffectAxis, Fits, effect_axis
from kapmeta.plot.panel.frames import Frame, Key, axis_of, texts_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.labelling import Names
from kapmeta.plot.panel.marks import DOT, GREYS, dots, effects_of, measure_words, ten
from kapmeta.plot.panel.typesetting import text_width
from kapmeta.plot.style import Theme, theme_named
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, estimate_text, pooled_sentence
from kapmeta.results.small_study import AdjustedEffect

__all__ = ["funnel", "radial"]

FEWEST = 10
WARNING = (
    "Fewer than 10 studies: an asymmetric funnel cannot be told from chance here, and no test of it"
    " is reliable."
)


def funnel(
    result: Effects | Pooled,
    *,
    ax: Axes | None = None,
    contours: Sequence[float] = (0.9, 0.95, 0.99),
    test: Any = None,
    adjusted: Iterable[AdjustedEffect] = (),
    names: bool = False,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Contour-enhanced funnel plot: each study's effect against its standard error.

    Shading shows where a study would be significant against no effect [1]_, so that a gap can be
    read: studies missing from the white middle speak for selection by significance, a gap in the
    shaded part for something else. Dashed lines hold 95 % of studies about the pooled estimate if
    there is no heterogeneity. Not to be read with few studies: below ten the figure says so.

    Parameters
    ----------
    result : Effects or Pooled
        Effects, or a pooled result for the line at its estimate. Rows of its table whose column
        ``filled`` is true are drawn hollow.
    ax : Axes, optional
        Where to draw.
    contours : sequence of float
        Levels of significance contours, as confidence levels; empty for none.
    test : optional
        Result of an asymmetry test; the first line of its ``summary()`` stands in the notes. The
        line of a test that regresses the effect on the standard error is drawn.
    adjusted : iterable of AdjustedEffect
        Up to four results of `kapmeta.trim_and_fill`, `kapmeta.pet_peese`,
        `kapmeta.limit_meta_analysis` or `kapmeta.selection_model`: a line at each adjusted effect,
        and the studies that trim and fill adds, hollow.
    names : bool
        Whether studies are named.
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
        x is the effect on the scale shown, y the standard error, downwards.

    Raises
    ------
    ValueError
        If no study carries an estimate, or adjusted effects are more than four or of another
        measure.

    References
    ----------
    .. [1] Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Contour-enhanced meta-analysis
       funnel plots help distinguish publication bias from other causes of asymmetry. J Clin
       Epidemiol 2008;61:991-996. https://doi.org/10.1016/j.jclinepi.2007.11.010

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.funnels import funnel
    >>> from kapmeta.results.effects import Effects
    >>> effects = Effects([0.8, 1.0], [0.17, 0.04], ("A", "B"), "RR", pd.DataFrame({"study": ["A", "B"]}))
    >>> ax = funnel(effects)
    >>> ax.get_xscale(), bool(ax.yaxis_inverted())
    ('log', True)
    """
    look, effects = theme_named(theme), effects_of(result, "funnel")
    _, se, shown = _present(effects)
    pooled = result if isinstance(result, Pooled) and result.k > 1 else None
    z = (
        [float(normal_quantile((1 + level) / 2)) for level in contours]
        if effects.scale.null is not None
        else []
    )
    deepest = 1.06 * float(se.max()) or 1.0
    extra = _adjustments(adjusted, effects)
    filled = _filled(effects)
    added_y, added_se = _added(extra)
    told = (
        []
        if test is None
        else [re.sub(r"(?<!\w)-(?=\d)", "−", str(test.summary()).splitlines()[0])]
    )
    lines = _lines(look, test, extra, deepest)
    warning = [WARNING] if effects.k < FEWEST else []
    more = (*warning, *sentences(told), *texts_of(notes))
    middle = pooled.estimate if pooled else float("nan")
    reach = float(normal_quantile(0.975)) * float(se.max())
    edges = [middle - reach, middle + reach] if pooled else []
    edges += [*added_y, *(end for line in lines for end in line.effect)]
    frame = Frame(
        x=axis_of(
            np.append(shown, effects.scale.shown(edges)),
            log=effects.scale.ratio,
            null=effects.scale.null,
        ),
        y=axis_of([0.0, deepest], ends=(0.0, deepest)),
        x_label=measure_words(effects),
        y_label="Standard error" + (" (log scale)" if effects.scale.ratio else ""),
        name=f"Funnel plot: {effects.scale.name} of {effects.event}",
        alt=_funnel_alt(effects, se, [*warning, *told, *(f"{_told(one)}." for one in extra)]),
        title=title,
        notes=tuple(map(tied, more)),
        keys=tuple(
            _funnel_keys(look, z, contours, pooled, lines, bool(filled.any()) or added_y.size > 0)
        ),
        ratio=0.82,
        down=True,
        names=_names(effects, shown, se, *_sloping(effects, middle, deepest)) if names else None,
    )
    panel = framed(frame, look, ax, width)
    _contours(panel, effects, z, deepest)
    if pooled:
        _funnel_lines(panel, effects, pooled.estimate, deepest)
    for line in lines:
        panel.ax.plot(
            ten(effects.scale.shown(line.effect)),
            ten(line.se),
            color=line.colour,
            ls=line.style,
            lw=1.3 * panel.scale,
            zorder=2.1,
        )
    hollow = (
        np.append(shown[filled], effects.scale.shown(added_y)),
        np.append(se[filled], added_se),
    )
    for (x, y), fill in (((shown[~filled], se[~filled]), look.square), (hollow, look.paper)):
        dots(panel, x, y, np.full(x.size, DOT), fill, look.interval)
    return panel.ax


class _Line(NamedTuple):
    """A line of the funnel: what it is, effects on the analysis scale at standard errors, how it is drawn."""

    name: str
    effect: FloatArray
    se: FloatArray
    style: str
    colour: str


def _adjustments(
    adjusted: Iterable[AdjustedEffect], effects: Effects
) -> tuple[AdjustedEffect, ...]:
    """Adjusted effects that can stand in this funnel."""
    if isinstance(adjusted, AdjustedEffect):
        raise TypeError("adjusted is one result; give a list of results")
    given = tuple(adjusted)
    for one in given:
        if not isinstance(one, AdjustedEffect):
            raise TypeError(
                f"adjusted holds results of trim_and_fill and its like: got {type(one).__name__}"
            )
        if one.effects.measure != effects.measure:
            raise ValueError(
                f"an adjusted {one.scale.name} has no place in a funnel of the {effects.scale.name}"
            )
    if len(given) > len(_STYLES):
        raise ValueError(f"a funnel holds up to {len(_STYLES)} adjusted effects: got {len(given)}")
    return given


def _added(adjusted: Sequence[AdjustedEffect]) -> tuple[FloatArray, FloatArray]:
    """Effects and standard errors of studies that an adjustment filled in."""
    rows = [
        one.studies.loc[one.studies["row"] == "filled", ["y", "v"]].to_numpy(dtype=np.float64)
        for one in adjusted
    ]
    y, v = np.concatenate([np.zeros((0, 2)), *rows]).T
    return y, np.sqrt(v)


def _told(one: AdjustedEffect) -> str:
    """``Trim and fill: RR 1.19 (1.08 to 1.31)``."""
    numbers = (float(one.scale.shown(x)) for x in (one.estimate, one.low, one.high))
    return (
        f"{one.name[0].upper()}{one.name[1:]}: {one.scale.short} {wording.interval_text(*numbers)}"
    )


_STYLES = (":", "-.", ":", "-.")


def _lines(
    theme: Theme, test: Any, adjusted: Sequence[AdjustedEffect], deepest: float
) -> list[_Line]:
    """Adjusted effects upright, and the line of a test that regresses the effect on the standard error."""
    se = np.array([0.0, deepest])
    colours = (theme.prediction, theme.prediction, theme.square, theme.square)
    lines = [
        _Line(_told(one), np.full(2, one.estimate), se, style, colour)
        for one, style, colour in zip(adjusted, _STYLES, colours, strict=False)
    ]
    if getattr(test, "method", "") in ("egger", "egger-mixed", "thompson"):
        lines.append(
            _Line(f"{test.name}: line", test.intercept + test.slope * se, se, "-", theme.prediction)
        )
    return lines


def _names(effects: Effects, x: FloatArray, y: FloatArray, *lines: tuple[Any, Any]) -> Names:
    labels = [label for label, yes in zip(effects.labels, effects.present, strict=True) if yes]
    return Names(x, y, np.full(len(labels), DOT), labels, lines)


def _present(effects: Effects) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Effects and standard errors on the analysis scale, and effects on the scale shown, of the studies."""
    y, se = effects.y[effects.present], effects.se[effects.present]
    return y, se, effects.scale.shown(y)


def _filled(effects: Effects) -> Any:
    if "filled" not in effects.table:
        return np.zeros(effects.k, dtype=bool)
    return effects.table["filled"].fillna(False).to_numpy(dtype=bool)[effects.present]


def _funnel_alt(effects: Effects, se: FloatArray, told: Sequence[str]) -> str:
    head = (
        f"Funnel plot of the {effects.scale.name} of {effects.event} against its standard error,"
        f" {wording.studies(effects.k)}; standard errors from {wording.number(se.min())} to"
        f" {wording.number(se.max())}."
    )
    return " ".join([head, *sentences(told)])


def _funnel_keys(
    theme: Theme,
    z: Sequence[float],
    contours: Sequence[float],
    pooled: Pooled | None,
    lines: Sequence[_Line],
    filled: bool,
) -> Iterable[Key]:
    if z:
        levels = [f"{1 - level:.3g}" for level in sorted(contours)]
        bands = [f"p > {levels[0]}", *(f"{a} > p > {b}" for a, b in pairwise(levels))]
        for text, grey in zip([*bands, f"p < {levels[-1]}"], _shades(len(z) + 1), strict=True):
            yield Key("patch", grey, tied(text), edge=theme.quiet)
    if pooled:
        yield Key("-", theme.diamond, "Pooled estimate")
        yield Key("--", theme.diamond, tied("95 % limits without heterogeneity"))
    for line in lines:
        yield Key(line.style, line.colour, tied(line.name))
    if filled:
        yield Key("o", theme.paper, "Filled in by trim and fill", edge=theme.interval)


def _shades(count: int) -> list[str]:
    return list(GREYS[:count]) if count <= 4 else [f"{x:.3f}" for x in np.linspace(1, 0.78, count)]


def _contours(panel: Panel, effects: Effects, z: Sequence[float], deepest: float) -> None:
    """Bands of significance about no effect, darker outwards."""
    if not z:
        return
    se = np.linspace(0.0, deepest, 60)
    ends = [panel.x.low, panel.x.high]
    shades = _shades(len(z) + 1)
    corners = [[(ends[0], 0.0), (ends[1], 0.0), (ends[1], deepest), (ends[0], deepest)]]
    panel.ax.add_collection(
        PolyCollection(corners, facecolors=shades[-1], edgecolors="none", zorder=0.1), False
    )
    for multiple, grey in zip(sorted(z)[::-1], shades[-2::-1], strict=True):
        left, right = effects.scale.shown(-multiple * se), effects.scale.shown(multiple * se)
        outline = [
            *zip(ten(left), ten(se), strict=True),
            *zip(ten(right)[::-1], ten(se)[::-1], strict=True),
        ]
        panel.ax.add_collection(
            PolyCollection([outline], facecolors=grey, edgecolors="none", zorder=0.2), False
        )
    null = effects.scale.null
    if null is not None:
        panel.ax.plot(
            [null, null], [0, deepest], color=panel.theme.quiet, lw=0.8 * panel.scale, zorder=1
        )


def _sloping(
    effects: Effects, centre: float, deepest: float
) -> list[tuple[FloatArray, FloatArray]]:
    """The line of no effect, the pooled estimate, and the limits on both sides of it."""
    se = np.linspace(0.0, deepest, 60)
    z = float(normal_quantile(0.975))
    null = (
        []
        if effects.scale.null is None
        else [(np.full(2, effects.scale.null), np.array([0.0, deepest]))]
    )
    lines = [(effects.scale.shown(centre + side * se), se) for side in (0.0, -z, z)]
    return null + (lines if math.isfinite(centre) else [])


def _funnel_lines(panel: Panel, effects: Effects, centre: float, deepest: float) -> None:
    for n, (x, y) in enumerate(_sloping(effects, centre, deepest)[-3:]):
        panel.ax.plot(
            ten(x),
            ten(y),
            color=panel.theme.diamond,
            ls=(0, (4, 2.5)) if n else "-",
            lw=1.1 * panel.scale,
            zorder=2,
        )


def radial(
    result: Pooled,
    *,
    ax: Axes | None = None,
    names: bool = True,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Radial (Galbraith) plot: each study's effect over its standard error against its precision
    [1]_.

    A line from the origin through a point ends at that study's effect on the right edge; precise
    studies stand far right. The band holds 95 % of studies that share the pooled effect: those
    outside make the heterogeneity. Under random effects the standard errors include the
    between-study variance. Not with one study.

    Parameters
    ----------
    result : Pooled
        Two studies or more.
    ax, theme, title, notes, width
        As in `funnel`.
    names : bool
        Whether studies are named.

    Returns
    -------
    Axes
        x is the precision, y the standardised effect.

    Raises
    ------
    ValueError
        If fewer than two studies were pooled.

    References
    ----------
    .. [1] Galbraith RF. Graphical display of estimates having differing standard errors.
       Technometrics 1988;30:271-281. https://doi.org/10.1080/00401706.1988.10488400

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.plot.funnels import radial
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [12, 9, 20], "n_t": [40, 35, 61],
    ...                        "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> ax = radial(km.pool(km.risk_ratio(trials)))
    >>> bool(ax.get_xlim()[0] == 0)
    True
    """
    look, effects = theme_named(theme), effects_of(result, "radial")
    if not isinstance(result, Pooled) or result.k < 2:
        raise ValueError("a radial plot needs a pooled result of two studies or more")
    y, se, _ = _present(effects)
    between = result.tau2 if result.method.model == "random" and math.isfinite(result.tau2) else 0.0
    x = 1 / np.sqrt(se**2 + between)
    z, reach = float(normal_quantile(0.975)), 1.12 * float(x.max())
    high = np.array([*(y * x), -z, z, *(result.estimate * reach + np.array([-z, z]))])
    error = "√(v + τ²)" if between else "standard error"
    frame = Frame(
        x=axis_of([0.0, reach], ends=(0.0, reach)),
        y=axis_of(high, null=0.0, ends=_padded(high)),
        x_label=f"Precision (1 / {error})",
        y_label=f"Effect / {error}" + (", log scale" if effects.scale.ratio else ""),
        name=f"Radial plot: {effects.scale.name} of {effects.event}",
        alt=f"Radial plot of {wording.studies(result.k)}. {pooled_sentence(result)}",
        title=title,
        notes=texts_of(notes),
        keys=(
            Key("-", look.diamond, f"Pooled: {tied(estimate_text(result))}"),
            Key("patch", GREYS[1], tied("95 % of studies that share that effect"), edge=look.quiet),
        ),
        ratio=0.8,
        right=_right_room(effects, high, reach),
        names=(
            _names(
                effects, x, y * x, ([0, reach], [0, 0]), ([0, reach], [0, result.estimate * reach])
            )
            if names
            else None
        ),
    )
    panel = framed(frame, look, ax, width)
    _band(panel, result.estimate, z, reach)
    _arc(panel, effects, y, reach)
    dots(panel, x, y * x, np.full(x.size, DOT), look.square, look.interval)
    return panel.ax


def _right_room(effects: Effects, heights: FloatArray, reach: float) -> float:
    """Ems for labels of effects on the right edge, by the longest that may be needed."""
    shown = effects.scale.shown(np.array(_padded(heights)) / reach)
    step = (
        1.0 if effects.scale.ratio else 0.25
    )  # differences are labelled in steps as fine as 0.025 up to 0.1
    words = [f"{step * 10.0 ** math.floor(math.log10(abs(x))):.6g}" for x in shown if x]
    return max(3.4, *(1.2 + 0.64 * (len(word) + (not effects.scale.ratio)) for word in words))


def _padded(values: FloatArray) -> tuple[float, float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _band(panel: Panel, slope: float, z: float, reach: float) -> None:
    ends = np.array([0.0, reach])
    corners = [(0.0, -z), (reach, slope * reach - z), (reach, slope * reach + z), (0.0, z)]
    panel.ax.add_collection(
        PolyCollection([corners], facecolors=GREYS[1], edgecolors="none", zorder=0.2), False
    )
    panel.ax.plot(
        ends, ten(slope * ends), color=panel.theme.diamond, lw=1.2 * panel.scale, zorder=2
    )
    panel.ax.plot(
        ends, [0.0, 0.0], color=panel.theme.quiet, lw=0.8 * panel.scale, ls=(0, (1.5, 2)), zorder=1
    )


def _arc(panel: Panel, effects: Effects, y: FloatArray, reach: float) -> None:
    """Effects on the scale shown, on the right edge of the panel where their lines from the origin end."""
    low, high = panel.y.low / reach, panel.y.high / reach
    em = panel.font.points

    def fits(places: Sequence[float], labels: Sequence[str]) -> bool:
        return all(b - a >= 1.5 * em for a, b in pairwise(places))

    shown = effects.scale.shown([low, high])
    axis = _arc_axis(
        effects, shown, lambda places, labels: fits([p * panel.height for p in places], labels)
    )
    for value, label in zip(axis.ticks, axis.labels, strict=True):
        slope = math.log(value) if effects.scale.ratio else value
        up = (slope * reach - panel.y.low) / (panel.y.high - panel.y.low) * panel.height
        if 0 <= up <= panel.height:
            panel.ax.plot(
                [1.0, 1 + 0.38 * em / panel.width],
                [up / panel.height] * 2,
                transform=panel.ax.transAxes,
                color=panel.theme.text,
                lw=0.8 * panel.scale,
                clip_on=False,
            )
            panel.write(panel.width + 0.8 * em, up - 0.36 * em, label)
    panel.ax.spines["right"].set_visible(True)
    head = effects.scale.short
    x = min(panel.width + 0.8 * em, panel.width + 3.2 * em - text_width(head, panel.font, True))
    panel.write(x, panel.height + 0.6 * em, head, bold=True)


def _arc_axis(effects: Effects, shown: FloatArray, fits: Fits) -> EffectAxis:
    ends = (float(shown[0]), float(shown[1]))
    return effect_axis(
        shown, shown, shown, effects.scale.null, log=effects.scale.ratio, fits=fits, ends=ends
    )
