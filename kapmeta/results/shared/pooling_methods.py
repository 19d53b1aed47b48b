"""Sentences of a methods section for pooled results, one maker per model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from kapmeta._version import __version__
from kapmeta.methods import CI_NAMES, model_phrase, tau2_name
from kapmeta.references import short_references
from kapmeta.wording import percent, studies

if TYPE_CHECKING:
    from kapmeta.results.pooled import Pooled

__all__ = ["analysis_sentences", "paragraph", "software_sentence"]


def software_sentence() -> str:
    """Name the software and its version."""
    return f"The analysis was done with kapmeta {__version__}."


def paragraph(sentences: Iterable[str]) -> str:
    """Join sentences, each once, and close with the software."""
    return " ".join([*dict.fromkeys(filter(None, sentences)), software_sentence()])


def analysis_sentences(pooled: Pooled) -> list[str]:
    """Describe model, estimator and interval of a result with their references."""
    method = pooled.method
    if pooled.k < 2:
        return [
            "One study was available and nothing was pooled; its"
            f" {percent(method.level)} interval is {_interval(pooled)}."
        ]
    family = method.model.partition(",")[0]
    describe = _MODELS.get(method.model) or _MODELS.get(family, _other_model)
    sentences = [*describe(pooled)]
    if not math.isnan(pooled.prediction_low):
        papers = short_references(f"prediction {method.prediction}")
        sentences.append(
            f"A {percent(method.level)} prediction interval ({method.prediction}) is given{papers}."
        )
    return sentences


def _interval(pooled: Pooled) -> str:
    """Name the interval with its reference; of a hybrid, say which of the two it is."""
    ci = pooled.method.ci
    name = CI_NAMES.get(ci, ci)
    if ci != "hksj-hybrid" or pooled.k < 2:
        article = "" if "'s" in name.split(" interval")[0] else "the "
        return f"{article}{name}{short_references(ci)}"
    taken = "Hartung-Knapp" if math.isfinite(pooled.df) else "Wald"
    return (
        "the wider of the Hartung-Knapp and the Wald interval"
        f"{short_references(ci)}, here the {taken} interval"
    )


def _random_effects_sentences(pooled: Pooled) -> list[str]:
    method, level = pooled.method, percent(pooled.method.level)
    tau2 = f"{tau2_name(method)}{short_references(str(method.tau2))}"
    return [
        f"We pooled {studies(pooled.k)} with a random-effects model.",
        f"The between-study variance was estimated by {tau2}, its interval by the Q-profile"
        f" method{short_references('q-profile')}.",
        f"The {level} confidence interval of the mean is {_interval(pooled)}.",
    ]


def _common_effect(pooled: Pooled) -> list[str]:
    return [
        f"We pooled {studies(pooled.k)} with a common-effect model weighted by inverse variance,"
        " which allows for no heterogeneity.",
        f"The {percent(pooled.method.level)} confidence interval is {_interval(pooled)}.",
    ]


_CURVE_OF = {
    "RR": "binomial likelihood of the log risk ratio with the control risk profiled out",
    "RD": "binomial likelihood of the risk difference with the control risk profiled out",
    "OR": "exact conditional likelihood of the log odds ratio, given the margins of its table",
}
_NARROW_SENTENCE = ", which is known to be narrow with few heterogeneous trials"


def _informative_sentence(pooled: Pooled) -> str:
    """Say how many of the trials have information on the effect."""
    all_of_them = len(pooled.effects) == pooled.k
    shown = f"All {pooled.k}" if all_of_them else f"Of {len(pooled.effects)} trials {pooled.k}"
    return f"{shown}{' trials' * all_of_them} have information on the {pooled.scale.name}."


def _on_curves_sentences(curve: str, *, random: bool) -> Callable[[Pooled], list[str]]:
    """Describe a maximum-likelihood model on the tables' own likelihood curves."""

    def describe(pooled: Pooled) -> list[str]:
        kind = "random-effects" if random else "common-effect"
        papers = short_references("Binomial-normal model")
        likelihood = curve or _CURVE_OF[pooled.measure]
        effects = "normal trial effects, mean and variance by maximum likelihood"
        narrow = _NARROW_SENTENCE * (random and pooled.method.ci == "profile")
        return [
            f"We fitted a {kind} model for the counts of {studies(pooled.k)} without continuity"
            f" correction{papers}: each trial's {likelihood}"
            f"{f'; {effects}' if random else '; one effect common to all'}.",
            f"The {percent(pooled.method.level)} confidence interval is"
            f" {_interval(pooled)}{narrow}.",
            _informative_sentence(pooled),
        ]

    return describe


