"""pool_bayes: both posteriors by name, what it refuses, prior-scale curve, tipping scale."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import kapmeta as km
from kapmeta.core.bayes.empirical_priors import turner
from kapmeta.core.bayes.priors import flat, half_cauchy, half_normal, log_t, uniform
from kapmeta.pooling.bayes import heterogeneity_surprise, pool_bayes
from tests.helpers import brute_likelihood
from tests.helpers.sparse_data import COLUMNS, STRESS, expected, frame


def test_normal_effects_as_printed():
    found, value = (
        pool_bayes(km.risk_ratio(frame("kap5"))),
        expected()["bayes_nn"]["kap5|HN0.5_flat"],
    )
    assert found.mean == pytest.approx(value["mu_mean"], rel=1e-7)
    names = ("mu_lo", "mu_med", "mu_hi", "pred_lo", "pred_hi")
    got = [found.low, found.estimate, found.high, found.prediction_low, found.prediction_high]
    np.testing.assert_allclose(got, [value[n] for n in names], rtol=1e-6)
    assert found.probability_above() == pytest.approx(value["p0"], rel=1e-7)
    assert found.probability_above(1.25) == pytest.approx(value["p125"], rel=1e-7)
    assert found.probability_above(new_study=True) == pytest.approx(value["pred_p0"], rel=1e-7)
    assert (found.tau_mean, found.tau_sd) == (
        pytest.approx(value["tau_mean"]),
        pytest.approx(value["tau_sd"]),
    )
    variances = [
        found.tau2_low,
        found.tau2,
        found.tau2_high,
    ]  # quantiles keep under a rising function
    assert variances == [t**2 for t in (found.tau_low, found.tau_median, found.tau_high)]
    assert math.isnan(found.log_marginal)
    assert math.isnan(found.bayes_factor_no_effect)
    assert found.likelihood == "normal"
    assert found.weights.sum() == pytest.approx(1)


def test_empirical_prior_meets_bayesmeta():
    found = pool_bayes(km.odds_ratio(frame("kap5")), tau_prior=turner("subjective"))
    value = expected()["bayesmeta"]["kap5|OR|Turner subjective"]
    got = [found.mean, found.low, found.high, found.tau_median]
    np.testing.assert_allclose(
        got, [value[n] for n in ("mean", "low", "high", "tau_median")], atol=1e-4
    )


def test_bayes_factors_as_printed():
    found = pool_bayes(km.risk_ratio(frame("kap5")), mu_prior=(0, 2))
    value = expected()["printed"]["bayes_factors"]
    assert math.exp(found.log_marginal) == pytest.approx(value["marginal"], rel=1e-7)
    assert found.bayes_factor_no_heterogeneity == pytest.approx(value["tau0"], rel=1e-9)
    assert found.bayes_factor_no_effect == pytest.approx(value["mu0"], rel=1e-8)


@pytest.mark.parametrize("measure", ["RR", "OR"])
def test_counts_need_no_correction(measure):
    found = pool_bayes(frame("kap5"), measure=measure)
    curve = "OR_conditional" if measure == "OR" else "RR_profile"
    value = expected()["bayes_exact"][f"kap5|{curve}|HN0.5|muN(0,2.82)"]
    np.testing.assert_allclose([found.low, found.estimate, found.high], value["q"], atol=1.2e-4)
    assert found.probability_above(1.25) == pytest.approx(value["p_gt125"], abs=2e-6)
    np.testing.assert_allclose(
        [found.tau_median, found.tau_high], [value["tau_med"], value["tau_975"]], atol=2e-3
    )
    assert found.likelihood == "binomial"
    assert not math.isnan(found.bayes_factor_no_effect)


def test_the_correction_throws_evidence_away():
    """12 of 27 against 0 of 28: P(RR > 1) is 0.980 with 0.5 added, 0.9999 from the counts."""
    wide = (0.0, 2.82)
    corrected = pool_bayes(km.risk_ratio(frame("cocaine1")), mu_prior=wide).probability_above()
    exact = pool_bayes(frame("cocaine1"), mu_prior=wide).probability_above()
    y, v = 3.25396714468, 2.00980295567
    precision = 1 / v + 1 / 2.82**2  # of a normal likelihood and a normal prior
    assert corrected == pytest.approx(stats.norm.cdf(y / v / math.sqrt(precision)), abs=1e-9)
    theta = np.linspace(-12, 25, 40_001)
    curve = brute_likelihood.risk_ratio_curve((12, 27, 0, 28), theta)
    weight = np.exp(curve - 0.5 * (theta / 2.82) ** 2)
    assert exact == pytest.approx(weight[theta > 0].sum() / weight.sum(), abs=1e-6)


def test_the_stress_case_in_full():
    printed = expected()["printed"]["stress"]
    effects = km.risk_ratio(STRESS)
    for scale in (0.25, 0.5, 1.0):
        found = pool_bayes(effects, tau_prior=scale)
        middle, low, high, probability = printed[str(scale)]
        # the table prints the exponentiated mean; the median differs in the fourth digit
        np.testing.assert_allclose(
            np.exp([found.mean, found.low, found.high]), [middle, low, high], rtol=1e-3
        )
        # divergence: .87493 is printed for half-normal(1); a midpoint sum of 200,001 points gives
        # .874846 too
        assert found.probability_above() == pytest.approx(
            probability, abs=1e-4 if scale == 1.0 else 1e-5
        )
    half = pool_bayes(effects, tau_prior=0.5)
    np.testing.assert_allclose(
        np.exp([half.prediction_low, half.prediction_high]), printed["prediction_0.5"], rtol=1e-4
    )
    odds = pool_bayes(STRESS, measure="OR")
    got = [*np.exp([odds.estimate, odds.low, odds.high]), odds.probability_above()]
    np.testing.assert_allclose(got, printed["OR exact 0.5"], rtol=2e-3)


@pytest.mark.parametrize("data", ["effects", "counts"])
def test_prior_scale_curve_and_tipping_scale(data):
    given = km.risk_ratio(STRESS) if data == "effects" else STRESS
    found = pool_bayes(given, tau_prior=0.25)
    curve = found.prior_scale_curve([0.0, 0.25, 0.5])
    assert curve["y_low"][1] == pytest.approx(found.low, abs=1e-9)
    assert curve["estimate"][1] == pytest.approx(math.exp(found.estimate))
    assert (np.diff(curve["high"] / curve["low"]) > 0).all()
    if data == "effects":
        common = km.pool(given, model="common")
        np.testing.assert_allclose(
            [curve["y_low"][0], curve["y_high"][0]], [common.low, common.high], atol=1e-9
        )
    scale = found.tipping_scale()
    assert 0.25 < scale < 0.5
    assert pool_bayes(given, tau_prior=scale).low == pytest.approx(0, abs=1e-7)


def test_tipping_scale_at_its_ends():
    assert pool_bayes(km.risk_ratio(frame("kap5"))).tipping_scale() == math.inf
    same = pd.DataFrame([("A", 5, 20, 5, 20), ("B", 6, 20, 5, 20)], columns=COLUMNS)
    assert pool_bayes(km.risk_ratio(same)).tipping_scale() == 0


def test_views():
    for given in (km.risk_ratio(frame("kap5")), frame("kap5")):
        found = pool_bayes(given)
        table = found.to_frame()
        assert list(table["row"]) == ["study"] * 5 + ["pooled", "prediction"]
        assert table["estimate"].iloc[5] == pytest.approx(math.exp(found.estimate))
        assert "tau half-normal(0.5)" in found.summary()
        assert "deterministic quadrature" in found.methods_text()
        assert "CrI" in repr(found)
        assert "<table" in found._repr_html_()
        assert "probability above 1" in found.alt_text()
        shrunken = found.shrunken()
        assert list(shrunken["study"]) == ["S1", "S2", "S3", "S4", "S5"]
        assert shrunken["estimate"].max() == shrunken["estimate"][4] < 6
        grid = np.linspace(-2, 6, 801)
        assert np.trapezoid(found.density(grid), grid) == pytest.approx(1, abs=1e-6)
        with pytest.raises(ValueError, match="read-only"):
            found.weights[0] = 1


@pytest.mark.parametrize(
    "prior",
    [half_cauchy(0.5), uniform(4.0), turner(), log_t(-2.99, 2.16), flat()],
    ids=lambda prior: prior.family,
)
def test_every_prior_on_both_likelihoods(prior):
    for given in (km.odds_ratio(frame("kap5")), frame("kap5")):
        found = (
            pool_bayes(given, tau_prior=prior, measure="OR")
            if isinstance(given, pd.DataFrame)
            else pool_bayes(given, tau_prior=prior)
        )
        assert found.low < found.estimate < found.high
        assert prior.family in found.summary()
        if not prior.proper:
            assert math.isnan(found.bayes_factor_no_heterogeneity)


def test_moments_that_do_not_exist_are_infinite():
    found = pool_bayes(km.risk_ratio(frame("alcohol2")), tau_prior=half_cauchy(0.5))
    assert found.tau_sd == math.inf
    assert found.se == math.inf
    assert math.isfinite(found.tau_mean)
    assert math.isfinite(found.high)


def test_refusals():
    one = km.risk_ratio(frame("cocaine1"))
    with pytest.raises(ValueError, match="one study and a flat prior of the mean"):
        pool_bayes(one)
    with pytest.raises(ValueError, match="one study and a flat prior of the mean"):
        pool_bayes(frame("cocaine1"), mu_prior="flat")
    assert "one trial" in pool_bayes(one, mu_prior=(0, 2.82)).summary()
    with pytest.raises(
        ValueError, match="improper: a flat prior of tau needs 3 studies here, and there are 2"
    ):
        pool_bayes(km.risk_ratio(frame("alcohol2")), tau_prior=flat())
    sided = pd.DataFrame([("A", 5, 10, 0, 12), ("B", 3, 20, 0, 20)], columns=COLUMNS)
    with pytest.raises(ValueError, match="improper: the likelihood of every table rises"):
        pool_bayes(sided, mu_prior="flat")
    assert pool_bayes(sided).low > 0
    with pytest.raises(ValueError, match="no table has information on the RR"):
        pool_bayes(pd.DataFrame([("A", 0, 10, 0, 12)], columns=COLUMNS))
    with pytest.raises(ValueError, match="tau_prior has no default for measure RD"):
        pool_bayes(km.risk_difference(frame("kap5")))
    assert pool_bayes(km.risk_difference(frame("kap5")), tau_prior=half_normal(0.1)).k == 5
    with pytest.raises(TypeError, match="tau_prior must be a prior"):
        pool_bayes(one, tau_prior="wide")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"0 or above.*got -1"):
        pool_bayes(one, tau_prior=-1)
    with pytest.raises(ValueError, match=r"mu_prior must be \(mean, standard deviation above 0\)"):
        pool_bayes(one, mu_prior=(0, 0))
    with pytest.raises(ValueError, match='unknown mu_prior "wide"; use one of: flat'):
        pool_bayes(one, mu_prior="wide")
    with pytest.raises(ValueError, match='unknown measure "RD"; use one of: RR, OR'):
        pool_bayes(frame("kap5"), measure="RD")
    with pytest.raises(ValueError, match="a risk ratio is above 0"):
        pool_bayes(frame("kap5")).probability_above(-1)


def test_order_of_rows_and_double_zeros_change_nothing():
    trials = frame("kap5")
    more = pd.concat(
        [trials, pd.DataFrame([("Z", 0, 9, 0, 9)], columns=COLUMNS)], ignore_index=True
    )
    for first, second in ((pool_bayes(trials), pool_bayes(more[::-1])),):
        assert (first.estimate, first.low) == (
            pytest.approx(second.estimate, abs=1e-9),
            pytest.approx(second.low, abs=1e-9),
        )
        assert second.k == 5
        assert "no event in either arm" in second.summary()


def test_surprise_at_heterogeneity():
    assert heterogeneity_surprise(pool_bayes(km.risk_ratio(frame("kap5")))) > 0.3
    assert heterogeneity_surprise(pool_bayes(km.risk_ratio(STRESS), tau_prior=0.05)) < 0.01


def test_surprise_is_the_prior_average_of_simulated_heterogeneity():
    found = pool_bayes(km.risk_ratio(STRESS))
    y, v = found.effects.y, found.effects.v
    rng = np.random.default_rng(5)
    tau = np.abs(rng.normal(0, 0.5, 400_000))
    # with two studies Q is the squared difference over the sum of the variances
    difference = rng.normal(size=tau.size) * np.sqrt(v.sum() + 2 * tau**2)
    share = (difference**2 >= (y[0] - y[1]) ** 2).mean()
    assert heterogeneity_surprise(found) == pytest.approx(share, abs=0.004)


def test_speed():
    effects, trials = km.risk_ratio(frame("kap5")), frame("kap5")
    pool_bayes(effects), pool_bayes(trials)
    for given, repeats, limit in (
        (effects, 20, 0.008),
        (trials, 5, 0.2),
    ):  # 1.3 ms and 46 ms on one idle core
        start = time.process_time()
        for _ in range(repeats):
            pool_bayes(given)
        assert (time.process_time() - start) / repeats < limit
