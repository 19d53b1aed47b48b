"""The rule for headlines: the narrowest among those that cover enough, from the table alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.sensitivity.candidates import CANDIDATES
from kapmeta.results.scenarios.simulations import SCENARIO_COLUMNS, Simulation
from kapmeta.sensitivity.simulation.headline_choices import (
    NUMBERS,
    choose_headlines,
    compare_policies,
)
from kapmeta.sensitivity.simulation.performances import read_simulation, simulate
from kapmeta.sensitivity.simulation.scenario_grids import scenarios
from tests.helpers.places import ROOT

STUDY = ROOT / "results" / "policy-performance.csv"


def table(rows: Mapping[str, list[tuple[int, float, float, float]]]) -> Simulation:
    """Build a simulation of k, coverage, width and refusals per method, one scenario per row."""
    flat = [
        {
            "measure": "RR",
            "k": k,
            "arms": "equal",
            "control_risk": 0.1,
            "effect": 1.0,
            "tau": float(i),
            "method": method,
            "draws": 4_000,
            "coverage": coverage,
            "coverage_se": 0.003,
            "median_width": width,
            "refused": refused,
        }
        for method, values in rows.items()
        for i, (k, coverage, width, refused) in enumerate(values)
    ]
    return Simulation(pd.DataFrame(flat), 0.95, 1)


def test_the_narrowest_of_those_that_cover_enough_is_chosen() -> None:
    given = table(
        {
            "wide": [(2, 0.99, 5.0, 0.0), (2, 0.98, 5.0, 0.0)],
            "right": [(2, 0.99, 3.0, 0.0), (2, 0.945, 3.0, 0.0)],
            "fails once": [(2, 0.99, 1.0, 0.0), (2, 0.944, 1.0, 0.0)],
            "refuses": [(2, 0.99, 1.0, 0.0), (2, 0.99, 1.0, 0.02)],
            "a policy": [(2, 0.99, 0.5, 0.0), (2, 0.99, 0.5, 0.0)],
        }
    )
    row = choose_headlines(given, leave_out=["a policy"]).table.iloc[0]
    assert (row["method"], row["coverage"], row["width"], row["reached"]) == (
        "right",
        0.945,
        3.0,
        True,
    )
    assert choose_headlines(given, least=0.95, leave_out=["a policy"]).table["method"][0] == "wide"


def test_a_number_of_trials_that_no_method_masters_is_named() -> None:
    given = table({"a": [(10, 0.92, 1.0, 0.0)], "b": [(10, 0.93, 1.2, 0.0)]})
    found = choose_headlines(given)
    assert (found.table["method"][0], bool(found.table["reached"][0])) == ("b", False)
    assert "with 10 or more trials no method covers 0.945 in every scenario, and b comes" in (
        found.summary()
    )
    assert "at least 94.5 %" in found.methods_text()


def test_a_method_that_was_not_tried_everywhere_is_not_compared() -> None:
    given = table({"all": [(7, 0.96, 2.0, 0.0)] * 2, "some": [(7, 0.99, 1.0, 0.0)]})
    assert choose_headlines(given).table["method"][0] == "all"


def test_numbers_of_trials_that_share_a_rule_are_judged_together() -> None:
    given = table(
        {
            "a": [(6, 0.99, 1.0, 0.0), (9, 0.90, 1.0, 0.0)],
            "b": [(6, 0.96, 2.0, 0.0), (9, 0.96, 2.0, 0.0)],
        }
    )
    found = choose_headlines(given).table
    assert list(found["trials"]) == ["6-9"]
    assert found["method"][0] == "b"


def test_a_policy_takes_its_method_by_the_number_of_trials() -> None:
    given = table(
        {
            "a": [(2, 0.9, 1.0, 0.0), (3, 0.91, 1.0, 0.0)],
            "b": [(2, 0.92, 2.0, 0.0), (3, 0.93, 2.0, 0.0)],
        }
    )
    found = compare_policies(given, {"mine": {"2": "b", "3": "a"}})
    assert found.methods == ["mine"]
    assert list(found.table["coverage"]) == [0.92, 0.91]
    chosen = choose_headlines(given, least=0.92)
    assert list(compare_policies(given, {"chosen": chosen}).table["coverage"]) == [0.92, 0.93]
    with pytest.raises(
        ValueError, match='unknown number of trials "6"; use one of: 2, 3, 4, 5, 6-9'
    ):
        compare_policies(given, {"mine": {"6": "a"}})
    with pytest.raises(ValueError, match='unknown method "c"; use one of: a, b'):
        compare_policies(given, {"mine": {"2": "c"}})


def test_the_policy_of_the_study_follows_from_its_table() -> None:
    study = read_simulation(STUDY)
    policies = [name for name in study.methods if name.startswith("policy")]
    found = choose_headlines(study, leave_out=policies).table
    kept = pd.read_csv(ROOT / "results" / "policy-choice.csv", dtype={"trials": str})
    assert list(found["method"]) == list(kept["method"])
    assert list(found["reached"]) == list(kept["reached"])
    np.testing.assert_allclose(found["coverage"], kept["coverage"], rtol=1e-9)
    # once more by hand
    for row in kept.itertuples():
        fewest, most = NUMBERS[str(row.trials)]
        rows = study.table[(study.table["measure"] == row.measure)]
        rows = rows[rows["k"].between(fewest, most) & ~rows["method"].isin(policies)]
        least = rows.groupby("method")["coverage"].min()
        width = rows.groupby("method")["median_width"].median()
        refused = rows.groupby("method")["refused"].max()
        whole = rows.groupby("method").size() == rows.groupby("method").size().max()
        enough = width[whole & (least >= 0.945) & (refused <= 0.01)]
        assert bool(row.reached) == (len(enough) > 0)
        if row.reached:
            assert enough.idxmin() == row.method


def test_a_small_part_of_the_study_comes_out_again() -> None:
    study = read_simulation(STUDY)
    given = scenarios(
        {"equal, 20": ((20, 20), (20, 20))}, control_risks=[0.15], effects=[2.0], tau=[0.3]
    )
    names = ["half-normal 1", "REML, hksj-hybrid", "mantel-haenszel"]
    own = study.table[study.table["method"].isin(names)]
    for name, value in given[0].row.items():
        own = own[own[name] == value]
    draws = dict(zip(own["method"], own["draws"].astype(int), strict=True))
    again = simulate(given, methods=names, draws=draws, seed=study.seed).table
    own = own.set_index("method").loc[names]
    for column in ("coverage", "too_high", "too_low", "too_few"):
        np.testing.assert_allclose(again[column], own[column], atol=5e-4)
    np.testing.assert_allclose(again["median_width"], own["median_width"], rtol=1e-4)


def test_the_study_has_the_declared_scenarios() -> None:
    study = read_simulation(STUDY).table
    fast = study[study["method"].isin([n for n in CANDIDATES if n.startswith("half-normal")])]
    assert len(fast[list(SCENARIO_COLUMNS)].drop_duplicates()) == 2 * 6 * 4 * 3 * 9
    assert set(fast["k"]) == {2, 3, 4, 5, 7, 10}
    assert fast["draws"].min() >= 1_000
    assert study["draws"].min() >= 500
    assert km.sensitivity.read_simulation is read_simulation
