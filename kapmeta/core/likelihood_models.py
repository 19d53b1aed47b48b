"""Random effects on likelihood curves: the marginal likelihood of mean and tau, its maximum and profile intervals.

With the effect of study i normal about mu, ``theta_i = mu + tau x``, the likelihood of a study is the average of
its curve over x. Where tau is wide against the spacing of the tabulated curve the average is the plain sum over its
points, whose error falls exponentially; where it is narrow the curve is taken at Gauss-Hermite points of x. The
derivatives are averages over the same points [1]_, so that maxima are found by Newton's method.

References
----------
.. [1] Louis TA. Finding the observed information matrix when using the EM algorithm. J R Stat Soc B 1982;44:226-233.
.. [2] Stijnen T, Hamza TH, Ozdemir P. Stat Med 2010;29:3046-3067. https://doi.org/10.1002/sim.4040
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.arrays import FloatArray
from kapmeta.core.distributions import chi2_quantile
from kapmeta.core.likelihood_curves import Tabulated, Values, extended, risk_difference_profile
from kapmeta.core.roots import bracketed_root

_NARROW = 1.25  # steps of a curve; below this tau the sum over its points would be too coarse
_TAUS = 25  # values of tau at which the profile is looked at
_FAR = 40.0  # log units beyond which a plateau is reached
_LOOKS = 41  # values of the mean, or of tau, looked at on the way to a limit
_MOST_STEPS = 60
_SMOOTH = 10  # Newton steps after which a slope is taken to bend, and every second step halves the bracket
_FEW_POINTS = 64
_HERMITE, _HERMITE_WEIGHT = special.roots_hermitenorm(16)
_HERMITE_WEIGHT = _HERMITE_WEIGHT / _HERMITE_WEIGHT.sum()
# the narrower tau against the curve, the fewer points do
_RULES = tuple((ratio, *special.roots_hermitenorm(n)) for ratio, n in ((1e-5, 1), (0.03, 4), (0.15, 8), (math.inf, 16)))


class Marginal(NamedTuple):
    """Log-likelihood at points (mu, tau), its gradient (..., 2) and Hessian (..., 2, 2)."""

    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray


def _log_total(log_terms: FloatArray) -> FloatArray:
    """Logarithm of the sum over the last axis."""
    top = log_terms.max(-1)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", under="ignore"):
        return np.asarray(np.log(np.exp(log_terms - top[..., None]).sum(-1)) + top)


def study_log_likelihood(study: Tabulated, mu: FloatArray, tau: FloatArray) -> FloatArray:
    """Log-likelihood of one study, relative to the top of its curve, at equally shaped arrays `mu` and `tau`."""
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
    """The sum over the points of the curve, and what lies beyond them where the curve has a plateau."""
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
    exponent = study.relative - 0.5 * ((study.theta - mu[:, None]) / tau[:, None]) ** 2
    return np.asarray(_log_total(exponent) + np.log(study.step / (tau * math.sqrt(2 * math.pi))))


def _at_hermite(study: Tabulated, mu: FloatArray, tau: FloatArray) -> Values:
    """The curve at the Gauss-Hermite points of each (mu, tau), relative to its top."""
    if not tau.any():
        found = _values_at(study, mu[:, None])
        return Values(*(np.broadcast_to(part, (mu.size, _HERMITE.size)) for part in found))
    return _values_at(study, mu[:, None] + tau[:, None] * _HERMITE)


def _values_at(study: Tabulated, theta: FloatArray) -> Values:
    """The curve relative to its top: between its points where that is cheaper, at few points always as it is."""
    if study.smooth and theta.size > _FEW_POINTS:
        return between_points(study, theta)
    found = study.curve(study.table, theta.reshape(1, -1))
    values = Values(*(part.reshape(theta.shape) for part in found))
    return values._replace(loglik=values.loglik - study.top)


def between_points(study: Tabulated, theta: FloatArray) -> Values:
    """The curve between its points, as the quintic that meets value, slope and curvature at both; parabolas beyond."""
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


def log_likelihood(studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray) -> FloatArray:
    """Log-likelihood of all studies at equally shaped arrays `mu` and `tau`."""
    mu, tau = np.broadcast_arrays(np.asarray(mu, dtype=np.float64), np.asarray(tau, dtype=np.float64))
    flat_mu, flat_tau = mu.ravel(), tau.ravel()
    total = np.zeros(flat_mu.size)
    for study in studies:
        total += study_log_likelihood(study, flat_mu, flat_tau) + study.top
    return total.reshape(mu.shape)


def marginal(studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray) -> Marginal:
    """Log-likelihood with its derivatives in (mu, tau); `mu` and `tau` of shape (points,)."""
    value = np.zeros(mu.size)
    gradient = np.zeros((mu.size, 2))
    hessian = np.zeros((mu.size, 2, 2))
    for study in studies:
        wide = tau > _NARROW * study.step
        for rows, points in ((np.flatnonzero(wide), _grid_terms), (np.flatnonzero(~wide), _hermite_terms)):
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
    """Standardised deviations, log weights, slopes and curvatures at the points of the curve and along its plateaus."""
    reach = 9 * float(tau.max())
    theta, values = extended(study, float(mu.min()) - reach, float(mu.max()) + reach)
    x = (theta - mu[:, None]) / tau[:, None]
    log_weight = values.loglik - x * x / 2 + np.log(study.step / (tau[:, None] * math.sqrt(2 * math.pi)))
    return x, log_weight, values.slope, values.curvature


def _hermite_terms(study: Tabulated, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, ...]:
    values = _at_hermite(study, mu, tau)
    x = np.broadcast_to(_HERMITE, values.loglik.shape)
    return x, values.loglik + np.log(_HERMITE_WEIGHT), values.slope, values.curvature


def _louis(w: FloatArray, x: FloatArray, slope: FloatArray, bend: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gradient and Hessian in (mu, tau) as averages of the complete-data derivatives, [1] eq. (3.1)."""
    first = w * slope
    by_mu, by_tau = first.sum(-1), (first * x).sum(-1)
    second = first * slope + w * bend
    across = (second * x).sum(-1)
    gradient = np.stack([by_mu, by_tau], axis=-1)
    along = np.stack([second.sum(-1), across, across, (second * x * x).sum(-1)], axis=-1).reshape(-1, 2, 2)
    return gradient, along - gradient[:, :, None] * gradient[:, None, :]


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
    modes: tuple[tuple[float, float, float], ...]  # (mu, tau, log-likelihood) of every local maximum


