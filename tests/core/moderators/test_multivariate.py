"""Multilevel and multivariate models: against R, the specification and their equations."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapmeta.core.effects import dependence
from kapmeta.core.moderators import multivariate, residual_variance
from tests.helpers.places import REFERENCE

# metafor 5.1.12 on R 4.2.2, nlminb at its tightest tolerance: tests/reference/13_rma_mv_rve.json.gz
VALUES = REFERENCE / "13_rma_mv_rve.json.gz"
RECORDS: list[dict[str, Any]] = json.loads(gzip.decompress(VALUES.read_bytes()))["records"]
COMPARED = [i for i, r in enumerate(RECORDS) if r["settings"]["fun"] == "metafor::rma.mv"]
ELSEWHERE = [
    i for i, r in enumerate(RECORDS) if r["settings"]["fun"] != "metafor::rma.mv"
]  # test_clustered.py
# Where metafor's optimiser stopped short of the maximum: variances differ by more than 1e-6, the
# likelihood does not.
DIVERGENT = {
    7: (
        "nlminb stops at a relative change of the likelihood of 1e-8: its sigma2 is 1.3e-6 off the"
        " zero of the score"
    )
}

SCHOOLS = RECORDS[0]["inputs"]
Y, V = np.array(SCHOOLS["yi"]), np.diag(SCHOOLS["vi"])
DISTRICT = np.unique(SCHOOLS["district"], return_inverse=True)[1]
ONES = np.ones((Y.size, 1))
YEAR = np.column_stack([ONES, np.array(SCHOOLS["year"], float)])
BOTH = multivariate.levels([DISTRICT, np.arange(Y.size)])


def close(found: Any, reference: Any, rtol: float, atol: float = 0.0) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(reference, float), rtol=rtol, atol=atol
    )


def fitted(record: dict[str, Any]) -> multivariate.Components:
    options = record["settings"]
    terms = multivariate.levels([DISTRICT]) if options["random"] == "~1|district" else BOTH
    return multivariate.fit_components(
        Y, V, YEAR if "mods" in options else ONES, terms, restricted=options["method"] == "REML"
    )


def test_every_record_is_accounted_for() -> None:
    assert sorted([*COMPARED, *ELSEWHERE]) == list(range(len(RECORDS)))
    assert set(DIVERGENT) <= set(COMPARED)


@pytest.mark.parametrize("i", COMPARED)
def test_fits_agree_with_metafor(i: int) -> None:
    expected, options = RECORDS[i]["results"], RECORDS[i]["settings"]
    found = fitted(RECORDS[i])
    close(found.beta, expected["beta"], 1e-6)
    close(np.sqrt(np.diagonal(found.covariance)), expected["se"], 1e-6)
    close([found.loglik, found.loglik_restricted], [expected["ll_ML"], expected["ll_REML"]], 1e-7)
    ours, theirs = (
        (found.loglik_restricted, "ll_REML")
        if options["method"] == "REML"
        else (found.loglik, "ll_ML")
    )
    assert ours >= expected[theirs] - 1e-11
    x = YEAR if "mods" in options else ONES
    close(multivariate.cochran_residual_q(Y, V, x), expected["QE"], 1e-10)
    if options.get("struct") == "CS":  # compound symmetry is the two levels in other words
        close(
            [found.c.sum(), found.c[0] / found.c.sum()],
            [expected["tau2"][0], expected["rho"][0]],
            1e-6,
        )
    else:
        close(found.c, expected["sigma2"], 2e-6 if i in DIVERGENT else 1e-6)


@pytest.mark.parametrize("i", [0, 2])
def test_profile_intervals_agree_with_metafor(i: int) -> None:
    restricted = RECORDS[i]["settings"]["method"] == "REML"
    for which, expected in enumerate(RECORDS[i]["results"]["confint"]):
        low, high = multivariate.profile_interval(Y, V, ONES, BOTH, which, restricted=restricted)
        for ours, theirs in ((low, expected["ci_lb"]), (high, expected["ci_ub"])):
            if theirs is not None:  # null: metafor found no limit there
                close(ours, theirs, 1e-8)
        assert low < expected["estimate"] < high


def test_speed() -> None:
    """Target: 0.1 s for REML on 56 effects in 11 districts; best of three on a busy machine."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        multivariate.fit_components(Y, V, ONES, BOTH)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


