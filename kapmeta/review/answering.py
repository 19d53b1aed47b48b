"""The registered analyses: the plan of `kapmeta.protocol` applied to the evidence, and what may be concluded."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.checking import chosen
from kapmeta.effects import complement, odds_ratio, reported, risk_difference, risk_ratio
from kapmeta.evidence import Evidence, evidence_given
from kapmeta.pooling import pool
from kapmeta.protocol import QUESTIONS, SUBSTANCES, Question, headline_rule
from kapmeta.results import Effects, Pooled, pooled_given

__all__ = [
    "Conclusion",
    "conclusion",
    "every_measure",
    "evidence_table",
    "registered",
    "registered_effects",
    "substances_table",
]

_MEASURES = {"RR": risk_ratio, "OR": odds_ratio}
_SECOND_HAND = ("secondary_table", "secondary_summary", "press_conflict", "tertiary_only", "tertiary_only_conflict")


def registered_effects(evidence: Evidence, question: str) -> Effects:
    """The effects that answer a registered question.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.
    question : str
        A word of `kapmeta.protocol.QUESTIONS`.

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
    >>> km.registered_effects(km.load_evidence(), "alcohol-odds")
    Effects(OR, k=2)
    """
    evidence_given(evidence)
    asked = QUESTIONS[chosen(question, QUESTIONS, "question")]
    parts = []
    if asked.measure in _MEASURES:
        trials = _selected(evidence.trials(substance=asked.substance), asked)
        if len(trials):
            # a trial that stands alone is shown with its score interval, which needs no correction for a zero cell
            interval = "koopman" if asked.measure == "RR" and len(trials) == 1 else "wald"
            parts.append(_MEASURES[asked.measure](trials, interval=interval))
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
    keep = (rows["contrast"] == asked.contrast) & (rows["randomised"] == asked.randomised)
    keep &= rows["role"].isin(asked.roles)
    if asked.window is not None:
        keep &= rows["window"] == asked.window
    return rows[keep]


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
    >>> km.registered(km.load_evidence(), "opioids-sessions")
    Pooled(RR 2.25 (95 % CI 1.05 to 5.08), k=1, one trial, not pooled)
    """
    return pool(registered_effects(evidence, question))


