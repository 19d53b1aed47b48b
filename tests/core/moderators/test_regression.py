"""Meta-regression: the core against R, its equations, and properties for any data."""

from __future__ import annotations

import gzip
import json
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapmeta.core.heterogeneity import tau2
from kapmeta.core.moderators import moderator_permutation as permutation
from kapmeta.core.moderators import regression, residual_likelihood, residual_variance
from kapmeta.core.moderators import regression_diagnostics as diagnostics
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling import intervals
from kapmeta.core.pooling.combining import combine
from tests.helpers.places import REFERENCE

# metafor 5.1.12 and meta 8.4.0 on R 4.2.2, threshold 1e-13:
# tests/reference/08_metareg_subgroup.json.gz
VALUES = REFERENCE / "08_metareg_subgroup.json.gz"
RECORDS: list[dict[str, Any]] = json.loads(gzip.decompress(VALUES.read_bytes()))["records"]
TESTS = {"z": "wald", "t": "t", "knha": "hksj", "adhoc": "hksj-variance"}


def places(fun: str) -> list[int]:
    return [i for i, record in enumerate(RECORDS) if record["settings"]["fun"] == fun]


COMPARED = {
    "regressions": places("metafor::rma.uni"),
    "likelihood ratio": places("metafor::anova.rma LRT"),
    "variance inflation": places("metafor::vif"),
    "predictions": places("metafor::predict.rma"),
    "sign flips": places("metafor::permutest"),
    "subgroups": [*places("meta::metabin"), *places("meta::metagen")],
}
NOT_OFFERED = {
    "location-scale models: tau2 itself regressed on moderators": places("metafor::rma.ls")
}
# Fields of compared records in which the two differ, with the cause; all else agrees.
DIVERGENT = {
    "Q_b_random with method.random.ci = HK": (
        "meta feeds Hartung-Knapp standard errors of subgroups into Q_b, which collapse where two"
        " trials agree; here model-based ones (test_moderators.py shows that theirs gives theirs)"
    ),
    "TE_common_w with method = MH": (
        "Mantel-Haenszel pooling within subgroups is kapmeta.mantel_haenszel's"
    ),
    "tau2_ci_QP of ~ablat*year": (
        "metafor is off by 1.3e-8 there, where columns are nearly collinear; ours "
        "meets the defining equation to the last digit (below)"
    ),
    "AIC": (
        "no information criterion is offered: it follows from the log-likelihoods, which are"
        " compared"
    ),
}


def test_every_record_is_accounted_for() -> None:
    listed = sorted(i for group in (COMPARED, NOT_OFFERED) for part in group.values() for i in part)
    assert listed == list(range(len(RECORDS)))


def close(found: Any, reference: Any, rtol: float = 1e-9, atol: float = 0.0) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(reference, float), rtol=rtol, atol=atol
    )


