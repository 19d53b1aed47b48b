"""Absolute effects, numbers needed, information, imprecision, GRADE and the summary of findings."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import kapmeta as km
from kapmeta.certainty.absolute_risks import absolute_effects, number_needed_to_treat
from kapmeta.certainty.findings import summary_of_findings
from kapmeta.certainty.grading import certainty_table
from kapmeta.certainty.imprecisions import imprecision, probability_beyond
from kapmeta.certainty.information_sizes import information_size
from kapmeta.citing import cite
from kapmeta.core.bayes.posterior import Mixture
from kapmeta.pooling.bayes import pool_bayes
from kapmeta.pooling.headlines import headline_effect, headline_of
from kapmeta.review.evidence import Evidence, load_evidence

# Five invented tables for tests only; the expected values beside the assertions were made by an
# independent program.
FIVE = pd.DataFrame(
    {
        "study": ["S1", "S2", "S3", "S4", "S5"],
        "year": [1997, 2020, 2007, 2002, 2019],
        "events_t": [73, 6, 13, 6, 12],
        "n_t": [111, 17, 26, 35, 27],
        "events_c": [24, 3, 6, 2, 0],
        "n_c": [100, 23, 27, 35, 28],
    }
)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return load_evidence()


@pytest.fixture(scope="module")
def common() -> km.Pooled:
    return km.pool(km.risk_ratio(FIVE), model="common")


def test_absolute_effect_at_the_median_control_risk(common: km.Pooled) -> None:
    row = absolute_effects(common).to_frame().iloc[1]
    found = [
        1000 * row[name]
        for name in ("treatment", "low", "high", "difference", "difference_low", "difference_high")
    ]
    assert found == pytest.approx(
        [358.0016, 260.6132, 491.7829, 227.5668, 130.1785, 361.3481], abs=6e-5
    )
    assert row["control"] == pytest.approx(0.130434783, abs=1e-9)
    needed = number_needed_to_treat(common).iloc[1]
    assert [needed["number"], needed["benefit_low"], needed["benefit_high"]] == pytest.approx(
        [4.394314, 2.767415, 7.681763], abs=1e-6
    )


def test_baselines_are_the_quartiles_of_the_control_risks(common: km.Pooled) -> None:
    frame = absolute_effects(common).to_frame()
    assert frame["control"].tolist() == pytest.approx([2 / 35, 3 / 23, 6 / 27])
    assert [name.split(":")[0].split(" ")[0] for name in frame["baseline"]] == [
        "low",
        "median",
        "high",
    ]


def test_odds_ratio_uses_the_odds(common: km.Pooled) -> None:
    odds = dataclasses.replace(
        km.pool(km.odds_ratio(FIVE), model="common"),
        estimate=math.log(2.25),
        low=math.log(1.1),
        high=math.log(5),
    )
    row = absolute_effects(odds, baseline=0.22).to_frame().iloc[0]
    assert row["treatment"] == pytest.approx(0.388235294, abs=1e-9)
    needed = number_needed_to_treat(odds, baseline=0.22).iloc[0]
    assert [needed["number"], needed["benefit_low"], needed["benefit_high"]] == pytest.approx(
        [5.944056, 2.738928, 59.55711], rel=1e-6
    )


def test_interval_across_zero_goes_through_infinity(evidence: Evidence) -> None:
    frame = number_needed_to_treat(km.review.registered(evidence, "alcohol-randomised"))
    assert math.isinf(frame["benefit_high"].item())
    assert math.isinf(frame["harm_high"].item())
    assert " to ∞ to NNTH " in frame["nnt"].item()


def test_limit_beyond_one_is_cut_and_marked_but_an_estimate_beyond_one_is_refused(
    common: km.Pooled,
) -> None:
    capped = absolute_effects(common, baseline={"high risk": 0.3}).to_frame()
    assert capped["capped"].item()
    assert capped["high"].item() == 1
    with pytest.raises(
        ValueError, match='cannot hold at baseline "very high": 0.5 x 2.745 is a risk beyond 1'
    ):
        absolute_effects(common, baseline={"very high": 0.5})


def test_an_estimate_beyond_one_at_a_trials_own_baseline_is_cut_and_marked() -> None:
    """New trials must not stop the page: the quartiles of their control risks were chosen by nobody."""
    trials = FIVE.iloc[:4].assign(events_c=[24, 3, 24, 2])
    pooled = km.pool(km.risk_ratio(trials), model="common")
    frame = absolute_effects(
        dataclasses.replace(pooled, estimate=math.log(3), high=math.log(4))
    ).to_frame()
    assert frame["capped"].tolist() == [False, False, True]
    assert frame[["treatment", "high"]].to_numpy().max() <= 1


@pytest.mark.parametrize("baseline", [0, 1, 22, -0.1])
def test_baseline_is_a_proportion(common: km.Pooled, baseline: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        absolute_effects(common, baseline=float(baseline))


def test_infinite_ratio_gives_the_trials_own_risks(evidence: Evidence) -> None:
    row = absolute_effects(km.review.registered(evidence, "cocaine-6-months")).to_frame().iloc[0]
    assert (row["control"], row["treatment"]) == (0, pytest.approx(12 / 27))
    assert 0 < row["difference_low"] < row["difference"] < row["difference_high"] < 1


def test_means_have_no_absolute_risk(evidence: Evidence) -> None:
    with pytest.raises(ValueError, match="mean difference has no absolute risk"):
        absolute_effects(km.review.registered(evidence, "alcohol-days"))


def test_information_of_five_trials(common: km.Pooled) -> None:
    size = information_size(common, risk_ratio=1.5)
    assert size.required == pytest.approx(759.099, abs=5e-4)
    assert (size.participants, size.events) == (429, 145)
    assert size.fraction == pytest.approx(0.565, abs=5e-4)
    looks = size.to_frame()
    assert looks["study"].tolist() == ["S1", "S4", "S3", "S5", "S2"]  # by year
    assert looks["z"].iloc[-1] == pytest.approx(6.23, abs=5e-3)
    assert looks["crossed"].iloc[-1]
    assert looks["z"].iloc[-1] == pytest.approx(common.estimate / common.se, rel=1e-12)
    assert "no evidence that they agree" in size.summary()
    assert "BMC Med Res Methodol" in size.methods_text()


def test_heterogeneity_raises_the_size() -> None:
    pooled = km.pool(km.risk_ratio(km.load_example("bcg")))
    size = information_size(pooled, risk_ratio=1.5)
    assert pooled.tau2 > 0
    assert 0 < size.diversity < 1
    assert size.adjusted == pytest.approx(size.required / (1 - size.diversity))


def test_information_needs_one_effect_from_outside(common: km.Pooled, evidence: Evidence) -> None:
    for wrong in ({}, {"risk_ratio": 2.0, "difference": 0.1}):
        with pytest.raises(ValueError, match="either risk_ratio= or difference="):
            information_size(common, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no size can be computed"):
        information_size(common, risk_ratio=9.0)
    with pytest.raises(ValueError, match="needs the counts of every trial"):
        information_size(km.review.registered(evidence, "alcohol-odds"), risk_ratio=2.0)


def test_imprecision_is_proposed_by_the_thresholds(common: km.Pooled) -> None:
    absolute = absolute_effects(common, baseline=0.130434783)  # 228 (130 to 361) per 1,000
    enough = information_size(common, risk_ratio=2.0)
    few = information_size(common, risk_ratio=1.25)
    assert enough.fraction > 1 > few.fraction
    levels = [
        imprecision(absolute, thresholds=[50], information=enough)[0].levels,
        imprecision(absolute, thresholds=[50], information=few)[0].levels,
        imprecision(absolute, thresholds=[200], information=enough)[0].levels,
        imprecision(absolute, thresholds=[200, 300], information=enough)[0].levels,
    ]
    assert levels == [0, 1, 1, 2]
    wide = absolute_effects(dataclasses.replace(common, low=-2.0, high=2.0), baseline=0.13)
    assert imprecision(wide, thresholds=[50, 200])[0].judgement == "very serious"
    assert imprecision(wide, thresholds=[20, 40, 60])[0].judgement == "extremely serious"
    with pytest.raises(ValueError, match="above 0"):
        imprecision(absolute, thresholds=[0])


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_probability_beyond_a_difference(measure: str) -> None:
    belief = Mixture(np.array([1.0]), np.array([0.3]), np.array([0.2]))
    p0, gain = 0.2, 0.05
    limit = {"RR": math.log(0.25 / 0.2), "OR": math.log(0.25 / 0.75 / (0.2 / 0.8)), "RD": gain}[
        measure
    ]
    found = probability_beyond(belief, gain, baseline=p0, measure=measure)
    assert found == pytest.approx(norm.sf((limit - 0.3) / 0.2), rel=1e-12)
    assert probability_beyond(belief, 0.9, baseline=p0, measure=measure) == 0
    assert probability_beyond(belief, -0.3, baseline=p0, measure=measure) == 1


def test_probability_beyond_takes_a_posterior() -> None:
    posterior = pool_bayes(km.risk_ratio(FIVE.iloc[:3]))
    assert probability_beyond(posterior, 0.0, baseline=0.2) == pytest.approx(
        posterior.probability_above(), rel=1e-9
    )


def test_certainty_is_the_sum_of_what_people_entered(evidence: Evidence) -> None:
    grade = evidence.grade
    table = certainty_table(grade, randomised={"alcohol-not-randomised": False}).set_index(
        "question"
    )
    assert list(table.index) == list(km.review.protocol.QUESTIONS)
    assert table.loc["alcohol-days", ["start", "levels_down", "certainty"]].tolist() == [
        "high",
        2,
        "low",
    ]
    assert table.loc["alcohol-not-randomised", "start"] == "low"
    assert set(table["status"]) == {"provisional"}
    order = ("very low", "low", "moderate", "high")
    for question, row in table.iterrows():
        entered = grade[grade["question"] == question]["levels_down"].sum()
        assert order.index(row["certainty"]) == max(order.index(row["start"]) - entered, 0)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("reason", "", r'reason is empty in row 2 \("alcohol-randomised", inconsistency\)'),
        ("judgement", "bad", 'judgement = "bad" in row 2'),
        ("levels_down", 3, "levels_down = 3 in row 2"),
    ],
)
def test_grade_entries_are_checked(
    evidence: Evidence, column: str, value: object, message: str
) -> None:
    grade = evidence.grade
    grade.loc[1, column] = value
    with pytest.raises(ValueError, match=message):
        certainty_table(grade)


def test_grade_in_data_judges_imprecision_no_milder_than_the_rule(evidence: Evidence) -> None:
    """The entered judgements are a person's; where the rule of thresholds has a proposal they are not kinder."""
    grade = evidence.grade.set_index(["question", "domain"])["levels_down"]
    for question in ("alcohol-randomised", "cocaine-end-of-trial", "opioids-sessions"):
        absolute = absolute_effects(headline_effect(km.review.registered(evidence, question)))
        assert grade[question, "imprecision"] >= imprecision(absolute, thresholds=[50])[0].levels


