"""Prediction intervals against metafor, meta and pimeta, their definitions and properties."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats

from kapmeta.core.heterogeneity.tau2 import estimate
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import t_quantile
from kapmeta.core.numerics.quadratic_forms import q_eigenvalues, quadratic_form_cdf
from kapmeta.core.numerics.weighting import q_statistic
from kapmeta.core.pooling.intervals import INTERVALS, hartung_knapp_factor, kenward_roger
from kapmeta.core.pooling.prediction import (
    PREDICTIONS,
    PredictionLimits,
    _confidence_distribution,
    _normal_minus_t,
    ensemble_limits,
)
from tests.helpers.r_values import (
    counted_effects,
    data_set,
    given_effects,
    method_values,
    number,
    records,
)

META = {"V": "t", "HTS": "hts", "HK": "hk", "HK-PR": "hk-pr", "KR": "kr", "KR-PR": "kr-pr"}
FEWEST = {"t": 2, "hts": 3, "hk": 2, "hk-pr": 3, "kr": 2, "kr-pr": 2, "nnf": 3, "wang-lee": 20}
Y6 = np.array([0.9, -0.35, 1.7, 0.42, 2.2, -0.1])
V6 = np.array([0.05, 0.11, 0.3, 0.02, 0.7, 0.16])
Y20 = np.concatenate([Y6, 1.3 * Y6 + 0.1, 0.7 * Y6 - 0.2, [0.3, 0.8]])
V20 = np.concatenate([V6, 0.5 * V6, 2 * V6, [0.2, 0.1]])


def limits(
    word: str, y: FloatArray, v: FloatArray, tau2: float, ci: str = "wald", level: float = 0.95
) -> PredictionLimits:
    return PREDICTIONS[word](y, v, tau2, INTERVALS[ci](y, v, tau2, level), level)


def test_metafor() -> None:
    """metafor 5.1-12 ``predict``, every interval of 02_rma_uni accounted for."""
    seen: Counter[str] = Counter()
    for record in records("02_rma_uni"):
        y, v = given_effects(record)
        for test, ci in (("z", "wald"), ("t", "t"), ("knha", "hksj"), ("adhoc", "hksj-variance")):
            expected = record["results"]["tests"][test]
            if record["settings"]["method"].startswith("GENQ"):
                seen["not offered: pools with the weights of the tau2 estimator"] += 1
            elif "pi_lb" not in expected:
                seen["none: common-effect model"] += 1
            else:
                seen[_compare_metafor(y, v, record["results"]["tau2"], test, ci, expected)] += 1
    assert seen == {
        "compared: t": 564,
        "compared: knha": 538,
        "compared: z by Riley, not offered with a normal quantile": 564,
        "compared: adhoc, not offered with k - 2": 648,
        "compared, but Riley's at k = 2 is divergent: metafor takes 1 df for none": 252,
        "divergent: k = 1, metafor returns the interval of the mean": 88,
        "divergent: interval of no width": 26,
        "none: common-effect model": 468,
        "not offered: pools with the weights of the tau2 estimator": 96,
    }


def _compare_metafor(
    y: FloatArray, v: FloatArray, tau2: float, test: str, ci: str, expected: dict[str, float]
) -> str:
    if y.size == 1:
        assert np.isnan(limits("t", y, v, tau2, ci)).all()
        return "divergent: k = 1, metafor returns the interval of the mean"
    if test == "knha" and expected["se"] == 0:
        assert np.isnan(limits("t", y, v, tau2, ci)).all()
        assert np.isnan(limits("hk", y, v, tau2, ci)).all()
        return "divergent: interval of no width"
    if test != "z":
        assert_allclose(
            limits("t", y, v, tau2, ci), [expected["pi_lb"], expected["pi_ub"]], rtol=1e-9
        )
    if test == "knha":
        assert_allclose(limits("hk", y, v, tau2), [expected["pi_lb"], expected["pi_ub"]], rtol=1e-9)
    word = {"z": "hts", "t": "hts", "knha": "hk-pr"}.get(test)
    if word and y.size > 2:
        riley = [expected["pi_riley_lb"], expected["pi_riley_ub"]]
        assert_allclose(limits(word, y, v, tau2), riley, rtol=1e-9)
        return "compared: " + (
            "z by Riley, not offered with a normal quantile" if test == "z" else test
        )
    if word:
        assert np.isnan(limits(word, y, v, tau2)).all()
        return "compared, but Riley's at k = 2 is divergent: metafor takes 1 df for none"
    return "compared: adhoc, not offered with k - 2"


def test_meta() -> None:
    """meta 8.4-0 ``method.predict``, every interval of 04_meta_ci_pi accounted for."""
    seen: Counter[str] = Counter()
    for record in records("04_meta_ci_pi"):
        if not record["settings"]["fun"].startswith("meta::"):
            continue
        y, v = counted_effects(record)
        floored = record["settings"]["what"] == "adhoc.hakn.pi=se"
        for method, expected in record["results"].get("predict", {}).items():
            if method == "S" or (floored and method == "HK-PR"):
                seen["not offered: normal quantile, or k - 2 with a floored variance"] += 1
                continue
            word, ci = ("t", "hksj-variance") if floored else (META[method], "wald")
            found = limits(word, y, v, record["results"]["tau2"], ci)
            seen[_compare_meta(word, found, y, v, record["results"]["tau2"], expected)] += 1
    assert seen == {
        "compared": 576,
        "compared: none exists": 47,
        "divergent: Kenward-Roger at tau2 = 0 or df < 1": 25,
        "divergent: interval of no width": 12,
        "not offered: normal quantile, or k - 2 with a floored variance": 172,
    }


def _compare_meta(
    word: str,
    found: PredictionLimits,
    y: FloatArray,
    v: FloatArray,
    tau2: float,
    expected: dict[str, object],
) -> str:
    numbers = [number(expected[key]) for key in ("lower", "upper")]
    if np.isnan(numbers).all():
        assert np.isnan(found).all()
        return "compared: none exists"
    if word in ("hk", "hk-pr") and hartung_knapp_factor(y, v, tau2) == 0:
        assert np.isnan(found).all()
        return "divergent: interval of no width"
    if word in ("kr", "kr-pr") and (tau2 == 0 or number(expected["df"]) < 1):
        assert np.isnan(found).all()
        return "divergent: Kenward-Roger at tau2 = 0 or df < 1"
    assert_allclose(found, numbers, rtol=1e-9)
    return "compared"


def test_pimeta() -> None:
    """pimeta 1.1 ``pima(method="boot")``, 25,000 draws: within Monte-Carlo error of quadrature."""
    compared = 0
    for record in records("04_meta_ci_pi"):
        if record["settings"]["fun"].startswith("pimeta"):
            y, v = counted_effects(record)
            expected = [record["results"][key] for key in ("lower_predict", "upper_predict")]
            assert_allclose(limits("nnf", y, v, 0.0), expected, atol=0.03)
            compared += 1
    assert compared == 6


@pytest.mark.parametrize(
    ("word", "name", "expected"),
    [
        ("t", "k3", (0.2680, 1.7448)),
        ("hts", "k3", (-1.1742, 3.1870)),
        ("nnf", "k3", (-2.26, 5.15)),
        ("t", "kap5", (0.5599, 1.4594)),
        ("hts", "kap5", (0.4941, 1.5252)),
        ("t", "bcg", (-1.99534, 0.566277)),
        ("hts", "bcg", (-2.008376, 0.579311)),
        ("hk", "bcg", (-1.996017, 0.566952)),
        ("hk-pr", "bcg", (-2.009058, 0.579993)),
        ("nnf", "bcg", (-2.221, 0.763)),
    ],
)
def test_worked_values(word: str, name: str, expected: tuple[float, float]) -> None:
    y, v = data_set(name)
    found = limits(word, y, v, method_values()["pool"][name]["REML"]["tau2"])
    digits = len(f"{expected[0]}".split(".")[1])
    assert_allclose(found, expected, atol=0.6 * 10.0**-digits)


def test_wang_lee_on_bcg() -> None:
    """Value of the method specification; the word itself asks for 20 studies."""
    y, v = data_set("bcg")
    found = ensemble_limits(y, v, method_values()["pool"]["bcg"]["DL"]["tau2"], 0.95)
    assert_allclose(found, (-1.657090, 0.250935), atol=6e-7)
    assert np.isnan(limits("wang-lee", y, v, 0.3)).all()


def test_wang_lee_reads_off_the_shrunken_effects() -> None:
    """With 39 studies the 2.5 and 97.5 % quantiles are the ends of the shrunken sample."""
    y, v = np.linspace(-1, 1, 39) ** 3, np.full(39, 0.05)
    found = limits("wang-lee", y, v, 0.15)
    assert_allclose(found, np.array([-1, 1]) * np.sqrt(0.15 / 0.2), rtol=1e-12)
    inner = limits(
        "wang-lee", y, v, 0.15, level=0.5
    )  # the 10th and the 30th of 39 stand at 25 and 75 %
    assert_allclose(inner, y[[9, 29]] * np.sqrt(0.15 / 0.2), rtol=1e-12)


# --- the confidence-distribution interval


@pytest.mark.parametrize("name", ["k3", "kap5", "bcg"])
def test_nnf_solves_its_equation(name: str) -> None:
    """The predictive area below both limits, by a fine sum over the confidence distribution."""
    y, v = data_set(name)
    df, q = y.size - 1, q_statistic(y, v)
    grid = np.concatenate([[0.0], np.geomspace(1e-5, 1e9, 2001)])
    batch = np.tile(v, (grid.size, 1))
    below = quadratic_form_cdf(q, q_eigenvalues(batch, grid, 1 / v))
    w = 1 / (batch + grid[:, None])
    mean = (w * y).sum(-1) / w.sum(-1)
    s = np.sqrt((w * (y - mean[:, None]) ** 2).sum(-1) / df / w.sum(-1))
    for x, wanted in zip(limits("nnf", y, v, 0.0), (0.025, 0.975), strict=True):
        areas = _normal_minus_t((x - mean)[None, :], np.sqrt(grid), s, df)[0]
        # the atom at 0, a Stieltjes sum over the grid, and what lies beyond it
        middle = ((areas[1:] + areas[:-1]) / 2 * -np.diff(below)).sum()
        assert_allclose(
            (1 - below[0]) * areas[0] + middle + below[-1] * areas[-1], wanted, atol=2e-6
        )


def test_confidence_distribution_has_weight_1_and_the_q_profile_quantiles() -> None:
    """Weights sum to 1; H at metafor's generalised-Q limits of BCG (1/v) is 2.5 and 97.5 %."""
    y, v = data_set("bcg")
    tau2, weight = _confidence_distribution(y, v)
    assert_allclose(weight.sum(), 1.0, rtol=1e-12)
    assert (np.diff(np.sort(tau2)) > 0).all()
    q = q_statistic(y, v)
    limits_of_tau2 = np.array([0.10105006944622229, 1.6360882010688955])  # 02_rma_uni, tau2_ci_BJ
    survival = quadratic_form_cdf(q, q_eigenvalues(np.tile(v, (2, 1)), limits_of_tau2, 1 / v))
    assert_allclose(survival, [0.975, 0.025], rtol=1e-6)