def sides(studies: Sequence[Tabulated]) -> tuple[bool, bool]:
    """Whether the likelihood of a common mean falls on the left and on the right: False means an infinite limit."""
    informative = [s for s in studies if s.informative]
    return any(s.plateau[0] == 0 for s in informative), any(s.plateau[1] == 0 for s in informative)


def scale_of(studies: Sequence[Tabulated]) -> tuple[float, float, float]:
    """Rough centre of the effects, the finest width of a curve, and how far the effects spread."""
    informative = [s for s in studies if s.informative]
    place = np.array([_finite_place(s) for s in informative])
    width = np.array([s.width for s in informative])
    weight = 1 / width**2
    centre = float((weight * place).sum() / weight.sum())
    return centre, float(width.min()), float(np.abs(place - centre).max() + width.max())


def _finite_place(study: Tabulated) -> float:
    """Where the curve is highest, or where it has risen to within half a unit of its plateau."""
    if math.isfinite(study.best):
        return study.best
    inside = np.flatnonzero(study.relative > -0.5)
    return float(study.theta[inside[0] if study.best > 0 else inside[-1]])


def maximum(studies: Sequence[Tabulated], *, level: float = 0.95, random: bool = True) -> Fit:
    """Global maximum of the likelihood in mean and tau, with profile intervals.

    Parameters
    ----------
    studies : sequence of Tabulated
        From `kapmeta.core.likelihood_curves.tabulated`; tables without information may be among them.
    level : float
        Level of the profile intervals.
    random : bool
        Whether tau is estimated, or 0.

    Returns
    -------
    Fit
        Infinite estimate and limit where the likelihood only rises on that side. The standard error is that of the
        observed information in mean and tau squared where tau is above 0, else that of the common mean.

    References
    ----------
    .. [2] Stijnen T, Hamza TH, Ozdemir P. Stat Med 2010;29:3046-3067. https://doi.org/10.1002/sim.4040
    """
    falls_left, falls_right = sides(studies)
    if not (falls_left and falls_right):
        return _one_sided(studies, level, random, falls_left)
    common = _best_means(studies, np.zeros(1))
    if log_likelihood(studies, np.zeros(1), np.zeros(1))[0] >= log_likelihood(studies, common, np.zeros(1))[0]:
        common = np.zeros(1)  # arms that are all events, or none, bend the likelihood at no effect
    common_fit = marginal(studies, common, np.zeros(1))
    bend = -float(common_fit.hessian[0, 0, 0])
    common_se = 1 / math.sqrt(bend) if bend > 0 else math.nan  # a maximum at a bend has no curvature
    modes = _modes(studies, float(common[0])) if random else []
    at_zero = (float(common[0]), 0.0, float(common_fit.value[0]))
    if not random or common_fit.hessian[0, 1, 1] <= 0 or all(at_zero[2] >= mode[2] for mode in modes):
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
        low, high, (tau_low, tau_high) = -math.inf, math.inf, _tau_limits(studies, modes[0], loglik - drop)
    else:
        low, high = (_mean_limit(studies, modes[0], first, loglik - drop, side, random) for side in (-1.0, 1.0))
        tau_low, tau_high = _tau_limits(studies, modes[0], loglik - drop) if random else (0.0, 0.0)
    return Fit(mu, tau, se, loglik, low, high, tau_low, tau_high, float(common[0]), common_se, at_zero[2], tuple(modes))