def test_headline_effect_follows_the_number_of_trials(evidence: Evidence) -> None:
    one = headline_effect(km.review.registered(evidence, "cocaine-end-of-trial"))
    assert (math.exp(one.low), math.exp(one.high)) == pytest.approx(
        (1.599191, 13.689937), rel=1e-6
    )  # score interval
    two = headline_effect(km.review.registered(evidence, "alcohol-odds"))
    assert "Posterior" in repr(two)
    several = km.pool(km.risk_ratio(FIVE))
    assert headline_effect(several) is several


def test_summary_of_findings_holds_every_question(evidence: Evidence) -> None:
    findings = summary_of_findings(evidence)
    table = findings.to_frame()
    assert set(table["question"]) == set(km.review.protocol.QUESTIONS)
    row = table.set_index("question").loc["cocaine-end-of-trial"]
    assert row["treatment"] == pytest.approx(13 / 27)
    assert row["treatment"] - row["control"] == pytest.approx(row["difference"])
    dose = table.set_index("question").loc["opioids-dose"]
    assert math.isnan(dose["estimate"])
    assert "tertiary" in dose["interval"]
    text = findings.to_text()
    assert text.count("\n") == len(table) + 1
    assert all(line.count("\t") == text.splitlines()[0].count("\t") for line in text.splitlines())
    assert findings.to_html().count('<th scope="row">') == len(table)
    assert "nan" not in findings.to_html().lower().replace("midazolam", "")


