"""Posterior of random effects on likelihood curves, by two-dimensional sums.

Zeros need no correction, and nothing is sampled.

The points in tau are those of the prior (`kapmeta.core.bayes.priors`). At each of them the mean has
its own equally spaced points, over a range wide enough to hold all of its posterior. All integrands
are smooth and vanish at the ends, so the sums converge exponentially. Between the points the
distribution functions are integrals of sinc interpolants [1]_.

References
----------
.. [1] Stenger F. Numerical methods based on Whittaker cardinal, or sinc functions. SIAM Rev
   1981;23:165-224.
.. [2] Günhan BK, Röver C, Friede T. Random-effects meta-analysis of few studies involving rare
   events. Res Synth Methods 2020;11:74-90. https://doi.org/10.1002/jrsm.1370
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.bayes.posterior import sinc_step
from kapmeta.core.bayes.priors import Nodes, TauPrior, nodes, tail_power
from kapmeta.core.exact.marginal_likelihood import study_log_likelihood
from kapmeta.core.exact.mode_search import scale_of, sides
from kapmeta.core.exact.tabulated_curves import Tabulated, extended
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray, IntArray

# points of the mean at each tau; more where their distance would exceed `_COARSEST`, in units of
# max(1, tau), since log ratios change over steps of 1
_MEAN_POINTS, _COARSEST = 72, 0.65
# where the mean is sought first, in units of its rough standard deviation
_FIRST_RANGE = np.sinh(np.linspace(-4.5, 4.5, 37)) / 1.5
_MOST_QUANTILE_STEPS = 80
_THINNED = 3  # the range is sought at one in so many points of tau
_NEGLIGIBLE_LOG = 30.0  # what lies this far below the maximum, in log units, is left out
_NORMAL_NODES, _NORMAL_WEIGHTS = special.roots_hermitenorm(12)
_NORMAL_WEIGHTS = _NORMAL_WEIGHTS / _NORMAL_WEIGHTS.sum()

_Part: TypeAlias = tuple[FloatArray, FloatArray, FloatArray | float, FloatArray | float]
"""Points of a `Scattered`: place, weight, sd and step, broadcast against each other."""


class Scattered(NamedTuple):
    """A distribution as weighted points.

    Each point is the centre of a normal with its `sd`, or of a sinc kernel with its `step`.
    """

    place: FloatArray
    weight: FloatArray
    sd: FloatArray  # 0 where the kernel is the sinc
    step: FloatArray

    def expectation(self) -> float:
        """Compute the mean."""
        return float((self.weight * self.place).sum())

    def spread(self) -> float:
        """Compute the standard deviation."""
        deviation = self.place - self.expectation()
        return math.sqrt(float((self.weight * (deviation**2 + self.sd**2)).sum()))

    def cdf(self, x: npt.ArrayLike) -> FloatArray:
        """Compute the lower-tail area at each element of `x`."""
        x = np.asarray(x, dtype=np.float64)
        smooth = self.sd > 0
        area: FloatArray = np.zeros(x.shape)
        for rows, area_of in ((smooth, self._normal_area), (~smooth, self._sinc_area)):
            if rows.any():
                area = area + area_of(x[..., None], rows)
        return np.asarray(area)

    def _normal_area(self, x: FloatArray, rows: BoolArray) -> FloatArray:
        return np.asarray(special.ndtr((x - self.place[rows]) / self.sd[rows]) @ self.weight[rows])

    def _sinc_area(self, x: FloatArray, rows: BoolArray) -> FloatArray:
        z = (x - self.place[rows]) / self.step[rows]
        return np.asarray((0.5 + sinc_step(z)) @ self.weight[rows])

    def density(self, x: npt.ArrayLike) -> FloatArray:
        """Compute the density at each element of `x`; not negative."""
        x = np.asarray(x, dtype=np.float64)[..., None]
        smooth = self.sd > 0
        z = (x - self.place[smooth]) / self.sd[smooth]
        height = self.weight[smooth] / self.sd[smooth] / math.sqrt(2 * math.pi)
        with np.errstate(under="ignore"):
            found = np.exp(-z * z / 2) @ height
        place, weight, step = (part[~smooth] for part in (self.place, self.weight, self.step))
        return np.maximum(found + np.sinc((x - place) / step) @ (weight / step), 0.0)

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Find quantiles at the probabilities `p`, shape (len(p),): Newton steps in a bracket."""
        p = np.atleast_1d(np.asarray(p, dtype=np.float64))
        # 1. a first guess from the weights, and a bracket by doubling
        order = np.argsort(self.place)
        x = np.interp(p, np.cumsum(self.weight[order]), self.place[order])
        step = max(float(np.average(np.hypot(self.sd, self.step), weights=self.weight)), 1e-300)
        low, high = x - step, x + step
        for side, ends in ((1.0, low), (-1.0, high)):
            width = step
            while (outside := side * (self.cdf(ends) - p) > 0).any():
                ends[outside] -= side * width
                width *= 2
        # 2. Newton steps inside the bracket
        for _ in range(_MOST_QUANTILE_STEPS):
            excess = self.cdf(x) - p
            low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
            with np.errstate(divide="ignore", invalid="ignore"):
                after = x - excess / self.density(x)
            after = np.where((after > low) & (after < high), after, 0.5 * (low + high))
            done = np.abs(excess) <= 1e-14
            before, x = x, np.where(done, x, after)
            done |= np.abs(x - before) <= 8 * EPSILON * (np.abs(before) + step)
            if done.all():
                break
        return np.asarray(x)


