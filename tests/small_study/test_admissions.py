"""Which trials the methods of small-study effects take, and the input they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kapmeta import small_study
from kapmeta.results.effects import Effects
from kapmeta.small_study import asymmetry_test
from tests.helpers.labelled_effects import effects_of


@pytest.mark.parametrize(
    "call",
    [
        asymmetry_test,
        small_study.trim_and_fill,
        small_study.pet_peese,
        small_study.limit_meta_analysis,
        small_study.selection_model,
        small_study.copas,
        small_study.excess_significance,
    ],
)
def test_few_trials_are_refused_unless_forced(call: Callable[..., Any], few: Effects) -> None:
    with pytest.raises(
        ValueError, match="5 studies, and fewer than 1[05] cannot tell bias from chance.*force=True"
    ):
        call(few)
    if call is small_study.selection_model:
        forced = call(few, steps=(0.05,), force=True)
    elif call is small_study.trim_and_fill:
        forced = call(few, side="left", force=True)
    else:
        forced = call(few, force=True)
    assert forced.notes[0].startswith("forced: 5 studies")
    assert "Forced: 5 studies" in forced.summary()


def _same_size(k: int) -> Effects:
    return effects_of(np.arange(k), [0.25] * k)


def _one(measure: str = "GEN") -> Effects:
    return effects_of([0.1], [0.2], measure)


TENTHS = np.arange(1, 12) * 0.1


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "two trials": (
        lambda: asymmetry_test(effects_of([0.1, 0.4], [0.1, 0.2]), force=True),
        "needs at least 3 trials: 2 given",
    ),
    "equal": (lambda: asymmetry_test(_same_size(11)), "singular: its predictor is 0.5 for all 11"),
    "line": (lambda: asymmetry_test(effects_of(TENTHS, TENTHS**2)), "on a straight line exactly"),
    "same": (
        lambda: asymmetry_test(effects_of([0.3] * 11, TENTHS), method="begg"),
        "nothing to rank",
    ),
    "no counts": (
        lambda: asymmetry_test(_same_size(11), method="peters"),
        "needs the counts of both arms",
    ),
    "word": (
        lambda: asymmetry_test(_one(), method="Egger"),
        'unknown asymmetry test "Egger".*; use one of: egger',
    ),
    "type": (lambda: asymmetry_test([0.1, 0.2]), "effects must come from risk_ratio"),  # type: ignore[arg-type]
    "PET": (
        lambda: small_study.pet_peese(_same_size(11)),
        "all 11 trials have the standard error 0.5",
    ),
    "PET line": (
        lambda: small_study.pet_peese(effects_of(TENTHS, TENTHS**2), method="pet"),
        "PET has no residual",
    ),
    "PEESE line": (
        lambda: small_study.pet_peese(effects_of(TENTHS, TENTHS), method="peese"),
        "PEESE has no residual",
    ),
    "no mean": (
        lambda: small_study.fail_safe_n(effects_of([0.0] * 3, [0.1, 0.2, 0.3]), method="orwin"),
        "no effect exactly",
    ),
    "limit": (
        lambda: small_study.limit_meta_analysis(_same_size(11)),
        "is singular: all 11 trials",
    ),
    "copas": (lambda: small_study.copas(_same_size(16)), "needs trials of different size"),
    "copas p": (
        lambda: small_study.copas(_same_size(16), published=(1.0,)),
        "published must lie between",
    ),
    "no side": (lambda: small_study.trim_and_fill(_same_size(11)), "no side to fill"),
    "ratio": (
        lambda: small_study.publication_bias_sensitivity(_one(), ratios=(0.5,)),
        "ratios must be 1 or more",
    ),
    "target": (
        lambda: small_study.fail_safe_n(_one("RR"), method="orwin", target=1.0),
        "must differ from no effect",
    ),
    "negative": (
        lambda: small_study.fail_safe_n(_one("RR"), method="orwin", target=-1.0),
        "target must be positive",
    ),
    "size": (lambda: small_study.fail_safe_n(_one(), size="huge"), 'unknown size "huge"'),
    "idle": (
        lambda: small_study.fail_safe_n(_one(), method="rosenthal", size=0.1, ci="wald"),
        'size and ci would change nothing for method="rosenthal", which uses level',
    ),
    "copas order": (
        lambda: small_study.copas(_same_size(16), published=(0.995,)),
        "must not exceed published_smalles",
    ),
    "copas none": (
        lambda: small_study.copas(_same_size(16), published=()),
        "at least one probability",
    ),
    "size 0": (lambda: small_study.fail_safe_n(_one(), size=0.0), "positive sampling variance"),
}


@pytest.mark.parametrize(("call", "text"), BAD.values(), ids=list(BAD))
def test_bad_input_is_named(call: Callable[[], Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        call()


def test_excluded_and_non_randomised_trials_take_no_part(bcg: Effects) -> None:
    table = bcg.table.assign(randomised=[True] * 12 + [False])
    mixed = Effects(bcg.y, bcg.v, bcg.labels, "OR", table, zero="half-if-any", event_is_good=False)
    assert asymmetry_test(mixed).k == 12
    assert any("set aside as not randomised" in note for note in asymmetry_test(mixed).notes)
    assert asymmetry_test(mixed, mixed=True).k == 13


def test_results_show_themselves(bcg: Effects, smoke: Effects) -> None:
    results = [
        asymmetry_test(bcg),
        small_study.trim_and_fill(smoke),
        small_study.pet_peese(smoke),
        small_study.copas(smoke, published=(0.9,)),
        small_study.limit_meta_analysis(smoke),
        small_study.selection_model(smoke, favoured="positive"),
        small_study.excess_significance(smoke),
        small_study.publication_bias_sensitivity(smoke),
        small_study.fail_safe_n(bcg),
    ]
    for result in results:
        assert isinstance(result.to_frame(), pd.DataFrame)
        assert "Definition: " in result.summary()
        assert "<table" in result._repr_html_()
        assert "k=" in repr(result)
        assert "nan" not in result.summary()
        with pytest.raises(AttributeError):
            result.k = 3
    with pytest.raises(KeyError, match="there are: n"):
        results[-1]["m"]
