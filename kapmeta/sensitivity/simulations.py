"""Simulation of the methods that may be headlined: coverage, width, errors and refusals.

The work is cut into chunks, one per scenario. Each has a seed of its own that does not depend on
the other scenarios, and goes through joblib: ``joblib.parallel_config`` spreads it over processes
or machines, and the numbers are the same whatever the workers.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.sensitivity.calibration import RISKS, interval_performance, simulated
from kapmeta.core.sensitivity.candidates import CANDIDATES, Candidate, Draws, limits
from kapmeta.core.sensitivity.universes import Cells
from kapmeta.measures import measure_named
from kapmeta.methods import PRIMARY
from kapmeta.results.simulations import SCENARIO_COLUMNS, Simulation

__all__ = ["Scenario", "scenarios", "simulate"]

BLOCK = 500  # draws made from one seed
FEWEST_DRAWS = 100
PILOT_DRAWS = 100  # of a scenario, to say what the whole will take

Method = Candidate | Callable[[pd.DataFrame], Any]
Report = Callable[[str], None]


class Scenario(NamedTuple):
    """What is supposed of a set of trials.

    `arms` is a name for the sizes `n_t` and `n_c`; `effect` is on the scale shown, `tau` on the
    analysis scale.
    """

    measure: str
    arms: str
    n_t: tuple[int, ...]
    n_c: tuple[int, ...]
    control_risk: float
    effect: float
    tau: float

    @property
    def k(self) -> int:
        """Number of trials."""
        return len(self.n_t)

    @property
    def truth(self) -> float:
        """The mean effect on the analysis scale."""
        return float(np.log(self.effect)) if measure_named(self.measure).ratio else self.effect

    @property
    def row(self) -> dict[str, Any]:
        """What identifies the scenario in a table."""
        words = (self.measure, self.k, self.arms, self.control_risk, self.effect, self.tau)
        return dict(zip(SCENARIO_COLUMNS, words, strict=True))


class _Chunk(NamedTuple):
    """The methods of one scenario that are owed a row, with their draws."""

    scenario: Scenario
    methods: tuple[tuple[str, Method, int], ...]


class _Outcome(NamedTuple):
    """What a chunk gave: its rows, or why there are none."""

    place: int
    rows: list[dict[str, Any]]
    lost: str = ""


def scenarios(
    arms: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    *,
    measure: str = "RR",
    control_risks: Sequence[float],
    effects: Sequence[float],
    tau: Sequence[float],
) -> list[Scenario]:
    """List every combination of arm sizes, control risks, mean effects and heterogeneity.

    Parameters
    ----------
    arms : mapping of str to pair of sequences
        Numbers under treatment and control of each trial, by a name for the pattern.
    measure : {"RR", "OR", "RD", "AS"}
        Scale of the effects.
    control_risks : sequence of float
        Risks in the control arms, between 0 and 1.
    effects : sequence of float
        Mean effects on the scale shown.
    tau : sequence of float
        Between-study standard deviations on the analysis scale.

    Returns
    -------
    list of Scenario

    Raises
    ------
    ValueError
        If a risk, an effect, a deviation or an arm is impossible; it is named.

    Examples
    --------
    >>> found = scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.1, 0.3],
    ...                   effects=[1.0, 2.0], tau=[0.0])
    >>> len(found), found[0].k
    (4, 2)
    """
    checking.chosen(measure, RISKS, "measure")
    ratio = measure_named(measure).ratio
    for risk in control_risks:
        if not 0 < risk < 1:
            raise ValueError(f"control_risks lie between 0 and 1: got {risk}")
    for effect in effects:
        if not (effect > 0 if ratio else abs(effect) < 1):
            bound = "above 0" if ratio else "between -1 and 1"
            raise ValueError(f"effects of measure {measure} lie {bound}: got {effect}")
    for deviation in tau:
        if not 0 <= deviation < np.inf:
            raise ValueError(f"tau is a standard deviation and not negative: got {deviation}")
    checked = {name: _checked_arms(name, *sizes) for name, sizes in arms.items()}
    return [
        Scenario(measure, name, *checked[name], *(float(x) for x in rest))
        for name, *rest in itertools.product(checked, control_risks, effects, tau)
    ]


def _checked_arms(
    name: str, n_t: Sequence[int], n_c: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes of the arms as whole numbers; refuse fewer than two trials."""
    if len(n_t) != len(n_c) or len(n_t) < 2:
        raise ValueError(
            f'arms "{name}" need two trials or more, each with both arms: got {len(n_t)} and'
            f" {len(n_c)}; one trial is shown with its own interval"
        )
    for size in (*n_t, *n_c):
        if size < 1 or size != int(size):
            raise ValueError(f'arms "{name}" are whole numbers of at least 1: got {size}')
    return tuple(map(int, n_t)), tuple(map(int, n_c))


