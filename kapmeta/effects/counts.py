"""Effects from counts: the numbers with the event, and the totals, of two arms."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import counts
from kapmeta.core.effects.single_trial import SINGLE_TRIAL_MEASURES
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.effects.gaps import estimated
from kapmeta.results.effects import Effects, opposite_direction
from kapmeta.results.shared.rows import PERCENTS, absence_reason, rest_of_percent
from kapmeta.wording import opposite_event

__all__ = [
    "arcsine_difference",
    "complement",
    "from_counts",
    "odds_ratio",
    "peto_odds_ratio",
    "risk_difference",
    "risk_ratio",
    "without_gaps",
]


class Names(TypedDict, total=False):
    """Names of the columns of a frame of trials, of the event counted and of the arms."""

    study: str | float
    events_t: str | float
    n_t: str | float
    events_c: str | float
    n_c: str | float
    rename: Mapping[str, str]
    event: str
    event_is_good: bool
    treatment: str
    control: str


class CountMeasure(NamedTuple):
    """A row of `COUNT_MEASURES`: what a measure of `counts.KERNELS` offers."""

    zero: str | None = None  # default zero-cell rule; None where the measure needs no correction
    trial_interval: str = "wald"  # interval of a single trial that needs no correction


COUNT_MEASURES: Mapping[str, CountMeasure] = MappingProxyType(
    {
        "RR": CountMeasure("half-if-any", "koopman"),
        "OR": CountMeasure("half-if-any", "mid-p"),
        "RD": CountMeasure("half-if-any", "miettinen-nurminen-rd"),
        "AS": CountMeasure(),
        "PETO": CountMeasure(),
    }
)
"""Measures of counts by key."""

CELLS = ("events_t", "n_t", "events_c", "n_c")
"""Default names of the four columns of counts, treatment first."""

_TOTALS = {"events_t": "n_t", "events_c": "n_c"}
_OUTCOME: Mapping[str, Any] = {
    "event": "event",
    "event_is_good": None,
    "treatment": "treatment",
    "control": "control",
}


def split_names(names: Names) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keywords into column names, defaults filled in, and names of the outcome and arms."""
    columns, words = checking.split_keywords(names, ("study", *CELLS), (*_OUTCOME, "rename"))
    return checking.renamed(columns, words.pop("rename")), words


def counts_of(
    trials: Any, columns: Mapping[str, Hashable], *, missing: bool = False
) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, FloatArray]]:
    """Return the rows, the labels and the four checked count columns of a frame of trials.

    Empty cells are refused unless `missing`, which keeps them as nan.
    """
    frame = checking.columns_of(trials, columns)
    labels = checking.study_labels(frame)
    cells = checking.counts(frame, _TOTALS, labels, missing=missing)
    return frame.assign(**cells), labels, cells


def without_gaps(trials: Any, names: Names) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out rows with an empty count, for analyses that need the counts of every row.

    Returns
    -------
    DataFrame, tuple of str
        The other rows as they were given, and one sentence per row left out, with its reason.

    Raises
    ------
    ValueError
        If every row has an empty count.
    """
    given = checking.frame_of(trials)
    columns, _ = split_names(names)
    frame = checking.columns_of(given, columns)
    labels = tuple(map(checking.name_of, frame["study"]))
    cells = {name: checking.numbers(frame, name, labels, missing=True) for name in CELLS}
    gaps = checking.gaps_of(cells, labels)
    notes = tuple(f'"{labels[i]}" takes no part: {why}' for i, why in gaps.items())
    if len(gaps) == len(frame):
        raise ValueError(f"no trial has all four counts: {'; '.join(notes)}")
    return given.iloc[np.setdiff1d(np.arange(len(frame)), list(gaps))] if gaps else given, notes


def counts_as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the count columns to numbers; refuse text, keep missing values and whole numbers."""
    labels = tuple(checking.name_of(study) for study in frame["study"])
    cells = {name: checking.numbers(frame, name, labels, missing=True) for name in CELLS}
    exact = {
        name: frame[name] if pd.api.types.is_integer_dtype(frame[name].dtype) else values
        for name, values in cells.items()
    }
    return frame.assign(**exact)


