"""The declared questions on the real evidence, and sentences that follow the numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.pooling.headline_rules import HEADLINE, headline_rule
from kapmeta.review.evidence import Evidence
from kapmeta.review.protocol import QUESTIONS
from tests.helpers.places import ROOT

WALD = {  # dossier section 1
    "dakwar2020": (1.294, 0.6602, 2.537),
    "krupitsky1997": (2.740, 1.886, 3.982),
    "krupitsky2007": (2.25, 1.007, 5.025),
    "krupitsky2002": (6.0, 0.761, 47.29),
    "dakwar2019-end": (4.494, 1.439, 14.03),
}
EXPECTED = {  # score intervals as statsmodels 0.15 gives them too, the zero cell from methods 1.7
    "alcohol-randomised": ("RR", 1, 1.2941, 0.6519, 2.5507),
    "alcohol-not-randomised": ("RR", 1, 2.740, 1.919, 4.029),
    "alcohol-days": ("MD", 1, 10.1, 1.1, 19.0),
    "opioids-sessions": ("RR", 1, 2.25, 1.055, 5.080),
    "opioids-dose": ("RR", 1, 6.0, 1.0228, 37.069),
    "cocaine-end-of-trial": ("RR", 1, 4.494, 1.600, 13.69),
    "cocaine-6-months": ("RR", 1, np.inf, 3.609, np.inf),
}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return km.load_evidence()


@pytest.mark.parametrize("name", EXPECTED)
def test_declared_questions(name: str, evidence: Evidence) -> None:
    measure, k, *there = EXPECTED[name]
    main = km.review.answer(evidence, name)
    assert (main.measure, main.k) == (measure, k)
    row = main.to_frame().iloc[-1]
    assert_allclose(row[["estimate", "low", "high"]].astype(float), there, rtol=1e-3)


@pytest.mark.parametrize("name", WALD)
def test_the_comparisons_of_the_dossier(name: str, evidence: Evidence) -> None:
    main = km.pool(km.risk_ratio(evidence.trials(comparison_id=name)))
    assert_allclose(np.exp([main.estimate, main.low, main.high]), WALD[name], rtol=1e-3)


def test_odds_of_six_months_are_the_reported_ratio_turned_round(evidence: Evidence) -> None:
    """Abstinence over three weeks once stood beside relapse within six months."""
    effects = km.review.question_effects(evidence, "alcohol-odds")
    assert effects.labels == ("Grabski 2022",)
    assert_allclose(effects.y[0], 0.223143551314, rtol=1e-10)
    assert_allclose(effects.se[0], 0.48804986758, rtol=1e-9)
    assert (effects.event, effects.control) == ("abstinence", "placebo")


def test_every_question_is_answered_or_says_it_is_not(evidence: Evidence) -> None:
    assert set(EXPECTED) | {"alcohol-odds"} == set(QUESTIONS)
    with pytest.raises(
        ValueError, match='unknown question "alcohol"; use one of: alcohol-randomised'
    ):
        km.review.answer(evidence, "alcohol")


def test_tertiary_counts_enter_no_main_pool(evidence: Evidence) -> None:
    roles = {
        role
        for asked in QUESTIONS.values()
        if asked.contrast == "ketamine_v_control"
        for role in asked.roles
    }
    assert "not_pooled" not in roles
    trials = evidence.trials().set_index("comparison_id")
    assert trials.loc["krupitsky2002", "role"] == "not_pooled"
    table = km.review.evidence_table(evidence).set_index("Trials")
    assert (
        table.loc["Krupitsky 2002", "May be headlined"]
        == "nothing, until the primary report has been read"
    )
    assert "not randomised" in table.loc["Krupitsky 1997", "May be headlined"]


def test_nothing_is_concluded_from_tertiary_counts(evidence: Evidence) -> None:
    """The sentence once gave the risk ratio of counts that the table calls not confirmed."""
    dose = km.review.answer(evidence, "opioids-dose")
    expected = (
        "Nothing, until the primary report has been read: the numbers of Krupitsky 2002 are not"
        " confirmed."
    )
    assert km.review.conclusion(dose).may == expected
    assert "Not confirmed: Krupitsky 2002. Nothing may be concluded" in dose.alt_text()
    assert "ot confirmed" not in km.review.answer(evidence, "opioids-sessions").alt_text()


def test_sentences_follow_the_numbers(evidence: Evidence) -> None:
    open_question = km.review.conclusion(km.review.answer(evidence, "alcohol-randomised"))
    assert 'which includes "no difference"' in open_question.may
    assert "known only second-hand" in open_question.may_not
    later = km.review.conclusion(km.review.answer(evidence, "cocaine-6-months"))
    assert (
        'without an upper bound (score interval 3.61 to ∞), which excludes "no difference"'
        in later.may
    )
    sessions = km.review.conclusion(km.review.answer(evidence, "opioids-sessions"))
    assert "both arms had the same treatment, in different numbers of sessions" in sessions.may_not
    odds = km.review.conclusion(km.review.answer(evidence, "alcohol-odds"))
    assert odds.may.startswith("In the one randomised trial (Grabski 2022), odds ratio 1.25")
    two = km.load_example("bcg").head(2)
    pair = km.review.conclusion(km.pool(km.risk_ratio(two)))
    assert pair.may.startswith("Two trials: Aronson 1948, ")
    assert "If there were no heterogeneity between them" in pair.may
    three = km.review.conclusion(km.pool(km.risk_ratio(km.load_example("bcg"))))
    assert 'the interval excludes "no difference"' in three.may
    assert str(three) == f"{three.may}\n{three.may_not}"
    assert "<strong>What may not.</strong>" in three._repr_html_()


def test_a_new_trial_moves_its_question(tmp_path: Path) -> None:
    """One row per table (two where a row is an arm), nothing else."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    folder = tmp_path / "data"
    for name, old, new in (
        ("studies", "dakwar2020", "doe2027"),
        ("arms", "dakwar2020", "doe2027"),
        ("outcomes", "dakwar2020", "doe2027"),
        ("comparisons", "dakwar2020", "doe2027"),
    ):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
        added = table[table["study_id"] == old].assign(study_id=new)
        for column, value in {
            "label": "Doe 2027",
            "doi": "",
            "registry": "",
            "pmid": "",
            "overlap_group": "",
        }.items():
            if column in added:
                added[column] = value
        if name == "outcomes":
            added["outcome_id"] = [f"O90{i}" for i in range(len(added))]
        if name == "comparisons":
            added["comparison_id"] = new
        pd.concat([table, added]).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    evidence = km.load_evidence(folder)
    main = km.review.answer(evidence, "alcohol-randomised")
    assert main.k == 2
    assert "Doe 2027" in km.review.evidence_table(evidence)["Trials"].iloc[0]


