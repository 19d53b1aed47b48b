"""Every defensible analysis at once: the product of declared choices, with a null distribution."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics import masks
from kapmeta.core.numerics.arrays import BoolArray, FloatArray, IntArray
from kapmeta.core.sensitivity import universes
from kapmeta.core.sensitivity.universes import COMMON, Analysis, Cells, Patients
from kapmeta.effects.counts import Names, counts_of, risk_ratio, split_names, without_gaps
from kapmeta.methods import PRIMARY
from kapmeta.pooling.inverse_variance import one_question
from kapmeta.results.multiverses import Multiverse
from kapmeta.results.shared.columns import level_names
from kapmeta.sensitivity.choices import INCLUSIONS, at_time, event_names
from kapmeta.sensitivity.missing_counts import TOTALS, counted_as, observed
from kapmeta.sensitivity.multiverse_choices import (
    CHOICES,
    about_poolings,
    analyses_of,
    choices_asked,
    standings,
)
from kapmeta.sensitivity.multiverse_exact import (
    COUNT_MODELS,
    ONE_TRIAL,
    ExactOutcomes,
    evaluate_exact,
)

__all__ = ["CHOICES", "multiverse"]

_MOST = 500_000
_MOST_EXACT = 5_000  # fits of some 30 ms each
_DRAWS_AT_ONCE = 100


class AlignedTrials(NamedTuple):
    """The trials with one set of tables for each choice of time and missing, aligned by study."""

    cells: Cells  # (variants, k)
    labels: tuple[str, ...]
    frame: pd.DataFrame  # one row per study
    patients: Patients
    rows: IntArray  # (times, k): the row of `patients` that a study has at a time, -1 where none
    variants: list[tuple[str, str]]
    events: Mapping[str, tuple[bool, bool]]  # of the missing of each arm, by word


@checking.checked
def multiverse(
    trials: pd.DataFrame,
    *,
    choices: Mapping[str, Sequence[str]] | None = None,
    subsets: bool = True,
    smallest: int = 2,
    permutations: int = 0,
    rng: np.random.Generator | None = None,
    progress: bool | None = None,
    totals: str = "randomised",
    level: float = PRIMARY.level,
    **names: Unpack[Names],
) -> Multiverse:
    """Analyse every combination of the declared choices, and show how much each choice matters.

    Shows whether a conclusion rests on the trials or on one way through them. Not a vote: analyses
    of the same patients are no independent evidence, so the share that excludes no effect has no
    p-value of its own. `permutations` gives one: patients' arm labels are shuffled within trials,
    and all analyses are done again on the shuffled tables.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`; several time points of a trial may be given, each a row with
        `months`.
    choices : mapping of str to sequence of str, optional
        Replaces the defaults `CHOICES`: ``time`` (``"as given"``, ``"longest"``, ``"earliest"``,
        ``"nearest 6"``), ``missing`` (words of `kapmeta.sensitivity.multiverse_choices.MISSING`;
        needs the numbers missing), ``measure``, ``zero``, ``pooling`` (estimators of tau2,
        ``"common"``, ``"mantel-haenszel"``, ``"peto"``, or models of `kapmeta.pool_exact`, which
        are fitted one by one and take part in no permutation), ``ci`` (poolings of the tables bring
        their own), ``studies`` (words of `kapmeta.sensitivity.choices.INCLUSIONS`).
    subsets : bool
        Whether every subset of at least `smallest` studies is analysed too.
    smallest : int
        Fewest studies of a subset.
    permutations : int
        Number of times the arm labels are shuffled for the null distribution; 0 for none.
    rng : numpy.random.Generator, optional
        Source of chance; a fixed one by default.
    progress : bool, optional
        Whether a bar is written to standard error; by default where that is a terminal.
    totals : {"randomised", "observed"}
        As in `kapmeta.missing_outcomes`, where `missing` is a choice.
    level : float
        Confidence level, a proportion.
    **names
        As in `kapmeta.risk_ratio`.

    Returns
    -------
    Multiverse
        One row per analysis, with its `reason` where it has no answer; `summary`, the variance each
        choice explains, and the p-value of the whole.

    Raises
    ------
    ValueError
        If a choice is unknown, the trials answer different questions, or there are too many
        analyses.

    References
    ----------
    .. [1] Voracek M, Kossmeier M, Tran US. Which data to meta-analyze, and how? A
       specification-curve and multiverse-analysis approach to meta-analysis. Z Psychol
       2019;227:64-82. https://doi.org/10.1027/2151-2604/a000357
    .. [2] Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav
       2020;4:1208-1214. https://doi.org/10.1038/s41562-020-0912-z

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.multiverses import multiverse
    >>> trials = km.load_example("bcg").head(5)
    >>> multiverse(trials, choices={"measure": ["RR"], "pooling": ["REML", "common"]})
    Multiverse(208 analyses of 5 studies)
    """
    asked, rng = choices_asked(choices), checking.generator(rng)
    level = checking.proportion(level, "level")
    smallest = checking.whole_number(smallest, "smallest", at_least=1)
    permutations = checking.whole_number(permutations, "permutations")
    checking.chosen(totals, TOTALS, "meaning of totals")
    progress = None if progress is None else checking.flag(progress, "progress")
    trials, gaps = without_gaps(trials, names)
    ready = _aligned_trials(trials, asked, totals, names)
    quick, exact = analyses_of(asked)
    variants, several = len(ready.variants), len(quick) + len(exact)
    sets = len(asked["studies"]) + (2 ** len(ready.labels) if subsets else 0)
    _refuse_too_many(variants, several, sets, _MOST, "analyses")
    named = _study_sets(ready, asked["studies"], subsets, smallest)
    single = "exact models, fitted one by one,"
    _refuse_too_many(variants, len(exact), len(named), _MOST_EXACT, single)
    _refuse_nothing_to_shuffle(permutations, quick)
    table, answered = _analysed(ready, quick, exact, named, level)
    null = np.zeros(0)
    if permutations:
        which = np.array([mask for _, mask in named])
        null = _null(ready, quick, which, answered, permutations, rng, _bar(progress))
    effects, _ = one_question(risk_ratio(ready.frame, **event_names(names)), mixed=True)
    fitted_singly = tuple(word for word in asked["pooling"] if word in COUNT_MODELS)
    notes = (*gaps, *_trial_notes(ready), *_same_studies(ready, asked["studies"]))
    notes += about_poolings(asked, fitted_singly if permutations else ())
    shares = {axis: _explained_share(table, axis) for axis in asked}
    return Multiverse(table, effects, shares, null, notes, level, fitted_singly)


def _refuse_nothing_to_shuffle(permutations: int, quick: Sequence[Analysis]) -> None:
    if permutations and not quick:
        raise ValueError(
            "permutations leave exact models out, and there is nothing else here; name another"
            " pooling too, or permutations=0"
        )


def _refuse_too_many(variants: int, analyses: int, sets: int, most: int, what: str) -> None:
    if variants * analyses * sets > most:
        raise ValueError(
            f"{variants} sets of tables x {analyses} {what} x {sets} sets of studies are too many;"
            f" at most {most}: name fewer choices, or subsets=False"
        )


def _aligned_trials(
    trials: pd.DataFrame, asked: Mapping[str, tuple[str, ...]], totals: str, names: Names
) -> AlignedTrials:
    """Assemble the tables for each time and each treatment of the missing, one column per study."""
    columns, _ = split_names(names)
    rowed = _distinguished(trials, columns["study"])
    times = [at_time(rowed, rule, study=columns["study"]) for rule in asked["time"]]
    used = sorted({i for frame in times for i in frame.index})
    counts, _, _ = counts_of(rowed.loc[used], columns)
    labels = tuple(dict.fromkeys(level_names(counts["study"])))
    first = counts.drop_duplicates("study").reset_index(drop=True)
    one_question(risk_ratio(first, **event_names(names)), mixed=True)
    with_missing = set(asked["missing"]) != {"as counted"}
    seen = observed(counts, totals, None, event_names(names)) if with_missing else None
    lost = (
        [np.zeros(len(counts)), np.zeros(len(counts))]
        if seen is None
        else [seen.treatment.missing[0], seen.control.missing[0]]
    )
    if seen is not None and any(len(ways) > 1 for ways in seen.splits):
        raise ValueError(
            "the missing of some trials are not known by arm; fill in missing_t and missing_c"
        )
    grow = 0.0 if totals == "randomised" else 1.0
    n = [
        counts[f"n_{side}"].to_numpy(dtype=float) + grow * x
        for side, x in zip("tc", lost, strict=True)
    ]
    whole = [counts["events_t"], lost[0], n[0], counts["events_c"], lost[1], n[1]]
    a, lost_t, n1, c, lost_c, n2 = (np.asarray(x).astype(np.int64) for x in whole)
    patients = Patients(a, lost_t, n1, c, lost_c, n2, _nested(counts, whole))
    rows = np.full((len(times), len(labels)), -1)
    for t, frame in enumerate(times):
        for i, study in zip(frame.index, level_names(frame[columns["study"]]), strict=True):
            rows[t, labels.index(study)] = used.index(i)
    variants = list(itertools.product(asked["time"], asked["missing"]))
    effects = risk_ratio(first, **event_names(names))
    events = {word: counted_as(word, effects) or (False, False) for word in asked["missing"]}
    cells = _variant_cells(patients, rows, events)
    return AlignedTrials(cells, labels, first, patients, rows, variants, events)


def _distinguished(trials: pd.DataFrame, study: Hashable) -> pd.DataFrame:
    """Renumber the rows, and add a `comparison_id` where a study has several."""
    checking.refuse_no_table(trials, row="comparison")
    rowed = trials.reset_index(drop=True)
    if (
        study in rowed
        and rowed[study].duplicated().any()
        and "comparison_id" not in rowed
        and "months" in rowed
    ):
        return rowed.assign(
            comparison_id=rowed[study].astype(str) + ", " + rowed["months"].astype(str)
        )
    return rowed


def _nested(counts: pd.DataFrame, whole: Sequence[Any]) -> IntArray:
    """Find for each row its trial's row just before it whose events contain its own, or -1."""
    earlier = np.full(len(counts), -1)
    if "months" not in counts:
        return earlier
    a, _, n1, c, _, n2 = (np.asarray(x, dtype=float) for x in whole)
    months = counts["months"].to_numpy(dtype=float)
    for study in counts["study"].unique():
        rows = np.flatnonzero(counts["study"] == study)
        ordered = rows[np.argsort(months[rows], kind="stable")]
        for before, after in itertools.pairwise(ordered.tolist()):
            same = n1[before] == n1[after] and n2[before] == n2[after]
            if same and a[after] <= a[before] and c[after] <= c[before]:
                earlier[after] = before
    return earlier


def _variant_cells(
    patients: Patients, rows: IntArray, events: Mapping[str, tuple[bool, bool]]
) -> Cells:
    """Return tables of every variant, (..., variants, k), from patients of shape (..., rows)."""
    out = []
    for time in rows:
        there = time >= 0
        at = [
            np.where(there, np.asarray(x, dtype=np.float64)[..., time], np.nan)
            for x in patients[:6]
        ]
        out += [_counted_missing(at, word, counted) for word, counted in events.items()]
    return Cells(*(np.stack(pieces, axis=-2) for pieces in zip(*out, strict=True)))


def _counted_missing(
    at: Sequence[FloatArray], word: str, counted: tuple[bool, bool]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Count events and totals with the missing treated as named."""
    a, lost_t, n1, c, lost_c, n2 = at
    if word == "available":
        return a, n1 - lost_t, c, n2 - lost_c
    return a + counted[0] * lost_t, n1, c + counted[1] * lost_c, n2


def _study_sets(
    ready: AlignedTrials, words: Sequence[str], subsets: bool, smallest: int
) -> list[tuple[str, BoolArray]]:
    """List the sets of studies by name, no set twice."""
    k = len(ready.labels)
    named: dict[bytes, tuple[str, BoolArray]] = {}
    for word in words:
        mask = np.asarray(INCLUSIONS[word](ready.frame), dtype=bool)
        named.setdefault(mask.tobytes(), (word, mask))
    if subsets and k > 1:
        mixed = "with non-randomised" in words
        allowed = np.asarray(
            INCLUSIONS["with non-randomised" if mixed else "all"](ready.frame), dtype=bool
        )
        for mask in masks.all_subsets(k, smallest=min(max(1, smallest), k)):
            if not (mask & ~allowed).any():
                name = " + ".join(
                    label for label, yes in zip(ready.labels, mask, strict=True) if yes
                )
                named.setdefault(mask.tobytes(), (name, mask))
    return list(named.values())


def _analysed(
    ready: AlignedTrials,
    quick: Sequence[Analysis],
    exact: Sequence[Analysis],
    named: Sequence[tuple[str, BoolArray]],
    level: float,
) -> tuple[pd.DataFrame, BoolArray]:
    """Build the table of all analyses, and flag which of the batch engine's have an answer."""
    names, which = [name for name, _ in named], np.array([mask for _, mask in named])
    tables, answered = [], np.zeros(0, dtype=bool)
    if quick:
        found = _with_reasons(universes.evaluate(ready.cells, quick, which, level=level), quick)
        tables.append(_table(ready, quick, names, found))
        answered = np.asarray(found.reason.ravel() == "")
    if exact:
        fitted = evaluate_exact(ready.cells, exact, which, ready.labels, level=level)
        tables.append(_table(ready, exact, names, fitted))
    return pd.concat(tables, ignore_index=True), answered


def _same_studies(ready: AlignedTrials, words: Sequence[str]) -> tuple[str, ...]:
    """Note the choices of studies that give the same set as an earlier one."""
    notes = []
    first: dict[bytes, str] = {}
    for word in words:
        mask = np.asarray(INCLUSIONS[word](ready.frame), dtype=bool)
        other = first.setdefault(mask.tobytes(), word)
        if other != word:
            notes.append(f'studies "{word}" are the same as "{other}"')
    return tuple(notes)


def _with_reasons(found: universes.Outcomes, analyses: Sequence[Analysis]) -> ExactOutcomes:
    """Add the reason where an analysis has no answer, and remove its numbers."""
    single = np.array([each.pooling != COMMON for each in analyses])[:, None] & (found.k == 1)
    statistic = found.statistic
    unanswered = ~np.isfinite(statistic) | ~np.isfinite(found.low)
    reason = np.full(found.k.shape, "", dtype=object)
    for j, each in enumerate(analyses):
        reason[:, j][unanswered[:, j]] = f"the {each.ci} interval does not exist for these trials"
    reason[single] = ONE_TRIAL
    reason[found.k == 0] = "no trial has an effect"
    estimate, se, low, high, statistic = (
        np.where(reason == "", x, np.nan)
        for x in (found.estimate, found.se, found.low, found.high, statistic)
    )
    return ExactOutcomes(estimate, se, low, high, found.k, statistic, reason)


def _table(
    ready: AlignedTrials, analyses: Sequence[Analysis], studies: Sequence[str], found: ExactOutcomes
) -> pd.DataFrame:
    """Lay the outcomes out as one row per analysis, in the order variants x analyses x subsets."""
    index = pd.MultiIndex.from_product(
        [range(len(ready.variants)), range(len(analyses)), range(len(studies))]
    )
    variant, analysis, subset = (index.get_level_values(level).to_numpy() for level in range(3))
    axes = {
        "time": np.array([time for time, _ in ready.variants], dtype=object)[variant],
        "missing": np.array([word for _, word in ready.variants], dtype=object)[variant],
    }
    for field in Analysis._fields:
        axes[field] = np.array([getattr(each, field) for each in analyses], dtype=object)[analysis]
    axes["studies"] = np.array(studies, dtype=object)[subset]
    table = pd.DataFrame(axes)
    table["standing"] = standings(table)
    fields = {"y": "estimate", "se": "se", "y_low": "low", "y_high": "high"}
    columns = {name: getattr(found, field).ravel() for name, field in fields.items()}
    return table.assign(
        k=found.k.ravel(), **columns, statistic=found.statistic.ravel(), reason=found.reason.ravel()
    )


def _explained_share(table: pd.DataFrame, axis: str) -> float:
    """Compute the share of the variance between analyses that one choice explains on its own."""
    levels, _ = pd.factorize(table[axis])
    values = table["y"] if table["measure"].nunique() == 1 else table["statistic"]
    return universes.explained(values.to_numpy(dtype=float), levels)


def _null(
    ready: AlignedTrials,
    analyses: Sequence[Analysis],
    which: BoolArray,
    kept: BoolArray,
    permutations: int,
    rng: np.random.Generator,
    report: Callable[[float], None],
) -> FloatArray:
    """Compute the median statistic of the same analyses in each shuffled data set."""
    medians = []
    for start in range(0, permutations, _DRAWS_AT_ONCE):
        draws = min(_DRAWS_AT_ONCE, permutations - start)
        dealt = universes.shuffled(ready.patients, draws, rng)
        cells = _variant_cells(dealt, ready.rows, ready.events)
        found = universes.evaluate(cells, analyses, which)
        medians.append(np.nanmedian(found.statistic.reshape(draws, -1)[:, kept], axis=-1))
        report((start + draws) / permutations)
    return np.concatenate(medians)


def _bar(progress: bool | None) -> Callable[[float], None]:
    """Return a function that writes progress to standard error, or one that does nothing."""
    if not (sys.stderr.isatty() if progress is None else progress):
        return lambda share: None

    def report(share: float) -> None:
        done = int(30 * share)
        sys.stderr.write(
            f"\r[{'#' * done}{' ' * (30 - done)}] {100 * share:3.0f}"
            f" %{chr(10) if share >= 1 else ''}"
        )
        sys.stderr.flush()

    return report


def _trial_notes(ready: AlignedTrials) -> tuple[str, ...]:
    """List what a reader must know before quoting the shares."""
    notes = []
    several = [
        label
        for i, label in enumerate(ready.labels)
        if len(set(ready.rows[:, i].tolist()) - {-1}) > 1
    ]
    if several:
        notes.append(
            f"time points of one trial are alternatives, never counted twice: {', '.join(several)}"
        )
    groups = [
        sorted({int(r) for r in ready.rows[:, i] if r >= 0}) for i in range(len(ready.labels))
    ]
    loose = [
        ready.labels[i]
        for i, rows in enumerate(groups)
        if sum(ready.patients.nested[r] < 0 for r in rows) > 1
    ]
    if loose:
        notes.append(
            f"the time points of {', '.join(loose)} are not nested; the null distribution takes"
            " them as independent"
        )
    return tuple(notes)
