"""Subgroups: the studies pooled by group, and the test between groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kapmeta import checking
from kapmeta.core.moderators import regression, residual_variance
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import chi2_upper
from kapmeta.core.pooling.intervals import classic
from kapmeta.methods import Method, method_words
from kapmeta.moderators.entering import effects_to_regress, without_gaps
from kapmeta.moderators.regression import STUDIES_PER_MODERATOR
from kapmeta.pooling.inverse_variance import MODELS, pool
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.shared.columns import level_names, levels_of
from kapmeta.results.subgroups import Subgroups

__all__ = ["subgroups"]


@checking.checked
def subgroups(
    effects: Effects,
    by: str | Sequence[Any],
    *,
    common_tau2: bool = True,
    method: Method | None = None,
    model: str | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    prediction: str | None = None,
    level: float | None = None,
    missing: str = "exclude",
    mixed: bool = False,
) -> Subgroups:
    """Pool each subgroup of the trials and test whether the subgroups differ.

    With few trials the test has next to no power: a large p-value says that the data cannot
    distinguish the subgroups, never that they are alike.

    Parameters
    ----------
    effects : Effects
        One effect per trial.
    by : str or sequence
        Column of the trials, or the subgroup of each. Subgroups come in the order of a categorical,
        else in that of the trials; 1, 1.0 and "1" are one subgroup.
    common_tau2 : bool
        One between-study variance for all subgroups, estimated from what is left within them (the
        default: a subgroup of few trials cannot estimate its own); False gives each its own.
    method, model, ci, prediction, level, mixed
        As for `kapmeta.pool`.
    tau2 : str, optional
        Estimator of the between-study variance, a word of
        `kapmeta.core.heterogeneity.tau2.ESTIMATORS`.
    missing : {"exclude", "raise"}
        What is done with a trial without a subgroup: it is excluded, also from the overall result,
        by name and with its reason, or an error is raised.

    Returns
    -------
    Subgroups
        A `Pooled` per subgroup; a subgroup of one trial is that trial. Tests between subgroups use
        model-based standard errors: those scaled by Hartung and Knapp collapse where two trials
        agree.

    Raises
    ------
    ValueError
        If there is no such column, or all trials are in one subgroup.

    References
    ----------
    .. [1] Borenstein M, Higgins JPT. Meta-analysis and subgroups. Prev Sci 2013;14:134-143.
       https://doi.org/10.1007/s11121-013-0377-7

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": list("ABCDE"), "y": [1.01, 1.00, 0.81, 1.10, 3.25],
    ...                        "v": [0.036, 0.398, 0.168, 0.610, 2.010],
    ...                        "setting": ["clinic", "clinic", "ward", "ward", "home"]})
    >>> found = subgroups(km.generic(trials, y="y", v="v"), "setting")
    >>> found
    Subgroups(setting: clinic k=2, ward k=2, home k=1)
    >>> round(found.q_between, 2), round(found.p_between, 2)
    (2.64, 0.27)
    """
    options = method_words(
        method, model=model, tau2=tau2, ci=ci, prediction=prediction, level=level
    )
    model, tau2 = options["model"], options.pop("tau2")
    tau2 = "REML" if tau2 is None else tau2
    checking.chosen(model, MODELS, "model")
    effects, positions, aside = effects_to_regress(
        effects, by if isinstance(by, str) else "", mixed
    )
    name, group = _grouping(effects, by)
    effects, group, gaps = without_gaps(effects, positions, group.to_frame(name), missing)
    positions = np.flatnonzero(effects.present)
    codes, groups = _codes_of_levels(group[name])
    _refuse_one_level(name, groups)
    options["mixed"] = True
    if model == "random":
        residual_variance.residual_estimator_named(tau2)
    sharing = common_tau2 and model == "random" and positions.size > len(groups)
    shared = _shared(effects, positions, codes, tau2, options["level"]) if sharing else None
    members = {word: effects.select(positions[codes == i]) for i, word in enumerate(groups)}
    pooled = {word: _pool_group(part, shared, tau2, options) for word, part in members.items()}
    overall = pool(effects, **options, tau2=tau2 if model == "random" else None)
    notes = (*aside, *gaps)
    return _between_tests(effects, name, positions, codes, pooled, overall, shared, notes)


def _refuse_one_level(name: str, groups: Sequence[str]) -> None:
    if len(groups) < 2:
        raise ValueError(
            f'{name} has one level, "{groups[0]}", in all studies: there is nothing to compare'
        )


class _Shared:
    """A between-study variance common to subgroups, with its limits; called like an estimator."""

    def __init__(self, value: float, low: float, high: float, estimator: str) -> None:
        self.value, self.low, self.high, self.estimator = value, low, high, estimator

    def __call__(self, y: FloatArray, v: FloatArray) -> FloatArray:
        return np.full(v.shape[:-1], self.value)


def _grouping(effects: Effects, by: str | Sequence[Any]) -> tuple[str, pd.Series]:
    """Return name and values of the grouping, one per study."""
    if isinstance(by, str):
        if by not in effects.table:
            raise ValueError(
                f'by: no column "{by}" among the trials; there are:'
                f" {', '.join(map(str, effects.table.columns))}"
            )
        return by, effects.table[by].reset_index(drop=True)
    if not isinstance(by, Sequence | np.ndarray | pd.Series | pd.Categorical):
        raise TypeError(
            f"by must be a column of the trials or one subgroup per study: got {type(by).__name__}"
        )
    values = pd.Series(by if isinstance(by, pd.Series | pd.Categorical) else list(by))
    if len(values) != len(effects):
        raise ValueError(
            f"by must have one value per study: got {len(values)} values for {len(effects)} studies"
        )
    return "subgroup", values.reset_index(drop=True)


def _codes_of_levels(group: pd.Series) -> tuple[npt.NDArray[np.int_], tuple[str, ...]]:
    """Return the place of each study's subgroup among the subgroups, and their names in order."""
    levels = levels_of(group)
    return np.array([levels.index(name) for name in level_names(group)]), levels


