"""Time to relapse from counts at several times: hazard ratios, time abstinent, bands of RR(t).

References
----------
.. [1] Mantel N. Evaluation of survival data and two new rank order statistics arising in its
   consideration. Cancer Chemother Rep 1966;50:163-170.
.. [2] Parmar MKB, Torri V, Stewart L. Extracting summary statistics to perform meta-analyses of the
   published literature for survival endpoints. Stat Med 1998;17:2815-2834.
   https://doi.org/10.1002/(SICI)1097-0258(19981230)17:24<2815::AID-SIM110>3.0.CO;2-8
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.roots import bracketed_root

_NODES = 200
# steps shorter than this share of the variance are taken as this long, which errs on the wide side
_SHORTEST = 1e-3


class HazardRatio(NamedTuple):
    """Log hazard ratio of relapse and its variance; behind it observed less expected relapses, their variance."""

    y: float
    v: float
    excess: float
    information: float


def life_table(
    abstinent_t: FloatArray, n_t: float, abstinent_c: FloatArray, n_c: float
) -> HazardRatio:
    """Log hazard ratio of relapse from the numbers abstinent at several times: the log-rank
    one-step estimate.

    In every interval [1]_ the relapses of the treated are compared with their hypergeometric
    expectation among all who were abstinent when it began. For continuous abstinence only, and for
    hazards that keep their ratio; relapses must all be known, so those lost count as whatever the
    source counted them as.

    Parameters
    ----------
    abstinent_t, abstinent_c : ndarray, shape (m,)
        Numbers abstinent at each time, in order of time, not rising.
    n_t, n_c : float
        Numbers at the start.

    Examples
    --------
    >>> import numpy as np
    >>> found = life_table(np.array([18.0, 14.0, 10.0]), 30, np.array([10.0, 6.0, 4.0]), 31)
    >>> round(found.y, 9), round(found.excess, 9), round(found.information, 9)
    (-0.907857338, -5.57236534, 6.137930602)
    """
    risk_t, risk_c = (
        np.concatenate([[n_t], abstinent_t[:-1]]),
        np.concatenate([[n_c], abstinent_c[:-1]]),
    )
    relapses_t, total = risk_t - abstinent_t, risk_t + risk_c
    relapses = relapses_t + risk_c - abstinent_c
    counted = total > 1
    risk_t, risk_c, total, relapses = (
        risk_t[counted],
        risk_c[counted],
        total[counted],
        relapses[counted],
    )
    expected = relapses * risk_t / total
    variance = relapses * risk_t * risk_c * (total - relapses) / (total**2 * (total - 1))
    excess, information = float((relapses_t[counted] - expected).sum()), float(variance.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        y, v = np.divide([excess, 1.0], information)
    return HazardRatio(float(y), float(v), excess, information)


def one_time(abstinent_t: float, n_t: float, abstinent_c: float, n_c: float) -> tuple[float, float]:
    """Log hazard ratio of relapse from one time under proportional hazards, ``ln(-ln S_t) - ln(-ln
    S_c)``.

    nan where an arm has nobody or everybody abstinent.

    Examples
    --------
    >>> tuple(round(x, 9) for x in one_time(10, 30, 4, 31))
    (-0.622665889, 0.107164995)
    """
    s, n = np.array([abstinent_t / n_t, abstinent_c / n_c]), np.array([n_t, n_c])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_s = np.log(s)
        y, v = np.diff(np.log(-log_s[::-1]))[0], ((1 - s) / (n * s * log_s**2)).sum()
    known = np.isfinite(y) and np.isfinite(v)
    return (float(y), float(v)) if known else (np.nan, np.nan)


def abstinent_time(
    time: FloatArray, abstinent: FloatArray, n: float, horizon: float
) -> tuple[float, float]:
    """Mean time abstinent up to `horizon` and its variance: the area under the curve of straight
    lines.

    The counts are nested, so those who stop being abstinent between two times are one multinomial
    sample: the mean and variance are those of the time each is credited with.
    """
    inside = time <= horizon
    share = np.interp(
        horizon, np.concatenate([[0.0], time]), np.concatenate([[1.0], abstinent / n])
    )
    knots = np.concatenate([[0.0], time[inside & (time < horizon)], [horizon]])
    curve = np.concatenate([[1.0], abstinent[inside & (time < horizon)] / n, [share]])
    # relapses of an interval are credited with its middle, those abstinent at the end with all of
    # it
    credit = np.append(0.5 * (knots[1:] + knots[:-1]), horizon)
    probability = np.append(-np.diff(curve), curve[-1])
    mean = float(credit @ probability)
    return mean, float((credit**2 @ probability - mean**2) / n)


def simultaneous_quantile(v: FloatArray, level: float = 0.95) -> float:
    """Critical value of a band over several times: the largest of the nested estimates' z stays
    below it.

    Estimates of nested counts with variances `v` (rising) move like a Brownian motion observed at
    the times `v`, so the probability is a chain of one-dimensional integrals. One time gives the
    normal quantile.

    Examples
    --------
    >>> import numpy as np
    >>> round(simultaneous_quantile(np.array([0.1])), 4)
    1.96
    >>> round(simultaneous_quantile(np.array([0.08996416, 0.17250384, 0.28440860])), 3)
    2.296
    """
    v = _spaced(np.unique(v))
    single = float(normal_quantile((1 + level) / 2))
    if v.size == 1:
        return single
    most = float(normal_quantile(1 - (1 - level) / (2 * v.size)))  # Bonferroni
    return float(
        bracketed_root(np.vectorize(lambda z: _stays_inside(v, float(z)) - level), single, most)
    )


def _spaced(v: FloatArray) -> FloatArray:
    """Rising variances whose steps the quadrature can follow."""
    ratio = np.maximum(v[1:] / v[:-1], 1 + _SHORTEST)
    return np.asarray(v[0] * np.concatenate([[1.0], np.cumprod(ratio)]))


def _stays_inside(v: FloatArray, z: float) -> float:
    """Probability that ``|B(v_t)| <= z sqrt(v_t)`` at every v_t, by quadrature from time to time."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    edge = z * np.sqrt(v)
    x, w = edge[0] * nodes, edge[0] * weights
    mass = w * np.exp(-0.5 * x**2 / v[0]) / np.sqrt(2 * np.pi * v[0])
    for step, reach in zip(np.diff(v), edge[1:], strict=True):
        after = reach * nodes
        kernel = np.exp(-0.5 * (after[:, None] - x) ** 2 / step) / np.sqrt(2 * np.pi * step)
        mass, x = reach * weights * (kernel @ mass), after
    return float(mass.sum())
