"""Risk of bias: the traffic light of every study and domain, and the weighted summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from kapmeta import checking
from kapmeta.core.numerics.arrays import FloatArray
from kapmeta.plot.forest_page.columns import risk_judgement
from kapmeta.plot.panel.frames import Frame, Key, axis_of, fixed_axis
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import frame_of
from kapmeta.plot.panel.typesetting import text_width
from kapmeta.plot.style import RISK, Theme, theme_named

__all__ = ["DOMAINS", "risk_of_bias", "risk_of_bias_summary"]

DOMAINS: Mapping[str, str] = {
    "D1": "D1 randomisation process",
    "D2": "D2 deviations from intended interventions",
    "D3": "D3 missing outcome data",
    "D4": "D4 measurement of the outcome",
    "D5": "D5 selection of the reported result",
    "overall": "Overall",
}
"""Domains of RoB 2 by their short names; other domains keep their own."""
HATCHES = {"low": "", "some concerns": "///", "high": "xxx", "unclear": "..."}


@checking.checked
def risk_of_bias(
    result: pd.DataFrame,
    *,
    ax: Axes | None = None,
    labels: Mapping[str, str] | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw the traffic light of risk of bias: a disc with a sign by study and domain [1]_.

    Not a score: discs are not to be added up.

    Parameters
    ----------
    result : DataFrame
        Columns study or study_id, domain, judgement, one row per judgement; as
        ``evidence.risk_of_bias``. Where a study and domain have several rows the worst is drawn.
    ax : Axes, optional
        Where to draw.
    labels : mapping, optional
        Names of studies for readers, by the name in the frame.
    theme : str or Theme
        A word of `kapmeta.plot.style.THEMES`.
    title : str
        Above the plot; wrapped.
    notes : iterable of str
        More lines below the plot; wrapped.
    width : float or str, optional
        Width of the figure in inches, or a word of `kapmeta.plot.style.WIDTHS`.

    Returns
    -------
    Axes
        Studies down, domains across.

    Raises
    ------
    ValueError
        If a column is missing.

    References
    ----------
    .. [1] McGuinness LA, Higgins JPT. Risk-of-bias VISualization (robvis): an R package and Shiny
       web app for visualizing risk-of-bias assessments. Res Synth Methods 2021;12:55-61.
       https://doi.org/10.1002/jrsm.1411

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.judgements import risk_of_bias
    >>> frame = pd.DataFrame({"study": "A", "domain": ["D1", "overall"],
    ...                       "judgement": ["low", "high"]})
    >>> [text.get_text() for text in risk_of_bias(frame).texts if text.get_text() in "+!×?"][:2]
    ['+', '×']
    """
    look, table = theme_named(theme), _judged(result, "risk_of_bias")
    shown = {str(name): (labels or {}).get(name, name) for name in table.index}
    panel = framed(_traffic_frame(table, shown, look).with_text(title, notes), look, ax, width)
    _write_heads(panel, [_domain_head(name) for name in table.columns])
    for word in _judgements_in(table):
        _draw_judgements(panel, [(j, i) for i, j in np.argwhere((table == word).to_numpy())], word)
    return panel.ax


def _judgements_in(table: pd.DataFrame) -> list[str]:
    return [word for word in RISK if (table == word).any(axis=None)]


def _traffic_frame(table: pd.DataFrame, shown: Mapping[str, str], look: Theme) -> Frame:
    studies, domains = list(table.index), list(table.columns)
    named = [name for name in domains if name in DOMAINS and name.lower() != "overall"]
    legend = "; ".join(DOMAINS[name] for name in named)
    keys = [
        Key("o", RISK[word][1], word.capitalize(), edge=look.quiet, sign=RISK[word][0])
        for word in _judgements_in(table)
    ]
    return Frame(
        x=fixed_axis(-0.5, len(domains) - 0.5),
        y=fixed_axis(-0.5, len(studies) - 0.5),
        x_label="",
        y_label="Study",
        name="Risk of bias",
        alt=_judgements_alt(table, shown),
        notes=(f"{legend}.",) if legend else (),
        keys=tuple(keys),
        height=2.0 * len(studies),
        rows=tuple((float(i), shown[name]) for i, name in enumerate(studies)),
        rows_headed=True,
        down=True,
        x_axis=False,
        ratio=1.0,
    )


