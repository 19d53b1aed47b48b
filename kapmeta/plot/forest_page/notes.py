"""The lines below a forest plot: how it was pooled, and what its marks mean."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from kapmeta import wording
from kapmeta.core.numerics.distributions import t_two_sided
from kapmeta.methods import CI_NAMES, method_text, model_name
from kapmeta.plot.forest_page.columns import (
    FilledColumn,
    Row,
    evidence_words,
    is_risk,
    risk_judgement,
)
from kapmeta.plot.forest_page.groups import Group, GroupedResults, ModelResult, effects_drawn
from kapmeta.plot.style import RISK
from kapmeta.results.effects import NOT_CONFIRMED, Effects, rules_applied
from kapmeta.results.pooled import Pooled, heterogeneity_text
from kapmeta.results.subgroups import Subgroups

__all__ = [
    "CORRECTED",
    "NOT_POOLED",
    "NOT_RANDOMISED",
    "UNCONFIRMED",
    "between_text",
    "correction",
    "heterogeneity_lines",
    "method_notes",
    "method_words",
    "model_labels",
    "nonbreaking",
    "plain",
    "reading_notes",
    "reason",
    "sentences",
]

NOT_RANDOMISED, CORRECTED, NOT_POOLED, UNCONFIRMED = "†", "‡", "§", "¶"


def model_labels(pooled: Sequence[ModelResult]) -> list[str]:
    """Name models, adding their methods where the names are the same."""
    names = [model_name(item.method) for item in pooled]
    details = [f"{item.method.tau2}, {item.method.ci}" for item in pooled]
    return [
        f"{name} ({how})" if names.count(name) > 1 else name
        for name, how in zip(names, details, strict=True)
    ]


def nonbreaking(text: str) -> str:
    """Join numbers to their signs and units, so that no line ends between them."""
    return re.sub(r" (?=[=<>%])|(?<=[=<>]) |(?<=I²) ", "\u00a0", text)


def sentences(texts: Iterable[str]) -> list[str]:
    """Give each text a capital and a full stop."""
    return [text[:1].upper() + text[1:].rstrip(".") + "." for text in texts]


def method_notes(models: Sequence[ModelResult]) -> list[str]:
    """Say how each model was fitted, and the heterogeneity of the first that estimates it."""
    pooled = [model for model in models if model.k > 1]
    return list(
        dict.fromkeys(
            [*map(method_line, pooled), *(f"{line}." for line in heterogeneity_lines(pooled))]
        )
    )


def method_line(model: ModelResult) -> str:
    """Say how a model was fitted and test its effect; for a posterior, name its priors.

    A measure of one group has no value of no effect, and so no test of it.
    """
    if isinstance(model, Pooled):
        tests = [effect_test(model)] if model.scale.compares else []
        return f"{'; '.join([method_text(model.method), *tests])}."
    return next(line for line in model.summary().splitlines() if "; priors: " in line)


def effect_test(model: Pooled) -> str:
    """Write the test of no effect: its p-value, and the statistic if that gives the p-value."""
    p = wording.p_text(model.p_value)
    derived = math.isclose(
        model.p_value, float(t_two_sided(model.statistic, model.df)), rel_tol=1e-6
    )
    if not derived:
        return f"test for effect: {p}"
    name, degrees = ("t", f"df = {model.df:.4g}, ") if math.isfinite(model.df) else ("z", "")
    return f"test for effect: {name} = {model.statistic:z.2f}, {degrees}{p}".replace("= -", "= −")


def method_words(models: Sequence[ModelResult], level: float) -> str:
    """Say in a few words for a head how the effects were pooled: ``IV, random, 95 % CI``."""
    words = [
        INVERSE_VARIANCE.get(model.method.model, model_name(model.method))
        for model in models
        if model.k > 1
    ]
    return ", ".join([*dict.fromkeys(words), f"{wording.percent(level)} CI"])


INVERSE_VARIANCE = {"common": "IV common", "random": "IV random"}


def heterogeneity_lines(models: Sequence[ModelResult]) -> list[str]:
    """Write one line, of the first model that estimates heterogeneity; none without a model."""
    classical = [model for model in models if isinstance(model, Pooled)]
    random = [model for model in classical if not math.isnan(model.tau2)] or classical or models
    return [heterogeneity_line(model) for model in random[:1]]


def heterogeneity_line(model: ModelResult) -> str:
    """Write the heterogeneity of a result in one line, without a full stop."""
    if isinstance(model, Pooled):
        return heterogeneity_text(model)
    return next(
        line for line in model.summary().splitlines() if line.startswith("Heterogeneity")
    ).rstrip(".")


def _own_notes(results: Sequence[tuple[str, ModelResult]]) -> list[str]:
    """Collect the notes of the results, each once, naming the result unless all have it."""
    # those set aside as not randomised have a mark, which is explained once
    marked = "set aside as not randomised"
    every = dict.fromkeys(note for _, item in results for note in item.notes)
    lines = []
    for note in every:
        text = "" if note.startswith(marked) else plain(note)
        names = [name for name, item in results if note in item.notes]
        before = "" if len(names) == len(results) else f"{wording.joined(dict.fromkeys(names))}: "
        lines += [f"{before}{text}"] if text else []
    return sentences(lines)


def reading_notes(
    grouped: GroupedResults, rows: list[Row], columns: Sequence[Sequence[FilledColumn]]
) -> list[str]:
    """Write what a reader must know: method, heterogeneity, marks, legends, the results' notes."""
    lines, groups = method_notes(grouped.models), grouped.groups
    if len(groups) > 1 and not grouped.overall:
        lines = lines[:1]  # each subgroup shows its own heterogeneity
    shown = {item.column.name for side in columns for item in side}
    if len(groups) > 1 and "weight" in shown:
        share = "of all subgroups together" if grouped.shares_overall else "within each subgroup"
        lines.append(f"Weights are shares {share}.")
    lines += _interval_notes(groups, rows)
    lines += _mark_notes(rows)
    if any(UNCONFIRMED in row.label for row in rows):
        lines.append(f"{UNCONFIRMED} Not confirmed. {NOT_CONFIRMED}.")
    lines += _correction_notes(groups, rows)
    lines += _legends(rows, columns)
    named = [(label or name, item) for label, items in groups for name, item in _named(items)]
    return [*lines, *_own_notes([*named, *(("overall", item) for item in grouped.overall)])]


