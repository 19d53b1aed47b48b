"""Exact models among the analyses of a multiverse: fitted one by one, each set of tables once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kapmeta.core.exact.likelihood_curves import Tables
from kapmeta.core.exact.tabulated_curves import Tabulated, tabulated
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.sensitivity.universes import OPPOSITE, Analysis, Cells, counted_events
from kapmeta.pooling.exact_models import EXACT_MODELS, Data, ExactModel, no_contrast

__all__ = ["COUNT_MODELS", "ExactOutcomes", "evaluate_exact", "offers"]

COUNT_MODELS: Mapping[str, ExactModel] = {
    word: row for word, row in EXACT_MODELS.items() if word != "arcsine"
}
"""Models of `kapmeta.pool_exact` by name, but the one that is not of the counts themselves."""

ONE_TRIAL = "one trial: nothing to pool"
_FOR_ONE_TRIAL = (
    "binomial-common",
    "conditional",
    "firth",
    "combination",
)  # of these one trial is a case


class ExactOutcomes(NamedTuple):
    """Outcomes of exact models, as `universes.Outcomes`, with the reason if there is no answer.

    `statistic` is the normal deviate of the model's own p-value with the sign of the estimate: an
    infinite estimate has one too.
    """

    estimate: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    k: IntArray
    statistic: FloatArray
    reason: np.ndarray


class _Answer(NamedTuple):
    estimate: float = np.nan
    se: float = np.nan
    low: float = np.nan
    high: float = np.nan
    k: int = 0
    statistic: float = np.nan
    reason: str = ""


_Row = tuple[str, float, float, float, float]  # label of the trial, and its table


def offers(model: str, measure: str) -> bool:
    """Check whether a model has an effect on this measure of the multiverse."""
    return ("RR" if measure == OPPOSITE else measure) in COUNT_MODELS[model].measures


def evaluate_exact(
    cells: Cells,
    analyses: Sequence[Analysis],
    masks: BoolArray,
    labels: Sequence[str],
    *,
    level: float,
) -> ExactOutcomes:
    """Fit every exact model to every subset of every set of tables.

    Trials whose tables are the same in several variants have one curve, and the same trials are
    fitted once.

    Parameters
    ----------
    cells : Cells
        Tables, shape (variants, k); nan where a trial has none.
    analyses : sequence of Analysis
        Their `pooling` is a word of `COUNT_MODELS`, their `ci` an interval that the model offers.
    masks : ndarray of bool, shape (masks, k)
        Which trials take part.
    labels : sequence of str
        The trials.
    level : float
        Confidence level, a proportion.
    """
    size = (len(cells.n_t), len(analyses), len(masks))
    numbers = {
        name: np.full(size, np.nan) for name in ("estimate", "se", "low", "high", "statistic")
    }
    out = ExactOutcomes(
        **numbers, k=np.zeros(size, dtype=np.int64), reason=np.full(size, "", dtype=object)
    )
    for j, each in enumerate(analyses):
        rows = _labelled_tables(counted_events(cells, each.measure), labels)
        measure = "RR" if each.measure == OPPOSITE else each.measure
        curves = _curves(measure, rows)
        known: dict[tuple[_Row, ...], _Answer] = {}
        for i, variant in enumerate(rows):
            for m, mask in enumerate(masks):
                some = tuple(
                    row for row, yes in zip(variant, mask, strict=True) if yes and row is not None
                )
                if some not in known:
                    known[some] = _turned(
                        _exact_answer(each, measure, some, curves, level), each.measure
                    )
                for whole, part in zip(out, known[some], strict=True):
                    whole[i, j, m] = part
    return out


def _labelled_tables(cells: Cells, labels: Sequence[str]) -> list[list[_Row | None]]:
    """List the tables of each variant by trial; None where a trial has none."""
    a, n1, c, n2 = (x.tolist() for x in cells)
    return [
        [
            (
                (label, a[i][j], n1[i][j] - a[i][j], c[i][j], n2[i][j] - c[i][j])
                if n1[i][j] == n1[i][j]
                else None
            )
            for j, label in enumerate(labels)
        ]
        for i in range(len(n1))
    ]


def _curves(measure: str, rows: Sequence[Sequence[_Row | None]]) -> dict[_Row, Tabulated]:
    """Tabulate the likelihood curve of every table."""
    there = list(dict.fromkeys(row for variant in rows for row in variant if row is not None))
    return dict(zip(there, tabulated(measure, _tables(there)), strict=True))


def _tables(rows: Sequence[_Row]) -> Tables:
    counts = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 4)
    return Tables(*counts.T)


def _exact_answer(
    each: Analysis,
    measure: str,
    rows: tuple[_Row, ...],
    curves: Mapping[_Row, Tabulated],
    level: float,
) -> _Answer:
    """Fit one model, or give the reason why it has no answer."""
    model = COUNT_MODELS[each.pooling]
    if not any(curves[row].informative for row in rows):
        return _Answer(reason=no_contrast(measure) if rows else "no trial takes part")
    rows = tuple(row for row in rows if curves[row].informative or measure in model.silent)
    if len(rows) < model.least or (len(rows) == 1 and each.pooling not in _FOR_ONE_TRIAL):
        return _Answer(k=len(rows), reason=ONE_TRIAL)
    data = Data(
        _tables(rows),
        tuple(row[0] for row in rows),
        [curves[row] for row in rows],
        measure,
        each.ci,
        level,
    )
    try:
        found = model.fit(data)
    except ValueError as refusal:
        return _Answer(k=len(rows), reason=str(refusal))
    deviate = -float(normal_quantile(found.p_value / 2)) * float(np.sign(found.estimate))
    return _Answer(found.estimate, found.se, found.low, found.high, len(rows), deviate)


def _turned(found: _Answer, measure: str) -> _Answer:
    """Turn the answer back to the event, where the model was given its opposite."""
    if measure != OPPOSITE:
        return found
    return found._replace(
        estimate=-found.estimate, low=-found.high, high=-found.low, statistic=-found.statistic
    )
