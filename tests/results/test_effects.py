"""Effects: direction, selection, joining, and turning round, by their invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats.contingency import odds_ratio

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects
from kapmeta.effects import (
    complement,
    from_counts,
    mean_difference,
    ratio_of_means,
    standardized_mean_difference,
)
from kapmeta.results.effects import Effects, direction_of
from kapmeta.wording import less_and_more

TRIALS = pd.DataFrame(
    {
        "study": ["Abel 2019", "Baker 2021", "Cruz 2024", "Dunn 2020"],
        "events_t": [12, 9, 20, 7],
        "n_t": [40, 35, 61, 30],
        "events_c": [5, 6, 11, 8],
        "n_c": [41, 33, 60, 29],
    }
)
SYMMETRIC = ("OR", "RD", "AS", "PETO")
INTERVALS = {"OR": ("exact", "mid-p"), "RD": ("newcombe", "miettinen-nurminen-rd")}


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw trials, empty and full tables included, with or without a known direction."""
    rows = []
    for i in range(draw(st.integers(1, 4))):
        n_t, n_c = draw(st.integers(1, 40)), draw(st.integers(1, 40))
        events = draw(st.integers(0, n_t)), draw(st.integers(0, n_c))
        rows.append((f"T{i}", events[0], n_t, events[1], n_c))
    frame = pd.DataFrame(rows, columns=["study", "events_t", "n_t", "events_c", "n_c"])
    good = draw(st.sampled_from([None, True, False]))
    return (
        frame.assign(event="death")
        if good is None
        else frame.assign(event="death", event_is_good=good)
    )


def _same(left: Effects, right: Effects) -> None:
    assert_allclose(left.y, right.y, rtol=1e-9, atol=1e-12)
    assert_allclose(left.v, right.v, rtol=1e-9)
    assert left.excluded == right.excluded
    assert (left.event, left.event_is_good) == (right.event, right.event_is_good)
    assert_frame_equal(left.to_frame(), right.to_frame(), rtol=1e-7, atol=1e-9, check_dtype=False)


@given(tables(), st.sampled_from(SYMMETRIC), st.sampled_from(["half-if-any", "drop", "none"]))
def test_reversed_effects_are_those_of_the_complement(
    trials: pd.DataFrame, measure: str, zero: str
) -> None:
    words: dict[str, Any] = {"zero": zero} if measure in ("OR", "RD") else {}
    turned = from_counts(trials, measure, **words).reversed()
    right = from_counts(complement(trials), measure, **words)
    _same(turned, right)
    if right.k == 0:
        return
    table, own = (absolute_effects_or_reason(km.pool(e, model="common")) for e in (turned, right))
    assert table == own


def absolute_effects_or_reason(pooled: km.Pooled) -> str:
    try:
        return absolute_effects(pooled).to_frame().round(9).to_string()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(("measure", "interval"), [(m, i) for m in INTERVALS for i in INTERVALS[m]])
def test_reversed_rows_have_the_exact_intervals_of_the_complement(
    measure: str, interval: str
) -> None:
    trials = TRIALS.assign(events_t=[12, 9, 20, 0])
    turned = from_counts(trials, measure, interval=interval).reversed("relapse")
    _same(turned, from_counts(complement(trials, "relapse"), measure, interval=interval))


def test_reversed_odds_ratios_have_fishers_limits_and_the_baseline_of_the_new_event() -> None:
    """scipy's limits on the complement; metafor's rma with REML on the complement.

    R's fisher.test stops at its root finder's tolerance: 0.0808463 for 0.0808290.
    """
    turned = km.odds_ratio(TRIALS, interval="exact", event="abstinence").reversed("relapse")
    cells = complement(TRIALS)[["events_t", "n_t", "events_c", "n_c"]].to_numpy()
    low = [
        odds_ratio([[a, n1 - a], [c, n2 - c]]).confidence_interval(0.95).low
        for a, n1, c, n2 in cells
    ]
    assert_allclose(turned.to_frame()["low"], low, rtol=1e-9)
    row = absolute_effects(km.pool(turned)).to_frame().iloc[1]
    assert row["control"] == pytest.approx(0.817424, abs=1e-6)
    assert row["treatment"] == pytest.approx(0.714779, abs=1e-6)


@given(tables(), st.sampled_from(SYMMETRIC))
def test_reversing_twice_changes_nothing(trials: pd.DataFrame, measure: str) -> None:
    effects = from_counts(trials, measure)
    again = effects.reversed("survival").reversed()
    assert again.event == "death"
    assert_frame_equal(again.to_frame()[effects.to_frame().columns], effects.to_frame())


def test_the_users_own_columns_named_low_and_high_are_no_limits() -> None:
    mine = TRIALS.assign(low="low risk", high=1)
    turned = km.odds_ratio(mine).reversed("relapse")
    assert turned.table["low"].tolist() == ["low risk"] * 4
    paper = pd.DataFrame({"study": ["E"], "estimate": [1.5], "low": [0.9], "high": [2.5]})
    joined = km.odds_ratio(mine) + km.reported(paper, measure="OR")
    assert joined.to_frame()["low"].iloc[-1] == pytest.approx(0.9)


