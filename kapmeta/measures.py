"""Effect measures: their names, their scales, and the side of no effect of an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray, IntArray


def _identity(x: FloatArray) -> FloatArray:
    return x


def _inverse_logit(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _logarithm(x: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.where(x >= 0, x, np.nan)))


def _logit(x: FloatArray) -> FloatArray:
    return np.asarray(np.log(x) - np.log1p(-x))


def _arcsine_root(x: FloatArray) -> FloatArray:
    return np.asarray(np.arcsin(np.sqrt(x)))


def _squared_sine(x: FloatArray) -> FloatArray:
    return np.asarray(np.sin(np.clip(x, 0, np.pi / 2)) ** 2)


class Interval(NamedTuple):
    """An estimate with its limits."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Measure:
    """One effect measure: its key, its names, and the way to the scale shown.

    Attributes
    ----------
    key : str
        The word used in ``Effects.measure``, e.g. ``"RR"``.
    name, short : str
        Full and short name for sentences and column heads.
    ratio : bool
        True if the analysis scale is the logarithm of the measure.
    null : float or None
        The value of no effect on the scale shown; None where there is none: in one group.
    counts : bool
        True if the measure is of how many people have an event, False for means and the like.
    limits : tuple of float
        The smallest and the largest possible value on the scale shown.
    """

    key: str
    name: str
    short: str
    ratio: bool = False
    null: float | None = 0.0
    counts: bool = False
    limits: tuple[float, float] = (-np.inf, np.inf)
    _shown: Callable[[FloatArray], FloatArray] = _identity
    _analysed: Callable[[FloatArray], FloatArray] = _identity

    @property
    def compares(self) -> bool:
        """Whether the measure compares two arms; False for a measure of one group."""
        return self.null is not None

    def shown(self, x: npt.ArrayLike) -> FloatArray:
        """Take `x` from the analysis scale to the scale that readers see, within its limits."""
        with np.errstate(over="ignore"):
            return np.clip(self._shown(np.asarray(x, dtype=np.float64)), *self.limits)

    def analysed(self, x: npt.ArrayLike) -> FloatArray:
        """Take `x` from the scale that readers see to the analysis scale; nan where impossible."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._analysed(np.asarray(x, dtype=np.float64))

    def shown_interval(self, estimate: float, low: float, high: float) -> Interval:
        """Take an estimate with its limits to the scale that readers see."""
        return Interval(*(float(self.shown(x)) for x in (estimate, low, high)))

    def side(
        self, low: npt.ArrayLike, high: npt.ArrayLike, *, shown: bool = False
    ) -> IntArray | None:
        """Return `side_of` for limits on the analysis scale, or on the scale shown.

        None for a measure that has no value of no effect.
        """
        return None if self.null is None else side_of(low, high, self.null if shown else 0.0)


def _ratio_measure(key: str, name: str, short: str = "", *, counts: bool = True) -> Measure:
    return Measure(
        key,
        name,
        short or key,
        ratio=True,
        null=1.0,
        counts=counts,
        _shown=np.exp,
        _analysed=_logarithm,
    )


def _proportion_measure(
    key: str,
    name: str,
    shown: Callable[[FloatArray], FloatArray],
    analysed: Callable[[FloatArray], FloatArray],
    *,
    ratio: bool = False,
) -> Measure:
    return Measure(key, name, "proportion", ratio, None, True, (0.0, 1.0), shown, analysed)


def side_of(low: npt.ArrayLike, high: npt.ArrayLike, null: float = 0.0) -> IntArray:
    """Return 1 where an interval lies above `null`, -1 where below, 0 where it does neither."""
    above, below = np.asarray(low) > null, np.asarray(high) < null
    return np.asarray(above.astype(np.int64) - below.astype(np.int64))


def exclusion_sentence(side: IntArray | None, null: float | None, what: str = "") -> str:
    """Say in how many analyses the interval excludes no effect; empty where there is no null."""
    if side is None or null is None:
        return ""
    return f"The interval excludes {null:g} in {np.count_nonzero(side)} of {side.size}{what}."


MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        _ratio_measure("RR", "risk ratio"),
        _ratio_measure("OR", "odds ratio"),
        _ratio_measure("PETO", "Peto odds ratio", "Peto OR"),
        _ratio_measure("HR", "hazard ratio"),
        _ratio_measure("IRR", "rate ratio"),
        _ratio_measure("ROM", "ratio of means", "RoM", counts=False),
        Measure("RD", "risk difference", "RD", counts=True),
        Measure("AS", "arcsine difference", "AS", counts=True),
        Measure("MD", "mean difference", "MD"),
        Measure("SMD", "standardised mean difference", "SMD"),
        _proportion_measure("PR", "proportion", _identity, _identity),
        _proportion_measure("PLN", "proportion (log)", np.exp, _logarithm, ratio=True),
        _proportion_measure("PLO", "proportion (logit)", _inverse_logit, _logit),
        _proportion_measure("PAS", "proportion (arcsine)", _squared_sine, _arcsine_root),
        Measure(
            "ZCOR", "correlation (Fisher z)", "r", null=None, _shown=np.tanh, _analysed=np.arctanh
        ),
        Measure("GEN", "effect", "effect"),
    )
}
"""Every effect measure, by key. A new measure is one row."""


def measure_named(key: str) -> Measure:
    """Look up the measure called `key`; an unknown word is refused with the list of words."""
    try:
        return MEASURES[key]
    except KeyError:
        raise ValueError(f'unknown measure "{key}"; use one of: {", ".join(MEASURES)}') from None
