"""kapmeta: honest meta-analysis of few, sparse trials.

>>> import kapmeta as km
>>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
>>> km.pool(km.risk_ratio(trials))
Pooled(RR 4.49 (95 % CI 1.44 to 14.03), k=1, one trial, not pooled)

The names of an ordinary review's day are here; all others are in their rooms:
``km.effects.contrasts``, ``km.review.conclusion``. Names are loaded when first used, so that
``import kapmeta`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kapmeta._version import __version__ as __version__

_ROOMS = [
    "core",
    "effects",
    "pooling",
    "sensitivity",
    "moderators",
    "small_study",
    "certainty",
    "results",
    "plot",
    "review",
]

# The flat names, by the room or module that is their home.
_FLAT = {
    "review": ["load_evidence"],
    "examples": ["load_example"],
    "effects": [
        "risk_ratio",
        "odds_ratio",
        "risk_difference",
        "arcsine_difference",
        "peto_odds_ratio",
        "mean_difference",
        "standardized_mean_difference",
        "ratio_of_means",
        "proportion",
        "correlation",
        "rate_ratio",
        "reported",
        "generic",
    ],
    "pooling": ["pool", "mantel_haenszel", "peto", "pool_exact", "pool_bayes", "headline"],
    "sensitivity": [
        "leave_one_out",
        "cumulative",
        "influence",
        "all_subsets",
        "baujat",
        "multiverse",
        "missing_outcomes",
        "tipping_point",
        "fragility_index",
        "estimator_table",
    ],
    "moderators": ["subgroups", "meta_regression", "multilevel", "robust"],
    "small_study": [
        "asymmetry_test",
        "trim_and_fill",
        "pet_peese",
        "selection_model",
        "limit_meta_analysis",
        "publication_bias_sensitivity",
    ],
    "certainty": [
        "absolute_effects",
        "number_needed_to_treat",
        "information_size",
        "summary_of_findings",
    ],
    "results": ["Effects", "Pooled"],
    "methods": ["Method", "PRIMARY"],
    "citing": ["cite"],
}

_ROOM_OF = {name: room for room, names in _FLAT.items() for name in names}

__all__ = [*_ROOMS, *_ROOM_OF]

if TYPE_CHECKING:
    from kapmeta import certainty as certainty
    from kapmeta import core as core
    from kapmeta import effects as effects
    from kapmeta import moderators as moderators
    from kapmeta import plot as plot
    from kapmeta import pooling as pooling
    from kapmeta import results as results
    from kapmeta import review as review
    from kapmeta import sensitivity as sensitivity
    from kapmeta import small_study as small_study
    from kapmeta.certainty import absolute_effects as absolute_effects
    from kapmeta.certainty import information_size as information_size
    from kapmeta.certainty import number_needed_to_treat as number_needed_to_treat
    from kapmeta.certainty import summary_of_findings as summary_of_findings
    from kapmeta.citing import cite as cite
    from kapmeta.effects import arcsine_difference as arcsine_difference
    from kapmeta.effects import correlation as correlation
    from kapmeta.effects import generic as generic
    from kapmeta.effects import mean_difference as mean_difference
    from kapmeta.effects import odds_ratio as odds_ratio
    from kapmeta.effects import peto_odds_ratio as peto_odds_ratio
    from kapmeta.effects import proportion as proportion
    from kapmeta.effects import rate_ratio as rate_ratio
    from kapmeta.effects import ratio_of_means as ratio_of_means
    from kapmeta.effects import reported as reported
    from kapmeta.effects import risk_difference as risk_difference
    from kapmeta.effects import risk_ratio as risk_ratio
    from kapmeta.effects import standardized_mean_difference as standardized_mean_difference
    from kapmeta.examples import load_example as load_example
    from kapmeta.methods import PRIMARY as PRIMARY
    from kapmeta.methods import Method as Method
    from kapmeta.moderators import meta_regression as meta_regression
    from kapmeta.moderators import multilevel as multilevel
    from kapmeta.moderators import robust as robust
    from kapmeta.moderators import subgroups as subgroups
    from kapmeta.pooling import headline as headline
    from kapmeta.pooling import mantel_haenszel as mantel_haenszel
    from kapmeta.pooling import peto as peto
    from kapmeta.pooling import pool as pool
    from kapmeta.pooling import pool_bayes as pool_bayes
    from kapmeta.pooling import pool_exact as pool_exact
    from kapmeta.results import Effects as Effects
    from kapmeta.results import Pooled as Pooled
    from kapmeta.review import load_evidence as load_evidence
    from kapmeta.sensitivity import all_subsets as all_subsets
    from kapmeta.sensitivity import baujat as baujat
    from kapmeta.sensitivity import cumulative as cumulative
    from kapmeta.sensitivity import estimator_table as estimator_table
    from kapmeta.sensitivity import fragility_index as fragility_index
    from kapmeta.sensitivity import influence as influence
    from kapmeta.sensitivity import leave_one_out as leave_one_out
    from kapmeta.sensitivity import missing_outcomes as missing_outcomes
    from kapmeta.sensitivity import multiverse as multiverse
    from kapmeta.sensitivity import tipping_point as tipping_point
    from kapmeta.small_study import asymmetry_test as asymmetry_test
    from kapmeta.small_study import limit_meta_analysis as limit_meta_analysis
    from kapmeta.small_study import pet_peese as pet_peese
    from kapmeta.small_study import publication_bias_sensitivity as publication_bias_sensitivity
    from kapmeta.small_study import selection_model as selection_model
    from kapmeta.small_study import trim_and_fill as trim_and_fill


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"kapmeta.{name}")
    if name not in _ROOM_OF:
        raise AttributeError(_not_here(name))
    value = getattr(import_module(f"kapmeta.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def _not_here(name: str) -> str:
    """Say where a name is that is not flat, or which names are near it."""
    # Only here: an import of kapmeta must cost nothing.
    from difflib import get_close_matches
    from importlib.resources import files

    moved = files(__name__).joinpath("moved.csv").read_text(encoding="utf-8").split()
    new = dict(line.split(",") for line in moved).get(name)
    if new:
        return f"kapmeta.{name} has moved: kapmeta.{new}"
    rooms = [room for room in _ROOMS if name in import_module(f"kapmeta.{room}").__all__]
    near = [f"kapmeta.{room}.{name}" for room in rooms] or get_close_matches(name, __all__, n=3)
    asked = f"did you mean {' or '.join(near)}? " if near else ""
    return f'kapmeta has no "{name}"; {asked}dir(kapmeta) lists all names'


def __dir__() -> list[str]:
    return sorted(__all__)