RELAPSE = km.reported(
    pd.DataFrame({"study": ["Grabski 2022"], "estimate": [0.80], "low": [0.31], "high": [2.10]}),
    measure="OR",
    event="relapse",
    event_is_good=False,
)


def test_another_event_is_refused_until_it_is_declared_to_be_the_opposite() -> None:
    counted = km.odds_ratio(TRIALS, event="abstinence", event_is_good=True)
    with pytest.raises(ValueError, match='"abstinence" and of "relapse" cannot be put together'):
        _ = counted + RELAPSE
    turned = RELAPSE.reversed("abstinence")
    both = counted + turned
    assert_allclose(both.y[-1], np.log(1 / 0.80))
    declared = turned + RELAPSE
    assert_allclose(declared.y, [np.log(1 / 0.80)] * 2)
    assert (declared.event, declared.event_is_good) == ("abstinence", True)
    opposite = km.odds_ratio(complement(TRIALS.assign(event="death")))
    assert_allclose((km.odds_ratio(TRIALS, event="death") + opposite).y[:4], -opposite.y)


def test_what_cannot_be_turned_round_is_refused_by_name() -> None:
    died = km.risk_ratio(TRIALS, event="death")
    with pytest.raises(ValueError, match="a risk ratio cannot be turned round"):
        _ = died + km.risk_ratio(complement(TRIALS.assign(event="death")))
    with pytest.raises(ValueError, match='"death" is good in one part and "death" is bad'):
        _ = km.risk_ratio(TRIALS, event="death", event_is_good=True) + km.risk_ratio(
            TRIALS, event="death", event_is_good=False
        )
    with pytest.raises(TypeError, match="what is added to effects must come from risk_ratio"):
        _ = died + 1  # type: ignore[operator]


def test_a_gap_in_the_story_is_filled_by_the_other_part() -> None:
    plain = km.odds_ratio(TRIALS)
    both = plain + km.odds_ratio(TRIALS, event=" Death", event_is_good=False)
    assert (both.event, both.event_is_good) == (" Death", False)
    again = km.odds_ratio(TRIALS, event="adverse event") + km.odds_ratio(
        TRIALS, event="adverse  event\u200b"
    )
    assert again.k == 8


@pytest.mark.parametrize("measure", ["RR", *SYMMETRIC])
@pytest.mark.parametrize("zero", [0, 3])
def test_swapped_arms_are_inverted(measure: str, zero: int) -> None:
    trials = TRIALS.assign(events_c=[5, 6, zero, 8])
    names = {"events_t": "events_c", "events_c": "events_t", "n_t": "n_c", "n_c": "n_t"}
    swapped = trials.rename(columns=names)
    right = from_counts(trials, measure, treatment="drug", control="placebo")
    other = from_counts(swapped, measure, treatment="placebo", control="drug")
    both = right + other
    _same(both.select(slice(4, None)), right)
    assert (both.treatment, both.control) == ("drug", "placebo")


def test_arms_that_cross_and_effects_of_unknown_scale_are_refused() -> None:
    first = km.risk_ratio(TRIALS, treatment="drug", control="placebo")
    with pytest.raises(ValueError, match="what is the control of one part is treated in the other"):
        _ = first + km.risk_ratio(TRIALS, treatment="placebo", control="nothing")
    generic = pd.DataFrame({"study": ["A"], "y": [0.1], "v": [0.02]})
    words: list[dict[str, Any]] = [
        {"treatment": "drug", "control": "placebo"},
        {"treatment": "placebo", "control": "drug"},
    ]
    one, two = (km.generic(generic, measure="GEN", **word) for word in words)
    with pytest.raises(ValueError, match="effect of unknown scale"):
        _ = one + two


def test_swapped_means_are_inverted() -> None:
    rows = pd.DataFrame(
        {"study": ["A"], "mean_t": [3.0], "sd_t": [1.1], "n_t": [20], "mean_c": [4.0],
         "sd_c": [1.4], "n_c": [25]}
    )  # fmt: skip
    names = {f"{word}_{a}": f"{word}_{b}" for word in ("mean", "sd", "n") for a, b in ("tc", "ct")}
    for function in (mean_difference, ratio_of_means, standardized_mean_difference):
        right = function(rows, treatment="drug", control="placebo")
        other = function(rows.rename(columns=names), treatment="placebo", control="drug")
        both = right + other
        assert_allclose(both.y, np.repeat(right.y, 2))
        assert_array_equal(both.table["mean_t"], [3.0, 3.0])


def test_each_part_keeps_its_zero_cell_rule() -> None:
    zeros = TRIALS.assign(events_c=[0, 6, 0, 8])
    both = km.odds_ratio(zeros.iloc[:2], zero="none") + km.odds_ratio(
        zeros.iloc[2:], zero="half-all"
    )
    text = both.summary()
    assert 'No continuity correction was made (zero-cell rule "none").' in text
    assert "0.5 added to every cell of every table; this changed the 2 trials (Cruz 2024" in text
    plain = km.odds_ratio(TRIALS)
    assert plain.summary().splitlines()[1].startswith("No trial had an empty cell (zero-cell")
    assert both.rules == ("none", "none", "half-all", "half-all")
    assert both.zero is None
    assert both.select(["Cruz 2024"]).rules == ("half-all",)


