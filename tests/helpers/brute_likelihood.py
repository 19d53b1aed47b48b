"""The likelihoods of binomial random-effects models by brute force: slow, and without the package.

Each table's log-likelihood is taken on a fine grid of effects. The average over effects is a sum
over Gauss-Legendre panels with an end at no effect, for means and taus on grids. Nothing is
searched for: a grid has a highest point.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Rows = list[tuple[int, int, int, int]]

MEANS = np.unique(np.round(np.concatenate([np.linspace(-6, 6, 97), np.linspace(-0.5, 0.5, 41)]), 9))
TAUS = np.concatenate([[0.0], np.geomspace(0.05, 6, 36)])

_FARTHEST, _NARROW = 14.0, 0.1
_NODES, _SHARES = np.polynomial.legendre.leggauss(8)


class Grid(NamedTuple):
    """Log-likelihood at every pair of mean and tau, shape (means, taus)."""

    means: Array
    taus: Array
    loglik: Array

    @property
    def profile(self) -> Array:
        """Highest value at each mean."""
        return np.asarray(self.loglik.max(1))


def _panels(edges: Array) -> tuple[Array, Array]:
    """Return points and shares of panels between edges."""
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + _NODES)).ravel(), (half * _SHARES).ravel()


@cache
def _effects() -> tuple[Array, Array]:
    """Return the points of effects and their shares."""
    return _panels(np.linspace(-_FARTHEST, _FARTHEST, 281))


def risk_ratio_curve(row: tuple[int, int, int, int], theta: Array) -> Array:
    """Maximise the likelihood of a table over the control risk at each log risk ratio.

    The best control risk is a root of the quadratic of Miettinen and Nurminen (1985), eq. (10), as
    it is printed.
    """
    a, n1, c, n2 = row
    ratio = np.exp(theta)
    second, first, constant = (n1 + n2) * ratio, -(ratio * n1 + a + n2 + ratio * c), a + c
    root = np.sqrt(np.maximum(first * first - 4 * second * constant, 0.0))
    control = np.minimum((-first - root) / (2 * second), np.minimum(1.0, 1 / ratio))
    treated = np.minimum(ratio * control, 1.0)
    # an arm of nothing but events: its risk is 1 to rounding, or well below
    treated = np.where((a == n1) & (1 - treated < 1e-13), 1.0, treated)
    control = np.where((c == n2) & (1 - control < 1e-13), 1.0, control)
    found = np.zeros(theta.shape)
    for x, n, p in ((a, n1, treated), (c, n2, control)):
        found += special.xlogy(x, p) + special.xlog1py(n - x, -p) + np.log(special.binom(n, x))
    return found


def odds_ratio_curve(row: tuple[int, int, int, int], theta: Array) -> Array:
    """Take the probability of the treated events given all events at each log odds ratio."""
    a, n1, c, n2 = row
    x = np.arange(max(0, a + c - n2), min(n1, a + c) + 1)
    weights = np.log(special.binom(n1, x) * special.binom(n2, a + c - x))
    total = special.logsumexp(weights[:, None] + x[:, None] * theta, axis=0)
    return np.asarray(weights[x == a][0] + a * theta - total)


CURVES = {"RR": risk_ratio_curve, "OR": odds_ratio_curve}


def _log_averages(curves: Array, density: Array, mean: Array, tau: float) -> Array:
    """Return the logarithm of each table's average at every mean, shape (means, tables).

    Beyond the farthest effects a curve keeps its last value.
    """
    tops = curves.max(1)
    with np.errstate(under="ignore", divide="ignore"):
        likelihood = np.exp(curves - tops[:, None])
        total = density @ likelihood.T
        for end, side in ((0, 1.0), (-1, -1.0)):
            beyond = special.ndtr(side * (np.sign(end + 0.5) * -_FARTHEST - mean) / tau)
            total += beyond[:, None] * likelihood[:, end]
        return np.asarray(np.log(total) + tops)


@cache
def _kernel(tau: float) -> Array:
    """Return the shares of the effects at every mean, shape (means, effects)."""
    points, shares = _effects()
    z = (points - MEANS[:, None]) / tau
    return np.asarray(np.exp(-0.5 * z * z) / (tau * np.sqrt(2 * np.pi)) * shares)


def grid_log_likelihood(measure: str, rows: Rows) -> Grid:
    """Compute the log-likelihood of mean and tau on a fixed grid."""
    curve = CURVES[measure]
    curves = np.stack([curve(row, _effects()[0]) for row in rows])
    columns = [np.sum([curve(row, MEANS) for row in rows], axis=0)]
    for tau in TAUS[1:].tolist():
        columns.append(_log_averages(curves, _kernel(tau), MEANS, tau).sum(1))
    return Grid(MEANS, TAUS, np.stack(columns, axis=1))


def profile_at(measure: str, rows: Rows, mean: float) -> float:
    """Take the highest log-likelihood at one mean over a fine grid of tau."""
    curve, (points, shares) = CURVES[measure], _effects()
    found = [sum(float(curve(row, np.array([mean]))[0]) for row in rows)]
    curves = np.stack([curve(row, points) for row in rows])
    for tau in np.geomspace(1e-3, 80, 380).tolist():
        if tau < _NARROW:  # points of x, with a panel end at no effect
            edges = np.linspace(-9, 9, 25)
            x, share = _panels(np.sort(np.append(edges, np.clip(-mean / tau, -9, 9))))
            density = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) * share
            each = [np.log(np.exp(curve(row, mean + tau * x)) @ density) for row in rows]
        else:
            z = (points - mean) / tau
            density = np.exp(-0.5 * z * z) / (tau * np.sqrt(2 * np.pi)) * shares
            each = _log_averages(curves, density[None], np.array([mean]), tau)[0].tolist()
        found.append(sum(each))
    return max(found)


def risk_difference_curve(row: tuple[int, int, int, int], delta: Array) -> Array:
    """Maximise the likelihood of a table over the control risk at each risk difference.

    The log-likelihood is concave in the control risk: thirds of its range are cut away.
    """
    a, n1, c, n2 = row
    low, high = np.maximum(0.0, -delta), np.minimum(1.0, 1 - delta)

    def loglik(control: Array) -> Array:
        treated = np.clip(control + delta, 0.0, 1.0)
        found = np.log(special.binom(n1, a)) + np.log(special.binom(n2, c)) + np.zeros(delta.shape)
        for x, n, p in ((a, n1, treated), (c, n2, np.clip(control, 0.0, 1.0))):
            found = found + special.xlogy(x, p) + special.xlog1py(n - x, -p)
        return np.asarray(found)

    best = np.maximum(loglik(low), loglik(high))
    for _ in range(80):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        rising = loglik(first) < loglik(second)
        low, high = np.where(rising, first, low), np.where(rising, high, second)
    return np.maximum(best, loglik(0.5 * (low + high)))
