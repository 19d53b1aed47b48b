"""Priors of the between-study standard deviation, with the points for integrals over them.

Each prior has a coordinate w in which the integrals over tau that a random-effects model needs are
sums over equally spaced points. The integrands are analytic in w and vanish at both ends, so the
error of the plain sum falls exponentially with the number of points [1]_.

References
----------
.. [1] Trefethen LN, Weideman JAC. The exponentially convergent trapezoidal rule. SIAM Rev
   2014;56:385-458.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from kapmeta.core.numerics.arrays import FloatArray

_BASE_POINTS = 64  # multiplied by factors for the family and the number of studies
_NORMAL_RANGE = 38.0  # prior standard deviations covered: room for data that contradict the prior
_HEAVY_RANGE = 1e16  # of heavy tails, in units of the scale
LARGEST_PARAMETER = 1e25  # squares of it and their reciprocals can be computed with
_START = -3.5  # w of the first point: exp(w - exp(-w)) = 1e-16


class TauPrior(NamedTuple):
    """A prior of tau: a family of `PRIOR_FAMILIES` and its parameters, arrays over a batch.

    Built by `half_normal`, `half_cauchy`, `uniform`, `log_normal`, `log_t`, `inverse_gamma`,
    `flat`, or from a table by `kapmeta.core.bayes.empirical_priors`. `measure` is the measure on
    whose scale it is stated; empty where it may be any.
    """

    family: str
    parameters: tuple[FloatArray, ...] = ()
    origin: str = ""
    measure: str = ""

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to 1."""
        return self.family != "flat"

    @property
    def name(self) -> str:
        """Family and parameters, as in ``half-normal(0.5)``; arrays are abbreviated."""
        values = ", ".join(f"{float(p):.4g}" if np.ndim(p) == 0 else "..." for p in self.parameters)
        return f"{self.family}({values})" + (f", {self.origin}" if self.origin else "")


class Nodes(NamedTuple):
    """Equally spaced points in w, shape (..., points).

    `log_weight` is the logarithm of prior density x dtau/dw x step.
    """

    tau: FloatArray
    log_weight: FloatArray
    step: FloatArray  # of w, shape (...)
    first: FloatArray  # w of the first point, shape (...)
    tau_of: Callable[[FloatArray], FloatArray]  # from w of shape (..., m) to tau

    @property
    def w(self) -> FloatArray:
        """Coordinates of the points, shape (..., points)."""
        steps = np.arange(self.tau.shape[-1])
        return np.asarray(self.first[..., None] + self.step[..., None] * steps)


def _parameter(value: npt.ArrayLike, name: str, *, positive: bool = True) -> FloatArray:
    """Return a parameter, or an array of them, as float64; refuse what is no number by name."""
    kind = "a number of at least 0" if positive else "a number"
    given = np.asarray(value, dtype=object)
    numbers = (isinstance(x, Real) and not isinstance(x, bool | np.bool_) for x in given.flat)
    if not given.size or not all(numbers):
        raise TypeError(f"{name} must be {kind}: got {type(value).__name__}")
    array = given.astype(np.float64)
    if not (np.abs(array) <= LARGEST_PARAMETER).all() or (positive and not (array >= 0).all()):
        raise ValueError(f"{name} must be {kind} and at most {LARGEST_PARAMETER:g}: got {value!r}")
    return array


