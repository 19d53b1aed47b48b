"""The named front of small-study effects: what it computes, what it refuses and how it says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta import small_study
from kapmeta.core.small_study import asymmetry
from kapmeta.results.effects import Effects
from kapmeta.small_study import TESTS, asymmetry_test
from tests.helpers.r_values import data_set, records


def effects_of(y: Any, v: Any, measure: str = "GEN") -> Effects:
    frame = pd.DataFrame({"study": [f"Trial {i + 1}" for i in range(len(y))], "y": y, "v": v})
    return km.generic(frame, y="y", v="v", measure=measure)


@pytest.fixture(scope="module")
def bcg() -> Effects:
    return km.odds_ratio(km.load_example("bcg"))


@pytest.fixture(scope="module")
def smoke() -> Effects:
    return km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")


@pytest.fixture(scope="module")
def few() -> Effects:
    return effects_of(*data_set("kap5"), measure="RR")


def test_every_test_is_its_core_function(bcg: Effects) -> None:
    for method in TESTS:
        found = asymmetry_test(bcg, method=method)
        assert 0 <= found.p_value <= 1
        assert found.k == 13
        assert 0.05 < found.power < 1
        assert found.definition in found.summary()
        assert TESTS[method].name in found.summary()
    line = asymmetry.weighted_line(asymmetry.egger_points(bcg.y, bcg.v))
    assert asymmetry_test(bcg).statistic == pytest.approx(float(line.statistic))
    assert asymmetry_test(bcg, method="harbord").p_value == pytest.approx(0.23497195212, rel=1e-9)
    assert (
        asymmetry_test(bcg, method="begg").p_value
        != asymmetry_test(bcg, method="begg-normal").p_value
    )


def test_a_frame_of_trials_is_read_as_odds_ratios(bcg: Effects) -> None:
    assert (
        asymmetry_test(km.load_example("bcg"), method="peters").statistic
        == asymmetry_test(bcg, method="peters").statistic
    )


@pytest.mark.parametrize(
    "call",
    [
        asymmetry_test,
        small_study.trim_and_fill,
        small_study.pet_peese,
        small_study.limit_meta_analysis,
        small_study.selection_model,
        small_study.copas,
        small_study.excess_significance,
    ],
)
def test_few_trials_are_refused_unless_forced(call: Callable[..., Any], few: Effects) -> None:
    with pytest.raises(
        ValueError, match="5 studies, and fewer than 1[05] cannot tell bias from chance.*force=True"
    ):
        call(few)
    if call is small_study.selection_model:
        forced = call(few, steps=(0.05,), force=True)
    elif call is small_study.trim_and_fill:
        forced = call(few, side="left", force=True)
    else:
        forced = call(few, force=True)
    assert forced.notes[0].startswith("forced: 5 studies")
    assert "Forced: 5 studies" in forced.summary()


def test_forced_test_says_what_its_power_is(few: Effects) -> None:
    with pytest.raises(ValueError, match="would be found in 15 % of cases"):
        asymmetry_test(few)
    found = asymmetry_test(few, force=True)
    assert "would be found in 15 % of cases" in found.summary()
    assert found.power == pytest.approx(0.15, abs=0.005)
    assert "a rank test finds less" in asymmetry_test(few, method="begg", force=True).summary()


def test_bounds_need_no_minimum(few: Effects) -> None:
    """Worked values of the method specification, at k = 5 and k = 3, without force."""
    found = small_study.publication_bias_sensitivity(few)
    assert found["s_value"] == found["s_value_limit"] == math.inf
    assert found["worst_case"] == pytest.approx(math.exp(1.0361700), rel=1e-6)
    assert "No amount of such selection brings the estimate to no effect." in found.summary()
    three = small_study.publication_bias_sensitivity(
        effects_of([0.9, 0.2, 0.8], [0.05, 0.09, 0.4], "RR"), target=1.5
    )
    assert 1 < three["s_value"] < math.inf
    assert "times as likely to be published would bring the estimate to RR 1.5." in three.summary()
    assert small_study.fail_safe_n(few)["n"] > 0


def test_worst_case_and_ratios_in_the_table(few: Effects) -> None:
    table = small_study.publication_bias_sensitivity(few, ratios=(1.0, 5.0)).to_frame()
    assert table["ratio"].tolist() == [1.0, 5.0, math.inf]
    assert_allclose(np.log(table["estimate"][1:]), [1.01771367, 1.0361700], rtol=1e-7)
    robust = small_study.publication_bias_sensitivity(few, model="robust")
    assert robust.to_frame()["se"].notna().all()


@pytest.mark.parametrize(
    ("y", "text"),
    [([0.1, 0.2, -0.1], "None could have been favoured"), ([2.0, 3.0, 2.5], "no worst case")],
)
def test_all_or_no_trial_affirmative(y: list[float], text: str) -> None:
    found = small_study.publication_bias_sensitivity(effects_of(y, [0.1, 0.2, 0.1]))
    assert math.isnan(found["s_value"])
    assert text in found.summary()


def test_direction_follows_the_outcome(bcg: Effects) -> None:
    """Tuberculosis is bad: low odds ratios favour the vaccine and are published more readily."""
    found = small_study.publication_bias_sensitivity(bcg)
    other = small_study.publication_bias_sensitivity(bcg, favoured="positive")
    assert found["affirmative"] == 8
    assert other["affirmative"] == 0
    assert found.to_frame()["estimate"].iloc[-1] > found.to_frame()["estimate"].iloc[0]
    chosen = small_study.selection_model(bcg, weight="half-normal")
    assert chosen.estimate == pytest.approx(
        small_study.selection_model(bcg, weight="half-normal", favoured="negative").estimate
    )
    assert chosen.estimate != pytest.approx(
        small_study.selection_model(bcg, weight="half-normal", favoured="positive").estimate
    )


def test_e_value_of_worked_examples() -> None:
    single = km.pool(effects_of([math.log(2.7447)], [0.0262], "RR"))
    found = small_study.e_value(single)
    assert found["estimate"] == pytest.approx(4.93296, abs=1e-4)
    low = math.exp(single.low)
    assert found["limit"] == pytest.approx(low + math.sqrt(low * (low - 1)))
    wide = km.pool(effects_of([0.2], [0.4], "RR"))
    assert small_study.e_value(wide)["limit"] == 1
    odds = km.pool(effects_of([math.log(4.0)], [0.1], "OR"))
    assert small_study.e_value(odds, common_outcome=True)["estimate"] == pytest.approx(
        2 + math.sqrt(2)
    )
    assert small_study.e_value(odds, common_outcome=False)["estimate"] == pytest.approx(
        4 + math.sqrt(12)
    )
    with pytest.raises(ValueError, match="say common_outcome=True or False"):
        small_study.e_value(odds)
    with pytest.raises(ValueError, match="an E-value needs a ratio"):
        small_study.e_value(km.pool(effects_of([0.2], [0.4], "RD")))
    with pytest.raises(TypeError, match="pooled must be a result of pool"):
        small_study.e_value(2.7)  # type: ignore[arg-type]


def test_randomised_trials_in_an_e_value_are_named() -> None:
    trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    found = small_study.e_value(km.pool(km.risk_ratio(trials)))
    assert any("randomised" in note for note in found.notes)


def test_passive_smoking(smoke: Effects) -> None:
    """Worked values of the method specification through the front."""
    filled = small_study.trim_and_fill(smoke, tau2="DL", ci="wald")
    assert filled.parameters["filled"] == 7
    assert_allclose([filled.estimate, filled.se], [0.173923528441, 0.0487015026641], rtol=1e-9)
    assert (filled.studies["row"] == "filled").sum() == 7
    assert small_study.pet_peese(smoke, method="pet").estimate == pytest.approx(
        0.00503732307546, rel=1e-8
    )
    assert small_study.pet_peese(smoke, method="peese").estimate == pytest.approx(
        0.120080764664, rel=1e-8
    )
    steps = small_study.selection_model(smoke, steps=(0.025, 0.5), favoured="positive")
    assert steps.parameters["log_likelihood"] == pytest.approx(-8.14789726754, abs=1e-8)
    limit = small_study.limit_meta_analysis(smoke)
    assert limit.estimate == pytest.approx(0.0965773297161, rel=3e-5)


def test_pet_peese_goes_by_the_favoured_direction() -> None:
    """With a line through 0.5 at standard error 0 it is PEESE if positive results are favoured."""
    v = np.linspace(0.01, 0.4, 12)
    data = effects_of(0.5 + 0.3 * np.sqrt(v) + 0.01 * np.cos(np.arange(12)), v)
    names = {
        word: small_study.pet_peese(data, favoured=word).name
        for word in ("treatment", "positive", "negative")
    }
    assert names == {"treatment": "PEESE", "positive": "PEESE", "negative": "PET"}


def test_given_weights_work_at_any_k(few: Effects) -> None:
    found = small_study.selection_model(few, delta=(1.0, 0.5), model="common")
    assert found.estimate < found.unadjusted
    none = small_study.selection_model(few, delta=(1.0, 1.0), model="common")
    assert none.estimate == pytest.approx(none.unadjusted, rel=1e-9)


def test_one_trial_with_given_weights_has_no_between_study_variance() -> None:
    found = small_study.selection_model(
        effects_of([0.4], [0.1]), steps=(0.025, 0.5), delta=(1, 0.5, 0.1)
    )
    assert found.parameters["tau2"] == 0
    assert found.estimate < found.unadjusted == 0.4
    assert "common-effect model" in found.definition
    assert "not estimable" not in found.summary()


def test_weights_that_equal_effects_do_not_fix_are_refused_with_where_the_search_ended() -> None:
    """Ever stronger selection of ever lower effects fits twelve effects of 0.3 ever better."""
    equal = effects_of(np.full(12, 0.3), np.linspace(0.02, 0.4, 12))
    with pytest.raises(
        ValueError, match=r"^the power selection model did not converge: .* mean of -\d.* \(delta\)"
    ):
        small_study.selection_model(equal, weight="power", favoured="positive")
    held = small_study.selection_model(equal, weight="power", delta=(1.0,), favoured="positive")
    assert held.estimate < 0.3


def test_a_missing_standard_error_has_a_note() -> None:
    """Effects far beyond significance do not separate the mean from beta weights."""
    effects = effects_of(3 + np.linspace(-0.1, 0.1, 12), 0.01 * np.linspace(1.3, 1, 12))
    found = small_study.selection_model(effects, weight="beta", model="common")
    assert math.isnan(found.se)
    assert any("no standard error" in note for note in found.notes)


def _same_size(k: int) -> Effects:
    return effects_of(np.arange(k), [0.25] * k)


def _one(measure: str = "GEN") -> Effects:
    return effects_of([0.1], [0.2], measure)


TENTHS = np.arange(1, 12) * 0.1
BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "two trials": (
        lambda: asymmetry_test(effects_of([0.1, 0.4], [0.1, 0.2]), force=True),
        "needs at least 3 trials: 2 given",
    ),
    "equal": (lambda: asymmetry_test(_same_size(11)), "singular: its predictor is 0.5 for all 11"),
    "line": (lambda: asymmetry_test(effects_of(TENTHS, TENTHS**2)), "on a straight line exactly"),
    "same": (
        lambda: asymmetry_test(effects_of([0.3] * 11, TENTHS), method="begg"),
        "nothing to rank",
    ),
    "no counts": (
        lambda: asymmetry_test(_same_size(11), method="peters"),
        "needs the counts of both arms",
    ),
    "word": (
        lambda: asymmetry_test(_one(), method="Egger"),
        'unknown asymmetry test "Egger"; use one of: egger',
    ),
    "type": (lambda: asymmetry_test([0.1, 0.2]), "effects must come from risk_ratio"),  # type: ignore[arg-type]
    "PET": (
        lambda: small_study.pet_peese(_same_size(11)),
        "all 11 trials have the standard error 0.5",
    ),
    "PET line": (
        lambda: small_study.pet_peese(effects_of(TENTHS, TENTHS**2), method="pet"),
        "PET has no residual",
    ),
    "PEESE line": (
        lambda: small_study.pet_peese(effects_of(TENTHS, TENTHS), method="peese"),
        "PEESE has no residual",
    ),
    "no mean": (
        lambda: small_study.fail_safe_n(effects_of([0.0] * 3, [0.1, 0.2, 0.3]), method="orwin"),
        "no effect exactly",
    ),
    "limit": (
        lambda: small_study.limit_meta_analysis(_same_size(11)),
        "is singular: all 11 trials",
    ),
    "copas": (lambda: small_study.copas(_same_size(16)), "needs trials of different size"),
    "copas p": (
        lambda: small_study.copas(_same_size(16), published=(1.0,)),
        "published must lie between",
    ),
    "no side": (lambda: small_study.trim_and_fill(_same_size(11)), "no side to fill"),
    "ratio": (
        lambda: small_study.publication_bias_sensitivity(_one(), ratios=(0.5,)),
        "ratios must be 1 or more",
    ),
    "target": (
        lambda: small_study.fail_safe_n(_one("RR"), method="orwin", target=1.0),
        "must differ from no effect",
    ),
    "negative": (
        lambda: small_study.fail_safe_n(_one("RR"), method="orwin", target=-1.0),
        "target must be positive",
    ),
    "size": (lambda: small_study.fail_safe_n(_one(), size="huge"), 'unknown size "huge"'),
    "idle": (
        lambda: small_study.fail_safe_n(_one(), method="rosenthal", size=0.1, ci="wald"),
        'size and ci would change nothing for method="rosenthal", which uses level',
    ),
    "copas order": (
        lambda: small_study.copas(_same_size(16), published=(0.995,)),
        "must not exceed published_smalles",
    ),
    "copas none": (
        lambda: small_study.copas(_same_size(16), published=()),
        "at least one probability",
    ),
    "size 0": (lambda: small_study.fail_safe_n(_one(), size=0.0), "positive sampling variance"),
}


@pytest.mark.parametrize(("call", "text"), BAD.values(), ids=list(BAD))
def test_bad_input_is_named(call: Callable[[], Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        call()


def test_harbord_is_refused_for_other_measures() -> None:
    with pytest.raises(ValueError, match="Harbord's test is for OR or RR: these are RD"):
        asymmetry_test(km.risk_difference(km.load_example("bcg")), method="harbord")


def test_q0_that_does_not_exist_is_refused_by_name(bcg: Effects) -> None:
    """R stops with "missing value where TRUE/FALSE needed"."""
    record = next(
        r
        for r in records("09_small_study")
        if r["settings"].get("estimator") == "Q0"
        and r["dataset"] == "dat.egger2001"
        and "error" in r["results"]
    )
    found = effects_of(record["inputs"]["yi"], record["inputs"]["vi"])
    with pytest.raises(ValueError, match="Q0 does not exist where the rank sum exceeds"):
        small_study.trim_and_fill(found, count_by="Q0", tau2="DL")


def test_selection_input(smoke: Effects) -> None:
    model = small_study.selection_model
    with pytest.raises(ValueError, match=r"no study has a p-value in \(0, 1e-09\]"):
        model(smoke, steps=(1e-9, 0.5), favoured="positive")
    for steps in ((0.5, 0.025), (0.0, 0.5), (0.5, 1.0), ()):
        with pytest.raises(ValueError, match="ascending p-values strictly between 0 and 1"):
            model(smoke, steps=steps)
    with pytest.raises(ValueError, match='delta must have 2 values for weight "step": got 3'):
        model(smoke, delta=(1, 0.5, 0.2))
    with pytest.raises(ValueError, match="delta must start with 1 and be positive: got 0.5, 1"):
        model(smoke, delta=(0.5, 1))
    with pytest.raises(ValueError, match="unknown weight function"):
        model(smoke, weight="steps")
    with pytest.raises(ValueError, match='steps would change nothing for weight="beta"'):
        model(smoke, weight="beta", steps=(0.025,))
    extreme = effects_of([0.1] * 11 + [50.0], [0.1] * 12)
    with pytest.raises(ValueError, match=r'p-value is 0 in row 12 \("Trial 12"\): z = 158.1'):
        model(extreme, weight="beta")


def test_excluded_and_non_randomised_trials_take_no_part(bcg: Effects) -> None:
    table = bcg.table.assign(randomised=[True] * 12 + [False])
    mixed = Effects(bcg.y, bcg.v, bcg.labels, "OR", table, zero="half-if-any", event_is_good=False)
    assert asymmetry_test(mixed).k == 12
    assert any("set aside as not randomised" in note for note in asymmetry_test(mixed).notes)
    assert asymmetry_test(mixed, mixed=True).k == 13


def test_results_show_themselves(bcg: Effects, smoke: Effects) -> None:
    results = [
        asymmetry_test(bcg),
        small_study.trim_and_fill(smoke),
        small_study.pet_peese(smoke),
        small_study.copas(smoke, published=(0.9,)),
        small_study.limit_meta_analysis(smoke),
        small_study.selection_model(smoke, favoured="positive"),
        small_study.excess_significance(smoke),
        small_study.publication_bias_sensitivity(smoke),
        small_study.fail_safe_n(bcg),
    ]
    for result in results:
        assert isinstance(result.to_frame(), pd.DataFrame)
        assert "Definition: " in result.summary()
        assert "<table" in result._repr_html_()
        assert "k=" in repr(result)
        assert "nan" not in result.summary()
        with pytest.raises(AttributeError):
            result.k = 3
    with pytest.raises(KeyError, match="there are: n"):
        results[-1]["m"]


@pytest.mark.parametrize("method", sorted(small_study.FAIL_SAFE))
def test_fail_safe_methods(bcg: Effects, method: str) -> None:
    found = small_study.fail_safe_n(bcg, method=method)
    assert found["n"] >= 0
    assert found.sentences[0]
    if method == "null-studies":
        smaller = small_study.fail_safe_n(bcg, size="largest", ci="wald")["n"]
        assert smaller <= small_study.fail_safe_n(bcg, size="smallest", ci="wald")["n"]


def test_null_studies_for_one_trial() -> None:
    found = small_study.fail_safe_n(
        effects_of([0.9], [0.05]), size="median", tau2="REML", ci="wald"
    )
    assert found["n"] >= 1


def test_copas_does_not_depend_on_the_order_given(smoke: Effects) -> None:
    one, other = (small_study.copas(smoke, published=p) for p in ((0.9, 0.5), (0.5, 0.9)))
    assert one["published"] == other["published"]
    assert one.to_frame()["published"].is_monotonic_decreasing


def test_who_has_no_counts_is_named(bcg: Effects) -> None:
    """Counts of some trials and reported effects of others: the first without is named."""
    mixture = bcg + effects_of([0.1], [0.2], "OR")
    with pytest.raises(
        ValueError, match=r'needs the counts of both arms of every trial .*; "Trial 1" has none'
    ):
        asymmetry_test(mixture, method="peters")
    assert asymmetry_test(mixture).k == 14


@pytest.mark.parametrize("method", ["harbord", "peters", "schwarzer"])
def test_tables_that_say_nothing_do_not_make_ten(method: str) -> None:
    """Twelve trials, six of them without any event: too few for a test that cannot use those."""
    frame = (
        km.load_example("bcg")
        .head(12)
        .assign(
            events_t=lambda t: t["events_t"].where(t.index < 6, 0),
            events_c=lambda t: t["events_c"].where(t.index < 6, 0),
        )
    )
    effects = km.odds_ratio(frame)
    assert asymmetry_test(effects).k == 12
    with pytest.raises(ValueError, match="6 studies, and fewer than 10 cannot tell"):
        asymmetry_test(effects, method=method)
    assert asymmetry_test(effects, method=method, force=True).k == 6


def test_power_is_told_whatever_else_is_noted(bcg: Effects) -> None:
    table = bcg.table.assign(randomised=[True] * 12 + [False])
    mixed = Effects(bcg.y, bcg.v, bcg.labels, "OR", table, zero="half-if-any", event_is_good=False)
    notes = asymmetry_test(mixed).notes
    assert "would be found in" in notes[0]
    assert "set aside as not randomised" in notes[1]


def test_one_trial_is_not_one_trials_and_a_slope_of_nothing_has_no_minus() -> None:
    one = km.generic(pd.DataFrame({"study": ["A"], "y": [0.1], "v": [0.2]}), measure="RR")
    assert "0 of 1 trial is significant" in km.publication_bias_sensitivity(one).summary()
    tables = pd.DataFrame(
        {
            "study": ["A", "B", "C"],
            "events_t": [12, 9, 20],
            "n_t": [40, 35, 61],
            "events_c": [5, 6, 11],
            "n_c": [41, 33, 60],
        }
    )
    found = asymmetry_test(km.risk_ratio(tables), method="harbord", force=True)
    assert -0.005 < found.statistic < 0
    assert "statistic 0.00" in found.summary()
