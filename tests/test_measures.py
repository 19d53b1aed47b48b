"""Effect measures: the side of no effect on which an interval lies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapmeta.measures import MEASURES, exclusion_sentence, measure_named, side_of


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


ROWS = {
    # key: ratio, value of no effect, counts people, smallest and largest value
    "RR": (True, 1.0, True, -math.inf, math.inf),
    "OR": (True, 1.0, True, -math.inf, math.inf),
    "PETO": (True, 1.0, True, -math.inf, math.inf),
    "HR": (True, 1.0, True, -math.inf, math.inf),
    "IRR": (True, 1.0, True, -math.inf, math.inf),
    "ROM": (True, 1.0, False, -math.inf, math.inf),
    "RD": (False, 0.0, True, -math.inf, math.inf),
    "AS": (False, 0.0, True, -math.inf, math.inf),
    "MD": (False, 0.0, False, -math.inf, math.inf),
    "SMD": (False, 0.0, False, -math.inf, math.inf),
    "PR": (False, None, True, 0.0, 1.0),
    "PLN": (True, None, True, 0.0, 1.0),
    "PLO": (False, None, True, 0.0, 1.0),
    "PAS": (False, None, True, 0.0, 1.0),
    "ZCOR": (False, None, False, -math.inf, math.inf),
    "GEN": (False, 0.0, False, -math.inf, math.inf),
}


@pytest.mark.parametrize("key", MEASURES)
def test_every_measure_has_its_scale(key: str) -> None:
    measure = measure_named(key)
    found = (measure.ratio, measure.null, measure.counts, *measure.limits)
    assert found == ROWS[key]
    assert measure.key == key
    assert measure.compares is (measure.null is not None)


@pytest.mark.parametrize(
    ("key", "analysed", "shown"),
    [
        *((key, math.log(2.5), 2.5) for key in ("RR", "OR", "PETO", "HR", "IRR", "ROM")),
        *((key, -0.4, -0.4) for key in ("RD", "AS", "MD", "SMD", "GEN")),
        ("PR", 0.3, 0.3),
        ("PLN", math.log(0.3), 0.3),
        ("PLO", -1.0986122886681098, 0.25),  # log of 1 / 3
        ("PAS", math.pi / 6, 0.25),  # the arcsine of a half
        ("ZCOR", 0.5493061443340548, 0.5),  # half the log of 3
    ],
)
def test_effects_go_to_the_scale_shown_and_back(key: str, analysed: float, shown: float) -> None:
    measure = measure_named(key)
    assert float(measure.shown(analysed)) == pytest.approx(shown, rel=1e-14)
    assert float(measure.analysed(shown)) == pytest.approx(analysed, rel=1e-14)
    limits = measure.shown_interval(analysed, analysed - 0.1, analysed + 0.1)
    assert limits.estimate == pytest.approx(shown)
    assert limits.low < limits.estimate < limits.high


def test_proportions_are_shown_within_0_and_1_and_logarithms_of_nothing_are_none() -> None:
    for key in ("PR", "PAS"):
        assert measure_named(key).shown([-0.2, 1.7]).tolist() == [0.0, 1.0]
    assert float(measure_named("PLN").shown(0.2)) == 1.0
    assert np.isnan(measure_named("RR").analysed(-1.0))
    assert float(measure_named("RR").analysed(0.0)) == -np.inf
    assert float(measure_named("RR").shown(1000.0)) == np.inf


def test_an_interval_that_meets_no_effect_lies_on_neither_side() -> None:
    assert side_of([1.0, 0.5, 1.01, 0.5], [2.0, 1.0, 2.0, 0.99], 1.0).tolist() == [0, 0, 1, -1]
    assert exclusion_sentence(np.array([1, 0, -1]), 0.0, " subsets") == (
        "The interval excludes 0 in 2 of 3 subsets."
    )
    assert exclusion_sentence(np.array([1]), None) == exclusion_sentence(None, 1.0) == ""


def test_an_unknown_measure_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match='unknown measure "rr"; use one of: RR, OR, PETO, HR'):
        measure_named("rr")
