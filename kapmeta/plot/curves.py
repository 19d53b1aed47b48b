"""Plots of curves: posterior densities, p-value functions, prior scales, courses over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_cdf, t_quantile, t_two_sided
from kapmeta.plot.forest_page.notes import nonbreaking, plain, sentences
from kapmeta.plot.panel.axis import ten_digits
from kapmeta.plot.panel.frames import Frame, Key, axis_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import (
    GREYS,
    band,
    dots,
    drawable_effects,
    frame_of,
    line,
    measure_words,
)
from kapmeta.plot.style import CATEGORICAL, Theme, light, theme_named
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, estimate_text, pooled_sentence
from kapmeta.results.posteriors import Posterior

__all__ = ["drapery", "follow_up", "posterior", "prior_scale"]

POINTS = 241
DASHED = (0, (4, 2.5))


@checking.checked
def posterior(
    result: Any,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Plot posterior densities of the mean effect and of the effect in a new study.

    The filled part holds the credible interval; the probability on the far side of no effect is in
    the legend. The height is per unit of the analysis scale (log for ratios), so that areas are
    probabilities.

    Parameters
    ----------
    result : Posterior
        What `kapmeta.pool_bayes` returned.
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
        x is the effect on the scale shown, y the density.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.pooling.bayes import pool_bayes
    >>> from kapmeta.plot.curves import posterior
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [13, 6], "n_t": [26, 35],
    ...                        "events_c": [6, 2], "n_c": [27, 35]})
    >>> posterior(pool_bayes(km.risk_ratio(trials), tau_prior=0.5)).get_xscale()
    'log'
    """
    if not callable(getattr(result, "density", None)):
        raise TypeError(
            f"result: posterior draws a Posterior with its density, got {type(result).__name__}"
        )
    look, scale = theme_named(theme), result.scale
    left, right = _posterior_ends(result)
    x = np.linspace(left, right, POINTS)
    mean, new = (np.asarray(result.density(x, new_study=yes), dtype=float) for yes in (False, True))
    top = 1.08 * float(max(mean.max(), new.max()))
    frame = _posterior_frame(result, look, x, top)
    panel = framed(frame.with_text(title, notes), look, ax, width)
    inside = np.linspace(max(result.low, left), min(result.high, right), POINTS)
    held = np.asarray(result.density(inside), dtype=float)
    band(panel, scale.shown(inside), np.zeros(POINTS), held, light(look.square), 1)
    line(panel, scale.shown(x), mean, look.diamond, order=3)
    line(panel, scale.shown(x), new, look.prediction, DASHED, 3)
    if scale.null is not None:
        line(panel, [scale.null] * 2, [0, top], look.text, order=1.5)
    return panel.ax


def _posterior_frame(result: Posterior, look: Theme, x: FloatArray, top: float) -> Frame:
    effects, scale = result.effects, result.scale
    unit = f"log {scale.short}" if scale.ratio else scale.short
    above = (
        f"; P({scale.short} > {scale.null:g}) {_probability(result.probability_above())}"
        if scale.null is not None
        else ""
    )
    numbers = (float(scale.shown(v)) for v in (result.estimate, result.low, result.high))
    level = wording.percent(result.method.level)
    interval = f"Mean effect {wording.interval_text(*numbers)}, {level} CrI{above}"
    return Frame(
        x=axis_of(scale.shown(x), log=scale.ratio, ends=_pair(scale.shown(x[[0, -1]]))),
        y=axis_of([0.0, top], ends=(0.0, top)),
        x_label=measure_words(effects),
        y_label=f"Density per unit of {unit}",
        name=f"Posterior: {scale.name} of {effects.event}",
        alt=f"Posterior densities. {result.alt_text()}",
        notes=tuple(map(nonbreaking, sentences(filter(None, map(plain, result.notes))))),
        keys=(
            Key("patch", light(look.square), nonbreaking(interval), edge=look.diamond),
            Key("--", look.prediction, "Effect in a new study"),
        ),
        ratio=0.55,
        sides=effects.sides,
    )


