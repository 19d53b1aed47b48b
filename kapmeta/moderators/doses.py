"""Trends of an effect with dose, over contrasts of doses."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.moderators import multivariate
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.methods import PRIMARY
from kapmeta.results.designs import DoseTrend
from kapmeta.results.effects import Effects, effects_given

__all__ = ["dose_trend"]


def dose_trend(
    effects: Effects,
    *,
    dose_t: str = "dose_t",
    dose_c: str = "dose_c",
    covariance: FloatArray | None = None,
    random_slope: bool = False,
    level: float = PRIMARY.level,
) -> DoseTrend:
    """Linear trend of the effect with dose, in one stage over all contrasts of doses.

    Not for two doses, which are one comparison, and no test that the course is a straight line:
    that is assumed. With few trials one slope for all is assumed, and that is what the interval
    says. A comparison of a high with a low dose is not one with placebo: the low dose counts with
    its own dose, never as nothing.

    Parameters
    ----------
    effects : Effects
        Contrasts of doses.
    dose_t, dose_c : str
        Columns of the doses of the two arms.
    covariance : ndarray, shape (n, n), optional
        Sampling covariance from `sampling_covariance`; needed where a trial has several contrasts.
    random_slope : bool
        Whether slopes vary between trials (restricted maximum likelihood).
    level : float
        Confidence level, a proportion.

    Returns
    -------
    DoseTrend
        Slope per unit of dose with its interval and test.

    Raises
    ------
    ValueError
        With fewer than three different doses, or where a trial has several contrasts and no
        covariance is given.

    References
    ----------
    .. [1] Greenland S, Longnecker MP. Methods for trend estimation from summarized dose-response
       data, with applications to meta-analysis. Am J Epidemiol 1992;135:1301-1309.
       https://doi.org/10.1093/oxfordjournals.aje.a116237

    Examples
    --------
    Two made-up trials of doses in mg/kg, three levels in all:

    >>> import pandas as pd
    >>> import kapmeta as km
    >>> rows = pd.DataFrame({"study": ["A", "B"], "events_t": [14, 12], "n_t": [30, 30], "events_c": [8, 9],
    ...                      "n_c": [30, 31], "dose_t": [2.0, 1.0], "dose_c": [0.2, 0.2]})
    >>> round(km.moderators.dose_trend(km.risk_ratio(rows)).slope, 3)
    0.326
    """
    positions = np.flatnonzero(effects_given(effects).present)
    frame = checking.columns_of(
        effects.table, {"study": "study", "dose_t": dose_t, "dose_c": dose_c}, "effects.table"
    )
    high, low = (
        checking.numbers(frame, name, effects.labels)[positions] for name in ("dose_t", "dose_c")
    )
    study = pd.factorize(frame["study"].iloc[positions])[0]
    doses = np.unique(np.concatenate([high, low])).size
    if doses < 3:
        raise ValueError(
            f"a trend with dose needs three different doses or more: got {doses}; compare the two"
            " instead"
        )
    if covariance is None and np.bincount(study).max() > 1:
        raise ValueError(
            "a trial has several contrasts that share patients: give"
            " covariance=sampling_covariance(effects)"
        )
    v = (
        np.diag(effects.v[positions])
        if covariance is None
        else covariance[np.ix_(positions, positions)]
    )
    x, y, tau2 = (high - low)[:, None], effects.y[positions], math.nan
    if checking.flag(random_slope, "random_slope"):
        shared = (study[:, None] == study) * np.outer(x, x)
        terms = multivariate.levels([study])._replace(shared=shared[None] / np.mean(x**2))
        found = multivariate.fit_components(y, v, x, terms)
        tau2, v = float(found.c[0] / np.mean(x**2)), found.total
    weight = np.linalg.solve(v, x)
    variance = 1 / float((x.T @ weight)[0, 0])
    slope, se = variance * float((weight.T @ y)[0]), math.sqrt(variance)
    return DoseTrend(
        effects, slope, se, tau2, doses, positions.size, checking.proportion(level, "level")
    )
