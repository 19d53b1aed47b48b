"""Risk of bias: judgements from signalling questions, and pooling adjusted for bias."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.checking import chosen
from kapmeta.core.certainty.risk_of_bias import (
    ANSWERS,
    DOMAINS,
    NO_INFORMATION,
    QUESTIONS,
    ROB2,
    ROBINS_I,
    ROBINS_I_DOMAINS,
    overall,
    overall_robins_i,
)
from kapmeta.core.numerics.arrays import BoolArray
from kapmeta.pooling.inverse_variance import pool
from kapmeta.results.effects import Effects, effects_given
from kapmeta.results.pooled import Pooled
from kapmeta.results.sweeps import Sweep

_OVERRIDE_COLUMNS = ("study", "domain", "judgement", "reason")
_LARGEST_SHIFT = 1e25  # on the analysis scale: effects can still be computed with

__all__ = ["bias_adjusted", "low_risk_only", "rob2_judgements", "robins_i_overall"]


@checking.checked
def rob2_judgements(
    answers: pd.DataFrame, *, overrides: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Derive RoB 2 judgements from answers to the signalling questions [1]_.

    Not a substitute for judgement: an assessor may depart from the algorithm, with a reason that
    stays in sight.

    Parameters
    ----------
    answers : DataFrame
        One row per study and question: `study`, `question` (``"1.1"`` to ``"5.3"``), `answer` (Y,
        PY, PN, N, NI or NA), `reason`. A question that is not answered counts as no information.
    overrides : DataFrame, optional
        One row per departure: `study`, `domain` (D1 to D5 or overall), `judgement`, `reason`.
        Overall is judged from the domains after them, and may only be raised, as several "some
        concerns" may make it high.

    Returns
    -------
    DataFrame
        One row per study: D1 to D5, overall, and `overridden`, the departures with their reasons.

    Raises
    ------
    ValueError
        For a question, answer, domain or judgement that is not known, an answer or departure
        without a reason, a question answered twice, or an overall judgement milder than its
        domains.

    References
    ----------
    .. [1] Sterne JAC, Savovic J, Page MJ, et al. RoB 2: a revised tool for assessing risk of bias
       in randomised trials. BMJ 2019;366:l4898. https://doi.org/10.1136/bmj.l4898

    Examples
    --------
    >>> import pandas as pd
    >>> from kapmeta.certainty.risk_of_bias import rob2_judgements
    >>> answers = pd.DataFrame({"study": ["A"] * 3, "question": ["1.1", "1.2", "1.3"],
    ...                         "answer": ["Y", "PY", "N"],
    ...                         "reason": ["computer", "pharmacy", "balanced"]})
    >>> rob2_judgements(answers)["D1"].item()
    'low'
    """
    checking.refuse_no_table(answers, "answers", "signalling question")
    for column in ("study", "question", "answer", "reason"):
        if column not in answers:
            raise ValueError(
                f'answers has no column "{column}"; it needs: study, question, answer, reason'
            )
    _check_answers(answers)
    departures = _departures(overrides, {str(study) for study in answers["study"]})
    rows = []
    for study, part in answers.groupby("study", sort=False):
        given = dict(zip(part["question"].astype(str), part["answer"].astype(str), strict=True))
        own = departures.get(str(study), {})
        domains = {
            name: own.get(name, (algorithm(given),))[0] for name, algorithm in DOMAINS.items()
        }
        whole = overall(domains.values())
        raised = own.get("overall", (whole,))[0]
        if ROB2.index(raised) < ROB2.index(whole):
            raise ValueError(
                f'overall = "{raised}" of "{study}" is milder than its domains, which give'
                f' "{whole}"'
            )
        reasons = "; ".join(f"{name}: {reason}" for name, (_, reason) in own.items())
        rows.append({"study": study, **domains, "overall": raised, "overridden": reasons})
    return pd.DataFrame(rows)


