"""What a forest plot says, before any thought of where: rows, columns and notes from results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from kapmeta import wording
from kapmeta.measures import Measure
from kapmeta.methods import model_name
from kapmeta.plot.forest_page.columns import Column, Row, columns_named, declared
from kapmeta.plot.forest_page.enriching import enriched
from kapmeta.plot.forest_page.grouping import Forest, Overall, told
from kapmeta.plot.forest_page.notes import (
    CORRECTED,
    NOT_CONFIRMED,
    NOT_POOLED,
    NOT_RANDOMISED,
    correction,
    heterogeneity_lines,
    method_notes,
    method_words,
    model_labels,
    reading_notes,
    sentences,
    tied,
)
from kapmeta.plot.forest_page.stories import Model, Story, effects_of, pools
from kapmeta.plot.style import Theme
from kapmeta.results.effects import Effects, unconfirmed
from kapmeta.results.pooled import Pooled, estimate_text
from kapmeta.results.posteriors import Posterior
from kapmeta.results.subgroups import Subgroups
from kapmeta.results.sweeps import Sweep

__all__ = ["Contents", "Forest", "Overall", "forest_contents", "sweep_contents"]

MOST_LINES = 2
"""Most pooled estimates that are drawn down through the studies as lines."""


@dataclass(frozen=True)
class Contents:
    """Everything a forest plot shows, as text and numbers on the scale shown.

    `references` are the rows whose estimates are drawn through the plot as lines; `heading` stands
    above it.
    """

    rows: tuple[Row, ...]
    first: str
    left: tuple[Column, ...]
    right: tuple[Column, ...]
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
    result: Forest,
    overall: Overall,
    theme: Theme,
    *,
    left: Iterable[str | Column],
    right: Iterable[str | Column],
    drop: Iterable[str],
    studies: bool,
    title: str,
    notes: Iterable[str],
    prediction: str = "bar",
    shrunken: pd.DataFrame | None = None,
) -> Contents:
    """The contents of a forest plot of one result, of several models, or of subgroups."""
    story = told(result, overall)
    rows, said = enriched(_rows(story, studies), effects_of(story.given[0]), prediction, shrunken)
    effects, models = story.effects, story.models
    level = models[0].method.level if models else 0.95
    words = method_words(models, level) if theme.method_heads else ""
    arms = (effects.treatment, effects.control)
    known = declared(theme, effects.scale, level, arms, _weight_names(models), rows, words)
    columns = _columns(theme, known, rows, left, right, drop)
    return Contents(
        rows=tuple(rows),
        first=theme.study,
        left=columns[0],
        right=columns[1],
        scale=effects.scale,
        heading=f"{_heading(effects)}\n{words}".strip(),
        favours=_favours(effects, theme),
        references=_references(story, rows),
        title=title,
        notes=_all_notes(reading_notes(story, rows, columns), said, story.notes, notes),
        name=f"Forest plot: {effects.scale.name} of {effects.event}",
        alt=_alt(result, story),
        favours_on_top=theme.favours_on_top,
    )


def _references(story: Story, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The last pooled rows, those over all studies, unless there are too many to tell apart as lines."""
    pooled = [row for row in rows if row.kind == "pooled"]
    if story.grouped:
        pooled = pooled[len(pooled) - len(story.overall) :]
    return tuple(pooled) if len(pooled) <= MOST_LINES else ()


def sweep_contents(
    sweep: Sweep,
    theme: Theme,
    *,
    left: Iterable[str | Column],
    right: Iterable[str | Column],
    drop: Iterable[str],
    title: str,
    notes: Iterable[str],
) -> Contents:
    """The contents of a forest plot whose rows are analyses."""
    frame, effects, base = sweep.to_frame(), sweep.effects, sweep.base
    rows = [
        Row("analysis", _one_line(record["analysis"]), record) for record in wording.records(frame)
    ]
    whole = _summary_rows(base, 0, f"All {wording.studies(base.k)}")[:1] if base is not None else []
    if base is not None and base.k > 1:
        rows += [Row("gap"), *whole]
    bases = [base] if base is not None else []
    level = base.method.level if base is not None else 0.95
    known = declared(theme, effects.scale, level, (effects.treatment, effects.control), ("",), rows)
    shape = Theme(left=("k",), right=("effect", "p_value", "tau2"), limits=theme.limits)
    columns = _columns(shape, known, rows, left, right, drop)
    return Contents(
        rows=tuple(rows),
        first=sweep.kind.capitalize(),
        left=columns[0],
        right=columns[1],
        scale=effects.scale,
        heading=_heading(effects),
        favours=_favours(effects, theme),
        references=tuple(whole),
        title=title,
        notes=tuple(
            map(tied, (*method_notes(bases), *sentences(sweep.notes), *_texts(notes, "notes")))
        ),
        name=f"{sweep.kind.capitalize()}: {effects.scale.name} of {effects.event}",
        alt=sweep.alt_text(),
        favours_on_top=theme.favours_on_top,
    )


