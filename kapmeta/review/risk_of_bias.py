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

__all__ = ["check_bias_judgements"]

_AS_IN_ROB2 = {"unclear": "some concerns"}


@checking.checked
def check_bias_judgements(evidence: Evidence) -> pd.DataFrame:
    """Derive the overall judgement of each study from its domains, beside the one entered.

    Domains that depend on the time count with their worst time. "Unclear" of RoB 2 is taken as some
    concerns.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per study with domains: `tool`, `derived`, `entered`, `agree`; an entered judgement
        that is worse than the derived one agrees, since an assessor may raise it.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.risk_of_bias import check_bias_judgements
    >>> bool(check_bias_judgements(km.load_evidence())["agree"].all())
    True
    """
    table = evidence_given(evidence).risk_of_bias
    rows = []
    for (study, tool), part in table.groupby(["study_id", "tool"], sort=False):
        domains, whole = (
            part[part["domain"] != "overall"]["judgement"],
            part[part["domain"] == "overall"]["judgement"],
        )
        if domains.empty:
            continue
        derived, entered, agree = (_robins_i if tool == "ROBINS-I" else _rob2)(domains, whole)
        rows.append(
            {"study": study, "tool": tool, "derived": derived, "entered": entered, "agree": agree}
        )
    return pd.DataFrame(rows)


def _rob2(domains: pd.Series, whole: pd.Series) -> tuple[str, str, bool]:
    derived, entered = overall(domains.replace(_AS_IN_ROB2)), overall(whole.replace(_AS_IN_ROB2))
    return derived, entered, ROB2.index(entered) >= ROB2.index(derived)


def _robins_i(domains: pd.Series, whole: pd.Series) -> tuple[str, str, bool]:
    derived, entered = overall_robins_i(domains), overall_robins_i(whole)
    if NO_INFORMATION in (derived, entered):
        return derived, entered, derived == entered
    return derived, entered, ROBINS_I.index(entered) >= ROBINS_I.index(derived)
