"""The calibration card: the pilot simulation, known coverages, and Monte-Carlo errors."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from kapmeta.core.sensitivity.calibration import RISKS, performance, simulated
from kapmeta.core.sensitivity.universes import Analysis
from kapmeta.sensitivity.simulation.calibrations import CARD, calibration

KAP5 = pd.DataFrame(
    {
        "study": [
            "S1",
            "S2",
            "S3",
            "S4",
            "S5",
        ],  # methods 0.4: two of the trials are invented for tests
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)


EFFECTS = {
    "RR": lambda p1, p0: np.log(p1 / p0),
    "OR": lambda p1, p0: np.log(p1 / (1 - p1) * (1 - p0) / p0),
    "RD": lambda p1, p0: p1 - p0,
    "AS": lambda p1, p0: np.arcsin(np.sqrt(p1)) - np.arcsin(np.sqrt(p0)),
}


@pytest.mark.parametrize("measure", RISKS)
def test_trial_effects_keep_their_distribution(measure: str) -> None:
    n = np.full(3, 1e6)
    mean, tau = (0.7, 0.4) if measure in ("RR", "OR") else (0.2, 0.1)
    rng = np.random.default_rng(1)
    cells = simulated(n, n, np.array([0.1, 0.3, 0.9]), mean, tau, 4_000, rng, measure=measure)
    effect = EFFECTS[measure](cells.events_t / n, cells.events_c / n)
    assert effect.mean(0) == pytest.approx(mean, abs=0.05 * tau)
    assert effect.std(0) == pytest.approx(tau, rel=0.05)
    assert (cells.events_t / n).max() < 0.96 or measure != "RR"


def test_large_trials_without_heterogeneity_have_the_coverage_of_theory() -> None:
    rng = np.random.default_rng(2)
    n = np.full(4, 20_000.0)
    cells = simulated(n, n, np.full(4, 0.3), 0.2, 0.0, 4_000, rng)
    analyses = [
        Analysis("RR", "half-if-any", *each)
        for each in (("common", "wald"), ("mantel-haenszel", "wald"), ("common", "hksj"))
    ]
    found = performance(cells, analyses, 0.2)
    np.testing.assert_allclose(found.coverage, 0.95, atol=4 * float(found.coverage_se.max()))
    np.testing.assert_allclose(found.coverage + found.too_high + found.too_low, 1, rtol=1e-12)
    assert (found.failures == 0).all()
    again = performance(cells, analyses, 0.2, level=0.8)
    np.testing.assert_allclose(again.coverage, 0.80, atol=4 * float(again.coverage_se.max()))


def test_the_card_says_what_the_pilot_study_found() -> None:
    """Methods 11.2, k = 3, tau .5: the hybrid covers, Wald and common effect do not."""
    card = calibration(
        KAP5.iloc[[0, 2, 4]],
        control_risks=[0.1, 0.12, 0.15],
        draws=2_000,
        tau=[0.0, 0.5],
        true_effects=[1.0],
    )
    table = card.to_frame().set_index(["tau", "pooling", "ci"])
    assert table.loc[(0.0, "REML", "hksj-hybrid"), "coverage"] > 0.95
    assert table.loc[(0.5, "REML", "hksj-hybrid"), "coverage"] > 0.94
    assert table.loc[(0.5, "common", "wald"), "coverage"] < 0.90
    assert (
        table.loc[(0.5, "REML", "wald"), "coverage"]
        < table.loc[(0.5, "REML", "hksj-hybrid"), "coverage"]
    )
    width = table["median_width"]
    assert (
        width[0.5, "REML", "hksj-variance"]
        > width[0.5, "REML", "hksj-hybrid"]
        > width[0.5, "REML", "wald"]
    )
    assert "common, wald" not in card.kept()
    assert "REML, hksj-variance" in card.kept()
    assert "the narrowest of them is" in card.summary()
    assert "<table" in card._repr_html_()


def test_power_and_error_of_the_first_kind() -> None:
    card = calibration(
        KAP5,
        draws=1_000,
        tau=[0.0],
        true_effects=[1.0, 2.5],
        intervals=[("REML", "hksj-hybrid"), ("DL", "wald")],
    )
    table = card.to_frame().set_index(["effect", "pooling"])
    assert (table.loc[1.0, "excludes"] < 0.07).all()
    assert (table.loc[2.5, "excludes"] > 0.6).all()
    np.testing.assert_allclose(
        table.loc[1.0, "excludes"] + table.loc[1.0, "coverage"], 1, rtol=1e-12
    )
    np.testing.assert_allclose(
        table["coverage_se"],
        np.sqrt(table["coverage"] * (1 - table["coverage"]) / 1_000),
        rtol=1e-12,
    )


def test_the_same_seed_gives_the_same_card() -> None:
    first, second = (calibration(KAP5, draws=100).table for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    other = calibration(KAP5, draws=100, rng=np.random.default_rng(9)).table
    assert not first["median_width"].equals(other["median_width"])


def test_five_thousand_draws_of_eight_intervals_take_seconds() -> None:
    start = time.perf_counter()
    card = calibration(KAP5, tau=[0.5], true_effects=[2.0])
    assert time.perf_counter() - start < 10
    assert len(card.table) == len(CARD) == 8
    assert card.draws == 5_000


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="calibration needs two trials or more: got 1"):
        calibration(KAP5.iloc[:1])
    with pytest.raises(ValueError, match='unknown measure "RD"; use one of: RR, OR'):
        calibration(KAP5, measure="RD")
    with pytest.raises(ValueError, match="true_effects must be a finite number above 0: got -1"):
        calibration(KAP5, true_effects=[-1.0])
    with pytest.raises(ValueError, match="tau must be a finite number at least 0: got -0.1"):
        calibration(KAP5, tau=[-0.1])
    with pytest.raises(ValueError, match="control_risks must be 5 proportions"):
        calibration(KAP5, control_risks=[0.1])
    with pytest.raises(ValueError, match="draws must be at least 2: got 1"):
        calibration(KAP5, draws=1)
    with pytest.raises(ValueError, match='unknown pooling "MH"'):
        calibration(KAP5, intervals=[("MH", "wald")])
