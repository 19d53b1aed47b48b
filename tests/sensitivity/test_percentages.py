"""Counts that printed percentages allow."""

from __future__ import annotations

import pytest

import kapmeta as km
from kapmeta.sensitivity.percentages import rounded_counts
from tests.helpers.small_trials import FIVE_TRIALS

KAP5 = FIVE_TRIALS.assign(event="abstinence")


def test_every_count_a_percentage_allows_is_carried_through() -> None:
    trials = KAP5.assign(
        percent_t=["66", None, "50.0", None, None], percent_c=[24.0, None, "22.2", None, None]
    )
    sweep = rounded_counts(trials, model="common")
    names = sweep.table["analysis"].str.split("; ").str[0].tolist()
    assert names == ["73/111 v 24/100"]
    large = KAP5.assign(
        n_t=[1110, 17, 26, 35, 27],
        events_t=[730, 6, 13, 6, 12],
        percent_t=["66", None, None, None, None],
    )
    sweep = rounded_counts(large, model="common")
    counts = [int(name.split("/")[0]) for name in sweep.table["analysis"]]
    assert counts == list(range(728, 739))  # 65.5 to 66.5 % of 1110
    for count, y in zip(counts, sweep.table["y"], strict=True):
        changed = large.assign(events_t=[count, 6, 13, 6, 12])
        assert y == pytest.approx(
            km.pool(km.risk_ratio(changed), model="common").estimate, rel=1e-12
        )
    double = rounded_counts(
        KAP5.assign(n_t=[111, 17, 27, 35, 27], percent_t=[None, None, "48.2", None, None])
    )
    assert double.notes == (
        'no count of 27 gives the 48.2 % printed for "S3", treatment: neighbours are taken',
    )
    assert "; 13/27 v 6/27; " in double.table["analysis"].item()
    odd = rounded_counts(KAP5.assign(percent_t=["64.9", None, None, None, None]))
    assert odd.notes == (
        '73 of 111 is not the 64.9 % printed for "S1", treatment: counts that are it are taken',
    )
    assert odd.table["analysis"].item().startswith("72/111 v 24/100")
    wide = KAP5.assign(n_t=10_000, n_c=10_000, percent_t="5", percent_c="5")
    with pytest.raises(ValueError, match="combinations of counts; at most 20000 are analysed"):
        rounded_counts(wide)
