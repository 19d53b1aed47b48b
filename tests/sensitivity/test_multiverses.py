"""The multiverse: each analysis is that of `pool`, choices mean what they say, the null holds."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.numerics.distributions import normal_cdf
from kapmeta.core.sensitivity import universes
from kapmeta.core.sensitivity.universes import (
    OPPOSITE,
    Analysis,
    Cells,
    Patients,
    evaluate,
    explained,
    shuffled,
)
from kapmeta.pooling.exact_models import Data
from kapmeta.sensitivity import multiverse_exact
from kapmeta.sensitivity.choices import at_time
from kapmeta.sensitivity.multiverse_choices import CHOICES, OWN_INTERVAL
from kapmeta.sensitivity.multiverse_exact import COUNT_MODELS
from kapmeta.sensitivity.multiverses import multiverse

KAP5 = pd.DataFrame(
    {
        "study": [
            "S1",
            "S2",
            "S3",
            "S4",
            "S5",
        ],  # methods 0.4: two of the trials are invented for tests
        "randomised": [False, True, True, True, True],
        "evidence_level": [
            "primary_abstract",
            "tertiary_only",
            "primary_abstract",
            "secondary_table",
            "primary_full_text",
        ],
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)
PLAIN = KAP5.drop(columns="randomised")
MEASURES = {"RR": km.risk_ratio, "OR": km.odds_ratio, "RD": km.risk_difference}


def cells(frame: pd.DataFrame) -> Cells:
    return Cells(
        *(frame[name].to_numpy(dtype=float) for name in ("events_t", "n_t", "events_c", "n_c"))
    )


def analysed(row: Any) -> km.Pooled:
    """Repeat the analysis of a row of the table by the functions a user would call."""
    names = list(PLAIN["study"]) if row.studies == "all" else row.studies.split(" + ")
    trials = PLAIN[PLAIN["study"].isin(names)]
    measure = "RR" if row.measure == OPPOSITE else row.measure
    told = km.effects.complement(trials, "relapse") if row.measure == OPPOSITE else trials
    if row.pooling == "mantel-haenszel":
        return km.mantel_haenszel(told, measure=measure)
    if row.pooling == "peto":
        return km.peto(told)
    if row.pooling in COUNT_MODELS:
        return km.pool_exact(told, model=row.pooling, measure=measure, ci=row.ci)
    options = {"model": "common"} if row.pooling == "common" else {"tau2": row.pooling}
    return km.pool(MEASURES[measure](told, zero=row.zero), ci=row.ci, **options)


def assert_same(row: Any, rtol: float = 1e-9) -> None:
    if row.reason:
        with pytest.raises(ValueError, match="does not exist for these effects"):
            analysed(row)
        assert np.isnan([row.estimate, row.low, row.high, row.statistic]).all()
        return
    main = analysed(row)
    shown = [float(main.scale.shown(x)) for x in (main.estimate, main.low, main.high)]
    np.testing.assert_allclose(
        [row.estimate, row.low, row.high], shown, rtol=rtol, err_msg=str(row)
    )
    assert row.k == main.k


def test_every_analysis_is_the_one_pool_gives() -> None:
    found = multiverse(
        PLAIN,
        choices={"measure": ["RR", OPPOSITE, "OR", "RD"], "ci": ["hksj-hybrid", "wald", "kr"]},
    ).to_frame()
    rng = np.random.default_rng(4)
    refused = found.index[found["reason"] != ""]
    assert set(found.loc[refused, "reason"]) == {"the kr interval does not exist for these trials"}
    for row in found.iloc[[*rng.choice(len(found), 60, replace=False), *refused[:5]]].itertuples():
        assert_same(row)


def test_models_of_the_tables_are_the_ones_their_functions_give() -> None:
    words = ["peto", "binomial-normal", "binomial-common", "conditional", "beta-binomial", "firth"]
    choices = {"measure": ["RR", OPPOSITE, "OR"], "pooling": words}
    found = multiverse(PLAIN, choices=choices, smallest=3).to_frame()
    subsets = 10 + 5 + 1
    assert found["pooling"].value_counts().to_dict() == {
        "peto": subsets,
        "binomial-normal": 3 * subsets,
        "binomial-common": 3 * subsets,
        "conditional": subsets,
        "beta-binomial": 3 * subsets,
        "firth": subsets,
    }
    assert (found["zero"] == "none").all()
    for word in words:
        of_model = found[found["pooling"] == word]
        assert set(of_model["ci"]) == {OWN_INTERVAL[word]}
        for row in of_model.iloc[:: len(of_model) // 3].itertuples():
            assert_same(row, rtol=1e-7)
    assert (np.sign(found["statistic"]) == np.sign(found["y"])).all()
    assert set(np.sign(found["y"])) == {1.0}
    turned = PLAIN.rename(
        columns={"events_t": "events_c", "n_t": "n_c", "events_c": "events_t", "n_c": "n_t"}
    )
    harm = multiverse(turned, choices=choices, smallest=5).table
    assert (harm[["y", "statistic"]] < 0).all(axis=None)
    everything = found.query(
        "studies == 'all' and pooling == 'binomial-normal' and measure == 'OR'"
    )
    main = km.pool_exact(PLAIN, model="binomial-normal", measure="OR")
    p_value = 2 * normal_cdf(-np.abs(everything["statistic"].item()))
    assert p_value == pytest.approx(main.p_value, rel=1e-6)
    assert np.sign(everything["statistic"].item()) == np.sign(main.estimate)


SPARSE = pd.DataFrame(
    {
        "study": ["A", "B", "C"],
        "events_t": [5, 0, 0],
        "n_t": [20, 15, 18],
        "events_c": [0, 0, 4],
        "n_c": [20, 16, 18],
    }
)


def test_an_analysis_without_an_answer_keeps_its_row_and_says_why() -> None:
    choices = {
        "measure": ["RR"],
        "pooling": ["REML", "mantel-haenszel", "binomial-normal", "binomial-common"],
        "zero": ["drop"],
        "ci": ["wald"],
    }
    found = multiverse(SPARSE, choices=choices, smallest=1)
    table = found.table.set_index(["pooling", "studies"])
    assert len(table) == 4 * 7
    assert table["reason"]["binomial-common", "B"].startswith("no table has information on the RR")
    assert table["reason"]["binomial-normal", "A"] == "one trial: nothing to pool"
    assert table["reason"]["REML", "B"] == "no trial has an effect"
    assert "contradict each other" in table["reason"]["binomial-normal", "A + C"]
    assert (
        table["reason"]["mantel-haenszel", "A + B"]
        == "the wald interval does not exist for these trials"
    )
    assert (
        table["k"]["binomial-common", "A + B"] == 1
    )  # the double zero is in neither arm's likelihood
    alone = table.loc[("binomial-common", "A")]
    own = km.pool_exact(SPARSE.iloc[:1], model="binomial-common", measure="RR")
    assert alone["y"] == own.estimate == np.inf
    assert alone["y_low"] == pytest.approx(own.low, rel=1e-9)
    assert np.isfinite(alone["statistic"])
    unanswered = found.table["reason"] != ""
    assert (
        found.table.loc[unanswered, ["y", "se", "y_low", "y_high", "statistic"]]
        .isna()
        .all(axis=None)
    )
    assert found.shares()["no answer"].item() == unanswered.sum()
    assert found.summary().startswith(
        f"28 analyses of 3 studies, {unanswered.sum()} without an answer: "
    )
    assert np.isfinite(found.vibration())


def test_equal_tables_are_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    model = multiverse_exact.COUNT_MODELS["binomial-common"]

    def counting(data: Data) -> Any:
        fits.append(data.labels)
        return model.fit(data)

    monkeypatch.setattr(
        multiverse_exact, "COUNT_MODELS", {"binomial-common": model._replace(fit=counting)}
    )
    one = cells(PLAIN)
    many = Cells(*(np.stack([x, x, np.where(np.arange(5) == 4, np.nan, x)]) for x in one))
    masks = np.array(
        [[True] * 5, [True, True, True, True, False], [False, True, False, True, True]]
    )
    analyses = [Analysis("RR", "none", "binomial-common", "profile")]
    found = multiverse_exact.evaluate_exact(many, analyses, masks, list(PLAIN["study"]), level=0.95)
    assert sorted(map(len, fits)) == [
        2,
        3,
        4,
        5,
    ]  # of nine analyses: the third set of tables lacks a trial
    np.testing.assert_array_equal(found.estimate[0], found.estimate[1])
    assert found.estimate[2, 0, 0] == found.estimate[0, 0, 1]
    assert found.k[:, 0].tolist() == [[5, 4, 3], [5, 4, 3], [4, 4, 2]]


def test_exact_models_take_no_part_in_the_null_and_the_result_says_so() -> None:
    choices = {
        "measure": ["OR"],
        "pooling": ["SJ", "common"],
        "zero": ["half-if-any"],
        "ci": ["wald"],
    }
    plain = multiverse(PLAIN, choices=choices, subsets=False, permutations=50)
    with_exact = {**choices, "pooling": ["conditional", *choices["pooling"]]}
    both = multiverse(PLAIN, choices=with_exact, subsets=False, permutations=50)
    np.testing.assert_array_equal(plain.null, both.null)
    assert both.median_statistic == plain.median_statistic != both.table["statistic"].median()
    assert both.p_value == plain.p_value
    assert "conditional" in set(both.table["pooling"])
    assert "exact models (conditional) take no part in the null distribution" in both.summary()
    assert "null distribution" not in multiverse(PLAIN, choices=with_exact, subsets=False).summary()


def test_exact_models_alone_are_a_multiverse_without_a_null() -> None:
    choices = {"measure": ["OR"], "pooling": ["conditional"]}
    found = multiverse(PLAIN, choices=choices, subsets=False)
    assert found.table["y"].item() == pytest.approx(
        km.pool_exact(PLAIN, model="conditional").estimate, rel=1e-12
    )
    with pytest.raises(
        ValueError, match="permutations leave exact models out, and there is nothing else here"
    ):
        multiverse(PLAIN, choices=choices, permutations=5)


def test_a_pooling_without_the_measure_is_refused_or_named() -> None:
    with pytest.raises(
        ValueError,
        match=r'pooling "peto" gives none of the measures asked for \(RR\); it gives: OR',
    ):
        multiverse(PLAIN, choices={"measure": ["RR"], "pooling": ["REML", "peto"]})
    found = multiverse(
        PLAIN,
        choices={"measure": ["RR", "OR"], "pooling": ["common", "conditional"]},
        subsets=False,
    )
    assert "Note: conditional has no RR." in found.summary()
    many = pd.concat([PLAIN] * 2, ignore_index=True).assign(study=[f"t{i}" for i in range(10)])
    with pytest.raises(
        ValueError, match="x 6 exact models, fitted one by one, x 1023 sets of studies"
    ):
        multiverse(many, choices={"pooling": ["binomial-normal", "binomial-common"]}, smallest=1)


def test_combinations_that_do_not_differ_come_once() -> None:
    found = multiverse(PLAIN, subsets=False).table
    axes = list(CHOICES)
    assert not found[axes].duplicated().any()
    assert (found.loc[found["pooling"] == "mantel-haenszel", "zero"] == "none").all()
    assert len(found) == 3 * (2 * (3 * 3 + 1) + 1)
    subsets = multiverse(
        PLAIN,
        choices={"measure": ["RR"], "zero": ["half-if-any"], "pooling": ["DL"], "ci": ["wald"]},
    )
    assert len(subsets.table) == 2**5 - 1 - 5
    assert (subsets.table["k"] >= 2).all()


def test_standing_is_that_of_the_weakest_word() -> None:
    found = multiverse(PLAIN, subsets=False).table.set_index(["measure", "zero", "pooling", "ci"])[
        "standing"
    ]
    assert found["RR", "half-if-any", "REML", "hksj-hybrid"] == "defensible"
    assert found["RR", "half-if-any", "REML", "wald"] == "arguable"
    assert found["RR", "half-if-any", "common", "wald"] == "defensible"
    assert found["RR", "half-if-any", "DL", "hksj-hybrid"] == "arguable"


def test_studies_are_chosen_by_their_rows() -> None:
    words = ["all", "randomised", "with non-randomised", "primary sources", "not tertiary"]
    found = multiverse(KAP5, choices={"studies": words}, subsets=False).table
    assert found.groupby("studies")["k"].first().to_dict() == {
        "all": 4,
        "with non-randomised": 5,
        "primary sources": 3,
        "not tertiary": 4,
    }
    assert set(found.loc[found["studies"] == "with non-randomised", "standing"]) == {
        "reference only"
    }
    assert (
        'Note: studies "randomised" are the same as "all".'
        in multiverse(KAP5, choices={"studies": words}, subsets=False).summary()
    )
    none = {
        "studies": ["all", "low risk of bias"],
        "pooling": ["REML", "mantel-haenszel", "binomial-common", "common"],
    }
    empty = multiverse(KAP5.assign(risk_of_bias="high"), choices=none, subsets=False).table
    rows = empty[empty["studies"] == "low risk of bias"]
    assert set(rows["k"]) == {0}
    assert set(rows["reason"]) == {"no trial has an effect", "no trial takes part"}
    assert len(rows) == (empty["studies"] == "all").sum()
    subsets = multiverse(KAP5).table
    assert not subsets["studies"].str.contains("S1").any()
    with pytest.raises(
        ValueError, match='no column "risk_of_bias", by which studies are to be chosen'
    ):
        multiverse(KAP5, choices={"studies": ["low risk of bias"]})


TIMES = pd.DataFrame(
    {
        "study": ["A", "A", "B", "B", "C"],
        "months": [1.0, 6.0, 3.0, 9.0, 6.0],
        "events_t": [20, 12, 14, 9, 15],
        "n_t": [40, 40, 30, 30, 33],
        "events_c": [10, 5, 9, 8, 7],
        "n_c": [40, 40, 31, 31, 35],
    }
)


def test_time_is_a_choice_and_a_trial_counts_once() -> None:
    words = ["earliest", "longest", "nearest 6"]
    found = multiverse(
        TIMES, choices={"time": words, "pooling": ["common"], "measure": ["RR"]}, subsets=False
    )
    estimates = found.table.drop_duplicates("time").set_index("time")
    for word in words:
        trials = at_time(TIMES, word)
        assert trials["study"].tolist() == ["A", "B", "C"]
        assert estimates.loc[word, "y"] == pytest.approx(
            km.pool(km.risk_ratio(trials), model="common").estimate, rel=1e-12
        )
    assert "time points of one trial are alternatives, never counted twice: A, B" in found.summary()
    assert at_time(TIMES, "nearest 6")["months"].tolist() == [
        6.0,
        9.0,
        6.0,
    ]  # 3 and 9 are as near: the later
    with pytest.raises(ValueError, match='study "A" comes more than once; choose a time'):
        multiverse(TIMES)
    with pytest.raises(
        ValueError, match='unknown time "last".*; use one of: as given, longest, earliest'
    ):
        at_time(TIMES, "last")
    with pytest.raises(ValueError, match='study "A" has two rows at the same time'):
        at_time(TIMES.assign(months=6.0), "longest")
    with pytest.raises(ValueError, match="only where every row has months"):
        at_time(TIMES.drop(columns="months"), "longest")


def test_missing_is_a_choice() -> None:
    trials = PLAIN.assign(missing_t=[5, 2, 1, 4, 3], missing_c=[9, 1, 4, 2, 5])
    words = ["as counted", "available", "event", "best", "worst"]
    found = multiverse(
        trials,
        event_is_good=True,
        choices={
            "missing": words,
            "pooling": ["common"],
            "measure": ["RR"],
            "zero": ["half-if-any"],
        },
        subsets=False,
    )
    estimate = found.table.set_index("missing")["y"]
    assert estimate["as counted"] == pytest.approx(
        km.pool(km.risk_ratio(PLAIN), model="common").estimate, rel=1e-12
    )
    worst = trials.assign(events_c=trials["events_c"] + trials["missing_c"])
    assert estimate["worst"] == pytest.approx(
        km.pool(km.risk_ratio(worst), model="common").estimate, rel=1e-12
    )
    seen = trials.assign(
        n_t=trials["n_t"] - trials["missing_t"], n_c=trials["n_c"] - trials["missing_c"]
    )
    assert estimate["available"] == pytest.approx(
        km.pool(km.risk_ratio(seen), model="common").estimate, rel=1e-12
    )
    assert estimate["best"] == estimate.max()
    bad = {"missing": ["best"], "pooling": ["common"], "measure": ["RR"], "zero": ["half-if-any"]}
    turned = multiverse(trials, choices=bad, subsets=False, event_is_good=False).table["y"].iloc[0]
    assert turned == pytest.approx(estimate["worst"], rel=1e-12)
    with pytest.raises(ValueError, match="event_is_good=False"):
        multiverse(trials, choices=bad, subsets=False)
    neutral = {**bad, "missing": ["event under control"]}
    same = multiverse(trials, choices=neutral, subsets=False).table["y"].iloc[0]
    assert same == turned
    with pytest.raises(ValueError, match="not known by arm"):
        multiverse(
            trials.assign(missing_t=np.nan, missing_c=np.nan, missing=3),
            choices={"missing": ["available"]},
        )


def test_shuffling_keeps_the_margins_and_the_times_together() -> None:
    none = np.array([-1, 0, -1])
    patients = Patients(
        np.array([20, 12, 9]),
        np.array([0, 0, 5]),
        np.array([40, 40, 30]),
        np.array([10, 5, 4]),
        np.array([0, 0, 3]),
        np.array([40, 40, 25]),
        none,
    )
    dealt = shuffled(patients, 20_000, np.random.default_rng(1))
    np.testing.assert_array_equal(
        dealt.events_t + dealt.events_c, np.broadcast_to([30, 17, 13], (20_000, 3))
    )
    np.testing.assert_array_equal(
        dealt.missing_t + dealt.missing_c, np.broadcast_to([0, 0, 8], (20_000, 3))
    )
    assert (dealt.events_t[:, 1] <= dealt.events_t[:, 0]).all()
    assert (dealt.events_c[:, 1] <= dealt.events_c[:, 0]).all()
    assert (dealt.events_t + dealt.missing_t <= dealt.n_t).all()
    turned = Patients(*(x[[1, 0, 2]] for x in patients[:6]), np.array([1, -1, -1]))
    other = shuffled(turned, 2_000, np.random.default_rng(1))
    assert (other.events_t[:, 0] <= other.events_t[:, 1]).all()
    assert other.events_t[:, 0].mean() == pytest.approx(8.5, abs=0.2)
    # hypergeometric mean and variance, at the later time too
    np.testing.assert_allclose(dealt.events_t.mean(0), [15, 8.5, 13 * 30 / 55], rtol=0.01)
    variance = [
        30 * 0.5 * 0.5 * 50 / 79,
        17 * 0.5 * 0.5 * 63 / 79,
        13 * (30 / 55) * (25 / 55) * 42 / 54,
    ]
    np.testing.assert_allclose(dealt.events_t.var(0), variance, rtol=0.04)


def test_the_null_distribution_holds_its_level_and_finds_what_is_there() -> None:
    choices = {
        "measure": ["RR", "OR"],
        "pooling": ["common", "DL"],
        "zero": ["half-if-any"],
        "ci": ["wald"],
    }
    there = multiverse(PLAIN, choices=choices, permutations=199)
    assert there.null.shape == (199,)
    assert there.p_value == pytest.approx(1 / 200)
    assert "With arm labels shuffled within trials 199 times" in there.summary()
    assert np.isnan(multiverse(PLAIN, choices=choices).p_value)
    rng = np.random.default_rng(8)
    p_values = []
    for _ in range(60):
        events = {
            "events_t": rng.binomial(PLAIN["n_t"], 0.3),
            "events_c": rng.binomial(PLAIN["n_c"], 0.3),
        }
        p_values.append(
            multiverse(
                PLAIN.assign(**events), choices=choices, subsets=False, permutations=99
            ).p_value
        )
    assert np.mean(np.array(p_values) <= 0.2) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 60))


def test_what_a_choice_explains() -> None:
    assert explained(np.array([1.0, 1.0, 2.0, 2.0]), np.array([0, 0, 1, 1])) == 1
    assert explained(np.array([1.0, 2.0, 1.0, 2.0]), np.array([0, 0, 1, 1])) == 0
    assert np.isnan(explained(np.array([1.0, 1.0]), np.array([0, 1])))
    rng = np.random.default_rng(2)
    y, group = rng.normal(size=200), rng.integers(0, 4, 200)
    between = sum((group == g).sum() * (y[group == g].mean() - y.mean()) ** 2 for g in range(4))
    assert explained(y, group) == pytest.approx(between / ((y - y.mean()) ** 2).sum(), rel=1e-12)
    found = multiverse(PLAIN, choices={"measure": ["RR"]})
    assert set(found.explained) == set(CHOICES)
    assert found.explained["studies"] > found.explained["ci"]


def test_the_result_tells_itself() -> None:
    found = multiverse(PLAIN)
    shares = found.shares("measure").set_index("measure")
    assert shares["count"].sum() == len(found.table)
    assert 0 <= shares["excludes no effect"].min() <= 1
    frame = found.to_frame()
    statistic = frame["statistic"].to_numpy()
    assert (np.diff(statistic) >= -1e-9 * np.abs(statistic[1:])).all()  # rounding orders nothing
    opposite = frame[frame["measure"] == OPPOSITE]
    assert (opposite["low"] <= opposite["high"]).all()
    assert (opposite.loc[opposite["y"] > 0, "estimate"] < 1).all()
    assert found.vibration() >= 1
    assert found.scale is None
    assert (
        multiverse(PLAIN, choices={"measure": ["OR"]}, subsets=False).scale
        == km.odds_ratio(PLAIN).scale
    )
    assert found.alt_text().startswith(f"{len(found.table)} analyses of 5 studies: ")
    assert "<table" in found._repr_html_()


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Cells(*(np.tile(x, (7, 1)) for x in cells(PLAIN)))
    analyses = [
        Analysis("RR", "half-if-any", "REML", "hksj-hybrid"),
        Analysis("OR", "none", "mantel-haenszel", "wald"),
    ]
    masks = np.array([[True] * 5, [True, False, True, False, True]])
    whole = evaluate(many, analyses, masks)
    monkeypatch.setattr(universes, "_BLOCK_SIZE", 10)
    for one, other in zip(whole, evaluate(many, analyses, masks), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ten_thousand_analyses_take_a_moment() -> None:
    choices = {
        "measure": ["RR", OPPOSITE, "OR", "RD"],
        "zero": ["half-if-any", "treatment-arm", "half-if-any-study"],
        "pooling": ["REML", "PM", "DL", "SJ", "HE", "ML", "common", "mantel-haenszel"],
        "ci": ["hksj-hybrid", "hksj", "hksj-variance", "wald", "t", "hksj-iqwig"],
    }
    start = time.perf_counter()
    found = multiverse(PLAIN, choices=choices)
    assert time.perf_counter() - start < 6  # 1 s alone; a shared machine is slow now and then
    assert len(found.table) > 9_500


def test_the_bar_is_written_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    choices = {"measure": ["RR"], "pooling": ["common"], "ci": ["wald"], "zero": ["half-if-any"]}
    multiverse(PLAIN, choices=choices, permutations=150, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("[##############################] 100 %\n")
    assert " 67 %" in shown.err
    multiverse(PLAIN, choices=choices, permutations=10)
    assert capsys.readouterr().err == ""


@pytest.mark.long
def test_two_thousand_permutations_of_a_thousand_universes() -> None:
    choices = {
        "pooling": ["REML", "PM", "DL", "common", "mantel-haenszel"],
        "zero": ["half-if-any"],
    }
    start = time.perf_counter()
    found = multiverse(PLAIN, choices=choices, permutations=2_000)
    assert time.perf_counter() - start < 60
    assert len(found.table) > 800


def test_bad_input() -> None:
    with pytest.raises(ValueError, match='unknown choice "estimator"; use one of: time, missing'):
        multiverse(PLAIN, choices={"estimator": ["DL"]})
    with pytest.raises(ValueError, match='unknown pooling "MH"; use one of: REML'):
        multiverse(PLAIN, choices={"pooling": ["MH"]})
    with pytest.raises(ValueError, match='choices\\["ci"\\] must list at least one word'):
        multiverse(PLAIN, choices={"ci": "wald"})
    with pytest.raises(ValueError, match="these comparisons answer different questions"):
        multiverse(PLAIN.assign(contrast=["a", "a", "a", "a", "b"]))
    many = pd.concat([PLAIN] * 4, ignore_index=True)
    with pytest.raises(ValueError, match="are too many; at most 500000"):
        multiverse(many.assign(study=[f"t{i}" for i in range(20)]))
    with pytest.raises(TypeError, match="trials must be a pandas DataFrame"):
        multiverse([1])  # type: ignore[arg-type]


def test_a_multiverse_of_one_study_is_not_of_1_studies() -> None:
    one = pd.DataFrame({"study": ["A"], "events_t": [5], "n_t": [20], "events_c": [2], "n_c": [20]})
    found = km.multiverse(one, progress=False)
    for told in (repr(found), found.summary(), found.methods_text()):
        assert "1 study" in told
        assert "1 sets" not in told
