"""Log-likelihood curves of the effect of one table, free of the baseline risk.

Zeros are not corrected. Each curve maps the effect theta to the log-likelihood of the table and its
first two derivatives. The baseline is removed by conditioning on the margins (odds ratio: exact
[1]_) or by its best value at each theta (profile). It is not integrated over a prior: a prior of
the control risk alone is informative about the direction of a risk ratio.

All curves of ratios are concave in theta. A table with one zero cell has a curve that rises to a
plateau; a table without information has a flat one.

References
----------
.. [1] Stijnen T, Hamza TH, Ozdemir P. Random effects meta-analysis of event outcome in the
   framework of the generalized linear mixed model with applications in sparse data. Stat Med
   2010;29:3046-3067. https://doi.org/10.1002/sim.4040
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray

_DEEPEST_DROP = 80.0  # below its maximum a curve is followed this far
_FLAT = 1e-13  # slope below which a curve has reached its plateau
_FINEST = 0.4  # spacing of tabulated points, in units of the width of the curve
_FARTHEST_LOG_RATIO = 60.0  # of log ratios
_MOST_CURVE_POINTS = 1600  # points of a curve
_MOST_POINTS = 20_000  # by which a curve is continued along a plateau
_AT_BOUND = 1e-12  # a risk this close to 0 or 1 is there


class Tables(NamedTuple):
    """Cells of 2x2 tables, shape (k,): events and non-events, treated and control."""

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray

    @property
    def n1(self) -> FloatArray:
        """Size of the treated arms."""
        return self.a + self.b

    @property
    def n2(self) -> FloatArray:
        """Size of the control arms."""
        return self.c + self.d

    def row(self, i: int) -> Tables:
        """Return table `i`, its cells as arrays of shape (1,)."""
        return Tables(*(cell[i : i + 1] for cell in self))


class Values(NamedTuple):
    """Log-likelihood and its first two derivatives in theta."""

    loglik: FloatArray
    slope: FloatArray
    curvature: FloatArray


def _cell_columns(tables: Tables) -> tuple[FloatArray, ...]:
    """Return the cells as columns, shape (k, 1)."""
    return tuple(cell[:, None] for cell in tables)


def _log_binomial(n: FloatArray, x: FloatArray) -> FloatArray:
    """Compute the logarithm of a binomial coefficient."""
    return np.asarray(special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1))


def odds_ratio_conditional(tables: Tables, theta: FloatArray) -> Values:
    """Evaluate the conditional likelihood of the log odds ratio given both margins.

    The distribution is noncentral hypergeometric; `theta` has shape (k, points).
    """
    values = [_one_conditional(tables.row(i), theta[i]) for i in range(theta.shape[0])]
    return Values(*(np.stack(part) for part in zip(*values, strict=True)))


def _one_conditional(table: Tables, theta: FloatArray) -> Values:
    """Evaluate the conditional likelihood of one table."""
    n1, n2, m = table.n1, table.n2, table.a + table.c
    x = np.arange(np.maximum(0, m - n2)[0], np.minimum(n1, m)[0] + 1)
    log_terms = _log_binomial(n1, x) + _log_binomial(n2, m - x)
    x = x - table.a  # from the count seen, so that the log-likelihood is the term at 0
    exponent = log_terms + theta[:, None] * x
    top = exponent.max(-1, keepdims=True)
    terms = np.exp(exponent - top)
    total = terms.sum(-1)
    terms /= total[:, None]
    mean = terms @ x
    here = _log_binomial(n1, table.a) + _log_binomial(n2, table.c)
    variance = np.maximum(terms @ (x * x) - mean * mean, 0.0)
    return Values(here - top[:, 0] - np.log(total), -mean, -variance)


def rate_ratio_conditional(tables: Tables, theta: FloatArray) -> Values:
    """Evaluate the binomial likelihood of the treated events given all events.

    It approximates the likelihood of the log odds ratio of rare events.
    """
    a, b, c, d = _cell_columns(tables)
    logit = theta + np.log((a + b) / (c + d))
    share = special.expit(logit)
    loglik = _log_binomial(a + c, a) + special.log_expit(logit) * a + special.log_expit(-logit) * c
    return Values(loglik, a - (a + c) * share, -(a + c) * share * (1 - share))


def risk_ratio_profile(tables: Tables, theta: FloatArray) -> Values:
    """Evaluate the profile likelihood of the log risk ratio at the best control risk [1]_.

    References
    ----------
    .. [1] Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226.
    """
    a, b, c, d = _cell_columns(tables)
    r = np.exp(np.clip(theta, -300.0, 300.0))  # beyond, every curve is on its plateau or nil
    p2 = _control_risk_at_ratio(a, b, c, d, r)
    p1 = np.minimum(r * p2, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds1, odds2 = p1 / (1 - p1), p2 / (1 - p2)
        from_treated = a - np.where(b > 0, b * odds1, 0.0)
        from_control = np.where(d > 0, d * odds2, 0.0) - c
        # stationary in p2 both are equal; where a risk is held at 1 only the other arm moves
        slope = np.where(b > 0, from_treated, from_control)
        slope = np.where((b == 0) & (d == 0), np.where(theta > 0, -c, a), slope)
        bend1 = np.where(b > 0, b * odds1 / (1 - p1), 0.0)
        bend2 = np.where(d > 0, d * odds2 / (1 - p2), 0.0)
        curvature = np.where(bend1 * bend2 > 0, bend1 * bend2 / (bend1 + bend2), 0.0)
        curvature = np.where(p1 >= 1, bend2, np.where(p2 >= 1, bend1, curvature))
    constant = _log_binomial(a + b, a) + _log_binomial(c + d, c)
    return Values(_log_risks(a, b, c, d, p1, p2) + constant, slope, -curvature)


def _log_risks(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, p1: FloatArray, p2: FloatArray
) -> FloatArray:
    """Compute the log-likelihood of both arms at their risks, without its constants."""
    treated = special.xlogy(a, p1) + special.xlog1py(b, -p1)
    return np.asarray(treated + special.xlogy(c, p2) + special.xlog1py(d, -p2))


def _control_risk_at_ratio(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, r: FloatArray
) -> FloatArray:
    """Solve for the most likely control risk at a risk ratio `r`.

    The smaller root of the quadratic of Miettinen and Nurminen.
    """
    from_treated, from_control = (a + b + c) * r, a + c + d
    # discriminant of [1] as a sum that does not cancel
    root = np.sqrt((from_treated - from_control) ** 2 + 4 * r * b * d)
    risk = 2 * (a + c) / (from_treated + from_control + root)
    return np.asarray(np.minimum(risk, np.minimum(1.0, 1 / r)))


def risk_difference_profile(tables: Tables, theta: FloatArray) -> Values:
    """Evaluate the profile likelihood of the risk difference at the best control risk [1]_.

    Minus infinity beyond -1 and 1.

    References
    ----------
    .. [1] Miettinen O, Nurminen M. Stat Med 1985;4:213-226.
    """
    a, b, c, d = _cell_columns(tables)
    inside = np.abs(theta) < 1
    p2 = _control_risk_at_difference(a, b, c, d, np.where(inside, theta, 0.0))
    p1 = np.clip(p2 + np.where(inside, theta, 0.0), 0.0, 1.0)
    loglik = _log_risks(a, b, c, d, p1, p2) + _log_binomial(a + b, a) + _log_binomial(c + d, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(a > 0, a / p1, 0.0) - np.where(b > 0, b / (1 - p1), 0.0)
        other = np.where(c > 0, c / p2, 0.0) - np.where(d > 0, d / (1 - p2), 0.0)
        # where the risk of one arm is held at its bound only the other moves
        held1 = ((a == 0) & (p1 < _AT_BOUND)) | ((b == 0) & (p1 > 1 - _AT_BOUND))
        held2 = ((c == 0) & (p2 < _AT_BOUND)) | ((d == 0) & (p2 > 1 - _AT_BOUND))
        slope = np.where(held1, -other, slope)
        bend1 = np.where(a > 0, a / p1**2, 0.0) + np.where(b > 0, b / (1 - p1) ** 2, 0.0)
        bend2 = np.where(c > 0, c / p2**2, 0.0) + np.where(d > 0, d / (1 - p2) ** 2, 0.0)
        curvature = np.where(bend1 * bend2 > 0, bend1 * bend2 / (bend1 + bend2), 0.0)
        curvature = np.where(held1, bend2, np.where(held2, bend1, curvature))
    slope, curvature = np.where(inside, slope, 0.0), np.where(inside, curvature, 0.0)
    return Values(np.where(inside, loglik, -np.inf), slope, -curvature)


def _control_risk_at_difference(
    a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, delta: FloatArray
) -> FloatArray:
    """Bisect for the most likely control risk at a risk difference.

    The bracket always contains it.
    """
    low = np.maximum(0.0, -delta) + 0 * a
    high = np.minimum(1.0, 1.0 - delta) + 0 * a
    for _ in range(60):
        middle = 0.5 * (low + high)
        p1 = middle + delta
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(a > 0, a / p1, 0.0) - np.where(b > 0, b / (1 - p1), 0.0)
            score = (
                score + np.where(c > 0, c / middle, 0.0) - np.where(d > 0, d / (1 - middle), 0.0)
            )
        low, high = np.where(score > 0, middle, low), np.where(score > 0, high, middle)
    return np.asarray(0.5 * (low + high))


LikelihoodCurve = Callable[[Tables, FloatArray], Values]

CURVES: Mapping[str, LikelihoodCurve] = MappingProxyType(
    {
        "OR": odds_ratio_conditional,
        "RR": risk_ratio_profile,
        "RD": risk_difference_profile,
        "OR-rare": rate_ratio_conditional,
    }
)
"""Curves by measure; ``"OR-rare"`` is the approximation for rare events."""


class Tabulated(NamedTuple):
    """One table's curve on equally spaced points that cover all of it."""

    curve: LikelihoodCurve
    table: Tables
    theta: FloatArray
    step: float
    relative: FloatArray  # log-likelihood less its maximum
    slope: FloatArray
    curvature: FloatArray
    top: float
    best: float  # where the maximum is; infinite for a curve that rises to a plateau
    width: float  # of the curve about its maximum, 1 / sqrt(-curvature)
    plateau: tuple[float, float]  # relative likelihood before the first and after the last point
    smooth: bool  # whether it can be interpolated: it has no sharp bend

    @property
    def informative(self) -> bool:
        """Whether the curve depends on theta."""
        return not (self.plateau[0] > 0 and self.plateau[1] > 0)


