"""Simulation of the methods that may be headlined: coverage, width, errors and refusals.

The work is cut into chunks, one per scenario. Each has a seed of its own that does not depend on
the other scenarios, and goes through joblib: ``joblib.parallel_config`` spreads it over processes
or machines, and the numbers are the same whatever the workers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.core.sensitivity.calibration import interval_performance, simulated
from kapmeta.core.sensitivity.candidates import CANDIDATES, Candidate, Draws, limits
from kapmeta.core.sensitivity.universes import Cells
from kapmeta.methods import PRIMARY
from kapmeta.results.scenarios.simulations import SCENARIO_COLUMNS, Simulation
from kapmeta.sensitivity.simulation.chunks import (
    Chunk,
    Method,
    Report,
    all_chunks,
    finished_rows,
    in_order,
    table_path,
    tell_cost,
    write_rows,
)
from kapmeta.sensitivity.simulation.scenario_grids import Scenario
from kapmeta.wording import records

__all__ = ["read_simulation", "simulate"]

BLOCK = 1_000  # draws made from one seed
FEWEST_DRAWS = 100
MOST_WORKERS = 10_000


@checking.checked
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

    Notes
    -----
    The chunks go through joblib, so a cluster takes them without another line of this package::

        from distributed import Client
        with Client("scheduler:8786"), joblib.parallel_config(backend="dask"):
            found = simulate(given, file="study.csv", report=print)

    References
    ----------
    .. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical
       methods. Stat Med 2019;38:2074-2102. https://doi.org/10.1002/sim.8086

    Examples
    --------
    >>> from kapmeta.sensitivity.simulation.scenario_grids import scenarios
    >>> given = scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.3],
    ...                   effects=[2.0], tau=[0.3])
    >>> simulate(given, methods=["half-normal 1", "REML, hksj-hybrid"], draws=200)
    Simulation(1 scenario, 2 methods)
    """
    level, seed = checking.proportion(level, "level"), checking.whole_number(seed, "seed")
    given, known = _checked_scenarios(given), _known_methods(methods)
    wanted = _draws_of_each(known, draws)
    _refuse_workers(n_jobs, report)
    file = None if file is None else table_path(file)
    _refuse_idle(given, known)
    done = finished_rows(file, {"seed": seed, "level": level})
    chunks = _owed(given, known, wanted, done)
    work = partial(_performance, seed=seed, level=level)
    tell_cost(chunks, work, report)
    new, lost = all_chunks(chunks, work, n_jobs, file, report)
    table = in_order(given, known, [*records(done), *new])
    if file is not None:
        write_rows(table, Path(file))
    return Simulation(_asked_for(table, given, known), level, seed, tuple(lost))


def _checked_scenarios(given: Any) -> list[Scenario]:
    """Return the scenarios; refuse an empty list and what is no scenario."""
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    if not listed or not all(isinstance(scenario, Scenario) for scenario in listed):
        raise TypeError("given must be scenarios from kapmeta.sensitivity.scenarios, one or more")
    return listed


def _known_methods(methods: Any) -> dict[str, Method]:
    """Return the methods by name; refuse words that are no candidates."""
    if isinstance(methods, Mapping):
        for name, method in methods.items():
            if not isinstance(name, str) or not (isinstance(method, Candidate) or callable(method)):
                raise TypeError(f"methods must map names to candidates or functions: got {name!r}")
        return dict(methods)
    if methods is not None and (isinstance(methods, str) or not isinstance(methods, Sequence)):
        raise TypeError(f"methods must be a list of names or a mapping: got {methods!r}")
    names = list(CANDIDATES) if methods is None else list(methods)
    for name in names:
        checking.chosen(name, CANDIDATES, "method, of methods")
    return {name: CANDIDATES[name] for name in names}


def _draws_of_each(known: Mapping[str, Method], draws: Any) -> dict[str, int]:
    """Return the draws of each method; refuse too few, and a method without a number."""
    found = {}
    for name in known:
        number = draws.get(name) if isinstance(draws, Mapping) else draws
        found[name] = checking.whole_number(number, f"draws of {name}", at_least=FEWEST_DRAWS)
    return found


def _refuse_workers(n_jobs: Any, report: Any) -> None:
    if n_jobs is not None:
        checking.whole_number(n_jobs, "n_jobs", at_least=-MOST_WORKERS)
        if n_jobs == 0 or n_jobs > MOST_WORKERS:
            raise ValueError(f"n_jobs must be a number of workers, or -1 for all: got {n_jobs}")
    if report is not None and not callable(report):
        raise TypeError(f"report must be a function that takes a line of text: got {report!r}")


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
) -> list[Chunk]:
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
            chunks.append(Chunk(scenario, methods))
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


def _performance(chunk: Chunk, *, seed: int, level: float) -> list[dict[str, Any]]:
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
    del values["failures"], values["excludes_se"]
    return {**values, "refused": float((~given & ~few).mean()), "too_few": float(few.mean())}


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


@checking.checked
def read_simulation(file: str | Path) -> Simulation:
    """Read the result of a simulation from the file it was written to.

    Parameters
    ----------
    file : str or path
        As in `simulate`.

    Returns
    -------
    Simulation

    Raises
    ------
    ValueError
        If the file is no simulation.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from kapmeta.sensitivity.simulation.scenario_grids import scenarios
    >>> given = scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.3],
    ...                   effects=[2.0], tau=[0.3])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "study.csv")
    ...     _ = simulate(given, methods=["half-normal 1"], draws=100, file=file)
    ...     read_simulation(file)
    Simulation(1 scenario, 1 methods)
    """
    path = table_path(file)
    if not path.is_file():
        raise ValueError(f"file {path} is not there")
    table = finished_rows(path)
    if table.empty:
        raise ValueError(f"file {path} has no finished scenario")
    return Simulation(table, float(table["level"].iloc[0]), int(table["seed"].iloc[0]))
