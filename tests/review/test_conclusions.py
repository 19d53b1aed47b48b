"""What may and may not be concluded speaks of the data at hand."""

from __future__ import annotations

import pandas as pd
import pytest

import kapmeta as km

BCG = km.load_example("bcg")


@pytest.mark.parametrize(
    "changes", [{}, {"randomised": False}, {"contrast": "dose"}, {"contrast": "sessions"}]
)
def test_a_conclusion_about_vaccines_says_nothing_of_this_review(
    changes: dict[str, object],
) -> None:
    concluded = km.review.conclusion(km.pool(km.risk_ratio(BCG.assign(**changes))))
    text = f"{concluded.may} {concluded.may_not}".lower()
    assert not any(word in text for word in ("ketamine", "abstin", "relapse"))
    assert "people in all" not in text


def test_the_reasons_are_those_of_the_table() -> None:
    pooled = km.pool(km.risk_ratio(BCG.assign(contrast="dose", randomised=False)))
    reasons = km.review.conclusion(pooled).may_not
    assert "in different doses, so this says nothing of the treatment against none" in reasons
    assert "the arms were not randomised" in reasons
    assert "bias" in km.review.conclusion(km.pool(km.risk_ratio(BCG))).may_not


def test_few_events_are_a_reason_for_doubt_and_many_are_not() -> None:
    trials = pd.DataFrame(
        {"study": list("abc"), "events_t": 40, "n_t": 100, "events_c": [59, 60, 60], "n_c": 100}
    )
    fewer = km.review.conclusion(km.pool(km.risk_ratio(trials))).may_not
    assert "the counts are of 600 people in all" in fewer
    more = trials.assign(events_c=60)
    assert "people" not in km.review.conclusion(km.pool(km.risk_ratio(more))).may_not


def test_means_are_judged_by_people_and_not_by_events_they_do_not_have() -> None:
    """Events were summed over columns that are not there: 100000 people were a reason for doubt."""
    rows = pd.DataFrame(
        {"study": list("abc"), "mean_t": [3.0, 3.2, 2.9], "sd_t": 1.0, "n_t": 20000,
         "mean_c": [3.4, 3.5, 3.1], "sd_c": 1.0, "n_c": 20000}
    )  # fmt: skip
    many = km.review.conclusion(km.pool(km.effects.mean_difference(rows))).may_not
    assert "people" not in many
    few = km.review.conclusion(km.pool(km.effects.mean_difference(rows.assign(n_t=50, n_c=50))))
    assert "the counts are of 300 people in all" in few.may_not


def test_people_of_reported_effects_are_known_from_their_column() -> None:
    paper = pd.DataFrame({"study": list("abc"), "estimate": 0.8, "low": 0.6, "high": 1.1})
    effects = km.reported(paper, measure="HR", event="death")
    unknown = km.review.conclusion(km.pool(effects)).may_not
    assert "how many people were counted is not known" in unknown
    known = km.reported(paper.assign(participants=900), measure="HR", event="death")
    assert "people" not in km.review.conclusion(km.pool(known)).may_not
    words = km.reported(paper.assign(participants="adults"), measure="HR", event="death")
    assert km.review.conclusion(km.pool(words)).may_not == unknown


@pytest.mark.parametrize("k", [1, 2, 4])
def test_one_group_is_stated_with_its_interval_and_compared_with_nothing(k: int) -> None:
    arms = pd.DataFrame({"study": list("abcd"), "events": 48, "n": 200}).head(k)
    concluded = km.review.conclusion(km.pool(km.proportion(arms, event="relapse")))
    text = str(concluded)
    assert "relapse" in text
    assert not any(w in text for w in ("difference", "trial (", "ratio", "treatment", "p ="))
    assert ("people in all" in text) == (k == 1 or k * 48 < 300)


def test_the_name_of_an_arm_is_the_one_given() -> None:
    trial = BCG.head(1).assign(treatment="yes", control=None)
    named = km.risk_ratio(trial, treatment="vaccine", control="nothing")
    text = km.review.conclusion(km.pool(named)).may
    assert "with vaccine and" in text
    assert "with nothing had" in text
    gap = km.risk_ratio(trial.drop(columns="treatment"))
    assert "with control had" in km.review.conclusion(km.pool(gap)).may


def test_a_users_own_unit_is_none_of_a_ratio() -> None:
    paper = pd.DataFrame(
        {"study": ["a"], "estimate": 0.8, "low": 0.6, "high": 1.1, "unit": "ward 3"}
    )
    pooled = km.pool(km.reported(paper, measure="HR", event="death"))
    assert "ward" not in km.review.conclusion(pooled).may
    assert "ward" not in km.summary_of_findings(pooled, baseline=0.2).shown().to_string()
