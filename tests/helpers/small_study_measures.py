"""Divergences of small-study methods, measured again from tests/reference for
tests/repository/test_divergences.py.

Each function yields, record by record, how far R's number is from the one the package gives by
default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import kapmeta as km
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.pooling.henmi_copas import henmi_copas_limits
from kapmeta.core.small_study import asymmetry, copas, fail_safe, selection
from kapmeta.core.small_study.limit_meta_analysis import limit_meta_analysis
from kapmeta.core.small_study.trim_and_fill import Filled, FillStatus, trim_and_fill
from tests.core.small_study.test_asymmetry import meta_effects, table_of
from tests.core.small_study.test_copas import selection_parameters
from tests.core.small_study.test_limit_meta_analysis import WORDS as ADJUSTMENT_WORDS
from tests.core.small_study.test_selection import arguments_of, at_theirs
from tests.helpers.r_values import given_effects, number, records

METAFOR, META, METASENS = "metafor 5.1-12", "meta 8.4-0", "metasens 1.5-2"
Record = dict[str, Any]
Measure = Callable[[], Iterator[float]]


def of(name: str, function: str, **wanted: Any) -> Iterator[Record]:
    """Find records of one R function that has a result, with settings as wanted."""
    for record in records(name):
        how = record["settings"]
        if how["fun"] == function and all(how.get(key) == value for key, value in wanted.items()):
            yield record


def metafor(function: str, **wanted: Any) -> Iterator[tuple[Record, FloatArray, FloatArray]]:
    """Find records of 09_small_study in which R gives an answer, with their effects."""
    for record in of("09_small_study", f"metafor::{function}", **wanted):
        if "error" not in record["results"]:
            yield record, *given_effects(record)


def relative(ours: Any, theirs: Any) -> float:
    return abs(float(ours) / number(theirs) - 1)


def eggers_test() -> Iterator[float]:
    for record, y, v in metafor("regtest", model="rma", predictor="sei", method="REML"):
        yield abs(
            asymmetry.weighted_line(asymmetry.egger_points(y, v)).p_value
            - number(record["results"]["pval"])
        )


def too_few_trials() -> Iterator[float]:
    for record, y, _ in metafor("regtest", predictor="sei"):
        if y.size < 10 and record["results"]["pval"] is not None:
            yield 1.0


def counted_by_metafor(predictor: str) -> Iterator[tuple[Record, Record]]:
    """Pair a regression on sizes in metafor with meta's record that has the same trials' counts."""
    counted = {
        (r["dataset"], r["measure"]): r for r in records("11_meta_bias") if "ai" in r["inputs"]
    }
    for record, y, _ in metafor("regtest", model="lm", predictor=predictor):
        other = counted.get((record["dataset"], record["measure"]))
        if other and len(other["inputs"]["ai"]) == y.size:
            yield record, other


def peters_test() -> Iterator[float]:
    for record, other in counted_by_metafor("ninv"):
        ours = asymmetry.weighted_line(
            asymmetry.peters_points(*given_effects(record), *table_of(other))
        )
        yield abs(ours.p_value - number(record["results"]["pval"]))


def pustejovskys_test() -> Iterator[float]:
    for record, other in counted_by_metafor("sqrtninv"):
        _, n1, _, n2 = table_of(other)
        ours = asymmetry.weighted_line(asymmetry.pustejovsky_points(*given_effects(record), n1, n2))
        yield abs(ours.p_value - number(record["results"]["pval"]))


def filled(record: Record) -> Filled:
    """Fit ours as a record of metafor's trimfill asks for."""
    how = record["settings"]
    tau2 = 0.0 if how["method"] == "EE" else how["method"]
    return trim_and_fill(
        *given_effects(record), count_by=how["estimator"], side=how["side"], tau2=tau2
    )


def ties_in_trim_and_fill() -> Iterator[float]:
    for record, _, _ in metafor("trimfill"):
        yield abs(filled(record).k0 - record["results"]["k0"])