def _departures(
    overrides: pd.DataFrame | None, studies: set[str]
) -> dict[str, dict[str, tuple[str, str]]]:
    """Collect each departure from the algorithm with its reason, by study and domain."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    if overrides is not None and len(overrides):
        checking.columns_of(overrides, {name: name for name in _OVERRIDE_COLUMNS}, "overrides")
    for number, row in enumerate([] if overrides is None else wording.records(overrides), start=1):
        place = f'overrides, row {number} ("{row["study"]}")'
        chosen(str(row["study"]), sorted(studies), f"study in {place}:")
        chosen(row["domain"], (*DOMAINS, "overall"), f"domain in {place}:")
        chosen(row["judgement"], ROB2, f"judgement in {place}:")
        if pd.isna(row["reason"]) or not str(row["reason"]).strip():
            raise ValueError(
                f"reason is empty in {place}: a departure from the algorithm needs one"
            )
        found.setdefault(str(row["study"]), {})[row["domain"]] = (
            row["judgement"],
            str(row["reason"]),
        )
    return found


def _check_answers(answers: pd.DataFrame) -> None:
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(answers.to_dict("records"), start=1):
        study, question = str(row["study"]), str(row["question"])
        place = f'in row {number} ("{study}")'
        if question not in QUESTIONS:
            raise ValueError(
                f'question = "{question}" {place} is not one of RoB 2: {", ".join(QUESTIONS)}'
            )
        if row["answer"] not in ANSWERS:
            raise ValueError(
                f'answer = "{row["answer"]}" {place} is not a known word; use one of:'
                f" {', '.join(ANSWERS)}"
            )
        if pd.isna(row["reason"]) or not str(row["reason"]).strip():
            raise ValueError(f"reason is empty {place}, question {question}: an answer needs one")
        if (study, question) in seen:
            raise ValueError(f"question {question} is answered twice {place}; keep one answer")
        seen.add((study, question))


@checking.checked
def robins_i_overall(domains: Mapping[str, str]) -> str:
    """Derive the overall judgement of ROBINS-I from its seven domains [1]_.

    The worst domain counts; where none is serious or critical and one has no information, nor has
    the whole.

    Parameters
    ----------
    domains : mapping of str to str
        Judgement of each domain, D1 to D7 (confounding, selection of participants, classification
        of interventions, deviations, missing data, measurement, selection of the result): low,
        moderate, serious, critical or no information.

    Returns
    -------
    str
        The overall judgement.

    Raises
    ------
    ValueError
        If a domain is missing or not one of the seven, or a word is not known.

    References
    ----------
    .. [1] Sterne JAC, Hernan MA, Reeves BC, et al. ROBINS-I: a tool for assessing risk of bias in
       non-randomised studies of interventions. BMJ 2016;355:i4919.
       https://doi.org/10.1136/bmj.i4919

    Examples
    --------
    >>> from kapmeta.certainty.risk_of_bias import robins_i_overall
    >>> judged = dict.fromkeys(("D2", "D3", "D4", "D5", "D6", "D7"), "moderate")
    >>> robins_i_overall({"D1": "serious", **judged})
    'serious'
    """
    for name, word in domains.items():
        chosen(
            word,
            (*ROBINS_I, NO_INFORMATION),
            f"judgement of {chosen(name, ROBINS_I_DOMAINS, 'domain')}",
        )
    missing = [f"{name} ({what})" for name, what in ROBINS_I_DOMAINS.items() if name not in domains]
    if missing:
        raise ValueError(f"domains lack {', '.join(missing)}: ROBINS-I is judged on all seven")
    return overall_robins_i(domains.values())


@checking.checked
def low_risk_only(effects: Effects, *, words: Iterable[str] = ("low", "some concerns")) -> Effects:
    """Set aside studies at other risk of bias; they stay visible with the reason.

    Parameters
    ----------
    effects : Effects
        With a column `risk_of_bias` in their table.
    words : iterable of str
        Judgements that stay, in any case and with any blanks around.

    Returns
    -------
    Effects
        To be given to `kapmeta.pool`. Quality is never made a weight.

    Raises
    ------
    ValueError
        If there is no such column, or if no study is left.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.certainty.risk_of_bias import low_risk_only
    >>> low_risk_only(km.risk_ratio(km.load_evidence().trials("alcohol")))
    Effects(RR, k=1, 1 excluded)
    """
    if "risk_of_bias" not in effects_given(effects).table:
        raise ValueError("effects has no column risk_of_bias; add it to the trials")
    keep = {checking.name_of(word).casefold() for word in words}
    if not keep:
        raise ValueError("words is empty; give one judgement or more, such as low")
    risk = [checking.name_of(word) for word in effects.table["risk_of_bias"]]
    aside = {
        i: f"risk of bias: {word or 'not judged'}"
        for i, word in enumerate(risk)
        if word.casefold() not in keep
    }
    found = replace(effects, excluded={**aside, **effects.excluded})
    if not found.k:
        raise ValueError(
            f"no study is at {' or '.join(sorted(keep))} risk of bias: there is nothing left to"
            " pool"
        )
    return found


@checking.checked
def bias_adjusted(
    effects: Effects,
    biased: Iterable[str],
    *,
    shift: float | Iterable[float],
    inflation: Iterable[float] = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0),
    **method: Any,
) -> Sweep:
    """Pool with some studies corrected for a suspected bias and made less certain of it [1]_.

    A curve over the standard deviation of the bias, one for each shift: at the far end the
    suspected studies no longer count. Shift and spread are beliefs from outside the data.

    Parameters
    ----------
    effects : Effects
        What would be pooled.
    biased : iterable of str
        Labels of the studies under suspicion, e.g. one with a historical control.
    shift : float or iterable of float
        Bias to take off their estimates, on the analysis scale (log for ratios); positive where it
        favours the event.
    inflation : iterable of float
        Standard deviations of the bias, on the same scale; their squares are added to the
        variances.
    **method
        Options of `kapmeta.pool`; mixed designs are allowed here, since the adjustment is what they
        are pooled for.

    Returns
    -------
    Sweep
        One row per shift and standard deviation.

    Raises
    ------
    ValueError
        If a label is not among the studies, or a standard deviation is negative.

    References
    ----------
    .. [1] Turner RM, Spiegelhalter DJ, Smith GCS, Thompson SG. Bias modelling in evidence
       synthesis. J R Stat Soc Ser A 2009;172:21-47.

    Examples
    --------
    >>> import numpy as np, kapmeta as km
    >>> from kapmeta.certainty.risk_of_bias import bias_adjusted
    >>> effects = km.risk_ratio(km.load_evidence().trials("alcohol"))
    >>> sweep = bias_adjusted(effects, ["Krupitsky 1997"], shift=np.log(1.3), inflation=[0.3],
    ...                       model="common")
    >>> sweep.to_frame()[["estimate", "low", "high"]].round(2).to_numpy().tolist()
    [[1.64, 1.01, 2.66]]
    """
    suspected = _suspected(effects_given(effects), biased)
    shifts = [float(by) for by in np.atleast_1d(np.asarray(shift, dtype=object))]
    if not shifts or any(not abs(by) <= _LARGEST_SHIFT for by in shifts):
        raise ValueError(
            f"shift holds biases, each at most {_LARGEST_SHIFT:g} in size: got {shifts}"
        )
    spreads = [float(sd) for sd in inflation]
    if any(not sd >= 0 for sd in spreads):
        raise ValueError(f"inflation holds standard deviations, 0 or more: got {spreads}")
    pairs = [(by, sd) for by in shifts for sd in spreads]
    results = [pool(_shifted(effects, suspected, by, sd), mixed=True, **method) for by, sd in pairs]
    rows = [_bias_row(*pair, result) for pair, result in zip(pairs, results, strict=True)]
    note = (
        f"shift {wording.joined(f'{by:g}' for by in shifts)} and spread of the bias are assumed,"
        " not estimated"
    )
    return Sweep(
        "bias adjustment", pd.DataFrame(rows), effects, pool(effects, mixed=True, **method), (note,)
    )


def _suspected(effects: Effects, biased: Iterable[str]) -> BoolArray:
    labels = [biased] if isinstance(biased, str) else list(biased)
    for label in labels:
        chosen(label, effects.labels, "study", "biased")
    return np.array([label in labels for label in effects.labels])


def _shifted(effects: Effects, suspected: BoolArray, shift: float, sd: float) -> Effects:
    y, v = effects.y - shift * suspected, effects.v + sd**2 * suspected
    return replace(effects, y=y, v=v, interval="wald")


def _bias_row(shift: float, sd: float, result: Pooled) -> dict[str, Any]:
    ratio = result.scale.ratio
    return {
        "analysis": (
            f"bias {'by a factor of ' * ratio}{math.exp(shift) if ratio else shift:.3g}, "
            f"standard deviation {sd:g}{' (log)' * ratio}"
        ),
        "shift": shift,
        "inflation": sd,
        "k": result.k,
        "y": result.estimate,
        "se": result.se,
        "y_low": result.low,
        "y_high": result.high,
        "p_value": result.p_value,
        "tau2": result.tau2,
        "q": result.q,
    }
