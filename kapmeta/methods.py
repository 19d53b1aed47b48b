"""Method, PRIMARY, and the names of models, estimators, intervals and zero-cell rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CI_NAMES",
    "MODEL_NAMES",
    "PRIMARY",
    "TAU2_NAMES",
    "ZERO_NAMES",
    "Method",
    "method_phrase",
    "method_text",
    "method_words",
    "model_name",
    "model_phrase",
    "tau2_name",
]


@dataclass(frozen=True)
class Method:
    """How effects are pooled.

    Attributes
    ----------
    model : str
        ``"random"`` or ``"common"``; other pooling functions put their own name here.
    tau2, ci, prediction : str
        Words of `kapmeta.core.heterogeneity.tau2.ESTIMATORS`,
        `kapmeta.core.pooling.intervals.INTERVALS` and
        `kapmeta.core.pooling.prediction.PREDICTIONS`; `tau2` may be a function.
        ``prediction="auto"`` gives none below five studies, and from five on the t interval
        with the standard error of the confidence interval.
    level : float
        Confidence level, a proportion.
    """

    model: str = "random"
    tau2: str | Callable[..., Any] = "REML"
    ci: str = "hksj-hybrid"
    prediction: str = "auto"
    level: float = 0.95


_OF_RANDOM_EFFECTS = ("tau2", "ci")  # a common effect has its own


def method_words(method: Method | None, **words: Any) -> dict[str, Any]:
    """Return the fields of `method` by name, or the words given in its place; refuse both.

    Parameters
    ----------
    method : Method or None
        All words at once.
    **words
        Fields of `Method` that the caller accepts, None where not given.

    Returns
    -------
    dict
        A value for each of `words`. `tau2` and `ci` are None where they are to be the default of
        the model: where not given, or left as they are in a `Method` of another model than
        ``"random"``.

    Raises
    ------
    ValueError
        If both `method` and one of the words are given.
    """
    if method is None:
        return {name: _default(name) if x is None else x for name, x in words.items()}
    if not isinstance(method, Method):
        raise TypeError(
            f"method must be a kapmeta.methods.Method: got {type(method).__name__}; e.g."
            ' Method(tau2="DL", ci="wald")'
        )
    for name, value in words.items():
        if value is not None:
            raise ValueError(
                f"method and {name} are both given: got {name}={value!r} and"
                f" method.{name}={getattr(method, name)!r}; leave one out"
            )
    found = {name: getattr(method, name) for name in words}
    if method.model != "random":
        found |= {
            name: None
            for name in _OF_RANDOM_EFFECTS
            if name in found and found[name] in (getattr(PRIMARY, name), "none")
        }
    return found


def _default(name: str) -> Any:
    return None if name in _OF_RANDOM_EFFECTS else getattr(PRIMARY, name)


PRIMARY = Method()
"""The primary method: REML, Hartung-Knapp interval no narrower than the Wald interval."""

TAU2_NAMES = {
    "REML": "restricted maximum likelihood (REML)",
    "ML": "maximum likelihood (ML)",
    "DL": "DerSimonian-Laird (DL)",
    "PM": "Paule-Mandel (PM)",
    "PMM": "median-unbiased Paule-Mandel (PMM)",
    "EB": "empirical Bayes (EB)",
    "HE": "Hedges (HE)",
    "HS": "Hunter-Schmidt (HS)",
    "HSk": "Hunter-Schmidt with small-sample correction (HSk)",
    "SJ": "Sidik-Jonkman (SJ)",
    "DL2": "two-step DerSimonian-Laird (DL2)",
    "CA2": "two-step Cochran ANOVA (CA2)",
}
CI_NAMES = {
    "as reported": "interval as reported",
    "koopman": "Koopman's score interval",
    "miettinen-nurminen-rr": "Miettinen and Nurminen's score interval",
    "miettinen-nurminen-rd": "Miettinen and Nurminen's score interval",
    "newcombe": "Newcombe's hybrid score interval",
    "exact": "exact interval",
    "mid-p": "mid-p exact interval",
    "wald": "Wald interval",
    "t": "t interval",
    "hksj": "Hartung-Knapp interval",
    "hksj-variance": "Hartung-Knapp interval with its variance factor held at 1 or more",
    "hksj-hybrid": "Hartung-Knapp interval, or the Wald interval where that is wider",
    "hksj-iqwig": "Hartung-Knapp interval unless narrower than the DerSimonian-Laird Wald interval",
    "kr": "Kenward-Roger interval",
    "profile": "profile-likelihood interval",
    "bartlett": "Bartlett-corrected profile-likelihood interval",
    "skovgaard": "Skovgaard-corrected likelihood interval",
    "henmi-copas": "Henmi-Copas interval",
    "permutation": "sign-flip permutation interval of the standardised estimate",
    "permutation-coefficient": "sign-flip permutation interval of the estimate itself",
}
MODEL_NAMES = {
    "common": "Common-effect model",
    "random": "Random-effects model",
    "single": "One trial, not pooled",
}
ZERO_NAMES = {
    "half-if-any": "0.5 added to the four cells of a table with a zero cell",
    "half-if-any-study": "0.5 added to every table if any has a zero cell",
    "half-all": "0.5 added to every cell of every table",
    "treatment-arm": "the reciprocal of the other arm's size added to a table with a zero cell",
    "empirical": "the empirical continuity correction added to a table with a zero cell",
    "none": "no continuity correction",
    "drop": "0.5 added to a table with a zero cell; tables without information left out",
}


def model_name(method: Method) -> str:
    """Name the model, for row labels of tables and figures."""
    return MODEL_NAMES.get(method.model, method.model)


def model_phrase(method: Method) -> str:
    """Name the model within a sentence: surnames keep their capital."""
    return (
        model_name(method) if method.model not in MODEL_NAMES else MODEL_NAMES[method.model].lower()
    )


def tau2_name(method: Method) -> str:
    """Name the estimator of the between-study variance."""
    if callable(method.tau2):
        return f"a function of the user's ({getattr(method.tau2, '__name__', 'unnamed')})"
    return TAU2_NAMES.get(method.tau2, method.tau2)


def method_text(method: Method) -> str:
    """Name model, estimator and interval, as a line under a result."""
    interval = CI_NAMES.get(method.ci, method.ci)
    if method.model != "random":
        return f"{model_name(method)}; {interval}"
    return f"{model_name(method)}; τ² by {tau2_name(method)}; {interval}"


def method_phrase(method: Method) -> str:
    """Name model, estimator and interval within a sentence."""
    return method_text(method).replace(model_name(method), model_phrase(method), 1)
