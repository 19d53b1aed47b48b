"""Analyses of fewer studies: one or two left out, studies added one by one, influence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.core.pooling.combining import Combined
from kapmeta.core.sensitivity import influence as diagnostics
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.pooled import Pooled, pooled_given
from kapmeta.results.shared.columns import empty_cells, order_of
from kapmeta.results.sweeps import Sweep, analyses_table, repeated
from kapmeta.wording import EVIDENCE_LEVELS

__all__ = ["baujat", "cumulative", "influence", "leave_one_out", "leave_two_out"]

STRONGEST_FIRST: Mapping[str, tuple[str, ...]] = {
    "evidence_level": tuple(EVIDENCE_LEVELS),
    "risk_of_bias": ("low", "some concerns", "unclear", "high", "serious"),
}
"""Columns whose words have an order of their own, the strongest evidence first."""

_EACH_LEFT_OUT = "with each study left out in turn"


@checking.checked
def leave_one_out(pooled: Pooled) -> Sweep:
    """Repeat the analysis with each study left out in turn.

    Shows whether the conclusion depends on one trial. With two studies each row is the other
    trial's own result.

    Parameters
    ----------
    pooled : Pooled
        Two or more studies, pooled by any method that can pool them again.

    Returns
    -------
    Sweep
        One row per study left out.

    Raises
    ------
    ValueError
        If fewer than two studies were pooled.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B", "C"], "events_t": [12, 9, 20],
    ...                        "n_t": [40, 35, 61], "events_c": [5, 6, 11], "n_c": [41, 33, 60]})
    >>> sweep = km.leave_one_out(km.pool(km.risk_ratio(trials)))
    >>> sweep.to_frame()[["analysis", "k", "estimate", "low", "high"]].round(2)
        analysis  k  estimate   low   high
    0  without A  2      1.66  0.41   6.73
    1  without B  2      1.98  0.30  13.00
    2  without C  2      1.85  0.05  62.11
    """
    labels, refit = refit_of(pooled, 2, "leave-one-out")
    masked = masks.leave_one_out(len(labels))
    found = refit(masked)
    table = _alone(
        pooled,
        analyses_table([f"without {label}" for label in labels], found, left_out=labels),
        masked,
    )
    notes = (
        () if len(labels) > 2 else ("with two studies each row is the other trial's own result",)
    )
    methods = repeated(pooled, len(table), _EACH_LEFT_OUT)
    return Sweep("leave-one-out", table, pooled.effects, pooled, notes, methods)


@checking.checked
def leave_two_out(pooled: Pooled) -> Sweep:
    """Repeat the analysis with each pair of studies left out.

    Two trials of one group, or two with the same flaw, may decide a result that leave-one-out
    finds stable.

    Parameters
    ----------
    pooled : Pooled
        As in `leave_one_out`, three or more studies.

    Returns
    -------
    Sweep
        One row per pair.

    Raises
    ------
    ValueError
        If fewer than three studies were pooled.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.deletion import leave_two_out
    >>> print(leave_two_out(km.pool(km.risk_ratio(km.load_example("bcg")))).summary())
    Leave-two-out, 78 analyses: RR 0.42 to 0.58. The interval excludes 1 in 78 of 78.
    """
    labels, refit = refit_of(pooled, 3, "leave-two-out")
    first, second = np.triu_indices(len(labels), 1)
    pairs = [(labels[i], labels[j]) for i, j in zip(first, second, strict=True)]
    masked = masks.leave_two_out(len(labels))
    names = [f"without {one} and {other}" for one, other in pairs]
    left_out = {
        "left_out": [one for one, _ in pairs],
        "left_out_too": [other for _, other in pairs],
    }
    table = _alone(pooled, analyses_table(names, refit(masked), **left_out), masked)
    methods = repeated(pooled, len(table), "with each pair of studies left out")
    return Sweep("leave-two-out", table, pooled.effects, pooled, (), methods)


@checking.checked
def cumulative(pooled: Pooled, *, by: str | Sequence[str] = "year") -> Sweep:
    """Repeat the analysis as studies are added one by one.

    By year it is the history of the evidence; by precision it shows whether the small trials moved
    the result; by evidence level, what the best-documented trials say before the others join. Not a
    sequential test: the intervals are not adjusted for having looked before.

    Parameters
    ----------
    pooled : Pooled
        As in `leave_one_out`.
    by : str or sequence of str
        ``"precision"`` (the most precise first), a column of the trials such as ``"year"`` or
        ``"evidence_level"`` (strongest first), or the labels of the studies in the order wanted.
        A column is in the order of its numbers (also where they are written as text), its dates,
        its categories or its words. Ties stay as given.

    Returns
    -------
    Sweep
        One row per study added.

    Raises
    ------
    ValueError
        If fewer than two studies were pooled, or the order cannot be read: the column is not there,
        a cell is empty, or numbers are mixed with words.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.deletion import cumulative
    >>> history = cumulative(km.pool(km.risk_ratio(km.load_example("bcg")), ci="wald"))
    >>> history.to_frame()[["joined", "k", "estimate", "low", "high"]].head(2).round(2)
                      joined  k  estimate   low  high
    0           Aronson 1948  1      0.41  0.13  1.26
    1  Ferguson & Simes 1949  2      0.27  0.13  0.53
    """
    labels, refit = refit_of(pooled, 2, "a cumulative analysis")
    order = _order(pooled, labels, by)
    joined = [labels[i] for i in order]
    masked = masks.cumulative(order)
    names = [joined[0], *(f"+ {label}" for label in joined[1:])]
    how = by if isinstance(by, str) else "the order given"
    table = _alone(pooled, analyses_table(names, refit(masked), joined=joined), masked)
    methods = repeated(pooled, len(table), f"as studies joined one by one, by {how}")
    methods += " The intervals are not adjusted for repeated looks."
    return Sweep(f"cumulative by {how}", table, pooled.effects, pooled, (), methods)


def _alone(pooled: Pooled, table: pd.DataFrame, masked: BoolArray) -> pd.DataFrame:
    """Replace rows of a single study by its own interval, where that is not Wald's."""
    if pooled.effects.interval == "wald" or pooled.method.model not in ("random", "common"):
        return table
    there = np.flatnonzero(pooled.effects.present)
    for row in np.flatnonzero(masked.sum(-1) == 1):
        own = pool(pooled.effects.select(there[masked[row]]), level=pooled.method.level)
        numbers = {
            "y": own.estimate,
            "se": own.se,
            "y_low": own.low,
            "y_high": own.high,
            "p_value": own.p_value,
        }
        table.loc[row, list(numbers)] = list(numbers.values())
    return table


