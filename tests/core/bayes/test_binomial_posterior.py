"""The posterior on likelihood curves: specified values, brute integration, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from kapmeta.core.bayes import binomial_posterior, empirical_priors, priors
from kapmeta.core.exact import marginal_likelihood, tabulated_curves
from kapmeta.core.exact.tabulated_curves import tabulated
from tests.helpers.sparse_data import expected, tables, tables_of


@pytest.mark.parametrize("case", list(expected()["bayes_exact"]))
def test_posterior_on_the_curves(case):
    """Grid accuracy of the values: 1e-4 in quantiles, 1e-5 in means. Divergence: those of the
    single trial were computed on means up to about 9 only, where 2 % of the posterior lies beyond;
    see the next test.
    """
    name, curve = case.split("|")[:2]
    value = expected()["bayes_exact"][case]
    fit = binomial_posterior.binomial_normal(
        tabulated(curve[:2], tables(name)), priors.half_normal(0.5), (0.0, 2.82)
    )
    mean, new = binomial_posterior.mean_effect(fit), binomial_posterior.new_effect(fit)
    truncated = name == "cocaine1"
    assert mean.expectation() == pytest.approx(value["mean"], abs=0.04 if truncated else 1e-5)
    np.testing.assert_allclose(
        mean.quantile([0.025, 0.5, 0.975]), value["q"], atol=0.2 if truncated else 1.2e-4
    )
    for c, key in ((0.0, "p_gt0"), (math.log(1.25), "p_gt125")):
        assert 1 - mean.cdf(c) == pytest.approx(value[key], abs=2e-5)
    assert 1 - new.cdf(0.0) == pytest.approx(value["pred_gt0"], abs=2e-5)
    assert binomial_posterior.tau_moments(fit)[0] == pytest.approx(value["tau_mean"], abs=2e-4)


def test_posterior_of_the_zero_cell_trial_by_brute_integration():
    study, prior, wide = tabulated("RR", tables("cocaine1")), priors.half_normal(0.5), (0.0, 2.82)
    mean = binomial_posterior.mean_effect(binomial_posterior.binomial_normal(study, prior, wide))
    mu, x = np.linspace(-12, 26, 1521), np.linspace(-8, 8, 161)
    tau = np.linspace(0, 4.5, 181)
    weight = np.exp(-tau * tau / 0.5)
    weight[0] /= 2
    density = np.zeros(mu.size)
    for t, w in zip(tau, weight, strict=True):
        loglik = (
            study[0]
            .curve(study[0].table, (mu[:, None] + t * x).reshape(1, -1))
            .loglik.reshape(mu.size, x.size)
        )
        density += w * (np.exp(loglik - x * x / 2)).sum(-1)
    density *= np.exp(-0.5 * (mu / 2.82) ** 2)
    density /= density.sum()
    assert mean.expectation() == pytest.approx((mu * density).sum(), abs=2e-5)
    cumulative = np.cumsum(density) - density / 2
    np.testing.assert_allclose(
        mean.quantile([0.025, 0.5, 0.975]),
        np.interp([0.025, 0.5, 0.975], cumulative, mu),
        atol=3e-4,
    )


@pytest.mark.parametrize("sd", [2.82, 5.0, 20.0, 100.0])
@pytest.mark.parametrize(
    ("measure", "row"), [("OR", (7, 12, 0, 11)), ("RR", (7, 12, 0, 11)), ("OR", (60, 400, 0, 500))]
)
def test_posterior_of_one_zero_cell_trial_under_a_wide_prior(measure, row, sd):
    """Brute integration over the trial's own effect and tau: given both, the mean is normal, in
    closed form.

    The prior sees far along the plateau, where points of the mean as wide apart as the prior miss
    the rise to it.
    """
    studies = tabulated(measure, tables_of([row]))
    mean = binomial_posterior.mean_effect(
        binomial_posterior.binomial_normal(studies, priors.half_normal(0.5), (0.0, sd))
    )
    theta = np.arange(-50.0, 10 * sd + 40, 0.03)
    curve = np.exp(
        studies[0].curve(studies[0].table, np.minimum(theta, 60.0)[None]).loglik[0] - studies[0].top
    )
    x, w = np.polynomial.legendre.leggauss(40)
    tau = 2 * (x[:, None] + 1)
    variance = sd**2 + tau**2
    weight = (
        w[:, None] * np.exp(-2 * tau**2 - theta**2 / (2 * variance)) / np.sqrt(variance) * curve
    )
    weight /= weight.sum()
    drawn = sd**2 / variance * theta
    expected = (weight * drawn).sum()
    spread = math.sqrt((weight * ((drawn - expected) ** 2 + sd**2 * tau**2 / variance)).sum())
    assert mean.expectation() == pytest.approx(expected, rel=1e-8)
    assert mean.spread() == pytest.approx(spread, rel=1e-8)
    places = mean.quantile([0.025, 0.5, 0.975])
    area = [
        (weight * special.ndtr((place - drawn) / (sd * tau / np.sqrt(variance)))).sum()
        for place in places
    ]
    # at small tau these areas are steps in the trial's effect, cut no finer than its points lie
    np.testing.assert_allclose(area, [0.025, 0.5, 0.975], atol=5e-5)


@pytest.mark.parametrize(
    ("name", "mu_prior", "far"),
    [
        ("kap5", (0.0, 2.82), 9),
        ("alcohol2", None, 9),
        ("cocaine1", (0.0, 10.0), 120),
    ],  # narrow, flat, wide
)
def test_posterior_without_heterogeneity_is_the_product_of_the_curves(name, mu_prior, far):
    studies = tabulated("OR", tables(name))
    mean = binomial_posterior.mean_effect(
        binomial_posterior.binomial_normal(studies, priors.half_normal(1e-7), mu_prior)
    )
    mu = np.linspace(-far, far, 400 * far + 1)
    log_density = marginal_likelihood.marginal_log_likelihood(studies, mu, np.zeros(mu.size))
    if mu_prior is not None:
        log_density = log_density - 0.5 * (mu / mu_prior[1]) ** 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    assert mean.expectation() == pytest.approx((mu * density).sum(), abs=1e-8, rel=1e-5)


def test_effects_of_large_trials_far_apart_are_their_own():
    """Where tau is many times the standard errors of the trials, nothing is drawn to the mean."""
    t = tables_of(
        [
            (900, 1000, 100, 1000),
            (100, 1000, 900, 1000),
            (800, 1000, 200, 1000),
            (150, 1000, 850, 1000),
        ]
    )
    studies = tabulated("OR", t)
    fit = binomial_posterior.binomial_normal(studies, priors.half_normal(5.0), (0.0, 10.0))
    own = np.log(t.a * t.d / (t.b * t.c))
    places = [binomial_posterior.study_effect(fit, studies, i).expectation() for i in range(4)]
    np.testing.assert_allclose(places, own, atol=0.02)


def test_shrunken_effects_average_to_the_curve_posterior():
    studies = tabulated("RR", tables("kap5"))
    fit = binomial_posterior.binomial_normal(studies, priors.half_normal(0.5), (0.0, 2.82))
    own = [binomial_posterior.study_effect(fit, studies, i) for i in range(5)]
    # theta_5 lies above, the others about, and all are drawn towards the mean
    places = [one.expectation() for one in own]
    assert places[4] == max(places)
    assert places[4] < 2
    for one in own:
        low, high = one.quantile([0.025, 0.975])
        assert low < one.expectation() < high
        assert one.cdf(low) == pytest.approx(0.025, abs=1e-9)


def test_bayes_factor_of_no_heterogeneity_meets_the_marginal_likelihoods():
    studies, wide = tabulated("OR", tables("kap5")), (0.0, 2.82)
    fit = binomial_posterior.binomial_normal(studies, priors.half_normal(0.5), wide)
    none = binomial_posterior.binomial_normal(studies, priors.half_normal(1e-7), wide)
    found = binomial_posterior.bayes_factor_no_heterogeneity(studies, fit, wide)
    assert found == pytest.approx(math.exp(none.log_marginal - fit.log_marginal), rel=1e-6)


@pytest.mark.parametrize(
    "prior",
    [
        priors.half_cauchy(0.5),
        empirical_priors.turner(),
        priors.uniform(3.0),
        empirical_priors.rhodes(),
    ],
    ids=str,
)
def test_posterior_does_not_depend_on_how_finely_it_is_summed(prior, monkeypatch):
    def quantiles():
        fit = binomial_posterior.binomial_normal(
            tabulated("RR", tables("k3_S1S3S5")), prior, (0.0, 2.82)
        )
        return binomial_posterior.mean_effect(fit).quantile([0.025, 0.5, 0.975])

    usual = quantiles()
    monkeypatch.setattr(binomial_posterior, "_MEAN_POINTS", 140)
    monkeypatch.setattr(priors, "_BASE_POINTS", 110)
    monkeypatch.setattr(tabulated_curves, "_FINEST", 0.2)
    np.testing.assert_allclose(usual, quantiles(), atol=2e-5)


def test_improper_posteriors_are_refused():
    one_sided = tabulated("RR", tables_of([(5, 10, 0, 12), (3, 20, 0, 20)]))
    with pytest.raises(ValueError, match="flat prior of mu"):
        binomial_posterior.binomial_normal(one_sided, priors.half_normal(0.5), None)
    with pytest.raises(ValueError, match="flat prior"):
        binomial_posterior.binomial_normal(tabulated("RR", tables("alcohol2")), priors.flat(), None)
