"""Copas's selection model against metasens (11_meta_bias) and its own definition."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import optimize, special

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.small_study import copas as model
from kapmeta.core.small_study.copas import copas, selection_line, squeezed
from kapmeta.examples import load_example
from tests.core.small_study.test_asymmetry import meta_effects
from tests.helpers.r_values import records


def selection_parameters(
    v: FloatArray, published: float, unpublished: float
) -> tuple[float, float]:
    """Compute selection parameters from those that metasens reports."""
    if published == 1:
        return np.inf, 0.0
    s, least = np.sqrt(v), special.ndtri(published)

    def excess(gamma1: float) -> float:
        u = least - gamma1 / s.max() + gamma1 / s
        return float((special.ndtr(-u) / special.ndtr(u)).sum() - unpublished)

    gamma1 = optimize.brentq(excess, 0, 10, xtol=1e-15)
    return least - gamma1 / s.max(), gamma1


def test_metasens() -> None:
    """metasens 1.5-2 ``copas``: every point of all six curves, at its own gamma0 and gamma1."""
    seen: Counter[str] = Counter()
    curves = [
        record
        for record in records("11_meta_bias")
        if record["settings"]["fun"] == "metasens::copas"
    ]
    assert len(curves) == 6
    for record in curves:
        y, v = meta_effects(record)
        r = record["results"]
        gammas = [
            selection_parameters(v, p, n) for p, n in zip(r["publprob"], r["N_unpubl"], strict=True)
        ]
        found = copas(y, v, *np.array(gammas).T)
        assert found.converged.all()
        assert_allclose(found.unpublished, r["N_unpubl"], rtol=1e-8, atol=1e-12)
        for j, (gamma0, gamma1) in enumerate(gammas):
            theirs = np.array([r["TE_slope"][j], r["tau_slope"][j] ** 2, r["rho_slope"][j], 0.0])
            if np.isinf(gamma0):
                theirs[2] = 0.0
            u = np.minimum(gamma0 + gamma1 / np.sqrt(v), model._CERTAIN)
            at_theirs = model.copas_log_likelihood(theirs[:, None], y, v, u)[0]
            assert found.log_likelihood[j] >= at_theirs - 1e-9  # never below R's
            if found.log_likelihood[j] > at_theirs + 1e-6:
                seen["divergent: metasens stops at a local maximum"] += 1
                continue
            ours = [found.mu[j], np.sqrt(found.tau2[j])]
            assert_allclose(ours, [r["TE_slope"][j], r["tau_slope"][j]], rtol=0, atol=1e-5)
            assert_allclose(found.rho[j], theirs[2], rtol=0, atol=1e-4)
            if found.rho_on_bound[j]:  # metasens inverts the whole Hessian there, we hold rho
                seen["compared, but for the standard error: rho is on its bound"] += 1
            else:
                assert_allclose(found.se[j], r["seTE_slope"][j], rtol=1e-3)
                seen["compared"] += 1
            if (
                record["dataset"] != "meta.Fleiss1993bin"
            ):  # there metasens's line is at a local maximum too
                assert_allclose(found.residual_p_value[j], r["pval_rsb"][j], rtol=0, atol=1e-4)
    assert seen == {
        "compared": 39,
        "compared, but for the standard error: rho is on its bound": 5,
        "divergent: metasens stops at a local maximum": 7,
    }


def test_passive_smoking() -> None:
    """Worked value of the method specification at gamma = (-0.5, 0.2)."""
    smoke = load_example("passive_smoking")
    found = copas(smoke["y"], smoke["v"], -0.5, 0.2)
    assert_allclose(
        [found.mu[0], found.rho[0], np.sqrt(found.tau2[0])],
        [0.116698285, 0.629545, 0.117232503],
        rtol=1e-4,
    )


@given(st.floats(-40, 6))
def test_squeezed_lies_between_0_and_1_and_is_smooth(u: float) -> None:
    value = float(squeezed(np.array([u]))[0])
    assert 0 <= value <= 1
    assert abs(float(squeezed(np.array([u + 1e-3]))[0]) - value) < 1e-3


def test_squeezed_is_one_minus_the_variance_of_a_truncated_normal() -> None:
    from scipy import stats

    u = np.array([-3.0, -0.5, 0.0, 1.2, 3.0])
    assert_allclose(1 - squeezed(u), [stats.truncnorm(-x, np.inf).var() for x in u], rtol=1e-9)


def test_selection_line_meets_both_probabilities() -> None:
    v = np.array([0.02, 0.3, 0.11])
    gamma0, gamma1 = selection_line(v, np.array([0.3, 0.7]), published_smallest_se=0.95)
    published = special.ndtr(gamma0 + gamma1 / np.sqrt(v)[:, None])
    assert_allclose(published[0], 0.95)
    assert_allclose(published[1], [0.3, 0.7])


@given(st.integers(0, 2**32 - 1), st.floats(-6, 6))
@settings(max_examples=6)
def test_units_and_sign(seed: int, power: float) -> None:
    """Effects times c with gamma1 times c; the mirror image has -mu and -rho."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.4, 16)
    y, c = rng.normal(0.3, np.sqrt(v + 0.05)), 10.0**power
    one, other = copas(y, v, -0.3, 0.25), copas(-y * c, v * c * c, -0.3, 0.25 * c)
    assert_allclose(other.log_likelihood + 16 * np.log(c), one.log_likelihood, atol=1e-8)
    assert_allclose(-other.mu / c, one.mu, atol=1e-5)


