"""The curve of an unread trial: its lines are where the result turns."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

import kapmeta as km
from kapmeta.plot.scenarios.unread_trials import unread_trial
from tests.helpers.figures import few

matplotlib.use("Agg")


def test_the_dashed_lines_lie_between_the_verdicts() -> None:
    found = km.sensitivity.unread_trial(
        km.pool_bayes(km.risk_ratio(few(2)), tau_prior=0.1), n_t=60, n_c=60, study="C"
    )
    ax = unread_trial(found)
    runs = found.ranges()
    on_data = [x for x in ax.lines if x.get_transform().contains_branch(ax.transData)]
    dashed = [line for line in on_data if line.is_dashed()]
    assert len(dashed) == len(runs) - 1 > 0
    for line, before, after in zip(dashed, runs["high"], runs["low"][1:], strict=False):
        assert before < float(line.get_xdata()[0]) < after
    assert "Risk ratio found by C" in {text.get_text() for text in ax.texts} | {ax.get_xlabel()}
    assert found.summary() in km.plot.alt_text(ax)
    drawn = on_data[0].get_ydata()
    np.testing.assert_allclose(drawn, found.to_frame()["estimate"], rtol=1e-8)


def test_other_results_are_refused() -> None:
    with pytest.raises(TypeError, match=r"kapmeta\.sensitivity\.unread_trial: got Pooled"):
        unread_trial(km.pool(km.risk_ratio(few())))  # type: ignore[arg-type]
