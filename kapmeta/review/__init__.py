"""A review as a folder of data: evidence, plan, answers, conclusions, claims and report.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.review import protocol as protocol
    from kapmeta.review import report as report
    from kapmeta.review import reproduce as reproduce
    from kapmeta.review.answering import answer as answer
    from kapmeta.review.answering import answers as answers
    from kapmeta.review.answering import evidence_table as evidence_table
    from kapmeta.review.answering import question_certainty as question_certainty
    from kapmeta.review.answering import question_effects as question_effects
    from kapmeta.review.answering import substances_table as substances_table
    from kapmeta.review.claims import audit_claims as audit_claims
    from kapmeta.review.claims import check_claims as check_claims
    from kapmeta.review.conclusions import conclusion as conclusion
    from kapmeta.review.evidence import Evidence as Evidence
    from kapmeta.review.evidence import EvidenceError as EvidenceError
    from kapmeta.review.evidence import load_evidence as load_evidence
    from kapmeta.review.findings import could_change as could_change
    from kapmeta.review.findings import summary_of_findings as summary_of_findings
    from kapmeta.review.report import write_page as write_page
    from kapmeta.review.risk_of_bias import check_bias_judgements as check_bias_judgements

_FILES = {
    "answering": [
        "answer",
        "answers",
        "evidence_table",
        "question_certainty",
        "question_effects",
        "substances_table",
    ],
    "claims": ["audit_claims", "check_claims"],
    "conclusions": ["conclusion"],
    "evidence": ["Evidence", "EvidenceError", "load_evidence"],
    "findings": ["could_change", "summary_of_findings"],
    "report": ["write_page"],
    "risk_of_bias": ["check_bias_judgements"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES, ["protocol", "report", "reproduce"])
