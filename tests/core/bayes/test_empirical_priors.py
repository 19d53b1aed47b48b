"""Empirical priors: the published numbers, their densities, and the scale they are stated on."""

from __future__ import annotations

import csv
from importlib import resources

import numpy as np
import pytest
from scipy import stats

import kapmeta as km
from kapmeta.core.bayes import empirical_priors, posterior, priors
from kapmeta.core.bayes.empirical_priors import FIELD_MEASURES, empirical, empirical_mean

# Bartoš 2021 (SMD) and 2023 (others), Cochrane group Drugs and Alcohol: shape and scale of the
# inverse gamma of tau; scale and degrees of freedom of the t of the mean
ADDICTION = {
    "RR": ((1.58, 0.20), (0.22, 4)),
    "OR": ((1.59, 0.42), (0.44, 4)),
    "SMD": ((1.89, 0.28), (0.33, 5)),
}


@pytest.mark.parametrize("measure", ADDICTION)
def test_the_priors_for_addiction_are_those_published(measure: str) -> None:
    tau, mean = ADDICTION[measure]
    prior = empirical("Drugs and Alcohol", measure=measure)
    assert (prior.family, prior.measure) == ("inverse-gamma", measure)
    assert tuple(map(float, prior.parameters)) == tau
    found = empirical_mean("Drugs and Alcohol", measure=measure)
    assert (found.location, found.scale, found.df, found.measure) == (0.0, *mean, measure)


def test_every_row_of_the_table_has_a_prior() -> None:
    table = resources.files(empirical_priors.__package__).joinpath("cochrane_fields.csv")
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 417
    words = {word: measure for measure, word in FIELD_MEASURES.items()}
    for row in rows:
        look_up = {"heterogeneity": empirical, "effect": empirical_mean}[row["parameter"]]
        assert row["field"] in look_up(row["field"], measure=words[row["measure"]]).name


def test_risk_differences_have_a_half_normal_prior() -> None:
    prior = empirical("Drugs and Alcohol", measure="RD")
    assert (prior.family, float(prior.parameters[0])) == ("half-normal", 0.101)


def test_the_inverse_gamma_is_of_tau_and_not_of_its_square() -> None:
    tau = np.array([0.05, 0.2, 1.0, 5.0])
    density = np.exp(priors.log_density(priors.inverse_gamma(1.58, 0.2), tau))
    np.testing.assert_allclose(density, stats.invgamma(1.58, scale=0.2).pdf(tau), rtol=1e-12)
    assert priors.log_density(priors.inverse_gamma(1.58, 0.2), np.zeros(1))[0] == -np.inf


def test_few_studies_leave_the_moments_that_its_tail_allows() -> None:
    """With two studies and a flat mean the posterior of tau falls as tau^(-shape - 2)."""
    fit = posterior.normal_normal([0.1, 0.9], [0.1, 0.2], priors.inverse_gamma(0.9, 0.2))
    mean, sd = posterior.tau_moments(fit)
    assert np.isfinite(mean)
    assert np.isposinf(sd)
    _, sd = posterior.tau_moments(
        posterior.normal_normal([0.1, 0.9], [0.1, 0.2], priors.inverse_gamma(1.1, 0.2))
    )
    assert np.isfinite(sd)


def test_a_prior_is_refused_on_another_scale() -> None:
    effects = km.risk_ratio(km.load_example("bcg").head(3))
    found = km.pool_bayes(effects, tau_prior=empirical("Drugs and Alcohol", measure="RR"))
    assert "inverse-gamma(1.58, 0.2), Bartoš, Drugs and Alcohol" in found.methods_text()
    message = "stated on the scale of measure OR; it does not hold for RR"
    for prior in (empirical("Drugs and Alcohol", measure="OR"), empirical_priors.turner()):
        with pytest.raises(ValueError, match=message):
            km.pool_bayes(effects, tau_prior=prior)
    with pytest.raises(ValueError, match="measure OR; it does not hold for RR"):
        km.pool_bayes(
            km.load_example("bcg"), tau_prior=empirical("Cochrane", measure="OR"), measure="RR"
        )


def test_unknown_fields_and_measures_are_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match=r'no empirical prior for field "Alcohol".*Drugs and Alc'):
        empirical("Alcohol", measure="RR")
    with pytest.raises(ValueError, match=r'measure "MD"; use one of: RR, OR, RD, HR, SMD'):
        empirical_mean("Drugs and Alcohol", measure="MD")
    with pytest.raises(ValueError, match="shape and scale must be above 0"):
        priors.inverse_gamma(0.0, 0.2)
