"""Influence panels: the deletion diagnostics of every study side by side, one panel each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from kapmeta import checking, wording
from kapmeta.core.numerics.arrays import BoolArray, FloatArray
from kapmeta.core.numerics.ties import tied_ranks
from kapmeta.core.sensitivity.influence import CUT_OFFS, FEWEST_FLAGGED, beyond
from kapmeta.plot.forest_page.notes import sentences
from kapmeta.plot.panel.axis import EffectAxis, Fits, label_of, linear_series, ten_digits
from kapmeta.plot.panel.frames import AxisMaker, Frame, Key, fixed_axis
from kapmeta.plot.panel.framing import Panel, framed
from kapmeta.plot.panel.marks import DOT, GREYS, frame_of
from kapmeta.plot.panel.plans import PAD, PITCH, TICK
from kapmeta.plot.panel.typesetting import text_width, wrapped
from kapmeta.plot.style import Theme, theme_named

__all__ = ["influence"]

PANEL_ROW, HEADS_HEIGHT = 1.6, 3.2  # ems
PANEL_MARGIN = 0.12  # share of a panel free on either side
SIGNED = ("rstudent", "dffits", "dfbetas")
NEEDED = ("rstudent", "dffits", "cook", "covariance_ratio", "hat", "dfbetas")
FEWEST_STUDIES = 3


class Diagnostic(NamedTuple):
    """One panel: its head, and the value without influence (None: that with all studies)."""

    head: str
    idle: float | None


DIAGNOSTICS: Mapping[str, Diagnostic] = {
    "rstudent": Diagnostic("rstudent", 0.0),
    "dffits": Diagnostic("DFFITS", 0.0),
    "cook": Diagnostic("Cook's distance", 0.0),
    "covariance_ratio": Diagnostic("Covar. ratio", 1.0),
    "tau2": Diagnostic("τ² without", None),
    "q": Diagnostic("Q without", None),
    "hat": Diagnostic("Weight", 0.0),
    "dfbetas": Diagnostic("DFBETAS", 0.0),
}
"""Panels from left to right, by the columns of `kapmeta.influence`."""


@checking.checked
def influence(
    result: Any,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Draw the influence panels: every deletion diagnostic of every study [1]_.

    Each panel is one diagnostic on a scale of its own, each row a study. Solid lines are where a
    study changes nothing: at 0, at a covariance ratio of 1, and at tau2 and Q with all studies.
    Dashed lines are cut-offs; studies beyond one are diamonds. The cut-offs are those of the R
    package metafor, whose documentation calls them somewhat arbitrary: they say which trial to read
    again, not which to leave out. With fewer than five studies there are none.

    Parameters
    ----------
    result : Sweep or DataFrame
        What `kapmeta.influence` returned, or its columns with `study` or `left_out`; a frame has no
        values with all studies.
    ax, theme, title, notes
        As in `kapmeta.plot.labbe`.
    width : float or str, optional
        As in `kapmeta.plot.labbe`; ``"page"`` by default.

    Returns
    -------
    Axes
        y counts the studies, x the panels: the first lies from 0 to 1. A diagnostic that the method
        does not have has no panel, and a note says so.

    Raises
    ------
    ValueError
        If a column is missing, there are fewer than three studies, or the panels have no room.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MWL. Outlier and influence diagnostics for meta-analysis. Res Synth
       Methods 2010;1:112-125. https://doi.org/10.1002/jrsm.11

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.plot.influence_panels import influence
    >>> ax = influence(km.influence(km.pool(km.risk_ratio(km.load_example("bcg")))))
    >>> [float(end) for end in ax.get_xlim()]
    [0.0, 8.0]
    """
    look, frame = theme_named(theme), frame_of(result, NEEDED, "influence")
    frame = frame_of(frame.rename(columns={"left_out": "study"}), ("study",), "influence")
    if len(frame) < FEWEST_STUDIES:
        raise ValueError(f"influence diagnostics need three studies or more: {len(frame)} to draw")
    base = getattr(result, "base", None)
    shown = [name for name in DIAGNOSTICS if _exists(frame, name, base)]
    flagged = {name: beyond(name, frame[name].to_numpy(dtype=float)) for name in shown}
    labels = [str(label) for label in frame["study"]]
    frame_around = _influence_frame(frame, labels, flagged, look, getattr(result, "notes", ()))
    panel = framed(
        frame_around.with_text(title, notes),
        look,
        ax,
        "page" if ax is None and width is None else width,
    )
    _draw_guides(panel, len(labels), len(shown))
    for j, name in enumerate(shown):
        values = frame[name].to_numpy(dtype=float)
        _draw_diagnostic(panel, j, name, values, flagged[name], _idle(name, base))
    return panel.ax


