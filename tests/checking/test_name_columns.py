"""Names are compared without regard to blanks, invisible characters and Unicode form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kapmeta as km
from kapmeta import checking

BASE = pd.DataFrame(
    {
        "study": ["Abel 2019", "Baker 2021", "Cruz 2024", "Dunn 2020"],
        "events_t": [12, 9, 20, 7],
        "n_t": [40, 35, 61, 30],
        "events_c": [5, 6, 11, 8],
        "n_c": [41, 33, 60, 29],
    }
)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["Smith 2010", " Smith  2010 ", "Smith\u00a02010", "\ufeffSmith 2010"], "Smith 2010"),
        (["Smith\u200b 2010", "Smith\t2010\n", "Smi\u00adth 2010"], "Smith 2010"),
        (["\uff21\uff22", "AB"], "AB"),
        (["Mu\u0308ller", "M\u00fcller"], "M\u00fcller"),
        ([1, 1.0, "1", "1.0", np.int64(1), np.float32(1), " 1 "], "1"),
        ([None, np.nan, pd.NA, pd.NaT, "", " \u200b"], ""),
    ],
)
def test_every_spelling_is_one_name(values: list[Any], name: str) -> None:
    assert {checking.name_of(value) for value in values} == {name}


def test_different_names_stay_different() -> None:
    names = ["Smith 2010", "smith 2010", "Smith, 2010", "Smith 2010a", "1", "01", "1.5", "-1", True]
    assert len({checking.name_of(name) for name in names}) == len(names)


@given(st.text())
def test_a_name_is_its_own_name(text: str) -> None:
    assert checking.name_of(checking.name_of(text)) == checking.name_of(text)


def test_unifying_keeps_what_has_one_spelling() -> None:
    for column in (
        pd.Series([1, 2]),
        pd.Series(["a", None, "b"]),
        pd.Series(pd.Categorical(["b", "a"], categories=["b", "a"])),
        pd.Series([True, False]),
    ):
        assert checking.unified(column) is column


def test_unified_categories_keep_their_order() -> None:
    dtype = pd.CategoricalDtype(["low ", "high", "low"], ordered=True)
    found = checking.unified(pd.Series(["high", "low", "low ", None], dtype=dtype))
    assert found.cat.categories.tolist() == ["low", "high"]
    assert found.cat.ordered
    assert found.tolist()[:3] == ["high", "low", "low"]


@pytest.mark.parametrize(
    "study",
    [
        ["Smith 2010", "Smith  2010", "Smith 2010 ", "Dunn 2020"],
        [1, "1", 2, 3],
        ["1.0", 1, "x", "y"],
    ],
)
def test_a_study_spelled_twice_is_a_duplicate(study: list[Any]) -> None:
    with pytest.raises(ValueError, match=r'study ".*" appears in rows 1, 2.*a trial counts once'):
        km.risk_ratio(BASE.assign(study=study))


def test_spellings_that_differ_by_case_or_punctuation_are_warned_of_by_row() -> None:
    frame = BASE.assign(study=["Smith 2010", "smith, 2010", "1.5", "15"])
    with pytest.warns(
        UserWarning, match='"Smith 2010" in row 1 and "smith, 2010" in row 2'
    ) as seen:
        effects = km.risk_ratio(frame)
    assert effects.k == 4
    assert len(seen) == 1
    assert "15" not in str(seen[0].message)
    assert seen[0].filename == __file__


def test_labels_name_the_studies_only_if_no_two_share_one() -> None:
    design = km.risk_ratio(BASE.assign(label=["open", "open", "double-blind", "open"]))
    assert design.labels == tuple(BASE["study"])
    categorical = km.risk_ratio(BASE.assign(label=pd.Categorical(["x", None, "z", "w"])))
    assert categorical.labels == ("x", "Baker 2021", "z", "w")
    renamed = km.risk_ratio(BASE.assign(label=list("xyzw")), rename={"label": "site"})
    assert renamed.labels == tuple(BASE["study"])
    assert renamed.table["site"].tolist() == list("xyzw")


def with_total(label: str, rows: pd.DataFrame = BASE) -> pd.DataFrame:
    sums = {name: rows[name].sum() for name in rows.columns[1:]}
    return pd.concat([BASE, pd.DataFrame([{"study": label, **sums}])], ignore_index=True)


@pytest.mark.parametrize("label", ["Total", "TOTAL (95% CI)", "Subtotal", "Pooled", "overall:"])
@pytest.mark.parametrize(
    "pool", [lambda t: km.pool(km.odds_ratio(t)), km.mantel_haenszel, km.peto, km.pool_exact]
)
def test_a_row_that_sums_the_others_is_not_pooled(label: str, pool: Any) -> None:
    with (
        pytest.warns(UserWarning, match="row 5 is called"),
        pytest.raises(ValueError, match=rf'a total of other rows in row 5 \("{label[:5]}'),
    ):
        pool(with_total(label))


def test_a_subtotal_of_the_rows_before_it_is_not_pooled() -> None:
    labels = ("A", "B", "Subtotal", "C", "D", "Subtotal 2", "Total")
    counts = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 12.0])
    found = checking.total_rows(labels, {"n_t": counts})
    assert found.tolist() == [False, False, True, False, False, True, True]


def test_a_total_with_other_numbers_is_warned_of_and_pooled() -> None:
    frame = with_total("Total").replace({"events_t": {48: 47}})
    with pytest.warns(UserWarning, match='row 5 is called "Total"'):
        assert km.pool(km.risk_ratio(frame)).k == 5
    assert km.pool(km.risk_ratio(with_total("Totaro 2010"))).k == 5


def test_judgements_are_compared_as_names() -> None:
    judged = km.risk_ratio(BASE.assign(risk_of_bias=["Low", " low", "high", None]))
    found = km.certainty.low_risk_only(judged)
    assert found.k == 2
    assert found.excluded[3] == "risk of bias: not judged"
