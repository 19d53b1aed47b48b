"""Binomial models of two-by-two tables: how each is fitted, what it offers and when to use it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from kapmeta import checking
from kapmeta.core.effects import hypergeometric
from kapmeta.core.exact import (
    beta_binomial,
    exact_difference,
    firth,
    likelihood_models,
    logistic_models,
    mode_search,
    profile_limits,
)
from kapmeta.core.exact.likelihood_curves import Tables, odds_ratio_conditional
from kapmeta.core.exact.tabulated_curves import Tabulated, tabulated
from kapmeta.core.numerics.distributions import chi2_upper, normal_quantile, t_quantile, t_two_sided
from kapmeta.pooling.inverse_variance import NO_HETEROGENEITY

__all__ = ["EXACT_MODELS", "Data", "Estimate", "ExactModel", "no_contrast"]

_RARE = 0.1  # risk above which the approximation for rare events is refused


class Estimate(NamedTuple):
    """Estimate of a model on the analysis scale, with its test, tau2, modes and notes."""

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
    silent: tuple[str, ...] = ()  # measures for which tables without a contrast take part


def no_contrast(measure: str) -> str:
    """Write the error for tables in none of which the arms can be compared."""
    return (
        f"no table has information on the {measure}: nobody, or everybody, had the event in both"
        ' arms of each; the risk difference has an answer: pool_exact(trials, model="combination",'
        ' measure="RD")'
    )


def _reference_limits(
    estimate: float, se: float, data: Data, df: float
) -> tuple[float, float, float]:
    """Return limits and p-value from a normal or t reference."""
    if not 0 < se < math.inf:
        raise ValueError(
            f'ci="{data.ci}" does not exist here: the estimate is infinite, or the likelihood bends'
            ' sharply at it; use ci="profile" or model="conditional"'
        )
    half = se * float(
        t_quantile((1 + data.level) / 2, df)
        if df < math.inf
        else normal_quantile((1 + data.level) / 2)
    )
    return estimate - half, estimate + half, float(t_two_sided(estimate / se, df))


def _on_curves(data: Data, *, random: bool) -> Estimate:
    """Maximise the likelihood on the curves; with one trial its own likelihood."""
    random = random and len(data.curves) > 1
    fit = likelihood_models.maximise_likelihood(data.curves, level=data.level, random=random)
    if math.isnan(fit.mu):
        raise ValueError(
            "the likelihood is highest for infinitely different effects: the trials have zero cells"
            " on opposite sides and contradict each other; show them one by one, or give tau a"
            " prior with pool_bayes"
        )
    low, high, df = fit.low, fit.high, math.inf
    null = profile_limits.profile_at(data.curves, 0.0, random=random)
    p_value = float(chi2_upper(max(0.0, 2 * (fit.loglik - null)), 1))
    if data.ci != "profile":
        df = len(data.curves) - 1.0 if data.ci == "t" else math.inf
        low, high, p_value = _reference_limits(fit.mu, fit.se, data, df)
    notes = []
    if math.isinf(low) and math.isinf(high):
        notes.append(
            "with so few trials, all with events on one side, there is no limit: a wide enough tau"
            " explains any mean"
        )
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


def _binomial_normal(data: Data) -> Estimate:
    return _on_curves(data, random=True)


def _binomial_common(data: Data) -> Estimate:
    return _on_curves(data, random=False)


def _exact_conditional(data: Data) -> Estimate:
    t = data.tables
    found = hypergeometric.common_odds_ratio(
        t.a, t.n1, t.c, t.n2, interval=data.ci, level=data.level
    )
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
        'model "CM.AL" is for rare events',
        lambda i: (
            f"a risk of {risk[i]:.2g} is above {_RARE:g}, where it gives a rate ratio, not an odds"
            ' ratio; use model="CM.EL"'
        ),
    )
    return _on_curves(data._replace(curves=tabulated("OR-rare", t)), random=True)


def _fit_logistic(data: Data, *, random_studies: bool) -> Estimate:
    falls_left, falls_right = mode_search.sides(data.curves)
    if not (falls_left and falls_right):
        raise ValueError(
            "the estimate is infinite: every table with a contrast has its events on one side; "
            'use model="conditional" or model="binomial-normal", whose intervals are one-sided then'
        )
    model = logistic_models.LogisticModel(data.tables, random_studies)
    profile = data.ci == "profile"
    fit = logistic_models.fit_logistic_model(model, level=data.level, profile=profile)
    df = len(data.curves) - 1.0 if data.ci == "t" else math.inf
    low, high, p_value = _reference_limits(fit.mu, fit.se, data, df)
    if profile:
        low, high = fit.low, fit.high
        p_value = float(
            chi2_upper(
                max(0.0, 2 * (fit.loglik - logistic_models.logistic_profile_at(model, fit, 0.0))), 1
            )
        )
    return Estimate(fit.mu, fit.se, low, high, p_value, df, fit.tau**2)


def _fixed_studies(data: Data) -> Estimate:
    return _fit_logistic(data, random_studies=False)


def _random_studies(data: Data) -> Estimate:
    found = _fit_logistic(data, random_studies=True)
    return found._replace(notes=("risks are compared between trials too, not only within them",))


def _beta_binomial(data: Data) -> Estimate:
    fit = beta_binomial.beta_binomial(data.tables, measure=data.measure)
    if not math.isfinite(fit.se):
        raise ValueError(
            "the beta-binomial estimate does not exist: one arm has no event, or nothing but"
            ' events, in all trials together; use model="conditional" or model="binomial-normal"'
        )
    df = 2.0 * len(data.curves) - 2 if data.ci == "t" else math.inf
    low, high, p_value = _reference_limits(fit.estimate, fit.se, data, df)
    note = f"the pairing of arms within trials is ignored; correlation within arms {fit.rho:.3g}"
    return Estimate(fit.estimate, fit.se, low, high, p_value, df, notes=(note,))


def _firth(data: Data) -> Estimate:
    fit = firth.firth(data.tables, level=data.level)
    low, high, p_value = _reference_limits(fit.estimate, fit.se, data, math.inf)
    if data.ci == "profile":
        low, high, p_value = fit.low, fit.high, fit.p_value
    notes = (NO_HETEROGENEITY,) if len(data.curves) > 1 else ()
    return Estimate(fit.estimate, fit.se, low, high, p_value, notes=notes)


def _combined_p_values(data: Data) -> Estimate:
    t = data.tables
    if data.measure == "OR":
        found = exact_difference.odds_ratio_combination(
            t, np.ones(len(data.labels)), level=data.level
        )
    else:
        weight = np.sqrt(t.n1 * t.n2 / (t.n1 + t.n2))
        found = exact_difference.risk_difference_combination(t, weight, level=data.level)
    return Estimate(found.estimate, math.nan, found.low, found.high, found.p_value)


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
            _exact_conditional,
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
            _combined_p_values,
            "Combined exact p-value functions",
            ("RD", "OR"),
            ("exact",),
            "a common risk difference with double zeros, or a common odds ratio",
            silent=("RD",),
        ),
        "arcsine": ExactModel(
            _combined_p_values,
            "Arcsine differences",
            ("AS",),
            ("hksj-hybrid",),
            "a sensitivity scale that needs no correction; pooled as effects",
        ),
    }
)
"""Models of `pool_exact`, the default first."""
