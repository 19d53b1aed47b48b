"""Claims of web pages and articles, recomputed from the evidence and judged by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kapmeta import checking, wording
from kapmeta.references import PAPERS
from kapmeta.results.shared.views import View
from kapmeta.review.answering import Answered, answers, question_certainty
from kapmeta.review.claims.effect_claims import HELD_AGAINST, JudgedAnswers
from kapmeta.review.evidence import Evidence, EvidenceError, evidence_given
from kapmeta.review.evidence.description import Finding
from kapmeta.review.protocol import QUESTIONS
from kapmeta.review.recomputing import ITEM_VERDICTS, RECOMPUTATIONS, EvidenceRows, Item

__all__ = ["CONTRADICTED", "RULE", "VERDICTS", "ClaimsAudit", "audit_claims"]

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
    rows, names = EvidenceRows(evidence_given(evidence)), _documents(evidence)
    judged = _judged(evidence, answered)
    findings: list[Finding] = []
    audited = []
    for line, claim in enumerate(wording.records(evidence.claims), start=2):
        try:
            items = _recomputed_items(rows, judged, claim)
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


def _judged(evidence: Evidence, answered: Mapping[str, Answered] | None) -> JudgedAnswers:
    """Put the answers and their certainty together."""
    lacking = [] if answered is None else [name for name in QUESTIONS if name not in answered]
    if lacking:
        raise ValueError(
            f'answered has no "{lacking[0]}"; give all that answers(evidence) returns, or leave it'
            " out"
        )
    table = question_certainty(evidence)
    certainty = dict(zip(table["question"], table["certainty"], strict=True))
    return JudgedAnswers(answers(evidence) if answered is None else answered, certainty)


def _documents(evidence: Evidence) -> dict[str, str]:
    """Name each document by its id and what it is."""
    return {
        row["source_id"]: f"{row['source_id']}: {row['what_was_seen'].partition(':')[0]}"
        for row in wording.records(evidence.sources)
    }


def _recomputed_items(
    rows: EvidenceRows, judged: JudgedAnswers, claim: Mapping[str, str]
) -> list[Item]:
    """Recompute each stated item; readings of one item are separated by bars."""
    stated, recipes = (
        list(filter(None, claim[name].split(";"))) for name in ("stated", "recomputed_from")
    )
    _refuse_unpaired(len(stated), len(recipes))
    found = []
    for texts, names in zip(stated, recipes, strict=True):
        each, ways = texts.split("|"), names.split("|")
        _refuse_unpaired(len(each), len(ways))
        readings = [_read(rows, judged, *pair) for pair in zip(each, ways, strict=True)]
        found.append(_one_item(readings))
    return found


def _refuse_unpaired(stated: int, recipes: int) -> None:
    if stated != recipes:
        raise ValueError(f"{stated} items are stated and {recipes} recomputed; they go in pairs")


def _read(rows: EvidenceRows, judged: JudgedAnswers, stated: str, recipe: str) -> Item:
    what, _, name = recipe.partition(":")
    if what in HELD_AGAINST:
        return HELD_AGAINST[what](judged, stated, name)
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
