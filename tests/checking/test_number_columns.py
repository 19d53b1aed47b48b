"""Numbers are numbers, counts are whole and exact, and gaps are seen."""

from __future__ import annotations

import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from kapmeta import checking

LABELS = ("A", "B", "C")


def read(values: Any, **options: Any) -> Any:
    return checking.numbers(pd.DataFrame({"x": values}), "x", LABELS, **options)


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype=np.uint8),
        np.array([1, 2, 3], dtype=np.float32),
        pd.array([1, 2, 3], dtype="Int64"),
        pd.array([1, 2, 3], dtype="Float64"),
        pd.Series([1, 2.0, np.int8(3)], dtype=object),
        [Decimal(1), Decimal("2.0"), Decimal(3)],
        [Fraction(1), Fraction(4, 2), 3],
        pd.Categorical([1, 2, 3]),
    ],
)
def test_numbers_of_every_type_are_read(values: Any) -> None:
    found = read(values)
    assert found.dtype == np.float64
    assert_array_equal(found, [1, 2, 3])


@pytest.mark.parametrize("kind", ["int64[pyarrow]", "double[pyarrow]", "uint8[pyarrow]"])
def test_arrow_columns_are_read(kind: str) -> None:
    pytest.importorskip("pyarrow")
    assert_array_equal(read(pd.array([1, 2, None], dtype=kind), missing=True), [1, 2, np.nan])


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT, "", "  ", Decimal("NaN")])
def test_gaps_are_nan_or_refused(gap: Any) -> None:
    assert_array_equal(read([1, gap, 3], missing=True), [1, np.nan, 3])
    with pytest.raises(ValueError, match=r'x is missing in row 2 \("B"\): x is empty'):
        read([1, gap, 3])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (["1", "2", "3"], "it is text"),
        ([1, "n.r.", 3], "it is text"),
        (pd.to_datetime(["2024-10-12"] * 3), "it is a date"),
        ([1, datetime.date(2024, 10, 12), 3], "it is a date"),
        (pd.to_timedelta([1, 2, 3], unit="D"), "it is a date"),
        ([True, False, True], "it is a flag"),
        (pd.array([True, False, True], dtype="boolean"), "it is a flag"),
        ([1, True, 3], "it is a flag"),
        ([1, np.inf, 3], "give a number"),
        ([1, -np.inf, 3], "give a number"),
        ([1, 1j, 3], "give a number"),
        ([1, [2], 3], "give a number"),
    ],
)
def test_what_is_no_number_is_refused_by_row_and_value(values: Any, why: str) -> None:
    with pytest.raises(
        ValueError, match=rf'x is not a number in row [12] \("[AB]"\).*: x = .*{why}'
    ):
        read(values)


def test_decimals_within_rounding_error_are_counts() -> None:
    computed = np.array([0.07 * 100, 0.29 * 100, 0.58 * 100])
    assert (computed != [7, 29, 58]).all()
    assert_array_equal(checking.whole(computed, "x", LABELS), [7, 29, 58])
    for wrong in (7.001, 7 + 1e-9, 0.5):
        with pytest.raises(ValueError, match=r"x is not a whole number in row 2 .*x = "):
            checking.whole(np.array([1, wrong, 3]), "x", LABELS)


def test_counts_that_are_not_exact_are_refused() -> None:
    assert checking.whole(np.array([2.0**53 - 1, 1, 2]), "x", LABELS)[0] == 2**53 - 1
    for many in (2.0**53, 1e300):
        with pytest.raises(ValueError, match=r'x is too large to be exact in row 2 \("B"\)'):
            checking.whole(np.array([1, many, 2]), "x", LABELS)


def test_gaps_are_listed_with_the_cells_that_are_empty() -> None:
    cells = {"a": np.array([1, np.nan, np.nan]), "b": np.array([1, 2, np.nan])}
    assert checking.gaps_of(cells, LABELS) == {1: "a is empty", 2: "a and b are empty"}
    with pytest.raises(ValueError, match=r'a is missing in row 2 \("B"\)'):
        checking.gaps_of(cells, LABELS, "raise")
    with pytest.raises(ValueError, match='unknown rule for missing numbers "drop"; use one of'):
        checking.gaps_of(cells, LABELS, "drop")
