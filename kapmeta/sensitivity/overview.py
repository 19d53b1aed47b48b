"""One table of all sensitivity analyses: every choice that could have been made otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.effects.counts import TRIGGERS
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.core.sensitivity.missing import imputed
from kapmeta.effects.counts import Names, risk_ratio, split_names, without_gaps
from kapmeta.measures import side_of
from kapmeta.methods import PRIMARY
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.sweeps import Sweep
from kapmeta.sensitivity.choices import (
    ESTIMATOR_LINE,
    INCLUSIONS,
    at_time,
    estimator_table,
    event_names,
    pooled_measures,
)
from kapmeta.sensitivity.deletion import leave_one_out
from kapmeta.sensitivity.missing_counts import (
    TOTALS,
    counted_as,
    number_missing,
    observed,
    words_in_use,
)
from kapmeta.sensitivity.missingness import each_split, missing_outcomes
from kapmeta.sensitivity.percentages import rounded_counts

__all__ = ["sensitivity_table"]

_TIMES = ("earliest", "longest", "nearest 3", "nearest 6", "nearest 12")


class Asked(NamedTuple):
    """The trials as given, those of the primary analysis, and how it is done."""

    every: pd.DataFrame
    trials: pd.DataFrame
    base: Pooled
    time: str
    opposite: str | None
    totals: str
    level: float
    mixed: bool
    names: Names


@checking.checked
def sensitivity_table(
    trials: pd.DataFrame,
    *,
    time: str = "as given",
    opposite: str | None = None,
    totals: str = "randomised",
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> pd.DataFrame:
    """Compute the risk ratio under every other choice, and whether the conclusion holds.

    The conclusion is the side of no effect on which the whole interval lies, or that it lies on
    both. One trial is judged by its score interval.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`; further columns are used if present: several rows per
        study with `months`, `randomised`, `evidence_level`, `risk_of_bias`, `missing_t` and
        `missing_c` or their total `missing`, `percent_t` and `percent_c`.
    time : str
        Which time of each trial is primary, see `kapmeta.sensitivity.choices.at_time`.
    opposite : str, optional
        What the opposite of the event is called; "no" and the name of the event by default.
    totals : {"randomised", "observed"}
        As in `kapmeta.missing_outcomes`, where numbers missing are given.
    level, mixed, **names
        As in `kapmeta.pool`.

    Returns
    -------
    DataFrame
        Columns `group`, `choice`, `k`, `measure`, `estimate`, `low`, `high`, `holds` and `reason`.
        Holds: ``"yes"``, ``"no"``, ``"no interval"`` where the choice gives none, ``"no trial"``
        where it leaves none, with the reason then. The first row is the primary analysis. Where the
        arms of the missing are not known, the lowest and the highest result are shown.

    Raises
    ------
    ValueError
        As in `kapmeta.risk_ratio` and `kapmeta.pool`.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.overview import sensitivity_table
    >>> cocaine = km.load_evidence().trials(substance="cocaine")
    >>> table = sensitivity_table(cocaine, time="earliest")
    >>> shown = table[table["group"].isin(["primary", "time"])]
    >>> shown[["choice", "estimate", "low", "high", "holds"]].round(1)
                  choice  estimate  low  high holds
    0   primary analysis       4.5  1.6  13.7   yes
    8            longest       inf  3.6   inf   yes
    9          nearest 3       4.5  1.6  13.7   yes
    10         nearest 6       inf  3.6   inf   yes
    11        nearest 12       inf  3.6   inf   yes
    """
    level = checking.proportion(level, "level")
    checking.chosen(totals, TOTALS, "meaning of totals")
    columns, _ = split_names(names)
    trials, gaps = without_gaps(trials, names)
    for gap in gaps:
        checking.warn(gap)
    chosen = at_time(trials, time, study=columns["study"])
    base = pool(risk_ratio(chosen, interval="koopman", **names), level=level, mixed=mixed)
    asked = Asked(trials, chosen, base, time, opposite, totals, level, mixed, names)
    primary = _result_row("primary", "primary analysis", base)
    rows = [primary]
    for group in (
        _estimators,
        _models,
        _corrections,
        _measures,
        _deletion,
        _inclusions,
        _times,
        _missing_rows,
        _rounding,
    ):
        rows.extend(group(asked))
    table = pd.DataFrame(rows)
    side, reason = table.pop("side"), table.pop("reason")
    holds = np.where(side == side.iloc[0], "yes", "no")
    holds = np.where(table["low"].isna() | table["high"].isna(), "no interval", holds)
    return table.assign(holds=np.where(table["k"] == 0, "no trial", holds), reason=reason)


def _result_row(group: str, choice: str, found: Pooled) -> dict[str, Any]:
    return _values(group, choice, found.k, found.scale.short, *found.shown_interval)


def _values(
    group: str,
    choice: str,
    k: int,
    measure: str,
    estimate: float,
    low: float,
    high: float,
    reason: str = "",
) -> dict[str, Any]:
    """Build a row of ratios as shown, with the side of no effect on which the interval lies."""
    side = int(side_of(low, high, 1.0))
    return {
        "group": group,
        "choice": choice,
        "k": int(k),
        "measure": measure,
        "estimate": estimate,
        "low": low,
        "high": high,
        "side": side,
        "reason": reason,
    }


def _nothing(group: str, choice: str, k: int, reason: str) -> dict[str, Any]:
    """Build a row without an answer."""
    return _values(group, choice, k, "RR", np.nan, np.nan, np.nan, reason)


def _of_sweep(
    group: str, sweep: Sweep, rows: pd.DataFrame | None = None
) -> Iterator[dict[str, Any]]:
    frame = sweep.to_frame() if rows is None else rows
    for row in frame.to_dict("records"):
        reason = row.get("status", "") if np.isnan(row["low"]) else ""
        ends = (row["estimate"], row["low"], row["high"])
        yield _values(group, row["analysis"], row["k"], sweep.scale.short, *ends, reason)


def _tried(
    group: str, choice: str, k: int, analysis: Callable[[], Pooled]
) -> Iterator[dict[str, Any]]:
    """Yield one row; without an interval, and with the reason, if the method refuses the trials."""
    try:
        yield _result_row(group, choice, analysis())
    except ValueError as refusal:
        yield _nothing(group, choice, k, str(refusal))


def _estimators(asked: Asked) -> Iterator[dict[str, Any]]:
    if asked.base.k > 1:
        sweep = estimator_table(asked.base.effects, level=asked.level, mixed=asked.mixed)
        first = ", ".join(ESTIMATOR_LINE[0])
        frame = sweep.to_frame()
        yield from _of_sweep("estimator and interval", sweep, frame[frame["analysis"] != first])


def _models(asked: Asked) -> Iterator[dict[str, Any]]:
    k = asked.base.k
    options: dict[str, Any] = {"level": asked.level, "mixed": asked.mixed, **asked.names}
    yield from _tried(
        "model", "Mantel-Haenszel", k, lambda: mantel_haenszel(asked.trials, **options)
    )
    exact = "binomial likelihood, no correction"
    yield from _tried("model", exact, k, lambda: pool_exact(asked.trials, measure="RR", **options))


def _corrections(asked: Asked) -> Iterator[dict[str, Any]]:
    if not asked.base.effects.corrected.any():
        return
    for rule in TRIGGERS:
        if rule in ("half-if-any-study", "half-all", "treatment-arm", "drop"):
            yield from _tried(
                "zero cells",
                rule,
                asked.base.k,
                lambda rule=rule: pool(  # type: ignore[misc]
                    risk_ratio(asked.trials, zero=rule, **asked.names),
                    level=asked.level,
                    mixed=asked.mixed,
                ),
            )


def _measures(asked: Asked) -> Iterator[dict[str, Any]]:
    table = pooled_measures(
        asked.trials, opposite=asked.opposite, level=asked.level, mixed=asked.mixed, **asked.names
    )
    side = {"treatment": 1, "control": -1, "neither": 0}
    for row in table.iloc[1:].to_dict("records"):
        found = _values(
            "measure",
            row["measure"],
            row["k"],
            row["measure"],
            row["estimate"],
            row["low"],
            row["high"],
        )
        yield found | {"side": side[row["more events under"]]}


def _deletion(asked: Asked) -> Iterator[dict[str, Any]]:
    if asked.base.k > 1:
        yield from _of_sweep("leave one out", leave_one_out(asked.base))


def _inclusions(asked: Asked) -> Iterator[dict[str, Any]]:
    """Choose studies by design, evidence level and risk of bias, where that changes the set."""
    table = asked.base.effects.table
    before = asked.base.effects.present
    needs = {"primary sources": "evidence_level", "not tertiary": "evidence_level"}
    needs |= {"low risk of bias": "risk_of_bias", "not high risk of bias": "risk_of_bias"}
    needs |= {"randomised": "randomised", "with non-randomised": "randomised"}
    for word, column in needs.items():
        if column not in table:
            continue
        keep = np.asarray(INCLUSIONS[word](table), dtype=bool)
        wider = word == "with non-randomised"
        if not wider:
            keep = keep & before
        if (keep == before).all():
            continue
        if not keep.any():
            yield _nothing("studies", word, 0, "no trial is of this kind")
            continue
        kept = asked.trials[keep]
        mixed = wider or asked.mixed
        effects = risk_ratio(kept, interval="koopman", **asked.names)
        yield _result_row("studies", word, pool(effects, level=asked.level, mixed=mixed))


def _times(asked: Asked) -> Iterator[dict[str, Any]]:
    columns, _ = split_names(asked.names)
    if not asked.every[columns["study"]].duplicated().any():
        return
    for rule in _TIMES:
        if rule != asked.time:
            chosen = at_time(asked.every, rule, study=columns["study"])
            effects = risk_ratio(chosen, interval="koopman", **asked.names)
            yield _result_row("time", rule, pool(effects, level=asked.level, mixed=asked.mixed))


def _missing_rows(asked: Asked) -> Iterator[dict[str, Any]]:
    """Vary the assumption about the missing, where their number is given and not zero."""
    if not number_missing(asked.trials) > 0:
        return
    group = "missing outcomes"
    try:
        if asked.base.k == 1:
            yield from _lowest_and_highest(list(_imputed(asked)))
            return
        words = [*_extremes(asked.base.effects), "gamble-hollis"]
        options: dict[str, Any] = {
            "totals": asked.totals,
            "level": asked.level,
            "mixed": asked.mixed,
            **asked.names,
        }
        sweep = missing_outcomes(asked.trials, strategies=words, imor=None, **options)
    except ValueError as refusal:
        yield _nothing(group, "any assumption", asked.base.k, str(refusal))
        return
    yield from _lowest_and_highest(
        list(zip(sweep.table["assumption"], _of_sweep(group, sweep), strict=True))
    )


def _extremes(effects: Effects) -> list[str]:
    """List assumptions from those observed to both extremes, by the names in use."""
    neutral = ("event under treatment", "event under control")
    return words_in_use(["available", "no event", "best", "worst", *neutral], effects)


def _imputed(asked: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """Impute the missing of one trial, with the score interval of each table."""
    primary = asked.base.effects
    table = primary.table[primary.present]
    ways = {word: counted_as(word, primary) for word in _extremes(primary)}
    names = event_names(asked.names)
    for split, arms in each_split(
        observed(asked.trials, asked.totals, None, asked.names), asked.base
    ):
        for word, events in ways.items():
            (a, n_t), (c, n_c) = (
                (arm.events, arm.observed) if events is None else imputed(arm, events[side])
                for side, arm in enumerate(arms)
            )
            effects = risk_ratio(
                table.assign(events_t=a, n_t=n_t, events_c=c, n_c=n_c), interval="koopman", **names
            )
            choice = f"{word}, {split}" if split else word
            yield word, _result_row("missing outcomes", choice, pool(effects, level=asked.level))


def _lowest_and_highest(rows: list[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Keep the lowest and highest estimate of each assumption over the divisions of the missing."""
    for assumption in dict.fromkeys(word for word, _ in rows):
        same = [row for word, row in rows if word == assumption]
        ranks = tied_ranks([row["estimate"] for row in same])
        if ranks.max() == 0:
            yield same[0] | {"choice": assumption}
        else:
            yield from (same[ranks.argmin()], same[ranks.argmax()])


def _rounding(asked: Asked) -> Iterator[dict[str, Any]]:
    """Yield the lowest and the highest result that the printed percentages allow."""
    if not {"percent_t", "percent_c"} & set(asked.trials):
        return
    sweep = rounded_counts(asked.trials, level=asked.level, mixed=asked.mixed, **asked.names)
    frame = sweep.to_frame()
    if len(frame) > 1:
        ranks = tied_ranks(frame["estimate"])
        ends = frame.iloc[[int(ranks.argmin()), int(ranks.argmax())]]
        yield from _of_sweep("counts from percentages", sweep, ends)
