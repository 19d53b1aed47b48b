"""Selection models against metafor (12_selmodel), exact integrals and their own definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.small_study import selection
from kapmeta.examples import load_example
from tests.helpers.r_values import records

WORDS = {
    "beta": "beta",
    "halfnorm": "half-normal",
    "negexp": "negative-exponential",
    "logistic": "logistic",
    "power": "power",
    "negexppow": "negative-exponential-power",
    "stepfun": "step",
    "trunc": "step",
}


def arguments_of(record: dict[str, Any]) -> tuple[FloatArray, FloatArray, dict[str, Any]]:
    """Return data and arguments of a record; truncation below 0 is a step at p = 0.5."""
    how = record["settings"]
    y, v = (np.array(record["inputs"][key], dtype=float) for key in ("yi", "vi"))
    steps = how.get("steps", 0.5)
    arguments: dict[str, Any] = {
        "family": WORDS[how["type"]],
        "steps": steps if isinstance(steps, list) else [steps],
        "two_sided": how["alternative"] == "two.sided",
        "common": how["method"] == "EE",
    }
    if how.get("prec"):
        arguments["precision"] = np.sqrt(v) / np.sqrt(v).max()
    if how.get("delta"):
        arguments["delta"] = how["delta"]
    if how["type"] == "trunc":
        y = np.where(y == 0, -1e-12, y)  # metafor counts an effect of exactly 0 among the truncated
    return y, v, arguments


def at_theirs(
    record: dict[str, Any], y: FloatArray, v: FloatArray, arguments: dict[str, Any]
) -> float:
    """Our log-likelihood at R's estimates."""
    per_study = arguments.get("precision", np.ones_like(y))
    pieces = selection._density_and_starts(
        y, v, arguments["family"], arguments["steps"], arguments["two_sided"], per_study
    )
    r = record["results"]
    delta = r["delta"][1:] if record["settings"]["type"] == "stepfun" else r["delta"]
    return selection.selection_log_likelihood(
        pieces[0], np.array([r["estimate"], r["tau2"], *delta])
    )[0]


def _compare(record: dict[str, Any]) -> str:
    y, v, arguments = arguments_of(record)
    found, r = selection.fit_selection(y, v, **arguments), record["results"]
    there = at_theirs(record, y, v, arguments)
    assert found.converged
    assert found.log_likelihood >= there - 1e-8  # at or above the likelihood of R's estimates
    if found.log_likelihood > there + 1e-3:
        return "divergent: R stops at a local maximum"
    delta = found.delta[1:] if record["settings"]["type"] == "trunc" else found.delta
    if abs(there - r["ll"]) > 5e-6:
        # exact integrals of the same weight function confirm ours: see test_likelihood_is_exact
        assert_allclose([found.mu, found.tau2], [r["estimate"], r["tau2"]], rtol=0, atol=1e-4)
        return "divergent: R's integral is off by up to 2e-2 in log-likelihood"
    assert found.log_likelihood >= r["ll"] - 1e-6
    assert_allclose([found.mu, found.tau2], [r["estimate"], r["tau2"]], rtol=0, atol=1e-5)
    assert_allclose(delta, r["delta"], rtol=1e-4, atol=1e-6)
    assert_allclose(found.statistic, r["LRT"], rtol=0, atol=1e-5)
    if not found.on_bound and r["se"] is not None and abs(found.se / r["se"] - 1) > 1e-2:
        return (  # ours: see test_gradient_and_hessian
            "divergent: R's standard error, from a numerical Hessian"
        )
    return "compared"


def test_metafor() -> None:
    """metafor 5.1-12 ``selmodel``: eight functions, ML and EE; every record. Standard errors where
    no bound is reached: on a bound R inverts the whole Hessian, we hold the parameter there.
    """
    seen = Counter(
        _compare(r) for r in records("12_selmodel") if r["settings"]["fun"] == "metafor::selmodel"
    )
    assert seen == {
        "compared": 71,
        "divergent: R's integral is off by up to 2e-2 in log-likelihood": 10,
        "divergent: R stops at a local maximum": 2,
        "divergent: R's standard error, from a numerical Hessian": 1,
    }


def test_passive_smoking() -> None:
    """Worked value of the method specification: steps at 0.025 and 0.5."""
    smoke = load_example("passive_smoking")
    found = selection.fit_selection(smoke["y"], smoke["v"], steps=(0.025, 0.5))
    assert found.log_likelihood == pytest.approx(-8.14789726754, abs=1e-9)
    assert_allclose(
        [found.mu, found.tau2, *found.delta[1:]],
        [0.0765672, 0.0152256, 0.459863, 0.149535],
        rtol=2e-5,
    )
    assert found.statistic == pytest.approx(4.00141, abs=1e-5)
    assert found.df == 2
    assert found.p_value == pytest.approx(0.135239886769251, rel=1e-6)


