"""S-values, worst cases and E-values with few trials, and the sentences about them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta import small_study
from kapmeta.results.effects import Effects
from tests.helpers.labelled_effects import effects_of


def test_bounds_need_no_minimum(few: Effects) -> None:
    """Worked values of the method specification, at k = 5 and k = 3, without force."""
    found = small_study.publication_bias_sensitivity(few)
    assert found["s_value"] == found["s_value_limit"] == math.inf
    assert found["worst_case"] == pytest.approx(math.exp(1.0361700), rel=1e-6)
    assert "No amount of such selection brings the estimate to no effect." in found.summary()
    three = small_study.publication_bias_sensitivity(
        effects_of([0.9, 0.2, 0.8], [0.05, 0.09, 0.4], "RR"), target=1.5
    )
    assert 1 < three["s_value"] < math.inf
    assert "times as likely to be published would bring the estimate to RR 1.5." in three.summary()
    assert small_study.fail_safe_n(few)["n"] > 0


def test_worst_case_and_ratios_in_the_table(few: Effects) -> None:
    table = small_study.publication_bias_sensitivity(few, ratios=(1.0, 5.0)).to_frame()
    assert table["ratio"].tolist() == [1.0, 5.0, math.inf]
    assert_allclose(np.log(table["estimate"][1:]), [1.01771367, 1.0361700], rtol=1e-7)
    robust = small_study.publication_bias_sensitivity(few, model="robust")
    assert robust.to_frame()["se"].notna().all()


@pytest.mark.parametrize(
    ("y", "text"),
    [([0.1, 0.2, -0.1], "None could have been favoured"), ([2.0, 3.0, 2.5], "no worst case")],
)
def test_all_or_no_trial_affirmative(y: list[float], text: str) -> None:
    found = small_study.publication_bias_sensitivity(effects_of(y, [0.1, 0.2, 0.1]))
    assert math.isnan(found["s_value"])
    assert text in found.summary()


def test_direction_follows_the_outcome(bcg: Effects) -> None:
    """Tuberculosis is bad: low odds ratios favour the vaccine and are published more readily."""
    found = small_study.publication_bias_sensitivity(bcg)
    other = small_study.publication_bias_sensitivity(bcg, favoured="positive")
    assert found["affirmative"] == 8
    assert other["affirmative"] == 0
    assert found.to_frame()["estimate"].iloc[-1] > found.to_frame()["estimate"].iloc[0]
    chosen = small_study.selection_model(bcg, weight="half-normal")
    assert chosen.estimate == pytest.approx(
        small_study.selection_model(bcg, weight="half-normal", favoured="negative").estimate
    )
    assert chosen.estimate != pytest.approx(
        small_study.selection_model(bcg, weight="half-normal", favoured="positive").estimate
    )


def test_e_value_of_worked_examples() -> None:
    single = km.pool(effects_of([math.log(2.7447)], [0.0262], "RR"))
    found = small_study.e_value(single)
    assert found["estimate"] == pytest.approx(4.93296, abs=1e-4)
    low = math.exp(single.low)
    assert found["limit"] == pytest.approx(low + math.sqrt(low * (low - 1)))
    wide = km.pool(effects_of([0.2], [0.4], "RR"))
    assert small_study.e_value(wide)["limit"] == 1
    odds = km.pool(effects_of([math.log(4.0)], [0.1], "OR"))
    assert small_study.e_value(odds, common_outcome=True)["estimate"] == pytest.approx(
        2 + math.sqrt(2)
    )
    assert small_study.e_value(odds, common_outcome=False)["estimate"] == pytest.approx(
        4 + math.sqrt(12)
    )
    with pytest.raises(ValueError, match="say common_outcome=True or False"):
        small_study.e_value(odds)
    with pytest.raises(ValueError, match="an E-value needs a ratio"):
        small_study.e_value(km.pool(effects_of([0.2], [0.4], "RD")))
    with pytest.raises(TypeError, match="pooled must be a result of pool"):
        small_study.e_value(2.7)  # type: ignore[arg-type]


def test_randomised_trials_in_an_e_value_are_named() -> None:
    trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    found = small_study.e_value(km.pool(km.risk_ratio(trials)))
    assert any("randomised" in note for note in found.notes)
