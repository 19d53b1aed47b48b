"""The curve of an unread trial: the pooled result over everything that trial could have found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kapmeta import checking, wording
from kapmeta.plot.panel.frames import Frame, Key, axis_of
from kapmeta.plot.panel.framing import framed
from kapmeta.plot.panel.marks import GREYS, band, line, measure_words
from kapmeta.plot.style import Theme, theme_named
from kapmeta.results.posteriors import Posterior
from kapmeta.results.scenarios.unread_trials import UnreadTrial

__all__ = ["unread_trial"]

DASHED = (0, (4, 2.5))


@checking.checked
def unread_trial(
    result: UnreadTrial,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "kapmeta",
    title: str = "",
    notes: Iterable[str] = (),
    width: float | str | None = None,
) -> Axes:
    """Plot a pooled result against what a trial not yet read could have found.

    The band is the interval of the pooled result with the trial. It turns at the dashed lines.
    Shows how far the unread trial could move the result, not what it found.

    Parameters
    ----------
    result : UnreadTrial
        What `kapmeta.sensitivity.unread_trial` returned.
    ax, theme, title, notes, width
        As in `kapmeta.plot.posterior`.

    Returns
    -------
    Axes
        x is the effect in the unread trial and y the pooled effect, on the scale shown.

    Examples
    --------
    >>> import pandas as pd
    >>> import kapmeta as km
    >>> from kapmeta.sensitivity.unread_trials import unread_trial as find
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [40, 31], "n_t": [60, 45],
    ...                        "events_c": [22, 15], "n_c": [60, 45]})
    >>> main = km.pool(km.risk_ratio(trials))
    >>> unread_trial(find(main, n_t=39, n_c=19)).get_xscale()
    'log'
    """
    checking.instance(result, UnreadTrial, "result", "come from kapmeta.sensitivity.unread_trial")
    look, scale = theme_named(theme), result.scale
    curve = result.to_frame().dropna(subset=["verdict"])
    curve = curve[np.isfinite(curve["trial"]) & np.isfinite(curve["low"] + curve["high"])]
    if len(curve) < 2:
        raise ValueError("no finding of the unread trial has an interval with two limits")
    turns = _turns(result)
    frame = _curve_frame(result, look, curve, turning=bool(turns))
    panel = framed(frame.with_text(title, notes), look, ax, width)
    x = curve["trial"].to_numpy()
    ends = [panel.y.low, panel.y.high]
    limits = (curve[name].to_numpy(dtype=float) for name in ("low", "high"))
    low, high = (np.clip(limit, panel.y.low, panel.y.high) for limit in limits)
    band(panel, x, low, high, GREYS[2])
    line(panel, x, curve["estimate"], look.diamond)
    if scale.null is not None:
        line(panel, [panel.x.low, panel.x.high], [scale.null] * 2, look.text, order=1.5)
    for place in turns:
        line(panel, [place] * 2, ends, look.prediction, DASHED, 1.6)
    return panel.ax


def _turns(result: UnreadTrial) -> list[float]:
    """Find the effects of the trial half-way between two verdicts, on the scale shown."""
    runs = result.ranges()
    before, after = runs["high"].to_numpy()[:-1], runs["low"].to_numpy()[1:]
    if result.scale.ratio:
        return [float(x) for x in np.sqrt(before * after)]
    return [float(x) for x in (before + after) / 2]


def _curve_frame(result: UnreadTrial, look: Theme, curve: pd.DataFrame, turning: bool) -> Frame:
    scale = result.scale
    kind = "CrI" if isinstance(result.base, Posterior) else "CI"
    words = measure_words(result.base.effects)
    estimates = curve[["estimate", "low", "high"]].to_numpy().T
    x = curve["trial"].to_numpy()
    return Frame(
        x=axis_of(x, log=scale.ratio, ends=(float(x[0]), float(x[-1]))),
        y=axis_of(
            estimates[0], low=estimates[1], high=estimates[2], log=scale.ratio, null=scale.null
        ),
        x_label=f"{wording.capital(scale.name)} found by {result.study}",
        y_label=f"{words}, pooled with it",
        name=f"Unread trial: {scale.name} of {result.base.effects.event}",
        alt=f"Pooled result over the possible findings of {result.study}. {result.alt_text()}",
        keys=(
            Key("-", look.diamond, "Estimate"),
            Key(
                "patch",
                GREYS[2],
                f"{wording.percent(result.base.method.level)} {kind}",
                edge=look.quiet,
            ),
            *([Key("--", look.prediction, "The interval turns")] if turning else []),
        ),
        ratio=0.6,
    )
