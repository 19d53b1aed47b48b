"""Forest plots: one trial or sixty, one model or several, subgroups, and sweeps of analyses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from kapmeta import checking
from kapmeta.plot.forest_page.columns import Column
from kapmeta.plot.forest_page.contents import (
    ForestContents,
    Options,
    forest_contents,
    sweep_contents,
)
from kapmeta.plot.forest_page.drawing import draw, vertical_lines
from kapmeta.plot.forest_page.grouping import Forest, Overall
from kapmeta.plot.forest_page.pages import Page, Request, fit_page
from kapmeta.plot.panel.arguments import axis_given, axis_limits, axis_ticks
from kapmeta.plot.panel.rooms import inches_of, room_of, type_scales
from kapmeta.plot.saving import describe
from kapmeta.plot.style import LEAST_POINTS, Theme, theme_named
from kapmeta.results.sweeps import Sweep

__all__ = ["axis_request", "drawn_page", "forest", "page_width", "size", "sweep"]

PAGE_MARGIN = 5.0  # points of white around a figure of its own
MOST_STRETCH = 1.5


@checking.checked
def forest(
    result: Forest,
    *,
    ax: Axes | None = None,
    overall: Overall = None,
    theme: str | Theme = "kapmeta",
    left: Iterable[str | Column] = (),
    right: Iterable[str | Column] = (),
    drop: Iterable[str] = (),
    studies: bool = True,
    prediction: str = "bar",
    shrunken: pd.DataFrame | None = None,
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
    xlim: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
) -> Axes:
    """Draw a forest plot: trials with counts, effects, weights and evidence, and what was pooled.

    Every number is in the result's ``to_frame()``. One trial gets no diamond. Trials without an
    estimate are listed in grey with the reason. Intervals and diamonds that leave the axis end in
    an arrow, as do infinite limits. The sides of no effect say which arm they favour where the
    effects have `event_is_good`, and else in which arm there is more of the event. Not for more
    than some sixty trials on one page.

    Parameters
    ----------
    result : Effects, Pooled, Posterior, Subgroups, sequence of these, or mapping of str to Pooled
        Effects alone are shown trial by trial. Several pooled results of the same effects give a
        diamond each under one set of trials. `Subgroups`, or a mapping, give subgroups, each with
        its trials, diamond and heterogeneity; several `Subgroups`, or a mapping to lists of Pooled,
        give each subgroup a diamond a model.
    ax : Axes, optional
        Where to draw, also in subplots and subfigures. The columns take their room from it, and
        type shrinks, to 5 points at the least, if it is too small; `size` gives what would fit.
        Without it a figure is made.
    overall : Pooled or sequence of Pooled, optional
        The result over all subgroups, below them, for each model; weights are then shares in it.
    theme : str or Theme
        A word of `kapmeta.plot.style.THEMES`: ``kapmeta``, ``revman``, ``jama``, ``bmj``,
        ``minimal``.
    left, right : iterable of str or Column
        More columns: names of columns of the trials, or `Column` for another head, format or
        alignment.
    drop : iterable of str
        Names of columns to leave out.
    studies : bool
        False shows the pooled results alone.
    prediction : {"bar", "density"}
        How the effect in a new study is drawn: its interval as a bar, or its density.
    shrunken : DataFrame, optional
        Estimates of the studies drawn towards the mean, as ``Posterior.shrunken()``: columns study,
        estimate, low and high, one row per study pooled.
    title : str
        Above the plot; wrapped.
    notes : iterable of str
        More lines below the plot; wrapped.
    width : float or str, optional
        Width of the figure in inches, or a word of `kapmeta.plot.style.WIDTHS`; by default as wide
        as needed.
    xlim : tuple of float, optional
        Ends of the axis on the scale shown, the lower first. What lies beyond is drawn as an arrow.
    ticks : sequence of float, optional
        Values labelled on the axis, on the scale shown; within `xlim` if that is given.

    Returns
    -------
    Axes
        The panel of the plot; its x axis is the effect on the scale shown, so lines can be added to
        it.

    Raises
    ------
    ValueError
        For an unknown theme or column, results of different measures or studies, an axis that runs
        backwards or, for a ratio, to 0, or too little room.
    TypeError
        If `result` is something else.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.forests import forest
    >>> from kapmeta.results.effects import Effects
    >>> trials = pd.DataFrame({"events_t": [13], "n_t": [26], "events_c": [6], "n_c": [27]})
    >>> effects = Effects([0.81093], [0.16809], ("Krupitsky 2007",), "RR", trials)
    >>> ax = forest(effects)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['0.5', '1', '2', '5']
    """
    look = theme_named(theme)
    options = Options(left, right, drop, studies, title, notes, prediction, shrunken)
    contents = forest_contents(result, overall, look, options)
    return _plotted(contents, look, ax, width, axis_request(contents, xlim, ticks))


@checking.checked
def sweep(
    result: Sweep,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    left: Iterable[str | Column] = (),
    right: Iterable[str | Column] = (),
    drop: Iterable[str] = (),
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
    xlim: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
) -> Axes:
    """Draw a forest plot of analyses instead of trials: leave-one-out or any other sweep.

    The dotted line is the analysis with nothing changed, shown as a diamond below the others. Not
    for sweeps of thousands of analyses: those are clouds, not rows.

    Parameters
    ----------
    result : Sweep
        What `leave_one_out`, `cumulative`, `estimator_table` or another sweep returned.
    ax, theme, left, right, drop, title, notes, width, xlim, ticks
        As in `forest`; columns are those of the sweep's ``to_frame()``.

    Returns
    -------
    Axes
        The panel of the plot.

    Raises
    ------
    ValueError
        As `forest`.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.forests import sweep
    >>> from kapmeta.results.effects import Effects
    >>> from kapmeta.results.sweeps import Sweep
    >>> trials = pd.DataFrame({"study": ["A", "B"]})
    >>> effects = Effects([0.8, 1.0], [0.17, 0.04], ("A", "B"), "RR", trials)
    >>> table = pd.DataFrame({"analysis": ["without A", "without B"], "k": 1, "y": [1.0, 0.8],
    ...                       "se": [0.2, 0.4], "y_low": [0.6, 0.0], "y_high": [1.4, 1.6],
    ...                       "p_value": [0.001, 0.05]})
    >>> ax = sweep(Sweep("leave-one-out", table, effects))
    >>> ax.get_xscale()
    'log'
    """
    if not isinstance(result, Sweep):
        raise TypeError(
            f"result: sweep draws a Sweep, got {type(result).__name__}; a Pooled is drawn by forest"
        )
    look = theme_named(theme)
    options = Options(left, right, drop, title=title, notes=notes)
    contents = sweep_contents(result, look, options)
    return _plotted(contents, look, ax, width, axis_request(contents, xlim, ticks))


def axis_request(contents: ForestContents, xlim: Any, ticks: Any) -> Request:
    """Check the ends and ticks asked for against the scale, and put them into a request."""
    ends = axis_limits(xlim, ratio=contents.scale.ratio)
    return Request(ends=ends, ticks=axis_ticks(ticks, ends, ratio=contents.scale.ratio))


@checking.checked
def size(
    result: Forest | Sweep,
    *,
    overall: Overall = None,
    theme: str | Theme = "kapmeta",
    left: Iterable[str | Column] = (),
    right: Iterable[str | Column] = (),
    drop: Iterable[str] = (),
    studies: bool = True,
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> tuple[float, float]:
    """Find the size in inches of the figure that holds the plot at its full type size.

    Parameters
    ----------
    result, overall, theme, left, right, drop, studies, title, notes, width
        As they will be given to `forest` or `sweep`.

    Returns
    -------
    tuple of float
        For ``figsize``, to hundredths of an inch; the height follows `width` if that is given.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.forests import size
    >>> from kapmeta.results.effects import Effects
    >>> trials = pd.DataFrame({"study": ["A", "B"]})
    >>> effects = Effects([0.8, 1.0], [0.17, 0.04], ("A", "B"), "RR", trials)
    >>> wide, high = size(effects)
    >>> 3 < wide < 7 and 1 < high < 3
    True
    """
    look = theme_named(theme)
    options = Options(left, right, drop, studies, title, notes)
    contents = (
        sweep_contents(result, look, options)
        if isinstance(result, Sweep)
        else forest_contents(result, overall, look, options)
    )
    return _page_inches(
        fit_page(contents, look, Request(width=page_width(width), margin=PAGE_MARGIN))
    )


def page_width(width: float | str | None) -> float:
    """Convert a width in inches or a word to points; nan for a page as wide as it needs."""
    inches = inches_of(width)
    return math.nan if inches is None else 72.0 * inches


def drawn_page(contents: ForestContents, theme: Theme, request: Request) -> Axes:
    """Draw one page in a figure of its own."""
    return _plotted(contents, theme, None, None, request)


def _plotted(
    contents: ForestContents,
    theme: Theme,
    ax: Axes | None,
    width: float | str | None,
    request: Request,
) -> Axes:
    """Set and draw a page in a figure of its own, or in the room of `ax`."""
    scale = 1.0
    ax = axis_given(ax)
    if ax is None:
        asked = request._replace(margin=PAGE_MARGIN)
        fitted = fit_page(
            contents, theme, asked if width is None else asked._replace(width=page_width(width))
        )
        ax = _axes_of_new_figure(fitted, theme)
    elif width is not None:
        raise ValueError(
            "width= is for figures that forest makes; on a given ax the width is that of the ax"
        )
    else:
        fitted, scale = _fitted_to_axes(contents, theme, ax, request)
    draw(fitted, ax, theme, scale)
    vertical_lines(fitted, contents.scale.null, contents.references, ax, theme, scale)
    describe(ax, contents.title or contents.name, contents.alt)
    return ax


def _axes_of_new_figure(fitted: Page, theme: Theme) -> Axes:
    """Make a figure of the page's size, by pyplot so that notebooks show it; add the panel."""
    from matplotlib import pyplot

    width, height = _page_inches(fitted)
    figure = pyplot.figure(figsize=(width, height), layout="none", facecolor=theme.paper)
    return figure.add_axes(_panel_box(fitted, Bbox.unit(), 72 * width, 72 * height))


