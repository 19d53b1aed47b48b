"""Every effect measure against metafor's `escalc`, row by row, at 1e-12 relative.

Reference: tests/reference/01_escalc.json.gz (metafor 5.1-12 on R 4.2.2; the header names the
versions). A record is compared, or is of a variant not offered, or differs on purpose and stands in
`DIVERGENCES` with cause and size. A record that is none of these fails.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from kapmeta.core.effects import conversions, counts, means, proportions
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from tests.helpers.places import REFERENCE

VALUES = REFERENCE / "01_escalc.json.gz"
RTOL = 1e-12

Inputs = dict[str, FloatArray]
Key = tuple[str, str]


class Divergence(NamedTuple):
    """Rows in which we differ from metafor on purpose.

    `rows` finds them; `number` of them differ over all records of the variant, by at most `size`
    (absolute, in y; nan if one side gives no estimate). `variance` says whether v differs there
    too.
    """

    cause: str
    rows: Callable[[Inputs, FloatArray], BoolArray]
    number: int
    size: float
    variance: bool = False


def _numbers(values: Any) -> FloatArray:
    """Convert a JSON column to floats, null (inestimable) to nan.

    R writes a column of one study as a number.
    """
    column = values if isinstance(values, list) else [values]
    return np.array([np.nan if value is None else float(value) for value in column])


def _key(record: dict[str, Any]) -> Key:
    settings = {
        name: value for name, value in record["settings"].items() if name not in ("fun", "variant")
    }
    return (
        record["measure"],
        ", ".join(f"{name}={value}" for name, value in settings.items()) or "default",
    )


def _records() -> list[dict[str, Any]]:
    with gzip.open(VALUES, "rt") as file:
        return list(json.load(file)["records"])


RECORDS = _records()


def _table(inputs: Inputs) -> tuple[FloatArray, ...]:
    return tuple(inputs[name] for name in ("ai", "n1i", "ci", "n2i"))


def _arms(inputs: Inputs) -> tuple[FloatArray, ...]:
    return tuple(inputs[name] for name in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"))


def _group(inputs: Inputs) -> tuple[FloatArray, ...]:
    return inputs["xi"], inputs["ni"]


def _times(inputs: Inputs) -> tuple[FloatArray, ...]:
    return tuple(inputs[name] for name in ("x1i", "t1i", "x2i", "t2i"))


def _call(
    function: Callable[..., Any],
    columns: Callable[[Inputs], tuple[FloatArray, ...]],
    **options: Any,
) -> Callable[[Inputs], Any]:
    def call(inputs: Inputs) -> Any:
        return function(*columns(inputs), **options)

    return call


def _d_to_log_odds(method: str) -> Callable[[Inputs], Any]:
    def convert(inputs: Inputs) -> Any:
        m1, s1, n1, m2, s2, n2 = _arms(inputs)
        g = means.standardized_mean_difference(m1, s1, n1, m2, s2, n2)
        d = g.y / means.small_sample_factor(
            n1 + n2 - 2
        )  # metafor converts d, before its bias is removed
        v = 1 / n1 + 1 / n2 + d * d / (2 * (n1 + n2))
        return conversions.log_odds_ratio_from_smd(d, v, method=method)

    return convert


def _log_odds_to_d(method: str) -> Callable[[Inputs], Any]:
    def convert(inputs: Inputs) -> Any:
        effect = counts.odds_ratio(*_table(inputs))
        return conversions.smd_from_log_odds_ratio(effect.y, effect.v, method=method)

    return convert


def _offered() -> dict[Key, Callable[[Inputs], Any]]:
    offered: dict[Key, Callable[[Inputs], Any]] = {}
    zero: dict[str, dict[str, Any]] = {
        "default": {},
        "add=0.5, to=all": {"zero": "half-all"},
        "add=0.5, to=if0all": {"zero": "half-if-any-study"},
        "add=0.1, to=only0": {"value": 0.1},
        "add=0, to=none": {"zero": "none"},
        "drop00=True": {"zero": "drop"},
    }
    tables = {"RR": counts.risk_ratio, "OR": counts.odds_ratio, "RD": counts.risk_difference}
    for measure, function in tables.items():
        for variant, options in zero.items():
            offered[measure, variant] = _call(function, _table, **options)
    for variant in ("default", "add=0, to=none"):
        offered["AS", variant] = _call(counts.arcsine_difference, _table)
        offered["PAS", variant] = _call(proportions.arcsine_proportion, _group)
        offered["PFT", variant] = _call(proportions.double_arcsine_proportion, _group)
    for variant in ("default", "add=0, to=none", "drop00=True"):
        offered["PETO", variant] = _call(counts.peto_odds_ratio, _table)
    groups = {
        "PR": proportions.raw_proportion,
        "PLN": proportions.log_proportion,
        "PLO": proportions.logit_proportion,
    }
    for measure, one_group in groups.items():
        for variant in ("default", "add=0.5, to=all", "add=0.5, to=if0all", "add=0, to=none"):
            offered[measure, variant] = _call(one_group, _group, **zero[variant])
    for variant in ("default", "add=0.5, to=all", "add=0, to=none", "drop00=True"):
        offered["IRR", variant] = _call(proportions.rate_ratio, _times, **zero[variant])
    offered["MD", "vtype=LS"] = _call(means.mean_difference, _arms)
    offered["SMD", "vtype=LS"] = _call(means.standardized_mean_difference, _arms)
    offered["SMD", "vtype=UB"] = _call(means.standardized_mean_difference, _arms, variance="ub")
    offered["ROM", "vtype=LS"] = _call(means.ratio_of_means, _arms)
    offered["ROM", "correct=False"] = _call(means.ratio_of_means, _arms, bias_corrected=False)
    for letter, method in (("N", "cox-snell"), ("L", "hasselblad-hedges")):
        offered[f"OR2D{letter}", "default"] = _log_odds_to_d(method)
        offered[f"D2OR{letter}", "default"] = _d_to_log_odds(method)
    return offered


OFFERED = _offered()

NEVER_CORRECTED = "defined without a correction; none is offered"
OTHER_VARIANCE = "another sampling variance"
NOT_OFFERED: dict[Key, str] = {
    **{
        (measure, variant): NEVER_CORRECTED
        for measure in ("AS", "PETO")
        for variant in ("add=0.5, to=all", "add=0.5, to=if0all", "add=0.1, to=only0")
    },
    **{
        (measure, variant): NEVER_CORRECTED
        for measure in ("PAS", "PFT")
        for variant in ("add=0.5, to=all", "add=0.5, to=if0all")
    },
    (
        "AS",
        "drop00=True",
    ): "a table without events is informative on this scale and is never dropped",
    **{(measure, "vtype=AV"): OTHER_VARIANCE for measure in ("RR", "OR", "RD", "SMD", "ROM")},
    ("RD", "vtype=UB"): OTHER_VARIANCE,
    **{("MD", f"vtype={kind}"): OTHER_VARIANCE for kind in ("HO",)},
    **{("SMD", f"vtype={kind}"): OTHER_VARIANCE for kind in ("LS2", "H0")},
    **{("ROM", f"vtype={kind}"): OTHER_VARIANCE for kind in ("HO", "LS2", "AVHO")},
    ("SMD", "vtype=LS, correct=False"): "Cohen's d, whose bias we always remove",
}


def _zero_in_table(x: Inputs, v: FloatArray) -> BoolArray:
    a, n1, c, n2 = _table(x)
    return np.asarray((a == 0) | (a == n1) | (c == 0) | (c == n2))


def _all_if_zero_in_table(x: Inputs, v: FloatArray) -> BoolArray:
    zero = _zero_in_table(x, v)
    return np.full_like(zero, zero.any())


def _zero_in_one_arm(x: Inputs, v: FloatArray) -> BoolArray:
    a, n1, c, n2 = _table(x)
    informative = (a + c > 0) & (a + c < n1 + n2)
    return np.asarray(_zero_in_table(x, v) & informative)


def _zero_in_group(x: Inputs, v: FloatArray) -> BoolArray:
    return np.asarray((x["xi"] == 0) | (x["xi"] == x["ni"]))


def _all_if_zero_in_group(x: Inputs, v: FloatArray) -> BoolArray:
    zero = _zero_in_group(x, v)
    return np.full_like(zero, zero.any())


def _every_row(x: Inputs, v: FloatArray) -> BoolArray:
    return np.ones(v.shape, bool)


def _variance_zero(x: Inputs, v: FloatArray) -> BoolArray:
    return np.asarray(v == 0)


def _negative_means(x: Inputs, v: FloatArray) -> BoolArray:
    return np.asarray((x["m1i"] < 0) & (x["m2i"] < 0))


MOVED = (
    "metafor's continuity correction moves a difference or proportion; ours enters the variance"
    " alone"
)
KEPT = "metafor keeps a row of variance 0, which has infinite weight; ours is absent"
PETO = "metafor's escalc adds 0.5 (its rma.peto does not); Peto's estimate needs no correction"
NEGATIVE = "metafor takes the ratio of two negative means; ours is defined for positive means"

DIVERGENCES: dict[Key, Divergence] = {
    ("RD", "default"): Divergence(MOVED, _zero_in_table, 19, 0.01905),
    ("RD", "add=0.5, to=all"): Divergence(MOVED, _every_row, 95, 0.01905),
    ("RD", "add=0.5, to=if0all"): Divergence(MOVED, _all_if_zero_in_table, 77, 0.01905),
    ("RD", "add=0.1, to=only0"): Divergence(MOVED, _zero_in_table, 19, 0.00396),
    ("RD", "drop00=True"): Divergence(MOVED, _zero_in_one_arm, 15, 0.01905),
    ("RD", "add=0, to=none"): Divergence(KEPT, _variance_zero, 4, np.nan, variance=True),
    ("PETO", "default"): Divergence(PETO, _zero_in_table, 19, 1.116, variance=True),
    ("PETO", "drop00=True"): Divergence(PETO, _zero_in_one_arm, 15, 1.116, variance=True),
    ("PR", "default"): Divergence(MOVED, _zero_in_group, 2, 0.04545),
    ("PR", "add=0.5, to=all"): Divergence(MOVED, _every_row, 16, 0.05),
    ("PR", "add=0.5, to=if0all"): Divergence(MOVED, _all_if_zero_in_group, 13, 0.05),
    ("PR", "add=0, to=none"): Divergence(KEPT, _variance_zero, 2, np.nan, variance=True),
    ("PLN", "add=0, to=none"): Divergence(KEPT, _variance_zero, 2, np.nan, variance=True),
    ("ROM", "vtype=LS"): Divergence(NEGATIVE, _negative_means, 2, np.nan, variance=True),
    ("ROM", "correct=False"): Divergence(NEGATIVE, _negative_means, 2, np.nan, variance=True),
}

UNBIASED_VARIANCE_RTOL = 1e-11
"""SMD, vtype=UB: ``1 - (df - 2) / (df J^2)`` multiplies the error of J, which metafor takes from
differences of log-gammas (1e-13) and we from the gamma function (1e-15, `test_means`).
"""


def _compared(
    record: dict[str, Any],
) -> tuple[Inputs, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return inputs, their y and v, our y and v; nan where there is no estimate."""
    inputs = {name: _numbers(column) for name, column in record["inputs"].items()}
    ours = OFFERED[_key(record)](inputs)
    return (
        inputs,
        _numbers(record["results"]["yi"]),
        _numbers(record["results"]["vi"]),
        ours.y,
        np.where(np.isposinf(ours.v), np.nan, ours.v),
    )


