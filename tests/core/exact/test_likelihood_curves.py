"""Curves of one table: highest likelihood, derivatives, swapped arms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from kapmeta.core.exact import likelihood_curves
from kapmeta.core.exact.likelihood_curves import CURVES
from kapmeta.core.exact.tabulated_curves import tabulated
from tests.helpers.sparse_data import table_rows, tables_of


@settings(max_examples=30)
@given(table_rows, st.floats(-3, 3))
def test_profile_curves_are_the_highest_likelihood_at_the_effect(row, theta):
    one = tables_of([row])
    a, n1, c, n2 = row
    for measure, low, high, risk in (
        ("RR", 0.0, min(1.0, math.exp(-theta)), lambda p: math.exp(theta) * p),
        ("RD", max(0.0, -theta / 4), min(1.0, 1 - theta / 4), lambda p: p + theta / 4),
    ):
        at = theta if measure == "RR" else theta / 4

        def minus(p, risk=risk):
            p1 = min(max(risk(p), 0.0), 1.0)
            return -(stats.binom.logpmf(a, n1, p1) + stats.binom.logpmf(c, n2, p))

        grid = np.linspace(low, high, 60)
        best = min(
            optimize.minimize_scalar(
                minus, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
            ).fun,
            min(map(minus, grid)),
        )
        found = float(CURVES[measure](one, np.array([[at]])).loglik[0, 0])
        assert found >= -best - 1e-9
        assert found <= -best + 2e-6 * (1 + abs(best))  # the bounded search stops short of the ends


@given(table_rows, st.floats(-6, 6))
def test_conditional_curve_is_the_noncentral_hypergeometric(row, theta):
    a, n1, c, n2 = row
    found = float(CURVES["OR"](tables_of([row]), np.array([[theta]])).loglik[0, 0])
    m = a + c
    terms = {
        x: math.comb(n1, x) * math.comb(n2, m - x) * math.exp(theta * x)
        for x in range(max(0, m - n2), min(n1, m) + 1)
    }
    assert found == pytest.approx(math.log(terms[a] / sum(terms.values())), abs=1e-9)


@pytest.mark.parametrize(
    "row",
    [
        (2600, 8000, 2100, 9000),
        (3, 7000, 5100, 9000),
        (8000, 8000, 4100, 4500),
        (0, 9000, 4200, 9000),
        (6000, 9000, 3, 5000),
    ],
)
def test_a_wide_support_is_represented_by_its_likely_counts(row, monkeypatch):
    theta = np.concatenate([np.linspace(-3, 3, 25), [-20, -8, 8, 20]])[None]
    few = CURVES["OR"](tables_of([row]), theta)
    monkeypatch.setattr(likelihood_curves, "_LONGEST_SUPPORT", math.inf)
    for found, expected in zip(few, CURVES["OR"](tables_of([row]), theta), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@given(table_rows.filter(lambda r: 0 < r[0] < r[1] and 0 < r[2] < r[3]), st.floats(-2, 2))
def test_slopes_and_curvatures_are_derivatives(row, theta):
    one, h = tables_of([row]), 1e-5
    for measure in ("OR", "RR", "OR-rare"):
        low, here, high = (CURVES[measure](one, np.array([[theta + d]])) for d in (-h, 0, h))
        slope = (high.loglik - low.loglik) / (2 * h)
        np.testing.assert_allclose(here.slope, slope, atol=1e-5)
        np.testing.assert_allclose(here.curvature, (high.slope - low.slope) / (2 * h), atol=1e-4)


@given(table_rows)
def test_swapping_arms_turns_a_curve_round(row):
    a, n1, c, n2 = row
    theta = np.linspace(-3, 3, 7)[None]
    for measure in ("OR", "RR"):
        first = CURVES[measure](tables_of([row]), theta).loglik
        second = CURVES[measure](tables_of([(c, n2, a, n1)]), -theta).loglik
        np.testing.assert_allclose(first, second, atol=1e-9)


def test_tables_without_information_are_flat():
    assert not tabulated("RR", tables_of([(0, 5, 0, 9)]))[0].informative
    assert not tabulated("OR", tables_of([(5, 5, 9, 9)]))[0].informative
    assert tabulated("RR", tables_of([(5, 5, 9, 9)]))[
        0
    ].informative  # all events: the risk ratio is near 1
    assert tabulated("RD", tables_of([(0, 5, 0, 9)]))[0].informative
