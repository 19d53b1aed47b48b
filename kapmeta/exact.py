"""Pooling from the counts themselves: binomial likelihoods and exact distributions, without continuity correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core import beta_binomial, exact_difference, firth, hypergeometric, likelihood_models, logistic_models
from kapmeta.core.arrays import BoolArray, FloatArray
from kapmeta.core.combining import Combined
from kapmeta.core.distributions import chi2_upper, normal_quantile, t_quantile, t_two_sided
from kapmeta.core.likelihood_curves import Tables, Tabulated, odds_ratio_conditional, tabulated
from kapmeta.core.status import Status
from kapmeta.effects import Names, arcsine_difference, odds_ratio, risk_difference, risk_ratio
from kapmeta.pooling import one_question, pool
from kapmeta.protocol import PRIMARY, Method
from kapmeta.results import Effects, Pooled

__all__ = ["EXACT_MODELS", "ExactModel", "counts_and_curves", "pool_exact"]

_RARE = 0.1  # risk above which the approximation for rare events is refused
_EFFECTS: dict[str, tuple[Callable[..., Effects], str]] = {
    "RR": (risk_ratio, "koopman"),
    "OR": (odds_ratio, "mid-p"),
    "RD": (risk_difference, "miettinen-nurminen-rd"),
}


class Estimate(NamedTuple):
    """What a model gives: on the analysis scale, with the share of each table in the information on the effect."""

    estimate: float
    se: float
    low: float
    high: float
    p_value: float
    df: float = math.inf
    tau2: float = math.nan
    tau2_low: float = math.nan
    tau2_high: float = math.nan
    modes: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


class Data(NamedTuple):
    """Checked tables that take part, their labels, their curves, and what was asked for."""

    tables: Tables
    labels: tuple[str, ...]
    curves: list[Tabulated]
    measure: str
    ci: str
    level: float


class ExactModel(NamedTuple):
    """A row of `EXACT_MODELS`: how it fits, what it offers, and when to use it."""

    fit: Callable[[Data], Estimate]
    name: str
    measures: tuple[str, ...]
    intervals: tuple[str, ...]
    uses: str
    least: int = 1  # trials
    silent: tuple[str, ...] = ()  # measures for which tables without a contrast take part all the same


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

    For few trials with few events, where a continuity correction would decide the answer. Not for effects that were
    reported without counts. Which model: see `EXACT_MODELS`, each of which says what it is for and refuses what it
    is not for.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    model : str
        A word of `EXACT_MODELS`.
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
        Log scale for ratios. A limit that the data do not set is infinite. `weights` are shares of the information
        on the effect; `q` is the likelihood-ratio statistic for differences between trials.

    Raises
    ------
    ValueError
        If no table says anything, if the model does not suit the data, or if a word is unknown; as in
        `kapmeta.risk_ratio`.

    References
    ----------
    .. [1] Stijnen T, Hamza TH, Ozdemir P. Random effects meta-analysis of event outcome in the framework of the
       generalized linear mixed model with applications in sparse data. Stat Med 2010;29:3046-3067.
       https://doi.org/10.1002/sim.4040
    .. [2] Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven random-effects models for
       meta-analyses that estimate the summary odds ratio. Stat Med 2018;37:1059-1085.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [13, 6, 12], "n_t": [26, 35, 27],
    ...                        "events_c": [6, 2, 0], "n_c": [27, 35, 28]})
    >>> pool_exact(trials)
    Pooled(RR 5.13 (95 % CI 0.83 to 211.27), k=3, Binomial-normal model)
    >>> pool_exact(trials, model="conditional")
    Pooled(OR 6.17 (95 % CI 2.46 to 17.35), k=3, Exact conditional model)
    """
    checking.chosen(model, EXACT_MODELS, "exact model")
    level = checking.proportion(level, "level")
    chosen = EXACT_MODELS[model]
    measure = checking.chosen(measure or chosen.measures[0], chosen.measures, f'measure of model "{model}"')
    if model == "arcsine":
        return pool(arcsine_difference(trials, **names), level=level, mixed=mixed)
    ci = checking.chosen(ci or chosen.intervals[0], chosen.intervals, f'interval of model "{model}"')
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
    _refuse(data, chosen, model)
    return _pooled(effects, taking_part, data, chosen, notes)


