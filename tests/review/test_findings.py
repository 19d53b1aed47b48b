"""Certainty and the summary of findings of the questions of the review."""

from __future__ import annotations

import math

import pytest

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.certainty.imprecisions import imprecision
from kapmeta.pooling.headlines import headline_effect
from kapmeta.review.evidence import Evidence, load_evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


def test_grade_in_data_judges_imprecision_no_milder_than_the_rule(evidence: Evidence) -> None:
    """People judge; where the rule of thresholds makes a proposal, they are not milder."""
    grade = evidence.grade.set_index(["question", "domain"])["levels_down"]
    for question in ("alcohol-randomised", "cocaine-end-of-trial", "opioids-sessions"):
        absolute = absolute_effects(headline_effect(km.review.answer(evidence, question)))
        assert grade[question, "imprecision"] >= imprecision(absolute, thresholds=[50])[0].levels


def test_summary_of_findings_holds_every_question(evidence: Evidence) -> None:
    findings = km.review.summary_of_findings(evidence)
    table = findings.to_frame()
    assert set(table["question"]) == set(km.review.protocol.QUESTIONS)
    row = table.set_index("question").loc["cocaine-end-of-trial"]
    assert row["treatment"] == pytest.approx(13 / 27)
    assert row["treatment"] - row["control"] == pytest.approx(row["difference"])
    dose = table.set_index("question").loc["opioids-dose"]
    assert math.isnan(dose["estimate"])
    assert "tertiary" in dose["interval"]
    text = findings.to_text()
    assert text.count("\n") == len(table) + 1
    assert all(line.count("\t") == text.splitlines()[0].count("\t") for line in text.splitlines())
    assert findings.to_html().count('<th scope="row">') == len(table)
    assert "nan" not in findings.to_html().lower().replace("midazolam", "")


def test_certainty_of_the_evidence_starts_by_the_design_of_each_question(
    evidence: Evidence,
) -> None:
    table = km.review.question_certainty(evidence).set_index("question")
    assert table["start"].to_dict() == {
        name: "high" if asked.randomised else "low"
        for name, asked in km.review.protocol.QUESTIONS.items()
    }
    shown = (
        km.review.summary_of_findings(evidence)
        .to_frame()
        .drop_duplicates("question")
        .set_index("question")
    )
    assert (shown["certainty"] == table["certainty"]).all()


def test_findings_carry_units_people_and_cut_limits(evidence: Evidence) -> None:
    shown = km.review.summary_of_findings(evidence).shown().set_index("Question")
    assert (
        "percentage points" in shown.loc["alcohol: percent of days abstinent, randomised", "Effect"]
    )
    assert (
        shown.loc["alcohol: percent of days abstinent, randomised", "Participants (trials)"]
        == "96 (1)"
    )
    odds = shown.loc["alcohol: ketamine v control, randomised, odds, 6 months"]
    assert odds["Participants (trials)"] == "96 (1)"
    assert odds["Number needed"] == "not given: no trial has counts of its control group"
    later = shown.loc["cocaine: ketamine v control, randomised, 6 months"]
    assert later["Effect"].startswith(
        "RR above 3.61, without an upper limit (no event in the control arm)"
    )
    end = shown.loc["cocaine: ketamine v control, randomised, end of trial"]
    # 13/27 v 3/28: the interval of the trial's own risk difference, at its control risk
    assert end["Treatment arm, per 1,000"] == "481 (242 to 673)"
    assert not later["Treatment arm, per 1,000"].endswith("cut")
    assert (
        shown.loc["alcohol: ketamine v control, not randomised", "Number needed"]
        == "not given: not randomised"
    )
