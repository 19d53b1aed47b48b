"""Run the tests against mutants of a module, and list the mutants that no test notices.

    python -m tests.mutation                     every mutant of every module below
    python -m tests.mutation core.pooling.intervals checking.frames      of these modules
    python -m tests.mutation checking results    of the modules of these rooms
    python -m tests.mutation --sample 40         a sample of each

Every verdict goes to a log at once; what a test has noticed is not tried again, so a run that was
stopped goes on where it was. Needs a system that can fork. Takes minutes: the README beside this
file holds the last result.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import Counter
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.helpers.places import ROOT
from tests.mutation.examining import NOBODY, Examination
from tests.mutation.mutants import Mutant, mutants

_TAU2 = "tests/core/heterogeneity/test_tau2.py"
_OF_CERTAINTY = "tests/certainty/test_directions.py"
_CELLS = "tests/certainty/test_cells.py"
_INVARIANTS = "tests/effects/test_invariants.py"

SUITES: dict[str, tuple[str, ...]] = {
    "core.heterogeneity.tau2": (_TAU2,),
    "core.heterogeneity.tau2_intervals": (_TAU2,),
    "core.pooling.intervals": (
        "tests/core/pooling/test_intervals.py",
        "tests/core/pooling/test_combining.py",
    ),
    "core.numerics.weighting": ("tests/core/numerics/test_weighting.py", _TAU2),
    "core.heterogeneity.variance_likelihood": (
        "tests/core/heterogeneity/test_variance_likelihood.py",
        _TAU2,
    ),
    "core.numerics.likelihood_search": (
        "tests/core/numerics/test_likelihood_search.py",
        "tests/core/heterogeneity/test_variance_likelihood.py",
        _TAU2,
    ),
    **{
        f"checking.{name}": ("tests/checking",)
        for name in ("arguments", "flag_columns", "frames", "name_columns", "number_columns")
    },
    **{
        f"effects.{name}": (f"tests/effects/test_{name}.py", _INVARIANTS)
        for name in ("counts", "designs", "estimates", "groups", "means")
    },
    "measures": ("tests/test_measures.py",),
    "results.effects": ("tests/results/test_effects.py", _OF_CERTAINTY),
    "results.pooled": ("tests/results/test_pooled.py", "tests/pooling/test_inverse_variance.py"),
    "results.shared.rows": ("tests/results/test_rows.py", "tests/results/test_effects.py"),
    "certainty.absolute_risks": ("tests/certainty/test_absolute_risks.py", _OF_CERTAINTY),
    "certainty.findings": ("tests/certainty/test_findings.py", _OF_CERTAINTY, _CELLS),
    "certainty.grading": ("tests/certainty/test_grading.py", _OF_CERTAINTY),
    "certainty.imprecisions": ("tests/certainty/test_imprecisions.py", _OF_CERTAINTY, _CELLS),
    "certainty.information_sizes": (
        "tests/certainty/test_information_sizes.py",
        _OF_CERTAINTY,
        _CELLS,
    ),
}
REWRITING = (  # hypothesis is imported before pytest starts
    "ignore::pytest.PytestAssertRewriteWarning"
)
# Few examples, always the same ones, and no shrinking: a failure is wanted, not the smallest one.
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def examined(module: str, sample: int | None, processes: int, log: Path) -> None:
    """Examine the mutants of one module that the log lacks, and count all that it has."""
    path = ROOT.joinpath("kapmeta", *module.split(".")).with_suffix(".py")
    in_front = not module.startswith("core.")  # where texts are part of a result
    everything = list(mutants(path.read_text(encoding="utf-8"), words=in_front))
    chosen = (
        everything
        if sample is None
        else random.Random(1).sample(everything, min(sample, len(everything)))
    )
    noticed = {name for name, killer in _known(log).items() if killer != NOBODY}
    rest = [mutant for mutant in chosen if _name(module, mutant) not in noticed]
    if rest:
        verdict = partial(_record, log, module)
        options = [
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
            "--hypothesis-profile=quick",
            "-W",
            REWRITING,
        ]
        pytest.main(
            [*options, *SUITES[module]], plugins=[Examination(module, rest, processes, verdict)]
        )
    known = _known(log)
    found = {mutant: known[name] for mutant in chosen if (name := _name(module, mutant)) in known}
    for mutant, killer in found.items():
        if killer == NOBODY:
            print(f"  survives: {module}.py:{mutant.line}  {mutant.change}")
    survivors = Counter(found.values())[NOBODY]
    print(
        f"{module}: {len(found)} of {len(everything)} mutants examined, {survivors} survive",
        flush=True,
    )


def _name(module: str, mutant: Mutant) -> str:
    return f"{module} {sha256(mutant.source.encode()).hexdigest()[:16]}"


def _record(log: Path, module: str, mutant: Mutant, killer: str) -> None:
    if mutant.line == 0 and killer != NOBODY:
        raise SystemExit(f"{killer} fails without any mutation: nothing to learn from mutants")
    if mutant.line:
        with log.open("a", encoding="utf-8") as lines:
            print(_name(module, mutant), mutant.line, mutant.change, killer, sep="\t", file=lines)


def _known(log: Path) -> dict[str, str]:
    if not log.exists():
        return {}
    rows = (line.split("\t") for line in log.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[-1] for row in rows}


def main() -> None:
    """Read the command line and look at every module asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", default=list(SUITES), metavar="module", help=", ".join(SUITES)
    )
    parser.add_argument("--sample", type=int, help="mutants of each module; all of them by default")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--log", type=Path, default=ROOT / ".mutation.log")
    given = parser.parse_args()
    os.chdir(ROOT)
    settings.register_profile("quick", QUICK)
    for module in SUITES:
        if not any(f"{module}.".startswith(f"{name}.") for name in given.modules):
            continue
        examined(module, given.sample, given.processes, given.log.absolute())


if __name__ == "__main__":
    main()
