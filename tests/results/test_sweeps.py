"""Methods paragraphs of sensitivity analyses: each names its method, its numbers and its paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from tests.sensitivity.test_multiverses import PLAIN

MISSING = PLAIN.assign(missing_t=[5, 2, 1, 4, 3], missing_c=[9, 1, 4, 2, 5], event_is_good=True)
ANEW = "the between-study variance was estimated anew each time"
DL = {"tau2": "DL", "ci": "wald"}


@pytest.fixture(scope="module")
def main() -> km.Pooled:
    return km.pool(km.risk_ratio(PLAIN), **DL)


def test_deletion_names_the_analysis_repeated_and_how_often(main: km.Pooled) -> None:
    text = km.leave_one_out(main).methods_text()
    assert (
        text == "We repeated the analysis of the risk ratio of event, treatment against control (5"
        " studies; random-effects model; τ² by DerSimonian-Laird (DL); Wald interval) with each"
        f" study left out in turn (5 analyses); {ANEW}."
    )
    stratified = km.sensitivity.leave_two_out(km.mantel_haenszel(PLAIN)).methods_text()
    how = (
        "Mantel-Haenszel, no correction; Wald interval) with each pair of studies left out (10"
        " analyses)."
    )
    assert how in stratified
    assert ANEW not in stratified
    joined = km.cumulative(main, by="precision").methods_text()
    assert "as studies joined one by one, by precision (5 analyses)" in joined
    assert "not adjusted for repeated looks" in joined


def test_diagnostics_name_their_cut_offs_and_papers(main: km.Pooled) -> None:
    text = km.influence(main).methods_text()
    assert "rstudent 1.96, dffits 1.50, cook 0.45, hat 0.60, dfbetas 1.00" in text
    assert text.endswith("https://doi.org/10.1002/jrsm.11).")
    few = km.influence(km.pool(km.risk_ratio(PLAIN.head(3)), **DL)).methods_text()
    assert "With so few studies no cut-off was applied" in few
    assert "1.96" not in few
    assert "10.1002/sim.1221" in km.baujat(main).methods_text()


def test_choices_list_their_words() -> None:
    effects = km.risk_ratio(PLAIN)
    text = km.estimator_table(effects).methods_text()
    assert text.startswith("5 studies were pooled under 7 combinations")
    assert "Sidik-Jonkman (SJ)" in text
    assert "Veroniki" in text
    every = km.estimator_table(effects, every=True)
    assert f"under {len(every.table) - 1} combinations" in every.methods_text()
    assert "Kenward-Roger" in every.methods_text()
    rules = km.sensitivity.zero_rules(PLAIN).methods_text()
    assert (
        "The risk ratio of 5 studies was computed under each zero-cell rule: half-if-any (" in rules
    )
    assert "Sweeting" in rules
    printed = PLAIN.assign(
        percent_t=["66", "35", "50", "17", "44"], percent_c=["23.9", "13", "22", "6", "0"]
    )
    printed.loc[0, ["n_t", "events_t"]] = 311, 205  # 204 to 206 of 311 are 66 %
    rounded = km.sensitivity.rounded_counts(printed).methods_text()
    assert "percentages allow (3 analyses)" in rounded
    assert "Brown NJL" in rounded


def test_missing_outcomes_list_their_assumptions() -> None:
    text = km.missing_outcomes(
        MISSING, strategies=["no event", "gamble-hollis"], imor=[0.5], **DL
    ).methods_text()
    assert "Assumptions: no event; gamble-hollis; IMOR 0.5 treatment, 0.5 control." in text
    assert "White IR" in text
    assert "Gamble C" in text
    sure = km.missing_outcomes(
        MISSING, strategies=["worst"], imor=[], event_is_good=True, **DL
    ).methods_text()
    assert "IMOR" not in sure
    assert "doi" not in sure
    uncertain = {"imor": [0.5], "imor_sd": 0.7, "correlation": 0.5, "strategies": []}
    own = km.missing_outcomes(MISSING, **uncertain, **DL)
    shared = km.missing_outcomes(MISSING, **uncertain, shared=True, **DL)
    assert "IMOR 0.5 treatment, 0.5 control, SD 0.7, correlation 0.5." in own.methods_text()
    assert "SD 0.7, correlation 0.5, shared by all trials." in shared.methods_text()
    split = MISSING.head(2).assign(missing_t=[5, np.nan], missing_c=[9, np.nan], missing=[14, 3])
    divided = km.missing_outcomes(split, strategies=["worst"], imor=[], event_is_good=True, **DL)
    assert (
        "All 4 divisions of the missing between the arms were analysed." in divided.methods_text()
    )


def test_a_sweep_of_another_kind_is_described_by_its_name(main: km.Pooled) -> None:
    table = km.leave_one_out(main).table.head(1)
    text = km.results.Sweep("bias adjustment", table, main.effects, main).methods_text()
    assert "under other choices: bias adjustment (1 analysis)" in text
    loose = km.results.Sweep("anything", pd.DataFrame(table), main.effects).methods_text()
    assert loose.startswith("We repeated the analysis under")