def _at_infinity(studies: Sequence[Tabulated]) -> float:
    """Highest log-likelihood as mean and tau grow together: minus infinity where a curve falls on both sides.

    A curve that rises to a plateau then keeps the share of the effects on its side, the normal area of mean / tau.
    """
    informative = [s for s in studies if s.informative]
    if any(s.plateau == (0.0, 0.0) for s in informative):
        return -math.inf
    right = sum(s.plateau[1] > 0 for s in informative)
    share = right / len(informative)
    top = float(sum(s.top for s in studies))
    return top + float(special.xlogy(right, share) + special.xlogy(len(informative) - right, 1 - share))


def _edge(studies: Sequence[Tabulated]) -> float:
    """The largest mean there is: almost 1 for risk differences."""
    return 1 - 1e-9 if any(s.curve is risk_difference_profile for s in studies) else math.inf


def _best_means(studies: Sequence[Tabulated], tau: FloatArray) -> FloatArray:
    """The mean of highest likelihood at each tau: the likelihood is concave in the mean, so its slope has one root."""
    centre, finest, reach = scale_of(studies)
    reaches: FloatArray = reach + finest + np.asarray(tau)

    def slope(mu: FloatArray) -> FloatArray:
        return marginal(studies, mu, tau).gradient[:, 0]

    edge = _edge(studies)
    low, high = np.maximum(centre - reaches, -edge), np.minimum(centre + reaches, edge)
    for _ in range(_MOST_STEPS):
        outside_low, outside_high = (slope(low) < 0) & (low > -edge), (slope(high) > 0) & (high < edge)
        if not (outside_low | outside_high).any():
            break
        low = np.maximum(np.where(outside_low, low - 2 * reaches, low), -edge)
        high = np.minimum(np.where(outside_high, high + 2 * reaches, high), edge)
        reaches = 2 * reaches
    return _newton_root(
        lambda mu: (lambda m: (m.gradient[:, 0], m.hessian[:, 0, 0]))(marginal(studies, mu, tau)), low, high
    )


