"""Every divergence from metafor and meta in kapmeta/review/reproduce/divergences.csv, measured
again from tests/reference.

Each line of the table has a function here that measures it: the largest difference over all
reference records in which it shows, absolute or relative as the line says; or, where one side gives
no number at all, in how many values.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from kapmeta.core.effects import counts
from kapmeta.core.exact import stratified, stratified_tests
from kapmeta.core.heterogeneity.tau2 import estimate
from kapmeta.core.heterogeneity.tau2_intervals import q_profile
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.pooling.prediction import PREDICTIONS
from tests.helpers import small_study_measures
from tests.helpers.places import ROOT
from tests.helpers.r_values import counted_effects, given_effects, number, records

TABLE = ROOT / "kapmeta" / "review" / "reproduce" / "divergences.csv"
COLUMNS = ["package", "quantity", "theirs", "ours", "cause", "kind", "largest"]
KINDS = ("absolute", "relative", "values without a number")

METAFOR, META = "metafor 5.1-12", "meta 8.4-0"
Record = dict[str, Any]
Measure = Callable[[], Iterator[float]]


def lines() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fits(**wanted: Any) -> Iterator[tuple[Record, FloatArray, FloatArray]]:
    """Find records of metafor's `rma` whose settings are as wanted, with their effects."""
    for record in records("02_rma_uni"):
        if all(record["settings"].get(name) == value for name, value in wanted.items()):
            yield record, *given_effects(record)


def inverse_variance(**wanted: Any) -> Iterator[tuple[Record, FloatArray, FloatArray]]:
    """Find records of meta's inverse-variance `metabin` with settings as wanted, with effects."""
    for record in records("04_meta_ci_pi"):
        settings = record["settings"]
        if settings["fun"].startswith("meta::") and all(
            settings.get(n) == value for n, value in wanted.items()
        ):
            yield record, *counted_effects(record)


def tables(
    name: str, measure: str, **wanted: Any
) -> Iterator[tuple[Record, tuple[FloatArray, ...]]]:
    """Find records with 2 x 2 tables, of one effect measure."""
    for record in records(name):
        settings = {
            key: value for key, value in record["settings"].items() if key not in ("fun", "variant")
        }
        if (
            record["measure"] == measure
            and settings == wanted
            and record["settings"]["fun"].startswith("m")
        ):
            columns = (
                np.atleast_1d(record["inputs"][column]) for column in ("ai", "n1i", "ci", "n2i")
            )
            yield record, tuple(np.array(column, dtype=float) for column in columns)


def apart(ours: object, theirs: object, relative: bool = False) -> float:
    """Return the distance of two numbers, 0 where one of them is missing."""
    a, b = float(np.asarray(ours)), number(theirs)
    gap = abs(a - b) / (abs(b) if relative else 1.0) if b or not relative else np.nan
    return float(np.nan_to_num(gap))


def default_control(method: str) -> Measure:
    def measure() -> Iterator[float]:
        for record, y, v in fits(method=method):
            default = record["results"].get("default_control")
            if default and y.size > 1:
                yield apart(estimate(y, v, method), default["tau2"])

    return measure


def escalc_moves(measure: str) -> Measure:
    def gaps() -> Iterator[float]:
        function = {"RD": counts.risk_difference, "PETO": counts.peto_odds_ratio}[measure]
        for record, table in tables("01_escalc", measure):
            for ours, theirs in zip(
                function(*table).y, np.atleast_1d(record["results"]["yi"]), strict=True
            ):
                yield apart(ours, theirs)

    return gaps


def one_study_tau2() -> Iterator[float]:
    for _, y, v in fits():
        if y.size == 1:
            assert np.isnan(estimate(y, v, "DL"))
            yield 1.0


def no_width() -> Iterator[float]:
    for record, y, v in fits():
        if record["results"]["tests"]["knha"]["se"] == 0 and not record["settings"][
            "method"
        ].startswith("GENQ"):
            assert INTERVALS["hksj"](y, v, record["results"]["tau2"], 0.95).status == Status.REFUSED
            yield 1.0


