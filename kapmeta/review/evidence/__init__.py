"""The evidence: the tables of ``data/``, read, checked and joined into trials."""

from kapmeta.review.evidence.description import EvidenceError
from kapmeta.review.evidence.loading import load_evidence
from kapmeta.review.evidence.reading import Evidence, evidence_given

__all__ = ["Evidence", "EvidenceError", "evidence_given", "load_evidence"]
