"""Prediction densities and shrunken estimates, added to the rows of a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import t_quantile
from kapmeta.plot.forest_page.columns import Row
from kapmeta.plot.forest_page.groups import ModelResult
from kapmeta.results.effects import Effects
from kapmeta.results.posteriors import Posterior

__all__ = ["PREDICTION_SHAPES", "enriched", "prediction_density"]

PREDICTION_SHAPES = ("bar", "density")
FEWER = {"t": 1, "hk": 1, "hts": 2, "hk-pr": 2}
"""Studies less degrees of freedom, for each prediction interval that is one of a t distribution."""

DENSITY_POINTS = 121


def enriched(
    rows: Sequence[Row], effects: Effects, prediction: str, shrunken: pd.DataFrame | None
) -> tuple[list[Row], list[str]]:
    """Add the density of prediction and shrunken estimates to rows; return notes on them too."""
    if prediction not in PREDICTION_SHAPES:
        raise ValueError(
            f'prediction = "{prediction}" is not known; use one of: {", ".join(PREDICTION_SHAPES)}'
        )
    found, notes = list(rows), []
    if prediction == "density":
        found = [_with_density(row) if row.kind == "prediction" else row for row in found]
    if shrunken is not None:
        found = _with_shrunken(found, effects, shrunken)
        notes.append("Open diamonds: estimates of the studies drawn towards the mean.")
    return found, notes


def _with_density(row: Row) -> Row:
    x, height = prediction_density(row.result)
    return replace(row, values={**row.values, "density": (row.result.scale.shown(x), height)})


def prediction_density(model: ModelResult) -> tuple[FloatArray, FloatArray]:
    """Compute the density of the effect in a new study, scaled to a largest height of 1.

    Returns values on the analysis scale and heights: of a t distribution with the limits of the
    prediction interval, or of the posterior. Raises ValueError for intervals that come from no such
    distribution.
    """
    centre, low, high = model.estimate, model.prediction_low, model.prediction_high
    x = np.linspace(centre - 1.7 * (centre - low), centre + 1.7 * (high - centre), DENSITY_POINTS)
    if isinstance(model, Posterior):
        height = np.asarray(model.density(x, new_study=True))
        return x, height / height.max()
    fewer = FEWER.get(model.method.prediction)
    if fewer is None:
        raise ValueError(
            f'the prediction interval "{model.method.prediction}" has no density to draw; use'
            f' prediction="bar", or pool with one of: {", ".join(FEWER)}'
        )
    df = float(model.k - fewer)
    scale = (high - low) / 2 / float(t_quantile((1 + model.method.level) / 2, df))
    return x, np.asarray((1 + ((x - centre) / scale) ** 2 / df) ** (-(df + 1) / 2))


def _with_shrunken(rows: list[Row], effects: Effects, frame: pd.DataFrame) -> list[Row]:
    names = ("estimate", "low", "high")
    checking.instance(frame, pd.DataFrame, "shrunken", "be a DataFrame, as Posterior.shrunken()")
    lacking = [name for name in ("study", *names) if name not in frame]
    if lacking:
        raise ValueError(
            f'shrunken needs the column "{lacking[0]}"; there are:'
            f" {', '.join(map(str, frame.columns))}"
        )
    present = [label for label, yes in zip(effects.labels, effects.present, strict=True) if yes]
    if [str(label) for label in frame["study"]] != present:
        raise ValueError("shrunken must have one row per study pooled, in the same order")
    values = iter([{n: float(frame[n].iloc[i]) for n in names} for i in range(len(frame))])
    found: list[Row] = []
    for row in rows:
        more: dict[str, Any] = next(values, {}) if row.kind == "study" else {}
        found.append(
            replace(row, values={**row.values, **{f"shrunken_{n}": more[n] for n in more}})
        )
    return found
