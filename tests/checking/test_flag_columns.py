"""Flags, counts and other checks at the public boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta import checking


def table(values: Any) -> pd.DataFrame:
    column = values if isinstance(values, pd.api.extensions.ExtensionArray) else list(values)
    return pd.DataFrame({"study": list("ABCDEF")[: len(column)], "randomised": column})


@pytest.mark.parametrize(
    "values",
    [
        [True, False, True],
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        ["yes", "no", "Y"],
        ["true", "FALSE", " Yes "],
        ["1", "0", "y"],
        np.array([True, False, True]),
        pd.array([True, False, True], dtype="boolean"),
        pd.array([1, 0, 1], dtype="Int64"),
        pd.array(["TRUE", "N", "yes"], dtype="string"),
        pd.Categorical(["yes", "no", "yes"]),
    ],
)
def test_flags_are_read_in_every_spelling(values: Any) -> None:
    frame = pd.DataFrame({"study": list("ABC"), "randomised": values})
    found = checking.flags(frame, "randomised")
    assert found.dtype == "boolean"
    assert found.tolist() == [True, False, True]
    assert checking.established(frame, "randomised").tolist() == [True, False, True]


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT, "", "  "])
def test_an_empty_cell_is_missing_and_establishes_nothing(gap: Any) -> None:
    frame = table(["yes", gap, "no"])
    assert checking.flags(frame, "randomised").isna().tolist() == [False, True, False]
    assert checking.established(frame, "randomised").tolist() == [True, False, False]


@pytest.mark.parametrize("wrong", ["RCT", 2, -1, 0.5, "maybe", "2", [True], np.inf])
def test_what_is_no_flag_is_refused_by_row_study_and_value(wrong: Any) -> None:
    message = r'randomised is not a flag in row 2 \("B"\): randomised = .* give True or False'
    with pytest.raises(ValueError, match=message):
        checking.flags(table([True, wrong, False]), "randomised")


def test_flags_keep_the_index_and_need_no_study() -> None:
    frame = pd.DataFrame({"randomised": ["no", "yes"]}, index=[7, 3])
    assert checking.flags(frame, "randomised").index.tolist() == [7, 3]
    with pytest.raises(ValueError, match=r'in row 2 \("3"\)'):
        checking.flags(frame.assign(randomised=["no", "RCT"]), "randomised")


@pytest.mark.parametrize("word", ["no", "False", 0, 1, None])
def test_a_keyword_flag_is_a_bool(word: Any) -> None:
    assert checking.flag(np.bool_(True), "mixed") is True
    with pytest.raises(TypeError, match="mixed must be True or False"):
        checking.flag(word, "mixed")


TRIALS = pd.DataFrame(
    {
        "study": list("ABC"),
        "events_t": [12, 9, 20],
        "n_t": [40, 35, 61],
        "events_c": [5, 6, 11],
        "n_c": [41, 33, 60],
    }
)


@pytest.mark.parametrize("spelling", [(True, False, True), ("yes", "no", "Y"), (1, 0, 1)])
def test_the_spelling_of_a_flag_never_changes_a_result(spelling: tuple[Any, ...]) -> None:
    pooled = km.pool(km.risk_ratio(TRIALS.assign(randomised=list(spelling))))
    assert pooled.k == 2
    assert "B" in pooled.summary()
    counted = km.mantel_haenszel(TRIALS.assign(randomised=list(spelling)))
    assert counted.k == 2


def test_what_is_not_established_is_never_pooled_with_randomised() -> None:
    pooled = km.pool(km.risk_ratio(TRIALS.assign(randomised=["yes", None, "yes"])))
    assert pooled.k == 2
    assert list(pooled.effects.excluded) == [1]
    assert "not established" in pooled.effects.excluded[1]
    with pytest.raises(ValueError, match=r'randomised is not a flag in row 2 \("B"\)'):
        km.pool(km.risk_ratio(TRIALS.assign(randomised=["yes", "RCT", "yes"])))


@pytest.mark.parametrize("word", ["no", "False", 2, None])
def test_mixed_is_true_or_false(word: Any) -> None:
    effects = km.risk_ratio(TRIALS.assign(randomised=[True, False, True]))
    with pytest.raises(TypeError, match="mixed must be True or False"):
        km.pool(effects, mixed=word)


def test_numbers_and_counts_are_refused_by_row() -> None:
    labels = ("A", "B")
    frame = pd.DataFrame({"events_t": [1, 3], "n_t": [2, 2]})
    with pytest.raises(
        ValueError, match=r'events exceed total in row 2 \("B"\): events_t = 3 > n_t'
    ):
        checking.counts(frame, {"events_t": "n_t"}, labels)
    with pytest.raises(ValueError, match=r'n_t is 0 in row 1 \("A"\)'):
        checking.counts(frame.assign(events_t=0, n_t=[0, 2]), {"events_t": "n_t"}, labels)
    with pytest.raises(ValueError, match="events_t is not a whole number in row 1"):
        checking.counts(frame.assign(events_t=[0.5, 1]), {"events_t": "n_t"}, labels)
    with pytest.raises(ValueError, match="events_t is negative in row 2"):
        checking.counts(frame.assign(events_t=[1, -1]), {"events_t": "n_t"}, labels)
    with pytest.raises(ValueError, match="events_t is not a number in row 1"):
        checking.counts(frame.assign(events_t=[True, False]), {"events_t": "n_t"}, labels)
