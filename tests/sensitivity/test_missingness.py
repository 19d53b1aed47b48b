"""Missing outcomes: strategies, informative missingness, divisions, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.sensitivity.missingness import STRATEGIES, missing_outcomes
from kapmeta.sensitivity.tipping import tipping_point
from tests.helpers.small_trials import TRIALS_WITH_MISSING as TRIALS


def rows(sweep: km.results.Sweep) -> Any:
    return sweep.to_frame().set_index("assumption")


def test_strategies_are_the_tables_they_say() -> None:
    found = rows(missing_outcomes(TRIALS, imor=[], event_is_good=True))
    neutral = ("event under treatment", "event under control")
    assert list(found.index) == [word for word in STRATEGIES if word not in neutral]
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
    good = rows(missing_outcomes(TRIALS, strategies=["best"], event_is_good=True))
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
    assert len(half.table) == len(STRATEGIES) - 2


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
        "counting the missing as failures disadvantages placebo"
        in missing_outcomes(TRIALS, event_is_good=False, control="placebo").summary()
    )
    assert (
        "counting the missing as all or none with death changes most the risk under control"
        in missing_outcomes(TRIALS, event="death").summary()
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
    with pytest.raises(
        ValueError, match="each of imor must be a number or a pair of numbers, not negative"
    ):
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


def test_best_and_worst_need_the_direction_and_have_neutral_names() -> None:
    for word in ("best", "worst"):
        with pytest.raises(ValueError, match="event_is_good=False") as refusal:
            missing_outcomes(TRIALS, strategies=[word])
        assert 'or use "event under treatment" and "event under control"' in str(refusal.value)
    neutral = rows(missing_outcomes(TRIALS, event="death"))
    assert not {"best", "worst"} & set(neutral.index)
    for good, best in ((True, "event under treatment"), (False, "event under control")):
        told = rows(missing_outcomes(TRIALS, strategies=["best"], imor=[], event_is_good=good))
        assert told.loc["best", "y"] == neutral.loc[best, "y"]
    imors = [word for word in neutral.index if word.startswith("IMOR")]
    assert len(imors) == 8  # treatment is challenged in both directions
    assert imors[0].startswith("IMOR 0.667 treatment")
    assert imors[4].startswith("IMOR 1.5 treatment")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategies": "best"}, "strategies must be a list"),
        ({"strategies": 3}, "strategies must be a list"),
        ({"imor": 2.0}, "imor must be"),
        ({"imor": ["2"]}, "imor must be"),
        ({"imor": [(1, 2, 3)]}, "imor must be"),
        ({"imor": [np.nan]}, "imor must be"),
        ({"imor_sd": "1"}, "imor_sd must be a number"),
        ({"imor_sd": -1.0}, "imor_sd must be a finite number at least 0"),
        ({"imor_sd": 1.0, "imor": []}, "imor_sd would change nothing"),
        ({"correlation": 0.5}, "correlation would change nothing"),
        ({"correlation": 2, "imor_sd": 1.0}, "correlation must be a finite number"),
        ({"shared": True}, "shared would change nothing"),
        ({"shared": "yes", "imor_sd": 1.0}, "shared must be True or False"),
    ],
)
def test_options_are_used_or_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as refusal:
        missing_outcomes(TRIALS, **options)
    assert said in str(refusal.value)
