"""What may be headlined with so few studies, what stands beside it, what is refused, and where methods disagree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Unpack

import pandas as pd

from kapmeta import wording
from kapmeta.core.bayes.priors import turner
from kapmeta.effects.counts import Names, complement, odds_ratio, risk_difference, risk_ratio
from kapmeta.methods import PRIMARY
from kapmeta.pooling.bayes import WIDE, pool_bayes
from kapmeta.pooling.exact import pool_exact
from kapmeta.pooling.inverse_variance import pool
from kapmeta.pooling.stratified import mantel_haenszel
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects, unconfirmed_labels
from kapmeta.results.pooled import Pooled, pooled_given
from kapmeta.results.posteriors import Posterior, Result
from kapmeta.results.views import View

__all__ = [
    "HEADLINE",
    "Headline",
    "Rule",
    "headline",
    "headline_effect",
    "headline_of",
    "headline_rule",
    "randomised",
    "tertiary",
]

_LINE = ("PM", "DL", "SJ")  # estimators of the sensitivity line
_SHOWN, _BESIDE, _NOT = "headline", "beside", "not to be headlined"


@dataclass(frozen=True)
class Entry:
    """One analysis: its role, its name and its result."""

    role: str
    name: str
    result: Result


@dataclass(frozen=True, eq=False, repr=False)
class Headline(View):
    """What may be said of these studies, and how firmly.

    Attributes
    ----------
    effects : Effects
        What it is about.
    k : int
        Number of studies that say anything.
    rule : Rule
        The registered rule for that number.
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
        return tuple(entry.result for entry in self.entries if entry.role == _SHOWN)

    @property
    def agrees(self) -> bool:
        """Whether no defensible method contradicts another."""
        return not self.disagreements

    def __getitem__(self, name: str) -> Result:
        """The analysis of that name."""
        found = {entry.name: entry.result for entry in self.entries}
        if name not in found:
            raise KeyError(f'no analysis "{name}"; there are: {", ".join(found)}')
        return found[name]

    def to_frame(self) -> pd.DataFrame:
        """One row an analysis: role, name, measure, estimate and limits on the scale shown, probability, conclusion."""
        return pd.DataFrame([_row(entry) for entry in self.entries])

    def summary(self) -> str:
        """Headline first, then what stands beside it, what is refused, and the disagreements."""
        frame = self.to_frame()
        openings = {_SHOWN: "Headline", _BESIDE: "Beside it", _NOT: "Not to be headlined"}
        analyses = [
            line for role, opening in openings.items() for line in _told(frame, role, opening)
        ]
        return "\n".join([*analyses, *self._caveats()])

    def _caveats(self) -> list[str]:
        agreed = ["No defensible method contradicts another."] if self.agrees else []
        refused = [f"Refused: {reason}." for reason in self.refused]
        return [*refused, *(f"Methods disagree: {text}." for text in self.disagreements), *agreed]

    def methods_text(self) -> str:
        """The paragraph for a methods section."""
        told = " ".join(result.methods_text() for result in self.results)
        names = wording.joined(entry.name for entry in self.entries if entry.role == _BESIDE)
        beside = f" Beside it we show: {names}." if names else ""
        return (
            f"{told}{beside} By the registered plan we do not show: {self.rule.refused}"
            f" ({PAPERS['few studies']})."
        )

    def __repr__(self) -> str:
        told, n = "; ".join(repr(result) for result in self.results), len(self.disagreements)
        return f"Headline({told}; {n} disagreement{'' if n == 1 else 's'})"

    def _shown_text(self) -> str:  # the table shows the other analyses
        return "\n".join([*_told(self.to_frame(), _SHOWN, "Headline"), *self._caveats()])


