"""Tipping points and fragility: their methods paragraphs."""

from __future__ import annotations

import kapmeta as km
from tests.results.test_sweeps import DL, MISSING
from tests.sensitivity.test_multiverses import PLAIN


def test_tipping_points_describe_their_surface() -> None:
    pooled = km.tipping_point(MISSING, **DL).methods_text()
    assert "at 1681 pairs" in pooled
    assert "0.13 to 8.00 in either arm; 36 outcomes missing" in pooled
    assert "both arms, treatment only and control only" in pooled
    one = {
        measure: km.tipping_point(MISSING.head(1), measure=measure).methods_text()
        for measure in ("RR", "OR", "RD")
    }
    assert "5 missing under treatment and the 9 missing under control (60 tables)" in one["RR"]
    assert "the odds ratio of event with the 95 % exact interval" in one["OR"]
    assert "Koopman's score interval" in one["RR"]
    assert "Miettinen and Nurminen's score interval" in one["RD"]


def test_fragility_names_its_criterion() -> None:
    trial = km.fragility_index(PLAIN.head(1)).methods_text()
    assert "one trial (211 in all)" in trial
    assert "Fisher's exact test changed sides at the 0.05 level" in trial
    assert "10.1016/j.jclinepi.2013.10.019" in trial
    pooled = km.fragility_index(PLAIN, method="mantel-haenszel", level=0.9).methods_text()
    assert "429 participants of 5 studies" in pooled
    assert "90 % interval (Mantel-Haenszel, no correction; Wald interval)" in pooled
    assert "an upper bound (Atal" in pooled
    reverse = km.fragility_index(PLAIN.iloc[[1]]).methods_text()
    assert reverse.startswith("The reverse fragility index")
