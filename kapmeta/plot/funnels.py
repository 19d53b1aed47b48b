"""Plots of effects against their precision: the contour-enhanced funnel and the radial plot."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.plot.forest_page.notes import nonbreaking, sentences
from kapmeta.plot.panel.arguments import contour_levels, texts_of
from kapmeta.plot.panel.axis import effect_axis, ten_digits
from kapmeta.plot.panel.frames import Frame, Key, axis_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.labelling import PointNames
from kapmeta.plot.panel.marks import DOT, GREYS, dots, drawable_effects, measure_words
from kapmeta.plot.panel.typesetting import text_width
from kapmeta.plot.style import Theme, theme_named
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, estimate_text, pooled_sentence
from kapmeta.results.small_study import AdjustedEffect

__all__ = ["funnel", "radial"]

FEWEST_READ = 10
WARNING = (
    "Fewer than 10 studies: an asymmetric funnel cannot be told from chance here, and no test of it"
    " is reliable."
)


@checking.checked
def funnel(
    result: Effects | Pooled,
    *,
    ax: Axes | None = None,
    contours: Sequence[float] | None = None,
    test: Any = None,
    adjusted: Iterable[AdjustedEffect] = (),
    names: bool = False,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw a contour-enhanced funnel plot: each study's effect against its standard error.

    Shading shows where a study would be significant against no effect [1]_, so that a gap can be
    read: studies missing from the white middle suggest selection by significance, a gap in the
    shaded part something else. Dashed lines hold 95 % of studies about the pooled estimate if
    there is no heterogeneity. Not to be read with few studies: below ten the figure says so.

    Parameters
    ----------
    result : Effects or Pooled
        Effects, or a pooled result for the line at its estimate. Rows of its table whose column
        ``filled`` is true are drawn hollow.
    ax : Axes, optional
        Where to draw.
    contours : sequence of float, optional
        Levels of significance contours, as confidence levels: proportions, each once. By default
        0.9, 0.95 and 0.99 for a measure with a value of no effect; empty for none.
    test : optional
        Result of an asymmetry test; the first line of its ``summary()`` is in the notes. The
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
        If no study has an estimate, a contour is no proportion or there is no value of no effect
        for it, or adjusted effects are more than four or of another measure.

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
    >>> trials = pd.DataFrame({"study": ["A", "B"]})
    >>> effects = Effects([0.8, 1.0], [0.17, 0.04], ("A", "B"), "RR", trials)
    >>> ax = funnel(effects)
    >>> ax.get_xscale(), bool(ax.yaxis_inverted())
    ('log', True)
    """
    look, effects = theme_named(theme), drawable_effects(result, "funnel")
    checking.flag(names, "names")
    pooled = result if isinstance(result, Pooled) and result.k > 1 else None
    _refuse_other_test(test)
    extra = _adjustments(adjusted, effects)
    levels, lines = _contours(contours, effects), _funnel_lines(look, test, extra, effects)
    places = _Funnel.of(effects, pooled, levels, lines, extra)
    frame = _funnel_frame(places, look, test, extra, names)
    # the caller's notes too are kept from breaking between a number and its sign
    panel = framed(frame.with_text(title, map(nonbreaking, texts_of(notes))), look, ax, width)
    _draw_contours(panel, places)
    if pooled:
        _draw_limits(panel, places)
    for line in places.lines:
        panel.ax.plot(
            ten_digits(effects.scale.shown(line.effect)),
            ten_digits(line.se),
            color=line.colour,
            ls=line.style,
            lw=1.3 * panel.scale,
            zorder=2.1,
        )
    for x, y, fill in ((*places.full, look.square), (*places.hollow, look.paper)):
        dots(panel, x, y, np.full(x.size, DOT), fill, look.interval)
    return panel.ax


_CONTOURS = (0.9, 0.95, 0.99)


def _contours(contours: Any, effects: Effects) -> tuple[float, ...]:
    """Return the levels to draw; there are none for a measure without a value of no effect."""
    if effects.scale.compares:
        return _CONTOURS if contours is None else contour_levels(contours)
    if contours is not None and contour_levels(contours):
        raise ValueError(
            f"contours are about no effect, which a {effects.scale.name} does not have; leave"
            " contours out"
        )
    return ()


