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


def test_the_reference_or_the_smaller_number_is_the_control() -> None:
    """Whichever arm is declared first, and by the first factor that decides."""
    pair = pd.DataFrame({"study": "A", "arm": ["x", "y"], "drug": ["P", "K"], "dose": [0.0, 0.5]})
    for rows in (pair, pair.iloc[::-1]):
        for reference in ({"drug": "P"}, {"dose": 0.0}, None):
            factors = ["drug", "dose"] if reference else ["dose"]
            row = contrasts(rows, factors=factors, within={}, reference=reference).iloc[0]
            assert (row["treatment_arm"], row["control_arm"]) == ("y", "x")
        turned = contrasts(rows, factors=["drug", "dose"], within={}, reference={"drug": "K"})
        assert turned["treatment_arm"].tolist() == ["x"]
        assert turned["question"].tolist() == ["drug+dose"]
        assert turned["package"].tolist() == [True]


def test_contrasts_share_arms_with_the_other_rows_of_their_trial_only() -> None:
    rows = pd.DataFrame(
        {"study": ["A"] * 3 + ["B"] * 2, "arm": list("xyzxy"), "dose": [2, 1, 0, 2, 0]}
    )
    found = contrasts(rows, factors=["dose"])
    assert found["shares_arms_with"].tolist() == [(1, 2), (0, 2), (0, 1), ()]
    assert found["held"].tolist() == [""] * 4
    assert not found["package"].any()


def test_combined_arms_are_summed_and_keep_what_they_share() -> None:
    rows = shared_rows().assign(
        missing_t=[1, 2],
        missing_c=[3, 3],
        percent_t=["41.7", "33.3"],
        months=6,
        label="A, 6 months",
    )
    (row,) = combine_arms(rows).to_dict("records")
    assert row["events_t"] == rows["events_t"].sum()
    assert row["n_t"] == rows["n_t"].sum()
    assert row["missing_t"] == 3
    assert row["missing_c"] == 3
    assert row["events_c"] == rows["events_c"].iloc[0]
    assert row["percent_t"] is None
    assert (row["months"], row["label"]) == (6, "A, 6 months")
    apart = combine_arms(rows.assign(control=["p1", "p2"]))
    assert apart["n_t"].tolist() == rows["n_t"].tolist()
    assert apart["percent_t"].tolist() == ["41.7", "33.3"]
    for column, values in (("months", [6, 12]), ("event", ["a", "b"]), ("missing_c", [3, 4])):
        with pytest.raises(ValueError, match="differ"):
            combine_arms(rows.assign(**{column: values}))
