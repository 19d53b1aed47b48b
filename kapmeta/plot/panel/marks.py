"""Marks that several plots share: dots, lines, bands, and numbers to ten digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.collections import PolyCollection

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.panel.framing import Panel
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

__all__ = [
    "DOT",
    "GREYS",
    "band",
    "columns_of",
    "dots",
    "effects_of",
    "line",
    "measure_words",
    "ten",
]

DOT = 0.62  # ems
GREYS = ("#ffffff", "#eeeeeb", "#dededa", "#cbcbc6")


def ten(values: npt.ArrayLike) -> FloatArray:
    """Ten digits, so that nothing drawn hangs on the last bit."""
    return np.array([float(f"{value:.10g}") for value in np.ravel(np.asarray(values, dtype=float))])


def dots(
    panel: Panel,
    x: FloatArray,
    y: FloatArray,
    sides: FloatArray,
    fill: Any,
    edge: Any,
    order: float = 4,
) -> None:
    """Discs of `sides` ems across, the small ones above the large."""
    if np.size(x):
        first = np.argsort(-np.asarray(sides), kind="stable")
        panel.ax.scatter(
            ten(x)[first],
            ten(y)[first],
            s=(np.asarray(sides)[first] * panel.em) ** 2,
            facecolors=fill,
            edgecolors=edge,
            linewidths=0.8 * panel.scale,
            zorder=order,
            clip_on=False,
        )


def line(
    panel: Panel,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    colour: str,
    dashes: Any = "-",
    order: float = 2,
) -> None:
    """A line through these points."""
    panel.ax.plot(ten(x), ten(y), color=colour, ls=dashes, lw=1.2 * panel.scale, zorder=order)


def band(
    panel: Panel, x: FloatArray, low: FloatArray, high: FloatArray, colour: str, order: float = 0.2
) -> None:
    """The area between two lines."""
    outline = [
        *zip(ten(x), ten(low), strict=True),
        *zip(ten(x)[::-1], ten(high)[::-1], strict=True),
    ]
    shape = PolyCollection([outline], facecolors=colour, edgecolors="none", zorder=order)
    panel.ax.add_collection(shape, False)


def effects_of(result: Any, name: str) -> Effects:
    """The effects of a result; refused if it is none or has no study with an estimate."""
    if not isinstance(result, Effects | Pooled):
        raise TypeError(f"{name} draws Effects or a Pooled, got {type(result).__name__}")
    effects = result if isinstance(result, Effects) else result.effects
    if not effects.k:
        raise ValueError(f"{name} needs a study with an estimate; there is none")
    return effects


def measure_words(effects: Effects) -> str:
    """The measure as label of an axis."""
    name = effects.scale.name.split(" (")[0]
    return f"{name[:1].upper()}{name[1:]}" + (" (log\u00a0scale)" if effects.scale.ratio else "")


def columns_of(result: Any, needed: Sequence[str], name: str) -> pd.DataFrame:
    """The frame of a result, or the frame itself; refused if a column is missing."""
    frame = (
        result
        if isinstance(result, pd.DataFrame)
        else result.to_frame()
        if hasattr(result, "to_frame")
        else None
    )
    if frame is None:
        raise TypeError(
            f"{name} draws a DataFrame or a result with to_frame(), got {type(result).__name__}"
        )
    lacking = [column for column in needed if column not in frame]
    if lacking:
        raise ValueError(
            f'{name} needs the column "{lacking[0]}"; there are:'
            f" {', '.join(map(str, frame.columns))}"
        )
    if frame.empty:
        raise ValueError(f"{name} needs a row; there is none")
    return frame.reset_index(drop=True)
