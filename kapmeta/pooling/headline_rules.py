"""Rules for headlines by the number of studies, and the analyses each rule calls for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from kapmeta.core.bayes.empirical_priors import turner
from kapmeta.effects.counts import COUNT_MEASURES, Names, from_counts
from kapmeta.pooling.bayes import WIDE, bayes_each, pool_bayes
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.inverse_variance import checked_method, pool, pool_each
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior, Result

__all__ = [
    "BESIDE",
    "HEADLINE",
    "NOT_SHOWN",
    "SHOWN",
    "Entry",
    "FewStudies",
    "Rule",
    "fit_analyses",
    "headline_rule",
]

SHOWN, BESIDE, NOT_SHOWN = "headline", "beside", "not to be headlined"
"""Roles of analyses."""

_COMMON_EFFECT = "if no heterogeneity"


@dataclass(frozen=True)
class Entry:
    """One analysis with its role, its name and its result."""

    role: str
    name: str
    result: Result


@dataclass(frozen=True)
class FewStudies:
    """The studies given, those that take part with their counts, and the options."""

    effects: Effects
    question: Effects  # without what was set aside
    trials: pd.DataFrame | None  # counts of those that take part
    level: float
    mixed: bool
    names: Names

    @property
    def units(self) -> bool:
        """Whether the default prior of tau has no meaning: effects with a unit, or of one group."""
        scale = self.effects.scale
        return not scale.compares or (not scale.ratio and scale.key != "SMD")

    @property
    def sparse(self) -> bool:
        """Whether a table with a zero cell was corrected."""
        return bool(self.effects.corrected.any())

    @property
    def options(self) -> dict[str, Any]:
        """Level and mixing, which all analyses share."""
        return {"level": self.level, "mixed": self.mixed}


class _Analysis(NamedTuple):
    """One analysis to be fitted, with its options for `fit`; by inverse variance without one."""

    role: str
    name: str
    options: Mapping[str, Any]
    fit: Callable[..., Any]


def fit_analyses(studies: FewStudies, analyses: list[_Analysis]) -> tuple[Entry, ...]:
    """Fit every analysis, those that share the effects in one go each."""
    together: dict[Any, Iterator[Result | None]] = {
        fit: iter(fit(studies, [each.options for each in analyses if each.fit is fit]))
        for fit in (_pool_by_methods, _pool_by_priors)
    }
    results = [
        next(together[each.fit]) if each.fit in together else each.fit(studies, **each.options)
        for each in analyses
    ]
    return tuple(
        Entry(analysis.role, analysis.name, result)
        for analysis, result in zip(analyses, results, strict=True)
        if result is not None
    )


def _pool_by_methods(studies: FewStudies, each: list[Mapping[str, Any]]) -> list[Pooled]:
    """Pool the effects by each of several methods."""
    words = {"model": "random", "tau2": None, "ci": None, "prediction": "auto"}
    methods = [checked_method(**words | dict(own), level=studies.level) for own in each]
    return pool_each(studies.effects, methods, mixed=studies.mixed) if methods else []


def _pool_by_priors(studies: FewStudies, each: list[Mapping[str, Any]]) -> list[Any]:
    """Pool the effects under each of several priors; None where the default has no meaning."""
    if studies.units or not each:
        return [None] * len(each)
    priors = [(own.get("tau_prior"), own.get("mu_prior")) for own in each]
    return bayes_each(studies.effects, priors, **studies.options)


def _pool_tables_by_prior(studies: FewStudies, **options: Any) -> Posterior | None:
    """Pool the counts, where there are any."""
    if studies.trials is None:
        return None
    words = {"measure": studies.effects.measure, **studies.options, **studies.names}
    return pool_bayes(studies.trials, **words, **options)


def _pool_tables_by(
    studies: FewStudies, *, function: Callable[..., Pooled], **options: Any
) -> Pooled | None:
    """Pool the counts by `function`; None without counts, or where the model does not suit them."""
    if studies.trials is None:
        return None
    try:
        return function(studies.trials, **studies.options, **options, **studies.names)
    except ValueError:  # asked for by name, the function says why
        return None


def _no_heterogeneity(studies: FewStudies) -> _Analysis:
    """Choose the common-effect analysis: from the counts, where there are counts that allow it."""
    found = _pool_tables_by(studies, function=mantel_haenszel, measure=studies.effects.measure)
    if found is None:
        return _Analysis(BESIDE, _COMMON_EFFECT, {"model": "common"}, _pool_by_methods)
    return _Analysis(BESIDE, _COMMON_EFFECT, {}, lambda _: found)


def _one_study(studies: FewStudies) -> Iterator[_Analysis]:
    yield _Analysis(SHOWN, "the trial's own estimate", {}, _own_estimate)
    yield _Analysis(BESIDE, "absolute effect", {}, _absolute_effect)
    conditional = {"function": pool_exact, "model": "conditional"}
    yield _Analysis(BESIDE, "exact odds ratio", conditional, _pool_tables_by)
    wide = {"mu_prior": WIDE}  # of the trial's own effect: there is no tau
    if studies.trials is None:
        yield _Analysis(BESIDE, "Bayesian, under a wide prior", wide, _pool_by_priors)
    else:
        name = "Bayesian from the counts, under a wide prior"
        yield _Analysis(BESIDE, name, wide, _pool_tables_by_prior)


def _own_estimate(studies: FewStudies) -> Pooled:
    """Return the trial by itself, with a score or exact interval where it has counts."""
    if studies.trials is None:
        return pool(studies.effects, **studies.options)
    measure = studies.effects.measure
    interval = COUNT_MEASURES[measure].trial_interval
    found = from_counts(studies.trials, measure, interval=interval, **studies.names)
    return pool(found, **studies.options)


def _absolute_effect(studies: FewStudies) -> Pooled | None:
    """Return the risk difference of the trial by itself, with Newcombe's interval."""
    if studies.trials is None:
        return None
    found = from_counts(studies.trials, "RD", interval="newcombe", **studies.names)
    return pool(found, **studies.options)


