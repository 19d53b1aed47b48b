"""Mantel-Haenszel, Peto and their tests: every reference record, the worked numbers, and what must
hold of any tables.

References: tests/reference/06_mh_peto.json.gz (metafor 5.1-12) and 03_metabin.json.gz (meta 8.4-0),
R 4.2.2; the headers name versions and settings. A field of a record is compared, or not offered, or
stands in `DIVERGENCES` with cause and size. One that is none of these fails.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kapmeta.core.effects import counts
from kapmeta.core.exact import strata, stratified, stratified_tests
from kapmeta.core.exact.stratified import mantel_haenszel, peto
from kapmeta.core.exact.stratified_tests import breslow_day, cochran_mantel_haenszel
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_upper, normal_quantile
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling import combining
from tests.helpers.r_values import number, records

RTOL = 1e-12
Z = float(normal_quantile(0.975))
Table = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

KAP5 = np.array(
    [[73, 111, 24, 100], [6, 17, 3, 23], [13, 26, 6, 27], [6, 35, 2, 35], [12, 27, 0, 28]],
    dtype=float,
).T


def table_of(record: dict[str, Any]) -> Table:
    a, n1, c, n2 = (
        np.array(np.atleast_1d(record["inputs"][name]), float)
        for name in ("ai", "n1i", "ci", "n2i")
    )
    return a, n1, c, n2


def has_zero(table: Table) -> BoolArray:
    a, n1, c, n2 = table
    return np.asarray((a == 0) | (a == n1) | (c == 0) | (c == n2))


def says_nothing(table: Table) -> BoolArray:
    a, n1, c, n2 = table
    return np.asarray((a + c == 0) | (a + c == n1 + n2))


class Divergence(NamedTuple):
    """Values that differ from the reference on purpose.

    How many they are, and by how much they differ at most, relative to the reference; nan if one
    side has no value.
    """

    number: int
    size: float


ONE_TRIAL = (
    "one trial has no heterogeneity: nan, where metafor and meta print 0 or its rounding error"
)
ROUNDING = (
    "three identical tables: their estimates are equal to the last digit here, not in metafor"
)
COCHRAN = "meta's Q.CMH is Cochran's statistic, whose variance has n^3 for n^2 (n - 1)"
RATIO_SIZE = (
    "meta adds 0.5, not 1, to the size of a corrected arm (RR.Cochrane = FALSE), in the trials' own"
    " effects"
)

DIVERGENCES = {
    ("06", ONE_TRIAL): Divergence(14, np.nan),
    ("06", ROUNDING): Divergence(2, 1.0),
    ("03", ONE_TRIAL): Divergence(4, np.nan),
    ("03", COCHRAN): Divergence(137, 0.021),
    ("03", RATIO_SIZE): Divergence(20, 0.045),
}

METAFOR_NOT_OFFERED = {
    "CO": "Cochran's test, the Mantel-Haenszel test with n^3 for n^2 (n - 1)",
    "COp": "Cochran's test",
    "p": "of z; the named front gives it",
    "I2": "the named front gives it",
    "H2": "the named front gives it",
    "yi": "effects of the trials: tests of counts",
    "vi": "effects of the trials: tests of counts",
    "weights_pct": "the named front gives them",
    "warnings": "R's own",
}

META_NOT_OFFERED = {
    "statistic_common": "the named front gives it",
    "pval_common": "the named front gives it",
    "Q": "about the inverse-variance mean: combine, unless Q.Cochrane = TRUE",
    "k_study": "as k",
    "k_MH": "tables with a part in both sums, which k_informative is not",
    "pval_Q_CMH": "compared with metafor's",
    "warnings": "R's own",
} | dict.fromkeys(
    [
        *(
            "TE_random",
            "seTE_random",
            "lower_random",
            "upper_random",
            "statistic_random",
            "pval_random",
        ),
        *(
            "df_random",
            "tau2",
            "se_tau2",
            "lower_tau2",
            "upper_tau2",
            "tau",
            "lower_tau",
            "upper_tau",
            "df_Q",
        ),
        *(
            "pval_Q",
            "H",
            "lower_H",
            "upper_H",
            "I2",
            "lower_I2",
            "upper_I2",
            "Rb",
            "lower_Rb",
            "upper_Rb",
        ),
        *("seTE_classic", "df_hakn", "seTE_hakn_ci", "df_kero", "seTE_kero"),
    ],
    "random effects by inverse variance: combine",
)


def close(ours: float, theirs: float, rtol: float = RTOL) -> bool:
    return bool(np.isnan(theirs)) if np.isnan(ours) else abs(ours - theirs) <= rtol * abs(theirs)


def metafor_values(record: dict[str, Any]) -> dict[str, float]:
    """Return our answer to a record of 06, under metafor's names."""
    table, settings = table_of(record), record["settings"]
    found: Any
    if settings["fun"] == "metafor::rma.peto":
        found = peto(*table)
    else:
        zero = "half-all" if settings.get("to") == "all" else None
        found = mantel_haenszel(*table, measure=record["measure"], zero=zero)
    values = {
        "k": found.k,
        "k_yi": found.q_df + 1,
        "estimate": found.estimate,
        "se": found.se,
        "Q": found.q,
    }
    values |= {"z": found.estimate / found.se, "ci_lb": found.estimate - Z * found.se}
    values |= {
        "ci_ub": found.estimate + Z * found.se,
        "Qp": chi2_upper(found.q, max(found.q_df, 1)),
    }
    values |= dict.fromkeys(["k_pos", "MH", "MHp", "BD", "BDp", "TA", "TAp"], np.nan)
    if settings["fun"] == "metafor::rma.peto":
        return values | {"k_pos": found.k_informative}
    if record["measure"] != "OR":
        return values
    mh = cochran_mantel_haenszel(*table, correction=settings.get("correct", True))
    bd, ta = breslow_day(*table), breslow_day(*table, tarone=True)
    values |= {"MH": mh.statistic, "MHp": mh.p_value, "BD": bd.statistic, "BDp": bd.p_value}
    return values | {"TA": ta.statistic, "TAp": ta.p_value, "k_pos": bd.k_informative}


