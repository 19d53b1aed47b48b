"""Claims of web pages and articles, recomputed from the evidence and judged by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kapmeta import wording
from kapmeta.references import PAPERS
from kapmeta.results.views import View
from kapmeta.review.evidence import Evidence, EvidenceError, evidence_given
from kapmeta.review.evidence.description import Finding
from kapmeta.review.recomputing import RECOMPUTATIONS, EvidenceRows, Item

__all__ = ["RECOMPUTATIONS", "RULE", "VERDICTS", "ClaimsAudit", "audit_claims", "check_claims"]

VERDICTS = ("agrees", "could_not_verify", "imprecise", "not_supported", "contradicted")
"""Verdicts; of several the last one counts."""

_IN_PROSE = (
    "in agreement",
    "that could not be verified",
    "imprecise",
    "not supported",
    "contradicted",
)

SOURCES_SAY: Mapping[str, str] = {
    "support": "agrees",
    "support in part": "imprecise",
    "no clear effect": "not_supported",
    "speak against": "contradicted",
    "are silent": "could_not_verify",
}
"""What the sources say, as entered, and the verdict it gives."""

RULE = (
    "A figure agrees if the recomputed one, rounded to its decimals, is the same. It is imprecise"
    " if no count gives the printed percentage but one comes within a unit of its last place, or if"
    " an estimate differs but lies within the interval; else it is contradicted. Years, pages, arms"
    " and other facts agree or are contradicted. A claim of more is not supported if the interval"
    " holds no difference, and contradicted if it was called significant. Numbers known only from"
    " the documents themselves verify nothing. Where nothing can be recomputed the sources that"
    " were read decide. Of several verdicts the worst counts."
)
"""The rule that gives every verdict."""


@dataclass(frozen=True, eq=False, repr=False)
class ClaimsAudit(View):
    """Every claim with its verdict by the rule.

    Attributes
    ----------
    table : DataFrame
        One row per claim: `claim_id`, `document`, `claim`, `stated`, `recomputed`, `sources_say`,
        `verdict`, `verdict_entered`, `decided_by`, `finding`, `detail`, `source_ids`, `notes`.
    """

    table: pd.DataFrame
    papers = ("GRIM", "koopman")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per claim."""
        return self.table.copy()

    def scorecard(self) -> pd.DataFrame:
        """Count the claims of each document, how many could be recomputed, and their verdicts."""
        rows = []
        for document, part in [*self.table.groupby("document", sort=False), ("all", self.table)]:
            counts = part["verdict"].value_counts()
            recomputed = int((part["recomputed"] != "").sum())
            row = {"document": document, "claims": len(part), "recomputed": recomputed}
            rows.append(row | {word: int(counts.get(word, 0)) for word in VERDICTS})
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Write the scorecard as a sentence."""
        total = self.scorecard().iloc[-1]
        parts = [f"{total[word]} {prose}" for word, prose in zip(VERDICTS, _IN_PROSE, strict=True)]
        return (
            f"Of {total['claims']} claims, {total['recomputed']} could be recomputed from the"
            f" tables. The rule finds {wording.joined(parts)}."
        )

    def methods_text(self) -> str:
        """Describe how the claims were judged: the rule with its references."""
        return (
            "Each claim was traced to the trial it is about and, where the tables allow,"
            f" recomputed from them. {RULE} The counts that a percentage allows are found by the"
            " GRIM test"
            f" ({PAPERS['percentages']}); intervals of risk ratios are score"
            f" intervals ({PAPERS['koopman']})."
        )

    def __repr__(self) -> str:
        return f"ClaimsAudit({len(self.table)} claims)"

    def _shown_table(self) -> pd.DataFrame | None:
        return self.scorecard()


def audit_claims(evidence: Evidence) -> ClaimsAudit:
    """Recompute every claim that can be, and give each its verdict by the rule.

    A verdict in ``claims.csv`` that the rule does not give is shown beside the rule's;
    `check_claims` refuses it.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    ClaimsAudit
        Claims, verdicts and the scorecard by document.

    Raises
    ------
    EvidenceError
        If a claim is to be recomputed from a row that is not there, or has more items stated than
        recomputed.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.claims import audit_claims
    >>> table = audit_claims(km.load_evidence()).to_frame().set_index("claim_id")
    >>> table.loc["C09", ["stated", "recomputed", "verdict"]].tolist()
    ['66', '73/111 = 65.8 %', 'agrees']
    """
    rows, names = EvidenceRows(evidence_given(evidence)), _documents(evidence)
    findings: list[Finding] = []
    audited = []
    for line, claim in enumerate(wording.records(evidence.claims), start=2):
        try:
            items = _recomputed_items(rows, claim)
        except (KeyError, ValueError, TypeError) as wrong:
            message = f'recomputed_from = "{claim["recomputed_from"]}" cannot be followed: {wrong}'
            findings.append(
                Finding(
                    "claims.csv",
                    line,
                    claim["claim_id"],
                    "recomputed_from",
                    "recomputable",
                    message,
                )
            )
            continue
        audited.append(_audited(claim, items, names[claim["seed_id"]]))
    if findings:
        raise EvidenceError(findings)
    return ClaimsAudit(pd.DataFrame(audited))


def _documents(evidence: Evidence) -> dict[str, str]:
    """Name each document by its id and what it is."""
    return {
        row["source_id"]: f"{row['source_id']}: {row['what_was_seen'].partition(':')[0]}"
        for row in wording.records(evidence.sources)
    }


def _recomputed_items(rows: EvidenceRows, claim: Mapping[str, str]) -> list[Item]:
    stated, recipes = (
        list(filter(None, claim[name].split(";"))) for name in ("stated", "recomputed_from")
    )
    if len(stated) != len(recipes):
        raise ValueError(
            f"{len(stated)} items are stated and {len(recipes)} recomputed; they go in pairs"
        )
    found = []
    for text, recipe in zip(stated, recipes, strict=True):
        what, _, name = recipe.partition(":")
        found.append(RECOMPUTATIONS[what](rows, text, name))
    return found


def _audited(claim: Mapping[str, str], items: list[Item], document: str) -> dict[str, str]:
    counted = [item for item in items if item.independent]
    verdicts = [item.verdict for item in counted]
    if claim["sources_say"] != "are silent" or not counted:
        verdicts.append(SOURCES_SAY[claim["sources_say"]])
    return {
        "claim_id": claim["claim_id"],
        "document": document,
        "claim": claim["claim"],
        "stated": claim["stated"].replace(";", "; "),
        "recomputed": "; ".join(_recomputed_text(item) for item in items),
        "sources_say": claim["sources_say"],
        "verdict": max(verdicts, key=VERDICTS.index),
        "verdict_entered": claim["verdict"],
        "decided_by": "recomputation" if counted else "sources read",
        "finding": claim["finding"],
        "detail": claim["verdict_detail"],
        "source_ids": claim["source_ids"],
        "notes": claim["notes"],
    }


def _recomputed_text(item: Item) -> str:
    return (
        item.recomputed
        if item.independent
        else f"{item.recomputed} (known only second-hand, so it verifies nothing)"
    )


def check_claims(evidence: Evidence) -> ClaimsAudit:
    """Audit the claims; refuse a verdict that is not the one its rule gives.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    ClaimsAudit
        As `audit_claims` gives it.

    Raises
    ------
    EvidenceError
        If a verdict and its rule disagree; every such claim is listed with row and column.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.claims import check_claims
    >>> check_claims(km.load_evidence())
    ClaimsAudit(35 claims)
    """
    audit = audit_claims(evidence)
    findings = [
        Finding(
            "claims.csv",
            line,
            row["claim_id"],
            "verdict",
            "verdict follows the rule",
            f'verdict = "{row["verdict_entered"]}", but the rule gives "{row["verdict"]}"'
            f" ({row['decided_by']}: "
            f"{row['recomputed'] or 'the sources ' + row['sources_say']}); correct one or the"
            " other",
        )
        for line, row in enumerate(wording.records(audit.table), start=2)
        if row["verdict"] != row["verdict_entered"]
    ]
    if findings:
        raise EvidenceError(findings)
    return audit