def _rows(story: Story, studies: bool) -> list[Row]:
    rows: list[Row] = []
    for heading, results in story.blocks:
        rows += [Row("gap")] if rows and studies else []
        rows += (
            _block_rows(story, heading, results) if studies else _summary_block(heading, results)
        )
    for i, (item, label) in enumerate(zip(story.overall, model_labels(story.overall), strict=True)):
        rows += [Row("gap")] if not i else []
        rows += _summary_rows(item, i, f"All {wording.studies(item.k)}: {label}")
    return [*rows, *(Row("remark", tied(text)) for text in story.between)]


def _block_rows(story: Story, heading: str, results: list[Effects | Model]) -> list[Row]:
    """Studies, then what was pooled from them; subgroups have a heading and carry their heterogeneity."""
    pooled = [item for item in results if pools(item)]
    before = f"{_one_line(story.by.replace('_', ' ')).capitalize()}: " if story.by else ""
    rows = [Row("heading", before + heading)] if story.grouped else []
    trials = _study_rows(results, story.overall if story.shares_overall else pooled)
    rows += trials
    rows += [Row("gap")] if pooled and not story.grouped else []
    for i, (item, label) in enumerate(zip(pooled, model_labels(pooled), strict=True)):
        rows += _summary_rows(
            item, i, label, sum(row.number(f"weight_{i}") for row in trials if row.kind == "study")
        )
    return [
        *rows,
        *(Row("remark", tied(line)) for line in heterogeneity_lines(pooled) if story.grouped),
    ]


def _summary_block(heading: str, results: list[Effects | Model]) -> list[Row]:
    """What was pooled, without its studies; a study that was pooled with nothing stands for itself."""
    pooled = [item for item in results if pools(item)]
    before = f"{heading}: " if heading else ""
    if not pooled:
        return [replace(row, label=f"{before}{row.label}") for row in _study_rows(results, [])]
    names = (
        [heading]
        if heading and len(pooled) == 1
        else [f"{before}{name}" for name in model_labels(pooled)]
    )
    labelled = enumerate(zip(pooled, names, strict=True))
    return [row for i, (item, label) in labelled for row in _summary_rows(item, i, label)]


def _study_rows(results: Sequence[Effects | Model], weighing: Sequence[Model]) -> list[Row]:
    """One row a study, with its weight under each model of `weighing` as ``weight_0``, ``weight_1`` ..."""
    effects = effects_of(results[0])
    level = results[0].method.level if isinstance(results[0], Model) else 0.95
    rows = []
    records = wording.records(effects.to_frame(level=level))
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
        marks += NOT_CONFIRMED if unconfirmed(record.get("evidence_level")) else ""
        rows.append(replace(row, label=f"{_one_line(label)} {marks}".strip()))
    return rows


def _not_randomised(record: Mapping[str, object]) -> bool:
    value = record.get("randomised")
    if isinstance(value, str):
        return value in ("no", "non-randomised")
    return value is not None and not pd.isna(value) and not value  # type: ignore[call-overload]


def _summary_rows(pooled: Model, model: int, label: str, share: float = 1.0) -> list[Row]:
    """The diamond, with its `share` of all weights, and the prediction interval."""
    frame = pooled.to_frame()
    records = wording.records(frame[frame["row"].isin(["pooled", "prediction"])])
    interval = tied(f"Prediction interval ({wording.percent(pooled.method.level)})")
    return [
        (
            Row("pooled", label, {**record, "weight": share}, model, pooled)
            if record["row"] == "pooled"
            else Row("prediction", interval, record, model, pooled)
        )
        for record in records
    ]


