"""Whatever `forest` was given, brought into one shape: results in groups, and overall results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from kapmeta.plot.forest_page.groups import GroupedResults, ModelResult, effects_drawn
from kapmeta.plot.forest_page.notes import between_text, model_labels, sentences
from kapmeta.results.effects import Effects
from kapmeta.results.subgroups import Subgroups

__all__ = ["Forest", "Overall", "grouped_results"]

Forest = (
    Effects
    | ModelResult
    | Subgroups
    | Sequence[ModelResult]
    | Sequence[Subgroups]
    | Mapping[str, ModelResult | Sequence[ModelResult]]
)
"""What may be drawn as a forest plot."""

Overall = ModelResult | Sequence[ModelResult] | None


def grouped_results(result: Forest, overall: Overall) -> GroupedResults:
    """Bring a result into groups; refuse parts that do not belong together."""
    found = list(result) if _is_sequence(result) else [result]
    if all(isinstance(item, Subgroups) for item in found) and found:
        grouped = _from_subgroups(found, overall)  # type: ignore[arg-type]
    elif isinstance(result, Mapping):
        grouped = GroupedResults(
            [(" ".join(str(label).split()), _as_list(item)) for label, item in result.items()]
        )
    else:
        grouped = GroupedResults([("", found)])  # type: ignore[list-item]
    grouped = grouped._replace(overall=grouped.overall or tuple(_as_list(overall)))  # type: ignore[arg-type]
    _check_groups(grouped)
    return grouped


def _is_sequence(result: object) -> TypeGuard[Sequence[object]]:
    return isinstance(result, Sequence) and not isinstance(result, str)


def _as_list(item: object) -> list[Effects | ModelResult]:
    return list(item) if _is_sequence(item) else [] if item is None else [item]  # type: ignore[arg-type, list-item]


def _from_subgroups(results: Sequence[Subgroups], overall: Overall) -> GroupedResults:
    """Group subgroups by their names; each model has its diamonds, its total and its tests."""
    first = results[0]
    if any((item.by, [*item.groups]) != (first.by, [*first.groups]) for item in results):
        raise ValueError(
            "results of several models must have the same subgroups; draw others in plots of"
            " their own"
        )
    totals = tuple(item.overall for item in results) if overall is None else _as_list(overall)
    names = model_labels([item.overall for item in results]) if len(results) > 1 else [""]
    between = [
        text for name, item in zip(names, results, strict=True) for text in between_text(item, name)
    ]
    return GroupedResults(
        [(name, [item.groups[name] for item in results]) for name in first.groups],
        tuple(totals),  # type: ignore[arg-type]
        first.by,
        tuple(between),
        tuple(dict.fromkeys(note for item in results for note in sentences(item.notes))),
    )


def _kind_of(item: object) -> str:
    """Name the type of what was given; None is nothing."""
    return "nothing" if item is None else type(item).__name__


def _check_groups(grouped: GroupedResults) -> None:
    """Refuse what is no result, other measures or studies, and models without their overall."""
    given = grouped.given if grouped.groups else []
    wrong = [item for item in given if not isinstance(item, Effects | ModelResult)]
    if wrong or not given:
        raise TypeError(
            "result: forest draws Effects, a Pooled, Subgroups, a list of either, or a mapping of"
            f" labels to Pooled; got {_kind_of(wrong[0]) if given else 'nothing'}"
        )
    others = [item for item in grouped.overall if not isinstance(item, ModelResult)]
    if others:
        raise TypeError(f"overall must be a Pooled or a list of them; got {_kind_of(others[0])}")
    if any(item.measure != given[0].measure for item in given):
        raise ValueError(
            f"results of different measures: {', '.join(dict.fromkeys(i.measure for i in given))}"
        )
    for label, results in grouped.groups:
        studies = effects_drawn(results[0]).labels if results else ()
        if any(effects_drawn(item).labels != studies for item in results):
            raise ValueError(
                "several models in one plot must share their studies; give a mapping of labels for"
                " subgroups"
            )
        if len(results) != len(grouped.overall or results):
            raise ValueError(
                f'overall has {len(grouped.overall)} models but "{label}" has {len(results)};'
                " give each the same number"
            )
