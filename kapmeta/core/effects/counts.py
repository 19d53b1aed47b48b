"""Effects of two-armed trials from counts: ratios and differences of risk, zero cells included.

The cells of a trial are named as in the papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2

Effects compare treatment with control: a positive `y` means more events under treatment. Ratios are
on the log scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray, FloatArray


class CorrectedTables(NamedTuple):
    """Cells after a continuity correction, the last axis holding studies.

    Attributes
    ----------
    a, b, c, d : ndarray of float
        Events and non-events under treatment, events and non-events under control; nan in an absent
        table.
    corrected : ndarray of bool
        True where something was added to the cells.
    absent : ndarray of bool
        True where there is no table, or the rule leaves it out.
    """

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray
    corrected: BoolArray
    absent: BoolArray


class Estimates(NamedTuple):
    """Effects and their sampling variances, the last axis holding studies.

    Attributes
    ----------
    y : ndarray of float
        Effects on the analysis scale (log for ratios); nan where absent.
    v : ndarray of float
        Sampling variances; infinite where absent, which is how the core leaves a study out.
    corrected : ndarray of bool
        True where a continuity correction entered `y` or `v`.
    absent : ndarray of bool
        True where the study gives no estimate: not observed, or inestimable under the rule chosen.
        A row that is impossible (more events than participants) is not absent: its `y` and `v` are
        nan, so that it cannot hide.
    """

    y: FloatArray
    v: FloatArray
    corrected: BoolArray
    absent: BoolArray


def broadcast_floats(*values: npt.ArrayLike) -> tuple[FloatArray, ...]:
    """Convert the values to float64 arrays of one shape.

    Floats come first: products of integer counts may overflow.
    """
    return np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))


def nonnegative(value: npt.ArrayLike) -> FloatArray:
    """Convert `value` to floats, nan where it is negative."""
    value = np.asarray(value, dtype=np.float64)
    return np.where(value >= 0, value, np.nan)


def as_proportion(value: npt.ArrayLike) -> FloatArray:
    """Convert `value` to floats, nan outside [0, 1]."""
    value = np.asarray(value, dtype=np.float64)
    return np.where((value >= 0) & (value <= 1), value, np.nan)


def _where_zero(zero: BoolArray) -> BoolArray:
    """Correct the studies with a zero cell."""
    return zero


def _where_any_zero(zero: BoolArray) -> BoolArray:
    """Correct every study of a row in which one has a zero cell."""
    return np.broadcast_to(zero.any(-1, keepdims=True), zero.shape)


def _everywhere(zero: BoolArray) -> BoolArray:
    """Correct every study."""
    return np.ones_like(zero)


def _nowhere(zero: BoolArray) -> BoolArray:
    """Correct no study."""
    return np.zeros_like(zero)


TRIGGERS: dict[str, Callable[[BoolArray], BoolArray]] = {
    "half-if-any": _where_zero,
    "half-if-any-study": _where_any_zero,
    "half-all": _everywhere,
    "treatment-arm": _where_zero,
    "empirical": _where_zero,
    "none": _nowhere,
    "drop": _where_zero,
}
"""Zero-cell rules by name: which studies are corrected, given the studies that have a zero."""


def named_trigger(
    rule: str, offered: tuple[str, ...] = tuple(TRIGGERS)
) -> Callable[[BoolArray], BoolArray]:
    """Look up the trigger of a zero-cell rule; refuse a rule that is not `offered`."""
    if rule not in offered:
        raise ValueError(f'unknown zero-cell rule "{rule}"; use one of: {", ".join(offered)}')
    return TRIGGERS[rule]


def estimates(y: FloatArray, v: FloatArray, corrected: BoolArray, absent: BoolArray) -> Estimates:
    """Build `Estimates`; a study without a finite, positive variance becomes absent.

    A study of variance 0 would have infinite weight and decide everything; one of infinite variance
    has none. Both are left out and marked absent. A variance of nan marks an impossible row and
    stays nan.
    """
    absent = absent | (v == 0) | np.isposinf(v)
    return Estimates(np.where(absent, np.nan, y), np.where(absent, np.inf, v), corrected, absent)


def _counted_cells(
    events_t: npt.ArrayLike, n_t: npt.ArrayLike, events_c: npt.ArrayLike, n_c: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]:
    """Return the cells as counted, nan where unusable, and which tables are absent.

    Unusable is absent or impossible.
    """
    a, n1, c, n2 = broadcast_floats(events_t, n_t, events_c, n_c)
    absent = np.isnan(a + n1 + c + n2) | (n1 == 0) | (n2 == 0)
    b, d = n1 - a, n2 - c
    unusable = absent | (a < 0) | (b < 0) | (c < 0) | (d < 0)
    a, b, c, d = (np.where(unusable, np.nan, cell) for cell in (a, b, c, d))
    return a, b, c, d, absent


def _arm_weights(
    rule: str, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray, zero: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Divide the correction between the arms, as shares that sum to 1."""
    n1, n2 = a + b, c + d
    if rule == "treatment-arm":
        return n1 / (n1 + n2), n2 / (n1 + n2)
    if rule == "empirical":
        whole = ~zero & ~np.isnan(a)
        top = np.where(whole, a * d / (n1 + n2), 0.0).sum(-1, keepdims=True)
        bottom = np.where(whole, b * c / (n1 + n2), 0.0).sum(-1, keepdims=True)
        with np.errstate(invalid="ignore"):
            omega = top / bottom
        return omega / (n2 / n1 + omega), (n2 / n1) / (n2 / n1 + omega)
    return np.full_like(a, 0.5), np.full_like(c, 0.5)