def counts_and_curves(
    trials: pd.DataFrame, measure: str, mixed: bool, names: Names, *, silent: bool = False
) -> tuple[Effects, Tables, list[Tabulated], tuple[str, ...]]:
    """Effects to show, with intervals that need no correction; the tables and their curves; what was set aside.

    Tables without a contrast are excluded, with their reason, unless they take part all the same (`silent`).
    """
    function, interval = _EFFECTS[measure]
    rule = "half-if-any" if silent or measure == "RD" else "drop"
    effects, notes = one_question(function(trials, interval=interval, zero=rule, **names), mixed)
    cells = {name: effects.table[name].to_numpy(dtype=np.float64) for name in ("events_t", "n_t", "events_c", "n_c")}
    a, n1, c, n2 = cells.values()
    tables = Tables(a, n1 - a, c, n2 - c)
    seen, _, _ = effects.limits(0.95)
    effects = replace(effects, y=np.where(np.isnan(seen), effects.y, seen), zero=None)
    return effects, tables, tabulated(measure, tables), notes


def _taking_part(effects: Effects, curves: list[Tabulated], silent: bool) -> BoolArray:
    """Studies not set aside; those without a contrast only where the model learns from them."""
    without_estimate = ~(effects.v < np.inf)
    set_aside = np.array([i in effects.excluded for i in range(len(effects))]) & ~without_estimate
    informative = np.array([curve.informative for curve in curves])
    return ~set_aside & (informative | silent)


def nothing_said(measure: str) -> str:
    """The error for tables in none of which the arms can be compared."""
    return (
        f"no table says anything about the {measure}: nobody, or everybody, had the event in both arms of each; the "
        'risk difference has an answer: pool_exact(trials, model="combination", measure="RD")'
    )


def _refuse(data: Data, model: ExactModel, word: str) -> None:
    informative = [curve for curve in data.curves if curve.informative]
    if not informative:
        raise ValueError(nothing_said(data.measure))
    if len(data.labels) < model.least:
        raise ValueError(
            f'model "{word}" needs {model.least} trials: got {len(data.labels)}; one trial has an interval of its own, '
            'model="binomial-normal" or model="conditional"'
        )


def _pooled(effects: Effects, taking_part: BoolArray, data: Data, model: ExactModel, notes: tuple[str, ...]) -> Pooled:
    found = model.fit(data)
    k = len(data.labels)
    silent = sum(not curve.informative for curve in data.curves)
    if silent:
        notes = (*notes, f"{silent} of {k} tables have no estimate of their own and take part")
    if math.isinf(found.estimate):
        notes = (
            *notes,
            "the likelihood only rises on one side: the estimate is infinite and one limit is all there is",
        )
    method = Method(model.name if k > 1 else "single", "ML", data.ci, "none", data.level)
    q = _heterogeneity(data.curves)
    df = sum(curve.informative for curve in data.curves) - 1
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
        _shares(effects, taking_part, data, found),
        tau2=found.tau2 if k > 1 else math.nan,
        tau2_low=found.tau2_low if k > 1 else math.nan,
        tau2_high=found.tau2_high if k > 1 else math.nan,
        q=q if df > 0 else math.nan,
        q_df=float(df) if df > 0 else math.nan,
        q_p_value=float(chi2_upper(q, df)) if df > 0 else math.nan,
        modes=found.modes,
        notes=(*notes, *found.notes),
        refit=partial(_refit, data, model),
    )


