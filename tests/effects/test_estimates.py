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


def paper(**columns: Any) -> pd.DataFrame:
    """Return one printed effect."""
    return pd.DataFrame({"study": ["A"], **{name: [value] for name, value in columns.items()}})


SCALES = {
    "OR": (np.log, 0.25, 0.5, 1.0),
    "ZCOR": (np.arctanh, 0.40, 0.60, 0.75),
    "PLO": (lambda p: np.log(p / (1 - p)), 0.2, 0.4, 0.6),
    "PAS": (lambda p: np.arcsin(np.sqrt(p)), 0.2, 0.4, 0.6),
    "PLN": (np.log, 0.2, 0.4, 0.8),
    "PR": (lambda p: p, 0.2, 0.4, 0.6),
    "RD": (lambda d: d, -0.5, 0.25, 1.0),
    "MD": (lambda d: d, -2.0, 1.0, 4.0),
}


@pytest.mark.parametrize("measure", SCALES)
def test_printed_numbers_are_read_on_the_scale_of_the_measure(measure: str) -> None:
    """A correlation of 0.60 (0.40 to 0.75) is 0.60, and not tanh(0.60) = 0.54."""
    scale, low, estimate, high = SCALES[measure]
    found = km.reported(paper(estimate=estimate, low=low, high=high), measure=measure)
    assert_allclose(found.y, [scale(estimate)], rtol=1e-12)
    assert_allclose(found.se, [(scale(high) - scale(low)) / 2 / 1.959963984540054], rtol=1e-12)
    shown = found.to_frame().loc[0, ["estimate", "low", "high"]].astype(float)
    assert_allclose(shown, [estimate, low, high], rtol=1e-12)
    by_error = km.reported(paper(estimate=estimate, se=0.25), measure=measure)
    assert_allclose([by_error.y[0], by_error.v[0]], [scale(estimate), 0.0625], rtol=1e-12)


@pytest.mark.parametrize(
    ("measure", "columns", "message"),
    [
        ("HR", {"estimate": 0.8, "p_value": 5.0}, "p_value is not between 0 and 1 in row 1"),
        ("HR", {"estimate": 0.8, "p_value": -0.2}, "p_value is not between 0 and 1 in row 1"),
        ("HR", {"estimate": 0.8, "p_value": 0.0}, "p_value is not between 0 and 1 in row 1"),
        ("HR", {"estimate": 0.8, "p_value": 1.0}, "p_value is not between 0 and 1 in row 1"),
        ("HR", {"estimate": 0.8, "se": -0.2}, "se is not positive in row 1"),
        ("HR", {"estimate": 0.8, "se": 0.0}, "se is not positive in row 1"),
        ("HR", {"estimate": 0.0, "se": 0.2}, "estimate of a ratio is not positive in row 1"),
        ("ZCOR", {"estimate": 1.2, "se": 0.2}, "is out of range in row 1"),
        ("ZCOR", {"estimate": 1.0, "se": 0.2}, "is at the end of its range in row 1"),
        ("PR", {"estimate": 45.0, "se": 0.2}, "is not in 0 to 1; give it as printed"),
        ("PLO", {"estimate": -0.1, "se": 0.2}, "is out of range in row 1"),
        ("PLO", {"estimate": 0.0, "se": 0.2}, "is at the end of its range in row 1"),
        ("PR", {"estimate": 0.1, "low": -0.1, "high": 0.3}, "low of a proportion is out of range"),
        ("RD", {"estimate": 25.0, "se": 2.0}, "is not in -1 to 1"),
        ("PR", {"estimate": 0.4, "p_value": 0.01}, "has no value of no effect"),
        ("OR", {"estimate": 1.0, "p_value": 0.9}, "a p-value of no effect gives none"),
    ],
)
def test_printed_numbers_out_of_range_are_refused_by_row(
    measure: str, columns: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError) as error:
        km.reported(paper(**columns), measure=measure)
    assert message in str(error.value)
    assert '"A"' in str(error.value)


def test_the_ends_of_a_range_may_be_limits() -> None:
    half = km.reported(paper(estimate=0.9, low=0.7, high=1.0), measure="PLO")
    logit = np.log([0.9 / 0.1, 0.7 / 0.3])
    assert_allclose(half.se, (logit[0] - logit[1]) / 1.959963984540054, rtol=1e-12)


