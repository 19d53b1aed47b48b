"""Asymmetry tests against metafor and meta (09_small_study, 11_meta_bias) and their definitions."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import gammaln

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.small_study import asymmetry
from kapmeta.examples import load_example
from tests.helpers.r_values import counted_effects, number, records

PREDICTORS = {
    "sei": "se",
    "vi": "v",
    "ni": "n",
    "ninv": "1/n",
    "sqrtni": "sqrt-n",
    "sqrtninv": "1/sqrt-n",
}


def table_of(record: dict[str, Any]) -> tuple[FloatArray, ...]:
    """Return the counts of a record: events and totals of both arms."""
    return tuple(np.array(record["inputs"][key], dtype=float) for key in ("ai", "n1i", "ci", "n2i"))


def meta_effects(record: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Effects of a record of 11_meta_bias by the rules of meta's defaults (method = "Inverse")."""
    measure = record["measure"]
    if measure in ("OR", "RR"):
        return counted_effects(record)
    if measure in ("MD", "SMD"):
        return _mean_effects(record)
    a, n1, c, n2 = table_of(record)
    if measure == "ASD":
        return np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2)), 1 / (4 * n1) + 1 / (4 * n2)
    half = 0.5 * ((a == 0) | (c == 0) | (a == n1) | (c == n2))
    a0, c0, m1, m2 = a + half, c + half, n1 + 2 * half, n2 + 2 * half
    return a / n1 - c / n2, a0 * (m1 - a0) / m1**3 + c0 * (m2 - c0) / m2**3


