"""Henmi and Copas's interval: the common-effect estimate with a random-effects interval.

References
----------
.. [1] Henmi M, Copas JB. Confidence intervals for random effects meta-analysis and robustness to
   publication bias. Stat Med 2010;29:2969-2983. https://doi.org/10.1002/sim.4029
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.heterogeneity.tau2 import dersimonian_laird
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.numerics.weighting import count, mean_and_residuals, weights

# Gauss-Legendre panels and nodes from x to x + 10, beyond which the normal tail is negligible
_PANELS, _PANEL_NODES, _BEYOND = 20, 16, 10.0
_ROWS_AT_ONCE = 1000  # bounds the memory of the quadrature
_CRITICAL = 1e-6, 38.0  # holds the critical value of every level a float64 can hold


class HenmiCopas(NamedTuple):
    """Common-effect estimate, its random-effects standard error and the limits."""

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray


def henmi_copas_limits(y: FloatArray, v: FloatArray, level: float) -> HenmiCopas:
    """Compute the interval for rows with at least two valid studies, shape (n, k).

    The pivot is ``(estimate - mean) / se`` with se from DerSimonian and Laird's tau2. Its null
    distribution is found by integrating, over the standardised estimate, the chance that Q is small
    enough; Q given the estimate is taken as gamma with the first two conditional moments [1]_.
    """
    w = weights(v)
    mean, _ = mean_and_residuals(y, w)
    w1 = w.sum(-1)
    w2, w3, w4 = ((w / w1[:, None] * w ** (j - 1)).sum(-1) for j in (2, 3, 4))
    df = np.asarray(count(v) - 1, dtype=np.float64)
    moments = _Moments(w1, w2, w3, w4, dersimonian_laird(y, v), df)
    x = []
    for start in range(0, len(y), _ROWS_AT_ONCE):
        block = _Moments(*(part[start : start + _ROWS_AT_ONCE] for part in moments))
        x.append(_critical_value(block, (1 - level) / 2))
    ratio = moments.variance_ratio
    se = np.sqrt(ratio / w1)
    half = np.sqrt(ratio) * np.concatenate(x) * se
    return HenmiCopas(mean, se, mean - half, mean + half)


class _Moments(NamedTuple):
    """``W1 = sum(w)``, ``Wj = sum(w^j) / W1`` of common-effect weights [1]_, tau2 and k - 1."""

    w1: FloatArray
    w2: FloatArray
    w3: FloatArray
    w4: FloatArray
    tau2: FloatArray
    df: FloatArray

    @property
    def variance_ratio(self) -> FloatArray:
        """Variance of the estimate under tau2, in units of the common-effect variance."""
        return 1 + self.tau2 * self.w2

    def q_moments(self, r: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Compute mean and variance of Q, given the standardised estimate `r` (n, nodes)."""
        w1, w2, w3, w4, t, df = (part[:, None] for part in self)
        vr = 1 + t * w2
        spread3 = w3 - w2 * w2
        moved = (r * r - 1) / vr
        mean = df + t * (w1 - w2) + t**2 * moved * spread3
        variance = (
            2 * df
            + 4 * t * (w1 - w2)
            + 2 * t**2 * (w1 * w2 - 2 * w3 + w2 * w2)
            + 4 * t**2 * moved * spread3
            + 4 * t**3 * moved * (w4 - 2 * w2 * w3 + w2**3)
            + 2 * t**4 * (1 - 2 * r * r) / vr**2 * spread3**2
        )
        return mean, variance


def _critical_value(moments: _Moments, tail: float) -> FloatArray:
    """Find the x with ``integral_x^inf P(Q < finv(r / x) | r) phi(r) dr = tail``.

    By composite Gauss-Legendre quadrature.
    """
    nodes, node_weights = special.roots_legendre(_PANEL_NODES)
    width = _BEYOND / _PANELS
    offset = (width * (np.arange(_PANELS)[:, None] + (nodes + 1) / 2)).ravel()
    offset_weight = np.tile(width / 2 * node_weights, _PANELS)
    slope = (moments.w1 / moments.w2 - 1)[:, None]

    def excess(x: FloatArray) -> FloatArray:
        r = x[:, None] + offset
        mean, variance = moments.q_moments(r)
        q = slope * ((r / x[:, None]) ** 2 - 1) + moments.df[:, None]
        # a conditional variance that is not positive (one dominating study, far r) means Q is known
        spread = np.maximum(variance, 1e-12 * mean * mean)
        below = special.gammainc(mean * mean / spread, q * mean / spread)
        density = np.exp(-r * r / 2) / np.sqrt(2 * np.pi)
        return np.asarray((below * density * offset_weight).sum(-1) - tail)

    return bracketed_root(excess, *(np.full(len(moments.w1), end) for end in _CRITICAL))
