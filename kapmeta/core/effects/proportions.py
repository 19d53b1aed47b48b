"""Effects of single groups and of rates: proportions, correlations, events over time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects.counts import Estimates, broadcast_floats, estimates, named_trigger
from kapmeta.core.numerics.arrays import BoolArray, FloatArray

PROPORTION_RULES = ("half-if-any", "half-if-any-study", "half-all", "none")
"""Zero-cell rules for one group, of those in `kapmeta.core.effects.counts.TRIGGERS`."""

RATE_RULES = ("half-if-any", "half-if-any-study", "half-all", "none", "drop")
"""Zero-cell rules for a ratio of rates."""


def _events_and_others(
    events: npt.ArrayLike, n: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return events and non-events, nan where unusable, and which are absent.

    Unusable is absent (nan, nobody) or impossible.
    """
    x, n = broadcast_floats(events, n)
    absent = np.isnan(x + n) | (n == 0)
    unusable = absent | (x < 0) | (x > n)
    return np.where(unusable, np.nan, x), np.where(unusable, np.nan, n - x), absent


def _correction(
    x: FloatArray, zero: BoolArray, rule: str, value: float, offered: tuple[str, ...]
) -> tuple[BoolArray, FloatArray]:
    """Find the groups that a zero-cell rule corrects, and what each gains."""
    corrected = named_trigger(rule, offered)(zero) & ~np.isnan(x)
    return corrected, np.where(corrected, value, 0.0)


def raw_proportion(
    events: npt.ArrayLike, n: npt.ArrayLike, *, zero: str = "half-if-any", value: float = 0.5
) -> Estimates:
    """Compute proportions as they are.

    For showing; to pool where every proportion lies well inside (0.2, 0.8). Not near 0 or 1, where
    the interval leaves the scale and the weights follow the estimates: use `logit_proportion`, or
    the binomial likelihood.

    Parameters
    ----------
    events, n : array_like
        Events and participants, shape (..., studies). A group with a nan, or of nobody, is absent.
    zero : str
        One of `PROPORTION_RULES`, applied where nobody or everybody had the event. It enters the
        variance alone: the estimate is ``events / n`` (metafor's `escalc` moves it).
    value : float
        Added to events and to non-events.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a proportion of 0 or 1 (variance 0) is
        absent.

    Raises
    ------
    ValueError
        If `zero` is not one of `PROPORTION_RULES`.

    Examples
    --------
    Krupitsky 1997, abstinent at a year after ketamine therapy and after conventional treatment:

    >>> effect = raw_proportion([73, 24], [111, 100])
    >>> effect.y.round(3), np.sqrt(effect.v).round(3)
    (array([0.658, 0.24 ]), array([0.045, 0.043]))
    """
    x, z, absent = _events_and_others(events, n)
    corrected, add = _correction(x, x * z == 0, zero, value, PROPORTION_RULES)
    return estimates(x / (x + z), (x + add) * (z + add) / (x + z + 2 * add) ** 3, corrected, absent)


