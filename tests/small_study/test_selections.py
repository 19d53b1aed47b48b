"""Selection models: given weights, weights that the data do not fix, and input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kapmeta import small_study
from kapmeta.results.effects import Effects
from tests.helpers.labelled_effects import effects_of


def test_given_weights_work_at_any_k(few: Effects) -> None:
    found = small_study.selection_model(few, delta=(1.0, 0.5), model="common")
    assert found.estimate < found.unadjusted
    none = small_study.selection_model(few, delta=(1.0, 1.0), model="common")
    assert none.estimate == pytest.approx(none.unadjusted, rel=1e-9)


def test_one_trial_with_given_weights_has_no_between_study_variance() -> None:
    found = small_study.selection_model(
        effects_of([0.4], [0.1]), steps=(0.025, 0.5), delta=(1, 0.5, 0.1)
    )
    assert found.parameters["tau2"] == 0
    assert found.estimate < found.unadjusted == 0.4
    assert "common-effect model" in found.definition
    assert "not estimable" not in found.summary()


def test_weights_that_equal_effects_do_not_fix_are_refused_with_where_the_search_ended() -> None:
    """Ever stronger selection of ever lower effects fits twelve effects of 0.3 ever better."""
    equal = effects_of(np.full(12, 0.3), np.linspace(0.02, 0.4, 12))
    with pytest.raises(
        ValueError, match=r"^the power selection model did not converge: .* mean of -\d.* \(delta\)"
    ):
        small_study.selection_model(equal, weight="power", favoured="positive")
    held = small_study.selection_model(equal, weight="power", delta=(1.0,), favoured="positive")
    assert held.estimate < 0.3


def test_a_missing_standard_error_has_a_note() -> None:
    """Effects far beyond significance do not separate the mean from beta weights."""
    effects = effects_of(3 + np.linspace(-0.1, 0.1, 12), 0.01 * np.linspace(1.3, 1, 12))
    found = small_study.selection_model(effects, weight="beta", model="common")
    assert math.isnan(found.se)
    assert any("no standard error" in note for note in found.notes)


def test_selection_input(smoke: Effects) -> None:
    model = small_study.selection_model
    with pytest.raises(ValueError, match=r"no study has a p-value in \(0, 1e-09\]"):
        model(smoke, steps=(1e-9, 0.5), favoured="positive")
    for steps in ((0.5, 0.025), (0.0, 0.5), (0.5, 1.0)):
        with pytest.raises(ValueError, match="ascending p-values strictly between 0 and 1"):
            model(smoke, steps=steps)
    with pytest.raises(ValueError, match="steps is empty"):
        model(smoke, steps=())
    with pytest.raises(ValueError, match='delta must have 2 values for weight "step": got 3'):
        model(smoke, delta=(1, 0.5, 0.2))
    with pytest.raises(ValueError, match="delta must start with 1 and be positive: got 0.5, 1"):
        model(smoke, delta=(0.5, 1))
    with pytest.raises(ValueError, match="unknown weight function"):
        model(smoke, weight="steps")
    with pytest.raises(ValueError, match='steps would change nothing for weight="beta"'):
        model(smoke, weight="beta", steps=(0.025,))
    extreme = effects_of([0.1] * 11 + [50.0], [0.1] * 12)
    with pytest.raises(ValueError, match=r'p-value is 0 in row 12 \("Trial 12"\): z = 158.1'):
        model(extreme, weight="beta")


def test_copas_does_not_depend_on_the_order_given(smoke: Effects) -> None:
    one, other = (small_study.copas(smoke, published=p) for p in ((0.9, 0.5), (0.5, 0.9)))
    assert one["published"] == other["published"]
    assert one.to_frame()["published"].is_monotonic_decreasing
