"""Rows with an empty cell: they stay in the table, have no estimate, and say why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from kapmeta.core.effects.counts import Estimates
from kapmeta.core.numerics.arrays import BoolArray, FloatArray

__all__ = ["complete", "estimated"]


def estimated(
    kernel: Callable[..., Estimates], cells: Mapping[str, FloatArray], gaps: Mapping[int, str]
) -> Estimates:
    """Compute estimates from the rows without a gap; leave those of the others absent.

    Parameters
    ----------
    kernel : callable
        Function of the columns, in order.
    cells : mapping of str to ndarray
        Columns of numbers, all of one length.
    gaps : mapping of int to str
        Positions of the rows with an empty cell.
    """
    if not gaps:
        return kernel(*cells.values())
    size = next(iter(cells.values())).size
    rows = np.setdiff1d(np.arange(size), list(gaps))
    y, v = np.full(size, np.nan), np.full(size, np.inf)
    corrected, absent = np.zeros(size, dtype=bool), np.ones(size, dtype=bool)
    if rows.size:
        found = kernel(*(values[rows] for values in cells.values()))
        y[rows], v[rows], corrected[rows], absent[rows] = found
    return Estimates(y, v, corrected, absent)


def complete(table: pd.DataFrame, columns: Iterable[str]) -> BoolArray:
    """Mark the rows of effects in which none of the columns is empty."""
    return np.asarray(table[list(columns)].notna().all(axis=1).to_numpy(dtype=bool))
