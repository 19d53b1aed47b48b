"""The exact common odds ratio: against rational arithmetic, scipy's single table, examples."""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp, isinf, isnan, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gammaln

from kapmeta.core.effects import hypergeometric
from kapmeta.core.effects.hypergeometric import common_odds_ratio, log_coefficients
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.status import Status

KAP5 = np.array(
    [[73, 111, 24, 100], [6, 17, 3, 23], [13, 26, 6, 27], [6, 35, 2, 35], [12, 27, 0, 28]]
).T
ALCOHOL2, OPIOID2 = KAP5[:, :2], KAP5[:, 2:4]

ARM = st.integers(1, 25).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TRIAL = st.tuples(ARM, ARM).map(lambda arms: (*arms[0], *arms[1]))
TRIALS = st.lists(TRIAL, min_size=1, max_size=4)


def polynomial(trials: Any) -> dict[int, int]:
    """Compute whole-number coefficients of the treated events, less the sum observed."""
    product = {0: 1}
    for a, n1, c, n2 in trials:
        m = a + c
        factor = {
            x - a: comb(n1, x) * comb(n2, m - x) for x in range(max(0, m - n2), min(n1, m) + 1)
        }
        raised: dict[int, int] = {}
        for i, p in product.items():
            for j, q in factor.items():
                raised[i + j] = raised.get(i + j, 0) + p * q
        product = raised
    return product


def upper_tail(trials: Any, log_odds_ratio: float, share: Fraction) -> float:
    """P(A > observed) + share P(A = observed), without rounding but that of the odds ratio."""
    psi = Fraction(exp(log_odds_ratio))
    terms = {s: p * psi**s for s, p in polynomial(trials).items()}
    return float(
        (sum(t for s, t in terms.items() if s > 0) + share * terms[0]) / sum(terms.values())
    )


def test_worked_numbers() -> None:
    # an independent program from the formulae, 8 digits and more; R's mantelhaen.test(exact = TRUE)
    # stops at 1e-4
    for table, estimate, low, high in [
        (KAP5, 1.75597375258, 1.26519097458, 2.26629919137),
        (OPIOID2, 1.222361990, 0.186002708, 2.350601541),
        (ALCOHOL2, 1.72916105, 1.139186416, 2.342835015),
    ]:
        found = common_odds_ratio(*table)
        assert found[:3] == pytest.approx([estimate, low, high], abs=5e-9)
        assert found.status == Status.OK
    mid = common_odds_ratio(*KAP5, interval="mid-p")
    assert mid[1:3] == pytest.approx([1.28922990968, 2.2388264566], abs=5e-11)
    assert mid.estimate == common_odds_ratio(*KAP5).estimate
    assert common_odds_ratio(*KAP5).p_value == pytest.approx(1.377e-14, rel=5e-4)
    # R 4.2.2 mantelhaen.test(exact = TRUE), fisher.test: root tolerance 1e-4
    assert np.exp(common_odds_ratio(*KAP5)[:3]) == pytest.approx(
        [5.78908322537, 3.54406618966, 9.64401625393], rel=1e-4
    )
    single = common_odds_ratio(*KAP5[:, 4:])
    assert np.exp(single.low) == pytest.approx(4.27138128395, rel=1e-4)
    assert single.p_value == pytest.approx(3.962e-5, rel=2e-4)
    single = common_odds_ratio(*KAP5[:, 2:3])
    assert np.exp(single[:3]) == pytest.approx([3.41406, 0.929101, 13.949076], rel=5e-4)
    assert single.p_value == pytest.approx(0.04727, abs=1e-5)