def continuity_corrected(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    rule: str,
    value: float = 0.5,
    drop_all_events: bool = True,
) -> CorrectedTables:
    """Apply the continuity correction called `rule` to the cells of the tables.

    A table with an empty cell has no log risk ratio or log odds ratio, so inverse-variance pooling
    adds something to its cells. What it adds decides the estimate of that trial: for 12 of 27
    against 0 of 28 the odds ratio is 46 if 0.5 is added and 225 if 0.1 is. Do not use a correction
    before Mantel-Haenszel, Peto, exact or likelihood methods, which need none.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., studies), broadcast together. A table
        with a nan, or with an arm of nobody, is absent.
    rule : str
        - ``"half-if-any"``: `value` to the four cells of a table with a zero;
        - ``"half-if-any-study"``: to every table if one of its row has a zero;
        - ``"half-all"``: to every table;
        - ``"treatment-arm"``: in a table with a zero, the reciprocal of the size of the other arm,
          scaled to sum to twice `value` [1]_;
        - ``"empirical"``: in a table with a zero, such that the corrected table leans towards the
          Mantel-Haenszel odds ratio of the tables without one, scaled likewise [1]_. Where no table
          of the row is without a zero the cells are nan;
        - ``"none"``;
        - ``"drop"``: ``"half-if-any"``, after leaving out the tables without an event in either arm
          and those of `drop_all_events`.
    value : float
        Half of what the two arms gain together; 0.5 by custom.
    drop_all_events : bool
        Whether ``"drop"`` also leaves out tables in which everybody had the event (uninformative
        about an odds ratio, but not about a risk ratio).

    Returns
    -------
    CorrectedTables
        ``a, b, c, d, corrected, absent``; an impossible table (events exceed participants) has
        cells of nan.

    Raises
    ------
    ValueError
        If `rule` is not one of the above.

    References
    ----------
    .. [1] Sweeting MJ, Sutton AJ, Lambert PC. What to add to nothing? Use and avoidance of
       continuity corrections in meta-analysis of sparse data. Stat Med 2004;23:1351-1375.
       https://doi.org/10.1002/sim.1761

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28:

    >>> tables = continuity_corrected([12], [27], [0], [28], rule="treatment-arm")
    >>> tables.a.round(4), tables.c.round(4), tables.corrected
    (array([12.4909]), array([0.5091]), array([ True]))
    """
    trigger = named_trigger(rule)
    a, b, c, d, absent = _counted_cells(events_t, n_t, events_c, n_c)
    if rule == "drop":
        absent = absent | ((a == 0) & (c == 0)) | (drop_all_events & (b == 0) & (d == 0))
        a, b, c, d = (np.where(absent, np.nan, cell) for cell in (a, b, c, d))
    zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    corrected = trigger(zero) & ~np.isnan(a) & (value > 0)
    in_t, in_c = _arm_weights(rule, a, b, c, d, zero)
    add_t, add_c = (np.where(corrected, 2 * value * share, 0.0) for share in (in_t, in_c))
    return CorrectedTables(a + add_t, b + add_t, c + add_c, d + add_c, corrected, absent)


