"""Results in words: every sentence, label and table the results print is made here from their numbers."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import pandas as pd

from kapmeta.core.status import Status

if TYPE_CHECKING:
    from kapmeta.protocol import Method
    from kapmeta.results import Effects, Pooled, Sweep

TAU2_NAMES = {
    "REML": "restricted maximum likelihood (REML)",
    "ML": "maximum likelihood (ML)",
    "DL": "DerSimonian-Laird (DL)",
    "PM": "Paule-Mandel (PM)",
    "PMM": "median-unbiased Paule-Mandel (PMM)",
    "EB": "empirical Bayes (EB)",
    "HE": "Hedges (HE)",
    "HS": "Hunter-Schmidt (HS)",
    "HSk": "Hunter-Schmidt with small-sample correction (HSk)",
    "SJ": "Sidik-Jonkman (SJ)",
    "DL2": "two-step DerSimonian-Laird (DL2)",
    "CA2": "two-step Cochran ANOVA (CA2)",
}
CI_NAMES = {
    "as reported": "interval as reported",
    "koopman": "Koopman's score interval",
    "miettinen-nurminen-rr": "Miettinen and Nurminen's score interval",
    "miettinen-nurminen-rd": "Miettinen and Nurminen's score interval",
    "newcombe": "Newcombe's hybrid score interval",
    "exact": "exact interval",
    "mid-p": "mid-p exact interval",
    "wald": "Wald interval",
    "t": "t interval",
    "hksj": "Hartung-Knapp interval",
    "hksj-variance": "Hartung-Knapp interval with its variance factor held at 1 or more",
    "hksj-hybrid": "Hartung-Knapp interval, or the Wald interval where that is wider",
    "hksj-iqwig": "Hartung-Knapp interval unless narrower than the DerSimonian-Laird Wald interval",
    "kr": "Kenward-Roger interval",
    "profile": "profile-likelihood interval",
    "bartlett": "Bartlett-corrected profile-likelihood interval",
    "skovgaard": "Skovgaard-corrected likelihood interval",
    "henmi-copas": "Henmi-Copas interval",
    "permutation": "sign-flip permutation interval",
}
MODEL_NAMES = {"common": "Common-effect model", "random": "Random-effects model", "single": "One trial, not pooled"}
ZERO_NAMES = {
    "half-if-any": "0.5 added to the four cells of a table with a zero cell",
    "half-if-any-study": "0.5 added to every table if any has a zero cell",
    "half-all": "0.5 added to every cell of every table",
    "treatment-arm": "the reciprocal of the other arm's size added to a table with a zero cell",
    "empirical": "the empirical continuity correction added to a table with a zero cell",
    "none": "no continuity correction",
    "drop": "0.5 added to a table with a zero cell; tables without information left out",
}


def number(x: Any, digits: int = 2) -> str:
    """`x` with `digits` decimals between 0.1 and 1000, as many significant figures outside; infinity as its sign."""
    if math.isnan(x):
        return "not estimable"
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x and not 0.095 <= abs(x) < 999.5:
        return f"{x:.{digits}g}" if abs(x) < 1 else f"{x:.0f}" if abs(x) < 1e5 else f"{x:.{digits}e}"
    return f"{x:.{digits}f}"


def p_text(p: Any) -> str:
    """A p-value as papers print it."""
    if math.isnan(p):
        return "p not available"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def percent(level: float) -> str:
    """A confidence level as a percentage without idle decimals."""
    return f"{100 * level:.4g} %"


def interval_text(estimate: Any, low: Any, high: Any) -> str:
    """``2.74 (1.89 to 3.98)``."""
    return f"{number(estimate)} ({number(low)} to {number(high)})"


def effect_text(short: str, estimate: Any, low: Any, high: Any, unit: str = "") -> str:
    """``RR 2.74 (1.89 to 3.98)``; a ratio without an upper limit is told by its lower one."""
    if math.isinf(estimate) and math.isfinite(low):
        return f"{short} above {number(low)}, without an upper limit (no event in the control arm)"
    return f"{short} {interval_text(estimate, low, high)}{' ' * bool(unit)}{unit}"


def model_name(method: Method) -> str:
    """The model as row label of tables and figures."""
    return MODEL_NAMES.get(method.model, method.model)


def model_phrase(method: Method) -> str:
    """The model within a sentence: surnames keep their capital."""
    return model_name(method) if method.model not in MODEL_NAMES else MODEL_NAMES[method.model].lower()


def joined(items: Iterable[str]) -> str:
    """``a, b and c``."""
    words = list(items)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def capital(text: str) -> str:
    """`text` with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by column, for sentences made from them."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def studies(k: int) -> str:
    """``1 study``, ``3 studies``."""
    return f"{k} {'study' if k == 1 else 'studies'}"


