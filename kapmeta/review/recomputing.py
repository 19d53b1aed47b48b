"""Stated figures recomputed from the evidence tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kapmeta import wording
from kapmeta.core.effects.printed_counts import candidate_counts
from kapmeta.results.effects import unconfirmed
from kapmeta.review.claim_items import EvidenceRows, Item, item_of_words
from kapmeta.review.effect_claims import (
    against_answer,
    against_answers,
    against_increase,
    against_interval,
    against_score_interval,
    against_therapy,
)

__all__ = ["RECOMPUTATIONS"]


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
    return item_of_words(stated, str(rows.studies[name]["n_randomised"]))


def _number_of_arms(rows: EvidenceRows, stated: str, name: str) -> Item:
    return item_of_words(stated, str(len(rows.arms[name])))


def _sessions(rows: EvidenceRows, stated: str, name: str) -> Item:
    study, _, arm = name.partition("/")
    return item_of_words(stated, str(rows.arms[study][arm]["sessions"]))


def _year(rows: EvidenceRows, stated: str, name: str) -> Item:
    return item_of_words(stated, str(rows.studies[name]["year"]))


def _source_year(rows: EvidenceRows, stated: str, name: str) -> Item:
    found = re.search(r"\b(19|20)\d\d\b", str(rows.sources[name]["citation"]))
    return item_of_words(stated, found[0] if found else "no year")


def _pages_of(citation: str) -> str:
    """Find volume and pages in a citation."""
    found = re.search(r"\b(\d+)(?:\([^)]*\))?:(\d+-\d+)", citation)
    return f"{found[1]}:{found[2]}" if found else "no pages"


def _pages(rows: EvidenceRows, stated: str, name: str) -> Item:
    return item_of_words(stated, _pages_of(str(rows.studies[name]["citation"])))


def _source_pages(rows: EvidenceRows, stated: str, name: str) -> Item:
    return item_of_words(stated, _pages_of(str(rows.sources[name]["citation"])))


def _control(rows: EvidenceRows, stated: str, name: str) -> Item:
    """Check the kind of the arm that is not the ketamine arm; a kind less exact is imprecise."""
    roles = [arm["role"] for arm in rows.arms[name].values() if arm["role"] != "ketamine"]
    found = wording.joined(dict.fromkeys(roles))
    if stated != found and stated in found.split():
        return Item(found, "imprecise")
    return item_of_words(stated, found)


def _number_of_substances(rows: EvidenceRows, stated: str, name: str) -> Item:
    return item_of_words(stated, str(len(rows.studies[name]["substance"].split(";"))))


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
    "interval": against_interval,
    "ratio": against_score_interval,
    "increase": against_increase,
    "therapy": against_therapy,
    "answer": against_answer,
    "answers": against_answers,
    "conflict": _conflict,
}
"""How a stated item is recomputed, by the word before the colon in column ``recomputed_from``."""
