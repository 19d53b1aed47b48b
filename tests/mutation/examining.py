"""Run collected tests against mutants, each in a fork of a process with everything imported."""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.in_place import put_in_place
from tests.mutation.mutants import Mutant

# Seconds of processor time for one test, and times what it takes: an endless mutant is noticed.
PATIENCE = (2.0, 10.0)
BYTES = 8 << 30  # of address space: so is one that asks for everything
HANGS, NOBODY = "out of time or memory", ""


class Examination:
    """A pytest plugin that runs the tests against every mutant until one fails."""

    def __init__(
        self,
        module: str,
        mutants: list[Mutant],
        processes: int,
        verdict: Callable[[Mutant, str], None],
    ):
        self.module = importlib.import_module(f"kapmeta.{module}")
        self.mutants, self.processes, self.verdict = mutants, processes, verdict
        self.kills: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.running: dict[int, tuple[Mutant, int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        self.seconds = _seconds(session.items)
        unmutated = Mutant(
            0, "unmutated", Path(str(self.module.__file__)).read_text(encoding="utf-8")
        )
        gc.freeze()  # what the forks share stays shared
        for mutant in (unmutated, *self.mutants):
            while len(self.running) >= self.processes:
                self._finish()
            self._start(mutant, sorted(session.items, key=self._effort))
        while self.running:
            self._finish()
        return True

    def _effort(self, item: pytest.Item) -> float:
        return self.seconds[item.nodeid] / (1 + self.kills[item.nodeid])

    def _start(self, mutant: Mutant, items: list[pytest.Item]) -> None:
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
            os.write(into, self._killer(mutant, items).encode())
            os._exit(0)
        os.close(into)
        self.running[pid] = mutant, out

    def _killer(self, mutant: Mutant, items: list[pytest.Item]) -> str:
        """Return the first test that fails, in a process of its own."""
        try:
            put_in_place(self.module, mutant.source)
        except Exception as error:
            return f"import: {error}"
        for item, after in zip_longest(items, items[1:]):
            # when the time is up the process ends
            signal.setitimer(
                signal.ITIMER_PROF, PATIENCE[0] + PATIENCE[1] * self.seconds[item.nodeid]
            )
            if not _passes(item, after):
                return item.nodeid
        return NOBODY

    def _finish(self) -> None:
        pid, status = os.wait()
        mutant, out = self.running.pop(pid)
        with os.fdopen(out, encoding="utf-8") as end:
            killer = end.read() if status == 0 else HANGS
        self.kills[killer] += 1
        self.verdict(mutant, killer)


def _passes(item: pytest.Item, after: pytest.Item | None) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=after))


def _seconds(items: list[pytest.Item]) -> dict[str, float]:
    """Time each test; this run fills the caches of what is read from disk, too."""
    taken = {}
    for item, after in zip_longest(items, items[1:]):
        start = time.process_time()
        _passes(item, after)
        taken[item.nodeid] = time.process_time() - start
    return taken
