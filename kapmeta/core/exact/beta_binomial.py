"""Beta-binomial regression of the arms of trials with a common correlation.

Arms are treated as independent groups whose risks vary about a mean given by the treatment. Tables
without events take part. The pairing of arms within a trial is ignored, so baselines that differ
between trials bias it where allocation is unequal: use it beside a stratified method, not in its
place.

With ``r = rho / (1 - rho)`` the likelihood of x events of n is a product of ``p + j r``, ``1 - p +
j r`` and ``1 + j r``, which is the binomial at r = 0 and smooth there: the limit needs no case of
its own.

References
----------
.. [1] Kuss O. Statistical methods for meta-analyses including information from studies without any
   events - add nothing to nothing and succeed nevertheless. Stat Med 2015;34:1097-1116.
   https://doi.org/10.1002/sim.6383
.. [2] Mathes T, Kuss O. A comparison of methods for meta-analysis of a small number of studies with
   binary outcomes. Res Synth Methods 2018;9:366-381. https://doi.org/10.1002/jrsm.1296
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.numerics.arrays import FloatArray

_MOST_CLIMBING_STEPS = 200
_LARGEST_R = 20.0  # r beyond which the risks of the arms are all 0 or 1


class Link(NamedTuple):
    """From the linear predictor to the risk and its first two derivatives."""

    risk: Callable[[FloatArray], FloatArray]
    first: Callable[[FloatArray], FloatArray]
    second: Callable[[FloatArray], FloatArray]
    inverse: Callable[[FloatArray], FloatArray]


def _expit_slope(x: FloatArray) -> FloatArray:
    """Return the first derivative of the inverse logit."""
    p = special.expit(x)
    return np.asarray(p * (1 - p))


def _expit_bend(x: FloatArray) -> FloatArray:
    """Return the second derivative of the inverse logit."""
    p = special.expit(x)
    return np.asarray(p * (1 - p) * (1 - 2 * p))


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        "OR": Link(special.expit, _expit_slope, _expit_bend, special.logit),
        "RR": Link(np.exp, np.exp, np.exp, np.log),
        "RD": Link(lambda x: x, np.ones_like, np.zeros_like, lambda p: p),
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


class _Arms(NamedTuple):
    events: FloatArray
    sizes: FloatArray
    treated: FloatArray
    j: FloatArray


def _stacked_arms(tables: Tables) -> _Arms:
    """Stack the arms of all trials, treated arms first."""
    sizes = np.concatenate([tables.n1, tables.n2])
    k = tables.a.size
    treated = np.concatenate([np.ones(k), np.zeros(k)])
    return _Arms(np.concatenate([tables.a, tables.c]), sizes, treated, np.arange(sizes.max()))


def _sums(count: FloatArray, base: FloatArray, r: float, j: FloatArray) -> tuple[FloatArray, ...]:
    """Sum log(base + j r) over j < count, with its first and second derivatives.

    The derivatives are in base and r.
    """
    inside = j < count[:, None]
    level = np.where(inside, base[:, None] + j * r, 1.0)
    w = np.where(inside, 1 / level, 0.0)
    jw = j * w
    second = (-(x * y).sum(-1) for x, y in ((w, w), (w, jw), (jw, jw)))
    return np.log(level).sum(-1), w.sum(-1), jw.sum(-1), *second


def _log_likelihood(arms: _Arms, link: Link, p: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Compute the log-likelihood, its gradient and its Hessian in (b0, b1, r).

    Minus infinity where a risk leaves (0, 1).
    """
    b0, b1, r = p
    eta = b0 + b1 * arms.treated
    risk = link.risk(eta)
    if not ((risk > 0) & (risk < 1)).all() or r < 0:
        return -math.inf, np.zeros(3), np.zeros((3, 3))
    x, n = arms.events, arms.sizes
    e, e_p, e_r, e_pp, e_pr, e_rr = _sums(x, risk, r, arms.j)
    f, f_p, f_r, f_pp, f_pr, f_rr = _sums(n - x, 1 - risk, r, arms.j)
    g, _, g_r, _, _, g_rr = _sums(n, np.ones_like(n), r, arms.j)
    constant = special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1)
    value = float((e + f - g + constant).sum())
    slope, bend = link.first(eta), link.second(eta)
    by_eta = (e_p - f_p) * slope
    by_eta2 = (e_pp + f_pp) * slope**2 + (e_p - f_p) * bend
    by_eta_r = (e_pr - f_pr) * slope
    rows = np.stack([np.ones_like(eta), arms.treated])
    gradient = np.append(rows @ by_eta, (e_r + f_r - g_r).sum())
    hessian = np.empty((3, 3))
    hessian[:2, :2] = (rows * by_eta2) @ rows.T
    hessian[:2, 2] = hessian[2, :2] = rows @ by_eta_r
    hessian[2, 2] = (e_rr + f_rr - g_rr).sum()
    return value, gradient, hessian


