"""Tables of the page: the frames, and their HTML, in which every number has its ten digits."""

from __future__ import annotations

import csv
import html
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.review.answering import Answered, answers
from kapmeta.review.evidence import Evidence

__all__ = ["Table", "differing", "question_analyses", "read_results", "trials_table"]

SAVED_RTOL = 1e-9
PHRASE, SENTENCE = 24, 60  # characters beyond which a cell is a phrase, and a sentence
COUNTED = (
    "n_",
    "events",
    "months",
    "k",
    "year",
    "levels",
)  # columns whose numbers are shown as they are


def trials_table(evidence: Evidence) -> pd.DataFrame:
    """Tabulate every comparison with counts: arms, counts, design, evidence level, role.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per comparison; one that no analysis uses has the reason.
    """
    trials = evidence.trials()
    reasons = evidence.comparisons.set_index("comparison_id")["role_reason"]
    columns = [
        "label",
        "substance",
        "months",
        "treatment",
        "control",
        "events_t",
        "n_t",
        "events_c",
        "n_c",
    ]
    frame = trials[
        [*columns, "randomised", "evidence_level", "risk_of_bias", "role", "source_ids"]
    ].copy()
    frame["role_reason"] = [str(reasons[name]) for name in trials["comparison_id"]]
    return frame


def question_analyses(evidence: Evidence) -> pd.DataFrame:
    """Analyse every declared question in every way that the plan shows beside the headline.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per question and analysis: role, analysis, measure, k, estimate, limits, conclusion.
    """
    return analyses_by_question(answers(evidence))


def analyses_by_question(answered: Mapping[str, Answered]) -> pd.DataFrame:
    """Tabulate the analyses of questions that have been answered already."""
    parts = []
    for name, one in answered.items():
        frame = _question_rows(one)
        frame.insert(0, "question", name)
        frame.insert(1, "title", one.title)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def _question_rows(one: Answered) -> pd.DataFrame:
    """Tabulate the analyses of a question; no headline if not randomised or not confirmed."""
    frame = one.headline.to_frame()
    if one.withheld:
        none = {
            "role": "withheld",
            "analysis": "none, until the primary report has been read",
            "conclusion": "",
        }
        return frame.iloc[:1].assign(
            **none, **dict.fromkeys(("estimate", "low", "high", "probability_above_null"), math.nan)
        )
    return frame if one.randomised else frame.assign(role="not to be headlined")


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes
    ----------
    name : str
        Its name; ``results/NAME.csv`` holds the same numbers where a notebook saves it.
    frame : DataFrame
        The numbers.
    caption : str
        What it shows.
    heads : mapping of str to str
        Columns shown and their heads, in order.
    links : Callable
        Turns the text of a cell into HTML, given the column; by default only escapes.
    filters : str
        Column by whose words the rows can be filtered; empty for none.
    """

    name: str
    frame: pd.DataFrame
    caption: str
    heads: Mapping[str, str]
    links: Callable[[str, str], str] | None = None
    filters: str = ""

    @property
    def html(self) -> str:
        """The table with a caption, sortable heads, and ``data-value`` on every number."""
        head = "".join(
            f'<th scope="col"{" class=num" * self._numeric(column)}>{html.escape(label)}</th>'
            for column, label in self.heads.items()
        )
        rows = "".join(self._row(row) for row in self.frame.to_dict("records"))
        caption = f"<caption>{html.escape(self.caption)}</caption>"
        return (
            f'<table data-table="{self.name}"'
            f' class="sortable">{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
        )

    def words(self) -> list[str]:
        """List the words of the filter column, the most frequent first."""
        return (
            [str(word) for word in self.frame[self.filters].value_counts().index]
            if self.filters
            else []
        )

    @cached_property
    def _widths(self) -> dict[str, str]:
        """Attributes of the columns with phrases or sentences in them, which need room."""
        longest = {
            column: int(self.frame[column].astype(str).str.len().max()) for column in self.heads
        }
        texts = {
            column: size
            for column, size in longest.items()
            if not self._numeric(column) and size > PHRASE
        }
        return {
            column: f" class={'long' if size > SENTENCE else 'medium'}"
            for column, size in texts.items()
        }

    def _numeric(self, column: str) -> bool:
        return pd.api.types.is_numeric_dtype(self.frame[column]) and not pd.api.types.is_bool_dtype(
            self.frame[column]
        )

    def _row(self, row: Mapping[Any, Any]) -> str:
        cells = []
        for place, column in enumerate(self.heads):
            tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
            attributes, text = self._cell(column, row[column])
            cells.append(f'<{tag}{scope} data-column="{column}"{attributes}>{text}</{tag}>')
        kind = f' data-filter="{html.escape(str(row[self.filters]))}"' if self.filters else ""
        return f"<tr{kind}>{''.join(cells)}</tr>"

    def _cell(self, column: str, value: Any) -> tuple[str, str]:
        """Write the attributes and the inner HTML of a cell."""
        if isinstance(value, bool | np.bool_):
            return "", "yes" if value else "no"
        if isinstance(value, int | float | np.number):
            number = float(value)
            if math.isnan(number):
                return " class=num", "–"
            plain = column.startswith(COUNTED) or not isinstance(value, float | np.floating)
            return f' class=num data-value="{_as_saved(number)}"', (
                f"{number:g}" if plain else wording.number(number)
            )
        text = "" if value is None or value is pd.NA else str(value)
        wide = self._widths.get(column, "")
        if self.links is not None:
            return wide, self.links(column, text)
        return wide, html.escape(
            text.replace("_", " ") if re.fullmatch(r"[a-z]+(_[a-z]+)+", text) else text
        )


def _as_saved(number: float) -> str:
    """Write a number as the tables of ``results/`` print it."""
    return f"{number + 0.0:.10g}"


def read_results(folder: Path, name: str) -> list[dict[str, str]] | None:
    """Read the rows of ``NAME.csv`` in the results folder; None if no notebook saved it."""
    file = folder / f"{name}.csv"
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def differing(table: Table, saved: Sequence[Mapping[str, str]]) -> Iterable[str]:
    """Name the numbers of a page's table that differ from those of the saved one."""
    if len(saved) != len(table.frame):
        yield (
            f"{table.name}: {len(table.frame)} rows on the page, {len(saved)} in"
            f" results/{table.name}.csv"
        )
        return
    for number, (row, other) in enumerate(
        zip(table.frame.to_dict("records"), saved, strict=True), start=1
    ):
        for column in table.heads:
            if (
                column in other
                and table._numeric(column)
                and not _equal(row[column], other[column])
            ):
                yield (
                    f"{table.name}, row {number}, {column}: {row[column]} on the page,"
                    f" {other[column]} in results/"
                )


def _equal(value: Any, text: str) -> bool:
    if pd.isna(value) or text == "":
        return bool(pd.isna(value)) and text == ""
    return math.isclose(float(value), float(text), rel_tol=SAVED_RTOL) or float(value) == float(
        text
    )
