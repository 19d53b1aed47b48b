"""Selection models: effects are observed with a probability that depends on their p-value, and that
is fitted too.

A study with estimate y and variance v is seen with relative probability w(p); the density of what
is seen is ``w(p) N(y; mu, v + tau2) / A`` with ``A = integral w(p) N(y; mu, v + tau2) dy`` [1]_
[2]_. All integrals, step functions included, are Gauss-Legendre sums over panels that end where w
jumps; gradient and Hessian are moments over the same nodes.

References
----------
.. [1] Iyengar S, Greenhouse JB. Selection models and the file drawer problem. Stat Sci
   1988;3:109-117. https://doi.org/10.1214/ss/1177013012
.. [2] Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of
   publication bias. Psychometrika 1995;60:419-435. https://doi.org/10.1007/BF02294384
.. [3] Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a
   priori weight functions. Psychol Methods 2005;10:428-443.
   https://doi.org/10.1037/1082-989X.10.4.428
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.core.numerics.maxima import Maximum, highest, maximise
from kapmeta.core.small_study.weight_functions import (
    FAMILIES,
    LARGEST,
    Tail,
    Weight,
    level_beyond,
    level_tail,
    step_weight,
)

# panels end here on the z scale, where weight functions of p bend, and here in standard deviations
# about the mean
_BENDS = (
    -20.0,
    -8.0,
    -5.0,
    -3.0,
    -2.0,
    -1.0,
    0.0,
    1.0,
    2.0,
    3.0,
    4.0,
    5.0,
    6.5,
    9.0,
    14.0,
    24.0,
    38.0,
)
_DEVIATIONS = np.array((-13.0, -9.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 9.0, 13.0))
_NEAR_ZERO = (
    1e-4,
    1e-3,
    1e-2,
    0.1,
    0.4,
)  # a two-sided 1 - p goes to 0 with z, and its logarithm to -inf
# parameters at which a study would be seen only this many standard deviations off are not
# considered
_FAR = 9.0
_NODES = 10
_HALF_LOG_2PI = float(np.log(2 * np.pi) / 2)


class Density(NamedTuple):
    """What the likelihood is made of: z statistics, standard errors, where panels end in z, and the
    weight function.

    `steep`: z statistics up to this size are always integrated over, however far from the mean,
    because the weight may change there by more than the normal density falls; -inf where it cannot.
    """

    z: FloatArray
    se: FloatArray
    cuts: FloatArray
    weight: Callable[[FloatArray, FloatArray], Weight]
    steep: float = -np.inf


class Selection(NamedTuple):
    """A fitted selection model.

    Attributes
    ----------
    mu, se : float
        Mean effect before selection; nan as standard error where the information matrix is
        singular.
    tau2, se_tau2 : float
        Between-study variance before selection; 0 and nan in a common-effect model.
    delta, se_delta : ndarray
        Selection parameters; for steps one an interval, the first of them 1. nan as standard error
        where fixed or on a bound.
    log_likelihood, unselected : float
        Of this model, and of the same model without selection.
    statistic, df, p_value : float
        Likelihood ratio test of no selection; df 0 and p nan where the selection parameters were
        given.
    on_bound : bool
        Whether a selection parameter lies on the bound of what was tried.
    counts : ndarray
        Studies in each interval, for steps.
    converged : bool
        Whether the search settled.
    """

    mu: float
    se: float
    tau2: float
    se_tau2: float
    delta: FloatArray
    se_delta: FloatArray
    log_likelihood: float
    unselected: float
    statistic: float
    df: int
    p_value: float
    on_bound: bool
    counts: FloatArray
    converged: bool


def step_counts(
    y: npt.ArrayLike, v: npt.ArrayLike, steps: Sequence[float], *, two_sided: bool = False
) -> FloatArray:
    """Number of studies whose p-value falls into each of the intervals that end at `steps` and at 1."""
    place = np.searchsorted(
        np.asarray(steps), Tail(np.asarray(y) / np.sqrt(v), two_sided).p, side="left"
    )
    return np.bincount(place, minlength=len(steps) + 1).astype(np.float64)


def fit(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    family: str = "step",
    steps: Sequence[float] = (0.025,),
    delta: Sequence[float] | None = None,
    two_sided: bool = False,
    common: bool = False,
    precision: npt.ArrayLike | None = None,
) -> Selection:
    """Fit a selection model to one data set in which large effects are favoured; turn the sign for
    the other direction.

    Parameters
    ----------
    y, v : array_like, shape (k,)
        Effects and sampling variances, all present.
    family : str
        ``"step"`` or a word of `kapmeta.core.small_study.weight_functions.FAMILIES`.
    steps : sequence of float
        For ``"step"``: ascending p-values strictly between 0 and 1 at which the weight changes; it
        is 1 up to the first.
    delta : sequence of float, optional
        Fixed selection parameters [3]_ instead of estimated ones; for steps the leading 1 included.
    two_sided : bool
        Whether selection works on two-sided p-values.
    common : bool
        Whether the between-study variance is 0 by assumption.
    precision : array_like, shape (k,), optional
        Multiplies the selection parameter of each study; for families that use it.

    Returns
    -------
    Selection
    """
    y, v = np.asarray(y, dtype=np.float64), np.asarray(v, dtype=np.float64)
    unit = float(
        np.exp2(np.round(np.log2(v).mean() / 2))
    )  # a power of 2: takes the unit out without rounding
    y, v = y / unit, v / unit**2
    per_study = np.ones_like(y) if precision is None else np.asarray(precision, dtype=np.float64)
    counts = step_counts(y, v, steps, two_sided=two_sided) if family == "step" else np.zeros(0)
    density, neutral, strong, lower = _density(y, v, family, steps, two_sided, per_study)
    free = (
        np.ones(neutral.size, dtype=bool) if delta is None else np.zeros(neutral.size, dtype=bool)
    )
    if family == "step":
        free &= counts[1:] > 0  # without a study in it an interval's weight is 0 at the maximum
        neutral, strong = (
            np.where(counts[1:] > 0, neutral, 0.0),
            np.where(counts[1:] > 0, strong, 0.0),
        )
    if delta is not None:
        neutral = np.asarray(delta, dtype=np.float64)[-neutral.size :]
    found = _best(density, y, v, common, free, neutral, strong, lower)
    return _selection(found, y, v, unit, family, free, delta is not None, common, counts)


def _density(
    y: FloatArray,
    v: FloatArray,
    family: str,
    steps: Sequence[float],
    two_sided: bool,
    precision: FloatArray,
) -> tuple[Density, FloatArray, FloatArray, FloatArray]:
    """The pieces of the likelihood, and neutral, strong and lowest selection parameters."""
    z, se = y / np.sqrt(v), np.sqrt(v)
    if family == "step":
        ends = np.asarray(steps, dtype=np.float64)
        cuts = -special.ndtri(ends / 2) if two_sided else -special.ndtri(ends)
        count = ends.size
        every = np.concatenate([cuts, -cuts]) if two_sided else cuts
        weight = lambda x, d: step_weight(Tail(x, two_sided).p, ends, d)  # noqa: E731
        return Density(z, se, every, weight), np.ones(count), np.full(count, 0.3), np.zeros(count)
    kind = FAMILIES[family]
    row = precision[:, None]
    cuts = level_beyond(two_sided) if kind.level_ends else np.zeros(1)
    if kind.level_ends and two_sided:
        cuts = np.append(cuts, _NEAR_ZERO)
    tail = level_tail if kind.level_ends else Tail
    weight = lambda x, d: kind.weight(tail(x, two_sided), d, row if x.ndim > 1 else precision)  # noqa: E731
    steep = float(cuts.max()) if kind.level_ends else -np.inf
    return (
        Density(z, se, np.concatenate([_BENDS, -cuts, cuts]), weight, steep),
        np.array(kind.neutral),
        np.array(kind.strong),
        np.array(kind.lower),
    )


def log_likelihood(density: Density, theta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Log-likelihood at ``(mu, tau2, delta...)`` with its gradient and Hessian; -inf where hardly anything is seen."""
    mu, tau2, d = theta[0], theta[1], theta[2:]
    m, s2 = mu / density.se, 1 + tau2 / density.se**2
    nodes, lengths = _nodes(m, np.sqrt(s2), density.cuts, density.steep)
    inside = _log_density(
        nodes, m[:, None], s2[:, None], density.se[:, None], density.weight(nodes, d)
    )
    top = np.where(lengths > 0, inside.log, -np.inf).max(-1, keepdims=True)
    far = np.abs(nodes - m[:, None]) > _FAR * np.sqrt(s2)[:, None]
    if not np.isfinite(top).all() or (far & (inside.log == top) & (lengths > 0)).any():
        return -np.inf, np.zeros_like(theta), np.zeros((theta.size, theta.size))
    mass = lengths * np.exp(np.minimum(inside.log - top, 0.0))
    total = mass.sum(-1)
    share = mass / total[:, None]
    here = _log_density(density.z, m, s2, density.se, density.weight(density.z, d))
    value = (here.log - np.log(total) - top[:, 0] - np.log(density.se)).sum()
    d1 = np.stack(np.broadcast_arrays(*inside.first), axis=1)  # (k, p, nodes)
    expected = (d1 * share[:, None, :]).sum(-1)
    observed = np.stack(np.broadcast_arrays(*here.first), axis=1)
    hessian = expected.T @ expected - ((d1 * share[:, None, :]) @ np.swapaxes(d1, -1, -2)).sum(0)
    for (i, j), second in here.second.items():
        change = float((second - (inside.second[i, j] * share).sum(-1)).sum())
        hessian[i, j] += change
        if i != j:
            hessian[j, i] += change
    return float(value), (observed - expected).sum(0), hessian


