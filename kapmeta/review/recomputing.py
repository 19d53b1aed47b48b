"""Stated figures recomputed from the evidence tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.effects.printed_counts import candidate_counts
from kapmeta.core.effects.single_trial import koopman
from kapmeta.measures import side_of
from kapmeta.results.effects import unconfirmed
from kapmeta.review.evidence import Evidence

__all__ = [
    "ITEM_VERDICTS",
    "RECOMPUTATIONS",
    "STRENGTHS",
    "EvidenceRows",
    "Item",
    "strength_of",
    "verdict_on_side",
    "worst",
]

STRENGTHS = ("greater", "significantly greater", "effective", "unproven")
"""How strong a claim of effect is; "greater" means better, whatever the event."""

ITEM_VERDICTS = ("agrees", "could not be verified", "imprecise", "overstated", "contradicted")
"""Verdicts on one stated item; of several the last one counts."""


class Item(NamedTuple):
    """One stated item: the figure recomputed, its verdict, and if its source is independent."""

    recomputed: str
    verdict: str
    independent: bool = True


class EvidenceRows:
    """The evidence tables by the names of their rows; an unknown name raises KeyError."""

    def __init__(self, evidence: Evidence) -> None:
        self.studies = _by(evidence.studies, "study_id")
        self.outcomes = _by(evidence.outcomes, "outcome_id")
        self.effects = _by(evidence.effects, "effect_id")
        self.sources = _by(evidence.sources, "source_id")
        self.claims = _by(evidence.claims, "claim_id")
        self.trials = _by(evidence.trials(), "comparison_id")
        self.arms: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in wording.records(evidence.arms):
            self.arms.setdefault(row["study_id"], {})[row["arm_id"]] = row


def _by(frame: pd.DataFrame, name: str) -> dict[str, Mapping[str, Any]]:
    return {row[name]: row for row in wording.records(frame)}


def _item_of_words(stated: str, recomputed: str) -> Item:
    """Compare two words or numbers as text."""
    return Item(recomputed, "agrees" if stated == recomputed else "contradicted")


def worst(items: list[Item]) -> str:
    """Return the verdict that counts of several items."""
    return max((item.verdict for item in items), key=ITEM_VERDICTS.index)


def _percent(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check a percentage against the count of an outcome, or every count that n allows."""
    row = rows.outcomes[name]
    events, n = int(row["events"]), int(row["n"])
    shown = f"{events}/{n} = {100 * events / n:.1f} %"
    fitting, consistent = candidate_counts(stated, n)
    if consistent:
        independent = not unconfirmed(row["evidence_level"])
        return Item(shown, "agrees" if events in fitting else "contradicted", independent)
    return Item(
        f"{shown}; no count of {n} gives {stated} %",
        "imprecise" if events in fitting else "contradicted",
    )


def _number_randomised(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _item_of_words(stated, str(rows.studies[name]["n_randomised"]))


def _number_of_arms(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _item_of_words(stated, str(len(rows.arms[name])))


def _sessions(rows: EvidenceRows, stated: str, name: str) -> Item:
    study, _, arm = name.partition("/")
    return _item_of_words(stated, str(rows.arms[study][arm]["sessions"]))


def _year(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _item_of_words(stated, str(rows.studies[name]["year"]))


def _source_year(rows: EvidenceRows, stated: str, name: str) -> Item:
    found = re.search(r"\b(19|20)\d\d\b", str(rows.sources[name]["citation"]))
    return _item_of_words(stated, found[0] if found else "no year")


def _pages_of(citation: str) -> str:
    """Find volume and pages in a citation."""
    found = re.search(r"\b(\d+)(?:\([^)]*\))?:(\d+-\d+)", citation)
    return f"{found[1]}:{found[2]}" if found else "no pages"


def _pages(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _item_of_words(stated, _pages_of(str(rows.studies[name]["citation"])))


def _source_pages(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _item_of_words(stated, _pages_of(str(rows.sources[name]["citation"])))


def _control(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check the kind of the arm that is not the ketamine arm; a kind less exact is imprecise."""
    roles = [arm["role"] for arm in rows.arms[name].values() if arm["role"] != "ketamine"]
    found = wording.joined(dict.fromkeys(roles))
    if stated != found and stated in found.split():
        return Item(found, "imprecise")
    return _item_of_words(stated, found)


def _number_of_substances(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _item_of_words(stated, str(len(rows.studies[name]["substance"].split(";"))))


def strength_of(stated: str) -> str:
    if stated not in STRENGTHS:
        raise ValueError(f'"{stated}" is no claim of effect; use one of: {", ".join(STRENGTHS)}')
    return stated


def verdict_on_side(stated: str, side: int) -> str:
    """Judge a claim of more; `side` is 1 if the interval lies wholly on the better side."""
    if side > 0:
        return "agrees"
    if side < 0 or stated == "significantly greater":
        return "contradicted"
    return "overstated"


def _reported_interval(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim of more by the interval of a reported effect."""
    row = rows.effects[name]
    null = 0.0 if row["measure"] == "MD" else 1.0
    low, high = float(row["low"]), float(row["high"])
    shown = (
        f"{row['measure']} of {row['event']}"
        f" {wording.interval_text(float(row['estimate']), low, high)}"
    )
    side = int(side_of(low, high, null)) * (1 if row["event_is_good"] else -1)
    return Item(shown, verdict_on_side(strength_of(stated), side))


def _score_interval(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim of more by the score interval of the risk ratio of one comparison."""
    row = rows.trials[name]
    found = koopman(*(float(row[cell]) for cell in ("events_t", "n_t", "events_c", "n_c")))
    estimate, low, high = (float(np.exp(x)) for x in (found.estimate, found.low, found.high))
    independent = not unconfirmed(row["evidence_level"])
    shown = f"RR {wording.interval_text(estimate, low, high)}, score interval"
    verdict = verdict_on_side(strength_of(stated), int(side_of(low, high, 1.0)))
    return Item(shown, verdict, independent)


def _increase(rows: EvidenceRows, stated: str, name: str) -> Item:
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


def _therapy(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Judge a claim that therapy adds to ketamine by whether the arms of a trial differ in it."""
    strength_of(stated)
    kinds = {str(arm["psychotherapy"]) for arm in rows.arms[name].values()}
    if len(kinds) > 1:
        return Item("the arms differ in psychotherapy", "could not be verified")
    return Item("every arm had the same psychotherapy", "overstated")


def _conflict(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Set two claims side by side; if they differ, one of them must be wrong.

    ``stated`` holds the two statements, with " against " between them, in the order of the names.
    """
    first, second = (rows.claims[claim] for claim in name.split("/"))
    one, _, other = stated.partition(" against ")
    shown = (
        f"{first['seed_id']} ({first['claim_id']}): {one}; {second['seed_id']}"
        f" ({second['claim_id']}): {other}"
    )
    return Item(shown, "contradicted" if one != other else "agrees")


RECOMPUTATIONS: Mapping[str, Callable[[EvidenceRows, str, str], Item]] = {
    "percent": _percent,
    "participants": _number_randomised,
    "arms": _number_of_arms,
    "sessions": _sessions,
    "year": _year,
    "source year": _source_year,
    "pages": _pages,
    "source pages": _source_pages,
    "control": _control,
    "substances": _number_of_substances,
    "interval": _reported_interval,
    "ratio": _score_interval,
    "increase": _increase,
    "therapy": _therapy,
    "conflict": _conflict,
}
"""How a stated item is recomputed, by the word before the colon in column ``recomputed_from``."""