def test_no_grid_point_beats_the_maximum() -> None:
    smoke = load_example("passive_smoking")
    y, v = smoke["y"].to_numpy(), smoke["v"].to_numpy()
    found = copas(y, v, -0.5, 0.2)
    mu, tau2, rho = np.meshgrid(
        np.linspace(-0.3, 0.5, 17), np.linspace(0, 0.15, 12), np.linspace(-0.99, 0.99, 23)
    )
    theta = np.stack([mu.ravel(), tau2.ravel(), rho.ravel(), np.zeros(mu.size)])
    grid = model.copas_log_likelihood(theta, y, v, -0.5 + 0.2 / np.sqrt(v))
    assert grid.max() <= found.log_likelihood[0] + 1e-10


def test_derivatives() -> None:
    rng = np.random.default_rng(2)
    v = rng.uniform(0.02, 0.5, 7)
    y, u, theta = rng.normal(size=7), -0.2 + 0.3 / np.sqrt(v), np.array([0.2, 0.1, 0.4, 0.0])
    value, gradient, hessian = model._complex_step_derivatives(theta, y, v, u)
    for i in range(4):
        step = np.eye(4)[i] * 1e-5
        up, down = (
            model._complex_step_derivatives(theta + sign * step, y, v, u) for sign in (1, -1)
        )
        assert gradient[i] == pytest.approx((up[0] - down[0]) / 2e-5, rel=1e-5, abs=1e-6)
        assert_allclose(hessian[i], (up[1] - down[1]) / 2e-5, rtol=1e-7, atol=1e-7)
    assert np.isfinite(value)
    step = theta[:, None] + 1e-30j * np.eye(4)
    exact = model.copas_log_likelihood(step, y, v, u).imag / 1e-30
    assert_allclose(gradient, exact, rtol=1e-13, atol=1e-13)


def test_a_change_in_the_last_digit_of_the_data_leaves_ten_digits_of_the_fit() -> None:
    """The gradient is 0 to rounding, so another processor prints the same numbers."""
    rng = np.random.default_rng(5)
    v = rng.uniform(0.02, 0.5, 9)
    y = rng.normal(0.3, 0.5, 9)
    gamma0, gamma1 = model.selection_line(v, [0.9, 0.6, 0.3])
    fits = [model.copas(np.nextafter(y, y + side), v, gamma0, gamma1) for side in (-1.0, 0.0, 1.0)]
    for name in ("mu", "se", "tau2", "rho", "log_likelihood"):
        low, middle, high = (getattr(fit, name) for fit in fits)
        assert_allclose(low, middle, rtol=2e-13, atol=1e-14, err_msg=name)
        assert_allclose(high, middle, rtol=2e-13, atol=1e-14, err_msg=name)


def test_outside_its_domain_the_likelihood_is_minus_infinity() -> None:
    """A search turns back at a variance below every -v, and at a correlation above 1."""
    y, v = np.array([0.1, 0.5, 0.9]), np.array([0.1, 0.2, 0.3])
    for theta in ([0.2, -1.0, 0.3, 0.0], [0.2, 0.0, 1.5, 0.0]):
        value, gradient, hessian = model._complex_step_derivatives(
            np.array(theta), y, v, -0.2 + 0.3 / np.sqrt(v)
        )
        assert value == -np.inf
        assert not gradient.any()
        assert not hessian.any()