def simulate(
    given: Sequence[Scenario],
    *,
    methods: Sequence[str] | Mapping[str, Method] | None = None,
    draws: int | Mapping[str, int] = 4_000,
    seed: int = 0,
    level: float = PRIMARY.level,
    n_jobs: int | None = None,
    file: str | Path | None = None,
    report: Report | None = None,
) -> Simulation:
    """Simulate how often the interval of each method contains the truth, and how wide it is.

    All methods see the same tables. A method may be any function of a table of trials, such as
    ``lambda trials: km.pool(km.risk_ratio(trials), tau2="DL")``; those in
    `kapmeta.core.sensitivity.candidates.CANDIDATES` are done for all draws at once. Not for the
    trials at hand: for these `calibration` is shorter.

    Parameters
    ----------
    given : sequence of Scenario
        From `scenarios`.
    methods : sequence of str or mapping, optional
        Words of `CANDIDATES`, or methods by name; all candidates by default. One that is not for
        the measure of a scenario is left out there.
    draws : int or mapping of str to int
        Simulated sets of trials per scenario, or a number per method; at least 100.
    seed : int
        Source of chance.
    level : float
        Confidence level, a proportion.
    n_jobs : int, optional
        Workers, as in joblib; by default what ``joblib.parallel_config`` says, else one.
    file : str or path, optional
        CSV to which each finished scenario is added. What is in it already is not done again.
    report : callable, optional
        Called with a line of text: the time expected before the start, then the progress.

    Returns
    -------
    Simulation
        One row per scenario and method; `lost` names the chunks whose worker died.

    Raises
    ------
    ValueError
        If there are too few draws, or a method has no scenario it is for.

    References
    ----------
    .. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical
       methods. Stat Med 2019;38:2074-2102. https://doi.org/10.1002/sim.8086

    Examples
    --------
    >>> given = scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.3],
    ...                   effects=[2.0], tau=[0.3])
    >>> simulate(given, methods=["half-normal 1", "REML, hksj-hybrid"], draws=200)
    Simulation(1 scenario, 2 methods)
    """
    level = checking.proportion(level, "level")
    known = _known_methods(methods)
    wanted = {name: draws if isinstance(draws, int) else draws[name] for name in known}
    for name, number in wanted.items():
        if number < FEWEST_DRAWS:
            raise ValueError(f"draws must be at least {FEWEST_DRAWS}: got {number} for {name}")
    _refuse_idle(given, known)
    done = _finished(file, seed, level)
    chunks = _owed(given, known, wanted, done)
    work = partial(_performance, seed=seed, level=level)
    _tell_cost(chunks, work, report)
    new, lost = _all_chunks(chunks, work, n_jobs, file, report)
    table = _in_order(given, known, [*done.to_dict("records"), *new])
    if file is not None:
        _write(table, Path(file))
    return Simulation(_asked_for(table, given, known), level, seed, tuple(lost))


