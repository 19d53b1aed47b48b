"""The tables of the page, each with its columns as a reader sees them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from kapmeta import wording
from kapmeta.certainty.findings import SummaryOfFindings
from kapmeta.review.answering import Answered
from kapmeta.review.claims import VERDICTS, ClaimsAudit
from kapmeta.review.evidence import Evidence
from kapmeta.review.report.tables import Table, analyses_by_question, trials_table
from kapmeta.review.report.words import ROLES
from kapmeta.wording import EVIDENCE_LEVELS

__all__ = ["page_tables"]

_WORDS: Mapping[str, Mapping[str, str]] = {
    "evidence_level": {word: level.phrase for word, level in EVIDENCE_LEVELS.items()},
    "role": ROLES,
    "kind": {"seed": "audited document"},
}
"""Words of the data as a reader sees them, by column."""

# Of each table: caption, and columns with their heads; of the data first the part of the evidence.
_DATA = (
    (
        "studies",
        "Studies, pooled or not",
        "label=Study; year=Year; substance=Substance; status=Status; randomised=Randomised; "
        "comparator=Comparator; abstinence_counts=Abstinence counts; citation=Reference; "
        "source_ids=Sources",
    ),
    (
        "outcomes",
        "Outcomes by arm",
        "outcome_id=Row; study_id=Study; arm_id=Arm; outcome=Outcome; months=Months; "
        "events=Events; n=of; evidence_level=Evidence level; locator=Where; source_ids=Sources",
    ),
    (
        "effects",
        "Effects as their sources report them",
        "effect_id=Row; study_id=Study; outcome=Outcome; measure=Measure; estimate=Estimate; "
        "low=Low; high=High; unit=Unit; role=Role; locator=Where; source_ids=Sources",
    ),
    (
        "risk_of_bias",
        "Risk of bias, provisional, from partial texts; where the reason is empty none was "
        "written down",
        "study_id=Study; domain=Domain; timepoint=Time; tool=Tool; judgement=Judgement; "
        "reason=Reason; source_ids=Sources",
    ),
    (
        "grade",
        "Certainty, domain by domain, as entered",
        "question=Question; domain=Domain; judgement=Judgement; levels_down=Levels down; "
        "reason=Reason; status=Status; source_ids=Sources",
    ),
    (
        "known_missing",
        "Trials that answer a question, or would, and what of their results has been read",
        "study_id=Study; question=Question; state=Read; direction=Direction; n_total=People; "
        "what_is_known=What is known; source_ids=Sources",
    ),
    (
        "pending",
        "Figures that are known to exist and have not been read",
        "pending_id=Row; study_id=Study; figure=Figure; months=Months; where_to_find=Where; "
        "existence=How we know",
    ),
    (
        "sources",
        "Sources that were read, with what of them was seen",
        "source_id=Source; citation=Document; kind=Kind; what_was_seen=What was seen; url=Address",
    ),
)
_TRIALS = (
    "Comparisons with counts of people who were abstinent",
    "label=Trial; substance=Substance; months=Months; treatment=Ketamine arm; events_t=abstinent; "
    "n_t=of; control=Other arm; events_c=abstinent; n_c=of; randomised=Randomised; "
    "evidence_level=Numbers read in; role=Use",
)
_HARMS = (
    "What was read about harms, study by study",
    "label=Study; substance=Substance; n_randomised=Randomised; adverse_events=Harms, as read; "
    "source_ids=Sources",
)
_FINDINGS = (
    "Summary of findings: risks as proportions, exactly as in the results file",
    "title=Question; trials=Trials; k=k; participants=People; measure=Measure; estimate=Estimate; "
    "low=Low; high=High; interval=Interval; baseline=Baseline; control=Control risk; "
    "treatment=Ketamine-arm risk; treatment_low=Low; treatment_high=High; nnt=Number needed; "
    "certainty=Certainty",
)
_ANALYSES = (
    "Every question under every analysis of the plan",
    "title=Question; role=Role; analysis=Analysis; measure=Measure; k=k; estimate=Estimate; "
    "low=Low; high=High; conclusion=Says",
)
_CLAIMS = (
    "Claims of these documents, held against the evidence",
    "claim_id=No.; claim=Claim, in our words; verdict=Verdict; why=Why; "
    "quote=Words of the document; locator=Where; stated=Stated; recomputed=Recomputed; "
    "document=Document; source_ids=Sources",
)


def page_tables(
    evidence: Evidence,
    answered: Mapping[str, Answered],
    findings: SummaryOfFindings,
    audit: ClaimsAudit,
) -> list[Table]:
    """Make the tables of the page; one that a notebook saves has the name of its file."""
    studies = evidence.studies
    data = [
        _listed(f"data-{part.replace('_', '-')}", getattr(evidence, part), caption, heads)
        for part, caption, heads in _DATA
    ]
    return [
        _listed("report-trials", trials_table(evidence), *_TRIALS),
        _listed("harms", studies[studies["adverse_events"] != ""], *_HARMS),
        Table("summary-of-findings", findings.table, _FINDINGS[0], _heads(_FINDINGS[1])),
        Table(
            "report-sensitivity", analyses_by_question(answered), _ANALYSES[0], _heads(_ANALYSES[1])
        ),
        *_claims_listed(audit),
        *data,
    ]


def _listed(name: str, frame: pd.DataFrame, caption: str, heads: str) -> Table:
    return Table(name, frame, caption, _heads(heads), _cell)


def _heads(text: str) -> dict[str, str]:
    """Split ``column=Head; column=Head`` into a mapping."""
    pairs = (pair.partition("=") for pair in text.split("; "))
    return {column: head for column, _, head in pairs}


def _claims_listed(audit: ClaimsAudit) -> list[Table]:
    """Tabulate the audit, with its reasons in one column, and the scorecard."""
    details = [f"Verdict in full: {detail}" if detail else "" for detail in audit.table["detail"]]
    parts = zip(audit.table["finding"], details, audit.table["notes"], strict=True)
    reasons = [". ".join(wording.capital(text) for text in part if text) for part in parts]
    claims = _listed("claims-audit", audit.table.assign(why=reasons), *_CLAIMS)
    heads = _heads("document=Document; claims=Claims; recomputed=Recomputed")
    heads |= {word: word for word in VERDICTS}
    scores = Table("claims-scorecard", audit.scorecard(), "Verdicts by document", heads, _cell)
    return [replace(claims, filters="verdict"), scores]


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
        return f'<span class="verdict {text.partition(" ")[0]}">{escaped}</span>'
    words = _WORDS.get(column, {})
    return html.escape(words[text]) if text in words else _without_underscores(column, escaped)


def _without_underscores(column: str, text: str) -> str:
    """Replace the underscores of codes; identifiers stay as they are."""
    return (
        text
        if column.endswith("_id")
        else text.replace("_", " ")
        if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)
        else text
    )
