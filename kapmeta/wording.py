"""Numbers, counts and tables in words, for the sentences of the results."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd


def number(x: Any, digits: int = 2) -> str:
    """Write `x` with `digits` decimals from 0.1 to 1000, as many significant figures outside."""
    if math.isnan(x):
        return "not estimable"
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x and not 0.095 <= abs(x) < 999.5:
        return (
            f"{x:.{digits}g}" if abs(x) < 1 else f"{x:.0f}" if abs(x) < 1e5 else f"{x:.{digits}e}"
        )
    return f"{x:.{digits}f}"


def p_text(p: Any) -> str:
    """Write a p-value as papers print it."""
    if math.isnan(p):
        return "p not available"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def percent(level: float) -> str:
    """Write a confidence level as a percentage without idle decimals."""
    return f"{100 * level:.4g} %"


def interval_text(estimate: Any, low: Any, high: Any) -> str:
    """Write ``2.74 (1.89 to 3.98)``."""
    return f"{number(estimate)} ({number(low)} to {number(high)})"


def estimate_with_interval(short: str, estimate: Any, low: Any, high: Any, kind: str) -> str:
    """Write an estimate with the kind of its interval: ``RR 2.74 (95 % CI 1.89 to 3.98)``."""
    return f"{short} {number(estimate)} ({kind} {number(low)} to {number(high)})"


def effect_text(short: str, estimate: Any, low: Any, high: Any, unit: str = "") -> str:
    """Write ``RR 2.74 (1.89 to 3.98)``; the lower limit alone where there is no upper one."""
    if math.isinf(estimate) and math.isfinite(low):
        return f"{short} above {number(low)}, without an upper limit (no event in the control arm)"
    return f"{short} {interval_text(estimate, low, high)}{' ' * bool(unit)}{unit}"


def joined(items: Iterable[str]) -> str:
    """Write ``a, b and c``."""
    words = list(items)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def capital(text: str) -> str:
    """Begin `text` with a capital."""
    return text[:1].upper() + text[1:]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn the rows of a table into dictionaries by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def studies(k: int) -> str:
    """Write ``1 study`` or ``3 studies``."""
    return f"{k} {'study' if k == 1 else 'studies'}"


def plural(name: str) -> str:
    """Form a measure's plural: ``risk ratios``, ``ratios of means``, ``proportions (log)``."""
    return re.sub(r"(?= of | \(|$)", "s", name, count=1)


_PREPOSITIONS = r" (?:of|from|in|at|with|for|by|to|on|after|before|within|during|until|per)\b"
_MASS_NOUN = re.compile(
    r"(?:[ea]nce|ness|ity|osis|itis|epsis|ism|ia|ival|use|pain|sleep|weight|work|smoking)$"
)
_NO_NOUN = re.compile(
    r"^(?:no|not|none|any|never|without|still|free)\b|(?:dead|alive|inent|ed|free|ly|ing)$"
)


def less_and_more(event: str) -> tuple[str, str]:
    """Name less and more of an event: ``("fewer deaths", "more deaths")``.

    Nouns that have no plural are "less pain", and what is no noun is "cured less often".
    """
    if event in ("", "event"):
        return "fewer events", "more events"
    head, rest = re.match(rf"(.*?)((?:{_PREPOSITIONS}.*)?)$", event, re.DOTALL).groups()  # type: ignore[union-attr]
    word = head.lower()
    if not word.isascii() or not word[-1:].isalpha() or _NO_NOUN.search(word):
        return f"{event} less often", f"{event} more often"
    if _MASS_NOUN.search(word):
        return f"less {event}", f"more {event}"
    return f"fewer {_plural_noun(head)}{rest}", f"more {_plural_noun(head)}{rest}"


def _plural_noun(noun: str) -> str:
    """Form the plural of an English noun; one that is a plural already stays."""
    if noun.endswith(("ss", "sh", "ch", "x")):
        return f"{noun}es"
    if noun.endswith("sis"):
        return f"{noun[:-2]}es"
    if noun.endswith("s"):
        return noun
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def opposite_event(event: str) -> str:
    """Name the opposite of an event in plain words: "no death" of "death", and back."""
    return event[3:] if event.startswith("no ") and event[3:].strip() else f"no {event}"


def lower_and_higher(outcome: str) -> tuple[str, str]:
    """Name a lower and a higher mean: ``("lower days of use", "higher days of use")``."""
    what = "" if outcome in ("", "event", "outcome") else f" {outcome}"
    return f"lower{what}", f"higher{what}"


def analyses(n: int) -> str:
    """Write ``1 analysis`` or ``3 analyses``."""
    return f"{n:,} {'analysis' if n == 1 else 'analyses'}"


def html_table(frame: pd.DataFrame) -> str:
    """Build a small HTML table with numbers as the texts print them."""
    shown = frame.copy()
    for column in shown.columns:
        if pd.api.types.is_float_dtype(shown[column]):
            shown[column] = ["" if math.isnan(x) else number(x) for x in shown[column]]
    return str(shown.to_html(index=False, border=0, na_rep=""))


def html_page(text: str, frame: pd.DataFrame | None) -> str:
    """Write what a notebook shows of a result: a paragraph per sentence, and a table if given."""
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in text.splitlines())
    return lines if frame is None else lines + html_table(frame)


class EvidenceLevel(NamedTuple):
    """A level of evidence: how near to the trial its numbers were read.

    Attributes
    ----------
    source : str
        Kind of source: primary, registry, secondary, press or tertiary.
    short : str
        The level in a table.
    phrase : str
        The source in plain words.
    confirmed : bool
        Whether conclusions may be drawn from the numbers. They are not confirmed where they were
        seen in a summary of summaries only.
    """

    source: str
    short: str
    phrase: str
    confirmed: bool = True

    @property
    def first_hand(self) -> bool:
        """Whether the numbers come from the authors of the trial."""
        return self.source in ("primary", "registry")


EVIDENCE_LEVELS: Mapping[str, EvidenceLevel] = MappingProxyType(
    {
        "primary_full_text": EvidenceLevel(
            "primary", "primary full text", "the trial's full report"
        ),
        "primary_abstract": EvidenceLevel(
            "primary", "primary abstract", "the trial's own abstract"
        ),
        "registry": EvidenceLevel("registry", "registry", "a trial registry"),
        "secondary_table": EvidenceLevel("secondary", "secondary table", "a review's table"),
        "secondary_summary": EvidenceLevel(
            "secondary", "secondary summary", "somebody else's summary"
        ),
        "press_conflict": EvidenceLevel(
            "press", "press, in conflict", "press reports that disagree"
        ),
        "tertiary_only": EvidenceLevel(
            "tertiary", "tertiary", "a summary of summaries", confirmed=False
        ),
        "tertiary_only_conflict": EvidenceLevel(
            "tertiary",
            "tertiary, in conflict",
            "conflicting summaries of summaries",
            confirmed=False,
        ),
    }
)
"""Words of the column ``evidence_level``, the strongest first; no other word has a meaning here."""

FIRST_HAND = tuple(word for word, level in EVIDENCE_LEVELS.items() if level.first_hand)
"""Levels of numbers that come from the authors of the trial."""

CONFIRMED = tuple(word for word, level in EVIDENCE_LEVELS.items() if level.confirmed)
"""Levels of numbers from which conclusions may be drawn."""


def level_named(word: object) -> EvidenceLevel | None:
    """Look up a level of evidence; None for a word that is not in the table."""
    return EVIDENCE_LEVELS.get(word) if isinstance(word, str) else None
