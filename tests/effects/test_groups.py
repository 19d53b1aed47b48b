"""Proportions, correlations and rates of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km

ARMS = pd.DataFrame({"study": ["A", "B"], "events": [13, 0], "n": [27, 28]})
PAIRS = pd.DataFrame({"study": ["A", "B"], "r": [0.3, -0.4], "n": [50, 80]})
RATES = pd.DataFrame(
    {
        "study": ["A", "B"],
        "events_t": [30, 0],
        "time_t": [60.0, 9.5],
        "events_c": [45, 3],
        "time_c": [58.0, 9.0],
    }
)


@pytest.mark.parametrize(
    ("transform", "shown"),
    [("logit", 13 / 27), ("raw", 13 / 27), ("log", 13 / 27), ("arcsine", 13 / 27)],
)
def test_proportions_are_shown_as_proportions(transform: str, shown: float) -> None:
    effects = km.proportion(ARMS, transform=transform, event="abstinence")
    assert_allclose(effects.to_frame()["estimate"].iloc[0], shown, rtol=1e-12)
    assert effects.k == 2


def test_correlations_and_rates() -> None:
    z = km.correlation(PAIRS)
    assert_allclose(z.y, np.arctanh([0.3, -0.4]))
    assert_allclose(z.v, [1 / 47, 1 / 77])
    rates = km.rate_ratio(RATES)
    assert_allclose(rates.y[0], np.log(30 / 60 / (45 / 58)))
    assert rates.corrected.tolist() == [False, True]


@pytest.mark.parametrize(
    ("function", "frame", "message"),
    [
        (
            km.proportion,
            ARMS.assign(events=[28, 0]),
            'events exceed total in row 1 ("A"): events = 28 > n = 27',
        ),
        (km.proportion, ARMS.assign(n=[27, 0]), 'n is 0 in row 2 ("B")'),
        (km.correlation, PAIRS.assign(r=[1.0, 0.1]), 'r is not between -1 and 1 in row 1 ("A")'),
        (km.correlation, PAIRS.assign(n=[50, 3]), 'n is below 4 in row 2 ("B")'),
        (km.rate_ratio, RATES.assign(time_c=[58.0, 0.0]), 'time_c is 0 in row 2 ("B")'),
        (
            km.rate_ratio,
            RATES.assign(events_t=[3.5, 0]),
            'events_t is not a whole number in row 1 ("A")',
        ),
        (km.rate_ratio, RATES.assign(time_t=[-1.0, 2]), 'time_t is negative in row 1 ("A")'),
    ],
)
def test_bad_rows_are_named(function: Any, frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError) as error:
        function(frame)
    assert message in str(error.value)


def test_unknown_words() -> None:
    with pytest.raises(ValueError, match='unknown transform "probit"; use one of: logit'):
        km.proportion(ARMS, transform="probit")


def test_boundaries_of_what_a_group_may_be() -> None:
    """Four pairs are enough, everybody may have the event, and an empty arm is corrected."""
    assert_allclose(km.correlation(PAIRS.assign(n=[4, 5])).v, [1.0, 0.5])
    for r in (1.0, -1.0):
        with pytest.raises(ValueError, match="r is not between -1 and 1"):
            km.correlation(PAIRS.assign(r=[0.3, r]))
    full = km.proportion(ARMS.assign(events=[27, 0]), transform="raw")
    assert_allclose(full.to_frame()["estimate"].iloc[0], 1.0)
    rates = km.rate_ratio(RATES)
    assert_allclose(rates.y[1], np.log(0.5 / 9.5 / (3.5 / 9.0)))
    assert_allclose(rates.v, [1 / 30 + 1 / 45, 1 / 0.5 + 1 / 3.5])


def test_a_group_is_named_by_keyword_and_its_gap_by_row() -> None:
    rates = km.rate_ratio(
        RATES.assign(events_t=[30, None]),
        event="seizure",
        event_is_good=False,
        treatment="drug",
        control="placebo",
    )
    words = (rates.event, rates.event_is_good, rates.treatment, rates.control)
    assert words == ("seizure", False, "drug", "placebo")
    assert list(rates.excluded) == [1]
    assert_allclose(rates.v[0], 1 / 30 + 1 / 45)
