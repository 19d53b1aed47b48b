"""The evidence: the tables of ``data/`` with their description, read, checked and joined into trials."""

from kapmeta.evidence.description import EvidenceError
from kapmeta.evidence.reading import Evidence, evidence_given, load_evidence

__all__ = ["Evidence", "EvidenceError", "evidence_given", "load_evidence"]