@settings(max_examples=60)
@given(TRIALS, st.sampled_from(["exact", "mid-p"]), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_limits_and_estimate_solve_their_equations(
    trials: Any, interval: str, level: float
) -> None:
    found = common_odds_ratio(*np.array(trials).T, interval=interval, level=level)
    coefficients, tail, share = (
        polynomial(trials),
        (1 - level) / 2,
        Fraction(hypergeometric.TAILS[interval]),
    )
    if min(coefficients) == 0:
        assert found.low == -np.inf
    else:
        assert upper_tail(trials, float(found.low), share) == pytest.approx(tail, rel=1e-11)
    if max(coefficients) == 0:
        assert found.high == np.inf
    else:
        assert 1 - upper_tail(trials, float(found.high), 1 - share) == pytest.approx(tail, rel=1e-9)
    if min(coefficients) == max(coefficients) == 0:
        assert isnan(found.estimate)
        assert found.status == Status.REFUSED
        assert found.p_value == 1
    elif min(coefficients) == 0 or max(coefficients) == 0:
        assert found.estimate == (-np.inf if min(coefficients) == 0 else np.inf)
    else:
        psi = Fraction(exp(float(found.estimate)))
        terms = {s: p * psi**s for s, p in coefficients.items()}
        mean = sum(s * t for s, t in terms.items()) / sum(terms.values())
        spread = sum(s * s * t for s, t in terms.items()) / sum(terms.values())
        assert abs(float(mean)) <= 1e-13 * max(abs(float(found.estimate)), 1.0) * float(spread)


@settings(max_examples=60)
@given(TRIALS)
def test_the_p_value_is_a_sum_of_null_probabilities(trials: Any) -> None:
    coefficients = polynomial(trials)
    unlikely = sum(p for p in coefficients.values() if p <= coefficients[0])
    found = common_odds_ratio(*np.array(trials).T)
    assert found.p_value == pytest.approx(
        float(Fraction(unlikely, sum(coefficients.values()))), rel=1e-12
    )


@settings(max_examples=40)
@given(TRIAL)
def test_one_table_is_fisher(trial: tuple[int, int, int, int]) -> None:
    a, n1, c, n2 = trial
    found = common_odds_ratio(a, n1, c, n2)
    table = [[a, n1 - a], [c, n2 - c]]
    assert found.p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)
    if 0 < a + c < n1 + n2:
        theirs = stats.contingency.odds_ratio(table, kind="conditional")
        low, high = theirs.confidence_interval(0.95)
        for ours, value in zip(found[:3], (theirs.statistic, low, high), strict=True):
            expected = log(value) if 0 < value < np.inf else (-np.inf if value == 0 else np.inf)
            assert ours == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(TRIALS, st.sampled_from(["exact", "mid-p"]))
def test_intervals_contain_the_estimate_and_nest(trials: Any, interval: str) -> None:
    table = np.array(trials).T
    wide, narrow = (
        common_odds_ratio(*table, interval=interval, level=level) for level in (0.99, 0.8)
    )
    exact = common_odds_ratio(*table, level=0.99)
    assert exact.low <= wide.low <= narrow.low <= narrow.high <= wide.high <= exact.high
    if not isnan(wide.estimate):
        assert narrow.low <= narrow.estimate <= narrow.high


@given(TRIALS, st.sampled_from(["exact", "mid-p"]))
def test_exchanging_arms_or_events_turns_everything_round(trials: Any, interval: str) -> None:
    a, n1, c, n2 = np.array(trials).T
    one = common_odds_ratio(a, n1, c, n2, interval=interval)
    for other in (
        common_odds_ratio(c, n2, a, n1, interval=interval),
        common_odds_ratio(n1 - a, n1, n2 - c, n2, interval=interval),
    ):
        expected = [-one.estimate, -one.high, -one.low]
        np.testing.assert_allclose(other[:3], expected, rtol=1e-11, atol=1e-12)
        assert other.p_value == pytest.approx(one.p_value, rel=1e-11)


@given(TRIALS, st.randoms(use_true_random=False), st.integers(1, 20), st.integers(1, 20))
def test_order_and_silent_tables_change_nothing(
    trials: list[Any], random: Any, n1: int, n2: int
) -> None:
    shuffled = [*trials, (0, n1, 0, n2), (n1, n1, n2, n2)]
    random.shuffle(shuffled)
    one, other = common_odds_ratio(*np.array(trials).T), common_odds_ratio(*np.array(shuffled).T)
    np.testing.assert_allclose(one[:4], other[:4], rtol=1e-11, atol=1e-13)
    assert (one.k + 2, one.k_informative) == (other.k, other.k_informative)


@settings(max_examples=20)
@given(TRIALS)
def test_a_mask_deletes_and_a_batch_is_a_loop(trials: Any) -> None:
    table = np.array(trials).T
    subsets = masks.all_subsets(len(trials))
    masked = common_odds_ratio(*table, mask=subsets)
    absent = common_odds_ratio(*np.where(subsets, table[:, None, :], np.nan))
    for x, y in zip(masked, absent, strict=True):
        np.testing.assert_array_equal(x, y)
    for i, subset in enumerate(subsets):
        alone = common_odds_ratio(*table[:, subset])
        np.testing.assert_allclose([x[i] for x in masked], alone, rtol=1e-11, atol=1e-13)


