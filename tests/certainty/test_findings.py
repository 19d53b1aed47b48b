"""The summary of findings of results of one's own, and methods texts."""

from __future__ import annotations

import math
import re

import pytest

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.certainty.findings import summary_of_findings
from kapmeta.certainty.information_sizes import information_size
from kapmeta.citing import cite
from kapmeta.pooling.headlines import headline_effect, headline_of
from kapmeta.review.evidence import Evidence, load_evidence
from tests.helpers.five_trials import FIVE


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


@pytest.fixture(scope="module")
def common() -> km.Pooled:
    return km.pool(km.risk_ratio(FIVE), model="common")


def test_headline_effect_follows_the_number_of_trials(evidence: Evidence) -> None:
    one = headline_effect(km.review.answer(evidence, "cocaine-end-of-trial"))
    assert (math.exp(one.low), math.exp(one.high)) == pytest.approx(
        (1.599191, 13.689937), rel=1e-6
    )  # score interval
    two = headline_effect(km.pool(km.odds_ratio(FIVE.head(2))))
    assert "Posterior" in repr(two)
    several = km.pool(km.risk_ratio(FIVE))
    assert headline_effect(several) is several


def test_summary_of_findings_of_ones_own_results(common: km.Pooled) -> None:
    table = summary_of_findings({"mine": common}).to_frame()
    assert len(table) == 3
    assert set(table["certainty"]) == {""}
    assert summary_of_findings(common, baseline=0.2).shown()["Control, per 1,000"].tolist() == [
        "200 (baseline given)"
    ]


def test_cite_names_the_methods_of_a_result() -> None:
    text = cite(km.pool(km.risk_ratio(FIVE)))
    assert text.startswith("The kapmeta developers. kapmeta:")
    assert "Viechtbauer" in text
    assert "Knapp" in text
    assert "Koopman" not in text
    assert cite(style="bibtex").startswith("@software{kapmeta,")
    with pytest.raises(ValueError, match="unknown style"):
        cite(style="apa")


def test_every_result_of_this_family_can_be_cited_and_tells_its_methods(evidence: Evidence) -> None:
    pooled = km.review.answer(evidence, "cocaine-end-of-trial")
    several = {
        "Koopman": absolute_effects(headline_effect(pooled)),
        "Wetterslev": information_size(pooled, risk_ratio=2),
        "Guyatt": km.review.summary_of_findings(evidence),
        "Bender": headline_of(pooled),
        "Heathers": km.review.audit_claims(evidence),
    }
    for author, result in several.items():
        assert author in cite(result)
        assert re.search(r"https://doi\.org/10\.\d{4}", result.methods_text()), author
        assert "nan" not in result.methods_text()
    with pytest.raises(TypeError, match="a DataFrame names no method to cite"):
        cite(pooled.to_frame())


def test_methods_of_a_headline_with_nothing_beside_it_have_no_empty_list(
    evidence: Evidence,
) -> None:
    text = headline_of(km.review.answer(evidence, "alcohol-days")).methods_text()
    assert "Beside it" not in text
    assert "one trial has no between-study variance" in text
