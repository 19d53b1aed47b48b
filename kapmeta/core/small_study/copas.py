"""Copas and Shi's selection model: larger and more precise studies are more likely to be published.

A study with standard error s is published if ``gamma0 + gamma1 / s + delta > 0``, delta standard
normal and correlated (rho) with the study's error. The data say next to nothing about gamma0 and
gamma1, so the fit is shown for a range of them.

References
----------
.. [1] Copas JB, Shi JQ. Meta-analysis, funnel plots and sensitivity analysis. Biostatistics
   2000;1:247-262. https://doi.org/10.1093/biostatistics/1.3.247
.. [2] Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. Stat
   Methods Med Res 2001;10:251-265. https://doi.org/10.1177/096228020101000402
.. [3] Carpenter JR, Schwarzer G, Rücker G, Künstler R. Empirical evaluation showed that the Copas
   selection model provided a useful summary in 80% of meta-analyses. J Clin Epidemiol
   2009;62:624-631.e4. https://doi.org/10.1016/j.jclinepi.2008.12.002
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.effects.counts import broadcast_floats
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.core.numerics.maxima import Maximum, highest, maximise

LARGEST_RHO = 0.9999
"""Correlations are kept this far from +-1, where the likelihood is not defined."""

_HALF_LOG_2PI = float(np.log(2 * np.pi) / 2)
_COMPLEX_STEP = 1e-30  # too small to change the value: derivatives are exact
_CERTAIN = 38.0  # publication is certain, to every digit, from this u on
_RATIO_FAR_DOWN = -30.0  # below this u, lambda (u + lambda) is its asymptotic series


class CopasCurve(NamedTuple):
    """Fits along a range of selection parameters; arrays of shape (points,).

    Attributes
    ----------
    gamma0, gamma1 : ndarray
        Selection parameters given.
    published_largest_se, unpublished : ndarray
        Probability that the least precise study is published, and the number of studies judged
        unpublished.
    mu, se, tau2, rho : ndarray
        Maximum likelihood estimates; `se` is nan where the information is singular.
    log_likelihood : ndarray
        At the maximum.
    residual_p_value : ndarray
        Asymmetry that this selection leaves unexplained: likelihood ratio, on one degree of
        freedom, of a straight line of effect on standard error without selection against this fit
        [3]_.
    rho_on_bound, converged : ndarray of bool
        Whether rho ran to its bound, and whether the search settled.
    """

    gamma0: FloatArray
    gamma1: FloatArray
    published_largest_se: FloatArray
    unpublished: FloatArray
    mu: FloatArray
    se: FloatArray
    tau2: FloatArray
    rho: FloatArray
    log_likelihood: FloatArray
    residual_p_value: FloatArray
    rho_on_bound: FloatArray
    converged: FloatArray


def selection_line(
    v: npt.ArrayLike, published_largest_se: npt.ArrayLike, *, published_smallest_se: float = 0.99
) -> tuple[FloatArray, FloatArray]:
    """Solve for gamma0 and gamma1 from two probabilities of being published.

    They are those of the most and of the least precise study.
    """
    se = np.sqrt(np.asarray(v, dtype=np.float64))
    most = special.ndtri(published_smallest_se)
    least = special.ndtri(np.asarray(published_largest_se, dtype=np.float64))
    gamma1 = (most - least) / (1 / se.min() - 1 / se.max())
    return least - gamma1 / se.max(), gamma1


def copas(
    y: npt.ArrayLike, v: npt.ArrayLike, gamma0: npt.ArrayLike, gamma1: npt.ArrayLike
) -> CopasCurve:
    """Fit the model to one data set at each pair of selection parameters.

    Parameters
    ----------
    y, v : array_like, shape (k,)
        Effects and sampling variances, all present. `gamma1` has the unit of the standard errors.
    gamma0, gamma1 : array_like, shape (points,)
        Selection parameters.

    Returns
    -------
    CopasCurve
    """
    y, v = np.asarray(y, dtype=np.float64), np.asarray(v, dtype=np.float64)
    unit = float(np.exp2(np.round(np.log2(v).mean() / 2)))  # a power of 2 rounds nothing
    y, v = y / unit, v / unit**2
    pairs = broadcast_floats(gamma0, np.asarray(gamma1, dtype=np.float64) / unit)
    line = _best_of_searches(y, v, np.full(y.size, _CERTAIN), line=True).log_likelihood
    rows = [
        _fit_at(y, v, float(a), float(b), unit, line)
        for a, b in zip(*map(np.atleast_1d, pairs), strict=True)
    ]
    return CopasCurve(*(np.array(column) for column in zip(*rows, strict=True)))


def _fit_at(
    y: FloatArray, v: FloatArray, gamma0: float, gamma1: float, unit: float, line: float
) -> tuple[float | bool, ...]:
    """Fit the model at one pair of selection parameters."""
    u = np.minimum(gamma0 + gamma1 / np.sqrt(v), _CERTAIN)
    fit = _best_of_searches(y, v, u)
    gain = max(0.0, 2 * (line - fit.log_likelihood))
    published = special.ndtr(u)
    mu, tau2, rho, _ = fit.theta
    return (
        gamma0,
        gamma1 * unit,
        float(published[np.argmax(v)]),
        float((special.ndtr(-u) / published).sum()),
        mu * unit,
        float(np.sqrt(fit.covariance[0, 0])) * unit,
        tau2 * unit**2,
        rho,
        fit.log_likelihood - y.size * np.log(unit),
        float(chi2_upper(gain, 1)),
        abs(rho) >= LARGEST_RHO,
        fit.converged,
    )


def _best_of_searches(
    y: FloatArray, v: FloatArray, u: FloatArray, *, line: bool = False
) -> Maximum:
    """Return the best of searches from correlations of either sign.

    With `line` the mean has a slope on s instead. Where every study is sure to be published rho has
    no meaning and stays 0.
    """
    tau2 = float(ESTIMATORS["ML"](y, v))
    mu = float((y / (v + tau2)).sum() / (1 / (v + tau2)).sum())
    slope, rho = (np.inf, 0.0) if line else (0.0, LARGEST_RHO if u.min() < _CERTAIN else 0.0)
    lower, upper = [-np.inf, 0.0, -rho, -slope], [np.inf, np.inf, rho, slope]
    places = (mu, 0.0), (mu / 2, 0.7), (mu / 2, -0.7)
    starts = [[m, t, r, 0.0] for t in (tau2, float(y.var())) for m, r in places]
    height = lambda theta: _complex_step_derivatives(theta, y, v, u)  # noqa: E731
    fits = [maximise(height, start, lower, upper) for start in starts]
    return highest(fits)


def copas_log_likelihood(
    theta: npt.NDArray[np.complexfloating] | FloatArray, y: FloatArray, v: FloatArray, u: FloatArray
) -> FloatArray:
    """Compute the log-likelihood [1]_ at columns (mu, tau2, rho, slope on s) of `theta`.

    `theta` has shape (4, ...), real or complex. `u` is ``gamma0 + gamma1 / s``. The sampling
    variance of a published study is v, so before selection it was ``v / (1 - rho^2 c^2)`` with
    ``c^2 = lambda(u) (u + lambda(u))``, lambda the inverse Mills ratio.
    """
    mu, tau2, rho, slope = (part[..., None] for part in theta)
    variance = v / (1 - rho * rho * squeezed(u))
    total = variance + tau2
    e = y - mu - slope * np.sqrt(v)
    correlation = rho * np.sqrt(variance / total)
    threshold = (u + correlation * e / np.sqrt(total)) / np.sqrt(1 - correlation * correlation)
    density = -np.log(total) / 2 - e * e / (2 * total) - _HALF_LOG_2PI
    return np.asarray((density + special.log_ndtr(threshold) - special.log_ndtr(u)).sum(-1))


def squeezed(u: FloatArray) -> FloatArray:
    """Compute ``c^2 = lambda (u + lambda)``, between 0 and 1.

    The factor by which selection narrows a perfectly correlated error.
    """
    near = np.maximum(u, _RATIO_FAR_DOWN)
    mills = np.exp(-near * near / 2 - _HALF_LOG_2PI - special.log_ndtr(near))
    far = 1 - 1 / np.minimum(u, -1.0) ** 2
    value = np.clip(mills * (near + mills), 0.0, 1.0)
    return np.asarray(np.where(u >= _RATIO_FAR_DOWN, value, far))


def _complex_step_derivatives(
    theta: FloatArray, y: FloatArray, v: FloatArray, u: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return value, gradient and Hessian, the last by complex steps of the gradient."""
    size = theta.size
    points = theta + 1j * _COMPLEX_STEP * np.eye(size)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value = float(copas_log_likelihood(theta[:, None], y, v, u)[0])
        gradients = _gradient(points.T, y, v, u)
    if not (np.isfinite(value) and np.isfinite(gradients).all()):
        return -np.inf, np.zeros(size), np.zeros((size, size))
    hessian = gradients.imag / _COMPLEX_STEP
    gradient = np.asarray(gradients[:, 0].real, dtype=np.float64)
    return value, gradient, (hessian + hessian.T) / 2


