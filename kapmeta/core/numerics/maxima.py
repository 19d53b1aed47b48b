"""Maxima of smooth functions in a box, by damped Newton steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray, FloatArray

_MOST_NEWTON, _MOST_HALVINGS = 60, 25

Derivatives = tuple[float, FloatArray, FloatArray]
"""Value, gradient and Hessian."""


class Maximum(NamedTuple):
    """A maximum of a likelihood; the covariance is nan where it is not identified."""

    theta: FloatArray
    log_likelihood: float
    covariance: FloatArray
    on_bound: BoolArray  # which parameters lie on a bound
    converged: bool


def maximise(
    f: Callable[[FloatArray], Derivatives],
    start: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
) -> Maximum:
    """Maximise `f`, which returns value, gradient and Hessian, in a box by damped Newton steps.

    Curvature of the wrong sign is reversed, each coordinate is measured in its own curvature, and
    steps are shortened until they climb. The search ends when a full step would gain less than
    1e-13 in log-likelihood, which has no unit, after one more full step that squares the error.
    """
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    theta = np.clip(np.asarray(start, dtype=np.float64), lower, upper)
    width = np.where(np.isfinite(upper - lower), upper - lower, np.inf)
    value, gradient, hessian = f(theta)
    settled = False
    for _ in range(_MOST_NEWTON):
        stuck = (theta <= lower) & (gradient <= 0) | (theta >= upper) & (gradient >= 0)
        stuck |= lower == upper
        unit = max(1.0, abs(value))
        with np.errstate(invalid="ignore"):  # flat: nothing to gain across the whole box
            flat = np.abs(gradient) * width <= 2e-13 * unit
        direction = _newton_direction(gradient, hessian, ~(stuck | flat))
        gain = float(gradient @ direction)
        new, ahead = _climbing_step(f, theta, value, gradient, direction, lower, upper)
        stays = new is theta
        settled = gain <= (1e-9 if stays else 2e-13) * unit
        theta, (value, gradient, hessian) = new, ahead
        if settled or stays:
            break
    stuck = (theta <= lower) | (theta >= upper)
    covariance = _inverse_information(hessian, ~stuck)
    return Maximum(theta, value, covariance, stuck & (lower < upper), bool(settled))


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
