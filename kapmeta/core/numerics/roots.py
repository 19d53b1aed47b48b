"""Roots of many scalar functions at once, each solved to machine precision inside its bracket.

References
----------
.. [1] Chandrupatla TR. A new hybrid quadratic/bisection algorithm for finding the zero of a
   nonlinear function without using derivatives. Adv Eng Softw 1997;28:145-149.
   https://doi.org/10.1016/S0965-9978(96)00051-8
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import EPSILON, FloatArray

_TINY = np.finfo(np.float64).tiny
_MOST_ROOT_STEPS = 200  # bisection of a float64 bracket of one sign takes about 60; across 0, more


def bracketed_root(
    f: Callable[[FloatArray], FloatArray], low: npt.ArrayLike, high: npt.ArrayLike
) -> FloatArray:
    """Find the root of `f` between `low` and `high`, element by element.

    Parameters
    ----------
    f : callable
        Maps an array of abscissae to the array of values, element by element; called with the
        broadcast shape of `low` and `high` every time, so it may use other arrays of that shape.
    low, high : array_like
        Ends of the brackets. Where `f` has the same sign at both ends there is no root to find and
        nan is returned; an end at which `f` is 0 is the root.

    Returns
    -------
    ndarray
        The roots, exact to the last digits a float64 can separate: the search stops only when the
        bracket cannot be halved further, so no tolerance depends on the unit of the abscissa.

    Notes
    -----
    Chandrupatla's method [1]_: inverse quadratic interpolation where it is safe, bisection where it
    is not.

    References
    ----------
    .. [1] Chandrupatla TR. A new hybrid quadratic/bisection algorithm for finding the zero of a
       nonlinear function without using derivatives. Adv Eng Softw 1997;28:145-149.
       https://doi.org/10.1016/S0965-9978(96)00051-8

    Examples
    --------
    >>> import numpy as np
    >>> bracketed_root(lambda x: x * x - np.array([2.0, 9.0]), [0.0, 0.0], [2.0, 5.0])
    array([1.41421356, 3.        ])
    """
    # The root lies between a and b, a being the latest point; c is the point before. Each round
    # evaluates f at the fraction t from a to b, moves to it the end of the same sign, and chooses
    # the next t. Elements that are done keep their ends.
    b, a = (end.astype(np.float64) for end in np.broadcast_arrays(low, high))
    fa, fb = (np.asarray(f(end), dtype=np.float64).copy() for end in (a, b))
    unbracketed = ~(np.sign(fa) * np.sign(fb) <= 0)
    c, fc = a.copy(), fa.copy()
    t = np.full_like(a, 0.5)
    done = unbracketed.copy()
    for _ in range(_MOST_ROOT_STEPS):
        best = np.where(np.abs(fa) < np.abs(fb), a, b)
        width = np.abs(b - a)
        done |= (fa == 0) | (fb == 0) | (width <= 2 * EPSILON * np.abs(best) + _TINY)
        if done.all():
            break
        x = a + t * (b - a)
        fx = np.where(done, fa, f(np.where(done, a, x)))
        same_side = np.sign(fx) == np.sign(fa)
        new_c, new_fc = np.where(same_side, a, b), np.where(same_side, fa, fb)
        new_b, new_fb = np.where(same_side, b, a), np.where(same_side, fb, fa)
        a, fa = np.where(done, a, x), np.where(done, fa, fx)
        b, fb = np.where(done, b, new_b), np.where(done, fb, new_fb)
        c, fc = np.where(done, c, new_c), np.where(done, fc, new_fc)
        t = _next_fraction(a, fa, b, fb, c, fc)
    root = np.where(np.abs(fa) < np.abs(fb), a, b)
    return np.where(unbracketed, np.nan, root)


def _next_fraction(
    a: FloatArray, fa: FloatArray, b: FloatArray, fb: FloatArray, c: FloatArray, fc: FloatArray
) -> FloatArray:
    """Choose the next point of the bracket: interpolated where [1] eq. (2) allows it, else 0.5."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        xi = (a - b) / (c - b)
        phi = (fa - fb) / (fc - fb)
        usable = (phi * phi < xi) & ((1 - phi) ** 2 < 1 - xi)
        t = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        closest = 2 * EPSILON * np.abs(a) / np.abs(b - a)
    t = np.where(usable & np.isfinite(t), t, 0.5)
    closest = np.where(np.isfinite(closest), np.minimum(closest, 0.5), 0.5)
    return np.clip(t, closest, 1 - closest)
