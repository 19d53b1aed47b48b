"""The arithmetic: arrays in, arrays out, the last axis holds studies, infinite variance marks an
absent one.

NumPy and SciPy only. Modules and the batch engine are loaded when first used: ``km.core.combine(y,
v)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.core.pooling.combining import Combined as Combined
    from kapmeta.core.pooling.combining import combine as combine

_FUNCTIONS = ("combine", "Combined")

_ROOMS = {
    "absolute_risks": "certainty",
    "arrays": "numerics",
    "asymmetry": "small_study",
    "beta_binomial": "exact",
    "bias_bounds": "small_study",
    "binomial_posterior": "bayes",
    "calibration": "sensitivity",
    "clustered": "moderators",
    "combining": "pooling",
    "conversions": "effects",
    "copas": "small_study",
    "counts": "effects",
    "dependence": "effects",
    "distributions": "numerics",
    "exact_difference": "exact",
    "fail_safe": "small_study",
    "firth": "exact",
    "fragility": "sensitivity",
    "henmi_copas": "pooling",
    "hypergeometric": "effects",
    "influence": "sensitivity",
    "information": "certainty",
    "intervals": "pooling",
    "likelihood_curves": "exact",
    "likelihood_intervals": "pooling",
    "likelihood_models": "exact",
    "likelihood_search": "numerics",
    "limit_meta_analysis": "small_study",
    "logistic_models": "exact",
    "marginal_likelihood": "exact",
    "masks": "numerics",
    "maxima": "numerics",
    "means": "effects",
    "missing": "sensitivity",
    "moderator_permutation": "moderators",
    "multivariate": "moderators",
    "permutation": "pooling",
    "posterior": "bayes",
    "prediction": "pooling",
    "printed_counts": "effects",
    "priors": "bayes",
    "proportions": "effects",
    "quadratic_forms": "numerics",
    "regression": "moderators",
    "regression_diagnostics": "moderators",
    "reported_effects": "effects",
    "residual_likelihood": "moderators",
    "residual_variance": "moderators",
    "risk_of_bias": "certainty",
    "roots": "numerics",
    "score_statistics": "effects",
    "selection": "small_study",
    "single_trial": "effects",
    "status": "numerics",
    "strata": "exact",
    "stratified": "exact",
    "stratified_tests": "exact",
    "subsets": "sensitivity",
    "survival": "effects",
    "tau2": "heterogeneity",
    "tau2_intervals": "heterogeneity",
    "trim_and_fill": "small_study",
    "universes": "sensitivity",
    "variance_likelihood": "heterogeneity",
    "weight_functions": "small_study",
    "weighting": "numerics",
}
"""Module -> the room it stands in: ``km.core.tau2`` is `kapmeta.core.heterogeneity.tau2`."""

__all__ = ["Combined", "combine"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _FUNCTIONS:
        value = getattr(import_module("kapmeta.core.pooling.combining"), name)
    else:
        path = f"kapmeta.core.{_ROOMS[name]}.{name}" if name in _ROOMS else f"kapmeta.core.{name}"
        try:
            value = import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
            raise AttributeError(f'kapmeta.core has no "{name}"') from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
