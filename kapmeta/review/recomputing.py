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

__all__ = ["RECOMPUTATIONS", "EvidenceRows", "Item"]


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
        self.trials = _by(evidence.trials(), "comparison_id")
        self.arms: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in wording.records(evidence.arms):
            self.arms.setdefault(row["study_id"], {})[row["arm_id"]] = row


def _by(frame: pd.DataFrame, name: str) -> dict[str, Mapping[str, Any]]:
    return {row[name]: row for row in wording.records(frame)}


def _same(stated: str, recomputed: str) -> Item:
    return Item(recomputed, "agrees" if stated == recomputed else "contradicted")


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
    return _same(stated, str(rows.studies[name]["n_randomised"]))


def _number_of_arms(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _same(stated, str(len(rows.arms[name])))


def _sessions(rows: EvidenceRows, stated: str, name: str) -> Item:
    study, _, arm = name.partition("/")
    return _same(stated, str(rows.arms[study][arm]["sessions"]))


def _year(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _same(stated, str(rows.studies[name]["year"]))


def _source_year(rows: EvidenceRows, stated: str, name: str) -> Item:
    found = re.search(r"\b(19|20)\d\d\b", str(rows.sources[name]["citation"]))
    return _same(stated, found[0] if found else "no year")


def _pages(rows: EvidenceRows, stated: str, name: str) -> Item:
    found = re.search(r"\b(\d+)(?:\([^)]*\))?:(\d+-\d+)", str(rows.studies[name]["citation"]))
    return _same(stated, f"{found[1]}:{found[2]}" if found else "no pages")


def _control(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check the kind of the arm that is not the ketamine arm."""
    roles = [arm["role"] for arm in rows.arms[name].values() if arm["role"] != "ketamine"]
    return _same(stated, wording.joined(dict.fromkeys(roles)))


def _number_of_substances(rows: EvidenceRows, stated: str, name: str) -> Item:
    return _same(stated, str(len(rows.studies[name]["substance"].split(";"))))


def _verdict_on_more(stated: str, low: float, high: float, null: float) -> str:
    """Judge a claim of more; the limits are such that more is better."""
    side = side_of(low, high, null)
    if side > 0:
        return "agrees"
    if side < 0 or stated.startswith("significantly"):
        return "contradicted"
    return "not_supported"


def _reported_interval(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check a claim of more against the interval of a reported effect."""
    row = rows.effects[name]
    null = 0.0 if row["measure"] == "MD" else 1.0
    low, high = float(row["low"]), float(row["high"])
    shown = (
        f"{row['measure']} of {row['event']}"
        f" {wording.interval_text(float(row['estimate']), low, high)}"
    )
    better = (low, high) if row["event_is_good"] else (2 * null - high, 2 * null - low)
    return Item(shown, _verdict_on_more(stated, *better, null))


def _score_interval(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check a claim of more against the score interval of a risk ratio."""
    row = rows.trials[name]
    found = koopman(*(float(row[cell]) for cell in ("events_t", "n_t", "events_c", "n_c")))
    estimate, low, high = (float(np.exp(x)) for x in (found.estimate, found.low, found.high))
    independent = not unconfirmed(row["evidence_level"])
    shown = f"RR {wording.interval_text(estimate, low, high)}, score interval"
    return Item(shown, _verdict_on_more(stated, low, high, 1.0), independent)


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


RECOMPUTATIONS: Mapping[str, Callable[[EvidenceRows, str, str], Item]] = {
    "percent": _percent,
    "participants": _number_randomised,
    "arms": _number_of_arms,
    "sessions": _sessions,
    "year": _year,
    "source year": _source_year,
    "pages": _pages,
    "control": _control,
    "substances": _number_of_substances,
    "interval": _reported_interval,
    "ratio": _score_interval,
    "increase": _increase,
}
"""How a stated item is recomputed, by the word before the colon in column ``recomputed_from``."""
