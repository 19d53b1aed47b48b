"""Empirical priors: what earlier meta-analyses say of the heterogeneity and the mean effect.

Each is stated on the scale of one measure and is refused for another.

References
----------
.. [1] Turner RM, Davey J, Clarke MJ, Thompson SG, Higgins JPT. Predicting the extent of
   heterogeneity in meta-analysis, using empirical data from the Cochrane Database of Systematic
   Reviews. Int J Epidemiol 2012;41:818-827. https://doi.org/10.1093/ije/dys041
.. [2] Turner RM, Jackson D, Wei Y, Thompson SG, Higgins JPT. Predictive distributions for
   between-study heterogeneity and simple methods for their application in Bayesian meta-analysis.
   Stat Med 2015;34:984-998. https://doi.org/10.1002/sim.6381
.. [3] Rhodes KM, Turner RM, Higgins JPT. Predictive distributions were developed for the extent of
   heterogeneity in meta-analyses of continuous outcome data. J Clin Epidemiol 2015;68:52-60.
   https://doi.org/10.1016/j.jclinepi.2014.08.012
.. [4] Bartoš F, Gronau QF, Timmers B, Otte WM, Ly A, Wagenmakers EJ. Bayesian model-averaged
   meta-analysis in medicine. Stat Med 2021;40:6743-6761. https://doi.org/10.1002/sim.9170
.. [5] Bartoš F, Otte WM, Gronau QF, Timmers B, Ly A, Wagenmakers EJ. Empirical prior distributions
   for Bayesian meta-analyses of binary and time to event outcomes. arXiv 2023;2306.11468.
   https://doi.org/10.48550/arXiv.2306.11468
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from kapmeta.core.bayes.priors import TauPrior, half_normal, inverse_gamma, log_normal, log_t, text

TURNER_2012: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("all-cause mortality", "pharmacological v placebo"): (-4.06, 1.45),
        ("all-cause mortality", "pharmacological v pharmacological"): (-4.27, 1.48),
        ("all-cause mortality", "non-pharmacological"): (-3.93, 1.51),
        ("semi-objective", "pharmacological v placebo"): (-3.02, 1.85),
        ("semi-objective", "pharmacological v pharmacological"): (-3.23, 1.88),
        ("semi-objective", "non-pharmacological"): (-2.89, 1.91),
        ("subjective", "pharmacological v placebo"): (-2.13, 1.58),
        ("subjective", "pharmacological v pharmacological"): (-2.34, 1.62),
        ("subjective", "non-pharmacological"): (-2.01, 1.64),
        ("general", "any"): (-2.56, 1.74),
    }
)
"""Mean and sd of ``ln(tau^2)`` of log odds ratios [1]_, by outcome and comparison."""

TURNER_2015: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("signs or symptoms", "pharmacological v placebo"): (-2.06, 1.51),
        ("mental health", "pharmacological v placebo"): (-2.12, 1.53),
        ("withdrawals", "pharmacological v placebo"): (-2.99, 1.74),
        ("biological markers", "pharmacological v placebo"): (-1.77, 1.52),
        ("signs or symptoms", "non-pharmacological"): (-2.28, 1.71),
        ("mental health", "non-pharmacological"): (-2.34, 1.72),
    }
)
"""The same by finer outcome types [2]_."""

RHODES_2015: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {
        ("mental health", "pharmacological v placebo"): (-2.99, 2.16),
        ("subjective", "pharmacological v placebo"): (-2.76, 2.58),
        ("general", "any"): (-3.44, 2.59),
    }
)
"""Location and scale of ``ln(tau^2)``, t on 5 df, of standardised mean differences [3]_."""


def _row(
    table: Mapping[tuple[str, str], tuple[float, float]], outcome: str, comparison: str
) -> tuple[float, float]:
    if (text(outcome, "outcome"), text(comparison, "comparison")) not in table:
        rows = "; ".join(f'"{o}", "{c}"' for o, c in table)
        raise ValueError(
            f'no empirical prior for outcome "{outcome}" and comparison "{comparison}";'
            f" use one of: {rows}"
        )
    return table[outcome, comparison]


def turner(outcome: str = "subjective", comparison: str = "pharmacological v placebo") -> TauPrior:
    """Look up an empirical prior of the heterogeneity of log odds ratios [1]_, [2]_.

    For log odds ratios only; `empirical` has priors of log risk ratios by field.

    Parameters
    ----------
    outcome, comparison : str
        A row of `TURNER_2012` or `TURNER_2015`.

    Returns
    -------
    TauPrior
        Log-normal for tau squared.

    References
    ----------
    .. [1] Turner RM, Davey J, Clarke MJ, Thompson SG, Higgins JPT. Int J Epidemiol 2012;41:818-827.
       https://doi.org/10.1093/ije/dys041
    .. [2] Turner RM, Jackson D, Wei Y, Thompson SG, Higgins JPT. Stat Med 2015;34:984-998.
       https://doi.org/10.1002/sim.6381

    Examples
    --------
    >>> turner("subjective", "pharmacological v placebo").name
    'log-normal(-2.13, 1.58), Turner, subjective, pharmacological v placebo'
    """
    mean, sd = _row({**TURNER_2012, **TURNER_2015}, outcome, comparison)
    origin = f"Turner, {outcome}, {comparison}"
    return log_normal(mean, sd, origin=origin)._replace(measure="OR")


def rhodes(
    outcome: str = "mental health", comparison: str = "pharmacological v placebo"
) -> TauPrior:
    """Look up an empirical prior of the heterogeneity of standardised mean differences [1]_.

    Not for ratios; see `turner`.

    Parameters
    ----------
    outcome, comparison : str
        A row of `RHODES_2015`.

    Returns
    -------
    TauPrior
        Log-t with 5 degrees of freedom for tau squared.

    Raises
    ------
    ValueError
        If the table has no such row.

    References
    ----------
    .. [1] Rhodes KM, Turner RM, Higgins JPT. J Clin Epidemiol 2015;68:52-60.
       https://doi.org/10.1016/j.jclinepi.2014.08.012

    Examples
    --------
    >>> rhodes().origin
    'Rhodes, mental health, pharmacological v placebo'
    """
    location, scale = _row(RHODES_2015, outcome, comparison)
    origin = f"Rhodes, {outcome}, {comparison}"
    return log_t(location, scale, origin=origin)._replace(measure="SMD")


class MeanPrior(NamedTuple):
    """A t distribution as the prior of a mean effect, stated on the scale of one measure."""

    location: float
    scale: float
    df: float
    origin: str = ""
    measure: str = ""

    @property
    def name(self) -> str:
        """Family and parameters, as in ``t(0, 0.22, 4 df)``."""
        values = f"t({self.location:g}, {self.scale:g}, {self.df:g} df)"
        return f"{values}, {self.origin}" if self.origin else values


FIELD_MEASURES: Mapping[str, str] = MappingProxyType(
    {"RR": "logrr", "OR": "logor", "RD": "rd", "HR": "loghr", "SMD": "smd"}
)
"""The word of the table of fields for the scale of each measure it covers."""


@lru_cache(maxsize=1)
def _field_rows() -> Mapping[tuple[str, str, str], Mapping[str, str]]:
    """Read the table of fields [4]_, [5]_: rows by measure, parameter and field."""
    table = resources.files(__package__).joinpath("cochrane_fields.csv")
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    return {(row["measure"], row["parameter"], row["field"]): row for row in rows}


def _field_row(field: str, measure: str, parameter: str) -> Mapping[str, str]:
    """Look up a row of the table of fields; refuse an unknown measure or field by name."""
    if text(measure, "measure") not in FIELD_MEASURES:
        raise ValueError(
            f'no empirical prior for measure "{measure}"; use one of: {", ".join(FIELD_MEASURES)}'
        )
    rows, word = _field_rows(), FIELD_MEASURES[measure]
    if (word, parameter, text(field, "field")) not in rows:
        fields = [f for m, p, f in rows if (m, p) == (word, parameter)]
        raise ValueError(
            f'no empirical prior for field "{field}" and measure {measure}; use one of:'
            f" {'; '.join(fields)}"
        )
    return rows[word, parameter, field]


def empirical(field: str, *, measure: str) -> TauPrior:
    """Look up the empirical prior of the heterogeneity in a field of medicine [1]_, [2]_.

    Fitted to the meta-analyses of one Cochrane group, or of all of them (``"Cochrane"``). Use it on
    the scale of its measure only; another is refused.

    Parameters
    ----------
    field : str
        A Cochrane group, e.g. ``"Tobacco Addiction"``, or ``"Cochrane"``.
    measure : {"RR", "OR", "RD", "HR", "SMD"}
        The measure of the effects.

    Returns
    -------
    TauPrior
        Inverse gamma for tau; half-normal for risk differences.

    Raises
    ------
    ValueError
        If the table has no such field or measure.

    References
    ----------
    .. [1] Bartoš F, Gronau QF, Timmers B, Otte WM, Ly A, Wagenmakers EJ. Bayesian model-averaged
       meta-analysis in medicine. Stat Med 2021;40:6743-6761. https://doi.org/10.1002/sim.9170
    .. [2] Bartoš F, Otte WM, Gronau QF, Timmers B, Ly A, Wagenmakers EJ. Empirical prior
       distributions for Bayesian meta-analyses of binary and time to event outcomes.
       arXiv 2023;2306.11468.
       https://doi.org/10.48550/arXiv.2306.11468

    Examples
    --------
    >>> empirical("Drugs and Alcohol", measure="RR").name
    'inverse-gamma(1.58, 0.2), Bartoš, Drugs and Alcohol'
    """
    row, origin = _field_row(field, measure, "heterogeneity"), f"Bartoš, {field}"
    if row["distribution"] == "normal":  # of a standard deviation, so cut at 0
        return half_normal(float(row["sd"]))._replace(origin=origin, measure=measure)
    shape, scale = float(row["shape"]), float(row["scale"])
    return inverse_gamma(shape, scale, origin=origin)._replace(measure=measure)


def empirical_mean(field: str, *, measure: str) -> MeanPrior:
    """Look up the empirical prior of the mean effect in a field of medicine [1]_, [2]_.

    Parameters
    ----------
    field, measure
        As in `empirical`.

    Returns
    -------
    MeanPrior
        A t distribution about no effect.

    Raises
    ------
    ValueError
        If the table has no such field or measure.

    References
    ----------
    .. [1] Bartoš F, Gronau QF, Timmers B, Otte WM, Ly A, Wagenmakers EJ. Bayesian model-averaged
       meta-analysis in medicine. Stat Med 2021;40:6743-6761. https://doi.org/10.1002/sim.9170
    .. [2] Bartoš F, Otte WM, Gronau QF, Timmers B, Ly A, Wagenmakers EJ. Empirical prior
       distributions for Bayesian meta-analyses of binary and time to event outcomes.
       arXiv 2023;2306.11468.
       https://doi.org/10.48550/arXiv.2306.11468

    Examples
    --------
    >>> empirical_mean("Drugs and Alcohol", measure="OR").name
    't(0, 0.44, 4 df), Bartoš, Drugs and Alcohol'
    """
    row = _field_row(field, measure, "effect")
    location, scale, df = (float(row[name]) for name in ("location", "scale", "df"))
    return MeanPrior(location, scale, df, f"Bartoš, {field}", measure)