def test_every_field_of_metafor_is_compared_or_not_offered_or_differs_on_purpose() -> None:
    differing: dict[str, list[float]] = {ONE_TRIAL: [], ROUNDING: []}
    compared = 0
    for record in records("06_mh_peto"):
        if record["measure"] in ("IRR", "IRD"):
            continue  # events over person-time: not offered
        ours, results = metafor_values(record), record["results"]
        assert set(results) - set(METAFOR_NOT_OFFERED) <= set(ours), record
        for name in set(results) & set(ours):
            value, theirs = float(ours[name]), number(results[name])
            rtol = (
                RTOL * max(1.0, number(results.get(name[:-1]))) if name.endswith("p") else RTOL
            )  # tails magnify
            if close(value, theirs, rtol):
                compared += 1
            elif record["dataset"] == "edge.k1":
                assert name in ("Q", "BD", "TA", "Qp", "BDp", "TAp")
                assert np.isnan(value)
                assert theirs == name.endswith("p")
                differing[ONE_TRIAL].append(np.nan)
            else:
                assert (record["dataset"], name) == ("edge.k3_identical", "Q"), (
                    record["dataset"],
                    name,
                )
                assert theirs < 2e-31
                differing[ROUNDING].append(abs(value - theirs) / theirs)
    assert compared > 1300
    check_divergences("06", differing)


def check_divergences(reference: str, differing: dict[str, list[float]]) -> None:
    for cause, sizes in differing.items():
        divergence = DIVERGENCES[reference, cause]
        assert len(sizes) == divergence.number, (cause, len(sizes))
        assert (
            np.isnan(divergence.size) or divergence.size / 1.1 <= max(sizes) <= divergence.size
        ), max(sizes)


