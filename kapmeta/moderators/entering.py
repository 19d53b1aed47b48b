"""The effects that enter a regression: those of one question whose moderators are known."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import IntArray
from kapmeta.moderators.design_matrix import gaps_in
from kapmeta.pooling.inverse_variance import one_question
from kapmeta.results.effects import Effects, effects_given

__all__ = ["Entering", "effects_to_regress", "entering_effects", "without_gaps"]


def effects_to_regress(
    effects: Effects, moderators: Any, mixed: bool
) -> tuple[Effects, npt.NDArray[np.int_], tuple[str, ...]]:
    """Select the effects that may be regressed together, and note what was set aside."""
    effects_given(effects)
    listed = [moderators] if isinstance(moderators, str) else moderators
    words = " ".join(map(str, listed)) if isinstance(listed, list | tuple) else ""
    named = re.findall(r"\w+", words)
    asked = [name for name in ("contrast", "randomised") if name in named]
    question, aside = one_question(
        replace(effects, table=effects.table.drop(columns=asked, errors="ignore")), mixed
    )
    effects = replace(question, table=effects.table)
    positions = np.flatnonzero(effects.present)
    if not positions.size:
        raise ValueError("no study has an estimate, so there is nothing to regress")
    return effects, positions, aside


def without_gaps(
    effects: Effects, positions: npt.NDArray[np.int_], moderators: Any, missing: str
) -> tuple[Effects, Any, tuple[str, ...]]:
    """Exclude the effects whose moderators are not all known, or refuse them.

    Returns the effects, the rows of a design matrix that belong to those left, and a note that
    names the others.
    """
    checking.chosen(missing, checking.GAP_RULES, "rule for missing moderators")
    table = effects.table.iloc[positions].reset_index(drop=True)
    if isinstance(moderators, pd.DataFrame | np.ndarray):
        rows = positions if len(moderators) == len(effects) else np.arange(len(moderators))
        moderators = _rows_of(moderators, rows)
    gaps = {i: why for i, why in gaps_in(moderators, table).items() if i < positions.size}
    if not gaps:
        return effects, moderators, ()
    why = {int(positions[i]): reason for i, reason in sorted(gaps.items())}
    if missing == "raise":
        checking.refuse_first(
            np.isin(np.arange(len(effects)), list(why)),
            effects.labels,
            lambda i: why[i],
            'give its value, or use missing="exclude", which leaves the study out, by name',
        )
    named = "; ".join(f"{effects.labels[i]}: {reason}" for i, reason in why.items())
    if len(gaps) == positions.size:
        raise ValueError(f"no study is left to analyse: {named}")
    left = replace(effects, excluded={**effects.excluded, **why})
    if isinstance(moderators, pd.DataFrame | np.ndarray):
        kept = [i for i in range(len(moderators)) if i not in gaps]
        moderators = _rows_of(moderators, kept)
    return left, moderators, (f"set aside, {named}",)


def _rows_of(matrix: pd.DataFrame | npt.NDArray[Any], rows: Any) -> Any:
    """Select rows of a design matrix by position."""
    return matrix.iloc[rows] if isinstance(matrix, pd.DataFrame) else matrix[rows]


class Entering(NamedTuple):
    """The effects analysed: positions, labels and rows of those that enter, and notes."""

    effects: Effects
    positions: IntArray
    labels: tuple[str, ...]
    table: pd.DataFrame
    aside: tuple[str, ...]


def entering_effects(
    effects: Effects, mixed: bool, moderators: Any = None, missing: str = "exclude"
) -> tuple[Entering, Any]:
    """Select the effects that may be analysed together; a trial may come more than once.

    Those whose moderators are not all known are left out, or refused. Also returns the moderators,
    of a design matrix the rows that belong to the effects selected.
    """
    effects_given(effects)
    checking.chosen(missing, checking.GAP_RULES, "rule for missing moderators")
    question, aside = one_question(
        replace(effects, table=effects.table.drop(columns="study", errors="ignore")), mixed
    )
    effects = replace(question, table=effects.table)
    positions = np.flatnonzero(effects.present)
    if not positions.size:
        raise ValueError("no study has an estimate, so there is nothing to analyse")
    if moderators is not None:
        effects, moderators, gaps = without_gaps(effects, positions, moderators, missing)
        positions, aside = np.flatnonzero(effects.present), (*aside, *gaps)
    labels = tuple(effects.labels[i] for i in positions)
    table = effects.table.iloc[positions].reset_index(drop=True)
    return Entering(effects, positions, labels, table, aside), moderators