def text(value: str, name: str) -> str:
    """Return a word that a prior is named or looked up by; refuse what is no text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text: got {type(value).__name__}")
    return value


def half_normal(scale: npt.ArrayLike) -> TauPrior:
    """Build the prior that is normal with mean 0 and standard deviation `scale`, cut at 0.

    With scale 0 it is the common-effect model. The default for ratios: 0.5 leaves large
    heterogeneity possible and implausible.

    Parameters
    ----------
    scale : array_like
        Standard deviation before the cut, on the analysis scale.

    Returns
    -------
    TauPrior
        The prior, for `kapmeta.pool_bayes`.

    Examples
    --------
    >>> half_normal(0.5).name
    'half-normal(0.5)'
    """
    return TauPrior("half-normal", (_parameter(scale, "scale"),))


def half_cauchy(scale: npt.ArrayLike) -> TauPrior:
    """Build the prior that is Cauchy with median `scale`, cut at 0.

    Its tail is so heavy that few studies leave moments infinite.

    Parameters
    ----------
    scale : array_like
        Median, on the analysis scale.

    Returns
    -------
    TauPrior
        The prior, for `kapmeta.pool_bayes`.

    Examples
    --------
    >>> half_cauchy(0.5).name
    'half-cauchy(0.5)'
    """
    return TauPrior("half-cauchy", (_parameter(scale, "scale"),))


def uniform(upper: npt.ArrayLike) -> TauPrior:
    """Build the prior that is uniform between 0 and `upper`.

    Not for few studies: the upper end decides the result.

    Parameters
    ----------
    upper : array_like
        Largest value allowed, on the analysis scale.

    Returns
    -------
    TauPrior
        The prior, for `kapmeta.pool_bayes`.

    Examples
    --------
    >>> uniform(2.0).name
    'uniform(2)'
    """
    return TauPrior("uniform", (_parameter(upper, "upper"),))


def flat() -> TauPrior:
    """Build the improper prior that is uniform on all tau >= 0.

    The posterior exists from three studies on.
    """
    return TauPrior("flat")


def log_normal(mean: npt.ArrayLike, sd: npt.ArrayLike, *, origin: str = "") -> TauPrior:
    """Build the prior with ``ln(tau^2)`` normal, of this mean and standard deviation.

    The form of the published empirical priors, see `kapmeta.core.bayes.empirical_priors.turner`.

    Parameters
    ----------
    mean, sd : array_like
        Mean and standard deviation of ``ln(tau^2)``.
    origin : str
        Where the values come from, for the sentences of a result.

    Returns
    -------
    TauPrior
        The prior, for `kapmeta.pool_bayes`.

    Examples
    --------
    >>> log_normal(-2.13, 1.58).name
    'log-normal(-2.13, 1.58)'
    """
    parameters = _parameter(mean, "mean", positive=False), _parameter(sd, "sd")
    return TauPrior("log-normal", parameters, text(origin, "origin"))


def log_t(location: npt.ArrayLike, scale: npt.ArrayLike, *, origin: str = "") -> TauPrior:
    """Build the prior with ``ln(tau^2) = location + scale t``, t on 5 degrees of freedom."""
    parameters = _parameter(location, "location", positive=False), _parameter(scale, "scale")
    return TauPrior("log-t5", parameters, text(origin, "origin"))


def inverse_gamma(
    shape: npt.ArrayLike, scale: npt.ArrayLike, *, origin: str = "", measure: str = ""
) -> TauPrior:
    """Build the prior with ``1 / tau`` gamma-distributed: density ~ tau^(-shape-1) exp(-scale/tau).

    The form of the empirical priors by field, see `empirical`. It excludes tau = 0, and the tail
    is heavy. It is a prior of tau, not of tau squared.

    Parameters
    ----------
    shape, scale : array_like
        Both above 0; the scale is on the analysis scale. The mean of tau is scale / (shape - 1).
    origin : str
        Where the values come from, for the sentences of a result.
    measure : str
        The measure whose scale it is stated on; empty where it may be any.

    Returns
    -------
    TauPrior
        The prior, for `kapmeta.pool_bayes`.

    Examples
    --------
    >>> inverse_gamma(1.58, 0.20).name
    'inverse-gamma(1.58, 0.2)'
    """
    parameters = _parameter(shape, "shape"), _parameter(scale, "scale")
    if not all((part > 0).all() for part in parameters):
        raise ValueError(f"shape and scale must be above 0: got {shape!r} and {scale!r}")
    words = text(origin, "origin"), text(measure, "measure")
    return TauPrior("inverse-gamma", parameters, *words)


class PriorFamily(NamedTuple):
    """A family of priors: log density at tau (..., n), nodes, and the power of its tail.

    The power may depend on the parameters.
    """

    log_density: Callable[..., FloatArray]
    nodes: Callable[..., Nodes]
    tail: float | Callable[..., FloatArray]


def _last(parameter: FloatArray) -> FloatArray:
    return np.asarray(parameter)[..., None]


def _evenly_spaced(
    first: npt.ArrayLike, last: npt.ArrayLike, points: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Space points evenly from `first` to `last`: first (...), step (...), all (..., points)."""
    first, last = np.broadcast_arrays(np.asarray(first, dtype=np.float64), last)
    step = (last - first) / (points - 1)
    return first, step, first[..., None] + step[..., None] * np.arange(points)


def _onset(w: FloatArray) -> FloatArray:
    """Compute ``exp(w - exp(-w))``.

    It grows like exp(w), and falls to 0 doubly exponentially on the other side.
    """
    with np.errstate(under="ignore"):
        return np.exp(w - np.exp(-w))


