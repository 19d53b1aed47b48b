"""Which results are favoured, what a side means, and measures that compare nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kapmeta as km
from kapmeta.results.effects import Effects
from tests.helpers.labelled_effects import effects_of

Y = np.array([0.1, 0.2, 0.15, 0.4, 0.3, 0.6, 0.2, 0.7, 0.9, 0.5, 1.1, 0.8])
V = np.linspace(0.02, 0.5, 12)


def of_direction(event_is_good: bool | None) -> Effects:
    words = {"event": "death", "treatment": "drug", "control": "placebo"}
    return effects_of(Y, V, "RR", event_is_good=event_is_good, **words)


PROPORTIONS = km.proportion(
    pd.DataFrame({"study": list("ABCDEFGHIJKL"), "events": range(1, 13), "n": range(20, 80, 5)})
)
NEED_DIRECTION: dict[str, Callable[..., Any]] = {
    "pet_peese": km.pet_peese,
    "selection_model": lambda e, **words: km.selection_model(e, delta=(1, 0.5), **words),
    "publication_bias_sensitivity": km.publication_bias_sensitivity,
    "copas": lambda e, **words: km.small_study.copas(e, published=(0.9,), force=True, **words),
}


@pytest.mark.parametrize("name", NEED_DIRECTION)
def test_what_needs_the_direction_refuses_with_the_argument_to_give(name: str) -> None:
    call = NEED_DIRECTION[name]
    with pytest.raises(ValueError, match="event_is_good=False") as refusal:
        call(of_direction(None))
    assert 'or give favoured="positive" or "negative"' in str(refusal.value)
    for good, favoured in ((True, "positive"), (False, "negative")):
        told, named = call(of_direction(good)), call(of_direction(None), favoured=favoured)
        pd.testing.assert_frame_equal(told.to_frame(), named.to_frame())


@pytest.mark.parametrize("method", ["pet", "peese"])
def test_pet_alone_needs_no_direction(method: str) -> None:
    found = km.pet_peese(of_direction(None), method=method)
    assert found.estimate == km.pet_peese(of_direction(True), method=method).estimate
    assert math.isnan(found.parameters["pet_one_sided_p_value"])
    assert "one_sided" not in found.summary()


def test_trim_and_fill_says_what_its_side_means() -> None:
    assert (
        "missing on the left (fewer deaths with drug)"
        in km.trim_and_fill(of_direction(None)).definition
    )
    bad = km.trim_and_fill(of_direction(False))
    assert "missing on the left (Favours drug)" in bad.definition
    right = km.trim_and_fill(of_direction(None), side="right")
    assert "missing on the right (more deaths with drug)" in right.definition
    assert "missing on the" in km.trim_and_fill(PROPORTIONS).definition
    assert "(" not in km.trim_and_fill(PROPORTIONS).definition.partition(", trimmed")[0]


@pytest.mark.parametrize(
    "call",
    [*NEED_DIRECTION.values(), km.small_study.fail_safe_n, km.small_study.excess_significance],
)
def test_one_group_has_no_effect_to_be_judged_against(call: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"no effect, which a proportion \(logit\) does not have"):
        call(PROPORTIONS)


def test_one_group_is_told_without_arms() -> None:
    for found in (
        km.asymmetry_test(PROPORTIONS),
        km.trim_and_fill(PROPORTIONS),
        km.limit_meta_analysis(PROPORTIONS),
        km.pet_peese(PROPORTIONS, method="pet"),
    ):
        assert "against control" not in found.methods_text()
        assert "the proportion (logit) of event in 12 studies" in found.methods_text()


SMOKE = effects_of(Y, V, "OR")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: km.trim_and_fill(SMOKE, force="yes"), "force must be True or False"),
        (lambda: km.trim_and_fill(SMOKE, tau2=True), "tau2"),
        (lambda: km.trim_and_fill(SMOKE, side="up"), 'unknown side "up"'),
        (lambda: km.pet_peese(SMOKE, level=95), "use 0.95 for 95 %"),
        (lambda: km.limit_meta_analysis(SMOKE, tau2="XX"), "XX"),
        (lambda: km.limit_meta_analysis(SMOKE, tau2=True), "tau2"),
        (lambda: km.small_study.excess_significance(SMOKE, tau2=True), "tau2"),
        (lambda: km.small_study.excess_significance(SMOKE, tau2=-1.0), "tau2"),
        (lambda: km.small_study.fail_safe_n(SMOKE, tau2="XX"), "XX"),
        (lambda: km.small_study.fail_safe_n(SMOKE, ci="XX"), "XX"),
        (lambda: km.small_study.fail_safe_n(SMOKE, size=math.nan), "size must be"),
        (
            lambda: km.small_study.fail_safe_n(SMOKE, method="orwin", target=math.nan),
            "target must be a finite number",
        ),
        (lambda: km.publication_bias_sensitivity(SMOKE, target="none"), "target must be a number"),
        (lambda: km.publication_bias_sensitivity(SMOKE, ratios=2), "ratios must be"),
        (lambda: km.publication_bias_sensitivity(SMOKE, ratios=["2"]), "ratios must be"),
        (lambda: km.selection_model(SMOKE, steps="0.5"), "steps must be"),
        (lambda: km.selection_model(SMOKE, delta=(1, math.nan)), "delta must be"),
        (lambda: km.selection_model(SMOKE, two_sided=1), "two_sided must be True or False"),
        (lambda: km.small_study.copas(SMOKE, published=0.9), "published must be"),
        (lambda: km.small_study.copas(SMOKE, published=("0.9",)), "published must be"),
        (lambda: km.asymmetry_test(SMOKE, method=3), "unknown asymmetry test"),
        (lambda: km.asymmetry_test(None), "effects must"),
        (
            lambda: km.small_study.e_value(
                km.pool(effects_of([0.2], [0.4], "RR")), common_outcome=True
            ),
            "common_outcome would change nothing",
        ),
        (
            lambda: km.small_study.e_value(km.pool(SMOKE), common_outcome="yes"),
            "common_outcome must be True or False",
        ),
    ],
)
def test_arguments_are_used_or_refused_by_name(call: Callable[[], Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as refusal:
        call()
    assert said in str(refusal.value)