def every_measure(trials: pd.DataFrame, *, opposite: str = "relapse") -> pd.DataFrame:
    """Each trial on every scale: risk ratio, odds ratio, risk difference, and the risk ratio of the opposite event.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`.
    opposite : str
        What the opposite of the event is called.

    Returns
    -------
    DataFrame
        One row a trial and measure, with Wald limits; score limits too for risk ratios of the event.

    Examples
    --------
    >>> import kapmeta as km
    >>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
    >>> km.every_measure(trials)[["measure", "estimate", "low", "high"]].round(2)
                             measure  estimate   low   high
    0       risk ratio of abstinence      4.49  1.44  14.03
    1       odds ratio of abstinence      7.74  1.88  31.87
    2  risk difference of abstinence      0.37  0.15   0.59
    3          risk ratio of relapse      0.58  0.39   0.85
    """
    several = [
        risk_ratio(trials),
        odds_ratio(trials),
        risk_difference(trials),
        risk_ratio(complement(trials, opposite)),
    ]
    parts = []
    for effects in several:
        frame = effects.to_frame()
        part = frame[["estimate", "low", "high", "corrected"]].copy()
        part.insert(0, "study", list(effects.labels))
        part.insert(1, "measure", f"{effects.scale.name} of {effects.event}")
        parts.append(part)
    return pd.concat(parts, ignore_index=True).sort_values("study", kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Conclusion:
    """What may and what may not be concluded from a result, each a plain sentence made from its numbers."""

    may: str
    may_not: str

    def __str__(self) -> str:
        return f"{self.may}\n{self.may_not}"

    def _repr_html_(self) -> str:
        pairs = (("What may be concluded.", self.may), ("What may not.", self.may_not))
        return "".join(f"<p><strong>{head}</strong> {html.escape(text)}</p>" for head, text in pairs)


def conclusion(pooled: Pooled) -> Conclusion:
    """Two plain sentences: what a result lets one say, and what it does not.

    Made from the result alone: number of trials, design, counts, interval, evidence level and contrast. The wording
    changes when the numbers do.

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
    >>> print(km.conclusion(km.registered(km.load_evidence(), "cocaine-end-of-trial")).may)
    In the one randomised trial (Dakwar 2019), 13 of 27 (48 %) with ketamine and 3 of 28 (11 %) with midazolam had
    the outcome (abstinence): risk ratio 4.49 (score interval 1.60 to 13.69), which excludes "no difference".
    """
    effects = pooled_given(pooled).effects
    return Conclusion(_may(pooled, effects), _may_not(pooled, effects))


def _may(pooled: Pooled, effects: Effects) -> str:
    scale = effects.scale
    present = np.flatnonzero(effects.present)
    if _tertiary(effects):
        seen = wording.joined(wording.unconfirmed_labels(effects))
        return f"Nothing, until the primary report has been read: the numbers of {seen} are not confirmed."
    if pooled.k > 2:
        shown = [float(scale.shown(x)) for x in (pooled.low, pooled.high)]
        return f"{wording.pooled_sentence(pooled)[:-1]}; the interval {_verdict(scale.null, *shown)}."
    design = _design(effects)
    told = [_trial_text(effects, int(i), pooled.method.level) for i in present]
    if pooled.k == 1:
        return f"In the one {design} ({effects.labels[present[0]]}), {told[0]}."
    common = pool(effects, model="common", mixed=True)
    each = "; ".join(f"{effects.labels[i]}, {text}" for i, text in zip(present, told, strict=True))
    return (
        f"Two {design}s: {each}. If there were no heterogeneity between them, the common {scale.name} would be "
        f"{wording.estimate_text(common)}."
    )


def _design(effects: Effects) -> str:
    randomised = effects.table.get("randomised")
    if randomised is None:
        return "trial"
    there = effects.present
    return "randomised trial" if bool(randomised[there].all()) else "controlled study, not randomised"


def _verdict(null: float | None, low: float, high: float) -> str:
    # in quotation marks: "excludes no difference" alone can be read as excluding nothing
    return 'includes "no difference"' if null is None or low <= null <= high else 'excludes "no difference"'


def _trial_text(effects: Effects, i: int, level: float) -> str:
    """One trial in words: its counts with a score interval, or its reported effect with its own interval."""
    row, scale = effects.table.iloc[i], effects.scale
    counted = not pd.isna(row.get("events_t", np.nan))
    scored = counted and scale.key == "RR"
    frame = (replace(effects, interval="koopman") if scored else effects).to_frame(level=level).iloc[i]
    estimate, low, high = (float(frame[name]) for name in ("estimate", "low", "high"))
    verdict = f"which {_verdict(scale.null, low, high)}"
    if not counted:
        unit = f" {row['unit']}" if isinstance(row.get("unit"), str) and row["unit"] else ""
        what = f"{scale.name} of {effects.event}" if unit else scale.name
        return f"{what} {wording.interval_text(estimate, low, high)}{unit} as reported, {verdict}"
    told = f"{_counts_text(effects, row)}: {scale.name} "
    if not scored:
        return f"{told}{wording.interval_text(estimate, low, high)}, {verdict}"
    ratio = wording.number(estimate) if np.isfinite(estimate) else "without an upper bound"
    return f"{told}{ratio} (score interval {wording.number(low)} to {wording.number(high)}), {verdict}"


def _counts_text(effects: Effects, row: pd.Series) -> str:
    """How many had the outcome in each arm."""
    a, n1, c, n2 = (float(row[name]) for name in ("events_t", "n_t", "events_c", "n_c"))
    treatment, control = row.get("treatment", effects.treatment), row.get("control", effects.control)
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
    if "randomised" in table and not table["randomised"][there].all():
        reasons.append("the arms were not randomised, so a difference cannot be put down to ketamine")
    if "evidence_level" in table:
        levels = table["evidence_level"][there]
        second = [
            label for label, level in zip(np.array(effects.labels)[there], levels, strict=True) if level in _SECOND_HAND
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
        of = "" if len(counted) == pooled.k else f"known of {len(counted)} of {pooled.k} trials only and "
        reasons.append(f"the counts are {of}of {float(counted.sum().sum()):.0f} people in all")
    else:
        reasons.append("how many people were counted is not known")
    return f"It does not settle the question: {'; '.join(reasons)}."


def evidence_table(evidence: Evidence) -> pd.DataFrame:
    """What the evidence says now, one row a registered question: the table of the README.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        Substance, question, trials, k, counts of the arms, effect with its interval, evidence levels, what may be
        headlined. Counts known only from a tertiary source give no effect.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.evidence_table(km.load_evidence())[["Substance", "k"]].drop_duplicates("Substance").to_string(index=False)
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
    table, there = pooled.effects.table, pooled.effects.present
    if _tertiary(pooled.effects):
        return "nothing, until the primary report has been read"
    if not table["randomised"][there].all():
        return "nothing as an effect of ketamine: not randomised"
    return "the trial's own result, as one trial" if pooled.k == 1 else headline_rule(pooled.k).headline


def _shown_effect(pooled: Pooled) -> str:
    """The pooled effect from three trials on, else each trial's own."""
    effects = pooled.effects
    if _tertiary(effects):
        return "none given: the counts are not confirmed"
    if pooled.k > 2:
        return wording.estimate_text(pooled)
    frame = effects.to_frame(level=pooled.method.level)
    units = [unit if isinstance(unit, str) else "" for unit in effects.table.reindex(columns=["unit"])["unit"]]
    texts = [
        wording.effect_text(effects.scale.short, row.estimate, row.low, row.high, unit)
        for row, unit in zip(frame.itertuples(), units, strict=False)
        if row.row == "study"
    ]
    return "; ".join(texts)


def _shown_counts(effects: Effects) -> str:
    """``14/17 v 15/23`` for each trial; a word for one whose counts are not known."""
    cells = effects.table[effects.present].reindex(columns=["events_t", "n_t", "events_c", "n_c"])
    texts = [
        "counts not known" if np.isnan([a, n1, c, n2]).any() else f"{a:.0f}/{n1:.0f} v {c:.0f}/{n2:.0f}"
        for a, n1, c, n2 in cells.astype("float64").itertuples(index=False)
    ]
    if effects.scale.key == "MD":
        return "an average, not a count"
    return "; ".join(texts) + ", not confirmed" * _tertiary(effects)


def _tertiary(effects: Effects) -> bool:
    """Whether a number comes from a summary of summaries only."""
    return bool(wording.unconfirmed_labels(effects))


def substances_table(evidence: Evidence) -> pd.DataFrame:
    """Every substance of the plan: what is known, what is under way, what can be said.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row a substance: the plan's word, comparisons with abstinence counts, studies seen, and studies without a
        result yet.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.substances_table(km.load_evidence()).set_index("substance").loc["cannabis", "comparisons"].item()
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
