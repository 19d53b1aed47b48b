"""Cluster-robust tests for dependent effects: CR0 to CR3 and Satterthwaite degrees of freedom.

Effects y have working covariance Phi and were fitted with weights W (the inverse of Phi or not).
With ``M = (X'WX)^-1``, ``H = X M X'W`` and residuals e_j of cluster j, the covariance of the
coefficients is ``M [sum_j X_j'W_j A_j e_j e_j' A_j' W_j X_j] M`` [1]_. The types differ in the
adjustment matrices A_j.

References
----------
.. [1] Tipton E. Small sample adjustments for robust variance estimation with meta-regression.
   Psychol Methods 2015;20:375-393. https://doi.org/10.1037/met0000011
.. [2] Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and
   hypothesis testing in fixed effects models. J Bus Econ Stat 2018;36:672-683.
   https://doi.org/10.1080/07350015.2016.1247004
.. [3] Hedges LV, Tipton E, Johnson MC. Robust variance estimation in meta-regression with dependent
   effect size estimates. Res Synth Methods 2010;1:39-65. https://doi.org/10.1002/jrsm.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from kapmeta.core.moderators.regression import orthonormal
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.distributions import t_quantile, t_two_sided

_NEGLIGIBLE_EIGENVALUE = 1e-12  # below this share of the largest an eigenvalue counts as 0


class Working(NamedTuple):
    """A fitted working model of n effects.

    Attributes
    ----------
    x : ndarray, shape (n, p)
        Design matrix.
    w : ndarray, shape (n, n)
        Weights of the fit.
    phi : ndarray, shape (n, n)
        Working covariance of the effects.
    cluster : ndarray of int, shape (n,)
        Cluster of each effect, 0, 1, ...
    """

    x: FloatArray
    w: FloatArray
    phi: FloatArray
    cluster: IntArray


class _Parts(NamedTuple):
    """``M``, ``I - H``, and the rows of each cluster."""

    m: FloatArray
    residual_maker: FloatArray
    members: list[IntArray]


def _model_parts(model: Working) -> _Parts:
    m: FloatArray = np.asarray(np.linalg.inv(model.x.T @ model.w @ model.x), dtype=np.float64)
    hat = model.x @ m @ model.x.T @ model.w
    members = [np.flatnonzero(model.cluster == j) for j in range(int(model.cluster.max()) + 1)]
    return _Parts(m, np.eye(len(model.x)) - hat, members)


Adjustment: TypeAlias = Callable[[Working, _Parts], list[FloatArray]]


def _scaled(parts: _Parts, factor: float) -> list[FloatArray]:
    return [np.sqrt(factor) * np.eye(rows.size) for rows in parts.members]


def cr0(model: Working, parts: _Parts) -> list[FloatArray]:
    """Adjust nothing: too small with few clusters."""
    return _scaled(parts, 1.0)


def cr1(model: Working, parts: _Parts) -> list[FloatArray]:
    """Adjust by the factor ``J / (J - 1)`` with J clusters."""
    return _scaled(parts, len(parts.members) / (len(parts.members) - 1))


def cr1p(model: Working, parts: _Parts) -> list[FloatArray]:
    """Adjust by the factor ``J / (J - p)``."""
    return _scaled(parts, len(parts.members) / (len(parts.members) - model.x.shape[1]))


def cr1s(model: Working, parts: _Parts) -> list[FloatArray]:
    """Adjust by the factor ``J (n - 1) / ((J - 1) (n - p))``."""
    j, (n, p) = len(parts.members), model.x.shape
    return _scaled(parts, j * (n - 1) / ((j - 1) * (n - p)))


def cr2(model: Working, parts: _Parts) -> list[FloatArray]:
    """Adjust by bias-reduced linearisation: unbiased if the working covariance holds [1]_ [2]_."""
    adjusted = []
    for rows in parts.members:
        d = np.linalg.cholesky(model.phi[np.ix_(rows, rows)]).T
        maker = parts.residual_maker[rows]
        root = _inverse_root(d @ (maker @ model.phi @ maker.T) @ d.T)
        adjusted.append(d.T @ root @ d)  # [2] eq. (4)
    return adjusted


def _inverse_root(b: FloatArray) -> FloatArray:
    """Compute the symmetric root of the pseudo-inverse."""
    values, vectors = np.linalg.eigh(0.5 * (b + b.T))
    kept = values > _NEGLIGIBLE_EIGENVALUE * values.max()
    root = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return np.asarray((vectors * root) @ vectors.T)


def cr3(model: Working, parts: _Parts) -> list[FloatArray]:
    """Adjust by ``(I - H_jj)^-1``, close to the jackknife over clusters: errs on the large side."""
    blocks = (parts.residual_maker[np.ix_(rows, rows)] for rows in parts.members)
    return [np.asarray(np.linalg.pinv(block), dtype=np.float64) for block in blocks]


ROBUST_TYPES: Mapping[str, Adjustment] = MappingProxyType(
    {"CR0": cr0, "CR1": cr1, "CR1p": cr1p, "CR1S": cr1s, "CR2": cr2, "CR3": cr3}
)
"""Types of cluster-robust covariance by name. A new one is one function and one row."""


class Robust(NamedTuple):
    """Cluster-robust tests of the coefficients.

    Attributes
    ----------
    beta, se, low, high, statistic, p_value, df : ndarray, shape (p,)
        Coefficients, their standard errors, limits and t tests with Satterthwaite's degrees of
        freedom.
    covariance : ndarray, shape (p, p)
        Cluster-robust covariance.
    clusters : int
        Number of clusters.
    """

    beta: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    df: FloatArray
    covariance: FloatArray
    clusters: int


def cluster_robust_tests(
    y: FloatArray, model: Working, *, kind: str = "CR2", level: float = 0.95
) -> Robust:
    """Test the coefficients with cluster-robust standard errors.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Effects.
    model : Working
        Design, weights, working covariance and clusters.
    kind : str
        A word of `ROBUST_TYPES`.
    level : float
        Confidence level, a proportion.

    References
    ----------
    .. [1] Pustejovsky JE, Tipton E. J Bus Econ Stat 2018;36:672-683.
       https://doi.org/10.1080/07350015.2016.1247004
    """
    if kind not in ROBUST_TYPES:
        raise ValueError(
            f'unknown cluster-robust type "{kind}"; use one of {", ".join(ROBUST_TYPES)}'
        )
    z, triangle = orthonormal(model.x)  # keeps all digits of moderators on large or shifted scales
    model, back = model._replace(x=z), np.linalg.inv(triangle)
    parts = _model_parts(model)
    gamma = parts.m @ (z.T @ (model.w @ y))
    beta, residual = back @ gamma, y - z @ gamma
    clusters = list(zip(parts.members, ROBUST_TYPES[kind](model, parts), strict=True))
    # X_j'W_j A_j of each cluster; weights across clusters would make W_j no block
    loads = [z[j].T @ model.w[np.ix_(j, j)] @ a for j, a in clusters]
    scores = np.stack([b @ residual[j] for b, j in zip(loads, parts.members, strict=True)])
    covariance = back @ parts.m @ (scores.T @ scores) @ parts.m @ back.T
    df = np.array([satterthwaite(model.phi, parts, loads, c) for c in back])
    se = np.sqrt(np.diagonal(covariance))
    half = t_quantile((1 + level) / 2, df) * se
    with np.errstate(invalid="ignore"):  # effects of 0 throughout leave 0 / 0: no test
        statistic = beta / se
    p = t_two_sided(statistic, df)
    limits = beta - half, beta + half
    return Robust(beta, se, *limits, statistic, p, df, covariance, len(parts.members))


def satterthwaite(phi: FloatArray, parts: _Parts, loads: list[FloatArray], c: FloatArray) -> float:
    """Compute Satterthwaite's degrees of freedom of the contrast `c` [1]_.

    They are those of the scaled chi-squared distribution with the moments of the contrast's
    variance: ``(sum_j p_j'Phi p_j)^2 / sum_ij (p_i'Phi p_j)^2`` with ``p_j = (I - H)_j' A_j' W_j
    X_j M c``.
    """
    clusters = zip(loads, parts.members, strict=True)
    p = np.stack([parts.residual_maker[j].T @ (load.T @ (parts.m @ c)) for load, j in clusters])
    moments = p @ phi @ p.T
    return float(np.trace(moments) ** 2 / (moments**2).sum())


def correlated_weights(
    y: FloatArray, v: FloatArray, x: FloatArray, cluster: IntArray, rho: float
) -> tuple[FloatArray, float]:
    """Compute the weights of the correlated-effects model, and its moment estimate of tau2 [3]_.

    Every effect of a cluster weighs ``1 / (n_j (mean v_j + tau2))``, so that a cluster's total
    weight does not grow with the number of its effects. tau2 is the moment estimate from the fit
    with tau2 = 0, given that sampling errors within a cluster have correlation `rho`.
    """
    size = np.bincount(cluster)[cluster]
    mean_v = (np.bincount(cluster, v) / np.bincount(cluster))[cluster]
    together = (cluster[:, None] == cluster[None, :]).astype(np.float64)
    w = 1 / (size * mean_v)
    p = np.diag(w) - (w[:, None] * x) @ np.linalg.inv(x.T @ (w[:, None] * x)) @ (w[:, None] * x).T
    sampling = mean_v * (rho * together + (1 - rho) * np.eye(len(y)))  # equal within a cluster
    excess = float(y @ p @ y - (p * sampling).sum())
    tau2 = max(0.0, excess / float((p * together).sum()))
    return 1 / (size * (mean_v + tau2)), tau2