def cochran(table: Table) -> float:
    """Cochran's statistic, which is not offered."""
    a, n1, c, n2 = table
    n, m = n1 + n2, a + c
    return float((a - n1 * m / n).sum() ** 2 / (n1 * n2 * m * (n - m) / n**3).sum())


def meta_mode(record: dict[str, Any]) -> str | None:
    """Which of our modes a record of 03 names: "exact", "revman5", "peto" or none that we offer."""
    settings, table = record["settings"], table_of(record)
    if settings["method"] == "Peto":
        return "peto"
    zero = bool(has_zero(table).any())
    if settings.get("method.incr") == "all" or (settings.get("incr") == "TACC" and zero):
        return None  # something is added to tables without a zero, or something else than 0.5
    if zero and settings.get("method.incr") == "if0all":
        return None
    if record["measure"] != "RD" and settings.get("allstudies") and says_nothing(table).any():
        return None  # 0.5 in tables in which nobody had the event
    return "exact" if settings.get("MH.exact") else "revman5"


def meta_values(record: dict[str, Any], mode: str) -> dict[str, float]:
    """Return our answer to a record of 03, under meta's names."""
    table, measure = table_of(record), record["measure"]
    values = {"Q_CMH": cochran_mantel_haenszel(*table).statistic}
    found: Any
    if mode == "peto":
        found = peto(*table)
        values |= {"Q": found.q}
    elif mode == "exact":
        variance = "greenland-robins" if measure == "RD" else None
        found = mantel_haenszel(*table, measure=measure, variance=variance)
    else:
        found = mantel_haenszel(*table, measure=measure, compatibility="revman5")
        if "Q.Cochrane" in record["settings"]:
            values |= {"Q": found.q, "tau2": found.tau2}
            if found.q_df > 0:
                effect = {
                    "RR": counts.risk_ratio,
                    "OR": counts.odds_ratio,
                    "RD": counts.risk_difference,
                }[measure]
                y, v, _, _ = effect(*table, zero="half-if-any" if measure == "RD" else "drop")
                random = combining.combine(y, v, tau2=float(found.tau2))
                values |= {"TE_random": random.estimate, "seTE_random": random.se}
    values |= {"TE_common": found.estimate, "seTE_common": found.se, "k": found.k_informative}
    return values | {
        "lower_common": found.estimate - Z * found.se,
        "upper_common": found.estimate + Z * found.se,
    }


def test_every_field_of_meta_is_compared_or_not_offered_or_differs_on_purpose() -> None:
    differing: dict[str, list[float]] = {ONE_TRIAL: [], COCHRAN: [], RATIO_SIZE: []}
    compared, not_offered = 0, 0
    for record in records("03_metabin"):
        mode, results = meta_mode(record), record["results"]
        if mode is None:
            not_offered += 1
            continue
        ours = meta_values(record, mode)
        assert set(results) <= set(ours) | set(META_NOT_OFFERED), record["settings"]
        for name in set(results) & set(ours):
            value, theirs = float(ours[name]), number(results[name])
            rtol = (
                RTOL * max(1.0, abs(results["TE_common"]) / abs(theirs))
                if name.endswith("_common")
                else RTOL
            )
            if close(value, theirs, rtol):
                compared += 1
            elif name == "Q_CMH":
                assert theirs == pytest.approx(cochran(table_of(record)), rel=RTOL)
                differing[COCHRAN].append(abs(value - theirs) / theirs)
            elif record["dataset"] == "edge.k1":
                assert name == "Q", name
                assert np.isnan(value), name
                assert theirs < 1e-30, name
                differing[ONE_TRIAL].append(np.nan)
            else:
                assert (record["measure"], name) in {
                    ("RR", x) for x in ("Q", "tau2", "TE_random", "seTE_random")
                }
                assert has_zero(table_of(record)).any()
                differing[RATIO_SIZE].append(abs(value - theirs) / abs(theirs))
    assert (compared > 600, not_offered) == (True, 93), (compared, not_offered)
    check_divergences("03", differing)


