"""Trim and fill against metafor and meta (09_small_study, 11_meta_bias) and its definition."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.small_study.trim_and_fill import (
    COUNT_ESTIMATORS,
    FillStatus,
    _ascending_places,
    _trimmed,
    pooled,
    trim_and_fill,
)
from kapmeta.examples import load_example
from tests.core.small_study.test_asymmetry import meta_effects
from tests.helpers.r_values import number, records

REML_STOP = 2e-5
"""R refits the filled data with metafor's default REML, which stops at a change of 1e-5."""


def test_metafor() -> None:
    """metafor 5.1-12 ``trimfill``: L0, R0, Q0 by EE, DL and REML, every record."""
    seen: Counter[str] = Counter()
    for record in records("09_small_study"):
        if record["settings"]["fun"] == "metafor::trimfill":
            seen[_compare_metafor(record)] += 1
    assert sum(seen.values()) == 306
    assert seen == {
        "compared": 245,
        "R fails, Q0 does not exist": 26,
        "R fails, no side": 30,
        "divergent: R ranks or trims ties in the order given": 5,
    }


def _compare_metafor(record: dict[str, Any]) -> str:
    how, r = record["settings"], record["results"]
    y, v = (np.array(record["inputs"][key], dtype=float) for key in ("yi", "vi"))
    tau2 = 0.0 if how["method"] == "EE" else how["method"]
    found = trim_and_fill(y, v, count_by=how["estimator"], side=how["side"], tau2=tau2)
    if "error" in r:
        assert np.isnan([found.k0, found.estimate, found.se]).all()
        if found.status == FillStatus.NO_ESTIMATE:
            assert how["estimator"] == "Q0"
            return "R fails, Q0 does not exist"
        assert found.status == FillStatus.NO_SIDE
        return "R fails, no side"
    if _tied(record) and not _same(found, r, how["method"]):
        in_order = y + 1e-9 * np.arange(y.size)  # ties broken as they come, which is what R does
        broken = trim_and_fill(in_order, v, count_by=how["estimator"], side=how["side"], tau2=tau2)
        assert broken.k0 == r["k0"]
        rtol = 1e-4 if how["method"] == "REML" else 1e-6
        assert_allclose([broken.estimate, broken.se], [r["estimate"], r["se"]], rtol=rtol)
        return "divergent: R ranks or trims ties in the order given"
    assert _same(found, r, how["method"]), (record["dataset"], record["measure"], how)
    return "compared"


def _tied(record: dict[str, Any]) -> bool:
    return len(set(record["inputs"]["yi"])) < len(record["inputs"]["yi"])


def _same(found: Any, r: dict[str, Any], method: str) -> bool:
    """Compare number, side, its standard error and p to 1e-8, and estimates at R's own tau2."""
    exact = [float(x) for x in (found.k0, found.se_k0, found.p_value)]
    if not np.allclose(
        exact,
        [number(r[key]) for key in ("k0", "se_k0", "p_k0")],
        rtol=1e-8,
        atol=0,
        equal_nan=True,
    ):
        return False
    if found.side != {"left": -1, "right": 1}[r["side"]]:
        return False
    ours = np.array([found.estimate, found.se, found.tau2])
    theirs = np.array([r["estimate"], r["se"], r["tau2"]], dtype=float)
    filled = np.sort(found.y[found.v < np.inf])
    if method != "REML":
        return np.allclose(ours, theirs, rtol=1e-8) and np.allclose(
            filled, np.sort(r["yi_filled"]), rtol=1e-8
        )
    at_theirs = pooled(np.array(r["yi_filled"]), np.array(r["vi_filled"]), float(r["tau2"]))
    close = abs(ours[2] - theirs[2]) < REML_STOP + 1e-5 * theirs[2]
    return (
        close
        and np.allclose(at_theirs[:2], theirs[:2], rtol=1e-8)
        and np.allclose(ours[:2], theirs[:2], rtol=1e-3)
    )


def test_meta() -> None:
    """meta 8.4-0 ``trimfill``: types L and R, trimmed with the common and with the random model,
    every record.

    meta trims with a REML that stops at 1e-5, so the mirror images of the second kind agree to
    that; from meta's own filled effects every pooled number agrees to 1e-8.
    """
    seen = 0
    for record in records("11_meta_bias"):
        how, r = record["settings"], record["results"]
        if how["fun"] != "meta::trimfill":
            continue
        y, v = meta_effects(record)
        common = how["ma.common"]
        found = trim_and_fill(
            y, v, count_by=how["type"] + "0", trim_tau2=0.0 if common else "REML", tau2=0.0
        )
        assert found.k0 == r["k0"]
        assert (found.side == -1) == r["left"]
        ours = np.sort(found.y[y.size :][found.v[y.size :] < np.inf])
        theirs = np.sort([x for x in r["TE"] if x is not None][y.size :])
        assert_allclose(ours, theirs, rtol=0, atol=(1e-12 if common else 2e-3) * np.ptp(y))
        by_size = np.argsort(found.y[y.size :][found.v[y.size :] < np.inf])
        all_y = np.concatenate([y, theirs])
        all_v = np.concatenate([v, found.v[y.size :][found.v[y.size :] < np.inf][by_size]])
        for model, tau2 in (("common", 0.0), ("random", float(r["tau2"]))):
            estimate, se, _ = pooled(all_y, all_v, tau2)
            assert_allclose([estimate, se], [r[f"TE_{model}"], r[f"seTE_{model}"]], rtol=1e-8)
        if common:
            assert_allclose(
                [found.estimate, found.se], [r["TE_common"], r["seTE_common"]], rtol=1e-8
            )
        seen += 1
    assert seen == 80


