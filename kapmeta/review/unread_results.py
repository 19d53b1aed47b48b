"""What a trial that is missing from an answer would have to have found to change it."""

from __future__ import annotations

import pandas as pd

from kapmeta import wording
from kapmeta.results.unread_trials import UnreadTrial
from kapmeta.review.answering import answer
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.missing_evidence import UNREAD
from kapmeta.sensitivity.unread_trials import unread_trial

__all__ = ["could_change"]


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
    >>> from kapmeta.review.unread_results import could_change
    >>> could_change(km.load_evidence(), "yoon2025", "alcohol-randomised").n_t
    39.0
    """
    known = evidence_given(evidence).known_missing
    rows = known[(known["study_id"] == study) & (known["question"] == question)]
    rows = rows[rows["state"].isin(UNREAD)]
    if rows.empty:
        pairs = known.loc[known["state"].isin(UNREAD), ["study_id", "question"]].to_numpy()
        listed = ", ".join(" for ".join(pair) for pair in pairs)
        raise ValueError(f'"{study}" is not missing from "{question}"; missing are: {listed}')
    row = wording.records(rows)[0]
    n_t, n_c, total = (row[name] for name in ("n_treatment", "n_control", "n_total"))
    if pd.isna(n_t) or pd.isna(n_c):
        if pd.isna(total):
            raise ValueError(f'the size of "{study}" is not known; give it in known_missing.csv')
        n_c = int(total) // 2
        n_t = int(total) - n_c
    label = str(evidence.studies.set_index("study_id").loc[study, "label"])
    return unread_trial(answer(evidence, question), n_t=int(n_t), n_c=int(n_c), study=label)
