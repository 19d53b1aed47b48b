"""Published trial data for learning and testing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

import pandas as pd

from kapmeta import checking
from kapmeta.checking import chosen

__all__ = ["EXAMPLES", "load_example"]

EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "bcg": (
            "Colditz GA et al. Efficacy of BCG vaccine in the prevention of tuberculosis. JAMA"
            " 1994;271:698-702. 13 trials, counts."
        ),
        "smoking": (
            "Hasselblad V. Meta-analysis of multitreatment studies. Med Decis Making 1998;18:37-43."
            " Individual counselling against no contact, counts of those who stopped smoking."
        ),
        "passive_smoking": (
            "Hackshaw AK. Lung cancer and passive smoking. Stat Methods Med Res 1998;7:119-136. "
            "37 studies, odds ratios as printed with their logarithms and variances."
        ),
    }
)
"""Data sets by name, with their sources."""


@checking.checked
def load_example(name: str) -> pd.DataFrame:
    """Load a published data set, one row per study, under the column names effects expect.

    Parameters
    ----------
    name : str
        A word of `EXAMPLES`.

    Returns
    -------
    DataFrame
        The rows.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> import kapmeta as km
    >>> km.pool(km.risk_ratio(km.load_example("bcg")))
    Pooled(RR 0.49 (95 % CI 0.33 to 0.73), k=13, random-effects model)
    """
    chosen(name, EXAMPLES, "example")
    with resources.files(__package__).joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)
