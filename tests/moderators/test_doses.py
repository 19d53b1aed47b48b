"""Trends with dose over contrasts of doses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.effects.covariances import sampling_covariance
from kapmeta.moderators.doses import dose_trend
from tests.helpers.design_data import close


def doses(**columns: Any) -> km.Effects:
    frame = pd.DataFrame(
        {
            "study": ["A", "A", "B", "C"],
            "comparison_id": range(4),
            "treatment": ["high", "low", "high", "low"],
            "control": ["placebo"] * 4,
            "dose_t": [2.0, 0.5, 2.0, 0.5],
            "dose_c": [0.0, 0.0, 0.2, 0.0],
            "events_t": [12, 9, 14, 8],
            "n_t": [30, 30, 35, 28],
            "events_c": [5, 5, 6, 6],
            "n_c": [30, 30, 35, 29],
        }
    )
    return km.risk_ratio(frame.assign(**columns))


def test_dose_trend() -> None:
    effects = doses()
    covariance = sampling_covariance(effects)
    found = dose_trend(effects, covariance=covariance)
    x = np.array([2.0, 0.5, 1.8, 0.5])
    weight = np.linalg.solve(covariance, x)
    close([found.slope, found.se], [weight @ effects.y / (weight @ x), (weight @ x) ** -0.5])
    assert found.doses == 4
    assert found.k == 4
    assert found.low < found.slope < found.high
    assert np.isnan(found.tau2)
    row = found.to_frame().iloc[0]
    close(row[["estimate", "low", "high"]], np.exp([found.slope, found.low, found.high]))
    assert (
        f"per unit of dose, from 4 contrasts of 4 doses: {row['estimate']:.2f}" in found.summary()
    )
    assert "one slope is assumed for all trials" in found.summary()
    assert "one slope for all trials" in found.methods_text()
    assert repr(found) == "DoseTrend(RR, 4 contrasts, 4 doses)"
    assert "<table" in found._repr_html_()
    varying = dose_trend(effects, covariance=covariance, random_slope=True)
    assert varying.tau2 >= 0
    assert "variance of the slope between trials" in varying.summary()
    assert "slopes that vary between trials" in varying.methods_text()
    assert varying.se >= found.se * (1 - 1e-9)
    with pytest.raises(
        ValueError,
        match="several contrasts that share patients: give covariance=sampling_covariance",
    ):
        dose_trend(effects)
    with pytest.raises(ValueError, match="needs three different doses or more: got 2"):
        dose_trend(doses(dose_t=2.0, dose_c=0.0), covariance=covariance)
