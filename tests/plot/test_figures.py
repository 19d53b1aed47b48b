"""All plots besides forest plots: refusals, themes, and the names of modules."""

from __future__ import annotations

import matplotlib
import pytest

from kapmeta import plot
from kapmeta.effects.counts import risk_ratio
from kapmeta.plot import funnels, scatters, subset_clouds
from kapmeta.plot.saving import root_of
from kapmeta.plot.scenarios import tipping_surfaces
from kapmeta.plot.style import LEAST_POINTS, THEMES, WIDTHS
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import few, texts

matplotlib.use("Agg")


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


def test_no_module_of_plots_bears_the_name_of_a_plot() -> None:
    import pkgutil

    modules = {module.name for module in pkgutil.iter_modules(plot.__path__)}
    assert not modules & (set(plot.__all__) - {"style"})
    assert set(plot.__all__) <= set(dir(plot))
    for name in plot.__all__:
        assert getattr(plot, name) is not None
