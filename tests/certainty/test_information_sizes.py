"""Information size and sequential boundaries."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from scipy.stats import norm

import kapmeta as km
from kapmeta.certainty.information_sizes import information_size
from kapmeta.review.evidence import Evidence, load_evidence
from tests.helpers.five_trials import FIVE


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


@pytest.fixture(scope="module")
def common() -> km.Pooled:
    return km.pool(km.risk_ratio(FIVE), model="common")


def test_information_of_five_trials(common: km.Pooled) -> None:
    size = information_size(common, risk_ratio=1.5)
    assert size.required == pytest.approx(759.099, abs=5e-4)
    assert (size.participants, size.events) == (429, 145)
    assert size.fraction == pytest.approx(0.565, abs=5e-4)
    looks = size.to_frame()
    assert looks["study"].tolist() == ["S1", "S4", "S3", "S5", "S2"]  # by year
    assert looks["z"].iloc[-1] == pytest.approx(6.23, abs=5e-3)
    assert looks["crossed"].iloc[-1]
    assert looks["z"].iloc[-1] == pytest.approx(common.estimate / common.se, rel=1e-12)
    assert "no evidence that they agree" in size.summary()
    assert "BMC Med Res Methodol" in size.methods_text()


def test_heterogeneity_raises_the_size() -> None:
    pooled = km.pool(km.risk_ratio(km.load_example("bcg")))
    size = information_size(pooled, risk_ratio=1.5)
    assert pooled.tau2 > 0
    assert 0 < size.diversity < 1
    assert size.adjusted == pytest.approx(size.required / (1 - size.diversity))


def test_information_needs_one_effect_from_outside(common: km.Pooled, evidence: Evidence) -> None:
    for wrong in ({}, {"risk_ratio": 2.0, "difference": 0.1}):
        with pytest.raises(ValueError, match="either risk_ratio= or difference="):
            information_size(common, **wrong)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="risk_ratio must lead from a baseline of .* between 0 and 1"
    ):
        information_size(common, risk_ratio=9.0)
    with pytest.raises(ValueError, match="needs the counts of every trial"):
        information_size(km.review.answer(evidence, "alcohol-odds"), risk_ratio=2.0)


def test_one_trial_with_a_score_interval_is_looked_at_by_its_score_test(evidence: Evidence) -> None:
    """z was nan there, and its boundary could never be crossed."""
    pooled = km.review.answer(evidence, "cocaine-end-of-trial")
    size = information_size(pooled, risk_ratio=2)
    z = size.to_frame()["z"].item()
    assert z == pytest.approx(norm.isf(pooled.p_value / 2), rel=1e-12)
    a, n1, c, n2 = 13, 27, 3, 28  # Pearson's chi-square of the table, by its formula
    chi2 = (n1 + n2) * (a * (n2 - c) - c * (n1 - a)) ** 2 / (n1 * n2 * (a + c) * (n1 + n2 - a - c))
    assert z == pytest.approx(math.sqrt(chi2), rel=1e-9)
    assert "nan" not in size.summary()


def test_a_boundary_beyond_every_z_is_printed_as_infinite() -> None:
    one = pd.DataFrame({"study": ["A"], "events_t": [5], "n_t": [20], "events_c": [2], "n_c": [20]})
    told = km.information_size(km.pool(km.risk_ratio(one)), risk_ratio=1.5).summary()
    assert "the boundary, ∞, is not crossed" in told
