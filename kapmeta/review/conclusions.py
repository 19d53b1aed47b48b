"""Conclusions: what may and what may not be concluded from a result."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.measures import Measure
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects, participants, unconfirmed_labels, unit_of
from kapmeta.results.pooled import Pooled, estimate_text, pooled_given, pooled_sentence
from kapmeta.wording import level_named

__all__ = ["Conclusion", "conclusion"]

FEW_EVENTS = 300
"""Events below which the number of people is a reason for doubt, a rule of thumb of GRADE."""
FEW_PEOPLE = 400
"""People below which their number is a reason for doubt where no events are counted."""
_SAME_TREATMENT = {"dose": "doses", "sessions": "numbers of sessions"}


@dataclass(frozen=True)
class Conclusion:
    """What may and what may not be concluded from a result, each as a plain sentence."""

    may: str
    may_not: str

    def __str__(self) -> str:
        return f"{self.may}\n{self.may_not}"

    def _repr_html_(self) -> str:
        pairs = (("What may be concluded.", self.may), ("What may not.", self.may_not))
        return "".join(
            f"<p><strong>{head}</strong> {html.escape(text)}</p>" for head, text in pairs
        )


@checking.checked
def conclusion(pooled: Pooled) -> Conclusion:
    """Say in two plain sentences what a result shows, and what it does not.

    Made from the result alone: number of trials, design, counts, interval, evidence level and
    contrast. The wording changes when the numbers do. The number of people is a reason for doubt
    below 300 events, or below 400 people where the outcome is a mean [1]_. A measure of one group
    is stated with its interval; nothing is compared.

    Parameters
    ----------
    pooled : Pooled
        From `answer` or `kapmeta.pool`.

    Returns
    -------
    Conclusion
        The two sentences.

    References
    ----------
    .. [1] Guyatt GH, Oxman AD, Kunz R, et al. GRADE guidelines 6. Rating the quality of evidence:
       imprecision. J Clin Epidemiol 2011;64:1283-1293.
       https://doi.org/10.1016/j.jclinepi.2011.01.012

    Examples
    --------
    >>> import kapmeta as km
    >>> cocaine = km.review.answer(km.load_evidence(), "cocaine-end-of-trial")
    >>> print(km.review.conclusion(cocaine).may)
    In the one randomised trial (Dakwar 2019), 13 of 27 (48 %) with ketamine and 3 of 28 (11 %)
    with midazolam had the outcome (abstinence): risk ratio 4.49 (score interval 1.60 to 13.69),
    which excludes "no difference".
    """
    effects = pooled_given(pooled).effects
    return Conclusion(_may(pooled, effects), _may_not(pooled, effects))


def _may(pooled: Pooled, effects: Effects) -> str:
    scale = effects.scale
    present = np.flatnonzero(effects.present)
    if unconfirmed := unconfirmed_labels(effects):
        seen = wording.joined(unconfirmed)
        return (
            f"Nothing, until the primary report has been read: the numbers of {seen} are not"
            " confirmed."
        )
    if pooled.k > 2:
        shown = [float(scale.shown(x)) for x in (pooled.low, pooled.high)]
        verdict = f"; the interval {_verdict_words(scale, *shown)}" * scale.compares
        return f"{pooled_sentence(pooled)[:-1]}{verdict}."
    design = _design_words(effects)
    texts = [_trial_text(effects, int(i), pooled.method.level) for i in present]
    if pooled.k == 1:
        return f"In the one {design} ({effects.labels[present[0]]}), {texts[0]}."
    common = pool(effects, model="common", mixed=True)
    each = "; ".join(f"{effects.labels[i]}, {text}" for i, text in zip(present, texts, strict=True))
    plural = "studies" if design == "study" else f"{design}s"
    return (
        f"Two {plural}: {each}. If there were no heterogeneity between them, the common"
        f" {scale.name} would be {estimate_text(common)}."
    )


def _design_words(effects: Effects) -> str:
    if not effects.scale.compares:
        return "study"
    if "randomised" not in effects.table:
        return "trial"
    every = checking.established(effects.table, "randomised")[effects.present].all()
    return "randomised trial" if every else "controlled study, not randomised"


def _verdict_words(scale: Measure, low: float, high: float) -> str:
    # in quotation marks: "excludes no difference" alone can be read as excluding nothing
    excluded = scale.side(low, high, shown=True)
    return f'{"excludes" if excluded else "includes"} "no difference"'


def _trial_text(effects: Effects, i: int, level: float) -> str:
    """Describe one trial: its counts with a score interval, or its effect as reported."""
    row, scale = effects.table.iloc[i], effects.scale
    if not scale.compares:
        return _group_text(effects, i, level)
    counted = not pd.isna(row.get("events_t", np.nan))
    scored = counted and scale.key == "RR"
    frame = (
        (replace(effects, interval="koopman") if scored else effects).to_frame(level=level).iloc[i]
    )
    estimate, low, high = (float(frame[name]) for name in ("estimate", "low", "high"))
    verdict = f"which {_verdict_words(scale, low, high)}"
    if not counted:
        unit = f" {unit_of(effects.select(i))}".rstrip()
        what = f"{scale.name} of {effects.event}" if unit else scale.name
        source = " as reported" * ("printed_level" in row and not pd.isna(row["printed_level"]))
        return f"{what} {wording.interval_text(estimate, low, high)}{unit}{source}, {verdict}"
    counts = f"{_counts_text(effects, row)}: {scale.name} "
    if not scored:
        return f"{counts}{wording.interval_text(estimate, low, high)}, {verdict}"
    ratio = wording.number(estimate) if np.isfinite(estimate) else "without an upper bound"
    limits = f"{wording.number(low)} to {wording.number(high)}"
    return f"{counts}{ratio} (score interval {limits}), {verdict}"


def _group_text(effects: Effects, i: int, level: float) -> str:
    """Describe one study of one group: its counts where there are any, and its estimate."""
    row, frame = effects.table.iloc[i], effects.to_frame(level=level).iloc[i]
    interval = wording.interval_text(*(float(frame[name]) for name in ("estimate", "low", "high")))
    what = f"{effects.scale.short} {interval}"
    if {"events", "n"} <= set(row.index):
        return f"{row['events']:.0f} of {row['n']:.0f} had the outcome ({effects.event}): {what}"
    return what


def _counts_text(effects: Effects, row: pd.Series) -> str:
    """Say how many had the outcome in each arm."""
    a, n1, c, n2 = (float(row[name]) for name in ("events_t", "n_t", "events_c", "n_c"))
    treatment, control = (_arm_name(effects, row, name) for name in ("treatment", "control"))
    return (
        f"{a:.0f} of {n1:.0f} ({100 * a / n1:.0f} %) with {treatment} and {c:.0f} of {n2:.0f} "
        f"({100 * c / n2:.0f} %) with {control} had the outcome ({effects.event})"
    )


def _arm_name(effects: Effects, row: pd.Series, side: str) -> str:
    """Name an arm of one trial: by its row where the arms differ between trials."""
    common, own = str(getattr(effects, side)), row.get(side)
    return own if common == side and isinstance(own, str) and own.strip() else common


def _may_not(pooled: Pooled, effects: Effects) -> str:
    """List the reasons not to conclude more, the strongest first."""
    reasons = [reason for check in _CHECKS for reason in check(pooled, effects)]
    if not reasons:
        return (
            "This says nothing about bias: judge the risk of bias of the trials before concluding."
        )
    return f"It does not settle the question: {'; '.join(reasons)}."


def _design_reasons(pooled: Pooled, effects: Effects) -> Iterator[str]:
    table = effects.table[effects.present]
    for contrast, difference in _SAME_TREATMENT.items():
        if "contrast" in table and (table["contrast"] == contrast).any():
            yield (
                f"both arms had the same treatment, in different {difference}, so this says nothing"
                " of the treatment against none"
            )
    if "randomised" in table and not checking.established(table, "randomised").all():
        yield "the arms were not randomised, so a difference cannot be put down to the treatment"


def _source_reasons(pooled: Pooled, effects: Effects) -> Iterator[str]:
    if "evidence_level" not in effects.table:
        return
    each = zip(effects.labels, effects.present, effects.table["evidence_level"], strict=True)
    levels = [(label, level_named(word)) for label, present, word in each if present]
    second = [label for label, level in levels if level and not level.first_hand]
    if second:
        yield f"the numbers of {wording.joined(second)} are known only second-hand"


def _number_reasons(pooled: Pooled, effects: Effects) -> Iterator[str]:
    if pooled.k == 1:
        yield "one trial cannot show that a result holds elsewhere"
    elif pooled.k == 2:
        yield "two trials cannot show how much results differ between trials"
    there = np.flatnonzero(effects.present)
    known = [i for i in there if not np.isnan(participants(effects.select(i)))]
    if not known:
        yield "how many people were counted is not known"
        return
    counted = effects.select(known)
    events = _events_counted(counted)
    people = participants(counted)
    few = people < FEW_PEOPLE if events is None else events < FEW_EVENTS
    if few:
        part = f"known of {len(known)} of {pooled.k} trials only and "
        yield f"the counts are {part * (len(known) < pooled.k)}of {people:.0f} people in all"


def _events_counted(effects: Effects) -> float | None:
    """Add up the events; None where the outcome is a mean, or the events are not known."""
    names = ("events_t", "events_c") if effects.scale.compares else ("events",)
    if not effects.scale.counts or not set(names) <= set(effects.table.columns):
        return None
    cells = effects.table[list(names)]
    return None if cells.isna().any(axis=None) else float(cells.to_numpy(dtype=np.float64).sum())


_CHECKS = (_design_reasons, _source_reasons, _number_reasons)