def test_headline_rules() -> None:
    assert headline_rule(1) is HEADLINE["1"]
    assert headline_rule(4) is HEADLINE["3-4"]
    assert headline_rule(12) is HEADLINE["10+"]
    assert "tau2" in headline_rule(1).refused


def test_every_measure_tells_the_table_both_ways(evidence: Evidence) -> None:
    frame = km.sensitivity.every_measure(evidence.trials(substance="alcohol"), opposite="relapse")
    assert len(frame) == 8
    relapse = frame[frame["measure"] == "risk ratio of relapse"].set_index("study")["estimate"]
    assert_allclose(relapse[["Krupitsky 1997", "Dakwar 2020"]], [0.4505, 0.7964], rtol=1e-3)


def test_substances_without_a_controlled_result_are_listed(evidence: Evidence) -> None:
    table = km.review.substances_table(evidence).set_index("substance")
    for substance in ("cannabis", "tobacco", "methamphetamine"):
        assert table.loc[substance, "comparisons"] == 0
        assert table.loc[substance, "plan"] == "no controlled abstinence data"
    assert table.loc["methamphetamine", "without a result yet"] == 2


def test_table_of_what_the_evidence_says_has_counts_and_misleads_nobody(evidence: Evidence) -> None:
    table = km.review.evidence_table(evidence).set_index(["Substance", "Question"])
    counts, effect = table["Abstinent, ketamine v other arm"], table["Effect (95 % interval)"]
    end = ("cocaine", "ketamine v control, randomised, end of trial")
    assert (counts[end], effect[end]) == ("13/27 v 3/28", "RR 4.49 (1.60 to 13.69)")
    later = ("cocaine", "ketamine v control, randomised, 6 months")
    assert (counts[later], effect[later].split(",")[0]) == ("12/27 v 0/28", "RR above 3.61")
    assert "∞" not in " ".join(effect)
    dose = ("opioids", "high v low dose of ketamine, randomised")
    assert not any(character.isdigit() for character in effect[dose])
    assert counts["alcohol", "ketamine v control, randomised"] == "9/17 v 9/22"
    assert counts["alcohol", "ketamine v control, randomised, odds, 6 months"] == "counts not known"
    assert effect["alcohol", "percent of days abstinent, randomised"].endswith("percentage points")


def test_a_conclusion_from_effects_without_counts_says_that_the_people_are_not_known() -> None:
    five = pd.DataFrame({"study": list("ABCDE"), "y": [0.2] * 5, "v": [0.1] * 5})
    assert (
        "how many people were counted is not known"
        in km.review.conclusion(km.pool(km.generic(five))).may_not
    )