CASES = [
    ("step", [0.4, 0.7], False),
    ("step", [2.5, 0.2], True),
    ("beta", [0.6, 1.3], False),
    ("beta", [0.5, 1.0], True),
    ("half-normal", [3.0], False),
    ("negative-exponential", [30.0], False),
    ("negative-exponential", [2.0], True),
    ("logistic", [8.0], False),
    ("power", [1.4], False),
    ("negative-exponential-power", [4.0, 0.3], False),
    ("negative-exponential-power", [80.0, 90.0], False),
]


def _weight(family: str, d: list[float], two_sided: bool, z: float) -> float:
    """Weight functions written down once more, from their papers."""
    if family in ("beta", "power"):
        ends = [stats.norm.isf(p / (2 if two_sided else 1)) for p in (1 - 1e-5, 1e-5)]
        z = min(max(abs(z), ends[0]), ends[1]) if two_sided else min(max(z, -ends[1]), ends[1])
    p = 2 * stats.norm.sf(abs(z)) if two_sided else stats.norm.sf(z)
    if family == "step":
        return 1.0 if p <= 0.025 else d[0] if p <= 0.5 else d[1]
    formula = {
        "beta": lambda: p ** (d[0] - 1) * (1 - p) ** (d[1] - 1),
        "half-normal": lambda: np.exp(-d[0] * p**2),
        "negative-exponential": lambda: np.exp(-d[0] * p),
        "logistic": lambda: 2 * np.exp(-d[0] * p) / (1 + np.exp(-d[0] * p)),
        "power": lambda: (1 - p) ** d[0],
        "negative-exponential-power": lambda: np.exp(-d[0] * np.exp(stats.norm.logsf(z) / d[1])),
    }
    return float(formula[family]())


@pytest.mark.parametrize(("family", "d", "two_sided"), CASES)
def test_likelihood_is_exact(family: str, d: list[float], two_sided: bool) -> None:
    """Against adaptive quadrature of an independent formula, for precise and imprecise studies."""
    y, v = np.array([0.9, 0.1, -0.4, 0.02]), np.array([0.04, 0.3, 0.2, 0.001])
    mu, tau2 = 0.15, 0.12
    pieces = selection._density_and_starts(y, v, family, [0.025, 0.5], two_sided, np.ones(4))
    value = selection.selection_log_likelihood(pieces[0], np.array([mu, tau2, *d]))[0]
    expected = sum(
        _exact(e, w, mu, tau2, lambda z: _weight(family, d, two_sided, z))
        for e, w in zip(y, v, strict=True)
    )
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def _exact(
    effect: float, variance: float, mu: float, tau2: float, weight: Callable[[float], float]
) -> float:
    """Integrate one study's log-likelihood by pieces between possible jumps of a weight."""
    total, s = np.sqrt(variance + tau2), np.sqrt(variance)
    jumps = [stats.norm.isf(p / sides) for p in (1e-5, 0.025, 0.5, 1 - 1e-5) for sides in (1, 2)]
    inside = [
        s * q for jump in [*jumps, 0.0] for q in (jump, -jump) if abs(s * q - mu) < 12 * total
    ]
    ends = sorted({mu - 12 * total, mu + 12 * total, *inside})
    pieces = [
        integrate.quad(
            lambda x: weight(x / s) * stats.norm.pdf(x, mu, total), *ab, epsabs=1e-14, epsrel=1e-12
        )[0]
        for ab in pairwise(ends)
    ]
    return float(
        np.log(weight(effect / s)) + stats.norm.logpdf(effect, mu, total) - np.log(sum(pieces))
    )


@pytest.mark.parametrize(("family", "d", "two_sided"), CASES)
def test_gradient_and_hessian(family: str, d: list[float], two_sided: bool) -> None:
    """Against central differences."""
    y, v = np.array([0.9, 0.1, -0.4, 0.3]), np.array([0.04, 0.3, 0.2, 0.09])
    density = selection._density_and_starts(y, v, family, [0.025, 0.5], two_sided, np.ones(4))[0]
    theta = np.array([0.15, 0.12, *d])
    _, gradient, hessian = selection.selection_log_likelihood(density, theta)
    for i in range(theta.size):
        step = np.zeros(theta.size)
        step[i] = 1e-5 * max(1.0, abs(theta[i]))
        up, down = (
            selection.selection_log_likelihood(density, theta + sign * step) for sign in (1, -1)
        )
        assert_allclose(gradient[i], (up[0] - down[0]) / (2 * step[i]), rtol=1e-6, atol=1e-7)
        assert_allclose(
            hessian[i],
            (up[1] - down[1]) / (2 * step[i]),
            rtol=1e-5,
            atol=1e-6 * np.abs(hessian).max(),
        )


