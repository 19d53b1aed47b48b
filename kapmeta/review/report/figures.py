"""Figures inside the page: SVG with a title and a description, and ids that do not clash."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from kapmeta.plot.forests import forest
from kapmeta.plot.judgements import risk_of_bias
from kapmeta.plot.saving import root_of, save
from kapmeta.results.pooled import Pooled

__all__ = ["inline_forest", "inline_risk_of_bias", "inline_svg"]

REM = 0.105  # width on the page of a point of the figure
_ID = re.compile(r'\s+id="([^"]+)"')
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def inline_forest(pooled: Pooled, name: str) -> str:
    """Draw the forest plot of a result as an SVG element of a page."""
    return _inline(forest(pooled), name)


def inline_risk_of_bias(judgements: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Draw the traffic light of risk of bias as an SVG element of a page."""
    return _inline(risk_of_bias(judgements, labels=labels), "risk-of-bias")


def _inline(axes: Axes, name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (file,) = save(axes, Path(folder, name), formats=("svg",))
        text = file.read_text(encoding="utf-8")
    root_of(axes).clear()
    return inline_svg(text, name)


def inline_svg(text: str, name: str) -> str:
    """Strip a saved SVG of its XML head and metadata.

    Ids that nothing refers to go, the others begin with `name`.
    """
    svg = _METADATA.sub("", text[text.index("<svg") :]).strip()
    svg = svg.replace('<style type="text/css">*{', f'<style type="text/css">#{name}-figure *{{')
    spoken = re.search(r'aria-labelledby="([^"]+)"', svg)
    used = {*re.findall(r"url\(#([^)]+)\)", svg), *re.findall(r'href="#([^"]+)"', svg)}
    used |= set(spoken[1].split()) if spoken else set()
    svg = _ID.sub(lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)(?=[^"])', rf"\g<1>{name}.", svg)
    if spoken:
        labels = " ".join(f"{name}.{label}" for label in spoken[1].split())
        svg = svg.replace(spoken[0], f'aria-labelledby="{labels}"')
    box = re.search(r'viewBox="\S+ \S+ (\S+) ', svg)
    wide = (
        f' style="--wide: {REM * float(box[1]):.1f}rem"' if box else ""
    )  # all figures with type of one size
    return re.sub(r"<svg\b", f'<svg id="{name}-figure"{wide}', svg, count=1)
