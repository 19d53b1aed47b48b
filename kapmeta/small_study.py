"""Small-study effects and publication bias: tests and adjustments for many trials, bounds for any number.

The tests and adjustments need ten trials or more and say so; `publication_bias_sensitivity`, `e_value` and
`fail_safe_n` ask what it would take, and answer for three trials too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from kapmeta import checking, wording
from kapmeta.core import asymmetry, bias_bounds, counts, fail_safe, selection
from kapmeta.core import copas as copas_model
from kapmeta.core.arrays import FloatArray
from kapmeta.core.combining import combine
from kapmeta.core.distributions import normal_quantile, t_quantile, t_two_sided
from kapmeta.core.limit_meta_analysis import ADJUSTMENTS
from kapmeta.core.limit_meta_analysis import limit_meta_analysis as limit_core
from kapmeta.core.trim_and_fill import COUNTS, SIDES, FillStatus
from kapmeta.core.trim_and_fill import trim_and_fill as fill_core
from kapmeta.effects import odds_ratio
from kapmeta.pooling import one_question
from kapmeta.protocol import PRIMARY
from kapmeta.results import Effects, Pooled
from kapmeta.small_study_results import AdjustedEffect, AsymmetryTest, BiasSensitivity

__all__ = [
    "TESTS",
    "asymmetry_test",
    "copas",
    "e_value",
    "excess_significance",
    "fail_safe_n",
    "limit_meta_analysis",
    "pet_peese",
    "publication_bias_sensitivity",
    "selection_model",
    "trim_and_fill",
]

LEAST = 10
"""Fewest trials for which a test or an adjustment is worked out unasked [Sterne et al. 2011, the Cochrane Handbook]."""

_COUNT_COLUMNS = ("events_t", "n_t", "events_c", "n_c")


class _Data(NamedTuple):
    """The trials that take part: effects as given, their arrays, and the counts where the table has them."""

    effects: Effects
    y: FloatArray
    v: FloatArray
    labels: tuple[str, ...]
    counts: tuple[FloatArray, ...] | None
    notes: tuple[str, ...]


def _data(effects: Effects | pd.DataFrame, *, mixed: bool) -> _Data:
    """Trials that may be looked at together; a frame of trials is read as odds ratios."""
    if isinstance(effects, pd.DataFrame):
        effects = odds_ratio(effects)
    if not isinstance(effects, Effects):
        raise TypeError(f"effects must be Effects, e.g. from km.risk_ratio(trials): got {type(effects).__name__}")
    effects, aside = one_question(effects, mixed)
    there = effects.select(effects.present)
    if there.k == 0:
        raise ValueError("no study takes part: every one is excluded or carries no estimate")
    cells = None
    if all(column in there.table for column in _COUNT_COLUMNS):
        cells = tuple(there.table[column].to_numpy(dtype=np.float64) for column in _COUNT_COLUMNS)
        if not all(np.isfinite(part).all() for part in cells):
            cells = None
    return _Data(effects, there.y, there.v, there.labels, cells, aside)


def _power_text(power: float) -> str:
    if math.isnan(power):
        return "its power cannot be worked out"
    return (
        f"with these standard errors and no heterogeneity, a bias of one standard error in every trial would be found "
        f"in "
        f"{100 * power:.0f} % of cases"
    )


def _enough(k: int, what: str, force: bool, detail: str = "", least: int = LEAST) -> tuple[str, ...]:
    """Nothing for `least` trials or more; below, a refusal or, forced, a note."""
    if k >= least:
        return ()
    said = (
        f"{wording.studies(k)}, and fewer than {least} cannot tell bias from chance or from differences between trials"
    )
    said += f"; {detail}" if detail else ""
    if not force:
        raise ValueError(
            f"{what} is not worked out: {said}. publication_bias_sensitivity, e_value and fail_safe_n say what it "
            f"would take; "
            "force=True computes it all the same"
        )
    return (f"forced: {said}",)


def _needs(k: int, least: int, what: str) -> None:
    if k < least:
        raise ValueError(f"{what} needs at least {least} trials: {k} given; there is no residual to judge it by")


# --- tests of asymmetry ----------------------------------------------------------------------------------------------


class _Test(NamedTuple):
    """One asymmetry test: its name, what exactly it is, and how it is computed."""

    name: str
    definition: str
    points: Callable[[_Data], asymmetry.Points] | None = None
    rank: Callable[[_Data], asymmetry.Rank] | None = None
    reference: str | None = None
    exact: bool = False
    counts: bool = False
    measures: tuple[str, ...] | None = None


def _egger(data: _Data) -> asymmetry.Points:
    return asymmetry.egger_points(data.y, data.v)


def _cells(data: _Data) -> tuple[FloatArray, ...]:
    assert data.counts is not None  # the table of tests says which need them
    return data.counts


def _sizes(data: _Data) -> tuple[FloatArray, FloatArray]:
    _, n1, _, n2 = _cells(data)
    return n1, n2


def _arcsine(data: _Data) -> tuple[FloatArray, FloatArray]:
    found = counts.arcsine_difference(*_cells(data))
    return found.y, found.v


_LINE = "weighted regression with multiplicative dispersion, t with k - 2 degrees of freedom"
_MIXED = "meta-regression on the standard error, additive heterogeneity by REML"

TESTS: Mapping[str, _Test] = MappingProxyType(
    {
        "egger": _Test(
            "Egger's test",
            f"effect on standard error, weights 1/v; {_LINE} (meta's Egger, metafor's regtest with model = lm)",
            points=_egger,
        ),
        "egger-mixed": _Test(
            "Egger's test, mixed model",
            f"{_MIXED}, normal reference (metafor's regtest default)",
            _egger,
            reference="normal",
        ),
        "thompson": _Test(
            "Thompson and Sharp's test",
            f"{_MIXED}, t with k - 2 degrees of freedom (meta's Thompson)",
            _egger,
            reference="t",
        ),
        "begg": _Test(
            "Begg and Mazumdar's test",
            "Kendall's tau of standardised deviates and variances; exact p without ties and below 50 trials, else "
            "normal "
            "with ties allowed for, no continuity correction (metafor's ranktest)",
            rank=lambda d: asymmetry.begg(d.y, d.v),
            exact=True,
        ),
        "begg-normal": _Test(
            "Begg and Mazumdar's test, normal",
            "Kendall's score over its standard error, normal reference, no continuity correction (meta's Begg)",
            rank=lambda d: asymmetry.begg(d.y, d.v),
        ),
        "harbord": _Test(
            "Harbord's test",
            f"score Z/V on 1/sqrt(V), weights V, from the counts without correction; {_LINE}. For the risk ratio "
            "V = n1 n2 m / (N (N - m)); meta uses (N / 4) m / (N - m), which is that for equal arms only",
            points=lambda d: asymmetry.harbord_points(*_cells(d), measure=d.effects.measure),
            counts=True,
            measures=("OR", "RR"),
        ),
        "peters": _Test(
            "Peters's test",
            f"effect on 1/N, weights m (N - m) / N; {_LINE} (meta's Peters)",
            points=lambda d: asymmetry.peters_points(d.y, d.v, *_cells(d)),
            counts=True,
            measures=("OR", "RR", "RD", "AS", "PETO"),
        ),
        "macaskill": _Test(
            "Macaskill's test",
            f"effect on N, weights 1/v; {_LINE} (meta's Macaskill; other authors weight as Peters does)",
            points=lambda d: asymmetry.macaskill_points(d.y, d.v, *_sizes(d)),
            counts=True,
        ),
        "deeks": _Test(
            "Deeks's test",
            f"effect on 1/sqrt(ESS), weights ESS = 4 n1 n2 / N; {_LINE} (meta's Deeks); made for diagnostic odds "
            f"ratios",
            points=lambda d: asymmetry.deeks_points(d.y, d.v, *_sizes(d)),
            counts=True,
        ),
        "pustejovsky": _Test(
            "Pustejovsky and Rodgers's test",
            f"effect on sqrt(1/n1 + 1/n2), weights 1/v; {_LINE} (meta's Pustejovsky)",
            points=lambda d: asymmetry.pustejovsky_points(d.y, d.v, *_sizes(d)),
            counts=True,
        ),
        "schwarzer": _Test(
            "Schwarzer's test",
            "Kendall's score of (a - E) / sqrt(V) and 1/V, hypergeometric moments at the Mantel-Haenszel odds ratio "
            "without "
            "correction (meta adds 0.5 to tables with a zero cell for that odds ratio), normal reference",
            rank=lambda d: asymmetry.schwarzer(*_cells(d)),
            counts=True,
        ),
        "arcsine-egger": _Test(
            "Rücker's arcsine test, Egger",
            f"arcsine difference on its standard error, weights 1/v; {_LINE}",
            points=lambda d: asymmetry.egger_points(*_arcsine(d)),
            counts=True,
        ),
        "arcsine-thompson": _Test(
            "Rücker's arcsine test, Thompson",
            f"arcsine difference: {_MIXED}, t with k - 2 degrees of freedom",
            points=lambda d: asymmetry.egger_points(*_arcsine(d)),
            reference="t",
            counts=True,
        ),
        "arcsine-begg": _Test(
            "Rücker's arcsine test, Begg",
            "arcsine difference: Kendall's score over its standard error, normal reference",
            rank=lambda d: asymmetry.begg(*_arcsine(d)),
            counts=True,
        ),
    }
)
"""Asymmetry tests by name; each says which definition it follows where packages differ."""


def asymmetry_test(
    effects: Effects | pd.DataFrame, *, method: str = "egger", force: bool = False, mixed: bool = False
) -> AsymmetryTest:
    """Test whether small trials show other effects than large ones.

    Asymmetry is not publication bias: it also comes from heterogeneity, from poorer conduct of small trials, from the
    measure and from chance. With fewer than ten trials no test is worked out unless it is forced, and a forced one says
    how little it could have found. For odds and risk ratios prefer ``"harbord"``, ``"peters"`` or an arcsine test:
    the standard error of a log ratio depends on the ratio, and Egger's test then finds asymmetry that is not there.

    Parameters
    ----------
    effects : Effects or DataFrame
        Effects, or a frame of trials as in `kapmeta.odds_ratio`, which is then used.
    method : str
        Word of `TESTS`: ``"egger"``, ``"egger-mixed"``, ``"thompson"``, ``"begg"``, ``"begg-normal"``, ``"harbord"``,
        ``"peters"``, ``"macaskill"``, ``"deeks"``, ``"pustejovsky"``, ``"schwarzer"``, ``"arcsine-egger"``,
        ``"arcsine-thompson"``, ``"arcsine-begg"``. From ``"harbord"`` on they need counts.
    force : bool
        Whether to compute it for fewer than ten trials.
    mixed : bool
        As in `kapmeta.pool`.

    Returns
    -------
    AsymmetryTest

    Raises
    ------
    ValueError
        If there are fewer than ten trials and `force` is not set, fewer than three in any case, if counts are needed
        and missing, if all trials are equally precise, or if the effects lie on a line exactly.

    References
    ----------
    .. [1] Sterne JAC et al. Recommendations for examining and interpreting funnel plot asymmetry in meta-analyses of
       randomised controlled trials. BMJ 2011;343:d4002. https://doi.org/10.1136/bmj.d4002
    .. [2] Rücker G, Schwarzer G, Carpenter J. Arcsine test for publication bias in meta-analyses with binary outcomes.
       Stat Med 2008;27:746-763. https://doi.org/10.1002/sim.2971

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import asymmetry_test
    >>> bcg = km.odds_ratio(km.load_example("bcg"))
    >>> asymmetry_test(bcg, method="harbord")
    AsymmetryTest(harbord, p = 0.23, k=13, power 52%)
    """
    checking.chosen(method, TESTS, "asymmetry test")
    test, data = TESTS[method], _data(effects, mixed=mixed)
    _refuse_measure(test, data)
    k = data.y.size
    _needs(k, 3, test.name)
    power = float(asymmetry.power((test.points or _egger)(data)))
    detail = _power_text(power) + ("; a rank test finds less than this, which is Egger's" if test.rank else "")
    notes = (*_enough(k, test.name, force, detail), *data.notes)
    found = _ranked(test, data) if test.rank else _regressed(test, data)
    if not notes:
        notes = (detail,)
    if method in ("egger", "egger-mixed", "thompson") and data.effects.measure in ("OR", "RR"):
        notes += ("the standard error of a log ratio depends on the ratio: false alarms are more frequent than 5 %",)
    return AsymmetryTest(test.name, method, test.definition, power=power, effects=data.effects, notes=notes, **found)


def _refuse_measure(test: _Test, data: _Data) -> None:
    """Counts and measures that the test needs and the effects do not have."""
    if test.counts and data.counts is None:
        raise ValueError(
            f"{test.name} needs the counts of both arms of every trial ({', '.join(_COUNT_COLUMNS)}); these effects "
            f"have none. "
            'Use method="egger" or "begg"'
        )
    if test.measures and data.effects.measure not in test.measures:
        raise ValueError(f"{test.name} is for {' or '.join(test.measures)}: these are {data.effects.measure}")


def _regressed(test: _Test, data: _Data) -> dict[str, Any]:
    """Fields of the result of a regression test, or an error that says why there is no line."""
    assert test.points is not None
    points = test.points(data)
    k = int(np.count_nonzero(points.w > 0))
    _needs(k, 3, test.name)
    line = (
        asymmetry.weighted_line(points)
        if test.reference is None
        else asymmetry.mixed_line(points.y, points.v, points.x, reference=test.reference)
    )
    if not np.isfinite(line.slope):
        raise ValueError(
            f"{test.name} is singular: its predictor is {points.x[points.w > 0][0]:.6g} for all {k} trials, and there "
            f"is no slope "
            "to test; trials that are equally precise cannot show a small-study effect"
        )
    rounding = (16 * np.finfo(np.float64).eps * np.abs(points.y[points.w > 0]).max()) ** 2 * points.w.sum()
    if line.dispersion * line.df <= rounding and test.reference is None:
        raise ValueError(f"{test.name} has no residual: the effects of all {k} trials lie on a straight line exactly")
    fields = ("statistic", "df", "p_value", "slope", "slope_se", "intercept", "intercept_se")
    numbers = {name: float(getattr(line, name)) for name in fields}
    return {**numbers, "k": k, "tau2": float(line.tau2) if test.reference else math.nan}


def _ranked(test: _Test, data: _Data) -> dict[str, Any]:
    """Fields of the result of a rank test."""
    assert test.rank is not None
    found = test.rank(data)
    if not np.isfinite(found.tau):
        raise ValueError(f"{test.name} has nothing to rank: all effects, or all variances, are the same")
    exact = test.exact and np.isfinite(found.exact_p_value) and data.y.size < 50
    p = float(found.exact_p_value if exact else found.p_value)
    statistic = math.nan if exact else float(found.statistic)
    df = math.nan if exact else math.inf
    return {"statistic": statistic, "df": df, "p_value": p, "tau": float(found.tau), "k": data.y.size}


# --- adjustments -----------------------------------------------------------------------------------------------------


def _unadjusted(data: _Data, *, tau2: Any, ci: str, level: float) -> dict[str, float]:
    found = combine(data.y, data.v, tau2=tau2, ci=ci, level=level)
    names = {"unadjusted": found.estimate, "unadjusted_low": found.low, "unadjusted_high": found.high}
    return {name: float(value) for name, value in names.items()}


def _study_rows(data: _Data, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"row": "study", "study": list(data.labels), "y": data.y, "v": data.v, **columns})


_FILL_REFUSALS = {
    FillStatus.NO_SIDE: "no side to fill: the slope of effect on standard error is 0 or has no estimate. Give side=",
    FillStatus.NO_ESTIMATE: (
        'no estimate: Q0 does not exist where the rank sum exceeds k^2/2 + 1/16, as it does here. Use count_by="L0"'
    ),
    FillStatus.NEVER_SETTLED: "no answer: the number of studies to trim never settles. Use another estimator",
}


def trim_and_fill(
    effects: Effects,
    *,
    count_by: str = "L0",
    side: str = "auto",
    tau2: str = PRIMARY.tau2 if isinstance(PRIMARY.tau2, str) else "REML",
    trim: str = "random",
    ci: str = PRIMARY.ci,
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Add the mirror images of the studies that make the funnel plot asymmetric, and pool again.

    An exploration of what asymmetry is worth, never a correction: with heterogeneity it fills in studies that never
    were. Refused for fewer than ten trials unless forced.

    Parameters
    ----------
    effects : Effects
        Effects of at least three trials.
    count_by : {"L0", "R0", "Q0"}
        Duval and Tweedie's estimator of the number missing.
    side : {"auto", "left", "right"}
        Where they are missing; ``"auto"`` takes the side the slope of effect on standard error points away from.
    tau2 : str
        Between-study variance of the random-effects model.
    trim : {"random", "common"}
        Model that finds the centre while trimming: ``"random"`` is metafor's choice, ``"common"`` meta's.
    ci : str
        Interval of the filled estimate, as in `kapmeta.pool`.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    AdjustedEffect
        `studies` holds the filled studies in rows ``"filled"``; `parameters` their number and its standard error.

    References
    ----------
    .. [1] Duval S, Tweedie R. Trim and fill: a simple funnel-plot-based method of testing and adjusting for publication
       bias in meta-analysis. Biometrics 2000;56:455-463. https://doi.org/10.1111/j.0006-341x.2000.00455.x

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import trim_and_fill
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> trim_and_fill(smoke, tau2="DL", ci="wald")
    AdjustedEffect(trim and fill, OR 1.19 (1.08 to 1.31), k=37)
    """
    checking.chosen(count_by, COUNTS, "estimator of the number missing")
    checking.chosen(side, SIDES, "side")
    checking.chosen(trim, ("random", "common"), "trimming model")
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    _needs(data.y.size, 3, "trim and fill")
    notes = _enough(data.y.size, "trim and fill", force) + data.notes
    found = fill_core(
        data.y, data.v, count_by=count_by, side=side, tau2=tau2, trim_tau2=tau2 if trim == "random" else 0.0
    )
    if found.status != FillStatus.OK:
        raise ValueError(f"trim and fill gives {_FILL_REFUSALS[FillStatus(int(found.status))]}")
    pooled = combine(found.y, found.v, tau2=tau2, ci=ci, level=level)
    numbers = {name: float(getattr(pooled, name)) for name in ("estimate", "se", "low", "high")}
    definition = (
        f"{count_by}, missing on the {'left' if found.side < 0 else 'right'}, trimmed with the {trim}-effect"
        f"{'s' if trim == 'random' else ''} model ({'metafor' if trim == 'random' else 'meta'}), average ranks for "
        f"ties; "
        f"filled studies pooled with tau2 {tau2}, {wording.CI_NAMES.get(ci, ci)}"
    )
    parameters = {"filled": float(found.k0), "filled_se": float(found.se_k0), "tau2": float(pooled.tau2)}
    if count_by == "R0":
        parameters["filled_p_value"] = float(found.p_value)
    return AdjustedEffect(
        "trim and fill", definition, k=data.y.size, level=level, effects=data.effects, parameters=parameters,
        studies=_with_filled(data, found.y, found.v), notes=notes, **numbers,
        **_unadjusted(data, tau2=tau2, ci=ci, level=level),
    )  # fmt: skip