def _newton_root(
    f: Callable[[FloatArray], tuple[FloatArray, FloatArray]], low: FloatArray, high: FloatArray
) -> FloatArray:
    """Roots of falling functions given with their derivatives, by Newton steps kept inside their brackets."""
    x, width = 0.5 * (low + high), high - low
    for step in range(_MOST_STEPS):
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
    """Values of tau from far below the finest curve to far above the spread of the effects and of `mu`."""
    centre, finest, reach = scale_of([s for s in studies if s.informative])
    if mu is not None:
        reach += float(np.abs(mu - centre).max())
    return np.geomspace(0.05 * finest, 4 * reach + 4 * finest, _TAUS)


def _modes(studies: Sequence[Tabulated], common: float) -> list[tuple[float, float, float]]:
    """Every local maximum with tau above 0: rises and falls of the profile over tau, refined by Newton steps."""
    tau = _tau_grid(studies)
    mu = _best_means(studies, tau)
    rising = marginal(studies, mu, tau).gradient[:, 1] > 0
    from_zero = marginal(studies, np.array([common]), np.zeros(1)).hessian[0, 1, 1] > 0
    starts = [0] if from_zero and not rising[0] else []
    starts += [int(i) for i in np.flatnonzero(rising[:-1] & ~rising[1:])]
    return [_refined_mode(studies, float(mu[i]), float(tau[i])) for i in starts]


def _refined_mode(studies: Sequence[Tabulated], mu: float, tau: float) -> tuple[float, float, float]:
    """Newton steps in (mu, log tau), halved while they do not climb."""
    here = np.array([mu, math.log(tau)])
    fit, gradient, hessian = _logarithmic(studies, here)
    for step_number in range(_MOST_STEPS):
        values, vectors = np.linalg.eigh(hessian)
        step = vectors @ (vectors.T @ gradient / np.maximum(np.abs(values), 1e-300))  # uphill whatever the curvature
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


def _logarithmic(studies: Sequence[Tabulated], here: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Value, gradient and Hessian in (mu, log tau)."""
    tau = math.exp(here[1])
    fit = marginal(studies, here[:1], np.array([tau]))
    scale = np.array([1.0, tau])
    hessian = fit.hessian[0] * np.outer(scale, scale)
    hessian[1, 1] += tau * fit.gradient[0, 1]
    return float(fit.value[0]), fit.gradient[0] * scale, hessian


def _profile_over_tau(studies: Sequence[Tabulated], mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Highest value over the given values of tau at each mean, and the tau it is found at."""
    values = log_likelihood(studies, np.broadcast_to(mu[:, None], (mu.size, tau.size)), tau)
    best = values.argmax(-1)
    return values[np.arange(mu.size), best], tau[best]


def profile_at(studies: Sequence[Tabulated], mu: float, *, random: bool = True) -> float:
    """Highest log-likelihood with the mean held at `mu`, over all tau if effects are `random`."""
    mean = np.array([mu])
    return float(_zoomed(studies, mean, random)[0]) if random else float(log_likelihood(studies, mean, np.zeros(1))[0])


def _zoomed(studies: Sequence[Tabulated], mean: FloatArray, random: bool) -> FloatArray:
    """The profile at one mean, by looking ever closer at the best of several values of tau."""
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
    """The outermost mean on one side at which the profile likelihood has fallen to `target`."""

    def profile(mu: FloatArray) -> tuple[FloatArray, FloatArray]:
        taus = np.concatenate([[0.0], _tau_grid(studies, mu)]) if random else np.zeros(1)
        return _profile_over_tau(studies, mu, taus)

    reach = 3 * se
    for _ in range(_MOST_STEPS):
        if profile(np.array([mode[0] + side * reach]))[0][0] < target:
            break
        reach *= 2
    else:
        return side * math.inf
    looks = mode[0] + side * reach * np.arange(1, _LOOKS + 1) / _LOOKS
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
    studies: Sequence[Tabulated], start: tuple[float, float], held: int, target: float, random: bool = True
) -> float:
    """Newton steps for (log-likelihood = target, slope in the nuisance parameter = 0); nan if they do not settle.

    `held` is the parameter maximised over: 1 for tau (a limit of the mean), 0 for the mean (a limit of tau).
    """
    here = np.array(start)
    free = 1 - held
    widest = 2 * float(start[1]) + 4 * float(_tau_grid(studies, here[:1])[-1])
    for _ in range(_MOST_STEPS):
        fit = marginal(studies, here[:1], here[1:])
        value, gradient, hessian = fit.value[0] - target, fit.gradient[0], fit.hessian[0]
        if not random or (held == 1 and here[1] == 0 and hessian[1, 1] <= 0):
            step = np.array([-value / gradient[0], 0.0])
        else:
            nuisance = -gradient[held] / -abs(hessian[held, held]) if hessian[held, held] < 0 else 0.1 * abs(here[held])
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
    """The same limit without derivatives: slower, and sure."""

    def excess(mu: FloatArray) -> FloatArray:
        return _zoomed(studies, mu, random) - target

    near, far, step = inner, outer, outer - inner
    for _ in range(_MOST_STEPS):  # seen closely the profile may lie above the target where the looks were below it
        if excess(np.array([far]))[0] < 0:
            break
        near, far, step = far, far + step, 1.5 * step
    return float(bracketed_root(excess, np.array([near]), np.array([far]))[0])


