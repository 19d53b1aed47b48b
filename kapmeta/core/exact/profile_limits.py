"""Profile likelihood on likelihood curves: limits of the mean and of tau.

A limit is a value at which the profile likelihood has fallen to a target. It is bracketed on a
grid and solved by Newton's method in both parameters; where that leaves the bracket, by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kapmeta.core.exact.marginal_likelihood import marginal, marginal_log_likelihood
from kapmeta.core.exact.mode_search import Mode, at_infinity, best_means, finite_place, tau_grid
from kapmeta.core.exact.tabulated_curves import Tabulated
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.roots import bracketed_root

_GRID_MEANS = 41  # values of the mean on the way to a limit
_MOST_STEPS_OUT = 60


def profile_at(studies: Sequence[Tabulated], mu: float, *, random: bool = True) -> float:
    """Compute the highest log-likelihood with the mean held at `mu`.

    Over all tau if effects are `random`.
    """
    return float(_zoomed(studies, np.array([mu]), random)[0])


def profile_over_tau(
    studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Maximise over the given values of tau at each mean; also return the best tau."""
    values = marginal_log_likelihood(
        studies, np.broadcast_to(mu[:, None], (mu.size, tau.size)), tau
    )
    best = values.argmax(-1)
    return values[np.arange(mu.size), best], tau[best]


def _zoomed(
    studies: Sequence[Tabulated], mean: FloatArray, random: bool, rounds: int = 8
) -> FloatArray:
    """Compute the profile at one mean on ever finer grids about the best tau."""
    if not random:
        return marginal_log_likelihood(studies, mean, np.zeros(1))
    taus = np.concatenate([[0.0], tau_grid(studies, mean)])
    for _ in range(rounds):
        _, best = profile_over_tau(studies, mean, taus)
        i = int(np.flatnonzero(taus == best[0])[0])
        taus = np.linspace(taus[max(i - 1, 0)], taus[min(i + 1, taus.size - 1)], 9)
    return profile_over_tau(studies, mean, taus)[0]


def mean_limit(
    studies: Sequence[Tabulated], mode: Mode, se: float, target: float, side: float, random: bool
) -> float:
    """Find the outermost mean on one side at which the profile has fallen to `target`."""
    # 1. step out from beyond the effects of all studies, doubling, until the profile is below the
    #    target; infinite where it never is
    # 2. of a grid up to there, the outermost neighbours above and below the target
    # 3. Newton from the outer one; bisection where that ends far outside the two, or where another
    #    tau is better

    def profile(mu: FloatArray) -> tuple[FloatArray, FloatArray]:
        taus = np.concatenate([[0.0], tau_grid(studies, mu)]) if random else np.zeros(1)
        return profile_over_tau(studies, mu, taus)

    distance = max(3 * se, _farthest_place(studies, mode[0], side))
    for _ in range(_MOST_STEPS_OUT):  # 1
        if profile(np.array([mode[0] + side * distance]))[0][0] < target:
            break
        distance *= 2
    else:
        return side * math.inf
    means = mode[0] + side * distance * np.arange(1, _GRID_MEANS + 1) / _GRID_MEANS  # 2
    values, taus = profile(means)
    above = np.flatnonzero(values >= target)
    place = int(above[-1]) + 1 if above.size else 0
    inner, outer = float(means[place - 1]) if place else mode[0], float(means[place])
    found = _crossing(studies, (outer, float(taus[place])), 1, target, random)  # 3
    low, high = sorted((inner, outer))
    near = low - (high - low) <= found <= high + (high - low)
    at = np.array([found])
    if not near or _zoomed(studies, at, random, rounds=1)[0] > target + 1e-9 * abs(target):
        found = _crossing_by_bisection(studies, inner, outer, target, random)
    return found


def _farthest_place(studies: Sequence[Tabulated], mean: float, side: float) -> float:
    """Return the distance from a mean to the farthest effect of a study on one side."""
    places = [finite_place(s) + side * s.width for s in studies if s.informative]
    return max(side * (place - mean) for place in places)


