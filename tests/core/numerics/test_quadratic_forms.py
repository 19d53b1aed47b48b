"""Distribution of Q: closed forms, an independent series, and the moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.quadratic_forms import (
    cochran_q_slopes,
    q_eigenvalues,
    quadratic_form_cdf,
)
from tests.helpers.r_values import data_set

POSITIVE = st.floats(1e-3, 1e3)


def ruben_cdf(q: float, coefficients: FloatArray) -> float:
    """Sum Ruben's series (Farebrother, AS 204); its error is the remainder of the weights."""
    b, n = coefficients.min(), coefficients.size
    d = 1 - b / coefficients
    a, h = [np.prod(np.sqrt(b / coefficients))], np.zeros(n)
    area = a[0] * special.chdtr(n, q / b)
    while (term := special.chdtr(n + 2 * len(a), q / b)) * (1 - sum(a)) > 1e-14 * area:
        h = d * (a[-1] + h)
        a.append(h.sum() / (2 * len(a)))
        area += a[-1] * term
    return float(area)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12, 40, 200, 1000])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_equal_coefficients_are_chi_squared(n: int, unit: float) -> None:
    p = np.array([1e-6, 1e-3, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999])
    q = 2 * special.gammaincinv(n / 2, p)
    area = quadratic_form_cdf(unit * q, np.full(n, unit))
    assert_allclose(area, special.gammainc(n / 2, q / 2), rtol=3e-12)


@pytest.mark.parametrize("ratio", [2.0, 10.0, 1e3, 1e6, 1e12])
def test_pairs_of_coefficients_are_sums_of_exponentials(ratio: float) -> None:
    """Every spread: lambda, lambda, mu, mu has a closed form."""
    q = np.array([0.1, 0.5, 1.0, 3.0, 8.0, 20.0])
    exact = (-np.expm1(-q / 2) + np.expm1(-q / 2 * ratio) / ratio) / (1 - 1 / ratio)
    assert_allclose(quadratic_form_cdf(q, [1.0, 1.0, 1 / ratio, 1 / ratio]), exact, rtol=1e-12)


def test_bcg() -> None:
    """Value of the method specification, by the series of Ruben and Farebrother."""
    _, v = data_set("bcg")
    coefficients = q_eigenvalues(v, 0.01, 1 / v)
    area = quadratic_form_cdf(20.0, coefficients)
    assert_allclose(area, 0.73066300684, rtol=2e-11)
    assert_allclose(area, ruben_cdf(20.0, coefficients[1:]), rtol=1e-12)


@given(
    coefficients=st.integers(1, 8).flatmap(
        lambda n: arrays.arrays(float, n, elements=st.floats(1, 30, exclude_min=True))
    ),
    quantile=st.floats(0.01, 3),
)
def test_against_the_series(coefficients: FloatArray, quantile: float) -> None:
    q = quantile * coefficients.sum()
    assert_allclose(quadratic_form_cdf(q, coefficients), ruben_cdf(q, coefficients), rtol=1e-10)


@given(
    coefficients=arrays.arrays(float, 5, elements=POSITIVE),
    q=arrays.arrays(float, 6, elements=POSITIVE),
)
def test_is_a_distribution_function(coefficients: FloatArray, q: FloatArray) -> None:
    area = quadratic_form_cdf(np.sort(q), coefficients)
    assert ((area >= 0) & (area <= 1)).all()
    assert (np.diff(area) >= -1e-13).all()
    with_nothing_added = quadratic_form_cdf(np.sort(q), np.append(coefficients, 0.0))
    assert_allclose(with_nothing_added, area, rtol=1e-10)


def test_ends_and_shapes() -> None:
    area = quadratic_form_cdf([-1.0, 0.0, np.inf, np.nan, 1.0], [0.0, 1.0])
    assert_allclose(area, [0, 0, 1, np.nan, special.chdtr(1, 1.0)], rtol=1e-12)
    assert quadratic_form_cdf(np.ones((3, 1)), np.ones((3, 2, 4))).shape == (3, 2)
    assert_array_equal(quadratic_form_cdf([0.0, 1.0], np.zeros(3)), [0.0, 1.0])


def test_eigenvalues() -> None:
    """Trace and squared trace are the mean and half the variance of Q; absent studies add zeros."""
    _, v = data_set("bcg")
    a, total = 1 / np.sqrt(v), v + 0.3
    p = np.diag(a) - np.outer(a, a) / a.sum()
    product = p @ np.diag(total)
    found = q_eigenvalues(v, 0.3, a)
    assert_allclose(found.sum(), np.trace(product), rtol=1e-13)
    assert_allclose((found**2).sum(), np.trace(product @ product), rtol=1e-13)
    with_absent = q_eigenvalues(np.append(v, np.inf), 0.3, np.append(a, 0.0))
    assert_allclose(with_absent[1:], found, rtol=1e-12, atol=1e-13)
    batch = q_eigenvalues(np.tile(v, (2, 1)), np.array([0.0, 0.3]), 1 / v)
    assert_allclose(batch[0, 1:], 1.0, rtol=1e-13)


@pytest.mark.parametrize("name", ["k3", "kap5", "bcg"])
def test_coefficients_of_cochran_q_are_linear_in_tau2(name: str) -> None:
    _, v = data_set(name)
    for tau2 in (0.0, 0.1, 30.0):
        assert_allclose(
            1 + tau2 * cochran_q_slopes(v), q_eigenvalues(v, tau2, 1 / v)[1:], rtol=1e-11
        )


def test_eigenvalues_with_a_dominating_study() -> None:
    """Without heterogeneity every coefficient of Cochran's Q is 1, whatever the weights."""
    v = np.array([1e-10, 0.5, 1.0, 2.0])
    assert_allclose(q_eigenvalues(v, 0.0, 1 / v)[1:], 1.0, rtol=1e-12)
