"""Algorithms of RoB 2 from signalling questions to judgements, and the ROBINS-I rule.

Answers are the words of the tools: Y, PY, PN, N, NI (no information), NA. "Probably" counts as the
plain word, as the tools say. Judgements are words too; the person who answered may override one,
with a reason, outside of here.

References
----------
.. [1] Sterne JAC, Savović J, Page MJ, et al. RoB 2: a revised tool for assessing risk of bias in
   randomised trials. BMJ 2019;366:l4898. https://doi.org/10.1136/bmj.l4898
.. [2] Sterne JAC, Hernan MA, Reeves BC, et al. ROBINS-I: a tool for assessing risk of bias in
   non-randomised studies of interventions. BMJ 2016;355:i4919. https://doi.org/10.1136/bmj.i4919
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "ANSWERS",
    "DOMAINS",
    "NO_INFORMATION",
    "QUESTIONS",
    "ROB2",
    "ROBINS_I",
    "ROBINS_I_DOMAINS",
    "overall",
    "overall_robins_i",
    "worst",
]

ANSWERS = ("Y", "PY", "PN", "N", "NI", "NA")
"""Words an answer may be."""

ROB2 = ("low", "some concerns", "high")
"""Judgements of RoB 2, best first."""

ROBINS_I = ("low", "moderate", "serious", "critical")
"""Judgements of ROBINS-I, best first."""

NO_INFORMATION = "no information"
"""Judgement of ROBINS-I on a domain without information."""

ROBINS_I_DOMAINS: Mapping[str, str] = {
    "D1": "confounding",
    "D2": "selection of participants",
    "D3": "classification of interventions",
    "D4": "deviations from intended interventions",
    "D5": "missing data",
    "D6": "measurement of outcomes",
    "D7": "selection of the reported result",
}
"""Domains of ROBINS-I [2]_."""

Answers = Mapping[str, str]
_PLAIN_ANSWERS = {"Y": "yes", "PY": "yes", "PN": "no", "N": "no", "NI": "unknown", "NA": "unknown"}

QUESTIONS: Mapping[str, str] = {
    "1.1": "Was the allocation sequence random?",
    "1.2": "Was the allocation sequence concealed until participants were enrolled and assigned?",
    "1.3": "Did baseline differences suggest a problem with the randomisation process?",
    "2.1": "Were participants aware of their assigned intervention?",
    "2.2": "Were those delivering the interventions aware of the assignment?",
    "2.3": "Were there deviations from the intended intervention because of the trial context?",
    "2.4": "Were these deviations likely to have affected the outcome?",
    "2.5": "Were these deviations balanced between the groups?",
    "2.6": "Was an appropriate analysis used to estimate the effect of assignment?",
    "2.7": (
        "Was there potential for a substantial impact of analysing participants in the wrong group?"
    ),
    "3.1": "Were data available for all, or nearly all, participants randomised?",
    "3.2": "Is there evidence that the result was not biased by missing outcome data?",
    "3.3": "Could missingness in the outcome depend on its true value?",
    "3.4": "Is it likely that missingness in the outcome depended on its true value?",
    "4.1": "Was the method of measuring the outcome inappropriate?",
    "4.2": "Could measurement of the outcome have differed between the groups?",
    "4.3": "Were outcome assessors aware of the intervention received?",
    "4.4": "Could assessment of the outcome have been influenced by that knowledge?",
    "4.5": "Is it likely that assessment was influenced by that knowledge?",
    "5.1": "Were the data analysed in accordance with a plan made before outcomes were known?",
    "5.2": "Is the result likely to have been selected from multiple outcome measurements?",
    "5.3": "Is the result likely to have been selected from multiple analyses?",
}
"""Signalling questions of RoB 2 for the effect of assignment, shortened, by number."""


def _plain_answer(answers: Answers, number: str) -> str:
    """Return ``yes``, ``no`` or ``unknown``; a question without an answer is unknown."""
    return _PLAIN_ANSWERS[answers.get(number, "NI")]


def worst(judgements: Iterable[str], words: tuple[str, ...] = ROB2) -> str:
    """Return the worst of several judgements; `words` go from the best to the worst.

    Examples
    --------
    >>> worst(["low", "high", "some concerns"])
    'high'
    """
    return max(judgements, key=words.index)


def _randomisation(answers: Answers) -> str:
    """Judge the randomisation process: questions 1.1 to 1.3."""
    concealed, imbalance = _plain_answer(answers, "1.2"), _plain_answer(answers, "1.3")
    if concealed == "no":
        return "high"
    if concealed == "unknown":
        return "high" if imbalance == "yes" else "some concerns"
    random = _plain_answer(answers, "1.1")
    return "some concerns" if random == "no" or imbalance == "yes" else "low"


def _deviations(answers: Answers) -> str:
    """Judge deviations from the intended interventions."""
    return worst([_context(answers), _analysed_as_assigned(answers)])


def _context(answers: Answers) -> str:
    """Judge deviations because of the trial context: questions 2.1 to 2.5."""
    if _plain_answer(answers, "2.1") == _plain_answer(answers, "2.2") == "no":
        return "low"
    deviated = _plain_answer(answers, "2.3")
    if deviated != "yes":
        return "low" if deviated == "no" else "some concerns"
    if _plain_answer(answers, "2.4") == "no":
        return "some concerns"
    return "some concerns" if _plain_answer(answers, "2.5") == "yes" else "high"


def _analysed_as_assigned(answers: Answers) -> str:
    """Judge whether participants were analysed as assigned: questions 2.6 and 2.7."""
    if _plain_answer(answers, "2.6") == "yes":
        return "low"
    return "some concerns" if _plain_answer(answers, "2.7") == "no" else "high"


def _missing_data(answers: Answers) -> str:
    """Judge missing outcome data: questions 3.1 to 3.4."""
    complete = "yes" in (_plain_answer(answers, "3.1"), _plain_answer(answers, "3.2"))
    if complete or _plain_answer(answers, "3.3") == "no":
        return "low"
    return "some concerns" if _plain_answer(answers, "3.4") == "no" else "high"


def _measurement(answers: Answers) -> str:
    """Judge measurement of the outcome: questions 4.1 to 4.5."""
    differed = _plain_answer(answers, "4.2")
    if _plain_answer(answers, "4.1") == "yes" or differed == "yes":
        return "high"
    blind = _plain_answer(answers, "4.3") == "no" or _plain_answer(answers, "4.4") == "no"
    if blind:
        return "low" if differed == "no" else "some concerns"
    return "some concerns" if _plain_answer(answers, "4.5") == "no" else "high"


def _selected_result(answers: Answers) -> str:
    """Judge selection of the reported result: questions 5.1 to 5.3."""
    chosen = (_plain_answer(answers, "5.2"), _plain_answer(answers, "5.3"))
    if "yes" in chosen:
        return "high"
    planned = _plain_answer(answers, "5.1") == "yes"
    return "low" if planned and chosen == ("no", "no") else "some concerns"


DOMAINS: Mapping[str, Callable[[Answers], str]] = {
    "D1": _randomisation,
    "D2": _deviations,
    "D3": _missing_data,
    "D4": _measurement,
    "D5": _selected_result,
}
"""Domains of RoB 2 [1]_ and their algorithms."""


def overall(judgements: Iterable[str], words: tuple[str, ...] = ROB2) -> str:
    """Judge the trial overall: low if every domain is low, else the worst domain.

    RoB 2 lets the assessor turn several "some concerns" into "high"; that is an override, to be
    written down with its reason, not something an algorithm does.

    Examples
    --------
    >>> overall(["low", "some concerns", "low", "some concerns", "low"])
    'some concerns'
    """
    return worst(judgements, words)


def overall_robins_i(judgements: Iterable[str]) -> str:
    """Judge overall by ROBINS-I [2]_: the worst domain, or no information.

    Serious or critical if a domain is; else no information if one has none.

    Examples
    --------
    >>> overall_robins_i(["low", "no information", "moderate"])
    'no information'
    >>> overall_robins_i(["low", "no information", "serious"])
    'serious'
    """
    words = list(judgements)
    known = worst([word for word in words if word != NO_INFORMATION] or ["low"], ROBINS_I)
    settled = known in ("serious", "critical") or NO_INFORMATION not in words
    return known if settled else NO_INFORMATION
