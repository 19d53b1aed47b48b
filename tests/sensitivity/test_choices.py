"""Choices of analysis: measures and their direction, counts from percentages, the overview."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.sensitivity.choices import pooled_measures
from kapmeta.sensitivity.overview import sensitivity_table
from kapmeta.sensitivity.percentages import rounded_counts

KAP5 = pd.DataFrame(
    {
        "study": [
            "S1",
            "S2",
            "S3",
            "S4",
            "S5",
        ],  # methods 0.4: two of the trials are invented for tests
        "event": "abstinence",
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)


def test_direction_dependence_is_flagged() -> None:
    """Methods 1.9: Q is 2.75 for the risk ratio of abstinence and 18.1 for that of relapse."""
    table = pooled_measures(KAP5, opposite="relapse")
    assert table["measure"].tolist() == [
        "risk ratio of abstinence",
        "risk ratio of relapse",
        "odds ratio of abstinence",
        "risk difference of abstinence",
        "arcsine difference of abstinence",
    ]
    np.testing.assert_allclose(table["q"][:2], [2.75468879, 18.1142], rtol=1e-4)
    assert (
        "whether the trials look alike depends on whether the event or its opposite is counted"
        in table["flag"][0]
    )
    for word, function in (("odds", km.odds_ratio), ("risk difference", km.risk_difference)):
        row = table[table["measure"].str.startswith(word)].iloc[0]
        main = km.pool(function(KAP5))
        assert row["low"] == pytest.approx(float(main.scale.shown(main.low)), rel=1e-12)
    alike = pooled_measures(KAP5.iloc[[2, 2]].assign(study=["A", "B"]))
    assert alike["flag"].unique().tolist() == [""]
    renamed = KAP5.rename(columns={"events_t": "x"})
    pd.testing.assert_frame_equal(pooled_measures(renamed, opposite="relapse", events_t="x"), table)


def test_the_conclusion_that_depends_on_the_measure_is_flagged() -> None:
    table = pooled_measures(KAP5.iloc[:4], level=0.999)
    assert table["more events under"].nunique() > 1
    assert "the conclusion depends on the measure" in table["flag"][0]


def test_relapse_tells_the_same_side() -> None:
    one = pooled_measures(KAP5.iloc[[0]])
    assert one["more events under"].unique().tolist() == ["treatment"]
    assert one["estimate"][1] < 1


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
    table = sensitivity_table(RICH.iloc[[4]])
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
    table = sensitivity_table(krupitsky, totals="observed")
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
        "worst",
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
