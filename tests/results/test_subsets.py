"""Subsets: the methods paragraph of the analysis of every subset."""

from __future__ import annotations

import kapmeta as km
from tests.sensitivity.test_multiverses import PLAIN


def test_subsets_say_how_many_and_which() -> None:
    main = km.pool(km.risk_ratio(PLAIN), tau2="DL", ci="wald")
    assert (
        "in 31 subsets of the studies, all with 1 or more (Olkin"
        in km.all_subsets(main).methods_text()
    )
    assert (
        "in 16 subsets of the studies, all with 3 or more"
        in km.all_subsets(main, smallest=3).methods_text()
    )
    assert (
        "in a random sample of 40 subsets of the studies (Olkin"
        in km.all_subsets(main, sample=40).methods_text()
    )