def _with_filled(data: _Data, y: FloatArray, v: FloatArray) -> pd.DataFrame:
    """Rows of the studies, then of the mirror images that were added."""
    k = data.y.size
    added = np.flatnonzero(v[k:] < np.inf)
    filled = pd.DataFrame(
        {
            "row": "filled",
            "study": [f"mirror image of {data.labels[i]}" for i in added],
            "y": y[k:][added],
            "v": v[k:][added],
        }
    )
    return pd.concat([_study_rows(data), filled], ignore_index=True) if added.size else _study_rows(data)


def pet_peese(
    effects: Effects,
    *,
    method: str = "pet-peese",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Effect at standard error 0, from a line through effect on standard error (PET) or on variance (PEESE).

    Extrapolates beyond every trial: unreliable with fewer than twenty trials, with heterogeneity, or where none is
    large.

    Parameters
    ----------
    effects : Effects
        Effects of at least three trials.
    method : {"pet-peese", "pet", "peese"}
        ``"pet-peese"`` takes PEESE if PET's intercept is significant in the direction of benefit (one-sided p < 0.1),
        else PET.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    AdjustedEffect

    References
    ----------
    .. [1] Stanley TD, Doucouliagos H. Meta-regression approximations to reduce publication selection bias. Res Synth
       Methods 2014;5:60-78. https://doi.org/10.1002/jrsm.1095

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import pet_peese
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> pet_peese(smoke)
    AdjustedEffect(PET, OR 1.01 (0.84 to 1.20), k=37)
    """
    checking.chosen(method, ("pet-peese", "pet", "peese"), "method")
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    _needs(data.y.size, 3, "PET-PEESE")
    notes = _enough(data.y.size, "PET-PEESE", force) + data.notes
    if 10 <= data.y.size < 20:
        notes += ("with fewer than twenty trials the extrapolation is unreliable",)
    lines = {
        "PET": asymmetry.weighted_line(asymmetry.egger_points(data.y, data.v)),
        "PEESE": asymmetry.weighted_line(asymmetry.peese_points(data.y, data.v)),
    }
    if not np.isfinite(lines["PET"].slope):
        raise ValueError(
            f"PET-PEESE is singular: all {data.y.size} trials have the standard error {math.sqrt(data.v[0]):.6g}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        t = float(lines["PET"].intercept / lines["PET"].intercept_se) * _direction(data.effects, "treatment")
    one_sided = float(t_two_sided(t, lines["PET"].df)) / 2 if t > 0 else 1 - float(t_two_sided(t, lines["PET"].df)) / 2
    name = {"pet": "PET", "peese": "PEESE"}.get(method, "PEESE" if one_sided < 0.1 else "PET")
    line = lines[name]
    half = float(t_quantile((1 + level) / 2, line.df) * line.intercept_se)
    rule = "" if method != "pet-peese" else f", chosen by PET's one-sided {wording.p_text(one_sided)} (PEESE below 0.1)"
    return AdjustedEffect(
        name,
        f"intercept of effect on {'standard error' if name == 'PET' else 'variance'}, weights 1/v, multiplicative "
        f"dispersion, "
        f"t with k - 2 degrees of freedom{rule}",
        float(line.intercept), float(line.intercept_se), float(line.intercept) - half, float(line.intercept) + half,
        k=data.y.size, level=level, effects=data.effects, studies=_study_rows(data), notes=notes,
        parameters={
            "slope": float(line.slope), "slope_p_value": float(line.p_value), "pet_one_sided_p_value": one_sided,
        },
        **_unadjusted(data, tau2="REML", ci=PRIMARY.ci, level=level),
    )  # fmt: skip


def limit_meta_analysis(
    effects: Effects,
    *,
    adjustment: str = "at-limit",
    tau2: str = "REML",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """The effect that trials of ever greater precision would tend to, heterogeneity kept.

    Parameters
    ----------
    effects : Effects
        Effects of at least three trials.
    adjustment : {"at-limit", "shrunken-line", "shrunken-mean"}
        What is read off the generalised radial plot: metasens's beta0, betalim and mulim in this order.
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
    .. [1] Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M. Treatment-effect estimates adjusted for
       small-study effects via a limit meta-analysis. Biostatistics 2011;12:122-142.
       https://doi.org/10.1093/biostatistics/kxq046

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import limit_meta_analysis
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> limit_meta_analysis(smoke)
    AdjustedEffect(limit meta-analysis, OR 1.10 (0.94 to 1.29), k=37)
    """
    checking.chosen(adjustment, ADJUSTMENTS, "adjustment")
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    _needs(data.y.size, 3, "limit meta-analysis")
    notes = _enough(data.y.size, "limit meta-analysis", force) + data.notes
    found = limit_core(data.y, data.v, adjustment=adjustment, tau2=tau2)
    if not np.isfinite(found.estimate):
        raise ValueError(f"limit meta-analysis is singular: all {data.y.size} trials have the same standard error")
    half = float(normal_quantile((1 + level) / 2) * found.se)
    names = {"alpha": found.intercept, "beta": found.slope, "tau2": found.tau2, "q_small": found.q_small,
             "q_residual": found.q_residual, "g2": found.g2}  # fmt: skip
    return AdjustedEffect(
        "limit meta-analysis",
        f'adjustment "{adjustment}", tau2 {tau2}, Wald interval',
        float(found.estimate), float(found.se), float(found.estimate) - half, float(found.estimate) + half,
        k=data.y.size, level=level, effects=data.effects, notes=notes,
        studies=_study_rows(data, shrunken=found.shrunken),
        parameters={name: float(value) for name, value in names.items()},
        **_unadjusted(data, tau2=tau2, ci="wald", level=level),
    )  # fmt: skip


FAVOURED: Mapping[str, str] = MappingProxyType(
    {
        "treatment": "results that favour the treatment, by `event_is_good`",
        "positive": "results above no effect on the analysis scale",
        "negative": "results below no effect on the analysis scale",
    }
)
"""Which results are taken to be published more readily."""


def _direction(effects: Effects, favoured: str) -> float:
    """+1 where larger effects are favoured, -1 where smaller ones are."""
    checking.chosen(favoured, FAVOURED, "favoured direction")
    return {"positive": 1.0, "negative": -1.0, "treatment": 1.0 if effects.event_is_good else -1.0}[favoured]


def selection_model(
    effects: Effects,
    *,
    weight: str = "step",
    steps: Sequence[float] = (0.025,),
    delta: Sequence[float] | None = None,
    two_sided: bool = False,
    model: str = "random",
    favoured: str = "treatment",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> AdjustedEffect:
    """Effect before selection, where the chance of being published depends on the p-value.

    With few trials the selection cannot be estimated: fewer than ten are refused unless the weights are given
    (`delta`), which makes it a sensitivity analysis, or `force` is set.

    Parameters
    ----------
    effects : Effects
        Effects of at least two trials, one with given weights.
    weight : str
        ``"step"``, ``"beta"``, ``"half-normal"``, ``"negative-exponential"``, ``"logistic"``, ``"power"`` or
        ``"negative-exponential-power"``.
    steps : sequence of float
        For ``"step"``: p-values at which the chance changes, ascending; one-sided in the favoured direction unless
        `two_sided`.
    delta : sequence of float, optional
        Given weights, one an interval with the first 1 for steps, else the parameters of the weight function.
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
        `parameters` holds tau2, the weights, the log-likelihoods and the likelihood ratio test of no selection.

    Raises
    ------
    ValueError
        If an interval between steps holds no study, a step is not a p-value, weights do not fit the function, or a
        p-value cannot be told from 0 or 1.

    References
    ----------
    .. [1] Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of publication bias.
       Psychometrika 1995;60:419-435. https://doi.org/10.1007/BF02294384
    .. [2] Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a priori weight
       functions. Psychol Methods 2005;10:428-443. https://doi.org/10.1037/1082-989X.10.4.428

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import selection_model
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> found = selection_model(smoke, steps=(0.025, 0.5), favoured="positive")
    >>> found
    AdjustedEffect(step selection model, OR 1.08 (0.91 to 1.28), k=37)
    >>> round(found.parameters["delta_2"], 3), round(found.parameters["lrt"], 3)
    (0.46, 4.001)
    """
    checking.chosen(weight, ("step", *selection.FAMILIES), "weight function")
    checking.chosen(model, ("random", "common"), "model")
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    sign = _direction(data.effects, favoured)
    _check_selection(data, sign, weight, steps, delta, two_sided)
    k = data.y.size
    _needs(k, 1 if delta is not None else 2, "a selection model")
    least = LEAST if delta is None else 1
    notes = _enough(k, "an estimated selection model", force, "give the weights (delta) instead", least) + data.notes
    found = selection.fit(
        sign * data.y,
        data.v,
        family=weight,
        steps=tuple(steps),
        delta=delta,
        two_sided=two_sided,
        common=model == "common",
    )
    if not found.converged:
        raise ValueError(
            "the selection model did not converge: the likelihood has no maximum these data can find; give delta"
        )
    if found.on_bound:
        notes += (
            f"a weight parameter ran to the end of its range (0 to {selection.LARGEST:g}): the data do not fix it",
        )
    half = float(normal_quantile((1 + level) / 2)) * found.se
    estimate = sign * found.mu
    weights = {f"delta_{i}": float(d) for i, d in enumerate(found.delta, start=1)}
    tested = {
        "log_likelihood": found.log_likelihood,
        "lrt": found.statistic,
        "lrt_df": float(found.df),
        "lrt_p_value": found.p_value,
    }
    words = f"steps at {wording.joined(f'{s:g}' for s in steps)}" if weight == "step" else f"{weight} function"
    return AdjustedEffect(
        f"{weight} selection model",
        f"{words} of the {'two' if two_sided else 'one'}-sided p-value, maximum likelihood"
        f"{', weights given' if delta is not None else ''}, {model}-effect{'s' if model == 'random' else ''} model, "
        f"Wald "
        "interval; beta and power functions level beyond p = 1e-5 and 1 - 1e-5, as in metafor",
        estimate, found.se, estimate - half, estimate + half, k=k, level=level, effects=data.effects,
        studies=_study_rows(data, p_value=selection.Tail(sign * data.y / np.sqrt(data.v), two_sided).p), notes=notes,
        parameters={"tau2": found.tau2, **weights, **tested},
        **_unadjusted(data, tau2=0.0 if model == "common" else "ML", ci="wald", level=level),
    )  # fmt: skip


def _check_selection(
    data: _Data, sign: float, weight: str, steps: Sequence[float], delta: Sequence[float] | None, two_sided: bool
) -> None:
    """Steps, weights and p-values a selection model can work with."""
    z = sign * data.y / np.sqrt(data.v)
    if weight != "step":
        p = np.asarray(special.ndtr(-z))
        checking.refuse_first(
            (p <= 0) | (special.ndtr(z) <= 0), data.labels, lambda i: f"p-value is {p[i]:g}",
            lambda i: f"z = {z[i]:.4g} and p cannot be told from {p[i]:g}; check the variance, or use weight=\"step\"",
        )  # fmt: skip
        expected = len(selection.FAMILIES[weight].neutral)
    else:
        expected = _check_steps(data, z, steps, two_sided, empty=delta is not None)
    if delta is None:
        return
    given = np.asarray(delta, dtype=np.float64)
    if given.size != expected:
        raise ValueError(
            f'delta must have {wording.number(expected, 0)} values for weight "{weight}": got {given.size}'
        )
    if weight == "step" and (given[0] != 1 or not (given > 0).all()):
        raise ValueError(f"delta must start with 1 and be positive: got {', '.join(f'{d:g}' for d in given)}")
    if not np.isfinite(given).all() or (given < 0).any():
        raise ValueError("delta must be finite and not negative")


def _check_steps(data: _Data, z: FloatArray, steps: Sequence[float], two_sided: bool, *, empty: bool) -> int:
    """Steps that are ascending p-values and, unless weights are given, leave no interval without a study."""
    ends = np.asarray(steps, dtype=np.float64)
    if ends.ndim != 1 or ends.size == 0 or not ((ends > 0) & (ends < 1)).all() or (np.diff(ends) <= 0).any():
        raise ValueError(
            f"steps must be ascending p-values strictly between 0 and 1: got {tuple(steps)}; e.g. (0.025, 0.5)"
        )
    inside = selection.step_counts(z, np.ones_like(z), tuple(steps), two_sided=two_sided)
    edges = [0.0, *map(float, ends), 1.0]
    hollow = [f"({edges[j]:g}, {edges[j + 1]:g}]" for j in np.flatnonzero(inside == 0)]
    if hollow and not empty:
        raise ValueError(
            f"no study has a p-value in {wording.joined(hollow)}, so its weight cannot be estimated; leave the step "
            f"out, or give "
            "the weights (delta)"
        )
    return int(ends.size + 1)


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
    """Copas and Shi's selection model over a range of selection that the data cannot choose from.

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
        One row a probability, the first without selection; `values` has the estimate at the least selection that leaves
        no asymmetry unexplained (p > 0.1).

    References
    ----------
    .. [1] Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. Stat Methods Med Res
       2001;10:251-265. https://doi.org/10.1177/096228020101000402

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import copas
    >>> smoke = km.generic(km.load_example("passive_smoking"), y="y", v="v", measure="OR")
    >>> found = copas(smoke, published=(0.9, 0.5), favoured="positive")
    >>> found.to_frame()[["published", "estimate", "unpublished"]].round(2)
       published  estimate  unpublished
    0        1.0      1.24         0.00
    1        0.9      1.21         2.44
    2        0.5      1.15        16.34
    """
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    least_precise = [checking.proportion(float(p), "published") for p in published]
    top = checking.proportion(published_smallest_se, "published_smallest_se")
    k = data.y.size
    _needs(k, 3, "the Copas model")
    notes = _enough(k, "the Copas model", force, "it needs about fifteen", 15) + data.notes
    if np.ptp(data.v) <= 1e-12 * data.v.max():
        raise ValueError(
            f"the Copas model needs trials of different size: all {k} have the standard error "
            f"{math.sqrt(data.v[0]):.6g}"
        )
    sign = _direction(data.effects, favoured)
    gamma0, gamma1 = copas_model.selection_line(data.v, least_precise, published_smallest_se=top)
    curve = copas_model.copas(sign * data.y, data.v, np.r_[np.inf, gamma0], np.r_[0.0, gamma1])
    table = _copas_table(data, curve, sign, level)
    quiet = np.flatnonzero(curve.residual_p_value > 0.1)
    chosen = table.iloc[int(quiet[0])] if quiet.size else table.iloc[-1]
    values = {
        name: float(chosen[name])
        for name in ("published", "estimate", "low", "high", "unpublished", "residual_p_value")
    }
    said = "the least selection that leaves no asymmetry unexplained" if quiet.size else "the strongest selection tried"
    sentence = (
        f"With {said} ({100 * values['published']:.0f} % of trials like the least precise published): "
        f"{data.effects.scale.short} "
        f"{wording.interval_text(values['estimate'], values['low'], values['high'])}."
    )
    if curve.rho_on_bound.any():
        notes += ("rho ran to its bound in some rows: their standard error holds it there",)
    definition = (
        f"maximum likelihood in mu, tau2 and rho, global maximum of several searches; the most precise trial "
        f"published with "
        f"probability {top:g}; residual p-value against a meta-regression on the standard error (metasens's "
        f"definition; its grid of "
        "gamma0 and gamma1 is another)"
    )
    return BiasSensitivity("Copas selection model", definition, values, table, (sentence,), k, data.effects, notes)


def _copas_table(data: _Data, curve: copas_model.Curve, sign: float, level: float) -> pd.DataFrame:
    half = float(normal_quantile((1 + level) / 2)) * curve.se
    shown = data.effects.scale.shown
    estimate = sign * curve.mu
    return pd.DataFrame(
        {
            "published": curve.published_largest_se,
            "estimate": shown(estimate), "low": shown(estimate - half), "high": shown(estimate + half),
            "y": estimate, "se": curve.se, "tau2": curve.tau2, "rho": curve.rho, "unpublished": curve.unpublished,
            "residual_p_value": curve.residual_p_value, "log_likelihood": curve.log_likelihood,
            "gamma0": curve.gamma0, "gamma1": curve.gamma1,
        }
    )  # fmt: skip


# --- what it would take ----------------------------------------------------------------------------------------------


def _rosenthal(data: _Data, null_v: float, target: float, options: Mapping[str, Any]) -> fail_safe.FailSafe:
    return fail_safe.rosenthal(data.y, data.v, level=options["level"])


def _orwin(data: _Data, null_v: float, target: float, options: Mapping[str, Any]) -> fail_safe.FailSafe:
    return fail_safe.orwin(data.y, data.v, target=target)


def _rosenberg(data: _Data, null_v: float, target: float, options: Mapping[str, Any]) -> fail_safe.FailSafe:
    return fail_safe.rosenberg(data.y, data.v, level=options["level"])


def _null_studies(data: _Data, null_v: float, target: float, options: Mapping[str, Any]) -> fail_safe.FailSafe:
    n = fail_safe.null_studies(data.y, data.v, null_v=null_v, **options)
    return fail_safe.FailSafe(np.asarray(n), np.asarray(np.nan))


class _Count(NamedTuple):
    name: str
    definition: str
    compute: Callable[[_Data, float, float, Mapping[str, Any]], fail_safe.FailSafe]


FAIL_SAFE: Mapping[str, _Count] = MappingProxyType(
    {
        "null-studies": _Count(
            "Null studies it would take",
            "studies of no average effect and the stated size, scattered as the others are (v + tau2), added one by "
            "one and refitted with the same method (tau2 included) until the interval holds no effect; metafor's "
            "General follows the same idea by an approximation",
            _null_studies,
        ),
        "rosenthal": _Count(
            "Rosenthal's fail-safe N",
            "Stouffer's one-sided combined test at 1 - level; ignores size and effect",
            _rosenthal,
        ),
        "orwin": _Count(
            "Orwin's fail-safe N", "common-effect mean brought down to the target by studies of no effect", _orwin
        ),
        "rosenberg": _Count(
            "Rosenberg's fail-safe N", "common-effect z test, null studies of average weight", _rosenberg
        ),
    }
)
"""Ways to count missing null studies, by name."""


def fail_safe_n(
    effects: Effects,
    *,
    method: str = "null-studies",
    size: str | float = "median",
    target: float | None = None,
    tau2: str = "REML",
    ci: str = PRIMARY.ci,
    level: float = PRIMARY.level,
    mixed: bool = False,
) -> BiasSensitivity:
    """How many null studies would take the result away.

    For any number of trials. A large number proves nothing: unpublished studies need not be null, nor of that size.

    Parameters
    ----------
    effects : Effects
        Effects.
    method : str
        Word of `FAIL_SAFE`: ``"null-studies"``, ``"rosenthal"``, ``"orwin"`` or ``"rosenberg"``.
    size : str or float
        For ``"null-studies"``: size of each null study as a sampling variance: ``"median"``, ``"largest"`` or
        ``"smallest"`` trial, the label of a trial, or the variance itself.
    target : float, optional
        For ``"orwin"``: the effect considered negligible, on the scale shown; half the effect on the analysis scale if
        left out.
    tau2, ci, level, mixed
        As in `kapmeta.pool`, for ``"null-studies"``.

    Returns
    -------
    BiasSensitivity
        ``result["n"]``, and the p-value of what was observed where the method has one.

    References
    ----------
    .. [1] Rosenthal R. The file drawer problem and tolerance for null results. Psychol Bull 1979;86:638-641.
       https://doi.org/10.1037/0033-2909.86.3.638

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import fail_safe_n
    >>> bcg = km.risk_ratio(km.load_example("bcg"))
    >>> print(fail_safe_n(bcg).sentences[0])
    It would take 24 null studies of sampling variance 0.071 each for the 95 % CI to hold no effect.
    """
    checking.chosen(method, FAIL_SAFE, "fail-safe method")
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    null_v = _null_size(data, size)
    negligible = _negligible(data, target) if method == "orwin" else math.nan
    how = FAIL_SAFE[method]
    found = how.compute(data, null_v, negligible, {"tau2": tau2, "ci": ci, "level": level})
    n, p = float(found.n), float(found.p_value)
    values = (
        {"n": n} | ({"null_v": null_v} if method == "null-studies" else {}) | ({} if math.isnan(p) else {"p_value": p})
    )
    return BiasSensitivity(
        how.name, how.definition, values, pd.DataFrame([{"method": method, **values}]),
        (_count_sentence(data, method, n, null_v, negligible, level),), data.y.size, data.effects, data.notes,
    )  # fmt: skip


def _count_sentence(data: _Data, method: str, n: float, null_v: float, negligible: float, level: float) -> str:
    many = "more than 1000" if math.isinf(n) else f"{n:.0f}"
    noun = "study" if n == 1 else "studies"
    if method == "null-studies":
        if n == 0:
            return f"None: the {wording.percent(level)} CI holds no effect already."
        return (
            f"It would take {many} null {noun} of sampling variance {wording.number(null_v)} each for the "
            f"{wording.percent(level)} CI to hold no effect."
        )
    if method == "orwin":
        shown = wording.number(float(data.effects.scale.shown(negligible)))
        return (
            f"{many} null {noun} would bring the mean down to {data.effects.scale.short} {shown} or its mirror image."
        )
    return f"{many} null {noun} would make the combined test lose its significance."


def _null_size(data: _Data, size: str | float) -> float:
    """Sampling variance of a null study."""
    if isinstance(size, str):
        words = {"median": float(np.median(data.v)), "largest": float(data.v.min()), "smallest": float(data.v.max())}
        named = dict(zip(data.labels, map(float, data.v), strict=True))
        if size not in words and size not in named:
            raise ValueError(
                f'unknown size "{size}"; use {", ".join(words)}, a variance, or a trial: {", ".join(data.labels)}'
            )
        return words.get(size, named.get(size, math.nan))
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < math.inf:
        raise ValueError(f"size must be a positive sampling variance or a word: got {size!r}")
    return float(size)


def _negligible(data: _Data, target: float | None) -> float:
    """Orwin's target on the analysis scale, positive."""
    if target is None:
        w = 1 / data.v
        return abs(float((w * data.y).sum() / w.sum())) / 2
    value = abs(_analysis_scale(data.effects, target, "target"))
    if value == 0:
        raise ValueError(
            f"target must differ from no effect: got {target:g}; no number of null studies makes an effect exactly 0"
        )
    return value


def _analysis_scale(effects: Effects, value: float, name: str) -> float:
    """A value on the scale shown, taken to the analysis scale."""
    scale = effects.scale
    if scale.null is None:
        raise ValueError(f"{name} has no meaning for a {scale.name}: there is no value of no effect")
    if not scale.ratio:
        return float(value)
    if not value > 0:
        raise ValueError(f"{name} must be positive for a {scale.name}: got {value:g}")
    return math.log(value)


def excess_significance(
    effects: Effects,
    *,
    tau2: str | float = "REML",
    level: float = PRIMARY.level,
    force: bool = False,
    mixed: bool = False,
) -> BiasSensitivity:
    """Test whether more trials are significant than their power allows.

    Parameters
    ----------
    effects : Effects
        Effects.
    tau2 : str or float
        Between-study variance of the true effects, estimator or value; 0.0 for one true effect.
    level, force, mixed
        As in `asymmetry_test` and `kapmeta.pool`.

    Returns
    -------
    BiasSensitivity
        One row a trial with its power; ``result["observed"]``, ``["expected"]``, ``["p_value"]`` (exact) and
        ``["chi2_p_value"]``.

    References
    ----------
    .. [1] Ioannidis JPA, Trikalinos TA. An exploratory test for an excess of significant findings. Clin Trials
       2007;4:245-253. https://doi.org/10.1177/1740774507079441

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import excess_significance
    >>> found = excess_significance(km.risk_ratio(km.load_example("bcg")), tau2=0.0)
    >>> found["observed"], round(found["expected"], 4), round(found["p_value"], 4)
    (8.0, 6.0927, 0.1344)
    """
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    k = data.y.size
    _needs(k, 2, "the test of excess significance")
    notes = _enough(k, "the test of excess significance", force) + data.notes
    pooled = combine(data.y, data.v, tau2=tau2, level=level)
    found = fail_safe.excess_significance(data.y, data.v, pooled.estimate, tau2=pooled.tau2, level=level)
    values = {
        "observed": float(found.observed), "expected": float(found.expected), "p_value": float(found.exact_p_value),
        "chi2": float(found.statistic), "chi2_p_value": float(found.p_value),
    }  # fmt: skip
    edge = float(normal_quantile((1 + level) / 2))
    table = pd.DataFrame(
        {"study": list(data.labels), "significant": np.abs(data.y) >= edge * np.sqrt(data.v), "power": found.power}
    )
    sentence = (
        f"{values['observed']:.0f} of {k} trials are significant, {values['expected']:.1f} are expected: "
        f"{wording.p_text(values['p_value'])}."
    )
    definition = (
        "one-sided test at the pooled mean and tau2; exact distribution of a sum of unequal coins (metafor up to 20 "
        "trials; "
        "chi-squared above, given beside it)"
    )
    return BiasSensitivity(
        "Test of excess significance", definition, values, table, (sentence,), k, data.effects, notes
    )


def publication_bias_sensitivity(
    effects: Effects,
    *,
    model: str = "common",
    ratios: Sequence[float] = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0),
    target: float | None = None,
    favoured: str = "treatment",
    level: float = PRIMARY.level,
    mixed: bool = False,
) -> BiasSensitivity:
    """How much more likely significant favourable results would have to be published to take the effect away.

    Valid for any number of trials, three included: nothing about the selection is estimated.

    Parameters
    ----------
    effects : Effects
        Effects.
    model : {"common", "robust"}
        Common-effect weights and normal limits, or weights 1/(v + tau2) (REML) with CR2 robust limits, for
        heterogeneity.
    ratios : sequence of float
        Selection ratios of the table: significant favourable results are published that many times as readily.
    target : float, optional
        Effect to reach, on the scale shown; no effect if left out.
    favoured : {"treatment", "positive", "negative"}
        Direction of the results published more readily.
    level, mixed
        As in `kapmeta.pool`.

    Returns
    -------
    BiasSensitivity
        One row a ratio and one for the worst case. ``result["s_value"]`` and ``result["s_value_limit"]`` are the ratios
        at which the estimate and the confidence limit nearest the target reach it: ``inf`` if none does, ``nan`` where
        no trial, or every trial, is significant in the favoured direction.

    References
    ----------
    .. [1] Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J R Stat Soc C
       2020;69:1091-1119. https://doi.org/10.1111/rssc.12440

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import publication_bias_sensitivity
    >>> found = publication_bias_sensitivity(km.risk_ratio(km.load_example("bcg")))
    >>> round(found["s_value"], 2), round(found["worst_case"], 3)
    (inf, 0.988)
    """
    checking.chosen(model, ("common", "robust"), "model")
    level, data = checking.proportion(level, "level"), _data(effects, mixed=mixed)
    if any(not ratio >= 1 for ratio in ratios):
        raise ValueError(
            f"ratios must be 1 or more: got {', '.join(f'{r:g}' for r in ratios)}; use favoured= for the direction"
        )
    sign = _direction(data.effects, favoured)
    goal = 0.0 if target is None else sign * _analysis_scale(data.effects, target, "target")
    k = data.y.size
    tau2 = float(combine(data.y, data.v, tau2="REML").tau2) if model == "robust" and k > 1 else None
    y, v = sign * data.y, data.v
    yes = bias_bounds.affirmative(y, v, level=level)
    limit = bias_bounds.s_value_limit(y, v, target=goal, tau2=tau2, level=level)
    s = float(bias_bounds.s_value(y, v, target=goal, tau2=None if tau2 is None else np.asarray(tau2), level=level))
    table = _bias_table(data, sign, [float(r) for r in ratios], tau2, level)
    worst = table.iloc[-1]
    values = {
        "s_value": s, "s_value_limit": limit, "affirmative": float(yes.sum()), "not_affirmative": float(k - yes.sum()),
        "worst_case": float(worst["estimate"]), "worst_case_low": float(worst["low"]),
        "worst_case_high": float(worst["high"]),
    }  # fmt: skip
    definition = (
        f"affirmative: two-sided p < {1 - level:.3g} in the favoured direction; "
        + ("common-effect weights, normal limits" if tau2 is None else f"weights 1/(v + {tau2:.4g}), CR2 robust limits")
        + "; worst case: the trials that are not affirmative, alone"
    )
    sentences = _bias_sentences(data, values, target, level)
    return BiasSensitivity(
        "Publication bias sensitivity", definition, values, table, sentences, k, data.effects, data.notes
    )