def _half_normal_prior(role: str, scale: float, fit: Callable[..., Any]) -> _Analysis:
    data = {_pool_by_priors: "Bayesian", _pool_tables_by_prior: "Bayesian from the counts"}[fit]
    return _Analysis(role, f"{data}, half-normal({scale:g})", {"tau_prior": scale}, fit)


def _two_studies(studies: FewStudies) -> Iterator[_Analysis]:
    effects, tables = (
        _half_normal_prior(BESIDE, 0.5, fit) for fit in (_pool_by_priors, _pool_tables_by_prior)
    )
    if studies.sparse:  # a corrected zero cell decides the effects, not the counts
        effects = effects._replace(name="Bayesian from corrected effects, half-normal(0.5)")
    main, other = (tables, effects) if studies.sparse else (effects, tables)
    yield main._replace(role=SHOWN)
    yield _no_heterogeneity(studies)
    yield _half_normal_prior(BESIDE, 0.25, _pool_by_priors)
    yield _half_normal_prior(BESIDE, 1, _pool_by_priors)
    if studies.effects.measure == "OR":
        name, prior = "Bayesian, Turner's prior for subjective outcomes", turner("subjective")
        yield _Analysis(BESIDE, name, {"tau_prior": prior}, _pool_by_priors)
    yield other
    yield _Analysis(NOT_SHOWN, "REML, Hartung-Knapp", {}, _pool_by_methods)
    yield _Analysis(NOT_SHOWN, "REML, Wald", {"ci": "wald"}, _pool_by_methods)


def _three_or_four(studies: FewStudies) -> Iterator[_Analysis]:
    yield from _three_or_more(studies, SHOWN)


def _five_or_more(studies: FewStudies) -> Iterator[_Analysis]:
    yield from _three_or_more(studies, BESIDE)


def _three_or_more(studies: FewStudies, bayesian: str) -> Iterator[_Analysis]:
    yield _Analysis(SHOWN, "REML, hybrid Hartung-Knapp", {}, _pool_by_methods)
    yield _half_normal_prior(bayesian, 0.5, _pool_by_priors)
    yield _no_heterogeneity(studies)
    for word in ("PM", "DL", "SJ"):
        name = f"{word}, hybrid Hartung-Knapp"
        yield _Analysis(BESIDE, name, {"tau2": word}, _pool_by_methods)
    yield _half_normal_prior(BESIDE, 1, _pool_by_priors)
    if studies.sparse:
        yield _half_normal_prior(BESIDE, 0.5, _pool_tables_by_prior)
        for model in ("binomial-normal", "beta-binomial"):
            exact = {"function": pool_exact, "model": model, "measure": studies.effects.measure}
            yield _Analysis(BESIDE, model, exact, _pool_tables_by)
    usual = {"tau2": "DL", "ci": "wald"}
    yield _Analysis(NOT_SHOWN, "DerSimonian-Laird, Wald", usual, _pool_by_methods)


@dataclass(frozen=True)
class Rule:
    """What may be headlined with a number of studies, what is shown beside it and what is refused.

    `analyses` lists them; `itself` says whether a pooled result may be headlined itself.
    """

    headline: str
    beside: str
    refused: str
    analyses: Callable[[FewStudies], Iterator[_Analysis]]
    itself: bool


HEADLINE: Mapping[str, Rule] = MappingProxyType(
    {
        "0": Rule(
            "nothing",
            "the trials that exist and what is missing",
            "any number",
            lambda _: iter(()),
            itself=False,
        ),
        "1": Rule(
            "the trial's own estimate with its score interval",
            "its absolute effect",
            "a pooled diamond, tau2, I2 and a prediction interval: one trial has no between-study"
            " variance",
            _one_study,
            itself=False,
        ),
        "2": Rule(
            "the Bayesian interval with a half-normal prior of scale 0.5 on tau, both trials side"
            " by side",
            'other prior scales, and the common-effect estimate, named "if no heterogeneity"',
            "a random-effects interval as headline (from two trials it is either absurdly narrow or"
            " more than 12 standard errors wide), I2 and a prediction interval",
            _two_studies,
            itself=False,
        ),
        "3-4": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the estimator line",
            "a DerSimonian-Laird Wald interval as the only result, and any test of funnel"
            " asymmetry",
            _three_or_four,
            itself=True,
        ),
        "5-9": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the prediction interval and the estimator line",
            "tests of funnel asymmetry below ten studies",
            _five_or_more,
            itself=True,
        ),
        "10+": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the prediction interval and the estimator line",
            "a DerSimonian-Laird Wald interval as the only result",
            _five_or_more,
            itself=True,
        ),
    }
)
"""Headline policy by number of studies."""


def headline_rule(k: int) -> Rule:
    """Return the headline rule for `k` studies."""
    return HEADLINE[str(k) if k < 3 else "3-4" if k < 5 else "5-9" if k < 10 else "10+"]
