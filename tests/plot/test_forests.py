"""Forest plots, judged by what is drawn: places of texts and marks, numbers, labels, arrows."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from kapmeta import wording
from kapmeta.effects.counts import odds_ratio, risk_difference, risk_ratio
from kapmeta.effects.estimates import reported
from kapmeta.methods import ZERO_NAMES
from kapmeta.moderators.subgroup_pooling import subgroups
from kapmeta.plot.forest_page.columns import Column, Row, declared, evidence_words, risk_judgement
from kapmeta.plot.forests import forest, size, sweep
from kapmeta.plot.panel.axis import effect_axis
from kapmeta.plot.panel.typesetting import Font, aligned, text_width, wrapped
from kapmeta.plot.saving import alt_text, root_of
from kapmeta.plot.style import LEAST_POINTS, THEMES, WIDTHS
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import NOT_CONFIRMED, Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.sweeps import Sweep
from kapmeta.review.answering import question_effects
from kapmeta.review.evidence import load_evidence
from kapmeta.sensitivity.deletion import leave_one_out

matplotlib.use("Agg")

# Trials as in the evidence tables: printed counts, evidence level, randomised.
TRIALS = pd.DataFrame(
    [
        ("Krupitsky 1997", 73, 111, 24, 100, "primary_abstract", False, "high"),
        ("Dakwar 2020", 14, 17, 15, 23, "secondary_summary", True, "some concerns"),
        ("Krupitsky 2007", 13, 26, 6, 27, "primary_abstract", True, "some concerns"),
        ("Krupitsky 2002", 6, 35, 1, 35, "tertiary_only", True, "some concerns"),
        ("Dakwar 2019", 12, 27, 0, 28, "secondary_summary", True, "low"),
    ],
    columns=[
        "study",
        "events_t",
        "n_t",
        "events_c",
        "n_c",
        "evidence_level",
        "randomised",
        "risk_of_bias",
    ],
).assign(event="abstinence", event_is_good=True, treatment="ketamine", control="control")

# Colditz et al., JAMA 1994;271:698, BCG vaccine against tuberculosis, as printed.
BCG = pd.DataFrame(
    [
        ("Aronson 1948", 4, 123, 11, 139, 44),
        ("Ferguson & Simes 1949", 6, 306, 29, 303, 55),
        ("Rosenthal et al 1960", 3, 231, 11, 220, 42),
        ("Hart & Sutherland 1977", 62, 13598, 248, 12867, 52),
        ("Frimodt-Moller et al 1973", 33, 5069, 47, 5808, 13),
        ("Stein & Aronson 1953", 180, 1541, 372, 1451, 44),
        ("Vandiviere et al 1973", 8, 2545, 10, 629, 19),
        ("TPT Madras 1980", 505, 88391, 499, 88391, 13),
        ("Coetzee & Berjak 1968", 29, 7499, 45, 7277, 27),
        ("Rosenthal et al 1961", 17, 1716, 65, 1665, 42),
        ("Comstock et al 1974", 186, 50634, 141, 27338, 18),
        ("Comstock & Webster 1969", 5, 2498, 3, 2341, 33),
        ("Comstock et al 1976", 27, 16913, 29, 17854, 33),
    ],
    columns=["study", "events_t", "n_t", "events_c", "n_c", "latitude"],
).assign(event="tuberculosis", event_is_good=False, treatment="BCG vaccine", control="no vaccine")


def many(k: int) -> pd.DataFrame:
    rng = np.random.default_rng(k)
    counts = {
        "events_t": rng.binomial(60, 0.3, k),
        "n_t": 60,
        "events_c": rng.binomial(60, 0.2, k),
        "n_c": 60,
    }
    return pd.DataFrame({"study": [f"Trial {i + 1}" for i in range(k)], **counts})


def pooled(trials: pd.DataFrame, **options: object) -> Pooled:
    return pool(risk_ratio(trials), mixed=True, **options)  # type: ignore[arg-type]


def effects_of(y: list[float], se: list[float], **story: object) -> Effects:
    labels = tuple(f"Study {letter}" for letter in "ABCDEFGHIJ"[: len(y)])
    frame = pd.DataFrame({"study": labels})
    return Effects(y, np.square(se), labels, "RR", frame, **story)  # type: ignore[arg-type]


LONG = (
    "A very long label of a trial reported by a great many authors in the supplement of a"
    " supplement"
)
CASES: dict[str, Callable[[], object]] = {
    "one": lambda: pooled(TRIALS.iloc[[2]]),
    "one with a zero cell": lambda: pooled(TRIALS.iloc[[4]]),
    "two": lambda: pooled(TRIALS.iloc[:2]),
    "three": lambda: pooled(TRIALS.iloc[1:4]),
    "not randomised set aside": lambda: pool(risk_ratio(TRIALS)),
    "five": lambda: pooled(TRIALS),
    "thirteen": lambda: pooled(BCG),
    "sixty": lambda: pooled(many(60)),
    "double zero excluded": lambda: pool(
        risk_ratio(many(4).assign(events_t=[0, 9, 8, 7], events_c=[0, 4, 5, 6]), zero="drop")
    ),
    "effects alone": lambda: risk_ratio(TRIALS),
    "differences": lambda: pool(risk_difference(BCG)),
    "long labels": lambda: pooled(
        TRIALS.assign(study=[f"{LONG} {i}" for i in range(5)], treatment=LONG)
    ),
    "one endless word": lambda: pooled(
        TRIALS.assign(study=[f"{chr(65 + i)}{'Trial' * 40}" for i in range(5)])
    ),
    "Greek and Cyrillic": lambda: pooled(
        TRIALS.assign(study=["Παπαδόπουλος", "Крупицкий", "Łukasz", "$x$", "ß"])
    ),
    "tiny and huge ratios": lambda: pool(
        effects_of([math.log(1e-3), 0.0, math.log(1e3)], [0.5, 0.2, 3.0]), tau2="DL", ci="wald"
    ),
    "almost equal ratios": lambda: pool(effects_of([0.001, 0.002, 0.0], [0.001] * 3), ci="wald"),
    "no null in reach": lambda: pool(effects_of([5.0, 5.1, 5.2], [0.05] * 3), ci="wald"),
    "models": lambda: [pooled(BCG), pooled(BCG, model="common")],
    "subgroups": lambda: {
        "Alcohol": pooled(TRIALS.iloc[:2]),
        "Opioids": pooled(TRIALS.iloc[2:4]),
        "Cocaine": pooled(TRIALS.iloc[4:]),
    },
    "subgroups under two models": lambda: [
        subgroups(risk_ratio(BCG), by=[*"ABC" * 4, "A"], model=model)
        for model in ("common", "random")
    ],
}


@pytest.fixture(autouse=True)
def _print_widths() -> Iterator[None]:
    """Unhinted type, as in saved files, and no figure left open."""
    from matplotlib import pyplot

    with matplotlib.rc_context({"text.hinting": "none"}):
        yield
    pyplot.close("all")


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def boxes(ax: Axes) -> tuple[list[str], np.ndarray]:
    """Measure every text drawn, tick labels included: left, bottom, right, top in pixels."""
    figure = root_of(ax)
    figure.set_dpi(300)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [*ax.texts, *ax.get_xticklabels()]
    return [t.get_text() for t in texts], np.array(
        [t.get_window_extent(renderer).extents for t in texts]
    )


def assert_tidy(ax: Axes, area: tuple[float, float, float, float] | None = None) -> None:
    """Assert that no two texts overlap, and that none leaves the page or `area` (pixels)."""
    names, box = boxes(ax)
    figure = root_of(ax)
    area = area or (0.0, 0.0, figure.bbox.width, figure.bbox.height)
    slack = 1.5  # pixels of 300 dots an inch
    outside = (box[:, :2] < np.array(area[:2]) - slack).any(1) | (
        box[:, 2:] > np.array(area[2:]) + slack
    ).any(1)
    assert not outside.any(), [names[i] for i in np.flatnonzero(outside)]
    left, bottom, right, top = box.T
    wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    high = np.minimum(top[:, None], top) - np.maximum(bottom[:, None], bottom)
    clash = np.triu((wide > slack) & (high > slack), 1)
    assert not clash.any(), [(names[i], names[j]) for i, j in np.argwhere(clash)]


def tick_labels(ax: Axes) -> list[str]:
    low, high = sorted(ax.get_xlim())
    return [
        label.get_text()
        for place, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
        if low <= place <= high
    ]


@pytest.mark.parametrize("case", CASES)
def test_texts_keep_apart_and_on_the_page(case: str) -> None:
    ax = forest(CASES[case]())  # type: ignore[arg-type]
    assert_tidy(ax)
    assert len(tick_labels(ax)) >= 3
    assert {text.get_fontsize() for text in ax.texts} == {9.0}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    "case",
    [
        "one",
        "five",
        "thirteen",
        "differences",
        "long labels",
        "subgroups",
        "models",
        "subgroups under two models",
    ],
)
def test_every_theme_keeps_texts_apart(theme: str, case: str) -> None:
    ax = forest(CASES[case](), theme=theme, title="Title " * 30, notes=["Note " * 60])  # type: ignore[arg-type]
    assert_tidy(ax)
    assert len(tick_labels(ax)) >= 3


@pytest.mark.parametrize("case", ["five", "thirteen"])
@pytest.mark.parametrize("width", ["double", "page", 12.0])
def test_print_widths(case: str, width: str | float) -> None:
    ax = forest(CASES[case](), width=width)  # type: ignore[arg-type]
    assert_tidy(ax)
    wide = WIDTHS[width] if isinstance(width, str) else width
    assert root_of(ax).get_size_inches()[0] == pytest.approx(wide)


def numbers_of(frame: pd.DataFrame) -> set[str]:
    """Every number of a frame in each of the forms a plot may print it."""
    found = set()
    for column in frame.select_dtypes("number"):
        for value in frame[column].dropna():
            forms = [
                wording.number(value),
                f"{value:g}",
                f"{100 * value:.1f}",
                *(f"{value:z.{d}f}" for d in range(6)),
            ]
            found.update(form.replace("-", "−") for form in forms)
    return found


@pytest.mark.parametrize(
    "case", ["one", "two", "five", "thirteen", "differences", "not randomised set aside"]
)
def test_every_number_is_in_the_frame(case: str) -> None:
    result = CASES[case]()
    assert isinstance(result, Pooled)
    ax = forest(result)
    known = numbers_of(result.to_frame())
    labels = (*result.effects.labels, "Prediction interval")
    cells = [
        text.get_text()
        for text in ax.texts
        if 0 < text.get_position()[1] < ax.get_ylim()[0] and not text.get_text().startswith(labels)
    ]
    seen = [
        number for cell in cells for number in re.findall(r"−?\d+(?:\.\d+)?(?:e[+−]\d+)?|∞", cell)
    ]
    assert len(seen) >= 7 * result.k
    assert set(seen) <= known


def test_marks_stand_at_the_numbers_of_the_frame() -> None:
    result = pooled(BCG)
    ax, frame = forest(result), result.to_frame()
    squares = next(c for c in ax.collections if isinstance(c, PathCollection))
    studies, total, prediction = (
        frame[frame["row"] == row] for row in ("study", "pooled", "prediction")
    )
    np.testing.assert_allclose(
        np.asarray(squares.get_offsets())[:, 0], studies["estimate"], rtol=1e-9
    )
    np.testing.assert_allclose(
        squares.get_sizes() / squares.get_sizes().max(),
        studies["weight"] / studies["weight"].max(),
        rtol=1e-9,
    )
    diamond = (
        next(c for c in ax.collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
    )
    ends = [diamond[:, 0].min(), diamond[np.argmin(diamond[:, 1]), 0], diamond[:, 0].max()]
    np.testing.assert_allclose(ends, total[["low", "estimate", "high"]].to_numpy()[0], rtol=1e-9)
    lines = [
        path.vertices[:, 0]
        for c in ax.collections
        if isinstance(c, LineCollection)
        for path in c.get_paths()
    ]
    drawn = {(float(f"{a:.8g}"), float(f"{b:.8g}")) for a, b in lines}
    for _, row in pd.concat([studies, prediction]).iterrows():
        assert (float(f"{row['low']:.8g}"), float(f"{row['high']:.8g}")) in drawn


def diamonds(ax: Axes) -> int:
    return sum(
        len(c.get_paths())
        for c in ax.collections
        if isinstance(c, PolyCollection) and c.get_zorder() == 3
    )


def test_one_study_is_shown_without_diamond_weight_or_heterogeneity() -> None:
    ax = forest(pooled(TRIALS.iloc[[2]]))
    assert diamonds(ax) == 0
    assert not any(word in text for text in words(ax) for word in ("Weight", "τ²", "model"))
    assert "13/26" in words(ax)


def test_effects_alone_have_no_diamond() -> None:
    assert diamonds(forest(risk_ratio(TRIALS))) == 0


def test_excluded_study_without_estimate_is_listed_in_grey_with_its_reason() -> None:
    result = CASES["double zero excluded"]()
    assert isinstance(result, Pooled)
    ax = forest(result)
    grey = [text.get_text() for text in ax.texts if text.get_color() == THEMES["kapmeta"].quiet]
    assert "Trial 1" in grey
    assert f"excluded: {result.effects.excluded[0]}" in " ".join(grey)


def test_study_set_aside_keeps_a_mark_and_a_reason() -> None:
    result = pool(risk_ratio(TRIALS))
    assert result.effects.excluded
    ax = forest(result)
    label = next(text for text in words(ax) if text.startswith("Krupitsky 1997"))
    assert "†" in label
    assert words(ax).count("† Not randomised: shown, not pooled.") == 1
    assert not any("=True" in text or "et aside" in text for text in words(ax))
    assert not any(text.startswith("Krupitsky 2007") and "†" in text for text in words(ax))


def test_counts_that_are_not_confirmed_are_marked_and_nothing_may_be_concluded() -> None:
    shown = words(forest(pooled(TRIALS)))
    assert [text for text in shown if "¶" in text] == [
        "Krupitsky 2002 ¶",
        f"¶ Not confirmed. {NOT_CONFIRMED}.",
    ]


def test_a_difference_is_headed_by_its_unit() -> None:
    row: dict[str, object] = {
        "study": "One",
        "measure": "MD",
        "estimate": 10.1,
        "low": 1.1,
        "high": 19.0,
    }
    row |= {"event": "days", "event_is_good": True}
    days = reported(pd.DataFrame([row | {"unit": "percentage points"}]))
    assert "(percentage points)" in words(forest(pool(days)))
    assert "(percentage points)" not in words(forest(pool(reported(pd.DataFrame([row])))))


def test_zero_cell_is_marked_and_explained() -> None:
    ax = forest(pooled(TRIALS))
    assert [text for text in words(ax) if "‡" in text] == [
        "Dakwar 2019 ‡",
        f"‡ Zero cell: {ZERO_NAMES['half-if-any']}.",
    ]


def test_evidence_and_risk_of_bias_stand_beside_each_trial_and_are_explained() -> None:
    ax = forest(pooled(TRIALS))
    shown = words(ax)
    assert [
        shown.count(cell) for cell in ("●\u00a0primary", "◐\u00a0secondary", "○\u00a0tertiary")
    ] == [2, 2, 1]
    assert [shown.count(sign) for sign in "+!×"] == [1, 3, 1]
    assert any(text.startswith("Evidence: ●") for text in shown)
    assert "Risk of bias: + low; ! some concerns; × high." in shown
    discs = [line for line in ax.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in discs) == 5


def test_words_of_evidence_and_judgement() -> None:
    assert evidence_words("primary_abstract")[0] == "●\u00a0primary"
    assert evidence_words("seen_by_me") == ("seen by me", "")
    assert evidence_words(float("nan")) == ("", "")
    judged = ["Low", "some concerns", "high (use ROBINS-I)", "serious", "no information", None]
    assert [risk_judgement(word) for word in judged] == [
        "low",
        "some concerns",
        "high",
        "high",
        "unclear",
        "",
    ]


def test_favours_follow_the_effects() -> None:
    good, bad = forest(pooled(TRIALS)), forest(pooled(BCG))
    assert [t for t in words(good) if "Favours" in t] == [
        "←\u00a0Favours control",
        "Favours ketamine\u00a0→",
    ]
    assert [t for t in words(bad) if "Favours" in t] == [
        "←\u00a0Favours BCG vaccine",
        "Favours no vaccine\u00a0→",
    ]
    left, right = (t for t in good.texts if "Favours" in t.get_text())
    null = good.transAxes.inverted().transform(good.transData.transform((1.0, 0.0)))[0]
    assert left.get_position()[0] < null < right.get_position()[0]
    assert "←\u00a0Favors BCG vaccine" in words(forest(pooled(BCG), theme="jama"))


def arrows(ax: Axes) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for line in ax.lines
        if line.get_marker() in (4, 5)
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def analyses(low: list[float], high: list[float]) -> Sweep:
    rows = {"analysis": [f"case {i}" for i in range(len(low))], "k": 3, "y": 0.5, "se": 0.3}
    table = pd.DataFrame(rows).assign(y_low=low, y_high=high, p_value=0.04)
    return Sweep("cases", table, effects_of([0.5], [0.3]))


def test_limits_off_the_axis_and_infinite_limits_end_in_arrows() -> None:
    ax = sweep(analyses([0.1, -math.inf, 0.2, -math.inf], [0.9, 0.8, math.inf, math.inf]))
    low, high = ax.get_xlim()
    assert sorted(x for x, _ in arrows(ax)) == pytest.approx([low, low, high, high])
    assert sum("∞" in text for text in words(ax)) == 2
    assert_tidy(ax)


def test_interval_within_the_axis_has_no_arrow() -> None:
    assert not arrows(forest(pooled(BCG)))


def test_wide_diamond_ends_in_an_arrow_on_the_axis() -> None:
    result = pooled(TRIALS.iloc[:2])
    ax = forest(result)
    corners = (
        next(c for c in ax.collections if isinstance(c, PolyCollection)).get_paths()[0].vertices
    )
    assert (corners[:, 0].min(), corners[:, 0].max()) == pytest.approx(ax.get_xlim())
    assert len({round(y, 6) for y in corners[:, 1]}) > 3  # the head is wider than the body


def test_infinite_pooled_limits_are_drawn() -> None:
    ax = forest(replace(pooled(TRIALS.iloc[:3]), low=-math.inf, high=math.inf))
    assert any("∞" in text for text in words(ax))
    assert_tidy(ax)


def test_own_ends_and_ticks() -> None:
    ax = forest(pooled(BCG), xlim=(0.25, 4.0), ticks=[0.25, 1, 4])
    assert ax.get_xlim() == pytest.approx((0.25, 4.0))
    assert tick_labels(ax) == ["0.25", "1", "4"]
    assert arrows(ax)


def test_subgroups_have_heading_diamond_and_heterogeneity_each() -> None:
    groups = CASES["subgroups"]()
    overall = pooled(TRIALS.iloc[:4])
    ax = forest(groups, overall=overall)  # type: ignore[arg-type]
    assert diamonds(ax) == 3
    assert {"Alcohol", "Opioids", "Cocaine"} <= set(words(ax))
    assert sum(text.startswith("Heterogeneity:") for text in words(ax)) == 3
    assert any(text.startswith("All 4 studies") for text in words(ax))
    short = forest(groups, overall=overall, studies=False)  # type: ignore[arg-type]
    assert diamonds(short) == 3
    assert any(text.startswith("Cocaine: Dakwar 2019") for text in words(short))
    assert "13/26" not in words(short)
    assert_tidy(short)


def test_several_models_share_one_set_of_studies() -> None:
    first, second = pooled(BCG), pooled(BCG, model="common")
    ax = forest([first, second])
    assert diamonds(ax) == 2
    assert words(ax).count("4/123") == 1
    assert {"Random-effects model", "Common-effect model"} <= set(words(ax))
    assert words(ax).count("Weight") == 2
    same = forest([first, pooled(BCG, tau2="DL", ci="wald")])
    assert {"Random-effects model", "(REML, hksj-hybrid)", "(DL, wald)"} <= set(words(same))


def test_columns_of_the_trials_can_be_added_and_dropped() -> None:
    latitude = Column("latitude", "Distance from\nthe equator", format="{:.1f}")
    ax = forest(pooled(BCG), left=[latitude], right=["n_t"], drop=["weight"])
    assert {"44.0", "Distance from", "13598", "Total"} <= set(words(ax))
    assert "Weight" not in words(ax)
    assert_tidy(ax)


def test_risk_of_bias_domains_become_cells() -> None:
    ax = forest(
        pooled(TRIALS.assign(rob_d1_randomisation="low", rob_d2="high")),
        right=["rob_d1_randomisation", "rob_d2"],
    )
    assert {"D1", "D2"} <= set(words(ax))
    assert sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "o") == 15


def test_sweep_draws_each_analysis_and_the_whole() -> None:
    result = leave_one_out(pooled(BCG))
    ax, frame = sweep(result), result.to_frame()
    squares = next(c for c in ax.collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(
        np.asarray(squares.get_offsets())[:, 0], frame["estimate"], rtol=1e-9
    )
    assert "All 13 studies" in words(ax)
    assert diamonds(ax) == 1
    assert_tidy(ax)


@pytest.mark.parametrize("k", [3, 13])
def test_draws_on_a_given_ax_within_its_room(k: int) -> None:
    figure = Figure(figsize=(14, 7), dpi=300)
    grid = figure.subplots(1, 2)
    grid[1].plot([0, 1])
    slot = grid[0].bbox.extents
    ax = forest(pooled(many(k)), ax=grid[0])
    assert ax is grid[0]
    assert_tidy(ax, tuple(slot))
    assert grid[1].get_xscale() == "linear"
    assert min(text.get_fontsize() for text in ax.texts) >= LEAST_POINTS


def test_draws_in_a_subfigure_and_in_a_constrained_layout() -> None:
    outer = Figure(figsize=(10, 9), dpi=300)
    panel = outer.subfigures(2, 1)[1].subplots()
    slot = panel.bbox.extents
    assert_tidy(forest(pooled(TRIALS), ax=panel), tuple(slot))
    laid = Figure(figsize=(10, 6), dpi=300, layout="constrained")
    assert_tidy(forest(pooled(TRIALS), ax=laid.subplots()))


def test_size_is_the_size_of_the_figure_made() -> None:
    result = pooled(TRIALS)
    for options in ({}, {"width": "page"}, {"theme": "revman", "title": "A title"}):
        figure = root_of(forest(result, **options))  # type: ignore[arg-type]
        assert size(result, **options) == pytest.approx(tuple(figure.get_size_inches()))  # type: ignore[arg-type]
    fitting = Figure(figsize=size(result))
    ax = forest(result, ax=fitting.add_axes((0, 0, 1, 1)))
    assert {text.get_fontsize() for text in ax.texts} == {9.0}
    assert size(leave_one_out(pooled(BCG)))[0] > 3


def test_too_little_room_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"too little for this plot.*size\(result\)"):
        forest(pooled(BCG), ax=Figure(figsize=(2, 2)).subplots())
    with pytest.raises(ValueError, match="columns need .* drop="):
        forest(pooled(TRIALS), width="single")
    with pytest.raises(ValueError, match="on a given ax"):
        forest(pooled(TRIALS), ax=Figure(figsize=(9, 5)).subplots(), width=5.0)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"theme": "lancet"},
            r'theme = "lancet" is not known; use one of: kapmeta, revman, jama, bmj, minimal',
        ),
        (
            {"right": ["dose"]},
            r'right has "dose", which the trials do not have; use: treatment, control',
        ),
        ({"drop": ["dose"]}, r'drop has "dose"; the columns are:'),
        (
            {"width": "triple"},
            r'width = "triple" is not known; use inches or one of: single, double, page',
        ),
    ],
)
def test_unknown_words_are_refused_with_the_table(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forest(pooled(TRIALS), **options)  # type: ignore[arg-type]


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(TypeError, match="forest draws Effects, a Pooled.*got DataFrame"):
        forest(TRIALS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got nothing"):
        forest([])
    with pytest.raises(ValueError, match="share their studies"):
        forest([pooled(TRIALS), pooled(BCG)])
    with pytest.raises(ValueError, match="different measures: RR, RD"):
        forest({"a": pooled(BCG), "b": pool(risk_difference(BCG))})
    with pytest.raises(TypeError, match="a Pooled is drawn by forest"):
        sweep(pooled(BCG))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give a list"):
        forest(pooled(TRIALS), right="months")
    with pytest.raises(ValueError, match="align"):
        Column("dose", align="middle")


def test_alternative_text_and_settings() -> None:
    before = matplotlib.rcParams.copy()
    result = pooled(BCG)
    ax = forest(result)
    assert alt_text(ax) == result.alt_text()
    assert matplotlib.rcParams == before
    assert "Alcohol: " in alt_text(forest(CASES["subgroups"]()))  # type: ignore[arg-type]
    assert alt_text(forest([result, pooled(BCG, model="common")])).startswith(result.alt_text())


def test_minimal_theme_follows_the_users_settings() -> None:
    with matplotlib.rc_context({"text.color": "#ff0000", "font.size": 11.0, "axes.grid": True}):
        ax = forest(pooled(TRIALS), theme="minimal")
    assert {text.get_fontsize() for text in ax.texts} == {11.0}
    assert "#ff0000" in {text.get_color() for text in ax.texts}
    assert not ax.xaxis.get_gridlines()[0].get_visible()
    assert_tidy(ax)


def test_script_without_a_font_is_boxed_with_one_warning() -> None:
    trials = TRIALS.assign(study=["山田太郎 2010", *TRIALS["study"][1:]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ax = forest(pooled(trials))
        FigureCanvasAgg(root_of(ax)).draw()
        assert_tidy(ax)
    if caught:  # no such font is installed
        assert len(caught) == 1
        assert 'no installed font has "太山田郎"' in str(caught[0].message)
        assert any(text.startswith("□□□□ 2010") for text in words(ax))
    assert "山田太郎 2010" in alt_text(ax)


def test_pyplot_is_imported_only_for_a_figure_of_its_own() -> None:
    code = """
