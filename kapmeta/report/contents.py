"""What stands on the page, gathered from the library: sections, tables, figures, words."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import kapmeta
from kapmeta import wording
from kapmeta.answering import conclusion, registered, substances_table
from kapmeta.claims import RULE, ClaimsAudit, audit_claims
from kapmeta.evidence import Evidence
from kapmeta.findings import Result, SummaryOfFindings, headline_effect, headline_of, randomised, summary_of_findings
from kapmeta.pooling import pool
from kapmeta.posterior_results import Posterior
from kapmeta.protocol import QUESTIONS, SUBSTANCES
from kapmeta.report.figures import inline_forest, inline_risk_of_bias
from kapmeta.report.tables import Table, sensitivity_table, trials_table
from kapmeta.results import Pooled

__all__ = ["Answer", "Contents", "Substance", "gather"]

LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "jinja2")


@dataclass(frozen=True)
class Answer:
    """One registered question on the page."""

    name: str
    title: str
    k: int
    headline: str
    people: str
    levels: str
    refused: tuple[str, ...]
    disagreements: tuple[str, ...]
    may: str
    may_not: str
    methods: str
    figure: str
    certainty: str
    reasons: str
    withheld: bool


@dataclass(frozen=True)
class Substance:
    """One substance with its questions and what is known of it."""

    name: str
    plan: str
    answers: tuple[Answer, ...]
    studies: int
    waiting: int


@dataclass(frozen=True)
class Contents:
    """Everything the template needs."""

    substances: tuple[Substance, ...]
    roles: tuple[tuple[str, str, str], ...]
    risk_of_bias: str
    tables: Mapping[str, Table]
    findings: SummaryOfFindings
    audit: ClaimsAudit
    rule: str
    methods: tuple[str, ...]
    glossary: Mapping[str, str]
    versions: Mapping[str, str]
    data_hash: str
    flags: int


def gather(evidence: Evidence) -> Contents:
    """The contents of the page."""
    findings, audit = summary_of_findings(evidence), audit_claims(evidence)
    return Contents(
        substances=_substances(evidence, findings),
        roles=_roles(evidence),
        risk_of_bias=_risk_of_bias(evidence),
        tables={table.name: table for table in _tables(evidence, findings, audit)},
        findings=findings,
        audit=audit,
        rule=RULE,
        methods=_methods(findings),
        glossary=GLOSSARY,
        versions={"kapmeta": kapmeta.__version__, **{name: metadata.version(name) for name in LIBRARIES}},
        data_hash=evidence.data_hash,
        flags=len(evidence.flags),
    )


def _substances(evidence: Evidence, findings: SummaryOfFindings) -> tuple[Substance, ...]:
    known = substances_table(evidence).set_index("substance")
    judged = findings.table.drop_duplicates("question").set_index("question")
    return tuple(
        Substance(
            name,
            plan,
            tuple(
                _answer(evidence, question, {str(name): value for name, value in judged.loc[question].items()})
                for question, asked in QUESTIONS.items()
                if asked.substance == name
            ),
            int(str(known.loc[name, "studies seen"])),
            int(str(known.loc[name, "without a result yet"])),
        )
        for name, plan in SUBSTANCES.items()
    )


def _roles(evidence: Evidence) -> tuple[tuple[str, str, str], ...]:
    """Each comparison with its role and the reason for it."""
    trials = trials_table(evidence)
    names = trials["label"] + ", " + trials["months"].map("{:g}".format) + " months"
    words = trials["role"].str.replace("_", " ")
    return tuple(zip(names, words, trials["role_reason"], strict=True))


def _risk_of_bias(evidence: Evidence) -> str:
    """The traffic light of the studies that were judged domain by domain."""
    table = evidence.risk_of_bias
    judged = table[table["study_id"].isin(table.loc[table["domain"] != "overall", "study_id"])]
    return inline_risk_of_bias(judged, dict(zip(evidence.studies["study_id"], evidence.studies["label"], strict=True)))


def _answer(evidence: Evidence, question: str, judged: Mapping[str, Any]) -> Answer:
    pooled = registered(evidence, question)
    told, found = conclusion(pooled), headline_of(pooled)
    effect = headline_effect(pooled, found=found)
    levels = pooled.effects.table["evidence_level"][pooled.effects.present]
    withheld = bool(levels.str.startswith("tertiary").any())
    return Answer(
        name=question,
        title=QUESTIONS[question].title,
        k=pooled.k,
        headline=_headline(pooled, effect, withheld),
        people="" if withheld or not randomised(pooled) else _people(judged, pooled),
        levels=", ".join(dict.fromkeys(level.replace("_", " ") for level in levels)),
        refused=tuple(found.refused),
        disagreements=tuple(found.disagreements),
        may="Nothing, before the primary report has been read." if withheld else told.may,
        may_not=told.may_not,
        methods=found.methods_text(),
        figure=inline_forest(_for_figure(pooled, effect), f"forest-{question}"),
        certainty=f"{judged['symbols']} {judged['certainty']} ({judged['status']})",
        reasons=str(judged["reasons"]),
        withheld=withheld,
    )


def _headline(pooled: Pooled, effect: Result, withheld: bool) -> str:
    """The effect that may be headlined, with how it came about, in a few words."""
    if withheld:
        return "No headline: the counts are known only from a tertiary source"
    shown = [float(effect.scale.shown(x)) for x in (effect.estimate, effect.low, effect.high)]
    kind = "credible" if isinstance(effect, Posterior) else "confidence"
    how = {1: "One trial", 2: "Two trials, Bayesian"}.get(pooled.k, f"{pooled.k} trials pooled")
    if not randomised(pooled):
        how = f"Nothing can be headlined as an effect of ketamine: not randomised. {how}"
    level = wording.percent(effect.method.level)
    numbers = f"{effect.scale.name} {wording.number(shown[0])} ({level} {kind} interval"
    return f"{how}: {numbers} {wording.number(shown[1])} to {wording.number(shown[2])})"


def _people(judged: Mapping[str, Any], pooled: Pooled) -> str:
    """The effect in numbers of people, where it has them."""
    if math.isnan(judged["control"]):
        return ""
    effects = pooled.effects
    with_ketamine = [f"{1000 * judged[name]:.0f}" for name in ("treatment", "treatment_low", "treatment_high")]
    return (
        f"Of 1,000 people, {1000 * judged['control']:.0f} reach {effects.event} with {effects.control} and "
        f"{with_ketamine[0]} ({with_ketamine[1]} to {with_ketamine[2]}) with {effects.treatment}."
    )


def _for_figure(pooled: Pooled, effect: Result) -> Pooled:
    """The trials with what the plan shows of them: score intervals for one counted trial; two are never one diamond."""
    if pooled.k == 1 and isinstance(effect, Pooled):
        return effect
    if pooled.k == 2:
        common = pool(pooled.effects, model="common", mixed=True)
        return replace(common, notes=("common effect: if there were no heterogeneity", *common.notes))
    return pooled


def _tables(evidence: Evidence, findings: SummaryOfFindings, audit: ClaimsAudit) -> list[Table]:
    """Tables of the page by name; the first five are saved by a notebook under the same name."""
    arms = {"treatment": "Ketamine arm", "events_t": "abstinent", "n_t": "of"}
    others = {"control": "Control arm", "events_c": "abstinent", "n_c": "of"}
    numbers = {"estimate": "Estimate", "low": "Low", "high": "High"}
    verdicts = {word: word.replace("_", " ") for word in ("agrees", "could_not_verify", "imprecise", "not_supported")}
    return [
        Table(
            "report-trials",
            trials_table(evidence),
            "Comparisons with counts of people who were abstinent",
            {"label": "Trial", "substance": "Substance", "months": "Months", **arms, **others}
            | {
                "randomised": "Randomised",
                "evidence_level": "Evidence",
                "risk_of_bias": "Risk of bias",
                "role": "Role",
            },
        ),
        Table(
            "summary-of-findings",
            findings.table,
            "Summary of findings: risks as proportions, exactly as in the results file",
            {"title": "Question", "trials": "Trials", "k": "k", "measure": "Measure", **numbers, "interval": "Interval"}
            | {"baseline": "Baseline", "control": "Control risk", "treatment": "Ketamine-arm risk"}
            | {"treatment_low": "Low", "treatment_high": "High", "nnt": "Number needed", "certainty": "Certainty"},
        ),
        Table(
            "report-sensitivity",
            sensitivity_table(evidence),
            "Every question under every analysis of the plan",
            {"title": "Question", "role": "Role", "analysis": "Analysis", "measure": "Measure", "k": "k", **numbers}
            | {"conclusion": "Says"},
        ),
        Table(
            "claims-audit",
            audit.table,
            "Claims of five documents, held against the evidence",
            {"claim_id": "No.", "claim": "Claim, in our words", "verdict": "Verdict", "stated": "Stated"}
            | {"recomputed": "Recomputed", "finding": "What the sources say", "decided_by": "Decided by"}
            | {"document": "Document", "source_ids": "Sources"},
            links=_linked_sources,
            filters="verdict",
        ),
        Table(
            "claims-scorecard",
            audit.scorecard(),
            "Verdicts by document",
            {"document": "Document", "claims": "Claims", "recomputed": "Recomputed", **verdicts}
            | {"contradicted": "contradicted"},
        ),
        *_data_tables(evidence),
    ]


def _data_tables(evidence: Evidence) -> list[Table]:
    """The evidence tables as they are in ``data/``."""
    return [
        Table(
            "data-studies",
            evidence.studies,
            "Studies, pooled or not",
            {"label": "Study", "year": "Year", "substance": "Substance", "status": "Status", "randomised": "Randomised"}
            | {"comparator": "Comparator", "abstinence_counts": "Abstinence counts", "citation": "Reference"}
            | {"source_ids": "Sources"},
            links=_linked_sources,
        ),
        Table(
            "data-outcomes",
            evidence.outcomes,
            "Outcomes by arm",
            {"outcome_id": "Row", "study_id": "Study", "arm_id": "Arm", "outcome": "Outcome", "months": "Months"}
            | {"events": "Events", "n": "of", "evidence_level": "Evidence level", "locator": "Where"}
            | {"source_ids": "Sources"},
            links=_linked_sources,
        ),
        Table(
            "data-effects",
            evidence.effects,
            "Effects as their sources report them",
            {
                "effect_id": "Row",
                "study_id": "Study",
                "outcome": "Outcome",
                "measure": "Measure",
                "estimate": "Estimate",
            }
            | {"low": "Low", "high": "High", "role": "Role", "locator": "Where", "source_ids": "Sources"},
            links=_linked_sources,
        ),
        Table(
            "data-risk-of-bias",
            evidence.risk_of_bias,
            "Risk of bias, provisional, from partial texts",
            {"study_id": "Study", "domain": "Domain", "timepoint": "Time", "tool": "Tool", "judgement": "Judgement"}
            | {"reason": "Reason"},
        ),
        Table(
            "data-grade",
            evidence.grade,
            "Certainty, domain by domain, as entered",
            {"question": "Question", "domain": "Domain", "judgement": "Judgement", "levels_down": "Levels down"}
            | {"reason": "Reason", "status": "Status"},
        ),
        Table(
            "data-pending",
            evidence.pending,
            "Figures that are known to exist and have not been read",
            {"pending_id": "Row", "study_id": "Study", "figure": "Figure", "months": "Months"}
            | {"where_to_find": "Where", "existence": "How we know"},
        ),
        Table(
            "data-sources",
            evidence.sources,
            "Sources that were read, with what of them was seen",
            {"source_id": "Source", "citation": "Document", "kind": "Kind", "what_was_seen": "What was seen"}
            | {"url": "Address"},
            links=_source_cells,
        ),
    ]


def _linked_sources(column: str, text: str) -> str:
    """Ids of sources as links to their rows; other cells escaped, with words for identifiers."""
    if column == "source_ids":
        return " ".join(f'<a href="#{name}">{name}</a>' for name in text.split(";") if name)
    plain = text.replace("_", " ") if re.fullmatch(r"[a-z]+(_[a-z]+)+", text) else text
    escaped = html.escape(plain)
    return f'<span class="verdict {text}">{escaped}</span>' if column == "verdict" else escaped


def _source_cells(column: str, text: str) -> str:
    escaped = html.escape(text)
    if column == "source_id":
        return f'<span id="{escaped}">{escaped}</span>'
    if column == "url" and text:
        return f'<a href="{escaped}" rel="noreferrer">{escaped}</a>'
    return html.escape(text.replace("_", " ")) if column == "kind" else escaped


def _methods(findings: SummaryOfFindings) -> tuple[str, ...]:
    return (
        "Comparisons are pooled only with comparisons of the same kind: ketamine against control, numbers of sessions "
        "and doses apart; randomised and other evidence apart; each trial once. What is shown depends on the number of "
        "trials: one is shown as it is, two with a Bayesian interval, three or more pooled by REML with the hybrid "
        "Hartung-Knapp interval.",
        findings.methods_text(),
        RULE,
    )


GLOSSARY: Mapping[str, str] = {
    "Abstinence": "Not having used the substance over the time that was asked about. It is the event that is counted; "
    "more is better.",
    "Risk ratio (RR)": "The share with the event in one arm divided by the share in the other. 1 is no difference.",
    "Odds ratio (OR)": "The same with odds: those with the event over those without. 1 is no difference.",
    "Mean difference (MD)": "One average less the other. 0 is no difference.",
    "Interval": "Values that fit the data about as well as the estimate; a 95 % interval misses the truth in one of "
    "twenty studies, if its assumptions hold.",
    "Credible interval": "The range that holds the effect with 95 % probability, given the data and what was assumed "
    "before them.",
    "k": "The number of trials behind a number.",
    "Evidence level": "How near to the trial a number was read: in its report or abstract (primary), in someone else's "
    "table or summary (secondary), or in a summary of summaries (tertiary).",
    "Certainty (GRADE)": "How sure one may be that the true effect is near the number shown, from very low to high. "
    "People judge it; here it is provisional.",
    "Risk of bias": "How far the way a trial was done may have pushed its result to one side.",
    "NNTB, NNTH": "People to be treated for one more to benefit, or to be harmed.",
    "Heterogeneity": "Differences between trials beyond chance. One trial has none to see, two hardly any.",
}
"""Words of the page, explained."""
