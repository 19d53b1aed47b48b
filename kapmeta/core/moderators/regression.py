"""Meta-regression: effects on moderators, any number of data sets at once.

References
----------
.. [1] Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and interpreted?
   Stat Med 2002;21:1559-1573. https://doi.org/10.1002/sim.1187
.. [2] Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single
   covariate. Stat Med 2003;22:2693-2710. https://doi.org/10.1002/sim.1482
.. [3] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
   likelihood. Biometrics 1997;53:983-997. https://doi.org/10.2307/2533558
.. [4] Partlett C, Riley RD. Random effects meta-analysis: coverage performance of 95% confidence
   and prediction intervals following REML estimation. Stat Med 2017;36:301-317.
   https://doi.org/10.1002/sim.7140
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.moderators.residual_likelihood import dot, project, residual_q, traces
from kapmeta.core.moderators.residual_variance import ResidualEstimator, residual_estimator_named
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_upper, refuse_level, t_quantile, t_two_sided
from kapmeta.core.numerics.status import Status
from kapmeta.core.numerics.weighting import count, present

_DEPENDENT_COLUMN = 1e-12  # a column depends on those before it if they leave no larger share of it


class Regression(NamedTuple):
    """A batch of meta-regressions; the leading shape (...) is that of the studies' arrays.

    Attributes
    ----------
    beta, se, low, high, statistic, p_value, df : ndarray, shape (..., p)
        Coefficients with the requested interval and test; `df` is infinite for the normal.
    covariance : ndarray, shape (..., p, p)
        Covariance of the coefficients that `se` belongs to.
    model_covariance : ndarray, shape (..., p, p)
        ``(X'WX)^-1``, without any adjustment.
    tau2 : ndarray, shape (...)
        Residual between-study variance.
    q, q_df : ndarray, shape (...)
        Residual heterogeneity statistic (Cochran's, weights 1/v) and its degrees of freedom.
    factor : ndarray, shape (...)
        ``y'Py / (k - p)`` at `tau2`, the Hartung-Knapp factor.
    k, status : ndarray of int, shape (...)
        Studies present, and `kapmeta.core.numerics.status.Status`.
    """

    beta: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    df: FloatArray
    covariance: FloatArray
    model_covariance: FloatArray
    tau2: FloatArray
    q: FloatArray
    q_df: FloatArray
    factor: FloatArray
    k: IntArray
    status: IntArray


class Least(NamedTuple):
    """Weighted least squares at a given tau2: the ingredients of the tests of the coefficients."""

    beta: FloatArray
    covariance: FloatArray  # (X'WX)^-1
    factor: FloatArray
    df: FloatArray
    w: FloatArray
    x: FloatArray
    tau2: FloatArray


def orthonormal(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Factorise moderators as ``x = z t`` with orthonormal columns z.

    Columns are scaled to one length first.
    """
    length = np.sqrt(np.einsum("...kp,...kp->...p", x, x))
    length = np.where(length > 0, length, 1.0)
    z, t = np.linalg.qr(x / length[..., None, :])
    return z, t * length[..., None, :]


def least_squares(y: FloatArray, v: FloatArray, x: FloatArray, tau2: FloatArray) -> Least:
    """Compute coefficients and their model-based covariance at `tau2`; nan if columns depend."""
    w = 1 / (v + tau2[..., None])
    found = project(y, w, x)
    p = x.shape[-1]
    whole = np.isfinite(found.triangle).all((-2, -1)) & np.isfinite(found.coordinates).all(-1)
    inverse = np.full(found.triangle.shape, np.nan)
    regular = found.triangle[whole]
    inverse[whole] = np.linalg.solve(regular, np.broadcast_to(np.eye(p), regular.shape))
    beta = np.einsum("...ij,...j->...i", inverse, found.coordinates)
    df = np.asarray(count(v) - p, dtype=np.float64)
    q = _above_rounding(dot(found.residual, found.residual), y, w)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Least(beta, inverse @ np.swapaxes(inverse, -1, -2), q / df, df, w, x, tau2)


def _above_rounding(q: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """Return `q`, but 0 where the fit is exact to the last digits of the estimates."""
    rounding = w.sum(-1) * (4 * EPSILON * np.abs(y).max(-1)) ** 2
    return np.where(q > rounding, q, 0.0 * q)


class Inference(NamedTuple):
    """Covariance and df of the coefficients; `refused` marks rows without an interval."""

    covariance: FloatArray
    df: FloatArray
    refused: BoolArray


def _each(df: FloatArray, beta: FloatArray) -> FloatArray:
    return np.broadcast_to(df[..., None], beta.shape).copy()


def _refused(least: Least, where: npt.ArrayLike) -> BoolArray:
    return np.broadcast_to(np.asarray(where), least.df.shape).copy()


def wald_test(least: Least) -> Inference:
    """Use the model-based covariance and the normal quantile."""
    return Inference(least.covariance, np.full(least.beta.shape, np.inf), _refused(least, False))


def t_test(least: Least) -> Inference:
    """Use the model-based covariance and t with k - p degrees of freedom."""
    return Inference(least.covariance, _each(least.df, least.beta), _refused(least, least.df <= 0))


def hksj_test(least: Least) -> Inference:
    """Use Hartung-Knapp: covariance times ``y'Py / (k - p)``, t with k - p df [2]_.

    Refused for an exact fit.
    """
    scaled = least.factor[..., None, None] * least.covariance
    return Inference(scaled, _each(least.df, least.beta), ~(least.factor > 0))


def hksj_variance_test(least: Least) -> Inference:
    """Use Hartung-Knapp with the factor not below 1 [2]_."""
    scaled = np.maximum(least.factor, 1.0)[..., None, None] * least.covariance
    return Inference(scaled, _each(least.df, least.beta), _refused(least, least.df <= 0))


def hksj_hybrid_test(least: Least, level: float = 0.95) -> Inference:
    """Use Hartung-Knapp with t, or Wald with the normal quantile where that is wider.

    The factor is one number for all coefficients, so the choice is the same for all of them.
    """
    quantile = (1 + level) / 2
    wider = np.sqrt(least.factor) * t_quantile(quantile, least.df) > t_quantile(quantile, np.inf)
    covariance = np.where(wider, least.factor, 1.0)[..., None, None] * least.covariance
    df = _each(np.where(wider, least.df, np.inf), least.beta)
    return Inference(covariance, df, _refused(least, least.df <= 0))


def kr_test(least: Least) -> Inference:
    """Use Kenward-Roger with the expected information [3]_ [4]_.

    Refused where tau2 is 0 or a df is below 1.
    """
    covariance, sandwich, information = _kenward_roger_parts(least)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    middle = np.einsum("...ij,...jl,...li->...i", covariance, sandwich, covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = 2 * information[..., None] * (variance / middle) ** 2
    return Inference(covariance, df, ~((least.tau2 > 0) & (df >= 1).all(-1)))


def _kenward_roger_parts(least: Least) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the adjusted covariance, ``X'W^2X`` and the expected information on tau2."""
    w, x, phi = least.w, least.x, least.covariance
    second = np.einsum("...k,...ki,...kj->...ij", w * w, x, x)
    third = np.einsum("...k,...ki,...kj->...ij", w * w * w, x, x)
    information = traces(w, project(np.zeros(w.shape), w, x).basis)[1] / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        lambda_ = phi @ (third - second @ phi @ second) @ phi / information[..., None, None]
    return phi + 2 * lambda_, second, information


COEFFICIENT_TESTS: Mapping[str, Callable[..., Inference]] = MappingProxyType(
    {
        "wald": wald_test,
        "t": t_test,
        "hksj": hksj_test,
        "hksj-variance": hksj_variance_test,
        "hksj-hybrid": hksj_hybrid_test,
        "kr": kr_test,
    }
)
"""Tests of the coefficients, named as in `kapmeta.core.pooling.intervals.INTERVALS`."""


def coefficient_test_named(ci: str) -> Callable[..., Inference]:
    """Look up the test of the coefficients called `ci`."""
    try:
        return COEFFICIENT_TESTS[ci]
    except KeyError:
        raise ValueError(
            f'unknown interval "{ci}" for moderators; use one of {", ".join(COEFFICIENT_TESTS)}'
        ) from None


def inference(least: Least, ci: str, level: float) -> Inference:
    """Compute covariance and degrees of freedom by the method `ci`."""
    method = coefficient_test_named(ci)
    return method(least, level) if ci == "hksj-hybrid" else method(least)


def fit(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    tau2: str | ResidualEstimator | float = "REML",
    ci: str = "wald",
    level: float = 0.95,
) -> Regression:
    """Regress effects on moderators along the last axis of studies, for any number of data sets.

    For simulation, permutation and leave-one-out. For one's own trials use
    `kapmeta.meta_regression`, which checks its input, names the coefficients and says what they can
    and cannot show.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects on the analysis scale and their sampling variances; ``v = inf`` marks an absent
        study.
    x : array_like, shape (k, p) or (..., k, p)
        Design matrix, the column of ones included where an intercept is wanted.
    tau2 : str, callable or float
        Residual between-study variance: a word of
        `kapmeta.core.moderators.residual_variance.RESIDUAL_ESTIMATORS`, a function of `y`, `v` and
        `x`, or the value itself.
    ci : str
        Test and interval of the coefficients, a word of `COEFFICIENT_TESTS`.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    Regression
        Rows that cannot be computed are nan with a non-zero `status`.

    References
    ----------
    .. [1] Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and
       interpreted? Stat Med 2002;21:1559-1573. https://doi.org/10.1002/sim.1187

    Examples
    --------
    >>> import numpy as np
    >>> from kapmeta.core.moderators import regression
    >>> y, v = np.array([-0.9, -1.6, -1.3, -0.2, 0.1]), np.array([0.3, 0.2, 0.4, 0.1, 0.2])
    >>> latitude = np.array([44, 55, 42, 13, 18])
    >>> found = regression.fit(y, v, np.column_stack([np.ones(5), latitude]), tau2="DL")
    >>> found.beta.round(4), found.se.round(4)
    (array([ 0.4026, -0.035 ]), array([0.3834, 0.0114]))
    """
    refuse_level(level)
    y, v, x = _prepared(y, v, np.asarray(x, dtype=np.float64))
    z, triangle = orthonormal(x)
    between = _residual_tau2(y, v, z, tau2)
    least = _original(least_squares(y, v, z, between), triangle, x)
    found = inference(least, ci, level)
    return _regression(least, found, residual_q(y, v, z), v, level)


def _prepared(
    y: npt.ArrayLike, v: npt.ArrayLike, x: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Broadcast to one leading shape; empty invalid rows, zero moderators of absent studies."""
    y, v = present(y, v)
    invalid = (~(v > 0) | ~np.isfinite(y)).any(-1, keepdims=True)
    y, v = np.where(invalid, 0.0, y), np.where(invalid, np.inf, v)
    if x.ndim > 2:
        shape = np.broadcast_shapes(v.shape[:-1], x.shape[:-2])
        y, v = np.broadcast_to(y, (*shape, v.shape[-1])), np.broadcast_to(v, (*shape, v.shape[-1]))
        x = np.where((v < np.inf)[..., None], x, 0.0)
    return y, v, x


def _residual_tau2(
    y: FloatArray, v: FloatArray, z: FloatArray, tau2: str | ResidualEstimator | float
) -> FloatArray:
    if isinstance(tau2, float | int):
        return np.where(count(v) > z.shape[-1], float(tau2), np.nan)
    return np.asarray(residual_estimator_named(tau2)(y, v, z), dtype=np.float64)


def _original(least: Least, triangle: FloatArray, x: FloatArray) -> Least:
    """Transform the fit on orthonormal columns back to the moderators as given."""
    size = np.abs(np.diagonal(triangle, axis1=-2, axis2=-1))
    length = np.sqrt(np.einsum("...ij,...ij->...j", triangle, triangle))
    regular = (size > _DEPENDENT_COLUMN * length).all(-1)
    inverse = np.full(triangle.shape, np.nan)
    inverse[regular] = np.linalg.inv(triangle[regular])
    beta = np.einsum("...ij,...j->...i", inverse, least.beta)
    covariance = inverse @ least.covariance @ np.swapaxes(inverse, -1, -2)
    return least._replace(beta=beta, covariance=covariance, x=x)


def _regression(
    least: Least, found: Inference, q: FloatArray, v: FloatArray, level: float
) -> Regression:
    kept = ~found.refused
    covariance = np.where(kept[..., None, None], found.covariance, np.nan)
    df = np.where(kept[..., None], found.df, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        statistic = least.beta / se
    half = t_quantile((1 + level) / 2, df) * se
    known = np.isfinite(least.beta).all(-1)
    status = np.where(known, np.where(kept, Status.OK, Status.REFUSED), Status.INVALID_INPUT)
    tests = se, least.beta - half, least.beta + half, statistic, t_two_sided(statistic, df), df
    residual = least.tau2, q, least.df, least.factor
    return Regression(least.beta, *tests, covariance, least.covariance, *residual, count(v), status)


class Joint(NamedTuple):
    """Test that combinations of coefficients are 0: F, or chi-squared if `df2` is infinite."""

    statistic: FloatArray
    df1: int
    df2: FloatArray
    p_value: FloatArray


def joint_test(
    beta: FloatArray, covariance: FloatArray, combinations: FloatArray, df: FloatArray
) -> Joint:
    """Test by Wald's statistic that ``combinations @ beta`` is 0.

    Parameters
    ----------
    beta, covariance : ndarray, shape (..., p) and (..., p, p)
        Coefficients and their covariance.
    combinations : ndarray, shape (m, p)
        Linearly independent rows.
    df : ndarray, shape (...)
        Denominator degrees of freedom; infinite for a chi-squared test.
    """
    m = len(combinations)
    value = np.einsum("mp,...p->...m", combinations, beta)
    spread = combinations @ covariance @ combinations.T
    usable = np.isfinite(spread).all((-2, -1))
    quadratic = np.full(usable.shape, np.nan)
    solved = np.linalg.solve(spread[usable], value[usable][..., None])[..., 0]
    quadratic[usable] = np.einsum("...m,...m->...", value[usable], solved)
    with np.errstate(invalid="ignore"):
        normal = df == np.inf
        statistic = np.where(normal, quadratic, quadratic / m)
        by_f = special.fdtrc(m, np.where(normal, 1.0, df), statistic)
    return Joint(statistic, m, df, np.where(normal, chi2_upper(quadratic, m), by_f))


def combination_df(
    found: Regression, v: FloatArray, x: FloatArray, rows: FloatArray, ci: str
) -> FloatArray:
    """Compute the df of each combination ``rows @ beta`` of one fit by the method `ci`."""
    if ci != "kr":
        return np.full(len(rows), found.df[0])
    w = 1 / (v + found.tau2)
    least = Least(found.beta, found.model_covariance, found.factor, found.q_df, w, x, found.tau2)
    covariance, sandwich, information = _kenward_roger_parts(least)
    variance = np.einsum("mi,ij,mj->m", rows, covariance, rows)
    middle = np.einsum("mi,ij,jl,ln,mn->m", rows, covariance, sandwich, covariance, rows)
    return np.asarray(2 * information * (variance / middle) ** 2)
