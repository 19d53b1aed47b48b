"""The R values in tests/reference, as tests of intervals and heterogeneity read them."""

from __future__ import annotations

import gzip
import json
from functools import cache
from typing import Any

import numpy as np

from kapmeta.core.numerics.arrays import FloatArray
from tests.helpers.places import REFERENCE


@cache
def records(name: str) -> list[dict[str, Any]]:
    """Read ``tests/reference/NAME.json.gz``; its header has packages, versions and settings."""
    with gzip.open(REFERENCE / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        return list(json.load(file)["records"])


@cache
def method_values() -> dict[str, Any]:
    """Read the worked values of the method specification."""
    return dict(json.loads((REFERENCE / "methods_values.json").read_text(encoding="utf-8")))


def data_set(name: str) -> tuple[FloatArray, FloatArray]:
    """Return log risk ratios and variances of kap5, alcohol2, opioid2, k3 or bcg."""
    pool = method_values()["pool"][name]
    return np.array(pool["yi"]), np.array(pool["vi"])


def given_effects(record: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Return the effects that a record of 02_rma_uni holds."""
    inputs = record["inputs"]
    return np.array(inputs["yi"], dtype=float), np.array(inputs["vi"], dtype=float)


def counted_effects(record: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Compute the effects of a record of 04_meta_ci_pi by the defaults of meta::metabin.

    Tables in which no comparison is possible are dropped, 0.5 goes to every cell of the other
    tables with a zero, and the risk ratio divides by n + 0.5, not n + 1.
    """
    a, n1, c, n2 = (
        np.array(record["inputs"][key], dtype=float) for key in ("ai", "n1i", "ci", "n2i")
    )
    b, d = n1 - a, n2 - c
    silent = (a + c == 0) | ((b + d == 0) & (record["measure"] == "OR"))
    half = 0.5 * ((a == 0) | (b == 0) | (c == 0) | (d == 0))
    if record["measure"] == "OR":
        a, b, c, d = a + half, b + half, c + half, d + half
        y, v = np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
    else:
        a, c, n1, n2 = a + half, c + half, n1 + half, n2 + half
        with np.errstate(divide="ignore", invalid="ignore"):
            y, v = np.log(a / n1) - np.log(c / n2), 1 / a - 1 / n1 + 1 / c - 1 / n2
    return y[~silent], v[~silent]


def number(value: Any) -> float:
    """Read a value as R wrote it: null is nan, infinities are text."""
    return np.nan if value is None else float(value)
