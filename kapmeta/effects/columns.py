"""The columns of a table of trials that have a meaning of their own."""

from __future__ import annotations

import pandas as pd

from kapmeta import checking
from kapmeta.checking import RESERVED

__all__ = ["reserved_columns"]


@checking.checked
def reserved_columns(trials: pd.DataFrame | None = None) -> pd.DataFrame:
    """Tabulate the column names that have a meaning, and the keyword that renames each.

    A column of yours that bears one of these names and means something else is renamed with
    ``rename={"label": "blinding"}``; so is one of yours that means the same under another name,
    ``rename={"rct": "randomised"}``. A column with a keyword of its own is named by it,
    ``events_t="responders"``.

    Parameters
    ----------
    trials : DataFrame, optional
        A table whose reserved columns are listed; all names by default.

    Returns
    -------
    DataFrame
        One row per name: `column`, `meaning`, `keyword`.

    Raises
    ------
    TypeError
        If `trials` is no DataFrame.

    Examples
    --------
    >>> import kapmeta as km
    >>> mine = pd.DataFrame(columns=["study", "events_t", "rct", "label"])
    >>> km.effects.reserved_columns(mine)[["column", "keyword"]].to_numpy().tolist()
    [['study', 'study'], ['events_t', 'events_t'], ['label', 'rename']]
    """
    table = pd.DataFrame(
        [(name, *row) for name, row in RESERVED.items()], columns=["column", "meaning", "keyword"]
    )
    if trials is None:
        return table
    names = {checking.name_of(column) for column in checking.frame_of(trials).columns}
    return table[table["column"].isin(names)].reset_index(drop=True)
