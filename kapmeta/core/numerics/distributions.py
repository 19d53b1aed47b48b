"""Quantiles and tail areas of the normal, t and chi-squared distributions, on arrays.

Thin names over :mod:`scipy.special`: importing :mod:`scipy.stats` costs more than every fit this
package makes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray


def refuse_level(level: float) -> None:
    """Refuse a confidence level that is not a proportion between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(
            f"level must lie between 0 and 1, a proportion: got {level}; use 0.95 for 95 %"
        )


def normal_quantile(p: npt.ArrayLike) -> FloatArray:
    """Return the lower-tail quantile of the standard normal distribution."""
    return np.asarray(special.ndtri(p), dtype=np.float64)


def normal_cdf(x: npt.ArrayLike) -> FloatArray:
    """Return the lower-tail area of the standard normal distribution."""
    return np.asarray(special.ndtr(x), dtype=np.float64)


def t_quantile(p: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Return the lower-tail quantile of t; normal where `df` is infinite, nan where `df` <= 0."""
    df = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(df) & (df > 0)
    t = special.stdtrit(np.where(finite, df, 1.0), p)
    return np.asarray(np.where(finite, t, np.where(df == np.inf, special.ndtri(p), np.nan)))


def t_two_sided(statistic: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Return the two-sided p-value of a t statistic.

    Normal where `df` is infinite, nan where `df` <= 0.
    """
    x, df = -np.abs(np.asarray(statistic, dtype=np.float64)), np.asarray(df, dtype=np.float64)
    finite = np.isfinite(df) & (df > 0)
    tail = special.stdtr(np.where(finite, df, 1.0), x)
    return np.asarray(2 * np.where(finite, tail, np.where(df == np.inf, special.ndtr(x), np.nan)))


def chi2_quantile(p: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Return the lower-tail quantile of the chi-squared distribution."""
    return np.asarray(2 * special.gammaincinv(np.asarray(df, dtype=np.float64) / 2, p))


def chi2_upper(x: npt.ArrayLike, df: npt.ArrayLike) -> FloatArray:
    """Return the upper-tail area of the chi-squared distribution."""
    return np.asarray(special.chdtrc(df, x), dtype=np.float64)
