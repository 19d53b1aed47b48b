"""Pooling: effects in, one described result out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects.single_trial import SINGLE_TRIAL_INTERVALS, no_effect_score
from kapmeta.core.heterogeneity import heterogeneity
from kapmeta.core.heterogeneity.tau2 import Estimator, estimator_named
from kapmeta.core.heterogeneity.tau2_intervals import VarianceInterval, q_profile
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
from kapmeta.effects.counts import CELLS
from kapmeta.methods import PRIMARY, Method, method_words
from kapmeta.results.effects import Effects, effects_given
from kapmeta.results.pooled import Pooled

__all__ = [
    "NO_HETEROGENEITY",
    "check_variances",
    "checked_method",
    "one_question",
    "pool",
    "pool_each",
    "refuse_other_measure",
    "shares_by_study",
]

MODELS = ("random", "common")
_PERMUTATION = {"permutation": "standardised", "permutation-coefficient": "coefficient"}
_COMMON_INTERVALS = ("wald", "t", "hksj", "hksj-variance", "hksj-hybrid")
_LIKELIHOOD = ("profile", "bartlett", "skovgaard")  # intervals that invert a test of their own
NO_HETEROGENEITY = "the interval holds if there is no heterogeneity between the studies"
_FEW = 5  # below this many studies no prediction interval unless it is asked for


@checking.checked
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

    The default is random effects, with the between-study variance by REML at its global maximum and
    the Hartung-Knapp interval, no narrower than the Wald interval. With two studies any
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
        Whether randomised and other trials may be pooled together. By default trials that are not
        randomised, or not known to be, are set aside and listed with that reason.

    Returns
    -------
    Pooled
        Estimate, interval, heterogeneity, weights, and what was set aside; log scale for ratios.

    Raises
    ------
    ValueError
        If no study has an estimate, if comparisons of different kinds or two results of one trial
        are about to be pooled, or if the interval asked for does not exist for these effects.

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
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [12, 9, 20],
    ...                        "n_t": [40, 35, 61], "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> main = km.pool(km.risk_ratio(trials))
    >>> main
    Pooled(RR 1.82 (95 % CI 1.01 to 3.28), k=3, random-effects model)
    """
    effects_given(effects)
    words = method_words(method, model=model, tau2=tau2, ci=ci, prediction=prediction, level=level)
    return pool_each(effects, [checked_method(**words)], mixed=mixed)[0]


def pool_each(effects: Effects, methods: Sequence[Method], *, mixed: bool) -> list[Pooled]:
    """Pool the same effects by each method; estimate every between-study variance once."""
    effects, _ = one_question(effects, mixed)  # the exclusion itself says what was set aside
    present = np.flatnonzero(effects.present)
    if not present.size:
        reasons = "; ".join(
            f"{effects.labels[i]}: {why}" for i, why in sorted(effects.excluded.items())
        )
        raise ValueError(f"no study has an estimate, so there is nothing to pool ({reasons})")
    # a fixed order of summation: the order of the rows never changes the last digits
    order = present[np.lexsort((effects.v[present], effects.y[present]))]
    y, v = effects.y[order], effects.v[order]
    if order.size == 1:
        return [_single(effects, order, method) for method in methods]
    check_variances(v, stacklevel=4)

    @cache
    def between(model: str, tau2: str | Estimator) -> _Between:
        return _between_studies(y, v, model, tau2)

    @cache
    def tau2_limits(level: float) -> VarianceInterval:
        return q_profile(y, v, level=level)

    q = float(q_statistic(y, v))
    return [
        _pool_several(
            _PooledStudies(effects, order, y, v, q),
            method,
            between(method.model, method.tau2),
            tau2_limits(method.level) if method.model == "random" else None,
        )
        for method in methods
    ]


def checked_method(
    model: str, tau2: str | Estimator | None, ci: str | None, prediction: str, level: float
) -> Method:
    """Check the choices and return them as a `Method`."""
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
        ci = checking.chosen("wald" if ci is None else ci, _COMMON_INTERVALS, "interval", "ci")
        return Method("common", "none", ci, "none", level)
    estimator = tau2 if tau2 is not None else PRIMARY.tau2
    estimator_named(estimator)
    ci = checking.chosen(PRIMARY.ci if ci is None else ci, INTERVALS, "interval", "ci")
    return Method("random", estimator, ci, prediction, level)


def refuse_other_measure(effects: Effects, measure: str | None) -> None:
    """Refuse a measure beside effects that have another one."""
    if measure is not None and measure != effects.measure:
        raise ValueError(
            f'measure = "{measure}", but the effects are {effects.scale.name}s'
            f' ("{effects.measure}"): leave measure out, or give the counts'
        )