def no_q0() -> Iterator[float]:
    for record in of("09_small_study", "metafor::trimfill", estimator="Q0"):
        if "error" in record["results"]:
            yield float(filled(record).status == FillStatus.NO_ESTIMATE)


def general_fail_safe() -> Iterator[float]:
    for record, y, v in metafor("fsn", type="General"):
        theirs = record["results"]["fsnum"]
        if 0 < theirs < 500:
            yield relative(
                fail_safe.null_studies(y, v, null_v=float(1 / np.mean(1 / v)), ci="wald"), theirs
            )


def excess(name: str) -> Measure:
    def gaps() -> Iterator[float]:
        for record, y, v in metafor("tes"):
            method, r = record["settings"]["method"], record["results"]
            tau2 = 0.0 if method == "EE" else float(ESTIMATORS[method](y, v))
            found = fail_safe.excess_significance(y, v, r["theta"], tau2=tau2)
            if name == "power":
                yield float(np.abs(found.power - np.array(r["power"], dtype=float)).max())
            elif r["X2"] is not None:
                yield abs(float(found.exact_p_value) - r["pval"])

    return gaps


def henmi_copas() -> Iterator[float]:
    for record, y, v in metafor("hc"):
        found = henmi_copas_limits(y[None], v[None], 0.95)
        yield abs(found.high[0] - number(record["results"]["ci_ub"]))


def selection_models() -> Iterator[tuple[Record, selection.Selection, float]]:
    """Fit the models of metafor's records, with our log-likelihood at R's estimates."""
    for record in of("12_selmodel", "metafor::selmodel"):
        y, v, arguments = arguments_of(record)
        yield record, selection.fit_selection(y, v, **arguments), at_theirs(record, y, v, arguments)


def selection_integral() -> Iterator[float]:
    for record, _, there in selection_models():
        yield abs(there - record["results"]["ll"])


def selection_maximum() -> Iterator[float]:
    for _, found, there in selection_models():
        yield found.log_likelihood - there


def selection_standard_error() -> Iterator[float]:
    for record, found, there in selection_models():
        if record["results"]["se"] is not None and found.log_likelihood < there + 1e-3:
            yield relative(found.se, record["results"]["se"])


def truncated_at_zero() -> Iterator[float]:
    for record in of("12_selmodel", "metafor::selmodel", type="trunc"):
        _, v, arguments = arguments_of(record)
        yield abs(
            selection.fit_selection(record["inputs"]["yi"], v, **arguments).mu
            - record["results"]["estimate"]
        )


def beggs_test() -> Iterator[float]:
    for record in of("11_meta_bias", "meta::metabias", **{"method.bias": "Begg"}):
        found = asymmetry.begg(*meta_effects(record))
        if np.isfinite(found.exact_p_value):
            yield abs(float(found.exact_p_value) - record["results"]["pval"])


def statistic(method: str, ours: Callable[..., Any], measure: str | None = None) -> Measure:
    """Compute statistics of tests that work on counts."""

    def gaps() -> Iterator[float]:
        for record in of("11_meta_bias", "meta::metabias", **{"method.bias": method}):
            if measure is None or record["measure"] == measure:
                yield abs(float(ours(*table_of(record)).statistic) - record["results"]["statistic"])

    return gaps


def thompsons_test() -> Iterator[float]:
    for record in of("11_meta_bias", "meta::metabias", **{"method.bias": "Thompson"}):
        y, v = meta_effects(record)
        yield abs(
            asymmetry.mixed_line(y, v, np.sqrt(v), reference="t").p_value
            - record["results"]["pval"]
        )


def trimming_model() -> Iterator[float]:
    for record in of("11_meta_bias", "meta::trimfill", type="L", **{"ma.common": True}):
        yield abs(trim_and_fill(*meta_effects(record), tau2="REML").k0 - record["results"]["k0"])


def limit_standard_error() -> Iterator[float]:
    for record in of("11_meta_bias", "metasens::limitmeta"):
        word = ADJUSTMENT_WORDS[record["settings"]["method.adjust"]]
        theirs = record["results"]["seTE_adjust"]
        if theirs is not None:
            yield relative(limit_meta_analysis(*meta_effects(record), adjustment=word).se, theirs)


