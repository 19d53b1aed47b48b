"""Numbers and directions of the sentences of certainty, to the word."""

from __future__ import annotations

import pandas as pd
import pytest
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.certainty import certainty_table, imprecision
from kapmeta.results.effects import effects_table
from tests.helpers.example_calls import trials

GRADE = pd.DataFrame(
    {
        "question": "recovery",
        "domain": ["imprecision", "inconsistency", "risk of bias"],
        "judgement": ["serious", "not serious", "very serious"],
        "levels_down": [1, 0, 2],
        "reason": ["93 people", "one trial", "open"],
        "status": ["agreed", "agreed", "provisional"],
    }
)


def strong(*, good: bool = True) -> km.Pooled:
    return km.pool(km.risk_ratio(trials().assign(event_is_good=good)))


def weak(*, good: bool = True) -> km.Pooled:
    table = trials().assign(events_t=[5, 6, 11, 3, 4], event_is_good=good)
    return km.pool(km.risk_ratio(table))


def test_numbers_needed_are_reciprocals_on_their_own_side() -> None:
    """1 / 0.2337 = 4.28, within 1 / 0.5609 and 1 / 0.0472."""
    for good, side in ((True, "NNTB"), (False, "NNTH")):
        absolute = km.absolute_effects(strong(good=good), baseline=0.2)
        row = absolute.to_frame().iloc[0]
        assert row["nnt"] == f"{side} 4.3 (1.8 to 21.2)"
        assert_allclose(row["treatment"] - 0.2, row["difference"], rtol=1e-12)
        assert absolute.summary() == (
            "Of 1,000 people, 200 have the outcome (recovery) with placebo (baseline given) and"
            f" 434 (247 to 761) with drug: {side} 4.3 (1.8 to 21.2)."
        )


def test_an_interval_across_no_effect_runs_through_infinity() -> None:
    """Baseline 0.02: differences -0.00704 and 0.01416, of which 142 and 70.6 are reciprocals."""
    for good, words in (
        (True, "NNTB 960 (NNTB 70.6 to ∞ to NNTH 142)"),
        (False, "NNTH 960 (NNTB 142 to ∞ to NNTH 70.6)"),
    ):
        table = km.number_needed_to_treat(weak(good=good), baseline=0.02).iloc[0]
        assert table["nnt"] == words
        near, far = (70.62004, 142.077414) if good else (142.077414, 70.62004)
        assert_allclose([table["benefit_low"], table["harm_low"]], [near, far], rtol=1e-6)
        assert table["benefit"] == good


def test_a_difference_gives_the_size_of_one_trial() -> None:
    """4 (z_.975 + z_.8)^2 p (1 - p) / d^2 with p = 0.25 and d = 0.1: 588.67."""
    size = km.information_size(strong(), difference=0.1, baseline=0.2)
    assert_allclose(size.required, 4 * 7.848879734 * 0.25 * 0.75 / 0.01, rtol=1e-8)
    assert size.summary().startswith(
        "To find 20.0 % against 30.0 % with 80 % power at 5 %, 589 participants are needed; 431 are"
        " there (73 %). z = 3.82; the boundary, 2.41, is crossed."
    )
    fewer = km.information_size(strong(), difference=-0.1, baseline=0.2)
    assert_allclose(fewer.required, 4 * 7.848879734 * 0.15 * 0.85 / 0.01, rtol=1e-8)
    for difference in (0.8, -0.2, 0.9):
        with pytest.raises(ValueError, match="difference must lead from a baseline of 0.2"):
            km.information_size(strong(), difference=difference, baseline=0.2)


def test_imprecision_names_the_interval_and_what_it_crosses() -> None:
    found = imprecision(
        km.absolute_effects(strong(), baseline=0.2),
        thresholds=[50.0, 100.0],
        information=km.information_size(strong(), difference=0.1, baseline=0.2),
    )[0]
    assert found.levels == 2
    assert found.reason.startswith(
        "difference 47 to 561 per 1,000; it crosses the thresholds 50 and 100"
    )
    (clear,) = imprecision(km.absolute_effects(strong(), baseline=0.2), thresholds=[10.0])
    assert (clear.levels, clear.judgement) == (0, "not serious")
    assert clear.reason == "difference 47 to 561 per 1,000; no threshold is crossed"
    (wide,) = imprecision(km.absolute_effects(weak(), baseline=0.4), thresholds=[10.0])
    assert wide.reason.startswith("difference -141 to 283 per 1,000; it crosses the thresholds -10")


