"""Columns of a forest plot, declared as data: name, head, where the text comes from, format and alignment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kapmeta import wording
from kapmeta.measures import Measure
from kapmeta.plot.style import RISK, Theme
from kapmeta.wording import level_named

__all__ = [
    "ALIGNMENTS",
    "Column",
    "Row",
    "columns_named",
    "declared",
    "evidence_words",
    "is_risk",
    "risk_judgement",
]

ALIGNMENTS = ("left", "right", "center")

EVIDENCE: Mapping[str, tuple[str, str]] = {
    "primary": ("●\u00a0primary", "printed by the trial's authors"),
    "secondary": ("◐\u00a0secondary", "the trial's figures as printed by others"),
    "tertiary": ("○\u00a0tertiary", "seen only in a later document, not traced to the trial"),
    "press": ("○\u00a0press", "press reports, in conflict"),
}
"""Source of an evidence level to the text of the cell and its meaning."""


@dataclass(frozen=True)
class Row:
    """One line of the plot.

    Attributes
    ----------
    kind : str
        ``study``, ``excluded``, ``pooled``, ``prediction``, ``analysis``, ``heading``, ``remark``
        or ``gap``.
    label : str
        Text of the first column.
    values : mapping
        The row of ``to_frame()`` it stands for, by column name.
    model : int
        Which of several pooled results a pooled row belongs to.
    result : Pooled or Posterior, optional
        What a pooled row was taken from.
    """

    kind: str
    label: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    model: int = 0
    result: Any = None

    def number(self, name: str) -> float:
        """The number called `name`, nan if the row has none."""
        value = self.values.get(name)
        return (
            math.nan if value is None or isinstance(value, str) or pd.isna(value) else float(value)
        )

    @property
    def shown(self) -> bool:
        """Whether the row has something to draw on the axis."""
        return any(math.isfinite(self.number(name)) for name in ("estimate", "low", "high"))


@dataclass(frozen=True)
class Column:
    """One column of text beside a forest plot.

    Parameters
    ----------
    name : str
        Column of the trials frame (of ``to_frame()``), or a new name if `text` is given.
    head : str, optional
        Heading; by default the name in words. A line break is kept.
    format : str
        Format of numbers, e.g. ``"{:.1f}"``; text is shown as it is.
    align : str
        ``"left"``, ``"right"``, ``"center"``, or one character such as ``"/"`` that stands at the
        same place in each row; by default numbers stand right and text left.
    text : callable, optional
        Takes a `Row` and returns the text of its cell, if no single column holds it. Tabs in it
        separate parts that are aligned row by row.
    width : float
        Widest line, in ems, before a cell is broken into lines.
    group : str
        Head over this column and its neighbours of the same group.

    Examples
    --------
    >>> from kapmeta.plot.forest_page.columns import Column, Row
    >>> dose = Column("dose", "Dose\\n(mg/kg)", format="{:.1f}")
    >>> dose.cell(Row("study", "Smith 2001", {"dose": 2}))
    '2.0'
    """

    name: str
    head: str | None = None
    format: str = "{:g}"
    align: str = ""
    text: Callable[[Row], str] | None = None
    width: float = 15.0
    group: str = ""

    def __post_init__(self) -> None:
        if self.align and self.align not in ALIGNMENTS and len(self.align) != 1:
            raise ValueError(
                f'align = "{self.align}" of column "{self.name}" is not known; use one of: '
                f'{", ".join(ALIGNMENTS)}, or a single character such as "/"'
            )

    @property
    def heading(self) -> str:
        """The head, made from the name if none was given."""
        return (
            self.head if self.head is not None else self.name.replace("_", " ").strip().capitalize()
        )

    def cell(self, row: Row) -> str:
        """The text of this column in `row`; empty where the row has no value."""
        if self.text is not None:
            return self.text(row)
        value = row.values.get(self.name)
        if value is None or (not isinstance(value, str) and pd.isna(value)):
            return ""
        if isinstance(value, str):
            return value
        return (
            minus("yes" if value else "no")
            if isinstance(value, bool)
            else minus(self.format.format(value))
        )


def bound(text: str) -> str:
    """A text that is not broken into lines."""
    return text.replace(" ", "\u00a0")


def minus(text: str) -> str:
    """Hyphens that stand for minus as the sign."""
    return text.replace("-", "−")


def _fraction(events: str, total: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        have = [row.number(name) for name in (events, total)]
        return "" if any(map(math.isnan, have)) else "/".join(f"{x:g}" for x in have)

    return text


def _effect(theme: Theme, scale: Measure, rows: Sequence[Row]) -> Callable[[Row], str]:
    # a dash between limits that may be negative cannot be read
    form = theme.limits if scale.ratio else theme.limits.replace("–", " to\t")
    digits = None if scale.ratio else decimals(rows)

    def number(x: float) -> str:
        plain = digits is None or not math.isfinite(x)
        return minus(wording.number(x) if plain else f"{x:z.{digits}f}")

    def text(row: Row) -> str:
        if row.kind == "excluded" and not row.shown:
            return "not pooled"
        low, high = row.number("low"), row.number("high")
        if math.isnan(low) and math.isnan(row.number("estimate")):
            return ""
        limits = form.format(low=number(low), high=number(high))
        estimate = "" if row.kind == "prediction" else number(row.number("estimate"))
        return f"{estimate}\t{limits}"

    return text


def decimals(rows: Sequence[Row]) -> int:
    """Decimals, the same in every row, with which the usual half-width of an interval has two digits."""
    halves = [(row.number("high") - row.number("low")) / 2 for row in rows]
    known = sorted(half for half in halves if math.isfinite(half) and half > 0)
    return min(max(1 - math.floor(math.log10(known[len(known) // 2])), 0), 8) if known else 2


def _weight(model: int) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        name = f"weight_{model}" if row.kind in ("study", "excluded") else "weight"
        share = row.number(name) if row.kind != "pooled" or row.model == model else math.nan
        return "" if math.isnan(share) or row.kind == "excluded" else f"{100 * share:.1f}\u00a0%"

    return text


def _p_value(row: Row) -> str:
    p = row.number("p_value")
    return "" if math.isnan(p) else wording.p_text(p).removeprefix("p = ").removeprefix("p ")


def evidence_words(level: object) -> tuple[str, str]:
    """Cell text of an evidence level and its meaning; a level not in `EVIDENCE` stands for itself."""
    if not isinstance(level, str):
        return "", ""
    found = level_named(level)
    return EVIDENCE.get(found.source if found else "", (level.replace("_", " "), ""))


def risk_judgement(value: object) -> str:
    """The key in `RISK` that `value` begins with, or an empty text."""
    word = value.strip().lower() if isinstance(value, str) else ""
    synonyms = {
        "some": "some concerns",
        "moderate": "some concerns",
        "serious": "high",
        "critical": "high",
    }
    first = word.replace("_", " ").replace("(", " ").split(" ")[0]
    return first if first in RISK else synonyms.get(first, "unclear" if word else "")


def _evidence(row: Row) -> str:
    return evidence_words(row.values.get("evidence_level"))[0]


def _risk(name: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        judgement = risk_judgement(row.values.get(name))
        return RISK[judgement][0] if judgement else ""

    return text


def is_risk(column: Column) -> bool:
    """Whether a column holds judgements of risk of bias, drawn as cells."""
    return column.name == "risk_of_bias" or column.name.startswith("rob_")


def declared(
    theme: Theme,
    scale: Measure,
    level: float,
    arms: tuple[str, str],
    models: tuple[str, ...],
    rows: Sequence[Row],
    method: str = "",
) -> list[Column]:
    """The columns a forest plot knows of itself; others are taken from the trials frame by name.

    The effect is headed by `method`, if that is given, or else by the form in which intervals are
    written.
    """
    treatment, control = (arm[:1].upper() + arm[1:] for arm in arms)
    weights = [
        Column(
            f"weight_{i}" if i else "weight",
            f"Weight\n{name}".strip(),
            align="right",
            text=_weight(i),
        )
        for i, name in enumerate(models)
    ]
    return [
        Column(
            "treatment", f"{treatment}\nevents/total", align="/", text=_fraction("events_t", "n_t")
        ),
        Column("control", f"{control}\nevents/total", align="/", text=_fraction("events_c", "n_c")),
        Column("events_t", "Events", group=treatment),
        Column("n_t", "Total", group=treatment),
        Column("events_c", "Events", group=control),
        Column("n_c", "Total", group=control),
        Column(
            "effect",
            (
                f"{scale.short}\n{bound(method)}"
                if method
                else (
                    f"{scale.short}"
                    f" {bound(f'{theme.limits[0]}{wording.percent(level)} CI{theme.limits[-1]}')}"
                )
            ),
            align="right",
            text=_effect(theme, scale, rows),
            width=math.inf,
        ),
        *weights,
        Column("evidence_level", "Evidence", text=_evidence, width=9),
        Column("risk_of_bias", "Risk\nof bias", align="center", text=_risk("risk_of_bias")),
        Column("k", "k"),
        Column("p_value", "p", align="right", text=_p_value),
        Column("tau2", "τ²", align="right", text=lambda row: _plain(row.number("tau2"))),
    ]


def _plain(x: float) -> str:
    return "" if math.isnan(x) else wording.number(x)


def columns_named(
    wanted: Iterable[str | Column], known: Iterable[Column], rows: Iterable[Row], argument: str
) -> list[Column]:
    """The columns called by name, from those declared or from the frame; a `Column` stands for
    itself.

    Raises ValueError for a name that is neither, with the names there are.
    """
    if isinstance(wanted, str):
        raise TypeError(
            f'{argument} = "{wanted}" is one text; give a list: {argument}=["{wanted}"]'
        )
    table = {column.name: column for column in known}
    frame = [
        name for row in rows if row.kind in ("study", "excluded", "analysis") for name in row.values
    ]
    available = dict.fromkeys([*table, *map(str, frame)])
    found = []
    for item in wanted:
        if isinstance(item, str) and item not in available:
            raise ValueError(
                f'{argument} has "{item}", which the trials do not have; use:'
                f" {', '.join(available)}"
            )
        column = table.get(item) or Column(item) if isinstance(item, str) else item
        found.append(_risk_column(column) if is_risk(column) and column.text is None else column)
    return found


def _risk_column(column: Column) -> Column:
    head = (
        column.head
        if column.head is not None
        else column.name.removeprefix("rob_").split("_")[0].upper()
    )
    return Column(column.name, head, align="center", text=_risk(column.name))
