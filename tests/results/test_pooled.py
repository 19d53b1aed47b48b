"""Pooled: its tables and sentences, each with worked values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.results.pooled import (
    Pooled,
    estimate_text,
    heterogeneity_text,
    prediction_text,
    rule_sentence,
)

TRIALS = pd.DataFrame(
    {
        "study": ["Abel 2019", "Baker 2021", "Cruz 2024"],
        "events_t": [12, 9, 20],
        "n_t": [40, 35, 61],
        "events_c": [5, 6, 11],
        "n_c": [41, 33, 60],
    }
)
WORDS: dict[str, Any] = {"event": "abstinence", "treatment": "ketamine", "control": "placebo"}


def pooled_of(trials: pd.DataFrame = TRIALS, **options: Any) -> Pooled:
    return km.pool(km.risk_ratio(trials, **WORDS), **options)


def by_hand() -> dict[str, float]:
    """Return the common-effect mean of the log risk ratios, from their textbook formulas."""
    a, n1, c, n2 = (TRIALS[name].to_numpy(float) for name in ("events_t", "n_t", "events_c", "n_c"))
    y, v = np.log(a / n1 / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2
    mean = float(np.sum(y / v) / np.sum(1 / v))
    q = float(np.sum((y - mean) ** 2 / v))
    excess = np.sum(1 / v) - np.sum(1 / v**2) / np.sum(1 / v)
    return {
        "estimate": mean,
        "v": float(1 / np.sum(1 / v)),
        "q": q,
        "moment": float((q - 2) / excess),
        "half": 1.959963984540054 * float(np.sum(1 / v)) ** -0.5,
    }


def test_the_pooled_row_follows_the_rows_of_the_studies() -> None:
    hand = by_hand()
    frame = pooled_of(model="common").to_frame()
    assert frame["row"].tolist() == ["study"] * 3 + ["pooled"]
    assert frame["study"].tolist() == [*TRIALS["study"], "Common-effect model"]
    row = frame.iloc[3]
    totals = {"events_t": 41, "n_t": 136, "events_c": 22, "n_c": 134, "k": 3, "weight": 1}
    assert {name: row[name] for name in totals} == totals
    assert_allclose([row["y"], row["v"], row["q"]], [hand["estimate"], hand["v"], hand["q"]])
    limits = [hand["estimate"] + side * hand["half"] for side in (0, -1, 1)]
    assert_allclose(row[["estimate", "low", "high"]].astype(float), np.exp(limits))
    assert row["q_df"] == 2
    assert_allclose(frame["weight"].iloc[:3].sum(), 1)


def test_the_moment_estimate_is_not_cut_off_at_zero() -> None:
    random = pooled_of()
    assert_allclose(random.tau2_moment, by_hand()["moment"])
    assert random.tau2_moment < 0 == random.tau2
    assert random.tau2_truncated
    assert not replace(random, tau2=0.1).tau2_truncated
    two = km.pool(random.effects.select([0, 1]))
    assert math.isfinite(two.tau2_moment)
    assert math.isnan(km.pool(random.effects.select([0])).tau2_moment)


def test_a_trial_alone_has_no_totals_and_no_heterogeneity() -> None:
    one = pooled_of(TRIALS.iloc[:1])
    frame = one.to_frame()
    assert frame["row"].tolist() == ["study", "pooled"]
    assert np.isnan(frame["n_t"].iloc[1])
    assert {"tau2", "q", "i2"}.isdisjoint(frame)
    assert heterogeneity_text(one) == "Heterogeneity: one study has none to estimate"
    assert one.summary().startswith(
        "Not pooled: risk ratio of abstinence from 1 study: RR 2.46 (95 % CI 0.95 to 6.35)"
    )
    assert one.alt_text().endswith("Abel 2019 2.46 (0.95 to 6.35). One study; nothing is pooled.")
    table = one._shown_table()
    assert table is not None
    assert len(table) == 1


def test_two_trials_have_totals_but_no_i2_in_words() -> None:
    two = pooled_of(TRIALS.iloc[:2])
    row = two.to_frame().iloc[2]
    assert row["n_c"] == 74
    assert (row["q_df"], row["tau2"]) == (1, two.tau2)
    assert "I²" not in heterogeneity_text(two)
    assert "df = 1" in heterogeneity_text(two)


def test_a_study_set_aside_counts_in_no_total_and_no_sentence_of_results() -> None:
    pooled = pooled_of(TRIALS.assign(events_c=[np.nan, 6, 11]), model="common")
    frame = pooled.to_frame()
    assert frame["row"].tolist() == ["excluded", "study", "study", "pooled"]
    assert frame["n_t"].iloc[3] == 35 + 61
    assert frame["events_t"].iloc[3] == 9 + 20
    assert frame["weight"].iloc[0] == 0
    listed = pooled.alt_text().split("2 studies: ")[1].split(". Pooled")[0]
    assert listed == "Baker 2021 1.41 (0.57 to 3.54); Cruz 2024 1.79 (0.94 to 3.40)"
    assert "Abel 2019 gives no estimate" in pooled.alt_text()
    unknown = pooled_of(TRIALS, model="common")
    effects = replace(unknown.effects, table=TRIALS.assign(n_c=[np.nan, 33, 60]))
    assert "n_c" not in replace(unknown, effects=effects)._totals()


def test_sentences_of_the_result() -> None:
    random, common = pooled_of(), pooled_of(model="common")
    assert estimate_text(random) == "RR 1.82 (95 % CI 1.01 to 3.28)"
    assert heterogeneity_text(random) == (
        "Heterogeneity: τ² = 0.00 (95 % CI 0.00 to 2.82); I² (τ²-based) = 0 %;"
        " Q = 0.68, df = 2, p = 0.71"
    )
    assert heterogeneity_text(common) == (
        "Heterogeneity: I² (Q-based) = 0 %; Q = 0.68, df = 2, p = 0.71"
    )
    assert "I² (Q-based) = 43 %" in heterogeneity_text(replace(common, i2=0.432))
    nothing = replace(common, i2=math.nan, q=math.nan)
    assert heterogeneity_text(nothing).endswith("too few of the studies are informative")
    lines = random.summary().split("\n")
    assert lines[0] == (
        "Pooled risk ratio of abstinence from 3 studies: RR 1.82 (95 % CI 1.01 to 3.28), p = 0.049."
    )
    assert lines[1].startswith("Random-effects model; ")
    assert lines[2] == heterogeneity_text(random) + "."
    assert lines[3] == 'No trial had an empty cell (zero-cell rule "half-if-any").'
    assert lines[4].startswith("Note: heterogeneity cannot be estimated from 3 studies")
    assert random.alt_text().startswith(
        "Forest plot of the risk ratio of abstinence, ketamine against placebo, 3 studies: Abel"
    )
    assert repr(common) == "Pooled(RR 1.82 (95 % CI 1.15 to 2.88), k=3, common-effect model)"


def test_prediction_limits_are_shown_in_their_order_or_not_at_all() -> None:
    plain = replace(pooled_of(), prediction_low=math.nan, prediction_high=math.nan)
    assert prediction_text(plain) == ""
    wide = replace(plain, prediction_low=math.log(0.5), prediction_high=math.log(4.0))
    assert prediction_text(wide) == "95 % prediction interval 0.50 to 4.00"
    assert f"\n{prediction_text(wide)}.\n" in wide.summary()
    row = wide.to_frame().iloc[-1]
    assert row["row"] == "prediction"
    assert_allclose([row["low"], row["high"]], [0.5, 4.0])
    assert "prediction" not in plain.to_frame()["row"].tolist()


def test_the_zero_cell_rule_is_stated_where_it_concerns_the_result() -> None:
    zeros = TRIALS.assign(events_c=[0, 6, 11])
    assert rule_sentence(pooled_of(zeros)) == (
        "Before analysis, 0.5 was added to all four cells of the one trial with an empty cell"
        ' (Abel 2019; zero-cell rule "half-if-any").'
    )
    without = rule_sentence(km.mantel_haenszel(zeros, **WORDS))
    assert without.startswith("For the single trials only, 0.5 was added")
    assert rule_sentence(km.pool_exact(zeros, **WORDS)) == ""
    assert rule_sentence(km.pool_exact(zeros.iloc[:1], **WORDS)) == ""
    assert rule_sentence(pooled_of(zeros.iloc[:1])).startswith("Before analysis, 0.5 was added")


def test_the_table_shown_ends_with_the_pooled_row() -> None:
    table = pooled_of(model="common")._shown_table()
    assert table is not None
    assert table["study"].tolist() == [*TRIALS["study"], "Common-effect model"]
    assert table["RR"].tolist() == ["2.46", "1.41", "1.79", "1.82"]
    assert table["low"].tolist() == ["0.95", "0.57", "0.94", "1.15"]
    assert table["high"].tolist() == ["6.35", "3.54", "3.40", "2.88"]
    assert table["weight"].tolist() == ["23.6 %", "25.2 %", "51.2 %", ""]


def test_one_group_has_no_test_of_no_effect() -> None:
    arms = pd.DataFrame({"study": ["A", "B"], "events": [13, 14], "n": [27, 17]})
    pooled = km.pool(km.proportion(arms, event="response"), model="common")
    assert math.isnan(pooled.p_value)
    assert math.isnan(pooled.statistic)
    assert "p =" not in pooled.summary().split("\n", maxsplit=1)[0]
    with pytest.raises(ValueError, match="read-only"):
        pooled.weights[0] = 1.0
