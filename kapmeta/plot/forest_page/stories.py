"""Story, what a forest plot was given in one shape, and the kinds of its parts."""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior

__all__ = ["Block", "Model", "Story", "effects_of", "pools"]


class Story(NamedTuple):
    """Blocks, each a heading with the results drawn under it, then results over all blocks.

    `by` is what the blocks are formed by, `between` the tests between them, `notes` what belongs to
    those.
    """

    blocks: list[Block]
    overall: tuple[Model, ...] = ()
    by: str = ""
    between: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def grouped(self) -> bool:
        """Whether the blocks have headings."""
        return len(self.blocks) > 1 or bool(self.blocks[0][0])

    @property
    def given(self) -> list[Effects | Model]:
        """The results of all blocks."""
        return [item for _, results in self.blocks for item in results]

    @property
    def models(self) -> list[Model]:
        """The models whose method is told and whose weights are shown."""
        if len(self.blocks) == 1:
            return [item for item in self.blocks[0][1] if isinstance(item, Model)] or list(
                self.overall
            )
        return list(self.overall) or [item for item in self.given if isinstance(item, Model)][:1]

    @property
    def effects(self) -> Effects:
        """The effects of all blocks together, or of the first."""
        return self.overall[0].effects if self.overall else effects_of(self.given[0])

    @property
    def shares_overall(self) -> bool:
        """Whether weights are shares of all blocks together: each study stands once in what is pooled over them."""
        labels = [label for _, results in self.blocks for label in effects_of(results[0]).labels]
        every = {item.effects.labels for item in self.overall if pools(item)}
        return (
            self.grouped
            and bool(every)
            and all(sorted(labels) == sorted(set(found)) for found in every)
        )


def pools(item: Effects | Model | None) -> TypeGuard[Model]:
    """Whether there is something to draw as a diamond."""
    return isinstance(item, Model) and item.k > 1


Model = Pooled | Posterior
"""What may be drawn as a diamond."""

Block = tuple[str, list[Effects | Model]]


def effects_of(result: Effects | Model) -> Effects:
    """The effects themselves, or those that were pooled."""
    return result if isinstance(result, Effects) else result.effects
