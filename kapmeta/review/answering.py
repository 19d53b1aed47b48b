"""The registered analyses: the plan of `kapmeta.review.protocol` applied to the evidence, and what may be concluded."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.checking import chosen, established
from kapmeta.effects.counts import COUNT_MEASURES, from_counts
from kapmeta.effects.estimates import reported
from kapmeta.pooling.headline_rules import headline_rule
from kapmeta.pooling.headlines import randomised
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled, estimate_text
from kapmeta.review.conclusions import _shown_counts, _tertiary
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.protocol import QUESTIONS, SUBSTANCES, Question

__all__ = ["evidence_table", "registered", "registered_effects", "substances_table"]


def registered_effects(evidence: Evidence, question: str) -> Effects:
    """The effects that answer a registered question.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    question : str
        A word of `kapmeta.review.protocol.QUESTIONS`.

    Returns
    -------
    Effects
        One a trial; counts first, then effects as reported.

    Raises
    ------
    ValueError
        If there is no such question, or no trial answers it.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.review.registered_effects(km.load_evidence(), "alcohol-odds")
    Effects(OR, k=2)
    """
    evidence_given(evidence)
    asked = QUESTIONS[chosen(question, QUESTIONS, "question")]
    parts = []
    if asked.measure in COUNT_MEASURES:
        trials = _selected(evidence.trials(substance=asked.substance), asked)
        if len(trials):
            # a trial that stands alone is shown with its score interval, which needs no correction
            # for a zero cell
            interval = "koopman" if asked.measure == "RR" and len(trials) == 1 else "wald"
            parts.append(from_counts(trials, asked.measure, interval=interval))
    if asked.reported is not None:
        rows = _selected(evidence.reported(substance=asked.substance), asked)
        rows = rows[(rows["event"] == asked.reported) & (rows["measure"] == asked.measure)]
        if len(rows):
            found = reported(rows)
            parts.append(found if found.event_is_good else found.reversed("abstinence"))
    if not parts:
        raise ValueError(f'no comparison in the evidence answers "{question}" yet')
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _selected(rows: pd.DataFrame, asked: Question) -> pd.DataFrame:
    """Rows of the contrast, design, roles and window asked for."""
    keep = (rows["contrast"] == asked.contrast) & (
        established(rows, "randomised") == asked.randomised
    )
    keep &= rows["role"].isin(asked.roles)
    if asked.window is not None:
        keep &= rows["window"] == asked.window
    return pd.DataFrame(rows[keep])


def registered(evidence: Evidence, question: str) -> Pooled:
    """A registered question answered by the registered method.

    Parameters
    ----------
    evidence, question
        As in `registered_effects`.

    Returns
    -------
    Pooled
        With one trial nothing is pooled and the result says so.

    Raises
    ------
    ValueError
        As in `registered_effects`.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.review.registered(km.load_evidence(), "opioids-sessions")
    Pooled(RR 2.25 (95 % CI 1.05 to 5.08), k=1, one trial, not pooled)
    """
    return pool(registered_effects(evidence, question))


def evidence_table(evidence: Evidence) -> pd.DataFrame:
    """What the evidence says now, one row a registered question: the table of the README.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        Substance, question, trials, k, counts of the arms, effect with its interval, evidence
        levels, what may be headlined. Counts known only from a tertiary source give no effect.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.review.evidence_table(km.load_evidence())[["Substance", "k"]].drop_duplicates("Substance").to_string(index=False)
    'Substance  k\\n  alcohol  1\\n  opioids  1\\n  cocaine  1'
    """
    evidence_given(evidence)
    rows = []
    for name, asked in QUESTIONS.items():
        pooled = registered(evidence, name)
        effects = pooled.effects
        there = effects.present
        levels = effects.table["evidence_level"][there]
        rows.append(
            {
                "Substance": asked.substance,
                "Question": asked.title,
                "Trials": wording.joined(np.array(effects.labels)[there]),
                "k": pooled.k,
                "Abstinent, ketamine v other arm": _shown_counts(effects),
                "Effect (95 % interval)": _shown_effect(pooled),
                "Evidence": wording.joined(_level_words(level) for level in dict.fromkeys(levels)),
                "May be headlined": _headline(pooled),
            }
        )
    return pd.DataFrame(rows)


def _level_words(level: str) -> str:
    """An evidence level as a table shows it: ``secondary summary``, ``tertiary, in conflict``."""
    return level.replace("_only", "").replace("_conflict", ", in conflict").replace("_", " ")


def _headline(pooled: Pooled) -> str:
    """What the plan allows to be headlined, given the number of trials, their design and how sure their counts are."""
    if _tertiary(pooled.effects):
        return "nothing, until the primary report has been read"
    if not randomised(pooled):
        return "nothing as an effect of ketamine: not randomised"
    return (
        "the trial's own result, as one trial"
        if pooled.k == 1
        else headline_rule(pooled.k).headline
    )


def _shown_effect(pooled: Pooled) -> str:
    """The pooled effect from three trials on, else each trial's own."""
    effects = pooled.effects
    if _tertiary(effects):
        return "none given: the counts are not confirmed"
    if pooled.k > 2:
        return estimate_text(pooled)
    frame = effects.to_frame(level=pooled.method.level)
    units = [
        unit if isinstance(unit, str) else ""
        for unit in effects.table.reindex(columns=["unit"])["unit"]
    ]
    texts = [
        wording.effect_text(effects.scale.short, row.estimate, row.low, row.high, unit)
        for row, unit in zip(frame.itertuples(), units, strict=False)
        if row.row == "study"
    ]
    return "; ".join(texts)


def substances_table(evidence: Evidence) -> pd.DataFrame:
    """Every substance of the plan: what is known, what is under way, what can be said.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row a substance: the plan's word, comparisons with abstinence counts, studies seen, and
        studies without a result yet.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.review.substances_table(km.load_evidence()).set_index("substance").loc["cannabis", "comparisons"].item()
    0
    """
    studies, trials = evidence_given(evidence).studies, evidence.trials()
    rows = []
    for substance, plan in SUBSTANCES.items():
        seen = studies[studies["substance"] == substance]
        rows.append(
            {
                "substance": substance,
                "plan": plan,
                "comparisons": int((trials["substance"] == substance).sum()),
                "studies seen": len(seen),
                "without a result yet": int((seen["status"] == "ongoing or no results").sum()),
            }
        )
    return pd.DataFrame(rows)
