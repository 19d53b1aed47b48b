"""Maximum likelihood with random effects on likelihood curves, and profile intervals.

The likelihood is that of `kapmeta.core.exact.marginal_likelihood`. Its modes are found by
`kapmeta.core.exact.mode_search`, its limits by `kapmeta.core.exact.profile_limits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kapmeta.core.exact.marginal_likelihood import marginal
from kapmeta.core.exact.mode_search import (
    GRID_SIZE,
    Mode,
    at_infinity,
    best_means,
    finite_place,
    is_kink,
    modes_with_heterogeneity,
    scale_of,
    sides,
)
from kapmeta.core.exact.profile_limits import mean_limit, profile_over_tau, tau_limits
from kapmeta.core.exact.tabulated_curves import Tabulated
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.roots import bracketed_root

_PLATEAU_DISTANCE = 40.0  # log units beyond which a plateau is reached


class Fit(NamedTuple):
    """Maximum of the likelihood, its intervals, and every local maximum."""

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
    modes: tuple[Mode, ...]


def maximise_likelihood(
    studies: Sequence[Tabulated], *, level: float = 0.95, random: bool = True
) -> Fit:
    """Maximise the likelihood over mean and tau, with profile intervals.

    Parameters
    ----------
    studies : sequence of Tabulated
        From `kapmeta.core.exact.tabulated_curves.tabulated`; tables without information may be
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
    # The search, step by step:
    # 1. without a finite maximum, one limit from the plateau of the curves;
    # 2. the common mean, and every maximum with tau above 0, highest first;
    # 3. the value approached as mean and tau grow without end, which may be higher still;
    # 4. limits where the profile has fallen by half the chi-squared quantile.
    falls_left, falls_right = sides(studies)
    if not (falls_left and falls_right):  # 1
        return _one_sided_fit(studies, level, random, falls_left)
    common = _common_fit(studies)  # 2
    modes = _ranked_modes(studies, common, random)
    mu, tau, loglik = modes[0]
    se = _standard_error(studies, mu, tau) if tau > 0 else common.se
    farthest = at_infinity(studies) if random else -math.inf  # 3
    drop = float(chi2_quantile(level, 1)) / 2
    if farthest > loglik:
        return _endless_fit(common, modes, farthest, drop)
    target = loglik - drop  # 4
    tau_low, tau_high = tau_limits(studies, modes[0], target) if random else (0.0, 0.0)
    low, high = -math.inf, math.inf
    if farthest < target:
        first = se if se > 0 else scale_of(studies)[1]
        low, high = (mean_limit(studies, modes[0], first, target, s, random) for s in (-1.0, 1.0))
    return Fit(mu, tau, se, loglik, low, high, tau_low, tau_high, *common[:3], tuple(modes))


def common_log_likelihood(studies: Sequence[Tabulated]) -> float:
    """Compute the highest log-likelihood of one effect common to all studies."""
    if all(sides(studies)):
        return _common_fit(studies).loglik
    return float(sum(study.top for study in studies))


class _CommonFit(NamedTuple):
    """Maximum with tau held at 0, and whether the likelihood rises from there with tau."""

    mu: float
    se: float
    loglik: float
    rises: bool


def _common_fit(studies: Sequence[Tabulated]) -> _CommonFit:
    """Maximise the likelihood over the mean with tau held at 0."""
    zero = np.zeros(1)
    mean = best_means(studies, zero)
    fit = marginal(studies, mean, zero)
    at_kink, bend = is_kink(studies, float(mean[0])), -float(fit.hessian[0, 0, 0])
    se = 1 / math.sqrt(bend) if bend > 0 and not at_kink else math.nan  # a kink has no curvature
    rises = not at_kink and not fit.hessian[0, 1, 1] <= 0
    return _CommonFit(float(mean[0]), se, float(fit.value[0]), rises)


def _ranked_modes(studies: Sequence[Tabulated], common: _CommonFit, random: bool) -> list[Mode]:
    """List every maximum, the highest first; tau = 0 is one unless the likelihood rises there."""
    at_zero = (common.mu, 0.0, common.loglik)
    modes = modes_with_heterogeneity(studies, at_zero) if random else []
    if not random or not common.rises or all(at_zero[2] >= mode[2] for mode in modes):
        modes.append(at_zero)
    return sorted(modes, key=lambda mode: -mode[2])


def _standard_error(studies: Sequence[Tabulated], mu: float, tau: float) -> float:
    """Compute the standard error of the mean from the information in mean and tau."""
    h = marginal(studies, np.array([mu]), np.array([tau])).hessian[0]
    determinant = h[0, 0] * h[1, 1] - h[0, 1] ** 2
    return math.sqrt(-h[1, 1] / determinant) if h[1, 1] < 0 < determinant else math.nan


def _endless_fit(common: _CommonFit, modes: list[Mode], farthest: float, drop: float) -> Fit:
    """Build the fit whose likelihood is highest as mean and tau grow without end."""
    nan, inf = math.nan, math.inf
    tau_low = 0.0 if common.loglik >= farthest - drop else nan
    modes = [(nan, inf, farthest), *modes]
    return Fit(nan, inf, nan, farthest, -inf, inf, tau_low, inf, *common[:3], tuple(modes))


def _one_sided_fit(
    studies: Sequence[Tabulated], level: float, random: bool, falls_left: bool
) -> Fit:
    """Build the fit where every informative curve rises to a plateau on the same side.

    The estimate is infinite and one limit is finite.
    """
    nan, inf = math.nan, math.inf
    informative = [s for s in studies if s.informative]
    top = float(sum(s.top for s in studies))
    if not informative:
        return Fit(nan, nan, inf, top, -inf, inf, 0.0, inf, nan, inf, top, ())
    side = 1.0 if falls_left else -1.0
    drop = float(chi2_quantile(level, 1)) / 2
    limit = -side * inf
    # however far the mean, a wide enough tau leaves each study half its plateau
    if not random or len(informative) * math.log(2) > drop:
        limit = _plateau_limit(informative, side, drop, random)
    low, high = (limit, inf) if side > 0 else (-inf, limit)
    estimate, tau_high = side * inf, inf if random else 0.0
    modes = ((estimate, 0.0, top),)
    return Fit(estimate, 0.0, inf, top, low, high, 0.0, tau_high, estimate, inf, top, modes)


def _plateau_limit(studies: Sequence[Tabulated], side: float, drop: float, random: bool) -> float:
    """Find the mean at which the profile has fallen by `drop` from the plateau on `side`."""
    wide = np.geomspace(1e-2, 1e4, 4 * GRID_SIZE)
    taus = np.concatenate([[0.0], wide]) if random else np.zeros(1)
    target = sum(s.top for s in studies) - drop

    def excess(mu: FloatArray) -> FloatArray:
        return profile_over_tau(studies, mu, taus)[0] - target

    start = max(finite_place(s) * side for s in studies) * side
    distance = 1.0
    while excess(np.array([start - side * distance]))[0] > 0:
        distance *= 2
    ends = np.array([start - side * distance]), np.array([start + side * _PLATEAU_DISTANCE])
    return float(bracketed_root(excess, *ends)[0])
