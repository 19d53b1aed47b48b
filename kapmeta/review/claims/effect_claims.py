"""Claims that ketamine works, held against the review's own answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from kapmeta import wording
from kapmeta.certainty.grading import CERTAINTY
from kapmeta.review.answering import Answered
from kapmeta.review.recomputing import Item, strength_of, verdict_on_side, worst

__all__ = ["HELD_AGAINST", "JudgedAnswers"]

PROOF = "moderate"
"""Lowest certainty at which a favourable answer bears out the word "effective"."""


@dataclass(frozen=True)
class JudgedAnswers:
    """The answers to the declared questions, each with its certainty, by question."""

    answered: Mapping[str, Answered]
    certainty: Mapping[str, str]


def _against_answer(judged: JudgedAnswers, stated: str, name: str) -> Item:
    """Judge a claim of effect by the review's answer to one declared question.

    "Effective" needs a favourable interval from randomised trials and at least moderate certainty.
    """
    one, certainty = judged.answered[name], judged.certainty[name]
    text = f"{name} {_effect_text(one)}, certainty {certainty}"
    if one.withheld:
        return Item(f"{name}: no effect is given", "could not be verified", independent=False)
    return Item(text, _verdict_on_answer(strength_of(stated), one, certainty))


def _verdict_on_answer(stated: str, one: Answered, certainty: str) -> str:
    proven = (
        one.randomised
        and one.benefit_side > 0
        and CERTAINTY.index(certainty) >= CERTAINTY.index(PROOF)
    )
    if stated == "unproven":
        return "contradicted" if proven else "agrees"
    if stated == "effective":
        return "agrees" if proven else "contradicted" if one.benefit_side < 0 else "overstated"
    return verdict_on_side(stated, one.benefit_side)


def _effect_text(one: Answered) -> str:
    """Write the effect shown with its interval."""
    estimate, low, high = one.effect.shown_interval
    short = one.effect.scale.short
    if not np.isfinite(estimate):
        return f"{short} above {wording.number(low)}, without an upper limit"
    return f"{short} {wording.interval_text(estimate, low, high)}"


def _against_answers(judged: JudgedAnswers, stated: str, name: str) -> Item:
    """Judge a claim of effect by every answer on ketamine against control for a substance.

    Where no randomised trial answers, a claim of more is not verified and "effective" overstated.
    """
    names = [
        question
        for question, one in judged.answered.items()
        if one.asked.substance == name and one.against_control and not one.withheld
    ]
    if names:
        items = [_against_answer(judged, stated, question) for question in names]
        return Item("; ".join(item.recomputed for item in items), worst(items))
    if not any(one.asked.substance == name for one in judged.answered.values()):
        raise KeyError(name)
    without = {"effective": "overstated", "unproven": "agrees"}
    verdict = without.get(strength_of(stated), "could not be verified")
    return Item(f"{name}: no randomised trial of ketamine against a control", verdict)


HELD_AGAINST: Mapping[str, Callable[[JudgedAnswers, str, str], Item]] = {
    "answer": _against_answer,
    "answers": _against_answers,
}
"""How a claim of effect is judged, by the word before the colon in ``recomputed_from``."""
