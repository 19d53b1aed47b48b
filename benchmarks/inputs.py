"""Inputs that every package is timed on: a published data set, and simulated ones by fixed seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from kapmeta.core.numerics.arrays import FloatArray

# BCG vaccine against tuberculosis (Colditz and others, JAMA 1994;271:698-702): events and totals,
# treated and control.
BCG = {
    "events_t": [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    "n_t": [123, 306, 231, 13598, 5069, 1541, 2545, 88391, 7499, 1716, 50634, 2498, 16913],
    "events_c": [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    "n_c": [139, 303, 220, 12867, 5808, 1451, 629, 88391, 7277, 1665, 27338, 2341, 17854],
}


class Studies(NamedTuple):
    """Effects and variances, (k,) or (analyses, k)."""

    y: FloatArray
    v: FloatArray


def bcg() -> Studies:
    """Compute the log risk ratios and variances of the 13 BCG trials."""
    a, n1, c, n2 = (
        np.array(BCG[name], dtype=np.float64) for name in ("events_t", "n_t", "events_c", "n_c")
    )
    return Studies(np.log(a / n1) - np.log(c / n2), 1 / a - 1 / n1 + 1 / c - 1 / n2)


def simulated(*shape: int, seed: int = 2026) -> Studies:
    """Simulate effects about 0.4, between-study variance 0.09, unequal sampling variances."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.5, shape)
    return Studies(rng.normal(0.4, 0.3, shape) + rng.normal(size=shape) * np.sqrt(v), v)


def counted(k: int, seed: int = 2026) -> pd.DataFrame:
    """Simulate 2 x 2 tables of k trials with 30 to 200 people per arm."""
    rng = np.random.default_rng(seed)
    n = rng.integers(30, 200, k)
    return pd.DataFrame(
        {"events_t": rng.binomial(n, 0.3), "n_t": n, "events_c": rng.binomial(n, 0.4), "n_c": n}
    )
