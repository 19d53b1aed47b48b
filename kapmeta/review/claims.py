"""Claims of web pages and articles, recomputed from the evidence and judged by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kapmeta import checking, wording
from kapmeta.references import PAPERS
from kapmeta.results.views import View
from kapmeta.review.answering import Answered
from kapmeta.review.claim_items import ITEM_VERDICTS, EvidenceRows, Item
from kapmeta.review.evidence import Evidence, EvidenceError, evidence_given
from kapmeta.review.evidence.description import Finding
from kapmeta.review.recomputing import RECOMPUTATIONS

__all__ = ["RULE", "VERDICTS", "ClaimsAudit", "audit_claims", "check_claims"]

CONTRADICTED: Mapping[str, str] = {
    "effect": "contradicted (substance)",
    "fact": "contradicted (substance)",
    "harm": "contradicted (substance)",
    "documents": "contradicted (substance)",
    "reference": "contradicted (reference)",
}
"""What a claim is about, and the class of a contradiction."""

_IN_PROSE: Mapping[str, str] = {
    "agrees": "in agreement",
    "could not be verified": "that could not be verified",
    "imprecise": "imprecise",
    "overstated": "overstated",
    "contradicted (reference)": "contradicted in a reference",
    "contradicted (substance)": "contradicted in substance",
}

VERDICTS = tuple(_IN_PROSE)
"""Verdicts; of several the last one counts."""

SOURCES_SAY: Mapping[str, str] = {
    "support": "agrees",
    "support in part": "imprecise",
    "no clear effect": "overstated",
    "speak against": "contradicted",
    "are silent": "could not be verified",
}
"""What the sources say, as entered, and the verdict it gives."""

RULE = (
    "A figure agrees if the recomputed one, rounded to its decimals, is the same. It is imprecise"
    " if no count gives the printed percentage but one comes within a unit of its last place, or if"
    " an estimate differs but lies within the interval; else it is contradicted. Years, pages, arms"
    " and other facts agree or are contradicted. A claim of more agrees if the interval lies on"
    " that side, is overstated if the interval includes no difference, and is contradicted if it"
    " lies on the other side or if the claim was of a significant difference. Claims that ketamine"
    " works are held against this review's own answers, so they move when a trial is added:"
    " effective, or proven, needs randomised trials, a favourable interval and at least moderate"
    " certainty. A claim that holds in one reading and not in another is imprecise. Two statements"
    " of the documents that cannot both hold are a contradiction. Numbers known only from the"
    " documents themselves verify nothing. Where nothing can be recomputed the sources that were"
    " read decide. Of several verdicts the worst counts. A contradiction of who published what, and"
    " where, is one of reference; every other is one of substance."
)
"""The rule that gives every verdict."""


@dataclass(frozen=True, eq=False, repr=False)
class ClaimsAudit(View):
    """Every claim with its verdict by the rule.

    Attributes
    ----------
    table : DataFrame
        One row per claim: `claim_id`, `document`, `about`, `locator`, `quote`, `claim`, `stated`,
        `recomputed`, `sources_say`, `verdict`, `verdict_entered`, `decided_by`, `finding`,
        `detail`, `source_ids`, `notes`.
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
        parts = [f"{total[word]} {prose}" for word, prose in _IN_PROSE.items()]
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


