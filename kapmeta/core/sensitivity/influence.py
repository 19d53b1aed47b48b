"""Influence of single studies on a pooled result: deletion diagnostics, Baujat's coordinates.

References
----------
.. [1] Viechtbauer W, Cheung MWL. Outlier and influence diagnostics for meta-analysis. Res Synth
   Methods 2010;1:112-125. https://doi.org/10.1002/jrsm.11
.. [2] Baujat B, Mahé C, Pignon JP, Hill C. A graphical method for exploring heterogeneity in
   meta-analyses: application to a meta-analysis of 65 trials. Stat Med 2002;21:2641-2652.
   https://doi.org/10.1002/sim.1221
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.distributions import chi2_quantile, normal_quantile
from kapmeta.core.numerics.masks import leave_one_out
from kapmeta.core.numerics.weighting import weights
from kapmeta.core.pooling.combining import Combined


class DeletionDiagnostics(NamedTuple):
    """Deletion diagnostics, each (k,); nan where no analysis without the study exists.

    Attributes
    ----------
    rstudent : ndarray
        Externally standardised residual: the study against the pooled effect of the others.
    dffits : ndarray
        Change of its own fitted value in standard errors when it is left out.
    cook : ndarray
        Squared change of the pooled effect in units of its variance.
    covariance_ratio : ndarray
        Variance of the pooled effect without the study over that with it; below 1 the study costs
        precision.
    hat : ndarray
        Share of the pooled effect.
    dfbetas : ndarray
        Change of the pooled effect in standard errors at the between-study variance of the others.
    """

    rstudent: FloatArray
    dffits: FloatArray
    cook: FloatArray
    covariance_ratio: FloatArray
    hat: FloatArray
    dfbetas: FloatArray


class CutOff(NamedTuple):
    """The size of a diagnostic beyond which a study is marked, given k, and the rule in words."""

    at: Callable[[int], float]
    rule: str


FEWEST_FLAGGED = 5
"""With fewer studies no cut-off applies."""

_RULE = "two-sided 5 % of a normal residual"
CUT_OFFS: Mapping[str, CutOff] = MappingProxyType(
    {
        "rstudent": CutOff(lambda k: float(normal_quantile(0.975)), _RULE),
        "dffits": CutOff(lambda k: 3 * math.sqrt(1 / (k - 1)), "3√(1/(k−1))"),
        "cook": CutOff(lambda k: float(chi2_quantile(0.5, 1)), "median of χ² on 1 df"),
        "hat": CutOff(lambda k: 3 / k, "3/k"),
        "dfbetas": CutOff(lambda k: 1.0, ""),
    }
)
"""Customary cut-offs [1]_, as in the R package metafor; covariance ratio, tau2 and Q have none."""


def beyond(name: str, values: FloatArray) -> BoolArray:
    """Mark the values of one diagnostic beyond its cut-off; none where no cut-off applies."""
    k = values.size
    if k < FEWEST_FLAGGED or name not in CUT_OFFS:
        return np.zeros(k, dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(values) > CUT_OFFS[name].at(k))


def deletion_diagnostics(
    y: FloatArray,
    v: FloatArray,
    whole: Combined,
    without: Combined,
    shares: FloatArray,
    *,
    weighted: bool = True,
) -> DeletionDiagnostics:
    """Compute the deletion diagnostics of one analysis [1]_.

    Parameters
    ----------
    y, v : ndarray, shape (k,)
        The studies pooled, none absent.
    whole, without : Combined
        The analysis of all studies, and with each left out in turn, shape (k,). Where the method
        has no between-study variance, its `tau2` is nan and counts as 0.
    shares : ndarray, shape (k,)
        Shares of the studies in the pooled effect.
    weighted : bool
        Whether the pooled effect is a mean with weights ``1 / (v + tau2)``, so that its variance
        gives the factor on the model-based one. False for Mantel-Haenszel, Peto and likelihood
        models.

    Notes
    -----
    A standard error scaled by Hartung and Knapp's factor scales the variances of the residuals with
    it, as in metafor.
    """
    tau2 = np.where(np.isnan(without.tau2), 0.0, without.tau2)
    scale = _variance_factor(v, tau2, without) if weighted else np.ones(v.size)
    # a table without an effect of its own has no residual
    y = np.where(np.isfinite(y) & np.isfinite(v), y, np.nan)
    move = whole.estimate - without.estimate
    own = v + tau2
    total = weights(np.broadcast_to(v, (v.size, v.size)), tau2).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return DeletionDiagnostics(
            (y - without.estimate) / np.sqrt(scale * own + without.se**2),
            move / np.sqrt(scale * shares * own),
            (move / whole.se) ** 2,
            (without.se / whole.se) ** 2,
            shares,
            move * np.sqrt(total / scale),
        )


def _variance_factor(v: FloatArray, tau2: FloatArray, without: Combined) -> FloatArray:
    """Compute the factor on the model-based variance of each deletion; 1 if one study is left."""
    w = weights(np.broadcast_to(v, (v.size, v.size)), tau2)
    model_based = (w * leave_one_out(v.size)).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = without.se**2 * model_based
    return np.where(without.k > 1, factor, 1.0)


def baujat_coordinates(
    y: FloatArray, v: FloatArray, whole: Combined, without: Combined
) -> tuple[FloatArray, FloatArray]:
    """Compute each study's share of Q, and its squared influence on the pooled effect [2]_."""
    tau2 = 0.0 if np.isnan(whole.tau2) else whole.tau2
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (whole.estimate - without.estimate) / without.se
        return (y - whole.estimate) ** 2 / (v + tau2), change**2
