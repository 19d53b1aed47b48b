"""Influence panels: every number of the frame is drawn on a scale of its own."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from kapmeta import plot
from kapmeta.effects.estimates import generic
from kapmeta.plot import influence_panels
from kapmeta.plot.saving import alt_text
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.results.pooled import Pooled
from tests.helpers.figures import BCG, all_text, texts

matplotlib.use("Agg")


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
    assert "Cut-offs as in metafor" in all_text(ax)
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
    assert "Not defined for this method: τ² without." in all_text(ax).replace("\u00a0", " ")
    four = influence(pool(generic(far.iloc[[0, 1, 2, 5]], y="y", v="v"), model="common"))
    assert set(four.to_frame()["beyond"]) == {""}
    assert "Cut-off" not in all_text(plot.influence(four))
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
    assert "No mark where a diagnostic does not exist for a study: rstudent." in all_text(
        plot.influence(gap)
    )
