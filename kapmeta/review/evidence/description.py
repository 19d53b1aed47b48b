"""The description of the tables, ``datapackage.json``, and the report of what breaks it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

DESCRIPTION = "datapackage.json"


class Finding(NamedTuple):
    """One fault or remark: its place and its message; the header is row 1 of the file."""

    file: str
    row: int
    study: str
    column: str
    rule: str
    message: str


class EvidenceError(ValueError):
    """The evidence tables break their own description; every violation is listed.

    Attributes
    ----------
    violations : DataFrame
        One row per violation: file, row (line of the file, the header is line 1), study, column,
        rule, message.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.violations = pd.DataFrame(list(findings), columns=list(Finding._fields))
        head = f"{len(findings)} violation{'s' * (len(findings) != 1)} in the evidence tables:"
        super().__init__("\n".join([head, *map(_finding_line, findings)]))


def _finding_line(finding: Finding) -> str:
    study = f' ("{finding.study}")' if finding.study else ""
    return (
        f"  {finding.file}, row {finding.row}{study}, {finding.column}: {finding.message}"
        f" [{finding.rule}]"
    )


@dataclass(frozen=True)
class Field:
    """One column as described."""

    name: str
    type: str
    meaning: str
    unit: str
    required: bool
    unique: bool
    minimum: float | None
    maximum: float | None
    words: tuple[str, ...]
    pattern: str
    refers_to: tuple[str, str] | None

    @property
    def constraints(self) -> str:
        """The constraints in words."""
        parts = [
            "required" if self.required else "",
            "unique" if self.unique else "",
            f"at least {self.minimum:g}" if self.minimum is not None else "",
            f"at most {self.maximum:g}" if self.maximum is not None else "",
            f"one of: {', '.join(self.words)}" if self.words else "",
            f"pattern {self.pattern}" if self.pattern else "",
            f"each item in {self.refers_to[0]}.{self.refers_to[1]}" if self.refers_to else "",
        ]
        return "; ".join(part for part in parts if part)


class Reference(NamedTuple):
    """Columns whose values must be found together in columns of another table."""

    fields: tuple[str, ...]
    table: str
    target: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """One table as described."""

    name: str
    file: str
    title: str
    columns: tuple[Field, ...]
    keys: tuple[tuple[str, ...], ...]
    references: tuple[Reference, ...]

    def column(self, name: str) -> Field:
        """Look up the column called `name`."""
        return next(column for column in self.columns if column.name == name)


def _field(entry: Mapping[str, Any]) -> Field:
    limits = entry.get("constraints", {})
    items = entry.get("itemForeignKey")
    return Field(
        name=entry["name"],
        type=entry["type"],
        meaning=entry["description"],
        unit=entry.get("unit", ""),
        required=limits.get("required", False),
        unique=limits.get("unique", False),
        minimum=limits.get("minimum"),
        maximum=limits.get("maximum"),
        words=tuple(limits.get("enum", ())),
        pattern=limits.get("pattern", ""),
        refers_to=(items["resource"], items["field"]) if items else None,
    )


def _reference(key: Mapping[str, Any]) -> Reference:
    target = key["reference"]
    return Reference(tuple(key["fields"]), target["resource"], tuple(target["fields"]))


def schemas(description: bytes) -> dict[str, Schema]:
    """Read the descriptions of the tables from a ``datapackage.json``, by name."""
    tables = {}
    for resource in json.loads(description)["resources"]:
        schema = resource["schema"]
        columns = tuple(_field(entry) for entry in schema["fields"])
        unique = [(column.name,) for column in columns if column.unique]
        tables[resource["name"]] = Schema(
            name=resource["name"],
            file=resource["path"],
            title=resource["description"],
            columns=columns,
            keys=tuple(map(tuple, [schema["primaryKey"], *schema.get("uniqueKeys", ()), *unique])),
            references=tuple(map(_reference, schema.get("foreignKeys", ()))),
        )
    return tables


def codebook_frame(described: Mapping[str, Schema]) -> pd.DataFrame:
    """List every column of every table with its type, unit, meaning and constraints."""
    rows = [
        (schema.name, column.name, column.type, column.unit, column.meaning, column.constraints)
        for schema in described.values()
        for column in schema.columns
    ]
    return pd.DataFrame(rows, columns=["table", "column", "type", "unit", "meaning", "constraints"])
