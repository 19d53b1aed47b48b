"""Independent witnesses: metafor's values for the BCG trials, and statsmodels on any counts.

For notebook 06. statsmodels is asked here and nowhere else in the package: it is a witness, not a
base.
"""

from __future__ import annotations

import warnings
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from kapmeta.effects.counts import odds_ratio, risk_ratio
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel, peto
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled

__all__ = ["against_metafor", "against_statsmodels", "divergences", "known_defects"]

METAFOR = "metafor 5.1-12 (R 4.2.2), threshold 1e-13, root tolerance at machine precision"
"""Where the values of ``metafor_bcg.csv`` come from."""


def against_metafor(trials: pd.DataFrame) -> pd.DataFrame:
    """Compare every pooled quantity of the BCG trials with the value that metafor gives.

    Parameters
    ----------
    trials : DataFrame
        The example ``"bcg"``.

    Returns
    -------
    DataFrame
        Method, quantity, the two values and their relative difference.
    """
    with (
        resources.files("kapmeta.review.reproduce")
        .joinpath("metafor_bcg.csv")
        .open(encoding="utf-8") as file
    ):
        there = pd.read_csv(file)
    fits = {method: _metafor_fit(method, trials) for method in there["method"].unique()}
    here = [getattr(fits[row.method], str(row.quantity)) for row in there.itertuples()]
    return _with_agreement(there.rename(columns={"value": "metafor"}), here, "metafor")


def _metafor_fit(method: str, trials: pd.DataFrame) -> Pooled:
    if method.startswith("Mantel-Haenszel"):
        return mantel_haenszel(trials, measure=method.split()[-1])
    if method == "Peto":
        return peto(trials)
    effects = risk_ratio(trials)
    return (
        pool(effects, model="common")
        if method == "common"
        else pool(effects, tau2=method, ci="hksj")
    )


def _with_agreement(frame: pd.DataFrame, here: list[float], witness: str) -> pd.DataFrame:
    """Set our values beside those of the witness, with the digits of agreement."""
    frame = frame.assign(kapmeta=here)
    apart = np.abs(frame["kapmeta"] - frame[witness]) / np.abs(frame[witness])
    return frame.assign(agreement=[_agreement(float(x)) for x in apart])


def _agreement(relative: float) -> str:
    """Round a relative difference to digits of agreement, so that the last bit does not show."""
    if relative < 1e-9:
        return "to 9 digits or more"
    return (
        f"differs by {100 * relative:.2g} %"
        if relative > 1e-3
        else f"to {int(-np.log10(relative))} digits"
    )


def against_statsmodels(trials: pd.DataFrame) -> pd.DataFrame:
    """Compare quantities of a table of counts with those of statsmodels.

    Parameters
    ----------
    trials : DataFrame
        As in `kapmeta.risk_ratio`, without zero cells.

    Returns
    -------
    DataFrame
        Quantity, the two values and their agreement.
    """
    from statsmodels.stats.contingency_tables import StratifiedTable

    cells = [trials[name].to_numpy(dtype=float) for name in ("events_t", "n_t", "events_c", "n_c")]
    a, n1, c, n2 = cells
    table = StratifiedTable(
        [np.array([[w, x - w], [y, z - y]]) for w, x, y, z in zip(a, n1, c, n2, strict=True)]
    )
    odds, ratio = mantel_haenszel(trials, measure="OR"), mantel_haenszel(trials, measure="RR")
    effects = odds_ratio(trials)
    rows = [
        ("Mantel-Haenszel log odds ratio", table.logodds_pooled, odds.estimate),
        ("its standard error", table.logodds_pooled_se, odds.se),
        ("Mantel-Haenszel log risk ratio", np.log(table.riskratio_pooled), ratio.estimate),
        *_random_effects(effects),
    ]
    frame = pd.DataFrame(rows, columns=["quantity", "statsmodels", "here"])
    return _with_agreement(frame[["quantity", "statsmodels"]], list(frame["here"]), "statsmodels")


def _random_effects(effects: Effects) -> list[tuple[str, float, float]]:
    rows: list[tuple[str, float, float]] = []
    for word, name in (("dl", "DL"), ("iterated", "PM")):
        theirs = _combine_effects(effects.y, effects.v, word)
        ours = pool(effects, tau2=name, ci="hksj")
        rows += [
            (f"tau2, {name}", theirs.tau2, ours.tau2),
            (f"log odds ratio, {name}", theirs.mean_effect_re, ours.estimate),
            (f"Hartung-Knapp standard error, {name}", theirs.sd_eff_w_re_hksj, ours.se),
        ]
    return rows


def _combine_effects(y: Any, v: Any, method: str) -> Any:
    from statsmodels.stats.meta_analysis import combine_effects

    # tight, but above rounding: its Paule-Mandel iteration returns 0 once rounding passes the root
    options = {"atol": 1e-9} if method == "iterated" else {}
    return combine_effects(np.asarray(y), np.asarray(v), method_re=method, **options)


def known_defects() -> pd.DataFrame:
    """List questions that statsmodels answers wrongly, with its answer and ours.

    Returns
    -------
    DataFrame
        What was asked, both answers, and the reason.
    """
    from statsmodels.stats.meta_analysis import effectsize_2proportions

    one = pd.DataFrame(
        {"study": ["Aronson 1948"], "events_t": [4], "n_t": [123], "events_c": [11], "n_c": [139]}
    )
    biased = effectsize_2proportions(4, 123, 11, 139, statistic="risk-ratio", zero_correction=0.5)[
        0
    ]
    y, v = np.array([0.30, 0.31, 0.29]), np.array([0.10, 0.12, 0.11])
    alike = pd.DataFrame({"study": list("abc"), "y": y, "v": v})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        negative = _combine_effects(y, v, "dl").tau2
    from kapmeta.effects.estimates import generic

    return pd.DataFrame(
        [
            (
                "log risk ratio of 4/123 v 11/139, correction asked for, no zero cell",
                float(np.ravel(biased)[0]),
                float(risk_ratio(one).y[0]),
                "the correction is added to every study",
            ),
            (
                "DerSimonian-Laird tau2 of three effects that agree",
                float(negative),
                pool(generic(alike), tau2="DL").tau2,
                "a variance below 0 is not truncated",
            ),
        ],
        columns=["question", "statsmodels", "kapmeta", "what goes wrong there"],
    )


def divergences() -> pd.DataFrame:
    """List where metafor, meta and this package differ, why, and by how much at most.

    Returns
    -------
    DataFrame
        One row per difference; the sizes are measured on the reference values and checked by the
        tests.
    """
    with (
        resources.files("kapmeta.review.reproduce")
        .joinpath("divergences.csv")
        .open(encoding="utf-8") as file
    ):
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    units = {"absolute": "", "relative": " (relative)", "values without a number": " values"}
    size = frame["largest"] + frame["kind"].map(units)
    shown = frame[["package", "quantity", "theirs", "ours", "cause"]].assign(largest=size)
    return shown.rename(
        columns={"theirs": "there", "ours": "here", "largest": "largest difference"}
    )
