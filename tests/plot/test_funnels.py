"""Funnel and radial plots: studies, contours, adjusted effects and lines of tests."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.text import Text
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.effects.counts import risk_ratio
from kapmeta.effects.estimates import generic
from kapmeta.plot import funnels, style
from kapmeta.plot.saving import alt_text
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.small_study import asymmetry_test
from tests.helpers.figures import BCG, all_text, few, plain_text, points, same_rows

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def smoke() -> Effects:
    return km.reported(km.load_example("passive_smoking"), event_is_good=True)


@pytest.fixture(scope="module")
def main(smoke: Effects) -> Pooled:
    return km.pool(smoke)


def upright(ax: Axes, x: float) -> list[Any]:
    """Lines of constant effect `x`."""
    return [line for line in ax.lines if np.allclose(line.get_xdata(), x, rtol=1e-9)]


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
        assert words in plain_text(ax)
        assert words in alt_text(ax)
    assert "Filled in by trim and fill" in plain_text(ax)


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
    assert "Egger's test: line" in plain_text(ax)
    assert "line" not in plain_text(
        funnels.funnel(main, test=km.asymmetry_test(smoke, method="begg"))
    )


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


def test_funnel_stands_at_effects_and_standard_errors(bcg: Pooled) -> None:
    ax = funnels.funnel(bcg)
    frame = bcg.effects.to_frame()
    same_rows(points(ax), np.column_stack([frame["estimate"], np.sqrt(frame["v"])]))
    assert ax.yaxis_inverted()
    assert "Fewer than 10" not in all_text(ax)
    solid = next(
        line for line in ax.lines if line.get_linestyle() == "-" and line.get_zorder() == 2
    )
    assert solid.get_xdata()[0] == pytest.approx(math.exp(bcg.estimate), rel=1e-9)


def test_funnel_contours_are_where_the_p_value_is_that_of_the_contour(bcg: Pooled) -> None:
    from kapmeta.core.numerics.distributions import normal_cdf

    ax = funnels.funnel(bcg, contours=(0.95,))
    inner = [c for c in ax.collections if isinstance(c, PolyCollection)][1].get_paths()[0].vertices
    inner = inner[inner[:, 1] > 0.1]
    p = 2 * normal_cdf(-np.abs(np.log(inner[:, 0])) / inner[:, 1])
    np.testing.assert_allclose(p, 0.05, rtol=1e-7)


def test_funnel_of_few_studies_says_that_it_cannot_be_read() -> None:
    assert "Fewer than 10 studies" in all_text(funnels.funnel(risk_ratio(few())))
    assert "Fewer than 10 studies" in alt_text(funnels.funnel(risk_ratio(few())))


def test_funnel_names_the_test_it_is_given(bcg: Pooled) -> None:
    class Test:
        def summary(self) -> str:
            return "Egger's test: t = -1.40 on 11 df, p = 0.19.\nAnd more"

    ax = funnels.funnel(bcg, test=Test())
    assert "Egger's test: t = −1.40 on 11 df, p = 0.19." in all_text(ax).replace("\u00a0", " ")
    assert "And more" not in all_text(ax)


def test_filled_studies_are_hollow() -> None:
    effects = generic(
        pd.DataFrame(
            {"study": list("AB"), "y": [0.1, 0.2], "v": [0.1, 0.2], "filled": [False, True]}
        )
    )
    assert "Filled in" in all_text(funnels.funnel(effects))
    assert (
        len([c for c in funnels.funnel(effects).collections if isinstance(c, PathCollection)]) == 2
    )


def test_radial_slope_is_the_effect(bcg: Pooled) -> None:
    ax = funnels.radial(bcg)
    drawn = points(ax)
    np.testing.assert_allclose(
        np.sort(drawn[:, 1] / drawn[:, 0]), np.sort(bcg.effects.y), rtol=1e-8
    )  # a line from the origin through a point has the effect as its slope
    np.testing.assert_allclose(
        np.sort(1 / drawn[:, 0] ** 2), np.sort(bcg.effects.v + bcg.tau2), rtol=1e-8
    )
    with pytest.raises(ValueError, match="two studies"):
        funnels.radial(pool(risk_ratio(few(1))))


def test_minus_of_the_funnel_test_is_a_minus() -> None:
    effects = risk_ratio(BCG)
    ax = funnels.funnel(effects, test=asymmetry_test(effects))
    assert "statistic −" in all_text(ax)
