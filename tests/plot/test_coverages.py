"""Plots of a simulation: points and lines are rows of its table."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from kapmeta.plot.saving import alt_text
from kapmeta.plot.scenarios.coverages import coverage_by_tau, coverage_by_width
from kapmeta.results.scenarios.simulations import Simulation
from kapmeta.sensitivity.simulation.performances import simulate
from kapmeta.sensitivity.simulation.scenario_grids import scenarios
from tests.helpers.figures import points, same_rows, texts

matplotlib.use("Agg")

NAMES = ["half-normal 1", "REML, wald"]


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    arms = {f"equal, {k}": ([20] * k, [20] * k) for k in (2, 5)}
    given = scenarios(arms, control_risks=[0.15, 0.3], effects=[2.0], tau=[0.0, 0.6])
    return simulate(given, methods=NAMES, draws=200)


def test_points_are_the_smallest_coverage_at_the_median_width(simulation: Simulation) -> None:
    ax = coverage_by_width(simulation)
    worst = simulation.worst()
    for i, name in enumerate(NAMES):
        own = worst[worst["method"] == name]
        expected = np.column_stack([own["width"], 100 * own["coverage"]])
        same_rows(points(ax, i), expected)
    assert {"2", "5"} <= set(texts(ax))
    assert "half-normal 1" in alt_text(ax)


def test_lines_join_the_smallest_coverage_at_each_tau(simulation: Simulation) -> None:
    ax = coverage_by_tau(simulation, methods=NAMES[:1])
    table = simulation.table
    lowest = table[table["method"] == NAMES[0]].groupby("tau")["coverage"].min()
    curve = next(drawn for drawn in ax.lines if len(drawn.get_xdata()) == 2 and drawn.zorder == 3)
    np.testing.assert_allclose(curve.get_ydata(), 100 * lowest, rtol=1e-9)
    middle = table[table["method"] == NAMES[0]].groupby("tau")["coverage"].median()
    np.testing.assert_allclose(np.sort(points(ax)[:, 1]), np.sort(100 * middle), rtol=1e-9)


def test_what_is_not_there_is_refused(simulation: Simulation) -> None:
    with pytest.raises(ValueError, match="no scenario of measure OR"):
        coverage_by_width(simulation, measure="OR")
    with pytest.raises(ValueError, match='unknown method, of methods "x"; use one of: half-normal'):
        coverage_by_tau(simulation, methods=["x"])
    with pytest.raises(ValueError, match="at most 5 methods can be told apart: got 6"):
        coverage_by_tau(simulation, methods=["half-normal 1"] * 6)
    with pytest.raises(TypeError, match=r"come from kapmeta\.sensitivity\.simulate: got DataFrame"):
        coverage_by_width(simulation.table)  # type: ignore[arg-type]
