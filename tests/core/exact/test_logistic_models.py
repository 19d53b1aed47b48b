"""Mixed logistic models of arms against lme4 through metafor's rma.glmm, and properties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kapmeta.core.exact import logistic_models
from tests.helpers.glmm_records import EE, ML, record_id, word_of
from tests.helpers.sparse_data import expected, r_tables, tables


def _model(record: dict[str, Any], order: int = 0) -> logistic_models.LogisticModel:
    s = record["settings"]
    codes = logistic_models.CODINGS[{"1": "treatment", "0": "control"}.get(s.get("coding"), "half")]
    return logistic_models.LogisticModel(
        r_tables(record), word_of(record) == "UM.RS", codes, bool(s.get("cor")), order
    )


@pytest.mark.parametrize("record", [r for r in EE if word_of(r) == "UM.FS"], ids=record_id)
def test_fixed_study_effects_common_effect(record):
    fit, value = (
        logistic_models.fit_logistic_model(_model(record), random=False, profile=False),
        record["results"],
    )
    assert fit.mu == pytest.approx(value["estimate"], abs=1e-9)
    assert fit.se == pytest.approx(value["se"], rel=1e-5)
    assert fit.loglik == pytest.approx(value["ll"], abs=1e-8)


@pytest.mark.parametrize("record", [r for r in ML if word_of(r) == "UM.FS"], ids=record_id)
def test_fixed_study_effects_random_effects(record):
    """lme4 did not converge for nielweise, li2007 and BCG coded 0; nAGQ = 1 is approximate."""
    fit, value = (
        logistic_models.fit_logistic_model(_model(record), profile=False),
        record["results"],
    )
    warned = "converge" in str(value.get("warnings", ""))
    loose = warned or record["settings"].get("nAGQ") == 1
    if record["settings"].get("nAGQ") != 1:
        assert fit.tau**2 == pytest.approx(value["tau2"], abs=3e-4 if loose else 2e-4)
    assert fit.mu == pytest.approx(value["estimate"], abs=1e-3 if loose else 1e-4)
    if value["tau2"] == 0:
        assert fit.loglik == pytest.approx(value["ll"], abs=1e-8)
        assert fit.se == pytest.approx(value["se"], rel=1e-5)
        return
    # no point beats ours: theirs, with the intercepts at their best there
    model = _model(record)
    p = fit.parameters.copy()
    p[:2] = value["estimate"], math.sqrt(value["tau2"])
    held = np.arange(p.size) < 2
    assert logistic_models._damped_newton(model, p, held)[1].value <= fit.loglik + 1e-9


def test_metafor_prints_the_deviance_given_the_random_effects_as_likelihood():
    """Cause of the differences in log-likelihood of UM.FS and CM.AL with tau2 > 0: lme4's
    deviance() of a mixed model is that of the data given the random effects at their modes, and
    metafor takes it for minus twice the marginal likelihood.
    """
    record = next(r for r in ML if record_id(r) == "dat.bcg-UM.FS-method=ML-nAGQ=21")
    model = _model(record)
    fit = logistic_models.fit_logistic_model(model, profile=False)
    base, loadings = logistic_models._predictor(model, fit.parameters)
    z, _ = logistic_models._most_likely_terms(model, base, loadings)
    risk = 1 / (1 + np.exp(-base - loadings[:, :, 0] * z))
    t = model.tables
    given_modes = stats.binom.logpmf(np.stack([t.a, t.c], 1), np.stack([t.n1, t.n2], 1), risk).sum()
    assert given_modes == pytest.approx(record["results"]["ll"], abs=1e-3)


@pytest.mark.parametrize("record", [r for r in ML if word_of(r) == "UM.RS"], ids=record_id)
def test_random_study_effects(record):
    """metafor fits UM.RS by Laplace's approximation only. With it our log-likelihood is theirs; by
    quadrature the maximum lies elsewhere where tau2 is above 0.
    """
    value, model = record["results"], _model(record)
    fit = logistic_models.fit_logistic_model(model, profile=False)
    if value["tau2"] < 1e-6:
        assert fit.mu == pytest.approx(value["estimate"], abs=1e-4)
        assert fit.se == pytest.approx(value["se"], rel=1e-4)
        assert fit.loglik == pytest.approx(value["ll"], abs=1e-5)
        return
    assert fit.mu == pytest.approx(value["estimate"], abs=0.01)
    assert fit.tau**2 == pytest.approx(value["tau2"], abs=0.03)
    if not model.correlated:
        p = fit.parameters.copy()
        p[:2], p[3] = (value["estimate"], math.sqrt(value["tau2"])), math.sqrt(value["sigma2"])
        held = np.array([True, True, False, True])
        laplace = logistic_models._damped_newton(model._replace(order=1), p, held)[1].value
        assert laplace == pytest.approx(value["ll"], abs=5e-4)


@pytest.mark.parametrize("record", [r for r in EE if word_of(r) == "UM.RS"], ids=record_id)
def test_random_study_effects_common_treatment_effect(record):
    """Divergence: the log-likelihood of EE fits is the deviance given the random effects."""
    fit, value = (
        logistic_models.fit_logistic_model(_model(record), random=False, profile=False),
        record["results"],
    )
    assert fit.mu == pytest.approx(value["estimate"], abs=1e-5)
    assert fit.se == pytest.approx(value["se"], rel=1e-4)


def test_logistic_models_on_the_zero_cell():
    """UM.RS as printed is Laplace's approximation: 1.76258 against 1.76265 by quadrature."""
    values = expected()["printed"]["logistic"]
    fixed = logistic_models.fit_logistic_model(
        logistic_models.LogisticModel(tables("kap5"), False), profile=False
    )
    assert fixed.mu == pytest.approx(values["UM.FS"]["estimate"], abs=1e-8)
    assert fixed.se == pytest.approx(values["UM.FS"]["se"], abs=1e-8)
    random = logistic_models.fit_logistic_model(
        logistic_models.LogisticModel(tables("kap5"), True), profile=False
    )
    assert random.mu == pytest.approx(values["UM.RS, Laplace"]["estimate"], abs=1e-4)


