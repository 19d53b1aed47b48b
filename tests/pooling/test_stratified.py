"""The stratified front: the counts as they are, the same views as any pooled result."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km

BCG = km.load_example("bcg")
KAP5 = pd.DataFrame(  # methods test set: S2 and S4 are invented
    {
        "study": ["S1", "S2", "S3", "S4", "S5"],
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)


@pytest.mark.parametrize(
    ("measure", "estimate", "se"),
    [
        ("RR", 1.10321430815, 0.163758798757),
        ("OR", 1.76217048644, 0.242339226099),
        ("RD", 0.336241250073, 0.0413072997104),
    ],
)
def test_canonical_five(measure: str, estimate: float, se: float) -> None:
    """metafor 5.1-12 ``rma.mh(add = 0, to = "none")``: no correction for the zero cell of S5."""
    main = km.mantel_haenszel(KAP5, measure=measure)
    assert_allclose([main.estimate, main.se], [estimate, se], rtol=1e-10)
    assert_allclose(main.weights.sum(), 1)
    assert_allclose(main.high - main.estimate, 1.959963984540054 * se, rtol=1e-10)


def test_peto() -> None:
    main = km.peto(KAP5)
    assert_allclose([main.estimate, main.se], [1.62112870854, 0.212398050878], rtol=1e-10)
    assert "Peto's one-step method" in main.summary()


def test_weights_and_table() -> None:
    main = km.mantel_haenszel(BCG)
    a, n1, c, n2 = (BCG[name].to_numpy(float) for name in ("events_t", "n_t", "events_c", "n_c"))
    ratios = (a / n1) / (c / n2)
    assert_allclose(np.log((main.weights * ratios).sum()), main.estimate, rtol=1e-12)
    frame = main.to_frame()
    assert frame["row"].tolist() == ["study"] * 13 + ["pooled"]
    assert frame.loc[13, "events_t"] == BCG["events_t"].sum()
    assert "I² (Q-based)" in main.summary()
    assert "No trial had an empty cell" in main.summary()
    zero = km.mantel_haenszel(BCG.assign(events_t=BCG["events_t"].where(BCG.index != 2, 0)))
    assert "For the single trials only, 0.5 was added" in zero.summary()


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_leave_one_out_is_a_refit(measure: str) -> None:
    sweep = km.leave_one_out(km.mantel_haenszel(KAP5, measure=measure)).table
    for i in range(5):
        again = km.mantel_haenszel(KAP5.drop(index=i), measure=measure)
        assert_allclose(
            [sweep.loc[i, "y"], sweep.loc[i, "se"], sweep.loc[i, "y_low"], sweep.loc[i, "q"]],
            [again.estimate, again.se, again.low, again.q],
            rtol=1e-12,
        )
    peto = km.leave_one_out(km.peto(KAP5)).table
    assert_allclose(peto.loc[0, "y"], km.peto(KAP5.iloc[1:]).estimate, rtol=1e-12)


def test_tables_without_events_add_nothing_and_are_counted() -> None:
    silent = pd.DataFrame(
        {"study": ["Z"], "events_t": [0], "n_t": [20], "events_c": [0], "n_c": [21]}
    )
    main = km.mantel_haenszel(pd.concat([KAP5, silent], ignore_index=True))
    assert_allclose(main.estimate, 1.10321430815, rtol=1e-10)
    assert "tables without information on the effect: 1 of 6" in main.summary()


def test_compatibility_is_named() -> None:
    """meta 8.4-0 with ``MH.exact = FALSE`` adds 0.5 to S5."""
    main = km.mantel_haenszel(KAP5, compatibility="revman5")
    assert_allclose(main.estimate, 1.09419187774, rtol=1e-9)
    assert "revman5 mode" in main.summary()


def test_design_rules_hold_here_too() -> None:
    main = km.mantel_haenszel(KAP5.assign(randomised=[False, True, True, True, True]))
    assert main.k == 4
    assert main.weights[0] == 0
    with pytest.raises(ValueError, match="different questions"):
        km.mantel_haenszel(KAP5.assign(contrast=list("aaabb")))


def test_refusals() -> None:
    one_sided = KAP5.assign(events_c=0)
    with pytest.raises(ValueError, match="gives no interval here: all events are in one arm"):
        km.mantel_haenszel(one_sided)
    with pytest.raises(ValueError, match='unknown measure "SMD"; use one of: RR, OR, RD'):
        km.mantel_haenszel(KAP5, measure="SMD")
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        km.peto(KAP5, level=95)


def test_weights_of_the_printed_reviews_are_those_of_the_raised_cells() -> None:
    tables = pd.DataFrame(
        {
            "study": ["A", "B"],
            "events_t": [5, 6],
            "n_t": [20, 30],
            "events_c": [0, 3],
            "n_c": [20, 30],
        }
    )
    weights = km.mantel_haenszel(tables, compatibility="revman5").weights
    raised = np.array(
        [0.5 * 21 / 42, 3 * 30 / 60]
    )  # control events times treated over all, 0.5 in the cells of A
    np.testing.assert_allclose(weights, raised / raised.sum())
    alone = km.mantel_haenszel(tables[:1], compatibility="revman5")
    assert alone.weights.tolist() == [1.0]
