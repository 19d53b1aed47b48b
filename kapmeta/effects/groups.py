"""Effects other than comparisons of two counted arms: proportions, correlations and rates."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import proportions
from kapmeta.core.effects.counts import Estimates
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.effects.counts import outcome_of
from kapmeta.effects.gaps import estimated
from kapmeta.results.effects import Effects

__all__ = ["correlation", "proportion", "rate_ratio"]

TRANSFORMS: Mapping[str, tuple[str, Callable[..., Estimates]]] = MappingProxyType(
    {
        "logit": ("PLO", proportions.logit_proportion),
        "raw": ("PR", proportions.raw_proportion),
        "log": ("PLN", partial(proportions.log_proportion, keep_full=True)),
        "arcsine": ("PAS", proportions.arcsine_proportion),
    }
)
"""Scales a proportion can be analysed on, with the measure each gives."""


@checking.checked
def proportion(
    frame: pd.DataFrame,
    *,
    transform: str = "logit",
    study: str | float = "study",
    events: str | float = "events",
    n: str | float = "n",
    event: str | None = None,
    rename: Mapping[str, str] | None = None,
    missing: str = "exclude",
) -> Effects:
    """Transform the proportion of one group per study to the scale named.

    For showing how often something happens. It compares nothing: the proportion in one arm of one
    trial beside that in another is not an effect.

    Parameters
    ----------
    frame : DataFrame
        One row per group.
    transform : {"logit", "raw", "log", "arcsine"}
        Scale of analysis; results are shown as proportions on all of them. On the raw and the log
        scale a group in which everybody had the event keeps its estimate; only its variance is
        corrected.
    study, events, n : str
        Columns of label, events and participants.
    event : str, optional
        What is counted.
    rename : mapping of str to str, optional
        As in `kapmeta.risk_ratio`.
    missing : {"exclude", "raise"}
        What is done about a row with an empty number: it stays in the table, out of the pool, with
        the reason, or it is an error.

    Returns
    -------
    Effects
        Transformed proportions with their variances; 0.5 is added where nobody or everybody had the
        event.

    Raises
    ------
    ValueError
        If a count is negative, fractional, not a number or larger than its total, or a total is 0.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> arms = pd.DataFrame({"study": ["A", "B"], "events": [13, 14], "n": [27, 17]})
    >>> km.proportion(arms, event="response").to_frame()["estimate"].round(3).tolist()
    [0.481, 0.824]
    """
    measure, kernel = TRANSFORMS[checking.chosen(transform, TRANSFORMS, "transform")]
    columns = checking.renamed({"study": study, "events": events, "n": n}, rename)
    groups = _read(frame, columns, ("events", "n"), whole=("events", "n"))
    cells = groups.cells
    checking.refuse_impossible(cells["events"], cells["n"], ("events", "n"), groups.labels)
    return _group_effects(measure, kernel, groups, missing, {"event": event})


@checking.checked
def correlation(
    frame: pd.DataFrame,
    *,
    study: str | float = "study",
    r: str | float = "r",
    n: str | float = "n",
    event: str | None = None,
    rename: Mapping[str, str] | None = None,
    missing: str = "exclude",
) -> Effects:
    """Transform correlations to Fisher's z, one per row.

    For Pearson correlations of independent pairs. Not for rank correlations or repeated
    measurements of the same people.

    Parameters
    ----------
    frame : DataFrame
        One row per study.
    study, r, n : str
        Columns of label, correlation and number of pairs.
    event : str, optional
        What is correlated, for sentences.
    rename : mapping of str to str, optional
        As in `kapmeta.risk_ratio`.
    missing : {"exclude", "raise"}
        What is done about a row with an empty number: it stays in the table, out of the pool, with
        the reason, or it is an error.

    Returns
    -------
    Effects
        Fisher's z with variance ``1 / (n - 3)``.

    Raises
    ------
    ValueError
        If a correlation is not between -1 and 1, or there are fewer than four pairs.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> studies = pd.DataFrame({"study": ["A", "B"], "r": [0.3, 0.4], "n": [50, 80]})
    >>> km.pool(km.correlation(studies), model="common")
    Pooled(r 0.36 (95 % CI 0.20 to 0.51), k=2, common-effect model)
    """
    columns = checking.renamed({"study": study, "r": r, "n": n}, rename)
    groups = _read(frame, columns, ("r", "n"), whole=("n",), signed=("r",))
    labels, cells = groups.labels, groups.cells
    perfect, few = np.abs(cells["r"]) >= 1, cells["n"] < 4
    why = "a perfect correlation has no variance"
    checking.refuse_first(perfect, labels, "r is not between -1 and 1", why)
    checking.refuse_first(few, labels, "n is below 4", "Fisher's z needs four pairs")
    return _group_effects("ZCOR", proportions.fisher_z, groups, missing, {"event": event})


@checking.checked
def rate_ratio(
    trials: pd.DataFrame,
    *,
    study: str | float = "study",
    events_t: str | float = "events_t",
    time_t: str | float = "time_t",
    events_c: str | float = "events_c",
    time_c: str | float = "time_c",
    event: str | None = None,
    event_is_good: bool | None = None,
    treatment: str | None = None,
    control: str | None = None,
    rename: Mapping[str, str] | None = None,
    missing: str = "exclude",
) -> Effects:
    """Compute log ratios of rates, treatment over control, one per row.

    A rate is events over time at risk. For events that can happen again, such as seizures over
    person-months. Not for people counted once.

    Parameters
    ----------
    trials : DataFrame
        One row per trial.
    study, events_t, time_t, events_c, time_c : str
        Columns of label, events and time at risk of both arms, in one unit of time.
    event, event_is_good, treatment, control : optional
        As in `kapmeta.risk_ratio`.
    rename : mapping of str to str, optional
        As in `kapmeta.risk_ratio`.
    missing : {"exclude", "raise"}
        What is done about a row with an empty number: it stays in the table, out of the pool, with
        the reason, or it is an error.

    Returns
    -------
    Effects
        Log rate ratios; 0.5 is added to both counts of a trial without events in an arm.

    Raises
    ------
    ValueError
        If a count is negative, fractional or not a number, or a time is not positive.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> seizures = pd.DataFrame({"study": ["A"], "events_t": [30], "time_t": [60.0],
    ...                          "events_c": [45], "time_c": [58.0]})
    >>> km.rate_ratio(seizures, event="seizure", event_is_good=False)
    Effects(IRR, k=1)
    """
    names = ("events_t", "time_t", "events_c", "time_c")
    columns: dict[str, Hashable] = dict(
        zip(names, (events_t, time_t, events_c, time_c), strict=True)
    )
    columns = checking.renamed({"study": study, **columns}, rename)
    groups = _read(trials, columns, names, whole=("events_t", "events_c"), name="trials")
    why = "an arm that was not followed gives no information; leave the row out"
    for name in ("time_t", "time_c"):
        checking.refuse_first(groups.cells[name] == 0, groups.labels, f"{name} is 0", why)
    outcome = {
        "event": event,
        "event_is_good": event_is_good,
        "treatment": treatment,
        "control": control,
    }
    return _group_effects("IRR", proportions.rate_ratio, groups, missing, outcome)


class _Groups(NamedTuple):
    """The user's rows, what they are called, and their checked numbers, nan where empty."""

    rows: pd.DataFrame
    labels: tuple[str, ...]
    cells: dict[str, FloatArray]


