"""Columns are found under any spelling of their name, and named ones must be there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import kapmeta as km
from kapmeta import checking
from kapmeta.checking import RESERVED
from tests.helpers.columns import BLOCK, README, table

BASE = pd.DataFrame(
    {
        "study": ["Abel 2019", "Baker 2021", "Cruz 2024"],
        "events_t": [12, 9, 20],
        "n_t": [40, 35, 61],
        "events_c": [5, 6, 11],
        "n_c": [41, 33, 60],
    }
)
ARMS = {"events_t": "events_c", "n_t": "n_c", "events_c": "events_t", "n_c": "n_t"}


@pytest.mark.parametrize(
    "names",
    [
        ["\ufeffstudy", "events_t", "n_t", "events_c", "n_c"],
        ["study ", " events_t", "n_t\t", "events_c\u200b", "n_c"],
        ["study", "events_t", "n\uff3ft", "events_c", "n_c"],
    ],
)
def test_spellings_of_a_column_are_one_name(names: list[str]) -> None:
    found = km.risk_ratio(BASE.set_axis(names, axis=1))
    assert_array_equal(found.y, km.risk_ratio(BASE).y)
    assert set(BASE.columns) <= set(found.table.columns)


def test_integer_columns_can_be_named() -> None:
    plain = BASE.set_axis(range(5), axis=1)
    for kind in (int, str):
        names = dict(zip(BASE.columns, map(kind, range(5)), strict=True))
        assert_array_equal(km.risk_ratio(plain, **names).y, km.risk_ratio(BASE).y)


def test_reserved_columns_are_found_under_any_spelling() -> None:
    frame = BASE.assign(**{" randomised ": ["yes", "no", "yes"]})
    assert km.pool(km.risk_ratio(frame)).k == 2
    other = BASE.assign(rct=["yes", "no", "yes"])
    assert km.pool(km.risk_ratio(other)).k == 3
    assert km.pool(km.risk_ratio(other, rename={"rct": "randomised"})).k == 2
    assert km.mantel_haenszel(other, rename={"rct": "randomised"}).k == 2


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two columns named \"n_t\", 'n_t' and 'n_t '; rename one"):
        km.risk_ratio(BASE.assign(**{"n_t ": 1}))


def test_arms_are_swapped_by_keyword() -> None:
    frame = BASE.assign(treatment="drug", control="placebo", missing_t=[1, 2, 3], missing_c=0)
    found = km.risk_ratio(frame, **ARMS)
    assert_allclose(found.y, -km.risk_ratio(frame).y, rtol=1e-14)
    assert (found.treatment, found.control) == ("placebo", "drug")
    assert found.table["missing_c"].tolist() == [1, 2, 3]
    named = km.risk_ratio(frame, **ARMS, treatment="usual care", control="new")
    assert (named.treatment, named.control) == ("usual care", "new")


def test_one_column_may_serve_both_arms() -> None:
    frame = BASE.drop(columns=["n_t", "n_c"]).assign(size=50)
    found = km.risk_ratio(frame, n_t="size", n_c="size")
    assert_array_equal(found.y, km.risk_ratio(BASE.assign(n_t=50, n_c=50)).y)


@pytest.mark.parametrize(
    ("call", "missing", "there"),
    [
        (lambda: km.risk_ratio(BASE, events_t="responders"), "responders", "events_t"),
        (lambda: km.risk_ratio(BASE.rename(columns={"n_t": "N_t"})), "n_t", 'n_t="N_t"'),
        (
            lambda: km.reported(
                pd.DataFrame({"study": ["a"], "estimate": [0.8], "ci_low": [0.3], "p_value": 0.6}),
                measure="OR",
                low="ci_lo",
            ),
            "ci_lo",
            "ci_low",
        ),
        (lambda: km.risk_ratio(BASE.set_index("study")), "study", "reset_index"),
        (
            lambda: km.effects.sampling_covariance(
                km.risk_ratio(BASE.assign(treatment="a", control="b")), months="month"
            ),
            "month",
            "events_t",
        ),
    ],
)
def test_a_named_column_must_be_there(call: Any, missing: str, there: str) -> None:
    with pytest.raises(ValueError, match=f'no column "{missing}"') as error:
        call()
    assert there in str(error.value)


class Foreign:
    """A table of another library."""

    __module__ = "polars.dataframe"

    def __init__(self, frame: pd.DataFrame | None) -> None:
        self.frame = frame
        if frame is not None:
            self.to_pandas = lambda: self.frame


def test_tables_of_other_libraries_are_converted_or_named() -> None:
    assert_array_equal(km.risk_ratio(Foreign(BASE)).y, km.risk_ratio(BASE).y)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"got Foreign of polars; convert it, e\.g\. by to_pandas"):
        km.risk_ratio(Foreign(None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rename", "error", "message"),
    [
        ("label", TypeError, "rename must be a mapping"),
        ({"site": "label"}, ValueError, 'no column "site"'),
        ({"x": "events_t"}, ValueError, "rename and the keyword events_t both name a column"),
    ],
)
def test_rename_is_checked(rename: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        km.risk_ratio(BASE.assign(a=1), events_t="a", rename=rename)


@pytest.mark.parametrize("name", [["events_t"], None, True])
def test_a_column_is_named_by_text_or_a_number(name: Any) -> None:
    with pytest.raises(TypeError, match="events_t must be the name of a column"):
        km.risk_ratio(BASE, events_t=name)


def test_every_reserved_column_can_be_renamed() -> None:
    table = km.effects.reserved_columns()
    assert table["column"].tolist() == list(RESERVED)
    assert set(table["keyword"]) <= {*table["column"], "rename"}
    assert (table["meaning"].str.len() > 3).all()


def test_the_table_in_the_readme_is_that_of_the_package() -> None:
    drawn = BLOCK.search(README.read_text(encoding="utf-8"))
    assert drawn, "README.md has no table of columns"
    assert drawn[0] == table(), "run `python -m tests.helpers.columns`"


@pytest.mark.parametrize("column", [name for name, row in RESERVED.items() if row[1] == "rename"])
def test_a_column_of_ones_own_with_a_reserved_name_can_be_set_aside(column: str) -> None:
    frame = BASE.assign(**{column: ["RCT", "maybe", 7]})
    found = km.risk_ratio(frame, rename={column: "mine"})
    assert_array_equal(found.y, km.risk_ratio(BASE).y)
    assert (found.labels, found.event) == (km.risk_ratio(BASE).labels, "event")
    assert found.table["mine"].tolist() == ["RCT", "maybe", 7]
    assert np.isfinite(km.pool(found).estimate)


def test_the_checks_leave_the_users_table_as_it_is() -> None:
    frame = BASE.assign(study=["a ", "b", "c"], **{"label ": "x"})
    before = frame.copy()
    km.risk_ratio(frame)
    checking.columns_of(frame, {"study": "study"})
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("value", [1, 0, 1.0, -0.5, 95, 100])
def test_a_proportion_lies_between_0_and_1(value: float) -> None:
    with pytest.raises(ValueError, match="level must lie between 0 and 1") as error:
        checking.proportion(value, "level")
    assert ("use 0.95 for 95 %" in str(error.value)) == (value == 95)
    assert "use 1" not in str(error.value)


def test_an_error_counts_the_other_rows_at_fault() -> None:
    with pytest.raises(ValueError, match=r"in row 2 \(\"B\"\) \(and 1 more\): 9"):
        checking.refuse_first(np.array([False, True, True]), ("A", "B", "C"), "rule", "9")
    with pytest.raises(ValueError, match=r"in row 2 \(\"B\"\): 9"):
        checking.refuse_first(np.array([False, True, False]), ("A", "B", "C"), "rule", "9")
