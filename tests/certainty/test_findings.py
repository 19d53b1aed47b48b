"""The summary of findings of results of one's own, and methods texts."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.certainty.findings import summary_of_findings
from kapmeta.certainty.information_sizes import information_size
from kapmeta.citing import cite
from kapmeta.pooling.headlines import headline_effect, headline_of
from kapmeta.results.effects import participants
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


def test_a_hazard_ratio_acts_on_survival() -> None:
    paper = pd.DataFrame(
        {"study": ["A", "B"], "estimate": 0.5, "low": 0.3, "high": 0.83}, index=[0, 1]
    )
    ratio = km.reported(paper, measure="HR", event="death", event_is_good=False)
    row = absolute_effects(km.pool(ratio, model="common"), baseline=0.20).to_frame().iloc[0]
    assert row["treatment"] == pytest.approx(0.105572809, abs=1e-9)
    assert row["nnt"].startswith("NNTB 10.6 ")


def test_a_hazard_ratio_from_counts_takes_the_baseline_of_its_own_event() -> None:
    """Of 31 controls 4 are free of it at six months, so the risk of the event is 27/31."""
    rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3, "n_c": [31] * 3,
                         "events_t": [18, 14, 10], "events_c": [10, 6, 4]})  # fmt: skip
    effects = km.effects.hazard_ratio(
        rows.assign(event="abstinence", event_is_good=True), event="relapse"
    )
    row = absolute_effects(km.pool(effects)).to_frame().iloc[0]
    assert row["control"] == pytest.approx(27 / 31)
    assert row["treatment"] == pytest.approx(1 - (4 / 31) ** math.exp(effects.y[0]))
    assert row["nnt"].startswith("NNTB")


def test_benefit_or_harm_waits_for_the_direction() -> None:
    unknown = km.pool(km.risk_ratio(FIVE, event="death"))
    table = summary_of_findings(unknown).shown()
    assert set(table["Number needed"]) == {"benefit or harm not known: give event_is_good"}
    first = absolute_effects(unknown, baseline=0.1).summary()
    assert "with treatment: 174 more (89 more to 299 more)." in first
    with pytest.raises(ValueError, match="number needed to treat .* event_is_good=True or"):
        km.certainty.number_needed_to_treat(unknown)
    grade = pd.DataFrame(
        {
            "question": ["mine"],
            "domain": ["imprecision"],
            "reason": ["few"],
            "judgement": ["serious"],
            "levels_down": [1],
            "status": ["agreed"],
        }
    )
    with pytest.raises(ValueError, match=r"GRADE.* event_is_good=True or"):
        summary_of_findings({"mine": unknown}, grade=grade)
    known = km.pool(km.risk_ratio(FIVE, event="death", event_is_good=False))
    assert summary_of_findings({"mine": known}, grade=grade).to_frame()["certainty"].iloc[0]
    assert summary_of_findings(known).to_frame()["nnt"].str.startswith("NNTH").all()


def test_an_effect_of_another_event_is_not_shown() -> None:
    deaths = km.pool(km.risk_ratio(FIVE, event="death"))
    other = km.pool(km.risk_ratio(FIVE, event="stroke"))
    with pytest.raises(ValueError, match='shown\\["mine"\\] is of "stroke"'):
        summary_of_findings({"mine": deaths}, shown={"mine": other})
    with pytest.raises(ValueError, match='shown has no effect for "mine"'):
        summary_of_findings({"mine": deaths}, shown={})


SHARED = pd.DataFrame(
    {"study": ["A", "A", "B"], "treatment": ["high", "low", "high"], "control": "placebo",
     "events_t": [10, 8, 6], "n_t": [24, 24, 30], "events_c": [4, 4, 5], "n_c": [25, 25, 28]}
)  # fmt: skip


def test_a_shared_control_counts_once() -> None:
    """Trial A has 24 + 24 + 25 people, trial B 30 + 28."""
    effects = km.risk_ratio(SHARED.assign(comparison_id=range(3)))
    assert participants(effects) == 73 + 58
    assert participants(effects.select([0])) == 49
    combined = km.pool(km.moderators.aggregate(effects, rho=0.5))
    assert summary_of_findings(combined, baseline=0.1).to_frame()["participants"].item() == 131


def test_the_same_arms_at_two_times_count_once_and_arms_without_names_not_at_all() -> None:
    times = SHARED.assign(treatment="high", comparison_id=range(3), n_t=[24, 20, 30])
    assert participants(km.risk_ratio(times.assign(events_t=5))) == 24 + 25 + 58
    nameless = SHARED.drop(columns=["treatment", "control"]).assign(comparison_id=range(3))
    assert math.isnan(participants(km.risk_ratio(nameless)))


def test_one_group_has_people_and_no_risks() -> None:
    arms = pd.DataFrame({"study": list("abc"), "events": 12, "n": [100, 90, 80]})
    pooled = km.pool(km.proportion(arms, event="relapse"))
    row = summary_of_findings(pooled).to_frame().iloc[0]
    assert (row["participants"], row["k"]) == (270, 3)
    assert row["in_plain_words"].endswith("one group, nothing is compared.")
    assert summary_of_findings(pooled).shown()["Number needed"].item() == "–"
    grade = pd.DataFrame(
        {
            "question": ["mine"],
            "domain": ["imprecision"],
            "reason": ["few"],
            "judgement": ["serious"],
            "levels_down": [1],
            "status": ["agreed"],
        }
    )
    with pytest.raises(ValueError, match="describes one group"):
        summary_of_findings({"mine": pooled}, grade=grade)