def _bias_table(data: _Data, sign: float, ratios: list[float], tau2: float | None, level: float) -> pd.DataFrame:
    """One row a selection ratio, the worst case (ratio infinite) last; nan where nothing is left to pool."""
    y, v = sign * data.y, data.v
    rows = np.broadcast_to(y, (len(ratios), y.size)), np.broadcast_to(v, (len(ratios), v.size))
    between = None if tau2 is None else np.full(len(ratios), tau2)
    found = bias_bounds.corrected(*rows, ratios, tau2=between, level=level)
    worst = bias_bounds.worst_case(y, v, tau2=None if tau2 is None else np.asarray(tau2), level=level)
    estimate, se, low, high = (
        np.append(getattr(found, name), getattr(worst, name)) for name in ("estimate", "se", "low", "high")
    )
    if sign < 0:
        estimate, low, high = -estimate, -high, -low
    shown = data.effects.scale.shown
    return pd.DataFrame(
        {
            "ratio": [*ratios, math.inf], "estimate": shown(estimate), "low": shown(low), "high": shown(high),
            "y": estimate, "se": se,
        }
    )  # fmt: skip


def _bias_sentences(data: _Data, values: Mapping[str, float], target: float | None, level: float) -> tuple[str, ...]:
    """What the S-values and the worst case say."""
    k, yes = data.y.size, int(values["affirmative"])
    head = f"{yes} of {k} trials {'is' if yes == 1 else 'are'} significant in the favoured direction."
    if yes == 0:
        return (head, "So there is nothing that such selection could have let through more readily: no S-value.")
    if yes == k:
        return (head, "So the trials say nothing about those held back: no S-value and no worst case.")
    goal = "no effect" if target is None else f"{data.effects.scale.short} {target:g}"

    def told(what: str, s: float) -> str:
        if math.isinf(s):
            return f"No amount of such selection brings {what} to {goal}."
        if s <= 1:
            return f"{what[0].upper()}{what[1:]} does not exceed {goal} even without selection."
        return f"Significant favourable results {s:.2g} times as likely to be published would bring {what} to {goal}."

    worst = wording.interval_text(values["worst_case"], values["worst_case_low"], values["worst_case_high"])
    return (
        head, told("the estimate", values["s_value"]),
        told(f"the {wording.percent(level)} limit", values["s_value_limit"]),
        f"Worst case: {data.effects.scale.short} {worst}.",
    )  # fmt: skip


