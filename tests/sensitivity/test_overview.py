"""The table of all sensitivity analyses, and its verdicts."""

from __future__ import annotations

import numpy as np
import pytest

import kapmeta as km
from kapmeta.sensitivity.overview import sensitivity_table
from tests.helpers.small_trials import FIVE_TRIALS

KAP5 = FIVE_TRIALS.assign(event="abstinence")


RICH = KAP5.assign(
    randomised=[False, True, True, True, True],
    evidence_level=[
        "primary_abstract",
        "tertiary_only",
        "primary_abstract",
        "secondary_table",
        "primary_full_text",
    ],
    risk_of_bias=["high", "low", "some concerns", "low", "high"],
    missing_t=[5, 1, 2, 3, 2],
    missing_c=[9, 2, 3, 1, 4],
    percent_t=["65.8", "35", None, "17", "44"],
)


def test_the_table_has_every_group_and_its_verdicts_are_those_of_pool() -> None:
    table = sensitivity_table(RICH)
    assert table["group"].unique().tolist() == [
        "primary",
        "estimator and interval",
        "model",
        "zero cells",
        "measure",
        "leave one out",
        "studies",
        "missing outcomes",
    ]
    main = km.pool(km.risk_ratio(RICH))
    first = table.iloc[0]
    np.testing.assert_allclose(
        [first["estimate"], first["low"]], np.exp([main.estimate, main.low]), rtol=1e-12
    )
    assert first["holds"] == "yes"
    by_choice = table.set_index("choice")
    widest = by_choice.loc["with non-randomised"]
    again = km.pool(km.risk_ratio(RICH), mixed=True)
    assert (widest["k"], widest["low"]) == (5, pytest.approx(np.exp(again.low), rel=1e-12))
    assert by_choice.loc["primary sources", "k"] == 2
    assert by_choice.loc["low risk of bias", "k"] == 2
    assert by_choice.loc["not high risk of bias", "k"] == 3
    assert "randomised" not in by_choice.index
    same = np.sign(np.log(table["low"].where(table["measure"] == "RR"))) == np.sign(
        np.log(first["low"])
    )
    ratio = (table["measure"] == "RR") & table["holds"].isin(["yes", "no"]) & (table["high"] > 1)
    assert (table.loc[ratio, "holds"] == np.where(same[ratio], "yes", "no")).all()


def test_one_trial_is_judged_by_its_score_interval() -> None:
    table = sensitivity_table(RICH.iloc[[4]], event_is_good=True)
    score = km.pool(km.risk_ratio(RICH.iloc[[4]], interval="koopman"))
    assert table.iloc[0]["low"] == pytest.approx(np.exp(score.low), rel=1e-12)
    assert np.isinf(table.iloc[0]["high"])
    by_choice = table.set_index("choice")
    assert by_choice.loc["Mantel-Haenszel", "holds"] == "no interval"
    assert by_choice.loc["Mantel-Haenszel", "reason"].startswith(
        "Mantel-Haenszel, no correction gives no"
    )
    assert by_choice.loc["low risk of bias", "holds"] == "no trial"
    assert by_choice.loc["low risk of bias", "reason"] == "no trial is of this kind"
    assert (table.loc[table["holds"].isin(["yes", "no"]), "reason"] == "").all()
    assert (table.loc[~table["holds"].isin(["yes", "no"]), "reason"] != "").all()
    counted = table[table["group"] == "missing outcomes"].set_index("choice")
    worst = RICH.iloc[[4]].assign(events_c=4)
    score = km.pool(km.risk_ratio(worst, interval="koopman"))
    expected = np.exp([score.estimate, score.low, score.high])
    np.testing.assert_allclose(
        counted.loc["worst", ["estimate", "low", "high"]].astype(float), expected, rtol=1e-12
    )
    bad = sensitivity_table(RICH.iloc[[4]], event_is_good=False).set_index("choice")
    np.testing.assert_allclose(
        bad.loc["best", "low"], expected[1], rtol=1e-12
    )  # of a harm the roles change
    assert "leave one out" not in set(table["group"])


def test_times_are_compared() -> None:
    cocaine = km.load_evidence().trials(substance="cocaine")
    table = sensitivity_table(cocaine, time="earliest")
    assert table.loc[table["group"] == "time", "choice"].tolist() == [
        "longest",
        "nearest 3",
        "nearest 6",
        "nearest 12",
    ]
    with pytest.raises(ValueError, match="comes more than once; choose a time"):
        sensitivity_table(cocaine)


def test_missing_of_unknown_arms_stand_for_their_extremes() -> None:
    columns = ["missing_t", "missing_c"]
    krupitsky = RICH.iloc[[2]].drop(columns=columns).assign(missing=6)
    table = sensitivity_table(krupitsky, totals="observed", event_is_good=True)
    choices = table.loc[table["group"] == "missing outcomes", "choice"].tolist()
    assert choices == [
        "available",
        "no event, 6 + 0 missing",
        "no event, 0 + 6 missing",
        "best, 6 + 0 missing",
        "best, 2 + 4 missing",
        "worst, 0 + 6 missing",
        "worst, 6 + 0 missing",
    ]
    sweep = km.missing_outcomes(
        krupitsky, totals="observed", strategies=["no event"], imor=[]
    ).to_frame()
    ends = table.set_index("choice").loc[choices[1:3], "estimate"]
    np.testing.assert_allclose(ends, [sweep["estimate"].min(), sweep["estimate"].max()], rtol=1e-12)
    several = sensitivity_table(
        RICH.drop(columns=columns).assign(missing=[0, 1, 2, 0, 0]), totals="observed"
    )
    chosen = several.loc[several["group"] == "missing outcomes", "choice"]
    assert {choice.partition(",")[0] for choice in chosen} >= {
        "available",
        "event under control",
        "gamble-hollis",
    }
    assert (chosen.str.partition(",")[0].value_counts() <= 2).all()
    many = sensitivity_table(RICH.drop(columns=columns).assign(missing=20), totals="observed").iloc[
        -1
    ]
    assert (many["choice"], many["holds"]) == ("any assumption", "no interval")
    assert "can be divided in" in many["reason"]
    unknown = sensitivity_table(RICH.assign(missing_t=np.nan))
    assert "missing outcomes" not in set(unknown["group"])
