"""Residual between-study variance: the estimators of `tau2` with a design matrix.

Every estimator takes ``y`` and ``v`` of shape (..., k), ``v = inf`` for an absent study, and
moderators of shape (..., k, p) or (k, p), and returns the estimate of shape (...), truncated at 0;
nan without residual degrees of freedom. With a column of ones as the only moderator, each equals
the estimator of the same name without moderators.

References
----------
.. [1] Raudenbush SW. Analyzing effect sizes: random-effects models. In: Cooper H, Hedges LV,
   Valentine JC, editors. The handbook of research synthesis and meta-analysis. 2nd ed. New York:
   Russell Sage Foundation; 2009. p. 295-315.
.. [2] Viechtbauer W, López-López JA, Sánchez-Meca J, Marín-Martínez F. A comparison of procedures
   to test for moderators in mixed-effects meta-regression models. Psychol Methods 2015;20:360-374.
   https://doi.org/10.1037/met0000023
.. [3] Sidik K, Jonkman JN. A note on variance estimation in random effects meta-regression. J
   Biopharm Stat 2005;15:823-838. https://doi.org/10.1081/BIP-200067915
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from kapmeta.core.moderators.residual_likelihood import (
    curve,
    dot,
    project,
    residual_global_maximum,
    residual_q,
    traces,
)
from kapmeta.core.numerics.arrays import EPSILON, FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.weighting import count, spread

ResidualEstimator: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]

_MOST_NEWTON_STEPS = 100


def residual_reml(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by restricted maximum likelihood, at the global maximum."""
    return residual_global_maximum(y, v, x, restricted=True)


