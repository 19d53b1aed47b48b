"""Missing outcomes, tipping points and fragility on the named front."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.effects import single_trial
from kapmeta.sensitivity.fragility import fragility_index
from kapmeta.sensitivity.missingness import STRATEGIES, missing_outcomes
from kapmeta.sensitivity.tipping import tipping_point

TRIALS = pd.DataFrame(
    {
        "study": ["A", "B", "C"],
        "events_t": [20, 12, 14],
        "n_t": [40, 35, 30],
        "events_c": [8, 6, 7],
        "n_c": [41, 33, 31],
        "missing_t": [4, 0, 2],
        "missing_c": [9, 3, 2],
    }
)


def rows(sweep: km.results.Sweep) -> Any:
    return sweep.to_frame().set_index("assumption")


def test_strategies_are_the_tables_they_say() -> None:
    found = rows(missing_outcomes(TRIALS, imor=[]))
    assert list(found.index) == list(STRATEGIES)
    assert found.loc["no event", "y"] == pytest.approx(
        km.pool(km.risk_ratio(TRIALS)).estimate, rel=1e-12
    )
    seen = TRIALS.assign(n_t=TRIALS.n_t - TRIALS.missing_t, n_c=TRIALS.n_c - TRIALS.missing_c)
    available = km.pool(km.risk_ratio(seen))
    assert found.loc["available", "y_low"] == pytest.approx(available.low, rel=1e-12)
    best = TRIALS.assign(events_t=TRIALS.events_t + TRIALS.missing_t)
    assert found.loc["best", "y"] == pytest.approx(km.pool(km.risk_ratio(best)).estimate, rel=1e-12)
    worst = TRIALS.assign(events_c=TRIALS.events_c + TRIALS.missing_c)
    assert found.loc["worst", "y_high"] == pytest.approx(
        km.pool(km.risk_ratio(worst)).high, rel=1e-12
    )
    assert found.loc["worst", "y"] == found["y"].min()
    assert found.loc["best", "y"] == found["y"].max()
    hollis = found.loc["gamble-hollis"]
    assert hollis["se"] > found.loc["available", "se"]


def test_best_follows_whether_the_event_is_good() -> None:
    good = rows(missing_outcomes(TRIALS, strategies=["best"], imor=None))
    bad = rows(missing_outcomes(TRIALS, strategies=["best"], event_is_good=False))
    assert good.loc["best", "y"] > bad.loc["best", "y"]
    assert good.index[1] == "IMOR 0.667 treatment, 1 control"
    assert bad.index[1] == "IMOR 1.5 treatment, 1 control"


def test_both_meanings_of_the_totals_agree() -> None:
    seen = TRIALS.assign(n_t=TRIALS.n_t - TRIALS.missing_t, n_c=TRIALS.n_c - TRIALS.missing_c)
    pd.testing.assert_frame_equal(
        missing_outcomes(TRIALS).table, missing_outcomes(seen, totals="observed").table
    )


@pytest.mark.parametrize(
    "options", [{}, {"model": "common"}, {"tau2": "DL", "ci": "wald"}, {"ci": "hksj-variance"}]
)
@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_imor_one_keeps_the_estimates_of_those_observed(
    measure: str, options: dict[str, str]
) -> None:
    found = rows(
        missing_outcomes(
            TRIALS,
            measure=measure,
            strategies=["available", "like observed"],
            imor=[1.0],
            **options,
        )
    )
    np.testing.assert_allclose(found["y"].iloc[1], found["y"].iloc[2], rtol=1e-12)
    assert found["y"].iloc[1] == pytest.approx(found["y"].iloc[0], rel=0.05)


def test_an_uncertain_imor_widens_and_a_shared_one_more() -> None:
    options: dict[str, Any] = {"strategies": [], "imor": [(0.5, 0.5)], "model": "common"}
    known = missing_outcomes(TRIALS, **options).table
    own = missing_outcomes(TRIALS, imor_sd=1.0, **options).table
    shared = missing_outcomes(TRIALS, imor_sd=1.0, shared=True, **options).table
    assert known["se"][0] < own["se"][0] < shared["se"][0]
    width = [(x["y_high"] - x["y_low"])[0] for x in (known, own, shared)]
    assert width[0] < width[1] < width[2]
    correlated = missing_outcomes(TRIALS, imor_sd=1.0, correlation=0.9, **options).table
    assert correlated["se"][0] < own["se"][0]
    sure = missing_outcomes(TRIALS, imor_sd=1e-9, shared=True, **options).table
    columns = ["y", "se", "y_low", "y_high"]
    np.testing.assert_allclose(sure[columns], known[columns], rtol=1e-7)


def test_reasons_add_up_to_one_imor() -> None:
    parts = TRIALS.assign(
        missing_t_lost=[1, 0, 2],
        missing_t_moved=[3, 0, 0],
        missing_c_lost=[4, 3, 1],
        missing_c_moved=[5, 0, 1],
    )
    same = rows(
        missing_outcomes(
            parts,
            strategies=[],
            imor=[(0.5, 2.0)],
            reasons={"lost": (0.5, 2.0), "moved": (0.5, 2.0)},
        )
    )
    np.testing.assert_allclose(same["y"].iloc[0], same["y"].iloc[1], rtol=1e-12)
    np.testing.assert_allclose(same["se"].iloc[0], same["se"].iloc[1], rtol=1e-12)
    other = rows(
        missing_outcomes(
            parts, strategies=["no event"], imor=[], reasons={"lost": 0.0, "moved": 0.0}
        )
    )
    np.testing.assert_allclose(other["y"].iloc[0], other["y"].iloc[1], rtol=1e-10)
    with pytest.raises(
        ValueError, match=r'reasons do not add up in row 1 \("A"\): .* = 3, but missing_t = 4'
    ):
        missing_outcomes(parts.assign(missing_t_moved=[2, 0, 0]), reasons={"lost": 1, "moved": 1})
    with pytest.raises(ValueError, match='no column "missing_t_jailed"'):
        missing_outcomes(parts, reasons={"jailed": 1})


def test_unknown_arms_are_gone_through() -> None:
    unknown = TRIALS.assign(
        missing_t=[4, 0, np.nan], missing_c=[9, 3, np.nan], missing=[13, np.nan, 4]
    )
    sweep = missing_outcomes(unknown, imor=[], totals="observed")
    table = sweep.table[sweep.table["assumption"] == "no event"]
    assert table["split"].tolist() == [f"{x} + {4 - x} missing" for x in range(5)]
    two = missing_outcomes(
        TRIALS.assign(missing_t=[4, 0, 1], missing_c=[9, 3, 3]), imor=[], totals="observed"
    )
    again = two.table[two.table["assumption"] == "no event"]["y"].item()
    assert table.loc[table["split"] == "1 + 3 missing", "y"].item() == pytest.approx(
        again, rel=1e-12
    )
    assert (
        "the arms of the missing are not known in C (5 ways): every division is shown"
        in sweep.summary()
    )
    half = missing_outcomes(unknown.assign(missing_t=[4, 0, 1]), imor=[], totals="observed")
    assert len(half.table) == len(STRATEGIES)


@pytest.mark.parametrize("totals", ["randomised", "observed"])
def test_a_division_of_the_missing_is_as_if_it_had_been_known(totals: str) -> None:
    """Totals that count the missing lose them when they are divided between the arms."""
    unknown = TRIALS.assign(
        missing_t=[4, 0, np.nan], missing_c=[9, 3, np.nan], missing=[13, np.nan, 4]
    )
    known = TRIALS.assign(missing_t=[4, 0, 1], missing_c=[9, 3, 3])
    divided = missing_outcomes(unknown, totals=totals).table
    expected = missing_outcomes(known, totals=totals).table
    found = divided[divided["split"] == "1 + 3 missing"].reset_index(drop=True)
    columns = ["assumption", "k", "y", "se", "y_low", "y_high"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], rtol=1e-12)
    half = missing_outcomes(
        known.drop(columns="missing_c").assign(missing=[13, 3, 4]), totals=totals
    ).table
    pd.testing.assert_frame_equal(half[columns], expected[columns], rtol=1e-12)


def test_differential_drop_out_is_told() -> None:
    assert (
        "A: drop-out is differential, 10 % under treatment and 22 % under control"
        in missing_outcomes(TRIALS).summary()
    )
    assert (
        "counting the missing as failures disadvantages control"
        in missing_outcomes(TRIALS).summary()
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"missing_t": [41, 0, 2]},
            r'missing exceed total in row 1 \("A"\): missing_t = 41 > n_t = 40',
        ),
        (
            {"missing_t": [21, 0, 2]},
            (
                "events and missing exceed total in row 1 .*if n counts only those observed, use"
                " totals"
            ),
        ),
        ({"missing_c": [9, -1, 2]}, r'missing_c is not a count in row 2 \("B"\): missing_c = -1'),
        ({"missing_t": [4, 0.5, 2]}, r'missing_t is not a count in row 2 \("B"\): missing_t = 0.5'),
        (
            {"missing": [12, 3, 4]},
            "missing does not add up in row 1 .*missing_t = 4 and missing_c = 9, but missing = 12",
        ),
        ({"missing_t": [4, np.nan, 2]}, r'the number missing is not known in row 2 \("B"\)'),
        (
            {"missing_t": [4, 9, np.nan], "missing_c": [9, 3, 1], "missing": [13, 12, 0]},
            "no division of 0 fits",
        ),
    ],
)
def test_impossible_numbers_missing_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        missing_outcomes(TRIALS.assign(**change))


def test_other_refusals() -> None:
    with pytest.raises(ValueError, match='no column "missing_t"; give the number missing'):
        missing_outcomes(TRIALS.drop(columns=["missing_t"]))
    with pytest.raises(
        ValueError, match='unknown assumption "relapse"; use one of: available, no event'
    ):
        missing_outcomes(TRIALS, strategies=["relapse"])
    with pytest.raises(ValueError, match="imor must not be negative"):
        missing_outcomes(TRIALS, imor=[-1.0])
    with pytest.raises(ValueError, match="an uncertain imor lies between 0 and infinity"):
        missing_outcomes(TRIALS, imor=[0.0], imor_sd=1.0)
    many = TRIALS.assign(missing_t=np.nan, missing_c=np.nan, missing=[20, 20, 20])
    with pytest.raises(ValueError, match="can be divided in 9261 ways; at most 5000"):
        missing_outcomes(many, totals="observed")
    with pytest.raises(ValueError, match="tipping points need the numbers missing of each arm"):
        tipping_point(many, totals="observed")
    with pytest.raises(ValueError, match="nothing is missing"):
        tipping_point(TRIALS.assign(missing_t=0, missing_c=0))


def test_tipping_of_one_trial_is_the_nearest_table_with_the_other_verdict() -> None:
    found = tipping_point(TRIALS.iloc[:1])
    surface = found.to_frame()
    assert len(surface) == 5 * 10
    point = surface[
        (surface["events_t"] == found.points["events_t"])
        & (surface["events_c"] == found.points["events_c"])
    ]
    assert point["verdict"].item() != surface["verdict"].iloc[0]
    nearer = surface[surface["events_t"] + surface["events_c"] < found.points["events"]]
    assert (nearer["verdict"] == surface["verdict"].iloc[0]).all()
    row = surface.iloc[7]
    score = single_trial.koopman(20 + row["events_t"], 40, 8 + row["events_c"], 41)
    np.testing.assert_allclose([row["y_low"], row["y_high"]], [score.low, score.high], rtol=1e-12)
    assert "It turns when" in found.summary()
    never = tipping_point(TRIALS.iloc[:1].assign(events_t=34, events_c=1, missing_t=1, missing_c=1))
    assert never.points == {}
    assert "It does so whatever happened to the 2 missing" in never.summary()
    assert repr(found) == "Tipping(counts, 50 points, RR)"
    assert found._repr_html_().startswith("<p>RR ")


def test_tipping_of_a_pooled_result_is_where_the_limit_meets_no_effect() -> None:
    found = tipping_point(TRIALS, model="common", target=1.5)
    assert set(found.points) == {
        path + extra
        for path in ("both arms", "treatment only", "control only")
        for extra in ("", ", estimate 1.5")
    }
    factor = found.points["both arms"]
    assert factor > 1
    at = missing_outcomes(TRIALS, strategies=[], imor=[(1 / factor, factor)], model="common").table
    assert at["y_low"][0] == pytest.approx(0, abs=1e-9)
    factor = found.points["both arms, estimate 1.5"]
    at = missing_outcomes(TRIALS, strategies=[], imor=[(1 / factor, factor)], model="common").table
    assert np.exp(at["y"][0]) == pytest.approx(1.5, rel=1e-9)
    assert (
        np.isinf(found.points["treatment only"])
        or found.points["treatment only"] > found.points["both arms"]
    )
    assert "turn the result" in found.summary()
    with pytest.raises(ValueError, match="target is a risk ratio and lies above 0: got -1"):
        tipping_point(TRIALS, target=-1.0)
    middle = found.to_frame().iloc[41 * 20 + 20]
    assert middle["imor_t"] == pytest.approx(1)


def test_an_open_result_tips_the_other_way() -> None:
    weak = TRIALS.assign(events_t=[12, 9, 8])
    found = tipping_point(weak, model="common")
    assert 0 < found.points["both arms"] < 1
    at = missing_outcomes(
        weak,
        strategies=[],
        imor=[(1 / found.points["both arms"], found.points["both arms"])],
        model="common",
    ).table
    assert at["y_low"][0] == pytest.approx(0, abs=1e-9)


KAP5 = pd.DataFrame(
    {
        "study": [
            "S1",
            "S2",
            "S3",
            "S4",
            "S5",
        ],  # methods 0.4: two of the trials are invented for tests
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)


@pytest.mark.parametrize(
    "options, index",
    [
        ({"model": "common"}, 23),
        ({"tau2": "DL", "ci": "wald"}, 11),
        ({"method": "mantel-haenszel"}, 50),
        ({"tau2": "PM", "ci": "hksj-variance"}, 5),
    ],
)
def test_fragility_of_a_pooled_result(options: dict[str, str], index: int) -> None:
    found = fragility_index(KAP5, **options)
    assert found.index == index
    assert not found.reverse
    frame = found.to_frame()
    changed = KAP5.set_index("study").astype(float)
    for step in frame.iloc[1:].itertuples():
        changed.loc[step.study, "events_t" if step.arm == "treatment" else "events_c"] += (
            step.events
        )
    option = {key: value for key, value in options.items() if key != "method"}
    changed = changed.reset_index()
    again = (
        km.mantel_haenszel(changed)
        if "method" in options
        else km.pool(km.risk_ratio(changed), **option)
    )
    assert again.low == pytest.approx(frame["limit"].iloc[-1], rel=1e-12)
    assert again.low <= 0


def test_fragility_of_one_trial_against_those_missing() -> None:
    trial = KAP5.iloc[[2]].assign(missing_t=3, missing_c=3)
    found = fragility_index(trial)
    assert (found.index, found.beyond_missing, found.participants) == (1, -5, 53)
    assert (
        found.summary()
        == "Fragility index by Fisher's exact test: 1 of 53 participants. The outcomes of 6 are"
        " missing."
    )
    whole = fragility_index(KAP5.iloc[[2]].assign(missing=6))
    assert (whole.index, whole.beyond_missing) == (1, -5)
    several = KAP5.assign(
        missing_t=[1, 2, np.nan, 0, 0], missing_c=[1, 0, np.nan, 0, 0], missing=[np.nan, 2, 6, 0, 0]
    )
    assert fragility_index(several, model="common").missing == 10
    assert np.isnan(fragility_index(several.assign(missing=np.nan), model="common").missing)
    reverse = fragility_index(KAP5.iloc[[3]])
    assert reverse.reverse
    assert reverse.index == 3
    assert "not known" in reverse.summary()
    assert "<table" in reverse._repr_html_()
    with pytest.raises(ValueError, match="has no model, tau2 or ci"):
        fragility_index(KAP5, method="mantel-haenszel", tau2="DL")
    with pytest.raises(
        ValueError, match='unknown method "exact"; use one of: inverse-variance, mantel-haenszel'
    ):
        fragility_index(KAP5, method="exact")


def test_fragility_beside_missing_counts_in_a_nullable_column_with_gaps() -> None:
    gap = TRIALS.assign(
        missing_t=pd.array([1] + [pd.NA] * (len(TRIALS) - 1), dtype="Int64"), missing_c=0
    )
    assert km.fragility_index(gap).summary()
