"""Mixed logistic models of the arms of trials, treatment effects random.

Study effects are fixed (UM.FS) or random (UM.RS). Both arms of study i are binomial with ``logit p
= alpha_i + h (mu + tau z)``; h is the code of the arm. The random terms are integrated by adaptive
Gauss-Hermite quadrature about the mode of each study [2]_, and the derivatives are averages over
the same points [3]_, so the maximum is found by Newton's method in all parameters together.

References
----------
.. [1] Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven random-effects
   models for meta-analyses that estimate the summary odds ratio. Stat Med 2018;37:1059-1085.
.. [2] Pinheiro JC, Bates DM. Approximations to the log-likelihood function in the nonlinear
   mixed-effects model. J Comput Graph Stat 1995;4:12-35.
.. [3] Louis TA. J R Stat Soc B 1982;44:226-233.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.roots import bracketed_root

CODINGS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"half": (0.5, -0.5), "treatment": (1.0, 0.0), "control": (0.0, -1.0)}
)
"""Codes of treated and control arm: models that differ if tau > 0; ``"half"`` is symmetric."""

_ORDER = {1: 25, 2: 17}  # quadrature points by number of random terms
_MOST_NEWTON_STEPS = 100
_STARTING_TAUS = (0.1, 0.4, 1.0)  # values of tau from which the maximum is sought


class LogisticModel(NamedTuple):
    """Tables, codes of the arms, and which terms are random.

    Parameters in order: mu, tau, then for UM.FS one intercept per study; for UM.RS the mean
    intercept, its standard deviation and, if `correlated`, the regression of the treatment effect
    on it.
    """

    tables: Tables
    random_studies: bool
    codes: tuple[float, float] = CODINGS["half"]
    correlated: bool = False
    order: int = 0  # quadrature points per dimension, 0: the default; 1: Laplace's approximation

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return 4 + self.correlated if self.random_studies else 2 + self.tables.a.size

    @property
    def scales(self) -> tuple[int, ...]:
        """Positions of parameters that are standard deviations."""
        return (1, 3) if self.random_studies else (1,)


class Evaluation(NamedTuple):
    """Log-likelihood, gradient and Hessian in the parameters."""

    value: float
    gradient: FloatArray
    hessian: FloatArray


class LogisticFit(NamedTuple):
    """Likelihood maximum, profile interval of the mean; `sigma2`, `correlation` for UM.RS."""

    mu: float
    tau: float
    se: float
    loglik: float
    low: float
    high: float
    sigma2: float
    correlation: float
    parameters: FloatArray


def _events_and_sizes(model: LogisticModel) -> tuple[FloatArray, FloatArray]:
    """Return events and sizes of the arms, each of shape (k, 2, 1)."""
    t = model.tables
    return np.stack([t.a, t.c], axis=1)[:, :, None], np.stack([t.n1, t.n2], axis=1)[:, :, None]


def _predictor(model: LogisticModel, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the fixed linear predictor (k, 2) and the random-term loadings (k, 2, q)."""
    k, h = model.tables.a.size, np.array(model.codes)
    if not model.random_studies:
        return p[2:, None] + h * p[0], np.broadcast_to((h * p[1])[:, None], (k, 2, 1))
    slope = p[4] if model.correlated else 0.0
    loadings = np.stack([p[3] + h * slope, h * p[1]], axis=-1)
    return np.broadcast_to(p[2] + h * p[0], (k, 2)), np.broadcast_to(loadings, (k, 2, 2))


