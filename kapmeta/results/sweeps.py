"""Sweep, an analysis repeated with something changed, with its sentences and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kapmeta import wording
from kapmeta.core.numerics.distributions import t_two_sided
from kapmeta.core.numerics.status import Status
from kapmeta.core.pooling.combining import Combined
from kapmeta.core.sensitivity.influence import CUT_OFFS, FEWEST_FLAGGED
from kapmeta.methods import CI_NAMES, TAU2_NAMES, ZERO_NAMES, method_text, model_name, model_phrase
from kapmeta.references import PAPERS
from kapmeta.results.effects import Effects
from kapmeta.results.pooled import Pooled
from kapmeta.results.views import EffectsView
from kapmeta.wording import analyses, number

if TYPE_CHECKING:
    from kapmeta.methods import Method

__all__ = ["Sweep", "analyses_table", "one_row", "sweep_methods", "sweep_summary"]


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(EffectsView):
    """The same analysis many times over, one choice changed at a time.

    Attributes
    ----------
    kind : str
        What was varied, e.g. ``"leave-one-out"``.
    table : DataFrame
        One row an analysis: `analysis` names it; `k`, `y`, `se`, `y_low`, `y_high` (analysis
        scale), `p_value`, `tau2`, `q`.
    effects : Effects
        What the analyses started from.
    base : Pooled or None
        The analysis with nothing changed.
    notes : tuple of str
        What a reader must know before quoting it.
    """

    kind: str
    table: pd.DataFrame
    effects: Effects
    base: Pooled | None = None
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One row an analysis; `estimate`, `low` and `high` on the scale shown."""
        frame = self.table.copy()
        first = list(frame.columns).index("y")
        for position, (name, column) in enumerate(
            (("estimate", "y"), ("low", "y_low"), ("high", "y_high"))
        ):
            frame.insert(
                first + position, name, self.scale.shown(frame[column].to_numpy(dtype=float))
            )
        return frame

    def summary(self) -> str:
        """How far the estimate moves and whether the conclusion holds throughout."""
        return sweep_summary(self)

    def methods_text(self) -> str:
        """The paragraph for a methods section that describes exactly what was done here, with its references."""
        return sweep_methods(self)

    def __repr__(self) -> str:
        return f"Sweep({self.kind}, {wording.analyses(len(self.table))}, {self.scale.short})"

    def _shown_table(self) -> pd.DataFrame | None:
        frame = self.to_frame().drop(columns=["y", "se", "y_low", "y_high"], errors="ignore")
        if "status" in frame and (frame["status"] == Status.OK.meaning).all():
            frame = frame.drop(columns="status")
        return frame


def one_row(found: Combined) -> Combined:
    """A single analysis as a batch of one."""
    fields: list[Any] = [np.atleast_1d(part) for part in found]
    return Combined(*fields)


def analyses_table(names: list[str], found: Combined, **columns: Any) -> pd.DataFrame:
    """One row an analysis, on the analysis scale."""
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = found.estimate / found.se
    return pd.DataFrame(
        {
            "analysis": names,
            **columns,
            "k": found.k,
            "y": found.estimate,
            "se": found.se,
            "y_low": found.low,
            "y_high": found.high,
            "p_value": t_two_sided(statistic, found.df),
            "tau2": found.tau2,
            "q": found.q,
        }
    )


def _cited(text: str, *papers: str) -> str:
    """The paragraph with its references in full."""
    return (
        f"{text.removesuffix('.')} ({'; '.join(PAPERS[paper] for paper in papers)})."
        if papers
        else text
    )


def _how(method: Method) -> str:
    """Model, estimator and interval within a sentence."""
    return method_text(method).replace(model_name(method), model_phrase(method), 1)


def _analysis(base: Pooled) -> str:
    """The analysis that was repeated."""
    e = base.effects
    what = f"{e.scale.name} of {e.event}, {e.treatment} against {e.control}"
    return f"the analysis of the {what} ({wording.studies(base.k)}; {_how(base.method)})"


def _repeated(sweep: Sweep, how: str) -> str:
    if sweep.base is None:
        return f"We repeated the analysis {how} ({wording.analyses(len(sweep.table))})."
    anew = (
        "; the between-study variance was estimated anew each time"
        if sweep.base.method.model == "random"
        else ""
    )
    return (
        f"We repeated {_analysis(sweep.base)} {how} ({wording.analyses(len(sweep.table))}){anew}."
    )


def _left_out(sweep: Sweep) -> str:
    return _repeated(sweep, "with each study left out in turn")


def _two_left_out(sweep: Sweep) -> str:
    return _repeated(sweep, "with each pair of studies left out")


def _cumulative(sweep: Sweep) -> str:
    text = _repeated(
        sweep, f"as studies joined one by one, {sweep.kind.removeprefix('cumulative ')}"
    )
    return f"{text} The intervals are not adjusted for repeated looks."