def test_levels_add_up_from_where_the_design_starts() -> None:
    for rows, randomised, certainty, status in (
        ([1], True, "high", "agreed"),
        ([0], True, "moderate", "agreed"),
        ([0], False, "very low", "agreed"),
        ([1], False, "low", "agreed"),
        ([2], True, "low", "provisional"),
        ([0, 2], True, "very low", "provisional"),
        ([0, 1, 2], False, "very low", "provisional"),
    ):
        part = GRADE.iloc[rows]
        row = certainty_table(part, randomised={"recovery": randomised}).iloc[0]
        assert (row["certainty"], row["status"]) == (certainty, status), (rows, randomised)
        assert row["levels_down"] == part["levels_down"].sum()
        named = [
            f"{d.capitalize()}, {j}: " for d, j in zip(part.domain, part.judgement, strict=True)
        ]
        serious = [name for name, down in zip(named, part.levels_down, strict=True) if down]
        assert all(name in row["reasons"] for name in serious)


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([1], "Recovery is greater with drug than with placebo."),
        ([0], "Recovery is probably greater with drug than with placebo."),
        ([2], "The evidence suggests that recovery is greater with drug than with placebo."),
        ([0, 2], "The evidence is very uncertain about recovery with drug against placebo."),
    ],
)
def test_plain_sentences_say_which_arm_has_more(rows: list[int], sentence: str) -> None:
    grade = GRADE.iloc[rows]
    more, less = (
        km.summary_of_findings({"recovery": one}, grade=grade, baseline=0.2).summary()
        for one in (strong(), km.pool(km.risk_ratio(_exchanged())))
    )
    assert sentence in more
    assert sentence.replace("greater", "smaller") in less


def _exchanged() -> pd.DataFrame:
    """Return the trials with the counts of the arms exchanged, and the names kept."""
    table = trials()
    ends = {"events_t": "events_c", "n_t": "n_c", "events_c": "events_t", "n_c": "n_t"}
    return table.assign(**{name: table[other] for name, other in ends.items()})


def test_rows_of_effects_show_each_number_in_its_place() -> None:
    effects = km.risk_ratio(trials())
    assert "  A: RR 2.46 (0.95 to 6.35)" in effects.summary()
    assert "  E: RR 5.20 (1.60 to 16.88)" in effects.summary()
    table = effects_table(effects)
    assert " ".join(table.columns) == "study events_t n_t events_c n_c RR low high"
    assert table.iloc[0, :5].tolist() == ["A", "12", "40", "5", "41"]
    assert_allclose(table.iloc[0, 5:].astype(float), [2.46, 0.953298, 6.348066], rtol=1e-6)
    wide, narrow = effects.to_frame(level=0.99), effects.to_frame(level=0.8)
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()
    for values in (effects.y, effects.v, effects.se):
        assert not values.flags.writeable


def test_printed_limits_are_shown_at_their_level_only() -> None:
    printed = pd.DataFrame({"study": ["A"], "estimate": [2.0], "low": [1.1], "high": [3.9]})
    effects = km.reported(printed, measure="OR", treatment="drug", control="placebo")
    assert_allclose(effects.to_frame()[["low", "high"]].iloc[0], [1.1, 3.9], rtol=1e-12)
    other = effects.to_frame(level=0.9).iloc[0]
    assert 1.1 < other["low"] < 2.0 < other["high"] < 3.9
    assert "(drug against placebo)" in effects.methods_text()


def test_the_baseline_of_one_trial_is_named_after_its_controls() -> None:
    one = km.pool(km.risk_ratio(trials().head(1)))
    row = km.absolute_effects(one).to_frame().iloc[0]
    assert row["baseline"] == "control risk of A"
    assert_allclose(row["control"], 5 / 41)
