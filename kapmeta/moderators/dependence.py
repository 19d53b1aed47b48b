"""Several effects of one trial: multilevel and multivariate models, and aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import dependence
from kapmeta.core.moderators import multivariate as components
from kapmeta.core.moderators.regression import Joint, joint_test
from kapmeta.core.numerics.arrays import FloatArray, IntArray
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.methods import PRIMARY, Method
from kapmeta.moderators.design_checks import check_design, tested_rows
from kapmeta.moderators.design_matrix import design_of
from kapmeta.moderators.entering import Entering, entering_effects
from kapmeta.pooling.inverse_variance import check_variances
from kapmeta.results.dependence import Multilevel
from kapmeta.results.effects import Effects
from kapmeta.results.regressions import Design
from kapmeta.results.shared.columns import empty_cells, level_names, levels_of
from kapmeta.results.shared.rows import people_in

__all__ = ["aggregate", "multilevel", "multivariate"]

MULTILEVEL_INTERVALS = ("wald", "t", "contain")
METHODS = ("REML", "ML")
_FEW_FOR_TWO_LEVELS = 5


@checking.checked
def multilevel(
    effects: Effects,
    levels: str | Sequence[str] = ("study", "effect"),
    *,
    moderators: Any = None,
    rho: float | None = None,
    time: str | None = None,
    covariance: npt.ArrayLike | None = None,
    method: str = "REML",
    ci: str = "contain",
    level: float = PRIMARY.level,
    intercept: bool = True,
    missing: str = "exclude",
    mixed: bool = False,
) -> Multilevel:
    """Pool or regress several effects of the same trials, with random effects at several levels.

    With five trials or fewer the variances within and between trials cannot be distinguished: bring
    each trial to one effect with `aggregate` instead, the same model without the inner level.

    Parameters
    ----------
    effects : Effects
        Any number of effects per trial.
    levels : str or sequence of str
        Columns that say which effects share a random effect, outermost first and each nested in
        those before it; the word ``"effect"`` stands for the single effect.
    moderators : optional
        As for `kapmeta.meta_regression`; None pools.
    rho : float, optional
        Correlation of sampling errors within the outermost level, constant, or per unit of `time`
        (``rho^|t - s|``). A guess to be varied. Without it sampling errors are independent.
    time : str, optional
        Column of times, with `rho`.
    covariance : array_like, shape (n, n), optional
        Sampling covariance of all effects given, instead of `rho`; see
        `kapmeta.effects.sampling_covariance`.
    method : {"REML", "ML"}
        Likelihood.
    ci : {"contain", "t", "wald"}
        Tests: t with the groups of the coarsest level within which a moderator does not vary, less
        the coefficients (the default); t with n - p, which takes effects of one trial for
        independent; normal.
    level : float
        Confidence level, a proportion.
    intercept, missing, mixed
        As for `kapmeta.meta_regression`.

    Returns
    -------
    Multilevel
        Coefficients, variances by level, and their profile intervals on request.

    Raises
    ------
    ValueError
        If a level has one group, or no more groups than the level before it; if the sampling
        covariance is singular or disagrees with the variances; if the groups leave no degrees of
        freedom.

    References
    ----------
    .. [1] Konstantopoulos S. Fixed effects and variance components estimation in three-level
       meta-analysis. Res Synth Methods 2011;2:61-76. https://doi.org/10.1002/jrsm.35
    .. [2] Pustejovsky JE, Tipton E. Meta-analysis with robust variance estimation: expanding the
       range of working models. Prev Sci 2022;23:425-438. https://doi.org/10.1007/s11121-021-01246-3

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> rows = pd.DataFrame({"study": list("AAABBCCCD"),
    ...                      "y": [.62, .90, .75, -.15, .40, 1.30, 1.05, 1.60, .10],
    ...                      "v": [.06, .08, .12, .15, .20, .10, .14, .25, .30],
    ...                      "comparison_id": range(9)})
    >>> found = multilevel(km.generic(rows, y="y", v="v"), rho=0.8)
    >>> found.estimate.round(6), found.components.round(6).tolist()
    (array([0.587643]), [0.136162, 0.026727])
    """
    checking.chosen(ci, MULTILEVEL_INTERVALS, "interval", "ci")
    entering, moderators = entering_effects(effects, mixed, moderators, missing)
    check_variances(entering.effects.v[entering.positions])
    names = [levels] if isinstance(levels, str) else list(levels)
    codes = group_codes(names, entering, "levels")
    sampling = _sampling(entering, codes[0], rho, time, covariance)
    design = entering_design(moderators, entering, intercept)
    described = tuple("/".join(names[: i + 1]) if i else name for i, name in enumerate(names))
    terms = components.levels(codes)
    return _multilevel_fit(
        entering, design, sampling, terms, described, codes, _likelihood_method(method, ci, level)
    )


@checking.checked
def multivariate(
    effects: Effects,
    outcome: str,
    *,
    study: str = "study",
    moderators: Any = None,
    rho: float | None = None,
    covariance: npt.ArrayLike | None = None,
    method: str = "REML",
    ci: str = "contain",
    level: float = PRIMARY.level,
    intercept: bool = False,
    missing: str = "exclude",
    mixed: bool = False,
) -> Multilevel:
    """Pool several outcomes of the same trials together, with correlated true effects.

    The covariance matrix of the true effects is unstructured. It has ``q (q + 1) / 2`` entries for
    q outcomes and needs many trials that report them together; with few, its correlations are often
    estimated at their ends.

    Parameters
    ----------
    effects : Effects
        At most one effect per outcome and trial.
    outcome, study : str
        Columns of the outcome and of the trial.
    moderators : optional
        As for `kapmeta.meta_regression`; by default one mean per outcome.
    rho, covariance, method, ci, level, intercept, missing, mixed
        As for `multilevel`.

    Returns
    -------
    Multilevel
        A mean per outcome (or the coefficients asked for), the entries of the covariance matrix.

    Raises
    ------
    ValueError
        If an outcome comes twice in a trial or is missing, there is one trial only, or the sampling
        covariance is singular.

    References
    ----------
    .. [1] Berkey CS, Hoaglin DC, Antczak-Bouckoms A, Mosteller F, Colditz GA. Meta-analysis of
       multiple outcomes by regression with random effects. Stat Med 1998;17:2537-2550.
       https://doi.org/10.1002/(SICI)1097-0258(19981130)17:22<2537::AID-SIM953>3.0.CO;2-C

    Examples
    --------
    Two outcomes in five trials (made up), their estimates correlated .5 within a trial:

    >>> import pandas as pd
    >>> import kapmeta as km
    >>> rows = pd.DataFrame({"study": list("AABBCCDDEE"), "comparison_id": range(10),
    ...                      "outcome": ["use", "craving"] * 5, "v": [0.04, 0.05] * 5,
    ...                      "y": [0.5, 0.3, 0.2, 0.1, 0.7, 0.6, 0.4, 0.2, 0.1, 0.3]})
    >>> found = km.moderators.multivariate(km.generic(rows, measure="SMD"), "outcome", rho=0.5)
    >>> found.to_frame()["estimate"].round(2).tolist()     # craving, use
    [0.3, 0.38]
    """
    checking.chosen(ci, MULTILEVEL_INTERVALS, "interval", "ci")
    entering, moderators = entering_effects(effects, mixed, moderators, missing)
    (cluster,) = group_codes([study], entering, "study")
    column = _full_column(outcome, entering, "outcome")
    checked, words = level_names(column), levels_of(column)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        words = tuple(sorted(words))
    which = np.array([words.index(name) for name in checked])
    twice = pd.Series(list(zip(cluster, which, strict=True))).duplicated().to_numpy()
    checking.refuse_first(
        twice,
        entering.labels,
        lambda i: f"{outcome} {checked[i]} comes twice for one {study}",
        lambda i: "an outcome enters once per trial; choose one, or combine them with aggregate",
    )
    sampling = _sampling(entering, cluster, rho, None, covariance)
    design = entering_design([outcome] if moderators is None else moderators, entering, intercept)
    pairs = zip(*np.tril_indices(len(words)), strict=True)
    described = tuple(words[a] if a == b else f"{words[a]} with {words[b]}" for a, b in pairs)
    terms = components.outcomes(which.astype(int), cluster)
    how = _likelihood_method(method, ci, level)
    return _multilevel_fit(entering, design, sampling, terms, described, [cluster], how, False)


def _likelihood_method(method: str, ci: str, level: float) -> Method:
    checking.chosen(method, METHODS, "method")
    return Method("multilevel", method, ci, "none", checking.proportion(level, "level"))


def _full_column(name: str, entering: Entering, argument: str) -> pd.Series:
    """Return a column of the effects, refusing gaps."""
    if name not in entering.table:
        columns = ", ".join(map(str, entering.table.columns))
        raise ValueError(f'{argument}: no column "{name}" among the effects; there are: {columns}')
    column = entering.table[name]
    checking.refuse_first(
        empty_cells(column),
        entering.labels,
        f"{name} is empty",
        "every effect needs it; give it, or leave the effect out with effects.select",
    )
    return column


def group_codes(names: list[str], entering: Entering, argument: str) -> list[IntArray]:
    """Assign a number to the group of each effect at each level, nested in the levels before."""
    if not names:
        raise ValueError(f"{argument} is empty; name one level or more, the widest first")
    n = entering.positions.size
    code: IntArray = np.zeros(n, dtype=int)
    codes: list[IntArray] = []
    for name in names:
        inner = np.arange(n)
        if name != "effect":
            inner = pd.factorize(pd.Series(level_names(_full_column(name, entering, argument))))[0]
        _, code = np.unique(np.column_stack([code, inner]), axis=0, return_inverse=True)
        code = code.reshape(-1)
        if codes and code.max() == codes[-1].max():
            raise ValueError(
                f'level "{name}" has one group in every group of the level before it: their'
                " variances cannot be distinguished; leave one of them out"
            )
        codes.append(code)
    if codes[0].max() == 0:
        raise ValueError(
            f'level "{names[0]}" has one group: a variance between groups cannot be estimated'
            " from it"
        )
    return codes


def _sampling(
    entering: Entering,
    cluster: IntArray,
    rho: float | None,
    time: str | None,
    covariance: npt.ArrayLike | None,
) -> FloatArray:
    """Return the sampling covariance of the effects: given, or built from a correlation."""
    v = entering.effects.v[entering.positions]
    if covariance is not None:
        if rho is not None or time is not None:
            raise ValueError("give either covariance or rho, not both")
        return _given(np.asarray(covariance, dtype=np.float64), entering, v)
    if rho is None:
        if time is not None:
            raise ValueError("time needs rho, the correlation of effects one unit of time apart")
        return np.diag(v)
    if not -1 < rho < 1:
        raise ValueError(
            f"rho must lie between -1 and 1: got {rho:g}; with 1 the covariance is singular."
            " Try 0.8"
        )
    if time is None:
        built = dependence.correlated(v, cluster, rho)
    else:
        if time not in entering.table:
            columns = ", ".join(map(str, entering.table.columns))
            raise ValueError(f'time: no column "{time}" among the effects; there are: {columns}')
        times = checking.numbers(entering.table, time, entering.labels)
        built = dependence.autoregressive(v, cluster, times, rho)
    return _definite(built, entering)


def _given(matrix: FloatArray, entering: Entering, v: FloatArray) -> FloatArray:
    n = len(entering.effects)
    if matrix.shape != (n, n):
        raise ValueError(
            f"covariance must have a row and a column per effect, {n} x {n}: got {matrix.shape}"
        )
    part = matrix[np.ix_(entering.positions, entering.positions)]
    if not np.isfinite(part).all():
        row = int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
        raise ValueError(
            f'covariance is not finite in row {row + 1} ("{entering.labels[row]}"): every entry is'
            " needed"
        )
    if np.abs(part - part.T).max() > 1e-10 * np.abs(part).max():
        raise ValueError("covariance is not symmetric; entry (i, j) and entry (j, i) must agree")
    checking.refuse_first(
        np.abs(np.diagonal(part) - v) > 1e-6 * v,
        entering.labels,
        lambda i: "covariance disagrees with the variance",
        lambda i: f"its diagonal is {part[i, i]:.6g}, the variance of the effect is {v[i]:.6g}",
    )
    return _definite(0.5 * (part + part.T), entering)


def _definite(matrix: FloatArray, entering: Entering) -> FloatArray:
    """Return `matrix` if positive definite; otherwise name the first block that is not."""
    block = components.blocks_of((matrix != 0) | np.eye(len(matrix), dtype=bool))
    for j in range(int(block.max()) + 1):
        rows = np.flatnonzero(block == j)
        if not dependence.is_positive_definite(matrix[np.ix_(rows, rows)]):
            names = ", ".join(f'"{entering.labels[i]}"' for i in rows)
            raise ValueError(
                f"the sampling covariance of {names} is singular: an effect is given by the others,"
                " or a correlation is too large. Leave out the effect that is computed from the"
                " others, or lower the correlation"
            )
    return matrix


def entering_design(moderators: Any, entering: Entering, intercept: bool) -> Design:
    """Build the design matrix; an intercept alone if moderators is None."""
    n = len(entering.labels)
    if moderators is None:
        return Design(
            np.ones((n, 1)),
            ("intercept",),
            0,
            "~ 1",
            (),
            lambda frame: np.ones((len(frame), 1)),
            (0,),
        )
    design = design_of(moderators, entering.table, entering.labels, intercept=intercept)
    check_design(design, entering.labels)
    return design


def _multilevel_fit(
    entering: Entering,
    design: Design,
    sampling: FloatArray,
    terms: components.Terms,
    described: tuple[str, ...],
    codes: list[IntArray],
    method: Method,
    own_levels: bool = True,
) -> Multilevel:
    y, x = entering.effects.y[entering.positions], design.matrix
    found = components.fit_components(y, sampling, x, terms, restricted=method.tau2 == "REML")
    # every trial has a random effect per outcome: a mean has the degrees of freedom of the trials
    df = _degrees(x if own_levels else np.ones(x.shape), codes, method.ci)
    q, q_df = components.cochran_residual_q(y, sampling, x), float(y.size - x.shape[1])
    return Multilevel(
        entering.effects,
        method,
        design,
        entering.positions,
        found,
        terms,
        described,
        sampling,
        df,
        _joint(found, design, df, entering.effects.scale.compares),
        q,
        q_df,
        float(chi2_upper(q, q_df)),
        (*entering.aside, *_component_notes(found, codes, described, x)),
    )


def _degrees(x: FloatArray, codes: list[IntArray], ci: str) -> FloatArray:
    """Return df per coefficient; ``contain`` takes the coarsest level it is constant in."""
    n, p = x.shape
    if ci == "wald":
        return np.full(p, np.inf)
    df = np.full(p, float(n - p))
    if ci == "contain":
        for j in range(p):
            for code in codes:
                first = np.unique(code, return_index=True)[1]
                if (x[:, j] == x[first[code], j]).all():
                    df[j] = min(df[j], code.max() + 1.0 - p)
    if (df < 1).any():
        raise ValueError(
            f"{int(codes[0].max()) + 1} groups leave no degrees of freedom for {p} coefficients;"
            " leave moderators out"
        )
    return df


def _joint(
    found: components.Components, design: Design, df: FloatArray, compares: bool
) -> Joint | None:
    rows = tested_rows(design, compares)
    if not len(rows):
        return None
    fewest = df[(rows != 0).any(axis=0)].min()
    return joint_test(found.beta, found.covariance, rows, np.asarray(fewest))


def _component_notes(
    found: components.Components, codes: list[IntArray], described: tuple[str, ...], x: FloatArray
) -> list[str]:
    notes = []
    groups = int(codes[0].max()) + 1
    if len(codes) > 1 and groups <= _FEW_FOR_TWO_LEVELS:
        notes.append(
            f"{groups} groups cannot tell the variance between {described[0]} groups from the"
            " variance within them; aggregate the effects of each to one instead"
        )
    if len(found.modes) > 1:
        others = "; ".join(", ".join(f"{c:.4g}" for c in mode) for mode in found.modes[1:])
        notes.append(
            f"the likelihood has several modes; the highest met is returned, others are at {others}"
        )
    return notes


@checking.checked
def aggregate(
    effects: Effects,
    by: str = "study",
    *,
    rho: float | None = None,
    time: str | None = None,
    covariance: npt.ArrayLike | None = None,
    weighted: bool = True,
    mixed: bool = False,
) -> Effects:
    """Bring the effects of each trial to one, so that it counts once.

    The same as a multilevel model without variance within trials. Not where the question is how the
    effects of a trial differ, over time or between arms: that difference is averaged away.

    Parameters
    ----------
    effects : Effects
        Any number of effects per trial.
    by : str
        Column that says which effects belong together.
    rho, time, covariance
        Sampling covariance, as for `multilevel`; one of `rho` and `covariance` is needed where a
        trial has several effects, because effects of the same patients are never independent.
    weighted : bool
        Generalised least squares; False takes the plain mean.
    mixed : bool
        As for `kapmeta.pool`.

    Returns
    -------
    Effects
        One per trial, labelled by it; columns that do not vary within trials are kept, `n_effects`
        says how many went in.

    Raises
    ------
    ValueError
        If a trial has several effects and neither `rho` nor `covariance` is given, or the sampling
        covariance is singular.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> rows = pd.DataFrame({"study": list("AAB"), "y": [.62, .90, .4], "v": [.06, .08, .2],
    ...                      "comparison_id": range(3)})
    >>> one = aggregate(km.generic(rows, y="y", v="v"), rho=0.8)
    >>> one.labels, one.v.round(4)
    (('A', 'B'), array([0.0593, 0.2   ]))
    """
    entering, _ = entering_effects(effects, mixed)
    check_variances(entering.effects.v[entering.positions])
    groups = _full_column(by, entering, "by")
    code, words = pd.factorize(pd.Series(level_names(groups)))
    if rho is None and covariance is None and code.size > len(words):
        raise ValueError(
            "effects of one trial share patients and are not independent: give rho, their"
            " correlation, or covariance"
        )
    sampling = _sampling(entering, code.astype(int), rho, time, covariance)
    y = entering.effects.y[entering.positions]
    found = dependence.aggregate(y, sampling, code.astype(int), weighted=weighted)
    first = np.unique(code, return_index=True)[1]
    constant = [name for name in entering.table if _constant(entering.table[name], code)]
    table = entering.table.iloc[first][constant].reset_index(drop=True)
    table["study"], table["n_effects"] = [str(word) for word in words], found.made_from
    table["participants"] = [people_in(entering.table[code == j]) for j in range(len(words))]
    corrected = np.array(
        [entering.effects.corrected[entering.positions][code == j].any() for j in range(len(words))]
    )
    return replace(
        entering.effects,
        y=found.y,
        v=found.v,
        labels=tuple(map(str, words)),
        table=table,
        corrected=corrected,
        excluded={},
    )


def _constant(column: pd.Series, code: npt.NDArray[np.int_]) -> bool:
    """Check whether a column has one value within each group."""
    return bool((column.astype(str).groupby(code).nunique() <= 1).all())