def test_passive_smoking() -> None:
    """Worked value of the method specification, DerSimonian-Laird."""
    smoke = load_example("passive_smoking")
    found = trim_and_fill(smoke["y"], smoke["v"], tau2="DL")
    assert found.k0 == 7
    assert_allclose([found.estimate, found.se], [0.173923528441, 0.0487015026641], rtol=1e-10)


def _by_hand(y: FloatArray, v: FloatArray) -> tuple[int, float]:
    """Appendix of the specification, in plain Python: common effect, L0, gap on the left."""
    order, k, k0 = np.argsort(y), y.size, 0
    for _ in range(100):
        kept = order[: k - k0]
        centre = (y[kept] / v[kept]).sum() / (1 / v[kept]).sum()
        c = y - centre
        rank = np.argsort(np.argsort(np.abs(c))) + 1
        new = max(0, int(np.round((4 * rank[c > 0].sum() - k * (k + 1)) / (2 * k - 1))))
        if new == k0:
            break
        k0 = new
    filled = np.concatenate([y, 2 * centre - y[order[k - k0 :]]])
    filled_v = np.concatenate([v, v[order[k - k0 :]]])
    return k0, float((filled / filled_v).sum() / (1 / filled_v).sum())


trials = st.integers(4, 12).flatmap(
    lambda k: st.tuples(
        st.lists(st.floats(-2, 2).map(lambda x: round(x, 6)), min_size=k, max_size=k, unique=True),
        st.lists(st.floats(0.02, 2), min_size=k, max_size=k),
    )
)


@given(trials)
@settings(max_examples=60)
def test_definition(data: tuple[list[float], list[float]]) -> None:
    y, v = np.array(data[0]), np.array(data[1])
    found = trim_and_fill(y, v, side="left", tau2=0.0)
    gaps = np.abs(np.subtract.outer(np.abs(y), np.abs(y)))[~np.eye(y.size, dtype=bool)]
    if found.status == FillStatus.OK and gaps.min() > 1e-5:
        k0, estimate = _by_hand(y, v)
        assert found.k0 == k0
        assert float(found.estimate) == pytest.approx(estimate, rel=1e-9, abs=1e-12)


@given(trials, st.sampled_from(sorted(COUNT_ESTIMATORS)), st.floats(-6, 6), st.floats(-3, 3))
@settings(max_examples=60)
def test_equivariance(
    data: tuple[list[float], list[float]], count_by: str, power: float, shift: float
) -> None:
    y, v = np.array(data[0]), np.array(data[1])
    c = 10.0**power
    one = trim_and_fill(y, v, count_by=count_by, side="left", tau2=0.0)
    scaled = trim_and_fill(y * c, v * c * c, count_by=count_by, side="left", tau2=0.0)
    mirrored = trim_and_fill(-y, v, count_by=count_by, side="right", tau2=0.0)
    assert one.status == scaled.status == mirrored.status
    assert_allclose([scaled.k0, mirrored.k0], [one.k0] * 2)
    assert_allclose(scaled.estimate / c, one.estimate, rtol=1e-9, atol=1e-10)
    assert_allclose(-mirrored.estimate, one.estimate, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("count_by", sorted(COUNT_ESTIMATORS))
def test_batch_is_the_loop_and_infinite_variance_is_deletion(count_by: str) -> None:
    rng = np.random.default_rng(3)
    v = rng.uniform(0.02, 0.6, (8, 12))
    y = rng.normal(size=(8, 12)) * np.sqrt(v) + 0.8 * np.sqrt(v)
    v[2, 4:7], y[2, 5] = np.inf, np.nan
    together = trim_and_fill(y, v, count_by=count_by, tau2="DL")
    for row in range(8):
        there = v[row] < np.inf
        alone = trim_and_fill(y[row, there], v[row, there], count_by=count_by, tau2="DL")
        assert together.status[row] == alone.status
        for name in ("k0", "se_k0", "side", "estimate", "se", "tau2"):
            assert_allclose(getattr(together, name)[row], getattr(alone, name), rtol=1e-12)


def test_order_of_studies_does_not_matter_with_ties() -> None:
    """R gives 7 or 6 on begg1989, by the order of its tied effects."""
    record = next(r for r in records("09_small_study") if r["dataset"] == "dat.begg1989")
    y, v = (np.array(record["inputs"][key], dtype=float) for key in ("yi", "vi"))
    rng = np.random.default_rng(1)
    found = {
        (float(t.k0), round(float(t.estimate), 12))
        for t in (
            trim_and_fill(y[o], v[o], tau2="DL")
            for o in (rng.permutation(y.size) for _ in range(20))
        )
    }
    assert len(found) == 1


def test_symmetric_and_identical_effects() -> None:
    same = trim_and_fill([0.4] * 5, [0.1, 0.2, 0.3, 0.4, 0.5], tau2=0.0, side="left")
    assert same.k0 == 0
    assert float(same.estimate) == pytest.approx(0.4, rel=1e-14)
    assert trim_and_fill([0.4, 0.6, 0.1], [0.2] * 3, tau2=0.0).status == FillStatus.NO_SIDE


def test_counts_that_go_to_and_fro_are_told_from_counts_that_settle() -> None:
    y, v = np.array([0.1, 0.3, 0.6, 1.2]), np.array([0.1, 0.1, 0.2, 0.3])
    for turns, expected in (([1, 2], FillStatus.NEVER_SETTLED), ([1, 1], FillStatus.OK)):
        calls = itertools.cycle(turns)
        count_by = lambda positive, rightmost, k, calls=calls: np.asarray(float(next(calls)))  # noqa: E731
        _, _, _, status = _trimmed(y, v, _ascending_places(y, v), count_by, 0.0)
        assert status == expected