def _posterior_ends(result: Posterior) -> tuple[float, float]:
    """Find the ends of the axis on the analysis scale, which hold both densities and no effect."""
    low, high, far, near = result.low, result.high, result.prediction_low, result.prediction_high
    ends = _wide(result.estimate, low, high, 1.5), _wide(result.estimate, far, near, 1.25)
    # tails of a new study's effect may go on for ever: three times the interval of the mean shows
    # enough of them
    left = max(min(ends[0][0], ends[1][0]), result.estimate - 3.0 * (result.estimate - low))
    right = min(max(ends[0][1], ends[1][1]), result.estimate + 3.0 * (high - result.estimate))
    null = 0.0 if result.scale.null is not None else result.estimate
    return min(left, null - 0.05 * (right - left)), max(right, null + 0.05 * (right - left))


def _wide(centre: float, low: float, high: float, factor: float) -> tuple[float, float]:
    return centre - factor * (centre - low), centre + factor * (high - centre)


def _pair(values: FloatArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _tipping(scale: float, null: str) -> str:
    """Say from which scale of the prior on the interval includes no effect."""
    if not scale > 0:
        return f"includes {null} even without heterogeneity"
    where = "no scale up to 64" if math.isinf(scale) else f"a scale of {wording.number(scale)}"
    return f"first includes {null} at {where}"


def _probability(p: float) -> str:
    """Write a probability with its relation: never as 0 or 1, which it is not."""
    return "< 0.001" if p < 0.001 else "> 0.999" if p > 0.999 else f"= {p:.3f}"


@checking.checked
def prior_scale(
    result: Any,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Plot the posterior mean effect against the scale of the half-normal prior of tau.

    Use it with every Bayesian pool of few studies: their data say little of tau, so the prior
    matters.
    Dots mark the usual scales 0.25, 0.5 and 1; the scale at which the interval first includes no
    effect is drawn.

    Parameters
    ----------
    result : Posterior
        What `kapmeta.pool_bayes` returned.
    ax, theme, title, notes, width
        As in `posterior`.

    Returns
    -------
    Axes
        x is the prior scale, y the effect on the scale shown.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.pooling.bayes import pool_bayes
    >>> from kapmeta.plot.curves import prior_scale
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [13, 6], "n_t": [26, 35],
    ...                        "events_c": [6, 2], "n_c": [27, 35]})
    >>> prior_scale(pool_bayes(km.risk_ratio(trials), tau_prior=0.5)).get_yscale()
    'log'
    """
    if not isinstance(result, Posterior):
        raise TypeError(f"result: prior_scale draws a Posterior, got {type(result).__name__}")
    look, scale = theme_named(theme), result.scale
    curve, marks = result.prior_scale_curve(), result.prior_scale_curve([0.25, 0.5, 1.0])
    x = curve["scale"].to_numpy()
    tips = result.tipping_scale() if scale.null is not None else math.nan
    frame = _prior_scale_frame(result, look, curve, marks, tips)
    panel = framed(frame.with_text(title, notes), look, ax, width)
    band(panel, x, curve["low"].to_numpy(), curve["high"].to_numpy(), GREYS[2])
    line(panel, x, curve["estimate"], look.diamond)
    if scale.null is not None:
        line(panel, x[[0, -1]], [scale.null] * 2, look.text, order=1.5)
        if 0 < tips <= x.max():
            line(panel, [tips] * 2, [panel.y.low, panel.y.high], look.prediction, DASHED, 1.6)
    places = (marks["scale"].to_numpy(), marks["estimate"].to_numpy())
    dots(panel, *places, np.full(3, 0.7), look.square, look.interval)
    return panel.ax


def _prior_scale_frame(
    result: Posterior, look: Theme, curve: pd.DataFrame, marks: pd.DataFrame, tips: float
) -> Frame:
    effects, scale = result.effects, result.scale
    findings = []
    if scale.null is not None:
        each = [
            f"{_probability(p).removeprefix('= ')} at {s:g}"
            for s, p in zip(marks["scale"], marks["probability"], strict=True)
        ]
        findings.append(f"Probability above {scale.null:g}: {wording.joined(each)}.")
        findings.append(f"The interval {_tipping(tips, f'{scale.null:g}')}.")
    last = float(curve["scale"].max())
    return Frame(
        x=axis_of([0.0, last], ends=(0.0, last)),
        y=axis_of(
            curve["estimate"],
            low=curve["low"],
            high=curve["high"],
            log=scale.ratio,
            null=scale.null,
        ),
        x_label="Scale of the half-normal prior of τ",
        y_label=measure_words(effects),
        name=f"Prior scale: {scale.name} of {effects.event}",
        alt=(
            f"Posterior mean effect against the prior scale of tau. {' '.join(findings)}"
            f" {result.alt_text()}"
        ),
        notes=tuple(findings),
        keys=(
            Key("-", look.diamond, "Posterior median"),
            Key("patch", GREYS[2], f"{wording.percent(result.method.level)} CrI", edge=look.quiet),
        ),
        ratio=0.6,
    )


@checking.checked
def drapery(
    result: Effects | Pooled,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw a drapery plot: the p-value of every effect, by each study and the pooled result [1]_.

    Read across at a height to get the interval at that level: it frees the reader from the single
    level 0.05. Curves of studies are Wald curves; the pooled one is that of the interval given. Not
    for pooled limits that do not lie evenly about the estimate (profile likelihood, exact): those
    have another curve.

    Parameters
    ----------
    result : Effects or Pooled
        Studies, and the pooled result if there is one.
    ax, theme, title, notes, width
        As in `posterior`.

    Returns
    -------
    Axes
        x is the effect on the scale shown, y the two-sided p-value.

    Raises
    ------
    ValueError
        If the pooled limits do not lie evenly about the estimate.

    References
    ----------
    .. [1] Rücker G, Schwarzer G. Beyond the forest plot: the drapery plot. Res Synth Methods
       2021;12:13-19. https://doi.org/10.1002/jrsm.1410

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.plot.curves import drapery
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [13, 6], "n_t": [26, 35],
    ...                        "events_c": [6, 2], "n_c": [27, 35]})
    >>> [float(end) for end in drapery(km.risk_ratio(trials)).get_ylim()]
    [0.0, 1.0]
    """
    look, effects = theme_named(theme), drawable_effects(result, "drapery")
    y, se = effects.y[effects.present], effects.se[effects.present]
    pooled = result if isinstance(result, Pooled) and result.k > 1 else None
    level, scale = 0.95 if pooled is None else pooled.method.level, effects.scale
    x = _drapery_grid(y, se)
    frame = _drapery_frame(effects, pooled, level, look, x)
    panel = framed(frame.with_text(title, notes), look, ax, width)
    wide = panel.scale
    for centre, error in zip(y, se, strict=True):
        at = _grid(x, centre, error)
        p = 2 * normal_cdf(-np.abs((at - centre) / error))
        style: dict[str, Any] = {"color": look.quiet, "lw": 0.7 * wide, "alpha": 0.8, "zorder": 2}
        panel.ax.plot(ten_digits(scale.shown(at)), ten_digits(p), **style)
    if pooled:
        at = _grid(x, pooled.estimate, pooled.se)
        p = _p_curve(pooled, at)
        style = {"color": look.diamond, "lw": 2.2 * wide, "zorder": 4}
        panel.ax.plot(ten_digits(scale.shown(at)), ten_digits(p), **style)
    if scale.null is not None:
        line(panel, [scale.null] * 2, [0, 1], look.text, order=1.5)
    line(panel, [panel.x.low, panel.x.high], [1 - level] * 2, look.quiet, DASHED, 1.5)
    return panel.ax


