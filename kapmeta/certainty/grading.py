"""Certainty of evidence by GRADE, from judgements that people entered."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from kapmeta import checking, wording

__all__ = ["CERTAINTY", "GRADE_LEVELS", "certainty_table"]

CERTAINTY = ("very low", "low", "moderate", "high")
"""GRADE certainty, lowest first."""

GRADE_LEVELS: Mapping[str, int] = {
    "not serious": 0,
    "serious": 1,
    "very serious": 2,
    "extremely serious": 3,
    "not assessed": 0,
}
"""Levels that a GRADE judgement takes off the certainty."""

_SYMBOLS = dict(zip(CERTAINTY, ("⊕◯◯◯", "⊕⊕◯◯", "⊕⊕⊕◯", "⊕⊕⊕⊕"), strict=True))
_GRADE_COLUMNS = ("question", "domain", "judgement", "levels_down", "reason", "status")


@checking.checked
def certainty_table(
    grade: pd.DataFrame, *, randomised: Mapping[str, bool] | None = None
) -> pd.DataFrame:
    """Add up the GRADE judgements that people entered, question by question.

    Nothing is judged here. Randomised evidence starts at high and other evidence at low; each
    domain takes its levels off. `kapmeta.review.question_certainty` does it for a review.

    Parameters
    ----------
    grade : DataFrame
        One row per question and domain: question, domain, judgement, levels_down, reason, status.
    randomised : mapping of str to bool, optional
        Whether the evidence of a question is randomised; True for one that is not named.

    Returns
    -------
    DataFrame
        One row per question: `start`, `levels_down`, `certainty`, `symbols`, `reasons`,
        `not_assessed`, `status`.

    Raises
    ------
    ValueError
        If a judgement has no reason, or levels and judgement do not match; row and column are
        named.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.certainty.grading import certainty_table
    >>> grade = pd.DataFrame({"question": ["pain"] * 2, "domain": ["imprecision", "inconsistency"],
    ...     "judgement": ["serious", "not serious"], "levels_down": [1, 0],
    ...     "reason": ["93 people", "one trial"], "status": "agreed"})
    >>> certainty_table(grade)[["question", "certainty"]].values.tolist()
    [['pain', 'moderate']]
    """
    checking.refuse_no_table(grade, "grade", "question and domain")
    _check_grade(grade)
    for name, design in (randomised or {}).items():
        checking.flag(design, f'randomised["{name}"]')
    rows = []
    for question, part in grade.groupby("question", sort=False):
        design = (randomised or {}).get(str(question), True)
        start = "high" if checking.flag(design, f'randomised["{question}"]') else "low"
        down = int(part["levels_down"].sum())
        certainty = CERTAINTY[max(CERTAINTY.index(start) - down, 0)]
        lowered = part[part["levels_down"] > 0]
        rows.append(
            {
                "question": question,
                "start": start,
                "levels_down": down,
                "certainty": certainty,
                "symbols": _SYMBOLS[certainty],
                "reasons": " ".join(
                    f"{wording.capital(r['domain'])}, {r['judgement']}: {r['reason']}"
                    for r in wording.records(lowered)
                ),
                "not_assessed": wording.joined(
                    part.loc[part["judgement"] == "not assessed", "domain"]
                ),
                "status": "provisional" if (part["status"] == "provisional").any() else "agreed",
            }
        )
    return pd.DataFrame(rows)


def _check_grade(grade: pd.DataFrame) -> None:
    missing = [column for column in _GRADE_COLUMNS if column not in grade]
    if missing:
        raise ValueError(
            f'grade has no column "{missing[0]}"; it needs: {", ".join(_GRADE_COLUMNS)}'
        )
    for number, row in enumerate(wording.records(grade), start=1):
        place = f'row {number} ("{row["question"]}", {row["domain"]})'
        if not str(row["reason"] or "").strip() or pd.isna(row["reason"]):
            raise ValueError(
                f"reason is empty in {place}: a judgement needs a reason; write it down"
            )
        expected = GRADE_LEVELS.get(row["judgement"])
        if expected is None:
            known = ", ".join(GRADE_LEVELS)
            raise ValueError(
                f'judgement = "{row["judgement"]}" in {place} is not a known word; use one of:'
                f" {known}"
            )
        if int(row["levels_down"]) != expected:
            raise ValueError(
                f"levels_down = {row['levels_down']} in {place}, but judgement ="
                f' "{row["judgement"]}" takes {expected}'
            )
