"""Sampling covariances of effects that share patients, from the rows they were computed from."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import dependence
from kapmeta.core.effects.dependence import SHARED_CONTROL, Control
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.effects.counts import CELLS
from kapmeta.results.effects import Effects, effects_given

__all__ = ["sampling_covariance"]


@checking.checked
def sampling_covariance(
    effects: Effects,
    *,
    rho: float | None = None,
    months: str | float = "months",
    treatment: str | float = "treatment",
    control: str | float = "control",
) -> FloatArray:
    """Compute the sampling covariance of effects of which some share patients.

    It follows from the counts. Within a trial, two arms compared with one control at one time have
    the covariance of that control; the same two arms at two times of a sustained outcome have that
    of nested counts, unless `rho` is given. Other effects that share patients have correlation
    `rho`, or are refused without it. Effects of different trials, or of one trial without a common
    arm, are independent.

    Risk ratios of counts that fall over time are taken for a sustained outcome, which once lost
    does not return. Counts alone cannot show that: give `rho` for point prevalence whose counts
    happen to fall.

    Parameters
    ----------
    effects : Effects
        From counts; the columns named next must be among the trials they were computed from.
    rho : float, optional
        Correlation of effects that share patients at two times or in another way (point prevalence,
        several outcomes). A guess to be varied.
    months, treatment, control : str
        Columns of the time and the two arms. Without a column `months` all effects are of one time;
        a column under another name must be there.

    Returns
    -------
    ndarray, shape (n, n)
        For `kapmeta.multilevel`, `kapmeta.moderators.aggregate` and
        `kapmeta.moderators.multivariate`; infinite variances of absent effects are kept on the
        diagonal.

    Raises
    ------
    ValueError
        If two effects share patients in a way that the counts do not settle and `rho` is not given,
        or share a control whose counts give no covariance; if `rho` is no correlation.

    References
    ----------
    .. [1] Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: Cooper H, Hedges LV,
       Valentine JC, editors. The handbook of research synthesis and meta-analysis. 2nd ed. New
       York: Russell Sage Foundation; 2009. p. 357-376.

    Examples
    --------
    Two treatments, each against one control (readmission, Terasaki 2022):

    >>> import kapmeta as km
    >>> shared = km.load_evidence().against("terasaki2022", "la", event="readmission")
    >>> km.effects.sampling_covariance(km.risk_ratio(shared)).round(3)
    array([[0.507, 0.084],
           [0.084, 0.346]])
    """
    effects_given(effects)
    if rho is not None and not -1 <= rho <= 1:
        raise ValueError(f"rho is a correlation, between -1 and 1: got {rho:g}")
    names = {"study": "study", "treatment": treatment, "control": control}
    frame = checking.columns_of(effects.table, names, "effects.table", optional={"months": months})
    time = frame["months"] if "months" in frame else pd.Series(0.0, index=frame.index)
    covariance = np.diag(effects.v)
    for i, j in combinations(np.flatnonzero(effects.present), 2):
        first, second = frame.iloc[i], frame.iloc[j]
        arms = [{row["treatment"], row["control"]} for row in (first, second)]
        if first["study"] != second["study"] or not arms[0] & arms[1]:
            continue
        same_time = time.iloc[i] == time.iloc[j]
        shared = _shared_arm_covariance(
            effects, frame, int(i), int(j), bool(same_time), time.iloc[i] < time.iloc[j], rho
        )
        covariance[i, j] = covariance[j, i] = shared
    return covariance


def _shared_arm_covariance(
    effects: Effects,
    frame: pd.DataFrame,
    i: int,
    j: int,
    same_time: bool,
    i_first: bool,
    rho: float | None,
) -> float:
    """Compute the covariance of two effects of one trial that share an arm."""
    first, second = frame.iloc[i], frame.iloc[j]
    pair = f'"{effects.labels[i]}" and "{effects.labels[j]}"'
    if same_time and first["control"] == second["control"] and effects.measure in SHARED_CONTROL:
        value = _through_control(effects.measure, first)
        if math.isnan(value):
            raise ValueError(
                f"{pair} share a control arm whose counts give no covariance of a"
                f" {effects.scale.name} (no events, or nothing but events); combine the active arms"
                " with combine_arms"
            )
        return value
    same_arms = (first["treatment"], first["control"]) == (second["treatment"], second["control"])
    nested = (
        not same_time
        and same_arms
        and effects.measure == "RR"
        and _are_nested(first, second, i_first)
    )
    if nested and rho is None:
        return float(effects.v[i] if i_first else effects.v[j])
    if rho is None:
        raise ValueError(
            f"{pair} share patients in a way that the counts do not settle (rising counts are point"
            " prevalence, not a sustained outcome); give rho, their correlation, and vary it"
        )
    return float(rho * np.sqrt(effects.v[i] * effects.v[j]))


def _through_control(measure: str, row: pd.Series) -> float:
    if not {"events_c", "n_c"} <= set(row.index):
        return math.nan
    return dependence.shared_control(
        measure, Control(events=float(row["events_c"]), n=float(row["n_c"]))
    )


def _are_nested(first: pd.Series, second: pd.Series, i_first: bool) -> bool:
    """Say whether the counts can be nested: the same patients, never more with the event later."""
    if not set(CELLS) <= set(first.index):
        return False
    early, late = (first, second) if i_first else (second, first)
    same = all(early[name] == late[name] for name in ("n_t", "n_c"))
    return bool(same and all(early[name] >= late[name] for name in ("events_t", "events_c")))
