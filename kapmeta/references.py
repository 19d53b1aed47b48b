"""The bibliography: the paper behind each method, by the key that results refer to it with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["METHOD_KEYS", "PAPERS", "cited", "papers_of", "short_references"]

PAPERS: Mapping[str, str] = {
    "REML": (
        "Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the "
        "random-effects model. J Educ Behav Stat 2005;30:261-293. "
        "https://doi.org/10.3102/10769986030003261"
    ),
    "DL": (
        "DerSimonian R, Laird N. Meta-analysis in clinical trials. Control Clin Trials "
        "1986;7:177-188. https://doi.org/10.1016/0197-2456(86)90046-2"
    ),
    "DL2": (
        "DerSimonian R, Kacker R. Random-effects model for meta-analysis of clinical trials: an "
        "update. Contemp Clin Trials 2007;28:105-114. https://doi.org/10.1016/j.cct.2006.04.004"
    ),
    "PM": (
        "Paule RC, Mandel J. Consensus values and weighting factors. J Res Natl Bur Stand "
        "1982;87:377-385. https://doi.org/10.6028/jres.087.022"
    ),
    "hksj": (
        "Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single "
        "covariate. Stat Med 2003;22:2693-2710. https://doi.org/10.1002/sim.1482"
    ),
    "hksj-hybrid": (
        "Jackson D, Law M, Rücker G, Schwarzer G. The Hartung-Knapp modification for "
        "random-effects meta-analysis: a useful refinement but are there any residual concerns? "
        "Stat Med 2017;36:3923-3934. https://doi.org/10.1002/sim.7411"
    ),
    "profile": (
        "Hardy RJ, Thompson SG. A likelihood approach to meta-analysis with random effects. Stat "
        "Med 1996;15:619-629. "
        "https://doi.org/10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A"
    ),
    "bartlett": (
        "Noma H. Confidence intervals for a random-effects meta-analysis based on Bartlett-type "
        "corrections. Stat Med 2011;30:3304-3312. https://doi.org/10.1002/sim.4350"
    ),
    "skovgaard": (
        "Guolo A. Higher-order likelihood inference in meta-analysis and meta-regression. Stat "
        "Med 2012;31:313-327. https://doi.org/10.1002/sim.4451"
    ),
    "henmi-copas": (
        "Henmi M, Copas JB. Confidence intervals for random effects meta-analysis and robustness "
        "to publication bias. Stat Med 2010;29:2969-2983. https://doi.org/10.1002/sim.4029"
    ),
    "permutation": (
        "Follmann DA, Proschan MA. Valid inference in random effects meta-analysis. Biometrics "
        "1999;55:732-737. https://doi.org/10.1111/j.0006-341X.1999.00732.x"
    ),
    "prediction t": (
        "Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects "
        "meta-analysis. J R Stat Soc A 2009;172:137-159. "
        "https://doi.org/10.1111/j.1467-985X.2008.00552.x"
    ),
    "kr": (
        "Partlett C, Riley RD. Random effects meta-analysis: coverage performance of 95% "
        "confidence and prediction intervals following REML estimation. Stat Med 2017;36:301-317. "
        "https://doi.org/10.1002/sim.7140"
    ),
    "prediction nnf": (
        "Nagashima K, Noma H, Furukawa TA. Prediction intervals for random-effects meta-analysis: "
        "a confidence distribution approach. Stat Methods Med Res 2019;28:1689-1702. "
        "https://doi.org/10.1177/0962280218773520"
    ),
    "prediction wang-lee": (
        "Wang CC, Lee WC. A simple method to estimate prediction intervals and predictive "
        "distributions: summarizing meta-analyses beyond means and confidence intervals. Res "
        "Synth Methods 2019;10:255-266. https://doi.org/10.1002/jrsm.1345"
    ),
    "q-profile": (
        "Viechtbauer W. Confidence intervals for the amount of heterogeneity in meta-analysis. "
        "Stat Med 2007;26:37-52. https://doi.org/10.1002/sim.2514"
    ),
    "Mantel-Haenszel": (
        "Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective "
        "studies of disease. J Natl Cancer Inst 1959;22:719-748. "
        "https://doi.org/10.1093/jnci/22.4.719"
    ),
    "Peto's one-step method": (
        "Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after "
        "myocardial infarction: an overview of the randomized trials. Prog Cardiovasc Dis "
        "1985;27:335-371. https://doi.org/10.1016/S0033-0620(85)80003-7"
    ),
    "Binomial-normal model": (
        "Stijnen T, Hamza TH, Ozdemir P. Random effects meta-analysis of event outcome in the "
        "framework of the generalized linear mixed model with applications in sparse data. Stat "
        "Med 2010;29:3046-3067. https://doi.org/10.1002/sim.4040"
    ),
    "Beta-binomial model": (
        "Kuss O. Statistical methods for meta-analyses including information from studies without "
        "any events - add nothing to nothing and succeed nevertheless. Stat Med "
        "2015;34:1097-1116. https://doi.org/10.1002/sim.6383"
    ),
    "Logistic-normal model": (
        "Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven "
        "random-effects models for meta-analyses that estimate the summary odds ratio. Stat Med "
        "2018;37:1059-1085. https://doi.org/10.1002/sim.7588"
    ),
    "Firth-penalised logistic model": (
        "Firth D. Bias reduction of maximum likelihood estimates. Biometrika 1993;80:27-38. "
        "https://doi.org/10.1093/biomet/80.1.27"
    ),
    "Combined exact p-value functions": (
        "Liu D, Liu RY, Xie M. Exact meta-analysis approach for discrete data and its application "
        "to 2 x 2 tables with rare events. J Am Stat Assoc 2014;109:1450-1465. "
        "https://doi.org/10.1080/01621459.2014.946318"
    ),
    "Bayesian random-effects model": (
        "Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat "
        "Softw 2020;93(6). https://doi.org/10.18637/jss.v093.i06"
    ),
    "koopman": (
        "Koopman PAR. Confidence intervals for the ratio of two binomial proportions. Biometrics "
        "1984;40:513-517. https://doi.org/10.2307/2531405"
    ),
    "meta-regression": (
        "Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and "
        "interpreted? Stat Med 2002;21:1559-1573. https://doi.org/10.1002/sim.1187"
    ),
    "subgroups": (
        "Borenstein M, Higgins JPT. Meta-analysis and subgroups. Prev Sci 2013;14:134-143. "
        "https://doi.org/10.1007/s11121-013-0377-7"
    ),
    "multilevel": (
        "Konstantopoulos S. Fixed effects and variance components estimation in three-level "
        "meta-analysis. Res Synth Methods 2011;2:61-76. https://doi.org/10.1002/jrsm.35"
    ),
    "cluster-robust": (
        "Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation "
        "and hypothesis testing in fixed effects models. J Bus Econ Stat 2018;36:672-683. "
        "https://doi.org/10.1080/07350015.2016.1247004"
    ),
    "few studies": (
        "Bender R, Friede T, Koch A, et al. Methods for evidence synthesis in the case of very "
        "few studies. Res Synth Methods 2018;9:382-392. https://doi.org/10.1002/jrsm.1297"
    ),
    "number needed": (
        "Altman DG. Confidence intervals for the number needed to treat. BMJ 1998;317:1309-1312. "
        "https://doi.org/10.1136/bmj.317.7168.1309"
    ),
    "information size": (
        "Wetterslev J, Thorlund K, Brok J, Gluud C. Estimating required information size by "
        "quantifying diversity in random-effects model meta-analyses. BMC Med Res Methodol "
        "2009;9:86. https://doi.org/10.1186/1471-2288-9-86"
    ),
    "boundaries": (
        "Lan KKG, DeMets DL. Discrete sequential boundaries for clinical trials. Biometrika "
        "1983;70:659-663."
    ),
    "GRADE": (
        "Guyatt GH, Oxman AD, Vist GE, et al. GRADE: an emerging consensus on rating quality of "
        "evidence and strength of recommendations. BMJ 2008;336:924-926. "
        "https://doi.org/10.1136/bmj.39489.470347.AD"
    ),
    "few trials": (
        "Sterne JAC et al. Recommendations for examining and interpreting funnel plot asymmetry "
        "in meta-analyses of randomised controlled trials. BMJ 2011;343:d4002. "
        "https://doi.org/10.1136/bmj.d4002"
    ),
    "egger": (
        "Egger M, Davey Smith G, Schneider M, Minder C. Bias in meta-analysis detected by a "
        "simple, graphical test. BMJ 1997;315:629-634. https://doi.org/10.1136/bmj.315.7109.629"
    ),
    "thompson": (
        "Thompson SG, Sharp SJ. Explaining heterogeneity in meta-analysis: a comparison of "
        "methods. Stat Med 1999;18:2693-2708. "
        "https://doi.org/10.1002/(SICI)1097-0258(19991030)18:20<2693::AID-SIM235>3.0.CO;2-V"
    ),
    "begg": (
        "Begg CB, Mazumdar M. Operating characteristics of a rank correlation test for "
        "publication bias. Biometrics 1994;50:1088-1101. https://doi.org/10.2307/2533446"
    ),
    "harbord": (
        "Harbord RM, Egger M, Sterne JAC. A modified test for small-study effects in "
        "meta-analyses of controlled trials with binary endpoints. Stat Med 2006;25:3443-3457. "
        "https://doi.org/10.1002/sim.2380"
    ),
    "peters": (
        "Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Comparison of two methods to "
        "detect publication bias in meta-analysis. JAMA 2006;295:676-680. "
        "https://doi.org/10.1001/jama.295.6.676"
    ),
    "macaskill": (
        "Macaskill P, Walter SD, Irwig L. A comparison of methods to detect publication bias in "
        "meta-analysis. Stat Med 2001;20:641-654. https://doi.org/10.1002/sim.698"
    ),
    "deeks": (
        "Deeks JJ, Macaskill P, Irwig L. The performance of tests of publication bias and other "
        "sample size effects in systematic reviews of diagnostic test accuracy was assessed. J "
        "Clin Epidemiol 2005;58:882-893. https://doi.org/10.1016/j.jclinepi.2005.01.016"
    ),
    "pustejovsky": (
        "Pustejovsky JE, Rodgers MA. Testing for funnel plot asymmetry of standardized mean "
        "differences. Res Synth Methods 2019;10:57-71. https://doi.org/10.1002/jrsm.1332"
    ),
    "schwarzer": (
        "Schwarzer G, Antes G, Schumacher M. A test for publication bias in meta-analysis with "
        "sparse binary data. Stat Med 2007;26:721-733"
    ),
    "arcsine": (
        "Rücker G, Schwarzer G, Carpenter J. Arcsine test for publication bias in meta-analyses "
        "with binary outcomes. Stat Med 2008;27:746-763. https://doi.org/10.1002/sim.2971"
    ),
    "trim and fill": (
        "Duval S, Tweedie R. Trim and fill: a simple funnel-plot-based method of testing and "
        "adjusting for publication bias in meta-analysis. Biometrics 2000;56:455-463. "
        "https://doi.org/10.1111/j.0006-341x.2000.00455.x"
    ),
    "PET-PEESE": (
        "Stanley TD, Doucouliagos H. Meta-regression approximations to reduce publication "
        "selection bias. Res Synth Methods 2014;5:60-78. https://doi.org/10.1002/jrsm.1095"
    ),
    "limit": (
        "Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M. Treatment-effect estimates "
        "adjusted for small-study effects via a limit meta-analysis. Biostatistics "
        "2011;12:122-142. https://doi.org/10.1093/biostatistics/kxq046"
    ),
    "step": (
        "Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence "
        "of publication bias. Psychometrika 1995;60:419-435. https://doi.org/10.1007/BF02294384"
    ),
    "given weights": (
        "Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a "
        "priori weight functions. Psychol Methods 2005;10:428-443. "
        "https://doi.org/10.1037/1082-989X.10.4.428"
    ),
    "beta": (
        "Citkowicz M, Vevea JL. A parsimonious weight function for modeling publication bias. "
        "Psychol Methods 2017;22:28-41. https://doi.org/10.1037/met0000119"
    ),
    "other weights": (
        "Preston C, Ashby D, Smyth R. Adjusting for publication bias: modelling the selection "
        "process. J Eval Clin Pract 2004;10:313-322. "
        "https://doi.org/10.1111/j.1365-2753.2003.00457.x"
    ),
    "copas": (
        "Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. "
        "Stat Methods Med Res 2001;10:251-265. https://doi.org/10.1177/096228020101000402"
    ),
    "rosenthal": (
        "Rosenthal R. The file drawer problem and tolerance for null results. Psychol Bull "
        "1979;86:638-641. https://doi.org/10.1037/0033-2909.86.3.638"
    ),
    "orwin": (
        "Orwin RG. A fail-safe N for effect size in meta-analysis. J Educ Stat 1983;8:157-159. "
        "https://doi.org/10.3102/10769986008002157"
    ),
    "rosenberg": (
        "Rosenberg MS. The file-drawer problem revisited: a general weighted method for "
        "calculating fail-safe numbers in meta-analysis. Evolution 2005;59:464-468. "
        "https://doi.org/10.1111/j.0014-3820.2005.tb01004.x"
    ),
    "excess": (
        "Ioannidis JPA, Trikalinos TA. An exploratory test for an excess of significant findings. "
        "Clin Trials 2007;4:245-253. https://doi.org/10.1177/1740774507079441"
    ),
    "S-value": (
        "Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J "
        "R Stat Soc C 2020;69:1091-1119. https://doi.org/10.1111/rssc.12440"
    ),
    "E-value": (
        "VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the "
        "E-value. Ann Intern Med 2017;167:268-274. https://doi.org/10.7326/M16-2607"
    ),
    "tau2": (
        "Veroniki AA, Jackson D, Viechtbauer W, et al. Methods to estimate the between-study "
        "variance and its uncertainty in meta-analysis. Res Synth Methods 2016;7:55-79. "
        "https://doi.org/10.1002/jrsm.1164"
    ),
    "intervals": (
        "Röver C, Knapp G, Friede T. Hartung-Knapp-Sidik-Jonkman approach and its modification "
        "for random-effects meta-analysis with few studies. BMC Med Res Methodol 2015;15:99. "
        "https://doi.org/10.1186/s12874-015-0091-1"
    ),
    "zero cells": (
        "Sweeting MJ, Sutton AJ, Lambert PC. What to add to nothing? Use and avoidance of "
        "continuity corrections in meta-analysis of sparse data. Stat Med 2004;23:1351-1375. "
        "https://doi.org/10.1002/sim.1761"
    ),
    "follow-up": (
        "Greenwood M. The natural duration of cancer. London: His Majesty's Stationery Office; 1926"
    ),
    "gamble-hollis": (
        "Gamble C, Hollis S. Uncertainty method improved on best-worst case analysis in a binary "
        "meta-analysis. J Clin Epidemiol 2005;58:579-588. "
        "https://doi.org/10.1016/j.jclinepi.2004.09.013"
    ),
    "influence": (
        "Viechtbauer W, Cheung MWL. Outlier and influence diagnostics for meta-analysis. Res "
        "Synth Methods 2010;1:112-125. https://doi.org/10.1002/jrsm.11"
    ),
    "Baujat": (
        "Baujat B, Mahé C, Pignon JP, Hill C. A graphical method for exploring heterogeneity in "
        "meta-analyses: application to a meta-analysis of 65 trials. Stat Med 2002;21:2641-2652. "
        "https://doi.org/10.1002/sim.1221"
    ),
    "subsets": (
        "Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. "
        "Res Synth Methods 2012;3:214-223. https://doi.org/10.1002/jrsm.1053"
    ),
    "percentages": (
        "Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in "
        "the reporting of results in psychology. Soc Psychol Personal Sci 2017;8:363-369. "
        "https://doi.org/10.1177/1948550616673876"
    ),
    "imor": (
        "White IR, Higgins JPT, Wood AM. Allowing for uncertainty due to missing data in "
        "meta-analysis. Part 1: two-stage methods. Stat Med 2008;27:711-727. "
        "https://doi.org/10.1002/sim.3008"
    ),
    "trial fragility": (
        "Walsh M, Srinathan SK, McAuley DF, et al. The statistical significance of randomized "
        "controlled trial results is frequently fragile: a case for a Fragility Index. J Clin "
        "Epidemiol 2014;67:622-628. https://doi.org/10.1016/j.jclinepi.2013.10.019"
    ),
    "pooled fragility": (
        "Atal I, Porcher R, Boutron I, Ravaud P. The statistical significance of meta-analyses is "
        "frequently fragile: definition of a fragility index for meta-analyses. J Clin Epidemiol "
        "2019;111:32-40. https://doi.org/10.1016/j.jclinepi.2019.03.012"
    ),
    "multiverse": (
        "Voracek M, Kossmeier M, Tran US. Which data to meta-analyze, and how? A "
        "specification-curve and multiverse-analysis approach to meta-analysis. Z Psychol "
        "2019;227:64-82. https://doi.org/10.1027/2151-2604/a000357"
    ),
    "specification curve": (
        "Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav "
        "2020;4:1208-1214. https://doi.org/10.1038/s41562-020-0912-z"
    ),
    "simulation": (
        "Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical "
        "methods. Stat Med 2019;38:2074-2102. https://doi.org/10.1002/sim.8086"
    ),
}
"""Every paper that is cited, by its key: most keys are the word a method goes by."""

METHOD_KEYS: Mapping[str, str] = {
    word: key
    for key, words in {
        "REML": ("ML", "HE", "HS"),
        "DL2": ("CA2",),
        "tau2": ("PMM", "EB", "HSk", "SJ"),
        "prediction t": ("prediction hts",),
        "kr": ("prediction hk", "prediction hk-pr", "prediction kr", "prediction kr-pr"),
        "Binomial-normal model": (
            "Hypergeometric-normal model (CM.EL)",
            "Conditional binomial-normal model (CM.AL)",
            "Binomial model",
            "Exact conditional model",
        ),
        "percentages": ("GRIM",),
    }.items()
    for word in words
}
"""Words of methods that share a paper, each with the key of that paper."""


def papers_of(words: Iterable[str]) -> list[str]:
    """List the papers behind the words of methods, each once, in the order of the bibliography."""
    keys = {METHOD_KEYS.get(word, word) for word in words}
    return [paper for key, paper in PAPERS.items() if key in keys]


def short_references(*words: str) -> str:
    """Write the papers of methods in brackets, e.g. ``" (Kuss 2015)"``; empty for none."""
    found = [_short(paper) for paper in papers_of(words)]
    return f" ({'; '.join(found)})" if found else ""


def _short(paper: str) -> str:
    """Write the first author and the year of a paper."""
    first = re.split(r",|\. | et al", paper)[0]
    author = first.rpartition(" ")[0]
    year = re.search(r"\b(?:19|20)\d\d(?=;|[.:]? |[.:]?$)", paper)  # before a volume, or an end
    return f"{author} {year.group()}" if year else author


def cited(text: str, *keys: str) -> str:
    """Close a sentence with its papers in full."""
    papers = "; ".join(PAPERS[key] for key in keys)
    return f"{text.removesuffix('.')} ({papers})." if keys else text
