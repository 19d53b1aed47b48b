"""Reports that count the same people, and people whose outcome nobody knows."""

from __future__ import annotations

import pandas as pd

from kapmeta import wording
from kapmeta.effects.counts import risk_ratio
from kapmeta.review.evidence import Evidence, evidence_given

__all__ = ["known_outcomes", "overlapping_reports"]


def overlapping_reports(evidence: Evidence) -> pd.DataFrame:
    """Set reports that count the same people side by side; they are never pooled.

    Parameters
    ----------
    evidence : Evidence
        From `kapmeta.load_evidence`.

    Returns
    -------
    DataFrame
        One row per report, each followed by those that may take its place: `label`,
        `in_place_of`, `counts`, the risk ratio with its score interval, `evidence_level` and the
        reason for its role.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.evidence.overlaps import overlapping_reports
    >>> overlapping_reports(km.load_evidence())["counts"].tolist()
    ['73/111 v 24/100', '60/86 v 24/100']
    """
    comparisons = evidence_given(evidence).comparisons.set_index("comparison_id")
    others = comparisons[comparisons["overlaps_with"] != ""]
    rows = []
    for first in others["overlaps_with"].unique():
        names = [first, *others.index[others["overlaps_with"] == first]]
        rows += [_report_row(evidence, name, comparisons.loc[name]) for name in names]
    return pd.DataFrame(rows)


def _report_row(evidence: Evidence, name: str, comparison: pd.Series) -> dict[str, object]:
    """Tabulate one report, pooled with nothing."""
    (trial,) = wording.records(evidence.trials(comparison_id=name))
    effects = risk_ratio(evidence.trials(comparison_id=name), interval="koopman").to_frame()
    return {
        "label": trial["label"],
        "in_place_of": comparison["overlaps_with"],
        "counts": f"{trial['events_t']}/{trial['n_t']} v {trial['events_c']}/{trial['n_c']}",
        **{column: effects[column].iloc[0] for column in ("estimate", "low", "high")},
        "evidence_level": trial["evidence_level"],
        "reason": comparison["role_reason"],
    }


def known_outcomes(trials: pd.DataFrame) -> pd.DataFrame:
    """Take people whose outcome is not known out of the totals, and count them as missing.

    Reports often count them as without the event; `kapmeta.missing_outcomes` then asks what became
    of them.

    Parameters
    ----------
    trials : DataFrame
        From ``Evidence.trials``, with `unknown_t` and `unknown_c`.

    Returns
    -------
    DataFrame
        The trials with some unknown outcomes; `n_t`, `n_c`, `missing_t`, `missing_c` and `missing`
        are those of ``totals="observed"``.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.review.evidence.overlaps import known_outcomes
    >>> trials = km.load_evidence().trials(comparison_id="krupitsky1997")
    >>> known_outcomes(trials)[["n_t", "missing_t", "n_c", "missing_c"]].values.tolist()
    [[103, 8, 93, 7]]
    """
    some = trials[trials[["unknown_t", "unknown_c"]].notna().all(axis=1)].copy()
    for side in ("t", "c"):
        unknown = some[f"unknown_{side}"].astype(int)
        some[f"n_{side}"] = some[f"n_{side}"] - unknown
        some[f"missing_{side}"] = some[f"missing_{side}"].fillna(0).astype(int) + unknown
        some[f"unknown_{side}"] = 0
    some["missing"] = some["missing_t"] + some["missing_c"]
    return some
