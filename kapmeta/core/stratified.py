"""Two-by-two tables of several trials pooled as strata: Mantel-Haenszel, Peto, and the tests that go with
them.

The cells of a trial are named as in the papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2

with ``n = n1 + n2`` and ``m = a + c``. Nothing is ever added to a cell unless `compatibility` asks for it.
All sums are linear in the studies that take part, so any number of subsets of one data set is a matrix
product.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from kapmeta.core import counts
from kapmeta.core.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.distributions import chi2_upper
from kapmeta.core.status import Status
from kapmeta.core.weighting import trace_p

_Result = TypeVar("_Result")
_ELEMENTS_AT_ONCE = 1 << 20
_ROUNDING = 1e-14  # of the size of its terms: a sum of signed terms below that is 0


class Stratified(NamedTuple):
    """A common effect estimated from tables; each field has the leading shape (...) of the input.

    Attributes
    ----------
    estimate, se : ndarray of float
        On the analysis scale (log for ratios). A ratio whose events are all in one arm is infinite, and its
        `se` nan. `se` is nan too where the variance formula gives nothing above 0, as for arms of all against
        none: an interval of no width would be false.
    k, k_informative : ndarray of int
        Tables present, and those of them that say something about the effect.
    q : ndarray of float
        Heterogeneity about this estimate: ``sum((y - estimate)^2 / v)`` over the effects of the single
        trials, weighted by inverse variance. It is never below Cochran's Q, which is taken about the
        inverse-variance mean. nan where fewer than two trials have an effect.
    q_df : ndarray of int
        Trials in `q`, less one; 0 where there are none.
    tau2 : ndarray of float
        Between-study variance by the method of moments with this `q`, as Review Manager 5 takes it.
    status : ndarray of int
        A code of `kapmeta.core.status.Status`; ``REFUSED`` where `estimate` or `se` is missing or infinite.
    """

    estimate: FloatArray
    se: FloatArray
    k: IntArray
    k_informative: IntArray
    q: FloatArray
    q_df: IntArray
    tau2: FloatArray
    status: IntArray


class StratifiedTest(NamedTuple):
    """A chi-squared test over tables; each field has the leading shape (...) of the input.

    `statistic` and `p_value` are nan where `df` is 0; `status` is a code of `kapmeta.core.status.Status`.
    """

    statistic: FloatArray
    df: IntArray
    p_value: FloatArray
    k: IntArray
    k_informative: IntArray
    status: IntArray


class Peto(NamedTuple):
    """Peto's common log odds ratio, and what each trial brings to it.

    `estimate` to `status` have the leading shape (...) of the input and mean what they mean in `Stratified`,
    except that `q` is Peto's own, ``sum(variance (y - estimate)^2)``. `excess` (observed less expected events
    under treatment) and `variance` have the shape (..., k) of the tables, in the order given; nan where a
    table is absent or impossible.
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


class _Cells(NamedTuple):
    """Cells, with 1 where they must not count so that terms stay finite; `used` tells the two apart."""

    a: FloatArray
    b: FloatArray
    c: FloatArray
    d: FloatArray
    used: BoolArray


class _Tables(NamedTuple):
    """Tables of each row in a fixed order, so that the order in which they are given changes no digit.

    `counts` are events and participants; `exact` their cells; `there` says which tables are present,
    `impossible` which of those cannot be (more events than participants).
    """

    counts: tuple[FloatArray, ...]
    order: IntArray
    exact: _Cells
    there: BoolArray
    impossible: BoolArray


def _tables(*events_and_totals: npt.ArrayLike) -> _Tables:
    given = counts.broadcast_floats(*(np.atleast_1d(x) for x in events_and_totals))
    order = np.lexsort(given, axis=-1)
    a, n1, c, n2 = (np.take_along_axis(x, order, axis=-1) for x in given)
    cells = counts.continuity_corrected(a, n1, c, n2, rule="none")
    return _Tables((a, n1, c, n2), order, _filled(cells), ~cells.absent, np.isnan(cells.a) & ~cells.absent)


def _filled(tables: counts.Tables) -> _Cells:
    used = ~np.isnan(tables.a)
    a, b, c, d = (np.where(used, cell, 1.0) for cell in tables[:4])
    return _Cells(a, b, c, d, used)


