"""How time is taken: processor and wall time, the least of several runs on a shared machine."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Taken(NamedTuple):
    """Least processor and wall time in seconds; `scaled` up if fewer fits were made."""

    cpu: float
    wall: float
    scaled: bool = False


def timed(call: Callable[[], object], *, seconds: float = 2.0, most: int = 300) -> Taken:
    """Take the least of as many runs as fit into `seconds`, at least two after one to warm up."""
    call()
    cpu, wall, runs, end = float("inf"), float("inf"), 0, time.perf_counter() + seconds
    while runs < 2 or (runs < most and time.perf_counter() < end):
        before = time.process_time(), time.perf_counter()
        call()
        cpu = min(cpu, time.process_time() - before[0])
        wall = min(wall, time.perf_counter() - before[1])
        runs += 1
    return Taken(cpu, wall)


def looped(fit: Callable[[int], object], number: int, *, seconds: float = 3.0) -> Taken:
    """Time `number` fits one after the other; stop after `seconds` and scale up to `number`."""
    fit(0)
    before, done = (time.process_time(), time.perf_counter()), 0
    while done < number and time.perf_counter() - before[1] < seconds:
        fit(done)
        done += 1
    factor = number / done
    return Taken(
        (time.process_time() - before[0]) * factor,
        (time.perf_counter() - before[1]) * factor,
        done < number,
    )


def fresh_process(code: str, *, runs: int = 9) -> tuple[Taken, float]:
    """Time whole processes that run `code`: the least, and the median of their processor times."""
    cpu, wall = [], []
    for _ in range(runs):
        before, start = _children(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
        )
        wall.append(time.perf_counter() - start)
        cpu.append(_children() - before)
    return Taken(min(cpu), min(wall)), statistics.median(cpu)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_memory(call: Callable[[], object]) -> float:
    """Measure the most megabytes held during `call`, beyond what was held before it."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6
