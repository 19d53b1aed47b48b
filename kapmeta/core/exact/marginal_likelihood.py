"""Marginal likelihood of mean and tau, effects normal, on likelihood curves.

With the effect of study i ``theta_i = mu + tau x``, the likelihood of a study is the average of its
curve over x. Where tau is wide against the spacing of the tabulated curve the average is the plain
sum over its points, whose error falls exponentially; where it is narrow the curve is taken at
Gauss-Hermite points of x. The derivatives are averages over the same points [1]_.

References
----------
.. [1] Louis TA. Finding the observed information matrix when using the EM algorithm. J R Stat Soc B
   1982;44:226-233.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.exact.likelihood_curves import Tabulated, Values, extended
from kapmeta.core.numerics.arrays import FloatArray

_NARROW = 1.25  # steps of a curve; below this tau the sum over its points would be too coarse
_FEW_POINTS = 64
_HERMITE_POINTS, _HERMITE_SHARES = special.roots_hermitenorm(16)
_HERMITE_SHARES = _HERMITE_SHARES / _HERMITE_SHARES.sum()
# the narrower tau against the curve, the fewer points do
_RULES = tuple(
    (ratio, *special.roots_hermitenorm(n))
    for ratio, n in ((1e-5, 1), (0.03, 4), (0.15, 8), (math.inf, 16))
)


class Marginal(NamedTuple):
    """Log-likelihood at points (mu, tau), its gradient (..., 2) and Hessian (..., 2, 2)."""

    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray


def _log_total(log_terms: FloatArray) -> FloatArray:
    """Compute the logarithm of the sum of exponentials over the last axis."""
    top = log_terms.max(-1)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", under="ignore"):
        return np.asarray(np.log(np.exp(log_terms - top[..., None]).sum(-1)) + top)


def study_log_likelihood(study: Tabulated, mu: FloatArray, tau: FloatArray) -> FloatArray:
    """Compute one study's log-likelihood, relative to the top of its curve.

    `mu` and `tau` are arrays of equal shape.
    """
    out: FloatArray = np.empty(mu.shape)
    wide = tau > _NARROW * study.step
    if wide.any():
        out[wide] = _over_points(study, mu[wide], tau[wide])
    done = wide
    for ratio, x, weight in _RULES:
        rows = ~done & (tau <= ratio * study.width)
        done = done | rows
        if rows.any():
            values = _values_at(study, mu[rows][:, None] + tau[rows][:, None] * x)
            out[rows] = _log_total(values.loglik + np.log(weight / weight.sum()))
    return out


def _over_points(study: Tabulated, mu: FloatArray, tau: FloatArray) -> FloatArray:
    """Sum over the points of the curve, and over its plateaus beyond them."""
    inverse = 1 / (tau * math.sqrt(2))
    z = study.theta * inverse[:, None] - (mu * inverse)[:, None]
    np.multiply(z, z, out=z)
    np.subtract(study.relative, z, out=z)
    with np.errstate(under="ignore"):
        total = np.exp(z, out=z).sum(-1) * inverse * (study.step / math.sqrt(math.pi))
    for end, sign, level in ((0, -1.0, study.plateau[0]), (-1, 1.0, study.plateau[1])):
        if level:
            x = (study.theta[end] - mu) / tau
            density = np.exp(-x * x / 2) / (tau * math.sqrt(2 * math.pi))
            # half of the last point belongs to the tail; then the first term of Euler and Maclaurin
            total += level * (special.ndtr(-sign * x) - 0.5 * study.step * density)
            total += level * study.step**2 / 12 * sign * x / tau * density
    with np.errstate(divide="ignore"):
        found = np.asarray(np.log(total))
    lost = np.flatnonzero(~(total > 1e-290))
    if lost.size:  # far from the curve: once more on the logarithmic scale
        found[lost] = _far_out(study, mu[lost], tau[lost])
    return found


def _far_out(study: Tabulated, mu: FloatArray, tau: FloatArray) -> FloatArray:
    """Sum over the points on the logarithmic scale, for means far from the curve."""
    exponent = study.relative - 0.5 * ((study.theta - mu[:, None]) / tau[:, None]) ** 2
    return np.asarray(_log_total(exponent) + np.log(study.step / (tau * math.sqrt(2 * math.pi))))


def _at_hermite(study: Tabulated, mu: FloatArray, tau: FloatArray) -> Values:
    """Evaluate the curve, relative to its top, at the Gauss-Hermite points of each (mu, tau)."""
    if not tau.any():
        found = _values_at(study, mu[:, None])
        return Values(*(np.broadcast_to(part, (mu.size, _HERMITE_POINTS.size)) for part in found))
    return _values_at(study, mu[:, None] + tau[:, None] * _HERMITE_POINTS)


def _values_at(study: Tabulated, theta: FloatArray) -> Values:
    """Evaluate the curve relative to its top, interpolating where that is cheaper.

    At few points the curve itself is evaluated.
    """
    if study.smooth and theta.size > _FEW_POINTS:
        return between_points(study, theta)
    found = study.curve(study.table, theta.reshape(1, -1))
    values = Values(*(part.reshape(theta.shape) for part in found))
    return values._replace(loglik=values.loglik - study.top)


def between_points(study: Tabulated, theta: FloatArray) -> Values:
    """Interpolate the curve by quintics in value, slope and curvature; parabolas beyond."""
    place = (np.clip(theta, study.theta[0], study.theta[-1]) - study.theta[0]) / study.step
    i = np.clip(place.astype(np.int64), 0, study.theta.size - 2)
    u, h = place - i, study.step
    f0, f1 = study.relative[i], study.relative[i + 1]
    g0, g1 = h * study.slope[i], h * study.slope[i + 1]
    c0, c1 = 0.5 * h * h * study.curvature[i], 0.5 * h * h * study.curvature[i + 1]
    p, q, r = f1 - f0 - g0 - c0, g1 - g0 - 2 * c0, c1 - c0
    c3, c4, c5 = 10 * p - 4 * q + r, -15 * p + 7 * q - 2 * r, 6 * p - 3 * q + r
    value = f0 + u * (g0 + u * (c0 + u * (c3 + u * (c4 + u * c5))))
    slope = g0 + u * (2 * c0 + u * (3 * c3 + u * (4 * c4 + u * 5 * c5)))
    curvature = 2 * c0 + u * (6 * c3 + u * (12 * c4 + u * 20 * c5))
    beyond = (theta - np.clip(theta, study.theta[0], study.theta[-1])) / h
    value, slope = value + beyond * (slope + beyond * curvature / 2), slope + beyond * curvature
    return Values(value, slope / h, curvature / (h * h))


def marginal_log_likelihood(
    studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray
) -> FloatArray:
    """Compute the log-likelihood of all studies at arrays `mu` and `tau` of equal shape."""
    mu, tau = np.broadcast_arrays(np.asarray(mu, np.float64), np.asarray(tau, np.float64))
    flat_mu, flat_tau = mu.ravel(), tau.ravel()
    total = np.zeros(flat_mu.size)
    for study in studies:
        total += study_log_likelihood(study, flat_mu, flat_tau) + study.top
    return total.reshape(mu.shape)


def marginal(studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray) -> Marginal:
    """Compute the log-likelihood with its derivatives in (mu, tau).

    `mu` and `tau` have shape (points,).
    """
    value = np.zeros(mu.size)
    gradient = np.zeros((mu.size, 2))
    hessian = np.zeros((mu.size, 2, 2))
    for study in studies:
        wide = tau > _NARROW * study.step
        for used, points in ((wide, _grid_terms), (~wide, _hermite_terms)):
            rows = np.flatnonzero(used)
            if rows.size:
                x, log_weight, slope, bend = points(study, mu[rows], tau[rows])
                total = _log_total(log_weight)
                weight = np.exp(log_weight - total[:, None])
                value[rows] += total + study.top
                g, h = _louis(weight, x, slope, bend)
                gradient[rows] += g
                hessian[rows] += h
    return Marginal(value, gradient, hessian)


def _grid_terms(study: Tabulated, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, ...]:
    """Return deviations, log weights, slopes and curvatures at the points of the curve.

    The points continue along its plateaus.
    """
    far = 9 * float(tau.max())
    theta, values = extended(study, float(mu.min()) - far, float(mu.max()) + far)
    x = (theta - mu[:, None]) / tau[:, None]
    density = np.log(study.step / (tau[:, None] * math.sqrt(2 * math.pi)))
    log_weight = values.loglik - x * x / 2 + density
    return x, log_weight, values.slope, values.curvature


def _hermite_terms(study: Tabulated, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, ...]:
    """Return deviations, log weights, slopes and curvatures at the Gauss-Hermite points."""
    values = _at_hermite(study, mu, tau)
    x = np.broadcast_to(_HERMITE_POINTS, values.loglik.shape)
    return x, values.loglik + np.log(_HERMITE_SHARES), values.slope, values.curvature


def _louis(
    w: FloatArray, x: FloatArray, slope: FloatArray, bend: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Average the complete-data derivatives into gradient and Hessian, [1] eq. (3.1)."""
    first = w * slope
    by_mu, by_tau = first.sum(-1), (first * x).sum(-1)
    second = first * slope + w * bend
    across = (second * x).sum(-1)
    gradient = np.stack([by_mu, by_tau], axis=-1)
    along = np.stack([second.sum(-1), across, across, (second * x * x).sum(-1)], axis=-1)
    return gradient, along.reshape(-1, 2, 2) - gradient[:, :, None] * gradient[:, None, :]