_ASIDE_NOT_RANDOMISED = "not randomised, so not in one diamond with randomised trials"
_ASIDE_NOT_ESTABLISHED = (
    "not established whether it was randomised, so not in one diamond with randomised trials"
)


def one_question(effects: Effects, mixed: bool) -> tuple[Effects, tuple[str, ...]]:
    """Select effects that may be pooled: one contrast, each trial once, randomised trials alone.

    Also returns a sentence that names what was set aside, for results that do not list their
    exclusions.
    """
    mixed = checking.flag(mixed, "mixed")
    table, there = effects.table, effects.present
    _refuse_totals(effects)
    aside: tuple[str, ...] = ()
    kinds = list(dict.fromkeys(_present_values(table, "contrast", there)))
    if len(kinds) > 1:
        raise ValueError(
            f"these comparisons answer different questions ({', '.join(kinds)}) and are not pooled;"
            f' choose one, e.g. trials[trials.contrast == "{kinds[0]}"]'
        )
    if "randomised" in table and not mixed:
        flags = checking.flags(table, "randomised")
        randomised = flags.fillna(False).to_numpy(dtype=bool)
        out = np.flatnonzero(~randomised & there)
        if out.size and (randomised & there).any():
            gap = flags.isna().to_numpy()
            why = {int(i): _ASIDE_NOT_ESTABLISHED if gap[i] else _ASIDE_NOT_RANDOMISED for i in out}
            effects = replace(effects, excluded={**effects.excluded, **why})
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


_SUMMED = (CELLS, ("events", "n"), ("n_t", "n_c"))  # counts that a total sums, of any measure


