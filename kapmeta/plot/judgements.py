"""Risk of bias: the traffic light of every study and domain, and the weighted summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from kapmeta.plot.forest_page.columns import risk_judgement
from kapmeta.plot.panel.frames import Frame, Key, axis_of, fixed_axis, texts_of
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
"""Domains of RoB 2 by their short names; others stand for themselves."""
HATCHES = {"low": "", "some concerns": "///", "high": "xxx", "unclear": "..."}


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
    """Traffic light of risk of bias: a disc with a sign for every study and domain [1]_.

    Not a score: discs are not to be added up.

    Parameters
    ----------
    result : DataFrame
        Columns study or study_id, domain, judgement, one row a judgement; as
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
    >>> frame = pd.DataFrame({"study": ["A", "A"], "domain": ["D1", "overall"], "judgement": ["low", "high"]})
    >>> [text.get_text() for text in risk_of_bias(frame).texts if text.get_text() in "+!×?"][:2]
    ['+', '×']
    """
    look, table = theme_named(theme), _judged(result, "risk_of_bias")
    studies, domains = list(table.index), list(table.columns)
    shown = {name: (labels or {}).get(name, name) for name in studies}
    used = [word for word in RISK if (table == word).any(axis=None)]
    legend = [
        f"{DOMAINS[name]}" for name in domains if name in DOMAINS and DOMAINS[name] != _head(name)
    ]
    panel = framed(
        Frame(
            x=fixed_axis(-0.5, len(domains) - 0.5),
            y=fixed_axis(-0.5, len(studies) - 0.5),
            x_label="",
            y_label="Study",
            name="Risk of bias",
            alt=_alt(table, shown),
            title=title,
            notes=(*((f"{'; '.join(legend)}.",) if legend else ()), *texts_of(notes)),
            keys=tuple(
                Key("o", RISK[w][1], w.capitalize(), edge=look.quiet, sign=RISK[w][0]) for w in used
            ),
            height=2.0 * len(studies),
            rows=tuple((i + 0.0, shown[name]) for i, name in enumerate(studies)),
            rows_headed=True,
            down=True,
            x_axis=False,
            ratio=1.0,
        ),
        look,
        ax,
        width,
    )
    _heads(panel, [_head(name) for name in domains])
    for word in used:
        at = [
            (j, i)
            for i in range(len(studies))
            for j in range(len(domains))
            if table.iat[i, j] == word
        ]
        _discs(panel, at, word)
    return panel.ax


def _judged(result: Any, name: str) -> pd.DataFrame:
    """Judgements with studies down and domains across, the worst where there are several."""
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


def _head(domain: str) -> str:
    return "Overall" if domain.lower() == "overall" else domain


def _heads(panel: Panel, heads: Sequence[str]) -> None:
    """Heads of the columns in the panel, broken where they are too long."""
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


def _discs(panel: Panel, at: Sequence[tuple[float, float]], word: str) -> None:
    sign, colour = RISK[word]
    panel.ax.plot(
        [x for x, _ in at],
        [y for _, y in at],
        ls="none",
        marker="o",
        ms=1.5 * panel.em,
        mfc=colour,
        mec=panel.theme.quiet,
        mew=0.6 * panel.scale,
        zorder=4,
        clip_on=False,
    )
    for x, y in panel.places([x for x, _ in at], [y for _, y in at]):
        panel.write(
            float(x),
            float(y) - 0.36 * panel.font.points,
            sign,
            "center",
            colour="#ffffff" if word == "high" else "",
        )


def _alt(table: pd.DataFrame, shown: Mapping[str, str]) -> str:
    each = []
    for name, row in table.iterrows():
        judged = [f"{_head(str(domain))} {word}" for domain, word in row.items() if word]
        each.append(f"{shown[str(name)]}: {', '.join(judged)}")
    return f"Risk of bias of {len(table)} studies. {'; '.join(each)}."


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
    """Share of each judgement in each domain, weighted as the studies are in the pooled result.

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
    >>> frame = pd.DataFrame({"study": ["A", "B"], "domain": ["D1", "D1"], "judgement": ["low", "high"]})
    >>> ax = risk_of_bias_summary(frame, weights={"A": 3.0, "B": 1.0})
    >>> [float(end) for end in ax.get_xlim()]
    [0.0, 100.0]
    """
    look, table = theme_named(theme), _judged(result, "risk_of_bias_summary")
    share = np.array(
        [1.0 if weights is None else float(weights.get(str(name), 0.0)) for name in table.index]
    )
    if not share.sum() > 0:
        raise ValueError(f"weights name none of the studies: {', '.join(map(str, table.index))}")
    used = [word for word in RISK if (table == word).any(axis=None)]
    heights = {word: (table == word).to_numpy().T @ share for word in used}
    total = np.sum(list(heights.values()), axis=0)
    shares = {
        word: 100 * np.divide(h, total, out=np.zeros_like(h), where=total > 0)
        for word, h in heights.items()
    }
    domains = [DOMAINS.get(str(name), _head(str(name))) for name in table.columns]
    texts = [
        f"{d}: " + ", ".join(f"{w} {shares[w][j]:.0f} %" for w in used)
        for j, d in enumerate(domains)
    ]
    panel = framed(
        Frame(
            x=axis_of([0.0, 100.0], ends=(0.0, 100.0)),
            y=fixed_axis(-0.5, len(domains) - 0.5),
            x_label="Studies (%)" if weights is None else "Weight in the pooled result (%)",
            y_label="Risk of bias",
            name="Risk of bias, summary",
            alt=f"Risk of bias by domain. {'; '.join(texts)}.",
            title=title,
            notes=texts_of(notes),
            keys=tuple(
                Key(
                    "patch",
                    RISK[w][1],
                    f"{RISK[w][0]} {w.capitalize()}",
                    edge=look.text,
                    hatch=HATCHES[w],
                )
                for w in used
            ),
            height=2.1 * len(domains),
            row_height=2.1,
            rows=tuple((float(j), name) for j, name in enumerate(domains)),
            down=True,
        ),
        look,
        ax,
        width,
    )
    left = np.zeros(len(domains))
    for word in used:
        _bars(panel, left, shares[word], word)
        left = left + shares[word]
    return panel.ax


def _bars(panel: Panel, left: Any, share: Any, word: str) -> None:
    """Parts of the bars of one judgement, hatched, with the sign where there is room."""
    sign, colour = RISK[word]
    boxes = [
        [(a, j - 0.36), (a + b, j - 0.36), (a + b, j + 0.36), (a, j + 0.36)]
        for j, (a, b) in enumerate(zip(left, share, strict=True))
        if b > 0
    ]
    panel.ax.add_collection(
        PolyCollection(
            boxes,
            facecolors=colour,
            edgecolors="#ffffff" if word == "high" else panel.theme.text,
            hatch=HATCHES[word] or None,
            linewidths=0.6 * panel.scale,
            zorder=2,
        ),
        False,
    )
    for j, (a, b) in enumerate(zip(left, share, strict=True)):
        x, y = panel.places(a + b / 2, j)
        if b / 100 * panel.width > 1.8 * panel.font.points:
            shade = "#ffffff" if word == "high" else ""
            panel.write(
                float(x),
                float(y) - 0.36 * panel.font.points,
                sign,
                "center",
                colour=shade,
                backing=colour,
            )
