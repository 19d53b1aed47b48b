"""Score statistics of one trial's risk ratio and risk difference.

Every function works table by table on arrays of any shape. The cells of a trial are named as in the
papers::

                event   no event   total
    treatment     a        b        n1
    control       c        d        n2

References
----------
.. [1] Koopman PAR. Confidence intervals for the ratio of two binomial proportions. Biometrics
   1984;40:513-517. https://doi.org/10.2307/2531405
.. [2] Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226.
   https://doi.org/10.1002/sim.4780040211
"""

from __future__ import annotations

import numpy as np

from kapmeta.core.numerics.arrays import FloatArray

_POLISHING_STEPS = 3  # the cubic loses digits next to a double root; Newton's steps give them back


def ratio_score(
    log_ratio: FloatArray, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray
) -> FloatArray:
    """Compute Koopman's score statistic of a log risk ratio [1]_.

    It is standard normal if that ratio is the true one. The variance is taken at the risks that fit
    best under the ratio, the roots of a quadratic. They and their complements are written here as
    sums of terms of one sign, so that nothing cancels near 0 or 1.
    """
    r = np.exp(log_ratio)
    n1, n2 = a + b, c + d
    with np.errstate(divide="ignore", invalid="ignore"):
        g, h = r * (n1 + c) - (a + n2), 4 * r * b * d
        root = np.sqrt(g * g + h)
        up = np.where(g >= 0, root + g, h / (root - g))
        down = np.where(g <= 0, root - g, h / (root + g))
        size = r * (n1 + c) + (a + n2) + root
        p2, q2, q1 = 2 * (a + c) / size, (up + 2 * d) / size, (down + 2 * r * b) / size
        variance = r * p2 * q1 / n1 + r * r * p2 * q2 / n2
        difference = a / n1 - r * c / n2
        return np.where(difference == 0, 0.0, difference / np.sqrt(variance))


def difference_score(
    difference: FloatArray, a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray
) -> FloatArray:
    """Compute Miettinen and Nurminen's score statistic of a risk difference [2]_.

    It is standard normal if that difference is the true one.
    """
    n1, n2 = a + b, c + d
    p2 = _best_control_risk(difference, a, n1, c, n2)
    p1 = np.clip(p2 + difference, 0.0, 1.0)
    variance = (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) * inflation(a, b, c, d)
    excess = (a * d - b * c) / (n1 * n2) - difference
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(excess == 0, 0.0, excess / np.sqrt(variance))


def _best_control_risk(
    delta: FloatArray, a: FloatArray, n1: FloatArray, c: FloatArray, n2: FloatArray
) -> FloatArray:
    """Solve for the most likely control risk at a risk difference of `delta`.

    The middle root of a cubic.
    """
    n, m = n1 + n2, a + c
    l2, l1 = (n1 + 2 * n2) * delta - n - m, (n2 * delta - n - 2 * c) * delta + m
    l0 = c * delta * (1 - delta)
    with np.errstate(divide="ignore", invalid="ignore"):
        third = l2 / (3 * n)
        q = third**3 - l1 * third / (2 * n) + l0 / (2 * n)
        p = np.where(q >= 0, 1.0, -1.0) * np.sqrt(np.maximum(third**2 - l1 / (3 * n), 0.0))
        angle = (np.pi + np.arccos(np.clip(np.nan_to_num(q / p**3), -1.0, 1.0))) / 3
        x = np.where(delta == 0, m / n, 2 * p * np.cos(angle) - third)
        least, most = np.maximum(0.0, -delta), np.minimum(1.0, 1 - delta)
        for _ in range(_POLISHING_STEPS):
            x = np.clip(x, least, most)
            p1 = x + delta
            # the cubic, uncancelled
            value = p1 * (1 - p1) * (c - n2 * x) + x * (1 - x) * (a - n1 * p1)
            step = value / ((3 * n * x + 2 * l2) * x + l1)
            x = np.where(np.isfinite(step), x - step, x)
    # nobody or everybody: two roots of the cubic meet at small differences, but the answer is at
    # the edge
    return np.where(m == 0, least, np.where(m == n, most, np.clip(x, least, most)))


def inflation(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """Return the factor by which Miettinen and Nurminen multiply the variance."""
    n = a + b + c + d
    return n / (n - 1)