def _crossing(
    studies: Sequence[Tabulated],
    start: tuple[float, float],
    held: int,
    target: float,
    random: bool = True,
) -> float:
    """Solve by Newton for log-likelihood = `target` and nuisance slope = 0.

    nan where the steps do not settle. `held` is the parameter maximised over: 1 for tau (a limit of
    the mean), 0 for the mean (a limit of tau).
    """
    # 1. on the edge tau = 0, or with tau fixed: Newton in the mean alone
    # 2. else Newton for both equations at once
    # 3. where the nuisance parameter has no maximum, move along it first
    # tau may shrink to the edge, but not beyond the widest grid: there is no crossing then
    here = np.array(start)
    widest = 2 * float(start[1]) + 4 * float(tau_grid(studies, here[:1])[-1])
    for _ in range(_MOST_STEPS_OUT):
        fit = marginal(studies, here[:1], here[1:])
        value, gradient, hessian = fit.value[0] - target, fit.gradient[0], fit.hessian[0]
        if not random or (held == 1 and here[1] == 0 and hessian[1, 1] <= 0):
            step = np.array([-value / gradient[0], 0.0])  # 1
        else:
            rows, bend = np.array([gradient, hessian[held]]), hessian[held, held]
            if bend < 0 and abs(np.linalg.det(rows)) > 0:  # 2
                step = -np.linalg.solve(rows, np.array([value, gradient[held]]))
            else:  # 3
                step = np.zeros(2)
                step[held] = abs(gradient[held] / bend if bend < 0 else 0.1 * here[held]) + 0.1
        if held == 1 and here[1] + step[1] <= 0:
            step[1] = -here[1] if here[1] < 1e-6 else -here[1] / 2
        if here[1] + step[1] > widest:
            return math.nan
        here = here + step
        if (np.abs(step) <= 1e-12 * np.maximum(np.abs(here), 1e-6)).all():
            return float(here[1 - held])
    return math.nan


def _crossing_by_bisection(
    studies: Sequence[Tabulated], inner: float, outer: float, target: float, random: bool
) -> float:
    """Find the same limit without derivatives: slower, but sure to converge."""

    def excess(mu: FloatArray) -> FloatArray:
        return _zoomed(studies, mu, random) - target

    near, far, step = inner, outer, outer - inner
    # on a finer grid of tau the profile may be above the target where the coarse one was below
    for _ in range(_MOST_STEPS_OUT):
        if excess(np.array([far]))[0] < 0:
            break
        near, far, step = far, far + step, 1.5 * step
    return float(bracketed_root(excess, np.array([near]), np.array([far]))[0])


def tau_limits(studies: Sequence[Tabulated], mode: Mode, target: float) -> tuple[float, float]:
    """Find the values of tau at which the profile likelihood has fallen to `target`.

    The lower limit is 0 where the profile never falls that far on the left.
    """
    grid = np.concatenate([[0.0], tau_grid(studies)])
    endless = at_infinity(studies) >= target
    while True:
        values = marginal_log_likelihood(studies, best_means(studies, grid), grid)
        if endless or values[-1] < target:
            break
        grid = np.append(grid, grid[-1] * np.array([2.0, 4.0]))
    inside = np.flatnonzero(values >= target)
    first, last = (int(inside[0]), int(inside[-1])) if inside.size else (None, None)
    low = 0.0 if first == 0 else _tau_limit(studies, mode, target, grid, first, -1)
    high = math.inf if endless else _tau_limit(studies, mode, target, grid, last, 1)
    return low, high


def _tau_limit(
    studies: Sequence[Tabulated],
    mode: Mode,
    target: float,
    grid: FloatArray,
    edge: int | None,
    beyond: int,
) -> float:
    """Find one limit of tau between the last grid value inside, `edge`, and its neighbour.

    Without a grid value inside, the limit is between the mode and its neighbour.
    """
    near = mode[1] if edge is None else float(grid[edge])
    place = (np.searchsorted(grid, mode[1]) - (beyond < 0)) if edge is None else edge + beyond
    far = float(grid[int(np.clip(place, 0, grid.size - 1))])
    start = (float(best_means(studies, np.array([far]))[0]), far)
    found = _crossing(studies, start, 0, target)
    if min(near, far) <= found <= max(near, far):
        return found

    def excess(tau: FloatArray) -> FloatArray:
        return marginal_log_likelihood(studies, best_means(studies, tau), tau) - target

    return float(bracketed_root(excess, [near], [far])[0])
