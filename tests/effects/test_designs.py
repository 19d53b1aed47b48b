"""Designs with several arms: permitted contrasts, no patient counted twice, factorial trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.effects.designs import combine_arms, contrasts, factorial, refuse_double_counting
from tests.helpers.design_data import close, shared_rows

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


def test_factorial_trial() -> None:
    """Methods 6.5."""
    rows = pd.DataFrame(
        {
            "study": ["made up"] * 2,
            "comparison_id": [1, 2],
            "treatment": ["K+T", "K+E"],
            "control": ["P+T", "P+E"],
            "events_t": [14, 11],
            "n_t": [24, 24],
            "events_c": [9, 7],
            "n_c": [23, 25],
        }
    )
    found = factorial(rows)
    close(found.strata.y, [0.39927314, 0.49280712], 1e-7)
    close(found.strata.v, [0.09739476, 0.15209957], 1e-7)
    close([found.combined, found.combined_v**0.5], [0.440312581, 0.244799349], 1e-8)
    close([found.margins, found.margins_v**0.5], [0.446287103, 0.246644143], 1e-8)
    close([found.interaction, found.interaction_se], [-0.0935, 0.4995], 1e-3)
    w = 1 / found.strata.v
    close(
        [found.inverse_variance, found.inverse_variance_v],
        [w @ found.strata.y / w.sum(), 1 / w.sum()],
    )
    assert 0.8 < found.interaction_p < 0.9
    table = found.to_frame().set_index("row")
    assert list(table.index) == [
        "K+T v P+T",
        "K+E v P+E",
        "Mantel-Haenszel",
        "inverse variance",
        "margins",
        "interaction",
    ]
    close(
        table.loc["Mantel-Haenszel", ["estimate", "low"]],
        np.exp([found.combined, found.combined - 1.959963984540054 * found.combined_v**0.5]),
    )
    close(table.loc["interaction", "estimate"], np.exp(found.interaction))
    assert f"ratio of RRs {table.loc['interaction', 'estimate']:.2f}" in found.summary()
    assert "combined over the two levels by Mantel-Haenszel" in found.methods_text()
    assert "<table" in found._repr_html_()
    narrow = factorial(rows, level=0.8).to_frame()
    assert (narrow["high"].to_numpy() < table["high"].to_numpy()).all()
    difference = factorial(rows, measure="RD")
    close(
        difference.to_frame().set_index("row").loc["interaction", "estimate"],
        14 / 24 - 9 / 23 - (11 / 24 - 7 / 25),
    )
    with pytest.raises(ValueError, match="would count twice"):
        factorial(rows.assign(control=["P+T", "P+T"]))
    with pytest.raises(ValueError, match="two strata of one trial as two rows: got 1 rows"):
        factorial(rows.iloc[:1])
    with pytest.raises(ValueError, match='unknown measure "HR"'):
        factorial(rows, measure="HR")
    with pytest.raises(ValueError, match="a stratum carries no estimate"):
        factorial(rows.assign(events_t=[14, 0], events_c=[9, 0]), zero="none")


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
