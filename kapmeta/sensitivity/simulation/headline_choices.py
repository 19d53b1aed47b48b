"""The headline method of each number of trials, derived from a simulation by one rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from kapmeta import checking
from kapmeta.results.scenarios.simulations import HeadlineChoices, Simulation

__all__ = ["LEAST_COVERAGE", "NUMBERS", "choose_headlines", "compare_policies"]

NUMBERS: Mapping[str, tuple[int, float]] = MappingProxyType(
    {"2": (2, 2), "3": (3, 3), "4": (4, 4), "5": (5, 5), "6-9": (6, 9), "10+": (10, float("inf"))}
)
"""Numbers of trials that share a headline method: the least and the most."""

LEAST_COVERAGE = 0.945
MOST_REFUSED = 0.01


@checking.checked
def choose_headlines(
    simulation: Simulation,
    *,
    least: float = LEAST_COVERAGE,
    most_refused: float = MOST_REFUSED,
    leave_out: Sequence[str] = (),
) -> HeadlineChoices:
    """Choose the narrowest method whose smallest coverage is high enough, by number of trials.

    Narrow is judged by the median over the scenarios of the median width; ties go to the higher
    coverage. A method that refuses more than `most_refused` of the sets in any scenario cannot be
    a headline.

    Parameters
    ----------
    simulation : Simulation
        From `simulate` or `read_simulation`, over the declared scenarios.
    least : float
        Smallest coverage over the scenarios that is enough.
    most_refused : float
        Largest share of sets with two informative tables or more that may be left without an
        interval.
    leave_out : sequence of str
        Methods that are no candidates, such as whole policies.

    Returns
    -------
    HeadlineChoices
        One row per measure and number of trials. Where no method reaches `least`, the one of
        highest smallest coverage is named and the row says so.

    Examples
    --------
    >>> import kapmeta as km
    >>> given = km.sensitivity.scenarios({"equal 60": ([60, 60], [60, 60])}, control_risks=[0.3],
    ...                                  effects=[2.0], tau=[0.6])
    >>> names = ["half-normal 0.25", "half-normal 1", "common, wald"]
    >>> found = choose_headlines(km.sensitivity.simulate(given, methods=names, draws=1_000))
    >>> found.to_frame()[["measure", "trials", "method"]].to_dict("records")
    [{'measure': 'RR', 'trials': '2', 'method': 'half-normal 1'}]
    """
    checking.instance(
        simulation, Simulation, "simulation", "come from kapmeta.sensitivity.simulate"
    )
    least = checking.finite_number(least, "least", at_least=0, at_most=1)
    most_refused = checking.finite_number(most_refused, "most_refused", at_least=0, at_most=1)
    table = simulation.table
    table = table[~table["method"].isin(_names(leave_out, "leave_out"))]
    rows = []
    for measure, own in table.groupby("measure", sort=False):
        for words, (fewest, most) in NUMBERS.items():
            some = own[own["k"].between(fewest, most)]
            if not some.empty:
                chosen = _choice(_over_scenarios(some), least, most_refused)
                rows.append({"measure": measure, "trials": words, **chosen})
    return HeadlineChoices(pd.DataFrame(rows), least, most_refused, simulation.level)


def _names(given: Any, argument: str) -> list[str]:
    """Return a list of names; refuse one text in its place, and what is no text."""
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else None
    if listed is None or not all(isinstance(name, str) for name in listed):
        raise TypeError(f"{argument} must be a list of names: got {given!r}")
    return listed


def _over_scenarios(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per method: smallest coverage with its error, width, refusals, draws."""
    groups = table.groupby("method", sort=False)
    lowest = table.loc[groups["coverage"].idxmin().dropna().astype(int)].set_index("method")
    found = lowest[["coverage", "coverage_se"]].copy()
    found["width"] = groups["median_width"].median()
    found["refused"] = groups["refused"].max()
    found["draws"] = groups["draws"].min()
    # only methods that were tried in every scenario can be compared
    return found[groups.size() == groups.size().max()].reset_index()


def _choice(methods: pd.DataFrame, least: float, most_refused: float) -> dict[str, object]:
    offered = methods[methods["refused"] <= most_refused]
    enough = offered[offered["coverage"] >= least]
    if enough.empty:
        best = offered.sort_values(["coverage", "width"], ascending=[False, True]).iloc[0]
    else:
        best = enough.sort_values(["width", "coverage"], ascending=[True, False]).iloc[0]
    return {**{str(name): value for name, value in best.items()}, "reached": not enough.empty}


@checking.checked
def compare_policies(
    simulation: Simulation, policies: Mapping[str, HeadlineChoices | Mapping[str, str]]
) -> Simulation:
    """Return the rows of the method that each policy takes for each number of trials.

    Parameters
    ----------
    simulation : Simulation
        From `simulate` or `read_simulation`.
    policies : mapping of str to HeadlineChoices or mapping
        By name what `choose_headlines` returned, or the method of each word of `NUMBERS`, for all
        measures.

    Returns
    -------
    Simulation
        Its methods are the names of the policies.

    Raises
    ------
    ValueError
        If a number of trials or a method is unknown, or there is no policy.

    Examples
    --------
    >>> import kapmeta as km
    >>> given = km.sensitivity.scenarios({"equal 20": ([20, 20], [20, 20])}, control_risks=[0.3],
    ...                                  effects=[2.0], tau=[0.3])
    >>> study = km.sensitivity.simulate(given, methods=["half-normal 1", "REML, wald"], draws=100)
    >>> compare_policies(study, {"Bayesian": {"2": "half-normal 1"}}).methods
    ['Bayesian']
    """
    source = "come from kapmeta.sensitivity.simulate"
    checking.instance(simulation, Simulation, "simulation", source)
    if not policies:
        raise ValueError("policies must name one policy or more")
    parts = [_as_one(simulation, policy, str(name)) for name, policy in policies.items()]
    return Simulation(pd.concat(parts, ignore_index=True), simulation.level, simulation.seed)


def _as_one(
    simulation: Simulation, policy: HeadlineChoices | Mapping[str, str], name: str
) -> pd.DataFrame:
    """Select the rows of a policy and call their method by its name."""
    if not isinstance(policy, HeadlineChoices | Mapping) or not _rules(simulation, policy):
        raise TypeError(f"policies must come from choose_headlines or be mappings: got {policy!r}")
    table, parts = simulation.table, []
    for measure, words, method in _rules(simulation, policy):
        fewest, most = NUMBERS[checking.chosen(words, NUMBERS, "number of trials")]
        checking.chosen(method, simulation.methods, "method")
        own = (table["measure"] == measure) & (table["method"] == method)
        parts.append(table[own & table["k"].between(fewest, most)])
    return pd.concat(parts, ignore_index=True).assign(method=name)


def _rules(
    simulation: Simulation, policy: HeadlineChoices | Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """List measure, number of trials and method of each rule of a policy."""
    if isinstance(policy, HeadlineChoices):
        columns = policy.table[["measure", "trials", "method"]]
        return [(str(m), str(t), str(name)) for m, t, name in columns.to_numpy()]
    measures = dict.fromkeys(simulation.table["measure"])
    return [(m, words, name) for m in measures for words, name in policy.items()]
