"""Claims of web pages and articles, held against the evidence and judged by a rule."""

from __future__ import annotations

from kapmeta.review.claims.auditing import CONTRADICTED, RULE, VERDICTS, ClaimsAudit, audit_claims
from kapmeta.review.claims.entered_verdicts import check_claims

__all__ = ["CONTRADICTED", "RULE", "VERDICTS", "ClaimsAudit", "audit_claims", "check_claims"]
