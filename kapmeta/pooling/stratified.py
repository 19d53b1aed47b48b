"""Common effects straight from the counts, without a continuity correction: Mantel-Haenszel and Peto."""

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
from kapmeta.effects.counts import Names, odds_ratio, peto_odds_ratio, risk_difference, risk_ratio
from kapmeta.methods import PRIMARY, Method
from kapmeta.pooling.inverse_variance import one_question
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

__all__ = ["mantel_haenszel", "peto"]

MEASURES: dict[str, Callable[..., Effects]] = {
    "RR": risk_ratio,
    "OR": odds_ratio,
    "RD": risk_difference,
}
_ASSUMES = "the interval holds if there is no heterogeneity between the studies"


def mantel_haenszel(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    level: float = PRIMARY.level,
    compatibility: str | None = None,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Pooled:
    """Common effect by Mantel and Haenszel, from the counts as they are.

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
        The single trials' rows carry 0.5 where they have a zero cell; the pooled estimate does not.

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
    checking.chosen(measure, MEASURES, "measure")
    level = checking.proportion(level, "level")
    effects, _ = one_question(MEASURES[measure](trials, **names), mixed)
    kernel = partial(stratified.mantel_haenszel, measure=measure, compatibility=compatibility)
    name = (
        "Mantel-Haenszel, no correction"
        if compatibility is None
        else f"Mantel-Haenszel, {compatibility} mode"
    )
    method = Method(name, "none", "wald", "none", level)
    return _pooled(effects, method, kernel, partial(_shares, measure, compatibility))


def peto(
    trials: pd.DataFrame,
    *,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Pooled:
    """Common odds ratio by Peto's one-step method.

    For rare events, arms of like size and small effects. Not for abstinence, which is neither rare
    nor little changed: the method is biased towards no effect there.

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
    effects, _ = one_question(peto_odds_ratio(trials, **names), mixed)
    return _pooled(
        effects,
        Method("Peto's one-step method", "none", "wald", "none", level),
        stratified.peto,
        None,
    )


def _shares(measure: str, compatibility: str | None, *given: FloatArray) -> FloatArray:
    """Weights of the tables in the Mantel-Haenszel sums, whose cells are raised where the estimate raises them."""
    rule, _ = stratified.COMPATIBILITY[compatibility][measure]
    a, b, c, d, _, absent = counts.continuity_corrected(*given, rule=rule)
    product = {"RR": c * (a + b), "OR": b * c, "RD": (a + b) * (c + d)}[measure]
    return np.where(absent, 0.0, product / (a + b + c + d))


def _pooled(
    effects: Effects,
    method: Method,
    kernel: Callable[..., Any],
    shares: Callable[..., FloatArray] | None,
) -> Pooled:
    """The stratified estimate as a result like any other."""
    there = effects.present
    cells = [
        effects.table[name].to_numpy(dtype=np.float64)[there]
        for name in ("events_t", "n_t", "events_c", "n_c")
    ]
    found = kernel(*cells)
    if not np.isfinite(found.se):
        raise ValueError(
            f"{method.model} gives no interval here: all events are in one arm, or there are none; "
            "use an exact model (pool_exact) or show the trials"
        )
    weights = np.zeros(len(effects))
    per_table = shares(*cells) if shares else np.nan_to_num(found.variance)
    weights[there] = per_table / per_table.sum()
    estimate, se = float(found.estimate), float(found.se)
    half = float(normal_quantile((1 + method.level) / 2)) * se
    df = float(found.q_df)
    silent = int(found.k) - int(found.k_informative)
    notes: tuple[str, ...] = (_ASSUMES,) if found.k > 1 else ()
    if silent:
        notes = (
            *notes,
            f"{silent} of {int(found.k)} tables say nothing about the effect and add nothing",
        )
    return Pooled(
        effects,
        method,
        estimate,
        se,
        estimate - half,
        estimate + half,
        estimate / se,
        float(t_two_sided(estimate / se, np.inf)),
        np.inf,
        int(found.k),
        weights,
        q=float(found.q),
        q_df=df if df > 0 else np.nan,
        q_p_value=float(chi2_upper(found.q, df)) if df > 0 else np.nan,
        i2=float(i2_from_q(found.q, df)) if df > 0 else np.nan,
        h2=float(h2_from_q(found.q, df)) if df > 0 else np.nan,
        notes=notes,
        refit=partial(_refit, kernel, cells, method.level),
    )


def _refit(
    kernel: Callable[..., Any], cells: list[FloatArray], level: float, mask: BoolArray
) -> Combined:
    """The same estimate from subsets of the tables."""
    found = kernel(*cells, mask=mask)
    half = float(normal_quantile((1 + level) / 2)) * found.se
    low, high = found.estimate - half, found.estimate + half
    none = np.full(found.se.shape, np.nan)
    df = np.where(np.isfinite(found.se), np.inf, np.nan)
    return Combined(found.estimate, found.se, low, high, df, none, found.q, found.k, found.status)
