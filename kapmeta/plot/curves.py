"""Plots of whole curves: posterior densities, p-value functions, prior scales, and courses over time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kapmeta import wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_cdf, t_quantile, t_two_sided
from kapmeta.plot.forest_page.notes import plain, sentences, tied
from kapmeta.plot.panel.frames import Frame, Key, axis_of, texts_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import (
    GREYS,
    band,
    columns_of,
    dots,
    effects_of,
    line,
    measure_words,
    ten,
)
from kapmeta.plot.style import CATEGORICAL, Theme, light, theme_named
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, estimate_text, pooled_sentence
from kapmeta.results.posteriors import Posterior

__all__ = ["drapery", "follow_up", "posterior", "prior_scale"]

POINTS = 241


def posterior(
    result: Any,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Posterior densities of the mean effect and of the effect in a new study.

    The filled part holds the credible interval; the probability on the far side of no effect stands
    in the legend. The height is per unit of the analysis scale (log for ratios), so that areas are
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
            f"posterior draws a Posterior with its density, got {type(result).__name__}"
        )
    look, effects, scale = theme_named(theme), result.effects, result.scale
    left, right = _reach(result)
    x = np.linspace(left, right, POINTS)
    mean, new = (
        np.asarray(result.density(x, new_study=which), dtype=float) for which in (False, True)
    )
    top = 1.08 * float(max(mean.max(), new.max()))
    level = wording.percent(result.method.level)
    unit = f"log {scale.short}" if scale.ratio else scale.short
    above = (
        f"; P({scale.short} > {scale.null:g}) {_probability(result.probability_above())}"
        if scale.null is not None
        else ""
    )
    limits = wording.interval_text(
        *(float(scale.shown(v)) for v in (result.estimate, result.low, result.high))
    )
    panel = framed(
        Frame(
            x=axis_of(scale.shown(x), log=scale.ratio, ends=_pair(scale.shown([left, right]))),
            y=axis_of([0.0, top], ends=(0.0, top)),
            x_label=measure_words(effects),
            y_label=f"Density per unit of {unit}",
            name=f"Posterior: {scale.name} of {effects.event}",
            alt=f"Posterior densities. {result.alt_text()}",
            title=title,
            notes=tuple(map(tied, sentences(filter(None, map(plain, result.notes)))))
            + texts_of(notes),
            keys=(
                Key(
                    "patch",
                    light(look.square),
                    tied(f"Mean effect {limits}, {level} CrI{above}"),
                    edge=look.diamond,
                ),
                Key("--", look.prediction, "Effect in a new study"),
            ),
            ratio=0.55,
            sides=tuple(effects.favours) if scale.null is not None else (),
        ),
        look,
        ax,
        width,
    )
    inside = np.linspace(max(result.low, left), min(result.high, right), POINTS)
    held = np.asarray(result.density(inside), dtype=float)
    band(panel, scale.shown(inside), np.zeros(POINTS), held, light(look.square), 1)
    line(panel, scale.shown(x), mean, look.diamond, order=3)
    line(panel, scale.shown(x), new, look.prediction, (0, (4, 2.5)), 3)
    if scale.null is not None:
        line(panel, [scale.null] * 2, [0, top], look.text, order=1.5)
    return panel.ax


def _reach(result: Posterior) -> tuple[float, float]:
    """Ends of the axis on the analysis scale: both densities, and no effect."""
    low, high, far, near = result.low, result.high, result.prediction_low, result.prediction_high
    ends = _wide(result.estimate, low, high, 1.5), _wide(result.estimate, far, near, 1.25)
    # tails of a new study's effect may go on for ever: three times the reach of the mean is enough
    # to see them
    left = max(min(ends[0][0], ends[1][0]), result.estimate - 3.0 * (result.estimate - low))
    right = min(max(ends[0][1], ends[1][1]), result.estimate + 3.0 * (high - result.estimate))
    null = 0.0 if result.scale.null is not None else result.estimate
    return min(left, null - 0.05 * (right - left)), max(right, null + 0.05 * (right - left))


def _wide(centre: float, low: float, high: float, factor: float) -> tuple[float, float]:
    return centre - factor * (centre - low), centre + factor * (high - centre)


def _pair(values: FloatArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _tipping(scale: float, null: str) -> str:
    """From which scale of the prior on an interval includes no effect."""
    if not scale > 0:
        return f"includes {null} even without heterogeneity"
    where = "no scale up to 64" if math.isinf(scale) else f"a scale of {wording.number(scale)}"
    return f"first includes {null} at {where}"


def _probability(p: float) -> str:
    """A probability with its relation: never as 0 or 1, which it is not."""
    return "< 0.001" if p < 0.001 else "> 0.999" if p > 0.999 else f"= {p:.3f}"


def prior_scale(
    result: Any,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """How the posterior mean effect moves with the scale of the half-normal prior of tau.

    Belongs to every Bayesian pool of few studies: their data say little of tau, so the prior does.
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
    look, effects, scale = theme_named(theme), result.effects, result.scale
    frame = result.prior_scale_curve()
    marks = result.prior_scale_curve([0.25, 0.5, 1.0])
    x = frame["scale"].to_numpy()
    tips = result.tipping_scale() if scale.null is not None else math.nan
    told = []
    if scale.null is not None:
        each = [
            f"{_probability(p).removeprefix('= ')} at {s:g}"
            for s, p in zip(marks["scale"], marks["probability"], strict=True)
        ]
        told.append(f"Probability above {scale.null:g}: {wording.joined(each)}.")
        told.append(f"The interval {_tipping(tips, f'{scale.null:g}')}.")
    level = wording.percent(result.method.level)
    panel = framed(
        Frame(
            x=axis_of([0.0, float(x.max())], ends=(0.0, float(x.max()))),
            y=axis_of(
                frame["estimate"],
                low=frame["low"],
                high=frame["high"],
                log=scale.ratio,
                null=scale.null,
            ),
            x_label="Scale of the half-normal prior of τ",
            y_label=measure_words(effects),
            name=f"Prior scale: {scale.name} of {effects.event}",
            alt=(
                f"Posterior mean effect against the prior scale of tau. {' '.join(told)}"
                f" {result.alt_text()}"
            ),
            title=title,
            notes=(*told, *texts_of(notes)),
            keys=(
                Key("-", look.diamond, "Posterior median"),
                Key("patch", GREYS[2], f"{level} CrI", edge=look.quiet),
            ),
            ratio=0.6,
        ),
        look,
        ax,
        width,
    )
    band(panel, x, frame["low"].to_numpy(), frame["high"].to_numpy(), GREYS[2])
    line(panel, x, frame["estimate"], look.diamond)
    if scale.null is not None:
        line(panel, x[[0, -1]], [scale.null] * 2, look.text, order=1.5)
        if 0 < tips <= x.max():
            line(
                panel, [tips] * 2, [panel.y.low, panel.y.high], look.prediction, (0, (4, 2.5)), 1.6
            )
    dots(
        panel,
        marks["scale"].to_numpy(),
        marks["estimate"].to_numpy(),
        np.full(3, 0.7),
        look.square,
        look.interval,
    )
    return panel.ax


