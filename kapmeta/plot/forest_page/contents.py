"""The contents of a forest plot, before their places: rows, columns and notes from results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from kapmeta import checking, wording
from kapmeta.measures import Measure
from kapmeta.methods import model_name
from kapmeta.plot.forest_page.columns import (
    Column,
    FilledColumn,
    Row,
    columns_named,
    declared,
    fill_columns,
)
from kapmeta.plot.forest_page.enriching import enriched
from kapmeta.plot.forest_page.grouping import Forest, Overall, grouped_results
from kapmeta.plot.forest_page.groups import GroupedResults, ModelResult, effects_drawn, has_diamond
from kapmeta.plot.forest_page.notes import (
    CORRECTED,
    NOT_POOLED,
    NOT_RANDOMISED,
    UNCONFIRMED,
    correction,
    heterogeneity_lines,
    method_notes,
    method_words,
    model_labels,
    nonbreaking,
    reading_notes,
    sentences,
)
from kapmeta.plot.panel.arguments import text_given, texts_of
from kapmeta.plot.style import Theme
from kapmeta.results.effects import Effects, unconfirmed, unit_of
from kapmeta.results.pooled import Pooled, estimate_text
from kapmeta.results.posteriors import Posterior
from kapmeta.results.subgroups import Subgroups
from kapmeta.results.sweeps import Sweep

__all__ = ["Forest", "ForestContents", "Options", "Overall", "forest_contents", "sweep_contents"]

MOST_REFERENCES = 2
"""Most pooled estimates that are drawn down through the studies as lines."""


class Options(NamedTuple):
    """What the caller of a forest plot chose to show, as in `kapmeta.plot.forest`."""

    left: Iterable[str | Column] = ()
    right: Iterable[str | Column] = ()
    drop: Iterable[str] = ()
    studies: bool = True
    title: str = ""
    notes: Iterable[str] = ()
    prediction: str = "bar"
    shrunken: pd.DataFrame | None = None


@dataclass(frozen=True)
class ForestContents:
    """Everything a forest plot shows, as text and numbers on the scale shown.

    `first` heads the labels, `heading` the panel; `references` are the rows whose estimates are
    drawn through the plot as lines.
    """

    rows: tuple[Row, ...]
    first: str
    left: tuple[FilledColumn, ...]
    right: tuple[FilledColumn, ...]
    scale: Measure
    heading: str
    favours: tuple[str, ...]
    references: tuple[Row, ...]
    title: str
    notes: tuple[str, ...]
    name: str
    alt: str
    favours_on_top: bool = False


def forest_contents(
    result: Forest, overall: Overall, theme: Theme, options: Options
) -> ForestContents:
    """Write the contents of a forest plot of one result, of several models, or of subgroups."""
    grouped = grouped_results(result, overall)
    checking.flag(options.studies, "studies")
    effects, models = grouped.effects, grouped.models
    rows, extra_notes = enriched(
        _forest_rows(grouped, options.studies),
        effects_drawn(grouped.given[0]),
        options.prediction,
        options.shrunken,
    )
    level = models[0].method.level if models else 0.95
    words = method_words(models, level) if theme.method_heads else ""
    arms, scale = (effects.treatment, effects.control), effects.scale
    known = declared(theme, scale, level, arms, _weight_names(models), rows, words)
    columns = _chosen_columns(theme, known, rows, options)
    own_notes = (*reading_notes(grouped, rows, columns), *extra_notes, *grouped.notes)
    return ForestContents(
        rows=tuple(rows),
        first=theme.study,
        left=columns[0],
        right=columns[1],
        scale=scale,
        heading=f"{_heading(effects, scale)}\n{words}".strip(),
        favours=_favours(effects, theme),
        references=_references(grouped, rows),
        title=text_given(options.title, "title"),
        notes=tuple(map(nonbreaking, (*own_notes, *texts_of(options.notes)))),
        name=f"Forest plot: {scale.name} of {effects.event}",
        alt=_forest_alt(result, grouped),
        favours_on_top=theme.favours_on_top,
    )


def _references(grouped: GroupedResults, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Pick the pooled rows over all studies, unless they are too many to tell apart as lines."""
    pooled = [row for row in rows if row.kind == "pooled"]
    if grouped.headed:
        pooled = pooled[len(pooled) - len(grouped.overall) :]
    return tuple(pooled) if len(pooled) <= MOST_REFERENCES else ()