def _read(
    frame: Any,
    columns: Mapping[str, Hashable],
    names: tuple[str, ...],
    *,
    whole: tuple[str, ...],
    signed: tuple[str, ...] = (),
    name: str = "frame",
) -> _Groups:
    """Return rows, labels and checked numbers of the columns named."""
    rows = checking.columns_of(frame, columns, name)
    labels = checking.study_labels(rows, name)
    cells = {column: checking.numbers(rows, column, labels, missing=True) for column in names}
    for column, values in cells.items():
        if column not in signed:
            checking.refuse_negative(values, column, labels)
        if column in whole:
            cells[column] = checking.whole(values, column, labels)
    return _Groups(checking.with_numbers(rows, cells), labels, cells)


def _group_effects(
    measure: str,
    kernel: Callable[..., Estimates],
    groups: _Groups,
    missing: str,
    outcome: Mapping[str, Any],
) -> Effects:
    """Compute the effects of the rows without a gap; list the others with their reasons."""
    gaps = checking.gaps_of(groups.cells, groups.labels, missing)
    found = estimated(kernel, groups.cells, gaps)
    absent = {int(i): "the counts give no variance" for i in np.flatnonzero(found.absent)}
    return Effects(
        found.y,
        found.v,
        groups.labels,
        measure,
        groups.rows,
        corrected=found.corrected,
        excluded=absent | gaps,
        **outcome_of(groups.rows, outcome),
    )
