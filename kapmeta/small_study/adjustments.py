"""Effects adjusted for small-study effects: trim and fill, PET-PEESE, limit meta-analysis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import t_quantile, t_two_sided
from kapmeta.core.pooling.combining import combine
from kapmeta.core.small_study import asymmetry
from kapmeta.core.small_study.limit_meta_analysis import ADJUSTMENTS
from kapmeta.core.small_study.limit_meta_analysis import limit_meta_analysis as limit_core
from kapmeta.core.small_study.trim_and_fill import COUNT_ESTIMATORS, SIDES, Filled, FillStatus
from kapmeta.core.small_study.trim_and_fill import trim_and_fill as fill_core
from kapmeta.methods import CI_NAMES, PRIMARY, Method, method_words
from kapmeta.results.effects import Effects
from kapmeta.results.small_study import AdjustedEffect
from kapmeta.small_study.admissions import (
    Trials,
    check_variance,
    enough_trials,
    estimator_and_interval,
    favoured_sign,
    refuse_exact_line,
    refuse_one_group,
    require_trials,
    study_rows,
    trials_of,
    unadjusted,
    wald,
)

__all__ = ["limit_meta_analysis", "pet_peese", "trim_and_fill"]


_FILL_REFUSALS = {
    FillStatus.NO_SIDE: (
        "no side to fill: the slope of effect on standard error is 0 or has no estimate. Give side="
    ),
    FillStatus.NO_ESTIMATE: (
        "no estimate: Q0 does not exist where the rank sum exceeds k^2/2 + 1/16, as it does here."
        ' Use count_by="L0"'
    ),
    FillStatus.NEVER_SETTLED: (
        "no answer: the number of studies to trim never settles. Use another estimator"
    ),
}


@checking.checked
def trim_and_fill(
    effects: Effects,
    *,
    count_by: str = "L0",
    side: str = "auto",
    trim: str = "random",
    method: Method | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    level: float | None = None,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Add the mirror images of the studies that make the funnel plot asymmetric, and pool again.

    An exploration of what asymmetry is worth, never a correction: with heterogeneity it fills in
    studies that never were. Refused for fewer than ten trials unless forced.

    Parameters
    ----------
    effects : Effects
        Effects of at least three trials.
    count_by : {"L0", "R0", "Q0"}
        Duval and Tweedie's estimator of the number missing.
    side : {"auto", "left", "right"}
        Where they are missing, of the funnel with lower effects on the left; ``"auto"`` takes the
        side the slope of effect on standard error points away from. The definition says what the
        side means: fewer or more of the event, or which arm it favours.
    trim : {"random", "common"}
        Model that finds the centre while trimming: ``"random"`` is metafor's choice, ``"common"``
        meta's.
    method : Method, optional
        Estimator of tau2, interval and level at once, instead of one by one.
    tau2, ci : str, optional
        Between-study variance and interval of the random-effects model, as in `kapmeta.pool`.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    AdjustedEffect
        `studies` holds the filled studies in rows ``"filled"``; `parameters` their number and its
        standard error.

    References
    ----------
    .. [1] Duval S, Tweedie R. Trim and fill: a simple funnel-plot-based method of testing and
       adjusting for publication bias in meta-analysis. Biometrics 2000;56:455-463.
       https://doi.org/10.1111/j.0006-341x.2000.00455.x

    Examples
    --------
    >>> import kapmeta as km
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> km.trim_and_fill(smoke, tau2="DL", ci="wald")
    AdjustedEffect(trim and fill, OR 1.19 (1.08 to 1.31), k=37)
    """
    checking.chosen(count_by, COUNT_ESTIMATORS, "estimator of the number missing", "count_by")
    checking.chosen(side, SIDES, "side")
    checking.chosen(trim, ("random", "common"), "trimming model", "trim")
    words = method_words(method, tau2=tau2, ci=ci, level=level)
    estimator, interval = estimator_and_interval(words["tau2"], words["ci"])
    level, data = checking.proportion(words["level"], "level"), trials_of(effects, mixed=mixed)
    require_trials(data.k, 3, "trim and fill")
    notes = enough_trials(data.k, data.effects, "trim and fill", force) + data.notes
    centre = {"tau2": estimator, "trim_tau2": estimator if trim == "random" else 0.0}
    found = fill_core(data.y, data.v, count_by=count_by, side=side, **centre)
    if found.status != FillStatus.OK:
        raise ValueError(f"trim and fill gives {_FILL_REFUSALS[FillStatus(int(found.status))]}")
    pooled = combine(found.y, found.v, tau2=estimator, ci=interval, level=level)
    return AdjustedEffect(
        "trim and fill",
        _fill_definition(data.effects, count_by, float(found.side), trim, estimator, interval),
        k=data.k,
        level=level,
        effects=data.effects,
        parameters=_fill_parameters(found, float(pooled.tau2), count_by),
        studies=_with_filled(data, found.y, found.v),
        notes=notes,
        papers=("trim and fill",),
        **{name: float(getattr(pooled, name)) for name in ("estimate", "se", "low", "high")},
        **unadjusted(data, tau2=estimator, ci=interval, level=level),
    )


