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

from kapmeta._version import __version__

_HOME = {
    "core": ("kapmeta.core",),
    "plot": ("kapmeta.plot",),
    "protocol": ("kapmeta.review.protocol",),
    "reproduce": ("kapmeta.review.reproduce",),
    "PRIMARY": ("kapmeta.methods", "PRIMARY"),
    "Method": ("kapmeta.methods", "Method"),
    "Effects": ("kapmeta.results.effects", "Effects"),
    "Pooled": ("kapmeta.results.pooled", "Pooled"),
    "Sweep": ("kapmeta.results.sweeps", "Sweep"),
    "load_evidence": ("kapmeta.review.evidence", "load_evidence"),
    "risk_ratio": ("kapmeta.effects.counts", "risk_ratio"),
    "odds_ratio": ("kapmeta.effects.counts", "odds_ratio"),
    "risk_difference": ("kapmeta.effects.counts", "risk_difference"),
    "arcsine_difference": ("kapmeta.effects.counts", "arcsine_difference"),
    "peto_odds_ratio": ("kapmeta.effects.counts", "peto_odds_ratio"),
    "complement": ("kapmeta.effects.counts", "complement"),
    "reported": ("kapmeta.effects.estimates", "reported"),
    "generic": ("kapmeta.effects.estimates", "generic"),
    "mean_difference": ("kapmeta.effects.means", "mean_difference"),
    "standardized_mean_difference": ("kapmeta.effects.means", "standardized_mean_difference"),
    "ratio_of_means": ("kapmeta.effects.means", "ratio_of_means"),
    "proportion": ("kapmeta.effects.groups", "proportion"),
    "correlation": ("kapmeta.effects.groups", "correlation"),
    "rate_ratio": ("kapmeta.effects.groups", "rate_ratio"),
    "pool": ("kapmeta.pooling.inverse_variance", "pool"),
    "mantel_haenszel": ("kapmeta.pooling.stratified", "mantel_haenszel"),
    "peto": ("kapmeta.pooling.stratified", "peto"),
    "subgroups": ("kapmeta.moderators.subgroup_pooling", "subgroups"),
    "meta_regression": ("kapmeta.moderators.regression", "meta_regression"),
    "likelihood_ratio": ("kapmeta.moderators.regression", "likelihood_ratio"),
    "multilevel": ("kapmeta.moderators.dependence", "multilevel"),
    "multivariate": ("kapmeta.moderators.dependence", "multivariate"),
    "aggregate": ("kapmeta.moderators.dependence", "aggregate"),
    "robust": ("kapmeta.moderators.cluster_robust", "robust"),
    "contrasts": ("kapmeta.effects.designs", "contrasts"),
    "refuse_double_counting": ("kapmeta.effects.designs", "refuse_double_counting"),
    "combine_arms": ("kapmeta.effects.designs", "combine_arms"),
    "sampling_covariance": ("kapmeta.effects.covariances", "sampling_covariance"),
    "dose_trend": ("kapmeta.moderators.doses", "dose_trend"),
    "event_free_curve": ("kapmeta.effects.follow_up", "event_free_curve"),
    "event_free_time": ("kapmeta.effects.follow_up", "event_free_time"),
    "hazard_ratio": ("kapmeta.effects.follow_up", "hazard_ratio"),
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
    "leave_two_out": ("kapmeta.sensitivity.deletion", "leave_two_out"),
    "cumulative": ("kapmeta.sensitivity.deletion", "cumulative"),
    "influence": ("kapmeta.sensitivity.deletion", "influence"),
    "baujat": ("kapmeta.sensitivity.deletion", "baujat"),
    "all_subsets": ("kapmeta.sensitivity.subsets", "all_subsets"),
    "pooled_measures": ("kapmeta.sensitivity.choices", "pooled_measures"),
    "rounded_counts": ("kapmeta.sensitivity.percentages", "rounded_counts"),
    "at_time": ("kapmeta.sensitivity.choices", "at_time"),
    "missing_outcomes": ("kapmeta.sensitivity.missingness", "missing_outcomes"),
    "tipping_point": ("kapmeta.sensitivity.tipping", "tipping_point"),
    "fragility_index": ("kapmeta.sensitivity.fragility", "fragility_index"),
    "multiverse": ("kapmeta.sensitivity.multiverses", "multiverse"),
    "calibration": ("kapmeta.sensitivity.coverage", "calibration"),
    "sensitivity_table": ("kapmeta.sensitivity.overview", "sensitivity_table"),
    "absolute_effects": ("kapmeta.certainty.absolute_risks", "absolute_effects"),
    "number_needed_to_treat": ("kapmeta.certainty.absolute_risks", "number_needed_to_treat"),
    "information_size": ("kapmeta.certainty.information_sizes", "information_size"),
    "imprecision": ("kapmeta.certainty.imprecisions", "imprecision"),
    "probability_beyond": ("kapmeta.certainty.imprecisions", "probability_beyond"),
    "summary_of_findings": ("kapmeta.certainty.findings", "summary_of_findings"),
    "certainty_table": ("kapmeta.certainty.grading", "certainty_table"),
    "headline_effect": ("kapmeta.pooling.headlines", "headline_effect"),
    "audit_claims": ("kapmeta.review.claims", "audit_claims"),
    "check_claims": ("kapmeta.review.claims", "check_claims"),
    "bias_adjusted": ("kapmeta.certainty.risk_of_bias", "bias_adjusted"),
    "low_risk_only": ("kapmeta.certainty.risk_of_bias", "low_risk_only"),
    "rob2_judgements": ("kapmeta.certainty.risk_of_bias", "rob2_judgements"),
    "robins_i_overall": ("kapmeta.certainty.risk_of_bias", "robins_i_overall"),
    "check_bias_judgements": ("kapmeta.review.risk_of_bias", "check_bias_judgements"),
    "cite": ("kapmeta.citing", "cite"),
    "report": ("kapmeta.review.report",),
    "pool_exact": ("kapmeta.pooling.exact", "pool_exact"),
    "pool_bayes": ("kapmeta.pooling.bayes", "pool_bayes"),
    "headline": ("kapmeta.pooling.headlines", "headline"),
    "half_normal": ("kapmeta.core.bayes.priors", "half_normal"),
    "half_cauchy": ("kapmeta.core.bayes.priors", "half_cauchy"),
    "uniform": ("kapmeta.core.bayes.priors", "uniform"),
    "log_normal": ("kapmeta.core.bayes.priors", "log_normal"),
    "turner": ("kapmeta.core.bayes.priors", "turner"),
    "rhodes": ("kapmeta.core.bayes.priors", "rhodes"),
    "leave_one_out": ("kapmeta.sensitivity.deletion", "leave_one_out"),
    "estimator_table": ("kapmeta.sensitivity.choices", "estimator_table"),
    "zero_rules": ("kapmeta.sensitivity.choices", "zero_rules"),
    "load_example": ("kapmeta.examples", "load_example"),
    "registered": ("kapmeta.review.answering", "registered"),
    "registered_effects": ("kapmeta.review.answering", "registered_effects"),
    "every_measure": ("kapmeta.sensitivity.choices", "every_measure"),
    "conclusion": ("kapmeta.review.conclusions", "conclusion"),
    "substances_table": ("kapmeta.review.answering", "substances_table"),
    "evidence_table": ("kapmeta.review.answering", "evidence_table"),
}
"""Public name -> where it lives."""

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from kapmeta import core as core
    from kapmeta import plot as plot
    from kapmeta.certainty.absolute_risks import absolute_effects as absolute_effects
    from kapmeta.certainty.absolute_risks import number_needed_to_treat as number_needed_to_treat
    from kapmeta.certainty.findings import summary_of_findings as summary_of_findings
    from kapmeta.certainty.grading import certainty_table as certainty_table
    from kapmeta.certainty.imprecisions import imprecision as imprecision
    from kapmeta.certainty.imprecisions import probability_beyond as probability_beyond
    from kapmeta.certainty.information_sizes import information_size as information_size
    from kapmeta.certainty.risk_of_bias import bias_adjusted as bias_adjusted
    from kapmeta.certainty.risk_of_bias import low_risk_only as low_risk_only
    from kapmeta.certainty.risk_of_bias import rob2_judgements as rob2_judgements
    from kapmeta.certainty.risk_of_bias import robins_i_overall as robins_i_overall
    from kapmeta.citing import cite as cite
    from kapmeta.core.bayes.priors import half_cauchy as half_cauchy
    from kapmeta.core.bayes.priors import half_normal as half_normal
    from kapmeta.core.bayes.priors import log_normal as log_normal
    from kapmeta.core.bayes.priors import rhodes as rhodes
    from kapmeta.core.bayes.priors import turner as turner
    from kapmeta.core.bayes.priors import uniform as uniform
    from kapmeta.effects.counts import arcsine_difference as arcsine_difference
    from kapmeta.effects.counts import complement as complement
    from kapmeta.effects.counts import odds_ratio as odds_ratio
    from kapmeta.effects.counts import peto_odds_ratio as peto_odds_ratio
    from kapmeta.effects.counts import risk_difference as risk_difference
    from kapmeta.effects.counts import risk_ratio as risk_ratio
    from kapmeta.effects.covariances import sampling_covariance as sampling_covariance
    from kapmeta.effects.designs import combine_arms as combine_arms
    from kapmeta.effects.designs import contrasts as contrasts
    from kapmeta.effects.designs import refuse_double_counting as refuse_double_counting
    from kapmeta.effects.estimates import generic as generic
    from kapmeta.effects.estimates import reported as reported
    from kapmeta.effects.follow_up import event_free_curve as event_free_curve
    from kapmeta.effects.follow_up import event_free_time as event_free_time
    from kapmeta.effects.follow_up import hazard_ratio as hazard_ratio
    from kapmeta.effects.groups import correlation as correlation
    from kapmeta.effects.groups import proportion as proportion
    from kapmeta.effects.groups import rate_ratio as rate_ratio
    from kapmeta.effects.means import mean_difference as mean_difference
    from kapmeta.effects.means import ratio_of_means as ratio_of_means
    from kapmeta.effects.means import standardized_mean_difference as standardized_mean_difference
    from kapmeta.examples import load_example as load_example
    from kapmeta.methods import PRIMARY as PRIMARY
    from kapmeta.methods import Method as Method
    from kapmeta.moderators.cluster_robust import robust as robust
    from kapmeta.moderators.dependence import aggregate as aggregate
    from kapmeta.moderators.dependence import multilevel as multilevel
    from kapmeta.moderators.dependence import multivariate as multivariate
    from kapmeta.moderators.doses import dose_trend as dose_trend
    from kapmeta.moderators.regression import likelihood_ratio as likelihood_ratio
    from kapmeta.moderators.regression import meta_regression as meta_regression
    from kapmeta.moderators.subgroup_pooling import subgroups as subgroups
    from kapmeta.pooling.bayes import pool_bayes as pool_bayes
    from kapmeta.pooling.exact import pool_exact as pool_exact
    from kapmeta.pooling.headlines import headline as headline
    from kapmeta.pooling.headlines import headline_effect as headline_effect
    from kapmeta.pooling.inverse_variance import pool as pool
    from kapmeta.pooling.stratified import mantel_haenszel as mantel_haenszel
    from kapmeta.pooling.stratified import peto as peto
    from kapmeta.results.effects import Effects as Effects
    from kapmeta.results.pooled import Pooled as Pooled
    from kapmeta.results.sweeps import Sweep as Sweep
    from kapmeta.review import protocol as protocol
    from kapmeta.review import report as report
    from kapmeta.review import reproduce as reproduce
    from kapmeta.review.answering import evidence_table as evidence_table
    from kapmeta.review.answering import registered as registered
    from kapmeta.review.answering import registered_effects as registered_effects
    from kapmeta.review.answering import substances_table as substances_table
    from kapmeta.review.claims import audit_claims as audit_claims
    from kapmeta.review.claims import check_claims as check_claims
    from kapmeta.review.conclusions import conclusion as conclusion
    from kapmeta.review.evidence import load_evidence as load_evidence
    from kapmeta.review.risk_of_bias import check_bias_judgements as check_bias_judgements
    from kapmeta.sensitivity.choices import at_time as at_time
    from kapmeta.sensitivity.choices import estimator_table as estimator_table
    from kapmeta.sensitivity.choices import every_measure as every_measure
    from kapmeta.sensitivity.choices import pooled_measures as pooled_measures
    from kapmeta.sensitivity.choices import zero_rules as zero_rules
    from kapmeta.sensitivity.coverage import calibration as calibration
    from kapmeta.sensitivity.deletion import baujat as baujat
    from kapmeta.sensitivity.deletion import cumulative as cumulative
    from kapmeta.sensitivity.deletion import influence as influence
    from kapmeta.sensitivity.deletion import leave_one_out as leave_one_out
    from kapmeta.sensitivity.deletion import leave_two_out as leave_two_out
    from kapmeta.sensitivity.fragility import fragility_index as fragility_index
    from kapmeta.sensitivity.missingness import missing_outcomes as missing_outcomes
    from kapmeta.sensitivity.multiverses import multiverse as multiverse
    from kapmeta.sensitivity.overview import sensitivity_table as sensitivity_table
    from kapmeta.sensitivity.percentages import rounded_counts as rounded_counts
    from kapmeta.sensitivity.subsets import all_subsets as all_subsets
    from kapmeta.sensitivity.tipping import tipping_point as tipping_point
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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(
            f'kapmeta has no "{name}"; {_nearest(name)}dir(kapmeta) lists all names'
        )
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