def _most_likely_terms(
    model: LogisticModel, base: FloatArray, loadings: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Find the most likely random terms z (k, q) and the inverse root of the curvature.

    The inverse root has shape (k, q, q).
    """
    events, sizes = (part[:, :, 0] for part in _events_and_sizes(model))
    z = np.zeros((base.shape[0], loadings.shape[2]))
    unit = np.eye(loadings.shape[2])

    def height(z: FloatArray) -> FloatArray:
        eta = base + np.einsum("kjq,kq->kj", loadings, z)
        inside = (events * eta - sizes * np.logaddexp(0, eta)).sum(-1)
        return np.asarray(inside - (z * z).sum(-1) / 2)

    def slopes(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        risk = special.expit(base + np.einsum("kjq,kq->kj", loadings, z))
        gradient = np.einsum("kj,kjq->kq", events - sizes * risk, loadings) - z
        weight = sizes * risk * (1 - risk)
        return gradient, np.einsum("kj,kjq,kjr->kqr", weight, loadings, loadings) + unit

    level = height(z)
    for _ in range(_MOST_NEWTON_STEPS):
        gradient, bend = slopes(z)
        step = np.linalg.solve(bend, gradient[:, :, None])[:, :, 0]
        size = np.ones((base.shape[0], 1))
        while (short := (after := height(z + size * step)) < level - 1e-12 * np.abs(level)).any():
            size = np.where(short[:, None], size / 2, size)  # concave: a short enough step climbs
        z, level = z + size * step, after
        if (np.abs(step) <= 1e-12 * (1 + np.abs(z))).all():
            break
    return z, np.linalg.inv(np.linalg.cholesky(slopes(z)[1])).transpose(0, 2, 1)


def _hermite_points(q: int, order: int) -> tuple[FloatArray, FloatArray]:
    """Build Gauss-Hermite points (N, q) and log weights (N,), normal density divided out."""
    x, w = special.roots_hermitenorm(order or _ORDER[q])
    log_weight = np.log(w) + x * x / 2
    if q == 1:
        return x[:, None], log_weight
    points = np.stack([part.ravel() for part in np.meshgrid(x, x, indexing="ij")], axis=-1)
    return points, np.add.outer(log_weight, log_weight).ravel()


def evaluate_model(model: LogisticModel, p: FloatArray) -> Evaluation:
    """Compute the log-likelihood with its derivatives at parameters `p`."""
    # 1. adaptive quadrature points about the mode of each study [2]
    # 2. log-likelihood of each study: the log-sum over its points, with the Jacobian of the scaling
    # 3. derivatives: averages over the same points with the weights of 2 [3]
    events, sizes = _events_and_sizes(model)
    base, loadings = _predictor(model, p)
    q = loadings.shape[2]
    mode, root = _most_likely_terms(model, base, loadings)  # 1
    x, log_weight = _hermite_points(q, model.order)
    z = mode[:, None, :] + np.einsum("kqr,nr->knq", root, x)
    eta = base[:, :, None] + np.einsum("kjq,knq->kjn", loadings, z)
    log_terms = (events * eta - sizes * np.logaddexp(0, eta)).sum(1)  # 2
    log_terms = log_terms - (z * z).sum(-1) / 2 + log_weight
    log_terms += np.log(np.abs(np.linalg.det(root)))[:, None] - 0.5 * q * math.log(2 * math.pi)
    total = special.logsumexp(log_terms, axis=1)
    weight = np.exp(log_terms - total[:, None])
    risk = special.expit(eta)  # 3
    residual, bend = events - sizes * risk, sizes * risk * (1 - risk)
    gradient, hessian = _averaged(model, weight, z, residual, bend)
    whole, some, others = (special.gammaln(x + 1) for x in (sizes, events, sizes - events))
    return Evaluation(float(total.sum() + (whole - some - others).sum()), gradient, hessian)


def _local(model: LogisticModel, z: FloatArray) -> tuple[FloatArray, IntArray]:
    """Compute the predictors' derivatives in each study's parameters, and their positions.

    The derivatives have shape (k, 2, N, own).
    """
    k, n = z.shape[:2]
    h = np.array(model.codes)[None, :, None]
    one = np.ones((k, 2, n))
    own = np.arange(k)[:, None]
    if not model.random_studies:
        rise = np.stack([h * one, h * z[:, None, :, 0], one], axis=-1)
        return rise, np.concatenate([np.zeros_like(own), np.ones_like(own), own + 2], axis=1)
    parts = [h * one, h * z[:, None, :, 1], one, one * z[:, None, :, 0]]
    if model.correlated:
        parts.append(h * z[:, None, :, 0] * one)
    return np.stack(parts, axis=-1), np.broadcast_to(np.arange(len(parts)), (k, len(parts)))


def _averaged(
    model: LogisticModel, weight: FloatArray, z: FloatArray, residual: FloatArray, bend: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Average the complete-data derivatives into gradient and Hessian, [3] eq. (3.1).

    Given the random terms the predictors are linear in the parameters.
    """
    rise, place = _local(model, z)
    score = np.einsum("kjn,kjnp->knp", residual, rise)
    mean = np.einsum("kn,knp->kp", weight, score)
    second = np.einsum("kn,knp,knr->kpr", weight, score, score)
    second -= mean[:, :, None] * mean[:, None, :]
    second -= np.einsum("kn,kjn,kjnp,kjnr->kpr", weight, bend, rise, rise, optimize=True)
    gradient, hessian = np.zeros(model.parameters), np.zeros((model.parameters, model.parameters))
    np.add.at(gradient, place, mean)
    np.add.at(hessian, (place[:, :, None], place[:, None, :]), second)
    return gradient, hessian


def _damped_newton(
    model: LogisticModel, p: FloatArray, fixed: npt.NDArray[np.bool_]
) -> tuple[FloatArray, Evaluation]:
    """Climb by damped Newton steps in the parameters that are not `fixed`."""
    free = np.flatnonzero(~fixed)
    here = evaluate_model(model, p)
    damping = 0.0
    for _ in range(_MOST_NEWTON_STEPS):
        values, vectors = np.linalg.eigh(here.hessian[np.ix_(free, free)])
        gradient = vectors.T @ here.gradient[free]
        step = vectors @ (gradient / (np.maximum(np.abs(values), 1e-8) + damping))
        step *= min(1.0, 5 / max(float(np.abs(step).max(initial=0.0)), 1e-300))
        after = p.copy()
        after[free] += step
        there = evaluate_model(model, after)
        if not there.value >= here.value - 1e-12 * abs(here.value):
            damping = max(4 * damping, 1e-3)
            continue
        damping = damping / 10 if damping > 1e-6 else 0.0
        p, here = after, there
        if (np.abs(step) <= 1e-11 * (1e-2 + np.abs(p[free]))).all():
            break
    p = p.copy()
    for i in model.scales:
        p[i] = abs(p[i])
    return p, here


def _starting_values(model: LogisticModel, tau: float) -> FloatArray:
    """Estimate starting values of the parameters from the counts, 0.5 added to each cell."""
    t = model.tables
    risk = (t.a + t.c + 0.5) / (t.n1 + t.n2 + 1)
    intercepts = np.log(risk / (1 - risk))
    log_odds = np.log((t.a + 0.5) * (t.d + 0.5) / ((t.b + 0.5) * (t.c + 0.5)))
    mu = float(np.average(log_odds, weights=t.n1 * t.n2 / (t.n1 + t.n2)))
    if not model.random_studies:
        return np.concatenate([[mu, tau], intercepts])
    spread = max(float(intercepts.std()), 0.1)
    return np.array([mu, tau, float(intercepts.mean()), spread, 0.0][: model.parameters])


def _best_of_starts(
    model: LogisticModel,
    start: FloatArray,
    held: dict[int, float],
    random: bool,
    starts: tuple[float, ...] = _STARTING_TAUS,
) -> tuple[FloatArray, Evaluation]:
    """Return the highest maximum over several starting values of tau, 0 among them.

    The parameters in `held` are fixed.
    """
    found: list[tuple[FloatArray, Evaluation]] = []
    for tau in (0.0, *starts) if random else (0.0,):
        p = start.copy()
        p[1] = tau
        fixed = np.zeros(p.size, dtype=bool)
        fixed[1] = tau == 0
        for i, value in held.items():
            p[i], fixed[i] = value, True
        if model.correlated and tau == 0:
            p[4], fixed[4] = 0.0, True
        found.append(_damped_newton(model, p, fixed))
    best = max(found, key=lambda pair: pair[1].value)
    at_zero = found[0]
    # a maximum that tends to tau = 0 is the one at 0
    return at_zero if best[1].value <= at_zero[1].value + 1e-9 else best


def fit_logistic_model(
    model: LogisticModel, *, level: float = 0.95, random: bool = True, profile: bool = True
) -> LogisticFit:
    """Fit the model by maximum likelihood.

    Parameters
    ----------
    model : LogisticModel
        For UM.FS without tables in which nobody or everybody had the event: they say nothing there.
    level : float
        Level of the profile interval of the mean.
    random : bool
        Whether the treatment effect varies between studies.
    profile : bool
        Whether the interval is computed; nan otherwise.

    References
    ----------
    .. [1] Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. Stat Med 2018;37:1059-1085.
    """
    p, fit = _best_of_starts(model, _starting_values(model, 0.0), {}, random)
    at_bound = np.zeros(p.size, dtype=bool)
    for i in model.scales:
        at_bound[i] = p[i] < 1e-6
    if model.correlated:
        at_bound[4] = at_bound[3]
    free = np.flatnonzero(~at_bound)
    covariance = np.linalg.inv(-fit.hessian[np.ix_(free, free)])
    se = math.sqrt(covariance[0, 0])
    low = high = math.nan
    if profile:
        low, high = (
            _profile_limit(model, p, fit.value, se, side, level, random) for side in (-1.0, 1.0)
        )
    slope = p[4] if model.correlated else 0.0
    tau = math.hypot(p[1], slope)
    sigma2 = p[3] ** 2 if model.random_studies else math.nan
    correlation = slope / tau if model.correlated and tau > 0 else math.nan
    mu, sigma2 = float(p[0]), float(sigma2)
    return LogisticFit(mu, float(tau), se, fit.value, low, high, sigma2, correlation, p)


def logistic_profile_at(model: LogisticModel, fit: LogisticFit, mu: float) -> float:
    """Compute the highest log-likelihood with the mean held at `mu`."""
    return _best_of_starts(model, fit.parameters, {0: mu}, True)[1].value


def _profile_limit(
    model: LogisticModel,
    best: FloatArray,
    top: float,
    se: float,
    side: float,
    level: float,
    random: bool,
) -> float:
    """Find the mean on one side at which the profile has fallen to its critical value.

    The fall is half the chi-squared quantile of `level`.
    """
    target = top - float(chi2_quantile(level, 1)) / 2
    starts = (max(float(best[1]), 0.5),)

    def excess(mu: FloatArray) -> FloatArray:
        return np.array(
            [_best_of_starts(model, best, {0: float(mu[0])}, random, starts)[1].value - target]
        )

    distance = 1.5 * float(np.sqrt(chi2_quantile(level, 1))) * se
    while excess(np.array([best[0] + side * distance]))[0] > 0:
        distance *= 1.5
    ends = np.array([best[0], best[0] + side * distance])
    return float(bracketed_root(excess, ends[:1], ends[1:])[0])
