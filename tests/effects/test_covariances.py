"""Sampling covariances: through a shared control, of nested times, by a correlation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.effects.covariances import sampling_covariance
from kapmeta.effects.designs import combine_arms
from kapmeta.moderators.dependence import aggregate
from tests.helpers.design_data import close, shared_rows, times


def test_combined_arms_and_shared_covariance() -> None:
    combined = km.risk_ratio(combine_arms(shared_rows()))
    close([combined.y[0], combined.v[0]], [0.851752210737, 0.244722222222], 1e-10)
    effects = km.risk_ratio(shared_rows())
    covariance = sampling_covariance(effects)
    close(covariance[0, 1], 0.21)
    one = aggregate(effects, covariance=covariance)
    close([one.y[0], one.v[0]], [0.865230087618, 0.24431372549], 1e-10)
    odds = km.odds_ratio(shared_rows())
    close(sampling_covariance(odds)[0, 1], 1 / 4 + 1 / 21)
    nobody = shared_rows().assign(events_c=[0, 0])
    with pytest.raises(
        ValueError, match="share a control arm whose counts give no covariance of a risk ratio"
    ):
        sampling_covariance(km.risk_ratio(nobody))
    reported = km.generic(
        pd.DataFrame(
            {
                "study": ["A", "A"],
                "comparison_id": [1, 2],
                "treatment": ["x", "y"],
                "control": ["p"] * 2,
                "y": [0.1, 0.2],
                "v": [0.1, 0.1],
            }
        ),
        measure="RR",
    )
    with pytest.raises(ValueError, match="share a control arm whose counts"):
        sampling_covariance(reported)


def test_covariance_of_nested_times_needs_no_correlation() -> None:
    effects = km.risk_ratio(times())
    close(effects.y, [0.62057649, 0.88008768, 0.94908055], 1e-8)
    covariance = sampling_covariance(effects)
    close(np.diagonal(covariance), [0.08996416, 0.17250384, 0.28440860], 1e-7)
    close([covariance[0, 1], covariance[0, 2], covariance[1, 2]], effects.v[[0, 0, 1]])
    backwards = km.risk_ratio(times().iloc[::-1])
    close(sampling_covariance(backwards), covariance[::-1, ::-1])
    rising = km.risk_ratio(times(events_t=[10, 14, 18]))
    with pytest.raises(ValueError, match="share patients in a way that the counts do not settle"):
        sampling_covariance(rising)
    guessed = sampling_covariance(rising, rho=0.8)
    close(guessed[0, 1], 0.8 * np.sqrt(rising.v[0] * rising.v[1]))
    reported = km.generic(
        times(y=[0.1, 0.2, 0.3], v=0.1).drop(columns=["events_t", "n_c"]), measure="RR"
    )
    with pytest.raises(ValueError, match="give rho, their correlation, and vary it"):
        sampling_covariance(reported)
    apart = km.risk_ratio(times(study=list("ABC")))
    close(sampling_covariance(apart), np.diag(apart.v))
    strata = km.risk_ratio(times(treatment=list("abc"), control=list("xyz"), months=1))
    close(sampling_covariance(strata), np.diag(strata.v))


def test_a_correlation_that_is_given_wins_over_counts_that_happen_to_fall() -> None:
    """Point prevalence may fall by chance: counts alone do not show a sustained outcome."""
    effects = km.risk_ratio(times())
    covariance = sampling_covariance(effects, rho=0.5)
    close(covariance[0, 1], 0.5 * np.sqrt(effects.v[0] * effects.v[1]))
    shared = km.risk_ratio(
        shared_rows()
    )  # what a shared control brings is known, whatever is guessed
    close(sampling_covariance(shared, rho=0.5), sampling_covariance(shared))
    with pytest.raises(ValueError, match="rho is a correlation, between -1 and 1: got 1.5"):
        sampling_covariance(effects, rho=1.5)
