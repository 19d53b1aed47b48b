"""The contents of the page, gathered from the library: sections, tables, figures, words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

from kapmeta import wording
from kapmeta._version import __version__
from kapmeta.certainty.findings import SummaryOfFindings
from kapmeta.pooling.headlines import randomised
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import unit_of
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior, Result
from kapmeta.review.answering import Answered, answers, substances_table
from kapmeta.review.claims import ClaimsAudit, audit_claims
from kapmeta.review.conclusions import conclusion
from kapmeta.review.evidence import Evidence
from kapmeta.review.evidence.missing import missing_trials_sentence
from kapmeta.review.findings import findings_of
from kapmeta.review.protocol import SUBSTANCES
from kapmeta.review.report.figures import inline_forest, inline_risk_of_bias
from kapmeta.review.report.listing import page_tables
from kapmeta.review.report.plain import (
    Known,
    known_of,
    not_in_the_numbers,
    people_randomised,
    plain_result,
    short_answer,
)
from kapmeta.review.report.tables import Table, trials_table
from kapmeta.review.report.words import ASKED, CERTAINTY_MEANINGS, GLOSSARY, NOT_AVERAGED, ROLES
from kapmeta.wording import EVIDENCE_LEVELS

__all__ = ["Answer", "PageContents", "Substance", "gather"]

LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "jinja2")


@dataclass(frozen=True)
class Answer:
    """One declared question on the page: the question, its plain answer, and the details."""

    name: str
    asked: str
    title: str
    known: Known
    plain: str
    headline: str
    people: str
    levels: str
    not_averaged: str
    refused: tuple[str, ...]
    disagreements: tuple[str, ...]
    may: str
    may_not: str
    missing: str
    methods: str
    figure: str
    symbols: str
    certainty: str
    status: str
    meaning: str
    reasons: str

    @property
    def k(self) -> int:
        """Number of trials."""
        return self.known.pooled.k

    @property
    def finite(self) -> bool:
        """Whether the estimate can be drawn as a square."""
        return math.isfinite(self.known.effect.estimate)

    @property
    def withheld(self) -> bool:
        """Whether no effect is shown because its counts are not confirmed."""
        return self.known.withheld


@dataclass(frozen=True)
class Substance:
    """One substance with its questions and what is known of it."""

    name: str
    plan: str
    answers: tuple[Answer, ...]
    studies: int
    waiting: int


@dataclass(frozen=True)
class PageContents:
    """Everything the template needs."""

    short: tuple[str, str]
    substances: tuple[Substance, ...]
    roles: tuple[tuple[str, str, str], ...]
    risk_of_bias: str
    tables: Mapping[str, Table]
    findings: SummaryOfFindings
    audit: ClaimsAudit
    methods: tuple[str, ...]
    glossary: Mapping[str, str]
    versions: Mapping[str, str]
    data_hash: str
    flags: int


def gather(evidence: Evidence) -> PageContents:
    """Gather the contents of the page; each question is answered once, here."""
    answered = answers(evidence)
    audit = audit_claims(evidence, answered=answered)
    findings = findings_of(answered, evidence.grade)
    substances = _page_substances(evidence, answered, findings)
    known = [one.known for substance in substances for one in substance.answers]
    return PageContents(
        short=short_answer(
            known, people_randomised(evidence), SUBSTANCES, not_in_the_numbers(evidence)
        ),
        substances=substances,
        roles=_roles(evidence),
        risk_of_bias=_risk_of_bias(evidence),
        tables={table.name: table for table in page_tables(evidence, answered, findings, audit)},
        findings=findings,
        audit=audit,
        methods=_methods_paragraphs(findings),
        glossary=GLOSSARY,
        versions={"kapmeta": __version__, **{name: metadata.version(name) for name in LIBRARIES}},
        data_hash=evidence.data_hash,
        flags=len(evidence.flags),
    )


def _page_substances(
    evidence: Evidence, answered: Mapping[str, Answered], findings: SummaryOfFindings
) -> tuple[Substance, ...]:
    """Gather each substance with its answered questions and the number of its studies."""
    known = substances_table(evidence).set_index("substance")
    judged = findings.table.drop_duplicates("question").set_index("question")
    return tuple(
        Substance(
            name,
            plan,
            tuple(
                _page_answer(
                    question,
                    one,
                    {str(key): x for key, x in judged.loc[question].items()},
                    missing_trials_sentence(evidence, question),
                )
                for question, one in answered.items()
                if one.asked.substance == name
            ),
            int(str(known.loc[name, "studies seen"])),
            int(str(known.loc[name, "without a result yet"])),
        )
        for name, plan in SUBSTANCES.items()
    )


def _roles(evidence: Evidence) -> tuple[tuple[str, str, str], ...]:
    """List each comparison with its role and the reason for it."""
    trials = trials_table(evidence)
    names = trials["label"] + ", " + trials["months"].map("{:g}".format) + " months"
    words = trials["role"].map(dict(ROLES))
    return tuple(zip(names, words, trials["role_reason"], strict=True))


def _risk_of_bias(evidence: Evidence) -> str:
    """Draw the traffic light of the trials that were judged domain by domain, by RoB 2."""
    table = evidence.risk_of_bias.query("tool == 'RoB 2'")
    judged = table[table["study_id"].isin(table.loc[table["domain"] != "overall", "study_id"])]
    return inline_risk_of_bias(
        judged, dict(zip(evidence.studies["study_id"], evidence.studies["label"], strict=True))
    )


def _page_answer(question: str, one: Answered, judged: Mapping[str, Any], missing: str) -> Answer:
    known = known_of(one, str(judged["certainty"]))
    pooled, effect, withheld, found = one.pooled, one.effect, one.withheld, one.headline
    concluded = conclusion(pooled)
    levels = pooled.effects.table["evidence_level"][pooled.effects.present]
    return Answer(
        name=question,
        asked=ASKED[question],
        title=one.asked.title,
        known=known,
        plain=plain_result(known, found.sampling_sides),
        headline=_headline_sentence(pooled, effect, withheld),
        people="" if withheld or not randomised(pooled) else _people_sentence(judged, pooled),
        levels=wording.joined(EVIDENCE_LEVELS[level].phrase for level in dict.fromkeys(levels)),
        not_averaged=(
            "No effect is shown: its counts are not confirmed."
            if withheld
            else NOT_AVERAGED.get(pooled.k, "")
        ),
        refused=tuple(found.refused),
        disagreements=() if withheld else tuple(found.disagreements),
        may=concluded.may,
        may_not=concluded.may_not,
        missing=missing,
        methods="No effect is shown." if withheld else found.methods_text(),
        figure="" if withheld else inline_forest(_for_figure(pooled, effect), f"forest-{question}"),
        meaning=CERTAINTY_MEANINGS[judged["certainty"]],
        **{name: str(judged[name]) for name in ("symbols", "certainty", "status", "reasons")},
    )


def _headline_sentence(pooled: Pooled, effect: Result, withheld: bool) -> str:
    """Write the effect that may be headlined, and how it was obtained, in a few words."""
    if withheld:
        return "No headline: the counts are known only from a tertiary source"
    estimate, low, high = effect.shown_interval
    kind = "credible" if isinstance(effect, Posterior) else "confidence"
    how = {1: "One trial", 2: "Two trials, Bayesian"}.get(pooled.k, f"{pooled.k} trials pooled")
    if not randomised(pooled):
        how = f"Nothing can be headlined as an effect of ketamine: not randomised. {how}"
    level = f"{wording.percent(effect.method.level)} {kind} interval"
    if not math.isfinite(estimate):
        return (
            f"{how}: {effect.scale.name} above {wording.number(low)}, the lower limit of its"
            f" {level}; no upper limit"
        )
    numbers = f"{effect.scale.name} {wording.number(estimate)} {unit_of(pooled.effects)}".rstrip()
    return f"{how}: {numbers} ({level} {wording.number(low)} to {wording.number(high)})"


def _people_sentence(judged: Mapping[str, Any], pooled: Pooled) -> str:
    """Write the effect in numbers of people, where it has them."""
    if not judged["control"] > 0:
        return ""
    effects = pooled.effects
    middle, low, high = (
        f"{1000 * judged[name]:.0f}" for name in ("treatment", "treatment_low", "treatment_high")
    )
    cut = ", cut there" if judged["capped"] else ""
    return (
        f"If this held for 1,000 other people, of whom {1000 * judged['control']:.0f} would be"
        f" abstinent with {effects.control}, then {middle} would be with {effects.treatment}"
        f" (interval {low} to {high}{cut})."
    )


def _for_figure(pooled: Pooled, effect: Result) -> Pooled:
    """Choose what the figure shows: a score interval for one trial, no diamond of two."""
    if pooled.k == 1 and isinstance(effect, Pooled):
        return effect
    if pooled.k == 2:
        common = pool(pooled.effects, model="common", mixed=True)
        return replace(
            common, notes=("common effect: if there were no heterogeneity", *common.notes)
        )
    return pooled


def _methods_paragraphs(findings: SummaryOfFindings) -> tuple[str, ...]:
    return (
        (
            "Comparisons are pooled only with comparisons of the same kind: ketamine against"
            " control, numbers of sessions and doses apart; randomised and other evidence apart;"
            " each trial once. What is shown depends on the number of trials: one is shown as it"
            " is, two with a Bayesian interval, three or more pooled by REML with the hybrid"
            " Hartung-Knapp interval."
        ),
        findings.methods_text(),
    )
