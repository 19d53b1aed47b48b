"""Marks that several plots share: dots, lines and bands; and what plots check of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.collections import PolyCollection

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.panel.axis import ten_digits
from kapmeta.plot.panel.framing import Panel
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

__all__ = ["DOT", "GREYS", "band", "dots", "drawable_effects", "frame_of", "line", "measure_words"]

DOT = 0.62  # ems
GREYS = ("#ffffff", "#eeeeeb", "#dededa", "#cbcbc6")


def dots(
    panel: Panel,
    x: FloatArray,
    y: FloatArray,
    sides: FloatArray,
    fill: Any,
    edge: Any,
    order: float = 4,
) -> None:
    """Draw discs of `sides` ems across, the small ones above the large."""
    if np.size(x):
        first = np.argsort(-np.asarray(sides), kind="stable")
        panel.ax.scatter(
            ten_digits(x)[first],
            ten_digits(y)[first],
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
    """Draw a line through these points."""
    panel.ax.plot(
        ten_digits(x), ten_digits(y), color=colour, ls=dashes, lw=1.2 * panel.scale, zorder=order
    )


def band(
    panel: Panel, x: FloatArray, low: FloatArray, high: FloatArray, colour: str, order: float = 0.2
) -> None:
    """Fill the area between two lines."""
    outline = [
        *zip(ten_digits(x), ten_digits(low), strict=True),
        *zip(ten_digits(x)[::-1], ten_digits(high)[::-1], strict=True),
    ]
    shape = PolyCollection([outline], facecolors=colour, edgecolors="none", zorder=order)
    panel.ax.add_collection(shape, False)


def drawable_effects(result: Any, name: str) -> Effects:
    """Return the effects of a result; refuse what is no result or has no estimate."""
    if not isinstance(result, Effects | Pooled):
        raise TypeError(f"result: {name} draws Effects or a Pooled, got {type(result).__name__}")
    effects = result if isinstance(result, Effects) else result.effects
    if not effects.k:
        raise ValueError(f"{name} needs a study with an estimate; there is none")
    return effects


def measure_words(effects: Effects) -> str:
    """Name the measure for the label of an axis."""
    name = effects.scale.name.split(" (")[0]
    return f"{name[:1].upper()}{name[1:]}" + (" (log\u00a0scale)" if effects.scale.ratio else "")


def frame_of(result: Any, needed: Sequence[str], name: str) -> pd.DataFrame:
    """Return the frame of a result, or the frame itself; refuse it if a column is missing."""
    has_frame = hasattr(result, "to_frame") and not isinstance(result, pd.DataFrame)
    frame = result.to_frame() if has_frame else result
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(
            f"result: {name} draws a DataFrame or a result with to_frame(), got"
            f" {type(result).__name__}"
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
