"""Posterior of random effects on likelihood curves: no correction for zeros, no sampling,
two-dimensional sums.

At each point in tau (those of the prior, `kapmeta.core.bayes.priors`) the mean has its own equally
spaced points, wide enough to hold all of its posterior. All integrands are smooth and vanish at the
ends, so the sums converge exponentially; between the points the distribution functions are
integrals of sinc interpolants [1]_.

References
----------
.. [1] Stenger F. Numerical methods based on Whittaker cardinal, or sinc functions. SIAM Rev
1981;23:165-224. .. [2] Günhan BK, Röver C, Friede T. Random-effects meta-analysis of few studies
involving rare events. Res Synth
   Methods 2020;11:74-90. https://doi.org/10.1002/jrsm.1370
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.bayes.posterior import sinc_step
from kapmeta.core.bayes.priors import FAMILIES, Nodes, TauPrior, nodes
from kapmeta.core.exact.likelihood_curves import Tabulated, extended
from kapmeta.core.exact.marginal_likelihood import study_log_likelihood
from kapmeta.core.exact.mode_search import scale_of, sides
from kapmeta.core.numerics.arrays import FloatArray

_POINTS = 72  # of the mean at each tau, or more where
# they would lie further apart than this, in units of max(1, tau): log ratios rise in steps of 1
_COARSEST = 0.65
_LOOKS = (
    np.sinh(np.linspace(-4.5, 4.5, 37)) / 1.5
)  # where the mean is first looked for, in units of its rough sd
_THINNED = 3  # of the points in tau, one in so many is looked at first
_DEEPEST = 30.0  # what lies this far below the top, in log units, is left out
_HERMITE, _HERMITE_WEIGHT = special.roots_hermitenorm(12)
_HERMITE_WEIGHT = _HERMITE_WEIGHT / _HERMITE_WEIGHT.sum()
_EPSILON = np.finfo(np.float64).eps


class Scattered(NamedTuple):
    """A distribution as weighted points; each stands for a normal of its `sd`, or for a sinc kernel of its `step`."""

    place: FloatArray
    weight: FloatArray
    sd: FloatArray  # 0 where the kernel is the sinc
    step: FloatArray

    def expectation(self) -> float:
        """Mean."""
        return float((self.weight * self.place).sum())

    def spread(self) -> float:
        """Standard deviation."""
        deviation = self.place - self.expectation()
        return math.sqrt(float((self.weight * (deviation**2 + self.sd**2)).sum()))

    def cdf(self, x: npt.ArrayLike) -> FloatArray:
        """Lower-tail area at each element of `x`."""
        x = np.asarray(x, dtype=np.float64)
        smooth = self.sd > 0
        area: FloatArray = np.zeros(x.shape)
        for rows, area_of in ((smooth, self._normal_area), (~smooth, self._sinc_area)):
            if rows.any():
                area = area + area_of(x[..., None], rows)
        return np.asarray(area)

    def _normal_area(self, x: FloatArray, rows: npt.NDArray[np.bool_]) -> FloatArray:
        return np.asarray(special.ndtr((x - self.place[rows]) / self.sd[rows]) @ self.weight[rows])

    def _sinc_area(self, x: FloatArray, rows: npt.NDArray[np.bool_]) -> FloatArray:
        return np.asarray(
            (0.5 + sinc_step((x - self.place[rows]) / self.step[rows])) @ self.weight[rows]
        )

    def density(self, x: npt.ArrayLike) -> FloatArray:
        """Density at each element of `x`; not negative."""
        x = np.asarray(x, dtype=np.float64)[..., None]
        smooth = self.sd > 0
        z = (x - self.place[smooth]) / self.sd[smooth]
        with np.errstate(under="ignore"):
            found = np.exp(-z * z / 2) @ (
                self.weight[smooth] / self.sd[smooth] / math.sqrt(2 * math.pi)
            )
        found = found + np.sinc((x - self.place[~smooth]) / self.step[~smooth]) @ (
            self.weight[~smooth] / self.step[~smooth]
        )
        return np.maximum(found, 0.0)

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Quantiles at the probabilities `p`, shape (len(p),): Newton steps inside a bracket."""
        p = np.atleast_1d(np.asarray(p, dtype=np.float64))
        order = np.argsort(self.place)
        rough = np.interp(p, np.cumsum(self.weight[order]), self.place[order])
        step = max(float(np.average(np.hypot(self.sd, self.step), weights=self.weight)), 1e-300)
        low, high = rough - step, rough + step
        for side, ends in ((1.0, low), (-1.0, high)):
            reach = step
            while (outside := side * (self.cdf(ends) - p) > 0).any():
                ends[outside] -= side * reach
                reach *= 2
        x, settled, rounds = rough, False, 0
        while not settled and rounds < 80:
            rounds += 1
            excess = self.cdf(x) - p
            low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
            with np.errstate(divide="ignore", invalid="ignore"):
                after = x - excess / self.density(x)
            after = np.where((after > low) & (after < high), after, 0.5 * (low + high))
            done = np.abs(excess) <= 1e-14
            after = np.where(done, x, after)
            settled = bool((done | (np.abs(after - x) <= 8 * _EPSILON * (np.abs(x) + step))).all())
            x = after
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
    """Posterior of mean and tau when each study has its own likelihood curve.

    Parameters
    ----------
    studies : sequence of Tabulated
        From `kapmeta.core.exact.likelihood_curves.tabulated`.
    prior : TauPrior
        Prior of tau, one value each parameter.
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
    _refuse_improper(studies, informative, prior, mu_prior)
    finest = min(s.width for s in informative) if informative else 1.0
    points = nodes(prior, np.asarray(finest), len(studies))
    tau = points.tau
    keep, low, high = _reach(informative, points, mu_prior)
    finer = math.ceil(((high - low) / (_COARSEST * np.maximum(1.0, tau[keep]))).max())
    intervals = max(_POINTS - 1, finer)
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
    tail = FAMILIES[prior.family].tail + bounded - (mu_prior is None)
    log_marginal = total + sum(s.top for s in studies)
    return BinomialNormal(
        points, tau[keep], tau_weight, everywhere, mu, step, weight, log_marginal, each, tail
    )


def _refuse_improper(
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
                "the posterior is improper: every table's likelihood rises without end to one side,"
                " so a flat prior of mu leaves no distribution; give a normal prior, e.g."
                " mu_prior=(0, 2.82)"
            )
    if not prior.proper and bounded - (mu_prior is None) < 2:
        raise ValueError(
            "the posterior is improper: too few tables bound tau from above for its flat prior;"
            " give a proper prior, e.g. tau_prior=half_normal(0.5)"
        )


def _study_surface(study: Tabulated, mu: FloatArray, tau: FloatArray) -> FloatArray:
    return study_log_likelihood(study, mu.ravel(), tau.ravel()).reshape(mu.shape)


def _log_mu_prior(mu: FloatArray, mu_prior: tuple[float, float] | None) -> FloatArray:
    if mu_prior is None:
        return np.zeros(mu.shape)
    m0, s0 = mu_prior
    return np.asarray(-0.5 * ((mu - m0) / s0) ** 2 - math.log(s0) - 0.5 * math.log(2 * math.pi))


def _reach(
    informative: Sequence[Tabulated], points: Nodes, mu_prior: tuple[float, float] | None
) -> tuple[npt.NDArray[np.int_], FloatArray, FloatArray]:
    """Points in tau that carry weight, and the range of mu at each that does."""
    some = np.unique(np.append(np.arange(0, points.tau.size, _THINNED), points.tau.size - 1))
    tau = points.tau[some]
    place = scale_of(informative)[0] if informative else (mu_prior[0] if mu_prior else 0.0)
    precision = sum((1 / (s.width**2 + tau**2) for s in informative), np.zeros(tau.size))
    if mu_prior is not None:
        precision = precision + mu_prior[1] ** -2
    looks, rough = _LOOKS, 1 / np.sqrt(precision)
    while True:
        mu = place + rough[:, None] * looks
        at_tau = np.broadcast_to(tau[:, None], mu.shape)
        seen = sum(
            (_study_surface(s, mu, at_tau) for s in informative), _log_mu_prior(mu, mu_prior)
        )
        seen = seen + points.log_weight[some][:, None] + np.log(rough)[:, None]
        inside = seen > seen.max(-1, keepdims=True) - _DEEPEST
        matters = seen.max(-1) > seen.max() - _DEEPEST
        if not (inside[matters][:, 0] | inside[matters][:, -1]).any() or looks[-1] > 1e6:
            break
        looks = looks * 3
    rows = np.arange(tau.size)
    low = mu[rows, np.maximum(inside.argmax(-1) - 1, 0)]
    high = mu[rows, np.minimum(looks.size - inside[:, ::-1].argmax(-1), looks.size - 1)]
    # every point in tau takes the wider of the ranges found on either side of it
    after = np.searchsorted(some, np.arange(points.tau.size))
    before = np.maximum(after - (some[after] != np.arange(points.tau.size)), 0)
    keep = np.flatnonzero(matters[after] | matters[before])
    return (
        keep,
        np.minimum(low[after], low[before])[keep],
        np.maximum(high[after], high[before])[keep],
    )


def mean_effect(fit: BinomialNormal) -> Scattered:
    """Posterior of mu."""
    step = np.broadcast_to(fit.step[:, None], fit.mu.shape)
    return _lumped(fit.mu, fit.weight, np.zeros(fit.mu.shape), step)


def new_effect(fit: BinomialNormal) -> Scattered:
    """Posterior of the effect in a new study."""
    wide = fit.tau > 1.25 * fit.step
    sd = np.broadcast_to(fit.tau[wide][:, None], fit.mu[wide].shape)
    parts = [(fit.mu[wide], fit.weight[wide], sd, np.ones(sd.shape))]
    mu, tau, step = fit.mu[~wide], fit.tau[~wide], fit.step[~wide]
    place = mu[:, :, None] + tau[:, None, None] * _HERMITE
    weight = fit.weight[~wide][:, :, None] * _HERMITE_WEIGHT
    parts.append(
        (place, weight, np.zeros(place.shape), np.broadcast_to(step[:, None, None], place.shape))
    )
    return _lumped(
        *(np.concatenate([part.ravel() for part in group]) for group in zip(*parts, strict=True))
    )


def study_effect(fit: BinomialNormal, studies: Sequence[Tabulated], i: int) -> Scattered:
    """Posterior of the effect of study `i` among the informative ones."""
    study = [s for s in studies if s.informative][i]
    mu, weight, own = fit.mu, fit.weight, fit.log_likelihood[i]
    tau = np.broadcast_to(fit.tau[:, None], mu.shape)
    wide = tau > 1.25 * study.step
    far = (mu + 9 * tau)[wide].max(initial=0.0), (mu - 9 * tau)[wide].min(initial=0.0)
    theta, values = extended(study, float(far[1]), float(far[0]))
    exponent = values.loglik - 0.5 * ((theta - mu[wide][:, None]) / tau[wide][:, None]) ** 2
    exponent += (
        np.log(weight[wide].clip(1e-300)) - own[wide] - np.log(tau[wide] * math.sqrt(2 * math.pi))
    )[:, None]
    on_points = np.exp(exponent).sum(0) * study.step
    parts = [(theta, on_points, np.zeros(theta.size), np.full(theta.size, study.step))]
    if not wide.all():
        place = mu[~wide][:, None] + tau[~wide][:, None] * _HERMITE
        curve = (
            study.curve(study.table, place.reshape(1, -1)).loglik.reshape(place.shape) - study.top
        )
        share = np.exp(curve - own[~wide][:, None]) * _HERMITE_WEIGHT * weight[~wide][:, None]
        step = np.broadcast_to(fit.step[:, None], mu.shape)[~wide]
        parts.append(
            (place, share, np.zeros(place.shape), np.broadcast_to(step[:, None], place.shape))
        )
    return _lumped(
        *(np.concatenate([part.ravel() for part in group]) for group in zip(*parts, strict=True))
    )


def _lumped(place: FloatArray, weight: FloatArray, sd: FloatArray, step: FloatArray) -> Scattered:
    """Flat arrays without the points that carry nothing, weights summing to 1."""
    place, weight, sd, step = (part.ravel() for part in (place, weight, sd, step))
    keep = weight > 1e-13 * weight.max()
    weight = weight[keep] / weight[keep].sum()
    return Scattered(place[keep], weight, sd[keep], step[keep])


def bayes_factor_no_heterogeneity(
    studies: Sequence[Tabulated], fit: BinomialNormal, mu_prior: tuple[float, float] | None
) -> float:
    """Bayes factor of ``tau = 0`` against the prior of tau."""
    informative = [s for s in studies if s.informative]
    mu, zero = fit.mu[0], np.zeros(fit.mu.shape[1])
    log_terms = sum(
        (study_log_likelihood(s, mu, zero) for s in informative), _log_mu_prior(mu, mu_prior)
    )
    at_zero = (
        float(special.logsumexp(log_terms)) + math.log(fit.step[0]) + sum(s.top for s in studies)
    )
    return math.exp(at_zero - fit.log_marginal)


def tau_quantile(fit: BinomialNormal, p: npt.ArrayLike) -> FloatArray:
    """Posterior quantiles of tau at the probabilities `p`."""
    w, step = fit.nodes.w, float(fit.nodes.step)
    points = Scattered(w, fit.all_tau_weight, np.zeros(w.size), np.full(w.size, step))
    return fit.nodes.tau_of(points.quantile(p))


def tau_moments(fit: BinomialNormal) -> tuple[float, float]:
    """Posterior mean and standard deviation of tau; infinite where the moment does not exist."""
    mean = float((fit.tau_weight * fit.tau).sum())
    with np.errstate(over="ignore"):
        variance = float((fit.tau_weight * (fit.tau - mean) ** 2).sum())
    return mean if fit.tail - 1 > 1 else math.inf, (
        math.sqrt(variance) if fit.tail - 2 > 1 else math.inf
    )
