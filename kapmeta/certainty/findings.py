"""Summary of findings: effects in people, with the certainty that people judged."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kapmeta import checking, wording
from kapmeta.certainty.absolute_risks import Baseline, absolute_effects, has_control_counts
from kapmeta.certainty.grading import CERTAINTY, certainty_table
from kapmeta.core.certainty.absolute_risks import ABSOLUTE
from kapmeta.methods import CI_NAMES
from kapmeta.pooling.headlines import headline_effect, randomised, tertiary
from kapmeta.references import PAPERS
from kapmeta.results.effects import direction_of, outcome_text, participants, unit_of
from kapmeta.results.pooled import Pooled
from kapmeta.results.posteriors import Posterior, Result
from kapmeta.results.shared.rows import same_name
from kapmeta.results.shared.views import View

__all__ = ["CERTAINTY", "SummaryOfFindings", "certainty_table", "summary_of_findings"]

_SIGNS = re.compile("([⊕◯]+)")  # the word beside them says the same to a screen reader
_PLAIN_SENTENCES = {
    "high": "{event} is {more} with {treatment} than with {control}.",
    "moderate": "{event} is probably {more} with {treatment} than with {control}.",
    "low": "The evidence suggests that {event} is {more} with {treatment} than with {control}.",
    "very low": "The evidence is very uncertain about {event} with {treatment} against {control}.",
    "": "No certainty has been entered.",
}
_REFUSED = "refused: the counts are known only from a tertiary source"
_NOT_RANDOMISED = "not given: not randomised"


@dataclass(frozen=True, eq=False, repr=False)
class SummaryOfFindings(View):
    """The summary of findings, one row per question and baseline risk.

    Attributes
    ----------
    table : DataFrame
        One row per question and baseline risk, numbers as numbers; `to_frame` gives a copy.
    """

    table: pd.DataFrame
    papers = ("GRADE", "number needed", "koopman", "few studies")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per question and baseline: numbers, certainty and its reasons."""
        return self.table.copy()

    def shown(self) -> pd.DataFrame:
        """Format the table for readers: numbers with their intervals as text."""
        return pd.DataFrame([_shown_row(row) for row in wording.records(self.table)])

    def to_html(self) -> str:
        """Write the table in HTML, with a header cell for each row."""
        frame = self.shown()
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in frame.columns)
        body = "".join(_html_row([str(x) for x in row]) for row in frame.itertuples(index=False))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def to_text(self) -> str:
        """Write the table with tabs between cells, to be pasted into a word processor."""
        return str(self.shown().to_csv(sep="\t", index=False, lineterminator="\n"))

    def summary(self) -> str:
        """Write one plain sentence per question."""
        first = self.table.drop_duplicates("question")
        return "\n".join(
            f"{row['title']}: {row['in_plain_words']}" for row in wording.records(first)
        )

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        return (
            f"Certainty of evidence was judged by people with GRADE ({PAPERS['GRADE']}), starting"
            " at high for randomised and at low for other evidence; no domain was judged by"
            " software. The effect shown is the trial's own with its score interval where there is"
            " one trial, a Bayesian one where there are two, and the random-effects mean from three"
            " on. Relative effects were applied to control risks of the trials, held fixed; limits"
            " beyond 1,000 per 1,000 were cut and marked."
        )

    def __repr__(self) -> str:
        return f"SummaryOfFindings({self.table['question'].nunique()} questions)"

    def _repr_html_(self) -> str:
        return self.to_html()


def _html_row(cells: list[str]) -> str:
    first, *others = (
        _SIGNS.sub(r'<span aria-hidden="true">\1</span>', html.escape(cell)) for cell in cells
    )
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'


