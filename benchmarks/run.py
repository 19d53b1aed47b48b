#!/usr/bin/env python3
"""Time kapmeta against statsmodels, PyMARE, pimeta, PyMetaAnalysis and R's metafor, on the same
inputs in one run.

    python benchmarks/run.py            prints the table and writes benchmarks/results.md

Packages that are not installed are listed as such. README.md beside this file says how to install
them.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import kapmeta as km
from benchmarks import peers
from benchmarks.inputs import BCG, Studies, bcg, counted, simulated
from benchmarks.timing import Taken, fresh_process, peak_memory, timed
from kapmeta.core import combine
from kapmeta.core.bayes import posterior
from kapmeta.core.bayes.priors import half_normal
from kapmeta.core.numerics import masks
from kapmeta.core.sensitivity.candidates import CANDIDATES

RESULTS = Path(__file__).with_name("results.md")
EXACT_TAU2 = 0.31324325813648085  # BCG, REML: metafor 5.1-12 with threshold 1e-13


class Task(NamedTuple):
    """One row of the table: the task, its target in processor seconds, what each package took."""

    title: str
    target: float
    ours: Taken
    theirs: dict[str, Taken]
    note: str = ""


def pooled(data: Studies) -> Callable[[], object]:
    """Call `km.pool` with its default intervals: of the mean, tau2, prediction, heterogeneity."""
    frame = pd.DataFrame(
        {"study": [f"study {i}" for i in range(data.y.size)], "y": data.y, "v": data.v}
    )
    effects = km.generic(frame, y="y", v="v")
    return lambda: km.pool(effects)


def data_sets() -> dict[str, Studies]:
    """Return every input by its name."""
    return {
        "bcg": bcg(),
        "large": simulated(1000),
        "batch": simulated(2000, 10),  # the first rows of the 100,000, for packages that loop
        "twenty": simulated(20),
    }


def single_fits(data: dict[str, Studies], found: dict[str, peers.Fit]) -> list[Task]:
    """Time one analysis at a time."""
    tasks = []
    for k, name, target in ((13, "bcg", 1e-3), (1000, "large", 5e-3)):
        with peers.silent():
            theirs = {
                peer: timed(partial(fit, *data[name]), seconds=1.0) for peer, fit in found.items()
            }
        tasks.append(
            Task(f"one analysis, k = {k:,}", target, timed(pooled(data[name])), theirs, FIT_ALONE)
        )
    return tasks


FIT_ALONE = (
    "ours with all default intervals and the proof of the global maximum; theirs the fit alone"
)


def batches(data: dict[str, Studies], found: dict[str, peers.Fit]) -> list[Task]:
    """Time many analyses at a time."""
    everything = simulated(100_000, 10)
    thirteen, twenty, large = data["bcg"], data["twenty"], data["large"]
    small, many, one_out = masks.all_subsets(13), masks.all_subsets(20), masks.leave_one_out(1000)
    pairs = small[small.sum(1) > 1]
    fits = [
        Task(
            "100,000 REML fits, k = 10",
            1.0,
            timed(lambda: combine(*everything)),
            _loops(found, everything, lambda i: i, 100_000, skip="PyMARE"),
            "PyMARE vectorised, a local mode; the others in a loop",
        ),
        Task(
            "every subset of 20 studies, common effect",
            0.2,
            timed(lambda: combine(*twenty, tau2=0.0, mask=many)),
            {},
        ),
        Task(
            "every subset of 20 studies, DL",
            1.0,
            timed(lambda: combine(*twenty, tau2="DL", mask=many)),
            {},
        ),
        Task(
            "every subset of 13 studies, REML",
            0.15,
            timed(lambda: combine(*thirteen, mask=small)),
            _loops(found, thirteen, lambda i: pairs[i], len(pairs)),
        ),
        Task(
            "leave-one-out REML, k = 1,000",
            0.5,
            timed(lambda: combine(*large, mask=one_out)),
            _loops(found, large, lambda i: one_out[i], 1000),
        ),
    ]
    if "PyMARE" in found:
        fits[0].theirs["PyMARE"] = timed(peers.pymare_batch(everything))
    return fits


def _loops(
    found: dict[str, peers.Fit],
    data: Studies,
    rows: Callable[[int], Any],
    number: int,
    skip: str = "",
) -> dict[str, Taken]:
    return {
        name: peers.loop_of_fits(fit, data, rows, number)
        for name, fit in found.items()
        if name != skip
    }


FRESH = f"""
import pandas as pd
import kapmeta as km
km.pool(km.risk_ratio(pd.DataFrame({BCG!r}).assign(study=[str(i) for i in range(13)])))
"""


def processes(found: dict[str, peers.Fit]) -> list[Task]:
    """Time whole processes: an import, and a first result."""
    imports = {
        name: fresh_process(f"import {peers.PEERS[name].module}", runs=5)[0] for name in found
    }
    alone, middle = fresh_process("import kapmeta")
    first, first_middle = fresh_process(FRESH)
    return [
        Task(
            "import",
            0.30,
            alone,
            imports,
            f"median {middle:.2f} s; names load on first use, so see the next line",
        ),
        Task(
            "import, risk ratios of 13 trials, pool",
            0.75,
            first,
            {},
            f"median {first_middle:.2f} s; a fresh process",
        ),
    ]


def posteriors(k: int) -> None:
    """Find the central limits of 10,000 posteriors of the mean."""
    fit = posterior.normal_normal(*simulated(10_000, k), half_normal(0.5))
    posterior.mean_effect(fit).quantile([0.025, 0.975])


def policies() -> None:
    """Simulate 10,000 sets of five trials for six half-normal and sampling intervals."""
    arms = {"equal, 20": ([20] * 5, [20] * 5)}
    given = km.sensitivity.scenarios(arms, control_risks=[0.15], effects=[2.0], tau=[0.3])
    names = [name for name in CANDIDATES if name.startswith(("half-normal", "REML, hksj-h"))]
    km.sensitivity.simulate(given, methods=names, draws=10_000)


def bayes() -> list[Task]:
    """Time many posteriors, one by one and in a simulation, where they share a grid of tau."""
    return [
        Task(
            "10,000 posteriors with limits, k = 5", 1.0, timed(partial(posteriors, 5), most=5), {}
        ),
        Task(
            "simulation, 10,000 sets of five trials, six methods", 3.0, timed(policies, most=3), {}
        ),
    ]


def figures() -> list[Task]:
    """Time a forest plot drawn and written as PNG at 300 dots per inch."""
    tasks = []
    for frame, target in ((pd.DataFrame(BCG), 0.15), (counted(100), 0.6)):
        main = km.pool(
            km.risk_ratio(
                frame.assign(study=[f"Study {i} {1950 + i % 70}" for i in range(len(frame))])
            )
        )
        with tempfile.TemporaryDirectory() as folder:
            ours = timed(partial(drawn, main, Path(folder, "forest")), most=6)
        tasks.append(
            Task(
                f"forest plot to PNG, k = {len(frame)}",
                target,
                ours,
                {},
                "most of it is setting type",
            )
        )
    return tasks


def drawn(main: km.Pooled, stem: Path) -> None:
    """Draw and save once."""
    km.plot.save(km.plot.forest(main), stem, formats=["png"])


METAFOR_TASKS = {
    "one analysis, k = 13": "pool_13",
    "one analysis, k = 1,000": "pool_1000",
    "100,000 REML fits, k = 10": "batch",
    "every subset of 20 studies, common effect": "subsets_20_common",
    "every subset of 20 studies, DL": "subsets_20_dl",
    "every subset of 13 studies, REML": "subsets_13_reml",
    "leave-one-out REML, k = 1,000": "leave_one_out",
}


def add_metafor(tasks: list[Task], measured: dict[str, Any]) -> None:
    """Put metafor's times beside the others."""
    for task in tasks:
        if task.title in METAFOR_TASKS:
            task.theirs["metafor"] = Taken(**measured["tasks"][METAFOR_TASKS[task.title]])
        if task.title == "import":
            task.theirs["metafor"] = Taken(measured["import"], measured["import"])