def headline(
    effects_or_trials: Effects | pd.DataFrame,
    *,
    measure: str = "RR",
    opposite: str = "the opposite event",
    level: float = PRIMARY.level,
    mixed: bool = False,
    **names: Unpack[Names],
) -> Headline:
    """What may be headlined with these studies, by their number.

    One study: its own estimate with its score interval. Two: the Bayesian interval with
    half-normal(0.5) heterogeneity, the common-effect estimate named "if no heterogeneity". Three or
    four: the registered random-effects interval and the Bayesian one together. Five and more: the
    registered interval with the prediction interval. For counts the analyses without continuity
    correction and both directions of the event stand beside.

    Parameters
    ----------
    effects_or_trials : Effects or DataFrame
        Effects, or rows of counts as in `kapmeta.risk_ratio`; counts allow more.
    measure : {"RR", "OR"}
        Measure for counts.
    opposite : str
        What the opposite event is called, e.g. ``"relapse"``.
    level : float
        Level of the intervals, a proportion.
    mixed : bool
        As in `kapmeta.pool`.
    **names
        Columns of the counts, as in `kapmeta.risk_ratio`.

    Returns
    -------
    Headline

    Raises
    ------
    ValueError
        If no study says anything.

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
    >>> found = headline(trials, opposite="relapse")
    >>> found
    Headline(Posterior(RR 1.86 (95 % CrI 0.78 to 4.46), k=2, tau half-normal(0.5)); 3 disagreements)
    """
    if isinstance(effects_or_trials, Effects):
        effects, trials = effects_or_trials, None
    else:
        function = {"RR": risk_ratio, "OR": odds_ratio}
        if measure not in function:
            raise ValueError(f'unknown measure "{measure}"; use one of: {", ".join(function)}')
        effects, trials = (
            function[measure](effects_or_trials, zero="drop", **names),
            effects_or_trials,
        )
    study = _Study(effects, trials, level, mixed, names, opposite)
    there = _present(study)
    if there == 0:
        reasons = "; ".join(
            f"{effects.labels[i]}: {why}" for i, why in sorted(effects.excluded.items())
        )
        raise ValueError(
            f"no study says anything about the {effects.scale.name}, so there is nothing to"
            f" headline ({reasons})"
        )
    analyses = _ANALYSES[str(there) if there < 3 else "3-4" if there < 5 else "5+"](study)
    entries = tuple(entry for entry in analyses if entry is not None)
    rule = headline_rule(there)
    disagreements = (*_disagreements(entries), *_directions(study, there))
    refused = (rule.refused, *(_not_alone(e.name) for e in entries if e.role == _NOT))
    if study.units and there == 2:
        refused = (
            *refused,
            (
                "a headline: two effects with a unit need a prior of tau in it; call pool_bayes"
                " with tau_prior"
            ),
        )
    return Headline(effects, there, rule, entries, refused, disagreements)


def _not_alone(name: str) -> str:
    return (
        f"{name}, as the only result: with so few studies its interval depends on how heterogeneity"
        " is estimated"
    )


@dataclass(frozen=True)
class _Study:
    """What was given, with its options."""

    effects: Effects
    trials: pd.DataFrame | None
    level: float
    mixed: bool
    names: Names
    opposite: str

    @property
    def units(self) -> bool:
        """Whether the default prior of tau has no meaning because the effects have a unit."""
        return not self.effects.scale.ratio and self.effects.measure != "SMD"

    @property
    def sparse(self) -> bool:
        """Whether a table with a zero cell was corrected."""
        return bool(self.effects.corrected.any())


def _present(study: _Study) -> int:
    """Number of studies that would be pooled."""
    return pool(study.effects, level=study.level, mixed=study.mixed).k if study.effects.k else 0


def _pool(study: _Study, role: str, name: str, **options: Any) -> Entry:
    return Entry(role, name, pool(study.effects, level=study.level, mixed=study.mixed, **options))


def _bayes(study: _Study, role: str, name: str, **options: Any) -> Entry | None:
    if study.units:
        return None
    return Entry(
        role, name, pool_bayes(study.effects, level=study.level, mixed=study.mixed, **options)
    )