def outcome_of(frame: pd.DataFrame, given: Mapping[str, Any]) -> dict[str, Any]:
    """Name the event and the arms: by keyword, else by a column of one value, else plainly.

    The event, and whether it is good, must be the same in all rows; arms that differ between rows
    go by a plain word.
    """
    outcome = {}
    for name, default in _OUTCOME.items():
        value = given.get(name)
        if value is not None and name == "event_is_good":
            value = checking.flag(value, name)
        elif value is None and name in frame:
            column = checking.flags(frame, name) if name == "event_is_good" else frame[name]
            values = column.dropna().unique().tolist()
            if name in ("event", "event_is_good") and len(values) > 1:
                raise ValueError(
                    f"{name} differs between rows: {', '.join(map(repr, values))}; analyse one"
                    f' outcome at a time, or rename={{"{name}": "..."}} a column that means'
                    " something else"
                )
            value = values[0] if len(values) == 1 else None
        outcome[name] = default if value is None or str(value).strip() == "" else value
    return outcome


@checking.checked
def from_counts(
    trials: pd.DataFrame,
    measure: str = "RR",
    *,
    zero: str | None = None,
    interval: str = "wald",
    missing: str = "exclude",
    **names: Unpack[Names],
) -> Effects:
    """Compute effects of the measure named, from the events and totals of two arms.

    For programs in which the measure is a choice; by hand, the function of the measure reads
    better.

    Parameters
    ----------
    trials : DataFrame
        One row per trial, as in `risk_ratio`.
    measure : {"RR", "OR", "RD", "AS", "PETO"}
        Risk ratio, odds ratio, risk difference, arcsine difference or Peto odds ratio.
    zero : str, optional
        Zero-cell rule, as in `risk_ratio`; ``"half-if-any"`` by default. Not for the last two
        measures, which need none.
    interval : str
        Interval shown for single trials, as in the function of the measure.
    missing : {"exclude", "raise"}
        As in `risk_ratio`.
    **names
        As in `risk_ratio`.

    Returns
    -------
    Effects
        As from the function of the measure.

    Raises
    ------
    ValueError
        If a word is not offered, or as in `risk_ratio`.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.effects import from_counts
    >>> [from_counts(km.load_example("bcg"), measure).k for measure in ("RR", "RD", "PETO")]
    [13, 13, 13]
    """
    rule = _checked_rule(measure, zero, interval)
    columns, outcome = split_names(names)
    frame, labels, cells = counts_of(trials, columns, missing=True)
    gaps = checking.gaps_of(cells, labels, missing)
    kernel = partial(counts.KERNELS[measure], **({} if rule is None else {"zero": rule}))
    found = estimated(kernel, cells, gaps)
    if np.isnan(found.v).any():
        raise ValueError(
            f'zero-cell rule "{rule}" cannot be applied here: it needs at least one table without'
            " a zero cell; choose another rule"
        )
    absent = {
        int(i): absence_reason([float(cells[name][i]) for name in CELLS], rule)
        for i in np.flatnonzero(found.absent)
    }
    return Effects(
        found.y,
        found.v,
        labels,
        measure,
        frame,
        zero=rule,
        corrected=found.corrected,
        excluded=absent | gaps,
        interval=interval,
        **outcome_of(frame, outcome),
    )


def _checked_rule(measure: str, zero: str | None, interval: str) -> str | None:
    """Check measure, zero-cell rule and interval against each other; return the rule."""
    checking.chosen(measure, COUNT_MEASURES, "measure")
    offered = ["wald", *(word for word, of in SINGLE_TRIAL_MEASURES.items() if of == measure)]
    checking.chosen(interval, offered, "interval of single trials")
    default = COUNT_MEASURES[measure].zero
    if default is None and zero is not None:
        raise ValueError(f"measure {measure} needs no zero-cell rule; leave zero out")
    rule = default if zero is None else zero
    return None if rule is None else checking.chosen(rule, counts.TRIGGERS, "zero-cell rule")