def sweep_contents(sweep: Sweep, theme: Theme, options: Options) -> ForestContents:
    """Write the contents of a forest plot whose rows are analyses."""
    effects, base = sweep.effects, sweep.base
    scale, records = effects.scale, wording.records(sweep.to_frame())
    rows = [Row("analysis", _one_line(record["analysis"]), record) for record in records]
    whole = _summary_rows(base, 0, f"All {wording.studies(base.k)}")[:1] if base is not None else []
    if base is not None and base.k > 1:
        rows += [Row("gap"), *whole]
    level = base.method.level if base is not None else 0.95
    known = declared(theme, scale, level, (effects.treatment, effects.control), ("",), rows)
    shape = Theme(left=("k",), right=("effect", "p_value", "tau2"), limits=theme.limits)
    columns = _chosen_columns(shape, known, rows, options)
    own_notes = (*method_notes([base] if base is not None else []), *sentences(sweep.notes))
    return ForestContents(
        rows=tuple(rows),
        first=sweep.kind.capitalize(),
        left=columns[0],
        right=columns[1],
        scale=scale,
        heading=_heading(effects, scale),
        favours=_favours(effects, theme),
        references=tuple(whole),
        title=text_given(options.title, "title"),
        notes=tuple(map(nonbreaking, (*own_notes, *texts_of(options.notes)))),
        name=f"{sweep.kind.capitalize()}: {scale.name} of {effects.event}",
        alt=sweep.alt_text(),
        favours_on_top=theme.favours_on_top,
    )


def _forest_rows(grouped: GroupedResults, studies: bool) -> list[Row]:
    """List the rows of all groups, with or without their studies, then those over all groups."""
    rows: list[Row] = []
    for heading, results in grouped.groups:
        rows += [Row("gap")] if rows and studies else []
        rows += (
            _group_rows(grouped, heading, results) if studies else _pooled_only(heading, results)
        )
    overall = zip(grouped.overall, model_labels(grouped.overall), strict=True)
    for i, (item, label) in enumerate(overall):
        rows += [Row("gap")] if not i else []
        rows += _summary_rows(item, i, f"All {wording.studies(item.k)}: {label}")
    return [*rows, *(Row("remark", nonbreaking(text)) for text in grouped.between)]


def _group_rows(
    grouped: GroupedResults, heading: str, results: list[Effects | ModelResult]
) -> list[Row]:
    """List the studies, then what was pooled from them; heterogeneity follows under a heading."""
    pooled = [item for item in results if has_diamond(item)]
    by = grouped.by.replace("_", " ")
    before = f"{_one_line(by).capitalize()}: " if by else ""
    rows = [Row("heading", before + heading)] if grouped.headed else []
    trials = _study_rows(results, grouped.overall if grouped.shares_overall else pooled)
    rows += trials
    rows += [Row("gap")] if pooled and not grouped.headed else []
    for i, (item, label) in enumerate(zip(pooled, model_labels(pooled), strict=True)):
        share = sum(row.number(f"weight_{i}") for row in trials if row.kind == "study")
        rows += _summary_rows(item, i, label, share)
    lines = heterogeneity_lines(pooled) if grouped.headed else []
    return [*rows, *(Row("remark", nonbreaking(line)) for line in lines)]


def _pooled_only(heading: str, results: list[Effects | ModelResult]) -> list[Row]:
    """List what was pooled, without its studies; a study pooled with no other is listed itself."""
    pooled = [item for item in results if has_diamond(item)]
    before = f"{heading}: " if heading else ""
    if not pooled:
        return [replace(row, label=f"{before}{row.label}") for row in _study_rows(results, [])]
    single = heading and len(pooled) == 1
    names = [heading] if single else [f"{before}{name}" for name in model_labels(pooled)]
    labelled = enumerate(zip(pooled, names, strict=True))
    return [row for i, (item, label) in labelled for row in _summary_rows(item, i, label)]


def _study_rows(
    results: Sequence[Effects | ModelResult], weighing: Sequence[ModelResult]
) -> list[Row]:
    """List studies with their weights in the models of `weighing`: ``weight_0``, ``weight_1``."""
    effects = effects_drawn(results[0])
    level = results[0].method.level if isinstance(results[0], ModelResult) else 0.95
    records = wording.records(effects.to_frame(level=level))
    rows = []
    for i, (label, record) in enumerate(zip(effects.labels, records, strict=True)):
        shares = {
            f"weight_{m}": item.weights[
                i if item.effects.labels == effects.labels else item.effects.labels.index(label)
            ]
            for m, item in enumerate(weighing)
        }
        row = Row(str(record["row"]), "", {**record, **shares})
        marks = NOT_RANDOMISED if _not_randomised(record) else ""
        marks += CORRECTED if row.kind == "study" and correction(row, results) else ""
        marks += NOT_POOLED if row.kind == "excluded" and row.shown and not marks else ""
        marks += UNCONFIRMED if unconfirmed(record.get("evidence_level")) else ""
        rows.append(replace(row, label=f"{_one_line(label)} {marks}".strip()))
    return rows


def _not_randomised(record: Mapping[str, object]) -> bool:
    value = record.get("randomised")
    if isinstance(value, str):
        return value in ("no", "non-randomised")
    return value is not None and not pd.isna(value) and not value  # type: ignore[call-overload]


