"""Tables joined for analysis: comparisons with the counts of both arms, and reported effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kapmeta.review.evidence.description import Schema
from kapmeta.review.protocol import window_of

Frames = Mapping[str, pd.DataFrame]
Schemas = Mapping[str, Schema]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COLUMNS = _names(
    """
    study study_id label year substance comparison_id contrast randomised months window outcome
    definition window_days event event_is_good treatment control events_t n_t events_c n_c
    percent_t percent_c randomised_t randomised_c missing_t missing_c missing unknown_t unknown_c
    evidence_level origin role overlaps_with risk_of_bias source_ids locator_t locator_c notes
    """
)
"""Columns of the trials frame, in order."""

REPORTED_COLUMNS = _names(
    """
    study label year substance effect_id contrast randomised treatment control outcome definition
    event
    event_is_good months window measure estimate low high p_value p_relation unit participants
    adjusted
    role risk_of_bias evidence_level origin source_ids locator wording notes
    """
)
"""Columns of the frame of reported effects, in order."""

POOLED_MEASURES = ("RR", "OR", "HR", "MD", "ROM")
"""Measures of effects.csv that have an analysis scale."""

_SIDE_COLUMNS = {
    "events": "events",
    "n": "n",
    "percent_printed": "percent",
    "n_randomised": "randomised",
    "n_missing": "missing",
    "n_unknown": "unknown",
    "evidence_level": "evidence_level",
    "origin": "origin",
    "source_ids": "source_ids",
    "locator": "locator",
}


def _one_side(
    outcomes: pd.DataFrame, arm: str, suffix: str, shared: Sequence[str] = ()
) -> pd.DataFrame:
    """Name outcomes as one side of a comparison: `arm` is the arm, counts end in `suffix`."""
    keys = ["study_id", "event", "timepoint"]
    side = outcomes[[*keys, "arm_id", *shared, *_SIDE_COLUMNS]]
    return side.rename(
        columns={"arm_id": arm, **{old: new + suffix for old, new in _SIDE_COLUMNS.items()}}
    )


def _weaker(frame: pd.DataFrame, name: str, words: Sequence[str]) -> list[str]:
    """Take the weaker word of the two arms; `words` go from the strongest to the weakest."""
    pairs = zip(frame[f"{name}_t"], frame[f"{name}_c"], strict=True)
    return [max(pair, key=words.index) for pair in pairs]


def _joined_lists(first: str, second: str) -> str:
    return ";".join(dict.fromkeys([*first.split(";"), *second.split(";")]))


def _overall_risk(risk: pd.DataFrame, frame: pd.DataFrame) -> list[str]:
    """Find the overall judgement of each result: its own, else of its event, else of the study."""
    overall = risk[risk["domain"] == "overall"]
    keys = zip(overall["study_id"], overall["event"], overall["timepoint"], strict=True)
    known = dict(zip(keys, overall["judgement"], strict=True))
    found = []
    for study, event, time in zip(
        frame["study_id"], frame["event"], frame["timepoint"], strict=True
    ):
        places = ((study, event, time), (study, event, "all"), (study, "all", time))
        words = [known[place] for place in (*places, (study, "all", "all")) if place in known]
        found.append(words[0] if words else "")
    return found


def _numpy_integers(series: pd.Series) -> pd.Series:
    """Convert whole numbers to int64 where complete, else to float64 with nan."""
    if series.dtype != "Int64":
        return series
    return series.astype("float64" if series.isna().any() else "int64")


def _in_order(frame: pd.DataFrame, described: Schemas, columns: Sequence[str]) -> pd.DataFrame:
    """Sort rows by substance (in the order of the plan), year and months; keep `columns`."""
    rank = {word: i for i, word in enumerate(described["studies"].column("substance").words)}
    ranked = frame.assign(rank=frame["substance"].map(rank)).sort_values(
        ["rank", "year", "months"], kind="stable"
    )
    return ranked.reset_index(drop=True)[list(columns)].apply(_numpy_integers)


def _with_study(frame: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    named = frame.merge(
        studies[["study_id", "label", "year", "substance"]], on="study_id", validate="m:1"
    )
    return named.assign(study=named["study_id"])


def _study_counted(frame: pd.DataFrame) -> pd.Series:
    """Name the study whose people are counted: of a comparison that overlaps, the other's."""
    whose = dict(zip(frame["comparison_id"], frame["study_id"], strict=True))
    return frame["overlaps_with"].map(whose).fillna(frame["study_id"])


