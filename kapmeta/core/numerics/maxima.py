"""Maxima of smooth functions in a box, by damped Newton steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray, FloatArray

_MOST_NEWTON, _MOST_HALVINGS, _MOST_LAST_STEPS = 60, 25, 8
_SAME = 1e-9  # log-likelihoods that differ by less are of the same maximum

Derivatives = tuple[float, FloatArray, FloatArray]
"""Value, gradient and Hessian."""


class Maximum(NamedTuple):
    """A maximum of a likelihood; the covariance is nan where it is not identified."""

    theta: FloatArray
    log_likelihood: float
    covariance: FloatArray
    on_bound: BoolArray  # which parameters lie on a bound
    converged: bool


def highest(found: Sequence[Maximum]) -> Maximum:
    """Return the highest of several maxima, the first where they are the same up to rounding."""
    values = np.array([one.log_likelihood for one in found])
    values = np.where(np.isnan(values), -np.inf, values)
    return found[int(np.argmax(values >= values.max() - _SAME * max(1.0, abs(values.max()))))]


def maximise(
    f: Callable[[FloatArray], Derivatives],
    start: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
) -> Maximum:
    """Maximise `f`, which returns value, gradient and Hessian, in a box by damped Newton steps.

    Curvature of the wrong sign is reversed, each coordinate is measured in its own curvature, and
    steps are shortened until they climb. The search ends when a full step would gain less than
    1e-13 in log-likelihood, which has no unit. The value cannot lead any further, but the gradient
    can: full steps follow while each promises less than the one before, down to rounding.
    """
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    theta = np.clip(np.asarray(start, dtype=np.float64), lower, upper)
    at, settled = f(theta), False
    for _ in range(_MOST_NEWTON):
        direction = _newton_direction(*at[1:], _free(theta, at, lower, upper))
        gain = float(at[1] @ direction)
        new, ahead = _climbing_step(f, theta, at[0], at[1], direction, lower, upper)
        stays = new is theta
        settled = gain <= (1e-9 if stays else 2e-13) * max(1.0, abs(at[0]))
        theta, at = new, ahead
        if settled or stays:
            break
    if settled:
        theta, at = _finish(f, theta, at, lower, upper)
    stuck = (theta <= lower) | (theta >= upper)
    return Maximum(
        theta, at[0], _inverse_information(at[2], ~stuck), stuck & (lower < upper), bool(settled)
    )


def _free(theta: FloatArray, at: Derivatives, lower: FloatArray, upper: FloatArray) -> BoolArray:
    """Find the coordinates that may move: not held at a bound, and not flat across the box."""
    value, gradient, _ = at
    width = np.where(np.isfinite(upper - lower), upper - lower, np.inf)
    stuck = ((theta <= lower) & (gradient <= 0)) | ((theta >= upper) & (gradient >= 0))
    with np.errstate(invalid="ignore"):
        flat = np.abs(gradient) * width <= 2e-13 * max(1.0, abs(value))
    return np.asarray(~(stuck | flat | (lower == upper)))


def _finish(
    f: Callable[[FloatArray], Derivatives],
    theta: FloatArray,
    at: Derivatives,
    lower: FloatArray,
    upper: FloatArray,
) -> tuple[FloatArray, Derivatives]:
    """Take full Newton steps near a maximum while each promises less gain than the one before."""
    direction = _newton_direction(*at[1:], _free(theta, at, lower, upper))
    promised = float(at[1] @ direction)
    for _ in range(_MOST_LAST_STEPS):
        new = np.clip(theta + direction, lower, upper)
        ahead = f(new)
        direction = _newton_direction(*ahead[1:], _free(new, ahead, lower, upper))
        gain = float(ahead[1] @ direction)
        if not (np.isfinite(ahead[0]) and gain < promised):
            break
        theta, at, promised = new, ahead, gain
    return theta, at


def _newton_direction(gradient: FloatArray, hessian: FloatArray, free: BoolArray) -> FloatArray:
    """Compute the ascent direction in the free coordinates, with all curvature made negative."""
    direction = np.zeros_like(gradient)
    if not free.any():
        return direction
    g, h = gradient[free], -hessian[np.ix_(free, free)]
    scale = np.sqrt(np.maximum(np.abs(np.diag(h)), np.finfo(np.float64).tiny))
    values, vectors = np.linalg.eigh(h / np.outer(scale, scale))
    values = np.maximum(np.abs(values), 1e-10 * np.abs(values).max() + np.finfo(np.float64).tiny)
    direction[free] = (vectors @ ((vectors.T @ (g / scale)) / values)) / scale
    return direction


def _climbing_step(
    f: Callable[[FloatArray], Derivatives],
    theta: FloatArray,
    value: float,
    gradient: FloatArray,
    direction: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
) -> tuple[FloatArray, Derivatives]:
    """Take the first of ever shorter steps that climbs enough; `theta` itself if none does.

    A step is bent along the box and may then point down although its direction points up, so the
    value itself is compared.
    """
    length = 1.0
    ahead = f(np.clip(theta + direction, lower, upper))
    for _ in range(_MOST_HALVINGS):
        new = np.clip(theta + length * direction, lower, upper)
        if ahead[0] >= value + 1e-4 * max(0.0, float(gradient @ (new - theta))):
            return new, ahead
        length /= 2 if np.isfinite(ahead[0]) else 4
        ahead = f(np.clip(theta + length * direction, lower, upper))
    return theta, f(theta)


def _inverse_information(hessian: FloatArray, free: BoolArray) -> FloatArray:
    """Invert the information over the free coordinates; nan elsewhere, or if not positive."""
    covariance = np.full(hessian.shape, np.nan)
    if free.any():
        information = -hessian[np.ix_(free, free)]
        scale = np.sqrt(np.abs(np.diag(information)))
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = information / np.outer(scale, scale)
        if np.isfinite(scaled).all() and np.linalg.eigvalsh(scaled).min() > 1e-10:
            covariance[np.ix_(free, free)] = np.linalg.inv(scaled) / np.outer(scale, scale)
    return covariance