def _log_density(z: FloatArray, m: FloatArray, s2: FloatArray, se: FloatArray, w: Weight) -> Weight:
    """Weight times normal density of z, with derivatives in (mu, tau2, delta...)."""
    e, v = z - m, se * se
    log = w.log - e * e / (2 * s2) - np.log(s2) / 2 - _HALF_LOG_2PI
    first = [e / (s2 * se), (e * e / s2 - 1) / (2 * s2 * v), *w.first]
    second = {
        (0, 0): -1 / (s2 * v) + 0 * e,
        (0, 1): -e / (s2 * s2 * v * se),
        (1, 1): (0.5 - e * e / s2) / (s2 * s2 * v * v),
        **{(i + 2, j + 2): part for (i, j), part in w.second.items()},
    }
    return Weight(log, first, second)


def _nodes(
    m: FloatArray, s: FloatArray, cuts: FloatArray, steep: float
) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and lengths, (k, nodes), over panels that end at cuts and at standard deviations."""
    x, w = _legendre()
    fixed = np.broadcast_to(cuts, (m.size, cuts.size))
    ends = np.concatenate([fixed, m[:, None] + s[:, None] * _DEVIATIONS], axis=1)
    reach = s[:, None] * _DEVIATIONS[-1]
    low, high = np.minimum(m[:, None] - reach, -steep), np.maximum(m[:, None] + reach, steep)
    ends = np.sort(np.clip(ends, low, high), axis=1)
    half = np.diff(ends, axis=1) / 2
    used = (half > 0).any(axis=0)
    start, half = ends[:, :-1][:, used, None], half[:, used, None]
    nodes = start + half * (1 + x)
    return nodes.reshape(m.size, -1), (half * w).reshape(m.size, -1)


def _legendre() -> tuple[FloatArray, FloatArray]:
    x, w = special.roots_legendre(_NODES)
    return np.asarray(x), np.asarray(w)


def _best(
    density: Density,
    y: FloatArray,
    v: FloatArray,
    common: bool,
    free: BoolArray,
    neutral: FloatArray,
    strong: FloatArray,
    lowest: FloatArray,
) -> Maximum:
    """The best of several searches: from no selection, from strong selection with a smaller mean, and from far away."""
    tau2 = 0.0 if common or y.size == 1 else float(ESTIMATORS["ML"](y, v))
    mu = float((y / (v + tau2)).sum() / (1 / (v + tau2)).sum())
    lower = np.concatenate([[-np.inf, 0.0], np.where(free, lowest, neutral)])
    upper = np.concatenate([[np.inf, 0.0 if common else np.inf], np.where(free, LARGEST, neutral)])
    typical = float(np.median(v))
    starts = [(mu, tau2, neutral)]
    if free.any():
        starts += [
            (mu / 2, tau2 / 2, strong),
            (0.0, 2 * tau2 + typical, strong),
            (1.5 * mu, tau2, 2 * neutral + 0.5),
        ]
        far = np.full(neutral.size, LARGEST / 2)
        spread = float(y.std())
        starts += [(0.0, tau2 / 2, far)]
        starts += [(mu - n * spread, n * spread**2 / 4, far * n / 20) for n in (2, 4, 10)]
    f = lambda theta: log_likelihood(density, theta)  # noqa: E731
    fits = [
        maximise(f, np.concatenate([[m, t], np.where(free, d, neutral)]), lower, upper)
        for m, t, d in starts
    ]
    return highest(fits)


def _selection(
    found: Maximum,
    y: FloatArray,
    v: FloatArray,
    unit: float,
    family: str,
    free: BoolArray,
    fixed: bool,
    common: bool,
    counts: FloatArray,
) -> Selection:
    """The fit in the units given, with the test against no selection."""
    jacobian = -y.size * np.log(unit)
    se = np.sqrt(np.diag(found.covariance))
    delta, se_delta = found.theta[2:], np.where(free, se[2:], np.nan)
    if family == "step":
        delta, se_delta = np.concatenate([[1.0], delta]), np.concatenate([[np.nan], se_delta])
    unselected = _unselected(y, v, common)
    df = 0 if fixed else int(found.theta.size - 2)
    statistic = max(0.0, 2 * (found.log_likelihood - unselected))
    return Selection(
        float(found.theta[0] * unit),
        float(se[0] * unit),
        float(found.theta[1] * unit**2),
        float(se[1] * unit**2),
        delta,
        se_delta,
        found.log_likelihood + jacobian,
        unselected + jacobian,
        statistic,
        df,
        float(chi2_upper(statistic, df)) if df else float("nan"),
        bool(found.on_bound[2:].any()),
        counts,
        found.converged,
    )


def _unselected(y: FloatArray, v: FloatArray, common: bool) -> float:
    """Largest log-likelihood without selection."""
    total = v + (0.0 if common or y.size == 1 else float(ESTIMATORS["ML"](y, v)))
    e = y - (y / total).sum() / (1 / total).sum()
    return float(-(e * e / total + np.log(total)).sum() / 2 - y.size * _HALF_LOG_2PI)
