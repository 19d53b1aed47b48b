"""Meta-regression: effects against characteristics of the trials."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.moderators import regression, residual_likelihood, residual_variance
from kapmeta.core.moderators.regression import Joint, Regression
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.core.numerics.status import Status
from kapmeta.methods import PRIMARY, Method, method_words
from kapmeta.moderators.design_checks import check_design, tested_rows
from kapmeta.moderators.design_matrix import design_of, from_text_notes
from kapmeta.moderators.entering import effects_to_regress, without_gaps
from kapmeta.pooling.inverse_variance import MODELS, check_variances
from kapmeta.results.effects import Effects
from kapmeta.results.regressions import Design, MetaRegression

__all__ = ["likelihood_ratio", "meta_regression"]

STUDIES_PER_MODERATOR = 10


@checking.checked
def meta_regression(
    effects: Effects,
    moderators: str | Sequence[str] | pd.DataFrame | FloatArray,
    *,
    method: Method | None = None,
    model: str | None = None,
    tau2: str | residual_variance.ResidualEstimator | None = None,
    ci: str | None = None,
    level: float | None = None,
    intercept: bool = True,
    missing: str = "exclude",
    mixed: bool = False,
) -> MetaRegression:
    """Regress effects on characteristics of the trials.

    Not a way to prove a cause: trials were not randomised to their characteristics, and relations
    between averages need not hold for patients. With fewer than ten studies per moderator it can
    only suggest.

    Parameters
    ----------
    effects : Effects
        From `kapmeta.risk_ratio` or another effect function, one effect per trial; for several
        dependent effects of a trial use `kapmeta.multilevel`.
    moderators : str, sequence of str, DataFrame or ndarray
        Names of columns of the trials (numbers as they are, words as indicators of all levels but
        the first); or a formula such as ``"~ months + substance"`` (needs the package formulaic);
        or the design matrix, one row per study of `effects`. Numbers written as text are numbers if
        all of them are, and the result says so; a categorical keeps them as names.
    method : Method, optional
        Model, tau2, interval and level at once, instead of one by one.
    model : {"random", "common"}, optional
        Random effects for what the moderators leave (the default), or none.
    tau2 : str or callable, optional
        Estimator of the residual between-study variance, a word of
        `kapmeta.core.moderators.residual_variance.RESIDUAL_ESTIMATORS` or a function of effects,
        variances and moderators; REML by default.
    ci : str, optional
        Test and interval of the coefficients, a word of
        `kapmeta.core.moderators.regression.COEFFICIENT_TESTS`: ``wald``, ``t``, ``hksj``,
        ``hksj-variance``, ``hksj-hybrid`` (the default), ``kr``.
    level : float, optional
        Confidence level, a proportion; 0.95 by default.
    intercept : bool
        Whether a column of ones is added to columns or a design matrix; in a formula write ``0 +``
        to leave it out.
    missing : {"exclude", "raise"}
        What is done with a study whose moderator is empty: it is excluded from this regression, by
        name and with its reason, or an error is raised.
    mixed : bool
        Whether randomised and non-randomised trials may enter together where design is not itself a
        moderator.

    Returns
    -------
    MetaRegression
        Coefficients, tests, residual heterogeneity, and methods for predictions, contrasts,
        influence and permutation.

    Raises
    ------
    ValueError
        If a moderator does not exist, mixes numbers and words, is constant or collinear, if a level
        rests on one study, or if there are too many coefficients for the studies; the message says
        which and what to do.

    References
    ----------
    .. [1] Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and
       interpreted? Stat Med 2002;21:1559-1573. https://doi.org/10.1002/sim.1187
    .. [2] Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single
       covariate. Stat Med 2003;22:2693-2710. https://doi.org/10.1002/sim.1482

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": list("ABCDE"), "y": [-0.9, -1.6, -1.3, -0.2, 0.1],
    ...                        "v": [0.3, 0.2, 0.4, 0.1, 0.2], "latitude": [44, 55, 42, 13, 18]})
    >>> found = meta_regression(km.generic(trials, y="y", v="v"), ["latitude"])
    >>> found
    MetaRegression(GEN ~ latitude, k=5)
    >>> found.estimate.round(4)
    array([ 0.4026, -0.035 ])
    """
    words = method_words(method, model=model, tau2=tau2, ci=ci, level=level)
    method, intercept = _regression_method(**words), checking.flag(intercept, "intercept")
    effects, positions, aside = effects_to_regress(effects, moderators, mixed)
    effects, moderators, gaps = without_gaps(effects, positions, moderators, missing)
    positions = np.flatnonzero(effects.present)
    labels = tuple(effects.labels[i] for i in positions)
    table = effects.table.iloc[positions].reset_index(drop=True)
    design = design_of(moderators, table, labels, intercept=intercept)
    check_design(design, labels)
    check_variances(effects.v[positions])
    notes = (*aside, *gaps, *from_text_notes(design, table, labels))
    return _regression_fit(effects, positions, design, method, notes)


def _regression_method(
    model: str, tau2: str | residual_variance.ResidualEstimator | None, ci: str | None, level: float
) -> Method:
    checking.chosen(model, MODELS, "model")
    ci = checking.chosen(
        PRIMARY.ci if ci is None else ci, regression.COEFFICIENT_TESTS, "interval", "ci"
    )
    level = checking.proportion(level, "level")
    if model == "common":
        if tau2 is not None:
            raise ValueError(
                "the common-effect model has no between-study variance; leave tau2 out or use"
                ' model="random"'
            )
        return Method("common", "none", ci, "none", level)
    tau2 = PRIMARY.tau2 if tau2 is None else tau2
    residual_variance.residual_estimator_named(tau2)
    return Method("random", tau2, ci, "none", level)


def _regression_fit(
    effects: Effects,
    positions: npt.NDArray[np.int_],
    design: Design,
    method: Method,
    aside: tuple[str, ...],
) -> MetaRegression:
    y, v, x = effects.y[positions], effects.v[positions], design.matrix
    z, _ = regression.orthonormal(x)
    random = method.model == "random"
    tau2 = method.tau2 if random else 0.0
    found = regression.fit(y, v, x, tau2=tau2, ci=method.ci, level=method.level)
    _refuse_no_interval(found, method)
    low, high = math.nan, math.nan
    h2 = max(1.0, float(found.q / found.q_df))
    if random:
        low, high = map(float, residual_variance.residual_q_profile(y, v, z, level=method.level))
        h2 = float(1 + found.tau2 / residual_variance.typical_sampling_variance(v, z))
    modes = _tau2_modes(y, v, z, method)
    full, restricted = map(float, residual_variance.log_likelihoods(y, v, z, found.tau2))
    return MetaRegression(
        effects,
        method,
        design,
        positions,
        found,
        _omnibus(found, design, method.ci, effects.scale.compares),
        low,
        high,
        float(chi2_upper(found.q, found.q_df)),
        1 - 1 / h2,
        h2,
        _r2(y, v, design, found, method),
        full,
        restricted,
        modes,
        (*aside, *_regression_notes(design, modes)),
    )


def _refuse_no_interval(found: Regression, method: Method) -> None:
    if found.status == Status.REFUSED:
        raise ValueError(
            f'ci="{method.ci}" does not exist for these effects (tau2 = {float(found.tau2):.4g});'
            f' use ci="{PRIMARY.ci}"'
        )


def _tau2_modes(y: FloatArray, v: FloatArray, z: FloatArray, method: Method) -> tuple[float, ...]:
    """List the local maxima of the likelihood in tau2, the global one first; none by moments."""
    if method.tau2 not in ("REML", "ML"):
        return ()
    restricted = method.tau2 == "REML"
    found = residual_likelihood.residual_local_maxima(y, v, z, restricted=restricted)[0]
    return tuple(float(tau2) for tau2 in found)


def _omnibus(found: Regression, design: Design, ci: str, compares: bool) -> Joint | None:
    """Test all moderators together; Kenward-Roger offers it for one moderator only."""
    rows = tested_rows(design, compares)
    if not len(rows) or (ci == "kr" and len(rows) > 1):
        return None
    df = found.df[..., -1] if ci == "kr" else found.df[..., 0]
    return regression.joint_test(found.beta, found.covariance, rows, np.asarray(df))


def _r2(y: FloatArray, v: FloatArray, design: Design, found: Regression, method: Method) -> float:
    """Compute R2, the share of the between-study variance the moderators explain, at least 0."""
    ones, x = np.ones((y.size, 1)), regression.orthonormal(design.matrix)[0]
    if x.shape[1] == 1 or not np.allclose(x @ (x.T @ ones), ones, rtol=1e-8, atol=0):
        return math.nan  # without a common mean among the columns there is nothing to compare with
    if method.model == "common":
        total, left = (
            residual_likelihood.residual_q(y, v, ones) / (y.size - 1),
            found.q / found.q_df,
        )
    else:
        estimator = residual_variance.residual_estimator_named(method.tau2)
        total, left = estimator(y, v, ones), found.tau2
    return max(0.0, 1 - float(left / total)) if total > 0 else math.nan


def _regression_notes(design: Design, modes: tuple[float, ...]) -> list[str]:
    k, p = design.matrix.shape
    moderators = p - (design.intercept is not None)
    notes = []
    if k < STUDIES_PER_MODERATOR * moderators:
        notes.append(
            f"{k} studies for {moderators} {'moderator' if moderators == 1 else 'moderators'}: too"
            f" few for claims, which need {STUDIES_PER_MODERATOR} studies for each; read the"
            " result as a suggestion"
        )
    if len(modes) > 1:
        others = ", ".join(f"{t:.4g}" for t in modes[1:])
        notes.append(
            f"the likelihood has {len(modes)} modes in tau2; {modes[0]:.4g} is the global one, the"
            f" others: {others}"
        )
    return notes


@checking.checked
def likelihood_ratio(full: MetaRegression, reduced: MetaRegression) -> pd.Series:
    """Test by likelihood ratio the moderators that `full` has and `reduced` has not.

    Restricted likelihoods of models with different moderators are not comparable and are refused.
    Anticonservative with few studies: prefer the Hartung-Knapp test of the same coefficients.

    Parameters
    ----------
    full, reduced : MetaRegression
        Fits of the same studies by ``tau2="ML"``; the moderators of `reduced` are some of those of
        `full`.

    Returns
    -------
    Series
        ``statistic``, ``df``, ``p_value`` (chi-squared), and ``r2``, the share of the between-study
        variance of `reduced` that `full` explains, not below 0 and nan where there is none.

    Raises
    ------
    ValueError
        If a fit is not by maximum likelihood, the fits are of different studies, or the moderators
        of `reduced` are not some of those of `full`.

    Examples
    --------
    >>> import kapmeta as km
    >>> effects = km.risk_ratio(km.load_example("bcg"))
    >>> both = km.meta_regression(effects, ["latitude", "year"], tau2="ML")
    >>> one = km.meta_regression(effects, ["latitude"], tau2="ML")
    >>> km.moderators.likelihood_ratio(both, one).round(3).to_dict()
    {'statistic': 0.079, 'df': 1.0, 'p_value': 0.779, 'r2': 0.218}
    """
    for name, fit in (("full", full), ("reduced", reduced)):
        checking.instance(fit, MetaRegression, name, "come from meta_regression")
    if full.method.tau2 != "ML" or reduced.method.tau2 != "ML":
        raise ValueError(
            f'both fits need tau2="ML": got {full.method.tau2} and {reduced.method.tau2};'
            " restricted likelihoods of models with different moderators are not comparable"
        )
    if full.labels != reduced.labels or not np.array_equal(full.y, reduced.y):
        raise ValueError(
            "both fits must be of the same studies; fit them again on one set of effects"
        )
    both = np.column_stack([full.design.matrix, reduced.design.matrix])
    df = len(full.names) - len(reduced.names)
    if df < 1 or np.linalg.matrix_rank(both / np.linalg.norm(both, axis=0)) > len(full.names):
        raise ValueError(
            "the moderators of reduced must be some of those of full; no test exists between"
            " these two"
        )
    statistic = max(0.0, 2 * (full.loglik - reduced.loglik))
    r2 = max(0.0, 1 - full.tau2 / reduced.tau2) if reduced.tau2 > 0 else math.nan
    return pd.Series(
        {"statistic": statistic, "df": df, "p_value": float(chi2_upper(statistic, df)), "r2": r2}
    )
