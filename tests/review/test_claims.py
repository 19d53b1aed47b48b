"""The claims audit: every verdict is the one the rule gives, and the rule does what it says."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from kapmeta.review.claims import VERDICTS, audit_claims, check_claims
from kapmeta.review.evidence import Evidence, EvidenceError, load_evidence
from kapmeta.review.recomputing import RECOMPUTATIONS
from tests.helpers.places import DATA

# Recomputed here by hand from the sources named in data/sources.csv, not by the library.
BY_HAND = {
    "C01": ("70; 2", "agrees"),  # 70 randomised to two doses
    "C05": ("2002; 23:273-283", "agrees"),
    "C06": ("1993", "contradicted"),  # a report of 1993 is older than 1997
    "C09": ("73/111 = 65.8 %", "agrees"),
    "C10": ("24/100 = 24.0 %", "agrees"),
    "C12": ("1/35 = 2.9 %; no count of 35 gives 2 %", "imprecise"),
    "C13": ("2002", "contradicted"),
    "C15": ("OR of relapse 0.80 (0.31 to 2.10)", "contradicted"),
    "C16": ("21 % (4 to 45): 90 % of days against 15.9 points less", "contradicted"),
    "C17": ("2022", "contradicted"),
    "C18": ("2015", "contradicted"),
    "C19": ("2019; 176:923-930", "contradicted"),
    "C20": ("lesser ketamine", "contradicted"),
    "C23": ("1", "contradicted"),
    "C24": ("MD of percent days abstinent 4.20 (-6.70 to 15.20)", "not_supported"),
    "C25": ("1", "contradicted"),
    "C28": ("13/26 = 50.0 %; 6/27 = 22.2 %", "contradicted"),
    "C29": ("13/26 = 50.0 %; 6/27 = 22.2 %", "agrees"),
}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence(DATA)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def put(folder: Path, row: int, changes: dict[str, str], table: str = "claims") -> Evidence:
    """Replace cells of one row of a table; `row` is the line of the file."""
    file = folder / f"{table}.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    for column, text in changes.items():
        rows[row - 1][rows[0].index(column)] = text
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return load_evidence(folder)


def test_every_claim_has_the_verdict_its_rule_gives(evidence: Evidence) -> None:
    table = check_claims(evidence).to_frame()
    assert table["claim_id"].tolist() == [f"C{i:02d}" for i in range(1, 36)]
    assert (table["verdict"] == table["verdict_entered"]).all()
    assert set(table["verdict"]) <= set(VERDICTS)


def test_recomputed_claims_are_those_found_by_hand(evidence: Evidence) -> None:
    table = audit_claims(evidence).to_frame().set_index("claim_id")
    decided = table[table["decided_by"] == "recomputation"]
    assert set(decided.index) == set(BY_HAND)
    for claim, (recomputed, verdict) in BY_HAND.items():
        assert table.loc[claim, ["recomputed", "verdict"]].tolist() == [recomputed, verdict], claim


def test_numbers_that_come_from_the_documents_verify_nothing(evidence: Evidence) -> None:
    table = audit_claims(evidence).to_frame().set_index("claim_id")
    for claim in ("C04", "C11"):
        assert "verifies nothing" in table.loc[claim, "recomputed"]
        assert table.loc[claim, "decided_by"] == "sources read"
    assert (
        table.loc["C11", "verdict"] == "could_not_verify"
    )  # although 6/35 rounds to the 17 % that is claimed


def test_every_way_of_recomputing_is_used(evidence: Evidence) -> None:
    used = {
        recipe.partition(":")[0]
        for cell in evidence.claims["recomputed_from"]
        for recipe in cell.split(";")
        if recipe
    }
    assert used == set(RECOMPUTATIONS)


def test_changing_a_count_changes_the_verdict(folder: Path) -> None:
    changed = put(folder, 2, {"events": "60"}, table="outcomes")
    table = audit_claims(changed).to_frame().set_index("claim_id")
    assert table.loc["C09", ["recomputed", "verdict", "verdict_entered"]].tolist() == [
        "60/111 = 54.1 %",
        "contradicted",
        "agrees",
    ]
    with pytest.raises(EvidenceError) as caught:
        check_claims(changed)
    found = caught.value.violations
    assert found[["file", "row", "column"]].to_numpy().tolist() == [["claims.csv", 10, "verdict"]]
    assert 'verdict = "agrees", but the rule gives "contradicted"' in found["message"].item()


def test_verdict_that_its_rule_does_not_give_is_refused_with_row_and_column(folder: Path) -> None:
    wrong = put(folder, 3, {"verdict": "contradicted"})
    with pytest.raises(
        EvidenceError, match=r'claims.csv, row 3 \("C02"\), verdict: .*the sources support'
    ):
        check_claims(wrong)


def test_claim_without_a_source_is_refused(folder: Path) -> None:
    with pytest.raises(EvidenceError, match=r"claims.csv, row 3, source_ids: source_ids is empty"):
        put(folder, 3, {"source_ids": ""})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recomputed_from": "percent:O099"}, "cannot be followed: 'O099'"),
        ({"stated": "66;24"}, "2 items are stated and 1 recomputed"),
    ],
)
def test_recipe_that_cannot_be_followed_is_named(
    folder: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(EvidenceError, match=message):
        audit_claims(put(folder, 10, changes))


def test_recipe_of_an_unknown_kind_breaks_the_description(folder: Path) -> None:
    with pytest.raises(EvidenceError, match="recomputed_from"):
        put(folder, 10, {"recomputed_from": "guess:O001"})


@pytest.mark.parametrize(
    ("stated", "verdict"),
    [("66", "agrees"), ("65.8", "agrees"), ("65", "contradicted"), ("65.7", "imprecise")],
)
def test_percentages_are_held_to_the_decimals_as_stated(
    folder: Path, stated: str, verdict: str
) -> None:
    found = audit_claims(
        put(folder, 10, {"stated": stated, "sources_say": "are silent"})
    ).to_frame()
    assert found["verdict"].iloc[8] == verdict


def test_scorecard_adds_up(evidence: Evidence) -> None:
    card = audit_claims(evidence).scorecard()
    assert len(card) == 6
    numbers = card.drop(columns="document")
    assert (numbers.iloc[:-1].sum() == numbers.iloc[-1]).all()
    assert (card[list(VERDICTS)].sum(axis=1) == card["claims"]).all()
    assert card["claims"].iloc[-1] == 35
    assert "Of 35 claims, 20 could be recomputed" in audit_claims(evidence).summary()
