"""Means, proportions, correlations and rates on the named front."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km

MEANS = pd.DataFrame(
    {
        "study": ["A", "B"],
        "mean_t": [86.2, 70.0],
        "sd_t": [20.1, 30.0],
        "n_t": [24, 40],
        "mean_c": [75.9, 66.0],
        "sd_c": [24.7, 28.0],
        "n_c": [23, 41],
    }
)
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


def test_worked_values_of_means() -> None:
    """Methods 1.13: MD 10.3, v 43.359402173913; g .450762080416, LS .0873064855484; RoM .126083998982."""
    assert_allclose(
        [km.mean_difference(MEANS).y[0], km.mean_difference(MEANS).v[0]],
        [10.3, 43.359402173913],
        rtol=1e-12,
    )
    g = km.standardized_mean_difference(MEANS)
    assert_allclose([g.y[0], g.v[0]], [0.450762080416, 0.0873064855484], rtol=1e-11)
    assert_allclose(
        km.standardized_mean_difference(MEANS, variance="ub").v[0], 0.087493667193, rtol=1e-10
    )
    assert_allclose(km.ratio_of_means(MEANS).y[0], 0.126083998982, rtol=1e-11)
    assert km.pool(km.mean_difference(MEANS)).k == 2


def test_a_mean_without_a_logarithm_is_listed() -> None:
    effects = km.ratio_of_means(MEANS.assign(mean_c=[75.9, -1.0]))
    assert effects.k == 1
    assert "B gives no estimate: the numbers give no variance" in effects.summary()


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
        (km.mean_difference, MEANS.assign(sd_t=[-1, 2]), 'sd_t is negative in row 1 ("A")'),
        (
            km.mean_difference,
            MEANS.assign(n_c=[1, 41]),
            'n_c is not a whole number above 1 in row 1 ("A")',
        ),
        (km.mean_difference, MEANS.drop(columns="sd_c"), 'no column "sd_c"'),
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


@pytest.mark.parametrize(("y", "v"), [(1.0, 1e-300), (1.0, 1e300), (-1e60, 1.0)])
def test_units_in_which_intervals_overflowed_are_refused_by_row(y: float, v: float) -> None:
    frame = pd.DataFrame({"study": ["A", "B"], "y": [0.1, y], "v": [0.2, v]})
    with pytest.raises(ValueError, match=r'too large or too small.*in row 2 \("B"\).*another unit'):
        km.generic(frame)


def test_unknown_words() -> None:
    with pytest.raises(ValueError, match='unknown transform "probit"; use one of: logit'):
        km.proportion(ARMS, transform="probit")
    with pytest.raises(ValueError, match='unknown variance "x"; use one of: ls, ub'):
        km.standardized_mean_difference(MEANS, variance="x")
    with pytest.raises(TypeError, match='unknown keyword "mean"; use one of: study, mean_t'):
        km.mean_difference(MEANS, mean="m")  # type: ignore[call-arg]
