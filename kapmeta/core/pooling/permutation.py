"""Sign-flip permutation test of the mean, and the interval of the means it does not reject.

The statistic is the estimate itself, the "coefficient", or the estimate over its standard error,
"standardised". Both are exact under symmetry, and their verdicts can differ.

References
----------
.. [1] Follmann DA, Proschan MA. Valid inference in random effects meta-analysis. Biometrics
   1999;55:732-737. https://doi.org/10.1111/j.0006-341X.1999.00732.x
"""

from __future__ import annotations

import numpy as np

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.ties import TIE
from kapmeta.core.numerics.weighting import trace_p

STATISTICS = ("standardised", "coefficient")
"""Statistics of the test: the estimate over its standard error, or the estimate."""

MOST_STUDIES = 16
"""With more studies the 2^(k-1) sign patterns are not listed; other intervals are then as good."""


def sign_patterns(k: int) -> FloatArray:
    """List the sign patterns of `k` studies that keep the first sign, (2^(k-1), k).

    The others mirror them.
    """
    bits = np.arange(2 ** (k - 1))[:, None] >> np.arange(k - 1)[::-1] & 1
    return np.concatenate([np.ones((len(bits), 1)), 1.0 - 2.0 * bits], axis=-1)


def permutation_p_value(
    y: FloatArray,
    v: FloatArray,
    mean: float,
    patterns: FloatArray | None = None,
    *,
    statistic: str = "standardised",
) -> float:
    """Compute the exact two-sided p-value for `mean`, one data set without absent studies.

    Under symmetry every sign pattern of ``y - mean`` is as likely as the observed one. The
    statistic is ``|estimate| / se``, or ``|estimate|`` where it is the ``"coefficient"``, with
    DerSimonian and Laird's tau2 estimated anew for every pattern [1]_. The p-value cannot fall
    below 2^(1-k).

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([1.008, 0.995, 0.811, 1.099, 3.254])
    >>> v = np.array([0.036, 0.398, 0.168, 0.610, 2.010])
    >>> permutation_p_value(y, v, 0.0)
    0.0625
    >>> permutation_p_value(y, v, 0.9, statistic="coefficient")
    0.25
    """
    patterns = sign_patterns(y.size) if patterns is None else patterns
    w = 1 / v
    flipped = patterns * (y - mean)
    total = w.sum()
    q = (w * (y - mean) ** 2).sum() - (flipped @ w) ** 2 / total
    tau2 = np.maximum(q - (y.size - 1), 0.0) / trace_p(w)
    wr = 1 / (v + tau2[:, None])
    divisor = wr.sum(-1) if statistic == "coefficient" else np.sqrt(wr.sum(-1))
    size = np.abs((wr * flipped).sum(-1)) / divisor
    return float(np.mean(size >= size[0] * (1 - TIE)))


def permutation_limits(
    y: FloatArray, v: FloatArray, start: float, level: float, *, statistic: str = "standardised"
) -> tuple[float, float]:
    """Find the ends of the means not rejected at ``1 - level``, by bisection.

    The search starts at `start`, which must not be rejected. The p-value is a step function of the
    mean; the ends are the last float64 on its inner side. For one data set without absent studies,
    of enough studies for ``2^(1-k) <= 1 - level``.
    """
    patterns = sign_patterns(y.size)
    reach = np.ptp(y) + np.sqrt(v.min())

    def kept(mean: float) -> bool:
        p_value = permutation_p_value(y, v, mean, patterns, statistic=statistic)
        return p_value > 1 - level + 1e-12

    def end(side: float) -> float:
        inner, outer = start, start + side * reach
        while kept(outer):
            inner, outer = outer, start + 2 * (outer - start)
        while (middle := 0.5 * (inner + outer)) not in (inner, outer):
            inner, outer = (middle, outer) if kept(middle) else (inner, middle)
        return inner

    return end(-1.0), end(1.0)
