"""Judgements of risk of bias in the evidence, checked against their domains."""

from __future__ import annotations

import pandas as pd

from kapmeta import checking
from kapmeta.core.certainty.risk_of_bias import (
    NO_INFORMATION,
    ROB2,
    ROBINS_I,
    overall,
    overall_robins_i,
)
from kapmeta.review.evidence import Evidence, evidence_given
from kapmeta.review.evidence.judgement_rules import NOT_JUDGED

__all__ = ["check_bias_judgements"]


@checking.checked
def check_bias_judgements(evidence: Evidence) -> pd.DataFrame:
    """Derive the overall judgement of each result from its domains, beside the one entered.

    Domains that depend on the time count with their worst time where the overall judgement is of
    all times. A domain that was not judged leaves the others to decide, but never "low".

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per study and event with domains: `tool`, `derived`, `entered`, `agree`; an entered
        judgement that is worse than the derived one agrees, since an assessor may raise it.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.risk_of_bias import check_bias_judgements
    >>> bool(check_bias_judgements(km.load_evidence())["agree"].all())
    True
    """
    table = evidence_given(evidence).risk_of_bias
    rows = []
    for (study, event, tool), part in table.groupby(["study_id", "event", "tool"], sort=False):
        domains = part[part["domain"] != "overall"]["judgement"]
        whole = part[part["domain"] == "overall"]["judgement"]
        if domains.empty:
            continue
        derived, entered, agree = (_robins_i if tool == "ROBINS-I" else _rob2)(domains, whole)
        found = {"tool": tool, "derived": derived, "entered": entered, "agree": agree}
        rows.append({"study": study, "event": event, **found})
    return pd.DataFrame(rows)


def _rob2(domains: pd.Series, whole: pd.Series) -> tuple[str, str, bool]:
    derived, entered = _of_judged(domains), _of_judged(whole)
    if NOT_JUDGED in (derived, entered):
        return derived, entered, entered == NOT_JUDGED or derived == NOT_JUDGED != entered != "low"
    return derived, entered, ROB2.index(entered) >= ROB2.index(derived)


def _of_judged(words: pd.Series) -> str:
    """Return the overall judgement of the domains judged, unless one is open and it were low."""
    judged = words[words != NOT_JUDGED]
    found = overall(judged) if len(judged) else NOT_JUDGED
    return NOT_JUDGED if found == "low" and len(judged) < len(words) else found


def _robins_i(domains: pd.Series, whole: pd.Series) -> tuple[str, str, bool]:
    derived, entered = (
        overall_robins_i(words.replace(NOT_JUDGED, NO_INFORMATION)) for words in (domains, whole)
    )
    if NO_INFORMATION in (derived, entered):
        return derived, entered, derived == entered
    return derived, entered, ROBINS_I.index(entered) >= ROBINS_I.index(derived)
