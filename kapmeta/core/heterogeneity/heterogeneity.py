"""Heterogeneity statistics: Cochran's Q, H2 and I2 by both definitions, R_b, and their intervals.

I2 and H2 have two definitions that agree only when tau2 is DerSimonian and Laird's and positive:

- from tau2, ``I2 = tau2 / (tau2 + s2)`` and ``H2 = 1 + tau2 / s2`` with s2 the typical sampling
variance
  [1]_;
- from Q, ``I2 = max(0, (Q - df) / Q)`` and ``H2 = max(1, Q / df)`` [1]_.

Both are named in every field. I2 is a proportion of the variance seen, never an amount of
heterogeneity, and with two studies it says nothing: do not print it there.

References
----------
.. [1] Higgins JPT, Thompson SG. Quantifying heterogeneity in a meta-analysis. Stat Med
   2002;21:1539-1558. https://doi.org/10.1002/sim.1186
.. [2] Crippa A, Khudyakov P, Wang M, Orsini N, Spiegelman D. A new measure of between-studies
   heterogeneity in meta-analysis. Stat Med 2016;35:3661-3675. https://doi.org/10.1002/sim.6980
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_upper, normal_quantile
from kapmeta.core.numerics.weighting import count, present, q_statistic, trace_p, weights


class CochranQ(NamedTuple):
    """Cochran's Q, its degrees of freedom and the p-value of homogeneity; nan below two studies."""

    q: FloatArray
    df: FloatArray
    p_value: FloatArray


class Range(NamedTuple):
    """Lower and upper limit."""

    low: FloatArray
    high: FloatArray


class Heterogeneity(NamedTuple):
    """Every statistic of a batch, each of the leading shape; nan below two studies."""

    q: FloatArray
    df: FloatArray
    q_p_value: FloatArray
    typical_variance: FloatArray
    h2_tau2: FloatArray
    i2_tau2: FloatArray
    h2_q: FloatArray
    i2_q: FloatArray
    rb: FloatArray


def cochran_q(y: npt.ArrayLike, v: npt.ArrayLike) -> CochranQ:
    """Cochran's Q about the common-effect mean, with its test.

    Not a decision rule: with few trials the test misses most heterogeneity, and the choice of model
    is not to hang on it.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and variances; ``v = inf`` marks an absent study.

    Examples
    --------
    >>> q = cochran_q([1.0080456, 0.2332880], [0.0363563, 0.0357935])
    >>> print(round(float(q.q), 4), int(q.df), round(float(q.p_value), 4))
    8.3195 1 0.0039
    """
    y, v = present(y, v)
    pooled = count(v) > 1
    df = np.where(pooled, count(v) - 1.0, np.nan)
    q = np.full(pooled.shape, np.nan)
    q[pooled] = q_statistic(y[pooled], v[pooled])
    return CochranQ(q, df, chi2_upper(q, df))


def typical_variance(v: npt.ArrayLike) -> FloatArray:
    """Typical sampling variance ``(k - 1) S1 / (S1^2 - S2)`` of the studies [1]_, without
    cancellation.

    Examples
    --------
    >>> print(typical_variance([0.2, 0.2, 0.2]).round(12))
    0.2
    """
    v = np.asarray(v, dtype=np.float64)
    pooled = count(v) > 1
    variance = np.full(pooled.shape, np.nan)
    variance[pooled] = (count(v[pooled]) - 1) / trace_p(weights(v[pooled]))
    return variance


def h2_from_tau2(tau2: npt.ArrayLike, v: npt.ArrayLike) -> FloatArray:
    """``H2 = 1 + tau2 / s2``. Increasing in tau2: the limits of tau2 give the limits of H2."""
    return np.asarray(1 + np.asarray(tau2, dtype=np.float64) / typical_variance(v))


