"""Candidates for a headline: each draw is what the public function gives for its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.core.bayes.empirical_priors import empirical
from kapmeta.core.effects.single_trial import koopman
from kapmeta.core.sensitivity.calibration import simulated
from kapmeta.core.sensitivity.candidates import (
    CANDIDATES,
    Candidate,
    Draws,
    PolicyRule,
    by_measure,
    counts_posterior,
    limits,
    normal_posterior,
    policy,
    policy_limits,
)
from kapmeta.core.sensitivity.universes import Cells

SETS = 6


def draws(measure: str = "RR", k: int = 4, risk: float = 0.25, seed: int = 3) -> Draws:
    sizes = np.resize([20.0, 60.0], k)
    cells = simulated(
        sizes,
        np.resize([20.0, 30.0], k),
        np.full(k, risk),
        np.log(2.0),
        0.4,
        SETS,
        np.random.default_rng(seed),
        measure=measure,
    )
    return Draws(cells, measure)


def trials(given: Draws, i: int) -> pd.DataFrame:
    cells = {name: cell[i] for name, cell in given.cells._asdict().items()}
    return pd.DataFrame({"study": [str(n) for n in range(cells["n_t"].size)], **cells})


def front(name: str, measure: str) -> Callable[[pd.DataFrame], Any]:
    """Choose the public function that a candidate stands for."""
    effects = {"RR": km.risk_ratio, "OR": km.odds_ratio}[measure]
    exact = {"beta-binomial": "beta-binomial", "binomial-normal, profile": "binomial-normal"}
    if name == "mantel-haenszel":
        return lambda t: km.mantel_haenszel(t, measure=measure)
    if name in exact:
        return lambda t: km.pool_exact(t, model=exact[name], measure=measure)
    words = name.split(", ")
    if words[-1].startswith("half-normal"):
        scale = float(words[-1].split()[1])
        if words[0] == "counts":
            return lambda t: km.pool_bayes(t, tau_prior=scale, measure=measure)
        return lambda t: km.pool_bayes(effects(t, zero="drop"), tau_prior=scale)
    tau2, ci = words
    if tau2 == "common":
        return lambda t: km.pool(effects(t, zero="drop"), model="common")
    return lambda t: km.pool(effects(t, zero="drop"), tau2=tau2, ci=ci)


# what is read off the grid of the counts is interpolated
TOLERANCES = {"counts": 2e-3, "binomial-normal, profile": 2e-2}


@pytest.mark.parametrize("measure", ["RR", "OR"])
@pytest.mark.parametrize("name", CANDIDATES)
def test_each_draw_is_what_the_public_function_gives(name: str, measure: str) -> None:
    given = draws(measure)
    low, high = limits(given, CANDIDATES[name])
    tolerance = next((t for head, t in TOLERANCES.items() if name.startswith(head)), 1e-7)
    public = front(name, measure)
    for i in range(SETS):
        try:
            found = public(trials(given, i))
        except ValueError:
            assert np.isnan(low[i] + high[i])
            continue
        np.testing.assert_allclose((low[i], high[i]), (found.low, found.high), atol=tolerance)


@pytest.mark.parametrize("from_counts", [False, True])
def test_empirical_priors_are_those_of_the_measure(from_counts: bool) -> None:
    make = counts_posterior if from_counts else normal_posterior
    priors = {m: empirical("Tobacco Addiction", measure=m) for m in ("RR", "OR")}
    both = by_measure({measure: make(prior) for measure, prior in priors.items()})
    for measure, prior in priors.items():
        given = draws(measure)
        low, high = limits(given, both)
        table = trials(given, 0)
        data = table if from_counts else km.effects.from_counts(table, measure, zero="drop")
        words = {"measure": measure} if from_counts else {}
        found = km.pool_bayes(data, tau_prior=prior, **words)
        np.testing.assert_allclose((low[0], high[0]), (found.low, found.high), atol=3e-3)


def sparse_sets() -> Draws:
    """Return sets with two, one and no table with a contrast, and two with an empty cell."""
    events_t = np.array([[9, 8, 0], [9, 0, 0], [0, 0, 0], [9, 3, 0]], dtype=float)
    events_c = np.array([[4, 5, 0], [4, 0, 0], [0, 0, 0], [4, 0, 0]], dtype=float)
    n = np.full(events_t.shape, 20.0)
    return Draws(Cells(events_t, n, events_c, n), "RR")


@pytest.mark.parametrize("name", CANDIDATES)
def test_fewer_than_two_tables_with_a_contrast_have_no_limits(name: str) -> None:
    given = sparse_sets()
    assert list(given.informative) == [2, 1, 0, 2]
    assert list(given.sparse) == [False, False, False, True]
    low, high = limits(given, CANDIDATES[name])
    assert np.isnan(low[1:3]).all()
    assert np.isnan(high[1:3]).all()


def test_a_policy_goes_by_the_tables_with_a_contrast() -> None:
    rules = (
        PolicyRule(2, "half-normal 0.5", sparse="counts, half-normal 0.5"),
        PolicyRule(3, "REML, hksj-hybrid"),
    )
    given = sparse_sets()
    low, high = limits(given, policy(rules))
    expected = [limits(given, CANDIDATES[name]) for name in (rules[0].candidate, rules[0].sparse)]
    assert (low[0], high[0]) == pytest.approx((expected[0][0][0], expected[0][1][0]))
    assert (low[3], high[3]) == pytest.approx((expected[1][0][3], expected[1][1][3]))
    own = koopman(9, 20, 4, 20)
    assert (low[1], high[1]) == pytest.approx((float(own.low), float(own.high)))
    assert np.isnan(low[2])
    three = draws(k=3)
    found = policy_limits(three, rules)
    np.testing.assert_allclose(found, limits(three, CANDIDATES["REML, hksj-hybrid"]))


def test_a_candidate_may_be_any_function_of_the_draws() -> None:
    def everything(given: Draws) -> tuple[np.ndarray, np.ndarray]:
        return np.full(given.informative.shape, -np.inf), np.full(given.informative.shape, np.inf)

    low, high = limits(draws(), Candidate(everything))
    assert np.isposinf(high - low).all()
