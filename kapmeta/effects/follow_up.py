"""Sustained outcomes over time: risk ratios in one trial, hazard ratios, and time free of events.

The rows count those who have been in a state ever since the start, such as free of the disease, at
one time or several. Such counts can only fall. The state is the `event` of the table; what ends it
is its opposite.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.effects import counts, dependence, survival
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.effects.counts import CELLS, counts_of, outcome_of
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects, opposite_direction
from kapmeta.results.shared.rows import reversed_rows
from kapmeta.results.shared.views import View
from kapmeta.wording import opposite_event

__all__ = ["FollowUp", "event_free_curve", "event_free_time", "hazard_ratio"]

_COUNT_COLUMNS = {name: name for name in ("study", *CELLS)}


@dataclass(frozen=True, eq=False, repr=False)
class FollowUp(View):
    """Risk ratio of a sustained outcome over time in one trial.

    Returned by `kapmeta.effects.event_free_curve`.

    Attributes
    ----------
    study : str
        The trial.
    event : str
        The outcome, which once lost does not return.
    table : DataFrame
        One row per time: `months`, counts, `y` and `v` (log risk ratio and variance, nan and
        infinite without events).
    covariance : ndarray, shape (times, times)
        Exact covariance of the log risk ratios at the times that have one.
    level : float
        Confidence level, a proportion.
    band_quantile : float
        Critical value of the simultaneous band.
    """

    study: str
    event: str
    table: pd.DataFrame
    covariance: FloatArray
    level: float
    band_quantile: float

    papers = ("follow-up",)

    def __post_init__(self) -> None:
        self.covariance.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Tabulate risks, risk ratio, pointwise limits and those of the band, one row per time."""
        frame = self.table.copy()
        for arm in "tc":
            frame[f"risk_{arm}"] = frame[f"events_{arm}"] / frame[f"n_{arm}"]
        se = np.sqrt(frame["v"].to_numpy())
        y, z = frame["y"].to_numpy(), float(normal_quantile((1 + self.level) / 2))
        with np.errstate(over="ignore", invalid="ignore"):
            frame["estimate"] = np.exp(y)
            for name, width in (("", z), ("band_", self.band_quantile)):
                frame[f"{name}low"] = np.exp(y - width * se)
                frame[f"{name}high"] = np.exp(y + width * se)
        return frame

    def summary(self) -> str:
        """Describe the course, one line per time."""
        frame = self.to_frame()
        rows = zip(*(frame[name] for name in ("months", "estimate", "low", "high")), strict=True)
        texts = [(month, f"RR {wording.interval_text(*rr)}") for month, *rr in rows]
        absent = frame["estimate"].isna()
        lines = [
            f"{month:g} months: {'no estimate, an arm has no events' if gone else text}."
            for (month, text), gone in zip(texts, absent, strict=True)
        ]
        width = wording.number(self.band_quantile)
        band = f"Simultaneous {wording.percent(self.level)} band: {width} standard errors."
        head = f"{self.study}: risk ratio of sustained {self.event} over time."
        return "\n".join([head, *lines, band])

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        times = wording.joined(f"{month:g}" for month in self.table["months"])
        level = wording.percent(self.level)
        return (
            f"The risk ratio of sustained {self.event} in {self.study} was followed over {times}"
            " months. Participants with a sustained outcome had it at all earlier times, so the"
            " covariance of two times is the variance at the earlier one and no correlation was"
            f" assumed ({PAPERS['follow-up']})."
            f" {level} limits at each time are Wald limits without continuity correction; the band,"
            f" {wording.number(self.band_quantile)} standard errors wide on either side, holds the"
            f" whole course with {level} confidence."
        )

    def __repr__(self) -> str:
        return f"FollowUp({self.study}, {len(self.table)} times)"


@checking.checked
def event_free_curve(
    trials: pd.DataFrame, *, months: str | float = "months", level: float = 0.95
) -> FollowUp:
    """Compute the risk ratio of a sustained outcome at several times of one trial.

    The covariance of the times is exact. Later times add nothing to what an early one says of a
    constant risk ratio; they show how it changes. Counts that rise over time (point prevalence) are
    refused: their covariance cannot be known from counts.

    Parameters
    ----------
    trials : DataFrame
        Rows of one trial, one per time: `study`, the four counts, and the time. Counts are of those
        still free of what ends the outcome.
    months : str
        Column of the time.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    FollowUp
        Risk ratio at each time with pointwise limits and a simultaneous band.

    Raises
    ------
    ValueError
        If the counts rise over time, the totals change, or there are several trials.

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3,
    ...                      "n_c": [31] * 3, "events_t": [18, 14, 10], "events_c": [10, 6, 4]})
    >>> curve = event_free_curve(rows)
    >>> curve.to_frame()[["months", "estimate", "low", "high"]].round(2)
       months  estimate   low  high
    0     1.0      1.86  1.03  3.35
    1     3.0      2.41  1.07  5.44
    2     6.0      2.58  0.91  7.35
    """
    checking.proportion(level, "level")
    frame, _ = _by_time(trials, months)
    if frame["study"].nunique() > 1:
        raise ValueError(
            f"a curve is of one trial: got {frame['study'].nunique()}; choose one, or use"
            " multilevel for all"
        )
    cells = [frame[name].to_numpy(dtype=np.float64) for name in CELLS]
    found = counts.risk_ratio(*cells, zero="none")
    known: BoolArray = found.v < np.inf
    table = frame[["months", *CELLS]].assign(y=np.where(known, found.y, np.nan), v=found.v)
    time = frame["months"].to_numpy(dtype=np.float64)
    positive = found.v[known][found.v[known] > 0]
    quantile = survival.simultaneous_quantile(positive, level) if positive.size else np.nan
    covariance = dependence.nested_times(found.v[known], time[known])
    named = outcome_of(frame, {})["event"] if "event" in frame else "outcome"
    return FollowUp(str(frame["study"].iloc[0]), named, table, covariance, level, quantile)


