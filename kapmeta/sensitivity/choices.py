"""Other choices of analysis for the same trials: estimator, interval, zero cells, measure, time."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.effects.counts import TRIGGERS
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling.combining import combine
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.effects.counts import (
    Names,
    arcsine_difference,
    complement,
    odds_ratio,
    risk_difference,
    risk_ratio,
    split_names,
)
from kapmeta.methods import CI_NAMES, PRIMARY, TAU2_NAMES, ZERO_NAMES
from kapmeta.pooling.inverse_variance import one_question, pool
from kapmeta.results.effects import Effects, effects_given
from kapmeta.results.pooled import Pooled
from kapmeta.results.shared.columns import empty_cells, level_names, read_column
from kapmeta.results.sweeps import Sweep, analyses_table, one_row
from kapmeta.wording import CONFIRMED, FIRST_HAND

__all__ = ["at_time", "estimator_table", "every_measure", "pooled_measures", "zero_rules"]

ESTIMATOR_LINE = (
    ("REML", "hksj-hybrid"),
    ("REML", "hksj"),
    ("REML", "hksj-variance"),
    ("REML", "wald"),
    ("PM", "hksj-hybrid"),
    ("DL", "wald"),
    ("SJ", "hksj-hybrid"),
)
"""Estimator and interval pairs shown beside a random-effects result, the primary method first."""


@checking.checked
def estimator_table(
    effects: Effects, *, every: bool = False, level: float = PRIMARY.level, mixed: bool = False
) -> Sweep:
    """Pool the same effects with other estimators of tau2 and other intervals.

    With few studies much depends on that choice, and a reader must see it.

    Parameters
    ----------
    effects : Effects
        At least two studies.
    every : bool
        Every estimator with every interval, instead of `ESTIMATOR_LINE`.
    level : float
        Confidence level, a proportion.
    mixed : bool
        As in `kapmeta.pool`.

    Returns
    -------
    Sweep
        One row per estimator and interval, then the common-effect model; limits are nan, and
        `status` says why, where an interval does not exist.

    Raises
    ------
    ValueError
        If fewer than two studies have an estimate.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [12, 9, 20],
    ...                        "n_t": [40, 35, 61], "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> print(km.estimator_table(km.risk_ratio(trials)).summary())
    Estimators, 8 analyses: RR 1.82 to 1.82. The interval excludes 1 in 6 of 8.
    """
    effects, aside = one_question(effects_given(effects), mixed)
    level, every = checking.proportion(level, "level"), checking.flag(every, "every")
    present = np.flatnonzero(effects.present)
    if present.size < 2:
        raise ValueError(
            f"the estimator table needs two studies or more: {present.size} has an estimate"
        )
    pairs = [(t, c) for t in ESTIMATORS for c in INTERVALS] if every else list(ESTIMATOR_LINE)
    rows = []
    for word, ci in [*pairs, ("common", "wald")]:
        tau2 = 0.0 if word == "common" else word
        found = combine(effects.y[present], effects.v[present], tau2=tau2, ci=ci, level=level)
        row = analyses_table([f"{word}, {ci}"], one_row(found), method=word, ci=ci)
        rows.append(row.assign(status=Status(int(found.status)).meaning))
    table, methods = pd.concat(rows, ignore_index=True), _estimators_methods(effects, pairs)
    return Sweep("estimators", table, effects, None, aside, methods, ("tau2", "intervals"))


def _estimators_methods(effects: Effects, pairs: list[tuple[str, str]]) -> str:
    """Name the estimators and intervals that were combined."""
    tau2 = wording.joined(dict.fromkeys(TAU2_NAMES[word] for word, _ in pairs))
    ci = wording.joined(dict.fromkeys(CI_NAMES[word] for _, word in pairs))
    return (
        f"{wording.studies(effects.k)} were pooled under {len(pairs)} combinations of an estimator"
        f" of the between-study variance ({tau2}) and an interval ({ci}), and with the"
        " common-effect model."
    )


@checking.checked
def zero_rules(
    trials: pd.DataFrame, *, measure: Callable[..., Effects] = risk_ratio, **names: Unpack[Names]
) -> Sweep:
    """Compute the effects under every zero-cell rule: what the continuity correction decides.

    Where no table has a zero cell the rules agree (all but ``"half-all"``). Where one has, the
    estimate is an artefact of the rule and only the side of the interval that the data bound is
    information.

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
        One row per trial and rule.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="6 months")
    >>> km.sensitivity.zero_rules(trials).to_frame()[["rule", "estimate", "low", "high"]].round(2)
                    rule  estimate   low    high
    0        half-if-any     25.89  1.61  416.78
    1  half-if-any-study     25.89  1.61  416.78
    2           half-all     25.89  1.61  416.78
    3      treatment-arm     25.44  1.62  399.55
    4               none       NaN   NaN     NaN
    """
    if measure not in (risk_ratio, odds_ratio, risk_difference):
        raise TypeError(
            "measure must be kapmeta.risk_ratio, kapmeta.odds_ratio or kapmeta.risk_difference: got"
            f" {getattr(measure, '__name__', measure)!r}"
        )
    rules = [rule for rule in TRIGGERS if rule not in ("empirical", "drop")]
    parts = []
    for rule in rules:
        effects = measure(trials, zero=rule, **names)
        half = float(normal_quantile((1 + PRIMARY.level) / 2)) * effects.se
        with np.errstate(invalid="ignore"):
            limits = {
                "y": effects.y,
                "se": effects.se,
                "y_low": effects.y - half,
                "y_high": effects.y + half,
            }
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
    effects = measure(trials, **names)
    named = "; ".join(f"{rule} ({ZERO_NAMES[rule]})" for rule in rules)
    what = f"{effects.scale.name} of {wording.studies(len(effects))}"
    methods = f"The {what} was computed under each zero-cell rule: {named}."
    return Sweep("zero-cell rules", table, effects, methods=methods, papers=("zero cells",))


def _all_studies(frame: pd.DataFrame) -> Any:
    return np.ones(len(frame), dtype=bool)


def _all_of_one_design(frame: pd.DataFrame) -> Any:
    """Select all studies, or the randomised alone where both designs are present."""
    randomised = _randomised(frame)
    return randomised if randomised.any() else _all_studies(frame)


def _randomised(frame: pd.DataFrame) -> Any:
    if "randomised" not in frame:
        return _all_studies(frame)
    return checking.established(frame, "randomised")


def _with_words(column: str, words: tuple[str, ...]) -> Callable[[pd.DataFrame], Any]:
    def chosen(frame: pd.DataFrame) -> Any:
        if column not in frame:
            raise ValueError(f'trials has no column "{column}", by which studies are to be chosen')
        return np.array([checking.same_word(word, words) is not None for word in frame[column]])

    return chosen


INCLUSIONS: Mapping[str, Callable[[pd.DataFrame], Any]] = {
    "all": _all_of_one_design,
    "randomised": _randomised,
    "with non-randomised": _all_studies,
    "primary sources": _with_words("evidence_level", FIRST_HAND),
    "not tertiary": _with_words("evidence_level", CONFIRMED),
    "low risk of bias": _with_words("risk_of_bias", ("low",)),
    "not high risk of bias": _with_words("risk_of_bias", ("low", "some concerns", "unclear")),
}
"""Which studies take part, by name: from the rows, one per study, to a boolean for each."""


@checking.checked
def at_time(trials: pd.DataFrame, rule: str, *, study: Hashable = "study") -> pd.DataFrame:
    """Choose one time point per study by one rule for all: a trial enters a pool once.

    Parameters
    ----------
    trials : DataFrame
        Rows of which several may be of one study, with `months`.
    rule : str
        ``"as given"`` (one row per study already), ``"longest"``, ``"earliest"``, or
        ``"nearest 6"`` for the time nearest to so many months; of two as near, the later.
    study : str
        Column of the study.

    Returns
    -------
    DataFrame
        The rows chosen, index kept.

    Raises
    ------
    ValueError
        If the rule is unknown, `months` is missing, or a study has two rows at one time.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine")
    >>> [at_time(trials, rule)["months"].item() for rule in ("earliest", "longest", "nearest 3")]
    [1.2, 6.0, 1.2]
    """
    checking.refuse_no_table(trials, row="comparison")
    checking.instance(rule, str, "time", 'be a word, e.g. "longest" or "nearest 6"')
    if study not in trials:
        raise ValueError(
            f'trials has no column "{study}"; it has: {", ".join(map(str, trials.columns))}'
        )
    nearest = re.fullmatch(r"nearest (\d+(?:\.\d+)?)", rule)
    if nearest is None:
        checking.chosen(rule, ("as given", "longest", "earliest"), "time", "rule")
    names = pd.Series(level_names(trials[study]), index=trials.index)
    if not names.duplicated().any():
        return trials
    twice = names[names.duplicated()].iloc[0]
    if rule == "as given":
        raise ValueError(
            f'study "{twice}" comes more than once; choose a time: "longest", "earliest" or e.g.'
            ' "nearest 6"'
        )
    months = _months_of(trials, names, twice)
    if nearest is not None:
        away = (months - float(nearest.group(1))).abs()
        ranked = trials.assign(_away=away, _later=-months).sort_values(
            ["_away", "_later"], kind="stable"
        )
    else:
        ranked = trials.assign(_away=months).sort_values(
            "_away", kind="stable", ascending=rule == "earliest"
        )
    kept = ranked.assign(_study=names).drop_duplicates("_study").index
    same = pd.DataFrame({"study": names, "months": months}).duplicated(keep=False)
    if same[kept].any():
        raise ValueError(
            f'study "{names[same].iloc[0]}" has two rows at the same time; keep one of them'
        )
    return trials.loc[sorted(kept)]


def _months_of(trials: pd.DataFrame, names: pd.Series[str], twice: str) -> pd.Series[float]:
    """Read the months of every row as numbers."""
    if "months" not in trials or empty_cells(trials["months"]).any():
        raise ValueError(
            f'a time can be chosen only where every row has months; "{twice}" comes more than once'
        )
    found = read_column(trials["months"], "months", tuple(names)).numbers
    if found is None:
        raise ValueError(f'months must be numbers: got "{trials["months"].iloc[0]}"')
    return pd.Series(found, index=trials.index)


_DIRECTIONS: tuple[tuple[str, Callable[..., Effects], bool], ...] = (
    ("RR", risk_ratio, False),
    ("RR of the opposite", risk_ratio, True),
    ("OR", odds_ratio, False),
    ("RD", risk_difference, False),
    ("AS", arcsine_difference, False),
)


@checking.checked
def pooled_measures(
    trials: pd.DataFrame,
    *,
    opposite: str | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> pd.DataFrame:
    """Pool on every scale: risk ratios of the event and of its opposite, odds ratio, differences.

    The risk ratio of an event is not the reciprocal of that of its opposite: the weights differ,
    and with them the heterogeneity and sometimes the conclusion. `flag` says so where it happens.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    opposite : str, optional
        What the opposite of the event is called; "no" and the name of the event by default.
    level, mixed, **names
        As in `kapmeta.pool`.

    Returns
    -------
    DataFrame
        One row per measure: k, estimate and limits as shown, `more events under` (treatment,
        control or neither), Q with its p-value, tau2, and the flag, the same in every row.

    References
    ----------
    .. [1] Deeks JJ. Issues in the selection of a summary statistic for meta-analysis of clinical
       trials with binary outcomes. Stat Med 2002;21:1575-1600. https://doi.org/10.1002/sim.1188

    Examples
    --------
    >>> import kapmeta as km
    >>> alcohol = km.load_evidence().trials(substance="alcohol")
    >>> pooled_measures(alcohol, mixed=True, opposite="relapse")[["measure", "q"]].head(2).round(2)
                        measure     q
    0  risk ratio of abstinence  3.65
    1     risk ratio of relapse  2.75
    """
    rows = []
    for _, function, turned in _DIRECTIONS:
        counted = complement(_default_names(trials, names), opposite) if turned else trials
        effects = function(counted, **(arm_names(names) if turned else names))
        found = pool(effects, level=level, mixed=mixed)
        rows.append(_measure_row(found, turned))
    table = pd.DataFrame(rows)
    return table.assign(flag=_direction_flag(table))


def _default_names(trials: pd.DataFrame, names: Names) -> pd.DataFrame:
    columns, _ = split_names(names)
    return checking.columns_of(trials, columns)


def arm_names(names: Names, *more: str) -> Names:
    """Keep the names of the arms, and those in `more`; names of columns are dropped."""
    kept = ("treatment", "control", *more)
    return {key: value for key, value in names.items() if key in kept}  # type: ignore[return-value]


def event_names(names: Names) -> Names:
    """Keep the names of the arms and what the event is; names of columns are dropped."""
    return arm_names(names, "event", "event_is_good")


def _measure_row(found: Pooled, turned: bool) -> dict[str, Any]:
    side = -found.side if turned and found.side else found.side or 0
    return {
        "measure": f"{found.scale.name} of {found.effects.event}",
        "k": found.k,
        **found.shown_interval._asdict(),
        "more events under": {1: "treatment", -1: "control", 0: "neither"}[side],
        "q": found.q,
        "q_p_value": found.q_p_value,
        "tau2": found.tau2,
    }


def _direction_flag(table: pd.DataFrame) -> str:
    """Describe which conclusions depend on the direction of the event; empty if none does."""
    parts = []
    if table["more events under"].nunique() > 1:
        parts.append("the conclusion depends on the measure")
    tested = table["q_p_value"].iloc[:2]
    if tested.notna().all() and (tested < 0.1).nunique() > 1:
        parts.append(
            "whether the trials look alike depends on whether the event or its opposite is counted"
        )
    return "; ".join(parts)


@checking.checked
def every_measure(trials: pd.DataFrame, *, opposite: str | None = None) -> pd.DataFrame:
    """Compute each trial's RR, OR and RD, and the risk ratio of the opposite event.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    opposite : str, optional
        What the opposite of the event is called; "no" and the name of the event by default.

    Returns
    -------
    DataFrame
        One row per trial and measure, with Wald limits; score limits too for risk ratios of the
        event.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> km.sensitivity.every_measure(trials, opposite="relapse").iloc[:, 1:5].round(2)
                             measure  estimate   low   high
    0       risk ratio of abstinence      4.49  1.44  14.03
    1       odds ratio of abstinence      7.74  1.88  31.87
    2  risk difference of abstinence      0.37  0.15   0.59
    3          risk ratio of relapse      0.58  0.39   0.85
    """
    several = [
        risk_ratio(trials),
        odds_ratio(trials),
        risk_difference(trials),
        risk_ratio(complement(trials, opposite)),
    ]
    parts = []
    for effects in several:
        frame = effects.to_frame()
        part = frame[["estimate", "low", "high", "corrected"]].copy()
        part.insert(0, "study", list(effects.labels))
        part.insert(1, "measure", f"{effects.scale.name} of {effects.event}")
        parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values(
        "study", kind="stable", ignore_index=True
    )
