"""What a trial not yet read would have to show: each finding pooled as if it had been read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.sensitivity.unread_trials import unread_trial

TRIALS = pd.DataFrame(
    {
        "study": ["A", "B"],
        "events_t": [40, 31],
        "n_t": [60, 45],
        "events_c": [22, 15],
        "n_c": [60, 45],
    }
)

POOLINGS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "random": lambda t: km.pool(km.risk_ratio(t)),
    "common": lambda t: km.pool(km.risk_difference(t), model="common"),
    "mantel-haenszel": lambda t: km.mantel_haenszel(t, measure="OR"),
    "peto": km.peto,
    "conditional": lambda t: km.pool_exact(t, model="conditional"),
    "beta-binomial": lambda t: km.pool_exact(t, model="beta-binomial"),
    "posterior": lambda t: km.pool_bayes(km.odds_ratio(t), tau_prior=0.75),
    "posterior from counts": lambda t: km.pool_bayes(t, mu_prior=(0.0, 2.0)),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_each_finding_is_pooled_as_if_the_trial_had_been_read(name: str) -> None:
    pooling = POOLINGS[name]
    found = unread_trial(pooling(TRIALS), n_t=12, n_c=9, study="C")
    assert len(found.curve) == 13
    assert set(found.curve["events_c"]) == {3}  # 37 of 105 controls had the event
    for i in (1, 8):
        row = found.curve[found.curve["events_t"] == i].iloc[0]
        trial = pd.DataFrame({"study": ["C"], "events_t": i, "n_t": 12, "events_c": 3, "n_c": 9})
        whole = pooling(pd.concat([TRIALS, trial], ignore_index=True))
        expected = (whole.estimate, whole.low, whole.high)
        np.testing.assert_allclose(row[["y", "y_low", "y_high"]].astype(float), expected, rtol=1e-9)


def test_the_turning_point_is_where_the_interval_turns() -> None:
    found = unread_trial(POOLINGS["posterior"](TRIALS), n_t=39, n_c=19, study="C")
    runs = found.ranges()
    assert list(runs["verdict"]) == [0, 1]
    last, first = runs["events_high"].iloc[0], runs["events_low"].iloc[1]
    assert first == last + 1
    low = found.to_frame().set_index("events_t")["low"]
    assert low[last] <= 1 < low[first]
    text = found.summary()
    assert f"at most {last:g} events among 39 treated" in text
    assert "(39 v 19 people, 7 events among controls)" in text
    assert "lies above 1. With C" in text
    assert "how likely they are is not part of the analysis" in found.methods_text()


def test_one_trial_is_joined_in_a_bayesian_model_and_says_so() -> None:
    one = TRIALS.head(1)
    found = unread_trial(km.pool(km.risk_ratio(one)), n_t=39, n_c=19, control_risk=0.4)
    assert "half-normal(0.5) prior of tau" in found.summary()
    row = found.curve[found.curve["events_t"] == 20].iloc[0]
    trial = pd.DataFrame({"study": ["C"], "events_t": 20, "n_t": 39, "events_c": 8, "n_c": 19})
    both = km.risk_ratio(pd.concat([one, trial], ignore_index=True))
    assert row["y_low"] == pytest.approx(km.pool_bayes(both, tau_prior=0.5).low, rel=1e-9)


def test_a_result_that_nothing_turns_says_so() -> None:
    found = unread_trial(km.mantel_haenszel(TRIALS), n_t=3, n_c=3)
    assert "the interval still does, whatever it found" in found.summary()
    assert len(found.ranges()) == 1


def test_effects_without_counts_take_a_standard_error() -> None:
    effects = km.generic(
        pd.DataFrame({"study": ["A", "B"], "y": [0.3, 0.5], "v": [0.02, 0.03]}), y="y", v="v"
    )
    base = km.pool(effects, model="common")
    found = unread_trial(base, se=0.2)
    turn = found.ranges()["high"].iloc[0]
    # the lower limit is 0 where sum(w y) = 1.96 sqrt(sum(w))
    w = np.array([50.0, 100 / 3, 25.0])
    exact = (1.959963984540054 * np.sqrt(w.sum()) - w[:2] @ [0.3, 0.5]) / w[2]
    step = float(np.diff(found.curve["trial_y"]).max())
    assert exact - step <= turn <= exact
    assert np.isnan(found.curve["events_t"]).all()


def test_large_arms_are_thinned_to_a_thousand_findings() -> None:
    found = unread_trial(km.mantel_haenszel(TRIALS), n_t=1_000_000, n_c=1_000_000)
    assert len(found.curve) <= 1001


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "n_t must be a whole number of at least 1: got None"),
        ({"n_t": 20}, "n_c must be a whole number of at least 1: got None"),
        ({"n_t": 20, "n_c": 0}, "n_c must be a whole number of at least 1: got 0"),
        ({"n_t": 2.5, "n_c": 5}, "n_t must be a whole number"),
        ({"n_t": 20, "n_c": 10, "se": 0.2}, "not both"),
        ({"se": -1.0}, "se must be above 0"),
        ({"n_t": 20, "n_c": 10, "control_risk": 1.2}, "control_risk is a proportion"),
    ],
)
def test_a_trial_of_which_too_little_is_known_is_refused(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        unread_trial(km.pool(km.risk_ratio(TRIALS)), **keywords)


def test_what_cannot_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="pooled from counts: give n_t and n_c"):
        unread_trial(km.mantel_haenszel(TRIALS), se=0.2)
    with pytest.raises(TypeError, match="result must come from pool"):
        unread_trial(km.risk_ratio(TRIALS), n_t=1, n_c=1)  # type: ignore[arg-type]
    shares = km.pool(km.proportion(TRIALS, events="events_t", n="n_t"))
    with pytest.raises(ValueError, match="no value of no effect"):
        unread_trial(shares, n_t=1, n_c=1)
    printed = {"study": ["A", "B"], "estimate": [1.5, 2.0], "low": [1.1, 1.2], "high": [2.05, 3.33]}
    reported = km.reported(pd.DataFrame(printed), measure="RR")
    with pytest.raises(ValueError, match="give control_risk"):
        unread_trial(km.pool(reported), n_t=20, n_c=10)
    assert len(unread_trial(km.pool(reported), n_t=20, n_c=10, control_risk=0.3).curve) == 21
