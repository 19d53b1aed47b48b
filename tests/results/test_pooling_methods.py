"""Methods sentences of pooled results: what a statistical reviewer asks for, for every method."""

from __future__ import annotations

import re

import pandas as pd
import pytest

import kapmeta as km
from kapmeta._version import __version__
from kapmeta.pooling.exact_models import EXACT_MODELS
from kapmeta.references import PAPERS, short_references
from tests.helpers.sparse_data import COLUMNS, frame

THREE = frame("k3_S1S3S5")
RARE = pd.DataFrame(
    [("A", 3, 60, 1, 60), ("B", 4, 80, 2, 90), ("C", 2, 50, 1, 55)], columns=COLUMNS
)
BCG = km.load_example("bcg")
TEXTS = {
    **{f"headline {k}": lambda k=k: km.headline(frame("kap5")[:k]) for k in (1, 2, 5)},
    "headline 3": lambda: km.headline(THREE),
    "headline 13": lambda: km.headline(BCG),
    **{
        model: lambda model=model: km.pool_exact(RARE if model == "CM.AL" else THREE, model=model)
        for model in EXACT_MODELS
    },
    "Mantel-Haenszel": lambda: km.mantel_haenszel(THREE),
    "Peto": lambda: km.peto(THREE),
    "common": lambda: km.pool(km.risk_ratio(THREE), model="common"),
    "Bayes": lambda: km.pool_bayes(THREE),
    "Bayes, odds": lambda: km.pool_bayes(THREE, measure="OR"),
    "Bayes, one": lambda: km.pool_bayes(THREE[:1]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_no_sentence_begins_with_a_digit_and_the_software_is_named_once(name: str) -> None:
    text = TEXTS[name]().methods_text()
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        assert not sentence[0].isdigit(), sentence
    assert text.count(f"kapmeta {__version__}") == 1
    assert "registered" not in text
    assert "changed no table" not in text
    assert "nan" not in text
    assert ".." not in text
    assert len(set(re.split(r"(?<=[.!?])\s+", text))) == len(re.split(r"(?<=[.!?])\s+", text))


@pytest.mark.parametrize(
    ("name", "phrases"),
    {
        "headline 1": ["Koopman's score interval (Koopman 1984)", "nothing was pooled"],
        "headline 2": ["Bayesian random-effects meta-analysis (Röver 2020) of 2 studies"],
        "headline 3": ["0.5 was added to all four cells", "(Jackson 2017), here the"],
        "headline 13": ["(REML) (Viechtbauer 2005)", "(Viechtbauer 2007)", "No trial had an empty"],
        "binomial-normal": [
            "control risk profiled out",
            "without continuity correction (Stijnen 2010)",
            "narrow with few heterogeneous trials",
            "All 3 trials have information on the risk ratio",
        ],
        "CM.EL": ["exact conditional likelihood of the log odds ratio"],
        "beta-binomial": ["log link", "(Kuss 2015)", "pairing", "4 degrees of freedom"],
        "conditional": ["exact conditional distribution", "no heterogeneity is allowed for"],
        "Mantel-Haenszel": ["variance of Greenland and Robins (1985)", "without continuity"],
        "Peto": ["unequal size", "effects are large", "events are common"],
        "Bayes": ["control risk profiled out"],
        "Bayes, odds": ["exact conditional likelihood"],
        "Bayes, one": ["own posterior distribution", "Priors: effect normal"],
    }.items(),
)
def test_the_sentences_say_what_was_done(name: str, phrases: list[str]) -> None:
    text = TEXTS[name]().methods_text()
    for phrase in phrases:
        assert phrase in text


def test_only_the_conditional_odds_ratio_is_called_exact() -> None:
    for measure in ("RR", "RD"):
        text = km.pool_exact(THREE, model="binomial-common", measure=measure).methods_text()
        assert "exact" not in text
        assert "profile" in text


def test_the_interval_taken_of_the_hybrid_is_the_one_named() -> None:
    alike = pd.DataFrame(
        [("A", 40, 100, 20, 100), ("B", 41, 100, 20, 100), ("C", 40, 100, 21, 100)], columns=COLUMNS
    )
    assert "here the Wald interval" in km.pool(km.risk_ratio(alike)).methods_text()
    assert "here the Hartung-Knapp interval" in km.pool(km.risk_ratio(BCG)).methods_text()


def test_every_paper_has_a_first_author_and_a_year() -> None:
    for key in PAPERS:
        assert re.fullmatch(r" \([^\d()]+ (19|20)\d\d\)", short_references(key)), key
    assert short_references("few trials") == " (Sterne 2011)"
    assert short_references("no method") == ""
