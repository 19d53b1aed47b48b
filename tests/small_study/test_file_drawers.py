"""Fail-safe numbers by every method."""

from __future__ import annotations

import pytest

from kapmeta import small_study
from kapmeta.results.effects import Effects
from tests.helpers.labelled_effects import effects_of


@pytest.mark.parametrize("method", sorted(small_study.FAIL_SAFE))
def test_fail_safe_methods(bcg: Effects, method: str) -> None:
    found = small_study.fail_safe_n(bcg, method=method)
    assert found["n"] >= 0
    assert found.sentences[0]
    if method == "null-studies":
        smaller = small_study.fail_safe_n(bcg, size="largest", ci="wald")["n"]
        assert smaller <= small_study.fail_safe_n(bcg, size="smallest", ci="wald")["n"]


def test_null_studies_for_one_trial() -> None:
    found = small_study.fail_safe_n(
        effects_of([0.9], [0.05]), size="median", tau2="REML", ci="wald"
    )
    assert found["n"] >= 1
