"""The lines below a forest plot: how it was pooled, what the marks mean, and what must be known to read it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from kapmeta import wording
from kapmeta.plot.columns import Column, Row, evidence_words, is_risk, risk_judgement
from kapmeta.plot.style import RISK
from kapmeta.results import Effects, Pooled

__all__ = [
    "CORRECTED",
    "NOT_POOLED",
    "NOT_RANDOMISED",
    "Block",
    "effects_of",
    "method_notes",
    "model_labels",
    "reading_notes",
    "sentences",
    "tied",
]

NOT_RANDOMISED, CORRECTED, NOT_POOLED = "†", "‡", "§"

Block = tuple[str, list[Effects | Pooled]]


def effects_of(result: Effects | Pooled) -> Effects:
    """The effects themselves, or those that were pooled."""
    return result if isinstance(result, Effects) else result.effects


def model_labels(pooled: list[Pooled]) -> list[str]:
    """Names of models, told apart by their methods where the names are the same."""
    names = [wording.model_name(item.method) for item in pooled]
    details = [f"{item.method.tau2}, {item.method.ci}" for item in pooled]
    return [f"{name} ({how})" if names.count(name) > 1 else name for name, how in zip(names, details, strict=True)]


def tied(text: str) -> str:
    """`text` with numbers tied to their signs and units, so that no line ends between them."""
    return re.sub(r" (?=[=<>%])|(?<=[=<>]) ", "\u00a0", text)


def sentences(texts: Iterable[str]) -> list[str]:
    """Texts with a capital and a full stop."""
    return [text[:1].upper() + text[1:].rstrip(".") + "." for text in texts]


def method_notes(models: Sequence[Pooled]) -> list[str]:
    """How each model was fitted, and heterogeneity from the first that estimates it."""
    pooled = [model for model in models if model.k > 1]
    lines = [f"{wording.method_text(model.method)}." for model in pooled]
    random = [model for model in pooled if not math.isnan(model.tau2)] or pooled
    lines += [f"{wording.heterogeneity_text(model)}." for model in random[:1]]
    return list(dict.fromkeys(lines))


def _own_notes(results: Sequence[tuple[str, Pooled]]) -> list[str]:
    """The notes of the results, each once; with the name of its result unless all have it."""
    every = list(dict.fromkeys(note for _, item in results for note in item.notes))
    lines = []
    for note in every:
        names = [name for name, item in results if note in item.notes]
        lines.append(note if len(names) == len(results) else f"{wording.joined(names)}: {note}")
    return sentences(lines)


def reading_notes(
    blocks: list[Block],
    models: list[Pooled],
    overall: Pooled | None,
    rows: list[Row],
    columns: tuple[tuple[Column, ...], tuple[Column, ...]],
) -> list[str]:
    """What a reader must know: method, heterogeneity, marks, legends, and the results' own notes."""
    lines = method_notes(models)
    if len(blocks) > 1 and overall is None:
        lines = lines[:1]  # each subgroup carries its own heterogeneity
    shown = {column.name for side in columns for column in side}
    if len(blocks) > 1 and "weight" in shown:
        lines.append("Weights are shares within each subgroup.")
    if any(NOT_RANDOMISED in row.label for row in rows):
        lines.append(f"{NOT_RANDOMISED} Not randomised.")
    zero = effects_of(blocks[0][1][0]).zero
    if zero is not None and any(CORRECTED in row.label for row in rows):
        lines.append(f"{CORRECTED} Zero cell: {wording.ZERO_NAMES[zero]}.")
    lines += [
        f"{NOT_POOLED} {row.label.rpartition(' ')[0]}: {row.values.get('reason') or 'no reason given'}."
        for row in rows
        if row.kind == "excluded" and row.shown
    ]
    lines += _legends(rows, columns)
    named = [(label or name, item) for label, items in blocks for name, item in _named(items)]
    return [*lines, *_own_notes([*named, *([("Overall", overall)] if overall else [])])]


def _named(items: Sequence[Effects | Pooled]) -> list[tuple[str, Pooled]]:
    pooled = [item for item in items if isinstance(item, Pooled)]
    return list(zip(model_labels(pooled), pooled, strict=True))


def _legends(rows: list[Row], columns: tuple[tuple[Column, ...], tuple[Column, ...]]) -> list[str]:
    lines = []
    shown = [column for side in columns for column in side]
    levels = [evidence_words(row.values.get("evidence_level")) for row in rows if row.kind in ("study", "excluded")]
    meant = dict.fromkeys(f"{cell}: {meaning}" for cell, meaning in levels if meaning)
    if meant and any(column.name == "evidence_level" for column in shown):
        lines.append(f"Evidence: {'; '.join(meant)}.")
    names = [column.name for column in shown if is_risk(column)]
    judged = {risk_judgement(row.values.get(name)) for row in rows for name in names} - {""}
    if judged:
        signs = "; ".join(f"{sign} {word}" for word, (sign, _) in RISK.items() if word in judged)
        lines.append(f"Risk of bias: {signs}.")
    return lines
