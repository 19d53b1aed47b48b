"""One `Method` in the place of its words: the same result everywhere, and never both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.methods import Method, method_words
from kapmeta.sensitivity.fragility import fragility_index
from kapmeta.sensitivity.missingness import missing_outcomes
from kapmeta.sensitivity.percentages import rounded_counts
from kapmeta.sensitivity.tipping import tipping_point
from kapmeta.small_study.adjustments import trim_and_fill

BCG = km.load_example("bcg")
MISSING = BCG.head(5).assign(missing_t=1, missing_c=2)
SMOKING = km.load_example("passive_smoking")
SMOKE = km.generic(SMOKING, y="y", v="v", measure="OR", event_is_good=True)

RESULTS: dict[str, Callable[..., Any]] = {
    "pool": lambda **how: km.pool(km.risk_ratio(BCG), **how).to_frame(),
    "meta_regression": lambda **how: km.meta_regression(
        km.risk_ratio(BCG), "latitude", **how
    ).to_frame(),
    "subgroups": lambda **how: km.subgroups(km.risk_ratio(BCG), "allocation", **how).to_frame(),
    "missing_outcomes": lambda **how: missing_outcomes(MISSING, **how).to_frame(),
    "rounded_counts": lambda **how: rounded_counts(BCG.head(3), **how).to_frame(),
    "tipping_point": lambda **how: tipping_point(MISSING, **how).to_frame(),
    "fragility_index": lambda **how: fragility_index(BCG.head(5), **how).to_frame(),
    "trim_and_fill": lambda **how: trim_and_fill(SMOKE, **how).to_frame(),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_method_is_its_words(name: str) -> None:
    words = {"tau2": "DL", "ci": "wald", "level": 0.9}
    whole = RESULTS[name](method=Method(**words))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(whole, RESULTS[name](**words))


@pytest.mark.parametrize("name", RESULTS)
def test_a_method_and_a_word_are_refused_with_both_named(name: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"method and tau2 are both given: got tau2='PM' and method.tau2='DL'; leave one out",
    ):
        RESULTS[name](method=Method(tau2="DL"), tau2="PM")


def test_the_method_of_a_result_repeats_it() -> None:
    for model in ("random", "common"):
        first = km.pool(km.risk_ratio(BCG), model=model, level=0.9)
        assert km.pool(km.risk_ratio(BCG), method=first.method).to_frame().equals(first.to_frame())


def test_a_common_effect_has_the_defaults_of_its_model() -> None:
    found = km.pool(km.risk_ratio(BCG), method=Method(model="common"))
    assert found.method == km.pool(km.risk_ratio(BCG), model="common").method


def test_what_is_no_method_is_refused() -> None:
    with pytest.raises(TypeError, match="method must be a kapmeta.methods.Method: got str"):
        km.pool(km.risk_ratio(BCG), method="DL")  # type: ignore[arg-type]
    assert method_words(None, tau2=None, level=None) == {"tau2": None, "level": 0.95}
