"""Effects under a model of which studies are published: weight functions, Copas and Shi's model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import special

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.small_study import copas as copas_model
from kapmeta.core.small_study import selection
from kapmeta.core.small_study.weight_functions import LARGEST, WEIGHT_FAMILIES, Tail
from kapmeta.methods import PRIMARY
from kapmeta.results.effects import Effects
from kapmeta.results.small_study import AdjustedEffect, BiasSensitivity
from kapmeta.small_study.admissions import (
    Trials,
    enough_trials,
    favoured_sign,
    refuse_one_group,
    require_trials,
    study_rows,
    trials_of,
    unadjusted,
    wald,
)

__all__ = ["copas", "selection_model"]


@checking.checked
def selection_model(
    effects: Effects,
    *,
    weight: str = "step",
    steps: Sequence[float] | None = None,
    delta: Sequence[float] | None = None,
    two_sided: bool = False,
    model: str = "random",
    favoured: str = "treatment",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Estimate the effect before selection, where the p-value decides on the chance of publication.

    With few trials the selection cannot be estimated: fewer than ten are refused unless the weights
    are given (`delta`), which makes it a sensitivity analysis, or `force` is set.

    Parameters
    ----------
    effects : Effects
        Effects of at least two trials, one with given weights.
    weight : str
        ``"step"``, ``"beta"``, ``"half-normal"``, ``"negative-exponential"``, ``"logistic"``,
        ``"power"`` or ``"negative-exponential-power"``.
    steps : sequence of float, optional
        For ``"step"``: p-values at which the chance changes, ascending; one-sided in the favoured
        direction unless `two_sided`. 0.025 if left out.
    delta : sequence of float, optional
        Given weights, one per interval with the first 1 for steps, else the parameters of the
        weight function.
    two_sided : bool
        Whether selection goes by two-sided p-values.
    model : {"random", "common"}
        Whether there is between-study variance.
    favoured : {"treatment", "positive", "negative"}
        Which results are published more readily.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    AdjustedEffect
        `parameters` holds tau2, the weights, the log-likelihoods and the likelihood ratio test of
        no selection (nan where the weights were given). One trial is given no between-study
        variance. A standard error of nan comes with a note.

    Raises
    ------
    ValueError
        If an interval between steps holds no study, a step is not a p-value, steps are given to
        another function, weights do not fit the function, a p-value rounds to 0 or 1, or the
        likelihood rises without end.

    References
    ----------
    .. [1] Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of
       publication bias. Psychometrika 1995;60:419-435. https://doi.org/10.1007/BF02294384
    .. [2] Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a
       priori weight functions. Psychol Methods 2005;10:428-443.
       https://doi.org/10.1037/1082-989X.10.4.428

    Examples
    --------
    >>> import kapmeta as km
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> found = km.selection_model(smoke, steps=(0.025, 0.5), favoured="positive")
    >>> found
    AdjustedEffect(step selection model, OR 1.08 (0.91 to 1.28), k=37)
    >>> round(found.parameters["delta_2"], 3), round(found.parameters["lrt"], 3)
    (0.46, 4.001)
    """
    checking.chosen(weight, ("step", *WEIGHT_FAMILIES), "weight function")
    checking.chosen(model, ("random", "common"), "model")
    steps = _steps_given(steps, weight)
    level, data = checking.proportion(level, "level"), trials_of(effects, mixed=mixed)
    refuse_one_group(data.effects, "a selection model")
    model = model if data.k > 1 else "common"  # one trial has no between-study variance
    sign = favoured_sign(data.effects, favoured)
    _check_selection(data, sign, weight, steps, delta, two_sided)
    given, common = delta is not None, model == "common"
    require_trials(data.k, 1 if given else 2, "a selection model")
    notes = _enough_to_estimate(data, force) if not given else ()
    y, kind = sign * data.y, {"family": weight, "steps": steps, "two_sided": two_sided}
    found = selection.fit_selection(y, data.v, delta=delta, common=common, **kind)  # type: ignore[arg-type]
    _refuse_unsettled(found, sign, weight)
    return AdjustedEffect(
        f"{weight} selection model",
        _selection_definition(weight, steps, two_sided, given, model),
        **wald(sign * found.mu, found.se, level),
        k=data.k,
        level=level,
        effects=data.effects,
        studies=study_rows(data, p_value=Tail(y / np.sqrt(data.v), two_sided).p),
        notes=notes + data.notes + _selection_notes(found),
        parameters=_selection_parameters(found),
        papers=_weight_papers(weight, given),
        **unadjusted(data, tau2=0.0 if common else "ML", ci="wald", level=level),
    )