def plural(name: str) -> str:
    """The name of a measure for more than one: ``risk ratios``, ``ratios of means``, ``proportions (log)``."""
    return re.sub(r"(?= of | \(|$)", "s", name, count=1)


def analyses(n: int) -> str:
    """``1 analysis``, ``3 analyses``."""
    return f"{n:,} {'analysis' if n == 1 else 'analyses'}"


def listed_excluded(effects: Effects) -> str:
    """``, 2 excluded`` or nothing."""
    return f", {len(effects.excluded)} excluded" if effects.excluded else ""


def zero_sentence(effects: Effects) -> str:
    """What the continuity rule did, study by study; empty for measures without counts."""
    if effects.zero is None:
        return ""
    touched = [label for label, yes in zip(effects.labels, effects.corrected, strict=True) if yes]
    changed = f"it changed {joined(touched)}" if touched else "it changed no table"
    return f'Zero-cell rule "{effects.zero}" ({ZERO_NAMES[effects.zero]}): {changed}.'


def excluded_sentences(effects: Effects) -> list[str]:
    """One sentence for each study that takes no part."""
    told = []
    for i, why in sorted(effects.excluded.items()):
        verb = "is set aside" if effects.v[i] < math.inf else "carries no estimate"
        told.append(f"{effects.labels[i]} {verb}: {why}.")
    return told


def unconfirmed(level: object) -> bool:
    """Whether an evidence level says that the numbers were seen in a summary of summaries only."""
    return isinstance(level, str) and level.startswith("tertiary")


def unconfirmed_labels(effects: Effects) -> list[str]:
    """The studies that take part with numbers that are not confirmed."""
    levels = effects.table.get("evidence_level", [None] * len(effects.labels))
    each = zip(effects.labels, effects.present, levels, strict=True)
    return [label for label, present, level in each if present and unconfirmed(level)]


def unconfirmed_sentences(effects: Effects) -> list[str]:
    """What must be said of the numbers that are not confirmed."""
    labels = unconfirmed_labels(effects)
    return [f"Not confirmed: {joined(labels)}. {NOT_CONFIRMED}."] if labels else []


NOT_CONFIRMED = "Nothing may be concluded from it until the primary report has been read"
"""What follows from counts known from a summary of summaries only."""


def effects_summary(effects: Effects) -> str:
    """Headline, rule and exclusions of a set of effects, then the table."""
    head = f"{effects.scale.name.capitalize()} of {effects.event}, {effects.treatment} v {effects.control}: "
    lines = [head + f"{studies(effects.k)}.", zero_sentence(effects), *excluded_sentences(effects)]
    frame = effects.to_frame()
    for label, row in zip(effects.labels, frame.itertuples(), strict=True):
        if row.row == "study":
            lines.append(f"  {label}: {effects.scale.short} {interval_text(row.estimate, row.low, row.high)}")
    return "\n".join(filter(None, lines))


def estimate_text(pooled: Pooled) -> str:
    """``RR 2.74 (95 % CI 1.89 to 3.98)``."""
    scale = pooled.scale
    shown = [float(scale.shown(x)) for x in (pooled.estimate, pooled.low, pooled.high)]
    return (
        f"{scale.short} {number(shown[0])} ({percent(pooled.method.level)} CI {number(shown[1])} to {number(shown[2])})"
    )


def heterogeneity_text(pooled: Pooled) -> str:
    """Between-study variance, Q and I2 in one line; says so where they do not exist."""
    if pooled.k < 2:
        return "Heterogeneity: one study has none to estimate"
    parts = []
    if not math.isnan(pooled.tau2):
        limits = ""
        if not math.isnan(pooled.tau2_high):
            limits = f" ({percent(pooled.method.level)} CI {number(pooled.tau2_low)} to {number(pooled.tau2_high)})"
        parts.append(f"τ² = {number(pooled.tau2)}{limits}")
    if pooled.k > 2 and not math.isnan(pooled.i2):
        basis = "τ²" if pooled.method.model == "random" else "Q"
        parts.append(f"I² ({basis}-based) = {100 * pooled.i2:.0f} %")
    if not math.isnan(pooled.q):
        parts.append(f"Q = {number(pooled.q)}, df = {pooled.q_df:g}, {p_text(pooled.q_p_value)}")
    return "Heterogeneity: " + ("; ".join(parts) or "not estimable, too few of the studies tell of the effect")


