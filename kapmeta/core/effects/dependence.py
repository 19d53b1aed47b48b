"""Sampling covariances of effects that share participants, and effects combined under them.

References
----------
.. [1] Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: Cooper H, Hedges LV, Valentine
   JC, editors. The handbook of research synthesis and meta-analysis. 2nd ed. New York: Russell Sage
   Foundation; 2009. p. 357-376.
.. [2] Pustejovsky JE, Tipton E. Meta-analysis with robust variance estimation: expanding the range
   of working models. Prev Sci 2022;23:425-438. https://doi.org/10.1007/s11121-021-01246-3
.. [3] Greenwood M. The natural duration of cancer. Reports on Public Health and Medical Subjects
   33. London: His Majesty's Stationery Office; 1926.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray, IntArray


def correlated(v: FloatArray, cluster: IntArray, rho: float) -> FloatArray:
    """Build a covariance with one correlation `rho` between all effects of a cluster.

    The working model of [2]_. A guess, to be varied: pair it with cluster-robust tests.

    Examples
    --------
    >>> import numpy as np
    >>> correlated(np.array([0.04, 0.09, 0.16]), np.array([0, 0, 1]), 0.5)
    array([[0.04, 0.03, 0.  ],
           [0.03, 0.09, 0.  ],
           [0.  , 0.  , 0.16]])
    """
    return _from_correlation(v, (cluster[:, None] == cluster[None, :]) * rho)


def autoregressive(v: FloatArray, cluster: IntArray, time: FloatArray, rho: float) -> FloatArray:
    """Build a covariance with correlation ``rho^|t - s|`` between times of a cluster."""
    gap = np.abs(time[:, None] - time[None, :])
    return _from_correlation(v, (cluster[:, None] == cluster[None, :]) * np.float64(rho) ** gap)


def _from_correlation(v: FloatArray, correlation: FloatArray) -> FloatArray:
    """Scale a correlation matrix to the variances `v`."""
    np.fill_diagonal(correlation := np.array(correlation, dtype=np.float64), 1.0)
    root = np.sqrt(v)
    return np.asarray(correlation * np.outer(root, root))


def nested_times(v: FloatArray, time: FloatArray) -> FloatArray:
    """Build the covariance of log risk ratios of a state never regained once lost.

    At several times of one trial: whoever is in the state at the later time was so at the earlier
    one. The logarithm of the proportion then changes by independent increments [3]_, and the
    covariance of two times is the variance at the earlier one. No correlation has to be guessed.
    Not for point prevalence, where patients may return to the state.

    Parameters
    ----------
    v : ndarray, shape (m,)
        Variances of the log risk ratios, ``1/a - 1/n1 + 1/c - 1/n2`` from the counts at each time.
    time : ndarray, shape (m,)
        Times, all different.

    Examples
    --------
    >>> import numpy as np
    >>> v = np.array([0.08996416, 0.17250384, 0.28440860])
    >>> covariance = nested_times(v, np.array([1.0, 3.0, 6.0]))
    >>> round(float(covariance[0, 1] / np.sqrt(v[0] * v[1])), 6)
    0.722163
    """
    earlier = time[:, None] <= time[None, :]
    return np.where(earlier, v[:, None], v[None, :])


class Control(NamedTuple):
    """Summary of a control arm that several arms are compared with; nan where not needed.

    `events`, `n`: events and participants; `sd`: standard deviation; `g1`, `g2`: the two
    standardised mean differences and `total`: participants of all arms together.
    """

    events: float = np.nan
    n: float = np.nan
    sd: float = np.nan
    g1: float = np.nan
    g2: float = np.nan
    total: float = np.nan


SHARED_CONTROL: Mapping[str, Callable[[Control], float]] = MappingProxyType(
    {
        "RR": lambda c: 1 / c.events - 1 / c.n,
        "OR": lambda c: 1 / c.events + 1 / (c.n - c.events),
        "RD": lambda c: c.events / c.n * (1 - c.events / c.n) / c.n,
        "AS": lambda c: 1 / (4 * c.n),
        "MD": lambda c: c.sd**2 / c.n,
        "SMD": lambda c: 1 / c.n + c.g1 * c.g2 / (2 * c.total),
    }
)
"""Covariance of two effects that share a control arm, by measure [1]_."""


def shared_control(measure: str, control: Control) -> float:
    """Compute the covariance of two effects compared with the same control arm.

    Without events (or, for odds ratios, with nothing but events) in that arm the covariance of
    ratios does not exist and is nan: combine the active arms instead.

    Examples
    --------
    >>> round(shared_control("RR", Control(events=4, n=25)), 4)
    0.21
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(SHARED_CONTROL[measure](Control(*map(np.float64, control))))
    return value if np.isfinite(value) else np.nan


def generalised_mean(y: FloatArray, covariance: FloatArray) -> tuple[float, float]:
    """Compute the generalised least squares mean of dependent estimates, and its variance.

    Examples
    --------
    >>> import numpy as np
    >>> mean, variance = generalised_mean(
    ...     np.array([0.957112726, 0.733969175]),
    ...     np.array([[0.268333333, 0.21], [0.21, 0.293333333]]))
    >>> round(mean, 6), round(variance, 6)
    (0.86523, 0.244314)
    """
    weight = np.linalg.solve(covariance, np.ones(len(y)))
    return float(weight @ y / weight.sum()), float(1 / weight.sum())


class Aggregated(NamedTuple):
    """One effect per cluster, its sampling variance, and the number of effects combined."""

    y: FloatArray
    v: FloatArray
    made_from: IntArray


def aggregate(
    y: FloatArray, covariance: FloatArray, cluster: IntArray, *, weighted: bool = True
) -> Aggregated:
    """Combine dependent effects into one per cluster.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Effects.
    covariance : ndarray, shape (n, n)
        Their sampling covariance.
    cluster : ndarray of int, shape (n,)
        Cluster of each, 0, 1, ...
    weighted : bool
        Generalised least squares within the cluster; False takes the plain mean. With equal
        correlations weights of the first can be negative, which is correct and often unwelcome.
    """
    found = []
    for j in range(int(cluster.max()) + 1):
        rows = np.flatnonzero(cluster == j)
        within = covariance[np.ix_(rows, rows)]
        plain = y[rows].mean(), within.mean()
        found.append(generalised_mean(y[rows], within) if weighted else plain)
    means, variances = np.array(found).T
    return Aggregated(means, variances, np.bincount(cluster))


def is_positive_definite(covariance: npt.ArrayLike) -> bool:
    """Tell whether a symmetric matrix is positive definite beyond rounding."""
    matrix = np.asarray(covariance, dtype=np.float64)
    root = np.sqrt(np.diagonal(matrix))
    if not (root > 0).all():
        return False
    return bool(np.linalg.eigvalsh(matrix / np.outer(root, root))[0] > 1e-12 * len(matrix))