def drapery(
    result: Effects | Pooled,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Drapery plot: the p-value of every possible effect, for each study and for the pooled result
    [1]_.

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
    look, effects = theme_named(theme), effects_of(result, "drapery")
    y, se = effects.y[effects.present], effects.se[effects.present]
    pooled = result if isinstance(result, Pooled) and result.k > 1 else None
    scale = effects.scale
    reach = 2.2 * np.median(se) + (y.max() - y.min())
    low, high = (
        max(float((y - 3 * se).min()), y.min() - reach),
        min(float((y + 3 * se).max()), y.max() + reach),
    )
    pad = 0.03 * (max(high, 0.0) - min(low, 0.0))
    x = np.linspace(min(low, -pad), max(high, pad), 2 * POINTS)
    level = 0.95 if pooled is None else pooled.method.level
    keys = [Key("-", look.quiet, wording.studies(effects.k).capitalize())]
    keys += [Key("-", look.diamond, f"Pooled {tied(estimate_text(pooled))}")] if pooled else []
    panel = framed(
        Frame(
            x=axis_of(scale.shown(x), log=scale.ratio, ends=_pair(scale.shown(x[[0, -1]]))),
            y=axis_of([0.0, 1.0], ends=(0.0, 1.0)),
            x_label=measure_words(effects),
            y_label="p-value (two-sided)",
            name=f"Drapery plot: {scale.name} of {effects.event}",
            alt=(
                f"Drapery plot of {wording.studies(effects.k)}: p-values of every possible"
                f" {scale.name}. "
            )
            + (pooled_sentence(pooled) if pooled else ""),
            title=title,
            notes=texts_of(notes),
            keys=(
                *keys,
                Key(
                    "--",
                    look.quiet,
                    tied(f"p = {1 - level:.3g}: ends of the {wording.percent(level)} CI"),
                ),
            ),
            ratio=0.65,
            sides=tuple(effects.favours) if scale.null is not None else (),
        ),
        look,
        ax,
        width,
    )
    for centre, error in zip(y, se, strict=True):
        at = _grid(x, centre, error)
        panel.ax.plot(
            ten(scale.shown(at)),
            ten(2 * normal_cdf(-np.abs((at - centre) / error))),
            color=look.quiet,
            lw=0.7 * panel.scale,
            alpha=0.8,
            zorder=2,
        )
    if pooled:
        at = _grid(x, pooled.estimate, pooled.se)
        panel.ax.plot(
            ten(scale.shown(at)),
            ten(_p_curve(pooled, at)),
            color=look.diamond,
            lw=2.2 * panel.scale,
            zorder=4,
        )
    if scale.null is not None:
        line(panel, [scale.null] * 2, [0, 1], look.text, order=1.5)
    line(panel, [panel.x.low, panel.x.high], [1 - level] * 2, look.quiet, (0, (4, 2.5)), 1.5)
    return panel.ax


def _grid(x: FloatArray, centre: float, error: float) -> FloatArray:
    """Points within the ends of `x`, close enough about the peak for it to be seen."""
    near = centre + error * np.linspace(-5, 5, 121)
    return np.sort(np.append(x[::4], near[(near >= x[0]) & (near <= x[-1])]))


def _p_curve(pooled: Pooled, x: FloatArray) -> FloatArray:
    """Two-sided p-values of effects `x`, such that the interval given holds those above 1 - level."""
    half = (pooled.high - pooled.low) / 2
    middle = (pooled.high + pooled.low) / 2
    if not math.isclose(
        middle, pooled.estimate, rel_tol=1e-6, abs_tol=1e-6 * half
    ) or not math.isfinite(half):
        raise ValueError(
            "drapery needs pooled limits that lie evenly about the estimate; pool with a Wald, t or"
            " Hartung-Knapp interval, or draw the effects alone"
        )
    se = half / float(t_quantile((1 + pooled.method.level) / 2, pooled.df))
    return np.asarray(t_two_sided((x - pooled.estimate) / se, pooled.df))


def follow_up(
    result: Any,
    *,
    ax: Axes | None = None,
    event: str = "Abstinent",
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Course of a proportion over time in each arm, with intervals.

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
    >>> frame = pd.DataFrame({"arm": ["ketamine", "ketamine", "control", "control"], "months": [1, 6, 1, 6],
    ...                       "proportion": [0.6, 0.4, 0.3, 0.1]})
    >>> ax = follow_up(frame)
    >>> {"ketamine", "control"} <= {text.get_text() for text in ax.texts}
    True
    """
    look, frame = theme_named(theme), _course(result)
    arms = list(dict.fromkeys(frame["arm"].astype(str)))
    if len(arms) > len(CATEGORICAL):
        raise ValueError(
            f"follow_up tells {len(CATEGORICAL)} arms apart at most; there are {len(arms)}"
        )
    signs = tuple(
        zip(("o", "s", "D", "^", "v"), ("-", "--", ":", "-.", "-"), CATEGORICAL, strict=True)
    )[: len(arms)]
    months = frame["months"].to_numpy(dtype=float)
    last = float(months.max()) or 1.0
    top = min(
        1.0, 1.05 * float(np.nanmax(frame[["proportion", "high"]].to_numpy(dtype=float))) or 1.0
    )
    told = zip(frame["arm"], frame["proportion"].astype(float), months, strict=True)
    each = [f"{arm} {100 * share:.0f} % at {month:g} months" for arm, share, month in told]
    panel = framed(
        Frame(
            x=axis_of([0.0, *months], ends=(0.0, 1.04 * last)),
            y=axis_of([0.0, 100 * top], ends=(0.0, 100 * top)),
            x_label="Months",
            y_label=f"{event} (%)",
            name="Follow-up by arm",
            alt=f"Course over time: {'; '.join(each)}.",
            title=title,
            notes=texts_of(notes),
            keys=tuple(
                Key(mark, colour, arm) for arm, (mark, _, colour) in zip(arms, signs, strict=True)
            ),
            ratio=0.62,
        ),
        look,
        ax,
        width,
    )
    for i, (arm, (mark, dashes, colour)) in enumerate(zip(arms, signs, strict=True)):
        mine = frame[frame["arm"].astype(str) == arm].sort_values("months")
        _arm(panel, mine, (i - (len(arms) - 1) / 2) * 0.012 * last, mark, dashes, colour)
    return panel.ax


def _course(result: Any) -> pd.DataFrame:
    """One row an arm and time; a `FollowUp` is turned into that."""
    if hasattr(result, "to_frame") and not isinstance(result, pd.DataFrame):
        wide = result.to_frame()
        if {"risk_t", "risk_c", "months"} <= set(wide.columns):
            parts = [
                pd.DataFrame({"arm": arm, "months": wide["months"], "proportion": wide[name]})
                for arm, name in (("treatment", "risk_t"), ("control", "risk_c"))
            ]
            result = pd.concat(parts, ignore_index=True)
    frame = columns_of(result, ("arm", "months", "proportion"), "follow_up")
    lacking = {name: np.nan for name in ("low", "high") if name not in frame}
    return frame.assign(**lacking).dropna(subset=["months", "proportion"])


def _arm(
    panel: Panel, rows: pd.DataFrame, shift: float, mark: str, dashes: str, colour: str
) -> None:
    """Points with their limits, moved a little aside so that the arms' limits do not hide each other."""
    x, y = (
        rows["months"].to_numpy(dtype=float) + shift,
        100 * rows["proportion"].to_numpy(dtype=float),
    )
    low, high = (100 * rows[name].to_numpy(dtype=float) for name in ("low", "high"))
    known = np.isfinite(low + high)
    panel.ax.vlines(
        ten(x[known]),
        ten(low[known]),
        ten(high[known]),
        color=colour,
        lw=1.1 * panel.scale,
        zorder=3,
    )
    line(panel, x, y, colour, dashes, 2.5)
    panel.ax.plot(
        ten(x),
        ten(y),
        ls="none",
        marker=mark,
        ms=0.72 * panel.em,
        mfc=colour,
        mec=colour,
        zorder=4,
        clip_on=False,
    )