def _missing_in_both(frame: pd.DataFrame, studies: pd.DataFrame) -> pd.Series:
    """Count people missing from both arms: by arm, else from a study with no other arm."""
    counted = studies.set_index("study_id")[["n_analysed", "n_missing"]].reindex(frame["study_id"])
    alone = (
        counted["n_analysed"].to_numpy("float64", na_value=np.nan) == frame["n_t"] + frame["n_c"]
    )
    whole = pd.Series(counted["n_missing"].array, index=frame.index)
    return (frame["missing_t"] + frame["missing_c"]).fillna(whole.where(alone))


def trial_frame(tables: Frames, described: Schemas) -> pd.DataFrame:
    """Join every comparison with the counts of its two arms; the columns are `COLUMNS`."""
    outcomes = tables["outcomes"]
    words = {
        name: described["outcomes"].column(name).words for name in ("evidence_level", "origin")
    }
    shared = ("months", "outcome", "definition", "window_days", "event_is_good")
    treatment = _one_side(outcomes, "treatment_arm", "_t", shared)
    control = _one_side(outcomes, "control_arm", "_c")
    keys = ["study_id", "event", "timepoint"]
    frame = _with_study(tables["comparisons"], tables["studies"])
    frame = frame.merge(treatment, on=[*keys, "treatment_arm"], validate="m:1")
    frame = frame.merge(control, on=[*keys, "control_arm"], validate="m:1")
    sources = zip(frame["source_ids_t"], frame["source_ids_c"], strict=True)
    return _in_order(
        frame.assign(
            study=_study_counted(frame),
            evidence_level=_weaker(frame, "evidence_level", words["evidence_level"]),
            origin=_weaker(frame, "origin", words["origin"]),
            source_ids=[_joined_lists(*pair) for pair in sources],
            risk_of_bias=_overall_risk(tables["risk_of_bias"], frame),
            missing=_missing_in_both(frame, tables["studies"]),
        ),
        described,
        COLUMNS,
    )


def reported_frame(tables: Frames, described: Schemas) -> pd.DataFrame:
    """Select reported effects with an estimate on a known scale and an interval or exact P."""
    effects = tables["effects"]
    certain = effects["low"].notna() | (effects["p_relation"] == "=")
    usable = _with_study(
        effects[effects["measure"].isin(POOLED_MEASURES) & certain], tables["studies"]
    )
    risk = _overall_risk(tables["risk_of_bias"], usable.assign(timepoint="all"))
    people = _randomised_in(usable, tables["arms"])
    windows = [window_of(months) for months in usable["months"]]
    return _in_order(
        usable.assign(risk_of_bias=risk, participants=people, window=windows),
        described,
        REPORTED_COLUMNS,
    )


def _randomised_in(effects: pd.DataFrame, arms: pd.DataFrame) -> list[float]:
    """Count people randomised to the arms of each effect; nan where a number is not known."""
    known = arms.set_index(["study_id", "arm_id"])["n_randomised"].astype("float64")
    lists = zip(
        effects["study_id"], effects["treatment_arms"], effects["control_arms"], strict=True
    )
    keys = [[(study, arm) for arm in f"{one};{other}".split(";")] for study, one, other in lists]
    return [float(known.reindex(pd.MultiIndex.from_tuples(key)).sum(skipna=False)) for key in keys]


_NO_DOSE = "inert placebo"


