"""What a trial known to exist and not yet read would have to show to change a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.bayes import posterior
from kapmeta.core.bayes.priors import TauPrior, half_normal
from kapmeta.core.effects import counts
from kapmeta.core.exact import stratified
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.numerics.distributions import normal_quantile
from kapmeta.core.pooling.combining import combine
from kapmeta.measures import side_of
from kapmeta.methods import method_phrase
from kapmeta.pooling.bayes import pool_bayes
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.exact_models import EXACT_MODELS
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior, Result
from kapmeta.results.scenarios.unread_trials import UnreadTrial

__all__ = ["unread_trial"]

TABLES: Mapping[str, Callable[..., counts.Estimates]] = {
    "RR": counts.risk_ratio,
    "OR": counts.odds_ratio,
    "RD": counts.risk_difference,
    "AS": counts.arcsine_difference,
    "PETO": counts.peto_odds_ratio,
}
"""Effects of tables by measure."""

CELLS = ("events_t", "n_t", "events_c", "n_c")
ONE_TRIAL_SCALE = 0.5  # half-normal scale of tau where the unread trial is the second
MOST_FINDINGS = 1001  # numbers of events tried; evenly spread in a larger arm
EFFECTS_TRIED = 401  # of a trial given by its standard error
SPREAD = 4.0  # standard errors beyond the effects pooled, on either side

Limits = tuple[FloatArray, FloatArray, FloatArray]


class Findings(NamedTuple):
    """What the trial could have found: tables, and effects with their variances.

    `shown` are the effects without continuity correction where there are such.
    """

    tables: dict[str, FloatArray] | None
    y: FloatArray
    v: FloatArray
    shown: FloatArray


@checking.checked
def unread_trial(
    result: Result,
    *,
    n_t: int | None = None,
    n_c: int | None = None,
    control_risk: float | None = None,
    se: float | None = None,
    study: str = "the unread trial",
) -> UnreadTrial:
    """Find what a trial that exists and was not read would have to show to change a result.

    The trial is added with every number of events that its treated arm could have, and the result
    is pooled again by its own method. Use it for trials that are known to have measured the
    outcome. It does not say how likely each finding is.

    Parameters
    ----------
    result : Pooled or Posterior
        From `kapmeta.pool`, `kapmeta.mantel_haenszel`, `kapmeta.peto`, `kapmeta.pool_exact` or
        `kapmeta.pool_bayes`. One trial is joined by the unread one in `kapmeta.pool_bayes` with a
        half-normal(0.5) prior of tau.
    n_t, n_c : int, optional
        Numbers in the arms of the unread trial; needed for measures of counts.
    control_risk : float, optional
        Risk of the event in its control arm; by default that of all controls of the result. The
        events there are the nearest whole number.
    se : float, optional
        Standard error of the unread trial on the analysis scale, in place of its arms.
    study : str
        What the trial is called in the sentences.

    Returns
    -------
    UnreadTrial
        The curve over the trial's findings, and where the conclusion turns.

    Raises
    ------
    ValueError
        If neither the arms nor a standard error are given, or both; if the measure has no value
        of no effect; if the control risk is not known; or if the method needs counts and there
        are none.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [40, 31], "n_t": [60, 45],
    ...                        "events_c": [22, 15], "n_c": [60, 45]})
    >>> found = unread_trial(km.pool_exact(trials), n_t=39, n_c=19, study="C")
    >>> found.ranges().round(2)
       verdict   low  high  events_low  events_high
    0        0  0.03  0.77         0.0         11.0
    1        1  0.84  2.71        12.0         39.0
    """
    _refuse(result, n_t, n_c, se)
    if se is None:
        events_c = _control_events(result, int(n_c or 0), control_risk)
        findings = _counted_with_unread(result, int(n_t or 0), events_c, int(n_c or 0))
    else:
        findings = _spread(result, float(se))
    low, high, estimate = _pooled_with(result, findings)
    verdict = np.where(np.isnan(low + high), np.nan, side_of(low, high))
    cells = findings.tables or {name: np.full(findings.y.size, np.nan) for name in CELLS}
    curve = pd.DataFrame(
        {
            "events_t": cells["events_t"],
            "events_c": cells["events_c"],
            "trial_y": findings.shown,
            "y": estimate,
            "y_low": low,
            "y_high": high,
            "verdict": verdict,
        }
    )
    sizes = (np.nan, np.nan) if se is not None else (float(n_t or 0), float(n_c or 0))
    return UnreadTrial(curve, result, study, *sizes, _how(result))


def _refuse(result: Result, n_t: int | None, n_c: int | None, se: float | None) -> None:
    """Refuse what is no result, and a trial of which too little or too much is given."""
    if not isinstance(result, Pooled | Posterior):
        raise TypeError(
            "result must come from pool, mantel_haenszel, peto, pool_exact or pool_bayes: got"
            f" {type(result).__name__}"
        )
    if result.scale.null is None:
        raise ValueError(f"a {result.scale.name} has no value of no effect to turn about")
    if se is not None:
        if n_t is not None or n_c is not None:
            raise ValueError("give the arms n_t and n_c or the standard error se, not both")
        if not 0 < se < np.inf:
            raise ValueError(f"se must be above 0 and finite: got {se}")
        if _refit_by_counts(result):
            raise ValueError("this result was pooled from counts: give n_t and n_c, not se")
        return
    if result.measure not in TABLES:
        raise ValueError(
            f"a {result.scale.name} is not made of counts: give the standard error of the unread"
            " trial, se"
        )
    for name, size in (("n_t", n_t), ("n_c", n_c)):
        whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if size is None or not whole or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1: got {size!r}")


def _refit_by_counts(result: Result) -> bool:
    """Check whether the result was pooled from the tables and not from effects."""
    if isinstance(result, Posterior):
        return result.likelihood == "binomial"
    return result.method.model not in ("random", "common", "single")


def _cells(result: Result) -> dict[str, FloatArray] | None:
    """Return the tables of the trials that take part, or None if some have no counts."""
    table, there = result.effects.table, result.effects.present
    if not set(CELLS) <= set(table.columns):
        return None
    cells = {name: table[name].to_numpy(dtype=np.float64)[there] for name in CELLS}
    return cells if all(np.isfinite(cell).all() for cell in cells.values()) else None


def _control_events(result: Result, n_c: int, control_risk: float | None) -> int:
    """Return the events among the controls of the unread trial, a whole number."""
    if control_risk is None:
        cells = _cells(result)
        if cells is None:
            raise ValueError(
                "the trials pooled have no counts of their controls: give control_risk, the risk"
                " in the control arm of the unread trial"
            )
        control_risk = float(cells["events_c"].sum() / cells["n_c"].sum())
    elif not 0 <= control_risk <= 1:
        raise ValueError(f"control_risk is a proportion from 0 to 1: got {control_risk}")
    return round(n_c * control_risk)


def _counted_with_unread(result: Result, n_t: int, events_c: int, n_c: int) -> Findings:
    """List the tables with every number of events under treatment, and their effects."""
    events_t = np.unique(np.linspace(0, n_t, min(n_t + 1, MOST_FINDINGS)).round())
    sizes = (np.full(events_t.size, float(x)) for x in (n_t, events_c, n_c))
    tables = dict(zip(CELLS, (events_t, *sizes), strict=True))
    zero = {"zero": result.effects.zero or "half-if-any"}
    asked = zero if result.measure in ("RR", "OR", "RD") else {}
    # studies are the last axis: each table is a row of its own
    columns = [cell[:, None] for cell in tables.values()]
    found = TABLES[result.measure](*columns, **asked)
    plain = TABLES[result.measure](*columns, **({"zero": "none"} if asked else {}))
    y, v, uncorrected = found.y[:, 0], found.v[:, 0], plain.y[:, 0]
    shown = np.where(np.isfinite(uncorrected), uncorrected, y)
    keep = ~np.isnan(y)
    kept = {name: cell[keep] for name, cell in tables.items()}
    return Findings(kept, y[keep], v[keep], shown[keep])


def _spread(result: Result, se: float) -> Findings:
    """Space effects of a trial with this standard error evenly about those pooled."""
    y = result.effects.y[result.effects.present]
    furthest = max(float(np.abs(y).max()), abs(result.estimate))
    end = furthest + SPREAD * max(se, (result.high - result.low) / 4)
    y = np.linspace(-end, end, EFFECTS_TRIED)
    return Findings(None, y, np.full(EFFECTS_TRIED, se * se), y)


def _pooled_with(result: Result, findings: Findings) -> Limits:
    """Pool the result again with each finding of the unread trial: low, high, estimate."""
    if isinstance(result, Posterior):
        if result.likelihood == "binomial":
            return _one_by_one(result, findings, _refit_posterior(result))
        return _posterior_with(result, findings, _tau_prior_of(result), result.mu_prior)
    if result.method.model == "single":
        return _posterior_with(result, findings, half_normal(ONE_TRIAL_SCALE), None)
    if not _refit_by_counts(result):
        method = result.method
        tau2 = 0.0 if method.model == "common" else method.tau2
        found = combine(
            *_joined_with_unread(result, findings), tau2=tau2, ci=method.ci, level=method.level
        )
        return found.low, found.high, found.estimate
    kernel = _stratified_kernel(result)
    if kernel is not None:
        return _stratified_with(result, findings, kernel)
    return _one_by_one(result, findings, _exact_pool(result))


def _joined_with_unread(result: Result, findings: Findings) -> tuple[FloatArray, FloatArray]:
    """Append each finding to the effects and variances pooled, shape (findings, k + 1)."""
    there = result.effects.present
    pairs = ((result.effects.y[there], findings.y), (result.effects.v[there], findings.v))
    y, v = (
        np.concatenate([np.broadcast_to(old, (new.size, old.size)), new[:, None]], axis=1)
        for old, new in pairs
    )
    return y, v


def _posterior_with(
    result: Result, findings: Findings, tau: TauPrior, mu: tuple[float, float] | None
) -> Limits:
    fit = posterior.normal_normal(*_joined_with_unread(result, findings), tau, mu)
    tail = (1 - result.method.level) / 2
    low, median, high = np.moveaxis(
        posterior.mean_effect(fit).quantile([tail, 0.5, 1 - tail]), -1, 0
    )
    return low, high, median


def _stratified_kernel(result: Pooled) -> Callable[..., Any] | None:
    """Return the batch function of a stratified estimate; None for another method."""
    model = result.method.model
    if model.startswith("Peto"):
        return stratified.peto
    if not model.startswith("Mantel-Haenszel"):
        return None
    compatibility = "revman5" if "revman5" in model else None
    return partial(stratified.mantel_haenszel, measure=result.measure, compatibility=compatibility)


def _stratified_with(result: Pooled, findings: Findings, kernel: Callable[..., Any]) -> Limits:
    old, new = _tables_with_unread(result, findings)
    cells = (
        np.concatenate([np.broadcast_to(old[c], (new[c].size, old[c].size)), new[c][:, None]], 1)
        for c in CELLS
    )
    found = kernel(*cells)
    half = float(normal_quantile((1 + result.method.level) / 2)) * found.se
    return found.estimate - half, found.estimate + half, found.estimate


def _tables_with_unread(
    result: Result, findings: Findings
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return the tables pooled and those of the unread trial."""
    old = _cells(result)
    if old is None or findings.tables is None:
        raise ValueError("the method pools counts, and some trials of the result have none")
    return old, findings.tables