def test_studies_are_selected_by_names_masks_and_positions() -> None:
    effects = km.risk_ratio(TRIALS)
    names = ["Cruz 2024", "Abel 2019"]
    assert effects.select(names).labels == tuple(names)
    assert effects.select("Abel 2019 ").labels == ("Abel 2019",)
    assert effects.select(0).labels == ("Abel 2019",)
    assert effects.select([-1, 0]).labels == ("Dunn 2020", "Abel 2019")
    for mask in (
        [True, False, True, False],
        np.array([True, False, True, False]),
        pd.Series([True, False, True, False], dtype="boolean", index=list("wxyz")),
    ):
        assert effects.select(mask).labels == ("Abel 2019", "Cruz 2024")
    assert effects.select([]).k == 0


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        (["Abel 2019", "Eve"], ValueError, 'no study is named "Eve"; there are: Abel 2019, Baker'),
        (["Abel 2019", "Abel 2019"], ValueError, 'names the study "Abel 2019" twice'),
        ([True, False], ValueError, "keep has 2 flags for 4 studies"),
        ([True, pd.NA, True, True], ValueError, 'keep is missing for the study "Baker 2021"'),
        (True, TypeError, "labels is a tuple, so compare each"),
        ([0, 9], ValueError, "no study at position 9; positions run from 0 to 3"),
        ([1, 1], ValueError, "a trial counts once"),
        ([0.5], TypeError, "keep names the studies to select"),
        (None, TypeError, "keep names the studies to select"),
        (["Abel 2019", 1], TypeError, "not a mixture"),
    ],
)  # fmt: skip
def test_what_selects_no_studies_is_refused_with_what_does(
    keep: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        km.risk_ratio(TRIALS).select(keep)


def test_direction_is_unknown_until_it_is_given() -> None:
    effects = km.risk_ratio(TRIALS, event="death", treatment="drug")
    assert effects.event_is_good is None
    assert effects.sides == ("fewer deaths with drug", "more deaths with drug")
    with pytest.raises(ValueError, match=r'whether more of "death" is good .* event_is_good=True'):
        _ = effects.favours
    with pytest.raises(ValueError, match="GRADE: it is not known whether"):
        direction_of(effects, "GRADE")
    known = km.risk_ratio(TRIALS, event="death", treatment="drug", event_is_good=False)
    assert known.sides == known.favours == ("Favours drug", "Favours control")
    assert not direction_of(known, "GRADE")


def test_means_are_lower_or_higher_and_one_group_has_no_sides() -> None:
    rows = pd.DataFrame({"study": ["A"], "y": [0.1], "v": [0.02]})
    means = km.generic(rows, measure="MD", event="days of use", treatment="drug")
    assert means.sides == ("lower days of use with drug", "higher days of use with drug")
    group = km.proportion(pd.DataFrame({"study": ["A"], "events": [3], "n": [10]}))
    assert group.sides == ()
    with pytest.raises(ValueError, match="describes one group"):
        _ = group.favours


@pytest.mark.parametrize(
    ("transform", "low"),
    [("raw", 0.950281802844), ("log", 0.950947420), ("arcsine", None), ("logit", None)],
)
def test_proportions_stay_within_0_and_1_and_have_no_p_value(
    transform: str, low: float | None
) -> None:
    """R's meta 8: metaprop with PRAW 0.9503 to 1.0000, with PLN 0.9509 to 1.0000."""
    arms = pd.DataFrame({"study": list("ABCD"), "events": [48, 30, 19, 50], "n": [50, 30, 20, 51]})
    effects = km.proportion(arms, transform=transform)
    pooled = km.pool(effects)
    frame = pooled.to_frame()
    assert frame[["low", "high"]].stack().between(0, 1).all()
    if low is not None:
        assert frame["low"].iloc[-1] == pytest.approx(low, abs=1e-4)
    assert np.isnan(pooled.p_value)
    assert np.isnan(pooled.statistic)
    for text in (pooled.summary(), pooled.methods_text(), pooled.alt_text(), effects.summary()):
        assert "control" not in text
        assert " against " not in text
    assert "p =" not in pooled.summary().splitlines()[0]


@pytest.mark.parametrize(
    ("event", "fewer"),
    [
        ("death", "fewer deaths"),
        ("relapse", "fewer relapses"),
        ("abstinence from smoking", "less abstinence from smoking"),
        ("tuberculosis", "less tuberculosis"),
        ("serious infection within 30 days", "fewer serious infections within 30 days"),
        ("loss of follow-up", "fewer losses of follow-up"),
        ("recovery", "fewer recoveries"),
        ("dropouts", "fewer dropouts"),
        ("no death", "no death less often"),
        ("cured", "cured less often"),
        ("Rückfall", "Rückfall less often"),
        ("event", "fewer events"),
    ],
)
def test_less_of_an_event_in_english(event: str, fewer: str) -> None:
    assert less_and_more(event)[0] == fewer
