"""Missing outcomes in the core: metasens::metamiss, the specification, simulation, counting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapmeta.core import combine
from kapmeta.core.effects import counts
from kapmeta.core.effects.counts import Estimates
from kapmeta.core.sensitivity.missing import (
    Arm,
    at_nodes,
    averaged,
    completed_risk,
    gamble_hollis,
    imputed,
    informative,
    mixture_limits,
    normal_pairs,
    uncertain,
)
from tests.helpers.r_values import records

# metasens 1.5.2, meta 8.4.0 on R 4.2.2; pooled by inverse variance with REML
RECORDS = records("15_missing_sens")
NOT_OFFERED = ("metasens::lfkindex", "metasens::orbbound", "meta::cidprop", "meta::rd")
FOR_ALL = 1e8  # what metasens takes for an infinite IMOR


def arm(events: Any, without: Any, missing: Any) -> Arm:
    events, without = np.array(events, float), np.array(without, float)
    return Arm(events, events + without, np.array([missing], float))


def odds(a: Arm, half: Any) -> Any:
    p = (a.events + half) / (a.observed + half)
    with np.errstate(divide="ignore"):
        return p / (1 - p)


def imors(record: dict[str, Any], t: Arm, c: Arm) -> tuple[Any, Any]:
    settings = record["settings"]
    half = 0.5 * (
        (t.events == 0) | (t.events == t.observed) | (c.events == 0) | (c.events == c.observed)
    )
    good = (
        settings.get("small.values") != "bad"
    )  # a small risk is good: the best case is then none under treatment
    one, ratio = np.ones(t.events.size), odds(c, half) / odds(t, half)
    return {
        "0": (0 * one, 0 * one),
        "1": (FOR_ALL * one, FOR_ALL * one),
        "pc": (ratio, one),
        "pe": (one, 1 / ratio),
        "p": (one, one),
        "b": (0 * one, FOR_ALL * one) if good else (FOR_ALL * one, 0 * one),
        "w": (FOR_ALL * one, 0 * one) if good else (0 * one, FOR_ALL * one),
        "IMOR": (settings.get("IMOR.e", 1) * one, settings.get("IMOR.c", 1) * one),
    }[settings["method.miss"]]


def counted(t: Any, c: Any, record: dict[str, Any]) -> Estimates:
    """Correct tables as meta::metabin does: 0.5 to every cell; a risk ratio divides by n + 0.5."""
    (a, n1), (b, n2) = t, c
    half = 0.5 * ((a == 0) | (b == 0) | (a == n1) | (b == n2))
    if record["measure"] == "OR":
        return counts.odds_ratio(a, n1, b, n2)
    if record["measure"] == "RD":
        return counts.risk_difference(a, n1, b, n2)
    a, b, n1, n2 = a + half, b + half, n1 + half, n2 + half
    return Estimates(np.log(a / n1 * n2 / b), 1 / a - 1 / n1 + 1 / b - 1 / n2, half > 0, half < 0)


def by_ours(record: dict[str, Any]) -> tuple[Any, Any] | None:
    if record["settings"]["fun"] in NOT_OFFERED:
        return None
    i = record["inputs"]
    t, c = arm(i["ai"], i["bi"], i["miss1"]), arm(i["ci"], i["di"], i["miss2"])
    options = {"measure": record["measure"], "correction": "metamiss"}
    word = record["settings"].get("method.miss")
    if word is None:
        return None
    if word == "GH":
        best = counted(
            (t.events + i["miss1"], t.observed + i["miss1"]),
            (c.events, c.observed + i["miss2"]),
            record,
        )
        worst = counted(
            (t.events, t.observed + i["miss1"]),
            (c.events + i["miss2"], c.observed + i["miss2"]),
            record,
        )
        return counted((t.events, t.observed), (c.events, c.observed), record).y, gamble_hollis(
            worst, best
        )
    found = informative(t, c, *imors(record, t, c), **options)
    return found.y, found.v


def test_every_record_of_the_reference_is_accounted_for() -> None:
    fates: Counter[str] = Counter()
    for record in RECORDS:
        fun, expected = record["settings"]["fun"], record["results"]
        ours = by_ours(record)
        if ours is None:
            fates["available case" if fun == "meta::metabin" else "not offered here"] += 1
            continue
        y, v = ours
        np.testing.assert_allclose(
            y, expected["TE"], rtol=1e-10, atol=1e-12, err_msg=str(record["settings"])
        )
        np.testing.assert_allclose(
            np.sqrt(v), expected["seTE"], rtol=1e-10, err_msg=str(record["settings"])
        )
        common, random = combine(y, v, tau2=0.0), combine(y, v, tau2="REML")
        pooled = [
            common.estimate,
            common.se,
            random.estimate,
            random.se,
            random.tau2,
            common.q,
            random.low,
            random.high,
        ]
        names = (
            "TE_common",
            "seTE_common",
            "TE_random",
            "seTE_random",
            "tau2",
            "Q",
            "lower_random",
            "upper_random",
        )
        np.testing.assert_allclose(pooled, [expected[name] for name in names], rtol=1e-8, atol=1e-9)
        fates["compared"] += 1
    assert fates == {"compared": 45, "available case": 3, "not offered here": 24}
    assert sum(fates.values()) == len(RECORDS)


@pytest.mark.parametrize(
    "record",
    [r for r in RECORDS if r["settings"]["fun"] == "meta::metabin"],
    ids=lambda r: r["measure"],
)
def test_available_case(record: dict[str, Any]) -> None:
    """meta's own table: the risk ratio divides by n + 0.5, as metamiss does."""
    i, expected = record["inputs"], record["results"]
    t, c = arm(i["ai"], i["bi"], np.zeros(17)), arm(i["ci"], i["di"], np.zeros(17))
    found = informative(t, c, 1.0, 1.0, measure=record["measure"], correction="metamiss")
    whole = (t.events > 0) & (c.events > 0) & (t.events < t.observed) & (c.events < c.observed)
    np.testing.assert_allclose(found.y[whole], np.array(expected["TE"])[whole], rtol=1e-10)
    np.testing.assert_allclose(
        np.sqrt(found.v)[whole], np.array(expected["seTE"])[whole], rtol=1e-10
    )