def _refit(data: Data, model: ExactModel, mask: BoolArray) -> Combined:
    """The same model on subsets of the tables, one by one; nan where it gives no answer."""
    rows = np.asarray(mask, dtype=bool)
    flat = rows.reshape(-1, rows.shape[-1])
    found = np.full((6, len(flat)), np.nan)
    for i, keep in enumerate(flat):
        some = data._replace(
            tables=type(data.tables)(*(cell[keep] for cell in data.tables)),
            labels=tuple(np.array(data.labels)[keep]),
            curves=[curve for curve, yes in zip(data.curves, keep, strict=True) if yes],
        )
        try:
            fit = model.fit(some)
        except ValueError:
            continue
        found[:, i] = fit.estimate, fit.se, fit.low, fit.high, fit.df, fit.tau2
    estimate, se, low, high, df, tau2 = (part.reshape(rows.shape[:-1]) for part in found)
    k = np.asarray(rows.sum(-1))
    status = np.where(np.isnan(estimate), Status.REFUSED, np.where(k > 1, Status.OK, Status.ONE_STUDY))
    unknown = np.full(k.shape, np.nan)
    return Combined(estimate, se, low, high, df, np.where(k > 1, tau2, np.nan), unknown, k, status)


def _heterogeneity(curves: list[Tabulated]) -> float:
    """Twice the fall of the log-likelihood when all tables share one effect."""
    informative = [curve for curve in curves if curve.informative]
    if len(informative) < 2:
        return math.nan
    common = likelihood_models.maximum(informative, random=False)
    return max(0.0, 2 * (sum(curve.top for curve in informative) - common.loglik))


def _shares(effects: Effects, taking_part: BoolArray, data: Data, found: Estimate) -> FloatArray:
    """Shares in the information on the effect: minus the second derivatives of the tables' log-likelihoods there."""
    tau = math.sqrt(found.tau2) if found.tau2 > 0 else 0.0
    each = np.zeros(len(data.curves))
    if math.isfinite(found.estimate):
        at = np.array([found.estimate]), np.array([tau])
        each = np.array([-float(likelihood_models.marginal([curve], *at).hessian[0, 0, 0]) for curve in data.curves])
    each = np.maximum(each, 0.0)
    if not each.sum() > 0:
        each = np.array([float(curve.informative) for curve in data.curves])
    weights = np.zeros(len(effects))
    weights[taking_part] = each / each.sum()
    return weights


def _wald(estimate: float, se: float, data: Data, df: float) -> tuple[float, float, float]:
    """Limits and p-value from a normal or t reference."""
    if not 0 < se < math.inf:
        raise ValueError(
            f'ci="{data.ci}" does not exist here: the estimate is infinite, or the likelihood bends sharply at it; '
            'use ci="profile" or model="conditional"'
        )
    half = se * float(t_quantile((1 + data.level) / 2, df) if df < math.inf else normal_quantile((1 + data.level) / 2))
    return estimate - half, estimate + half, float(t_two_sided(estimate / se, df))


def _on_curves(data: Data, *, random: bool) -> Estimate:
    """Maximum likelihood on the curves; with one trial its own likelihood."""
    random = random and len(data.curves) > 1
    fit = likelihood_models.maximum(data.curves, level=data.level, random=random)
    if math.isnan(fit.mu):
        raise ValueError(
            "the likelihood is highest for infinitely different effects: the trials have zero cells on opposite "
            "sides and contradict each other; show them one by one, or give tau a prior with pool_bayes"
        )
    low, high, df = fit.low, fit.high, math.inf
    null = _likelihood_at(data.curves, 0.0, random)
    p_value = float(chi2_upper(max(0.0, 2 * (fit.loglik - null)), 1))
    if data.ci != "profile":
        df = len(data.curves) - 1.0 if data.ci == "t" else math.inf
        low, high, p_value = _wald(fit.mu, fit.se, data, df)
    notes = []
    if math.isinf(low) and math.isinf(high):
        notes.append("so few trials with events on one side only set no limit: a wide enough tau explains any mean")
    if len(fit.modes) > 1:
        notes.append(f"the likelihood has {len(fit.modes)} modes; the highest is shown")
    return Estimate(
        fit.mu,
        fit.se,
        low,
        high,
        p_value,
        df,
        fit.tau**2 if random else math.nan,
        fit.tau_low**2 if random else math.nan,
        fit.tau_high**2 if random else math.nan,
        tuple(tau**2 for _, tau, _ in fit.modes) if random else (),
        tuple(notes),
    )


