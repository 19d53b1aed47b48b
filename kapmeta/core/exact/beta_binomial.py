"""Beta-binomial regression of the arms of trials with a common correlation.

Arms are treated as independent groups whose risks vary about a mean given by the treatment. Tables
without events take part. The pairing of arms within a trial is ignored, so baselines that differ
between trials bias it where allocation is unequal: use it beside a stratified method, not in its
place.

With ``r = rho / (1 - rho)`` the likelihood of x events of n is a product of ``p + j r``, ``1 - p +
j r`` and ``1 + j r``, which is the binomial at r = 0 and smooth there. The two risks and r are the
parameters whatever the measure: the effect, and its standard error, follow from the risks.

References
----------
.. [1] Kuss O. Statistical methods for meta-analyses including information from studies without any
   events - add nothing to nothing and succeed nevertheless. Stat Med 2015;34:1097-1116.
   https://doi.org/10.1002/sim.6383
.. [2] Mathes T, Kuss O. A comparison of methods for meta-analysis of a small number of studies with
   binary outcomes. Res Synth Methods 2018;9:366-381. https://doi.org/10.1002/jrsm.1296
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import t_quantile
from kapmeta.core.numerics.rising_products import Tally, log_products, tallied

_MOST_CLIMBING_STEPS = 200
_MOST_HALVINGS = 60
_LONGEST_STEP = 3.0  # in logits of the risks and in log r
_SETTLED = 1e-12  # steps below which a climb ends
_SMALLEST_R, _LARGEST_R = 1e-12, 1e6  # beyond, a climb ends: binomial, or arms all or nothing
_STARTS = (0.01, 0.1, 0.5)  # values of r
_SAME = 1e-10  # gain over the binomial fit that is no more than rounding
_TABLE_SETS_AT_ONCE = 256  # that stay in the cache together


class Link(NamedTuple):
    """The linear predictor of a risk and its derivative."""

    of: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        "OR": Link(special.logit, lambda p: 1 / (p * (1 - p))),
        "RR": Link(np.log, lambda p: 1 / p),
        "RD": Link(lambda p: p, np.ones_like),
    }
)
"""Link by measure: logit, log and identity."""


class BetaBinomialFit(NamedTuple):
    """Treatment effect, standard error, intra-arm correlation, log-likelihood and baseline."""

    estimate: float
    se: float
    rho: float
    loglik: float
    baseline: float


class BetaBinomialFits(NamedTuple):
    """Fits of many sets of tables, each field of shape (...).

    `low` and `high` are limits from the t distribution with ``2 k - 2`` degrees of freedom, k being
    the number of tables with participants in a set; nan where k is 1.
    """

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    rho: FloatArray
    loglik: FloatArray
    baseline: FloatArray
    k: IntArray


def beta_binomial(tables: Tables, *, measure: str = "OR") -> BetaBinomialFit:
    """Fit the beta-binomial model with a common correlation by maximum likelihood [1]_.

    Parameters
    ----------
    tables : Tables
        Cells of the trials; tables without an event take part.
    measure : str
        ``"OR"``, ``"RR"`` or ``"RD"``: the scale of the treatment effect.

    Returns
    -------
    BetaBinomialFit
        Log scale for ratios; the standard error is that of the observed information. Infinite
        estimate and standard error where one arm has no event in any trial, or nothing but events
        (log odds ratio); nan where a log risk ratio or a risk difference lies at the edge of what
        there is.

    References
    ----------
    .. [1] Kuss O. Stat Med 2015;34:1097-1116. https://doi.org/10.1002/sim.6383

    Examples
    --------
    >>> import numpy as np
    >>> cells = [73, 13, 12], [38, 13, 15], [24, 6, 0], [76, 21, 28]
    >>> tables = Tables(*(np.array(x, dtype=float) for x in cells))
    >>> fit = beta_binomial(tables)
    >>> round(fit.estimate, 4), round(fit.rho, 4)
    (1.9191, 0.0531)
    """
    found = beta_binomial_fits(tables.a, tables.n1, tables.c, tables.n2, measure=measure)
    return BetaBinomialFit(*(float(getattr(found, name)) for name in BetaBinomialFit._fields))


def beta_binomial_fits(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    measure: str = "OR",
    level: float = 0.95,
) -> BetaBinomialFits:
    """Fit the beta-binomial model to many sets of tables at once.

    The work does not grow with the counts.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k). A table with nobody in it is
        absent.
    measure : str
        ``"OR"``, ``"RR"`` or ``"RD"``: the scale of the treatment effect.
    level : float
        Level of the interval.

    Returns
    -------
    BetaBinomialFits
        As `beta_binomial`, each field of shape (...).

    Examples
    --------
    >>> events_t = [[73, 13, 12], [10, 11, 12]]
    >>> found = beta_binomial_fits(events_t, [111, 26, 27], [24, 6, 0], [100, 27, 28])
    >>> found.estimate.round(4)
    array([1.9191, 0.8984])
    """
    given = (np.asarray(part, dtype=np.float64) for part in (events_t, n_t, events_c, n_c))
    a, n1, c, n2 = np.broadcast_arrays(*given)
    shape = a.shape[:-1]
    events, sizes = (np.stack(pair, axis=-2) for pair in ((a, c), (n1, n2)))  # (..., 2, k)
    events, sizes = (part.reshape(-1, *part.shape[-2:]) for part in (events, sizes))
    found = np.empty((5, len(events)))
    for start in range(0, len(events), _TABLE_SETS_AT_ONCE):
        some = slice(start, start + _TABLE_SETS_AT_ONCE)
        found[:, some] = _fitted(events[some], sizes[some], measure)
    estimate, se, rho, loglik, baseline = found.reshape(5, *shape)
    k = np.asarray((n1 + n2 > 0).sum(-1))
    with np.errstate(invalid="ignore"):
        half = np.where(k > 1, se * t_quantile((1 + level) / 2, np.maximum(2 * k - 2, 1)), np.nan)
        low, high = estimate - half, estimate + half
    return BetaBinomialFits(estimate, se, low, high, rho, loglik, baseline, k)


def _fitted(events: FloatArray, sizes: FloatArray, measure: str) -> FloatArray:
    """Fit sets of tables, shape (sets, 2, k): estimate, se, rho, log-likelihood, baseline."""
    # 1. an arm with no events, or only events, in all trials leaves no finite estimate
    # 2. the binomial fit, r = 0: the crude risks
    # 3. the highest of climbs from several r; the binomial fit where none is higher
    # 4. the effect and its standard error from the risks and their information
    exists, unbounded = _existing(events, sizes, measure)  # 1
    found = np.full((5, len(events)), np.nan)
    found[:2] = unbounded, np.abs(unbounded)
    rows = np.flatnonzero(exists)
    if not rows.size:
        return found
    arms = _tallied_arms(events[rows], sizes[rows])
    logits = special.logit(events[rows].sum(-1) / sizes[rows].sum(-1))  # 2
    plain = np.column_stack([logits, np.full(rows.size, -np.inf)])
    at_zero = _log_likelihood(arms, plain)[0]
    climbs = [
        _climb_from(arms, np.column_stack([logits, np.full(rows.size, r)]))  # 3
        for r in np.log(_STARTS)
    ]
    heights = np.stack([at_zero + _SAME, *(height for _, height in climbs)])
    best = heights.argmax(0)
    points = np.stack([plain, *(point for point, _ in climbs)])[best, np.arange(rows.size)]
    link, risks = LINKS[measure], special.expit(points[:, :2])  # 4
    value, _, hessian = _log_likelihood(arms, points)
    slopes = link.slope(risks) * risks * (1 - risks) * [1.0, -1.0]  # of the effect in the logits
    variance = _variance(hessian, slopes, points[:, 2] > -np.inf)
    r, predictors = np.exp(points[:, 2]), link.of(risks)
    effect = predictors[:, 0] - predictors[:, 1]
    found[:, rows] = effect, np.sqrt(variance), r / (1 + r), value, predictors[:, 1]
    return found


def _existing(events: FloatArray, sizes: FloatArray, measure: str) -> tuple[BoolArray, FloatArray]:
    """Find the sets whose effect is finite, and the infinite or undefined effect of the others."""
    empty, full = events.sum(-1) == 0, (sizes - events).sum(-1) == 0
    at_edge = (empty | full).any(-1)
    down, up = empty[:, 0] | full[:, 1], full[:, 0] | empty[:, 1]
    undefined = empty.all(-1) | full.all(-1) | (down == up)
    if measure != "OR":
        undefined |= ~empty.any(-1) | (measure == "RD")
    effect = np.where(undefined, np.nan, np.where(up, np.inf, -np.inf))
    return ~at_edge, np.where(at_edge, effect, np.nan)


class _Arms(NamedTuple):
    """Tallies of the events and non-events of the two arms, of their sizes, and the constant."""

    events: Tally
    others: Tally
    sizes: Tally
    constant: FloatArray

    def rows(self, index: IntArray) -> _Arms:
        events, others, sizes = (part.rows(index) for part in self[:3])
        return _Arms(events, others, sizes, self.constant[index])


def _tallied_arms(events: FloatArray, sizes: FloatArray) -> _Arms:
    """Prepare counts of shape (sets, 2, k)."""
    others = sizes - events
    logs = special.gammaln(sizes + 1) - special.gammaln(events + 1) - special.gammaln(others + 1)
    all_sizes = sizes.reshape(len(sizes), -1)
    return _Arms(tallied(events), tallied(others), tallied(all_sizes), logs.sum((-2, -1)))


def _log_likelihood(arms: _Arms, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the log-likelihood at points (logit risks, log r), its gradient and its Hessian.

    Points have shape (sets, 3). A log r of minus infinity is the binomial likelihood.
    """
    risk, other, r = (
        special.expit(points[:, :2]),
        special.expit(-points[:, :2]),
        np.exp(points[:, 2]),
    )
    both = np.broadcast_to(r[:, None], risk.shape)
    e, f = log_products(arms.events, risk, both), log_products(arms.others, other, both)
    g = log_products(arms.sizes, np.ones_like(r), r)
    value = (e.value + f.value).sum(-1) - g.value + arms.constant
    slope, by_risk = risk * other, e.by_base - f.by_base
    by_r = (e.by_r + f.by_r).sum(-1) - g.by_r
    gradient = np.column_stack([by_risk * slope, r * by_r])
    hessian = np.zeros((len(r), 3, 3))
    bend = slope * (other - risk)
    hessian[:, [0, 1], [0, 1]] = (e.by_base2 + f.by_base2) * slope**2 + by_risk * bend
    across = (e.by_base_r - f.by_base_r) * slope * both
    hessian[:, :2, 2] = hessian[:, 2, :2] = across
    hessian[:, 2, 2] = r * by_r + r * r * ((e.by_r2 + f.by_r2).sum(-1) - g.by_r2)
    return value, gradient, hessian


