"""Two-by-two tables of several trials as strata: sums over any subsets of them.

The cells of a trial are named as in the papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2

with ``n = n1 + n2`` and ``m = a + c``. All sums are linear in the studies that take part, so any
number of subsets of one data set is a matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects import counts
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.status import Status

_Result = TypeVar("_Result")
_MASK_ELEMENTS_AT_ONCE = 1 << 20


class FilledCells(NamedTuple):
    """Cells, with 1 where `used` is False, so that terms are finite."""

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray
    used: BoolArray


class OrderedTables(NamedTuple):
    """Tables of each row in a fixed order, so that results do not depend on the order given.

    `counts` are events and participants, `exact` their cells. `there` marks the tables present,
    `impossible` those of them with more events than participants.
    """

    counts: tuple[FloatArray, ...]
    order: IntArray
    exact: FilledCells
    there: BoolArray
    impossible: BoolArray


def tables_of(*events_and_totals: npt.ArrayLike) -> OrderedTables:
    """Arrange events and participants, broadcast together, as tables in a fixed order."""
    given = counts.broadcast_floats(*(np.atleast_1d(x) for x in events_and_totals))
    order = np.lexsort(given, axis=-1)
    a, n1, c, n2 = (np.take_along_axis(x, order, axis=-1) for x in given)
    cells = counts.continuity_corrected(a, n1, c, n2, rule="none")
    return OrderedTables(
        (a, n1, c, n2), order, filled(cells), ~cells.absent, np.isnan(cells.a) & ~cells.absent
    )


def filled(tables: counts.CorrectedTables) -> FilledCells:
    """Fill absent or impossible cells with 1."""
    used = ~np.isnan(tables.a)
    a, b, c, d = (np.where(used, cell, 1.0) for cell in tables[:4])
    return FilledCells(a, b, c, d, used)


def over_masks(
    result: Callable[..., _Result],
    pool: Callable[[FloatArray], tuple[npt.NDArray[np.generic], ...]],
    tables: OrderedTables,
    mask: npt.ArrayLike | None,
) -> _Result:
    """Build `result` from `pool`, which takes 1.0 for each table that takes part.

    Many masks of one data set are pooled in blocks, so that memory is limited.
    """
    if mask is None:
        return result(*pool(tables.there.astype(np.float64)))
    mask, k = np.asarray(mask, dtype=bool), tables.order.shape[-1]
    if mask.shape[-1:] != (k,):
        raise ValueError(
            f"mask needs a last axis of {k}, one place for each table: got shape {mask.shape}"
        )
    if tables.order.ndim > 1 or mask.ndim == 1:
        mask, order = np.broadcast_arrays(mask, tables.order)
        chosen = np.take_along_axis(mask, order, axis=-1)
        return result(*pool((chosen & tables.there).astype(np.float64)))
    rows = mask.reshape(int(np.prod(mask.shape[:-1])), k)
    size = max(1, _MASK_ELEMENTS_AT_ONCE // max(k, 1))
    blocks = [
        pool((rows[start : start + size, tables.order] & tables.there).astype(np.float64))
        for start in range(0, max(len(rows), 1), size)
    ]
    fields = (np.concatenate(pieces) for pieces in zip(*blocks, strict=True))
    return result(*(field.reshape(mask.shape[:-1]) for field in fields))


def sums(part: FloatArray, *terms: FloatArray | BoolArray) -> tuple[FloatArray, ...]:
    """Sum each of `terms` over the tables that take part."""
    columns = np.stack([np.asarray(term, dtype=np.float64) for term in terms], axis=-1)
    if columns.ndim == 2:
        return tuple(np.moveaxis(part @ columns, -1, 0))
    return tuple(np.moveaxis((part[..., None] * columns).sum(-2), -1, 0))


def counted(
    part: FloatArray, tables: OrderedTables, informative: BoolArray
) -> tuple[IntArray, IntArray, BoolArray]:
    """Count tables present and informative tables; find rows with an impossible table."""
    k, k_informative, impossible = sums(part, tables.there, informative, tables.impossible)
    return k.astype(np.int_), k_informative.astype(np.int_), impossible > 0


def status(k: IntArray, impossible: BoolArray, usable: BoolArray) -> IntArray:
    """Choose a code of `kapmeta.core.numerics.status.Status` for each row."""
    conditions = [k == 0, impossible, ~usable, k == 1]
    codes = [Status.NO_STUDIES, Status.INVALID_INPUT, Status.REFUSED, Status.ONE_STUDY]
    return np.select(conditions, [np.int_(code) for code in codes], np.int_(Status.OK))


def check_word(word: object, offered: Collection[object], what: str) -> None:
    """Refuse a word that is not offered, and name those that are."""
    if word not in offered:
        raise ValueError(f"unknown {what} {word!r}; use one of: {', '.join(map(repr, offered))}")
