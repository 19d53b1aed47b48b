"""Combined exact p-value functions: a common odds ratio or risk difference.

Each trial gives the probability, at every possible effect, of a result at least as extreme as its
own. These are turned into normal deviates, added with weights, and the effects that the sum does
not reject form the interval [1]_. Nothing is corrected and nothing is dropped: a trial with a zero
cell limits one side only, and a trial without any event still informs the risk difference.

References
----------
.. [1] Liu D, Liu RY, Xie M. Exact meta-analysis approach for discrete data and its application to 2
   x 2 tables with rare events. J Am Stat Assoc 2014;109:1450-1465.
   https://doi.org/10.1080/01621459.2014.946318
.. [2] Tian L, Cai T, Pfeffer MA, Piankov N, Cremieux PY, Wei LJ. Exact and efficient inference
   procedure for meta-analysis and its application to the analysis of independent 2 x 2 tables with
   all available data but without artificial continuity correction. Biostatistics 2009;10:275-281.
   https://doi.org/10.1093/biostatistics/kxn034
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.effects.hypergeometric import log_coefficients
from kapmeta.core.effects.score_statistics import difference_score
from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.roots import bracketed_root

_EQUALLY_EXTREME = 1e-9  # results as extreme as the one observed, to rounding
_RISKS = 101  # control risks over which the p-value is made as large as it can be
_WIDEST = 60.0  # of log odds ratios

Deviates = Callable[[float], FloatArray]


class Combination(NamedTuple):
    """Median of the combined p-value function and the limits at the level asked for."""

    estimate: float
    low: float
    high: float
    p_value: float


def _combined(deviates: FloatArray, weight: FloatArray) -> float:
    """Combine deviates with weights into one standard normal deviate."""
    return float((weight * deviates).sum() / math.sqrt(float((weight * weight).sum())))


def odds_ratio_deviates(tables: Tables) -> Deviates:
    """Return the normal deviates of the mid-p functions of the log odds ratio.

    Only tables that are informative about the odds ratio are included.
    """
    parts = []
    for i in range(tables.a.size):
        a, n1, c, n2 = (np.array(part[i]) for part in (tables.a, tables.n1, tables.c, tables.n2))
        lowest, log_terms = log_coefficients(n1, n2, a + c)
        if log_terms.size > 1:
            parts.append((float(lowest) + np.arange(log_terms.size) - float(a), log_terms))

    def deviates(theta: float) -> FloatArray:
        found = []
        for x, log_terms in parts:
            log_p = log_terms + theta * x
            log_p = log_p - special.logsumexp(log_p)
            shares = (x > 0) + 0.5 * (x == 0), (x < 0) + 0.5 * (x == 0)
            tails = [float(special.logsumexp(log_p, b=share)) for share in shares]
            near = special.ndtri_exp(min(tails))  # of the smaller tail, which keeps its digits
            found.append(near if tails[0] < tails[1] else -near)
        return np.array(found)

    return deviates


def odds_ratio_combination(
    tables: Tables, weight: FloatArray, *, level: float = 0.95
) -> Combination:
    """Estimate a common log odds ratio by combined mid-p functions.

    Parameters
    ----------
    tables : Tables
        Cells of the trials; those in which nobody or everybody had the event are passed over.
    weight : ndarray, shape (informative tables,)
        Weights of the deviates, e.g. all 1, or reciprocals of standard errors.
    level : float
        Level of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> cells = [73, 13, 12], [38, 13, 15], [24, 6, 0], [76, 21, 28]
    >>> tables = Tables(*(np.array(x, dtype=float) for x in cells))
    >>> found = odds_ratio_combination(tables, np.ones(3))
    >>> [round(float(np.exp(x)), 3) for x in (found.estimate, found.low, found.high)]
    [7.097, 3.988, 13.206]
    """
    deviates = odds_ratio_deviates(tables)
    z = float(normal_quantile((1 + level) / 2))

    def crossing(target: float) -> float:
        def excess(theta: FloatArray) -> FloatArray:
            return np.array([_combined(deviates(float(theta[0])), weight) - target])

        ends = np.array([-_WIDEST]), np.array([_WIDEST])
        # trials that all limit the same side approach the target without crossing it
        if excess(ends[0])[0] > -_EQUALLY_EXTREME:
            return -math.inf
        return (
            math.inf
            if excess(ends[1])[0] < _EQUALLY_EXTREME
            else float(bracketed_root(excess, *ends)[0])
        )

    at_null = _combined(deviates(0.0), weight)
    p_value = float(2 * special.ndtr(-abs(at_null)))
    return Combination(crossing(0.0), crossing(-z), crossing(z), p_value)


class _Lattice(NamedTuple):
    """All results a trial could have had, and the one it had."""

    x1: FloatArray
    x2: FloatArray
    n1: float
    n2: float
    a: float
    c: float


def _lattices(tables: Tables) -> list[_Lattice]:
    """List all possible results of each trial."""
    rows = np.stack([tables.n1, tables.n2, tables.a, tables.c], axis=1).tolist()
    return [_Lattice(np.arange(r[0] + 1)[:, None], np.arange(r[1] + 1)[None, :], *r) for r in rows]


def _log_pmf(x: FloatArray, n: float, p: FloatArray) -> FloatArray:
    """Compute log probabilities (risks, counts) of x events of n."""
    constant = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    return np.asarray(constant + special.xlogy(x, p[:, None]) + special.xlog1py(n - x, -p[:, None]))


def _largest_tails(trial: _Lattice, difference: float) -> tuple[float, float]:
    """Find the largest exact upper and lower p-values of the score statistic.

    Each is taken at the control risk that makes it largest.
    """
    delta = np.array(difference)
    score = difference_score(delta, trial.x1, trial.n1 - trial.x1, trial.x2, trial.n2 - trial.x2)
    observed = float(score[int(trial.a), int(trial.c)])
    margin = _EQUALLY_EXTREME * (1 + abs(observed))
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    risk = low + (high - low) * np.sin(np.linspace(0, math.pi / 2, _RISKS)) ** 2
    with np.errstate(under="ignore"):
        treated = np.exp(_log_pmf(trial.x1[:, 0], trial.n1, np.clip(risk + difference, 0, 1)))
        control = np.exp(_log_pmf(trial.x2[0], trial.n2, risk))
        sides = score >= observed - margin, score <= observed + margin
        upper, lower = (((treated @ x.astype(float)) * control).sum(-1).max() for x in sides)
    return min(float(upper), 1.0), min(float(lower), 1.0)


def risk_difference_combination(
    tables: Tables, weight: FloatArray, *, level: float = 0.95
) -> Combination:
    """Estimate a common risk difference by combined exact p-value functions.

    Tables without events take part. Each one-sided p-value is the largest over 101 control risks,
    so the interval covers at least as often as stated. The estimate is where the combined deviates
    of both sides balance.

    Parameters
    ----------
    tables : Tables
        Cells of the trials.
    weight : ndarray, shape (k,)
        Weights of the deviates, e.g. ``sqrt(n1 n2 / (n1 + n2))``.
    level : float
        Level of the interval.

    References
    ----------
    .. [1] Liu D, Liu RY, Xie M. J Am Stat Assoc 2014;109:1450-1465.
       https://doi.org/10.1080/01621459.2014.946318

    Examples
    --------
    >>> import numpy as np
    >>> one = Tables(*(np.array([float(cell)]) for cell in (12, 15, 0, 28)))
    >>> found = risk_difference_combination(one, np.ones(1))
    >>> [round(x, 3) for x in (found.estimate, found.low, found.high)]
    [0.445, 0.254, 0.648]
    """
    lattices = _lattices(tables)
    z = float(normal_quantile((1 + level) / 2))

    def sides(difference: float) -> tuple[float, float]:
        tails = np.array([_largest_tails(trial, difference) for trial in lattices])
        upper, lower = (np.clip(tails[:, side], 1e-300, 1 - 1e-16) for side in (0, 1))
        return _combined(special.ndtri(upper), weight), _combined(special.ndtri(lower), weight)

    def crossing(value: Callable[[float], float]) -> float:
        ends = np.array([-1.0]), np.array([1.0])
        return float(bracketed_root(lambda d: np.array([value(float(d[0]))]), *ends)[0])

    low = crossing(lambda d: sides(d)[0] + z)
    high = crossing(lambda d: -z - sides(d)[1])
    estimate = crossing(lambda d: float(np.subtract(*sides(d))))
    at_null = sides(0.0)
    return Combination(estimate, low, high, min(1.0, 2 * float(special.ndtr(min(at_null)))))
