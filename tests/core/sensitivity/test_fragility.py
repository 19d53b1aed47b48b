"""Fragility: Fisher's test, one trial, pooled results; the values of the method specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kapmeta.core import combine
from kapmeta.core.effects import counts
from kapmeta.core.exact import stratified
from kapmeta.core.sensitivity.fragility import fisher_p_value, pooled_fragility, trial_fragility

# Methods 0.4: two of the trials are invented for tests.
KAP5 = tuple(
    np.array(x, float)
    for x in ([73, 6, 13, 6, 12], [111, 17, 26, 35, 27], [24, 3, 6, 2, 0], [100, 23, 27, 35, 28])
)


def inverse_variance(tau2: str | float, ci: str) -> Any:
    def limits(a: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        effects = counts.risk_ratio(a, KAP5[1], c, KAP5[3])
        found = combine(effects.y, effects.v, tau2=tau2, ci=ci)
        return found.estimate, found.low, found.high

    return limits


def mantel_haenszel(a: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = stratified.mantel_haenszel(a, KAP5[1], c, KAP5[3])
    return (
        found.estimate,
        found.estimate - 1.959963984540054 * found.se,
        found.estimate + 1.959963984540054 * found.se,
    )


def test_fisher() -> None:
    # fisher.test of R 4.2.2; methods 5.4
    found = fisher_p_value([73, 13, 12], [111, 26, 27], [24, 6, 0], [100, 27, 28])
    np.testing.assert_allclose(found, [1.6e-9, 0.0473, 4.0e-5], rtol=0.03)
    assert fisher_p_value(3, 10, 3, 10) == 1.0
    assert fisher_p_value(0, 10, 0, 10) == 1.0


@pytest.mark.parametrize("trial, index", [(0, 29), (2, 1), (4, 6), (1, 2), (3, 3)])
def test_one_trial(trial: int, index: int) -> None:
    steps = trial_fragility(*(int(x[trial]) for x in KAP5))
    assert len(steps.study) == index
    assert steps.turned
    significant = steps.watched[0] < 0.05
    assert all((p < 0.05) == significant for p in steps.watched[:-1])
    assert (steps.watched[-1] < 0.05) != significant


@pytest.mark.parametrize(
    "limits, index",
    [
        (inverse_variance(0.0, "wald"), 23),
        (inverse_variance("DL", "wald"), 11),
        (mantel_haenszel, 50),
        # The specification gives 5 for REML too; no five changes cross there (all 2,002 sets of
        # five tried), six do.
        (inverse_variance("REML", "hksj-variance"), 6),
        (inverse_variance("PM", "hksj-variance"), 5),
    ],
)
def test_pooled(limits: Any, index: int) -> None:
    steps = pooled_fragility(KAP5, limits)
    assert len(steps.study) == index
    a, c = KAP5[0].copy(), KAP5[2].copy()
    for study, treated, change in zip(steps.study, steps.treated, steps.change, strict=True):
        (a if treated else c)[study] += change
    assert limits(a[None], c[None])[1][0] <= 0 < steps.watched[-2]


def test_a_conclusion_in_the_other_direction_is_as_fragile() -> None:
    swapped = (KAP5[2], KAP5[3], KAP5[0], KAP5[1])

    def limits(a: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        estimate, low, high = inverse_variance("DL", "wald")(c, a)
        return -estimate, -high, -low

    there, back = (
        pooled_fragility(KAP5, inverse_variance("DL", "wald")),
        pooled_fragility(swapped, limits),
    )
    assert there.study == back.study
    np.testing.assert_allclose(there.watched, [-x for x in back.watched], rtol=1e-12)


def test_reverse_fragility_of_a_pooled_result() -> None:
    cells = tuple(np.array(x, float) for x in ([6, 6], [17, 35], [5, 4], [23, 35]))

    def limits(a: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        effects = counts.risk_ratio(a, cells[1], c, cells[3])
        found = combine(effects.y, effects.v, tau2=0.0)
        return found.estimate, found.low, found.high

    steps = pooled_fragility(cells, limits)  # type: ignore[arg-type]
    assert steps.watched[0] <= 0 < steps.watched[-1]
    assert all(
        change == (1 if treated else -1)
        for treated, change in zip(steps.treated, steps.change, strict=True)
    )


def test_what_cannot_be_turned_says_so() -> None:
    never = pooled_fragility(
        KAP5, lambda a, c: (np.ones(len(a)), np.ones(len(a)), np.ones(len(a)) * 2)
    )
    assert not never.turned
    assert len(never.study) == int((KAP5[0] + KAP5[3] - KAP5[2]).sum())
    assert not trial_fragility(1, 2, 1, 2).turned
