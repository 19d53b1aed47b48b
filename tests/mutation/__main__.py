"""Run the tests against mutants of the numeric core, and list the mutants that no test notices.

    python -m tests.mutation                     a sample of 40 mutants of each module
    python -m tests.mutation --all tau2          every mutant of one module

Needs a system that can fork. Takes minutes: the README beside this file holds the last result.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.util
import os
import random
import resource
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy
import pytest
import scipy.special

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
PREPARED = (numpy, scipy.special)  # imported once, before the forks
SUITES = {
    "tau2": ("tests/test_tau2.py",),
    "variance_likelihood": ("tests/test_tau2.py",),
    "tau2_intervals": ("tests/test_tau2.py",),
    "weighting": ("tests/test_weighting.py", "tests/test_tau2.py"),
    "intervals": ("tests/test_intervals.py",),
}
SECONDS = 100  # of processor time: a mutant that hangs is noticed


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its mutated source."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, f"<mutant of {self.name}>", "exec"), module.__dict__)


def noticed(module: str, source: str, suite: tuple[str, ...]) -> bool:
    """Whether a test of `suite` fails, or hangs, when `module` has this `source`."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        sys.meta_path.insert(0, _Mutated(f"kapmeta.core.{module}", source))
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            code = pytest.main(["-x", "-q", "--no-header", "-p", "no:cacheprovider", *suite])
        os._exit(int(code != 0))
    _, status = os.waitpid(child, 0)
    return status != 0


def sampled(module: str, number: int | None, seed: int) -> tuple[list[Mutant], int]:
    """Some or all mutants of a module, and how many there are."""
    everything = list(mutants((ROOT / "kapmeta" / "core" / f"{module}.py").read_text(encoding="utf-8")))
    if number is None or number >= len(everything):
        return everything, len(everything)
    chosen = random.Random(seed).sample(range(len(everything)), number)
    return [everything[i] for i in sorted(chosen)], len(everything)


def examined(module: str, number: int | None, seed: int) -> None:
    """Print the survivors of one module and a line that counts them."""
    chosen, of = sampled(module, number, seed)
    survivors = []
    for mutant in chosen:
        if not noticed(module, mutant.source, SUITES[module]):
            survivors.append(mutant)
            print(f"  survives: {module}.py:{mutant.line}  {mutant.change}", flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    print(f"{module}: {len(chosen)} of {of} mutants, {len(survivors)} survive ({used:.0f} s so far)", flush=True)


def main() -> None:
    """Read the command line, make sure that the tests pass as they are, and look at every module asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(SUITES), metavar="module", help=", ".join(SUITES))
    parser.add_argument("--sample", type=int, default=40, help="mutants of each module")
    parser.add_argument("--all", action="store_true", help="every mutant")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.chdir(ROOT)
    for module in given.modules:
        source = (ROOT / "kapmeta" / "core" / f"{module}.py").read_text(encoding="utf-8")
        if noticed(module, source, SUITES[module]):
            raise SystemExit(f"the tests of {module} fail without any mutation: nothing to learn from mutants")
        examined(module, None if given.all else given.sample, given.seed)


if __name__ == "__main__":
    main()
