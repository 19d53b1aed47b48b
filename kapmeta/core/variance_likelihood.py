"""Global maxima of the (restricted) likelihood in the between-study variance, with proof.

The likelihood in ``tau2`` can have several modes, and a local search returns whichever it meets. Here every row of a
batch is searched by branch and bound. With ``w = 1/(v + tau2)`` twice the score is ``A(tau2) - B(tau2)``, where [1]_

- ``A = y'PPy`` (both likelihoods),
- ``B = tr P`` (restricted) or ``B = sum(w)`` (full),

and both fall as tau2 grows. So on a cell [t1, t2] twice the score lies between ``A(t2) - B(t1)`` and
``A(t1) - B(t2)``: a cell on which these have one sign holds no maximum inside, the likelihood within a cell is bounded
from its ends, and a cell is dropped when its bound stays below the best value found. The derivative of the score is
bounded in the same way, by the monotone ``y'PPPy`` and ``tr PP``; where it is negative throughout, the cell holds at
most one maximum, found by a bracketed Newton search. What is neither dropped nor settled is halved.

References
----------
.. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model.
   J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kapmeta.core.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.weighting import count, mean_and_residuals, spread, trace_p, weights

_FEWEST_CELLS, _MOST_CELLS = 6, 32  # first cells a row, as many as cost little; cells that stay open are halved
_NODES_AT_LITTLE_COST = 1 << 12  # rows x studies x cells
_NEWTON_ROUNDS = 8  # then a bisection, so that every bracket is closed in the end
_ELEMENTS_AT_ONCE = 1 << 17  # rows x studies searched at once: bounds memory, stays in cache
_EPSILON = np.finfo(np.float64).eps
_LAST_STEP = 1e-11  # a Newton step this small, relative to tau2, is the last: its square is beyond the last digit


class _Curve(NamedTuple):
    """Likelihood and the four monotone functions at some values of tau2."""

    t: FloatArray
    loglik: FloatArray
    a: FloatArray  # y'PPy
    b: FloatArray  # tr P, or S1
    da: FloatArray  # y'PPPy
    db: FloatArray  # tr PP, or S2


def log_likelihood(y: FloatArray, v: FloatArray, tau2: FloatArray, *, restricted: bool) -> FloatArray:
    """Log-likelihood of `tau2` at its best mean, without the constants in 2 pi and k; shape (...)."""
    w = weights(v, tau2)
    _, e = mean_and_residuals(y, w)
    there = v < np.inf
    total = np.where(there, v + np.asarray(tau2)[..., None], 1.0)
    value = np.log(total).sum(-1) + np.vecdot(w * e, e)
    if restricted:
        value = value + np.log(w.sum(-1))
    return np.asarray(-0.5 * value)


def score(y: FloatArray, v: FloatArray, tau2: FloatArray, *, restricted: bool) -> tuple[FloatArray, FloatArray]:
    """Twice the score in `tau2`, ``A - B``, and the scale ``A + B`` against which it is zero."""
    w = weights(v, tau2)
    _, e = mean_and_residuals(y, w)
    we = w * e
    a = np.vecdot(we, we)
    b = trace_p(w) if restricted else w.sum(-1)
    return a - b, a + b


def search_limit(y: FloatArray, v: FloatArray, *, restricted: bool) -> FloatArray:
    """A value of tau2 beyond which the likelihood only falls; 0 where it falls from the start."""
    there = v < np.inf
    smallest = v.min(-1, initial=np.inf)
    largest = np.where(there, v, 0.0).max(-1, initial=0.0)
    _, s = spread(y, v)
    k = count(v) - restricted
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = (s + np.sqrt(s * s + 4 * k * s * (largest - smallest))) / (2 * k) - smallest
    # the root lies exactly on the limit when all variances are equal, hence the small margin
    return np.where((s > 0) & (k > 0), np.maximum(limit, 0) * (1 + 1e-6) + 1e-12 * smallest, 0.0)


def _curve(y: FloatArray, v: FloatArray, t: FloatArray, restricted: bool) -> _Curve:
    """The curve at `t` (rows, nodes) for rows of `y`, `v` (rows, k)."""
    y, v = y[:, None, :], v[:, None, :]
    total = v + t[:, :, None]
    w = 1.0 / total
    s1 = w.sum(-1)
    mean = np.einsum("rgk,rgk->rg", w, np.broadcast_to(y, w.shape)) / s1
    e = y - mean[:, :, None]
    we = w * e
    a = np.einsum("rgk,rgk->rg", we, we)
    q = np.einsum("rgk,rgk->rg", we, e)
    w2e = np.einsum("rgk,rgk->rg", w, we)
    da = np.maximum(np.einsum("rgk,rgk,rgk->rg", w, we, we) - w2e * w2e / s1, 0.0)
    s2 = np.einsum("rgk,rgk->rg", w, w)
    total[np.broadcast_to(v == np.inf, total.shape)] = 1.0
    value = np.log(total).sum(-1) + q
    if not restricted:
        return _Curve(t, -0.5 * value, a, s1, da, s2)
    s3 = np.einsum("rgk,rgk,rgk->rg", w, w, w)
    trace_pp = s2 - 2 * s3 / s1 + (s2 / s1) ** 2
    return _Curve(t, -0.5 * (value + np.log(s1)), a, s1 - s2 / s1, da, trace_pp)


class _Cells(NamedTuple):
    """Open cells of all rows, flat: the row each belongs to and the curve at both ends."""

    row: IntArray
    left: _Curve
    right: _Curve

    def where(self, keep: BoolArray) -> _Cells:
        """The cells for which `keep` holds."""
        places = np.flatnonzero(keep)
        if places.size == keep.size:
            return self
        return _Cells(self.row[places], _at(self.left, places), _at(self.right, places))


def _at(curve: _Curve, places: IntArray) -> _Curve:
    return _Curve(*(part[places] for part in curve))


def _flat(curve: _Curve, where: tuple[slice, slice]) -> _Curve:
    return _Curve(*(part[where].ravel() for part in curve))


class _Brackets(NamedTuple):
    """Cells that hold exactly one maximum inside, with a first guess; a maximum at 0 has ``low = high = 0``."""

    row: IntArray
    low: FloatArray
    high: FloatArray
    guess: FloatArray


def _bracketed_maxima(y: FloatArray, v: FloatArray, restricted: bool, every: bool) -> _Brackets:
    """Brackets of the maxima of all rows: of those that can be global or, with `every`, of all."""
    smallest = v.min(-1)
    nodes = _first_nodes(y, v, smallest, restricted)
    best = nodes.loglik.max(-1)
    at_zero = np.flatnonzero(nodes.a[:, 0] <= nodes.b[:, 0])  # the likelihood falls from 0: a maximum at the boundary
    zero = np.zeros(at_zero.size)
    found = [_Brackets(at_zero, zero, zero, zero)]
    cells = _Cells(
        np.repeat(np.arange(len(y)), nodes.t.shape[1] - 1),
        _flat(nodes, (slice(None), slice(None, -1))),
        _flat(nodes, (slice(None), slice(1, None))),
    )
    cells = cells.where(cells.right.t > cells.left.t)
    while True:
        turning, unsettled = _sorted_out(cells, smallest, None if every else best)
        found.append(_bracket(cells.where(turning)))
        if not unsettled.any():
            return _joined(found)
        cells, tops = _halved(y, v, cells.where(unsettled), smallest, restricted)
        np.maximum.at(best, cells.row, tops)


def _first_nodes(y: FloatArray, v: FloatArray, smallest: FloatArray, restricted: bool) -> _Curve:
    """The curve of every row from 0 to its search limit, at values of tau2 spread evenly in ``log(v + tau2)``."""
    limit = search_limit(y, v, restricted=restricted)
    cells = min(max(_NODES_AT_LITTLE_COST // v.size, _FEWEST_CELLS), _MOST_CELLS)
    steps = np.linspace(0.0, 1.0, cells + 1)
    t = smallest[:, None] * np.expm1(steps * np.log1p(limit / smallest)[:, None])
    t[:, 0], t[:, -1] = 0.0, limit
    return _curve(y, v, t, restricted)


def _sorted_out(cells: _Cells, smallest: FloatArray, best: FloatArray | None) -> tuple[BoolArray, BoolArray]:
    """Which cells hold one maximum inside, and which are to be halved; the others hold none that matters.

    With `best`, the best value found in every row, none matters that stays below it; otherwise every one matters.
    """
    left, right = cells.left, cells.right
    width = right.t - left.t
    # twice the score in the cell: at least A(right) - B(left), at most A(left) - B(right)
    matters = (right.a < left.b) & (left.a > right.b)
    if best is None:
        matters &= 2 * left.da > right.db  # otherwise the score rises throughout: at most one minimum
    else:
        above_left = left.loglik + 0.5 * np.maximum(left.a - right.b, 0) * width
        above_right = right.loglik + 0.5 * np.maximum(left.b - right.a, 0) * width
        top = best[cells.row]
        matters &= np.minimum(above_left, above_right) >= top - _EPSILON * np.abs(top)
    falling = left.db <= 2 * right.da  # the score falls throughout: at most one maximum
    narrow = width <= 4 * _EPSILON * (smallest[cells.row] + right.t)
    settled = falling | narrow
    return matters & settled & (left.a > left.b) & (right.a <= right.b), matters & ~settled


def _bracket(cells: _Cells) -> _Brackets:
    """The cells as brackets, with a first guess: tau2 as the cubic in ``B / A`` that has both ends and slopes."""
    low, high = cells.left.t, cells.right.t
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        (below, first), (above, last) = (
            (end.b / end.a - 1, end.a * end.a / (2 * end.b * end.da - end.a * end.db))
            for end in (cells.left, cells.right)
        )
        u = below / (below - above)  # where B / A = 1, between the ends
        bend = u * (1 - u) * ((1 - u) * first - u * last) * (above - below)
        guess = low + u * u * (3 - 2 * u) * (high - low) + bend
    return _Brackets(cells.row, low, high, np.where((guess > low) & (guess < high), guess, 0.5 * (low + high)))


def _joined(brackets: list[_Brackets]) -> _Brackets:
    return _Brackets(*(np.concatenate(parts) for parts in zip(*brackets, strict=True)))


def _halved(
    y: FloatArray, v: FloatArray, cells: _Cells, smallest: FloatArray, restricted: bool
) -> tuple[_Cells, FloatArray]:
    """Every cell cut in two at its geometric middle, and the likelihood there."""
    low = smallest[cells.row]
    middle = np.sqrt((low + cells.left.t) * (low + cells.right.t)) - low
    middle = np.where((middle > cells.left.t) & (middle < cells.right.t), middle, 0.5 * (cells.left.t + cells.right.t))
    cut = _flat(_curve(y[cells.row], v[cells.row], middle[:, None], restricted), (slice(None), slice(None)))
    left = _Curve(*(np.concatenate(pair) for pair in zip(cells.left, cut, strict=True)))
    right = _Curve(*(np.concatenate(pair) for pair in zip(cut, cells.right, strict=True)))
    return _Cells(np.concatenate([cells.row, cells.row]), left, right), np.concatenate([cut.loglik, cut.loglik])


def _maximised(y: FloatArray, v: FloatArray, found: _Brackets, restricted: bool) -> FloatArray:
    """The maximum inside each bracket, by Newton steps kept inside it while it shrinks."""
    t, low, high = found.guess.copy(), found.low.copy(), found.high.copy()
    active = np.flatnonzero(high > low)
    rounds = 0
    while active.size:
        rounds += 1
        value, noise, step = _newton_step(y[found.row[active]], v[found.row[active]], t[active], restricted)
        now = t[active]
        rising = value > 0
        low[active] = np.where(rising, now, low[active])
        high[active] = np.where(rising, high[active], now)
        after = now + step
        inside = (after >= low[active]) & (after <= high[active]) & (rounds % _NEWTON_ROUNDS > 0)
        after = np.where(inside, after, 0.5 * (low[active] + high[active]))
        at_root = np.abs(value) <= noise
        t[active] = np.where(at_root & ~inside, now, after)
        closed = high[active] - low[active] <= 2 * _EPSILON * now
        active = active[~(at_root | closed | (np.abs(after - now) <= _LAST_STEP * now))]
    return t


def _newton_step(
    y: FloatArray, v: FloatArray, t: FloatArray, restricted: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Twice the score, the rounding noise below which it is zero, and the Newton step towards its root.

    The step is that of ``B / A = 1``, nearer to a line in tau2 than ``A - B = 0``; it is one with equal variances.
    """
    w = weights(v, t)
    _, e = mean_and_residuals(y, w)
    we = w * e
    s1, s2 = w.sum(-1), np.vecdot(w, w)
    a, b = np.vecdot(we, we), trace_p(w) if restricted else s1
    da = np.vecdot(w * we, we) - np.vecdot(w, we) ** 2 / s1
    db = s2 - 2 * np.vecdot(w * w, w) / s1 + (s2 / s1) ** 2 if restricted else s2
    with np.errstate(divide="ignore", invalid="ignore"):
        return a - b, 2 * _EPSILON * (a + b), (a - b) * a / (2 * b * da - a * db)


