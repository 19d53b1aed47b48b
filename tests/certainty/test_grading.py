"""GRADE judgements, checked and added up."""

from __future__ import annotations

import pytest

import kapmeta as km
from kapmeta.certainty.grading import certainty_table
from kapmeta.review.evidence import Evidence, load_evidence


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


def test_certainty_is_the_sum_of_what_people_entered(evidence: Evidence) -> None:
    grade = evidence.grade
    table = certainty_table(grade, randomised={"alcohol-not-randomised": False}).set_index(
        "question"
    )
    assert list(table.index) == list(km.review.protocol.QUESTIONS)
    assert table.loc["alcohol-days", ["start", "levels_down", "certainty"]].tolist() == [
        "high",
        2,
        "low",
    ]
    assert table.loc["alcohol-not-randomised", "start"] == "low"
    assert set(table["status"]) == {"provisional"}
    order = ("very low", "low", "moderate", "high")
    for question, row in table.iterrows():
        entered = grade[grade["question"] == question]["levels_down"].sum()
        assert order.index(row["certainty"]) == max(order.index(row["start"]) - entered, 0)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("reason", "", r'reason is empty in row 2 \("alcohol-randomised", inconsistency\)'),
        ("judgement", "bad", 'judgement = "bad" in row 2'),
        ("levels_down", 3, "levels_down = 3 in row 2"),
    ],
)
def test_grade_entries_are_checked(
    evidence: Evidence, column: str, value: object, message: str
) -> None:
    grade = evidence.grade
    grade.loc[1, column] = value
    with pytest.raises(ValueError, match=message):
        certainty_table(grade)
