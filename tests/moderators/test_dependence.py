"""Dependent effects: constructed covariances, multilevel and robust tests, aggregation."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.effects import dependence, survival
from kapmeta.moderators.cluster_robust import robust
from kapmeta.moderators.dependence import aggregate, multilevel, multivariate
from kapmeta.moderators.regression import meta_regression
from tests.helpers.places import REFERENCE

# metafor 5.1.12 and clubSandwich 0.5.8 on R 4.2.2: tests/reference/13_rma_mv_rve.json.gz
VALUES = REFERENCE / "13_rma_mv_rve.json.gz"
RECORDS: list[dict[str, Any]] = json.loads(gzip.decompress(VALUES.read_bytes()))["records"]
SCHOOLS = RECORDS[0]["inputs"]


def close(found: Any, reference: Any, rtol: float = 1e-9, atol: float = 0.0) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(reference, float), rtol=rtol, atol=atol
    )


def schools() -> km.Effects:
    frame = pd.DataFrame({name: SCHOOLS[name] for name in ("district", "school", "year")})
    frame["study"] = [f"{a}-{b}" for a, b in zip(frame["district"], frame["school"], strict=True)]
    return km.generic(frame.assign(y=SCHOOLS["yi"], v=SCHOOLS["vi"]), y="y", v="v")


def nine() -> km.Effects:
    """Return nine effects of four studies."""
    frame = pd.DataFrame(
        {
            "study": list("AAABBCCCD"),
            "comparison_id": range(9),
            "months": [1, 3, 6, 1, 6, 3, 6, 12, 6],
            "y": [0.62, 0.90, 0.75, -0.15, 0.40, 1.30, 1.05, 1.60, 0.10],
            "v": [0.06, 0.08, 0.12, 0.15, 0.20, 0.10, 0.14, 0.25, 0.30],
        }
    )
    return km.generic(frame, y="y", v="v", measure="RR")


def test_nested_times_have_the_covariance_of_their_counts() -> None:
    """Methods 6.2, and by simulation of nested counts."""
    v = np.array([0.08996416, 0.17250384, 0.28440860])
    covariance = dependence.nested_times(v, np.array([1.0, 3.0, 6.0]))
    correlation = covariance / np.sqrt(np.outer(v, v))
    close(correlation[[0, 0, 1], [1, 2, 2]], [0.72216324, 0.56242342, 0.77880372], 2e-8)
    backwards = dependence.nested_times(v[::-1], np.array([6.0, 3.0, 1.0]))
    close(backwards, covariance[::-1, ::-1])
    rng = np.random.default_rng(7)
    early = rng.binomial(60, [[0.6], [0.35]], size=(2, 200_000))
    late = rng.binomial(early, [[0.35 / 0.6], [0.2 / 0.35]])
    logs = np.log(np.maximum(early, 1)), np.log(np.maximum(late, 1))
    change = np.cov(logs[0][0] - logs[0][1], logs[1][0] - logs[1][1])
    close(
        change[0, 1], change[0, 0], 0.05
    )  # covariance with the later time = variance at the earlier


def test_weights_of_a_constant_effect_over_nested_times_are_one_and_zero() -> None:
    """Methods 6.2: later times add nothing to what the first says of a constant risk ratio."""
    v = np.array([0.08996416, 0.17250384, 0.28440860])
    covariance = dependence.nested_times(v, np.array([1.0, 3.0, 6.0]))
    weight = np.linalg.solve(covariance, np.ones(3))
    close(weight / weight.sum(), [1.0, 0.0, 0.0], atol=1e-12)
    mean, variance = dependence.generalised_mean(
        np.array([0.62057649, 0.88008768, 0.94908055]), covariance
    )
    close([mean, variance], [0.62057649, 0.08996416])


def test_shared_control_arms() -> None:
    """Methods 6.4: 10/24 and 8/24 against 4/25."""
    trials = pd.DataFrame(
        {
            "study": ["A", "B"],
            "events_t": [10, 8],
            "n_t": [24, 24],
            "events_c": [4, 4],
            "n_c": [25, 25],
        }
    )
    effects = km.risk_ratio(trials)
    close(effects.y, [0.957112726, 0.733969175], 2e-9)
    close(effects.v, [0.268333333, 0.293333333], 2e-9)
    shared = dependence.shared_control("RR", dependence.Control(events=4, n=25))
    close(shared, 0.21)
    mean, variance = dependence.generalised_mean(
        effects.y, np.array([[effects.v[0], shared], [shared, effects.v[1]]])
    )
    close([mean, variance], [0.865230087618, 0.24431372549], 1e-10)
    control = dependence.Control(events=4, n=25, sd=2.0, g1=0.5, g2=0.3, total=73)
    p = 4 / 25
    expected = {
        "OR": 1 / 4 + 1 / 21,
        "RD": p * (1 - p) / 25,
        "MD": 4 / 25,
        "SMD": 1 / 25 + 0.15 / 146,
        "AS": 1 / 100,
    }
    for measure, value in expected.items():
        close(dependence.shared_control(measure, control), value)
    assert np.isnan(dependence.shared_control("RR", dependence.Control(events=0, n=25)))
    assert set(dependence.SHARED_CONTROL) == {"RR", "OR", "RD", "AS", "MD", "SMD"}


def test_the_covariance_of_a_shared_control_is_the_variance_it_brings_to_both() -> None:
    rng = np.random.default_rng(3)
    n, rate = 400, 0.4
    control, first, second = rng.binomial(n, [[rate], [0.6], [0.5]], size=(3, 100_000))
    for measure, scale in (
        ("RR", np.log),
        ("RD", lambda p: p),
        ("OR", lambda p: np.log(p / (1 - p))),
    ):
        a, b, c = (scale(x / n) for x in (first, second, control))
        theory = dependence.shared_control(measure, dependence.Control(events=rate * n, n=n))
        close(np.cov(a - c, b - c)[0, 1], theory, 0.05)


def test_survival_from_nested_counts() -> None:
    """Methods 6.7."""
    treated, control = np.array([18.0, 14.0, 10.0]), np.array([10.0, 6.0, 4.0])
    table = survival.life_table(treated, 30, control, 31)
    close([table.excess, table.information], [-5.572365340, 6.137930602], 1e-9)
    close([table.y, table.v**0.5], [-0.907857338, 0.403635182], 2e-9)
    swapped = survival.life_table(control, 31, treated, 30)
    close([swapped.y, swapped.v], [-table.y, table.v])
    y, v = survival.one_time(10, 30, 4, 31)
    close([y, v**0.5], [-0.622665889, 0.327360650], 2e-9)
    assert np.isnan(survival.one_time(0, 30, 4, 31)).all()
    nobody = survival.life_table(np.array([30.0]), 30, np.array([31.0]), 31)
    assert np.isnan(nobody.y)


def test_time_abstinent_is_the_area_under_the_curve() -> None:
    time, counts = np.array([1.0, 3.0, 6.0]), np.array([18.0, 14.0, 10.0])
    mean, variance = survival.event_free_time(time, counts, 30, 6.0)
    close(mean, np.trapezoid([1, 18 / 30, 14 / 30, 10 / 30], [0, 1, 3, 6]))
    assert 0 < variance < 6**2 / 30
    shorter, _ = survival.event_free_time(time, counts, 30, 2.0)
    close(shorter, np.trapezoid([1, 18 / 30, 16 / 30], [0, 1, 2]))
    rng = np.random.default_rng(1)
    draws = rng.multinomial(30, [12 / 30, 4 / 30, 4 / 30, 10 / 30], size=100_000)
    kept = 30 - np.cumsum(draws[:, :3], axis=1)
    areas = np.trapezoid(np.column_stack([np.full(len(kept), 30), kept]) / 30, [0, 1, 3, 6], axis=1)
    close(areas.var(), variance, 0.03)


def test_simultaneous_band() -> None:
    v = np.array([0.08996416, 0.17250384, 0.28440860])
    quantile = survival.simultaneous_quantile(v)
    rng = np.random.default_rng(1)
    path = np.cumsum(rng.normal(size=(400_000, 3)) * np.sqrt(np.diff(v, prepend=0)), axis=1)
    assert abs((np.abs(path) <= quantile * np.sqrt(v)).all(axis=1).mean() - 0.95) < 0.0015
    close(survival.simultaneous_quantile(v * 1e6), quantile)
    close(survival.simultaneous_quantile(v[:1]), 1.959963984540054)
    assert 1.96 < survival.simultaneous_quantile(np.array([0.1, 0.1000001, 0.1000002])) < 2.1


def test_multilevel_front_agrees_with_metafor() -> None:
    effects = schools()
    for i, ci in ((0, "wald"), (1, "t"), (4, "contain")):
        expected = RECORDS[i]["results"]
        found = multilevel(effects, ["district", "school"], ci=ci)
        close(found.components, expected["sigma2"], 1e-6)
        close([found.estimate[0], found.se[0]], [expected["beta"][0], expected["se"][0]], 1e-7)
        close(
            [found.low[0], found.high[0], found.p_value[0]],
            [expected[n][0] for n in ("ci_lb", "ci_ub", "pval")],
            1e-6,
        )
        close([found.q, found.q_p_value], [expected["QE"], expected["QEp"]], 1e-7)
        prediction = found.predict()
        close(
            [prediction["prediction_low"][0], prediction["prediction_high"][0]],
            [expected["pi_lb"][0], expected["pi_ub"][0]],
            1e-6,
        )
    expected = RECORDS[5]["results"]
    found = multilevel(effects, ["district", "school"], moderators=["year"], ci="wald")
    close(found.estimate, expected["beta"], 1e-6)
    assert found.omnibus is not None
    close([found.omnibus.statistic, found.omnibus.p_value], [expected["QM"], expected["QMp"]], 1e-6)
    assert multilevel(effects, ["district", "school"], moderators=["year"]).df.tolist() == [
        9.0,
        54.0,
    ]
    rows = found.predict({"year": [1976, 2000]})
    close(rows["y"], found.estimate[0] + found.estimate[1] * np.array([1976, 2000]))
    assert found.q_df == 54
    ml = multilevel(effects, ["district", "school"], method="ML")
    close(
        [ml.loglik, ml.loglik_restricted],
        [RECORDS[2]["results"][n] for n in ("ll_ML", "ll_REML")],
        1e-7,
    )


def test_multilevel_describes_itself() -> None:
    found = multilevel(schools(), ["district", "school"])
    assert repr(found) == "Multilevel(GEN, 56 effects, district, district/school)"
    text = found.summary()
    assert "56 dependent effects" in text
    assert "district 0.065, district/school 0.033" in text
    assert found.alt_text() == text
    assert "REML" in found.methods_text()
    assert "<table" in found._repr_html_()
    assert found.k == 56
    intervals = found.component_intervals()
    close(
        [intervals["low"][0], intervals["high"][0]],
        [0.02223969068841498, 0.20724161922307327],
        1e-8,
    )
    ratios = multilevel(nine(), rho=0.8)
    close(ratios.to_frame()["estimate"], np.exp(ratios.estimate))
    assert "4 groups cannot tell the variance" in ratios.summary()
    regressed = multilevel(nine(), rho=0.8, moderators=["months"])
    assert "regressed on ~ months" in regressed.summary()


def test_results_do_not_change_once_made() -> None:
    fit = multilevel(nine(), rho=0.8)
    for array in (
        fit.estimate,
        fit.sampling,
        fit.fit.total,
        robust(fit).se,
        meta_regression(schools(), ["year"]).se,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_front_covariances() -> None:
    effects = nine()
    v, cluster = effects.v, np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    constant = dependence.correlated(v, cluster, 0.8)
    given = multilevel(effects, covariance=constant)
    close(given.estimate, multilevel(effects, rho=0.8).estimate)
    moving = multilevel(effects, rho=0.8, time="months").sampling
    close(moving[0, 2], 0.8**5 * np.sqrt(v[0] * v[2]))
    close(np.diagonal(moving), v)
    assert moving[0, 3] == 0
    close(multilevel(effects).sampling, np.diag(v))


def test_two_outcomes_on_the_front() -> None:
    y = [0.47, -0.32, 0.20, -0.60, 0.40, -0.12, 0.26, -0.31, 0.56, -0.39]
    v = [0.0075, 0.0077, 0.0057, 0.0008, 0.0021, 0.0014, 0.0029, 0.0015, 0.0148, 0.0304]
    shared = [0.0030, 0.0009, 0.0007, 0.0009, 0.0072]
    frame = pd.DataFrame(
        {"study": np.repeat(list("PLKRB"), 2), "comparison_id": range(10), "y": y, "v": v}
    )
    frame["outcome"] = ["PD", "AL"] * 5
    covariance = np.diag(np.array(v))
    for i, c in enumerate(shared):
        covariance[2 * i, 2 * i + 1] = covariance[2 * i + 1, 2 * i] = c
    found = multivariate(km.generic(frame, y="y", v="v"), "outcome", covariance=covariance)
    assert found.names_of_components == ("AL", "PD with AL", "PD")
    assert found.design.names == ("outcome[AL]", "outcome[PD]")
    close(found.estimate, [-0.3392, 0.3534], 0, 5e-5)  # metafor's published fit
    assert found.df.tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match="profile intervals are for variances of levels"):
        found.component_intervals()
    twice = km.generic(frame.assign(outcome="PD"), y="y", v="v")
    with pytest.raises(ValueError, match="outcome PD comes twice for one study in row 2"):
        multivariate(twice, "outcome", rho=0.5)


def test_robust_front_agrees_with_r() -> None:
    effects = schools()
    fit = multilevel(effects, ["district", "school"])
    expected = RECORDS[14]["results"]
    found = robust(fit, "district")
    close(
        [found.estimate[0], found.se[0], found.df[0], found.p_value[0]],
        [expected[n][0] for n in ("beta", "se", "df", "p")],
        1e-6,
    )
    expected = RECORDS[32]["results"]
    single = robust(meta_regression(effects, np.ones((56, 1))), "district")
    close([single.se[0], single.df[0]], [expected["se"][0], expected["df"][0]])
    assert single.clusters == 11
    assert single.interpretable.all()
    assert repr(single) == "RobustTests(CR2, 11 clusters by district)"
    assert "Satterthwaite" in single.methods_text()
    assert "<table" in single._repr_html_()
    assert single.alt_text() == single.summary()
    assert (single.low < single.high).all()


def test_correlated_effects_on_the_front_say_when_they_are_not_interpretable() -> None:
    found = robust(nine(), rho=0.8)
    close([found.estimate[0], found.se[0]], [0.626576979, 0.271003120])  # robumeta 2.0
    assert found.tau2 > 0
    assert not found.interpretable[0]
    assert "their p-values are not interpretable" in found.summary()


def test_aggregation() -> None:
    effects = nine()
    one = aggregate(effects, rho=0.8)
    assert one.labels == ("A", "B", "C", "D")
    assert one.measure == "RR"
    assert one.table["n_effects"].tolist() == [3, 2, 3, 1]
    pooled = km.pool(one, ci="wald")
    inner = multilevel(effects, "study", rho=0.8)
    close([pooled.estimate, pooled.tau2], [inner.estimate[0], inner.components.iloc[0]], 1e-8)
    plain = aggregate(effects, rho=0.8, weighted=False)
    close(plain.y[1], 0.125)
    close(plain.v[1], (0.15 + 0.20 + 2 * 0.8 * np.sqrt(0.15 * 0.20)) / 4)
    with pytest.raises(ValueError, match="share patients and are not independent: give rho"):
        aggregate(effects)


def changed(**columns: Any) -> km.Effects:
    return km.generic(nine().table.assign(**columns), y="y", v="v", measure="RR")


def test_refusals() -> None:
    effects = nine()
    assert not dependence.is_positive_definite(np.diag([1.0, 0.0]))
    nothing = km.risk_ratio(
        pd.DataFrame({"study": ["A"], "events_t": [0], "n_t": [5], "events_c": [0], "n_c": [5]}),
        zero="drop",
    )
    with pytest.raises(
        ValueError, match="no study has an estimate, so there is nothing to analyse"
    ):
        multilevel(nothing)
    with pytest.raises(
        ValueError, match='no column "district" among the effects; there are: study'
    ):
        multilevel(effects, ["district"])
    with pytest.raises(
        ValueError, match="rho must lie between -1 and 1: got 1; with 1 the covariance is singular"
    ):
        multilevel(effects, rho=1.0)
    with pytest.raises(ValueError, match="time needs rho"):
        multilevel(effects, time="months")
    with pytest.raises(ValueError, match="give either covariance or rho, not both"):
        multilevel(effects, rho=0.5, covariance=np.diag(effects.v))
    with pytest.raises(ValueError, match="9 x 9: got \\(2, 2\\)"):
        multilevel(effects, covariance=np.eye(2))
    with pytest.raises(
        ValueError,
        match="covariance disagrees with the variance in row 1 .*its diagonal is 1, the variance",
    ):
        multilevel(effects, covariance=np.eye(9))
    lopsided = np.diag(effects.v)
    lopsided[0, 1] = 0.01
    with pytest.raises(ValueError, match="covariance is not symmetric"):
        multilevel(effects, covariance=lopsided)
    gap = np.diag(effects.v)
    gap[3, 3] = np.nan
    with pytest.raises(ValueError, match='covariance is not finite in row 4 \\("B"\\)'):
        multilevel(effects, covariance=gap)
    singular = np.diag(effects.v)
    singular[0, 1] = singular[1, 0] = np.sqrt(effects.v[0] * effects.v[1])
    with pytest.raises(ValueError, match='the sampling covariance of "A", "A" is singular'):
        multilevel(effects, covariance=singular)
    with pytest.raises(ValueError, match='level "lab" has one group'):
        multilevel(changed(lab="x"), ["lab", "effect"])
    with pytest.raises(
        ValueError, match='level "team" has one group in every group of the level before it'
    ):
        multilevel(changed(team=list("aaabbcccd")), ["study", "team"])
    with pytest.raises(ValueError, match="team is empty in row 2"):
        multilevel(changed(team=["a", None, *"abbcccd"]), ["team", "effect"])
    with pytest.raises(ValueError, match='unknown interval "hksj".*; use one of: wald, t, contain'):
        multilevel(effects, ci="hksj")
    with pytest.raises(ValueError, match='unknown method "DL"'):
        multilevel(effects, method="DL")
    with pytest.raises(TypeError, match="effects must come from"):
        multilevel("x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="4 groups leave no degrees of freedom for 4 coefficients"):
        multilevel(
            effects.select([0, 1, 3, 4, 5, 6, 8, 2, 7]),
            moderators=pd.DataFrame(np.eye(9)[:, :3] + np.eye(9)[:, 3:6]),
        )


def test_robust_refusals() -> None:
    effects = nine()
    with pytest.raises(
        ValueError,
        match="clusters are fewer than the coefficients need: 2 clusters for 2 coefficients",
    ):
        robust(changed(team=list("aaaaabbbb")), "team", moderators=["months"])
    with pytest.raises(
        ValueError, match="3 clusters are too few for robust standard errors, which need at least 4"
    ):
        robust(changed(team=list("aaabbcccc")), "team")
    with pytest.raises(ValueError, match="the moderators are those of the fit"):
        robust(multilevel(effects, rho=0.8), moderators=["months"])
    with pytest.raises(
        TypeError, match="fitted must be MetaRegression, Multilevel or Effects: got Pooled"
    ):
        robust(km.pool(aggregate(effects, rho=0.8)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='unknown cluster-robust type "CR9"'):
        robust(effects, kind="CR9")
    with pytest.raises(ValueError, match="rho must lie between 0 and 1: got 1.5"):
        robust(effects, rho=1.5)


def test_several_modes_are_named() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        study = np.repeat(list("ABC"), 2)
        v = rng.exponential(size=6) ** 3 + 0.005
        frame = pd.DataFrame(
            {"study": study, "comparison_id": range(6), "y": rng.normal(size=6) * 2, "v": v}
        )
        found = multilevel(km.generic(frame, y="y", v="v"))
        if len(found.fit.modes) > 1:
            assert (
                "the likelihood has several modes; the highest met is returned, others are at"
                in found.summary()
            )
            return
    pytest.fail("no data set with several modes was met")


def test_matrix_moderators_follow_excluded_effects() -> None:
    effects = nine()
    frame = effects.table.assign(y=effects.y, v=effects.v)
    first = km.generic(frame.iloc[:8], y="y", v="v")
    given = multilevel(first, rho=0.8, moderators=first.table[["months"]])
    named = multilevel(first, rho=0.8, moderators=["months"])
    close(given.estimate, named.estimate)
    assert given.design.names == ("intercept", "months")
