"""Effects on outcomes that are measured, from means and standard deviations of two arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import means
from kapmeta.core.effects.counts import Estimates
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.effects.counts import outcome_of
from kapmeta.effects.gaps import estimated
from kapmeta.results.effects import Effects

__all__ = ["mean_difference", "ratio_of_means", "standardized_mean_difference"]


class MeanNames(TypedDict, total=False):
    """Names of the columns of means, of the outcome measured and of the arms."""

    study: str | float
    mean_t: str | float
    sd_t: str | float
    n_t: str | float
    mean_c: str | float
    sd_c: str | float
    n_c: str | float
    rename: Mapping[str, str]
    missing: str
    event: str
    event_is_good: bool
    treatment: str
    control: str


_MOMENTS = ("mean_t", "sd_t", "n_t", "mean_c", "sd_c", "n_c")
_OUTCOME_WORDS = ("event", "event_is_good", "treatment", "control")


def _from_means(
    measure: str, kernel: Callable[..., Estimates], trials: Any, names: MeanNames, **options: Any
) -> Effects:
    """Check the rows and pass them to a core function of means, standard deviations and sizes."""
    columns, words = checking.split_keywords(
        names, ("study", *_MOMENTS), (*_OUTCOME_WORDS, "rename", "missing")
    )
    frame = checking.columns_of(trials, checking.renamed(columns, words.pop("rename")))
    labels = checking.study_labels(frame)
    cells = _moments(frame, labels)
    missing = words.pop("missing")
    gaps = checking.gaps_of(cells, labels, "exclude" if missing is None else missing)
    found = estimated(partial(kernel, **options), cells, gaps)
    why = "the numbers give no variance (no spread in either arm, or a mean that has no logarithm)"
    absent = {int(i): why for i in np.flatnonzero(~(found.v < np.inf))}
    v = np.where(np.isnan(found.v), np.inf, found.v)
    frame = checking.with_numbers(frame, cells)
    names_of = outcome_of(frame, words)
    return Effects(found.y, v, labels, measure, frame, excluded=absent | gaps, **names_of)


def _moments(frame: pd.DataFrame, labels: tuple[str, ...]) -> dict[str, FloatArray]:
    """Read means, standard deviations and sizes, nan where empty; refuse impossible ones."""
    cells = {name: checking.numbers(frame, name, labels, missing=True) for name in _MOMENTS}
    for name in ("sd_t", "sd_c"):
        checking.refuse_first(
            cells[name] < 0,
            labels,
            f"{name} is negative",
            lambda i, name=name: f"{name} = {cells[name][i]:g}; a standard deviation never is",  # type: ignore[misc]
        )
    for name in ("n_t", "n_c"):
        cells[name] = checking.whole(cells[name], name, labels)
        checking.refuse_first(
            cells[name] < 2,
            labels,
            f"{name} is not a whole number above 1",
            lambda i, name=name: f"{name} = {cells[name][i]:g}; one person has no spread",  # type: ignore[misc]
        )
    return cells


@checking.checked
def mean_difference(trials: pd.DataFrame, **names: Unpack[MeanNames]) -> Effects:
    """Compute differences of means, treatment less control, one per row.

    The measure to use when all trials share a scale, such as a percentage of days. Not when they do
    not.

    Parameters
    ----------
    trials : DataFrame
        One row per trial.
    study, mean_t, sd_t, n_t, mean_c, sd_c, n_c : str, optional
        Columns of label, mean, standard deviation and participants of both arms, if they have other
        names than these.
    missing : {"exclude", "raise"}
        What is done about a trial with an empty number: it stays in the table, out of the pool,
        with the reason, or it is an error.
    rename : mapping of str to str, optional
        As in `kapmeta.risk_ratio`.
    event, event_is_good, treatment, control : optional
        As in `kapmeta.risk_ratio`; `event` is what was measured.

    Returns
    -------
    Effects
        Differences with their variances, in the unit of the outcome.

    Raises
    ------
    ValueError
        If a column is missing, a value is not a number, a standard deviation is negative, or an
        arm has fewer than two participants.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> days = pd.DataFrame({"study": ["A"], "mean_t": [86.2], "sd_t": [20.1], "n_t": [24],
    ...                      "mean_c": [75.9], "sd_c": [24.7], "n_c": [23]})
    >>> km.pool(km.mean_difference(days, event="percent of days abstinent"))
    Pooled(MD 10.30 (95 % CI -2.61 to 23.21), k=1, one trial, not pooled)
    """
    return _from_means("MD", means.mean_difference, trials, names)


@checking.checked
def standardized_mean_difference(
    trials: pd.DataFrame, *, variance: str = "ls", **names: Unpack[MeanNames]
) -> Effects:
    """Compute standardised mean differences (Hedges' g, exact correction), one per row.

    For trials that measured one thing on different scales, such as craving. Not for trials that
    share a scale.

    Parameters
    ----------
    trials, **names
        As in `mean_difference`.
    variance : {"ls", "ub"}
        Large-sample variance, or the unbiased one.

    Returns
    -------
    Effects
        Standardised differences with their variances.

    Raises
    ------
    ValueError
        As in `mean_difference`, and for an unknown `variance`.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> days = pd.DataFrame({"study": ["A"], "mean_t": [86.2], "sd_t": [20.1], "n_t": [24],
    ...                      "mean_c": [75.9], "sd_c": [24.7], "n_c": [23]})
    >>> float(km.standardized_mean_difference(days).y[0].round(4))
    0.4508
    """
    checking.chosen(variance, means.SMD_VARIANCES, "variance")
    return _from_means("SMD", means.standardized_mean_difference, trials, names, variance=variance)


@checking.checked
def ratio_of_means(trials: pd.DataFrame, **names: Unpack[MeanNames]) -> Effects:
    """Compute log ratios of means, treatment over control, one per row.

    For outcomes with a true zero, such as drinks a day. Not for a bounded percentage, whose ratio
    depends on which end is counted.

    Parameters
    ----------
    trials, **names
        As in `mean_difference`.

    Returns
    -------
    Effects
        Log ratios, corrected for their small-sample bias, with their variances.

    Raises
    ------
    ValueError
        As in `mean_difference`.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> days = pd.DataFrame({"study": ["A"], "mean_t": [86.2], "sd_t": [20.1], "n_t": [24],
    ...                      "mean_c": [75.9], "sd_c": [24.7], "n_c": [23]})
    >>> float(km.ratio_of_means(days).y[0].round(4))
    0.1261
    """
    return _from_means("ROM", means.ratio_of_means, trials, names)
