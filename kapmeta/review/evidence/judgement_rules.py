"""Rules of judgements: risk of bias, certainty, verification, and what was forgotten."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from kapmeta.certainty.grading import GRADE_LEVELS
from kapmeta.core.certainty.risk_of_bias import (
    DOMAINS,
    NO_INFORMATION,
    ROB2,
    ROBINS_I,
    ROBINS_I_DOMAINS,
)
from kapmeta.review.evidence.remarks import Remark, answering_rows
from kapmeta.review.evidence.tables import Record, Records

NOT_JUDGED = "not judged"
TOOLS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "RoB 2": (tuple(DOMAINS), (*ROB2, NOT_JUDGED)),
    "ROBINS-I": (tuple(ROBINS_I_DOMAINS), (*ROBINS_I, NO_INFORMATION, NOT_JUDGED)),
}
"""Domains and words of each tool of risk of bias."""

READ = ("counts read", "effect read")
"""States of known_missing.csv in which the numbers are in the tables."""
_RULE_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RULE_TRIALS = re.compile(
    rf"\b({'|'.join(_RULE_WORDS)}|[0-9]+) (?:small |large )?trials?\b", re.IGNORECASE
)
_PEOPLE = re.compile(r"\btrials? (?:of|with) ([0-9]+) people\b", re.IGNORECASE)


def levels_follow_judgement(tables: Records) -> Iterator[Remark]:
    """Refuse levels that do not follow from the judgement of a GRADE domain."""
    for row in tables["grade"]:
        takes = GRADE_LEVELS.get(row.text["judgement"])
        if takes is not None and row["levels_down"] != takes:
            message = (
                f'levels_down = {row["levels_down"]}, but judgement = "{row["judgement"]}" takes'
                f" {takes}"
            )
            yield Remark("grade", row, "levels_down", message)


def judgement_of_the_tool(tables: Records) -> Iterator[Remark]:
    """Refuse domains and words that are not those of the tool of risk of bias."""
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


def verified_has_a_source(tables: Records) -> Iterator[Remark]:
    """Refuse a word on verification without the source that says so."""
    for row in tables["outcomes"]:
        said = row["verified"] in ("yes", "partly", "no")
        if said and not row["verified_source_ids"]:
            message = f"verified = {row['verified']} without a source; name it, or write not stated"
            yield Remark("outcomes", row, "verified_source_ids", message)
        for source in row["verified_source_ids"] or ():
            if source not in (row["source_ids"] or ()):
                message = f'"{source}" is not among the source_ids of the row; add it there'
                yield Remark("outcomes", row, "verified_source_ids", message)


def missing_agrees(tables: Records) -> Iterator[Remark]:
    """Refuse states of known_missing.csv that the other tables contradict."""
    read = {(row.study, name) for name, row in answering_rows(tables)}
    for row in tables["known_missing"]:
        in_tables = (row.study, row.text["question"]) in read
        if (row["state"] in READ) != in_tables and row["state"] is not None:
            there = "answers" if in_tables else "does not answer"
            message = (
                f'state = "{row["state"]}", but by the tables the study {there} the question'
                f' "{row.text["question"]}"'
            )
            yield Remark("known_missing", row, "state", message)
        if row["state"] is not None and (row["state"] in READ) == bool(row.text["direction"]):
            must = "is empty" if row["state"] in READ else 'is a word, "not known" at least'
            yield Remark("known_missing", row, "direction", f"where the state is so, it {must}")


def nothing_forgotten(tables: Records) -> Iterator[Remark]:
    """Flag what a study that answers a question, or any study, still lacks in other tables."""
    known = {(row.study, row.text["question"]) for row in tables["known_missing"]}
    judged = {row.study for row in tables["risk_of_bias"] if row["domain"] == "overall"}
    screened = {row.study for row in tables["screened"]}
    seen: set[tuple[str, str]] = set()
    for name, row in answering_rows(tables):
        table = "effects" if "effect_id" in row.text else "comparisons"
        if (row.study, name) not in seen | known:
            message = f'known_missing.csv has no row of "{row.study}" for "{name}"; add one'
            yield Remark(table, row, "study_id", message, True)
        if (row.study, "") not in seen and row.study not in judged:
            message = f'risk_of_bias.csv has no overall judgement of "{row.study}"; add one'
            yield Remark(table, row, "study_id", f'{message}, "not judged" at least', True)
        seen |= {(row.study, name), (row.study, "")}
    for row in tables["studies"]:
        if row.study not in screened:
            message = f'screened.csv has no row of "{row.study}"; add one'
            yield Remark("studies", row, "study_id", message, True)


def grade_is_of_this_evidence(tables: Records) -> Iterator[Remark]:
    """Flag a GRADE reason that names a number of trials or people which has changed."""
    k, people = _trials_and_people(tables)
    for row in tables["grade"]:
        name, reason = row.text["question"], row.text["reason"]
        for now, found in ((k.get(name), _RULE_TRIALS), (people.get(name), _PEOPLE)):
            said = {_number(word) for word in found.findall(reason)}
            if now and said and not said & now:
                what = "trials" if found is _RULE_TRIALS else "people"
                message = (
                    f"the reason names {_listed_rules(said)} for the number of {what}, "
                    f"the tables now have {_listed_rules(now)}; judge again{_citing(tables, name)}"
                )
                yield Remark("grade", row, "reason", message, True)


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _RULE_WORDS.index(word.lower())


def _listed_rules(numbers: set[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


def _citing(tables: Records, question: str) -> str:
    """Name the claims whose recomputation reads the answer to a question."""
    rows = tables.get("claims", [])
    claims = [row.text["claim_id"] for row in rows if question in " ".join(row.text.values())]
    words = f", and look again at the claims that cite the answer: {', '.join(claims)}"
    return words if claims else ""


def _trials_and_people(tables: Records) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """Count trials of each question, and its people: randomised, enrolled or analysed."""
    answering: dict[str, dict[str, Record]] = defaultdict(dict)
    for name, row in answering_rows(tables):
        if not row.text.get("overlaps_with"):
            answering[name][row.study] = row
    studies = {row.study: row for row in tables["studies"]}
    people: dict[str, set[int]] = {}
    for name, rows in answering.items():
        counts = ("n_randomised", "n_enrolled", "n_analysed")
        found = [
            [studies[study][column] for study in rows if study in studies] for column in counts
        ]
        people[name] = {sum(column) for column in found if column and None not in column}
    return {name: {len(rows)} for name, rows in answering.items()}, people
