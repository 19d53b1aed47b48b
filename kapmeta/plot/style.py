"""How every figure looks: colours, themes, print widths, and saving to the same bytes every time.

The colours keep apart for readers with protanopia, deuteranopia or tritanopia and in grey print,
and no figure relies on colour alone: shape, position or a word always says the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import matplotlib

from kapmeta import checking
from kapmeta.plot.saving import alt_text, describe, save

__all__ = [
    "CATEGORICAL",
    "RISK",
    "THEMES",
    "WIDTHS",
    "Theme",
    "alt_text",
    "describe",
    "light",
    "save",
    "theme_named",
]

CATEGORICAL = ("#12294d", "#e08a2c", "#2f7fb8", "#9c2f5b", "#f2d16b")
"""Colours for up to five kinds of things, apart in hue and in lightness."""

RISK: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "low": ("+", "#b5e0cb"),
        "some concerns": ("!", "#e8a93a"),
        "high": ("×", "#8e1f3b"),
        "unclear": ("?", "#ffffff"),
    }
)
"""Sign and colour of each judgement of risk of bias."""

WIDTHS: Mapping[str, float] = MappingProxyType({"single": 3.5, "double": 7.2, "page": 9.5})
"""Figure widths in inches: one journal column, two columns, a landscape page."""

LEAST_POINTS = 5.0
"""Smallest type to which a plot shrinks on a small `ax`; figures of its own keep 9 or more."""


@dataclass(frozen=True)
class Theme:
    """Look and order of columns of a forest plot; an empty string leaves the matter to the user's
    rcParams.

    Attributes
    ----------
    families : tuple of str
        Font families in order of preference; empty for the user's own.
    points : float
        Type size at print size; 0 for the user's own, but 9 at least.
    text, quiet, paper : str
        Colours of text, of lesser text and of the background.
    square, interval, inside, diamond, prediction, stripe : str
        Colours of the study's square, its interval, the interval inside a large square, the pooled
        diamond, the prediction interval and of every other row (empty: no stripes).
    left, right : tuple of str
        Columns on either side of the plot.
    study : str
        Head of the first column.
    limits : str
        How an interval is written; a tab separates parts that are aligned row by row.
    favours_on_top : bool
        Whether the two sides are named above the plot instead of below it.
    american : bool
        Whether to spell "Favors".
    method_heads : bool
        Whether the heads of effect and plot say how the effects were pooled.
    """

    families: tuple[str, ...] = ("DejaVu Sans",)
    points: float = 9.0
    text: str = "#1a1a1a"
    quiet: str = "#636363"
    paper: str = "#ffffff"
    square: str = "#2f7fb8"
    interval: str = "#12294d"
    inside: str = "#ffffff"
    diamond: str = "#12294d"
    prediction: str = "#e08a2c"
    stripe: str = ""
    left: tuple[str, ...] = ("treatment", "control")
    right: tuple[str, ...] = ("effect", "weight", "evidence_level", "risk_of_bias")
    study: str = "Study"
    limits: str = "[{low},\t{high}]"
    favours_on_top: bool = False
    american: bool = False
    method_heads: bool = False


THEMES: Mapping[str, Theme] = MappingProxyType(
    {
        "kapmeta": Theme(),
        "revman": Theme(
            square="#3565c0",
            interval="#1a1a1a",
            diamond="#1a1a1a",
            left=("events_t", "n_t", "events_c", "n_c", "weight", "effect"),
            right=("evidence_level", "risk_of_bias"),
            study="Study or subgroup",
            method_heads=True,
        ),
        "jama": Theme(
            square="#2d6a8a",
            interval="#1a1a1a",
            diamond="#1a1a1a",
            stripe="#eef3f6",
            left=("treatment", "control", "effect"),
            right=("weight", "evidence_level", "risk_of_bias"),
            study="Source",
            limits="({low}–{high})",
            favours_on_top=True,
            american=True,
        ),
        "bmj": Theme(
            square="#2a6ebb",
            interval="#2a6ebb",
            diamond="#2a6ebb",
            left=("treatment", "control"),
            right=("weight", "effect", "evidence_level", "risk_of_bias"),
            limits="({low} to\t{high})",
        ),
        "minimal": Theme(
            families=(),
            points=0.0,
            text="",
            quiet="",
            paper="",
            square="",
            interval="",
            inside="",
            diamond="",
            prediction="",
            left=(),
            right=("effect",),
        ),
    }
)
"""Themes of the forest plot. ``minimal`` takes fonts and colours from the user's rcParams."""


def theme_named(theme: str | Theme) -> Theme:
    """Look up the theme called `theme`; fill what it leaves open from the rcParams in force.

    Parameters
    ----------
    theme : str or Theme
        A word of `THEMES`, or a theme of one's own (``dataclasses.replace(THEMES["bmj"], ...)``).

    Returns
    -------
    Theme
        Without empty colours or fonts; only `stripe` may stay empty.

    Raises
    ------
    ValueError
        If the word is not in `THEMES`.

    Examples
    --------
    >>> from kapmeta.plot.style import theme_named
    >>> theme_named("jama").study
    'Source'
    """
    if isinstance(theme, str):
        if theme not in THEMES:
            raise ValueError(f'theme = "{theme}" is not known; use one of: {", ".join(THEMES)}')
        theme = THEMES[theme]
    checking.instance(theme, Theme, "theme", f"be a Theme or one of: {', '.join(THEMES)}")
    rc = matplotlib.rcParams
    cycle = rc["axes.prop_cycle"].by_key().get("color", ["C0"])
    spoken = {
        "text": rc["text.color"],
        "quiet": rc["xtick.color"],
        "paper": rc["figure.facecolor"],
        "square": cycle[0],
        "interval": rc["text.color"],
        "inside": rc["figure.facecolor"],
        "diamond": rc["text.color"],
        "prediction": cycle[1 % len(cycle)],
    }
    return replace(
        theme,
        families=theme.families or _users_families(),
        points=theme.points or max(9.0, float(rc["font.size"])),
        **{name: getattr(theme, name) or value for name, value in spoken.items()},
    )


def light(colour: str) -> str:
    """Mix `colour` with two thirds of white.

    Examples
    --------
    >>> from kapmeta.plot.style import light
    >>> light("#000000")
    '#a6a6a6'
    """
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (0.35 * part + 0.65 for part in to_rgb(colour))
    return str(to_hex((red, green, blue)))


def _users_families() -> tuple[str, ...]:
    """List the user's font families; generic names such as ``sans-serif`` become installed ones."""
    from matplotlib.font_manager import fontManager

    rc: Mapping[Any, Any] = matplotlib.rcParams
    named = [font for family in rc["font.family"] for font in rc.get(f"font.{family}") or [family]]
    installed = set(fontManager.get_font_names())
    return (
        *dict.fromkeys(font for font in named if font in installed and font != "DejaVu Sans"),
        "DejaVu Sans",
    )