def test_summary_of_findings_of_ones_own_results(common: km.Pooled) -> None:
    table = summary_of_findings({"mine": common}).to_frame()
    assert len(table) == 3
    assert set(table["certainty"]) == {""}
    assert summary_of_findings(common, baseline=0.2).shown()["Control, per 1,000"].tolist() == [
        "200 (baseline given)"
    ]


def test_cite_names_the_methods_of_a_result() -> None:
    text = cite(km.pool(km.risk_ratio(FIVE)))
    assert text.startswith("The kapmeta developers. kapmeta:")
    assert "Viechtbauer" in text
    assert "Knapp" in text
    assert "Koopman" not in text
    assert cite(style="bibtex").startswith("@software{kapmeta,")
    with pytest.raises(ValueError, match="unknown style"):
        cite(style="apa")


def test_one_trial_with_a_score_interval_is_looked_at_by_its_score_test(evidence: Evidence) -> None:
    """z was nan there, and its boundary could never be crossed."""
    pooled = km.review.registered(evidence, "cocaine-end-of-trial")
    size = information_size(pooled, risk_ratio=2)
    z = size.to_frame()["z"].item()
    assert z == pytest.approx(norm.isf(pooled.p_value / 2), rel=1e-12)
    a, n1, c, n2 = 13, 27, 3, 28  # Pearson's chi-square of the table, by its formula
    chi2 = (n1 + n2) * (a * (n2 - c) - c * (n1 - a)) ** 2 / (n1 * n2 * (a + c) * (n1 + n2 - a - c))
    assert z == pytest.approx(math.sqrt(chi2), rel=1e-9)
    assert "nan" not in size.summary()


