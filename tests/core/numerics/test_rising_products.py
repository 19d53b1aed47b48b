"""Rising products: sums of logarithms one by one, on either side of the head, down to r = 0."""

from __future__ import annotations

import numpy as np
import pytest

from kapmeta.core.numerics.rising_products import log_products, tallied


@pytest.mark.parametrize("r", [0.0, 1e-9, 1e-4, 0.01, 0.3, 3.0, 50.0])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 100, 3000, 200_000])
def test_sums_and_derivatives_are_those_of_the_factors(n, r):
    counts, bases = np.array([[n, 3.0], [n, n // 2]]), np.array([0.2, 0.9])
    found = log_products(tallied(counts), bases, np.full(2, r))
    for i, base in enumerate(bases):
        expected = np.zeros(6)
        for count in counts[i]:
            j = np.arange(count)
            w = 1 / (base + j * r)
            sums = -np.log(w), w, j * w, -w * w, -j * w * w, -((j * w) ** 2)
            expected += [part.sum() for part in sums]
        np.testing.assert_allclose([part[i] for part in found], expected, rtol=1e-11, atol=1e-300)
