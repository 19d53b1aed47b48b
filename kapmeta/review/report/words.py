"""Words of the page for readers who are no statisticians: questions, labels, glossary."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ASKED", "CERTAINTY_MEANINGS", "GLOSSARY", "NOT_AVERAGED", "ROLES"]

ASKED: Mapping[str, str] = {
    "alcohol-randomised": "Are more people abstinent with ketamine than with another treatment?",
    "alcohol-not-randomised": "What did the comparison without random assignment show?",
    "alcohol-odds": (
        "Are more people abstinent six months after ketamine, if those who did not relapse count"
        " as abstinent?"
    ),
    "alcohol-days": "Are there more days without alcohol with ketamine?",
    "opioids-sessions": (
        "Are more people abstinent after three sessions of ketamine than after one?"
    ),
    "opioids-dose": "Are more people abstinent after a high dose of ketamine than after a low one?",
    "cocaine-end-of-trial": "Are more people abstinent with ketamine at the end of the trial?",
    "cocaine-6-months": "Are more people abstinent with ketamine after six months?",
}
"""Each declared question as a reader would ask it."""

ROLES: Mapping[str, str] = {
    "main": "main",
    "provisional": "main, provisional",
    "sensitivity": "shown apart",
    "separate": "own question",
    "alternative_time": "later time",
    "not_pooled": "not used",
}
"""What is done with a comparison."""

CERTAINTY_MEANINGS: Mapping[str, str] = {
    "very low": "the true effect is likely to be quite different from the number shown",
    "low": "the true effect may be quite different from the number shown",
    "moderate": "the true effect is probably close to the number shown, but may be quite different",
    "high": "the true effect is very probably close to the number shown",
}
"""What a level of certainty means."""

NOT_AVERAGED: Mapping[int, str] = {
    1: "No average over trials is shown, because there is only one.",
    2: "No ordinary average is shown: from two trials nobody can tell how much trials differ.",
}
"""What is refused with few trials, in plain words."""

GLOSSARY: Mapping[str, str] = {
    "Adverse event (AE)": (
        "Anything harmful that happened during a trial, whether the treatment caused it or not."
    ),
    "Abstinence": (
        "Not having used the substance over the time that was asked about. It is the event that is"
        " counted; more is better."
    ),
    "Relapse": (
        "Using again after having stopped. How much use counts as relapse differs between trials."
    ),
    "AUD, SUD": "Alcohol use disorder; substance use disorder, of any substance.",
    "KPT": (
        "Ketamine psychedelic therapy: the name that the Russian trials gave to ketamine with"
        " psychotherapy."
    ),
    "IV, IM": "Into a vein, by drip; into a muscle, by injection.",
    "Randomised (RCT)": (
        "Chance decided who got what, so that the groups were alike except for the treatment. "
        "Without it a difference may come from who was in which group."
    ),
    "Blinding": (
        "Not letting people know which treatment was given. With ketamine it rarely works: people"
        " feel it."
    ),
    "Midazolam, saline": "What the other group got by infusion: a sedative, or salt water.",
    "Risk ratio (RR)": (
        "The share who were abstinent in one group divided by the share in the other. 1 is no "
        "difference, 2 is twice as many."
    ),
    "Odds ratio (OR)": (
        "The same with odds: those who were abstinent over those who were not. 1 is no difference. "
        "It lies further from 1 than the risk ratio."
    ),
    "Risk difference (RD)": "One share less the other. 0 is no difference.",
    "Mean difference (MD)": "One average less the other. 0 is no difference.",
    "Confidence interval (CI)": (
        "The range of effects that fit the data. A method of making 95 % intervals misses the truth"
        " in one of twenty uses, if its assumptions hold. An interval that includes no difference"
        " does not show that there is none."
    ),
    "Credible interval (CrI)": (
        "The range that holds the effect with 95 % probability, given the data and what was "
        "assumed before them (the prior)."
    ),
    "Score interval": (
        "A confidence interval for counts that holds in small trials and with nobody in a cell."
    ),
    "k": "The number of trials behind a number.",
    "Evidence level": (
        "How near to the trial a number was read: in its report or abstract (primary), in someone "
        "else's table or summary (secondary), or in a summary of summaries (tertiary)."
    ),
    "Certainty (GRADE)": (
        "How sure one may be that the true effect is near the number shown: very low, low, "
        "moderate or high. People judge it, with reasons; here it is provisional."
    ),
    "Risk of bias": "How far the way a trial was done may have pushed its result to one side.",
    "Number needed (NNTB, NNTH)": (
        "People to be treated for one more to benefit (NNTB) or to be harmed (NNTH). Through "
        "∞ means that both are possible."
    ),
    "Heterogeneity (τ², I²)": (
        "Differences between trials beyond chance: τ² (tau2) is their variance, I² (I2) their "
        "share in all that varies. One trial has none to see, two hardly any."
    ),
    "Information size": (
        "The number of people that one trial would need to find a difference that matters."
    ),
    "Diamond": "In a forest plot, the average over trials; its width is the interval.",
    "Prediction interval": (
        "The range in which the effect in a new setting would lie. Few trials cannot give it."
    ),
    "Bayesian, prior": (
        "A calculation that starts from stated beliefs (the prior) and lets the data change them."
        " Half-normal(0.5) is a belief about how much trials differ; a wide prior is a vague belief"
        " about the effect."
    ),
    "REML, Hartung-Knapp, Wald": (
        "Ways of averaging trials and of making the interval of the average."
    ),
}
"""Words of the page, explained."""
