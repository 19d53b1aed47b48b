"""The lines below a forest plot: how it was pooled, what the marks mean, and what must be known to read it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from kapmeta import wording
from kapmeta.plot.columns import Column, Row, evidence_words, is_risk, risk_judgement
from kapmeta.plot.style import RISK
from kapmeta.posterior_results import Posterior
from kapmeta.regression_results import Subgroups
from kapmeta.results import Effects, Pooled

__all__ = [
    "CORRECTED",
    "NOT_POOLED",
    "NOT_RANDOMISED",
    "Block",
    "Model",
    "between_text",
    "correction",
    "effects_of",
    "heterogeneity_line",
    "method_notes",
    "model_labels",
    "plain",
    "reading_notes",
    "reason",
    "sentences",
    "tied",
]

NOT_RANDOMISED, CORRECTED, NOT_POOLED = "†", "‡", "§"

Model = Pooled | Posterior
"""What may be drawn as a diamond."""

Block = tuple[str, list[Effects | Model]]


def effects_of(result: Effects | Model) -> Effects:
    """The effects themselves, or those that were pooled."""
    return result if isinstance(result, Effects) else result.effects


def model_labels(pooled: Sequence[Model]) -> list[str]:
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


def method_notes(models: Sequence[Model]) -> list[str]:
    """How each model was fitted, and heterogeneity from the first that estimates it."""
    pooled = [model for model in models if model.k > 1]
    lines = [method_line(model) for model in pooled]
    classical = [model for model in pooled if isinstance(model, Pooled)]
    random = [model for model in classical if not math.isnan(model.tau2)] or classical or pooled
    lines += [f"{heterogeneity_line(model)}." for model in random[:1]]
    return list(dict.fromkeys(lines))


def method_line(model: Model) -> str:
    """How a model was fitted; for a posterior its name and priors."""
    if isinstance(model, Pooled):
        return f"{wording.method_text(model.method)}."
    return next(line for line in model.summary().splitlines() if "; priors: " in line)


def heterogeneity_line(model: Model) -> str:
    """The heterogeneity of a result in one line, without a full stop."""
    if isinstance(model, Pooled):
        return wording.heterogeneity_text(model)
    return next(line for line in model.summary().splitlines() if line.startswith("Heterogeneity")).rstrip(".")


def _own_notes(results: Sequence[tuple[str, Model]]) -> list[str]:
    """The notes of the results, each once; with the name of its result unless all have it."""
    # those set aside as not randomised have a mark, which is explained once
    every = [note for _, item in results for note in item.notes if not note.startswith("set aside as not randomised")]
    every = [note for note in dict.fromkeys(every) if plain(note)]
    lines = []
    for note in every:
        names = [name for name, item in results if note in item.notes]
        note = plain(note)
        lines.append(note if len(names) == len(results) else f"{wording.joined(names)}: {note}")
    return sentences(lines)


def reading_notes(
    blocks: list[Block],
    models: Sequence[Model],
    overall: Model | None,
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
    lines += _interval_notes(blocks, rows)
    lines += _aside(rows)
    lines += _correction_notes(blocks, rows)
    lines += _legends(rows, columns)
    named = [(label or name, item) for label, items in blocks for name, item in _named(items)]
    return [*lines, *_own_notes([*named, *([("Overall", overall)] if overall else [])])]


def between_text(result: Subgroups) -> tuple[str, ...]:
    """The tests between subgroups, one line each."""
    if not result.df_between > 0:
        return ()
    wald = (
        f"Between subgroups: Q = {wording.number(result.q_between)}, df = {result.df_between:g}, "
        f"{wording.p_text(result.p_between)}"
    )
    if math.isnan(result.f_between):
        return (wald,)
    return wald, (
        f"Between subgroups, Hartung-Knapp: F = {wording.number(result.f_between)}, df = {result.df_between:g} "
        f"and {result.f_df:g}, {wording.p_text(result.f_p_value)}"
    )


def correction(row: Row, results: Sequence[Effects | Model]) -> str:
    """Where the continuity correction of this row was used: in the row, only in pooling, or nowhere (empty)."""
    effects = effects_of(results[0])
    if effects.zero is None or not row.values.get("corrected"):
        return ""
    models = [item for item in results if isinstance(item, Pooled) and item.k > 1]
    pooled = any(model.method.model in ("common", "random") for model in models)
    with_it = float(effects.scale.shown(row.number("y")))
    if math.isclose(row.number("estimate"), with_it, rel_tol=1e-9, abs_tol=0.0):
        return "row"
    return "pooling" if pooled else ""


def _correction_notes(blocks: list[Block], rows: list[Row]) -> list[str]:
    marked = [row for row in rows if row.kind == "study" and CORRECTED in row.label]
    results = [item for _, items in blocks for item in items]
    zero = effects_of(results[0]).zero
    if zero is None or not marked:
        return []
    if any(correction(row, results) == "row" for row in marked):
        return [f"{CORRECTED} Zero cell: {wording.ZERO_NAMES[zero]}."]
    return [f"{CORRECTED} Zero cell: shown as it is; in pooling, {wording.ZERO_NAMES[zero]}."]


def _interval_notes(blocks: list[Block], rows: list[Row]) -> list[str]:
    """What the intervals of single trials are, where they are not those of Wald."""
    if not any(row.kind in ("study", "excluded") and row.shown for row in rows):
        return []
    words = list(dict.fromkeys(effects_of(item).interval for _, items in blocks for item in items))
    if words == ["wald"]:
        return []
    return [f"Single trials: {wording.joined(wording.CI_NAMES.get(word, word) for word in words)}."]


def _aside(rows: list[Row]) -> list[str]:
    """Marks of trials that are not randomised or not pooled, each explained once."""
    lines = []
    marked = [row for row in rows if NOT_RANDOMISED in row.label]
    if marked:
        apart = [row for row in marked if row.kind == "excluded"]
        all_apart = len(apart) == len(marked)
        others = {why for why in map(reason, apart) if why and not why.startswith("not randomised")}
        more = f" ({'; '.join(sorted(others))})" if others else ""
        lines.append(
            f"{NOT_RANDOMISED} Not randomised: shown, not pooled{more}."
            if all_apart
            else f"{NOT_RANDOMISED} Not randomised."
        )
    lines += [
        f"{NOT_POOLED} {row.label.rpartition(' ')[0]}: not pooled, {reason(row) or 'no reason given'}."
        for row in rows
        if row.kind == "excluded" and NOT_POOLED in row.label
    ]
    return lines


def reason(row: Row) -> str:
    """Why a trial is set aside, for readers: without the clauses that speak of arguments of functions."""
    return plain(str(row.values.get("reason") or ""))


def plain(text: str) -> str:
    """`text` without what it says of arguments and functions: ``x, and not y unless mixed=True`` becomes ``x``."""
    clauses = re.split(r"(?<=[,;]) ", " ".join(text.split()))
    kept = [clause for clause in clauses if not re.search(r"\w=\w|\b[a-z]+(_[a-z]+)+\b", clause)]
    return " ".join(kept).rstrip(",;: ")


def _named(items: Sequence[Effects | Model]) -> list[tuple[str, Model]]:
    pooled = [item for item in items if isinstance(item, Model)]
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
