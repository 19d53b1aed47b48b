"""Analyses with every count that the printed percentages allow."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import counts
from kapmeta.core.effects.printed_counts import candidate_counts
from kapmeta.effects.counts import Names, counts_of, from_counts, split_names, without_gaps
from kapmeta.methods import Method
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.sweeps import Sweep, analyses_table, repeated
from kapmeta.sensitivity.missingness import COUNT_MEASURES, pooled_again

__all__ = ["rounded_counts"]

_MOST_COUNTS = 20_000


@checking.checked
def rounded_counts(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    method: Method | None = None,
    model: str | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    level: float | None = None,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Sweep:
    """Repeat the analysis with every count that the printed percentages allow.

    A percentage of a large arm, or one without decimals, fits several counts: all of
    them are analysed.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`, with `percent_t` and `percent_c` as printed: text keeps its
        decimals, a number is taken as printed without closing zeros. An empty cell leaves the count
        as it is.
    measure : {"RR", "OR", "RD"}
        Effect measure.
    method, model, tau2, ci, level, mixed
        As in `kapmeta.pool`.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Sweep
        One row per combination of counts. Where no count fits a percentage, counts within one unit
        of its last place are taken, and a note says so.

    Raises
    ------
    ValueError
        If the percentages allow too many combinations.

    References
    ----------
    .. [1] Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in
       the reporting of results in psychology. Soc Psychol Personal Sci 2017;8:363-369.
       https://doi.org/10.1177/1948550616673876

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> sweep = rounded_counts(trials)
    >>> sweep.notes[0]
    'no count of 27 gives the 48.2 % printed for "Dakwar 2019", treatment: neighbours are taken'
    """
    checking.chosen(measure, COUNT_MEASURES, "measure")
    columns, _ = split_names(names)
    trials, gaps = without_gaps(trials, names)
    words = {"model": model, "tau2": tau2, "ci": ci, "level": level, "mixed": mixed}
    base = pool(from_counts(trials, measure, **names), method=method, **words)  # type: ignore[arg-type]
    frame, labels, cells = counts_of(trials, columns)
    there = np.flatnonzero(base.effects.present)
    options, notes = [], list(gaps)
    for i, side in itertools.product(there, "tc"):
        fitting, note = _fitting_counts(frame, labels, int(i), side, cells)
        options.append(fitting)
        notes += [note] if note else []
    _refuse_too_many_counts(options)
    many = np.array(list(itertools.product(*options)), dtype=np.float64)
    found = counts.KERNELS[measure](
        many[:, 0::2], cells["n_t"][there], many[:, 1::2], cells["n_c"][there]
    )
    named = [_combination_text(row, cells, there) for row in many]
    table = analyses_table(named, pooled_again(found, base))
    how = "with every combination of counts that the printed percentages allow"
    return Sweep(
        "counts from percentages",
        table,
        base.effects,
        base,
        tuple(notes),
        repeated(base, len(many), how),
        ("percentages",),
    )


def _refuse_too_many_counts(options: list[list[int]]) -> None:
    several = int(np.prod([len(x) for x in options], dtype=float))
    if several > _MOST_COUNTS:
        raise ValueError(
            f"the percentages allow {several} combinations of counts; at most {_MOST_COUNTS} are"
            " analysed"
        )


def _fitting_counts(
    frame: pd.DataFrame, labels: tuple[str, ...], i: int, side: str, cells: Mapping[str, Any]
) -> tuple[list[int], str]:
    """List the counts that one percentage allows, with a note if none fits it."""
    given, n = int(cells[f"events_{side}"][i]), int(cells[f"n_{side}"][i])
    printed = frame[f"percent_{side}"].iloc[i] if f"percent_{side}" in frame else None
    if printed is None or pd.isna(printed):
        return [given], ""
    text = printed.strip() if isinstance(printed, str) else f"{printed:g}"
    fitting, consistent = candidate_counts(text, n)
    arm = "treatment" if side == "t" else "control"
    if consistent:
        odd = (
            f'{given} of {n} is not the {text} % printed for "{labels[i]}", {arm}: counts that are'
            " it are taken"
        )
        return list(fitting), "" if given in fitting else odd
    none = (
        f'no count of {n} gives the {text} % printed for "{labels[i]}", {arm}: neighbours are taken'
    )
    return list(fitting) or [given], none


def _combination_text(row: Any, cells: Mapping[str, Any], there: Any) -> str:
    pairs = zip(row[0::2], cells["n_t"][there], row[1::2], cells["n_c"][there], strict=True)
    return "; ".join(f"{a:g}/{n1:g} v {c:g}/{n2:g}" for a, n1, c, n2 in pairs)
