"""Intervals of the mean against metafor and meta (tests/reference), equations, properties."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, special, stats

from kapmeta.core.heterogeneity.tau2 import dersimonian_laird, estimate
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile, normal_quantile, t_quantile
from kapmeta.core.numerics.status import Status
from kapmeta.core.numerics.weighting import mean_and_residuals, weights
from kapmeta.core.pooling.henmi_copas import _Moments
from kapmeta.core.pooling.intervals import (
    INTERVALS,
    MeanInterval,
    classic,
    hartung_knapp_factor,
    kenward_roger,
)
from kapmeta.core.pooling.likelihood_intervals import (
    LikelihoodMaximum,
    likelihood_maximum,
    mean_likelihood_ratio,
    skovgaard_statistic,
    tau2_at,
)
from kapmeta.core.pooling.permutation import STATISTICS, permutation_p_value, sign_patterns
from kapmeta.methods import CI_NAMES
from tests.helpers.r_values import (
    counted_effects,
    data_set,
    given_effects,
    method_values,
    number,
    records,
)

METAFOR = {"z": "wald", "t": "t", "knha": "hksj", "adhoc": "hksj-variance"}
META = {
    "classic": "wald",
    "HK": "hksj",
    "HK_se": "hksj-variance",
    "HK_ci": "hksj-hybrid",
    "HK_IQWiG6": "hksj-iqwig",
    "KR": "kr",
}
FAST = ("wald", "t", "hksj", "hksj-variance", "hksj-hybrid", "hksj-iqwig", "kr")
LIKELIHOOD = ("profile", "bartlett", "skovgaard")
OWN_TAU2 = (*LIKELIHOOD, "henmi-copas", "permutation", "permutation-coefficient")
DATA = ("kap5", "alcohol2", "opioid2", "k3", "bcg")

# Heterogeneous, of unequal precision, enough studies for every method.
Y6 = np.array([0.9, -0.35, 1.7, 0.42, 2.2, -0.1])
V6 = np.array([0.05, 0.11, 0.3, 0.02, 0.7, 0.16])


def reml_interval(word: str, name: str, level: float = 0.95) -> MeanInterval:
    y, v = data_set(name)
    return INTERVALS[word](y, v, method_values()["pool"][name]["REML"]["tau2"], level)


# --- R


def test_metafor() -> None:
    """metafor 5.1-12 ``rma(test=)``: every record of 02_rma_uni, with the tau2 of the record."""
    seen: Counter[str] = Counter()
    for record in records("02_rma_uni"):
        y, v = given_effects(record)
        for test, word in METAFOR.items():
            expected = record["results"]["tests"][test]
            if record["settings"]["method"].startswith("GENQ"):
                seen["not offered: metafor also pools with the weights of the tau2 estimator"] += 1
                continue
            interval = INTERVALS[word](y, v, record["results"]["tau2"], 0.95)
            if word == "hksj" and expected["se"] == 0:
                assert interval.status == Status.REFUSED
                assert np.isnan([interval.low, interval.high]).all()
                seen["divergent: metafor returns an interval of no width"] += 1
                continue
            found = [interval.estimate, interval.se, interval.low, interval.high]
            assert_allclose(
                found, [expected[key] for key in ("estimate", "se", "ci_lb", "ci_ub")], rtol=1e-9
            )
            df = np.inf if expected["ddf"] is None else expected["ddf"]
            assert interval.df == df
            seen["compared"] += 1
    assert seen == {
        "compared": 3117,
        "not offered: metafor also pools with the weights of the tau2 estimator": 96,
        "divergent: metafor returns an interval of no width": 31,
    }


def test_meta() -> None:
    """meta 8.4-0 ``method.random.ci``, ``adhoc.hakn.ci``: every record of 04_meta_ci_pi."""
    seen: Counter[str] = Counter()
    for record in records("04_meta_ci_pi"):
        if not record["settings"]["fun"].startswith("meta::"):
            seen["not an interval of the mean we offer: pimeta"] += 1
            continue
        y, v = counted_effects(record)
        if record["settings"].get("method.common.ci") == "IVhet":
            seen["not offered: IVhet"] += 1
        else:
            common = INTERVALS["wald"](y, v, 0.0, 0.95)
            keys = ("TE_common", "seTE_common", "lower_common", "upper_common")
            assert_allclose(common[:4], [record["results"][key] for key in keys], rtol=1e-9)
            seen["compared: common"] += 1
        for method, expected in record["results"].get("random_ci", {}).items():
            seen[_compare_meta(y, v, record["results"]["tau2"], META[method], expected)] += 1
    assert seen == {
        "compared: common": 340,
        "compared": 516,
        "not an interval of the mean we offer: pimeta": 6,
        "not offered: IVhet": 28,
        "divergent: interval of no width": 10,
        "divergent: Kenward-Roger at tau2 = 0 or df < 1": 14,
    }


def _compare_meta(
    y: FloatArray, v: FloatArray, tau2: float, word: str, expected: dict[str, object]
) -> str:
    interval = INTERVALS[word](y, v, tau2, 0.95)
    numbers = {key: number(expected[key]) for key in ("TE", "se", "lower", "upper", "df")}
    if word == "hksj" and numbers["se"] < 1e-15:
        assert interval.status == Status.REFUSED
        return "divergent: interval of no width"
    if word == "kr" and y.size > 1 and (tau2 == 0 or numbers["df"] < 1):
        assert interval.status == Status.REFUSED
        assert np.isnan([interval.se, interval.low, interval.high, interval.df]).all()
        assert_allclose(np.ravel(kenward_roger(v, tau2)), [numbers["se"], numbers["df"]], rtol=1e-9)
        return "divergent: Kenward-Roger at tau2 = 0 or df < 1"
    assert_allclose(interval[:5], list(numbers.values()), rtol=1e-9)
    return "compared"


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("method", ["DL", "HE", "HS", "SJ", "ML", "REML", "PM", "PMM"])
def test_worked_values(name: str, method: str) -> None:
    """methods_values.json, R: Wald, Hartung-Knapp and its variance floor at each tau2."""
    y, v = data_set(name)
    expected = method_values()["pool"][name][method]
    for word, key in (("wald", "wald"), ("hksj", "hksj"), ("hksj-variance", "mkh")):
        interval = INTERVALS[word](y, v, expected["tau2"], 0.95)
        assert_allclose([interval.low, interval.high], expected[key], rtol=1e-10)
    assert_allclose(
        INTERVALS["hksj"](y, v, expected["tau2"], 0.95).se, expected["hksj_se"], rtol=1e-9
    )


def test_k3_table() -> None:
    """The table of the method specification: one data set, half a dozen intervals."""
    y, v = data_set("k3")
    pool = method_values()["pool"]["k3"]
    found = INTERVALS["wald"](y, v, pool["DL"]["tau2"], 0.95)
    assert_allclose(found[:4], [1.02585503, found.se, 0.504053, 1.547657], rtol=1e-6)
    assert_allclose(reml_interval("hksj", "k3")[2:4], [0.141992, 1.870848], rtol=1e-5)
    for word in ("hksj", "hksj-variance"):  # with PM the factor is 1
        found = INTERVALS[word](y, v, pool["PM"]["tau2"], 0.95)
        assert_allclose(
            [found.estimate, found.low, found.high], [1.16050777, -1.013352, 3.334367], rtol=1e-6
        )
    assert_allclose(reml_interval("profile", "k3")[2:4], [0.598016, 1.528969], rtol=2e-6)
    assert_allclose(reml_interval("bartlett", "k3")[2:4], [0.180373, 2.385444], rtol=2e-6)


@pytest.mark.parametrize(("word", "key"), [("profile", "pl"), ("bartlett", "bartlett")])
@pytest.mark.parametrize("name", ["bcg", "kap5", "alcohol2", "opioid2"])
def test_likelihood_values(word: str, key: str, name: str) -> None:
    """methods_values.json, an independent program."""
    expected = method_values()[key][name]
    interval = reml_interval(word, name)
    assert_allclose(interval.estimate, expected["mu"], rtol=1e-12)
    assert_allclose([interval.low, interval.high], expected["ci"], rtol=1e-9)
    assert interval.df == np.inf


def test_skovgaard_values() -> None:
    """methods_values.json, an independent program; metaLik smooths and gives -3.12587."""
    expected = method_values()["skovgaard_bcg"]
    y, v = (x[None, :] for x in data_set("bcg"))
    r, adjusted = skovgaard_statistic(y, v, likelihood_maximum(y, v), np.zeros(1))
    assert_allclose([r[0], adjusted[0]], expected["r_rstar_at_0"], rtol=1e-10)
    interval = reml_interval("skovgaard", "bcg")
    assert_allclose([interval.low, interval.high], expected["ci"], rtol=1e-10)
    assert interval.status == Status.OK


@pytest.mark.parametrize("name", ["kap5", "alcohol2", "opioid2", "k3"])
def test_skovgaard_falls_back_to_bartlett_where_tau2_is_0(name: str) -> None:
    interval, bartlett = reml_interval("skovgaard", name), reml_interval("bartlett", name)
    assert interval.status == Status.FALLBACK
    assert_array_equal(interval[:5], bartlett[:5])


@pytest.mark.parametrize("name", ["bcg", "kap5", "k3"])
def test_henmi_copas_values(name: str) -> None:
    """methods_values.json; metafor's root tolerance of 1.2e-4 prints -1.15551187 for BCG."""
    interval = reml_interval("henmi-copas", name)
    assert_allclose(interval[:4], method_values()["henmi_copas"][name], rtol=1e-8)


