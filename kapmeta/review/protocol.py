"""The registered plan: what is pooled with what, how, and what may be headlined.

Everything the project decided before looking is written here as values, so that notebooks, tables and figures read
it and none of them can quietly choose for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["HEADLINE", "PRIMARY", "QUESTIONS", "SUBSTANCES", "WINDOWS", "Method", "Question", "Rule", "headline_rule"]


@dataclass(frozen=True)
class Method:
    """How effects are pooled.

    Attributes
    ----------
    model : str
        ``"random"`` or ``"common"``; other pooling functions put their own name here.
    tau2, ci, prediction : str
        Words of `kapmeta.core.tau2.ESTIMATORS`, `kapmeta.core.intervals.INTERVALS` and
        `kapmeta.core.prediction.PREDICTIONS`; `tau2` may be a function. ``prediction="auto"`` follows the plan: none
        below five studies, from five on the t interval with the standard error of the confidence interval.
    level : float
        Confidence level, a proportion.
    """

    model: str = "random"
    tau2: str | Callable[..., Any] = "REML"
    ci: str = "hksj-hybrid"
    prediction: str = "auto"
    level: float = 0.95


PRIMARY = Method()
"""The primary method: REML at its global maximum, Hartung-Knapp interval no narrower than the Wald interval."""

SUBSTANCES: Mapping[str, str] = MappingProxyType(
    {
        "alcohol": "pooled where the plan allows",
        "opioids": "shown trial by trial: no trial compares ketamine with a ketamine-free control",
        "cocaine": "one trial",
        "cannabis": "no controlled abstinence data",
        "tobacco": "no controlled abstinence data",
        "methamphetamine": "no controlled abstinence data",
    }
)
"""The substances of the review and what there is to analyse."""
WINDOWS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"end of trial": (0.0, 2.0), "6 months": (4.0, 8.0), "12 months": (9.0, 15.0), "24 months": (18.0, 30.0)}
)
"""Time windows in months after treatment began; a trial enters a pool once, in one window."""


@dataclass(frozen=True)
class Question:
    """One registered question: which comparisons may answer it together.

    Attributes
    ----------
    substance, title : str
        Where it belongs and how it is announced.
    measure : str
        ``"RR"``, ``"OR"`` or ``"MD"``.
    contrast : str
        The kind of comparison; kinds are never pooled with one another.
    randomised : bool
        Whether the trials were randomised; the two are never pooled with one another.
    roles : tuple of str
        Roles in the plan that take part.
    window : str or None
        Time window, where the question is about one.
    reported : str or None
        The event of reported effects that join the counts (turned round if it is the opposite), or are all there is.
    """

    substance: str
    title: str
    contrast: str = "ketamine_v_control"
    randomised: bool = True
    measure: str = "RR"
    roles: tuple[str, ...] = ("main", "provisional")
    window: str | None = None
    reported: str | None = None


QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {
        "alcohol-randomised": Question("alcohol", "ketamine v control, randomised"),
        "alcohol-not-randomised": Question(
            "alcohol", "ketamine v control, not randomised", randomised=False, roles=("sensitivity",)
        ),
        "alcohol-odds": Question("alcohol", "ketamine v control, randomised, odds", measure="OR", reported="relapse"),
        "alcohol-days": Question(
            "alcohol",
            "percent of days abstinent, randomised",
            measure="MD",
            reported="percent days abstinent",
        ),
        "opioids-sessions": Question(
            "opioids", "three v one session of ketamine, randomised", contrast="sessions", roles=("separate",)
        ),
        "opioids-dose": Question(
            "opioids", "high v low dose of ketamine, randomised", contrast="dose", roles=("not_pooled",)
        ),
        "cocaine-end-of-trial": Question("cocaine", "ketamine v control, randomised, end of trial"),
        "cocaine-6-months": Question(
            "cocaine", "ketamine v control, randomised, 6 months", roles=("alternative_time",), window="6 months"
        ),
    }
)
"""The registered questions. New trials in `data/` join by their contrast, design and role, not by name."""


@dataclass(frozen=True)
class Rule:
    """What may be headlined with `k` studies, what is shown beside it and what is refused."""

    headline: str
    beside: str
    refused: str


HEADLINE: Mapping[str, Rule] = MappingProxyType(
    {
        "0": Rule("nothing", "the trials that exist and what is missing", "any number"),
        "1": Rule(
            "the trial's own estimate with its score interval",
            "its absolute effect",
            "a pooled diamond, tau2, I2 and a prediction interval: one trial has no between-study variance",
        ),
        "2": Rule(
            "the Bayesian interval with a half-normal prior of scale 0.5 on tau, both trials side by side",
            'other prior scales, and the common-effect estimate, named "if no heterogeneity"',
            "a random-effects interval as headline (from two trials it is either absurdly narrow or more than "
            "12 standard errors wide), I2 and a prediction interval",
        ),
        "3-4": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the estimator line",
            "a DerSimonian-Laird Wald interval as the only result, and any test of funnel asymmetry",
        ),
        "5+": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the prediction interval and the estimator line",
            "tests of funnel asymmetry below ten studies",
        ),
    }
)
"""Headline policy by number of studies."""


def headline_rule(k: int) -> Rule:
    """The headline rule that holds for `k` studies."""
    return HEADLINE[str(k) if k < 3 else "3-4" if k < 5 else "5+"]
