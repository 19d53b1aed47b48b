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

from kapmeta.review.evidence import Evidence, EvidenceError, load_evidence, reading, rules, tables
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
        2,
        "judgement",
        "moderate",
        "krupitsky1997",
        "judgement of the tool",
        "is not one of RoB 2; use one of: low, some concerns, high, unclear",
    ),
    (
        "risk_of_bias",
        2,
        "domain",
        "D6",
        "krupitsky1997",
        "judgement of the tool",
        "is not one of RoB 2",
    ),
    (
        "risk_of_bias",
        2,
        "judgement",
        "fine",
        "krupitsky1997",
        "enum",
        "low, some concerns, unclear, high",
    ),
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
    tested = {fault[5] for fault in FAULTS} | {
        "comparison has counts",
        "percent fits count",
    }  # the last only flags
    assert set(RULES) <= tested


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
    put(folder, "studies", 2, "substance", "beer")
    found = violations(folder).set_index("file")
    assert found["message"]["arms.csv"] == "arms.csv is missing"
    assert "save it as CSV UTF-8" in found["message"]["claims.csv"]
    assert found["rule"].to_dict() == {
        "arms.csv": "file",
        "claims.csv": "file",
        "studies.csv": "enum",
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


def test_a_new_trial_is_rows_and_nothing_else(folder: Path) -> None:
    before = load_evidence(folder)
    marks = {
        "source_ids": "S99",
        "locator": "S99: Table 2",
        "evidence_level": "primary_full_text",
        "origin": "printed",
    }
    source = {
        "source_id": "S99",
        "citation": "Doe 2027",
        "kind": "primary_full_text",
        "what_was_seen": "all",
    }
    study: dict[str, object] = {
        "study_id": "doe2027",
        "label": "Doe 2027",
        "year": 2027,
        "substance": "alcohol",
    }
    study |= {
        "substance_as_reported": "alcohol",
        "status": "completed",
        "randomised": "yes",
        "n_randomised": 60,
    }
    study |= {"abstinence_counts": "printed", "citation": "Doe et al. 2027"}
    arm = {"study_id": "doe2027", "n_randomised": 30}
    outcome: dict[str, object] = {
        "study_id": "doe2027",
        "event": "abstinence",
        "event_is_good": "true",
        "timepoint": "6mo",
    }
    outcome |= {"outcome": "abstinence by urine", "months": 6, "time_as_reported": "6 months"}
    outcome |= {"n": 28, "n_randomised": 30, "n_missing": 2}
    comparison = {
        "comparison_id": "doe2027",
        "study_id": "doe2027",
        "event": "abstinence",
        "timepoint": "6mo",
    }
    comparison |= {
        "window": "6 months",
        "treatment_arm": "ket",
        "control_arm": "mid",
        "treatment": "ketamine",
    }
    comparison |= {"control": "midazolam", "contrast": "ketamine_v_control", "randomised": "true"}
    comparison |= {"role": "main", "role_reason": "on the question"}
    add(folder, "sources", **source)
    add(folder, "studies", **study, **marks)
    add(folder, "arms", **arm, arm_id="ket", label="ketamine 0.5 mg/kg", role="ketamine", **marks)
    add(folder, "arms", **arm, arm_id="mid", label="midazolam", role="active placebo", **marks)
    add(folder, "outcomes", **outcome, outcome_id="O901", arm_id="ket", events=15, **marks)
    add(folder, "outcomes", **outcome, outcome_id="O902", arm_id="mid", events=9, **marks)
    add(folder, "comparisons", **comparison)
    after = load_evidence(folder)
    row = after.trials("alcohol", role="main").iloc[0]
    assert row[
        ["label", "events_t", "n_t", "events_c", "n_c", "missing_t", "missing"]
    ].tolist() == ["Doe 2027", 15, 28, 9, 28, 2, 4]
    assert row["risk_of_bias"] == ""
    assert len(after.trials()) == len(before.trials()) + 1
    assert after.data_hash != before.data_hash


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
    described, contents = reading._contents(DATA)
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
        "Evidence(28 studies, 7 comparisons, 94 sources, 2 flags, sha256 "
    )
    assert len(repr(evidence)) < 100
    page = evidence._repr_html_()
    assert page.count("<tr>") == 12
    assert "<td>comparisons</td><td>7</td>" in page


def test_installed_package_reads_the_tables_it_carries(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "claims", 2, "notes", "carried")
    monkeypatch.setattr(reading, "files", lambda package: folder.parent)
    assert load_evidence().claims["notes"][0] == "carried"


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"datapackage\.json is not there; give the folder that holds it"
    ):
        load_evidence(tmp_path)
    with pytest.raises(TypeError, match="path must name a folder, as text or Path, not int"):
        load_evidence(3)  # type: ignore[arg-type]
