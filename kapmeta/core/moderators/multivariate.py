"""Dependent effects: random effects at several levels or of several outcomes.

Any sampling covariance is allowed.

The effects have covariance ``Phi = V + sum_j c_j G_j``. V is known, the G_j say which effects share
a random effect, and the c_j are variances (or covariances of outcomes). They are written as
squares, ``c_j = phi' A_j phi`` with free phi, so that a variance of 0 is an ordinary stationary
point and a matrix of outcomes stays positive semi-definite. The fit takes four steps:

1. Effects that share nothing are independent, so the covariance is block diagonal. The data become
   a stack of blocks, padded to one size by effects of unit variance, no moderators and value 0,
   which change nothing.
2. The (restricted) likelihood is computed on a grid of starts, and the best few are kept.
3. From each of these Newton's method climbs, with exact first and second derivatives [1]_.
4. Negligible variances are set to 0. The best of the maxima is returned, and the others with it.

References
----------
.. [1] Lindstrom MJ, Bates DM. Newton-Raphson and EM algorithms for linear mixed-effects models for
   repeated-measures data. J Am Stat Assoc 1988;83:1014-1022.
   https://doi.org/10.1080/01621459.1988.10478693
.. [2] Konstantopoulos S. Fixed effects and variance components estimation in three-level
   meta-analysis. Res Synth Methods 2011;2:61-76. https://doi.org/10.1002/jrsm.35
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kapmeta.core.moderators.regression import orthonormal
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.roots import bracketed_root

_MOST_CLIMBS = 200
_BEST_STARTS = 4  # of the grid, from which the search climbs
_SHARE_OF_GAIN = 0.05  # of the rise that the slope promises, the least that a step must bring
_NEGLIGIBLE_VARIANCE = 1e-10  # relative to the spread of the effects; tried at exactly 0
_GRID = 1e-3, 1e-2, 0.1, 0.5, 2.0  # of each variance, in units of the spread of the effects
_COARSE_GRID = 1e-2, 0.3  # with more than three variances
_CORRELATIONS = -0.5, 0.0, 0.5, 0.9


class Terms(NamedTuple):
    """Random effects: which effects share them, and their variances in terms of free parameters.

    Attributes
    ----------
    shared : ndarray, shape (J, n, n)
        The matrices G_j.
    squares : ndarray, shape (J, r, r)
        The matrices A_j of ``c_j = phi' A_j phi``.
    starts : ndarray, shape (s, r)
        Values of phi to begin from, for effects with unit spread.
    """

    shared: FloatArray
    squares: FloatArray
    starts: FloatArray


def levels(codes: Sequence[IntArray]) -> Terms:
    """Give each grouping of the effects one variance: effects of a group share a random effect.

    Parameters
    ----------
    codes : sequence of ndarray, each shape (n,)
        Group of each effect, outermost level first; the innermost often has one group per effect.
    """
    count = len(codes)
    shared = np.stack([code[:, None] == code[None, :] for code in codes]).astype(np.float64)
    values = np.sqrt(_GRID if count <= 3 else _COARSE_GRID)
    starts = np.stack(np.meshgrid(*[values] * count, indexing="ij"), axis=-1).reshape(-1, count)
    return Terms(shared, np.einsum("ja,jb->jab", np.eye(count), np.eye(count)), starts)


def outcomes(outcome: IntArray, cluster: IntArray) -> Terms:
    """Give the outcomes of a cluster correlated random effects, covariance matrix unstructured.

    The coefficients are the entries of that matrix in the order (0, 0), (1, 0), (1, 1), (2, 0) ...

    Parameters
    ----------
    outcome : ndarray of int, shape (n,)
        Outcome of each effect, 0, 1, ...
    cluster : ndarray of int, shape (n,)
        Trial of each effect.
    """
    q = int(outcome.max()) + 1
    row, column = np.tril_indices(q)
    together = (cluster[:, None] == cluster[None, :]).astype(np.float64)
    belongs = np.eye(q)[outcome]
    entries = list(zip(row.tolist(), column.tolist(), strict=True))
    shared = np.stack([together * _pairing(belongs, a, b) for a, b in entries])
    squares = np.zeros((row.size, row.size, row.size))
    for j, (a, b) in enumerate(entries):  # T_ab = sum_c L_ac L_bc
        for c in range(b + 1):
            first, second = entries.index((a, c)), entries.index((b, c))
            squares[j, first, second] += 0.5
            squares[j, second, first] += 0.5
    starts = [
        np.linalg.cholesky(variance * ((1 - rho) * np.eye(q) + rho))[row, column]
        for variance in _GRID
        for rho in _CORRELATIONS
        if rho > -1 / max(q - 1, 1)
    ]
    return Terms(shared, squares, np.array(starts))


def _pairing(belongs: FloatArray, a: int, b: int) -> FloatArray:
    pair = np.outer(belongs[:, a], belongs[:, b])
    return pair if a == b else pair + pair.T


class _Stack(NamedTuple):
    """Data of n effects in blocks: y (B, m), x (B, m, p), v (B, m, m), g (J, B, m, m)."""

    y: FloatArray
    x: FloatArray
    v: FloatArray
    g: FloatArray
    n: int


def blocks_of(pattern: BoolArray) -> IntArray:
    """Label the blocks of effects, 0, 1, ...

    Effects joined by a chain of non-zero entries of `pattern` share a block.
    """
    label = np.arange(len(pattern))
    while True:
        lowest = np.where(pattern, label[None, :], len(label)).min(axis=1)
        lowest = np.minimum(lowest, label)
        if (lowest == label).all():
            return np.unique(label, return_inverse=True)[1]
        label = lowest


def _stacked(y: FloatArray, v: FloatArray, x: FloatArray, shared: FloatArray) -> _Stack:
    # `index` holds, for each block and position in it, the effect that is there; -1 for padding
    block = blocks_of((v != 0) | (shared != 0).any(axis=0) | np.eye(len(y), dtype=bool))
    size = np.bincount(block)
    within = np.empty(len(y), dtype=int)
    within[np.argsort(block, kind="stable")] = np.concatenate([np.arange(s) for s in size])
    index = np.full((size.size, int(size.max())), -1)
    index[block, within] = np.arange(len(y))
    here = index >= 0
    pair = here[:, :, None] & here[:, None, :]
    row, column = np.where(pair, index[:, :, None], 0), np.where(pair, index[:, None, :], 0)
    fill = np.eye(index.shape[1]) * ~here[:, :, None]
    return _Stack(
        np.where(here, y[index], 0.0),
        np.where(here[..., None], x[index], 0.0),
        np.where(pair, v[row, column], fill),
        np.where(pair, shared[:, row, column], 0.0),
        len(y),
    )


class _Derivatives(NamedTuple):
    """Log-likelihood without constants, with first and second derivatives in the coefficients c."""

    value: float
    first: FloatArray
    second: FloatArray


class _Solved(NamedTuple):
    """Generalised least squares: W = Phi^-1 (B, m, m), beta, its covariance, ``W (y - x beta)``."""

    w: FloatArray
    beta: FloatArray
    covariance: FloatArray
    wr: FloatArray
    loglik: float


def _loglik(data: _Stack, c: FloatArray, restricted: bool) -> FloatArray:
    """Compute log-likelihoods, without constants, at coefficients `c` of shape (..., J)."""
    phi = data.v + np.einsum("...j,jbmn->...bmn", c, data.g)
    lower = np.linalg.cholesky(phi)
    both = np.concatenate([data.x, data.y[..., None]], axis=-1)
    half = np.linalg.solve(lower, np.broadcast_to(both, (*phi.shape[:-2], *both.shape[-2:])))
    cross = np.einsum("...bmi,...bmj->...ij", half, half)
    p = data.x.shape[-1]
    solved = np.linalg.solve(cross[..., :p, :p], cross[..., :p, p:])
    q = cross[..., p, p] - np.einsum("...i,...i->...", cross[..., :p, p], solved[..., 0])
    value = 2 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum((-2, -1)) + q
    if restricted:
        value = value + np.linalg.slogdet(cross[..., :p, :p])[1]
    return np.asarray(-0.5 * value)


def _solve(data: _Stack, c: FloatArray, restricted: bool) -> _Solved:
    """Solve generalised least squares at the coefficients `c`, one set."""
    phi = data.v + np.einsum("j,jbmn->bmn", c, data.g)
    inverse = np.linalg.inv(np.linalg.cholesky(phi))
    w = np.swapaxes(inverse, -1, -2) @ inverse
    half_x, half_y = inverse @ data.x, (inverse @ data.y[..., None])[..., 0]
    cross = np.einsum("bmi,bmj->ij", half_x, half_x)
    covariance = np.linalg.inv(cross)
    beta = np.linalg.solve(cross, np.einsum("bmi,bm->i", half_x, half_y))
    r = half_y - half_x @ beta
    value = -2 * np.log(np.diagonal(inverse, axis1=-2, axis2=-1)).sum() + (r * r).sum()
    value += np.linalg.slogdet(cross)[1] if restricted else 0.0
    wr = np.einsum("bnm,bn->bm", inverse, r)
    return _Solved(w, beta, covariance, wr, -0.5 * float(value))


def _likelihood_derivatives(data: _Stack, c: FloatArray, restricted: bool) -> _Derivatives:
    """Compute value and derivatives at `c` [1]_."""
    # With r = Py and u_j = G_j r:
    #   dl/dc_j       = (r'u_j - tr(P G_j)) / 2,
    #   d2l/dc_i dc_j = tr(P G_i P G_j) / 2 - u_i'P u_j.
    # P = W - W X (X'WX)^-1 X'W in the restricted likelihood; in the full one its traces have W.
    s = _solve(data, c, restricted)
    wg = s.w @ data.g
    u = np.einsum("jbmn,bn->jbm", data.g, s.wr)
    wu = np.einsum("bmn,jbn->jbm", s.w, u)
    wx = s.w @ data.x
    xwu = np.einsum("bmi,jbm->ji", wx, u)
    curvature = np.einsum("ibm,jbm->ij", u, wu) - xwu @ s.covariance @ xwu.T
    trace = np.einsum("jbmm->j", wg)
    square = np.einsum("ibmn,jbnm->ij", wg, wg)
    if restricted:
        gwx = data.g @ wx
        k = s.covariance @ np.einsum("bmi,jbml->jil", wx, gwx)
        third = np.einsum("ibma,bmn,jbnc->ijac", gwx, s.w, gwx, optimize=True)
        trace = trace - np.einsum("jaa->j", k)
        square = square - 2 * np.einsum("ac,ijca->ij", s.covariance, third)
        square = square + np.einsum("iac,jca->ij", k, k)
    quadratic = np.einsum("jbm,bm->j", u, s.wr)
    return _Derivatives(s.loglik, 0.5 * (quadratic - trace), 0.5 * square - curvature)


def _coefficients(squares: FloatArray, phi: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("...a,jab,...b->...j", phi, squares, phi))


class _Peak(NamedTuple):
    """A maximum: free parameters, coefficients and log-likelihood."""

    phi: FloatArray
    c: FloatArray
    value: float


def _newton_climb(
    data: _Stack, squares: FloatArray, phi: FloatArray, restricted: bool, free: BoolArray
) -> _Peak:
    """Climb by Newton's method in the `free` parameters, always uphill."""
    phi = phi.copy()
    here = _likelihood_derivatives(data, _coefficients(squares, phi), restricted)
    for _ in range(_MOST_CLIMBS):
        jacobian = 2 * np.einsum("jab,b->ja", squares, phi)
        gradient = (here.first @ jacobian)[free]
        bend = 2 * np.einsum("j,jab->ab", here.first, squares)
        hessian = jacobian.T @ here.second @ jacobian + bend
        step = np.zeros(phi.size)
        step[free] = _uphill(hessian[np.ix_(free, free)], gradient)
        gain = float(gradient @ step[free])
        phi, here, taken = _line_search(data, squares, phi, step, here, gain, restricted)
        if taken <= 4 * EPSILON * np.abs(phi).max():
            break
    return _Peak(phi, _coefficients(squares, phi), here.value)