def _after_step(p: FloatArray, step: FloatArray) -> FloatArray:
    """Move `p` by a step in (b0, b1) or (b0, b1, log r)."""
    return np.append(p[:2] + step[:2], p[2] * np.exp(step[2:].sum()))


def _climb_from(
    arms: _Arms, link: Link, p: FloatArray, *, binomial: bool
) -> tuple[FloatArray, float]:
    """Climb by damped Newton steps; r moves on the log scale, or is held at 0."""
    value, gradient, hessian = _log_likelihood(arms, link, p)
    for _ in range(_MOST_CLIMBING_STEPS):
        free = 2 if binomial else 3
        scale = np.array([1.0, 1.0, p[2]])[:free]
        g = gradient[:free] * scale
        h = hessian[:free, :free] * np.outer(scale, scale)
        if not binomial:
            h[2, 2] += g[2]
        values, vectors = np.linalg.eigh(h)
        step = vectors @ (vectors.T @ g / np.maximum(np.abs(values), 1e-10))
        step *= min(1.0, 3 / max(float(np.abs(step).max()), 1e-300))
        after = _after_step(p, step)
        while (there := _log_likelihood(arms, link, after))[0] < value - 1e-13 * abs(value):
            step = step / 2  # a short enough step climbs, or changes nothing
            after = _after_step(p, step)
        p, (value, gradient, hessian) = after, there
        if np.abs(step).max() <= 1e-12 or not 1e-12 < p[2] + binomial < _LARGEST_R:
            break
    return p, value


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
    # 1. an arm with no events, or only events, in all trials leaves no finite estimate
    # 2. the binomial fit, r = 0, from the crude risks
    # 3. the highest of climbs from several r; the binomial fit where none is higher
    unbounded = _without_estimate(tables, measure)  # 1
    if unbounded is not None:
        nan = math.nan
        return BetaBinomialFit(unbounded, abs(unbounded), nan, nan, nan)
    arms, link = _stacked_arms(tables), LINKS[measure]  # 2
    pairs = (tables.c, tables.n2), (tables.a, tables.n1)
    risks = [np.array((cell.sum() + 0.1) / (n.sum() + 0.2)) for cell, n in pairs]
    b0, b1 = (float(link.inverse(risk)) for risk in risks)
    plain, at_zero = _climb_from(arms, link, np.array([b0, b1 - b0, 0.0]), binomial=True)
    starts = [np.array([plain[0], plain[1], r]) for r in (0.01, 0.1, 0.5)]  # 3
    found = [_climb_from(arms, link, start, binomial=False) for start in starts]
    best, value = max(found, key=lambda pair: pair[1])
    if value <= at_zero + 1e-10:
        best, value = plain, at_zero
    free = 3 if best[2] > 0 else 2
    hessian = _log_likelihood(arms, link, best)[2][:free, :free]
    se = math.sqrt(np.linalg.inv(-hessian)[1, 1])
    rho = float(best[2] / (1 + best[2]))
    return BetaBinomialFit(float(best[1]), se, rho, value, float(best[0]))


def _without_estimate(tables: Tables, measure: str) -> float | None:
    """Find the unbounded effect of an arm with no events or only events, else None.

    The effect is infinite, or nan where it is not defined.
    """
    empty = [bool(cell.sum() == 0) for cell in (tables.a, tables.c)]
    full = [bool(cell.sum() == 0) for cell in (tables.b, tables.d)]
    if measure == "RD" or not any(empty + full):
        return math.nan if any(empty + full) and measure == "RD" else None
    down, up = empty[0] or full[1], full[0] or empty[1]
    if (empty[0] and empty[1]) or (full[0] and full[1]):
        return math.nan
    if measure == "RR" and not any(empty):
        return math.nan
    return -math.inf if down and not up else math.inf if up and not down else math.nan
