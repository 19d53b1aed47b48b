"""The tables of data/ themselves: what they say, where it comes from, what never enters them."""

from __future__ import annotations

import csv
import json
import re

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.review.evidence import Evidence, load_evidence
from kapmeta.review.protocol import QUESTIONS, SUBSTANCES, WINDOWS, WITHOUT_RESULT
from tests.helpers.places import DATA

TABLES = [
    *(
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
    )
]
LEVELS = ["evidence_level", "origin", "locator", "source_ids"]

# Typed a second time from the sources named beside them.
# events and n of treatment and control, months, weaker level, weaker origin, risk ratio
COMPARISONS = {
    "krupitsky1997": (73, 111, 24, 100, 12, "primary_abstract", "printed", 2.740),
    "dakwar2020": (9, 17, 9, 22, 0.7, "secondary_summary", "derived_from_percentage", 1.294),
    "krupitsky2002": (6, 35, 1, 35, 24, "tertiary_only_conflict", "derived_from_percentage", 6.0),
    "krupitsky2007": (13, 26, 6, 27, 12, "primary_abstract", "printed", 2.25),
    "dakwar2019-end": (13, 27, 3, 28, 1.2, "primary_abstract", "derived_from_percentage", 4.494),
    "dakwar2019-6mo": (
        12,
        27,
        0,
        28,
        6,
        "secondary_summary",
        "printed_count_derived_denominator",
        None,
    ),
}
OUTCOMES = """
O001 73/111 65.8  S01|O002 24/100 24  S01|O003 6/35 17  SD1|O004 1/35 2  SD1|O005 13/26 50  S12
O006 6/27 22.2  S12|O007 13/27 48.2  S16|O008 3/28 10.7  S16|O009 12/27 44  S17|O010 0/28 0  S17
O011 9/17 52.9  S80|O012 9/22 40.9  S80|O013 2/13   S41|O014 3/14   S41|O015 7/17   S41
O016 /8  5.1±0.7 S42|O017 /8  0.8±0.412 S42|O018 /8  0.5±0.3 S42|O019 /24  162 S29|O020 /30  84 S38
O021 /30  41 S38|O022 /20  1.61 S21|O023 /20  4.33 S21|O024 4/5   S39
O027 60/86 69.8  S81|O028 24/100 24  S81|O025 14/17 82.4  S80|O026 13/22 59.1  S80
"""  # id, events/n, percentage as printed, mean±se, first source
EFFECTS = {
    "E01": ("OR", 5.7, 1.3, 25.1, 0.02, "S17"),
    "E02": ("HR", 0.47, 0.24, 0.92, 0.03, "S16"),
    "E03": ("ROM", 0.419, 0.214, 0.814, 0.01, "S16"),
    "E04": ("MD", 10.1, 1.1, 19.0, None, "S27"),
    "E05": ("MD", 15.9, 3.8, 28.1, None, "S27"),
    "E06": ("MD", 4.2, -6.7, 15.2, None, "S28"),
    "E07": ("OR", 0.80, 0.31, 2.10, None, "S28"),
    "E08": ("OR", 0.75, None, None, None, "S28"),
    "E09": ("RR", 0.37, None, None, 0.17, "S41"),
    "E10": ("RR", 0.52, None, None, 0.27, "S41"),
    "E11": ("", None, None, None, 0.01, "S01"),
    "E12": ("", None, None, None, 0.05, "S12"),
    "E13a": ("", None, None, None, 0.01, "S21"),
    "E13b": ("", None, None, None, 0.001, "S21"),
    "E14": ("percent reduction", 67, None, None, 0.0001, "S20"),
}


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence(DATA)


