"""Counts from printed percentages: worked examples and round trips."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.effects import printed_counts as to


@pytest.mark.parametrize(
    "percent, n, expected, consistent",
    [
        ("65.8", 111, [73], True),
        ("44", 27, [12], True),
        ("10.7", 28, [3], True),
        ("17", 35, [6], True),
        ("48.2", 27, [13], False),  # 13 / 27 = 48.148: rounded twice in print
        ("2", 35, [1], False),  # 1 / 35 = 2.857: cut off
        ("50", 200, [99, 100, 101], True),  # 49.5 and 50.5 both round to 50 by one rule or another
        ("50.0", 200, [100], True),
        ("0", 28, [0], True),
        ("100", 28, [28], True),
        ("51.7", 10, [], False),
    ],
)
def test_candidate_counts(percent: str, n: int, expected: list[int], consistent: bool) -> None:
    found = to.candidate_counts(percent, n)
    assert list(found.counts) == expected
    assert found.consistent is consistent


@given(
    st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(0, 3),
)
def test_candidate_counts_contain_the_truth(count: tuple[int, int], decimals: int) -> None:
    x, n = count
    for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN):
        percent = (Decimal(100 * x) / Decimal(n)).quantize(Decimal(1).scaleb(-decimals), rounding)
        found = to.candidate_counts(str(percent), n)
        assert x in found.counts
        assert found.consistent


@given(st.integers(0, 1000), st.integers(1, 300))
def test_candidate_counts_are_those_of_the_definition(tenths: int, n: int) -> None:
    found = to.candidate_counts(f"{tenths // 10}.{tenths % 10}", n)
    near = [x for x in range(n + 1) if 2 * abs(1000 * x - tenths * n) <= n]
    far = [x for x in range(n + 1) if abs(1000 * x - tenths * n) <= n]
    assert list(found.counts) == (near or far)
    assert found.consistent is bool(near)


def test_counts_of_nobody_and_from_words_are_refused() -> None:
    with pytest.raises(ValueError, match="n must be at least 1: n = 0"):
        to.candidate_counts("50", 0)
    with pytest.raises(ValueError, match="half"):
        to.candidate_counts("half", 27)
