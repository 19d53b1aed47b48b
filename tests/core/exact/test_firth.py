"""Firth's penalised logistic regression: brglm2 0.9 on R 4.2.2, the score it solves, its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kapmeta.core.exact import firth as module
from kapmeta.core.exact.firth import firth
from kapmeta.core.exact.logistic_models import LogisticModel, fit_logistic_model
from tests.helpers.r_values import records
from tests.helpers.sparse_data import expected, r_tables, tables, tables_of

NIELWEISE = next(r for r in records("07_glmm") if r["dataset"] == "dat.nielweise2007")


@pytest.mark.parametrize("name", ["kap5", "nielweise"])
def test_agrees_with_brglm2(name):
    data = tables(name) if name == "kap5" else r_tables(NIELWEISE, informative=False)
    fit, value = firth(data), expected()["printed"]["firth"][name]
    assert fit.estimate == pytest.approx(value["estimate"], rel=1e-8)
    assert fit.se == pytest.approx(value["se"], rel=1e-8)


def test_one_table_is_half_added_to_every_cell():
    """With one parameter per cell the Jeffreys penalty is the 0.5 of the continuity correction."""
    fit = firth(tables_of([(12, 27, 0, 28)]))
    assert fit.estimate == pytest.approx(math.log(12.5 * 28.5 / (15.5 * 0.5)), rel=1e-10)


def test_penalised_limits_are_on_the_level_and_nothing_beats_the_maximum():
    t = tables("kap5")
    fit = firth(t)
    x, events, n = module._design_matrix(t)
    rng = np.random.default_rng(3)
    start = np.append(np.zeros(5), fit.estimate)
    best = module._penalised_maximum(x, events, n, start, 6)
    assert module._penalised(x, events, n, best) == pytest.approx(fit.loglik, abs=1e-10)
    for _ in range(50):
        assert module._penalised(x, events, n, best + 0.2 * rng.normal(size=6)) < fit.loglik
    for limit in (fit.low, fit.high):
        held = np.append(best[:-1], limit)
        held = module._penalised_maximum(x, events, n, held, 5)
        fall = 2 * (fit.loglik - module._penalised(x, events, n, held))
        assert fall == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-8)


def test_large_counts_are_maximum_likelihood():
    t = tables_of([(30_000, 90_000, 20_000, 95_000), (12_000, 50_000, 8000, 60_000)])
    plain = fit_logistic_model(LogisticModel(t, False), random=False, profile=False)
    fit = firth(t)
    assert fit.estimate == pytest.approx(plain.mu, abs=1e-5)
    assert fit.se == pytest.approx(plain.se, rel=1e-4)


table = st.tuples(st.integers(0, 10), st.integers(10, 30), st.integers(0, 10), st.integers(10, 30))


@settings(max_examples=25)
@given(st.lists(table, min_size=1, max_size=4))
def test_finite_whatever_is_zero_and_antisymmetric(rows):
    fit = firth(tables_of(rows))
    assert all(map(math.isfinite, (fit.estimate, fit.se, fit.low, fit.high)))
    assert fit.low < fit.estimate < fit.high
    swapped = firth(tables_of([(c, n2, a, n1) for a, n1, c, n2 in rows]))
    assert swapped.estimate == pytest.approx(-fit.estimate, abs=1e-7)


def test_where_risks_round_to_certainty_there_is_no_information_and_no_height():
    x, events, n = module._design_matrix(tables("kap5"))
    assert module._penalised(x, events, n, np.full(6, 1000.0)) == -math.inf


def test_every_step_of_the_search_climbs(monkeypatch):
    """However early it is stopped."""
    x, events, n = module._design_matrix(tables("kap5"))
    heights = []
    for most in range(5):
        monkeypatch.setattr(module, "_MOST_SCORING_STEPS", most)
        heights.append(
            module._penalised(x, events, n, module._penalised_maximum(x, events, n, np.zeros(6), 6))
        )
    assert (np.diff(heights) > 0).all()
