"""Bounds on the effect of publication bias and confounding, for any number of studies.

A study is *affirmative* if it is significant in the favoured direction. If affirmative studies are
eta times as likely to be published as the others, weighting the others by eta takes the bias out
[1]_: no test, no tuning, no minimum number of studies, and with eta unlimited a worst case that
needs no eta at all.

References
----------
.. [1] Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J R
   Stat Soc C 2020;69:1091-1119. https://doi.org/10.1111/rssc.12440
.. [2] VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the
   E-value. Ann Intern Med 2017;167:268-274. https://doi.org/10.7326/M16-2607
.. [3] Mathur MB, VanderWeele TJ. Sensitivity analysis for unmeasured confounding in meta-analyses.
   J Am Stat Assoc 2020;115:163-172. https://doi.org/10.1080/01621459.2018.1529598
.. [4] Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and
   hypothesis testing in fixed effects models. J Bus Econ Stat 2018;36:672-683.
   https://doi.org/10.1080/07350015.2016.1247004
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import normal_cdf, normal_quantile, t_quantile
from kapmeta.core.numerics.roots import bracketed_root
from kapmeta.core.numerics.weighting import mean_and_residuals, present

_LARGEST_ETA = 1e6  # where the search for a limit's S-value ends; the limit hardly moves beyond it
_RATIOS_TRIED = 400


class Corrected(NamedTuple):
    """Estimate under a selection ratio, standard error, limits; df is inf for the normal."""

    estimate: FloatArray
    se: FloatArray
    df: FloatArray
    low: FloatArray
    high: FloatArray


def affirmative(y: npt.ArrayLike, v: npt.ArrayLike, *, level: float = 0.95) -> BoolArray:
    """Mark studies whose two-sided test is significant with a positive effect."""
    y, v = present(y, v)
    return np.asarray((y > float(normal_quantile((1 + level) / 2)) * np.sqrt(v)) & (v < np.inf))


def corrected(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    eta: npt.ArrayLike,
    *,
    tau2: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Corrected:
    """Estimate the effect if affirmative studies are `eta` times as likely to be published.

    Affirmative studies are the positive significant ones.

    Parameters
    ----------
    y, v : array_like, shape (..., k)
        Effects, positive in the favoured direction, and sampling variances.
    eta : array_like, shape (...)
        Selection ratio, 1 or more.
    tau2 : array_like, shape (...), optional
        Between-study variance: weights are then ``eta / (v + tau2)`` and the standard error is the
        CR2 robust one with Satterthwaite's degrees of freedom [4]_. Without it the common-effect
        model, normal limits.
    level : float
        Of the limits and of what counts as significant.
    """
    y, v = present(y, v)
    eta = np.asarray(eta, dtype=np.float64)[..., None]
    phi = v if tau2 is None else v + np.asarray(tau2, dtype=np.float64)[..., None]
    w = np.where(affirmative(y, v, level=level), 1.0, eta) / phi
    mean, e = mean_and_residuals(np.broadcast_to(y, w.shape), w)
    if tau2 is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = np.where(w > 0, w * w * np.where(w > 0, phi, 0.0), 0.0).sum(-1)
            se = np.sqrt(squared) / w.sum(-1)
        df = np.full(se.shape, np.inf)
    else:
        se, df = _robust(w, np.broadcast_to(phi, w.shape), e)
    half = t_quantile((1 + level) / 2, df) * se
    return Corrected(mean, se, df, mean - half, mean + half)


def _robust(w: FloatArray, phi: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the CR2 standard error of a weighted mean, and its degrees of freedom [4]_.

    Studies are independent with working variances `phi`.
    """
    there = w > 0
    phi = np.where(there, phi, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = w / w.sum(-1, keepdims=True)
        shared = (h * h * phi).sum(-1, keepdims=True)
        expected = phi - 2 * h * phi + shared  # variance of each residual under the working model
        c = np.where(there, h * np.sqrt(phi / expected), 0.0)
        se = np.sqrt((c * c * e * e).sum(-1))
        hp = h * phi
        cross = shared[..., None] - hp[..., :, None] - hp[..., None, :]
        i = np.arange(w.shape[-1])
        cross[..., i, i] = expected
        m = c[..., :, None] * c[..., None, :] * cross
        df = np.trace(m, axis1=-2, axis2=-1) ** 2 / (m * m).sum((-2, -1))
    return se, np.where(there.sum(-1) > 1, df, np.nan)


def worst_case(
    y: npt.ArrayLike, v: npt.ArrayLike, *, tau2: npt.ArrayLike | None = None, level: float = 0.95
) -> Corrected:
    """Estimate the limit of `corrected` for ever stronger selection.

    Only the studies that are not affirmative remain.
    """
    y, v = present(y, v)
    others = np.where(affirmative(y, v, level=level), np.inf, v)
    eta = np.ones(others.shape[:-1])
    return corrected(np.where(others < np.inf, y, 0.0), others, eta, tau2=tau2, level=level)


def s_value(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    target: float = 0.0,
    tau2: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> FloatArray:
    """Compute the selection ratio at which the estimate falls to `target` [1]_.

    inf where no ratio suffices, 1 where the estimate is already there. nan where no study, or every
    study, is affirmative: then the ratio has nothing to weigh.
    """
    y, v = present(y, v)
    phi = v if tau2 is None else v + np.asarray(tau2, dtype=np.float64)[..., None]
    w, yes = 1 / phi, affirmative(y, v, level=level)
    above = np.where(yes, w * (y - target), 0.0).sum(-1)
    below = -np.where(yes, 0.0, w * (y - target)).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(above <= below, 1.0, np.where(below > 0, above / below, np.inf))
    return np.where(_mixed(yes, v), ratio, np.nan)


def s_value_limit(
    y: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    target: float = 0.0,
    tau2: float | None = None,
    level: float = 0.95,
) -> float:
    """Find the selection ratio at which the lower confidence limit falls to `target`.

    One data set; special values as for `s_value`.
    """
    y, v = present(y, v)
    if not bool(_mixed(affirmative(y, v, level=level), v)):
        return float("nan")

    def excess(log_eta: FloatArray) -> FloatArray:
        between = None if tau2 is None else np.full(log_eta.shape, tau2)
        rows = np.broadcast_to(y, (*log_eta.shape, y.size))
        variances = np.broadcast_to(v, rows.shape)
        found = corrected(rows, variances, np.exp(log_eta), tau2=between, level=level)
        return found.low - target

    grid = np.linspace(0.0, np.log(_LARGEST_ETA), _RATIOS_TRIED)
    fallen = ~(excess(grid) > 0)
    if not fallen.any():
        return float("inf")
    first = int(np.argmax(fallen))
    if first == 0:
        return 1.0
    root = bracketed_root(excess, grid[first - 1 : first], grid[first : first + 1])
    return float(np.exp(root)[0])


def _mixed(yes: BoolArray, v: FloatArray) -> BoolArray:
    """Tell whether there are affirmative studies and others."""
    return np.asarray(yes.any(-1) & (~yes & (v < np.inf)).any(-1))


def e_value(risk_ratio: npt.ArrayLike) -> FloatArray:
    """Compute the E-value of a risk ratio [2]_.

    The risk ratio that a confounder would need with both treatment and outcome to explain it away.
    """
    ratio = np.asarray(risk_ratio, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(ratio < 1, 1 / ratio, ratio)
        return np.asarray(ratio + np.sqrt(ratio * (ratio - 1)))


def proportion_above(
    mean: npt.ArrayLike,
    tau2: npt.ArrayLike,
    threshold: npt.ArrayLike,
    *,
    bias: npt.ArrayLike = 0.0,
    bias_sd: npt.ArrayLike = 0.0,
) -> FloatArray:
    """Compute the share of true effects above `threshold` under a normal bias [3]_.

    Confounding adds a bias with this mean and sd; log scale. nan where the bias would vary more
    than the effects do.
    """
    spread = np.asarray(tau2, dtype=np.float64) - np.square(bias_sd)
    edge, shift, centre = (np.asarray(x, dtype=np.float64) for x in (threshold, bias, mean))
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(np.where(spread >= 0, spread, np.nan))
        return np.asarray(1 - normal_cdf((edge + shift - centre) / sd))
