"""Selection models: the chance that an effect is observed depends on its p-value.

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
    LARGEST,
    WEIGHT_FAMILIES,
    Tail,
    Weight,
    level_beyond,
    level_tail,
    step_weight,
)

# panels end here on the z scale, where weight functions of p bend
_BENDS = np.array([-20, -8, -5, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6.5, 9, 14, 24, 38], dtype=np.float64)
# and here in standard deviations about the mean
_DEVIATIONS = np.array([-13, -9, -6, -4, -2, 0, 2, 4, 6, 9, 13], dtype=np.float64)
_NEAR_ZERO = (1e-4, 1e-3, 1e-2, 0.1, 0.4)  # a two-sided 1 - p goes to 0 with z, its log to -inf
# parameters at which a study would be seen only this many standard deviations off are refused
_FARTHEST_SEEN = 9.0
_PANEL_X, _PANEL_WEIGHT = special.roots_legendre(10)
_LOG_ROOT_2PI = float(np.log(2 * np.pi) / 2)


class Density(NamedTuple):
    """Ingredients of the likelihood: z statistics, standard errors, ends of panels, weights.

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
    """Count the studies whose p-value falls into each interval ended by `steps` and 1."""
    p = Tail(np.asarray(y) / np.sqrt(v), two_sided).p
    place = np.searchsorted(np.asarray(steps), p, side="left")
    return np.bincount(place, minlength=len(steps) + 1).astype(np.float64)