def _over_masks(
    result: Callable[..., _Result],
    pool: Callable[[FloatArray], tuple[npt.NDArray[np.generic], ...]],
    tables: _Tables,
    mask: npt.ArrayLike | None,
) -> _Result:
    """`result` of `pool`, which takes 1.0 for each table that takes part.

    Many masks of one data set go in blocks, so that memory stays bounded.
    """
    if mask is None:
        return result(*pool(tables.there.astype(np.float64)))
    mask, k = np.asarray(mask, dtype=bool), tables.order.shape[-1]
    if mask.shape[-1:] != (k,):
        raise ValueError(f"mask needs a last axis of {k}, one place for each table: got shape {mask.shape}")
    if tables.order.ndim > 1 or mask.ndim == 1:
        mask, order = np.broadcast_arrays(mask, tables.order)
        chosen = np.take_along_axis(mask, order, axis=-1)
        return result(*pool((chosen & tables.there).astype(np.float64)))
    rows, size = mask.reshape(int(np.prod(mask.shape[:-1])), k), max(1, _ELEMENTS_AT_ONCE // max(k, 1))
    blocks = [
        pool((rows[start : start + size, tables.order] & tables.there).astype(np.float64))
        for start in range(0, max(len(rows), 1), size)
    ]
    return result(*(np.concatenate(pieces).reshape(mask.shape[:-1]) for pieces in zip(*blocks, strict=True)))


def _sums(part: FloatArray, *terms: FloatArray | BoolArray) -> tuple[FloatArray, ...]:
    """Sums of each of `terms` over the tables that take part."""
    columns = np.stack([np.asarray(term, dtype=np.float64) for term in terms], axis=-1)
    if columns.ndim == 2:
        return tuple(np.moveaxis(part @ columns, -1, 0))
    return tuple(np.moveaxis((part[..., None] * columns).sum(-2), -1, 0))


def _counted(
    part: FloatArray, tables: _Tables, informative: BoolArray
) -> tuple[IntArray, IntArray, BoolArray]:
    """Tables present, informative tables, and whether a table is impossible."""
    k, said, impossible = _sums(part, tables.there, informative, tables.impossible)
    return k.astype(np.int_), said.astype(np.int_), impossible > 0


def _status(k: IntArray, impossible: BoolArray, usable: BoolArray) -> IntArray:
    conditions = [k == 0, impossible, ~usable, k == 1]
    codes = [Status.NO_STUDIES, Status.INVALID_INPUT, Status.REFUSED, Status.ONE_STUDY]
    return np.select(conditions, [np.int_(code) for code in codes], np.int_(Status.OK))


def _check_word(word: object, offered: Collection[object], what: str) -> None:
    if word not in offered:
        raise ValueError(f"unknown {what} {word!r}; use one of: {', '.join(map(repr, offered))}")


def _risk_ratio(cells: _Cells, exact: _Cells, part: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log risk ratio of Mantel-Haenszel form and its variance [2]."""
    a, b, c, d, _ = cells
    n1, n2 = a + b, c + d
    n = n1 + n2
    # n1 n2 m - a c n, written so that nothing cancels
    r, s, p = _sums(part, a * n2 / n, c * n1 / n, (b * c * n2 + a * d * n1) / (n * n))
    return np.log(r / s), p / (r * s)


def _odds_ratio(cells: _Cells, exact: _Cells, part: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mantel-Haenszel log odds ratio [1] with the variance of [3]."""
    a, b, c, d, _ = cells
    n = a + b + c + d
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    sum_r, sum_s, pr, ps_qr, qs = _sums(part, r, s, p * r, p * s + q * r, q * s)
    variance = (pr / sum_r**2 + ps_qr / (sum_r * sum_s) + qs / sum_s**2) / 2
    return np.log(sum_r / sum_s), variance


def _risk_difference(cells: _Cells, exact: _Cells, part: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Risk difference with Mantel-Haenszel weights, and the sum of the weights."""
    weight = (cells.a + cells.b) / (cells.a + cells.b + cells.c + cells.d) * (cells.c + cells.d)
    a, b, c, d, _ = exact
    difference = (a * d - b * c) / ((a + b) * (c + d))
    top, bottom = _sums(part, weight * difference, weight)
    return top / bottom, bottom


def _risk_difference_sato(cells: _Cells, exact: _Cells, part: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Risk difference with the variance of [4], consistent for few large and for many small tables."""
    estimate, weight = _risk_difference(cells, exact, part)
    a, b, c, d, _ = cells
    n1, n2 = a + b, c + d
    n = n1 + n2
    p_terms = (c * n1**2 - a * n2**2 + n1 * n2 * (n2 - n1) / 2) / n**2
    p, size_p, q = _sums(part, p_terms, np.abs(p_terms), (a * d + b * c) / (2 * n))
    total = estimate * p + q
    total = np.where(np.abs(total) <= _ROUNDING * (np.abs(estimate) * size_p + q), 0.0, total)
    return estimate, total / weight**2


def _risk_difference_greenland_robins(
    cells: _Cells, exact: _Cells, part: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Risk difference with the variance of [2], for tables that are not small."""
    estimate, weight = _risk_difference(cells, exact, part)
    a, b, c, d, _ = cells
    n1, n2 = a + b, c + d
    n = n1 + n2
    (total,) = _sums(part, a * b * n2**2 / (n1 * n**2) + c * d * n1**2 / (n2 * n**2))
    return estimate, total / weight**2


_Estimator: TypeAlias = Callable[[_Cells, _Cells, FloatArray], tuple[FloatArray, FloatArray]]

VARIANCES: dict[str, dict[str, _Estimator]] = {
    "RR": {"greenland-robins": _risk_ratio},
    "OR": {"robins-breslow-greenland": _odds_ratio},
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
"""By mode and measure: the zero-cell rule of `counts.TRIGGERS` for what is pooled, and the default variance."""

_EFFECTS = {"RR": counts.risk_ratio, "OR": counts.odds_ratio, "RD": counts.risk_difference}

_INFORMATIVE: dict[str, Callable[[_Cells], BoolArray]] = {
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
    """Common risk ratio, odds ratio or risk difference of several trials, by Mantel and Haenszel [1]_.

    The common-effect answer for few trials with few events: it uses the counts as they are, so an empty cell
    needs no correction, and trials without events simply add nothing to a ratio. Not an answer when effects
    differ between trials: its interval then covers too seldom, and it describes these trials only.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k), the last axis holding trials. A table with a
        nan, or with an arm of nobody, is absent. A table with more events than participants makes its row
        nan.
    measure : str
        ``"RR"``, ``"OR"`` (both pooled and returned as logarithms) or ``"RD"``.
    variance : str, optional
        A word of ``VARIANCES[measure]``: ``"greenland-robins"`` [2]_ for RR, ``"robins-breslow-greenland"``
        [3]_ for OR, ``"sato"`` [4]_ or ``"greenland-robins"`` for RD. By default the first, but
        ``"greenland-robins"`` for RD under ``compatibility="revman5"``, as R's meta has it.
    compatibility : str, optional
        ``"revman5"`` adds 0.5 to the cells of every table with an empty one, before pooling. It is there to
        reproduce printed Cochrane reviews and R's meta at its defaults, not to be used: it pulls the estimate
        towards no effect for nothing in return. Tables in which nobody or everybody had the event are left
        out of ratios. A risk difference keeps its estimates per trial; weights and variances use the raised
        cells.
    zero : str, optional
        Zero-cell rule (`kapmeta.core.counts.TRIGGERS`) of the trials' own effects that enter `q` and `tau2`;
        it never touches the estimate. By default ``"drop"``, which is metafor's: 0.5 to the cells of a table
        with an empty one, no table in which nobody or everybody had the event. Not together with
        `compatibility`, which sets its own.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part. Masks of shape (rows, k) on one data set give `rows` analyses in one call, by
        matrix products: leave-one-out, cumulative and all-subsets analyses.

    Returns
    -------
    Stratified
        ``estimate, se, k, k_informative, q, q_df, tau2, status``. With events in one arm only, a ratio is
        -inf or inf: the interval of `kapmeta.core.hypergeometric.common_odds_ratio` then says what can be
        said. Without any events it is nan; without any table everything is, and `status` says so.

    Raises
    ------
    ValueError
        If a word is not in its table, `zero` is given beside `compatibility`, or `mask` does not fit.

    References
    ----------
    .. [1] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective studies of
       disease. J Natl Cancer Inst 1959;22:719-748. https://doi.org/10.1093/jnci/22.4.719
    .. [2] Greenland S, Robins JM. Estimation of a common effect parameter from sparse follow-up data.
       Biometrics 1985;41:55-68. https://doi.org/10.2307/2530643
    .. [3] Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent in both
       sparse data and large-strata limiting models. Biometrics 1986;42:311-323.
       https://doi.org/10.2307/2531052
    .. [4] Sato T, Greenland S, Robins JM. On the variance estimator for the Mantel-Haenszel risk difference.
       Biometrics 1989;45:1323-1324.

    Examples
    --------
    Abstinence after ketamine in two trials on alcohol, Krupitsky 1997 (73 of 111 against 24 of 100) and
    Dakwar 2020 (14 of 17 against 15 of 23), together and each alone:

    >>> import numpy as np
    >>> table = [73, 14], [111, 17], [24, 15], [100, 23]
    >>> pooled = mantel_haenszel(*table)
    >>> float(np.exp(pooled.estimate).round(3)), float(pooled.se.round(4)), float(pooled.q.round(2))
    (2.245, 0.1479, 10.34)
    >>> np.exp(mantel_haenszel(*table, mask=np.eye(2, dtype=bool)).estimate).round(3)
    array([2.74 , 1.263])

    Dakwar 2019, 12 of 27 against 0 of 28, has no finite ratio of its own and needs none to be pooled:

    >>> float(mantel_haenszel([12], [27], [0], [28]).estimate)
    inf
    >>> float(mantel_haenszel([73, 14, 12], [111, 17, 27], [24, 15, 0], [100, 23, 28]).estimate.round(4))
    0.9424
    """
    _check_word(measure, VARIANCES, "measure")
    _check_word(compatibility, COMPATIBILITY, "compatibility")
    rule, default = COMPATIBILITY[compatibility][measure]
    variance = default if variance is None else variance
    _check_word(variance, VARIANCES[measure], f"variance of {measure}")
    if compatibility is not None and zero is not None:
        raise ValueError(
            f"zero={zero!r} has no part in compatibility={compatibility!r}; leave one of them out"
        )
    tables = _tables(events_t, n_t, events_c, n_c)
    cells = _filled(counts.continuity_corrected(*tables.counts, rule=rule))
    y, v = (
        _effects(tables, measure, zero or "drop")
        if compatibility is None
        else _own_effects(tables, measure, rule)
    )
    informative, estimator = _INFORMATIVE[measure](cells), VARIANCES[measure][variance]

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, said, impossible = _counted(part, tables, informative)
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate, squared = estimator(cells, tables.exact, part * cells.used)
            estimate = np.where(impossible, np.nan, estimate)
            se = np.where((squared > 0) & np.isfinite(estimate), np.sqrt(squared), np.nan)
            q, q_df, tau2 = _about(estimate, y, v, part)
        return estimate, se, k, said, q, q_df, tau2, _status(k, impossible, np.isfinite(se))

    return _over_masks(Stratified, pool, tables, mask)


def _effects(tables: _Tables, measure: str, zero: str) -> tuple[FloatArray, FloatArray]:
    """Effects of the raised cells for Q, as metafor takes them: a risk difference moves with its cells."""
    a, b, c, d, _, _ = counts.continuity_corrected(*tables.counts, rule=zero)
    return _where_estimable(_EFFECTS[measure](a, a + b, c, c + d, zero="none"), tables)


def _own_effects(tables: _Tables, measure: str, zero: str) -> tuple[FloatArray, FloatArray]:
    """Effects of the trials for Q, as meta takes them: a risk difference stays that of the counts."""
    return _where_estimable(_EFFECTS[measure](*tables.counts, zero=zero), tables)


def _where_estimable(effects: counts.Estimates, tables: _Tables) -> tuple[FloatArray, FloatArray]:
    absent = effects.absent | tables.impossible
    return np.where(absent, 0.0, effects.y), np.where(absent, np.inf, effects.v)


def _about(
    estimate: FloatArray, y: FloatArray, v: FloatArray, part: FloatArray
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Heterogeneity about a given estimate, its degrees of freedom and the moment estimate of tau2."""
    w = part / v
    e = np.where(np.isfinite(estimate), estimate, np.nan)[..., None] - y
    df = np.maximum(np.count_nonzero(w, axis=-1) - 1, 0)
    q = np.where(df > 0, (w * e * e).sum(-1), np.nan)
    tau2 = np.maximum((q - df) / np.where(df > 0, trace_p(w), np.nan), 0.0)
    return q, df, tau2


def _observed_less_expected(cells: _Cells) -> tuple[FloatArray, FloatArray, BoolArray]:
    """a - E(a) and V(a) of the central hypergeometric distribution, and where V is above 0."""
    a, b, c, d, used = cells
    n1, n2, m = a + b, c + d, a + c
    n = n1 + n2
    excess = (a * d - b * c) / n  # a - n1 m / n, exact in integers
    variance = (n1 / n) * (n2 / n) * m * ((n - m) / (n - 1))
    return np.where(used, excess, 0.0), np.where(used, variance, 0.0), used & (m > 0) & (m < n)


def cochran_mantel_haenszel(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    correction: bool = False,
    mask: npt.ArrayLike | None = None,
) -> StratifiedTest:
    """Test that no trial has an effect, against a common odds ratio [1]_.

    Valid for many small tables as for few large ones. Not a test of whether effects agree (`breslow_day`),
    and for very few events less to be trusted than the exact p-value of
    `kapmeta.core.hypergeometric.common_odds_ratio`.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k).
    correction : bool
        Whether 0.5 is taken from the absolute difference (down to 0) before squaring, as R does by default.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    StratifiedTest
        ``statistic, df, p_value, k, k_informative, status``; `df` is 1, or 0 where no table has both events
        and non-events.

    Raises
    ------
    ValueError
        If `mask` does not fit.

    References
    ----------
    .. [1] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective studies of
       disease. J Natl Cancer Inst 1959;22:719-748. https://doi.org/10.1093/jnci/22.4.719

    Examples
    --------
    Krupitsky 1997 and Dakwar 2020, abstinence from alcohol:

    >>> test = cochran_mantel_haenszel([73, 14], [111, 17], [24, 15], [100, 23])
    >>> float(test.statistic.round(2)), int(test.df)
    (36.96, 1)
    """
    tables = _tables(events_t, n_t, events_c, n_c)
    excess, variance, informative = _observed_less_expected(tables.exact)

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, said, impossible = _counted(part, tables, informative)
        total, v = _sums(part, excess, variance)
        distance = np.maximum(np.abs(total) - (0.5 if correction else 0.0), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(impossible | (said == 0), np.nan, distance * distance / v)
        df = np.minimum(said, 1)
        return statistic, df, chi2_upper(statistic, 1), k, said, _status(k, impossible, df > 0)

    return _over_masks(StratifiedTest, pool, tables, mask)


def _fitted(cells: _Cells, odds_ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Events under treatment expected at an odds ratio given the margins, and their asymptotic variance."""
    a, b, c, d, _ = cells
    n1, n2, m = a + b, c + d, a + c
    excess = odds_ratio - 1
    half = odds_ratio * (n1 + m) + (n2 - m)
    root = np.sqrt(half * half - 4 * n1 * m * odds_ratio * excess)
    # the two forms of the root that lies within the margins; each where it does not cancel
    e = np.where(half > 0, 2 * n1 * m * odds_ratio / (half + root), (half - root) / (2 * excess))
    return e, 1 / (1 / e + 1 / (n1 - e) + 1 / (m - e) + 1 / (n2 - m + e))


def breslow_day(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    tarone: bool = False,
    mask: npt.ArrayLike | None = None,
) -> StratifiedTest:
    """Test that the trials share one odds ratio, from the counts [1]_.

    Needs no correction of empty cells, as Cochran's Q does. Not for many tables of few events each (the
    expected counts must not be small), and a large p-value from few trials does not show that they agree.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k).
    tarone : bool
        Whether to apply Tarone's correction [2]_, with which the statistic is chi-squared although the
        Mantel-Haenszel odds ratio is not fully efficient. The difference is nearly always small.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    StratifiedTest
        ``statistic, df, p_value, k, k_informative, status``; `df` is the number of informative tables less
        one. nan where that is 0, and where the common odds ratio is 0 or infinite.

    Raises
    ------
    ValueError
        If `mask` does not fit.

    References
    ----------
    .. [1] Breslow NE, Day NE. Statistical methods in cancer research, volume 1: the analysis of case-control
       studies. Lyon: International Agency for Research on Cancer, 1980.
    .. [2] Tarone RE. On heterogeneity tests based on efficient scores. Biometrika 1985;72:91-95.

    Examples
    --------
    Krupitsky 1997 and Dakwar 2020, abstinence from alcohol:

    >>> test = breslow_day([73, 14], [111, 17], [24, 15], [100, 23], tarone=True)
    >>> float(test.statistic.round(3)), int(test.df), float(test.p_value.round(3))
    (1.18, 1, 0.277)
    """
    tables = _tables(events_t, n_t, events_c, n_c)
    cells = tables.exact
    informative = _INFORMATIVE["OR"](cells)

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, said, impossible = _counted(part, tables, informative)
        used = part * informative
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate, _ = _odds_ratio(cells, cells, used)
            odds_ratio = np.where(np.isfinite(estimate) & ~impossible & (said > 1), np.exp(estimate), np.nan)
            e, v = _fitted(cells, odds_ratio[..., None])
            statistic = np.where(used > 0, (cells.a - e) ** 2 / v, 0.0).sum(-1)
            if tarone:
                total, spread = (np.where(used > 0, term, 0.0).sum(-1) for term in (cells.a - e, v))
                statistic = np.maximum(statistic - total * total / spread, 0.0)
        df = np.maximum(said - 1, 0)
        statistic = np.where(np.isnan(odds_ratio), np.nan, statistic)
        p_value = np.where(df > 0, chi2_upper(statistic, np.maximum(df, 1)), np.nan)
        return statistic, df, p_value, k, said, _status(k, impossible, ~np.isnan(statistic) | (k == 1))

    return _over_masks(StratifiedTest, pool, tables, mask)


def peto(
    events_t: npt.ArrayLike,
    n_t: npt.ArrayLike,
    events_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
) -> Peto:
    """Peto's common log odds ratio [1]_: events observed less expected under treatment, over their variance.

    For rare events, arms of like size and small effects. Not for common events with large effects, where it
    is pulled towards no effect, and least of all to compare with a Mantel-Haenszel odds ratio as if both
    estimated one thing.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k). A table in which nobody or everybody had the
        event adds nothing.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    Peto
        ``estimate, se, k, k_informative, q, q_df, status`` and, for each table, ``excess, variance``. The
        estimate is finite as soon as one table has both events and non-events.

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
    tables = _tables(events_t, n_t, events_c, n_c)
    excess, variance, informative = _observed_less_expected(tables.exact)

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, said, impossible = _counted(part, tables, informative)
        total, v = _sums(part, excess, variance)
        usable = ~impossible & (said > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate, se = (np.where(usable, value, np.nan) for value in (total / v, 1 / np.sqrt(v)))
            residuals = np.where(part * informative > 0, excess - variance * estimate[..., None], 0.0)
            q = (residuals * residuals / np.where(informative, variance, 1.0)).sum(-1)
        df = np.maximum(said - 1, 0)
        return (
            estimate,
            se,
            k,
            said,
            np.where(usable & (df > 0), q, np.nan),
            df,
            _status(k, impossible, usable),
        )

    back = np.argsort(tables.order, axis=-1)
    each, of_each = (
        np.take_along_axis(np.where(tables.exact.used, term, np.nan), back, axis=-1)
        for term in (excess, variance)
    )
    return _over_masks(partial(Peto, excess=each, variance=of_each), pool, tables, mask)
