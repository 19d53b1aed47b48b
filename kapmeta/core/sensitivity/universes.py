"""Thousands of analyses of the same tables at once, also with the labels of the arms shuffled.

Every analysis is oriented: positive means more events under treatment, whatever its measure.

References
----------
.. [1] Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav
   2020;4:1208-1214. https://doi.org/10.1038/s41562-020-0912-z
.. [2] Voracek M, Kossmeier M, Tran US. Which data to meta-analyze, and how? A specification-curve
   and multiverse-analysis approach to meta-analysis. Z Psychol 2019;227:64-82.
   https://doi.org/10.1027/2151-2604/a000357
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kapmeta.core.effects import counts
from kapmeta.core.exact import stratified
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.weighting import count, present
from kapmeta.core.pooling.intervals import INTERVALS

OPPOSITE = "RR of the opposite"
COMMON, STRATIFIED, PETO = "common", "mantel-haenszel", "peto"
ORIENTED_MEASURES: dict[str, Callable[..., counts.Estimates]] = {
    "RR": counts.KERNELS["RR"],
    OPPOSITE: counts.KERNELS["RR"],
    "OR": counts.KERNELS["OR"],
    "RD": counts.KERNELS["RD"],
}
"""Effect of the four counts, by measure; `OPPOSITE` takes the complements and changes sign."""

_BLOCK_SIZE = 1 << 21  # rows x masks x studies


class Cells(NamedTuple):
    """Events and totals per arm, shape (..., k); nan where a trial has no such table."""

    events_t: FloatArray
    n_t: FloatArray
    events_c: FloatArray
    n_c: FloatArray


class Analysis(NamedTuple):
    """A choice of measure, zero-cell rule, pooling (an estimator of tau2 or none) and interval."""

    measure: str
    zero: str
    pooling: str
    ci: str


class Outcomes(NamedTuple):
    """Estimates, standard errors, limits and k, each (..., analyses, masks); nan if undefined."""

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    k: IntArray

    @property
    def statistic(self) -> FloatArray:
        """Estimate over standard error."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.se > 0, self.estimate / self.se, np.nan)


