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

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray

_LONGEST_SUPPORT = 4000  # counts that are all summed over; of more, those likely represent all
_HALF_WINDOW, _SDS_COVERED = 200, 10
_FARTHEST_THETA = 60.0
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
    low, high = float(np.maximum(0, m - n2)[0]), float(np.minimum(n1, m)[0])
    if high - low < _LONGEST_SUPPORT:
        x, step = np.arange(low, high + 1), np.ones(1)
    else:
        x, step = _likely_counts(table, theta, low, high)
    inside = (x >= low) & (x <= high)
    x = np.clip(x, low, high)
    log_terms = np.where(inside, _log_binomial(n1, x) + _log_binomial(n2, m - x), -np.inf)
    x = x - table.a  # from the count seen, so that the log-likelihood is the term at 0
    exponent = log_terms + theta[:, None] * x
    top = exponent.max(-1, keepdims=True)
    terms = np.exp(exponent - top)
    total = terms.sum(-1)
    terms /= total[:, None]
    mean = (terms * x).sum(-1)
    here = _log_binomial(n1, table.a) + _log_binomial(n2, table.c)
    variance = (terms * (x - mean[:, None]) ** 2).sum(-1)
    return Values(here - top[:, 0] - np.log(total * step), -mean, -variance)


def _likely_counts(
    table: Tables, theta: FloatArray, low: float, high: float
) -> tuple[FloatArray, FloatArray]:
    """Space counts about the one expected at each log odds ratio, so that few represent all.

    Counts and their spacing have shapes (points, counts) and (points,). Where the distribution is
    wide it is smooth on its support, and a sum over wider steps is that over all counts.
    """
    n1, n2, m = (float(x[0]) for x in (table.n1, table.n2, table.a + table.c))
    ratio = np.exp(np.clip(theta, -_FARTHEST_THETA, _FARTHEST_THETA))
    half = ratio * (n1 + m) + (n2 - m)
    root = np.sqrt(np.maximum(half * half - 4 * (ratio - 1) * ratio * n1 * m, 0.0))
    # two forms of the root within the margins, each where it does not cancel
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(
            half > 0, 2 * n1 * m * ratio / (half + root), (half - root) / (2 * (ratio - 1))
        )
        expected = np.clip(expected, low, high)
        cells = (expected, n1 - expected, m - expected, n2 - m + expected)
        sd = 1 / np.sqrt(sum(1 / np.maximum(cell, 0.0) for cell in cells))
    step = np.maximum(1.0, _SDS_COVERED * sd / _HALF_WINDOW)
    centre = np.where(step > 1, expected, np.rint(expected))
    return centre[:, None] + step[:, None] * np.arange(-_HALF_WINDOW, _HALF_WINDOW + 1), step


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
        held1, held2 = p1 > 1 - _AT_BOUND, p2 > 1 - _AT_BOUND
        curvature = np.where(held1, bend2, np.where(held2, bend1, curvature))
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
