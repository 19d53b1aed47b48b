"""Certainty: absolute effects, imprecision, information size, GRADE and risk of bias.

Names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOME = {
    "absolute_effects": "absolute_risks",
    "bias_adjusted": "risk_of_bias",
    "certainty_table": "grading",
    "imprecision": "imprecisions",
    "information_size": "information_sizes",
    "low_risk_only": "risk_of_bias",
    "number_needed_to_treat": "absolute_risks",
    "probability_beyond": "imprecisions",
    "rob2_judgements": "risk_of_bias",
    "robins_i_overall": "risk_of_bias",
    "summary_of_findings": "findings",
}
"""Public name -> the file it lives in."""

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'kapmeta.certainty has no "{name}"; it has: {", ".join(__all__)}')
    value = getattr(import_module(f"kapmeta.certainty.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