def _influence_frame(
    frame: pd.DataFrame,
    labels: Sequence[str],
    flagged: Mapping[str, BoolArray],
    look: Theme,
    notes: Iterable[str],
) -> Frame:
    k, shown = len(labels), list(flagged)
    return Frame(
        x=_across([DIAGNOSTICS[name].head for name in shown]),
        y=fixed_axis(-0.5 - HEADS_HEIGHT / PANEL_ROW, k - 0.5),
        x_label="",
        y_label="",
        name="Influence of each study",
        alt=_influence_alt(frame, labels, flagged),
        notes=(*_about_cut_offs(shown, k), *_about_gaps(frame, shown), *sentences(notes)),
        keys=tuple(_influence_keys(look, flagged, k)),
        height=PANEL_ROW * k + HEADS_HEIGHT,
        row_height=PANEL_ROW,
        rows=tuple((float(i), label) for i, label in enumerate(labels)),
        below=TICK + PAD + 1.0,
        down=True,
        x_axis=False,
    )


def _exists(frame: pd.DataFrame, name: str, base: Any) -> bool:
    """Check whether the method has this diagnostic; tau2 does not exist in the common model."""
    if name not in frame or (name == "tau2" and base is not None and base.method.model == "common"):
        return False
    return bool(np.isfinite(frame[name].to_numpy(dtype=float)).any())


def _idle(name: str, base: Any) -> float:
    """Return the value at which a study changes nothing; nan where that is not known."""
    idle = DIAGNOSTICS[name].idle
    return idle if idle is not None else math.nan if base is None else float(getattr(base, name))


def _across(heads: Sequence[str]) -> AxisMaker:
    """Put panels side by side; refuse where words of their heads would run into each other."""
    longest = [max(head.split(), key=len) for head in heads]

    def make(fits: Fits) -> EffectAxis:
        if not fits([(j + 0.5) / len(heads) for j in range(len(heads))], longest):
            raise ValueError(f"{len(heads)} panels have no room side by side; give a wider figure")
        return EffectAxis(0.0, float(len(heads)), (), (), False)

    return make


def _influence_alt(
    frame: pd.DataFrame, labels: Sequence[str], flagged: Mapping[str, BoolArray]
) -> str:
    head = (
        f"Influence of {wording.studies(len(labels))} on the pooled result, each left out in turn."
    )
    cook = frame["cook"].to_numpy(dtype=float)
    if np.isfinite(cook).any():
        most = int(tied_ranks(np.where(np.isfinite(cook), -cook, np.nan)).argmin())
        head += f" Largest Cook's distance: {labels[most]}, {wording.number(cook[most])}."
    if len(labels) < FEWEST_FLAGGED:
        return f"{head} With so few studies no cut-off applies."
    each = []
    for i, label in enumerate(labels):
        names = [DIAGNOSTICS[name].head for name, far in flagged.items() if far[i]]
        each += [f"{label} ({', '.join(names)})"] if names else []
    return f"{head} Beyond a cut-off: {'; '.join(each) or 'none'}."


def _about_cut_offs(shown: Sequence[str], k: int) -> Iterable[str]:
    """Write where the dashed lines are, and where they come from."""
    if k < FEWEST_FLAGGED:
        return
    each = [
        f"{DIAGNOSTICS[name].head}"
        f" {'±' if name in SIGNED else ''}{wording.number(CUT_OFFS[name].at(k))}"
        f"{CUT_OFFS[name].rule and f' ({CUT_OFFS[name].rule})'}"
        for name in shown
        if name in CUT_OFFS
    ]
    yield f"Cut-offs as in metafor, somewhat arbitrary by its own words: {'; '.join(each)}."


def _about_gaps(frame: pd.DataFrame, shown: Sequence[str]) -> Iterable[str]:
    """Write which diagnostics have no panel, and which lack a mark for a study."""
    lacking = [DIAGNOSTICS[name].head for name in DIAGNOSTICS if name not in shown]
    if lacking:
        yield f"Not defined for this method: {wording.joined(lacking)}."
    gaps = [
        DIAGNOSTICS[name].head
        for name in shown
        if not np.isfinite(frame[name].to_numpy(dtype=float)).all()
    ]
    if gaps:
        yield f"No mark where a diagnostic does not exist for a study: {wording.joined(gaps)}."


def _influence_keys(theme: Theme, flagged: Mapping[str, BoolArray], k: int) -> Iterable[Key]:
    yield Key("-", theme.text, "No influence, or the value with all studies")
    if k < FEWEST_FLAGGED:
        return
    yield Key("--", theme.quiet, "Cut-off")
    yield Key("o", theme.square, "Within the cut-off", edge=theme.interval)
    if any(far.any() for far in flagged.values()):
        yield Key("D", theme.prediction, "Beyond it", edge=theme.text)


def _draw_guides(panel: Panel, rows: int, panels: int) -> None:
    """Draw a faint line along each row, so that the eye follows a study across the panels."""
    along = [
        [(j + PANEL_MARGIN / 2, float(i)), (j + 1 - PANEL_MARGIN / 2, float(i))]
        for i in range(rows)
        for j in range(panels)
    ]
    panel.ax.add_collection(
        LineCollection(along, colors=GREYS[2], linewidths=0.6 * panel.scale, zorder=0.5),
        autolim=False,
    )


