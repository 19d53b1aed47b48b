"""Sensitivity analyses: the same analysis repeated with something changed.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.sensitivity.choices import at_time as at_time
    from kapmeta.sensitivity.choices import estimator_table as estimator_table
    from kapmeta.sensitivity.choices import every_measure as every_measure
    from kapmeta.sensitivity.choices import pooled_measures as pooled_measures
    from kapmeta.sensitivity.choices import zero_rules as zero_rules
    from kapmeta.sensitivity.coverage import calibration as calibration
    from kapmeta.sensitivity.deletion import baujat as baujat
    from kapmeta.sensitivity.deletion import cumulative as cumulative
    from kapmeta.sensitivity.deletion import influence as influence
    from kapmeta.sensitivity.deletion import leave_one_out as leave_one_out
    from kapmeta.sensitivity.deletion import leave_two_out as leave_two_out
    from kapmeta.sensitivity.fragility import fragility_index as fragility_index
    from kapmeta.sensitivity.missingness import missing_outcomes as missing_outcomes
    from kapmeta.sensitivity.multiverses import multiverse as multiverse
    from kapmeta.sensitivity.overview import sensitivity_table as sensitivity_table
    from kapmeta.sensitivity.percentages import rounded_counts as rounded_counts
    from kapmeta.sensitivity.subsets import all_subsets as all_subsets
    from kapmeta.sensitivity.tipping import tipping_point as tipping_point

_HOME = {
    "all_subsets": "subsets",
    "at_time": "choices",
    "baujat": "deletion",
    "calibration": "coverage",
    "cumulative": "deletion",
    "estimator_table": "choices",
    "every_measure": "choices",
    "fragility_index": "fragility",
    "influence": "deletion",
    "leave_one_out": "deletion",
    "leave_two_out": "deletion",
    "missing_outcomes": "missingness",
    "multiverse": "multiverses",
    "pooled_measures": "choices",
    "rounded_counts": "percentages",
    "sensitivity_table": "overview",
    "tipping_point": "tipping",
    "zero_rules": "choices",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.sensitivity has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.sensitivity.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
