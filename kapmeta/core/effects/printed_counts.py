"""Counts from what a paper prints in their place: a percentage, an odds ratio, a chi-squared statistic, a p-value."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.effects.counts import broadcast_floats, nonnegative
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile


class Candidates(NamedTuple):
    """Counts that a printed percentage can stand for.

    Attributes
    ----------
    counts : range
        All of them, ascending; empty if there is none.
    consistent : bool
        False if no count rounds to the percentage as printed, so that `counts` are those one unit
        in the last place away (a percentage cut off, or rounded twice).
    """

    counts: range
    consistent: bool


class RebuiltTable(NamedTuple):
    """Events of the two arms rebuilt from a statistic and the margins.

    Attributes
    ----------
    events_t, events_c : ndarray of float
        Whole numbers; nan where no table has that statistic and those margins.
    unrounded : ndarray of float
        Events under treatment before rounding: far from a whole number, the statistic or a margin
        is not as printed.
    """

    events_t: FloatArray
    events_c: FloatArray
    unrounded: FloatArray


def last_place(percent: str) -> Fraction:
    """One unit in the last place of a number as printed."""
    return Fraction(1, 10 ** len(percent.partition(".")[2]))


def _counts_within(percent: str, n: int, distance: Fraction) -> range:
    """Counts x of n with ``|100 x / n - percent|`` at most `distance`."""
    low, high = (Fraction(percent) - distance) * n / 100, (Fraction(percent) + distance) * n / 100
    return range(max(0, ceil(low)), min(n, floor(high)) + 1)


def candidate_counts(percent: str, n: int) -> Candidates:
    """Counts out of `n` that round to a percentage as printed (GRIM) [1]_.

    For reading a count from a percentage, or checking it against one. One count: use it. Several:
    the percentage does not settle it; analyse the lowest and the highest. None: the counts one unit
    in the last place away come back with ``consistent`` False; try the other denominators of the
    paper (completers, per protocol) too.

    Parameters
    ----------
    percent : str
        In per cent, with the decimals as printed: ``"44"``, ``"48.0"``.
    n : int
        The denominator, at least 1.

    Returns
    -------
    Candidates
        ``counts, consistent``. Halves may have been rounded up, down or to even; a percentage cut
        off is not rounded. The comparison is exact, in fractions.

    Raises
    ------
    ValueError
        If `percent` is not a decimal number or `n` is below 1.

    References
    ----------
    .. [1] Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in
       the reporting of results in psychology. Soc Psychol Personal Sci 2017;8:363-369.
       https://doi.org/10.1177/1948550616673876

    Examples
    --------
    Krupitsky 1997, 65.8% of 111; Dakwar 2019, 48.2% of 27, which no count rounds to:

    >>> candidate_counts("65.8", 111)
    Candidates(counts=range(73, 74), consistent=True)
    >>> candidate_counts("48.2", 27)
    Candidates(counts=range(13, 14), consistent=False)
    """
    if n < 1:
        raise ValueError(f"n must be at least 1: n = {n}")
    rounded = _counts_within(percent, n, last_place(percent) / 2)
    if rounded:
        return Candidates(rounded, True)
    return Candidates(_counts_within(percent, n, last_place(percent)), False)


def _rebuilt(
    events_t: FloatArray, n_t: FloatArray, n_c: FloatArray, events: FloatArray
) -> RebuiltTable:
    lowest, highest = np.maximum(0.0, events - n_c), np.minimum(n_t, events)
    rounded = np.round(events_t)
    rounded = np.where((rounded >= lowest) & (rounded <= highest), rounded, np.nan)
    return RebuiltTable(rounded, events - rounded, events_t)


def table_from_odds_ratio(
    odds_ratio: npt.ArrayLike, n_t: npt.ArrayLike, n_c: npt.ArrayLike, events: npt.ArrayLike
) -> RebuiltTable:
    """Events of the arms from an unadjusted odds ratio and the margins of the table.

    Not for adjusted odds ratios: the table they would give never existed.

    Parameters
    ----------
    odds_ratio, n_t, n_c, events : array_like
        Odds ratio as printed; participants of the arms; events in both arms together.

    Returns
    -------
    RebuiltTable
        ``events_t, events_c, unrounded``.

    Examples
    --------
    Krupitsky 2007, odds ratio 3.5 with 19 abstinent of 26 and 27:

    >>> table = table_from_odds_ratio(3.5, 26, 27, 19)
    >>> float(table.events_t), float(table.events_c)
    (13.0, 6.0)
    """
    ratio, n1, n2, m = broadcast_floats(nonnegative(odds_ratio), n_t, n_c, events)
    big = ratio * (n1 + m) + (n2 - m)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(big * big - 4 * n1 * m * ratio * (ratio - 1))
        # the root in [0, min(n1, m)], in the form without cancellation; at an odds ratio of 1 it is
        # n1 m / N
        a = np.where(big > 0, 2 * n1 * m * ratio / (big + root), (big - root) / (2 * (ratio - 1)))
    return _rebuilt(a, n1, n2, m)


def table_from_chi_square(
    chi_square: npt.ArrayLike,
    n_t: npt.ArrayLike,
    n_c: npt.ArrayLike,
    events: npt.ArrayLike,
    *,
    sign: npt.ArrayLike = 1,
    yates: bool = False,
) -> RebuiltTable:
    """Events of the arms from the chi-squared statistic of a table and its margins.

    A two-sided p-value of that test is the same information: see `chi_square_from_p_value`. Not for
    Fisher's exact p-values.

    Parameters
    ----------
    chi_square, n_t, n_c, events : array_like
        Pearson's statistic, 1 degree of freedom; participants of the arms; events in both arms
        together.
    sign : array_like
        1 where treatment had the higher risk, -1 where control had.
    yates : bool
        Whether the statistic has Yates's continuity correction.

    Returns
    -------
    RebuiltTable
        ``events_t, events_c, unrounded``.

    Examples
    --------
    >>> table = table_from_chi_square(4.7, 26, 27, 19)
    >>> float(table.events_t), float(table.events_c)
    (13.0, 6.0)
    """
    chi, n1, n2, m, sign = broadcast_floats(chi_square, n_t, n_c, events, sign)
    n = n1 + n2
    gap = np.sqrt(nonnegative(chi * n1 * n2 * m * (n - m) / n)) + (
        n / 2 if yates else 0.0
    )  # |ad - bc|
    return _rebuilt((n1 * m + np.sign(sign) * gap) / n, n1, n2, m)


def chi_square_from_p_value(p: npt.ArrayLike) -> FloatArray:
    """Chi-squared statistic, 1 degree of freedom, that has the two-sided p-value `p`.

    Parameters
    ----------
    p : array_like
        P-values in (0, 1].

    Returns
    -------
    ndarray
        Statistics.

    Examples
    --------
    >>> float(chi_square_from_p_value(0.05).round(3))
    3.841
    """
    return normal_quantile(np.asarray(p, dtype=np.float64) / 2) ** 2
