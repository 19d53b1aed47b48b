"""What a forest plot says, before any thought of where: rows, columns and notes from results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import pandas as pd

from kapmeta import wording
from kapmeta.plot.columns import (
    Column,
    Row,
    columns_named,
    declared,
)
from kapmeta.plot.enriching import enriched
from kapmeta.plot.notes import (
    CORRECTED,
    NOT_POOLED,
    NOT_RANDOMISED,
    Block,
    Model,
    between_text,
    correction,
    effects_of,
    heterogeneity_line,
    method_notes,
    model_labels,
    reading_notes,
    sentences,
    tied,
)
from kapmeta.plot.style import Theme
from kapmeta.posterior_results import Posterior
from kapmeta.regression_results import Subgroups
from kapmeta.results import Effects, Pooled, Sweep
from kapmeta.scales import Measure

__all__ = ["Contents", "Forest", "forest_contents", "sweep_contents"]

Forest = Effects | Model | Subgroups | Sequence[Model] | Mapping[str, Model]


@dataclass(frozen=True)
class Contents:
    """Everything a forest plot shows, as text and numbers on the scale shown.

    `reference` is the value of the dotted line (nan for none); `heading` stands above the plot.
    """

    rows: tuple[Row, ...]
    first: str
    left: tuple[Column, ...]
    right: tuple[Column, ...]
    scale: Measure
    heading: str
    favours: tuple[str, ...]
    reference: float
    title: str
    notes: tuple[str, ...]
    name: str
    alt: str
    favours_on_top: bool = False


def forest_contents(
    result: Forest,
    overall: Model | None,
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
    between: tuple[str, ...] = ()
    given: Forest = result
    if isinstance(result, Subgroups):
        between = between_text(result)
        notes = (*sentences(result.notes), *_texts(notes, "notes"))
        overall = overall or result.overall
        given = result.groups
    blocks, models = _understood(given, overall)
    rows = [*_rows(blocks, overall, studies), *(Row("remark", tied(text)) for text in between)]
    rows, told = enriched(rows, effects_of(blocks[0][1][0]), models, prediction, shrunken)
    effects = overall.effects if overall else effects_of(blocks[0][1][0])
    level = models[0].method.level if models else 0.95
    known = declared(theme, effects.scale, level, (effects.treatment, effects.control), _weight_names(models), rows)
    columns = _columns(theme, known, rows, left, right, drop)
    single = models[0] if len(models) == 1 and len(blocks) == 1 else overall
    return Contents(
        rows=tuple(rows),
        first=theme.study,
        left=columns[0],
        right=columns[1],
        scale=effects.scale,
        heading=_heading(effects.scale),
        favours=_favours(effects, theme),
        reference=float(effects.scale.shown(single.estimate)) if single and single.k > 1 else math.nan,
        title=title,
        notes=_all_notes(reading_notes(blocks, models, overall, rows, columns), told, notes),
        name=f"Forest plot: {effects.scale.name} of {effects.event}",
        alt=_alt(result, overall),
        favours_on_top=theme.favours_on_top,
    )


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
    rows = [Row("analysis", _one_line(record["analysis"]), record) for record in _records(frame)]
    if base is not None and base.k > 1:
        rows += [Row("gap"), _summary_rows(base, 0, f"All {wording.studies(base.k)}")[0]]
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
        heading=_heading(effects.scale),
        favours=_favours(effects, theme),
        reference=float(effects.scale.shown(base.estimate)) if base is not None else math.nan,
        title=title,
        notes=tuple(map(tied, (*method_notes(bases), *sentences(sweep.notes), *_texts(notes, "notes")))),
        name=f"{sweep.kind.capitalize()}: {effects.scale.name} of {effects.event}",
        alt=sweep.alt_text(),
        favours_on_top=theme.favours_on_top,
    )


def _pools(item: Effects | Model | None) -> TypeGuard[Model]:
    return isinstance(item, Model) and item.k > 1


def _understood(result: Forest, overall: Model | None) -> tuple[list[Block], list[Model]]:
    """The blocks, each a heading with the results drawn under it, and the models that were used."""
    if isinstance(result, Mapping):
        blocks: list[Block] = [(_one_line(label), [pooled]) for label, pooled in result.items()]
    else:
        several = isinstance(result, Sequence)
        blocks = [("", list(result) if several else [result])]  # type: ignore[arg-type, list-item]
    given = [item for _, results in blocks for item in results]
    wrong = next((item for item in given if not isinstance(item, Effects | Model)), None)
    if wrong is not None or not given:
        what = "nothing" if not given else type(wrong).__name__
        raise TypeError(
            f"forest draws Effects, a Pooled, Subgroups, a list of Pooled, or a mapping of labels to Pooled; got {what}"
        )
    if any(item.measure != given[0].measure for item in given):
        raise ValueError(f"results of different measures: {', '.join(dict.fromkeys(i.measure for i in given))}")
    if len(blocks) == 1 and any(effects_of(item).labels != effects_of(given[0]).labels for item in given):
        raise ValueError("several models in one plot must share their studies; give a mapping of labels for subgroups")
    models = [item for item in blocks[0][1] if isinstance(item, Model)] if len(blocks) == 1 else []
    return blocks, models or ([overall] if overall else [i for i in given if isinstance(i, Model)][:1])


def _rows(blocks: list[Block], overall: Model | None, studies: bool) -> list[Row]:
    grouped = len(blocks) > 1 or bool(blocks[0][0])
    rows: list[Row] = []
    for heading, results in blocks:
        rows += [Row("gap")] if rows and studies else []
        rows += _block_rows(heading, results, grouped) if studies else _summary_block(heading, results)
    if overall is not None:
        label = f"All {wording.studies(overall.k)}: {wording.model_name(overall.method)}"
        rows += [Row("gap"), *_summary_rows(overall, 0, label)]
    return rows


def _block_rows(heading: str, results: list[Effects | Model], grouped: bool) -> list[Row]:
    """Studies, then what was pooled from them; subgroups have a heading and carry their heterogeneity."""
    pooled = [item for item in results if _pools(item)]
    rows = [Row("heading", heading)] if grouped else []
    rows += _study_rows(results)
    rows += [Row("gap")] if pooled and not grouped else []
    for i, (item, label) in enumerate(zip(pooled, model_labels(pooled), strict=True)):
        rows += _summary_rows(item, i, label)
        rows += [Row("remark", tied(heterogeneity_line(item)))] if grouped else []
    return rows


def _summary_block(heading: str, results: list[Effects | Model]) -> list[Row]:
    """What was pooled, without its studies; a study that was pooled with nothing stands for itself."""
    pooled = [item for item in results if _pools(item)]
    before = f"{heading}: " if heading else ""
    if not pooled:
        return [replace(row, label=f"{before}{row.label}") for row in _study_rows(results)]
    names = [heading] if heading and len(pooled) == 1 else [f"{before}{name}" for name in model_labels(pooled)]
    labelled = enumerate(zip(pooled, names, strict=True))
    return [row for i, (item, label) in labelled for row in _summary_rows(item, i, label)]


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(name): value for name, value in record.items()} for record in frame.to_dict("records")]


def _study_rows(results: list[Effects | Model]) -> list[Row]:
    """One row a study, with its weight under each model as ``weight_0``, ``weight_1`` ..."""
    effects = effects_of(results[0])
    level = results[0].method.level if isinstance(results[0], Model) else 0.95
    rows = []
    for i, (label, record) in enumerate(zip(effects.labels, _records(effects.to_frame(level=level)), strict=True)):
        shares = {f"weight_{m}": item.weights[i] for m, item in enumerate(results) if _pools(item)}
        row = Row(str(record["row"]), "", {**record, **shares})
        marks = NOT_RANDOMISED if _not_randomised(record) else ""
        marks += CORRECTED if row.kind == "study" and correction(row, results) else ""
        marks += NOT_POOLED if row.kind == "excluded" and row.shown and not marks else ""
        rows.append(replace(row, label=f"{_one_line(label)} {marks}".strip()))
    return rows


def _not_randomised(record: Mapping[str, object]) -> bool:
    value = record.get("randomised")
    if isinstance(value, str):
        return value in ("no", "non-randomised")
    return value is not None and not pd.isna(value) and not value  # type: ignore[call-overload]


def _summary_rows(pooled: Model, model: int, label: str) -> list[Row]:
    frame = pooled.to_frame()
    records = _records(frame[frame["row"].isin(["pooled", "prediction"])])
    interval = tied(f"Prediction interval ({wording.percent(pooled.method.level)})")
    return [Row(str(r["row"]), label if r["row"] == "pooled" else interval, r, model) for r in records]


def _weight_names(models: list[Model]) -> tuple[str, ...]:
    """Short names of models over their columns of weights; none for a single model."""
    short = [
        "Bayesian" if isinstance(model, Posterior) else wording.model_name(model.method).split("-")[0].lower()
        for model in models
    ]
    names = [
        f"{name} {model.method.tau2}" if short.count(name) > 1 else name
        for name, model in zip(short, models, strict=True)
    ]
    return tuple(names) if len(names) > 1 else ("",)


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
            table[name] for name in wide if any(table[name].cell(row) for row in (trials if name in weights else rows))
        ]

    added = [columns_named(x, known, rows, side) for x, side in ((left, "left"), (right, "right"))]
    named = {column.name for side in added for column in side}
    sides = [*own(theme.left), *added[0]], [*own(theme.right), *added[1]]
    present = {column.name for side in sides for column in side}
    if dropped - present - set(table):
        raise ValueError(f'drop has "{min(dropped - present)}"; the columns are: {", ".join(sorted(present))}')
    for side, mine in zip(sides, added, strict=True):
        side[:] = [c for c in side if c.name not in dropped and (c.name not in named or c in mine)]
    return tuple(dict.fromkeys(sides[0])), tuple(dict.fromkeys(sides[1]))


def _heading(scale: Measure) -> str:
    name = scale.name.split(" (")[0]
    return f"{name[:1].upper()}{name[1:]}" + (" (log\u00a0scale)" if scale.ratio else "")


def _favours(effects: Effects, theme: Theme) -> tuple[str, ...]:
    if effects.scale.null is None:
        return ()
    sides = [side.replace("Favours", "Favors", 1) if theme.american else side for side in effects.favours]
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


def _alt(result: Forest, overall: Model | None) -> str:
    if isinstance(result, Mapping):
        texts = [f"{label}: {pooled.alt_text()}" for label, pooled in result.items()]
        return " ".join([*texts, *([f"Overall: {overall.alt_text()}"] if overall else [])])
    if isinstance(result, Subgroups):
        return f"Forest plot by subgroups. {result.alt_text()}"
    if isinstance(result, Effects):
        return f"Forest plot. {result.summary()}"
    if isinstance(result, Model):
        return result.alt_text()
    first, *others = result
    more = [
        f"{label}: {wording.estimate_text(item) if isinstance(item, Pooled) else item.alt_text()}."
        for label, item in zip(model_labels([*result])[1:], others, strict=True)
    ]
    return " ".join([first.alt_text(), *more])