def test_every_result_of_this_family_can_be_cited_and_tells_its_methods(evidence: Evidence) -> None:
    pooled = km.review.registered(evidence, "cocaine-end-of-trial")
    several = {
        "Koopman": absolute_effects(headline_effect(pooled)),
        "Wetterslev": information_size(pooled, risk_ratio=2),
        "Guyatt": summary_of_findings(evidence),
        "Bender": headline_of(pooled),
        "Heathers": km.review.audit_claims(evidence),
    }
    for author, result in several.items():
        assert author in cite(result)
        assert re.search(r"https://doi\.org/10\.\d{4}", result.methods_text()), author
        assert "nan" not in result.methods_text()
    with pytest.raises(TypeError, match="a DataFrame names no method to cite"):
        cite(pooled.to_frame())


def test_methods_of_a_headline_with_nothing_beside_it_have_no_empty_list(
    evidence: Evidence,
) -> None:
    text = headline_of(km.review.registered(evidence, "alcohol-days")).methods_text()
    assert "Beside it" not in text
    assert "one trial has no between-study variance" in text


def test_certainty_of_the_evidence_starts_by_the_design_of_each_question(
    evidence: Evidence,
) -> None:
    table = certainty_table(evidence).set_index("question")
    assert table["start"].to_dict() == {
        name: "high" if asked.randomised else "low"
        for name, asked in km.review.protocol.QUESTIONS.items()
    }
    shown = (
        summary_of_findings(evidence).to_frame().drop_duplicates("question").set_index("question")
    )
    assert (shown["certainty"] == table["certainty"]).all()


def test_findings_carry_units_people_and_cut_limits(evidence: Evidence) -> None:
    shown = summary_of_findings(evidence).shown().set_index("Question")
    assert (
        "percentage points" in shown.loc["alcohol: percent of days abstinent, randomised", "Effect"]
    )
    assert (
        shown.loc["alcohol: percent of days abstinent, randomised", "Participants (trials)"]
        == "96 (1)"
    )
    assert (
        shown.loc["alcohol: ketamine v control, randomised, odds", "Participants (trials)"]
        == "136 (2)"
    )
    later = shown.loc["cocaine: ketamine v control, randomised, 6 months"]
    assert later["Effect"].startswith(
        "RR above 3.61, without an upper limit (no event in the control arm)"
    )
    assert shown.loc[
        "cocaine: ketamine v control, randomised, end of trial", "Ketamine arm, per 1,000"
    ].endswith("cut")
    assert not later["Ketamine arm, per 1,000"].endswith("cut")
    assert (
        shown.loc["alcohol: ketamine v control, not randomised", "Number needed"]
        == "not given: not randomised"
    )


def test_a_ratio_of_a_risk_that_nobody_has_makes_no_difference_and_no_nan() -> None:
    nobody = pd.DataFrame(
        {"study": ["A"], "events_t": [5], "n_t": [20], "events_c": [0], "n_c": [20]}
    )
    told = absolute_effects(km.pool(km.odds_ratio(nobody))).summary()
    assert "no difference" in told
    assert "nan" not in told


def test_a_boundary_beyond_every_z_is_printed_as_infinite() -> None:
    one = pd.DataFrame({"study": ["A"], "events_t": [5], "n_t": [20], "events_c": [2], "n_c": [20]})
    told = km.information_size(km.pool(km.risk_ratio(one)), risk_ratio=1.5).summary()
    assert "the boundary, ∞, is not crossed" in told
