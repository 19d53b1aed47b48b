"""Designs with several arms: permitted contrasts, no patient counted twice."""

from __future__ import annotations

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.effects.designs import combine_arms, contrasts, refuse_double_counting
from tests.helpers.design_data import shared_rows

ARMS = pd.DataFrame(
    {
        "study": ["factorial"] * 4 + ["doses"] * 3,
        "arm": ["K+T", "K+E", "P+T", "P+E", "low", "high", "placebo"],
        "drug": ["ketamine", "ketamine", "placebo", "placebo", "ketamine", "ketamine", "placebo"],
        "dose": [0.8, 0.8, 0.0, 0.0, 0.2, 2.0, 0.0],
        "therapy": [
            "therapy",
            "education",
            "therapy",
            "education",
            "therapy",
            "therapy",
            "therapy",
        ],
    }
)
CONTROL = {"drug": "placebo", "therapy": "education"}


def test_contrasts_follow_from_the_declaration() -> None:
    found = contrasts(ARMS, reference=CONTROL)
    pairs = {(r.treatment_arm, r.control_arm): r for r in found.itertuples()}
    assert (
        pairs["K+T", "P+T"].question == "drug"
    )  # the dose belongs to the drug and is no second difference
    assert pairs["K+T", "P+T"].held == "therapy therapy"
    assert pairs["K+T", "K+E"].question == "therapy"
    assert pairs["K+T", "P+E"].question == "drug+therapy"
    assert pairs["K+T", "P+E"].package
    assert pairs["high", "low"].question == "dose"  # the larger dose is the treatment
    assert pairs["low", "placebo"].question == "drug"
    assert len(found) == 9
    ketamine = found[(found["study"] == "factorial") & (found["question"] == "drug")]
    first, second = ketamine.index
    assert second not in found["shares_arms_with"][first]  # the two strata share no patients
    package = found.index[found["question"] == "drug+therapy"][0]
    assert first in found["shares_arms_with"][package]


def test_contrasts_refuse_undeclared_arms() -> None:
    with pytest.raises(
        ValueError, match='drug is missing in row 2 \\("factorial, K\\+E"\\): declare every factor'
    ):
        contrasts(ARMS.assign(drug=["ketamine", None, *ARMS["drug"][2:]]))
    with pytest.raises(
        ValueError, match='an arm is declared twice in row 2 \\("factorial, K\\+T"\\)'
    ):
        contrasts(ARMS.assign(arm=["K+T", *ARMS["arm"][[0, 2, 3, 4, 5, 6]]]))
    with pytest.raises(ValueError, match="arms permits no contrast"):
        contrasts(ARMS.iloc[[0]])
    unordered = contrasts(ARMS.iloc[:2].assign(therapy=["CBT", "MBRP"]))
    assert unordered["treatment_arm"][0] == "K+T"


def test_contrasts_of_the_projects_own_trials() -> None:
    """The comparisons of data/ are contrasts their arms permit, one question each."""
    evidence = km.load_evidence()
    arms = evidence.arms.rename(columns={"study_id": "study", "arm_id": "arm"})
    arms = arms.assign(dose=arms["dose"].fillna("none"), sessions=arms["sessions"].fillna(0))
    several = arms.groupby("study")["arm"].transform("size") > 1
    found = contrasts(arms[several], factors=["drug", "dose", "sessions"])
    permitted = {(r.study, frozenset((r.treatment_arm, r.control_arm))) for r in found.itertuples()}
    declared = evidence.comparisons
    named = zip(
        declared["study_id"], declared["treatment_arm"], declared["control_arm"], strict=True
    )
    assert {(study, frozenset(pair)) for study, *pair in named} <= permitted


def test_an_arm_counts_once() -> None:
    rows = pd.DataFrame(
        {"study": ["A", "A", "B"], "treatment": ["high", "low", "high"], "control": ["placebo"] * 3}
    )
    with pytest.raises(
        ValueError,
        match='arm "placebo" of "A" would count twice, in rows 1 and 2; combine the other arms',
    ):
        refuse_double_counting(rows)
    refuse_double_counting(rows.iloc[1:])
    refuse_double_counting(rows.assign(control=["p1", "p2", "p"]))


def test_combining_arms_refuses_what_is_not_one_control() -> None:
    with pytest.raises(
        ValueError, match='the control "placebo" of "A" has different counts in its rows'
    ):
        combine_arms(shared_rows().assign(events_c=[4, 5]))
    with pytest.raises(ValueError, match='"A" compares the same arm twice with "placebo"'):
        combine_arms(shared_rows().assign(treatment=["high", "high"]))


def test_arms_with_counts_held_as_categories_are_summed() -> None:
    rows = pd.DataFrame(
        {
            "study": ["A", "A"],
            "treatment": ["high", "low"],
            "control": ["placebo"] * 2,
            "events_t": [10, 8],
            "n_t": [24, 24],
            "events_c": [4, 4],
            "n_c": [25, 25],
        }
    ).astype({"events_t": "category", "n_t": "category"})
    assert combine_arms(rows)[["events_t", "n_t"]].to_numpy().tolist() == [[18, 48]]
