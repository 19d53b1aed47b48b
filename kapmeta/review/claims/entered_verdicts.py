"""Verdicts as entered, checked against those that the rule gives."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from kapmeta import checking, wording
from kapmeta.review.answering import Answered
from kapmeta.review.claims.auditing import ClaimsAudit, audit_claims
from kapmeta.review.evidence import Evidence, EvidenceError
from kapmeta.review.evidence.description import Finding

__all__ = ["check_claims"]


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
