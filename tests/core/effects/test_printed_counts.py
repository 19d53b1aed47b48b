"""Counts from percentages, odds ratios and chi-squared statistics: worked examples and round trips."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.effects import printed_counts as to
from kapmeta.core.numerics.distributions import chi2_upper


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


def test_worked_example_of_a_table_from_its_odds_ratio() -> None:
    table = to.table_from_odds_ratio(3.5, 26, 27, 19)
    assert (float(table.events_t), float(table.events_c)) == (13, 6)
    assert float(table.unrounded) == pytest.approx(13, abs=5e-3)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_tables_come_back_from_odds_ratio_and_chi_square(
    n1: int, n2: int, data: st.DataObject
) -> None:
    a, c = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    b, d, m, n = n1 - a, n2 - c, a + c, n1 + n2
    if b * c > 0:
        table = to.table_from_odds_ratio(a * d / (b * c), n1, n2, m)
        assert (float(table.events_t), float(table.events_c)) == (a, c)
    if 0 < m < n:
        determinant, margins = a * d - b * c, n1 * n2 * m * (n - m)
        sign = np.sign(determinant) or 1
        table = to.table_from_chi_square(n * determinant**2 / margins, n1, n2, m, sign=sign)
        assert (float(table.events_t), float(table.events_c)) == (a, c)
        if abs(determinant) > n / 2:
            corrected = n * (abs(determinant) - n / 2) ** 2 / margins
            table = to.table_from_chi_square(corrected, n1, n2, m, sign=sign, yates=True)
            assert float(table.events_t) == a


@given(st.integers(1, 200), st.integers(1, 200), st.data(), st.floats(0.01, 100))
def test_the_rebuilt_table_has_the_odds_ratio(
    n1: int, n2: int, data: st.DataObject, ratio: float
) -> None:
    m = data.draw(st.integers(1, n1 + n2 - 1))
    a = float(to.table_from_odds_ratio(ratio, n1, n2, m).unrounded)
    assert max(0, m - n2) - 1e-9 <= a <= min(n1, m) + 1e-9
    assert a * (n2 - m + a) == pytest.approx(
        ratio * (n1 - a) * (m - a), rel=1e-6, abs=1e-6 * max(1, ratio)
    )


def test_tables_that_cannot_be() -> None:
    assert to.table_from_odds_ratio(1.0, 30, 60, 45).unrounded == pytest.approx(15, rel=1e-14)
    assert np.isnan(
        to.table_from_odds_ratio([-1.0, np.inf, 2.0], 10, 10, [5, 5, 30]).events_t
    ).all()
    assert np.isnan(to.table_from_chi_square([500.0, -1.0, 3.0], 10, 10, [5, 5, 30]).events_t).all()


@given(st.floats(1e-12, 1))
def test_chi_square_from_p_value(p: float) -> None:
    assert chi2_upper(to.chi_square_from_p_value(p), 1) == pytest.approx(p, rel=1e-9)
