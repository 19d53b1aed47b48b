"""Rules of comparisons: arms, times, definitions and people that may stand together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kapmeta.review.evidence.remarks import Remark, outcomes_by_side, question_rows
from kapmeta.review.evidence.tables import Record, Records
from kapmeta.review.protocol import QUESTIONS, window_of

_KETAMINE = ("ketamine", "lesser ketamine")
_OTHER = ("active placebo", "inert placebo", "active drug", "usual treatment")
CONTRAST_ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ketamine_v_control": (("ketamine",), _OTHER),
    "dose": (("ketamine",), _KETAMINE),
    "sessions": (("ketamine",), _KETAMINE),
    "drug_v_drug": (_OTHER, _OTHER),
}
"""Roles that the treatment and the control arm of a contrast may have."""

EVENT_DEFINITIONS: Mapping[str, tuple[str, ...]] = {
    "abstinence": ("continuous_abstinence", "point_abstinence", "other"),
    "relapse": ("no_relapse",),
    "no heavy drinking": ("no_heavy_drinking",),
    "days abstinent": ("days_abstinent",),
    "percent days abstinent": ("days_abstinent",),
}
"""Definitions that an event may have; every other event is ``other`` or ``retention``."""


def arms_of_the_study(tables: Records) -> Iterator[Remark]:
    """Refuse reported effects of arms that the study does not have."""
    known = {(row.text["study_id"], row.text["arm_id"]) for row in tables["arms"]}
    for row in tables["effects"]:
        for column in ("treatment_arms", "control_arms"):
            for arm in row[column] or ():
                if (row.study, arm) not in known:
                    message = f'arm "{arm}" of "{row.study}" is not in arms.csv'
                    yield Remark("effects", row, column, message)


def roles_fit_contrast(tables: Records) -> Iterator[Remark]:
    """Refuse a contrast that the roles of its arms contradict."""
    roles = {(row.study, row.text["arm_id"]): row.text["role"] for row in tables["arms"]}
    places = {
        "comparisons": ("treatment_arm", "control_arm"),
        "effects": ("treatment_arms", "control_arms"),
    }
    for table, columns in places.items():
        for row in tables[table]:
            allowed = CONTRAST_ROLES.get(row.text["contrast"])
            for column, words in zip(columns, allowed or (), strict=False):
                for arm in filter(None, row.text[column].split(";")):
                    role = roles.get((row.study, arm))
                    if role is not None and role not in words:
                        message = (
                            f'arm "{arm}" has the role "{role}" in arms.csv, but in the contrast'
                            f' "{row.text["contrast"]}" this side is: {", ".join(words)}'
                        )
                        yield Remark(table, row, column, message)


def definition_of_the_event(tables: Records) -> Iterator[Remark]:
    """Refuse a definition that does not belong to the event counted."""
    for table in ("outcomes", "effects"):
        for row in tables[table]:
            words = EVENT_DEFINITIONS.get(row.text["event"], ("other", "retention"))
            if row["definition"] is not None and row["definition"] not in words:
                message = (
                    f'definition = "{row["definition"]}" is not one of the event'
                    f' "{row.text["event"]}"; use one of: {", ".join(words)}'
                )
                yield Remark(table, row, "definition", message)


def definition_is_accepted(tables: Records) -> Iterator[Remark]:
    """Refuse a row whose definition none of the questions it would answer accepts."""
    asked: dict[tuple[str, int], list[str]] = defaultdict(list)
    rows: dict[tuple[str, int], tuple[Record, Mapping[str, str]]] = {}
    for name, row, definitions in question_rows(tables):
        place = ("effects" if "effect_id" in row.text else "comparisons", row.line)
        asked[place].append(name)
        rows[place] = (row, definitions)
    for place, (row, definitions) in rows.items():
        names = asked[place]
        accepted = {word for name in names for word in QUESTIONS[name].definitions}
        for side, word in definitions.items():
            if word and word not in accepted:
                yield Remark(place[0], row, side, _not_accepted(names, word))


def _not_accepted(names: Sequence[str], word: str) -> str:
    words = "; ".join(
        f'"{name}" accepts {" or ".join(QUESTIONS[name].definitions)}' for name in names
    )
    return f"{words}, not {word}; give the row another role, or correct the definition"


def comparison_has_counts(tables: Records) -> Iterator[Remark]:
    """Refuse a comparison of arms without counts of its event at its time."""
    arms = {(row.study, row.text["arm_id"]) for row in tables["arms"]}
    for row, sides in outcomes_by_side(tables):
        for side, outcome in sides.items():
            counted = outcome is not None and outcome.text["events"] != ""
            if not counted and (row.study, row.text[side]) in arms:
                what = f'"{row.text["event"]}" at "{row.text["timepoint"]}"'
                message = (
                    f'outcomes.csv has no counts of {what} for arm "{row.text[side]}"; add them'
                    " there"
                )
                yield Remark("comparisons", row, side, message)


def arms_can_be_compared(tables: Records) -> Iterator[Remark]:
    """Refuse arms that are one, or that differ in time, direction, definition or window."""
    for row, sides in outcomes_by_side(tables):
        treatment, control = sides.values()
        if row.text["treatment_arm"] == row.text["control_arm"]:
            message = "an arm is compared with itself; name two arms"
            yield Remark("comparisons", row, "control_arm", message)
        for column in ("months", "event_is_good", "definition", "window_days"):
            if treatment and control and treatment[column] != control[column]:
                values = f"{treatment.text[column]} and {control.text[column]}"
                message = f"{column} in outcomes.csv differs between the arms: {values}"
                yield Remark("comparisons", row, "timepoint", message)


def window_fits_months(tables: Records) -> Iterator[Remark]:
    """Refuse a window of the plan that does not hold the time of the outcome."""
    for row, sides in outcomes_by_side(tables):
        outcome = sides["treatment_arm"]
        if outcome is not None and row.text["window"] != window_of(outcome["months"]):
            at = f"{outcome.text['months'] or 'an unknown number of'} months"
            right = f'"{window_of(outcome["months"])}"'
            message = (
                f'window = "{row.text["window"]}", but the outcome is at {at}: it must be {right}'
            )
            yield Remark("comparisons", row, "window", message)


def randomised_as_in_study(tables: Records) -> Iterator[Remark]:
    """Refuse rows that disagree with their study on random allocation."""
    randomised = {row.study: row.text["randomised"] for row in tables["studies"]}
    for table in ("comparisons", "effects"):
        for row in tables[table]:
            word = randomised.get(row.study)
            if row["randomised"] is None or word is None or row["contrast"] == "before_after":
                continue
            if row["randomised"] != (word == "yes"):
                message = f"{row.text['randomised']} here, but {word or 'empty'} in studies.csv"
                yield Remark(table, row, "randomised", f"randomised is {message}")


def counted_once(tables: Records) -> Iterator[Remark]:
    """Refuse to count the same patients twice in one place of the plan."""
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


def overlap_is_of_one_series(tables: Records) -> Iterator[Remark]:
    """Refuse an overlap with a comparison of another series, event or chain."""
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


def control_group_is_new(tables: Records) -> Iterator[Remark]:
    """Flag two studies whose control groups have the same counts of the same event and time."""
    group = {row.study: row.text["overlap_group"] or row.study for row in tables["studies"]}
    seen: dict[tuple[object, ...], Record] = {}
    for _, sides in outcomes_by_side(tables):
        row = sides["control_arm"]
        if row is None or not row["events"]:
            continue
        first = seen.setdefault((row["event"], row["months"], row["events"], row["n"]), row)
        if group.get(first.study) != group.get(row.study):
            message = (
                f'{row["events"]} of {row["n"]} are also the control group of "{first.study}" (row'
                f" {first.line}); if it is one group, give both studies one overlap_group"
            )
            yield Remark("outcomes", row, "events", message, True)
