"""Rules across columns and tables of the evidence; each is a function and a row of `RULES`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from kapmeta.certainty.grading import GRADE_LEVELS
from kapmeta.core.certainty.risk_of_bias import (
    DOMAINS,
    NO_INFORMATION,
    ROB2,
    ROBINS_I,
    ROBINS_I_DOMAINS,
)
from kapmeta.core.effects.printed_counts import candidate_counts, last_place
from kapmeta.review.evidence.description import Finding, Schema
from kapmeta.review.evidence.tables import Record, Records
from kapmeta.review.protocol import window_of

TOOLS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "RoB 2": (tuple(DOMAINS), (*ROB2, "unclear")),
    "ROBINS-I": (tuple(ROBINS_I_DOMAINS), (*ROBINS_I, NO_INFORMATION)),
}
"""Domains and words of each tool of risk of bias."""


class Remark(NamedTuple):
    """What a rule found: table, row, column, message, and whether it breaks the rule."""

    table: str
    row: Record
    column: str
    message: str
    may_stand: bool = False


def _percent_fits_count(tables: Records) -> Iterator[Remark]:
    for row in tables["outcomes"]:
        events, n, text = row["events"], row["n"], row.text["percent_printed"]
        if (
            None in (events, n, row["percent_printed"])
            or events > n
            or events in _fitting_counts(text, n)
        ):
            continue
        near = abs(Fraction(100 * events, n) - Fraction(text)) <= last_place(text)
        note = row.text["percent_note"]
        wrong = (
            "within one unit of the last place"
            if near
            else "a contradiction: correct it, or say in percent_note why it is kept"
        )
        # a flag, not a violation: the sources do contradict themselves, and a reader must be able
        # to see what moves
        yield Remark(
            "outcomes", row, "percent_printed", f"{_misfit(text, events, n)}; {note or wrong}", True
        )


def _fitting_counts(percent: str, n: int) -> range:
    candidates = candidate_counts(percent, n)
    return candidates.counts if candidates.consistent else range(0)


def _misfit(percent: str, events: int, n: int) -> str:
    fitting = ", ".join(map(str, _fitting_counts(percent, n)))
    fits = f"counts that fit: {fitting}" if fitting else f"no count of {n} fits (GRIM)"
    return f"{percent} % is printed, but {events} of {n} is {100 * events / n:.4g} %; {fits}"


def _events_within_n(tables: Records) -> Iterator[Remark]:
    for row in tables["outcomes"]:
        events, n = row["events"], row["n"]
        if events is not None and n is not None and events > n:
            message = f"events exceed the denominator: events = {events} > n = {n}"
            yield Remark("outcomes", row, "events", message)


def _events_or_mean(tables: Records) -> Iterator[Remark]:
    for row in tables["outcomes"]:
        if bool(row.text["events"]) == bool(row.text["mean"]):
            yield Remark(
                "outcomes", row, "events", "a row has events or a mean; fill in one of the two"
            )


def _flow_adds_up(tables: Records) -> Iterator[Remark]:
    analysed = {"studies": "n_analysed", "arms": "n_analysed", "outcomes": "n"}
    for table, column in analysed.items():
        for row in tables[table]:
            randomised, missing, n = row["n_randomised"], row["n_missing"], row[column]
            for part, count in (("n_treated", row["n_treated"]), (column, n)):
                if None not in (count, randomised) and count > randomised:
                    message = (
                        f"more than were randomised: {part} = {count} > n_randomised = {randomised}"
                    )
                    yield Remark(table, row, part, message)
            if (
                None not in (randomised, missing, n)
                and n + missing != randomised
                and n <= randomised
            ):
                message = (
                    f"{column} + n_missing = {n} + {missing} is not n_randomised = {randomised}"
                )
                yield Remark(table, row, "n_missing", message)


def _numbers_have_a_source(tables: Records) -> Iterator[Remark]:
    for row in tables["studies"]:
        measured = [name for name in row.text if name.startswith("n_") or name == "followup_months"]
        numbers = [name for name in measured if row.text[name]]
        for column in ("evidence_level", "origin", "locator"):
            if numbers and not row.text[column]:
                message = f"{numbers[0]} is given without {column}; every number has one"
                yield Remark("studies", row, column, message)


def _interval_holds_estimate(tables: Records) -> Iterator[Remark]:
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


def _pairs_are_whole(tables: Records) -> Iterator[Remark]:
    for row in tables["effects"]:
        for one, other in (("low", "high"), ("estimate", "measure"), ("p_value", "p_relation")):
            if (row.text[one] == "") != (row.text[other] == ""):
                absent = other if row.text[one] else one
                yield Remark(
                    "effects", row, absent, f"{one} and {other} go together; {absent} is empty"
                )


def _arms_of_the_study(tables: Records) -> Iterator[Remark]:
    known = {(row.text["study_id"], row.text["arm_id"]) for row in tables["arms"]}
    for row in tables["effects"]:
        for column in ("treatment_arms", "control_arms"):
            for arm in row[column] or ():
                if (row.study, arm) not in known:
                    yield Remark(
                        "effects", row, column, f'arm "{arm}" of "{row.study}" is not in arms.csv'
                    )


Sides = dict[str, Record | None]


def _outcomes_by_side(tables: Records) -> Iterator[tuple[Record, Sides]]:
    """Pair every comparison with the outcome row of each of its arms, None where there is none."""
    outcomes = {(row.text["arm_id"], *_outcome_key(row)): row for row in tables["outcomes"]}
    for row in tables["comparisons"]:
        arms = ("treatment_arm", "control_arm")
        yield row, {side: outcomes.get((row.text[side], *_outcome_key(row))) for side in arms}


def _outcome_key(row: Record) -> tuple[str, str, str]:
    return row.study, row.text["event"], row.text["timepoint"]


def _comparison_has_counts(tables: Records) -> Iterator[Remark]:
    arms = {(row.study, row.text["arm_id"]) for row in tables["arms"]}
    for row, sides in _outcomes_by_side(tables):
        for side, outcome in sides.items():
            counted = outcome is not None and outcome.text["events"] != ""
            if not counted and (row.study, row.text[side]) in arms:
                what = f'"{row.text["event"]}" at "{row.text["timepoint"]}"'
                message = (
                    f'outcomes.csv has no counts of {what} for arm "{row.text[side]}"; add them'
                    " there"
                )
                yield Remark("comparisons", row, side, message)


def _arms_can_be_compared(tables: Records) -> Iterator[Remark]:
    for row, sides in _outcomes_by_side(tables):
        treatment, control = sides.values()
        if row.text["treatment_arm"] == row.text["control_arm"]:
            yield Remark(
                "comparisons", row, "control_arm", "an arm is compared with itself; name two arms"
            )
        for column in ("months", "event_is_good"):
            if treatment and control and treatment[column] != control[column]:
                values = f"{treatment.text[column]} and {control.text[column]}"
                message = f"{column} in outcomes.csv differs between the arms: {values}"
                yield Remark("comparisons", row, "timepoint", message)


def _window_fits_months(tables: Records) -> Iterator[Remark]:
    for row, sides in _outcomes_by_side(tables):
        outcome = sides["treatment_arm"]
        if outcome is not None and row.text["window"] != window_of(outcome["months"]):
            at = f"{outcome.text['months'] or 'an unknown number of'} months"
            right = f'"{window_of(outcome["months"])}"'
            message = (
                f'window = "{row.text["window"]}", but the outcome is at {at}: it must be {right}'
            )
            yield Remark("comparisons", row, "window", message)


def _randomised_as_in_study(tables: Records) -> Iterator[Remark]:
    randomised = {row.study: row.text["randomised"] for row in tables["studies"]}
    for table in ("comparisons", "effects"):
        for row in tables[table]:
            if row["randomised"] and randomised.get(row.study, "yes") != "yes":
                word = randomised[row.study] or "empty"
                yield Remark(
                    table, row, "randomised", f"true here, but randomised is {word} in studies.csv"
                )


def _counted_once(tables: Records) -> Iterator[Remark]:
    group = {row.study: row.text["overlap_group"] or row.study for row in tables["studies"]}
    seen: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in tables["comparisons"]:
        if row["role"] in ("main", "provisional", "sensitivity") and not row["overlaps_with"]:
            seen[group.get(row.study, row.study), row.text["event"]].append(row)
    for first, *others in seen.values():
        for row in others:
            message = (
                f"the same patients are already counted in row {first.line} (role"
                f' "{first["role"]}"); give this row the role alternative_time, separate or'
                f' not_pooled, or name "{first["comparison_id"]}" in overlaps_with'
            )
            yield Remark("comparisons", row, "role", message)


def _overlap_is_of_one_series(tables: Records) -> Iterator[Remark]:
    """Check that a comparison overlaps with a counted one of its own series and event."""
    group = {row.study: row.text["overlap_group"] for row in tables["studies"]}
    known = {row.text["comparison_id"]: row for row in tables["comparisons"]}
    for row in tables["comparisons"]:
        other = known.get(row.text["overlaps_with"])
        if other is None:
            continue
        if not group.get(row.study) or group.get(row.study) != group.get(other.study):
            message = (
                f'"{row.study}" and "{other.study}" have not the same overlap_group in studies.csv;'
                " reports that share people share that word"
            )
            yield Remark("comparisons", row, "overlaps_with", message)
        if other is row or other["overlaps_with"] or other.text["event"] != row.text["event"]:
            message = (
                f'"{other.text["comparison_id"]}" must be another comparison of the same event'
                " that overlaps with none itself"
            )
            yield Remark("comparisons", row, "overlaps_with", message)


def _levels_follow_judgement(tables: Records) -> Iterator[Remark]:
    for row in tables["grade"]:
        takes = GRADE_LEVELS.get(row.text["judgement"])
        if takes is not None and row["levels_down"] != takes:
            message = (
                f'levels_down = {row["levels_down"]}, but judgement = "{row["judgement"]}" takes'
                f" {takes}"
            )
            yield Remark("grade", row, "levels_down", message)


def _judgement_of_the_tool(tables: Records) -> Iterator[Remark]:
    """Check domains and words against their tool, and the reasons of ROBINS-I."""
    for row in tables["risk_of_bias"]:
        if row["tool"] not in TOOLS:
            continue
        domains, words = TOOLS[row.text["tool"]]
        for column, known in (("domain", (*domains, "overall")), ("judgement", words)):
            if row[column] not in known:
                message = (
                    f'{column} = "{row[column]}" is not one of {row["tool"]}; use one of:'
                    f" {', '.join(known)}"
                )
                yield Remark("risk_of_bias", row, column, message)
        if row["tool"] == "ROBINS-I" and not row["reason"]:
            yield Remark(
                "risk_of_bias", row, "reason", "reason is empty: a judgement by ROBINS-I needs one"
            )


RULES: Mapping[str, tuple[tuple[str, ...], Callable[[Records], Iterator[Remark]]]] = {
    "events within n": (("outcomes",), _events_within_n),
    "events or mean": (("outcomes",), _events_or_mean),
    "percent fits count": (("outcomes",), _percent_fits_count),
    "flow adds up": (("studies", "arms", "outcomes"), _flow_adds_up),
    "numbers have a source": (("studies",), _numbers_have_a_source),
    "interval holds estimate": (("effects",), _interval_holds_estimate),
    "pairs are whole": (("effects",), _pairs_are_whole),
    "arms of the study": (("arms", "effects"), _arms_of_the_study),
    "comparison has counts": (("arms", "outcomes", "comparisons"), _comparison_has_counts),
    "arms can be compared": (("outcomes", "comparisons"), _arms_can_be_compared),
    "window fits months": (("outcomes", "comparisons"), _window_fits_months),
    "randomised as in study": (("studies", "comparisons", "effects"), _randomised_as_in_study),
    "counted once": (("studies", "comparisons"), _counted_once),
    "overlap is of one series": (("studies", "comparisons"), _overlap_is_of_one_series),
    "levels follow judgement": (("grade",), _levels_follow_judgement),
    "judgement of the tool": (("risk_of_bias",), _judgement_of_the_tool),
}
"""Every rule across columns, by name, with its tables; a new rule is one function and one row."""


def broken(described: Mapping[str, Schema], tables: Records) -> tuple[list[Finding], list[Finding]]:
    """List what breaks the rules, and what is only worth a flag.

    A rule is skipped where one of its tables could not be read.
    """
    violations: list[Finding] = []
    flags: list[Finding] = []
    for rule, (needed, remarks) in RULES.items():
        if not all(name in tables for name in needed):
            continue
        for table, row, column, message, may_stand in remarks(tables):
            finding = Finding(described[table].file, row.line, row.study, column, rule, message)
            (flags if may_stand else violations).append(finding)
    return violations, flags
