"""Every plot from one study to sixty, with all that makes figures fail, judged by the artists
drawn.

The stored hashes are of the SVG drawing; they are compared where Matplotlib is the version that
made them. To look at the sheet, ``KAPMETA_CONTACT_SHEET=folder`` before ``pytest`` and this file
writes each figure as PNG; ``python tests/plot/test_contact_sheet.py`` writes the hashes anew.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kapmeta.effects.counts import risk_ratio
from kapmeta.moderators.regression import meta_regression
from kapmeta.moderators.subgroup_pooling import subgroups
from kapmeta.plot import (
    curves,
    flow_diagrams,
    forests,
    funnels,
    influence_panels,
    judgements,
    scatters,
    specifications,
    subset_clouds,
)
from kapmeta.plot.saving import alt_text, root_of, save
from kapmeta.plot.scenarios import tipping_surfaces
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.sensitivity.deletion import influence as deletion
from tests.helpers.places import REFERENCE

matplotlib.use("Agg")

STORED = REFERENCE / "figure_hashes.json"
LONG = (
    "A very long label of a trial reported by a great many authors in the supplement of a"
    " supplement"
)


def trials(k: int, seed: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed + k)
    sizes = rng.integers(15, 120, (2, k))
    counts = {
        "events_t": rng.binomial(sizes[0], 0.42),
        "n_t": sizes[0],
        "events_c": rng.binomial(sizes[1], 0.2),
    }
    frame = pd.DataFrame({"study": [f"Trial {i + 1}" for i in range(k)], **counts, "n_c": sizes[1]})
    return frame.assign(
        events_c=frame["events_c"].clip(lower=1),
        event="abstinence",
        event_is_good=True,
        treatment="ketamine",
        control="midazolam",
        months=np.arange(1, k + 1) * 1.5,
        evidence_level="primary_abstract",
        risk_of_bias="low",
        group=["A" if i % 2 else "B" for i in range(k)],
    )


def zeros() -> pd.DataFrame:
    return trials(5).assign(events_c=[0, 0, 3, 5, 0], events_t=[0, 9, 8, 7, 12])


def ratios(*values: float, se: float = 0.4) -> Effects:
    labels = tuple(f"Study {i + 1}" for i in range(len(values)))
    frame = pd.DataFrame(
        {
            "study": labels,
            "months": np.arange(len(values)) * 1.0,
            "group": list("ABABAB"[: len(values)]),
        }
    )
    y = np.log(values)
    return Effects(y, np.full(len(y), se**2), labels, "RR", frame, event="abstinence")


CASES: dict[str, Callable[[], Effects]] = {
    **{f"k = {k}": partial(lambda k: risk_ratio(trials(k)), k) for k in (1, 2, 3, 13, 60)},
    "zero cells": lambda: risk_ratio(zeros(), zero="half-if-any"),
    "long labels": lambda: risk_ratio(
        trials(5).assign(
            study=[f"{i} {LONG}" for i in range(5)], treatment=LONG, event=f"event {LONG}"
        )
    ),
    "Greek and CJK": lambda: risk_ratio(
        trials(4).assign(
            study=["Παπαδόπουλος 2001", "山田太郎 2010", "김철수 2015", "Łukasz $x^2$"]
        )
    ),
    "infinite limits": lambda: risk_ratio(
        trials(3).assign(events_c=[0, 3, 4], events_t=[12, 5, 6]), interval="koopman"
    ),
    "RR 1e-3 to 1e3": lambda: ratios(1e-3, 0.05, 1.0, 20.0, 1e3),
}


def pooled(effects: Effects) -> Pooled:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pool(effects, tau2="DL", ci="wald")


def influence(effects: Effects) -> pd.DataFrame:
    y, v = effects.y[effects.present], effects.v[effects.present]
    residual = (y - np.average(y, weights=1 / v)) ** 2 / v
    labels = [label for label, yes in zip(effects.labels, effects.present, strict=True) if yes]
    return pd.DataFrame(
        {"study": labels, "contribution": residual, "influence": np.sqrt(residual) / len(y)}
    )


def judged(effects: Effects) -> pd.DataFrame:
    words = ("low", "some concerns", "high", "unclear")
    rows = [
        (label, domain, words[(3 * i + j) % 4])
        for i, label in enumerate(effects.labels)
        for j, domain in enumerate(("D1", "D2", "D3", "D4", "D5", "overall"))
    ]
    return pd.DataFrame(rows, columns=["study", "domain", "judgement"])


def cloud(effects: Effects) -> pd.DataFrame:
    y = effects.y[effects.present][:6]
    rows = []
    for code in range(1, 2**y.size):
        inside = np.array([code >> i & 1 for i in range(y.size)], dtype=bool)
        members = {f"S{i}": bool(yes) for i, yes in enumerate(inside)}
        rows.append(
            {"k": inside.sum(), "estimate": y[inside].mean(), "i2": 1 - 1 / inside.sum(), **members}
        )
    return pd.DataFrame(rows)


def specified(effects: Effects) -> pd.DataFrame:
    frame = effects.to_frame().dropna(subset=["estimate"])
    words = {"time point": ["early", "late"], "rule": list(effects.labels)[:20]}
    picked = {
        name: [values[i % len(values)] for i in range(len(frame))] for name, values in words.items()
    }
    return frame[["estimate", "low", "high"]].assign(**picked)


def surface(effects: Effects) -> pd.DataFrame:
    base = float(np.nanmedian(effects.to_frame()["estimate"]))
    steps = np.linspace(0, 1, min(len(effects) + 2, 8))
    rows = [(a, b, base * math.exp(a - b)) for a in steps for b in steps]
    frame = pd.DataFrame(rows, columns=["among_the_treated", "among_the_controls", "estimate"])
    return frame.assign(low=frame["estimate"] / 1.7, high=frame["estimate"] * 1.7)


def flow(effects: Effects) -> pd.DataFrame:
    """Make a flow in which every third study leaves, of at most ten."""
    labels = effects.labels[:10]
    frame = pd.DataFrame(
        {"label": ["All found", *labels], "n": [len(effects), *range(len(labels))]}
    )
    return frame.assign(
        aside=frame.index % 3 == 1, detail=frame["label"].where(frame["n"] == 1, "")
    )


def course(effects: Effects) -> pd.DataFrame:
    table = effects.table
    parts = [
        pd.DataFrame(
            {
                "arm": arm,
                "months": table["months"],
                "proportion": table[f"events_{s}"] / table[f"n_{s}"],
            }
        )
        for arm, s in ((effects.treatment, "t"), (effects.control, "c"))
    ]
    frame = pd.concat(parts)
    return frame.assign(
        low=(frame["proportion"] - 0.1).clip(0), high=(frame["proportion"] + 0.1).clip(upper=1)
    )


def counted(effects: Effects) -> bool:
    return "events_t" in effects.table


PLOTS: dict[str, tuple[Callable[[Effects], Axes], Callable[[Effects], bool]]] = {
    "forest": (lambda e: forests.forest(pooled(e)), lambda e: True),
    "subgroups": (
        lambda e: forests.forest(subgroups(e, by="group", tau2="DL", ci="wald")),
        lambda e: e.k > 3 and len(e) < 20 and not e.excluded,
    ),
    "funnel": (lambda e: funnels.funnel(pooled(e), names=True), lambda e: True),
    "radial": (lambda e: funnels.radial(pooled(e)), lambda e: e.k > 1),
    "labbe": (lambda e: scatters.labbe(pooled(e)), counted),
    "baujat": (lambda e: scatters.baujat(influence(e)), lambda e: True),
    "influence": (lambda e: influence_panels.influence(deletion(pooled(e))), lambda e: e.k > 2),
    "bubble": (
        lambda e: scatters.bubble(meta_regression(e, "months", tau2="DL", ci="wald"), names=True),
        lambda e: e.k > 3 and not e.excluded,
    ),
    "gosh": (lambda e: subset_clouds.gosh(cloud(e), by="S0"), lambda e: e.k > 2),
    "drapery": (lambda e: curves.drapery(pooled(e)), lambda e: True),
    "follow_up": (
        lambda e: curves.follow_up(course(e), event="Abstinent"),
        lambda e: counted(e) and len(e) < 20,
    ),
    "multiverse": (
        lambda e: specifications.multiverse(specified(e), null=1.0, log=True),
        lambda e: True,
    ),
    "tipping": (lambda e: tipping_surfaces.tipping(surface(e)), lambda e: True),
    "flow_diagram": (lambda e: flow_diagrams.flow_diagram(flow(e)), lambda e: True),
    "risk_of_bias": (lambda e: judgements.risk_of_bias(judged(e)), lambda e: True),
    "risk_of_bias_summary": (lambda e: judgements.risk_of_bias_summary(judged(e)), lambda e: True),
}

SHEET = [
    (plot, case)
    for plot, (_, fits) in PLOTS.items()
    for case, make in CASES.items()
    if fits(make())
]


def drawn(plot: str, case: str) -> Axes:
    with warnings.catch_warnings():
        # a machine without the fonts for a script draws boxes and says so
        warnings.filterwarnings("ignore", message="no installed font has")
        warnings.filterwarnings("ignore", message="Sampling variances")
        return PLOTS[plot][0](CASES[case]())


def assert_tidy(ax: Axes) -> None:
    """No two texts overlap, none leaves the page, none is smaller than 9 points."""
    figure = root_of(ax)
    figure.set_dpi(200)
    with matplotlib.rc_context({"text.hinting": "none"}):
        renderer = FigureCanvasAgg(figure).get_renderer()
        texts = [
            t for t in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels()) if t.get_text()
        ]
        if not ax.yaxis.get_visible():
            texts = [t for t in texts if t not in ax.get_yticklabels()]
        box = np.array([_extent(text, renderer) for text in texts])
    names = [text.get_text() for text in texts]
    assert min(text.get_fontsize() for text in texts) >= 9
    slack = 1.0
    outside = (box[:, :2] < -slack).any(1) | (box[:, 2:] > np.array(figure.bbox.size) + slack).any(
        1
    )
    assert not outside.any(), [names[i] for i in np.flatnonzero(outside)]
    left, bottom, right, top = box.T
    wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    high = np.minimum(top[:, None], top) - np.maximum(bottom[:, None], bottom)
    clash = np.triu((wide > slack) & (high > slack), 1)
    assert not clash.any(), [(names[i], names[j]) for i, j in np.argwhere(clash)]


def _extent(text: matplotlib.text.Text, renderer: object) -> np.ndarray:
    patch = text.get_bbox_patch()
    text.set_bbox(None)  # the backing is meant to lie on what is behind it
    extent = np.array(text.get_window_extent(renderer).extents)  # type: ignore[arg-type]
    if patch is not None:
        text.set_bbox({"facecolor": patch.get_facecolor(), "edgecolor": "none", "pad": 1.0})
    return extent


def svg_hash(ax: Axes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (path,) = save(ax, Path(folder) / "figure", formats=["svg"])
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize("plot, case", SHEET)
def test_figure_is_tidy_and_described(plot: str, case: str) -> None:
    ax = drawn(plot, case)
    assert_tidy(ax)
    assert len(alt_text(ax)) > 40
    folder = os.environ.get("KAPMETA_CONTACT_SHEET")
    if folder:
        save(
            ax, Path(folder) / f"{plot} {case.replace('=', '').replace('  ', ' ')}", formats=["png"]
        )


@pytest.mark.parametrize("plot", PLOTS)
def test_drawing_is_the_stored_one(plot: str) -> None:
    stored = json.loads(STORED.read_text())
    if stored["matplotlib"] != matplotlib.__version__:
        pytest.skip(f"hashes are of Matplotlib {stored['matplotlib']}")
    case = "k = 13"
    assert svg_hash(drawn(plot, case)) == stored["svg"][f"{plot}, {case}"]


@pytest.mark.parametrize("plot", [name for name in PLOTS if name not in ("forest", "subgroups")])
def test_plot_keeps_to_the_ax_given(plot: str) -> None:
    """In subplots the neighbours stay untouched and every text stays in the room of its ax."""
    effects = CASES["k = 3" if plot != "bubble" else "k = 13"]()
    result = {
        "funnel": lambda ax: funnels.funnel(pooled(effects), ax=ax),
        "radial": lambda ax: funnels.radial(pooled(effects), ax=ax),
        "labbe": lambda ax: scatters.labbe(pooled(effects), ax=ax),
        "baujat": lambda ax: scatters.baujat(influence(effects), ax=ax),
        "influence": lambda ax: influence_panels.influence(deletion(pooled(effects)), ax=ax),
        "bubble": lambda ax: scatters.bubble(
            meta_regression(effects, "months", tau2="DL", ci="wald"), ax=ax
        ),
        "gosh": lambda ax: subset_clouds.gosh(cloud(effects), ax=ax),
        "drapery": lambda ax: curves.drapery(pooled(effects), ax=ax),
        "follow_up": lambda ax: curves.follow_up(course(effects), ax=ax),
        "multiverse": lambda ax: specifications.multiverse(specified(effects), ax=ax, null=1.0),
        "tipping": lambda ax: tipping_surfaces.tipping(surface(effects), ax=ax),
        "flow_diagram": lambda ax: flow_diagrams.flow_diagram(flow(effects), ax=ax),
        "risk_of_bias": lambda ax: judgements.risk_of_bias(judged(effects), ax=ax),
        "risk_of_bias_summary": lambda ax: judgements.risk_of_bias_summary(judged(effects), ax=ax),
    }
    figure = Figure(figsize=(12, 6), dpi=200)
    one, other = figure.subplots(1, 2)
    slot = one.bbox.extents
    ax = result[plot](one)
    assert ax is one
    renderer = FigureCanvasAgg(figure).get_renderer()
    with matplotlib.rc_context({"text.hinting": "none"}):
        box = np.array([text.get_window_extent(renderer).extents for text in ax.texts])
    assert (box[:, :2] >= slot[:2] - 2).all()
    assert (box[:, 2:] <= slot[2:] + 2).all()
    assert not other.texts
    with pytest.raises(ValueError, match="too little for this plot"):
        result[plot](Figure(figsize=(1.2, 1.0)).subplots())


def test_effects_of_one_trial_replaced_by_infinite_limits_end_in_arrows() -> None:
    ax = drawn("forest", "infinite limits")
    assert any("∞" in text.get_text() for text in ax.texts)
    single = replace(CASES["infinite limits"](), event="abstinence")
    assert np.isinf(single.to_frame()["high"]).any()


def write() -> None:
    """Store the hashes of the drawings as they are now."""
    stored = {f"{plot}, k = 13": svg_hash(drawn(plot, "k = 13")) for plot in PLOTS}
    STORED.write_text(
        json.dumps({"matplotlib": matplotlib.__version__, "svg": stored}, indent=1) + "\n"
    )


if __name__ == "__main__":
    write()
    print(f"{len(PLOTS)} hashes written to {STORED}", file=sys.stderr)
