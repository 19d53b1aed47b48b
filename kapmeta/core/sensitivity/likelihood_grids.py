"""Posteriors and profile likelihoods of many sets of tables on one grid of mean and tau.

For simulation: equal tables come again and again, so the likelihood of each distinct table, its
trial effect averaged over the normal distribution of effects, is computed once on a fixed grid of
(tau, mean) and looked up afterwards. What is read off the grid is interpolated and right to about
1e-3 of the scale. One analysis of one's own data is `kapmeta.pool_bayes` or `kapmeta.pool_exact`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kapmeta.core.bayes.priors import TauPrior, log_density
from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.exact.marginal_likelihood import study_log_likelihood
from kapmeta.core.exact.tabulated_curves import tabulated
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile

_FARTHEST_MEAN, _MEANS = 10.0, 161
_LARGEST_TAU, _TAU_UNIT, _TAUS = 8.0, 0.15, 28
_FINER = 8  # points between two of the means, for interpolation
_DEEPEST = -1e4
_MOST_TABLES = 8000  # kept, 18 kB each


class Grid(NamedTuple):
    """Points of tau, equally spaced in w with tau = unit sinh(w), and of the mean."""

    tau: FloatArray
    tau_weight: FloatArray  # dtau/dw x step, half at 0, where all integrands are even
    mean: FloatArray
    finer: FloatArray  # the mean, more densely
    interpolation: FloatArray  # from values at `mean` to values at `finer`, shape (means, finer)


@lru_cache(maxsize=1)
def grid() -> Grid:
    """Build the grid that all tables share."""
    w = np.linspace(0.0, np.arcsinh(_LARGEST_TAU / _TAU_UNIT), _TAUS)
    weight = _TAU_UNIT * np.cosh(w) * (w[1] - w[0])
    weight[0] /= 2
    mean = np.linspace(-_FARTHEST_MEAN, _FARTHEST_MEAN, _MEANS)
    finer = np.linspace(-_FARTHEST_MEAN, _FARTHEST_MEAN, (_MEANS - 1) * _FINER + 1)
    return Grid(_TAU_UNIT * np.sinh(w), weight, mean, finer, _spline_matrix())


def _spline_matrix() -> FloatArray:
    """Build the matrix of natural cubic spline interpolation, shape (means, finer points)."""
    n = _MEANS
    # 1. second derivatives at the points, in units of the spacing: a tridiagonal system
    system = 4 * np.eye(n - 2) + np.eye(n - 2, k=1) + np.eye(n - 2, k=-1)
    differences = np.zeros((n - 2, n))
    rows = np.arange(n - 2)
    differences[rows, rows], differences[rows, rows + 1], differences[rows, rows + 2] = 1, -2, 1
    bend = np.zeros((n, n))
    bend[1:-1] = np.linalg.solve(system, 6 * differences)
    # 2. the cubic of each interval at its finer points
    place = np.arange((n - 1) * _FINER + 1) / _FINER
    left = np.minimum(place.astype(np.int64), n - 2)
    u = place - left
    unit = np.eye(n)
    matrix = (1 - u)[:, None] * unit[left] + u[:, None] * unit[left + 1]
    matrix += ((1 - u) ** 3 - (1 - u))[:, None] * bend[left] / 6
    matrix += (u**3 - u)[:, None] * bend[left + 1] / 6
    return np.ascontiguousarray(matrix.T)


@lru_cache(maxsize=_MOST_TABLES)
def _one_table(measure: str, a: float, b: float, c: float, d: float) -> FloatArray | None:
    """Compute the log-likelihood of one table on the grid; None if it has no contrast."""
    study = tabulated(measure, Tables(*(np.array([x]) for x in (a, b, c, d))))[0]
    if not study.informative:
        return None
    points = grid()
    tau, mean = np.broadcast_arrays(points.tau[:, None], points.mean)
    values = study_log_likelihood(study, mean.ravel(), tau.ravel())
    return np.maximum(values, _DEEPEST).astype(np.float32)


def likelihood_surfaces(tables: Tables, measure: str) -> tuple[FloatArray, FloatArray]:
    """Compute the log-likelihood of each set of tables on the grid, and its number of tables.

    Parameters
    ----------
    tables : Tables
        Cells of shape (sets, k).
    measure : {"RR", "OR"}
        Scale of the effects.

    Returns
    -------
    ndarray of shape (sets, taus, means), ndarray of shape (sets,)
        Sums over the tables with a contrast, and their number.
    """
    cells = np.stack([np.asarray(cell, dtype=np.float64) for cell in tables], axis=-1)
    sets, k = cells.shape[:2]
    distinct, place = np.unique(cells.reshape(-1, 4), axis=0, return_inverse=True)
    place = place.reshape(sets, k)
    known = [_one_table(measure, *(float(x) for x in row)) for row in distinct]
    informative = np.array([values is not None for values in known])
    flat = np.zeros(_TAUS * _MEANS, dtype=np.float32)
    stack: FloatArray = np.stack([flat if values is None else values for values in known])
    total = np.zeros((sets, flat.size))
    for column in range(k):
        total += np.asarray(stack[place[:, column]], dtype=np.float64)
    return total.reshape(sets, _TAUS, _MEANS), informative[place].sum(-1)


def relative_likelihoods(surfaces: FloatArray) -> FloatArray:
    """Compute the likelihoods from their logarithms, relative to the highest of each set."""
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(surfaces - surfaces.max(axis=(1, 2), keepdims=True)))


def posterior_limits(
    likelihoods: FloatArray, prior: TauPrior, mu_prior: tuple[float, float], level: float
) -> tuple[FloatArray, FloatArray]:
    """Find the central limits of the mean under a prior of tau and a normal prior of the mean.

    `likelihoods` are those of `relative_likelihoods`.
    """
    points, (m0, s0) = grid(), mu_prior
    weight = np.exp(log_density(prior, points.tau)) * points.tau_weight
    height = np.einsum("t,stm->sm", weight, likelihoods)
    log_mean = np.log(np.maximum(height, 1e-300)) - 0.5 * ((points.mean - m0) / s0) ** 2
    log_fine = (log_mean - log_mean.max(-1, keepdims=True)) @ points.interpolation
    with np.errstate(under="ignore"):
        density = np.exp(np.minimum(log_fine, 1.0))
    area = np.cumsum(0.5 * (density[:, 1:] + density[:, :-1]), axis=-1)
    area = np.concatenate([np.zeros((len(area), 1)), area], axis=1) / area[:, -1:]
    tail = (1 - level) / 2
    low, high = (_grid_crossing(area >= p, area - p) for p in (tail, 1 - tail))
    return low, high


def profile_limits(surfaces: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Find the limits of the mean by profile likelihood; infinite where the grid ends before."""
    points = grid()
    profile = _highest_over_tau(surfaces) @ points.interpolation
    drop = profile - profile.max(-1, keepdims=True) + 0.5 * float(chi2_quantile(level, 1))
    high = _crossing_beyond(drop)
    low = -_crossing_beyond(drop[:, ::-1])
    return low, high


