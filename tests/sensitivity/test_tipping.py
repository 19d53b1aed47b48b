"""Tipping points of one trial and of a pooled result."""

from __future__ import annotations

import numpy as np
import pytest

from kapmeta.core.effects import single_trial
from kapmeta.sensitivity.missingness import missing_outcomes
from kapmeta.sensitivity.tipping import tipping_point
from tests.helpers.small_trials import TRIALS_WITH_MISSING as TRIALS


def test_tipping_of_one_trial_is_the_nearest_table_with_the_other_verdict() -> None:
    found = tipping_point(TRIALS.iloc[:1])
    surface = found.to_frame()
    assert len(surface) == 5 * 10
    point = surface[
        (surface["events_t"] == found.points["events_t"])
        & (surface["events_c"] == found.points["events_c"])
    ]
    assert point["verdict"].item() != surface["verdict"].iloc[0]
    nearer = surface[surface["events_t"] + surface["events_c"] < found.points["events"]]
    assert (nearer["verdict"] == surface["verdict"].iloc[0]).all()
    row = surface.iloc[7]
    score = single_trial.koopman(20 + row["events_t"], 40, 8 + row["events_c"], 41)
    np.testing.assert_allclose([row["y_low"], row["y_high"]], [score.low, score.high], rtol=1e-12)
    assert "It turns when" in found.summary()
    never = tipping_point(TRIALS.iloc[:1].assign(events_t=34, events_c=1, missing_t=1, missing_c=1))
    assert never.points == {}
    assert "It does so whatever happened to the 2 missing" in never.summary()
    assert repr(found) == "Tipping(counts, 50 points, RR)"
    assert found._repr_html_().startswith("<p>RR ")


def test_tipping_of_a_pooled_result_is_where_the_limit_meets_no_effect() -> None:
    found = tipping_point(TRIALS, model="common", target=1.5)
    assert set(found.points) == {
        path + extra
        for path in ("both arms", "treatment only", "control only")
        for extra in ("", ", estimate 1.5")
    }
    factor = found.points["both arms"]
    assert factor > 1
    at = missing_outcomes(TRIALS, strategies=[], imor=[(1 / factor, factor)], model="common").table
    assert at["y_low"][0] == pytest.approx(0, abs=1e-9)
    factor = found.points["both arms, estimate 1.5"]
    at = missing_outcomes(TRIALS, strategies=[], imor=[(1 / factor, factor)], model="common").table
    assert np.exp(at["y"][0]) == pytest.approx(1.5, rel=1e-9)
    assert (
        np.isinf(found.points["treatment only"])
        or found.points["treatment only"] > found.points["both arms"]
    )
    text = found.summary()
    size = f"{found.points['both arms']:.2f} times"
    assert f"both arms: {size} lower under treatment and {size} higher under control" in text
    assert "against treatment" not in text
    with pytest.raises(ValueError, match="target is a risk ratio and lies above 0: got -1"):
        tipping_point(TRIALS, target=-1.0)
    middle = found.to_frame().iloc[41 * 20 + 20]
    assert middle["imor_t"] == pytest.approx(1)


def test_an_open_result_tips_the_other_way() -> None:
    weak = TRIALS.assign(events_t=[12, 9, 8])
    found = tipping_point(weak, model="common")
    assert 0 < found.points["both arms"] < 1
    at = missing_outcomes(
        weak,
        strategies=[],
        imor=[(1 / found.points["both arms"], found.points["both arms"])],
        model="common",
    ).table
    assert at["y_low"][0] == pytest.approx(0, abs=1e-9)