@pytest.mark.parametrize(
    ("columns", "level", "message"),
    [
        ({"low": 0.31, "high": 2.10, "se": 0.9}, 0.95, "a standard error of 0.488, but se = 0.9"),
        ({"low": 0.36, "high": 1.79, "se": 0.488}, 0.95, "they agree at level=0.9: check"),
        ({"low": 0.23, "high": 2.81, "se": 0.488}, 0.95, "they agree at level=0.99: check"),
        ({"low": 0.31, "high": 2.10, "p_value": 0.001}, 0.95, "give p = 0.65, but p_value = 0.001"),
        ({"se": 0.488, "p_value": 0.04}, 0.95, "give p = 0.65, but p_value = 0.04"),
    ],
)
def test_precisions_that_contradict_each_other_are_refused(
    columns: dict[str, float], level: float, message: str
) -> None:
    with pytest.raises(ValueError, match=r'disagree in row 1 \("A"\)') as error:
        km.reported(paper(estimate=0.80, **columns), measure="OR", level=level)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("columns", "level"),
    [
        ({"low": 0.31, "high": 2.10, "se": 0.49}, 0.95),
        ({"low": 0.36, "high": 1.79, "se": 0.488}, 0.90),
        ({"low": 0.3, "high": 2.1, "se": 0.5}, 0.95),
        ({"low": 0.31, "high": 2.10, "p_value": 0.6}, 0.95),
        ({"low": 0.31, "high": 2.10, "p_value": 0.7, "se": 0.5}, 0.95),
        ({"low": 0.79, "high": 0.81, "p_value": 0.001}, 0.95),
    ],
)
def test_precisions_that_agree_but_for_rounding_are_accepted(
    columns: dict[str, float], level: float
) -> None:
    assert km.reported(paper(estimate=0.80, **columns), measure="OR", level=level).k == 1


def test_a_row_without_any_precision_is_excluded_with_its_reason() -> None:
    gap = PAPER.assign(low=[0.24, np.nan], high=[0.92, np.nan])
    found = km.reported(gap)
    assert found.excluded == {1: "low, high, se and p_value are empty"}
    assert_allclose(found.select([0]).y, km.reported(PAPER.iloc[:1]).y)
    with pytest.raises(
        ValueError, match=r'nothing gives the precision in row 2 \("Grabski 2022"\)'
    ):
        km.reported(gap, missing="raise")


@pytest.mark.parametrize(
    ("measure", "end"), [("RD", 1.0), ("AS", 1.5707963267948966), ("ZCOR", 0.999), ("PR", 1.0)]
)
def test_what_is_possible_reaches_to_both_ends_and_not_beyond(measure: str, end: float) -> None:
    signs = (1, -1) if measure != "PR" else (1,)
    for sign in signs:
        assert km.reported(paper(estimate=sign * end, se=0.2), measure=measure).k == 1
        with pytest.raises(ValueError, match="out of range in row 1"):
            km.reported(paper(estimate=sign * end * 1.01, se=0.2), measure=measure)


def test_limits_come_before_the_standard_error_and_that_before_the_p_value() -> None:
    both = paper(estimate=0.8, low=0.31, high=2.1, se=0.49, p_value=0.6)
    half = (np.log(2.1) - np.log(0.31)) / 2 / 1.959963984540054
    assert_allclose(km.reported(both, measure="OR").se, [half])
    rest = both.assign(low=np.nan, high=np.nan)
    assert_allclose(km.reported(rest, measure="OR").se, [0.49])
    by_p = both.drop(columns=["low", "high", "se"])
    z = 0.524400512708041  # the normal quantile of 0.7
    assert_allclose(km.reported(by_p, measure="OR").se, [-np.log(0.8) / z])
    assert_allclose(km.reported(by_p, measure="MD").se, [0.8 / z])


def test_a_gap_in_effects_computed_elsewhere_leaves_the_others_as_they_are() -> None:
    rows = pd.DataFrame({"study": list("ABC"), "y": [0.1, np.nan, -0.4], "v": [0.02, 0.05, 0.03]})
    found = km.generic(rows, measure="RR", event="death", event_is_good=False)
    assert list(found.excluded) == [1]
    assert_array_equal(found.y, [0.1, np.nan, -0.4])
    assert_array_equal(found.v, [0.02, np.inf, 0.03])
    assert (found.event, found.event_is_good) == ("death", False)
