"""What may and may not be concluded speaks of the data at hand."""

from __future__ import annotations

import pandas as pd
import pytest

import kapmeta as km

BCG = km.load_example("bcg")


@pytest.mark.parametrize(
    "changes", [{}, {"randomised": False}, {"contrast": "dose"}, {"contrast": "sessions"}]
)
def test_a_conclusion_about_vaccines_says_nothing_of_this_review(
    changes: dict[str, object],
) -> None:
    concluded = km.review.conclusion(km.pool(km.risk_ratio(BCG.assign(**changes))))
    text = f"{concluded.may} {concluded.may_not}".lower()
    assert not any(word in text for word in ("ketamine", "abstin", "relapse"))
    assert "people in all" not in text


def test_the_reasons_are_those_of_the_table() -> None:
    pooled = km.pool(km.risk_ratio(BCG.assign(contrast="dose", randomised=False)))
    reasons = km.review.conclusion(pooled).may_not
    assert "in different doses, so this says nothing of the treatment against none" in reasons
    assert "the arms were not randomised" in reasons
    assert "bias" in km.review.conclusion(km.pool(km.risk_ratio(BCG))).may_not


def test_few_events_are_a_reason_for_doubt_and_many_are_not() -> None:
    trials = pd.DataFrame(
        {"study": list("abc"), "events_t": 40, "n_t": 100, "events_c": [59, 60, 60], "n_c": 100}
    )
    fewer = km.review.conclusion(km.pool(km.risk_ratio(trials))).may_not
    assert "the counts are of 600 people in all" in fewer
    more = trials.assign(events_c=60)
    assert "people" not in km.review.conclusion(km.pool(km.risk_ratio(more))).may_not