def extended(study: Tabulated, lowest: float, highest: float) -> tuple[FloatArray, Values]:
    """Continue a curve along its plateaus to `lowest` and `highest`, with its values."""
    theta = study.theta
    parts = [study.relative, study.slope, study.curvature]
    for level, side, edge, length in (
        (study.plateau[0], -1, theta[0], theta[0] - lowest),
        (study.plateau[1], 1, theta[-1], highest - theta[-1]),
    ):
        if level and length > 0:
            n = min(math.ceil(length / study.step), _MOST_POINTS)
            more = edge + side * study.step * np.arange(1, n + 1)
            flat = [more[::side], np.full(n, math.log(level)), np.zeros(n), np.zeros(n)]
            pairs = zip((theta, *parts), flat, strict=True)
            theta, *parts = (np.concatenate([old, new][::side]) for old, new in pairs)
    return theta, Values(*parts)


def tabulated(measure: str, tables: Tables) -> list[Tabulated]:
    """Tabulate the curves of all tables, equal tables once."""
    known: dict[tuple[float, ...], Tabulated] = {}
    rows = [tuple(float(cell[i]) for cell in tables) for i in range(tables.a.size)]
    for i, row in enumerate(rows):
        if row not in known:
            known[row] = _tabulate(measure, tables.row(i))
    return [known[row] for row in rows]