def _shown_row(row: Mapping[str, Any]) -> dict[str, str]:
    effect = wording.effect_text(
        *(row[name] for name in ("measure", "estimate", "low", "high", "unit"))
    )
    control = f"{_thousand(row['control'])} ({row['baseline']})" if row["baseline"] else "–"
    return {
        "Question": row["title"],
        "Participants (trials)": (
            f"{row['participants']:.0f} ({row['k']})" if row["participants"] else f"({row['k']})"
        ),
        "Effect": (
            row["interval"] if row["interval"] == _REFUSED else f"{effect}, {row['interval']}"
        ),
        "Control, per 1,000": control,
        "Treatment arm, per 1,000": (
            _thousand(row["treatment"], row["treatment_low"], row["treatment_high"])
            + ", limit cut" * row["capped"]
        ),
        "Difference, per 1,000": _thousand(
            row["difference"], row["difference_low"], row["difference_high"], sign="+"
        ),
        "Number needed": row["nnt"],
        "Certainty": (
            f"{row['symbols']} {row['certainty']} ({row['status']})"
            if row["certainty"]
            else "not judged"
        ),
        "In plain words": row["in_plain_words"],
    }


def _thousand(
    value: float, low: float = math.nan, high: float = math.nan, *, sign: str = ""
) -> str:
    if math.isnan(value):
        return "–"
    texts = [f"{1000 * x:{sign}.0f}" for x in (value, low, high) if not math.isnan(x)]
    return texts[0] if len(texts) == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"


@checking.checked
def summary_of_findings(
    results: Pooled | Mapping[str, Pooled],
    *,
    grade: pd.DataFrame | None = None,
    baseline: Baseline = None,
    titles: Mapping[str, str] | None = None,
    shown: Mapping[str, Result] | None = None,
) -> SummaryOfFindings:
    """Make the summary of findings of one result, or of several with their names.

    `kapmeta.review.summary_of_findings` makes it for all questions of a review.

    Parameters
    ----------
    results : Pooled or mapping of str to Pooled
        The results, by the name of their question.
    grade : DataFrame, optional
        Judgements as in `certainty_table`, by the names of `results`; without it no certainty is
        given.
    baseline : float or mapping of str to float, optional
        As in `absolute_effects`.
    titles : mapping of str to str, optional
        Titles of the questions, where they are not their names.
    shown : mapping of str to Pooled or Posterior, optional
        Effect to show for each result; by default what `kapmeta.headline_effect` gives.

    Returns
    -------
    SummaryOfFindings
        One row per question and baseline risk. A ratio from trials without counts of their control
        groups has no absolute effects; give `baseline` to have them.

    Raises
    ------
    ValueError
        As `absolute_effects` and `certainty_table` say; if `grade` is given and the effects do not
        say whether the event is good; if `shown` is of another event.

    References
    ----------
    .. [1] Guyatt GH, Oxman AD, Vist GE, et al. GRADE: an emerging consensus on rating quality of
       evidence and strength of recommendations. BMJ 2008;336:924-926.
       https://doi.org/10.1136/bmj.39489.470347.AD

    Examples
    --------
    >>> import kapmeta as km
    >>> pooled = km.pool(km.risk_ratio(km.load_example("bcg")))
    >>> table = km.summary_of_findings({"tuberculosis": pooled}, baseline=0.02).shown()
    >>> table["Difference, per 1,000"].item()
    '-10 (-13 to -5)'
    """
    if isinstance(results, Pooled):
        results = {"result": results}
    if not isinstance(results, Mapping):
        raise TypeError(
            "results must be what pool returns, or a mapping of names to such results, not"
            f" {type(results).__name__}; for the evidence of a review call"
            " kapmeta.review.summary_of_findings"
        )
    certainty = _certainty_of(results, grade)
    _refuse_other_effects(results, shown)
    rows = []
    for name, pooled in results.items():
        effect = shown[name] if shown is not None else headline_effect(pooled)
        found = _finding_rows(pooled, effect, certainty.get(name, {}), baseline)
        title = (titles or {}).get(name, name)
        rows += [{"question": name, "title": title, **row} for row in found]
    return SummaryOfFindings(pd.DataFrame(rows))