# Berkey et al. 1998: five trials, two outcomes each; the published fit of metafor's pages to four
# decimals
BERKEY_Y = np.array([0.47, -0.32, 0.20, -0.60, 0.40, -0.12, 0.26, -0.31, 0.56, -0.39])
BERKEY = [
    (0.0075, 0.0030, 0.0077),
    (0.0057, 0.0009, 0.0008),
    (0.0021, 0.0007, 0.0014),
    (0.0029, 0.0009, 0.0015),
    (0.0148, 0.0072, 0.0304),
]


def berkey_covariance() -> np.ndarray:
    covariance = np.zeros((10, 10))
    for i, (a, b, c) in enumerate(BERKEY):
        covariance[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[a, b], [b, c]]
    return covariance


def test_two_outcomes_with_correlated_effects() -> None:
    outcome, trial = np.tile([1, 0], 5), np.repeat(np.arange(5), 2)
    terms = multivariate.outcomes(outcome, trial)
    found = multivariate.fit_components(BERKEY_Y, berkey_covariance(), np.eye(2)[outcome], terms)
    close(found.beta, [-0.3392, 0.3534], 0, 5e-5)
    close(np.sqrt(np.diagonal(found.covariance)), [0.0879, 0.0588], 0, 5e-5)
    close([found.c[0], found.c[2]], [0.0327, 0.0117], 0, 5e-5)
    close(found.c[1] / np.sqrt(found.c[0] * found.c[2]), 0.6088, 0, 5e-5)
    for c in (1e-3, 1e3):
        scaled = multivariate.fit_components(
            BERKEY_Y * c, berkey_covariance() * c**2, np.eye(2)[outcome], terms
        )
        close(scaled.c / c**2, found.c, 1e-9)


STUDY = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
EFFECTS = np.array([0.62, 0.90, 0.75, -0.15, 0.40, 1.30, 1.05, 1.60, 0.10])
VARIANCES = np.array([0.06, 0.08, 0.12, 0.15, 0.20, 0.10, 0.14, 0.25, 0.30])


def test_without_variance_within_trials_the_model_is_aggregation() -> None:
    """Methods 6.3: equivalent to aggregating each study by GLS and running univariate REML."""
    covariance = dependence.correlated(VARIANCES, STUDY, 0.8)
    found = multivariate.fit_components(
        EFFECTS, covariance, np.ones((9, 1)), multivariate.levels([STUDY])
    )
    close(
        [found.beta[0], found.covariance[0, 0] ** 0.5, found.c[0]],
        [0.537826602, 0.268327088, 0.163294170],
        3e-9,
    )
    one = dependence.aggregate(EFFECTS, covariance, STUDY)
    tau2 = residual_variance.residual_reml(one.y, one.v, np.ones((4, 1)))
    close(found.c[0], tau2, 1e-9)
    w = 1 / (one.v + tau2)
    close(found.beta[0], w @ one.y / w.sum(), 1e-10)


def test_one_level_of_single_effects_is_the_univariate_model() -> None:
    rng = np.random.default_rng(2)
    for restricted in (True, False):
        for _ in range(8):
            y, v = rng.normal(size=7), rng.exponential(size=7) + 0.05
            x = np.column_stack([np.ones(7), rng.normal(size=7)])
            terms = multivariate.levels([np.arange(7)])
            found = multivariate.fit_components(y, np.diag(v), x, terms, restricted=restricted)
            estimator = (
                residual_variance.residual_reml if restricted else residual_variance.residual_ml
            )
            close(found.c[0], estimator(y, v, x), 1e-7, 1e-10)


def clustered_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(5), rng.integers(1, 4, size=5))
    v = rng.exponential(size=cluster.size) + 0.02
    y = (
        rng.normal(size=cluster.size) * np.sqrt(v)
        + rng.choice([0.0, 1.0, 3.0]) * rng.normal(size=5)[cluster]
    )
    return y, dependence.correlated(v, cluster, 0.6), cluster


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_no_point_of_a_grid_beats_the_maximum(seed: int, restricted: bool) -> None:
    y, v, cluster = clustered_data(seed)
    terms = multivariate.levels([cluster, np.arange(y.size)])
    setting = multivariate.problem(y, v, np.ones((y.size, 1)), terms, restricted=restricted)
    best = multivariate.maxima(setting)[0]
    nodes = np.concatenate([[0.0], np.geomspace(1e-4, 30, 30)])
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    assert multivariate._loglik(setting.data, grid, restricted).max() <= best.value + 1e-9


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_scores_are_zero_or_point_below_zero_at_the_boundary(seed: int) -> None:
    y, v, cluster = clustered_data(seed)
    terms = multivariate.levels([cluster, np.arange(y.size)])
    setting = multivariate.problem(y, v, np.ones((y.size, 1)), terms, restricted=True)
    best = multivariate.maxima(setting)[0]
    score = multivariate._likelihood_derivatives(setting.data, best.c, True).first
    assert (np.abs(score[best.c > 0]) * best.c[best.c > 0] < 1e-6).all()
    assert (score[best.c == 0] <= 1e-6).all()


