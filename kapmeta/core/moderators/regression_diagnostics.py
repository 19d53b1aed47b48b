"""Diagnostics of a meta-regression: prediction, variance inflation, leave-one-out, influence.

References
----------
.. [1] Viechtbauer W, Cheung MWL. Outlier and influence diagnostics for meta-analysis. Res Synth
   Methods 2010;1:112-125. https://doi.org/10.1002/jrsm.11
.. [2] Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects meta-analysis.
   J R Stat Soc A 2009;172:137-159. https://doi.org/10.1111/j.1467-985X.2008.00552.x
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from kapmeta.core.moderators.regression import Regression, fit
from kapmeta.core.moderators.residual_likelihood import project
from kapmeta.core.moderators.residual_variance import ResidualEstimator
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import t_quantile


class Prediction(NamedTuple):
    """Mean effect at given moderator values, with limits for it and for a new study's effect."""

    mean: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    prediction_low: FloatArray
    prediction_high: FloatArray


def _quadratic(rows: FloatArray, covariance: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("mi,ij,mj->m", rows, covariance, rows)))


def _model_se(found: Regression, rows: FloatArray) -> FloatArray:
    return _quadratic(rows, found.model_covariance)


def _hartung_knapp_se(found: Regression, rows: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(found.factor) * _model_se(found, rows))


def _nothing(found: Regression, rows: FloatArray) -> FloatArray:
    return np.full(len(rows), np.nan)


_StandardError: TypeAlias = Callable[[Regression, FloatArray], FloatArray]

REGRESSION_PREDICTIONS: Mapping[str, tuple[_StandardError, float]] = MappingProxyType(
    {
        "t": (_model_se, 0.0),
        "hts": (_model_se, 1.0),
        "hk": (_hartung_knapp_se, 0.0),
        "hk-pr": (_hartung_knapp_se, 1.0),
        "normal": (_model_se, -np.inf),
        "none": (_nothing, 0.0),
    }
)
"""Prediction intervals by name: standard error, and what is taken off k - p for the df of t.

`hk` has the Hartung-Knapp standard error. `normal` has the normal quantile, which is too short with
few studies.
"""


def predict(
    found: Regression,
    rows: FloatArray,
    *,
    df: FloatArray,
    prediction: str = "t",
    level: float = 0.95,
) -> Prediction:
    """Compute mean effects and limits at the moderator values of `rows` (m, p), one data set.

    Parameters
    ----------
    found : Regression
        One fit, without leading axes.
    rows : ndarray, shape (m, p)
        Moderator values in the columns of the design matrix, the column of ones included.
    df : ndarray, shape (m,)
        Degrees of freedom of the confidence limits.
    prediction : str
        A word of `REGRESSION_PREDICTIONS`.
    level : float
        Confidence level, a proportion.
    """
    mean = np.asarray(rows @ found.beta)
    se = _quadratic(rows, found.covariance)
    half = t_quantile((1 + level) / 2, df) * se
    standard_error, fewer = REGRESSION_PREDICTIONS[prediction]
    spread = np.sqrt(standard_error(found, rows) ** 2 + found.tau2)
    wide = t_quantile((1 + level) / 2, found.q_df - fewer) * spread
    return Prediction(mean, se, mean - half, mean + half, mean - wide, mean + wide)


def variance_inflation(covariance: FloatArray, intercept: int | None) -> FloatArray:
    """Compute variance inflation factors of the coefficients; nan for the intercept.

    Diagonal of the inverse of their correlation matrix, the intercept left out: how many times the
    variance of a coefficient exceeds what it would be if the moderators were not correlated.
    """
    p = len(covariance)
    kept = np.array([j for j in range(p) if j != intercept], dtype=int)
    factors = np.full(p, np.nan)
    part = covariance[np.ix_(kept, kept)]
    sd = np.sqrt(np.diagonal(part))
    if kept.size:
        factors[kept] = np.diagonal(np.linalg.inv(part / np.outer(sd, sd)))
    return factors


class CoefficientInfluence(NamedTuple):
    """Influence of each study on the fit, arrays of shape (k,) or, per coefficient, (k, p) [1]_.

    Attributes
    ----------
    leverage, weight : ndarray
        Hat values, and shares of the total weight.
    studentised : ndarray
        Deleted residuals over their standard errors.
    dffits : ndarray
        Change of the study's own fitted value in standard errors.
    cook : ndarray
        Cook's distance: change of all fitted values together.
    covariance_ratio : ndarray
        Generalised variance of the coefficients without the study, over that with it.
    dfbetas : ndarray, shape (k, p)
        Change of each coefficient in standard errors.
    beta, tau2, q : ndarray
        Coefficients (k, p), residual variance and residual Q without the study.
    """

    leverage: FloatArray
    weight: FloatArray
    studentised: FloatArray
    dffits: FloatArray
    cook: FloatArray
    covariance_ratio: FloatArray
    dfbetas: FloatArray
    beta: FloatArray
    tau2: FloatArray
    q: FloatArray


def fit_without_each(
    y: FloatArray,
    v: FloatArray,
    x: FloatArray,
    *,
    tau2: str | ResidualEstimator | float = "REML",
    ci: str = "wald",
    level: float = 0.95,
) -> Regression:
    """Fit without each study in turn, one data set; row i leaves study i out."""
    without = np.where(masks.leave_one_out(v.size), v, np.inf)
    return fit(y, without, x, tau2=tau2, ci=ci, level=level)


def coefficient_influence(
    y: FloatArray, v: FloatArray, x: FloatArray, *, tau2: str | ResidualEstimator | float = "REML"
) -> CoefficientInfluence:
    """Compute each study's influence on the coefficients, with model-based covariances [1]_.

    For one data set.
    """
    whole, without = fit(y, v, x, tau2=tau2), fit_without_each(y, v, x, tau2=tau2)
    leverage = project(y, 1 / (v + whole.tau2), x / np.linalg.norm(x, axis=0)).leverage
    total = np.where(v < np.inf, v + without.tau2, np.nan)
    fitted = np.einsum("kp,kp->k", x, without.beta)
    spread = np.sqrt(total + np.einsum("ki,kij,kj->k", x, without.model_covariance, x))
    change = whole.beta - without.beta
    # all studies, weighted with the tau2 of the fit without the one
    variances = np.broadcast_to(v, (v.size, v.size)) + without.tau2[:, None]
    scale = fit(y, variances, x, tau2=0.0).model_covariance
    w = 1 / (v + whole.tau2)
    return CoefficientInfluence(
        leverage,
        w / w.sum(),
        (y - fitted) / spread,
        np.einsum("kp,kp->k", x, change) / np.sqrt(leverage * total),
        np.einsum("ki,ij,kj->k", change, np.linalg.inv(whole.model_covariance), change),
        np.linalg.det(without.model_covariance) / np.linalg.det(whole.model_covariance),
        change / np.sqrt(np.diagonal(scale, axis1=-2, axis2=-1)),
        without.beta,
        without.tau2,
        without.q,
    )
