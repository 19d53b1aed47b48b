"""Pooling: effects in, one described result out."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects.single_trial import SINGLE_TRIAL_INTERVALS, no_effect_score
from kapmeta.core.heterogeneity import heterogeneity
from kapmeta.core.heterogeneity.tau2 import Estimator, estimator_named
from kapmeta.core.heterogeneity.tau2_intervals import q_profile
from kapmeta.core.heterogeneity.variance_likelihood import local_maxima
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_upper, t_two_sided
from kapmeta.core.numerics.status import Status
from kapmeta.core.numerics.weighting import mean_and_residuals, q_statistic, weights
from kapmeta.core.pooling.combining import Combined, combine
from kapmeta.core.pooling.intervals import INTERVALS, MeanInterval
from kapmeta.core.pooling.likelihood_intervals import no_effect_p_value
from kapmeta.core.pooling.permutation import permutation_p_value
from kapmeta.core.pooling.prediction import PREDICTIONS
from kapmeta.methods import PRIMARY, Method, method_words
from kapmeta.results.effects import Effects, effects_given
from kapmeta.results.pooled import Pooled

__all__ = ["pool"]

MODELS = ("random", "common")
_COMMON_INTERVALS = ("wald", "t", "hksj", "hksj-variance", "hksj-hybrid")
_LIKELIHOOD = ("profile", "bartlett", "skovgaard")  # intervals that invert a test of their own
_FEW = 5  # below this many studies no prediction interval unless it is asked for


def pool(
    effects: Effects,
    *,
    method: Method | None = None,
    model: str | None = None,
    tau2: str | Estimator | None = None,
    ci: str | None = None,
    prediction: str | None = None,
    level: float | None = None,
    mixed: bool = False,
) -> Pooled:
    """Pool effects by inverse variance.

    The default is the registered method: random effects, between-study variance by REML at its
    global maximum, Hartung-Knapp interval no narrower than the Wald interval. With two studies any
    random-effects interval is unreliable, and with one nothing is pooled: the result says so. For
    tables with zero cells prefer `kapmeta.mantel_haenszel` or `kapmeta.pool_exact`, which need no
    correction.

    Parameters
    ----------
    effects : Effects
        From `kapmeta.risk_ratio` or another effect function.
    method : Method, optional
        Model, tau2, interval, prediction interval and level at once, instead of one by one.
    model : {"random", "common"}, optional
        Random effects (the default), or one common effect ("if no heterogeneity").
    tau2 : str or callable, optional
        Estimator of the between-study variance, a word of
        `kapmeta.core.heterogeneity.tau2.ESTIMATORS` or a function of effects and variances; REML by
        default. Not with the common-effect model.
    ci : str, optional
        Interval of the mean, a word of `kapmeta.core.pooling.intervals.INTERVALS`;
        ``"hksj-hybrid"`` by default, ``"wald"`` with the common-effect model.
    prediction : str, optional
        Prediction interval, a word of `kapmeta.core.pooling.prediction.PREDICTIONS`, or ``"auto"``
        (the default): none below five studies, from five on ``"t"``.
    level : float, optional
        Confidence level, a proportion; 0.95 by default.
    mixed : bool
        Whether randomised and non-randomised trials may share one diamond. By default the
        non-randomised ones are set aside, and listed with that reason.

    Returns
    -------
    Pooled
        Estimate, interval, heterogeneity, weights, and what was set aside; log scale for ratios.

    Raises
    ------
    ValueError
        If no study carries an estimate, if comparisons of different kinds or two results of one
        trial are about to be pooled, or if the interval asked for does not exist for these effects.

    References
    ----------
    .. [1] Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the
       random-effects model. J Educ Behav Stat 2005;30:261-293.
       https://doi.org/10.3102/10769986030003261
    .. [2] Jackson D, Law M, Rücker G, Schwarzer G. The Hartung-Knapp modification for
       random-effects meta-analysis: a useful refinement but are there any residual concerns? Stat
       Med 2017;36:3923-3934. https://doi.org/10.1002/sim.7411

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [12, 9, 20], "n_t": [40, 35, 61],
    ...                        "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> main = km.pool(km.risk_ratio(trials))
    >>> main
    Pooled(RR 1.82 (95 % CI 1.01 to 3.28), k=3, random-effects model)
    """
    effects_given(effects)
    words = method_words(method, model=model, tau2=tau2, ci=ci, prediction=prediction, level=level)
    method = _method(**words)
    effects, _ = one_question(effects, mixed)  # the exclusion itself says what was set aside
    present = np.flatnonzero(effects.present)
    if not present.size:
        reasons = "; ".join(
            f"{effects.labels[i]}: {why}" for i, why in sorted(effects.excluded.items())
        )
        raise ValueError(f"no study carries an estimate, so there is nothing to pool ({reasons})")
    # a fixed order of summation: the order of the rows never changes the last digits
    order = present[np.lexsort((effects.v[present], effects.y[present]))]
    y, v = effects.y[order], effects.v[order]
    if order.size == 1:
        return _single(effects, order, method)
    check_variances(v)
    between = _between(y, v, method)
    interval = INTERVALS[method.ci](y, v, np.asarray(between.value), method.level)
    _refuse(interval, method, between.value)
    return _pooled(effects, order, method, between, interval)


def _method(
    model: str, tau2: str | Estimator | None, ci: str | None, prediction: str, level: float
) -> Method:
    """The choices as a checked `Method`."""
    checking.chosen(model, MODELS, "model")
    level = checking.proportion(level, "level")
    checking.chosen(prediction, ("auto", *PREDICTIONS), "prediction interval")
    if model == "common":
        if tau2 is not None:
            raise ValueError(
                "the common-effect model has no between-study variance; leave tau2 out or use"
                ' model="random"'
            )
        if prediction not in ("auto", "none"):
            raise ValueError(
                "the common-effect model has no prediction interval; leave prediction out or use"
                ' model="random"'
            )
        return Method(
            "common",
            "none",
            checking.chosen(ci or "wald", _COMMON_INTERVALS, "interval"),
            "none",
            level,
        )
    estimator = tau2 if tau2 is not None else PRIMARY.tau2
    estimator_named(estimator)
    return Method(
        "random",
        estimator,
        checking.chosen(ci or PRIMARY.ci, INTERVALS, "interval"),
        prediction,
        level,
    )


def one_question(effects: Effects, mixed: bool) -> tuple[Effects, tuple[str, ...]]:
    """Effects that may share a diamond: one contrast, each trial once, randomised trials apart from
    the others.

    With a sentence that names what was set aside, for results that do not list their exclusions.
    """
    table, there = effects.table, effects.present
    aside: tuple[str, ...] = ()
    kinds = list(dict.fromkeys(_present_values(table, "contrast", there)))
    if len(kinds) > 1:
        raise ValueError(
            f"these comparisons answer different questions ({', '.join(kinds)}) and are not pooled;"
            " choose one, "
            f'e.g. trials[trials.contrast == "{kinds[0]}"]'
        )
    if "randomised" in table and not mixed:
        randomised = table["randomised"].fillna(False).to_numpy(dtype=bool)
        out = np.flatnonzero(~randomised & there)
        if out.size and (randomised & there).any():
            why = "not randomised, so not in one diamond with randomised trials"
            effects = replace(effects, excluded={**effects.excluded, **{int(i): why for i in out}})
            there = effects.present
            aside = (f"set aside as not randomised: {', '.join(effects.labels[i] for i in out)}",)
    once: set[str] = set()
    for study in _present_values(table, "study", there):
        if study in once:
            raise ValueError(
                f'study "{study}" comes more than once; a trial enters a pool once. Choose one of'
                " its results, e.g. one time window"
            )
        once.add(study)
    return effects, aside


def _present_values(table: pd.DataFrame, column: str, there: BoolArray) -> list[str]:
    """A column as text, of the studies present; nothing if there is no such column."""
    if column not in table:
        return []
    values = table[column].tolist()
    return [str(value) for value, yes in zip(values, there, strict=True) if yes and pd.notna(value)]


def check_variances(v: FloatArray, stacklevel: int = 3) -> None:
    """Warn, where the caller of the named front stands, if variances lie further apart than units
    explain.

    Refuses those beside which the others are lost to rounding.
    """
    ratio = v.max() / v.min()
    told = f"the largest variance is {ratio:.2g} times the smallest; "
    if ratio > 1e15:
        raise ValueError(
            f"{told}beside it the other studies are lost to rounding. Check the units of the"
            " effects"
        )
    if ratio > 1e7:
        warnings.warn(
            f"{told}the studies with small variances decide everything. Check the units of the"
            " effects",
            stacklevel=stacklevel,
        )


class _Between(NamedTuple):
    """Estimate of tau2 with all local maxima of the likelihood, the global one first."""

    value: float
    modes: tuple[float, ...] = ()
    gap: float = math.inf  # of the log-likelihood between the two best modes


def _between(y: FloatArray, v: FloatArray, method: Method) -> _Between:
    if method.model == "common":
        return _Between(0.0)
    if method.tau2 in ("REML", "ML"):
        modes, loglik = local_maxima(y, v, restricted=method.tau2 == "REML")
        gap = float(loglik[0] - loglik[1]) if modes.size > 1 else math.inf
        return _Between(float(modes[0]), tuple(map(float, modes)), gap)
    return _Between(float(estimator_named(method.tau2)(y, v)))


def _refuse(interval: MeanInterval, method: Method, tau2: float) -> None:
    if interval.status in (Status.OK, Status.FALLBACK):
        return
    why = Status(int(interval.status)).meaning
    raise ValueError(
        f'ci="{method.ci}" does not exist for these effects (tau2 = {tau2:.4g}): {why}; use'
        f' ci="{PRIMARY.ci}"'
    )


def _pooled(
    effects: Effects, order: IntArray, method: Method, between: _Between, interval: MeanInterval
) -> Pooled:
    """The result for two or more studies."""
    y, v = effects.y[order], effects.v[order]
    k, tau2 = order.size, between.value
    method = replace(method, prediction=_prediction_word(method, k))
    low, high = PREDICTIONS[method.prediction](y, v, np.asarray(tau2), interval, method.level)
    q = float(q_statistic(y, v))
    limits = q_profile(y, v, level=method.level)
    random = method.model == "random"
    h2 = heterogeneity.h2_from_tau2(tau2, v) if random else heterogeneity.h2_from_q(q, k - 1)
    se, estimate = float(interval.se), float(interval.estimate)
    statistic, p_value = _no_effect_test(y, v, method, interval)
    return Pooled(
        effects,
        method,
        estimate,
        se,
        float(interval.low),
        float(interval.high),
        statistic,
        p_value,
        float(interval.df),
        k,
        _scattered(
            effects, order, weights(v, 0.0 if method.ci == "henmi-copas" else np.asarray(tau2))
        ),
        tau2=tau2 if random else math.nan,
        tau2_low=float(limits.low) if random else math.nan,
        tau2_high=float(limits.high) if random else math.nan,
        q=q,
        q_df=k - 1.0,
        q_p_value=float(chi2_upper(q, k - 1)),
        i2=float(1 - 1 / h2),
        h2=float(h2),
        prediction_low=float(low),
        prediction_high=float(high),
        modes=between.modes,
        notes=(
            *_notes(y, v, method, between, interval, bool(limits.empty)),
            *_prediction_notes(method, k, tau2, bool(np.isnan(low))),
        ),
        refit=partial(_refit, effects.y[effects.present], effects.v[effects.present], method),
    )


def _refit(y: FloatArray, v: FloatArray, method: Method, mask: BoolArray) -> Combined:
    """The same analysis of subsets of the studies present."""
    tau2 = 0.0 if method.model == "common" else method.tau2
    return combine(y, v, tau2=tau2, ci=method.ci, level=method.level, mask=mask)


def _no_effect_test(
    y: FloatArray, v: FloatArray, method: Method, interval: MeanInterval
) -> tuple[float, float]:
    """Statistic and p-value of no effect that belong to the interval; nan where it has none."""
    if method.ci in _LIKELIHOOD:
        return math.nan, float(no_effect_p_value(y[None], v[None], method.ci)[0])
    if method.ci == "permutation":
        return math.nan, permutation_p_value(y, v, 0.0)
    if not interval.df > 0:
        return math.nan, math.nan
    statistic = float(interval.estimate / interval.se)
    return statistic, float(t_two_sided(statistic, interval.df))


def _scattered(effects: Effects, order: IntArray, w: FloatArray) -> FloatArray:
    """Weights as shares, put back to the places of their studies."""
    shares = np.zeros(len(effects))
    shares[order] = w / w.sum()
    return shares


def _prediction_word(method: Method, k: int) -> str:
    if method.prediction != "auto":
        return method.prediction
    return "t" if k >= _FEW else "none"


def _notes(
    y: FloatArray,
    v: FloatArray,
    method: Method,
    between: _Between,
    interval: MeanInterval,
    empty: bool,
) -> tuple[str, ...]:
    """What must be known before the result is quoted."""
    k, notes = y.size, list[str]()
    if interval.status == Status.FALLBACK:
        notes.append(f'the interval "{method.ci}" is undefined here: {Status.FALLBACK.meaning}')
    if method.model == "common":
        return (*notes, "the interval holds if there is no heterogeneity between the studies")
    if k == 2:
        notes.append("a random-effects interval from two studies is unreliable; do not headline it")
    elif k < _FEW:
        notes.append(f"heterogeneity cannot be estimated from {k} studies; its interval says so")
    if empty:
        notes.append(
            "the estimates agree more closely than chance allows: no value of tau2 is in its"
            " Q-profile interval"
        )
    if len(between.modes) > 1:
        means = [
            float(mean_and_residuals(y, weights(v, np.asarray(t)))[0]) for t in between.modes[:2]
        ]
        verdict = "tau2 is not identified: its" if between.gap < 1.92 else "the"
        notes.append(
            f"{verdict} likelihood has {len(between.modes)} modes; the global one, tau2 ="
            f" {between.modes[0]:.4g}, gives a mean of {means[0]:.4g}; the next,"
            f" {between.modes[1]:.4g}, gives {means[1]:.4g} (analysis scale)"
        )
    return tuple(notes)


def _prediction_notes(method: Method, k: int, tau2: float, undefined: bool) -> tuple[str, ...]:
    """What must be known of the prediction interval; its absence is said where one was asked for."""
    if method.prediction == "none":
        return ()
    if undefined:
        return (
            (
                f'the prediction interval "{method.prediction}" is undefined for {k} studies with'
                f" tau2 = {tau2:.4g}, so none is given"
            ),
        )
    return (f"a prediction interval from {k} studies is unreliable",) if k < _FEW else ()


def _single(effects: Effects, order: IntArray, method: Method) -> Pooled:
    """One trial: the interval its row is shown with, and nothing that needs two."""
    estimate, low, high = (float(x[order[0]]) for x in effects.limits(method.level))
    se = math.nan
    if effects.interval in SINGLE_TRIAL_INTERVALS:
        counts = (
            effects.table[["events_t", "n_t", "events_c", "n_c"]]
            .iloc[order[0]]
            .to_numpy(dtype=np.float64)
        )
        statistic = float(no_effect_score(effects.interval, *counts))
    else:
        se = float(effects.se[order[0]])
        statistic = estimate / se
    return Pooled(
        effects,
        Method("single", "none", effects.interval, "none", method.level),
        estimate,
        se,
        low,
        high,
        statistic,
        float(t_two_sided(statistic, math.inf)),
        math.inf,
        1,
        _scattered(effects, order, np.ones(1)),
        notes=(
            (
                "one study: this is the trial's own result; there is no between-study variance to"
                " estimate"
            ),
        ),
    )
