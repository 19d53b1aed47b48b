"""The results in sentences for readers who are no statisticians."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.certainty.grading import CERTAINTY
from kapmeta.pooling.headlines import randomised
from kapmeta.results.effects import unit_of
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Result
from kapmeta.review.answering import (
    Answered,
    against_control,
    answers,
    benefit_side,
    question_certainty,
)
from kapmeta.review.evidence import Evidence
from kapmeta.review.evidence.missing import counts_reread_sentence, missing_trials_sentence
from kapmeta.review.protocol import SUBSTANCES

__all__ = ["Known", "in_short", "known_of", "plain_result", "short_answer", "time_phrase"]

WEEKS = 52 / 12  # to a month
_FEWEST_INTERVALS = 2  # from which chance is judged
_NUMBER_WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


@dataclass(frozen=True)
class Known:
    """What the short answer needs of a question: its result, the effect shown, the certainty."""

    substance: str
    pooled: Pooled
    effect: Result
    certainty: str
    withheld: bool

    @property
    def counts(self) -> bool:
        """Whether it is a randomised comparison with a treatment without ketamine."""
        return against_control(self.pooled) and not self.withheld

    @property
    def trials(self) -> set[str]:
        """Labels of its trials."""
        return set(np.array(self.pooled.effects.labels)[self.pooled.effects.present])

    @property
    def favourable(self) -> bool:
        """Whether the interval shown lies wholly on the side of more abstinence."""
        return benefit_side(self.pooled, self.effect) > 0


def known_of(one: Answered, certainty: str) -> Known:
    """Keep what the short answer needs of an answered question."""
    return Known(one.asked.substance, one.pooled, one.effect, certainty, one.withheld)


def in_short(evidence: Evidence) -> tuple[str, str]:
    """Answer all declared questions in a few words, and say on what the answer is based.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    tuple of str
        The answer, and the sentences behind it.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.report import in_short
    >>> in_short(km.load_evidence())[0]
    'It is not known.'
    """
    certainty = question_certainty(evidence).set_index("question")["certainty"]
    known = [known_of(one, str(certainty[name])) for name, one in answers(evidence).items()]
    return short_answer(
        known, people_randomised(evidence), SUBSTANCES, not_in_the_numbers(evidence)
    )


def not_in_the_numbers(evidence: Evidence) -> str:
    """Say which trials are missing from the numbers, and which counts were read again."""
    sentences = (missing_trials_sentence(evidence), counts_reread_sentence(evidence))
    return " ".join(filter(None, sentences))


def people_randomised(evidence: Evidence) -> dict[str, int]:
    """Count the people randomised in each study, by its label, where the number is known."""
    people = evidence.studies.dropna(subset=["n_randomised"]).set_index("label")["n_randomised"]
    return {str(label): int(n) for label, n in people.items()}


def short_answer(
    known: Iterable[Known], people: dict[str, int], substances: Iterable[str], caveats: str = ""
) -> tuple[str, str]:
    """Answer in a few words, and say on what the answer is based.

    `people` is the number randomised of each trial by its label, `caveats` what a reader of the
    numbers must be told of what is not in them.
    """
    counting = [one for one in known if one.counts]
    if not counting:
        return (
            "It is not known.",
            "No randomised trial that compares ketamine with another treatment has a usable"
            f" result.{f' {caveats}' if caveats else ''}",
        )
    trials = {label: one.substance for one in counting for label in one.trials}
    total = sum(people[label] for label in trials)
    by_substance = [(name, list(trials.values()).count(name)) for name in substances]
    some = wording.joined(f"{count} for {name}" for name, count in by_substance if count)
    none = wording.joined(name for name, count in by_substance if not count)
    best = max((one.certainty for one in counting), key=CERTAINTY.index)
    lead = (
        "It is not known."
        if CERTAINTY.index(best) < 2
        else "It is beginning to be known, for some substances."
    )
    return lead, (
        f"{_trials_phrase(len(trials))} with {total} people in all compared ketamine with a"
        f" treatment without it and gave a result that can be used: {some}"
        f"{f'; none for {none}' if none else ''}. {_leaning(counting)} The certainty is"
        f" {best}{'' if best == CERTAINTY[0] else ' at best'}.{f' {caveats}' if caveats else ''}"
        " Nothing here can tell whether ketamine would help a given person."
    )


def _trials_phrase(count: int) -> str:
    return f"{_number_word(count)} randomised trial{'s' * (count != 1)}"


def _number_word(count: int) -> str:
    return _NUMBER_WORDS[count] if count < len(_NUMBER_WORDS) else str(count)


def _leaning(known: list[Known]) -> str:
    favourable = [one.favourable for one in known]
    if all(favourable):
        return "Their results favour ketamine."
    return (
        "Some results favour ketamine, others leave it open."
        if any(favourable)
        else "Their results leave it open."
    )


def plain_result(one: Known, sides: Sequence[int]) -> str:
    """Say what the trials of a question found, and what chance and design leave of it.

    `sides` are the sides of no effect of the confidence intervals shown, of several methods.
    """
    if one.withheld:
        return "The numbers are known only at third hand and are not given here."
    return " ".join(filter(None, [_found(one), _both_ketamine(one.pooled), _reading(one, sides)]))


def _found(one: Known) -> str:
    effects, k = one.pooled.effects, one.pooled.k
    design = "randomised trial" if randomised(one.pooled) else "study"
    if k > 1:
        names = wording.joined(np.array(effects.labels)[effects.present])
        return f"{_number_word(k)} {design}s together ({names}): {_effect_phrase(one)}."
    i = int(np.flatnonzero(effects.present)[0])
    row = effects.table.iloc[i]
    opening = f"In one {design} ({effects.labels[i]}),"
    if "n_t" not in row or not row["n_t"] > 0:
        if effects.scale.ratio:
            return f"{opening[:-1]}: {_effect_phrase(one)}."
        return f"{opening} {_mean_phrase(one)}"
    arms = [_arm_phrase(row, "t", effects.treatment), _arm_phrase(row, "c", effects.control)]
    when = f" {time_phrase(float(row['months']))}" if "months" in row else ""
    return f"{opening} {arms[0]} and {arms[1]} were abstinent{when}."


def _arm_phrase(row: pd.Series, side: str, name: str) -> str:
    """Write ``14 of 17 people (82 %) with ketamine``."""
    events, people = row[f"events_{side}"], row[f"n_{side}"]
    return f"{events:.0f} of {people:.0f} people ({100 * events / people:.0f} %) with {name}"


def time_phrase(months: float) -> str:
    """Write ``after 5 weeks`` or ``after 6 months``."""
    return f"after {months:g} months" if months >= 2 else f"after {months * WEEKS:.0f} weeks"


def _shown_numbers(one: Known) -> list[str]:
    return [
        wording.number(float(one.effect.scale.shown(x)))
        for x in (one.effect.estimate, one.effect.low, one.effect.high)
    ]


def _effect_phrase(one: Known) -> str:
    middle, low, high = _shown_numbers(one)
    return (
        f"{one.effect.scale.name} {middle} (95 % interval {low} to {high}; 1 would be no"
        " difference)"
    )


def _mean_phrase(one: Known) -> str:
    """Write a difference of means with its unit."""
    effects, unit = one.pooled.effects, unit_of(one.pooled.effects)
    middle, low, high = _shown_numbers(one)
    side = "higher" if one.effect.estimate > 0 else "lower"
    return (
        f"the {effects.event} was on average {middle.removeprefix('-')} {unit}"
        f" {side} with {effects.treatment} than with {effects.control} (95 % interval of the"
        f" difference {low} to {high})."
    )


def _both_ketamine(pooled: Pooled) -> str:
    contrast = set(pooled.effects.table["contrast"][pooled.effects.present])
    if not contrast & {"dose", "sessions"}:
        return ""
    return "Both groups had ketamine, so this does not tell whether ketamine helps."


def _reading(one: Known, sides: Sequence[int]) -> str:
    """Say what design and chance leave of a result: chance by sampling intervals, at least two."""
    if not randomised(one.pooled):
        return (
            "Nothing shows that chance decided who got what, so the difference cannot be put down"
            " to ketamine."
        )
    if one.effect.side == 0:
        return (
            "That leaves it open: fewer abstinent, no difference and more abstinent all fit the"
            " data."
        )
    alone = " It is one trial, not confirmed by another." if one.pooled.k == 1 else ""
    if len(sides) < _FEWEST_INTERVALS:
        return (
            "The interval leaves out no difference. Where a trial has several main outcomes, one of"
            f" them does so more easily by chance.{alone}"
        )
    if len(set(sides)) == 1:
        return f"Chance alone is an unlikely explanation.{alone}"
    return (
        f"Some methods of analysis rule out chance as the only explanation, others do not.{alone}"
    )