def shown(seconds: float) -> str:
    """Write seconds with two significant digits, in s or ms."""
    return (
        f"{seconds * 1e3:.2g} ms"
        if seconds < 0.1
        else f"{seconds:,.2g} s"
        if seconds < 100
        else f"{seconds:,.0f} s"
    )


def ratio(value: float) -> str:
    """Write a ratio with two significant digits below ten and no decimals above."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def row(task: Task, names: list[str]) -> str:
    """Write a row of the table: ours, target, met or not, then time and ratio of each peer."""
    met = (
        "met"
        if task.ours.cpu <= task.target
        else f"missed by {task.ours.cpu / task.target - 1:.0%}"
    )
    cells = [
        task.title,
        f"{shown(task.ours.cpu)} ({shown(task.ours.wall)})",
        shown(task.target),
        met,
    ]
    for name in names:
        taken = task.theirs.get(name)
        about = "≈ " if taken and taken.scaled else ""
        cells.append(
            f"{about}{shown(taken.cpu)} ({ratio(taken.cpu / task.ours.cpu)} x)" if taken else "-"
        )
    return "| " + " | ".join([*cells, task.note]) + " |"


def accuracy(found: dict[str, peers.Fit], data: Studies, measured: dict[str, Any] | None) -> str:
    """Measure how far each package's default tau2 of the BCG trials is from the exact value."""
    here = {"kapmeta": float(combine(*data).tau2)}
    with peers.silent():
        here |= {
            name: fit(*data) for name, fit in found.items() if peers.PEERS[name].estimator == "REML"
        }
    if measured:
        here["metafor"] = measured["tau2"]
    gaps = ", ".join(f"{name} {abs(value / EXACT_TAU2 - 1):.0e}" for name, value in here.items())
    return (
        "REML tau2 of the BCG trials by each package's defaults, relative distance from the exact"
        f" value: {gaps}."
    )


