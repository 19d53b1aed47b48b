"""The claims audit: every verdict is the one the rule gives, and the rule does what it says."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

import kapmeta as km
from kapmeta.review.claims import CONTRADICTED, VERDICTS, audit_claims, check_claims
from kapmeta.review.claims.effect_claims import HELD_AGAINST, JudgedAnswers
from kapmeta.review.evidence import Evidence, EvidenceError, load_evidence
from kapmeta.review.recomputing import RECOMPUTATIONS, STRENGTHS, EvidenceRows
from tests.helpers.places import DATA

SUBSTANCE, REFERENCE = "contradicted (substance)", "contradicted (reference)"

# Recomputed here by hand from the sources named in data/sources.csv, not by the library.
BY_HAND = {
    "C01": ("70; 2", "agrees"),  # 70 randomised to two doses
    "C05": ("2002; 23:273-283", "agrees"),
    "C06": ("1993", SUBSTANCE),  # a report of 1993 is older than 1997
    "C09": ("73/111 = 65.8 %", "agrees"),
    "C10": ("24/100 = 24.0 %", "agrees"),
    "C12": ("1/35 = 2.9 %; no count of 35 gives 2 %", "imprecise"),
    "C13": ("2002", REFERENCE),
    "C15": (
        "MD of percent days abstinent 10.10 (1.10 to 19.00), or OR of relapse 0.80 (0.31 to 2.10)",
        "imprecise",  # more days, but not more people
    ),
    "C16": ("21 % (4 to 45): 90 % of days against 15.9 points less", SUBSTANCE),
    "C18": ("2015", REFERENCE),
    "C19": ("2019; 176:923-930", REFERENCE),
    "C20": ("lesser ketamine", SUBSTANCE),
    "C23": ("1", REFERENCE),
    "C24": ("MD of percent days abstinent 4.20 (-6.70 to 15.20)", "overstated"),
    "C25": ("1", SUBSTANCE),
    "C28": ("13/26 = 50.0 %; 6/27 = 22.2 %", SUBSTANCE),
    "C29": ("13/26 = 50.0 %; 6/27 = 22.2 %", "agrees"),
    "C39": ("lesser ketamine", SUBSTANCE),  # not placebo
    "C53": ("2022", REFERENCE),
    "C55": ("2014; 33:84-140", REFERENCE),
    "C56": ("every arm had the same psychotherapy", "overstated"),
    "C58": ("active placebo", "imprecise"),
    "C60": ("2016", REFERENCE),
    "C61": ("2016; 22:238-249", "imprecise"),  # the reference is right, the topic is depression
    "C64": ("ROM of craving 0.42 (0.21 to 0.81)", "agrees"),
    "C75": ("OR of relapse 0.80 (0.31 to 2.10), or HR of relapse 0.47 (0.24 to 0.92)", "imprecise"),
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
    assert table["claim_id"].tolist() == [f"C{i:02d}" for i in range(1, len(table) + 1)]
    assert len(table) >= 55
    assert (table["verdict"] == table["verdict_entered"]).all()
    assert set(table["verdict"]) <= set(VERDICTS)


def test_recomputed_claims_are_those_found_by_hand(evidence: Evidence) -> None:
    table = audit_claims(evidence).to_frame().set_index("claim_id")
    decided = table.index[table["decided_by"] == "recomputation"]
    recipes = evidence.claims.set_index("claim_id")["recomputed_from"]
    moving = recipes.index[recipes.str.contains("answer|conflict")]  # judged in tests of their own
    assert set(decided) - set(moving) == set(BY_HAND)
    for claim, (recomputed, verdict) in BY_HAND.items():
        assert table.loc[claim, ["recomputed", "verdict"]].tolist() == [recomputed, verdict], claim


def test_numbers_that_come_from_the_documents_verify_nothing(evidence: Evidence) -> None:
    table = audit_claims(evidence).to_frame().set_index("claim_id")
    for claim in ("C04", "C11"):
        assert "verifies nothing" in table.loc[claim, "recomputed"]
        assert table.loc[claim, "decided_by"] == "sources read"
    # although 6/35 rounds to the 17 % that is claimed
    assert table.loc["C11", "verdict"] == "could not be verified"


def test_every_way_of_recomputing_is_used(evidence: Evidence) -> None:
    used = {
        recipe.partition(":")[0]
        for cell in evidence.claims["recomputed_from"]
        for recipe in re.split("[;|]", cell)
        if recipe
    }
    assert used == {*RECOMPUTATIONS, *HELD_AGAINST}


def test_changing_a_count_changes_the_verdict(folder: Path) -> None:
    changed = put(folder, 2, {"events": "60"}, table="outcomes")
    table = audit_claims(changed).to_frame().set_index("claim_id")
    assert table.loc["C09", ["recomputed", "verdict", "verdict_entered"]].tolist() == [
        "60/111 = 54.1 %",
        SUBSTANCE,
        "agrees",
    ]
    with pytest.raises(EvidenceError) as caught:
        check_claims(changed)
    found = caught.value.violations
    assert found[["file", "row", "column"]].to_numpy().tolist() == [["claims.csv", 10, "verdict"]]
    assert (
        'verdict = "agrees", but the rule gives "contradicted (substance)"'
        in found["message"].item()
    )


def test_verdict_that_its_rule_does_not_give_is_refused_with_row_and_column(folder: Path) -> None:
    wrong = put(folder, 3, {"verdict": SUBSTANCE})
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
    [("66", "agrees"), ("65.8", "agrees"), ("65", SUBSTANCE), ("65.7", "imprecise")],
)
def test_percentages_are_held_to_the_decimals_as_stated(
    folder: Path, stated: str, verdict: str
) -> None:
    found = audit_claims(
        put(folder, 10, {"stated": stated, "sources_say": "are silent"})
    ).to_frame()
    assert found["verdict"].iloc[8] == verdict


@pytest.mark.parametrize(
    ("column", "rule"), [("locator", "required"), ("quote", "required"), ("about", "required")]
)
def test_claim_without_its_place_in_the_document_is_refused(
    folder: Path, column: str, rule: str
) -> None:
    with pytest.raises(EvidenceError, match=rf"row 3, {column}: {column} is empty.*\[{rule}\]"):
        put(folder, 3, {column: ""})


def test_quotation_is_short(folder: Path) -> None:
    with pytest.raises(EvidenceError, match="quote .*does not have the form"):
        put(folder, 3, {"quote": "one two three four five six seven eight nine ten eleven 12 13"})


def test_claims_are_of_every_document_and_every_class(evidence: Evidence) -> None:
    claims = evidence.claims
    assert set(claims["seed_id"]) == {f"SD{i}" for i in range(5)}
    assert set(claims["verdict"]) == set(VERDICTS)
    assert set(claims["about"]) == set(CONTRADICTED)
    wrong = claims[claims["verdict"] == REFERENCE]
    assert set(wrong["about"]) == {"reference"}
    # one document is held against itself, and every document but one against another
    pairs = claims.loc[claims["about"] == "documents", "recomputed_from"].str.findall(r"C\d\d")
    seeds = claims.set_index("claim_id")["seed_id"]
    found = [frozenset(seeds[list(pair)]) for pair in pairs]
    assert frozenset({"SD4"}) in found
    assert len(found) == len(set(found)) >= 5


def items_of(evidence: Evidence, stated: str, recipe: str) -> tuple[str, str]:
    """Recompute one stated item, as the audit does."""
    what, _, name = recipe.partition(":")
    if what in HELD_AGAINST:
        certainty = km.review.question_certainty(evidence).set_index("question")["certainty"]
        judged = JudgedAnswers(km.review.answers(evidence), certainty.to_dict())
        item = HELD_AGAINST[what](judged, stated, name)
    else:
        item = RECOMPUTATIONS[what](EvidenceRows(evidence), stated, name)
    return item.recomputed, item.verdict


def test_claims_of_effect_are_held_against_the_answers(evidence: Evidence) -> None:
    answer = km.review.answer(evidence, "alcohol-days")
    text, verdict = items_of(evidence, "significantly greater", "answer:alcohol-days")
    assert f"{answer.estimate:.2f} ({answer.low:.2f} to {answer.high:.2f})" in text
    assert verdict == "agrees"
    # favourable, but of low certainty: not shown to be effective
    assert items_of(evidence, "effective", "answer:alcohol-days")[1] == "overstated"
    assert items_of(evidence, "unproven", "answer:alcohol-days")[1] == "agrees"


def test_effective_needs_moderate_certainty(folder: Path) -> None:
    grade = load_evidence(folder).grade
    rows = grade.index[grade["question"] == "alcohol-days"]
    for row in rows:
        put(folder, row + 2, {"judgement": "not serious", "levels_down": "0"}, table="grade")
    raised = load_evidence(folder)
    assert items_of(raised, "effective", "answer:alcohol-days")[1] == "agrees"
    assert items_of(raised, "unproven", "answer:alcohol-days")[1] == "contradicted"


def test_verdicts_on_effects_move_with_the_trials(folder: Path) -> None:
    """With as many abstinent in both arms the cocaine trial bears out no claim of more."""
    put(folder, 8, {"events": "3", "percent_printed": "11.1"}, table="outcomes")
    moved = audit_claims(load_evidence(folder)).to_frame().set_index("claim_id")
    assert moved.loc["C21", "verdict"] == SUBSTANCE  # "significantly"
    assert moved.loc["C44", "verdict"] == "overstated"
    assert (moved.loc[["C21", "C44"], "verdict_entered"] == "agrees").all()


def test_substance_without_a_controlled_trial_proves_nothing(evidence: Evidence) -> None:
    found = {word: items_of(evidence, word, "answers:opioids") for word in STRENGTHS}
    assert {text for text, _ in found.values()} == {
        "opioids: no randomised trial of ketamine against a control"
    }
    assert {word: verdict for word, (_, verdict) in found.items()} == {
        "greater": "could not be verified",
        "significantly greater": "could not be verified",
        "effective": "overstated",
        "unproven": "agrees",
    }


@pytest.mark.parametrize(
    ("stated", "recipe", "message"),
    [
        ("greater", "answers:tea", "cannot be followed: 'tea'"),
        ("greater", "answer:tea-6-months", "cannot be followed: 'tea-6-months'"),
        ("splendid", "answers:alcohol", '"splendid" is no claim of effect; use one of: greater'),
        ("up against down", "conflict:C99/C01", "cannot be followed: 'C99'"),
    ],
)
def test_claim_of_effect_that_cannot_be_judged_is_named(
    folder: Path, stated: str, recipe: str, message: str
) -> None:
    with pytest.raises(EvidenceError, match=re.escape(message)):
        audit_claims(put(folder, 10, {"stated": stated, "recomputed_from": recipe}))


def test_statements_that_cannot_both_hold_do_not_both_agree(folder: Path) -> None:
    claims = load_evidence(folder).claims
    row = claims.index[claims["recomputed_from"] == "conflict:C28/C29"][0] + 2
    assert check_claims(load_evidence(folder))
    with pytest.raises(EvidenceError, match=r"C09/C10, but both claims agree with the sources"):
        check_claims(put(folder, row, {"recomputed_from": "conflict:C09/C10"}))


def test_readings_of_one_item_go_in_pairs(folder: Path) -> None:
    changes = {"stated": "greater|greater", "recomputed_from": "interval:E06"}
    with pytest.raises(EvidenceError, match="2 items are stated and 1 recomputed"):
        audit_claims(put(folder, 10, changes))


def test_scorecard_adds_up(evidence: Evidence) -> None:
    card = audit_claims(evidence).scorecard()
    assert len(card) == 6
    numbers = card.drop(columns="document")
    assert (numbers.iloc[:-1].sum() == numbers.iloc[-1]).all()
    assert (card[list(VERDICTS)].sum(axis=1) == card["claims"]).all()
    total = card.iloc[-1]
    assert total["claims"] == len(evidence.claims)
    assert total["recomputed"] > total["claims"] / 2
    assert f"Of {total['claims']} claims, {total['recomputed']} could be recomputed" in (
        audit_claims(evidence).summary()
    )


def test_answers_made_already_are_not_made_again(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = km.review.answers(evidence)
    monkeypatch.setattr(
        "kapmeta.review.claims.auditing.answers", lambda _: pytest.fail("made again")
    )
    assert audit_claims(evidence, answered=answered).to_frame().shape[0] == len(evidence.claims)