def _fill_definition(
    effects: Effects, count_by: str, side: float, trim: str, tau2: Any, ci: str
) -> str:
    model = "random-effects model (metafor)" if trim == "random" else "common-effect model (meta)"
    meant = f" ({effects.sides[side > 0]})" if effects.sides else ""
    return (
        f"{count_by}, missing on the {'left' if side < 0 else 'right'}{meant}, trimmed with the"
        f" {model}, average ranks for ties; filled studies pooled with tau2 {tau2},"
        f" {CI_NAMES.get(ci, ci)}"
    )


def _fill_parameters(found: Filled, tau2: float, count_by: str) -> dict[str, float]:
    """Collect the number filled with its standard error, and tau2 of all studies."""
    numbers = {"filled": float(found.k0), "filled_se": float(found.se_k0), "tau2": tau2}
    return numbers | ({"filled_p_value": float(found.p_value)} if count_by == "R0" else {})


def _with_filled(data: Trials, y: FloatArray, v: FloatArray) -> pd.DataFrame:
    """Stack the rows of the studies and of the mirror images added."""
    mirrored, mirrored_v = y[data.k :], v[data.k :]
    added = np.flatnonzero(mirrored_v < np.inf)
    if not added.size:
        return study_rows(data)
    labels = [f"mirror image of {data.labels[i]}" for i in added]
    filled = pd.DataFrame(
        {"row": "filled", "study": labels, "y": mirrored[added], "v": mirrored_v[added]}
    )
    return pd.concat([study_rows(data), filled], ignore_index=True)


