"""Effects of trials that have a label and nothing else."""

from __future__ import annotations

from typing import Any

import pandas as pd

import kapmeta as km
from kapmeta.results.effects import Effects


def effects_of(y: Any, v: Any, measure: str = "GEN", **words: Any) -> Effects:
    """Build effects from values and variances, of a good event, labelled Trial 1 ..."""
    frame = pd.DataFrame({"study": [f"Trial {i + 1}" for i in range(len(y))], "y": y, "v": v})
    return km.generic(frame, y="y", v="v", measure=measure, **{"event_is_good": True, **words})