def _drapery_grid(y: FloatArray, se: FloatArray) -> FloatArray:
    """Choose effects on the analysis scale that hold every study, and no effect."""
    most = 2.2 * np.median(se) + (y.max() - y.min())
    low = max(float((y - 3 * se).min()), y.min() - most)
    high = min(float((y + 3 * se).max()), y.max() + most)
    pad = 0.03 * (max(high, 0.0) - min(low, 0.0))
    return np.linspace(min(low, -pad), max(high, pad), 2 * POINTS)


def _drapery_frame(
    effects: Effects, pooled: Pooled | None, level: float, look: Theme, x: FloatArray
) -> Frame:
    scale, studies = effects.scale, wording.studies(effects.k)
    ends = f"p = {1 - level:.3g}: ends of the {wording.percent(level)} CI"
    keys = [Key("-", look.quiet, studies.capitalize())]
    if pooled:
        keys.append(Key("-", look.diamond, f"Pooled {nonbreaking(estimate_text(pooled))}"))
    return Frame(
        x=axis_of(scale.shown(x), log=scale.ratio, ends=_pair(scale.shown(x[[0, -1]]))),
        y=axis_of([0.0, 1.0], ends=(0.0, 1.0)),
        x_label=measure_words(effects),
        y_label="p-value (two-sided)",
        name=f"Drapery plot: {scale.name} of {effects.event}",
        alt=(
            f"Drapery plot of {studies}: p-values of every possible {scale.name}. "
            + (pooled_sentence(pooled) if pooled else "")
        ),
        keys=(*keys, Key("--", look.quiet, nonbreaking(ends))),
        ratio=0.65,
        sides=effects.sides,
    )


