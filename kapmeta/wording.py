"""Results in words: every sentence, label and table the results print is made here from their numbers."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd


def number(x: Any, digits: int = 2) -> str:
    """`x` with `digits` decimals between 0.1 and 1000, as many significant figures outside; infinity as its sign."""
    if math.isnan(x):
        return "not estimable"
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x and not 0.095 <= abs(x) < 999.5:
        return (
            f"{x:.{digits}g}" if abs(x) < 1 else f"{x:.0f}" if abs(x) < 1e5 else f"{x:.{digits}e}"
        )
    return f"{x:.{digits}f}"


def p_text(p: Any) -> str:
    """A p-value as papers print it."""
    if math.isnan(p):
        return "p not available"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def percent(level: float) -> str:
    """A confidence level as a percentage without idle decimals."""
    return f"{100 * level:.4g} %"


def interval_text(estimate: Any, low: Any, high: Any) -> str:
    """``2.74 (1.89 to 3.98)``."""
    return f"{number(estimate)} ({number(low)} to {number(high)})"


def effect_text(short: str, estimate: Any, low: Any, high: Any, unit: str = "") -> str:
    """``RR 2.74 (1.89 to 3.98)``; a ratio without an upper limit is told by its lower one."""
    if math.isinf(estimate) and math.isfinite(low):
        return f"{short} above {number(low)}, without an upper limit (no event in the control arm)"
    return f"{short} {interval_text(estimate, low, high)}{' ' * bool(unit)}{unit}"


def joined(items: Iterable[str]) -> str:
    """``a, b and c``."""
    words = list(items)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def capital(text: str) -> str:
    """`text` with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by column, for sentences made from them."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def studies(k: int) -> str:
    """``1 study``, ``3 studies``."""
    return f"{k} {'study' if k == 1 else 'studies'}"


def plural(name: str) -> str:
    """The name of a measure for more than one: ``risk ratios``, ``ratios of means``, ``proportions (log)``."""
    return re.sub(r"(?= of | \(|$)", "s", name, count=1)


def analyses(n: int) -> str:
    """``1 analysis``, ``3 analyses``."""
    return f"{n:,} {'analysis' if n == 1 else 'analyses'}"


def html_table(frame: pd.DataFrame) -> str:
    """A small HTML table with numbers as the texts print them."""
    shown = frame.copy()
    for column in shown.columns:
        if pd.api.types.is_float_dtype(shown[column]):
            shown[column] = ["" if math.isnan(x) else number(x) for x in shown[column]]
    return str(shown.to_html(index=False, border=0, na_rep=""))


def page(text: str, frame: pd.DataFrame | None) -> str:
    """Write what a notebook shows of a result: a paragraph per sentence, and a table if given."""
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in text.splitlines())
    return lines if frame is None else lines + html_table(frame)