@checking.checked
def risk_ratio(
    trials: pd.DataFrame,
    *,
    zero: str = "half-if-any",
    interval: str = "wald",
    missing: str = "exclude",
    **names: Unpack[Names],
) -> Effects:
    """Compute log risk ratios of the event, treatment against control, one per row.

    The default measure of this package. Not for outcomes that nearly everybody has (the ratio meets
    its ceiling), and not alone where trials have zero cells: their corrected estimate is an
    artefact of the correction, and `kapmeta.pool_exact` or `kapmeta.mantel_haenszel` need none. The
    risk ratio of an event is not the reciprocal of the risk ratio of its opposite; see
    `complement`.

    Parameters
    ----------
    trials : DataFrame
        One row per trial.
    zero : str
        What is done about zero cells: ``"half-if-any"`` (0.5 to the four cells of a table with a
        zero), ``"half-if-any-study"`` (to every table if any has a zero), ``"half-all"``,
        ``"treatment-arm"`` (the reciprocal of the other arm's size), ``"empirical"``, ``"none"``
        (such a table is excluded, with its reason), or ``"drop"`` (as the first, and tables without
        an event in either arm are excluded).
    interval : str
        Interval shown for single trials: ``"wald"``, or ``"koopman"`` or
        ``"miettinen-nurminen-rr"``, score intervals that need no correction. It does not
        change the pooled result.
    missing : {"exclude", "raise"}
        What is done about a trial with an empty count: it stays in the table, out of the pool, with
        the reason, or it is an error. An impossible count is always an error.
    study, events_t, n_t, events_c, n_c : str, optional
        Columns that hold the label, and events and totals of the treated and of the control arm, if
        they have other names than these. Names are compared without blanks around them and
        invisible characters. Where both columns of each arm are named for the other, the names of
        the arms and the other paired columns (``missing_t``, ``missing_c`` and the like) are
        exchanged too.
    rename : mapping of str to str, optional
        Other columns to be renamed first: one of yours that has a reserved name and means something
        else, ``{"label": "blinding"}``, or the reverse, ``{"rct": "randomised"}``.
        `kapmeta.effects.reserved_columns` lists the names.
    event, event_is_good, treatment, control : optional
        Name of the event, whether more events are better, and names of the arms: for labels and
        sentences. Taken from columns of these names by default.

    Returns
    -------
    Effects
        Log risk ratios with their variances.

    Raises
    ------
    ValueError
        If a column is missing, a count is negative, fractional, not a number, 2^53 or more, or
        larger than its total, a total is 0, or a study appears twice, in whatever spelling.

    Warns
    -----
    UserWarning
        If two studies differ by case or punctuation only, or a row is called a total.

    References
    ----------
    .. [1] Katz D, Baptista J, Azen SP, Pike MC. Obtaining confidence intervals for the risk ratio
       in cohort studies. Biometrics 1978;34:469-474. https://doi.org/10.2307/2530610

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> effects = km.risk_ratio(trials)
    >>> print(effects.summary())  # doctest: +NORMALIZE_WHITESPACE
    Risk ratio of abstinence, ketamine v midazolam: 1 study.
    No trial had an empty cell (zero-cell rule "half-if-any").
      Dakwar 2019: RR 4.49 (1.44 to 14.03)
    """
    return from_counts(trials, "RR", zero=zero, interval=interval, missing=missing, **names)


@checking.checked
def odds_ratio(
    trials: pd.DataFrame,
    *,
    zero: str = "half-if-any",
    interval: str = "wald",
    missing: str = "exclude",
    **names: Unpack[Names],
) -> Effects:
    """Compute log odds ratios of the event, treatment against control, one per row.

    The measure that is the same for event and non-event but for its sign, and the one that reported
    odds ratios can join. Not to be read as a ratio of risks when the event is common.

    Parameters
    ----------
    trials, zero, interval, missing, **names
        As in `risk_ratio`. ``zero="drop"`` also excludes tables in which everybody had the event;
        `interval` is ``"wald"``, ``"exact"`` or ``"mid-p"``.

    Returns
    -------
    Effects
        Log odds ratios with their variances.

    Raises
    ------
    ValueError
        As in `risk_ratio`.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> km.odds_ratio(trials)
    Effects(OR, k=1)
    """
    return from_counts(trials, "OR", zero=zero, interval=interval, missing=missing, **names)


