"""The fragility index of one trial and of a pooled result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.sensitivity.fragility import fragility_index
from tests.helpers.small_trials import FIVE_TRIALS as KAP5
from tests.helpers.small_trials import TRIALS_WITH_MISSING as TRIALS


@pytest.mark.parametrize(
    "options, index",
    [
        ({"model": "common"}, 23),
        ({"tau2": "DL", "ci": "wald"}, 11),
        ({"method": "mantel-haenszel"}, 50),
        ({"tau2": "PM", "ci": "hksj-variance"}, 5),
    ],
)
def test_fragility_of_a_pooled_result(options: dict[str, str], index: int) -> None:
    found = fragility_index(KAP5, **options)
    assert found.index == index
    assert not found.reverse
    frame = found.to_frame()
    changed = KAP5.set_index("study").astype(float)
    for step in frame.iloc[1:].itertuples():
        changed.loc[step.study, "events_t" if step.arm == "treatment" else "events_c"] += (
            step.events
        )
    option = {key: value for key, value in options.items() if key != "method"}
    changed = changed.reset_index()
    again = (
        km.mantel_haenszel(changed)
        if "method" in options
        else km.pool(km.risk_ratio(changed), **option)
    )
    assert again.low == pytest.approx(frame["limit"].iloc[-1], rel=1e-12)
    assert again.low <= 0


def test_fragility_of_one_trial_against_those_missing() -> None:
    trial = KAP5.iloc[[2]].assign(missing_t=3, missing_c=3)
    found = fragility_index(trial)
    assert (found.index, found.beyond_missing, found.participants) == (1, -5, 53)
    assert (
        found.summary()
        == "Fragility index by Fisher's exact test: 1 of 53 participants. The outcomes of 6 are"
        " missing."
    )
    whole = fragility_index(KAP5.iloc[[2]].assign(missing=6))
    assert (whole.index, whole.beyond_missing) == (1, -5)
    several = KAP5.assign(
        missing_t=[1, 2, np.nan, 0, 0], missing_c=[1, 0, np.nan, 0, 0], missing=[np.nan, 2, 6, 0, 0]
    )
    assert fragility_index(several, model="common").missing == 10
    assert np.isnan(fragility_index(several.assign(missing=np.nan), model="common").missing)
    reverse = fragility_index(KAP5.iloc[[3]])
    assert reverse.reverse
    assert reverse.index == 3
    assert "not known" in reverse.summary()
    assert "<table" in reverse._repr_html_()
    with pytest.raises(ValueError, match="has no model, tau2 or ci"):
        fragility_index(KAP5, method="mantel-haenszel", tau2="DL")
    with pytest.raises(
        ValueError, match='unknown method "exact"; use one of: inverse-variance, mantel-haenszel'
    ):
        fragility_index(KAP5, method="exact")


def test_fragility_beside_missing_counts_in_a_nullable_column_with_gaps() -> None:
    gap = TRIALS.assign(
        missing_t=pd.array([1] + [pd.NA] * (len(TRIALS) - 1), dtype="Int64"), missing_c=0
    )
    assert km.fragility_index(gap).summary()
