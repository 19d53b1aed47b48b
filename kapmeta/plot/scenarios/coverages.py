"""Plots of a simulation: coverage against width, and coverage against heterogeneity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kapmeta import checking, wording
from kapmeta.measures import measure_named
from kapmeta.plot.panel.frames import Frame, Key, axis_of
from kapmeta.plot.panel.framing import framed
from kapmeta.plot.panel.labelling import PointNames
from kapmeta.plot.panel.marks import dots, line
from kapmeta.plot.style import CATEGORICAL, Theme, theme_named
from kapmeta.results.scenarios.simulations import Simulation

__all__ = ["coverage_by_tau", "coverage_by_width"]

DASHES = ("-", (0, (4, 2.5)), (0, (1.5, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 3)))
DOT = 0.62  # ems


@checking.checked
def coverage_by_width(
    result: Simulation,
    *,
    measure: str = "RR",
    methods: Sequence[str] | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Plot the smallest coverage of each method against the width of its intervals.

    One point per method and number of trials, which is written beside it. The line is the level
    claimed. The best methods are at the top left: they cover, and they are narrow.

    Parameters
    ----------
    result : Simulation
        What `kapmeta.sensitivity.simulate` returned.
    measure : str
        The measure to show.
    methods : sequence of str, optional
        Up to five methods; the first five by default.
    ax, theme, title, notes, width
        As in `kapmeta.plot.posterior`.

    Returns
    -------
    Axes
        x is the median width on the analysis scale, y the smallest coverage over the scenarios.

    Raises
    ------
    ValueError
        If there is nothing of that measure, or a method is not in the simulation.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.plot.scenarios.coverages import coverage_by_width
    >>> given = km.sensitivity.scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.3],
    ...                                  effects=[2.0], tau=[0.0, 0.3])
    >>> names = ["half-normal 1", "REML, wald"]
    >>> ax = coverage_by_width(km.sensitivity.simulate(given, methods=names, draws=200))
    >>> ax.get_xscale()
    'log'
    """
    look, shown = theme_named(theme), _shown_methods(result, measure, methods)
    worst = result.worst()
    worst = worst[(worst["measure"] == measure) & worst["method"].isin(shown)]
    worst = worst[np.isfinite(worst["width"]) & np.isfinite(worst["coverage"])]
    x, y = worst["width"].to_numpy(), 100 * worst["coverage"].to_numpy()
    labels = [f"{k}" for k in worst["k"]]
    name = measure_named(measure).name
    frame = Frame(
        x=axis_of(x, log=True),
        y=axis_of(np.append(y, 100 * result.level)),
        x_label=f"Median width of the interval ({_unit(measure)})",
        y_label="Smallest coverage, %",
        name=f"Coverage and width: {name}",
        alt=f"Smallest coverage against median width, {name}. {_numbers(worst)}",
        notes=("Numbers beside the points: trials in a set.",),
        keys=_keys(shown),
        ratio=0.75,
        names=PointNames(x, y, np.full(x.size, DOT), labels),
    )
    panel = framed(frame.with_text(title, notes), look, ax, width)
    line(panel, [panel.x.low, panel.x.high], [100 * result.level] * 2, look.text, order=1.5)
    for i, method in enumerate(shown):
        own = (worst["method"] == method).to_numpy()
        line(panel, x[own], y[own], CATEGORICAL[i], DASHES[i])
        dots(panel, x[own], y[own], np.full(int(own.sum()), DOT), CATEGORICAL[i], look.text)
    return panel.ax