_AS_RISK_RATIO: Mapping[str, Mapping[bool, Callable[[float], float]]] = MappingProxyType(
    {
        "RR": {False: lambda x: x, True: lambda x: x},
        "OR": {False: lambda x: x, True: math.sqrt},
        "PETO": {False: lambda x: x, True: math.sqrt},
        "HR": {False: lambda x: x, True: lambda x: (1 - 0.5 ** math.sqrt(x)) / (1 - 0.5 ** math.sqrt(1 / x))},
        "IRR": {False: lambda x: x, True: lambda x: x},
    }
)
"""Ratios as approximate risk ratios, by whether the outcome is common (15 % or more)."""


def e_value(pooled: Pooled, *, common_outcome: bool | None = None) -> BiasSensitivity:
    """How strongly a confounder would have to be tied to treatment and outcome to explain the effect away.

    For non-randomised trials, one or several; randomisation has taken care of confounders. The E-value of an event and
    of its opposite differ: state the event.

    Parameters
    ----------
    pooled : Pooled
        From `kapmeta.pool` or another pooling function: a risk, odds, hazard or rate ratio.
    common_outcome : bool, optional
        For odds and hazard ratios: whether 15 % or more have the outcome, so that they are turned into approximate risk
        ratios first. Must be given for these; not used for risk and rate ratios.

    Returns
    -------
    BiasSensitivity
        ``result["estimate"]`` and ``result["limit"]``, the E-values of the estimate and of the confidence limit nearest
        no effect (1 if the interval holds no effect).

    References
    ----------
    .. [1] VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the E-value. Ann Intern
       Med 2017;167:268-274. https://doi.org/10.7326/M16-2607

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.small_study import e_value
    >>> trials = km.load_evidence().trials(substance="alcohol", randomised=False)
    >>> found = e_value(km.pool(km.risk_ratio(trials)))
    >>> round(found["estimate"], 2), round(found["limit"], 2)
    (4.92, 3.18)
    """
    if not isinstance(pooled, Pooled):
        raise TypeError(f"pooled must be Pooled, e.g. from km.pool(effects): got {type(pooled).__name__}")
    offered = tuple(_AS_RISK_RATIO)
    if pooled.measure not in offered:
        raise ValueError(f"an E-value needs a ratio ({', '.join(offered)}): this is a {pooled.scale.name}")
    if common_outcome is None and pooled.measure in ("OR", "PETO", "HR"):
        raise ValueError(
            f"say common_outcome=True or False: a {pooled.scale.name} is not a risk ratio if 15 % or more have the "
            f"outcome"
        )
    to_rr = _AS_RISK_RATIO[pooled.measure][bool(common_outcome)]
    estimate, low, high = (to_rr(float(pooled.scale.shown(x))) for x in (pooled.estimate, pooled.low, pooled.high))
    limit = 1.0 if low <= 1 <= high else low if low > 1 else high
    values = {"estimate": float(bias_bounds.e_value(estimate)), "limit": float(bias_bounds.e_value(limit))}
    level = wording.percent(pooled.method.level)
    sentence = (
        f"A confounder tied to both treatment and outcome by a risk ratio of {values['estimate']:.2f} could explain "
        f"the estimate "
        f"away, one of {values['limit']:.2f} could move the {level} CI to no effect; weaker ones could not."
    )
    table = pd.DataFrame(
        {"what": ["estimate", "limit"], "risk_ratio": [estimate, limit], "e_value": list(values.values())}
    )
    definition = "RR + sqrt(RR (RR - 1)), RR turned round if below 1"
    if pooled.measure in ("OR", "PETO", "HR"):
        how = "turned into an approximate risk ratio" if common_outcome else "taken as a risk ratio"
        definition += f"; the {pooled.scale.name} {how}"
    table_of = pooled.effects.table
    randomised = "randomised" in table_of and bool(
        table_of["randomised"].fillna(False).to_numpy(dtype=bool)[pooled.effects.present].any()
    )
    notes = (
        ("randomised trials are among these: for them confounding is a matter of chance, not of bias",)
        if randomised
        else ()
    )
    return BiasSensitivity("E-value", definition, values, table, (sentence,), pooled.k, pooled.effects, notes)
