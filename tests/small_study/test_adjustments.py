"""Trim and fill and PET-PEESE: against R, directions and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kapmeta import small_study
from kapmeta.results.effects import Effects
from tests.helpers.labelled_effects import effects_of
from tests.helpers.r_values import records


def test_passive_smoking(smoke: Effects) -> None:
    """Worked values of the method specification through the front."""
    filled = small_study.trim_and_fill(smoke, tau2="DL", ci="wald")
    assert filled.parameters["filled"] == 7
    assert_allclose([filled.estimate, filled.se], [0.173923528441, 0.0487015026641], rtol=1e-9)
    assert (filled.studies["row"] == "filled").sum() == 7
    assert small_study.pet_peese(smoke, method="pet").estimate == pytest.approx(
        0.00503732307546, rel=1e-8
    )
    assert small_study.pet_peese(smoke, method="peese").estimate == pytest.approx(
        0.120080764664, rel=1e-8
    )
    steps = small_study.selection_model(smoke, steps=(0.025, 0.5), favoured="positive")
    assert steps.parameters["log_likelihood"] == pytest.approx(-8.14789726754, abs=1e-8)
    limit = small_study.limit_meta_analysis(smoke)
    assert limit.estimate == pytest.approx(0.0965773297161, rel=3e-5)


def test_pet_peese_goes_by_the_favoured_direction() -> None:
    """With a line through 0.5 at standard error 0 it is PEESE if positive results are favoured."""
    v = np.linspace(0.01, 0.4, 12)
    data = effects_of(0.5 + 0.3 * np.sqrt(v) + 0.01 * np.cos(np.arange(12)), v)
    names = {
        word: small_study.pet_peese(data, favoured=word).name
        for word in ("treatment", "positive", "negative")
    }
    assert names == {"treatment": "PEESE", "positive": "PEESE", "negative": "PET"}


def test_q0_that_does_not_exist_is_refused_by_name(bcg: Effects) -> None:
    """R stops with "missing value where TRUE/FALSE needed"."""
    record = next(
        r
        for r in records("09_small_study")
        if r["settings"].get("estimator") == "Q0"
        and r["dataset"] == "dat.egger2001"
        and "error" in r["results"]
    )
    found = effects_of(record["inputs"]["yi"], record["inputs"]["vi"])
    with pytest.raises(ValueError, match="Q0 does not exist where the rank sum exceeds"):
        small_study.trim_and_fill(found, count_by="Q0", tau2="DL")