def between_text(result: Subgroups, model: str = "") -> tuple[str, ...]:
    """Write the tests between subgroups, one per line, naming the `model` if there are several."""
    if not result.df_between > 0:
        return ()
    opening = f"Between subgroups, {model[:1].lower()}{model[1:]}" if model else "Between subgroups"
    wald = (
        f"{opening}: Q = {result.q_between:.2f}, df = {result.df_between:g},"
        f" {wording.p_text(result.p_between)}"
    )
    if math.isnan(result.f_between):
        return (wald,)
    hartung_knapp = (
        f"{opening}, Hartung-Knapp: F = {result.f_between:.2f}, df = {result.df_between:g} "
        f"and {result.f_df:g}, {wording.p_text(result.f_p_value)}"
    )
    return wald, hartung_knapp


def correction(row: Row, results: Sequence[Effects | ModelResult]) -> str:
    """Find where a row's continuity correction was used: ``row``, ``pooling`` or ``""``."""
    effects = effects_drawn(results[0])
    if not any(effects.rules) or not row.values.get("corrected"):
        return ""
    models = [item for item in results if isinstance(item, Pooled) and item.k > 1]
    pooled = any(model.method.model in ("common", "random") for model in models)
    with_it = float(effects.scale.shown(row.number("y")))
    if math.isclose(row.number("estimate"), with_it, rel_tol=1e-9, abs_tol=0.0):
        return "row"
    return "pooling" if pooled else ""


