"""The global maximum of a likelihood in the between-study variance, for many rows at once.

The likelihood in ``tau2`` can have several modes, and a local search returns whichever it meets.
The search here is a branch and bound that proves its maximum to be the global one. Twice the score
is ``A(tau2) - B(tau2)``, where A and B are positive and fall as tau2 grows, with slopes ``-2 dA``
and ``-dB`` that shrink [1]_. So on a cell [t1, t2] twice the score lies between ``A(t2) - B(t1)``
and ``A(t1) - B(t2)``.

1. The range of tau2 that can hold a maximum is cut into cells.
2. A cell is dropped where the two bounds have one sign: no maximum lies inside. It is also dropped
   where the likelihood inside, bounded from both ends, stays below the best value found.
3. The slope of the score is bounded in the same way. Where it is negative throughout, the cell
   holds at most one maximum and is kept as a bracket.
4. Every other cell is halved, and goes back to step 2.
5. A Newton search inside each bracket finds its maximum, and the highest is returned.

A, B and their slopes are given by `kapmeta.core.heterogeneity.variance_likelihood` and, with
moderators, by `kapmeta.core.moderators.residual_likelihood`.

References
----------
.. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects
   model. J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray, IntArray

ELEMENTS_AT_ONCE = 1 << 17  # rows x studies searched at once: bounds memory, stays in cache
_FEWEST_CELLS, _MOST_CELLS = 6, 32  # first cells of each row, as many as cost little
_NODES_AT_LITTLE_COST = 1 << 12  # rows x studies x cells
_NEWTON_ROUNDS = 8  # then a bisection, so that every bracket closes in the end
# a Newton step this small, relative to tau2, is the last: its square is beyond the last digit
_LAST_STEP = 1e-11


class Slopes(NamedTuple):
    """The falling parts of twice the score, ``A - B``, with their slopes ``-2 dA`` and ``-dB``."""

    a: FloatArray
    b: FloatArray
    da: FloatArray
    db: FloatArray


class Curve(NamedTuple):
    """Likelihood and the parts of its score at some values of tau2."""

    t: FloatArray
    loglik: FloatArray
    a: FloatArray
    b: FloatArray
    da: FloatArray
    db: FloatArray


class Likelihood(NamedTuple):
    """The likelihoods of n rows, in the form the search needs.

    Attributes
    ----------
    variances : ndarray, shape (n, k)
        Sampling variances; ``inf`` marks an absent study.
    limit : ndarray, shape (n,)
        A value of tau2 beyond which the likelihood of the row only falls.
    curve : callable
        ``curve(row, t)`` for positions of rows (m,) and values of tau2 (m, nodes).
    slopes : callable
        ``slopes(row, t)`` for one tau2 per row, (m,), to the last digit.
    """

    variances: FloatArray
    limit: FloatArray
    curve: Callable[[IntArray, FloatArray], Curve]
    slopes: Callable[[IntArray, FloatArray], Slopes]


def mode_limit(v: FloatArray, squares: FloatArray, number: FloatArray | IntArray) -> FloatArray:
    """Return a value of tau2 beyond which ``A < B``; 0 where that holds from the start.

    From ``A <= S / (min v + tau2)^2`` and ``B >= m / (max v + tau2)``, with S the unweighted sum of
    `squares` of the residuals and m the `number` of degrees of freedom (of studies for the full
    likelihood).
    """
    smallest = v.min(-1, initial=np.inf)
    largest = np.where(v < np.inf, v, 0.0).max(-1, initial=0.0)
    s, m = squares, number
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = (s + np.sqrt(s * s + 4 * m * s * (largest - smallest))) / (2 * m) - smallest
    # the root lies exactly on the limit when all variances are equal, hence the small margin
    return np.where((s > 0) & (m > 0), np.maximum(limit, 0) * (1 + 1e-6) + 1e-12 * smallest, 0.0)


class _OpenCells(NamedTuple):
    """Open cells of all rows, flat: the row of each, and the curve at both ends."""

    row: IntArray
    left: Curve
    right: Curve

    def where(self, keep: BoolArray) -> _OpenCells:
        """Select the cells for which `keep` holds."""
        places = np.flatnonzero(keep)
        if places.size == keep.size:
            return self
        left, right = (Curve(*(part[places] for part in end)) for end in (self.left, self.right))
        return _OpenCells(self.row[places], left, right)


class _Brackets(NamedTuple):
    """Cells with exactly one maximum inside, and a first guess; ``low = high = 0`` for one at 0."""

    row: IntArray
    low: FloatArray
    high: FloatArray
    guess: FloatArray


def _flat(curve: Curve, nodes: slice) -> Curve:
    return Curve(*(part[:, nodes].ravel() for part in curve))


def _brackets(likelihood: Likelihood, every: bool) -> _Brackets:
    """Bracket the maxima of all rows: those that can be global or, with `every`, all."""
    smallest = likelihood.variances.min(-1)
    nodes = _first_nodes(likelihood, smallest)
    best = nodes.loglik.max(-1)
    at_zero = np.flatnonzero(nodes.a[:, 0] <= nodes.b[:, 0])  # falling from 0: a maximum there
    zero = np.zeros(at_zero.size)
    found = [_Brackets(at_zero, zero, zero, zero)]
    row = np.repeat(np.arange(len(nodes.t)), nodes.t.shape[1] - 1)
    cells = _OpenCells(row, _flat(nodes, slice(None, -1)), _flat(nodes, slice(1, None)))
    cells = cells.where(cells.right.t > cells.left.t)
    while True:
        turning, unsettled = _sorted_out(cells, smallest, None if every else best)
        found.append(_bracket(cells.where(turning)))
        if not unsettled.any():
            return _Brackets(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
        cells, tops = _halved(likelihood, cells.where(unsettled), smallest)
        np.maximum.at(best, cells.row, tops)


def _first_nodes(likelihood: Likelihood, smallest: FloatArray) -> Curve:
    """Evaluate every row from 0 to its limit, at tau2 spaced evenly in ``log(v + tau2)``."""
    cells = min(max(_NODES_AT_LITTLE_COST // likelihood.variances.size, _FEWEST_CELLS), _MOST_CELLS)
    steps = np.linspace(0.0, 1.0, cells + 1)
    t = smallest[:, None] * np.expm1(steps * np.log1p(likelihood.limit / smallest)[:, None])
    t[:, 0], t[:, -1] = 0.0, likelihood.limit
    return likelihood.curve(np.arange(len(t)), t)


def _sorted_out(
    cells: _OpenCells, smallest: FloatArray, best: FloatArray | None
) -> tuple[BoolArray, BoolArray]:
    """Mark the cells that hold one maximum, and those still to be halved.

    The other cells hold no maximum that matters. With `best`, the highest value found in every row,
    a maximum below it does not matter; without it every maximum does.
    """
    left, right = cells.left, cells.right
    width = right.t - left.t
    # twice the score in the cell: at least A(right) - B(left), at most A(left) - B(right)
    matters = (right.a < left.b) & (left.a > right.b)
    if best is None:  # where the score rises throughout there is at most one minimum
        matters &= 2 * left.da > right.db
    else:
        above_left = left.loglik + 0.5 * np.maximum(left.a - right.b, 0) * width
        above_right = right.loglik + 0.5 * np.maximum(left.b - right.a, 0) * width
        top = best[cells.row]
        matters &= np.minimum(above_left, above_right) >= top - EPSILON * np.abs(top)
    falling = left.db <= 2 * right.da  # the score falls throughout: at most one maximum
    narrow = width <= 4 * EPSILON * (smallest[cells.row] + right.t)
    settled = falling | narrow
    return matters & settled & (left.a > left.b) & (right.a <= right.b), matters & ~settled


def _bracket(cells: _OpenCells) -> _Brackets:
    """Turn cells into brackets with a first guess.

    The guess is tau2 as the cubic in ``B / A`` that has the values and slopes of both ends.
    """
    low, high = cells.left.t, cells.right.t
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        (below, first), (above, last) = (
            (end.b / end.a - 1, end.a * end.a / (2 * end.b * end.da - end.a * end.db))
            for end in (cells.left, cells.right)
        )
        u = below / (below - above)  # where B / A = 1, between the ends
        bend = u * (1 - u) * ((1 - u) * first - u * last) * (above - below)
        guess = low + u * u * (3 - 2 * u) * (high - low) + bend
    guess = np.where((guess > low) & (guess < high), guess, 0.5 * (low + high))
    return _Brackets(cells.row, low, high, guess)


def _halved(
    likelihood: Likelihood, cells: _OpenCells, smallest: FloatArray
) -> tuple[_OpenCells, FloatArray]:
    """Halve every cell at its geometric middle; also return the likelihood there."""
    low, t1, t2 = smallest[cells.row], cells.left.t, cells.right.t
    middle = np.sqrt((low + t1) * (low + t2)) - low
    middle = np.where((middle > t1) & (middle < t2), middle, 0.5 * (t1 + t2))
    cut = _flat(likelihood.curve(cells.row, middle[:, None]), slice(None))
    left = Curve(*(np.concatenate(pair) for pair in zip(cells.left, cut, strict=True)))
    right = Curve(*(np.concatenate(pair) for pair in zip(cut, cells.right, strict=True)))
    return _OpenCells(np.tile(cells.row, 2), left, right), np.tile(cut.loglik, 2)


def _refined(likelihood: Likelihood, found: _Brackets) -> FloatArray:
    """Find the maximum inside each bracket, by Newton steps that never leave it."""
    # The bracket shrinks to the side on which the score changes sign. A Newton step that would
    # leave it, and every eighth step, is replaced by a bisection. A row is done when the score is
    # 0 to rounding, when its bracket has closed, or when a Newton step no longer matters.
    t, low, high = found.guess.copy(), found.low.copy(), found.high.copy()
    active = np.flatnonzero(high > low)
    rounds = 0
    while active.size:
        rounds += 1
        now = t[active]
        a, b, da, db = likelihood.slopes(found.row[active], now)
        rising = a > b
        low[active] = np.where(rising, now, low[active])
        high[active] = np.where(rising, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Newton on B / A = 1: nearer to a line in tau2 than A - B, and one if all v are equal
            after = now + (a - b) * a / (2 * b * da - a * db)
        inside = (after >= low[active]) & (after <= high[active]) & (rounds % _NEWTON_ROUNDS > 0)
        after = np.where(inside, after, 0.5 * (low[active] + high[active]))
        at_root = np.abs(a - b) <= 2 * EPSILON * (a + b)
        t[active] = np.where(at_root & ~inside, now, after)
        closed = high[active] - low[active] <= 2 * EPSILON * now
        active = active[~(at_root | closed | (inside & (np.abs(after - now) <= _LAST_STEP * now)))]
    return t


def highest_maxima(likelihood: Likelihood) -> FloatArray:
    """Find the tau2 of highest likelihood in every row; nan where a row has no maximum."""
    found = _brackets(likelihood, every=False)
    row, modes = found.row, _refined(likelihood, found)
    tau2 = np.full(len(likelihood.limit), np.nan)
    tau2[row] = modes
    rival = np.bincount(row, minlength=len(tau2))[row] > 1
    if rival.any():
        row, modes = row[rival], modes[rival]
        order = np.argsort(likelihood.curve(row, modes[:, None]).loglik[:, 0], kind="stable")
        tau2[row[order]] = modes[order]  # the last written is the best
    return tau2


def every_maximum(likelihood: Likelihood) -> tuple[FloatArray, FloatArray]:
    """Find every local maximum of one row: tau2 and log-likelihood, the highest first."""
    tau2 = np.unique(_refined(likelihood, _brackets(likelihood, every=True)))
    loglik = likelihood.curve(np.zeros(1, dtype=int), tau2[None]).loglik[0]
    order = np.lexsort((tau2, -loglik))
    return tau2[order], loglik[order]
