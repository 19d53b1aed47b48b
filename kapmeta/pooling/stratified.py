"""Common effects from the counts without continuity correction: Mantel-Haenszel and Peto."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import counts
from kapmeta.core.exact import stratified
from kapmeta.core.heterogeneity.heterogeneity import h2_from_q, i2_from_q
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_upper, normal_quantile, t_two_sided
from kapmeta.core.pooling.combining import Combined
from kapmeta.effects.counts import CELLS, Names, from_counts
from kapmeta.methods import PRIMARY, Method
from kapmeta.pooling.inverse_variance import NO_HETEROGENEITY, one_question, shares_by_study
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

__all__ = ["mantel_haenszel", "peto"]


@checking.checked
def mantel_haenszel(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    level: float = PRIMARY.level,
    compatibility: str | None = None,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Pooled:
    """Estimate a common effect by Mantel and Haenszel, from the counts as they are.

    The common-effect answer for few trials with few events: an empty cell needs no correction. Not
    an answer when effects differ between trials: the interval then covers too seldom.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    measure : {"RR", "OR", "RD"}
        Risk ratio, odds ratio or risk difference.
    level : float
        Confidence level, a proportion.
    compatibility : str, optional
        ``"revman5"`` adds 0.5 to tables with an empty cell, to reproduce printed reviews that did;
        not to be used otherwise.
    mixed : bool
        As in `kapmeta.pool`.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Pooled
        Tables with a zero cell are shown with 0.5 added; the pooled estimate has no correction.

    Raises
    ------
    ValueError
        If all events are in one arm, so that the ratio is infinite, or there are none; and as in
        `kapmeta.risk_ratio`.

    References
    ----------
    .. [1] Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective
       studies of disease. J Natl Cancer Inst 1959;22:719-748. https://doi.org/10.1093/jnci/22.4.719
    .. [2] Greenland S, Robins JM. Estimation of a common effect parameter from sparse follow-up
       data. Biometrics 1985;41:55-68. https://doi.org/10.2307/2530643

    Examples
    --------
    >>> import kapmeta as km
    >>> km.mantel_haenszel(km.load_example("bcg"))
    Pooled(RR 0.64 (95 % CI 0.59 to 0.69), k=13, Mantel-Haenszel, no correction)
    """
    checking.chosen(measure, stratified.VARIANCES, "measure")
    level = checking.proportion(level, "level")
    effects, _ = one_question(from_counts(trials, measure, **names), mixed)
    kernel = partial(stratified.mantel_haenszel, measure=measure, compatibility=compatibility)
    mode = "no correction" if compatibility is None else f"{compatibility} mode"
    method = Method(f"Mantel-Haenszel, {mode}", "none", "wald", "none", level)
    return _pool_tables(effects, method, kernel, partial(_table_weights, measure, compatibility))


@checking.checked
def peto(
    trials: pd.DataFrame,
    *,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Pooled:
    """Estimate a common odds ratio by Peto's one-step method.

    For rare events, arms of like size and small effects. Not for common events or large effects:
    the method is biased towards no effect there.

    Parameters
    ----------
    trials, level, mixed, **names
        As in `mantel_haenszel`.

    Returns
    -------
    Pooled
        Odds ratio on the log scale.

    Raises
    ------
    ValueError
        As in `mantel_haenszel`.

    References
    ----------
    .. [1] Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial
       infarction: an overview of the randomized trials. Prog Cardiovasc Dis 1985;27:335-371.
       https://doi.org/10.1016/S0033-0620(85)80003-7

    Examples
    --------
    >>> import kapmeta as km
    >>> km.peto(km.load_example("bcg"))
    Pooled(Peto OR 0.62 (95 % CI 0.57 to 0.67), k=13, Peto's one-step method)
    """
    level = checking.proportion(level, "level")
    effects, _ = one_question(from_counts(trials, "PETO", **names), mixed)
    method = Method("Peto's one-step method", "none", "wald", "none", level)
    return _pool_tables(effects, method, stratified.peto, None)


def _table_weights(measure: str, compatibility: str | None, *given: FloatArray) -> FloatArray:
    """Weight the tables as in the Mantel-Haenszel sums, with cells raised as in the estimate."""
    rule, _ = stratified.COMPATIBILITY[compatibility][measure]
    a, b, c, d, _, absent = counts.continuity_corrected(*given, rule=rule)
    product = {"RR": c * (a + b), "OR": b * c, "RD": (a + b) * (c + d)}[measure]
    return np.where(absent, 0.0, product / (a + b + c + d))


def _pool_tables(
    effects: Effects,
    method: Method,
    kernel: Callable[..., Any],
    shares: Callable[..., FloatArray] | None,
) -> Pooled:
    """Describe the stratified estimate as a result like any other."""
    there = effects.present
    cells = [effects.table[name].to_numpy(dtype=np.float64)[there] for name in CELLS]
    found = kernel(*cells)
    if not np.isfinite(found.se):
        raise ValueError(
            f"{method.model} gives no interval here: all events are in one arm, or there are none; "
            "use an exact model (pool_exact) or show the trials"
        )
    per_table = shares(*cells) if shares else np.nan_to_num(found.variance)
    estimate, se, df = float(found.estimate), float(found.se), float(found.q_df)
    half = float(normal_quantile((1 + method.level) / 2)) * se
    statistic, k, silent = estimate / se, int(found.k), int(found.k - found.k_informative)
    notes = [NO_HETEROGENEITY] if k > 1 else []
    notes += [f"tables without information on the effect: {silent} of {k}"] * (silent > 0)
    return Pooled(
        effects,
        method,
        estimate,
        se,
        estimate - half,
        estimate + half,
        statistic,
        float(t_two_sided(statistic, np.inf)),
        np.inf,
        k,
        shares_by_study(effects, np.flatnonzero(there), per_table),
        q=float(found.q),
        q_df=df if df > 0 else np.nan,
        q_p_value=float(chi2_upper(found.q, df)) if df > 0 else np.nan,
        i2=float(i2_from_q(found.q, df)) if df > 0 else np.nan,
        h2=float(h2_from_q(found.q, df)) if df > 0 else np.nan,
        notes=tuple(notes),
        refit=partial(_pool_table_subsets, kernel, cells, method.level),
    )


def _pool_table_subsets(
    kernel: Callable[..., Any], cells: list[FloatArray], level: float, mask: BoolArray
) -> Combined:
    """Repeat the estimate on subsets of the tables."""
    found = kernel(*cells, mask=mask)
    half = float(normal_quantile((1 + level) / 2)) * found.se
    low, high = found.estimate - half, found.estimate + half
    none = np.full(found.se.shape, np.nan)
    df = np.where(np.isfinite(found.se), np.inf, np.nan)
    return Combined(found.estimate, found.se, low, high, df, none, found.q, found.k, found.status)
