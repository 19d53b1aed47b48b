"""The evidence: the tables of ``data/`` with their description, read, checked and joined into trials."""

from kapmeta.evidence.description import EvidenceError
from kapmeta.evidence.reading import Evidence, evidence_given, load_evidence
from kapmeta.evidence.rules import counts_fitting

__all__ = ["Evidence", "EvidenceError", "counts_fitting", "evidence_given", "load_evidence"]
