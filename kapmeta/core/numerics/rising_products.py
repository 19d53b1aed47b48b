"""Logarithms of rising products ``base (base + r) ... (base + (n - 1) r)``, with derivatives.

They are the factors of beta-binomial likelihoods. At r = 0 the product is a power of the base, and
it is smooth there: unlike gamma functions it needs no case of its own for small r.

The first factors are added one by one. The rest follow from the formula of Euler and Maclaurin,
so that the work does not grow with n [1]_.

References
----------
.. [1] NIST Digital Library of Mathematical Functions, 2.10(i). https://dlmf.nist.gov/2.10#i
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kapmeta.core.numerics.arrays import FloatArray, IntArray

_HEAD = 64  # factors that are added one by one; the error beyond is of order _HEAD ** -7
_NEARLY_EVEN = 0.5  # rise over the tail below which closed forms of its integrals cancel
_NODES, _SHARES = np.polynomial.legendre.leggauss(12)
_NODES, _SHARES = (1 + _NODES) / 2, _SHARES / 2


class Products(NamedTuple):
    """Sum of the logarithms, and its derivatives in base and r, each of shape (...)."""

    value: FloatArray
    by_base: FloatArray
    by_r: FloatArray
    by_base2: FloatArray
    by_base_r: FloatArray
    by_r2: FloatArray


class Tally(NamedTuple):
    """Counts prepared for `log_products`: how many exceed each j, and those beyond the head."""

    exceeding: FloatArray  # (..., J): counts above j = 0, 1, ...
    long: FloatArray  # (..., k): counts with factors beyond the head; empty where there are none

    def rows(self, index: IntArray) -> Tally:
        """Return the tally of some rows of the first axis."""
        return Tally(self.exceeding[index], self.long[index])


def tallied(counts: FloatArray) -> Tally:
    """Prepare counts, shape (..., k), whose products share a base and are multiplied."""
    most = int(min(_HEAD, counts.max(initial=0.0)))
    thresholds = np.arange(most)
    exceeding = np.stack([(counts > j).sum(-1) for j in thresholds], axis=-1) if most else None
    beyond = counts > _HEAD
    long = counts if beyond.any() else np.zeros((*counts.shape[:-1], 0))
    if exceeding is None:
        exceeding = np.zeros((*counts.shape[:-1], 0))
    return Tally(np.asarray(exceeding, dtype=np.float64), long)


def log_products(tally: Tally, base: FloatArray, r: FloatArray) -> Products:
    """Sum the logarithms of the rising products of all counts in a tally.

    Parameters
    ----------
    tally : Tally
        From `tallied`, of counts of shape (..., k).
    base, r : ndarray, shape (...)
        First factor, above 0, and the rise from one factor to the next, at least 0.

    Returns
    -------
    Products

    Examples
    --------
    >>> import numpy as np
    >>> found = log_products(tallied(np.array([3.0, 1.0])), np.array(0.5), np.array(0.25))
    >>> bool(np.isclose(found.value, np.log(0.5 * 0.75 * 1.0) + np.log(0.5)))
    True
    """
    found = _head(tally.exceeding, base, r)
    if tally.long.shape[-1]:
        tail = _tail(tally.long, base[..., None], r[..., None])
        found = Products(*(part + more for part, more in zip(found, tail, strict=True)))
    return found


def _head(exceeding: FloatArray, base: FloatArray, r: FloatArray) -> Products:
    """Add the factors of the head one by one."""
    j = np.arange(float(exceeding.shape[-1]))
    powers = np.stack([np.ones_like(j), j, j * j], axis=-1)
    level = base[..., None] + j * r[..., None]
    by_base = exceeding / level
    by_base2 = by_base / level
    value = np.einsum("...j,...j->...", exceeding, np.log(level))
    first, second = by_base @ powers[:, :2], -(by_base2 @ powers)
    return Products(value, *np.moveaxis(first, -1, 0), *np.moveaxis(second, -1, 0))


def _tail(counts: FloatArray, base: FloatArray, r: FloatArray) -> tuple[FloatArray, ...]:
    """Sum the factors beyond the head: an integral, and terms at its two ends."""
    m = np.maximum(counts - _HEAD, 0.0)  # factors beyond the head
    first = base + _HEAD * r
    s = m * r / first  # by which the factors rise, as a share of the first
    i00, i01, i11, i02, i12, i22 = _integrals(s)
    one, two = m / first, m / first**2
    inside = (
        m * (np.log(first) + i00),
        one * i01,
        one * (_HEAD * i01 + m * i11),
        -two * i02,
        -two * (_HEAD * i02 + m * i12),
        -two * (_HEAD**2 * i02 + 2 * _HEAD * m * i12 + m * m * i22),
    )
    upper, lower = _end_terms(_HEAD + m, base, r), _end_terms(_HEAD + 0 * m, base, r)
    parts = zip(inside, upper, lower, strict=True)
    return tuple((part + high - low).sum(-1) for part, high, low in parts)


def _integrals(s: FloatArray) -> tuple[FloatArray, ...]:
    """Integrate log(1 + s y), and y^p / (1 + s y)^q for (p, q) = 01, 11, 02, 12, 22, over 0 to 1.

    Closed forms; where they would cancel, a Gauss-Legendre sum.
    """
    even = s < _NEARLY_EVEN
    y, level = _NODES, 1 + np.where(even, s, 0.0)[..., None] * _NODES
    pairs = (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)
    sums = [np.log(level) @ _SHARES, *((y**p / level**q) @ _SHARES for p, q in pairs)]
    t = np.where(even, 1.0, s)
    log, share = np.log1p(t), t / (1 + t)
    closed = (
        (1 + t) * log / t - 1,
        log / t,
        (t - log) / t**2,
        share / t,
        (log - share) / t**2,
        (t - 2 * log + share) / t**3,
    )
    return tuple(np.where(even, a, b) for a, b in zip(sums, closed, strict=True))


def _end_terms(x: FloatArray, base: FloatArray, r: FloatArray) -> tuple[FloatArray, ...]:
    """Compute the terms of Euler and Maclaurin at one end, DLMF 2.10.1, with derivatives."""
    w = 1 / (base + x * r)
    u = r * w
    phi = u / 12 - u**3 / 360 + u**5 / 1260  # in odd derivatives of the logarithm
    once, twice = 1 / 12 - u**2 / 120 + u**4 / 252, -u / 60 + u**3 / 63
    by_base, by_r = -u * w, base * w * w  # derivatives of u
    return (
        0.5 * np.log(w) + phi,
        -0.5 * w + once * by_base,
        -0.5 * x * w + once * by_r,
        0.5 * w * w + twice * by_base**2 + once * 2 * u * w * w,
        0.5 * x * w * w + twice * by_base * by_r + once * w * w * (2 * u * x - 1),
        0.5 * (x * w) ** 2 + twice * by_r**2 - once * 2 * base * x * w**3,
    )
