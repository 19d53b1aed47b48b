"""Column names that have a meaning of their own in a table of trials."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["NAME_COLUMNS", "RESERVED", "renamed"]


class Reserved(NamedTuple):
    """What a reserved column holds, and the keyword by which another column takes its place."""

    meaning: str
    keyword: str = "rename"


def _own(meaning: str, *names: str) -> dict[str, Reserved]:
    return {name: Reserved(meaning, name) for name in names}


RESERVED: Mapping[str, Reserved] = MappingProxyType(
    {
        **_own("name of the trial", "study"),
        **_own("people with the event in an arm", "events_t", "events_c"),
        **_own("people in an arm", "n_t", "n_c"),
        **_own("mean of an arm", "mean_t", "mean_c"),
        **_own("standard deviation of an arm", "sd_t", "sd_c"),
        **_own("time at risk of an arm", "time_t", "time_c"),
        **_own("people with the event in one group", "events"),
        **_own("people in one group, or pairs of a correlation", "n"),
        **_own("correlation", "r"),
        **_own("printed estimate", "estimate"),
        **_own("limits of the printed interval", "low", "high"),
        **_own("standard error on the analysis scale", "se"),
        **_own("two-sided p-value", "p_value"),
        **_own("effect on the analysis scale", "y"),
        **_own("sampling variance of the effect", "v"),
        **_own("months since the start", "months"),
        "label": Reserved("name of the trial as shown, if no two trials share one"),
        "comparison_id": Reserved("distinguishes several rows of one trial"),
        "window": Reserved("time window, added to the label of a trial with several rows"),
        "measure": Reserved("measure of a printed estimate"),
        "event": Reserved("what is counted"),
        "event_is_good": Reserved("whether more events are better, a flag"),
        "treatment": Reserved("name of the treated arm"),
        "control": Reserved("name of the control arm"),
        "arm": Reserved("name of one arm, in a table of arms"),
        "contrast": Reserved("question of the comparison; only one is pooled"),
        "randomised": Reserved("whether the trial was randomised, a flag"),
        "risk_of_bias": Reserved("overall judgement of the risk of bias"),
        "evidence_level": Reserved("how the numbers are known"),
        "missing_t": Reserved("people of the treated arm whose outcome is missing"),
        "missing_c": Reserved("people of the control arm whose outcome is missing"),
        "missing": Reserved("people of both arms whose outcome is missing"),
        "percent_t": Reserved("percentage printed for the treated arm"),
        "percent_c": Reserved("percentage printed for the control arm"),
        "participants": Reserved("people of a trial whose effect is reported without counts"),
        "unit": Reserved("unit of a mean, or what is counted in place of people"),
        "row": Reserved("kind of row, written by to_frame"),
        "corrected": Reserved("whether a zero cell was corrected, written by to_frame"),
        "reason": Reserved("why a row is excluded, written by to_frame"),
        "asymmetric": Reserved("interval not centred on its estimate, written by reported"),
        "printed_level": Reserved("level of the printed interval, written by reported"),
    }
)
"""Every reserved column name with its meaning and the keyword that renames it."""

NAME_COLUMNS = (
    *("study", "treatment", "control", "arm", "contrast", "window", "comparison_id", "event"),
)
"""Reserved columns of names, in which every spelling of a name becomes the first one."""


def renamed(columns: Mapping[str, Hashable], rename: Any) -> dict[str, Hashable]:
    """Add the columns of the keyword `rename` to those named by their own keywords.

    Parameters
    ----------
    columns : mapping
        Default name to the user's column name.
    rename : mapping of str to str, or None
        The user's column name to the name it is to have.
    """
    if rename is None:
        return dict(columns)
    if not isinstance(rename, Mapping) or not all(isinstance(x, str) for x in rename.values()):
        raise TypeError(
            'rename must be a mapping of old to new column names, e.g. {"label": "blinding"}: got'
            f" {rename!r}"
        )
    taken = [new for new in rename.values() if new in columns and columns[new] != new]
    if taken:
        raise ValueError(f'rename and the keyword {taken[0]} both name a column "{taken[0]}"')
    return {**columns, **{new: old for old, new in rename.items()}}