def test_permutation_values() -> None:
    """Exact p-values of BCG with DL (specification) and KAP5, whose smallest possible is .0625."""
    assert permutation_p_value(*data_set("bcg"), 0.0) == 0.001708984375
    assert permutation_p_value(*data_set("kap5"), 0.0) == 0.0625


def test_kenward_roger_values() -> None:
    interval = reml_interval("kr", "bcg")
    expected = [-1.11635595184, -0.312708732479, 10.5137107629]
    assert_allclose([interval.low, interval.high, interval.df], expected, rtol=1e-11)


# --- hazards, named after what broke


def test_hksj_collapses_on_two_agreeing_trials() -> None:
    """alcohol2: 211 and 40 patients, a risk ratio from 2.62 to 2.86. The hybrid keeps Wald's."""
    y, v = data_set("alcohol2")
    assert_allclose(hartung_knapp_factor(y, v, 0.0), 0.000366780, rtol=1e-5)
    assert_allclose(np.exp(reml_interval("hksj", "alcohol2")[2:4]), [2.618, 2.862], rtol=2e-4)
    hybrid = reml_interval("hksj-hybrid", "alcohol2")
    assert_allclose(np.exp(hybrid[2:4]), [1.914, 3.915], rtol=2e-4)
    assert hybrid.df == np.inf
    assert_allclose(hybrid.se, 0.182513273275965, rtol=1e-12)
    floored = reml_interval("hksj-variance", "alcohol2")
    assert_allclose(floored.high - floored.low, 2 * 12.7062047362 * 0.182513273275965, rtol=1e-10)


