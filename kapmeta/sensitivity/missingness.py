"""Missing outcomes: the result under other assumptions about those whose outcome is missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.core.effects import counts
from kapmeta.core.effects.counts import Estimates
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.pooling.combining import Combined, combine
from kapmeta.core.sensitivity import missing
from kapmeta.core.sensitivity.missing import Arm
from kapmeta.effects.counts import Names, from_counts, without_gaps
from kapmeta.methods import Method
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.sweeps import Sweep, analyses_table, one_row, repeated
from kapmeta.sensitivity.choices import event_names
from kapmeta.sensitivity.missing_counts import Observed, counted_as, observed, words_in_use

__all__ = ["missing_outcomes"]

COUNT_MEASURES = ("RR", "OR", "RD")

STRATEGIES: Mapping[str, str] = {
    "available": "those observed, the missing left out",
    "no event": "none of the missing had the event",
    "event": "all of the missing had the event",
    "best": "the best for treatment: its missing fared well, those of the control arm badly",
    "worst": "the worst for treatment",
    "event under treatment": "the missing had the event under treatment, and not under control",
    "event under control": "the missing had the event under control, and not under treatment",
    "like control": "the missing of both arms fared as the observed controls did",
    "like treatment": "the missing of both arms fared as the observed treated did",
    "like observed": "the missing fared as the observed of their arm, counted as missing",
    "gamble-hollis": "those observed, with an interval from the worst case to the best",
}
"""Named assumptions about the missing; "best" and "worst" need `event_is_good`."""

_CHALLENGE = (1.5, 2.0, 3.0, 5.0)
_MOST_SPLITS = 5_000
_DIFFERENTIAL = 0.10
_LARGEST_SD = 10.0  # of a log odds ratio: its 95 % range spans 17 powers of ten


@checking.checked
def missing_outcomes(
    trials: pd.DataFrame,
    *,
    measure: str = "RR",
    strategies: Sequence[str] | None = None,
    imor: Sequence[float | tuple[float, float]] | None = None,
    imor_sd: float = 0.0,
    correlation: float = 0.0,
    shared: bool = False,
    reasons: Mapping[str, float | tuple[float, float]] | None = None,
    totals: str = "randomised",
    method: Method | None = None,
    model: str | None = None,
    tau2: str | None = None,
    ci: str | None = None,
    level: float | None = None,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Sweep:
    """Repeat the analysis under other assumptions about those whose outcome is missing.

    Counting the missing as failures is customary. It is cautious for a risk, not for a comparison:
    where more drop out of the control arm it favours treatment.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`, with the columns `missing_t` and `missing_c`. Where the arms of
        the missing are not known, leave both empty and give their total in a column `missing`:
        every split is analysed.
    measure : {"RR", "OR", "RD"}
        Effect measure.
    strategies : sequence of str, optional
        Words of `STRATEGIES`. By default all of them, with "best" and "worst" where `event_is_good`
        is known, and "event under treatment" and "event under control" while it is not.
    imor : sequence of float or (float, float), optional
        Informative missingness odds ratios: odds of the event among the missing over odds among the
        observed, of both arms or of treatment and control. By default treatment is challenged: its
        missing fare worse by factors of 1.5, 2, 3 and 5; while it is not known whether the event is
        good, its odds are both divided and multiplied by them.
    imor_sd : float
        Standard deviation of the logarithm of each `imor`, if it is not known; integrated by
        quadrature.
    correlation : float
        Of the two arms' ``ln IMOR``; with `imor_sd`.
    shared : bool
        With `imor_sd`: whether the uncertain IMOR is one and the same in all trials, so that it
        does not average out.
    reasons : mapping of str to float or (float, float), optional
        IMOR for each reason of being missing. Numbers missing are read from the columns
        ``missing_t_REASON`` and ``missing_c_REASON``, which must add up to `missing_t` and
        `missing_c` where those are given.
    totals : {"randomised", "observed"}
        Whether `n_t` and `n_c` count everybody, or only those observed.
    method, model, tau2, ci, level, mixed
        As in `kapmeta.pool`.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Sweep
        One row per assumption (and split of the missing); `base` is the analysis of those observed.

    Raises
    ------
    ValueError
        If more are missing than were randomised, if numbers by reason do not add up, if numbers
        missing are not known, or if an assumption needs `event_is_good` and it is not given.

    References
    ----------
    .. [1] White IR, Higgins JPT, Wood AM. Allowing for uncertainty due to missing data in
       meta-analysis. Part 1: two-stage methods. Stat Med 2008;27:711-727.
       https://doi.org/10.1002/sim.3008
    .. [2] Kahale LA, Khamis AM, Diab B, et al. Potential impact of missing outcome data on
       treatment effects in systematic reviews: imputation study. BMJ 2020;370:m2898.
       https://doi.org/10.1136/bmj.m2898

    Examples
    --------
    Six of the 59 patients of Krupitsky 2007 are outside its percentages, in unknown arms: seven
    splits.

    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.missingness import missing_outcomes
    >>> trials = km.load_evidence().trials(substance="opioids", contrast="sessions")
    >>> words = ["no event", "worst"]
    >>> sweep = missing_outcomes(trials, totals="observed", strategies=words, imor=[])
    >>> sweep.to_frame().groupby("assumption")["estimate"].max().round(2).to_dict()
    {'no event': 2.75, 'worst': 1.83}
    """
    checking.chosen(measure, COUNT_MEASURES, "measure")
    given = _strategies_given(strategies)
    uncertainty = _uncertainty(imor_sd, correlation, shared, imor)
    trials, gaps = without_gaps(trials, names)
    seen = observed(trials, totals, reasons, names)
    options = {"model": model, "tau2": tau2, "ci": ci, "level": level, "mixed": mixed}
    base = available(seen, measure, names, method=method, **options)
    words = words_in_use(STRATEGIES, base.effects) if given is None else given
    for word in words:
        counted_as(word, base.effects)  # refuses what needs the direction
    pairs = _pairs(imor, base.effects.event_is_good)
    rows = [
        _assumption_row(assumption, split, found)
        for split, arms in each_split(seen, base)
        for assumption, found in _by_assumption(
            arms, words, pairs, uncertainty, reasons, measure, base
        ).items()
    ]
    notes = (*gaps, *_differential(seen, base.effects), *_about_splits(seen))
    table = pd.concat(rows, ignore_index=True)
    methods, papers = _missing_methods(base, table)
    return Sweep("missing outcomes", table, base.effects, base, notes, methods, papers)


def _missing_methods(base: Pooled, table: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    """List the assumptions and the divisions of the missing, with the keys of their papers."""
    assumed, splits = list(table["assumption"].unique()), table["split"].unique()
    how = "under other assumptions about the missing outcomes"
    text = f"{repeated(base, len(table), how)} Assumptions: {'; '.join(assumed)}."
    if number := np.count_nonzero(splits != ""):
        text += f" All {number} divisions of the missing between the arms were analysed."
    papers = ("gamble-hollis",) if "gamble-hollis" in assumed else ()
    if not any(word.startswith("IMOR") for word in assumed):
        return text, papers
    text += (
        " An IMOR is the odds of the event among the missing over the odds among those observed."
    )
    return text, ("imor", *papers)


def _by_assumption(
    arms: tuple[Arm, Arm],
    words: Sequence[str],
    pairs: Sequence[tuple[float, float]],
    uncertainty: tuple[float, float, bool],
    reasons: Mapping[str, Any] | None,
    measure: str,
    base: Pooled,
) -> dict[str, Combined]:
    """Pool under each assumption: named strategies, IMORs, and IMORs by reason."""
    found = {word: pooled_again(by_strategy(word, *arms, measure, base), base) for word in words}
    for pair in pairs:
        found[_imor_text(pair, *uncertainty)] = _by_imor(arms, pair, measure, base, *uncertainty)
    if reasons:
        found["IMOR by reason"] = _by_reason(arms, reasons, measure, base)
    return found


def _assumption_row(assumption: str, split: str, found: Combined) -> pd.DataFrame:
    name = f"{assumption}, {split}" if split else assumption
    return analyses_table([name], one_row(found), assumption=assumption, split=split)


def available(seen: Observed, measure: str, names: Names, **options: Any) -> Pooled:
    """Pool the outcomes observed, the missing left out."""
    frame = seen.frame.assign(n_t=seen.treatment.observed, n_c=seen.control.observed)
    mixed = options.pop("mixed")
    return pool(from_counts(frame, measure, **event_names(names)), mixed=mixed, **options)


def each_split(seen: Observed, base: Pooled) -> list[tuple[str, tuple[Arm, Arm]]]:
    """List every division of the missing between the arms, with the arms of the trials pooled."""
    there = base.effects.present
    several = int(
        np.prod(
            [len(ways) for ways, yes in zip(seen.splits, there, strict=True) if yes], dtype=float
        )
    )
    if several > _MOST_SPLITS:
        raise ValueError(
            f"the missing can be divided in {several} ways; at most {_MOST_SPLITS} are analysed:"
            " give some arms"
        )
    arms = [
        Arm(a.events[there], a.observed[there], a.missing[:, there])
        for a in (seen.treatment, seen.control)
    ]
    ways = [ways for ways, yes in zip(seen.splits, there, strict=True) if yes]
    if all(np.isnan(way[0][0]) for way in ways):  # given by arm and reason: nothing is divided
        return [("", (arms[0], arms[1]))]
    out = []
    for choice in itertools.product(*ways):
        lost_t, lost_c = (np.array([pair[side] for pair in choice]) for side in (0, 1))
        open_ones = [pair for pair, way in zip(choice, ways, strict=True) if len(way) > 1]
        name = "; ".join(f"{x:g} + {y:g} missing" for x, y in open_ones)
        out.append(
            (name, (_losing(arms[0], lost_t, seen.inside), _losing(arms[1], lost_c, seen.inside)))
        )
    return out


def _losing(arm: Arm, lost: FloatArray, inside: bool) -> Arm:
    """Set the number missing of an arm; those newly missing are no longer observed."""
    found = lost - arm.missing.sum(0)
    return arm._replace(
        observed=arm.observed - found if inside else arm.observed, missing=lost[None]
    )


def by_strategy(word: str, t: Arm, c: Arm, measure: str, base: Pooled) -> Estimates:
    """Compute effects under one of `STRATEGIES`."""
    table = counts.KERNELS[measure]

    def counted(event_t: bool, event_c: bool) -> Estimates:
        return table(*missing.imputed(t, event_t), *missing.imputed(c, event_c))

    available = table(t.events, t.observed, c.events, c.observed)
    if word == "available":
        return available
    if word == "gamble-hollis":
        v = missing.gamble_hollis(counted(False, True), counted(True, False), base.method.level)
        return available._replace(v=v)
    events = counted_as(word, base.effects)
    if events is not None:
        return counted(*events)
    with np.errstate(divide="ignore"):
        odds = [
            (a.events + 0.5 * available.corrected)
            / (a.observed - a.events + 0.5 * available.corrected)
            for a in (t, c)
        ]
    deltas: dict[str, tuple[Any, Any]] = {
        "like control": (odds[1] / odds[0], 1.0),
        "like treatment": (1.0, odds[0] / odds[1]),
        "like observed": (1.0, 1.0),
    }
    return missing.informative(t, c, *deltas[word], measure=measure)


def pooled_again(found: Estimates, base: Pooled) -> Combined:
    """Pool other effects of the same trials by the method of `base`."""
    method = base.method
    plain = method.model in ("common", "single")
    ci = "wald" if method.model == "single" else method.ci
    y, v = np.nan_to_num(found.y), np.where(np.isnan(found.y), np.inf, found.v)
    return combine(y, v, tau2=0.0 if plain else method.tau2, ci=ci, level=method.level)


def _pairs(
    imor: Sequence[float | tuple[float, float]] | None, good: bool | None
) -> list[tuple[float, float]]:
    if imor is None:
        worse = {True: (-1,), False: (1,), None: (-1, 1)}[good]
        return [(x**power, 1.0) for power in worse for x in _CHALLENGE]
    return [_pair_of(x) for x in imor]


def _pair_of(imor: Any) -> tuple[float, float]:
    """Return the IMOR of treatment and of control from one number or from two."""
    pair = tuple(imor) if isinstance(imor, tuple | list | np.ndarray) else (imor, imor)
    for x in pair:
        if isinstance(x, bool) or not isinstance(x, int | float | np.number):
            raise TypeError(f"each of imor must be a number or a pair of numbers: got {imor!r}")
    if len(pair) != 2 or not all(x >= 0 for x in pair):
        raise ValueError(
            "each of imor must be a number or a pair of numbers, not negative: got"
            f" {imor!r}; 1 is missing at random, 0 none and inf all had the event"
        )
    return float(pair[0]), float(pair[1])


def _strategies_given(strategies: Any) -> list[str] | None:
    """Check the assumptions asked for; None where none are."""
    if strategies is None:
        return None
    if isinstance(strategies, str) or not isinstance(strategies, Iterable):
        raise TypeError(f'strategies must be a list, e.g. ["no event"]: got {strategies!r}')
    return [checking.chosen(word, STRATEGIES, "assumption") for word in strategies]


def _uncertainty(sd: Any, correlation: Any, shared: Any, imor: Any) -> tuple[float, float, bool]:
    """Check the uncertainty of the IMORs; refuse what would change nothing without one."""
    sd = checking.finite_number(sd, "imor_sd", at_least=0, at_most=_LARGEST_SD)
    correlation = checking.finite_number(correlation, "correlation", at_least=-1, at_most=1)
    if imor is not None and (isinstance(imor, str) or not isinstance(imor, Iterable)):
        raise TypeError(f"imor must be a sequence of numbers or pairs, e.g. [0.5, 2]: got {imor!r}")
    given = {"correlation": correlation, "shared": checking.flag(shared, "shared")}
    idle = [name for name, value in given.items() if value and not sd]
    if sd and imor is not None and not list(imor):
        idle = ["imor_sd"]
    if idle:
        raise ValueError(
            f"{wording.joined(idle)} would change nothing without uncertain IMORs; give imor and"
            f" imor_sd, or leave {'them' if len(idle) > 1 else 'it'} out"
        )
    return sd, correlation, shared


def _imor_text(pair: tuple[float, float], sd: float, correlation: float, shared: bool) -> str:
    text = f"IMOR {pair[0]:.3g} treatment, {pair[1]:.3g} control"
    if not sd:
        return text
    arms = f", correlation {correlation:g}" if correlation else ""
    return f"{text}, SD {sd:g}{arms}{', shared by all trials' if shared else ''}"


def _by_imor(
    arms: tuple[Arm, Arm],
    pair: tuple[float, float],
    measure: str,
    base: Pooled,
    sd: float,
    correlation: float,
    shared: bool,
) -> Combined:
    """Pool at one IMOR per arm: fixed, uncertain trial by trial, or uncertain and shared."""
    if sd == 0:
        return pooled_again(missing.informative(*arms, *pair, measure=measure), base)
    if not all(0 < x < np.inf for x in pair):
        raise ValueError(f"an uncertain imor lies between 0 and infinity: got {pair}")
    centre = (float(np.log(pair[0])), float(np.log(pair[1])))
    options: dict[str, Any] = {"correlation": correlation, "measure": measure}
    if not shared:
        return pooled_again(missing.uncertain(*arms, centre, (sd, sd), **options), base)
    at = pooled_again(missing.at_nodes(*arms, centre, (sd, sd), **options), base)
    weight = missing.normal_pairs(correlation)[2]
    low, high, _ = missing.mixture_limits(at.estimate, at.se, at.df, weight, base.method.level)
    mean, variance = missing.averaged(at.estimate, at.se**2, weight)
    tau2, q = ((weight * x).sum(0) for x in (at.tau2, at.q))
    return Combined(
        mean, np.sqrt(variance), low, high, np.asarray(np.inf), tau2, q, at.k[0], at.status.max(0)
    )


def _by_reason(
    arms: tuple[Arm, Arm], reasons: Mapping[str, Any], measure: str, base: Pooled
) -> Combined:
    pairs = [_pair_of(value) for value in reasons.values()]
    deltas = [np.array([pair[side] for pair in pairs])[:, None] for side in (0, 1)]
    return pooled_again(missing.informative(*arms, *deltas, measure=measure), base)


def _differential(seen: Observed, effects: Effects) -> tuple[str, ...]:
    """Warn of each trial whose arms differ by more than ten points in the share missing."""
    out, arms = [], (effects.treatment, effects.control)
    for i, label in enumerate(seen.labels):
        if len(seen.splits[i]) > 1:
            continue
        shares = [
            a.missing[:, i].sum() / (a.observed[i] + a.missing[:, i].sum())
            for a in (seen.treatment, seen.control)
        ]
        if abs(shares[0] - shares[1]) > _DIFFERENTIAL:
            arm = arms[int(shares[0] < shares[1])]
            known = effects.event_is_good is not None
            bad = "failures" if known else f"all or none with {effects.event}"
            out.append(
                f"{label}: drop-out is differential, {100 * shares[0]:.0f} % under {arms[0]} and"
                f" {100 * shares[1]:.0f} % under {arms[1]}; counting the missing as {bad}"
                f" {'disadvantages' if known else 'changes most the risk under'} {arm}"
            )
    return tuple(out)


def _about_splits(seen: Observed) -> tuple[str, ...]:
    open_ones = [
        f"{label} ({len(ways)} ways)"
        for label, ways in zip(seen.labels, seen.splits, strict=True)
        if len(ways) > 1
    ]
    if not open_ones:
        return ()
    inside = ", of those observed too, since the totals count the missing" if seen.inside else ""
    trials = ", ".join(open_ones)
    return (f"the arms of the missing are not known in {trials}: every division is shown{inside}",)
