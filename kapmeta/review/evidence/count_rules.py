"""Rules of numbers: counts, percentages, people and intervals that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from kapmeta.core.effects.printed_counts import candidate_counts, last_place
from kapmeta.review.evidence.remarks import Remark
from kapmeta.review.evidence.tables import Record, Records

NESTED: tuple[tuple[str, str], ...] = (
    ("continuous_abstinence", "point_abstinence"),
    ("continuous_abstinence", "no_heavy_drinking"),
    ("continuous_abstinence", "no_relapse"),
    ("no_heavy_drinking", "no_relapse"),
)
"""Definitions of which the first holds for no more people than the second, over one window."""


def percent_fits_count(tables: Records) -> Iterator[Remark]:
    """Flag a count that no rounding takes to its printed percentage.

    A flag, not a violation: sources do contradict themselves, and a reader must see it.
    """
    for row in tables["outcomes"]:
        events, n, text = row["events"], row["n"], row.text["percent_printed"]
        if None in (events, n, row["percent_printed"]) or events > n:
            continue
        if events in _fitting_counts(text, n):
            continue
        near = abs(Fraction(100 * events, n) - Fraction(text)) <= last_place(text)
        wrong = (
            "within one unit of the last place"
            if near
            else "a contradiction: correct it, or say in percent_note why it is kept"
        )
        message = f"{_misfit(text, events, n)}; {row.text['percent_note'] or wrong}"
        yield Remark("outcomes", row, "percent_printed", message, True)


def _fitting_counts(percent: str, n: int) -> range:
    candidates = candidate_counts(percent, n)
    return candidates.counts if candidates.consistent else range(0)


def _misfit(percent: str, events: int, n: int) -> str:
    fitting = ", ".join(map(str, _fitting_counts(percent, n)))
    fits = f"counts that fit: {fitting}" if fitting else f"no count of {n} fits (GRIM)"
    return f"{percent} % is printed, but {events} of {n} is {100 * events / n:.4g} %; {fits}"


def events_within_n(tables: Records) -> Iterator[Remark]:
    """Refuse more events, or more events and unknown outcomes, than participants."""
    for row in tables["outcomes"]:
        events, n, unknown = row["events"], row["n"], row["n_unknown"]
        if None in (events, n):
            continue
        if events > n:
            message = f"events exceed the denominator: events = {events} > n = {n}"
            yield Remark("outcomes", row, "events", message)
        elif unknown is not None and events + unknown > n:
            message = f"events + n_unknown = {events} + {unknown} exceed n = {n}"
            yield Remark("outcomes", row, "n_unknown", message)
    for row in tables["harms"]:
        if None not in (row["events"], row["n_at_risk"]) and row["events"] > row["n_at_risk"]:
            message = f"events = {row['events']} > n_at_risk = {row['n_at_risk']}"
            yield Remark("harms", row, "events", message)


def events_or_mean(tables: Records) -> Iterator[Remark]:
    """Refuse an outcome with both a count and a mean, or with neither."""
    for row in tables["outcomes"]:
        if bool(row.text["events"]) == bool(row.text["mean"]):
            message = "a row has events or a mean; fill in one of the two"
            yield Remark("outcomes", row, "events", message)


def flow_adds_up(tables: Records) -> Iterator[Remark]:
    """Refuse people who were treated or analysed without having been randomised."""
    analysed = {"studies": "n_analysed", "arms": "n_analysed", "outcomes": "n"}
    for table, column in analysed.items():
        for row in tables[table]:
            yield from _row_adds_up(table, row, column)


def _row_adds_up(table: str, row: Record, column: str) -> Iterator[Remark]:
    randomised, missing, n = row["n_randomised"], row["n_missing"], row[column]
    for part, count in (("n_treated", row["n_treated"]), (column, n)):
        if None not in (count, randomised) and count > randomised:
            message = f"more than were randomised: {part} = {count} > n_randomised = {randomised}"
            yield Remark(table, row, part, message)
    if None not in (randomised, missing, n) and n + missing != randomised and n <= randomised:
        message = f"{column} + n_missing = {n} + {missing} is not n_randomised = {randomised}"
        yield Remark(table, row, "n_missing", message)


def people_within_study(tables: Records) -> Iterator[Remark]:
    """Refuse arms or comparisons with more people than the study randomised."""
    whole = {row.study: row["n_randomised"] for row in tables["studies"]}
    arms: dict[str, list[Record]] = defaultdict(list)
    for row in tables["arms"]:
        if row["n_randomised"] is not None:
            arms[row.study].append(row)
    for study, rows in arms.items():
        total, most = sum(row["n_randomised"] for row in rows), whole.get(study)
        if most is not None and total > most:
            message = f"the arms have {total} randomised, the study {most} in studies.csv"
            yield Remark("arms", rows[-1], "n_randomised", message)
    for row in tables["outcomes"]:
        most = whole.get(row.study)
        if None not in (row["n"], most) and row["n"] > most:
            message = f"n = {row['n']}, but the study randomised {most} in studies.csv"
            yield Remark("outcomes", row, "n", message)


def nested_events(tables: Records) -> Iterator[Remark]:
    """Refuse events of a strict definition above those of a wider one, or that rise with time."""
    arms: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in tables["outcomes"]:
        if None not in (row["events"], row["n"]):
            arms[row.study, row.text["arm_id"]].append(row)
    for rows in arms.values():
        for row in rows:
            for other in rows:
                message = _not_nested(row, other)
                if message:
                    yield Remark("outcomes", row, "events", message)


def _not_nested(row: Record, other: Record) -> str:
    """Say how the events of two rows of an arm contradict each other; empty if they do not."""
    strict, wide = row.text["definition"], other.text["definition"]
    if row["n"] != other["n"] or row["events"] <= other["events"]:
        return ""
    counts = f"{row['events']} of {row['n']}"
    if row["timepoint"] == other["timepoint"] and (strict, wide) in NESTED:
        return (
            f"{strict} = {counts}, but {wide} = {other['events']} at the same time (row"
            f" {other.line}); whoever has the first has the second"
        )
    later = None not in (row["months"], other["months"]) and row["months"] > other["months"]
    if later and strict == wide == "continuous_abstinence":
        return (
            f"{strict} rises with time: {counts} at {row.text['months']} months,"
            f" {other['events']} at {other.text['months']} (row {other.line})"
        )
    return ""


def numbers_have_a_source(tables: Records) -> Iterator[Remark]:
    """Refuse numbers of a study without level, origin and place."""
    for row in tables["studies"]:
        measured = [name for name in row.text if name.startswith("n_") or name == "followup_months"]
        numbers = [name for name in measured if row.text[name]]
        for column in ("evidence_level", "origin", "locator"):
            if numbers and not row.text[column]:
                message = f"{numbers[0]} is given without {column}; every number has one"
                yield Remark("studies", row, column, message)


def interval_holds_estimate(tables: Records) -> Iterator[Remark]:
    """Refuse an estimate outside its interval, and a ratio that was logged."""
    for row in tables["effects"]:
        low, estimate, high = (row[name] for name in ("low", "estimate", "high"))
        if None not in (low, estimate, high) and not low <= estimate <= high:
            message = f"estimate = {estimate:g} lies outside its interval, {low:g} to {high:g}"
            yield Remark("effects", row, "estimate", message)
        for column, value in (("low", low), ("estimate", estimate), ("high", high)):
            if row["measure"] in ("RR", "OR", "HR", "ROM") and value is not None and value <= 0:
                message = (
                    f"{column} = {value:g}, but {row['measure']} is above 0; give it as reported,"
                    " not logged"
                )
                yield Remark("effects", row, column, message)


def pairs_are_whole(tables: Records) -> Iterator[Remark]:
    """Refuse half of what goes together in a reported effect."""
    for row in tables["effects"]:
        for one, other in (("low", "high"), ("estimate", "measure"), ("p_value", "p_relation")):
            if (row.text[one] == "") != (row.text[other] == ""):
                absent = other if row.text[one] else one
                message = f"{one} and {other} go together; {absent} is empty"
                yield Remark("effects", row, absent, message)
