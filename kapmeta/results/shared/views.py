"""What every result offers its readers: sentences, a table, a notebook view, a text alternative."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from kapmeta.wording import html_page

if TYPE_CHECKING:
    from kapmeta.measures import Interval, Measure

__all__ = ["EffectsView", "IntervalView", "View"]


class View(ABC):
    """A result that summarises itself, names its methods and turns into a table.

    A subclass writes `summary`, `methods_text` and `to_frame`. It overrides `_shown_text` and
    `_shown_table` where a notebook is to show less than these.
    """

    @property
    def papers(self) -> tuple[str, ...]:
        """Keys of `kapmeta.references.PAPERS`, besides those of the words of its method."""
        return ()

    @abstractmethod
    def summary(self) -> str:
        """Describe the result in words and numbers."""

    @abstractmethod
    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return the numbers of the result as a table."""

    def alt_text(self) -> str:
        """Describe the result to readers who cannot see the figure."""
        return self.summary()

    def _shown_text(self) -> str:
        return self.summary()

    def _shown_table(self) -> pd.DataFrame | None:
        return self.to_frame()

    def _repr_html_(self) -> str:
        return html_page(self._shown_text(), self._shown_table())


class Scaled(Protocol):
    """Anything on the scale of a measure, as `kapmeta.results.Effects` are."""

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""


class EffectsView(View):
    """A result that was made from a set of effects and is shown on their scale.

    Attributes
    ----------
    effects : Effects
        What was analysed.
    """

    effects: Scaled

    @property
    def scale(self) -> Measure:
        """The measure with its names and its way back to the scale shown."""
        return self.effects.scale


class IntervalView(EffectsView):
    """A result that is one estimate with its interval.

    Attributes
    ----------
    estimate, low, high : float
        On the analysis scale.
    """

    estimate: float
    low: float
    high: float

    @property
    def side(self) -> int | None:
        """1 or -1 if the interval lies above or below no effect, 0 if it includes it, else None."""
        side = self.scale.side(self.low, self.high)
        return None if side is None else int(side)

    @property
    def shown_interval(self) -> Interval:
        """Estimate and limits on the scale shown."""
        return self.scale.shown_interval(self.estimate, self.low, self.high)
