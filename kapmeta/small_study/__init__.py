"""Small-study effects and publication bias: tests, adjustments and bounds.

The tests and adjustments need ten trials or more and say so; `publication_bias_sensitivity`,
`e_value` and `fail_safe_n` ask what it would take, and answer for three trials too.

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kapmeta._lazy import lazy

if TYPE_CHECKING:
    from kapmeta.small_study.adjustments import limit_meta_analysis as limit_meta_analysis
    from kapmeta.small_study.adjustments import pet_peese as pet_peese
    from kapmeta.small_study.adjustments import trim_and_fill as trim_and_fill
    from kapmeta.small_study.asymmetries import TESTS as TESTS
    from kapmeta.small_study.asymmetries import asymmetry_test as asymmetry_test
    from kapmeta.small_study.bounds import e_value as e_value
    from kapmeta.small_study.bounds import (
        publication_bias_sensitivity as publication_bias_sensitivity,
    )
    from kapmeta.small_study.file_drawers import FAIL_SAFE as FAIL_SAFE
    from kapmeta.small_study.file_drawers import excess_significance as excess_significance
    from kapmeta.small_study.file_drawers import fail_safe_n as fail_safe_n
    from kapmeta.small_study.selections import copas as copas
    from kapmeta.small_study.selections import selection_model as selection_model

_FILES = {
    "adjustments": ["limit_meta_analysis", "pet_peese", "trim_and_fill"],
    "asymmetries": ["TESTS", "asymmetry_test"],
    "bounds": ["e_value", "publication_bias_sensitivity"],
    "file_drawers": ["FAIL_SAFE", "excess_significance", "fail_safe_n"],
    "selections": ["copas", "selection_model"],
}

__all__, __getattr__, __dir__ = lazy(__name__, _FILES)
