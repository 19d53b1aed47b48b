"""How to cite the package, the data and the methods behind a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import kapmeta
from kapmeta.checking import chosen
from kapmeta.protocol import Method
from kapmeta.sensitivity_wording import PAPERS as SENSITIVITY_PAPERS
from kapmeta.small_study.sources import PAPERS

__all__ = ["REFERENCES", "cite"]

_PAPERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("REML", "ML", "HE", "HS"),
        "Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model. J "
        "Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261",
    ),
    (
        ("DL",),
        "DerSimonian R, Laird N. Meta-analysis in clinical trials. Control Clin Trials 1986;7:177-188. "
        "https://doi.org/10.1016/0197-2456(86)90046-2",
    ),
    (
        ("DL2", "CA2"),
        "DerSimonian R, Kacker R. Random-effects model for meta-analysis of clinical trials: an update. Contemp Clin "
        "Trials 2007;28:105-114. https://doi.org/10.1016/j.cct.2006.04.004",
    ),
    (
        ("PM",),
        "Paule RC, Mandel J. Consensus values and weighting factors. J Res Natl Bur Stand 1982;87:377-385. "
        "https://doi.org/10.6028/jres.087.022",
    ),
    (
        ("PMM", "EB", "HSk", "SJ"),
        SENSITIVITY_PAPERS["tau2"],
    ),
    (
        ("hksj",),
        "Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single covariate. Stat Med "
        "2003;22:2693-2710. https://doi.org/10.1002/sim.1482",
    ),
    (
        ("profile",),
        "Hardy RJ, Thompson SG. A likelihood approach to meta-analysis with random effects. Stat Med 1996;15:619-629. "
        "https://doi.org/10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A",
    ),
    (
        ("bartlett",),
        "Noma H. Confidence intervals for a random-effects meta-analysis based on Bartlett-type corrections. Stat Med "
        "2011;30:3304-3312. https://doi.org/10.1002/sim.4350",
    ),
    (
        ("skovgaard",),
        "Guolo A. Higher-order likelihood inference in meta-analysis and meta-regression. Stat Med 2012;31:313-327. "
        "https://doi.org/10.1002/sim.4451",
    ),
    (
        ("henmi-copas",),
        "Henmi M, Copas JB. Confidence intervals for random effects meta-analysis and robustness to publication bias. "
        "Stat Med 2010;29:2969-2983. https://doi.org/10.1002/sim.4029",
    ),
    (
        ("permutation",),
        "Follmann DA, Proschan MA. Valid inference in random effects meta-analysis. Biometrics 1999;55:732-737. "
        "https://doi.org/10.1111/j.0006-341X.1999.00732.x",
    ),
    (
        ("prediction t", "prediction hts"),
        "Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects meta-analysis. J R Stat Soc A "
        "2009;172:137-159. https://doi.org/10.1111/j.1467-985X.2008.00552.x",
    ),
    (
        ("kr", "prediction hk", "prediction hk-pr", "prediction kr", "prediction kr-pr"),
        "Partlett C, Riley RD. Random effects meta-analysis: coverage performance of 95% confidence and prediction "
        "intervals following REML estimation. Stat Med 2017;36:301-317. https://doi.org/10.1002/sim.7140",
    ),
    (
        ("prediction nnf",),
        "Nagashima K, Noma H, Furukawa TA. Prediction intervals for random-effects meta-analysis: a confidence "
        "distribution approach. Stat Methods Med Res 2019;28:1689-1702. https://doi.org/10.1177/0962280218773520",
    ),
    (
        ("prediction wang-lee",),
        "Wang CC, Lee WC. A simple method to estimate prediction intervals and predictive distributions: summarizing "
        "meta-analyses beyond means and confidence intervals. Res Synth Methods 2019;10:255-266. "
        "https://doi.org/10.1002/jrsm.1345",
    ),
    (
        ("q-profile",),
        "Viechtbauer W. Confidence intervals for the amount of heterogeneity in meta-analysis. Stat Med "
        "2007;26:37-52. https://doi.org/10.1002/sim.2514",
    ),
    (
        ("Mantel-Haenszel",),
        "Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective studies of disease. J "
        "Natl Cancer Inst 1959;22:719-748. https://doi.org/10.1093/jnci/22.4.719",
    ),
    (
        ("Peto's one-step method",),
        "Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial infarction: an "
        "overview of the randomized trials. Prog Cardiovasc Dis 1985;27:335-371. "
        "https://doi.org/10.1016/S0033-0620(85)80003-7",
    ),
    (
        ("Binomial-normal model", "Hypergeometric-normal model (CM.EL)", "Conditional binomial-normal model (CM.AL)"),
        "Stijnen T, Hamza TH, Ozdemir P. Random effects meta-analysis of event outcome in the framework of the "
        "generalized linear mixed model with applications in sparse data. Stat Med 2010;29:3046-3067. "
        "https://doi.org/10.1002/sim.4040",
    ),
    (
        ("Bayesian random-effects model",),
        "Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6). "
        "https://doi.org/10.18637/jss.v093.i06",
    ),
    (
        ("koopman",),
        "Koopman PAR. Confidence intervals for the ratio of two binomial proportions. Biometrics "
        "1984;40:513-517. https://doi.org/10.2307/2531405",
    ),
    (
        ("MetaRegression",),
        "Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and interpreted? Stat Med "
        "2002;21:1559-1573. https://doi.org/10.1002/sim.1187",
    ),
    (
        ("Subgroups",),
        "Borenstein M, Higgins JPT. Meta-analysis and subgroups. Prev Sci 2013;14:134-143. "
        "https://doi.org/10.1007/s11121-013-0377-7",
    ),
    (
        ("Multilevel",),
        "Konstantopoulos S. Fixed effects and variance components estimation in three-level meta-analysis. Res Synth "
        "Methods 2011;2:61-76. https://doi.org/10.1002/jrsm.35",
    ),
    (
        ("RobustTests",),
        "Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and hypothesis testing "
        "in fixed effects models. J Bus Econ Stat 2018;36:672-683. https://doi.org/10.1080/07350015.2016.1247004",
    ),
    (
        ("few studies",),
        "Bender R, Friede T, Koch A, et al. Methods for evidence synthesis in the case of very few studies. "
        "Res Synth Methods 2018;9:382-392. https://doi.org/10.1002/jrsm.1297",
    ),
    (
        ("number needed",),
        "Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312. "
        "https://doi.org/10.1136/bmj.317.7168.1309",
    ),
    (
        ("information size",),
        "Wetterslev J, Thorlund K, Brok J, Gluud C. Estimating required information size by "
        "quantifying diversity in random-effects model meta-analyses. BMC Med Res Methodol 2009;9:86. "
        "https://doi.org/10.1186/1471-2288-9-86",
    ),
    (
        ("boundaries",),
        "Lan KKG, DeMets DL. Discrete sequential boundaries for clinical trials. Biometrika 1983;70:659-663.",
    ),
    (
        ("GRADE",),
        "Guyatt GH, Oxman AD, Vist GE, et al. GRADE: an emerging consensus on rating quality of evidence and "
        "strength of recommendations. BMJ 2008;336:924-926. https://doi.org/10.1136/bmj.39489.470347.AD",
    ),
    (
        ("GRIM",),
        SENSITIVITY_PAPERS["percentages"],
    ),
)
"""The words of a method, and its reference."""

REFERENCES: Mapping[str, str] = {word: reference for words, reference in _PAPERS for word in words}
"""Reference of each method, by the word it goes by."""

_TITLE = "kapmeta: honest meta-analysis for few, sparse trials"
_AUTHORS = "The kapmeta developers"


def cite(result: Any = None, *, style: str = "text") -> str:
    """How to cite kapmeta and, given a result, the methods that made it.

    Cite the trials too: ``load_evidence().sources`` names them.

    Parameters
    ----------
    result : any result of kapmeta, optional
        Its methods are cited: all that its `methods_text` describes.
    style : {"text", "bibtex"}
        Plain text, or BibTeX for the software alone.

    Returns
    -------
    str
        One reference a line.

    Raises
    ------
    ValueError
        For an unknown style.
    TypeError
        If `result` names no method.

    Examples
    --------
    >>> from kapmeta.citing import cite
    >>> print(cite())
    The kapmeta developers. kapmeta: honest meta-analysis for few, sparse trials. Version ... Python package.
    """
    chosen(style, ("text", "bibtex"), "style")
    if style == "bibtex":
        fields = {
            "title": _TITLE,
            "author": f"{{{_AUTHORS}}}",
            "version": kapmeta.__version__,
            "note": "Python package",
        }
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@software{{kapmeta,\n{lines}\n}}"
    software = f"{_AUTHORS}. {_TITLE}. Version {kapmeta.__version__}. Python package."
    return "\n".join([software, *_methods(result)])


def _methods(result: Any) -> list[str]:
    """References of the methods a result names, each once."""
    if result is None:
        return []
    known = getattr(result, "references", None)
    words = _words(result)
    if known is None and words is None:
        raise TypeError(f"a {type(result).__name__} names no method to cite; give a result of kapmeta")
    named = [reference for word, reference in REFERENCES.items() if word in (words or ())]
    told = result.methods_text()
    also = [paper for paper in (*PAPERS.values(), *SENSITIVITY_PAPERS.values()) if paper in told]
    return list(dict.fromkeys([*(known or ()), *named, *also]))


def _words(result: Any) -> set[str] | None:
    """Words of the methods of a result and of the results it stands on; None for what is no result."""
    if not callable(getattr(result, "methods_text", None)):
        return None
    parts = [getattr(result, name) for name in ("pooled", "base") if getattr(result, name, None) is not None]
    parts += [*getattr(result, "results", ()), *getattr(result, "groups", {}).values()]
    words = {type(result).__name__, *getattr(result, "cited", ())}
    method = getattr(result, "method", None)
    if isinstance(method, Method):
        words |= {str(method.tau2), *_with_root(method.ci, "-"), *_with_root(method.model, ",")}
        if math.isfinite(getattr(result, "prediction_low", math.nan)):
            words.add(f"prediction {method.prediction}")
        if result.k > 1 and method.model == "random":
            words.add("q-profile")
    return words.union(*(_words(part) or () for part in parts))


def _with_root(word: str, mark: str) -> tuple[str, str]:
    """A word, and what stands before its first `mark`: the family of methods it belongs to."""
    return word, word.partition(mark)[0]