def test_worked_numbers_of_the_five_trials() -> None:
    # metafor 5.1-12 rma.mh, rma.peto on R 4.2.2
    for measure, estimate, se in [
        ("RR", 1.10321430814826, 0.163758798756823),
        ("OR", 1.7621704864396, 0.242339226099261),
        ("RD", 0.336241250072568, 0.041307299710379),
    ]:
        found = mantel_haenszel(*KAP5, measure=measure)
        assert found.estimate == pytest.approx(estimate, rel=1e-13)
        assert found.se == pytest.approx(se, rel=1e-13)
        assert (found.k, found.k_informative, found.status) == (5, 5, Status.OK)
    assert cochran_mantel_haenszel(*KAP5).statistic == pytest.approx(58.2550983093593, rel=1e-13)
    assert breslow_day(*KAP5).statistic == pytest.approx(5.06810790587939, rel=1e-13)
    assert breslow_day(*KAP5, tarone=True).statistic == pytest.approx(5.06511592368256, rel=1e-13)
    pooled = peto(*KAP5)
    assert pooled.estimate == pytest.approx(1.62112870854397, rel=1e-13)
    assert pooled.se == pytest.approx(0.212398050878197, rel=1e-13)
    assert pooled.q == pytest.approx(3.4358419621278, rel=1e-13)
    # meta 8.4-0 metabin(MH.exact = FALSE)
    assert mantel_haenszel(*KAP5, compatibility="revman5").estimate == pytest.approx(
        1.09419187774, rel=1e-11
    )
    whole = KAP5[:, :4]
    assert np.exp(mantel_haenszel(*whole, measure="OR").estimate) == pytest.approx(
        5.00478433815, rel=1e-11
    )


def test_revman_mode_is_the_exact_one_where_no_cell_is_empty() -> None:
    whole = KAP5[:, :4]
    for measure in ("RR", "OR"):
        exact = mantel_haenszel(*whole, measure=measure)
        raised = mantel_haenszel(*whole, measure=measure, compatibility="revman5")
        assert exact == raised
    exact = mantel_haenszel(*whole, measure="RD", variance="greenland-robins")
    raised = mantel_haenszel(*whole, measure="RD", compatibility="revman5")
    assert np.array(raised) == pytest.approx(np.array(exact), rel=1e-14)


# ------------------------------------------------------------------------------------------
# properties

ARM = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TRIAL = st.tuples(ARM, ARM).map(lambda arms: (*arms[0], *arms[1]))
TRIALS = st.lists(TRIAL, min_size=1, max_size=7).map(lambda rows: np.array(rows, dtype=float).T)
MEASURES = st.sampled_from(["RR", "OR", "RD"])


def same(x: Any, y: Any, rtol: float = 1e-10, size: float = 0.0) -> None:
    np.testing.assert_allclose(
        np.asarray(x, float), np.asarray(y, float), rtol=rtol, atol=size * rtol
    )


def everything(table: Any, mask: Any = None) -> list[Any]:
    """List the fields of every function, per-table ones left out."""
    found: list[Any] = []
    for measure in ("RR", "OR", "RD"):
        found += mantel_haenszel(*table, measure=measure, mask=mask)
        found += mantel_haenszel(*table, measure=measure, mask=mask, compatibility="revman5")
    found += mantel_haenszel(*table, measure="RD", variance="greenland-robins", mask=mask)
    for test in (
        cochran_mantel_haenszel(*table, mask=mask),
        cochran_mantel_haenszel(*table, correction=True, mask=mask),
        breslow_day(*table, mask=mask),
        breslow_day(*table, tarone=True, mask=mask),
        peto(*table, mask=mask)[:7],
    ):
        found += test
    return found