def _exponential(unit: FloatArray, longest: npt.ArrayLike, points: int) -> tuple[FloatArray, ...]:
    """Return first point, step, ``z = unit onset(w)`` up to `longest`, and log(dz/dw x step)."""
    last = np.log(np.asarray(longest) / unit) + 0.1
    first, step, w = _evenly_spaced(np.full(unit.shape, _START), last, points)
    log_weight = np.log(_last(unit) * _last(step)) + w - np.exp(-w) + np.log1p(np.exp(-w))
    return first, step, _last(unit) * _onset(w), log_weight


def _scaled_nodes(
    scale: FloatArray,
    finest: FloatArray,
    longest: float,
    log_density: Callable[[FloatArray], FloatArray],
    points: int,
) -> Nodes:
    """Compute nodes of a density of ``tau / scale``.

    The points near 0 are as dense as the most precise study needs.
    """
    with np.errstate(divide="ignore"):
        unit = np.minimum(finest / scale, 1.0)
    first, step, z, log_weight = _exponential(unit, longest, points)
    scale = np.broadcast_to(scale, unit.shape)

    def tau_of(w: FloatArray) -> FloatArray:
        return _last(scale * unit) * _onset(w)

    return Nodes(_last(scale) * z, log_density(z) + log_weight, step, first, tau_of)


def _half_normal_nodes(scale: FloatArray, finest: FloatArray, k: int) -> Nodes:
    def log_density(z: FloatArray) -> FloatArray:
        return np.asarray(0.5 * math.log(2 / math.pi) - z * z / 2)

    return _scaled_nodes(scale, finest, _NORMAL_RANGE, log_density, _point_number(1.5, k))


def _half_cauchy_nodes(scale: FloatArray, finest: FloatArray, k: int) -> Nodes:
    def log_density(z: FloatArray) -> FloatArray:
        return math.log(2 / math.pi) - np.log1p(z * z)

    return _scaled_nodes(scale, finest, _HEAVY_RANGE, log_density, _point_number(5, k))


def _flat_nodes(finest: FloatArray, k: int) -> Nodes:
    points = _point_number(5, k)
    first, step, tau, log_weight = _exponential(finest, _HEAVY_RANGE * finest, points)
    return Nodes(tau, log_weight, step, first, lambda w: _last(finest) * _onset(w))


def _uniform_nodes(upper: FloatArray, finest: FloatArray, k: int) -> Nodes:
    upper = np.broadcast_to(upper, np.broadcast_shapes(upper.shape, finest.shape))

    def tau_of(w: FloatArray) -> FloatArray:
        return np.asarray(_last(upper) * special.expit(math.pi * np.sinh(w)))  # tanh-sinh rule

    first, step, w = _evenly_spaced(np.full(upper.shape, -3.2), 3.2, _point_number(2, k))
    s = math.pi * np.sinh(w)
    log_step = np.log(math.pi * np.cosh(w) * _last(step))
    log_weight = log_step + special.log_expit(s) + special.log_expit(-s)
    return Nodes(tau_of(w), log_weight, step, first, tau_of)


def _log_normal_nodes(mean: FloatArray, sd: FloatArray, finest: FloatArray, k: int) -> Nodes:
    shape = np.broadcast_shapes(mean.shape, sd.shape, finest.shape)
    mean, sd = np.broadcast_to(mean, shape), np.broadcast_to(sd, shape)

    def tau_of(w: FloatArray) -> FloatArray:
        return np.exp((_last(mean) + _last(sd) * w) / 2)

    first, step, w = _evenly_spaced(np.full(shape, -15.0), 15.0, _point_number(3, k))
    log_weight = -w * w / 2 - 0.5 * math.log(2 * math.pi) + np.log(_last(step))
    return Nodes(tau_of(w), log_weight, step, first, tau_of)


_LOG_T5 = math.log(8 / (3 * math.pi * math.sqrt(5)))  # constant of the t density on 5 df


def _log_t_nodes(location: FloatArray, scale: FloatArray, finest: FloatArray, k: int) -> Nodes:
    shape = np.broadcast_shapes(location.shape, scale.shape, finest.shape)
    location, scale = np.broadcast_to(location, shape), np.broadcast_to(scale, shape)

    def tau_of(w: FloatArray) -> FloatArray:
        # beyond 1e150 the square overflows, and no study is informative there
        return np.exp(np.clip((_last(location) + _last(scale) * np.sinh(w)) / 2, -340, 340))

    first, step, w = _evenly_spaced(np.full(shape, -7.5), 7.5, _point_number(3, k))
    log_weight = _LOG_T5 - 3 * np.log1p(np.sinh(w) ** 2 / 5) + np.log(np.cosh(w) * _last(step))
    return Nodes(tau_of(w), log_weight, step, first, tau_of)


