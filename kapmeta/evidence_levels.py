"""Levels of evidence: how near to the trial its numbers were read.

The words of the column ``evidence_level`` stand in this one table, from the strongest to the
weakest. Any other word is shown as it is, and nothing follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["CONFIRMED", "EVIDENCE_LEVELS", "FIRST_HAND", "EvidenceLevel", "level_named"]


class EvidenceLevel(NamedTuple):
    """What a level of evidence means.

    Attributes
    ----------
    source : str
        Kind of source: primary, registry, secondary, press or tertiary.
    short : str
        The level in a table.
    phrase : str
        The source in plain words.
    confirmed : bool
        Whether conclusions may be drawn from the numbers. They are not confirmed where they were
        seen in a summary of summaries only.
    """

    source: str
    short: str
    phrase: str
    confirmed: bool = True

    @property
    def first_hand(self) -> bool:
        """Whether the numbers come from the authors of the trial."""
        return self.source in ("primary", "registry")


EVIDENCE_LEVELS: Mapping[str, EvidenceLevel] = MappingProxyType(
    {
        "primary_full_text": EvidenceLevel(
            "primary", "primary full text", "the trial's full report"
        ),
        "primary_abstract": EvidenceLevel(
            "primary", "primary abstract", "the trial's own abstract"
        ),
        "registry": EvidenceLevel("registry", "registry", "a trial registry"),
        "secondary_table": EvidenceLevel("secondary", "secondary table", "a review's table"),
        "secondary_summary": EvidenceLevel(
            "secondary", "secondary summary", "somebody else's summary"
        ),
        "press_conflict": EvidenceLevel(
            "press", "press, in conflict", "press reports that disagree"
        ),
        "tertiary_only": EvidenceLevel(
            "tertiary", "tertiary", "a summary of summaries", confirmed=False
        ),
        "tertiary_only_conflict": EvidenceLevel(
            "tertiary",
            "tertiary, in conflict",
            "conflicting summaries of summaries",
            confirmed=False,
        ),
    }
)
"""Levels of evidence, the strongest first."""

FIRST_HAND = tuple(word for word, level in EVIDENCE_LEVELS.items() if level.first_hand)
"""Levels of numbers that come from the authors of the trial."""

CONFIRMED = tuple(word for word, level in EVIDENCE_LEVELS.items() if level.confirmed)
"""Levels of numbers from which conclusions may be drawn."""


def level_named(word: object) -> EvidenceLevel | None:
    """Look up a level of evidence; None for a word that is not in the table."""
    return EVIDENCE_LEVELS.get(word) if isinstance(word, str) else None