def evaluate(
    cells: Cells, analyses: Sequence[Analysis], masks: BoolArray, *, level: float = 0.95
) -> Outcomes:
    """Apply every analysis to every subset of every set of tables.

    Parameters
    ----------
    cells : Cells
        Tables, shape (..., k).
    analyses : sequence of Analysis
        Analyses to apply.
    masks : ndarray of bool, shape (masks, k)
        Which trials take part.
    level : float
        Confidence level, a proportion.
    """
    shape, k = cells.events_t.shape[:-1], cells.events_t.shape[-1]
    flat = [np.asarray(x, dtype=np.float64).reshape(-1, k) for x in cells]
    rows = flat[0].shape[0]
    step = max(1, _BLOCK_SIZE // max(1, k * len(masks)))
    parts = [
        _evaluate(Cells(*(x[start : start + step] for x in flat)), analyses, masks, level)
        for start in range(0, rows, step)
    ]
    whole = [
        np.concatenate(pieces).reshape(*shape, len(analyses), len(masks))
        for pieces in zip(*parts, strict=True)
    ]
    return Outcomes(*whole)


def _evaluate(
    cells: Cells, analyses: Sequence[Analysis], masks: BoolArray, level: float
) -> Outcomes:
    """Evaluate one block, cells of shape (rows, k); shared steps are computed once."""
    rows = cells.events_t.shape[0]
    size = rows, len(analyses), len(masks)
    estimate, se, low, high = (np.full(size, np.nan) for _ in range(4))
    out = Outcomes(estimate, se, low, high, np.zeros(size, dtype=np.int64))
    effects: dict[tuple[str, str], tuple[FloatArray, FloatArray]] = {}
    between: dict[tuple[str, str, str], FloatArray] = {}
    for position, each in enumerate(analyses):
        if each.pooling in TABLE_POOLINGS:
            found = TABLE_POOLINGS[each.pooling](cells, each.measure, masks, level)
        else:
            key = (each.measure, each.zero)
            if key not in effects:
                effects[key] = _masked(_oriented_effects(cells, *key), masks)
            y, v = effects[key]
            if (*key, each.pooling) not in between:
                between[*key, each.pooling] = _between_variance(y, v, each.pooling)
            interval = INTERVALS[each.ci](y, v, between[*key, each.pooling], level)
            found = (interval.estimate, interval.se, interval.low, interval.high, count(v))
        for whole, part in zip(out, found, strict=True):
            whole[:, position] = part.reshape(rows, len(masks))
    return out


def _oriented_effects(cells: Cells, measure: str, zero: str) -> tuple[FloatArray, FloatArray]:
    """Compute oriented effects and variances."""
    found = ORIENTED_MEASURES[measure](*counted_events(cells, measure), zero=zero)
    return (-found.y if measure == OPPOSITE else found.y), found.v


def counted_events(cells: Cells, measure: str) -> Cells:
    """Return the counts of the event, or of its opposite where the measure asks for that."""
    if measure != OPPOSITE:
        return cells
    return Cells(cells.n_t - cells.events_t, cells.n_t, cells.n_c - cells.events_c, cells.n_c)


def _masked(
    effects: tuple[FloatArray, FloatArray], masks: BoolArray
) -> tuple[FloatArray, FloatArray]:
    y, v = (part[:, None] for part in effects)
    variances = np.where(masks[None], v, np.inf)
    flat = -1, masks.shape[-1]
    return present(np.broadcast_to(y, variances.shape).reshape(flat), variances.reshape(flat))


def _between_variance(y: FloatArray, v: FloatArray, pooling: str) -> FloatArray:
    if pooling == COMMON:
        return np.zeros(v.shape[0])
    return ESTIMATORS[pooling](y, v)


def _mantel_haenszel(
    cells: Cells, measure: str, masks: BoolArray, level: float
) -> tuple[FloatArray | IntArray, ...]:
    tables = _each_mask(counted_events(cells, measure), masks)
    kind, sign = ("RR", -1.0) if measure == OPPOSITE else (measure, 1.0)
    found = stratified.mantel_haenszel(*tables, measure=kind)
    return _with_wald_limits(found.estimate * sign, found.se, found.k, level)


def _peto(
    cells: Cells, measure: str, masks: BoolArray, level: float
) -> tuple[FloatArray | IntArray, ...]:
    found = stratified.peto(*_each_mask(cells, masks))
    estimate = found.estimate if measure == "OR" else np.full(found.se.shape, np.nan)
    return _with_wald_limits(estimate, found.se, found.k, level)


TABLE_POOLINGS: dict[
    str, Callable[[Cells, str, BoolArray, float], tuple[FloatArray | IntArray, ...]]
] = {STRATIFIED: _mantel_haenszel, PETO: _peto}
"""Poolings of the tables themselves: no zero-cell rule, no between-study variance."""


def _each_mask(cells: Cells, masks: BoolArray) -> list[FloatArray]:
    """Repeat the tables for each mask, nan where it leaves a trial out; (rows, masks, k)."""
    return [np.where(masks[None], x[:, None], np.nan) for x in cells]


def _with_wald_limits(
    estimate: FloatArray, se: FloatArray, k: IntArray, level: float
) -> tuple[FloatArray | IntArray, ...]:
    estimate = np.where(np.isfinite(se), estimate, np.nan)
    half = float(normal_quantile((1 + level) / 2)) * se
    return estimate, se, estimate - half, estimate + half, k


class Patients(NamedTuple):
    """Counts of the patients of one trial per arm: events, missing and total; whole numbers.

    `nested` gives, for each row, the row of the same trial at an earlier time whose events hold all
    of this row's events, or -1.
    """

    events_t: IntArray
    missing_t: IntArray
    n_t: IntArray
    events_c: IntArray
    missing_c: IntArray
    n_c: IntArray
    nested: IntArray


def shuffled(patients: Patients, draws: int, rng: np.random.Generator) -> Patients:
    """Shuffle the labels of the arms within each trial, `draws` times.

    The margins are kept: how many had the event, how many are missing, and the sizes of the arms.
    At a later time the events are drawn among those who had them earlier, so that a trial's time
    points stay consistent.

    Returns
    -------
    Patients
        Each of shape (draws, rows).
    """
    rows = patients.events_t.size
    events = np.zeros((draws, rows), dtype=np.int64)
    missing = np.zeros((draws, rows), dtype=np.int64)
    happened, lost = patients.events_t + patients.events_c, patients.missing_t + patients.missing_c
    total = patients.n_t + patients.n_c
    for i in _earlier_first(patients.nested):
        earlier = patients.nested[i]
        if earlier >= 0:
            pool, drawn = happened[earlier], events[:, earlier]
        else:
            pool, drawn = total[i], patients.n_t[i]
        events[:, i] = rng.hypergeometric(happened[i], pool - happened[i], drawn, size=draws)
        neither, rest = total[i] - happened[i] - lost[i], patients.n_t[i] - events[:, i]
        missing[:, i] = rng.hypergeometric(lost[i], neither, rest, size=draws)
    n_t, n_c = (np.broadcast_to(x, events.shape) for x in (patients.n_t, patients.n_c))
    controls = happened - events, lost - missing, n_c
    return Patients(events, missing, n_t, *controls, patients.nested)


def _earlier_first(nested: IntArray) -> list[int]:
    """Order the rows so that each comes after the row it is nested in."""
    done: list[int] = []
    while len(done) < nested.size:
        left = (i for i in range(nested.size) if i not in done)
        done += [i for i in left if nested[i] < 0 or nested[i] in done]
    return done


def explained(values: FloatArray, levels: IntArray) -> float:
    """Compute the share of the variance of `values` between the groups `levels`.

    The main effect of one choice.
    """
    known = np.isfinite(values)
    values, levels = values[known], levels[known]
    if values.size < 2 or np.ptp(values) == 0:
        return float("nan")
    deviation = values - values.mean()
    sums = np.bincount(levels, weights=deviation)
    sizes = np.bincount(levels)
    return float((sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum() / (deviation**2).sum())