def copas_points() -> Iterator[tuple[copas.CopasCurve, int, Record, float]]:
    """Fit our curve at metasens's own selection, with our log-likelihood at its estimates."""
    for record in of("11_meta_bias", "metasens::copas"):
        y, v = meta_effects(record)
        r = record["results"]
        pairs = zip(r["publprob"], r["N_unpubl"], strict=True)
        gammas = [
            selection_parameters(v, published, unpublished) for published, unpublished in pairs
        ]
        found = copas.copas(y, v, *np.array(gammas).T)
        for j, (gamma0, gamma1) in enumerate(gammas):
            rho = 0.0 if np.isinf(gamma0) else r["rho_slope"][j]
            theirs = np.array([[r["TE_slope"][j]], [r["tau_slope"][j] ** 2], [rho], [0.0]])
            u = np.minimum(gamma0 + gamma1 / np.sqrt(v), copas._CERTAIN)
            yield found, j, record, float(copas.copas_log_likelihood(theirs, y, v, u)[0])


def copas_maximum() -> Iterator[float]:
    for found, j, _, there in copas_points():
        yield found.log_likelihood[j] - there


def copas_standard_error() -> Iterator[float]:
    for found, j, record, _ in copas_points():
        if found.rho_on_bound[j]:
            yield relative(found.se[j], record["results"]["seTE_slope"][j])


def copas_adjusted() -> Iterator[float]:
    for record in of("11_meta_bias", "metasens::copas"):
        y, v = meta_effects(record)
        frame = pd.DataFrame({"study": np.arange(y.size).astype(str), "y": y, "v": v})
        effects = km.generic(frame, y="y", v="v", measure="GEN")
        ours = km.small_study.copas(effects, favoured="positive", force=True)
        yield abs(ours["estimate"] - record["results"]["TE_adjust"])


MEASURED: dict[tuple[str, str], Measure] = {
    (METAFOR, "Egger's test, default, p-value"): eggers_test,
    (METAFOR, "Egger's test of fewer than ten trials"): too_few_trials,
    (METAFOR, "Peters's test, p-value"): peters_test,
    (METAFOR, "Pustejovsky and Rodgers's test, p-value"): pustejovskys_test,
    (METAFOR, "trim and fill with tied effects, studies filled"): ties_in_trim_and_fill,
    (METAFOR, "trim and fill by Q0 where it does not exist"): no_q0,
    (METAFOR, "number of null studies"): general_fail_safe,
    (METAFOR, "excess significance, power of a trial"): excess("power"),
    (METAFOR, "excess significance of more than 20 trials, p-value"): excess("p"),
    (METAFOR, "Henmi-Copas interval, upper limit"): henmi_copas,
    (METAFOR, "selection model, log-likelihood at the same estimates"): selection_integral,
    (METAFOR, "selection model, log-likelihood at the maximum"): selection_maximum,
    (METAFOR, "selection model, standard error of the mean"): selection_standard_error,
    (
        METAFOR,
        "selection by the sign of the effect, mean with an effect of exactly 0",
    ): truncated_at_zero,
    (META, "Begg's test, default, p-value"): beggs_test,
    (META, "Harbord's test for the risk ratio, statistic"): statistic(
        "Harbord",
        lambda *table: asymmetry.weighted_line(asymmetry.harbord_points(*table, measure="RR")),
        measure="RR",
    ),
    (META, "Schwarzer's test with zero cells, statistic"): statistic(
        "Schwarzer", asymmetry.schwarzer
    ),
    (META, "Thompson and Sharp's test, p-value"): thompsons_test,
    (META, "trim and fill, default, studies filled"): trimming_model,
    (METASENS, "limit meta-analysis with a trial left out, standard error"): limit_standard_error,
    (METASENS, "Copas model, log-likelihood at the maximum"): copas_maximum,
    (METASENS, "Copas model, standard error where rho is on its bound"): copas_standard_error,
    (METASENS, "Copas model, default, adjusted effect"): copas_adjusted,
}
