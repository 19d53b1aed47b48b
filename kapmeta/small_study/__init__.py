"""Small-study effects and publication bias: tests and adjustments for many trials, bounds for any
number.

The tests and adjustments need ten trials or more and say so; `publication_bias_sensitivity`,
`e_value` and `fail_safe_n` ask what it would take, and answer for three trials too.
"""

from kapmeta.small_study.adjustments import limit_meta_analysis, pet_peese, trim_and_fill
from kapmeta.small_study.asymmetries import TESTS, asymmetry_test
from kapmeta.small_study.bounds import e_value, publication_bias_sensitivity
from kapmeta.small_study.file_drawers import FAIL_SAFE, excess_significance, fail_safe_n
from kapmeta.small_study.selections import copas, selection_model

__all__ = [
    "FAIL_SAFE",
    "TESTS",
    "asymmetry_test",
    "copas",
    "e_value",
    "excess_significance",
    "fail_safe_n",
    "limit_meta_analysis",
    "pet_peese",
    "publication_bias_sensitivity",
    "selection_model",
    "trim_and_fill",
]
