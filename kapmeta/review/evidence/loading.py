"""Where the evidence tables are read from, and how they become `Evidence`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import pandas as pd

from kapmeta import checking
from kapmeta.review.evidence import rules, tables
from kapmeta.review.evidence.description import DESCRIPTION, EvidenceError, Finding, Schema, schemas
from kapmeta.review.evidence.reading import Evidence


def _own_folder() -> Traversable:
    """Find ``data`` in the installed package, or beside it in a source checkout."""
    carried = files("kapmeta") / "data"
    if (carried / DESCRIPTION).is_file():
        return carried
    return Path(__file__).resolve().parents[3] / "data"


def _folder(path: str | os.PathLike[str] | None) -> Traversable:
    folder: Traversable = _own_folder() if path is None else Path(path)
    if not (folder / DESCRIPTION).is_file():
        raise FileNotFoundError(
            f'no evidence tables in "{folder}": {DESCRIPTION} is not there; give the folder that'
            " holds it"
        )
    return folder


def _contents(folder: Traversable) -> tuple[dict[str, Schema], dict[str, bytes]]:
    """Read the description of the tables and the bytes of every file that is there."""
    description = (folder / DESCRIPTION).read_bytes()
    described = schemas(description)
    there = {schema.file: folder / schema.file for schema in described.values()}
    return described, {
        DESCRIPTION: description,
        **{name: file.read_bytes() for name, file in there.items() if file.is_file()},
    }


def _hash(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name} {len(contents[name])}\n".encode())
        digest.update(contents[name])
    return digest.hexdigest()


@checking.checked
def load_evidence(path: str | os.PathLike[str] | None = None) -> Evidence:
    """Read the evidence tables and check them against their description.

    The tables come with the package. Give `path` for tables of your own in the same form; for
    trials in a DataFrame of your own nothing need be loaded, the effect functions take it as it is.

    Parameters
    ----------
    path : str or path-like, optional
        Folder that holds ``datapackage.json`` and the tables it describes.

    Returns
    -------
    Evidence
        Tables, trials, codebook, flags and the hash of the data.

    Raises
    ------
    EvidenceError
        If anything breaks the description or a rule across columns; all violations are listed at
        once, each with file, row (line of the file, the header is line 1), study, column and rule.
    FileNotFoundError
        If the folder holds no ``datapackage.json``.

    Examples
    --------
    >>> import kapmeta.review.evidence
    >>> evidence = kapmeta.review.evidence.load_evidence()
    >>> evidence.trials(comparison_id="krupitsky2007")[["treatment", "control", "events_t", "n_t"]]
            treatment      control  events_t  n_t
    0  three sessions  one session        13   26
    """
    described, contents = _contents(_folder(path))
    read, findings = tables.read_tables(described, contents)
    violations, flags = rules.broken(described, read)
    findings += violations
    if findings:
        raise EvidenceError(sorted(findings, key=lambda finding: (finding.file, finding.row)))
    frames = {name: tables.frame(schema, read[name]) for name, schema in described.items()}
    return Evidence(frames, described, _flag_frame(described, flags), _hash(contents))


def _flag_frame(described: Mapping[str, Schema], flags: Iterable[Finding]) -> pd.DataFrame:
    names = {schema.file: name for name, schema in described.items()}
    rows = [(names[flag.file], *flag[1:]) for flag in flags]
    return pd.DataFrame(rows, columns=["table", *Finding._fields[1:]])
