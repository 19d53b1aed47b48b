"""Designs with more than two arms: the contrasts they permit, and how often a patient may count.

A trial is declared once, arm by arm and factor by factor (drug, dose, therapy, sessions). The contrasts
follow from the declaration: two arms that differ in one factor answer the question of that factor; arms that
differ in more answer the question of the package, which is another one. Two contrasts that share an arm share
its patients: they may enter one analysis only with the covariance this brings, or with their arms combined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta import effects as effect_functions
from kapmeta.core import dependence, multivariate, stratified
from kapmeta.core.arrays import FloatArray
from kapmeta.core.dependence import SHARED_CONTROL, Control
from kapmeta.core.distributions import normal_quantile, t_two_sided
from kapmeta.results import Effects

__all__ = [
    "DoseTrend",
    "Factorial",
    "combine_arms",
    "contrasts",
    "dose_trend",
    "factorial",
    "refuse_double_counting",
    "sampling_covariance",
]

_COUNTS = ("events_t", "n_t", "events_c", "n_c")
_NESTED: Mapping[str, str] = {"dose": "drug", "sessions": "drug"}


def contrasts(
    arms: pd.DataFrame,
    *,
    factors: Sequence[str] = ("drug", "dose", "therapy"),
    reference: Mapping[str, Any] | None = None,
    within: Mapping[str, str] = _NESTED,
    study: str = "study",
    arm: str = "arm",
) -> pd.DataFrame:
    """The contrasts that the arms of each trial permit, and the question each of them answers.

    Parameters
    ----------
    arms : DataFrame
        One row an arm: trial, arm, and the level of every factor.
    factors : sequence of str
        Columns in which arms can differ.
    reference : mapping of str to value, optional
        Level of each factor that marks the control side; of numbers the smaller is.
    within : mapping of str to str
        Factors that have a meaning only within another: a dose is that of its drug, so that arms with
        different drugs are not told apart by their doses as well.
    study, arm : str
        Columns of trial and arm.

    Returns
    -------
    DataFrame
        One row a contrast: `study`, `treatment_arm`, `control_arm`; `question`, the factor in which the arms
        differ, or the factors joined by ``+`` for a package; `package`; `held`, what is the same in both
        arms; `shares_arms_with`, the other rows of this trial that use one of its arms. Pool within one
        `question` only.

    Raises
    ------
    ValueError
        If an arm is declared twice or lacks the level of a factor, or no two arms of a trial differ.

    Examples
    --------
    >>> arms = pd.DataFrame({"study": ["KARE"] * 4, "arm": ["K+T", "K+E", "P+T", "P+E"],
    ...                      "drug": ["ketamine", "ketamine", "placebo", "placebo"],
    ...                      "therapy": ["therapy", "education", "therapy", "education"]})
    >>> control = {"drug": "placebo", "therapy": "education"}
    >>> found = contrasts(arms, factors=["drug", "therapy"], reference=control)
    >>> found[["treatment_arm", "control_arm", "question"]].head(4)
      treatment_arm control_arm      question
    0           K+T         K+E       therapy
    1           K+T         P+T          drug
    2           K+T         P+E  drug+therapy
    3           K+E         P+T  drug+therapy
    """
    frame = checking.columns_of(arms, {"study": study, "arm": arm, **{name: name for name in factors}}, "arms")
    _refuse_arms(frame, factors)
    rows = [
        _contrast(first, second, factors, reference or {}, within)
        for _, trial in frame.groupby("study", sort=False)
        for first, second in combinations(trial.to_dict("records"), 2)
    ]
    table = pd.DataFrame([row for row in rows if row is not None])
    if table.empty:
        raise ValueError("arms permits no contrast: no trial has two arms that differ in a factor")
    table["shares_arms_with"] = _sharing(table)
    return table


def _refuse_arms(frame: pd.DataFrame, factors: Sequence[str]) -> None:
    labels = tuple(f"{s}, {a}" for s, a in zip(frame["study"], frame["arm"], strict=True))
    for name in factors:
        checking.refuse_first(
            frame[name].isna().to_numpy(dtype=bool), labels, lambda i, name=name: f"{name} is missing",  # type: ignore[misc]
            lambda i: "declare every factor of every arm; write none where it was not given",
        )  # fmt: skip
    checking.refuse_first(
        frame.duplicated(["study", "arm"]).to_numpy(), labels, lambda i: "an arm is declared twice",
        lambda i: "every arm of a trial is one row",
    )  # fmt: skip


def _contrast(
    first: dict[Any, Any], second: dict[Any, Any], factors: Sequence[str], reference: Mapping[str, Any],
    within: Mapping[str, str],
) -> dict[str, Any] | None:  # fmt: skip
    """The contrast of two arms with its direction, or None where no factor tells them apart."""
    differ = [name for name in factors if first[name] != second[name]]
    differ = [name for name in differ if within.get(name) not in differ]
    if not differ:
        return None
    treatment, control = (second, first) if _is_control(first, second, differ, reference) else (first, second)
    held = "; ".join(f"{name} {first[name]}" for name in factors if first[name] == second[name])
    return {
        "study": first["study"], "treatment_arm": treatment["arm"], "control_arm": control["arm"],
        "question": "+".join(differ), "package": len(differ) > 1, "held": held,
    }  # fmt: skip


def _is_control(first: dict[Any, Any], second: dict[Any, Any], differ: list[str], reference: Mapping[str, Any]) -> bool:
    """Whether the first of two arms is the control: by the first factor that says so."""
    for name in differ:
        a, b = first[name], second[name]
        if name in reference and reference[name] in (a, b):
            return bool(a == reference[name])
        if isinstance(a, int | float) and isinstance(b, int | float):
            return bool(a < b)
    return False


def _sharing(table: pd.DataFrame) -> list[tuple[int, ...]]:
    used = [{(row.study, row.treatment_arm), (row.study, row.control_arm)} for row in table.itertuples()]
    return [tuple(j for j, other in enumerate(used) if j != i and own & other) for i, own in enumerate(used)]


def refuse_double_counting(
    comparisons: pd.DataFrame, *, study: str = "study", treatment: str = "treatment", control: str = "control"
) -> None:
    """Refuse comparisons of one analysis in which an arm, and so its patients, would count more than once.

    Time points of the same two arms are the same patients. It goes by the names of the arms: a control that is
    named differently in two rows is not recognised as one.

    Parameters
    ----------
    comparisons : DataFrame
        The rows about to be analysed together.
    study, treatment, control : str
        Columns of the trial and of its two arms.

    Returns
    -------
    None
        If every arm counts once.

    Raises
    ------
    ValueError
        Naming the arm and the rows, with the ways out.

    Examples
    --------
    Two time points of one trial (Dakwar 2019):

    >>> import kapmeta as km
    >>> km.refuse_double_counting(km.load_evidence().trials("cocaine"))
    Traceback (most recent call last):
    ...
    ValueError: arm "ketamine" of "dakwar2019" would count twice, in rows 1 and 2; combine the other arms ...
    """
    columns = {"study": study, "treatment": treatment, "control": control}
    frame = checking.columns_of(comparisons, columns, "comparisons")
    seen: dict[tuple[Any, Any], int] = {}
    for row, (trial, *pair) in enumerate(zip(*(frame[name] for name in columns), strict=True)):
        for arm in pair:
            if (trial, arm) in seen:
                raise ValueError(
                    f'arm "{arm}" of "{trial}" would count twice, in rows {seen[trial, arm] + 1} and '
                    f"{row + 1}; combine the "
                    "other arms (combine_arms), give the covariance (sampling_covariance), or keep one of "
                    "the rows"
                )
        seen.update({(trial, arm): row for arm in pair})


def combine_arms(
    trials: pd.DataFrame, *, study: str = "study", control: str = "control", treatment: str = "treatment"
) -> pd.DataFrame:
    """Treated arms that a trial compared with one control, combined into one: the control then counts once.

    For the question whether any of the treatments works, not for which of them does: the sum answers neither
    where they differ. Events and totals of the treated arms are summed; the control must be the same in all
    rows of the trial.

    Parameters
    ----------
    trials : DataFrame
        Rows with the four counts; those of a trial share their control.
    study, control, treatment : str
        Columns of the trial and of its two arms.

    Returns
    -------
    DataFrame
        One row a trial and control, `treatment` naming the arms joined by ``+``; every other column is that of
        the first row.

    Raises
    ------
    ValueError
        If a control has different counts in its rows, or a treated arm comes twice.

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["A", "A"], "treatment": ["high", "low"], "control": ["placebo"] * 2,
    ...                      "events_t": [10, 8], "n_t": [24, 24], "events_c": [4, 4], "n_c": [25, 25]})
    >>> combine_arms(rows)[["treatment", "events_t", "n_t", "events_c", "n_c"]]
        treatment  events_t  n_t  events_c  n_c
    0  high + low        18   48         4   25
    """
    columns = {"study": study, "control": control, "treatment": treatment, **{name: name for name in _COUNTS}}
    frame = checking.columns_of(trials, columns)
    rows = []
    for (name, arm), part in frame.groupby(["study", "control"], sort=False):
        if part[["events_c", "n_c"]].drop_duplicates().shape[0] > 1:
            raise ValueError(f'the control "{arm}" of "{name}" has different counts in its rows; it must be one group')
        if part["treatment"].duplicated().any():
            raise ValueError(f'"{name}" compares the same arm twice with "{arm}"; keep one time point or outcome')
        sums = {"events_t": part["events_t"].sum(), "n_t": part["n_t"].sum()}
        first: dict[Any, Any] = part.iloc[0].to_dict()
        rows.append(first | sums | {"treatment": " + ".join(map(str, part["treatment"]))})
    return pd.DataFrame(rows).reset_index(drop=True)


class Factorial(NamedTuple):
    """One factor of a factorial trial, its effect within the levels of the other; log scale for ratios.

    Attributes
    ----------
    strata : Effects
        The effect within each level of the other factor; their patients are different ones.
    combined, combined_v : float
        Both levels as one, which enters a meta-analysis once: Mantel-Haenszel.
    inverse_variance, inverse_variance_v : float
        The same by inverse variance.
    margins, margins_v : float
        Collapsed over the other factor; the same question only without interaction.
    interaction, interaction_se, interaction_p : float
        Difference of the strata, its standard error and test. Its power is small: four times the patients are
        needed.
    """

    strata: Effects
    combined: float
    combined_v: float
    inverse_variance: float
    inverse_variance_v: float
    margins: float
    margins_v: float
    interaction: float
    interaction_se: float
    interaction_p: float


def factorial(trials: pd.DataFrame, *, measure: str = "RR", zero: str = "half-if-any") -> Factorial:
    """Effect of one factor of a 2 x 2 factorial trial: within each level of the other, and as one.

    The two strata share no patients. "Both treatments against neither" is another question and shares
    patients with both strata: it is not in this table. Where one treatment is thought to change what the other
    does, report the strata, not one effect; the test of the interaction is too weak to decide it.

    Parameters
    ----------
    trials : DataFrame
        Two rows of one trial: the same factor compared within the two levels of the other, with `treatment`
        and `control` naming the arms.
    measure : {"RR", "OR", "RD"}
        Effect measure.
    zero : str
        Zero-cell rule of the strata, as for `kapmeta.risk_ratio`; Mantel-Haenszel needs none.

    Returns
    -------
    Factorial
        The two strata, the factor's effect combined over them in three ways, and the interaction.

    Raises
    ------
    ValueError
        If the rows are not two of one trial, share an arm, or a stratum carries no estimate.

    Examples
    --------
    Made-up counts; K ketamine, P placebo, T therapy, E education:

    >>> rows = pd.DataFrame({"study": ["A"] * 2, "comparison_id": [1, 2], "treatment": ["K+T", "K+E"],
    ...                      "control": ["P+T", "P+E"], "events_t": [14, 11], "n_t": [24, 24],
    ...                      "events_c": [9, 7], "n_c": [23, 25]})
    >>> found = factorial(rows)
    >>> round(found.combined, 6), round(found.interaction, 4), round(found.interaction_se, 4)
    (0.440313, -0.0935, 0.4995)
    """
    checking.chosen(measure, _FROM_COUNTS, "measure")
    frame = checking.columns_of(trials, {name: name for name in ("study", "treatment", "control", *_COUNTS)})
    if len(frame) != 2 or frame["study"].nunique() != 1:
        raise ValueError(f"factorial takes the two strata of one trial as two rows: got {len(frame)} rows")
    refuse_double_counting(frame)
    strata = _FROM_COUNTS[measure](frame, zero=zero)
    if strata.k < 2:
        raise ValueError(f"a stratum carries no estimate ({'; '.join(strata.excluded.values())}); use the margins")
    cells = frame[list(_COUNTS)].to_numpy(dtype=np.float64).T
    mh = stratified.mantel_haenszel(*cells, measure=measure)
    margins = _FROM_COUNTS[measure](_collapsed(frame), zero=zero)
    mean, variance = dependence.generalised_mean(strata.y, np.diag(strata.v))
    difference, se = float(strata.y[0] - strata.y[1]), float(np.sqrt(strata.v.sum()))
    return Factorial(
        strata, float(mh.estimate), float(mh.se) ** 2, mean, variance, float(margins.y[0]),
        float(margins.v[0]), difference, se, float(t_two_sided(difference / se, np.inf)),
    )  # fmt: skip


_FROM_COUNTS = {
    "RR": effect_functions.risk_ratio,
    "OR": effect_functions.odds_ratio,
    "RD": effect_functions.risk_difference,
}


def _collapsed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[:1][["study"]].assign(**{name: frame[name].sum() for name in _COUNTS})


def sampling_covariance(
    effects: Effects, *, rho: float | None = None, months: str = "months", treatment: str = "treatment",
    control: str = "control",
) -> FloatArray:  # fmt: skip
    """Sampling covariance of effects of which some share patients, from the rows they were computed from.

    Within a trial, two arms compared with one control at one time have the covariance that the control
    brings; the same two arms at two times of continuous abstinence have that of nested counts. Whatever else
    shares patients has correlation `rho`, or is refused without it. Effects of different trials, or of one
    trial without a common arm, are independent.

    Not for point prevalence whose counts happen to fall: risk ratios of falling counts are taken for continuous
    abstinence, which counts alone cannot tell, whatever `rho` is. Give `rho` to `kapmeta.multilevel` there.

    Parameters
    ----------
    effects : Effects
        From counts; the columns named next must be among the trials they were computed from.
    rho : float, optional
        Correlation of effects that share patients in another way (point prevalence, several outcomes).
    months, treatment, control : str
        Columns of the time and the two arms.

    Returns
    -------
    ndarray, shape (n, n)
        For `kapmeta.multilevel`, `kapmeta.aggregate` and `kapmeta.multivariate`; infinite variances of absent
        effects are kept on the diagonal.

    Raises
    ------
    ValueError
        If two effects share patients in a way that the counts do not settle and `rho` is not given, or share a
        control whose counts give no covariance.

    References
    ----------
    .. [1] Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: Cooper H, Hedges LV, Valentine JC,
       editors. The handbook of research synthesis and meta-analysis. 2nd ed. New York: Russell Sage
       Foundation; 2009. p. 357-376.

    Examples
    --------
    Ketamine and naltrexone, each against linkage alone (readmission, Terasaki 2022):

    >>> import kapmeta as km
    >>> shared = km.load_evidence().against("terasaki2022", "la", event="readmission")
    >>> km.sampling_covariance(km.risk_ratio(shared)).round(3)
    array([[0.507, 0.084],
           [0.084, 0.346]])
    """
    names = {"study": "study", "treatment": treatment, "control": control}
    frame = checking.columns_of(effects.table, names, "effects.table")
    time = frame[months] if months in frame else pd.Series(0.0, index=frame.index)
    covariance = np.diag(effects.v)
    for i, j in combinations(np.flatnonzero(effects.present), 2):
        first, second = frame.iloc[i], frame.iloc[j]
        arms = [{row["treatment"], row["control"]} for row in (first, second)]
        if first["study"] != second["study"] or not arms[0] & arms[1]:
            continue
        same_time = time.iloc[i] == time.iloc[j]
        shared = _covariance(effects, frame, int(i), int(j), bool(same_time), time.iloc[i] < time.iloc[j], rho)
        covariance[i, j] = covariance[j, i] = shared
    return covariance


def _covariance(
    effects: Effects, frame: pd.DataFrame, i: int, j: int, same_time: bool, i_first: bool, rho: float | None
) -> float:
    """Covariance of two effects of one trial that share an arm."""
    first, second = frame.iloc[i], frame.iloc[j]
    pair = f'"{effects.labels[i]}" and "{effects.labels[j]}"'
    if same_time and first["control"] == second["control"] and effects.measure in SHARED_CONTROL:
        value = _through_control(effects.measure, first)
        if math.isnan(value):
            raise ValueError(
                f"{pair} share a control arm whose counts give no covariance of a {effects.scale.name} (no "
                f"events, or nothing but events); combine the active arms with combine_arms"
            )
        return value
    same_arms = (first["treatment"], first["control"]) == (second["treatment"], second["control"])
    if not same_time and same_arms and effects.measure == "RR" and _are_nested(first, second, i_first):
        return float(effects.v[i] if i_first else effects.v[j])
    if rho is None:
        raise ValueError(
            f"{pair} share patients in a way that the counts do not settle (rising counts are point "
            f"prevalence, not continuous abstinence); give rho, their correlation, and vary it"
        )
    return float(rho * np.sqrt(effects.v[i] * effects.v[j]))


def _through_control(measure: str, row: pd.Series) -> float:
    if not {"events_c", "n_c"} <= set(row.index):
        return math.nan
    return dependence.shared_control(measure, Control(events=float(row["events_c"]), n=float(row["n_c"])))


def _are_nested(first: pd.Series, second: pd.Series, i_first: bool) -> bool:
    """Whether the counts can be of continuous abstinence: the same patients, never more abstinent later."""
    if not set(_COUNTS) <= set(first.index):
        return False
    early, late = (first, second) if i_first else (second, first)
    same = all(early[name] == late[name] for name in ("n_t", "n_c"))
    return bool(same and all(early[name] >= late[name] for name in ("events_t", "events_c")))


class DoseTrend(NamedTuple):
    """Change of the effect per unit of dose, log scale for ratios.

    `slope`, `se`, `low`, `high`, `p_value`: generalised least squares through no effect at no difference of
    dose; `tau2`: variance of the slope between trials, nan where one slope was assumed; `doses`: number of
    different doses; `k`: contrasts.
    """

    slope: float
    se: float
    low: float
    high: float
    p_value: float
    tau2: float
    doses: int
    k: int


def dose_trend(
    effects: Effects, *, dose_t: str = "dose_t", dose_c: str = "dose_c", covariance: FloatArray | None = None,
    random_slope: bool = False, level: float = 0.95,
) -> DoseTrend:  # fmt: skip
    """Linear trend of the effect with dose, in one stage over all contrasts of doses.

    Not for two doses, which are one comparison, and no test that the course is a straight line: that is
    assumed. With few trials one slope for all is assumed, and that is what the interval says. A comparison of a high
    with a low dose is not one with placebo: the low dose counts with its own dose, never as nothing.

    Parameters
    ----------
    effects : Effects
        Contrasts of doses.
    dose_t, dose_c : str
        Columns of the doses of the two arms.
    covariance : ndarray, shape (n, n), optional
        Sampling covariance from `sampling_covariance`; needed where a trial has several contrasts.
    random_slope : bool
        Whether slopes vary between trials (restricted maximum likelihood).
    level : float
        Confidence level, a proportion.

    Returns
    -------
    DoseTrend
        Slope per unit of dose with its interval and test.

    Raises
    ------
    ValueError
        With fewer than three different doses, or where a trial has several contrasts and no covariance is given.

    References
    ----------
    .. [1] Greenland S, Longnecker MP. Methods for trend estimation from summarized dose-response data, with
       applications to meta-analysis. Am J Epidemiol 1992;135:1301-1309.
       https://doi.org/10.1093/oxfordjournals.aje.a116237

    Examples
    --------
    Two made-up trials of doses in mg/kg, three levels in all:

    >>> import pandas as pd
    >>> import kapmeta as km
    >>> rows = pd.DataFrame({"study": ["A", "B"], "events_t": [14, 12], "n_t": [30, 30], "events_c": [8, 9],
    ...                      "n_c": [30, 31], "dose_t": [2.0, 1.0], "dose_c": [0.2, 0.2]})
    >>> round(km.dose_trend(km.risk_ratio(rows)).slope, 3)
    0.326
    """
    positions = np.flatnonzero(effects.present)
    frame = checking.columns_of(effects.table, {"study": "study", "dose_t": dose_t, "dose_c": dose_c}, "effects.table")
    high, low = (checking.numbers(frame, name, effects.labels)[positions] for name in ("dose_t", "dose_c"))
    study = pd.factorize(frame["study"].iloc[positions])[0]
    doses = np.unique(np.concatenate([high, low])).size
    if doses < 3:
        raise ValueError(f"a trend with dose needs three different doses or more: got {doses}; compare the two instead")
    if covariance is None and np.bincount(study).max() > 1:
        raise ValueError(
            "a trial has several contrasts that share patients: give covariance=sampling_covariance(effects)"
        )
    v = np.diag(effects.v[positions]) if covariance is None else covariance[np.ix_(positions, positions)]
    x, y, tau2 = (high - low)[:, None], effects.y[positions], math.nan
    if random_slope:
        shared = (study[:, None] == study) * np.outer(x, x)
        terms = multivariate.levels([study])._replace(shared=shared[None] / np.mean(x**2))
        found = multivariate.fit(y, v, x, terms)
        tau2, v = float(found.c[0] / np.mean(x**2)), found.total
    weight = np.linalg.solve(v, x)
    variance = 1 / float((x.T @ weight)[0, 0])
    slope, se = variance * float((weight.T @ y)[0]), math.sqrt(variance)
    half = float(normal_quantile((1 + checking.proportion(level, "level")) / 2)) * se
    p = float(t_two_sided(slope / se, np.inf))
    return DoseTrend(slope, se, slope - half, slope + half, p, tau2, doses, positions.size)
