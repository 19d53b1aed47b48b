"""The words of one review live in its data and in `kapmeta.review`; the library has none of them.

Strings, comments, names and the prose of docstrings count. Examples do not: they show the library
at work on this review's trials.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.places import ROOT

PACKAGE = ROOT / "kapmeta"
TOPIC = re.compile(
    r"ketamine|relapse|abstinen|alcohol|opioid|cocaine|midazolam|psychotherapy"
    r"|(?<![a-z])registered(?![a-z])|\bthe plan\b",
    re.IGNORECASE,
)
# From the prompt to the next empty line, or the section under its heading.
EXAMPLE = re.compile(r"^[ ]*>>>.*?(?=^[ ]*$|\Z)", re.MULTILINE | re.DOTALL)
EXAMPLES = re.compile(r"^([ ]*)Examples\n\1-{8}\n.*?(?=^\1\w[^\n]*\n\1-{3,}$|\Z)", re.M | re.S)
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if "review" not in path.relative_to(PACKAGE).parts
)


def docstring_lines(source: str) -> set[int]:
    """Return the lines on which docstrings begin, those of attributes included."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def topic_words(source: str) -> Iterator[tuple[int, str]]:
    """Find each topic word with its line: in names, comments, strings and prose of docstrings."""
    docstrings = docstring_lines(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string
        if token.type == tokenize.STRING and token.start[0] in docstrings:
            text = EXAMPLE.sub("", EXAMPLES.sub("", text))
        for found in TOPIC.finditer(re.sub(r"\s+", " ", text)):
            yield token.start[0], found[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_library_has_no_topic_word(path: Path) -> None:
    assert list(topic_words(path.read_text(encoding="utf-8"))) == []


PLANTED = {
    "a name": "relapse_hazard_ratio = 1\n",
    "a parameter": "def f(ketamine): ...\n",
    "an attribute": "x.registered\n",
    "a private name": "_registered = 1\n",
    "a string": "word = 'Midazolam'\n",
    "a formatted string": "word = f'{x} of alcohol {y}'\n",
    "a comment": "x = 1  # as the plan says\n",
    "two lines": '"""By the\nplan."""\n',
    "prose": '"""Pool trials of opioids."""\n',
    "prose after an example": '"""Pool.\n\n    >>> 1\n    1\n\n    As with cocaine.\n    """\n',
    "a section after the examples": (
        'def f():\n    """Pool.\n\n    Examples\n    --------\n    >>> 1\n    1\n\n    Notes\n'
        '    -----\n    Abstinence.\n    """\n'
    ),
    "a string that looks like an example": "text = '>>> ketamine'\n",
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_topic_word_is_found(source: str) -> None:
    assert len(list(topic_words(source))) == 1


FREE = {
    "an example": 'def f():\n    """Pool.\n\n    >>> f("cocaine")\n    relapse\n    """\n',
    "the examples": (
        'def f():\n    """Pool.\n\n    Examples\n    --------\n    Trials of cocaine.\n\n'
        '    >>> f("cocaine")\n    relapse\n    """\n'
    ),
    "another word": "unregistered = registration = 'planned'\n",
}


@pytest.mark.parametrize("source", FREE.values(), ids=FREE.keys())
def test_an_example_and_another_word_are_free(source: str) -> None:
    assert list(topic_words(source)) == []