def _mean_effects(record: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Mean differences, or Hedges's g with the exact correction and the unbiased variance."""
    n1, m1, s1, n2, m2, s2 = (
        np.array(record["inputs"][key], dtype=float)
        for key in ("n1i", "m1i", "sd1i", "n2i", "m2i", "sd2i")
    )
    if record["measure"] == "MD":
        return m1 - m2, s1**2 / n1 + s2**2 / n2
    df = n1 + n2 - 2
    correction = np.exp(gammaln(df / 2) - np.log(df / 2) / 2 - gammaln((df - 1) / 2))
    g = correction * (m1 - m2) / np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
    return g, 1 / n1 + 1 / n2 + (1 - (df - 2) / (df * correction**2)) * g**2


def test_metafor_regtest() -> None:
    """metafor 5.1-12 ``regtest``: six predictors, lm and mixed model (EE, DL, REML), all."""
    seen: Counter[str] = Counter()
    for record in records("09_small_study"):
        if record["settings"]["fun"] != "metafor::regtest":
            continue
        seen[_compare_regtest(record)] += 1
    assert seen == {"compared": 960, "refused by both": 96}


def _compare_regtest(record: dict[str, Any]) -> str:
    how, expected = record["settings"], record["results"]
    y, v = (np.array(record["inputs"][key], dtype=float) for key in ("yi", "vi"))
    points = asymmetry.predictor_points(
        y, v, predictor=PREDICTORS[how["predictor"]], n=record["inputs"].get("ni")
    )
    tau2 = 0.0 if how["method"] == "EE" else how["method"]
    mixed = how["model"] == "rma"
    line = (
        asymmetry.mixed_line(y, v, points.x, tau2=tau2)
        if mixed
        else asymmetry.weighted_line(points)
    )
    if "error" in expected:  # k too small for the model, or a predictor that does not vary
        assert np.isnan(line.statistic)
        return "refused by both"
    ours = [
        line.intercept,
        line.slope,
        line.intercept_se,
        line.slope_se,
        line.statistic,
        line.p_value,
    ]
    theirs = [*expected["beta"], *expected["se"], expected["stat"], expected["pval"]]
    assert_allclose(ours, [number(x) for x in theirs], rtol=1e-8, err_msg=str(how))
    return "compared"


def test_metafor_ranktest() -> None:
    """metafor 5.1-12 ``ranktest``: exact p without ties, normal p with ties; every record."""
    seen: Counter[str] = Counter()
    for record in records("09_small_study"):
        if record["settings"]["fun"] != "metafor::ranktest":
            continue
        found = asymmetry.begg(record["inputs"]["yi"], record["inputs"]["vi"])
        exact = np.isfinite(found.exact_p_value)
        p = found.exact_p_value if exact else found.p_value
        expected = [number(record["results"][key]) for key in ("tau", "pval")]
        assert_allclose([found.tau, p], expected, rtol=1e-10, atol=1e-15)
        seen["exact" if exact else "normal" if np.isfinite(p) else "nothing to rank, in both"] += 1
    assert sum(seen.values()) == 90
    assert seen["nothing to rank, in both"] == 6


def _ours(record: dict[str, Any]) -> asymmetry.WeightedLine | asymmetry.Rank:
    """Compute the test of that name in meta, on the trials meta keeps."""
    y, v = meta_effects(record)
    method, r = record["settings"]["method.bias"], record["results"]
    if method == "Egger":
        return asymmetry.weighted_line(asymmetry.egger_points(y, v))
    if method == "Thompson":  # at meta's own tau2, which stops at 1e-5: see test_thompson_tau2
        return asymmetry.mixed_line(y, v, np.sqrt(v), tau2=r["tau2"], reference="t")
    if method == "Begg":
        return asymmetry.begg(y, v)
    if record["measure"] in ("MD", "SMD"):
        n1, n2 = (np.array(record["inputs"][key], dtype=float) for key in ("n1i", "n2i"))
        return asymmetry.weighted_line(asymmetry.pustejovsky_points(y, v, n1, n2))
    a, n1, c, n2 = table_of(record)
    if method == "Schwarzer":
        return asymmetry.schwarzer(a, n1, c, n2)
    if method == "Harbord":
        return asymmetry.weighted_line(
            asymmetry.harbord_points(a, n1, c, n2, measure=record["measure"])
        )
    kept = {"OR": (a + c > 0) & (a + c < n1 + n2), "RR": a + c > 0}.get(
        record["measure"], np.full(a.size, True)
    )
    a, n1, c, n2 = (part[kept] for part in (a, n1, c, n2))
    points = {
        "Peters": lambda: asymmetry.peters_points(y, v, a, n1, c, n2),
        "Deeks": lambda: asymmetry.deeks_points(y, v, n1, n2),
        "Macaskill": lambda: asymmetry.macaskill_points(y, v, n1, n2),
        "Pustejovsky": lambda: asymmetry.pustejovsky_points(y, v, n1, n2),
    }
    return asymmetry.weighted_line(points[method]())


def _harbord_for_equal_arms(record: dict[str, Any]) -> float:
    """Harbord's statistic with meta's V, right for equal arms only."""
    a, n1, c, n2 = table_of(record)
    m, size = a + c, n1 + n2
    keep = m > 0
    z, v = ((a * size - m * n1) / (size - m))[keep], (size * m / (4 * (size - m)))[keep]
    return float(
        asymmetry.weighted_line(asymmetry.Points(z / v, 1 / np.sqrt(v), v, 1 / v)).statistic
    )


def _schwarzer_with_corrected_odds_ratio(record: dict[str, Any]) -> float:
    """Schwarzer's statistic at a Mantel-Haenszel odds ratio with 0.5 in tables with a zero cell."""
    a, n1, c, n2 = table_of(record)
    told = a + c > 0
    a, n1, c, n2 = (part[told] for part in (a, n1, c, n2))
    half = 0.5 * ((a == 0) | (c == 0))
    size = n1 + n2 + 4 * half
    psi = ((a + half) * (n2 - c + half) / size).sum() / ((c + half) * (n1 - a + half) / size).sum()
    mean, variance = asymmetry.hypergeometric_moments(n1, n2, a + c, psi)
    return float(asymmetry.kendall((a - mean) / np.sqrt(variance), 1 / variance).statistic)


def test_meta_metabias() -> None:
    """meta 8.4-0 ``metabias``: nine methods on OR, RR, RD, ASD, MD and SMD; every record."""
    seen: Counter[str] = Counter()
    for record in records("11_meta_bias"):
        if record["settings"]["fun"] != "meta::metabias":
            continue
        found, r = _ours(record), record["results"]
        method = record["settings"]["method.bias"]
        if method == "Harbord" and record["measure"] == "RR":
            assert abs(float(found.statistic) / r["statistic"] - 1) > 1e-6
            assert_allclose(_harbord_for_equal_arms(record), r["statistic"], rtol=1e-8)
            seen["divergent: meta's V for the risk ratio is that of equal arms"] += 1
        elif method == "Schwarzer" and record["dataset"] == "dat.nielweise2007":
            assert abs(float(found.statistic) / r["statistic"] - 1) > 1e-6
            assert_allclose(_schwarzer_with_corrected_odds_ratio(record), r["statistic"], rtol=1e-8)
            seen["divergent: meta corrects the Mantel-Haenszel odds ratio for zero cells"] += 1
        else:
            assert_allclose(
                [found.statistic, found.p_value], [r["statistic"], r["pval"]], rtol=1e-8
            )
            if isinstance(found, asymmetry.WeightedLine):
                ours = [found.slope, found.slope_se, found.intercept, found.df]
                assert_allclose(
                    ours, [r[key] for key in ("bias", "se_bias", "intercept", "df")], rtol=1e-8
                )
            seen["compared"] += 1
    assert seen == {
        "compared": 183,
        "divergent: meta's V for the risk ratio is that of equal arms": 5,
        "divergent: meta corrects the Mantel-Haenszel odds ratio for zero cells": 4,
    }


def test_thompson_tau2() -> None:
    """meta's REML stops at a change of 1e-5; ours is the maximum, within 2e-5 of the variances."""
    for record in records("11_meta_bias"):
        if record["settings"].get("method.bias") == "Thompson":
            y, v = meta_effects(record)
            ours = float(asymmetry.mixed_line(y, v, np.sqrt(v)).tau2)
            assert ours == pytest.approx(record["results"]["tau2"], rel=1e-4, abs=2e-5)


def test_method_specification() -> None:
    """Worked values of the method specification: BCG, log odds ratio."""
    bcg = load_example("bcg")
    a, n1, c, n2 = (
        bcg[name].to_numpy(dtype=float) for name in ("events_t", "n_t", "events_c", "n_c")
    )
    b, d = n1 - a, n2 - c
    y, v = np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
    expected = {
        "Egger": (asymmetry.egger_points(y, v), -1.50695070, 0.15999),
        "Harbord": (asymmetry.harbord_points(a, n1, c, n2), -1.25647434, 0.23497),
        "Harbord, RR": (
            asymmetry.harbord_points(a, n1, c, n2, measure="RR"),
            -1.14042480,
            0.278331459,
        ),
        "Macaskill": (asymmetry.macaskill_points(y, v, n1, n2), 4.71148572, None),
        "Peters": (asymmetry.peters_points(y, v, a, n1, c, n2), -1.36247620, 0.20029),
        "Deeks": (asymmetry.deeks_points(y, v, n1, n2), -1.80181252, None),
        "Pustejovsky": (asymmetry.pustejovsky_points(y, v, n1, n2), -2.87801425, 0.01502),
    }
    for name, (points, statistic, p) in expected.items():
        line = asymmetry.weighted_line(points)
        assert float(line.statistic) == pytest.approx(statistic, abs=6e-9), name
        assert p is None or float(line.p_value) == pytest.approx(p, abs=6e-6), name
        assert line.df == 11


@pytest.mark.parametrize(
    ("name", "estimate", "se"),
    [("PET", 0.00503732307546, 0.0859023266069), ("PEESE", 0.120080764664, 0.05190339892)],
)
def test_pet_and_peese_of_passive_smoking(name: str, estimate: float, se: float) -> None:
    """Worked values of the method specification."""
    smoke = load_example("passive_smoking")
    y, v = smoke["y"].to_numpy(), smoke["v"].to_numpy()
    line = asymmetry.weighted_line(
        asymmetry.egger_points(y, v) if name == "PET" else asymmetry.peese_points(y, v)
    )
    assert_allclose([line.intercept, line.intercept_se], [estimate, se], rtol=1e-9)


def test_pet_and_peese_records() -> None:
    """R 4.2.2 ``lm`` with weights: every PET and PEESE record of 12_selmodel."""
    seen = 0
    for record in records("12_selmodel"):
        if not record["settings"]["fun"].startswith(("PET", "PEESE")):
            continue
        pet = record["settings"]["fun"].startswith("PET ")
        points = (asymmetry.egger_points if pet else asymmetry.peese_points)(
            record["inputs"]["yi"], record["inputs"]["vi"]
        )
        line, r = asymmetry.weighted_line(points), record["results"]
        t0 = line.intercept / line.intercept_se
        ours = [
            line.intercept,
            line.intercept_se,
            t0,
            line.slope,
            line.slope_se,
            line.statistic,
            line.p_value,
            line.df,
        ]
        theirs = [r[key] for key in ("b0", "se0", "t0", "b1", "se1", "t1", "p1", "df")]
        assert_allclose(ours, theirs, rtol=1e-8)
        seen += 1
    assert seen == 6


effects = st.integers(3, 9).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-3, 3), min_size=k, max_size=k),
        st.lists(st.floats(0.01, 4), min_size=k, max_size=k, unique=True),
    )
)


