"""The course of abstinence: risk ratios over time in one trial, hazard ratios of relapse, time abstinent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.effects import counts, dependence, survival
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.effects.counts import counts_of, story_of
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects
from kapmeta.results.views import View

__all__ = ["FollowUp", "abstinence_curve", "relapse_hazard_ratio", "time_abstinent"]

_COLUMNS = {name: name for name in ("study", "events_t", "n_t", "events_c", "n_c")}


@dataclass(frozen=True, eq=False, repr=False)
class FollowUp(View):
    """Risk ratio of continuous abstinence over time in one trial.

    Returned by `kapmeta.effects.abstinence_curve`.

    Attributes
    ----------
    study : str
        The trial.
    table : DataFrame
        One row a time: `months`, counts, `y` and `v` (log risk ratio and variance, nan and infinite
        without events).
    covariance : ndarray, shape (times, times)
        Exact covariance of the log risk ratios at the times that have one.
    level : float
        Confidence level, a proportion.
    band_quantile : float
        Critical value of the simultaneous band.
    """

    study: str
    table: pd.DataFrame
    covariance: FloatArray
    level: float
    band_quantile: float
    papers = ("follow-up",)

    def __post_init__(self) -> None:
        self.covariance.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """One row a time: abstinence in both arms, risk ratio with pointwise limits and those of the band."""
        frame = self.table.copy()
        frame["abstinent_t"], frame["abstinent_c"] = (
            frame["events_t"] / frame["n_t"],
            frame["events_c"] / frame["n_c"],
        )
        se = np.sqrt(frame["v"].to_numpy())
        y, z = frame["y"].to_numpy(), float(normal_quantile((1 + self.level) / 2))
        with np.errstate(over="ignore", invalid="ignore"):
            frame["estimate"] = np.exp(y)
            for name, width in (("", z), ("band_", self.band_quantile)):
                frame[f"{name}low"], frame[f"{name}high"] = (
                    np.exp(y - width * se),
                    np.exp(y + width * se),
                )
        return frame

    def summary(self) -> str:
        """The course in words."""
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
        return "\n".join(
            [f"{self.study}: risk ratio of continuous abstinence over time.", *lines, band]
        )

    def methods_text(self) -> str:
        """The paragraph for a methods section."""
        times = wording.joined(f"{month:g}" for month in self.table["months"])
        level = wording.percent(self.level)
        return (
            f"The risk ratio of continuous abstinence in {self.study} was followed over {times}"
            " months. Who is abstinent at a later time was so before, so the covariance of two"
            " times is the variance at the earlier one and no correlation was assumed"
            f" ({PAPERS['follow-up']})."
            f" {level} limits at each time are Wald limits without continuity correction; the band,"
            f" {wording.number(self.band_quantile)} standard errors wide on either side, holds the"
            f" whole course with {level} confidence."
        )

    def __repr__(self) -> str:
        return f"FollowUp({self.study}, {len(self.table)} times)"


def abstinence_curve(
    trials: pd.DataFrame, *, months: str = "months", level: float = 0.95
) -> FollowUp:
    """Risk ratios of continuous abstinence at several times of one trial, with their exact
    covariance.

    Later times add nothing to what an early one says of a constant risk ratio; they say how it
    changes. For counts that rise over time (point prevalence) it is refused: their covariance is
    not known from counts.

    Parameters
    ----------
    trials : DataFrame
        Rows of one trial, one a time: `study`, the four counts, and the time.
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
    >>> rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3, "n_c": [31] * 3,
    ...                      "events_t": [18, 14, 10], "events_c": [10, 6, 4]})
    >>> curve = abstinence_curve(rows)
    >>> curve.to_frame()[["months", "estimate", "low", "high"]].round(2)
       months  estimate   low  high
    0     1.0      1.86  1.03  3.35
    1     3.0      2.41  1.07  5.44
    2     6.0      2.58  0.91  7.35
    """
    checking.proportion(level, "level")
    frame = _ordered(trials, months)
    if frame["study"].nunique() > 1:
        raise ValueError(
            f"a curve is of one trial: got {frame['study'].nunique()}; choose one, or use"
            " multilevel for all"
        )
    cells = [
        frame[name].to_numpy(dtype=np.float64) for name in ("events_t", "n_t", "events_c", "n_c")
    ]
    found = counts.risk_ratio(*cells, zero="none")
    known: BoolArray = found.v < np.inf
    table = frame[["months", "events_t", "n_t", "events_c", "n_c"]].assign(
        y=np.where(known, found.y, np.nan), v=found.v
    )
    time = frame["months"].to_numpy(dtype=np.float64)
    positive = found.v[known][found.v[known] > 0]
    quantile = survival.simultaneous_quantile(positive, level) if positive.size else np.nan
    covariance = dependence.nested_times(found.v[known], time[known])
    return FollowUp(str(frame["study"].iloc[0]), table, covariance, level, quantile)


def _ordered(trials: pd.DataFrame, months: str) -> pd.DataFrame:
    """Checked rows in order of trial and time; counts that rise, or totals that change, are refused."""
    frame = checking.columns_of(trials, {**_COLUMNS, "months": months})
    frame["comparison_id"] = range(len(frame))  # a trial may come at several times here
    frame, labels, _ = counts_of(frame, _COLUMNS)
    frame["months"] = checking.numbers(frame, "months", labels)
    first = frame["study"].drop_duplicates()
    place = dict(zip(first, range(len(first)), strict=True))
    frame = frame.assign(place=frame["study"].map(place)).sort_values(
        ["place", "months"], ignore_index=True
    )
    _refuse_course(frame)
    return frame


def _refuse_course(frame: pd.DataFrame) -> None:
    """Refuse rows in order of trial and time that cannot be continuous abstinence of the same patients."""
    names = tuple(frame["study"].astype(str))
    same = np.array([i > 0 and name == names[i - 1] for i, name in enumerate(names)])
    checking.refuse_first(
        same & frame["months"].diff().eq(0).to_numpy(),
        names,
        lambda i: "a time comes twice",
        lambda i: f"months = {frame['months'].iloc[i]:g} has two rows; keep one outcome",
    )
    for name in ("n_t", "n_c"):
        checking.refuse_first(
            same & frame[name].diff().ne(0).to_numpy(),
            names,
            lambda i, name=name: f"{name} changes over time",  # type: ignore[misc]
            lambda i: (
                "give all randomised at every time; count those lost as not abstinent, or leave"
                " them out"
            ),
        )
    for name in ("events_t", "events_c"):
        checking.refuse_first(
            same & (frame[name].diff() > 0).to_numpy(),
            names,
            lambda i, name=name: f"{name} rises over time",  # type: ignore[misc]
            lambda i: (
                "continuous abstinence cannot return: this is point prevalence; use multilevel"
                " with rho"
            ),
        )


def relapse_hazard_ratio(
    trials: pd.DataFrame, *, months: str = "months", method: str = "life-table"
) -> Effects:
    """Hazard ratio of relapse from the numbers still abstinent at one time or several.

    For trials that report only those numbers. Where a source gives a hazard ratio it rests on the
    times of relapse themselves: take that, by `kapmeta.reported`. Not for point prevalence, even
    where its counts happen to fall.

    Parameters
    ----------
    trials : DataFrame
        One row a trial and time, continuous abstinence: `study`, the four counts, and the time.
    months : str
        Column of the time.
    method : {"life-table", "one-time"}
        The life table of all times (the log-rank one-step estimate), or the last time alone under
        proportional hazards.

    Returns
    -------
    Effects
        Measure HR, log scale, one a trial; below 1 favours the treatment. Trials without an
        estimate are excluded with the reason.

    Raises
    ------
    ValueError
        If the counts of a trial rise over time, its totals change, or a time comes twice.

    References
    ----------
    .. [1] Parmar MKB, Torri V, Stewart L. Extracting summary statistics to perform meta-analyses of
       the published literature for survival endpoints. Stat Med 1998;17:2815-2834.
       https://doi.org/10.1002/(SICI)1097-0258(19981230)17:24<2815::AID-SIM110>3.0.CO;2-8

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3, "n_c": [31] * 3,
    ...                      "events_t": [18, 14, 10], "events_c": [10, 6, 4]})
    >>> found = relapse_hazard_ratio(rows)
    >>> round(float(found.y[0]), 6), round(float(found.se[0]), 6)
    (-0.907857, 0.403635)
    """
    checking.chosen(method, ("life-table", "one-time"), "method")
    frame = _ordered(trials, months)
    found = []
    for _, part in frame.groupby("study", sort=False):
        a, c = (part[name].to_numpy(dtype=np.float64) for name in ("events_t", "events_c"))
        n_t, n_c = float(part["n_t"].iloc[0]), float(part["n_c"].iloc[0])
        table = survival.life_table(a, n_t, c, n_c)
        found.append(
            (table.y, table.v)
            if method == "life-table"
            else survival.one_time(a[-1], n_t, c[-1], n_c)
        )
    reason = "nobody relapsed" if method == "life-table" else "an arm is all abstinent or none"
    return _per_trial(frame, np.array(found), "HR", "relapse", False, reason)


def time_abstinent(trials: pd.DataFrame, *, horizon: float, months: str = "months") -> Effects:
    """Difference in mean months abstinent up to a common horizon: the area between the two curves.

    The summary that stays meaningful when the effect fades: it needs no constant ratio. Curves are
    joined by straight lines between the times, the first from everybody at the start. Not for point
    prevalence, even where its counts happen to fall: the standard error rests on nobody returning
    to abstinence.

    Parameters
    ----------
    trials : DataFrame
        As for `relapse_hazard_ratio`.
    horizon : float
        Months, above 0; every trial must have been followed that long.
    months : str
        Column of the time.

    Returns
    -------
    Effects
        Measure MD, in months, one a trial; above 0 favours the treatment.

    Raises
    ------
    ValueError
        If a trial was followed for less than `horizon`, its counts rise over time, its totals
        change, or a time comes twice.

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A"] * 3, "months": [1, 3, 6], "n_t": [30] * 3, "n_c": [31] * 3,
    ...                      "events_t": [18, 14, 10], "events_c": [10, 6, 4]})
    >>> found = time_abstinent(rows, horizon=6)
    >>> round(float(found.y[0]), 3), round(float(found.se[0]), 3)
    (1.405, 0.568)
    """
    frame = _ordered(trials, months)
    if not horizon > 0:
        raise ValueError(f"horizon must be above 0, in months: got {horizon:g}")
    found = []
    for study, part in frame.groupby("study", sort=False):
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
    return _per_trial(
        frame,
        np.array(found),
        "MD",
        "months abstinent",
        True,
        "everybody of both arms did the same",
    )


def _per_trial(
    frame: pd.DataFrame,
    found: FloatArray,
    measure: str,
    event: str,
    event_is_good: bool,
    reason: str,
) -> Effects:
    """One effect a trial; those without an estimate are set aside with the reason."""
    last = (
        frame.drop_duplicates("study", keep="last")
        .drop(columns=["comparison_id", "place"])
        .reset_index(drop=True)
    )
    absent = ~(np.isfinite(found).all(axis=1) & (found[:, 1] > 0))
    story = story_of(last.drop(columns=["event", "event_is_good"], errors="ignore"), {})
    story |= {"event": event, "event_is_good": event_is_good}
    return Effects(
        np.where(absent, np.nan, found[:, 0]),
        np.where(absent, np.inf, found[:, 1]),
        checking.study_labels(last),
        measure,
        last,
        excluded={int(i): reason for i in np.flatnonzero(absent)},
        **story,
    )
