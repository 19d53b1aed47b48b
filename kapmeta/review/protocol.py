"""The declared plan: what is pooled with what, how, and what may be headlined.

Everything the project decided before looking is written here as values, so that notebooks, tables
and figures read it and none of them can quietly choose for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "OPPOSITES",
    "QUESTIONS",
    "SUBSTANCES",
    "WINDOWS",
    "WITHOUT_RESULT",
    "Question",
    "window_of",
]

SUBSTANCES: Mapping[str, str] = MappingProxyType(
    {
        "alcohol": "pooled where the plan allows",
        "opioids": "shown trial by trial: no trial compares ketamine with a ketamine-free control",
        "cocaine": "one trial",
        "cannabis": "no controlled abstinence data",
        "tobacco": "no controlled abstinence data",
        "methamphetamine": "no controlled abstinence data",
    }
)
"""The substances of the review and what there is to analyse."""
WITHOUT_RESULT = ("ongoing", "unpublished")
"""Words of `status` of studies that may still give a result."""
WINDOWS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "end of trial": (0.0, 2.0),
        "6 months": (4.0, 8.0),
        "12 months": (9.0, 15.0),
        "24 months": (18.0, 30.0),
    }
)
"""Time windows in months after treatment began; a trial enters a pool once, in one window."""


def window_of(months: float | None) -> str:
    """Name the window of the plan that holds a time; empty where none does.

    Parameters
    ----------
    months : float or None
        Months after treatment began; None or nan where not known.

    Returns
    -------
    str
        A word of `WINDOWS`, or ``""``.

    Examples
    --------
    >>> window_of(6), window_of(3)
    ('6 months', '')
    """
    held = [
        name
        for name, (low, high) in WINDOWS.items()
        if months is not None and low <= months <= high
    ]
    return held[0] if held else ""


@dataclass(frozen=True)
class Question:
    """One declared question: which comparisons may answer it together.

    Attributes
    ----------
    substance, title : str
        Where it belongs and how it is announced.
    measure : str
        ``"RR"``, ``"OR"`` or ``"MD"``.
    contrast : str
        The kind of comparison; kinds are never pooled with one another.
    randomised : bool
        Whether the trials were randomised; the two are never pooled with one another.
    roles : tuple of str
        Roles in the plan that take part.
    window : str or None
        Time window, where the question is about one.
    reported : str or None
        The event of reported effects that join the counts (turned round if it is the opposite), or
        are all there is.
    event : str
        The event whose counts take part.
    definitions : tuple of str
        Definitions of the outcome that are accepted; no other can enter.
    """

    substance: str
    title: str
    contrast: str = "ketamine_v_control"
    randomised: bool = True
    measure: str = "RR"
    roles: tuple[str, ...] = ("main", "provisional")
    window: str | None = None
    reported: str | None = None
    event: str = "abstinence"
    definitions: tuple[str, ...] = ("continuous_abstinence", "point_abstinence")


OPPOSITES: Mapping[str, str] = MappingProxyType({"abstinence": "relapse"})
"""Name of the opposite of an event."""

QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {
        "alcohol-randomised": Question("alcohol", "ketamine v control, randomised"),
        "alcohol-not-randomised": Question(
            "alcohol",
            "ketamine v control, not randomised",
            randomised=False,
            roles=("sensitivity",),
        ),
        "alcohol-odds": Question(
            "alcohol",
            "ketamine v control, randomised, odds, 6 months",
            measure="OR",
            window="6 months",
            reported="relapse",
            definitions=("no_relapse",),
        ),
        "alcohol-days": Question(
            "alcohol",
            "percent of days abstinent, randomised",
            measure="MD",
            reported="percent days abstinent",
            definitions=("days_abstinent",),
        ),
        "opioids-sessions": Question(
            "opioids",
            "three v one session of ketamine, randomised",
            contrast="sessions",
            roles=("separate",),
        ),
        "opioids-dose": Question(
            "opioids",
            "high v low dose of ketamine, randomised",
            contrast="dose",
            roles=("not_pooled",),
            # how the one trial defined abstinence was not seen; its counts are withheld anyway
            definitions=("continuous_abstinence", "point_abstinence", "other"),
        ),
        "cocaine-end-of-trial": Question("cocaine", "ketamine v control, randomised, end of trial"),
        "cocaine-6-months": Question(
            "cocaine",
            "ketamine v control, randomised, 6 months",
            roles=("alternative_time",),
            window="6 months",
        ),
    }
)
"""The declared questions; new trials in ``data/`` join by contrast, design and role."""