def log_proportion(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    zero: str = "half-if-any",
    value: float = 0.5,
    keep_full: bool = False,
) -> Estimates:
    """Compute logarithms of proportions, the scale of a risk ratio for one group.

    Not for proportions near 1, whose interval passes 1.

    Parameters
    ----------
    events, n : array_like
        Events and participants, shape (..., studies).
    zero : str
        One of `PROPORTION_RULES`, applied where nobody or everybody had the event.
    value : float
        Added to events and to non-events.
    keep_full : bool
        Whether a corrected group in which everybody had the event keeps its estimate, ``log 1``.
        Its variance is then ``1 / n - 1 / (n + value)`` [1]_, as in R's meta; metafor's `escalc`
        moves the estimate.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a proportion of 0 or 1 is absent.

    Raises
    ------
    ValueError
        If `zero` is not one of `PROPORTION_RULES`.

    References
    ----------
    .. [1] Hartung J, Knapp G. A refined method for the meta-analysis of controlled clinical trials
       with binary outcome. Stat Med 2001;20:3875-3889. https://doi.org/10.1002/sim.1009

    Examples
    --------
    >>> effect = log_proportion([73, 24], [111, 100])
    >>> effect.y.round(3), effect.v.round(4)
    (array([-0.419, -1.427]), array([0.0047, 0.0317]))
    """
    x, z, absent = _events_and_others(events, n)
    corrected, add = _correction(x, x * z == 0, zero, value, PROPORTION_RULES)
    kept = keep_full & corrected & (z == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_full = 1 / x - 1 / (x + add)
        x, z = x + add, z + add
        y = np.where(kept, 0.0, np.log(x / (x + z)))
        v = np.where(kept, of_full, z / (x * (x + z)))
    return estimates(y, v, corrected, absent)


def logit_proportion(
    events: npt.ArrayLike, n: npt.ArrayLike, *, zero: str = "half-if-any", value: float = 0.5
) -> Estimates:
    """Compute log odds of proportions.

    The scale on which to pool single groups when the binomial likelihood is not used. Not for small
    groups with few events, where the normal approximation fails: use the binomial likelihood.

    Parameters
    ----------
    events, n : array_like
        Events and participants, shape (..., studies).
    zero : str
        One of `PROPORTION_RULES`, applied where nobody or everybody had the event.
    value : float
        Added to events and to non-events.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a proportion of 0 or 1 is absent.

    Raises
    ------
    ValueError
        If `zero` is not one of `PROPORTION_RULES`.

    Examples
    --------
    >>> effect = logit_proportion([73, 24], [111, 100])
    >>> effect.y.round(3), effect.v.round(4)
    (array([ 0.653, -1.153]), array([0.04  , 0.0548]))
    """
    x, z, absent = _events_and_others(events, n)
    corrected, add = _correction(x, x * z == 0, zero, value, PROPORTION_RULES)
    x, z = x + add, z + add
    with np.errstate(divide="ignore"):
        return estimates(np.log(x / z), 1 / x + 1 / z, corrected, absent)


def arcsine_proportion(events: npt.ArrayLike, n: npt.ArrayLike) -> Estimates:
    """Compute arcsines of the square roots of proportions.

    The variance depends on n only and nothing is corrected. For sensitivity analyses.
    Back-transform with ``sin(y) ** 2`` for y inside [0, pi / 2]; not for intervals that leave those
    limits.

    Parameters
    ----------
    events, n : array_like
        Events and participants, shape (..., studies).

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``.

    Examples
    --------
    >>> effect = arcsine_proportion([12, 0], [27, 28])
    >>> effect.y.round(3), effect.v.round(4)
    (array([0.73, 0.  ]), array([0.0093, 0.0089]))
    """
    x, z, absent = _events_and_others(events, n)
    n = x + z
    return estimates(np.arcsin(np.sqrt(x / n)), 1 / (4 * n), np.zeros_like(absent), absent)


def double_arcsine_proportion(events: npt.ArrayLike, n: npt.ArrayLike) -> Estimates:
    """Compute double arcsine transforms of proportions [1]_.

    Offered to reproduce published analyses. Not for new ones: a pooled value has no proportion of
    its own, see `double_arcsine_inverse`.

    Parameters
    ----------
    events, n : array_like
        Events and participants, shape (..., studies).

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``; y is half the sum of the two arcsines, nothing is corrected.

    References
    ----------
    .. [1] Freeman MF, Tukey JW. Transformations related to the angular and the square root. Ann
       Math Stat 1950;21:607-611. https://doi.org/10.1214/aoms/1177729756

    Examples
    --------
    >>> effect = double_arcsine_proportion([0, 1, 12], [10, 10, 20])
    >>> effect.y.round(7)
    array([0.1531387, 0.373394 , 0.8813361])
    """
    x, z, absent = _events_and_others(events, n)
    n = x + z
    y = 0.5 * (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1))))
    return estimates(y, 1 / (4 * n + 2), np.zeros_like(absent), absent)


