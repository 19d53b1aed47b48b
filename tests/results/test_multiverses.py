"""Multiverse: the methods paragraph of every combination of choices."""

from __future__ import annotations

from typing import Any

import kapmeta as km
from tests.sensitivity.test_multiverses import PLAIN


def test_the_multiverse_names_its_choices_and_what_was_permuted() -> None:
    choices: dict[str, Any] = {"measure": ["OR"], "pooling": ["DL", "conditional"], "ci": ["wald"]}
    found = km.multiverse(PLAIN, choices=choices, permutations=20)
    text = found.methods_text()
    assert (
        f"All {len(found.table)} combinations of the declared choices (zero: half-if-any,"
        " treatment-arm, " in text
    )
    assert "pooling: DL, conditional; ci: wald, exact; 26 sets of the 5 studies)" in text
    assert (
        "shuffled within trials 20 times and the analyses done again, exact models (conditional)"
        " apart" in text
    )
    assert "Simonsohn" in text
    plain = km.multiverse(PLAIN, choices=choices, subsets=False, level=0.9).methods_text()
    assert "shuffled" not in plain
    assert "intervals at 90 %" in plain
    single = km.multiverse(
        PLAIN, choices={"measure": ["OR"], "ci": ["wald"], "pooling": ["DL"]}, smallest=1
    )
    unanswered = len(single.table) - len(single.answered)
    assert (
        unanswered == 10
    )  # one trial has no between-study variance: five trials, two zero-cell rules
    assert f" {unanswered} have no answer and are kept with the reason" in single.methods_text()