def _weight_names(models: list[Model]) -> tuple[str, ...]:
    """Short names of models over their columns of weights; none for a single model."""
    short = ["Bayesian" if isinstance(model, Posterior) else _short_name(model) for model in models]
    names = [
        f"{name} {model.method.tau2}" if short.count(name) > 1 else name
        for name, model in zip(short, models, strict=True)
    ]
    return tuple(names) if len(names) > 1 else ("",)


def _short_name(model: Pooled) -> str:
    known = model.method.model in ("common", "random")
    return model.method.model if known else model_name(model.method).partition(",")[0]


def _columns(
    theme: Theme,
    known: list[Column],
    rows: list[Row],
    left: Iterable[str | Column],
    right: Iterable[str | Column],
    drop: Iterable[str],
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """The theme's columns that are not empty and the user's outside them, without those dropped."""
    weights = [column.name for column in known if column.name.startswith("weight")]
    table = {column.name: column for column in known}
    dropped = set(_texts(drop, "drop"))

    def own(names: Iterable[str]) -> list[Column]:
        wide = [name for word in names for name in (weights if word == "weight" else [word])]
        trials = [row for row in rows if row.kind not in ("pooled", "prediction")]
        return [
            table[name]
            for name in wide
            if any(table[name].cell(row) for row in (trials if name in weights else rows))
        ]

    added = [columns_named(x, known, rows, side) for x, side in ((left, "left"), (right, "right"))]
    named = {column.name for side in added for column in side}
    sides = [*own(theme.left), *added[0]], [*own(theme.right), *added[1]]
    present = {column.name for side in sides for column in side}
    if dropped - present - set(table):
        raise ValueError(
            f'drop has "{min(dropped - present)}"; the columns are: {", ".join(sorted(present))}'
        )
    for side, mine in zip(sides, added, strict=True):
        side[:] = [c for c in side if c.name not in dropped and (c.name not in named or c in mine)]
    return tuple(dict.fromkeys(sides[0])), tuple(dict.fromkeys(sides[1]))


def _heading(effects: Effects) -> str:
    """The measure, and below it the unit of a difference if all studies have the same."""
    scale = effects.scale
    if scale.ratio:
        return f"{_measure(scale)} (log\u00a0scale)"
    units = {str(unit) for unit in effects.table.get("unit", ()) if not pd.isna(unit) and unit}
    return f"{_measure(scale)}\n({units.pop()})" if len(units) == 1 else _measure(scale)


def _measure(scale: Measure) -> str:
    return wording.capital(scale.name.split(" (")[0])


def _favours(effects: Effects, theme: Theme) -> tuple[str, ...]:
    if effects.scale.null is None:
        return ()
    sides = [
        side.replace("Favours", "Favors", 1) if theme.american else side for side in effects.favours
    ]
    return tuple(map(_one_line, sides))


def _all_notes(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(tied(note) for notes in parts for note in _texts(notes, "notes"))


def part(contents: Contents, first: int, last: int, whole: bool) -> Contents:
    """Some rows of the contents, with the notes only if `whole`."""
    return replace(contents, rows=contents.rows[first:last], notes=contents.notes if whole else ())


def _texts(texts: Iterable[str], argument: str) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise TypeError(f"{argument} is one text; give a list of texts")
    return tuple(texts)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _alt(result: Forest, story: Story) -> str:
    if isinstance(result, Subgroups):
        return f"Forest plot by subgroups. {result.alt_text()}"
    if isinstance(result, Effects):
        return f"Forest plot. {result.summary()}"
    if isinstance(result, Mapping):
        texts = [f"{label}: {_models_alt(items)}" for label, items in story.blocks]
        return " ".join(
            [*texts, *([f"Overall: {_models_alt(story.overall)}"] if story.overall else [])]
        )
    if isinstance(result, Sequence) and story.by:
        return " ".join(["Forest plot by subgroups.", *(item.alt_text() for item in result)])
    return _models_alt(story.given)


def _models_alt(items: Sequence[Effects | Model]) -> str:
    """The first result in full, of the others their estimates."""
    models = [item for item in items if isinstance(item, Model)]
    more = [
        f"{label}: {estimate_text(item) if isinstance(item, Pooled) else item.alt_text()}."
        for label, item in [*zip(model_labels(models), models, strict=True)][1:]
    ]
    return " ".join(
        [items[0].summary() if isinstance(items[0], Effects) else items[0].alt_text(), *more]
    )