class BinomialNormal(NamedTuple):
    """The posterior at points (tau, mu): shapes (taus,) and (taus, points)."""

    nodes: Nodes
    tau: FloatArray
    tau_weight: FloatArray
    all_tau_weight: FloatArray  # at every node of the prior, those left out as 0
    mu: FloatArray
    step: FloatArray  # of mu at each tau
    weight: FloatArray
    log_marginal: float
    log_likelihood: tuple[FloatArray, ...]  # of each study at the points
    tail: float  # power at which the posterior of tau falls


def binomial_normal(
    studies: Sequence[Tabulated],
    prior: TauPrior,
    mu_prior: tuple[float, float] | None = (0.0, 2.82),
) -> BinomialNormal:
    """Compute the posterior of mean and tau when each study has its own likelihood curve.

    Parameters
    ----------
    studies : sequence of Tabulated
        From `kapmeta.core.exact.tabulated_curves.tabulated`.
    prior : TauPrior
        Prior of tau, with one value per parameter.
    mu_prior : (mean, sd) or None
        Normal prior of mu; None for a flat one, which needs curves that fall on both sides.

    Returns
    -------
    BinomialNormal

    Raises
    ------
    ValueError
        If the posterior is improper.

    References
    ----------
    .. [1] Günhan BK, Röver C, Friede T. Res Synth Methods 2020;11:74-90.
       https://doi.org/10.1002/jrsm.1370
    """
    informative = [s for s in studies if s.informative]
    _require_proper(studies, informative, prior, mu_prior)
    finest = min(s.width for s in informative) if informative else 1.0
    points = nodes(prior, np.asarray(finest), len(studies))
    tau = points.tau
    keep, low, high = _relevant_range(informative, points, mu_prior)
    finer = math.ceil(((high - low) / (_COARSEST * np.maximum(1.0, tau[keep]))).max())
    intervals = max(_MEAN_POINTS - 1, finer)
    mu = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, intervals + 1)
    step = (high - low) / intervals
    at_tau = np.broadcast_to(tau[keep][:, None], mu.shape)
    each = tuple(_study_surface(s, mu, at_tau) for s in informative)
    log_weight = sum(each, np.zeros(mu.shape)) + _log_mu_prior(mu, mu_prior)
    log_weight = log_weight + (points.log_weight[keep] + np.log(step))[:, None]
    total = float(special.logsumexp(log_weight))
    weight = np.exp(log_weight - total)
    tau_weight = weight.sum(-1)
    everywhere = np.zeros(tau.size)
    everywhere[keep] = tau_weight
    bounded = sum(s.plateau == (0.0, 0.0) for s in informative)
    tail = float(tail_power(prior)) + bounded - (mu_prior is None)
    log_marginal = total + sum(s.top for s in studies)
    return BinomialNormal(
        points, tau[keep], tau_weight, everywhere, mu, step, weight, log_marginal, each, tail
    )


