"""Subsets, the analysis of every subset of the studies, with its sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.heterogeneity.heterogeneity import h2_from_q, h2_from_tau2
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.pooling.combining import Combined
from kapmeta.measures import Measure, exclusion_sentence
from kapmeta.references import cited
from kapmeta.results.pooled import Pooled
from kapmeta.results.shared.views import View
from kapmeta.results.sweeps import analysis_phrase

__all__ = ["Subsets"]

_SUBSETS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False, repr=False)
class Subsets(View):
    """The same analysis in many subsets of the studies (GOSH): returned by `kapmeta.all_subsets`.

    Attributes
    ----------
    codes : ndarray of int, shape (subsets,)
        Each subset as a number whose binary digit j says whether study j of `labels` takes part.
    found : Combined
        Estimates and limits on the analysis scale, between-study variance and Q, each of shape
        (subsets,).
    base : Pooled
        The analysis of all studies.
    labels : tuple of str
        The studies pooled.
    sampled : bool
        Whether the subsets are a random sample, or all there are.
    """

    codes: IntArray
    found: Combined
    base: Pooled
    labels: tuple[str, ...]
    sampled: bool = False
    papers = ("subsets",)

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.base.scale

    @property
    def masks(self) -> BoolArray:
        """Which studies take part in each subset, shape (subsets, studies)."""
        return membership(self.codes, len(self.labels))

    def i2(self) -> FloatArray:
        """Compute I2 of each subset as a proportion.

        From tau2 for random effects, from Q for common-effect methods.
        """
        several = self.found.k > 1
        if self.base.method.model != "random":
            with np.errstate(invalid="ignore", divide="ignore"):
                h2 = np.asarray(h2_from_q(self.found.q, self.found.k - 1.0))
        else:
            v = self.base.effects.v[self.base.effects.present]
            h2 = np.concatenate(
                [
                    _h2(v, self.found.tau2[rows], self.codes[rows])
                    for rows in blocks(self.codes.size)
                ]
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(several, np.maximum(0.0, 1 - 1 / h2), 0.0)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per subset, with a column per study that says whether it takes part.

        Columns k, estimate and limits on the scale shown, tau2, Q and I2 come first.
        """
        shown, found = self.scale.shown, self.found
        columns: dict[str, Any] = {
            "k": found.k,
            "estimate": shown(found.estimate),
            "low": shown(found.low),
            "high": shown(found.high),
            "y": found.estimate,
            "se": found.se,
            "tau2": found.tau2,
            "q": found.q,
            "i2": self.i2(),
        }
        members = dict(zip(self.labels, self.masks.T, strict=True))
        return pd.DataFrame({**columns, **members})

    def summary(self) -> str:
        """Say how far the estimate moves, and how often the interval excludes no effect."""
        known = self.found.estimate[~np.isnan(self.found.estimate)]
        ends = (
            known.min(),
            np.median(known),
            known.max(),
        )  # an infinite ratio has its place among them
        low, middle, high = (wording.number(float(self.scale.shown(x))) for x in ends)
        which = "a random sample of the subsets" if self.sampled else "all subsets"
        text = f"Subsets of {len(self.labels)} studies ({which}, {self.codes.size}): "
        text += f"{self.scale.short} {low} to {high}, median {middle}."
        side = self.scale.side(self.found.low, self.found.high)
        return f"{text} {exclusion_sentence(side, self.scale.null)}".rstrip()

    def methods_text(self) -> str:
        """Write the paragraph for a methods section, with its references."""
        n = f"{self.codes.size:,}"
        which = f"in a random sample of {n} subsets" if self.sampled else f"in {n} subsets"
        smallest = int(self.found.k.min())
        all_of = "" if self.sampled else f", all with {smallest} or more"
        return cited(
            f"We repeated {analysis_phrase(self.base)} {which} of the studies{all_of}.",
            *self.papers,
        )

    def __repr__(self) -> str:
        return f"Subsets({self.codes.size} of {len(self.labels)} studies, {self.scale.short})"

    def _shown_table(self) -> pd.DataFrame | None:
        return None  # one row per subset: too long


def membership(codes: IntArray, k: int) -> BoolArray:
    """Read the binary digits of `codes`, lowest first; shape (codes, k)."""
    return (codes[:, None] >> np.arange(k) & 1).astype(bool)


def blocks(rows: int) -> list[slice]:
    """Divide rows into slices few enough to be held as masks."""
    return [
        slice(start, min(start + _SUBSETS_AT_ONCE, rows))
        for start in range(0, rows, _SUBSETS_AT_ONCE)
    ]


def _h2(v: FloatArray, tau2: FloatArray, codes: IntArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(h2_from_tau2(tau2, np.where(membership(codes, v.size), v, np.inf)))
