"""Results in groups, as a forest plot draws them: groups under headings, then the overall."""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior

__all__ = ["Group", "GroupedResults", "ModelResult", "effects_drawn", "has_diamond"]

ModelResult = Pooled | Posterior
"""A result that may be drawn as a diamond."""

Group = tuple[str, list[Effects | ModelResult]]
"""A heading and the results drawn under it."""


class GroupedResults(NamedTuple):
    """Groups of results, then the results over all groups.

    `by` names the variable that forms the groups, `between` are the sentences of the tests between
    them, `notes` the notes of those tests.
    """

    groups: list[Group]
    overall: tuple[ModelResult, ...] = ()
    by: str = ""
    between: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def headed(self) -> bool:
        """Whether the groups have headings."""
        return len(self.groups) > 1 or bool(self.groups[0][0])

    @property
    def given(self) -> list[Effects | ModelResult]:
        """The results of all groups."""
        return [item for _, results in self.groups for item in results]

    @property
    def models(self) -> list[ModelResult]:
        """The models whose method and weights are shown."""
        if len(self.groups) == 1:
            own = [item for item in self.groups[0][1] if isinstance(item, ModelResult)]
            return own or list(self.overall)
        return (
            list(self.overall) or [item for item in self.given if isinstance(item, ModelResult)][:1]
        )

    @property
    def effects(self) -> Effects:
        """The effects of all groups together, or of the first."""
        return self.overall[0].effects if self.overall else effects_drawn(self.given[0])

    @property
    def shares_overall(self) -> bool:
        """Whether weights are shares over all groups: each study is pooled overall exactly once."""
        labels = [label for _, results in self.groups for label in effects_drawn(results[0]).labels]
        pooled = {item.effects.labels for item in self.overall if has_diamond(item)}
        once = all(sorted(labels) == sorted(set(found)) for found in pooled)
        return self.headed and bool(pooled) and once


def has_diamond(item: Effects | ModelResult | None) -> TypeGuard[ModelResult]:
    """Check whether a result pools two studies or more, and so is drawn as a diamond."""
    return isinstance(item, ModelResult) and item.k > 1


def effects_drawn(result: Effects | ModelResult) -> Effects:
    """Return the effects themselves, or those that were pooled."""
    return result if isinstance(result, Effects) else result.effects