def _gradient(
    theta: npt.NDArray[np.complexfloating], y: FloatArray, v: FloatArray, u: FloatArray
) -> npt.NDArray[np.complexfloating]:
    """Differentiate `copas_log_likelihood` analytically; shape (4, ...), as `theta`.

    Complex `theta` are allowed, so that the Hessian follows by complex steps.
    """
    # 1. total variance, error e, correlation r and threshold z, as in the log-likelihood
    # 2. the derivatives of total variance, e and r by mu, tau2, rho and slope
    # 3. by the chain rule those of the density and of log Phi(z)
    mu, tau2, rho, slope = (part[..., None] for part in theta)  # 1
    c2, s = squeezed(u), np.sqrt(v)
    variance = v / (1 - rho * rho * c2)
    total = variance + tau2
    e = y - mu - slope * s
    r = rho * np.sqrt(variance / total)
    left = 1 - r * r
    z = (u + r * e / np.sqrt(total)) / np.sqrt(left)
    mills = np.exp(-z * z / 2 - _HALF_LOG_2PI - special.log_ndtr(z))
    growth = 2 * rho * c2 * variance**2 / v  # 2, of the variance with rho
    r_by_rho = np.sqrt(variance / total) + r / 2 * (growth / variance - growth / total)
    by = [(0.0, -1.0, 0.0), (1.0, 0.0, -r / (2 * total)), (growth, 0.0, r_by_rho), (0.0, -s, 0.0)]
    rows = []
    for dt, de, dr in by:  # 3
        density = -dt / (2 * total) - e * de / total + e * e * dt / (2 * total * total)
        ratio = (dr * e + r * de - r * e * dt / (2 * total)) / np.sqrt(total)
        threshold = ratio / np.sqrt(left) + z * r * dr / left
        rows.append((density + mills * threshold).sum(-1))
    return np.array(rows)
