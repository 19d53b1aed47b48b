"""Plots besides the forest plot: what is drawn stands at the numbers of the result, and what cannot be is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patheffects import withStroke
from PIL import Image

from kapmeta import plot, wording
from kapmeta.effects.counts import odds_ratio, risk_difference, risk_ratio
from kapmeta.effects.estimates import generic
from kapmeta.examples import load_example
from kapmeta.moderators.regression import meta_regression
from kapmeta.moderators.subgroup_pooling import subgroups
from kapmeta.plot import (
    curves,
    funnels,
    influence_panels,
    judgements,
    scatters,
    specifications,
    subset_clouds,
    tipping_surfaces,
)
from kapmeta.plot.forest_page.enriching import prediction_density
from kapmeta.plot.forests import forest, size
from kapmeta.plot.paging import forest_pages
from kapmeta.plot.panel.labelling import labelled
from kapmeta.plot.panel.typesetting import Font
from kapmeta.plot.pixels import png_bytes
from kapmeta.plot.saving import alt_text, root_of
from kapmeta.plot.style import LEAST_POINTS, THEMES, WIDTHS
from kapmeta.pooling.bayes import pool_bayes
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.results.pooled import Pooled
from kapmeta.results.subgroups import Subgroups
from kapmeta.small_study import asymmetry_test

matplotlib.use("Agg")

BCG = load_example("bcg")


@pytest.fixture(scope="module")
def bcg() -> Pooled:
    return pool(risk_ratio(BCG))


def few(k: int = 3) -> pd.DataFrame:
    rows = {
        "study": list("ABCDEF"[:k]),
        "events_t": [12, 9, 20, 8, 15, 7][:k],
        "n_t": [40, 35, 61, 30, 44, 29][:k],
        "events_c": [5, 6, 11, 7, 6, 2][:k],
        "n_c": [41, 33, 60, 31, 45, 30][:k],
    }
    return pd.DataFrame(rows)


def points(ax: Axes, which: int = 0) -> np.ndarray:
    found = [c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets())]
    return np.asarray(found[which].get_offsets())


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def told(ax: Axes) -> str:
    """All texts in reading order as one, so that line breaks do not matter."""
    return " ".join(texts(ax))


def same_rows(drawn: np.ndarray, expected: np.ndarray) -> None:
    order = [np.lexsort(table.T[::-1]) for table in (drawn, expected)]
    np.testing.assert_allclose(drawn[order[0]], expected[order[1]], rtol=1e-9, atol=0)


def test_funnel_stands_at_effects_and_standard_errors(bcg: Pooled) -> None:
    ax = funnels.funnel(bcg)
    frame = bcg.effects.to_frame()
    same_rows(points(ax), np.column_stack([frame["estimate"], np.sqrt(frame["v"])]))
    assert ax.yaxis_inverted()
    assert "Fewer than 10" not in told(ax)
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
    assert "Fewer than 10 studies" in told(funnels.funnel(risk_ratio(few())))
    assert "Fewer than 10 studies" in alt_text(funnels.funnel(risk_ratio(few())))


def test_funnel_names_the_test_it_is_given(bcg: Pooled) -> None:
    class Test:
        def summary(self) -> str:
            return "Egger's test: t = -1.40 on 11 df, p = 0.19.\nAnd more"

    ax = funnels.funnel(bcg, test=Test())
    assert "Egger's test: t = −1.40 on 11 df, p = 0.19." in told(ax).replace("\u00a0", " ")
    assert "And more" not in told(ax)


def test_filled_studies_are_hollow() -> None:
    effects = generic(
        pd.DataFrame(
            {"study": list("AB"), "y": [0.1, 0.2], "v": [0.1, 0.2], "filled": [False, True]}
        )
    )
    assert "Filled in" in told(funnels.funnel(effects))
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


@pytest.mark.parametrize("measure", [risk_ratio, odds_ratio, risk_difference])
def test_labbe_line_is_the_pooled_effect_at_every_risk(measure: Callable[..., object]) -> None:
    result = pool(measure(few()))  # type: ignore[arg-type]
    ax = scatters.labbe(result)
    table = few()
    same_rows(
        points(ax), 100 * np.column_stack([table.events_c / table.n_c, table.events_t / table.n_t])
    )
    curve = next(
        line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata()) > 2
    )
    c, t = np.asarray(curve.get_xdata()) / 100, np.asarray(curve.get_ydata()) / 100
    c, t = (x[(c > 0.05) & (c < 0.3)] for x in (c, t))
    assert c.size > 5
    back = {"RR": np.log(t / c), "OR": np.log(t / (1 - t) / (c / (1 - c))), "RD": t - c}[
        result.measure
    ]
    np.testing.assert_allclose(back, result.estimate, rtol=1e-6)
    assert "95\u00a0% CI" in told(ax) or "95 % CI" in told(ax)


def test_baujat_points_and_names() -> None:
    frame = pd.DataFrame(
        {"study": list("ABC"), "contribution": [0.5, 3.0, np.nan], "influence": [0.1, 0.4, np.nan]}
    )
    ax = scatters.baujat(frame)
    same_rows(points(ax), frame[["contribution", "influence"]].dropna().to_numpy())
    assert {"A", "B"} <= set(texts(ax))
    assert "C" not in texts(ax)


def test_bubble_line_is_the_prediction_of_the_regression() -> None:
    fit = meta_regression(risk_ratio(BCG), "latitude")
    ax = scatters.bubble(fit)
    line = next(line for line in ax.lines if len(line.get_xdata()) == 81)
    at = fit.predict({"latitude": np.asarray(line.get_xdata())})
    np.testing.assert_allclose(np.asarray(line.get_ydata()), at["estimate"], rtol=1e-8)
    same_rows(points(ax), np.column_stack([fit.effects.table["latitude"], np.exp(fit.y)]))
    both = meta_regression(risk_ratio(BCG), ["latitude", "year"])
    with pytest.raises(ValueError, match="moderator must be one of: latitude, year"):
        scatters.bubble(both)
    with pytest.raises(ValueError, match='at needs a value of "year"'):
        scatters.bubble(both, moderator="latitude")
    assert "year = 1960" in told(scatters.bubble(both, at={"year": 1960})).replace("\u00a0", " ")
    with pytest.raises(ValueError, match="holds words, not numbers"):
        scatters.bubble(meta_regression(risk_ratio(BCG), "allocation"))


def test_gosh_colours_by_membership() -> None:
    frame = pd.DataFrame(
        {
            "k": [1, 2, 2, 3],
            "estimate": [0, 0.1, 0.4, 0.2],
            "i2": [0, 0, 0.5, 0.3],
            "A": [True, True, False, True],
        }
    )
    ax = subset_clouds.gosh(frame, by="A")
    np.testing.assert_allclose(points(ax, 0), [[0.1, 0.0], [0.2, 30.0]])
    np.testing.assert_allclose(points(ax, 1), [[0.4, 50.0]])
    with pytest.raises(ValueError, match='by = "B" is not among the studies: A'):
        subset_clouds.gosh(frame, by="B")
    with pytest.raises(
        ValueError, match='heterogeneity = "h2" is not known; use one of: i2, tau2, q'
    ):
        subset_clouds.gosh(frame, heterogeneity="h2")


def test_drapery_crosses_each_level_at_the_interval(bcg: Pooled) -> None:
    ax = curves.drapery(bcg)
    thick = max(ax.lines, key=lambda line: line.get_linewidth())
    x, p = np.log(np.asarray(thick.get_xdata())), np.asarray(thick.get_ydata())
    assert p.max() == pytest.approx(1.0, abs=1e-9)
    middle = int(np.argmax(p))
    ends = (
        np.interp(0.05, p[: middle + 1], x[: middle + 1]),
        np.interp(0.05, p[:middle:-1], x[:middle:-1]),
    )
    np.testing.assert_allclose(ends, [bcg.low, bcg.high], atol=2e-3)
    with pytest.raises(ValueError, match="evenly about the estimate"):
        curves.drapery(pool(risk_ratio(BCG), ci="profile"))


def test_posterior_area_and_interval() -> None:
    found = pool_bayes(risk_ratio(few()), tau_prior=0.5)
    ax = curves.posterior(found)
    solid = next(
        line for line in ax.lines if len(line.get_xdata()) > 100 and line.get_linestyle() == "-"
    )
    x, height = np.log(np.asarray(solid.get_xdata())), np.asarray(solid.get_ydata())
    assert 0.97 < np.trapezoid(height, x) <= 1.0001
    held = next(c for c in ax.collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
    assert np.log(held[:, 0].min()) == pytest.approx(found.low, rel=1e-8)
    assert f"= {found.probability_above():.3f}" in told(ax).replace("\u00a0", " ")
    assert "_" not in told(ax)  # no names of functions in figures


def test_prior_scale_tells_where_it_tips() -> None:
    found = pool_bayes(risk_ratio(few()), tau_prior=0.5)
    ax = curves.prior_scale(found)
    curve = found.prior_scale_curve()
    line = max(ax.lines, key=lambda line: len(line.get_xdata()))
    np.testing.assert_allclose(np.asarray(line.get_ydata()), curve["estimate"], rtol=1e-8)
    assert "The interval first includes 1 at" in told(ax)
    ax = curves.prior_scale(
        pool_bayes(risk_ratio(few().assign(events_t=[6, 6, 11])), tau_prior=0.5)
    )
    assert "The interval includes 1 even without heterogeneity." in told(ax)
    assert len(points(ax)) == 3


def test_follow_up_draws_each_arm_and_knows_a_follow_up() -> None:
    from kapmeta.effects.follow_up import abstinence_curve

    rows = pd.DataFrame(
        {
            "study": ["A"] * 3,
            "months": [1, 3, 6],
            "n_t": [30] * 3,
            "n_c": [31] * 3,
            "events_t": [18, 14, 10],
            "events_c": [10, 6, 4],
        }
    )
    ax = curves.follow_up(abstinence_curve(rows))
    assert {"treatment", "control"} <= set(texts(ax))
    tops = sorted(
        float(np.max(line.get_ydata())) for line in ax.lines if len(line.get_xdata()) == 3
    )
    np.testing.assert_allclose(tops[-1], 60.0)
    with pytest.raises(ValueError, match='needs the column "arm"'):
        curves.follow_up(rows)


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
    assert "BCG" in told(ax) or bcg.effects.treatment in told(ax)
    frame = baujat(bcg).to_frame()
    same_rows(points(scatters.baujat(baujat(bcg))), frame[["contribution", "influence"]].to_numpy())
    grown = plot.sweep(cumulative(bcg))
    assert len(points(grown)) == bcg.k


def test_traffic_light_draws_the_worst_and_summary_weighs() -> None:
    rows = [
        ("A", "D1", "low"),
        ("A", "D1", "high"),
        ("A", "overall", "some concerns"),
        ("B", "D1", "Low"),
        ("B", "overall", "no information"),
    ]
    frame = pd.DataFrame(rows, columns=["study", "domain", "judgement"])
    ax = judgements.risk_of_bias(frame, labels={"A": "Alpha 2001"})
    assert "Alpha 2001" in texts(ax)
    assert [texts(ax).count(sign) for sign in "+!×?"] == [
        2,
        2,
        2,
        2,
    ]  # each once in the plot, once in the legend
    assert "A" not in texts(ax)
    summary = judgements.risk_of_bias_summary(frame, weights={"A": 3.0, "B": 1.0})
    assert "D1 randomisation process: low 25 %, some concerns 0 %, high 75 %" in alt_text(summary)
    with pytest.raises(ValueError, match="weights name none of the studies: A, B"):
        judgements.risk_of_bias_summary(frame, weights={"C": 1.0})
    with pytest.raises(ValueError, match='needs the column "judgement"'):
        judgements.risk_of_bias(frame.drop(columns="judgement"))


def test_every_frame_plot_refuses_what_is_no_frame_or_empty() -> None:
    for draw, name in (
        (scatters.baujat, "baujat"),
        (subset_clouds.gosh, "gosh"),
        (tipping_surfaces.tipping, "tipping"),
    ):
        with pytest.raises(TypeError, match=f"{name} draws a DataFrame or a result"):
            draw(3)
    with pytest.raises(TypeError, match="draws Effects or a Pooled, got DataFrame"):
        funnels.funnel(few())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got str"):
        scatters.bubble("latitude")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="notes is one text"):
        funnels.funnel(risk_ratio(few()), notes="a note")
    with pytest.raises(ValueError, match='width = "triple" is not known'):
        funnels.funnel(risk_ratio(few()), width="triple")


@pytest.mark.parametrize("theme", THEMES)
def test_themes_and_widths_serve_other_plots(theme: str, bcg: Pooled) -> None:
    ax = funnels.funnel(bcg, theme=theme, width="double", title="A title " * 12, notes=["A note."])
    assert root_of(ax).get_size_inches()[0] == pytest.approx(WIDTHS["double"])
    assert min(text.get_fontsize() for text in ax.texts) >= max(9, LEAST_POINTS)
    assert "A note." in texts(ax)


# The forest plot's later parts


def test_subgroups_are_drawn_from_their_result_with_the_test_between_them() -> None:
    found = subgroups(risk_ratio(BCG), by="allocation")
    ax = forest(found)
    assert {f"Allocation: {name}" for name in found.groups} <= set(texts(ax))
    line = next(text for text in told(ax).replace("\u00a0", " ").split("Between subgroups: ")[1:])
    assert line.startswith(
        f"Q = {found.q_between:.2f}, df = {found.df_between:g}, p = {found.p_between:.2f}"
    )
    diamonds = [c for c in ax.collections if isinstance(c, PolyCollection) and c.get_zorder() == 3]
    assert sum(len(c.get_paths()) for c in diamonds) == len(found.groups) + 1
    assert alt_text(ax).startswith("Forest plot by subgroups.")


def test_rows_without_correction_say_so_and_claim_none() -> None:
    trial = few(1).assign(events_c=0)
    ax = forest(pool(risk_ratio(trial, interval="koopman")))
    assert "Single trials: Koopman's score interval." in texts(ax)
    assert "0.5 added" not in told(ax)
    assert "‡" not in told(ax)
    several = forest(pool(risk_ratio(few().assign(events_c=[0, 6, 11]), interval="koopman")))
    note = next(text for text in texts(several) if text.startswith("‡"))
    assert note.startswith("‡ Zero cell: shown as it is; in pooling, 0.5 added")
    plain = forest(pool(risk_ratio(few().assign(events_c=[0, 6, 11]))))
    assert any(text.startswith("‡ Zero cell: 0.5 added") for text in texts(plain))
    assert "Single trials" not in told(plain)


def test_posterior_stands_beside_other_models_and_lends_its_shrunken_effects() -> None:
    effects = risk_ratio(few())
    found = pool_bayes(effects, tau_prior=0.5)
    shrunken = found.shrunken()
    ax = forest([pool(effects), found], shrunken=shrunken)
    assert "Bayesian random-effects model" in told(ax)
    assert any("priors" in text for text in texts(ax))
    marks = next(line for line in ax.lines if line.get_marker() == "D")
    np.testing.assert_allclose(marks.get_xdata(), shrunken["estimate"], rtol=1e-8)
    assert any(text.startswith("Open diamonds") for text in texts(ax))
    with pytest.raises(ValueError, match="one row per study"):
        forest(found, shrunken=shrunken.iloc[:2])


def test_prediction_density_holds_its_interval(bcg: Pooled) -> None:
    x, height = prediction_density(bcg)
    inside = (x >= bcg.prediction_low) & (x <= bcg.prediction_high)
    wide = np.linspace(bcg.estimate - 40, bcg.estimate + 40, 200_001)
    scale = (bcg.prediction_high - bcg.prediction_low) / 2 / 2.178812829663418  # R 4: qt(0.975, 12)
    whole = np.trapezoid((1 + ((wide - bcg.estimate) / scale) ** 2 / 12) ** -6.5, wide)
    assert np.trapezoid(height[inside], x[inside]) / whole == pytest.approx(0.95, abs=0.01)
    ax = forest(bcg, prediction="density")
    assert len([c for c in ax.collections if c.get_zorder() == 2.6]) == 2
    with pytest.raises(
        ValueError, match='prediction = "violin" is not known; use one of: bar, density'
    ):
        forest(bcg, prediction="violin")
    with pytest.raises(ValueError, match="has no density to draw"):
        forest(pool(risk_ratio(BCG), prediction="nnf"), prediction="density")


def test_pages_share_columns_axis_and_squares() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "study": [f"T{i}" for i in range(130)],
            "y": rng.normal(0, 0.3, 130),
            "v": rng.uniform(0.01, 0.2, 130),
        }
    )
    result = pool(generic(table))
    pages = forest_pages(result)
    assert len(pages) == 3
    assert len({ax.get_xlim() for ax in pages}) == 1
    assert len({round(root_of(ax).get_size_inches()[0], 6) for ax in pages}) == 1
    names = [text for ax in pages for text in texts(ax) if text in set(table["study"])]
    assert names == list(table["study"])
    sizes = np.concatenate(
        [c.get_sizes() for ax in pages for c in ax.collections if isinstance(c, PathCollection)]
    )
    large = result.weights / result.weights.max() > 0.3
    np.testing.assert_allclose(
        sizes[large] / sizes.max(), (result.weights / result.weights.max())[large], rtol=1e-8
    )
    assert sum("Random-effects model" in told(ax) for ax in pages) == 1
    assert len(forest_pages(result, rows=200)) == 1
    with pytest.raises(ValueError, match="rows = 3"):
        forest_pages(result, rows=3)


def test_size_still_tells_the_size(bcg: Pooled) -> None:
    assert size(bcg) == pytest.approx(tuple(root_of(forest(bcg)).get_size_inches()))


# Small parts


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), min_size=1, max_size=15))
def test_names_keep_apart_from_names_and_marks(places: list[tuple[float, float]]) -> None:
    font = Font(("DejaVu Sans",), 9.0)
    at = np.array(places)
    found, left = labelled(
        at,
        np.full(len(at), 5.0),
        [f"Study {i}" for i in range(len(at))],
        font,
        (300, 200),
        np.empty((0, 2)),
    )
    assert len(found) + left == len(at)
    from kapmeta.plot.panel.typesetting import text_width

    box = np.array(
        [[n.x, n.y, n.x + text_width(n.lines[0], font), n.y + 0.75 * 9] for n in found]
    ).reshape(-1, 4)
    for i in range(len(box)):
        for j in range(i):
            apart = (box[i, :2] >= box[j, 2:]).any() or (box[j, :2] >= box[i, 2:]).any()
            assert apart
        assert (box[i, :2] >= 0).all()
        assert box[i, 2] <= 300


def test_pixels_survive_the_file(tmp_path: object) -> None:
    import io

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (7, 5, 4), dtype=np.uint8)
    with Image.open(io.BytesIO(png_bytes(pixels, 300, {"Title": "Τίτλος"}))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info["Title"] == "Τίτλος"
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    pixels[..., 3] = 255
    with Image.open(io.BytesIO(png_bytes(pixels, 300, {}))) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), pixels[..., :3])


def test_no_module_of_plots_bears_the_name_of_a_plot() -> None:
    import pkgutil

    modules = {module.name for module in pkgutil.iter_modules(plot.__path__)}
    assert not modules & (set(plot.__all__) - {"style"})
    assert set(plot.__all__) <= set(dir(plot))
    for name in plot.__all__:
        assert getattr(plot, name) is not None


def test_influence_panel_draws_every_number_of_the_frame_on_a_scale_of_its_own(bcg: Pooled) -> None:
    from kapmeta.core.sensitivity.influence import CUT_OFFS
    from kapmeta.sensitivity.deletion import influence

    sweep = influence(bcg)
    ax, frame = plot.influence(sweep), sweep.to_frame()
    names = list(influence_panels.DIAGNOSTICS)
    assert [name for name in names if name in frame] == names
    all_studies = bcg.to_frame().query("row == 'pooled'").iloc[0]
    idle = {"tau2": all_studies["tau2"], "q": all_studies["q"], "covariance_ratio": 1.0}
    for j, (name, marks) in enumerate(zip(names, ax.collections[2::2], strict=True)):
        drawn = np.asarray(marks.get_offsets())
        assert drawn[:, 1].tolist() == list(range(bcg.k))
        place = np.polynomial.Polynomial.fit(frame[name], drawn[:, 0], 1)
        np.testing.assert_allclose(place(frame[name]), drawn[:, 0], rtol=0, atol=1e-8)
        assert place.deriv()(0.0) > 0
        lines = [
            line
            for line in ax.lines
            if j <= line.get_xdata()[0] <= j + 1 and line.get_ydata()[0] == -0.5
        ]
        cut = CUT_OFFS[name].at(bcg.k) if name in CUT_OFFS else None
        cuts = (
            []
            if cut is None
            else [-cut, cut]
            if name in ("rstudent", "dffits", "dfbetas")
            else [cut]
        )
        found = [line.get_xdata()[0] for line in lines]
        np.testing.assert_allclose(
            found, place(np.array([idle.get(name, 0.0), *cuts])), rtol=0, atol=1e-8
        )
    assert set(frame["study" if "study" in frame else "left_out"]) <= set(texts(ax))
    assert "Cut-offs as in metafor" in told(ax)
    assert (
        "Largest Cook's distance: Hart & Sutherland 1977, 0.23. Beyond a cut-off: none."
        in alt_text(ax)
    )


def test_influence_panel_marks_what_lies_beyond_a_cut_off_by_shape() -> None:
    from kapmeta.sensitivity.deletion import influence

    far = pd.DataFrame(
        {"study": list("ABCDEF"), "y": [0.1, 0.2, 0.15, 0.1, 0.2, 0.95], "v": [0.05] * 6}
    )
    sweep = influence(pool(generic(far, y="y", v="v"), model="common"))
    ax = plot.influence(sweep)
    diamonds = [
        c
        for c in ax.collections
        if isinstance(c, PathCollection) and len(c.get_paths()[0].vertices) == 5
    ]
    assert [c.get_offsets()[:, 1].tolist() for c in diamonds] == [[5.0]] * 4
    assert sweep.to_frame()["beyond"].tolist() == [""] * 5 + ["rstudent, dffits, cook, dfbetas"]
    assert "Beyond a cut-off: F (rstudent, DFFITS, Cook's distance, DFBETAS)." in alt_text(ax)
    assert "Not defined for this method: τ² without." in told(ax).replace("\u00a0", " ")
    four = influence(pool(generic(far.iloc[[0, 1, 2, 5]], y="y", v="v"), model="common"))
    assert set(four.to_frame()["beyond"]) == {""}
    assert "Cut-off" not in told(plot.influence(four))
    assert "With so few studies no cut-off applies." in alt_text(plot.influence(four))


def test_influence_panel_refuses_what_it_cannot_draw(bcg: Pooled) -> None:
    from kapmeta.sensitivity.deletion import influence, leave_one_out

    with pytest.raises(ValueError, match='influence needs the column "rstudent"'):
        plot.influence(leave_one_out(bcg))
    frame = influence(bcg).to_frame()
    with pytest.raises(
        ValueError, match="influence diagnostics need three studies or more: 2 to draw"
    ):
        plot.influence(frame.head(2))
    with pytest.raises(ValueError, match="8 panels have no room side by side"):
        plot.influence(frame, width="single")
    stratified = plot.influence(influence(mantel_haenszel(BCG)))
    assert tuple(stratified.get_xlim()) == (0.0, 7.0)  # no between-study variance, no panel
    gap = frame.assign(rstudent=[np.nan, *frame["rstudent"][1:]])
    assert "No mark where a diagnostic does not exist for a study: rstudent." in told(
        plot.influence(gap)
    )


# Several models under subgroups, as R meta's forest() has them


@pytest.fixture(scope="module")
def by_allocation() -> list[Subgroups]:
    effects = risk_ratio(BCG)
    return [subgroups(effects, by="allocation", model=model) for model in ("common", "random")]


def test_subgroups_stand_under_several_models_with_weights_of_all_together(
    by_allocation: list[Subgroups],
) -> None:
    """R 4.2.2, meta 8.4-0, metafor 3.8-1: metabin(method = "Inverse", subgroup = alloc, method.tau = "REML")."""
    ax = forest(by_allocation)
    shown = [text.replace("\u00a0", " ") for text in texts(ax)]
    shares = [["55.0 %", "27.0 %", "18.1 %", "100.0 %"], ["50.5 %", "19.0 %", "30.5 %", "100.0 %"]]
    bold = {
        text.get_text().replace("\u00a0", " ") for text in ax.texts if text.get_weight() == "bold"
    }
    assert {share for column in shares for share in column} <= bold
    for name, share in (("Common-effect model", shares[0]), ("Random-effects model", shares[1])):
        heights = [text.get_position()[1] for text in ax.texts if text.get_text() == name]
        cells = [
            t.get_text().replace("\u00a0", " ")
            for h in heights
            for t in ax.texts
            if t.get_position()[1] == h
        ]
        assert [cell for cell in cells if cell.endswith(" %")] == share[:3]
    assert "Between subgroups, common-effect model: Q = 19.87, df = 2, p < 0.001" in " ".join(shown)
    assert "Weights are shares of all subgroups together." in shown
    assert (
        "Alternate: a random-effects interval from two studies is unreliable; do not headline it."
        in shown
    )
    diamonds = [c for c in ax.collections if isinstance(c, PolyCollection) and c.get_zorder() == 3]
    assert sum(len(c.get_paths()) for c in diamonds) == 8
    assert alt_text(ax).count("Subgroups by allocation.") == 2


def test_each_overall_estimate_is_a_line_of_its_own_down_to_its_diamond(
    by_allocation: list[Subgroups],
) -> None:
    ax = forest(by_allocation)
    dashed = [
        c
        for c in ax.collections
        if isinstance(c, LineCollection) and c.get_linestyles()[0][1] is not None
    ]
    ends = [c.get_paths()[-1].vertices[-1] for c in dashed]
    estimates = [math.exp(item.overall.estimate) for item in by_allocation]
    assert [x for x, _ in ends] == pytest.approx(estimates)
    heights = [t.get_position()[1] for t in ax.texts if t.get_text() == "All 13 studies:"]
    assert [abs(end[1] - height) < 12 for end, height in zip(ends, heights, strict=True)] == [
        True,
        True,
    ]
    assert len({str(c.get_linestyles()) for c in dashed}) == 2
    effects = risk_ratio(BCG)
    many = forest([pool(effects, tau2=tau2) for tau2 in ("REML", "DL", "PM")])
    assert not [
        c
        for c in many.collections
        if isinstance(c, LineCollection) and c.get_linestyles()[0][1] is not None
    ]


def test_weights_stay_within_subgroups_where_nothing_is_pooled_over_them(
    by_allocation: list[Subgroups],
) -> None:
    ax = forest(by_allocation[1].groups)
    assert "Weights are shares within each subgroup." in texts(ax)
    assert texts(ax).count("100.0\u00a0%") == 3


def test_models_that_do_not_match_are_refused(by_allocation: list[Subgroups]) -> None:
    other = subgroups(risk_ratio(BCG.assign(era=BCG["year"] > 1960)), by="era")
    with pytest.raises(ValueError, match="must have the same subgroups"):
        forest([by_allocation[0], other])
    with pytest.raises(ValueError, match='overall has 2 models but "random" has 1'):
        forest(by_allocation[0].groups, overall=[item.overall for item in by_allocation])


def test_heads_and_axis_say_what_the_layouts_of_journals_say(
    bcg: Pooled, by_allocation: list[Subgroups]
) -> None:
    heads = [text.replace("\u00a0", " ") for text in texts(forest(bcg, theme="revman"))]
    assert heads.count("IV random, 95 % CI") == 2
    assert "Favours no vaccine\u00a0→" in texts(forest(by_allocation, theme="revman"))
    jama = forest(by_allocation[1], theme="jama")
    label = next(text for text in jama.texts if text.get_text().startswith("Risk ratio"))
    assert label.get_position()[1] > jama.get_ylim()[0]
    sides = [
        text
        for text in jama.texts
        if "Favors" in text.get_text() or text.get_text() == "vaccine\u00a0→"
    ]
    assert len({text.get_position()[1] for text in sides if text.get_text() != "Favors no"}) == 1


def test_footer_tests_the_effect_with_the_statistic_of_its_p_value(bcg: Pooled) -> None:
    line = next(
        text for text in told(forest(bcg)).split("; ") if text.startswith("test for effect")
    )
    assert line.startswith(
        f"test for effect: t\u00a0=\u00a0−{abs(bcg.statistic):.2f}, df\u00a0=\u00a012,"
        " p\u00a0=\u00a00.002"
    )
    exact = pool_exact(few())
    assert f"test for effect: {wording.p_text(exact.p_value)}." in told(forest(exact)).replace(
        "\u00a0", " "
    )
    flat = generic(pd.DataFrame({"study": list("AB"), "y": [-0.1, 0.1 + 1e-17], "v": [0.1, 0.1]}))
    assert "z\u00a0=\u00a00.00, p\u00a0=\u00a01.00" in told(forest(pool(flat, ci="wald")))


def test_density_of_a_subgroup_is_that_of_its_own_prediction(
    by_allocation: list[Subgroups],
) -> None:
    found = by_allocation[1]
    ax = forest(found, prediction="density")
    peaks = []
    for shape in (c for c in ax.collections if c.get_zorder() == 2.6):
        corners = shape.get_paths()[0].vertices
        peaks.append(corners[np.argmin(corners[:, 1]), 0])
    expected = [math.exp(r.estimate) for r in (found.groups["random"], found.overall)]
    assert sorted(set(np.round(peaks, 3))) == pytest.approx(sorted(expected), abs=2e-3)


def test_no_column_is_cut_off_at_the_panel(bcg: Pooled) -> None:
    ax = forest(bcg)
    assert not any(text.get_clip_on() for text in ax.texts)


def test_names_are_kept_legible_where_lines_cross_them(bcg: Pooled) -> None:
    ax = funnels.funnel(bcg, names=True)
    named = [text for text in ax.texts if text.get_text().startswith("Aronson")]
    assert named
    assert all(
        isinstance(effect, withStroke) for text in named for effect in text.get_path_effects()
    )


def test_studies_of_the_traffic_light_stand_under_their_head() -> None:
    frame = pd.DataFrame(
        {"study": ["A", "A longer name"], "domain": "D1", "judgement": ["low", "high"]}
    )
    ax = judgements.risk_of_bias(frame)
    left = [
        t.get_position()[0] for t in ax.texts if t.get_text() in ("Study", "A", "A longer name")
    ]
    assert len(left) == 3
    assert {t.get_ha() for t in ax.texts if t.get_text() in ("A", "A longer name")} == {"left"}
    assert len(set(left)) == 1


def test_tipping_is_labelled_at_the_values_tried_and_not_beyond() -> None:
    steps = [0.0, 0.5, 1.0]
    rows = [(a, b, 1 + a, 0.5 + a, 2 + a) for a in steps for b in steps]
    ax = tipping_surfaces.tipping(pd.DataFrame(rows, columns=["x", "y", "estimate", "low", "high"]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.5", "1"]


def test_no_probability_is_written_as_nought_or_one() -> None:
    ax = curves.posterior(pool_bayes(risk_ratio(BCG), tau_prior=0.5))
    assert "P(RR > 1) < 0.001" in told(ax).replace("\u00a0", " ")
    scale = told(curves.prior_scale(pool_bayes(risk_ratio(BCG), tau_prior=0.5))).replace(
        "\u00a0", " "
    )
    assert "Probability above 1: < 0.001 at 0.25" in scale


def test_weights_of_other_models_are_headed_by_their_whole_name() -> None:
    ax = forest([pool(risk_ratio(BCG)), mantel_haenszel(BCG)])
    assert {"random", "Mantel-", "Haenszel"} <= set(texts(ax))


def test_minus_of_the_funnel_test_is_a_minus() -> None:
    effects = risk_ratio(BCG)
    ax = funnels.funnel(effects, test=asymmetry_test(effects))
    assert "statistic −" in told(ax)


def test_sides_move_together_rather_than_break() -> None:
    rows = pd.DataFrame({"study": ["Grabski 2022"], "y": [10.1], "low": [1.1], "high": [19.0]})
    effects = generic(rows.assign(v=20.9), event="days", treatment="ketamine", control="placebo")
    ax = forest(effects, drop=["weight"])
    left, right = (next(t for t in ax.texts if arrow in t.get_text()) for arrow in "←→")
    assert left.get_text() == "←\u00a0Favours placebo"
    assert left.get_position()[1] == right.get_position()[1]


def test_choices_are_headed_by_words() -> None:
    rows = [("wald", 1.5, 1.1, 2.0), ("t", 1.5, 0.9, 2.6)]
    ax = specifications.multiverse(pd.DataFrame(rows, columns=["ci", "estimate", "low", "high"]))
    assert "Interval" in texts(ax)
    assert "Ci" not in texts(ax)
