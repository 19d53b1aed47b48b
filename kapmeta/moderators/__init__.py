"""Moderators and dependence: subgroups, meta-regression, several effects of one trial, doses.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.moderators.cluster_robust import robust as robust
    from kapmeta.moderators.dependence import aggregate as aggregate
    from kapmeta.moderators.dependence import multilevel as multilevel
    from kapmeta.moderators.dependence import multivariate as multivariate
    from kapmeta.moderators.doses import dose_trend as dose_trend
    from kapmeta.moderators.regression import likelihood_ratio as likelihood_ratio
    from kapmeta.moderators.regression import meta_regression as meta_regression
    from kapmeta.moderators.subgroup_pooling import subgroups as subgroups

_HOME = {
    "aggregate": "dependence",
    "dose_trend": "doses",
    "likelihood_ratio": "regression",
    "meta_regression": "regression",
    "multilevel": "dependence",
    "multivariate": "dependence",
    "robust": "cluster_robust",
    "subgroups": "subgroup_pooling",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.moderators has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.moderators.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
