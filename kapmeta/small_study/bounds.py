"""Publication bias or confounding that would change a result, for any number of trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.pooling.combining import combine
from kapmeta.core.small_study import bias_bounds
from kapmeta.measures import side_of
from kapmeta.methods import PRIMARY
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, pooled_given
from kapmeta.results.small_study import BiasSensitivity
from kapmeta.small_study.admissions import (
    Trials,
    favoured_sign,
    on_analysis_scale,
    refuse_one_group,
    trials_of,
)

__all__ = ["e_value", "publication_bias_sensitivity"]


@checking.checked
def publication_bias_sensitivity(
    effects: Effects,
    *,
    model: str = "common",
    ratios: Sequence[float] = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0),
    target: float | None = None,
    favoured: str = "treatment",
    level: float = PRIMARY.level,
    mixed: bool = False,
) -> BiasSensitivity:
    """Find how strong the selection of significant favourable results must be to remove the effect.

    Valid for any number of trials, three included: nothing about the selection is estimated.

    Parameters
    ----------
    effects : Effects
        Effects.
    model : {"common", "robust"}
        Common-effect weights and normal limits, or weights 1/(v + tau2) (REML) with CR2 robust
        limits, for heterogeneity.
    ratios : sequence of float
        Selection ratios of the table: significant favourable results are published that many times
        as readily.
    target : float, optional
        Effect to reach, on the scale shown; no effect if left out.
    favoured : {"treatment", "positive", "negative"}
        Direction of the results published more readily.
    level, mixed
        As in `kapmeta.pool`.

    Returns
    -------
    BiasSensitivity
        One row per ratio and one for the worst case. ``result["s_value"]`` and
        ``result["s_value_limit"]`` are the ratios at which the estimate and the confidence limit
        nearest the target reach it: ``inf`` if none does, ``nan`` where no trial, or every trial,
        is significant in the favoured direction; in the latter case there is no worst case.

    References
    ----------
    .. [1] Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J
       R Stat Soc C 2020;69:1091-1119. https://doi.org/10.1111/rssc.12440

    Examples
    --------
    >>> import kapmeta as km
    >>> found = km.publication_bias_sensitivity(km.risk_ratio(km.load_example("bcg")))
    >>> round(found["s_value"], 2), round(found["worst_case"], 3)
    (inf, 0.988)
    """
    checking.chosen(model, ("common", "robust"), "model")
    level, data = checking.proportion(level, "level"), trials_of(effects, mixed=mixed)
    refuse_one_group(data.effects, "publication bias sensitivity")
    sign = favoured_sign(data.effects, favoured)
    goal = 0.0 if target is None else sign * on_analysis_scale(data.effects, target, "target")
    several = model == "robust" and data.k > 1
    tau2 = float(combine(data.y, data.v, tau2="REML").tau2) if several else None
    table = _bias_table(data, sign, _ratios(ratios), tau2, level)
    values = _bias_values(data, sign, goal, tau2, level) | {
        f"worst_case{end and '_' + end}": float(table[end or "estimate"].iloc[-1])
        for end in ("", "low", "high")
    }
    weights = "common-effect weights, normal limits"
    if tau2 is not None:
        weights = f"weights 1/(v + {tau2:.4g}), CR2 robust limits"
    return BiasSensitivity(
        "Publication bias sensitivity",
        f"affirmative: two-sided p < {1 - level:.3g} in the favoured direction; {weights}; worst"
        " case: the trials that are not affirmative, alone",
        values,
        table,
        _bias_sentences(data, values, target, level),
        data.k,
        data.effects,
        data.notes,
        ("S-value",),
    )


def _ratios(ratios: Sequence[float]) -> list[float]:
    found = checking.finite_numbers(ratios, "ratios")
    if any(ratio < 1 for ratio in found):
        raise ValueError(
            f"ratios must be 1 or more: got {', '.join(f'{r:g}' for r in found)}; use favoured="
            " for the direction"
        )
    return found


def _bias_values(
    data: Trials, sign: float, goal: float, tau2: float | None, level: float
) -> dict[str, float]:
    """Compute the S-values of estimate and limit, and count the affirmative trials."""
    y, v = sign * data.y, data.v
    between = None if tau2 is None else np.asarray(tau2)
    yes = float(bias_bounds.affirmative(y, v, level=level).sum())
    return {
        "s_value": float(bias_bounds.s_value(y, v, target=goal, tau2=between, level=level)),
        "s_value_limit": bias_bounds.s_value_limit(y, v, target=goal, tau2=tau2, level=level),
        "affirmative": yes,
        "not_affirmative": data.k - yes,
    }


def _bias_table(
    data: Trials, sign: float, ratios: list[float], tau2: float | None, level: float
) -> pd.DataFrame:
    """Tabulate the result by selection ratio, the worst case last; nan if nothing is left."""
    y, v = sign * data.y, data.v
    rows = np.broadcast_to(y, (len(ratios), y.size)), np.broadcast_to(v, (len(ratios), v.size))
    between = None if tau2 is None else np.full(len(ratios), tau2)
    found = bias_bounds.corrected(*rows, ratios, tau2=between, level=level)
    worst = bias_bounds.worst_case(
        y, v, tau2=None if tau2 is None else np.asarray(tau2), level=level
    )
    estimate, se, low, high = (
        np.append(getattr(found, name), getattr(worst, name))
        for name in ("estimate", "se", "low", "high")
    )
    if sign < 0:
        estimate, low, high = -estimate, -high, -low
    shown = data.effects.scale.shown
    return pd.DataFrame(
        {
            "ratio": [*ratios, math.inf],
            "estimate": shown(estimate),
            "low": shown(low),
            "high": shown(high),
            "y": estimate,
            "se": se,
        }
    )


def _bias_sentences(
    data: Trials, values: Mapping[str, float], target: float | None, level: float
) -> tuple[str, ...]:
    """Describe the S-values and the worst case."""
    k, yes = data.k, int(values["affirmative"])
    counted = f"{yes} of {k} {'trial' if k == 1 else 'trials'} {'is' if 1 in (yes, k) else 'are'}"
    head = f"{counted} significant in the favoured direction."
    if yes == 0:
        return head, "None could have been favoured by such selection, so there is no S-value."
    if yes == k:
        return head, "No unfavoured trial was published, so there is no S-value and no worst case."
    goal = "no effect" if target is None else f"{data.effects.scale.short} {target:g}"

    def sentence(what: str, s: float) -> str:
        if math.isinf(s):
            return f"No amount of such selection brings {what} to {goal}."
        if s <= 1:
            return f"{what[0].upper()}{what[1:]} does not exceed {goal} even without selection."
        return (
            f"Significant favourable results {s:.2g} times as likely to be published would bring"
            f" {what} to {goal}."
        )

    worst = wording.interval_text(
        values["worst_case"], values["worst_case_low"], values["worst_case_high"]
    )
    return (
        head,
        sentence("the estimate", values["s_value"]),
        sentence(f"the {wording.percent(level)} limit", values["s_value_limit"]),
        f"Worst case: {data.effects.scale.short} {worst}.",
    )


_AS_RISK_RATIO: Mapping[str, Mapping[bool, Callable[[float], float]]] = MappingProxyType(
    {
        "RR": {False: lambda x: x, True: lambda x: x},
        "OR": {False: lambda x: x, True: math.sqrt},
        "PETO": {False: lambda x: x, True: math.sqrt},
        "HR": {
            False: lambda x: x,
            True: lambda x: (1 - 0.5 ** math.sqrt(x)) / (1 - 0.5 ** math.sqrt(1 / x)),
        },
        "IRR": {False: lambda x: x, True: lambda x: x},
    }
)
"""Ratios as approximate risk ratios, by whether the outcome is common (15 % or more)."""


@checking.checked
def e_value(pooled: Pooled, *, common_outcome: bool | None = None) -> BiasSensitivity:
    """Compute E-values: how strong a confounder must be to explain the effect away.

    For non-randomised trials, one or several; randomisation has taken care of confounders. The
    E-value of an event and of its opposite differ: state the event.

    Parameters
    ----------
    pooled : Pooled
        From `kapmeta.pool` or another pooling function: a risk, odds, hazard or rate ratio.
    common_outcome : bool, optional
        For odds and hazard ratios: whether 15 % or more have the outcome, so that they are turned
        into approximate risk ratios first. Must be given for these, and for these alone.

    Returns
    -------
    BiasSensitivity
        ``result["estimate"]`` and ``result["limit"]``, the E-values of the estimate and of the
        confidence limit nearest no effect (1 if the interval holds no effect).

    References
    ----------
    .. [1] VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the
       E-value. Ann Intern Med 2017;167:268-274. https://doi.org/10.7326/M16-2607

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="alcohol", randomised=False)
    >>> found = km.small_study.e_value(km.pool(km.risk_ratio(trials)))
    >>> round(found["estimate"], 2), round(found["limit"], 2)
    (4.92, 3.18)
    """
    _refuse_no_ratio(pooled, common_outcome)
    estimate, limit = _risk_ratios(pooled, bool(common_outcome))
    values = {
        "estimate": float(bias_bounds.e_value(estimate)),
        "limit": float(bias_bounds.e_value(limit)),
    }
    explain, move = (wording.number(x) for x in values.values())
    sentence = (
        f"A confounder associated with both treatment and outcome by a risk ratio of {explain}"
        f" could explain the estimate away, one of {move} could move the"
        f" {wording.percent(pooled.method.level)} CI to no effect;"
        " weaker ones could not."
    )
    table = pd.DataFrame(
        {
            "what": ["estimate", "limit"],
            "risk_ratio": [estimate, limit],
            "e_value": list(values.values()),
        }
    )
    definition = "RR + sqrt(RR (RR - 1)), RR turned round if below 1"
    if pooled.measure in ("OR", "PETO", "HR"):
        how = "turned into an approximate risk ratio" if common_outcome else "taken as a risk ratio"
        definition += f"; the {pooled.scale.name} {how}"
    notes = (_RANDOMISED,) if _any_randomised(pooled.effects) else ()
    return BiasSensitivity(
        "E-value",
        definition,
        values,
        table,
        (sentence,),
        pooled.k,
        pooled.effects,
        notes,
        ("E-value",),
    )


_RANDOMISED = (
    "randomised trials are among these: for them confounding is a matter of chance, not of bias"
)


def _refuse_no_ratio(pooled: Pooled, common_outcome: bool | None) -> None:
    """Refuse a measure that cannot be turned into a risk ratio."""
    if pooled_given(pooled).measure not in _AS_RISK_RATIO:
        raise ValueError(
            f"an E-value needs a ratio ({', '.join(_AS_RISK_RATIO)}): this is a {pooled.scale.name}"
        )
    if common_outcome is None and pooled.measure in ("OR", "PETO", "HR"):
        raise ValueError(
            f"say common_outcome=True or False: a {pooled.scale.name} is not a risk ratio if 15 %"
            " or more have the outcome"
        )
    if common_outcome is not None and pooled.measure in ("RR", "IRR"):
        raise ValueError(
            f"common_outcome would change nothing for a {pooled.scale.name}; leave it out"
        )
    if common_outcome is not None:
        checking.flag(common_outcome, "common_outcome")


def _risk_ratios(pooled: Pooled, common_outcome: bool) -> tuple[float, float]:
    """Convert the estimate and the limit nearest no effect to approximate risk ratios."""
    to_rr = _AS_RISK_RATIO[pooled.measure][common_outcome]
    estimate, low, high = (
        to_rr(float(pooled.scale.shown(x))) for x in (pooled.estimate, pooled.low, pooled.high)
    )
    return estimate, {0: 1.0, 1: low, -1: high}[int(side_of(low, high, 1.0))]


def _any_randomised(effects: Effects) -> bool:
    table = effects.table
    if "randomised" not in table:
        return False
    return bool(checking.established(table, "randomised")[effects.present].any())
