"""The bibliography, and which papers a result is cited with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

import kapmeta as km
from kapmeta.core.heterogeneity.tau2 import ESTIMATORS
from kapmeta.core.pooling.intervals import INTERVALS
from kapmeta.core.pooling.prediction import PREDICTIONS
from kapmeta.references import METHOD_KEYS, PAPERS, cited, papers_of
from kapmeta.results.effects import Effects

BCG = km.odds_ratio(km.load_example("bcg"))
Call = Callable[[Effects], Any]


def test_the_bibliography_has_each_paper_once() -> None:
    assert len(set(PAPERS.values())) == len(PAPERS)
    assert set(METHOD_KEYS.values()) <= set(PAPERS)
    assert not set(METHOD_KEYS) & set(PAPERS)
    assert papers_of(["ML", "REML", "no method"]) == [PAPERS["REML"]]
    assert cited("We did it.") == "We did it."
    assert cited("We did it.", "limit") == f"We did it ({PAPERS['limit']})."


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (ESTIMATORS, set()),
        (INTERVALS, {"wald", "t"}),
        ({f"prediction {word}" for word in PREDICTIONS}, {"prediction none"}),
    ],
    ids=["tau2", "ci", "prediction"],
)
def test_every_method_of_a_table_has_a_paper(words: Iterable[str], without: set[str]) -> None:
    assert {word for word in words if not papers_of([word, word.partition("-")[0]])} == without


CITED: dict[str, tuple[Call, set[str]]] = {
    "defaults": (km.pool, {"Viechtbauer", "Knapp", "Higgins"}),
    "others": (
        lambda e: km.pool(e, tau2="SJ", ci="skovgaard", prediction="nnf"),
        {"Veroniki", "Guolo", "Nagashima"},
    ),
    "regression": (
        lambda e: km.meta_regression(e, ["latitude"]),
        {"Thompson", "Viechtbauer", "Knapp"},
    ),
    "subgroups": (lambda e: km.subgroups(e, "allocation"), {"Borenstein", "Viechtbauer"}),
    "Bayes": (lambda e: km.pool_bayes(e, tau_prior=0.5), {"Röver"}),
    "left out": (lambda e: km.leave_one_out(km.pool(e)), {"Viechtbauer", "Knapp"}),
    "influence": (lambda e: km.influence(km.pool(e)), {"Viechtbauer", "Knapp", "Cheung"}),
    "subsets": (lambda e: km.all_subsets(km.pool(e.select(slice(0, 6)))), {"Olkin"}),
    "Egger": (km.asymmetry_test, {"Egger", "Sterne"}),
    "strata": (lambda e: km.mantel_haenszel(km.load_example("bcg")), {"Mantel"}),
    "exact": (lambda e: km.pool_exact(km.load_example("bcg").head(3)), {"Stijnen", "Hardy"}),
}


@pytest.mark.parametrize(("call", "authors"), CITED.values(), ids=list(CITED))
def test_a_result_is_cited_with_all_its_methods(call: Call, authors: set[str]) -> None:
    references = km.cite(call(BCG)).splitlines()[1:]
    assert authors <= {author for author in authors for line in references if author in line}
    assert len(set(references)) == len(references)
    assert not any("Koopman" in line for line in references)