def _shared(
    effects: Effects,
    positions: npt.NDArray[np.int_],
    codes: npt.NDArray[np.int_],
    tau2: str,
    level: float,
) -> _Shared:
    """Estimate the residual variance of the regression on subgroup indicators."""
    y, v, x = effects.y[positions], effects.v[positions], np.eye(codes.max() + 1)[codes]
    low, high = residual_variance.residual_q_profile(y, v, x, level=level)
    value = float(residual_variance.residual_estimator_named(tau2)(y, v, x))
    return _Shared(value, float(low), float(high), tau2)


def _pool_group(
    part: Effects, shared: _Shared | None, tau2: str, options: dict[str, Any]
) -> Pooled:
    if shared is None:
        return pool(part, **options, tau2=tau2 if options["model"] == "random" else None)
    pooled = pool(part, **options, tau2=shared)
    if pooled.k < 2:
        return pooled
    return replace(
        pooled,
        method=replace(pooled.method, tau2=shared.estimator),
        tau2_low=shared.low,
        tau2_high=shared.high,
        notes=(*pooled.notes, "the between-study variance is common to all subgroups"),
    )


def _between_tests(
    effects: Effects,
    name: str,
    positions: npt.NDArray[np.int_],
    codes: npt.NDArray[np.int_],
    pooled: dict[str, Pooled],
    overall: Pooled,
    shared: _Shared | None,
    aside: tuple[str, ...],
) -> Subgroups:
    """Test between the subgroups, and collect the result."""
    y, v = effects.y[positions], effects.v[positions]
    own = [p.tau2 if p.k > 1 and p.method.model == "random" else 0.0 for p in pooled.values()]
    between = np.full(len(pooled), shared.value) if shared else np.array(own)
    found = [classic(y[codes == i], v[codes == i], between[i]) for i in range(len(pooled))]
    estimate, se = (np.array([float(pair[j]) for pair in found]) for j in (0, 1))
    weight = 1 / se**2
    df = len(pooled) - 1
    q = float((weight * (estimate - (weight * estimate).sum() / weight.sum()) ** 2).sum())
    return Subgroups(
        effects,
        name,
        pooled,
        overall,
        shared is not None,
        shared.value if shared else math.nan,
        se,
        q,
        float(df),
        float(chi2_upper(q, df)),
        *_scaled_test(y, v, np.eye(len(pooled))[codes], shared),
        (*aside, *_limits_of_test(pooled, codes.size)),
    )


def _scaled_test(
    y: FloatArray, v: FloatArray, x: FloatArray, shared: _Shared | None
) -> tuple[float, float, float]:
    """Test between subgroups with Hartung and Knapp's scale: F, its df and p; nan without it."""
    if shared is None:
        return math.nan, math.nan, math.nan
    fit = regression.fit(y, v, x, tau2=shared.value, ci="hksj")
    rows = np.eye(x.shape[1])[1:] - np.eye(x.shape[1])[:1]
    joint = regression.joint_test(fit.beta, fit.covariance, rows, fit.q_df)
    return float(joint.statistic), float(joint.df2), float(joint.p_value)


def _limits_of_test(pooled: dict[str, Pooled], k: int) -> list[str]:
    """Note what the test between subgroups cannot show with so few studies."""
    notes = []
    if k < STUDIES_PER_MODERATOR * (len(pooled) - 1):
        notes.append(
            f"{k} studies in {len(pooled)} subgroups: the test between them has next to no power; a"
            " large p-value means that the data cannot distinguish the subgroups, not that there"
            " is no difference"
        )
    single = [name for name, p in pooled.items() if p.k == 1]
    if single:
        notes.append(f"{', '.join(single)}: one trial, shown as it is")
    return notes
