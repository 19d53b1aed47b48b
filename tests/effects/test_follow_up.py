"""Sustained outcomes over time: risk ratios, hazard ratios and event-free time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.effects.follow_up import event_free_curve, event_free_time, hazard_ratio
from tests.helpers.design_data import close, times


def test_event_free_curve() -> None:
    curve = event_free_curve(times().iloc[[2, 0, 1]])
    frame = curve.to_frame()
    assert frame["months"].tolist() == [1, 3, 6]
    close(np.log(frame["estimate"]), [0.62057649, 0.88008768, 0.94908055], 1e-8)
    assert (frame["band_low"] < frame["low"]).all()
    assert (frame["band_high"] > frame["high"]).all()
    close(curve.covariance[0], np.full(3, 0.08996416), 1e-7)
    assert 1.96 < curve.band_quantile < 2.4
    assert repr(curve) == "FollowUp(A, 3 times)"
    assert "Simultaneous 95 % band" in curve.summary()
    assert curve.alt_text() == curve.summary()
    assert "<table" in curve._repr_html_()
    lost = event_free_curve(times(events_c=[10, 6, 0]))
    assert "6 months: no estimate, an arm has no events" in lost.summary()
    assert "A: risk ratio of sustained outcome over time." in lost.summary()
    named = event_free_curve(times(event=["remission"] * 3))
    assert "A: risk ratio of sustained remission over time." in named.summary()
    assert lost.covariance.shape == (2, 2)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"events_t": [10, 14, 18]},
            'events_t rises over time in row 2 \\("A"\\).*a sustained outcome cannot return',
        ),
        ({"n_c": [31, 31, 30]}, "n_c changes over time in row 3"),
        ({"months": [1, 1, 6]}, "a time appears twice in row 2"),
        ({"study": ["A", "A", "B"]}, "a curve is of one trial: got 2"),
        ({"months": [1, None, 6]}, "months is missing in row 2"),
    ],
)
def test_curves_refuse_what_is_not_a_sustained_outcome(
    columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        event_free_curve(times(**columns))


def test_hazard_ratios_and_event_free_time_are_effects() -> None:
    """Methods 6.7."""
    two = pd.concat([times(), times(study="B", events_t=[30, 30, 30], events_c=[31, 31, 31])])
    found = hazard_ratio(two)
    close([found.y[0], found.se[0]], [-0.907857338, 0.403635182], 2e-9)
    assert found.measure == "HR"
    assert not found.event_is_good
    assert found.excluded == {1: "no event"}
    assert found.event == "no event"
    assert hazard_ratio(two, event="death").event == "death"
    last = hazard_ratio(times(), method="one-time")
    close([last.y[0], last.se[0]], [-0.622665889, 0.327360650], 2e-9)
    months = event_free_time(times(), horizon=6)
    areas = [
        np.trapezoid([1, *shares], [0, 1, 3, 6])
        for shares in ([18 / 30, 14 / 30, 10 / 30], [10 / 31, 6 / 31, 4 / 31])
    ]
    difference = areas[0] - areas[1]
    close(months.y[0], difference)
    assert months.measure == "MD"
    assert months.event == "months of event"
    with pytest.raises(ValueError, match='"A" was followed for 6 months, less than horizon = 12'):
        event_free_time(times(), horizon=12)
    with pytest.raises(ValueError, match='unknown method "cox"'):
        hazard_ratio(times(), method="cox")


@pytest.mark.parametrize("horizon", [0.0, -1.0])
def test_a_horizon_that_is_no_time_is_refused(horizon: float) -> None:
    rows = pd.DataFrame(
        {"study": ["A"], "months": [3], "events_t": [8], "n_t": [20], "events_c": [5], "n_c": [20]}
    )
    with pytest.raises(ValueError, match="horizon must be above 0, in months"):
        km.effects.event_free_time(rows, horizon=horizon)


def test_trials_named_in_a_nullable_text_column_have_curves() -> None:
    rows = pd.DataFrame(
        {
            "study": pd.array(["A"] * 2, dtype="string"),
            "months": [1, 3],
            "n_t": [30] * 2,
            "n_c": [31] * 2,
            "events_t": [18, 14],
            "events_c": [10, 6],
        }
    )
    assert event_free_curve(rows).to_frame()["estimate"].notna().all()
