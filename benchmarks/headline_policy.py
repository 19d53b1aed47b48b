#!/usr/bin/env python3
"""The study behind the headline policy: how each method performs with two to ten trials.

    python -m benchmarks.headline_policy            says what it costs, runs, and can be resumed
    python -m benchmarks.headline_policy --workers 2

Every finished scenario is added to results/policy-performance.csv; what is there is not done again.
A later pass with more draws replaces the rows of an earlier one. A notebook presents the study.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from kapmeta.core.bayes.empirical_priors import empirical
from kapmeta.core.sensitivity.candidates import (
    CANDIDATES,
    Candidate,
    PolicyRule,
    by_measure,
    counts_posterior,
    normal_posterior,
    policy,
)
from kapmeta.sensitivity.simulation.performances import simulate
from kapmeta.sensitivity.simulation.scenario_grids import Scenario, scenarios

FILE = Path(__file__).resolve().parent.parent / "results" / "policy-performance.csv"
SEED = 20261129
TRIALS = (2, 3, 4, 5, 7, 10)
CONTROL_RISKS = (0.05, 0.15, 0.30)
EFFECTS = {"RR": (1.0, 2.0, 3.0), "OR": (1.0, 2.5, 5.0)}
TAU = {"RR": (0.0, 0.3, 0.6), "OR": (0.0, 0.4, 0.8)}
ARMS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "equal, 20": ((20,), (20,)),
    "2:1, 40 and 20": ((40,), (20,)),
    "mixed, 15 and 60": ((15, 60), (15, 60)),
    # the trials of the review in November 2026, in the order of their years
    "as in this review": ((111, 35, 26, 27, 17), (100, 35, 27, 28, 23)),
}
"""Arms by pattern; repeated until there are enough trials."""

FIELD = "Drugs and Alcohol"
TODAY = (
    PolicyRule(2, "half-normal 0.5", sparse="counts, half-normal 0.5"),
    PolicyRule(3, "REML, hksj-hybrid"),
)
"""The headline policy before the study."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "counts": ("counts", "binomial", "beta", "policy"),
    "likelihood": ("ML, ",),
}
"""What the names of candidates begin with that cost more than the others, which are fast."""

MANY = (7, 10)
PASSES: tuple[tuple[str, int, tuple[int, ...]], ...] = (
    ("fast", 1_000, TRIALS),
    ("counts", 500, MANY),
    ("fast", 4_000, TRIALS),
    ("counts", 500, TRIALS),
    ("likelihood", 500, TRIALS),
    ("counts", 4_000, TRIALS),
)
"""Kinds of candidates, their draws and numbers of trials, in the order in which they are run."""


def declared() -> list[Scenario]:
    """List the declared scenarios, by measure and pattern of the arms."""
    found = []
    for measure in EFFECTS:
        for name, sizes in ARMS.items():
            patterns = {k: tuple((side * k)[:k] for side in sizes) for k in TRIALS}
            for n_t, n_c in patterns.values():
                found += scenarios(
                    {name: (n_t, n_c)},
                    measure=measure,
                    control_risks=CONTROL_RISKS,
                    effects=EFFECTS[measure],
                    tau=TAU[measure],
                )
    return found


def candidates() -> dict[str, Candidate]:
    """Name the candidates: those of the package, the empirical priors and the policy of today."""
    priors = {measure: empirical(FIELD, measure=measure) for measure in EFFECTS}
    return {
        **CANDIDATES,
        "empirical": by_measure({m: normal_posterior(prior) for m, prior in priors.items()}),
        "counts, empirical": by_measure({m: counts_posterior(p) for m, p in priors.items()}),
        "policy before the study": policy(TODAY),
    }


def kind_of(name: str) -> str:
    """Return the kind of a candidate, by what it costs."""
    return next((kind for kind, heads in KINDS.items() if name.startswith(heads)), "fast")


def main() -> None:
    """Run the study, pass by pass."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--file", type=Path, default=FILE)
    given = parser.parse_args()
    known, every = candidates(), declared()
    for kind, draws, numbers in PASSES:
        some = {name: method for name, method in known.items() if kind_of(name) == kind}
        print(f"{draws:,} draws, {numbers} trials: {'; '.join(some)}", flush=True)
        found = simulate(
            [scenario for scenario in every if scenario.k in numbers],
            methods=some,
            draws=draws,
            seed=SEED,
            n_jobs=given.workers,
            file=given.file,
            report=lambda text: print(text, flush=True),
        )
        for reason in found.lost:
            print(f"lost: {reason}", flush=True)


if __name__ == "__main__":
    main()