@given(effects, st.floats(-6, 6))
def test_line_solves_the_normal_equations_and_is_equivariant(
    given_: tuple[list[float], list[float]], power: float
) -> None:
    y, v = np.array(given_[0]), np.array(given_[1])
    if np.ptp(np.sqrt(v)) < 1e-3:
        return
    line = asymmetry.weighted_line(asymmetry.egger_points(y, v))
    e = y - line.intercept - line.slope * np.sqrt(v)
    size = np.abs(y).max() + np.abs(line.slope) + 1e-300
    assert_allclose([(e / v).sum(), (e / np.sqrt(v)).sum()], 0, atol=1e-9 * size * (1 / v).sum())
    c = 10.0**power
    scaled = asymmetry.weighted_line(asymmetry.egger_points(y * c, v * c * c))
    assert_allclose(scaled.slope, line.slope, rtol=1e-8, atol=1e-10 * size)
    assert_allclose(scaled.intercept / c, line.intercept, rtol=1e-8, atol=1e-10 * size)


@given(effects, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_order_absence_and_batch(given_: tuple[list[float], list[float]], random: Any) -> None:
    y, v = np.array(given_[0]), np.array(given_[1])
    order = np.array(random.sample(range(y.size), y.size))
    shuffled_y, shuffled_v = np.append(y[order], np.nan), np.append(v[order], np.inf)
    batch_y, batch_v = (
        np.stack([np.append(y, 0.0), shuffled_y]),
        np.stack([np.append(v, np.inf), shuffled_v]),
    )
    alone = asymmetry.weighted_line(asymmetry.egger_points(y, v))
    together = asymmetry.weighted_line(asymmetry.egger_points(batch_y, batch_v))
    assert_allclose(together.slope, [alone.slope] * 2, rtol=1e-7, atol=1e-9)
    mixed, rank = (
        asymmetry.mixed_line(batch_y, batch_v, np.sqrt(batch_v)),
        asymmetry.begg(batch_y, batch_v),
    )
    assert_allclose(
        mixed.slope, [asymmetry.mixed_line(y, v, np.sqrt(v)).slope] * 2, rtol=1e-6, atol=1e-7
    )
    assert_allclose(rank.score, [asymmetry.begg(y, v).score] * 2)


def test_equal_standard_errors_and_two_studies_have_no_line() -> None:
    same = asymmetry.weighted_line(asymmetry.egger_points([0.1, 0.4, -0.2, 0.9], [0.3] * 4))
    two = asymmetry.weighted_line(asymmetry.egger_points([0.1, 0.4], [0.3, 0.5]))
    assert np.isnan([same.slope, same.statistic, two.statistic, two.p_value]).all()
    assert np.isnan(asymmetry.mixed_line([0.1, 0.4, -0.2], [0.3] * 3, np.sqrt([0.3] * 3)).slope)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_exact_distribution_of_kendalls_score(k: int) -> None:
    """All orders of k things, counted."""
    x = np.arange(k, dtype=float)
    scores = [
        float(asymmetry.kendall(np.array(order, dtype=float), x).score)
        for order in permutations(range(k))
    ]
    for score in set(scores):
        tail = min(np.mean(np.array(scores) <= score), np.mean(np.array(scores) >= score))
        order = next(
            o
            for o in permutations(range(k))
            if asymmetry.kendall(np.array(o, dtype=float), x).score == score
        )
        found = asymmetry.kendall(np.array(order, dtype=float), x)
        assert float(found.exact_p_value) == pytest.approx(min(1.0, 2 * tail), rel=1e-13)
    assert np.var(scores) == pytest.approx(float(found.se) ** 2, rel=1e-12)


def test_kendall_with_ties_against_scipy() -> None:
    u, x = np.array([1.0, 1, 2, 3, 3, 3, 4, 0]), np.array([2.0, 1, 1, 4, 4, 5, 5, 5])
    found = asymmetry.kendall(u, x)
    reference = stats.kendalltau(u, x, method="asymptotic")
    assert_allclose([found.tau, found.p_value], [reference.statistic, reference.pvalue], rtol=1e-12)
    assert np.isnan(found.exact_p_value)


def test_hypergeometric_moments_against_scipy() -> None:
    mean, variance = asymmetry.hypergeometric_moments(
        np.array([12.0, 30]), np.array([9.0, 41]), np.array([7.0, 20]), 2.3
    )
    for i, (n1, n2, m) in enumerate([(12, 9, 7), (30, 41, 20)]):
        reference = stats.nchypergeom_fisher(n1 + n2, n1, m, 2.3)
        assert_allclose([mean[i], variance[i]], [reference.mean(), reference.var()], rtol=1e-10)


def test_power_of_egger_is_the_noncentral_t() -> None:
    v = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6])
    w, se = 1 / v, np.sqrt(v)
    shift = np.sqrt(
        (w * (se - (w * se).sum() / w.sum()) ** 2).sum()
    )  # slope 1 over its standard error
    edge = stats.t(5).ppf(0.975)
    expected = stats.nct(5, shift).sf(edge) + stats.nct(5, shift).cdf(-edge)
    assert float(asymmetry.power(asymmetry.egger_points(np.zeros(7), v))) == pytest.approx(
        expected, rel=1e-8
    )
    assert np.isnan(asymmetry.power(asymmetry.egger_points([0.0, 0], [0.1, 0.2])))