def test_many_rows_are_worked_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    subsets = masks.all_subsets(5).reshape(31, 1, 5)
    whole = common_odds_ratio(*KAP5, mask=subsets)
    monkeypatch.setattr(hypergeometric, "_TERMS_AT_ONCE", 1000)
    blocks = common_odds_ratio(*KAP5, mask=subsets)
    assert whole.estimate.shape == (31, 1)
    for x, y in zip(whole, blocks, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_coefficients_against_logarithms_of_factorials() -> None:
    n1, n2, m = (
        np.array([27.0, 5.0, 40.0, 3.0]),
        np.array([28.0, 9.0, 2.0, 3.0]),
        np.array([12.0, 13.0, 20.0, 0.0]),
    )
    lowest, found = log_coefficients(n1, n2, m)
    assert found.shape == (4, 13)
    for i in range(4):
        x = lowest[i] + np.arange(13)
        with np.errstate(invalid="ignore"):
            expected = -(gammaln(x + 1) + gammaln(n1[i] - x + 1) + gammaln(m[i] - x + 1))
            expected -= gammaln(n2[i] - m[i] + x + 1)
        possible = x <= min(n1[i], m[i])
        np.testing.assert_allclose(
            found[i][possible], (expected - expected[possible].max())[possible], atol=1e-12
        )
        assert np.isneginf(found[i][~possible]).all()
        assert found[i].max() == 0


def test_large_tables_keep_their_digits() -> None:
    trial = (5020, 88391, 4990, 88391)
    found = common_odds_ratio(*trial)
    a, n1, c, n2 = trial
    theirs = stats.nchypergeom_fisher(n1 + n2, a + c, n1, exp(float(found.low)))
    assert theirs.sf(a - 1) == pytest.approx(0.025, rel=1e-6)
    ratio = log(a * (n2 - c) / (c * (n1 - a)))
    assert found.estimate == pytest.approx(ratio, rel=1e-3)
    assert found.low < 0 < found.high


def test_a_p_value_too_small_for_the_mode_is_still_right() -> None:
    found = common_odds_ratio(400, 400, 0, 400)
    assert found.p_value == pytest.approx(2 / comb(800, 400), rel=1e-11)
    assert found.estimate == np.inf


def test_nothing_to_say() -> None:
    silent = common_odds_ratio([0, 5], [10, 5], [0, 7], [12, 7])
    assert isnan(silent.estimate)
    assert isinf(silent.low)
    assert isinf(silent.high)
    assert (silent.p_value, silent.k, silent.k_informative, silent.status) == (
        1,
        2,
        0,
        Status.REFUSED,
    )
    nan = float("nan")
    empty: list[float] = []
    for table in (([nan], [3], [nan], [4]), ([0], [0], [1], [4]), (empty, empty, empty, empty)):
        found = common_odds_ratio(*table)
        assert np.isnan(found[:4]).all()
        assert (found.k, found.status) == (0, Status.NO_STUDIES)
    assert common_odds_ratio(np.zeros((0, 2)), 3, 1, 4).estimate.shape == (0,)


def test_impossible_and_fractional_tables_cannot_hide() -> None:
    for a in (14.0, 2.5, -1.0):
        found = common_odds_ratio([a, 3], [13, 9], [2, 2], [10, 8])
        assert np.isnan(found[:4]).all()
        assert (found.k, found.status) == (2, Status.INVALID_INPUT)
        alone = common_odds_ratio([a, 3], [13, 9], [2, 2], [10, 8], mask=[False, True])
        assert alone.status == Status.ONE_STUDY
        assert alone.estimate == common_odds_ratio(3, 9, 2, 8).estimate


def test_unknown_words_and_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="exact, mid-p"):
        common_odds_ratio(3, 9, 2, 8, interval="wald")
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="a proportion"):
            common_odds_ratio(3, 9, 2, 8, level=level)


def test_the_distribution_is_the_polynomial_product() -> None:
    rows = [np.asarray(x, dtype=float)[None, :] for x in KAP5]
    offset, coefficients = hypergeometric._distribution(*rows)
    exact = polynomial(KAP5.T.tolist())
    assert offset[0].astype(int).tolist() == sorted(exact)
    logs: FloatArray = np.array([log(exact[int(s)]) for s in offset[0]])
    np.testing.assert_allclose(
        coefficients[0] - coefficients[0].max(), logs - logs.max(), rtol=1e-13, atol=1e-12
    )