_LINKS = {"RR": "log", "OR": "logit", "RD": "identity"}


def _beta_binomial_sentences(pooled: Pooled) -> list[str]:
    papers, level = short_references("Beta-binomial model"), percent(pooled.method.level)
    reference = (
        f"t distribution with {pooled.df:g} degrees of freedom"
        if math.isfinite(pooled.df)
        else "normal distribution"
    )
    return [
        f"We fitted a beta-binomial model with {_LINKS[pooled.measure]} link to the counts of"
        f" {studies(pooled.k)}{papers}: the arms are independent groups with a common correlation,"
        " and their pairing within trials is ignored.",
        f"The {level} confidence interval takes its quantile from the {reference}.",
    ]


_STRATIFIED_VARIANCES = {
    "RR": "Greenland and Robins (1985)",
    "OR": "Robins, Breslow and Greenland (1986)",
    "RD": "Sato, Greenland and Robins (1989)",
}


def _mantel_haenszel_sentences(pooled: Pooled) -> list[str]:
    mode = pooled.method.model.partition(", ")[2]
    plain = mode == "no correction"
    correction = " without continuity correction" if plain else f" ({mode})"
    variance = f" with the variance of {_STRATIFIED_VARIANCES[pooled.measure]}" * plain
    return [
        f"We estimated a common {pooled.scale.name} of {studies(pooled.k)} by the Mantel-Haenszel"
        f" method{short_references('Mantel-Haenszel')}{variance},{correction}; no heterogeneity is"
        " allowed for.",
        f"The {percent(pooled.method.level)} confidence interval is {_interval(pooled)}.",
    ]


def _peto_sentences(pooled: Pooled) -> list[str]:
    method = pooled.method
    return [
        f"We estimated a common odds ratio of {studies(pooled.k)} by Peto's one-step"
        f" method{short_references(method.model)}; no heterogeneity is allowed for.",
        "It is biased where arms are of unequal size, effects are large or events are common.",
        f"The {percent(method.level)} confidence interval is {_interval(pooled)}.",
    ]


def _conditional(pooled: Pooled) -> list[str]:
    return [
        f"We estimated a common odds ratio of {studies(pooled.k)} from the exact conditional"
        " distribution of the counts given the margins of their"
        f" tables{short_references('Binomial-normal model')}; no heterogeneity is allowed for.",
        f"The {percent(pooled.method.level)} confidence interval is {_interval(pooled)}.",
        _informative_sentence(pooled),
    ]


def _other_model(pooled: Pooled) -> list[str]:
    model = pooled.method.model
    papers = short_references(model, model.partition(",")[0])
    return [
        f"We pooled {studies(pooled.k)} with this model{papers}: {model_phrase(pooled.method)}.",
        f"The {percent(pooled.method.level)} confidence interval is {_interval(pooled)}.",
    ]


_MODELS: Mapping[str, Callable[[Pooled], list[str]]] = MappingProxyType(
    {
        "random": _random_effects_sentences,
        "common": _common_effect,
        "Binomial-normal model": _on_curves_sentences("", random=True),
        "Hypergeometric-normal model (CM.EL)": _on_curves_sentences("", random=True),
        "Conditional binomial-normal model (CM.AL)": _on_curves_sentences(
            "binomial likelihood of the treated events given all events, for rare events",
            random=True,
        ),
        "Binomial model": _on_curves_sentences("", random=False),
        "Beta-binomial model": _beta_binomial_sentences,
        "Exact conditional model": _conditional,
        "Mantel-Haenszel": _mantel_haenszel_sentences,
        "Peto's one-step method": _peto_sentences,
    }
)
"""Makers of sentences by model, or by the part of its name before a comma."""
