"""Deletion diagnostics by their definitions, and the values of the method specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core import combine
from kapmeta.core.numerics import masks
from kapmeta.core.pooling.combining import Combined
from kapmeta.core.sensitivity.influence import (
    CUT_OFFS,
    baujat_coordinates,
    beyond,
    deletion_diagnostics,
)
from tests.helpers.r_values import data_set


def both(
    y: np.ndarray, v: np.ndarray, tau2: str | float = "REML", ci: str = "wald"
) -> tuple[Combined, Combined]:
    return combine(y, v, tau2=tau2, ci=ci), combine(
        y, v, tau2=tau2, ci=ci, mask=masks.leave_one_out(y.size)
    )


def shares(v: np.ndarray, tau2: float) -> np.ndarray:
    w = 1 / (v + tau2)
    return w / w.sum()


def test_bcg() -> None:
    # metafor 5.1.12, influence(rma(yi, vi, method="REML")), threshold 1e-15: methods 7.3
    y, v = data_set("bcg")
    whole, without = both(y, v)
    found = deletion_diagnostics(y, v, whole, without, shares(v, whole.tau2))
    first = [
        found.rstudent,
        found.dffits,
        found.cook,
        found.covariance_ratio,
        found.hat,
        found.dfbetas,
    ]
    expected = {
        0: [-0.21814248574, -0.0407075475, 0.00171654134, 1.116448986, 0.0505948273, -0.0402658892],
        3: [-1.45120066, -0.52005099, 0.22948164, 0.96512649, np.nan, np.nan],
    }
    np.testing.assert_allclose([x[0] for x in first], expected[0], rtol=1e-8)
    np.testing.assert_allclose([x[3] for x in first[:4]], expected[3][:4], rtol=1e-7)
    whole, without = both(y, v, 0.0)
    np.testing.assert_allclose(
        [x[0] for x in baujat_coordinates(y, v, whole, without)],
        [0.647158736, 0.003276599],
        rtol=1e-6,
    )


@given(
    st.integers(0, 10_000),
    st.sampled_from([1e-6, 1e-3, 1e3, 1e6]),
    st.sampled_from(["wald", "hksj"]),
)
def test_units_do_not_matter(seed: int, scale: float, ci: str) -> None:
    rng = np.random.default_rng(seed)
    y, v = rng.normal(0, 1, 5), rng.uniform(0.05, 0.5, 5)
    found = []
    for c in (1.0, scale):
        whole, without = both(c * y, c * c * v, "DL", ci)
        found.append(
            deletion_diagnostics(c * y, c * c * v, whole, without, shares(c * c * v, whole.tau2))
        )
    np.testing.assert_allclose(np.array(found[0]), np.array(found[1]), rtol=1e-9, atol=1e-10)


def test_contributions_of_a_common_effect_add_up_to_q() -> None:
    y, v = data_set("kap5")
    whole, without = both(y, v, 0.0)
    contribution, moved = baujat_coordinates(y, v, whole, without)
    assert contribution.sum() == pytest.approx(float(whole.q), rel=1e-12)
    np.testing.assert_allclose(
        moved, ((whole.estimate - without.estimate) / without.se) ** 2, rtol=1e-12
    )


def test_a_method_without_weights_has_no_factor() -> None:
    y, v = data_set("kap5")
    y = np.append(y, np.inf)  # a table without an effect of its own
    v = np.append(v, 1.0)
    whole = combine(y[:5], v[:5], tau2=0.0, ci="hksj")
    batch = combine(
        y[:5],
        v[:5],
        tau2=0.0,
        ci="hksj",
        mask=np.vstack([masks.leave_one_out(5), np.ones((1, 5), bool)]),
    )
    found = deletion_diagnostics(y, v, whole, batch, np.full(6, 1 / 6), weighted=False)
    expected = (y[:5] - batch.estimate[:5]) / np.sqrt(v[:5] + batch.se[:5] ** 2)
    np.testing.assert_allclose(found.rstudent[:5], expected, rtol=1e-12)
    assert np.isnan(found.rstudent[5])
    assert np.isfinite(found.cook).all()


def test_cut_offs_are_those_of_metafor() -> None:
    # metafor 3.8.1, influence(rma(yi, vi, method="FE")) on yi = .1 .2 .15 .1 .2 .95, vi = .05:
    # study 6 alone is marked
    y, v = np.array([0.1, 0.2, 0.15, 0.1, 0.2, 0.95]), np.full(6, 0.05)
    whole, without = both(y, v, 0.0)
    found = deletion_diagnostics(y, v, whole, without, shares(v, 0.0))
    marked = {name: beyond(name, values).tolist() for name, values in found._asdict().items()}
    only = [False] * 5 + [True]
    never = [False] * 6
    assert marked == {
        "rstudent": only,
        "dffits": only,
        "cook": only,
        "covariance_ratio": never,
        "hat": never,
        "dfbetas": only,
    }
    at = {name: cut.at(6) for name, cut in CUT_OFFS.items()}
    assert at["dffits"] == pytest.approx(3 * np.sqrt(1 / 5), rel=1e-15)
    assert at["cook"] == pytest.approx(0.454936423119572, rel=1e-12)  # R: qchisq(.5, 1)
    assert at["rstudent"] == pytest.approx(1.959963984540054, rel=1e-12)
    assert (at["hat"], at["dfbetas"]) == (0.5, 1.0)
    assert not beyond("cook", np.full(4, 9.0)).any()
    assert not beyond("cook", np.full(5, np.nan)).any()
