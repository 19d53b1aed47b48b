"""Keywords that are True or False take nothing else, in every public function."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from tests.repository.test_surface import FUNCTIONS, PUBLIC

K = 12


@cache
def trials() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    n = rng.integers(30, 60, K)
    return pd.DataFrame(
        {
            "study": [f"Study {i}" for i in range(K)],
            "events_t": rng.integers(8, 25, K),
            "n_t": n,
            "events_c": rng.integers(4, 20, K),
            "n_c": n + 1,
            "randomised": True,
            "outcome": ["use", "craving"] * (K // 2),
            "year": np.arange(2000, 2000 + K),
            "dose_t": [1.0, 2.0] * (K // 2),
            "dose_c": 0.5,
            "missing_t": 1,
            "missing_c": 2,
            "event_is_good": True,
            "percent_t": np.nan,
            "percent_c": np.nan,
        }
    )


def paired() -> pd.DataFrame:
    """Return rows of six trials with two outcomes each."""
    frame = trials().drop(columns="events_t")
    return pd.DataFrame(
        {
            "study": [f"Study {i // 2}" for i in range(K)],
            "comparison_id": range(K),
            "outcome": frame["outcome"],
            "y": np.linspace(0.1, 0.9, K),
            "v": 0.05,
        }
    )


FIRST: dict[str, Any] = {
    "effects": lambda: km.risk_ratio(trials()),
    "effects_or_trials": trials,
    "trials": trials,
    "fitted": lambda: km.risk_ratio(trials()),
    "pooled": lambda: km.pool(km.odds_ratio(trials())),
    "frame": lambda: pd.DataFrame({"study": ["A"], "y": [0.1], "v": [0.2]}),
    "grade": lambda: pd.DataFrame({"domain": ["imprecision"], "judgement": ["serious"]}),
}
OTHERS: dict[str, dict[str, Any]] = {
    "multilevel": {"effects": lambda: km.generic(paired()), "rho": 0.5},
    "multivariate": {"effects": lambda: km.generic(paired()), "outcome": "outcome", "rho": 0.5},
    "aggregate": {"effects": lambda: km.generic(paired()), "rho": 0.5},
    "meta_regression": {"moderators": "year"},
    "subgroups": {"by": "outcome"},
    "robust": {"rho": 0.5},
    "reported": {
        "frame": lambda: pd.DataFrame({"study": ["A"], "estimate": [0.5], "se": [0.2]}),
        "measure": "OR",
    },
    "rate_ratio": {"trials": lambda: trials().assign(time_t=10.0, time_c=10.0)},
    "selection_model": {"steps": (0.025,)},
    "multiverse": {"trials": lambda: trials().iloc[:3]},
}
FLAGS = [
    (name, parameter.name)
    for name in FUNCTIONS
    for parameter in inspect.signature(PUBLIC[name]).parameters.values()
    if parameter.annotation in ("bool", "bool | None") and name != "certainty_table"
]


def test_there_are_flags_to_examine() -> None:
    assert len(FLAGS) > 45


@pytest.mark.parametrize("wrong", ["no", 2, np.nan])
@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_a_flag_is_true_or_false(name: str, flag: str, wrong: Any) -> None:
    function, given = PUBLIC[name], dict(OTHERS.get(name, {}))
    first = next(iter(inspect.signature(function).parameters))
    given.setdefault(first, FIRST[first])
    given = {key: value() if callable(value) else value for key, value in given.items()}
    with pytest.raises(TypeError, match=f"^{flag} must be True or False: got "):
        function(given.pop(first), **given, **{flag: wrong})
