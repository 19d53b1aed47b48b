"""Bayesian pooling by quadrature, of normal effects or of counts without correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.bayes import binomial_posterior, posterior
from kapmeta.core.bayes.posterior import Mixture
from kapmeta.core.bayes.priors import LARGEST_PARAMETER, TauPrior, half_normal
from kapmeta.core.exact.marginal_likelihood import marginal
from kapmeta.core.exact.tabulated_curves import Tabulated
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.quadratic_forms import cochran_q_slopes, quadratic_form_cdf
from kapmeta.core.numerics.weighting import q_statistic
from kapmeta.effects.counts import Names
from kapmeta.methods import PRIMARY, Method
from kapmeta.pooling.exact import counts_and_curves
from kapmeta.pooling.exact_models import no_contrast
from kapmeta.pooling.inverse_variance import (
    check_variances,
    one_question,
    refuse_other_measure,
    shares_by_study,
)
from kapmeta.results.effects import Effects
from kapmeta.results.posteriors import Distribution, Posterior

__all__ = ["WIDE", "bayes_each", "heterogeneity_surprise", "pool_bayes"]

WIDE = (0.0, 2.82)
"""Prior of a log ratio by which 95 % of ratios lie between 1/250 and 250."""

_SCALE = 0.5  # half-normal scale of tau for log ratios
_FREE_OF_UNITS = ("OR", "RR", "HR", "IRR", "ROM", "PETO", "SMD")
_COUNT_MEASURES = ("RR", "OR")


@checking.checked
def pool_bayes(
    effects_or_trials: Effects | pd.DataFrame,
    *,
    tau_prior: TauPrior | float | None = None,
    mu_prior: tuple[float, float] | str | None = None,
    measure: str | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Posterior:
    """Pool by a Bayesian random-effects model, for two to four studies above all.

    With so few studies its interval is as credible as its prior. With effects the likelihood is
    normal; with a DataFrame of counts each trial has its own likelihood curve, and zero cells need
    no correction. Show `Posterior.prior_scale_curve` beside
    it: with few studies the prior of tau decides.

    Parameters
    ----------
    effects_or_trials : Effects or DataFrame
        From `kapmeta.risk_ratio` or another effect function; or rows of counts as in
        `kapmeta.risk_ratio`.
    tau_prior : TauPrior or float, optional
        From `kapmeta.core.bayes.priors`; a number is the scale of a half-normal. Half-normal(0.5)
        for log ratios and standardised mean differences; for effects with a unit it must be given.
        Refused with one study: its own effect is analysed, and tau is 0.
    mu_prior : (mean, sd) or "flat", optional
        Prior of the mean effect on the analysis scale. Flat for effects, normal(0, 2.82) for
        counts.
    measure : {"RR", "OR"}
        Measure for counts, a risk ratio by default. Effects bring their own; another one beside
        them is refused.
    level : float
        Level of the intervals, a proportion.
    mixed : bool
        As in `kapmeta.pool`.
    **names
        Columns of the counts, as in `kapmeta.risk_ratio`.

    Returns
    -------
    Posterior

    Raises
    ------
    ValueError
        If no study has an estimate; with one study and a flat prior of the mean; if the
        posterior is improper (two studies and a flat prior of tau, or counts that all point to one
        side and a flat prior of the mean).

    References
    ----------
    .. [1] Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat
       Softw 2020;93(6). https://doi.org/10.18637/jss.v093.i06
    .. [2] Röver C, Bender R, Dias S, et al. On weakly informative prior distributions for the
       heterogeneity parameter in Bayesian random-effects meta-analysis. Res Synth Methods
       2021;12:448-474. https://doi.org/10.1002/jrsm.1475

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [13, 6, 12],
    ...                        "n_t": [26, 35, 27], "events_c": [6, 2, 0], "n_c": [27, 35, 28]})
    >>> pool_bayes(trials)
    Posterior(RR 4.34 (95 % CrI 1.71 to 14.00), k=3, tau half-normal(0.5))
    >>> pool_bayes(km.risk_ratio(trials))
    Posterior(RR 3.01 (95 % CrI 1.24 to 8.68), k=3, tau half-normal(0.5))
    """
    level = checking.proportion(level, "level")
    if isinstance(effects_or_trials, Effects):
        if names:
            raise TypeError(f"effects bring their own names; leave out {', '.join(names)}")
        refuse_other_measure(effects_or_trials, measure)
        return bayes_each(effects_or_trials, [(tau_prior, mu_prior)], level=level, mixed=mixed)[0]
    measure = checking.chosen("RR" if measure is None else measure, _COUNT_MEASURES, "measure")
    effects, _, curves, aside = counts_and_curves(effects_or_trials, measure, mixed, names)
    order = _informative(effects, curves)
    if not order.size:
        raise ValueError(no_contrast(measure))
    priors = _checked_priors(order.size, measure, tau_prior, mu_prior, WIDE)
    fit = _fit_counts([curves[i] for i in order], priors, (1 - level) / 2)
    return _as_posterior(effects, order, fit, priors, level, aside)


def bayes_each(
    effects: Effects,
    priors: Sequence[tuple[TauPrior | float | None, tuple[float, float] | str | None]],
    *,
    level: float,
    mixed: bool,
) -> list[Posterior]:
    """Pool the same effects under each pair of priors, of tau and of the mean."""
    effects, aside = one_question(effects, mixed)
    there = np.flatnonzero(effects.present)
    if not there.size:
        raise ValueError(
            "no study has an estimate, so there is nothing to pool; counts may be pooled as they"
            " are"
        )
    # a fixed order of summation: the order of the rows never changes the last digits
    order = there[np.lexsort((effects.v[there], effects.y[there]))]
    y, v = effects.y[order], effects.v[order]
    check_variances(v, stacklevel=4)
    found = []
    for tau_prior, mu_prior in priors:
        checked = _checked_priors(order.size, effects.measure, tau_prior, mu_prior, None)
        fit = _fit_effects(y, v, checked, (1 - level) / 2)
        found.append(_as_posterior(effects, order, fit, checked, level, aside))
    return found


class _Priors(NamedTuple):
    """Priors of the between-study standard deviation and of the mean; a flat mean is None."""

    tau: TauPrior
    mu: tuple[float, float] | None


class _PosteriorParts(NamedTuple):
    """What a `Posterior` needs from either likelihood; limits are low, median and high."""

    likelihood: str
    mean: Distribution
    new: Distribution
    mean_limits: tuple[float, ...]
    mean_sd: float
    tau_limits: tuple[float, ...]
    tau_moments: tuple[float, float]
    evidence: tuple[float, float, float]  # log marginal; for no effect and no heterogeneity
    weights: FloatArray
    study_effects: Callable[[], Sequence[Distribution]]
    vary: Callable[..., Any]


def _checked_priors(
    k: int,
    measure: str,
    tau_prior: TauPrior | float | None,
    mu_prior: tuple[float, float] | str | None,
    default: tuple[float, float] | None,
) -> _Priors:
    """Check both priors, and that `k` studies give a posterior with them."""
    mu = _mu_prior(mu_prior, default)
    if k == 1:
        if tau_prior is not None:
            _tau_prior(tau_prior, measure)  # what is no prior at all is refused as such
        return _Priors(_no_tau(tau_prior, mu), mu)
    tau = _tau_prior(tau_prior, measure)
    needed = 3 if mu is None else 2
    if not tau.proper and k < needed:
        raise ValueError(
            f"the posterior is improper: a flat prior of tau needs {needed} studies here, and there"
            f" are {k}; give a proper prior, e.g. tau_prior=half_normal(0.5)"
        )
    return _Priors(tau, mu)


def _no_tau(tau_prior: TauPrior | float | None, mu_prior: tuple[float, float] | None) -> TauPrior:
    """Hold tau at 0 for one study, whose own effect is all that its data can show."""
    if tau_prior is not None:
        raise ValueError(
            "tau_prior has no part in the analysis of one study: it has no between-study variance,"
            " and its own effect is analysed; leave tau_prior out"
        )
    if mu_prior is None:
        raise ValueError(
            "one study and a flat prior of the mean: that is the trial's own interval; show it, or"
            " give a normal prior, e.g. mu_prior=(0, 2.82)"
        )
    return half_normal(0.0)


def _informative(effects: Effects, curves: list[Tabulated]) -> npt.NDArray[np.int_]:
    """Return the positions of tables that have information and were not set aside."""
    set_aside = np.array([i in effects.excluded for i in range(len(effects))])
    informative = np.array([curve.informative for curve in curves])
    return np.flatnonzero(informative & ((effects.v == np.inf) | ~set_aside))


def _tau_prior(prior: TauPrior | float | None, measure: str) -> TauPrior:
    if isinstance(prior, TauPrior):
        if prior.measure and prior.measure != ("OR" if measure == "PETO" else measure):
            raise ValueError(
                f"tau_prior {prior.name} is stated on the scale of measure {prior.measure}; it does"
                f" not hold for {measure}"
            )
        if any(np.ndim(p) for p in prior.parameters):
            raise ValueError(
                "tau_prior must have single numbers as parameters; for many, call"
                " kapmeta.core.bayes.posterior"
            )
        return prior
    if prior is None and measure not in _FREE_OF_UNITS:
        raise ValueError(
            f"tau_prior has no default for measure {measure}: give one in the unit of the effect,"
            " e.g. tau_prior=half_normal(x)"
        )
    scale = _SCALE if prior is None else prior
    if isinstance(scale, bool) or not isinstance(scale, int | float | np.number):
        raise TypeError(
            "tau_prior must be a prior of kapmeta.core.bayes.priors or the scale of a half-normal:"
            f" got {scale!r}"
        )
    if not 0 <= scale <= LARGEST_PARAMETER:
        raise ValueError(
            "tau_prior, the scale of a half-normal, must be 0 or above and at most"
            f" {LARGEST_PARAMETER:g}: got {scale:g}"
        )
    return half_normal(float(scale))


def _mu_prior(
    prior: tuple[float, float] | str | None, default: tuple[float, float] | None
) -> tuple[float, float] | None:
    if prior is None:
        return default
    if isinstance(prior, str):
        checking.chosen(prior, ("flat",), "mu_prior")
        return None
    mean, sd = (float(part) for part in prior)
    if not (math.isfinite(mean) and 0 < sd < math.inf):
        raise ValueError(
            f"mu_prior must be (mean, standard deviation above 0): got ({mean:g}, {sd:g})"
        )
    return mean, sd


_ONE_TRIAL = "one trial: this is its own effect under the prior of the effect, not a pooled one"
_PRIOR_DECIDES = (
    "with so few studies the prior of tau decides the width; show prior_scale_curve beside it"
)


def _as_posterior(
    effects: Effects,
    order: npt.NDArray[np.int_],
    fit: _PosteriorParts,
    priors: _Priors,
    level: float,
    aside: tuple[str, ...],
) -> Posterior:
    """Describe a fit as a posterior with its priors and caveats."""
    k = int(order.size)
    model = "Bayesian random-effects model" if k > 1 else "Bayesian, one trial"
    notes = (_ONE_TRIAL,) if k == 1 else (_PRIOR_DECIDES,) if k < 5 else ()
    low, median, high = fit.mean_limits
    tau_low, tau_median, tau_high = fit.tau_limits
    tau_moments, tail = fit.tau_moments, (1 - level) / 2
    new_low, new_high = (float(x) for x in np.ravel(fit.new.quantile([tail, 1 - tail])))
    if k == 1:  # nothing is known of other trials
        tau_low = tau_median = tau_high = new_low = new_high = math.nan
        tau_moments = (math.nan, math.nan)
    return Posterior(
        effects,
        Method(model, "none", "central", "none", level),
        fit.likelihood,
        *priors,
        median,
        float(fit.mean.expectation()),
        fit.mean_sd,
        low,
        high,
        k,
        shares_by_study(effects, order, fit.weights),
        tau_median,
        *tau_moments,
        tau_low,
        tau_high,
        new_low,
        new_high,
        *fit.evidence,
        (*aside, *notes),
        fit.mean,
        fit.new,
        lambda: dict(zip(map(int, order), fit.study_effects(), strict=True)),
        fit.vary,
    )


def _fit_effects(y: FloatArray, v: FloatArray, priors: _Priors, tail: float) -> _PosteriorParts:
    """Fit the model to normal effects."""
    fit = posterior.normal_normal(y, v, priors.tau, priors.mu)
    mean, proper = posterior.mean_effect(fit), priors.tau.proper
    tau_mean, tau_sd = posterior.tau_moments(fit)
    probabilities = [tail, 0.5, 1 - tail]
    no_heterogeneity = posterior.bayes_factor_no_heterogeneity
    evidence = (
        float(fit.log_marginal) if priors.mu is not None and proper else math.nan,
        float(posterior.bayes_factor_no_effect(fit, priors.mu)) if priors.mu else math.nan,
        float(no_heterogeneity(fit, y, v, priors.mu)) if proper else math.nan,
    )

    def study_effects() -> list[Distribution]:
        own = posterior.study_effects(fit, y, v)
        return [Mixture(*(part[place] for part in own)) for place in range(y.size)]

    return _PosteriorParts(
        "normal",
        mean,
        posterior.new_effect(fit),
        _floats(mean.quantile(probabilities)),
        float(posterior.mean_sd(fit)),
        _floats(posterior.tau_quantile(fit, probabilities)),
        (float(tau_mean), float(tau_sd)),
        evidence,
        fit.weight @ (1 / (v + fit.nodes.tau[:, None] ** 2)),
        study_effects,
        _vary_effects(y, v, priors.mu, tail),
    )


def _fit_counts(curves: list[Tabulated], priors: _Priors, tail: float) -> _PosteriorParts:
    """Fit the model to the likelihood curves of tables."""
    fit = binomial_posterior.binomial_normal(curves, priors.tau, priors.mu)
    mean, proper = binomial_posterior.mean_effect(fit), priors.tau.proper
    probabilities = [tail, 0.5, 1 - tail]
    mean_limits = _floats(mean.quantile(probabilities))
    tau_limits = _floats(binomial_posterior.tau_quantile(fit, probabilities))
    at = np.array([mean_limits[1]]), np.array([tau_limits[1]])
    information = [max(-float(marginal([curve], *at).hessian[0, 0, 0]), 0.0) for curve in curves]
    no_heterogeneity = binomial_posterior.bayes_factor_no_heterogeneity
    return _PosteriorParts(
        "binomial",
        mean,
        binomial_posterior.new_effect(fit),
        mean_limits,
        mean.spread(),
        tau_limits,
        binomial_posterior.tau_moments(fit),
        (
            fit.log_marginal if priors.mu is not None and proper else math.nan,
            _no_effect(mean, priors.mu),
            no_heterogeneity(curves, fit, priors.mu) if proper else math.nan,
        ),
        np.array(information) if sum(information) > 0 else np.ones(len(curves)),
        lambda: [
            binomial_posterior.study_effect(fit, curves, place) for place in range(len(curves))
        ],
        _vary_counts(curves, priors.mu, tail),
    )


def _floats(values: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(float(x) for x in np.ravel(values))


def heterogeneity_surprise(found: Posterior) -> float:
    """Compute the prior predictive probability of a Cochran's Q at least as large as observed.

    A small value means that prior and data contradict each other. nan with one study,
    an improper prior, or counts.
    """
    there = found.effects.present
    y, v = found.effects.y[there], found.effects.v[there]
    if found.likelihood != "normal" or y.size < 2 or not found.tau_prior.proper:
        return math.nan
    prior = posterior.normal_normal(np.zeros(1), np.full(1, np.inf), found.tau_prior, (0.0, 1.0))
    keep = prior.weight > 1e-12
    tau = np.clip(prior.nodes.tau[keep], None, 1e6 * float(v.max() ** 0.5))
    lower = quadratic_form_cdf(q_statistic(y, v), 1 + tau[:, None] ** 2 * cochran_q_slopes(v))
    return float(1 - (prior.weight[keep] * lower).sum() / prior.weight[keep].sum())


def _vary_effects(
    y: FloatArray, v: FloatArray, mu_prior: tuple[float, float] | None, tail: float
) -> Callable[..., Any]:
    def vary(scales: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        shape = (scales.size, y.size)
        fit = posterior.normal_normal(
            np.broadcast_to(y, shape), np.broadcast_to(v, shape), half_normal(scales), mu_prior
        )
        mean = posterior.mean_effect(fit)
        low, median, high = np.moveaxis(mean.quantile([tail, 0.5, 1 - tail]), -1, 0)
        return median, low, high, mean.upper(np.zeros(scales.size))

    return vary


def _no_effect(mean: Distribution, mu_prior: tuple[float, float] | None) -> float:
    """Return the Bayes factor of no effect; nan with a flat prior of the mean."""
    if mu_prior is None:
        return math.nan
    m0, s0 = mu_prior
    prior = math.exp(-0.5 * (m0 / s0) ** 2) / (s0 * math.sqrt(2 * math.pi))
    return float(mean.density(np.asarray(0.0))) / prior


def _vary_counts(
    curves: list[Tabulated], mu_prior: tuple[float, float] | None, tail: float
) -> Callable[..., Any]:
    def vary(scales: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        rows = []
        for scale in scales:
            fit = binomial_posterior.binomial_normal(
                curves, half_normal(max(float(scale), 1e-9)), mu_prior
            )
            mean = binomial_posterior.mean_effect(fit)
            low, median, high = mean.quantile([tail, 0.5, 1 - tail])
            rows.append((median, low, high, 1 - float(mean.cdf(0.0))))
        median, low, high, above = np.array(rows).T
        return median, low, high, above

    return vary
