"""Between-study variance: the table of estimators, each a function of effects and variances.

Every estimator takes ``y`` and ``v`` of shape (..., k), with ``v = inf`` for an absent study, and
returns the estimate of shape (...), truncated at 0; nan where fewer than two studies are present.
None has a tolerance that depends on the unit of the effects: y c and v c^2 give tau2 c^2.

References
----------
.. [1] DerSimonian R, Laird N. Meta-analysis in clinical trials. Control Clin Trials 1986;7:177-188.
   https://doi.org/10.1016/0197-2456(86)90046-2
.. [2] DerSimonian R, Kacker R. Random-effects model for meta-analysis of clinical trials: an
   update. Contemp Clin Trials 2007;28:105-114. https://doi.org/10.1016/j.cct.2006.04.004
.. [3] Paule RC, Mandel J. Consensus values and weighting factors. J Res Natl Bur Stand
   1982;87:377-385. https://doi.org/10.6028/jres.087.022
.. [4] Veroniki AA, Jackson D, Viechtbauer W, et al. Methods to estimate the between-study variance
   and its uncertainty in meta-analysis. Res Synth Methods 2016;7:55-79.
   https://doi.org/10.1002/jrsm.1164
.. [5] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects
   model. J Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.variance_likelihood import global_maximum
from kapmeta.core.numerics.arrays import EPSILON, FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.weighting import (
    count,
    mean_and_residuals,
    present,
    q_statistic,
    spread,
    trace_p,
    weights,
)

Estimator: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


def reml(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by restricted maximum likelihood, at the global maximum."""
    return global_maximum(y, v, restricted=True)