@checking.checked
def risk_difference(
    trials: pd.DataFrame,
    *,
    zero: str = "half-if-any",
    interval: str = "wald",
    missing: str = "exclude",
    **names: Unpack[Names],
) -> Effects:
    """Compute risk differences of the event, treatment less control, one per row.

    The absolute effect in the trials themselves; needs no correction to be estimated. Not the
    measure to pool first when the control risks of the trials differ much.

    Parameters
    ----------
    trials, zero, interval, missing, **names
        As in `risk_ratio`. The correction enters the variance only: the difference itself is never
        changed; `interval` is ``"wald"``, ``"newcombe"`` or ``"miettinen-nurminen-rd"``.

    Returns
    -------
    Effects
        Risk differences with their variances.

    Raises
    ------
    ValueError
        As in `risk_ratio`.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="6 months")
    >>> float(km.risk_difference(trials).y[0].round(4))     # 12 of 27 less 0 of 28
    0.4444
    """
    return from_counts(trials, "RD", zero=zero, interval=interval, missing=missing, **names)


@checking.checked
def arcsine_difference(
    trials: pd.DataFrame, *, missing: str = "exclude", **names: Unpack[Names]
) -> Effects:
    """Compute differences of arcsine-transformed risks, treatment less control, one per row.

    A sensitivity scale for tables with zeros: its variance does not depend on the counts and it
    needs no correction. Not for readers, who cannot interpret it.

    Parameters
    ----------
    trials, missing, **names
        As in `risk_ratio`.

    Returns
    -------
    Effects
        Arcsine differences with their variances.

    Raises
    ------
    ValueError
        As in `risk_ratio`.

    References
    ----------
    .. [1] Rücker G, Schwarzer G, Carpenter J, Olkin I. Why add anything to nothing? The arcsine
       difference as a measure of treatment effect in meta-analysis with zero cells. Stat Med
       2009;28:721-738. https://doi.org/10.1002/sim.3511

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="6 months")
    >>> float(km.arcsine_difference(trials).y[0].round(6))
    0.729728
    """
    return from_counts(trials, "AS", missing=missing, **names)


@checking.checked
def peto_odds_ratio(
    trials: pd.DataFrame, *, missing: str = "exclude", **names: Unpack[Names]
) -> Effects:
    """Compute Peto's one-step log odds ratios, one per row.

    For rare events, balanced arms and small effects. Not for common events or large effects: there
    the method is biased towards no effect.

    Parameters
    ----------
    trials, missing, **names
        As in `risk_ratio`.

    Returns
    -------
    Effects
        Peto log odds ratios with their variances.

    Raises
    ------
    ValueError
        As in `risk_ratio`.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="6 months")
    >>> km.peto_odds_ratio(trials)
    Effects(PETO, k=1)
    """
    return from_counts(trials, "PETO", missing=missing, **names)


@checking.checked
def complement(trials: pd.DataFrame, event: str | None = None) -> pd.DataFrame:
    """Turn trials round to the opposite event: ``n - events`` for every count of events.

    The risk ratio of the opposite event is another measure of the same tables, with other weights
    and another heterogeneity. Show both.

    Parameters
    ----------
    trials : DataFrame
        Rows with the default columns `events_t`, `n_t`, `events_c`, `n_c`.
    event : str, optional
        Name of the opposite event; "no" and the name of the event by default, or the name without
        its "no".

    Returns
    -------
    DataFrame
        A copy with ``events = n - events``, the new `event`, `event_is_good` turned round, and
        printed percentages, `percent_t` and `percent_c`, taken from 100. An unknown count stays
        unknown. The complement of the complement is the table itself.

    Raises
    ------
    ValueError
        If a column is missing, or a count is not a number.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> columns = ["event", "events_t", "n_t", "events_c", "n_c"]
    >>> km.effects.complement(trials, "relapse")[columns].to_string(index=False)
    '  event  events_t  n_t  events_c  n_c\\nrelapse        14   27        25   28'
    """
    frame = checking.columns_of(trials, {name: name for name in ("study", *CELLS)})
    frame = counts_as_numbers(frame)
    outcome = outcome_of(frame, {} if event is None else {"event": event})
    percents = {name: frame[name].map(rest_of_percent) for name in PERCENTS if name in frame}
    return frame.assign(
        events_t=frame["n_t"] - frame["events_t"],
        events_c=frame["n_c"] - frame["events_c"],
        event=opposite_event(outcome["event"]) if event is None else event,
        event_is_good=opposite_direction(outcome["event_is_good"]),
        **percents,
    )
