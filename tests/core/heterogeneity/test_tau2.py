"""Between-study variance against metafor (tests/reference/02_rma_uni), its defining equations and
its identities.

The R values were made with metafor 5.1-12, iterative estimators refitted with threshold 1e-13 and
tol at machine precision
(header of the file); metafor's defaults stop 1e-5 absolutely short of the maximum and are not
compared with.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal

from kapmeta.core import combine
from kapmeta.core.heterogeneity import tau2
from kapmeta.core.heterogeneity.tau2_intervals import (
    generalised_q_interval,
    profile_likelihood,
    q_profile,
)
from kapmeta.core.heterogeneity.variance_likelihood import (
    global_maximum,
    local_maxima,
    log_likelihood,
    search_limit,
)
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile
from kapmeta.core.numerics.weighting import q_statistic
from tests.helpers.r_values import data_set, given_effects, method_values, records

WEIGHTS = {"1/sqrt(vi)": lambda v: 1 / np.sqrt(v), "1/vi": lambda v: 1 / v}
SAME = {
    "DLIT": "PM",
    "SJIT": "PM",
}  # iterated DerSimonian-Laird and Sidik-Jonkman end at Paule-Mandel
NOT_OFFERED = {
    "EE": "the common-effect model has no tau2",
    "FE": "the common-effect model has no tau2",
    "GENQM": "the median-unbiased generalised Q estimator",
}
CLOSED = ("DL", "HE", "HS", "HSk", "SJ", "GENQ")


def cases() -> list[Any]:
    """Every record of the file, with what it is compared with, or why not."""
    return [
        pytest.param(
            record, id=f"{record['settings']['method']}-{record['dataset']}-{record['measure']}-{i}"
        )
        for i, record in enumerate(records("02_rma_uni"))
        if record["settings"]["method"] not in NOT_OFFERED
    ]


def effects_of(record: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    y, v = given_effects(record)
    there = np.isfinite(y) & np.isfinite(v)
    return np.where(there, y, 0.0), np.where(there, v, np.inf)


def method_of(record: dict[str, Any]) -> Any:
    word = record["settings"]["method"]
    if word == "GENQ":
        return tau2.generalised_q(WEIGHTS[record["settings"]["weights"]])
    return SAME.get(word, word)


def test_every_record_is_compared_or_named() -> None:
    found = Counter(record["settings"]["method"] for record in records("02_rma_uni"))
    assert set(found) <= set(tau2.ESTIMATORS) | set(SAME) | set(NOT_OFFERED) | {"GENQ"}
    assert len(cases()) == sum(found.values()) - sum(found[word] for word in NOT_OFFERED) == 682


@pytest.mark.parametrize("record", cases())
def test_metafor(record: dict[str, Any]) -> None:
    y, v = effects_of(record)
    here = float(tau2.estimate(y, v, method_of(record)))
    if np.count_nonzero(v < np.inf) < 2:
        assert np.isnan(
            here
        )  # metafor prints 0 for one study; one study has no between-study variance
        return
    there = record["results"]["tau2"]
    word = record["settings"]["method"]
    exact = 1e-12 if word in CLOSED else 1e-9
    # at the boundary metafor's step halving leaves values like 1e-12 of a variance instead of 0
    assert_allclose(here, there, rtol=exact, atol=1e-9 * float(np.min(v)))
    if word in tau2.ESTIMATORS and there > 1e-9 * np.min(v):
        se = tau2.standard_error(y, v, here, word)
        assert_allclose(se, record["results"]["se_tau2"], rtol=1e-10)


@pytest.mark.parametrize(
    "record", [p for p in cases() if p.values[0]["settings"]["method"] in ("REML", "DL")]
)
def test_metafor_intervals(record: dict[str, Any]) -> None:
    y, v = effects_of(record)
    if np.count_nonzero(v < np.inf) < 2:
        assert np.isnan(q_profile(y, v).low)
        return
    results = record["results"]
    compared = {"tau2_ci_QP": (q_profile(y, v), 1e-9)}
    if record["settings"]["method"] == "REML" and results.get("global", {}).get("n_maxima", 1) == 1:
        compared["tau2_ci_PL"] = (profile_likelihood(y, v), 1e-8)
    if record["settings"]["method"] == "DL":
        compared["tau2_ci_BJ"] = (generalised_q_interval(y, v), 1e-6)  # its series is good to 1e-6
        compared["tau2_ci_Jackson"] = (
            generalised_q_interval(y, v, weight=WEIGHTS["1/sqrt(vi)"]),
            1e-6,
        )
    seen = 0
    for name, (limits, exact) in compared.items():
        there = results.get(name)
        if there is None or there.get("tau2_lb") is None:
            continue
        seen += 1
        near = 1e-9 * max(there["tau2_ub"], float(np.min(v)))
        near += (
            2e-10 if name == "tau2_ci_PL" else 0.0
        )  # metafor's root tolerance there is 1e-10 absolute
        assert_allclose(float(limits.low), there["tau2_lb"], rtol=exact, atol=near, err_msg=name)
        if there.get("ub_sign", "") != ">":  # metafor stops looking at tau2 = 100
            assert_allclose(
                float(limits.high), there["tau2_ub"], rtol=exact, atol=near, err_msg=name
            )
        if name == "tau2_ci_QP":
            assert bool(limits.empty) == there["null_set"]
    assert seen


# --- worked values of the specification

TABLE = {  # BCG, k3
    "DL": (0.308760262862, 0.0697614369085),
    "HE": (0.328563857996, 1.10382444811),
    "HS": (0.228362863677, 0.0),
    "SJ": (0.345515701599, 0.870421204495),
    "ML": (0.280028137269, 0.0),
    "REML": (0.313243258136, 0.0),
    "PM": (0.318068452205, 0.474300375962),
    "PMM": (0.343387906896, 1.28670133878),
    "DL2": (0.317955566121, 0.159057935348),
    "CA2": (0.318191188204, 0.689458014085),
}


@pytest.mark.parametrize("word", TABLE)
def test_worked_values(word: str) -> None:
    for name, there in zip(("bcg", "k3"), TABLE[word], strict=True):
        assert_allclose(tau2.estimate(*data_set(name), word), there, rtol=2e-11, atol=1e-14)


# data on which metafor 5.1-12 ends at another mode, stops, or warns; (y, v, global REML, local
# maxima)
HAZARDS = [
    ((0.1, -0.3, 4.2), (0.07, 0.01, 3.27), 0.088749012396, 2),
    ((-0.3, -0.5, 2.2), (0.01, 0.01, 1.09), 0.013876628210, 2),
    ((-1.7, 0.6, 0.8), (1.08, 0.09, 0.01), 0.017786120366, 2),
    ((1, 0.8, -1.9), (0.06, 0.18, 1.52), 0.0, 2),
    ((1.2, -1.8, 0.9), (0.01, 1.38, 0.05), 1.04122344689, 2),
    ((0.29, -0.08, 0.72, -0.09, -0.27), (1.43, 0.58, 0.02, 0.99, 0.34), 0.152394685938, 1),
    ((-1.88, 3.78, -0.82, -0.87), (0.19, 3.18, 0.1, 0.03), 0.551199738606, 1),
    ((-1.8, 0.53, -1.23), (0.34, 0.97, 0.08), 0.0, 2),
]


OTHER_MODES = {3: 0.603328348071, 4: 0.083919068387, 7: 0.156617075}  # by place in the table above


@pytest.mark.parametrize(("y", "v", "there", "modes"), HAZARDS)
def test_hazards(y: tuple[float, ...], v: tuple[float, ...], there: float, modes: int) -> None:
    here = tau2.estimate(y, v, "REML")
    assert_allclose(here, there, rtol=1e-10)
    found, loglik = local_maxima(np.array(y, dtype=float), np.array(v), restricted=True)
    assert found.size == modes
    assert_allclose(found[0], here, rtol=1e-14)
    assert (np.diff(loglik) < 0).all()


@pytest.mark.parametrize(("place", "there"), OTHER_MODES.items())
def test_the_modes_that_are_not_global(place: int, there: float) -> None:
    y, v, _, _ = HAZARDS[place]
    assert_allclose(
        local_maxima(np.array(y, dtype=float), np.array(v), restricted=True)[0][1], there, rtol=1e-8
    )


def test_the_global_mode_moves_the_mean() -> None:
    """Where metafor ends at the other mode it prints means of .5783 and .0873."""
    for (y, v, there, _), mean in zip(HAZARDS[:2], (-0.0692201321, -0.3721821106), strict=True):
        w = 1 / (np.array(v) + there)
        assert_allclose((w @ y) / w.sum(), mean, rtol=1e-9)
        assert_allclose(combine(y, v).estimate, mean, rtol=1e-9)
    assert_allclose(combine(*HAZARDS[0][:2]).se, 0.2445311933, rtol=1e-9)


# the third effect at which two modes are equally high, found by bisection; likelihood, modes
TIES = [
    ((0.1, -0.3, 4.3627393716306315), (0.07, 0.01, 3.27), True, (0.09643211, 2.65751359)),
    ((0.1, -0.3, 6.353450263350347), (0.07, 0.01, 3.27), False, (0.0, 5.43522366)),
    ((-0.3, -0.5, 2.3142913106261482), (0.01, 0.01, 1.09), True, (0.01451968, 1.17247685)),
    ((-0.3, -0.5, 3.4010431744176643), (0.01, 0.01, 1.09), False, (0.00104306231, 1.94182980)),
]


@pytest.mark.parametrize(("y", "v", "restricted", "modes"), TIES)
def test_the_higher_of_two_modes_is_taken_however_small_the_difference(
    y: tuple[float, ...], v: tuple[float, ...], restricted: bool, modes: tuple[float, float]
) -> None:
    for aside, there in zip((-1e-6, 1e-6), modes, strict=True):
        moved = np.add(y, [0.0, 0.0, aside])
        assert_allclose(global_maximum(moved, np.array(v), restricted=restricted), there, rtol=1e-5)
        together = global_maximum(np.array([moved, moved]), np.array([v, v]), restricted=restricted)
        assert_allclose(together, there, rtol=1e-5)
        assert_allclose(
            local_maxima(moved, np.array(v), restricted=restricted)[0][0], there, rtol=1e-5
        )


def test_records_with_two_modes_are_told_as_metafor_found_them_by_grid_search() -> None:
    checked = 0
    for record in records("02_rma_uni"):
        there = record["results"].get("global") or {}
        if record["settings"]["method"] not in ("REML", "ML") or there.get("n_maxima", 1) < 2:
            continue
        y, v = effects_of(record)
        found, _ = local_maxima(y, v, restricted=record["settings"]["method"] == "REML")
        assert_allclose(
            np.sort(found), np.sort(there["all_maxima"]), rtol=1e-8, atol=1e-9 * v.min()
        )
        checked += 1
    assert checked == sum(
        (r["results"].get("global") or {}).get("n_maxima", 1) > 1 for r in records("02_rma_uni")
    )


# --- defining equations

DATA = ("bcg", "kap5", "k3", "alcohol2", "opioid2")


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(("word", "quantile"), [("PM", None), ("EB", None), ("PMM", 0.5)])
def test_q_equals_its_target(name: str, word: str, quantile: float | None) -> None:
    y, v = data_set(name)
    df = y.size - 1
    target = df if quantile is None else float(chi2_quantile(quantile, df))
    here = tau2.estimate(y, v, word)
    if here > 0:
        assert_allclose(q_statistic(y, v, here), target, rtol=1e-12)
    else:
        assert q_statistic(y, v) <= target


def score(y: FloatArray, v: FloatArray, tau2: FloatArray, restricted: bool) -> tuple[float, float]:
    """Compute twice the score in tau2, ``y'PPy - B``, and the size of its parts."""
    w = 1 / (v + tau2)
    p = np.diag(w) - np.outer(w, w) / w.sum()
    a, b = float(y @ p @ p @ y), float(np.trace(p)) if restricted else float(w.sum())
    return a - b, a + b


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("name", DATA)
def test_the_score_vanishes_at_the_maximum(name: str, restricted: bool) -> None:
    y, v = data_set(name)
    here = global_maximum(y, v, restricted=restricted)
    value, size = score(y, v, here, restricted)
    if here > 0:
        assert abs(value) <= 1e-12 * size
    else:
        assert value <= 0


