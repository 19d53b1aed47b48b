"""Calibration: the methods paragraph of a simulation."""

from __future__ import annotations

import kapmeta as km
from tests.sensitivity.test_multiverses import PLAIN


def test_a_calibration_describes_its_simulation() -> None:
    card = km.sensitivity.calibration(PLAIN, draws=100, tau=[0.5], true_effects=[1.0, 2.0])
    text = card.methods_text()
    assert "simulated 100 meta-analyses of 5 trials" in text
    assert "mean risk ratio (1, 2) and a between-study standard deviation (0.5, log scale)" in text
    assert "control risks 0.24, 0.13, 0.22, 0.057, 0.017" in text
    assert "Morris TP" in text
