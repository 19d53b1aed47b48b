"""What every result offers its readers."""

from __future__ import annotations

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.results.shared.views import View
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


def test_the_side_of_a_result() -> None:
    harmful = km.generic(pd.DataFrame({"study": ["A"], "y": [-1.0], "v": [0.01]}), y="y", v="v")
    assert km.pool(harmful).side == -1
    assert km.pool(km.risk_ratio(BCG)).side == -1
    table = pd.DataFrame({"study": ["A", "B"], "events": [3, 5], "n": [10, 12]})
    assert km.pool(km.proportion(table)).side is None
