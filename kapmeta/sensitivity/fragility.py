"""The fragility index of a trial or of a pooled result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects import counts
from kapmeta.core.exact import stratified
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.sensitivity import fragility
from kapmeta.effects.counts import Names, from_counts
from kapmeta.methods import PRIMARY, Method, model_phrase
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.results.pooled import Pooled
from kapmeta.results.tipping import Fragility
from kapmeta.sensitivity.missing_counts import number_missing
from kapmeta.sensitivity.missingness import COUNT_MEASURES, pooled_again

__all__ = ["fragility_index"]


@checking.checked
def fragility_index(
    trials: pd.DataFrame,
    *,
    method: str | Method = "inverse-variance",
    measure: str = "RR",
    model: str | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    level: float | None = None,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Fragility:
    """Count how many outcomes would have to change for the conclusion to change.

    One trial: by Fisher's exact test. Several: by the interval of the method named, greedily, so an
    upper bound. The index depends on the method as much as on the data, and grows with the trials;
    compare it with the number missing.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`; with `missing_t` and `missing_c`, or their total `missing`, the
        index is compared with those missing.
    method : {"inverse-variance", "mantel-haenszel"} or Method
        How several trials are pooled; a `Method` is one of inverse variance.
    measure : {"RR", "OR", "RD"}
        Effect measure.
    model, tau2, ci, level, mixed
        As in `kapmeta.pool`; only `level` and `mixed` with ``"mantel-haenszel"``.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Fragility
        The index, the steps that lead there, and the number missing.

    Raises
    ------
    ValueError
        As in `kapmeta.risk_ratio` and `kapmeta.pool`.

    References
    ----------
    .. [1] Walsh M, Srinathan SK, McAuley DF, et al. The statistical significance of randomized
       controlled trial results is frequently fragile: a case for a Fragility Index. J Clin
       Epidemiol 2014;67:622-628. https://doi.org/10.1016/j.jclinepi.2013.10.019
    .. [2] Atal I, Porcher R, Boutron I, Ravaud P. The statistical significance of meta-analyses is
       frequently fragile: definition of a fragility index for meta-analyses. J Clin Epidemiol
       2019;111:32-40. https://doi.org/10.1016/j.jclinepi.2019.03.012

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.fragility import fragility_index
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> fragility_index(trials)
    Fragility(4 of 55, Fisher's exact test)
    """
    given, pooling = (method, "inverse-variance") if isinstance(method, Method) else (None, method)
    checking.chosen(pooling, _FRAGILE, "method")
    checking.chosen(measure, COUNT_MEASURES, "measure")
    words = {"model": model, "tau2": tau2, "ci": ci, "level": level}
    base = _FRAGILE[pooling](trials, measure, {**words, "method": given}, mixed, names)
    there = base.effects.present
    table = base.effects.table[there]
    cells = tuple(
        table[name].to_numpy(dtype=np.float64) for name in ("events_t", "n_t", "events_c", "n_c")
    )
    if base.k == 1:
        steps = fragility.trial_fragility(*(int(x[0]) for x in cells), alpha=1 - base.method.level)
        name = "Fisher's exact test"
    else:
        again = _limits_function(cells, pooling, measure, base)
        steps = fragility.pooled_fragility(cells, again)  # type: ignore[arg-type]
        name = model_phrase(base.method)
    labels = [label for label, yes in zip(base.effects.labels, there, strict=True) if yes]
    return Fragility(
        steps,
        tuple(labels),
        base,
        name,
        float(cells[1].sum() + cells[3].sum()),
        number_missing(table),
    )


def _by_inverse_variance(
    trials: pd.DataFrame, measure: str, words: Mapping[str, Any], mixed: bool, names: Any
) -> Pooled:
    return pool(from_counts(trials, measure, **names), mixed=mixed, **words)


def _by_mantel_haenszel(
    trials: pd.DataFrame, measure: str, words: Mapping[str, Any], mixed: bool, names: Any
) -> Pooled:
    if any(words[name] is not None for name in ("model", "tau2", "ci")):
        raise ValueError('method="mantel-haenszel" has no model, tau2 or ci; leave them out')
    level = PRIMARY.level if words["level"] is None else words["level"]
    return mantel_haenszel(trials, measure=measure, level=level, mixed=mixed, **names)


_FRAGILE: Mapping[str, Callable[..., Pooled]] = {
    "inverse-variance": _by_inverse_variance,
    "mantel-haenszel": _by_mantel_haenszel,
}
"""How several trials are pooled, by name."""


def _limits_function(
    cells: tuple[FloatArray, ...], method: str, measure: str, base: Pooled
) -> Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]:
    """Return a function from candidate tables to the pooled estimate and limits."""
    half = float(normal_quantile((1 + base.method.level) / 2))

    def limits(a: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        if method == "mantel-haenszel":
            found = stratified.mantel_haenszel(a, cells[1], c, cells[3], measure=measure)
            return (
                found.estimate,
                found.estimate - half * found.se,
                found.estimate + half * found.se,
            )
        again = pooled_again(counts.KERNELS[measure](a, cells[1], c, cells[3]), base)
        return again.estimate, again.low, again.high

    return limits