def test_step_normaliser_in_closed_form() -> None:
    """A = sum of delta times differences of the normal cdf, as in the method specification."""
    y, v, mu, tau2, d = (
        np.array([0.5, -0.1]),
        np.array([0.1, 0.4]),
        0.2,
        0.05,
        np.array([1.0, 0.5, 0.2]),
    )
    sigma = np.sqrt(v + tau2)
    ends = [np.inf, *stats.norm.isf([0.025, 0.5]), -np.inf]
    cuts = np.array([np.sqrt(v) * e for e in ends])
    a = sum(
        d[j] * (stats.norm.cdf((cuts[j] - mu) / sigma) - stats.norm.cdf((cuts[j + 1] - mu) / sigma))
        for j in range(3)
    )
    place = np.searchsorted([0.025, 0.5], stats.norm.sf(y / np.sqrt(v)))
    expected = (np.log(d[place]) + stats.norm.logpdf(y, mu, sigma) - np.log(a)).sum()
    density = selection._density_and_starts(y, v, "step", [0.025, 0.5], False, np.ones(2))[0]
    assert selection.selection_log_likelihood(density, np.array([mu, tau2, *d[1:]]))[
        0
    ] == pytest.approx(expected, rel=1e-12)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["step", "half-normal", "negative-exponential"]),
    st.floats(-6, 6),
)
@example(32405, "half-normal", 0.0)  # a second, higher maximum far below 0
@settings(max_examples=12)
def test_no_grid_point_beats_the_maximum_and_units_do_not_matter(
    seed: int, family: str, power: float
) -> None:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.02, 0.4, 14)
    y = np.abs(rng.normal(0.2, np.sqrt(v)))
    steps = (0.1,)
    if family == "step" and (selection.step_counts(y, v, steps) == 0).any():
        return
    found = selection.fit_selection(y, v, family=family, steps=steps)
    density = selection._density_and_starts(y, v, family, list(steps), False, np.ones(14))[0]
    for _ in range(100):
        mu, tau2 = rng.normal(found.mu, 0.4), rng.choice([0.0, rng.exponential(0.1)])
        delta = rng.uniform(0.01, 2) if family == "step" else rng.choice([0.0, rng.exponential(5)])
        assert (
            selection.selection_log_likelihood(density, np.array([mu, tau2, delta]))[0]
            <= found.log_likelihood + 1e-9
        )
    c = 10.0**power
    scaled = selection.fit_selection(y * c, v * c * c, family=family, steps=steps)
    assert_allclose(
        [scaled.mu / c, scaled.tau2 / c**2], [found.mu, found.tau2], rtol=1e-4, atol=1e-6
    )
    assert scaled.statistic == pytest.approx(found.statistic, abs=1e-8)


def test_given_weights_of_one_change_nothing() -> None:
    y, v = np.array([0.9, 0.4, 0.1]), np.array([0.1, 0.2, 0.05])
    found = selection.fit_selection(y, v, steps=(0.025, 0.5), delta=(1.0, 1.0, 1.0), common=True)
    assert found.mu == pytest.approx((y / v).sum() / (1 / v).sum(), rel=1e-10)
    assert found.se == pytest.approx((1 / v).sum() ** -0.5, rel=1e-8)
    assert found.log_likelihood == pytest.approx(found.unselected, rel=1e-12)
    assert np.isnan(found.p_value)


def test_interval_without_studies_has_weight_zero() -> None:
    y, v = np.array([0.9, 0.7, 0.8, 1.1]), np.array([0.02, 0.03, 0.05, 0.04])
    found = selection.fit_selection(y, v, steps=(0.025, 0.5))
    assert_allclose(found.delta, [1, 0, 0])
    assert_allclose(found.counts, [4, 0, 0])


@pytest.mark.parametrize("family", ["beta", "power"])
def test_no_likelihood_is_gained_where_the_integral_would_miss_the_weight(family: str) -> None:
    """Means so far off that the weight, not the density, decides where studies are seen.

    Integrated about the mean alone such a likelihood came out near e^10000.
    """
    rng = np.random.default_rng(0)
    y, v = rng.normal(0.3, 0.3, 12), np.full(12, 0.1)
    density, *_ = selection._density_and_starts(y, v, family, (), False, np.ones(12))
    d = [100.0, 1e-5] if family == "beta" else [100.0]
    for mu in (11.2, -11.2, 30.0, -30.0):
        assert selection.selection_log_likelihood(density, np.array([mu, 0.4837, *d]))[0] <= 50
    found = selection.fit_selection(y, v, family=family)
    assert found.unselected - 1e-9 <= found.log_likelihood < found.unselected + 10


def test_one_study_with_given_weights() -> None:
    """One study, weight 1/2 above p = 0.5: the maximum by a grid."""
    found = selection.fit_selection([0.4], [0.1], steps=(0.5,), delta=(1.0, 0.5), common=True)
    density, *_ = selection._density_and_starts(
        np.array([0.4]), np.array([0.1]), "step", [0.5], False, np.ones(1)
    )
    grid = [
        selection.selection_log_likelihood(density, np.array([mu, 0.0, 0.5]))[0]
        for mu in np.linspace(-1, 1, 301)
    ]
    assert found.converged
    assert found.log_likelihood >= max(grid) - 1e-12
    assert selection.fit_selection([0.4], [0.1], steps=(0.5,), delta=(1.0, 0.5)).tau2 == 0