@pytest.mark.parametrize("name", DATA)
def test_q_profile_limits_put_q_on_its_quantiles(name: str) -> None:
    y, v = data_set(name)
    for limit, tail in zip(q_profile(y, v, level=0.9)[:2], (0.95, 0.05), strict=True):
        if limit > 0:
            assert_allclose(q_statistic(y, v, limit), chi2_quantile(tail, y.size - 1), rtol=1e-12)


@pytest.mark.parametrize("restricted", [True, False])
def test_profile_limits_put_the_likelihood_ratio_on_its_quantile(restricted: bool) -> None:
    y, v = data_set("bcg")
    limits = profile_likelihood(y, v, restricted=restricted)
    top = log_likelihood(y, v, global_maximum(y, v, restricted=restricted), restricted=restricted)
    for limit in limits[:2]:
        ratio = 2 * (top - log_likelihood(y, v, limit, restricted=restricted))
        assert_allclose(ratio, chi2_quantile(0.95, 1), rtol=1e-11)


def test_an_empty_q_profile_set_is_flagged() -> None:
    y, v = data_set("alcohol2")
    assert_array_equal(q_profile(y, v), (0.0, 0.0, True))
    assert_array_equal(generalised_q_interval(y, v), (0.0, 0.0, True))
    assert profile_likelihood(y, v).high > 0


