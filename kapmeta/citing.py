"""How to cite the package, the data and the methods behind a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kapmeta
from kapmeta.checking import chosen

__all__ = ["REFERENCES", "cite"]

REFERENCES: Mapping[str, str] = {
    "REML": "Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model. J "
    "Educ Behav Stat 2005;30:261-293. https://doi.org/10.3102/10769986030003261",
    "DL": "DerSimonian R, Laird N. Meta-analysis in clinical trials. Control Clin Trials 1986;7:177-188. "
    "https://doi.org/10.1016/0197-2456(86)90046-2",
    "PM": "Paule RC, Mandel J. Consensus values and weighting factors. J Res Natl Bur Stand 1982;87:377-385. "
    "https://doi.org/10.6028/jres.087.022",
    "hksj": "Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single covariate. Stat Med "
    "2003;22:2693-2710. https://doi.org/10.1002/sim.1482",
    "koopman": "Koopman PAR. Confidence intervals for the ratio of two binomial proportions. Biometrics "
    "1984;40:513-517. https://doi.org/10.2307/2531405",
    "q-profile": "Viechtbauer W. Confidence intervals for the amount of heterogeneity in meta-analysis. Stat Med "
    "2007;26:37-52. https://doi.org/10.1002/sim.2514",
    "few studies": "Bender R, Friede T, Koch A, et al. Methods for evidence synthesis in the case of very few studies. "
    "Res Synth Methods 2018;9:382-392. https://doi.org/10.1002/jrsm.1297",
    "number needed": "Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312. "
    "https://doi.org/10.1136/bmj.317.7168.1309",
    "information size": "Wetterslev J, Thorlund K, Brok J, Gluud C. Estimating required information size by "
    "quantifying diversity in random-effects model meta-analyses. BMC Med Res Methodol 2009;9:86. "
    "https://doi.org/10.1186/1471-2288-9-86",
    "boundaries": "Lan KKG, DeMets DL. Discrete sequential boundaries for clinical trials. Biometrika 1983;70:659-663.",
    "GRADE": "Guyatt GH, Oxman AD, Vist GE, et al. GRADE: an emerging consensus on rating quality of evidence and "
    "strength of recommendations. BMJ 2008;336:924-926. https://doi.org/10.1136/bmj.39489.470347.AD",
    "GRIM": "Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in the reporting of "
    "results in psychology. Soc Psychol Personal Sci 2017;8:363-369. https://doi.org/10.1177/1948550616673876",
}
"""Reference of each method, by the word it goes by."""

_TITLE = "kapmeta: honest meta-analysis for few, sparse trials"
_AUTHORS = "The kapmeta developers"


def cite(result: Any = None, *, style: str = "text") -> str:
    """How to cite kapmeta and, given a result, the methods that made it.

    Cite the trials too: ``load_evidence().sources`` names them.

    Parameters
    ----------
    result : Pooled, Posterior, Headline, AbsoluteEffects, InformationSize, SummaryOfFindings, ClaimsAudit, optional
        A result whose methods are to be cited.
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
    """References of the methods a result names, in the order of the table."""
    if result is None:
        return []
    words = _words(result)
    if words is None:
        raise TypeError(f"a {type(result).__name__} names no method to cite; give a result of kapmeta")
    return [reference for word, reference in REFERENCES.items() if word in words]


def _words(result: Any) -> set[str] | None:
    """Words of the methods of a result and of the results it stands on; None for what is no result."""
    parts = [result.pooled] if hasattr(result, "pooled") else getattr(result, "results", ())
    method, cited = getattr(result, "method", None), getattr(result, "cited", None)
    if method is None and cited is None:
        return None
    words = set(cited or ()).union(*(_words(part) or () for part in parts))
    if method is not None:
        words |= {str(method.tau2), str(method.ci), str(method.ci).partition("-")[0]}
        if result.k > 1 and method.model == "random":
            words.add("q-profile")
    return words
