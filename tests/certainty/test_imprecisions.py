"""The proposal for imprecision and the probability of an effect that matters."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.certainty.imprecisions import imprecision, probability_beyond
from kapmeta.certainty.information_sizes import information_size
from kapmeta.core.bayes.posterior import Mixture
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
