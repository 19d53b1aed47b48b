"""Performance of intervals in trials of given sizes and risks, by simulation in batch.

References
----------
.. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods.
   Stat Med 2019;38:2074-2102. https://doi.org/10.1002/sim.8086
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.sensitivity.universes import Analysis, Cells, evaluate

_HIGHEST_RISK = 0.95  # under treatment


class Performance(NamedTuple):
    """Shares of the draws per analysis, shape (analyses,); names in _se are Monte-Carlo errors.

    `coverage` is among the draws with an interval. `too_high` and `too_low` are the shares of
    intervals that lie above and below the truth. `excludes` is the share of intervals that exclude
    no effect: the type I error if there is no effect, else the power. `failures` is the share of
    draws without an interval.
    """

    coverage: FloatArray
    coverage_se: FloatArray
    too_high: FloatArray
    too_low: FloatArray
    excludes: FloatArray
    excludes_se: FloatArray
    median_width: FloatArray
    failures: FloatArray


def _risks_by_ratio(control: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return risks with ratio exp(theta); the control risk is lowered if the other nears 1."""
    lowered = np.minimum(control, _HIGHEST_RISK * np.exp(-theta))
    return lowered, lowered * np.exp(theta)


def _risks_by_difference(control: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return risks that differ by theta; the control risk is moved if the other leaves 0 to 1."""
    theta = np.clip(theta, -1.0, 1.0)
    moved = np.clip(control, np.maximum(0.0, -theta), np.minimum(1.0, 1.0 - theta))
    return moved, np.clip(moved + theta, 0.0, 1.0)


def _risks_by_angle(control: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return risks whose arcsines differ by theta; the control risk is moved as for differences."""
    quarter = np.pi / 2
    theta = np.clip(theta, -quarter, quarter)
    angle = np.arcsin(np.sqrt(control))
    angle = np.clip(angle, np.maximum(0.0, -theta), np.minimum(quarter, quarter - theta))
    return np.sin(angle) ** 2, np.sin(np.clip(angle + theta, 0.0, quarter)) ** 2


def _odds_ratio(control: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    odds = control / (1 - control) * np.exp(theta)
    return control, odds / (1 + odds)


RISKS: dict[str, Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]] = {
    "RR": _risks_by_ratio,
    "OR": _odds_ratio,
    "RD": _risks_by_difference,
    "AS": _risks_by_angle,
}
"""Risks of both arms from the control risk and the trial's log effect, by measure."""


def simulated(
    n_t: FloatArray,
    n_c: FloatArray,
    control_risk: FloatArray,
    mean: float,
    tau: float,
    draws: int,
    rng: np.random.Generator,
    *,
    measure: str = "RR",
) -> Cells:
    """Simulate tables of `draws` meta-analyses of trials of these sizes, shape (draws, k).

    Trial effects are normal about `mean` with standard deviation `tau` on the log scale of
    `measure`.
    """
    theta = mean + tau * rng.standard_normal((draws, n_t.size))
    risk_c, risk_t = RISKS[measure](np.broadcast_to(control_risk, theta.shape), theta)
    a = rng.binomial(n_t.astype(np.int64), risk_t).astype(np.float64)
    c = rng.binomial(n_c.astype(np.int64), risk_c).astype(np.float64)
    return Cells(a, np.broadcast_to(n_t, a.shape), c, np.broadcast_to(n_c, a.shape))


def performance(
    cells: Cells, analyses: Sequence[Analysis], truth: float, *, level: float = 0.95
) -> Performance:
    """Measure how each analysis of the simulated tables performs against the `truth` [1]_."""
    found = evaluate(cells, analyses, np.ones((1, cells.n_t.shape[-1]), dtype=bool), level=level)
    return interval_performance(found.low[..., 0], found.high[..., 0], truth)


def interval_performance(low: FloatArray, high: FloatArray, truth: float) -> Performance:
    """Measure how intervals perform against the `truth` [1]_.

    Limits have shape (draws, methods), nan where a draw has no interval. A limit may be infinite.
    """
    given = ~(np.isnan(low) | np.isnan(high))
    count = np.maximum(given.sum(0), 1)

    def share(event: BoolArray) -> FloatArray:
        return np.asarray((event & given).sum(0) / count)

    with np.errstate(invalid="ignore"):
        too_high, too_low = share(low > truth), share(high < truth)
        excludes = share((low > 0) | (high < 0))
        columns = zip((high - low).T, given.T, strict=True)
        width = np.array([np.median(w[kept]) if kept.any() else np.nan for w, kept in columns])
    coverage = np.where(given.any(0), 1 - too_high - too_low, np.nan)
    coverage_se, excludes_se = (np.sqrt(x * (1 - x) / count) for x in (coverage, excludes))
    failures, missed = 1 - given.mean(0), (too_high, too_low)
    return Performance(coverage, coverage_se, *missed, excludes, excludes_se, width, failures)
