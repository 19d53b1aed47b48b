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
    event event_is_good treatment control events_t n_t events_c n_c percent_t percent_c randomised_t
    randomised_c missing_t missing_c missing unknown_t unknown_c evidence_level origin role
    overlaps_with risk_of_bias source_ids locator_t locator_c notes
    """
)
"""Columns of the trials frame, in order."""

REPORTED_COLUMNS = _names(
    """
    study label year substance effect_id contrast randomised treatment control outcome event
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
    """Find the overall judgement of each comparison: at its own time, else of the study."""
    overall = risk[risk["domain"] == "overall"]
    keys = zip(overall["study_id"], overall["timepoint"], strict=True)
    known = dict(zip(keys, overall["judgement"], strict=True))
    places = zip(frame["study_id"], frame["timepoint"], strict=True)
    return [known.get((study, time), known.get((study, "all"), "")) for study, time in places]


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
    treatment = _one_side(outcomes, "treatment_arm", "_t", ("months", "outcome", "event_is_good"))
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
