"""The papers cited: every DOI a link, and always beside the same paper."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.places import ROOT

LINK = "https://doi.org/"
DOI = re.compile(r"10\.\d{4,9}/\S+")
FIRST_AUTHOR = re.compile(r"([^\W\d_][\w'-]*(?: [^\W\d_][\w'-]*)*?)(?: [A-Z]{1,3}\b| et al\.)")
ISSUE = re.compile(r"\b((?:18|19|20)\d\d);(\S*[^\s.])")

# The paper is the one meant, but no source was found that shows this DOI beside it: cite it
# without.
UNCONFIRMED = {"10.1137/1023037": "Stenger F. SIAM Rev 1981;23:165-224"}


class Citation(NamedTuple):
    doi: str
    first_author: str
    year: str
    place: str  # volume and pages
    where: str


def sources() -> list[Path]:
    package = [
        p for end in ("py", "html", "js", "css", "md") for p in (ROOT / "kapmeta").rglob(f"*.{end}")
    ]
    documents = [
        *(ROOT / "notebooks").glob("*.py"),
        ROOT / "README.md",
        ROOT / "data" / "README.md",
    ]
    return sorted(p for p in [*package, *documents] if p.exists())


def trimmed(doi: str) -> str:
    """Return the DOI without the marks of the sentence it ends."""
    doi = re.split(r"[\"'`\]]", doi, maxsplit=1)[0].rstrip(".,;")
    while doi.endswith(")") and doi.count(")") > doi.count("("):
        doi = doi[:-1].rstrip(".,;")
    return doi


def unlinked(text: str) -> list[str]:
    """Find DOIs that are not a link, and links to doi.org that hold no DOI."""
    bare = [m[0] for m in DOI.finditer(text) if not text[: m.start()].endswith(LINK)]
    empty = [
        m[0]
        for m in re.finditer(r"\S*doi\.org/\S*", text)
        if not re.search(re.escape(LINK) + DOI.pattern, m[0])
    ]
    return bare + empty


def texts(path: Path) -> Iterator[str]:
    """Yield what the file prints or documents, each text on one line."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield " ".join(content.split())
        return
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def citations(text: str, where: str) -> Iterator[Citation]:
    """Yield the paper named between the mark that opens the reference and each linked DOI."""
    start = 0
    for m in re.finditer(re.escape(LINK) + f"({DOI.pattern})", text):
        doi = trimmed(m[1])
        before = text[start : m.start()]
        start = m.start(1) + len(doi)
        named = re.split(r"\.\. \[\w+\] " if ".. [" in before else r"\((?=[^\W\d_])", before)[-1]
        author, issues = FIRST_AUTHOR.match(named), list(ISSUE.finditer(named))
        if author is None or not issues:
            raise ValueError(f"{where}: no author and year before {doi}: {named[-120:]!r}")
        yield Citation(doi, author[1], issues[-1][1], issues[-1][2], where)


def disagreements(cited: list[Citation]) -> list[str]:
    """Find DOIs that name two papers, or are spelled in two ways."""
    table: dict[str, Citation] = {}
    first = [table.setdefault(c.doi.lower(), c) for c in cited]
    return [f"{a} / {b}" for a, b in zip(first, cited, strict=True) if a[:-1] != b[:-1]]


@pytest.fixture(scope="module")
def cited() -> list[Citation]:
    return [
        c for p in sources() for text in texts(p) for c in citations(text, str(p.relative_to(ROOT)))
    ]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_doi_is_a_link(path: Path) -> None:
    assert unlinked(path.read_text(encoding="utf-8")) == []


def test_every_linked_doi_is_read(cited: list[Citation]) -> None:
    linked = {
        trimmed(d)
        for p in sources()
        for text in texts(p)
        for d in re.findall(f"{LINK}({DOI.pattern})", text)
    }
    assert {c.doi for c in cited} == linked
    assert {c[:4] for c in cited} >= {
        ("10.1016/0197-2456(86)90046-2", "DerSimonian", "1986", "7:177-188"),
        (
            "10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A",
            "Hardy",
            "1996",
            "15:619-629",
        ),
        ("10.7326/0003-4819-107-2-224", "L'Abbé", "1987", "107:224-233"),
        ("10.1136/bmj.39489.470347.AD", "Guyatt", "2008", "336:924-926"),
        ("10.1002/jrsm.5", "Hedges", "2010", "1:39-65"),
    }


def test_a_doi_always_stands_beside_the_same_paper(cited: list[Citation]) -> None:
    assert disagreements(cited) == []


def test_no_unconfirmed_doi_is_printed(cited: list[Citation]) -> None:
    assert [c for c in cited if c.doi.lower() in UNCONFIRMED] == []


@pytest.mark.parametrize(
    "text",
    [
        "Firth D. doi:10.1093/biomet/80.1.27",
        "http://dx.doi.org/10.1093/biomet/80.1.27",
        "https://doi.org/biomet/80",
    ],
)
def test_a_doi_that_is_no_link_is_found(text: str) -> None:
    assert unlinked(text)


def test_a_doi_of_two_papers_is_found() -> None:
    one = ".. [1] Firth D. Bias. Biometrika 1993;80:27-38. https://doi.org/10.1093/biomet/80.1.27"
    assert disagreements([*citations(one, "a"), *citations(one, "b")]) == []
    for old, new in [
        ("Firth D", "Heinze G"),
        ("1993", "1994"),
        ("27-38", "27-39"),
        ("biomet", "BIOMET"),
    ]:
        other = one.replace(old, new)
        assert other != one
        assert disagreements([*citations(one, "a"), *citations(other, "b")])


def test_a_reference_without_author_or_year_is_refused() -> None:
    with pytest.raises(ValueError, match="no author and year before 10.1093/biomet/80.1.27"):
        list(citations("See https://doi.org/10.1093/biomet/80.1.27", "a"))
