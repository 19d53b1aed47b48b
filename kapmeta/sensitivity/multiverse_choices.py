"""The choices of the multiverse: words offered, combinations that exist, standing of each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.effects.counts import TRIGGERS
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.sensitivity import universes
from kapmeta.core.sensitivity.universes import COMMON, PETO, STRATIFIED, Analysis
from kapmeta.sensitivity.choices import INCLUSIONS
from kapmeta.sensitivity.multiverse_exact import COUNT_MODELS, offers

__all__ = [
    "CHOICES",
    "MISSING",
    "OWN_INTERVAL",
    "STANDING",
    "about_poolings",
    "analyses_of",
    "choices_asked",
    "standings",
]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "time": ("as given",),
    "missing": ("as counted",),
    "measure": ("RR", universes.OPPOSITE, "OR"),
    "zero": ("half-if-any", "treatment-arm"),
    "pooling": ("REML", "PM", "DL", COMMON, STRATIFIED),
    "ci": ("hksj-hybrid", "hksj-variance", "wald"),
    "studies": ("all",),
}
"""The choices of the multiverse and their default words; `kapmeta.multiverse` takes others."""

MISSING = (
    "as counted",
    "available",
    "no event",
    "event",
    "best",
    "worst",
    "event under treatment",
    "event under control",
)
"""What is done about the missing, by name; "best" and "worst" need `event_is_good`."""

STANDING: Mapping[str, str] = {
    PETO: "arguable",
    "CM.AL": "arguable",
    "UM.FS": "arguable",
    "UM.RS": "arguable",
    "beta-binomial": "arguable",
    "firth": "arguable",
    "DL": "arguable",
    "ML": "arguable",
    "HE": "arguable",
    "HS": "arguable",
    "HSk": "arguable",
    "SJ": "arguable",
    "wald": "arguable",
    "hksj": "arguable",
    "RD": "arguable",
    "half-all": "arguable",
    "half-if-any-study": "arguable",
    "with non-randomised": "reference only",
    "best": "reference only",
    "worst": "reference only",
    "event under treatment": "reference only",
    "event under control": "reference only",
    "event": "reference only",
}
"""Words that make an analysis less than defensible; its standing is that of its weakest word."""

OWN_INTERVAL: Mapping[str, str] = {
    COMMON: "wald",
    STRATIFIED: "wald",
    PETO: "wald",
    **{word: model.intervals[0] for word, model in COUNT_MODELS.items()},
}
"""The interval of each pooling that has one of its own, whatever `ci` offers."""

_RANKS = ("defensible", "arguable", "reference only")


def choices_asked(choices: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Check the choices asked for, word by word, and fill in the defaults."""
    given = dict(choices or {})
    offered: dict[str, Sequence[str] | None] = {
        "time": None,
        "missing": MISSING,
        "measure": tuple(universes.ORIENTED_MEASURES),
        "zero": tuple(word for word in TRIGGERS if word not in ("none", "empirical")),
        "pooling": (*ESTIMATORS, COMMON, STRATIFIED, PETO, *COUNT_MODELS),
        "ci": tuple(word for word in INTERVALS if not word.startswith("permutation")),
        "studies": tuple(INCLUSIONS),
    }
    for axis, words in given.items():
        checking.chosen(axis, CHOICES, "choice")
        table = offered[axis]
        if isinstance(words, str) or not len(words):
            raise ValueError(f'choices["{axis}"] must list at least one word: got {words!r}')
        if table is not None:
            for word in words:
                checking.chosen(word, table, axis)
    asked = {axis: tuple(dict.fromkeys(given.get(axis, words))) for axis, words in CHOICES.items()}
    for pooling in asked["pooling"]:
        if not any(exists(pooling, measure) for measure in asked["measure"]):
            given_by = [
                measure for measure in universes.ORIENTED_MEASURES if exists(pooling, measure)
            ]
            raise ValueError(
                f'pooling "{pooling}" gives none of the measures asked for'
                f" ({', '.join(asked['measure'])}); it gives: {', '.join(given_by)}"
            )
    return asked


def exists(pooling: str, measure: str) -> bool:
    """Check whether a way of pooling gives this measure."""
    return (
        offers(pooling, measure) if pooling in COUNT_MODELS else pooling != PETO or measure == "OR"
    )


def analyses_of(asked: Mapping[str, tuple[str, ...]]) -> tuple[list[Analysis], list[Analysis]]:
    """List the combinations that exist and differ, exact models apart from the batch engine's.

    What pools the tables themselves has no zero rule, and like the common effect one interval of
    its own.
    """
    found: dict[Analysis, None] = {}
    for measure, zero, pooling, ci in itertools.product(
        *(asked[x] for x in ("measure", "zero", "pooling", "ci"))
    ):
        if not exists(pooling, measure):
            continue
        if pooling in universes.TABLE_POOLINGS or pooling in COUNT_MODELS:
            zero = "none"
        if pooling in OWN_INTERVAL:
            ci = OWN_INTERVAL[pooling]
        found[Analysis(measure, zero, pooling, ci)] = None
    exact = [each for each in found if each.pooling in COUNT_MODELS]
    return [each for each in found if each.pooling not in COUNT_MODELS], exact


def standings(table: pd.DataFrame) -> list[str]:
    """Return the weakest standing of each analysis's words, its own interval not counted."""
    rank = np.zeros(len(table), dtype=int)
    for axis in CHOICES:
        words = (
            table[axis].map(lambda word: _RANKS.index(STANDING.get(word, "defensible"))).to_numpy()
        )
        if axis == "ci":
            words = np.where(table["pooling"].isin(list(OWN_INTERVAL)), 0, words)
        rank = np.maximum(rank, words)
    return [_RANKS[i] for i in rank]


def about_poolings(
    asked: Mapping[str, tuple[str, ...]], unshuffled: Sequence[str]
) -> tuple[str, ...]:
    """Note which poolings lack a measure and which were not shuffled."""
    notes = []
    for pooling in asked["pooling"]:
        lacking = [measure for measure in asked["measure"] if not exists(pooling, measure)]
        if lacking:
            notes.append(f"{pooling} has no {wording.joined(lacking)}")
    if unshuffled:
        notes.append(
            f"exact models ({', '.join(unshuffled)}) take no part in the null distribution, nor in"
            " the median compared with it"
        )
    return tuple(notes)
