"""Bayesian pooling by quadrature: normal effects, or the counts themselves without continuity correction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.bayes import binomial_posterior, posterior
from kapmeta.core.bayes.binomial_posterior import Scattered
from kapmeta.core.bayes.posterior import Mixture
from kapmeta.core.bayes.priors import TauPrior, half_normal
from kapmeta.core.exact.marginal_likelihood import marginal
from kapmeta.core.exact.tabulated_curves import Tabulated
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.quadratic_forms import cochran_q_slopes, quadratic_form_cdf
from kapmeta.core.numerics.weighting import q_statistic
from kapmeta.effects.counts import Names
from kapmeta.methods import PRIMARY, Method
from kapmeta.pooling.exact import counts_and_curves
from kapmeta.pooling.exact_models import nothing_said
from kapmeta.pooling.inverse_variance import check_variances, one_question
from kapmeta.results.effects import Effects
from kapmeta.results.posteriors import Distribution, Posterior, density_of

__all__ = ["WIDE", "borrow", "heterogeneity_surprise", "pool_bayes"]

WIDE = (0.0, 2.82)
"""Prior of a log ratio by which 95 % of ratios lie between 1/250 and 250."""

_SCALE = 0.5  # half-normal scale of tau for log ratios
_FREE_OF_UNITS = ("OR", "RR", "HR", "IRR", "ROM", "PETO", "SMD")
_COUNTED = ("RR", "OR")


def pool_bayes(
    effects_or_trials: Effects | pd.DataFrame,
    *,
    tau_prior: TauPrior | float | None = None,
    mu_prior: tuple[float, float] | str | None = None,
    measure: str = "RR",
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Posterior:
    """Bayesian random-effects pooling: for two to four studies the interval that can be believed if
    the prior can.

    With effects the likelihood is normal; with a DataFrame of counts each trial has its own
    likelihood curve, and zero cells need no correction. Show `Posterior.prior_scale_curve` beside
    it: with few studies the prior of tau decides.

    Parameters
    ----------
    effects_or_trials : Effects or DataFrame
        From `kapmeta.risk_ratio` or another effect function; or rows of counts as in
        `kapmeta.risk_ratio`.
    tau_prior : TauPrior or float, optional
        From `kapmeta.core.bayes.priors`; a number is the scale of a half-normal. Half-normal(0.5)
        for log ratios and standardised mean differences; for effects with a unit it must be given.
    mu_prior : (mean, sd) or "flat", optional
        Prior of the mean effect on the analysis scale. Flat for effects, normal(0, 2.82) for
        counts.
    measure : {"RR", "OR"}
        Measure for counts; effects bring their own.
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
        If no study carries an estimate; with one study and a flat prior of the mean; if the
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
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [13, 6, 12], "n_t": [26, 35, 27],
    ...                        "events_c": [6, 2, 0], "n_c": [27, 35, 28]})
    >>> pool_bayes(trials)
    Posterior(RR 4.34 (95 % CrI 1.71 to 14.00), k=3, tau half-normal(0.5))
    >>> pool_bayes(km.risk_ratio(trials))
    Posterior(RR 3.01 (95 % CrI 1.24 to 8.68), k=3, tau half-normal(0.5))
    """
    level = checking.proportion(level, "level")
    if isinstance(effects_or_trials, Effects):
        if names:
            raise TypeError(f"effects bring their own names; leave out {', '.join(names)}")
        return _from_effects(effects_or_trials, tau_prior, mu_prior, level, mixed)
    checking.chosen(measure, _COUNTED, "measure")
    return _from_counts(effects_or_trials, measure, tau_prior, mu_prior, level, mixed, names)


def _tau_prior(prior: TauPrior | float | None, measure: str) -> TauPrior:
    if isinstance(prior, TauPrior):
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
    if not 0 <= scale < math.inf:
        raise ValueError(
            f"tau_prior, the scale of a half-normal, must be 0 or above: got {scale:g}"
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


def _refuse_one(k: int, mu_prior: tuple[float, float] | None) -> None:
    if k == 1 and mu_prior is None:
        raise ValueError(
            "one study and a flat prior of the mean: the posterior would be the trial with the"
            " prior of tau added. Give a normal prior, e.g. mu_prior=(0, 2.82), or show the trial's"
            " own interval"
        )


def _refuse_improper(k: int, prior: TauPrior, mu_prior: tuple[float, float] | None) -> None:
    needed = 3 if mu_prior is None else 2
    if not prior.proper and k < needed:
        raise ValueError(
            f"the posterior is improper: a flat prior of tau needs {needed} studies here, and there"
            f" are {k}; give a proper prior, e.g. tau_prior=half_normal(0.5)"
        )


_ONE_TRIAL = "one trial: this is its own effect under the prior, not a pooled one"
_PRIOR_DECIDES = (
    "with so few studies the prior of tau decides the width; show prior_scale_curve beside it"
)


def _notes(k: int, aside: tuple[str, ...]) -> tuple[str, ...]:
    if k == 1:
        return (*aside, _ONE_TRIAL)
    return (*aside, _PRIOR_DECIDES) if k < 5 else aside


def _method(k: int, level: float) -> Method:
    return Method(
        "Bayesian random-effects model" if k > 1 else "Bayesian, one trial",
        "none",
        "central",
        "none",
        level,
    )


def _from_effects(
    effects: Effects,
    tau_prior: TauPrior | float | None,
    mu_prior: tuple[float, float] | str | None,
    level: float,
    mixed: bool,
) -> Posterior:
    effects, aside = one_question(effects, mixed)
    there = np.flatnonzero(effects.present)
    if not there.size:
        raise ValueError(
            "no study carries an estimate, so there is nothing to pool; counts may be pooled as"
            " they are"
        )
    order = there[
        np.lexsort((effects.v[there], effects.y[there]))
    ]  # the order of the rows never changes the last digits
    y, v = effects.y[order], effects.v[order]
    check_variances(v, stacklevel=4)
    prior, mean_prior = _tau_prior(tau_prior, effects.measure), _mu_prior(mu_prior, None)
    _refuse_one(order.size, mean_prior)
    _refuse_improper(order.size, prior, mean_prior)
    fit = posterior.normal_normal(y, v, prior, mean_prior)
    mean, new = posterior.mean_effect(fit), posterior.new_effect(fit)
    tail = (1 - level) / 2
    low, median, high = mean.quantile([tail, 0.5, 1 - tail])
    tau_mean, tau_sd = posterior.tau_moments(fit)
    tau = posterior.tau_quantile(fit, [tail, 0.5, 1 - tail])
    own = posterior.study_effects(fit, y, v)
    return Posterior(
        effects,
        _method(order.size, level),
        "normal",
        prior,
        mean_prior,
        float(median),
        float(mean.expectation()),
        float(posterior.mean_sd(fit)),
        float(low),
        float(high),
        int(order.size),
        _scattered(effects, order, fit.weight @ (1 / (v + fit.nodes.tau[:, None] ** 2))),
        float(tau[1]),
        float(tau_mean),
        float(tau_sd),
        float(tau[0]),
        float(tau[2]),
        *_ends(new, tail),
        float(fit.log_marginal) if mean_prior is not None and prior.proper else math.nan,
        (
            float(posterior.bayes_factor_no_effect(fit, mean_prior))
            if mean_prior is not None
            else math.nan
        ),
        (
            float(posterior.bayes_factor_no_heterogeneity(fit, y, v, mean_prior))
            if prior.proper
            else math.nan
        ),
        _notes(order.size, aside),
        mean,
        new,
        lambda: {int(i): Mixture(*(part[place] for part in own)) for place, i in enumerate(order)},
        _varied(y, v, mean_prior, tail),
    )


def _ends(distribution: Distribution, tail: float) -> tuple[float, float]:
    """Central limits of a distribution."""
    low, high = (float(x) for x in np.ravel(distribution.quantile([tail, 1 - tail])))
    return low, high


def _scattered(effects: Effects, order: npt.NDArray[np.int_], shares: FloatArray) -> FloatArray:
    weights = np.zeros(len(effects))
    weights[order] = shares / shares.sum()
    return weights


def heterogeneity_surprise(found: Posterior) -> float:
    """Prior predictive probability of estimates that differ at least as much as those pooled (by
    Cochran's Q).

    A small value says that the prior of tau and the data contradict each other. nan with one study,
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


def _varied(
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


def _from_counts(
    trials: pd.DataFrame,
    measure: str,
    tau_prior: TauPrior | float | None,
    mu_prior: tuple[float, float] | str | None,
    level: float,
    mixed: bool,
    names: Names,
) -> Posterior:
    effects, _, curves, aside = counts_and_curves(trials, measure, mixed, names)
    taking_part = np.array([curve.informative for curve in curves])
    taking_part &= np.array(
        [effects.v[i] == np.inf or i not in effects.excluded for i in range(len(effects))]
    )
    order = np.flatnonzero(taking_part)
    if not order.size:
        raise ValueError(nothing_said(measure))
    used = [curves[i] for i in order]
    prior, mean_prior = _tau_prior(tau_prior, measure), _mu_prior(mu_prior, WIDE)
    _refuse_one(order.size, mean_prior)
    _refuse_improper(order.size, prior, mean_prior)
    fit = binomial_posterior.binomial_normal(used, prior, mean_prior)
    mean, new = binomial_posterior.mean_effect(fit), binomial_posterior.new_effect(fit)
    tail = (1 - level) / 2
    low, median, high = (float(x) for x in mean.quantile([tail, 0.5, 1 - tail]))
    tau_mean, tau_sd, tau = _tau_of(fit, tail)
    at = np.array([median]), np.array([tau[1]])
    shares = np.array([-float(marginal([curve], *at).hessian[0, 0, 0]) for curve in used])
    shares = np.maximum(shares, 0.0)
    return Posterior(
        effects,
        _method(order.size, level),
        "binomial",
        prior,
        mean_prior,
        median,
        mean.expectation(),
        mean.spread(),
        low,
        high,
        int(order.size),
        _scattered(effects, order, shares if shares.sum() > 0 else np.ones(order.size)),
        tau[1],
        tau_mean,
        tau_sd,
        tau[0],
        tau[2],
        *_ends(new, tail),
        fit.log_marginal if mean_prior is not None and prior.proper else math.nan,
        _no_effect(mean, mean_prior),
        (
            binomial_posterior.bayes_factor_no_heterogeneity(used, fit, mean_prior)
            if prior.proper
            else math.nan
        ),
        _notes(order.size, aside),
        mean,
        new,
        lambda: {
            int(i): binomial_posterior.study_effect(fit, used, place)
            for place, i in enumerate(order)
        },
        _varied_counts(used, mean_prior, tail),
    )


def _tau_of(
    fit: binomial_posterior.BinomialNormal, tail: float
) -> tuple[float, float, list[float]]:
    """Posterior mean, standard deviation, and limits with the median between them, of tau."""
    mean, sd = binomial_posterior.tau_moments(fit)
    return mean, sd, [float(x) for x in binomial_posterior.tau_quantile(fit, [tail, 0.5, 1 - tail])]


def _no_effect(mean: Distribution, mu_prior: tuple[float, float] | None) -> float:
    if mu_prior is None:
        return math.nan
    m0, s0 = mu_prior
    prior = math.exp(-0.5 * (m0 / s0) ** 2) / (s0 * math.sqrt(2 * math.pi))
    return float(mean.density(np.asarray(0.0))) / prior


def _varied_counts(
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


def borrow(
    trial: Effects | pd.DataFrame,
    others: Posterior,
    *,
    robust_weight: float = 0.2,
    mu_prior: tuple[float, float] = WIDE,
    level: float = PRIMARY.level,
    **names: Unpack[Names],
) -> pd.DataFrame:
    """One trial's effect, alone and drawn towards what other trials predict for a new one.

    For a substance with a single trial: the gap between the rows is the message. Not a pooled
    result, and only as good as the belief that the others' substance tells something about this
    one.

    Parameters
    ----------
    trial : Effects or DataFrame
        One study, as effects or as a row of counts.
    others : Posterior
        Posterior of the other trials, on the same measure, without this one.
    robust_weight : float
        Weight of a wide normal mixed into the prediction, so that a trial in conflict with it is
        not drawn to it [1]_.
    mu_prior : (mean, sd)
        That wide normal; it is also the prior of the trial alone.
    level : float
        Level of the intervals.
    **names
        Columns of the counts, as in `kapmeta.risk_ratio`.

    Returns
    -------
    DataFrame
        Rows alone, borrowing, borrowing robustly: estimate, low, high on the scale shown,
        probability above no effect, and the weight that the wide normal keeps.

    References
    ----------
    .. [1] Schmidli H, Gsteiger S, Roychoudhury S, O'Hagan A, Spiegelhalter D, Neuenschwander B.
       Robust meta-analytic-predictive priors in clinical trials with historical control
       information. Biometrics 2014;70:1023-1032.

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [13, 6, 12], "n_t": [26, 35, 27],
    ...                        "events_c": [6, 2, 0], "n_c": [27, 35, 28]})
    >>> borrow(trials[2:], pool_bayes(trials[:2]))[["prior", "estimate", "low", "high"]].round(2)
                     prior  estimate   low     high
    0                alone     44.98  5.19  1779.98
    1            borrowing      6.51  2.41    44.26
    2  borrowing, robustly     13.93  2.72   900.81
    """
    checking.instance(others, Posterior, "others", "come from pool_bayes")
    robust_weight = checking.proportion(robust_weight, "robust_weight")
    level = checking.proportion(level, "level")
    effects, curves = _one_trial(trial, others, names)
    wide = Mixture(np.ones(1), np.array([mu_prior[0]]), np.array([float(mu_prior[1])]))
    rows = []
    for label, weight in (
        ("alone", 1.0),
        ("borrowing", 0.0),
        ("borrowing, robustly", robust_weight),
    ):
        found, kept = _belief_met(effects, curves, others.new_effect, wide, weight)
        rows.append({"prior": label, **_shown(found, effects, level), "wide_weight": kept})
    return pd.DataFrame(rows)


def _one_trial(
    trial: Effects | pd.DataFrame, others: Posterior, names: Names
) -> tuple[Effects, list[Tabulated] | None]:
    curves = None
    if isinstance(trial, Effects):
        effects = trial
        if effects.measure != others.measure:
            raise ValueError(
                f"the trial is on measure {effects.measure} and the others on {others.measure}"
            )
    else:
        checking.chosen(others.measure, _COUNTED, "measure for counts")
        effects, _, curves, _ = counts_and_curves(trial, others.measure, True, names)
    if len(effects) != 1:
        raise ValueError(f"borrow takes one trial: got {len(effects)}; pool them with pool_bayes")
    shared = set(effects.labels) & {
        others.effects.labels[i] for i in np.flatnonzero(others.weights > 0)
    }
    if shared:
        raise ValueError(
            f'"{shared.pop()}" is among the others too, and would count twice; leave it out of them'
        )
    return effects, curves


def _belief_met(
    effects: Effects,
    curves: list[Tabulated] | None,
    predicted: Distribution,
    wide: Mixture,
    weight: float,
) -> tuple[Scattered, float]:
    """Posterior of the trial's effect on equally spaced points, and the weight that the wide part keeps."""
    ends = np.ravel(predicted.quantile([1e-9, 0.16, 0.84, 1 - 1e-9]))
    own = min(1.0, curves[0].width) if curves is not None else float(effects.se[0])
    step = 0.1 * min(own, float(ends[2] - ends[1]) / 2)
    m0, s0 = float(wide.mean[0]), float(wide.sd[0])
    theta = np.arange(min(ends[0], m0 - 8.5 * s0), max(ends[3], m0 + 8.5 * s0) + step, step)
    if curves is not None:
        log_likelihood = curves[0].curve(curves[0].table, theta[None]).loglik[0]
    else:
        log_likelihood = -0.5 * (theta - effects.y[0]) ** 2 / effects.v[0]
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    wide_part = weight * wide.density(theta) * likelihood
    mass = wide_part + (1 - weight) * density_of(predicted, theta) * likelihood
    points = Scattered(theta, mass / mass.sum(), np.zeros(theta.size), np.full(theta.size, step))
    return points, float(wide_part.sum() / mass.sum())


def _shown(found: Scattered, effects: Effects, level: float) -> dict[str, float]:
    tail = (1 - level) / 2
    low, median, high = (
        float(effects.scale.shown(x)) for x in found.quantile([tail, 0.5, 1 - tail])
    )
    above = float(1 - found.cdf(0.0))
    return {"estimate": median, "low": low, "high": high, "probability_above_null": above}