def _known_methods(methods: Sequence[str] | Mapping[str, Method] | None) -> dict[str, Method]:
    """Return the methods by name; refuse words that are no candidates."""
    if isinstance(methods, Mapping):
        return dict(methods)
    names = list(CANDIDATES) if methods is None else list(methods)
    return {checking.chosen(name, CANDIDATES, "method"): CANDIDATES[name] for name in names}


def _is_for(method: Method, measure: str) -> bool:
    return not isinstance(method, Candidate) or measure in method.measures


def _refuse_idle(given: Sequence[Scenario], known: Mapping[str, Method]) -> None:
    measures = sorted({scenario.measure for scenario in given})
    for name, method in known.items():
        if not any(_is_for(method, measure) for measure in measures):
            raise ValueError(f'method "{name}" is not for {", ".join(measures)}; leave it out')


def _owed(
    given: Sequence[Scenario],
    known: Mapping[str, Method],
    wanted: Mapping[str, int],
    done: pd.DataFrame,
) -> list[_Chunk]:
    """List the chunks with the methods that have no row of as many draws yet."""
    keys = [*SCENARIO_COLUMNS, "method"]
    rows = done[[*keys, "draws"]].itertuples(index=False, name=None)
    found = {tuple(row[:-1]): row[-1] for row in rows}
    chunks = []
    for scenario in given:
        own = tuple(scenario.row.values())
        methods = tuple(
            (name, method, wanted[name])
            for name, method in known.items()
            if _is_for(method, scenario.measure) and found.get((*own, name), 0) < wanted[name]
        )
        if methods:
            chunks.append(_Chunk(scenario, methods))
    return chunks


