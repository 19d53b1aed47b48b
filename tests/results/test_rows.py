"""Rows of effects: selected, turned round, swapped, joined and counted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from kapmeta.results.shared.rows import (
    absence_reason,
    has_empty_cell,
    joined_rows,
    people_in,
    positions_of,
    rest_of_percent,
    reversed_rows,
    same_name,
    swapped_rows,
)

LABELS = ("Abel 2019", "Baker 2021", "Cruz 2024")
COUNTED = pd.DataFrame(
    {
        "study": ["A", "B"],
        "events_t": [12, 9],
        "n_t": [40, 35],
        "events_c": [5, 6],
        "n_c": [41, 33],
        "percent_t": ["30.0", "25.7"],
        "percent_c": [12.2, 18.2],
    }
)
PRINTED = pd.DataFrame(
    {
        "study": ["A"],
        "estimate": [2.0],
        "low": [0.5],
        "high": [8.0],
        "printed_level": [0.95],
        "treatment": ["ketamine"],
        "control": ["placebo"],
    }
)


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        (slice(1, None), [1, 2]),
        (" Cruz 2024 ", [2]),
        (1, [1]),
        (-1, [2]),
        (np.int64(0), [0]),
        ([2, 0], [2, 0]),
        ([-3, -1], [0, 2]),
        (["Baker 2021", "Abel 2019"], [1, 0]),
        ([False, True, True], [1, 2]),
        (np.array([True, False, False]), [0]),
        ([], []),
    ],
)
def test_positions_of_what_is_kept(keep: Any, found: list[int]) -> None:
    assert positions_of(keep, LABELS).tolist() == found


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        (True, TypeError, "got True alone"),
        (2.5, TypeError, "got float"),
        ([0, "Abel 2019"], TypeError, "not a mixture"),
        ([True, False], ValueError, "keep has 2 flags for 3 studies"),
        ([True, pd.NA, False], ValueError, 'missing for the study "Baker 2021"'),
        (["Dunn"], ValueError, 'no study is named "Dunn"'),
        (["Abel 2019", "Abel 2019"], ValueError, "twice; a trial counts once"),
        ([3], ValueError, "no study at position 3; positions run from 0 to 2"),
        ([-4], ValueError, "no study at position -4"),
        ([0, -3], ValueError, "a position twice; a trial counts once"),
    ],
)
def test_what_keeps_no_studies_is_refused(keep: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        positions_of(keep, LABELS)


def test_a_label_that_occurs_twice_is_kept_twice() -> None:
    assert positions_of("A", ("A", "B", "A")).tolist() == [0, 2]


def test_reasons_of_tables_without_an_estimate() -> None:
    assert absence_reason([0, 10, 0, 12], "none") == "no event in either arm"
    assert (
        absence_reason([10, 10, 12, 12], "none") == "the event happened to everybody in both arms"
    )
    for cells, words in (
        ([0, 10, 3, 12], "0 of 10 v 3 of 12"),
        ([3, 10, 0, 12], "3 of 10 v 0 of 12"),
        ([10, 10, 3, 12], "10 of 10 v 3 of 12"),
        ([3, 10, 12, 12], "3 of 10 v 12 of 12"),
    ):
        assert absence_reason(cells, "none") == f'a zero cell ({words}) and zero-cell rule "none"'


def test_a_percentage_keeps_its_decimals_and_its_kind() -> None:
    assert rest_of_percent("30.0") == "70.0"
    assert rest_of_percent(12.2) == 87.8
    assert rest_of_percent("about half") == "about half"


def test_reversed_counts_are_those_without_the_event() -> None:
    turned = reversed_rows(COUNTED, "relapse", False, ratio=True)
    assert turned["events_t"].tolist() == [28, 26]
    assert turned["events_c"].tolist() == [36, 27]
    assert turned["n_t"].tolist() == [40, 35]
    assert turned["percent_t"].tolist() == ["70.0", "74.3"]
    assert turned["percent_c"].tolist() == [87.8, 81.8]
    assert turned["event"].tolist() == ["relapse"] * 2
    assert turned["event_is_good"].tolist() == [False] * 2


@pytest.mark.parametrize(("ratio", "row"), [(True, [0.5, 0.125, 2.0]), (False, [-2, -8, -0.5])])
def test_printed_estimates_and_limits_are_turned_round(ratio: bool, row: list[float]) -> None:
    for turned in (
        reversed_rows(PRINTED, "relapse", False, ratio=ratio),
        swapped_rows(PRINTED, ratio=ratio),
    ):
        assert turned[["estimate", "low", "high"]].iloc[0].tolist() == row
        assert list(turned) == list(PRINTED)
    assert "event" not in reversed_rows(PRINTED, "relapse", False, ratio=ratio)
    named = PRINTED.assign(event="abstinence", event_is_good=True)
    turned = reversed_rows(named, "relapse", False, ratio=ratio)
    assert turned[["event", "event_is_good"]].iloc[0].tolist() == ["relapse", False]


def test_swapped_arms_exchange_their_columns_and_names() -> None:
    rows = COUNTED.assign(treatment="ketamine", control="placebo", note_t="alone")
    swapped = swapped_rows(rows, ratio=True)
    assert swapped["events_t"].tolist() == [5, 6]
    assert swapped["n_c"].tolist() == [40, 35]
    assert swapped["treatment"].tolist() == ["placebo"] * 2
    assert swapped["control"].tolist() == ["ketamine"] * 2
    assert swapped["note_t"].tolist() == ["alone"] * 2
    assert list(swapped) == list(rows)
    assert_frame_equal(swapped_rows(swapped, ratio=True), rows)
    lone = swapped_rows(pd.DataFrame({"study": ["A"], "treatment": ["ketamine"]}), ratio=False)
    assert list(lone) == ["study", "control"]


def test_the_four_counts_alone_are_turned_round() -> None:
    cells = COUNTED[["events_t", "n_t", "events_c", "n_c"]]
    turned = reversed_rows(cells, "relapse", None, ratio=False)
    assert turned["events_t"].tolist() == [28, 26]
    assert turned["event"].tolist() == ["relapse"] * 2


def test_joined_rows_keep_limits_where_they_are_printed() -> None:
    joined = joined_rows(COUNTED.assign(low="low risk"), PRINTED)
    assert joined["study"].tolist() == ["A", "B", "A"]
    assert joined["low"].isna().tolist() == [True, True, False]
    assert joined.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("cells", "empty"),
    [
        ([0, 10, 3, 12], True),
        ([3, 10, 0, 12], True),
        ([10, 10, 3, 12], True),
        ([3, 10, 12, 12], True),
        ([1, 10, 1, 12], False),
        ([9, 10, 11, 12], False),
    ],
)
def test_cells_of_nobody(cells: list[int], empty: bool) -> None:
    table = pd.DataFrame([[5, 10, 5, 10], cells], columns=["events_t", "n_t", "events_c", "n_c"])
    assert has_empty_cell(table) is empty
    assert has_empty_cell(table.drop(columns="n_c")) is False


def trial_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"study": "A", **columns})


@pytest.mark.parametrize(
    ("rows", "people"),
    [
        (COUNTED, 40 + 41 + 35 + 33),
        (COUNTED.drop(columns="study"), 149),
        # two doses and the placebo that they share
        (trial_of(treatment=["x", "y"], control="p", n_t=[20, 21], n_c=[22, 22]), 63),
        # two times of the same arms: the larger number
        (trial_of(treatment="x", control="p", n_t=[20, 18], n_c=[22, 23]), 43),
        # arms that are not told apart by name
        (trial_of(n_t=[20, 21], n_c=[22, 22]), math.nan),
        (trial_of(n_t=[np.nan], n_c=[22]), math.nan),
        (trial_of(n_t=[np.nan], n_c=[22], participants=[50]), 50),
        (trial_of(participants=["50", "50"]), 50),
        (trial_of(participants=[50, 60]), math.nan),
        (trial_of(participants=["many"]), math.nan),
        # an effect that combines several rows has its own number
        (trial_of(n_t=[20], n_c=[22], n_effects=[2], participants=[63]), 63),
        (trial_of(n_t=[20], n_c=[22], n_effects=[1], participants=[63]), 42),
        (
            trial_of(treatment="x", control="p", n_t=20, n_c=22, n_effects=[1, 2], participants=63),
            63,
        ),
    ],
)
def test_everybody_counts_once(rows: pd.DataFrame, people: float) -> None:
    assert people_in(rows) == pytest.approx(people, nan_ok=True)


def test_names_are_compared_without_blanks() -> None:
    assert same_name(" A\u200b", "A ")
    assert not same_name("A", "B")