def test_derivatives_are_those_of_the_likelihood() -> None:
    y, v, cluster = clustered_data(3)
    x = np.column_stack([np.ones(y.size), np.arange(y.size)])
    terms = multivariate.levels([cluster, np.arange(y.size)])
    for restricted in (True, False):
        data = multivariate.problem(y, v, x, terms, restricted=restricted).data
        c, h = np.array([0.4, 0.2]), 1e-4
        exact = multivariate._likelihood_derivatives(data, c, restricted)
        close(exact.value, multivariate._loglik(data, c, restricted), 1e-12)
        for j in range(2):
            step = h * np.eye(2)[j]
            up, down = (
                multivariate._likelihood_derivatives(data, c + s * step, restricted)
                for s in (1, -1)
            )
            close(exact.first[j], (up.value - down.value) / (2 * h), 1e-5)
            close(exact.second[j], (up.first - down.first) / (2 * h), 1e-5)


@pytest.mark.parametrize("c", [1e-6, 1e-3, 1e3, 1e6])
def test_other_units_give_the_same_fit(c: float) -> None:
    base, other = fitted(RECORDS[0]), multivariate.fit_components(Y * c, V * c * c, ONES, BOTH)
    close(other.c / c**2, base.c, 1e-9)
    close(other.beta / c, base.beta, 1e-10)


def test_scale_shift_and_order_do_not_matter() -> None:
    base = multivariate.fit_components(Y, V, YEAR, BOTH)
    moved = YEAR.copy()
    moved[:, 1] = (YEAR[:, 1] - 1990) / 10
    other = multivariate.fit_components(Y, V, moved, BOTH)
    close(other.c, base.c, 1e-8)
    close(other.beta[1] / 10, base.beta[1], 1e-8)
    order = np.random.default_rng(0).permutation(Y.size)
    shuffled = multivariate.fit_components(
        Y[order],
        V[np.ix_(order, order)],
        YEAR[order],
        multivariate.levels([DISTRICT[order], np.arange(Y.size)]),
    )
    close(shuffled.c, base.c, 1e-9)
    close(shuffled.beta, base.beta, 1e-7)


def test_a_variance_of_zero_is_exactly_zero_and_its_limit_too() -> None:
    y = np.array([0.5, 0.52, 0.48, 0.5, 0.51, 0.49, 0.5, 0.5])
    v = np.full(8, 0.2)
    terms = multivariate.levels([np.repeat(np.arange(4), 2), np.arange(8)])
    found = multivariate.fit_components(y, np.diag(v), np.ones((8, 1)), terms)
    assert found.c.tolist() == [0.0, 0.0]
    low, high = multivariate.profile_interval(y, np.diag(v), np.ones((8, 1)), terms, 0)
    assert low == 0
    assert high > 0
    close(found.beta, 0.5, 1e-12)


def test_four_levels_are_searched_from_fewer_starts() -> None:
    codes = [np.arange(16) // size for size in (8, 4, 2, 1)]
    y = np.random.default_rng(9).normal(size=16)
    found = multivariate.fit_components(
        y, np.diag(np.full(16, 0.1)), np.ones((16, 1)), multivariate.levels(codes)
    )
    assert found.c.shape == (4,)
    assert multivariate.levels(codes).starts.shape == (16, 4)


def test_blocks_join_what_is_connected() -> None:
    pattern = np.eye(5, dtype=bool)
    pattern[0, 3] = pattern[3, 0] = pattern[3, 4] = pattern[4, 3] = True
    assert multivariate.blocks_of(pattern).tolist() == [0, 1, 2, 0, 0]