def _blocks(scenario: Scenario, draws: int, seed: int) -> Iterator[Cells]:
    """Simulate the tables of a scenario in blocks, each from a seed of its own.

    The seed depends on the scenario and not on its place among others, and the first blocks are
    the same however many follow.
    """
    digest = hashlib.blake2b(repr(tuple(scenario)).encode(), digest_size=8).digest()
    root = np.random.SeedSequence([seed, int.from_bytes(digest, "big")])
    n_t, n_c = (np.asarray(sizes, dtype=np.float64) for sizes in (scenario.n_t, scenario.n_c))
    risk = np.full(scenario.k, scenario.control_risk)
    for i, child in enumerate(root.spawn(-(-draws // BLOCK))):
        size = min(BLOCK, draws - i * BLOCK)
        cells = simulated(
            n_t,
            n_c,
            risk,
            scenario.truth,
            scenario.tau,
            BLOCK,
            np.random.default_rng(child),
            measure=scenario.measure,
        )
        yield Cells(*(cell[:size] for cell in cells))


def _performance(chunk: _Chunk, *, seed: int, level: float) -> list[dict[str, Any]]:
    """Simulate one scenario and measure each of its methods: one row per method."""
    scenario, most = chunk.scenario, max(draws for *_, draws in chunk.methods)
    found: dict[str, list[FloatArray]] = {name: [] for name, *_ in chunk.methods}
    informative: list[FloatArray] = []
    for i, cells in enumerate(_blocks(scenario, most, seed)):
        block = Draws(cells, scenario.measure, level)
        informative.append(block.informative.astype(np.float64))
        for name, method, draws in chunk.methods:
            size = min(draws - i * BLOCK, len(block.informative))
            if size > 0:
                found[name].append(np.stack(_limits(block, method), axis=-1)[:size])
    few = np.concatenate(informative) < 2
    rows = []
    for name, _, draws in chunk.methods:
        both = np.concatenate(found[name])
        rows.append({**scenario.row, "method": name, "draws": draws, "seed": seed, "level": level})
        rows[-1] |= _measured(both[:, 0], both[:, 1], few[:draws], scenario.truth)
    return rows


def _limits(block: Draws, method: Method) -> tuple[FloatArray, FloatArray]:
    """Apply a candidate to a block of draws at once, or a function to each set of trials."""
    if isinstance(method, Candidate):
        return limits(block, method)
    found = np.full((2, len(block.informative)), np.nan)
    for i in np.flatnonzero(block.informative >= 2):
        cells = dict(zip(Cells._fields, (cell[i] for cell in block.cells), strict=True))
        labels = [f"trial {n + 1}" for n in range(cells["n_t"].size)]
        try:
            result = method(pd.DataFrame({"study": labels, **cells}))
        except ValueError:  # a refusal, which is counted
            continue
        found[:, i] = result.low, result.high
    return found[0], found[1]


def _measured(low: FloatArray, high: FloatArray, few: Any, truth: float) -> dict[str, float]:
    """Turn the limits of all draws into the numbers of a row."""
    found = interval_performance(low[:, None], high[:, None], truth)
    given = ~(np.isnan(low) | np.isnan(high))
    values = {name: float(column[0]) for name, column in found._asdict().items()}
    del values["failures"]
    return {**values, "refused": float((~given & ~few).mean()), "too_few": float(few.mean())}


def _tell_cost(
    chunks: Sequence[_Chunk], work: Callable[[_Chunk], Any], report: Report | None
) -> None:
    """Report the processor time that the chunks will take, from a pilot at the fewest and most k.

    The pilot draws 100 sets in a scenario of each; times in between are interpolated.
    """
    if report is None or not chunks:
        return
    by_k = sorted(chunks, key=lambda chunk: chunk.scenario.k)
    each: list[tuple[int, float]] = []
    for chunk in (by_k[0], by_k[-1]):
        few = _Chunk(chunk.scenario, tuple((n, m, PILOT_DRAWS) for n, m, _ in chunk.methods))
        start = time.process_time()
        work(few)
        work(few)  # the second time tables are known already, as most are in a long run
        each.append((chunk.scenario.k, (time.process_time() - start) / 2))
    (fewest, least), (most, longest) = each
    seconds = 0.0
    for chunk in chunks:
        share = (chunk.scenario.k - fewest) / max(most - fewest, 1)
        average = np.mean([draws for *_, draws in chunk.methods])
        seconds += (least + share * (longest - least)) * float(average) / PILOT_DRAWS
    report(f"{len(chunks):,} scenarios, about {_duration(seconds)} of one processor")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _all_chunks(
    chunks: Sequence[_Chunk],
    work: Callable[[_Chunk], list[dict[str, Any]]],
    n_jobs: int | None,
    file: str | Path | None,
    report: Report | None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Do every chunk; add its rows to the file and report as soon as it is finished."""
    rows: list[dict[str, Any]] = []
    lost: list[str] = []
    start = time.monotonic()
    for done, outcome in enumerate(_outcomes(chunks, work, n_jobs), 1):
        rows += outcome.rows
        if outcome.lost:
            lost.append(f"{_label(chunks[outcome.place].scenario)}: {outcome.lost}")
        elif file is not None:
            _append(outcome.rows, Path(file))
        if report is not None and (done % 10 == 0 or done == len(chunks)):
            left = (time.monotonic() - start) / done * (len(chunks) - done)
            report(f"{done:,} of {len(chunks):,} scenarios; about {_duration(left)} left")
    return rows, lost


def _label(scenario: Scenario) -> str:
    return ", ".join(f"{name} {value}" for name, value in scenario.row.items())


def _outcomes(
    chunks: Sequence[_Chunk], work: Callable[[_Chunk], list[dict[str, Any]]], n_jobs: int | None
) -> Iterator[_Outcome]:
    """Do the chunks through joblib.

    A worker that dies takes all that runs beside it along. What was not finished then is done once
    more, one chunk at a time, so that only the chunk that kills its worker is lost.
    """
    left = dict(enumerate(chunks))
    try:
        for outcome in _in_parallel(left, work, n_jobs):
            left.pop(outcome.place)
            yield outcome
    except Exception:
        for place in sorted(left):
            try:
                yield from list(_in_parallel({place: chunks[place]}, work, n_jobs))
            except Exception as problem:
                yield _Outcome(place, [], f"the worker died ({type(problem).__name__})")


def _in_parallel(
    chunks: Mapping[int, _Chunk], work: Callable[[_Chunk], list[dict[str, Any]]], n_jobs: int | None
) -> Iterable[_Outcome]:
    import joblib  # only here: importing kapmeta must cost nothing

    jobs = (joblib.delayed(_attempted)(place, chunk, work) for place, chunk in chunks.items())
    found: Iterable[_Outcome] = joblib.Parallel(
        n_jobs=n_jobs, return_as="generator_unordered", batch_size=1
    )(jobs)
    return found


def _attempted(
    place: int, chunk: _Chunk, work: Callable[[_Chunk], list[dict[str, Any]]]
) -> _Outcome:
    """Do a chunk in a worker; an error loses this chunk and is told."""
    try:
        return _Outcome(place, work(chunk))
    except Exception as problem:
        return _Outcome(place, [], f"{type(problem).__name__}: {problem}")


def _finished(file: str | Path | None, seed: int, level: float) -> pd.DataFrame:
    """Read the rows of an earlier run; refuse those of another seed or level."""
    columns = [*SCENARIO_COLUMNS, "method", "draws"]
    if file is None or not Path(file).exists():
        return pd.DataFrame(columns=columns)
    table = pd.read_csv(file)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(f'{file} has no column "{lacking[0]}", so it is no earlier run')
    for name, value in (("seed", seed), ("level", level)):
        other = table.loc[table[name] != value, name]
        if len(other):
            raise ValueError(
                f"{file} holds a run with {name} {other.iloc[0]:g}, not {value:g}; give that, or"
                " another file"
            )
    return table


def _append(rows: list[dict[str, Any]], file: Path) -> None:
    frame = pd.DataFrame(rows)
    frame.to_csv(file, mode="a", header=not file.exists(), index=False, float_format="%.10g")


def _write(table: pd.DataFrame, file: Path) -> None:
    """Replace the file by the whole table in its order."""
    beside = file.with_name(f"{file.name}.part")
    table.to_csv(beside, index=False, float_format="%.10g", lineterminator="\n")
    beside.replace(file)


def _in_order(
    given: Sequence[Scenario], known: Mapping[str, Method], rows: list[dict[str, Any]]
) -> pd.DataFrame:
    """Order rows by scenario and method as given, others after them; keep the most draws of each.

    Numbers are rounded as the file holds them, so that a resumed run is equal to one in one go.
    """
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    keys = [*SCENARIO_COLUMNS, "method"]
    table = table.sort_values("draws", kind="stable").drop_duplicates(keys, keep="last")
    places = {tuple(scenario.row.values()): i for i, scenario in enumerate(given)}
    names = {name: i for i, name in enumerate(known)}
    own = table[list(SCENARIO_COLUMNS)].itertuples(index=False, name=None)
    order = pd.DataFrame(
        {
            "scenario": [places.get(tuple(row), len(places)) for row in own],
            "name": [names.get(name, len(names)) for name in table["method"]],
        },
        index=table.index,
    )
    table = table.loc[order.sort_values(["scenario", "name"], kind="stable").index]
    numbers = table.select_dtypes("float").columns
    table[numbers] = table[numbers].map(lambda x: float(f"{x:.10g}"))
    return table.reset_index(drop=True)


def _asked_for(
    table: pd.DataFrame, given: Sequence[Scenario], known: Mapping[str, Method]
) -> pd.DataFrame:
    """Select the rows of the scenarios and methods given."""
    if table.empty:
        return table
    places = {tuple(scenario.row.values()) for scenario in given}
    own = table[list(SCENARIO_COLUMNS)].itertuples(index=False, name=None)
    keep = [tuple(row) in places for row in own] & table["method"].isin(list(known)).to_numpy()
    return table[keep].reset_index(drop=True)
