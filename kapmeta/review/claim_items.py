"""Stated items of a claim: the evidence they are held against, and the result for each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from kapmeta import wording
from kapmeta.review.answering import Answered, answers
from kapmeta.review.evidence import Evidence
from kapmeta.review.findings import question_certainty
from kapmeta.review.protocol import QUESTIONS

__all__ = ["ITEM_VERDICTS", "EvidenceRows", "Item", "item_of_words", "worst"]

ITEM_VERDICTS = ("agrees", "could not be verified", "imprecise", "overstated", "contradicted")
"""Verdicts on one stated item; of several the last one counts."""


class Item(NamedTuple):
    """One stated item: the figure recomputed, its verdict, and if its source is independent."""

    recomputed: str
    verdict: str
    independent: bool = True


class EvidenceRows:
    """The evidence tables by the names of their rows; an unknown name raises KeyError."""

    def __init__(self, evidence: Evidence, answered: Mapping[str, Answered] | None = None) -> None:
        lacking = [] if answered is None else [name for name in QUESTIONS if name not in answered]
        if lacking:
            raise ValueError(
                f'answered has no "{lacking[0]}"; give all that answers(evidence) returns, or leave'
                " it out"
            )
        self._evidence, self._answered = evidence, answered
        self.studies = _by(evidence.studies, "study_id")
        self.outcomes = _by(evidence.outcomes, "outcome_id")
        self.effects = _by(evidence.effects, "effect_id")
        self.sources = _by(evidence.sources, "source_id")
        self.claims = _by(evidence.claims, "claim_id")
        self.trials = _by(evidence.trials(), "comparison_id")
        self.arms: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in wording.records(evidence.arms):
            self.arms.setdefault(row["study_id"], {})[row["arm_id"]] = row

    @cached_property
    def answers(self) -> Mapping[str, Answered]:
        """The answers to the declared questions, by name."""
        return answers(self._evidence) if self._answered is None else self._answered

    @cached_property
    def certainty(self) -> Mapping[str, str]:
        """The certainty of each declared question."""
        table = question_certainty(self._evidence)
        return dict(zip(table["question"], table["certainty"], strict=True))


def _by(frame: pd.DataFrame, name: str) -> dict[str, Mapping[str, Any]]:
    return {row[name]: row for row in wording.records(frame)}


def item_of_words(stated: str, recomputed: str) -> Item:
    """Compare two words or numbers as text."""
    return Item(recomputed, "agrees" if stated == recomputed else "contradicted")


def worst(items: list[Item]) -> str:
    """Return the verdict that counts of several items."""
    return max((item.verdict for item in items), key=ITEM_VERDICTS.index)
