"""Tipping points: which outcomes of the missing would turn the conclusion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import single_trial
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.pooling.combining import Combined
from kapmeta.core.sensitivity import missing
from kapmeta.core.sensitivity.missing import Arm
from kapmeta.effects.counts import Names, without_gaps
from kapmeta.measures import side_of
from kapmeta.methods import Method
from kapmeta.results.pooled import Pooled
from kapmeta.results.tipping import Tipping
from kapmeta.sensitivity.missing_counts import observed
from kapmeta.sensitivity.missingness import COUNT_MEASURES, available, each_split, pooled_again

__all__ = ["tipping_point"]

_OWN_INTERVALS = {
    "RR": single_trial.koopman,
    "OR": single_trial.exact_odds_ratio,
    "RD": single_trial.miettinen_nurminen_difference,
}
_FARTHEST_LOG_IMOR = float(np.log(1e4))
_IMORS_TRIED = 41


@checking.checked
def tipping_point(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    totals: str = "randomised",
    target: float | None = None,
    method: Method | None = None,
    model: str | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    level: float | None = None,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Tipping:
    """Find how different the missing would have to be for the conclusion to turn.

    One trial: every number of events among its missing, with the exact or score interval of each
    table. Several: the pooled result over a surface of IMORs, and the IMOR at which its interval
    first includes, or excludes, no effect.

    Parameters
    ----------
    trials : DataFrame
        As in `missing_outcomes`; numbers missing by arm must be known.
    measure, totals, method, model, tau2, ci, level, mixed, **names
        As in `missing_outcomes`.
    target : float, optional
        With several trials: an effect that would still matter, on the scale shown. The IMOR at
        which the estimate falls to it is given too.

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
    >>> from kapmeta.sensitivity.tipping import tipping_point
    >>> trial = pd.DataFrame({"study": ["A"], "events_t": [20], "n_t": [40], "events_c": [8],
    ...                       "n_c": [40], "missing_t": [4], "missing_c": [9]})
    >>> tipping_point(trial).points
    {'events': 4.0, 'events_t': 0.0, 'events_c': 4.0}
    """
    checking.chosen(measure, COUNT_MEASURES, "measure")
    trials, gaps = without_gaps(trials, names)
    for gap in gaps:
        checking.warn(gap)
    seen = observed(trials, totals, None, names)
    if any(len(ways) > 1 for ways in seen.splits):
        raise ValueError(
            "tipping points need the numbers missing of each arm: fill in missing_t and missing_c"
        )
    options = {"model": model, "tau2": tau2, "ci": ci, "level": level, "mixed": mixed}
    base = available(seen, measure, names, method=method, **options)
    (_, arms), *_ = each_split(seen, base)
    if not sum(arm.missing.sum() for arm in arms):
        raise ValueError("nothing is missing, so nothing can tip")
    if target is not None:
        checking.finite_number(target, "target")
    if base.k == 1:
        if target is not None:
            raise ValueError("target is for several trials: with one, every table is shown")
        return _by_counts(arms, measure, base)
    return _by_surface(arms, measure, base, target)


def _by_counts(arms: tuple[Arm, Arm], measure: str, base: Pooled) -> Tipping:
    """Analyse every imputed table of one trial."""
    t, c = arms
    lost = [int(arm.missing.sum()) for arm in arms]
    x_t, x_c = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(lost[0] + 1), np.arange(lost[1] + 1), indexing="ij")
    )
    tables = (
        t.events[0] + x_t,
        t.observed[0] + lost[0],
        c.events[0] + x_c,
        c.observed[0] + lost[1],
    )
    found = _OWN_INTERVALS[measure](*tables, level=base.method.level)
    verdict = side_of(found.low, found.high)
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


_PATHS: Mapping[str, tuple[float, float]] = {
    "both arms": (-1.0, 1.0),
    "treatment only": (-1.0, 0.0),
    "control only": (0.0, 1.0),
}
"""Direction of ln IMOR, treatment and control, as the missing speak against treatment."""


def _by_surface(arms: tuple[Arm, Arm], measure: str, base: Pooled, target: float | None) -> Tipping:
    """Pool over IMORs of both arms, and find where the result turns along three paths."""

    def at(log_t: FloatArray, log_c: FloatArray) -> Combined:
        batch = [Arm(a.events[None], a.observed[None], a.missing[:, None]) for a in arms]
        deltas = [np.exp(np.asarray(x))[None, :, None] for x in (log_t, log_c)]
        return pooled_again(missing.informative(*batch, *deltas, measure=measure), base)

    axis = np.linspace(-np.log(8), np.log(8), _IMORS_TRIED)
    log_t, log_c = (x.ravel() for x in np.meshgrid(axis, axis, indexing="ij"))
    found = at(log_t, log_c)
    frame = pd.DataFrame(
        {
            "imor_t": np.exp(log_t),
            "imor_c": np.exp(log_c),
            "y": found.estimate,
            "y_low": found.low,
            "y_high": found.high,
            "verdict": side_of(found.low, found.high),
        }
    )
    points = {}
    for path, direction in _PATHS.items():
        points[path] = _turning(partial(_along_path, at, direction), None)
        if target is not None:
            if base.scale.ratio and not target > 0:
                raise ValueError(f"target is a {base.scale.name} and lies above 0: got {target:g}")
            wanted = float(np.log(target)) if base.scale.ratio else target
            points[f"{path}, estimate {target:g}"] = _turning(
                partial(_along_path, at, direction), wanted
            )
    lost = [int(arm.missing.sum()) for arm in arms]
    return Tipping("imor", frame, points, base, (lost[0], lost[1]))


def _along_path(
    at: Callable[..., Combined], direction: tuple[float, float], s: FloatArray
) -> Combined:
    return at(direction[0] * s, direction[1] * s)


def _turning(along: Callable[[FloatArray], Combined], wanted: float | None) -> float:
    """Find the factor exp(s) at which the watched limit or estimate first meets its mark, or inf.

    A growing s speaks against treatment. A conclusion is pushed towards no effect, an open result
    to where it would conclude.
    """
    low, high, estimate = _at_start(along)
    if wanted is not None:
        watched, sign, mark = "estimate", 1.0 if estimate > wanted else -1.0, wanted
    else:
        side = int(side_of(low, high))
        watched = "low" if side > 0 or (side == 0 and estimate > 0) else "high"
        sign, mark = (1.0 if side > 0 or (side == 0 and estimate <= 0) else -1.0), 0.0

    def excess(s: FloatArray) -> FloatArray:
        return np.asarray(getattr(along(sign * np.ravel(s)), watched) - mark).reshape(np.shape(s))

    grid = np.linspace(0.0, _FARTHEST_LOG_IMOR, _IMORS_TRIED)
    values = excess(grid)
    crossed = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))
    if not crossed.size:
        return float("inf")
    root = bracketed_root(excess, grid[crossed[:1]], grid[crossed[:1] + 1])
    return float(np.exp(sign * root[0]))


def _at_start(along: Callable[[FloatArray], Combined]) -> tuple[float, float, float]:
    found = along(np.zeros(1))
    return float(found.low[0]), float(found.high[0]), float(found.estimate[0])
