"""Effects from frames: right numbers, and errors that a newcomer can act on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import kapmeta as km
from kapmeta.effects.counts import COUNT_MEASURES, from_counts, without_gaps

TRIALS = pd.DataFrame(
    {
        "study": ["Krupitsky 1997", "Krupitsky 2007", "Dakwar 2019"],
        "events_t": [73, 13, 12],
        "n_t": [111, 26, 27],
        "events_c": [24, 6, 0],
        "n_c": [100, 27, 28],
    }
)
FUNCTIONS = (
    km.risk_ratio,
    km.odds_ratio,
    km.risk_difference,
    km.arcsine_difference,
    km.peto_odds_ratio,
)


def test_worked_values() -> None:
    """Values of the method specification, metafor ``escalc`` and an independent program."""
    rr = km.risk_ratio(TRIALS)
    assert_allclose(rr.y, [1.00804559548, 0.810930216216, 3.25396714468], rtol=1e-11)
    assert_allclose(rr.v, [0.0363562877946, 0.168091168091, 2.00980295567], rtol=1e-11)
    assert_allclose(km.odds_ratio(TRIALS).y[1], 1.2527629685, rtol=1e-10)
    assert_allclose(km.risk_difference(TRIALS).y, [73 / 111 - 0.24, 0.5 - 6 / 27, 12 / 27])
    assert_allclose(km.arcsine_difference(TRIALS).v[2], 0.0181878306878, rtol=1e-11)
    assert_array_equal(rr.corrected, [False, False, True])
    assert km.risk_ratio(TRIALS, zero="treatment-arm").y[2] == pytest.approx(
        3.23649742622, rel=1e-11
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_columns_can_have_other_names(function: Any) -> None:
    other = TRIALS.rename(
        columns={"study": "trial", "events_t": "a", "n_t": "n1", "events_c": "c", "n_c": "n2"}
    )
    here = function(other, study="trial", events_t="a", n_t="n1", events_c="c", n_c="n2")
    there = function(TRIALS)
    assert_array_equal(here.y, there.y)
    assert here.labels == there.labels


def test_a_default_column_is_not_read_when_another_is_named() -> None:
    both = TRIALS.assign(alive=[1, 2, 3])
    assert_array_equal(km.risk_ratio(both, events_t="alive").table["events_t"], [1, 2, 3])


BAD = {
    "columns": (
        TRIALS.drop(columns="n_c"),
        'no column "n_c"; it has: study, events_t, n_t, events_c. Name yours',
    ),
    "negative": (
        TRIALS.assign(events_t=[73, -1, 12]),
        'negative in row 2 ("Krupitsky 2007"): events_t = -1',
    ),
    "fraction": (
        TRIALS.assign(events_c=[24.0, 6.5, 0.0]),
        'not a whole number in row 2 ("Krupitsky 2007")',
    ),
    "excess": (
        TRIALS.assign(events_t=[73, 13, 28]),
        'exceed total in row 3 ("Dakwar 2019"): events_t = 28 > n_t = 27',
    ),
    "empty arm": (TRIALS.assign(n_c=[100, 27, 0]), 'n_c is 0 in row 3 ("Dakwar 2019")'),
    "words": (TRIALS.assign(n_t=["111", "26", "27"]), "n_t = '111'; it is text"),
    "date": (TRIALS.assign(n_t=pd.to_datetime(["2024-10-12"] * 3)), "it is a date"),
    "complex": (TRIALS.assign(n_t=[111, 1j, 27]), "n_t is not a number in row 1"),
    "inexact": (TRIALS.assign(n_t=[111, 2**53, 27]), "n_t is too large to be exact in row 2"),
    "text": (TRIALS.assign(n_t=[111, "26 of 30", 27]), "n_t is not a number in row 2"),
    "infinite": (TRIALS.assign(n_t=[111, np.inf, 27]), "n_t is not a number in row 2"),
    "truth": (TRIALS.assign(events_t=[True, False, True]), "events_t is not a number in row 1"),
    "twice": (
        TRIALS.assign(study=["A", "B", "A"]),
        'study "A" appears in rows 1, 3; a trial counts once',
    ),
    "nameless": (TRIALS.assign(study=["A", None, "C"]), "study is empty in row 2"),
    "blank": (TRIALS.assign(study=["A", " ", "C"]), "study is empty in row 2"),
    "no rows": (TRIALS.iloc[:0], "trials has no rows"),
    "two columns": (
        pd.concat([TRIALS, TRIALS[["n_t"]]], axis=1),
        'trials has two columns named "n_t"',
    ),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_named(name: str, function: Any) -> None:
    frame, message = BAD[name]
    with pytest.raises(ValueError) as error:
        function(frame)
    assert message in str(error.value)


def test_every_offender_is_counted() -> None:
    with pytest.raises(ValueError, match=r"\(and 2 more\)"):
        km.risk_ratio(TRIALS.assign(events_t=[-1, -1, -1]))


def test_wrong_types_and_words() -> None:
    with pytest.raises(
        TypeError, match="trials must be a pandas DataFrame with one row per study: got list"
    ):
        km.risk_ratio([[1, 2, 3, 4]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='unknown zero-cell rule "half"; use one of: half-if-any'):
        km.risk_ratio(TRIALS, zero="half")
    with pytest.raises(TypeError, match='unknown keyword "n1"; use one of: study, events_t'):
        km.risk_ratio(TRIALS, n1="n")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="empirical"):
        km.risk_ratio(TRIALS.iloc[2:], zero="empirical")


def test_nothing_is_dropped_in_silence() -> None:
    none = km.risk_ratio(TRIALS, zero="none")
    assert none.k == 2
    assert len(none) == 3
    assert none.excluded == {2: 'a zero cell (12 of 27 v 0 of 28) and zero-cell rule "none"'}
    assert "Dakwar 2019 gives no estimate: a zero cell" in none.summary()
    assert none.to_frame()["row"].tolist() == ["study", "study", "excluded"]
    empty = TRIALS.assign(events_t=[0, 13, 12], events_c=[0, 6, 0])
    assert km.risk_ratio(empty, zero="drop").excluded == {0: "no event in either arm"}
    full = TRIALS.assign(events_t=[111, 13, 12], events_c=[100, 6, 0])
    assert km.odds_ratio(full, zero="drop").excluded == {
        0: "the event happened to everybody in both arms"
    }
    assert km.risk_ratio(full, zero="drop").k == 3


def test_the_story_comes_from_keywords_then_columns() -> None:
    told = TRIALS.assign(
        event="abstinence", treatment="ketamine", control=["usual", "one session", "midazolam"]
    )
    effects = km.risk_ratio(told)
    assert (effects.event, effects.treatment, effects.control) == (
        "abstinence",
        "ketamine",
        "control",
    )
    assert effects.sides == ("less abstinence with ketamine", "more abstinence with ketamine")
    assert km.risk_ratio(told, event_is_good=True).favours == (
        "Favours control",
        "Favours ketamine",
    )
    assert km.risk_ratio(told, event_is_good=False).favours == (
        "Favours ketamine",
        "Favours control",
    )
    assert km.risk_ratio(told, control="placebo").control == "placebo"
    with pytest.raises(ValueError, match="event differs between rows: 'abstinence', 'relapse'"):
        km.risk_ratio(TRIALS.assign(event=["abstinence", "abstinence", "relapse"]))


def test_complement_turns_the_event_round() -> None:
    assert km.effects.complement(TRIALS)["event_is_good"].isna().all()
    relapse = km.effects.complement(TRIALS.assign(event_is_good=True), "relapse")
    assert relapse["events_t"].tolist() == [38, 13, 15]
    assert not relapse["event_is_good"].any()
    assert_array_equal(km.effects.complement(relapse, "abstinence")["events_t"], TRIALS["events_t"])
    assert_allclose(km.odds_ratio(relapse).y, -km.odds_ratio(TRIALS).y)
    assert km.risk_ratio(relapse).favours == ("Favours treatment", "Favours control")


PAPER = pd.DataFrame(
    {
        "study": ["Dakwar 2019", "Grabski 2022"],
        "estimate": [0.47, 0.80],
        "low": [0.24, 0.31],
        "high": [0.92, 2.10],
        "measure": "OR",
    }
)


def test_reversed_tells_the_opposite_event() -> None:
    relapse = km.reported(PAPER, event="relapse", event_is_good=False)
    abstinence = relapse.reversed("abstinence")
    assert_array_equal(abstinence.y, -relapse.y)
    assert abstinence.event_is_good
    assert_allclose(abstinence.table["low"], 1 / PAPER["high"])
    assert_allclose(abstinence.table["estimate"], 1 / PAPER["estimate"])
    difference = km.risk_difference(TRIALS).reversed("relapse")
    assert_allclose(difference.y, km.risk_difference(km.effects.complement(TRIALS, "relapse")).y)
    with pytest.raises(
        ValueError, match=r"a risk ratio cannot be turned round without the counts; use complement"
    ):
        km.risk_ratio(TRIALS).reversed("relapse")


def test_counts_and_reported_effects_concatenate() -> None:
    both = km.odds_ratio(TRIALS, zero="none") + km.reported(PAPER.iloc[1:])
    assert both.k == 3
    assert both.labels == (*TRIALS["study"], "Grabski 2022")
    assert both.zero == "none"
    assert list(both.excluded) == [2]
    assert len(both.to_frame()) == 4
    swapped = km.reported(PAPER.iloc[1:]) + km.odds_ratio(TRIALS, zero="none")
    assert list(swapped.excluded) == [3]
    assert swapped.zero == "none"
    with pytest.raises(
        ValueError, match="effects of different measures cannot be put together: OR and RR"
    ):
        _ = both + km.risk_ratio(TRIALS)


def test_select_keeps_reasons_with_their_studies() -> None:
    none = km.risk_ratio(TRIALS, zero="none")
    some = none.select([2, 0])
    assert some.labels == ("Dakwar 2019", "Krupitsky 1997")
    assert list(some.excluded) == [0]
    assert none.select(np.array([True, True, False])).excluded == {}


def test_arrays_of_a_result_are_read_only() -> None:
    effects = km.risk_ratio(TRIALS)
    for array in (effects.y, effects.v, effects.se, effects.corrected):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_two_times_of_a_trial_are_told_apart_by_their_labels() -> None:
    effects = km.risk_ratio(km.load_evidence().trials(substance="cocaine"))
    assert effects.labels == ("Dakwar 2019, end of trial", "Dakwar 2019, 6 months")


def test_a_column_called_row_does_not_stop_the_tables() -> None:
    effects = km.risk_ratio(TRIALS.assign(row="theirs"))
    assert set(effects.to_frame()["row"]) == {"study"}
    assert set(effects.table["row"]) == {"theirs"}
    assert "theirs" not in km.pool(effects)._repr_html_()


def test_counts_held_as_categories_can_be_told_of_the_opposite_event() -> None:
    kept = TRIALS.astype(dict.fromkeys(("events_t", "n_t", "events_c", "n_c"), "category"))
    assert_array_equal(
        km.effects.complement(kept, "relapse")["events_t"],
        km.effects.complement(TRIALS, "relapse")["events_t"],
    )
    with pytest.raises(ValueError, match="events_t is not a number in row 1"):
        km.effects.complement(
            TRIALS.astype({"events_t": object}).assign(events_t="five"), "relapse"
        )


def test_whether_an_event_is_good_is_a_flag_that_may_be_missing_in_some_rows() -> None:
    gap = TRIALS.assign(
        event_is_good=pd.array([pd.NA] + [False] * (len(TRIALS) - 1), dtype="boolean")
    )
    assert not km.risk_ratio(gap).event_is_good
    assert km.effects.complement(gap, "abstinence")["event_is_good"].all()
    assert not km.risk_ratio(TRIALS.assign(event_is_good=" No")).event_is_good
    with pytest.raises(
        ValueError,
        match=rf'event_is_good is not a flag in row 1 \("{TRIALS["study"].iloc[0]}"\) .*\'maybe\'',
    ):
        km.risk_ratio(TRIALS.assign(event_is_good="maybe"))
    with pytest.raises(TypeError, match="event_is_good must be True or False: got 'no'"):
        km.risk_ratio(TRIALS, event_is_good="no")  # type: ignore[arg-type]


def test_an_empty_event_is_called_event_in_sentences() -> None:
    assert "Risk ratio of event, " in km.risk_ratio(TRIALS.assign(event=" ")).summary()


@pytest.mark.parametrize(
    ("measure", "phrase"),
    [
        ("ROM", "ratios of means of"),
        ("ZCOR", "correlations (Fisher z) of"),
        ("SMD", "mean differences of"),
    ],
)
def test_measures_are_named_in_a_plural_that_exists(measure: str, phrase: str) -> None:
    effects = km.generic(pd.DataFrame({"study": ["A"], "y": [0.1], "v": [0.2]}), measure=measure)
    assert phrase in effects.methods_text()


def test_notebook_table_shows_effects_whose_table_holds_counts_as_text() -> None:
    frame = pd.DataFrame(
        {"study": ["A"], "y": [0.1], "v": [0.2], "events_t": ["12 of 30"], "n_t": [pd.NA]}
    )
    assert "<td>A</td>" in km.generic(frame)._repr_html_()


def test_from_counts_is_the_function_of_each_measure() -> None:
    functions = {
        "RR": km.risk_ratio,
        "OR": km.odds_ratio,
        "RD": km.risk_difference,
        "AS": km.arcsine_difference,
        "PETO": km.peto_odds_ratio,
    }
    assert set(functions) == set(COUNT_MEASURES)
    for measure, function in functions.items():
        one, other = from_counts(TRIALS, measure, event="cure"), function(TRIALS, event="cure")
        assert one.measure == other.measure == measure
        np.testing.assert_array_equal(one.y, other.y)
        np.testing.assert_array_equal(one.v, other.v)
        assert (one.zero, one.event) == (other.zero, "cure")
    assert from_counts(TRIALS, "RR", zero="none").k == 2
    with pytest.raises(ValueError, match='unknown measure "HR"; use one of: RR, OR, RD, AS, PETO'):
        from_counts(TRIALS, "HR")
    with pytest.raises(ValueError, match="measure PETO needs no zero-cell rule; leave zero out"):
        from_counts(TRIALS, "PETO", zero="none")
    with pytest.raises(ValueError, match='unknown interval of single trials "koopman"'):
        from_counts(TRIALS, "OR", interval="koopman")


def test_the_opposite_of_an_event_without_a_name_is_named_neutrally() -> None:
    assert set(km.effects.complement(TRIALS.assign(event="cure"))["event"]) == {"no cure"}
    assert set(km.effects.complement(TRIALS.drop(columns="event", errors="ignore"))["event"]) == {
        "no event"
    }


def test_rows_without_all_four_counts_are_left_out_by_name() -> None:
    rows = pd.DataFrame(
        {
            "study": ["A", "B", "C"],
            "events_t": [3, None, 5],
            "n_t": [10, 11, 12],
            "events_c": [1, 2, 3],
            "n_c": [10, 11, 12],
        }
    )
    left, notes = without_gaps(rows, {})
    assert left["study"].tolist() == ["A", "C"]
    assert left["events_t"].tolist() == [3, 5]
    assert len(notes) == 1
    assert notes[0].startswith('"B" takes no part: ')
    whole = rows.drop(index=1)
    assert without_gaps(whole, {})[0] is whole
    assert without_gaps(whole, {})[1] == ()
    with pytest.raises(ValueError, match='no trial has all four counts: "B" takes no part'):
        without_gaps(rows.iloc[1:2], {})