def declared_arms(arms: pd.DataFrame) -> pd.DataFrame:
    """Fill in the levels of the arms of trials with several; see `Evidence.declared_arms`."""
    named = arms.rename(columns={"study_id": "study", "arm_id": "arm"})
    several = named[named.groupby("study")["arm"].transform("size") > 1].reset_index(drop=True)
    for column, absent in (("dose_mg_per_kg", "none"), ("sessions", 0)):
        known = several[column].notna()
        whole = known.groupby([several["study"], several["drug"]]).transform("all")
        levels = several[column].astype("object").where(whole, "not known")
        given = (several["drug"] != "") & ((column == "sessions") | (several["role"] != _NO_DOSE))
        several[column] = levels.where(given, absent)
    words = {"co_treatment": "none", "psychotherapy": "not known"}
    filled = {name: several[name].replace("", word) for name, word in words.items()}
    return several.assign(dose=several["dose_mg_per_kg"], **filled)


def against_frame(tables: Frames, study: str, control: str, event: str) -> pd.DataFrame:
    """Compare every other arm of a trial with one of its arms; see `Evidence.against`."""
    outcomes, arms, studies = tables["outcomes"], tables["arms"], tables["studies"]
    counted = (outcomes["study_id"] == study) & (outcomes["event"] == event)
    rows = outcomes[counted & outcomes["events"].notna()]
    names = arms[arms["study_id"] == study].set_index("arm_id")["label"]
    shared = rows[rows["arm_id"] == control]
    if shared.empty:
        raise ValueError(f'"{study}" has no counts of {event} in an arm "{control}"')
    others = rows[rows["arm_id"] != control].merge(
        shared, on=["timepoint", "months"], suffixes=("_t", "_c"), validate="m:1"
    )
    cells = ("events_t", "n_t", "events_c", "n_c")
    return pd.DataFrame(
        {
            "study": study,
            "label": studies.set_index("study_id").loc[study, "label"],
            "comparison_id": others["arm_id_t"] + " v " + control + ", " + others["timepoint"],
            "months": others["months"],
            "event": event,
            "event_is_good": others["event_is_good_t"],
            "treatment": others["arm_id_t"].map(names),
            "control": names[control],
            **{name: others[name].astype("int64") for name in cells},
        }
    )


def flow_frame(tables: Frames) -> pd.DataFrame:
    """Count the reports screened by what became of them; see `Evidence.flow`."""
    screened, search = tables["screened"], tables["search"]
    n = screened["decision"].value_counts()
    rounds = search["look_ups"].fillna(0).sum()
    unknown = int(search["look_ups"].isna().sum())
    kept = ["in an answer", "eligible, result not read", "no result yet", "listed, not analysed"]
    found = (
        f"{len(search)} rounds in stored public text, no bibliographic database; about {rounds}"
        f" look-ups in {len(search) - unknown} of them, not recorded in {unknown}"
    )
    rows = [
        ("Reports looked at", len(screened), False, found),
        ("Duplicates and companion reports", n.get("duplicate", 0), True, ""),
        ("Excluded", n.get("excluded", 0), True, "withdrawal, induction or another disorder"),
        ("Studies in the tables", n.reindex(kept).fillna(0).sum(), False, ""),
        ("No result yet", n.get("no result yet", 0), True, "ongoing, unpublished, withdrawn"),
        ("Not analysed", n.get("listed, not analysed", 0), True, "no abstinence or no control"),
        ("Eligible, result not read", n.get("eligible, result not read", 0), True, ""),
        ("Studies whose numbers answer a question", n.get("in an answer", 0), False, ""),
    ]
    frame = pd.DataFrame(rows, columns=["label", "n", "aside", "detail"])
    unread = screened[screened["decision"] == "eligible, result not read"]["report"]
    frame.loc[frame["label"] == "Eligible, result not read", "detail"] = ", ".join(unread)
    return frame.astype({"n": "int64"})