def risk_ratio(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    zero: str = "half-if-any",
    value: float = 0.5,
) -> Estimates:
    """Compute log risk ratios with the variance of Katz et al. [1]_.

    The measure to start from when the event is what patients want and is not near certain. Not for
    events that nearly everybody has (the ratio meets its ceiling and the variance is too small),
    and not for rare events in small trials, whose uncertainty no normal approximation describes.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., studies).
    zero : str
        Zero-cell rule, see `continuity_corrected`. A corrected arm has both its cells raised, so
        its size grows by 1 when 0.5 is added (as RevMan and metafor do; meta adds 0.5 to the size
        by default). ``"drop"`` leaves out tables without an event in either arm and keeps those in
        which everybody had it: their risk ratio is near 1.
    value : float
        Size of the correction.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a table without events in one arm, or
        with nothing but events in both (variance 0), is absent.

    Raises
    ------
    ValueError
        If `zero` is not a rule of `continuity_corrected`.

    References
    ----------
    .. [1] Katz D, Baptista J, Azen SP, Pike MC. Obtaining confidence intervals for the risk ratio
       in cohort studies. Biometrics 1978;34:469-474. https://doi.org/10.2307/2530610

    Examples
    --------
    Krupitsky 1997, abstinence from alcohol at a year, 73 of 111 against 24 of 100:

    >>> effect = risk_ratio(73, 111, 24, 100)
    >>> float(np.exp(effect.y).round(2)), float(np.sqrt(effect.v).round(4))
    (2.74, 0.1907)
    """
    a, b, c, d, corrected, absent = continuity_corrected(
        events_t, n_t, events_c, n_c, rule=zero, value=value, drop_all_events=False
    )
    n1, n2 = a + b, c + d
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(a * n2 / (c * n1))
        v = b / (a * n1) + d / (c * n2)  # 1/a - 1/n1 + 1/c - 1/n2 without its cancellation
    return estimates(y, v, corrected, absent)