def _tau_limits(studies: Sequence[Tabulated], mode: tuple[float, float, float], target: float) -> tuple[float, float]:
    """Values of tau at which the profile likelihood has fallen to `target`; 0 where it never does on the left."""
    grid = np.concatenate([[0.0], _tau_grid(studies)])
    endless = _at_infinity(studies) >= target
    while True:
        values = log_likelihood(studies, _best_means(studies, grid), grid)
        if endless or values[-1] < target:
            break
        grid = np.append(grid, grid[-1] * np.array([2.0, 4.0]))
    inside = np.flatnonzero(values >= target)
    limits = []
    for edge, beyond in ((inside[0] if inside.size else None, -1), (inside[-1] if inside.size else None, 1)):
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
                bracketed_root(lambda t: log_likelihood(studies, _best_means(studies, t), t) - target, [near], [far])[0]
            )
        limits.append(found)
    return limits[0], limits[1]


def _one_sided(studies: Sequence[Tabulated], level: float, random: bool, falls_left: bool) -> Fit:
    """Every informative curve rises to a plateau on the same side: the estimate is infinite, one limit is finite."""
    side = 1.0 if falls_left else -1.0
    informative = [s for s in studies if s.informative]
    if not informative:
        nan = math.nan
        total = float(sum(s.top for s in studies))
        return Fit(nan, nan, math.inf, total, -math.inf, math.inf, 0.0, math.inf, nan, math.inf, total, ())
    top = float(sum(s.top for s in studies))
    drop = float(chi2_quantile(level, 1)) / 2
    # however far the mean, a wide enough tau leaves each study half its plateau
    finite = not random or len(informative) * math.log(2) > drop
    limit = -side * math.inf
    if finite:
        taus = np.concatenate([[0.0], np.geomspace(1e-2, 1e4, 4 * _TAUS)]) if random else np.zeros(1)

        def excess(mu: FloatArray) -> FloatArray:
            return _profile_over_tau(informative, mu, taus)[0] - (sum(s.top for s in informative) - drop)

        start = max(_finite_place(s) * side for s in informative) * side
        reach = 1.0
        while excess(np.array([start - side * reach]))[0] > 0:
            reach *= 2
        beyond = np.array([start + side * _FAR])
        limit = float(bracketed_root(excess, np.array([start - side * reach]), beyond)[0])
    low, high = (limit, math.inf) if side > 0 else (-math.inf, limit)
    estimate = side * math.inf
    tau_high = math.inf if random else 0.0
    mode = (estimate, 0.0, top)
    return Fit(estimate, 0.0, math.inf, top, low, high, 0.0, tau_high, estimate, math.inf, top, (mode,))
