"""Heterogeneity statistics: Cochran's Q, H2 and I2 by both definitions, and R_b.

I2 and H2 have two definitions that agree only when tau2 is DerSimonian and Laird's and positive:

- from tau2, ``I2 = tau2 / (tau2 + s2)`` and ``H2 = 1 + tau2 / s2``, with s2 the typical sampling
  variance [1]_;
- from Q, ``I2 = max(0, (Q - df) / Q)`` and ``H2 = max(1, Q / df)`` [1]_.

Every field names its definition. I2 is a proportion of the observed variance, never an amount of
heterogeneity. With two studies it is uninformative: do not print it there.

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
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.core.numerics.weighting import count, present, q_statistic, trace_p, weights


class CochranQ(NamedTuple):
    """Cochran's Q, its degrees of freedom and the p-value of homogeneity; nan below two studies."""

    q: FloatArray
    df: FloatArray
    p_value: FloatArray


class Heterogeneity(NamedTuple):
    """Heterogeneity statistics of a batch, each of the leading shape; nan below two studies."""

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
    """Compute Cochran's Q about the common-effect mean, with its test.

    Not a decision rule: with few trials the test misses most heterogeneity, and the choice of model
    should not depend on it.

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
    """Compute the typical sampling variance ``(k - 1) S1 / (S1^2 - S2)`` of the studies [1]_.

    Written without cancellation.

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
    """Compute ``H2 = 1 + tau2 / s2``.

    Increasing in tau2: the limits of tau2 give the limits of H2.
    """
    return np.asarray(1 + np.asarray(tau2, dtype=np.float64) / typical_variance(v))


def i2_from_tau2(tau2: npt.ArrayLike, v: npt.ArrayLike) -> FloatArray:
    """Compute ``I2 = tau2 / (tau2 + s2)``, a proportion.

    Increasing in tau2: the limits of tau2 give the limits of I2.

    Examples
    --------
    >>> i2_from_tau2(np.array([0.0, 0.2, np.inf]), np.full((3, 4), 0.2))
    array([0. , 0.5, 1. ])
    """
    tau2 = np.asarray(tau2, dtype=np.float64)
    s2 = typical_variance(v)
    finite = np.where(tau2 < np.inf, tau2, 0.0)
    share = np.where(np.isnan(tau2), np.nan, finite / (finite + s2))
    return np.where(tau2 == np.inf, 1 + 0 * s2, share)


def h2_from_q(q: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Compute ``H2 = Q / df``, at least 1."""
    return np.maximum(np.asarray(q, dtype=np.float64) / np.asarray(df, dtype=np.float64), 1.0)


def i2_from_q(q: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Compute ``I2 = (Q - df) / Q``, at least 0; a proportion."""
    return np.asarray(1 - 1 / h2_from_q(q, df))


def between_share(tau2: npt.ArrayLike, v: npt.ArrayLike) -> FloatArray:
    """Compute R_b: the mean over studies of ``tau2 / (v + tau2)`` [2]_.

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
    """Compute all heterogeneity statistics of a batch.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects and variances; ``v = inf`` marks an absent study.
    tau2 : array_like, shape (...)
        Between-study variance, for the statistics named after it.

    Returns
    -------
    Heterogeneity
        For intervals, give the limits of tau2 to `i2_from_tau2`, `h2_from_tau2` and
        `between_share`.
    """
    y, v = present(y, v)
    tested = cochran_q(y, v)
    by_tau2 = typical_variance(v), h2_from_tau2(tau2, v), i2_from_tau2(tau2, v)
    by_q = h2_from_q(tested.q, tested.df), i2_from_q(tested.q, tested.df)
    return Heterogeneity(*tested, *by_tau2, *by_q, between_share(tau2, v))
