"""Paragraphs for the methods section of a paper: what a sensitivity analysis did, made from its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kapmeta import wording
from kapmeta.core.influence import CUT_OFFS, FEWEST_FLAGGED

if TYPE_CHECKING:
    from kapmeta.protocol import Method
    from kapmeta.results import Pooled, Sweep
    from kapmeta.sensitivity_results import Calibration, Fragility, Multiverse, Subsets, Tipping

PAPERS: Mapping[str, str] = {
    "tau2": "Veroniki AA, Jackson D, Viechtbauer W, et al. Methods to estimate the between-study variance and its "
    "uncertainty in meta-analysis. Res Synth Methods 2016;7:55-79. https://doi.org/10.1002/jrsm.1164",
    "intervals": "Röver C, Knapp G, Friede T. Hartung-Knapp-Sidik-Jonkman approach and its modification for "
    "random-effects meta-analysis with few studies. BMC Med Res Methodol 2015;15:99. https://doi.org/10.1186/s12874-015-0091-1",
    "zero cells": "Sweeting MJ, Sutton AJ, Lambert PC. What to add to nothing? Use and avoidance of continuity "
    "corrections in meta-analysis of sparse data. Stat Med 2004;23:1351-1375. https://doi.org/10.1002/sim.1761",
    "gamble-hollis": "Gamble C, Hollis S. Uncertainty method improved on best-worst case analysis in a binary "
    "meta-analysis. J Clin Epidemiol 2005;58:579-588. https://doi.org/10.1016/j.jclinepi.2004.09.013",
    "influence": "Viechtbauer W, Cheung MWL. Outlier and influence diagnostics for meta-analysis. Res Synth Methods "
    "2010;1:112-125. https://doi.org/10.1002/jrsm.11",
    "Baujat": "Baujat B, Mahé C, Pignon JP, Hill C. A graphical method for exploring heterogeneity in meta-analyses: "
    "application to a meta-analysis of 65 trials. Stat Med 2002;21:2641-2652. https://doi.org/10.1002/sim.1221",
    "subsets": "Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. Res Synth "
    "Methods 2012;3:214-223. https://doi.org/10.1002/jrsm.1053",
    "percentages": "Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in the "
    "reporting of results in psychology. Soc Psychol Personal Sci 2017;8:363-369. "
    "https://doi.org/10.1177/1948550616673876",
    "imor": "White IR, Higgins JPT, Wood AM. Allowing for uncertainty due to missing data in meta-analysis. Part 1: "
    "two-stage methods. Stat Med 2008;27:711-727. https://doi.org/10.1002/sim.3008",
    "trial fragility": "Walsh M, Srinathan SK, McAuley DF, et al. The statistical significance of randomized "
    "controlled trial results is frequently fragile: a case for a Fragility Index. J Clin Epidemiol 2014;67:622-628. "
    "https://doi.org/10.1016/j.jclinepi.2013.10.019",
    "pooled fragility": "Atal I, Porcher R, Boutron I, Ravaud P. The statistical significance of meta-analyses is "
    "frequently fragile: definition of a fragility index for meta-analyses. J Clin Epidemiol 2019;111:32-40. "
    "https://doi.org/10.1016/j.jclinepi.2019.03.012",
    "multiverse": "Voracek M, Kossmeier M, Tran US. Which data to meta-analyze, and how? A specification-curve and "
    "multiverse-analysis approach to meta-analysis. Z Psychol 2019;227:64-82. https://doi.org/10.1027/2151-2604/a000357",
    "permutation": "Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav 2020;4:1208-1214. "
    "https://doi.org/10.1038/s41562-020-0912-z",
    "simulation": "Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat "
    "Med 2019;38:2074-2102. https://doi.org/10.1002/sim.8086",
}
"""The papers that the paragraphs cite."""


def _cited(text: str, *papers: str) -> str:
    """The paragraph with its references in full."""
    return f"{text.removesuffix('.')} ({'; '.join(PAPERS[paper] for paper in papers)})." if papers else text


def _how(method: Method) -> str:
    """Model, estimator and interval within a sentence."""
    return wording.method_text(method).replace(wording.model_name(method), wording.model_phrase(method), 1)


def _analysis(base: Pooled) -> str:
    """The analysis that was repeated."""
    e = base.effects
    what = f"{e.scale.name} of {e.event}, {e.treatment} against {e.control}"
    return f"the analysis of the {what} ({wording.studies(base.k)}; {_how(base.method)})"


def _repeated(sweep: Sweep, how: str) -> str:
    if sweep.base is None:
        return f"We repeated the analysis {how} ({wording.analyses(len(sweep.table))})."
    anew = "; the between-study variance was estimated anew each time" if sweep.base.method.model == "random" else ""
    return f"We repeated {_analysis(sweep.base)} {how} ({wording.analyses(len(sweep.table))}){anew}."


def _left_out(sweep: Sweep) -> str:
    return _repeated(sweep, "with each study left out in turn")


def _two_left_out(sweep: Sweep) -> str:
    return _repeated(sweep, "with each pair of studies left out")


def _cumulative(sweep: Sweep) -> str:
    text = _repeated(sweep, f"as studies joined one by one, {sweep.kind.removeprefix('cumulative ')}")
    return f"{text} The intervals are not adjusted for repeated looks."


def _influence(sweep: Sweep) -> str:
    k = len(sweep.table)
    if k < FEWEST_FLAGGED:
        marked = "With so few studies no cut-off was applied."
    else:
        cuts = [f"{name} {wording.number(cut.at(k))}" for name, cut in CUT_OFFS.items()]
        marked = f"Cut-offs, of absolute values, were those of the R package metafor: {', '.join(cuts)}."
    text = _repeated(sweep, "with each study left out in turn")
    diagnostics = (
        "Of each study we give the externally standardised residual, DFFITS, Cook's distance, covariance ratio, "
        "DFBETAS, its share of the pooled effect, and between-study variance and Q without it."
    )
    return _cited(f"{text} {diagnostics} {marked}", "influence")


def _baujat(sweep: Sweep) -> str:
    text = _repeated(sweep, "with each study left out in turn")
    return _cited(
        f"{text} Each study's contribution to Q was set against its squared influence on the pooled effect.", "Baujat"
    )


def _estimators(sweep: Sweep) -> str:
    rows = sweep.table.iloc[:-1]  # the last is the common-effect model
    tau2 = [wording.TAU2_NAMES[word] for word in dict.fromkeys(rows["method"])]
    ci = [wording.CI_NAMES[word] for word in dict.fromkeys(rows["ci"])]
    return _cited(
        f"{wording.studies(sweep.effects.k).capitalize()} were pooled under {len(rows)} combinations of an estimator "
        f"of the between-study variance ({wording.joined(tau2)}) and an interval ({wording.joined(ci)}), and with the "
        "common-effect model.",
        "tau2",
        "intervals",
    )


def _zero_rules(sweep: Sweep) -> str:
    rules = [f"{rule} ({wording.ZERO_NAMES[rule]})" for rule in dict.fromkeys(sweep.table["rule"])]
    what = f"{sweep.scale.name} of {wording.studies(len(sweep.effects))}"
    return _cited(f"The {what} was computed under each zero-cell rule: {'; '.join(rules)}.", "zero cells")


def _percentages(sweep: Sweep) -> str:
    text = _repeated(sweep, "with every combination of counts that the printed percentages allow")
    return _cited(text, "percentages")


def _missing(sweep: Sweep) -> str:
    told = "; ".join(dict.fromkeys(sweep.table["assumption"]))
    splits = [split for split in dict.fromkeys(sweep.table["split"]) if split]
    divided = f" All {len(splits)} divisions of the missing between the arms were analysed." if splits else ""
    text = f"{_repeated(sweep, 'under other assumptions about the missing outcomes')} Assumptions: {told}.{divided}"
    informative = any(word.startswith("IMOR") for word in sweep.table["assumption"])
    meaning = " An IMOR is the odds of the event among the missing over the odds among those observed."
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
    return _KINDS[kind](sweep) if kind in _KINDS else _repeated(sweep, f"under other choices: {sweep.kind}")


def subsets_methods(subsets: Subsets) -> str:
    """How many subsets of how many studies."""
    n = f"{subsets.codes.size:,}"
    which = f"in a random sample of {n} subsets" if subsets.sampled else f"in {n} subsets"
    smallest = int(subsets.found.k.min())
    all_of = "" if subsets.sampled else f", all with {smallest} or more"
    return _cited(f"We repeated {_analysis(subsets.base)} {which} of the studies{all_of}.", "subsets")


_TRIAL_INTERVAL = {"RR": "koopman", "OR": "exact", "RD": "miettinen-nurminen-rd"}


def tipping_methods(tipping: Tipping) -> str:
    """The surface of assumptions, and how the tipping points were found."""
    e, (lost_t, lost_c) = tipping.base.effects, tipping.missing
    if tipping.kind == "counts":
        interval = wording.CI_NAMES[_TRIAL_INTERVAL[e.measure]]
        return (
            f"For every number of events among the {lost_t} missing under {e.treatment} and the {lost_c} missing under "
            f"{e.control} ({len(tipping.surface)} tables) we computed the {e.scale.name} of {e.event} with the "
            f"{wording.percent(tipping.base.method.level)} {interval}; the tipping point is the fewest events that "
            "turn the conclusion of none."
        )
    ends = [wording.number(x) for x in (tipping.surface["imor_t"].min(), tipping.surface["imor_t"].max())]
    return _cited(
        f"We repeated {_analysis(tipping.base)} at {len(tipping.surface)} pairs of informative missingness odds ratios "
        f"(odds of the event among the missing over the odds among those observed; {ends[0]} to {ends[1]} in either "
        f"arm; {lost_t + lost_c} outcomes missing), and searched {wording.joined(tipping.points)} for the "
        "factor at which the result turns.",
        "imor",
    )


def fragility_methods(fragility: Fragility) -> str:
    """What was changed until the conclusion turned, and by which method it was judged."""
    kind = "reverse fragility index" if fragility.reverse else "fragility index"
    if fragility.base.k == 1:
        return _cited(
            f"The {kind} is the number of participants of one arm of one trial ({fragility.participants:.0f} in all) "
            f"whose outcome was changed one by one until {fragility.method} changed sides at the "
            f"{wording.number(1 - fragility.base.method.level)} level.",
            "trial fragility",
        )
    return _cited(
        f"The {kind} counts changed outcomes among the {fragility.participants:.0f} participants of "
        f"{wording.studies(fragility.base.k)}. At each step the one change that brought the limit of the "
        f"{wording.percent(fragility.base.method.level)} interval ({_how(fragility.base.method)}) nearest to "
        "turning the conclusion was kept; so found, the index is an upper bound.",
        "pooled fragility",
    )


def multiverse_methods(multiverse: Multiverse) -> str:
    """The choices and their words, what was permuted, and what was left without an answer."""
    table = multiverse.table
    axes = {axis: list(dict.fromkeys(table[axis])) for axis in multiverse.explained if axis != "studies"}
    told = "; ".join(f"{axis}: {', '.join(words)}" for axis, words in axes.items() if len(words) > 1)
    unanswered, sets = len(table) - len(multiverse.answered), table["studies"].nunique()
    text = (
        f"All {len(table):,} combinations of the declared choices ({told or 'one of each'}; "
        f"{sets} {'set' if sets == 1 else 'sets'} of the {wording.studies(len(multiverse.effects.labels))}) were "
        f"analysed, intervals at {wording.percent(multiverse.level)}."
    )
    text += f" {unanswered} have no answer and are kept with the reason." if unanswered else ""
    if not multiverse.null.size:
        return _cited(text, "multiverse")
    but = f", exact models ({', '.join(multiverse.exact)}) apart" if multiverse.exact else ""
    text += (
        f" For a null distribution arm labels were shuffled within trials {multiverse.null.size:,} times and the "
        f"analyses done again{but}; the p-value is that of the median statistic."
    )
    return _cited(text, "multiverse", "permutation")


def calibration_methods(calibration: Calibration) -> str:
    """The simulation: sizes, suppositions, draws, and its error."""
    supposed = calibration.table[["effect", "tau"]].drop_duplicates()
    listed = {name: ", ".join(f"{x:g}" for x in supposed[name].unique()) for name in ("effect", "tau")}
    risks = ", ".join(wording.number(risk) for risk in calibration.control_risks)
    worst = float(np.nanmax(calibration.table["coverage_se"]))
    return _cited(
        f"We simulated {calibration.draws:,} meta-analyses of {len(calibration.control_risks)} trials of the sizes at "
        f"hand for each combination of a mean {calibration.scale.name} ({listed['effect']}) and a between-study "
        f"standard deviation ({listed['tau']}, log scale), with normal effects, binomial outcomes and control risks "
        f"{risks}; all intervals ({wording.percent(calibration.level)}) saw the same draws. Monte-Carlo standard "
        f"errors of coverage are at most {wording.number(worst)}.",
        "simulation",
    )