def _judged(result: Any, name: str) -> pd.DataFrame:
    """Arrange judgements with studies down and domains across, the worst of several."""
    frame = frame_of(result, ("domain", "judgement"), name)
    key = next((column for column in ("study", "study_id") if column in frame), None)
    if key is None:
        raise ValueError(
            f'{name} needs the column "study"; there are: {", ".join(map(str, frame.columns))}'
        )
    order = {word: n for n, word in enumerate(("low", "unclear", "some concerns", "high"))}
    cells: dict[tuple[str, str], str] = {}
    names = zip(frame[key].astype(str), frame["domain"].astype(str), strict=True)
    for (study, domain), value in zip(names, frame["judgement"], strict=True):
        word = risk_judgement(value)
        if word and order[word] >= order.get(cells.get((study, domain), ""), -1):
            cells[study, domain] = word
    studies = list(dict.fromkeys(frame[key].astype(str)))
    domains = sorted(
        dict.fromkeys(frame["domain"].astype(str)), key=lambda d: (d.lower() == "overall", d)
    )
    rows = [[cells.get((study, domain), "") for domain in domains] for study in studies]
    return pd.DataFrame(rows, index=studies, columns=domains)


def _domain_head(domain: str) -> str:
    return "Overall" if domain.lower() == "overall" else domain


def _write_heads(panel: Panel, heads: Sequence[str]) -> None:
    """Write the heads of the columns, cut where they are too long."""
    em, step = panel.font.points, panel.width / len(heads)
    widths = [text_width(head, panel.font, True) for head in heads]
    for j, head in enumerate(heads):
        beside = [
            step - min(widths[i], step - 0.6 * em) / 2 - 0.3 * em
            for i in (j - 1, j + 1)
            if 0 <= i < len(heads)
        ]
        most = 2 * min([*beside, *([step / 2 + 1.2 * em] if j == len(heads) - 1 else [])])
        short = head
        while len(short) > 2 and text_width(short, panel.font, True) > most:
            short = f"{short[:-2]}…"
        panel.write((j + 0.5) * step, panel.height + 0.25 * em, short, "center", bold=True)


def _draw_judgements(panel: Panel, at: Sequence[tuple[float, float]], word: str) -> None:
    _, colour = RISK[word]
    x, y = [x for x, _ in at], [y for _, y in at]
    panel.ax.plot(
        x,
        y,
        ls="none",
        marker="o",
        ms=1.5 * panel.em,
        mfc=colour,
        mec=panel.theme.quiet,
        mew=0.6 * panel.scale,
        zorder=4,
        clip_on=False,
    )
    for across, up in panel.places(x, y):
        _write_sign(panel, float(across), float(up), word)


def _write_sign(panel: Panel, x: float, y: float, word: str, backing: str = "") -> None:
    """Write the sign of a judgement in the middle of its disc or bar."""
    shade = "#ffffff" if word == "high" else ""
    low = y - 0.36 * panel.font.points
    panel.write(x, low, RISK[word][0], "center", colour=shade, backing=backing)


def _judgements_alt(table: pd.DataFrame, shown: Mapping[str, str]) -> str:
    each = []
    for name, row in table.iterrows():
        judged = [f"{_domain_head(str(domain))} {word}" for domain, word in row.items() if word]
        each.append(f"{shown[str(name)]}: {', '.join(judged)}")
    return f"Risk of bias of {len(table)} studies. {'; '.join(each)}."


