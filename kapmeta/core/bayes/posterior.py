"""Posterior of the normal-normal random-effects model by one-dimensional quadrature, in batches.

Given tau everything is normal. So the mean, a new study's effect and the effects of the studies
have posteriors that are mixtures of normal distributions over tau [1]_. The points in tau come from
the prior (`kapmeta.core.bayes.priors`), and the sums over them converge exponentially. There is no
grid of bins and no sampling.

References
----------
.. [1] Röver C, Friede T. Discrete approximation of a mixture distribution via restricted
   divergence. J Comput Graph Stat 2017;26:217-222. https://doi.org/10.1080/10618600.2016.1276840
.. [2] Stenger F. Numerical methods based on Whittaker cardinal, or sinc functions. SIAM Rev
   1981;23:165-224.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.bayes.priors import Nodes, TauPrior, nodes, tail_power
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray
from kapmeta.core.numerics.weighting import count, present

_MOST_ROUNDS = 100
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
_NEGLIGIBLE_WEIGHT = 1e-18  # a hundred of these are lost to rounding beside 1


class Mixture(NamedTuple):
    """Mixtures of normal distributions; `weight`, `mean` and `sd` have shape (..., components)."""

    weight: FloatArray
    mean: FloatArray
    sd: FloatArray

    def expectation(self) -> FloatArray:
        """Compute the mean of each mixture."""
        return np.asarray((self.weight * self.mean).sum(-1))

    def spread(self) -> FloatArray:
        """Compute the standard deviation of each mixture."""
        deviation = self.mean - self.expectation()[..., None]
        return np.asarray(np.sqrt((self.weight * (self.sd**2 + deviation**2)).sum(-1)))

    def cdf(self, x: npt.ArrayLike) -> FloatArray:
        """Compute the lower-tail area at `x` of shape (...)."""
        z = (np.asarray(x, dtype=np.float64)[..., None] - self.mean) / self.sd
        return np.asarray((self.weight * special.ndtr(z)).sum(-1))

    def upper(self, x: npt.ArrayLike) -> FloatArray:
        """Compute the upper-tail area at `x`, without the cancellation of ``1 - cdf``."""
        z = (self.mean - np.asarray(x, dtype=np.float64)[..., None]) / self.sd
        return np.asarray((self.weight * special.ndtr(z)).sum(-1))

    def density(self, x: npt.ArrayLike) -> FloatArray:
        """Compute the density at `x` of shape (...)."""
        z = (np.asarray(x, dtype=np.float64)[..., None] - self.mean) / self.sd
        with np.errstate(under="ignore"):
            return np.asarray(
                (self.weight * np.exp(-z * z / 2) / self.sd).sum(-1) / math.sqrt(2 * math.pi)
            )

    def _without_negligible(self) -> Mixture:
        """Drop the components that add nothing to any mixture of the batch."""
        leading = tuple(range(self.weight.ndim - 1))
        keep = ~(self.weight <= _NEGLIGIBLE_WEIGHT).all(axis=leading)
        if keep.all() or not keep.any():
            return self
        shape = self.weight.shape
        return Mixture(*(np.broadcast_to(part, shape)[..., keep] for part in self))

    def area_and_slopes(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute the lower-tail area at `x`, the density and the derivative of the density."""
        z = (x[..., None] - self.mean) / self.sd
        with np.errstate(under="ignore"):
            height = self.weight * np.exp(-0.5 * z * z) / self.sd
        area = np.einsum("...i,...i->...", self.weight, special.ndtr(z))
        slope = -np.einsum("...i,...i->...", height, z / self.sd)
        return area, height.sum(-1) / _ROOT_TWO_PI, slope / _ROOT_TWO_PI

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Find the quantiles at the probabilities `p`, shape (..., len(p))."""
        p = np.atleast_1d(np.asarray(p, dtype=np.float64))
        parts = self._without_negligible()
        shape, n = (*parts.weight.shape[:-1], p.size), parts.weight.shape[-1]
        rows = [np.broadcast_to(part[..., None, :], (*shape, n)).reshape(-1, n) for part in parts]
        found = _mixture_quantiles(Mixture(*rows), np.broadcast_to(p, shape).ravel())
        return found.reshape(shape)


def _mixture_quantiles(mixture: Mixture, p: FloatArray) -> FloatArray:
    """Find one quantile per row, by Halley steps kept inside a shrinking bracket."""
    x, low, high = _quantile_bracket(mixture, p)
    active = np.arange(p.size)
    part, target = mixture, p
    for _ in range(_MOST_ROUNDS):
        here = x[active]
        area, density, slope = part.area_and_slopes(here)
        excess = area - target
        below = excess < 0
        low[active] = np.where(below, here, low[active])
        high[active] = np.where(below, high[active], here)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = excess / density
            after = here - newton / np.maximum(1 - 0.5 * newton * slope / density, 0.5)
        inside = (after > low[active]) & (after < high[active])
        after = np.where(inside, after, 0.5 * (low[active] + high[active]))
        # done where the area equals its target to rounding, or the step no longer changes it
        at_root = np.abs(excess) <= 4 * EPSILON * target
        x[active] = np.where(at_root, here, after)
        unit = np.abs(after) + target / np.maximum(density, 1e-300)
        small = np.abs(after - here) <= 8 * EPSILON * unit
        moved = ~at_root & ~small
        if not moved.any():
            break
        if not moved.all():
            active, target = active[moved], target[moved]
            part = Mixture(*(value[moved] for value in part))
    return x


def _quantile_bracket(mixture: Mixture, p: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Find a first guess and a bracket of each quantile, by doubling from the centre."""
    centre = mixture.expectation()
    scale = 1 / (mixture.weight / mixture.sd).sum(-1)
    z = special.ndtri(p)
    guess = centre + z * scale
    side = np.where(mixture.cdf(guess) < p, 1.0, -1.0)
    near, width = guess.copy(), scale.copy()
    far = guess + side * width
    open_ = side * (mixture.cdf(far) - p) < 0
    while open_.any():
        near = np.where(open_, far, near)
        width = np.where(open_, 2 * width, width)
        far = np.where(open_, far + side * width, far)
        open_ = open_ & (side * (mixture.cdf(far) - p) < 0)
    return near.copy(), np.minimum(near, far), np.maximum(near, far)


