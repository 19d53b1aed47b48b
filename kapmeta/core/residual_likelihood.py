"""Residual heterogeneity beside moderators: projections, and the global (restricted) likelihood maximum.

With weights ``w = 1/(v + tau2)``, moderators X and ``P = W - W X (X'WX)^-1 X'W``, twice the score in tau2 is
``A - B`` with ``A = y'PPy`` and ``B = tr P`` (restricted) or ``B = sum(w)`` (full) [1]_. Both fall as tau2
grows, with slopes ``-2 y'PPPy`` and ``-tr PP`` (``-sum(w^2)``) that shrink. So on a cell [t1, t2] the score
and its slope are bounded from the two ends, as they are without moderators in
`kapmeta.core.variance_likelihood`: cells that cannot hold the highest maximum are dropped, cells that hold
one maximum are searched by Newton steps, the others are halved.

Every quantity is computed from an orthonormal basis of ``sqrt(w) X``, column by column for all rows at once:
the inner products lose nothing to moderators on large or shifted scales.

References
----------
.. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model.
   J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.weighting import count

_EPSILON = np.finfo(np.float64).eps
_DEPENDENT = 1e-10  # a column of which less than this share is left by the columns before it depends on them
_CELLS = 6
_MOST_ROUNDS = 60
_ELEMENTS_AT_ONCE = 1 << 17


class Projection(NamedTuple):
    """What weighted least squares leaves of the estimates, for weights of shape (..., k).

    Attributes
    ----------
    basis : list of ndarray, each (..., k)
        Orthonormal columns spanning ``sqrt(w) X``.
    triangle : ndarray, shape (..., p, p)
        Upper triangle R with ``sqrt(w) X = basis R``.
    coordinates : ndarray, shape (..., p)
        The estimates along the basis.
    residual : ndarray, shape (..., k)
        ``sqrt(w) (y - fitted)``.
    """

    basis: list[FloatArray]
    triangle: FloatArray
    coordinates: FloatArray
    residual: FloatArray

    @property
    def leverage(self) -> FloatArray:
        """Hat values, shape (..., k)."""
        return np.asarray(sum(b * b for b in self.basis))


def dot(a: FloatArray, b: FloatArray) -> FloatArray:
    """Inner product over studies."""
    return np.asarray(np.einsum("...k,...k->...", a, b))


def project(y: FloatArray, w: FloatArray, x: FloatArray) -> Projection:
    """Weighted least squares of `y` (..., k) on `x` (..., k, p) by Gram-Schmidt; nan where columns depend."""
    root = np.sqrt(w)
    shape, p = np.broadcast_shapes(y.shape, w.shape, x.shape[:-1]), x.shape[-1]
    triangle, coordinates = np.zeros((*shape[:-1], p, p)), np.zeros((*shape[:-1], p))
    residual = np.broadcast_to(root * y, shape).copy()
    basis: list[FloatArray] = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for j in range(p):
            u = np.broadcast_to(root * x[..., j], shape).copy()
            before = dot(u, u)
            for i, b in enumerate(basis):
                triangle[..., i, j] = dot(b, u)
                u -= triangle[..., i, j, None] * b
            after = np.sqrt(dot(u, u))
            triangle[..., j, j] = after
            u /= np.where(after > _DEPENDENT * np.sqrt(before), after, np.nan)[..., None]
            basis.append(u)
    for _ in range(2):  # the second pass removes what rounding left along the basis
        for j, b in enumerate(basis):
            along = dot(b, residual)
            coordinates[..., j] += along
            residual -= along[..., None] * b
    return Projection(basis, triangle, coordinates, residual)


def residual_q(y: FloatArray, v: FloatArray, x: FloatArray, tau2: npt.ArrayLike = 0.0) -> FloatArray:
    """Generalised residual Q, ``y'Py``; Cochran's residual heterogeneity statistic at ``tau2 = 0``."""
    residual = project(y, 1.0 / (v + np.asarray(tau2, dtype=np.float64)[..., None]), x).residual
    return dot(residual, residual)


class Curve(NamedTuple):
    """Likelihood at some values of tau2, the two falling parts of its score, and their slopes."""

    t: FloatArray
    loglik: FloatArray
    a: FloatArray  # y'PPy
    b: FloatArray  # tr P, or sum(w)
    da: FloatArray  # y'PPPy
    db: FloatArray  # tr PP, or sum(w^2)


def _at(curve: Curve, where: Any) -> Curve:
    return Curve(*(part[where] for part in curve))


def traces(w: FloatArray, basis: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """``tr P`` and ``tr PP``."""
    leverage = np.asarray(sum(b * b for b in basis))
    within = sum(dot(w * a, b) ** 2 for a in basis for b in basis)
    return dot(w, 1 - leverage), np.asarray(dot(w * w, 1 - 2 * leverage) + within)


def curve(y: FloatArray, v: FloatArray, x: FloatArray, t: FloatArray, restricted: bool) -> Curve:
    """The curve at `t` (...), for `y`, `v` of shape (..., k) and moderators of shape (..., k, p).

    The log-likelihood leaves out the constants in 2 pi and, restricted, the determinant of X'X.
    """
    w = 1.0 / (v + t[..., None])
    found = project(y, w, x)
    wr = w * found.residual
    a = dot(wr, found.residual)
    da = np.maximum(dot(wr, wr) - sum(dot(b, wr) ** 2 for b in found.basis), 0.0)
    value = np.log(np.where(w > 0, v + t[..., None], 1.0)).sum(-1) + dot(found.residual, found.residual)
    if not restricted:
        return Curve(t, -0.5 * value, a, w.sum(-1), da, dot(w, w))
    diagonal = np.diagonal(found.triangle, axis1=-2, axis2=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = value + 2 * np.log(diagonal).sum(-1)
    trace, square = traces(w, found.basis)
    return Curve(t, -0.5 * value, a, trace, da, square)


def search_limit(y: FloatArray, v: FloatArray, x: FloatArray, *, restricted: bool) -> FloatArray:
    """A value of tau2 beyond which the likelihood only falls; 0 where it falls from the start.

    From ``y'PPy <= S / (min v + tau2)^2`` and ``tr P >= m / (max v + tau2)``, with S the unweighted residual
    sum of squares and m the residual degrees of freedom (the number of studies for the full likelihood).
    """
    there = v < np.inf
    smallest = np.min(v, axis=-1, initial=np.inf)
    largest = np.max(np.where(there, v, 0.0), axis=-1, initial=0.0)
    residual = project(y, there.astype(np.float64), x).residual
    s = dot(residual, residual)
    m = count(v) - (x.shape[-1] if restricted else 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = (s + np.sqrt(s * s + 4 * m * s * (largest - smallest))) / (2 * m) - smallest
    return np.where((s > 0) & (m > 0), np.maximum(limit, 0.0) * (1 + 1e-6) + 1e-12 * smallest, 0.0)


class _Data(NamedTuple):
    """Rows to be searched: y and v (n, k), moderators (n, k, p) or shared (1, k, p)."""

    y: FloatArray
    v: FloatArray
    x: FloatArray
    restricted: bool

    def at(self, row: IntArray, t: FloatArray) -> Curve:
        x = self.x if len(self.x) == 1 else self.x[row]
        return curve(self.y[row], self.v[row], x, t, self.restricted)


class _Cells(NamedTuple):
    """Open cells of all rows: the row each belongs to and the curve at both ends."""

    row: IntArray
    left: Curve
    right: Curve


def _chosen(cells: _Cells, where: Any) -> _Cells:
    return _Cells(cells.row[where], _at(cells.left, where), _at(cells.right, where))


def _first_cells(data: _Data, limit: FloatArray) -> tuple[_Cells, FloatArray, Curve]:
    """Cells that cover [0, limit] of every row, the best likelihood seen, and the curve at 0."""
    n, smallest = len(data.y), data.v.min(-1)
    t = smallest[:, None] * np.expm1(np.linspace(0, 1, _CELLS + 1) * np.log1p(limit / smallest)[:, None])
    t[:, 0], t[:, -1] = 0.0, limit
    nodes = Curve(*(part.reshape(n, -1) for part in data.at(np.repeat(np.arange(n), _CELLS + 1), t.ravel())))
    left = Curve(*(part[:, :-1].ravel() for part in nodes))
    right = Curve(*(part[:, 1:].ravel() for part in nodes))
    cells = _Cells(np.repeat(np.arange(n), _CELLS), left, right)
    return _chosen(cells, right.t > left.t), nodes.loglik.max(-1), _at(nodes, (slice(None), 0))


def _open_and_settled(cells: _Cells, best: FloatArray, every: bool) -> tuple[BoolArray, BoolArray]:
    """Which cells may hold a maximum that counts, and which of them hold at most one."""
    left, right = cells.left, cells.right
    is_open = ~((right.a >= left.b) | (left.a <= right.b))
    if every:
        is_open &= ~(2 * left.da <= right.db)  # the score rises throughout: a minimum at most
    else:
        width = right.t - left.t
        above_left = left.loglik + 0.5 * np.maximum(left.a - right.b, 0) * width
        above_right = right.loglik + 0.5 * np.maximum(left.b - right.a, 0) * width
        top = best[cells.row]
        is_open &= np.minimum(above_left, above_right) >= top - _EPSILON * np.abs(top)
    narrow = right.t - left.t <= 4 * _EPSILON * right.t
    return is_open, is_open & ((left.db <= 2 * right.da) | narrow)


def _halved(data: _Data, cells: _Cells, best: FloatArray) -> _Cells:
    """Every cell cut in two at its geometric middle; `best` is raised to what is seen there."""
    low = data.v.min(-1)[cells.row]
    middle = np.sqrt((low + cells.left.t) * (low + cells.right.t)) - low
    inside = (middle > cells.left.t) & (middle < cells.right.t)
    cut = data.at(cells.row, np.where(inside, middle, 0.5 * (cells.left.t + cells.right.t)))
    np.maximum.at(best, cells.row, cut.loglik)
    left = Curve(*(np.concatenate(pair) for pair in zip(cells.left, cut, strict=True)))
    right = Curve(*(np.concatenate(pair) for pair in zip(cut, cells.right, strict=True)))
    return _Cells(np.concatenate([cells.row, cells.row]), left, right)


def _brackets(data: _Data, every: bool) -> tuple[IntArray, FloatArray, FloatArray]:
    """Row, lower and upper end of each bracket of one maximum; a maximum at 0 has both ends 0."""
    limit = search_limit(data.y, data.v, data.x, restricted=data.restricted)
    cells, best, zero = _first_cells(data, limit)
    at_zero = np.flatnonzero(zero.a <= zero.b)  # the likelihood falls from tau2 = 0
    found = [(at_zero, np.zeros(at_zero.size), np.zeros(at_zero.size))]
    for _ in range(_MOST_ROUNDS):
        is_open, settled = _open_and_settled(cells, best, every)
        turning = settled & (cells.left.a > cells.left.b) & (cells.right.a <= cells.right.b)
        found.append((cells.row[turning], cells.left.t[turning], cells.right.t[turning]))
        cells = _chosen(cells, is_open & ~settled)
        if not cells.row.size:
            break
        cells = _halved(data, cells, best)
    row, low, high = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return row, low, high


def _maximised(data: _Data, row: IntArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """The maximum inside each bracket, by Newton steps kept inside it while it shrinks."""
    low, high, t = low.copy(), high.copy(), 0.5 * (low + high)
    active = np.flatnonzero(high > low)
    for _ in range(_MOST_ROUNDS):
        if not active.size:
            break
        now = t[active]
        here = data.at(row[active], now)
        value, noise = here.a - here.b, 2 * _EPSILON * (here.a + here.b)
        low[active] = np.where(value > 0, now, low[active])
        high[active] = np.where(value > 0, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            after = now + value / (2 * here.da - here.db)
        inside = (after >= low[active]) & (after <= high[active])
        after = np.where(inside, after, 0.5 * (low[active] + high[active]))
        at_root = np.abs(value) <= noise
        t[active] = np.where(at_root & ~inside, now, after)
        closed = high[active] - low[active] <= 2 * _EPSILON * now
        active = active[~(at_root | closed | (np.abs(after - now) <= _EPSILON * now))]
    return t


def global_maximum(y: FloatArray, v: FloatArray, x: FloatArray, *, restricted: bool) -> FloatArray:
    """tau2 at the global maximum of the (restricted) likelihood, row by row.

    Parameters
    ----------
    y, v : ndarray, shape (..., k)
        Estimates and variances; ``v = inf`` marks an absent study.
    x : ndarray, shape (..., k, p) or (k, p)
        Moderators.
    restricted : bool
        Restricted (REML) or full (ML) likelihood.

    Returns
    -------
    ndarray, shape (...)
        Not negative; nan without residual degrees of freedom or where the columns of `x` depend on each
        other.
    """
    (k, p), shape = x.shape[-2:], v.shape[:-1]
    y, v = np.broadcast_to(y, v.shape).reshape(-1, k), v.reshape(-1, k)
    x = x[None] if x.ndim == 2 else np.broadcast_to(x, (*shape, k, p)).reshape(-1, k, p)
    tau2 = np.full(len(v), np.nan)
    usable = np.flatnonzero((count(v) > p) & (v > 0).all(-1) & np.isfinite(y).all(-1))
    size = max(1, _ELEMENTS_AT_ONCE // max(k * p, 1))
    for start in range(0, usable.size, size):
        rows = usable[start : start + size]
        data = _Data(y[rows], v[rows], x if len(x) == 1 else x[rows], restricted)
        tau2[rows] = _best(data)
    return tau2.reshape(shape)


def _best(data: _Data) -> FloatArray:
    """The mode of highest likelihood of each row."""
    row, low, high = _brackets(data, every=False)
    modes = _maximised(data, row, low, high)
    tau2 = np.full(len(data.y), np.nan)
    tau2[row] = modes
    rival = np.bincount(row, minlength=len(tau2))[row] > 1
    row, modes = row[rival], modes[rival]
    if row.size:
        order = np.argsort(data.at(row, modes).loglik, kind="stable")  # the last written is the best
        tau2[row[order]] = modes[order]
    return tau2


def local_maxima(y: FloatArray, v: FloatArray, x: FloatArray, *, restricted: bool) -> tuple[FloatArray, FloatArray]:
    """Every local maximum of one data set: tau2 and log-likelihood, the global one first."""
    data = _Data(y[None], v[None], x[None], restricted)
    tau2 = np.unique(_maximised(data, *_brackets(data, every=True)))
    loglik = data.at(np.zeros(tau2.size, dtype=int), tau2).loglik
    order = np.lexsort((tau2, -loglik))
    return tau2[order], loglik[order]
