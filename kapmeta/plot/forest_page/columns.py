"""Columns of a forest plot, declared as data: name, head, source of the text, alignment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from kapmeta import wording
from kapmeta.measures import Measure
from kapmeta.plot.panel.typesetting import ALIGNMENTS
from kapmeta.plot.style import RISK, Theme
from kapmeta.wording import level_named

__all__ = [
    "Column",
    "FilledColumn",
    "Row",
    "columns_named",
    "declared",
    "evidence_words",
    "fill_columns",
    "is_risk",
    "risk_judgement",
]

EVIDENCE_CELLS: Mapping[str, tuple[str, str]] = {
    "primary": ("●\u00a0primary", "printed by the trial's authors"),
    "secondary": ("◐\u00a0secondary", "the trial's figures as printed by others"),
    "tertiary": ("○\u00a0tertiary", "seen only in a later document, not traced to the trial"),
    "press": ("○\u00a0press", "press reports, in conflict"),
}
"""Source of an evidence level to the words in its cell and what they mean."""

SYNONYMS = {
    "some": "some concerns",
    "moderate": "some concerns",
    "serious": "high",
    "critical": "high",
}
"""First words of other tools' judgements, and the key in `RISK` that each means."""

MINUS = "−"


@dataclass(frozen=True)
class Row:
    """One row of the plot.

    Attributes
    ----------
    kind : str
        ``study``, ``excluded``, ``pooled``, ``prediction``, ``analysis``, ``heading``, ``remark``
        or ``gap``.
    label : str
        Text of the first column.
    values : mapping
        The row of ``to_frame()`` that is shown, by column name.
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
        """Return the number called `name`, nan if the row has none."""
        value = self.values.get(name)
        if value is None or isinstance(value, str) or pd.isna(value):
            return math.nan
        return float(value)

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
        ``"left"``, ``"right"``, ``"center"``, or one character such as ``"/"`` that is set at the
        same place in each row; by default numbers are set right and text left.
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
        own = self.name.replace("_", " ").strip().capitalize()
        return own if self.head is None else self.head

    def cell(self, row: Row) -> str:
        """Write the text of this column in `row`; empty where the row has no value."""
        if self.text is not None:
            return self.text(row)
        value = row.values.get(self.name)
        if isinstance(value, str):
            return value
        if value is None or pd.isna(value):
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        return self.format.format(value).replace("-", MINUS)


class FilledColumn(NamedTuple):
    """A column with its text in each row, and its judgement of risk of bias there or ``""``."""

    column: Column
    cells: tuple[str, ...]
    judgements: tuple[str, ...]


def fill_columns(columns: Iterable[Column], rows: Sequence[Row]) -> tuple[FilledColumn, ...]:
    """Write the cells of `columns`, all rows of a column at once."""
    return tuple(
        FilledColumn(
            column,
            tuple([column.cell(row) for row in rows]),
            tuple([risk_judgement(row.values.get(column.name)) for row in rows])
            if is_risk(column)
            else ("",) * len(rows),
        )
        for column in columns
    )


def _events_over_total(events: str, total: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        have = [row.number(name) for name in (events, total)]
        return "" if any(map(math.isnan, have)) else "/".join(f"{x:g}" for x in have)

    return text


def _effect(theme: Theme, scale: Measure, rows: Sequence[Row]) -> Callable[[Row], str]:
    """Make the writer of estimates with limits; numbers of all `rows` are written at once."""
    # a dash between limits that may be negative cannot be read
    form = theme.limits if scale.ratio else theme.limits.replace("–", " to\t")
    written: dict[float, str] = {}
    if scale.ratio:
        numbers = {row.number(name) for row in rows for name in ("estimate", "low", "high")}
        known = [x for x in numbers if math.isfinite(x)]
        written = dict(zip(known, map(wording.number, known), strict=True))
    digits = None if scale.ratio else decimals(rows)

    def number(x: float) -> str:
        plain = digits is None or not math.isfinite(x)
        word = written.get(x) or (wording.number(x) if plain else f"{x:z.{digits}f}")
        return word.replace("-", MINUS)

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
    """Choose decimals with which the median half-width of the intervals has two digits."""
    halves = [(row.number("high") - row.number("low")) / 2 for row in rows]
    known = sorted(half for half in halves if math.isfinite(half) and half > 0)
    return min(max(1 - math.floor(math.log10(known[len(known) // 2])), 0), 8) if known else 2


def _weight(model: int) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        name = f"weight_{model}" if row.kind in ("study", "excluded") else "weight"
        share = row.number(name) if row.kind != "pooled" or row.model == model else math.nan
        return "" if math.isnan(share) or row.kind == "excluded" else f"{100 * share:.1f}\u00a0%"

    return text


def _p_value_cell(row: Row) -> str:
    p = row.number("p_value")
    return "" if math.isnan(p) else wording.p_text(p).removeprefix("p = ").removeprefix("p ")


def evidence_words(level: object) -> tuple[str, str]:
    """Return the cell text and the meaning of an evidence level; unknown levels are kept."""
    if not isinstance(level, str):
        return "", ""
    found = level_named(level)
    return EVIDENCE_CELLS.get(found.source if found else "", (level.replace("_", " "), ""))


def risk_judgement(value: object) -> str:
    """Return the key in `RISK` with which `value` begins, or an empty text."""
    word = value.strip().lower() if isinstance(value, str) else ""
    first = word.replace("_", " ").replace("(", " ").split(" ")[0]
    return first if first in RISK else SYNONYMS.get(first, "unclear" if word else "")


def _evidence(row: Row) -> str:
    return evidence_words(row.values.get("evidence_level"))[0]


def _risk(name: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        judgement = risk_judgement(row.values.get(name))
        return RISK[judgement][0] if judgement else ""

    return text


def is_risk(column: Column) -> bool:
    """Check whether a column holds judgements of risk of bias, drawn as discs."""
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
    """Declare the columns that every forest plot offers; others come from the trials by name.

    The effect is headed by `method`, if that is given, or else by the form in which intervals are
    written.
    """
    treatment, control = (arm[:1].upper() + arm[1:] for arm in arms)
    interval = f"{theme.limits[0]}{wording.percent(level)} CI{theme.limits[-1]}"
    head = f"\n{method}" if method else f" {interval}"
    return [
        *(_count_columns(treatment, control) if scale.compares else _group_columns()),
        Column(
            "effect",
            scale.short + head[0] + head[1:].replace(" ", "\u00a0"),
            align="right",
            text=_effect(theme, scale, rows),
            width=math.inf,
        ),
        *_weight_columns(models),
        Column("evidence_level", "Evidence", text=_evidence, width=9),
        Column("risk_of_bias", "Risk\nof bias", align="center", text=_risk("risk_of_bias")),
        Column("k", "k"),
        Column("p_value", "p", align="right", text=_p_value_cell),
        Column("tau2", "τ²", align="right", text=_tau2),
    ]


def _count_columns(treatment: str, control: str) -> list[Column]:
    """Declare the counts of the two arms, as fractions and each in a column."""
    arms = (("t", treatment, "treatment"), ("c", control, "control"))
    return [
        *(
            Column(
                name,
                f"{arm}\nevents/total",
                align="/",
                text=_events_over_total(f"events_{end}", f"n_{end}"),
            )
            for end, arm, name in arms
        ),
        *(
            Column(f"{count}_{end}", head, group=arm)
            for end, arm, _ in arms
            for count, head in (("events", "Events"), ("n", "Total"))
        ),
    ]


def _group_columns() -> list[Column]:
    """Declare the counts of a single group in place of those of two arms."""
    fraction = _events_over_total("events", "n")
    return [
        Column("treatment", "Events/total", align="/", text=fraction),
        Column("control", text=lambda row: ""),
        Column("events_t", "Events", align="right", text=_whole_number("events")),
        Column("n_t", "Total", align="right", text=_whole_number("n")),
        *(Column(f"{name}_c", text=lambda row: "") for name in ("events", "n")),
    ]


def _whole_number(name: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = row.number(name)
        return "" if math.isnan(value) else f"{value:g}"

    return text


def _weight_columns(models: Sequence[str]) -> list[Column]:
    return [
        Column(
            f"weight_{i}" if i else "weight",
            f"Weight\n{name}".strip(),
            align="right",
            text=_weight(i),
        )
        for i, name in enumerate(models)
    ]


def _tau2(row: Row) -> str:
    tau2 = row.number("tau2")
    return "" if math.isnan(tau2) else wording.number(tau2)


def columns_named(
    wanted: Iterable[str | Column], known: Iterable[Column], rows: Iterable[Row], argument: str
) -> list[Column]:
    """Find the columns called by name, declared or of the trials; a `Column` is taken as it is.

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
    short = column.name.removeprefix("rob_").split("_")[0].upper()
    head = short if column.head is None else column.head
    return Column(column.name, head, align="center", text=_risk(column.name))