@checking.checked
def coverage_by_tau(
    result: Simulation,
    *,
    measure: str = "RR",
    methods: Sequence[str] | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Plot coverage against the heterogeneity supposed, for a few methods or policies.

    Upright lines reach from the smallest to the largest coverage over the scenarios, with a dot at
    the median; the other lines join the smallest.

    Parameters
    ----------
    result, measure, methods, ax, theme, title, notes, width
        As in `coverage_by_width`.

    Returns
    -------
    Axes
        x is tau on the analysis scale, y the coverage in percent.

    Raises
    ------
    ValueError
        As in `coverage_by_width`.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.plot.scenarios.coverages import coverage_by_tau
    >>> given = km.sensitivity.scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.3],
    ...                                  effects=[2.0], tau=[0.0, 0.3])
    >>> names = ["half-normal 1", "REML, wald"]
    >>> coverage_by_tau(km.sensitivity.simulate(given, methods=names, draws=200)).get_xscale()
    'linear'
    """
    look, shown = theme_named(theme), _shown_methods(result, measure, methods)
    table = result.table
    table = table[(table["measure"] == measure) & table["method"].isin(shown)]
    lowest = table.groupby(["method", "tau"])["coverage"].min()
    name, last = measure_named(measure).name, float(table["tau"].max())
    room = 0.06 * max(last, 0.1)
    words = "; ".join(
        f"{method}: "
        + ", ".join(f"{wording.number(c)} at {t:g}" for t, c in lowest[method].items())
        for method in shown
    )
    frame = Frame(
        x=axis_of([0.0, last], ends=(-room, last + room)),
        y=axis_of(100 * np.append(table["coverage"].to_numpy(), result.level)),
        x_label=f"Between-study standard deviation τ ({_unit(measure)})",
        y_label="Coverage, %",
        name=f"Coverage and heterogeneity: {name}",
        alt=f"Coverage against the between-study standard deviation, {name}. Smallest: {words}.",
        keys=_keys(shown),
        ratio=0.6,
    )
    panel = framed(frame.with_text(title, notes), look, ax, width)
    line(panel, [panel.x.low, panel.x.high], [100 * result.level] * 2, look.text, order=1.5)
    for i, method in enumerate(shown):
        own = table[table["method"] == method].groupby("tau")["coverage"]
        shift = 0.25 * room * (i - (len(shown) - 1) / 2)
        low, middle, high = (100 * part.to_numpy() for part in (own.min(), own.median(), own.max()))
        x = own.min().index.to_numpy(dtype=float) + shift
        for at, ends in zip(x, zip(low, high, strict=True), strict=True):
            line(panel, [at, at], ends, CATEGORICAL[i], order=2)
        dots(panel, x, middle, np.full(x.size, DOT), CATEGORICAL[i], look.text)
        line(panel, x, low, CATEGORICAL[i], DASHES[i], 3)
    return panel.ax


def _shown_methods(
    result: Simulation, measure: str, methods: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the methods to show; refuse one that has no row of the measure."""
    checking.instance(result, Simulation, "result", "come from kapmeta.sensitivity.simulate")
    checking.instance(measure, str, "measure", "be text")
    if methods is not None and (isinstance(methods, str) or not len(methods)):
        raise ValueError(f"methods must be a list of one name or more: got {methods!r}")
    there = list(dict.fromkeys(result.table.loc[result.table["measure"] == measure, "method"]))
    if not there:
        raise ValueError(f"the simulation has no scenario of measure {measure}")
    most = len(CATEGORICAL)
    shown = there[:most] if methods is None else list(methods)
    if len(shown) > most:
        raise ValueError(f"at most {most} methods can be told apart: got {len(shown)}")
    return tuple(checking.chosen(name, there, "method, of methods") for name in shown)


def _unit(measure: str) -> str:
    scale = measure_named(measure)
    return f"log {scale.name}" if scale.ratio else scale.name


def _keys(shown: Sequence[str]) -> tuple[Key, ...]:
    return tuple(Key("o", CATEGORICAL[i], name) for i, name in enumerate(shown))


def _numbers(worst: pd.DataFrame) -> str:
    """List the smallest coverage of each method by number of trials."""
    parts = []
    for method, rows in worst.groupby("method", sort=False):
        each = (f"{wording.number(row.coverage)} with {row.k}" for row in rows.itertuples())
        parts.append(f"{method}: {', '.join(each)} trials")
    return f"{'; '.join(parts)}."
