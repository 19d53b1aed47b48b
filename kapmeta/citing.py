"""How to cite the package, the data and the methods behind a result."""

from __future__ import annotations

import math
from typing import Any

from kapmeta._version import __version__
from kapmeta.checking import chosen
from kapmeta.methods import Method
from kapmeta.references import PAPERS as SENSITIVITY_PAPERS
from kapmeta.references import REFERENCES, SMALL_STUDY_PAPERS

__all__ = ["cite"]

_TITLE = "kapmeta: honest meta-analysis for few, sparse trials"
_AUTHORS = "The kapmeta developers"


def cite(result: Any = None, *, style: str = "text") -> str:
    """How to cite kapmeta and, given a result, the methods that made it.

    Cite the trials too: ``load_evidence().sources`` names them.

    Parameters
    ----------
    result : any result of kapmeta, optional
        Its methods are cited: all that its `methods_text` describes.
    style : {"text", "bibtex"}
        Plain text, or BibTeX for the software alone.

    Returns
    -------
    str
        One reference a line.

    Raises
    ------
    ValueError
        For an unknown style.
    TypeError
        If `result` names no method.

    Examples
    --------
    >>> from kapmeta.citing import cite
    >>> print(cite())
    The kapmeta developers. kapmeta: honest meta-analysis for few, sparse trials. Version ... Python package.
    """
    chosen(style, ("text", "bibtex"), "style")
    if style == "bibtex":
        fields = {
            "title": _TITLE,
            "author": f"{{{_AUTHORS}}}",
            "version": __version__,
            "note": "Python package",
        }
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@software{{kapmeta,\n{lines}\n}}"
    software = f"{_AUTHORS}. {_TITLE}. Version {__version__}. Python package."
    return "\n".join([software, *_methods(result)])


def _methods(result: Any) -> list[str]:
    """References of the methods a result names, each once."""
    if result is None:
        return []
    known = getattr(result, "references", None)
    words = _words(result)
    if known is None and words is None:
        raise TypeError(
            f"a {type(result).__name__} names no method to cite; give a result of kapmeta"
        )
    named = [reference for word, reference in REFERENCES.items() if word in (words or ())]
    told = result.methods_text()
    also = [
        paper
        for paper in (*SMALL_STUDY_PAPERS.values(), *SENSITIVITY_PAPERS.values())
        if paper in told
    ]
    return list(dict.fromkeys([*(known or ()), *named, *also]))


def _words(result: Any) -> set[str] | None:
    """Words of the methods of a result and of the results it stands on; None for what is no result."""
    if not callable(getattr(result, "methods_text", None)):
        return None
    parts = [
        getattr(result, name)
        for name in ("pooled", "base")
        if getattr(result, name, None) is not None
    ]
    parts += [*getattr(result, "results", ()), *getattr(result, "groups", {}).values()]
    words = {type(result).__name__, *getattr(result, "cited", ())}
    method = getattr(result, "method", None)
    if isinstance(method, Method):
        words |= {str(method.tau2), *_with_root(method.ci, "-"), *_with_root(method.model, ",")}
        if math.isfinite(getattr(result, "prediction_low", math.nan)):
            words.add(f"prediction {method.prediction}")
        if result.k > 1 and method.model == "random":
            words.add("q-profile")
    return words.union(*(_words(part) or () for part in parts))


def _with_root(word: str, mark: str) -> tuple[str, str]:
    """A word, and what stands before its first `mark`: the family of methods it belongs to."""
    return word, word.partition(mark)[0]