def test_profile_limits_of_a_logistic_model_are_on_the_level():
    model = logistic_models.LogisticModel(tables("opioid2"), False)
    fit = logistic_models.fit_logistic_model(model)
    for limit in (fit.low, fit.high):
        fall = 2 * (fit.loglik - logistic_models.logistic_profile_at(model, fit, limit))
        assert fall == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-5)


@pytest.mark.parametrize("factor", [0.01, 3])
def test_logistic_limits_do_not_depend_on_how_far_is_looked_at_first(factor):
    model = logistic_models.LogisticModel(tables("opioid2"), False)
    fit = logistic_models.fit_logistic_model(model)
    found = [
        logistic_models._profile_limit(
            model, fit.parameters, fit.loglik, fit.se * factor, side, 0.95, True
        )
        for side in (-1, 1)
    ]
    np.testing.assert_allclose(found, [fit.low, fit.high], rtol=1e-10)


def test_random_terms_climb_with_every_step(monkeypatch):
    model = logistic_models.LogisticModel(tables("kap5"), False)
    p = logistic_models.fit_logistic_model(model, profile=False).parameters
    base, loadings = logistic_models._predictor(model, np.concatenate([[p[0], 2.0], p[2:]]))
    a, n = (
        np.stack([model.tables.a, model.tables.c], -1),
        np.stack([model.tables.n1, model.tables.n2], -1),
    )
    heights = []
    for most in range(3):
        monkeypatch.setattr(logistic_models, "_MOST_NEWTON_STEPS", most)
        z, _ = logistic_models._most_likely_terms(model, base, loadings)
        eta = base + np.einsum("kjq,kq->kj", loadings, z)
        heights.append((a * eta - n * np.logaddexp(0, eta)).sum(-1) - (z * z).sum(-1) / 2)
    assert (np.diff(heights, axis=0) >= 0).all()
    assert (heights[1] > heights[0]).any()
