"""What every result offers its readers, and which side of no effect an interval lies on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.measures import MEASURES, exclusion_sentence, side_of
from kapmeta.references import METHOD_KEYS, PAPERS, cited, papers_of
from kapmeta.results.views import View
from tests.results.test_methods_text import CLASSES

BCG = km.load_example("bcg")


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_every_result_is_a_view(one: type) -> None:
    assert issubclass(one, View)


def test_a_notebook_shows_a_paragraph_per_sentence_and_a_table() -> None:
    pooled = km.pool(km.risk_ratio(BCG))
    shown = pooled._repr_html_()
    assert shown.count("<p>") == len(pooled.summary().splitlines())
    assert shown.count("<table") == 1
    subsets = km.all_subsets(km.pool(km.risk_ratio(BCG.head(4))))
    assert "<table" not in subsets._repr_html_()


def test_an_interval_lies_on_a_side_of_no_effect_only_where_there_is_one() -> None:
    low, high = [0.1, -0.2, -0.3, np.nan, 0.0], [0.3, 0.1, -0.1, np.nan, 0.2]
    assert side_of(low, high).tolist() == [1, 0, -1, 0, 0]
    ratio = MEASURES["RR"]
    side = ratio.side(low, high)
    shown = ratio.side(np.exp(low), np.exp(high), shown=True)
    assert side is not None
    assert shown is not None
    assert side.tolist() == shown.tolist() == [1, 0, -1, 0, 0]
    assert exclusion_sentence(side, ratio.null) == "The interval excludes 1 in 2 of 5."
    for key in ("PR", "PLN", "PLO", "PAS"):
        assert MEASURES[key].side(0.1, 0.3) is None
    assert exclusion_sentence(None, None) == ""


def test_the_side_of_a_result() -> None:
    harmful = km.generic(pd.DataFrame({"study": ["A"], "y": [-1.0], "v": [0.01]}), y="y", v="v")
    assert km.pool(harmful).side == -1
    assert km.pool(km.risk_ratio(BCG)).side == -1
    table = pd.DataFrame({"study": ["A", "B"], "events": [3, 5], "n": [10, 12]})
    assert km.pool(km.proportion(table)).side is None


def test_the_bibliography_has_each_paper_once() -> None:
    assert len(set(PAPERS.values())) == len(PAPERS)
    assert set(METHOD_KEYS.values()) <= set(PAPERS)
    assert not set(METHOD_KEYS) & set(PAPERS)
    assert papers_of(["ML", "REML", "no method"]) == [PAPERS["REML"]]
    assert cited("We did it.") == "We did it."
    assert cited("We did it.", "limit") == f"We did it ({PAPERS['limit']})."
