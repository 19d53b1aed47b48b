"""Confidence intervals of the mean effect: the table of methods.

Every method takes `y` and `v` of shape (..., k) (``v = inf``: absent), `tau2` of shape (...) and a
level, and returns a `MeanInterval`. One study is never pooled: its own Wald interval is returned
with `Status.ONE_STUDY`. Rows without studies, impossible rows and rows that a method refuses have
nan limits and a status that says so.

References
----------
.. [1] Hartung J, Knapp G. On tests of the overall treatment effect in meta-analysis with normally
   distributed responses. Stat Med 2001;20:1771-1782. https://doi.org/10.1002/sim.791
.. [2] Sidik K, Jonkman JN. A simple confidence interval for meta-analysis. Stat Med
   2002;21:3153-3159. https://doi.org/10.1002/sim.1262
.. [3] Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single
   covariate. Stat Med 2003;22:2693-2710. https://doi.org/10.1002/sim.1482
.. [4] Röver C, Knapp G, Friede T. Hartung-Knapp-Sidik-Jonkman approach and its modification for
   random-effects meta-analysis with few studies. BMC Med Res Methodol 2015;15:99.
   https://doi.org/10.1186/s12874-015-0091-1
.. [5] Jackson D, Law M, Rücker G, Schwarzer G. The Hartung-Knapp modification for random-effects
   meta-analysis: a useful refinement but are there any residual concerns? Stat Med
   2017;36:3923-3934. https://doi.org/10.1002/sim.7411
.. [6] Wiksten A, Rücker G, Schwarzer G. Hartung-Knapp method is not always conservative compared
   with fixed-effect meta-analysis. Stat Med 2016;35:2503-2515. https://doi.org/10.1002/sim.6879
.. [7] Partlett C, Riley RD. Random effects meta-analysis: coverage performance of 95% confidence
   and prediction intervals following REML estimation. Stat Med 2017;36:301-317.
   https://doi.org/10.1002/sim.7140
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kapmeta.core.heterogeneity.tau2 import dersimonian_laird
from kapmeta.core.numerics.arrays import EPSILON, BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import normal_quantile, t_quantile
from kapmeta.core.numerics.status import Status
from kapmeta.core.numerics.weighting import count, mean_and_residuals, present, trace_pp, weights
from kapmeta.core.pooling.henmi_copas import henmi_copas_limits
from kapmeta.core.pooling.likelihood_intervals import (
    LikelihoodMaximum,
    Limits,
    bartlett_limits,
    profile_limits,
    skovgaard_limits,
)
from kapmeta.core.pooling.permutation import MOST_STUDIES, permutation_limits


class MeanInterval(NamedTuple):
    """An estimate of the mean and its interval, each of the leading shape of the studies.

    Attributes
    ----------
    estimate, se : ndarray
        What the interval is built on, on the analysis scale.
    low, high : ndarray
        Limits; nan where the method gives none.
    df : ndarray
        Degrees of freedom of the quantile used; infinite for the normal.
    status : ndarray of int
        `kapmeta.core.numerics.status.Status`; 0 where there is nothing to say.
    """

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    df: FloatArray
    status: IntArray


IntervalMethod: TypeAlias = Callable[
    [npt.ArrayLike, npt.ArrayLike, npt.ArrayLike, float], MeanInterval
]
_Kernel: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray, float], MeanInterval]


def _on_rows(kernel: _Kernel) -> IntervalMethod:
    """Let a kernel for rows of two or more valid studies, (n, k), serve arrays of any content."""

    @wraps(kernel)
    def method(
        y: npt.ArrayLike, v: npt.ArrayLike, tau2: npt.ArrayLike, level: float = 0.95
    ) -> MeanInterval:
        y, v = present(y, v)
        shape, k = v.shape[:-1], v.shape[-1]
        t = np.broadcast_to(np.asarray(tau2, dtype=np.float64), shape).reshape(-1)
        y, v = y.reshape(math.prod(shape), k), v.reshape(math.prod(shape), k)
        valid = np.asarray((np.isfinite(y) & (v > 0)).all(-1))
        studies = count(v)
        pooled = valid & (studies > 1)
        if pooled.size and pooled.all():
            result = kernel(y, v, t, level)
        else:
            result = _unpooled(y, v, valid, studies, level)
            if pooled.any():
                some = kernel(y[pooled], v[pooled], t[pooled], level)
                for whole, part in zip(result, some, strict=True):
                    whole[pooled] = part
        result.status[pooled & np.isnan(result.estimate)] = Status.INVALID_INPUT
        shaped: Any = (part.reshape(shape) for part in result)
        return MeanInterval(*shaped)

    return method


def _unpooled(
    y: FloatArray, v: FloatArray, valid: BoolArray, studies: IntArray, level: float
) -> MeanInterval:
    """Fill rows of fewer than two studies: nan, or the one study with its own Wald interval."""
    one = valid & (studies == 1)
    study = (one[:, None] & (v < np.inf)).nonzero()
    estimate, se = np.full(len(y), np.nan), np.full(len(y), np.nan)
    estimate[one], se[one] = y[study], np.sqrt(v[study])
    half = normal_quantile((1 + level) / 2) * se
    codes = [Status.INVALID_INPUT, Status.NO_STUDIES, Status.ONE_STUDY]
    status = np.select([~valid, studies == 0, one], codes, Status.OK)
    df = np.where(one, np.inf, np.nan)
    return MeanInterval(estimate, se, estimate - half, estimate + half, df, status)


def _symmetric(estimate: FloatArray, se: FloatArray, df: FloatArray, level: float) -> MeanInterval:
    half = t_quantile((1 + level) / 2, df) * se
    status = np.full(estimate.shape, int(Status.OK))
    return MeanInterval(estimate, se, estimate - half, estimate + half, df, status)


def classic(y: FloatArray, v: FloatArray, tau2: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Compute the inverse-variance mean and its model-based standard error 1 / sqrt(sum(w))."""
    w = weights(v, tau2)
    return mean_and_residuals(y, w)[0], 1 / np.sqrt(w.sum(-1))


