"""When a conclusion turns: other outcomes of the missing, or other outcomes of the patients counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core import fragility, missing, single_trial, stratified
from kapmeta.core.arrays import FloatArray
from kapmeta.core.combining import Combined
from kapmeta.core.distributions import normal_quantile
from kapmeta.core.missing import Arm
from kapmeta.core.roots import bracketed_root
from kapmeta.effects import Names
from kapmeta.missing_counts import number_missing, observed
from kapmeta.missingness import MEASURES, TABLES, available, each_split, pooled_again
from kapmeta.pooling import pool
from kapmeta.protocol import PRIMARY
from kapmeta.results import Pooled
from kapmeta.sensitivity_results import Fragility, Tipping
from kapmeta.stratification import mantel_haenszel

__all__ = ["fragility_index", "tipping_point"]

_OWN_INTERVALS = {
    "RR": single_trial.koopman,
    "OR": single_trial.exact_odds_ratio,
    "RD": single_trial.miettinen_nurminen_difference,
}
_REACH = float(np.log(1e4))
_GRID = 41


def tipping_point(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    totals: str = "randomised",
    target: float | None = None,
    model: str = "random",
    tau2: str | None = None,
    ci: str | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Tipping:
    """How different the missing would have to be for the conclusion to turn.

    One trial: every number of events among its missing, with the exact or score interval of each table. Several: the
    pooled result over a surface of IMORs, and the IMOR at which its interval first includes, or excludes, no effect.

    Parameters
    ----------
    trials : DataFrame
        As in `missing_outcomes`; numbers missing by arm must be known.
    measure, totals, model, tau2, ci, level, mixed, **names
        As in `missing_outcomes`.
    target : float, optional
        An effect that would still matter, on the scale shown: the IMOR at which the estimate falls to it is given too.

    Returns
    -------
    Tipping
        Surface and tipping points.

    Raises
    ------
    ValueError
        As in `missing_outcomes`, and if nothing is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.tipping import tipping_point
    >>> trial = pd.DataFrame({"study": ["A"], "events_t": [20], "n_t": [40], "events_c": [8], "n_c": [40],
    ...                       "missing_t": [4], "missing_c": [9]})
    >>> tipping_point(trial).points
    {'events': 4.0, 'events_t': 0.0, 'events_c': 4.0}
    """
    checking.chosen(measure, MEASURES, "measure")
    seen = observed(trials, totals, None, names)
    if any(len(ways) > 1 for ways in seen.splits):
        raise ValueError("tipping points need the numbers missing of each arm: fill in missing_t and missing_c")
    base = available(seen, measure, names, model=model, tau2=tau2, ci=ci, level=level, mixed=mixed)
    (_, arms), *_ = each_split(seen, base)
    if not sum(arm.missing.sum() for arm in arms):
        raise ValueError("nothing is missing, so nothing can tip")
    if base.k == 1:
        return _by_counts(arms, measure, base)
    return _by_surface(arms, measure, base, target)


def _by_counts(arms: tuple[Arm, Arm], measure: str, base: Pooled) -> Tipping:
    """Every imputed table of one trial."""
    t, c = arms
    lost = [int(arm.missing.sum()) for arm in arms]
    x_t, x_c = (axis.ravel() for axis in np.meshgrid(np.arange(lost[0] + 1), np.arange(lost[1] + 1), indexing="ij"))
    tables = (t.events[0] + x_t, t.observed[0] + lost[0], c.events[0] + x_c, c.observed[0] + lost[1])
    found = _OWN_INTERVALS[measure](*tables, level=base.method.level)
    verdict = _verdict(found.low, found.high)
    frame = pd.DataFrame(
        {
            "events_t": x_t,
            "events_c": x_c,
            "y": found.estimate,
            "y_low": found.low,
            "y_high": found.high,
            "verdict": verdict,
        }
    )
    turned = np.flatnonzero(verdict != verdict[0])
    points: dict[str, float] = {}
    if turned.size:
        first = turned[np.argmin((x_t + x_c)[turned])]
        points = {
            "events": float(x_t[first] + x_c[first]),
            "events_t": float(x_t[first]),
            "events_c": float(x_c[first]),
        }
    return Tipping("counts", frame, points, base, (lost[0], lost[1]))


def _verdict(low: FloatArray, high: FloatArray) -> Any:
    """1 where the interval lies above no effect, -1 below, 0 where it includes it."""
    return np.where(low > 0, 1, np.where(high < 0, -1, 0))


_PATHS: Mapping[str, tuple[float, float]] = {
    "both arms": (-1.0, 1.0),
    "treatment only": (-1.0, 0.0),
    "control only": (0.0, 1.0),
}
"""Which way ln IMOR goes in the treated and the control arm as the missing speak against treatment."""


def _by_surface(arms: tuple[Arm, Arm], measure: str, base: Pooled, target: float | None) -> Tipping:
    """The pooled result over IMORs of both arms, and where it turns along three paths."""

    def at(log_t: FloatArray, log_c: FloatArray) -> Combined:
        batch = [Arm(a.events[None], a.observed[None], a.missing[:, None]) for a in arms]
        deltas = [np.exp(np.asarray(x))[None, :, None] for x in (log_t, log_c)]
        return pooled_again(missing.informative(*batch, *deltas, measure=measure), base)

    axis = np.linspace(-np.log(8), np.log(8), _GRID)
    log_t, log_c = (x.ravel() for x in np.meshgrid(axis, axis, indexing="ij"))
    found = at(log_t, log_c)
    frame = pd.DataFrame(
        {
            "imor_t": np.exp(log_t),
            "imor_c": np.exp(log_c),
            "y": found.estimate,
            "y_low": found.low,
            "y_high": found.high,
            "verdict": _verdict(found.low, found.high),
        }
    )
    points = {}
    for path, direction in _PATHS.items():
        points[path] = _turning(partial(_along, at, direction), None)
        if target is not None:
            if base.scale.ratio and not target > 0:
                raise ValueError(f"target is a {base.scale.name} and lies above 0: got {target:g}")
            wanted = float(np.log(target)) if base.scale.ratio else target
            points[f"{path}, estimate {target:g}"] = _turning(partial(_along, at, direction), wanted)
    lost = [int(arm.missing.sum()) for arm in arms]
    return Tipping("imor", frame, points, base, (lost[0], lost[1]))


def _along(at: Callable[..., Combined], direction: tuple[float, float], s: FloatArray) -> Combined:
    return at(direction[0] * s, direction[1] * s)


def _turning(along: Callable[[FloatArray], Combined], wanted: float | None) -> float:
    """The factor exp(s) at which the watched limit (or the estimate) first meets its mark; inf where it never does.

    A growing s speaks against treatment. A conclusion is pushed towards no effect, an open result to where it would
    conclude.
    """
    low, high, estimate = _start(along)
    if wanted is not None:
        watched, sign, mark = "estimate", 1.0 if estimate > wanted else -1.0, wanted
    else:
        undecided = low <= 0 <= high
        watched = "low" if low > 0 or (undecided and estimate > 0) else "high"
        sign, mark = (1.0 if low > 0 or (undecided and estimate <= 0) else -1.0), 0.0

    def excess(s: FloatArray) -> FloatArray:
        return np.asarray(getattr(along(sign * np.ravel(s)), watched) - mark).reshape(np.shape(s))

    grid = np.linspace(0.0, _REACH, _GRID)
    values = excess(grid)
    crossed = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))
    if not crossed.size:
        return float("inf")
    root = bracketed_root(excess, grid[crossed[:1]], grid[crossed[:1] + 1])
    return float(np.exp(sign * root[0]))


def _start(along: Callable[[FloatArray], Combined]) -> tuple[float, float, float]:
    found = along(np.zeros(1))
    return float(found.low[0]), float(found.high[0]), float(found.estimate[0])


def fragility_index(
    trials: pd.DataFrame,
    *,
    method: str = "inverse-variance",
    measure: str = "RR",
    model: str = "random",
    tau2: str | None = None,
    ci: str | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Fragility:
    """How many patients would have to have fared otherwise for the conclusion to change.

    One trial: by Fisher's exact test. Several: by the interval of the method named, greedily, so an upper bound. The
    index hangs on the method as much as on the data, and grows with the trials; set it against the number missing.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`; with `missing_t` and `missing_c`, or their total `missing`, the index is set against
        those missing.
    method : {"inverse-variance", "mantel-haenszel"}
        How several trials are pooled.
    measure : {"RR", "OR", "RD"}
        Effect measure.
    model, tau2, ci, level, mixed
        As in `kapmeta.pool`; only `level` and `mixed` with ``"mantel-haenszel"``.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Fragility
        The index, the steps that lead there, and what it is set against.

    Raises
    ------
    ValueError
        As in `kapmeta.risk_ratio` and `kapmeta.pool`.

    References
    ----------
    .. [1] Walsh M, Srinathan SK, McAuley DF, et al. The statistical significance of randomized controlled trial
       results is frequently fragile: a case for a Fragility Index. J Clin Epidemiol 2014;67:622-628.
       https://doi.org/10.1016/j.jclinepi.2013.10.019
    .. [2] Atal I, Porcher R, Boutron I, Ravaud P. The statistical significance of meta-analyses is frequently fragile:
       definition of a fragility index for meta-analyses. J Clin Epidemiol 2019;111:32-40.
       https://doi.org/10.1016/j.jclinepi.2019.03.012

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.tipping import fragility_index
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> fragility_index(trials)
    Fragility(4 of 55, Fisher's exact test)
    """
    checking.chosen(method, _FRAGILE, "method")
    checking.chosen(measure, MEASURES, "measure")
    base = _FRAGILE[method](trials, measure, model, tau2, ci, level, mixed, names)
    there = base.effects.present
    table = base.effects.table[there]
    cells = tuple(table[name].to_numpy(dtype=np.float64) for name in ("events_t", "n_t", "events_c", "n_c"))
    if base.k == 1:
        steps = fragility.trial_fragility(*(int(x[0]) for x in cells), alpha=1 - level)
        name = "Fisher's exact test"
    else:
        again = _limits(cells, method, measure, base)
        steps = fragility.pooled_fragility(cells, again)  # type: ignore[arg-type]
        name = wording.model_phrase(base.method)
    labels = [label for label, yes in zip(base.effects.labels, there, strict=True) if yes]
    return Fragility(steps, tuple(labels), base, name, float(cells[1].sum() + cells[3].sum()), number_missing(table))


def _by_inverse_variance(
    trials: pd.DataFrame, measure: str, model: str, tau2: Any, ci: Any, level: float, mixed: bool, names: Any
) -> Pooled:
    return pool(MEASURES[measure](trials, **names), model=model, tau2=tau2, ci=ci, level=level, mixed=mixed)


def _by_mantel_haenszel(
    trials: pd.DataFrame, measure: str, model: str, tau2: Any, ci: Any, level: float, mixed: bool, names: Any
) -> Pooled:
    if tau2 is not None or ci is not None:
        raise ValueError('method="mantel-haenszel" has neither tau2 nor ci; leave them out')
    return mantel_haenszel(trials, measure=measure, level=level, mixed=mixed, **names)


_FRAGILE: Mapping[str, Callable[..., Pooled]] = {
    "inverse-variance": _by_inverse_variance,
    "mantel-haenszel": _by_mantel_haenszel,
}
"""How several trials are pooled, by name."""


def _limits(
    cells: tuple[FloatArray, ...], method: str, measure: str, base: Pooled
) -> Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]:
    """The pooled estimate and limits of candidate tables."""
    half = float(normal_quantile((1 + base.method.level) / 2))

    def limits(a: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        if method == "mantel-haenszel":
            found = stratified.mantel_haenszel(a, cells[1], c, cells[3], measure=measure)
            return found.estimate, found.estimate - half * found.se, found.estimate + half * found.se
        again = pooled_again(TABLES[measure](a, cells[1], c, cells[3]), base)
        return again.estimate, again.low, again.high

    return limits