def _steps_given(steps: Sequence[float] | None, weight: str) -> tuple[float, ...]:
    if steps is not None and weight != "step":
        raise ValueError(
            f'steps would change nothing for weight="{weight}"; leave them out, or use'
            ' weight="step"'
        )
    return (0.025,) if steps is None else tuple(checking.finite_numbers(steps, "steps"))


def _enough_to_estimate(data: Trials, force: bool) -> tuple[str, ...]:
    """Refuse too few trials to estimate weights or, if forced, return a note."""
    what, instead = "an estimated selection model", "give the weights (delta) instead"
    return enough_trials(data.k, data.effects, what, force, instead)


def _refuse_unsettled(found: selection.Selection, sign: float, weight: str) -> None:
    if not found.converged:
        raise ValueError(
            f"the {weight} selection model did not converge: its likelihood was still rising, at a"
            f" mean of {sign * found.mu:.3g}, so these data do not fix its weights; give them"
            " (delta), or take another weight function"
        )


def _selection_notes(found: selection.Selection) -> tuple[str, ...]:
    """Note a missing standard error and a weight parameter at the end of its range."""
    notes = []
    if math.isnan(found.se):
        notes.append(
            "no standard error: the data cannot separate the mean from the selection; give the"
            " weights (delta)"
        )
    if found.on_bound:
        notes.append(
            f"a weight parameter ran to the end of its range (0 to {LARGEST:g}): the data do not"
            " fix it"
        )
    return tuple(notes)


def _selection_definition(
    weight: str, steps: Sequence[float], two_sided: bool, given: bool, model: str
) -> str:
    words = (
        f"steps at {wording.joined(f'{s:g}' for s in steps)}"
        if weight == "step"
        else f"{weight} function"
    )
    ends = (
        "; level beyond p = 1e-5 and 1 - 1e-5, as in metafor" if weight in ("beta", "power") else ""
    )
    return (
        f"{words} of the {'two' if two_sided else 'one'}-sided p-value{ends}, maximum"
        f" likelihood{', weights given' if given else ''},"
        f" {model}-effect{'s' if model == 'random' else ''} model, Wald interval"
    )


def _weight_papers(weight: str, given: bool) -> tuple[str, ...]:
    words = ["step" if weight == "step" else "beta" if weight == "beta" else "other weights"]
    return (*words, *(["given weights"] if given else []))


def _selection_parameters(found: selection.Selection) -> dict[str, float]:
    """Collect what was estimated beside the mean, and the test of no selection."""
    weights = {f"delta_{i}": float(d) for i, d in enumerate(found.delta, start=1)}
    return {
        "tau2": found.tau2,
        **weights,
        "log_likelihood": found.log_likelihood,
        "lrt": found.statistic,
        "lrt_df": float(found.df),
        "lrt_p_value": found.p_value,
    }


