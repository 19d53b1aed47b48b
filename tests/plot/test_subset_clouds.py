"""GOSH plots: a cloud for the subsets with a study and one for those without."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

from kapmeta.plot import subset_clouds
from tests.helpers.figures import points

matplotlib.use("Agg")


def test_gosh_colours_by_membership() -> None:
    frame = pd.DataFrame(
        {
            "k": [1, 2, 2, 3],
            "estimate": [0, 0.1, 0.4, 0.2],
            "i2": [0, 0, 0.5, 0.3],
            "A": [True, True, False, True],
        }
    )
    ax = subset_clouds.gosh(frame, by="A")
    np.testing.assert_allclose(points(ax, 0), [[0.1, 0.0], [0.2, 30.0]])
    np.testing.assert_allclose(points(ax, 1), [[0.4, 50.0]])
    with pytest.raises(ValueError, match='by = "B" is not among the studies: A'):
        subset_clouds.gosh(frame, by="B")
    with pytest.raises(
        ValueError, match='heterogeneity = "h2" is not known; use one of: i2, tau2, q'
    ):
        subset_clouds.gosh(frame, heterogeneity="h2")
