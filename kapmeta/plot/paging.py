"""Forest plots of many trials, over several pages with the same columns and the same axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from matplotlib.axes import Axes

from kapmeta import checking
from kapmeta.plot.forest_page.columns import Column, Row
from kapmeta.plot.forest_page.contents import Options, forest_contents
from kapmeta.plot.forest_page.grouping import Forest, Overall
from kapmeta.plot.forests import axis_request, drawn_page, page_width
from kapmeta.plot.style import Theme, theme_named

__all__ = ["forest_pages"]


@checking.checked
def forest_pages(
    result: Forest,
    *,
    rows: int = 60,
    overall: Overall = None,
    theme: str | Theme = "kapmeta",
    left: Iterable[str | Column] = (),
    right: Iterable[str | Column] = (),
    drop: Iterable[str] = (),
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
    xlim: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
) -> tuple[Axes, ...]:
    """Draw a forest plot over several pages, for results of more than some sixty trials.

    Columns, axis and squares are the same on every page, so that pages can be laid side by side.
    Notes are on the last page. With few enough rows it is the one figure that `forest` draws.

    Parameters
    ----------
    result, overall, theme, left, right, drop, title, notes, width, xlim, ticks
        As in `forest`.
    rows : int
        Most rows on a page.

    Returns
    -------
    tuple of Axes
        One per page, each in a figure of its own.

    Raises
    ------
    ValueError
        As `forest`, or if a page may hold fewer than five rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.paging import forest_pages
    >>> from kapmeta.results.effects import Effects
    >>> labels = tuple(f"Trial {i}" for i in range(12))
    >>> effects = Effects([0.5] * 12, [0.1] * 12, labels, "RR", pd.DataFrame({"study": labels}))
    >>> len(forest_pages(effects, rows=6))
    2
    """
    if checking.instance(rows, int, "rows", "be a whole number, the most on a page") < 5:
        raise ValueError(f"rows = {rows} leaves too little on a page; use 5 or more")
    look = theme_named(theme)
    contents = forest_contents(
        result, overall, look, Options(left, right, drop, title=title, notes=notes)
    )
    parts = _page_ranges(contents.rows, rows)
    asked = axis_request(contents, xlim, ticks)._replace(width=page_width(width))
    found = []
    for number, (first, last) in enumerate(parts, start=1):
        heading = f"{contents.title or contents.name} ({number} of {len(parts)})"
        titled = replace(contents, title=heading if len(parts) > 1 else title)
        found.append(drawn_page(titled, look, asked._replace(rows=(first, last))))
    return tuple(found)


def _page_ranges(rows: Sequence[Row], most: int) -> list[tuple[int, int]]:
    """Divide rows into pages of even length; return the first row and the one after the last.

    No page begins with a gap or ends with a heading.
    """
    count = math.ceil(len(rows) / most)
    even = math.ceil(len(rows) / count)
    parts = []
    first = 0
    while first < len(rows):
        last = min(first + even, len(rows))
        while last < len(rows) and last > first + 1 and not _may_break(rows[last - 1], rows[last]):
            last -= 1
        parts.append((first, last))
        first = last
        while first < len(rows) and rows[first].kind == "gap":
            first += 1
    return parts


def _may_break(above: Row, below: Row) -> bool:
    inseparable = ("pooled", "prediction", "remark")
    return above.kind not in ("heading", "gap") and below.kind not in inseparable
