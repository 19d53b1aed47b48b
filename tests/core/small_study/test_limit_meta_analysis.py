"""Limit meta-analysis against metasens (tests/reference 11_meta_bias) and its definition."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.small_study.limit_meta_analysis import ADJUSTMENTS, limit_meta_analysis
from kapmeta.examples import load_example
from tests.core.small_study.test_asymmetry import meta_effects
from tests.helpers.r_values import number, records

WORDS = {"beta0": "at-limit", "betalim": "shrunken-line", "mulim": "shrunken-mean"}
FIELDS = {
    "intercept": "alpha_r",
    "slope": "beta_r",
    "q": "Q",
    "q_small": "Q_small",
    "q_residual": "Q_resid",
    "g2": "G_squared",
    "estimate": "TE_adjust",
    "se": "seTE_adjust",
}


def _with_a_trial_at_precision_zero(v: FloatArray, tau2: float) -> float:
    """Compute the limit's standard error with an excluded trial in the moments, not the count."""
    x = np.append(1 / np.sqrt(v + tau2), 0.0)
    slope_variance = 1 / (x.var(ddof=1) * (v.size - 1))
    return float(
        np.sqrt(slope_variance * (1 + tau2 * (x * x).mean() - 2 * np.sqrt(tau2) * x.mean()))
    )


def test_metasens() -> None:
    """metasens 1.5-2 ``limitmeta``: beta0, betalim, mulim; every record, at our own REML."""
    seen: Counter[str] = Counter()
    for record in records("11_meta_bias"):
        if record["settings"]["fun"] != "metasens::limitmeta":
            continue
        r = record["results"]
        y, v = meta_effects(record)
        found = limit_meta_analysis(y, v, adjustment=WORDS[record["settings"]["method.adjust"]])
        assert_allclose(found.tau2, r["tau"] ** 2, rtol=1e-8)
        theirs = {name: number(r[key]) for name, key in FIELDS.items()}
        if (
            record["dataset"] == "dat.nielweise2007"
            and record["settings"]["method.adjust"] != "mulim"
        ):
            # estimates agree; metasens's standard error, once missing, is that of the excluded
            # trial at precision 0
            se = theirs.pop("se")
            assert not np.isclose(found.se, se, rtol=1e-6)
            if record["settings"]["method.adjust"] == "beta0":
                assert_allclose(
                    _with_a_trial_at_precision_zero(v, float(found.tau2)), se, rtol=1e-8
                )
            seen["divergent: standard error in metasens when meta has excluded a trial"] += 1
        else:
            seen["compared"] += 1
        for name, value in theirs.items():
            assert_allclose(getattr(found, name), value, rtol=1e-8, err_msg=name)
        limits = np.array([number(x) for x in r["TE_limit"]])
        assert_allclose(found.shrunken, limits[np.isfinite(limits)], rtol=1e-8)
    assert seen == {
        "compared": 26,
        "divergent: standard error in metasens when meta has excluded a trial": 4,
    }


def test_passive_smoking() -> None:
    """Worked value of the method specification (tau2 there is the REML of R)."""
    smoke = load_example("passive_smoking")
    found = limit_meta_analysis(smoke["y"], smoke["v"])
    assert_allclose([found.q_small, found.q_residual], [6.62784418, 40.8701016], rtol=1e-8)
    expected = [0.921862646515, -0.0413795768264, 0.0965773297161, 0.0806499731811]
    # R's REML stops at a change of 1e-5: at the tau it stops at all digits agree, at the maximum
    # five of them
    at_theirs = limit_meta_analysis(smoke["y"], smoke["v"], tau2=0.14965017517961**2)
    assert_allclose(
        [at_theirs.intercept, at_theirs.slope, at_theirs.estimate, at_theirs.se],
        expected,
        rtol=1e-10,
    )
    assert_allclose([found.intercept, found.slope, found.estimate, found.se], expected, rtol=3e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(ADJUSTMENTS)), st.floats(-6, 6))
@settings(max_examples=40)
def test_equivariance(seed: int, adjustment: str, power: float) -> None:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 1, 8)
    y, c = rng.normal(size=8), 10.0**power
    one = limit_meta_analysis(y, v, adjustment=adjustment, tau2="DL")
    other = limit_meta_analysis(-y * c, v * c * c, adjustment=adjustment, tau2="DL")
    assert_allclose(-other.estimate / c, one.estimate, rtol=1e-7, atol=1e-9)
    assert_allclose(other.se / c, one.se, rtol=1e-7)


def test_batch_absence_and_definition() -> None:
    """The radial regression by numpy, and a batch with an absent study."""
    rng = np.random.default_rng(5)
    v, y = rng.uniform(0.02, 0.5, (4, 9)), rng.normal(size=(4, 9))
    v[1, 3], y[1, 3] = np.inf, np.nan
    together = limit_meta_analysis(y, v, tau2="DL")
    for row in range(4):
        there = v[row] < np.inf
        alone = limit_meta_analysis(y[row, there], v[row, there], tau2="DL")
        assert_allclose(
            [together.estimate[row], together.se[row]], [alone.estimate, alone.se], rtol=1e-10
        )
        x = 1 / np.sqrt(v[row, there] + alone.tau2)
        slope, intercept = np.polyfit(x, y[row, there] * x, 1)
        assert_allclose([alone.slope, alone.intercept], [slope, intercept], rtol=1e-8)
        assert float(alone.estimate) == pytest.approx(
            slope + np.sqrt(float(alone.tau2)) * intercept, rel=1e-8
        )


def test_no_line() -> None:
    same = limit_meta_analysis([0.1, 0.5, 0.3, -0.2], [0.2] * 4)
    two = limit_meta_analysis([0.1, 0.5], [0.2, 0.3])
    assert np.isnan([same.estimate, same.se, two.q_residual]).all()