def _exact_bayes(study: _Study, role: str, name: str, **options: Any) -> Entry | None:
    if study.trials is None:
        return None
    found = pool_bayes(
        study.trials,
        measure=study.effects.measure,
        level=study.level,
        mixed=study.mixed,
        **options,
        **study.names,
    )
    return Entry(role, name, found)


def _counted(
    study: _Study, role: str, name: str, function: Callable[..., Pooled], **options: Any
) -> Entry | None:
    if study.trials is None:
        return None
    try:
        return Entry(
            role,
            name,
            function(study.trials, level=study.level, mixed=study.mixed, **options, **study.names),
        )
    except (
        ValueError
    ):  # the model does not suit the data, and says so where it is asked for by name
        return None


def _common(study: _Study) -> Entry:
    """The estimate that holds if there is no heterogeneity, without correction where there are counts."""
    name = "if no heterogeneity"
    found = _counted(study, _BESIDE, name, mantel_haenszel, measure=study.effects.measure)
    return found or _pool(study, _BESIDE, name, model="common")


def _one(study: _Study) -> list[Entry | None]:
    own = study
    if study.trials is not None:
        function, interval = {"RR": (risk_ratio, "koopman"), "OR": (odds_ratio, "mid-p")}[
            study.effects.measure
        ]
        own = _Study(
            function(study.trials, interval=interval, **study.names),
            None,
            study.level,
            study.mixed,
            {},
            "",
        )
    entries = [_pool(own, _SHOWN, "the trial's own estimate")]
    entries_beside: list[Entry | None] = [
        _counted(study, _BESIDE, "exact odds ratio", pool_exact, model="conditional"),
        _bayes(study, _BESIDE, "Bayesian, under a wide prior", mu_prior=WIDE),
        _exact_bayes(study, _BESIDE, "Bayesian from the counts, under a wide prior", mu_prior=WIDE),
    ]
    if study.trials is not None:
        difference = risk_difference(study.trials, interval="newcombe", **study.names)
        entries_beside.insert(
            0,
            Entry(
                _BESIDE, "absolute effect", pool(difference, level=study.level, mixed=study.mixed)
            ),
        )
    return [*entries, *entries_beside]


def _two(study: _Study) -> list[Entry | None]:
    if study.sparse:
        main = _exact_bayes(study, _SHOWN, "Bayesian from the counts, half-normal(0.5)")
        other = _bayes(study, _BESIDE, "Bayesian from corrected effects, half-normal(0.5)")
    else:
        main = _bayes(study, _SHOWN, "Bayesian, half-normal(0.5)")
        other = _exact_bayes(study, _BESIDE, "Bayesian from the counts, half-normal(0.5)")
    return [
        main,
        _common(study),
        _bayes(study, _BESIDE, "Bayesian, half-normal(0.25)", tau_prior=0.25),
        _bayes(study, _BESIDE, "Bayesian, half-normal(1)", tau_prior=1.0),
        _turner(study),
        other,
        _pool(study, _NOT, "REML, Hartung-Knapp"),
        _pool(study, _NOT, "REML, Wald", ci="wald"),
    ]


def _turner(study: _Study) -> Entry | None:
    if study.effects.measure != "OR":
        return None
    return _bayes(
        study,
        _BESIDE,
        "Bayesian, Turner's prior for subjective outcomes",
        tau_prior=turner("subjective"),
    )


def _several(study: _Study) -> list[Entry | None]:
    return [
        _pool(study, _SHOWN, "REML, hybrid Hartung-Knapp"),
        _bayes(study, _SHOWN, "Bayesian, half-normal(0.5)"),
        *_sensitivity(study),
    ]


def _many(study: _Study) -> list[Entry | None]:
    return [
        _pool(study, _SHOWN, "REML, hybrid Hartung-Knapp"),
        _bayes(study, _BESIDE, "Bayesian, half-normal(0.5)"),
        *_sensitivity(study),
    ]


