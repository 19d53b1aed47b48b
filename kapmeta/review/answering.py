"""Answers to the declared questions, by the plan of `kapmeta.review.protocol`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.certainty.grading import certainty_table
from kapmeta.checking import chosen, established
from kapmeta.effects.counts import COUNT_MEASURES, from_counts
from kapmeta.effects.estimates import reported
from kapmeta.pooling.headline_rules import headline_rule
from kapmeta.pooling.headlines import Headline, headline_effect, headline_of, randomised, tertiary
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects, unconfirmed_labels
from kapmeta.results.pooled import Pooled, estimate_text
from kapmeta.results.posteriors import Result
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.evidence.missing import missing_words
from kapmeta.review.protocol import OPPOSITES, QUESTIONS, SUBSTANCES, WITHOUT_RESULT, Question
from kapmeta.wording import EVIDENCE_LEVELS

__all__ = [
    "Answered",
    "against_control",
    "answer",
    "answers",
    "benefit_side",
    "evidence_table",
    "question_certainty",
    "question_effects",
    "substances_table",
]


@checking.checked
def question_effects(evidence: Evidence, question: str) -> Effects:
    """Collect the effects that answer a declared question.

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
    >>> km.review.question_effects(km.load_evidence(), "alcohol-odds")
    Effects(OR, k=1)
    """
    evidence_given(evidence)
    asked = QUESTIONS[chosen(question, QUESTIONS, "question")]
    parts = []
    if asked.measure in COUNT_MEASURES:
        trials = _selected(evidence.trials(substance=asked.substance), asked)
        trials = trials[trials["event"] == asked.event]
        if len(trials):
            # a single trial is shown with its score interval, which needs no correction for a zero
            # cell
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
    """Keep the rows of the contrast, design, roles, definitions and window asked for."""
    keep = rows["contrast"] == asked.contrast
    keep &= established(rows, "randomised") == asked.randomised
    keep &= rows["role"].isin(asked.roles) & rows["definition"].isin(asked.definitions)
    if asked.window is not None:
        keep &= rows["window"] == asked.window
    return pd.DataFrame(rows[keep])


@checking.checked
def answer(evidence: Evidence, question: str) -> Pooled:
    """Answer a declared question by the declared method.

    Parameters
    ----------
    evidence, question
        As in `question_effects`.

    Returns
    -------
    Pooled
        With one trial nothing is pooled and the result says so.

    Raises
    ------
    ValueError
        As in `question_effects`.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.review.answer(km.load_evidence(), "opioids-sessions")
    Pooled(RR 2.25 (95 % CI 1.05 to 5.08), k=1, one trial, not pooled)
    """
    return pool(question_effects(evidence, question))


@dataclass(frozen=True)
class Answered:
    """A declared question with its result, the effect to show of it, and all its analyses.

    Attributes
    ----------
    asked : Question
        What is asked.
    pooled : Pooled
        The answer by the declared method.
    headline : Headline
        What may be headlined, what is shown beside it, and what is refused.
    effect : Pooled or Posterior
        The one effect to show.
    """

    asked: Question
    pooled: Pooled
    headline: Headline
    effect: Result

    @property
    def title(self) -> str:
        """Substance and title of the question."""
        return f"{self.asked.substance}: {self.asked.title}"

    @property
    def withheld(self) -> bool:
        """Whether no effect is shown, because its counts are not confirmed."""
        return tertiary(self.pooled)

    @property
    def randomised(self) -> bool:
        """Whether every trial that takes part was randomised."""
        return randomised(self.pooled)

    @property
    def against_control(self) -> bool:
        """Whether it is a randomised comparison with a treatment without ketamine."""
        return against_control(self.pooled)

    @property
    def benefit_side(self) -> int:
        """1 if the interval shown lies wholly on the better side, -1 on the worse, else 0."""
        return benefit_side(self.pooled, self.effect)


def against_control(pooled: Pooled) -> bool:
    """Say whether a result is a randomised comparison with a treatment without ketamine."""
    contrast = set(pooled.effects.table["contrast"][pooled.effects.present])
    return contrast == {"ketamine_v_control"} and randomised(pooled)


def benefit_side(pooled: Pooled, effect: Result) -> int:
    """Return 1 if the interval shown lies on the better side, -1 on the worse, 0 on neither."""
    return int(effect.side or 0) * (1 if pooled.effects.event_is_good else -1)


@checking.checked
def answers(evidence: Evidence) -> dict[str, Answered]:
    """Answer every declared question once, by name, with all that may be shown of it.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    dict of str to Answered
        The questions in the order of the plan.

    Examples
    --------
    >>> import kapmeta as km
    >>> found = km.review.answers(km.load_evidence())
    >>> found["cocaine-end-of-trial"].effect
    Pooled(RR 4.49 (95 % CI 1.60 to 13.69), k=1, one trial, not pooled)
    """
    found = {}
    for name, asked in QUESTIONS.items():
        pooled = answer(evidence, name)
        headline = headline_of(pooled, opposite=OPPOSITES.get(pooled.effects.event))
        found[name] = Answered(asked, pooled, headline, headline_effect(pooled, found=headline))
    return found


@checking.checked
def evidence_table(evidence: Evidence) -> pd.DataFrame:
    """Tabulate what the evidence says now, one row per declared question.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        Substance, question, trials, k, counts of the arms, effect with its interval, evidence
        levels, what may be headlined, and the trials known to have measured it whose results have
        not been read. Counts known only from a tertiary source give no effect.

    Examples
    --------
    >>> import kapmeta as km
    >>> table = km.review.evidence_table(km.load_evidence())
    >>> table[["Substance", "k"]].drop_duplicates("Substance").values.tolist()
    [['alcohol', 1], ['opioids', 1], ['cocaine', 1]]
    """
    evidence_given(evidence)
    rows = []
    for name, asked in QUESTIONS.items():
        pooled = answer(evidence, name)
        effects = pooled.effects
        there = effects.present
        levels = effects.table["evidence_level"][there]
        rows.append(
            {
                "Substance": asked.substance,
                "Question": asked.title,
                "Trials": wording.joined(np.array(effects.labels)[there]),
                "k": pooled.k,
                "Abstinent, ketamine v other arm": _counts_words(effects),
                "Effect (95 % interval)": _effect_words(pooled),
                "Evidence": wording.joined(EVIDENCE_LEVELS[x].short for x in dict.fromkeys(levels)),
                "May be headlined": _headline_words(pooled),
                "Known, not in the numbers": missing_words(evidence, name),
            }
        )
    return pd.DataFrame(rows)


def _counts_words(effects: Effects) -> str:
    """Write ``14/17 v 15/23`` for each trial, words for one whose counts are not known."""
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
    return "; ".join(texts) + ", not confirmed" * bool(unconfirmed_labels(effects))


def _headline_words(pooled: Pooled) -> str:
    """Say what may be headlined, given the number of trials, their design and their sources."""
    if tertiary(pooled):
        return "nothing, until the primary report has been read"
    if not randomised(pooled):
        return "nothing as an effect of ketamine: not randomised"
    return (
        "the trial's own result, as one trial"
        if pooled.k == 1
        else headline_rule(pooled.k).headline
    )


def _effect_words(pooled: Pooled) -> str:
    """Write the pooled effect from three trials on, else the effect of each trial."""
    effects = pooled.effects
    if tertiary(pooled):
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


@checking.checked
def substances_table(evidence: Evidence) -> pd.DataFrame:
    """Tabulate every substance of the plan: what is known and what is under way.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per substance: what the plan says, comparisons with abstinence counts, studies seen,
        and studies without a result yet.

    Examples
    --------
    >>> import kapmeta as km
    >>> table = km.review.substances_table(km.load_evidence()).set_index("substance")
    >>> int(table.loc["cannabis", "comparisons"])
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
                "without a result yet": int(seen["status"].isin(WITHOUT_RESULT).sum()),
            }
        )
    return pd.DataFrame(rows)


@checking.checked
def question_certainty(evidence: Evidence) -> pd.DataFrame:
    """Add up the GRADE judgements of ``data/grade.csv``, question by question.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        As `kapmeta.certainty.certainty_table` gives it, with the designs of the declared questions.

    Examples
    --------
    >>> import kapmeta as km
    >>> table = km.review.question_certainty(km.load_evidence()).set_index("question")
    >>> table.loc["cocaine-end-of-trial", ["certainty", "status"]].tolist()
    ['very low', 'provisional']
    """
    designs = {name: asked.randomised for name, asked in QUESTIONS.items()}
    return certainty_table(evidence_given(evidence).grade, randomised=designs)
