"""Intervals of one trial: each limit solves its equation, whatever cells are empty."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import xlog1py, xlogy

from kapmeta.core.effects import score_statistics
from kapmeta.core.effects.score_statistics import difference_score, ratio_score
from kapmeta.core.effects.single_trial import (
    PROPORTION_INTERVALS,
    SINGLE_TRIAL_INTERVALS,
    SINGLE_TRIAL_MEASURES,
    clopper_pearson,
    exact_odds_ratio,
    koopman,
    mid_p_odds_ratio,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    newcombe,
    no_effect_score,
    wilson,
)
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.roots import bracketed_root

S2, S3, S5 = (6, 17, 3, 23), (13, 26, 6, 27), (12, 27, 0, 28)
Z = float(normal_quantile(0.975))

ARM = st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TRIAL = st.tuples(ARM, ARM).map(lambda arms: (*arms[0], *arms[1]))
LEVELS = st.sampled_from([0.1, 0.5, 0.9, 0.95, 0.999])
TWO_ARMED = st.sampled_from(sorted(SINGLE_TRIAL_INTERVALS))


def cells(trial: tuple[int, ...]) -> tuple[Any, ...]:
    a, n1, c, n2 = (np.asarray(float(x)) for x in trial)
    return a, n1 - a, c, n2 - c


def z_of(level: float) -> float:
    return float(normal_quantile((1 + level) / 2))


@pytest.mark.parametrize(
    ("function", "trial", "low", "high"),
    [
        # an independent program from the formulae
        (koopman, S3, 1.05498297702, 5.07957851851),
        (koopman, S2, 0.8528891051, 8.89172806461),
        (koopman, S5, 3.60934767655, np.inf),
        (miettinen_nurminen_ratio, S3, 1.04782899625, 5.11836964445),
        (miettinen_nurminen_ratio, S2, 0.841669238643, 9.01472854959),
        (miettinen_nurminen_ratio, S5, 3.54917446756, np.inf),
    ],
)
def test_worked_ratios(function: Any, trial: tuple[int, ...], low: float, high: float) -> None:
    found = function(*trial)
    assert np.exp(found.low) == pytest.approx(low, rel=1e-10)
    assert np.exp(found.high) == pytest.approx(high, rel=1e-10)


def test_worked_differences() -> None:
    assert newcombe(*S5)[1:] == pytest.approx([0.237137907938, 0.626869754868], abs=1e-12)
    assert miettinen_nurminen_difference(*S5)[1:] == pytest.approx(
        [0.274554605605, 0.628397579061], abs=1e-12
    )
    a, b, c, d = cells(S3)
    risk = score_statistics._best_control_risk(np.array(0.2), a, a + b, c, c + d)
    assert risk == pytest.approx(0.255252390723, abs=1e-12)


def test_worked_odds_ratios() -> None:
    # the exact limits, by rational arithmetic; R's fisher.test prints 4.27138 and 0.929101 to
    # 13.949076
    low = Fraction(float(np.exp(exact_odds_ratio(*S5).low)))
    terms = {x: comb(27, x) * comb(28, 12 - x) * low**x for x in range(13)}
    assert float(terms[12] / sum(terms.values())) == pytest.approx(0.025, rel=1e-13)
    assert np.exp(exact_odds_ratio(*S5).low) == pytest.approx(4.27102629215, rel=1e-11)
    assert np.exp(exact_odds_ratio(*S3)) == pytest.approx(
        [3.4140650989, 0.9290924313, 13.9437611225], rel=1e-9
    )
    theirs = stats.contingency.odds_ratio([[13, 13], [6, 21]]).confidence_interval(0.95)
    assert np.exp(exact_odds_ratio(*S3)[1:]) == pytest.approx(theirs, rel=1e-9)


def test_newcombe_1998_table_two() -> None:
    # 56/70 against 48/80 by method 10 of the paper: 0.0524 to 0.3339
    assert newcombe(56, 70, 48, 80)[1:] == pytest.approx([0.0524, 0.3339], abs=5e-5)


@settings(max_examples=200)
@given(TRIAL, LEVELS)
def test_ratio_limits_solve_the_score_equation(trial: tuple[int, ...], level: float) -> None:
    z, table = z_of(level), cells(trial)
    for function, inflation in (
        (koopman, 1.0),
        (miettinen_nurminen_ratio, score_statistics.inflation(*table)),
    ):
        found = function(*trial, level=level)
        for limit, sign in ((found.low, 1), (found.high, -1)):
            if np.isfinite(limit):
                t = ratio_score(limit, *table) ** 2 / inflation
                assert t == pytest.approx(
                    z * z, rel=1e-12 * max(1.0, abs(float(limit))) / min(z, 1.0)
                )
                assert sign * ratio_score(limit, *table) > 0
        assert (found.low == -np.inf) == (trial[0] == 0)
        assert (found.high == np.inf) == (trial[2] == 0)


@settings(max_examples=200)
@given(TRIAL, LEVELS)
def test_difference_limits_solve_the_score_equation(trial: tuple[int, ...], level: float) -> None:
    z, table = z_of(level), cells(trial)
    found = miettinen_nurminen_difference(*trial, level=level)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    for limit, sign in ((found.low, 1), (found.high, -1)):
        if abs(limit) < 1:
            score = float(difference_score(limit, *table))
            # one unit in the last place of the limit moves the statistic by this much, and no limit
            # can do better
            steps = [
                float(difference_score(np.nextafter(limit, end), *table)) for end in (-1.0, 1.0)
            ]
            slack = 2 * max(abs(step - score) for step in steps) / z
            assert sign * score == pytest.approx(z, rel=max(1e-12, slack))
    assert (found.low == -1) == (trial[0] == 0 and trial[2] == trial[3])
    assert (found.high == 1) == (trial[0] == trial[1] and trial[2] == 0)


def test_score_equations_hold_to_machine_precision_for_the_trials_at_hand() -> None:
    for trial in (S2, S3, S5, (73, 111, 24, 100), (14, 17, 15, 23)):
        table = cells(trial)
        found = koopman(*trial)
        limits = [x for x in found[1:] if np.isfinite(x)]
        assert [float(ratio_score(x, *table) ** 2) for x in limits] == pytest.approx(
            [Z * Z] * len(limits), rel=1e-13
        )
        limits = miettinen_nurminen_difference(*trial)[1:]
        assert [float(difference_score(x, *table) ** 2) for x in limits] == pytest.approx(
            [Z * Z] * 2, rel=1e-13
        )


@given(TRIAL, st.floats(-5, 5).filter(lambda x: abs(x) > 0.01))
def test_the_ratio_score_is_taken_at_the_best_fitting_risks(
    trial: tuple[int, ...], log_ratio: float
) -> None:
    a, b, c, d = cells(trial)
    r = np.exp(log_ratio)
    n1, n2 = a + b, c + d
    if a + c == 0:
        return

    def slope(p2: Any) -> Any:  # of the log-likelihood in the risk under control
        return (a + c) / p2 - b * r / (1 - r * p2) - d / (1 - p2)

    end = min(1.0, 1 / r) * (1 - 1e-13)
    p2 = end if slope(end) > 0 else bracketed_root(slope, 1e-15, end)
    variance = r * p2 * (1 - r * p2) / n1 + r * r * p2 * (1 - p2) / n2
    if variance > 1e-9:
        expected = float((a / n1 - r * c / n2) / np.sqrt(variance))
        assert ratio_score(np.asarray(log_ratio), a, b, c, d) == pytest.approx(
            expected, rel=1e-6, abs=1e-12
        )


@given(TRIAL, st.floats(-0.99, 0.99))
def test_the_difference_score_is_taken_at_the_best_fitting_risks(
    trial: tuple[int, ...], delta: float
) -> None:
    a, b, c, d = cells(trial)
    n1, n2 = a + b, c + d
    found = float(score_statistics._best_control_risk(np.asarray(delta), a, n1, c, n2))
    least, most = max(0.0, -delta), min(1.0, 1 - delta)
    assert least <= found <= most

    def loss(p2: Any) -> Any:
        p1 = np.clip(p2 + delta, 0, 1)
        return -(xlogy(a, p1) + xlog1py(b, -p1) + xlogy(c, p2) + xlog1py(d, -p2))

    grid = np.linspace(least, most, 301)
    with np.errstate(divide="ignore"):
        assert loss(np.asarray(found)) <= loss(grid).min() * (1 + 1e-12) + 1e-12


@given(TWO_ARMED, TRIAL, LEVELS)
def test_exchanging_the_arms_turns_the_interval_round(
    word: str, trial: tuple[int, ...], level: float
) -> None:
    a, n1, c, n2 = trial
    one = SINGLE_TRIAL_INTERVALS[word](a, n1, c, n2, level=level)
    other = SINGLE_TRIAL_INTERVALS[word](c, n2, a, n1, level=level)
    np.testing.assert_allclose(
        [-other.estimate, -other.high, -other.low], one, rtol=1e-11, atol=1e-13
    )


@given(st.sampled_from(["newcombe", "miettinen-nurminen-rd", "exact", "mid-p"]), TRIAL)
def test_counting_the_other_event_turns_the_interval_round(
    word: str, trial: tuple[int, ...]
) -> None:
    a, n1, c, n2 = trial
    one = SINGLE_TRIAL_INTERVALS[word](a, n1, c, n2)
    other = SINGLE_TRIAL_INTERVALS[word](n1 - a, n1, n2 - c, n2)
    np.testing.assert_allclose(
        [-other.estimate, -other.high, -other.low], one, rtol=1e-10, atol=1e-12
    )


@given(TWO_ARMED, TRIAL)
def test_intervals_nest_and_contain_the_estimate(word: str, trial: tuple[int, ...]) -> None:
    narrow, wide = (SINGLE_TRIAL_INTERVALS[word](*trial, level=level) for level in (0.8, 0.95))
    slack = 1e-12
    assert wide.low <= narrow.low + slack
    assert narrow.high <= wide.high + slack
    if not np.isnan(narrow.estimate):
        assert narrow.low <= narrow.estimate + slack
        assert narrow.estimate <= narrow.high + slack


@given(
    st.sampled_from(["koopman", "miettinen-nurminen-rr", "miettinen-nurminen-rd"]), TRIAL, LEVELS
)
def test_the_test_of_no_effect_is_the_one_its_interval_inverts(
    word: str, trial: tuple[int, ...], level: float
) -> None:
    z, found = (
        float(no_effect_score(word, *trial)),
        SINGLE_TRIAL_INTERVALS[word](*trial, level=level),
    )
    quantile = float(normal_quantile((1 + level) / 2))
    if abs(abs(z) - quantile) > 1e-9:
        assert (abs(z) > quantile) == bool(found.low > 0 or found.high < 0)
    if z:
        assert np.sign(z) == np.sign(found.estimate)


@pytest.mark.parametrize("word", ["newcombe", "exact", "mid-p"])
def test_intervals_that_invert_no_score_test_have_none(word: str) -> None:
    assert np.isnan(no_effect_score(word, 13, 27, 3, 28))


@given(TRIAL)
def test_the_inflated_interval_is_wider(trial: tuple[int, ...]) -> None:
    plain, inflated = koopman(*trial), miettinen_nurminen_ratio(*trial)
    assert inflated.low <= plain.low
    assert plain.high <= inflated.high
    exact, mid = exact_odds_ratio(*trial), mid_p_odds_ratio(*trial)
    assert exact.low <= mid.low
    assert mid.high <= exact.high


@settings(max_examples=30)
@given(TWO_ARMED, st.lists(TRIAL, min_size=6, max_size=6))
def test_a_batch_is_a_loop(word: str, trials: list[tuple[int, ...]]) -> None:
    function = SINGLE_TRIAL_INTERVALS[word]
    batch = function(*np.array(trials).T.reshape(4, 2, 3))
    assert batch.low.shape == (2, 3)
    for i, trial in enumerate(trials):
        np.testing.assert_allclose(
            [x.reshape(-1)[i] for x in batch], function(*trial), rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("word", sorted(SINGLE_TRIAL_INTERVALS))
def test_every_pattern_of_empty_cells_has_its_documented_limits(word: str) -> None:
    ratio = SINGLE_TRIAL_MEASURES[word] != "RD"
    function = SINGLE_TRIAL_INTERVALS[word]
    # no events under control: nothing bounds a ratio above
    found = function(12, 27, 0, 28)
    assert (found.estimate, found.high) == (np.inf, np.inf) if ratio else found.high < 1
    assert 0 < found.low < found.high
    # nor below without events under treatment
    found = function(0, 28, 12, 27)
    assert (found.estimate, found.low) == (-np.inf, -np.inf) if ratio else found.low > -1
    # nobody
    found = function(0, 10, 0, 12)
    assert np.isnan(found.estimate) if ratio else found.estimate == 0
    assert (
        (found.low, found.high) == (-np.inf, np.inf)
        if ratio
        else (-1 < found.low < 0 < found.high < 1)
    )
    # everybody: a risk ratio is near 1, an odds ratio unknown
    found = function(10, 10, 12, 12)
    if SINGLE_TRIAL_MEASURES[word] == "OR":
        assert np.isnan(found.estimate)
        assert (found.low, found.high) == (-np.inf, np.inf)
    else:
        assert found.estimate == 0
        assert -1 < found.low < 0 < found.high < 1
    # everybody against nobody
    found = function(10, 10, 0, 12)
    assert found.estimate == (np.inf if ratio else 1)
    assert found.high == (np.inf if ratio else 1)
    assert found.low > 0.5
    # one arm full, one cell empty
    found = function(10, 10, 5, 12)
    assert np.isfinite(found.low)
    assert (found.high == np.inf) == (SINGLE_TRIAL_MEASURES[word] == "OR")


def test_closed_forms_where_both_arms_are_alike_in_emptiness() -> None:
    z2 = Z * Z
    # everybody: n1 (1 - r) / r = z^2 for r < 1
    found = koopman(10, 10, 12, 12)
    assert np.exp(found.low) == pytest.approx(10 / (10 + z2), rel=1e-14)
    assert np.exp(found.high) == pytest.approx((12 + z2) / 12, rel=1e-14)
    found = koopman(10**6, 10**6, 10**6, 10**6)
    assert found.high == pytest.approx(np.log1p(z2 / 1e6), rel=1e-9)
    # nobody: n1 D / (1 - D) = z^2 N / (N - 1) for D > 0
    inflated = z2 * 22 / 21
    found = miettinen_nurminen_difference(0, 10, 0, 12)
    assert found[1:] == pytest.approx(
        [-inflated / (12 + inflated), inflated / (10 + inflated)], rel=1e-13
    )


def test_rare_events_keep_their_digits() -> None:
    small = miettinen_nurminen_difference(5, 10**6, 1, 10**6)
    for limit, sign in ((small.low, 1), (small.high, -1)):
        score = difference_score(limit, *cells((5, 10**6, 1, 10**6)))
        assert sign * score == pytest.approx(Z, rel=1e-10)
    # next to the Poisson limit the ratio hardly depends on the size of the arms
    one, other = koopman(5, 10**6, 1, 10**6), koopman(5, 10**8, 1, 10**8)
    np.testing.assert_allclose(one[1:], other[1:], rtol=1e-4)


@pytest.mark.parametrize("word", sorted(SINGLE_TRIAL_INTERVALS))
def test_absent_and_impossible_tables_are_nan(word: str) -> None:
    nan = float("nan")
    rows = [
        (nan, 9, 2, 8),
        (3, nan, 2, 8),
        (0, 0, 2, 8),
        (14, 13, 2, 8),
        (3, 9, -1, 8),
        (3, 9, 2, 8),
    ]
    found = SINGLE_TRIAL_INTERVALS[word](*np.array(rows).T)
    for values in found:
        assert np.isnan(values).tolist() == [True] * 5 + [False]


@pytest.mark.parametrize("word", sorted(SINGLE_TRIAL_INTERVALS))
def test_levels_are_proportions(word: str) -> None:
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match="a proportion"):
            SINGLE_TRIAL_INTERVALS[word](3, 9, 2, 8, level=level)


def test_the_tables_name_the_same_intervals() -> None:
    assert list(SINGLE_TRIAL_INTERVALS) == list(SINGLE_TRIAL_MEASURES)
    assert set(SINGLE_TRIAL_MEASURES.values()) == {"RR", "RD", "OR"}
    assert list(PROPORTION_INTERVALS) == ["wilson", "clopper-pearson"]


# ------------------------------------------------------------------------------------------ one
# proportion


@given(ARM, LEVELS)
def test_wilson_is_scipys_and_solves_its_equation(arm: tuple[int, int], level: float) -> None:
    x, n = arm
    found = wilson(x, n, level=level)
    theirs = stats.binomtest(x, n).proportion_ci(level, method="wilson")
    assert list(found[1:]) == pytest.approx(list(theirs), rel=1e-11, abs=1e-14)
    for limit in found[1:]:
        if 0 < limit < 1:
            z2 = z_of(level) ** 2
            assert n * (x / n - limit) ** 2 == pytest.approx(
                z2 * limit * (1 - limit), rel=1e-11, abs=1e-13
            )


@given(ARM, LEVELS)
def test_clopper_pearson_is_scipys_and_solves_its_equation(
    arm: tuple[int, int], level: float
) -> None:
    x, n = arm
    found, tail = clopper_pearson(x, n, level=level), (1 - level) / 2
    theirs = stats.binomtest(x, n).proportion_ci(level, method="exact")
    assert list(found[1:]) == pytest.approx(
        list(theirs), abs=1e-11
    )  # its root finder stops at 2e-12
    if x > 0:
        assert stats.binom.sf(x - 1, n, found.low) == pytest.approx(tail, rel=1e-10)
    if x < n:
        assert stats.binom.cdf(x, n, found.high) == pytest.approx(tail, rel=1e-10)


@pytest.mark.parametrize("word", sorted(PROPORTION_INTERVALS))
def test_proportions_at_their_bounds_and_beyond(word: str) -> None:
    function = PROPORTION_INTERVALS[word]
    found = function([0, 28, 5, -1, np.nan, 3, 0], [28, 28, 3, 9, 9, np.nan, 0])
    assert found.low[0] == 0 < found.high[0] < 0.15
    assert 0.85 < found.low[1] < found.high[1] == 1
    for values in found:
        assert np.isnan(values[2:]).all()
    np.testing.assert_allclose(function(5, 20).low, 1 - function(15, 20).high, rtol=1e-14)
    with pytest.raises(ValueError, match="a proportion"):
        function(3, 9, level=95)
