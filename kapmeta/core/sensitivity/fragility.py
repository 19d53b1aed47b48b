"""The fewest patients with another outcome that would change a conclusion.

References
----------
.. [1] Walsh M, Srinathan SK, McAuley DF, et al. The statistical significance of randomized
   controlled trial results is frequently fragile: a case for a Fragility Index. J Clin Epidemiol
   2014;67:622-628. https://doi.org/10.1016/j.jclinepi.2013.10.019
.. [2] Atal I, Porcher R, Boutron I, Ravaud P. The statistical significance of meta-analyses is
   frequently fragile: definition of a fragility index for meta-analyses. J Clin Epidemiol
   2019;111:32-40. https://doi.org/10.1016/j.jclinepi.2019.03.012
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.ties import tied_ranks

_FISHER_TIE = 1e-7  # tables as likely as the observed one, to rounding; R's fisher.test has it too


class Steps(NamedTuple):
    """Changes of single outcomes until the conclusion changes.

    `study` and `treated` say in which trial and arm an outcome was changed. `change` is 1 for an
    event gained and -1 for one lost. `watched` holds the p-value, or the limit nearest the null,
    after each step, the starting value first. `turned` is False where no change of outcomes changes
    the conclusion.
    """

    study: list[int]
    treated: list[bool]
    change: list[int]
    watched: list[float]
    turned: bool


def fisher_p_value(
    a: npt.ArrayLike, n1: npt.ArrayLike, c: npt.ArrayLike, n2: npt.ArrayLike
) -> FloatArray:
    """Compute the two-sided p-value of Fisher's exact test.

    It sums the tables no likelier than the one observed.

    Examples
    --------
    >>> print(fisher_p_value(13, 26, 6, 27).round(4))
    0.0473
    """
    cells = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (a, n1, c, n2)))
    a, n1, c, n2 = (x[..., None] for x in cells)
    total = a + c
    x = np.arange(int(np.max(n1, initial=0)) + 1, dtype=np.float64)
    possible = (x <= np.minimum(n1, total)) & (x >= total - n2)
    with np.errstate(invalid="ignore"):
        log = np.where(possible, _log_mass(x, n1, total - x, n2), -np.inf)
    mass = np.exp(log - log.max(-1, keepdims=True))
    as_rare = log <= _log_mass(a, n1, c, n2) + _FISHER_TIE
    return np.asarray(np.minimum(1.0, (mass * as_rare).sum(-1) / mass.sum(-1)))


def _log_mass(a: FloatArray, n1: FloatArray, c: FloatArray, n2: FloatArray) -> FloatArray:
    """Compute the log probability of tables given their margins, without the constants."""
    first = -special.gammaln(a + 1) - special.gammaln(n1 - a + 1)
    return np.asarray(first - special.gammaln(c + 1) - special.gammaln(n2 - c + 1))


def trial_fragility(a: int, n1: int, c: int, n2: int, *, alpha: float = 0.05) -> Steps:
    """Add events to one arm of a trial until Fisher's p crosses alpha [1]_.

    Where the test rejects, events are added to the arm with the lower proportion until it does not.
    Where it does not reject to begin with, events are added to the other arm until it does (reverse
    fragility). With equal proportions the arm with fewer events counts as the lower.
    """
    lower = a / n1 < c / n2 or (a / n1 == c / n2 and a <= c)  # the treated arm is the lower
    significant = float(fisher_p_value(a, n1, c, n2)) < alpha
    treated = lower == significant
    room = n1 - a if treated else n2 - c
    steps = np.arange(room + 1)
    p = fisher_p_value(a + steps, n1, c, n2) if treated else fisher_p_value(a, n1, c + steps, n2)
    crossed = np.flatnonzero((p >= alpha) if significant else (p < alpha))
    last = int(crossed[0]) if crossed.size else room
    watched = [float(x) for x in p[: last + 1]]
    return Steps([0] * last, [treated] * last, [1] * last, watched, bool(crossed.size))


def pooled_fragility(
    cells: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    limits: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]],
) -> Steps:
    """Change, step by step, the one outcome that moves the limit of a pooled result most [2]_.

    The search is greedy, so the number of changes is an upper bound on the smallest.

    Parameters
    ----------
    cells : tuple of ndarray, shape (k,)
        Events and totals under treatment and control.
    limits : callable
        From events under treatment and control, each (candidates, k), to estimate, low and high of
        each.
    """
    a, n1, c, n2 = (np.asarray(x, dtype=np.float64) for x in cells)
    estimate, low, high = (float(x[0]) for x in limits(a[None], c[None]))
    # In a significant result the favoured arm loses events, in any other it gains them, or the
    # other arm does the reverse. Each step tries every trial and arm and keeps the change that
    # moves the watched limit most, until the limit crosses the null.
    significant = low > 0 or high < 0
    favours = low > 0 if significant else estimate >= 0
    change = -1 if favours == significant else 1
    watched = [low if favours else high]
    steps = Steps([], [], [], watched, True)
    k, own = a.size, np.arange(a.size)
    while (watched[-1] > 0 if favours else watched[-1] < 0) == significant:
        tried_a, tried_c = np.repeat(a[None], 2 * k, 0), np.repeat(c[None], 2 * k, 0)
        tried_a[own, own] += change
        tried_c[k + own, own] -= change
        valid = _valid(tried_a, n1) & _valid(tried_c, n2)
        if not valid.any():
            return steps._replace(turned=False)
        found = limits(tried_a[valid], tried_c[valid])
        limit = found[1] if favours else found[2]
        best = int(np.argmin(tied_ranks(limit if change < 0 else -limit)))  # the first of ties
        position = int(np.flatnonzero(valid)[best])
        steps.study.append(position % k)
        steps.treated.append(position < k)
        steps.change.append(change if position < k else -change)
        watched.append(float(limit[best]))
        a, c = tried_a[position], tried_c[position]
    return steps


def _valid(events: FloatArray, total: FloatArray) -> BoolArray:
    return np.asarray(((events >= 0) & (events <= total)).all(-1))