def text_of(name: str) -> list[list[str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def test_comparisons_are_the_six_of_the_dossier_with_their_counts(evidence: Evidence) -> None:
    trials = evidence.trials().set_index("comparison_id")
    assert list(trials.index) == list(COMPARISONS)  # by substance, year, months
    for name, (*counts, months, level, origin, ratio) in COMPARISONS.items():
        row = trials.loc[name]
        assert [row["events_t"], row["n_t"], row["events_c"], row["n_c"]] == counts
        assert (row["months"], row["evidence_level"], row["origin"]) == (months, level, origin)
        if ratio is not None:
            found = (row["events_t"] / row["n_t"]) / (row["events_c"] / row["n_c"])
            assert found == pytest.approx(ratio, abs=5e-4)


def test_every_outcome_is_what_its_source_says(evidence: Evidence) -> None:
    lines = []
    for row in evidence.outcomes.to_dict("records"):
        known = {name: value for name, value in row.items() if not pd.isna(value)}
        percent = f"{known['percent_printed']:g}" if "percent_printed" in known else ""
        mean = f"{known['mean']:g}" if "mean" in known else ""
        mean += f"±{known['se']:g}" if "se" in known else ""
        source = row["source_ids"].split(";")[0]
        lines.append(
            f"{row['outcome_id']} {known.get('events', '')}/{row['n']} {percent} {mean} {source}"
        )
    assert lines == re.split(r"[|\n]", OUTCOMES.strip())


def test_every_reported_effect_is_what_its_source_says(evidence: Evidence) -> None:
    columns = ["measure", "estimate", "low", "high", "p_value"]
    for row in evidence.effects.to_dict("records"):
        found = tuple(None if pd.isna(row[name]) else row[name] for name in columns)
        assert (*found, row["source_ids"].split(";")[0]) == EFFECTS[row["effect_id"]]
    assert list(evidence.effects["effect_id"]) == list(EFFECTS)


def test_numbers_that_are_not_known_stay_empty(evidence: Evidence) -> None:
    trials = evidence.trials().set_index("comparison_id")
    assert trials["missing_t"].dropna().to_dict() == {"dakwar2020": 0, "dakwar2019-end": 0}
    assert trials["missing_c"].dropna().to_dict() == {"dakwar2020": 1, "dakwar2019-end": 0}
    assert trials.loc["krupitsky1997", ["unknown_t", "unknown_c"]].tolist() == [8, 7]
    assert (
        trials.loc[["krupitsky1997", "krupitsky2007"], ["randomised_t", "randomised_c"]]
        .isna()
        .all(axis=None)
    )
    assert trials["missing"].dropna().to_dict() == {
        "dakwar2020": 1,
        "krupitsky2007": 6,
        "dakwar2019-end": 0,
        "dakwar2019-6mo": 0,
    }
    study = evidence.studies.set_index("study_id").loc["krupitsky2007"]
    assert (study["n_randomised"], study["n_analysed"], study["n_missing"]) == (59, 53, 6)
    assert not study["missing_split_known"]
    assert evidence.studies.set_index("study_id").loc["grabski2022", ["n_missing"]].isna().all()


def test_roles_keep_apart_what_the_plan_keeps_apart(evidence: Evidence) -> None:
    trials = evidence.trials().set_index("comparison_id")
    assert trials["role"].to_dict() == {
        "krupitsky1997": "sensitivity",
        "dakwar2020": "provisional",
        "krupitsky2002": "not_pooled",
        "krupitsky2007": "separate",
        "dakwar2019-end": "main",
        "dakwar2019-6mo": "alternative_time",
    }
    assert trials.index[~trials["randomised"]].tolist() == ["krupitsky1997"]
    both = trials.loc[["dakwar2019-end", "dakwar2019-6mo"]]
    assert both["window"].nunique() == both["role"].nunique() == 2
    assert set(trials.loc[trials["role"] == "main", "contrast"]) == {"ketamine_v_control"}


def test_forty_eight_point_two_percent_of_27_is_flagged(evidence: Evidence) -> None:
    flags = evidence.flags
    assert list(flags.columns) == ["table", "row", "study", "column", "rule", "message"]
    assert list(flags["study"]) == ["krupitsky2002", "dakwar2019"]
    assert list(flags["row"]) == [5, 8]
    assert (
        "48.2 % is printed, but 13 of 27 is 48.15 %; no count of 27 fits (GRIM)"
        in flags["message"][1]
    )


def test_every_number_has_source_locator_level_and_origin(evidence: Evidence) -> None:
    for table in (evidence.outcomes, evidence.effects, evidence.arms):
        assert (table[LEVELS] != "").all(axis=None)
    studies = evidence.studies
    counted = studies.filter(regex="^n_|followup_months").notna().any(axis=1)
    assert counted.sum() == 32
    assert (studies.loc[counted, LEVELS] != "").all(axis=None)


def test_every_locator_names_a_source_of_its_row(evidence: Evidence) -> None:
    for table in (
        *(evidence.outcomes, evidence.effects, evidence.arms, evidence.studies),
        *(evidence.harms, evidence.known_missing),
    ):
        for sources, locator in zip(table["source_ids"], table["locator"], strict=True):
            named = set(re.findall(r"(SD?\d+): ", locator))
            assert bool(named) == bool(locator)
            assert named <= set(sources.split(";")), locator


def test_every_source_is_there_and_every_source_id_exists(evidence: Evidence) -> None:
    known = set(evidence.sources["source_id"])
    audited = {f"S{i}" for i in range(101, 108)}  # read for the claims audit
    first_look = {f"S{i:02d}" for i in range(1, 80)} | {f"SD{i}" for i in range(5)}
    second_look = {f"S{i:02d}" for i in range(80, 94)}
    assert known == first_look | second_look | audited
    for table in set(TABLES) - {"sources"}:
        frame = getattr(evidence, table)
        if "source_ids" in frame:
            assert set(frame["source_ids"].str.split(";").explode()) <= known | {""}


def test_claims_are_all_there(evidence: Evidence) -> None:
    claims = evidence.claims.set_index("claim_id")
    assert list(claims.index) == [f"C{i:02d}" for i in range(1, 85)]
    ending = "found under the authors, the trial or the sponsor"
    assert str(claims.loc["C17", "notes"]).endswith(ending)  # its comma once broke the row
    assert claims.loc["C17", "source_ids"] == "S27;S39;S40"


def test_what_now_has_a_source_is_in_the_tables(evidence: Evidence) -> None:
    """Figures that were once only remembered, each with where it was read since."""
    sourced = {
        "S80": ("17.6 %", "40.9 %", "47.1 %", "59.1 %", "40.7 and 33.3 %"),
        "S81": ("60 (69.8 %)", "24 (24 %)", "more than 1,000 patients"),
    }
    seen = evidence.sources.set_index("source_id")["what_was_seen"]
    for source, figures in sourced.items():
        assert all(figure.lower() in str(seen[source]).lower() for figure in figures)
    citation = evidence.studies.set_index("study_id")["citation"]
    pages = {"dakwar2020": "177:125", "dakwar2014": "76:40", "dakwar2017": "22:76"}
    assert all(page in citation[study] for study, page in pages.items())


def test_overlapping_reports_are_never_counted_together(evidence: Evidence) -> None:
    """Krupitsky 1992 and 1997 very probably share a control group of 24 in 100."""
    assert "krupitsky1992" not in set(evidence.trials()["comparison_id"])
    own = evidence.trials(comparison_id="krupitsky1992")
    counts = own[["events_t", "n_t", "events_c", "n_c", "unknown_t"]]
    assert counts.to_numpy().tolist() == [[60, 86, 24, 100, 2]]
    assert own[["study", "study_id", "label"]].to_numpy().tolist() == [
        ["krupitsky1997", "krupitsky1992", "Krupitsky 1992"]
    ]
    both = evidence.trials(comparison_id=["krupitsky1992", "krupitsky1997"])
    assert both["label"].tolist() == ["Krupitsky 1992", "Krupitsky 1997"]
    with pytest.raises(ValueError, match='"krupitsky1997" comes more than once'):
        km.pool(km.risk_ratio(both))
    with pytest.raises(ValueError, match="would count twice"):
        km.effects.refuse_double_counting(both)
    note = evidence.studies.set_index("study_id").loc["krupitsky1992", "notes"]
    assert str(note).startswith("Inference: ")


def test_what_is_known_and_missing_has_its_state(evidence: Evidence) -> None:
    missing = evidence.known_missing.set_index(["study_id", "question"])
    yoon = missing.loc[("yoon2025", "alcohol-randomised")]
    assert yoon[["state", "direction", "n_treatment", "n_control"]].tolist() == [
        "direction only",
        "no difference",
        39,
        19,
    ]
    unpublished = missing.loc[("columbia_cocaine_u01", "cocaine-end-of-trial")]
    assert (unpublished["state"], unpublished["n_total"]) == ("unpublished", 110)
    assert set(missing.index.get_level_values("question")) == set(QUESTIONS)


def test_what_is_only_recollected_is_not_in_the_tables(evidence: Evidence) -> None:
    recollected = (
        r"12495789|17523581|179:152|33 of 81|14 of 42|\b33/81\b|\b14/42\b"
        r"|\b41 ?%|\b6/8\b|\b3/11\b|34\.8|37 v 37|general knowledge"
    )
    for name in TABLES:
        found = [
            cell for row in text_of(f"{name}.csv") for cell in row if re.search(recollected, cell)
        ]
        assert found == [], name
    waiting = evidence.pending
    assert set(waiting.loc[waiting["study_id"] == "krupitsky2002", "months"]) == {
        1,
        3,
        6,
        12,
        18,
        24,
    }


def test_odds_question_has_one_window_and_one_definition() -> None:
    """It once joined abstinence over three weeks with relapse within six months."""
    odds = QUESTIONS["alcohol-odds"]
    assert (odds.window, odds.definitions) == ("6 months", ("no_relapse",))
    for asked in QUESTIONS.values():
        assert "no_heavy_drinking" not in asked.definitions


def test_every_judgement_of_bias_has_a_reason_and_a_word_of_its_tool(evidence: Evidence) -> None:
    bias = evidence.risk_of_bias
    assert (bias["reason"].str.len() > 5).all()
    assert "unclear" not in set(bias["judgement"])
    assert set(bias.loc[bias["tool"] == "ROBINS-I", "study_id"]) == {
        "krupitsky1992",
        "krupitsky1997",
    }
    randomised = set(evidence.studies.query("randomised == 'yes'")["study_id"])
    assert randomised <= set(bias["study_id"])


def test_registered_only_where_an_id_exists(evidence: Evidence) -> None:
    studies = evidence.studies.set_index("study_id")
    assert studies.loc["columbia_aud_2x2", ["registry_ids", "grant_numbers"]].tolist() == [
        "",
        "R01AA027509",
    ]
    assert studies.loc["grabski2022", "registry_ids"] == "NCT02649231;2015-000222-11"
    assert "Medical Research Council" in studies.loc["grabski2022", "funders"]
    assert studies["registered_on"].eq("").mean() > 0.5  # rarely seen, never filled in


def test_counts_of_harms_are_within_those_at_risk_and_say_who(evidence: Evidence) -> None:
    harms = evidence.harms.set_index("harm_id")
    assert harms.loc["H01", ["events", "n_at_risk", "arm_id"]].tolist() == [8, 96, ""]
    assert "not about this comparison" in harms.loc["H11", "notes"]
    assert harms.loc["H10", ["events"]].isna().all()


def test_flow_of_reports_adds_up_and_says_what_it_was(evidence: Evidence) -> None:
    steps = evidence.flow().set_index("label")
    left = steps[steps["aside"]]["n"].sum()
    found, remain = steps["n"].iloc[0], steps["n"].iloc[-1]
    assert found - left == remain == 7
    assert "no bibliographic database" in steps["detail"].iloc[0]
    assert "Yoon 2025" in steps.loc["Eligible, result not read", "detail"]
    own = evidence.screened.groupby("study_id").size()
    assert set(evidence.studies["study_id"]) <= set(own.index)


def test_arms_differ_only_in_what_is_known_to_differ(evidence: Evidence) -> None:
    """An unknown number of sessions was 0, a different wording a dose, counselling a package."""
    arms = evidence.declared_arms()
    factors = ["drug", "dose", "sessions", "psychotherapy", "co_treatment"]
    found = km.effects.contrasts(arms, factors=factors)
    question = found.set_index(["study", "treatment_arm", "control_arm"])["question"].to_dict()
    assert question["krupitsky2007", "multi", "single"] == "sessions"
    assert question["yoon2025", "kn", "ks"] == "co_treatment"
    assert question["dakwar2014", "ket071", "ket041"] == "dose"
    known = arms.set_index(["study", "arm"])["sessions"]
    assert known["dakwar2014", "ket041"] == known["krupitsky1997", "kpt"] == "not known"
    assert known["krupitsky1997", "ctl"] == 0


def test_relapse_is_never_entered_as_a_count(evidence: Evidence) -> None:
    assert "relapse" not in set(evidence.outcomes["event"])
    book = evidence.codebook().set_index(["table", "column"])
    assert "relapse" not in str(book.loc[("outcomes", "event"), "constraints"])


def test_vocabulary_is_that_of_the_plan(evidence: Evidence) -> None:
    words = {
        (resource["name"], field["name"]): field.get("constraints", {}).get("enum")
        for resource in json.loads((DATA / "datapackage.json").read_text("utf-8"))["resources"]
        for field in resource["schema"]["fields"]
    }
    assert words["studies", "substance"] == list(SUBSTANCES)
    assert words["comparisons", "window"] == list(WINDOWS)
    assert words["grade", "question"] == words["known_missing", "question"] == list(QUESTIONS)
    assert words["outcomes", "definition"] == words["effects", "definition"]
    assert set(words["studies", "status"]) > set(WITHOUT_RESULT)
    accepted = {word for asked in QUESTIONS.values() for word in asked.definitions}
    assert accepted <= set(words["outcomes", "definition"])
    assert words["comparisons", "role"] == words["effects", "role"]
    assert words["comparisons", "contrast"] == words["effects", "contrast"]
    for column in ("evidence_level", "origin"):
        assert words["studies", column] == words["arms", column] == words["outcomes", column]
        assert words["outcomes", column] == words["effects", column]


def test_description_names_every_column_and_nothing_else() -> None:
    package = json.loads((DATA / "datapackage.json").read_text("utf-8"))
    assert [resource["name"] for resource in package["resources"]] == TABLES
    assert {path.name for path in DATA.iterdir()} == {
        "README.md",
        "datapackage.json",
        *(f"{name}.csv" for name in TABLES),
    }
    assert [licence["name"] for licence in package["licenses"]] == ["CC0-1.0"]
    for resource in package["resources"]:
        fields = resource["schema"]["fields"]
        assert text_of(resource["path"])[0] == [field["name"] for field in fields]
        for entry in fields:
            assert entry["description"].endswith((".", '"'))
            assert entry["type"] in {"string", "integer", "number", "boolean", "list"}
            assert set(entry.get("constraints", {})) <= {
                *("required", "unique", "minimum", "maximum", "enum", "pattern")
            }


def test_counts_and_times_have_units(evidence: Evidence) -> None:
    book = evidence.codebook()
    whole = book[book["type"] == "integer"]
    assert (whole["unit"] != "").all()
    assert (book.loc[book["column"].isin(["months", "followup_months"]), "unit"] != "").all()


@pytest.mark.parametrize("name", TABLES)
def test_files_are_plain_csv_in_stable_form(name: str) -> None:
    raw = (DATA / f"{name}.csv").read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    assert not raw.endswith(b"\n\n")
    rows = text_of(f"{name}.csv")
    assert len({len(row) for row in rows}) == 1
    assert all(cell == cell.strip() for row in rows for cell in row)


def test_grabski_can_enter_by_its_reported_effects(evidence: Evidence) -> None:
    relapse = evidence.reported("alcohol", outcome="relapse")
    assert relapse[["study", "measure", "estimate", "low", "high"]].to_numpy().tolist() == [
        ["grabski2022", "OR", 0.80, 0.31, 2.10]
    ]
    assert not relapse["event_is_good"].item()
    days = evidence.reported("alcohol", measure="MD", role="main")
    assert days[["estimate", "low", "high", "unit"]].to_numpy().tolist() == [
        [10.1, 1.1, 19.0, "percentage points"]
    ]
    assert days["event_is_good"].item()
