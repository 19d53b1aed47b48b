"""Absolute risks and numbers needed to treat: worked examples and identities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.certainty import absolute_risks as to
from kapmeta.core.effects import counts


def test_worked_examples_of_absolute_effects() -> None:
    risk = to.absolute_risk([2.25, 1.0, 5.0], 0.22, "RR")
    assert risk.capped.tolist() == [False, False, True]
    difference = risk.risk - 0.22
    needed = to.number_needed_to_treat(0.0, difference[0], 5 * 0.22 - 0.22, event_is_good=True)
    assert float(needed.number) == pytest.approx(3.6363636, rel=1e-7)
    assert (float(needed.benefit_low), float(needed.benefit_high)) == pytest.approx(
        (1.1363636, np.inf), rel=1e-7
    )
    assert np.isnan(needed.harm_low)
    risk = to.absolute_risk([2.25, 1.1, 5.0], 0.22, "OR")
    assert risk.risk[0] == pytest.approx(0.388235294, rel=1e-9)
    middle, low, high = risk.risk - 0.22
    needed = to.number_needed_to_treat(low, middle, high, event_is_good=True)
    found = [float(x) for x in (needed.number, needed.benefit_low, needed.benefit_high)]
    assert found == pytest.approx([5.944056, 2.738928, 59.55711], rel=1e-6)


def test_worked_example_of_a_summary_of_findings_row() -> None:
    ratio = [2.74467867789, 1.99803478486, 3.77033528242]
    risk = to.absolute_risk(ratio, 0.130434783, "RR")
    assert 1000 * risk.risk == pytest.approx([358.0016, 260.6132, 491.7829], rel=1e-6)
    middle, low, high = risk.risk - 0.130434783
    assert 1000 * np.array([middle, low, high]) == pytest.approx(
        [227.5668, 130.1785, 361.3481], rel=1e-6
    )
    needed = to.number_needed_to_treat(low, middle, high, event_is_good=True)
    found = [float(x) for x in (needed.number, needed.benefit_low, needed.benefit_high)]
    assert found == pytest.approx([4.394314, 2.767415, 7.681763], rel=1e-6)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_absolute_risk_gives_back_the_risk_under_treatment(
    n1: int, n2: int, data: st.DataObject
) -> None:
    a, c = data.draw(st.integers(1, n1)), data.draw(st.integers(1, n2))
    effects = {
        "RR": np.exp(counts.risk_ratio(a, n1, c, n2, zero="none").y) if (a, c) != (n1, n2) else 1.0,
        "RD": a / n1 - c / n2,
        "AS": counts.arcsine_difference(a, n1, c, n2).y,
    }
    if a < n1 and c < n2:
        effects["OR"] = effects["PETO"] = np.exp(counts.odds_ratio(a, n1, c, n2).y)
        effects["HR"] = np.log(1 - a / n1) / np.log(1 - c / n2)
    for measure, effect in effects.items():
        risk = to.absolute_risk(effect, c / n2, measure).risk
        assert float(risk) == pytest.approx(a / n1, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("measure", to.ABSOLUTE)
def test_no_effect_leaves_the_baseline_and_bad_baselines_are_nan(measure: str) -> None:
    null = 0.0 if measure in ("RD", "AS") else 1.0
    risk = to.absolute_risk(null, [0.0, 0.25, 1.0, -0.1, 1.1, np.nan], measure)
    np.testing.assert_allclose(
        risk.risk, [0.0, 0.25, 1.0, np.nan, np.nan, np.nan], rtol=1e-14, atol=1e-16
    )
    assert not risk.capped.any()
    if measure not in ("RD", "AS"):
        assert np.isnan(to.absolute_risk(-1.0, 0.2, measure).risk)


def test_a_hazard_ratio_raises_survival_to_its_power() -> None:
    """Survival of .8 to the power .5: a risk of 20 % falls to 10.6 %, and not to 44.7 %."""
    risk = to.absolute_risk([0.5, 1.0, 2.0], 0.2, "HR").risk
    np.testing.assert_allclose(risk, [0.105572809, 0.2, 0.36], rtol=1e-9)
    needed = to.number_needed_to_treat(-0.1, risk[0] - 0.2, -0.05, event_is_good=False)
    assert float(needed.number) == pytest.approx(10.5902, abs=1e-4)
    assert needed.benefit


def test_caps() -> None:
    for measure, effects in (("RD", [-0.3, 0.8]), ("AS", [-0.5, 1.3])):
        risk = to.absolute_risk(effects, 0.22, measure)
        assert risk.risk.tolist() == [0, 1]
        assert risk.capped.all()
    ends = to.absolute_risk([0.0, np.inf], 0.22, "OR")
    assert ends.risk.tolist() == [0, 1]
    assert not ends.capped.any()
    assert to.absolute_risk(np.inf, 0.22, "RR").capped


def test_an_unknown_measure_is_refused_with_the_table() -> None:
    with pytest.raises(
        ValueError,
        match='no absolute risk from measure "SMD"; use one of: RR, OR, PETO, HR, RD, AS',
    ):
        to.absolute_risk(1.0, 0.2, "SMD")


def _parts(*difference: float, event_is_good: bool = True) -> tuple[float, ...]:
    needed = to.number_needed_to_treat(*difference, event_is_good=event_is_good)
    return tuple(float(x) for x in needed)


def test_numbers_needed_by_the_side_of_the_interval() -> None:
    inf, nan = np.inf, np.nan
    cases = {
        (0.1, 0.2, 0.5): (5.0, 1, 2.0, 10.0, nan, nan),
        (-0.5, -0.2, -0.1): (5.0, 0, nan, nan, 2.0, 10.0),
        (-0.05, 0.1, 0.25): (10.0, 1, 4.0, inf, 20.0, inf),
        (0.0, 0.1, 0.25): (10.0, 1, 4.0, inf, nan, nan),
        (-0.25, -0.1, 0.0): (10.0, 0, nan, nan, 4.0, inf),
        (0.0, 0.0, 0.0): (inf, 0, nan, nan, nan, nan),
        (nan, nan, nan): (nan, 0, nan, nan, nan, nan),
    }
    for difference, expected in cases.items():
        np.testing.assert_allclose(_parts(*difference), expected, rtol=1e-14)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_a_bad_event_swaps_benefit_and_harm(values: Any) -> None:
    low, middle, high = sorted(values)
    number, benefit, *parts = _parts(low, middle, high)
    bad_number, bad_benefit, *bad_parts = _parts(low, middle, high, event_is_good=False)
    assert bad_number == number
    assert bad_benefit == (not benefit and middle != 0)
    np.testing.assert_array_equal(bad_parts, parts[2:] + parts[:2])