@given(TRIALS, MEASURES)
def test_exchanging_the_arms_turns_the_effect_round(table: FloatArray, measure: str) -> None:
    a, n1, c, n2 = table
    one, other = (
        mantel_haenszel(a, n1, c, n2, measure=measure),
        mantel_haenszel(c, n2, a, n1, measure=measure),
    )
    same(one.estimate, -other.estimate, size=1)
    same(one.se, other.se)
    same(one.q, other.q, rtol=1e-8, size=1)
    same(peto(a, n1, c, n2).estimate, -peto(c, n2, a, n1).estimate, size=1)
    for test in (cochran_mantel_haenszel, breslow_day):
        same(test(a, n1, c, n2).statistic, test(c, n2, a, n1).statistic, rtol=1e-7, size=1)


@given(TRIALS)
def test_counting_the_other_event_turns_odds_ratio_and_difference_round(table: FloatArray) -> None:
    a, n1, c, n2 = table
    for measure in ("OR", "RD"):
        one = mantel_haenszel(a, n1, c, n2, measure=measure)
        other = mantel_haenszel(n1 - a, n1, n2 - c, n2, measure=measure)
        same(one.estimate, -other.estimate, size=1)
        same(one.se, other.se)


@given(TRIALS, st.integers(1, 50), st.integers(1, 50), st.sampled_from(["RR", "OR"]))
def test_a_trial_without_events_changes_no_ratio(
    table: FloatArray, n1: int, n2: int, measure: str
) -> None:
    more = np.column_stack([table, [0, n1, 0, n2]])
    one, other = mantel_haenszel(*table, measure=measure), mantel_haenszel(*more, measure=measure)
    assert other.k == one.k + 1
    assert other.k_informative == one.k_informative
    same(one.estimate, other.estimate, size=1)
    same(one.se, other.se)
    same(one.q, other.q, rtol=1e-8, size=1)
    same(peto(*table).estimate, peto(*more).estimate, size=1)
    same(breslow_day(*table).statistic, breslow_day(*more).statistic, rtol=1e-8, size=1)


