"""headline: what is said with 1, 2, 3 and 5 studies, and where methods disagree."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.pooling.bayes import pool_bayes
from kapmeta.pooling.headlines import headline
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior
from tests.helpers.sparse_data import COLUMNS, STRESS, expected, frame


def _roles(found, role):
    return [entry.name for entry in found.entries if entry.role == role]


def test_one_trial_is_shown_by_itself():
    found = headline(frame("cocaine1"))
    own = found.results[0]
    assert len(found.results) == 1
    assert found.k == 1
    assert isinstance(own, Pooled)
    assert math.isnan(own.tau2)
    assert math.isnan(own.prediction_low)
    assert math.isnan(own.i2)
    assert math.exp(own.low) == pytest.approx(3.60934767655, rel=1e-9)
    assert own.high == math.inf
    assert math.exp(found["exact odds ratio"].low) == pytest.approx(4.27138128395, rel=1e-4)
    assert found["absolute effect"].low == pytest.approx(0.237137907938, rel=1e-9)  # Newcombe
    assert "one trial has no between-study variance" in found.refused[0]


def test_two_trials_the_stress_case():
    """Section 2.10: the conclusion depends on the prior, heterogeneity on the direction."""
    found, printed = headline(STRESS, opposite="relapse"), expected()["printed"]["stress"]
    assert isinstance(found.results[0], Posterior)
    assert found.results[0].tau_prior.name == "half-normal(0.5)"
    np.testing.assert_allclose(
        np.exp([found.results[0].low, found.results[0].high]), printed["0.5"][1:3], rtol=1e-4
    )
    for scale in ("0.25", "1"):
        got = found[f"Bayesian, half-normal({scale})"]
        np.testing.assert_allclose(
            np.exp([got.low, got.high]), printed[str(float(scale))][1:3], rtol=1e-3
        )
    hartung_knapp = found["REML, Hartung-Knapp"]
    np.testing.assert_allclose(
        np.exp([hartung_knapp.low, hartung_knapp.high]), [0.0135, 255.3], rtol=4e-3
    )
    np.testing.assert_allclose(
        np.exp([found["REML, Wald"].low, found["REML, Wald"].high]), [0.8703, 3.9732], rtol=1e-4
    )
    assert _roles(found, "not to be headlined") == ["REML, Hartung-Knapp", "REML, Wald"]
    assert found["if no heterogeneity"].method.model.startswith("Mantel-Haenszel")
    told = " ".join(found.disagreements)
    assert "at a half-normal scale of 0.29" in told
    assert (
        "Q = 8.32 (p = 0.004) for the risk ratio of event, 0.038 (p = 0.85) for that of relapse"
        in told
    )
    assert not found.agrees
    assert found.results[0].tipping_scale() == pytest.approx(0.295, abs=1e-3)


def test_two_trials_with_a_zero_cell_are_headlined_from_the_counts():
    trials = frame("k3_S1S3S5")[1:]
    found = headline(trials)
    assert found.results[0].likelihood == "binomial"
    assert found.results[0].low == pytest.approx(pool_bayes(trials).low)


def test_three_trials_have_two_headlines():
    found = headline(frame("k3_S1S3S5"))
    assert [type(result) for result in found.results] == [Pooled, Posterior]
    assert found.results[0].method.ci == "hksj-hybrid"
    beside = _roles(found, "beside")
    for name in (
        "PM, hybrid Hartung-Knapp",
        "Bayesian from the counts, half-normal(0.5)",
        "binomial-normal",
        "beta-binomial",
    ):
        assert name in beside
    assert any("PM, hybrid Hartung-Knapp (leaves it open)" in text for text in found.disagreements)


def test_five_trials_have_the_random_effects_headline():
    found = headline(frame("kap5"), opposite="relapse")
    main = found.results[0]
    assert len(found.results) == 1
    assert main.k == 5
    assert main.low == km.pool(km.risk_ratio(frame("kap5"))).low
    assert math.isfinite(main.prediction_low)
    assert "DerSimonian-Laird, Wald" in _roles(found, "not to be headlined")
    assert "18.11 (p = 0.001) for that of relapse" in " ".join(found.disagreements)


def test_one_informative_trial_is_shown_by_itself_beside_a_table_without_events():
    trials = pd.DataFrame([("A", 0, 20, 0, 20), ("B", 13, 27, 3, 28)], columns=COLUMNS)
    found, alone = headline(trials), headline(trials[1:])
    assert found.k == 1
    for name in ("the trial's own estimate", "absolute effect"):
        assert found[name].k == 1
        assert found[name].low == alone[name].low


EMPTY = ("Empty", 0, 20, 0, 20)
KAP5 = [tuple(row) for row in frame("kap5").to_numpy()]


@pytest.mark.parametrize("measure", ["RR", "OR"])
@pytest.mark.parametrize(
    "rows",
    [
        [EMPTY, ("B", 13, 27, 3, 28)],
        [EMPTY, *KAP5[:2]],
        [EMPTY, *KAP5[2:5]],
        [EMPTY, *KAP5],
        [EMPTY, ("Zero", 0, 18, 4, 20), *KAP5],
    ],
)
def test_every_entry_has_the_number_of_trials_that_inform(rows, measure):
    found = headline(pd.DataFrame(rows, columns=COLUMNS), measure=measure)
    assert found.k == len(rows) - 1
    assert {entry.result.k for entry in found.entries} == {found.k}
    assert set(found.to_frame()["k"]) == {found.k}


def test_the_posterior_of_one_trial_is_that_of_its_own_effect():
    """Krupitsky 1997: by its counts, without heterogeneity. Once 0.86 to 7.5."""
    trials = pd.DataFrame([("A", 73, 111, 24, 100)], columns=COLUMNS)
    found = headline(trials)["Bayesian from the counts, under a wide prior"]
    np.testing.assert_allclose(np.exp([found.low, found.high]), [1.9467, 4.1433], atol=1e-4)
    assert math.isnan(found.tau_median)
    assert math.isnan(found.prediction_high)
    assert "tau" not in found.summary()
    assert "new study" not in found.summary()
    assert "prediction" not in set(found.to_frame()["row"])
    effects = headline(km.risk_ratio(trials))["Bayesian, under a wide prior"]
    np.testing.assert_allclose(np.exp([effects.low, effects.high]), [1.8787, 3.9603], atol=1e-4)
    with pytest.raises(ValueError, match="leave tau_prior out"):
        pool_bayes(trials, tau_prior=0.5)


def test_chance_is_judged_from_sampling_intervals_only():
    found = headline(pd.DataFrame([("A", 73, 111, 24, 100)], columns=COLUMNS))
    assert found.sampling_sides == (1, 1, 1)  # score, Newcombe, exact; the posterior is none
    assert len(headline(km.risk_ratio(frame("cocaine1"))).sampling_sides) == 1
    assert headline(frame("opioid2")).sampling_sides == (1,)


def test_with_ten_trials_nothing_is_refused_for_being_few():
    found = headline(km.load_example("bcg"))
    assert found.k == 13
    assert "so few studies" not in found.summary()
    assert "below ten" not in found.summary()


def test_effects_without_counts():
    found = headline(km.odds_ratio(frame("alcohol2")))
    assert isinstance(found.results[0], Posterior)
    assert "Bayesian, Turner's prior for subjective outcomes" in _roles(found, "beside")
    assert found["if no heterogeneity"].method.model == "common"
    with_unit = headline(km.risk_difference(frame("alcohol2")))
    assert with_unit.results == ()
    assert "a risk difference has no default prior of tau; call pool_bayes" in " ".join(
        with_unit.refused
    )


def test_views():
    found = headline(STRESS)
    table = found.to_frame()
    assert table["role"].iloc[0] == "headline"
    assert set(table["measure"]) == {"RR"}
    assert table["conclusion"].iloc[0] == "leaves it open"
    assert found.summary().startswith("Headline: Bayesian")
    assert "Refused: " in found.summary()
    assert "Beside it we show" in found.methods_text()
    assert "<table" in found._repr_html_()
    assert "3 disagreements" in repr(found)
    with pytest.raises(KeyError, match="there are: Bayesian"):
        found["nothing"]


def test_agreement_is_said_too():
    trials = pd.DataFrame(
        [("A", 60, 100, 20, 100), ("B", 61, 100, 20, 100), ("C", 58, 100, 19, 100)], columns=COLUMNS
    )
    found = headline(trials)
    assert found.agrees
    assert "No defensible method contradicts another." in found.summary()


def test_nothing_to_say_and_unknown_words():
    with pytest.raises(
        ValueError, match=r"no study has an estimate of the risk ratio.*A: no event in either arm"
    ):
        headline(pd.DataFrame([("A", 0, 10, 0, 12)], columns=COLUMNS))
    with pytest.raises(ValueError, match='unknown measure "RD"; use one of: RR, OR'):
        headline(STRESS, measure="RD")


def test_double_zeros_are_not_counted():
    more = pd.concat(
        [STRESS, pd.DataFrame([("Z", 0, 9, 0, 9)], columns=COLUMNS)], ignore_index=True
    )
    found = headline(more)
    assert found.k == 2
    assert found.results[0].low == pytest.approx(headline(STRESS).results[0].low)


def test_a_notebook_shows_each_analysis_once() -> None:
    found = km.headline(km.odds_ratio(STRESS))
    page = found._repr_html_()
    for entry in found.entries:
        assert page.count(f"<td>{entry.name}</td>") == 1
        assert (f"Headline: {entry.name}" in page) == (entry.role == "headline")
    assert "Beside it" not in page
    assert f"Refused: {found.refused[0][:20]}" in page


@pytest.mark.parametrize("transform", ["logit", "raw", "log", "arcsine"])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_one_group_has_an_estimate_and_an_interval_and_nothing_to_compare(
    transform: str, k: int
) -> None:
    arms = pd.DataFrame({"study": list("ABCDE"), "events": [1, 2, 3, 9, 4], "n": 10}).head(k)
    found = headline(km.proportion(arms, transform=transform))
    text = found.summary()
    assert not any(
        word in text for word in ("favours", "leaves it open", "no effect", "contradict")
    )
    assert set(found.to_frame()["conclusion"]) == {""}
    assert found.to_frame()["probability_above_null"].isna().all()
    assert found.agrees
    assert found.to_frame()[["low", "high"]].stack().between(0, 1).all()


def test_a_headline_without_a_direction_says_fewer_or_more() -> None:
    rows = {"study": list("ABCDE"), "events_t": 3, "n_t": 50, "events_c": 11, "n_c": 50}
    effects = km.risk_ratio(pd.DataFrame(rows), event="death", treatment="drug", control="placebo")
    assert headline(effects).summary().splitlines()[0].endswith("): fewer deaths with drug.")
    bad = km.risk_ratio(
        pd.DataFrame(rows), event="death", treatment="drug", control="placebo", event_is_good=False
    )
    assert headline(bad).summary().splitlines()[0].endswith("): favours drug.")
