"""What a forest plot was given, brought into one shape: results under headings, and those over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeGuard

from kapmeta.plot.notes import Block, Model, between_text, effects_of, model_labels, sentences
from kapmeta.regression_results import Subgroups
from kapmeta.results import Effects

__all__ = ["Forest", "Overall", "Story", "pools", "told"]

Several = Sequence[Model] | Sequence[Subgroups]
Forest = Effects | Model | Subgroups | Several | Mapping[str, Model | Sequence[Model]]
"""What may be drawn as a forest plot."""

Overall = Model | Sequence[Model] | None


class Story(NamedTuple):
    """Blocks, each a heading with the results drawn under it, then results over all blocks.

    `by` is what the blocks are formed by, `between` the tests between them, `notes` what belongs to those.
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
            return [item for item in self.blocks[0][1] if isinstance(item, Model)] or list(self.overall)
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
        return self.grouped and bool(every) and all(sorted(labels) == sorted(set(found)) for found in every)


def pools(item: Effects | Model | None) -> TypeGuard[Model]:
    """Whether there is something to draw as a diamond."""
    return isinstance(item, Model) and item.k > 1


def told(result: Forest, overall: Overall) -> Story:
    """The story of a result; refused if its parts do not belong together."""
    found = list(result) if _several(result) else [result]
    if all(isinstance(item, Subgroups) for item in found) and found:
        story = _of_subgroups(found, overall)  # type: ignore[arg-type]
    elif isinstance(result, Mapping):
        story = Story([(" ".join(str(label).split()), _listed(item)) for label, item in result.items()])
    else:
        story = Story([("", found)])  # type: ignore[list-item]
    story = story._replace(overall=story.overall or tuple(_listed(overall)))  # type: ignore[arg-type]
    _refuse(story)
    return story


def _several(result: object) -> TypeGuard[Sequence[object]]:
    return isinstance(result, Sequence) and not isinstance(result, str)


def _listed(item: object) -> list[Effects | Model]:
    return list(item) if _several(item) else [] if item is None else [item]  # type: ignore[arg-type, list-item]


def _of_subgroups(results: Sequence[Subgroups], overall: Overall) -> Story:
    """Subgroups under one or several models; each model has its diamonds, its total and its tests."""
    first = results[0]
    if any((item.by, [*item.groups]) != (first.by, [*first.groups]) for item in results):
        raise ValueError("results of several models must have the same subgroups; draw others in plots of their own")
    above = tuple(item.overall for item in results) if overall is None else tuple(_listed(overall))
    names = model_labels([item.overall for item in results]) if len(results) > 1 else [""]
    return Story(
        [(name, [item.groups[name] for item in results]) for name in first.groups],
        above,  # type: ignore[arg-type]
        first.by,
        tuple(line for name, item in zip(names, results, strict=True) for line in between_text(item, name)),
        tuple(dict.fromkeys(note for item in results for note in sentences(item.notes))),
    )


def _refuse(story: Story) -> None:
    given = story.given if story.blocks else []
    wrong = next((item for item in given if not isinstance(item, Effects | Model)), None)
    if wrong is not None or not given:
        what = "nothing" if not given else type(wrong).__name__
        raise TypeError(
            f"forest draws Effects, a Pooled, Subgroups, a list of either, or a mapping of labels to Pooled; got {what}"
        )
    if any(item.measure != given[0].measure for item in given):
        raise ValueError(f"results of different measures: {', '.join(dict.fromkeys(i.measure for i in given))}")
    if any(effects_of(item).labels != effects_of(results[0]).labels for _, results in story.blocks for item in results):
        raise ValueError("several models in one plot must share their studies; give a mapping of labels for subgroups")
    lacking = next((label for label, results in story.blocks if len(results) != len(story.overall or results)), None)
    if lacking is not None:
        raise ValueError(f'overall has {len(story.overall)} models, "{lacking}" has another number; give each the same')
