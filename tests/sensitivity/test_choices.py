"""Choices of analysis: measures and their direction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.sensitivity.choices import pooled_measures
from tests.helpers.small_trials import FIVE_TRIALS

KAP5 = FIVE_TRIALS.assign(event="abstinence")


def test_direction_dependence_is_flagged() -> None:
    """Methods 1.9: Q is 2.75 for the risk ratio of abstinence and 18.1 for that of relapse."""
    table = pooled_measures(KAP5, opposite="relapse")
    assert table["measure"].tolist() == [
        "risk ratio of abstinence",
        "risk ratio of relapse",
        "odds ratio of abstinence",
        "risk difference of abstinence",
        "arcsine difference of abstinence",
    ]
    np.testing.assert_allclose(table["q"][:2], [2.75468879, 18.1142], rtol=1e-4)
    assert (
        "whether the trials look alike depends on whether the event or its opposite is counted"
        in table["flag"][0]
    )
    for word, function in (("odds", km.odds_ratio), ("risk difference", km.risk_difference)):
        row = table[table["measure"].str.startswith(word)].iloc[0]
        main = km.pool(function(KAP5))
        assert row["low"] == pytest.approx(float(main.scale.shown(main.low)), rel=1e-12)
    alike = pooled_measures(KAP5.iloc[[2, 2]].assign(study=["A", "B"]))
    assert alike["flag"].unique().tolist() == [""]
    renamed = KAP5.rename(columns={"events_t": "x"})
    pd.testing.assert_frame_equal(pooled_measures(renamed, opposite="relapse", events_t="x"), table)


def test_the_conclusion_that_depends_on_the_measure_is_flagged() -> None:
    table = pooled_measures(KAP5.iloc[:4], level=0.999)
    assert table["more events under"].nunique() > 1
    assert "the conclusion depends on the measure" in table["flag"][0]


def test_relapse_tells_the_same_side() -> None:
    one = pooled_measures(KAP5.iloc[[0]])
    assert one["more events under"].unique().tolist() == ["treatment"]
    assert one["estimate"][1] < 1
