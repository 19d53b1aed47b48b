"""The arithmetic: arrays in, arrays out; the last axis holds studies, `inf` marks absent ones.

It uses NumPy and SciPy only. Modules and the batch engine are loaded when first used:
``km.core.combine(y, v)``, ``km.core.tau2.paule_mandel(y, v)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.core.pooling.combining import Combined as Combined
    from kapmeta.core.pooling.combining import combine as combine

_FUNCTIONS = ("combine", "Combined")

_MODULES = {
    "bayes": "binomial_posterior posterior priors",
    "certainty": "absolute_risks information risk_of_bias",
    "effects": (
        "conversions counts dependence hypergeometric means printed_counts proportions "
        "reported_effects score_statistics single_trial survival"
    ),
    "exact": (
        "beta_binomial exact_difference firth likelihood_curves likelihood_models logistic_models "
        "marginal_likelihood mode_search profile_limits strata stratified "
        "stratified_tests tabulated_curves"
    ),
    "heterogeneity": "tau2 tau2_intervals variance_likelihood",
    "moderators": (
        "clustered moderator_permutation multivariate regression regression_diagnostics "
        "residual_likelihood residual_variance"
    ),
    "numerics": (
        "arrays distributions likelihood_search masks maxima quadratic_forms rising_products roots "
        "status ties weighting"
    ),
    "pooling": "combining henmi_copas intervals likelihood_intervals permutation prediction",
    "sensitivity": "calibration fragility influence missing subsets universes",
    "small_study": (
        "asymmetry bias_bounds copas fail_safe limit_meta_analysis selection trim_and_fill "
        "weight_functions"
    ),
}
_ROOMS = {module: room for room, names in _MODULES.items() for module in names.split()}
"""Module -> its room: ``km.core.tau2`` is `kapmeta.core.heterogeneity.tau2`."""

__all__ = ["Combined", "combine"]


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *_ROOMS})


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
