"""Designs with several arms and times: permitted contrasts, no patient counted twice, curves and hazard ratios."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.dependent_effects import aggregate
from kapmeta.designs import (
    combine_arms,
    contrasts,
    dose_trend,
    factorial,
    refuse_double_counting,
    sampling_covariance,
)
from kapmeta.follow_up import abstinence_curve, relapse_hazard_ratio, time_abstinent


def close(found: Any, reference: Any, rtol: float = 1e-9, atol: float = 0.0) -> None:
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(reference, float), rtol=rtol, atol=atol)


ARMS = pd.DataFrame(
    {
        "study": ["factorial"] * 4 + ["doses"] * 3,
        "arm": ["K+T", "K+E", "P+T", "P+E", "low", "high", "placebo"],
        "drug": ["ketamine", "ketamine", "placebo", "placebo", "ketamine", "ketamine", "placebo"],
        "dose": [0.8, 0.8, 0.0, 0.0, 0.2, 2.0, 0.0],
        "therapy": ["therapy", "education", "therapy", "education", "therapy", "therapy", "therapy"],
    }
)
CONTROL = {"drug": "placebo", "therapy": "education"}


def test_contrasts_follow_from_the_declaration() -> None:
    found = contrasts(ARMS, reference=CONTROL)
    pairs = {(r.treatment_arm, r.control_arm): r for r in found.itertuples()}
    assert pairs["K+T", "P+T"].question == "drug"  # the dose belongs to the drug and is no second difference
    assert pairs["K+T", "P+T"].held == "therapy therapy"
    assert pairs["K+T", "K+E"].question == "therapy"
    assert pairs["K+T", "P+E"].question == "drug+therapy"
    assert pairs["K+T", "P+E"].package
    assert pairs["high", "low"].question == "dose"  # the larger dose is the treatment
    assert pairs["low", "placebo"].question == "drug"
    assert len(found) == 9
    ketamine = found[(found["study"] == "factorial") & (found["question"] == "drug")]
    first, second = ketamine.index
    assert second not in found["shares_arms_with"][first]  # the two strata share no patients
    package = found.index[found["question"] == "drug+therapy"][0]
    assert first in found["shares_arms_with"][package]


def test_contrasts_refuse_undeclared_arms() -> None:
    with pytest.raises(ValueError, match='drug is missing in row 2 \\("factorial, K\\+E"\\): declare every factor'):
        contrasts(ARMS.assign(drug=["ketamine", None, *ARMS["drug"][2:]]))
    with pytest.raises(ValueError, match='an arm is declared twice in row 2 \\("factorial, K\\+T"\\)'):
        contrasts(ARMS.assign(arm=["K+T", *ARMS["arm"][[0, 2, 3, 4, 5, 6]]]))
    with pytest.raises(ValueError, match="arms permits no contrast"):
        contrasts(ARMS.iloc[[0]])
    unordered = contrasts(ARMS.iloc[:2].assign(therapy=["CBT", "MBRP"]))
    assert unordered["treatment_arm"][0] == "K+T"


def test_contrasts_of_the_projects_own_trials() -> None:
    """The comparisons of data/ are contrasts their arms permit, one question each."""
    evidence = km.load_evidence()
    arms = evidence.arms.rename(columns={"study_id": "study", "arm_id": "arm"})
    arms = arms.assign(dose=arms["dose"].fillna("none"), sessions=arms["sessions"].fillna(0))
    several = arms.groupby("study")["arm"].transform("size") > 1
    found = contrasts(arms[several], factors=["drug", "dose", "sessions"])
    permitted = {(r.study, frozenset((r.treatment_arm, r.control_arm))) for r in found.itertuples()}
    declared = evidence.comparisons
    named = zip(declared["study_id"], declared["treatment_arm"], declared["control_arm"], strict=True)
    assert {(study, frozenset(pair)) for study, *pair in named} <= permitted


def test_an_arm_counts_once() -> None:
    rows = pd.DataFrame({"study": ["A", "A", "B"], "treatment": ["high", "low", "high"], "control": ["placebo"] * 3})
    with pytest.raises(
        ValueError, match='arm "placebo" of "A" would count twice, in rows 1 and 2; combine the other arms'
    ):
        refuse_double_counting(rows)
    refuse_double_counting(rows.iloc[1:])
    refuse_double_counting(rows.assign(control=["p1", "p2", "p"]))


def shared_rows() -> pd.DataFrame:
    """Methods 6.4."""
    counts = {"events_t": [10, 8], "n_t": [24, 24], "events_c": [4, 4], "n_c": [25, 25]}
    names = {"study": ["A", "A"], "comparison_id": [1, 2], "treatment": ["high", "low"], "control": ["placebo"] * 2}
    return pd.DataFrame({**names, **counts})


def test_combined_arms_and_shared_covariance() -> None:
    combined = km.risk_ratio(combine_arms(shared_rows()))
    close([combined.y[0], combined.v[0]], [0.851752210737, 0.244722222222], 1e-10)
    effects = km.risk_ratio(shared_rows())
    covariance = sampling_covariance(effects)
    close(covariance[0, 1], 0.21)
    one = aggregate(effects, covariance=covariance)
    close([one.y[0], one.v[0]], [0.865230087618, 0.24431372549], 1e-10)
    odds = km.odds_ratio(shared_rows())
    close(sampling_covariance(odds)[0, 1], 1 / 4 + 1 / 21)
    nobody = shared_rows().assign(events_c=[0, 0])
    with pytest.raises(ValueError, match="share a control arm whose counts give no covariance of a risk ratio"):
        sampling_covariance(km.risk_ratio(nobody))
    reported = km.generic(
        pd.DataFrame({"study": ["A", "A"], "comparison_id": [1, 2], "treatment": ["x", "y"], "control": ["p"] * 2,
                      "y": [0.1, 0.2], "v": [0.1, 0.1]}),
        measure="RR",
    )  # fmt: skip
    with pytest.raises(ValueError, match="share a control arm whose counts"):
        sampling_covariance(reported)


def test_combining_arms_refuses_what_is_not_one_control() -> None:
    with pytest.raises(ValueError, match='the control "placebo" of "A" has different counts in its rows'):
        combine_arms(shared_rows().assign(events_c=[4, 5]))
    with pytest.raises(ValueError, match='"A" compares the same arm twice with "placebo"'):
        combine_arms(shared_rows().assign(treatment=["high", "high"]))


def test_factorial_trial() -> None:
    """Methods 6.5."""
    rows = pd.DataFrame(
        {"study": ["made up"] * 2, "comparison_id": [1, 2], "treatment": ["K+T", "K+E"], "control": ["P+T", "P+E"],
         "events_t": [14, 11], "n_t": [24, 24], "events_c": [9, 7], "n_c": [23, 25]}
    )  # fmt: skip
    found = factorial(rows)
    close(found.strata.y, [0.39927314, 0.49280712], 1e-7)
    close(found.strata.v, [0.09739476, 0.15209957], 1e-7)
    close([found.combined, found.combined_v**0.5], [0.440312581, 0.244799349], 1e-8)
    close([found.margins, found.margins_v**0.5], [0.446287103, 0.246644143], 1e-8)
    close([found.interaction, found.interaction_se], [-0.0935, 0.4995], 1e-3)
    w = 1 / found.strata.v
    close([found.inverse_variance, found.inverse_variance_v], [w @ found.strata.y / w.sum(), 1 / w.sum()])
    assert 0.8 < found.interaction_p < 0.9
    with pytest.raises(ValueError, match="would count twice"):
        factorial(rows.assign(control=["P+T", "P+T"]))
    with pytest.raises(ValueError, match="two strata of one trial as two rows: got 1 rows"):
        factorial(rows.iloc[:1])
    with pytest.raises(ValueError, match='unknown measure "HR"'):
        factorial(rows, measure="HR")
    with pytest.raises(ValueError, match="a stratum carries no estimate"):
        factorial(rows.assign(events_t=[14, 0], events_c=[9, 0]), zero="none")


def times(**columns: Any) -> pd.DataFrame:
    """Methods 6.2."""
    frame = pd.DataFrame(
        {"study": ["A"] * 3, "comparison_id": [1, 2, 3], "treatment": ["k"] * 3, "control": ["p"] * 3,
         "months": [1, 3, 6],
         "events_t": [18, 14, 10], "n_t": [30] * 3, "events_c": [10, 6, 4], "n_c": [31] * 3}
    )  # fmt: skip
    return frame.assign(**columns)


def test_covariance_of_nested_times_needs_no_correlation() -> None:
    effects = km.risk_ratio(times())
    close(effects.y, [0.62057649, 0.88008768, 0.94908055], 1e-8)
    covariance = sampling_covariance(effects)
    close(np.diagonal(covariance), [0.08996416, 0.17250384, 0.28440860], 1e-7)
    close([covariance[0, 1], covariance[0, 2], covariance[1, 2]], effects.v[[0, 0, 1]])
    backwards = km.risk_ratio(times().iloc[::-1])
    close(sampling_covariance(backwards), covariance[::-1, ::-1])
    rising = km.risk_ratio(times(events_t=[10, 14, 18]))
    with pytest.raises(ValueError, match="share patients in a way that the counts do not settle"):
        sampling_covariance(rising)
    guessed = sampling_covariance(rising, rho=0.8)
    close(guessed[0, 1], 0.8 * np.sqrt(rising.v[0] * rising.v[1]))
    reported = km.generic(times(y=[0.1, 0.2, 0.3], v=0.1).drop(columns=["events_t", "n_c"]), measure="RR")
    with pytest.raises(ValueError, match="give rho, their correlation, and vary it"):
        sampling_covariance(reported)
    apart = km.risk_ratio(times(study=list("ABC")))
    close(sampling_covariance(apart), np.diag(apart.v))
    strata = km.risk_ratio(times(treatment=list("abc"), control=list("xyz"), months=1))
    close(sampling_covariance(strata), np.diag(strata.v))


def test_abstinence_curve() -> None:
    curve = abstinence_curve(times().iloc[[2, 0, 1]])
    frame = curve.to_frame()
    assert frame["months"].tolist() == [1, 3, 6]
    close(np.log(frame["estimate"]), [0.62057649, 0.88008768, 0.94908055], 1e-8)
    assert (frame["band_low"] < frame["low"]).all()
    assert (frame["band_high"] > frame["high"]).all()
    close(curve.covariance[0], np.full(3, 0.08996416), 1e-7)
    assert 1.96 < curve.band_quantile < 2.4
    assert repr(curve) == "FollowUp(A, 3 times)"
    assert "Simultaneous 95 % band" in curve.summary()
    assert curve.alt_text() == curve.summary()
    assert "<table" in curve._repr_html_()
    lost = abstinence_curve(times(events_c=[10, 6, 0]))
    assert "6 months: no estimate, an arm has no events" in lost.summary()
    assert lost.covariance.shape == (2, 2)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"events_t": [10, 14, 18]},
            'events_t rises over time in row 2 \\("A"\\).*continuous abstinence cannot return',
        ),
        ({"n_c": [31, 31, 30]}, "n_c changes over time in row 3"),
        ({"months": [1, 1, 6]}, "a time comes twice in row 2"),
        ({"study": ["A", "A", "B"]}, "a curve is of one trial: got 2"),
        ({"months": [1, None, 6]}, "months is missing in row 2"),
    ],
)
def test_curves_refuse_what_is_not_continuous_abstinence(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        abstinence_curve(times(**columns))


def test_hazard_ratios_and_time_abstinent_are_effects() -> None:
    """Methods 6.7."""
    two = pd.concat([times(), times(study="B", events_t=[30, 30, 30], events_c=[31, 31, 31])])
    found = relapse_hazard_ratio(two)
    close([found.y[0], found.se[0]], [-0.907857338, 0.403635182], 2e-9)
    assert found.measure == "HR"
    assert not found.event_is_good
    assert found.excluded == {1: "nobody relapsed"}
    last = relapse_hazard_ratio(times(), method="one-time")
    close([last.y[0], last.se[0]], [-0.622665889, 0.327360650], 2e-9)
    months = time_abstinent(times(), horizon=6)
    areas = [
        np.trapezoid([1, *shares], [0, 1, 3, 6]) for shares in ([18 / 30, 14 / 30, 10 / 30], [10 / 31, 6 / 31, 4 / 31])
    ]
    difference = areas[0] - areas[1]
    close(months.y[0], difference)
    assert months.measure == "MD"
    with pytest.raises(ValueError, match='"A" was followed for 6 months, less than horizon = 12'):
        time_abstinent(times(), horizon=12)
    with pytest.raises(ValueError, match='unknown method "cox"'):
        relapse_hazard_ratio(times(), method="cox")


def doses(**columns: Any) -> km.Effects:
    frame = pd.DataFrame(
        {"study": ["A", "A", "B", "C"], "comparison_id": range(4), "treatment": ["high", "low", "high", "low"],
         "control": ["placebo"] * 4, "dose_t": [2.0, 0.5, 2.0, 0.5], "dose_c": [0.0, 0.0, 0.2, 0.0],
         "events_t": [12, 9, 14, 8], "n_t": [30, 30, 35, 28], "events_c": [5, 5, 6, 6], "n_c": [30, 30, 35, 29]}
    )  # fmt: skip
    return km.risk_ratio(frame.assign(**columns))


def test_dose_trend() -> None:
    effects = doses()
    covariance = sampling_covariance(effects)
    found = dose_trend(effects, covariance=covariance)
    x = np.array([2.0, 0.5, 1.8, 0.5])
    weight = np.linalg.solve(covariance, x)
    close([found.slope, found.se], [weight @ effects.y / (weight @ x), (weight @ x) ** -0.5])
    assert found.doses == 4
    assert found.k == 4
    assert found.low < found.slope < found.high
    assert np.isnan(found.tau2)
    varying = dose_trend(effects, covariance=covariance, random_slope=True)
    assert varying.tau2 >= 0
    assert varying.se >= found.se * (1 - 1e-9)
    with pytest.raises(ValueError, match="several contrasts that share patients: give covariance=sampling_covariance"):
        dose_trend(effects)
    with pytest.raises(ValueError, match="needs three different doses or more: got 2"):
        dose_trend(doses(dose_t=2.0, dose_c=0.0), covariance=covariance)


@pytest.mark.parametrize("horizon", [0.0, -1.0])
def test_a_horizon_that_is_no_time_is_refused(horizon: float) -> None:
    rows = pd.DataFrame({"study": ["A"], "months": [3], "events_t": [8], "n_t": [20], "events_c": [5], "n_c": [20]})
    with pytest.raises(ValueError, match="horizon must be above 0, in months"):
        km.time_abstinent(rows, horizon=horizon)
