"""Moderators and dependence: subgroups, meta-regression, several effects of one trial.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.moderators.cluster_robust import robust as robust
    from kapmeta.moderators.dependence import aggregate as aggregate
    from kapmeta.moderators.dependence import multilevel as multilevel
    from kapmeta.moderators.dependence import multivariate as multivariate
    from kapmeta.moderators.regression import likelihood_ratio as likelihood_ratio
    from kapmeta.moderators.regression import meta_regression as meta_regression
    from kapmeta.moderators.subgroup_pooling import subgroups as subgroups

_FILES = {
    "cluster_robust": ["robust"],
    "dependence": ["aggregate", "multilevel", "multivariate"],
    "regression": ["likelihood_ratio", "meta_regression"],
    "subgroup_pooling": ["subgroups"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)
