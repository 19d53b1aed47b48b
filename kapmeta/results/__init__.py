"""Result classes, each with its own sentences, tables and text alternatives.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.results.dependence import Multilevel as Multilevel
    from kapmeta.results.dependence import RobustTests as RobustTests
    from kapmeta.results.designs import DoseTrend as DoseTrend
    from kapmeta.results.effects import Effects as Effects
    from kapmeta.results.multiverses import Multiverse as Multiverse
    from kapmeta.results.pooled import Pooled as Pooled
    from kapmeta.results.posteriors import Distribution as Distribution
    from kapmeta.results.posteriors import Posterior as Posterior
    from kapmeta.results.regressions import Design as Design
    from kapmeta.results.regressions import MetaRegression as MetaRegression
    from kapmeta.results.regressions import Subgroups as Subgroups
    from kapmeta.results.sensitivity import Calibration as Calibration
    from kapmeta.results.small_study import AdjustedEffect as AdjustedEffect
    from kapmeta.results.small_study import AsymmetryTest as AsymmetryTest
    from kapmeta.results.small_study import BiasSensitivity as BiasSensitivity
    from kapmeta.results.subsets import Subsets as Subsets
    from kapmeta.results.sweeps import Sweep as Sweep
    from kapmeta.results.tipping import Fragility as Fragility
    from kapmeta.results.tipping import Tipping as Tipping

_HOME = {
    "AdjustedEffect": "small_study",
    "AsymmetryTest": "small_study",
    "BiasSensitivity": "small_study",
    "Calibration": "sensitivity",
    "Design": "regressions",
    "Distribution": "posteriors",
    "DoseTrend": "designs",
    "Effects": "effects",
    "Fragility": "tipping",
    "MetaRegression": "regressions",
    "Multilevel": "dependence",
    "Multiverse": "multiverses",
    "Pooled": "pooled",
    "Posterior": "posteriors",
    "RobustTests": "dependence",
    "Subgroups": "regressions",
    "Subsets": "subsets",
    "Sweep": "sweeps",
    "Tipping": "tipping",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.results has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.results.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