def test_kenward_roger_blows_up_on_kap5() -> None:
    """At tau2 = 0 the formula has df .0181 and limits of 1e70; at k3's Paule-Mandel, df .784."""
    y, v = data_set("kap5")
    se, df = kenward_roger(v, 0.0)
    assert_allclose(df, 0.0181, rtol=5e-3)
    assert t_quantile(0.975, df) * se > 1e60
    interval = INTERVALS["kr"](y, v, 0.0, 0.95)
    assert interval.status == Status.REFUSED
    assert np.isnan(interval[1:5]).all()
    y, v = data_set("k3")
    tau2 = method_values()["pool"]["k3"]["PM"]["tau2"]
    assert_allclose(kenward_roger(v, tau2)[1], 0.784, rtol=1e-3)
    assert INTERVALS["kr"](y, v, tau2, 0.95).status == Status.REFUSED


@pytest.mark.parametrize("equal", [[0.3, 0.3, 0.3], [0.1 + 0.2, 0.3, 0.3]])
def test_equal_estimates_never_give_an_interval_of_no_width(equal: list[float]) -> None:
    v = [0.1, 0.2, 0.4]
    plain = INTERVALS["hksj"](equal, v, 0.0, 0.95)
    assert plain.status == Status.REFUSED
    assert_allclose(plain.estimate, 0.3)
    assert np.isnan([plain.se, plain.low, plain.high]).all()
    wald, t = INTERVALS["wald"](equal, v, 0.0, 0.95), INTERVALS["t"](equal, v, 0.0, 0.95)
    assert_array_equal(INTERVALS["hksj-hybrid"](equal, v, 0.0, 0.95), wald)
    assert_array_equal(INTERVALS["hksj-variance"](equal, v, 0.0, 0.95), t)
    assert_array_equal(INTERVALS["hksj-iqwig"](equal, v, 0.0, 0.95), t)
    for word in ("profile", "bartlett", "skovgaard", "henmi-copas"):
        interval = INTERVALS[word](equal, v, 0.0, 0.95)
        assert interval.high - interval.low > 0.5


@pytest.mark.parametrize("statistic", STATISTICS)
def test_permutation_p_values_count_the_patterns_one_by_one(statistic: str) -> None:
    y, v, mean = Y6, V6, 0.2
    sizes = []
    for signs in itertools.product([1, -1], repeat=y.size):
        flipped = np.array(signs) * (y - mean)
        w = 1 / v
        q = (w * flipped**2).sum() - (w * flipped).sum() ** 2 / w.sum()
        excess = max(0.0, q - (y.size - 1)) / (w.sum() - (w * w).sum() / w.sum())
        wr = 1 / (v + excess)
        estimate, se = (wr * flipped).sum() / wr.sum(), 1 / math.sqrt(wr.sum())
        sizes.append(abs(estimate) if statistic == "coefficient" else abs(estimate) / se)
    expected = np.mean(np.array(sizes) >= sizes[0] - 1e-12)
    assert permutation_p_value(y, v, mean, statistic=statistic) == expected


