"""Means and standard deviations: worked examples, the small-sample factor, the way from other
summaries.

Agreement with metafor's `escalc` on every reference record is in `test_escalc`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial, pi
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.effects import means
from kapmeta.core.effects.counts import Estimates
from kapmeta.core.numerics.distributions import t_quantile, t_two_sided

PDA = (86.2, 20.1, 24, 75.9, 24.7, 23)  # percentage of days abstinent, as in Grabski 2022
MEASURES: dict[str, Callable[..., Estimates]] = {
    "MD": means.mean_difference,
    "SMD": means.standardized_mean_difference,
    "ROM": means.ratio_of_means,
}
spreads = st.floats(0.1, 50)
sizes = st.integers(2, 300)
arms = st.tuples(st.floats(1, 100), spreads, sizes, st.floats(1, 100), spreads, sizes)


# Worked examples (metafor 5.1-12 escalc, conv.fivenum with test=FALSE).


@pytest.mark.parametrize(
    "function, options, y, v",
    [
        (means.mean_difference, {}, 10.3, 43.359402173913),
        (means.standardized_mean_difference, {}, 0.450762080416, 0.0873064855484),
        (means.standardized_mean_difference, {"variance": "ub"}, 0.450762080416, 0.087493667193),
        (means.ratio_of_means, {}, 0.126083998982, 0.00687001230639),
        (means.ratio_of_means, {"bias_corrected": False}, np.log(86.2 / 75.9), 0.00687001230639),
    ],
)
def test_worked_examples(
    function: Callable[..., Estimates], options: Any, y: float, v: float
) -> None:
    effect = function(*PDA, **options)
    assert float(effect.y) == pytest.approx(y, rel=1e-11)
    assert float(effect.v) == pytest.approx(v, rel=1e-11)
    assert not effect.absent
    assert not effect.corrected


@pytest.mark.parametrize(
    "summary, mean, sd, skewed",
    [
        (means.from_quartiles(60, 80, 97, 24), 78.925625, 29.15812858, False),
        (means.from_extremes(20, 80, 100, 24), 74.6103353445, 20.5454532646, True),
        (means.from_five_numbers(20, 60, 80, 97, 100, 24), 75.7646657434, 23.3040289088, True),
    ],
)
def test_worked_examples_from_quantiles(
    summary: means.MeanAndSd, mean: float, sd: float, skewed: bool
) -> None:
    assert float(summary.mean) == pytest.approx(mean, rel=1e-10)
    assert float(summary.sd) == pytest.approx(sd, rel=1e-9)
    assert bool(summary.skewed) is skewed


def test_the_screen_of_the_range_fires_at_its_printed_value() -> None:
    summary = means.from_extremes(20, 80, 100, 24)
    assert float(summary.skewness) == 0.5
    assert float(summary.critical) == pytest.approx(0.386, abs=5e-4)


def test_the_screens_at_ten_patients() -> None:
    extremes, quartiles, five = _summaries((0, 2, 3, 6, 10), 10)
    assert (extremes.skewness, quartiles.skewness) == pytest.approx((0.4, 0.5), rel=1e-12)
    outer, inner = 2.65 * np.log(6) / np.sqrt(10) * 0.4, 0.5
    assert five.skewness == pytest.approx(max(outer, inner), rel=1e-12)
    critical = (extremes.critical, quartiles.critical, five.critical)
    assert critical == pytest.approx(
        (0.5668960, 0.7780036, 0.9086833), abs=5e-8
    )  # 1 / ln 19 + 2.5 / 11, ...


# The small-sample factor.


@pytest.mark.parametrize("df", [2, 4, 10, 44, 100, 170, 298, 300, 302, 340, 500, 1000, 4000])
def test_small_sample_factor_against_exact_arithmetic(df: int) -> None:
    half = df // 2  # J^2 = (G(h) / G(h - 1/2))^2 / h, a rational number over pi for whole h
    ratio = Fraction(factorial(half - 1) ** 2 * 4 ** (half - 1), factorial(2 * half - 2))
    exact = float(ratio**2 / half) / pi
    assert float(means.small_sample_factor(df)) ** 2 == pytest.approx(exact, rel=4e-15, abs=0)


def test_small_sample_factor_is_near_its_approximation_and_undefined_at_1() -> None:
    assert float(means.small_sample_factor(45)) == pytest.approx(0.983224544377, rel=1e-12)
    assert float(means.small_sample_factor(45)) == pytest.approx(1 - 3 / (4 * 45 - 1), rel=2e-5)
    assert np.isnan(means.small_sample_factor([1, 0, -3])).all()


@given(st.floats(1.5, 5000))
def test_small_sample_factor_joins_without_a_step(df: float) -> None:
    here, there = means.small_sample_factor([df, df * 1.0001])
    assert 0 < here < there < 1


# Absent, inestimable and impossible rows.


@pytest.mark.parametrize("function", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("column", range(6))
def test_a_missing_number_makes_a_row_absent(
    function: Callable[..., Estimates], column: int
) -> None:
    row = [*PDA]
    row[column] = np.nan
    effect = function(*np.array([PDA, row]).T)
    assert effect.absent.tolist() == [False, True]
    assert np.isnan(effect.y[1])
    assert effect.v[1] == np.inf
    assert effect.y[0] == function(*PDA).y


@pytest.mark.parametrize("function", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("row", [(5, 0, 10, 4, 0, 10), (5, 1, 0, 4, 1, 10), (5, 1, 10, 4, 1, 0)])
def test_rows_without_spread_or_people_are_absent(
    function: Callable[..., Estimates], row: Any
) -> None:
    effect = function(*row)
    assert effect.absent
    assert effect.v == np.inf


@pytest.mark.parametrize("function", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize(
    "row", [(5, -1, 10, 4, 1, 10), (5, 1, 10, 4, -1, 10), (5, 1, -3, 4, 1, 9), (5, 1, 9, 4, 1, -3)]
)
def test_impossible_rows_are_nan_and_not_absent(
    function: Callable[..., Estimates], row: Any
) -> None:
    effect = function(*row)
    assert not effect.absent
    assert np.isnan([effect.y, effect.v]).all()


@pytest.mark.parametrize(
    "row", [(-5, 1, 10, 4, 1, 10), (5, 1, 10, 0, 1, 10), (-5, 1, 10, -4, 1, 10)]
)
def test_ratio_of_means_needs_positive_means(row: Any) -> None:
    effect = means.ratio_of_means(*row)
    assert not effect.absent
    assert np.isnan([effect.y, effect.v]).all()


def test_standardised_mean_difference_needs_two_degrees_of_freedom() -> None:
    effect = means.standardized_mean_difference(5, 1, [1, 2], 4, 1, [2, 2])
    assert effect.absent.tolist() == [True, False]


def test_an_unknown_variance_is_refused_with_the_table() -> None:
    with pytest.raises(ValueError, match='unknown variance "LS"; use one of: ls, ub'):
        means.standardized_mean_difference(*PDA, variance="LS")


# Properties.


@given(arms)
def test_swapping_arms_negates(row: Any) -> None:
    for function in MEASURES.values():
        one, other = function(*row), function(*row[3:], *row[:3])
        np.testing.assert_allclose(one.y, -other.y, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.v, other.v, rtol=1e-10)
        assert one.v > 0


@given(arms, st.floats(1e-6, 1e6))
def test_units(row: Any, c: float) -> None:
    scaled = np.array(row) * [c, c, 1, c, c, 1]
    one, other = means.mean_difference(*row), means.mean_difference(*scaled)
    np.testing.assert_allclose(other.y, one.y * c, rtol=1e-10, atol=1e-12 * c)
    np.testing.assert_allclose(other.v, one.v * c * c, rtol=1e-10)
    for function in (means.standardized_mean_difference, means.ratio_of_means):
        np.testing.assert_allclose(function(*scaled).y, function(*row).y, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(function(*scaled).v, function(*row).v, rtol=1e-9)


@given(st.lists(arms, min_size=4, max_size=4))
def test_a_batch_is_a_loop(rows: Any) -> None:
    batch = np.array(rows).T.reshape(6, 2, 2)
    for function in MEASURES.values():
        together = function(*batch)
        for i in range(2):
            for a, b in zip(together, function(*batch[:, i]), strict=True):
                np.testing.assert_array_equal(a[i], b)


def test_standardised_mean_difference_is_unbiased() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(0.8, 1, (40_000, 6)), rng.normal(0, 1, (40_000, 6))
    effect = means.standardized_mean_difference(
        x.mean(-1), x.std(-1, ddof=1), 6, y.mean(-1), y.std(-1, ddof=1), 6, variance="ub"
    )
    error = effect.y.std() / np.sqrt(effect.y.size)
    assert effect.y.mean() == pytest.approx(0.8, abs=4 * error)
    assert effect.v.mean() == pytest.approx(effect.y.var(), rel=0.02)


# Standard deviations from other summaries.


@given(spreads, sizes)
def test_standard_deviation_from_standard_error_and_interval(sd: float, n: int) -> None:
    se = sd / np.sqrt(n)
    half = t_quantile(0.975, n - 1) * se
    assert means.sd_from_standard_error(se, n) == pytest.approx(sd, rel=1e-12)
    assert means.sd_from_interval(3 - half, 3 + half, n) == pytest.approx(sd, rel=1e-9)
    half = t_quantile(0.95, n - 1) * se
    assert means.sd_from_interval(-half, half, n, level=0.9) == pytest.approx(sd, rel=1e-9)


@given(spreads, sizes, sizes, st.floats(0.5, 20))
def test_pooled_standard_deviation_from_what_a_difference_is_printed_with(
    sd: float, n_t: int, n_c: int, difference: float
) -> None:
    se, df = sd * np.sqrt(1 / n_t + 1 / n_c), n_t + n_c - 2
    half, t = t_quantile(0.975, df) * se, difference / se
    assert means.pooled_sd_from_standard_error(se, n_t, n_c) == pytest.approx(sd, rel=1e-12)
    interval = means.pooled_sd_from_interval(difference - half, difference + half, n_t, n_c)
    assert interval == pytest.approx(sd, rel=1e-8)
    assert means.pooled_sd_from_t(-difference, t, n_t, n_c) == pytest.approx(sd, rel=1e-12)
    p = t_two_sided(t, df)
    if p > 1e-200:
        assert means.pooled_sd_from_p_value(difference, p, n_t, n_c) == pytest.approx(sd, rel=1e-6)


def test_numbers_that_give_no_standard_deviation_are_nan() -> None:
    assert np.isnan(means.sd_from_standard_error(-1.0, 10))
    assert np.isnan(means.sd_from_interval(5.0, 3.0, 10))
    assert np.isnan(means.sd_from_interval(3.0, 5.0, 1))
    assert np.isnan(means.pooled_sd_from_t(3.0, 0.0, 10, 10))
    assert np.isnan(means.pooled_sd_from_p_value(3.0, [0.0, 1.0, 1.2], 10, 10)).all()
    assert np.isnan(means.sd_of_change(1.0, 1.0, 1.5))


@given(spreads, spreads)
def test_standard_deviation_of_change(before: float, after: float) -> None:
    low, zero, high = means.sd_of_change(before, after, [1.0, 0.0, -1.0])
    assert low == pytest.approx(abs(before - after), rel=1e-6, abs=1e-6)
    assert zero == pytest.approx(np.hypot(before, after), rel=1e-12)
    assert high == pytest.approx(before + after, rel=1e-12)


# Means and standard deviations from quantiles.


def _summaries(quantiles: Any, n: Any) -> list[means.MeanAndSd]:
    a, q1, m, q3, b = quantiles
    return [
        means.from_extremes(a, m, b, n),
        means.from_quartiles(q1, m, q3, n),
        means.from_five_numbers(a, q1, m, q3, b, n),
    ]


@given(
    st.lists(st.floats(-50, 50), min_size=5, max_size=5, unique=True),
    st.integers(5, 2000),
    st.floats(1e-6, 1e6),
    st.floats(-100, 100),
)
def test_quantile_summaries_follow_units_and_origin(
    values: Any, n: int, c: float, shift: float
) -> None:
    quantiles = np.sort(values)
    if (np.diff(quantiles) < 1e-3).any():
        return
    for one, other in zip(
        _summaries(quantiles, n), _summaries((quantiles + shift) * c, n), strict=True
    ):
        np.testing.assert_allclose(other.mean, (one.mean + shift) * c, rtol=1e-9, atol=1e-9 * c)
        np.testing.assert_allclose(other.sd, one.sd * c, rtol=1e-8)
        np.testing.assert_allclose(other.skewness, one.skewness, rtol=1e-6, atol=1e-8)
        assert quantiles[0] <= one.mean <= quantiles[4]


def test_normal_quantiles_give_back_their_mean_and_standard_deviation() -> None:
    rng = np.random.default_rng(11)
    x = np.sort(rng.normal(40, 12, (4000, 201)), axis=-1)
    five = x[:, [0, 50, 100, 150, 200]].T
    for summary in _summaries(five, 201):
        assert summary.mean.mean() == pytest.approx(40, rel=0.005)
        assert summary.sd.mean() == pytest.approx(12, rel=0.02)
        assert summary.skewed.mean() < 0.12


def test_quantiles_out_of_order_are_nan() -> None:
    for summary in _summaries((9, 8, 7, 6, 5), 20):
        assert np.isnan([summary.mean, summary.sd]).all()
        assert not summary.skewed
    for summary in _summaries((1, 2, 3, 4, 5), [0, -4]):
        assert np.isnan([summary.mean, summary.sd]).all()


def test_quantiles_without_spread_give_no_verdict() -> None:
    for summary in _summaries((3, 3, 3, 3, 3), 20):
        assert summary.mean == pytest.approx(3)
        assert summary.sd == 0
        assert not summary.skewed
