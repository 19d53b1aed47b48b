"""Effects when some outcomes are missing, and the precision lost by not knowing them.

In an arm with `events` among `observed`, p is the observed risk and delta the informative
missingness odds ratio (IMOR): odds of the event among the missing over odds among the observed. The
risk of the arm is then ``(1 - pi) p + pi q``, with pi the share missing and ``q = p delta / (p
delta + 1 - p)`` [1]_. With ``delta = 0`` none of the missing had the event, with ``inf`` all had.

References
----------
.. [1] Higgins JPT, White IR, Wood AM. Imputation methods for missing outcome data in meta-analysis
   of clinical trials. Clin Trials 2008;5:225-239. https://doi.org/10.1177/1740774508091600
.. [2] White IR, Higgins JPT, Wood AM. Allowing for uncertainty due to missing data in
   meta-analysis. Part 1: two-stage methods. Stat Med 2008;27:711-727.
   https://doi.org/10.1002/sim.3008
.. [3] Gamble C, Hollis S. Uncertainty method improved on best-worst case analysis in a binary
   meta-analysis. J Clin Epidemiol 2005;58:579-588. https://doi.org/10.1016/j.jclinepi.2004.09.013
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.polynomial.hermite_e import hermegauss
from scipy import special

from kapmeta.core.effects.counts import Estimates, estimates
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.roots import bracketed_root

ADDED_TO_TOTAL: dict[str, float] = {"kapmeta": 1.0, "metamiss": 0.5}
"""Added to the size of an arm with 0.5 more events: both cells are raised, or (metasens) one."""

_HERMITE_NODES = 20


class Arm(NamedTuple):
    """One arm of each trial: `events` of `observed` (..., k), `missing` (reasons, ..., k)."""

    events: FloatArray
    observed: FloatArray
    missing: FloatArray


class Risk(NamedTuple):
    """Risk of an arm, its missing included, and the variance of its estimate."""

    value: FloatArray
    variance: FloatArray


def completed_risk(
    p: FloatArray, observed: FloatArray, missing: FloatArray, imor: FloatArray
) -> Risk:
    """Compute the risk among all patients, and its variance when the IMORs are known [2]_.

    Extended to several reasons for being missing.

    Parameters
    ----------
    p, observed : ndarray, shape (..., k)
        Risk among the observed and their number.
    missing, imor : ndarray, shape (reasons, ..., k)
        Number missing for each reason, and their IMOR; 0 and inf are allowed.
    """
    total = observed + missing.sum(0)
    share = missing / total
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        denominator = p * imor + 1 - p
        q = np.select([imor == np.inf, imor == 0], [1.0, 0.0], p * imor / denominator)
        slope = np.select([imor == np.inf, imor == 0], [0.0, 0.0], imor / denominator**2)
    value = (1 - share.sum(0)) * p + (share * q).sum(0)
    gain = 1 - share.sum(0) + (share * slope).sum(0)  # d value / d p
    away = q - p
    between = (share * away**2).sum(0) - (share * away).sum(0) ** 2
    return Risk(value, p * (1 - p) / observed * gain**2 + between / total)


def _log_ratio(t: Risk, c: Risk) -> tuple[FloatArray, FloatArray]:
    return np.log(t.value / c.value), t.variance / t.value**2 + c.variance / c.value**2


def _log_odds_ratio(t: Risk, c: Risk) -> tuple[FloatArray, FloatArray]:
    pt, pc = t.value * (1 - t.value), c.value * (1 - c.value)
    odds = np.log(t.value * (1 - c.value) / (c.value * (1 - t.value)))
    return odds, t.variance / pt**2 + c.variance / pc**2


def _risks_difference(t: Risk, c: Risk) -> tuple[FloatArray, FloatArray]:
    return t.value - c.value, t.variance + c.variance


CONTRASTS: dict[str, Callable[[Risk, Risk], tuple[FloatArray, FloatArray]]] = {
    "RR": _log_ratio,
    "OR": _log_odds_ratio,
    "RD": _risks_difference,
}
"""Effect and variance from the risks of two arms, by measure."""


def informative(
    treatment: Arm,
    control: Arm,
    imor_t: npt.ArrayLike,
    imor_c: npt.ArrayLike,
    *,
    measure: str = "RR",
    correction: str = "kapmeta",
) -> Estimates:
    """Compute effects at known informative missingness odds ratios [1]_ [2]_.

    Parameters
    ----------
    treatment, control : Arm
        The two arms.
    imor_t, imor_c : array_like, broadcast against (reasons, ..., k)
        IMOR of each arm, from 0 to infinity; 1 is missing at random.
    measure : {"RR", "OR", "RD"}
        Effect measure; ratios on the log scale.
    correction : {"kapmeta", "metamiss"}
        How a table with an empty cell among the observed is corrected. A risk difference needs a
        correction for its variance only; with ``"kapmeta"`` its value is not corrected.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``, shape (..., k).

    Examples
    --------
    8 of 14 observed and 3 missing, against 6 of 17 and 6 missing. The odds of the event among the
    missing are half of those among the observed:

    >>> t = Arm(np.array([8.0]), np.array([14.0]), np.array([[3.0]]))
    >>> c = Arm(np.array([6.0]), np.array([17.0]), np.array([[6.0]]))
    >>> found = informative(t, c, 0.5, 0.5)
    >>> found.y.round(6), np.sqrt(found.v).round(6)
    (array([0.535569]), array([0.421811]))
    """
    empty = [(arm.events == 0) | (arm.events == arm.observed) for arm in (treatment, control)]
    corrected = np.asarray(empty[0] | empty[1])
    half = 0.5 * corrected
    risks, exact = [], []
    for arm, imor in ((treatment, imor_t), (control, imor_c)):
        shape = np.broadcast_shapes(np.shape(imor), arm.missing.shape)
        deltas = np.broadcast_to(np.asarray(imor, dtype=np.float64), shape)
        p = (arm.events + half) / (arm.observed + 2 * ADDED_TO_TOTAL[correction] * half)
        size = arm.observed + (2 * half if correction == "kapmeta" else 0)
        risks.append(completed_risk(p, size, arm.missing, deltas))
        exact.append(completed_risk(arm.events / arm.observed, arm.observed, arm.missing, deltas))
    with np.errstate(divide="ignore", invalid="ignore"):
        y, v = CONTRASTS[measure](*risks)
        if measure == "RD" and correction == "kapmeta":
            y = exact[0].value - exact[1].value
    unseen = (treatment.observed == 0) | (control.observed == 0)
    return estimates(y, v, corrected & ~unseen, np.isinf(y) | unseen)


def imputed(arm: Arm, event: bool) -> tuple[FloatArray, FloatArray]:
    """Return events and total with all of the missing taken to have had the event, or none."""
    missing = arm.missing.sum(0)
    return (arm.events + missing if event else arm.events + 0.0), arm.observed + missing


def normal_pairs(correlation: float = 0.0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return standard normal pairs with `correlation`, and weights, each of shape (400,).

    20 x 20 Gauss-Hermite points.
    """
    x, w = hermegauss(_HERMITE_NODES)
    first, second = (axis.ravel() for axis in np.meshgrid(x, x, indexing="ij"))
    weight = np.outer(w, w).ravel()
    return first, correlation * first + np.sqrt(1 - correlation**2) * second, weight / weight.sum()


