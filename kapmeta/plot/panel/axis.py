"""The effect axis: how far it goes, and which values are labelled on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray

__all__ = [
    "EffectAxis",
    "Fits",
    "effect_axis",
    "label_of",
    "linear_series",
    "rounded",
    "ten_digits",
]

Fits = Callable[[Sequence[float], Sequence[str]], bool]

LEAST_LABELS, MOST_LABELS = 3, 9


class EffectAxis(NamedTuple):
    """Ends of the axis and labelled values on the scale shown; `log` for ratios."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool

    def place(self, shown: npt.ArrayLike) -> FloatArray:
        """Find positions along the axis, 0 at its low end, 1 at its high end; may be infinite."""
        ends = on_axis([self.low, self.high], self.log)
        return np.asarray((on_axis(shown, self.log) - ends[0]) / (ends[1] - ends[0]))

    def at(self, place: npt.ArrayLike) -> FloatArray:
        """Find the value shown at a position along the axis."""
        ends = on_axis([self.low, self.high], self.log)
        return off_axis(ends[0] + np.asarray(place) * (ends[1] - ends[0]), self.log)


def on_axis(shown: npt.ArrayLike, log: bool) -> FloatArray:
    """Convert values shown to lengths along the axis; the logarithm for ratios."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(np.asarray(shown, dtype=float)) if log else np.asarray(shown, dtype=float)


def off_axis(length: npt.ArrayLike, log: bool) -> FloatArray:
    """Convert lengths along the axis to values shown, to ten digits."""
    values = 10 ** np.asarray(length, dtype=float) if log else np.asarray(length, dtype=float)
    return ten_digits(values).reshape(values.shape)


def ten_digits(values: npt.ArrayLike) -> FloatArray:
    """Round values to ten digits, in one row, so that no drawing depends on the last bit."""
    return np.array([float(f"{value:.10g}") for value in np.ravel(np.asarray(values, dtype=float))])


def rounded(x: float) -> float:
    """Round one value to ten digits."""
    return float(f"{x:.10g}")


def effect_axis(
    points: FloatArray,
    low: FloatArray,
    high: FloatArray,
    null: float | None,
    *,
    log: bool,
    fits: Fits,
    ends: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
    advice: str = "a wider figure",
) -> EffectAxis:
    """Choose ends and labels for these estimates and intervals.

    Every estimate is on the axis, and so is the null value. Intervals are shown whole unless they
    go beyond the outermost estimate by more than the distance between the estimates and 2.5 times
    the usual half-width of an interval; those are cut and drawn with an arrow. At least three
    values are labelled.

    Parameters
    ----------
    points, low, high : ndarray
        Estimates and limits on the scale shown; nan where there is none, limits may be infinite.
    null : float or None
        Value of no effect.
    log : bool
        Whether the axis is logarithmic.
    fits : callable
        Given places and labels, returns whether they have room side by side.
    ends, ticks : optional
        The user's own.
    advice : str
        What to give where labels do not fit, for the error.
    """
    places = [on_axis(x, log) for x in (points, low, high)]
    found = ends if ends is not None else _axis_ends(places[0], places[1], places[2], null, log)
    bottom, top = (float(x) for x in found)
    if ticks is not None:
        inside = [float(tick) for tick in ticks]
        bottom, top = (
            (bottom, top) if ends is not None else (min(bottom, *inside), max(top, *inside))
        )
        return EffectAxis(bottom, top, tuple(inside), tuple(map(label_of, inside)), log)
    for _ in range(60):
        axis = EffectAxis(bottom, top, (), (), log)
        for series in _log_series(bottom, top) if log else linear_series(bottom, top):
            labels = [label_of(tick) for tick in series]
            if LEAST_LABELS <= len(series) <= MOST_LABELS and fits(
                list(axis.place(series)), labels
            ):
                return EffectAxis(bottom, top, tuple(series), tuple(labels), log)
        bottom, top = (float(x) for x in axis.at([-0.08, 1.08]))
    raise ValueError(f"no three axis labels fit between {bottom:g} and {top:g}; give {advice}")


def _axis_ends(
    points: FloatArray, low: FloatArray, high: FloatArray, null: float | None, log: bool
) -> FloatArray:
    """Find the ends of an axis for points and limits, all as lengths along it.

    Steps: the span of the estimates and the null; how far limits may go beyond it before they are
    cut; half and double for ratios; a margin.
    """
    # 1. the span of the estimates and the null, or of the limits where there is neither
    core = points[np.isfinite(points)]
    if null is not None:
        core = np.append(core, on_axis(null, log))
    if not core.size:
        limits = np.append(low, high)
        core = limits[np.isfinite(limits)]
    first, last = (float(core.min()), float(core.max())) if core.size else (0.0, 0.0)
    # 2. limits are shown whole unless they go far beyond that span
    with np.errstate(invalid="ignore"):
        halves = np.concatenate([points - low, high - points])
    halves = halves[np.isfinite(halves) & (halves > 0)]
    most = max(last - first, 2.5 * float(np.median(halves)) if halves.size else 0.0)
    most = most or 0.1 * abs(last) or 1.0
    far = [
        first - float(np.nanmin(low, initial=first)),
        float(np.nanmax(high, initial=last)) - last,
    ]
    below, above = (x if x <= 1.3 * most else most for x in far)  # a little farther is not cut
    bottom, top = first - below, last + above
    # 3. a ratio is read against half and double, unless its interval would be too small to see
    if log and null is not None and top - bottom > math.log10(1.5):
        bottom, top = min(bottom, math.log10(null / 2)), max(top, math.log10(2 * null))
    # 4. a margin
    pad = 0.04 * (top - bottom) or 0.5 * most
    return off_axis([bottom - pad, top + pad], log)


def _log_series(low: float, high: float) -> Iterator[list[float]]:
    """List labels for a ratio: 1 2 5, 1 3, decades, steps of them, or even steps if narrow."""
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    for digits in ((1, 2, 5), (1, 3), (1,)):
        yield _within_ends(
            [float(f"{d}e{n}") for n in range(first, last + 1) for d in digits], low, high
        )
    for step in range(2, max(3, (last - first) // 2)):
        yield _within_ends(
            [float(f"1e{n}") for n in range(first, last + 1) if n % step == 0], low, high
        )
    if high / low < 10:
        yield from linear_series(low, high)


def linear_series(low: float, high: float) -> Iterator[list[float]]:
    """List even steps of 1, 2, 2.5 or 5 times a power of ten through 0, the finest first."""
    power = math.floor(math.log10(high - low)) - 1
    for exponent in (power, power + 1):
        for digits in (1, 2, 2.5, 5):
            step = float(f"{digits}e{exponent}")
            numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
            yield [float(f"{n * step:.12g}") for n in numbers]


def _within_ends(values: list[float], low: float, high: float) -> list[float]:
    return [value for value in values if low * (1 - 1e-12) <= value <= high * (1 + 1e-12)]


def label_of(value: float) -> str:
    """Write a value as an axis shows it."""
    digits, _, power = f"{value:.6g}".partition("e")
    return (f"{digits}e{int(power)}" if power else digits).replace("-", "−")