@pytest.mark.parametrize(
    ("tau", "s"), [(0.0, 1.0), (0.3, 1.0), (1.9, 1.0), (2.1, 1.0), (5.0, 1.0), (1.0, 1e-3)]
)
@pytest.mark.parametrize("df", [2, 4, 12, 60])
def test_normal_minus_t(tau: float, s: float, df: int) -> None:
    """The convolution by adaptive quadrature, on both sides of the switch between the two rules."""
    x = np.array([-2.5, 0.3, 6.0])
    found = _normal_minus_t(x[:, None], np.array([tau]), np.array([s]), df)[:, 0]

    def integrand(u: float, at: float) -> float:
        return float(stats.t.cdf((at - tau * u) / s, df) * stats.norm.pdf(u))

    for value, at in zip(found, x, strict=True):
        if tau == 0:
            exact = stats.t.cdf(at / s, df)
        else:
            points = np.unique(np.clip((at + s * np.array([-30, -3, 0, 3, 30])) / tau, -9, 9))
            exact = integrate.quad(
                integrand, -9, 9, args=(at,), points=points, limit=500, epsabs=1e-13
            )[0]
        assert_allclose(value, exact, rtol=2e-9)


def test_nnf_with_far_limits_and_with_equal_estimates() -> None:
    """Heavy tails carry the limits far beyond the estimates; equal estimates give none."""
    y, v = np.array([0.0, 0.1, 0.2]), np.full(3, 1e-4)
    low, high = limits("nnf", y, v, 0.0, level=0.9999)
    assert low < -2
    assert_allclose(low + high, 0.2, atol=1e-8 * (high - low))
    assert np.isnan(limits("nnf", np.full(3, 0.2), v, 0.0)).all()