def _refuse_other_effects(
    results: Mapping[str, Pooled], shown: Mapping[str, Result] | None
) -> None:
    """Refuse effects to show that are missing, or are of another event than their result."""
    if shown is None:
        return
    for name, pooled in results.items():
        if name not in shown:
            raise ValueError(f'shown has no effect for "{name}"; it needs one for each result')
        event = shown[name].effects.event
        if not same_name(event, pooled.effects.event):
            raise ValueError(
                f'shown["{name}"] is of "{event}", but the result is of "{pooled.effects.event}";'
                " show an effect of the same event"
            )


def _certainty_of(
    results: Mapping[str, Pooled], grade: pd.DataFrame | None
) -> dict[str, dict[str, Any]]:
    """Add up the certainty of each result; it is judged for benefit or harm."""
    if grade is None:
        return {}
    for pooled in results.values():
        direction_of(pooled.effects, "a certainty of benefit or harm (GRADE)")
    designs = {name: randomised(pooled) for name, pooled in results.items()}
    return {
        row["question"]: row for row in wording.records(certainty_table(grade, randomised=designs))
    }


_RISKS = ("control", "treatment", "low", "high", "difference", "difference_low", "difference_high")
_NO_COUNTS = "not given: no trial has counts of its control group"
_NO_RISKS = {"baseline": "", **dict.fromkeys(_RISKS, math.nan), "nnt": "–", "capped": False}


def _finding_rows(
    pooled: Pooled, effect: Result, certainty: Mapping[str, Any], baseline: Baseline
) -> list[dict[str, Any]]:
    """Make one row per baseline risk; one without risks where the measure has none."""
    there = pooled.effects.present
    head = {
        "trials": wording.joined(np.array(pooled.effects.labels)[there]),
        "k": pooled.k,
        "participants": _people_counted(pooled),
        "measure": effect.scale.short,
        **effect.shown_interval._asdict(),
        "unit": unit_of(pooled.effects),
        "interval": _interval_name(effect),
    }
    rows: list[dict[str, Any]] = [_NO_RISKS]
    if tertiary(pooled):
        head |= {**dict.fromkeys(("estimate", "low", "high"), math.nan), "interval": _REFUSED}
    elif effect.measure in ABSOLUTE and baseline is None and not has_control_counts(effect):
        rows = [_NO_RISKS | {"nnt": _NO_COUNTS}]
    elif effect.measure in ABSOLUTE:
        rows = wording.records(absolute_effects(effect, baseline=baseline).table)
    if not randomised(pooled):
        rows = [row | {"nnt": _NOT_RANDOMISED} for row in rows]
    names = {"low": "treatment_low", "high": "treatment_high"}
    words = {
        name: certainty.get(name, "")
        for name in ("certainty", "symbols", "reasons", "not_assessed", "status")
    }
    plain = _plain_sentence(effect, words["certainty"])
    return [
        head
        | {names.get(key, key): value for key, value in row.items()}
        | words
        | {"in_plain_words": plain}
        for row in rows
    ]


def _people_counted(pooled: Pooled) -> float:
    """Count the people of all trials, each once; 0 where the number is not known of every trial."""
    people = participants(pooled.effects)
    return 0.0 if math.isnan(people) else people


def _interval_name(effect: Result) -> str:
    if isinstance(effect, Posterior):
        return f"Bayesian credible interval, tau {effect.tau_prior.name}"
    names = {
        "koopman": "score interval",
        "as reported": "interval as reported",
        "wald": "Wald interval",
    }
    return names.get(effect.method.ci, CI_NAMES.get(effect.method.ci, effect.method.ci))


def _plain_sentence(effect: Result, certainty: str) -> str:
    if tertiary(effect):
        return "Nothing can be said before the primary report has been read."
    e = effect.effects
    if not e.scale.compares:
        return wording.capital(f"{outcome_text(e)}: one group, nothing is compared.")
    more = "greater" if effect.estimate > 0 else "smaller"
    return wording.capital(
        _PLAIN_SENTENCES[certainty].format(
            event=e.event, more=more, treatment=e.treatment, control=e.control
        )
    )
