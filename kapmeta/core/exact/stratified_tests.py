"""Chi-squared tests over two-by-two tables: no effect, and one common odds ratio.

The cells of a trial are named as in the papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2

with ``n = n1 + n2`` and ``m = a + c``. Nothing is added to a cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.exact.strata import FilledCells, counted, over_masks, status, sums, tables_of
from kapmeta.core.exact.stratified import INFORMATIVE, log_odds_ratio, observed_less_expected
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_upper


class StratifiedTest(NamedTuple):
    """A chi-squared test over tables; each field has the leading shape (...) of the input.

    `statistic` and `p_value` are nan where `df` is 0; `status` is a code of
    `kapmeta.core.numerics.status.Status`.
    """

    statistic: FloatArray
    df: IntArray
    p_value: FloatArray
    k: IntArray
    k_informative: IntArray
    status: IntArray


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

    Valid for many small tables as for few large ones. Not a test of whether effects agree
    (`breslow_day`), and for very few events less to be trusted than the exact p-value of
    `kapmeta.core.effects.hypergeometric.common_odds_ratio`.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k).
    correction : bool
        Whether 0.5 is taken from the absolute difference (down to 0) before squaring, as R does by
        default.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    StratifiedTest
        ``statistic, df, p_value, k, k_informative, status``; `df` is 1, or 0 where no table has
        both events and non-events.

    Raises
    ------
    ValueError
        If `mask` does not fit.

    References
    ----------
    .. [1] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective
       studies of disease. J Natl Cancer Inst 1959;22:719-748. https://doi.org/10.1093/jnci/22.4.719

    Examples
    --------
    Krupitsky 1997 and Dakwar 2020, abstinence from alcohol:

    >>> test = cochran_mantel_haenszel([73, 14], [111, 17], [24, 15], [100, 23])
    >>> float(test.statistic.round(2)), int(test.df)
    (36.96, 1)
    """
    tables = tables_of(events_t, n_t, events_c, n_c)
    excess, variance, informative = observed_less_expected(tables.exact)

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, k_informative, impossible = counted(part, tables, informative)
        total, v = sums(part, excess, variance)
        distance = np.maximum(np.abs(total) - (0.5 if correction else 0.0), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(impossible | (k_informative == 0), np.nan, distance * distance / v)
        df = np.minimum(k_informative, 1)
        return (
            statistic,
            df,
            chi2_upper(statistic, 1),
            k,
            k_informative,
            status(k, impossible, df > 0),
        )

    return over_masks(StratifiedTest, pool, tables, mask)


def _fitted_events(cells: FilledCells, odds_ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit the treated events expected at an odds ratio, and their asymptotic variance.

    The margins are given.
    """
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

    Needs no correction of empty cells, as Cochran's Q does. Not for many tables of few events each
    (the expected counts must not be small), and a large p-value from few trials does not show that
    they agree.

    Parameters
    ----------
    events_t, n_t, events_c, n_c : array_like
        Events and participants of the two arms, shape (..., k).
    tarone : bool
        Whether to apply Tarone's correction [2]_, with which the statistic is chi-squared although
        the Mantel-Haenszel odds ratio is not fully efficient. The difference is nearly always
        small.
    mask : array_like of bool, shape (..., k), optional
        Which tables take part.

    Returns
    -------
    StratifiedTest
        ``statistic, df, p_value, k, k_informative, status``; `df` is the number of informative
        tables less one. nan where that is 0, and where the common odds ratio is 0 or infinite.

    Raises
    ------
    ValueError
        If `mask` does not fit.

    References
    ----------
    .. [1] Breslow NE, Day NE. Statistical methods in cancer research, volume 1: the analysis of
       case-control studies. Lyon: International Agency for Research on Cancer, 1980.
    .. [2] Tarone RE. On heterogeneity tests based on efficient scores. Biometrika 1985;72:91-95.

    Examples
    --------
    Krupitsky 1997 and Dakwar 2020, abstinence from alcohol:

    >>> test = breslow_day([73, 14], [111, 17], [24, 15], [100, 23], tarone=True)
    >>> float(test.statistic.round(3)), int(test.df), float(test.p_value.round(3))
    (1.18, 1, 0.277)
    """
    tables = tables_of(events_t, n_t, events_c, n_c)
    cells = tables.exact
    informative = INFORMATIVE["OR"](cells)

    def pool(part: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        k, k_informative, impossible = counted(part, tables, informative)
        used = part * informative
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate, _ = log_odds_ratio(cells, cells, used)
            usable = np.isfinite(estimate) & ~impossible & (k_informative > 1)
            odds_ratio = np.where(usable, np.exp(estimate), np.nan)
            e, v = _fitted_events(cells, odds_ratio[..., None])
            statistic = np.where(used > 0, (cells.a - e) ** 2 / v, 0.0).sum(-1)
            if tarone:
                total, spread = (np.where(used > 0, term, 0.0).sum(-1) for term in (cells.a - e, v))
                statistic = np.maximum(statistic - total * total / spread, 0.0)
        df = np.maximum(k_informative - 1, 0)
        statistic = np.where(np.isnan(odds_ratio), np.nan, statistic)
        p_value = np.where(df > 0, chi2_upper(statistic, np.maximum(df, 1)), np.nan)
        code = status(k, impossible, ~np.isnan(statistic) | (k == 1))
        return statistic, df, p_value, k, k_informative, code

    return over_masks(StratifiedTest, pool, tables, mask)
