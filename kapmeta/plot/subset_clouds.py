"""The cloud of results over subsets of studies (GOSH)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.measures import MEASURES, Measure
from kapmeta.plot.panel.axis import ten_digits
from kapmeta.plot.panel.frames import Frame, Key, axis_of
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import frame_of
from kapmeta.plot.style import CATEGORICAL, Theme, theme_named

__all__ = ["gosh"]

HEIGHTS = {"i2": "I² (%)", "tau2": "τ²", "q": "Q"}
VECTORS = 2000  # more points than this are one picture in SVG


@checking.checked
def gosh(
    result: Any,
    *,
    by: str | None = None,
    heterogeneity: str = "i2",
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw a GOSH plot: estimate and heterogeneity of every subset of the studies [1]_.

    Two clouds mean that a study, or a few, disagree with the rest; colouring by a study shows
    which. Subsets of one study are left out. Not with fewer than four studies: there is no
    cloud.

    Parameters
    ----------
    result : result of all_subsets, or DataFrame
        Columns k, estimate, the heterogeneity asked for, and one boolean column per study. A frame
        alone is read as an effect on a linear scale.
    by : str, optional
        A study: subsets with it and without it are drawn in different marks.
    heterogeneity : {"i2", "tau2", "q"}
        What goes up the plot.
    ax, theme, title, notes, width
        As in `labbe`.

    Returns
    -------
    Axes
        x is the estimate on the scale shown, y the heterogeneity.

    Raises
    ------
    ValueError
        If a column is missing or the study is not known.

    References
    ----------
    .. [1] Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity.
       Res Synth Methods 2012;3:214-223. https://doi.org/10.1002/jrsm.1053

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.subset_clouds import gosh
    >>> frame = pd.DataFrame({"k": [2, 2, 3], "estimate": [0.1, 0.4, 0.2], "i2": [0.0, 0.5, 0.3],
    ...                       "A": [True, False, True]})
    >>> ax = gosh(frame, by="A")
    >>> len(ax.collections)
    2
    """
    look, frame = theme_named(theme), _subsets(result, heterogeneity, by)
    x, y = frame["estimate"].to_numpy(dtype=float), frame[heterogeneity].to_numpy(dtype=float)
    y = 100 * y if heterogeneity == "i2" else y
    inside = frame[by].to_numpy(dtype=bool) if by is not None else np.ones(x.size, dtype=bool)
    keys = (
        Key("o", CATEGORICAL[2], f"With {by}" if by else f"{x.size} subsets"),
        *([Key("D", CATEGORICAL[1], f"Without {by}")] if by else []),
    )
    scale: Measure = getattr(result, "scale", MEASURES["GEN"])
    top = 100.0 if heterogeneity == "i2" else float(y.max()) or 1.0
    surroundings = Frame(
        x=axis_of(x, log=scale.ratio),
        y=axis_of([0.0, top], ends=(-0.03 * top, 1.03 * top)),
        x_label=wording.capital(scale.name) + (" (log\u00a0scale)" if scale.ratio else ""),
        y_label=HEIGHTS[heterogeneity],
        name="GOSH plot" + (f" by {by}" if by else ""),
        alt=_cloud_alt(scale, x, y, heterogeneity, inside if by else None, by),
        keys=keys,
    )
    panel = framed(surroundings.with_text(title, notes), look, ax, width)
    _draw_clouds(panel, x, y, inside, keys)
    return panel.ax


def _subsets(result: Any, heterogeneity: str, by: str | None) -> pd.DataFrame:
    """Return the subsets of two studies or more that have an estimate; check the options."""
    if heterogeneity not in HEIGHTS:
        raise ValueError(
            f'heterogeneity = "{heterogeneity}" is not known; use one of: {", ".join(HEIGHTS)}'
        )
    frame = frame_of(result, ("estimate", heterogeneity), "gosh")
    frame = frame[(frame["k"] > 1) if "k" in frame else slice(None)]
    frame = frame.dropna(subset=["estimate", heterogeneity])
    if frame.empty:
        raise ValueError("gosh needs a subset of two studies or more; there is none")
    members = [str(column) for column in frame.columns if frame[column].dtype == bool]
    if by is not None and by not in members:
        raise ValueError(f'by = "{by}" is not among the studies: {", ".join(members)}')
    return frame


def _draw_clouds(
    panel: Panel, x: FloatArray, y: FloatArray, inside: BoolArray, keys: Sequence[Key]
) -> None:
    """Draw subsets with the study and without it in their marks, smaller and paler if many."""
    side = float(np.clip(0.7 * x.size**-0.12, 0.16, 0.55)) if x.size < 400 else 0.24
    for which, key in ((inside, keys[0]), (~inside, keys[-1])):
        if which.any():
            panel.ax.scatter(
                ten_digits(x[which]),
                ten_digits(y[which]),
                s=(side * panel.em) ** 2,
                marker=key.mark,
                facecolors=key.colour,
                edgecolors="none",
                alpha=float(np.clip(40 / x.size, 0.12, 0.8)),
                rasterized=x.size > VECTORS,
                zorder=3,
            )


def _cloud_alt(
    scale: Measure, x: Any, y: Any, heterogeneity: str, inside: Any, by: str | None
) -> str:
    def span(values: Any) -> str:
        low, middle, high = (wording.number(x) for x in np.quantile(values, [0, 0.5, 1]))
        return f"{low} to {high}, median {middle}"

    text = (
        f"GOSH plot of {x.size} subsets of studies: {scale.short} {span(x)};"
        f" {HEIGHTS[heterogeneity]} {span(y)}."
    )
    if by is None or not (inside.any() and (~inside).any()):
        return text
    return f"{text} With {by} {scale.short} {span(x[inside])}; without {span(x[~inside])}."
