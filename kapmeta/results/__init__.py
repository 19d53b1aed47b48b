"""Result classes, each with its own sentences, tables and text alternatives.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.results.dependence import Multilevel as Multilevel
    from kapmeta.results.dependence import RobustTests as RobustTests
    from kapmeta.results.effects import Effects as Effects
    from kapmeta.results.multiverses import Multiverse as Multiverse
    from kapmeta.results.pooled import Pooled as Pooled
    from kapmeta.results.posteriors import Distribution as Distribution
    from kapmeta.results.posteriors import Posterior as Posterior
    from kapmeta.results.regressions import Design as Design
    from kapmeta.results.regressions import MetaRegression as MetaRegression
    from kapmeta.results.scenarios.simulations import HeadlineChoices as HeadlineChoices
    from kapmeta.results.scenarios.simulations import Simulation as Simulation
    from kapmeta.results.scenarios.unread_trials import UnreadTrial as UnreadTrial
    from kapmeta.results.sensitivity import Calibration as Calibration
    from kapmeta.results.small_study import AdjustedEffect as AdjustedEffect
    from kapmeta.results.small_study import AsymmetryTest as AsymmetryTest
    from kapmeta.results.small_study import BiasSensitivity as BiasSensitivity
    from kapmeta.results.subgroups import Subgroups as Subgroups
    from kapmeta.results.subsets import Subsets as Subsets
    from kapmeta.results.sweeps import Sweep as Sweep
    from kapmeta.results.tipping import Fragility as Fragility
    from kapmeta.results.tipping import Tipping as Tipping

_FILES = {
    "dependence": ["Multilevel", "RobustTests"],
    "effects": ["Effects"],
    "multiverses": ["Multiverse"],
    "pooled": ["Pooled"],
    "posteriors": ["Distribution", "Posterior"],
    "regressions": ["Design", "MetaRegression"],
    "sensitivity": ["Calibration"],
    "scenarios.simulations": ["HeadlineChoices", "Simulation"],
    "small_study": ["AdjustedEffect", "AsymmetryTest", "BiasSensitivity"],
    "subgroups": ["Subgroups"],
    "subsets": ["Subsets"],
    "sweeps": ["Sweep"],
    "tipping": ["Fragility", "Tipping"],
    "scenarios.unread_trials": ["UnreadTrial"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)
