"""Properties that hold for every effect function: what may not change a number, and what must."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import kapmeta as km
from kapmeta.effects import combine_arms, complement, contrasts
from kapmeta.results.effects import Effects

LETTERS = list("ABCD")
COUNTS = pd.DataFrame(
    {
        "study": LETTERS,
        "events_t": [12, 9, 20, 0],
        "n_t": [40, 35, 61, 30],
        "events_c": [5, 6, 11, 4],
        "n_c": [41, 33, 60, 29],
    }
)
MEANS = pd.DataFrame(
    {
        "study": LETTERS,
        "mean_t": [10.5, 11.25, 9.0, 14.0],
        "sd_t": [2.5, 3.0, 1.75, 4.5],
        "n_t": [40, 35, 61, 30],
        "mean_c": [9.5, 11.0, 10.25, 12.0],
        "sd_c": [2.25, 3.5, 2.0, 4.0],
        "n_c": [41, 33, 60, 29],
    }
)
ONE_GROUP = pd.DataFrame({"study": LETTERS, "events": [0, 9, 20, 30], "n": [40, 35, 61, 30]})
PAIRS = pd.DataFrame({"study": LETTERS, "r": [0.5, -0.25, 0.0, 0.75], "n": [40, 35, 61, 30]})
RATES = COUNTS.rename(columns={"n_t": "time_t", "n_c": "time_c"})
PRINTED = pd.DataFrame(
    {
        "study": LETTERS,
        "estimate": [0.5, 1.25, 2.0, 0.75],
        "low": [0.25, 0.5, 1.0, 0.25],
        "high": [1.0, 3.125, 4.0, 2.25],
    }
)
RAW = pd.DataFrame({"study": LETTERS, "y": [0.5, -0.25, 0.0, 0.75], "v": [0.5, 0.25, 1.0, 0.75]})

FUNCTIONS: dict[str, tuple[Callable[..., Effects], pd.DataFrame]] = {
    "RR": (km.risk_ratio, COUNTS),
    "OR": (km.odds_ratio, COUNTS),
    "RD": (km.risk_difference, COUNTS),
    "AS": (km.arcsine_difference, COUNTS),
    "PETO": (km.peto_odds_ratio, COUNTS),
    "MD": (km.mean_difference, MEANS),
    "SMD": (km.standardized_mean_difference, MEANS),
    "ROM": (km.ratio_of_means, MEANS),
    "PLO": (km.proportion, ONE_GROUP),
    "ZCOR": (km.correlation, PAIRS),
    "IRR": (km.rate_ratio, RATES),
    "HR": (lambda frame, **names: km.reported(frame, measure="HR", **names), PRINTED),
    "GEN": (km.generic, RAW),
}
EVERY = pytest.mark.parametrize("name", FUNCTIONS)
SYMMETRIC = pytest.mark.parametrize("name", ["OR", "RD", "AS", "PETO"])
TWO_ARMS = ["RR", "OR", "RD", "AS", "PETO", "MD", "SMD", "IRR"]


def numbers_of(frame: pd.DataFrame) -> list[str]:
    return [column for column in frame if column != "study"]


def same(found: Effects, wanted: Effects) -> None:
    assert_array_equal(found.y, wanted.y)
    assert_array_equal(found.v, wanted.v)
    assert_array_equal(found.corrected, wanted.corrected)
    assert found.excluded == wanted.excluded
    left, right = (one.to_frame()[["row", "estimate", "low", "high"]] for one in (found, wanted))
    pd.testing.assert_frame_equal(left, right)


DTYPES: dict[str, Callable[[pd.Series], Any]] = {
    "float64": lambda x: x.astype("float64"),
    "nullable": lambda x: x.convert_dtypes(dtype_backend="numpy_nullable"),
    "Float64": lambda x: x.astype("Float64"),
    "object": lambda x: x.astype(object),
    "Decimal": lambda x: pd.Series([Decimal(str(value)) for value in x], index=x.index),
    "categorical": lambda x: x.astype("category"),
    "pyarrow": lambda x: x.astype("float64").astype("double[pyarrow]"),
    "float32": lambda x: x.astype("float32"),
}


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_type_of_a_column_changes_no_number(name: str, dtype: str) -> None:
    if dtype == "pyarrow":
        pytest.importorskip("pyarrow")
    function, frame = FUNCTIONS[name]
    other = frame.assign(**{column: DTYPES[dtype](frame[column]) for column in numbers_of(frame)})
    same(function(other), function(frame))
    pooled = [km.pool(function(one), model="common") for one in (other, frame)]
    assert pooled[0].estimate == pooled[1].estimate


@EVERY
@pytest.mark.parametrize(
    ("kind", "why"),
    [(str, "it is text"), (lambda x: pd.Timestamp("2024-10-12"), "it is a date"), (bool, "flag")],
)
def test_text_dates_and_flags_are_no_numbers(name: str, kind: Any, why: str) -> None:
    function, frame = FUNCTIONS[name]
    for column in numbers_of(frame):
        wrong = frame.assign(**{column: frame[column].map(kind)})
        with pytest.raises(ValueError, match=rf'{column} is not a number in row 1 \("A"\).*{why}'):
            function(wrong)


@EVERY
def test_the_order_of_the_rows_is_kept(name: str) -> None:
    function, frame = FUNCTIONS[name]
    order = [2, 0, 3, 1]
    same(function(frame.iloc[order]), function(frame).select(order))


@EVERY
def test_the_names_of_the_columns_change_nothing(name: str) -> None:
    function, frame = FUNCTIONS[name]
    other = {column: f"my {column}" for column in frame.columns}
    same(function(frame.rename(columns=other), **other), function(frame))
    places = {column: i for i, column in enumerate(frame.columns)}
    same(function(frame.rename(columns=places), **places), function(frame))


@EVERY
def test_other_columns_and_the_index_change_nothing(name: str) -> None:
    function, frame = FUNCTIONS[name]
    other = frame.assign(mine=["x", None, 1, b"y"], **{"": 0}).set_index(pd.Index([9, 9, 1, 0]))
    same(function(other), function(frame))


@EVERY
def test_a_row_with_a_gap_stays_in_sight_and_out_of_the_pool(name: str) -> None:
    function, frame = FUNCTIONS[name]
    for column in numbers_of(frame):
        gap = frame.assign(**{column: frame[column].astype(float).where(frame["study"] != "C")})
        if name == "HR" and column != "estimate":
            gap = gap.assign(low=gap["low"].where(gap[column].notna()))
            gap = gap.assign(high=gap["high"].where(gap[column].notna()))
        found = function(gap)
        reason = found.excluded[2]
        assert column in reason
        assert reason.endswith(" empty")
        table = found.to_frame()
        assert table.loc[2, "row"] == "excluded"
        assert table.loc[2, ["estimate", "low", "high"]].isna().all()
        without = function(frame[frame["study"] != "C"])
        rest = found.select([True, True, False, True])
        assert_array_equal(rest.y, without.y)
        assert_array_equal(rest.v, without.v)
        assert km.pool(found).estimate == km.pool(without).estimate
        assert f"C gives no estimate: {reason}." in km.pool(found).summary()
        with pytest.raises(ValueError, match=r'row 3 \("C"\)'):
            function(gap, missing="raise")


@EVERY
def test_nothing_but_gaps_is_no_pool(name: str) -> None:
    function, frame = FUNCTIONS[name]
    first = numbers_of(frame)[0]
    found = function(frame.assign(**{first: np.nan}))
    assert found.k == 0
    with pytest.raises(ValueError, match=f"nothing to pool .*{first} is empty"):
        km.pool(found)


@EVERY
def test_the_level_changes_the_intervals_only(name: str) -> None:
    function, frame = FUNCTIONS[name]
    found = function(frame)
    wide, narrow = found.to_frame(level=0.99), found.to_frame(level=0.8)
    assert_allclose(wide["estimate"], narrow["estimate"], rtol=1e-12)
    there = found.present
    assert (wide["low"] < narrow["low"])[there].all() or name == "PLO"
    assert (wide["high"] > narrow["high"])[there].all() or name == "PLO"


@pytest.mark.parametrize("name", TWO_ARMS)
def test_swapped_arms_turn_the_sign(name: str) -> None:
    function, frame = FUNCTIONS[name]
    frame = frame.assign(treatment="drug", control="placebo")
    ends = {
        column: column[:-1] + {"t": "c", "c": "t"}[column[-1]] for column in frame.columns[1:-2]
    }
    found, straight = function(frame, **ends), function(frame)
    assert_allclose(found.y, -straight.y, rtol=1e-12)
    assert_allclose(found.v, straight.v, rtol=1e-12)
    assert (found.treatment, found.control) == ("placebo", "drug")


@st.composite
def trials(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 5))
    sizes = [draw(st.tuples(st.integers(2, 90), st.integers(2, 90))) for _ in range(rows)]
    events = [(draw(st.integers(0, n)), draw(st.integers(0, m))) for n, m in sizes]
    return pd.DataFrame(
        {
            "study": [f"Study {i}" for i in range(rows)],
            "event": "cure",
            "event_is_good": draw(st.sampled_from([True, False])),
            "events_t": [a for a, _ in events],
            "n_t": [n for n, _ in sizes],
            "events_c": [c for _, c in events],
            "n_c": [m for _, m in sizes],
        }
    )


@given(trials())
@settings(max_examples=60, deadline=None)
def test_the_complement_of_the_complement_is_the_table(frame: pd.DataFrame) -> None:
    twice = complement(complement(frame))
    assert twice["event_is_good"].tolist() == frame["event_is_good"].tolist()
    pd.testing.assert_frame_equal(
        twice.drop(columns="event_is_good"), frame.drop(columns="event_is_good")
    )
    assert set(complement(frame)["event"]) == {"no cure"}


@SYMMETRIC
@given(frame=trials())
@settings(max_examples=60, deadline=None)
def test_the_complement_turns_the_sign(name: str, frame: pd.DataFrame) -> None:
    function, _ = FUNCTIONS[name]
    straight, turned = function(frame), function(complement(frame))
    assert_allclose(turned.y, -straight.y, rtol=1e-9, atol=1e-12)
    assert_allclose(turned.v, straight.v, rtol=1e-9)
    assert turned.event_is_good is not straight.event_is_good


@given(trials())
@settings(max_examples=60, deadline=None)
def test_a_gap_has_no_complement(frame: pd.DataFrame) -> None:
    gap = frame.assign(events_t=frame["events_t"].astype("Int64").mask(frame.index == 0))
    turned = complement(gap)
    assert turned["events_t"].isna().tolist() == gap["events_t"].isna().tolist()
    assert_array_equal(turned["n_t"], frame["n_t"])


@st.composite
def several_arms(draw: st.DrawFn) -> pd.DataFrame:
    """Draw trials with one to four treated arms and one control each."""
    rows = []
    for trial in range(draw(st.integers(1, 3))):
        m = draw(st.integers(1, 60))
        c = draw(st.integers(0, m))
        for arm in range(draw(st.integers(1, 4))):
            n = draw(st.integers(1, 60))
            rows.append((f"T{trial}", f"arm {arm}", "placebo", draw(st.integers(0, n)), n, c, m))
    columns = ["study", "treatment", "control", "events_t", "n_t", "events_c", "n_c"]
    return pd.DataFrame(rows, columns=columns).assign(missing_t=1, missing_c=2)


@given(several_arms())
@settings(max_examples=60, deadline=None)
def test_combined_arms_hold_everybody_once(frame: pd.DataFrame) -> None:
    found = combine_arms(frame)
    assert found["study"].tolist() == list(dict.fromkeys(frame["study"]))
    for column in ("events_t", "n_t", "missing_t"):
        assert found[column].sum() == frame[column].sum()
    controls = frame.drop_duplicates("study")
    for column in ("events_c", "n_c", "missing_c"):
        assert found[column].tolist() == controls[column].tolist()
    parts = [part.split(" + ") for part in found["treatment"]]
    assert [name for part in parts for name in part] == frame["treatment"].tolist()
    pd.testing.assert_frame_equal(combine_arms(found), found)


@given(several_arms(), st.data())
@settings(max_examples=40, deadline=None)
def test_an_unknown_arm_makes_the_sum_unknown(frame: pd.DataFrame, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(frame) - 1))
    gap = frame.assign(events_t=frame["events_t"].astype(float))
    gap.loc[row, "events_t"] = np.nan
    found = combine_arms(gap).set_index("study")["events_t"]
    assert found.isna().tolist() == [study == gap.loc[row, "study"] for study in found.index]


@given(
    st.lists(st.tuples(st.sampled_from("kp"), st.integers(0, 2)), min_size=2, max_size=5),
    st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_contrasts_keep_every_arm(levels: list[tuple[str, int]], studies: int) -> None:
    arms = pd.DataFrame(
        [(f"T{i}", f"arm {j}", *one) for i in range(studies) for j, one in enumerate(levels)],
        columns=["study", "arm", "drug", "dose"],
    )
    factors = ["drug", "dose"]
    distinct = len(set(levels))
    if distinct == 1:
        with pytest.raises(ValueError, match="permits no contrast"):
            contrasts(arms, factors=factors)
        return
    found = contrasts(arms, factors=factors, reference={"drug": "p"})
    for study, part in found.groupby("study"):
        named = {*part["treatment_arm"], *part["control_arm"]}
        assert named == set(arms.loc[arms["study"] == study, "arm"])
    drug = arms.set_index(["study", "arm"])["drug"]
    for row in found[found["question"].str.startswith("drug")].itertuples():
        assert drug[row.study, row.control_arm] == "p"


@pytest.mark.parametrize("column", ["study", "treatment", "control"])
@pytest.mark.parametrize("name", [None, "", " ", np.nan])
def test_arms_without_a_name_are_refused(column: str, name: Any) -> None:
    rows = pd.DataFrame(
        {
            "study": ["A", "A"],
            "treatment": ["high", "low"],
            "control": ["placebo"] * 2,
            "events_t": [10, 8],
            "n_t": [24, 24],
            "events_c": [4, 4],
            "n_c": [25, 25],
        }
    )
    rows.loc[1, column] = name
    for function in (combine_arms, km.effects.refuse_double_counting):
        with pytest.raises(ValueError, match=f"{column} is empty in row 2"):
            function(rows)
    if column == "study":
        arms = rows.rename(columns={"treatment": "arm"}).assign(drug="k", dose=[1, 2], therapy="t")
        with pytest.raises(ValueError, match="study is empty in row 2"):
            contrasts(arms)


@pytest.mark.parametrize(
    ("column", "values"),
    [("months", [3, 6]), ("event", ["cure", "relapse"]), ("contrast", ["a", "b"])],
)
def test_arms_of_different_questions_are_not_combined(column: str, values: list[Any]) -> None:
    rows = COUNTS.iloc[:2].assign(study="A", treatment=["high", "low"], control="placebo")
    rows = rows.assign(events_c=5, n_c=41, **{column: values})
    with pytest.raises(ValueError, match=f"differ in {column}"):
        combine_arms(rows)