# --- properties


@pytest.mark.parametrize("word", PREDICTIONS)
def test_fewest_studies(word: str) -> None:
    """nan below the number of studies a method needs, and for rows that cannot be."""
    k = np.array([0, 1, 2, 3, 4, 19, 20, 20, 20])
    y, v = np.tile(Y20, (9, 1)), np.tile(V20, (9, 1))
    v[np.arange(20) >= k[:, None]] = np.inf
    y[7, 0], v[8, 0] = np.nan, -1.0
    tau2 = np.full(9, 0.3)
    low, high = PREDICTIONS[word](y, v, tau2, INTERVALS["wald"](y, v, tau2, 0.95), 0.95)
    defined = (k >= FEWEST.get(word, 99)) & (np.arange(9) < 7)
    if word in ("kr", "kr-pr"):
        for row in np.flatnonzero(defined):
            defined[row] = kenward_roger(v[row], 0.3)[1] >= 1 + (word == "kr-pr")
        assert defined[6]
    assert_array_equal(np.isfinite(low), defined)
    assert_array_equal(np.isfinite(high), defined)
    for row in np.flatnonzero(defined):
        assert_allclose([low[row], high[row]], limits(word, y[row], v[row], 0.3), rtol=1e-12)


@pytest.mark.parametrize("word", PREDICTIONS)
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_scale_equivariance(word: str, scale: float) -> None:
    whole = limits(word, Y20, V20, 0.4)
    scaled = limits(word, scale * Y20, scale**2 * V20, scale**2 * 0.4)
    assert_allclose(scaled, scale * np.array(whole), rtol=1e-9)