import sys
import kapmeta.plot
assert "matplotlib" not in sys.modules
from matplotlib.figure import Figure
from kapmeta.results.effects import Effects
import pandas as pd
effects = Effects([0.8, 1.0], [0.17, 0.04], ("A", "B"), "RR", pd.DataFrame({"study": ["A", "B"]}))
ax = Figure(figsize=kapmeta.plot.size(effects)).subplots()
assert kapmeta.plot.forest(effects, ax=ax) is ax
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)


points = st.lists(st.floats(-9, 9), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(points, st.floats(1e-3, 8), st.booleans())
def test_axis_holds_every_estimate_and_three_labels(
    places: list[float], half: float, log: bool
) -> None:
    y = np.array(places)
    values = [np.exp(x) if log else x for x in (y, y - half, y + half)]
    room = 20.0

    def fits(where: object, labels: object) -> bool:
        ends = [
            (room * w - 0.4 * len(t), room * w + 0.4 * len(t))
            for w, t in zip(where, labels, strict=True)
        ]  # type: ignore[call-overload]
        return all(b[0] >= a[1] for a, b in pairwise(ends))

    axis = effect_axis(*values, 1.0 if log else 0.0, log=log, fits=fits)
    inside = axis.place([*values[0], *axis.ticks, 1.0 if log else 0.0])
    assert len(axis.ticks) >= 3
    assert inside.min() >= -1e-9
    assert inside.max() <= 1 + 1e-9
    assert fits(axis.place(axis.ticks), axis.labels)
    assert [float(label.replace("−", "-")) for label in axis.labels] == pytest.approx(
        list(axis.ticks), rel=1e-5
    )


@settings(max_examples=50, deadline=None)
@given(points, st.integers(-6, 6))
def test_axis_of_differences_scales_with_the_unit(places: list[float], power: int) -> None:
    y, unit = np.round(places, 6), 10.0**power
    one, other = (
        effect_axis(
            y * c, (y - 1) * c, (y + 1) * c, 0.0, log=False, fits=lambda _, labels: len(labels) < 7
        )
        for c in (1.0, unit)
    )
    np.testing.assert_allclose(np.array(other.ticks), np.array(one.ticks) * unit, rtol=1e-9, atol=0)


def test_ticks_of_ratios_are_the_familiar_ones() -> None:
    axis = effect_axis(
        np.array([0.2, 4.0]),
        np.array([0.1, 2.0]),
        np.array([0.4, 9.0]),
        1.0,
        log=True,
        fits=lambda *_: True,
    )
    assert axis.labels == ("0.1", "0.2", "0.5", "1", "2", "5", "10")


@given(
    st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=80), st.floats(20, 300)
)
def test_lines_fit_and_lose_nothing(text: str, limit: float) -> None:
    font = Font(("DejaVu Sans",), 9.0)
    lines = wrapped(text, limit, font)
    assert all(text_width(line, font) <= limit or len(line) == 1 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(
    st.lists(
        st.text("AVTLoyf fiflffi.,:;/−–0123456789[]()τ²χäéŁΠα≤→\u00a0\u2007\u200a", min_size=1),
        min_size=1,
    ),
    st.booleans(),
)
def test_widths_added_up_are_those_that_are_measured(texts: list[str], bold: bool) -> None:
    """Advances that are kept are kerned, and no ligature hides in them."""
    font = FontProperties(family=["DejaVu Sans"], weight="bold" if bold else "normal", size=100)
    for text in texts:
        measured = text_to_path.get_text_width_height_descent(text, font, False)[0] / 100
        assert text_width(text, Font(("DejaVu Sans",), 1.0), bold) == pytest.approx(
            measured, abs=1e-9
        )


def test_parts_of_a_cell_end_at_the_same_place() -> None:
    font = Font(("DejaVu Sans",), 9.0)
    cells = aligned(
        ["2.74\t[1.89,\t3.98]", "25.89\t[1.61,\t416.78]", "\t[0.14,\t∞]"], [False] * 3, font
    )
    commas = [text_width(cell[cell.index(",") :], font) for cell in cells]
    assert max(commas) - min(commas) < 0.6


def test_declared_columns_read_the_row() -> None:
    known = {
        c.name: c
        for c in declared(THEMES["bmj"], pooled(BCG).scale, 0.95, ("new drug", "old"), ("",), [])
    }
    row = Row(
        "study", "x", {"events_t": 4.0, "n_t": 123.0, "estimate": 0.41, "low": 0.13, "high": 1.26}
    )
    assert known["treatment"].cell(row) == "4/123"
    assert known["treatment"].heading == "New drug\nevents/total"
    assert known["effect"].cell(row).replace("\t", " ") == "0.41 (0.13 to 1.26)"
    assert known["control"].cell(row) == ""


def test_reported_effects_beside_counts_are_said_to_have_both_intervals() -> None:
    """The note gave Wald limits worked out from counts for limits as printed."""
    evidence = load_evidence()
    printed = question_effects(evidence, "alcohol-odds")
    counted = odds_ratio(evidence.trials(comparison_id="dakwar2020"))
    for effects, told in (
        (printed, "interval as reported"),
        (counted + printed, "interval as reported and Wald interval"),
    ):
        texts = [text.get_text() for text in forest(effects).texts]
        assert f"Single trials: {told}." in texts
