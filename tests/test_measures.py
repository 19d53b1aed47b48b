"""Effect measures: the side of no effect on which an interval lies."""

from __future__ import annotations

import numpy as np

from kapmeta.measures import MEASURES, exclusion_sentence, side_of


def test_an_interval_lies_on_a_side_of_no_effect_only_where_there_is_one() -> None:
    low, high = [0.1, -0.2, -0.3, np.nan, 0.0], [0.3, 0.1, -0.1, np.nan, 0.2]
    assert side_of(low, high).tolist() == [1, 0, -1, 0, 0]
    ratio = MEASURES["RR"]
    side = ratio.side(low, high)
    shown = ratio.side(np.exp(low), np.exp(high), shown=True)
    assert side is not None
    assert shown is not None
    assert side.tolist() == shown.tolist() == [1, 0, -1, 0, 0]
    assert exclusion_sentence(side, ratio.null) == "The interval excludes 1 in 2 of 5."
    for key in ("PR", "PLN", "PLO", "PAS"):
        assert MEASURES[key].side(0.1, 0.3) is None
    assert exclusion_sentence(None, None) == ""