def ml(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by maximum likelihood, at the global maximum; biased downward with few studies."""
    return global_maximum(y, v, restricted=False)


def quadratic_moment(y: FloatArray, v: FloatArray, a: FloatArray) -> FloatArray:
    """Estimate from the generalised Q with fixed weights `a`, not truncated [2]_ eq. (6)."""
    _, e = mean_and_residuals(y, a)
    total = a.sum(-1)
    variance = np.where(a > 0, v, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = a / total[..., None]
        expected = (a * variance * (1 - share)).sum(-1)
        return np.asarray((np.vecdot(a * e, e) - expected) / trace_p(a))


def _truncated(moment: FloatArray, v: FloatArray) -> FloatArray:
    return np.where(count(v) > 1, np.maximum(moment, 0.0), np.nan)


def _equal_weights(v: FloatArray) -> FloatArray:
    return np.where(v < np.inf, 1.0, 0.0)


def dersimonian_laird(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by DerSimonian and Laird's moments [1]_: generalised Q with weights 1/v."""
    return _truncated(quadratic_moment(y, v, weights(v)), v)


def hedges(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by Hedges' (Cochran ANOVA) moments: generalised Q with equal weights."""
    return _truncated(quadratic_moment(y, v, _equal_weights(v)), v)


def dersimonian_laird_two_step(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by two-step DerSimonian-Laird [2]_: generalised Q with weights 1/(v + DL)."""
    return _two_step(y, v, dersimonian_laird(y, v))


def cochran_two_step(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by two-step Cochran ANOVA [2]_: generalised Q with weights 1/(v + HE)."""
    return _two_step(y, v, hedges(y, v))


def _two_step(y: FloatArray, v: FloatArray, first: FloatArray) -> FloatArray:
    return _truncated(quadratic_moment(y, v, weights(v, np.nan_to_num(first))), v)


def hunter_schmidt(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by Hunter and Schmidt's ``(Q - k) / sum(w)``; negatively biased [5]_."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return _truncated((q_statistic(y, v) - count(v)) / weights(v).sum(-1), v)


def hunter_schmidt_corrected(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by Hunter and Schmidt's formula with Q multiplied by k / (k - 1)."""
    k = count(v)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _truncated((q_statistic(y, v) * (k / (k - 1)) - k) / weights(v).sum(-1), v)


def sidik_jonkman(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by Sidik and Jonkman's two steps.

    Positive unless all effects are equal; too large when tau2 is small.
    """
    k = count(v)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.nan_to_num(spread(y, v)[1] / k)
        return _truncated(first * q_statistic(y, v, first) / (k - 1), v)


def solve_q(y: FloatArray, v: FloatArray, target: npt.ArrayLike) -> FloatArray:
    """Find the tau2 at which the generalised Q equals `target`, of shape (...).

    The root is 0 where Q is below the target already at 0. ``1 / Q`` rises and is concave in tau2,
    by ``(y'PPy)^2 <= (y'Py)(y'PPPy)``. So Newton's steps on it from a point left of the root rise
    to the root and never overshoot. They are longer than those on Q, which is convex; with equal
    variances the first is exact. They stop when a step no longer changes the last digit, or goes
    back.
    """
    shape, k = v.shape[:-1], v.shape[-1]
    rows = math.prod(shape)
    target = np.broadcast_to(np.asarray(target, dtype=np.float64), shape).reshape(rows)
    y, v = np.broadcast_to(y, v.shape).reshape(rows, k), v.reshape(rows, k)
    t = _left_of_root(y, v, target)
    active = np.arange(t.size)
    with np.errstate(divide="ignore", invalid="ignore"):  # effects all equal, or impossible
        while active.size:
            w = weights(v[active], t[active])
            _, e = mean_and_residuals(y[active], w)
            we = w * e
            q, goal = np.vecdot(we, e), target[active]
            step = (q - goal) * (q / goal) / np.vecdot(we, we)
            t[active] = after = np.fmax(t[active] + step, 0.0)
            active = active[step > 2 * EPSILON * after]
    return np.where((count(v) > 1) & np.isfinite(y.sum(-1)), t, np.nan).reshape(shape)


def _left_of_root(y: FloatArray, v: FloatArray, target: FloatArray) -> FloatArray:
    """Return ``max(0, S / target - max v)``, at which Q is not below the target.

    Every weight is at least 1/(max v + tau2).
    """
    largest = np.where(v < np.inf, v, 0.0).max(-1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.fmax(spread(y, v)[1] / target - largest, 0.0))


def paule_mandel(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by Paule and Mandel's rule [3]_: Q equals its degrees of freedom.

    Also the empirical Bayes estimate.
    """
    return solve_q(y, v, np.maximum(count(v) - 1, 1))


def paule_mandel_median(y: FloatArray, v: FloatArray) -> FloatArray:
    """Estimate by the median-unbiased Paule-Mandel rule: Q equals its chi-squared median."""
    return solve_q(y, v, chi2_quantile(0.5, np.maximum(count(v) - 1, 1)))


ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        "REML": reml,
        "ML": ml,
        "DL": dersimonian_laird,
        "PM": paule_mandel,
        "PMM": paule_mandel_median,
        "EB": paule_mandel,
        "HE": hedges,
        "HS": hunter_schmidt,
        "HSk": hunter_schmidt_corrected,
        "SJ": sidik_jonkman,
        "DL2": dersimonian_laird_two_step,
        "CA2": cochran_two_step,
    }
)
"""Estimators of the between-study variance by name. A new estimator is one function and one row."""


def generalised_q(weight: Callable[[FloatArray], FloatArray]) -> Estimator:
    """Build the moment estimator from the generalised Q with weights ``weight(v)``.

    For example ``lambda v: 1 / np.sqrt(v)``.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0.2, 0.9, 1.6])
    >>> v = np.array([0.10, 0.20, 0.15])
    >>> print(round(float(estimate(y, v, generalised_q(lambda v: 1 / np.sqrt(v)))), 6))
    0.38349
    """
    return lambda y, v: _truncated(quadratic_moment(y, v, weight(v)), v)


def estimator_named(method: str | Estimator) -> Estimator:
    """Look up the estimator called `method`; return a callable unchanged."""
    if callable(method):
        return method
    try:
        return ESTIMATORS[method]
    except KeyError:
        raise ValueError(
            f'unknown tau2 estimator "{method}"; use one of {", ".join(ESTIMATORS)}, or a callable'
        ) from None


def estimate(y: npt.ArrayLike, v: npt.ArrayLike, method: str | Estimator = "REML") -> FloatArray:
    """Estimate the between-study variance by `method`.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects on the analysis scale and their variances; ``v = inf`` marks an absent study.
    method : str or callable
        A word of `ESTIMATORS`, or a function of `y` and `v` that returns the estimates.

    Returns
    -------
    ndarray, shape (...)
        Estimates, not negative; nan where fewer than two studies are present.

    Examples
    --------
    >>> print(round(float(estimate([0.1, -0.3, 4.2], [0.07, 0.01, 3.27])), 6))
    0.088749
    """
    y, v = present(y, v)
    return estimator_named(method)(y, v)


def standard_error(
    y: npt.ArrayLike, v: npt.ArrayLike, tau2: npt.ArrayLike, method: str
) -> FloatArray:
    """Compute the asymptotic standard error of an estimate of tau2, to describe its precision.

    Not for intervals: the estimate is far from normal with few studies. Use
    `kapmeta.core.heterogeneity.tau2_intervals.q_profile`.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and variances.
    tau2 : array_like, shape (...)
        The estimate.
    method : str
        The word of `ESTIMATORS` it was estimated with.

    Returns
    -------
    ndarray, shape (...)
        Standard errors: inverse expected information for the likelihood estimators [5]_, the
        normal-theory variance of the quadratic form for the moment estimators.
    """
    y, v = present(y, v)
    tau2 = np.asarray(tau2, dtype=np.float64)
    w = weights(v, tau2)
    if method not in ESTIMATORS:
        estimator_named(method)
    if method == "ML":
        return np.asarray(np.sqrt(2 / (w * w).sum(-1)))
    if method == "REML":
        return np.asarray(np.sqrt(2 / _trace_form(w, np.where(v < np.inf, 1.0, 0.0))))
    k = count(v)
    if method in ("PM", "PMM", "EB"):
        return np.asarray(np.sqrt(2 * k * k / (k - 1)) / w.sum(-1))
    total = np.where(v < np.inf, v + tau2[..., None], 0.0)
    a, divisor = _quadratic_form(y, v, method)
    return np.asarray(np.sqrt(2 * _trace_form(a, total)) / divisor)


def _trace_form(a: FloatArray, total: FloatArray) -> FloatArray:
    """Compute ``tr(P D P D)``: P projects with weights `a`, D is the diagonal matrix of `total`."""
    s = a.sum(-1)
    ad = a * total
    trace = (ad * ad).sum(-1) - 2 * (a * ad * ad).sum(-1) / s + ((a * ad).sum(-1) / s) ** 2
    return np.asarray(trace)


def _quadratic_form(y: FloatArray, v: FloatArray, method: str) -> tuple[FloatArray, FloatArray]:
    """Return the weights of the quadratic form behind a moment estimator, and its divisor."""
    w, k = weights(v), count(v)
    if method == "HS":
        return w, w.sum(-1)
    if method == "HSk":
        return w, w.sum(-1) * ((k - 1) / k)
    if method == "SJ":
        first = spread(y, v)[1] / k
        # tau2 is first * Q(first) / (k - 1); with equal effects it is 0, as is its standard error
        return weights(v, first), (k - 1) / np.where(first > 0, first, np.nan)
    if method in ("DL2", "CA2"):
        w = weights(v, dersimonian_laird(y, v) if method == "DL2" else hedges(y, v))
    if method == "HE":
        w = _equal_weights(v)
    return w, trace_p(w)
