"""What may not change a result, and what must turn it round, over every public result.

The same trials give the same numbers and sentences in another order, under other column names and
in other types of column. With the arms exchanged, the event turned into its opposite, or its
direction stated the other way, the numbers are mirrored as they must be and the sentences with
them: never a right number with a wrong sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import kapmeta as km
from kapmeta.effects import complement, from_counts

Maker = Callable[[pd.DataFrame], Any]

FEW = settings(max_examples=4, deadline=None, derandomize=True, database=None)
MEASURES = ("RR", "OR", "RD", "AS", "PETO")


def of_effects(function: Callable[..., Any], measure: str = "RR", **options: Any) -> Maker:
    """Make a result from the effects of a table of trials."""
    return lambda frame, **names: function(from_counts(frame, measure, **names), **options)


def of_pooled(function: Callable[..., Any], measure: str = "RR", **options: Any) -> Maker:
    """Make a result from the pooled effects of a table of trials."""
    return lambda frame, **names: function(km.pool(from_counts(frame, measure, **names)), **options)


SYMMETRIC: dict[str, Maker] = {
    **{f"pool {measure}": of_effects(km.pool, measure) for measure in MEASURES[1:]},
    **{f"bayes {measure}": of_effects(km.pool_bayes, measure) for measure in ("OR", "PETO")},
    "mantel-haenszel OR": partial(km.mantel_haenszel, measure="OR"),
    "mantel-haenszel RD": partial(km.mantel_haenszel, measure="RD"),
    "peto": km.peto,
    "leave one out OR": of_pooled(km.leave_one_out, "OR"),
    "headline OR": partial(km.headline, measure="OR"),
    "subgroups OR": of_effects(km.subgroups, "OR", by="kind"),
    "regression OR": of_effects(km.meta_regression, "OR", moderators=["dose"]),
    "estimator table OR": of_effects(km.estimator_table, "OR"),
}
"""Results of measures that are symmetric in the event."""

QUICK: dict[str, Maker] = {
    **SYMMETRIC,
    "pool RR": of_effects(km.pool),
    "common RR": of_effects(km.pool, model="common"),
    "effects RR": of_effects(lambda effects: effects),
    "score limits RR": lambda frame, **names: km.risk_ratio(frame, interval="koopman", **names),
    "bayes RR": of_effects(km.pool_bayes),
    "mantel-haenszel RR": km.mantel_haenszel,
    "headline RR": km.headline,
    "leave one out RR": of_pooled(km.leave_one_out),
    "influence": of_pooled(km.influence),
    "baujat": of_pooled(km.baujat),
    "cumulative": of_pooled(km.cumulative),
    "subgroups RR": of_effects(km.subgroups, by="kind"),
    "regression RR": of_effects(km.meta_regression, moderators=["dose"]),
    "estimator table RR": of_effects(km.estimator_table),
    "subsets": of_pooled(km.all_subsets),
    "egger": of_effects(km.asymmetry_test, force=True),
    "absolute effects": of_pooled(km.absolute_effects, baseline=0.2),
    "fragility": km.fragility_index,
}
SLOW: dict[str, Maker] = {
    "exact OR": partial(km.pool_exact, model="conditional"),
    "exact RR": partial(km.pool_exact, measure="RR"),
    "zero rules": km.sensitivity.zero_rules,
    "rounded counts": km.sensitivity.rounded_counts,
    "measures": km.sensitivity.pooled_measures,
    "sensitivity table": km.sensitivity.sensitivity_table,
    "two out": of_pooled(km.sensitivity.leave_two_out),
    "summary of findings": of_pooled(
        lambda pooled: km.summary_of_findings({"recovery": pooled}, baseline=0.2)
    ),
    "needed to treat": of_pooled(km.number_needed_to_treat, baseline=0.2),
    "information size": of_pooled(km.information_size, risk_ratio=1.5, baseline=0.2),
}
EVERY = {**QUICK, **SLOW}

TRIALS = pd.DataFrame(
    {
        "study": list("ABCDE"),
        "events_t": [12, 9, 20, 7, 15],
        "n_t": [40, 35, 61, 30, 50],
        "events_c": [5, 6, 11, 2, 3],
        "n_c": [41, 33, 60, 29, 52],
        "year": [2001, 2003, 2007, 2012, 2019],
        "dose": [1.0, 2.5, 0.5, 3.0, 2.0],
        "kind": list("xxyyy"),
        "event": "recovery",
        "event_is_good": True,
        "treatment": "drug",
        "control": "placebo",
    }
)
COUNTS = ("events_t", "n_t", "events_c", "n_c")


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw five trials, some with empty cells."""
    sizes = [draw(st.tuples(st.integers(12, 80), st.integers(12, 80))) for _ in range(5)]
    events = [(draw(st.integers(0, n - 2)), draw(st.integers(1, m - 2))) for n, m in sizes]
    return TRIALS.assign(
        events_t=[a for a, _ in events],
        n_t=[n for n, _ in sizes],
        events_c=[c for _, c in events],
        n_c=[m for _, m in sizes],
    )


