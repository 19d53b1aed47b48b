"""Comparison of what is checked in with what was remade: the first difference of every file."""

from __future__ import annotations

import csv
import json
import math
import platform
from collections.abc import Iterator
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

RTOL = 1e-9  # ten digits are written, so the last one may differ by one
# Where the checked-in files are made: the same versions on another processor may draw a pixel
# otherwise.
HOME_PLATFORM = ("Linux", "x86_64")
LONGEST_QUOTE = 60


def built(root: Path) -> list[str]:
    """List the files under `root` that a run makes."""
    patterns = ("results/**/*", "figures/**/*", "notebooks/*.ipynb", "report/*.html", "README.md")
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(root).as_posix() for path in found)


def _file_difference(
    name: str, old: Path, new: Path, exact: bool, words: tuple[str, str]
) -> str | None:
    """Find the first difference between two versions of a file, or None."""
    if exact and old.read_bytes() == new.read_bytes():
        return None
    if name.endswith(".csv"):
        return _table_difference(old, new, exact, words)
    if not exact:
        return None
    if name.endswith(".ipynb"):
        return _notebook_difference(old, new)
    if name.endswith((".md", ".txt", ".html")):
        return _text_difference(old, new, words)
    return ": other bytes"


def _table_difference(old: Path, new: Path, exact: bool, words: tuple[str, str]) -> str | None:
    tables = [
        list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in (old, new)
    ]
    header = tables[0][0] if tables[0] else []
    for number, rows in enumerate(zip_longest(*tables, fillvalue=[])):
        for column, (x, y) in enumerate(zip_longest(*rows, fillvalue="nothing")):
            if x != y and (exact or not _same_number(x, y)):
                name = header[column] if column < len(header) else str(column + 1)
                place = f"row {number}, column {name}" if number else "header"
                return f", {place}: {x} {words[0]}, {y} {words[1]}"
    return ": line ends" if exact else None


def _same_number(x: str, y: str) -> bool:
    try:
        return math.isclose(float(x), float(y), rel_tol=RTOL)
    except ValueError:
        return False


def _text_difference(old: Path, new: Path, words: tuple[str, str]) -> str:
    lines = (path.read_text(encoding="utf-8").splitlines() for path in (old, new))
    for number, (x, y) in enumerate(zip_longest(*lines, fillvalue="nothing"), start=1):
        if x != y:
            return f", line {number}: {_quoted(x)} {words[0]}, {_quoted(y)} {words[1]}"
    return ": line ends"


def _quoted(line: str) -> str:
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 3] + "..."


def _notebook_difference(old: Path, new: Path) -> str:
    cells = (json.loads(path.read_text(encoding="utf-8"))["cells"] for path in (old, new))
    for number, (x, y) in enumerate(zip_longest(*cells, fillvalue={}), start=1):
        for key, what in (("source", "text"), ("outputs", "output")):
            if x.get(key) != y.get(key):
                return f", cell {number}: other {what}"
    return ": other metadata"


def differences(root: Path, scratch: Path, exact: bool, words: tuple[str, str]) -> Iterator[str]:
    """Name each file that differs, was not remade or is missing, with the first difference.

    Parameters
    ----------
    root, scratch : Path
        What is checked in, and what was remade.
    exact : bool
        Whether bytes count. If not, numbers in tables do, to a relative 1e-9; other files need only
        exist.
    words : tuple of str
        What to call the two, as in ``("here", "remade")``.
    """
    here, remade = built(root), built(scratch)
    for name in sorted({*here, *remade}):
        if name not in here:
            yield f"{name}: missing {words[0]}"
        elif name not in remade:
            yield f"{name}: made by no notebook"
        elif found := _file_difference(name, root / name, scratch / name, exact, words):
            yield name + found


def unlocked(lock: Path) -> str | None:
    """Say how the environment differs from that of the checked-in files; None if it does not."""
    from packaging.requirements import Requirement

    if (platform.system(), platform.machine()) != HOME_PLATFORM:
        return f"{platform.system()} on {platform.machine()}, not {' on '.join(HOME_PLATFORM)}"
    if not lock.is_file():
        return f"no {lock.name}"
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" not in line or line.startswith(("#", " ")):
            continue
        pin = Requirement(line.rstrip("\\ "))
        if pin.marker is None or pin.marker.evaluate():
            installed = _installed_version(pin.name)
            if installed is None or installed not in pin.specifier:
                return f"{pin.name} {installed or 'not installed'}, locked {pin.specifier}"
    return None


def _installed_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
