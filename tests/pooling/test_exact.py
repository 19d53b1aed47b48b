"""pool_exact: every model from a DataFrame, its refusals, and what is shown."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kapmeta as km
from kapmeta.core.exact import exact_difference
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.exact_models import EXACT_MODELS
from tests.helpers.sparse_data import COLUMNS, expected, frame, log_risk_ratios, tables, tables_of


def rows(*counts) -> pd.DataFrame:
    return pd.DataFrame([(chr(65 + i), *row) for i, row in enumerate(counts)], columns=COLUMNS)


OFFERED = [
    (word, m, ci)
    for word, model in EXACT_MODELS.items()
    for m in model.measures
    for ci in model.intervals
]


@pytest.mark.parametrize(("word", "measure", "ci"), [x for x in OFFERED if x[0] != "CM.AL"])
def test_every_model_measure_and_interval_answers(word, measure, ci):
    options = {} if word == "arcsine" else {"ci": ci}
    found = pool_exact(frame("kap5"), model=word, measure=measure, **options)
    assert found.k == 5
    assert found.measure == measure
    assert found.low < found.estimate < found.high
    assert found.low > 0
    assert found.p_value < 0.06
    assert found.weights.sum() == pytest.approx(1)
    for text in (
        found.summary(),
        found.methods_text(),
        found.alt_text(),
        found._repr_html_(),
        repr(found),
    ):
        assert "nan" not in text
    assert list(found.to_frame()["row"])[:6] == ["study"] * 5 + ["pooled"]


def test_values():
    cmel, printed = expected()["cmel"]["kap5"], expected()["printed"]
    odds = pool_exact(frame("kap5"), model="CM.EL")
    assert (odds.estimate, odds.tau2) == (pytest.approx(cmel["theta"], abs=1e-7), 0)
    np.testing.assert_allclose([odds.low, odds.high], cmel["pl_ci"], atol=1e-7)
    exact = pool_exact(frame("kap5"), model="conditional")
    np.testing.assert_allclose(
        [exact.low, exact.high], [cmel["exact_common"]["lo"], cmel["exact_common"]["hi"]], rtol=1e-8
    )
    assert exact.se == pytest.approx(cmel["se_tau0"], rel=1e-6)
    beta = printed["beta_binomial"]["kap5|OR"]
    for ci, key in (("wald", "z"), ("t", "t")):
        found = pool_exact(frame("kap5"), model="beta-binomial", measure="OR", ci=ci)
        np.testing.assert_allclose(np.exp([found.low, found.high]), beta[key], atol=5e-4)
    arcsine = km.pool(km.arcsine_difference(frame("kap5")), tau2="DL", ci="wald")
    np.testing.assert_allclose(
        [arcsine.estimate, arcsine.se, arcsine.tau2],
        [0.386400163933, 0.0868995021847, 0.0227726132651],
    )
    assert (
        pool_exact(frame("kap5"), model="arcsine").estimate
        == km.pool(km.arcsine_difference(frame("kap5"))).estimate
    )


@pytest.mark.parametrize("which", ["equal", "1/se of the log RR"])
def test_combination_of_p_value_functions(which):
    weight = np.ones(5) if which == "equal" else log_risk_ratios("kap5")[1] ** -0.5
    found = exact_difference.odds_ratio_combination(tables("kap5"), weight)
    np.testing.assert_allclose(
        np.exp(found[:3]), expected()["printed"]["combination"][which], atol=1e-4
    )


def test_combination_of_one_trial_is_its_mid_p_interval():
    found = exact_difference.odds_ratio_combination(tables_of([(13, 26, 6, 27)]), np.ones(1))
    one = pool_exact(frame("k3_S1S3S5")[1:2], model="conditional", ci="mid-p")
    np.testing.assert_allclose([found.low, found.high], [one.low, one.high], rtol=1e-9)


def test_exact_risk_difference_limits_have_the_tails_they_claim():
    """The largest upper-tail probability at the lower limit is 2.5 %, summed term by term."""
    found = pool_exact(frame("cocaine1"), model="combination", measure="RD")
    a, n1, c, n2 = 12, 27, 0, 28
    lattice = exact_difference._lattices(tables("cocaine1"))[0]
    upper, _ = exact_difference._largest_tails(lattice, found.low)
    assert upper == pytest.approx(0.025, rel=1e-6)
    score = exact_difference.difference_score(
        np.array(found.low), lattice.x1, n1 - lattice.x1, lattice.x2, n2 - lattice.x2
    )
    as_extreme = score >= score[a, c] - 1e-9
    tails = []
    for p2 in np.linspace(0, 1 - found.low, 301):
        joint = np.outer(
            stats.binom.pmf(np.arange(n1 + 1), n1, p2 + found.low),
            stats.binom.pmf(np.arange(n2 + 1), n2, p2),
        )
        tails.append(joint[as_extreme].sum())
    assert max(tails) == pytest.approx(0.025, rel=2e-3)


def test_double_zeros_say_nothing_of_ratios_and_something_of_differences():
    trials = rows((0, 10, 0, 12), (0, 20, 0, 20))
    for word, model in EXACT_MODELS.items():
        for measure in model.measures:
            if measure in ("RR", "OR"):
                with pytest.raises(ValueError, match=rf"no table has information on the {measure}"):
                    pool_exact(trials, model=word, measure=measure)
    found = pool_exact(trials, model="combination", measure="RD")
    assert found.low < 0 < found.high
    assert abs(found.estimate) < 0.01
    common = pool_exact(trials, model="binomial-common", measure="RD")
    assert common.estimate == 0
    assert common.low < 0 < common.high


def test_a_double_zero_is_left_out_with_its_reason_or_takes_part():
    trials = rows((13, 26, 6, 27), (0, 20, 0, 20), (6, 35, 2, 35))
    out = pool_exact(trials)
    assert out.k == 2
    assert out.weights[1] == 0
    assert "no event in either arm" in out.summary()
    same = pool_exact(trials.iloc[[0, 2]])
    np.testing.assert_allclose(
        [out.estimate, out.low, out.high], [same.estimate, same.low, same.high]
    )
    taking_part = pool_exact(trials, model="beta-binomial")
    assert taking_part.k == 3
    assert "1 of 3 tables have no estimate of their own" in taking_part.summary()


def test_one_sided_trials_have_infinite_estimates_that_stay_infinite():
    found = pool_exact(frame("cocaine1"))
    assert found.k == 1
    assert found.estimate == math.inf
    assert found.high == math.inf
    assert math.isfinite(found.low)
    last = found.to_frame().iloc[-1]
    assert last["estimate"] == math.inf
    assert last["high"] == math.inf
    assert "∞" in found.summary()
    assert "one trial, not pooled" in repr(found)
    two = pool_exact(rows((5, 10, 0, 12), (3, 20, 0, 20)))
    assert (two.low, two.high) == (-math.inf, math.inf)
    assert "there is no limit" in two.summary()
    assert pool_exact(
        rows((5, 10, 0, 12), (3, 20, 0, 20)), model="conditional"
    ).low == pytest.approx(math.log(2.46), abs=0.01)
    for word in ("UM.FS", "UM.RS"):
        with pytest.raises(ValueError, match="the estimate is infinite"):
            pool_exact(rows((5, 10, 0, 12), (3, 20, 0, 20)), model=word)
    with pytest.raises(ValueError, match='ci="wald" does not exist here'):
        pool_exact(rows((5, 10, 0, 12), (3, 20, 0, 20)), ci="wald")
    with pytest.raises(ValueError, match="beta-binomial estimate does not exist"):
        pool_exact(rows((5, 10, 0, 12), (3, 20, 0, 20)), model="beta-binomial")


def test_trials_that_contradict_each_other_without_bound_are_refused():
    with pytest.raises(ValueError, match="zero cells on opposite sides"):
        pool_exact(rows((9, 12, 0, 15), (0, 14, 8, 13)))
    assert math.isfinite(pool_exact(rows((9, 12, 0, 15), (0, 14, 8, 13)), model="conditional").low)


def test_all_events_in_both_arms_are_a_ratio_near_one():
    found = pool_exact(rows((10, 10, 12, 12), (20, 20, 20, 20)))
    assert found.estimate == 0
    assert found.low < 0 < found.high
    assert math.isnan(found.se)


def test_refusals_name_the_argument_and_the_way_out():
    with pytest.raises(
        ValueError,
        match=r'unknown exact model "x"; use one of: binomial-normal, binomial-common, conditional',
    ):
        pool_exact(frame("kap5"), model="x")
    with pytest.raises(ValueError, match=r'measure of model "CM.EL"'):
        pool_exact(frame("kap5"), model="CM.EL", measure="RR")
    with pytest.raises(
        ValueError,
        match=r'model "CM.AL" is for rare events in row 1 \("S1"\) \(and 4 more\): a risk of 0.66',
    ):
        pool_exact(frame("kap5"), model="CM.AL")
    for word in ("CM.EL", "UM.FS", "beta-binomial"):
        with pytest.raises(ValueError, match="needs 2 trials: got 1"):
            pool_exact(frame("cocaine1"), model=word)
    with pytest.raises(ValueError, match=r'events exceed total in row 1 \("A"\)'):
        pool_exact(rows((30, 10, 1, 12)))
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        pool_exact(frame("kap5"), level=95)


def test_rare_events_are_accepted_by_the_approximation():
    trials = rows((3, 900, 7, 950), (1, 400, 4, 390), (5, 1200, 9, 1180))
    approximate, exact = pool_exact(trials, model="CM.AL"), pool_exact(trials, model="CM.EL")
    assert approximate.estimate == pytest.approx(exact.estimate, abs=0.01)


def test_order_of_rows_and_direction():
    trials = frame("kap5")
    for word in ("binomial-normal", "UM.FS", "conditional"):
        found, back = (
            pool_exact(trials, model=word, measure="OR"),
            pool_exact(trials[::-1], model=word, measure="OR"),
        )
        assert back.estimate == pytest.approx(found.estimate, abs=1e-10)
    turned = pool_exact(km.effects.complement(trials, "relapse"), measure="OR")
    found = pool_exact(trials, measure="OR")
    np.testing.assert_allclose(
        [turned.estimate, turned.low], [-found.estimate, -found.high], atol=1e-7
    )


def test_a_table_that_says_nothing_has_no_part_in_a_combination():
    told, silent = [(13, 26, 6, 27), (5, 20, 3, 21)], [(0, 12, 0, 9), (4, 4, 6, 6)]
    with_them = exact_difference.odds_ratio_combination(
        tables_of([told[0], *silent, told[1]]), np.ones(2)
    )
    assert with_them == exact_difference.odds_ratio_combination(tables_of(told), np.ones(2))


def test_trials_that_all_speak_on_one_side_combine_to_a_limit_on_the_other():
    up = [(5, 10, 0, 12), (3, 20, 0, 20), (9, 20, 0, 21)]
    down = [(c, n2, a, n1) for a, n1, c, n2 in up]
    found, mirrored = (
        exact_difference.odds_ratio_combination(tables_of(rows), np.ones(3)) for rows in (up, down)
    )
    assert found.high == math.inf
    assert math.isfinite(found.low)
    turned = [-found.estimate, -found.high, -found.low]
    np.testing.assert_allclose([mirrored.estimate, mirrored.low, mirrored.high], turned, rtol=1e-9)
    assert mirrored.p_value == pytest.approx(found.p_value, rel=1e-9)
