"""What a rule of the evidence finds, and the rows that several rules look up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kapmeta.review.evidence.tables import Record, Records
from kapmeta.review.protocol import QUESTIONS, Question, window_of


class Remark(NamedTuple):
    """What a rule found: table, row, column, message, and whether it may stay as a flag."""

    table: str
    row: Record
    column: str
    message: str
    may_stand: bool = False


Sides = dict[str, Record | None]


def outcomes_by_side(tables: Records) -> Iterator[tuple[Record, Sides]]:
    """Pair every comparison with the outcome row of each of its arms, None where there is none."""
    outcomes = {(row.text["arm_id"], *outcome_key(row)): row for row in tables["outcomes"]}
    for row in tables["comparisons"]:
        arms = ("treatment_arm", "control_arm")
        yield row, {side: outcomes.get((row.text[side], *outcome_key(row))) for side in arms}


def outcome_key(row: Record) -> tuple[str, str, str]:
    """Name what a row counts: study, event and time."""
    return row.study, row.text["event"], row.text["timepoint"]


def question_rows(tables: Records) -> Iterator[tuple[str, Record, Mapping[str, str]]]:
    """List the rows that a declared question would take, with their definitions by arm.

    Only the definition is left out of the selection, so that a rule can ask for it.
    """
    substances = {row.study: row.text["substance"] for row in tables["studies"]}
    for name, asked in QUESTIONS.items():
        for row, sides in outcomes_by_side(tables):
            arms = {side: found.text["definition"] for side, found in sides.items() if found}
            counted = asked.measure in ("RR", "OR") and row.text["event"] == asked.event
            window = row.text["window"]
            if counted and _fits(row, asked, substances.get(row.study, ""), window):
                yield name, row, arms
        for row in tables["effects"]:
            same = row.text["event"] == asked.reported and row.text["measure"] == asked.measure
            window = window_of(row["months"])
            if same and _fits(row, asked, substances.get(row.study, ""), window):
                yield name, row, {"definition": row.text["definition"]}


def _fits(row: Record, asked: Question, substance: str, window: str) -> bool:
    return (
        substance == asked.substance
        and row.text["contrast"] == asked.contrast
        and row["randomised"] is asked.randomised
        and row.text["role"] in asked.roles
        and asked.window in (None, window)
    )


def answering_rows(tables: Records) -> Iterator[tuple[str, Record]]:
    """List the rows that answer a declared question, their definition accepted."""
    for name, row, definitions in question_rows(tables):
        if set(definitions.values()) <= set(QUESTIONS[name].definitions):
            yield name, row
