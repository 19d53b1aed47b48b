"""Plots of curves: each crosses, holds or marks what the result says."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from kapmeta.effects.counts import risk_ratio
from kapmeta.plot import curves
from kapmeta.pooling.bayes import pool_bayes
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import BCG, all_text, few, points, texts

matplotlib.use("Agg")


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
    assert f"= {found.probability_above():.3f}" in all_text(ax).replace("\u00a0", " ")
    assert "_" not in all_text(ax)  # no names of functions in figures


def test_prior_scale_tells_where_it_tips() -> None:
    found = pool_bayes(risk_ratio(few()), tau_prior=0.5)
    ax = curves.prior_scale(found)
    curve = found.prior_scale_curve()
    line = max(ax.lines, key=lambda line: len(line.get_xdata()))
    np.testing.assert_allclose(np.asarray(line.get_ydata()), curve["estimate"], rtol=1e-8)
    assert "The interval first includes 1 at" in all_text(ax)
    ax = curves.prior_scale(
        pool_bayes(risk_ratio(few().assign(events_t=[6, 6, 11])), tau_prior=0.5)
    )
    assert "The interval includes 1 even without heterogeneity." in all_text(ax)
    assert len(points(ax)) == 3


def test_follow_up_draws_each_arm_and_knows_a_follow_up() -> None:
    from kapmeta.effects.follow_up import event_free_curve

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
    ax = curves.follow_up(event_free_curve(rows))
    assert {"treatment", "control"} <= set(texts(ax))
    tops = sorted(
        float(np.max(line.get_ydata())) for line in ax.lines if len(line.get_xdata()) == 3
    )
    np.testing.assert_allclose(tops[-1], 60.0)
    with pytest.raises(ValueError, match='needs the column "arm"'):
        curves.follow_up(rows)


def test_no_probability_is_written_as_nought_or_one() -> None:
    ax = curves.posterior(pool_bayes(risk_ratio(BCG), tau_prior=0.5))
    assert "P(RR > 1) < 0.001" in all_text(ax).replace("\u00a0", " ")
    scale = all_text(curves.prior_scale(pool_bayes(risk_ratio(BCG), tau_prior=0.5))).replace(
        "\u00a0", " "
    )
    assert "Probability above 1: < 0.001 at 0.25" in scale
