"""Cells of a summary of findings, levels of imprecision and diversity, from values by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.certainty import imprecision
from kapmeta.certainty.imprecisions import probability_beyond
from kapmeta.core.bayes.posterior import Mixture
from kapmeta.pooling.headlines import headline_effect
from tests.helpers.example_calls import trials

_NOT_GIVEN = "not given: not randomised"


def reported(low: float, high: float, measure: str = "RR", *, good: bool = True) -> km.Pooled:
    """Return one reported ratio with these limits; the estimate is their geometric mean."""
    table = pd.DataFrame(
        {"study": ["A"], "estimate": [math.sqrt(low * high)], "low": [low], "high": [high]}
    )
    effects = km.reported(
        table,
        measure=measure,
        event="recovery",
        event_is_good=good,
        treatment="drug",
        control="placebo",
    )
    return km.pool(effects)


def cells(pooled: km.Pooled, baseline: float | None) -> list[str]:
    """Return the cells of numbers of the one row of a summary of findings."""
    row = km.summary_of_findings(pooled, baseline=baseline).shown().iloc[0]
    return row["Effect":"Number needed"].tolist()


def test_each_cell_has_the_estimate_first_and_then_its_limits() -> None:
    """RR 2 (1.25 to 3.2) of 100 and 400 per 1,000; 3.2 times 400 is cut at 1,000."""
    upward = reported(1.25, 3.2)
    assert cells(upward, 0.1) == [
        "RR 2.00 (1.25 to 3.20), interval as reported",
        "100 (baseline given)",
        "200 (125 to 320)",
        "+100 (+25 to +220)",
        "NNTB 10.0 (4.5 to 40.0)",
    ]
    assert cells(upward, 0.4)[2:] == [
        "800 (500 to 1000), limit cut",
        "+400 (+100 to +600)",
        "NNTB 2.5 (1.7 to 10.0)",
    ]
    downward = reported(0.3125, 0.8)
    assert cells(downward, 0.4) == [
        "RR 0.50 (0.31 to 0.80), interval as reported",
        "400 (baseline given)",
        "200 (125 to 320)",
        "-200 (-275 to -80)",
        "NNTH 5.0 (3.6 to 12.5)",
    ]


def test_a_ratio_without_counts_has_no_risks_of_its_own() -> None:
    assert cells(reported(1.25, 3.2), None) == [
        "RR 2.00 (1.25 to 3.20), interval as reported",
        "–",
        "–",
        "–",
        "not given: no trial has counts of its control group",
    ]
    summary = km.summary_of_findings(reported(1.25, 3.2))
    assert summary.shown()["Participants (trials)"].item() == "(1)"  # nobody was counted
    risks = ["control", "treatment", "difference", "treatment_low", "treatment_high"]
    assert summary.to_frame()[[*risks, "difference_low", "difference_high"]].isna().all(axis=None)


def test_people_are_counted_before_trials_and_no_number_needed_without_randomisation() -> None:
    for randomised, needed in ((True, "NNTB 4.3 (1.8 to 21.2)"), (False, _NOT_GIVEN)):
        pooled = km.pool(km.risk_ratio(trials().assign(randomised=randomised, event_is_good=True)))
        row = km.summary_of_findings(pooled, baseline=0.2).shown().iloc[0]
        assert row["Participants (trials)"] == "431 (5)"
        assert row["Treatment arm, per 1,000"] == "434 (247 to 761)"
        assert row["Difference, per 1,000"] == "+234 (+47 to +561)"
        assert row["Number needed"] == needed


def test_counts_of_a_tertiary_source_give_no_number_at_all() -> None:
    result = km.review.answer(km.load_evidence(), "opioids-dose")
    summary = km.summary_of_findings(result)
    assert summary.to_frame()[["estimate", "low", "high"]].isna().all(axis=None)
    assert cells(result, None) == [
        "refused: the counts are known only from a tertiary source", "–", "–", "–", "–"
    ]  # fmt: skip
    assert summary.summary().endswith("before the primary report has been read.")


def test_the_methods_say_where_each_design_starts_and_who_judged() -> None:
    text = km.summary_of_findings(reported(1.25, 3.2)).methods_text()
    assert "starting at high for randomised and at low for other evidence" in text
    assert "no domain was judged by software" in text
    assert "applied to control risks of the trials, held fixed" in text


def levels(pooled: km.Pooled, fraction: float, thresholds: tuple[float, ...] = (5.0,)) -> int:
    """Return the levels proposed where this share of the information size is there."""
    size = dataclasses.replace(
        km.information_size(km.pool(km.risk_ratio(trials())), risk_ratio=2.0), fraction=fraction
    )
    absolute = km.absolute_effects(pooled, baseline=0.2)
    (found,) = imprecision(absolute, thresholds=thresholds, information=size)
    return found.levels


@pytest.mark.parametrize("measure, widest", [("RR", 3.0), ("OR", 2.5), ("PETO", 2.5)])
def test_a_ratio_of_limits_above_the_widest_takes_two_levels(measure: str, widest: float) -> None:
    """The screening rule: 3 for a risk ratio, 2.5 for odds ratios, upper over lower limit."""
    for times, expected in ((widest - 0.1, 1), (widest + 0.1, 2)):
        for low in (1.2, 0.9 / times):  # of more and of fewer events
            assert levels(reported(low, low * times, measure), 0.5) == expected
            assert levels(reported(low, low * times, measure), 1.0) == 0


def test_a_measure_without_a_screening_rule_takes_one_level() -> None:
    assert levels(reported(1.2, 12.0, "HR"), 0.5) == 1
    strong = trials().assign(events_t=[30, 26, 45, 22, 37])
    assert levels(km.pool(km.risk_difference(strong)), 0.5) == 1


def test_thresholds_crossed_are_counted_whatever_their_order() -> None:
    """RR 1.1 to 2 of 200 per 1,000: 20 to 200; RR 0.5 to 2: -100 to 200."""
    up, across = reported(1.1, 2.0), reported(0.5, 2.0)
    for sides, of_up, of_across in (
        ((50.0,), 1, 2),
        ((150.0,), 1, 1),
        ((10.0,), 0, 2),
        ((60.0, 30.0), 2, 3),
        ((150.0, 50.0), 2, 2),
        ((250.0, 10.0), 0, 2),
        ((150.0, 100.5, 50.0), 2, 2),
    ):
        assert levels(up, 1.0, sides) == of_up, sides
        assert levels(across, 1.0, sides) == of_across, sides


def test_a_threshold_that_a_limit_meets_is_not_crossed() -> None:
    """Both limits are the thresholds themselves: 50 and 250 per 1,000."""
    table = pd.DataFrame({"study": ["A"], "estimate": [0.15], "low": [0.05], "high": [0.25]})
    pooled = km.pool(km.reported(table, measure="RD", event="recovery", event_is_good=True))
    row = km.absolute_effects(pooled, baseline=0.2).to_frame().iloc[0]
    assert_allclose(row[["difference_low", "difference_high"]].astype(float), [0.05, 0.25])
    assert levels(pooled, 1.0, (50.5,)) == levels(pooled, 1.0, (249.5,)) == 1
    assert levels(pooled, 1.0, (49.5,)) == levels(pooled, 1.0, (250.5,)) == 0


def test_the_reason_gives_the_share_of_the_information_size() -> None:
    size = km.information_size(km.pool(km.risk_ratio(trials())), risk_ratio=2.0)
    for high, fraction, ending in (
        (3.0, 0.9, "; no threshold is crossed; 90 % of the information size is there"),
        (4.8, 0.995, "; 100 % of the information size is there; the relative interval is wide"),
        (4.8, 1.0, "; no threshold is crossed"),
    ):
        absolute = km.absolute_effects(reported(1.2, high), baseline=0.2)
        given = dataclasses.replace(size, fraction=fraction)
        (found,) = imprecision(absolute, thresholds=[5.0], information=given)
        assert found.reason.endswith(ending)


def test_differences_at_the_ends_of_their_range_have_a_probability() -> None:
    """No risk lies above 1 or below 0."""
    belief = Mixture(np.array([1.0]), np.array([0.3]), np.array([0.2]))
    for difference, baseline, expected in (
        (-1.0, 0.5, 1.0), (1.0, 0.5, 0.0), (0.5, 0.5, 0.0), (-0.5, 0.5, 1.0)
    ):  # fmt: skip
        found = probability_beyond(belief, difference, baseline=baseline, measure="RR")
        assert found == expected
    with pytest.raises(ValueError, match="got 50; 0.05 is 50 more per 1,000"):
        probability_beyond(belief, 50, baseline=0.5, measure="RR")
    with pytest.raises(ValueError, match="got nan$"):
        probability_beyond(belief, math.nan, baseline=0.5, measure="RR")


# Trials A and B have log risk ratios log 4 and -log 4 of variance 1/40 + 1/10 - 2/100 = 0.105,
# trial C has 0 of variance 1/20 + 1/20 - 2/100 = 0.08: their mean is 0 with any weights.
OPPOSITE = pd.DataFrame(
    {
        "study": list("ABC"),
        "events_t": [40, 10, 20],
        "n_t": 100,
        "events_c": [10, 40, 20],
        "n_c": 100,
    }
)


def test_diversity_is_the_share_of_the_variance_between_trials() -> None:
    """Two trials of one variance v have D2 = tau2 / (tau2 + v), with tau2 + v = 2 (log 4)^2."""
    two = km.information_size(km.pool(km.risk_ratio(OPPOSITE.head(2))), risk_ratio=1.5)
    assert_allclose(two.diversity, 1 - 0.105 / (2 * math.log(4) ** 2), rtol=1e-7)
    assert_allclose(two.adjusted / two.required, 2 * math.log(4) ** 2 / 0.105, rtol=1e-7)
    assert_allclose(two.fraction * two.adjusted, 400, rtol=1e-12)


def test_diversity_of_unequal_trials_compares_two_sums_of_weights() -> None:
    """DerSimonian-Laird: Q = 2 w (log 4)^2, tau2 = (Q - 2) / (S1 - S2 / S1)."""
    w, v = 1 / 0.105, 1 / 0.08
    total, squares = 2 * w + v, 2 * w**2 + v**2
    tau2 = (2 * w * math.log(4) ** 2 - 2) / (total - squares / total)
    share = 1 - (2 / (0.105 + tau2) + 1 / (0.08 + tau2)) / total
    size = km.information_size(km.pool(km.risk_ratio(OPPOSITE), tau2="DL"), risk_ratio=1.5)
    assert_allclose(size.diversity, share, rtol=1e-12)
    assert_allclose(size.adjusted, size.required / (1 - share), rtol=1e-12)


def test_diversity_of_one_trial_is_unknown_and_changes_nothing() -> None:
    size = km.information_size(km.pool(km.risk_ratio(OPPOSITE.head(1))), risk_ratio=1.5)
    assert math.isnan(size.diversity)
    assert size.adjusted == size.required


def by_score(trial: pd.DataFrame) -> km.Pooled:
    """Return the risk ratio of one trial with its score interval."""
    pooled = headline_effect(km.pool(km.risk_ratio(trial)))
    assert isinstance(pooled, km.Pooled)
    return pooled


def test_the_score_deviate_of_one_trial_has_the_sign_of_its_effect() -> None:
    """Pearson's chi-square of 40/100 against 10/100: 200 (40 90 - 10 60)^2 / (100 100 50 150)."""
    pearson = math.sqrt(200 * (40 * 90 - 10 * 60) ** 2 / (100 * 100 * 50 * 150))
    for row, sign in ((0, 1), (1, -1)):
        one = by_score(OPPOSITE.iloc[[row]])
        size = km.information_size(one, risk_ratio=1.5)
        assert_allclose(size.to_frame()["z"].item(), sign * pearson, rtol=1e-9)
        assert size.to_frame()["crossed"].item() == (
            abs(pearson) > size.to_frame()["boundary"].item()
        )