def _centre(measure: str, table: Tables) -> tuple[float, float]:
    """Approximate the location and width of the curve from cells enlarged by one half."""
    a, b, c, d = (float(cell[0]) + 0.5 for cell in table)
    if measure == "RD":
        p1, p2 = a / (a + b), c / (c + d)
        return p1 - p2, math.sqrt(p1 * (1 - p1) / (a + b) + p2 * (1 - p2) / (c + d))
    if measure == "RR":
        variance = max(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d), 1e-12)
        return math.log(a / (a + b) * (c + d) / c), math.sqrt(variance)
    return math.log(a / b * d / c), math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)


def _tabulate(measure: str, table: Tables) -> Tabulated:
    """Tabulate the curve of one table on equally spaced points."""
    # 1. scan the curve, finely about a rough centre, coarsely over all effects
    # 2. its ends: where it is deep enough below its top, or flat on a plateau
    # 3. the spacing: a share of its width, finer where it bends sharply
    curve = CURVES[measure]
    centre, spread = _centre(measure, table)  # 1
    edge = 1 - 1e-9 if measure == "RD" else _FARTHEST_LOG_RATIO
    scan = np.clip(centre + spread * np.sinh(np.linspace(-6.5, 6.5, 181)), -edge, edge)
    scan = np.unique(np.concatenate([scan, np.linspace(-edge, edge, 61)]))
    seen = Values(*(part[0] for part in curve(table, scan[None])))
    top = float(seen.loglik.max())
    if not (np.abs(seen.loglik - top) > 1e-12 * max(1.0, abs(top))).any():
        return _without_information(curve, table, centre)
    inside = seen.loglik > top - _DEEPEST_DROP  # 2
    sloping = np.abs(seen.slope) > _FLAT * max(1.0, float(np.abs(seen.slope).max()))
    first, last = _covering_ends(inside & sloping, scan.size)
    near = inside & (seen.loglik > top - 1)  # 3
    width = 1 / math.sqrt(max(float(-seen.curvature[near].min()), spread**-2 * 1e-2))
    step = _FINEST * min(width, spread if measure == "RD" else 1.0)
    if table.b[0] == 0 or table.d[0] == 0:
        step /= 8 if measure != "OR" else 1  # the curve bends sharply where a risk meets 1
    points = min(max(24, math.ceil((scan[last] - scan[first]) / step)), _MOST_CURVE_POINTS) + 1
    theta = np.linspace(scan[first], scan[last], points)
    found = Values(*(part[0] for part in curve(table, theta[None])))
    return _assembled(curve, table, theta, found)


