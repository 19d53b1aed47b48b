"""Forest plots of subgroups, several models and posteriors: contents, lines and notes."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection

from kapmeta import wording
from kapmeta.effects.counts import risk_ratio
from kapmeta.effects.estimates import generic
from kapmeta.moderators.subgroup_pooling import subgroups
from kapmeta.plot.forest_page.enriching import prediction_density
from kapmeta.plot.forests import forest
from kapmeta.plot.saving import alt_text
from kapmeta.pooling.bayes import pool_bayes
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.results.pooled import Pooled
from kapmeta.results.subgroups import Subgroups
from tests.helpers.figures import BCG, all_text, few, texts

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def by_allocation() -> list[Subgroups]:
    effects = risk_ratio(BCG)
    return [subgroups(effects, by="allocation", model=model) for model in ("common", "random")]


def test_subgroups_are_drawn_from_their_result_with_the_test_between_them() -> None:
    found = subgroups(risk_ratio(BCG), by="allocation")
    ax = forest(found)
    assert {f"Allocation: {name}" for name in found.groups} <= set(texts(ax))
    line = next(
        text for text in all_text(ax).replace("\u00a0", " ").split("Between subgroups: ")[1:]
    )
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
    assert "0.5 added" not in all_text(ax)
    assert "‡" not in all_text(ax)
    several = forest(pool(risk_ratio(few().assign(events_c=[0, 6, 11]), interval="koopman")))
    note = next(text for text in texts(several) if text.startswith("‡"))
    assert note.startswith("‡ Zero cell: shown as it is; in pooling, 0.5 added")
    plain = forest(pool(risk_ratio(few().assign(events_c=[0, 6, 11]))))
    assert any(text.startswith("‡ Zero cell: 0.5 added") for text in texts(plain))
    assert "Single trials" not in all_text(plain)


def test_posterior_stands_beside_other_models_and_lends_its_shrunken_effects() -> None:
    effects = risk_ratio(few())
    found = pool_bayes(effects, tau_prior=0.5)
    shrunken = found.shrunken()
    ax = forest([pool(effects), found], shrunken=shrunken)
    assert "Bayesian random-effects model" in all_text(ax)
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


def test_subgroups_stand_under_several_models_with_weights_of_all_together(
    by_allocation: list[Subgroups],
) -> None:
    """Check against R 4.2.2, meta 8.4-0, metafor 3.8-1.

    metabin(method = "Inverse", subgroup = alloc, method.tau = "REML")
    """
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
        text for text in all_text(forest(bcg)).split("; ") if text.startswith("test for effect")
    )
    assert line.startswith(
        f"test for effect: t\u00a0=\u00a0−{abs(bcg.statistic):.2f}, df\u00a0=\u00a012,"
        " p\u00a0=\u00a00.002"
    )
    exact = pool_exact(few())
    assert f"test for effect: {wording.p_text(exact.p_value)}." in all_text(forest(exact)).replace(
        "\u00a0", " "
    )
    flat = generic(pd.DataFrame({"study": list("AB"), "y": [-0.1, 0.1 + 1e-17], "v": [0.1, 0.1]}))
    assert "z\u00a0=\u00a00.00, p\u00a0=\u00a01.00" in all_text(forest(pool(flat, ci="wald")))


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


def test_weights_of_other_models_are_headed_by_their_whole_name() -> None:
    ax = forest([pool(risk_ratio(BCG)), mantel_haenszel(BCG)])
    assert {"random", "Mantel-", "Haenszel"} <= set(texts(ax))


def test_sides_move_together_rather_than_break() -> None:
    rows = pd.DataFrame({"study": ["Grabski 2022"], "y": [10.1], "low": [1.1], "high": [19.0]})
    told = {"event": "days", "treatment": "ketamine", "control": "placebo", "event_is_good": True}
    effects = generic(rows.assign(v=20.9), **told)
    ax = forest(effects, drop=["weight"])
    left, right = (next(t for t in ax.texts if arrow in t.get_text()) for arrow in "←→")
    assert left.get_text() == "←\u00a0Favours placebo"
    assert left.get_position()[1] == right.get_position()[1]