def test_a_trial_that_proves_nothing_keeps_the_sign_of_its_estimate() -> None:
    """5/20 against 2/20: its lower limit lies below no effect, its estimate above."""
    row = {"study": ["A"], "events_t": [5], "n_t": [20], "events_c": [2], "n_c": [20]}
    pooled = by_score(pd.DataFrame(row))
    assert pooled.low < 0 < pooled.estimate
    pearson = math.sqrt(40 * (5 * 18 - 2 * 15) ** 2 / (20 * 20 * 7 * 33))
    z = km.information_size(pooled, risk_ratio=1.5).to_frame()["z"].item()
    assert_allclose(z, pearson, rtol=1e-9)


def test_an_effect_may_be_a_ratio_below_one() -> None:
    """4 (z_.975 + z_.8)^2 p (1 - p) / d^2 with risks 0.2 and 0.1."""
    size = km.information_size(km.pool(km.risk_ratio(OPPOSITE)), risk_ratio=0.5, baseline=0.2)
    assert_allclose(size.required, 4 * 7.848879734 * 0.15 * 0.85 / 0.01, rtol=1e-8)


def test_two_trials_are_two_looks() -> None:
    """A alone: log 4 over its standard error; A and B by the common effect: 0."""
    pooled = km.pool(km.risk_ratio(OPPOSITE.head(2)), model="common")
    looks = km.information_size(pooled, risk_ratio=1.5).to_frame()
    assert looks["participants"].tolist() == [200, 400]
    assert_allclose(looks["z"], [math.log(4) / math.sqrt(0.105), 0], rtol=1e-9, atol=1e-12)