def harmonic_mean(n: npt.ArrayLike) -> FloatArray:
    """Compute the harmonic mean of group sizes along the last axis.

    Absent groups (nan or 0) are left out.

    Parameters
    ----------
    n : array_like
        Group sizes, shape (..., studies).

    Returns
    -------
    ndarray
        Shape (...); nan where no group is present.

    Examples
    --------
    >>> float(harmonic_mean([111, 100]).round(2))
    105.21
    """
    n = np.asarray(n, dtype=np.float64)
    present = n > 0
    inverse = (present / np.where(present, n, 1.0)).sum(-1)
    return np.asarray(present.sum(-1) / np.where(inverse > 0, inverse, np.nan))


def double_arcsine_inverse(y: npt.ArrayLike, n: npt.ArrayLike) -> FloatArray:
    """Invert double arcsine transforms to proportions by the formula of Miller [1]_.

    For a single group, `n` is its size and the inverse is exact. For a pooled value there is no
    size; the harmonic mean of the sizes is the custom, and a hazard: the result depends on it
    alone, can lie outside the proportions pooled, and with sizes that differ by orders of magnitude
    is seriously misleading [2]_. Say so beside the number, or use `logit_proportion`.

    Parameters
    ----------
    y : array_like
        Transformed proportions or limits; values beyond the transforms of 0 and n events give 0 and
        1.
    n : array_like
        Group size, or the harmonic mean of sizes (`harmonic_mean`).

    Returns
    -------
    ndarray
        Proportions in [0, 1].

    References
    ----------
    .. [1] Miller JJ. The inverse of the Freeman-Tukey double arcsine transformation. Am Stat
       1978;32:138. https://doi.org/10.1080/00031305.1978.10479283
    .. [2] Schwarzer G, Chemaitelly H, Abu-Raddad LJ, Rücker G. Seriously misleading results using
       inverse of Freeman-Tukey double arcsine transformation in meta-analysis of single
       proportions. Res Synth Methods 2019;10:476-483. https://doi.org/10.1002/jrsm.1348

    Examples
    --------
    >>> effect = double_arcsine_proportion([0, 1, 12], [10, 10, 20])
    >>> double_arcsine_inverse(effect.y, [10, 10, 20]).round(6)
    array([0. , 0.1, 0.6])
    """
    y, n = broadcast_floats(y, n)
    lowest = 0.5 * np.arcsin(np.sqrt(1 / (n + 1)))
    t = 2 * np.clip(y, lowest, np.pi / 2 - lowest)
    sine = np.sin(t)
    inner = 1 - (sine + (sine - 1 / sine) / n) ** 2
    p = 0.5 * (1 - np.sign(np.cos(t)) * np.sqrt(np.clip(inner, 0.0, None)))
    return np.asarray(np.where(y <= lowest, 0.0, np.where(y >= np.pi / 2 - lowest, 1.0, p)))


def fisher_z(r: npt.ArrayLike, n: npt.ArrayLike) -> Estimates:
    """Compute Fisher's z of correlations.

    For Pearson correlations of independent pairs. Not for correlations from ranks or from repeated
    measurements of the same people, whose variance is another.

    Parameters
    ----------
    r, n : array_like
        Correlations in [-1, 1] and numbers of pairs, shape (..., studies).

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``; a correlation of -1 or 1, or from 3 pairs or fewer, is absent.

    Examples
    --------
    >>> effect = fisher_z(0.5, 28)
    >>> float(effect.y.round(4)), float(effect.v)
    (0.5493, 0.04)
    """
    r, n = broadcast_floats(r, n)
    absent = np.isnan(r + n) | (np.abs(r) == 1) | (n <= 3)
    usable = ~absent & (np.abs(r) < 1)
    y = np.arctanh(np.where(usable, r, np.nan))
    return estimates(y, 1 / np.where(usable, n - 3, np.nan), np.zeros_like(absent), absent)


