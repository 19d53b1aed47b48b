"""Colours, themes and saved files: seen by every eye, and the same bytes every time."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from kapmeta.plot import style
from kapmeta.plot.forests import forest
from kapmeta.plot.saving import DPI
from kapmeta.results.effects import Effects

matplotlib.use("Agg")

# Machado, Oliveira & Fernandes, IEEE Trans Vis Comput Graph 2009;15:1291, severity 1, on linear
# RGB.
SEEN = {
    "full": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    c = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    t = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(a: str, b: str) -> float:
    """Contrast ratio of the web accessibility guidelines (WCAG 2.2)."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


def apart(a: str, b: str, eye: str) -> float:
    return float(
        np.linalg.norm(lab(np.array(SEEN[eye]) @ linear(a)) - lab(np.array(SEEN[eye]) @ linear(b)))
    )


@pytest.mark.parametrize("eye", SEEN)
def test_colours_of_kinds_keep_apart_for_every_eye(eye: str) -> None:
    assert min(apart(a, b, eye) for a, b in itertools.combinations(style.CATEGORICAL, 2)) > 15
    risks = [colour for _, colour in style.RISK.values()]
    assert min(apart(a, b, eye) for a, b in itertools.combinations(risks, 2)) > 12


def test_colours_of_kinds_keep_apart_in_grey() -> None:
    lightness = sorted(lab(linear(colour))[0] for colour in style.CATEGORICAL)
    assert min(np.diff(lightness)) > 10


@pytest.mark.parametrize("name", [name for name in style.THEMES if name != "minimal"])
def test_theme_is_legible_and_keeps_its_marks_apart(name: str) -> None:
    theme = style.theme_named(name)
    assert contrast(theme.text, theme.paper) > 7
    assert contrast(theme.quiet, theme.paper) > 4.5
    assert contrast(theme.inside, theme.square) > 3
    assert all(
        contrast(colour, theme.paper) > 2.4
        for colour in (theme.square, theme.diamond, theme.prediction)
    )
    assert theme.points >= 9
    for eye in SEEN:
        assert apart(theme.diamond, theme.prediction, eye) > 20


def test_signs_of_risk_differ_without_colour() -> None:
    assert len({sign for sign, _ in style.RISK.values()}) == len(style.RISK)
    for judgement, (_, colour) in style.RISK.items():
        assert contrast(colour, "#ffffff" if judgement == "high" else "#1a1a1a") > 4.5


def plot() -> matplotlib.axes.Axes:
    effects = Effects(
        [0.81093, 1.5041, 0.2335],
        [0.16809, 0.3379, 0.0363],
        ("Krupitsky 2007", "Dakwar 2019", "Dakwar <2020> & Παπαδόπουλος"),
        "RR",
        pd.DataFrame({"study": list("abc"), "risk_of_bias": ["low", "high", "some concerns"]}),
        event="abstinence",
    )
    return forest(effects, ax=Figure(figsize=(8, 3)).add_axes((0.02, 0.02, 0.96, 0.96)))


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from test_style import plot
from kapmeta.plot import save
save(plot(), sys.argv[1], formats=("svg", "png", "pdf"))
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    runs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        arguments = [
            sys.executable,
            "-c",
            SCRIPT,
            str(tmp_path / name / "figure"),
            str(Path(__file__).parent),
        ]
        runs.append(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True))
    for run in runs:
        _, error = run.communicate(timeout=60)
        assert run.returncode == 0, error
    here = style.save(plot(), tmp_path / "figure", formats=("svg", "png", "pdf"))
    for path in here:
        first, second = ((tmp_path / name / path.name).read_bytes() for name in ("first", "second"))
        assert first == second == path.read_bytes(), path.name


def test_saving_leaves_no_trace_of_when_or_with_what(tmp_path: Path) -> None:
    for path in style.save(plot(), tmp_path / "figure", formats=("svg", "png", "pdf")):
        data = path.read_bytes()
        assert not re.search(rb"CreationDate|<dc:date>|Software|[Mm]atplotlib (v|pdf)", data), (
            path.name
        )


def test_settings_of_the_user_do_not_change_the_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (plain,) = style.save(plot(), tmp_path / "figure", formats=["svg"])
    unusual = {
        "svg.fonttype": "none",
        "savefig.bbox": "tight",
        "font.family": "serif",
        "axes.grid": True,
        "font.size": 17,
    }
    with matplotlib.rc_context(unusual):
        (other,) = style.save(plot(), tmp_path / "a" / "figure", formats=["svg"])
    assert plain.read_bytes() == other.read_bytes()


def test_svg_speaks(tmp_path: Path) -> None:
    ax = plot()
    (path,) = style.save(ax, tmp_path / "alcohol forest", formats=["svg"])
    root = ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    title, desc = root[0], root[1]
    assert (title.tag, desc.tag) == (f"{space}title", f"{space}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert desc.text == style.alt_text(ax)
    assert "Dakwar <2020> & Παπαδόπουλος" in str(desc.text)
    assert not root.findall(f".//{space}text")  # outlines, so that no reader needs the font


def test_svg_identifiers_are_unique_and_found(tmp_path: Path) -> None:
    (path,) = style.save(plot(), tmp_path / "alcohol", formats=["svg"])
    svg = path.read_text("utf-8")
    names = re.findall(r'\bid="([^"]*)"', svg)
    assert len(names) == len(set(names))
    assert set(re.findall(r"(?:url\(|href=\")#([^\")]*)", svg)) <= set(names)
    assert not [name for name in names if re.search(r"[0-9a-f]{10}$", name)]
    assert "alcohol-1" in names


def test_png_has_print_resolution_and_text(tmp_path: Path) -> None:
    from PIL import Image

    (path,) = style.save(
        plot(), tmp_path / "figure", alt="Three trials.", title="Trials", formats=["png"]
    )
    with Image.open(path) as image:
        assert image.size == (8 * DPI, 3 * DPI)
        assert image.info["dpi"] == pytest.approx((DPI, DPI), rel=1e-3)
        assert (image.info["Title"], image.info["Description"]) == ("Trials", "Three trials.")


def test_figure_without_alternative_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='figure "bare" has no text alternative; give alt='):
        style.save(Figure(), tmp_path / "bare")
    with pytest.raises(
        ValueError, match=r'formats has "gif", which is not known; use: svg, png, pdf'
    ):
        style.save(plot(), tmp_path / "figure", formats=["gif"])
    assert not list(tmp_path.iterdir())


def test_own_theme_and_plots_in_one_figure(tmp_path: Path) -> None:
    ax = plot()
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    extra = figure.add_axes((0.4, 0.4, 0.1, 0.1))
    style.describe(extra, "Small", "A small plot.")
    assert style.alt_text(figure).endswith("\nA small plot.")
    assert style.theme_named(style.THEMES["bmj"]) == style.THEMES["bmj"]
    assert len(style.save(extra, tmp_path / "both")) == 2
