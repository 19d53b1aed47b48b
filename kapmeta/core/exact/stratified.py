"""A common effect of two-by-two tables, by Mantel and Haenszel or by Peto.

The cells of a trial are named as in the papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2

with ``n = n1 + n2`` and ``m = a + c``. Nothing is ever added to a cell unless `compatibility` asks
for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects import counts
from kapmeta.core.exact.strata import (
    FilledCells,
    OrderedTables,
    check_word,
    counted,
    filled,
    over_masks,
    status,
    sums,
    tables_of,
)
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.weighting import trace_p

_ROUNDING = 1e-14  # of the size of its terms: a sum of signed terms below that is 0


class Stratified(NamedTuple):
    """A common effect estimated from tables; each field has the leading shape (...) of the input.

    Attributes
    ----------
    estimate, se : ndarray of float
        On the analysis scale (log for ratios). A ratio whose events are all in one arm is infinite,
        and its `se` nan. `se` is nan too where the variance formula gives nothing above 0, as for
        arms of all against none: an interval of no width would be false.
    k, k_informative : ndarray of int
        OrderedTables present, and those of them that are informative.
    q : ndarray of float
        Heterogeneity about this estimate: ``sum((y - estimate)^2 / v)`` over the effects of the
        single trials, weighted by inverse variance. It is never below Cochran's Q, which is taken
        about the inverse-variance mean. nan where fewer than two trials have an effect.
    q_df : ndarray of int
        Trials in `q`, less one; 0 where there are none.
    tau2 : ndarray of float
        Between-study variance by the method of moments with this `q`, as Review Manager 5 takes it.
    status : ndarray of int
        A code of `kapmeta.core.numerics.status.Status`; ``REFUSED`` where `estimate` or `se` is
        missing or infinite.
    """

    estimate: FloatArray
    se: FloatArray
    k: IntArray
    k_informative: IntArray
    q: FloatArray
    q_df: IntArray
    tau2: FloatArray
    status: IntArray


class Peto(NamedTuple):
    """Peto's common log odds ratio, and the contribution of each trial.

    `estimate` to `status` have the leading shape (...) of the input and mean what they mean in
    `Stratified`, except that `q` is Peto's own, ``sum(variance (y - estimate)^2)``. `excess`
    (observed less expected events under treatment) and `variance` have the shape (..., k) of the
    tables, in the order given; nan where a table is absent or impossible.
    """

    estimate: FloatArray
    se: FloatArray
    k: IntArray
    k_informative: IntArray
    q: FloatArray
    q_df: IntArray
    status: IntArray
    excess: FloatArray
    variance: FloatArray


def _mh_risk_ratio(
    cells: FilledCells, exact: FilledCells, part: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the Mantel-Haenszel log risk ratio and its variance [2]."""
    a, b, c, d, _ = cells
    n1, n2 = a + b, c + d
    n = n1 + n2
    # n1 n2 m - a c n, written so that nothing cancels
    r, s, p = sums(part, a * n2 / n, c * n1 / n, (b * c * n2 + a * d * n1) / (n * n))
    return np.log(r / s), p / (r * s)