def _refuse_totals(effects: Effects) -> None:
    """Refuse a row that is called a total and sums other rows."""
    table = effects.table
    numeric = set(table.select_dtypes("number").columns)
    names: tuple[str, ...] = next((some for some in _SUMMED if set(some) <= numeric), ())
    cells = {name: table[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in names}
    checking.refuse_first(
        checking.total_rows(effects.labels, cells) & effects.present,
        effects.labels,
        "a total of other rows",
        lambda i: (
            f'"{effects.labels[i]}" is the sum of other rows, whose participants would count twice;'
            " leave it out"
        ),
    )


def _present_values(table: pd.DataFrame, column: str, there: BoolArray) -> list[str]:
    """Return the texts of a column for the studies present; nothing without such a column."""
    if column not in table:
        return []
    values = table[column].tolist()
    return [str(value) for value, yes in zip(values, there, strict=True) if yes and pd.notna(value)]


def check_variances(v: FloatArray, stacklevel: int = 3) -> None:
    """Warn of variances further apart than units explain; refuse those that hide all others.

    The warning names the line of the caller `stacklevel` frames up.
    """
    ratio = v.max() / v.min()
    spread = f"the largest variance is {ratio:.2g} times the smallest; "
    if ratio > 1e15:
        raise ValueError(
            f"{spread}beside it the other studies are lost to rounding. Check the units of the"
            " effects"
        )
    if ratio > 1e7:
        warnings.warn(
            f"{spread}the studies with small variances decide everything. Check the units of the"
            " effects",
            stacklevel=stacklevel,
        )


class _Between(NamedTuple):
    """Estimate of tau2 with all local maxima of the likelihood, the global one first."""

    value: float
    modes: tuple[float, ...] = ()
    gap: float = math.inf  # of the log-likelihood between the two best modes


class _PooledStudies(NamedTuple):
    """Effects with the positions, estimates, variances and Cochran's Q of those pooled."""

    effects: Effects
    order: IntArray
    y: FloatArray
    v: FloatArray
    q: float


def _between_studies(y: FloatArray, v: FloatArray, model: str, tau2: str | Estimator) -> _Between:
    """Estimate the between-study variance; 0 under the common-effect model."""
    if model == "common":
        return _Between(0.0)
    if tau2 in ("REML", "ML"):
        modes, loglik = local_maxima(y, v, restricted=tau2 == "REML")
        gap = float(loglik[0] - loglik[1]) if modes.size > 1 else math.inf
        return _Between(float(modes[0]), tuple(map(float, modes)), gap)
    return _Between(float(estimator_named(tau2)(y, v)))


def _refuse_undefined(interval: MeanInterval, method: Method, tau2: float) -> None:
    if interval.status in (Status.OK, Status.FALLBACK):
        return
    why = Status(int(interval.status)).meaning
    raise ValueError(
        f'ci="{method.ci}" does not exist for these effects (tau2 = {tau2:.4g}): {why}; use'
        f' ci="{PRIMARY.ci}"'
    )


def _pool_several(
    studies: _PooledStudies, method: Method, between: _Between, limits: VarianceInterval | None
) -> Pooled:
    """Pool two or more studies, given tau2 and, for random effects, its interval."""
    effects, order, y, v, q = studies
    k, tau2, there = order.size, between.value, effects.present
    interval = INTERVALS[method.ci](y, v, np.asarray(tau2), method.level)
    _refuse_undefined(interval, method, tau2)
    method = replace(method, prediction=_prediction_word(method, k))
    low, high = PREDICTIONS[method.prediction](y, v, np.asarray(tau2), interval, method.level)
    h2 = heterogeneity.h2_from_tau2(tau2, v) if limits else heterogeneity.h2_from_q(q, k - 1)
    statistic, p_value = _no_effect_test(y, v, method, interval)
    w = weights(v, 0.0 if method.ci == "henmi-copas" else np.asarray(tau2))
    return Pooled(
        effects,
        method,
        float(interval.estimate),
        float(interval.se),
        float(interval.low),
        float(interval.high),
        statistic,
        p_value,
        float(interval.df),
        k,
        shares_by_study(effects, order, w),
        tau2=tau2 if limits else math.nan,
        tau2_low=float(limits.low) if limits else math.nan,
        tau2_high=float(limits.high) if limits else math.nan,
        q=q,
        q_df=k - 1.0,
        q_p_value=float(chi2_upper(q, k - 1)),
        i2=float(1 - 1 / h2),
        h2=float(h2),
        prediction_low=float(low),
        prediction_high=float(high),
        modes=between.modes,
        notes=_caveats(studies, method, between, interval.status, limits)
        + _prediction_caveats(method, k, tau2, bool(np.isnan(low))),
        refit=partial(_pool_subsets, effects.y[there], effects.v[there], method),
    )


def _pool_subsets(y: FloatArray, v: FloatArray, method: Method, mask: BoolArray) -> Combined:
    """Repeat the analysis on subsets of the studies present."""
    tau2 = 0.0 if method.model == "common" else method.tau2
    return combine(y, v, tau2=tau2, ci=method.ci, level=method.level, mask=mask)


def _no_effect_test(
    y: FloatArray, v: FloatArray, method: Method, interval: MeanInterval
) -> tuple[float, float]:
    """Return the statistic and p-value of no effect of the interval; nan where it has none."""
    if method.ci in _LIKELIHOOD:
        return math.nan, float(no_effect_p_value(y[None], v[None], method.ci)[0])
    if method.ci in _PERMUTATION:
        return math.nan, permutation_p_value(y, v, 0.0, statistic=_PERMUTATION[method.ci])
    if not interval.df > 0:
        return math.nan, math.nan
    statistic = float(interval.estimate / interval.se)
    return statistic, float(t_two_sided(statistic, interval.df))


def shares_by_study(effects: Effects, order: IntArray, w: FloatArray) -> FloatArray:
    """Scale weights to shares, in the order of the effects; 0 for studies that are not pooled."""
    shares = np.zeros(len(effects))
    shares[order] = w / w.sum()
    return shares


def _prediction_word(method: Method, k: int) -> str:
    if method.prediction != "auto":
        return method.prediction
    return "t" if k >= _FEW else "none"


def _caveats(
    studies: _PooledStudies,
    method: Method,
    between: _Between,
    status: IntArray,
    limits: VarianceInterval | None,
) -> tuple[str, ...]:
    """List what must be known before the result is quoted."""
    _, order, y, v, _ = studies
    k, notes = order.size, list[str]()
    if status == Status.FALLBACK:
        notes.append(f'the interval "{method.ci}" is undefined here: {Status.FALLBACK.meaning}')
    if limits is None:
        return (*notes, NO_HETEROGENEITY)
    if k == 2:
        notes.append("a random-effects interval from two studies is unreliable; do not headline it")
    elif k < _FEW:
        notes.append(f"heterogeneity cannot be estimated from {k} studies; its interval says so")
    if limits.empty:
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


def _prediction_caveats(method: Method, k: int, tau2: float, undefined: bool) -> tuple[str, ...]:
    """List what must be known of the prediction interval, or that one asked for is undefined."""
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
    """Return one trial with the interval of its row, and nothing that needs two."""
    estimate, low, high = (float(x[order[0]]) for x in effects.limits(method.level))
    se = math.nan
    if effects.interval in SINGLE_TRIAL_INTERVALS:
        counts = effects.table[list(CELLS)].iloc[order[0]].to_numpy(dtype=np.float64)
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
        shares_by_study(effects, order, np.ones(1)),
        notes=(
            (
                "one study: this is the trial's own result; there is no between-study variance to"
                " estimate"
            ),
        ),
    )
