"""Pooling: the registered method's numbers, what is refused, and what may never be left off."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import kapmeta as km
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.pooling.prediction import PREDICTIONS
from kapmeta.results.effects import Effects

BCG = km.load_example("bcg")
THREE = pd.DataFrame(
    {
        "study": ["A", "B", "C"],
        "events_t": [12, 9, 20],
        "n_t": [40, 35, 61],
        "events_c": [5, 6, 11],
        "n_c": [41, 33, 60],
    }
)


def test_bcg_by_the_default_method() -> None:
    """metafor 5.1-12, ``rma(measure="RR", test="knha")``, threshold 1e-13 (02_rma_uni)."""
    main = km.pool(km.risk_ratio(BCG))
    assert main.k == 13
    assert_allclose(main.tau2, 0.31324325813648085, rtol=1e-10)
    assert_allclose(main.estimate, -0.7145323421581394, rtol=1e-10)
    assert_allclose(main.se, 0.18079174409284787, rtol=1e-10)
    assert_allclose([main.low, main.high], [-1.108443713685551, -0.32062097063072803], rtol=1e-9)
    assert_allclose(
        [main.statistic, main.p_value, main.df],
        [-3.952239886524809, 0.0019200150960572916, 12],
        rtol=1e-9,
    )
    assert_allclose([main.q, main.q_df], [152.2330080823734, 12], rtol=1e-11)
    assert_allclose(
        [main.tau2_low, main.tau2_high], [0.11971836114126076, 1.111479084060928], rtol=1e-9
    )
    assert_allclose([main.i2, main.h2], [0.9222138452126896, 12.855758235309164], rtol=1e-9)
    assert_allclose(
        [main.prediction_low, main.prediction_high],
        [-1.9960168341962023, 0.5669521498799236],
        rtol=1e-9,
    )
    assert_allclose(main.weights.sum(), 1, rtol=1e-15)
    assert main.modes == (main.tau2,)


def test_common_effect() -> None:
    main = km.pool(km.risk_ratio(BCG), model="common")
    assert_allclose([main.estimate, main.se], [-0.430285163654, 0.0404987517109], rtol=1e-10)
    assert math.isnan(main.tau2)
    assert_allclose(main.i2, (152.2330080823734 - 12) / 152.2330080823734, rtol=1e-10)
    assert "I² (Q-based) = 92 %" in main.summary()
    assert "if there is no heterogeneity" in main.summary()


@pytest.mark.parametrize("tau2", ESTIMATORS)
@pytest.mark.parametrize("ci", ["wald", "t", "hksj", "hksj-variance", "hksj-hybrid"])
def test_the_front_and_the_batch_engine_agree(tau2: str, ci: str) -> None:
    effects = km.risk_ratio(BCG)
    main = km.pool(effects, tau2=tau2, ci=ci)
    there = km.core.combine(effects.y, effects.v, tau2=tau2, ci=ci)
    for name in ("estimate", "se", "low", "high", "tau2", "q", "df"):
        assert_allclose(getattr(main, name), float(getattr(there, name)), rtol=1e-12)


@pytest.mark.parametrize("ci", INTERVALS)
def test_every_interval_says_its_name(ci: str) -> None:
    main = km.pool(km.risk_ratio(BCG.iloc[:8]), ci=ci)
    assert main.low < main.estimate < main.high
    assert "interval" in main.methods_text()


@pytest.mark.parametrize("ci", [word for word in INTERVALS if word != "henmi-copas"])
@pytest.mark.parametrize("rows", [slice(0, 8), slice(7, 13), slice(4, 13)])
def test_interval_and_p_value_tell_the_same(ci: str, rows: slice) -> None:
    """The level at which the interval just reaches no effect is one less the p-value."""
    effects = km.risk_ratio(BCG.iloc[rows])
    main = km.pool(effects, ci=ci)
    if ci.startswith("permutation"):
        assert (main.low > 0 or main.high < 0) == (main.p_value < 0.05)
        return
    edge = km.pool(effects, ci=ci, level=1 - main.p_value)
    near = edge.high if edge.estimate < 0 else edge.low
    assert_allclose(near, 0, atol=1e-6)


def test_henmi_copas_has_no_p_value() -> None:
    main = km.pool(km.risk_ratio(BCG), ci="henmi-copas")
    assert math.isnan(main.p_value)
    assert "p not available" in main.summary()


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_every_prediction_interval_can_be_asked_for(prediction: str) -> None:
    main = km.pool(km.risk_ratio(BCG), prediction=prediction)
    assert math.isnan(main.prediction_low) == (
        prediction in ("none", "wang-lee")
    )  # wang-lee needs 20 studies


@pytest.mark.parametrize(
    ("rows", "prediction"), [(2, "hts"), (2, "nnf"), (3, "kr"), (13, "wang-lee")]
)
def test_a_prediction_interval_that_does_not_exist_says_so(rows: int, prediction: str) -> None:
    effects = km.risk_ratio(
        BCG if rows == 13 else THREE.iloc[:rows]
    )  # tau2 of THREE is 0, where Kenward-Roger is not
    main = km.pool(effects, prediction=prediction)
    assert math.isnan(main.prediction_low)
    assert (
        f'the prediction interval "{prediction}" is undefined for {rows} studies' in main.summary()
    )
    assert "undefined" not in km.pool(effects, prediction="none").summary()


def test_prediction_follows_the_plan_unless_asked() -> None:
    assert math.isnan(km.pool(km.risk_ratio(THREE)).prediction_low)
    asked = km.pool(km.risk_ratio(THREE), prediction="t")
    assert asked.prediction_low <= asked.low
    assert "a prediction interval from 3 studies is unreliable" in asked.summary()
    assert not math.isnan(km.pool(km.risk_ratio(BCG.iloc[:5])).prediction_low)


def test_one_trial_is_not_pooled() -> None:
    one = km.pool(km.risk_ratio(THREE.iloc[:1]))
    assert one.method.model == "single"
    assert np.isnan([one.tau2, one.q, one.i2, one.prediction_low]).all()
    assert_allclose(one.weights, [1])
    assert_allclose(one.to_frame()["estimate"], [12 / 40 * 41 / 5] * 2)
    assert "there is no between-study variance to estimate" in one.summary()
    assert "nothing was pooled" in one.methods_text()
    assert "nothing is pooled" in one.alt_text()


def test_two_trials_are_flagged() -> None:
    two = km.pool(km.risk_ratio(THREE.iloc[:2]))
    assert "do not headline it" in two.summary()
    assert "I²" not in two.summary()


def test_a_second_mode_is_named() -> None:
    rows = pd.DataFrame({"study": list("abc"), "y": [0.1, -0.3, 4.2], "v": [0.07, 0.01, 3.27]})
    main = km.pool(km.generic(rows))
    assert_allclose(main.tau2, 0.088749012396, rtol=1e-10)
    assert len(main.modes) == 2
    assert "tau2 is not identified: its likelihood has 2 modes" in main.summary()
    far = km.pool(km.generic(rows.assign(y=[0.1, -0.3, 3.9])))
    assert len(far.modes) <= 2


def test_too_homogeneous_effects_are_named() -> None:
    rows = pd.DataFrame({"study": list("ab"), "y": [1.00805, 0.99543], "v": [0.03636, 0.39770]})
    assert "agree more closely than chance allows" in km.pool(km.generic(rows)).summary()


@given(st.permutations(range(13)))
@settings(max_examples=20)
def test_the_order_of_rows_changes_no_digit(order: list[int]) -> None:
    here, there = km.pool(km.risk_ratio(BCG)), km.pool(km.risk_ratio(BCG.iloc[order]))
    for name in ("estimate", "se", "low", "high", "tau2", "tau2_high", "q", "i2", "prediction_low"):
        assert getattr(here, name) == getattr(there, name)
    assert_array_equal(here.weights[order], there.weights)


@given(st.integers(0, 3), st.integers(1, 6))
@settings(max_examples=20)
def test_swapping_the_arms_inverts_the_ratio(first: int, more: int) -> None:
    rows = BCG.iloc[first : first + more + 1]
    swapped = rows.rename(
        columns={"events_t": "events_c", "events_c": "events_t", "n_t": "n_c", "n_c": "n_t"}
    )
    here, there = km.pool(km.risk_ratio(rows)), km.pool(km.risk_ratio(swapped))
    assert_allclose(
        [there.estimate, there.low, there.high],
        [-here.estimate, -here.high, -here.low],
        rtol=1e-9,
        atol=1e-12,
    )
    assert_allclose(there.tau2, here.tau2, rtol=1e-9)


# --- what is never in one diamond


def with_design(**columns: Any) -> km.Effects:
    return km.risk_ratio(THREE.assign(**columns))


def test_trials_that_were_not_randomised_are_set_aside_in_sight() -> None:
    effects = with_design(randomised=[True, False, True])
    main = km.pool(effects)
    assert main.k == 2
    assert main.weights[1] == 0
    assert "B is set aside: not randomised" in main.summary()
    frame = main.to_frame()
    assert frame.loc[1, "row"] == "excluded"
    assert_allclose(frame.loc[1, "estimate"], 9 / 35 * 33 / 6)
    assert km.pool(effects, mixed=True).k == 3
    assert km.pool(with_design(randomised=[False, False, False])).k == 3


def test_questions_are_not_mixed() -> None:
    with pytest.raises(
        ValueError, match=r"different questions \(dose, sessions\) and are not pooled; choose one"
    ):
        km.pool(with_design(contrast=["dose", "dose", "sessions"]))


def test_a_trial_enters_once() -> None:
    twice = THREE.assign(study=["A", "B", "A"], comparison_id=["A-3", "B", "A-6"])
    with pytest.raises(
        ValueError, match='study "A" comes more than once; a trial enters a pool once'
    ):
        km.pool(km.risk_ratio(twice))


def test_alcohol_as_the_design_shows_it() -> None:
    trials = km.load_evidence().trials(substance="alcohol")
    main = km.pool(km.risk_ratio(trials))
    assert main.k == 1
    assert "Krupitsky 1997 is set aside" in main.summary()


# --- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "fixed"}, 'unknown model "fixed"; use one of: random, common'),
        ({"tau2": "reml"}, 'unknown tau2 estimator "reml"'),
        ({"ci": "HK"}, 'unknown interval "HK" in ci; use one of: wald'),
        ({"prediction": "z"}, 'unknown prediction interval "z"; use one of: auto'),
        ({"level": 95}, "level must lie between 0 and 1"),
        ({"level": 1.0}, "level must lie between 0 and 1"),
        (
            {"model": "common", "tau2": "DL"},
            "the common-effect model has no between-study variance",
        ),
        (
            {"model": "common", "prediction": "t"},
            "the common-effect model has no prediction interval",
        ),
        ({"model": "common", "ci": "kr"}, 'unknown interval "kr"'),
    ],
)
def test_wrong_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")[:40]):
        km.pool(km.risk_ratio(THREE), **options)


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="effects must come from risk_ratio"):
        km.pool(THREE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="level must be a number"):
        km.pool(km.risk_ratio(THREE), level="95")  # type: ignore[arg-type]


def test_no_study_left() -> None:
    zeros = THREE.assign(events_t=0)
    with pytest.raises(
        ValueError, match="no study has an estimate, so there is nothing to pool"
    ) as error:
        km.pool(km.risk_ratio(zeros, zero="none"))
    assert "A: a zero cell" in str(error.value)


def test_an_interval_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match='ci="kr" does not exist for these effects'):
        km.pool(km.risk_ratio(THREE), ci="kr")


@pytest.mark.parametrize(
    "front",
    [
        km.pool,
        lambda effects: km.meta_regression(effects, ["x"]),
        lambda effects: km.subgroups(effects, "half"),
        lambda effects: km.multilevel(effects, levels=("half", "effect"), rho=0.5),
        lambda effects: km.moderators.aggregate(effects, "half", rho=0.5),
        km.robust,
        lambda effects: km.pool_bayes(effects, tau_prior=km.pooling.half_normal(0.5)),
    ],
    ids=["pool", "meta_regression", "subgroups", "multilevel", "aggregate", "robust", "pool_bayes"],
)
@pytest.mark.parametrize(("smallest", "warned"), [(0.9e-7, True), (1.1e-7, False)])
def test_variances_far_apart_warn(
    front: Callable[[Effects], Any], smallest: float, warned: bool
) -> None:
    rows = pd.DataFrame(
        {"study": list("abcd"), "y": [0.1, 0.2, 0.4, 0.3], "v": [smallest, 1.0, 0.5, 0.2]}
    )
    effects = km.generic(rows.assign(x=[1, 2, 3, 5], half=list("ppqq")), y="y", v="v")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        front(effects)
    assert any("times the smallest" in str(one.message) for one in caught) is warned


def test_a_variance_of_0_at_its_bound_is_told_with_how_far_below_it_would_be() -> None:
    """The moment estimate is (Q - df) / (S1 - S2 / S1) whatever its sign."""
    for y, v, truncated in (
        ([0.1, 0.2, 0.25], [0.1, 0.2, 0.3], True),
        ([0.1, 1.2, 2.5], [0.1, 0.2, 0.3], False),
    ):
        main = km.pool(km.generic(pd.DataFrame({"study": list("abc"), "y": y, "v": v})))
        w = 1 / np.array(v)
        moment = (main.q - 2) / (w.sum() - (w**2).sum() / w.sum())
        assert main.tau2_truncated is truncated
        assert bool(moment < 0) is truncated
        assert main.tau2_moment == pytest.approx(moment, rel=1e-12)
    alone = km.pool(km.generic(pd.DataFrame({"study": ["a"], "y": [0.1], "v": [0.2]})))
    assert np.isnan(alone.tau2_moment)
    assert not alone.tau2_truncated


@pytest.mark.parametrize("given", [np.inf, -np.inf])
def test_an_infinite_variance_is_named_with_its_study(given: float) -> None:
    rows = pd.DataFrame({"study": list("ab"), "y": [0.1, 0.2], "v": [0.1, given]})
    with pytest.raises(
        ValueError, match=rf'v is not a number in row 2 \("b"\): v = {given}; give a number'
    ):
        km.generic(rows)


def test_a_function_as_estimator_is_named() -> None:
    def half(y: Any, v: Any) -> Any:
        return np.full(np.shape(v)[:-1], 0.5)

    main = km.pool(km.risk_ratio(THREE), tau2=half)
    assert main.tau2 == 0.5
    assert "a function of the user's (half)" in main.summary()
    assert len(km.leave_one_out(main).table) == 3


# --- what a result says


def test_views_of_a_result() -> None:
    main = km.pool(km.risk_ratio(BCG))
    frame = main.to_frame()
    assert frame["row"].tolist() == ["study"] * 13 + ["pooled", "prediction"]
    assert_allclose(
        frame.loc[13, ["estimate", "low", "high"]].astype(float),
        np.exp([main.estimate, main.low, main.high]),
    )
    assert_allclose(frame["weight"].iloc[:13].sum(), 1)
    text = main.summary()
    for said in (
        "RR 0.49 (95 % CI 0.33 to 0.73)",
        "13 studies",
        "REML",
        "Hartung-Knapp",
        "τ² = 0.31",
        "prediction interval",
    ):
        assert said in text
    assert "BCG vaccine against no vaccine" in main.methods_text()
    assert "Aronson 1948 0.41 (0.13 to 1.26)" in main.alt_text()
    page = main._repr_html_()
    assert page.count("<tr") == 1 + 13 + 1
    assert "0.49" in page
    assert repr(main) == "Pooled(RR 0.49 (95 % CI 0.33 to 0.73), k=13, random-effects model)"
    for array in (main.weights,):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_leave_one_out() -> None:
    """metafor 5.1-12 ``leave1out`` on BCG, REML: without study 1 tau2 is 0.336156702."""
    main = km.pool(km.risk_ratio(BCG), ci="wald")
    sweep = km.leave_one_out(main)
    frame = sweep.to_frame()
    assert_allclose(frame.loc[0, "tau2"], 0.336156702, rtol=1e-8)
    assert frame["left_out"].tolist() == list(main.effects.labels)
    for i in range(13):
        again = km.pool(main.effects.select(np.arange(13) != i), ci="wald")
        row = sweep.table.iloc[i]
        assert_allclose(
            [row.y, row.y_low, row.y_high, row.tau2, row.q],
            [again.estimate, again.low, again.high, again.tau2, again.q],
            rtol=1e-11,
        )
    assert "The interval excludes 1 in 13 of 13" in sweep.summary()
    two = km.leave_one_out(km.pool(km.risk_ratio(THREE.iloc[:2])))
    assert "the other trial's own result" in two.summary()
    with pytest.raises(ValueError, match="leave-one-out needs two studies or more"):
        km.leave_one_out(km.pool(km.risk_ratio(THREE.iloc[:1])))


def test_leave_one_out_of_a_common_effect() -> None:
    main = km.pool(km.risk_ratio(BCG), model="common")
    again = km.pool(main.effects.select(slice(1, None)), model="common")
    assert_allclose(km.leave_one_out(main).table.loc[0, "y"], again.estimate, rtol=1e-12)


def test_estimator_table() -> None:
    line = km.estimator_table(km.risk_ratio(BCG)).to_frame()
    assert line["analysis"].iloc[0] == "REML, hksj-hybrid"
    assert line["analysis"].iloc[-1] == "common, wald"
    every = km.estimator_table(km.risk_ratio(THREE), every=True).to_frame()
    assert len(every) == len(ESTIMATORS) * len(INTERVALS) + 1
    refused = every[every["analysis"] == "REML, kr"]
    assert refused["low"].isna().all()
    assert refused["status"].iloc[0] == "the method gives no interval for these data"
    with pytest.raises(ValueError, match="needs two studies or more: 1 has an estimate"):
        km.estimator_table(km.risk_ratio(THREE.iloc[:1]))


def test_zero_rules() -> None:
    trials = km.load_evidence().trials(substance="cocaine", window="6 months")
    frame = km.sensitivity.zero_rules(trials).to_frame().set_index("rule")
    assert_allclose(frame.loc["half-if-any", "y"], 3.25396714468, rtol=1e-10)
    assert_allclose(frame.loc["treatment-arm", "y"], 3.23649742622, rtol=1e-10)
    assert math.isnan(frame.loc["none", "estimate"])
    odds = km.sensitivity.zero_rules(trials, measure=km.odds_ratio).to_frame().set_index("rule")
    assert_allclose(odds.loc["treatment-arm", "y"], 3.81009945613, rtol=1e-10)


def test_a_gap_in_the_nullable_column_contrast_does_not_stop_pooling() -> None:
    frame = THREE.assign(contrast=pd.array(["drug", pd.NA, "drug"], dtype="string"))
    assert km.pool(km.risk_ratio(frame)).estimate == km.pool(km.risk_ratio(THREE)).estimate


def test_heterogeneity_that_no_pair_of_tables_can_tell_is_said_to_be_missing() -> None:
    tables = pd.DataFrame(
        {
            "study": ["A", "B"],
            "events_t": [5, 0],
            "n_t": [20, 30],
            "events_c": [2, 0],
            "n_c": [20, 31],
        }
    )
    assert "Heterogeneity: not estimable" in km.mantel_haenszel(tables).summary()


def test_variances_further_apart_than_arithmetic_reaches_are_refused_not_an_index_error() -> None:
    frame = pd.DataFrame({"study": ["A", "B"], "y": [0.1, 0.9], "v": [1e-10, 1e8]})
    with pytest.raises(ValueError, match=r"1e\+18 times the smallest.*lost to rounding"):
        km.pool(km.generic(frame))
