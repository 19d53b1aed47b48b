"""kapmeta: honest meta-analysis of few, sparse trials.

>>> import kapmeta as km
>>> trials = km.load_evidence().trials(substance="cocaine", window="end of trial")
>>> km.pool(km.risk_ratio(trials))
Pooled(RR 4.49 (95 % CI 1.44 to 14.03), k=1, one trial, not pooled)

Names are loaded when they are first used, so that ``import kapmeta`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "core": ("kapmeta.core",),
    "plot": ("kapmeta.plot",),
    "protocol": ("kapmeta.protocol",),
    "reproduce": ("kapmeta.reproduce",),
    "PRIMARY": ("kapmeta.protocol", "PRIMARY"),
    "Method": ("kapmeta.protocol", "Method"),
    "Effects": ("kapmeta.results", "Effects"),
    "Pooled": ("kapmeta.results", "Pooled"),
    "Sweep": ("kapmeta.results", "Sweep"),
    "load_evidence": ("kapmeta.evidence", "load_evidence"),
    "risk_ratio": ("kapmeta.effects", "risk_ratio"),
    "odds_ratio": ("kapmeta.effects", "odds_ratio"),
    "risk_difference": ("kapmeta.effects", "risk_difference"),
    "arcsine_difference": ("kapmeta.effects", "arcsine_difference"),
    "peto_odds_ratio": ("kapmeta.effects", "peto_odds_ratio"),
    "complement": ("kapmeta.effects", "complement"),
    "reported": ("kapmeta.effects", "reported"),
    "generic": ("kapmeta.effects", "generic"),
    "mean_difference": ("kapmeta.mean_effects", "mean_difference"),
    "standardized_mean_difference": ("kapmeta.mean_effects", "standardized_mean_difference"),
    "ratio_of_means": ("kapmeta.mean_effects", "ratio_of_means"),
    "proportion": ("kapmeta.group_effects", "proportion"),
    "correlation": ("kapmeta.group_effects", "correlation"),
    "rate_ratio": ("kapmeta.group_effects", "rate_ratio"),
    "pool": ("kapmeta.pooling", "pool"),
    "mantel_haenszel": ("kapmeta.stratification", "mantel_haenszel"),
    "peto": ("kapmeta.stratification", "peto"),
    "subgroups": ("kapmeta.moderators", "subgroups"),
    "meta_regression": ("kapmeta.moderators", "meta_regression"),
    "likelihood_ratio": ("kapmeta.moderators", "likelihood_ratio"),
    "multilevel": ("kapmeta.dependent_effects", "multilevel"),
    "multivariate": ("kapmeta.dependent_effects", "multivariate"),
    "aggregate": ("kapmeta.dependent_effects", "aggregate"),
    "robust": ("kapmeta.cluster_robust", "robust"),
    "contrasts": ("kapmeta.designs", "contrasts"),
    "refuse_double_counting": ("kapmeta.designs", "refuse_double_counting"),
    "combine_arms": ("kapmeta.designs", "combine_arms"),
    "factorial": ("kapmeta.designs", "factorial"),
    "sampling_covariance": ("kapmeta.covariances", "sampling_covariance"),
    "dose_trend": ("kapmeta.doses", "dose_trend"),
    "abstinence_curve": ("kapmeta.follow_up", "abstinence_curve"),
    "relapse_hazard_ratio": ("kapmeta.follow_up", "relapse_hazard_ratio"),
    "time_abstinent": ("kapmeta.follow_up", "time_abstinent"),
    "asymmetry_test": ("kapmeta.small_study", "asymmetry_test"),
    "trim_and_fill": ("kapmeta.small_study", "trim_and_fill"),
    "pet_peese": ("kapmeta.small_study", "pet_peese"),
    "selection_model": ("kapmeta.small_study", "selection_model"),
    "limit_meta_analysis": ("kapmeta.small_study", "limit_meta_analysis"),
    "copas": ("kapmeta.small_study", "copas"),
    "fail_safe_n": ("kapmeta.small_study", "fail_safe_n"),
    "excess_significance": ("kapmeta.small_study", "excess_significance"),
    "publication_bias_sensitivity": ("kapmeta.small_study", "publication_bias_sensitivity"),
    "e_value": ("kapmeta.small_study", "e_value"),
    "leave_two_out": ("kapmeta.sensitivity", "leave_two_out"),
    "cumulative": ("kapmeta.sensitivity", "cumulative"),
    "influence": ("kapmeta.sensitivity", "influence"),
    "baujat": ("kapmeta.sensitivity", "baujat"),
    "all_subsets": ("kapmeta.sensitivity", "all_subsets"),
    "pooled_measures": ("kapmeta.choices", "pooled_measures"),
    "rounded_counts": ("kapmeta.choices", "rounded_counts"),
    "at_time": ("kapmeta.choices", "at_time"),
    "missing_outcomes": ("kapmeta.missingness", "missing_outcomes"),
    "tipping_point": ("kapmeta.tipping", "tipping_point"),
    "fragility_index": ("kapmeta.tipping", "fragility_index"),
    "multiverse": ("kapmeta.universes", "multiverse"),
    "calibration": ("kapmeta.calibration_card", "calibration"),
    "sensitivity_table": ("kapmeta.robustness", "sensitivity_table"),
    "absolute_effects": ("kapmeta.certainty", "absolute_effects"),
    "number_needed_to_treat": ("kapmeta.certainty", "number_needed_to_treat"),
    "information_size": ("kapmeta.certainty", "information_size"),
    "imprecision": ("kapmeta.certainty", "imprecision"),
    "probability_beyond": ("kapmeta.certainty", "probability_beyond"),
    "summary_of_findings": ("kapmeta.findings", "summary_of_findings"),
    "certainty_table": ("kapmeta.findings", "certainty_table"),
    "headline_effect": ("kapmeta.findings", "headline_effect"),
    "audit_claims": ("kapmeta.claims", "audit_claims"),
    "check_claims": ("kapmeta.claims", "check_claims"),
    "bias_adjusted": ("kapmeta.bias_judgements", "bias_adjusted"),
    "low_risk_only": ("kapmeta.bias_judgements", "low_risk_only"),
    "rob2_judgements": ("kapmeta.bias_judgements", "rob2_judgements"),
    "robins_i_overall": ("kapmeta.bias_judgements", "robins_i_overall"),
    "check_bias_judgements": ("kapmeta.bias_judgements", "check_bias_judgements"),
    "cite": ("kapmeta.citing", "cite"),
    "report": ("kapmeta.report",),
    "pool_exact": ("kapmeta.exact", "pool_exact"),
    "pool_bayes": ("kapmeta.bayes", "pool_bayes"),
    "borrow": ("kapmeta.bayes", "borrow"),
    "headline": ("kapmeta.headlines", "headline"),
    "half_normal": ("kapmeta.core.priors", "half_normal"),
    "half_cauchy": ("kapmeta.core.priors", "half_cauchy"),
    "uniform": ("kapmeta.core.priors", "uniform"),
    "log_normal": ("kapmeta.core.priors", "log_normal"),
    "turner": ("kapmeta.core.priors", "turner"),
    "rhodes": ("kapmeta.core.priors", "rhodes"),
    "leave_one_out": ("kapmeta.sensitivity", "leave_one_out"),
    "estimator_table": ("kapmeta.choices", "estimator_table"),
    "zero_rules": ("kapmeta.choices", "zero_rules"),
    "load_example": ("kapmeta.examples", "load_example"),
    "registered": ("kapmeta.answering", "registered"),
    "registered_effects": ("kapmeta.answering", "registered_effects"),
    "every_measure": ("kapmeta.answering", "every_measure"),
    "conclusion": ("kapmeta.answering", "conclusion"),
    "substances_table": ("kapmeta.answering", "substances_table"),
    "evidence_table": ("kapmeta.answering", "evidence_table"),
}
"""Public name -> where it lives."""

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from kapmeta import core as core
    from kapmeta import plot as plot
    from kapmeta import protocol as protocol
    from kapmeta import report as report
    from kapmeta import reproduce as reproduce
    from kapmeta.answering import conclusion as conclusion
    from kapmeta.answering import every_measure as every_measure
    from kapmeta.answering import evidence_table as evidence_table
    from kapmeta.answering import registered as registered
    from kapmeta.answering import registered_effects as registered_effects
    from kapmeta.answering import substances_table as substances_table
    from kapmeta.bayes import borrow as borrow
    from kapmeta.bayes import pool_bayes as pool_bayes
    from kapmeta.bias_judgements import bias_adjusted as bias_adjusted
    from kapmeta.bias_judgements import check_bias_judgements as check_bias_judgements
    from kapmeta.bias_judgements import low_risk_only as low_risk_only
    from kapmeta.bias_judgements import rob2_judgements as rob2_judgements
    from kapmeta.bias_judgements import robins_i_overall as robins_i_overall
    from kapmeta.calibration_card import calibration as calibration
    from kapmeta.certainty import absolute_effects as absolute_effects
    from kapmeta.certainty import imprecision as imprecision
    from kapmeta.certainty import information_size as information_size
    from kapmeta.certainty import number_needed_to_treat as number_needed_to_treat
    from kapmeta.certainty import probability_beyond as probability_beyond
    from kapmeta.choices import at_time as at_time
    from kapmeta.choices import estimator_table as estimator_table
    from kapmeta.choices import pooled_measures as pooled_measures
    from kapmeta.choices import rounded_counts as rounded_counts
    from kapmeta.choices import zero_rules as zero_rules
    from kapmeta.citing import cite as cite
    from kapmeta.claims import audit_claims as audit_claims
    from kapmeta.claims import check_claims as check_claims
    from kapmeta.cluster_robust import robust as robust
    from kapmeta.core.priors import half_cauchy as half_cauchy
    from kapmeta.core.priors import half_normal as half_normal
    from kapmeta.core.priors import log_normal as log_normal
    from kapmeta.core.priors import rhodes as rhodes
    from kapmeta.core.priors import turner as turner
    from kapmeta.core.priors import uniform as uniform
    from kapmeta.covariances import sampling_covariance as sampling_covariance
    from kapmeta.dependent_effects import aggregate as aggregate
    from kapmeta.dependent_effects import multilevel as multilevel
    from kapmeta.dependent_effects import multivariate as multivariate
    from kapmeta.designs import combine_arms as combine_arms
    from kapmeta.designs import contrasts as contrasts
    from kapmeta.designs import factorial as factorial
    from kapmeta.designs import refuse_double_counting as refuse_double_counting
    from kapmeta.doses import dose_trend as dose_trend
    from kapmeta.effects import arcsine_difference as arcsine_difference
    from kapmeta.effects import complement as complement
    from kapmeta.effects import generic as generic
    from kapmeta.effects import odds_ratio as odds_ratio
    from kapmeta.effects import peto_odds_ratio as peto_odds_ratio
    from kapmeta.effects import reported as reported
    from kapmeta.effects import risk_difference as risk_difference
    from kapmeta.effects import risk_ratio as risk_ratio
    from kapmeta.evidence import load_evidence as load_evidence
    from kapmeta.exact import pool_exact as pool_exact
    from kapmeta.examples import load_example as load_example
    from kapmeta.findings import certainty_table as certainty_table
    from kapmeta.findings import headline_effect as headline_effect
    from kapmeta.findings import summary_of_findings as summary_of_findings
    from kapmeta.follow_up import abstinence_curve as abstinence_curve
    from kapmeta.follow_up import relapse_hazard_ratio as relapse_hazard_ratio
    from kapmeta.follow_up import time_abstinent as time_abstinent
    from kapmeta.group_effects import correlation as correlation
    from kapmeta.group_effects import proportion as proportion
    from kapmeta.group_effects import rate_ratio as rate_ratio
    from kapmeta.headlines import headline as headline
    from kapmeta.mean_effects import mean_difference as mean_difference
    from kapmeta.mean_effects import ratio_of_means as ratio_of_means
    from kapmeta.mean_effects import standardized_mean_difference as standardized_mean_difference
    from kapmeta.missingness import missing_outcomes as missing_outcomes
    from kapmeta.moderators import likelihood_ratio as likelihood_ratio
    from kapmeta.moderators import meta_regression as meta_regression
    from kapmeta.moderators import subgroups as subgroups
    from kapmeta.pooling import pool as pool
    from kapmeta.protocol import PRIMARY as PRIMARY
    from kapmeta.protocol import Method as Method
    from kapmeta.results import Effects as Effects
    from kapmeta.results import Pooled as Pooled
    from kapmeta.results import Sweep as Sweep
    from kapmeta.robustness import sensitivity_table as sensitivity_table
    from kapmeta.sensitivity import all_subsets as all_subsets
    from kapmeta.sensitivity import baujat as baujat
    from kapmeta.sensitivity import cumulative as cumulative
    from kapmeta.sensitivity import influence as influence
    from kapmeta.sensitivity import leave_one_out as leave_one_out
    from kapmeta.sensitivity import leave_two_out as leave_two_out
    from kapmeta.small_study import asymmetry_test as asymmetry_test
    from kapmeta.small_study import copas as copas
    from kapmeta.small_study import e_value as e_value
    from kapmeta.small_study import excess_significance as excess_significance
    from kapmeta.small_study import fail_safe_n as fail_safe_n
    from kapmeta.small_study import limit_meta_analysis as limit_meta_analysis
    from kapmeta.small_study import pet_peese as pet_peese
    from kapmeta.small_study import publication_bias_sensitivity as publication_bias_sensitivity
    from kapmeta.small_study import selection_model as selection_model
    from kapmeta.small_study import trim_and_fill as trim_and_fill
    from kapmeta.stratification import mantel_haenszel as mantel_haenszel
    from kapmeta.stratification import peto as peto
    from kapmeta.tipping import fragility_index as fragility_index
    from kapmeta.tipping import tipping_point as tipping_point
    from kapmeta.universes import multiverse as multiverse


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta has no "{name}"; {_nearest(name)}dir(kapmeta) lists all names')
    module, *attribute = _HOME[name]
    found = import_module(module)
    value = getattr(found, attribute[0]) if attribute else found
    globals()[name] = value
    return value


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # only here: an import of kapmeta must cost nothing

    near = get_close_matches(name, __all__, n=3)
    return f"did you mean {' or '.join(near)}? " if near else ""


def __dir__() -> list[str]:
    return sorted(__all__)
