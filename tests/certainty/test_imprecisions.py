"""The proposal for imprecision and the probability of an effect that matters."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.certainty.imprecisions import imprecision, probability_beyond
from kapmeta.certainty.information_sizes import information_size
from kapmeta.core.bayes.posterior import Mixture
from kapmeta.core.certainty.absolute_risks import ABSOLUTE, absolute_risk, effect_of_risks
from kapmeta.pooling.bayes import pool_bayes
from tests.helpers.five_trials import FIVE


@pytest.fixture(scope="module")
def common() -> km.Pooled:
    return km.pool(km.risk_ratio(FIVE), model="common")


def test_imprecision_is_proposed_by_the_thresholds(common: km.Pooled) -> None:
    absolute = absolute_effects(common, baseline=0.130434783)  # 228 (130 to 361) per 1,000
    enough = information_size(common, risk_ratio=2.0)
    few = information_size(common, risk_ratio=1.25)
    assert enough.fraction > 1 > few.fraction
    levels = [
        imprecision(absolute, thresholds=[50], information=enough)[0].levels,
        imprecision(absolute, thresholds=[50], information=few)[0].levels,
        imprecision(absolute, thresholds=[200], information=enough)[0].levels,
        imprecision(absolute, thresholds=[200, 300], information=enough)[0].levels,
    ]
    assert levels == [0, 1, 1, 2]
    wide = absolute_effects(dataclasses.replace(common, low=-2.0, high=2.0), baseline=0.13)
    assert imprecision(wide, thresholds=[50, 200])[0].judgement == "very serious"
    assert imprecision(wide, thresholds=[20, 40, 60])[0].judgement == "extremely serious"
    with pytest.raises(ValueError, match="above 0"):
        imprecision(absolute, thresholds=[0])


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_probability_beyond_a_difference(measure: str) -> None:
    belief = Mixture(np.array([1.0]), np.array([0.3]), np.array([0.2]))
    p0, gain = 0.2, 0.05
    limit = {"RR": math.log(0.25 / 0.2), "OR": math.log(0.25 / 0.75 / (0.2 / 0.8)), "RD": gain}[
        measure
    ]
    found = probability_beyond(belief, gain, baseline=p0, measure=measure)
    assert found == pytest.approx(norm.sf((limit - 0.3) / 0.2), rel=1e-12)
    assert probability_beyond(belief, 0.9, baseline=p0, measure=measure) == 0
    assert probability_beyond(belief, -0.3, baseline=p0, measure=measure) == 1


def test_probability_beyond_takes_a_posterior() -> None:
    posterior = pool_bayes(km.risk_ratio(FIVE.iloc[:3]))
    assert probability_beyond(posterior, 0.0, baseline=0.2) == pytest.approx(
        posterior.probability_above(), rel=1e-9
    )


TRIALS = pd.DataFrame(
    {"study": list("ABCDE"), "events_t": [12, 9, 20, 7, 15], "n_t": [40, 35, 61, 30, 50],
     "events_c": [5, 6, 11, 2, 0], "n_c": [41, 33, 60, 29, 52]}
)  # fmt: skip


def test_a_posterior_has_its_own_measure_and_no_other() -> None:
    difference = pool_bayes(km.risk_difference(TRIALS), tau_prior=km.pooling.half_normal(0.1))
    assert probability_beyond(difference, 0.1, baseline=0.2) == pytest.approx(0.957, abs=0.003)
    odds = pool_bayes(km.odds_ratio(TRIALS))
    assert probability_beyond(odds, 0.1, baseline=0.2) == pytest.approx(0.924, abs=0.003)
    same = probability_beyond(odds, 0.1, baseline=0.2, measure="OR")
    assert same == probability_beyond(odds, 0.1, baseline=0.2)
    with pytest.raises(ValueError, match='measure="RR" contradicts the posterior, .* odds ratio'):
        probability_beyond(odds, 0.1, baseline=0.2, measure="RR")
    means = pd.DataFrame({"study": ["A", "B"], "y": [0.1, 0.3], "v": [0.02, 0.03]})
    with pytest.raises(ValueError, match="standardised mean difference has no absolute risk"):
        probability_beyond(pool_bayes(km.generic(means, measure="SMD")), 0.1, baseline=0.2)


@pytest.mark.parametrize("wrong", [95, math.nan, -2.0, "0.1", True])
def test_a_difference_is_one_of_risks(wrong: object) -> None:
    odds = pool_bayes(km.odds_ratio(TRIALS))
    with pytest.raises((ValueError, TypeError), match="difference must"):
        probability_beyond(odds, wrong, baseline=0.2)  # type: ignore[arg-type]


def test_a_distribution_does_not_say_what_it_is_of() -> None:
    belief = Mixture(np.array([1.0]), np.array([0.3]), np.array([0.2]))
    with pytest.raises(ValueError, match="measure is not given"):
        probability_beyond(belief, 0.1, baseline=0.2)


@pytest.mark.parametrize("measure", ABSOLUTE)
@pytest.mark.parametrize("risks", [(0.3, 0.2), (0.01, 0.9)])
def test_the_effect_of_two_risks_leads_from_one_to_the_other(
    measure: str, risks: tuple[float, float]
) -> None:
    effect = effect_of_risks(*risks, measure)
    shown = effect if measure in ("RD", "AS") else np.exp(effect)
    assert absolute_risk(shown, risks[1], measure).risk == pytest.approx(risks[0], rel=1e-12)
