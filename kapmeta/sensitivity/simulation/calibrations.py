"""Coverage and power of the intervals, simulated at the sizes and control risks of given trials."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.sensitivity.calibration import performance, simulated
from kapmeta.core.sensitivity.universes import COMMON, STRATIFIED, Analysis
from kapmeta.effects.counts import Names, from_counts
from kapmeta.measures import measure_named
from kapmeta.methods import PRIMARY
from kapmeta.pooling.inverse_variance import one_question
from kapmeta.results.sensitivity import Calibration

__all__ = ["CARD", "calibration"]

CARD: tuple[tuple[str, str], ...] = (
    ("REML", "hksj-hybrid"),
    ("REML", "hksj"),
    ("REML", "hksj-variance"),
    ("REML", "wald"),
    ("PM", "hksj-hybrid"),
    ("DL", "wald"),
    (COMMON, "wald"),
    (STRATIFIED, "wald"),
)
"""Intervals compared, PRIMARY first: estimator of tau2 (or pooling without one), and interval."""


MEASURES = ("RR", "OR")


@checking.checked
def calibration(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    true_effects: Sequence[float] = (1.0, 2.0),
    tau: Sequence[float] = (0.0, 0.25, 0.5),
    control_risks: Sequence[float] | None = None,
    intervals: Sequence[tuple[str, str]] = CARD,
    draws: int = 5_000,
    rng: np.random.Generator | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Calibration:
    """Simulate coverage and power of each interval at the trials' arm sizes and control risks.

    No interval is best everywhere; with two to five small trials the differences are large. The
    simulation shows what each would do here, for an assumed heterogeneity. The effects of
    the trials are normal; the data are binomial.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`, two trials or more.
    measure : {"RR", "OR"}
        Scale of the effects.
    true_effects : sequence of float
        Assumed effects, on the scale shown; 1 gives the type I error, others the power.
    tau : sequence of float
        Between-study standard deviations to suppose, log scale.
    control_risks : sequence of float, optional
        One for each trial; by default as observed, (c + 0.5) / (n + 1) where nobody or everybody
        had the event.
    intervals : sequence of (str, str)
        Pooling and interval, see `CARD`.
    draws : int
        Simulated meta-analyses per scenario.
    rng : numpy.random.Generator, optional
        Source of chance; a fixed one by default. All intervals see the same draws.
    level : float
        Confidence level, a proportion.
    mixed : bool
        As in `kapmeta.pool`.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Calibration
        One row per scenario and interval, with Monte-Carlo standard errors.

    Raises
    ------
    ValueError
        If there are fewer than two trials, or a word or number is out of range.

    References
    ----------
    .. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical
       methods. Stat Med 2019;38:2074-2102. https://doi.org/10.1002/sim.8086

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.simulation.calibrations import calibration
    >>> card = calibration(km.load_example("bcg").head(3), draws=200, tau=[0.5], true_effects=[1.0])
    >>> card
    Calibration(8 intervals, 1 suppositions, 200 draws)
    """
    checking.chosen(measure, MEASURES, "measure")
    level, rng = checking.proportion(level, "level"), checking.generator(rng)
    true_effects = checking.finite_numbers(true_effects, "true_effects", above=0)
    tau = checking.finite_numbers(tau, "tau", at_least=0)
    draws = checking.whole_number(draws, "draws", at_least=2)
    effects, _ = one_question(from_counts(trials, measure, **names), mixed)
    table = effects.table[effects.present]
    if len(table) < 2:
        raise ValueError(
            f"calibration needs two trials or more: got {len(table)}; use a score or exact interval"
            " for one trial"
        )
    n_t, c, n_c = (table[name].to_numpy(dtype=np.float64) for name in ("n_t", "events_c", "n_c"))
    risks = _risks(c, n_c, control_risks)
    analyses = [_card_analysis(measure, *pair) for pair in _interval_pairs(intervals)]
    rows = []
    for effect, deviation in itertools.product(true_effects, tau):
        truth = float(np.log(effect))
        cells = simulated(n_t, n_c, risks, truth, deviation, draws, rng, measure=measure)
        found = performance(cells, analyses, truth, level=level)
        words = pd.DataFrame(intervals, columns=["pooling", "ci"])
        rows.append(words.assign(**found._asdict()).assign(effect=effect, tau=deviation))
    table = pd.concat(rows, ignore_index=True)
    first = ["effect", "tau"]
    table = table[[*first, *(name for name in table.columns if name not in first)]]
    return Calibration(table, measure_named(measure), draws, level, tuple(map(float, risks)))


def _interval_pairs(intervals: Any) -> list[tuple[str, str]]:
    """Check that intervals are pairs of words."""
    pairs = [] if isinstance(intervals, str) else [tuple(pair) for pair in intervals]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f'intervals must list pairs of pooling and interval, e.g. [("REML", "wald")]: got'
            f" {intervals!r}"
        )
    return pairs


def _risks(c: FloatArray, n_c: FloatArray, given: Sequence[float] | None) -> FloatArray:
    if given is None:
        return np.asarray(np.where((c == 0) | (c == n_c), (c + 0.5) / (n_c + 1), c / n_c))
    risks = np.array(checking.finite_numbers(given, "control_risks"))
    if risks.shape != c.shape or not ((risks > 0) & (risks < 1)).all():
        raise ValueError(
            f"control_risks must be {c.size} proportions between 0 and 1, one per trial pooled: got"
            f" {list(given)}"
        )
    return risks


def _card_analysis(measure: str, pooling: str, ci: str) -> Analysis:
    checking.chosen(pooling, (*ESTIMATORS, COMMON, STRATIFIED), "pooling", "intervals")
    return Analysis(
        measure, "half-if-any", pooling, checking.chosen(ci, INTERVALS, "interval", "intervals")
    )