def _summary_rows(pooled: ModelResult, model: int, label: str, share: float = 1.0) -> list[Row]:
    """List the diamond, with its `share` of all weights, and the prediction interval."""
    frame = pooled.to_frame()
    records = wording.records(frame[frame["row"].isin(["pooled", "prediction"])])
    interval = nonbreaking(f"Prediction interval ({wording.percent(pooled.method.level)})")
    return [
        Row("pooled", label, {**record, "weight": share}, model, pooled)
        if record["row"] == "pooled"
        else Row("prediction", interval, record, model, pooled)
        for record in records
    ]


def _weight_names(models: list[ModelResult]) -> tuple[str, ...]:
    """Name models shortly over their columns of weights; a single model has no name."""
    short = ["Bayesian" if isinstance(model, Posterior) else _short_name(model) for model in models]
    names = [
        f"{name} {model.method.tau2}" if short.count(name) > 1 else name
        for name, model in zip(short, models, strict=True)
    ]
    return tuple(names) if len(names) > 1 else ("",)


def _short_name(model: Pooled) -> str:
    known = model.method.model in ("common", "random")
    return model.method.model if known else model_name(model.method).partition(",")[0]


def _chosen_columns(
    theme: Theme, known: list[Column], rows: list[Row], options: Options
) -> tuple[tuple[FilledColumn, ...], tuple[FilledColumn, ...]]:
    """Choose the theme's columns that are not empty and the user's, less those dropped."""
    weights = [column.name for column in known if column.name.startswith("weight")]
    table = {column.name: column for column in known}
    pooled = [row.kind in ("pooled", "prediction") for row in rows]

    def own(names: Iterable[str]) -> list[FilledColumn]:
        wide = [name for word in names for name in (weights if word == "weight" else [word])]
        full = fill_columns([table[name] for name in wide], rows)
        return [item for item in full if any(counted_cells(item))]

    def counted_cells(item: FilledColumn) -> list[str]:
        """List cells that make a column worth showing: weights of pooled rows do not."""
        summaries = pooled if item.column.name in weights else [False] * len(rows)
        return [c for c, summary in zip(item.cells, summaries, strict=True) if not summary]

    added = [
        fill_columns(columns_named(names, known, rows, side), rows)
        for names, side in ((options.left, "left"), (options.right, "right"))
    ]
    named = {item.column.name for side in added for item in side}
    sides = [*own(theme.left), *added[0]], [*own(theme.right), *added[1]]
    present = {item.column.name for side in sides for item in side}
    dropped = set(texts_of(options.drop, "drop"))
    if dropped - present - set(table):
        raise ValueError(
            f'drop has "{min(dropped - present)}"; the columns are: {", ".join(sorted(present))}'
        )
    kept = [
        tuple(
            dict.fromkeys(
                item
                for item in side
                if item.column.name not in dropped
                and (item.column.name not in named or item in mine)
            )
        )
        for side, mine in zip(sides, added, strict=True)
    ]
    return kept[0], kept[1]


def _heading(effects: Effects, scale: Measure) -> str:
    """Name the measure, and below it the unit of a difference of means."""
    if scale.ratio:
        return f"{_measure(scale)} (log\u00a0scale)"
    unit = unit_of(effects)
    return f"{_measure(scale)}\n({unit})" if unit else _measure(scale)


def _measure(scale: Measure) -> str:
    return wording.capital(scale.name.split(" (")[0])


def _favours(effects: Effects, theme: Theme) -> tuple[str, ...]:
    word = "Favors" if theme.american else "Favours"
    return tuple(_one_line(side.replace("Favours", word, 1)) for side in effects.sides)


def part(contents: ForestContents, first: int, last: int, whole: bool) -> ForestContents:
    """Return some rows of the contents, with the notes only if `whole`."""
    return replace(contents, rows=contents.rows[first:last], notes=contents.notes if whole else ())


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _forest_alt(result: Forest, grouped: GroupedResults) -> str:
    if isinstance(result, Subgroups):
        return f"Forest plot by subgroups. {result.alt_text()}"
    if isinstance(result, Effects):
        return f"Forest plot. {result.summary()}"
    if isinstance(result, Mapping):
        texts = [f"{label}: {_models_alt(items)}" for label, items in grouped.groups]
        texts += [f"Overall: {_models_alt(grouped.overall)}"] if grouped.overall else []
        return " ".join(texts)
    if isinstance(result, Sequence) and grouped.by:
        return " ".join(["Forest plot by subgroups.", *(item.alt_text() for item in result)])
    return _models_alt(grouped.given)


def _models_alt(items: Sequence[Effects | ModelResult]) -> str:
    """Describe the first result in full, and of the others their estimates."""
    models = [item for item in items if isinstance(item, ModelResult)]
    more = [
        f"{label}: {estimate_text(item) if isinstance(item, Pooled) else item.alt_text()}."
        for label, item in [*zip(model_labels(models), models, strict=True)][1:]
    ]
    first = items[0].summary() if isinstance(items[0], Effects) else items[0].alt_text()
    return " ".join([first, *more])