def _draw_diagnostic(
    panel: Panel, j: int, name: str, values: FloatArray, far: BoolArray, idle: float
) -> None:
    """Draw one panel: head, axis, lines, stems and marks."""
    theme, rows = panel.theme, values.size
    cut = CUT_OFFS[name].at(rows) if name in CUT_OFFS and rows >= FEWEST_FLAGGED else math.nan
    cuts = [x for x in ((-cut, cut) if name in SIGNED else (cut,)) if math.isfinite(x)]
    ends, place = _panel_scale(np.array([*values, idle, *cuts]))
    _write_head(panel, j, DIAGNOSTICS[name].head)
    _draw_panel_axis(panel, j, ends, place)
    upright: list[tuple[float, str, Any]] = [(x, theme.quiet, (0, (4, 2.5))) for x in cuts]
    for x, colour, dashes in ((idle, theme.text, "-"), *upright):
        if math.isfinite(x):
            at, height = ten_digits([j + place(x)] * 2), [-0.5, rows - 0.5]
            style: dict[str, Any] = {"color": colour, "ls": dashes, "lw": 0.8 * panel.scale}
            panel.ax.plot(at, height, zorder=1, **style)
    known = np.isfinite(values)
    across, row = ten_digits(j + place(values[known])), np.flatnonzero(known).astype(float)
    if math.isfinite(idle):
        from_idle = float(ten_digits(j + place(idle))[0])
        stems = [[(from_idle, y), (x, y)] for x, y in zip(across, row, strict=True)]
        lines = LineCollection(stems, colors=theme.interval, linewidths=0.9 * panel.scale, zorder=2)
        panel.ax.add_collection(lines, autolim=False)
    _draw_marks(panel, across, row, far[known])


def _draw_marks(panel: Panel, across: FloatArray, row: FloatArray, far: BoolArray) -> None:
    """Draw discs within the cut-off and diamonds beyond it."""
    theme = panel.theme
    for which, mark, side, fill, edge in (
        (~far, "o", DOT, theme.square, theme.interval),
        (far, "D", 0.9 * DOT, theme.prediction, theme.text),
    ):
        if which.any():
            panel.ax.scatter(
                across[which],
                row[which],
                s=(side * panel.em) ** 2,
                marker=mark,
                facecolors=fill,
                edgecolors=edge,
                linewidths=0.8 * panel.scale,
                zorder=4,
            )


def _panel_scale(values: FloatArray) -> tuple[tuple[float, float], Callable[[Any], FloatArray]]:
    """Find the ends of one panel's scale, and the place of a value between 0 and 1."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2

    def place(x: Any) -> FloatArray:
        return np.asarray(
            PANEL_MARGIN
            + (1 - 2 * PANEL_MARGIN) * (np.asarray(x, dtype=float) - low) / (high - low)
        )

    return (low, high), place


def _write_head(panel: Panel, j: int, head: str) -> None:
    em, step = panel.font.points, panel.width / panel.x.high
    lines = wrapped(head, step - 0.4 * em, panel.font)
    first = float(panel.places(0.0, -0.5)[1]) + 0.6 * em
    for n, text in enumerate(reversed(lines)):
        panel.write((j + 0.5) * step, first + n * PITCH * em, text, "center")


def _draw_panel_axis(
    panel: Panel, j: int, ends: tuple[float, float], place: Callable[[Any], FloatArray]
) -> None:
    """Draw a line under the panel with two or three labelled values."""
    em, step = panel.font.points, panel.width / panel.x.high
    ticks, labels = _ticks(ends, place, panel)
    across = panel.ax.get_xaxis_transform()
    style: dict[str, Any] = {
        "color": panel.theme.text,
        "lw": 0.8 * panel.scale,
        "transform": across,
        "clip_on": False,
        "zorder": 1.5,
    }
    panel.ax.plot([j + PANEL_MARGIN / 2, j + 1 - PANEL_MARGIN / 2], [0, 0], **style)
    for tick, label in zip(ticks, labels, strict=True):
        at = float(ten_digits(j + place(tick))[0])
        panel.ax.plot([at, at], [0, float(ten_digits(-TICK * em / panel.height)[0])], **style)
        panel.write(at * step, -(TICK + PAD + 0.75) * em, label, "center")


def _ticks(
    ends: tuple[float, float], place: Callable[[Any], FloatArray], panel: Panel
) -> tuple[list[float], list[str]]:
    """Choose two to four round values between the ends, the finest that have room."""
    step, gap = panel.width / panel.x.high, 0.4 * panel.font.points
    for series in linear_series(*ends):
        for values in (series, series[::2]):
            labels = [label_of(value) for value in values]
            half = np.array([text_width(text, panel.font) / 2 for text in labels])
            at = place(values) * step
            spaced = (at[1:] - half[1:] - at[:-1] - half[:-1] >= gap).all()
            inside = (at - half >= 0).all() and (at + half <= step).all()
            if 2 <= len(values) <= 4 and spaced and inside:
                return values, labels
    return [], []