IMOR3 = arm([8, 12, 13], [6, 8, 13], [3, 7, 3]), arm([6, 0, 6], [11, 21, 18], [6, 7, 3])


@pytest.mark.parametrize(
    "imor, y, se",
    [
        (
            (0.0, 0.0),
            [0.589962944325, 3.25408135386, 0.701730924251],
            [0.435160747753, 1.43417841459, 0.414813148215],
        ),
        (
            (0.5, 0.5),
            [0.535568872259, 3.3227974886, 0.706846024918],
            [0.421811441506, 1.43089859274, 0.41088813786],
        ),
        (
            (2.0, 2.0),
            [0.411271155581, 3.11344747182, 0.662510211098],
            [0.370212244812, 1.41199124062, 0.391680644925],
        ),
        (
            (np.inf, 0.0),
            [0.908416673398, 3.70770150152, 0.909370287155],
            [0.394048179372, 1.42371496247, 0.397047693915],
        ),
        (
            (0.0, np.inf),
            [-0.103184227069, 0.524052638647, 0.296265826143],
            [0.325624852522, 0.377874522531, 0.341342049268],
        ),
    ],
)
def test_values_of_the_specification(
    imor: tuple[float, float], y: list[float], se: list[float]
) -> None:
    found = informative(*IMOR3, *np.minimum(imor, FOR_ALL), correction="metamiss")
    np.testing.assert_allclose(found.y, y, rtol=1e-10)
    np.testing.assert_allclose(np.sqrt(found.v), se, rtol=1e-10)