def _inverse_gamma_nodes(shape: FloatArray, scale: FloatArray, finest: FloatArray, k: int) -> Nodes:
    whole = np.broadcast_shapes(shape.shape, scale.shape, finest.shape)
    shape, scale = np.broadcast_to(shape, whole), np.broadcast_to(scale, whole)

    def tau_of(w: FloatArray) -> FloatArray:
        return np.asarray(_last(scale) * np.exp(w))

    # below -5.5 the density is under exp(-240); above, it falls by exp(-shape) per unit of w
    first, step, w = _evenly_spaced(np.full(whole, -5.5), 37 / shape, _point_number(3, k))
    log_weight = -_last(shape) * w - np.exp(-w) + np.log(_last(step))
    return Nodes(tau_of(w), log_weight - _last(special.gammaln(shape)), step, first, tau_of)


def _point_number(factor: float, k: int) -> int:
    """Choose the number of points: more studies have a narrower posterior to resolve."""
    return int(factor * _BASE_POINTS * max(1.0, math.sqrt(k / 10)))


def _half_normal_density(tau: FloatArray, scale: FloatArray) -> FloatArray:
    scale = _last(scale)
    return np.asarray(0.5 * math.log(2 / math.pi) - np.log(scale) - (tau / scale) ** 2 / 2)


def _half_cauchy_density(tau: FloatArray, scale: FloatArray) -> FloatArray:
    scale = _last(scale)
    return np.asarray(math.log(2 / math.pi) - np.log(scale) - np.log1p((tau / scale) ** 2))


def _uniform_density(tau: FloatArray, upper: FloatArray) -> FloatArray:
    return np.where(tau <= _last(upper), -np.log(_last(upper)), -np.inf)


def _log_normal_density(tau: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        z = (2 * np.log(tau) - _last(mean)) / _last(sd)
        jacobian = math.log(2) - np.log(tau) - np.log(_last(sd))
        density = jacobian - 0.5 * math.log(2 * math.pi) - z * z / 2
    return np.where(tau > 0, density, -np.inf)


def _log_t_density(tau: FloatArray, location: FloatArray, scale: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        z = (2 * np.log(tau) - _last(location)) / _last(scale)
        jacobian = math.log(2) - np.log(tau) - np.log(_last(scale))
        return np.asarray(jacobian + _LOG_T5 - 3 * np.log1p(z * z / 5))


def _inverse_gamma_density(tau: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    shape, scale = _last(shape), _last(scale)
    constant = shape * np.log(scale) - special.gammaln(shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = constant - (shape + 1) * np.log(tau) - scale / tau
    return np.where(tau > 0, density, -np.inf)


PRIOR_FAMILIES: Mapping[str, PriorFamily] = MappingProxyType(
    {
        "half-normal": PriorFamily(_half_normal_density, _half_normal_nodes, math.inf),
        "half-cauchy": PriorFamily(_half_cauchy_density, _half_cauchy_nodes, 2.0),
        "uniform": PriorFamily(_uniform_density, _uniform_nodes, math.inf),
        "log-normal": PriorFamily(_log_normal_density, _log_normal_nodes, math.inf),
        # the tail of log-t5 is 1/tau times a power of its logarithm
        "log-t5": PriorFamily(_log_t_density, _log_t_nodes, 1.0 + 1e-9),
        "inverse-gamma": PriorFamily(
            _inverse_gamma_density, _inverse_gamma_nodes, lambda shape, scale: shape + 1.0
        ),
        "flat": PriorFamily(lambda tau: np.zeros_like(tau), _flat_nodes, 0.0),
    }
)
"""Families of priors by name."""


def tail_power(prior: TauPrior) -> FloatArray | float:
    """Return the power of 1 / tau at which the density of the prior falls."""
    tail = PRIOR_FAMILIES[prior.family].tail
    return tail(*prior.parameters) if callable(tail) else tail


def log_density(prior: TauPrior, tau: npt.ArrayLike) -> FloatArray:
    """Compute the log prior density at `tau`, shape (..., n); 0 for the improper flat prior."""
    tau = np.asarray(tau, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return PRIOR_FAMILIES[prior.family].log_density(tau, *prior.parameters)


def nodes(prior: TauPrior, finest: npt.ArrayLike, k: int) -> Nodes:
    """Compute points and weights for integrals over tau.

    Parameters
    ----------
    prior : TauPrior
        The prior; its parameters broadcast with `finest`.
    finest : array_like, shape (...)
        Smallest standard error of the studies: the resolution needed for small values of tau.
    k : int
        Number of studies.
    """
    return PRIOR_FAMILIES[prior.family].nodes(
        *prior.parameters, np.asarray(finest, dtype=np.float64), k
    )
