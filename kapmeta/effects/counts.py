"""Effects from the rows of a DataFrame: counts of two arms, or effects as reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import counts
from kapmeta.core.effects.single_trial import SINGLE_TRIAL_MEASURES
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.results.effects import Effects

__all__ = [
    "arcsine_difference",
    "complement",
    "odds_ratio",
    "peto_odds_ratio",
    "risk_difference",
    "risk_ratio",
]


class Names(TypedDict, total=False):
    """What the columns of a frame of trials are called, and what is counted in which arms."""

    study: str
    events_t: str
    n_t: str
    events_c: str
    n_c: str
    event: str
    event_is_good: bool
    treatment: str
    control: str


_COLUMNS = ("study", "events_t", "n_t", "events_c", "n_c")
_STORY: Mapping[str, Any] = {
    "event": "event",
    "event_is_good": True,
    "treatment": "treatment",
    "control": "control",
}


def split_names(names: Names) -> tuple[dict[str, str], dict[str, Any]]:
    """Column names, defaults filled in, and the words of the story; an unknown keyword is refused."""
    return checking.split_keywords(names, _COLUMNS, tuple(_STORY))


def counts_of(
    trials: Any, columns: Mapping[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, FloatArray]]:
    """Rows, labels and the four checked count columns of a frame of trials."""
    frame = checking.columns_of(trials, columns)
    labels = checking.study_labels(frame)
    cells = {name: checking.numbers(frame, name, labels) for name in columns if name != "study"}
    for name, values in cells.items():
        checking.refuse_first(
            values < 0,
            labels,
            lambda i, name=name: f"{name} is negative",  # type: ignore[misc]
            lambda i, name=name, values=values: f"{name} = {values[i]:g}; counts start at 0",  # type: ignore[misc]
        )
        checking.refuse_first(
            values != np.floor(values),
            labels,
            lambda i, name=name: f"{name} is not a whole number",  # type: ignore[misc]
            lambda i, name=name, values=values: (
                f"{name} = {values[i]:g}; give the count, not a percentage"
            ),  # type: ignore[misc]
        )
    for events, total in (("events_t", "n_t"), ("events_c", "n_c")):
        x, n = cells[events], cells[total]
        checking.refuse_first(
            n == 0,
            labels,
            lambda i, total=total: f"{total} is 0",  # type: ignore[misc]
            lambda i, total=total: (
                f"an arm without participants tells nothing; leave the row out ({total} = 0)"
            ),  # type: ignore[misc]
        )
        checking.refuse_first(
            x > n,
            labels,
            lambda i: "events exceed total",
            lambda i, e=events, t=total, x=x, n=n: f"{e} = {x[i]:g} > {t} = {n[i]:g}",  # type: ignore[misc]
        )
    return frame.assign(**cells), labels, cells


def counts_as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of trials with counts to reckon with, however they were stored; text is refused, gaps are kept."""
    labels = tuple(frame["study"].astype(str))
    for name in _COLUMNS[1:]:
        checking.numbers(frame, name, labels, missing=True)
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in _COLUMNS[1:]})


