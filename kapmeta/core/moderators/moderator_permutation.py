"""Permutation tests of moderators: exact where the permutations can be listed, else random.

References
----------
.. [1] Higgins JPT, Thompson SG. Controlling the risk of spurious findings from meta-regression.
   Stat Med 2004;23:1663-1682. https://doi.org/10.1002/sim.1752
.. [2] Follmann DA, Proschan MA. Valid inference in random effects meta-analysis. Biometrics
   1999;55:732-737. https://doi.org/10.1111/j.0006-341X.1999.00732.x
"""

from __future__ import annotations

from itertools import combinations
from math import factorial, prod
from typing import NamedTuple

import numpy as np

from kapmeta.core.moderators.regression import Regression, fit, joint_test
from kapmeta.core.moderators.residual_variance import ResidualEstimator
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.ties import TIE

MOST_LISTED = 50_000
"""Up to this many distinct arrangements are listed, and the test is exact."""


class Permuted(NamedTuple):
    """Permutation p-values.

    Attributes
    ----------
    p_values : ndarray, shape (p,)
        Two-sided p-value of each coefficient.
    joint_p_value : float
        p-value of the moderators together.
    arrangements : int
        Number of arrangements used, the observed one included.
    exact : bool
        Whether these are all the distinct arrangements.
    """

    p_values: FloatArray
    joint_p_value: float
    arrangements: int
    exact: bool


def distinct_arrangements(x: FloatArray) -> int:
    """Count the different orders of the rows of `x`; equal rows are interchangeable."""
    _, counts = np.unique(x, axis=0, return_counts=True)
    return factorial(len(x)) // prod(factorial(int(n)) for n in counts)


def all_arrangements(codes: IntArray) -> IntArray:
    """List every distinct order of `codes` (0, 1, ...), one per row.

    Examples
    --------
    >>> import numpy as np
    >>> all_arrangements(np.array([0, 0, 1]))
    array([[0, 0, 1],
           [0, 1, 0],
           [1, 0, 0]])
    """
    k = len(codes)
    rows = np.full((1, k), 0)
    free = np.arange(k)[None]
    for code, n in enumerate(np.bincount(codes).tolist()):
        open_ = free.shape[1]
        chosen = np.array(list(combinations(range(open_), n)), dtype=int).reshape(-1, n)
        left = np.array([np.setdiff1d(np.arange(open_), c) for c in chosen], dtype=int)
        places = free[:, chosen].reshape(-1, n)
        rows = np.repeat(rows, len(chosen), axis=0)
        np.put_along_axis(rows, places, code, axis=1)
        free = free[:, left].reshape(len(rows), -1)
    return np.unique(rows, axis=0)


def permutation_test(
    y: FloatArray,
    v: FloatArray,
    x: FloatArray,
    *,
    tau2: str | ResidualEstimator | float = "REML",
    ci: str = "wald",
    intercept: int | None = 0,
    draws: int = 10_000,
    rng: np.random.Generator,
) -> Permuted:
    """Test the coefficients by permutation, with tau2 estimated anew in every arrangement.

    The rows of `x` are permuted against the studies [1]_; where `x` is an intercept alone, the
    signs of the effects are flipped instead [2]_. One data set without absent studies.

    Parameters
    ----------
    y, v : ndarray, shape (k,)
        Effects and variances.
    x : ndarray, shape (k, p)
        Design matrix.
    tau2, ci : str
        As for `kapmeta.core.moderators.regression.fit`; the statistics compared are those of `ci`.
    intercept : int or None
        Column of ones, not part of the joint test.
    draws : int
        Random arrangements if more than `MOST_LISTED` exist. The observed arrangement is then one
        of ``draws + 1``, and the p-value cannot fall below its share.
    rng : numpy.random.Generator
        Source of the random arrangements; not used by the exact test.
    """
    alone = x.shape[1] == 1 and intercept == 0
    number = 2 ** len(y) if alone else distinct_arrangements(x)
    exact = number <= MOST_LISTED
    if alone:
        signs = _signs(len(y), exact, draws, rng)
        found = fit(signs * y, v, x, tau2=tau2, ci=ci)
    else:
        order = _orders(x, exact, draws, rng)
        found = fit(y[order], v[order], x, tau2=tau2, ci=ci)
    each, joint = _statistics(found, intercept if not alone else None)
    return Permuted(_share(each), float(_share(joint[:, None])[0]), len(each), exact)


def _signs(k: int, exact: bool, draws: int, rng: np.random.Generator) -> FloatArray:
    """List or draw sign patterns, the observed one first."""
    if exact:
        return np.asarray(1.0 - 2.0 * (np.arange(2**k)[:, None] >> np.arange(k) & 1))
    return np.concatenate([np.ones((1, k)), rng.choice(np.array([-1.0, 1.0]), size=(draws, k))])


def _orders(x: FloatArray, exact: bool, draws: int, rng: np.random.Generator) -> IntArray:
    """List or draw orders of the studies against the rows of `x`, the observed one first."""
    k = len(x)
    if not exact:
        drawn = rng.permuted(np.tile(np.arange(k), (draws, 1)), axis=1)
        return np.concatenate([np.arange(k)[None], drawn])
    codes = np.unique(x, axis=0, return_inverse=True)[1].reshape(-1)
    arrangements = all_arrangements(codes)
    # study i takes the place of a row of its code; studies with the same code keep their order
    place = np.empty(k, dtype=int)
    place[np.argsort(codes, kind="stable")] = np.arange(k)
    orders = np.argsort(arrangements, axis=1, kind="stable")[:, place]
    observed = (arrangements == codes).all(axis=1)
    return np.concatenate([orders[observed], orders[~observed]])


def _statistics(found: Regression, intercept: int | None) -> tuple[FloatArray, FloatArray]:
    """Return absolute statistics of the coefficients (n, p), and the joint statistic (n,)."""
    p = found.beta.shape[-1]
    rows = np.eye(p)[[j for j in range(p) if j != intercept]]
    joint = joint_test(found.beta, found.covariance, rows, np.full(found.beta.shape[0], np.inf))
    return np.abs(found.statistic), joint.statistic


def _share(statistics: FloatArray) -> FloatArray:
    """Compute the share of arrangements as extreme as the first.

    Those that cannot be computed count as extreme.
    """
    observed = statistics[0]
    return np.asarray((~(statistics < observed * (1 - TIE))).mean(axis=0))