def prediction_text(pooled: Pooled) -> str:
    """The prediction interval on the scale shown, or an empty text."""
    if math.isnan(pooled.prediction_low):
        return ""
    low, high = (float(pooled.scale.shown(x)) for x in (pooled.prediction_low, pooled.prediction_high))
    return f"{percent(pooled.method.level)} prediction interval {number(low)} to {number(high)}"


def tau2_name(method: Method) -> str:
    """The estimator of the between-study variance in words."""
    if callable(method.tau2):
        return f"a function of the user's ({getattr(method.tau2, '__name__', 'unnamed')})"
    return TAU2_NAMES.get(method.tau2, method.tau2)


def method_text(method: Method) -> str:
    """Estimator and interval, as a line under a result."""
    interval = CI_NAMES.get(method.ci, method.ci)
    if method.model != "random":
        return f"{model_name(method)}; {interval}"
    return f"{model_name(method)}; τ² by {tau2_name(method)}; {interval}"


def rule_sentence(pooled: Pooled) -> str:
    """The zero-cell rule, and that it stops at the single trials where the pooling itself needs none."""
    if pooled.method.model == "single" and pooled.method.ci != "wald":
        return ""  # the limits shown need no correction
    sentence = zero_sentence(pooled.effects)
    return sentence if pooled.method.model in MODEL_NAMES or not sentence else f"For the single trials only: {sentence}"


def pooled_sentence(pooled: Pooled) -> str:
    """The result in one sentence."""
    e = pooled.effects
    verb = "Pooled" if pooled.k > 1 else "Not pooled:"
    what = f"{verb} {e.scale.name} of {e.event} from {studies(pooled.k)}"
    return f"{what}: {estimate_text(pooled)}, {p_text(pooled.p_value)}."


def pooled_summary(pooled: Pooled) -> str:
    """The result in words and numbers, with its method, its heterogeneity and its notes."""
    lines = [
        pooled_sentence(pooled),
        method_text(pooled.method) + ".",
        heterogeneity_text(pooled) + ".",
        prediction_text(pooled) and prediction_text(pooled) + ".",
        rule_sentence(pooled),
        *excluded_sentences(pooled.effects),
        *(f"Note: {note}." for note in pooled.notes),
    ]
    return "\n".join(filter(None, lines))


def _expressed(effects: Effects) -> str:
    return (
        f"We expressed effects as {plural(effects.scale.name)} of {effects.event} ({effects.treatment} against "
        f"{effects.control})."
    )


def effects_methods(effects: Effects) -> str:
    """The paragraph for a methods section: measure, number, intervals of the rows, rule and exclusions."""
    shown = f"One estimate from each of {studies(effects.k)} is given with its {CI_NAMES[effects.interval]}."
    sentences = [_expressed(effects), shown, zero_sentence(effects), *excluded_sentences(effects)]
    return " ".join(filter(None, sentences))


def pooled_methods(pooled: Pooled) -> str:
    """The paragraph for a methods section."""
    e, method = pooled.effects, pooled.method
    sentences = [_expressed(e)]
    if pooled.k < 2:
        interval = CI_NAMES.get(method.ci, method.ci)
        sentences.append(f"One study was available; nothing was pooled ({percent(method.level)} interval: {interval}).")
    elif method.model == "random":
        sentences.append(
            f"{studies(pooled.k).capitalize()} were pooled with a random-effects model; the between-study variance was "
            f"estimated by {tau2_name(method)}, its interval by the Q-profile method, and the "
            f"{percent(method.level)} confidence interval of the mean is the {CI_NAMES.get(method.ci, method.ci)}."
        )
    else:
        sentences.append(
            f"{studies(pooled.k).capitalize()} were pooled ({model_phrase(method)}), {percent(method.level)} "
            f"{CI_NAMES.get(method.ci, method.ci)}."
        )
    if not math.isnan(pooled.prediction_low):
        sentences.append(f"A {percent(method.level)} prediction interval ({method.prediction}) is given.")
    sentences += [rule_sentence(pooled), *excluded_sentences(e)]
    return " ".join(filter(None, sentences))


