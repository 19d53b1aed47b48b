"""Likelihood curves of single tables on points that cover all of them.

The curves are those of `kapmeta.core.exact.likelihood_curves`. Most are analytic: sums over equally
spaced points converge exponentially. A risk ratio of a table with an arm of nothing but events is
not. Where the risk of that arm meets 1 its curve bends, or has a kink at no effect if both arms
have nothing but events. The curve has Gauss-Legendre panels then, which end there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from kapmeta.core.exact.likelihood_curves import (
    CURVES,
    LikelihoodCurve,
    Tables,
    Values,
    odds_ratio_conditional,
    risk_difference_profile,
)
from kapmeta.core.numerics.arrays import FloatArray

_DEEPEST_DROP = 80.0  # below its maximum a curve is followed this far
_FLAT_CURVE = 1e-13  # slope below which a curve has reached its plateau
_FINEST = 0.4  # spacing of tabulated points, in units of the width of the curve
_FARTHEST_LOG_RATIO = 60.0  # of log ratios
_MOST_CURVE_POINTS = 1600  # points of a curve
_MOST_POINTS = 20_000  # by which a curve is continued along a plateau
_PANEL_POINTS = 10
_PANEL_LENGTH = 2.5  # in units of the width of the curve or, if less, of two e-folds
_COARSENED, _FINE_PANELS = 4, 8  # panels are longer by a factor beyond so many
_PANEL_DROP = 60.0  # below its maximum a curve has no panels
_TABLE_NODES, _TABLE_SHARES = np.polynomial.legendre.leggauss(_PANEL_POINTS)


class Panels(NamedTuple):
    """Gauss-Legendre points on panels that end where a curve is not smooth."""

    bend: float  # where the curve is not smooth
    jump: float  # of the slope there; 0 where only the curvature jumps
    length: float  # of a panel, at most
    theta: FloatArray
    log_share: FloatArray  # logarithm of the length of effects that a point stands for
    values: Values  # relative to the top of the curve


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
    panels: Panels | None = None  # of a risk ratio whose curve is not smooth

    @property
    def informative(self) -> bool:
        """Whether the curve depends on theta."""
        return not (self.plateau[0] > 0 and self.plateau[1] > 0)

    @property
    def has_kink(self) -> bool:
        """Whether the slope jumps at no effect: both arms have nothing but events, or none."""
        a, b, c, d = (float(cell[0]) for cell in self.table)
        nobody = self.curve is risk_difference_profile and a == c == 0
        return self.informative and (nobody or b == d == 0)


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
    sloping = np.abs(seen.slope) > _FLAT_CURVE * max(1.0, float(np.abs(seen.slope).max()))
    first, last = _covering_ends(inside & sloping, scan.size)
    near = inside & (seen.loglik > top - 1)  # 3
    width = 1 / math.sqrt(max(float(-seen.curvature[near].min()), spread**-2 * 1e-2))
    step = _FINEST * min(width, spread if measure == "RD" else 1.0)
    if (table.b[0] == 0 or table.d[0] == 0) and measure != "OR":
        step /= 8  # the curve bends sharply where a risk meets 1
    points = min(max(24, math.ceil((scan[last] - scan[first]) / step)), _MOST_CURVE_POINTS) + 1
    theta = np.linspace(scan[first], scan[last], points)
    found = Values(*(part[0] for part in curve(table, theta[None])))
    study = _assembled(curve, table, theta, found)
    if measure != "RR" or study.smooth or not study.informative:
        return study
    return study._replace(panels=_panelled(study, min(width, 1.0)))


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
        at_null = float(curve(table, np.zeros((1, 1))).loglik[0, 0]) - top
        if at_null >= 0:  # a kink
            best, top, relative = 0.0, top + at_null, relative - at_null
    step, ends = float(theta[1] - theta[0]), (plateau[0], plateau[1])
    unbent = curve is odds_ratio_conditional or bool(min(table.b, table.d)[0] > 0)
    smooth = curve is not risk_difference_profile and unbent
    shape = relative, found.slope, found.curvature
    return Tabulated(curve, table, theta, step, *shape, top, best, width, ends, smooth)


def _panelled(study: Tabulated, width: float) -> Panels:
    """Cover the curve of a risk ratio with panels that end where a risk meets 1."""
    # 1. where that is: at no effect if both arms have nothing but events
    # 2. its one-sided slopes there, which also limit the length of a panel
    # 3. panels on either side, longer away from the bend, to where the curve is negligible
    a, b, c, d = (float(cell[0]) for cell in study.table)
    bend = math.log((a + c + d) / (a + c)) if b == 0 else math.log((a + c) / (a + b + c))  # 1
    jump = -(a + c) if b == d == 0 else 0.0  # 2
    steepest = max(float(a if b == 0 else 0.0), float(c if d == 0 else 0.0))
    deep = study.theta[study.relative > -_PANEL_DROP]
    length = _PANEL_LENGTH * min(width, 2 / steepest)
    longest = min(_COARSENED * length, _PANEL_LENGTH * width)
    start, end = min(float(deep[0]), bend), max(float(deep[-1]), bend)  # 3
    left, right = (_panel_ends(side, length, longest) for side in (bend - start, end - bend))
    edges = np.concatenate([bend - left[:0:-1], bend + right])
    low, high = edges[:-1], edges[1:]
    half = 0.5 * (high - low)[:, None]
    theta = (0.5 * (low + high)[:, None] + half * _TABLE_NODES).ravel()
    values = Values(*(part[0] for part in study.curve(study.table, theta[None])))
    values = values._replace(loglik=values.loglik - study.top)
    return Panels(bend, jump, longest, theta, np.log(half * _TABLE_SHARES).ravel(), values)


def _panel_ends(distance: float, length: float, longest: float) -> FloatArray:
    """Divide the way from a bend into panels, the first ones of `length`."""
    near = min(distance, _FINE_PANELS * length)
    first = np.linspace(0.0, near, math.ceil(near / length) + 1)
    far = np.linspace(near, distance, math.ceil((distance - near) / longest) + 1)
    return np.concatenate([first, far[1:]])


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