def _influence(sweep: Sweep) -> str:
    k = len(sweep.table)
    if k < FEWEST_FLAGGED:
        marked = "With so few studies no cut-off was applied."
    else:
        cuts = [f"{name} {wording.number(cut.at(k))}" for name, cut in CUT_OFFS.items()]
        marked = (
            f"Cut-offs, of absolute values, were those of the R package metafor: {', '.join(cuts)}."
        )
    text = _repeated(sweep, "with each study left out in turn")
    diagnostics = (
        "Of each study we give the externally standardised residual, DFFITS, Cook's distance,"
        " covariance ratio, DFBETAS, its share of the pooled effect, and between-study variance and"
        " Q without it."
    )
    return _cited(f"{text} {diagnostics} {marked}", "influence")


def _baujat(sweep: Sweep) -> str:
    text = _repeated(sweep, "with each study left out in turn")
    return _cited(
        f"{text} Each study's contribution to Q was set against its squared influence on the pooled"
        " effect.",
        "Baujat",
    )


def _estimators(sweep: Sweep) -> str:
    rows = sweep.table.iloc[:-1]  # the last is the common-effect model
    tau2 = [TAU2_NAMES[word] for word in dict.fromkeys(rows["method"])]
    ci = [CI_NAMES[word] for word in dict.fromkeys(rows["ci"])]
    return _cited(
        f"{wording.studies(sweep.effects.k).capitalize()} were pooled under {len(rows)}"
        f" combinations of an estimator of the between-study variance ({wording.joined(tau2)}) and"
        f" an interval ({wording.joined(ci)}), and with the common-effect model.",
        "tau2",
        "intervals",
    )


def _zero_rules(sweep: Sweep) -> str:
    rules = [f"{rule} ({ZERO_NAMES[rule]})" for rule in dict.fromkeys(sweep.table["rule"])]
    what = f"{sweep.scale.name} of {wording.studies(len(sweep.effects))}"
    return _cited(
        f"The {what} was computed under each zero-cell rule: {'; '.join(rules)}.", "zero cells"
    )


def _percentages(sweep: Sweep) -> str:
    text = _repeated(sweep, "with every combination of counts that the printed percentages allow")
    return _cited(text, "percentages")


def _missing(sweep: Sweep) -> str:
    told = "; ".join(dict.fromkeys(sweep.table["assumption"]))
    splits = [split for split in dict.fromkeys(sweep.table["split"]) if split]
    divided = (
        f" All {len(splits)} divisions of the missing between the arms were analysed."
        if splits
        else ""
    )
    text = (
        f"{_repeated(sweep, 'under other assumptions about the missing outcomes')} Assumptions:"
        f" {told}.{divided}"
    )
    informative = any(word.startswith("IMOR") for word in sweep.table["assumption"])
    meaning = (
        " An IMOR is the odds of the event among the missing over the odds among those observed."
    )
    bounds = ("gamble-hollis",) if "gamble-hollis" in told else ()
    return _cited(text + meaning, "imor", *bounds) if informative else _cited(text, *bounds)


_KINDS: Mapping[str, Callable[[Sweep], str]] = {
    "leave-one-out": _left_out,
    "leave-two-out": _two_left_out,
    "cumulative": _cumulative,
    "influence": _influence,
    "Baujat": _baujat,
    "estimators": _estimators,
    "zero-cell rules": _zero_rules,
    "counts from percentages": _percentages,
    "missing outcomes": _missing,
}


def sweep_methods(sweep: Sweep) -> str:
    """What was varied, how often, and what was repeated."""
    kind = sweep.kind if sweep.kind in _KINDS else sweep.kind.partition(" by ")[0]
    return (
        _KINDS[kind](sweep)
        if kind in _KINDS
        else _repeated(sweep, f"under other choices: {sweep.kind}")
    )


def sweep_summary(sweep: Sweep) -> str:
    """How far the estimate moves and whether the conclusion holds throughout."""
    frame = sweep.to_frame().dropna(subset=["estimate"])
    if frame.empty:
        return " ".join([f"{sweep.kind.capitalize()}: no analysis is possible.", *sweep.notes])
    null = sweep.scale.null
    ends = (
        f"{sweep.scale.short} {number(frame['estimate'].min())} to"
        f" {number(frame['estimate'].max())}"
    )
    text = f"{sweep.kind.capitalize()}, {analyses(len(frame))}: {ends}."
    if null is not None:
        excludes = int(((frame["low"] > null) | (frame["high"] < null)).sum())
        text += f" The interval excludes {null:g} in {excludes} of {len(frame)}."
    return " ".join([text, *(f"Note: {note}." for note in sweep.notes)])
