"""Chunks of a simulation: their cost, their workers, and the file they are added to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kapmeta.core.sensitivity.candidates import Candidate
from kapmeta.results.scenarios.simulations import SCENARIO_COLUMNS
from kapmeta.sensitivity.simulation.scenario_grids import DIGITS, Scenario

__all__ = [
    "Chunk",
    "Method",
    "Report",
    "all_chunks",
    "finished_rows",
    "in_order",
    "table_path",
    "tell_cost",
    "write_rows",
]

PILOT_DRAWS = 100  # of a scenario, to say what the whole will take

Method = Candidate | Callable[[pd.DataFrame], Any]
Report = Callable[[str], None]
Rows = list[dict[str, Any]]


class Chunk(NamedTuple):
    """The methods of one scenario that are owed a row, with their draws."""

    scenario: Scenario
    methods: tuple[tuple[str, Method, int], ...]


class Outcome(NamedTuple):
    """What a chunk gave: its rows, or why there are none."""

    place: int
    rows: Rows
    lost: str = ""


def tell_cost(chunks: Sequence[Chunk], work: Callable[[Chunk], Any], report: Report | None) -> None:
    """Report the processor time that the chunks will take, from a pilot at the fewest and most k.

    The pilot draws 100 sets in a scenario of each; times in between are interpolated.
    """
    if report is None or not chunks:
        return
    by_k = sorted(chunks, key=lambda chunk: chunk.scenario.k)
    each: list[tuple[int, float]] = []
    for chunk in (by_k[0], by_k[-1]):
        few = Chunk(chunk.scenario, tuple((n, m, PILOT_DRAWS) for n, m, _ in chunk.methods))
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


def all_chunks(
    chunks: Sequence[Chunk],
    work: Callable[[Chunk], Rows],
    n_jobs: int | None,
    file: str | Path | None,
    report: Report | None,
) -> tuple[Rows, list[str]]:
    """Do every chunk; add its rows to the file and report as soon as it is finished."""
    rows: Rows = []
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
    chunks: Sequence[Chunk], work: Callable[[Chunk], Rows], n_jobs: int | None
) -> Iterator[Outcome]:
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
                yield Outcome(place, [], f"the worker died ({type(problem).__name__})")


def _in_parallel(
    chunks: Mapping[int, Chunk], work: Callable[[Chunk], Rows], n_jobs: int | None
) -> Iterable[Outcome]:
    import joblib  # only here: importing kapmeta must cost nothing

    jobs = (joblib.delayed(_attempted)(place, chunk, work) for place, chunk in chunks.items())
    found: Iterable[Outcome] = joblib.Parallel(
        n_jobs=n_jobs, return_as="generator_unordered", batch_size=1
    )(jobs)
    return found


def _attempted(place: int, chunk: Chunk, work: Callable[[Chunk], Rows]) -> Outcome:
    """Do a chunk in a worker; an error loses this chunk and is told."""
    try:
        return Outcome(place, work(chunk))
    except Exception as problem:
        return Outcome(place, [], f"{type(problem).__name__}: {problem}")


def table_path(file: Any) -> Path:
    """Return the path of a table; refuse what is no path to a CSV."""
    if not isinstance(file, str | Path) or Path(file).suffix != ".csv":
        raise TypeError(f"file must be the path of a CSV table: got {file!r}")
    return Path(file)


def finished_rows(
    file: str | Path | None, expected: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Read the rows of an earlier run; refuse those of another seed or level than expected."""
    columns = [*SCENARIO_COLUMNS, "method", "draws"]
    if file is None or not Path(file).exists():
        return pd.DataFrame(columns=columns)
    table = pd.read_csv(file)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(f'{file} has no column "{lacking[0]}", so it is no earlier run')
    for name, value in (expected or {}).items():
        other = table.loc[table[name] != value, name]
        if len(other):
            raise ValueError(
                f"{file} holds a run with {name} {other.iloc[0]:g}, not {value:g}; give that, or"
                " another file"
            )
    return table


def _append(rows: Rows, file: Path) -> None:
    frame = pd.DataFrame(rows)
    frame.to_csv(file, mode="a", header=not file.exists(), index=False, float_format=f"%.{DIGITS}g")


def write_rows(table: pd.DataFrame, file: Path) -> None:
    """Replace the file by the whole table in its order."""
    beside = file.with_name(f"{file.name}.part")
    table.to_csv(beside, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")
    beside.replace(file)


def in_order(given: Sequence[Scenario], known: Mapping[str, Method], rows: Rows) -> pd.DataFrame:
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
    table[numbers] = table[numbers].map(lambda x: float(f"{x:.{DIGITS}g}"))
    return table.reset_index(drop=True)
