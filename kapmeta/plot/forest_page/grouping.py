"""What a forest plot was given, brought into one shape: results under headings, and those over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from kapmeta.plot.forest_page.notes import between_text, model_labels, sentences
from kapmeta.plot.forest_page.stories import Model, Story, effects_of
from kapmeta.results.effects import Effects
from kapmeta.results.subgroups import Subgroups

__all__ = ["Forest", "Overall", "told"]

Several = Sequence[Model] | Sequence[Subgroups]
Forest = Effects | Model | Subgroups | Several | Mapping[str, Model | Sequence[Model]]
"""What may be drawn as a forest plot."""

Overall = Model | Sequence[Model] | None


def told(result: Forest, overall: Overall) -> Story:
    """The story of a result; refused if its parts do not belong together."""
    found = list(result) if _several(result) else [result]
    if all(isinstance(item, Subgroups) for item in found) and found:
        story = _of_subgroups(found, overall)  # type: ignore[arg-type]
    elif isinstance(result, Mapping):
        story = Story(
            [(" ".join(str(label).split()), _listed(item)) for label, item in result.items()]
        )
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
        raise ValueError(
            "results of several models must have the same subgroups; draw others in plots of"
            " their own"
        )
    above = tuple(item.overall for item in results) if overall is None else tuple(_listed(overall))
    names = model_labels([item.overall for item in results]) if len(results) > 1 else [""]
    return Story(
        [(name, [item.groups[name] for item in results]) for name in first.groups],
        above,  # type: ignore[arg-type]
        first.by,
        tuple(
            line
            for name, item in zip(names, results, strict=True)
            for line in between_text(item, name)
        ),
        tuple(dict.fromkeys(note for item in results for note in sentences(item.notes))),
    )


def _refuse(story: Story) -> None:
    given = story.given if story.blocks else []
    wrong = next((item for item in given if not isinstance(item, Effects | Model)), None)
    if wrong is not None or not given:
        what = "nothing" if not given else type(wrong).__name__
        raise TypeError(
            "forest draws Effects, a Pooled, Subgroups, a list of either, or a mapping of labels"
            f" to Pooled; got {what}"
        )
    if any(item.measure != given[0].measure for item in given):
        raise ValueError(
            f"results of different measures: {', '.join(dict.fromkeys(i.measure for i in given))}"
        )
    if any(
        effects_of(item).labels != effects_of(results[0]).labels
        for _, results in story.blocks
        for item in results
    ):
        raise ValueError(
            "several models in one plot must share their studies; give a mapping of labels for"
            " subgroups"
        )
    lacking = next(
        (label for label, results in story.blocks if len(results) != len(story.overall or results)),
        None,
    )
    if lacking is not None:
        raise ValueError(
            f'overall has {len(story.overall)} models, "{lacking}" has another number; give each'
            " the same"
        )