def test_the_statistic_of_a_permutation_interval_is_named_and_matters() -> None:
    by_word = {
        word: INTERVALS[word](Y6, V6, 0.0, 0.9)
        for word in ("permutation", "permutation-coefficient")
    }
    assert by_word["permutation"].low != by_word["permutation-coefficient"].low
    assert CI_NAMES["permutation"].endswith("of the standardised estimate")
    assert CI_NAMES["permutation-coefficient"].endswith("of the estimate itself")
    low = float(by_word["permutation-coefficient"].low)
    step = 1e-9
    inside, outside = (
        permutation_p_value(Y6, V6, low + d, statistic="coefficient") for d in (step, -step)
    )
    assert inside > 0.1 >= outside


def test_permutation_has_no_95_percent_interval_below_six_studies() -> None:
    assert reml_interval("permutation", "kap5").status == Status.REFUSED
    assert np.isnan(reml_interval("permutation", "kap5").low)
    assert reml_interval("permutation", "kap5", level=0.9).status == Status.OK
    assert INTERVALS["permutation"](Y6, V6, 0.0, 0.95).status == Status.OK
    assert INTERVALS["permutation"](Y6, V6, 0.0, 0.99).status == Status.REFUSED
    many = np.linspace(0, 1, 17)
    assert INTERVALS["permutation"](many, 0.1 + many, 0.0, 0.95).status == Status.REFUSED


def test_profile_with_several_modes_gives_the_outermost_limits() -> None:
    """Two precise and one vague trial far off: the profile likelihood of the mean has two modes."""
    y, v = np.array([0.1, -0.3, 4.2]), np.array([0.07, 0.01, 3.27])
    interval = INTERVALS["profile"](y, v, 0.0, 0.95)
    means = np.linspace(-20, 20, 4001)
    row = np.ones(means.size, dtype=int)
    best = LikelihoodMaximum(*(x[0] * row for x in likelihood_maximum(y[None], v[None])))
    ratio = mean_likelihood_ratio(
        y * row[:, None], v * row[:, None], best, means, _tau2(y, v, means)
    )
    rejected = ratio > chi2_quantile(0.95, 1)
    assert rejected[(means < interval.low) | (means > interval.high)].all()
    assert not rejected[(means > interval.low) & (means < interval.low + 0.1)].any()
    assert not rejected[(means < interval.high) & (means > interval.high - 0.1)].any()


# --- defining equations


def _tau2(y: FloatArray, v: FloatArray, means: FloatArray) -> FloatArray:
    return tau2_at(np.tile(y, (means.size, 1)), np.tile(v, (means.size, 1)), means)


def _log_likelihood(y: FloatArray, v: FloatArray, mean: FloatArray, tau2: FloatArray) -> FloatArray:
    total = v + np.asarray(tau2)[..., None]
    e = y - np.asarray(mean)[..., None]
    return np.asarray(-0.5 * (np.log(total) + e * e / total).sum(-1))


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_likelihood_limits_solve_their_equation(name: str, level: float) -> None:
    """The statistic at both limits is the quantile, to 1e-12, by a likelihood written out here."""
    y, v = data_set(name)
    best = likelihood_maximum(y[None], v[None])
    for word in LIKELIHOOD:
        interval = reml_interval(word, name, level)
        limits = np.array([interval.low, interval.high])
        tau2 = _tau2(y, v, limits)
        ratio = 2 * (
            _log_likelihood(y, v, best.mean, best.tau2) - _log_likelihood(y, v, limits, tau2)
        )
        w = 1 / (v + tau2[:, None])
        statistic = ratio
        if word == "bartlett" or interval.status == Status.FALLBACK:
            statistic = ratio / (1 + 2 * (w**3).sum(-1) / (w.sum(-1) * (w**2).sum(-1)))
        elif word == "skovgaard":
            both = LikelihoodMaximum(*(np.repeat(x, 2) for x in best))
            statistic = (
                skovgaard_statistic(np.tile(y, (2, 1)), np.tile(v, (2, 1)), both, limits)[1] ** 2
            )
        assert_allclose(
            statistic, chi2_quantile(level, 1), rtol=1e-11 if word == "skovgaard" else 1e-12
        )