def _require_proper(
    studies: Sequence[Tabulated],
    informative: Sequence[Tabulated],
    prior: TauPrior,
    mu_prior: tuple[float, float] | None,
) -> None:
    bounded = sum(s.plateau == (0.0, 0.0) for s in informative)
    if mu_prior is None:
        falls_left, falls_right = sides(studies)
        if not (falls_left and falls_right):
            raise ValueError(
                "the posterior is improper: the likelihood of every table rises without end to one"
                " side, so a flat prior of mu gives no distribution; use a normal prior, e.g."
                " mu_prior=(0, 2.82)"
            )
    if not prior.proper and bounded - (mu_prior is None) < 2:
        raise ValueError(
            "the posterior is improper: too few tables limit tau from above for its flat prior;"
            " use a proper prior, e.g. tau_prior=half_normal(0.5)"
        )


def _study_surface(study: Tabulated, mu: FloatArray, tau: FloatArray) -> FloatArray:
    return study_log_likelihood(study, mu.ravel(), tau.ravel()).reshape(mu.shape)


def _log_mu_prior(mu: FloatArray, mu_prior: tuple[float, float] | None) -> FloatArray:
    if mu_prior is None:
        return np.zeros(mu.shape)
    m0, s0 = mu_prior
    return np.asarray(-0.5 * ((mu - m0) / s0) ** 2 - math.log(s0) - 0.5 * math.log(2 * math.pi))


