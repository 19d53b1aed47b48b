"""Conclusion: what may and what may not be concluded from a result."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.measures import Measure
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects, unconfirmed_labels
from kapmeta.results.pooled import Pooled, estimate_text, pooled_given, pooled_sentence

__all__ = ["Conclusion", "conclusion"]

_SECOND_HAND = (
    "secondary_table",
    "secondary_summary",
    "press_conflict",
    "tertiary_only",
    "tertiary_only_conflict",
)


@dataclass(frozen=True)
class Conclusion:
    """What may and what may not be concluded from a result, each a plain sentence made from its numbers."""

    may: str
    may_not: str

    def __str__(self) -> str:
        return f"{self.may}\n{self.may_not}"

    def _repr_html_(self) -> str:
        pairs = (("What may be concluded.", self.may), ("What may not.", self.may_not))
        return "".join(
            f"<p><strong>{head}</strong> {html.escape(text)}</p>" for head, text in pairs
        )


def conclusion(pooled: Pooled) -> Conclusion:
    """Two plain sentences: what a result lets one say, and what it does not.

    Made from the result alone: number of trials, design, counts, interval, evidence level and
    contrast. The wording changes when the numbers do.

    Parameters
    ----------
    pooled : Pooled
        From `registered` or `kapmeta.pool`.

    Returns
    -------
    Conclusion
        The two sentences.

    Examples
    --------
    >>> import kapmeta as km
    >>> print(km.review.conclusion(km.review.registered(km.load_evidence(), "cocaine-end-of-trial")).may)
    In the one randomised trial (Dakwar 2019), 13 of 27 (48 %) with ketamine and 3 of 28 (11 %) with midazolam had
    the outcome (abstinence): risk ratio 4.49 (score interval 1.60 to 13.69), which excludes "no difference".
    """
    effects = pooled_given(pooled).effects
    return Conclusion(_may(pooled, effects), _may_not(pooled, effects))


def _may(pooled: Pooled, effects: Effects) -> str:
    scale = effects.scale
    present = np.flatnonzero(effects.present)
    if _tertiary(effects):
        seen = wording.joined(unconfirmed_labels(effects))
        return (
            f"Nothing, until the primary report has been read: the numbers of {seen} are not"
            " confirmed."
        )
    if pooled.k > 2:
        shown = [float(scale.shown(x)) for x in (pooled.low, pooled.high)]
        return f"{pooled_sentence(pooled)[:-1]}; the interval {_verdict(scale, *shown)}."
    design = _design(effects)
    told = [_trial_text(effects, int(i), pooled.method.level) for i in present]
    if pooled.k == 1:
        return f"In the one {design} ({effects.labels[present[0]]}), {told[0]}."
    common = pool(effects, model="common", mixed=True)
    each = "; ".join(f"{effects.labels[i]}, {text}" for i, text in zip(present, told, strict=True))
    return (
        f"Two {design}s: {each}. If there were no heterogeneity between them, the common"
        f" {scale.name} would be {estimate_text(common)}."
    )


def _design(effects: Effects) -> str:
    if "randomised" not in effects.table:
        return "trial"
    every = checking.established(effects.table, "randomised")[effects.present].all()
    return "randomised trial" if every else "controlled study, not randomised"


def _verdict(scale: Measure, low: float, high: float) -> str:
    # in quotation marks: "excludes no difference" alone can be read as excluding nothing
    excluded = scale.side(low, high, shown=True)
    return f'{"excludes" if excluded else "includes"} "no difference"'


def _trial_text(effects: Effects, i: int, level: float) -> str:
    """One trial in words: its counts with a score interval, or its reported effect with its own interval."""
    row, scale = effects.table.iloc[i], effects.scale
    counted = not pd.isna(row.get("events_t", np.nan))
    scored = counted and scale.key == "RR"
    frame = (
        (replace(effects, interval="koopman") if scored else effects).to_frame(level=level).iloc[i]
    )
    estimate, low, high = (float(frame[name]) for name in ("estimate", "low", "high"))
    verdict = f"which {_verdict(scale, low, high)}"
    if not counted:
        unit = f" {row['unit']}" if isinstance(row.get("unit"), str) and row["unit"] else ""
        what = f"{scale.name} of {effects.event}" if unit else scale.name
        return f"{what} {wording.interval_text(estimate, low, high)}{unit} as reported, {verdict}"
    told = f"{_counts_text(effects, row)}: {scale.name} "
    if not scored:
        return f"{told}{wording.interval_text(estimate, low, high)}, {verdict}"
    ratio = wording.number(estimate) if np.isfinite(estimate) else "without an upper bound"
    return (
        f"{told}{ratio} (score interval {wording.number(low)} to {wording.number(high)}), {verdict}"
    )


def _counts_text(effects: Effects, row: pd.Series) -> str:
    """How many had the outcome in each arm."""
    a, n1, c, n2 = (float(row[name]) for name in ("events_t", "n_t", "events_c", "n_c"))
    treatment, control = (
        row.get("treatment", effects.treatment),
        row.get("control", effects.control),
    )
    return (
        f"{a:.0f} of {n1:.0f} ({100 * a / n1:.0f} %) with {treatment} and {c:.0f} of {n2:.0f} "
        f"({100 * c / n2:.0f} %) with {control} had the outcome ({effects.event})"
    )


def _may_not(pooled: Pooled, effects: Effects) -> str:
    """The reasons not to conclude more, strongest first."""
    table, there = effects.table, effects.present
    reasons = []
    contrast = set(table["contrast"][there]) if "contrast" in table else set()
    if contrast & {"dose", "sessions"}:
        reasons.append("both arms had ketamine, so this says nothing about ketamine against none")
    if "randomised" in table and not checking.established(table, "randomised")[there].all():
        reasons.append(
            "the arms were not randomised, so a difference cannot be put down to ketamine"
        )
    if "evidence_level" in table:
        levels = table["evidence_level"][there]
        second = [
            label
            for label, level in zip(np.array(effects.labels)[there], levels, strict=True)
            if level in _SECOND_HAND
        ]
        if second:
            reasons.append(f"the numbers of {wording.joined(second)} are known only second-hand")
    if pooled.k < 3:
        reasons.append(
            "one trial cannot show that a result holds elsewhere"
            if pooled.k == 1
            else "two trials cannot show how much results differ between trials"
        )
    if "n_t" in table and table["n_t"][there].notna().any():
        counted = table.loc[there & table["n_t"].notna().to_numpy(), ["n_t", "n_c"]]
        of = (
            ""
            if len(counted) == pooled.k
            else f"known of {len(counted)} of {pooled.k} trials only and "
        )
        reasons.append(f"the counts are {of}of {float(counted.sum().sum()):.0f} people in all")
    else:
        reasons.append("how many people were counted is not known")
    return f"It does not settle the question: {'; '.join(reasons)}."


def _shown_counts(effects: Effects) -> str:
    """``14/17 v 15/23`` for each trial; a word for one whose counts are not known."""
    cells = effects.table[effects.present].reindex(columns=["events_t", "n_t", "events_c", "n_c"])
    texts = [
        (
            "counts not known"
            if np.isnan([a, n1, c, n2]).any()
            else f"{a:.0f}/{n1:.0f} v {c:.0f}/{n2:.0f}"
        )
        for a, n1, c, n2 in cells.astype("float64").itertuples(index=False)
    ]
    if effects.scale.key == "MD":
        return "an average, not a count"
    return "; ".join(texts) + ", not confirmed" * _tertiary(effects)


def _tertiary(effects: Effects) -> bool:
    """Whether a number comes from a summary of summaries only."""
    return bool(unconfirmed_labels(effects))