def _check_selection(
    data: Trials,
    sign: float,
    weight: str,
    steps: Sequence[float],
    delta: Sequence[float] | None,
    two_sided: bool,
) -> None:
    """Check the steps, weights and p-values of a selection model."""
    z = sign * data.y / np.sqrt(data.v)
    if weight != "step":
        p = np.asarray(special.ndtr(-z))
        checking.refuse_first(
            (p <= 0) | (special.ndtr(z) <= 0),
            data.labels,
            lambda i: f"p-value is {p[i]:g}",
            lambda i: (
                f'z = {z[i]:.4g} and p rounds to {p[i]:g}; check the variance, or use weight="step"'
            ),
        )
        expected = len(WEIGHT_FAMILIES[weight].neutral)
    else:
        expected = _check_steps(data, z, steps, two_sided, empty=delta is not None)
    if delta is None:
        return
    given = np.array(checking.finite_numbers(delta, "delta"))
    if given.size != expected:
        raise ValueError(
            f'delta must have {wording.number(expected, 0)} values for weight "{weight}": got'
            f" {given.size}"
        )
    if weight == "step" and (given[0] != 1 or not (given > 0).all()):
        raise ValueError(
            f"delta must start with 1 and be positive: got {', '.join(f'{d:g}' for d in given)}"
        )
    if (given < 0).any():
        raise ValueError("delta must not be negative")


def _check_steps(
    data: Trials, z: FloatArray, steps: Sequence[float], two_sided: bool, *, empty: bool
) -> int:
    """Check that steps are ascending p-values and, without given weights, no interval is empty."""
    ends = np.asarray(steps, dtype=np.float64)
    if (
        ends.ndim != 1
        or ends.size == 0
        or not ((ends > 0) & (ends < 1)).all()
        or (np.diff(ends) <= 0).any()
    ):
        raise ValueError(
            f"steps must be ascending p-values strictly between 0 and 1: got {tuple(steps)}; e.g."
            " (0.025, 0.5)"
        )
    inside = selection.step_counts(z, np.ones_like(z), tuple(steps), two_sided=two_sided)
    edges = [0.0, *map(float, ends), 1.0]
    hollow = [f"({edges[j]:g}, {edges[j + 1]:g}]" for j in np.flatnonzero(inside == 0)]
    if hollow and not empty:
        other = "leave the step out" if ends.size > 1 else "choose another step (steps)"
        raise ValueError(
            f"no study has a p-value in {wording.joined(hollow)}, so its weight cannot be"
            f" estimated; {other}, or give the weights (delta)"
        )
    return int(ends.size + 1)


