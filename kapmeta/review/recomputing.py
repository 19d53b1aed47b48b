"""Stated figures recomputed from the evidence tables, each by a call of the library or a look into a row."""

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
from kapmeta.review.evidence import Evidence

__all__ = ["RECOMPUTATIONS", "Item", "Rows"]


class Item(NamedTuple):
    """One stated item: what was recomputed for it, the verdict, and whether the number comes from elsewhere."""

    recomputed: str
    verdict: str
    independent: bool = True


Row = Mapping[str, Any]


class Rows:
    """The evidence tables by the names of their rows; a name that is not there raises KeyError."""

    def __init__(self, evidence: Evidence) -> None:
        self.studies = _by(evidence.studies, "study_id")
        self.outcomes = _by(evidence.outcomes, "outcome_id")
        self.effects = _by(evidence.effects, "effect_id")
        self.sources = _by(evidence.sources, "source_id")
        self.trials = _by(evidence.trials(), "comparison_id")
        self.arms: dict[str, dict[str, Row]] = {}
        for row in wording.records(evidence.arms):
            self.arms.setdefault(row["study_id"], {})[row["arm_id"]] = row


def _by(frame: pd.DataFrame, name: str) -> dict[str, Row]:
    return {row[name]: row for row in wording.records(frame)}


def _same(stated: str, recomputed: str) -> Item:
    return Item(recomputed, "agrees" if stated == recomputed else "contradicted")


def _percent(rows: Rows, stated: str, name: str) -> Item:
    """A percentage against the count of an outcome, or against every count its denominator allows."""
    row = rows.outcomes[name]
    events, n = int(row["events"]), int(row["n"])
    shown = f"{events}/{n} = {100 * events / n:.1f} %"
    fitting, consistent = candidate_counts(stated, n)
    if consistent:
        independent = not str(row["evidence_level"]).startswith("tertiary")
        return Item(shown, "agrees" if events in fitting else "contradicted", independent)
    return Item(
        f"{shown}; no count of {n} gives {stated} %",
        "imprecise" if events in fitting else "contradicted",
    )


def _participants(rows: Rows, stated: str, name: str) -> Item:
    return _same(stated, str(rows.studies[name]["n_randomised"]))


def _arms(rows: Rows, stated: str, name: str) -> Item:
    return _same(stated, str(len(rows.arms[name])))


def _sessions(rows: Rows, stated: str, name: str) -> Item:
    study, _, arm = name.partition("/")
    return _same(stated, str(rows.arms[study][arm]["sessions"]))


def _year(rows: Rows, stated: str, name: str) -> Item:
    return _same(stated, str(rows.studies[name]["year"]))


def _source_year(rows: Rows, stated: str, name: str) -> Item:
    found = re.search(r"\b(19|20)\d\d\b", str(rows.sources[name]["citation"]))
    return _same(stated, found[0] if found else "no year")


def _pages(rows: Rows, stated: str, name: str) -> Item:
    found = re.search(r"\b(\d+)(?:\([^)]*\))?:(\d+-\d+)", str(rows.studies[name]["citation"]))
    return _same(stated, f"{found[1]}:{found[2]}" if found else "no pages")


def _control(rows: Rows, stated: str, name: str) -> Item:
    """The kind of the arm that is not the ketamine arm."""
    roles = [arm["role"] for arm in rows.arms[name].values() if arm["role"] != "ketamine"]
    return _same(stated, wording.joined(dict.fromkeys(roles)))


def _substances(rows: Rows, stated: str, name: str) -> Item:
    return _same(stated, str(len(rows.studies[name]["substance"].split(";"))))


def _more(stated: str, low: float, high: float, null: float) -> str:
    """Verdict on a claim of more; the limits are such that more is better."""
    side = side_of(low, high, null)
    if side > 0:
        return "agrees"
    if side < 0 or stated.startswith("significantly"):
        return "contradicted"
    return "not_supported"


def _interval(rows: Rows, stated: str, name: str) -> Item:
    """A claim of more against the interval of a reported effect."""
    row = rows.effects[name]
    null = 0.0 if row["measure"] == "MD" else 1.0
    low, high = float(row["low"]), float(row["high"])
    shown = (
        f"{row['measure']} of {row['event']}"
        f" {wording.interval_text(float(row['estimate']), low, high)}"
    )
    better = (low, high) if row["event_is_good"] else (2 * null - high, 2 * null - low)
    return Item(shown, _more(stated, *better, null))


def _ratio(rows: Rows, stated: str, name: str) -> Item:
    """A claim of more against the risk ratio of a comparison, with its score interval."""
    row = rows.trials[name]
    found = koopman(*(float(row[cell]) for cell in ("events_t", "n_t", "events_c", "n_c")))
    estimate, low, high = (float(np.exp(x)) for x in (found.estimate, found.low, found.high))
    independent = not str(row["evidence_level"]).startswith("tertiary")
    shown = f"RR {wording.interval_text(estimate, low, high)}, score interval"
    return Item(shown, _more(stated, low, high, 1.0), independent)


def _increase(rows: Rows, stated: str, name: str) -> Item:
    """A percentage increase against that of a mean, in percent of its range, over the mean less a
    reported difference.

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


RECOMPUTATIONS: Mapping[str, Callable[[Rows, str, str], Item]] = {
    "percent": _percent,
    "participants": _participants,
    "arms": _arms,
    "sessions": _sessions,
    "year": _year,
    "source year": _source_year,
    "pages": _pages,
    "control": _control,
    "substances": _substances,
    "interval": _interval,
    "ratio": _ratio,
    "increase": _increase,
}
"""How a stated item is recomputed; the words before the colon in ``claims.csv``, column ``recomputed_from``."""
