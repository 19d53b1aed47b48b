"""Fail-safe numbers and excess significance against metafor (09_small_study) and definitions."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.pooling.combining import combine
from kapmeta.core.small_study import fail_safe
from tests.helpers.r_values import data_set, number, records


def test_metafor_fsn() -> None:
    """metafor 5.1-12 ``fsn``: Rosenthal, Orwin (target 0.1), Rosenberg; every record."""
    seen: Counter[str] = Counter()
    for record in records("09_small_study"):
        how, r = record["settings"], record["results"]
        if how["fun"] != "metafor::fsn":
            continue
        y, v = record["inputs"]["yi"], record["inputs"]["vi"]
        if how["type"] == "General":  # metafor's own; null_studies is exact where it approximates
            seen["not offered: General"] += 1
            continue
        found = {
            "Rosenthal": lambda y=y, v=v: fail_safe.rosenthal(y, v),
            "Orwin": lambda y=y, v=v, how=how: fail_safe.orwin(y, v, target=how["target"]),
            "Rosenberg": lambda y=y, v=v: fail_safe.rosenberg(y, v),
        }[how["type"]]()
        assert found.n == r["fsnum"]
        assert_allclose(found.p_value, number(r["pval"]), rtol=1e-8)
        seen["compared"] += 1
    assert seen == {"compared": 90, "not offered: General": 30}


def test_null_studies_is_near_metafors_general() -> None:
    """metafor's General (harmonic mean v, z, REML): another search, within 3 or a tenth."""
    for record in records("09_small_study"):
        if record["settings"].get("type") != "General":
            continue
        y, v = (
            np.array(record["inputs"]["yi"], dtype=float),
            np.array(record["inputs"]["vi"], dtype=float),
        )
        theirs = record["results"]["fsnum"]
        if theirs < 100:
            ours = fail_safe.null_studies(y, v, null_v=float(1 / np.mean(1 / v)), ci="wald")
            assert abs(ours - theirs) <= max(3, 0.1 * theirs)


def test_metafor_tes() -> None:
    """metafor 5.1-12 ``tes``: EE to 1e-10, others to 1e-5: R leaves out effects beyond 5 sd."""
    seen: Counter[str] = Counter()
    for record in records("09_small_study"):
        how, r = record["settings"], record["results"]
        if how["fun"] != "metafor::tes":
            continue
        y, v = (
            np.array(record["inputs"]["yi"], dtype=float),
            np.array(record["inputs"]["vi"], dtype=float),
        )
        tau2 = 0.0 if how["method"] == "EE" else float(ESTIMATORS[how["method"]](y, v))
        found = fail_safe.excess_significance(y, v, r["theta"], tau2=tau2)
        p = found.exact_p_value if r["X2"] is None else found.p_value
        tolerance = 1e-10 if how["method"] == "EE" else 1e-5
        assert found.observed == r["O"]
        assert_allclose([found.expected, p], [r["E"], r["pval"]], rtol=0, atol=10 * tolerance)
        assert_allclose(found.power, r["power"], rtol=0, atol=tolerance)
        if r["X2"] is not None:
            assert_allclose(found.statistic, r["X2"], rtol=1e-3 if tau2 else 1e-10)
        seen["compared"] += 1
    assert seen == {"compared": 90}


def test_exact_tail_is_the_sum_over_all_outcomes() -> None:
    y, v = np.array([0.9, 0.2, 0.5, 0.1, 0.8]), np.array([0.1, 0.2, 0.04, 0.3, 0.09])
    found = fail_safe.excess_significance(y, v, 0.3, tau2=0.02)
    chance = 0.0
    for outcome in product([0, 1], repeat=5):
        if sum(outcome) >= found.observed:
            chance += float(np.prod(np.where(outcome, found.power, 1 - found.power)))
    assert float(found.exact_p_value) == pytest.approx(chance, rel=1e-12)
    spread = np.sqrt(v + 0.02)
    expected = stats.norm.sf(1.959963984540054 * np.sqrt(v), 0.3, spread) + stats.norm.cdf(
        -1.959963984540054 * np.sqrt(v), 0.3, spread
    )
    assert_allclose(found.power, expected, rtol=1e-12)


def test_excess_in_batch_with_an_absent_study() -> None:
    y, v = (
        np.array([[0.9, 0.2, np.nan], [0.9, 0.2, 0.4]]),
        np.array([[0.1, 0.2, np.inf], [0.1, 0.2, 0.04]]),
    )
    together = fail_safe.excess_significance(y, v, [0.4, 0.5], tau2=[0.0, 0.1])
    alone = fail_safe.excess_significance(y[0, :2], v[0, :2], 0.4)
    assert_allclose(
        [together.expected[0], together.exact_p_value[0]], [alone.expected, alone.exact_p_value]
    )


def _scores(n: int) -> np.ndarray:
    e = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return e / np.sqrt((e**2).mean()) if n > 1 else np.zeros(n)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["wald", "hksj-hybrid"]))
@settings(max_examples=8)
def test_null_studies_is_the_first_that_holds(seed: int, ci: str) -> None:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.05, 0.4, 5)
    y = rng.normal(0.8, np.sqrt(v))
    found = fail_safe.null_studies(y, v, null_v=0.1, tau2="DL", ci=ci)
    spread = np.sqrt(0.1 + float(ESTIMATORS["DL"](y, v)))
    for n in range(int(min(found, 20)) + 1):
        one = combine(np.r_[y, spread * _scores(n)], np.r_[v, np.full(n, 0.1)], tau2="DL", ci=ci)
        assert bool((one.low <= 0) & (one.high >= 0)) == (n == found)


def test_null_studies_of_the_worked_example() -> None:
    y, v = data_set("kap5")
    many = [
        fail_safe.null_studies(y, v, null_v=size, tau2=0.0, ci="wald") for size in (0.05, 0.2, 1.0)
    ]
    assert many == sorted(many)
    w = (1 / v).sum()
    z = (y / v).sum() / np.sqrt(w)
    exact = [
        np.ceil(((z * np.sqrt(w) / 1.959963984540054) ** 2 - w) * size) for size in (0.05, 0.2, 1.0)
    ]  # common effect
    assert many == exact
    assert fail_safe.null_studies(y, v, null_v=1.0, tau2=0.0, ci="wald", most=10) == np.inf
    assert fail_safe.null_studies([0.1, -0.1], [0.2, 0.2], null_v=0.1) == 0


@given(st.floats(-6, 6))
@settings(max_examples=20)
def test_units_do_not_matter(power: float) -> None:
    y, v = data_set("bcg")
    c = 10.0**power
    assert fail_safe.rosenthal(y * c, v * c * c).n == fail_safe.rosenthal(y, v).n == 598
    assert fail_safe.rosenberg(y * c, v * c * c).n == 370
    assert fail_safe.orwin(y * c, v * c * c, target=0.1 * c).n == 43