def h2_below_one() -> Iterator[float]:
    for record, y, _ in fits():
        if record["settings"]["method"] in ("EE", "FE") and y.size > 1:
            yield max(0.0, 1.0 - number(record["results"]["H2"]))


def riley_with_two_studies() -> Iterator[float]:
    for record, y, v in fits():
        expected = record["results"]["tests"]["t"]
        if (
            y.size == 2
            and "pi_riley_lb" in expected
            and not record["settings"]["method"].startswith("GENQ")
        ):
            tau2 = record["results"]["tau2"]
            assert np.isnan(
                PREDICTIONS["hts"](y, v, tau2, INTERVALS["t"](y, v, tau2, 0.95), 0.95)
            ).all()
            yield 1.0


def prediction_by_z() -> Iterator[float]:
    """Compare half-widths: metafor's default is normal; ours is t with k - 1 degrees of freedom."""
    for record, y, v in fits(method="REML"):
        expected = record["results"]["tests"]["z"]
        if "pi_lb" in expected and y.size > 2:
            tau2 = record["results"]["tau2"]
            low, high = PREDICTIONS["t"](y, v, tau2, INTERVALS["wald"](y, v, tau2, 0.95), 0.95)
            yield apart(high - low, expected["pi_ub"] - expected["pi_lb"], relative=True)


def i2_by_definition() -> Iterator[float]:
    for record, y, v in inverse_variance():
        if y.size > 1 and record["settings"].get("method.I2") != "tau2":
            tau2 = record["results"]["tau2"]
            w = 1 / v
            s2 = (y.size - 1) * w.sum() / (w.sum() ** 2 - (w * w).sum())
            yield apart(tau2 / (tau2 + s2), record["results"]["I2"])


def kenward_roger_limits() -> Iterator[float]:
    for record, y, v in inverse_variance():
        found = record["results"].get("random_ci", {}).get("KR")
        if found and y.size > 1 and (record["results"]["tau2"] == 0 or number(found["df"]) < 1):
            assert INTERVALS["kr"](y, v, record["results"]["tau2"], 0.95).status == Status.REFUSED
            yield 1.0


def jackson_for_dl() -> Iterator[float]:
    for record, y, v in inverse_variance(**{"method.tau": "DL", "what": "random.ci + predict"}):
        if y.size > 1:
            yield apart(q_profile(y, v).high, record["results"]["upper_tau2"], relative=True)


def ratio_with_a_zero() -> Iterator[float]:
    """Compare the trials' own effects: n + 0.5 or n + 1."""
    for record, y, _ in inverse_variance():
        if record["measure"] == "RR":
            columns = (
                np.atleast_1d(record["inputs"][column]) for column in ("ai", "n1i", "ci", "n2i")
            )
            a, n1, c, n2 = (np.array(column, dtype=float) for column in columns)
            kept = a + c > 0
            ours = counts.risk_ratio(a[kept], n1[kept], c[kept], n2[kept]).y
            yield float(np.abs(ours - y).max(initial=0.0))


def no_events_in_either_arm() -> Iterator[float]:
    """Count trials that meta leaves out of the risk ratio; ours keeps them with 0.5.

    Unless zero="drop".
    """
    for record, table in tables("03_metabin", "RR", method="MH"):
        yield float((counts.risk_ratio(*table).v < np.inf).sum() - number(record["results"]["k"]))


def zero_variance() -> Iterator[float]:
    for record, table in tables("01_escalc", "RD", add=0, to="none"):
        theirs = np.atleast_1d(record["results"]["vi"])
        ours = counts.risk_difference(*table, zero="none").v
        yield float(
            sum(number(v) == 0 and here == np.inf for v, here in zip(theirs, ours, strict=True))
        )


def prediction_about_the_interval() -> Iterator[float]:
    """Compare widths: meta's standard error is the model's, ours that of the interval."""
    for record, y, v in inverse_variance(**{"method.tau": "REML", "what": "random.ci + predict"}):
        expected, tau2 = record["results"]["predict"]["V"], record["results"]["tau2"]
        if y.size > 2 and tau2 > 0:
            low, high = PREDICTIONS["t"](
                y, v, tau2, INTERVALS["hksj-hybrid"](y, v, tau2, 0.95), 0.95
            )
            yield apart(
                high - low, number(expected["upper"]) - number(expected["lower"]), relative=True
            )


