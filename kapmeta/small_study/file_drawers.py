"""Unpublished studies: how many null ones would change the result, and excess significance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.pooling.combining import combine
from kapmeta.core.small_study import fail_safe
from kapmeta.methods import PRIMARY
from kapmeta.results.effects import Effects
from kapmeta.results.small_study import BiasSensitivity
from kapmeta.small_study.admissions import (
    Trials,
    check_variance,
    enough_trials,
    estimator_and_interval,
    on_analysis_scale,
    refuse_one_group,
    require_trials,
    trials_of,
)

__all__ = ["FAIL_SAFE", "excess_significance", "fail_safe_n"]

_LARGEST_SIZE = 1e50  # sampling variance: it and its reciprocal can be computed with


def _rosenthal(
    data: Trials, null_v: float, target: float, options: Mapping[str, Any]
) -> fail_safe.FailSafe:
    return fail_safe.rosenthal(data.y, data.v, level=options["level"])


def _orwin(
    data: Trials, null_v: float, target: float, options: Mapping[str, Any]
) -> fail_safe.FailSafe:
    return fail_safe.orwin(data.y, data.v, target=target)


def _rosenberg(
    data: Trials, null_v: float, target: float, options: Mapping[str, Any]
) -> fail_safe.FailSafe:
    return fail_safe.rosenberg(data.y, data.v, level=options["level"])


def _null_studies(
    data: Trials, null_v: float, target: float, options: Mapping[str, Any]
) -> fail_safe.FailSafe:
    n = fail_safe.null_studies(data.y, data.v, null_v=null_v, **options)
    return fail_safe.FailSafe(np.asarray(n), np.asarray(np.nan))


class _Count(NamedTuple):
    """One way to count: its name, definition, computation, and the options it reads."""

    name: str
    definition: str
    compute: Callable[[Trials, float, float, Mapping[str, Any]], fail_safe.FailSafe]
    reads: tuple[str, ...]


FAIL_SAFE: Mapping[str, _Count] = MappingProxyType(
    {
        "null-studies": _Count(
            "Null studies it would take",
            "studies of no average effect and the stated size, scattered as the others are (v +"
            " tau2), added one by one and refitted with the same method (tau2 included) until the"
            " interval holds no effect; metafor's General follows the same idea by an"
            " approximation",
            _null_studies,
            ("size", "tau2", "ci", "level"),
        ),
        "rosenthal": _Count(
            "Rosenthal's fail-safe N",
            "Stouffer's one-sided combined test at 1 - level; ignores size and effect",
            _rosenthal,
            ("level",),
        ),
        "orwin": _Count(
            "Orwin's fail-safe N",
            "common-effect mean brought down to the target by studies of no effect",
            _orwin,
            ("target",),
        ),
        "rosenberg": _Count(
            "Rosenberg's fail-safe N",
            "common-effect z test, null studies of average weight",
            _rosenberg,
            ("level",),
        ),
    }
)
"""Ways to count missing null studies, by name."""


@checking.checked
def fail_safe_n(
    effects: Effects,
    *,
    method: str = "null-studies",
    size: str | float | None = None,
    target: float | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    level: float | None = None,
    mixed: bool = False,
) -> BiasSensitivity:
    """Count how many null studies would take the result away.

    For any number of trials. A large number proves nothing: unpublished studies need not be null,
    nor of that size.

    Parameters
    ----------
    effects : Effects
        Effects.
    method : str
        Word of `FAIL_SAFE`: ``"null-studies"``, ``"rosenthal"``, ``"orwin"`` or ``"rosenberg"``.
    size : str or float, optional
        For ``"null-studies"``: size of each null study as a sampling variance: ``"median"`` (as if
        left out), ``"largest"`` or ``"smallest"`` trial, the label of a trial, or the variance
        itself.
    target : float, optional
        For ``"orwin"``: the effect considered negligible, on the scale shown; half the effect on
        the analysis scale if left out.
    tau2, ci : str, optional
        For ``"null-studies"``: as in `kapmeta.pool`.
    level : float, optional
        Confidence level, a proportion; not for ``"orwin"``, which tests nothing.
    mixed : bool
        As in `kapmeta.pool`.

    Returns
    -------
    BiasSensitivity
        ``result["n"]``, and the p-value of what was observed where the method has one.

    Raises
    ------
    ValueError
        For an option that the method does not use, an unknown size, or a target that is no effect.

    References
    ----------
    .. [1] Rosenthal R. The file drawer problem and tolerance for null results. Psychol Bull
       1979;86:638-641. https://doi.org/10.1037/0033-2909.86.3.638

    Examples
    --------
    >>> import kapmeta as km
    >>> bcg = km.risk_ratio(km.load_example("bcg"))
    >>> print(km.small_study.fail_safe_n(bcg).sentences[0])
    It would take 24 null studies of sampling variance 0.071 each for the 95 % CI to hold no effect.
    """
    checking.chosen(method, FAIL_SAFE, "fail-safe method")
    how = FAIL_SAFE[method]
    _refuse_unused(method, {"size": size, "target": target, "tau2": tau2, "ci": ci, "level": level})
    level = checking.proportion(PRIMARY.level if level is None else level, "level")
    data = trials_of(effects, mixed=mixed)
    refuse_one_group(data.effects, how.name)
    null_v = _null_size(data, "median" if size is None else size)
    negligible = _negligible(data, target) if method == "orwin" else math.nan
    estimator, interval = estimator_and_interval(tau2, ci)
    words = {"tau2": estimator, "ci": interval, "level": level}
    found = how.compute(data, null_v, negligible, words)
    n, p = float(found.n), float(found.p_value)
    values = (
        {"n": n}
        | ({"null_v": null_v} if method == "null-studies" else {})
        | ({} if math.isnan(p) else {"p_value": p})
    )
    return BiasSensitivity(
        how.name,
        how.definition,
        values,
        pd.DataFrame([{"method": method, **values}]),
        (_count_sentence(data, method, n, null_v, negligible, level),),
        data.k,
        data.effects,
        data.notes,
        ("rosenthal" if method == "null-studies" else method,),
    )


def _refuse_unused(method: str, options: Mapping[str, Any]) -> None:
    """Refuse options that would change nothing."""
    idle = [
        name
        for name, value in options.items()
        if value is not None and name not in FAIL_SAFE[method].reads
    ]
    if idle:
        raise ValueError(
            f'{wording.joined(idle)} would change nothing for method="{method}", which uses '
            f"{wording.joined(FAIL_SAFE[method].reads)}; leave it out"
        )


def _count_sentence(
    data: Trials, method: str, n: float, null_v: float, negligible: float, level: float
) -> str:
    many = "more than 1000" if math.isinf(n) else f"{n:.0f}"
    noun = "study" if n == 1 else "studies"
    if method == "null-studies":
        if n == 0:
            return f"None: the {wording.percent(level)} CI holds no effect already."
        return (
            f"It would take {many} null {noun} of sampling variance {wording.number(null_v)} each"
            f" for the {wording.percent(level)} CI to hold no effect."
        )
    if method == "orwin":
        shown = wording.number(float(data.effects.scale.shown(negligible)))
        return (
            f"{many} null {noun} would bring the mean down to {data.effects.scale.short} {shown} or"
            " its mirror image."
        )
    return f"{many} null {noun} would make the combined test lose its significance."


def _null_size(data: Trials, size: str | float) -> float:
    """Return the sampling variance of a null study."""
    if isinstance(size, str):
        words = {
            "median": float(np.median(data.v)),
            "largest": float(data.v.min()),
            "smallest": float(data.v.max()),
        }
        named = dict(zip(data.labels, map(float, data.v), strict=True))
        if size not in words and size not in named:
            raise ValueError(
                f'unknown size "{size}"; use {", ".join(words)}, a variance, or a trial:'
                f" {', '.join(data.labels)}"
            )
        return words.get(size, named.get(size, math.nan))
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size <= _LARGEST_SIZE:
        raise ValueError(f"size must be a positive sampling variance or a word: got {size!r}")
    return float(size)


def _negligible(data: Trials, target: float | None) -> float:
    """Return Orwin's target on the analysis scale, positive."""
    if target is None:
        half = abs(float(combine(data.y, data.v, tau2=0.0).estimate)) / 2
        if half == 0:
            raise ValueError(
                "the mean is no effect exactly, and half of it no target; give target="
            )
        return half
    value = abs(on_analysis_scale(data.effects, target, "target"))
    if value == 0:
        raise ValueError(
            f"target must differ from no effect: got {target:g}; no number of null studies makes an"
            " effect exactly 0"
        )
    return value


