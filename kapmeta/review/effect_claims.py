"""Claims that ketamine works, held against reported effects and the review's own answers."""

from __future__ import annotations

import re

import numpy as np

from kapmeta import wording
from kapmeta.certainty.grading import CERTAINTY
from kapmeta.core.effects.single_trial import koopman
from kapmeta.measures import side_of
from kapmeta.results.effects import unconfirmed
from kapmeta.review.answering import Answered
from kapmeta.review.claim_items import EvidenceRows, Item, worst

__all__ = [
    "STRENGTHS",
    "against_answer",
    "against_answers",
    "against_increase",
    "against_interval",
    "against_score_interval",
    "against_therapy",
]

STRENGTHS = ("greater", "significantly greater", "effective", "unproven")
"""How strong a claim of effect is; "greater" means better, whatever the event."""

PROOF = "moderate"
"""Lowest certainty at which a favourable answer bears out the word "effective"."""


def _verdict_on_side(stated: str, side: int) -> str:
    """Judge a claim of more; `side` is 1 if the interval lies wholly on the better side."""
    if side > 0:
        return "agrees"
    if side < 0 or stated == "significantly greater":
        return "contradicted"
    return "overstated"


def _strength(stated: str) -> str:
    if stated not in STRENGTHS:
        raise ValueError(f'"{stated}" is no claim of effect; use one of: {", ".join(STRENGTHS)}')
    return stated


def against_interval(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim of more by the interval of a reported effect."""
    row = rows.effects[name]
    null = 0.0 if row["measure"] == "MD" else 1.0
    low, high = float(row["low"]), float(row["high"])
    shown = (
        f"{row['measure']} of {row['event']}"
        f" {wording.interval_text(float(row['estimate']), low, high)}"
    )
    side = int(side_of(low, high, null)) * (1 if row["event_is_good"] else -1)
    return Item(shown, _verdict_on_side(_strength(stated), side))


def against_score_interval(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim of more by the score interval of the risk ratio of one comparison."""
    row = rows.trials[name]
    found = koopman(*(float(row[cell]) for cell in ("events_t", "n_t", "events_c", "n_c")))
    estimate, low, high = (float(np.exp(x)) for x in (found.estimate, found.low, found.high))
    independent = not unconfirmed(row["evidence_level"])
    shown = f"RR {wording.interval_text(estimate, low, high)}, score interval"
    verdict = _verdict_on_side(_strength(stated), int(side_of(low, high, 1.0)))
    return Item(shown, verdict, independent)


def against_increase(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check a percentage increase against a mean and a reported difference.

    ``outcome/effect``: the outcome is days of a number that its unit names, the effect a difference
    in percent of days.
    """
    outcome, _, effect = name.partition("/")
    row, difference = rows.outcomes[outcome], rows.effects[effect]
    days = re.search(r"\d+", str(row["unit"]))
    if days is None:
        raise KeyError(name)
    mean = 100 * float(row["mean"]) / float(days[0])
    middle, low, high = (
        100 * float(difference[c]) / (mean - float(difference[c]))
        for c in ("estimate", "low", "high")
    )
    shown = (
        f"{middle:.0f} % ({low:.0f} to {high:.0f}): {mean:.0f} % of days against"
        f" {difference['estimate']:g} points less"
    )
    if f"{middle:.0f}" == stated:
        return Item(shown, "agrees")
    return Item(shown, "imprecise" if low <= float(stated) <= high else "contradicted")


def against_therapy(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim that therapy adds to ketamine by whether the arms of a trial differ in it."""
    _strength(stated)
    kinds = {str(arm["psychotherapy"]) for arm in rows.arms[name].values()}
    if len(kinds) > 1:
        return Item("the arms differ in psychotherapy", "could not be verified")
    return Item("every arm had the same psychotherapy", "overstated")


def against_answer(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim of effect by the review's answer to one declared question.

    "Effective" needs a favourable interval from randomised trials and at least moderate certainty.
    """
    one, certainty = rows.answers[name], rows.certainty[name]
    text = f"{name} {_effect_text(one)}, certainty {certainty}"
    if one.withheld:
        return Item(f"{name}: no effect is given", "could not be verified", independent=False)
    return Item(text, _verdict_on_answer(_strength(stated), one, certainty))


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
    return _verdict_on_side(stated, one.benefit_side)


def _effect_text(one: Answered) -> str:
    """Write the effect shown with its interval."""
    estimate, low, high = one.effect.shown_interval
    short = one.effect.scale.short
    if not np.isfinite(estimate):
        return f"{short} above {wording.number(low)}, without an upper limit"
    return f"{short} {wording.interval_text(estimate, low, high)}"


def against_answers(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim of effect by every answer on ketamine against control for a substance.

    Where no randomised trial answers, a claim of more is not verified and "effective" overstated.
    """
    names = [
        question
        for question, one in rows.answers.items()
        if one.asked.substance == name and one.against_control and not one.withheld
    ]
    if names:
        items = [against_answer(rows, stated, question) for question in names]
        return Item("; ".join(item.recomputed for item in items), worst(items))
    if not any(one.asked.substance == name for one in rows.answers.values()):
        raise KeyError(name)
    without = {"effective": "overstated", "unproven": "agrees"}
    verdict = without.get(_strength(stated), "could not be verified")
    return Item(f"{name}: no randomised trial of ketamine against a control", verdict)