@checking.checked
def copas(
    effects: Effects,
    *,
    published: Sequence[float] = (0.99, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3),
    published_smallest_se: float = 0.99,
    favoured: str = "treatment",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> BiasSensitivity:
    """Fit Copas and Shi's selection model over a range of selection the data cannot choose from.

    For fifteen trials or more. The likelihood is flat in rho: read the curve, not a point.

    Parameters
    ----------
    effects : Effects
        Effects, at least three.
    published : sequence of float
        Probabilities that the least precise trial is published, one fit each.
    published_smallest_se : float
        Probability that the most precise trial is published.
    favoured : {"treatment", "positive", "negative"}
        Which results are published more readily; rho is positive if they are.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    BiasSensitivity
        One row per probability, the first without selection; `values` has the estimate at the least
        selection that leaves no asymmetry unexplained (p > 0.1).

    References
    ----------
    .. [1] Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. Stat
       Methods Med Res 2001;10:251-265. https://doi.org/10.1177/096228020101000402

    Examples
    --------
    >>> import kapmeta as km
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> found = km.small_study.copas(smoke, published=(0.9, 0.5), favoured="positive")
    >>> found.to_frame()[["published", "estimate", "unpublished"]].round(2)
       published  estimate  unpublished
    0        1.0      1.24         0.00
    1        0.9      1.21         2.44
    2        0.5      1.15        16.34
    """
    level, data = checking.proportion(level, "level"), trials_of(effects, mixed=mixed)
    refuse_one_group(data.effects, "the Copas model")
    top = checking.proportion(published_smallest_se, "published_smallest_se")
    least_precise = _least_precise(published, top)
    require_trials(data.k, 3, "the Copas model")
    notes = (
        enough_trials(data.k, data.effects, "the Copas model", force, "it needs about fifteen", 15)
        + data.notes
    )
    _refuse_equal_sizes(data)
    sign = favoured_sign(data.effects, favoured)
    gamma0, gamma1 = copas_model.selection_line(data.v, least_precise, published_smallest_se=top)
    curve = copas_model.copas(sign * data.y, data.v, np.r_[np.inf, gamma0], np.r_[0.0, gamma1])
    if curve.rho_on_bound.any():
        notes += ("rho ran to its bound in some rows: their standard error holds it there",)
    table = _copas_table(data, curve, sign, level)
    values, sentence = _least_selection(data, table)
    return BiasSensitivity(
        "Copas selection model",
        _COPAS.format(top=top),
        values,
        table,
        (sentence,),
        data.k,
        data.effects,
        notes,
        ("copas",),
    )


_COPAS = (
    "maximum likelihood in mu, tau2 and rho, global maximum of several searches; the most precise"
    " trial published with probability {top:g}; residual p-value against a meta-regression on the"
    " standard error (metasens's definition; its grid of gamma0 and gamma1 is another)"
)


def _refuse_equal_sizes(data: Trials) -> None:
    if np.ptp(data.v) <= 1e-12 * data.v.max():
        raise ValueError(
            f"the Copas model needs trials of different size: all {data.k} have the standard error "
            f"{math.sqrt(data.v[0]):.6g}"
        )


def _least_precise(published: Sequence[float], top: float) -> list[float]:
    """Check and sort the probabilities that the least precise trial is published."""
    if isinstance(published, str | float) or not isinstance(published, Iterable):
        raise TypeError(f"published must be a sequence, e.g. (0.9, 0.5): got {published!r}")
    given = sorted((checking.proportion(p, "published") for p in published), reverse=True)
    if not given:
        raise ValueError("published needs at least one probability, e.g. (0.9, 0.5)")
    if given[0] > top:
        raise ValueError(
            f"published must not exceed published_smallest_se = {top:g}, the chance of the most"
            f" precise trial: got {given[0]:g}"
        )
    return given


def _least_selection(data: Trials, table: pd.DataFrame) -> tuple[dict[str, float], str]:
    """Find the least selection that explains the asymmetry, as numbers and as a sentence."""
    quiet = np.flatnonzero(table["residual_p_value"] > 0.1)
    chosen = table.iloc[int(quiet[0])] if quiet.size else table.iloc[-1]
    names = ("published", "estimate", "low", "high", "unpublished", "residual_p_value")
    values = {name: float(chosen[name]) for name in names}
    strength = (
        "the least selection that leaves no asymmetry unexplained"
        if quiet.size
        else "the strongest selection tried"
    )
    return (
        values,
        (
            f"With {strength} ({100 * values['published']:.0f} % of trials like the least precise"
            f" published): {data.effects.scale.short}"
            f" {wording.interval_text(values['estimate'], values['low'], values['high'])}."
        ),
    )


def _copas_table(
    data: Trials, curve: copas_model.CopasCurve, sign: float, level: float
) -> pd.DataFrame:
    """Tabulate the points of the curve, on the scale shown and on the analysis scale."""
    half = float(normal_quantile((1 + level) / 2)) * curve.se
    shown = data.effects.scale.shown
    estimate = sign * curve.mu
    return pd.DataFrame(
        {
            "published": curve.published_largest_se,
            "estimate": shown(estimate),
            "low": shown(estimate - half),
            "high": shown(estimate + half),
            "y": estimate,
            "se": curve.se,
            "tau2": curve.tau2,
            "rho": curve.rho,
            "unpublished": curve.unpublished,
            "residual_p_value": curve.residual_p_value,
            "log_likelihood": curve.log_likelihood,
            "gamma0": curve.gamma0,
            "gamma1": curve.gamma1,
        }
    )
