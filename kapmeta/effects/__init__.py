"""Effect estimates of single trials: a table of trials goes in, Effects come out.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kapmeta.effects.counts import arcsine_difference as arcsine_difference
    from kapmeta.effects.counts import complement as complement
    from kapmeta.effects.counts import from_counts as from_counts
    from kapmeta.effects.counts import odds_ratio as odds_ratio
    from kapmeta.effects.counts import peto_odds_ratio as peto_odds_ratio
    from kapmeta.effects.counts import risk_difference as risk_difference
    from kapmeta.effects.counts import risk_ratio as risk_ratio
    from kapmeta.effects.covariances import sampling_covariance as sampling_covariance
    from kapmeta.effects.designs import combine_arms as combine_arms
    from kapmeta.effects.designs import contrasts as contrasts
    from kapmeta.effects.designs import refuse_double_counting as refuse_double_counting
    from kapmeta.effects.estimates import generic as generic
    from kapmeta.effects.estimates import reported as reported
    from kapmeta.effects.follow_up import event_free_curve as event_free_curve
    from kapmeta.effects.follow_up import event_free_time as event_free_time
    from kapmeta.effects.follow_up import hazard_ratio as hazard_ratio
    from kapmeta.effects.groups import correlation as correlation
    from kapmeta.effects.groups import proportion as proportion
    from kapmeta.effects.groups import rate_ratio as rate_ratio
    from kapmeta.effects.means import mean_difference as mean_difference
    from kapmeta.effects.means import ratio_of_means as ratio_of_means
    from kapmeta.effects.means import standardized_mean_difference as standardized_mean_difference

_HOME = {
    "arcsine_difference": "counts",
    "combine_arms": "designs",
    "complement": "counts",
    "contrasts": "designs",
    "correlation": "groups",
    "event_free_curve": "follow_up",
    "event_free_time": "follow_up",
    "from_counts": "counts",
    "generic": "estimates",
    "hazard_ratio": "follow_up",
    "mean_difference": "means",
    "odds_ratio": "counts",
    "peto_odds_ratio": "counts",
    "proportion": "groups",
    "rate_ratio": "groups",
    "ratio_of_means": "means",
    "refuse_double_counting": "designs",
    "reported": "estimates",
    "risk_difference": "counts",
    "risk_ratio": "counts",
    "sampling_covariance": "covariances",
    "standardized_mean_difference": "means",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.effects has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.effects.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
