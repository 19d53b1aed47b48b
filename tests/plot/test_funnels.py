"""Funnels with what small-study methods make of them: adjusted effects, filled studies, the line of a test."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.text import Text
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.plot import funnels, style
from kapmeta.plot.saving import alt_text
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def smoke() -> Effects:
    return km.reported(km.load_example("passive_smoking"))


@pytest.fixture(scope="module")
def main(smoke: Effects) -> Pooled:
    return km.pool(smoke)


def upright(ax: Axes, x: float) -> list[Any]:
    """Lines of constant effect `x`."""
    return [line for line in ax.lines if np.allclose(line.get_xdata(), x, rtol=1e-9)]


def told(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.texts).replace("\u00a0", " ")


def test_adjusted_effects_and_filled_studies_stand_where_the_results_say(
    smoke: Effects, main: Pooled
) -> None:
    filled, line = km.trim_and_fill(smoke), km.pet_peese(smoke)
    ax = funnels.funnel(main, adjusted=[filled, line])
    for one, dashes in ((filled, ":"), (line, "-.")):
        (drawn,) = upright(ax, float(np.exp(one.estimate)))
        assert drawn.get_linestyle() == dashes
    dots = [c for c in ax.collections if isinstance(c, PathCollection)]
    hollow = np.asarray(dots[-1].get_offsets())
    rows = filled.studies[filled.studies["row"] == "filled"]
    expected = np.column_stack([np.exp(rows["y"]), np.sqrt(rows["v"])])
    assert_allclose(
        hollow[np.argsort(hollow[:, 0])], expected[np.argsort(expected[:, 0])], rtol=1e-9
    )
    assert len(hollow) == 7
    for words in ("Trim and fill: OR 1.19 (1.08 to 1.31)", "PET: OR 1.01 (0.84 to 1.20)"):
        assert words in told(ax)
        assert words in alt_text(ax)
    assert "Filled in by trim and fill" in told(ax)


def test_a_test_on_the_standard_error_draws_its_line_and_others_do_not(
    smoke: Effects, main: Pooled
) -> None:
    test = km.asymmetry_test(smoke)
    ax = funnels.funnel(main, test=test)
    ends = [
        line
        for line in ax.lines
        if np.isclose(np.asarray(line.get_xdata())[0], np.exp(test.intercept), rtol=1e-9)
    ]
    (drawn,) = ends
    expected = np.exp(test.intercept + test.slope * np.asarray(drawn.get_ydata()))
    assert_allclose(drawn.get_xdata(), expected, rtol=1e-9)
    assert "Egger's test: line" in told(ax)
    assert "line" not in told(funnels.funnel(main, test=km.asymmetry_test(smoke, method="begg")))


@pytest.mark.parametrize("theme", list(style.THEMES))
def test_four_adjustments_fit_every_theme(smoke: Effects, main: Pooled, theme: str) -> None:
    four = [
        km.trim_and_fill(smoke),
        km.pet_peese(smoke),
        km.limit_meta_analysis(smoke),
        km.selection_model(smoke, favoured="positive"),
    ]
    ax = funnels.funnel(main, adjusted=four, test=km.asymmetry_test(smoke), theme=theme)
    assert all(upright(ax, float(np.exp(one.estimate))) for one in four)
    with pytest.raises(ValueError, match="holds up to 4 adjusted effects: got 5"):
        funnels.funnel(main, adjusted=[*four, four[0]])


def test_bad_adjustments_are_named(smoke: Effects, main: Pooled) -> None:
    filled = km.trim_and_fill(smoke)
    with pytest.raises(TypeError, match="adjusted is one result; give a list"):
        funnels.funnel(main, adjusted=filled)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got Pooled"):
        funnels.funnel(main, adjusted=[main])  # type: ignore[list-item]
    with pytest.raises(
        ValueError, match="an adjusted odds ratio has no place in a funnel of the risk ratio"
    ):
        funnels.funnel(km.pool(km.risk_ratio(km.load_example("bcg"))), adjusted=[filled])


def test_labels_of_differences_in_steps_of_0_025_stay_on_the_radial_plot() -> None:
    frame = pd.DataFrame(
        {"study": list("ABCD"), "y": [-0.27, 0.2, 0.0, 0.01], "v": [0.02, 0.02, 0.006, 0.003]}
    )
    ax = km.plot.radial(km.pool(km.generic(frame, measure="RD")))
    figure = ax.figure
    figure.canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert any(text.get_text().endswith("025") for text in texts)
    assert max(text.get_window_extent().x1 for text in texts) <= figure.bbox.x1
