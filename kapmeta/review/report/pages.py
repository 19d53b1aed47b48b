"""The page: contents in the template, checked against the saved results."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kapmeta import checking
from kapmeta.review.evidence import Evidence
from kapmeta.review.report.contents import PageContents, gather
from kapmeta.review.report.tables import differing, read_results

__all__ = ["render", "require_same", "write_page"]


@checking.checked
def write_page(
    evidence: Evidence,
    folder: str | os.PathLike[str],
    *,
    results: str | os.PathLike[str] | None = None,
) -> Path:
    """Write ``index.html`` for readers: one static file that needs no network.

    The same evidence and the same versions give the same bytes; no date is written.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    folder : str or path-like
        Where to write; it is made if need be.
    results : str or path-like, optional
        The folder of saved tables. Each table of the page is compared with the saved one of its
        name, if there is one.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ValueError
        If a number on the page is not the one in the results.

    Examples
    --------
    >>> import tempfile
    >>> import kapmeta as km
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     km.review.write_page(km.load_evidence(), folder).name
    'index.html'
    """
    target = Path(folder) / "index.html"
    saved = None if results is None else Path(results)
    contents = gather(evidence)
    if saved is not None:
        require_same(contents, saved)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(render(contents).encode())
    return target


def require_same(contents: PageContents, results: Path) -> None:
    """Refuse contents whose tables are not those saved under the same names."""
    found = []
    for table in contents.tables.values():
        saved = read_results(results, table.name)
        if saved is not None:
            found += list(differing(table, saved))
    if found:
        raise ValueError(
            "the page and the results differ; run the notebooks again\n  " + "\n  ".join(found)
        )


def render(contents: PageContents) -> str:
    """Render the page as text."""
    environment = Environment(
        loader=PackageLoader("kapmeta.review.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parts = {name: Markup(_template_file(f"page.{name}")) for name in ("css", "js")}
    text = environment.get_template("page.html").render(page=contents, **parts)
    return re.sub(r"(\d) %", "\\1\N{NO-BREAK SPACE}%", text)


def _template_file(name: str) -> str:
    """Read a file of the templates; it is ours, so nothing in it needs escaping."""
    return (files("kapmeta.review.report") / "templates" / name).read_text(encoding="utf-8")
