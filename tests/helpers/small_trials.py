"""Five trials with a zero cell, two of them invented, and three trials with missing outcomes."""

from __future__ import annotations

import pandas as pd

FIVE_TRIALS = pd.DataFrame(
    {
        "study": ["S1", "S2", "S3", "S4", "S5"],
        "year": [1997, 2020, 2007, 2002, 2019],
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)

TRIALS_WITH_MISSING = pd.DataFrame(
    {
        "study": ["A", "B", "C"],
        "events_t": [20, 12, 14],
        "n_t": [40, 35, 30],
        "events_c": [8, 6, 7],
        "n_c": [41, 33, 31],
        "missing_t": [4, 0, 2],
        "missing_c": [9, 3, 2],
    }
)