class _Line(NamedTuple):
    """A line of the funnel: its name, its effects on the analysis scale by standard error."""

    name: str
    effect: FloatArray
    se: FloatArray
    style: str
    colour: str


@dataclass(frozen=True)
class _Funnel:
    """The places of all that a funnel shows, on the analysis scale unless shown.

    `levels` are the contours and `z` their quantiles; `added` are effects and standard errors of
    studies that an adjustment filled in.
    """

    effects: Effects
    pooled: Pooled | None
    se: FloatArray
    shown: FloatArray
    filled: BoolArray
    levels: tuple[float, ...]
    lines: Sequence[_Line]
    added: tuple[FloatArray, FloatArray]

    @classmethod
    def of(
        cls,
        effects: Effects,
        pooled: Pooled | None,
        levels: tuple[float, ...],
        lines: Sequence[_Line],
        adjusted: Sequence[AdjustedEffect],
    ) -> _Funnel:
        """Collect the places."""
        _, se, shown = _studies_shown(effects)
        filled = _filled_in(effects)
        return cls(effects, pooled, se, shown, filled, levels, lines, _added_studies(adjusted))

    @property
    def z(self) -> list[float]:
        """Quantiles of the normal distribution for the contours."""
        return [float(normal_quantile((1 + level) / 2)) for level in self.levels]

    @property
    def deepest(self) -> float:
        """The standard error at the bottom."""
        return _deepest(self.se)

    @property
    def middle(self) -> float:
        """The pooled estimate, nan if nothing is pooled."""
        return self.pooled.estimate if self.pooled else math.nan

    @property
    def full(self) -> tuple[FloatArray, FloatArray]:
        """Effects shown and standard errors of the studies observed."""
        return self.shown[~self.filled], self.se[~self.filled]

    @property
    def hollow(self) -> tuple[FloatArray, FloatArray]:
        """Effects shown and standard errors of the studies filled in."""
        y, se = self.added
        more = self.effects.scale.shown(y)
        return np.append(self.shown[self.filled], more), np.append(self.se[self.filled], se)

    @property
    def sloping(self) -> list[tuple[FloatArray, FloatArray]]:
        """The line of no effect, the pooled estimate, and the limits on both sides of it."""
        scale, se = self.effects.scale, np.linspace(0.0, self.deepest, 60)
        z = float(normal_quantile(0.975))
        ends = np.array([0.0, self.deepest])
        null = [] if scale.null is None else [(np.full(2, scale.null), ends)]
        lines = [(scale.shown(self.middle + side * se), se) for side in (0.0, -z, z)]
        return null + (lines if self.pooled else [])


def _deepest(se: FloatArray) -> float:
    return 1.06 * float(se.max()) or 1.0


def _funnel_frame(
    funnel: _Funnel, look: Theme, test: Any, adjusted: Sequence[AdjustedEffect], names: bool
) -> Frame:
    effects, scale = funnel.effects, funnel.effects.scale
    findings = [] if test is None else [_with_minus(str(test.summary()).splitlines()[0])]
    warning = [WARNING] if effects.k < FEWEST_READ else []
    texts = [*warning, *findings, *(f"{_adjusted_text(one)}." for one in adjusted)]
    reach = float(normal_quantile(0.975)) * float(funnel.se.max())
    edges = [funnel.middle - reach, funnel.middle + reach] if funnel.pooled else []
    edges += [*funnel.added[0], *(end for line in funnel.lines for end in line.effect)]
    places = np.append(funnel.shown, scale.shown(edges))
    return Frame(
        x=axis_of(places, log=scale.ratio, null=scale.null),
        y=axis_of([0.0, funnel.deepest], ends=(0.0, funnel.deepest)),
        x_label=measure_words(effects),
        y_label="Standard error" + (" (log scale)" if scale.ratio else ""),
        name=f"Funnel plot: {scale.name} of {effects.event}",
        alt=_funnel_alt(effects, funnel.se, texts),
        notes=tuple(map(nonbreaking, (*warning, *sentences(findings)))),
        keys=tuple(_funnel_keys(look, funnel)),
        ratio=0.82,
        down=True,
        names=_study_names(effects, funnel.shown, funnel.se, *funnel.sloping) if names else None,
    )