def test_every_record_is_compared_or_said_not_to_be_offered() -> None:
    found = {_key(record) for record in RECORDS}
    assert found == set(OFFERED) | set(NOT_OFFERED)
    assert not set(OFFERED) & set(NOT_OFFERED)
    assert set(DIVERGENCES) <= set(OFFERED)
    assert len(RECORDS) == 425


@pytest.mark.parametrize(
    "record",
    [pytest.param(r, id="-".join((r["dataset"], *_key(r)))) for r in RECORDS if _key(r) in OFFERED],
)
def test_agrees_with_escalc(record: dict[str, Any]) -> None:
    inputs, their_y, their_v, y, v = _compared(record)
    key = _key(record)
    divergence = DIVERGENCES.get(key)
    apart = np.zeros(y.shape, bool) if divergence is None else divergence.rows(inputs, their_v)
    np.testing.assert_allclose(y[~apart], their_y[~apart], rtol=RTOL, atol=0)
    same_v = ~apart if divergence is None or divergence.variance else np.ones(y.shape, bool)
    rtol = UNBIASED_VARIANCE_RTOL if key == ("SMD", "vtype=UB") else RTOL
    np.testing.assert_allclose(v[same_v], their_v[same_v], rtol=rtol, atol=0)


@pytest.mark.parametrize("key", DIVERGENCES, ids="-".join)
def test_divergences_are_as_large_as_the_table_says(key: Key) -> None:
    divergence = DIVERGENCES[key]
    gaps = []
    for record in RECORDS:
        if _key(record) == key:
            inputs, their_y, their_v, y, _ = _compared(record)
            gaps.append((their_y - y)[divergence.rows(inputs, their_v)])
    gap = np.concatenate(gaps)
    gap = gap[~(np.abs(gap) <= RTOL)]  # a correction can leave an estimate where it was
    assert gap.size == divergence.number
    if np.isnan(divergence.size):
        assert np.isnan(gap).all()
    else:
        assert np.nanmax(np.abs(gap)) == pytest.approx(divergence.size, rel=1e-3)


def test_unbiased_smd_variance_differs_by_the_error_of_metafors_factor() -> None:
    gaps = []
    for record in RECORDS:
        if _key(record) == ("SMD", "vtype=UB"):
            _, _, their_v, _, v = _compared(record)
            gaps.append(np.abs(v / their_v - 1).max())
    assert max(gaps) == pytest.approx(3.2e-12, rel=0.05)