def _climb_from(arms: _Arms, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Climb by damped Newton steps from points (logit risks, log r); return points and heights."""
    # Each round, for the sets that still move:
    # 1. the Newton step, uphill whatever the curvature, at most `_LONGEST_STEP`
    # 2. halved where it does not climb: a short enough step does, or changes nothing
    # 3. a set is done when its step is nil, or when r leaves its range
    points = points.copy()
    heights, gradient, hessian = _log_likelihood(arms, points)
    moving = np.arange(len(points))
    for _ in range(_MOST_CLIMBING_STEPS):
        there, value = points[moving], heights[moving]
        step = _uphill(gradient, hessian)  # 1
        some = arms.rows(moving)
        after = _log_likelihood(some, there + step)
        for _ in range(_MOST_HALVINGS):  # 2
            lower = np.flatnonzero(after[0] < value - 1e-13 * np.abs(value))
            if not lower.size:
                break
            step[lower] /= 2
            again = _log_likelihood(some.rows(lower), there[lower] + step[lower])
            for whole, part in zip(after, again, strict=True):
                whole[lower] = part
        points[moving], heights[moving] = there + step, after[0]
        r = np.exp(points[moving, 2])  # 3
        on = (np.abs(step).max(-1) > _SETTLED) & (r > _SMALLEST_R) & (r < _LARGEST_R)
        moving, gradient, hessian = moving[on], after[1][on], after[2][on]
        if not moving.size:
            break
    return points, heights


def _uphill(gradient: FloatArray, hessian: FloatArray) -> FloatArray:
    """Compute Newton steps with all curvature made negative, none longer than the longest."""
    values, vectors = np.linalg.eigh(hessian)
    along = (gradient[:, None, :] @ vectors)[:, 0] / np.maximum(np.abs(values), 1e-10)
    step = (vectors @ along[:, :, None])[:, :, 0]
    longest = np.maximum(np.abs(step).max(-1, keepdims=True), 1e-300)
    return np.asarray(step * np.minimum(1.0, _LONGEST_STEP / longest))


def _variance(hessian: FloatArray, slopes: FloatArray, correlated: BoolArray) -> FloatArray:
    """Compute the variance of an effect from the information on logit risks and log r."""
    information = -hessian
    information[~correlated, 2] = information[~correlated, :, 2] = 0.0
    information[~correlated, 2, 2] = 1.0  # r is held at 0
    direction = np.concatenate([slopes, np.zeros((len(slopes), 1))], axis=-1)[:, :, None]
    return np.asarray((direction * np.linalg.solve(information, direction)).sum((-2, -1)))
