"""Reading and checking the evidence tables: faults, their messages, and what is returned."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapmeta.review.evidence import Evidence, EvidenceError, load_evidence, loading, rules, tables
from kapmeta.review.evidence.rules import RULES
from kapmeta.review.evidence.trials import COLUMNS, REPORTED_COLUMNS
from tests.helpers.places import DATA


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def rows_of(folder: Path, table: str) -> list[list[str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def write(folder: Path, table: str, rows: list[list[str]]) -> None:
    with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def put(folder: Path, table: str, row: int, column: str, text: str) -> None:
    """Write `text` into one cell; `row` is the line of the file."""
    rows = rows_of(folder, table)
    rows[row - 1][rows[0].index(column)] = text
    write(folder, table, rows)


def add(folder: Path, table: str, **cells: object) -> None:
    """Append one row with these cells, the others empty."""
    rows = rows_of(folder, table)
    assert set(cells) <= set(rows[0])
    write(folder, table, [*rows, [str(cells.get(name, "")) for name in rows[0]]])


def violations(folder: Path) -> pd.DataFrame:
    with pytest.raises(EvidenceError) as caught:
        load_evidence(folder)
    found = caught.value.violations
    lines = str(caught.value).splitlines()
    assert len(lines) == len(found) + 1  # every violation has a line in the message
    for line, message in zip(lines[1:], found["message"], strict=True):
        assert message in line
    return found


FAULTS = [
    # table, row, column, text, study, rule, message
    ("outcomes", 8, "events", "-1", "dakwar2019", "minimum", "events = -1 is below 0"),
    ("outcomes", 8, "events", "12.5", "dakwar2019", "type", "is not a whole number"),
    ("outcomes", 8, "events", "13.0", "dakwar2019", "type", "is not a whole number"),
    (
        "outcomes",
        8,
        "events",
        "NaN",
        "dakwar2019",
        "type",
        "leave the cell empty where the number is not known",
    ),
    (
        "outcomes",
        8,
        "events",
        "thirteen",
        "dakwar2019",
        "type",
        'events = "thirteen" is not a whole number',
    ),
    ("outcomes", 8, "events", "1e1", "dakwar2019", "type", "is not a whole number"),
    ("outcomes", 8, "events", "\u0661\u0663", "dakwar2019", "type", "is not a whole number"),
    ("outcomes", 8, "events", "28", "dakwar2019", "events within n", "events = 28 > n = 27"),
    ("outcomes", 8, "events", "", "dakwar2019", "events or mean", "events or a mean"),
    ("outcomes", 8, "n", "0", "dakwar2019", "minimum", "n = 0 is below 1"),
    (
        "outcomes",
        8,
        "n",
        "",
        "dakwar2019",
        "required",
        "n is empty; it is required: Participants analysed",
    ),
    (
        "outcomes",
        8,
        "n_missing",
        "2",
        "dakwar2019",
        "flow adds up",
        "27 + 2 is not n_randomised = 27",
    ),
    ("outcomes", 8, "n", "28", "dakwar2019", "flow adds up", "n = 28 > n_randomised = 27"),
    ("outcomes", 8, "months", "inf", "dakwar2019", "type", 'months = "inf" is not a number'),
    ("outcomes", 8, "months", "1,2", "dakwar2019", "type", "write digits and a decimal point"),
    ("outcomes", 8, "percent_printed", "148.2", "dakwar2019", "maximum", "is above 100"),
    ("outcomes", 8, "event_is_good", "yes", "dakwar2019", "type", "is neither true nor false"),
    (
        "outcomes",
        8,
        "event",
        "relapse",
        "dakwar2019",
        "enum",
        "is not a known word; use one of: abstinence",
    ),
    ("outcomes", 8, "evidence_level", "", "dakwar2019", "required", "evidence_level is empty"),
    ("outcomes", 8, "locator", "", "dakwar2019", "required", "locator is empty"),
    ("outcomes", 8, "locator", " abstract", "dakwar2019", "type", "begins or ends with a space"),
    ("outcomes", 8, "origin", "printd", "dakwar2019", "enum", 'did you mean "printed"?'),
    (
        "outcomes",
        8,
        "source_ids",
        "S16;S99",
        "dakwar2019",
        "foreign key",
        '"S99" is not in sources.csv',
    ),
    ("outcomes", 8, "source_ids", "S16;", "dakwar2019", "type", "has an empty or repeated item"),
    ("outcomes", 8, "source_ids", "S16;S16", "dakwar2019", "type", "has an empty or repeated item"),
    (
        "outcomes",
        8,
        "outcome_id",
        "O006",
        "dakwar2019",
        "unique",
        'outcome_id = "O006" is already in row 7',
    ),
    ("outcomes", 8, "arm_id", "kett", "dakwar2019", "foreign key", 'did you mean "ket"?'),
    (
        "studies",
        2,
        "substance",
        "beer",
        "krupitsky1997",
        "enum",
        "use one of: alcohol, opioids, cocaine",
    ),
    ("studies", 2, "doi", "doi:10.1080/1", "krupitsky1997", "pattern", "without address"),
    ("studies", 2, "year", "1066", "krupitsky1997", "minimum", "year = 1066 is below 1900"),
    (
        "studies",
        13,
        "label",
        "Krupitsky 1997",
        "das2019",
        "unique",
        '"Krupitsky 1997" is already in row 2',
    ),
    (
        "studies",
        2,
        "origin",
        "",
        "krupitsky1997",
        "numbers have a source",
        "followup_months is given without origin",
    ),
    (
        "studies",
        5,
        "n_missing",
        "5",
        "krupitsky2007",
        "flow adds up",
        "53 + 5 is not n_randomised = 59",
    ),
    (
        "studies",
        5,
        "n_treated",
        "60",
        "krupitsky2007",
        "flow adds up",
        "n_treated = 60 > n_randomised = 59",
    ),
    ("arms", 2, "dose_mg_per_kg", "-2.5", "krupitsky1997", "minimum", "is below 0"),
    (
        "arms",
        9,
        "n_analysed",
        "29",
        "dakwar2019",
        "flow adds up",
        "n_analysed = 29 > n_randomised = 28",
    ),
    (
        "comparisons",
        2,
        "control_arm",
        "kpt",
        "krupitsky1997",
        "arms can be compared",
        "compared with itself",
    ),
    (
        "comparisons",
        2,
        "control_arm",
        "ctll",
        "krupitsky1997",
        "foreign key",
        'did you mean "ctl"?',
    ),
    (
        "comparisons",
        2,
        "study_id",
        "krupitsky97",
        "krupitsky97",
        "foreign key",
        "is not in studies.csv",
    ),
    (
        "comparisons",
        2,
        "randomised",
        "true",
        "krupitsky1997",
        "randomised as in study",
        "not established",
    ),
    (
        "comparisons",
        2,
        "window",
        "6 months",
        "krupitsky1997",
        "window fits months",
        'it must be "12 months"',
    ),
    ("comparisons", 7, "role", "main", "dakwar2019", "counted once", "already counted in row 6"),
    (
        "comparisons",
        8,
        "overlaps_with",
        "dakwar2020",
        "krupitsky1992",
        "overlap is of one series",
        "have not the same overlap_group",
    ),
    (
        "effects",
        2,
        "estimate",
        "26",
        "dakwar2019",
        "interval holds estimate",
        "lies outside its interval",
    ),
    ("effects", 2, "low", "-1.3", "dakwar2019", "interval holds estimate", "but OR is above 0"),
    ("effects", 2, "high", "", "dakwar2019", "pairs are whole", "high is empty"),
    ("effects", 2, "treatment_arms", "kat", "dakwar2019", "arms of the study", 'arm "kat"'),
    ("effects", 2, "p_value", "1.5", "dakwar2019", "maximum", "p_value = 1.5 is above 1"),
    (
        "risk_of_bias",
        10,
        "judgement",
        "moderate",
        "krupitsky2002",
        "judgement of the tool",
        "is not one of RoB 2; use one of: low, some concerns, high, not judged",
    ),
    (
        "risk_of_bias",
        10,
        "judgement",
        "no information",
        "krupitsky2002",
        "judgement of the tool",
        "is not one of RoB 2",
    ),
    (
        "risk_of_bias",
        10,
        "domain",
        "D6",
        "krupitsky2002",
        "judgement of the tool",
        "is not one of RoB 2",
    ),
    (
        "risk_of_bias",
        2,
        "judgement",
        "unclear",
        "krupitsky1997",
        "enum",
        "low, some concerns, high",
    ),
    ("risk_of_bias", 10, "reason", "", "krupitsky2002", "required", "reason is empty"),
    ("risk_of_bias", 10, "signalling", "3.1 maybe", "krupitsky2002", "pattern", "signalling"),
    (
        "outcomes",
        2,
        "n_unknown",
        "40",
        "krupitsky1997",
        "events within n",
        "73 + 40 exceed n = 111",
    ),
    ("outcomes", 8, "analysis_set", "ITT", "dakwar2019", "enum", "use one of: randomised, treated"),
    ("outcomes", 8, "definition", "abstinent", "dakwar2019", "enum", "continuous_abstinence"),
    (
        "outcomes",
        8,
        "definition",
        "no_heavy_drinking",
        "dakwar2019",
        "definition of the event",
        'is not one of the event "abstinence"',
    ),
    ("outcomes", 8, "verified_source_ids", "", "dakwar2019", "verified has a source", "name it"),
    (
        "outcomes",
        8,
        "verified_source_ids",
        "S01",
        "dakwar2019",
        "verified has a source",
        '"S01" is not among the source_ids',
    ),
    ("outcomes", 8, "read_by", "", "dakwar2019", "required", "Who or what read the row"),
    ("outcomes", 8, "read_on", "yesterday", "dakwar2019", "pattern", "read_on"),
    (
        "outcomes",
        12,
        "n",
        "41",
        "dakwar2020",
        "people within study",
        "n = 41, but the study randomised 40",
    ),
    (
        "arms",
        9,
        "n_randomised",
        "29",
        "dakwar2019",
        "people within study",
        "the arms have 56 randomised, the study 55",
    ),
    ("studies", 2, "status", "ongoing or no results", "krupitsky1997", "enum", "terminated"),
    ("studies", 6, "registry_ids", "R01AA027509", "dakwar2019", "pattern", "registr"),
    (
        "comparisons",
        3,
        "randomised",
        "false",
        "dakwar2020",
        "randomised as in study",
        "false here, but yes in studies.csv",
    ),
    (
        "known_missing",
        5,
        "state",
        "counts read",
        "yoon2025",
        "missing agrees",
        'does not answer the question "alcohol-randomised"',
    ),
    ("known_missing", 5, "direction", "", "yoon2025", "missing agrees", 'is a word, "not known"'),
    (
        "known_missing",
        4,
        "state",
        "ongoing",
        "dakwar2020",
        "missing agrees",
        "answers the question",
    ),
    ("harms", 2, "events", "97", "grabski2022", "events within n", "events = 97 > n_at_risk = 96"),
    ("screened", 2, "decision", "maybe", "krupitsky1997", "enum", "in an answer"),
    ("search", 2, "begun_on", "November", "", "pattern", "begun_on"),
    (
        "grade",
        2,
        "levels_down",
        "3",
        "",
        "levels follow judgement",
        'judgement = "serious" takes 1',
    ),
    ("claims", 2, "verdict", "true", "", "enum", "agrees, could not be verified, imprecise"),
    ("claims", 2, "source_ids", "", "", "required", "source_ids is empty; it is required"),
    ("grade", 2, "reason", "", "", "required", "reason is empty; it is required"),
    ("sources", 2, "url", "scilit.com", "", "pattern", "does not have the form"),
]


@pytest.mark.parametrize(("table", "row", "column", "text", "study", "rule", "message"), FAULTS)
def test_each_fault_is_named_by_file_row_study_column_and_rule(
    folder: Path, table: str, row: int, column: str, text: str, study: str, rule: str, message: str
) -> None:
    put(folder, table, row, column, text)
    found = violations(folder)
    assert list(found.columns) == ["file", "row", "study", "column", "rule", "message"]
    match = found[
        (found["file"] == f"{table}.csv") & (found["row"] == row) & (found["column"] == column)
    ]
    match = match[(match["study"] == study) & (match["rule"] == rule)]
    assert len(match) == 1, found.to_string()
    assert message in match["message"].item()


def test_every_rule_across_columns_has_been_seen_broken() -> None:
    elsewhere = {"comparison has counts", *(case[-2] for case in (*CONTRADICTIONS, *FLAGGED))}
    assert set(RULES) <= {fault[5] for fault in FAULTS} | elsewhere


CONTRADICTIONS = [
    # table, row, column, text; then file, row, column, rule and message of what it breaks
    (
        *("arms", 3, "role", "ketamine"),
        *("comparisons.csv", 2, "control_arm", "roles fit contrast", 'has the role "ketamine"'),
    ),
    (
        *("comparisons", 5, "contrast", "ketamine_v_control"),
        *("comparisons.csv", 5, "control_arm", "roles fit contrast", '"lesser ketamine"'),
    ),
    (
        *("effects", 6, "contrast", "dose"),
        *("effects.csv", 6, "control_arms", "roles fit contrast", '"inert placebo"'),
    ),
    (
        *("effects", 8, "definition", "continuous_abstinence"),
        *("effects.csv", 8, "definition", "definition of the event", '"relapse"'),
    ),
    (
        *("outcomes", 12, "definition", "other"),
        *("comparisons.csv", 3, "treatment_arm", "definition is accepted", "not other"),
    ),
    (
        *("outcomes", 12, "window_days", "14"),
        *("comparisons.csv", 3, "timepoint", "arms can be compared", "window_days"),
    ),
    (
        *("outcomes", 28, "events", "8"),
        *("outcomes.csv", 12, "events", "nested events", "whoever has the first has the second"),
    ),
]


@pytest.mark.parametrize("case", CONTRADICTIONS, ids=lambda case: f"{case[-2]}, {case[0]}")
def test_contradictions_between_tables_are_named_where_they_show(
    folder: Path, case: tuple[str, int, str, str, str, int, str, str, str]
) -> None:
    table, row, column, text, *place, rule, message = case
    put(folder, table, row, column, text)
    found = violations(folder)
    match = found[(found["file"] == place[0]) & (found["row"] == place[1])]
    match = match[(match["column"] == place[2]) & (match["rule"] == rule)]
    assert len(match) == 1, found.to_string()
    assert message in match["message"].item()


FLAGGED = [
    # table, row, column, text; then the table, row, rule and message of the flag
    (
        *("outcomes", 12, "events", "14"),
        *(
            "outcomes",
            12,
            "percent fits count",
            "14 of 17 is 82.35 %; counts that fit: 9; a contra",
        ),
    ),
    (
        *("outcomes", 13, "percent_printed", "41.0"),
        *("outcomes", 13, "percent fits count", "no count of 22 fits (GRIM); within one unit"),
    ),
    (
        *("studies", 28, "overlap_group", "another"),
        *("outcomes", 27, "control group is new", '24 of 100 are also the control group of "krup'),
    ),
    (
        *("studies", 7, "n_randomised", "41"),
        *(
            "grade",
            5,
            "grade is of this evidence",
            "names 40 for the number of people, the tables now",
        ),
    ),
    (
        *("grade", 5, "reason", "Three trials of 40 people."),
        *(
            "grade",
            5,
            "grade is of this evidence",
            "names 3 for the number of trials, the tables now have 1",
        ),
    ),
    (
        *("known_missing", 4, "question", "alcohol-days"),
        *("comparisons", 3, "nothing forgotten", 'no row of "dakwar2020" for "alcohol-randomised"'),
    ),
    (
        *("screened", 7, "study_id", ""),
        *("studies", 7, "nothing forgotten", 'screened.csv has no row of "dakwar2020"'),
    ),
]


@pytest.mark.parametrize("case", FLAGGED, ids=lambda case: f"{case[-2]}, {case[0]} {case[1]}")
def test_what_may_be_right_and_must_be_looked_at_is_flagged(
    folder: Path, case: tuple[str, int, str, str, str, int, str, str]
) -> None:
    table, row, column, text, *place, rule, message = case
    put(folder, table, row, column, text)
    described, contents = loading._contents(folder)
    read, _ = tables.read_tables(described, contents)
    flags = [flag for flag in rules.broken(described, read)[1] if flag.rule == rule]
    match = [flag for flag in flags if (flag.file, flag.row) == (f"{place[0]}.csv", place[1])]
    assert len(match) == 1, flags
    assert message in match[0].message


def test_the_heavy_drinking_count_entered_as_abstinence_is_found(folder: Path) -> None:
    """Dakwar 2020: 14/17 had no heavy drinking day; 52.9 % were abstinent, which is 9 of 17."""
    put(folder, "outcomes", 12, "events", "14")
    flag = load_evidence(folder).flags.query("study == 'dakwar2020'")
    assert flag[["row", "column"]].to_numpy().tolist() == [[12, "percent_printed"]]
    assert (
        "52.9 % is printed, but 14 of 17 is 82.35 %; counts that fit: 9" in flag["message"].item()
    )


def test_abstinence_that_rises_with_time_is_refused(folder: Path) -> None:
    rows = rows_of(folder, "outcomes")
    later = dict(zip(rows[0], rows[1], strict=True)) | {
        "outcome_id": "O903",
        "timepoint": "24mo",
        "months": "24",
        "events": "80",
        "n_unknown": "",
        "percent_printed": "",
    }
    add(folder, "outcomes", **later)
    found = violations(folder)
    assert set(found["rule"]) == {"nested events"}
    assert "rises with time: 80 of 111 at 24 months, 73 at 12" in found["message"][0]


def test_message_reads_like_this(folder: Path) -> None:
    put(folder, "outcomes", 8, "events", "28")
    with pytest.raises(EvidenceError) as caught:
        load_evidence(folder)
    assert (
        str(caught.value) == "1 violation in the evidence tables:\n"
        '  outcomes.csv, row 8 ("dakwar2019"), events: '
        "events exceed the denominator: events = 28 > n = 27 [events within n]"
    )


def test_ten_faults_at_once_are_all_reported(folder: Path) -> None:
    tens = [fault for fault in FAULTS if fault[0] != "outcomes"][:7]
    tens += [("outcomes", 2, "events", "x", "krupitsky1997", "type", "")]
    tens += [("outcomes", 3, "n", "0", "krupitsky1997", "minimum", "")]
    tens += [("outcomes", 10, "source_ids", "S00", "dakwar2019", "foreign key", "")]
    for table, row, column, text, *_ in tens:
        put(folder, table, row, column, text)
    found = violations(folder)
    places = set(found[["file", "row", "column", "rule"]].itertuples(index=False, name=None))
    assert {
        (f"{table}.csv", row, column, rule) for table, row, column, _, _, rule, _ in tens
    } <= places
    assert len(tens) == 10


def test_comparison_without_counts_is_refused(folder: Path) -> None:
    put(folder, "comparisons", 2, "timepoint", "36mo")
    found = violations(folder)
    assert set(found["rule"]) == {"comparison has counts"}
    assert list(found["column"]) == ["treatment_arm", "control_arm"]
    assert '"abstinence" at "36mo"' in found["message"][0]


def test_report_of_the_same_people_must_name_the_other(folder: Path) -> None:
    """The control group of Krupitsky 1992 is very probably that of 1997."""
    put(folder, "comparisons", 8, "overlaps_with", "")
    found = violations(folder)
    assert found[["row", "column", "rule"]].to_numpy().tolist() == [[8, "role", "counted once"]]
    assert 'or name "krupitsky1997" in overlaps_with' in found["message"].item()


def test_arms_at_different_times_are_not_compared(folder: Path) -> None:
    put(folder, "outcomes", 3, "months", "11")
    assert (
        "months in outcomes.csv differs between the arms: 12 and 11"
        in violations(folder)["message"].item()
    )


def test_same_arm_outcome_and_time_twice_is_refused(folder: Path) -> None:
    rows = rows_of(folder, "outcomes")
    write(folder, "outcomes", [*rows, ["O099", *rows[1][1:]]])
    found = violations(folder)
    assert found["row"].item() == len(rows) + 1
    assert "is already in row 2; each may occur once" in found["message"].item()


def test_missing_unknown_and_double_columns_are_named(folder: Path) -> None:
    rows = rows_of(folder, "outcomes")
    rows[0][rows[0].index("events")] = "event"
    write(folder, "outcomes", rows)
    found = violations(folder)
    assert set(found["row"]) == {1}
    assert [m.split(";")[0] for m in found["message"]] == [
        "column event is there more than once",
        "column events is missing",
    ]
    rows[0][rows[0].index("event")] = "evnts"
    write(folder, "outcomes", rows)
    assert (
        'unknown column "evnts"; did you mean "events"?' in violations(folder)["message"].to_list()
    )


def test_columns_may_stand_in_any_order(folder: Path) -> None:
    rows = rows_of(folder, "outcomes")
    write(folder, "outcomes", [row[::-1] for row in rows])
    pd.testing.assert_frame_equal(load_evidence(folder).trials(), load_evidence().trials())


def test_row_with_an_unquoted_comma_is_named(folder: Path) -> None:
    file = folder / "claims.csv"
    file.write_text(
        file.read_text("utf-8").replace('"paragraph 4, sent', "paragraph 4, sent", 1), "utf-8"
    )
    found = violations(folder)
    assert (found["row"][0], found["rule"][0]) == (2, "shape")
    assert "put double quotes round a text with a comma" in found["message"][0]


def test_row_number_is_the_line_of_the_file_after_a_cell_of_two_lines(folder: Path) -> None:
    put(folder, "outcomes", 2, "notes", "one\ntwo")
    put(folder, "outcomes", 3, "events", "-1")
    assert violations(folder)["row"].item() == 4


def test_missing_file_and_wrong_encoding_are_named_and_the_rest_is_still_checked(
    folder: Path,
) -> None:
    (folder / "arms.csv").unlink()
    (folder / "claims.csv").write_bytes(b"claim_id\n\xff\xfe\n")
    put(folder, "studies", 2, "year", "1066")
    found = violations(folder).set_index("file")
    assert found["message"]["arms.csv"] == "arms.csv is missing"
    assert "save it as CSV UTF-8" in found["message"]["claims.csv"]
    assert found["rule"].to_dict() == {
        "arms.csv": "file",
        "claims.csv": "file",
        "studies.csv": "minimum",
    }


def test_empty_file_is_refused(folder: Path) -> None:
    (folder / "pending.csv").write_bytes(b"")
    assert set(violations(folder)["file"]) == {"pending.csv"}


def test_windows_line_ends_and_byte_order_mark_are_read(folder: Path) -> None:
    file = folder / "outcomes.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(load_evidence(folder).trials(), load_evidence().trials())


def test_count_far_from_its_percentage_may_stand_with_a_note(folder: Path) -> None:
    put(folder, "outcomes", 8, "events", "14")
    message = load_evidence(folder).flags["message"][1]
    assert "14 of 27 is 51.85 %; no count of 27 fits (GRIM)" in message
    assert message.endswith("a contradiction: correct it, or say in percent_note why it is kept")
    put(folder, "outcomes", 8, "percent_note", "the erratum gives 14")
    assert "the erratum gives 14" in load_evidence(folder).flags["message"][1]


def test_count_one_unit_off_is_flagged_with_the_counts_that_fit(folder: Path) -> None:
    put(folder, "outcomes", 2, "percent_printed", "65.7")
    flags = load_evidence(folder).flags
    assert (
        "65.7 % is printed, but 73 of 111 is 65.77 %; no count of 111 fits" in flags["message"][0]
    )
    assert flags["row"][0] == 2


READ = {"read_by": "person", "read_on": "2027-05-01", "second_look": "false"}
MARKS = {
    "source_ids": "S99",
    "locator": "S99: Table 2",
    "evidence_level": "primary_full_text",
    "origin": "printed",
}
DOE: dict[str, dict[str, object]] = {
    "sources": {
        "source_id": "S99",
        "citation": "Doe 2027",
        "kind": "primary_full_text",
        "what_was_seen": "all",
    },
    "studies": {
        "study_id": "doe2027",
        "label": "Doe 2027",
        "year": 2027,
        "substance": "alcohol",
        "substance_as_reported": "alcohol",
        "status": "completed",
        "randomised": "yes",
        "n_randomised": 60,
        "abstinence_counts": "printed",
        "citation": "Doe et al. 2027",
        **MARKS,
        **READ,
    },
    "arms": {"study_id": "doe2027", "n_randomised": 30, **MARKS, **READ},
    "outcomes": {
        "study_id": "doe2027",
        "event": "abstinence",
        "event_is_good": "true",
        "outcome": "abstinence by urine",
        "definition": "continuous_abstinence",
        "window_days": 180,
        "verified": "yes",
        "verified_source_ids": "S99",
        "timepoint": "6mo",
        "months": 6,
        "time_as_reported": "6 months",
        "n": 28,
        "n_randomised": 30,
        "n_missing": 2,
        "analysis_set": "observed",
        **MARKS,
        **READ,
    },
    "comparisons": {
        "comparison_id": "doe2027",
        "study_id": "doe2027",
        "event": "abstinence",
        "timepoint": "6mo",
        "window": "6 months",
        "treatment_arm": "ket",
        "control_arm": "mid",
        "treatment": "ketamine",
        "control": "midazolam",
        "contrast": "ketamine_v_control",
        "randomised": "true",
        "role": "main",
        "role_reason": "on the question",
    },
    "risk_of_bias": {
        "study_id": "doe2027",
        "event": "abstinence",
        "timepoint": "6mo",
        "tool": "RoB 2",
        "domain": "overall",
        "judgement": "not judged",
        "judgement_as_extracted": "not judged",
        "reason": "for the test",
        "basis": "nothing",
        "source_ids": "S99",
    },
    "known_missing": {
        "study_id": "doe2027",
        "question": "alcohol-randomised",
        "state": "counts read",
        "definition": "continuous_abstinence",
        "what_is_known": "15/28 v 9/28",
        "evidence_level": "primary_full_text",
        "source_ids": "S99",
        "locator": "S99: Table 2",
        **READ,
    },
    "screened": {
        "screened_id": "R900",
        "report": "Doe 2027",
        "study_id": "doe2027",
        "search_id": "Q2",
        "seen": "full text",
        "decision": "in an answer",
        "reason": "on the question",
        "source_ids": "S99",
    },
}


def enter_doe(folder: Path, *left_out: str) -> None:
    """Enter the trial that data/README.md takes as its example, without some of its tables."""
    sides = {"ket": ("ketamine", 15, "O901"), "mid": ("active placebo", 9, "O902")}
    for table, cells in DOE.items():
        if table in left_out:
            continue
        if table not in ("arms", "outcomes"):
            add(folder, table, **cells)
            continue
        for arm, (role, events, name) in sides.items():
            own: dict[str, object] = {"label": arm, "role": role}
            if table == "outcomes":
                own = {"events": events, "outcome_id": name}
            add(folder, table, **cells, arm_id=arm, **own)


def test_a_new_trial_is_rows_and_nothing_else(folder: Path) -> None:
    before = load_evidence(folder)
    enter_doe(folder)
    after = load_evidence(folder)
    row = after.trials("alcohol", role="main").iloc[0]
    assert row[
        ["label", "events_t", "n_t", "events_c", "n_c", "missing_t", "missing"]
    ].tolist() == ["Doe 2027", 15, 28, 9, 28, 2, 4]
    assert row["risk_of_bias"] == "not judged"
    assert len(after.trials()) == len(before.trials()) + 1
    assert after.data_hash != before.data_hash


def test_what_was_forgotten_of_a_new_trial_is_said(folder: Path) -> None:
    """Risk of bias, known_missing and screened lack it; the certainty was judged of one trial."""
    before = load_evidence(folder).flags
    enter_doe(folder, "risk_of_bias", "known_missing", "screened")
    flags = load_evidence(folder).flags
    new = flags[~flags["message"].isin(before["message"])]
    assert set(new["rule"]) == {"nothing forgotten", "grade is of this evidence"}
    forgotten = " ".join(new.loc[new["rule"] == "nothing forgotten", "message"])
    for table in ("known_missing.csv", "risk_of_bias.csv", "screened.csv"):
        assert f"{table} has no" in forgotten
    stale = " ".join(new.loc[new["rule"] == "grade is of this evidence", "message"])
    assert "names 1 for the number of trials, the tables now have 2; judge again" in stale
    assert "names 40 for the number of people, the tables now have 100" in stale


def test_missing_of_a_study_are_those_of_a_comparison_only_if_nobody_else_was_analysed(
    folder: Path,
) -> None:
    """Krupitsky 2007: 26 and 27 of 53 analysed, six missing; of 63 they could be of another arm."""
    assert load_evidence(folder).trials("opioids", contrast="sessions")["missing"].item() == 6
    put(folder, "studies", 5, "n_randomised", "69")
    put(folder, "studies", 5, "n_analysed", "63")
    assert load_evidence(folder).trials("opioids", contrast="sessions")["missing"].isna().all()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_cell_whatever_it_holds_breaks_the_checking(data: st.DataObject) -> None:
    described, contents = loading._contents(DATA)
    read, findings = tables.read_tables(described, contents)
    assert findings == []
    name = data.draw(st.sampled_from(sorted(read)))
    row = data.draw(st.sampled_from(read[name]))
    column = data.draw(st.sampled_from(described[name].columns))
    odd = st.sampled_from(
        [
            "",
            " ",
            "0",
            "-1",
            "1.5",
            "999999999999999999999",
            "nan",
            "true",
            ";",
            "a;b",
            "\x00",
            "S01",
        ]
    )
    text = {**row.text, column.name: data.draw(odd | st.text(max_size=5))}
    changed, faults = tables._read_row(described[name], row.line, text)
    read[name] = [changed if other is row else other for other in read[name]]
    faults += tables.duplicates(described[name], read[name])
    for table in read:
        faults += tables.unknown_references(described[table], read)
        faults += tables.unknown_items(described[table], read)
    violations, flags = rules.broken(described, read)
    for finding in [*faults, *violations, *flags]:
        assert finding.message
        assert finding.row > 1


def test_trials_columns_are_the_contract(evidence: Evidence) -> None:
    trials = evidence.trials()
    assert tuple(trials.columns) == COLUMNS
    assert tuple(evidence.reported().columns) == REPORTED_COLUMNS
    assert (trials[["events_t", "n_t", "events_c", "n_c", "year"]].dtypes == "int64").all()
    assert (trials[["missing_t", "missing_c", "randomised_t", "months"]].dtypes == "float64").all()
    assert trials["randomised"].dtype == trials["event_is_good"].dtype == bool


def test_filters_choose(evidence: Evidence) -> None:
    def names(**choice: object) -> list[str]:
        return evidence.trials(**choice)["comparison_id"].tolist()  # type: ignore[arg-type]

    assert names(substance="alcohol") == ["krupitsky1997", "dakwar2020"]
    assert names(
        substance=("cocaine", "opioids"), contrast="ketamine_v_control", window="6 months"
    ) == ["dakwar2019-6mo"]
    assert names(randomised=False) == ["krupitsky1997"]
    assert names(randomised=True, substance="alcohol") == ["dakwar2020"]
    assert names(role=["main", "provisional"]) == ["dakwar2020", "dakwar2019-end"]
    assert names(comparison_id="krupitsky2007") == ["krupitsky2007"]
    assert names(substance="tobacco") == []
    assert tuple(evidence.trials("tobacco").columns) == COLUMNS
    assert evidence.trials("cocaine").index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"substance": "heroin"},
            'unknown substance "heroin"; use one of: alcohol, opioids, cocaine',
        ),
        ({"contrast": "ketamine"}, "use one of: ketamine_v_control, dose, sessions"),
        ({"role": ["main", "mian"]}, 'unknown role "mian"; use one of: main, provisional'),
        ({"comparison_id": "x"}, "use one of: krupitsky1997, dakwar2020"),
        ({"window": "year"}, "use one of: end of trial, 6 months, 12 months, 24 months"),
    ],
)
def test_unknown_words_print_the_words(
    evidence: Evidence, choice: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match="unknown") as caught:
        evidence.trials(**choice)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_reported_refuses_unknown_words(evidence: Evidence) -> None:
    with pytest.raises(
        ValueError, match='unknown outcome "relaps"; use one of: abstinence, relapse'
    ):
        evidence.reported(outcome="relaps")
    with pytest.raises(ValueError, match='unknown measure "SMD"; use one of: RR, OR, HR, MD, ROM'):
        evidence.reported(measure="SMD")


def test_reported_gives_only_what_can_be_analysed(evidence: Evidence) -> None:
    frame = evidence.reported()
    assert set(frame["effect_id"]) == {
        "E01",
        "E02",
        "E03",
        "E04",
        "E05",
        "E06",
        "E07",
        "E09",
        "E10",
    }
    assert frame["estimate"].notna().all()


def test_randomised_must_be_a_bool(evidence: Evidence) -> None:
    with pytest.raises(TypeError, match="randomised must be True, False or None: 'yes'"):
        evidence.trials(randomised="yes")  # type: ignore[arg-type]


def test_nothing_in_the_evidence_can_be_altered(evidence: Evidence) -> None:
    for name in (
        "studies",
        "arms",
        "outcomes",
        "comparisons",
        "effects",
        "risk_of_bias",
        "claims",
        "grade",
        "sources",
        "pending",
        "known_missing",
        "harms",
        "search",
        "screened",
        "flags",
    ):
        table = getattr(evidence, name)
        table.iloc[0, 0] = "changed"
        assert getattr(evidence, name).iloc[0, 0] != "changed"
        with pytest.raises(AttributeError):
            setattr(evidence, name, None)
    trials = evidence.trials()
    trials.loc[0, "events_t"] = 1
    assert evidence.trials()["events_t"][0] == 73
    with pytest.raises(dataclasses.FrozenInstanceError):
        evidence.data_hash = ""  # type: ignore[misc]


def test_hash_is_of_the_bytes(evidence: Evidence, folder: Path) -> None:
    assert load_evidence(folder).data_hash == evidence.data_hash
    (folder / "README.md").write_text("not data", "utf-8")
    assert load_evidence(str(folder)).data_hash == evidence.data_hash
    put(folder, "claims", 2, "notes", "read twice")
    assert load_evidence(folder).data_hash != evidence.data_hash


def test_codebook_has_a_line_for_every_column(evidence: Evidence) -> None:
    book = evidence.codebook()
    assert list(book.columns) == ["table", "column", "type", "unit", "meaning", "constraints"]
    for table, rows in book.groupby("table"):
        assert list(rows["column"]) == list(getattr(evidence, str(table)).columns)
    assert (book["meaning"] != "").all()
    line = book[(book["table"] == "outcomes") & (book["column"] == "n")]
    assert line[["unit", "constraints"]].to_numpy().tolist() == [
        ["participants", "required; at least 1"]
    ]


def test_repr_is_short_and_html_lists_the_tables(evidence: Evidence) -> None:
    assert repr(evidence).startswith(
        "Evidence(34 studies, 7 comparisons, 105 sources, 2 flags, sha256 "
    )
    assert len(repr(evidence)) < 100
    page = evidence._repr_html_()
    assert page.count("<tr>") == 15
    assert "<td>comparisons</td><td>7</td>" in page


def test_installed_package_reads_the_tables_it_carries(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "claims", 2, "notes", "carried")
    monkeypatch.setattr(loading, "files", lambda package: folder.parent)
    assert load_evidence().claims["notes"][0] == "carried"


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"datapackage\.json is not there; give the folder that holds it"
    ):
        load_evidence(tmp_path)
    with pytest.raises(TypeError, match="path must be text, a path or None: got 3"):
        load_evidence(3)  # type: ignore[arg-type]