def mantel_haenszel_correction(measure: str) -> Measure:
    def gaps() -> Iterator[float]:
        for record, table in tables("03_metabin", measure, method="MH"):
            yield apart(
                stratified.mantel_haenszel(*table, measure=measure).estimate,
                record["results"]["TE_common"],
            )

    return gaps


def mantel_haenszel_variance() -> Iterator[float]:
    for record, table in tables("03_metabin", "RD", **{"method": "MH", "MH.exact": True}):
        yield apart(
            stratified.mantel_haenszel(*table, measure="RD").se,
            record["results"]["seTE_common"],
            relative=True,
        )


def heterogeneity_beside_mantel_haenszel() -> Iterator[float]:
    for record, table in tables("03_metabin", "OR", method="MH"):
        ours = stratified.mantel_haenszel(*table, measure="OR").q
        if not np.isnan(ours):
            yield apart(ours, record["results"]["Q"])


def cochran_statistic() -> Iterator[float]:
    for record, table in tables("03_metabin", "OR", method="MH"):
        ours = stratified_tests.cochran_mantel_haenszel(*table, correction=False).statistic
        yield apart(ours, record["results"].get("Q_CMH"), relative=True)


MEASURED: dict[tuple[str, str], Measure] = {
    (METAFOR, "tau2 by REML, default settings"): default_control("REML"),
    (METAFOR, "tau2 by ML, default settings"): default_control("ML"),
    (METAFOR, "tau2 by Paule-Mandel, default settings"): default_control("PM"),
    (METAFOR, "risk difference of a trial with a zero cell"): escalc_moves("RD"),
    (METAFOR, "Peto odds ratio of a trial with a zero cell"): escalc_moves("PETO"),
    (METAFOR, "risk difference of variance 0"): zero_variance,
    (METAFOR, "tau2 from one study"): one_study_tau2,
    (METAFOR, "Hartung-Knapp interval of equal effects"): no_width,
    (METAFOR, "H2 of the common-effect model"): h2_below_one,
    (METAFOR, "prediction interval (Riley) from two studies"): riley_with_two_studies,
    (METAFOR, "prediction interval, default, width"): prediction_by_z,
    (META, "I2"): i2_by_definition,
    (META, "Kenward-Roger interval at tau2 = 0 or df < 1"): kenward_roger_limits,
    (META, "upper limit of tau2 beside DerSimonian-Laird"): jackson_for_dl,
    (META, "log risk ratio of a trial with a zero cell"): ratio_with_a_zero,
    (META, "log risk ratio of a trial without events"): no_events_in_either_arm,
    (META, "prediction interval, default, width"): prediction_about_the_interval,
    (META, "Mantel-Haenszel log risk ratio with zero cells"): mantel_haenszel_correction("RR"),
    (META, "Mantel-Haenszel log odds ratio with zero cells"): mantel_haenszel_correction("OR"),
    (META, "standard error of the Mantel-Haenszel risk difference"): mantel_haenszel_variance,
    (META, "Q beside the Mantel-Haenszel odds ratio"): heterogeneity_beside_mantel_haenszel,
    (META, "Cochran-Mantel-Haenszel statistic"): cochran_statistic,
    **small_study_measures.MEASURED,
}


def test_the_table_has_the_columns_and_lines_it_promises() -> None:
    assert list(lines()[0]) == COLUMNS
    assert {(line["package"], line["quantity"]) for line in lines()} == set(MEASURED)
    assert len(lines()) == len(MEASURED)
    assert {line["kind"] for line in lines()} <= set(KINDS)
    assert all(all(line.values()) for line in lines())


@pytest.mark.parametrize("line", lines(), ids=lambda line: f"{line['package']}-{line['quantity']}")
def test_a_divergence_is_as_large_as_the_table_says(line: dict[str, str]) -> None:
    found = list(MEASURED[line["package"], line["quantity"]]())
    if line["kind"] == "values without a number":
        assert sum(found) == int(line["largest"])
    else:
        assert max(found) == pytest.approx(float(line["largest"]), rel=5e-3)