# --- properties

studies = st.integers(2, 9)


@st.composite
def problems(draw: st.DrawFn) -> tuple[FloatArray, FloatArray]:
    k = draw(studies)
    y = draw(
        arrays.arrays(
            float, k, elements=st.floats(-4, 4, allow_subnormal=False).map(lambda x: round(x, 3))
        )
    )
    v = draw(
        arrays.arrays(float, k, elements=st.floats(-3, 1).map(lambda x: float(np.round(10**x, 6))))
    )
    return y, v


@given(problems())
@pytest.mark.parametrize("word", tau2.ESTIMATORS)
def test_units_and_origin(word: str, problem: tuple[FloatArray, FloatArray]) -> None:
    y, v = problem
    here = tau2.estimate(y, v, word)
    scale = max(float(here), float(v.min()))
    for unit in (1e-6, 1e-3, 1e6):
        assert_allclose(
            tau2.estimate(y * unit, v * unit**2, word) / unit**2,
            here,
            rtol=1e-10,
            atol=1e-10 * scale,
        )
    assert_allclose(tau2.estimate(-y + 5, v, word), here, rtol=1e-8, atol=1e-10 * scale)


@given(problems())
@pytest.mark.parametrize("word", tau2.ESTIMATORS)
def test_an_absent_study_is_a_deleted_study(
    word: str, problem: tuple[FloatArray, FloatArray]
) -> None:
    y, v = problem
    padded = tau2.estimate(np.append(y, 99.0), np.append(v, np.inf), word)
    assert_allclose(padded, tau2.estimate(y, v, word), rtol=1e-9, atol=1e-12 * v.min())


