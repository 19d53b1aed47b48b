"""Designs with more than two arms: the contrasts they permit, and how often a patient may count.

A trial is declared once, arm by arm and factor by factor (drug, dose, therapy, sessions). The
contrasts follow from the declaration. Two arms that differ in one factor answer the question of
that factor; arms that differ in several answer the question of the package, which is another one.
Two contrasts that share an arm share its patients. They may enter one analysis only with their
covariance, or with their arms combined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from numbers import Real
from typing import Any

import pandas as pd

from kapmeta import checking
from kapmeta.effects.counts import CELLS, counts_as_numbers

__all__ = ["combine_arms", "contrasts", "refuse_double_counting"]

_NESTED: Mapping[str, str] = {"dose": "drug", "sessions": "drug"}


@checking.checked
def contrasts(
    arms: pd.DataFrame,
    *,
    factors: Sequence[str] = ("drug", "dose", "therapy"),
    reference: Mapping[str, Any] | None = None,
    within: Mapping[str, str] = _NESTED,
    study: str | float = "study",
    arm: str | float = "arm",
) -> pd.DataFrame:
    """List the contrasts that the arms of each trial permit, and the question of each.

    Parameters
    ----------
    arms : DataFrame
        One row per arm: trial, arm, and the level of every factor.
    factors : sequence of str
        Columns in which arms can differ.
    reference : mapping of str to value, optional
        Level of each factor that marks the control side; of numbers the smaller is.
    within : mapping of str to str
        Factors that have a meaning only within another: a dose is that of its drug, so that arms
        with different drugs are not distinguished by their doses as well.
    study, arm : str
        Columns of trial and arm.

    Returns
    -------
    DataFrame
        One row per contrast: `study`, `treatment_arm`, `control_arm`; `question`, the factor in
        which the arms differ, or the factors joined by ``+`` for a package; `package`; `held`, what
        is the same in both arms; `shares_arms_with`, the other rows of this trial that use one of
        its arms. Pool within one `question` only.

    Raises
    ------
    ValueError
        If an arm or its trial has no name, an arm is declared twice or lacks the level of a factor,
        or no two arms of a trial differ.

    Examples
    --------
    >>> arms = pd.DataFrame({"study": ["KARE"] * 4, "arm": ["K+T", "K+E", "P+T", "P+E"],
    ...                      "drug": ["ketamine", "ketamine", "placebo", "placebo"],
    ...                      "therapy": ["therapy", "education", "therapy", "education"]})
    >>> control = {"drug": "placebo", "therapy": "education"}
    >>> found = contrasts(arms, factors=["drug", "therapy"], reference=control)
    >>> found[["treatment_arm", "control_arm", "question"]].head(4)
      treatment_arm control_arm      question
    0           K+T         K+E       therapy
    1           K+T         P+T          drug
    2           K+T         P+E  drug+therapy
    3           K+E         P+T  drug+therapy
    """
    if not len(factors):
        raise ValueError("factors is empty; name one column or more in which arms can differ")
    frame = checking.columns_of(
        arms, {"study": study, "arm": arm, **{name: name for name in factors}}, "arms"
    )
    _refuse_arms(frame, factors)
    rows = [
        _contrast(first, second, factors, reference or {}, within)
        for _, trial in frame.groupby("study", sort=False)
        for first, second in combinations(trial.to_dict("records"), 2)
    ]
    table = pd.DataFrame([row for row in rows if row is not None])
    if table.empty:
        raise ValueError("arms permits no contrast: no trial has two arms that differ in a factor")
    table["shares_arms_with"] = _sharing(table)
    return table


def _refuse_arms(frame: pd.DataFrame, factors: Sequence[str]) -> None:
    checking.refuse_empty(frame, ("study", "arm"), "arms")
    labels = tuple(f"{s}, {a}" for s, a in zip(frame["study"], frame["arm"], strict=True))
    for name in factors:
        checking.refuse_first(
            frame[name].isna().to_numpy(dtype=bool),
            labels,
            f"{name} is missing",
            "declare every factor of every arm; write none where it was not given",
        )
    checking.refuse_first(
        frame.duplicated(["study", "arm"]).to_numpy(),
        labels,
        "an arm is declared twice",
        "every arm of a trial is one row",
    )


def _contrast(
    first: dict[Any, Any],
    second: dict[Any, Any],
    factors: Sequence[str],
    reference: Mapping[str, Any],
    within: Mapping[str, str],
) -> dict[str, Any] | None:
    """Return the contrast of two arms in its direction, or None where no factor differs."""
    same = {
        name: checking.name_of(first[name]) == checking.name_of(second[name]) for name in factors
    }
    differ = [name for name in factors if not same[name]]
    differ = [name for name in differ if within.get(name) not in differ]
    if not differ:
        return None
    treatment, control = (
        (second, first) if _is_control(first, second, differ, reference) else (first, second)
    )
    held = "; ".join(f"{name} {first[name]}" for name in factors if same[name])
    return {
        "study": first["study"],
        "treatment_arm": treatment["arm"],
        "control_arm": control["arm"],
        "question": "+".join(differ),
        "package": len(differ) > 1,
        "held": held,
    }


def _is_control(
    first: dict[Any, Any], second: dict[Any, Any], differ: list[str], reference: Mapping[str, Any]
) -> bool:
    """Say whether the first of two arms is the control, by the first factor that decides."""
    for name in differ:
        a, b = first[name], second[name]
        level = checking.name_of(reference.get(name))
        if level and level in (checking.name_of(a), checking.name_of(b)):
            return checking.name_of(a) == level
        if isinstance(a, Real | Decimal) and isinstance(b, Real | Decimal):
            return float(a) < float(b)
    return False


def _sharing(table: pd.DataFrame) -> list[tuple[int, ...]]:
    used = [
        {(row.study, row.treatment_arm), (row.study, row.control_arm)} for row in table.itertuples()
    ]
    return [
        tuple(j for j, other in enumerate(used) if j != i and own & other)
        for i, own in enumerate(used)
    ]


@checking.checked
def refuse_double_counting(
    comparisons: pd.DataFrame,
    *,
    study: str | float = "study",
    treatment: str | float = "treatment",
    control: str | float = "control",
) -> None:
    """Refuse comparisons of one analysis in which the patients of an arm would count twice.

    Time points of the same two arms are the same patients. It goes by the names of the arms: a
    control that is named differently in two rows is not recognised as one.

    Parameters
    ----------
    comparisons : DataFrame
        The rows about to be analysed together.
    study, treatment, control : str
        Columns of the trial and of its two arms.

    Returns
    -------
    None
        If every arm counts once.

    Raises
    ------
    ValueError
        If an arm or its trial has no name, or an arm would count twice: naming the arm and the
        rows, with the ways out.

    Examples
    --------
    Two time points of one trial (Dakwar 2019):

    >>> import kapmeta as km
    >>> km.effects.refuse_double_counting(km.load_evidence().trials("cocaine"))
    Traceback (most recent call last):
    ...
    ValueError: arm "ketamine" of "dakwar2019" would count twice, in rows 1 and 2; combine ...
    """
    columns = {"study": study, "treatment": treatment, "control": control}
    frame = checking.columns_of(comparisons, columns, "comparisons")
    checking.refuse_empty(frame, columns, "comparisons")
    seen: dict[tuple[Any, Any], int] = {}
    for row, (trial, *pair) in enumerate(zip(*(frame[name] for name in columns), strict=True)):
        for arm in pair:
            if (trial, arm) in seen:
                raise ValueError(
                    f'arm "{arm}" of "{trial}" would count twice, in rows {seen[trial, arm] + 1}'
                    f" and {row + 1}; combine the other arms (combine_arms), give the covariance"
                    " (sampling_covariance), or keep one of the rows"
                )
        seen.update({(trial, arm): row for arm in pair})


_SUMMED = ("events_t", "n_t", "missing_t")  # of the treated arms
_CONTROL = ("events_c", "n_c", "missing_c")  # of the control they share
_SAME = ("event", "event_is_good", "months", "window", "contrast")  # one question, one time


@checking.checked
def combine_arms(
    trials: pd.DataFrame,
    *,
    study: str | float = "study",
    control: str | float = "control",
    treatment: str | float = "treatment",
) -> pd.DataFrame:
    """Combine treated arms that a trial compared with one control, which then counts once.

    For the question whether any of the treatments works, not for which of them does: the sum
    answers neither where they differ. Events and totals of the treated arms are summed, and so is
    `missing_t`; a sum with an unknown number is unknown. The control must be the same in all rows
    of the trial, and so must event, time and contrast.

    Parameters
    ----------
    trials : DataFrame
        Rows with the four counts; those of a trial share their control.
    study, control, treatment : str
        Columns of the trial and of its two arms.

    Returns
    -------
    DataFrame
        One row per trial and control, `treatment` naming the arms joined by ``+``. Every other
        column is that of the first row; where several arms are combined, what describes one of them
        (`percent_t`, `missing`, the label) is missing if the rows differ in it.

    Raises
    ------
    ValueError
        If a trial or an arm has no name, a control has different counts in its rows, a treated arm
        appears twice, or rows to be combined differ in event, time or contrast.

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A", "A"], "treatment": ["high", "low"],
    ...                      "control": ["placebo"] * 2, "events_t": [10, 8], "n_t": [24, 24],
    ...                      "events_c": [4, 4], "n_c": [25, 25]})
    >>> combine_arms(rows)[["treatment", "events_t", "n_t", "events_c", "n_c"]]
        treatment  events_t  n_t  events_c  n_c
    0  high + low        18   48         4   25
    """
    columns = {
        "study": study,
        "control": control,
        "treatment": treatment,
        **{name: name for name in CELLS},
    }
    frame = checking.columns_of(trials, columns)
    checking.refuse_empty(frame, ("study", "control", "treatment"), "trials")
    frame = counts_as_numbers(frame)
    rows = []
    for (name, arm), part in frame.groupby(["study", "control"], sort=False, observed=True):
        _refuse_unlike(part, str(name), str(arm))
        rows.append(_combined(part) if len(part) > 1 else part.iloc[0].to_dict())
    return pd.DataFrame(rows).reset_index(drop=True)


def _refuse_unlike(part: pd.DataFrame, name: str, control: str) -> None:
    """Refuse rows of one trial and control that are no arms of one comparison."""
    shared = [column for column in _CONTROL if column in part]
    if len(part[shared].drop_duplicates()) > 1:
        raise ValueError(
            f'the control "{control}" of "{name}" has different counts in its rows; it must be one'
            " group"
        )
    if part["treatment"].duplicated().any():
        raise ValueError(
            f'"{name}" compares the same arm twice with "{control}"; keep one time point or outcome'
        )
    for column in _SAME:
        if column in part and len({checking.name_of(value) for value in part[column]}) > 1:
            raise ValueError(
                f'rows of "{name}" to be combined differ in {column}; combine arms of one outcome'
                " at one time"
            )


def _combined(part: pd.DataFrame) -> dict[Any, Any]:
    """Sum the treated arms; leave out what describes one of them only."""
    kept = {"study", "treatment", *_SUMMED}
    unlike = {
        column: None
        for column in part.columns.difference(list(kept))
        if len({checking.name_of(value) for value in part[column]}) > 1
    }
    sums = {column: part[column].sum(skipna=False) for column in _SUMMED if column in part}
    first: dict[Any, Any] = part.iloc[0].to_dict()
    return first | unlike | sums | {"treatment": " + ".join(map(str, part["treatment"]))}
