"""Rules across columns and tables of the evidence: the table of all of them, and their use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kapmeta.review.evidence import comparison_rules, count_rules, judgement_rules
from kapmeta.review.evidence.description import Finding, Schema
from kapmeta.review.evidence.remarks import Remark
from kapmeta.review.evidence.tables import Records

_QUESTION = ("studies", "outcomes", "comparisons", "effects")
RULES: Mapping[str, tuple[tuple[str, ...], Callable[[Records], Iterator[Remark]]]] = {
    "events within n": (("outcomes", "harms"), count_rules.events_within_n),
    "events or mean": (("outcomes",), count_rules.events_or_mean),
    "percent fits count": (("outcomes",), count_rules.percent_fits_count),
    "flow adds up": (("studies", "arms", "outcomes"), count_rules.flow_adds_up),
    "people within study": (("studies", "arms", "outcomes"), count_rules.people_within_study),
    "nested events": (("outcomes",), count_rules.nested_events),
    "numbers have a source": (("studies",), count_rules.numbers_have_a_source),
    "interval holds estimate": (("effects",), count_rules.interval_holds_estimate),
    "pairs are whole": (("effects",), count_rules.pairs_are_whole),
    "arms of the study": (("arms", "effects"), comparison_rules.arms_of_the_study),
    "roles fit contrast": (("arms", "comparisons", "effects"), comparison_rules.roles_fit_contrast),
    "definition of the event": (("outcomes", "effects"), comparison_rules.definition_of_the_event),
    "definition is accepted": (_QUESTION, comparison_rules.definition_is_accepted),
    "comparison has counts": (
        ("arms", "outcomes", "comparisons"),
        comparison_rules.comparison_has_counts,
    ),
    "arms can be compared": (("outcomes", "comparisons"), comparison_rules.arms_can_be_compared),
    "window fits months": (("outcomes", "comparisons"), comparison_rules.window_fits_months),
    "randomised as in study": (
        ("studies", "comparisons", "effects"),
        comparison_rules.randomised_as_in_study,
    ),
    "counted once": (("studies", "comparisons"), comparison_rules.counted_once),
    "overlap is of one series": (
        ("studies", "comparisons"),
        comparison_rules.overlap_is_of_one_series,
    ),
    "control group is new": (
        ("studies", "outcomes", "comparisons"),
        comparison_rules.control_group_is_new,
    ),
    "levels follow judgement": (("grade",), judgement_rules.levels_follow_judgement),
    "judgement of the tool": (("risk_of_bias",), judgement_rules.judgement_of_the_tool),
    "verified has a source": (("outcomes",), judgement_rules.verified_has_a_source),
    "missing agrees": ((*_QUESTION, "known_missing"), judgement_rules.missing_agrees),
    "nothing forgotten": (
        (*_QUESTION, "known_missing", "risk_of_bias", "screened"),
        judgement_rules.nothing_forgotten,
    ),
    "grade is of this evidence": ((*_QUESTION, "grade"), judgement_rules.grade_is_of_this_evidence),
}
"""Every rule across columns, by name, with its tables; a new rule is one function and one row."""


def broken(described: Mapping[str, Schema], tables: Records) -> tuple[list[Finding], list[Finding]]:
    """List what breaks the rules, and what is only worth a flag.

    A rule is skipped where one of its tables could not be read.
    """
    violations: list[Finding] = []
    flags: list[Finding] = []
    for rule, (needed, remarks) in RULES.items():
        if not all(name in tables for name in needed):
            continue
        for table, row, column, message, may_stand in remarks(tables):
            finding = Finding(described[table].file, row.line, row.study, column, rule, message)
            (flags if may_stand else violations).append(finding)
    return violations, flags