def _order(pooled: Pooled, labels: list[str], by: str | Sequence[str]) -> IntArray:
    """Return the positions of the studies present in the order asked for."""
    if not isinstance(by, str):
        if not isinstance(by, Sequence | np.ndarray | pd.Series):
            raise TypeError(
                f"by must be a column of the trials or labels in order: got {type(by).__name__}"
            )
        given = [checking.name_of(label) for label in by]
        if sorted(given) != sorted(labels):
            raise ValueError(
                f"by must name every study pooled once: {', '.join(labels)}; got {', '.join(given)}"
            )
        return np.array([labels.index(label) for label in given])
    effects = pooled.effects
    there = effects.present
    if by == "precision":
        return np.argsort(tied_ranks(effects.v[there]), kind="stable")
    if by not in effects.table:
        raise ValueError(
            f'by="{by}" is no column of the trials; use "precision" or one of:'
            f" {', '.join(map(str, effects.table))}"
        )
    values = effects.table.loc[there, by].reset_index(drop=True)
    empty = np.flatnonzero(empty_cells(values))
    if empty.size:
        raise ValueError(
            f'by="{by}" is empty for "{labels[empty[0]]}"; fill it in, or give the labels in the'
            " order wanted"
        )
    words = STRONGEST_FIRST.get(by)
    if words is None:
        return order_of(values, by, tuple(labels))
    known = [checking.same_word(word, words) for word in values]
    checking.refuse_first(
        np.array([word is None for word in known], dtype=bool),
        tuple(labels),
        f"{by} is not known",
        lambda i: f'{by} = "{values[i]}"; use one of: {", ".join(words)}',
    )
    return np.argsort([words.index(str(word)) for word in known], kind="stable")


@checking.checked
def influence(pooled: Pooled) -> Sweep:
    """Compute deletion diagnostics: what each study does to the result.

    For display. A residual beyond about 2, or a covariance ratio below 1, is a reason to read that
    trial again, not to leave it out; with fewer than five studies no threshold means anything.

    Parameters
    ----------
    pooled : Pooled
        As in `leave_one_out`, three or more studies.

    Returns
    -------
    Sweep
        `leave_one_out` with the columns ``rstudent, dffits, cook, covariance_ratio, hat, dfbetas``
        of `kapmeta.core.sensitivity.influence.DeletionDiagnostics`; `tau2` and `q` are those
        without the study; `beyond` names the diagnostics that lie beyond their cut-off, see
        `kapmeta.core.sensitivity.influence.CUT_OFFS`.

    Raises
    ------
    ValueError
        If fewer than three studies were pooled.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MWL. Outlier and influence diagnostics for meta-analysis. Res Synth
       Methods 2010;1:112-125. https://doi.org/10.1002/jrsm.11

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.deletion import influence
    >>> main = km.pool(km.risk_ratio(km.load_example("bcg")), ci="wald")
    >>> influence(main).to_frame()[["left_out", "rstudent", "cook", "hat"]].tail(1).round(3)
                   left_out  rstudent   cook    hat
    12  Comstock et al 1976     1.188  0.123  0.084
    """
    sweep, y, v, whole, without = _deleted(pooled, 3, "influence diagnostics")
    shares = pooled.weights[pooled.effects.present]
    weighted = pooled.method.model in ("random", "common")
    found = diagnostics.deletion_diagnostics(y, v, whole, without, shares, weighted=weighted)
    far = {name: diagnostics.beyond(name, values) for name, values in found._asdict().items()}
    named = [", ".join(name for name, flags in far.items() if flags[i]) for i in range(y.size)]
    table = sweep.table.assign(**found._asdict(), beyond=named)
    notes: tuple[str, ...] = ()
    if pooled.k < diagnostics.FEWEST_FLAGGED:
        notes = (f"with {pooled.k} studies these are for display; no threshold applies",)
    notes += _corrected_rows(pooled)
    methods = _influence_methods(pooled, len(table))
    return Sweep("influence", table, pooled.effects, pooled, notes, methods, ("influence",))