@pytest.mark.parametrize("name", DATA)
def test_no_grid_point_beats_the_constrained_maximum(name: str) -> None:
    y, v = data_set(name)
    means = np.linspace(y.min() - 1, y.max() + 1, 41)
    found = _log_likelihood(y, v, means, _tau2(y, v, means))
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 300)])
    rivals = _log_likelihood(y, v, means[:, None], np.broadcast_to(grid, (41, grid.size)))
    assert (found[:, None] >= rivals - 1e-12 * np.abs(rivals)).all()


@given(
    deviation=arrays.arrays(float, 4, elements=st.floats(-10, 10)),
    v=arrays.arrays(float, 4, elements=st.floats(1e-3, 10)),
)
def test_constrained_maximum_is_global(deviation: FloatArray, v: FloatArray) -> None:
    tau2 = tau2_at(deviation[None], v[None], np.zeros(1))
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 200, 300)])
    found = _log_likelihood(deviation, v, np.zeros(1), tau2)
    rivals = _log_likelihood(deviation, v, np.zeros(grid.size), grid)
    assert (found >= rivals - 1e-12 * np.abs(rivals)).all()


def test_skovgaard_by_numerical_derivatives() -> None:
    """Observed information against second differences of the log-likelihood."""
    y, v = data_set("bcg")
    best = likelihood_maximum(y[None], v[None])
    mean, tau2 = best.mean[0], best.tau2[0]

    def second(i: int, j: int, h: float = 1e-4) -> float:
        step = h * np.eye(2)
        corners = [
            (s * t, mean + (s * step[i] + t * step[j])[0], tau2 + (s * step[i] + t * step[j])[1])
            for s in (1, -1)
            for t in (1, -1)
        ]
        return sum(sign * float(_log_likelihood(y, v, m, t)) for sign, m, t in corners) / (
            4 * h * h
        )

    observed = second(0, 1) ** 2 - second(0, 0) * second(1, 1)
    w = 1 / (v + tau2)
    e = y - mean
    formula = (w**2 * e).sum() ** 2 - w.sum() * ((w**3 * e**2).sum() - (w**2).sum() / 2)
    assert_allclose(observed, formula, rtol=1e-5)


@pytest.mark.parametrize("name", ["bcg", "k3"])
def test_henmi_copas_solves_its_equation(name: str) -> None:
    """The tail integral at the critical value, by adaptive quadrature, is alpha / 2."""
    y, v = data_set(name)
    interval = reml_interval("henmi-copas", name)
    w = 1 / v
    w1, w2, w3, w4 = w.sum(), *((w**j).sum() / w.sum() for j in (2, 3, 4))
    tau2, df = float(dersimonian_laird(y, v)), y.size - 1.0
    moments = _Moments(*(np.array([x]) for x in (w1, w2, w3, w4, tau2, df)))
    x = (interval.high - interval.estimate) / interval.se / np.sqrt(1 + tau2 * w2)

    def integrand(r: float) -> float:
        mean, variance = (m[0, 0] for m in moments.q_moments(np.array([[r]])))
        q = (w1 / w2 - 1) * ((r / x) ** 2 - 1) + df
        return float(
            stats.gamma.cdf(q, mean**2 / variance, scale=variance / mean) * stats.norm.pdf(r)
        )

    area = integrate.quad(integrand, x, x + 12, epsabs=1e-14, epsrel=1e-13, limit=400)[0]
    assert_allclose(area, 0.025, rtol=1e-10)


def test_henmi_copas_moments_average_to_those_of_q() -> None:
    """Conditional mean and variance of Q given the estimate average to the moments of Q itself."""
    _, v = data_set("bcg")
    w = 1 / v
    tau2 = 0.3
    ratios = [(w**j).sum() / w.sum() for j in (2, 3, 4)]
    moments = _Moments(*(np.array([x]) for x in (w.sum(), *ratios, tau2, 12.0)))
    nodes, weight = special.roots_hermitenorm(20)
    mean, variance = (m[0] for m in moments.q_moments(nodes[None]))
    weight = weight / weight.sum()
    total = v + tau2
    p = np.diag(w) - np.outer(w, w) / w.sum()
    exact_mean = np.trace(p @ np.diag(total))
    exact_variance = 2 * np.trace(p @ np.diag(total) @ p @ np.diag(total))
    assert_allclose(weight @ mean, exact_mean, rtol=1e-12)
    assert_allclose(
        weight @ variance + weight @ (mean - exact_mean) ** 2, exact_variance, rtol=1e-12
    )


