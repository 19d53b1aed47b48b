"""Boolean masks of the studies taking part, for leave-one-out, cumulative and subset analyses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray

_MOST_LISTED_STUDIES = 25  # 2^25 rows of 25 booleans are 800 MB


def leave_one_out(k: int) -> BoolArray:
    """Return masks of which row i leaves study i out; shape (k, k).

    Examples
    --------
    >>> leave_one_out(3).astype(int)
    array([[0, 1, 1],
           [1, 0, 1],
           [1, 1, 0]])
    """
    return ~np.eye(k, dtype=bool)


def leave_two_out(k: int) -> BoolArray:
    """Return one mask per pair left out, in lexicographic order; shape (k (k - 1) / 2, k)."""
    first, second = np.triu_indices(k, 1)
    masks = np.ones((first.size, k), dtype=bool)
    rows = np.arange(first.size)
    masks[rows, first] = masks[rows, second] = False
    return masks


def cumulative(order: Sequence[int] | npt.NDArray[np.int_]) -> BoolArray:
    """Return masks of which row i keeps the first i + 1 studies of `order`; shape (k, k).

    `order` holds the positions of the studies.

    Examples
    --------
    >>> cumulative([2, 0, 1]).astype(int)
    array([[0, 0, 1],
           [1, 0, 1],
           [1, 1, 1]])
    """
    rank = np.argsort(np.asarray(order))
    return rank <= np.arange(rank.size)[:, None]


def all_subsets(k: int, *, smallest: int = 1) -> BoolArray:
    """List every subset of at least `smallest` of `k` studies, in binary order; shape (..., k).

    Raises
    ------
    ValueError
        If there are more subsets than memory should hold; draw a sample of subsets instead.

    Examples
    --------
    >>> all_subsets(3, smallest=2).astype(int)
    array([[1, 1, 0],
           [1, 0, 1],
           [0, 1, 1],
           [1, 1, 1]])
    """
    if k > _MOST_LISTED_STUDIES:
        size = f"2^{k} subsets of {k} studies need {k * 2.0**k / 1e9:,.0f} GB"
        raise ValueError(
            f"too many subsets: {size}; draw a random sample of rows, or use at most"
            f" {_MOST_LISTED_STUDIES} studies"
        )
    codes = np.arange(2**k, dtype="<u4").view(np.uint8).reshape(-1, 4)
    masks = np.unpackbits(codes, axis=1, count=k, bitorder="little").view(bool)
    return masks[masks.sum(1) >= smallest] if smallest > 1 else masks[smallest:]