def _grid(x: FloatArray, centre: float, error: float) -> FloatArray:
    """Choose points within the ends of `x`, close enough about the peak for it to be seen."""
    near = centre + error * np.linspace(-5, 5, 121)
    return np.sort(np.append(x[::4], near[(near >= x[0]) & (near <= x[-1])]))


def _p_curve(pooled: Pooled, x: FloatArray) -> FloatArray:
    """Compute two-sided p-values of effects `x`: those in the interval are above 1 - level."""
    half = (pooled.high - pooled.low) / 2
    middle = (pooled.high + pooled.low) / 2
    even = math.isclose(middle, pooled.estimate, rel_tol=1e-6, abs_tol=1e-6 * half)
    if not even or not math.isfinite(half):
        raise ValueError(
            "drapery needs pooled limits that lie evenly about the estimate; pool with a Wald, t or"
            " Hartung-Knapp interval, or draw the effects alone"
        )
    se = half / float(t_quantile((1 + pooled.method.level) / 2, pooled.df))
    return np.asarray(t_two_sided((x - pooled.estimate) / se, pooled.df))


@checking.checked
def follow_up(
    result: Any,
    *,
    ax: Axes | None = None,
    event: str = "Event",
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Plot the course of a proportion over time in each arm, with intervals.

    Points are what was observed; the lines between them only lead the eye. Not for pooled trials:
    trials followed for different times make a course that no one has.

    Parameters
    ----------
    result : DataFrame, or result with to_frame()
        Columns arm, months, proportion and, where known, low and high (proportions). Or a
        `FollowUp`.
    ax, theme, title, notes, width
        As in `posterior`.
    event : str
        What is counted, for the axis.

    Returns
    -------
    Axes
        x in months, y in percent.

    Raises
    ------
    ValueError
        If a column is missing, or there are more arms than colours.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.curves import follow_up
    >>> frame = pd.DataFrame({"arm": ["new", "new", "control", "control"], "months": [1, 6, 1, 6],
    ...                       "proportion": [0.6, 0.4, 0.3, 0.1]})
    >>> ax = follow_up(frame)
    >>> {"new", "control"} <= {text.get_text() for text in ax.texts}
    True
    """
    look, table = theme_named(theme), _course(result)
    arms = list(dict.fromkeys(table["arm"].astype(str)))
    if len(arms) > len(CATEGORICAL):
        raise ValueError(
            f"follow_up distinguishes {len(CATEGORICAL)} arms at most; there are {len(arms)}"
        )
    styles = zip(("o", "s", "D", "^", "v"), ("-", "--", ":", "-.", "-"), CATEGORICAL, strict=True)
    signs = dict(zip(arms, styles, strict=False))
    panel = framed(_course_frame(table, signs, event).with_text(title, notes), look, ax, width)
    last = float(table["months"].max()) or 1.0
    for i, (arm, (mark, dashes, colour)) in enumerate(signs.items()):
        mine = table[table["arm"].astype(str) == arm].sort_values("months")
        _draw_arm(panel, mine, (i - (len(arms) - 1) / 2) * 0.012 * last, mark, dashes, colour)
    return panel.ax


def _course_frame(
    table: pd.DataFrame, signs: Mapping[str, tuple[str, str, str]], event: str
) -> Frame:
    months = table["months"].to_numpy(dtype=float)
    last = float(months.max()) or 1.0
    most = float(np.nanmax(table[["proportion", "high"]].to_numpy(dtype=float)))
    top = 100 * min(1.0, 1.05 * most or 1.0)
    each = [
        f"{arm} {100 * share:.0f} % at {month:g} months"
        for arm, share, month in zip(
            table["arm"], table["proportion"].astype(float), months, strict=True
        )
    ]
    return Frame(
        x=axis_of([0.0, *months], ends=(0.0, 1.04 * last)),
        y=axis_of([0.0, top], ends=(0.0, top)),
        x_label="Months",
        y_label=f"{event} (%)",
        name="Follow-up by arm",
        alt=f"Course over time: {'; '.join(each)}.",
        keys=tuple(Key(mark, colour, arm) for arm, (mark, _, colour) in signs.items()),
        ratio=0.62,
    )


def _course(result: Any) -> pd.DataFrame:
    """Convert a result to one row per arm and time; a `FollowUp` has one row per time."""
    if hasattr(result, "to_frame") and not isinstance(result, pd.DataFrame):
        wide = result.to_frame()
        if {"events_t", "n_t", "events_c", "n_c", "months"} <= set(wide.columns):
            arms = {
                arm: wide[f"events_{end}"] / wide[f"n_{end}"]
                for arm, end in (("treatment", "t"), ("control", "c"))
            }
            parts = [
                pd.DataFrame({"arm": arm, "months": wide["months"], "proportion": share})
                for arm, share in arms.items()
            ]
            result = pd.concat(parts, ignore_index=True)
    frame = frame_of(result, ("arm", "months", "proportion"), "follow_up")
    lacking = {name: np.nan for name in ("low", "high") if name not in frame}
    return frame.assign(**lacking).dropna(subset=["months", "proportion"])


def _draw_arm(
    panel: Panel, rows: pd.DataFrame, shift: float, mark: str, dashes: str, colour: str
) -> None:
    """Draw points with their limits, moved aside so that limits of arms do not hide each other."""
    x = rows["months"].to_numpy(dtype=float) + shift
    columns = ("proportion", "low", "high")
    y, low, high = (100 * rows[name].to_numpy(dtype=float) for name in columns)
    known = np.isfinite(low + high)
    at, bottom, top = (ten_digits(values[known]) for values in (x, low, high))
    panel.ax.vlines(at, bottom, top, color=colour, lw=1.1 * panel.scale, zorder=3)
    line(panel, x, y, colour, dashes, 2.5)
    style: dict[str, Any] = {"ms": 0.72 * panel.em, "mfc": colour, "mec": colour}
    panel.ax.plot(
        ten_digits(x), ten_digits(y), ls="none", marker=mark, zorder=4, clip_on=False, **style
    )