@pytest.mark.parametrize("word", tau2.ESTIMATORS)
def test_standard_error_passes_over_an_absent_study(word: str) -> None:
    y, v = data_set("bcg")
    here = tau2.estimate(y, v, word)
    padded = tau2.standard_error(np.append(y, 99.0), np.append(v, np.inf), here, word)
    assert_allclose(padded, tau2.standard_error(y, v, here, word), rtol=1e-14)


@pytest.mark.parametrize("word", tau2.ESTIMATORS)
def test_a_batch_is_a_loop(word: str) -> None:
    rng = np.random.default_rng(7)
    y, v = rng.normal(0, 1, (3, 40, 5)), rng.uniform(0.01, 2, (3, 40, 5))
    v[rng.random(v.shape) < 0.2] = np.inf
    batch = tau2.estimate(y, v, word)
    assert batch.shape == (3, 40)
    loop = [[float(tau2.estimate(y[i, j], v[i, j], word)) for j in range(40)] for i in range(3)]
    assert_allclose(batch, loop, rtol=1e-12, atol=1e-15)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.01, 3), st.floats(0.01, 3))
def test_two_studies_have_one_estimate(y1: float, y2: float, v1: float, v2: float) -> None:
    there = max(0.0, ((y1 - y2) ** 2 - v1 - v2) / 2)
    for word in ("DL", "HE", "PM", "EB", "REML", "DL2", "CA2"):
        assert_allclose(tau2.estimate([y1, y2], [v1, v2], word), there, rtol=1e-9, atol=1e-12)