def _rate(events: npt.ArrayLike, time: npt.ArrayLike) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return events and time, nan where unusable, and which are absent.

    Unusable is absent (nan, no time) or impossible (negative).
    """
    x, t = broadcast_floats(events, time)
    absent = np.isnan(x + t) | (t == 0)
    unusable = absent | (x < 0) | (t < 0)
    return np.where(unusable, np.nan, x), np.where(unusable, np.nan, t), absent


def rate(
    events: npt.ArrayLike, time: npt.ArrayLike, *, zero: str = "half-if-any", value: float = 0.5
) -> Estimates:
    """Compute events per unit of time, as they are.

    For showing. Not to pool when rates are near 0, where the weights follow the estimates: use
    `log_rate`.

    Parameters
    ----------
    events, time : array_like
        Events, and the time in which they were counted (person-years), shape (..., studies).
    zero : str
        One of `PROPORTION_RULES`, applied where there was no event. It enters the variance alone.
    value : float
        Added to events.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a rate of 0 (variance 0) is absent.

    Raises
    ------
    ValueError
        If `zero` is not one of `PROPORTION_RULES`.

    Examples
    --------
    >>> effect = rate([9, 0], [413, 50])
    >>> effect.y.round(4), effect.corrected
    (array([0.0218, 0.    ]), array([False,  True]))
    """
    x, t, absent = _rate(events, time)
    corrected, add = _correction(x, x == 0, zero, value, PROPORTION_RULES)
    return estimates(x / t, (x + add) / t**2, corrected, absent)


def log_rate(
    events: npt.ArrayLike, time: npt.ArrayLike, *, zero: str = "half-if-any", value: float = 0.5
) -> Estimates:
    """Compute logarithms of rates of events.

    Not for few events, where the Poisson likelihood should be used.

    Parameters
    ----------
    events, time : array_like
        Events, and the time in which they were counted, shape (..., studies).
    zero : str
        One of `PROPORTION_RULES`, applied where there was no event.
    value : float
        Added to events.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a rate of 0 is absent.

    Raises
    ------
    ValueError
        If `zero` is not one of `PROPORTION_RULES`.

    Examples
    --------
    >>> effect = log_rate([9, 0], [413, 50])
    >>> effect.y.round(3), effect.v.round(3)
    (array([-3.826, -4.605]), array([0.111, 2.   ]))
    """
    x, t, absent = _rate(events, time)
    corrected, add = _correction(x, x == 0, zero, value, PROPORTION_RULES)
    x = x + add
    with np.errstate(divide="ignore"):
        return estimates(np.log(x / t), 1 / x, corrected, absent)


def rate_ratio(
    events_t: npt.ArrayLike,
    time_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    time_c: npt.ArrayLike,
    *,
    zero: str = "half-if-any",
    value: float = 0.5,
) -> Estimates:
    """Compute log ratios of rates of events under treatment and control.

    For events that can recur, counted over time at risk. Not for events that end the observation of
    a patient, nor for counts that vary more than Poisson counts do, whose variance this
    understates.

    Parameters
    ----------
    events_t, time_t, events_c, time_c : array_like
        Events and time at risk of the two arms, shape (..., studies).
    zero : str
        One of `RATE_RULES`, applied where an arm had no event; ``"drop"`` is ``"half-if-any"``
        after leaving out trials without an event in either arm.
    value : float
        Added to the events of both arms.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a trial with an arm without events is
        absent.

    Raises
    ------
    ValueError
        If `zero` is not one of `RATE_RULES`.

    Examples
    --------
    Hart 1999, strokes over patient-years on warfarin and on placebo in the AFASAK trial:

    >>> effect = rate_ratio(9, 413, 19, 398)
    >>> float(np.exp(effect.y).round(2)), float(effect.v.round(3))
    (0.46, 0.164)
    """
    x1, t1, absent1 = _rate(events_t, time_t)
    x2, t2, absent2 = _rate(events_c, time_c)
    x1, t1, x2, t2, absent = np.broadcast_arrays(x1, t1, x2, t2, absent1 | absent2)
    if zero == "drop":
        absent = absent | ((x1 == 0) & (x2 == 0))
    x1, x2 = np.where(absent, np.nan, x1), np.where(absent, np.nan, x2)
    corrected, add = _correction(x1 + x2, x1 * x2 == 0, zero, value, RATE_RULES)
    x1, x2 = x1 + add, x2 + add
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimates(np.log(x1 * t2 / (x2 * t1)), 1 / x1 + 1 / x2, corrected, absent)
