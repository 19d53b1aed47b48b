"""Tests of funnel-plot asymmetry, each with the definition it follows and with its power."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import counts
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.small_study import asymmetry
from kapmeta.results.effects import Effects
from kapmeta.results.small_study import AsymmetryTest
from kapmeta.small_study.admissions import (
    COUNT_COLUMNS,
    Trials,
    enough_trials,
    refuse_exact_line,
    require_trials,
    trials_of,
)

__all__ = ["TESTS", "asymmetry_test"]


class _Test(NamedTuple):
    """One asymmetry test: its name, definition, computation and the trials that inform it."""

    name: str
    definition: str
    points: Callable[[Trials], asymmetry.Points] | None = None
    rank: Callable[[Trials], asymmetry.Rank] | None = None
    reference: str | None = None
    exact: bool = False
    counts: bool = False
    measures: tuple[str, ...] | None = None
    informed: Callable[[Trials], int] | None = None


def _egger(data: Trials) -> asymmetry.Points:
    return asymmetry.egger_points(data.y, data.v)


def _all_counts(data: Trials) -> tuple[FloatArray, ...]:
    assert data.counts is not None  # checked by `_refuse_measure`
    return data.counts


def _sizes(data: Trials) -> tuple[FloatArray, FloatArray]:
    _, n1, _, n2 = _all_counts(data)
    return n1, n2


def _with_both(data: Trials) -> int:
    """Count the trials with both events and non-events."""
    a, n1, c, n2 = _all_counts(data)
    return int(np.count_nonzero((a + c > 0) & (a + c < n1 + n2)))


def _arcsine(data: Trials) -> tuple[FloatArray, FloatArray]:
    found = counts.arcsine_difference(*_all_counts(data))
    return found.y, found.v


_WLS = "weighted regression with multiplicative dispersion, t with k - 2 degrees of freedom"
_MIXED = "meta-regression on the standard error, additive heterogeneity by REML"

TESTS: Mapping[str, _Test] = MappingProxyType(
    {
        "egger": _Test(
            "Egger's test",
            f"effect on standard error, weights 1/v; {_WLS} (meta's Egger, metafor's regtest with"
            " model = lm)",
            points=_egger,
        ),
        "egger-mixed": _Test(
            "Egger's test, mixed model",
            f"{_MIXED}, normal reference (metafor's regtest default)",
            _egger,
            reference="normal",
        ),
        "thompson": _Test(
            "Thompson and Sharp's test",
            f"{_MIXED}, t with k - 2 degrees of freedom (meta's Thompson)",
            _egger,
            reference="t",
        ),
        "begg": _Test(
            "Begg and Mazumdar's test",
            "Kendall's tau of standardised deviates and variances; exact p without ties and below"
            " 50 trials, else normal with ties allowed for, no continuity correction (metafor's"
            " ranktest)",
            rank=lambda d: asymmetry.begg(d.y, d.v),
            exact=True,
        ),
        "begg-normal": _Test(
            "Begg and Mazumdar's test, normal",
            "Kendall's score over its standard error, normal reference, no continuity correction"
            " (meta's Begg)",
            rank=lambda d: asymmetry.begg(d.y, d.v),
        ),
        "harbord": _Test(
            "Harbord's test",
            f"score Z/V on 1/sqrt(V), weights V, from the counts without correction; {_WLS}. For"
            " the risk ratio V = n1 n2 m / (N (N - m)); meta uses (N / 4) m / (N - m), which is"
            " that for equal arms only",
            points=lambda d: asymmetry.harbord_points(*_all_counts(d), measure=d.effects.measure),
            counts=True,
            measures=("OR", "RR"),
        ),
        "peters": _Test(
            "Peters's test",
            f"effect on 1/N, weights m (N - m) / N; {_WLS} (meta's Peters)",
            points=lambda d: asymmetry.peters_points(d.y, d.v, *_all_counts(d)),
            counts=True,
            measures=("OR", "RR", "RD", "AS", "PETO"),
        ),
        "macaskill": _Test(
            "Macaskill's test",
            f"effect on N, weights 1/v; {_WLS} (meta's Macaskill; other authors weight as Peters"
            " does)",
            points=lambda d: asymmetry.macaskill_points(d.y, d.v, *_sizes(d)),
            counts=True,
        ),
        "deeks": _Test(
            "Deeks's test",
            f"effect on 1/sqrt(ESS), weights ESS = 4 n1 n2 / N; {_WLS} (meta's Deeks); made for"
            " diagnostic odds ratios",
            points=lambda d: asymmetry.deeks_points(d.y, d.v, *_sizes(d)),
            counts=True,
        ),
        "pustejovsky": _Test(
            "Pustejovsky and Rodgers's test",
            f"effect on sqrt(1/n1 + 1/n2), weights 1/v; {_WLS} (meta's Pustejovsky)",
            points=lambda d: asymmetry.pustejovsky_points(d.y, d.v, *_sizes(d)),
            counts=True,
        ),
        "schwarzer": _Test(
            "Schwarzer's test",
            "Kendall's score of (a - E) / sqrt(V) and 1/V, hypergeometric moments at the"
            " Mantel-Haenszel odds ratio without correction (meta adds 0.5 to tables with a zero"
            " cell for that odds ratio), normal reference",
            rank=lambda d: asymmetry.schwarzer(*_all_counts(d)),
            counts=True,
            informed=_with_both,
        ),
        "arcsine-egger": _Test(
            "Rücker's arcsine test, Egger",
            f"arcsine difference on its standard error, weights 1/v; {_WLS}",
            points=lambda d: asymmetry.egger_points(*_arcsine(d)),
            counts=True,
        ),
        "arcsine-thompson": _Test(
            "Rücker's arcsine test, Thompson",
            f"arcsine difference: {_MIXED}, t with k - 2 degrees of freedom",
            points=lambda d: asymmetry.egger_points(*_arcsine(d)),
            reference="t",
            counts=True,
        ),
        "arcsine-begg": _Test(
            "Rücker's arcsine test, Begg",
            "arcsine difference: Kendall's score over its standard error, normal reference",
            rank=lambda d: asymmetry.begg(*_arcsine(d)),
            counts=True,
        ),
    }
)
"""Asymmetry tests by name; each says which definition it follows where packages differ."""


@checking.checked
def asymmetry_test(
    effects: Effects | pd.DataFrame,
    *,
    method: str = "egger",
    force: bool = False,
    mixed: bool = False,
) -> AsymmetryTest:
    """Test whether small trials show other effects than large ones.

    Asymmetry is not publication bias: it also comes from heterogeneity, from poorer conduct of
    small trials, from the measure and from chance. With fewer than ten trials no test is computed
    unless it is forced, and a forced one says how little it could have found. For odds and risk
    ratios prefer ``"harbord"``, ``"peters"`` or an arcsine test: the standard error of a log ratio
    depends on the ratio, and Egger's test then finds asymmetry that is not there.

    Parameters
    ----------
    effects : Effects or DataFrame
        Effects, or a frame of trials as in `kapmeta.odds_ratio`, which is then used.
    method : str
        Word of `TESTS`: ``"egger"``, ``"egger-mixed"``, ``"thompson"``, ``"begg"``,
        ``"begg-normal"``, ``"harbord"``, ``"peters"``, ``"macaskill"``, ``"deeks"``,
        ``"pustejovsky"``, ``"schwarzer"``, ``"arcsine-egger"``, ``"arcsine-thompson"``,
        ``"arcsine-begg"``. From ``"harbord"`` on they need counts.
    force : bool
        Whether to compute it for fewer than ten trials.
    mixed : bool
        As in `kapmeta.pool`.

    Returns
    -------
    AsymmetryTest

    Raises
    ------
    ValueError
        If there are fewer than ten trials and `force` is not set, fewer than three in any case, if
        counts are needed and missing, if all trials are equally precise, or if the effects lie on a
        line exactly.

    References
    ----------
    .. [1] Sterne JAC et al. Recommendations for examining and interpreting funnel plot asymmetry in
       meta-analyses of randomised controlled trials. BMJ 2011;343:d4002.
       https://doi.org/10.1136/bmj.d4002
    .. [2] Rücker G, Schwarzer G, Carpenter J. Arcsine test for publication bias in meta-analyses
       with binary outcomes. Stat Med 2008;27:746-763. https://doi.org/10.1002/sim.2971

    Examples
    --------
    >>> import kapmeta as km
    >>> bcg = km.odds_ratio(km.load_example("bcg"))
    >>> km.asymmetry_test(bcg, method="harbord")
    AsymmetryTest(harbord, p = 0.23, k=13, power 52%)
    """
    checking.chosen(method, TESTS, "asymmetry test", "method")
    test, data = TESTS[method], trials_of(effects, mixed=mixed)
    _refuse_measure(test, data)
    k = _informed(test, data)
    require_trials(k, 3, test.name)
    power = float(asymmetry.power((test.points or _egger)(data)))
    detail = _power_text(power) + (
        "; a rank test finds less than this, which is Egger's" if test.rank else ""
    )
    notes = (*(enough_trials(k, data.effects, test.name, force, detail) or (detail,)), *data.notes)
    found = _rank_test(test, data) if test.rank else _regression_test(test, data, k)
    if method in ("egger", "egger-mixed", "thompson") and data.effects.measure in ("OR", "RR"):
        notes += (
            (
                "the standard error of a log ratio depends on the ratio: false alarms are more"
                " frequent than 5 %"
            ),
        )
    return AsymmetryTest(
        test.name,
        method,
        test.definition,
        power=power,
        effects=data.effects,
        notes=notes,
        k=k,
        papers=(method.partition("-")[0], "few trials"),
        **found,
    )


def _power_text(power: float) -> str:
    if math.isnan(power):
        return "its power cannot be computed"
    return (
        "with these standard errors and no heterogeneity, a bias of one standard error in every"
        f" trial would be found in {100 * power:.0f} % of cases"
    )


def _refuse_measure(test: _Test, data: Trials) -> None:
    """Refuse effects that lack the counts or the measure that the test needs."""
    if test.counts and data.counts is None:
        raise ValueError(
            f"{test.name} needs the counts of both arms of every trial"
            f" ({', '.join(COUNT_COLUMNS)}); "
            f'{data.uncounted}. Use method="egger" or "begg"'
        )
    if test.measures and data.effects.measure not in test.measures:
        raise ValueError(
            f"{test.name} is for {' or '.join(test.measures)}: these are {data.effects.measure}"
        )


def _informed(test: _Test, data: Trials) -> int:
    """Count the trials that inform this test: tables without events or non-events may not."""
    if test.points is not None:
        return int(np.count_nonzero(test.points(data).w > 0))
    return data.k if test.informed is None else test.informed(data)


def _regression_test(test: _Test, data: Trials, k: int) -> dict[str, Any]:
    """Fit a regression test, or refuse with the reason why there is no line."""
    assert test.points is not None
    points = test.points(data)
    if test.reference is None:
        line = asymmetry.weighted_line(points)
    else:
        line = asymmetry.mixed_line(points.y, points.v, points.x, reference=test.reference)
    _refuse_line(test, points, line, k)
    fields = ("statistic", "df", "p_value", "slope", "slope_se", "intercept", "intercept_se")
    numbers = {name: float(getattr(line, name)) for name in fields}
    return {**numbers, "tau2": float(line.tau2) if test.reference else math.nan}


def _refuse_line(
    test: _Test, points: asymmetry.Points, line: asymmetry.WeightedLine, k: int
) -> None:
    """Refuse a line that has no slope, or nothing to judge it by."""
    used = points.w > 0
    if not np.isfinite(line.slope):
        raise ValueError(
            f"{test.name} is singular: its predictor is {points.x[used][0]:.6g} for all {k} trials,"
            " and there is no slope to test; trials that are equally precise cannot show a"
            " small-study effect"
        )
    if test.reference is None:
        refuse_exact_line(points, line, test.name)


def _rank_test(test: _Test, data: Trials) -> dict[str, Any]:
    """Compute a rank test."""
    assert test.rank is not None
    found = test.rank(data)
    if not np.isfinite(found.tau):
        raise ValueError(
            f"{test.name} has nothing to rank: all effects, or all variances, are the same"
        )
    exact = test.exact and np.isfinite(found.exact_p_value) and data.k < 50
    p = float(found.exact_p_value if exact else found.p_value)
    statistic = math.nan if exact else float(found.statistic)
    df = math.nan if exact else math.inf
    return {"statistic": statistic, "df": df, "p_value": p, "tau": float(found.tau)}
