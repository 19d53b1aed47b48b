"""Tipping surfaces: numbers and labels are those of the analyses."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from kapmeta import plot
from kapmeta.plot import scatters
from kapmeta.plot.scenarios import tipping_surfaces
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import all_text, points, same_rows, texts

matplotlib.use("Agg")


def test_tipping_numbers_are_those_of_the_frame() -> None:
    grid = [(a, b) for a in (0.1, 0.2, 0.4) for b in (0.0, 0.5)]
    frame = pd.DataFrame(grid, columns=["treated", "controls"]).assign(
        estimate=[1.5, 1.21, 1.93, 1.64, 0.42, 2.31],
        low=[1.01, 0.8, 1.2, 1.1, 0.2, 0.9],
        high=[2, 3, 4, 5, 0.8, 9],
    )
    ax = tipping_surfaces.tipping(frame)
    assert {f"{x:.2f}" for x in frame["estimate"]} <= set(texts(ax))
    cells = [len(c.get_paths()) for c in ax.collections if isinstance(c, PolyCollection)]
    assert cells == [3, 1, 2]  # above, below, includes
    whole = pd.DataFrame(
        [(a, b) for a in range(4) for b in range(30)], columns=["events_t", "events_c"]
    )
    counted = tipping_surfaces.tipping(whole.assign(estimate=1.5, low=1.2, high=2.0))
    assert [label.get_text() for label in counted.get_xticklabels()] == ["0", "1", "2", "3"]
    assert {float(label.get_text()) % 1 for label in counted.get_yticklabels()} == {0.0}
    with pytest.raises(ValueError, match="two values or more"):
        tipping_surfaces.tipping(frame.iloc[:1])


def test_tipping_and_baujat_take_the_results_of_their_analyses(bcg: Pooled) -> None:
    from kapmeta.results.tipping import Tipping
    from kapmeta.sensitivity.deletion import baujat, cumulative

    ratios = np.geomspace(0.25, 4, 5)
    table = pd.DataFrame(
        [(a, b, 0.4 * a / b) for a in ratios for b in ratios], columns=["imor_t", "imor_c", "y"]
    )
    surface = table.assign(y_low=table["y"] - 0.3, y_high=table["y"] + 0.3, verdict=0)
    ax = tipping_surfaces.tipping(Tipping("imor", surface, {"both arms": 3.0}, bcg, (3, 4)))
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert "BCG" in all_text(ax) or bcg.effects.treatment in all_text(ax)
    frame = baujat(bcg).to_frame()
    same_rows(points(scatters.baujat(baujat(bcg))), frame[["contribution", "influence"]].to_numpy())
    grown = plot.sweep(cumulative(bcg))
    assert len(points(grown)) == bcg.k


def test_tipping_is_labelled_at_the_values_tried_and_not_beyond() -> None:
    steps = [0.0, 0.5, 1.0]
    rows = [(a, b, 1 + a, 0.5 + a, 2 + a) for a in steps for b in steps]
    ax = tipping_surfaces.tipping(pd.DataFrame(rows, columns=["x", "y", "estimate", "low", "high"]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.5", "1"]
