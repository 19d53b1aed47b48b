"""Maximum likelihood with random effects on likelihood curves: every mode, the highest, and profile
intervals.

The likelihood is that of `kapmeta.core.exact.marginal_likelihood`, whose derivatives let maxima be
found by Newton's method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.exact.likelihood_curves import Tabulated, risk_difference_profile
from kapmeta.core.exact.marginal_likelihood import log_likelihood, marginal
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.roots import bracketed_root

_TAUS = 25  # values of tau at which the profile is looked at
_PLATEAU_DISTANCE = 40.0  # log units beyond which a plateau is reached
_LIMIT_GRID = 41  # values of the mean, or of tau, looked at on the way to a limit
_MOST_ITERATIONS = 60
# Newton steps after which a slope is taken to bend, and every second step halves the bracket
_SMOOTH = 10


class Fit(NamedTuple):
    """Maximum of the likelihood and its intervals."""

    mu: float
    tau: float
    se: float
    loglik: float
    low: float
    high: float
    tau_low: float
    tau_high: float
    common_mu: float
    common_se: float
    common_loglik: float
    modes: tuple[
        tuple[float, float, float], ...
    ]  # (mu, tau, log-likelihood) of every local maximum


def sides(studies: Sequence[Tabulated]) -> tuple[bool, bool]:
    """Tell whether the likelihood of a common mean falls on the left and on the right.

    False means an infinite limit on that side.
    """
    informative = [s for s in studies if s.informative]
    return any(s.plateau[0] == 0 for s in informative), any(s.plateau[1] == 0 for s in informative)


def scale_of(studies: Sequence[Tabulated]) -> tuple[float, float, float]:
    """Return a rough centre of the effects, the finest curve width and the spread of effects."""
    informative = [s for s in studies if s.informative]
    place = np.array([_finite_place(s) for s in informative])
    width = np.array([s.width for s in informative])
    weight = 1 / width**2
    centre = float((weight * place).sum() / weight.sum())
    return centre, float(width.min()), float(np.abs(place - centre).max() + width.max())


def _finite_place(study: Tabulated) -> float:
    """Return where the curve is highest, or comes within half a unit of its plateau."""
    if math.isfinite(study.best):
        return study.best
    inside = np.flatnonzero(study.relative > -0.5)
    return float(study.theta[inside[0] if study.best > 0 else inside[-1]])


def maximum(studies: Sequence[Tabulated], *, level: float = 0.95, random: bool = True) -> Fit:
    """Maximise the likelihood over mean and tau, with profile intervals.

    Parameters
    ----------
    studies : sequence of Tabulated
        From `kapmeta.core.exact.likelihood_curves.tabulated`; tables without information may be
        among them.
    level : float
        Level of the profile intervals.
    random : bool
        Whether tau is estimated, or 0.

    Returns
    -------
    Fit
        Infinite estimate and limit where the likelihood only rises on that side. The standard error
        is that of the observed information in mean and tau squared where tau is above 0, else that
        of the common mean.

    References
    ----------
    .. [1] Stijnen T, Hamza TH, Ozdemir P. Stat Med 2010;29:3046-3067.
       https://doi.org/10.1002/sim.4040
    """
    falls_left, falls_right = sides(studies)
    if not (falls_left and falls_right):
        return _one_sided_fit(studies, level, random, falls_left)
    common = _best_means(studies, np.zeros(1))
    if (
        log_likelihood(studies, np.zeros(1), np.zeros(1))[0]
        >= log_likelihood(studies, common, np.zeros(1))[0]
    ):
        common = np.zeros(1)  # arms that are all events, or none, bend the likelihood at no effect
    common_fit = marginal(studies, common, np.zeros(1))
    bend = -float(common_fit.hessian[0, 0, 0])
    common_se = (
        1 / math.sqrt(bend) if bend > 0 else math.nan
    )  # a maximum at a bend has no curvature
    modes = _local_maxima(studies, float(common[0])) if random else []
    at_zero = (float(common[0]), 0.0, float(common_fit.value[0]))
    if (
        not random
        or common_fit.hessian[0, 1, 1] <= 0
        or all(at_zero[2] >= mode[2] for mode in modes)
    ):
        modes = [*modes, at_zero]
    modes.sort(key=lambda mode: -mode[2])
    mu, tau, loglik = modes[0]
    se = common_se
    if tau > 0:
        h = marginal(studies, np.array([mu]), np.array([tau])).hessian[0]
        determinant = h[0, 0] * h[1, 1] - h[0, 1] ** 2
        se = math.sqrt(-h[1, 1] / determinant) if h[1, 1] < 0 < determinant else math.nan
    drop = float(chi2_quantile(level, 1)) / 2
    first = se if se > 0 else scale_of(studies)[1]
    farthest = _at_infinity(studies) if random else -math.inf
    if farthest > loglik:
        modes.insert(0, (math.nan, math.inf, farthest))
        return Fit(
            math.nan,
            math.inf,
            math.nan,
            farthest,
            -math.inf,
            math.inf,
            0.0 if at_zero[2] >= farthest - drop else math.nan,
            math.inf,
            float(common[0]),
            common_se,
            at_zero[2],
            tuple(modes),
        )
    if farthest >= loglik - drop:
        low, high, (tau_low, tau_high) = (
            -math.inf,
            math.inf,
            _tau_limits(studies, modes[0], loglik - drop),
        )
    else:
        low, high = (
            _mean_limit(studies, modes[0], first, loglik - drop, side, random)
            for side in (-1.0, 1.0)
        )
        tau_low, tau_high = _tau_limits(studies, modes[0], loglik - drop) if random else (0.0, 0.0)
    return Fit(
        mu,
        tau,
        se,
        loglik,
        low,
        high,
        tau_low,
        tau_high,
        float(common[0]),
        common_se,
        at_zero[2],
        tuple(modes),
    )


def _at_infinity(studies: Sequence[Tabulated]) -> float:
    """Compute the supremum of the log-likelihood as mean and tau grow together.

    Minus infinity where a curve falls on both sides. A curve that rises to a plateau keeps the
    share of the effects on its side, the normal area of mean / tau.
    """
    informative = [s for s in studies if s.informative]
    if any(s.plateau == (0.0, 0.0) for s in informative):
        return -math.inf
    right = sum(s.plateau[1] > 0 for s in informative)
    share = right / len(informative)
    top = float(sum(s.top for s in studies))
    return top + float(
        special.xlogy(right, share) + special.xlogy(len(informative) - right, 1 - share)
    )


def _edge(studies: Sequence[Tabulated]) -> float:
    """Return the largest possible mean: almost 1 for risk differences."""
    return 1 - 1e-9 if any(s.curve is risk_difference_profile for s in studies) else math.inf


def _best_means(studies: Sequence[Tabulated], tau: FloatArray) -> FloatArray:
    """Find the mean of highest likelihood at each tau.

    The likelihood is concave in the mean, so its slope has one root.
    """
    centre, finest, reach = scale_of(studies)
    reaches: FloatArray = reach + finest + np.asarray(tau)

    def slope(mu: FloatArray) -> FloatArray:
        return marginal(studies, mu, tau).gradient[:, 0]

    edge = _edge(studies)
    low, high = np.maximum(centre - reaches, -edge), np.minimum(centre + reaches, edge)
    for _ in range(_MOST_ITERATIONS):
        outside_low, outside_high = (
            (slope(low) < 0) & (low > -edge),
            (slope(high) > 0) & (high < edge),
        )
        if not (outside_low | outside_high).any():
            break
        low = np.maximum(np.where(outside_low, low - 2 * reaches, low), -edge)
        high = np.minimum(np.where(outside_high, high + 2 * reaches, high), edge)
        reaches = 2 * reaches
    return _newton_root(
        lambda mu: (lambda m: (m.gradient[:, 0], m.hessian[:, 0, 0]))(marginal(studies, mu, tau)),
        low,
        high,
    )


def _newton_root(
    f: Callable[[FloatArray], tuple[FloatArray, FloatArray]], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Solve falling functions, given with derivatives, by Newton steps within brackets."""
    x, width = 0.5 * (low + high), high - low
    for step in range(_MOST_ITERATIONS):
        value, derivative = f(x)
        low, high = np.where(value > 0, x, low), np.where(value > 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            after = x - value / derivative
        inside = (after >= low) & (after <= high) & (step < _SMOOTH or step % 2 == 0)
        after = np.where(inside, after, 0.5 * (low + high))
        still = np.abs(after - x) <= 1e-14 * (np.abs(x) + width)
        x = after
        if still.all():
            break
    return x


def _tau_grid(studies: Sequence[Tabulated], mu: FloatArray | None = None) -> FloatArray:
    """Space values of tau from far below the finest curve to far above the spread.

    The spread is that of the effects and of `mu`.
    """
    centre, finest, reach = scale_of([s for s in studies if s.informative])
    if mu is not None:
        reach += float(np.abs(mu - centre).max())
    return np.geomspace(0.05 * finest, 4 * reach + 4 * finest, _TAUS)


def _local_maxima(studies: Sequence[Tabulated], common: float) -> list[tuple[float, float, float]]:
    """List every local maximum with tau above 0.

    The profile over tau is scanned for rises followed by falls, each refined by Newton steps.
    """
    tau = _tau_grid(studies)
    mu = _best_means(studies, tau)
    rising = marginal(studies, mu, tau).gradient[:, 1] > 0
    from_zero = marginal(studies, np.array([common]), np.zeros(1)).hessian[0, 1, 1] > 0
    starts = [0] if from_zero and not rising[0] else []
    starts += [int(i) for i in np.flatnonzero(rising[:-1] & ~rising[1:])]
    return [_refined_mode(studies, float(mu[i]), float(tau[i])) for i in starts]


def _refined_mode(
    studies: Sequence[Tabulated], mu: float, tau: float
) -> tuple[float, float, float]:
    """Refine a mode by Newton steps in (mu, log tau), halved until they climb."""
    here = np.array([mu, math.log(tau)])
    fit, gradient, hessian = _logarithmic(studies, here)
    for step_number in range(_MOST_ITERATIONS):
        values, vectors = np.linalg.eigh(hessian)
        step = vectors @ (
            vectors.T @ gradient / np.maximum(np.abs(values), 1e-300)
        )  # uphill whatever the curvature
        size = min(1.0, 1.0 / max(abs(float(step[1])), 1e-300))  # tau grows at most e-fold
        for _ in range(40):
            there = here + size * step
            after, gradient_after, hessian_after = _logarithmic(studies, there)
            if after >= fit - 1e-13 * abs(fit):
                break
            size /= 2
        else:
            break
        # a Newton step that gains no more than rounding has landed
        settled = step_number > 2 and after - fit <= 1e-14 * (1 + abs(fit))
        here, fit, gradient, hessian = there, after, gradient_after, hessian_after
        if settled:
            break
    return float(here[0]), math.exp(here[1]), fit


def _logarithmic(
    studies: Sequence[Tabulated], here: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return value, gradient and Hessian in (mu, log tau)."""
    tau = math.exp(here[1])
    fit = marginal(studies, here[:1], np.array([tau]))
    scale = np.array([1.0, tau])
    hessian = fit.hessian[0] * np.outer(scale, scale)
    hessian[1, 1] += tau * fit.gradient[0, 1]
    return float(fit.value[0]), fit.gradient[0] * scale, hessian


def _profile_over_tau(
    studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Maximise over the given values of tau at each mean; also return the best tau."""
    values = log_likelihood(studies, np.broadcast_to(mu[:, None], (mu.size, tau.size)), tau)
    best = values.argmax(-1)
    return values[np.arange(mu.size), best], tau[best]


def profile_at(studies: Sequence[Tabulated], mu: float, *, random: bool = True) -> float:
    """Compute the highest log-likelihood with the mean held at `mu`.

    Over all tau if effects are `random`.
    """
    mean = np.array([mu])
    return (
        float(_zoomed(studies, mean, random)[0])
        if random
        else float(log_likelihood(studies, mean, np.zeros(1))[0])
    )


def _zoomed(studies: Sequence[Tabulated], mean: FloatArray, random: bool) -> FloatArray:
    """Compute the profile at one mean on ever finer grids about the best tau."""
    if not random:
        return log_likelihood(studies, mean, np.zeros(1))
    taus = np.concatenate([[0.0], _tau_grid(studies, mean)])
    for _ in range(8):
        _, best = _profile_over_tau(studies, mean, taus)
        i = int(np.flatnonzero(taus == best[0])[0])
        taus = np.linspace(taus[max(i - 1, 0)], taus[min(i + 1, taus.size - 1)], 9)
    return _profile_over_tau(studies, mean, taus)[0]


def _mean_limit(
    studies: Sequence[Tabulated],
    mode: tuple[float, float, float],
    se: float,
    target: float,
    side: float,
    random: bool,
) -> float:
    """Find the outermost mean on one side at which the profile has fallen to `target`."""

    def profile(mu: FloatArray) -> tuple[FloatArray, FloatArray]:
        taus = np.concatenate([[0.0], _tau_grid(studies, mu)]) if random else np.zeros(1)
        return _profile_over_tau(studies, mu, taus)

    reach = 3 * se
    for _ in range(_MOST_ITERATIONS):
        if profile(np.array([mode[0] + side * reach]))[0][0] < target:
            break
        reach *= 2
    else:
        return side * math.inf
    looks = mode[0] + side * reach * np.arange(1, _LIMIT_GRID + 1) / _LIMIT_GRID
    seen, at = profile(looks)
    outer = int(np.flatnonzero(seen < target)[-1]) if (seen >= target).any() else 0
    if (seen >= target).any():
        outer = int(np.flatnonzero(seen >= target)[-1]) + 1
    inner = mode[0] if outer == 0 else looks[outer - 1]
    found = _crossing(studies, (float(looks[outer]), float(at[outer])), 1, target, random)
    low, high = sorted((float(inner), float(looks[outer])))
    if not low - (high - low) <= found <= high + (high - low):
        found = _crossing_by_bisection(studies, float(inner), float(looks[outer]), target, random)
    return found


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
    here = np.array(start)
    free = 1 - held
    widest = 2 * float(start[1]) + 4 * float(_tau_grid(studies, here[:1])[-1])
    for _ in range(_MOST_ITERATIONS):
        fit = marginal(studies, here[:1], here[1:])
        value, gradient, hessian = fit.value[0] - target, fit.gradient[0], fit.hessian[0]
        if not random or (held == 1 and here[1] == 0 and hessian[1, 1] <= 0):
            step = np.array([-value / gradient[0], 0.0])
        else:
            nuisance = (
                -gradient[held] / -abs(hessian[held, held])
                if hessian[held, held] < 0
                else 0.1 * abs(here[held])
            )
            rows = np.array([gradient, hessian[held]])
            residual = np.array([value, gradient[held]])
            if hessian[held, held] < 0 and abs(np.linalg.det(rows)) > 0:
                step = -np.linalg.solve(rows, residual)
            else:
                step = np.zeros(2)
                step[held] = abs(nuisance) + 0.1
        if held == 1 and here[1] + step[1] <= 0:
            step[1] = -here[1] if here[1] < 1e-6 else -here[1] / 2
        if here[1] + step[1] > widest:
            return math.nan
        here = here + step
        if (np.abs(step) <= 1e-12 * np.maximum(np.abs(here), 1e-6)).all():
            return float(here[free])
    return math.nan


def _crossing_by_bisection(
    studies: Sequence[Tabulated], inner: float, outer: float, target: float, random: bool
) -> float:
    """Find the same limit without derivatives: slower, but sure to converge."""

    def excess(mu: FloatArray) -> FloatArray:
        return _zoomed(studies, mu, random) - target

    near, far, step = inner, outer, outer - inner
    for _ in range(
        _MOST_ITERATIONS
    ):  # seen closely the profile may lie above the target where the looks were below it
        if excess(np.array([far]))[0] < 0:
            break
        near, far, step = far, far + step, 1.5 * step
    return float(bracketed_root(excess, np.array([near]), np.array([far]))[0])


def _tau_limits(
    studies: Sequence[Tabulated], mode: tuple[float, float, float], target: float
) -> tuple[float, float]:
    """Find the values of tau at which the profile likelihood has fallen to `target`.

    The lower limit is 0 where the profile never falls that far on the left.
    """
    grid = np.concatenate([[0.0], _tau_grid(studies)])
    endless = _at_infinity(studies) >= target
    while True:
        values = log_likelihood(studies, _best_means(studies, grid), grid)
        if endless or values[-1] < target:
            break
        grid = np.append(grid, grid[-1] * np.array([2.0, 4.0]))
    inside = np.flatnonzero(values >= target)
    limits = []
    for edge, beyond in (
        (inside[0] if inside.size else None, -1),
        (inside[-1] if inside.size else None, 1),
    ):
        if (edge == 0 and beyond == -1) or (endless and beyond == 1):
            limits.append(0.0 if beyond == -1 else math.inf)
            continue
        near = mode[1] if edge is None else float(grid[edge])
        place = (np.searchsorted(grid, mode[1]) - (beyond < 0)) if edge is None else edge + beyond
        far = float(grid[int(np.clip(place, 0, grid.size - 1))])
        start = (float(_best_means(studies, np.array([far]))[0]), far)
        found = _crossing(studies, start, 0, target)
        if not min(near, far) <= found <= max(near, far):
            found = float(
                bracketed_root(
                    lambda t: log_likelihood(studies, _best_means(studies, t), t) - target,
                    [near],
                    [far],
                )[0]
            )
        limits.append(found)
    return limits[0], limits[1]


def _one_sided_fit(
    studies: Sequence[Tabulated], level: float, random: bool, falls_left: bool
) -> Fit:
    """Build the fit where every informative curve rises to a plateau on the same side.

    The estimate is infinite and one limit is finite.
    """
    side = 1.0 if falls_left else -1.0
    informative = [s for s in studies if s.informative]
    if not informative:
        nan = math.nan
        total = float(sum(s.top for s in studies))
        return Fit(
            nan, nan, math.inf, total, -math.inf, math.inf, 0.0, math.inf, nan, math.inf, total, ()
        )
    top = float(sum(s.top for s in studies))
    drop = float(chi2_quantile(level, 1)) / 2
    # however far the mean, a wide enough tau leaves each study half its plateau
    finite = not random or len(informative) * math.log(2) > drop
    limit = -side * math.inf
    if finite:
        taus = (
            np.concatenate([[0.0], np.geomspace(1e-2, 1e4, 4 * _TAUS)]) if random else np.zeros(1)
        )

        def excess(mu: FloatArray) -> FloatArray:
            return _profile_over_tau(informative, mu, taus)[0] - (
                sum(s.top for s in informative) - drop
            )

        start = max(_finite_place(s) * side for s in informative) * side
        reach = 1.0
        while excess(np.array([start - side * reach]))[0] > 0:
            reach *= 2
        beyond = np.array([start + side * _PLATEAU_DISTANCE])
        limit = float(bracketed_root(excess, np.array([start - side * reach]), beyond)[0])
    low, high = (limit, math.inf) if side > 0 else (-math.inf, limit)
    estimate = side * math.inf
    tau_high = math.inf if random else 0.0
    mode = (estimate, 0.0, top)
    return Fit(
        estimate, 0.0, math.inf, top, low, high, 0.0, tau_high, estimate, math.inf, top, (mode,)
    )
