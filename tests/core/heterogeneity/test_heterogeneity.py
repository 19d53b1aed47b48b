"""Heterogeneity statistics against metafor and meta (tests/reference), and their definitions."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose

from kapmeta.core.heterogeneity.heterogeneity import (
    between_share,
    cochran_q,
    h2_from_q,
    h2_from_tau2,
    heterogeneity,
    i2_from_q,
    i2_from_tau2,
    typical_variance,
)
from kapmeta.core.heterogeneity.tau2 import estimate
from kapmeta.core.numerics.arrays import FloatArray
from tests.helpers.r_values import (
    counted_effects,
    data_set,
    given_effects,
    method_values,
    number,
    records,
)


def test_metafor() -> None:
    """metafor 5.1-12 ``rma``: Q, its p, typical variance, I2, H2; every record of 02_rma_uni."""
    seen: Counter[str] = Counter()
    for record in records("02_rma_uni"):
        y, v = given_effects(record)
        expected, method = record["results"], record["settings"]["method"]
        found = heterogeneity(y, v, expected["tau2"])
        if y.size == 1:
            assert np.isnan(np.array(found)).all()
            seen["divergent: k = 1, metafor returns Q = 0 and I2 = 0"] += 1
            continue
        assert_allclose(found.q, expected["Q"], rtol=1e-9, atol=1e-25)
        assert_allclose(found.q_p_value, expected["Qp"], rtol=1e-9)
        assert_allclose(found.typical_variance, expected["vt"], rtol=1e-12)
        from_q = method in ("EE", "FE")
        assert_allclose(100 * (found.i2_q if from_q else found.i2_tau2), expected["I2"], rtol=1e-9)
        if from_q and expected["H2"] < 1:
            assert found.h2_q == 1
            seen["divergent: H2 below 1 in metafor's common-effect models"] += 1
        else:
            assert_allclose(found.h2_q if from_q else found.h2_tau2, expected["H2"], rtol=1e-9)
            seen["compared"] += 1
    assert seen == {
        "compared": 736,
        "divergent: k = 1, metafor returns Q = 0 and I2 = 0": 33,
        "divergent: H2 below 1 in metafor's common-effect models": 42,
    }


def test_metafor_intervals() -> None:
    """``confint(type=)``: I2 and H2 mapped from the limits of tau2; no test-based ones."""
    seen: Counter[str] = Counter()
    for record in records("02_rma_uni"):
        _, v = given_effects(record)
        for kind in ("QP", "PL", "BJ", "Jackson", "HT"):
            expected = record["results"].get(f"tau2_ci_{kind}", {})
            if "I2_lb" not in expected:
                continue
            if kind == "HT":
                seen["not offered: test-based"] += 1
                continue
            for end in ("lb", "ub"):
                tau2 = number(expected[f"tau2_{end}"])
                i2, h2 = number(expected[f"I2_{end}"]), number(expected[f"H2_{end}"])
                assert_allclose(100 * i2_from_tau2(tau2, v), i2, rtol=1e-9)
                assert_allclose(h2_from_tau2(tau2, v), h2, rtol=1e-9)
            seen["compared"] += 1
    assert seen == {"compared": 530, "not offered: test-based": 158}


def test_meta() -> None:
    """meta 8.4-0: Q, its p, H and I2 by both definitions, R_b; every record of 04_meta_ci_pi."""
    seen: Counter[str] = Counter()
    for record in records("04_meta_ci_pi"):
        if not record["settings"]["fun"].startswith("meta::"):
            seen["not offered: pimeta"] += 1
            continue
        y, v = counted_effects(record)
        results = record["results"]
        expected = {
            key: number(value) for key, value in results.items() if not isinstance(value, dict)
        }
        found = heterogeneity(y, v, expected["tau2"])
        if y.size == 1:
            assert np.isnan(np.array(found)).all()
            seen["divergent: k = 1, meta returns Q = 0"] += 1
            continue
        assert_allclose(found.q, expected["Q"], rtol=1e-9, atol=1e-25)
        assert_allclose(found.q_p_value, expected["pval_Q"], rtol=1e-9)
        assert_allclose(found.rb, expected["Rb"], rtol=1e-9)
        if record["settings"].get("method.I2") == "tau2":
            tau2 = [expected[key] for key in ("lower_tau2", "tau2", "upper_tau2")]
            v3 = np.tile(v, (3, 1))
            i2 = [expected[key] for key in ("lower_I2", "I2", "upper_I2")]
            h = [expected[key] for key in ("lower_H", "H", "upper_H")]
            assert_allclose(i2_from_tau2(tau2, v3), i2, rtol=1e-9, atol=1e-15)
            assert_allclose(np.sqrt(h2_from_tau2(tau2, v3)), h, rtol=1e-9)
            seen["compared: from tau2"] += 1
        else:
            assert_allclose(found.i2_q, expected["I2"], rtol=1e-9, atol=1e-15)
            assert_allclose(np.sqrt(found.h2_q), expected["H"], rtol=1e-9)
            seen["compared: from Q, without the test-based limits"] += 1
    assert seen == {
        "compared: from Q, without the test-based limits": 320,
        "compared: from tau2": 26,
        "divergent: k = 1, meta returns Q = 0": 22,
        "not offered: pimeta": 6,
    }


def test_bcg() -> None:
    """Worked values of the method specification."""
    y, v = data_set("bcg")
    found = heterogeneity(y, v, method_values()["pool"]["bcg"]["REML"]["tau2"])
    assert_allclose(found.i2_q, 0.9211735, rtol=1e-7)
    assert_allclose(found.i2_tau2, 0.9222138, rtol=1e-7)


def test_kap5() -> None:
    y, v = data_set("kap5")
    q, df, p = cochran_q(y, v)
    assert_allclose([q, df, p], [2.75468879309, 4, 0.599679261057377], rtol=1e-10)


def test_both_definitions_agree_for_dersimonian_laird() -> None:
    y, v = data_set("bcg")
    found = heterogeneity(y, v, estimate(y, v, "DL"))
    assert_allclose(found.i2_tau2, found.i2_q, rtol=1e-13)
    assert_allclose(found.h2_tau2, found.h2_q, rtol=1e-13)


def test_typical_variance_with_a_dominating_study() -> None:
    """S1^2 - S2 loses every digit here; 2 sum_(i<j) w_i w_j does not. Exact value by fractions."""
    v = np.array([1e-17, 1.0, 2.0])
    w = np.array([10**17, 1, 0.5])
    exact = 2 * w.sum() / (2 * (w[0] * w[1] + w[0] * w[2] + w[1] * w[2]))
    assert_allclose(typical_variance(v), exact, rtol=1e-14)
    assert_allclose(typical_variance(v[::-1]), exact, rtol=1e-14)


def test_few_studies() -> None:
    """No statistic below two studies."""
    v = np.array([[np.inf, np.inf], [0.1, np.inf], [0.1, 0.2]])
    found = heterogeneity(np.array([0.0, 1.0]), v, np.full(3, 0.3))
    for part in found:
        assert list(np.isnan(part)) == [True, True, False]


def test_equal_estimates() -> None:
    found = heterogeneity([0.3, 0.3, 0.3], [0.1, 0.2, 0.3], 0.0)
    assert_allclose([found.q, found.q_p_value, found.i2_q, found.h2_q, found.rb], [0, 1, 0, 1, 0])


def test_unbounded_tau2_is_all_heterogeneity() -> None:
    v = np.array([0.1, 0.2])
    assert i2_from_tau2(np.inf, v) == 1
    assert h2_from_tau2(np.inf, v) == np.inf
    assert np.isnan(i2_from_tau2(np.nan, v))
    assert between_share(np.inf, v) == 1


def test_between_share_is_a_share_of_the_variance_of_the_mean() -> None:
    """``tau2 / (k se^2)``, as Crippa and others define it."""
    _, v = data_set("bcg")
    se2 = 1 / (1 / (v + 0.3)).sum()
    assert_allclose(between_share(0.3, v), 0.3 / (13 * se2), rtol=1e-14)


studies = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        arrays.arrays(float, k, elements=st.floats(-5, 5)),
        arrays.arrays(float, k, elements=st.floats(1e-3, 4)),
        st.just(0.0) | st.floats(1e-6, 3),
    )
)


@given(studies, st.sampled_from([1e-6, 1e-3, 1e3, 1e6]))
def test_free_of_the_unit(sample: tuple[FloatArray, FloatArray, float], scale: float) -> None:
    y, v, tau2 = sample
    found = heterogeneity(y, v, tau2)
    scaled = heterogeneity(y * scale, v * scale**2, tau2 * scale**2)
    for name in ("q", "q_p_value", "h2_tau2", "i2_tau2", "h2_q", "i2_q", "rb"):
        assert_allclose(getattr(scaled, name), getattr(found, name), rtol=1e-9, atol=1e-10)
    assert_allclose(scaled.typical_variance, found.typical_variance * scale**2, rtol=1e-12)


@given(studies)
def test_absent_studies_and_order_do_not_matter(
    sample: tuple[FloatArray, FloatArray, float],
) -> None:
    y, v, tau2 = sample
    found = heterogeneity(y, v, tau2)
    again = heterogeneity(np.append(np.nan, y[::-1]), np.append(np.inf, v[::-1]), tau2)
    assert_allclose(again, found, rtol=1e-9, atol=1e-12)


@given(studies)
def test_shares_stay_shares(sample: tuple[FloatArray, FloatArray, float]) -> None:
    found = heterogeneity(*sample)
    for share in (found.i2_q, found.i2_tau2, found.rb):
        assert 0 <= share <= 1
    assert_allclose(i2_from_q(found.q, found.df), 1 - 1 / h2_from_q(found.q, found.df))
    assert_allclose(found.i2_tau2, 1 - 1 / found.h2_tau2, atol=1e-12)


@pytest.mark.parametrize("name", ["kap5", "k3", "bcg"])
def test_batch_is_a_loop(name: str) -> None:
    y, v = data_set(name)
    masks = np.array(np.meshgrid(*[[True, False]] * 3)).reshape(3, -1).T
    batch_v = np.tile(v, (8, 1))
    batch_v[:, :3][~masks] = np.inf
    tau2 = np.linspace(0, 0.7, 8)
    batch = heterogeneity(y, batch_v.reshape(2, 4, -1), tau2.reshape(2, 4))
    for row in range(8):
        assert_allclose(
            [part.reshape(-1)[row] for part in batch], heterogeneity(y, batch_v[row], tau2[row])
        )
