"""A review as a folder of data: evidence, plan, answers, conclusions, claims and report.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.review.answering import answer as answer
    from kapmeta.review.answering import answers as answers
    from kapmeta.review.answering import evidence_table as evidence_table
    from kapmeta.review.answering import question_effects as question_effects
    from kapmeta.review.answering import substances_table as substances_table
    from kapmeta.review.claims import audit_claims as audit_claims
    from kapmeta.review.claims import check_claims as check_claims
    from kapmeta.review.conclusions import conclusion as conclusion
    from kapmeta.review.evidence import load_evidence as load_evidence
    from kapmeta.review.findings import question_certainty as question_certainty
    from kapmeta.review.findings import summary_of_findings as summary_of_findings
    from kapmeta.review.risk_of_bias import check_bias_judgements as check_bias_judgements

_HOME = {
    "answer": "answering",
    "answers": "answering",
    "audit_claims": "claims",
    "check_bias_judgements": "risk_of_bias",
    "check_claims": "claims",
    "conclusion": "conclusions",
    "evidence_table": "answering",
    "load_evidence": "evidence",
    "question_certainty": "findings",
    "question_effects": "answering",
    "substances_table": "answering",
    "summary_of_findings": "findings",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.review has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.review.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