class NormalNormal(NamedTuple):
    """The posterior at points in tau: shapes (..., points), `log_marginal` (...)."""

    nodes: Nodes
    weight: FloatArray  # posterior weights of the points, which sum to 1
    mean: FloatArray  # of mu given tau
    sd: FloatArray  # of mu given tau
    log_marginal: FloatArray
    log_likelihood: FloatArray  # log p(y | tau) at the points
    tail: FloatArray  # power at which the posterior of tau falls
    flat_mean: bool  # whether the prior of mu is flat


def given_tau(
    y: FloatArray,
    v: FloatArray,
    tau: FloatArray,
    mu_prior: tuple[npt.ArrayLike, npt.ArrayLike] | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute mean and sd of mu given tau, and log p(y | tau), at tau of shape (..., n)."""
    there = v < np.inf
    total = np.where(there, v, 1.0)[..., None, :] + (tau * tau)[..., None]
    w = np.where(there[..., None, :], 1 / total, 0.0)
    log_total = np.where(there[..., None, :], np.log(total), 0.0).sum(-1)
    origin = np.take_along_axis(y, np.argmin(v, axis=-1)[..., None], axis=-1)
    y = np.where(there, y - origin, 0.0)[..., None, :]
    s1: FloatArray = w.sum(-1)
    weighted: FloatArray = (w * y).sum(-1)
    constants = np.asarray(count(v)[..., None] - 1.0, dtype=np.float64)
    pull: FloatArray | float = 0.0
    if mu_prior is not None:
        m0, s0 = (np.asarray(part, dtype=np.float64)[..., None] for part in mu_prior)
        m0 = m0 - origin
        s1, weighted = s1 + 1 / s0**2, weighted + m0 / s0**2
        log_total = log_total + 2 * np.log(s0)
        constants = constants + 1
    mean = weighted / s1
    if mu_prior is not None:
        pull = ((m0 - mean) / s0) ** 2
    q = (w * (y - mean[..., None]) ** 2).sum(-1) + pull
    log_likelihood = -0.5 * (constants * math.log(2 * math.pi) + log_total + np.log(s1) + q)
    return mean + origin, 1 / np.sqrt(s1), log_likelihood


def normal_normal(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    prior: TauPrior,
    mu_prior: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> NormalNormal:
    """Compute the posterior of ``y_i ~ N(theta_i, v_i)`` with ``theta_i ~ N(mu, tau^2)``.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Estimates and sampling variances; ``v = inf`` marks an absent study.
    prior : TauPrior
        Prior of tau. Its parameters broadcast with the leading shape, so that a batch may vary the
        prior.
    mu_prior : (mean, sd), optional
        Normal prior of mu; flat by default. Arrays broadcast with the leading shape.

    Returns
    -------
    NormalNormal
        With an improper posterior (fewer than three studies and the flat prior of tau) the weights
        are nan.

    Notes
    -----
    With a flat prior of mu the marginal likelihood is defined up to a constant and serves to
    compare values of tau only.

    References
    ----------
    .. [1] Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat
       Softw 2020;93(6). https://doi.org/10.18637/jss.v093.i06

    Examples
    --------
    >>> from kapmeta.core.bayes.priors import half_normal
    >>> fit = normal_normal([0.2, 0.5, 0.9], [0.04, 0.09, 0.16], half_normal(0.5))
    >>> mean_effect(fit).quantile([0.025, 0.5, 0.975]).round(4)
    array([-0.0767,  0.4328,  1.0516])
    """
    y, v = present(y, v)
    points = nodes(prior, v.min(-1) ** 0.5, v.shape[-1])
    mean, sd, log_likelihood = given_tau(y, v, points.tau, mu_prior)
    log_weight = log_likelihood + points.log_weight
    log_marginal = special.logsumexp(log_weight, axis=-1)
    weight = np.exp(log_weight - log_marginal[..., None])
    tail = np.asarray(tail_power(prior) + count(v) - 1.0 + (mu_prior is not None))
    proper = tail > 1
    weight = np.where(proper[..., None], weight, np.nan)
    log_marginal = np.where(proper, log_marginal, np.nan)
    return NormalNormal(
        points, weight, mean, sd, log_marginal, log_likelihood, tail, mu_prior is None
    )


def mean_effect(fit: NormalNormal) -> Mixture:
    """Return the posterior of mu."""
    return Mixture(fit.weight, fit.mean, fit.sd)


def new_effect(fit: NormalNormal) -> Mixture:
    """Return the posterior of the effect in a new study."""
    return Mixture(fit.weight, fit.mean, np.hypot(fit.sd, fit.nodes.tau))


def study_effects(fit: NormalNormal, y: npt.ArrayLike, v: npt.ArrayLike) -> Mixture:
    """Return the posteriors of the effects of the studies, shape (..., k, points).

    An absent study has the posterior of a new one.
    """
    y, v = present(y, v)
    tau2 = (fit.nodes.tau**2)[..., None, :]
    mean, sd = fit.mean[..., None, :], fit.sd[..., None, :]
    there = (v < np.inf)[..., None]
    finite = np.where(there, v[..., None], 1.0)
    # share of the study's own estimate; no division by tau
    share = np.where(there, tau2 / (tau2 + finite), 1.0)
    own = np.where(there, share * y[..., None], mean)
    mean = np.where(there, own + (1 - share) * mean, mean)
    shrunken = np.sqrt(share * finite + ((1 - share) * sd) ** 2)
    spread = np.where(there, shrunken, np.sqrt(sd**2 + tau2))
    return Mixture(np.broadcast_to(fit.weight[..., None, :], mean.shape), mean, spread)


def moment_exists(fit: NormalNormal, order: int) -> BoolArray:
    """Test whether tau has a posterior moment of this order; few studies may leave none."""
    return np.asarray(fit.tail - order > 1)


def tau_moments(fit: NormalNormal) -> tuple[FloatArray, FloatArray]:
    """Compute the posterior mean and standard deviation of tau; infinite where undefined."""
    tau = fit.nodes.tau
    with np.errstate(over="ignore"):
        mean = (fit.weight * tau).sum(-1)
        variance = (fit.weight * (tau - mean[..., None]) ** 2).sum(-1)
    mean = np.where(moment_exists(fit, 1), mean, np.inf)
    return mean, np.where(moment_exists(fit, 2), np.sqrt(variance), np.inf)


def mean_sd(fit: NormalNormal) -> FloatArray:
    """Compute the posterior standard deviation of mu.

    Infinite where the prior of mu is flat and tau has no second moment.
    """
    sd = mean_effect(fit).spread()
    return np.where(moment_exists(fit, 2), sd, np.inf) if fit.flat_mean else sd


def sinc_step(x: FloatArray) -> FloatArray:
    """Integrate the sinc function from 0 to x, the step of integrated sinc interpolants [2]_."""
    return np.asarray(special.sici(math.pi * x)[0] / math.pi)


@lru_cache(maxsize=32)
def _cumulative_matrix(points: int) -> FloatArray:
    """Build the matrix from weights to the distribution function at the points."""
    i = np.arange(points, dtype=np.float64)
    return 0.5 + sinc_step(np.subtract.outer(i, i).T)


def tau_cdf(fit: NormalNormal, w: FloatArray) -> FloatArray:
    """Compute the posterior chance that tau is below its value at the coordinates `w`, (..., m)."""
    x = (w[..., None] - fit.nodes.w[..., None, :]) / fit.nodes.step[..., None, None]
    return np.asarray(((sinc_step(x) + 0.5) * fit.weight[..., None, :]).sum(-1))


def tau_quantile(fit: NormalNormal, p: npt.ArrayLike) -> FloatArray:
    """Find the posterior quantiles of tau at the probabilities `p`, shape (..., len(p)).

    The distribution function is the integral of the sinc interpolant of the density in w [2]_. One
    matrix product gives it at the points, and the crossing found there is refined by Newton steps.
    """
    p = np.atleast_1d(np.asarray(p, dtype=np.float64))
    n = fit.weight.shape[-1]
    at_points = fit.weight @ _cumulative_matrix(n)
    cell = np.clip((at_points[..., None, :] < p[:, None]).sum(-1), 1, n - 1)
    left, right = (np.take_along_axis(at_points, cell - shift, axis=-1) for shift in (1, 0))
    first, step = fit.nodes.first[..., None], fit.nodes.step[..., None]
    low, high = first + (cell - 1) * step, first + cell * step
    with np.errstate(invalid="ignore", divide="ignore"):
        w = low + step * np.clip((p - left) / (right - left), 0, 1)
        for _ in range(3):
            x = (w[..., None] - fit.nodes.w[..., None, :]) / step[..., None]
            density = (np.sinc(x) * fit.weight[..., None, :]).sum(-1) / step
            w = np.clip(w - (tau_cdf(fit, w) - p) / density, low, high)
    return fit.nodes.tau_of(w)


def bayes_factor_no_heterogeneity(
    fit: NormalNormal,
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    mu_prior: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> FloatArray:
    """Compute the Bayes factor of ``tau = 0`` against the prior of tau.

    Above 1 it speaks for no heterogeneity.
    """
    y, v = present(y, v)
    _, _, at_zero = given_tau(y, v, np.zeros((*fit.log_marginal.shape, 1)), mu_prior)
    return np.exp(at_zero[..., 0] - fit.log_marginal)


def bayes_factor_no_effect(
    fit: NormalNormal, mu_prior: tuple[npt.ArrayLike, npt.ArrayLike], null: npt.ArrayLike = 0.0
) -> FloatArray:
    """Compute the Bayes factor of ``mu = null`` against its normal prior.

    The ratio of posterior to prior density at the null [1]_.

    References
    ----------
    .. [1] Dickey JM. The weighted likelihood ratio, linear hypotheses on normal location
       parameters. Ann Math Stat 1971;42:204-223.
    """
    m0, s0 = (np.asarray(part, dtype=np.float64) for part in mu_prior)
    z = (np.asarray(null) - m0) / s0
    prior = np.exp(-z * z / 2) / (s0 * math.sqrt(2 * math.pi))
    return np.asarray(mean_effect(fit).density(null) / prior)