def log_odds_ratio(
    cells: FilledCells, exact: FilledCells, part: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the Mantel-Haenszel log odds ratio [1] with the variance of [3]."""
    a, b, c, d, _ = cells
    n = a + b + c + d
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    sum_r, sum_s, pr, ps_qr, qs = sums(part, r, s, p * r, p * s + q * r, q * s)
    variance = (pr / sum_r**2 + ps_qr / (sum_r * sum_s) + qs / sum_s**2) / 2
    return np.log(sum_r / sum_s), variance


def _mh_risk_difference(
    cells: FilledCells, exact: FilledCells, part: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the Mantel-Haenszel risk difference and the sum of its weights."""
    weight = (cells.a + cells.b) / (cells.a + cells.b + cells.c + cells.d) * (cells.c + cells.d)
    a, b, c, d, _ = exact
    difference = (a * d - b * c) / ((a + b) * (c + d))
    top, bottom = sums(part, weight * difference, weight)
    return top / bottom, bottom


def _risk_difference_sato(
    cells: FilledCells, exact: FilledCells, part: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the risk difference with the variance of [4].

    It is consistent for few large and for many small tables.
    """
    estimate, weight = _mh_risk_difference(cells, exact, part)
    a, b, c, d, _ = cells
    n1, n2 = a + b, c + d
    n = n1 + n2
    p_terms = (c * n1**2 - a * n2**2 + n1 * n2 * (n2 - n1) / 2) / n**2
    p, size_p, q = sums(part, p_terms, np.abs(p_terms), (a * d + b * c) / (2 * n))
    total = estimate * p + q
    total = np.where(np.abs(total) <= _ROUNDING * (np.abs(estimate) * size_p + q), 0.0, total)
    return estimate, total / weight**2


def _risk_difference_greenland_robins(
    cells: FilledCells, exact: FilledCells, part: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute the risk difference with the variance of [2], for tables that are not small."""
    estimate, weight = _mh_risk_difference(cells, exact, part)
    a, b, c, d, _ = cells
    n1, n2 = a + b, c + d
    n = n1 + n2
    (total,) = sums(part, a * b * n2**2 / (n1 * n**2) + c * d * n1**2 / (n2 * n**2))
    return estimate, total / weight**2


_Estimator: TypeAlias = Callable[
    [FilledCells, FilledCells, FloatArray], tuple[FloatArray, FloatArray]
]
VARIANCES: dict[str, dict[str, _Estimator]] = {
    "RR": {"greenland-robins": _mh_risk_ratio},
    "OR": {"robins-breslow-greenland": log_odds_ratio},
    "RD": {"sato": _risk_difference_sato, "greenland-robins": _risk_difference_greenland_robins},
}
"""Variance estimators by measure and name."""

COMPATIBILITY: dict[str | None, dict[str, tuple[str, str]]] = {
    None: {
        "RR": ("none", "greenland-robins"),
        "OR": ("none", "robins-breslow-greenland"),
        "RD": ("none", "sato"),
    },
    "revman5": {
        "RR": ("drop", "greenland-robins"),
        "OR": ("drop", "robins-breslow-greenland"),
        "RD": ("half-if-any", "greenland-robins"),
    },
}
"""By mode and measure: zero-cell rule of the pooled tables, and default variance."""

INFORMATIVE: dict[str, Callable[[FilledCells], BoolArray]] = {
    "RR": lambda cells: cells.used & (cells.a + cells.c > 0),
    "OR": lambda cells: cells.used & (cells.a + cells.c > 0) & (cells.b + cells.d > 0),
    "RD": lambda cells: cells.used,
}


def mantel_haenszel(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    measure: str = "RR",
    variance: str | None = None,
    compatibility: str | None = None,
    zero: str | None = None,
    mask: npt.ArrayLike | None = None,
) -> Stratified:
    """Estimate a common effect of several trials, by Mantel and Haenszel [1]_.

    The common-effect answer for few trials with few events: it uses the counts as they are, so an
    empty cell needs no correction, and trials without events simply add nothing to a ratio. Not an
    answer when effects differ between trials: its interval then covers too seldom, and it describes
    these trials only.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k), the last axis holding trials. A
        table with a nan, or with an arm of nobody, is absent. A table with more events than
        participants makes its row nan.
    measure : str
        ``"RR"``, ``"OR"`` (both pooled and returned as logarithms) or ``"RD"``.
    variance : str, optional
        A word of ``VARIANCES[measure]``: ``"greenland-robins"`` [2]_ for RR,
        ``"robins-breslow-greenland"`` [3]_ for OR, ``"sato"`` [4]_ or ``"greenland-robins"`` for
        RD. By default the first, but ``"greenland-robins"`` for RD under
        ``compatibility="revman5"``, as R's meta has it.
    compatibility : str, optional
        ``"revman5"`` adds 0.5 to the cells of every table with an empty one, before pooling. It is
        there to reproduce printed Cochrane reviews and R's meta at its defaults, not to be used: it
        pulls the estimate towards no effect for nothing in return. OrderedTables in which nobody or
        everybody had the event are left out of ratios. A risk difference keeps its estimates per
        trial; weights and variances use the raised cells.
    zero : str, optional
        Zero-cell rule (`kapmeta.core.effects.counts.TRIGGERS`) of the trials' own effects that
        enter `q` and `tau2`; it never touches the estimate. By default ``"drop"``, which is
        metafor's: 0.5 to the cells of a table with an empty one, no table in which nobody or
        everybody had the event. Not together with `compatibility`, which sets its own.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part. Masks of shape (rows, k) on one data set give `rows` analyses in one
        call, by matrix products: leave-one-out, cumulative and all-subsets analyses.

    Returns
    -------
    Stratified
        ``estimate, se, k, k_informative, q, q_df, tau2, status``. With events in one arm only, a
        ratio is -inf or inf: the interval of
        `kapmeta.core.effects.hypergeometric.common_odds_ratio` then gives the finite limit. Without
        any events it is nan; without any table everything is, as shown by `status`.

    Raises
    ------
    ValueError
        If a word is not in its table, `zero` is given beside `compatibility`, or `mask` does not
        fit.

    References
    ----------
    .. [1] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective
       studies of disease. J Natl Cancer Inst 1959;22:719-748. https://doi.org/10.1093/jnci/22.4.719
    .. [2] Greenland S, Robins JM. Estimation of a common effect parameter from sparse follow-up
       data. Biometrics 1985;41:55-68. https://doi.org/10.2307/2530643
    .. [3] Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent
       in both sparse data and large-strata limiting models. Biometrics 1986;42:311-323.
       https://doi.org/10.2307/2531052
    .. [4] Sato T, Greenland S, Robins JM. On the variance estimator for the Mantel-Haenszel risk
       difference. Biometrics 1989;45:1323-1324.

    Examples
    --------
    Abstinence after ketamine in two trials on alcohol, Krupitsky 1997 (73 of 111 against 24 of 100)
    and Dakwar 2020 (14 of 17 against 15 of 23), together and each alone:

    >>> import numpy as np
    >>> table = [73, 14], [111, 17], [24, 15], [100, 23]
    >>> pooled = mantel_haenszel(*table)
    >>> float(np.exp(pooled.estimate).round(3)), float(pooled.se.round(4)), float(pooled.q.round(2))
    (2.245, 0.1479, 10.34)
    >>> np.exp(mantel_haenszel(*table, mask=np.eye(2, dtype=bool)).estimate).round(3)
    array([2.74 , 1.263])

    Dakwar 2019, 12 of 27 against 0 of 28, has no finite ratio of its own and needs none to be
    pooled:

    >>> float(mantel_haenszel([12], [27], [0], [28]).estimate)
    inf
    >>> table = [73, 14, 12], [111, 17, 27], [24, 15, 0], [100, 23, 28]
    >>> float(mantel_haenszel(*table).estimate.round(4))
    0.9424
    """
    check_word(measure, VARIANCES, "measure")
    check_word(compatibility, COMPATIBILITY, "compatibility")
    rule, default = COMPATIBILITY[compatibility][measure]
    variance = default if variance is None else variance
    check_word(variance, VARIANCES[measure], f"variance of {measure}")
    if compatibility is not None and zero is not None:
        raise ValueError(
            f"zero={zero!r} has no part in compatibility={compatibility!r}; leave one of them out"
        )
    tables = tables_of(events_t, n_t, events_c, n_c)
    cells = filled(counts.continuity_corrected(*tables.counts, rule=rule))
    y, v = _trial_effects(tables, measure, rule if compatibility else zero or "drop", compatibility)
    informative, estimator = INFORMATIVE[measure](cells), VARIANCES[measure][variance]

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, k_informative, impossible = counted(part, tables, informative)
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate, squared = estimator(cells, tables.exact, part * cells.used)
            estimate = np.where(impossible, np.nan, estimate)
            se = np.where((squared > 0) & np.isfinite(estimate), np.sqrt(squared), np.nan)
            q, q_df, tau2 = _about(estimate, y, v, part)
        return estimate, se, k, k_informative, q, q_df, tau2, status(k, impossible, np.isfinite(se))

    return over_masks(Stratified, pool, tables, mask)


def _trial_effects(
    tables: OrderedTables, measure: str, zero: str, compatibility: str | None
) -> tuple[FloatArray, FloatArray]:
    """Return the trials' own effects and variances for Q, 0 and infinite where there are none.

    As metafor, a risk difference moves with its raised cells; with `compatibility`, as meta, it
    remains that of the counts.
    """
    given = tables.counts
    if compatibility is None:
        a, b, c, d, _, _ = counts.continuity_corrected(*given, rule=zero)
        given, zero = (a, a + b, c, c + d), "none"
    effects = counts.KERNELS[measure](*given, zero=zero)
    absent = effects.absent | tables.impossible
    return np.where(absent, 0.0, effects.y), np.where(absent, np.inf, effects.v)


def _about(
    estimate: FloatArray, y: FloatArray, v: FloatArray, part: FloatArray
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Compute Q about a given estimate, its degrees of freedom and the moment tau2."""
    w = part / v
    e = np.where(np.isfinite(estimate), estimate, np.nan)[..., None] - y
    df = np.maximum(np.count_nonzero(w, axis=-1) - 1, 0)
    q = np.where(df > 0, (w * e * e).sum(-1), np.nan)
    tau2 = np.maximum((q - df) / np.where(df > 0, trace_p(w), np.nan), 0.0)
    return q, df, tau2


def observed_less_expected(cells: FilledCells) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return a - E(a) and V(a) of the central hypergeometric, and where V is above 0."""
    a, b, c, d, used = cells
    n1, n2, m = a + b, c + d, a + c
    n = n1 + n2
    excess = (a * d - b * c) / n  # a - n1 m / n, exact in integers
    variance = (n1 / n) * (n2 / n) * m * ((n - m) / (n - 1))
    return np.where(used, excess, 0.0), np.where(used, variance, 0.0), used & (m > 0) & (m < n)


def peto(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
) -> Peto:
    """Estimate Peto's common log odds ratio [1]_.

    Events observed less expected under treatment are divided by their variance. For rare events,
    arms of like size and small effects. Not for common events with large effects, where it is
    pulled towards no effect, and least of all to compare with a Mantel-Haenszel odds ratio as if
    both estimated one thing.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k). A table in which nobody or
        everybody had the event adds nothing.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    Peto
        ``estimate, se, k, k_informative, q, q_df, status`` and, for each table, ``excess,
        variance``. The estimate is finite as soon as one table has both events and non-events.

    Raises
    ------
    ValueError
        If `mask` does not fit.

    References
    ----------
    .. [1] Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial
       infarction: an overview of the randomized trials. Prog Cardiovasc Dis 1985;27:335-371.
       https://doi.org/10.1016/S0033-0620(85)80003-7

    Examples
    --------
    Krupitsky 1997, Dakwar 2020 and Dakwar 2019, whose control arm had no events:

    >>> pooled = peto([73, 14, 12], [111, 17, 27], [24, 15, 0], [100, 23, 28])
    >>> float(pooled.estimate.round(4)), float(pooled.se.round(4)), pooled.excess.round(3)
    (1.6988, 0.2389, array([21.972,  1.675,  6.109]))
    """
    tables = tables_of(events_t, n_t, events_c, n_c)
    excess, variance, informative = observed_less_expected(tables.exact)
    divisor = np.where(informative, variance, 1.0)

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, k_informative, impossible = counted(part, tables, informative)
        total, v = sums(part, excess, variance)
        usable, df = ~impossible & (k_informative > 0), np.maximum(k_informative - 1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate, se = (np.where(usable, x, np.nan) for x in (total / v, 1 / np.sqrt(v)))
            e = excess - variance * estimate[..., None]
            q = (np.where(part * informative > 0, e * e, 0.0) / divisor).sum(-1)
        q = np.where(usable & (df > 0), q, np.nan)
        return estimate, se, k, k_informative, q, df, status(k, impossible, usable)

    back = np.argsort(tables.order, axis=-1)
    terms = (np.where(tables.exact.used, term, np.nan) for term in (excess, variance))
    each, of_each = (np.take_along_axis(term, back, axis=-1) for term in terms)
    return over_masks(partial(Peto, excess=each, variance=of_each), pool, tables, mask)