def _sensitivity(study: _Study) -> list[Entry | None]:
    entries: list[Entry | None] = [
        _common(study),
        *(_pool(study, _BESIDE, f"{word}, hybrid Hartung-Knapp", tau2=word) for word in _LINE),
        _bayes(study, _BESIDE, "Bayesian, half-normal(1)", tau_prior=1.0),
    ]
    if study.sparse:
        entries += [
            _exact_bayes(study, _BESIDE, "Bayesian from the counts, half-normal(0.5)"),
            _counted(study, _BESIDE, "binomial-normal", pool_exact, measure=study.effects.measure),
            _counted(
                study,
                _BESIDE,
                "beta-binomial",
                pool_exact,
                model="beta-binomial",
                measure=study.effects.measure,
            ),
        ]
    return [*entries, _pool(study, _NOT, "DerSimonian-Laird, Wald", tau2="DL", ci="wald")]


_ANALYSES: dict[str, Callable[[_Study], list[Entry | None]]] = {
    "1": _one,
    "2": _two,
    "3-4": _several,
    "5+": _many,
}


def _row(entry: Entry) -> dict[str, Any]:
    r = entry.result
    return {
        "role": entry.role,
        "analysis": entry.name,
        "measure": r.scale.short,
        "k": r.k,
        **r.shown_interval._asdict(),
        "probability_above_null": r.probability_above() if isinstance(r, Posterior) else math.nan,
        "conclusion": _conclusion(r),
    }


def _conclusion(result: Result) -> str:
    """Which side of no effect the interval lies on."""
    e = result.effects
    if not result.side:
        return "leaves it open"
    return e.favours[result.side > 0].replace("Favours", "favours", 1)


def _told(frame: pd.DataFrame, role: str, opening: str) -> list[str]:
    """A sentence for each analysis of that role."""
    return [f"{opening}: {_sentence(row)}" for _, row in frame[frame["role"] == role].iterrows()]


def _sentence(row: pd.Series[Any]) -> str:
    text = (
        f"{row['analysis']}, {row['measure']}"
        f" {wording.interval_text(row['estimate'], row['low'], row['high'])}"
    )
    p = row["probability_above_null"]
    told = "" if math.isnan(p) else f", probability above no effect {p:.3f}"
    return f"{text}{told}; {row['conclusion']}."


