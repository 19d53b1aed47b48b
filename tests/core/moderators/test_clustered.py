"""Cluster-robust tests: the core against R, the specification and their own definitions."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest

from kapmeta.core.moderators import clustered, multivariate, residual_variance
from kapmeta.core.numerics.distributions import t_two_sided
from tests.helpers.places import REFERENCE

# metafor 5.1.12 and clubSandwich 0.5.8 on R 4.2.2: tests/reference/13_rma_mv_rve.json.gz
VALUES = REFERENCE / "13_rma_mv_rve.json.gz"
RECORDS: list[dict[str, Any]] = json.loads(gzip.decompress(VALUES.read_bytes()))["records"]
COMPARED = [
    i
    for i, r in enumerate(RECORDS)
    if r["settings"]["fun"] in ("metafor::robust", "clubSandwich::coef_test")
]
ELSEWHERE = [
    i for i, r in enumerate(RECORDS) if r["settings"]["fun"] == "metafor::rma.mv"
]  # test_multivariate.py

SCHOOLS = RECORDS[0]["inputs"]
Y, V = np.array(SCHOOLS["yi"]), np.array(SCHOOLS["vi"])
DISTRICT = np.unique(SCHOOLS["district"], return_inverse=True)[1]
ONES = np.ones((Y.size, 1))
YEAR = np.column_stack([ONES, np.array(SCHOOLS["year"], float)])
TERMS = multivariate.levels([DISTRICT, np.arange(Y.size)])


def close(found: Any, reference: Any, rtol: float) -> None:
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(reference, float), rtol=rtol)


def kind_of(settings: dict[str, Any]) -> str:
    word = settings.get("vcov") or settings["type"]
    return "CR1p" if word.startswith("CR1 (") else "CR2" if word.startswith("CR2+") else word


def working(settings: dict[str, Any], given: bool) -> clustered.Working:
    """Return the working model, with the variance components that R found or with ours."""
    x = YEAR if "mods" in settings else ONES
    if "rma.uni" in settings["model"]:
        total = np.diag(V + float(residual_variance.residual_reml(Y, V, ONES)))
    elif given:
        components = RECORDS[5 if "mods" in settings else 0]["results"]["sigma2"]
        total = np.diag(V) + np.einsum("j,jab->ab", np.array(components), TERMS.shared)
    else:
        total = multivariate.fit_components(Y, np.diag(V), x, TERMS).total
    return clustered.Working(x, np.linalg.inv(total), total, DISTRICT)


def test_every_record_is_accounted_for() -> None:
    assert sorted([*COMPARED, *ELSEWHERE]) == list(range(len(RECORDS)))


@pytest.mark.parametrize("i", COMPARED)
@pytest.mark.parametrize("given", [True, False], ids=["given components", "end to end"])
def test_robust_tests_agree_with_r(i: int, given: bool) -> None:
    settings, expected = RECORDS[i]["settings"], RECORDS[i]["results"]
    model = working(settings, given)
    found = clustered.cluster_robust_tests(Y, model, kind=kind_of(settings))
    rtol = 1e-9 if given else 1e-5
    close(found.se, expected["se"], rtol)
    close(found.beta, expected["beta"], rtol if given else 1e-6)
    if "vb" in expected:
        close(found.covariance, expected["vb"], 10 * rtol)
    if settings["fun"].startswith("clubSandwich") or "clubSandwich" in settings:
        close(found.df, expected.get("df") or expected["dfs"], rtol)
        close(found.p_value, expected.get("p") or expected["pval"], rtol)
        if "ci_lb" in expected:
            close([found.low, found.high], [expected["ci_lb"], expected["ci_ub"]], 10 * rtol)
    else:  # metafor without clubSandwich: degrees of freedom are clusters less coefficients
        df = found.clusters - model.x.shape[1]
        assert [df] == expected["dfs"]
        close(t_two_sided(found.statistic, df), expected["pval"], rtol)


STUDY = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
TIME = np.array([1, 3, 6, 1, 6, 3, 6, 12, 6.0])
EFFECTS = np.array([0.62, 0.90, 0.75, -0.15, 0.40, 1.30, 1.05, 1.60, 0.10])
VARIANCES = np.array([0.06, 0.08, 0.12, 0.15, 0.20, 0.10, 0.14, 0.25, 0.30])
COVARIANCE = 0.8 * np.sqrt(np.outer(VARIANCES, VARIANCES)) * (STUDY[:, None] == STUDY)
np.fill_diagonal(COVARIANCE, VARIANCES)
LOG_TIME = np.column_stack([np.ones(9), np.log(TIME)])


def cr2(x: np.ndarray) -> tuple[multivariate.Components, clustered.Robust]:
    fit = multivariate.fit_components(
        EFFECTS, COVARIANCE, x, multivariate.levels([STUDY, np.arange(9)])
    )
    return fit, clustered.cluster_robust_tests(
        EFFECTS, clustered.Working(x, np.linalg.inv(fit.total), fit.total, STUDY)
    )


def test_worked_example_of_the_specification() -> None:
    """Methods 6.3, computed twice: correlated and hierarchical effects with CR2."""
    fit, found = cr2(np.ones((9, 1)))
    close(fit.c, [0.136162029856, 0.0267273347762], 1e-8)  # theirs from a loose optimiser
    close([fit.beta[0], fit.covariance[0, 0] ** 0.5], [0.587643478407, 0.265288635896], 1e-8)
    close([found.se[0], found.df[0]], [0.265819566931, 2.7584480581], 1e-9)
    close(
        [found.p_value[0], found.low[0], found.high[0]],
        [0.1218244, -0.301804914, 1.477091871],
        1e-7,
    )
    fit, found = cr2(LOG_TIME)
    close([fit.beta[1], fit.covariance[1, 1] ** 0.5], [0.170911402257, 0.103931093748], 1e-9)
    close([found.se[1], found.df[1]], [0.084426201844, 1.784686876], 1e-9)


def test_correlated_weights_give_robumetas_numbers() -> None:
    """robumeta 2.0, CORR weights, rho 0.8 (methods 6.3)."""
    w, tau2 = clustered.correlated_weights(EFFECTS, VARIANCES, np.ones((9, 1)), STUDY, 0.8)
    found = clustered.cluster_robust_tests(
        EFFECTS, clustered.Working(np.ones((9, 1)), np.diag(w), np.diag(1 / w), STUDY)
    )
    close([found.beta[0], found.se[0], found.df[0]], [0.626576979, 0.271003120, 2.852], 2e-5)
    close([found.beta[0], found.se[0]], [0.626576979, 0.271003120], 1e-9)
    assert tau2 > 0


def test_cr2_is_unbiased_where_the_working_model_holds() -> None:
    """Its expectation under Phi is the model-based covariance, which defines the A matrices."""
    total = multivariate.fit_components(
        EFFECTS, COVARIANCE, LOG_TIME, multivariate.levels([STUDY, np.arange(9)])
    ).total
    model = clustered.Working(LOG_TIME, np.linalg.inv(total), total, STUDY)
    parts = clustered._model_parts(model)
    expected = np.zeros((2, 2))
    for rows, a in zip(parts.members, clustered.cr2(model, parts), strict=True):
        load = (
            parts.m
            @ LOG_TIME[rows].T
            @ model.w[np.ix_(rows, rows)]
            @ a
            @ parts.residual_maker[rows]
        )
        expected += load @ total @ load.T
    close(expected, parts.m, 1e-9)


def test_single_effects_as_clusters_give_the_known_heteroscedastic_forms() -> None:
    """With W = Phi = I and clusters of one, CR0 is White's covariance, CR3 the jackknife's HC3."""
    x = np.column_stack([np.ones(12), np.arange(12.0)])
    y = np.random.default_rng(4).normal(size=12)
    model = clustered.Working(x, np.eye(12), np.eye(12), np.arange(12))
    bread = np.linalg.inv(x.T @ x)
    hat = np.diagonal(x @ bread @ x.T)
    residual = y - x @ bread @ x.T @ y
    for kind, power in (("CR0", 0.0), ("CR2", 0.5), ("CR3", 1.0)):
        scaled = residual / (1 - hat) ** power
        close(
            clustered.cluster_robust_tests(y, model, kind=kind).covariance,
            bread @ (x.T * scaled**2) @ x @ bread,
            1e-10,
        )


@pytest.mark.parametrize("kind", list(clustered.ROBUST_TYPES))
def test_units_order_and_names_of_clusters_do_not_matter(kind: str) -> None:
    fit, _ = cr2(LOG_TIME)
    model = clustered.Working(LOG_TIME, np.linalg.inv(fit.total), fit.total, STUDY)
    base = clustered.cluster_robust_tests(EFFECTS, model, kind=kind)
    order = np.random.default_rng(1).permutation(9)
    pair = np.ix_(order, order)
    shuffled = clustered.Working(LOG_TIME[order], model.w[pair], model.phi[pair], 3 - STUDY[order])
    other = clustered.cluster_robust_tests(EFFECTS[order], shuffled, kind=kind)
    close(np.concatenate([other.se, other.df]), np.concatenate([base.se, base.df]), 1e-9)
    for c in (1e-6, 1e6):
        scaled = clustered.Working(LOG_TIME, model.w / c**2, model.phi * c**2, STUDY)
        found = clustered.cluster_robust_tests(EFFECTS * c, scaled, kind=kind)
        close(np.concatenate([found.se / c, found.df]), np.concatenate([base.se, base.df]), 1e-9)
    moved = clustered.Working(
        LOG_TIME @ np.array([[1.0, 2000.0], [0.0, 50.0]]), model.w, model.phi, STUDY
    )
    found = clustered.cluster_robust_tests(EFFECTS, moved, kind=kind)
    close([found.statistic[1], found.df[1]], [base.statistic[1], base.df[1]], 1e-8)


def test_types_are_words() -> None:
    model = clustered.Working(np.ones((9, 1)), np.eye(9), np.eye(9), STUDY)
    with pytest.raises(
        ValueError,
        match='unknown cluster-robust type "HC3"; use one of CR0, CR1, CR1p, CR1S, CR2, CR3',
    ):
        clustered.cluster_robust_tests(EFFECTS, model, kind="HC3")
