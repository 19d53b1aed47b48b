"""Data sets of the tests of sparse-data models, as tables, frames and effects."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from kapmeta.core.exact.likelihood_curves import CURVES, Tables
from kapmeta.core.numerics.arrays import FloatArray
from tests.helpers.places import REFERENCE

# KAP5 of the method specification: for testing only, S2 and S4 are invented
ROWS = {
    "S1": (73, 111, 24, 100),
    "S2": (6, 17, 3, 23),
    "S3": (13, 26, 6, 27),
    "S4": (6, 35, 2, 35),
    "S5": (12, 27, 0, 28),
}
SETS = {
    "kap5": ("S1", "S2", "S3", "S4", "S5"),
    "alcohol2": ("S1", "S2"),
    "opioid2": ("S3", "S4"),
    "k3_S1S3S5": ("S1", "S3", "S5"),
    "cocaine1": ("S5",),
}
COLUMNS = ["study", "events_t", "n_t", "events_c", "n_c"]
# 73/111 v 24/100 and 14/17 v 15/23, section 2.10 of the method specification
STRESS = pd.DataFrame([("A", 73, 111, 24, 100), ("B", 14, 17, 15, 23)], columns=COLUMNS)


@cache
def expected() -> dict[str, Any]:
    """Read ``tests/reference/sparse_values.json``; its header has packages and versions."""
    path = REFERENCE / "sparse_values.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def frame(name: str) -> pd.DataFrame:
    """Return the rows of a data set."""
    return pd.DataFrame([(study, *ROWS[study]) for study in SETS[name]], columns=COLUMNS)


def tables_of(rows: Any) -> Tables:
    """Stack rows (events, total, events, total) as 2 x 2 tables."""
    a, n1, c, n2 = np.array(rows, dtype=float).T
    return Tables(a, n1 - a, c, n2 - c)


def tables(name: str) -> Tables:
    """Return the tables of a data set."""
    return tables_of([ROWS[study] for study in SETS[name]])


def r_tables(record: dict[str, Any], *, informative: bool = True) -> Tables:
    """Return the tables of a record from R, by default those that have an odds ratio."""
    a, n1, c, n2 = (
        np.array(record["inputs"][key], dtype=float) for key in ("ai", "n1i", "ci", "n2i")
    )
    keep = (a + c > 0) & (a + c < n1 + n2) if informative else np.ones(a.size, dtype=bool)
    return tables_of(np.stack([a, n1, c, n2], axis=1)[keep])


def log_risk_ratios(name: str) -> tuple[FloatArray, FloatArray]:
    """Compute log risk ratios and variances, 0.5 added to the cells of a table with a zero."""
    t = tables(name)
    half = 0.5 * ((t.a == 0) | (t.b == 0) | (t.c == 0) | (t.d == 0))
    a, c, n1, n2 = t.a + half, t.c + half, t.n1 + 2 * half, t.n2 + 2 * half
    return np.log(a / n1 / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2


ARMS = st.integers(1, 25).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
table_rows = st.tuples(ARMS, ARMS).map(lambda x: (*x[0], *x[1]))
"""Strategy of tables with arms of 1 to 25: events and totals of both arms."""


def brute_log_likelihood(measure: str, name: str, mu: float, tau: float) -> float:
    """Compute the marginal log-likelihood by a trapezoid sum of 20,001 points."""
    x = np.linspace(-13, 13, 20_001)
    t, total = tables(name), 0.0
    for i in range(t.a.size):
        loglik = CURVES[measure](t.row(i), (mu + tau * x)[None]).loglik[0]
        total += math.log(np.trapezoid(np.exp(loglik - x * x / 2), x) / math.sqrt(2 * math.pi))
    return total