@given(TRIALS, st.randoms(use_true_random=False))
def test_the_order_of_the_trials_changes_no_digit(table: FloatArray, random: Any) -> None:
    order = list(range(table.shape[1]))
    random.shuffle(order)
    for x, y in zip(everything(table), everything(table[:, order]), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(peto(*table).excess[order], peto(*table[:, order]).excess)


@settings(max_examples=20)
@given(TRIALS)
def test_a_mask_deletes(table: FloatArray) -> None:
    subsets = masks.all_subsets(table.shape[1])
    at_once = everything(table, subsets)
    absent = everything(
        np.where(subsets, table[:, None, :], np.nan)
    )  # nan instead of a mask, as a batch
    for x, y in zip(at_once, absent, strict=True):
        same(x, y, rtol=1e-8, size=1)
    for i in range(0, len(subsets), 7):
        alone = everything(table[:, subsets[i]])
        masked = everything(table, subsets[i])
        for x, y, z in zip(at_once, alone, masked, strict=True):
            same(x[i], y, rtol=1e-8, size=1)
            same(x[i], z, rtol=1e-8, size=1)


@settings(max_examples=30)
@given(st.lists(TRIAL, min_size=6, max_size=6))
def test_a_batch_is_a_loop(trials: list[tuple[int, ...]]) -> None:
    batch = np.array(trials, dtype=float).T.reshape(4, 2, 3)
    for i in range(2):
        for x, y in zip(everything(batch), everything(batch[:, i]), strict=True):
            same(x[i], y, rtol=1e-9, size=1)
    masked = everything(batch, np.array([[True, False, True]]))
    for x, y in zip(masked, everything(batch[:, :, [0, 2]]), strict=True):
        same(x, y, rtol=1e-8, size=1)


@given(TRIAL)
def test_one_trial_pools_to_itself(trial: tuple[int, ...]) -> None:
    table = [np.array([x], dtype=float) for x in trial]
    for measure, effect in (
        ("RR", counts.risk_ratio),
        ("OR", counts.odds_ratio),
        ("RD", counts.risk_difference),
    ):
        alone, found = effect(*table, zero="none"), mantel_haenszel(*table, measure=measure)
        assert np.isnan(found.q)
        if not alone.absent[0]:
            same(found.estimate, alone.y[0], size=1)
        if not alone.absent[0] and measure != "RD":
            same(found.se**2, alone.v[0])
        if not alone.absent[0] and measure == "RD":
            greenland = mantel_haenszel(*table, measure="RD", variance="greenland-robins")
            same(greenland.se**2, alone.v[0])
            assert found.status == greenland.status == Status.ONE_STUDY
    step, pooled = counts.peto_odds_ratio(*table), peto(*table)
    if not step.absent[0]:
        same([pooled.estimate, pooled.se**2], [step.y[0], step.v[0]], size=1)
        same(pooled.excess / pooled.variance, step.y, size=1)
        same(cochran_mantel_haenszel(*table).statistic, step.y[0] ** 2 / step.v[0], size=1)


@given(TRIALS)
def test_peto_is_inverse_variance_pooling_of_one_step_estimates(table: FloatArray) -> None:
    y, v, _, _ = counts.peto_odds_ratio(*table)
    found, combined = peto(*table), combining.combine(y, v, tau2=0.0)
    same(found.estimate, combined.estimate, size=1)
    same(found.se, combined.se)
    same(found.q, combined.q, rtol=1e-8, size=1)


@given(TRIALS, MEASURES)
def test_q_is_smallest_about_the_inverse_variance_mean(table: FloatArray, measure: str) -> None:
    found = mantel_haenszel(*table, measure=measure, compatibility="revman5")
    if np.isfinite(found.q):
        effect = {"RR": counts.risk_ratio, "OR": counts.odds_ratio, "RD": counts.risk_difference}[
            measure
        ]
        y, v, _, _ = effect(*table, zero="half-if-any" if measure == "RD" else "drop")
        there = v < np.inf
        w = 1 / v[there]
        assert found.q_df == there.sum() - 1
        same(found.q, (w * (y[there] - found.estimate) ** 2).sum(), size=1)
        assert found.q >= combining.combine(y, v, tau2=0.0).q * (1 - 1e-10)
        moment = (found.q - found.q_df) / (w.sum() - (w * w).sum() / w.sum())
        same(found.tau2, max(moment, 0.0), rtol=1e-8, size=float(np.max(v[there])))


@given(TRIALS)
def test_fitted_tables_have_the_common_odds_ratio(table: FloatArray) -> None:
    cells = strata.tables_of(*table).exact
    estimate = mantel_haenszel(*table, measure="OR").estimate
    if np.isfinite(estimate):
        with np.errstate(divide="ignore", invalid="ignore"):
            e, variance = stratified_tests._fitted_events(cells, np.exp(estimate))
        a, b, c, d, _ = cells
        inside = (a + c > 0) & (b + d > 0)
        n1, n2, m = a + b, c + d, a + c
        cross = e * (n2 - m + e), (n1 - e) * (m - e) * np.exp(estimate)
        same(cross[0][inside], cross[1][inside], rtol=1e-9)
        assert (variance[inside] > 0).all()


@pytest.mark.parametrize(
    ("table", "odds_ratio"),
    [
        ((1, 9, 99, 1), "1e-9"),
        ((9, 1, 99, 1), "0.001"),
        ((6, 4, 45, 5), "1e-6"),
        ((6, 4, 45, 5), "1e9"),
    ],
)
def test_the_fitted_table_is_right_where_one_form_of_the_root_cancels(
    table: tuple[int, ...], odds_ratio: str
) -> None:
    a, b, c, d = map(Decimal, table)
    with localcontext(prec=60):
        psi, n1, n2, m = Decimal(odds_ratio), a + b, c + d, a + c
        half = psi * (n1 + m) + (n2 - m)
        exact = (half - (half * half - 4 * n1 * m * psi * (psi - 1)).sqrt()) / (2 * (psi - 1))
    cells = strata.FilledCells(*(np.array([float(x)]) for x in table), np.array([True]))
    with np.errstate(divide="ignore", invalid="ignore"):
        e, _ = stratified_tests._fitted_events(cells, np.array([float(odds_ratio)]))
    assert e[0] == pytest.approx(float(exact), rel=1e-14)


# ------------------------------------------------------------------------------------------ edges


def status_of(*table: list[float], **options: Any) -> tuple[float, float, Status]:
    found = mantel_haenszel(*table, **options)
    return float(found.estimate), float(found.se), Status(int(found.status))


def test_events_in_one_arm_only_make_a_ratio_infinite() -> None:
    for measure in ("RR", "OR"):
        up = status_of([3, 2], [10, 8], [0, 0], [9, 9], measure=measure)
        down = status_of([0, 0], [9, 9], [3, 2], [10, 8], measure=measure)
        assert (up[0], down[0]) == (np.inf, -np.inf)
        assert np.isnan([up[1], down[1]]).all()
        assert up[2] == down[2] == Status.REFUSED
    assert np.isnan(breslow_day([3, 2], [10, 8], [0, 0], [9, 9]).statistic)
    assert breslow_day([3, 2], [10, 8], [0, 0], [9, 9]).status == Status.REFUSED
    assert np.isfinite(peto([3, 2], [10, 8], [0, 0], [9, 9]).estimate)
    assert np.isnan(mantel_haenszel([3, 2], [10, 8], [0, 0], [9, 9]).q)


def test_no_events_at_all() -> None:
    table = [0, 0], [10, 8], [0, 0], [9, 9]
    for measure in ("RR", "OR"):
        estimate, se, status = status_of(*table, measure=measure)
        assert np.isnan([estimate, se]).all()
        assert status == Status.REFUSED
        assert mantel_haenszel(*table, measure=measure).k_informative == 0
    # two arms without events do not differ, but by this much they may not be said not to
    for variance in ("sato", "greenland-robins"):
        estimate, se, status = status_of(*table, measure="RD", variance=variance)
        assert estimate == 0
        assert np.isnan(se)
        assert status == Status.REFUSED
    assert peto(*table).status == cochran_mantel_haenszel(*table).status == Status.REFUSED
    assert np.isnan(peto(*table).estimate)
    assert np.isnan(cochran_mantel_haenszel(*table).p_value)
    assert cochran_mantel_haenszel(*table).df == 0


def test_everybody_against_nobody_has_no_interval() -> None:
    for variance in ("sato", "greenland-robins"):
        estimate, se, status = status_of(
            [7, 11], [7, 11], [0, 0], [9, 13], measure="RD", variance=variance
        )
        assert estimate == pytest.approx(1, rel=1e-15)
        assert np.isnan(se)
        assert status == Status.REFUSED


def test_everybody_in_both_arms_is_a_risk_ratio_of_one_without_an_interval() -> None:
    found = mantel_haenszel([7], [7], [9], [9])
    assert found.estimate == 0
    assert np.isnan(found.se)
    assert found.k_informative == 1
    assert mantel_haenszel([7], [7], [9], [9], measure="OR").k_informative == 0


def test_no_table() -> None:
    nan = float("nan")
    for table in (([nan], [nan], [nan], [nan]), ([0], [0], [1], [5]), ([], [], [], [])):
        for found in (
            mantel_haenszel(*table),
            peto(*table),
            cochran_mantel_haenszel(*table),
            breslow_day(*table),
        ):
            assert found.status == Status.NO_STUDIES
            assert found.k == 0
            assert np.isnan(found[0])
    assert mantel_haenszel([3], [9], [2], [8], mask=[False]).status == Status.NO_STUDIES
    assert mantel_haenszel([], [], [], [], mask=np.zeros((2, 0), dtype=bool)).status.tolist() == [
        1,
        1,
    ]


def test_an_impossible_table_cannot_hide_unless_masked() -> None:
    table = [14, 3], [13, 10], [2, 1], [10, 10]
    for found in (
        mantel_haenszel(*table),
        peto(*table),
        cochran_mantel_haenszel(*table),
        breslow_day(*table),
    ):
        assert np.isnan(found[0])
        assert found.status == Status.INVALID_INPUT
        assert found.k == 2
    assert np.isnan(peto(*table).excess).tolist() == [True, False]
    alone = mantel_haenszel(*table, mask=[False, True])
    assert alone.estimate == pytest.approx(np.log(3.0), rel=1e-15)
    assert alone.status == Status.ONE_STUDY


def test_one_table_is_named_as_such() -> None:
    for found in (
        mantel_haenszel([3], [9], [2], [8]),
        peto([3], [9], [2], [8]),
        breslow_day([3], [9], [2], [8]),
    ):
        assert found.status == Status.ONE_STUDY
    assert breslow_day([3], [9], [2], [8]).df == 0


def test_a_scalar_table_is_one_study() -> None:
    assert mantel_haenszel(13, 26, 6, 27).estimate == pytest.approx(0.810930216216, rel=1e-11)


def test_the_correction_never_takes_more_than_there_is() -> None:
    test = cochran_mantel_haenszel([5], [10], [5], [10], correction=True)
    assert (test.statistic, test.p_value) == (0, 1)


def test_many_masks_are_worked_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    subsets = masks.all_subsets(5)
    whole = everything(KAP5, subsets)
    monkeypatch.setattr(strata, "_MASK_ELEMENTS_AT_ONCE", 17)
    for x, y in zip(whole, everything(KAP5, subsets), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)
    assert mantel_haenszel(*KAP5, mask=subsets.reshape(31, 1, 5)).estimate.shape == (31, 1)
    assert mantel_haenszel(*KAP5, mask=np.zeros((0, 5), dtype=bool)).estimate.shape == (0,)


def test_leave_one_out_is_one_call() -> None:
    found = mantel_haenszel(*KAP5, mask=masks.leave_one_out(5))
    for i, estimate in enumerate(found.estimate):
        same(estimate, mantel_haenszel(*np.delete(KAP5, i, axis=1)).estimate, rtol=1e-13)


def test_large_counts_do_not_overflow() -> None:
    table = np.array([[505, 88391, 499, 88391], [186, 50634, 141, 27338]], dtype=np.int32).T
    for x, y in zip(everything(table), everything(table.astype(float)), strict=True):
        np.testing.assert_array_equal(x, y)


def test_unknown_words_are_refused_with_the_table() -> None:
    table = [3], [9], [2], [8]
    for options, offered in [
        ({"measure": "HR"}, "'RR', 'OR', 'RD'"),
        ({"variance": "sato"}, "'greenland-robins'"),
        ({"measure": "RD", "variance": "wald"}, "'sato', 'greenland-robins'"),
        ({"compatibility": "revman4"}, "None, 'revman5'"),
        ({"zero": "half"}, "half-if-any"),
        ({"zero": "drop", "compatibility": "revman5"}, "leave one of them out"),
        ({"mask": [True, False]}, "last axis of 1"),
    ]:
        with pytest.raises(ValueError, match=offered):
            mantel_haenszel(*table, **options)


def test_default_variances_are_words_of_their_tables() -> None:
    for mode in stratified.COMPATIBILITY.values():
        for measure, (rule, variance) in mode.items():
            assert variance in stratified.VARIANCES[measure]
            assert rule in counts.TRIGGERS
