"""Information size, error spending and sequential boundaries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core.certainty.information import (
    alpha_spent,
    diversity,
    obrien_fleming_boundaries,
    required_information_size,
)
from kapmeta.core.numerics.distributions import normal_quantile

# Boundaries of Lan and DeMets, O'Brien-Fleming type, two-sided 0.05, to the digits of the standard
# tables; made with an independent 2001-point trapezoid recursion.
QUARTERS = [4.33263, 2.96313, 2.35904, 2.01409]
FIFTHS = [4.87688, 3.35701, 2.68028, 2.28982, 2.03103]
CONTROL = 35 / 213  # control events of five trials over their participants


@pytest.mark.parametrize(
    ("ratio", "power", "size"),
    [(2, 0.8, 215.956), (2, 0.9, 289.104), (1.5, 0.8, 759.099), (1.25, 0.8, 2803.396)],
)
def test_information_size_of_the_worked_example(ratio: float, power: float, size: float) -> None:
    assert float(required_information_size(CONTROL, ratio * CONTROL, power=power)) == pytest.approx(
        size, abs=5e-4
    )


def test_information_size_is_symmetric_and_honest_at_the_ends() -> None:
    assert required_information_size(0.2, 0.4) == required_information_size(0.4, 0.2)
    assert required_information_size(0.3, 0.3) == np.inf
    assert np.isnan(required_information_size(0.6, 1.2))
    assert required_information_size([0.1, 0.2], 0.5).shape == (2,)


@given(st.floats(0.01, 0.9), st.floats(0.01, 0.9), st.floats(0.5, 0.95))
def test_size_found_has_the_power_asked_for(p0: float, p1: float, power: float) -> None:
    if abs(p0 - p1) < 1e-3:
        return
    n = float(required_information_size(p0, p1, power=power))
    middle = (p0 + p1) / 2
    drift = abs(p1 - p0) / np.sqrt(4 * middle * (1 - middle) / n)  # the defining equation
    assert drift == pytest.approx(float(normal_quantile(0.975) + normal_quantile(power)), rel=1e-12)


def test_boundaries_are_those_of_the_tables() -> None:
    assert obrien_fleming_boundaries([0.25, 0.5, 0.75, 1]) == pytest.approx(QUARTERS, abs=6e-6)
    assert obrien_fleming_boundaries([0.2, 0.4, 0.6, 0.8, 1]) == pytest.approx(FIFTHS, abs=6e-6)


def test_one_look_at_the_end_is_the_plain_test() -> None:
    assert obrien_fleming_boundaries([1.0])[0] == pytest.approx(
        float(normal_quantile(0.975)), rel=1e-13
    )


def test_boundaries_spend_what_they_may() -> None:
    """A million paths under no effect leave the boundaries as often as the error spent."""
    times = np.array([0.3, 0.55, 0.8, 1.0])
    boundary = obrien_fleming_boundaries(times)
    rng = np.random.default_rng(20240611)
    steps = rng.standard_normal((300_000, 4)) * np.sqrt(np.diff(times, prepend=0))
    z = np.abs(steps.cumsum(axis=1)) / np.sqrt(times)
    left = (z > boundary).cumsum(axis=1) > 0
    spent = alpha_spent(times)
    tolerance = 4 * np.sqrt(spent * (1 - spent) / 300_000)
    assert (np.abs(left.mean(axis=0) - spent) < tolerance).all()


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=5, unique=True),
    st.sampled_from([0.01, 0.05, 0.1]),
)
def test_more_looks_never_lower_the_first_boundary_and_all_is_spent_at_one(
    twentieths: list[int], alpha: float
) -> None:
    ordered = [n / 20 for n in sorted(twentieths)]
    found = obrien_fleming_boundaries(ordered, alpha=alpha)
    assert found[0] == pytest.approx(
        float(obrien_fleming_boundaries([ordered[0]], alpha=alpha)[0]), rel=1e-10
    )
    assert (found >= float(normal_quantile(1 - alpha / 2)) * (1 - 1e-12)).all()


def test_information_beyond_the_size_spends_no_more() -> None:
    assert alpha_spent([1.0, 1.7]).tolist() == pytest.approx([0.05, 0.05], rel=1e-12)
    assert obrien_fleming_boundaries([0.5, 1.0, 1.4])[2] == np.inf


def test_diversity_is_the_share_between_studies() -> None:
    assert float(diversity(0.03, 0.04)) == pytest.approx(0.25)
    assert float(diversity(0.02, 0.02)) == 0