def data(record: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(record["inputs"]["yi"]), np.array(record["inputs"]["vi"])


BCG = RECORDS[2]
Y, V = data(BCG)
X = np.array(BCG["inputs"]["X"], float)


@pytest.mark.parametrize("i", COMPARED["regressions"])
def test_regressions_agree_with_metafor(i: int) -> None:
    record = RECORDS[i]
    (y, v), x = data(record), np.array(record["inputs"]["X"], float)
    method = record["settings"]["method"]
    z, _ = regression.orthonormal(x)
    for test, ci in TESTS.items():
        expected = record["results"][test]
        found = regression.fit(y, v, x, tau2=0.0 if method == "EE" else method, ci=ci)
        fields = {
            "beta": "beta",
            "se": "se",
            "statistic": "stat",
            "p_value": "pval",
            "low": "ci_lb",
            "high": "ci_ub",
        }
        for ours, theirs in fields.items():
            close(getattr(found, ours), expected[theirs])
        close(found.covariance, expected["vb"], atol=1e-15)
        close(found.tau2, expected["tau2"], atol=1e-12)
        close(found.q, expected["QE"])
        full, restricted = residual_variance.log_likelihoods(y, v, z, found.tau2)
        # metafor adds half the log determinant of X'X, so that its restricted likelihood depends on
        # the unit of X
        shift = 0.5 * np.linalg.slogdet(x.T @ x)[1]
        assert np.isfinite(shift)
        close([full, restricted], [expected["ll_ML"], expected["ll_REML"]])
        hat = residual_likelihood.project(y, 1 / (v + found.tau2), z).leverage
        close(hat, expected["hat"], rtol=1e-8)
        rows = diagnostics.predict(found, x, df=np.full(len(x), found.df[0]), prediction="none")
        close(rows.mean, expected["fitted"], rtol=1e-8)
        close(rows.se, expected["fitted_se"])
        if method not in ("EE",):
            close(
                residual_variance.standard_error(y, v, z, found.tau2, method), expected["se_tau2"]
            )
            floored = test == "adhoc" and found.factor < 1
            kind = {"z": "normal", "t": "t", "knha": "hk", "adhoc": "t" if floored else "hk"}[test]
            limits = diagnostics.predict(found, x, df=np.full(len(x), found.df[0]), prediction=kind)
            close(limits.prediction_low, expected["pi_lb"], rtol=1e-8)
            close(limits.prediction_high, expected["pi_ub"], rtol=1e-8)
        places = range(x.shape[1]) if not (x == 1).all(0).any() else range(1, x.shape[1])
        joint = regression.joint_test(
            found.beta, found.covariance, np.eye(x.shape[1])[list(places)], found.df[0]
        )
        close(joint.statistic, expected["QM"])
        close(joint.p_value, expected["QMp"], rtol=1e-8)
    if "tau2_ci_QP" in record["results"] and "tau2_lb" in record["results"]["tau2_ci_QP"]:
        limits_of_tau2 = record["results"]["tau2_ci_QP"]
        expected_limits = [limits_of_tau2["tau2_lb"], limits_of_tau2["tau2_ub"]]
        rtol = 2e-8 if record["settings"]["mods"] == "~ablat*year" else 1e-9
        close(residual_variance.residual_q_profile(y, v, z), expected_limits, rtol=rtol, atol=1e-12)


def test_worked_values_of_the_specification() -> None:
    """BCG on latitude (methods 8.4)."""
    found = regression.fit(Y, V, X, ci="hksj")
    close(found.beta, [0.251468210007, -0.0291017250116], rtol=1e-11)
    close(
        np.sqrt(np.diagonal(found.model_covariance)), [0.249095396617, 0.00719532722091], rtol=1e-11
    )
    close(found.tau2, 0.0763479639553, rtol=1e-11)
    close(found.se[1], 0.00820141741104, rtol=1e-11)
    close(found.p_value[1], 0.00456505154, rtol=1e-8)
    close(regression.fit(Y, V, X, tau2="DL").tau2, 0.0633005024264, rtol=1e-11)
    close(regression.fit(Y, V, X, tau2="PM").tau2, 0.142131941473, rtol=1e-11)


def test_variance_inflation_agrees_with_metafor() -> None:
    (i,) = COMPARED["variance inflation"]
    record = RECORDS[i]
    y, v = data(record)
    x = np.column_stack([np.ones(13), record["inputs"]["ablat"], record["inputs"]["year"]])
    found = regression.fit(y, v, x, tau2="ML")
    factors = diagnostics.variance_inflation(found.model_covariance, 0)
    close(factors[1:], record["results"]["vif"])
    assert np.isnan(factors[0])
    assert np.isnan(diagnostics.variance_inflation(np.eye(1), 0)).all()


@pytest.mark.parametrize("i", COMPARED["predictions"])
def test_predictions_agree_with_metafor(i: int) -> None:
    record = RECORDS[i]
    knha = record["settings"]["test"] == "knha"
    found = regression.fit(Y, V, X, ci="hksj" if knha else "wald")
    new = np.array(record["inputs"]["newmods"], float).reshape(-1)
    rows = np.column_stack([np.ones(new.size), new])
    expected = record["results"]
    df = np.full(new.size, found.df[0])
    given = diagnostics.predict(found, rows, df=df, prediction="hk" if knha else "normal")
    for ours, theirs in zip(given, ("pred", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub"), strict=True):
        close(ours, expected[theirs], rtol=1e-8)
    riley = diagnostics.predict(found, rows, df=df, prediction="hk-pr" if knha else "hts")
    close(riley.prediction_low, expected["pi_riley_lb"], rtol=1e-8)
    close(riley.prediction_high, expected["pi_riley_ub"], rtol=1e-8)


@pytest.mark.parametrize("i", COMPARED["sign flips"])
def test_exact_sign_flips_agree_with_metafor(i: int) -> None:
    record = RECORDS[i]
    y, v = data(record)
    method = record["settings"]["method"]
    found = permutation.permutation_test(
        y, v, np.ones((5, 1)), tau2=0.0 if method == "EE" else method, rng=np.random.default_rng(1)
    )
    assert found.exact
    assert found.arrangements == 32
    assert found.p_values.tolist() == record["results"]["pval"]
    assert found.joint_p_value == record["results"]["QMp"]


@pytest.mark.parametrize("x", [[0.0, 1.0, 2.0, 4.0, 7.0], [0.0, 0.0, 1.0, 1.0, 1.0]])
def test_exact_permutation_is_the_share_of_all_orders(x: list[float]) -> None:
    y, v = np.array([0.1, 0.4, 0.2, 1.1, 1.5]), np.array([0.1, 0.2, 0.15, 0.1, 0.3])
    design = np.column_stack([np.ones(5), x])
    found = permutation.permutation_test(y, v, design, tau2="DL", rng=np.random.default_rng(1))
    every = [
        abs(float(regression.fit(y, v, design[list(o)], tau2="DL").statistic[1]))
        for o in permutations(range(5))
    ]
    assert found.exact
    assert found.arrangements == permutation.distinct_arrangements(design)
    assert found.p_values[1] == pytest.approx(
        np.mean(np.array(every) >= every[0] * (1 - 1e-10)), abs=1e-15
    )


def test_random_permutations_count_the_observed_one_and_settle_near_the_exact_share() -> None:
    y, v = Y[:7], V[:7]
    exact = permutation.permutation_test(y, v, X[:7], tau2="DL", rng=np.random.default_rng(0))
    orders = np.random.default_rng(5)
    order = permutation._orders(X[:7], False, 4000, orders)
    assert (order[0] == np.arange(7)).all()
    found = regression.fit(y[order], v[order], X[:7], tau2="DL")
    share = np.mean(np.abs(found.statistic[:, 1]) >= abs(found.statistic[0, 1]) * (1 - 1e-10))
    error = np.sqrt(exact.p_values[1] * (1 - exact.p_values[1]) / 4000)
    assert abs(share - exact.p_values[1]) < 4 * error
    signs = permutation._signs(20, False, 10, orders)
    assert signs.shape == (11, 20)
    assert (signs[0] == 1).all()
    many = permutation.permutation_test(Y, V, X, tau2="DL", draws=200, rng=np.random.default_rng(2))
    assert not many.exact
    assert many.arrangements == 201


def test_kenward_roger_is_that_of_the_mean_without_moderators() -> None:
    found = regression.fit(Y, V, np.ones((13, 1)), ci="kr")
    mean = intervals.kr(Y, V, found.tau2, 0.95)
    close([found.low[0], found.high[0], found.df[0]], [mean.low, mean.high, mean.df], rtol=1e-12)
    close(
        [found.low[0], found.high[0], found.df[0]],
        [-1.11635595184, -0.312708732479, 10.5137107629],
        rtol=1e-9,
    )
    slope = regression.fit(Y, V, X, ci="kr")
    assert (slope.df < 11).all()
    close(regression.combination_df(slope, V, X, np.eye(2), "kr"), slope.df, rtol=1e-12)
    refused = regression.fit([0.1, 0.1, 0.2], [1.0, 1.0, 1.0], np.ones((3, 1)), ci="kr")
    assert refused.status == Status.REFUSED
    assert np.isnan(refused.se).all()


@pytest.mark.parametrize("ci", list(regression.COEFFICIENT_TESTS))
@pytest.mark.parametrize("method", list(residual_variance.RESIDUAL_ESTIMATORS))
def test_an_intercept_alone_is_the_pooled_mean(ci: str, method: str) -> None:
    rng = np.random.default_rng(3)
    y, v = rng.normal(size=(40, 6)), rng.exponential(size=(40, 6)) + 0.05
    found = regression.fit(y, v, np.ones((6, 1)), tau2=method, ci=ci)
    pooled = combine(y, v, tau2=method, ci=ci)
    fine = pooled.status == 0
    for ours, theirs in (
        (found.beta, pooled.estimate),
        (found.low, pooled.low),
        (found.high, pooled.high),
    ):
        close(ours[fine, 0], theirs[fine], rtol=1e-8, atol=1e-9)
    assert ((found.status == 0) == fine).all()
    se = residual_variance.standard_error(y, v, np.ones((6, 1)), found.tau2, method)
    close(se, tau2.standard_error(y, v, found.tau2, method), rtol=1e-8)


def test_hybrid_is_the_wider_of_hartung_knapp_and_wald() -> None:
    rng = np.random.default_rng(8)
    y, v = rng.normal(size=(200, 5)) * rng.uniform(0.2, 2, size=(200, 1)), np.full((200, 5), 0.5)
    x = np.column_stack([np.ones(5), np.arange(5.0)])
    hybrid, scaled, normal = (
        regression.fit(y, v, x, ci=ci) for ci in ("hksj-hybrid", "hksj", "wald")
    )
    width = [found.high - found.low for found in (hybrid, scaled, normal)]
    close(width[0], np.maximum(width[1], width[2]), rtol=1e-12)
    assert (hybrid.df == np.inf).any()
    assert (hybrid.df == 3).any()


design_data = st.integers(4, 9).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-3, 3), min_size=k, max_size=k),
        st.lists(st.floats(0.01, 4), min_size=k, max_size=k),
        st.lists(st.integers(0, 30), min_size=k, max_size=k, unique=True),
    )
)


