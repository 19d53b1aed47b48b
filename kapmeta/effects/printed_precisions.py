"""Several precisions printed for one estimate: interval, standard error and p-value compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile, t_two_sided
from kapmeta.measures import Measure

__all__ = ["refuse_disagreement"]

_LEVELS = (0.8, 0.9, 0.95, 0.99, 0.999)
_FACTOR = 1.15  # of standard errors: quantiles of t in place of the normal, adjusted intervals
_BOUND = 0.001  # p-values up to here are often printed as bounds
_APART = (1.0, 1.5)  # distance and ratio of test statistics that no usual test explains


def refuse_disagreement(
    value: FloatArray,
    given: Mapping[str, FloatArray],
    scale: Measure,
    level: float,
    labels: tuple[str, ...],
) -> None:
    """Refuse an interval whose standard error or p-value is another one than printed.

    Rounding of the printed numbers is allowed for, and so are the differences between usual tests
    and intervals of one estimate.

    Parameters
    ----------
    value : ndarray
        Estimates as printed.
    given : mapping of str to ndarray
        `low`, `high`, `se` and `p_value` as printed, nan where they were not.
    scale : Measure
        What was printed; it takes limits to the analysis scale.
    level : float
        Level of the interval.
    labels : tuple of str
        Study labels, for errors.
    """
    quantile = float(normal_quantile((1 + level) / 2))
    least, most = _standard_errors(given, scale, quantile)
    se, slack = given["se"], _half_unit(given["se"])
    middle = (scale.analysed(given["high"]) - scale.analysed(given["low"])) / (2 * quantile)
    checking.refuse_first(
        (se + slack < least / _FACTOR) | (se - slack > most * _FACTOR),
        labels,
        "interval and standard error disagree",
        lambda i: (
            f"low and high give a standard error of {middle[i]:.3g}, but se = {se[i]:g};"
            f" {_level_hint(middle[i] * quantile / se[i], level)}"
        ),
    )
    _refuse_other_p_values(
        scale.analysed(value), np.where(np.isfinite(middle), middle, se), given, labels
    )


def _refuse_other_p_values(
    y: FloatArray, se: FloatArray, given: Mapping[str, FloatArray], labels: tuple[str, ...]
) -> None:
    """Refuse a p-value that lies far from the one of the estimate and its standard error."""
    p = given["p_value"]
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = np.abs(y) / se
        printed = -normal_quantile(np.where((p > 0) & (p < 1), p, np.nan) / 2)
        high, low = np.maximum(statistic, printed), np.minimum(statistic, printed)
        far = (high - low > _APART[0]) & (high > _APART[1] * low)
    far &= ~((p <= _BOUND) & (statistic > printed))
    checking.refuse_first(
        far,
        labels,
        "p-value and precision disagree",
        lambda i: (
            f"estimate and precision give p = {float(t_two_sided(statistic[i], np.inf)):.2g}, but"
            f" p_value = {p[i]:g}; correct the one that is misprinted, or leave it empty"
        ),
    )


def _standard_errors(
    given: Mapping[str, FloatArray], scale: Measure, quantile: float
) -> tuple[FloatArray, FloatArray]:
    """Compute the least and the largest standard error that round to the printed limits."""
    low, high = given["low"], given["high"]
    half = np.minimum(_half_unit(low), _half_unit(high))  # a final 0 is printed, but not read
    with np.errstate(invalid="ignore", divide="ignore"):
        narrow = scale.analysed(high - half) - scale.analysed(low + half)
        wide = scale.analysed(high + half) - scale.analysed(low - half)
    narrow = np.where(np.isfinite(narrow), np.maximum(narrow, 0.0), np.nan)
    wide = np.where(np.isfinite(wide), wide, np.nan)
    return narrow / (2 * quantile), wide / (2 * quantile)


def _half_unit(values: FloatArray) -> FloatArray:
    """Return half a unit in the last printed place of each number."""
    places = [len(repr(float(x)).partition(".")[2].rstrip("0")) for x in values]
    return np.asarray(0.5 * 10.0 ** -np.array(places, dtype=np.float64))


def _level_hint(quantile: float, level: float) -> str:
    """Say which level would make interval and standard error agree, if a usual one does."""
    for other in _LEVELS:
        if other != level and abs(quantile / float(normal_quantile((1 + other) / 2)) - 1) < 0.03:
            return f"they agree at level={other:g}: check the level"
    return "check the level, or leave one of them empty"
