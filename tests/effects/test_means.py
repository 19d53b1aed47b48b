"""Effects of outcomes that are measured, from means and standard deviations."""

from __future__ import annotations

from typing import Any

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


def test_worked_values_of_means() -> None:
    """Methods 1.13: MD 10.3, g .450762080416, RoM .126083998982, with their variances."""
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
    ("function", "frame", "message"),
    [
        (km.mean_difference, MEANS.assign(sd_t=[-1, 2]), 'sd_t is negative in row 1 ("A")'),
        (
            km.mean_difference,
            MEANS.assign(n_c=[1, 41]),
            'n_c is not a whole number above 1 in row 1 ("A")',
        ),
        (km.mean_difference, MEANS.drop(columns="sd_c"), 'no column "sd_c"'),
    ],
)
def test_bad_rows_are_named(function: Any, frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError) as error:
        function(frame)
    assert message in str(error.value)


def test_unknown_words() -> None:
    with pytest.raises(ValueError, match='unknown variance "x"; use one of: ls, ub'):
        km.standardized_mean_difference(MEANS, variance="x")
    with pytest.raises(TypeError, match='unknown keyword "mean"; use one of: study, mean_t'):
        km.mean_difference(MEANS, mean="m")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "function", [km.mean_difference, km.standardized_mean_difference, km.ratio_of_means]
)
def test_a_larger_mean_of_the_treated_is_an_effect_above_no_effect(function: Any) -> None:
    swapped = MEANS.rename(columns={"mean_t": "mean_c", "mean_c": "mean_t"})
    assert (function(MEANS).y > 0).all()
    assert (function(swapped).y < 0).all()


def test_two_people_have_a_spread_and_one_arm_may_have_none() -> None:
    small = MEANS.assign(n_t=[2, 2], n_c=[2, 2])
    assert km.mean_difference(small).k == 2
    assert_allclose(km.mean_difference(small).v, [(20.1**2 + 24.7**2) / 2, (900 + 784) / 2])
    one = km.mean_difference(MEANS.assign(sd_t=[0.0, 30.0]))
    assert_allclose(one.v[0], 24.7**2 / 23)
    none = km.mean_difference(MEANS.assign(sd_t=[0.0, 30.0], sd_c=[0.0, 28.0]))
    assert none.k == 1
    assert list(none.excluded) == [0]
    assert none.v[0] == float("inf")