def global_maximum(y: FloatArray, v: FloatArray, *, restricted: bool) -> FloatArray:
    """Value of tau2 at the global maximum of the (restricted) likelihood, row by row; nan below two studies.

    Parameters
    ----------
    y, v : ndarray, shape (..., k)
        Estimates and variances; ``v = inf`` marks an absent study.
    restricted : bool
        Restricted (REML) or full (ML) likelihood.
    """
    shape, k = v.shape[:-1], v.shape[-1]
    y, v = y.reshape(-1, k), v.reshape(-1, k)
    tau2 = np.full(len(v), np.nan)
    usable = np.flatnonzero((count(v) > 1) & (v > 0).all(-1) & np.isfinite(y).all(-1))
    chunk = max(1, _ELEMENTS_AT_ONCE // max(k, 1))
    brackets = []
    for start in range(0, usable.size, chunk):
        rows = usable[start : start + chunk]
        part = _bracketed_maxima(y[rows], v[rows], restricted, every=False)
        brackets.append(part._replace(row=rows[part.row]))
    if brackets:
        found = _joined(brackets)
        modes = _maximised(y, v, found, restricted)
        tau2[found.row] = modes
        _settle_ties(y, v, found.row, modes, tau2, restricted)
    return tau2.reshape(shape)


def _settle_ties(
    y: FloatArray, v: FloatArray, row: IntArray, modes: FloatArray, tau2: FloatArray, restricted: bool
) -> None:
    """Where a row has more than one candidate, put the one of highest likelihood into `tau2`."""
    rival = np.bincount(row, minlength=len(tau2))[row] > 1
    row, modes = row[rival], modes[rival]
    loglik = log_likelihood(y[row], v[row], modes, restricted=restricted)
    order = np.argsort(loglik, kind="stable")  # the last written is the best
    tau2[row[order]] = modes[order]


def local_maxima(y: FloatArray, v: FloatArray, *, restricted: bool) -> tuple[FloatArray, FloatArray]:
    """Every local maximum of one data set: tau2 and log-likelihood, the global one first."""
    y, v = y[None, :], v[None, :]
    found = _bracketed_maxima(y, v, restricted, every=True)
    tau2 = np.unique(_maximised(y, v, found, restricted))
    loglik = log_likelihood(y, v, tau2, restricted=restricted)
    order = np.lexsort((tau2, -loglik))
    return tau2[order], loglik[order]