def _likelihood_at(curves: list[Tabulated], mu: float, random: bool) -> float:
    """Highest log-likelihood with the mean held at `mu`."""
    return likelihood_models.profile_at(curves, mu, random=random)


def _binomial_normal(data: Data) -> Estimate:
    return _on_curves(data, random=True)


def _binomial_common(data: Data) -> Estimate:
    return _on_curves(data, random=False)


def _conditional(data: Data) -> Estimate:
    t = data.tables
    found = hypergeometric.common_odds_ratio(t.a, t.n1, t.c, t.n2, interval=data.ci, level=data.level)
    estimate = float(found.estimate)
    se = math.inf
    if math.isfinite(estimate):
        at = np.full((len(data.curves), 1), estimate)
        se = 1 / math.sqrt(-float(odds_ratio_conditional(t, at).curvature.sum()))
    return Estimate(estimate, se, float(found.low), float(found.high), float(found.p_value))


def _rare(data: Data) -> Estimate:
    t = data.tables
    risk = np.maximum(t.a / t.n1, t.c / t.n2)
    checking.refuse_first(
        risk > _RARE,
        data.labels,
        lambda i: 'model "CM.AL" is for rare events',
        lambda i: (
            f"a risk of {risk[i]:.2g} is above {_RARE:g}, where it gives a rate ratio, not an odds ratio; "
            'use model="CM.EL"'
        ),
    )
    return _on_curves(data._replace(curves=tabulated("OR-rare", t)), random=True)


def _logistic(data: Data, *, random_studies: bool) -> Estimate:
    falls_left, falls_right = likelihood_models.sides(data.curves)
    if not (falls_left and falls_right):
        raise ValueError(
            "the estimate is infinite: every table with a contrast has its events on one side; "
            'use model="conditional" or model="binomial-normal", whose intervals are one-sided then'
        )
    model = logistic_models.Model(data.tables, random_studies)
    profile = data.ci == "profile"
    fit = logistic_models.maximum(model, level=data.level, profile=profile)
    df = len(data.curves) - 1.0 if data.ci == "t" else math.inf
    low, high, p_value = _wald(fit.mu, fit.se, data, df)
    if profile:
        low, high = fit.low, fit.high
        p_value = float(chi2_upper(max(0.0, 2 * (fit.loglik - logistic_models.profile_at(model, fit, 0.0))), 1))
    return Estimate(fit.mu, fit.se, low, high, p_value, df, fit.tau**2)


def _fixed_studies(data: Data) -> Estimate:
    return _logistic(data, random_studies=False)


def _random_studies(data: Data) -> Estimate:
    found = _logistic(data, random_studies=True)
    return found._replace(notes=("risks are compared between trials too, not only within them",))


def _beta_binomial(data: Data) -> Estimate:
    fit = beta_binomial.beta_binomial(data.tables, measure=data.measure)
    if not math.isfinite(fit.se):
        raise ValueError(
            "the beta-binomial estimate does not exist: one arm has no event, or nothing but events, in all trials "
            'together; use model="conditional" or model="binomial-normal"'
        )
    df = 2.0 * len(data.curves) - 2 if data.ci == "t" else math.inf
    low, high, p_value = _wald(fit.estimate, fit.se, data, df)
    note = f"the pairing of arms within trials is ignored; correlation within arms {fit.rho:.3g}"
    return Estimate(fit.estimate, fit.se, low, high, p_value, df, notes=(note,))