@given(st.integers(0, 10_000), st.sampled_from(["RR", "OR", "RD"]))
def test_all_or_none_of_the_missing_is_a_counted_table(seed: int, measure: str) -> None:
    rng = np.random.default_rng(seed)
    t, c = (
        arm(rng.integers(1, 9, 4), rng.integers(1, 9, 4), rng.integers(0, 9, 4)) for _ in range(2)
    )
    function = {"RR": counts.risk_ratio, "OR": counts.odds_ratio, "RD": counts.risk_difference}[
        measure
    ]
    for good_t in (True, False):
        for good_c in (True, False):
            tables = function(*imputed(t, good_t), *imputed(c, good_c))
            deltas = [np.inf if good else 0.0 for good in (good_t, good_c)]
            found = informative(t, c, *deltas, measure=measure)
            np.testing.assert_allclose(found.y, tables.y, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(found.v, tables.v, rtol=1e-10)


@given(st.integers(0, 10_000), st.sampled_from(["RR", "OR", "RD"]))
def test_nobody_missing_is_the_plain_effect(seed: int, measure: str) -> None:
    rng = np.random.default_rng(seed)
    t, c = (arm(rng.integers(0, 9, 4), rng.integers(1, 9, 4), np.zeros(4)) for _ in range(2))
    function = {"RR": counts.risk_ratio, "OR": counts.odds_ratio, "RD": counts.risk_difference}[
        measure
    ]
    plain = function(t.events, t.observed, c.events, c.observed)
    found = informative(t, c, 3.0, 0.2, measure=measure)
    np.testing.assert_allclose(found.y, plain.y, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.v, plain.v, rtol=1e-10)
    assert found.corrected.tolist() == plain.corrected.tolist()


@given(st.floats(0.05, 0.95), st.floats(-4, 4), st.floats(0.01, 2))
def test_the_effect_rises_with_the_imor_of_the_treated(
    p: float, log_imor: float, more: float
) -> None:
    t, c = arm([20 * p], [20 * (1 - p)], [5]), arm([8], [12], [5])
    low, high = (informative(t, c, np.exp(x), 1.0).y[0] for x in (log_imor, log_imor + more))
    assert high > low
    low, high = (informative(t, c, 1.0, np.exp(x)).y[0] for x in (log_imor, log_imor + more))
    assert high < low


def test_the_variance_is_that_of_simulated_trials() -> None:
    """Delta method against 200,000 trials of 400 patients with two reasons for being missing."""
    rng = np.random.default_rng(11)
    p, share, imor, n = 0.4, np.array([0.15, 0.25]), np.array([0.3, 2.0]), 400
    who = rng.multinomial(n, [*share, 1 - share.sum()], size=200_000)
    observed = who[:, 2].astype(float)
    seen = rng.binomial(who[:, 2], p) / observed
    missing = who[:, :2].T.astype(float)
    deltas = np.broadcast_to(imor[:, None], missing.shape)
    values = completed_risk(seen, observed, missing, deltas).value
    at = completed_risk(np.array([p]), np.array([240.0]), n * share[:, None], imor[:, None])
    assert values.mean() == pytest.approx(at.value[0], rel=2e-3)
    assert values.var() == pytest.approx(at.variance[0], rel=0.015)


def test_uncertain_imor() -> None:
    """Methods 5.2: the first-order variance is too large at sd 1; Monte Carlo gives .020569."""
    t, c = (Arm(a.events[:1], a.observed[:1], a.missing[:, :1]) for a in IMOR3)
    centre = (np.log(0.5), np.log(0.5))
    known = informative(t, c, 0.5, 0.5)
    for rho, extra in ((0.0, 0.020569), (0.5, 0.012368)):
        at = at_nodes(t, c, centre, (1.0, 1.0), correlation=rho)
        spread = averaged(at.y, 0 * at.v, normal_pairs(rho)[2])[1]
        assert spread[0] == pytest.approx(extra, rel=0.02)
        assert uncertain(t, c, centre, (1.0, 1.0), correlation=rho).y[0] == pytest.approx(
            0.516, abs=2e-3
        )
    at = at_nodes(t, c, centre, (0.01, 0.01))
    small = averaged(at.y, 0 * at.v, normal_pairs()[2])[1]
    p, q = 8 / 14, (8 / 14 * 0.5) / (8 / 14 * 0.5 + 6 / 14)
    pc, qc = 6 / 17, (6 / 17 * 0.5) / (6 / 17 * 0.5 + 11 / 17)
    g = (
        3 / 17 * q * (1 - q) / ((14 * p + 3 * q) / 17),
        6 / 23 * qc * (1 - qc) / ((17 * pc + 6 * qc) / 23),
    )
    assert small[0] == pytest.approx(1e-4 * (g[0] ** 2 + g[1] ** 2), rel=1e-3)
    assert g[0] ** 2 + g[1] ** 2 == pytest.approx(0.025350, rel=1e-4)
    sure = uncertain(t, c, centre, (0.0, 0.0))
    np.testing.assert_allclose([sure.y, sure.v], [known.y, known.v], rtol=1e-12)


def test_mixture_limits() -> None:
    one = mixture_limits(np.array([[0.3]]), np.array([[0.2]]), np.array([[np.inf]]), np.ones(1))
    np.testing.assert_allclose(
        np.ravel(one[:2]),
        [0.3 - 1.959963984540054 * 0.2, 0.3 + 1.959963984540054 * 0.2],
        rtol=1e-12,
    )
    weight = np.array([0.5, 0.5])
    rng = np.random.default_rng(5)
    draws = np.where(
        rng.random(400_000) < 0.5, rng.normal(0, 1, 400_000), 2 + 0.5 * rng.standard_t(3, 400_000)
    )
    low, high, p = mixture_limits(
        np.array([0.0, 2.0]), np.array([1.0, 0.5]), np.array([np.inf, 3.0]), weight
    )
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.025, 0.975]), atol=0.02)
    assert p == pytest.approx(2 * min((draws < 0).mean(), (draws > 0).mean()), abs=0.005)


def test_an_arm_of_which_nobody_was_seen_is_absent() -> None:
    with np.errstate(invalid="ignore"):
        found: Estimates = informative(arm([0.0], [0.0], [5]), arm([3], [4], [0]), 1.0, 1.0)
    assert found.absent.tolist() == [True]
