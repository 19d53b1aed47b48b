"""How to cite the package, the data and the methods behind a result."""

from __future__ import annotations

import math
from typing import Any

from kapmeta import checking
from kapmeta._version import __version__
from kapmeta.checking import chosen
from kapmeta.methods import Method
from kapmeta.references import papers_of

__all__ = ["cite"]

_TITLE = "kapmeta: honest meta-analysis for few, sparse trials"
_AUTHORS = "The kapmeta developers"


@checking.checked
def cite(result: Any = None, *, style: str = "text") -> str:
    """List how to cite kapmeta and, given a result, the methods that made it.

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
        One reference per line.

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
    The kapmeta developers. kapmeta: honest meta-analysis for few, sparse trials. ...
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
    return "\n".join([software, *_papers_behind(result)])


def _papers_behind(result: Any) -> list[str]:
    """List the papers of the methods a result names, each once."""
    if result is None:
        return []
    if not callable(getattr(result, "methods_text", None)):
        raise TypeError(
            f"a {type(result).__name__} names no method to cite; give a result of kapmeta"
        )
    return papers_of(_method_words(result))


def _method_words(result: Any) -> set[str]:
    """Collect the words of the methods of a result and of the results it was made from."""
    words = set(getattr(result, "papers", ()))
    method = getattr(result, "method", None)
    if isinstance(method, Method):
        words |= {str(method.tau2), *_with_family(method.ci, "-"), *_with_family(method.model, ",")}
        if math.isfinite(getattr(result, "prediction_low", math.nan)):
            words.add(f"prediction {method.prediction}")
        if result.k > 1 and method.model == "random":
            words.add("q-profile")
    parts = [getattr(result, name, None) for name in ("pooled", "base")]
    parts += [*getattr(result, "results", ()), *getattr(result, "groups", {}).values()]
    return words.union(*(_method_words(part) for part in parts if part is not None))


def _with_family(word: str, mark: str) -> tuple[str, str]:
    """Return a word, and the part before its first `mark`: its family of methods."""
    return word, word.partition(mark)[0]
