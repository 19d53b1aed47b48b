"""The tables of the page, each with its columns as a reader sees them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from kapmeta import wording
from kapmeta.certainty.findings import SummaryOfFindings
from kapmeta.review.answering import Answered
from kapmeta.review.claims import VERDICTS, ClaimsAudit
from kapmeta.review.evidence import Evidence
from kapmeta.review.report.tables import Table, analyses_table, trials_table
from kapmeta.review.report.words import ROLES
from kapmeta.wording import EVIDENCE_LEVELS

__all__ = ["page_tables"]

_WORDS: Mapping[str, Mapping[str, str]] = {
    "evidence_level": {word: level.phrase for word, level in EVIDENCE_LEVELS.items()},
    "role": ROLES,
    "kind": {"seed": "audited document"},
}
"""Words of the data as a reader sees them, by column."""
_NUMBERS = {"estimate": "Estimate", "low": "Low", "high": "High"}

# Name on the page, part of the evidence, caption, heads by column.
_DATA: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    (
        "data-studies",
        "studies",
        "Studies, pooled or not",
        {
            "label": "Study",
            "year": "Year",
            "substance": "Substance",
            "status": "Status",
            "randomised": "Randomised",
        }
        | {
            "comparator": "Comparator",
            "abstinence_counts": "Abstinence counts",
            "citation": "Reference",
        }
        | {"source_ids": "Sources"},
    ),
    (
        "data-outcomes",
        "outcomes",
        "Outcomes by arm",
        {
            "outcome_id": "Row",
            "study_id": "Study",
            "arm_id": "Arm",
            "outcome": "Outcome",
            "months": "Months",
        }
        | {"events": "Events", "n": "of", "evidence_level": "Evidence level", "locator": "Where"}
        | {"source_ids": "Sources"},
    ),
    (
        "data-effects",
        "effects",
        "Effects as their sources report them",
        {
            "effect_id": "Row",
            "study_id": "Study",
            "outcome": "Outcome",
            "measure": "Measure",
            **_NUMBERS,
        }
        | {"unit": "Unit", "role": "Role", "locator": "Where", "source_ids": "Sources"},
    ),
    (
        "data-risk-of-bias",
        "risk_of_bias",
        (
            "Risk of bias, provisional, from partial texts; where the reason is empty none was"
            " written down"
        ),
        {
            "study_id": "Study",
            "domain": "Domain",
            "timepoint": "Time",
            "tool": "Tool",
            "judgement": "Judgement",
        }
        | {"reason": "Reason", "source_ids": "Sources"},
    ),
    (
        "data-grade",
        "grade",
        "Certainty, domain by domain, as entered",
        {
            "question": "Question",
            "domain": "Domain",
            "judgement": "Judgement",
            "levels_down": "Levels down",
        }
        | {"reason": "Reason", "status": "Status", "source_ids": "Sources"},
    ),
    (
        "data-pending",
        "pending",
        "Figures that are known to exist and have not been read",
        {"pending_id": "Row", "study_id": "Study", "figure": "Figure", "months": "Months"}
        | {"where_to_find": "Where", "existence": "How we know"},
    ),
    (
        "data-sources",
        "sources",
        "Sources that were read, with what of them was seen",
        {
            "source_id": "Source",
            "citation": "Document",
            "kind": "Kind",
            "what_was_seen": "What was seen",
        }
        | {"url": "Address"},
    ),
)


def page_tables(
    evidence: Evidence,
    answered: Mapping[str, Answered],
    findings: SummaryOfFindings,
    audit: ClaimsAudit,
) -> list[Table]:
    """Make the tables of the page; one that a notebook saves has the name of its file."""
    data = [
        Table(name, getattr(evidence, part), caption, heads, _cell)
        for name, part, caption, heads in _DATA
    ]
    return [
        _trials(evidence),
        _harms(evidence),
        _findings(findings),
        _sensitivity(answered),
        *_claims(audit),
        *data,
    ]


def _trials(evidence: Evidence) -> Table:
    arms = {"treatment": "Ketamine arm", "events_t": "abstinent", "n_t": "of"}
    others = {"control": "Other arm", "events_c": "abstinent", "n_c": "of"}
    judged = {"evidence_level": "Numbers read in", "role": "Use"}
    return Table(
        "report-trials",
        trials_table(evidence),
        "Comparisons with counts of people who were abstinent",
        {
            "label": "Trial",
            "substance": "Substance",
            "months": "Months",
            **arms,
            **others,
            "randomised": "Randomised",
        }
        | judged,
        _cell,
    )


def _harms(evidence: Evidence) -> Table:
    studies = evidence.studies
    return Table(
        "harms",
        studies[studies["adverse_events"] != ""],
        "What was read about harms, study by study",
        {
            "label": "Study",
            "substance": "Substance",
            "n_randomised": "Randomised",
            "adverse_events": "Harms, as read",
        }
        | {"source_ids": "Sources"},
        _cell,
    )


def _findings(findings: SummaryOfFindings) -> Table:
    return Table(
        "summary-of-findings",
        findings.table,
        "Summary of findings: risks as proportions, exactly as in the results file",
        {
            "title": "Question",
            "trials": "Trials",
            "k": "k",
            "participants": "People",
            "measure": "Measure",
            **_NUMBERS,
        }
        | {
            "interval": "Interval",
            "baseline": "Baseline",
            "control": "Control risk",
            "treatment": "Ketamine-arm risk",
        }
        | {
            "treatment_low": "Low",
            "treatment_high": "High",
            "nnt": "Number needed",
            "certainty": "Certainty",
        },
    )


def _sensitivity(answered: Mapping[str, Answered]) -> Table:
    return Table(
        "report-sensitivity",
        analyses_table(answered),
        "Every question under every analysis of the plan",
        {
            "title": "Question",
            "role": "Role",
            "analysis": "Analysis",
            "measure": "Measure",
            "k": "k",
            **_NUMBERS,
        }
        | {"conclusion": "Says"},
    )


def _claims(audit: ClaimsAudit) -> list[Table]:
    """Tabulate the audit, with its reasons in one column, and the scorecard."""
    details = [f"Verdict in full: {detail}" if detail else "" for detail in audit.table["detail"]]
    parts = zip(audit.table["finding"], details, audit.table["notes"], strict=True)
    reasons = [". ".join(wording.capital(text) for text in part if text) for part in parts]
    return [
        Table(
            "claims-audit",
            audit.table.assign(why=reasons),
            "Claims of these documents, held against the evidence",
            {"claim_id": "No.", "claim": "Claim, in our words", "verdict": "Verdict", "why": "Why"}
            | {
                "stated": "Stated",
                "recomputed": "Recomputed",
                "document": "Document",
                "source_ids": "Sources",
            },
            _cell,
            filters="verdict",
        ),
        Table(
            "claims-scorecard",
            audit.scorecard(),
            "Verdicts by document",
            {"document": "Document", "claims": "Claims", "recomputed": "Recomputed"}
            | {word: word.replace("_", " ") for word in VERDICTS},
            _cell,
        ),
    ]


def _cell(column: str, text: str) -> str:
    """Write a cell as HTML: sources and addresses as links, codes in words."""
    escaped = html.escape(text)
    if column == "source_ids":
        return " ".join(f'<a href="#{name}">{name}</a>' for name in text.split(";") if name)
    if column == "document" and re.match(r"SD\d: ", text):
        return f'<a href="#{text[:3]}">{escaped}</a>'
    if column == "source_id":
        return f'<span id="{escaped}">{escaped}</span>'
    if column == "url" and text:
        return f'<a href="{escaped}" rel="noreferrer">{escaped}</a>'
    if column == "verdict":
        return f'<span class="verdict {text}">{escaped.replace("_", " ")}</span>'
    words = _WORDS.get(column, {})
    return html.escape(words[text]) if text in words else _plain(column, escaped)


def _plain(column: str, text: str) -> str:
    """Replace the underscores of codes; identifiers stay as they are."""
    return (
        text
        if column.endswith("_id")
        else text.replace("_", " ")
        if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)
        else text
    )