def _highest_over_tau(surfaces: FloatArray) -> FloatArray:
    """Find the maximum over tau, by a parabola in w through the highest point and its two sides."""
    # the likelihood is even in tau: at tau = 0 both sides are alike
    padded = np.concatenate([surfaces[:, 1:2], surfaces, surfaces[:, -1:]], axis=1)
    at = surfaces.argmax(axis=1)[:, None]
    before, here, after = (np.take_along_axis(padded, at + s, axis=1)[:, 0] for s in (0, 1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (after - before) ** 2 / (8 * (2 * here - before - after))
    return np.asarray(here + np.where(np.isfinite(gain), gain, 0.0))


def _grid_crossing(beyond: BoolArray, excess: FloatArray) -> FloatArray:
    """Interpolate where the area first reaches its target, on the finer means."""
    rows, right = np.arange(len(excess)), np.maximum(beyond.argmax(-1), 1)
    below, above = excess[rows, right - 1], excess[rows, right]
    finer = grid().finer
    return np.asarray(finer[right - 1] + (finer[1] - finer[0]) * below / (below - above))


def _crossing_beyond(drop: FloatArray) -> FloatArray:
    """Find the last point at which the drop is not negative, interpolated; infinite at the end."""
    finer, rows = grid().finer, np.arange(len(drop))
    last = finer.size - 1 - (drop[:, ::-1] >= 0).argmax(-1)
    inside = np.minimum(last, finer.size - 2)
    here, after = drop[rows, inside], drop[rows, inside + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = finer[inside] + (finer[1] - finer[0]) * here / (here - after)
    return np.where(last == finer.size - 1, np.inf, at)
