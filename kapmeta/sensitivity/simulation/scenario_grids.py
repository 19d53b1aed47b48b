"""Scenarios of a simulation: what is supposed of a set of trials."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kapmeta import checking
from kapmeta.core.sensitivity.calibration import RISKS
from kapmeta.measures import measure_named
from kapmeta.results.scenarios.simulations import SCENARIO_COLUMNS

__all__ = ["DIGITS", "Scenario", "scenarios"]

DIGITS = 6  # of all numbers, so that a table that was written and read again is the same


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


@checking.checked
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
    checking.chosen(checking.instance(measure, str, "measure", "be text"), RISKS, "measure")
    if not isinstance(arms, Mapping):
        raise TypeError(f"arms must map names to pairs of sizes: got {arms!r}")
    ratio = measure_named(measure).ratio
    bounds: checking.Bounds = {"above": 0, "at_most": 1e6} if ratio else {"above": -1, "below": 1}
    risks = checking.finite_numbers(control_risks, "control_risks", above=0, below=1)
    means = checking.finite_numbers(effects, "effects", **bounds)
    deviations = checking.finite_numbers(tau, "tau", at_least=0, at_most=100)
    checked = {str(name): _checked_arms(str(name), sizes) for name, sizes in arms.items()}
    return [
        Scenario(measure, name, *checked[name], *(float(f"{x:.{DIGITS}g}") for x in rest))
        for name, *rest in itertools.product(checked, risks, means, deviations)
    ]


def _checked_arms(name: str, sizes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sizes of both arms as whole numbers; refuse fewer than two trials."""
    pair = list(sizes) if isinstance(sizes, Iterable) else []
    if len(pair) != 2 or not all(isinstance(side, Iterable) for side in pair):
        raise TypeError(f'arms "{name}" must be a pair of sequences, treated and controls')
    n_t, n_c = (
        tuple(checking.whole_number(n, f'each size of arms "{name}"', at_least=1) for n in side)
        for side in pair
    )
    if len(n_t) != len(n_c) or len(n_t) < 2:
        raise ValueError(
            f'arms "{name}" need two trials or more, each with both arms: got {len(n_t)} and'
            f" {len(n_c)}; one trial is shown with its own interval"
        )
    return n_t, n_c