def test_henmi_copas_with_a_dominating_study_stays_finite() -> None:
    interval = INTERVALS["henmi-copas"]([0.0, 3.0, -2.5], [1e-6, 0.5, 0.4], 0.0, 0.95)
    assert np.isfinite(interval[:4]).all()
    assert interval.low < interval.estimate < interval.high


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_permutation_limits_are_where_the_p_value_crosses(level: float) -> None:
    interval = INTERVALS["permutation"](Y6, V6, 0.0, level)
    for limit, outward in ((interval.low, -1), (interval.high, 1)):
        just_outside = float(limit) + outward * 1e-9
        assert permutation_p_value(Y6, V6, float(limit)) > 1 - level
        assert permutation_p_value(Y6, V6, just_outside) <= 1 - level


def test_permutation_where_one_study_outweighs_all_others() -> None:
    """Flips of the others are ties until tau2 counts: limits lie far from the estimates, all 0."""
    v = np.array([1e-14, 1, 1, 1, 1, 1])
    interval = INTERVALS["permutation"](np.zeros(6), v, 0.0, 0.95)
    assert interval.high > 1
    assert_allclose(interval.low, -interval.high, rtol=1e-12)
    assert permutation_p_value(np.zeros(6), v, float(interval.high)) > 0.05
    assert permutation_p_value(np.zeros(6), v, 1.0001 * float(interval.high)) <= 0.05


def test_permutation_by_listing() -> None:
    """All 64 patterns one by one, tau2 estimated anew for each."""
    y = Y6 - 0.1
    patterns = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T
    tau2 = dersimonian_laird(patterns * y, np.broadcast_to(V6, patterns.shape))
    w = 1 / (V6 + tau2[:, None])
    z = np.abs((w * patterns * y).sum(-1) / np.sqrt(w.sum(-1)))
    assert permutation_p_value(Y6, V6, 0.1) == np.mean(z >= z[0] - 1e-12)
    assert sign_patterns(6).shape == (32, 6)
    assert len({tuple(row) for row in sign_patterns(6)}) == 32


@pytest.mark.parametrize("word", [w for w in FAST if w != "kr"])
def test_half_width_is_quantile_times_se(word: str) -> None:
    for name in DATA:
        interval = reml_interval(word, name, 0.9)
        half = t_quantile(0.95, interval.df) * interval.se
        assert_allclose(
            [interval.estimate - half, interval.estimate + half], interval[2:4], rtol=1e-14
        )


def test_kenward_roger_is_classic_with_equal_variances() -> None:
    """All weights equal: no uncertainty of weights, se as in Wald, k - 1 degrees of freedom."""
    v = np.full(7, 0.3)
    se, df = kenward_roger(v, 0.2)
    assert_allclose([se, df], [np.sqrt(0.5 / 7), 6.0], rtol=1e-14)


def test_two_trials_of_equal_variance_have_one_degree_of_freedom_despite_rounding() -> None:
    v, tau2 = np.random.default_rng(1).uniform(0.01, 2, (2, 500))
    interval = INTERVALS["kr"](np.array([0.2, 1.4]), np.stack([v, v], axis=-1), tau2, 0.95)
    assert (interval.status == Status.OK).all()
    assert_allclose(interval.df, 1.0, rtol=1e-14)
    assert INTERVALS["kr"]([0.2, 1.4], [0.3, 0.4], 0.2, 0.95).status == Status.REFUSED  # df is 0.97


def test_iqwig_takes_t_where_hartung_knapp_is_shorter_than_dl_wald() -> None:
    y, v = data_set("alcohol2")
    assert_array_equal(INTERVALS["hksj-iqwig"](y, v, 0.0, 0.95), INTERVALS["t"](y, v, 0.0, 0.95))
    assert_array_equal(reml_interval("hksj-iqwig", "bcg"), reml_interval("hksj", "bcg"))


# --- properties


@pytest.fixture(scope="module")
def six() -> dict[str, MeanInterval]:
    tau2 = estimate(Y6, V6, "REML")
    return {word: method(Y6, V6, tau2, 0.95) for word, method in INTERVALS.items()}


@pytest.mark.parametrize("word", INTERVALS)
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_scale_equivariance(six: dict[str, MeanInterval], word: str, scale: float) -> None:
    tau2 = estimate(Y6, V6, "REML") * scale**2
    found = INTERVALS[word](Y6 * scale, V6 * scale**2, tau2, 0.95)
    assert_allclose(found[:4], np.array(six[word][:4]) * scale, rtol=1e-10)
    assert_allclose(found[4:], six[word][4:], rtol=1e-10)


