"""Cluster-robust tests of effects that depend on each other in unknown ways."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kapmeta import checking
from kapmeta.core.moderators import clustered
from kapmeta.core.numerics.arrays import IntArray
from kapmeta.methods import PRIMARY
from kapmeta.moderators.dependence import entering_design, group_codes
from kapmeta.moderators.entering import Entering, entering_effects
from kapmeta.pooling.inverse_variance import check_variances
from kapmeta.results.dependence import FEWEST_DF, Multilevel, RobustTests
from kapmeta.results.effects import Effects
from kapmeta.results.regressions import Design, MetaRegression

__all__ = ["robust"]

_FEWEST_CLUSTERS = 4  # with three clusters or fewer robust standard errors are not offered


@checking.checked
def robust(
    fitted: MetaRegression | Multilevel | Effects,
    cluster: str = "study",
    *,
    kind: str = "CR2",
    moderators: Any = None,
    rho: float = 0.8,
    level: float = PRIMARY.level,
    intercept: bool = True,
    missing: str = "exclude",
    mixed: bool = False,
) -> RobustTests:
    """Test with cluster-robust standard errors, valid even if the working model is wrong.

    They rest on the number of clusters, not of effects. With fewer than four clusters they are
    refused; where a coefficient has fewer than four degrees of freedom its p-value is not
    interpretable, and the result says so.

    Parameters
    ----------
    fitted : MetaRegression, Multilevel or Effects
        A fit, whose model is the working model; or effects, which are weighted by the
        correlated-effects working model: each cluster's weight does not grow with the number of its
        effects.
    cluster : str
        Column that says which effects belong together.
    kind : str
        Type of covariance, a word of `kapmeta.core.moderators.clustered.ROBUST_TYPES`; CR2 is the
        one for few clusters.
    moderators, intercept, missing, mixed
        With effects, as for `kapmeta.meta_regression`.
    rho : float
        With effects, the correlation of sampling errors within a cluster; it has little influence.
    level : float
        Confidence level, a proportion.

    Returns
    -------
    RobustTests
        Coefficients with robust standard errors and Satterthwaite degrees of freedom.

    Raises
    ------
    ValueError
        With fewer than four clusters, or no more clusters than coefficients; for moderators beside
        a fit.
    TypeError
        If `fitted` is neither effects nor one of the two fits.

    References
    ----------
    .. [1] Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and
       hypothesis testing in fixed effects models. J Bus Econ Stat 2018;36:672-683.
       https://doi.org/10.1080/07350015.2016.1247004
    .. [2] Tipton E. Small sample adjustments for robust variance estimation with meta-regression.
       Psychol Methods 2015;20:375-393. https://doi.org/10.1037/met0000011

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> rows = pd.DataFrame({"study": list("AAABBCCCD"),
    ...                      "y": [.62, .90, .75, -.15, .40, 1.30, 1.05, 1.60, .10],
    ...                      "v": [.06, .08, .12, .15, .20, .10, .14, .25, .30],
    ...                      "comparison_id": range(9)})
    >>> from kapmeta.moderators.dependence import multilevel
    >>> found = robust(multilevel(km.generic(rows, y="y", v="v"), rho=0.8))
    >>> found.se.round(6), found.df.round(4)
    (array([0.26582]), array([2.7584]))
    """
    checking.chosen(kind, clustered.ROBUST_TYPES, "cluster-robust type", "kind")
    checking.proportion(level, "level")
    if isinstance(fitted, Effects):
        entering, moderators = entering_effects(fitted, mixed, moderators, missing)
        check_variances(entering.effects.v[entering.positions])
        design = entering_design(moderators, entering, intercept)
    elif isinstance(fitted, MetaRegression | Multilevel):
        if moderators is not None:
            raise ValueError("the moderators are those of the fit; leave moderators out")
        entering, design = _entered(fitted), fitted.design
    else:
        raise TypeError(
            "robust takes effects, a meta_regression or a multilevel fit: got"
            f" {type(fitted).__name__}"
        )
    (code,) = group_codes([cluster], entering, "cluster")
    _enough_clusters(int(code.max()) + 1, design)
    model, words, tau2 = _working(fitted, entering, design, code, rho)
    y = entering.effects.y[entering.positions]
    tests = clustered.cluster_robust_tests(y, model, kind=kind, level=level)
    notes = (*entering.aside, *_unreadable(tests, design))
    return RobustTests(entering.effects, design, words, cluster, kind, level, tests, tau2, notes)


def _entered(fitted: MetaRegression | Multilevel) -> Entering:
    effects, positions = fitted.effects, fitted.positions
    labels = tuple(effects.labels[i] for i in positions)
    return Entering(
        effects, positions, labels, effects.table.iloc[positions].reset_index(drop=True), ()
    )


def _enough_clusters(clusters: int, design: Design) -> None:
    p = len(design.names)
    if clusters <= p:
        raise ValueError(
            f"clusters are fewer than the coefficients need: {clusters} clusters for {p}"
            f" coefficients ({', '.join(design.names)}); robust tests need more clusters than"
            " coefficients"
        )
    if clusters < _FEWEST_CLUSTERS:
        raise ValueError(
            f"{clusters} clusters are too few for robust standard errors, which need at least "
            f"{_FEWEST_CLUSTERS}; use the model-based result"
        )


def _working(
    fitted: MetaRegression | Multilevel | Effects,
    entering: Entering,
    design: Design,
    code: IntArray,
    rho: float,
) -> tuple[clustered.Working, str, float]:
    """Return the working model, its description, and its tau2 where estimated here."""
    if isinstance(fitted, Multilevel):
        return fitted.working(code), "working model: the multilevel fit", math.nan
    v = entering.effects.v[entering.positions]
    if isinstance(fitted, MetaRegression):
        total = v + fitted.tau2
        model = clustered.Working(design.matrix, np.diag(1 / total), np.diag(total), code)
        return model, "working model: the meta-regression, effects independent", math.nan
    if not 0 <= rho < 1:
        raise ValueError(
            f"rho must lie between 0 and 1: got {rho:g}; 0.8 is usual, and its influence is small"
        )
    y = entering.effects.y[entering.positions]
    w, tau2 = clustered.correlated_weights(y, v, design.matrix, code, rho)
    words = f"working model: correlated effects with correlation {rho:g}, tau2 = {tau2:.4g}"
    return clustered.Working(design.matrix, np.diag(w), np.diag(1 / w), code), words, tau2


def _unreadable(tests: clustered.Robust, design: Design) -> list[str]:
    few = [name for name, df in zip(design.names, tests.df, strict=True) if df < FEWEST_DF]
    if not few:
        return []
    return [
        f"fewer than {FEWEST_DF:g} degrees of freedom for {', '.join(few)}: their p-values are not"
        " interpretable"
    ]