_EXCESS = {
    "observed": "observed",
    "expected": "expected",
    "p_value": "exact_p_value",
    "chi2": "statistic",
    "chi2_p_value": "p_value",
}
"""Numbers of the test of excess significance, and where the core has them."""

_EXCESS_DEFINITION = (
    "one-sided test at the pooled mean and tau2; exact Poisson-binomial distribution (metafor up to"
    " 20 trials; chi-squared above, given beside it)"
)


@checking.checked
def excess_significance(
    effects: Effects,
    *,
    tau2: str | float = "REML",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> BiasSensitivity:
    """Test whether more trials are significant than their power allows.

    Parameters
    ----------
    effects : Effects
        Effects.
    tau2 : str or float
        Between-study variance of the true effects, estimator or value; 0.0 for one true effect.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    BiasSensitivity
        One row per trial with its power; ``result["observed"]``, ``["expected"]``, ``["p_value"]``
        (exact) and ``["chi2_p_value"]`` (nan where every trial is sure to be significant).

    References
    ----------
    .. [1] Ioannidis JPA, Trikalinos TA. An exploratory test for an excess of significant findings.
       Clin Trials 2007;4:245-253. https://doi.org/10.1177/1740774507079441

    Examples
    --------
    >>> import kapmeta as km
    >>> found = km.small_study.excess_significance(km.risk_ratio(km.load_example("bcg")), tau2=0.0)
    >>> found["observed"], round(found["expected"], 4), round(found["p_value"], 4)
    (8.0, 6.0927, 0.1344)
    """
    level, data = checking.proportion(level, "level"), trials_of(effects, mixed=mixed)
    check_variance(tau2, number=True)
    what = "the test of excess significance"
    refuse_one_group(data.effects, what)
    require_trials(data.k, 2, what)
    notes = enough_trials(data.k, data.effects, what, force) + data.notes
    pooled = combine(data.y, data.v, tau2=tau2, level=level)
    found = fail_safe.excess_significance(
        data.y, data.v, pooled.estimate, tau2=pooled.tau2, level=level
    )
    values = {name: float(getattr(found, field)) for name, field in _EXCESS.items()}
    edge = float(normal_quantile((1 + level) / 2))
    significant = np.abs(data.y) >= edge * np.sqrt(data.v)
    columns = {"study": list(data.labels), "significant": significant, "power": found.power}
    sentence = (
        f"{values['observed']:.0f} of {data.k} trials are significant, {values['expected']:.1f} are"
        f" expected: {wording.p_text(values['p_value'])}."
    )
    return BiasSensitivity(
        "Test of excess significance",
        _EXCESS_DEFINITION,
        values,
        pd.DataFrame(columns),
        (sentence,),
        data.k,
        data.effects,
        notes,
        ("excess",),
    )