def _disagreements(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """Conclusions that differ among the analyses that may be shown, and the prior at which the headline turns."""
    found = []
    main = next((entry for entry in entries if entry.role == _SHOWN), None)
    others = [entry for entry in entries if entry.role != _NOT and entry is not main]
    if main is not None:
        verdict = _conclusion(main.result)
        differing = [entry for entry in others if _conclusion(entry.result) != verdict]
        if differing:
            told = wording.joined(
                f"{entry.name} ({_conclusion(entry.result)})" for entry in differing
            )
            found.append(f"the headline, {main.name}, {verdict}; otherwise: {told}")
    bayes = next((entry.result for entry in entries if isinstance(entry.result, Posterior)), None)
    if bayes is not None and bayes.k > 1:
        scale = bayes.tipping_scale()
        if 0 < scale < 2:
            found.append(
                "the Bayesian conclusion depends on the prior of tau: the interval first reaches"
                f" no effect at a half-normal scale of {scale:.2f}"
            )
    return tuple(found)


def _directions(study: _Study, k: int) -> tuple[str, ...]:
    """Whether the tables look alike told of the event and unlike told of its opposite."""
    if study.trials is None or study.effects.measure != "RR" or k < 2:
        return ()
    checked = study.effects.table  # default column names
    turned = complement(checked, study.opposite)
    forward = pool(study.effects, model="common", mixed=study.mixed)
    backward = pool(risk_ratio(turned), model="common", mixed=study.mixed)
    if (forward.q_p_value < 0.1) == (backward.q_p_value < 0.1):
        return ()
    told = [
        f"{wording.number(found.q)} ({wording.p_text(found.q_p_value)})"
        for found in (forward, backward)
    ]
    return (
        (
            f"heterogeneity depends on the direction: Q = {told[0]} for the risk ratio of"
            f" {study.effects.event}, {told[1]} for that of {study.opposite}"
        ),
    )


def headline_effect(pooled: Pooled, *, found: Headline | None = None) -> Result:
    """The one effect that the plan lets be headlined, by the number of trials.

    One counted trial: its risk ratio with the score interval. Two: the Bayesian interval. Three or
    more: the result itself.

    Parameters
    ----------
    pooled : Pooled
        From `kapmeta.review.answer` or `kapmeta.pool`.
    found : Headline, optional
        What `headline_of` gives for it, if that is known already.

    Returns
    -------
    Pooled or Posterior
        The effect to show.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.pooling.headlines import headline_effect
    >>> headline_effect(km.review.answer(km.load_evidence(), "cocaine-end-of-trial"))
    Pooled(RR 4.49 (95 % CI 1.60 to 13.69), k=1, one trial, not pooled)
    """
    if pooled_given(pooled).k > 2:
        return pooled
    results = (found or headline_of(pooled)).results
    return (
        results[0]
        if results
        else pool(pooled.effects, model="common", level=pooled.method.level, mixed=True)
    )


def headline_of(pooled: Pooled) -> Headline:
    """Everything the plan shows of a result: headline, what stands beside it, what is refused,
    disagreements.

    Parameters
    ----------
    pooled : Pooled
        From `kapmeta.review.answer` or `kapmeta.pool`.

    Returns
    -------
    Headline
        From the counts where there are counts of every trial, which allows more; else from the
        effects.

    Examples
    --------
    >>> import kapmeta as km
    >>> from kapmeta.pooling.headlines import headline_of
    >>> len(headline_of(km.review.answer(km.load_evidence(), "cocaine-end-of-trial")).entries)
    5
    """
    effects, level = pooled.effects, pooled.method.level
    cells = ["events_t", "n_t", "events_c", "n_c"]
    counted = set(cells) <= set(effects.table.columns) and bool(
        effects.table[cells].notna().all(axis=None)
    )
    if pooled.measure == "RR" and counted and not effects.excluded:
        opposite = "relapse" if effects.event == "abstinence" else "the opposite event"
        return headline(effects.table, opposite=opposite, level=level, mixed=True)
    return headline(effects, level=level, mixed=True)


def randomised(pooled: Pooled) -> bool:
    """Whether every trial that takes part was randomised; True where nothing is said of it."""
    table, there = pooled.effects.table, pooled.effects.present
    return "randomised" not in table or bool(table["randomised"][there].all())


def tertiary(pooled: Result) -> bool:
    """Whether a number comes from a summary of summaries only."""
    return bool(unconfirmed_labels(pooled.effects))


@dataclass(frozen=True)
class Rule:
    """What may be headlined with `k` studies, what is shown beside it and what is refused."""

    headline: str
    beside: str
    refused: str


HEADLINE: Mapping[str, Rule] = MappingProxyType(
    {
        "0": Rule("nothing", "the trials that exist and what is missing", "any number"),
        "1": Rule(
            "the trial's own estimate with its score interval",
            "its absolute effect",
            "a pooled diamond, tau2, I2 and a prediction interval: one trial has no between-study"
            " variance",
        ),
        "2": Rule(
            "the Bayesian interval with a half-normal prior of scale 0.5 on tau, both trials side"
            " by side",
            'other prior scales, and the common-effect estimate, named "if no heterogeneity"',
            "a random-effects interval as headline (from two trials it is either absurdly narrow or"
            " more than 12 standard errors wide), I2 and a prediction interval",
        ),
        "3-4": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the estimator line",
            "a DerSimonian-Laird Wald interval as the only result, and any test of funnel"
            " asymmetry",
        ),
        "5+": Rule(
            "the random-effects estimate by REML with the hybrid Hartung-Knapp interval",
            "the prediction interval and the estimator line",
            "tests of funnel asymmetry below ten studies",
        ),
    }
)
"""Headline policy by number of studies."""


def headline_rule(k: int) -> Rule:
    """The headline rule that holds for `k` studies."""
    return HEADLINE[str(k) if k < 3 else "3-4" if k < 5 else "5+"]
