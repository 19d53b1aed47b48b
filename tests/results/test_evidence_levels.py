"""The levels of evidence stand in one table, and only its own words mean anything."""

from __future__ import annotations

import json

import pytest

import kapmeta as km
from kapmeta.results.effects import unconfirmed
from kapmeta.wording import CONFIRMED, EVIDENCE_LEVELS, FIRST_HAND, level_named
from tests.helpers.places import ROOT


def test_the_data_use_the_words_of_the_table_in_its_order() -> None:
    described = json.loads((ROOT / "data" / "datapackage.json").read_text(encoding="utf-8"))
    columns = [field for table in described["resources"] for field in table["schema"]["fields"]]
    lists = [c["constraints"]["enum"] for c in columns if c["name"] == "evidence_level"]
    assert len(lists) >= 3
    assert all(words == list(EVIDENCE_LEVELS) for words in lists)


def test_first_hand_numbers_come_before_the_others_and_are_confirmed() -> None:
    words = list(EVIDENCE_LEVELS)
    assert words[: len(FIRST_HAND)] == list(FIRST_HAND)
    assert words[: len(CONFIRMED)] == list(CONFIRMED)
    assert len(FIRST_HAND) < len(CONFIRMED) < len(words)


@pytest.mark.parametrize("word", ["tertiary care hospital", "tertiary", "", None, 3, float("nan")])
def test_nothing_follows_from_any_other_word(word: object) -> None:
    assert level_named(word) is None
    assert not unconfirmed(word)


def test_a_column_of_that_name_with_words_of_its_own_changes_no_sentence() -> None:
    trials = km.load_example("bcg")
    named = km.pool(km.risk_ratio(trials.assign(evidence_level="tertiary care hospital")))
    assert named.alt_text() == km.pool(km.risk_ratio(trials)).alt_text()
