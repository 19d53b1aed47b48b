"""CSV tables checked against their description: cells, keys and references.

Every fault is listed.

Nothing here depends on what a trial is; rules that look across columns are in
`kapmeta.review.evidence.rules`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import pandas as pd

from kapmeta.review.evidence.description import Field, Finding, Schema


@dataclass(frozen=True)
class Record:
    """One row of a table: its line, its cells as text, their values (None: empty or faulty)."""

    line: int
    text: Mapping[str, str]
    value: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, column: str) -> Any:
        return self.value.get(column)

    @property
    def study(self) -> str:
        """The study the row is about; empty in tables that are not about studies."""
        return self.text.get("study_id", "")


Records = dict[str, list[Record]]


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(
            "is not a whole number; leave the cell empty where the number is not known"
        )
    return int(text)


def _decimal(text: str) -> float:
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        raise ValueError(
            "is not a number; write digits and a decimal point, or leave the cell empty"
        )
    return float(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text == "true"


def _list_items(text: str) -> tuple[str, ...]:
    items = tuple(text.split(";"))
    if not all(items) or len(set(items)) < len(items):
        raise ValueError(
            "has an empty or repeated item; put one semicolon between items, none at the ends"
        )
    return items


CELL_TYPES: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _whole_number,
    "number": _decimal,
    "boolean": _boolean,
    "list": _list_items,
}
"""What a cell of each type is turned into; the error says in words what is wrong with the text."""


def _suggestion(word: str, words: Iterable[str]) -> str:
    near = get_close_matches(word, list(words), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _faults(column: Field, text: str) -> Iterator[tuple[str, str]]:
    """Find the rule and message of everything wrong with one cell."""
    name = column.name
    if not text:
        if column.required:
            yield "required", f"{name} is empty; it is required: {column.meaning}"
        return
    if text != text.strip():
        yield "type", f'{name} = "{text}" begins or ends with a space; take it out'
        return
    try:
        value = CELL_TYPES[column.type](text)
    except ValueError as wrong:
        yield "type", f'{name} = "{text}" {wrong}'
        return
    if column.minimum is not None and value < column.minimum:
        yield "minimum", f"{name} = {text} is below {column.minimum:g}"
    if column.maximum is not None and value > column.maximum:
        yield "maximum", f"{name} = {text} is above {column.maximum:g}"
    if column.words and value not in column.words:
        words = f"use one of: {', '.join(column.words)}"
        yield (
            "enum",
            f'{name} = "{text}" is not a known word; {words}{_suggestion(text, column.words)}',
        )
    if column.pattern and not re.fullmatch(column.pattern, text):
        yield (
            "pattern",
            f'{name} = "{text}" does not have the form {column.pattern}: {column.meaning}',
        )


def _csv_records(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Split a CSV file into records, with the line each begins on; a quoted cell may span lines."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    begins = 1
    for cells in reader:
        yield begins, cells
        begins = reader.line_num + 1


def _header_faults(schema: Schema, header: list[str]) -> Iterator[Finding]:
    known = [column.name for column in schema.columns]
    for name in known:
        if header.count(name) != 1:
            times = "missing" if name not in header else "there more than once"
            message = f"column {name} is {times}; the columns are: {', '.join(known)}"
            yield Finding(schema.file, 1, "", name, "header", message)
    for name in header:
        if name not in known:
            message = f'unknown column "{name}"{_suggestion(name, known)}'
            yield Finding(schema.file, 1, "", name, "header", message)


def _read_row(schema: Schema, line: int, text: Mapping[str, str]) -> tuple[Record, list[Finding]]:
    """Convert the sound cells of a row, and list what is wrong with the others."""
    findings: list[Finding] = []
    value: dict[str, Any] = {}
    for column in schema.columns:
        cell = text[column.name]
        faults = list(_faults(column, cell))
        study = text.get("study_id", "")
        findings += [Finding(schema.file, line, study, column.name, *fault) for fault in faults]
        value[column.name] = CELL_TYPES[column.type](cell) if cell and not faults else None
    return Record(line, text, value), findings


def read_table(schema: Schema, content: bytes | None) -> tuple[list[Record] | None, list[Finding]]:
    """Read the rows of one file and its faults; None if it cannot be read as this table."""
    if content is None:
        return None, [Finding(schema.file, 0, "", "", "file", f"{schema.file} is missing")]
    try:
        records = list(_csv_records(content))
    except (UnicodeDecodeError, csv.Error) as wrong:
        message = f"not a CSV file in UTF-8: {wrong}; save it as CSV UTF-8"
        return None, [Finding(schema.file, 0, "", "", "file", message)]
    header = records[0][1] if records else []
    findings = list(_header_faults(schema, header))
    if findings:
        return None, findings
    rows = []
    for line, cells in records[1:]:
        if len(cells) != len(header):
            message = (
                f"the row has {len(cells)} cells, the header {len(header)}; "
                "put double quotes round a text with a comma, and leave no blank line"
            )
            findings.append(Finding(schema.file, line, "", "", "shape", message))
            continue
        row, faults = _read_row(schema, line, dict(zip(header, cells, strict=True)))
        rows.append(row)
        findings += faults
    return rows, findings


def _key_text(fields: Sequence[str], values: Sequence[str]) -> str:
    return " and ".join(f'{name} = "{value}"' for name, value in zip(fields, values, strict=True))


def duplicates(schema: Schema, rows: Sequence[Record]) -> Iterator[Finding]:
    """Find rows that repeat the key of an earlier row."""
    for key in schema.keys:
        first: dict[tuple[str, ...], int] = {}
        for row in rows:
            values = tuple(row.text[name] for name in key)
            if not all(values):
                continue
            earlier = first.setdefault(values, row.line)
            if earlier != row.line:
                message = (
                    f"{_key_text(key, values)} is already in row {earlier}; each may occur once"
                )
                yield Finding(schema.file, row.line, row.study, key[-1], "unique", message)


def unknown_references(schema: Schema, tables: Mapping[str, list[Record]]) -> Iterator[Finding]:
    """Find cells that name a missing row of another table."""
    for row in tables[schema.name]:
        wrong: set[str] = set()
        for fields, table, target in schema.references:
            values = tuple(row.text[name] for name in fields)
            if not all(values) or wrong & set(fields) or table not in tables:
                continue
            known = {tuple(other.text[name] for name in target) for other in tables[table]}
            if values not in known:
                wrong.add(fields[-1])
                near = _suggestion(
                    values[-1], (last for *head, last in known if head == list(values[:-1]))
                )
                message = (
                    f"{_key_text(fields, values)} is not in {table}.csv; add it or correct it"
                    f" here{near}"
                )
                yield Finding(schema.file, row.line, row.study, fields[-1], "foreign key", message)


def unknown_items(schema: Schema, tables: Mapping[str, list[Record]]) -> Iterator[Finding]:
    """Find items of list cells that name a missing row of another table."""
    for column in schema.columns:
        if column.refers_to is None or column.refers_to[0] not in tables:
            continue
        table, target = column.refers_to
        known = {row.text[target] for row in tables[table]}
        for row in tables[schema.name]:
            for item in row[column.name] or ():
                if item not in known:
                    message = f'"{item}" is not in {table}.csv; add it or correct it here'
                    yield Finding(
                        schema.file, row.line, row.study, column.name, "foreign key", message
                    )


def read_tables(
    described: Mapping[str, Schema], files: Mapping[str, bytes]
) -> tuple[Records, list[Finding]]:
    """Read every table that can be read, with every fault of cells, keys and references."""
    tables: Records = {}
    findings: list[Finding] = []
    for name, schema in described.items():
        rows, faults = read_table(schema, files.get(schema.file))
        findings += faults
        if rows is not None:
            tables[name] = rows
            findings += duplicates(schema, rows)
    for name in tables:
        findings += unknown_references(described[name], tables)
        findings += unknown_items(described[name], tables)
    return tables, findings


def frame(schema: Schema, rows: Sequence[Record]) -> pd.DataFrame:
    """Convert sound rows to a DataFrame: empty text stays "", an empty number is missing."""
    dtypes = {
        "integer": ("Int64", "int64"),
        "number": ("float64", "float64"),
        "boolean": ("boolean", "bool"),
    }
    data = {}
    for column in schema.columns:
        if column.type in dtypes:
            values: list[Any] = [row[column.name] for row in rows]
            data[column.name] = pd.Series(values, dtype=dtypes[column.type][column.required])
        else:
            data[column.name] = pd.Series([row.text[column.name] for row in rows], dtype="str")
    return pd.DataFrame(data)