@checking.checked
def pet_peese(
    effects: Effects,
    *,
    method: str = "pet-peese",
    favoured: str = "treatment",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Extrapolate to standard error 0 by a line on standard error (PET) or variance (PEESE).

    Extrapolates beyond every trial: unreliable with fewer than twenty trials, with heterogeneity,
    or where none is large.

    Parameters
    ----------
    effects : Effects
        Effects of at least three trials.
    method : {"pet-peese", "pet", "peese"}
        ``"pet-peese"`` takes PEESE if PET's intercept is significant in the favoured direction
        (one-sided p < 0.1), else PET.
    favoured : {"treatment", "positive", "negative"}
        For ``"pet-peese"``: direction of the results published more readily, as in
        `selection_model`.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    AdjustedEffect

    Raises
    ------
    ValueError
        If ``"pet-peese"`` is asked for and it is not known whether the event is good, or of a
        measure of one group, whose intercept nothing is tested against.

    References
    ----------
    .. [1] Stanley TD, Doucouliagos H. Meta-regression approximations to reduce publication
       selection bias. Res Synth Methods 2014;5:60-78. https://doi.org/10.1002/jrsm.1095

    Examples
    --------
    >>> import kapmeta as km
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> km.pet_peese(smoke, favoured="positive")
    AdjustedEffect(PET, OR 1.01 (0.84 to 1.20), k=37)
    """
    checking.chosen(method, ("pet-peese", "pet", "peese"), "method")
    level, data = checking.proportion(level, "level"), trials_of(effects, mixed=mixed)
    require_trials(data.k, 3, "PET-PEESE")
    notes = enough_trials(data.k, data.effects, "PET-PEESE", force) + data.notes
    notes += (_UNRELIABLE,) if 10 <= data.k < 20 else ()
    lines = _pet_and_peese(data, ("PET", "PEESE") if method == "pet-peese" else (method.upper(),))
    one_sided = _pet_p_value(lines["PET"], _pet_sign(data.effects, method, favoured))
    name, rule = method.upper(), ""
    if method == "pet-peese":
        name = "PEESE" if one_sided < 0.1 else "PET"
        rule = f", chosen by PET's one-sided {wording.p_text(one_sided)} (PEESE below 0.1)"
    line = lines[name]
    estimate, se = float(line.intercept), float(line.intercept_se)
    half = float(t_quantile((1 + level) / 2, line.df) * line.intercept_se)
    return AdjustedEffect(
        name,
        f"intercept of effect on {'standard error' if name == 'PET' else 'variance'}, weights 1/v,"
        f" multiplicative dispersion, t with k - 2 degrees of freedom{rule}",
        estimate,
        se,
        estimate - half,
        estimate + half,
        k=data.k,
        level=level,
        effects=data.effects,
        studies=study_rows(data),
        notes=notes,
        papers=("PET-PEESE",),
        parameters=_pet_parameters(line, one_sided),
        **unadjusted(data, tau2="REML", ci=PRIMARY.ci, level=level),
    )


def _pet_sign(effects: Effects, method: str, favoured: str) -> float:
    """Return the favoured direction where PET-PEESE needs it; nan where it is not known."""
    if method == "pet-peese":
        refuse_one_group(effects, "PET-PEESE", 'use method="pet" or method="peese"')
    elif not effects.scale.compares or (favoured == "treatment" and effects.event_is_good is None):
        return math.nan
    return favoured_sign(effects, favoured)


_UNRELIABLE = "with fewer than twenty trials the extrapolation is unreliable"


def _pet_parameters(line: asymmetry.WeightedLine, one_sided: float) -> dict[str, float]:
    slope, p_value = float(line.slope), float(line.p_value)
    return {"slope": slope, "slope_p_value": p_value, "pet_one_sided_p_value": one_sided}


def _pet_and_peese(data: Trials, used: tuple[str, ...]) -> dict[str, asymmetry.WeightedLine]:
    """Fit the lines of PET and PEESE, refusing those `used` that have no slope or no residual."""
    points = {
        "PET": asymmetry.egger_points(data.y, data.v),
        "PEESE": asymmetry.peese_points(data.y, data.v),
    }
    lines = {name: asymmetry.weighted_line(part) for name, part in points.items()}
    if not np.isfinite(lines["PET"].slope):
        raise ValueError(
            f"PET-PEESE is singular: all {data.k} trials have the standard error"
            f" {math.sqrt(data.v[0]):.6g}"
        )
    for name in used:
        refuse_exact_line(points[name], lines[name], name)
    return lines


def _pet_p_value(pet: asymmetry.WeightedLine, sign: float) -> float:
    """Compute the one-sided p-value of PET's intercept in the favoured direction."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = float(pet.intercept / pet.intercept_se) * sign
    beyond = float(t_two_sided(t, pet.df)) / 2
    return math.nan if math.isnan(sign) else beyond if t > 0 else 1 - beyond


_LIMIT_PARAMETERS = {"alpha": "intercept", "beta": "slope"} | {
    name: name for name in ("tau2", "q_small", "q_residual", "g2")
}


@checking.checked
def limit_meta_analysis(
    effects: Effects,
    *,
    adjustment: str = "at-limit",
    tau2: str = "REML",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Estimate the effect in trials of ever greater precision, heterogeneity kept.

    Parameters
    ----------
    effects : Effects
        Effects of at least three trials.
    adjustment : {"at-limit", "shrunken-line", "shrunken-mean"}
        What is read off the generalised radial plot: metasens's beta0, betalim and mulim in this
        order.
    tau2 : str
        Between-study variance estimator.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    AdjustedEffect
        `studies` has the shrunken effects in column `shrunken`.

    References
    ----------
    .. [1] Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M. Treatment-effect estimates
       adjusted for small-study effects via a limit meta-analysis. Biostatistics 2011;12:122-142.
       https://doi.org/10.1093/biostatistics/kxq046

    Examples
    --------
    >>> import kapmeta as km
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> km.limit_meta_analysis(smoke)
    AdjustedEffect(limit meta-analysis, OR 1.10 (0.94 to 1.29), k=37)
    """
    checking.chosen(adjustment, ADJUSTMENTS, "adjustment")
    check_variance(tau2)
    level, data = checking.proportion(level, "level"), trials_of(effects, mixed=mixed)
    require_trials(data.k, 3, "limit meta-analysis")
    notes = enough_trials(data.k, data.effects, "limit meta-analysis", force) + data.notes
    found = limit_core(data.y, data.v, adjustment=adjustment, tau2=tau2)
    if not np.isfinite(found.estimate):
        raise ValueError(
            f"limit meta-analysis is singular: all {data.k} trials have the same standard error"
        )
    return AdjustedEffect(
        "limit meta-analysis",
        f'adjustment "{adjustment}", tau2 {tau2}, Wald interval',
        **wald(float(found.estimate), float(found.se), level),
        k=data.k,
        level=level,
        effects=data.effects,
        notes=notes,
        studies=study_rows(data, shrunken=found.shrunken),
        papers=("limit",),
        parameters={
            name: float(getattr(found, field)) for name, field in _LIMIT_PARAMETERS.items()
        },
        **unadjusted(data, tau2=tau2, ci="wald", level=level),
    )
