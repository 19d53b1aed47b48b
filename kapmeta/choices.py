"""The same trials under other choices of analysis: estimator, interval, continuity rule, measure, design, time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.combining import combine
from kapmeta.core.counts import TRIGGERS
from kapmeta.core.distributions import normal_quantile
from kapmeta.core.intervals import INTERVALS
from kapmeta.core.status import Status
from kapmeta.core.tau2 import ESTIMATORS
from kapmeta.effects import Names, risk_ratio
from kapmeta.pooling import one_question
from kapmeta.protocol import PRIMARY
from kapmeta.results import Effects, Sweep
from kapmeta.sensitivity_results import analyses_table, one_row

__all__ = ["estimator_table", "zero_rules"]

ESTIMATOR_LINE = (
    ("REML", "hksj-hybrid"),
    ("REML", "hksj"),
    ("REML", "hksj-variance"),
    ("REML", "wald"),
    ("PM", "hksj-hybrid"),
    ("DL", "wald"),
    ("SJ", "hksj-hybrid"),
)
"""Estimator and interval pairs shown beside every random-effects result; the first is the registered one."""


def estimator_table(
    effects: Effects, *, every: bool = False, level: float = PRIMARY.level, mixed: bool = False
) -> Sweep:
    """The same effects under other estimators of tau2 and other intervals: how much hangs on that choice.

    With few studies a great deal does, and a reader must see it.

    Parameters
    ----------
    effects : Effects
        At least two studies.
    every : bool
        Every estimator with every interval, instead of the registered line.
    level : float
        Confidence level, a proportion.
    mixed : bool
        As in `kapmeta.pool`.

    Returns
    -------
    Sweep
        One row an estimator and interval, then the common-effect model; limits are nan, and `status` says why, where an
        interval does not exist.

    Raises
    ------
    ValueError
        If fewer than two studies carry an estimate.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [12, 9, 20], "n_t": [40, 35, 61],
    ...                        "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> print(km.estimator_table(km.risk_ratio(trials)).summary())
    Estimators, 8 analyses: RR 1.82 to 1.82. The interval excludes 1 in 6 of 8.
    """
    effects, aside = one_question(effects, mixed)
    level = checking.proportion(level, "level")
    present = np.flatnonzero(effects.present)
    if present.size < 2:
        raise ValueError(f"the estimator table needs two studies or more: {present.size} carries an estimate")
    pairs = [(t, c) for t in ESTIMATORS for c in INTERVALS] if every else list(ESTIMATOR_LINE)
    rows = []
    for word, ci in [*pairs, ("common", "wald")]:
        tau2 = 0.0 if word == "common" else word
        found = combine(effects.y[present], effects.v[present], tau2=tau2, ci=ci, level=level)
        row = analyses_table([f"{word}, {ci}"], one_row(found), method=word, ci=ci)
        rows.append(row.assign(status=Status(int(found.status)).meaning))
    return Sweep("estimators", pd.concat(rows, ignore_index=True), effects, None, aside)


def zero_rules(trials: pd.DataFrame, *, measure: Callable[..., Effects] = risk_ratio, **names: Unpack[Names]) -> Sweep:
    """The same trials under every zero-cell rule: what the continuity correction decides.

    Where no table has a zero cell the rules agree (all but ``"half-all"``). Where one has, the estimate is an
    artefact of the rule and only the side of the interval that the data bound is information.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    measure : callable
        `kapmeta.risk_ratio`, `kapmeta.odds_ratio` or `kapmeta.risk_difference`.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Sweep
        One row a trial and rule.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="6 months")
    >>> km.zero_rules(trials).to_frame()[["rule", "estimate", "low", "high"]].round(2)
                    rule  estimate   low    high
    0        half-if-any     25.89  1.61  416.78
    1  half-if-any-study     25.89  1.61  416.78
    2           half-all     25.89  1.61  416.78
    3      treatment-arm     25.44  1.62  399.55
    4               none       NaN   NaN     NaN
    """
    rules = [rule for rule in TRIGGERS if rule not in ("empirical", "drop")]
    parts = []
    for rule in rules:
        effects = measure(trials, zero=rule, **names)
        half = float(normal_quantile((1 + PRIMARY.level) / 2)) * effects.se
        with np.errstate(invalid="ignore"):
            limits = {"y": effects.y, "se": effects.se, "y_low": effects.y - half, "y_high": effects.y + half}
        labels = list(effects.labels)
        columns = {
            "analysis": [f"{label}, {rule}" for label in labels],
            "rule": rule,
            "study": labels,
            "k": 1,
            **limits,
        }
        parts.append(pd.DataFrame(columns).assign(corrected=effects.corrected))
    table = pd.concat(parts, ignore_index=True)
    table.loc[~np.isfinite(table["se"]), ["se", "y_low", "y_high"]] = np.nan
    return Sweep("zero-cell rules", table, measure(trials, **names))
