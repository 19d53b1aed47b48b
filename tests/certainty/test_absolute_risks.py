"""Absolute effects and numbers needed to treat at baseline risks."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects, number_needed_to_treat
from kapmeta.review.evidence import Evidence, load_evidence
from tests.helpers.five_trials import FIVE


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


@pytest.fixture(scope="module")
def common() -> km.Pooled:
    return km.pool(km.risk_ratio(FIVE, event_is_good=True), model="common")


def test_absolute_effect_at_the_median_control_risk(common: km.Pooled) -> None:
    row = absolute_effects(common).to_frame().iloc[1]
    found = [
        1000 * row[name]
        for name in ("treatment", "low", "high", "difference", "difference_low", "difference_high")
    ]
    assert found == pytest.approx(
        [358.0016, 260.6132, 491.7829, 227.5668, 130.1785, 361.3481], abs=6e-5
    )
    assert row["control"] == pytest.approx(0.130434783, abs=1e-9)
    needed = number_needed_to_treat(common).iloc[1]
    assert [needed["number"], needed["benefit_low"], needed["benefit_high"]] == pytest.approx(
        [4.394314, 2.767415, 7.681763], abs=1e-6
    )


def test_baselines_are_the_quartiles_of_the_control_risks(common: km.Pooled) -> None:
    frame = absolute_effects(common).to_frame()
    assert frame["control"].tolist() == pytest.approx([2 / 35, 3 / 23, 6 / 27])
    assert [name.split(":")[0].split(" ")[0] for name in frame["baseline"]] == [
        "low",
        "median",
        "high",
    ]


def test_odds_ratio_uses_the_odds(common: km.Pooled) -> None:
    odds = dataclasses.replace(
        km.pool(km.odds_ratio(FIVE, event_is_good=True), model="common"),
        estimate=math.log(2.25),
        low=math.log(1.1),
        high=math.log(5),
    )
    row = absolute_effects(odds, baseline=0.22).to_frame().iloc[0]
    assert row["treatment"] == pytest.approx(0.388235294, abs=1e-9)
    needed = number_needed_to_treat(odds, baseline=0.22).iloc[0]
    assert [needed["number"], needed["benefit_low"], needed["benefit_high"]] == pytest.approx(
        [5.944056, 2.738928, 59.55711], rel=1e-6
    )


def test_interval_across_zero_goes_through_infinity(evidence: Evidence) -> None:
    frame = number_needed_to_treat(km.review.answer(evidence, "alcohol-randomised"))
    assert math.isinf(frame["benefit_high"].item())
    assert math.isinf(frame["harm_high"].item())
    assert " to ∞ to NNTH " in frame["nnt"].item()


def test_limit_beyond_one_is_cut_and_marked_but_an_estimate_beyond_one_is_refused(
    common: km.Pooled,
) -> None:
    capped = absolute_effects(common, baseline={"high risk": 0.3}).to_frame()
    assert capped["capped"].item()
    assert capped["high"].item() == 1
    with pytest.raises(
        ValueError, match='cannot hold at baseline "very high": 0.5 x 2.745 is a risk beyond 1'
    ):
        absolute_effects(common, baseline={"very high": 0.5})


def test_an_estimate_beyond_one_at_a_trials_own_baseline_is_cut_and_marked() -> None:
    """New trials must not stop the page: nobody chose the quartiles of their control risks."""
    trials = FIVE.iloc[:4].assign(events_c=[24, 3, 24, 2])
    pooled = km.pool(km.risk_ratio(trials), model="common")
    frame = absolute_effects(
        dataclasses.replace(pooled, estimate=math.log(3), high=math.log(4))
    ).to_frame()
    assert frame["capped"].tolist() == [False, False, True]
    assert frame[["treatment", "high"]].to_numpy().max() <= 1


@pytest.mark.parametrize("baseline", [0, 1, 22, -0.1])
def test_baseline_is_a_proportion(common: km.Pooled, baseline: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        absolute_effects(common, baseline=float(baseline))


def test_infinite_ratio_gives_the_trials_own_risks(evidence: Evidence) -> None:
    row = absolute_effects(km.review.answer(evidence, "cocaine-6-months")).to_frame().iloc[0]
    assert (row["control"], row["treatment"]) == (0, pytest.approx(12 / 27))
    assert 0 < row["difference_low"] < row["difference"] < row["difference_high"] < 1


def test_means_have_no_absolute_risk(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match="mean difference has no absolute risk"):
        absolute_effects(km.review.answer(evidence, "alcohol-days"))


def test_a_ratio_of_a_risk_that_nobody_has_makes_no_difference_and_no_nan() -> None:
    counts = {"events_t": [5, 4], "n_t": [20, 20], "events_c": [0, 0], "n_c": [20, 19]}
    nobody = pd.DataFrame({"study": ["A", "B"], **counts})
    told = absolute_effects(km.pool(km.odds_ratio(nobody, event_is_good=True))).summary()
    assert "no difference" in told
    assert "nan" not in told


def test_one_trial_has_the_risks_and_the_interval_of_its_own_counts() -> None:
    """Newcombe's interval of the difference, not the limits of the ratio at the control risk."""
    one = pd.DataFrame(
        {"study": ["B"], "events_t": [13], "n_t": [27], "events_c": [3], "n_c": [28]}
    )
    for effects in (km.risk_ratio(one), km.odds_ratio(one), km.risk_difference(one)):
        row = absolute_effects(km.pool(effects)).table.iloc[0]
        shown = [row[f"difference{end}"] for end in ("", "_low", "_high")]
        own = km.pool(km.risk_difference(one, interval="newcombe"))
        assert shown == pytest.approx([own.estimate, own.low, own.high], rel=1e-12)
        assert not row["capped"]
    named = absolute_effects(km.pool(km.risk_ratio(one)), baseline=3 / 28).table.iloc[0]
    assert named["difference_high"] > 0.8  # the ratio at that baseline, beyond the interval