def made(maker: Maker, frame: pd.DataFrame, **names: Any) -> Any:
    """Make a result; of a refusal, its text."""
    try:
        return maker(frame, **names)
    except ValueError as error:
        return str(error)


def table_of(result: Any) -> pd.DataFrame:
    """Return the numbers of a result as a table; of a refusal, an empty one."""
    if isinstance(result, str):
        return pd.DataFrame()
    return result if isinstance(result, pd.DataFrame) else result.to_frame()


def words_of(result: Any) -> str:
    """Return everything that a result says."""
    if isinstance(result, str | pd.DataFrame):
        return str(result)
    texts = [getattr(result, name, None) for name in ("summary", "methods_text", "alt_text")]
    return "\n".join(text() for text in texts if text is not None)


def numbers_of(result: Any, *, ordered: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of numbers of a result, sorted if the order has no meaning."""
    numeric = (
        table_of(result).select_dtypes(["number"]).drop(columns=["event_is_good"], errors="ignore")
    )
    columns = {str(name): column.to_numpy(dtype=float) for name, column in numeric.items()}
    return columns if ordered else {name: np.sort(x) for name, x in columns.items()}


def same_numbers(found: Any, wanted: Any, *, ordered: bool = True) -> None:
    left, right = numbers_of(found, ordered=ordered), numbers_of(wanted, ordered=ordered)
    assert list(left) == list(right)
    for name, column in left.items():
        assert_allclose(column, right[name], rtol=1e-6, atol=1e-9, err_msg=name)


TYPES: dict[str, Callable[[pd.Series], Any]] = {
    "float": lambda x: x.astype("float64"),
    "nullable": lambda x: x.convert_dtypes(),
    "object": lambda x: x.astype(object),
    "Decimal": lambda x: pd.Series([Decimal(str(value)) for value in x], index=x.index),
    "categorical": lambda x: x.astype("category"),
}
if find_spec("pyarrow") is not None:
    TYPES["pyarrow"] = lambda x: x.astype("double[pyarrow]")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", TYPES)
def test_the_types_of_columns_change_nothing(name: str, kind: str) -> None:
    other = TRIALS.assign(**{column: TYPES[kind](TRIALS[column]) for column in COUNTS})
    if kind in ("nullable", "object", "categorical"):
        words = ("study", "kind", "event", "treatment", "control")
        other = other.assign(**{column: TYPES[kind](TRIALS[column]) for column in words})
    found, wanted = made(EVERY[name], other), made(EVERY[name], TRIALS)
    same_numbers(found, wanted)
    if not isinstance(wanted, pd.DataFrame):
        assert words_of(found) == words_of(wanted)


@pytest.mark.parametrize("name", EVERY)
def test_the_names_of_columns_change_nothing(name: str) -> None:
    names = {column: f"my {column}" for column in ("study", *COUNTS)}
    found = made(EVERY[name], TRIALS.rename(columns=names), **names)
    wanted = made(EVERY[name], TRIALS)
    same_numbers(found, wanted)
    if not isinstance(wanted, pd.DataFrame):
        assert words_of(found) == words_of(wanted)


@pytest.mark.parametrize("name", QUICK)
@given(frame=tables(), order=st.permutations(range(5)))
@FEW
def test_the_order_of_rows_changes_no_number(
    name: str, frame: pd.DataFrame, order: list[int]
) -> None:
    found, wanted = made(QUICK[name], frame.iloc[order]), made(QUICK[name], frame)
    assert isinstance(found, str) == isinstance(wanted, str)
    same_numbers(found, wanted, ordered=False)


ARMS = {"drug": "placebo", "placebo": "drug", "NNTB": "NNTH", "NNTH": "NNTB"}
ARMS |= {"benefit": "harm", "harm": "benefit", "Benefit": "Harm", "Harm": "Benefit"}


def mirrored(text: str) -> str:
    """Exchange whom a result favours, and benefit with harm."""
    pattern = r"(?<=avours )(drug|placebo)|\bNNT[BH]\b|\b[Bb]enefit\b|\b[Hh]arm\b"
    return re.sub(pattern, lambda found: ARMS[found[0]], text)


def mirrored_column(name: str) -> str:
    """Exchange the columns of benefit and harm."""
    side, _, end = name.partition("_")
    return f"{ARMS.get(side, side)}_{end}" if end else name


def summary_of(result: Any) -> str:
    """Return what a result says of what was found."""
    if isinstance(result, str):
        return result
    return result.summary() if hasattr(result, "summary") else result["nnt"].to_string()


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"measures", "sensitivity table"}))
def test_the_direction_of_the_event_turns_the_sentences_only(name: str) -> None:
    """Numbers hold for a good event and a bad one; what is favoured is exchanged."""
    maker = EVERY[name]
    good, bad = (made(maker, TRIALS.assign(event_is_good=word)) for word in (True, False))
    if name == "needed to treat":  # a table with a column for each side
        bad = bad.rename(columns=mirrored_column)[good.columns]
    same_numbers(good, bad)
    assert summary_of(bad) == mirrored(summary_of(good))
    if hasattr(good, "methods_text"):
        assert bad.methods_text() == mirrored(good.methods_text()) or name == "absolute effects"


@pytest.mark.parametrize("name", EVERY)
def test_without_a_direction_nothing_is_favoured(name: str) -> None:
    maker = EVERY[name]
    unknown = made(maker, TRIALS.drop(columns="event_is_good"))
    if isinstance(unknown, str):
        assert name == "needed to treat"
        assert "event_is_good" in unknown
        return
    same_numbers(unknown, made(maker, TRIALS))
    said = words_of(unknown) + table_of(unknown).to_string()
    assert not re.search(r"[Ff]avour|NNT[BH]|[Bb]eneficial|[Hh]armful", said), said


SMALL_STUDY: dict[str, Maker] = {
    "trim and fill": of_effects(km.trim_and_fill, "OR", force=True),
    "selection model": of_effects(km.selection_model, "OR", force=True),
    "PET-PEESE": of_effects(km.pet_peese, "OR", force=True),
    "limit": of_effects(km.limit_meta_analysis, "OR", force=True),
    "copas": of_effects(km.small_study.copas, "OR", force=True),
    "publication bias": of_effects(km.publication_bias_sensitivity, "OR"),
    "excess": of_effects(km.small_study.excess_significance, "OR", force=True),
    "fail-safe": of_effects(km.small_study.fail_safe_n, "OR"),
}
"""Adjustments that look for trials on the side where a result would be unfavourable."""


@pytest.mark.parametrize("name", SMALL_STUDY)
@pytest.mark.parametrize("good", [True, False])
def test_bias_is_looked_for_on_the_same_side_of_the_opposite_event(name: str, good: bool) -> None:
    frame = TRIALS.assign(event_is_good=good)
    found, wanted = (made(SMALL_STUDY[name], one) for one in (complement(frame, "illness"), frame))
    mirror_images(found, wanted)
    assert favoured(found) == favoured(wanted)
    numbers = [
        [x for x in numbers_of(one).items() if x[0] in ("filled", "power", "n")]
        for one in (found, wanted)
    ]
    for (_, left), (_, right) in zip(*numbers, strict=True):
        assert_allclose(left, right, rtol=1e-6)


ASSUMPTIONS = {"event": "no event", "no event": "event"}


@pytest.mark.parametrize("good", [True, False])
def test_the_best_case_of_an_event_is_that_of_its_opposite(good: bool) -> None:
    frame = TRIALS.assign(event_is_good=good, missing_t=[2, 0, 3, 1, 0], missing_c=[1, 0, 4, 2, 1])
    straight, turned = (
        km.missing_outcomes(one, measure="OR", totals="observed", imor=[])
        .to_frame()
        .set_index("assumption")
        for one in (frame, complement(frame, "illness"))
    )
    for assumption in straight.index:
        other = ASSUMPTIONS.get(assumption, assumption)
        assert_allclose(turned.loc[other, "y"], -straight.loc[assumption, "y"], rtol=1e-6)
    best, worst = (straight.loc[word, "y"] for word in ("best", "worst"))
    assert (best > worst) == good


@pytest.mark.parametrize("name", SYMMETRIC)
@given(frame=tables())
@FEW
def test_the_opposite_event_says_the_same(name: str, frame: pd.DataFrame) -> None:
    """Its estimates are mirrored at no effect, and the arm that is favoured is the same."""
    found, wanted = (made(SYMMETRIC[name], one) for one in (complement(frame, "illness"), frame))
    assert isinstance(found, str) == isinstance(wanted, str)
    mirror_images(found, wanted)
    assert favoured(found) == favoured(wanted)


SWAPPED = {
    name: QUICK[name]
    for name in QUICK
    if name not in ("absolute effects", "effects RR", "score limits RR", "egger", "fragility")
}


@pytest.mark.parametrize("name", SWAPPED)
@given(frame=tables())
@FEW
def test_exchanged_arms_say_the_same(name: str, frame: pd.DataFrame) -> None:
    """Estimates are mirrored at no effect, and the arm that is favoured is the same."""
    ends = {"events_t": "events_c", "n_t": "n_c", "events_c": "events_t", "n_c": "n_t"}
    found, wanted = made(SWAPPED[name], frame, **ends), made(SWAPPED[name], frame)
    assert isinstance(found, str) == isinstance(wanted, str)
    mirror_images(found, wanted)
    assert favoured(found) == favoured(wanted)


def mirror_images(found: Any, wanted: Any) -> None:
    """Check estimate and limits, on the analysis scale, against those of the mirrored result."""
    left, right = (table_of(one) for one in (found, wanted))
    ends = [("y", "y", -1.0), ("y_low", "y_high", -1.0), ("y_high", "y_low", -1.0)]
    ends += [("p_value", "p_value", 1.0), ("tau2", "tau2", 1.0), ("se", "se", 1.0)]
    for one, other, sign in ends:
        if one in left:
            assert_allclose(
                left[one].to_numpy(dtype=float),
                sign * right[other].to_numpy(dtype=float),
                rtol=2e-5,
                atol=1e-7,
                err_msg=one,
            )


def favoured(result: Any) -> list[str]:
    """List whom the sentences of a result favour, in order."""
    return re.findall(r"avours (\w+)", words_of(result))


@pytest.mark.parametrize("name", ["pool RR", "pool OR", "pool RD", "bayes RR", "headline RR"])
@given(frame=tables())
@FEW
def test_a_higher_level_is_a_wider_interval_of_the_same_estimate(
    name: str, frame: pd.DataFrame
) -> None:
    wide, narrow = (
        made(lambda one, level=level: _at_level(name, one, level), frame) for level in (0.99, 0.8)
    )
    assert isinstance(wide, str) == isinstance(narrow, str)
    if isinstance(wide, str):
        return
    assert_allclose(wide.estimate, narrow.estimate, rtol=1e-6, atol=1e-9)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert "99 %" in words_of(wide)


def _at_level(name: str, frame: pd.DataFrame, level: float) -> Any:
    kind, measure = name.split()
    if kind == "headline":
        return km.pooling.headline_effect(
            km.pool(km.risk_ratio(frame), level=level), found=km.headline(frame, level=level)
        )
    function = km.pool if kind == "pool" else km.pool_bayes
    return function(from_counts(frame, measure), level=level)