def test_a_size_needs_an_effect_and_proper_error_rates() -> None:
    pooled = km.pool(km.risk_ratio(OPPOSITE))
    with pytest.raises(ValueError, match="a treated risk of 0.2: no size can be computed"):
        km.information_size(pooled, difference=0.0, baseline=0.2)
    for name in ("alpha", "power"):
        with pytest.raises(ValueError, match=name):
            km.information_size(pooled, risk_ratio=1.5, **{name: 5.0})


def test_one_trial_without_counts_leaves_no_information_size() -> None:
    pooled = km.pool(km.risk_ratio(OPPOSITE))
    table = pooled.effects.table.assign(events_c=[10, math.nan, 20])
    partly = dataclasses.replace(pooled, effects=dataclasses.replace(pooled.effects, table=table))
    with pytest.raises(ValueError, match="needs the counts of every trial"):
        km.information_size(partly, risk_ratio=1.5, baseline=0.2)


def test_a_sentence_follows_the_estimate_and_the_certainty_has_its_cell() -> None:
    """RR 1.25 (0.5 to 3.125) lies above 1, its lower limit below."""
    grade = pd.DataFrame(
        {
            "question": ["mine"],
            "domain": ["imprecision"],
            "reason": ["few"],
            "judgement": ["serious"],
            "levels_down": [1],
            "status": ["agreed"],
        }
    )
    for low, high, more in ((0.5, 3.125, "greater"), (0.32, 2.0, "smaller")):
        summary = km.summary_of_findings({"mine": reported(low, high)}, grade=grade)
        assert f"Recovery is probably {more} with drug than with placebo." in summary.summary()
        assert summary.shown()["Certainty"].item() == "⊕⊕⊕◯ moderate (agreed)"
    without = km.summary_of_findings({"mine": reported(0.5, 3.125)})
    assert without.shown()["Certainty"].item() == "not judged"


def test_tables_begin_with_the_question_and_have_no_index() -> None:
    summary = km.summary_of_findings({"mine": reported(1.25, 3.2)})
    assert summary.to_text().splitlines()[0].startswith("Question\tParticipants")
    assert summary.to_text().splitlines()[1].startswith("mine\t(1)\tRR 2.00")
    assert '<tbody><tr><th scope="row">mine</th><td>(1)</td>' in summary.to_html()
