"""Made-up rows for the tests of designs: arms that share a control, one trial at several times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def close(found: Any, reference: Any, rtol: float = 1e-9, atol: float = 0.0) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(reference, float), rtol=rtol, atol=atol
    )


def shared_rows() -> pd.DataFrame:
    """Return two comparisons that share a control arm."""
    counts = {"events_t": [10, 8], "n_t": [24, 24], "events_c": [4, 4], "n_c": [25, 25]}
    names = {
        "study": ["A", "A"],
        "comparison_id": [1, 2],
        "treatment": ["high", "low"],
        "control": ["placebo"] * 2,
    }
    return pd.DataFrame({**names, **counts})


def times(**columns: Any) -> pd.DataFrame:
    """Return one comparison at two times."""
    frame = pd.DataFrame(
        {
            "study": ["A"] * 3,
            "comparison_id": [1, 2, 3],
            "treatment": ["k"] * 3,
            "control": ["p"] * 3,
            "months": [1, 3, 6],
            "events_t": [18, 14, 10],
            "n_t": [30] * 3,
            "events_c": [10, 6, 4],
            "n_c": [31] * 3,
        }
    )
    return frame.assign(**columns)