def averaged(y: FloatArray, v: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Average over nodes on the first axis: mean and total variance.

    The variance is that within nodes plus that of the effects between them.
    """
    shaped = weight.reshape(-1, *([1] * (y.ndim - 1)))
    mean = (shaped * y).sum(0)
    return mean, (shaped * (v + (y - mean) ** 2)).sum(0)


def uncertain(
    treatment: Arm,
    control: Arm,
    log_imor: tuple[float, float],
    sd: tuple[float, float],
    *,
    correlation: float = 0.0,
    measure: str = "RR",
) -> Estimates:
    """Average effects over a normal ``ln IMOR``, each trial with its own, by quadrature [2]_.

    Parameters
    ----------
    treatment, control : Arm
        The two arms.
    log_imor, sd : pair of float
        Mean and standard deviation of ``ln IMOR`` under treatment and under control.
    correlation : float
        Between the arms of a trial.
    measure : {"RR", "OR", "RD"}
        Effect measure.

    Notes
    -----
    The first-order variance of [2]_ is too large from a standard deviation of about one half on;
    the quadrature is not.
    """
    at = at_nodes(treatment, control, log_imor, sd, correlation=correlation, measure=measure)
    with np.errstate(invalid="ignore"):
        y, v = averaged(at.y, at.v, normal_pairs(correlation)[2])
    return estimates(y, v, at.corrected, at.absent[0])


def at_nodes(
    treatment: Arm,
    control: Arm,
    log_imor: tuple[float, float],
    sd: tuple[float, float],
    *,
    correlation: float = 0.0,
    measure: str = "RR",
) -> Estimates:
    """Compute effects at every node of `normal_pairs`, on the first axis.

    A node is one IMOR shared by all trials.
    """
    first, second, _ = normal_pairs(correlation)
    shape = (-1, *([1] * treatment.events.ndim))
    imor_t = np.exp(log_imor[0] + sd[0] * first).reshape(shape)
    imor_c = np.exp(log_imor[1] + sd[1] * second).reshape(shape)
    arms = [Arm(a.events[None], a.observed[None], a.missing[:, None]) for a in (treatment, control)]
    return informative(arms[0], arms[1], imor_t[None], imor_c[None], measure=measure)


def gamble_hollis(worst: Estimates, best: Estimates, level: float = 0.95) -> FloatArray:
    """Compute variances whose limits span the worst and the best case [3]_.

    They reach from the lower limit of the worst to the upper limit of the best case.
    """
    z = float(normal_quantile((1 + level) / 2))
    with np.errstate(invalid="ignore"):
        width = (best.y + z * np.sqrt(best.v)) - (worst.y - z * np.sqrt(worst.v))
    return np.asarray((width / (2 * z)) ** 2)


def mixture_limits(
    estimate: FloatArray, se: FloatArray, df: FloatArray, weight: FloatArray, level: float = 0.95
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Find limits and two-sided p-value of a mixture of t over nodes on the first axis."""
    shaped = weight.reshape(-1, *([1] * (estimate.ndim - 1)))

    finite = np.isfinite(df)
    df_or_1 = np.where(finite, df, 1.0)

    def below(x: FloatArray) -> FloatArray:
        t = (x - estimate) / se
        area = np.where(finite, special.stdtr(df_or_1, t), special.ndtr(t))
        return np.asarray((shaped * area).sum(0))

    tail = (1 - level) / 2
    quantile = np.where(finite, -special.stdtrit(df_or_1, tail), normal_quantile(1 - tail))
    low, high = (estimate - quantile * se).min(0), (estimate + quantile * se).max(0)
    ends = [bracketed_root(lambda x, p=p: below(x) - p, low, high) for p in (tail, 1 - tail)]  # type: ignore[misc]
    at_null = below(np.zeros_like(low))
    return ends[0], ends[1], 2 * np.minimum(at_null, 1 - at_null)
