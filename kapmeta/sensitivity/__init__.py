"""Sensitivity analyses: the same analysis repeated with something changed.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.sensitivity.choices import at_time as at_time
    from kapmeta.sensitivity.choices import estimator_table as estimator_table
    from kapmeta.sensitivity.choices import every_measure as every_measure
    from kapmeta.sensitivity.choices import pooled_measures as pooled_measures
    from kapmeta.sensitivity.choices import zero_rules as zero_rules
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
    from kapmeta.sensitivity.simulation.calibrations import calibration as calibration
    from kapmeta.sensitivity.simulation.headline_choices import choose_headlines as choose_headlines
    from kapmeta.sensitivity.simulation.headline_choices import compare_policies as compare_policies
    from kapmeta.sensitivity.simulation.performances import read_simulation as read_simulation
    from kapmeta.sensitivity.simulation.performances import simulate as simulate
    from kapmeta.sensitivity.simulation.scenario_grids import scenarios as scenarios
    from kapmeta.sensitivity.subsets import all_subsets as all_subsets
    from kapmeta.sensitivity.tipping import tipping_point as tipping_point
    from kapmeta.sensitivity.unread_trials import unread_trial as unread_trial

_FILES = {
    "choices": ["at_time", "estimator_table", "every_measure", "pooled_measures", "zero_rules"],
    "simulation.calibrations": ["calibration"],
    "deletion": ["baujat", "cumulative", "influence", "leave_one_out", "leave_two_out"],
    "fragility": ["fragility_index"],
    "simulation.headline_choices": ["choose_headlines", "compare_policies"],
    "missingness": ["missing_outcomes"],
    "multiverses": ["multiverse"],
    "overview": ["sensitivity_table"],
    "percentages": ["rounded_counts"],
    "simulation.scenario_grids": ["scenarios"],
    "simulation.performances": ["read_simulation", "simulate"],
    "subsets": ["all_subsets"],
    "tipping": ["tipping_point"],
    "unread_trials": ["unread_trial"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)