@pytest.mark.parametrize("word", PREDICTIONS)
def test_shift_sign_order_and_absent_studies(word: str) -> None:
    low, high = limits(word, Y20, V20, 0.4)
    assert_allclose(limits(word, Y20 + 10, V20, 0.4), [low + 10, high + 10], rtol=1e-9)
    assert_allclose(limits(word, -Y20, V20, 0.4), [-high, -low], rtol=1e-9)
    assert_allclose(limits(word, Y20[::-1], V20[::-1], 0.4), [low, high], rtol=1e-9)
    y, v = np.insert(Y20, 3, np.nan), np.insert(V20, 3, np.inf)
    assert_allclose(limits(word, y, v, 0.4), [low, high], rtol=1e-9)


@pytest.mark.parametrize("ci", ["wald", "hksj", "hksj-hybrid", "profile"])
def test_t_rests_on_the_interval_reported(ci: str) -> None:
    interval = INTERVALS[ci](Y6, V6, 0.4, 0.9)
    half = t_quantile(0.95, 5) * np.sqrt(0.4 + interval.se**2)
    found = PREDICTIONS["t"](Y6, V6, 0.4, interval, 0.9)
    assert_allclose(found, [interval.estimate - half, interval.estimate + half], rtol=1e-14)


def test_refused_intervals_give_no_prediction() -> None:
    y, v = np.full(3, 0.3), np.array([0.1, 0.2, 0.4])
    for word in ("t", "hk", "hk-pr"):
        assert np.isnan(limits(word, y, v, 0.0, "hksj")).all()
    assert np.isnan(limits("t", Y6, V6, np.nan)).all()


@pytest.mark.parametrize("word", ["kr", "kr-pr"])
def test_kenward_roger_is_refused_at_tau2_0(word: str) -> None:
    assert np.isnan(limits(word, Y6, V6, 0.0)).all()
    assert np.isfinite(limits(word, Y6, V6, 0.4)).all()


def test_none() -> None:
    found = PREDICTIONS["none"](Y6, V6, 0.4, INTERVALS["wald"](Y6, V6, 0.4, 0.95), 0.95)
    assert_array_equal(found, [np.nan, np.nan])


@given(
    st.integers(3, 8).flatmap(
        lambda k: st.tuples(
            arrays.arrays(float, k, elements=st.floats(-5, 5)),
            arrays.arrays(float, k, elements=st.floats(1e-3, 4)),
            st.just(0.0) | st.floats(1e-6, 3),
        )
    )
)
def test_prediction_is_never_shorter_than_the_mean(
    sample: tuple[FloatArray, FloatArray, float],
) -> None:
    """With the same quantile it contains the interval of the mean; equal where tau2 is 0."""
    y, v, tau2 = sample
    mean = INTERVALS["t"](y, v, tau2, 0.95)
    low, high = limits("t", y, v, tau2, "t")
    assert low <= mean.low <= mean.high <= high
    assert (low == mean.low) == (tau2 == 0) or np.isclose(low, mean.low)
    wider = limits("hts", y, v, tau2)
    assert wider[0] <= low <= high <= wider[1]


@settings(max_examples=15)
@given(
    y=arrays.arrays(float, 5, elements=st.floats(-2, 2)),
    v=arrays.arrays(float, 5, elements=st.floats(0.01, 1)),
)
def test_nnf_holds_the_pooled_mean(y: FloatArray, v: FloatArray) -> None:
    found = limits("nnf", y, v, 0.0)
    if np.isfinite(found[0]):
        pooled = INTERVALS["wald"](y, v, float(estimate(y, v, "PM")), 0.95)
        assert found[0] < pooled.estimate < found[1]


@pytest.mark.parametrize("apart", [1e-74, 1e-20, 1e-8, 1e-6])
def test_nnf_of_estimates_alike_beyond_chance_is_the_interval_of_the_mean_without_heterogeneity(
    apart: float,
) -> None:
    y, v = np.array([apart, 0.0, 0.0, 0.0, 0.0]), np.ones(5)
    mean = INTERVALS["hksj"](y, v, 0.0, 0.95)
    assert_allclose(limits("nnf", y, v, 0.0), [mean.low, mean.high], rtol=1e-9, atol=1e-50)