def degrees(v: FloatArray) -> FloatArray:
    """Return ``k - 1``."""
    return np.asarray(count(v) - 1, dtype=np.float64)


def hartung_knapp_factor(y: FloatArray, v: FloatArray, tau2: npt.ArrayLike) -> FloatArray:
    """Compute ``Q(tau2) / (k - 1)``, the factor on the variance [1]_ [2]_.

    0 where all estimates are equal.
    """
    return _hartung_knapp(y, v, tau2)[2]


def _hartung_knapp(
    y: FloatArray, v: FloatArray, tau2: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the mean, its model-based standard error and the Hartung-Knapp factor."""
    w = weights(v, tau2)
    mean, e = mean_and_residuals(y, w)
    total, q = w.sum(-1), np.vecdot(w * e, e)
    rounding = total * (4 * EPSILON * np.abs(y).max(-1)) ** 2
    return mean, 1 / np.sqrt(total), np.where(q > rounding, q, 0.0) / degrees(v)


def kenward_roger(v: FloatArray, tau2: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Compute the Kenward-Roger standard error and df with the expected information [7]_.

    Nothing is refused here.
    """
    w = weights(v, tau2)
    s1, s2 = w.sum(-1), (w * w).sum(-1)
    share = w / s1[..., None]
    information = trace_pp(w) / 2
    # S3 / S1 - (S2 / S1)^2, without cancellation
    spread = (share * (w - (s2 / s1)[..., None]) ** 2).sum(-1)
    variance = (1 + 2 * spread / information) / s1
    return np.sqrt(variance), 2 * information / (variance * s2) ** 2


@_on_rows
def wald(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use the normal quantile and the model-based standard error.

    Too narrow with few studies, since tau2 is taken as known; for comparison with older analyses.
    """
    estimate, se = classic(y, v, tau2)
    return _symmetric(estimate, se, np.full_like(se, np.inf), level)


@_on_rows
def t(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use the quantile of t with k - 1 degrees of freedom and the model-based standard error."""
    estimate, se = classic(y, v, tau2)
    return _symmetric(estimate, se, degrees(v), level)


@_on_rows
def hksj(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Scale the variance by Q(tau2) / (k - 1) and use t with k - 1 df [1]_ [2]_.

    The Hartung-Knapp-Sidik-Jonkman method. Refused where all estimates are equal: an interval of no
    width would claim what no trial can. Where they agree by chance it is still absurdly narrow (see
    the example); `hksj-hybrid` avoids that.

    Examples
    --------
    Two trials with similar log risk ratios, the second of 17 against 23 patients:

    >>> import numpy as np
    >>> interval = hksj([1.0080456, 0.9954281], [0.0363563, 0.3976982], 0.0, 0.95)
    >>> np.exp([interval.low, interval.high]).round(2)
    array([2.62, 2.86])
    """
    estimate, se, factor = _hartung_knapp(y, v, tau2)
    scaled = np.where(factor == 0, np.nan, np.sqrt(factor) * se)
    interval = _symmetric(estimate, scaled, degrees(v), level)
    return interval._replace(status=np.where(factor == 0, Status.REFUSED, Status.OK))


@_on_rows
def hksj_variance(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use Hartung-Knapp with the factor on the variance not below 1 [3]_ [4]_.

    Never shorter than `t`. Conservative, heavily so with three to five studies.
    """
    estimate, se, factor = _hartung_knapp(y, v, tau2)
    return _symmetric(estimate, np.sqrt(np.maximum(factor, 1.0)) * se, degrees(v), level)


@_on_rows
def hksj_hybrid(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Take the wider of Hartung-Knapp with t and Wald with the normal quantile [5]_ [6]_.

    The default. Keeps the coverage of Hartung-Knapp without its collapse when few estimates agree.
    `se` and `df` are those of the interval taken; `df` is infinite where that is Wald's.

    Examples
    --------
    >>> import numpy as np
    >>> interval = hksj_hybrid([1.0080456, 0.9954281], [0.0363563, 0.3976982], 0.0, 0.95)
    >>> np.exp([interval.low, interval.high]).round(2), float(interval.df)
    (array([1.91, 3.91]), inf)
    """
    estimate, se, factor = _hartung_knapp(y, v, tau2)
    scaled = _symmetric(estimate, np.sqrt(factor) * se, degrees(v), level)
    normal = _symmetric(estimate, se, np.full_like(se, np.inf), level)
    return _chosen(scaled.high - scaled.low > normal.high - normal.low, scaled, normal)


@_on_rows
def hksj_iqwig(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use Hartung-Knapp, or `t` where Hartung-Knapp is too short.

    It is too short where it is shorter than Wald's interval with DerSimonian and Laird's tau2. This
    is the rule of the German Institute for Quality and Efficiency in Health Care (General Methods
    6).
    """
    estimate, se, factor = _hartung_knapp(y, v, tau2)
    df = degrees(v)
    scaled = _symmetric(estimate, np.sqrt(factor) * se, df, level)
    _, moment_se = classic(y, v, dersimonian_laird(y, v))
    floor = 2 * normal_quantile((1 + level) / 2) * moment_se
    return _chosen(scaled.high - scaled.low >= floor, scaled, _symmetric(estimate, se, df, level))


def _chosen(first: BoolArray, one: MeanInterval, other: MeanInterval) -> MeanInterval:
    return MeanInterval(*(np.where(first, a, b) for a, b in zip(one, other, strict=True)))


@_on_rows
def kr(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use the Kenward-Roger adjustment of standard error and df, expected information [7]_.

    Refused where tau2 is 0 or the degrees of freedom fall below 1: the formula then gives limits
    such as 1e70.
    """
    estimate, _ = classic(y, v, tau2)
    se, df = kenward_roger(v, tau2)
    # two trials of equal variance have df = 1 but for rounding
    refused = (tau2 == 0) | (df < 1 - 8 * EPSILON)
    se, df = (np.where(refused, np.nan, part) for part in (se, df))
    interval = _symmetric(estimate, se, df, level)
    return interval._replace(status=np.where(refused, Status.REFUSED, Status.OK))


def _from_likelihood(best: LikelihoodMaximum, limits: Limits) -> MeanInterval:
    df, status = np.full_like(best.se, np.inf), np.full(best.se.shape, int(Status.OK))
    return MeanInterval(best.mean, best.se, limits.low, limits.high, df, status)


@_on_rows
def profile(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use the profile likelihood of the mean (Hardy and Thompson).

    It estimates tau2 by maximum likelihood; `tau2` is not used. Too short for its nominal coverage
    with few studies; `bartlett` corrects that. Where the profile has several modes the outermost
    limits are given.
    """
    return _from_likelihood(*profile_limits(y, v, level))


@_on_rows
def bartlett(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use the Bartlett-corrected profile likelihood of the mean (Noma).

    It estimates tau2 by maximum likelihood; `tau2` is not used.
    """
    return _from_likelihood(*bartlett_limits(y, v, level))


@_on_rows
def skovgaard(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use Skovgaard's second-order likelihood interval (Guolo).

    It estimates tau2 by maximum likelihood; `tau2` is not used. Undefined where the likelihood puts
    tau2 at 0, freely or at a mean under test: `bartlett` is returned there, with `Status.FALLBACK`.
    At levels near 50 % a limit can be the estimate itself, where the statistic, which is not 0
    there, rejects all that lies beyond.
    """
    best, limits = skovgaard_limits(y, v, level)
    interval = _from_likelihood(best, limits)
    undefined = limits.undefined
    if undefined.any():
        _, other = bartlett_limits(y[undefined], v[undefined], level)
        interval.low[undefined], interval.high[undefined] = other.low, other.high
        interval.status[undefined] = Status.FALLBACK
    return interval


@_on_rows
def henmi_copas(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Use Henmi and Copas's interval about the common-effect estimate.

    It estimates tau2 by DerSimonian and Laird; `tau2` is not used. For a check against small-study
    bias with five studies or more; with fewer and no heterogeneity it is narrower than Wald's. `df`
    is nan: the critical value is no quantile of t.
    """
    found = henmi_copas_limits(y, v, level)
    nothing = np.full_like(found.se, np.nan)
    return MeanInterval(*found, nothing, np.full(found.se.shape, int(Status.OK)))


@_on_rows
def permutation(y: FloatArray, v: FloatArray, tau2: FloatArray, level: float) -> MeanInterval:
    """Keep the means that the exact sign-flip test does not reject.

    The statistic of the test is the estimate over its standard error. DerSimonian and Laird's tau2
    is estimated for every pattern; `tau2` is not used. Refused where it cannot exist: the smallest
    attainable p-value is 2^(1-k), so 95 % needs six studies. Refused above 16 studies, where the
    patterns are too many to list. `df` is nan.
    """
    return _unrejected(y, v, level, "standardised")


@_on_rows
def permutation_coefficient(
    y: FloatArray, v: FloatArray, tau2: FloatArray, level: float
) -> MeanInterval:
    """Keep the means that the sign-flip test does not reject, its statistic the estimate itself.

    Else as `permutation`.
    """
    return _unrejected(y, v, level, "coefficient")


def _unrejected(y: FloatArray, v: FloatArray, level: float, statistic: str) -> MeanInterval:
    """Collect the limits of the sign-flip test row by row."""
    estimate, se = classic(y, v, dersimonian_laird(y, v))
    k = count(v)
    exists = (2.0 ** (1 - k) <= 1 - level + 1e-12) & (k <= MOST_STUDIES)
    low, high = np.full_like(se, np.nan), np.full_like(se, np.nan)
    for row in np.flatnonzero(exists):
        there = v[row] < np.inf
        start = float(estimate[row])
        data = y[row, there], v[row, there]
        low[row], high[row] = permutation_limits(*data, start, level, statistic=statistic)
    status = np.where(exists, Status.OK, Status.REFUSED)
    return MeanInterval(estimate, se, low, high, np.full_like(se, np.nan), status)


INTERVALS: Mapping[str, IntervalMethod] = MappingProxyType(
    {
        "wald": wald,
        "t": t,
        "hksj": hksj,
        "hksj-variance": hksj_variance,
        "hksj-hybrid": hksj_hybrid,
        "hksj-iqwig": hksj_iqwig,
        "kr": kr,
        "profile": profile,
        "bartlett": bartlett,
        "skovgaard": skovgaard,
        "henmi-copas": henmi_copas,
        "permutation": permutation,
        "permutation-coefficient": permutation_coefficient,
    }
)
"""Intervals of the mean by name. A new interval is one function and one row."""