def _influence_methods(pooled: Pooled, k: int) -> str:
    """Name the diagnostics and the cut-offs by which they were marked."""
    marked = "With so few studies no cut-off was applied."
    if k >= diagnostics.FEWEST_FLAGGED:
        cuts = [f"{name} {wording.number(cut.at(k))}" for name, cut in diagnostics.CUT_OFFS.items()]
        marked = (
            f"Cut-offs, of absolute values, were those of the R package metafor: {', '.join(cuts)}."
        )
    return (
        f"{repeated(pooled, k, _EACH_LEFT_OUT)} Of each study we give the externally standardised"
        " residual, DFFITS, Cook's distance, covariance ratio, DFBETAS, its share of the pooled"
        f" effect, and between-study variance and Q without it. {marked}"
    )


@checking.checked
def baujat(pooled: Pooled) -> Sweep:
    """Set each study's contribution to heterogeneity against its influence on the result.

    A trial far to the right disagrees with the others; far up, it decides the result.

    Parameters
    ----------
    pooled : Pooled
        As in `leave_one_out`.

    Returns
    -------
    Sweep
        `leave_one_out` with the columns `contribution` (to Q) and `influence` (squared move of the
        pooled effect in units of its variance without the study).

    Raises
    ------
    ValueError
        If fewer than two studies were pooled.

    References
    ----------
    .. [1] Baujat B, Mahé C, Pignon JP, Hill C. A graphical method for exploring heterogeneity in
       meta-analyses: application to a meta-analysis of 65 trials. Stat Med 2002;21:2641-2652.
       https://doi.org/10.1002/sim.1221

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.deletion import baujat
    >>> main = km.pool(km.risk_ratio(km.load_example("bcg")), model="common")
    >>> baujat(main).to_frame()[["left_out", "contribution", "influence"]].head(1).round(4)
        left_out  contribution  influence
    0  Aronson 1948        0.6472     0.0033
    """
    sweep, y, v, whole, without = _deleted(pooled, 2, "Baujat's plot")
    contribution, moved = diagnostics.baujat_coordinates(y, v, whole, without)
    table = sweep.table.assign(contribution=contribution, influence=moved)
    methods = (
        f"{repeated(pooled, len(table), _EACH_LEFT_OUT)} Each study's contribution to Q was set"
        " against its squared influence on the pooled effect."
    )
    notes = _corrected_rows(pooled)
    return Sweep("Baujat", table, pooled.effects, pooled, notes, methods, ("Baujat",))


def _deleted(
    pooled: Pooled, fewest: int, what: str
) -> tuple[Sweep, FloatArray, FloatArray, Combined, Combined]:
    """Return leave-one-out as a sweep, the effects pooled, and both analyses as arrays."""
    labels, refit = refit_of(pooled, fewest, what)
    there = pooled.effects.present
    whole, without = (
        refit(np.ones(len(labels), dtype=bool)),
        refit(masks.leave_one_out(len(labels))),
    )
    table = analyses_table([f"without {label}" for label in labels], without, left_out=labels)
    sweep = Sweep("leave-one-out", table, pooled.effects, pooled)
    return sweep, pooled.effects.y[there], pooled.effects.v[there], whole, without


def _corrected_rows(pooled: Pooled) -> tuple[str, ...]:
    effects = pooled.effects
    if pooled.method.model in ("random", "common") or not effects.corrected[effects.present].any():
        return ()
    note = "residuals use the trials' corrected effects; the pooled effect has no correction"
    return (note,)


def refit_of(
    pooled: Pooled, fewest: int, what: str
) -> tuple[list[str], Callable[[BoolArray], Combined]]:
    """Return the labels of the studies pooled and the function that pools subsets of them."""
    effects = pooled_given(pooled).effects
    labels = [label for label, yes in zip(effects.labels, effects.present, strict=True) if yes]
    if len(labels) < fewest:
        words = {2: "two", 3: "three"}
        left = "with one there is nothing left" if fewest == 2 else f"{len(labels)} were pooled"
        raise ValueError(f"{what} needs {words[fewest]} studies or more: {left}")
    if pooled.refit is None:
        raise ValueError(
            f"{what} needs a method that can pool subsets; {pooled.method.model} offers none"
        )
    return labels, pooled.refit