def _relevant_range(
    informative: Sequence[Tabulated], points: Nodes, mu_prior: tuple[float, float] | None
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Find the points in tau that matter, and the range of mu at each."""
    # 1. At some of the points in tau, evaluate the posterior over a wide range of mu, widened
    #    until the ends are negligible wherever tau matters.
    # 2. Take the range in which the posterior is not negligible, one point more on either side.
    # 3. Give every point in tau the wider of the ranges found on either side of it.
    some = np.unique(np.append(np.arange(0, points.tau.size, _THINNED), points.tau.size - 1))
    tau = points.tau[some]
    place = scale_of(informative)[0] if informative else (mu_prior[0] if mu_prior else 0.0)
    precision = sum((1 / (s.width**2 + tau**2) for s in informative), np.zeros(tau.size))
    if mu_prior is not None:
        precision = precision + mu_prior[1] ** -2
    grid, rough = _FIRST_RANGE, 1 / np.sqrt(precision)
    while True:
        mu = place + rough[:, None] * grid
        at_tau = np.broadcast_to(tau[:, None], mu.shape)
        likelihoods = (_study_surface(s, mu, at_tau) for s in informative)
        height = sum(likelihoods, _log_mu_prior(mu, mu_prior))
        height = height + points.log_weight[some][:, None] + np.log(rough)[:, None]
        inside = height > height.max(-1, keepdims=True) - _NEGLIGIBLE_LOG
        matters = height.max(-1) > height.max() - _NEGLIGIBLE_LOG
        if not (inside[matters][:, 0] | inside[matters][:, -1]).any() or grid[-1] > 1e6:
            break
        grid = grid * 3
    rows = np.arange(tau.size)
    low = mu[rows, np.maximum(inside.argmax(-1) - 1, 0)]
    high = mu[rows, np.minimum(grid.size - inside[:, ::-1].argmax(-1), grid.size - 1)]
    after = np.searchsorted(some, np.arange(points.tau.size))
    before = np.maximum(after - (some[after] != np.arange(points.tau.size)), 0)
    keep = np.flatnonzero(matters[after] | matters[before])
    low, high = np.minimum(low[after], low[before]), np.maximum(high[after], high[before])
    return keep, low[keep], high[keep]


def mean_effect(fit: BinomialNormal) -> Scattered:
    """Return the posterior of mu."""
    return _joined([(fit.mu, fit.weight, 0.0, fit.step[:, None])])


def new_effect(fit: BinomialNormal) -> Scattered:
    """Return the posterior of the effect in a new study."""
    wide = fit.tau > 1.25 * fit.step
    smooth: _Part = (fit.mu[wide], fit.weight[wide], fit.tau[wide][:, None], 1.0)
    mu, tau, step = fit.mu[~wide], fit.tau[~wide], fit.step[~wide]
    place = mu[:, :, None] + tau[:, None, None] * _NORMAL_NODES
    weight = fit.weight[~wide][:, :, None] * _NORMAL_WEIGHTS
    return _joined([smooth, (place, weight, 0.0, step[:, None, None])])


def study_effect(fit: BinomialNormal, studies: Sequence[Tabulated], i: int) -> Scattered:
    """Return the posterior of the effect of study `i` among the informative ones."""
    study = [s for s in studies if s.informative][i]
    mu, weight, own = fit.mu, fit.weight, fit.log_likelihood[i]
    tau = np.broadcast_to(fit.tau[:, None], mu.shape)
    wide = tau > 1.25 * study.step
    low, high = (mu - 9 * tau)[wide].min(initial=0.0), (mu + 9 * tau)[wide].max(initial=0.0)
    theta, values = extended(study, float(low), float(high))
    exponent = values.loglik - 0.5 * ((theta - mu[wide][:, None]) / tau[wide][:, None]) ** 2
    scale = np.log(tau[wide] * math.sqrt(2 * math.pi))
    exponent += (np.log(weight[wide].clip(1e-300)) - own[wide] - scale)[:, None]
    parts: list[_Part] = [(theta, np.exp(exponent).sum(0) * study.step, 0.0, study.step)]
    if not wide.all():
        place = mu[~wide][:, None] + tau[~wide][:, None] * _NORMAL_NODES
        curve = study.curve(study.table, place.reshape(1, -1)).loglik.reshape(place.shape)
        share = np.exp(curve - study.top - own[~wide][:, None])
        share = share * _NORMAL_WEIGHTS * weight[~wide][:, None]
        step = np.broadcast_to(fit.step[:, None], mu.shape)[~wide]
        parts.append((place, share, 0.0, step[:, None]))
    return _joined(parts)


def _joined(parts: Sequence[_Part]) -> Scattered:
    """Join points, drop those of negligible weight, and scale the weights to sum to 1."""
    full = (np.broadcast_arrays(*part) for part in parts)
    place, weight, sd, step = (
        np.concatenate([piece.ravel() for piece in pieces]) for pieces in zip(*full, strict=True)
    )
    keep = weight > 1e-13 * weight.max()
    weight = weight[keep] / weight[keep].sum()
    return Scattered(place[keep], weight, sd[keep], step[keep])


def bayes_factor_no_heterogeneity(
    studies: Sequence[Tabulated], fit: BinomialNormal, mu_prior: tuple[float, float] | None
) -> float:
    """Compute the Bayes factor of ``tau = 0`` against the prior of tau."""
    informative = [s for s in studies if s.informative]
    mu, zero = fit.mu[0], np.zeros(fit.mu.shape[1])
    likelihoods = (study_log_likelihood(s, mu, zero) for s in informative)
    total = float(special.logsumexp(sum(likelihoods, _log_mu_prior(mu, mu_prior))))
    at_zero = total + math.log(fit.step[0]) + sum(s.top for s in studies)
    return math.exp(at_zero - fit.log_marginal)


def tau_quantile(fit: BinomialNormal, p: npt.ArrayLike) -> FloatArray:
    """Find the posterior quantiles of tau at the probabilities `p`."""
    w, step = fit.nodes.w, float(fit.nodes.step)
    points = Scattered(w, fit.all_tau_weight, np.zeros(w.size), np.full(w.size, step))
    return fit.nodes.tau_of(points.quantile(p))


def tau_moments(fit: BinomialNormal) -> tuple[float, float]:
    """Compute the posterior mean and standard deviation of tau; infinite where undefined."""
    mean = float((fit.tau_weight * fit.tau).sum())
    with np.errstate(over="ignore"):
        variance = float((fit.tau_weight * (fit.tau - mean) ** 2).sum())
    sd = math.sqrt(variance) if fit.tail - 2 > 1 else math.inf
    return mean if fit.tail - 1 > 1 else math.inf, sd
