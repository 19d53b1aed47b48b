"""Risk of bias: the worst judgement is drawn, and shares are weighted."""

from __future__ import annotations

import matplotlib
import pandas as pd
import pytest

from kapmeta.plot import judgements
from kapmeta.plot.saving import alt_text
from tests.helpers.figures import texts

matplotlib.use("Agg")


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