def _covering_ends(there: np.ndarray, size: int) -> tuple[int, int]:
    """Return the first and last True places, each widened by one."""
    index = np.flatnonzero(there)
    return max(int(index[0]) - 1, 0), min(int(index[-1]) + 1, size - 1)


def _assembled(
    curve: LikelihoodCurve, table: Tables, theta: FloatArray, found: Values
) -> Tabulated:
    """Assemble a tabulated curve: maximum, width, plateaus and smoothness."""
    at = int(np.argmax(found.loglik))
    top = float(found.loglik[at])
    relative = found.loglik - top
    plateau = tuple(float(np.exp(relative[end])) if relative[end] > -1 else 0.0 for end in (0, -1))
    if plateau[0] or plateau[1]:
        best = -math.inf if plateau[0] > plateau[1] else math.inf
        width = 1.0
    else:
        best, top, relative = _refined_top(curve, table, theta, at, relative, top)
        bend = -float(curve(table, np.array([[best]])).curvature[0, 0])
        width = 1 / math.sqrt(bend) if bend > 0 else float(theta[1] - theta[0])
    step, ends = float(theta[1] - theta[0]), (plateau[0], plateau[1])
    unbent = curve is odds_ratio_conditional or bool(min(table.b, table.d)[0] > 0)
    smooth = curve is not risk_difference_profile and unbent
    shape = relative, found.slope, found.curvature
    return Tabulated(curve, table, theta, step, *shape, top, best, width, ends, smooth)


def _refined_top(
    curve: LikelihoodCurve,
    table: Tables,
    theta: FloatArray,
    at: int,
    relative: FloatArray,
    top: float,
) -> tuple[float, float, FloatArray]:
    """Refine the maximum near the highest point by bracketed Newton steps."""
    low, high = float(theta[max(at - 1, 0)]), float(theta[min(at + 1, theta.size - 1)])
    best, width = float(theta[at]), high - low
    for _ in range(80):
        value, slope, bend = (float(part[0, 0]) for part in curve(table, np.array([[best]])))
        low, high = (best, high) if slope > 0 else (low, best)
        after = best - slope / bend if bend < 0 else math.nan
        after = after if low <= after <= high else 0.5 * (low + high)
        settled = abs(after - best) <= 1e-15 * (abs(best) + width)
        best = after
        if settled or slope == 0:
            break
    peak = max(value, top)
    return best, peak, relative + (top - peak)


def _without_information(curve: LikelihoodCurve, table: Tables, centre: float) -> Tabulated:
    """Tabulate the flat curve of a table without information."""
    theta = centre + np.linspace(-12.0, 12.0, 25)
    found = Values(*(part[0] for part in curve(table, theta[None])))
    top = float(found.loglik.max())
    flat = np.zeros_like(theta)
    return Tabulated(
        curve, table, theta, 1.0, flat, flat, flat, top, math.nan, math.inf, (1.0, 1.0), False
    )
