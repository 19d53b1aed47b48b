"""Time to event from counts at several times: hazard ratios, event-free time, bands of RR(t).

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

_NODES_PER_TIME = 200
# steps shorter than this share of the variance are taken as this long, which errs on the wide side
_SHORTEST = 1e-3


class HazardRatio(NamedTuple):
    """Log hazard ratio and its variance, and the log-rank excess of events and its variance."""

    y: float
    v: float
    excess: float
    information: float


def life_table(free_t: FloatArray, n_t: float, free_c: FloatArray, n_c: float) -> HazardRatio:
    """Estimate a log hazard ratio from the numbers free of the event at several times.

    The log-rank one-step estimate: in every interval [1]_ the events of the treated are compared
    with their hypergeometric expectation among all who were event-free when it began. Only for
    participants free of the event without a break, and for proportional hazards. All events must be
    known, so participants lost to follow-up count as the source counted them.

    Parameters
    ----------
    free_t, free_c : ndarray, shape (m,)
        Numbers free of the event at each time, in order of time, not rising.
    n_t, n_c : float
        Numbers at the start.

    Examples
    --------
    >>> import numpy as np
    >>> found = life_table(np.array([18.0, 14.0, 10.0]), 30, np.array([10.0, 6.0, 4.0]), 31)
    >>> round(found.y, 9), round(found.excess, 9), round(found.information, 9)
    (-0.907857338, -5.57236534, 6.137930602)
    """
    risk_t, risk_c = np.append(n_t, free_t[:-1]), np.append(n_c, free_c[:-1])
    counted = risk_t + risk_c > 1
    risk_t, risk_c, free_t, free_c = (x[counted] for x in (risk_t, risk_c, free_t, free_c))
    total, events_t = risk_t + risk_c, risk_t - free_t
    events = events_t + risk_c - free_c
    expected = events * risk_t / total
    variance = events * risk_t * risk_c * (total - events) / (total**2 * (total - 1))
    excess, information = float((events_t - expected).sum()), float(variance.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        y, v = np.divide([excess, 1.0], information)
    return HazardRatio(float(y), float(v), excess, information)


def one_time(free_t: float, n_t: float, free_c: float, n_c: float) -> tuple[float, float]:
    """Estimate a log hazard ratio from one time, ``ln(-ln S_t) - ln(-ln S_c)``.

    Under proportional hazards; nan where nobody or everybody of an arm is free of the event.

    Examples
    --------
    >>> tuple(round(x, 9) for x in one_time(10, 30, 4, 31))
    (-0.622665889, 0.107164995)
    """
    s, n = np.array([free_t / n_t, free_c / n_c]), np.array([n_t, n_c])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_s = np.log(s)
        y, v = np.diff(np.log(-log_s[::-1]))[0], ((1 - s) / (n * s * log_s**2)).sum()
    known = np.isfinite(y) and np.isfinite(v)
    return (float(y), float(v)) if known else (np.nan, np.nan)


def event_free_time(
    time: FloatArray, free: FloatArray, n: float, horizon: float
) -> tuple[float, float]:
    """Compute the mean event-free time up to `horizon` and its variance.

    The area under a curve of straight lines. The counts are nested, so the numbers with an event
    between two times are one multinomial sample: the mean and variance are those of the time
    credited to each participant.
    """
    inside = time <= horizon
    share = np.interp(horizon, np.concatenate([[0.0], time]), np.concatenate([[1.0], free / n]))
    knots = np.concatenate([[0.0], time[inside & (time < horizon)], [horizon]])
    curve = np.concatenate([[1.0], free[inside & (time < horizon)] / n, [share]])
    # an event is credited with the middle of its interval, no event with the whole horizon
    credit = np.append(0.5 * (knots[1:] + knots[:-1]), horizon)
    probability = np.append(-np.diff(curve), curve[-1])
    mean = float(credit @ probability)
    return mean, float((credit**2 @ probability - mean**2) / n)


def simultaneous_quantile(v: FloatArray, level: float = 0.95) -> float:
    """Solve for the critical value of a simultaneous band over several times.

    The largest of the nested estimates' z stays below it with probability `level`. Estimates of
    nested counts with variances `v` (rising) move like a Brownian motion observed at the times `v`,
    so the probability is a chain of one-dimensional integrals. One time gives the normal quantile.

    Examples
    --------
    >>> import numpy as np
    >>> round(simultaneous_quantile(np.array([0.1])), 4)
    1.96
    >>> round(simultaneous_quantile(np.array([0.08996416, 0.17250384, 0.28440860])), 3)
    2.296
    """
    v = _resolvable(np.unique(v))
    single = float(normal_quantile((1 + level) / 2))
    if v.size == 1:
        return single
    most = float(normal_quantile(1 - (1 - level) / (2 * v.size)))  # Bonferroni
    excess = np.vectorize(lambda z: _stays_inside(v, float(z)) - level)
    return float(bracketed_root(excess, single, most))


def _resolvable(v: FloatArray) -> FloatArray:
    """Widen the steps of rising variances to those that the quadrature can resolve."""
    ratio = np.maximum(v[1:] / v[:-1], 1 + _SHORTEST)
    return np.asarray(v[0] * np.concatenate([[1.0], np.cumprod(ratio)]))


def _stays_inside(v: FloatArray, z: float) -> float:
    """Compute P(``|B(v_t)| <= z sqrt(v_t)`` at every v_t), by quadrature from time to time."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES_PER_TIME)
    edge = z * np.sqrt(v)
    x, w = edge[0] * nodes, edge[0] * weights
    mass = w * np.exp(-0.5 * x**2 / v[0]) / np.sqrt(2 * np.pi * v[0])
    for step, half in zip(np.diff(v), edge[1:], strict=True):
        after = half * nodes
        kernel = np.exp(-0.5 * (after[:, None] - x) ** 2 / step) / np.sqrt(2 * np.pi * step)
        mass, x = half * weights * (kernel @ mass), after
    return float(mass.sum())