def pooled_alt(pooled: Pooled) -> str:
    """What is shown, the finding, the numbers: for readers who cannot see the figure."""
    e = pooled.effects
    frame = e.to_frame(level=pooled.method.level)
    each = [
        f"{label} {interval_text(row.estimate, row.low, row.high)}"
        for label, row in zip(e.labels, frame.itertuples(), strict=True)
        if row.row == "study"
    ]
    opening = f"Forest plot of the {e.scale.name} of {e.event}, {e.treatment} against {e.control}, {studies(e.k)}: "
    finding = pooled_sentence(pooled) if pooled.k > 1 else "One study; nothing is pooled."
    rest = [heterogeneity_text(pooled) + "." if pooled.k > 1 else "", prediction_text(pooled)]
    rest += [*unconfirmed_sentences(e), *excluded_sentences(e)]
    return " ".join(filter(None, [opening + "; ".join(each) + ".", finding, *rest]))


def html_table(frame: pd.DataFrame) -> str:
    """A small HTML table with numbers as the texts print them."""
    shown = frame.copy()
    for column in shown.columns:
        if pd.api.types.is_float_dtype(shown[column]):
            shown[column] = ["" if math.isnan(x) else number(x) for x in shown[column]]
    return str(shown.to_html(index=False, border=0, na_rep=""))


def page(text: str, frame: pd.DataFrame) -> str:
    """What a notebook shows of a result: its sentences, a paragraph each, and a table."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in text.splitlines()) + html_table(frame)


def effects_html(effects: Effects) -> str:
    """A sentence and a table for notebooks."""
    head = "\n".join(line for line in effects_summary(effects).splitlines() if not line.startswith("  "))
    return page(head, effects_table(effects))


def effects_table(effects: Effects) -> pd.DataFrame:
    """The columns of a set of effects a reader needs, labels first."""
    frame = effects.to_frame()
    counts = [c for c in ("events_t", "n_t", "events_c", "n_c") if c in frame]
    levels = [c for c in ("evidence_level",) if c in frame]
    table = frame[[*counts, "estimate", "low", "high", *levels]].copy()
    for column in counts:
        table[column] = [f"{x:g}" if isinstance(x, Real) and not math.isnan(x) else "" for x in table[column]]
    table.insert(0, "study", list(effects.labels))
    return table.rename(columns={"estimate": effects.scale.short})


def pooled_html(pooled: Pooled) -> str:
    """A sentence and a table for notebooks."""
    table = effects_table(pooled.effects)
    table["weight"] = [f"{100 * w:.1f} %" for w in pooled.weights]
    if pooled.k > 1:
        shown = [float(pooled.scale.shown(x)) for x in (pooled.estimate, pooled.low, pooled.high)]
        row = dict(zip((pooled.scale.short, "low", "high"), shown, strict=True))
        table.loc[len(table)] = {c: row.get(c, "") for c in table.columns} | {"study": model_name(pooled.method)}
        for column in row:
            table[column] = [x if isinstance(x, str) else number(float(x)) for x in table[column]]
    return page(pooled_summary(pooled), table)


def sweep_summary(sweep: Sweep) -> str:
    """How far the estimate moves and whether the conclusion holds throughout."""
    frame = sweep.to_frame().dropna(subset=["estimate"])
    if frame.empty:
        return " ".join([f"{sweep.kind.capitalize()}: no analysis is possible.", *sweep.notes])
    null = sweep.scale.null
    ends = f"{sweep.scale.short} {number(frame['estimate'].min())} to {number(frame['estimate'].max())}"
    text = f"{sweep.kind.capitalize()}, {analyses(len(frame))}: {ends}."
    if null is not None:
        excludes = int(((frame["low"] > null) | (frame["high"] < null)).sum())
        text += f" The interval excludes {null:g} in {excludes} of {len(frame)}."
    return " ".join([text, *(f"Note: {note}." for note in sweep.notes)])


def sweep_html(sweep: Sweep) -> str:
    """A sentence and a table for notebooks."""
    frame = sweep.to_frame().drop(columns=["y", "se", "y_low", "y_high"], errors="ignore")
    if "status" in frame and (frame["status"] == Status.OK.meaning).all():
        frame = frame.drop(columns="status")
    return page(sweep_summary(sweep), frame)
