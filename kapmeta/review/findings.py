"""The summary of findings of a review, and what trials that were not read could change."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from kapmeta import checking, wording
from kapmeta.certainty import findings
from kapmeta.certainty.absolute_risks import Baseline, baselines_given
from kapmeta.results.scenarios.unread_trials import UnreadTrial
from kapmeta.review.answering import Answered, answer, answers
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.evidence.missing import UNREAD
from kapmeta.sensitivity.unread_trials import unread_trial

__all__ = ["could_change", "findings_of", "summary_of_findings"]


@checking.checked
def summary_of_findings(
    evidence: Evidence, *, baseline: Baseline = None
) -> findings.SummaryOfFindings:
    """Make the summary of findings of every declared question.

    The certainty is that of ``data/grade.csv``. `kapmeta.summary_of_findings` does the same for
    results of your own.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    baseline : float or mapping of str to float, optional
        As in `kapmeta.absolute_effects`.

    Returns
    -------
    SummaryOfFindings
        One row per question and baseline risk.

    Examples
    --------
    >>> import kapmeta as km
    >>> table = km.review.summary_of_findings(km.load_evidence()).shown().set_index("Question")
    >>> cocaine = table.loc["cocaine: ketamine v control, randomised, end of trial"]
    >>> cocaine["Treatment arm, per 1,000"]
    '481 (242 to 673)'
    """
    baselines_given(baseline)  # before every question is answered
    return findings_of(answers(evidence), evidence.grade, baseline)


def findings_of(
    answered: Mapping[str, Answered], grade: pd.DataFrame, baseline: Baseline = None
) -> findings.SummaryOfFindings:
    """Make the summary of findings of questions that have been answered already."""
    return findings.summary_of_findings(
        {name: one.pooled for name, one in answered.items()},
        grade=grade,
        baseline=baseline,
        titles={name: one.title for name, one in answered.items()},
        shown={name: one.effect for name, one in answered.items()},
    )


@checking.checked
def could_change(evidence: Evidence, study: str, question: str) -> UnreadTrial:
    """Ask what a trial that is missing would have to have found to change an answer.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    study, question : str
        Row of ``known_missing.csv``. Where the arms are not known they are taken to be equal.

    Returns
    -------
    UnreadTrial
        From `kapmeta.sensitivity.unread_trial`.

    Raises
    ------
    ValueError
        If the trial is not missing from that question, or its size is not known.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.findings import could_change
    >>> could_change(km.load_evidence(), "yoon2025", "alcohol-randomised").n_t
    39.0
    """
    known = evidence_given(evidence).known_missing
    rows = known[(known["study_id"] == study) & (known["question"] == question)]
    rows = rows[rows["state"].isin(UNREAD)]
    if rows.empty:
        pairs = known.loc[known["state"].isin(UNREAD), ["study_id", "question"]].to_numpy()
        listed = ", ".join(" for ".join(pair) for pair in pairs)
        raise ValueError(
            f'study = "{study}" is not missing from question = "{question}"; missing are: {listed}'
        )
    row = wording.records(rows)[0]
    n_t, n_c, total = (row[name] for name in ("n_treatment", "n_control", "n_total"))
    if pd.isna(n_t) or pd.isna(n_c):
        if pd.isna(total):
            raise ValueError(f'the size of "{study}" is not known; give it in known_missing.csv')
        n_c = int(total) // 2
        n_t = int(total) - n_c
    label = str(evidence.studies.set_index("study_id").loc[study, "label"])
    return unread_trial(answer(evidence, question), n_t=int(n_t), n_c=int(n_c), study=label)
