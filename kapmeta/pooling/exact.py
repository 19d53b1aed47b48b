"""Pooling from the counts: binomial likelihoods and exact distributions, no correction."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.exact import likelihood_models
from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.exact.marginal_likelihood import marginal
from kapmeta.core.exact.tabulated_curves import Tabulated, tabulated
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling.combining import Combined
from kapmeta.effects.counts import CELLS, COUNT_MEASURES, Names, from_counts
from kapmeta.effects.gaps import complete
from kapmeta.methods import PRIMARY, Method
from kapmeta.pooling.exact_models import EXACT_MODELS, Data, Estimate, ExactModel, no_contrast
from kapmeta.pooling.inverse_variance import one_question, pool, shares_by_study
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

__all__ = ["counts_and_curves", "pool_exact"]


@checking.checked
def pool_exact(
    trials: pd.DataFrame,
    *,
    model: str = "binomial-normal",
    measure: str | None = None,
    ci: str | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Pooled:
    """Pool two-by-two tables by their own likelihoods, zero cells as they are.

    For few trials with few events, where a continuity correction would decide the answer. Not for
    effects that were reported without counts. The likelihood of an odds ratio is exact, conditional
    on the margins; that of a risk ratio or difference is a profile likelihood, with each control
    risk at its best value. Which model: see
    `kapmeta.pooling.exact_models.EXACT_MODELS`, each of which says what it is for and refuses what
    it is not for.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    model : str
        A word of `kapmeta.pooling.exact_models.EXACT_MODELS`.
    measure : {"RR", "OR", "RD"}, optional
        The first that the model offers by default.
    ci : str, optional
        Interval, of those the model offers; the first by default.
    level : float
        Confidence level, a proportion.
    mixed : bool
        As in `kapmeta.pool`.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Pooled
        Log scale for ratios. A limit that the data do not set is infinite. `weights` are shares of
        the information on the effect; `q` is the likelihood-ratio statistic for differences between
        trials.

    Raises
    ------
    ValueError
        If no table has information, if the model does not suit the data, or if a word is unknown;
        as in `kapmeta.risk_ratio`.

    References
    ----------
    .. [1] Stijnen T, Hamza TH, Ozdemir P. Random effects meta-analysis of event outcome in the
       framework of the generalized linear mixed model with applications in sparse data. Stat Med
       2010;29:3046-3067. https://doi.org/10.1002/sim.4040
    .. [2] Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven
       random-effects models for meta-analyses that estimate the summary odds ratio. Stat Med
       2018;37:1059-1085.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [13, 6, 12],
    ...                        "n_t": [26, 35, 27], "events_c": [6, 2, 0], "n_c": [27, 35, 28]})
    >>> pool_exact(trials)
    Pooled(RR 5.13 (95 % CI 0.83 to 211.27), k=3, Binomial-normal model)
    >>> pool_exact(trials, model="conditional")
    Pooled(OR 6.17 (95 % CI 2.46 to 17.35), k=3, Exact conditional model)
    """
    checking.chosen(model, EXACT_MODELS, "exact model")
    level = checking.proportion(level, "level")
    chosen = EXACT_MODELS[model]
    measure = checking.chosen(
        chosen.measures[0] if measure is None else measure,
        chosen.measures,
        f'measure of model "{model}"',
    )
    if model == "arcsine":
        return pool(from_counts(trials, "AS", **names), level=level, mixed=mixed)
    ci = checking.chosen(
        chosen.intervals[0] if ci is None else ci,
        chosen.intervals,
        f'interval of model "{model}"',
        "ci",
    )
    silent = measure in chosen.silent
    effects, tables, curves, notes = counts_and_curves(trials, measure, mixed, names, silent=silent)
    taking_part = _taking_part(effects, curves, silent)
    data = Data(
        Tables(*(cell[taking_part] for cell in tables)),
        tuple(label for label, yes in zip(effects.labels, taking_part, strict=True) if yes),
        [curve for curve, yes in zip(curves, taking_part, strict=True) if yes],
        measure,
        ci,
        level,
    )
    _refuse_uninformative(data, chosen, model)
    return _pool_likelihoods(effects, taking_part, data, chosen, notes)


def counts_and_curves(
    trials: pd.DataFrame, measure: str, mixed: bool, names: Names, *, silent: bool = False
) -> tuple[Effects, Tables, list[Tabulated], tuple[str, ...]]:
    """Return effects shown without correction, tables, likelihood curves and what was set aside.

    Tables without a contrast are excluded, with their reason, unless they take part all the same
    (`silent`).
    """
    interval = COUNT_MEASURES[measure].trial_interval
    rule = "half-if-any" if silent or measure == "RD" else "drop"
    found = from_counts(trials, measure, interval=interval, zero=rule, **names)
    effects, notes = one_question(found, mixed)
    # a row with a gap has no curve: an empty table stands in its place and takes no part
    a, n1, c, n2 = (
        np.where(complete(effects.table, CELLS), effects.table[name], empty)
        for name, empty in zip(CELLS, (0.0, 1.0, 0.0, 1.0), strict=True)
    )
    tables = Tables(a, n1 - a, c, n2 - c)
    seen, _, _ = effects.limits(0.95)
    effects = replace(effects, y=np.where(np.isnan(seen), effects.y, seen), zero=None)
    return effects, tables, tabulated(measure, tables), notes


def _taking_part(effects: Effects, curves: list[Tabulated], silent: bool) -> BoolArray:
    """Mark studies not set aside; those without a contrast only where the model uses them."""
    without_estimate = ~(effects.v < np.inf)
    set_aside = np.array([i in effects.excluded for i in range(len(effects))]) & ~without_estimate
    informative = np.array([curve.informative for curve in curves])
    return complete(effects.table, CELLS) & ~set_aside & (informative | silent)


def _refuse_uninformative(data: Data, model: ExactModel, word: str) -> None:
    if not any(curve.informative for curve in data.curves):
        raise ValueError(no_contrast(data.measure))
    if len(data.labels) < model.least:
        raise ValueError(
            f'model "{word}" needs {model.least} trials: got {len(data.labels)}; one trial has an'
            ' interval of its own, model="binomial-normal" or model="conditional"'
        )


def _pool_likelihoods(
    effects: Effects, taking_part: BoolArray, data: Data, model: ExactModel, notes: tuple[str, ...]
) -> Pooled:
    """Fit the model and describe the estimate as a result like any other."""
    found = model.fit(data)
    k = len(data.labels)
    silent = sum(not curve.informative for curve in data.curves)
    if silent:
        notes = (*notes, f"{silent} of {k} tables have no estimate of their own and take part")
    if math.isinf(found.estimate):
        notes = (
            *notes,
            "the likelihood only rises on one side: the estimate is infinite and one limit is all"
            " there is",
        )
    method = Method(model.name if k > 1 else "single", "ML", data.ci, "none", data.level)
    q, df = _heterogeneity(data.curves), k - silent - 1
    statistic = found.estimate / found.se if 0 < found.se < math.inf else math.nan
    return Pooled(
        effects,
        method,
        found.estimate,
        found.se,
        found.low,
        found.high,
        statistic,
        found.p_value,
        found.df,
        k,
        shares_by_study(effects, np.flatnonzero(taking_part), _information_of_tables(data, found)),
        tau2=found.tau2 if k > 1 else math.nan,
        tau2_low=found.tau2_low if k > 1 else math.nan,
        tau2_high=found.tau2_high if k > 1 else math.nan,
        q=q if df > 0 else math.nan,
        q_df=float(df) if df > 0 else math.nan,
        q_p_value=float(chi2_upper(q, df)) if df > 0 else math.nan,
        modes=found.modes,
        notes=(*notes, *found.notes),
        refit=partial(_fit_subsets, data, model),
    )


def _fit_subsets(data: Data, model: ExactModel, mask: BoolArray) -> Combined:
    """Fit the model to subsets of the tables, one by one; nan where it gives no answer."""
    rows = np.asarray(mask, dtype=bool)
    flat = rows.reshape(-1, rows.shape[-1])
    found = np.full((7, len(flat)), np.nan)
    for i, keep in enumerate(flat):
        some = data._replace(
            tables=type(data.tables)(*(cell[keep] for cell in data.tables)),
            labels=tuple(np.array(data.labels)[keep]),
            curves=[curve for curve, yes in zip(data.curves, keep, strict=True) if yes],
        )
        if len(some.labels) < model.least:
            continue
        try:
            fit = model.fit(some)
        except ValueError:
            continue
        q = _heterogeneity(some.curves)
        found[:, i] = (fit.estimate, fit.se, fit.low, fit.high, fit.df, fit.tau2, q)
    estimate, se, low, high, df, tau2, q_values = (part.reshape(rows.shape[:-1]) for part in found)
    k = np.asarray(rows.sum(-1))
    status = np.where(
        np.isnan(estimate), Status.REFUSED, np.where(k > 1, Status.OK, Status.ONE_STUDY)
    )
    return Combined(estimate, se, low, high, df, np.where(k > 1, tau2, np.nan), q_values, k, status)


def _heterogeneity(curves: list[Tabulated]) -> float:
    """Return twice the fall of the log-likelihood when all tables share one effect."""
    informative = [curve for curve in curves if curve.informative]
    if len(informative) < 2:
        return math.nan
    common = likelihood_models.common_log_likelihood(informative)
    return max(0.0, 2 * (sum(curve.top for curve in informative) - common))


def _information_of_tables(data: Data, found: Estimate) -> FloatArray:
    """Return the information of each table at the estimate: minus the second derivatives there."""
    tau = math.sqrt(found.tau2) if found.tau2 > 0 else 0.0
    each = np.zeros(len(data.curves))
    if math.isfinite(found.estimate):
        at = np.array([found.estimate]), np.array([tau])
        each = np.array([-float(marginal([curve], *at).hessian[0, 0, 0]) for curve in data.curves])
    each = np.maximum(each, 0.0)
    if not each.sum() > 0:
        each = np.array([float(curve.informative) for curve in data.curves])
    return each