def _one_by_one(
    result: Result, findings: Findings, again: Callable[[pd.DataFrame], Result]
) -> Limits:
    """Pool each set of tables on its own; nan where the model gives no answer."""
    rows = np.full((3, findings.y.size), np.nan)
    for i, trials in enumerate(_frames(result, findings)):
        try:
            found = again(trials)
        except ValueError:
            continue
        rows[:, i] = found.low, found.high, found.estimate
    low, high, estimate = rows
    return low, high, estimate


def _frames(result: Result, findings: Findings) -> Iterable[pd.DataFrame]:
    """Build the trials of the result with the unread one, per finding."""
    old, new = _tables_with_unread(result, findings)
    labels = [f"trial {i + 1}" for i in range(old["n_t"].size + 1)]

    def each() -> Iterator[pd.DataFrame]:
        for i in range(findings.y.size):
            cells = {name: np.append(old[name], new[name][i]) for name in CELLS}
            yield pd.DataFrame({"study": labels, **cells})

    return each()


def _tau_prior_of(result: Posterior) -> TauPrior:
    """Return the prior of tau; one trial had none, two need it."""
    return result.tau_prior if result.k > 1 else half_normal(ONE_TRIAL_SCALE)


def _refit_posterior(result: Posterior) -> Callable[[pd.DataFrame], Posterior]:
    return partial(
        pool_bayes,
        tau_prior=_tau_prior_of(result),
        mu_prior="flat" if result.mu_prior is None else result.mu_prior,
        measure=result.measure,
        level=result.method.level,
    )


def _exact_pool(result: Pooled) -> Callable[[pd.DataFrame], Pooled]:
    words = {model.name: word for word, model in EXACT_MODELS.items()}
    word = checking.chosen(result.method.model, words, "model that an unread trial can join")
    return partial(
        pool_exact,
        model=words[word],
        measure=result.measure,
        ci=result.method.ci,
        level=result.method.level,
    )


def _how(result: Result) -> str:
    """Name the method by which the results with the trial were computed."""
    if isinstance(result, Posterior):
        return f"{result.method.model}, {result.likelihood} likelihood, {result.tau_prior.name}"
    if result.method.model == "single":
        return (
            "Bayesian random-effects model of the two trials,"
            f" {half_normal(ONE_TRIAL_SCALE).name} prior of tau"
        )
    return method_phrase(result.method)