@checking.checked
def audit_claims(
    evidence: Evidence, *, answered: Mapping[str, Answered] | None = None
) -> ClaimsAudit:
    """Recompute every claim that can be, and give each its verdict by the rule.

    A verdict in ``claims.csv`` that the rule does not give is shown beside the rule's;
    `check_claims` refuses it.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    answered : mapping of str to Answered, optional
        The answers that claims of effect are held against, if they have been made already by
        `kapmeta.review.answers`.

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
    rows, names = EvidenceRows(evidence_given(evidence), answered), _documents(evidence)
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
    """Recompute each stated item; readings of one item are separated by bars."""
    stated, recipes = (
        list(filter(None, claim[name].split(";"))) for name in ("stated", "recomputed_from")
    )
    _refuse_unpaired(len(stated), len(recipes))
    found = []
    for texts, names in zip(stated, recipes, strict=True):
        each, ways = texts.split("|"), names.split("|")
        _refuse_unpaired(len(each), len(ways))
        found.append(_one_item([_read(rows, *pair) for pair in zip(each, ways, strict=True)]))
    return found


def _refuse_unpaired(stated: int, recipes: int) -> None:
    if stated != recipes:
        raise ValueError(f"{stated} items are stated and {recipes} recomputed; they go in pairs")


def _read(rows: EvidenceRows, stated: str, recipe: str) -> Item:
    what, _, name = recipe.partition(":")
    return RECOMPUTATIONS[what](rows, stated, name)


def _one_item(readings: list[Item]) -> Item:
    """Put the readings of one item together; imprecise where they come to different verdicts."""
    verdicts = {reading.verdict for reading in readings}
    return Item(
        ", or ".join(reading.recomputed for reading in readings),
        verdicts.pop() if len(verdicts) == 1 else "imprecise",
        all(reading.independent for reading in readings),
    )


def _audited(claim: Mapping[str, str], items: list[Item], document: str) -> dict[str, str]:
    counted = [item for item in items if item.independent]
    verdicts = [item.verdict for item in counted]
    if claim["sources_say"] != "are silent" or not counted:
        verdicts.append(SOURCES_SAY[claim["sources_say"]])
    verdict = max(verdicts, key=ITEM_VERDICTS.index)
    return {
        "claim_id": claim["claim_id"],
        "document": document,
        "about": claim["about"],
        "locator": claim["locator"],
        "quote": claim["quote"],
        "claim": claim["claim"],
        "stated": claim["stated"].replace(";", "; ").replace("|", ", or "),
        "recomputed": "; ".join(_recomputed_text(item) for item in items),
        "sources_say": claim["sources_say"],
        "verdict": CONTRADICTED[claim["about"]] if verdict == "contradicted" else verdict,
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


@checking.checked
def check_claims(
    evidence: Evidence, *, answered: Mapping[str, Answered] | None = None
) -> ClaimsAudit:
    """Audit the claims; refuse a verdict that is not the one its rule gives.

    Parameters
    ----------
    evidence, answered
        As in `audit_claims`.

    Returns
    -------
    ClaimsAudit
        As `audit_claims` gives it.

    Raises
    ------
    EvidenceError
        If a verdict and its rule disagree, or two claims that cannot both hold both agree; every
        such claim is listed with row and column.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.claims import check_claims
    >>> check_claims(km.load_evidence())
    ClaimsAudit(84 claims)
    """
    audit = audit_claims(evidence, answered=answered)
    findings = [*_entered_otherwise(audit.table), *_both_agree(evidence, audit.table)]
    if findings:
        raise EvidenceError(findings)
    return audit


def _entered_otherwise(table: pd.DataFrame) -> list[Finding]:
    """Find the verdicts that the rule does not give."""
    return [
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
        for line, row in enumerate(wording.records(table), start=2)
        if row["verdict"] != row["verdict_entered"]
    ]


def _both_agree(evidence: Evidence, table: pd.DataFrame) -> list[Finding]:
    """Find pairs of claims that cannot both hold and that were both found to agree."""
    verdicts = dict(zip(table["claim_id"], table["verdict"], strict=True))
    found = []
    for line, claim in enumerate(wording.records(evidence.claims), start=2):
        what, _, names = claim["recomputed_from"].partition(":")
        pair = names.split("/") if what == "conflict" else []
        if pair and all(verdicts[name] == "agrees" for name in pair):
            message = (
                f"recomputed_from = {claim['recomputed_from']}, but both claims agree with the"
                " sources; two statements that cannot both hold cannot both agree"
            )
            place = ("claims.csv", line, claim["claim_id"], "recomputed_from", "one of two")
            found.append(Finding(*place, message))
    return found
