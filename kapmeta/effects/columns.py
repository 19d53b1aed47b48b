"""The columns of a table of trials that have a meaning of their own."""

from __future__ import annotations

import pandas as pd

from kapmeta import checking
from kapmeta.checking import RESERVED

__all__ = ["reserved_columns"]


@checking.checked
def reserved_columns() -> pd.DataFrame:
    """Tabulate the column names that have a meaning, and the keyword that renames each.

    A column of yours that bears one of these names and means something else is renamed with
    ``rename={"label": "blinding"}``; so is one of yours that means the same under another name,
    ``rename={"rct": "randomised"}``. A column with a keyword of its own is named by it,
    ``events_t="responders"``.

    Returns
    -------
    DataFrame
        One row per name: `column`, `meaning`, `keyword`.

    Examples
    --------
    >>> import kapmeta as km
    >>> table = km.effects.reserved_columns().set_index("column")
    >>> table.loc[["events_t", "label"], "keyword"].tolist()
    ['events_t', 'rename']
    """
    return pd.DataFrame(
        [(name, *row) for name, row in RESERVED.items()], columns=["column", "meaning", "keyword"]
    )
