"""Beta-binomial regression: values from maximum likelihood in R, the defining density, limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from kapmeta.core.exact import beta_binomial as module
from kapmeta.core.exact.beta_binomial import beta_binomial, beta_binomial_fits
from kapmeta.core.exact.likelihood_curves import Tables
from tests.helpers.r_values import records
from tests.helpers.sparse_data import expected, r_tables, tables, tables_of

NIELWEISE = next(r for r in records("07_glmm") if r["dataset"] == "dat.nielweise2007")


@pytest.mark.parametrize("case", list(expected()["printed"]["beta_binomial"]))
def test_agrees_with_direct_maximum_likelihood_in_r(case):
    name, measure = case.split("|")
    data = tables(name) if name == "kap5" else r_tables(NIELWEISE, informative=False)
    fit, value = beta_binomial(data, measure=measure), expected()["printed"]["beta_binomial"][case]
    assert fit.estimate == pytest.approx(value["estimate"], rel=1e-7)
    assert fit.se == pytest.approx(value["se"], rel=1e-6)
    if "rho" in value:
        assert fit.rho == pytest.approx(value["rho"], rel=1e-6)
    if "loglik" in value:
        assert fit.loglik == pytest.approx(value["loglik"], abs=1e-9)


def _loglik(t, p1, p2, rho):
    s = (1 - rho) / rho
    each = stats.betabinom.logpmf(t.a, t.n1, p1 * s, (1 - p1) * s) + stats.betabinom.logpmf(
        t.c, t.n2, p2 * s, (1 - p2) * s
    )
    return each.sum()


def test_the_likelihood_is_that_of_the_beta_binomial_and_no_neighbour_beats_it():
    t = tables("kap5")
    for measure in ("OR", "RR", "RD"):
        fit = beta_binomial(t, measure=measure)
        risk = {"OR": special.expit, "RR": np.exp, "RD": np.asarray}[measure]

        def at(db0=0.0, db1=0.0, factor=1.0, fit=fit, risk=risk):
            p2 = float(risk(np.array(fit.baseline + db0)))
            p1 = float(risk(np.array(fit.baseline + db0 + fit.estimate + db1)))
            return _loglik(t, p1, p2, fit.rho * factor)

        assert at() == pytest.approx(fit.loglik, abs=1e-9)
        for step in (-1e-3, 1e-3):
            assert max(at(db0=step), at(db1=step), at(factor=1 + step)) < fit.loglik


def test_saturated_links_tell_the_same_two_risks():
    found = [beta_binomial(tables("kap5"), measure=m) for m in ("OR", "RR", "RD")]
    logit = 1 / (1 + math.exp(-found[0].baseline - found[0].estimate))
    assert math.exp(found[1].baseline + found[1].estimate) == pytest.approx(logit, rel=1e-8)
    assert found[2].baseline + found[2].estimate == pytest.approx(logit, rel=1e-8)


def test_equal_arms_are_binomial():
    t = tables_of([(10, 20, 5, 20), (10, 20, 5, 20), (10, 20, 5, 20)])
    fit = beta_binomial(t)
    assert fit.rho == 0
    assert fit.estimate == pytest.approx(math.log(1 * 3), rel=1e-10)
    assert fit.se == pytest.approx(math.sqrt(1 / 30 + 1 / 30 + 1 / 15 + 1 / 45), rel=1e-9)


table = st.tuples(st.integers(1, 9), st.integers(10, 30), st.integers(1, 9), st.integers(10, 30))


@settings(max_examples=25)
@given(st.lists(table, min_size=2, max_size=5))
def test_swapping_arms_and_events_changes_the_sign(rows):
    fit = beta_binomial(tables_of(rows))
    swapped = beta_binomial(tables_of([(c, n2, a, n1) for a, n1, c, n2 in rows]))
    turned = beta_binomial(tables_of([(n1 - a, n1, n2 - c, n2) for a, n1, c, n2 in rows]))
    for other in (swapped, turned):
        assert other.loglik == pytest.approx(fit.loglik, abs=1e-8)
        assert other.estimate == pytest.approx(-fit.estimate, abs=1e-5)


def test_double_zeros_take_part_and_empty_arms_have_no_estimate():
    with_zero = tables_of([(3, 20, 1, 20), (4, 18, 2, 22), (0, 15, 0, 15)])
    without = tables_of([(3, 20, 1, 20), (4, 18, 2, 22)])
    assert beta_binomial(with_zero).estimate != pytest.approx(
        beta_binomial(without).estimate, abs=1e-4
    )
    assert beta_binomial(tables_of([(3, 20, 0, 20), (4, 18, 0, 22)])).estimate == math.inf
    assert beta_binomial(tables_of([(0, 20, 3, 20), (0, 18, 1, 22)])).estimate == -math.inf
    assert math.isnan(beta_binomial(tables_of([(0, 20, 0, 20), (0, 18, 0, 22)])).estimate)


def test_a_ratio_of_risks_at_the_edge_has_no_standard_error_and_no_estimate():
    """All of one arm had the event: the risk ratio is finite, but at the edge."""
    t = tables_of([(8, 8, 3, 10), (12, 12, 7, 15)])
    assert math.isnan(beta_binomial(t, measure="RR").estimate)
    assert math.isnan(beta_binomial(t, measure="RD").estimate)
    assert beta_binomial(t, measure="OR").estimate == math.inf


@pytest.mark.parametrize("steps", range(6))
def test_every_step_of_the_search_climbs(steps, monkeypatch):
    """However early it is stopped."""
    t = tables("kap5")
    events, sizes = np.stack([t.a, t.c])[None], np.stack([t.n1, t.n2])[None]
    arms, start = module._tallied_arms(events, sizes), np.array([[1.5, -2.5, math.log(3.0)]])
    heights = []
    for most in (steps, steps + 1):
        monkeypatch.setattr(module, "_MOST_CLIMBING_STEPS", most)
        point, height = module._climb_from(arms, start)
        assert height == pytest.approx(module._log_likelihood(arms, point)[0], abs=1e-12)
        heights.append(height)
    assert heights[0] < heights[1]


def test_derivatives_are_those_of_the_log_likelihood():
    t, h = tables("kap5"), 1e-5
    events, sizes = np.stack([t.a, t.c])[None], np.stack([t.n1, t.n2])[None]
    arms, point = module._tallied_arms(events, sizes), np.array([[0.3, -1.2, -1.0]])
    _, gradient, hessian = module._log_likelihood(arms, point)
    for i in range(3):
        up, down = (module._log_likelihood(arms, point + s * h * np.eye(3)[i]) for s in (1, -1))
        assert gradient[0, i] == pytest.approx((up[0] - down[0])[0] / (2 * h), rel=1e-6)
        np.testing.assert_allclose(hessian[0, i], (up[1] - down[1])[0] / (2 * h), rtol=1e-6)


def _random_counts(rng, sets, k):
    n1, n2 = rng.integers(5, 60, (2, sets, k)).astype(float)
    risk = np.clip(
        rng.choice([0.05, 0.15, 0.3], (sets, 1)) * rng.lognormal(0, 0.4, (sets, k)), 0, 1
    )
    c, a = rng.binomial(n2.astype(int), risk), rng.binomial(n1.astype(int), np.sqrt(risk))
    return a.astype(float), n1, c.astype(float), n2


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
def test_a_batch_is_its_sets_one_by_one_and_an_empty_table_is_absent(measure):
    a, n1, c, n2 = _random_counts(np.random.default_rng(5), 24, 4)
    for part in (a, n1, c, n2):
        part[::3, 1] = 0.0
    batch = beta_binomial_fits(*(x.reshape(4, 6, 4) for x in (a, n1, c, n2)), measure=measure)
    for i in range(24):
        keep = n1[i] > 0
        rows = np.stack([a[i], n1[i], c[i], n2[i]], axis=1)[keep]
        one = beta_binomial(tables_of(rows), measure=measure)
        place = np.unravel_index(i, (4, 6))
        assert batch.k[place] == keep.sum()
        for name in one._fields:
            np.testing.assert_allclose(getattr(batch, name)[place], getattr(one, name), rtol=1e-9)
        half = one.se * stats.t.ppf(0.975, 2 * keep.sum() - 2)
        np.testing.assert_allclose(batch.high[place], one.estimate + half, rtol=1e-9)


def test_one_table_has_no_interval():
    found = beta_binomial_fits([[13]], [[26]], [[6]], [[27]])
    assert math.isfinite(found.estimate[0])
    assert np.isnan([found.low[0], found.high[0]]).all()


def test_a_million_people_cost_what_a_hundred_do_and_the_likelihood_is_right():
    t = tables("kap5")
    big = Tables(*(10_000 * cell for cell in t))
    fit = beta_binomial(big)
    p2 = 1 / (1 + math.exp(-fit.baseline))
    p1 = 1 / (1 + math.exp(-fit.baseline - fit.estimate))
    assert _loglik(big, p1, p2, fit.rho) == pytest.approx(fit.loglik, abs=1e-6)
    for step in (-1e-3, 1e-3):
        assert _loglik(big, p1 + step, p2, fit.rho) < fit.loglik
        assert _loglik(big, p1, p2 + step, fit.rho) < fit.loglik
        assert _loglik(big, p1, p2, fit.rho * (1 + 10 * step)) < fit.loglik
    arms = module._tallied_arms(np.stack([big.a, big.c])[None], np.stack([big.n1, big.n2])[None])
    assert max(tally.exceeding.shape[-1] for tally in arms[:3]) <= 64


def test_arms_of_nothing_or_all_are_perfectly_correlated():
    fit = beta_binomial(tables_of([(9, 9, 0, 7), (0, 6, 8, 8), (5, 5, 0, 9)]), measure="RD")
    assert fit.rho == pytest.approx(1, abs=1e-5)
    assert fit.estimate == pytest.approx(1 / 3, abs=1e-4)  # two of three arms, and one of three
