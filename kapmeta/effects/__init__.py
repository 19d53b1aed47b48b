"""Effect estimates of single trials: a table of trials goes in, Effects come out.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.effects.columns import reserved_columns as reserved_columns
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

_FILES = {
    "columns": ["reserved_columns"],
    "counts": [
        "arcsine_difference",
        "complement",
        "from_counts",
        "odds_ratio",
        "peto_odds_ratio",
        "risk_difference",
        "risk_ratio",
    ],
    "covariances": ["sampling_covariance"],
    "designs": ["combine_arms", "contrasts", "refuse_double_counting"],
    "estimates": ["generic", "reported"],
    "follow_up": ["event_free_curve", "event_free_time", "hazard_ratio"],
    "groups": ["correlation", "proportion", "rate_ratio"],
    "means": ["mean_difference", "ratio_of_means", "standardized_mean_difference"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)
