"""One empty cell stops no analysis: every result is that of the other trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.pooling.exact_models import EXACT_MODELS

WHOLE = pd.DataFrame(
    {
        "study": list("ABCD"),
        "events_t": [12.0, 9.0, 20.0, 7.0],
        "n_t": [40, 35, 61, 30],
        "events_c": [5, 6, 11, 8],
        "n_c": [41, 33, 60, 29],
        "missing_t": 1,
        "missing_c": 2,
        "event_is_good": True,
    }
)
GAP = pd.concat(
    [WHOLE.iloc[:2], WHOLE.iloc[[0]].assign(study="Gap", events_t=np.nan), WHOLE.iloc[2:]],
    ignore_index=True,
)

OF_TRIALS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "mantel_haenszel": km.mantel_haenszel,
    "peto": km.peto,
    "pool_bayes": km.pool_bayes,
    "headline": km.headline,
    "fragility_index": km.fragility_index,
    "missing_outcomes": km.missing_outcomes,
    "tipping_point": km.tipping_point,
    "rounded_counts": km.sensitivity.rounded_counts,
    "multiverse": lambda t: km.multiverse(t, choices={"measure": ["RR"], "pooling": ["REML"]}),
    "sensitivity_table": km.sensitivity.sensitivity_table,
    "pooled_measures": km.sensitivity.pooled_measures,
    **{
        f"pool_exact {model}": lambda t, model=model: km.pool_exact(t, model=model)  # type: ignore[misc]
        for model in EXACT_MODELS
        if model != "CM.AL"  # for rare events only
    },
}
OF_EFFECTS: dict[str, Callable[[Any], Any]] = {
    "pool": km.pool,
    "leave_one_out": lambda e: km.leave_one_out(km.pool(e)),
    "cumulative": lambda e: km.cumulative(km.pool(e), by="precision"),
    "influence": lambda e: km.influence(km.pool(e)),
    "all_subsets": lambda e: km.all_subsets(km.pool(e)),
    "estimator_table": km.estimator_table,
    "trim_and_fill": lambda e: km.trim_and_fill(e, force=True),
    "information_size": lambda e: km.information_size(km.pool(e), risk_ratio=1.5, baseline=0.2),
    "absolute_effects": lambda e: km.absolute_effects(km.pool(e)),
}


def numbers(result: Any) -> np.ndarray:
    """Return the numbers of a result, without the rows of studies that take no part."""
    if hasattr(result, "estimate") and hasattr(result, "low"):
        return np.array([result.estimate, result.low, result.high, result.k], dtype=float)
    frame = result if isinstance(result, pd.DataFrame) else result.to_frame()
    frame = frame[frame["row"] != "excluded"] if "row" in frame else frame
    return frame.select_dtypes("number").to_numpy(dtype=float)


@pytest.mark.parametrize("name", OF_TRIALS)
def test_an_analysis_of_counts_leaves_a_trial_with_a_gap_out(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here, there = OF_TRIALS[name](GAP), OF_TRIALS[name](WHOLE)
    assert_allclose(numbers(here), numbers(there), rtol=1e-6)


@pytest.mark.parametrize("name", OF_EFFECTS)
def test_an_analysis_of_effects_leaves_a_trial_with_a_gap_out(name: str) -> None:
    here, there = (OF_EFFECTS[name](km.risk_ratio(one)) for one in (GAP, WHOLE))
    assert_allclose(numbers(here), numbers(there), rtol=1e-6)


@pytest.mark.parametrize("name", ["missing_outcomes", "rounded_counts", "multiverse"])
def test_the_notes_name_the_trial_and_the_empty_cell(name: str) -> None:
    assert '"Gap" takes no part: events_t is empty' in OF_TRIALS[name](GAP).notes


@pytest.mark.parametrize("name", ["tipping_point", "sensitivity_table"])
def test_a_result_without_notes_warns_of_the_trial(name: str) -> None:
    with pytest.warns(UserWarning, match='"Gap" takes no part: events_t is empty'):
        OF_TRIALS[name](GAP)


@pytest.mark.parametrize("plot", ["forest", "funnel", "labbe", "radial"])
def test_a_figure_is_drawn_all_the_same(plot: str) -> None:
    assert getattr(km.plot, plot)(km.pool(km.risk_ratio(GAP))) is not None
    pyplot.close("all")


def test_nothing_but_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match='no trial has all four counts: "Gap" takes no part'):
        km.missing_outcomes(GAP.iloc[[2]])