@pytest.mark.parametrize("word", INTERVALS)
def test_shift_and_sign(six: dict[str, MeanInterval], word: str) -> None:
    tau2 = estimate(Y6, V6, "REML")
    whole = six[word]
    shifted = INTERVALS[word](Y6 + 10, V6, tau2, 0.95)
    expected = np.array([whole.estimate, whole.low, whole.high]) + 10
    assert_allclose([shifted.estimate, shifted.low, shifted.high], expected, rtol=1e-11)
    assert_allclose(shifted.se, whole.se, rtol=1e-10)
    mirrored = INTERVALS[word](-Y6, V6, tau2, 0.95)
    assert_allclose(mirrored[:4], [-whole.estimate, whole.se, -whole.high, -whole.low], rtol=1e-10)


@pytest.mark.parametrize("word", INTERVALS)
def test_order_and_absent_studies_do_not_matter(six: dict[str, MeanInterval], word: str) -> None:
    tau2 = estimate(Y6, V6, "REML")
    order = [3, 0, 5, 1, 4, 2]
    assert_allclose(INTERVALS[word](Y6[order], V6[order], tau2, 0.95), six[word], rtol=1e-11)
    y, v = np.append(Y6, [np.nan, 7.0]), np.append(V6, [np.inf, np.inf])
    order = [6, 3, 0, 5, 1, 7, 4, 2]
    assert_allclose(INTERVALS[word](y[order], v[order], tau2, 0.95), six[word], rtol=1e-11)


@pytest.mark.parametrize("word", INTERVALS)
def test_batch_is_a_loop_and_impossible_rows_have_a_status(word: str) -> None:
    """Leave-some-out masks of BCG in one call: k from 0 to 13, with invalid rows among them."""
    y, v = data_set("bcg")
    y, v = np.tile(y, (8, 1)), np.tile(v, (8, 1))
    for row, kept in enumerate([13, 0, 1, 2, 3, 7]):
        v[row, kept:] = np.inf
    y[6, 4] = np.nan
    v[7, 2] = 0.0
    tau2 = np.linspace(0.1, 0.8, 8)
    batch = INTERVALS[word](y.reshape(2, 4, 13), v.reshape(2, 4, 13), tau2.reshape(2, 4), 0.95)
    for row in range(8):
        alone = INTERVALS[word](y[row], v[row], tau2[row], 0.95)
        together = [part.reshape(-1)[row] for part in batch]
        assert_allclose(together, [part[()] for part in alone], rtol=1e-12)
    status = batch.status.reshape(-1)
    assert list(status[[1, 2, 6, 7]]) == [
        Status.NO_STUDIES,
        Status.ONE_STUDY,
        Status.INVALID_INPUT,
        Status.INVALID_INPUT,
    ]
    assert np.isnan(batch.estimate.reshape(-1)[[1, 6, 7]]).all()
    assert status[0] == Status.OK


@pytest.mark.parametrize("word", INTERVALS)
def test_one_study_keeps_its_own_wald_interval(word: str) -> None:
    interval = INTERVALS[word]([0.4], [0.09], np.nan, 0.9)
    half = normal_quantile(0.95) * 0.3
    assert_allclose(interval[:4], [0.4, 0.3, 0.4 - half, 0.4 + half], rtol=1e-14)
    assert interval.df == np.inf
    assert interval.status == Status.ONE_STUDY


@pytest.mark.parametrize("word", INTERVALS)
def test_no_rows_and_no_columns(word: str) -> None:
    assert INTERVALS[word](np.empty((0, 3)), np.empty((0, 3)), np.empty(0), 0.95).low.shape == (0,)
    nothing = INTERVALS[word](np.empty(0), np.empty(0), 0.0, 0.95)
    assert nothing.status == Status.NO_STUDIES
    assert np.isnan(nothing.low)


@pytest.mark.parametrize("word", INTERVALS)
def test_the_level_is_95_percent_if_nothing_is_said(
    six: dict[str, MeanInterval], word: str
) -> None:
    assert_array_equal(INTERVALS[word](Y6, V6, estimate(Y6, V6, "REML")), six[word])


@pytest.mark.parametrize("y", [0.1, 0.7, 1 / 3])
def test_equal_estimates_are_refused_by_hartung_knapp_beside_an_absent_study(y: float) -> None:
    v = np.random.default_rng(2).uniform(0.01, 2, (200, 11))
    v[:, 3] = np.inf
    interval = INTERVALS["hksj"](
        np.full(11, y), v, 0.0, 0.95
    )  # rounding leaves Q of 1e-62 in one row of five
    assert (interval.status == Status.REFUSED).all()
    assert np.isnan(interval.low).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_estimates_that_differ_in_the_tenth_digit_are_not_equal(scale: float) -> None:
    """Two trials: Q is the squared difference over the sum of the variances."""
    y, v = np.array([1.0, 1.0 + 2.0**-33]) * scale, np.array([0.5, 1.5]) * scale**2
    assert_allclose(hartung_knapp_factor(y, v, 0.0), 2.0**-67, rtol=1e-5)
    assert INTERVALS["hksj"](y, v, 0.0, 0.95).status == Status.OK


