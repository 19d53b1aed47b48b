"""Specification curves: analyses in order, a mark for each choice."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from kapmeta.plot import specifications
from tests.helpers.figures import points, texts

matplotlib.use("Agg")


def test_multiverse_sorts_and_marks_every_choice() -> None:
    frame = pd.DataFrame(
        {
            "estimate": [1.9, 1.2, np.nan, 1.6],
            "low": [1.1, 0.5, 1, 0.9],
            "high": [3.2, 2.5, 2, 3.0],
            "model": ["common", "random", "common", "random"],
            "k": [3, 3, 3, 3],
        }
    )
    ax = specifications.multiverse(frame, null=1.0, log=True)
    np.testing.assert_allclose(points(ax)[:, 1], [1.2, 1.6, 1.9])
    assert "The interval excludes 1 in 1 of 3 analyses." in texts(ax)
    assert "Not drawn, without an answer: 1." in texts(ax)
    marks = [c for c in ax.collections if isinstance(c, PolyCollection)]
    assert sum(len(c.get_paths()) for c in marks) == 3
    assert "K" not in texts(ax)
    named = specifications.multiverse(frame.rename(columns={"model": "ci"}), null=1.0, log=True)
    assert "Interval" in texts(named)
    assert "Ci" not in texts(named)
    with pytest.raises(ValueError, match='choices has "rule"'):
        specifications.multiverse(frame, choices=["rule"])


def test_multiverse_says_that_an_interval_goes_on() -> None:
    frame = pd.DataFrame({"estimate": [1.5, np.inf], "low": [1.0, 3.6], "high": [2.0, np.inf]})
    ax = specifications.multiverse(frame, null=1.0, log=True)
    carets = [line for line in ax.lines if line.get_marker() == 6]
    assert [float(x) for line in carets for x in line.get_xdata()] == [1.0]


def test_choices_are_headed_by_words() -> None:
    rows = [("wald", 1.5, 1.1, 2.0), ("t", 1.5, 0.9, 2.6)]
    ax = specifications.multiverse(pd.DataFrame(rows, columns=["ci", "estimate", "low", "high"]))
    assert "Interval" in texts(ax)
    assert "Ci" not in texts(ax)
