"""One valid call of every public function of the rooms, for tests that change an argument."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import kapmeta as km
from tests.helpers.places import ROOT

ROOMS = (
    "effects",
    "pooling",
    "sensitivity",
    "moderators",
    "small_study",
    "certainty",
    "plot",
    "review",
)
DOORS = ("load_example", "cite")  # public, and in no room


class Call(NamedTuple):
    """A public function with arguments by name that it accepts."""

    function: Callable[..., Any]
    arguments: dict[str, Any]


class Argument(NamedTuple):
    """An argument of a public function and the kind it is annotated with."""

    name: str
    annotation: str


@cache
def trials() -> pd.DataFrame:
    """Return five trials with everything that a function of counts can ask for."""
    return pd.DataFrame(
        {
            "study": list("ABCDE"),
            "events_t": [12, 9, 20, 7, 15],
            "n_t": [40, 35, 61, 30, 50],
            "events_c": [5, 6, 11, 2, 3],
            "n_c": [41, 33, 60, 29, 52],
            "missing_t": [2, 0, 3, 1, 0],
            "missing_c": [1, 0, 4, 2, 1],
            "completers_t": [38, 35, 58, 29, 50],
            "completers_c": [40, 33, 56, 27, 51],
            "year": [2001, 2003, 2007, 2012, 2019],
            "dose": [1.0, 2.5, 0.5, 3.0, 2.0],
            "kind": list("xxyyy"),
            "months": [6, 3, 12, 6, 9],
            "risk_of_bias": ["low", "low", "high", "some concerns", "low"],
            "event": "recovery",
            "event_is_good": True,
            "treatment": "drug",
            "control": "placebo",
        }
    )


def _two_per_study() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": list("AABBCCDDEE"),
            "comparison_id": range(10),
            "effect": range(10),
            "outcome": ["use", "craving"] * 5,
            "months": [3, 6] * 5,
            "y": [0.5, 0.3, 0.2, 0.1, 0.7, 0.6, 0.4, 0.2, 0.1, 0.3],
            "v": [0.04, 0.05] * 5,
        }
    )


def _one_over_time() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": "A",
            "months": [1, 3, 6],
            "events_t": [18, 14, 10],
            "n_t": 30,
            "events_c": [10, 6, 4],
            "n_c": 31,
        }
    )


def _arms() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": ["K"] * 4,
            "arm": ["d+t", "d+e", "p+t", "p+e"],
            "drug": ["drug", "drug", "placebo", "placebo"],
            "dose": [1, 1, 0, 0],
            "therapy": ["therapy", "education", "therapy", "education"],
        }
    )


def _shared() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": ["A", "A"],
            "comparison_id": [1, 2],
            "treatment": ["high", "low"],
            "control": ["placebo"] * 2,
            "events_t": [10, 8],
            "n_t": [24, 24],
            "events_c": [4, 4],
            "n_c": [25, 25],
        }
    )


def _effects() -> dict[str, dict[str, Any]]:
    means = pd.DataFrame(
        {
            "study": list("ABC"),
            "mean_t": [5.0, 6.0, 7.0],
            "sd_t": [2.0, 2.5, 2.2],
            "n_t": [20, 25, 30],
            "mean_c": [4.0, 5.5, 5.0],
            "sd_c": [2.1, 2.0, 2.4],
            "n_c": [21, 24, 29],
        }
    )
    arms = pd.DataFrame({"study": list("ABC"), "events": [3, 4, 9], "n": [10, 20, 30]})
    rates = pd.DataFrame(
        {
            "study": list("ABC"),
            "events_t": [3, 4, 9],
            "time_t": [10.0, 20.0, 30.0],
            "events_c": [5, 6, 7],
            "time_c": [11.0, 21.0, 31.0],
        }
    )
    printed = pd.DataFrame(
        {
            "study": list("ABC"),
            "estimate": [0.8, 1.2, 1.5],
            "low": [0.4, 0.8, 1.0],
            "high": [1.6, 1.8, 2.25],
        }
    )
    counts, of_means = {"trials": trials()}, {"trials": means}
    return {
        **dict.fromkeys(
            ("risk_ratio", "odds_ratio", "risk_difference", "from_counts", "complement"), counts
        ),
        **dict.fromkeys(("arcsine_difference", "peto_odds_ratio"), counts),
        **dict.fromkeys(
            ("mean_difference", "standardized_mean_difference", "ratio_of_means"), of_means
        ),
        "proportion": {"frame": arms},
        "correlation": {"frame": pd.DataFrame({"study": ["A", "B"], "r": [0.3, 0.5], "n": 40})},
        "rate_ratio": {"trials": rates},
        "reported": {"frame": printed, "measure": "OR"},
        "generic": {"frame": pd.DataFrame({"study": ["A", "B"], "y": [0.1, 0.3], "v": 0.04})},
        "event_free_curve": {"trials": _one_over_time()},
        "event_free_time": {"trials": _one_over_time(), "horizon": 6.0},
        "hazard_ratio": {"trials": _one_over_time()},
        "contrasts": {"arms": _arms()},
        "reserved_columns": {},
        "combine_arms": {"rows": _shared(), "trials": _shared()},
        "refuse_double_counting": {"comparisons": trials()},
        "sampling_covariance": {"effects": km.risk_ratio(_shared())},
    }


def _pooling() -> dict[str, dict[str, Any]]:
    effects = km.risk_ratio(trials())
    field = {"field": "Drugs and Alcohol", "measure": "RR"}
    return {
        "pool": {"effects": effects},
        "mantel_haenszel": {"trials": trials()},
        "peto": {"trials": trials()},
        "pool_exact": {"trials": trials()},
        "pool_bayes": {"effects_or_trials": effects},
        "headline": {"effects_or_trials": trials()},
        "headline_effect": {"pooled": km.pool(effects)},
        "half_normal": {"scale": 0.5},
        "half_cauchy": {"scale": 0.5},
        "uniform": {"upper": 2.0},
        "log_normal": {"mean": -2.0, "sd": 1.0},
        "turner": {},
        "rhodes": {},
        **dict.fromkeys(("empirical", "empirical_mean"), field),
        "inverse_gamma": {"shape": 1.5, "scale": 0.2},
    }


def _supposed() -> dict[str, Any]:
    return {
        "arms": {"equal": ([20, 20], [20, 20])},
        "control_risks": [0.3],
        "effects": [2.0],
        "tau": [0.3],
    }


def _simulation() -> Any:
    given = km.sensitivity.scenarios(**_supposed())
    return km.sensitivity.simulate(given, methods=["half-normal 1"], draws=100)


def _sensitivity() -> dict[str, dict[str, Any]]:
    effects = km.risk_ratio(trials())
    pooled = {"pooled": km.pool(effects)}
    counts = {"trials": trials()}
    return {
        **dict.fromkeys(
            ("leave_one_out", "leave_two_out", "influence", "baujat", "cumulative", "all_subsets"),
            pooled,
        ),
        **dict.fromkeys(
            ("missing_outcomes", "multiverse", "fragility_index", "zero_rules", "rounded_counts"),
            counts,
        ),
        **dict.fromkeys(("pooled_measures", "sensitivity_table"), counts),
        "unread_trial": {"result": pooled["pooled"], "n_t": 39, "n_c": 19},
        "every_measure": {"trials": trials().head(1)},
        "tipping_point": {"trials": trials().head(1)},
        "at_time": {"trials": trials(), "rule": "longest"},
        "estimator_table": {"effects": effects},
        "scenarios": _supposed(),
        "simulate": {
            "given": km.sensitivity.scenarios(**_supposed()),
            "methods": ["half-normal 1"],
            "draws": 100,
        },
        "read_simulation": {"file": str(ROOT / "results" / "policy-performance.csv")},
        "choose_headlines": {"simulation": _simulation()},
        "compare_policies": {
            "simulation": _simulation(),
            "policies": {"one": {"2": "half-normal 1"}},
        },
        "calibration": {
            **counts,
            "draws": 20,
            "true_effects": (1.0,),
            "tau": (0.0,),
            "intervals": (("DL", "wald"),),
        },
    }


def _moderators() -> dict[str, dict[str, Any]]:
    effects = km.risk_ratio(trials())
    several = km.generic(_two_per_study())
    full = km.meta_regression(effects, ["dose"], tau2="ML", ci="wald")
    reduced = km.meta_regression(effects, np.ones((5, 1)), tau2="ML", ci="wald", intercept=False)
    return {
        "subgroups": {"effects": effects, "by": "kind"},
        "meta_regression": {"effects": effects, "moderators": ["dose"]},
        "likelihood_ratio": {"full": full, "reduced": reduced},
        "multilevel": {"effects": several},
        "multivariate": {"effects": several, "outcome": "outcome", "rho": 0.5},
        "robust": {"fitted": several},
        "aggregate": {"effects": several, "rho": 0.5},
    }


def _small_study() -> dict[str, dict[str, Any]]:
    effects = km.risk_ratio(trials())
    many = km.risk_ratio(km.load_example("bcg").assign(event_is_good=False))
    names = ["excess_significance", "fail_safe_n", "publication_bias_sensitivity"]
    forced = "asymmetry_test trim_and_fill pet_peese selection_model limit_meta_analysis copas"
    return {
        "e_value": {"pooled": km.pool(effects)},
        **{name: {"effects": many} for name in names},
        **{name: {"effects": many, "force": True} for name in forced.split()},
    }


def _certainty() -> dict[str, dict[str, Any]]:
    effects = km.risk_ratio(trials())
    pooled = km.pool(effects)
    grade = pd.DataFrame(
        {
            "question": ["pain"] * 2,
            "domain": ["imprecision", "inconsistency"],
            "judgement": ["serious", "not serious"],
            "levels_down": [1, 0],
            "reason": ["93 people", "one trial"],
            "status": "agreed",
        }
    )
    answers = pd.DataFrame(
        {"study": "A", "question": ["1.1", "1.2", "1.3"], "answer": ["Y", "PY", "N"], "reason": "r"}
    )
    return {
        "absolute_effects": {"pooled": pooled, "baseline": 0.2},
        "number_needed_to_treat": {"pooled": pooled, "baseline": 0.2},
        "information_size": {"pooled": pooled, "risk_ratio": 1.5, "baseline": 0.2},
        "summary_of_findings": {"results": {"recovery": pooled}, "baseline": 0.2},
        "certainty_table": {"grade": grade},
        "rob2_judgements": {"answers": answers},
        "robins_i_overall": {
            "domains": {
                "D1": "serious",
                **dict.fromkeys(["D2", "D3", "D4", "D5", "D6", "D7"], "moderate"),
            }
        },
        "low_risk_only": {"effects": effects},
        "bias_adjusted": {"effects": effects, "biased": ["A"], "shift": 0.2},
        "imprecision": {
            "absolute": km.absolute_effects(pooled, baseline=0.2),
            "thresholds": [50.0],
        },
        "probability_beyond": {
            "posterior": km.pool_bayes(effects),
            "difference": 0.05,
            "baseline": 0.2,
        },
    }


def _plot() -> dict[str, dict[str, Any]]:
    effects = km.risk_ratio(trials())
    pooled = km.pool(effects)
    judged = pd.DataFrame({"study": ["A", "B"], "domain": "D1", "judgement": ["low", "high"]})
    grid = pd.DataFrame(
        {
            "treated": [0.1, 0.1, 0.3, 0.3],
            "controls": [0.1, 0.3, 0.1, 0.3],
            "estimate": [1.5, 1.2, 1.9, 1.6],
            "low": [1.0, 0.8, 1.2, 1.05],
            "high": [2.2, 1.8, 3.0, 2.5],
        }
    )
    bayes = km.pool_bayes(effects)
    course = pd.DataFrame(
        {
            "arm": ["new", "new", "control", "control"],
            "months": [1, 6, 1, 6],
            "proportion": [0.6, 0.4, 0.3, 0.1],
        }
    )
    results = {
        **dict.fromkeys(("forest", "forest_pages", "funnel", "labbe", "radial"), pooled),
        **dict.fromkeys(("drapery", "size"), pooled),
        **dict.fromkeys(("risk_of_bias", "risk_of_bias_summary"), judged),
        **dict.fromkeys(("posterior", "prior_scale"), bayes),
        "baujat": km.baujat(pooled),
        "influence": km.influence(pooled),
        "sweep": km.leave_one_out(pooled),
        "bubble": km.meta_regression(effects, ["dose"]),
        "gosh": km.all_subsets(km.pool(effects, model="common")),
        "flow_diagram": pd.DataFrame(
            {"label": ["found", "left"], "n": [9, 2], "aside": [False, True], "detail": ""}
        ),
        "follow_up": course,
        "multiverse": km.multiverse(trials().head(2), subsets=False),
        "tipping": grid,
        **dict.fromkeys(("coverage_by_width", "coverage_by_tau"), _simulation()),
        "unread_trial": km.sensitivity.unread_trial(pooled, n_t=39, n_c=19),
    }
    axes = km.plot.radial(pooled)
    return {
        **{name: {"result": result} for name, result in results.items()},
        "save": {"figure": axes, "stem": "figure"},
        "alt_text": {"figure": axes},
        "Column": {"name": "year"},
    }


def _review() -> dict[str, dict[str, Any]]:
    evidence = {"evidence": km.load_evidence()}
    question = {**evidence, "question": "cocaine-end-of-trial"}
    of_evidence = (
        "answers audit_claims check_bias_judgements check_claims evidence_table"
        " question_certainty substances_table summary_of_findings"
    )
    return {
        **dict.fromkeys(of_evidence.split(), evidence),
        "write_page": {**evidence, "folder": "page"},
        **dict.fromkeys(("answer", "question_effects"), question),
        "conclusion": {"pooled": km.pool(km.risk_ratio(trials()))},
        "could_change": {**evidence, "study": "yoon2025", "question": "alcohol-randomised"},
        "load_evidence": {},
    }


_ROOM_CALLS: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
    "effects": _effects,
    "pooling": _pooling,
    "sensitivity": _sensitivity,
    "moderators": _moderators,
    "small_study": _small_study,
    "certainty": _certainty,
    "plot": _plot,
    "review": _review,
}


def public_functions(room: str) -> list[str]:
    """List the functions that a room offers."""
    offered = importlib.import_module(f"kapmeta.{room}")
    return [name for name in dir(offered) if inspect.isfunction(getattr(offered, name))]


@cache
def calls(room: str) -> dict[str, Call]:
    """Return a valid call of each public function of a room, by name."""
    offered = importlib.import_module(f"kapmeta.{room}")
    found = {}
    for name, arguments in _ROOM_CALLS[room]().items():
        function = getattr(offered, name)
        known = {argument.name for argument in arguments_of(function)}
        found[name] = Call(function, {k: v for k, v in arguments.items() if k in known})
    return found


def arguments_of(function: Callable[..., Any]) -> list[Argument]:
    """List the arguments of a function; those of a table of keywords one by one."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.VAR_KEYWORD:
            found.append(Argument(parameter.name, str(parameter.annotation)))
            continue
        words = str(parameter.annotation).removeprefix("Unpack[").removesuffix("]")
        table = getattr(importlib.import_module(function.__module__), words, None)
        annotations = {} if table is None else typing.get_type_hints(table)
        found += [Argument(name, _written(kind)) for name, kind in annotations.items()]
    return found


def _written(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