def story_of(frame: pd.DataFrame, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is counted and in which arms: keyword, else a column that says the same in all rows, else a plain word."""
    story = {}
    for name, default in _STORY.items():
        value = given.get(name)
        if value is None and name in frame:
            said = frame[name].dropna().unique().tolist()
            if name in ("event", "event_is_good") and len(said) > 1:
                raise ValueError(
                    f"{name} differs between rows: {', '.join(map(repr, said))}; analyse one"
                    " outcome at a time"
                )
            value = said[0] if len(said) == 1 else None
        story[name] = default if value is None or str(value).strip() == "" else value
    if story["event_is_good"] not in (True, False):
        raise ValueError(f"event_is_good must be True or False: got {story['event_is_good']!r}")
    story["event_is_good"] = bool(story["event_is_good"])
    return story


def _from_counts(
    measure: str,
    kernel: Callable[..., counts.Estimates],
    trials: Any,
    names: Names,
    *,
    interval: str = "wald",
    **options: Any,
) -> Effects:
    """Checked rows through a core function of the four counts."""
    offered = ["wald", *(word for word, of in SINGLE_TRIAL_MEASURES.items() if of == measure)]
    checking.chosen(interval, offered, "interval of single trials")
    columns, told = split_names(names)
    frame, labels, cells = counts_of(trials, columns)
    found = kernel(*cells.values(), **options)
    reasons = {
        int(i): _reason(cells, int(i), options.get("zero")) for i in np.flatnonzero(found.absent)
    }
    unknown = np.isnan(found.v)
    if unknown.any():
        raise ValueError(
            f'zero-cell rule "{options.get("zero")}" cannot be worked out here: it needs at least'
            " one table without a zero cell; choose another rule"
        )
    return Effects(
        found.y,
        found.v,
        labels,
        measure,
        frame,
        zero=options.get("zero"),
        corrected=found.corrected,
        excluded=reasons,
        interval=interval,
        **story_of(frame, told),
    )


def _reason(cells: Mapping[str, FloatArray], i: int, zero: str | None) -> str:
    """Why a table carries no estimate."""
    a, n1, c, n2 = (cells[name][i] for name in ("events_t", "n_t", "events_c", "n_c"))
    if a == 0 and c == 0:
        return "no event in either arm"
    if a == n1 and c == n2:
        return "the event happened to everybody in both arms"
    return f'a zero cell ({a:g} of {n1:g} v {c:g} of {n2:g}) and zero-cell rule "{zero}"'


def risk_ratio(
    trials: pd.DataFrame,
    *,
    zero: str = "half-if-any",
    interval: str = "wald",
    **names: Unpack[Names],
) -> Effects:
    """Log risk ratios of the event, treatment against control, one a row.

    The default measure of this package. Not for outcomes that nearly everybody has (the ratio meets
    its ceiling), and not alone where trials have zero cells: their corrected estimate is an
    artefact of the correction, and `kapmeta.pool_exact` or `kapmeta.mantel_haenszel` need none. The
    risk ratio of an event is not the reciprocal of the risk ratio of its opposite; see
    `complement`.

    Parameters
    ----------
    trials : DataFrame
        One row a trial.
    zero : str
        What is done about zero cells: ``"half-if-any"`` (0.5 to the four cells of a table with a
        zero), ``"half-if-any-study"`` (to every table if any has a zero), ``"half-all"``,
        ``"treatment-arm"`` (the reciprocal of the other arm's size), ``"empirical"``, ``"none"``
        (such a table is excluded, with its reason), or ``"drop"`` (as the first, and tables without
        an event in either arm are excluded).
    interval : str
        Interval the rows of single trials are shown with: ``"wald"``, or ``"koopman"`` or
        ``"miettinen-nurminen-rr"``, score intervals that need no correction. Pooling is not touched
        by it.
    study, events_t, n_t, events_c, n_c : str, optional
        Columns that hold the label, and events and totals of the treated and of the control arm, if
        they have other names than these.
    event, event_is_good, treatment, control : optional
        What is counted, whether more of it is better, and what the arms are called: for labels and
        sentences. Taken from columns of these names where they are not given.

    Returns
    -------
    Effects
        Log risk ratios with their variances.

    Raises
    ------
    ValueError
        If a column is missing, a count is negative, fractional, missing or larger than its total, a
        total is 0, or a study comes twice.

    References
    ----------
    .. [1] Katz D, Baptista J, Azen SP, Pike MC. Obtaining confidence intervals for the risk ratio
       in cohort studies. Biometrics 1978;34:469-474. https://doi.org/10.2307/2530610

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> effects = km.risk_ratio(trials)
    >>> print(effects.summary())
    Risk ratio of abstinence, ketamine v midazolam: 1 study.
    Zero-cell rule "half-if-any" (0.5 added to the four cells of a table with a zero cell): it changed no table.
      Dakwar 2019: RR 4.49 (1.44 to 14.03)
    """
    return _from_counts("RR", counts.risk_ratio, trials, names, interval=interval, zero=_rule(zero))


def odds_ratio(
    trials: pd.DataFrame,
    *,
    zero: str = "half-if-any",
    interval: str = "wald",
    **names: Unpack[Names],
) -> Effects:
    """Log odds ratios of the event, treatment against control, one a row.

    The measure on which event and non-event tell the same story, and the one that reported odds
    ratios can join. Not to be read as a ratio of risks when the event is common.

    Parameters
    ----------
    trials, zero, interval, **names
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
    return _from_counts("OR", counts.odds_ratio, trials, names, interval=interval, zero=_rule(zero))


def risk_difference(
    trials: pd.DataFrame,
    *,
    zero: str = "half-if-any",
    interval: str = "wald",
    **names: Unpack[Names],
) -> Effects:
    """Risk differences of the event, treatment less control, one a row.

    The absolute effect in the trials themselves; needs no correction to be estimated. Not the
    measure to pool first when the control risks of the trials differ much.

    Parameters
    ----------
    trials, zero, interval, **names
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
    return _from_counts(
        "RD", counts.risk_difference, trials, names, interval=interval, zero=_rule(zero)
    )


def arcsine_difference(trials: pd.DataFrame, **names: Unpack[Names]) -> Effects:
    """Differences of arcsine-transformed risks, treatment less control, one a row.

    A sensitivity scale for tables with zeros: its variance does not depend on the counts and it
    needs no correction. Not for readers, who cannot interpret it.

    Parameters
    ----------
    trials, **names
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
    return _from_counts("AS", counts.arcsine_difference, trials, names)


def peto_odds_ratio(trials: pd.DataFrame, **names: Unpack[Names]) -> Effects:
    """One-step log odds ratios of Peto, one a row.

    For rare events, balanced arms and small effects. Not for abstinence, which is neither rare nor
    changed a little: there the method is biased towards no effect.

    Parameters
    ----------
    trials, **names
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
    return _from_counts("PETO", counts.peto_odds_ratio, trials, names)


def _rule(zero: str) -> str:
    return checking.chosen(zero, counts.TRIGGERS, "zero-cell rule")


def complement(trials: pd.DataFrame, event: str) -> pd.DataFrame:
    """The same trials told of the opposite event: those who relapsed instead of those who stayed
    abstinent.

    The risk ratio of the opposite event is another measure of the same tables, with other weights
    and another heterogeneity. Show both.

    Parameters
    ----------
    trials : DataFrame
        Rows with the default columns `events_t`, `n_t`, `events_c`, `n_c`.
    event : str
        What the opposite event is called, e.g. ``"relapse"``.

    Returns
    -------
    DataFrame
        A copy with ``events = n - events``, the new `event`, and `event_is_good` turned round.

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> km.effects.complement(trials, "relapse")[["event", "events_t", "n_t", "events_c", "n_c"]].to_string(index=False)
    '  event  events_t  n_t  events_c  n_c\\nrelapse        14   27        25   28'
    """
    names = ("study", "events_t", "n_t", "events_c", "n_c")
    frame = checking.columns_of(trials, {name: name for name in names})
    frame = counts_as_numbers(frame)
    good = story_of(frame[[name for name in ("event_is_good",) if name in frame]], {})[
        "event_is_good"
    ]
    return frame.assign(
        events_t=frame["n_t"] - frame["events_t"],
        events_c=frame["n_c"] - frame["events_c"],
        event=event,
        event_is_good=not good,
    )
