"""What callers of the plots give: limits, ticks, contours, names of files; refused or used."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

import kapmeta as km

matplotlib.use("Agg")

TRIALS = pd.DataFrame(
    {
        "study": ["Abel 2019", "Baker 2021", "Cruz 2024", "Dunn 2020"],
        "events_t": [12, 9, 20, 7],
        "n_t": [40, 35, 61, 30],
        "events_c": [5, 6, 11, 8],
        "n_c": [41, 33, 60, 29],
    }
)
POOLED = km.pool(km.risk_ratio(TRIALS, event="death", treatment="drug", control="placebo"))
COUNTED = pd.DataFrame(
    {"study": list("ABCDE"), "events": [2, 3, 0, 5, 9], "n": [20, 30, 25, 22, 40]}
)
PROPORTIONS = km.pool(km.proportion(COUNTED, event="death"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: km.plot.forest(POOLED, xlim=(10, 0.1)), "xlim must be two numbers, the lower end"),
        (lambda: km.plot.forest(POOLED, xlim=(1, 1)), "xlim must be two numbers, the lower end"),
        (lambda: km.plot.forest(POOLED, xlim=(0, 5)), "xlim must lie above 0"),
        (lambda: km.plot.forest(POOLED, xlim=(0.5, math.inf)), "each of xlim must be a finite"),
        (lambda: km.plot.forest(POOLED, xlim=(0.5, 1, 2)), "xlim must be two numbers"),
        (lambda: km.plot.forest(POOLED, xlim="wide"), "xlim must be a sequence of numbers"),
        (lambda: km.plot.forest(POOLED, ticks=(-1, 1, 2)), "ticks must lie above 0"),
        (lambda: km.plot.forest(POOLED, ticks=()), "ticks is empty"),
        (lambda: km.plot.forest(POOLED, ticks=(1, 1)), "ticks must be one value or more, each"),
        (lambda: km.plot.forest(POOLED, ticks=(1, "2")), "each of ticks must be a number"),
        (lambda: km.plot.forest(POOLED, ticks=1.0), "ticks must be a sequence"),
        (lambda: km.plot.forest(POOLED, xlim=(1, 2), ticks=(1, 5)), "ticks must lie on the axis"),
        (lambda: km.plot.forest_pages(POOLED, xlim=(2, 1)), "xlim must be two numbers"),
        (lambda: km.plot.forest_pages(POOLED, rows="ten"), "rows must be a whole number"),
        (lambda: km.plot.sweep(km.leave_one_out(POOLED), xlim=(-1, 5)), "xlim must lie above 0"),
        (lambda: km.plot.forest(None), "got nothing"),
        (lambda: km.plot.forest([]), "got nothing"),
        (lambda: km.plot.forest([POOLED, None]), "got nothing"),
        (lambda: km.plot.forest(POOLED, overall="all"), "overall must be a Pooled"),
        (lambda: km.plot.forest(POOLED, studies="no"), "studies must be True or False"),
        (lambda: km.plot.forest(POOLED, title=3), "title must be a text"),
        (lambda: km.plot.forest(POOLED, notes=3), "notes must be a list of texts"),
        (lambda: km.plot.forest(POOLED, notes=[3]), "each of notes must be a text"),
        (lambda: km.plot.forest(POOLED, theme=None), "theme must be a Theme or one of"),
        (lambda: km.plot.forest(POOLED, width=-3), "width must be a finite number above 0"),
        (lambda: km.plot.forest(POOLED, width=math.nan), "width must be a finite number above 0"),
        (lambda: km.plot.forest(POOLED, ax="here"), "ax must be a Matplotlib Axes"),
        (lambda: km.plot.forest(POOLED, shrunken=3), "shrunken must be a DataFrame"),
        (lambda: km.plot.funnel(POOLED, ax="here"), "ax must be a Matplotlib Axes"),
        (lambda: km.plot.funnel(POOLED, contours=(90, 95)), "use 0.9 for 90 %"),
        (lambda: km.plot.funnel(POOLED, contours=(1.0,)), "each of contours must lie between"),
        (lambda: km.plot.funnel(POOLED, contours=(0.9, 0.9)), "contours must each be given once"),
        (lambda: km.plot.funnel(POOLED, contours=0.95), "contours must be a sequence"),
        (lambda: km.plot.funnel(POOLED, names="all"), "names must be True or False"),
        (lambda: km.plot.funnel(POOLED, adjusted=3), "adjusted must be a list of results"),
        (lambda: km.plot.funnel(PROPORTIONS, contours=(0.95,)), "leave contours out"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(call: Callable[[], Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as refusal:
        call()
    assert said in str(refusal.value)


def diamond(ax: Axes) -> np.ndarray[Any, Any]:
    """Find the corners of the pooled result."""
    (shape,) = [
        path
        for each in ax.collections
        if isinstance(each, PolyCollection)
        for path in each.get_paths()
    ]
    return np.asarray(shape.vertices)


@pytest.mark.parametrize(
    ("ends", "at_low", "at_high"),
    [
        ((0.9, 1.1), True, True),  # the interval, 0.80 to 2.98 about 1.54, goes on at both ends
        ((0.5, 1.2), False, True),
        ((1.6, 4.0), True, False),
        ((3.5, 9.0), True, False),  # nothing of the interval is on the axis
        ((0.1, 0.5), False, True),
    ],
)
def test_a_diamond_off_the_axis_ends_in_an_arrow(
    ends: tuple[float, float], at_low: bool, at_high: bool
) -> None:
    corners = diamond(km.plot.forest(POOLED, xlim=ends))
    x = corners[:, 0]
    assert ends[0] * (1 - 1e-9) <= x.min() < x.max() <= ends[1] * (1 + 1e-9)
    assert np.isclose(x.min(), ends[0]) == at_low
    assert np.isclose(x.max(), ends[1]) == at_high


def test_a_diamond_cut_at_both_ends_is_higher_on_the_side_of_its_middle() -> None:
    corners = diamond(km.plot.forest(POOLED, xlim=(0.9, 1.1)))
    low, high = (corners[np.abs(corners[:, 0] / end - 1) < 0.03] for end in (0.9, 1.1))
    assert np.ptp(high[:, 1]) > np.ptp(low[:, 1]) > 0


def test_the_sides_of_the_axis_are_neutral_until_the_direction_is_given() -> None:
    for plot in (km.plot.forest, km.plot.drapery):
        texts = " ".join(text.get_text() for text in plot(POOLED).texts).replace("\xa0", " ")
        assert "← fewer deaths with drug" in texts
        assert "more deaths with drug →" in texts
        assert "avours" not in texts
    good = km.risk_ratio(TRIALS, event_is_good=False, treatment="drug", control="placebo")
    texts = " ".join(text.get_text() for text in km.plot.forest(good, theme="jama").texts)
    assert "Favors drug" in texts.replace("\xa0", " ").split("Favors placebo")[0]


def test_a_proportion_has_its_counts_and_no_arms_no_sides_and_no_test() -> None:
    for theme in ("kapmeta", "revman", "jama"):
        ax = km.plot.forest(PROPORTIONS, theme=theme)
        texts = [text.get_text().replace("\xa0", " ") for text in ax.texts]
        assert {"2/20"} <= set(texts) or {"2", "20"} <= set(texts)
        assert not any("reatment" in text or "avour" in text for text in texts)
        assert not any("test for effect" in text for text in texts)


@pytest.mark.parametrize("name", ["a.pdf", "b.svg", "c.png", "D.PDF", "e v1.2.svg"])
def test_a_figure_is_saved_under_the_name_given(tmp_path: Path, name: str) -> None:
    (path,) = km.plot.save(km.plot.forest(POOLED), str(tmp_path / name))
    assert path.name == name
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_name_with_a_dot_that_is_no_format_is_a_stem(tmp_path: Path) -> None:
    paths = km.plot.save(km.plot.forest(POOLED), tmp_path / "figure 1.2")
    assert [path.name for path in paths] == ["figure 1.2.svg", "figure 1.2.png"]


@pytest.mark.parametrize(
    ("name", "formats", "said"),
    [
        ("x.pdf", ["png"], 'stem ends in ".pdf" but formats are png'),
        ("x.jpg", None, 'stem ends in ".jpg", which is not known'),
        ("x", ["jpg"], 'formats has "jpg", which is not known'),
        ("x", "png", "formats must be a list"),
        ("nowhere/x", None, "there is no folder"),
        (None, None, "stem must be the path of a figure"),
    ],
)
def test_a_name_that_cannot_be_taken_at_its_word_is_refused(
    tmp_path: Path, name: Any, formats: Any, said: str
) -> None:
    stem = tmp_path / name if isinstance(name, str) else name
    with pytest.raises((ValueError, TypeError)) as refusal:
        km.plot.save(km.plot.forest(POOLED), stem, formats=formats)
    assert said in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_save_takes_what_a_plot_returned() -> None:
    with pytest.raises(TypeError, match="figure must be what a plot function returned"):
        km.plot.save(None, "x")  # type: ignore[arg-type]
