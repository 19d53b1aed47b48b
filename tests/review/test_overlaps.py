"""Reports of the same people stand side by side; unknown outcomes are asked about, not assumed."""

from __future__ import annotations

import numpy as np
import pytest

import kapmeta as km
from kapmeta.review.evidence import Evidence, load_evidence
from kapmeta.review.evidence.overlaps import known_outcomes, overlapping_reports
from tests.helpers.places import DATA


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence(DATA)


def test_the_two_reports_of_one_control_group_stand_side_by_side(evidence: Evidence) -> None:
    table = overlapping_reports(evidence).set_index("label")
    assert table["in_place_of"].tolist() == ["", "krupitsky1997"]
    assert table["counts"].tolist() == ["73/111 v 24/100", "60/86 v 24/100"]
    ratios = [(73 / 111) / 0.24, (60 / 86) / 0.24]
    assert np.allclose(table["estimate"].astype(float), ratios)
    assert (table["low"].astype(float) > 1).all()


def test_answer_counts_the_overlapping_people_once(evidence: Evidence) -> None:
    pooled = km.review.answer(evidence, "alcohol-not-randomised")
    assert list(np.array(pooled.effects.labels)[pooled.effects.present]) == ["Krupitsky 1997"]


def test_unknown_outcomes_of_1997_leave_the_totals(evidence: Evidence) -> None:
    known = known_outcomes(evidence.trials(comparison_id="krupitsky1997"))
    cells = ["events_t", "n_t", "events_c", "n_c", "missing_t", "missing_c", "missing"]
    assert known[cells].to_numpy().tolist() == [[73, 103, 24, 93, 8, 7, 15]]


def test_worst_case_of_1997_is_the_one_found_by_hand(evidence: Evidence) -> None:
    """With the 8 relapsed and the 7 abstinent it is 73/111 against 31/100, RR 2.12."""
    known = known_outcomes(evidence.trials(comparison_id="krupitsky1997"))
    frame = km.missing_outcomes(known, totals="observed").to_frame()
    assert np.isclose(frame["estimate"].min(), (73 / 111) / 0.31, atol=5e-3)
    assert (frame["low"] > 1).all()


def test_trials_without_unknown_outcomes_are_left_out(evidence: Evidence) -> None:
    assert known_outcomes(evidence.trials(substance="cocaine")).empty
