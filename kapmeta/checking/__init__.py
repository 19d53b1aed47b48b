"""Checks at the public boundary: every error names argument, rule, row and what to do."""

from __future__ import annotations

from kapmeta.checking.arguments import (
    chosen,
    column_keyword,
    flag,
    instance,
    proportion,
    refuse_first,
    split_keywords,
    warn,
)
from kapmeta.checking.flag_columns import established, flags
from kapmeta.checking.frames import columns_of, frame_of, refuse_no_table
from kapmeta.checking.kinds import checked
from kapmeta.checking.name_columns import (
    name_of,
    refuse_empty,
    same_word,
    study_labels,
    total_rows,
    unified,
    warn_of_spellings,
)
from kapmeta.checking.number_columns import (
    GAP_RULES,
    counts,
    gaps_of,
    numbers,
    refuse_gaps,
    refuse_impossible,
    refuse_negative,
    whole,
    with_numbers,
)
from kapmeta.checking.quantities import (
    Bounds,
    finite_number,
    finite_numbers,
    generator,
    whole_number,
)
from kapmeta.checking.reserved import RESERVED, renamed

__all__ = [
    "GAP_RULES",
    "RESERVED",
    "Bounds",
    "checked",
    "chosen",
    "column_keyword",
    "columns_of",
    "counts",
    "established",
    "finite_number",
    "finite_numbers",
    "flag",
    "flags",
    "frame_of",
    "gaps_of",
    "generator",
    "instance",
    "name_of",
    "numbers",
    "proportion",
    "refuse_empty",
    "refuse_first",
    "refuse_gaps",
    "refuse_impossible",
    "refuse_negative",
    "refuse_no_table",
    "renamed",
    "same_word",
    "split_keywords",
    "study_labels",
    "total_rows",
    "unified",
    "warn",
    "warn_of_spellings",
    "whole",
    "whole_number",
    "with_numbers",
]
