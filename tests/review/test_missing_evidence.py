"""Evidence known to be missing: who is named, how it is judged, and what it could change."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

import kapmeta as km
from kapmeta.review.evidence import Evidence, load_evidence
from kapmeta.review.evidence.missing import (
    check_reporting_bias,
    counts_reread_sentence,
    missing_trials,
    missing_trials_sentence,
)
from kapmeta.review.findings import could_change
from kapmeta.review.report import in_short
from tests.helpers.places import DATA


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence(DATA)


def changed(tmp_path: Path, study: str, changes: dict[str, str]) -> Evidence:
    """Load the evidence with cells changed in every row of a study in known_missing.csv."""
    folder = Path(shutil.copytree(DATA, tmp_path / "data"))
    file = folder / "known_missing.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    for row in rows:
        if row[0] == study:
            for column, text in changes.items():
                row[head.index(column)] = text
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([head, *rows])
    return load_evidence(folder)


def test_trial_without_a_difference_is_named_first(evidence: Evidence) -> None:
    trials = missing_trials(evidence).set_index("study_id")
    assert trials.loc[["yoon2025"], "direction"].unique().tolist() == ["no difference"]
    sentence = missing_trials_sentence(evidence)
    assert sentence.startswith(
        "Missing from the numbers: a trial that measured abstinence, found no difference and has"
        " not been read (Yoon 2025, 65 people) and a trial without a published result"
    )
    assert "Columbia cocaine trial, 110 people" in sentence


def test_trial_read_in_part_or_under_way_is_not_missing(evidence: Evidence) -> None:
    missing = set(missing_trials(evidence)["study_id"])
    known = evidence.known_missing
    assert not missing & set(known.loc[known["state"] == "ongoing", "study_id"])
    assert "grabski2022" not in missing  # its odds ratio of relapse is in the numbers


def test_first_words_name_the_missing_trial_and_the_counts_read_again(evidence: Evidence) -> None:
    text = " ".join(in_short(evidence))
    assert missing_trials_sentence(evidence) in text
    assert counts_reread_sentence(evidence) in text
    assert text.endswith("Nothing here can tell whether ketamine would help a given person.")


def test_counts_of_dakwar_2020_were_read_again(evidence: Evidence) -> None:
    assert counts_reread_sentence(evidence) == (
        "The 82 % reported abstinent in Dakwar 2020 is very probably the share without heavy"
        " drinking: 9 of 17 drank nothing (9 of 22 with midazolam)."
    )


def test_sentences_change_with_what_is_known(tmp_path: Path) -> None:
    waiting = changed(tmp_path, "yoon2025", {"state": "ongoing", "direction": "not known"})
    assert "Yoon 2025" not in missing_trials_sentence(waiting)
    assert not (check_reporting_bias(waiting)["missing"].str.contains("Yoon 2025")).any()


def test_result_against_the_treatment_is_called_so(tmp_path: Path) -> None:
    worse = changed(tmp_path, "yoon2025", {"direction": "favours control"})
    assert (
        "found less of it with ketamine and has not been read (Yoon 2025"
        in missing_trials_sentence(worse)
    )


def test_missing_results_lower_the_certainty(evidence: Evidence) -> None:
    table = check_reporting_bias(evidence).set_index("question")
    assert table.loc["alcohol-randomised", "implied"] == "serious"
    assert "Yoon 2025" in str(table.loc["alcohol-randomised", "missing"])
    assert table["agree"].all()
    certainty = km.review.question_certainty(evidence).set_index("question")["reasons"]
    for question in table.index[table["implied"] == "serious"]:
        assert "Publication bias, serious" in certainty[question], question


def test_table_of_the_answers_names_what_is_missing(evidence: Evidence) -> None:
    table = km.review.evidence_table(evidence).set_index("Question")
    column = table["Known, not in the numbers"]
    assert column["ketamine v control, randomised"] == "Yoon 2025 (no difference)"
    assert "unpublished" in column["ketamine v control, randomised, end of trial"]


def test_unread_trial_has_the_arms_of_the_table(evidence: Evidence) -> None:
    found = could_change(evidence, "yoon2025", "alcohol-randomised")
    assert (found.n_t, found.n_c, found.study) == (39, 19, "Yoon 2025")
    assert (
        found.base.effects.labels == km.review.answer(evidence, "alcohol-randomised").effects.labels
    )
    curve = found.to_frame()
    assert np.isfinite(curve["estimate"]).all()
    assert curve["trial"].is_monotonic_increasing
    assert "(39 v 19 people" in found.summary()
    halves = could_change(evidence, "columbia_cocaine_u01", "cocaine-end-of-trial")
    assert (halves.n_t, halves.n_c) == (55, 55)  # 110 planned, arms not known


def test_trial_that_is_not_missing_is_refused_with_those_that_are(evidence: Evidence) -> None:
    with pytest.raises(
        ValueError, match='study = "dakwar2020" is not missing.*yoon2025 for alcohol'
    ):
        could_change(evidence, "dakwar2020", "alcohol-randomised")
