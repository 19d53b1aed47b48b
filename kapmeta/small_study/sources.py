"""The papers a methods section cites for each test, adjustment and bound."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "few trials": "Sterne JAC et al. Recommendations for examining and interpreting funnel plot asymmetry in "
        "meta-analyses of randomised controlled trials. BMJ 2011;343:d4002. https://doi.org/10.1136/bmj.d4002",
        "egger": "Egger M, Davey Smith G, Schneider M, Minder C. Bias in meta-analysis detected by a simple, graphical "
        "test. BMJ 1997;315:629-634. https://doi.org/10.1136/bmj.315.7109.629",
        "thompson": "Thompson SG, Sharp SJ. Explaining heterogeneity in meta-analysis: a comparison of methods. Stat "
        "Med 1999;18:2693-2708. "
        "https://doi.org/10.1002/(SICI)1097-0258(19991030)18:20<2693::AID-SIM235>3.0.CO;2-V",
        "begg": "Begg CB, Mazumdar M. Operating characteristics of a rank correlation test for publication bias. "
        "Biometrics 1994;50:1088-1101. https://doi.org/10.2307/2533446",
        "harbord": "Harbord RM, Egger M, Sterne JAC. A modified test for small-study effects in meta-analyses of "
        "controlled trials with binary endpoints. Stat Med 2006;25:3443-3457. https://doi.org/10.1002/sim.2380",
        "peters": "Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Comparison of two methods to detect "
        "publication bias in meta-analysis. JAMA 2006;295:676-680. https://doi.org/10.1001/jama.295.6.676",
        "macaskill": "Macaskill P, Walter SD, Irwig L. A comparison of methods to detect publication bias in "
        "meta-analysis. Stat Med 2001;20:641-654. https://doi.org/10.1002/sim.698",
        "deeks": "Deeks JJ, Macaskill P, Irwig L. The performance of tests of publication bias and other sample size "
        "effects in systematic reviews of diagnostic test accuracy was assessed. J Clin Epidemiol 2005;58:882-893. "
        "https://doi.org/10.1016/j.jclinepi.2005.01.016",
        "pustejovsky": "Pustejovsky JE, Rodgers MA. Testing for funnel plot asymmetry of standardized mean "
        "differences. Res Synth Methods 2019;10:57-71. https://doi.org/10.1002/jrsm.1332",
        "schwarzer": "Schwarzer G, Antes G, Schumacher M. A test for publication bias in meta-analysis with sparse "
        "binary data. Stat Med 2007;26:721-733",
        "arcsine": "Rücker G, Schwarzer G, Carpenter J. Arcsine test for publication bias in meta-analyses with binary "
        "outcomes. Stat Med 2008;27:746-763. https://doi.org/10.1002/sim.2971",
        "trim and fill": "Duval S, Tweedie R. Trim and fill: a simple funnel-plot-based method of testing and "
        "adjusting for publication bias in meta-analysis. Biometrics 2000;56:455-463. "
        "https://doi.org/10.1111/j.0006-341x.2000.00455.x",
        "PET-PEESE": "Stanley TD, Doucouliagos H. Meta-regression approximations to reduce publication selection bias. "
        "Res Synth Methods 2014;5:60-78. https://doi.org/10.1002/jrsm.1095",
        "limit": "Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M. Treatment-effect estimates adjusted for "
        "small-study effects via a limit meta-analysis. Biostatistics 2011;12:122-142. "
        "https://doi.org/10.1093/biostatistics/kxq046",
        "step": "Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of publication "
        "bias. Psychometrika 1995;60:419-435. https://doi.org/10.1007/BF02294384",
        "given weights": "Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a "
        "priori weight functions. Psychol Methods 2005;10:428-443. https://doi.org/10.1037/1082-989X.10.4.428",
        "beta": "Citkowicz M, Vevea JL. A parsimonious weight function for modeling publication bias. Psychol Methods "
        "2017;22:28-41. https://doi.org/10.1037/met0000119",
        "other weights": "Preston C, Ashby D, Smyth R. Adjusting for publication bias: modelling the selection "
        "process. J Eval Clin Pract 2004;10:313-322. https://doi.org/10.1111/j.1365-2753.2003.00457.x",
        "copas": "Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. Stat Methods "
        "Med Res 2001;10:251-265. https://doi.org/10.1177/096228020101000402",
        "rosenthal": "Rosenthal R. The file drawer problem and tolerance for null results. Psychol Bull "
        "1979;86:638-641. https://doi.org/10.1037/0033-2909.86.3.638",
        "orwin": "Orwin RG. A fail-safe N for effect size in meta-analysis. J Educ Stat 1983;8:157-159. "
        "https://doi.org/10.3102/10769986008002157",
        "rosenberg": "Rosenberg MS. The file-drawer problem revisited: a general weighted method for calculating "
        "fail-safe numbers in meta-analysis. Evolution 2005;59:464-468. "
        "https://doi.org/10.1111/j.0014-3820.2005.tb01004.x",
        "excess": "Ioannidis JPA, Trikalinos TA. An exploratory test for an excess of significant findings. Clin "
        "Trials 2007;4:245-253. https://doi.org/10.1177/1740774507079441",
        "S-value": "Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J R Stat "
        "Soc C 2020;69:1091-1119. https://doi.org/10.1111/rssc.12440",
        "E-value": "VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the E-value. "
        "Ann Intern Med 2017;167:268-274. https://doi.org/10.7326/M16-2607",
    }
)
"""Citation by the word of a method."""