@pytest.mark.parametrize("kind", ["egger", "pustejovsky"])
def test_power_by_simulation(kind: str) -> None:
    """Within four standard errors of 20,000 simulated sets of trials, each off by its own one."""
    rng = np.random.default_rng(7)
    n1, n2 = (
        np.array([20, 25, 30, 60, 120, 240, 25, 15]),
        np.array([22, 24, 33, 55, 130, 260, 20, 15]),
    )
    v = 4 * (1 / n1 + 1 / n2)
    y = rng.normal(size=(20_000, 8)) * np.sqrt(v) + np.sqrt(v)

    def points(effects: FloatArray) -> asymmetry.Points:
        if kind == "egger":
            return asymmetry.egger_points(effects, v)
        return asymmetry.pustejovsky_points(effects, v, n1, n2)

    found = np.mean(asymmetry.weighted_line(points(y)).p_value < 0.05)
    expected = float(asymmetry.power(points(np.zeros(8))))
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)


def test_tables_without_information_weigh_nothing_in_harbord() -> None:
    told = asymmetry.harbord_points([3, 5, 9, 0], [20, 30, 40, 12], [6, 8, 4, 0], [22, 29, 41, 15])
    without = asymmetry.harbord_points([3, 5, 9], [20, 30, 40], [6, 8, 4], [22, 29, 41])
    assert told.w[-1] == 0
    assert_array_equal(
        asymmetry.weighted_line(told).statistic, asymmetry.weighted_line(without).statistic
    )


def test_one_study_has_no_rank_correlation() -> None:
    found = asymmetry.kendall(np.array([0.4, np.nan]), np.array([1.0, 2.0]))
    assert np.isnan([found.tau, *(float(np.asarray(part)) for part in found[2:])]).all()
