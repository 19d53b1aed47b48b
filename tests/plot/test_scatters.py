"""L'Abbé, Baujat and bubble plots: points and lines are at the numbers of the result."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.patheffects import withStroke

import kapmeta as km
from kapmeta.effects.counts import odds_ratio, risk_difference, risk_ratio
from kapmeta.moderators.regression import meta_regression
from kapmeta.plot import funnels, scatters
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import BCG, all_text, few, points, same_rows, texts

matplotlib.use("Agg")


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
    assert "95\u00a0% CI" in all_text(ax) or "95 % CI" in all_text(ax)


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
    assert "year = 1960" in all_text(scatters.bubble(both, at={"year": 1960})).replace(
        "\u00a0", " "
    )
    with pytest.raises(ValueError, match="holds words, not numbers"):
        scatters.bubble(meta_regression(risk_ratio(BCG), "allocation"))


def test_names_are_kept_legible_where_lines_cross_them(bcg: Pooled) -> None:
    ax = funnels.funnel(bcg, names=True)
    named = [text for text in ax.texts if text.get_text().startswith("Aronson")]
    assert named
    assert all(
        isinstance(effect, withStroke) for text in named for effect in text.get_path_effects()
    )


def test_a_bubble_plot_takes_numbers_as_text_and_leaves_out_the_study_without() -> None:
    trials = km.load_example("bcg")
    latitude = trials["latitude"].astype(str).tolist()
    latitude[2] = ""
    fit = meta_regression(km.risk_ratio(trials.assign(latitude=latitude)), ["latitude"])
    shown = np.asarray(scatters.bubble(fit).collections[-1].get_offsets())
    assert len(shown) == 12
    assert set(shown[:, 0]) == set(trials["latitude"].drop(2).astype(float))
    with pytest.raises(ValueError, match='at has "year", which is not a moderator beside latitude'):
        scatters.bubble(fit, at={"year": 1950})