@checking.checked
def risk_of_bias_summary(
    result: pd.DataFrame,
    *,
    weights: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw the share of each judgement in each domain, weighted as in the pooled result.

    Parameters
    ----------
    result : DataFrame
        As in `risk_of_bias`.
    weights : mapping, optional
        Weight of each study by its name in the frame; every study counts alike by default. Studies
        that are not named have no weight.
    ax, theme, title, notes, width
        As in `risk_of_bias`.

    Returns
    -------
    Axes
        Domains down, percent across.

    Raises
    ------
    ValueError
        If a column is missing, or no study has a weight.

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.plot.judgements import risk_of_bias_summary
    >>> frame = pd.DataFrame({"study": ["A", "B"], "domain": "D1", "judgement": ["low", "high"]})
    >>> ax = risk_of_bias_summary(frame, weights={"A": 3.0, "B": 1.0})
    >>> [float(end) for end in ax.get_xlim()]
    [0.0, 100.0]
    """
    look, table = theme_named(theme), _judged(result, "risk_of_bias_summary")
    shares = _judgement_shares(table, weights)
    frame = _summary_frame(table, shares, look)
    if weights is not None:
        frame = replace(frame, x_label="Weight in the pooled result (%)")
    panel = framed(frame.with_text(title, notes), look, ax, width)
    left = np.zeros(table.shape[1])
    for word, share in shares.items():
        _draw_bars(panel, left, share, word)
        left = left + share
    return panel.ax


def _judgement_shares(
    table: pd.DataFrame, weights: Mapping[str, float] | None
) -> dict[str, FloatArray]:
    """Compute the percentage of each judgement in each domain."""
    names = list(map(str, table.index))
    weight = np.array([1.0 if weights is None else float(weights.get(n, 0.0)) for n in names])
    if not weight.sum() > 0:
        raise ValueError(f"weights name none of the studies: {', '.join(names)}")
    heights = {word: (table == word).to_numpy().T @ weight for word in _judgements_in(table)}
    total = np.sum(list(heights.values()), axis=0)
    return {
        word: 100 * np.divide(height, total, out=np.zeros_like(height), where=total > 0)
        for word, height in heights.items()
    }


def _summary_frame(table: pd.DataFrame, shares: Mapping[str, FloatArray], look: Theme) -> Frame:
    domains = [DOMAINS.get(str(name), _domain_head(str(name))) for name in table.columns]
    texts = [
        f"{domain}: " + ", ".join(f"{word} {share[j]:.0f} %" for word, share in shares.items())
        for j, domain in enumerate(domains)
    ]
    keys = [
        Key("patch", RISK[w][1], f"{RISK[w][0]} {w.capitalize()}", look.text, hatch=HATCHES[w])
        for w in shares
    ]
    return Frame(
        x=axis_of([0.0, 100.0], ends=(0.0, 100.0)),
        y=fixed_axis(-0.5, len(domains) - 0.5),
        x_label="Studies (%)",
        y_label="Risk of bias",
        name="Risk of bias, summary",
        alt=f"Risk of bias by domain. {'; '.join(texts)}.",
        keys=tuple(keys),
        height=2.1 * len(domains),
        row_height=2.1,
        rows=tuple((float(j), name) for j, name in enumerate(domains)),
        down=True,
    )


def _draw_bars(panel: Panel, left: FloatArray, share: FloatArray, word: str) -> None:
    """Draw one judgement's parts of the bars, hatched, with the sign where there is room."""
    colour = RISK[word][1]
    boxes = [
        [(a, j - 0.36), (a + b, j - 0.36), (a + b, j + 0.36), (a, j + 0.36)]
        for j, (a, b) in enumerate(zip(left, share, strict=True))
        if b > 0
    ]
    bars = PolyCollection(
        boxes,
        facecolors=colour,
        edgecolors="#ffffff" if word == "high" else panel.theme.text,
        hatch=HATCHES[word] or None,
        linewidths=0.6 * panel.scale,
        zorder=2,
    )
    panel.ax.add_collection(bars, False)
    for j, (a, b) in enumerate(zip(left, share, strict=True)):
        if b / 100 * panel.width > 1.8 * panel.font.points:
            x, y = panel.places(a + b / 2, j)
            _write_sign(panel, float(x), float(y), word, colour)
