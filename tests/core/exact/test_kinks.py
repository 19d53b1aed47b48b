"""Likelihoods with a kink: arms of nothing but events, or of none, against brute force.

The log-likelihood of a risk ratio or difference bends where the risk of such an arm meets its
bound, and has a kink at no effect if both arms are such.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from kapmeta.core.exact import likelihood_models, marginal_likelihood, mode_search
from kapmeta.core.exact.likelihood_curves import CURVES
from kapmeta.core.exact.tabulated_curves import tabulated
from tests.helpers import brute_likelihood as brute
from tests.helpers.sparse_data import tables_of

FALL = stats.chi2.ppf(0.95, 1) / 2
PATTERNS = (
    [(34, 34, 59, 59)], [(46, 46, 10, 53)], [(10, 10, 10, 10)], [(14, 30, 23, 23)],
    [(20, 20, 0, 15)], [(3, 3, 1, 1)], [(0, 9, 7, 7)], [(60, 60, 1, 60)],
)  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(34, 34, 59, 59), (46, 58, 14, 53)], (1.67, 0.44, 6.94)),
        ([(10, 10, 10, 10), (13, 27, 3, 28), (14, 17, 15, 23)], (1.45, 0.68, 4.39)),
    ],
)
def test_a_table_of_nothing_but_events_does_not_hold_the_maximum_at_no_effect(rows, expected):
    """Values by dense two-dimensional quadrature. Once: RR 1.00 (7e-170 to 4e169)."""
    fit = likelihood_models.maximise_likelihood(tabulated("RR", tables_of(rows)))
    np.testing.assert_allclose(np.exp([fit.mu, fit.low, fit.high]), expected, atol=0.006)


@pytest.mark.parametrize("rows", PATTERNS)
@pytest.mark.parametrize("tau", [1e-3, 0.05, 0.2, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("mu", [0.0, 0.01, -0.3, 0.5])
def test_a_curve_that_bends_is_integrated_exactly_at_any_tau(rows, mu, tau):
    studies = tabulated("RR", tables_of(rows))
    study = studies[0]

    def share(x):
        loglik = CURVES["RR"](study.table, np.array([[mu + tau * x]])).loglik[0, 0]
        return math.exp(loglik - study.top - x * x / 2) / math.sqrt(2 * math.pi)

    ends = [-mu / tau, (study.panels.bend - mu) / tau, *(mu + 0.1 * np.arange(-3, 4)) / tau]
    ends = sorted({-9.5, 9.5, *np.clip(ends, -9.5, 9.5)})
    pieces = itertools.pairwise(ends)
    total = sum(
        integrate.quad(share, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in pieces
    )
    at = np.array([mu]), np.array([tau])
    found = marginal_likelihood.marginal(studies, *at).value[0] - study.top
    assert marginal_likelihood.marginal_log_likelihood(studies, *at)[0] == found + study.top
    if total > 1e-17:
        assert found == pytest.approx(math.log(total), abs=1e-8)


@pytest.mark.parametrize("rows", PATTERNS)
@pytest.mark.parametrize(("mu", "tau"), [(0.0, 0.05), (0.01, 0.01), (0.4, 0.5), (-0.2, 3.0)])
def test_derivatives_hold_where_the_slope_jumps(rows, mu, tau):
    studies, h = tabulated("RR", tables_of(rows)), 1e-4 * tau
    here = marginal_likelihood.marginal(studies, np.array([mu]), np.array([tau]))
    for i, (dm, dt) in enumerate(((h, 0), (0, h))):
        up, down = (
            marginal_likelihood.marginal(studies, np.array([mu + s * dm]), np.array([tau + s * dt]))
            for s in (1, -1)
        )
        slope = (up.value - down.value) / (2 * h)
        np.testing.assert_allclose(here.gradient[:, i], slope, rtol=1e-4, atol=1e-4)
        bend = (up.gradient - down.gradient) / (2 * h)
        np.testing.assert_allclose(here.hessian[:, i], bend, rtol=1e-3, atol=2e-3)


def test_the_common_maximum_at_a_kink_is_exactly_there_and_falls_with_tau():
    studies = tabulated("RR", tables_of([(30, 30, 40, 40), (12, 20, 9, 20)]))
    common = likelihood_models._common_fit(studies)
    assert (common.mu, common.rises) == (0.0, False)
    assert math.isnan(common.se)  # a kink has no curvature
    assert mode_search.is_kink(studies, 0.0)
    assert not mode_search.is_kink(studies, 1e-9)
    taus = np.array([0.0, 1e-3, 1e-2])
    heights = marginal_likelihood.marginal_log_likelihood(studies, np.zeros(3), taus)
    assert (np.diff(heights) < 0).all()


def test_a_second_hump_beyond_the_first_drop_is_within_the_limits():
    """The profile falls below the target on the left of the kink, and rises above it again."""
    rows = [(53, 53, 48, 48), (0, 5, 15, 25)]
    fit = likelihood_models.maximise_likelihood(tabulated("RR", tables_of(rows)))
    assert brute.profile_at("RR", rows, -0.2) < fit.loglik - FALL
    assert brute.profile_at("RR", rows, -1.8) > fit.loglik - FALL
    assert fit.low < -1.8


def _random_rows(rng, k):
    """Draw tables, about half of them with an empty or a full arm."""
    rows = []
    for _ in range(k):
        n1, n2 = (int(n) for n in rng.integers(3, 60, 2))
        risk = rng.choice([0.05, 0.2, 0.5, 0.9])
        a = int(rng.binomial(n1, min(1.0, risk * rng.choice([0.5, 1, 2]))))
        c = int(rng.binomial(n2, risk))
        kind = rng.choice(
            ["", "t full", "c full", "full", "empty", "t empty", "c empty"],
            p=[0.45, 0.1, 0.1, 0.15, 0.1, 0.05, 0.05],
        )
        a = n1 if kind in ("t full", "full") else 0 if kind in ("t empty", "empty") else a
        c = n2 if kind in ("c full", "full") else 0 if kind in ("c empty", "empty") else c
        rows.append((a, n1, c, n2))
    return rows


def _check_against_brute_force(measure, rows, *, levels):
    """Compare maximum and limits of one set of tables with grids."""
    studies = tabulated(measure, tables_of(rows))
    informative = [row for row, study in zip(rows, studies, strict=True) if study.informative]
    if not informative:
        return
    fit = likelihood_models.maximise_likelihood(studies)
    rest = sum(study.top for study in studies if not study.informative)
    grid = brute.grid_log_likelihood(measure, informative)
    assert fit.loglik >= grid.loglik.max() + rest - 1e-6, rows
    if math.isnan(fit.mu):
        return
    target = fit.loglik - FALL - rest
    above = grid.means[grid.profile > target + 1e-3]
    assert fit.low <= above.min(initial=math.inf) + 1e-9, rows
    assert fit.high >= above.max(initial=-math.inf) - 1e-9, rows
    for limit in (fit.low, fit.high):
        if levels and abs(limit) < 8:  # within the effects of the grid
            assert brute.profile_at(measure, informative, limit) == pytest.approx(target, abs=3e-3)
    if len(informative) == 1 and all(study.plateau == (0.0, 0.0) for study in studies):
        assert math.isfinite(fit.low)
        assert math.isfinite(fit.high)


def test_no_point_of_a_grid_beats_the_maximum_whatever_the_tables():
    rng = np.random.default_rng(15)
    for i in range(90):
        rows = _random_rows(rng, int(rng.integers(2, 6)))
        _check_against_brute_force("OR" if i % 3 == 2 else "RR", rows, levels=i % 30 == 0)


@pytest.mark.long
def test_no_point_of_a_grid_beats_the_maximum_of_ten_thousand_sets():
    rng = np.random.default_rng(2026)
    for i in range(10_000):
        rows = _random_rows(rng, int(rng.integers(2, 6)))
        _check_against_brute_force("OR" if i % 3 == 2 else "RR", rows, levels=i % 30 == 0)


@pytest.mark.parametrize("seed", range(16))
def test_a_common_risk_difference_has_the_highest_likelihood_and_finite_limits(seed):
    rng = np.random.default_rng(seed)
    rows = _random_rows(rng, int(rng.integers(1, 5)))
    fit = likelihood_models.maximise_likelihood(tabulated("RD", tables_of(rows)), random=False)
    delta = np.concatenate([np.linspace(-0.999, 0.999, 1999), [fit.mu, fit.low, fit.high]])
    loglik = np.sum([brute.risk_difference_curve(row, delta) for row in rows], axis=0)
    assert fit.loglik >= loglik.max() - 1e-7
    assert loglik[-3] == pytest.approx(fit.loglik, abs=1e-7)
    above = delta[loglik > fit.loglik - FALL + 1e-6]
    assert -1 <= fit.low <= above.min() + 1e-9
    assert above.max() - 1e-9 <= fit.high <= 1
    for limit, height in zip((fit.low, fit.high), loglik[-2:], strict=True):
        if abs(limit) < 0.999:
            assert height == pytest.approx(fit.loglik - FALL, abs=1e-6)