def arrays(
    given: tuple[list[float], list[float], list[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y, v, m = (np.array(part, dtype=float) for part in given)
    return y, v, np.column_stack([np.ones(y.size), m])


@settings(max_examples=40)
@given(design_data, st.sampled_from(["REML", "ML", "DL", "PM", "SJ"]))
def test_scale_and_shift_of_a_moderator_change_nothing(given_data: Any, method: str) -> None:
    y, v, x = arrays(given_data)
    base = regression.fit(y, v, x, tau2=method, ci="hksj")
    moved = x.copy()
    moved[:, 1] = 250.0 * moved[:, 1] + 1900.0
    other = regression.fit(y, v, moved, tau2=method, ci="hksj")
    close(other.tau2, base.tau2, rtol=1e-7, atol=1e-9 * v.min())
    if np.isfinite(base.statistic[1]):
        close(other.statistic[1], base.statistic[1], rtol=1e-6, atol=1e-7)
        close(other.beta[1] * 250.0, base.beta[1], rtol=1e-6, atol=1e-7)


@settings(max_examples=40)
@given(
    design_data,
    st.sampled_from([1e-6, 1e-3, 1e3, 1e6]),
    st.sampled_from(list(residual_variance.RESIDUAL_ESTIMATORS)),
)
def test_effects_in_other_units_give_the_same_fit(given_data: Any, c: float, method: str) -> None:
    y, v, x = arrays(given_data)
    base, other = (regression.fit(y * s, v * s * s, x, tau2=method, ci="t") for s in (1.0, c))
    close(other.tau2 / c**2, base.tau2, rtol=1e-8, atol=1e-9 * v.min())
    close(other.beta / c, base.beta, rtol=1e-7, atol=1e-8)
    close(other.se / c, base.se, rtol=1e-8)


@settings(max_examples=40)
@given(design_data, st.randoms(use_true_random=False))
def test_batch_is_single_and_order_and_absent_studies_do_not_matter(
    given_data: Any, random: Any
) -> None:
    y, v, x = arrays(given_data)
    order = list(range(y.size))
    random.shuffle(order)
    base = regression.fit(y, v, x)
    batch = regression.fit(np.stack([y, 2 * y]), np.stack([v, v]), x)
    close(batch.beta[0], base.beta, rtol=1e-10, atol=1e-12)
    close(batch.tau2[0], base.tau2, rtol=1e-10)
    shuffled = regression.fit(y[order], v[order], x[order])
    close(shuffled.beta, base.beta, rtol=1e-7, atol=1e-9)
    more = np.append(y, np.nan), np.append(v, np.inf), np.vstack([x, [1.0, 99.0]])
    absent = regression.fit(*more)
    close(absent.beta, base.beta, rtol=1e-7, atol=1e-9)
    assert absent.k == y.size


@settings(max_examples=60)
@given(design_data, st.booleans())
def test_no_point_of_a_grid_beats_the_maximum(given_data: Any, restricted: bool) -> None:
    y, v, x = arrays(given_data)
    z, _ = regression.orthonormal(x)
    best = residual_likelihood.residual_global_maximum(y, v, z, restricted=restricted)
    top = residual_likelihood.curve(y, v, z, best, restricted).loglik
    grid = np.concatenate([[0.0], np.geomspace(1e-5, 1e3, 300)])
    values = residual_likelihood.curve(
        np.broadcast_to(y, (301, y.size)), v, z, grid, restricted
    ).loglik
    assert values.max() <= top + 1e-9 * (1 + abs(top))
    modes, loglik = residual_likelihood.residual_local_maxima(y, v, z, restricted=restricted)
    close(modes[0], best, rtol=1e-7, atol=1e-9 * v.min())
    assert (np.diff(loglik) <= 0).all()


def test_the_global_mode_is_found_where_there_are_two() -> None:
    """An intercept-only case on which Fisher scoring ends at 1.909 (methods 10.4)."""
    y, v, ones = np.array([0.1, -0.3, 4.2]), np.array([0.07, 0.01, 3.27]), np.ones((3, 1))
    close(residual_variance.residual_reml(y, v, ones), 0.088749012396, rtol=1e-10)
    modes, _ = residual_likelihood.residual_local_maxima(y, v, ones / np.sqrt(3), restricted=True)
    close(
        modes, [0.088749012396, 1.90930379], rtol=3e-5
    )  # where metafor stops, by its absolute tolerance


def test_score_is_zero_and_q_equals_its_degrees_of_freedom() -> None:
    """The defining equations of REML, ML and Paule-Mandel."""
    z, _ = regression.orthonormal(X)
    for restricted in (True, False):
        at = residual_likelihood.residual_global_maximum(Y, V, z, restricted=restricted)
        here = residual_likelihood.curve(Y, V, z, at, restricted)
        close(here.a, here.b, rtol=1e-13)
    assert residual_likelihood.residual_q(
        Y, V, z, residual_variance.residual_paule_mandel(Y, V, z)
    ) == pytest.approx(11, rel=1e-13)


def test_q_profile_limits_meet_their_equation_on_nearly_collinear_moderators() -> None:
    record = next(r for r in RECORDS if r["settings"].get("mods") == "~ablat*year")
    z, _ = regression.orthonormal(np.array(record["inputs"]["X"], float))
    low, high = residual_variance.residual_q_profile(Y, V, z)
    close(residual_likelihood.residual_q(Y, V, z, low), chi2_quantile(0.975, 9), rtol=1e-12)
    close(residual_likelihood.residual_q(Y, V, z, high), chi2_quantile(0.025, 9), rtol=1e-12)
    latitude, year = X[:, 1] - 33, np.array(record["inputs"]["year"], float) - 1963
    centred = np.column_stack([np.ones(13), latitude, year, latitude * year])
    close(
        residual_variance.residual_q_profile(Y, V, regression.orthonormal(centred)[0]),
        [low, high],
        rtol=1e-10,
    )


def test_traces_and_quadratic_forms_are_those_of_the_projection() -> None:
    w = 1 / (V + 0.05)
    p = np.diag(w) - (w[:, None] * X) @ np.linalg.inv(X.T @ (w[:, None] * X)) @ (X.T * w)
    here = residual_likelihood.curve(Y, V, X, np.asarray(0.05), True)
    close([here.a, here.b], [Y @ p @ p @ Y, np.trace(p)], rtol=1e-10)
    close([here.da, here.db], [Y @ p @ p @ p @ Y, np.trace(p @ p)], rtol=1e-10)


def test_influence_is_what_deleting_each_study_does() -> None:
    moved = diagnostics.coefficient_influence(Y, V, X)
    whole = regression.fit(Y, V, X)
    for i in range(13):
        keep = np.arange(13) != i
        without = regression.fit(Y[keep], V[keep], X[keep])
        close(moved.beta[i], without.beta, rtol=1e-9)
        close(moved.tau2[i], without.tau2, rtol=1e-9)
        spread = V[i] + without.tau2 + X[i] @ without.model_covariance @ X[i]
        close(moved.studentised[i], (Y[i] - X[i] @ without.beta) / np.sqrt(spread), rtol=1e-9)
        change = whole.beta - without.beta
        close(moved.cook[i], change @ np.linalg.inv(whole.model_covariance) @ change, rtol=1e-8)
    close(moved.weight.sum(), 1.0)
    close(moved.leverage.sum(), 2.0)


def test_impossible_rows_are_nan_and_leave_the_others_alone() -> None:
    y, v = np.tile(Y, (4, 1)), np.tile(V, (4, 1))
    v[1, 0] = -1.0
    v[2, 2:] = np.inf
    y[3] = 0.5
    found = regression.fit(y, v, X, ci="hksj")
    close(found.beta[0], regression.fit(Y, V, X).beta, rtol=1e-12)
    assert np.isnan(found.beta[1]).all()
    assert found.status[1] == Status.INVALID_INPUT
    assert np.isnan(found.se[2]).all()
    assert (
        found.status[3] == Status.REFUSED
    )  # all effects equal: an interval of no width is refused
    collinear = regression.fit(Y, V, np.column_stack([X, X[:, 1]]))
    assert np.isnan(collinear.se).all()


def test_moderators_may_differ_between_rows_of_a_batch() -> None:
    x = np.stack([X, X[::-1]])
    found = regression.fit(Y, V, x, tau2="DL")
    for i in range(2):
        close(found.beta[i], regression.fit(Y, V, x[i], tau2="DL").beta, rtol=1e-10)


def test_options_are_words_from_the_tables_or_callables() -> None:
    with pytest.raises(ValueError, match='unknown tau2 estimator "XX"; use one of REML, ML'):
        regression.fit(Y, V, X, tau2="XX")
    with pytest.raises(
        ValueError, match='unknown interval "profile" for moderators; use one of wald, t, hksj'
    ):
        regression.fit(Y, V, X, ci="profile")
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        regression.fit(Y, V, X, level=95)
    own = regression.fit(Y, V, X, tau2=lambda y, v, x: np.full(v.shape[:-1], 0.1))
    close(own.tau2, 0.1)
    close(own.beta, regression.fit(Y, V, X, tau2=0.1).beta)
    assert list(residual_variance.RESIDUAL_ESTIMATORS) == list(tau2.ESTIMATORS)
    assert set(regression.COEFFICIENT_TESTS) <= set(intervals.INTERVALS)