def fit_selection(
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
    """Fit a selection model to one data set in which large effects are favoured.

    Change the sign of the effects for the other direction.

    Parameters
    ----------
    y, v : array_like, shape (k,)
        Effects and sampling variances, all present.
    family : str
        ``"step"`` or a word of `kapmeta.core.small_study.weight_functions.WEIGHT_FAMILIES`.
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
    # 1. take the unit out, by a power of 2, which rounds nothing
    # 2. the density of what is seen, and which selection parameters are free
    # 3. the highest of several searches, in the units given
    unit = float(np.exp2(np.round(np.log2(v).mean() / 2)))  # 1
    y, v = y / unit, v / unit**2
    per_study = np.ones_like(y) if precision is None else np.asarray(precision, dtype=np.float64)
    counts = step_counts(y, v, steps, two_sided=two_sided) if family == "step" else np.zeros(0)
    density, starts = _density_and_starts(y, v, family, steps, two_sided, per_study)  # 2
    free = np.full(starts.neutral.size, delta is None)
    if family == "step":  # without a study in it an interval's weight is 0 at the maximum
        seen = counts[1:] > 0
        free &= seen
        neutral, strong = (np.where(seen, x, 0.0) for x in (starts.neutral, starts.strong))
        starts = _Starts(neutral, strong, starts.lowest)
    if delta is not None:
        fixed = np.asarray(delta, dtype=np.float64)[-starts.neutral.size :]
        starts = starts._replace(neutral=fixed)
    found = _best_search(density, y, v, common, free, starts)  # 3
    unselected, shift = _unselected(y, v, common), -y.size * np.log(unit)
    return _in_given_units(found, unit, free, delta is not None, unselected, shift, counts)


class _Starts(NamedTuple):
    """Selection parameters without selection and under strong selection, and the lowest tried."""

    neutral: FloatArray
    strong: FloatArray
    lowest: FloatArray


def _density_and_starts(
    y: FloatArray,
    v: FloatArray,
    family: str,
    steps: Sequence[float],
    two_sided: bool,
    precision: FloatArray,
) -> tuple[Density, _Starts]:
    """Build the ingredients of the likelihood, and selection parameters to start from."""
    z, se = y / np.sqrt(v), np.sqrt(v)
    if family == "step":
        ends = np.asarray(steps, dtype=np.float64)
        cuts = -special.ndtri(ends / 2) if two_sided else -special.ndtri(ends)
        count = ends.size
        every = np.concatenate([cuts, -cuts]) if two_sided else cuts
        weight = lambda x, d: step_weight(Tail(x, two_sided).p, ends, d)  # noqa: E731
        starts = _Starts(np.ones(count), np.full(count, 0.3), np.zeros(count))
        return Density(z, se, every, weight), starts
    kind = WEIGHT_FAMILIES[family]
    row = precision[:, None]
    cuts = level_beyond(two_sided) if kind.level_ends else np.zeros(1)
    if kind.level_ends and two_sided:
        cuts = np.append(cuts, _NEAR_ZERO)
    tail = level_tail if kind.level_ends else Tail
    weight = lambda x, d: kind.weight(tail(x, two_sided), d, row if x.ndim > 1 else precision)  # noqa: E731
    steep = float(cuts.max()) if kind.level_ends else -np.inf
    starts = _Starts(*(np.array(x) for x in (kind.neutral, kind.strong, kind.lower)))
    return Density(z, se, np.concatenate([_BENDS, -cuts, cuts]), weight, steep), starts


def selection_log_likelihood(
    density: Density, theta: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Compute the log-likelihood at ``(mu, tau2, delta...)``, gradient and Hessian.

    -inf where hardly any study would be seen.
    """
    # 1. weight times density at the nodes of each study's normalising integral A, and its top
    # 2. -inf where the top of the seen density is far out: such parameters are not considered
    # 3. log-likelihood: log density at what is observed, less log A
    # 4. derivatives: those at what is observed, less their averages over the nodes
    mu, tau2, d = theta[0], theta[1], theta[2:]
    m, s2 = mu / density.se, 1 + tau2 / density.se**2
    nodes, lengths = _nodes(m, np.sqrt(s2), density.cuts, density.steep)  # 1
    inside = _log_density(
        nodes, m[:, None], s2[:, None], density.se[:, None], density.weight(nodes, d)
    )
    top = np.where(lengths > 0, inside.log, -np.inf).max(-1, keepdims=True)
    # 2
    far = np.abs(nodes - m[:, None]) > _FARTHEST_SEEN * np.sqrt(s2)[:, None]
    if not np.isfinite(top).all() or (far & (inside.log == top) & (lengths > 0)).any():
        return -np.inf, np.zeros_like(theta), np.zeros((theta.size, theta.size))
    mass = lengths * np.exp(np.minimum(inside.log - top, 0.0))  # 3
    total = mass.sum(-1)
    share = mass / total[:, None]
    here = _log_density(density.z, m, s2, density.se, density.weight(density.z, d))
    value = (here.log - np.log(total) - top[:, 0] - np.log(density.se)).sum()
    d1 = np.stack(np.broadcast_arrays(*inside.first), axis=1)  # 4, of shape (k, p, nodes)
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
    """Multiply weight and normal density of z; derivatives in (mu, tau2, delta...)."""
    e, v = z - m, se * se
    log = w.log - e * e / (2 * s2) - np.log(s2) / 2 - _LOG_ROOT_2PI
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
    """Place Gauss-Legendre nodes with lengths, (k, nodes), in panels.

    The panels end at the cuts and at standard deviations about the mean.
    """
    fixed = np.broadcast_to(cuts, (m.size, cuts.size))
    ends = np.concatenate([fixed, m[:, None] + s[:, None] * _DEVIATIONS], axis=1)
    far = s[:, None] * _DEVIATIONS[-1]
    low, high = np.minimum(m[:, None] - far, -steep), np.maximum(m[:, None] + far, steep)
    ends = np.sort(np.clip(ends, low, high), axis=1)
    half = np.diff(ends, axis=1) / 2
    used = (half > 0).any(axis=0)
    start, half = ends[:, :-1][:, used, None], half[:, used, None]
    nodes = start + half * (1 + _PANEL_X)
    return nodes.reshape(m.size, -1), (half * _PANEL_WEIGHT).reshape(m.size, -1)


def _best_search(
    density: Density, y: FloatArray, v: FloatArray, common: bool, free: BoolArray, begin: _Starts
) -> Maximum:
    """Return the best of several searches from different starts.

    From no selection, from strong selection with a smaller mean, and from far away.
    """
    neutral, strong, lowest = begin
    tau2 = _unselected_tau2(y, v, common)
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
        far, spread = np.full(neutral.size, LARGEST / 2), float(y.std())
        starts += [(0.0, tau2 / 2, far)]
        starts += [(mu - n * spread, n * spread**2 / 4, far * n / 20) for n in (2, 4, 10)]
    f = lambda theta: selection_log_likelihood(density, theta)  # noqa: E731
    fits = [
        maximise(f, np.concatenate([[m, t], np.where(free, d, neutral)]), lower, upper)
        for m, t, d in starts
    ]
    return highest(fits)


def _in_given_units(
    found: Maximum,
    unit: float,
    free: BoolArray,
    fixed: bool,
    unselected: float,
    shift: float,
    counts: FloatArray,
) -> Selection:
    """Convert the fit to the units given, and test it against no selection.

    `shift` is what the unit adds to a log-likelihood.
    """
    se = np.sqrt(np.diag(found.covariance))
    delta, se_delta = found.theta[2:], np.where(free, se[2:], np.nan)
    if counts.size:
        delta, se_delta = np.append(1.0, delta), np.append(np.nan, se_delta)
    df = 0 if fixed else int(found.theta.size - 2)
    statistic = max(0.0, 2 * (found.log_likelihood - unselected))
    return Selection(
        mu=float(found.theta[0] * unit),
        se=float(se[0] * unit),
        tau2=float(found.theta[1] * unit**2),
        se_tau2=float(se[1] * unit**2),
        delta=delta,
        se_delta=se_delta,
        log_likelihood=found.log_likelihood + shift,
        unselected=unselected + shift,
        statistic=statistic,
        df=df,
        p_value=float(chi2_upper(statistic, df)) if df else float("nan"),
        on_bound=bool(found.on_bound[2:].any()),
        counts=counts,
        converged=found.converged,
    )


def _unselected_tau2(y: FloatArray, v: FloatArray, common: bool) -> float:
    """Estimate the between-study variance without selection by maximum likelihood."""
    return 0.0 if common or y.size == 1 else float(ESTIMATORS["ML"](y, v))


def _unselected(y: FloatArray, v: FloatArray, common: bool) -> float:
    """Compute the largest log-likelihood without selection."""
    total = v + _unselected_tau2(y, v, common)
    e = y - (y / total).sum() / (1 / total).sum()
    return float(-(e * e / total + np.log(total)).sum() / 2 - y.size * _LOG_ROOT_2PI)
