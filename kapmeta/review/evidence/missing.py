"""Evidence known to exist that is in no number: which trials, and the bias of their absence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kapmeta import wording
from kapmeta.certainty.grading import GRADE_LEVELS
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.protocol import QUESTIONS

__all__ = [
    "check_reporting_bias",
    "counts_reread_sentence",
    "missing_trials",
    "missing_trials_sentence",
    "missing_words",
]

UNREAD = ("measured, not reported", "direction only", "unpublished")
"""States of ``known_missing.csv`` in which a result exists, or should, and is in no number."""

_FOUND: Mapping[str, str] = {
    "no difference": "found no difference",
    "favours control": "found less of it with ketamine",
    "favours treatment": "found more of it with ketamine",
}


def missing_trials(evidence: Evidence) -> pd.DataFrame:
    """List the trials known to have measured what is asked, none of whose results was read.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per trial and question: `study_id`, `label`, `question`, `state`, `direction`,
        `people`, `n_treatment`, `n_control`, `what_is_known`, `source_ids`. A trial of which some
        result was read is not in it, nor one that is under way.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.evidence.missing import missing_trials
    >>> missing_trials(km.load_evidence()).set_index("study_id").loc["yoon2025", "direction"]
    'no difference'
    """
    known = evidence_given(evidence).known_missing
    read = known.loc[known["state"].isin(["counts read", "effect read"]), "study_id"]
    rows = known[known["state"].isin(UNREAD) & ~known["study_id"].isin(read)]
    studies = evidence.studies.set_index("study_id")
    randomised = rows["study_id"].map(studies["n_randomised"])
    frame = rows.assign(
        label=rows["study_id"].map(studies["label"]), people=randomised.fillna(rows["n_total"])
    )
    columns = ["study_id", "label", "question", "state", "direction", "people"]
    columns += ["n_treatment", "n_control", "what_is_known", "source_ids"]
    return frame[columns].reset_index(drop=True)


def missing_trials_sentence(evidence: Evidence, question: str | None = None) -> str:
    """Say which trials are missing from the numbers, and what is known of their results.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    question : str, optional
        Only the trials that are missing from this declared question.

    Returns
    -------
    str
        One sentence, first the trials whose direction is known; empty if none is missing.
    """
    trials = missing_trials(evidence)
    if question is not None:
        trials = trials[trials["question"] == question]
    trials = trials.drop_duplicates("study_id")
    parts = [
        f"{_counted_missing(some)} that measured abstinence, {found} and"
        f" {'has' if len(some) == 1 else 'have'} not been read ({_trial_names(some)})"
        for direction, found in _FOUND.items()
        if len(some := trials[trials["direction"] == direction])
    ]
    others = trials[~trials["direction"].isin(list(_FOUND))]
    if len(others):
        parts.append(
            f"{_counted_missing(others)} without a published result ({_trial_names(others)})"
        )
    return f"Missing from the numbers: {wording.joined(parts)}." if parts else ""


def missing_words(evidence: Evidence, question: str) -> str:
    """Write ``Yoon 2025 (no difference)`` for each trial missing from a question."""
    trials = missing_trials(evidence)
    return "; ".join(
        f"{row['label']} ({row['direction'] if row['direction'] in _FOUND else row['state']})"
        for row in wording.records(trials[trials["question"] == question])
    )


def _counted_missing(trials: pd.DataFrame) -> str:
    """Write ``a trial`` or ``2 trials``."""
    return "a trial" if len(trials) == 1 else f"{len(trials)} trials"


def _trial_names(trials: pd.DataFrame) -> str:
    """Write ``Yoon 2025, 65 people``."""
    return "; ".join(
        row["label"] if pd.isna(row["people"]) else f"{row['label']}, {row['people']:.0f} people"
        for row in wording.records(trials)
    )


def counts_reread_sentence(evidence: Evidence) -> str:
    """Say where reports of abstinence were in truth of people without a heavy drinking day.

    A comparison is named if its counts of abstinence conflict with a source whose percentage is the
    one of the milder outcome of the same arm.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    str
        One sentence per trial; empty if there is none.
    """
    outcomes = evidence_given(evidence).outcomes
    milder = outcomes[outcomes["event"] == "no heavy drinking"]
    keys = ["study_id", "arm_id", "timepoint"]
    strict = outcomes[(outcomes["event"] == "abstinence") & (outcomes["conflict"] != "")]
    pairs = strict.merge(milder, on=keys, suffixes=("", "_milder"), validate="1:1")
    trials = {row["study_id"]: row for row in wording.records(evidence.trials())}
    sentences = []
    for row in wording.records(pairs):
        share = f"{_missing_share(row, '_milder'):.0f} %"
        if share in row["conflict"] and row["study_id"] in trials:
            trial = trials[row["study_id"]]
            sentences.append(
                f"The {share} reported abstinent in {trial['label']} is very probably the share"
                f" without heavy drinking: {trial['events_t']} of {trial['n_t']} drank nothing"
                f" ({trial['events_c']} of {trial['n_c']} with {trial['control']})."
            )
    return " ".join(sentences)


def _missing_share(row: Mapping[str, Any], suffix: str) -> float:
    return 100 * float(row[f"events{suffix}"]) / float(row[f"n{suffix}"])


def check_reporting_bias(evidence: Evidence) -> pd.DataFrame:
    """Judge the bias of missing evidence of each question, beside the judgement entered.

    It is serious where a trial that measured the outcome is missing from the numbers and its result
    is not known to favour the treatment; no test is needed for that.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per question: `question`, `implied`, `missing` (the trials), `entered`, `agree`; an
        entered judgement that is worse than the implied one agrees.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.evidence.missing import check_reporting_bias
    >>> table = check_reporting_bias(km.load_evidence()).set_index("question")
    >>> str(table.loc["alcohol-randomised", "implied"]), bool(table["agree"].all())
    ('serious', True)
    """
    known = evidence_given(evidence).known_missing
    grade = evidence.grade
    entered = grade[grade["domain"] == "publication bias"].set_index("question")["judgement"]
    labels = evidence.studies.set_index("study_id")["label"]
    rows = []
    for question in QUESTIONS:
        part = known[(known["question"] == question) & known["state"].isin(UNREAD)]
        part = part[part["direction"] != "favours treatment"]
        implied = "serious" if len(part) else "not assessed"
        judged = str(entered[question])
        rows.append(
            {
                "question": question,
                "implied": implied,
                "missing": wording.joined(part["study_id"].map(labels)),
                "entered": judged,
                "agree": GRADE_LEVELS[judged] >= GRADE_LEVELS[implied],
            }
        )
    return pd.DataFrame(rows)