def _by_time(
    trials: pd.DataFrame, months: str | float, missing: str = "raise"
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Sort checked rows by trial and time; refuse counts that rise and totals that change.

    Also returns the trials with an empty count at some time, each with its reason.
    """
    frame = checking.columns_of(trials, {**_COUNT_COLUMNS, "months": months})
    frame["comparison_id"] = range(len(frame))  # a trial may have several times here
    frame, labels, cells = counts_of(frame, _COUNT_COLUMNS, missing=True)
    gaps = checking.gaps_of(cells, labels, missing)
    frame["months"] = checking.numbers(frame, "months", labels)
    reasons: dict[str, str] = {}
    for i, why in gaps.items():
        reasons.setdefault(frame["study"].iloc[i], f"{why} at {frame['months'].iloc[i]:g} months")
    first = frame["study"].drop_duplicates()
    place = dict(zip(first, range(len(first)), strict=True))
    frame = frame.assign(place=frame["study"].map(place)).sort_values(
        ["place", "months"], ignore_index=True
    )
    _refuse_course(frame[~frame["study"].isin(list(reasons))].reset_index(drop=True))
    return frame, reasons


def _refuse_course(frame: pd.DataFrame) -> None:
    """Refuse rows, sorted by trial and time, that cannot be one sustained outcome."""
    names = tuple(frame["study"].astype(str))
    same = np.array([i > 0 and name == names[i - 1] for i, name in enumerate(names)])
    checking.refuse_first(
        same & frame["months"].diff().eq(0).to_numpy(),
        names,
        "a time appears twice",
        lambda i: f"months = {frame['months'].iloc[i]:g} has two rows; keep one outcome",
    )
    fixed = "give all randomised at every time; count those lost as events, or leave them out"
    nested = "a sustained outcome cannot return: this is point prevalence; use multilevel with rho"
    for name in ("n_t", "n_c"):
        changes = same & frame[name].diff().ne(0).to_numpy()
        checking.refuse_first(changes, names, f"{name} changes over time", fixed)
    for name in ("events_t", "events_c"):
        rises = same & (frame[name].diff() > 0).to_numpy()
        checking.refuse_first(rises, names, f"{name} rises over time", nested)


@checking.checked
def hazard_ratio(
    trials: pd.DataFrame,
    *,
    months: str | float = "months",
    method: str = "life-table",
    event: str | None = None,
    missing: str = "exclude",
) -> Effects:
    """Estimate hazard ratios from the numbers still free of the event at one time or several.

    For trials that report only those numbers. A hazard ratio printed in a source uses the times of
    the events themselves: take that, by `kapmeta.reported`. Not for point prevalence, even where
    its counts happen to fall.

    Parameters
    ----------
    trials : DataFrame
        One row per trial and time: `study`, the four counts of those still free of the event, and
        the time.
    months : str
        Column of the time.
    method : {"life-table", "one-time"}
        The life table of all times (the log-rank one-step estimate), or the last time alone under
        proportional hazards.
    event : str, optional
        Name of the event whose hazard it is; "no" and the name of the counted outcome by default.
    missing : {"exclude", "raise"}
        What is done about a trial with an empty count at some time: it stays in the table, out of
        the pool, with the reason, or it is an error.

    Returns
    -------
    Effects
        Measure HR, log scale, one per trial; below 1 the treated stay free of the event for longer.
        Trials without an estimate are excluded with the reason.

    Raises
    ------
    ValueError
        If the counts of a trial rise over time, its totals change, or a time appears twice.

    References
    ----------
    .. [1] Parmar MKB, Torri V, Stewart L. Extracting summary statistics to perform meta-analyses of
       the published literature for survival endpoints. Stat Med 1998;17:2815-2834.
       https://doi.org/10.1002/(SICI)1097-0258(19981230)17:24<2815::AID-SIM110>3.0.CO;2-8

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3,
    ...                      "n_c": [31] * 3, "events_t": [18, 14, 10], "events_c": [10, 6, 4]})
    >>> found = hazard_ratio(rows)
    >>> round(float(found.y[0]), 6), round(float(found.se[0]), 6)
    (-0.907857, 0.403635)
    """
    checking.chosen(method, ("life-table", "one-time"), "method")
    frame, gaps = _by_time(trials, months, missing)
    found = []
    for study, part in frame.groupby("study", sort=False):
        if study in gaps:
            found.append((np.nan, np.inf))
            continue
        a, c = (part[name].to_numpy(dtype=np.float64) for name in ("events_t", "events_c"))
        n_t, n_c = float(part["n_t"].iloc[0]), float(part["n_c"].iloc[0])
        table = survival.life_table(a, n_t, c, n_c)
        last = survival.one_time(a[-1], n_t, c[-1], n_c)
        y, v = (table.y, table.v) if method == "life-table" else last
        found.append((float(y), float(v)))
    outcome = outcome_of(frame, {})
    outcome |= {"event": event or opposite_event(outcome["event"])}
    outcome |= {"event_is_good": opposite_direction(outcome["event_is_good"])}
    reason = "no event" if method == "life-table" else "an arm where all or none had the event"
    effects = _per_trial(frame, np.array(found), "HR", outcome, (reason, gaps))
    # the ratio is of the hazard of losing what was counted: the table counts that, too
    rows = reversed_rows(effects.table, effects.event, effects.event_is_good, ratio=True)
    return replace(effects, table=rows)


@checking.checked
def event_free_time(
    trials: pd.DataFrame,
    *,
    horizon: float,
    months: str | float = "months",
    event: str | None = None,
    missing: str = "exclude",
) -> Effects:
    """Compute differences in mean event-free time up to a common horizon.

    The difference in restricted mean survival time, the area between the two curves. It stays
    meaningful when the effect fades, since it needs no constant ratio. Curves are joined by
    straight lines between the times, the first from everybody at the start. Not for point
    prevalence, even where its counts happen to fall: the standard error supposes that a lost
    outcome does not return.

    Parameters
    ----------
    trials : DataFrame
        As for `hazard_ratio`.
    horizon : float
        Months, above 0; every trial must have been followed that long.
    months : str
        Column of the time.
    event : str, optional
        What is compared; "months of" and the name of the counted outcome by default.
    missing : {"exclude", "raise"}
        What is done about a trial with an empty count at some time: it stays in the table, out of
        the pool, with the reason, or it is an error.

    Returns
    -------
    Effects
        Measure MD, in months, one per trial; above 0 the treated have the longer time.

    Raises
    ------
    ValueError
        If a trial was followed for less than `horizon`, its counts rise over time, its totals
        change, or a time appears twice.

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3,
    ...                      "n_c": [31] * 3, "events_t": [18, 14, 10], "events_c": [10, 6, 4]})
    >>> found = event_free_time(rows, horizon=6)
    >>> round(float(found.y[0]), 3), round(float(found.se[0]), 3)
    (1.405, 0.568)
    """
    frame, gaps = _by_time(trials, months, missing)
    if not horizon > 0:
        raise ValueError(f"horizon must be above 0, in months: got {horizon:g}")
    found = []
    for study, part in frame.groupby("study", sort=False):
        if study in gaps:
            found.append((np.nan, np.inf))
            continue
        time = part["months"].to_numpy(dtype=np.float64)
        if time[-1] < horizon:
            raise ValueError(
                f'"{study}" was followed for {time[-1]:g} months, less than horizon = {horizon:g};'
                " lower it"
            )
        arms = [
            survival.event_free_time(
                time,
                part[f"events_{arm}"].to_numpy(dtype=np.float64),
                float(part[f"n_{arm}"].iloc[0]),
                horizon,
            )
            for arm in "tc"
        ]
        found.append((arms[0][0] - arms[1][0], arms[0][1] + arms[1][1]))
    outcome = outcome_of(frame, {})
    outcome |= {"event": event or f"months of {outcome['event']}"}
    reason = "everybody kept the outcome, or lost it at once, in both arms"
    return _per_trial(frame, np.array(found), "MD", outcome, (reason, gaps))


def _per_trial(
    frame: pd.DataFrame,
    found: FloatArray,
    measure: str,
    outcome: dict[str, Any],
    reasons: tuple[str, dict[str, str]],
) -> Effects:
    """Return one effect per trial; set those without an estimate aside with the reason.

    The reasons are that of trials without an estimate, and those of trials with a gap by name.
    """
    last = frame.drop_duplicates("study", keep="last").reset_index(drop=True)
    last = last.drop(columns=["comparison_id", "place"])
    absent = ~(np.isfinite(found).all(axis=1) & (found[:, 1] > 0))
    why, gaps = reasons
    studies = last["study"].tolist()
    return Effects(
        np.where(absent, np.nan, found[:, 0]),
        np.where(absent, np.inf, found[:, 1]),
        checking.study_labels(last),
        measure,
        last,
        excluded={int(i): gaps.get(studies[i], why) for i in np.flatnonzero(absent)},
        **outcome,
    )