def _uphill(hessian: FloatArray, gradient: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(hessian)
    size = np.abs(values)
    largest = size.max(initial=0.0)
    if largest == 0:
        return np.zeros(gradient.size)
    return np.asarray(vectors @ ((vectors.T @ gradient) / np.maximum(size, 1e-12 * largest)))


def _line_search(
    data: _Stack,
    squares: FloatArray,
    phi: FloatArray,
    step: FloatArray,
    here: _Derivatives,
    gain: float,
    restricted: bool,
) -> tuple[FloatArray, _Derivatives, float]:
    """Halve the step until the likelihood rises as the slope promises.

    Also returns the length taken; 0 where the likelihood cannot rise.
    """
    noise = 64 * EPSILON * (abs(here.value) + data.n)
    longest = max(float(np.abs(step).max()), np.finfo(np.float64).tiny)
    scale = min(1.0, max(np.abs(phi).max(), 0.1) / longest)
    while True:
        after = phi + scale * step
        there = _likelihood_derivatives(data, _coefficients(squares, after), restricted)
        rise = there.value - here.value
        if rise > _SHARE_OF_GAIN * scale * gain or scale * gain <= noise:
            break
        scale /= 2
    return (after, there, scale * float(np.abs(step).max())) if rise >= -noise else (phi, here, 0.0)


class Components(NamedTuple):
    """Fit of a model with several variance components, one data set.

    Attributes
    ----------
    beta : ndarray, shape (p,)
        Coefficients of the moderators.
    covariance : ndarray, shape (p, p)
        ``(X' Phi^-1 X)^-1``.
    c : ndarray, shape (J,)
        Variances (or entries of the covariance matrix of outcomes).
    phi : ndarray, shape (r,)
        The free parameters behind them, in units of the spread of the effects.
    loglik, loglik_restricted : float
        Log-likelihoods with all constants, the restricted one that of orthonormal contrasts.
    total : ndarray, shape (n, n)
        The covariance Phi of the effects.
    modes : tuple of ndarray
        Coefficients c at every maximum found, the best first.
    """

    beta: FloatArray
    covariance: FloatArray
    c: FloatArray
    phi: FloatArray
    loglik: float
    loglik_restricted: float
    total: FloatArray
    modes: tuple[FloatArray, ...]


class Problem(NamedTuple):
    """Data scaled to unit spread, with orthonormal moderators, in blocks."""

    data: _Stack
    terms: Terms
    triangle: FloatArray
    unit: float
    restricted: bool


def problem(
    y: FloatArray, v: FloatArray, x: FloatArray, terms: Terms, *, restricted: bool
) -> Problem:
    """Set up a fit of effects `y` (n,) with covariance `v` (n, n) and moderators `x` (n, p)."""
    z, triangle = orthonormal(x)
    residual = y - z @ (z.T @ y)
    n, p = x.shape
    spread = float(residual @ residual) / max(n - p, 1) + float(np.diagonal(v).min())
    unit = float(np.sqrt(spread))
    data = _stacked(y / unit, v / spread, z, terms.shared)
    return Problem(data, terms, triangle, unit, restricted)


def fit_components(
    y: FloatArray, v: FloatArray, x: FloatArray, terms: Terms, *, restricted: bool = True
) -> Components:
    """Fit by restricted or full maximum likelihood.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Effects on the analysis scale.
    v : ndarray, shape (n, n)
        Sampling covariance, positive definite.
    x : ndarray, shape (n, p)
        Design matrix of full column rank.
    terms : Terms
        Random effects, from `levels` or `outcomes`.
    restricted : bool
        REML or ML.
    """
    setting = problem(y, v, x, terms, restricted=restricted)
    peaks = maxima(setting)
    best = peaks[0]
    c = best.c * setting.unit**2
    solved = _solve(setting.data, best.c, restricted)
    inverse = np.linalg.inv(setting.triangle)
    full, limited = (_with_constants(setting, best.c, kind) for kind in (False, True))
    return Components(
        setting.unit * inverse @ solved.beta,
        setting.unit**2 * inverse @ solved.covariance @ inverse.T,
        c,
        best.phi,
        full,
        limited,
        v + np.einsum("j,jmn->mn", c, terms.shared),
        tuple(peak.c * setting.unit**2 for peak in peaks),
    )


def _with_constants(setting: Problem, c: FloatArray, restricted: bool) -> float:
    m = setting.data.n - (setting.data.x.shape[-1] if restricted else 0)
    value = float(_loglik(setting.data, c, restricted))
    return value - 0.5 * m * math.log(2 * math.pi) - m * math.log(setting.unit)


def maxima(setting: Problem) -> list[_Peak]:
    """Find the maxima of the likelihood reached from the best starts, best first, each once."""
    terms = setting.terms
    values = _loglik(setting.data, _coefficients(terms.squares, terms.starts), setting.restricted)
    free = np.ones(terms.starts.shape[1], dtype=bool)
    peaks: list[_Peak] = []
    for start in terms.starts[np.argsort(-values, kind="stable")[:_BEST_STARTS]]:
        peak = _newton_climb(setting.data, terms.squares, start, setting.restricted, free)
        peaks.append(_at_boundary(setting, peak, free))
    peaks.sort(key=lambda peak: -peak.value)
    distinct: list[_Peak] = []
    for peak in peaks:
        near = [
            np.abs(peak.c - other.c).max() <= 1e-5 * (1e-3 + np.abs(other.c).max())
            for other in distinct
        ]
        if not any(near):
            distinct.append(peak)
    return distinct


def _at_boundary(setting: Problem, peak: _Peak, free: BoolArray) -> _Peak:
    """Set negligible variances to exactly 0 where that is no worse."""
    data, squares = setting.data, setting.terms.squares
    own = np.einsum("jaa->ja", squares).sum(0) == 1  # parameters that are a standard deviation
    negligible = _NEGLIGIBLE_VARIANCE * max(1.0, peak.c.max(initial=0.0))
    small = own & free & (peak.phi**2 <= negligible)
    if not small.any():
        return peak
    start = np.where(small, 0.0, peak.phi)
    tried = _newton_climb(data, squares, start, setting.restricted, free & ~small)
    noise = 256 * EPSILON * (abs(peak.value) + data.n)
    return tried if tried.value >= peak.value - noise else peak


def profile_interval(
    y: FloatArray,
    v: FloatArray,
    x: FloatArray,
    terms: Terms,
    which: int,
    *,
    restricted: bool = True,
    level: float = 0.95,
) -> tuple[float, float]:
    """Find the profile-likelihood limits of variance `which` of a model of `levels`.

    The other variances are maximised out. The lower limit is 0 where the likelihood does not
    exclude it.
    """
    setting = problem(y, v, x, terms, restricted=restricted)
    best = maxima(setting)[0]
    cut = best.value - float(chi2_quantile(level, 1)) / 2
    free = np.arange(best.phi.size) != which

    def excess(c: FloatArray) -> FloatArray:
        values = [_profiled(setting, best.phi, which, float(value), free) for value in c]
        return np.array(values) - cut

    estimate = float(best.c[which])
    low = 0.0
    if excess(np.zeros(1))[0] < 0:
        low = float(bracketed_root(excess, [0.0], [estimate])[0])
    high = 2 * estimate + 0.1
    while excess(np.array([high]))[0] > 0:
        high *= 2
    high = float(bracketed_root(excess, [estimate], [high])[0])
    return low * setting.unit**2, high * setting.unit**2


def _profiled(
    setting: Problem, phi: FloatArray, which: int, value: float, free: BoolArray
) -> float:
    """Find the best log-likelihood with variance `which` held at `value`.

    Climbed to from the estimates and from below them.
    """
    data, squares = setting.data, setting.terms.squares
    others = np.maximum(np.abs(phi), 1e-2)
    starts = (np.where(free, others * scale, np.sqrt(value)) for scale in (1.0, 0.1))
    return max(
        _newton_climb(data, squares, start, setting.restricted, free).value for start in starts
    )


def cochran_residual_q(y: FloatArray, v: FloatArray, x: FloatArray) -> float:
    """Compute Cochran's residual Q with the sampling covariance `v`, without random effects."""
    z, _ = orthonormal(x)
    lower = np.linalg.cholesky(v)
    half = np.linalg.solve(lower, np.column_stack([z, y]))
    basis = np.linalg.qr(half[:, :-1])[0]
    residual = half[:, -1] - basis @ (basis.T @ half[:, -1])
    return float(residual @ residual)