def _firth(data: Data) -> Estimate:
    fit = firth.firth(data.tables, level=data.level)
    low, high, p_value = _wald(fit.estimate, fit.se, data, math.inf)
    if data.ci == "profile":
        low, high, p_value = fit.low, fit.high, fit.p_value
    return Estimate(fit.estimate, fit.se, low, high, p_value, notes=(_COMMON,) if len(data.curves) > 1 else ())


def _combination(data: Data) -> Estimate:
    t = data.tables
    if data.measure == "OR":
        found = exact_difference.odds_ratio_combination(t, np.ones(len(data.labels)), level=data.level)
    else:
        weight = np.sqrt(t.n1 * t.n2 / (t.n1 + t.n2))
        found = exact_difference.risk_difference_combination(t, weight, level=data.level)
    return Estimate(found.estimate, math.nan, found.low, found.high, found.p_value)


_COMMON = "the interval holds if there is no heterogeneity between the studies"

EXACT_MODELS: Mapping[str, ExactModel] = MappingProxyType(
    {
        "binomial-normal": ExactModel(
            _binomial_normal,
            "Binomial-normal model",
            ("RR", "OR"),  # a normal distribution of risk differences would leave -1 to 1
            ("profile", "wald", "t"),
            "random effects on the tables' own likelihood curves; k 1 to 60, any zero",
        ),
        "binomial-common": ExactModel(
            _binomial_common,
            "Binomial model, common effect",
            ("RR", "OR", "RD"),
            ("profile", "wald"),
            "the same if there is no heterogeneity",
        ),
        "conditional": ExactModel(
            _conditional,
            "Exact conditional model",
            ("OR",),
            ("exact", "mid-p"),
            "one odds ratio common to all trials, or one trial; nothing is approximate",
        ),
        "CM.EL": ExactModel(
            _binomial_normal,
            "Hypergeometric-normal model (CM.EL)",
            ("OR",),
            ("profile", "wald", "t"),
            "the preferred random-effects model of odds ratios; what binomial-normal is for OR",
            least=2,
        ),
        "CM.AL": ExactModel(
            _rare,
            "Conditional binomial-normal model (CM.AL)",
            ("OR",),
            ("profile", "wald", "t"),
            "rare events only: refused when a risk is above 0.1",
            least=2,
        ),
        "UM.FS": ExactModel(
            _fixed_studies,
            "Logistic-normal model, fixed study effects (UM.FS)",
            ("OR",),
            ("profile", "wald", "t"),
            "comparison with published analyses; tau2 is biased downwards",
            least=2,
        ),
        "UM.RS": ExactModel(
            _random_studies,
            "Logistic-normal model, random study effects (UM.RS)",
            ("OR",),
            ("profile", "wald", "t"),
            "comparison with published analyses; compares risks between trials too",
            least=2,
            silent=("OR",),
        ),
        "beta-binomial": ExactModel(
            _beta_binomial,
            "Beta-binomial model, common correlation",
            ("RR", "OR", "RD"),
            ("t", "wald"),
            "second model beside a stratified one for 3 to 5 trials; double zeros take part",
            least=2,
            silent=("RR", "OR", "RD"),
        ),
        "firth": ExactModel(
            _firth,
            "Firth-penalised logistic model",
            ("OR",),
            ("profile", "wald"),
            "a common odds ratio that must be finite",
            silent=("OR",),
        ),
        "combination": ExactModel(
            _combination,
            "Combined exact p-value functions",
            ("RD", "OR"),
            ("exact",),
            "a common risk difference with double zeros, or a common odds ratio",
            silent=("RD",),
        ),
        "arcsine": ExactModel(
            _combination,
            "Arcsine differences",
            ("AS",),
            ("hksj-hybrid",),
            "a sensitivity scale that needs no correction; pooled as effects",
        ),
    }
)
"""Models of `pool_exact`, the default first."""
