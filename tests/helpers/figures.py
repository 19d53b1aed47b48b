"""Results to plot, and what a plot shows of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from kapmeta.examples import load_example

BCG = load_example("bcg")


def few(k: int = 3) -> pd.DataFrame:
    rows = {
        "study": list("ABCDEF"[:k]),
        "events_t": [12, 9, 20, 8, 15, 7][:k],
        "n_t": [40, 35, 61, 30, 44, 29][:k],
        "events_c": [5, 6, 11, 7, 6, 2][:k],
        "n_c": [41, 33, 60, 31, 45, 30][:k],
    }
    return pd.DataFrame(rows)


def points(ax: Axes, which: int = 0) -> np.ndarray:
    found = [c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets())]
    return np.asarray(found[which].get_offsets())


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def all_text(ax: Axes) -> str:
    """Join all texts in reading order, so that line breaks do not matter."""
    return " ".join(texts(ax))


def plain_text(ax: Axes) -> str:
    """Join all texts in reading order, with plain spaces for fixed ones."""
    return all_text(ax).replace("\u00a0", " ")


def same_rows(drawn: np.ndarray, expected: np.ndarray) -> None:
    order = [np.lexsort(table.T[::-1]) for table in (drawn, expected)]
    np.testing.assert_allclose(drawn[order[0]], expected[order[1]], rtol=1e-9, atol=0)
