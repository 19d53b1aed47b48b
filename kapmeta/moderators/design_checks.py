"""Checks of a design matrix before a fit, and what a joint test of all moderators tests."""

from __future__ import annotations

import numpy as np

from kapmeta import wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.results.regressions import Design

__all__ = ["check_design", "tested_rows"]

# share of a column left by the others, relative to its length, below which it depends on them
_LEAST_OWN_SHARE = 1e-10


def check_design(design: Design, labels: tuple[str, ...]) -> None:
    """Refuse constant, collinear or too many moderators, and a level that rests on one study."""
    x, names = design.matrix, design.names
    k, p = x.shape
    for j, name in enumerate(names):
        if (
            j != design.intercept
            and (x[:, j] == x[0, j]).all()
            and (design.intercept is not None or x[0, j] == 0)
        ):
            raise ValueError(
                f'moderator "{name}" is constant: it is {x[0, j]:g} in all {wording.studies(k)} and'
                " explains nothing; leave it out"
            )
    if k <= p:
        raise ValueError(
            f"too many moderators: {p} coefficients ({', '.join(names)}) from {k} studies leave no"
            f" residual degrees of freedom; {k} studies allow at most {max(k - 2, 0)} moderators,"
            " and claims need ten studies for each"
        )
    _refuse_collinear(x, names, design.intercept)
    _refuse_lone_study(x, names, labels, design.intercept)


def tested_rows(design: Design, compares: bool) -> FloatArray:
    """List the combinations of coefficients that are 0 where no moderator matters.

    Each coefficient but the intercept. Where a measure of one group has a mean for each level and
    no intercept, the differences of these means from the first: no mean of theirs is tested.
    """
    unit = np.eye(len(design.names))
    if compares or design.intercept is not None or not design.means:
        return unit[[j for j in range(len(unit)) if j != design.intercept]]
    first, *others = design.means
    slopes = [unit[j] for j in range(len(unit)) if j not in design.means]
    return np.array([*(unit[j] - unit[first] for j in others), *slopes]).reshape(-1, len(unit))


def _centred(x: FloatArray, intercept: int | None) -> FloatArray:
    """Scale columns to unit length, centred where there is an intercept."""
    moved = x.copy()
    if intercept is not None:
        others = [j for j in range(x.shape[1]) if j != intercept]
        moved[:, others] -= x[:, others].mean(axis=0)
    return np.asarray(moved / np.linalg.norm(moved, axis=0))


def _refuse_collinear(x: FloatArray, names: tuple[str, ...], intercept: int | None) -> None:
    # deviations from the mean: a shift of a moderator must not make it look dependent on the
    # intercept
    order = [j for j in range(x.shape[1]) if j != intercept]
    unit = _centred(x, intercept)[:, order]
    for place, j in enumerate(order):
        before = unit[:, :place]
        share = np.linalg.lstsq(before, unit[:, place], rcond=None)[0] if place else np.zeros(0)
        if np.linalg.norm(unit[:, place] - before @ share) <= _LEAST_OWN_SHARE:
            others = [
                f'"{names[order[i]]}"' for i in np.flatnonzero(np.abs(share) > _LEAST_OWN_SHARE)
            ]
            raise ValueError(
                f'moderators are collinear: "{names[j]}" is given by {", ".join(others)} in these'
                f" {len(x)} studies; leave one of them out"
            )


_LEVEL = (
    "Merge the level with another, leave the study out, or use subgroups, which shows a single"
    " trial as what it is"
)
_NUMBER_TEXT = "Leave the moderator or the study out"


def _refuse_lone_study(
    x: FloatArray, names: tuple[str, ...], labels: tuple[str, ...], intercept: int | None
) -> None:
    """Refuse a study of leverage 1, without which a coefficient would not exist."""
    basis = np.linalg.qr(_centred(x, intercept))[0]
    lone = np.flatnonzero(1 - (basis**2).sum(axis=1) <= _LEAST_OWN_SHARE)
    if lone.size:
        i = int(lone[0])
        rest = np.delete(x, i, axis=0)
        resting = [
            name
            for j, name in enumerate(names)
            if (rest[:, j] == rest[0, j]).all() and x[i, j] != rest[0, j]
        ]
        what = f'"{resting[0]}"' if resting else "a coefficient"
        raise ValueError(
            f'{what} rests on one study, row {i + 1} ("{labels[i]}"): nothing is left to judge it'
            f" by. {_LEVEL if '[' in what else _NUMBER_TEXT}"
        )
