"""Every result offers the paragraph for a paper, and what small-study results say in theirs."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

import kapmeta as km
from kapmeta.results.effects import Effects
from kapmeta.small_study import TESTS


def result_classes() -> Iterator[type]:
    """Frozen public classes of the package that turn into a table."""
    for module in pkgutil.walk_packages(km.__path__, "kapmeta."):
        if module.name.endswith("__main__"):
            continue
        for name, found in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            here = found.__module__ == module.name and not name.startswith("_")
            if here and dataclasses.is_dataclass(found) and hasattr(found, "to_frame"):
                yield found


CLASSES = list(result_classes())


def test_the_classes_are_found() -> None:
    assert {
        "Effects",
        "Pooled",
        "Sweep",
        "Posterior",
        "MetaRegression",
        "AsymmetryTest",
        "Multiverse",
    } <= {one.__name__ for one in CLASSES}


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_every_result_has_its_views(one: Any) -> None:
    assert one.__dataclass_params__.frozen
    for name in ("summary", "methods_text", "_repr_html_"):
        assert callable(getattr(one, name, None)), f"{one.__name__} has no {name}()"
    assert inspect.getdoc(one.methods_text)


SMOKING = km.load_example("passive_smoking")
SMOKE = km.generic(SMOKING, y="y", v="v", measure="OR", event_is_good=True)
BCG = km.odds_ratio(km.load_example("bcg"))
FEW = BCG.select([0, 3, 4, 7])
Call = Callable[[Effects], Any]
MANY: dict[str, tuple[Call, str, str]] = {
    **{
        method: (
            lambda e, method=method: km.asymmetry_test(e, method=method),
            "for asymmetry by",
            "10.1136/bmj.d4002",
        )
        for method in TESTS
    },
    "trim and fill": (km.trim_and_fill, "by trim and fill", "10.1111/j.0006-341x.2000.00455.x"),
    "PET-PEESE": (km.pet_peese, "by PE", "10.1002/jrsm.1095"),
    "limit": (km.limit_meta_analysis, "by limit meta-analysis", "10.1093/biostatistics/kxq046"),
    "selection": (
        lambda e: km.selection_model(e, weight="beta"),
        "by beta selection model",
        "10.1037/met0000119",
    ),
    "weights": (
        lambda e: km.selection_model(e, delta=(1, 0.5)),
        "weights given",
        "10.1037/1082-989X.10.4.428",
    ),
    "other weights": (
        lambda e: km.selection_model(e, weight="power"),
        "power function",
        "2753.2003.00457.x",
    ),
    "copas": (
        lambda e: km.small_study.copas(e, force=True, published=(0.9,)),
        "Copas selection",
        "10.1177/096228020101000402",
    ),
    "excess": (
        km.small_study.excess_significance,
        "Test of excess significance",
        "10.1177/1740774507079441",
    ),
}
ANY: dict[str, tuple[Call, str, str]] = {
    "S-value": (
        km.publication_bias_sensitivity,
        "Publication bias sensitivity",
        "10.1111/rssc.12440",
    ),
    "null studies": (
        km.small_study.fail_safe_n,
        "Null studies it would take",
        "10.1037/0033-2909.86.3.638",
    ),
    "Orwin": (
        lambda e: km.small_study.fail_safe_n(e, method="orwin"),
        "Orwin's",
        "10.3102/10769986008002157",
    ),
    "Rosenberg": (
        lambda e: km.small_study.fail_safe_n(e, method="rosenberg"),
        "Rosenberg's",
        "0014-3820.2005.tb01004.x",
    ),
    "E-value": (
        lambda e: km.small_study.e_value(km.pool(e), common_outcome=False),
        "E-value",
        "10.7326/M16-2607",
    ),
}


@pytest.mark.parametrize(("call", "words", "doi"), {**MANY, **ANY}.values(), ids=[*MANY, *ANY])
def test_method_definition_number_and_paper(call: Call, words: str, doi: str) -> None:
    found = call(BCG)
    text = found.methods_text()
    assert "the odds ratio of tuberculosis (BCG vaccine against no vaccine) in 13 studies" in text
    assert words in text
    assert f"Definition followed: {found.definition}" in text
    assert doi in text.partition("References: ")[2]
    assert "nan" not in text
    assert ".." not in text


@pytest.mark.parametrize("call", [call for call, *_ in ANY.values()], ids=list(ANY))
def test_few_trials_show_only_what_bias_it_would_take(call: Call) -> None:
    assert (
        "With 4 studies this says what bias it would take, not whether there is any."
        in call(FEW).methods_text()
    )
    assert "With 13 studies" not in call(BCG).methods_text()


def test_a_forced_test_states_its_caveat() -> None:
    text = km.asymmetry_test(FEW, force=True).methods_text()
    assert "Forced: 4 studies, and fewer than 10 cannot tell bias from chance" in text
    assert "would be found in" in text


def test_effects() -> None:
    zero = km.load_example("bcg").assign(events_t=lambda t: t["events_t"].where(t.index != 2, 0))
    text = km.risk_ratio(zero).methods_text()
    assert "risk ratios of tuberculosis (BCG vaccine against no vaccine)" in text
    assert "One estimate from each of 13 studies is given with its Wald interval." in text
    assert "0.5 was added to all four cells of the one trial with an empty cell" in text
    assert 'zero-cell rule "half-if-any"' in text
    whole = km.risk_ratio(km.load_example("bcg")).methods_text()
    assert 'No trial had an empty cell (zero-cell rule "half-if-any").' in whole


def test_follow_up() -> None:
    rows = pd.DataFrame(
        {
            "study": ["A"] * 3,
            "months": [1, 3, 6],
            "n_t": [30] * 3,
            "n_c": [31] * 3,
            "events_t": [18, 14, 10],
            "events_c": [10, 6, 4],
        }
    )
    text = km.effects.event_free_curve(rows).methods_text()
    assert "in A was followed over 1, 3 and 6 months" in text
    assert "no correlation was assumed" in text
