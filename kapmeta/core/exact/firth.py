"""Firth's penalised logistic regression: fixed study effects and one treatment effect.

The estimate is finite whatever cell is zero.

References
----------
.. [1] Firth D. Bias reduction of maximum likelihood estimates. Biometrika 1993;80:27-38.
   https://doi.org/10.1093/biomet/80.1.27
.. [2] Heinze G, Schemper M. A solution to the problem of separation in logistic regression. Stat
   Med 2002;21:2409-2419.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile, chi2_upper
from kapmeta.core.numerics.roots import bracketed_root

_MOST_SCORING_STEPS = 500


class PenalisedFit(NamedTuple):
    """Log odds ratio, standard error, penalised profile limits, log-likelihood and p-value."""

    estimate: float
    se: float
    low: float
    high: float
    loglik: float
    p_value: float


def _design_matrix(tables: Tables) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Build the design matrix (2k, k + 1), treatment in the last column, with events and sizes."""
    k = tables.a.size
    treated = np.repeat([0.5, -0.5], k)  # centred: only the intercepts depend on it
    x = np.column_stack([np.vstack([np.eye(k), np.eye(k)]), treated])
    return x, np.concatenate([tables.a, tables.c]), np.concatenate([tables.n1, tables.n2])


def _information(
    x: FloatArray, n: FloatArray, beta: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute risks, binomial weights and the information matrix."""
    risk = special.expit(x @ beta)
    weight = n * risk * (1 - risk)
    return risk, weight, x.T @ (weight[:, None] * x)


def _penalised(x: FloatArray, events: FloatArray, n: FloatArray, beta: FloatArray) -> float:
    """Compute the log-likelihood plus half the log determinant of the information.

    [1] section 3.1.
    """
    eta = x @ beta
    _, _, information = _information(x, n, beta)
    sign, log_determinant = np.linalg.slogdet(information)
    if sign <= 0:
        return -math.inf
    return float((events * eta - n * np.logaddexp(0, eta)).sum() + 0.5 * log_determinant)


def _penalised_maximum(
    x: FloatArray, events: FloatArray, n: FloatArray, beta: FloatArray, free: int
) -> FloatArray:
    """Maximise by scoring steps in the first `free` coefficients, halved until they climb."""
    height = _penalised(x, events, n, beta)
    for _ in range(_MOST_SCORING_STEPS):
        risk, weight, information = _information(x, n, beta)
        leverage = weight * np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x)
        score = x.T @ (events - n * risk + leverage * (0.5 - risk))  # modified score, [1] eq. (4)
        step = np.zeros_like(beta)
        step[:free] = np.linalg.solve(information[:free, :free], score[:free])
        size, least = 1.0, height - 1e-12 * abs(height)
        while (after := _penalised(x, events, n, beta + size * step)) < least and size > 1e-9:
            size /= 2
        beta, height = beta + size * step, after
        if np.abs(size * step).max() <= 1e-13 * (1 + np.abs(beta).max()):
            break
    return beta


def firth(tables: Tables, *, level: float = 0.95) -> PenalisedFit:
    """Estimate a common log odds ratio by penalised likelihood, with its profile interval.

    A common-effect method. Tables in which nobody or everybody had the event add nothing but their
    intercepts' penalty.

    Parameters
    ----------
    tables : Tables
        Cells of the trials.
    level : float
        Level of the interval.

    Returns
    -------
    PenalisedFit

    References
    ----------
    .. [1] Firth D. Biometrika 1993;80:27-38. https://doi.org/10.1093/biomet/80.1.27

    Examples
    --------
    >>> import numpy as np
    >>> fit = firth(Tables(*(np.array([float(cell)]) for cell in (12, 15, 0, 28))))
    >>> round(fit.estimate, 4)
    3.8279
    """
    x, events, n = _design_matrix(tables)
    risk = (events + 0.5) / (n + 1)
    k = tables.a.size
    begin = np.append((special.logit(risk[:k]) + special.logit(risk[k:])) / 2, 0.0)
    beta = _penalised_maximum(x, events, n, begin, k + 1)
    top = _penalised(x, events, n, beta)
    _, _, information = _information(x, n, beta)
    se = math.sqrt(np.linalg.inv(information)[-1, -1])
    target = top - float(chi2_quantile(level, 1)) / 2
    low, high = (_penalised_limit(x, events, n, beta, se, side, target) for side in (-1.0, 1.0))
    null = _penalised(x, events, n, _penalised_maximum(x, events, n, np.append(beta[:-1], 0.0), k))
    p_value = float(chi2_upper(max(0.0, 2 * (top - null)), 1))
    return PenalisedFit(float(beta[-1]), se, low, high, top, p_value)


def _penalised_limit(
    x: FloatArray,
    events: FloatArray,
    n: FloatArray,
    beta: FloatArray,
    se: float,
    side: float,
    target: float,
) -> float:
    """Find the effect on one side at which the penalised profile has fallen to `target`."""

    def excess(effect: FloatArray) -> FloatArray:
        held = beta.copy()
        held[-1] = effect[0]
        best = _penalised_maximum(x, events, n, held, beta.size - 1)
        return np.array([_penalised(x, events, n, best) - target])

    distance = 2 * se
    while excess(np.array([beta[-1] + side * distance]))[0] > 0:
        distance *= 1.5
    return float(bracketed_root(excess, beta[-1:], np.array([beta[-1] + side * distance]))[0])
