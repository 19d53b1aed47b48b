"""Ranks of computed values, in which a difference that is only rounding counts as a tie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray

RELATIVE = 1e-9
"""Neighbours that differ by no more than this share of the larger are tied."""

TIE = 1e-10
"""Permutation statistics are tied if no further below the observed one, relative to it."""

_OF_LARGEST = 1e-13  # of the largest value: values this close are tied near 0


def tied_ranks(values: npt.ArrayLike) -> IntArray:
    """Rank values from the lowest, 0; values equal up to rounding share a rank, nan comes last.

    The last digits of a computed value depend on the processor. An order, a lowest or a highest
    value that is reported is therefore taken from these ranks, and ties go by the order in which
    the values are given: ``tied_ranks(x).argmin()``, ``np.argsort(tied_ranks(x), kind="stable")``.

    Parameters
    ----------
    values : array_like, shape (n,)

    Returns
    -------
    ndarray of int, shape (n,)

    Examples
    --------
    >>> tied_ranks([0.3, 0.1 + 0.2, 0.2, float("nan")]).tolist()
    [1, 1, 0, 2]
    """
    x = np.asarray(values, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    ranks = np.empty(x.size, dtype=np.int_)
    ranks[order] = np.append(0, np.cumsum(~_equal(x[order])))[: x.size]
    return ranks


def _equal(ascending: FloatArray) -> BoolArray:
    """Test whether each value but the first equals the one before it up to rounding."""
    before, after = ascending[:-1], ascending[1:]
    finite = np.abs(ascending[np.isfinite(ascending)])
    smallest = _OF_LARGEST * finite.max() if finite.size else 0.0
    with np.errstate(invalid="ignore"):
        tolerance = RELATIVE * np.maximum(np.abs(before), np.abs(after)) + smallest
        near = np.isfinite(tolerance) & (after - before <= tolerance)
    return np.asarray(near | (before == after))
