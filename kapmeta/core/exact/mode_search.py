"""Modes of the likelihood of mean and tau on likelihood curves.

The likelihood is that of `kapmeta.core.exact.marginal_likelihood`, with its derivatives. Given tau
it is concave in the mean, so that the profile over tau needs one root per tau; it may have several
maxima in tau, and all of them are listed.

Where a curve has a kink the slope in the mean jumps at tau = 0, and nearly so for small tau. Its
root is then bracketed and found without derivatives, and the kink itself is one of the candidates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from kapmeta.core.exact.likelihood_curves import risk_difference_profile
from kapmeta.core.exact.marginal_likelihood import marginal, marginal_log_likelihood
from kapmeta.core.exact.tabulated_curves import Tabulated
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.roots import bracketed_root

GRID_SIZE = 25
"""Values of tau at which the profile is evaluated."""

_MOST_ITERATIONS = 60
_BISECT_AFTER = 10  # Newton steps, after which every second step halves the bracket

Mode = tuple[float, float, float]
"""Mean, tau and log-likelihood of a local maximum."""


def sides(studies: Sequence[Tabulated]) -> tuple[bool, bool]:
    """Tell whether the likelihood of a common mean falls on the left and on the right.

    False means an infinite limit on that side.
    """
    informative = [s for s in studies if s.informative]
    return any(s.plateau[0] == 0 for s in informative), any(s.plateau[1] == 0 for s in informative)


def scale_of(studies: Sequence[Tabulated]) -> tuple[float, float, float]:
    """Return a rough centre of the effects, the finest curve width and the spread of effects."""
    informative = [s for s in studies if s.informative]
    place = np.array([finite_place(s) for s in informative])
    width = np.array([s.width for s in informative])
    weight = 1 / width**2
    centre = float((weight * place).sum() / weight.sum())
    return centre, float(width.min()), float(np.abs(place - centre).max() + width.max())


def finite_place(study: Tabulated) -> float:
    """Return where the curve is highest, or comes within half a unit of its plateau."""
    if math.isfinite(study.best):
        return study.best
    inside = np.flatnonzero(study.relative > -0.5)
    return float(study.theta[inside[0] if study.best > 0 else inside[-1]])


def _edge(studies: Sequence[Tabulated]) -> float:
    """Return the largest possible mean: almost 1 for risk differences."""
    return 1 - 1e-9 if any(s.curve is risk_difference_profile for s in studies) else math.inf


def at_infinity(studies: Sequence[Tabulated]) -> float:
    """Compute the supremum of the log-likelihood as mean and tau grow together.

    Minus infinity where a curve falls on both sides. A curve that rises to a plateau keeps the
    share of the effects on its side, the normal area of mean / tau.
    """
    informative = [s for s in studies if s.informative]
    if any(s.plateau == (0.0, 0.0) for s in informative):
        return -math.inf
    right = sum(s.plateau[1] > 0 for s in informative)
    left, share = len(informative) - right, right / len(informative)
    top = float(sum(s.top for s in studies))
    return top + float(special.xlogy(right, share) + special.xlogy(left, 1 - share))


def best_means(studies: Sequence[Tabulated], tau: FloatArray) -> FloatArray:
    """Find the mean of highest likelihood at each tau.

    The likelihood is concave in the mean, so its slope has one root.
    """
    centre, finest, spread = scale_of(studies)
    widths: FloatArray = spread + finest + np.asarray(tau)
    edge = _edge(studies)

    def slope(mu: FloatArray) -> FloatArray:
        return marginal(studies, mu, tau).gradient[:, 0]

    def slope_and_bend(mu: FloatArray) -> tuple[FloatArray, FloatArray]:
        fit = marginal(studies, mu, tau)
        return fit.gradient[:, 0], fit.hessian[:, 0, 0]

    low, high = np.maximum(centre - widths, -edge), np.minimum(centre + widths, edge)
    for _ in range(_MOST_ITERATIONS):
        outside_low = (slope(low) < 0) & (low > -edge)
        outside_high = (slope(high) > 0) & (high < edge)
        if not (outside_low | outside_high).any():
            break
        low = np.maximum(np.where(outside_low, low - 2 * widths, low), -edge)
        high = np.minimum(np.where(outside_high, high + 2 * widths, high), edge)
        widths = 2 * widths
    if not any(s.has_kink for s in studies):
        return _newton_root(slope_and_bend, low, high)
    root = bracketed_root(slope, low, high)
    root = np.where(np.isnan(root), np.where(slope(low) < 0, low, high), root)  # at an edge
    at_kink, at_root = (marginal_log_likelihood(studies, x, tau) for x in (0 * root, root))
    return np.where((np.asarray(tau) == 0) & (at_kink >= at_root), 0.0, root)


def is_kink(studies: Sequence[Tabulated], mu: float) -> bool:
    """Tell whether the likelihood of a common mean has a kink at `mu`."""
    return mu == 0 and any(s.has_kink for s in studies)


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
        inside = (after >= low) & (after <= high) & (step < _BISECT_AFTER or step % 2 == 0)
        after = np.where(inside, after, 0.5 * (low + high))
        still = np.abs(after - x) <= 1e-14 * (np.abs(x) + width)
        x = after
        if still.all():
            break
    return x


def tau_grid(studies: Sequence[Tabulated], mu: FloatArray | None = None) -> FloatArray:
    """Space values of tau from far below the finest curve to far above the spread.

    The spread is that of the effects and of `mu`.
    """
    centre, finest, spread = scale_of(studies)
    if mu is not None:
        spread += float(np.abs(mu - centre).max())
    return np.geomspace(0.05 * finest, 4 * spread + 4 * finest, GRID_SIZE)


def modes_with_heterogeneity(studies: Sequence[Tabulated], common: Mode) -> list[Mode]:
    """List every local maximum with tau above 0.

    The profile over tau is scanned for rises followed by falls, each refined by Newton steps, and
    so is the highest point of the scan where no maximum found is as high. `common` is the maximum
    with tau held at 0.
    """
    tau = tau_grid(studies)
    fit = marginal(studies, mu := best_means(studies, tau), tau)
    rising = fit.gradient[:, 1] > 0
    from_zero = marginal(studies, np.array([common[0]]), np.zeros(1)).hessian[0, 1, 1] > 0
    from_zero &= not is_kink(studies, common[0])  # there it falls with tau
    starts = [0] if from_zero and not rising[0] else []
    starts += [int(i) for i in np.flatnonzero(rising[:-1] & ~rising[1:])]
    modes = [_refined_mode(studies, float(mu[i]), float(tau[i])) for i in starts]
    at, reached = int(fit.value.argmax()), max(mode[2] for mode in [common, *modes])
    if fit.value[at] > reached + 1e-12 * abs(reached):
        modes.append(_refined_mode(studies, float(mu[at]), float(tau[at])))
    return modes


def _refined_mode(studies: Sequence[Tabulated], mu: float, tau: float) -> Mode:
    """Refine a mode by Newton steps in (mu, log tau), halved until they climb."""
    # 1. the Newton step, uphill whatever the curvature; 2. at most e-fold in tau, halved until it
    # climbs; 3. stop where a step gains no more than rounding
    here = np.array([mu, math.log(tau)])
    fit, gradient, hessian = _logarithmic(studies, here)
    for step_number in range(_MOST_ITERATIONS):
        values, vectors = np.linalg.eigh(hessian)  # 1
        step = vectors @ (vectors.T @ gradient / np.maximum(np.abs(values), 1e-300))
        size = min(1.0, 1.0 / max(abs(float(step[1])), 1e-300))  # 2
        for _ in range(40):
            there = here + size * step
            after, gradient_after, hessian_after = _logarithmic(studies, there)
            if after >= fit - 1e-13 * abs(fit):
                break
            size /= 2
        else:
            break
        settled = step_number > 2 and after - fit <= 1e-14 * (1 + abs(fit))  # 3
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
