"""Weight functions of selection models: the relative chance of being seen, by p-value.

References
----------
.. [1] Iyengar S, Greenhouse JB. Selection models and the file drawer problem. Stat Sci
   1988;3:109-117. https://doi.org/10.1214/ss/1177013012
.. [2] Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of
   publication bias. Psychometrika 1995;60:419-435. https://doi.org/10.1007/BF02294384
.. [3] Citkowicz M, Vevea JL. A parsimonious weight function for modeling publication bias. Psychol
   Methods 2017;22:28-41. https://doi.org/10.1037/met0000119
.. [4] Preston C, Ashby D, Smyth R. Adjusting for publication bias: modelling the selection process.
   J Eval Clin Pract 2004;10:313-322. https://doi.org/10.1111/j.1365-2753.2003.00457.x
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray

LARGEST = 100.0
"""Largest selection parameter tried; the likelihood is nearly flat beyond it."""

SMALLEST_P = 1e-5
"""The beta and power functions are level below this p-value and above 1 minus it: without that the
beta function has no finite integral where heterogeneity is large, and a single tiny p-value decides
the fit.
"""


class Weight(NamedTuple):
    """Logarithm of a weight function with its first and second derivatives in the parameters."""

    log: FloatArray
    first: list[FloatArray]
    second: Mapping[tuple[int, int], FloatArray]


class Tail(NamedTuple):
    """p-values belonging to z statistics: one-sided (large z is small p) or two-sided."""

    z: FloatArray
    two_sided: bool

    @property
    def p(self) -> FloatArray:
        """The p-value."""
        return np.asarray(
            2 * special.ndtr(-np.abs(self.z)) if self.two_sided else special.ndtr(-self.z)
        )

    @property
    def log_p(self) -> FloatArray:
        """Its logarithm, without underflow."""
        if self.two_sided:
            return np.asarray(np.log(2) + special.log_ndtr(-np.abs(self.z)))
        return np.asarray(special.log_ndtr(-self.z))

    @property
    def log_q(self) -> FloatArray:
        """Logarithm of 1 - p, without cancellation."""
        if self.two_sided:
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(special.erf(np.abs(self.z) / np.sqrt(2))))
        return np.asarray(special.log_ndtr(self.z))


class WeightFamily(NamedTuple):
    """A weight function of p, with its neutral, strong and lowest parameters.

    `weight` takes the tail, the parameters and the precision of each study (1 where none is used).
    `level_ends`: whether it is kept level beyond `SMALLEST_P`.
    """

    neutral: tuple[float, ...]
    strong: tuple[float, ...]
    lower: tuple[float, ...]
    weight: Callable[[Tail, FloatArray, FloatArray], Weight]
    uses_precision: bool = False
    level_ends: bool = False


def _beta_weight(tail: Tail, d: FloatArray, precision: FloatArray) -> Weight:
    """Compute p^(d1 - 1) (1 - p)^(d2 - 1) [3]_."""
    log_p, log_q = tail.log_p, tail.log_q
    return Weight((d[0] - 1) * log_p + (d[1] - 1) * log_q, [log_p, log_q], {})


def _half_normal_weight(tail: Tail, d: FloatArray, precision: FloatArray) -> Weight:
    """Compute exp(-d p^2) [4]_."""
    slope = -precision * tail.p**2
    return Weight(d[0] * slope, [slope], {})


def _negative_exponential_weight(tail: Tail, d: FloatArray, precision: FloatArray) -> Weight:
    """Compute exp(-d p) [4]_."""
    slope = -precision * tail.p
    return Weight(d[0] * slope, [slope], {})


def _logistic_weight(tail: Tail, d: FloatArray, precision: FloatArray) -> Weight:
    """Compute 2 exp(-d p) / (1 + exp(-d p)) [4]_."""
    p = precision * tail.p
    up = special.expit(d[0] * p)
    return Weight(
        np.log(2) + special.log_expit(-d[0] * p), [-p * up], {(0, 0): -p * p * up * (1 - up)}
    )


def _power_weight(tail: Tail, d: FloatArray, precision: FloatArray) -> Weight:
    """Compute (1 - p)^d."""
    slope = precision * tail.log_q
    return Weight(d[0] * slope if d[0] > 0 else np.zeros_like(slope), [slope], {})


def _negative_exponential_power_weight(tail: Tail, d: FloatArray, precision: FloatArray) -> Weight:
    """Compute exp(-d1 p^(1 / d2)) [1]_."""
    log_p = tail.log_p
    root = np.exp(log_p / d[1])
    bent = root * log_p / d[1] ** 2
    curved = d[0] * (-bent * log_p / d[1] ** 2 - 2 * bent / d[1])
    return Weight(-d[0] * root, [-root, d[0] * bent], {(0, 1): bent, (1, 1): curved})


WEIGHT_FAMILIES: Mapping[str, WeightFamily] = MappingProxyType(
    {
        "beta": WeightFamily((1.0, 1.0), (0.6, 1.0), (1e-5, 1e-5), _beta_weight, level_ends=True),
        "half-normal": WeightFamily((0.0,), (2.0,), (0.0,), _half_normal_weight, True),
        "negative-exponential": WeightFamily(
            (0.0,), (2.0,), (0.0,), _negative_exponential_weight, True
        ),
        "logistic": WeightFamily((0.0,), (2.0,), (0.0,), _logistic_weight, True),
        "power": WeightFamily((0.0,), (1.0,), (0.0,), _power_weight, True, True),
        "negative-exponential-power": WeightFamily(
            (0.0, 1.0), (4.0, 1.0), (0.0, 1e-3), _negative_exponential_power_weight
        ),
    }
)
"""Continuous weight functions by name; ``"step"`` is the other kind."""


def level_beyond(two_sided: bool) -> FloatArray:
    """Find the |z| at which the p-value reaches `SMALLEST_P` or 1 minus it."""
    ends = (1 - SMALLEST_P, SMALLEST_P) if two_sided else (SMALLEST_P,)
    return np.array([-special.ndtri(p / 2 if two_sided else p) for p in ends])


def level_tail(z: FloatArray, two_sided: bool) -> Tail:
    """Build the tail with p kept between `SMALLEST_P` and 1 minus it."""
    *low, high = level_beyond(two_sided)
    if two_sided:
        z = np.maximum(np.abs(z), low[0])
    return Tail(np.clip(z, -high, high), two_sided)


def step_weight(p: FloatArray, ends: FloatArray, d: FloatArray) -> Weight:
    """Compute a weight of 1 up to the first step and `d` after it [2]_.

    Derivatives are 0 where the weight is 0.
    """
    place = np.searchsorted(ends, p, side="left")
    all_d = np.concatenate([[1.0], d])
    with np.errstate(divide="ignore"):
        log = np.log(all_d)[place]
    rate = np.where(all_d > 0, 1 / np.where(all_d > 0, all_d, 1.0), 0.0)
    first = [np.where(place == j, rate[j], 0.0) for j in range(1, all_d.size)]
    return Weight(log, first, {(j, j): -g * g for j, g in enumerate(first)})
