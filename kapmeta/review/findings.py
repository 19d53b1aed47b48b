"""The certainty and the summary of findings of all questions of a review."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from kapmeta import checking
from kapmeta.certainty import findings
from kapmeta.certainty.absolute_risks import Baseline, baselines_given
from kapmeta.certainty.grading import certainty_table
from kapmeta.review.answering import Answered, answers
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.protocol import QUESTIONS

__all__ = ["findings_of", "question_certainty", "summary_of_findings"]


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
def question_certainty(evidence: Evidence) -> pd.DataFrame:
    """Add up the GRADE judgements of ``data/grade.csv``, question by question.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        As `kapmeta.certainty.certainty_table` gives it, with the designs of the declared questions.

    Examples
    --------
    >>> import kapmeta as km
    >>> table = km.review.question_certainty(km.load_evidence()).set_index("question")
    >>> table.loc["cocaine-end-of-trial", ["certainty", "status"]].tolist()
    ['very low', 'provisional']
    """
    designs = {name: asked.randomised for name, asked in QUESTIONS.items()}
    return certainty_table(evidence_given(evidence).grade, randomised=designs)
