"""Required information size of a meta-analysis, and boundaries for looking before it.

References
----------
.. [1] Wetterslev J, Thorlund K, Brok J, Gluud C. Trial sequential analysis may establish when firm
   evidence is reached in cumulative meta-analysis. J Clin Epidemiol 2008;61:64-75.
   https://doi.org/10.1016/j.jclinepi.2007.03.013
.. [2] Wetterslev J, Thorlund K, Brok J, Gluud C. Estimating required information size by
   quantifying diversity in random-effects model meta-analyses. BMC Med Res Methodol 2009;9:86.
   https://doi.org/10.1186/1471-2288-9-86
.. [3] Lan KKG, DeMets DL. Discrete sequential boundaries for clinical trials. Biometrika
   1983;70:659-663.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_cdf, normal_quantile
from kapmeta.core.numerics.roots import bracketed_root

__all__ = ["alpha_spent", "diversity", "obrien_fleming_boundaries", "required_information_size"]

# Gauss-Legendre nodes to a panel, which is two standard deviations of the shortest step wide
_NODES_IN_PANEL = 16
_FEWEST_PANELS = 8
_MOST_PANELS = 128  # looks closer than about a thousandth of the information are not resolved
_HIGHEST_Z = 12.0  # beyond it the normal tail is below 4e-33: nothing to spend


def required_information_size(
    control: npt.ArrayLike, treatment: npt.ArrayLike, *, alpha: float = 0.05, power: float = 0.8
) -> FloatArray:
    """Compute the participants one trial would need to tell two risks apart [1]_.

    Both arms together. The optimal information size of GRADE. It ignores heterogeneity;
    divide by ``1 - diversity`` for that.

    Parameters
    ----------
    control, treatment : array_like
        Risks of the event in the two arms, proportions; they broadcast.
    alpha : float
        Two-sided level of the test.
    power : float
        Chance of finding the difference.

    Returns
    -------
    ndarray
        Number of participants, not rounded; infinite where the two risks are equal, nan where one
        is no proportion.

    Examples
    --------
    >>> float(required_information_size(35 / 213, 2 * 35 / 213).round(3))
    215.956
    """
    p0, p1 = np.asarray(control, dtype=np.float64), np.asarray(treatment, dtype=np.float64)
    z = normal_quantile(1 - alpha / 2) + normal_quantile(power)
    middle = (p0 + p1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        size = 4 * z**2 * middle * (1 - middle) / (p0 - p1) ** 2  # [1]
    proper = (p0 >= 0) & (p0 <= 1) & (p1 >= 0) & (p1 <= 1)
    return np.asarray(np.where(proper, np.where(p0 == p1, np.inf, size), np.nan))


def diversity(variance_common: npt.ArrayLike, variance_random: npt.ArrayLike) -> FloatArray:
    """Compute the diversity D squared [2]_.

    The share of the variance of a random-effects mean that comes from between the studies.

    Parameters
    ----------
    variance_common, variance_random : array_like
        Variances of the pooled estimate by the common-effect and the random-effects model.

    Returns
    -------
    ndarray
        Proportion; 0 is no evidence of homogeneity when the studies are few.

    Examples
    --------
    >>> float(diversity(0.03, 0.04))
    0.25
    """
    common = np.asarray(variance_common, dtype=np.float64)
    return np.asarray(1 - common / np.asarray(variance_random, dtype=np.float64))


def alpha_spent(fraction: npt.ArrayLike, *, alpha: float = 0.05) -> FloatArray:
    """Compute the two-sided error spent by a share of the information [3]_.

    The O'Brien-Fleming-like spending function.

    Parameters
    ----------
    fraction : array_like
        Share of the information size reached, above 0; beyond 1 everything is spent.
    alpha : float
        Error to be spent in all.

    Returns
    -------
    ndarray
        Error spent so far.

    Examples
    --------
    >>> alpha_spent([0.25, 0.5, 1.0]).round(5)
    array([1.00e-05, 3.05e-03, 5.00e-02])
    """
    t = np.asarray(fraction, dtype=np.float64)
    spent = 4 * normal_cdf(-normal_quantile(1 - alpha / 4) / np.sqrt(t))  # [3], both sides
    return np.asarray(np.minimum(spent, alpha))


def obrien_fleming_boundaries(fractions: npt.ArrayLike, *, alpha: float = 0.05) -> FloatArray:
    """Compute two-sided boundaries for z at looks after given shares of information [3]_.

    The error is spent as by `alpha_spent`.

    Parameters
    ----------
    fractions : array_like, shape (looks,)
        Shares of the information size at the looks, increasing and above 0.
    alpha : float
        Error to be spent in all.

    Returns
    -------
    ndarray, shape (looks,)
        |z| above which the difference is declared; infinite where the look has next to nothing to
        spend.

    Notes
    -----
    The density of the score process inside the boundaries is carried from look to look by
    Gauss-Legendre quadrature. Looks less than about a thousandth of the information apart are not
    distinguished reliably.

    Examples
    --------
    >>> obrien_fleming_boundaries([0.25, 0.5, 0.75, 1.0]).round(5)
    array([4.33263, 2.96313, 2.35904, 2.01409])
    """
    # at each look: 1. the z whose tails hold the error to be spent; 2. the density of the scores
    # that stay inside, carried to the nodes of this look by quadrature
    t = np.minimum(np.atleast_1d(np.asarray(fractions, dtype=np.float64)), 1.0)
    steps = np.diff(t, prepend=0.0)
    spending = np.diff(alpha_spent(t, alpha=alpha), prepend=0.0)
    finest = float(np.sqrt(steps[steps > 0].min()))
    places, mass = np.zeros(1), np.ones(1)  # the process starts at 0
    found = np.full(t.size, np.inf)
    for look, (step, spend) in enumerate(zip(steps, spending, strict=True)):
        if step <= 0 or spend <= 0:
            continue
        found[look] = _boundary(places, mass, step, float(t[look]), spend)  # 1
        edge = min(found[look], _HIGHEST_Z) * np.sqrt(t[look])  # 2
        new, weights = _panel_nodes(edge, finest)
        density = np.exp(-0.5 * ((new[:, None] - places) / np.sqrt(step)) ** 2) @ mass
        places, mass = new, weights * density / np.sqrt(2 * np.pi * step)
    return found


def _boundary(places: FloatArray, mass: FloatArray, step: float, t: float, spend: float) -> float:
    """Solve for the z at which the mass that leaves on both sides is what may be spent."""

    def excess(z: FloatArray) -> FloatArray:
        leaving = normal_cdf(-(z[..., None] * np.sqrt(t) - places) / np.sqrt(step)) @ mass
        return np.asarray(np.log(np.maximum(2 * leaving, np.finfo(float).tiny)) - np.log(spend))

    z = float(bracketed_root(excess, np.zeros(1), np.full(1, _HIGHEST_Z))[0])
    return np.inf if np.isnan(z) else z


def _panel_nodes(edge: float, finest: float) -> tuple[FloatArray, FloatArray]:
    """Place nodes and weights on (-edge, edge) in equal panels.

    Dense enough for steps of standard deviation `finest`.
    """
    panels = min(max(_FEWEST_PANELS, int(np.ceil(edge / finest))), _MOST_PANELS)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES_IN_PANEL)
    half = edge / panels
    middles = half * (2 * np.arange(panels) + 1) - edge
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, panels)
