"""Simulation of headline policies: seeds, workers, resuming, dead workers, and what is refused."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.sensitivity.candidates import CANDIDATES, Candidate, Draws
from kapmeta.sensitivity.simulation.performances import simulate
from kapmeta.sensitivity.simulation.scenario_grids import Scenario, scenarios

NAMES = ["half-normal 1", "REML, hksj-hybrid", "mantel-haenszel"]


def some(number: int = 4) -> list[Scenario]:
    arms = {"equal, 20": ([20, 20], [20, 20]), "2:1": ([40, 40, 40], [20, 20, 20])}
    return scenarios(arms, control_risks=[0.1, 0.3], effects=[2.0], tau=[0.3])[:number]


def test_the_table_is_the_same_whatever_the_workers_and_the_order(tmp_path: Path) -> None:
    given, files = some(), [tmp_path / name for name in ("one.csv", "two.csv")]
    one = simulate(given, methods=NAMES, draws=200, file=files[0])
    two = simulate(given, methods=NAMES, draws=200, file=files[1], n_jobs=2)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert files[0].read_bytes() == files[1].read_bytes()
    turned = simulate(given[::-1], methods=NAMES, draws=200)
    again = turned.table.sort_values(["k", "control_risk", "method"], ignore_index=True)
    before = one.table.sort_values(["k", "control_risk", "method"], ignore_index=True)
    pd.testing.assert_frame_equal(again, before)


def test_a_run_that_was_cut_off_is_resumed(tmp_path: Path) -> None:
    given, file = some(), tmp_path / "run.csv"
    whole = simulate(given, methods=NAMES, draws=200)
    simulate(given[:2], methods=NAMES, draws=200, file=file)
    lines: list[str] = []
    resumed = simulate(given, methods=NAMES, draws=200, file=file, report=lines.append)
    pd.testing.assert_frame_equal(resumed.table, whole.table)
    assert lines[0].startswith("2 scenarios, about ")
    assert lines[-1].startswith("2 of 2 scenarios")
    lines.clear()
    simulate(given, methods=NAMES, draws=200, file=file, report=lines.append)
    assert lines == []  # nothing was owed
    more = simulate(given[:1], methods=NAMES[:1], draws=300, file=file)
    assert list(more.table["draws"]) == [300]
    assert len(pd.read_csv(file)) == len(whole.table)


def test_an_earlier_run_of_another_seed_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.csv"
    simulate(some(1), methods=NAMES, draws=100, file=file)
    with pytest.raises(ValueError, match="holds a run with seed 0, not 1"):
        simulate(some(1), methods=NAMES, draws=100, file=file, seed=1)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match='has no column "measure", so it is no earlier run'):
        simulate(some(1), methods=NAMES, draws=100, file=tmp_path / "other.csv")


def test_all_methods_see_the_same_tables_whatever_their_draws() -> None:
    """With fewer draws a method sees the first of those of the others."""
    seen: dict[str, list[np.ndarray]] = {"few": [], "many": []}

    def keeping(name: str) -> Candidate:
        def limits(given: Draws) -> Any:
            seen[name].append(given.cells.events_t)
            return np.zeros((2, len(given.informative)))

        return Candidate(limits)

    given = scenarios({"a": ([60, 60], [60, 60])}, control_risks=[0.5], effects=[1.0], tau=[0.0])
    both = {name: keeping(name) for name in seen}
    simulate(given, methods=both, draws={"few": 150, "many": 1_200})
    few, many = (np.concatenate(seen[name]) for name in ("few", "many"))
    np.testing.assert_array_equal(few[:150], many[:150])
    assert len(many) >= 1_200


def test_the_numbers_of_a_row_are_shares_of_the_draws() -> None:
    """Intervals from -1 to 1, 1 to 2, -2 to -1 and none about a truth of 0.5."""

    def fixed(given: Draws) -> Any:
        pattern = np.array([[-1.0, 1.0], [1.0, 2.0], [-2.0, -1.0], [np.nan, np.nan]])
        return np.resize(pattern, (len(given.informative), 2)).T

    given = scenarios(
        {"a": ([90, 90], [90, 90])}, control_risks=[0.5], effects=[float(np.exp(0.5))], tau=[0.0]
    )
    row = simulate(given, methods={"fixed": Candidate(fixed)}, draws=100).table.iloc[0]
    third = 1 / 3
    expected = {"coverage": third, "too_high": third, "too_low": third, "excludes": 2 * third}
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-5)
    assert row["coverage_se"] == pytest.approx(np.sqrt(third * (1 - third) / 75), rel=1e-5)
    assert (row["refused"], row["too_few"], row["median_width"]) == (0.25, 0.0, 1.0)


def test_a_method_that_is_exact_keeps_its_level() -> None:
    given = scenarios(
        {"large": ([4_000, 9_000], [4_000, 9_000])}, control_risks=[0.4], effects=[1.2], tau=[0.0]
    )
    row = simulate(given, methods=["common, wald"], draws=4_000).table.iloc[0]
    assert abs(row["coverage"] - 0.95) < 4 * row["coverage_se"]


def test_any_function_of_trials_is_a_method() -> None:
    own = {"DL": lambda trials: km.pool(km.risk_ratio(trials, zero="drop"), tau2="DL", ci="wald")}
    given = some(1)
    found = simulate(given, methods=own, draws=100).table
    batch = simulate(given, methods=["DL, wald"], draws=100).table
    numbers = ["coverage", "too_high", "too_low", "median_width", "refused", "too_few"]
    pd.testing.assert_frame_equal(found[numbers], batch[numbers])


@pytest.mark.parametrize("measure", ["RD", "AS", "OR"])
def test_every_measure_of_counts_can_be_simulated(measure: str) -> None:
    given = scenarios(
        {"equal": ([60] * 3, [60] * 3)},
        measure=measure,
        control_risks=[0.4],
        effects=[1.0 if measure == "OR" else 0.1],
        tau=[0.0],
    )
    row = simulate(given, methods=["common, wald"], draws=500).table.iloc[0]
    assert row["coverage"] > 0.9


def _fatal(trials: pd.DataFrame) -> Any:
    if trials["n_t"].iloc[0] == 40:
        os._exit(1)
    return km.pool(km.risk_ratio(trials, zero="drop"), model="common")


@pytest.mark.filterwarnings("ignore:A worker stopped")
def test_a_worker_that_dies_loses_its_chunk_only() -> None:
    given = some()
    assert [scenario.n_t[0] for scenario in given] == [20, 20, 40, 40]
    found = simulate([*given[:3]], methods={"fatal": _fatal}, draws=100, n_jobs=2)
    assert len(found.table) == 2
    assert len(found.lost) == 1
    assert found.lost[0].startswith("measure RR, k 3, arms 2:1, control_risk 0.1")
    assert "the worker died" in found.lost[0]
    assert found.lost[0] in found.summary()


def test_an_error_in_a_chunk_is_named() -> None:
    def broken(given: Draws) -> Any:
        if given.cells.n_t.shape[-1] == 3:
            raise ZeroDivisionError("of all things")
        return np.zeros((2, len(given.informative)))

    found = simulate(some(), methods={"broken": Candidate(broken)}, draws=100)
    assert len(found.table) == 2
    assert len(found.lost) == 2
    assert "ZeroDivisionError: of all things" in found.lost[0]


@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
def test_a_cluster_gives_the_same_numbers() -> None:
    from distributed import Client, LocalCluster

    given = some(2)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        found = simulate(given, methods=NAMES, draws=200)
    pd.testing.assert_frame_equal(found.table, simulate(given, methods=NAMES, draws=200).table)


def test_bad_input_is_refused_by_name() -> None:
    arms = {"a": ([20, 20], [20, 20])}
    usual: dict[str, Any] = {"control_risks": [0.3], "effects": [1.0], "tau": [0.0]}
    for change, message in (
        ({"control_risks": [1.0]}, "control_risks must be a finite number above 0 and below 1"),
        ({"effects": [0.0]}, "effects must be a finite number above 0"),
        ({"effects": [1.5], "measure": "RD"}, "effects must be a finite number above -1"),
        ({"tau": [-0.1]}, "tau must be a finite number at least 0"),
        ({"tau": [np.inf]}, "tau must be a finite number"),
        ({"measure": "SMD"}, 'unknown measure "SMD"; use one of: RR, OR, RD, AS'),
    ):
        with pytest.raises(ValueError, match=message):
            scenarios(arms, **usual | change)
    with pytest.raises(ValueError, match='arms "a" need two trials or more'):
        scenarios({"a": ([20], [20])}, **usual)
    with pytest.raises(ValueError, match='each size of arms "a" must be at least 1: got 0'):
        scenarios({"a": ([20, 20], [20, 0])}, **usual)
    with pytest.raises(ValueError, match="draws of half-normal 1 must be at least 100: got 99"):
        simulate(some(1), methods=["half-normal 1"], draws=99)
    with pytest.raises(ValueError, match='unknown method, of methods "HKSJ"; use one of: half-nor'):
        simulate(some(1), methods=["HKSJ"])
    risk_differences = scenarios(arms, **usual | {"measure": "RD", "effects": [0.1]})
    with pytest.raises(ValueError, match='method "counts, half-normal 1" is not for RD; leave it'):
        simulate(risk_differences, methods=["counts, half-normal 1"])


def test_the_result_says_what_was_done() -> None:
    found = simulate(some(), methods=NAMES, draws=200)
    worst = found.worst()
    assert list(worst["method"]) == [*NAMES, *NAMES]
    for _, row in worst.iterrows():
        own = found.table[(found.table["k"] == row["k"]) & (found.table["method"] == row["method"])]
        assert row["coverage"] == own["coverage"].min()
        assert row["width"] == own["median_width"].median()
    text = found.methods_text()
    assert "sets of 2, 3 trials with arms equal, 20 and 2:1" in text
    assert "200 sets per scenario and method" in text
    assert "10.1002/sim.8086" in text
    assert found.summary().startswith("4 scenarios, 3 methods.")
    assert set(CANDIDATES) >= set(found.methods)
