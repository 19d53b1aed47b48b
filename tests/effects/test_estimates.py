"""Effects from estimates: as papers print them, or as any table gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import kapmeta as km

PAPER = pd.DataFrame(
    {
        "study": ["Dakwar 2019", "Grabski 2022"],
        "estimate": [0.47, 0.80],
        "low": [0.24, 0.31],
        "high": [0.92, 2.10],
        "measure": "OR",
    }
)


def test_reported_from_limits_standard_errors_and_p_values() -> None:
    """Methods 1.11: -0.755022584278, 0.342795775152; -0.223143551314, 0.48804986758."""
    here = km.reported(PAPER)
    assert_allclose(here.y, [-0.755022584278, -0.223143551314], rtol=1e-11)
    assert_allclose(here.se, [0.342795775152, 0.48804986758], rtol=1e-10)
    assert here.table["asymmetric"].tolist() == [False, False]
    mixed = PAPER.assign(
        low=[0.24, np.nan], high=[0.92, np.nan], se=[0.35, 0.3], p_value=[0.03, 0.46]
    )
    assert_allclose(km.reported(mixed).se, [0.342795775152, 0.3], rtol=1e-10)
    only_p = PAPER.drop(columns=["low", "high"]).assign(p_value=[0.03, 0.6])
    assert_allclose(km.reported(only_p).se[0], 0.755022584278 / 2.1700903775845606, rtol=1e-10)
    difference = pd.DataFrame({"study": ["G"], "estimate": [10.1], "low": [1.1], "high": [19.0]})
    assert_allclose(
        km.reported(difference, measure="MD").se, [17.9 / (2 * 1.959963984540054)], rtol=1e-10
    )
    assert km.reported(PAPER.assign(high=[0.92, 9.0])).table["asymmetric"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (PAPER.assign(low=[0.5, 0.31]), {}, "estimate lies outside its own interval in row 1"),
        (PAPER.assign(estimate=[-0.755, 0.8]), {}, "estimate of a ratio is not positive in row 1"),
        (PAPER.drop(columns=["low", "high"]), {}, "nothing gives the precision in row 1"),
        (
            PAPER.assign(measure=["OR", "HR"]),
            {},
            "measure must be one word for all rows: the column holds OR, HR",
        ),
        (
            PAPER.drop(columns="measure"),
            {},
            "measure must be one word for all rows: there is no such column",
        ),
        (PAPER, {"measure": "or"}, 'unknown measure "or"; use one of: RR, OR'),
        (
            PAPER,
            {"level": 95},
            "level must lie between 0 and 1, a proportion: got 95; use 0.95 for 95 %",
        ),
    ],
)
def test_reported_refuses_what_cannot_be(
    frame: pd.DataFrame, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as error:
        km.reported(frame, **options)
    assert message in str(error.value)


def test_generic() -> None:
    rows = pd.DataFrame({"study": ["A", "B"], "y": [0.1, 0.4], "v": [0.02, 0.05]})
    assert_array_equal(km.generic(rows, measure="SMD").v, [0.02, 0.05])
    for bad in (0.0, -1.0):
        with pytest.raises(ValueError, match=r'v is not positive in row 2 \("B"\)'):
            km.generic(rows.assign(v=[0.02, bad]))


@pytest.mark.parametrize(("y", "v"), [(1.0, 1e-300), (1.0, 1e300), (-1e60, 1.0)])
def test_units_in_which_intervals_overflowed_are_refused_by_row(y: float, v: float) -> None:
    frame = pd.DataFrame({"study": ["A", "B"], "y": [0.1, y], "v": [0.2, v]})
    with pytest.raises(ValueError, match=r'too large or too small.*in row 2 \("B"\).*another unit'):
        km.generic(frame)
