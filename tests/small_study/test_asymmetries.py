"""Asymmetry tests: each is its core function, and what it needs and refuses."""

from __future__ import annotations

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.small_study import asymmetry
from kapmeta.results.effects import Effects
from kapmeta.small_study import TESTS, asymmetry_test
from tests.helpers.labelled_effects import effects_of


def test_every_test_is_its_core_function(bcg: Effects) -> None:
    for method in TESTS:
        found = asymmetry_test(bcg, method=method)
        assert 0 <= found.p_value <= 1
        assert found.k == 13
        assert 0.05 < found.power < 1
        assert found.definition in found.summary()
        assert TESTS[method].name in found.summary()
    line = asymmetry.weighted_line(asymmetry.egger_points(bcg.y, bcg.v))
    assert asymmetry_test(bcg).statistic == pytest.approx(float(line.statistic))
    assert asymmetry_test(bcg, method="harbord").p_value == pytest.approx(0.23497195212, rel=1e-9)
    assert (
        asymmetry_test(bcg, method="begg").p_value
        != asymmetry_test(bcg, method="begg-normal").p_value
    )


def test_a_frame_of_trials_is_read_as_odds_ratios(bcg: Effects) -> None:
    assert (
        asymmetry_test(km.load_example("bcg"), method="peters").statistic
        == asymmetry_test(bcg, method="peters").statistic
    )


def test_forced_test_says_what_its_power_is(few: Effects) -> None:
    with pytest.raises(ValueError, match="would be found in 15 % of cases"):
        asymmetry_test(few)
    found = asymmetry_test(few, force=True)
    assert "would be found in 15 % of cases" in found.summary()
    assert found.power == pytest.approx(0.15, abs=0.005)
    assert "a rank test finds less" in asymmetry_test(few, method="begg", force=True).summary()


def test_harbord_is_refused_for_other_measures() -> None:
    with pytest.raises(ValueError, match="Harbord's test is for OR or RR: these are RD"):
        asymmetry_test(km.risk_difference(km.load_example("bcg")), method="harbord")


def test_who_has_no_counts_is_named(bcg: Effects) -> None:
    """Counts of some trials and reported effects of others: the first without is named."""
    mixture = bcg + effects_of([0.1], [0.2], "OR", event_is_good=None)
    with pytest.raises(
        ValueError, match=r'needs the counts of both arms of every trial .*; "Trial 1" has none'
    ):
        asymmetry_test(mixture, method="peters")
    assert asymmetry_test(mixture).k == 14


@pytest.mark.parametrize("method", ["harbord", "peters", "schwarzer"])
def test_tables_that_say_nothing_do_not_make_ten(method: str) -> None:
    """Twelve trials, six of them without any event: too few for a test that cannot use those."""
    frame = (
        km.load_example("bcg")
        .head(12)
        .assign(
            events_t=lambda t: t["events_t"].where(t.index < 6, 0),
            events_c=lambda t: t["events_c"].where(t.index < 6, 0),
        )
    )
    effects = km.odds_ratio(frame)
    assert asymmetry_test(effects).k == 12
    with pytest.raises(ValueError, match="6 studies, and fewer than 10 cannot tell"):
        asymmetry_test(effects, method=method)
    assert asymmetry_test(effects, method=method, force=True).k == 6


def test_power_is_told_whatever_else_is_noted(bcg: Effects) -> None:
    table = bcg.table.assign(randomised=[True] * 12 + [False])
    mixed = Effects(bcg.y, bcg.v, bcg.labels, "OR", table, zero="half-if-any", event_is_good=False)
    notes = asymmetry_test(mixed).notes
    assert "would be found in" in notes[0]
    assert "set aside as not randomised" in notes[1]


def test_one_trial_is_not_one_trials_and_a_slope_of_nothing_has_no_minus() -> None:
    one = km.generic(pd.DataFrame({"study": ["A"], "y": [0.1], "v": [0.2]}), measure="RR")
    found = km.publication_bias_sensitivity(one, favoured="positive")
    assert "0 of 1 trial is significant" in found.summary()
    tables = pd.DataFrame(
        {
            "study": ["A", "B", "C"],
            "events_t": [12, 9, 20],
            "n_t": [40, 35, 61],
            "events_c": [5, 6, 11],
            "n_c": [41, 33, 60],
        }
    )
    found = asymmetry_test(km.risk_ratio(tables), method="harbord", force=True)
    assert -0.005 < found.statistic < 0
    assert "statistic 0.00" in found.summary()