@given(arrays.arrays(float, st.integers(2, 8), elements=st.floats(-3, 3)), st.floats(0.01, 2))
def test_equal_variances_have_closed_forms(y: FloatArray, variance: float) -> None:
    v = np.full(y.size, variance)
    spread = float(np.var(y, ddof=1))
    for word in ("DL", "HE", "PM", "REML"):
        assert_allclose(
            tau2.estimate(y, v, word), max(0.0, spread - variance), rtol=1e-9, atol=1e-12
        )
    assert_allclose(
        tau2.estimate(y, v, "ML"), max(0.0, float(np.var(y)) - variance), rtol=1e-9, atol=1e-12
    )


@given(problems())
def test_no_point_of_a_grid_beats_the_maximum(problem: tuple[FloatArray, FloatArray]) -> None:
    y, v = problem
    for restricted in (True, False):
        assert_grid_does_not_beat(y[None], v[None], restricted, 300)


def assert_grid_does_not_beat(y: FloatArray, v: FloatArray, restricted: bool, points: int) -> None:
    best = global_maximum(y, v, restricted=restricted)
    top = log_likelihood(y, v, best, restricted=restricted)
    limit = 1.5 * search_limit(y, v, restricted=restricted) + v.min(-1)
    for steps in np.array_split(np.linspace(0, 1, points), max(1, len(y) * points // 30_000)):
        t = v.min(-1) * np.expm1(steps[:, None] * np.log1p(limit / v.min(-1)))
        there = log_likelihood(y[None], v[None], t, restricted=restricted)
        assert (there <= top + 1e-12 * (1 + np.abs(top))).all()


@pytest.mark.long
@pytest.mark.parametrize("k", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("restricted", [True, False])
def test_a_million_small_problems_are_solved_globally(k: int, restricted: bool) -> None:
    rng = np.random.default_rng(k)
    for _ in range(10):
        v = np.exp(rng.uniform(-5, 1.5, (10_000, k)))
        y = rng.normal(size=(10_000, k)) * rng.choice([0.3, 1.0, 2.0], (10_000, 1))
        assert_grid_does_not_beat(y, v, restricted, 300)


@pytest.mark.parametrize("word", ["PM", "EB", "DL", "HE", "REML"])
def test_the_edge_of_heterogeneity_is_0(word: str) -> None:
    """Two effects 1 apart with variances 1/2: Q is 1 to the last digit, its degrees of freedom."""
    assert q_statistic(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == 1
    assert tau2.estimate([0.0, 1.0], [0.5, 0.5], word) == 0


# --- degenerate input


@pytest.mark.parametrize("word", tau2.ESTIMATORS)
def test_degenerate_rows(word: str) -> None:
    inf = np.inf
    y = np.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.0], [0.7, 0.7, 0.7]])
    v = np.array([[0.1, inf, inf], [inf, inf, inf], [0.1, 0.2, 0.4]])
    assert_array_equal(tau2.estimate(y, v, word), [np.nan, np.nan, 0.0])
    assert np.isnan(tau2.estimate(np.empty((2, 0)), np.empty((2, 0)), word)).all()
    assert tau2.estimate(np.empty((0, 3)), np.empty((0, 3)), word).shape == (0,)
    limits = q_profile(y, v)
    assert_array_equal(limits.low, [np.nan, np.nan, 0.0])
    assert_array_equal(limits.empty, [False, False, True])


def test_only_an_empty_set_is_called_empty() -> None:
    y, v = data_set("bcg")
    for limits in (q_profile(y, v), generalised_q_interval(y, v), profile_likelihood(y, v)):
        assert not limits.empty
    assert not generalised_q_interval([0.3], [0.1]).empty


def test_one_study_has_no_interval() -> None:
    assert np.isnan(profile_likelihood([0.3], [0.1]).low)
    assert np.isnan(generalised_q_interval([0.3], [0.1]).low)


INTERVALS = (q_profile, profile_likelihood, generalised_q_interval)


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_pass_over_an_absent_study(interval: Any) -> None:
    y, v = data_set("bcg")
    assert_allclose(
        interval(np.append(y, np.nan), np.append(v, np.inf)), interval(y, v), rtol=1e-12
    )
    assert np.isnan(interval([0.3, 0.0], [0.1, np.inf])[:2]).all()
    assert np.isnan(interval([], [])[:2]).all()


@pytest.mark.parametrize("interval", [q_profile, profile_likelihood])
def test_intervals_of_a_batch_are_those_of_a_loop(interval: Any) -> None:
    rng = np.random.default_rng(3)
    y, v = rng.normal(0, 1, (2, 3, 5)), rng.uniform(0.01, 2, (2, 3, 5))
    v[1, 2, 1:] = np.inf
    batch = interval(y, v)
    loop = [[interval(y[i, j], v[i, j]) for j in range(3)] for i in range(2)]
    assert_allclose(batch, np.moveaxis(np.array(loop, dtype=float), -1, 0), rtol=1e-12)


def test_a_variance_a_thousand_million_times_another() -> None:
    y, v = np.array([0.1, 0.5, 3.0]), np.array([1e-9, 1.0, 2.0])
    for word in ("REML", "ML", "PM", "DL"):
        here = tau2.estimate(y, v, word)
        assert_allclose(tau2.estimate(y[::-1], v[::-1], word), here, rtol=1e-9, atol=1e-15)
        if here > 0 and word == "PM":
            assert_allclose(q_statistic(y, v, here), 2, rtol=1e-11)


def test_unknown_words_and_callables() -> None:
    with pytest.raises(ValueError, match=r'unknown tau2 estimator "reml"; use one of REML, ML, DL'):
        tau2.estimate([0.1, 0.2], [0.1, 0.1], "reml")
    with pytest.raises(ValueError, match="unknown tau2 estimator"):
        tau2.standard_error([0.1, 0.2], [0.1, 0.1], 0.1, "dl")
    assert tau2.estimate([0.1, 0.2], [0.1, 0.1], lambda y, v: np.asarray(0.25)) == 0.25


@pytest.mark.parametrize(("word", "first"), [("DL2", "DL"), ("CA2", "HE")])
def test_standard_error_of_the_two_step_estimators_is_that_of_their_quadratic_form(
    word: str, first: str
) -> None:
    """``y'A y``, A the projection over its trace, has normal-theory variance ``2 tr(A D A D)``."""
    y, v = data_set("bcg")
    here = tau2.estimate(y, v, word)
    w = 1 / (v + tau2.estimate(y, v, first))
    p = np.diag(w) - np.outer(w, w) / w.sum()
    m = p @ np.diag(v + here) / np.trace(p)
    assert_allclose(tau2.standard_error(y, v, here, word), np.sqrt(2 * np.trace(m @ m)), rtol=1e-12)


def test_standard_error_of_sidik_jonkman_with_equal_effects_is_not_a_number() -> None:
    assert np.isnan(tau2.standard_error([0.2, 0.2], [0.1, 0.3], 0.0, "SJ"))


def test_method_values_agree_with_the_specification() -> None:
    """The worked values above and the file they were taken from are one thing."""
    assert_allclose(method_values()["pool"]["bcg"]["REML"]["tau2"], TABLE["REML"][0], rtol=1e-10)
