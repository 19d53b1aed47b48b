"""Notebook sources: cells call the library and show; prose holds no number of the data."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

SOURCES = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.py"))
CALCULATES = (
    ast.FunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.For,
    ast.While,
    ast.If,
    ast.Try,
    ast.With,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.BinOp,
    ast.AugAssign,
)
NO_RESULTS = re.compile(
    r'"[^"]*"|`[^`]*`'  # what somebody else wrote, and names of code
    r"|\b[A-Z]\w+ (?:19|20)\d\d\b"  # the name of a trial
    r"|\b\d\d-[a-z-]+\b"  # the name of a notebook
    r"|\b(?:metafor|meta|RoB) \d[\d.-]*"  # versions
    r"|\b(?:0|1|1,000|0\.05)(?![\d.,]*\d)"  # no effect, people by the thousand, the usual level
)


def prose(source: str) -> str:
    """Return the text of the Markdown cells, one line per cell."""
    cells = re.split(r"^# %%", source, flags=re.MULTILINE)
    return "\n".join(
        " ".join(cell.replace("\n#", " ").split())
        for cell in cells
        if cell.startswith(" [markdown]")
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_prose_carries_no_number_that_is_not_computed(path: Path) -> None:
    """Numbers in prose would be wrong after a new trial, and nobody would notice."""
    left = NO_RESULTS.sub("", prose(path.read_text(encoding="utf-8")))
    assert re.findall(r".{0,30}\d.{0,30}", left) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_cells_call_the_library_and_show(path: Path) -> None:
    """A definition, a loop or arithmetic in a notebook is a function that the library lacks."""
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, CALCULATES)
    ]
    assert [f"line {node.lineno}: {ast.unparse(node)[:60]}" for node in found] == []