def _with_minus(text: str) -> str:
    """Write hyphens before numbers as minus signs."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def _adjustments(
    adjusted: Iterable[AdjustedEffect], effects: Effects
) -> tuple[AdjustedEffect, ...]:
    """Return the adjusted effects that can be drawn in this funnel; refuse others."""
    if isinstance(adjusted, AdjustedEffect):
        raise TypeError("adjusted is one result; give a list of results")
    if not isinstance(adjusted, Iterable):
        raise TypeError(f"adjusted must be a list of results: got {type(adjusted).__name__}")
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


def _refuse_other_test(test: Any) -> None:
    """Refuse what is no result of a test."""
    if test is not None and not callable(getattr(test, "summary", None)):
        raise TypeError(f"test must be a result of asymmetry_test: got {type(test).__name__}")


def _added_studies(adjusted: Sequence[AdjustedEffect]) -> tuple[FloatArray, FloatArray]:
    """List effects and standard errors of studies that an adjustment filled in."""
    rows = [
        one.studies.loc[one.studies["row"] == "filled", ["y", "v"]].to_numpy(dtype=np.float64)
        for one in adjusted
    ]
    y, v = np.concatenate([np.zeros((0, 2)), *rows]).T
    return y, np.sqrt(v)


def _adjusted_text(one: AdjustedEffect) -> str:
    """Write an adjusted effect: ``Trim and fill: RR 1.19 (1.08 to 1.31)``."""
    numbers = (float(one.scale.shown(x)) for x in (one.estimate, one.low, one.high))
    return f"{wording.capital(one.name)}: {one.scale.short} {wording.interval_text(*numbers)}"


_STYLES = (":", "-.", ":", "-.")


def _funnel_lines(
    theme: Theme, test: Any, adjusted: Sequence[AdjustedEffect], effects: Effects
) -> list[_Line]:
    """List adjusted effects, upright, and the line of a test that regresses on standard errors."""
    se = np.array([0.0, _deepest(effects.se[effects.present])])
    colours = (theme.prediction, theme.prediction, theme.square, theme.square)
    lines = [
        _Line(_adjusted_text(one), np.full(2, one.estimate), se, style, colour)
        for one, style, colour in zip(adjusted, _STYLES, colours, strict=False)
    ]
    if getattr(test, "method", "") in ("egger", "egger-mixed", "thompson"):
        effect = test.intercept + test.slope * se
        lines.append(_Line(f"{test.name}: line", effect, se, "-", theme.prediction))
    return lines


def _study_names(
    effects: Effects, x: FloatArray, y: FloatArray, *lines: tuple[Any, Any]
) -> PointNames:
    labels = [label for label, yes in zip(effects.labels, effects.present, strict=True) if yes]
    return PointNames(x, y, np.full(len(labels), DOT), labels, lines)


def _studies_shown(effects: Effects) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return effects and standard errors on the analysis scale, and effects on the scale shown."""
    y, se = effects.y[effects.present], effects.se[effects.present]
    return y, se, effects.scale.shown(y)


def _filled_in(effects: Effects) -> BoolArray:
    if "filled" not in effects.table:
        return np.zeros(effects.k, dtype=bool)
    filled: BoolArray = effects.table["filled"].fillna(False).to_numpy(dtype=bool)
    return filled[effects.present]


def _funnel_alt(effects: Effects, se: FloatArray, texts: Sequence[str]) -> str:
    head = (
        f"Funnel plot of the {effects.scale.name} of {effects.event} against its standard error,"
        f" {wording.studies(effects.k)}; standard errors from {wording.number(se.min())} to"
        f" {wording.number(se.max())}."
    )
    return " ".join([head, *sentences(texts)])