def report() -> str:
    """Compose the whole of results.md."""
    installed = peers.installed()
    found = {name: fit for name, (_, fit) in installed.items()}
    data = data_sets()
    tasks = [
        *single_fits(data, found),
        *batches(data, found),
        *bayes(),
        *processes(found),
        *figures(),
    ]
    measured = peers.metafor(data)
    if measured:
        add_metafor(tasks, measured)
    memory = peak_memory(lambda: combine(*simulated(100_000, 10)))
    names = [*found, *(["metafor"] if measured else [])]
    versions = [f"{name} {installed[name][0]} ({peers.PEERS[name].estimator})" for name in found]
    if measured:
        versions.append(f"metafor {measured['version']} on R {measured['r']}")
    absent = [name for name in [*peers.PEERS, "metafor"] if name not in names]
    head = ["task", "kapmeta, processor (wall)", "target", "", *names, "note"]
    return "\n".join(
        [
            "# Benchmark",
            "",
            (
                f"Measured on {datetime.date.today().isoformat()} with kapmeta {km.__version__},"
                f" {', '.join(versions)}; Python {platform.python_version()}, NumPy"
                f" {np.__version__}, SciPy {scipy.__version__}, pandas {pd.__version__};"
                f" {platform.system()} on {os.cpu_count()} cores shared with other work."
            ),
            *([f"Not installed in this run: {', '.join(absent)}."] if absent else []),
            "",
            (
                "Processor time, the least of several runs; in brackets behind a peer's time, how"
                " many times ours it is. A time with ≈ is scaled up from the fits that three"
                " seconds allowed."
            ),
            "",
            "| " + " | ".join(head) + " |",
            "|" + " --- |" * len(head),
            *(row(task, names) for task in tasks),
            "",
            (
                "Memory: 100,000 REML fits of 10 studies, input included, hold at most"
                f" {memory:.0f} MB (target 500 MB, {'met' if memory < 500 else 'missed'})."
            ),
            "",
            accuracy(found, data["bcg"], measured),
            "",
        ]
    )


if __name__ == "__main__":
    text = report()
    RESULTS.write_text(text, encoding="utf-8")
    print(text)