def residual_ml(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by maximum likelihood, at the global maximum.

    Biased downward, more so with more moderators.
    """
    return residual_global_maximum(y, v, x, restricted=False)


def residual_df(v: FloatArray, x: FloatArray) -> FloatArray:
    """Return the number of studies present minus that of coefficients."""
    return np.asarray(count(v) - x.shape[-1], dtype=np.float64)


def _truncated_residual(moment: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    return np.where(residual_df(v, x) > 0, np.maximum(moment, 0.0), np.nan)


def residual_moment(y: FloatArray, v: FloatArray, x: FloatArray, a: FloatArray) -> FloatArray:
    """Estimate from the residual quadratic form with fixed weights `a`, not truncated [1]_."""
    found = project(y, a, x)
    left = a * (1 - found.leverage)  # the diagonal of P
    expected = dot(left, np.where(a > 0, v, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((dot(found.residual, found.residual) - expected) / left.sum(-1))


def residual_dersimonian_laird(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by DerSimonian and Laird's moments, residual Q with weights 1/v [1]_."""
    return _truncated_residual(residual_moment(y, v, x, 1 / v), v, x)


def residual_hedges(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by Hedges' moments from ordinary least squares [1]_."""
    return _truncated_residual(residual_moment(y, v, x, (v < np.inf).astype(np.float64)), v, x)


def residual_dersimonian_laird_two_step(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by two-step DerSimonian-Laird: weights 1/(v + DL)."""
    return _residual_two_step(y, v, x, residual_dersimonian_laird(y, v, x))


def residual_cochran_two_step(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by two-step Cochran ANOVA: weights 1/(v + HE)."""
    return _residual_two_step(y, v, x, residual_hedges(y, v, x))


def _residual_two_step(
    y: FloatArray, v: FloatArray, x: FloatArray, first: FloatArray
) -> FloatArray:
    return _truncated_residual(
        residual_moment(y, v, x, 1 / (v + np.nan_to_num(first)[..., None])), v, x
    )


def residual_hunter_schmidt(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by Hunter and Schmidt's ``(Q - k) / sum(w)``; negatively biased."""
    return _truncated_residual((residual_q(y, v, x) - count(v)) / (1 / v).sum(-1), v, x)


def residual_hunter_schmidt_corrected(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by Hunter and Schmidt's formula with Q multiplied by k / (k - p)."""
    k = count(v)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = residual_q(y, v, x) * (k / residual_df(v, x))
        return _truncated_residual((scaled - k) / (1 / v).sum(-1), v, x)


def residual_sidik_jonkman(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by Sidik and Jonkman's two steps [3]_; positive unless all effects are equal."""
    first = spread(y, v)[1] / np.maximum(count(v), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = v / np.where(first > 0, first, 1.0)[..., None]  # to the first guess: unit free
        q = residual_q(y, relative, x, 1.0)
        return _truncated_residual(np.where(first > 0, q / residual_df(v, x), 0.0), v, x)


def solve_residual_q(
    y: FloatArray, v: FloatArray, x: FloatArray, target: npt.ArrayLike
) -> FloatArray:
    """Find the tau2 at which the residual Q equals `target`; 0 where it is below already at 0.

    Q falls and is convex in tau2, so Newton's steps from a point left of the root rise to it and
    never overshoot.
    """
    target = np.broadcast_to(np.asarray(target, dtype=np.float64), v.shape[:-1])
    largest = np.max(np.where(v < np.inf, v, 0.0), axis=-1, initial=0.0)
    ordinary = project(y, (v < np.inf).astype(np.float64), x).residual
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(np.maximum(dot(ordinary, ordinary) / target - largest, 0.0))
        active = residual_q(y, v, x) > target
        t = np.where(active, t, 0.0)
        for _ in range(_MOST_NEWTON_STEPS):
            if not active.any():
                break
            w = 1 / (v + t[..., None])
            r = project(y, w, x).residual
            after = np.maximum(t + (dot(r, r) - target) / dot(w * r, r), 0.0)
            moving = active & (np.abs(after - t) > 2 * EPSILON * after)
            t, active = np.where(active, after, t), moving
    valid = (residual_df(v, x) > 0) & np.isfinite(residual_q(y, v, x))
    return np.where(valid, t, np.nan)


def residual_paule_mandel(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by Paule and Mandel's rule: the residual Q equals its degrees of freedom.

    Also the empirical Bayes estimate.
    """
    return solve_residual_q(y, v, x, np.maximum(residual_df(v, x), 1))


def residual_paule_mandel_median(y: FloatArray, v: FloatArray, x: FloatArray) -> FloatArray:
    """Estimate by the median-unbiased Paule-Mandel rule: the residual Q equals its median."""
    return solve_residual_q(y, v, x, chi2_quantile(0.5, np.maximum(residual_df(v, x), 1)))


RESIDUAL_ESTIMATORS: Mapping[str, ResidualEstimator] = MappingProxyType(
    {
        "REML": residual_reml,
        "ML": residual_ml,
        "DL": residual_dersimonian_laird,
        "PM": residual_paule_mandel,
        "PMM": residual_paule_mandel_median,
        "EB": residual_paule_mandel,
        "HE": residual_hedges,
        "HS": residual_hunter_schmidt,
        "HSk": residual_hunter_schmidt_corrected,
        "SJ": residual_sidik_jonkman,
        "DL2": residual_dersimonian_laird_two_step,
        "CA2": residual_cochran_two_step,
    }
)
"""Estimators of the residual variance, named as in `kapmeta.core.heterogeneity.tau2.ESTIMATORS`."""


def residual_estimator_named(method: str | ResidualEstimator) -> ResidualEstimator:
    """Look up the estimator called `method`; return a callable unchanged."""
    if callable(method):
        return method
    try:
        return RESIDUAL_ESTIMATORS[method]
    except KeyError:
        raise ValueError(
            f'unknown tau2 estimator "{method}"; use one of {", ".join(RESIDUAL_ESTIMATORS)},'
            " or a callable"
        ) from None


def standard_error(
    y: FloatArray, v: FloatArray, x: FloatArray, tau2: npt.ArrayLike, method: str
) -> FloatArray:
    """Compute the asymptotic standard error of an estimate of tau2, to describe its precision.

    Not for intervals. Inverse expected information for the likelihood estimators, the normal-theory
    variance of the quadratic form for the moment estimators.
    """
    tau2 = np.asarray(tau2, dtype=np.float64)
    w = 1 / (v + tau2[..., None])
    k, df = count(v), residual_df(v, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == "ML":
            return np.asarray(np.sqrt(2 / dot(w, w)))
        if method == "REML":
            return np.asarray(np.sqrt(2 / traces(w, project(y, w, x).basis)[1]))
        if method in ("PM", "PMM", "EB"):
            return np.asarray(np.sqrt(2 * k * k / df) / w.sum(-1))
        a, divisor = _residual_quadratic_form(y, v, x, method)
        total = np.where(v < np.inf, v + tau2[..., None], 0.0)
        return np.asarray(np.sqrt(2 * _residual_trace_form(y, a, x, total)) / divisor)


def _residual_trace_form(
    y: FloatArray, a: FloatArray, x: FloatArray, total: FloatArray
) -> FloatArray:
    """Compute ``tr(P D P D)``: P projects with weights `a`, D is the diagonal matrix of `total`."""
    return traces(a * total, project(y, a, x).basis)[1]


def _residual_quadratic_form(
    y: FloatArray, v: FloatArray, x: FloatArray, method: str
) -> tuple[FloatArray, FloatArray]:
    """Return the weights of the quadratic form behind a moment estimator, and its divisor."""
    w = 1 / v
    if method in ("HS", "HSk"):
        k = count(v)
        return w, w.sum(-1) * (residual_df(v, x) / k if method == "HSk" else 1.0)
    if method == "SJ":
        first = spread(y, v)[1] / count(v)
        return 1 / (v + first[..., None]), residual_df(v, x) / np.where(first > 0, first, np.nan)
    if method in ("DL2", "CA2"):
        first = residual_dersimonian_laird(y, v, x) if method == "DL2" else residual_hedges(y, v, x)
        w = 1 / (v + first[..., None])
    if method == "HE":
        w = (v < np.inf).astype(np.float64)
    return w, traces(w, project(y, w, x).basis)[0]


def residual_q_profile(
    y: FloatArray, v: FloatArray, x: FloatArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Compute the Q-profile limits of the residual tau2.

    Between them the residual Q is in no tail of its distribution. Exact under the normal model with
    known variances. Both limits are 0 where no value is compatible with the data.
    """
    df, tail = np.maximum(residual_df(v, x), 1), (1 - level) / 2
    return solve_residual_q(y, v, x, chi2_quantile(1 - tail, df)), solve_residual_q(
        y, v, x, chi2_quantile(tail, df)
    )


def typical_sampling_variance(v: FloatArray, x: FloatArray) -> FloatArray:
    """Compute the typical sampling variance with moderators, ``(k - p) / tr P`` at tau2 = 0."""
    w = 1 / v
    return np.asarray(residual_df(v, x) / traces(w, project(np.zeros(w.shape), w, x).basis)[0])


def log_likelihoods(
    y: FloatArray, v: FloatArray, x: FloatArray, tau2: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Compute the full and restricted log-likelihood at `tau2` with all constants.

    The restricted one is that of the orthonormal contrasts of the effects, so it does not depend on
    the scale of the moderators. Restricted likelihoods of fits with different moderators are still
    not comparable.
    """
    z = np.linalg.qr(x)[0]
    tau2 = np.asarray(tau2, dtype=np.float64)
    full, restricted = (curve(y, v, z, tau2, kind).loglik for kind in (False, True))
    constant = 0.5 * np.log(2 * np.pi)
    return full - count(v) * constant, restricted - residual_df(v, x) * constant