def odds_ratio(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    zero: str = "half-if-any",
    value: float = 0.5,
) -> Estimates:
    """Compute log odds ratios with the variance of Woolf [1]_.

    The scale of the exact and likelihood models. On it an event and its absence give the same
    answer: the sign changes, the variance does not. Not to be read as a multiplier of risk
    when events are common.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., studies).
    zero : str
        Zero-cell rule, see `continuity_corrected`. ``"drop"`` leaves out tables in which nobody or
        everybody had the event.
    value : float
        Size of the correction.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a table with an empty cell is absent.

    Raises
    ------
    ValueError
        If `zero` is not a rule of `continuity_corrected`.

    References
    ----------
    .. [1] Woolf B. On estimating the relation between blood group and disease. Ann Hum Genet
       1955;19:251-253. https://doi.org/10.1111/j.1469-1809.1955.tb01348.x

    Examples
    --------
    Krupitsky 1997, abstinence from alcohol at a year:

    >>> effect = odds_ratio(73, 111, 24, 100)
    >>> float(np.exp(effect.y).round(2)), float(np.sqrt(effect.v).round(4))
    (6.08, 0.308)
    """
    a, b, c, d, corrected, absent = continuity_corrected(
        events_t, n_t, events_c, n_c, rule=zero, value=value
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(a * d / (b * c))
        v = 1 / a + 1 / b + 1 / c + 1 / d
    return estimates(y, v, corrected, absent)


def risk_difference(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    zero: str = "half-if-any",
    value: float = 0.5,
) -> Estimates:
    """Compute differences in risk from the counts as they are.

    For the absolute effect of a trial, tables without events included. Not the measure to pool when
    the risk under control differs from trial to trial: the difference then differs too.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., studies).
    zero : str
        Zero-cell rule, see `continuity_corrected`. It enters the variance alone.
    value : float
        Size of the correction.

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``. Under ``zero="none"`` a table whose arms both have no events or
        nothing but events (variance 0) is absent.

    Raises
    ------
    ValueError
        If `zero` is not a rule of `continuity_corrected`.

    Notes
    -----
    This differs from metafor's `escalc` on purpose: there the correction moves the estimate too, so
    that 12 of 27 against 0 of 28 is 0.429 and not 12/27 = 0.444. A risk difference needs no
    correction to exist; only its variance can collapse to 0. The variances agree.

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28:

    >>> effect = risk_difference([12], [27], [0], [28])
    >>> effect.y.round(4), np.sqrt(effect.v).round(4), effect.corrected
    (array([0.4444]), array([0.097]), array([ True]))
    """
    a, b, c, d, corrected, absent = continuity_corrected(
        events_t, n_t, events_c, n_c, rule=zero, value=value
    )
    a0, b0, c0, d0, _ = _counted_cells(events_t, n_t, events_c, n_c)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = a0 / (a0 + b0) - c0 / (c0 + d0)
        v = a * b / (a + b) ** 3 + c * d / (c + d) ** 3
    return estimates(y, v, corrected, absent)


def arcsine_difference(
    events_t: npt.ArrayLike, n_t: npt.ArrayLike, events_c: npt.ArrayLike, n_c: npt.ArrayLike
) -> Estimates:
    """Compute differences of arcsine-transformed risks [1]_, for zeros of any kind.

    The variance depends on the sizes of the arms only, so nothing is ever corrected or left out. A
    scale for sensitivity analyses and small-study tests; not for readers, who cannot make a risk of
    it without a risk to start from (`kapmeta.core.certainty.absolute_risks.absolute_risk`).

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., studies).

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``; nothing is corrected.

    References
    ----------
    .. [1] Rücker G, Schwarzer G, Carpenter J, Olkin I. Why add anything to nothing? The arcsine
       difference as a measure of treatment effect in meta-analysis with zero cells. Stat Med
       2009;28:721-738. https://doi.org/10.1002/sim.3511

    Examples
    --------
    Dakwar 2019, abstinence from cocaine at six months, 12 of 27 against 0 of 28:

    >>> effect = arcsine_difference([12], [27], [0], [28])
    >>> effect.y.round(4), effect.v.round(4)
    (array([0.7297]), array([0.0182]))
    """
    a, b, c, d, absent = _counted_cells(events_t, n_t, events_c, n_c)
    n1, n2 = a + b, c + d
    y = np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2))
    return estimates(y, 1 / (4 * n1) + 1 / (4 * n2), np.zeros_like(absent), absent)


def peto_odds_ratio(
    events_t: npt.ArrayLike, n_t: npt.ArrayLike, events_c: npt.ArrayLike, n_c: npt.ArrayLike
) -> Estimates:
    """Compute Peto's one-step log odds ratios [1]_.

    Observed less expected events are divided by their variance at no effect. For rare events, arms
    of like size and small effects. Not for common events with large effects, where it is pulled
    towards no effect: for the table below it is 5.33 where the odds ratio is 6.08.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., studies).

    Returns
    -------
    Estimates
        ``y, v, corrected, absent``; nothing is corrected. A table in which nobody or everybody had
        the event is uninformative and absent.

    References
    ----------
    .. [1] Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial
       infarction: an overview of the randomized trials. Prog Cardiovasc Dis 1985;27:335-371.
       https://doi.org/10.1016/S0033-0620(85)80003-7

    Examples
    --------
    Krupitsky 1997, abstinence from alcohol at a year:

    >>> effect = peto_odds_ratio(73, 111, 24, 100)
    >>> float(np.exp(effect.y).round(2)), float(np.sqrt(effect.v).round(4))
    (5.33, 0.276)
    """
    a, b, c, d, absent = _counted_cells(events_t, n_t, events_c, n_c)
    n1, n2 = a + b, c + d
    n, m = n1 + n2, a + c
    with np.errstate(divide="ignore", invalid="ignore"):
        v = n * n * (n - 1) / (n1 * n2 * m * (n - m))
        y = (a * d - b * c) / n * v  # a - n1 m / n = (a d - b c) / n, exact in integers
    return estimates(y, v, np.zeros_like(absent), absent)


KERNELS: Mapping[str, Callable[..., Estimates]] = MappingProxyType(
    {
        "RR": risk_ratio,
        "OR": odds_ratio,
        "RD": risk_difference,
        "AS": arcsine_difference,
        "PETO": peto_odds_ratio,
    }
)
"""Effect of the four counts by measure; the first three take a zero-cell rule."""
