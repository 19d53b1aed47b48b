"""Marginal likelihood of mean and tau, effects normal, on likelihood curves.

With the effect of study i ``theta_i = mu + tau x``, the likelihood of a study is the average of its
curve over x. Where tau is wide against the spacing of the tabulated curve the average is the plain
sum over its points, whose error falls exponentially; where it is narrow the curve is taken at
Gauss-Hermite points of x. A curve that is not smooth has panels that end at its bend. The
derivatives are averages over the same points [1]_, and where the slope jumps the jump is a term of
its own.

References
----------
.. [1] Louis TA. Finding the observed information matrix when using the EM algorithm. J R Stat Soc B
   1982;44:226-233.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.exact.likelihood_curves import Values
from kapmeta.core.exact.tabulated_curves import Panels, Tabulated, extended
from kapmeta.core.numerics.arrays import FloatArray, IntArray

_NARROW = 1.25  # steps of a curve; below this tau the sum over its points would be too coarse
_FEW_POINTS = 64
_FARTHEST_X = 9.5  # standard deviations of the effects that are looked at
_NEAR_X = 1.5  # standard deviations about a bend that have panels of their own
_INNER, _OUTER = (np.polynomial.legendre.leggauss(n) for n in (16, 32))
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
    if study.panels is not None:
        return _over_panels(study, study.panels, mu, tau)
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
        for rows, points in _rules_of(study, tau):
            if rows.size:
                x, log_weight, slope, bend = points(study, mu[rows], tau[rows])
                total = _log_total(log_weight)
                weight = np.exp(log_weight - total[:, None])
                value[rows] += total + study.top
                g, h = _louis(weight, x, slope, bend)
                gradient[rows] += g
                hessian[rows] += h + _at_jump(study, mu[rows], tau[rows], total)
    return Marginal(value, gradient, hessian)


_Points = Callable[[Tabulated, FloatArray, FloatArray], tuple[FloatArray, ...]]


def _rules_of(study: Tabulated, tau: FloatArray) -> list[tuple[IntArray, _Points]]:
    """Divide the rows of `tau` among the rules of integration of one study."""
    if study.panels is None:
        wide, rules = tau > _NARROW * study.step, (_grid_terms, _hermite_terms)
    else:
        wide, rules = tau > 0.5 * study.panels.length, (_panel_terms, _half_terms)
    return [(np.flatnonzero(wide), rules[0]), (np.flatnonzero(~wide), rules[1])]


def _over_panels(study: Tabulated, panels: Panels, mu: FloatArray, tau: FloatArray) -> FloatArray:
    """Integrate one curve that is not smooth; `mu` and `tau` have shape (points,)."""
    out: FloatArray = np.empty(mu.shape)
    for rows, points in _rules_of(study, tau):
        if rows.size:
            out[rows] = _log_total(points(study, mu[rows], tau[rows])[1])
    return out


def _panel_terms(study: Tabulated, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, ...]:
    """Return deviations, log weights, slopes and curvatures at the points of the panels.

    Two more points stand for the plateaus before the first panel and after the last.
    """
    assert study.panels is not None
    panels, values = study.panels, study.panels.values
    x = (panels.theta - mu[:, None]) / tau[:, None]
    density = panels.log_share - np.log(tau[:, None] * math.sqrt(2 * math.pi))
    columns = [values.loglik - x * x / 2 + density]
    for level, side, end in zip(study.plateau, (1.0, -1.0), study.theta[[0, -1]], strict=True):
        beyond = special.log_ndtr(side * (end - mu) / tau) + (math.log(level) if level else -np.inf)
        columns.append(beyond[:, None])
    pad = [(0, 0), (0, 2)]
    slope, bend = (np.pad(part[None], pad) for part in values[1:])
    return np.pad(x, pad), np.concatenate(columns, axis=1), slope, bend


def _half_terms(study: Tabulated, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, ...]:
    """Return the same at Gauss-Legendre points of x on either side of the bend."""
    assert study.panels is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.nan_to_num((study.panels.bend - mu) / tau)
    ends: list[FloatArray | float] = [
        -_FARTHEST_X,
        *(place + d for d in (-_NEAR_X, 0.0, _NEAR_X)),
        _FARTHEST_X,
    ]
    edges = [np.clip(end, -_FARTHEST_X, _FARTHEST_X)[..., None] for end in ends]
    parts = list(zip(edges[:-1], edges[1:], (_OUTER, _INNER, _INNER, _OUTER), strict=True))
    x = np.concatenate([0.5 * (a + b + (b - a) * rule[0]) for a, b, rule in parts], axis=1)
    share = np.concatenate([0.5 * (b - a) * rule[1] for a, b, rule in parts], axis=1)
    theta = mu[:, None] + tau[:, None] * x
    found = study.curve(study.table, theta.reshape(1, -1))
    loglik, slope, bend = (part.reshape(theta.shape) for part in found)
    with np.errstate(divide="ignore"):
        log_share = np.log(share / math.sqrt(2 * math.pi))
    return x, loglik - study.top - x * x / 2 + log_share, slope, bend


def _at_jump(
    study: Tabulated, mu: FloatArray, tau: FloatArray, total: FloatArray
) -> FloatArray | float:
    """Return the part of the Hessian that comes from a jump of the slope; nil where tau is 0."""
    if study.panels is None or not study.panels.jump:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = (study.panels.bend - mu) / tau
        density = np.exp(-x * x / 2 - total) / (tau * math.sqrt(2 * math.pi))
        part = np.where(tau > 0, study.panels.jump * density, 0.0)
        x = np.where(part == 0, 0.0, x)
    return np.asarray((part * np.stack([np.ones_like(x), x, x, x * x])).T.reshape(-1, 2, 2))


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