def _page_inches(fitted: Page) -> tuple[float, float]:
    """Return the width and height of the page, rounded up to hundredths."""
    return math.ceil(fitted.width / 0.72 - 1e-9) / 100, math.ceil(fitted.height / 0.72 - 1e-9) / 100


def _panel_box(
    fitted: Page, slot: Bbox, width: float, height: float
) -> tuple[float, float, float, float]:
    """Find the left, bottom, width and height of the panel in the coordinates of `slot`."""
    x, y = slot.width / width, slot.height / height
    tall = fitted.panel_height
    left, bottom = slot.x0 + fitted.sheet.panel_x * x, slot.y1 - (fitted.top + tall) * y
    return left, bottom, fitted.sheet.panel * x, tall * y


def _fitted_to_axes(
    contents: ForestContents, theme: Theme, ax: Axes, request: Request
) -> tuple[Page, float]:
    """Set the page into the room of `ax`, at the largest type that fits; move `ax` on the panel."""
    slot, width, height = room_of(ax)
    why = ""
    for scale in type_scales(theme.points):
        asked = request._replace(width=width / scale)
        try:
            fitted = fit_page(contents, theme, asked)
        except ValueError as error:
            why = str(error)
            continue
        if fitted.height <= height / scale * (1 + 1e-9):
            fitted = _stretched(contents, theme, asked, fitted, height / scale)
            ax.set_position(_panel_box(fitted, slot, width / scale, height / scale))
            return fitted, float(scale)
        need = fitted.height * scale / 72
        why = f"its rows need {need:.1f} in of height at {LEAST_POINTS:g} points"
    raise ValueError(
        f"the ax has {width / 72:.1f} x {height / 72:.1f} in, too little for this plot: {why}; "
        "kapmeta.plot.size(result) gives the figure size that fits"
    )


def _stretched(
    contents: ForestContents, theme: Theme, request: Request, fitted: Page, height: float
) -> Page:
    """Set the rows farther apart where there is height to spare."""
    spare = (height - fitted.height) / max(sum(tall for _, _, tall in fitted.rows), 1.0)
    stretch = min(MOST_STRETCH, 1 + 0.98 * spare)
    return fit_page(contents, theme, request._replace(stretch=stretch)) if stretch > 1 else fitted
