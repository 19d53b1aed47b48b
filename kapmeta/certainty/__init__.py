"""Certainty: absolute effects, imprecision, information size, GRADE and risk of bias.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
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

_FILES = {
    "absolute_risks": ["absolute_effects", "number_needed_to_treat"],
    "findings": ["summary_of_findings"],
    "grading": ["certainty_table"],
    "imprecisions": ["imprecision", "probability_beyond"],
    "information_sizes": ["information_size"],
    "risk_of_bias": ["bias_adjusted", "low_risk_only", "rob2_judgements", "robins_i_overall"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)
