"""Headlines by the number of studies: what may be shown, what is refused, where methods differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import pandas as pd

from kapmeta import checking, wording
from kapmeta.effects.counts import CELLS, Names, complement, from_counts
from kapmeta.methods import PRIMARY
from kapmeta.pooling.headline_rules import (
    BESIDE,
    NOT_SHOWN,
    SHOWN,
    Entry,
    FewStudies,
    Rule,
    fit_analyses,
    headline_rule,
)
from kapmeta.pooling.inverse_variance import one_question, pool, refuse_other_measure
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects, unconfirmed_labels
from kapmeta.results.pooled import Pooled, pooled_given
from kapmeta.results.posteriors import Posterior, Result
from kapmeta.results.shared.pooling_methods import paragraph
from kapmeta.results.shared.views import View

__all__ = ["Headline", "headline", "headline_effect", "headline_of", "randomised", "tertiary"]

_FEW = 10  # studies below which an interval depends much on the estimator of tau2


@dataclass(frozen=True, eq=False, repr=False)
class Headline(View):
    """Analyses of a few studies in their roles, with refusals and disagreements.

    Attributes
    ----------
    effects : Effects
        The effects analysed.
    k : int
        Number of studies that take part.
    rule : Rule
        The rule for that number.
    entries : tuple of Entry
        The analyses with their roles: headline, beside, not to be headlined.
    refused : tuple of str
        What is not computed or not to be headlined, and why.
    disagreements : tuple of str
        Where defensible methods come to different conclusions.
    """

    effects: Effects
    k: int
    rule: Rule
    entries: tuple[Entry, ...]
    refused: tuple[str, ...]
    disagreements: tuple[str, ...]
    papers = ("few studies",)

    @property
    def results(self) -> tuple[Result, ...]:
        """What may be headlined: one result, or two that must be shown together."""
        return tuple(entry.result for entry in self.entries if entry.role == SHOWN)

    @property
    def agrees(self) -> bool:
        """Whether no defensible method contradicts another."""
        return not self.disagreements

    @property
    def sampling_sides(self) -> tuple[int, ...]:
        """Sides of no effect of the confidence intervals shown; chance is judged from these.

        A posterior is not among them: it supposes a prior, and heterogeneity that the data may not
        show. Fewer than two intervals do not say whether methods agree.
        """
        shown = (entry.result for entry in self.entries if entry.role != NOT_SHOWN)
        sides = (one.side for one in shown if isinstance(one, Pooled))
        return tuple(side for side in sides if side is not None)

    def __getitem__(self, name: str) -> Result:
        """Return the analysis of that name."""
        found = {entry.name: entry.result for entry in self.entries}
        if name not in found:
            raise KeyError(f'no analysis "{name}"; there are: {", ".join(found)}')
        return found[name]

    def to_frame(self) -> pd.DataFrame:
        """Tabulate role, name, effect on the scale shown and conclusion, one row per analysis."""
        return pd.DataFrame([_analysis_row(entry) for entry in self.entries])

    def summary(self) -> str:
        """List the headline, what is shown beside it, what is refused, and disagreements."""
        frame = self.to_frame()
        openings = {SHOWN: "Headline", BESIDE: "Beside it", NOT_SHOWN: "Not to be headlined"}
        analyses = [
            line for role, opening in openings.items() for line in _sentences(frame, role, opening)
        ]
        return "\n".join([*analyses, *self._caveats()])

    def _caveats(self) -> list[str]:
        compared = self.effects.scale.compares
        agreed = ["No defensible method contradicts another."] * (self.agrees and compared)
        refused = [f"Refused: {reason}." for reason in self.refused]
        return [*refused, *(f"Methods disagree: {text}." for text in self.disagreements), *agreed]

    def methods_text(self) -> str:
        """Write the paragraph for a methods section."""
        sentences = [text for result in self.results for text in result.methods_sentences()]
        names = wording.joined(entry.name for entry in self.entries if entry.role == BESIDE)
        if names:
            sentences.append(f"Beside it we show: {names}.")
        return paragraph(
            [*sentences, f"We do not show: {self.rule.refused} ({PAPERS['few studies']})."]
        )

    def __repr__(self) -> str:
        shown, n = "; ".join(repr(result) for result in self.results), len(self.disagreements)
        return f"Headline({shown}; {n} disagreement{'' if n == 1 else 's'})"

    def _shown_text(self) -> str:  # the table shows the other analyses
        return "\n".join([*_sentences(self.to_frame(), SHOWN, "Headline"), *self._caveats()])


@checking.checked
def headline(
    effects_or_trials: Effects | pd.DataFrame,
    *,
    measure: str | None = None,
    opposite: str | None = None,
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Headline:
    """Analyse a few studies as their number allows, and compare what methods conclude.

    One study: its own estimate with its score interval. Two: the Bayesian interval with
    half-normal(0.5) heterogeneity, beside the common-effect estimate named "if no heterogeneity".
    Three or four: the random-effects interval and the Bayesian one together. Five and more: the
    random-effects interval with the prediction interval. With counts, analyses without continuity
    correction and both directions of the event are compared too.

    Parameters
    ----------
    effects_or_trials : Effects or DataFrame
        Effects, or rows of counts as in `kapmeta.risk_ratio`; counts allow more.
    measure : {"RR", "OR"}
        Measure for counts, a risk ratio by default. Effects bring their own; another one beside
        them is refused.
    opposite : str, optional
        Name of the opposite event; "no" and the name of the event by default.
    level : float
        Level of the intervals, a proportion.
    mixed : bool
        As in `kapmeta.pool`.
    **names
        Columns of the counts, as in `kapmeta.risk_ratio`.

    Returns
    -------
    Headline
        The analyses in their roles; `HEADLINE` has the rule of each number of studies.

    Raises
    ------
    ValueError
        If no study has an estimate.

    References
    ----------
    .. [1] Bender R, Friede T, Koch A, et al. Methods for evidence synthesis in the case of very few
       studies. Res Synth Methods 2018;9:382-392. https://doi.org/10.1002/jrsm.1297
    .. [2] Seide SE, Röver C, Friede T. Likelihood-based random-effects meta-analysis with few
       studies: empirical and simulation studies. BMC Med Res Methodol 2019;19:16.
       https://doi.org/10.1186/s12874-018-0618-3

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({"study": ["A", "B"], "events_t": [73, 14], "n_t": [111, 17],
    ...                        "events_c": [24, 15], "n_c": [100, 23]})
    >>> headline(trials).results[0]
    Posterior(RR 1.86 (95 % CrI 0.78 to 4.46), k=2, tau half-normal(0.5))
    """
    if isinstance(effects_or_trials, Effects):
        if names:
            raise TypeError(f"effects bring their own names; leave out {', '.join(names)}")
        refuse_other_measure(effects_or_trials, measure)
        effects, trials = effects_or_trials, None
    else:
        measure = checking.chosen("RR" if measure is None else measure, ("RR", "OR"), "measure")
        trials = effects_or_trials
        effects = from_counts(trials, measure, zero="drop", **names)
    question, _ = one_question(effects, mixed)
    if question.k == 0:
        reasons = "; ".join(
            f"{effects.labels[i]}: {why}" for i, why in sorted(effects.excluded.items())
        )
        raise ValueError(
            f"no study has an estimate of the {effects.scale.name}, so there is nothing to headline"
            f" ({reasons})"
        )
    informative = None if trials is None else trials[question.present]
    studies = FewStudies(effects, question, informative, level, mixed, names)
    rule = headline_rule(question.k)
    entries = fit_analyses(studies, [*rule.analyses(studies)])
    disagreements = [*_differing(entries), *_prior_that_decides(entries)]
    if trials is not None and effects.measure == "RR" and question.k > 1:
        disagreements += _directions(studies, entries, opposite)
    refused = [rule.refused, *_not_alone(entries, question.k)]
    if studies.units and question.k == 2:
        refused.append(
            f"a headline: a {effects.scale.name} has no default prior of tau; call pool_bayes with"
            " a tau_prior on its scale"
        )
    return Headline(effects, question.k, rule, entries, tuple(refused), tuple(disagreements))


def _not_alone(entries: tuple[Entry, ...], k: int) -> Iterator[str]:
    """Name the analyses that must not be the only result, with few studies."""
    if k < _FEW:
        for entry in entries:
            if entry.role == NOT_SHOWN:
                yield (
                    f"{entry.name}, as the only result: with so few studies its interval depends on"
                    " how heterogeneity is estimated"
                )


def _analysis_row(entry: Entry) -> dict[str, Any]:
    r = entry.result
    return {
        "role": entry.role,
        "analysis": entry.name,
        "measure": r.scale.short,
        "k": r.k,
        **r.shown_interval._asdict(),
        "probability_above_null": (
            r.probability_above() if isinstance(r, Posterior) and r.scale.compares else math.nan
        ),
        "conclusion": _conclusion(r),
    }


def _conclusion(result: Result) -> str:
    """Name the side of no effect on which the interval lies, if it does; empty for one group."""
    sides = result.effects.sides
    if not sides:
        return ""
    if not result.side:
        return "leaves it open"
    return sides[result.side > 0].replace("Favours", "favours", 1)


def _sentences(frame: pd.DataFrame, role: str, opening: str) -> list[str]:
    """Describe each analysis of the role in a sentence."""
    return [f"{opening}: {_sentence(row)}" for _, row in frame[frame["role"] == role].iterrows()]


def _sentence(row: pd.Series[Any]) -> str:
    text = (
        f"{row['analysis']}, {row['measure']}"
        f" {wording.interval_text(row['estimate'], row['low'], row['high'])}"
    )
    p = row["probability_above_null"]
    probability = "" if math.isnan(p) else f", probability above no effect {p:.3f}"
    conclusion = f": {row['conclusion']}" if row["conclusion"] else ""
    return f"{text}{probability}{conclusion}."


def _differing(entries: tuple[Entry, ...]) -> Iterator[str]:
    """Name the analyses that may be shown and conclude otherwise than the headline."""
    main = next((entry for entry in entries if entry.role == SHOWN), None)
    if main is None:
        return
    verdict = _conclusion(main.result)
    others = [(e.name, _conclusion(e.result)) for e in entries if e.role != NOT_SHOWN]
    differing = [f"{name} ({other})" for name, other in others if other != verdict]
    if differing:
        others_text = wording.joined(differing)
        yield f"the headline, {main.name}, {verdict}; otherwise: {others_text}"


def _prior_that_decides(entries: tuple[Entry, ...]) -> Iterator[str]:
    """Name the scale of the prior of tau at which the Bayesian interval reaches no effect."""
    bayes = next((entry.result for entry in entries if isinstance(entry.result, Posterior)), None)
    if bayes is not None and bayes.k > 1 and bayes.scale.compares:
        scale = bayes.tipping_scale()
        if 0 < scale < 2:
            yield (
                "the Bayesian conclusion depends on the prior of tau: the interval first reaches"
                f" no effect at a half-normal scale of {scale:.2f}"
            )


def _directions(
    studies: FewStudies, entries: tuple[Entry, ...], opposite: str | None
) -> Iterator[str]:
    """Say whether heterogeneity is found in one direction of the event and not in the other."""
    turned = complement(studies.effects.table, opposite)  # default column names
    forward = next(
        e.result for e in entries if isinstance(e.result, Pooled) and e.result.method.tau2 == "REML"
    )
    backward = pool(from_counts(turned, "RR"), model="common", mixed=studies.mixed)
    if (forward.q_p_value < 0.1) == (backward.q_p_value < 0.1):
        return
    there, back = (
        f"{wording.number(found.q)} ({wording.p_text(found.q_p_value)})"
        for found in (forward, backward)
    )
    yield (
        f"heterogeneity depends on the direction: Q = {there} for the risk ratio of"
        f" {studies.effects.event}, {back} for that of {backward.effects.event}"
    )


@checking.checked
def headline_effect(pooled: Pooled, *, found: Headline | None = None) -> Result:
    """Return the one effect that may be headlined, by the number of trials.

    One counted trial: its risk ratio with the score interval. Two: the Bayesian interval. Three or
    more: the result itself.

    Parameters
    ----------
    pooled : Pooled
        From `kapmeta.pool`.
    found : Headline, optional
        From `headline_of`, if it is known already.

    Returns
    -------
    Pooled or Posterior
        The effect to show.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.pooling.headlines import headline_effect
    >>> headline_effect(km.pool(km.risk_ratio(km.load_example("bcg").head(2))))
    Posterior(RR 0.27 (95 % CrI 0.11 to 0.72), k=2, tau half-normal(0.5))
    """
    if headline_rule(pooled_given(pooled).k).itself:
        return pooled
    results = (found or headline_of(pooled)).results
    if results:
        return results[0]
    return pool(pooled.effects, model="common", level=pooled.method.level, mixed=True)


def headline_of(pooled: Pooled, *, opposite: str | None = None) -> Headline:
    """Analyse the studies of a result again, as `headline` does.

    Parameters
    ----------
    pooled : Pooled
        From `kapmeta.pool`.
    opposite : str, optional
        Name of the opposite event, as in `headline`.

    Returns
    -------
    Headline
        From the counts where there are counts of every trial, which allows more; else from the
        effects.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.pooling.headlines import headline_of
    >>> len(headline_of(km.pool(km.risk_ratio(km.load_example("bcg").head(1)))).entries)
    4
    """
    effects, level = pooled.effects, pooled.method.level
    cells = list(CELLS)
    counted = set(cells) <= set(effects.table.columns) and bool(
        effects.table[cells].notna().all(axis=None)
    )
    if pooled.measure == "RR" and counted and not effects.excluded:
        return headline(effects.table, opposite=opposite, level=level, mixed=True)
    return headline(effects, level=level, mixed=True)


def randomised(pooled: Pooled) -> bool:
    """Say whether every trial that takes part was randomised; True without such a column.

    An empty cell is not established, so it counts as not randomised.
    """
    table, there = pooled.effects.table, pooled.effects.present
    return "randomised" not in table or bool(checking.established(table, "randomised")[there].all())


def tertiary(pooled: Result) -> bool:
    """Say whether a number comes from a summary of summaries only."""
    return bool(unconfirmed_labels(pooled.effects))