def _correction_notes(groups: list[Group], rows: list[Row]) -> list[str]:
    marked = [row for row in rows if row.kind == "study" and CORRECTED in row.label]
    results = [item for _, items in groups for item in items]
    rule = rules_applied(effects_drawn(results[0]))
    if not rule or not marked:
        return []
    if any(correction(row, results) == "row" for row in marked):
        return [f"{CORRECTED} Zero cell: {rule}."]
    return [f"{CORRECTED} Zero cell: shown as it is; in pooling, {rule}."]


def _interval_notes(groups: list[Group], rows: list[Row]) -> list[str]:
    """Name the intervals of single trials, where they are not those of Wald."""
    if not any(row.kind in ("study", "excluded") and row.shown for row in rows):
        return []
    effects = [effects_drawn(item) for _, items in groups for item in items]
    words = list(dict.fromkeys(word for each in effects for word in _intervals(each)))
    if words == ["wald"]:
        return []
    return [f"Single trials: {wording.joined(CI_NAMES.get(word, word) for word in words)}."]


def _intervals(effects: Effects) -> list[str]:
    """List the intervals of its rows: beside reported effects, trials with counts have Wald's."""
    counted = "events_t" in effects.table and effects.table["events_t"].notna().any()
    both = effects.interval == "as reported" and counted
    return [effects.interval, "wald"] if both else [effects.interval]


def _mark_notes(rows: list[Row]) -> list[str]:
    """Explain once each the marks of trials that are not randomised or not pooled."""
    lines = []
    marked = [row for row in rows if NOT_RANDOMISED in row.label]
    if marked:
        apart = [row for row in marked if row.kind == "excluded"]
        others = {why for why in map(reason, apart) if why and not why.startswith("not randomised")}
        more = f" ({'; '.join(sorted(others))})" if others else ""
        shown = f": shown, not pooled{more}" if len(apart) == len(marked) else ""
        lines.append(f"{NOT_RANDOMISED} Not randomised{shown}.")
    lines += [
        f"{NOT_POOLED} {row.label.rpartition(' ')[0]}: not pooled,"
        f" {reason(row) or 'no reason given'}."
        for row in rows
        if row.kind == "excluded" and NOT_POOLED in row.label
    ]
    return lines


def reason(row: Row) -> str:
    """Say why a trial is set aside, without clauses about arguments of functions."""
    return plain(str(row.values.get("reason") or ""))


def plain(text: str) -> str:
    """Leave out clauses about arguments: ``x, and not y unless mixed=True`` becomes ``x``."""
    clauses = re.split(r"(?<=[,;]) ", " ".join(text.split()))
    kept = [clause for clause in clauses if not re.search(r"\w=\w|\b[a-z]+(_[a-z]+)+\b", clause)]
    return " ".join(kept).rstrip(",;: ")


def _named(items: Sequence[Effects | ModelResult]) -> list[tuple[str, ModelResult]]:
    pooled = [item for item in items if isinstance(item, ModelResult)]
    return list(zip(model_labels(pooled), pooled, strict=True))


def _legends(rows: list[Row], columns: Sequence[Sequence[FilledColumn]]) -> list[str]:
    lines = []
    shown = [item.column for side in columns for item in side]
    levels = [
        evidence_words(row.values.get("evidence_level"))
        for row in rows
        if row.kind in ("study", "excluded")
    ]
    meant = dict.fromkeys(f"{cell}: {meaning}" for cell, meaning in levels if meaning)
    if meant and any(column.name == "evidence_level" for column in shown):
        lines.append(f"Evidence: {'; '.join(meant)}.")
    names = [column.name for column in shown if is_risk(column)]
    judged = {risk_judgement(row.values.get(name)) for row in rows for name in names} - {""}
    if judged:
        signs = "; ".join(f"{sign} {word}" for word, (sign, _) in RISK.items() if word in judged)
        lines.append(f"Risk of bias: {signs}.")
    return lines