def _funnel_keys(theme: Theme, funnel: _Funnel) -> Iterable[Key]:
    if funnel.levels:
        levels = [f"{1 - level:.3g}" for level in sorted(funnel.levels)]
        bands = [f"p > {levels[0]}", *(f"{a} > p > {b}" for a, b in pairwise(levels))]
        bands.append(f"p < {levels[-1]}")
        for text, grey in zip(bands, _shades(len(bands)), strict=True):
            yield Key("patch", grey, nonbreaking(text), edge=theme.quiet)
    if funnel.pooled:
        yield Key("-", theme.diamond, "Pooled estimate")
        yield Key("--", theme.diamond, nonbreaking("95 % limits without heterogeneity"))
    for line in funnel.lines:
        yield Key(line.style, line.colour, nonbreaking(line.name))
    if funnel.filled.any() or funnel.added[0].size:
        yield Key("o", theme.paper, "Filled in by trim and fill", edge=theme.interval)


def _shades(count: int) -> list[str]:
    return list(GREYS[:count]) if count <= 4 else [f"{x:.3f}" for x in np.linspace(1, 0.78, count)]


def _draw_contours(panel: Panel, funnel: _Funnel) -> None:
    """Fill bands of significance about no effect, darker outwards."""
    if not funnel.levels:
        return
    deepest, scale = funnel.deepest, funnel.effects.scale
    se, low, high = np.linspace(0.0, deepest, 60), panel.x.low, panel.x.high
    shades = _shades(len(funnel.levels) + 1)
    whole = [(low, 0.0), (high, 0.0), (high, deepest), (low, deepest)]
    shapes = [(whole, shades[-1], 0.1)]
    for multiple, grey in zip(sorted(funnel.z)[::-1], shades[-2::-1], strict=True):
        left, right = (ten_digits(scale.shown(side * multiple * se)) for side in (-1, 1))
        down = ten_digits(se)
        outline = [*zip(left, down, strict=True), *zip(right[::-1], down[::-1], strict=True)]
        shapes.append((outline, grey, 0.2))
    for corners, grey, order in shapes:
        shape = PolyCollection([corners], facecolors=grey, edgecolors="none", zorder=order)
        panel.ax.add_collection(shape, False)
    null = np.full(2, scale.null, dtype=float)
    panel.ax.plot(null, [0, deepest], color=panel.theme.quiet, lw=0.8 * panel.scale, zorder=1)


def _draw_limits(panel: Panel, funnel: _Funnel) -> None:
    """Draw the pooled estimate, and the limits on both sides of it."""
    for n, (x, y) in enumerate(funnel.sloping[-3:]):
        panel.ax.plot(
            ten_digits(x),
            ten_digits(y),
            color=panel.theme.diamond,
            ls=(0, (4, 2.5)) if n else "-",
            lw=1.1 * panel.scale,
            zorder=2,
        )


@checking.checked
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
    """Draw a radial (Galbraith) plot: standardised effects against their precision [1]_.

    A line from the origin through a point ends at that study's effect on the right edge; precise
    studies are far right. The band holds 95 % of studies that share the pooled effect: those
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
    >>> trials = pd.DataFrame({"study": list("ABC"), "events_t": [12, 9, 20], "n_t": [40, 35, 61],
    ...                        "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> ax = radial(km.pool(km.risk_ratio(trials)))
    >>> bool(ax.get_xlim()[0] == 0)
    True
    """
    look, effects = theme_named(theme), drawable_effects(result, "radial")
    checking.flag(names, "names")
    if not isinstance(result, Pooled) or result.k < 2:
        raise ValueError("a radial plot needs a pooled result of two studies or more")
    y, se, _ = _studies_shown(effects)
    between = result.tau2 if result.method.model == "random" and math.isfinite(result.tau2) else 0.0
    x = 1 / np.sqrt(se**2 + between)
    frame = _radial_frame(result, look, x, y * x, between > 0)
    if names:
        edge = _right_edge(x)
        lines = [([0, edge], [0, slope * edge]) for slope in (0, result.estimate)]
        frame = replace(frame, names=_study_names(effects, x, y * x, *lines))
    panel = framed(frame.with_text(title, notes), look, ax, width)
    _draw_band(panel, result.estimate, _right_edge(x))
    _draw_right_axis(panel, effects, _right_edge(x))
    dots(panel, x, y * x, np.full(x.size, DOT), look.square, look.interval)
    return panel.ax