def test_permutation_lists_the_patterns_of_the_most_studies_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (
        INTERVALS["permutation"](np.linspace(0.2, 0.9, 17), np.full(17, 0.1), 0.0, 0.95).status
        == Status.REFUSED
    )
    monkeypatch.setattr("kapmeta.core.pooling.intervals.MOST_STUDIES", 6)  # 16 take seconds
    assert INTERVALS["permutation"](Y6, V6, 0.0, 0.95).status == Status.OK
    y, v = np.append(Y6, [0.3, 0.1]), np.append(V6, [0.2, np.inf])
    assert INTERVALS["permutation"](y, v, 0.0, 0.95).status == Status.REFUSED


def test_classic_takes_one_data_set_as_well_as_rows() -> None:
    rows = classic(Y6[None], V6[None], np.array([0.1]))
    assert_allclose(classic(Y6, V6, 0.1), [part[0] for part in rows], rtol=1e-15)


@pytest.mark.parametrize("word", FAST)
def test_missing_tau2_is_reported(word: str) -> None:
    interval = INTERVALS[word](Y6, V6, np.nan, 0.95)
    assert interval.status == Status.INVALID_INPUT
    assert np.isnan(interval.low)


@pytest.mark.parametrize("word", OWN_TAU2)
def test_tau2_from_outside_is_not_used(word: str) -> None:
    assert_array_equal(INTERVALS[word](Y6, V6, 0.0, 0.95), INTERVALS[word](Y6, V6, 9.0, 0.95))


studies = st.integers(2, 8).flatmap(
    lambda k: st.tuples(
        arrays.arrays(float, k, elements=st.floats(-5, 5)),
        arrays.arrays(float, k, elements=st.floats(1e-3, 4)),
        st.just(0.0) | st.floats(1e-6, 3),
    )
)


@given(studies)
def test_hybrid_contains_both_parents(sample: tuple[FloatArray, FloatArray, float]) -> None:
    hybrid = INTERVALS["hksj-hybrid"](*sample, 0.95)
    for word in ("wald", "hksj"):
        parent = INTERVALS[word](*sample, 0.95)
        if parent.status == Status.OK:
            assert hybrid.low <= parent.low
            assert hybrid.high >= parent.high


@settings(max_examples=40)
@given(studies)
def test_widths_are_ordered(sample: tuple[FloatArray, FloatArray, float]) -> None:
    """t is not shorter than Wald, the floor than t, Bartlett than the profile likelihood."""
    wald, t, floored = (INTERVALS[word](*sample, 0.95) for word in ("wald", "t", "hksj-variance"))
    assert t.low <= wald.low <= wald.high <= t.high
    assert floored.low <= t.low <= t.high <= floored.high
    profile, bartlett = (INTERVALS[word](*sample, 0.95) for word in ("profile", "bartlett"))
    assert bartlett.low <= profile.low < profile.estimate < profile.high <= bartlett.high


@given(studies)
def test_paule_mandel_makes_the_factor_1(sample: tuple[FloatArray, FloatArray, float]) -> None:
    y, v, _ = sample
    tau2 = estimate(y, v, "PM")
    factor = hartung_knapp_factor(y, v, tau2)
    if tau2 > 1e-9:
        assert_allclose(factor, 1.0, rtol=1e-9)
    w = weights(v, tau2)
    _, e = mean_and_residuals(y, w)
    assert factor == 0 or np.isclose(factor, (w * e * e).sum() / (y.size - 1), rtol=1e-14)


def test_statuses_say_what_they_mean() -> None:
    assert [int(status) for status in Status] == [0, 1, 2, 3, 4, 5]
    assert len({status.meaning for status in Status}) == 6


@pytest.mark.long
def test_coverage_of_the_hybrid() -> None:
    """REML and hybrid with five studies cover at least about 95 % in 100,000 samples."""
    rng = np.random.default_rng(20260101)
    v = rng.uniform(0.05, 0.6, size=(100_000, 5))
    y = rng.normal(0, np.sqrt(v + 0.1))
    interval = INTERVALS["hksj-hybrid"](y, v, estimate(y, v, "REML"), 0.95)
    assert 0.94 < np.mean((interval.low <= 0) & (interval.high >= 0)) < 0.99