def i2_from_tau2(tau2: npt.ArrayLike, v: npt.ArrayLike) -> FloatArray:
    """``I2 = tau2 / (tau2 + s2)``, a proportion. Increasing in tau2: the limits of tau2 give its
    limits.

    Examples
    --------
    >>> i2_from_tau2(np.array([0.0, 0.2, np.inf]), np.full((3, 4), 0.2))
    array([0. , 0.5, 1. ])
    """
    tau2 = np.asarray(tau2, dtype=np.float64)
    s2 = typical_variance(v)
    finite = np.where(tau2 < np.inf, tau2, 0.0)
    return np.where(
        tau2 == np.inf, 1 + 0 * s2, np.where(np.isnan(tau2), np.nan, finite / (finite + s2))
    )


def h2_from_q(q: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """``H2 = Q / df``, at least 1."""
    return np.maximum(np.asarray(q, dtype=np.float64) / np.asarray(df, dtype=np.float64), 1.0)


def i2_from_q(q: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """``I2 = (Q - df) / Q``, at least 0; a proportion."""
    return np.asarray(1 - 1 / h2_from_q(q, df))


def h2_test_based(q: npt.ArrayLike, df: npt.ArrayLike, level: float = 0.95) -> Range:
    """Test-based interval of the Q-based H2 [1]_; nan for two studies: no standard error exists.

    Examples
    --------
    >>> limits = h2_test_based(152.233008082, 12)
    >>> print(i2_from_h2(limits.low).round(7), i2_from_h2(limits.high).round(7))
    0.8831638 0.9468177
    """
    q, df = np.asarray(q, dtype=np.float64), np.asarray(df, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = 0.5 * (np.log(q) - np.log(df)) / (np.sqrt(2 * q) - np.sqrt(2 * df - 1))
        near = np.sqrt((1 - 1 / (3 * (df - 1) ** 2)) / (2 * (df - 1)))
    se = np.where(df > 1, np.where(q > df + 1, far, near), np.nan)
    log_h = 0.5 * np.log(h2_from_q(q, df))
    half = normal_quantile((1 + level) / 2) * se
    return Range(np.exp(2 * np.maximum(log_h - half, 0.0)), np.exp(2 * (log_h + half)))


def i2_from_h2(h2: npt.ArrayLike) -> FloatArray:
    """``I2 = 1 - 1 / H2``, for limits of H2."""
    return np.asarray(1 - 1 / np.asarray(h2, dtype=np.float64))


def between_share(tau2: npt.ArrayLike, v: npt.ArrayLike) -> FloatArray:
    """R_b: the mean over studies of ``tau2 / (v + tau2)`` [2]_.

    The share of the pooled mean's variance that lies between studies; unlike I2 it needs no typical
    variance. Increasing in tau2: the limits of tau2 give its limits.
    """
    v = np.asarray(v, dtype=np.float64)
    tau2 = np.asarray(tau2, dtype=np.float64)
    k = np.where(count(v) > 1, count(v), np.nan)
    with np.errstate(divide="ignore", over="ignore"):
        share = 1 / (1 + np.where(v < np.inf, v, 1.0) / tau2[..., None])
    return np.asarray(np.where(v < np.inf, share, 0.0).sum(-1) / k)


def heterogeneity(y: npt.ArrayLike, v: npt.ArrayLike, tau2: npt.ArrayLike) -> Heterogeneity:
    """All heterogeneity statistics of a batch.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and variances; ``v = inf`` marks an absent study.
    tau2 : array_like, shape (...)
        Between-study variance, for the statistics named after it.

    Returns
    -------
    Heterogeneity
        Intervals: give the limits of tau2 to `i2_from_tau2`, `h2_from_tau2` and `between_share`, or
        use `h2_test_based` for the Q-based ones.
    """
    y, v = present(y, v)
    q, df, p_value = cochran_q(y, v)
    return Heterogeneity(
        q,
        df,
        p_value,
        typical_variance(v),
        h2_from_tau2(tau2, v),
        i2_from_tau2(tau2, v),
        h2_from_q(q, df),
        i2_from_q(q, df),
        between_share(tau2, v),
    )