def _right_edge(precision: FloatArray) -> float:
    return 1.12 * float(precision.max())


def _radial_frame(
    result: Pooled, look: Theme, x: FloatArray, standardised: FloatArray, between: bool
) -> Frame:
    effects, ratio = result.effects, result.effects.scale.ratio
    z, edge = float(normal_quantile(0.975)), _right_edge(x)
    heights = np.array([*standardised, -z, z, *(result.estimate * edge + np.array([-z, z]))])
    error = "√(v + τ²)" if between else "standard error"
    band = nonbreaking("95 % of studies that share that effect")
    return Frame(
        x=axis_of([0.0, edge], ends=(0.0, edge)),
        y=axis_of(heights, null=0.0, ends=_padded(heights)),
        x_label=f"Precision (1 / {error})",
        y_label=f"Effect / {error}" + (", log scale" if ratio else ""),
        name=f"Radial plot: {effects.scale.name} of {effects.event}",
        alt=f"Radial plot of {wording.studies(result.k)}. {pooled_sentence(result)}",
        keys=(
            Key("-", look.diamond, f"Pooled: {nonbreaking(estimate_text(result))}"),
            Key("patch", GREYS[1], band, edge=look.quiet),
        ),
        ratio=0.8,
        right=_right_room(effects, heights, edge),
    )


def _right_room(effects: Effects, heights: FloatArray, edge: float) -> float:
    """Find ems for labels of effects on the right edge, by the longest that may be needed."""
    shown = effects.scale.shown(np.array(_padded(heights)) / edge)
    # differences are labelled in steps as fine as 0.025 up to 0.1
    step = 1.0 if effects.scale.ratio else 0.25
    words = [f"{step * 10.0 ** math.floor(math.log10(abs(x))):.6g}" for x in shown if x]
    return max(3.4, *(1.2 + 0.64 * (len(word) + (not effects.scale.ratio)) for word in words))


def _padded(values: FloatArray) -> tuple[float, float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _draw_band(panel: Panel, slope: float, edge: float) -> None:
    """Draw the line of the pooled effect, and the band of 95 % of studies that share it."""
    z, theme, wide = float(normal_quantile(0.975)), panel.theme, panel.scale
    corners = [(0.0, -z), (edge, slope * edge - z), (edge, slope * edge + z), (0.0, z)]
    shape = PolyCollection([corners], facecolors=GREYS[1], edgecolors="none", zorder=0.2)
    panel.ax.add_collection(shape, False)
    ends = np.array([0.0, edge])
    panel.ax.plot(ends, ten_digits(slope * ends), color=theme.diamond, lw=1.2 * wide, zorder=2)
    dotted: dict[str, Any] = {"ls": (0, (1.5, 2)), "zorder": 1}
    panel.ax.plot(ends, [0.0, 0.0], color=theme.quiet, lw=0.8 * wide, **dotted)


def _draw_right_axis(panel: Panel, effects: Effects, edge: float) -> None:
    """Label effects on the right edge of the panel, where their lines from the origin end."""
    em, scale = panel.font.points, effects.scale
    shown = scale.shown([panel.y.low / edge, panel.y.high / edge])

    def fits(places: Sequence[float], labels: Sequence[str]) -> bool:
        return all((b - a) * panel.height >= 1.5 * em for a, b in pairwise(places))

    ends = (float(shown[0]), float(shown[1]))
    axis = effect_axis(shown, shown, shown, scale.null, log=scale.ratio, fits=fits, ends=ends)
    for value, label in zip(axis.ticks, axis.labels, strict=True):
        slope = math.log(value) if scale.ratio else value
        up = (slope * edge - panel.y.low) / (panel.y.high - panel.y.low) * panel.height
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
    head = scale.short
    x = min(panel.width + 0.8 * em, panel.width + 3.2 * em - text_width(head, panel.font, True))
    panel.write(x, panel.height + 0.6 * em, head, bold=True)
